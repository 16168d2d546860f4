//! The command lines of `chorus contract`, `pii`, `forget` and `schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::edits::ListFormat;
use super::schema::SchemaCommand;
use crate::complete;
use crate::examples::{self, below};

/// Commands for contracts and personal data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Write contracts, hold data to them, and compare their versions
    #[command(after_help = below(examples::CONTRACT))]
    Contract {
        /// What to do
        #[command(subcommand)]
        command: ContractCommand,
    },
    /// Find columns that may be personal, and write a contract to start from
    #[command(after_help = below(examples::PII))]
    Pii(PiiArgs),
    /// Remove the rows of a person from days, rejects, logs and tables
    #[command(after_help = below(examples::FORGET))]
    Forget(ForgetArgs),
    /// Compare the tables of a job with its streams, and change, make or drop them
    #[command(after_help = below(examples::SCHEMA))]
    Schema {
        /// What to do
        #[command(subcommand)]
        command: SchemaCommand,
    },
}

/// What to do with contracts.
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Write a contract from what a tap has, to start from
    #[command(after_help = below(examples::CONTRACT_INIT))]
    Init {
        /// A job, or a tap
        #[arg(required = true, value_name = "JOB | TAP", add = complete::pipelines())]
        words: Vec<String>,
    },
    /// Hold a day, or what a tap reads, to a contract
    #[command(after_help = below(examples::CONTRACT_CHECK))]
    Check(ContractCheckArgs),
    /// Name what changed between two versions of a contract
    #[command(after_help = below(examples::CONTRACT_DIFF))]
    Diff {
        /// The old version
        old: PathBuf,
        /// The new version
        new: PathBuf,
        /// How to print it
        #[arg(long, value_enum, value_name = "FORM", default_value_t)]
        format: ListFormat,
    },
}

/// What to check.
#[derive(Debug, Args)]
pub struct ContractCheckArgs {
    /// A job, a tap, or a contract
    #[arg(required = true, value_name = "JOB | FILE", add = complete::pipelines())]
    pub words: Vec<String>,
    /// Check this day of the dated folders: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY", add = complete::days())]
    pub datestamp: Option<String>,
    /// Use this contract; repeatable
    #[arg(long, value_name = "FILE")]
    pub contract: Vec<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub format: ListFormat,
}

/// Where to look for what may be personal.
#[derive(Debug, Args)]
pub struct PiiArgs {
    /// A job, or a tap
    #[arg(required = true, value_name = "JOB | TAP", add = complete::pipelines())]
    pub words: Vec<String>,
    /// Look at this day of the dated folders: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY", add = complete::days())]
    pub datestamp: Option<String>,
    /// Look at so many records of each stream
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = super::records)]
    #[arg(allow_negative_numbers = true)]
    pub records: u64,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub format: ListFormat,
}

/// Whose rows are removed.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// Jobs, or plugins from a tap to a target; without one, all jobs
    #[arg(value_name = "JOB", add = complete::pipelines())]
    pub words: Vec<String>,
    /// The stream
    #[arg(long, value_name = "STREAM")]
    pub stream: String,
    /// The column and the value of the person; without a value, it is read from
    /// standard input
    #[arg(long, value_name = "COLUMN[=VALUE]")]
    pub key: String,
    /// Remove the rows; without it, they are counted
    #[arg(long)]
    pub apply: bool,
    /// Show this, and change nothing: the default
    #[arg(long, conflicts_with = "apply")]
    pub dry_run: bool,
    /// Leave the tables of targets to you: only print the statements, with the value
    #[arg(long)]
    pub keep_targets: bool,
    /// How to print it
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    pub format: ListFormat,
}
