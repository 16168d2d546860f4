//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Runs the taps and targets of a meltano.yml
#[derive(Debug, Parser)]
#[command(name = "chorus", version, about, propagate_version = true)]
pub struct Cli {
    /// The folder of the project, in place of this one
    #[arg(long, global = true, value_name = "FOLDER")]
    pub project: Option<PathBuf>,
    /// The environment of the project; else `MELTANO_ENVIRONMENT`, or the project's default
    #[arg(long, short = 'e', global = true, value_name = "NAME")]
    pub environment: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a job, or a tap and a target: `chorus run tap-csv target-csv`
    Run(RunArgs),
    /// Look at the states of taps, or change them
    State {
        /// What to do
        #[command(subcommand)]
        command: StateCommand,
    },
}

/// What to run, and how.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
pub struct RunArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB | TAP [MAPPER...] TARGET")]
    pub words: Vec<String>,
    /// The day to read or write, YYYY-MM-DD; else `DATESTAMP` or `EXTRACTED_AT`
    #[arg(long, value_name = "DAY")]
    pub datestamp: Option<String>,
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
    /// The name of the state, in place of the one made of the plugins' names
    #[arg(long, value_name = "ID")]
    pub state_id: Option<String>,
    /// How often to try again what may go well the next time (exit 75)
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub retries: usize,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Show every line of the plugins' logs
    #[arg(long, short)]
    pub verbose: bool,
}

/// What to do with a state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the ids that have a state
    List,
    /// Print the state of an id, as Meltano writes it
    Get {
        /// The id
        id: String,
    },
    /// Replace the state of an id
    Set {
        /// The id
        id: String,
        /// The state as JSON: `{"singer_state": {...}}`; `-` reads it from stdin
        state: String,
    },
    /// Put bookmarks over those that are there
    Merge {
        /// The id
        id: String,
        /// The state as JSON: `{"singer_state": {...}}`; `-` reads it from stdin
        state: String,
    },
    /// Remove the state of an id: the next run reads everything
    Clear {
        /// The id
        id: String,
    },
}
