//! The command line of `chorus schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::edits::ListFormat;
use crate::complete;
use crate::examples::{self, below};

/// What to do with the tables of a job.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Show how the tables differ from what the streams need, and change nothing
    #[command(after_help = below(examples::SCHEMA_PLAN))]
    Plan(SchemaPlanArgs),
    /// Do what a plan says, and nothing else
    #[command(after_help = below(examples::SCHEMA_APPLY))]
    Apply {
        /// The file that `chorus schema plan --output` wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Drop tables and columns, too
        #[arg(long)]
        allow_drop: bool,
    },
    /// Make the tables that are missing, without rows
    #[command(after_help = below(examples::SCHEMA_BUILD))]
    Build(SchemaOf),
    /// Drop the tables that the job fills
    #[command(alias = "destroy", after_help = below(examples::SCHEMA_DROP))]
    Drop {
        /// Whose tables
        #[command(flatten)]
        of: SchemaOf,
        /// Drop them; without it, they are only listed
        #[arg(long)]
        allow_drop: bool,
    },
}

/// Whose tables.
#[derive(Debug, Args)]
pub struct SchemaOf {
    /// A job, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB", add = complete::pipelines())]
    pub words: Vec<String>,
    /// Use the settings, and the streams, of this day: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY", add = complete::days())]
    pub datestamp: Option<String>,
}

/// What to plan.
#[derive(Debug, Args)]
pub struct SchemaPlanArgs {
    /// Whose tables
    #[command(flatten)]
    pub of: SchemaOf,
    /// Plan nothing that loses data: columns and tables stay
    #[arg(long)]
    pub no_drop: bool,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub format: ListFormat,
    /// Write the plan as JSON to this file, for `chorus schema apply`
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
