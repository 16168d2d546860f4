//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use disk::Datestamp;
use runner::backfill::Only;
use runner::options::Options;

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
    /// Say what a run would do: streams, columns, keys, replication, files, SQL
    #[command(visible_alias = "explain")]
    Plan(PlanArgs),
    /// Run a job for many days, in an order that is told; what is done is left alone
    Backfill(BackfillArgs),
    /// Show how the steps of jobs stand, day by day
    Status {
        /// Jobs; all of them when none is named
        words: Vec<String>,
    },
    /// List the runs
    Runs(RunsArgs),
    /// Print the logs of a run
    Logs {
        /// The run's id or the beginning of it, or `last`
        #[arg(default_value = "last")]
        run: String,
    },
    /// Run again what a run ran, for its day
    Rerun(RerunArgs),
    /// Run the schedules of the project in the foreground, until asked to end
    Schedule {
        /// Schedules; all of them when none is named
        names: Vec<String>,
        /// End a run with exit code 65 at a warning of this code, or at `all`; repeatable
        #[arg(long, value_name = "CODE", value_delimiter = ',')]
        deny_warnings: Vec<String>,
    },
    /// Look for what stands in the way of a run, and say what mends it
    Doctor,
    /// Run a plugin, anybody's, against the rules of the protocol
    Check {
        /// A tap or a target; a target is fed a stream of its own
        plugin: String,
        /// How many records of a tap to read
        #[arg(long, default_value_t = 100_000)]
        records: u64,
    },
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
    /// The day to read or write: YYYY-MM-DD, `today` or `yesterday` in UTC; else `DATESTAMP` or
    /// `EXTRACTED_AT`
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
    /// How many steps that do not need each other to run at once
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub parallel: usize,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// End with exit code 65 at a warning of this code, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Show every line of the plugins' logs
    #[arg(long, short)]
    pub verbose: bool,
}

/// Which runs to list.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many, the last ones
    #[arg(long, default_value_t = 20)]
    pub count: usize,
    /// Those of this job alone, or of the plugins that were run
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Those alone that have failed or died, or wait for a day that has failed
    #[arg(long)]
    pub failed: bool,
}

/// What to plan.
#[derive(Debug, Default, Args)]
pub struct PlanArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB | TAP [MAPPER...] TARGET")]
    pub words: Vec<String>,
    /// The day to read or write: YYYY-MM-DD, `today` or `yesterday` in UTC; else `DATESTAMP` or
    /// `EXTRACTED_AT`
    #[arg(long, value_name = "DAY")]
    pub datestamp: Option<String>,
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
    /// The name of the state, in place of the one made of the plugins' names
    #[arg(long, value_name = "ID")]
    pub state_id: Option<String>,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to run for which days.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB | TAP [MAPPER...] TARGET")]
    pub words: Vec<String>,
    /// The first day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// The last day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub to: String,
    /// Which steps to run
    #[arg(long, value_enum, default_value_t = OnlyArg::Missing)]
    pub only: OnlyArg,
    /// How many days to run at once
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub parallel: usize,
    /// List what would be run, and do nothing
    #[arg(long)]
    pub preview: bool,
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
    /// How often to try again what may go well the next time (exit 75)
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub retries: usize,
    /// End with exit code 65 at a warning of this code, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Show every line of the plugins' logs
    #[arg(long, short)]
    pub verbose: bool,
}

/// What to run again.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The run's id or the beginning of it, or `last`
    pub run: String,
    /// Begin with this step: its number, or its plugins
    #[arg(long, value_name = "STEP")]
    pub from: Option<String>,
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
    /// End with exit code 65 at a warning of this code, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

impl RerunArgs {
    /// Returns how to run it for a day, with the state that was named for it.
    pub fn options(&self, datestamp: Option<Datestamp>, state_id: Option<&str>) -> Options {
        let (full_refresh, state_id) = (self.full_refresh, state_id.map(str::to_owned));
        let deny = self.deny_warnings.clone();
        Options { datestamp, full_refresh, state_id, retries: 3, deny, ..Options::default() }
    }
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
    /// Remove the state of an id, or the bookmarks of some of its streams: the next run reads them
    /// from their beginning
    Clear {
        /// The id
        id: String,
        /// A stream whose bookmark goes, in place of all; repeatable
        #[arg(long = "stream", value_name = "STREAM")]
        streams: Vec<String>,
    },
}

/// Which steps to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnlyArg {
    /// What has not been done, or is not there any more, or was made from what has changed
    #[default]
    Missing,
    /// What has failed
    Failed,
    /// What has failed, and the steps before it that wrote the day it reads
    FailedAndBefore,
    /// What was run before, however it ended, and what reads it
    Again,
    /// What lies under an older day that was loaded after it
    Under,
    /// Everything
    All,
}

impl From<OnlyArg> for Only {
    fn from(only: OnlyArg) -> Self {
        match only {
            OnlyArg::Missing => Self::Missing,
            OnlyArg::Failed => Self::Failed,
            OnlyArg::FailedAndBefore => Self::FailedAndBefore,
            OnlyArg::Again => Self::Again,
            OnlyArg::Under => Self::Under,
            OnlyArg::All => Self::All,
        }
    }
}
