//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runner::backfill::Only;
use runner::options::Options;
use runner::params::Params;
use runner::record::RunRecord;
use singer::{Error, ErrorKind, Result};

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
    /// List the days that a job has written, or remove some of them
    Days(DaysArgs),
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
    Doctor {
        /// A job, or a tap and a target, to look at alone
        #[arg(value_name = "JOB | TAP [MAPPER...] TARGET")]
        words: Vec<String>,
    },
    /// Run a plugin, anybody's, against the rules of the protocol
    Check {
        /// A tap or a target; a target is fed a stream of its own
        plugin: String,
        /// How many records of a tap to read
        #[arg(long, default_value_t = 100_000, value_parser = records)]
        #[arg(allow_negative_numbers = true)]
        records: u64,
    },
    /// Look at the states of taps, or change them
    State {
        /// What to do
        #[command(subcommand)]
        command: StateCommand,
    },
}

/// What to run, or to plan, and for which day.
#[derive(Debug, Args)]
pub struct WhatArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB | TAP [MAPPER...] TARGET")]
    pub words: Vec<String>,
    /// The day to read or write: YYYY-MM-DD, `today` or `yesterday` in UTC; else `DATESTAMP` or
    /// `EXTRACTED_AT`
    #[arg(long, value_name = "DAY")]
    pub datestamp: Option<String>,
    /// The name of the state, in place of the one made of the plugins' names
    #[arg(long, value_name = "ID")]
    pub state_id: Option<String>,
    /// What it takes beside the project
    #[command(flatten)]
    pub params: ParamsArgs,
}

/// The heading of what a run takes beside the project.
const PARAMS: &str = "A part of the source, and values of variables";

/// What a run takes beside the project.
#[derive(Debug, Args)]
pub struct ParamsArgs {
    /// Read this stream or column alone, of those that the project selects; repeatable, `*` stands
    /// for any text
    #[arg(help_heading = PARAMS, long, value_name = "STREAM[.COLUMN]")]
    pub select: Vec<String>,
    /// Read the rows of a stream alone for which an expression in SQL is true; repeatable
    #[arg(help_heading = PARAMS, long = "where", value_name = "STREAM: EXPRESSION")]
    pub conditions: Vec<String>,
    /// Read from so many days before the day of the run on, or before today
    #[arg(help_heading = PARAMS, long, value_name = "COUNT", value_parser = days)]
    #[arg(allow_negative_numbers = true)]
    pub days: Option<u32>,
    /// Set a variable, `${KEY}` in meltano.yml; repeatable
    #[arg(help_heading = PARAMS, long = "input", short = 'i', value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// Take all of these from a file of JSON, as `--print-params` prints it
    #[arg(help_heading = PARAMS, long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Print all of these as JSON, and do nothing
    #[arg(help_heading = PARAMS, long)]
    pub print_params: bool,
}

impl ParamsArgs {
    /// Returns what they say, over what the file does that they name.
    pub fn read(&self) -> Result<Params> {
        let mut params = self.params.as_deref().map_or(Ok(Params::default()), Params::read)?;
        params.select.extend(self.select.iter().cloned());
        params.days = self.days.or(params.days);
        self.conditions.iter().try_for_each(|text| params.add_condition(text))?;
        self.inputs.iter().try_for_each(|text| params.add_input(text))?;
        Ok(params)
    }
}

/// How to run it, for one day or many.
#[derive(Debug, Args)]
pub struct HowArgs {
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
    /// How often to try again what may go well the next time (exit 75)
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub retries: usize,
    /// End with exit code 65 at a warning of this code, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Show every line of the plugins' logs
    #[arg(long, short)]
    pub verbose: bool,
}

impl HowArgs {
    /// Returns how to run it.
    pub fn options(&self) -> Options {
        let (full_refresh, retries) = (self.full_refresh, self.retries);
        Options { full_refresh, retries, deny: self.deny_warnings.clone(), ..Options::default() }
    }
}

/// What to run, and how.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to run
    #[command(flatten)]
    pub what: WhatArgs,
    /// How
    #[command(flatten)]
    pub how: HowArgs,
    /// How many steps that do not need each other to run at once
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub parallel: usize,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which days to list, or to remove.
#[derive(Debug, Args)]
pub struct DaysArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = "JOB | TAP [MAPPER...] TARGET")]
    pub words: Vec<String>,
    /// Remove what was written for this day, YYYY-MM-DD; a run of the day writes it anew;
    /// repeatable
    #[arg(long, value_name = "DAY")]
    pub delete: Vec<String>,
    /// List what would be removed, and do nothing
    #[arg(long, requires = "delete")]
    pub preview: bool,
}

/// Which runs to list.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many, the last ones
    #[arg(long, default_value_t = 20, value_parser = count, allow_negative_numbers = true)]
    pub count: usize,
    /// Those of this job alone, or of the plugins that were run
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Those alone that have failed or died, or wait for a day that has failed
    #[arg(long)]
    pub failed: bool,
}

/// What to plan.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What to plan
    #[command(flatten)]
    pub what: WhatArgs,
    /// Read everything, whatever the state says
    #[arg(long)]
    pub full_refresh: bool,
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
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub parallel: usize,
    /// List what would be run, and do nothing
    #[arg(long)]
    pub preview: bool,
    /// How to run it
    #[command(flatten)]
    pub how: HowArgs,
}

fn count(text: &str) -> std::result::Result<usize, String> {
    text.parse().map_err(|_| "it is a whole number from 0".to_owned())
}

fn records(text: &str) -> std::result::Result<u64, String> {
    text.parse().map_err(|_| "it is a whole number from 0".to_owned())
}

fn days(text: &str) -> std::result::Result<u32, String> {
    let days = text.parse().ok().filter(|days| *days > 0);
    days.ok_or_else(|| "it is a whole number from 1".to_owned())
}

/// What to run again.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The run's id or the beginning of it, or `last`
    pub run: String,
    /// Begin with this step of the run: its number, from 1, or its plugins
    #[arg(long, value_name = "STEP", allow_negative_numbers = true)]
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
    /// Returns how to run it again as a record says.
    ///
    /// # Errors
    /// `Usage` where a value is lacking that the record does not hold.
    pub fn options(&self, record: &RunRecord) -> Result<Options> {
        let params = record.params.clone().unwrap_or_default();
        if let Some((name, _)) = params.inputs.iter().find(|(_, value)| value.is_none()) {
            return Err(Error::new(ErrorKind::Usage, "cannot run again without a value")
                .with("variable", name)
                .hint(format!(
                    "its name says that it is a secret, and the record holds none; give it anew: \
                     chorus run {} -i {name}=...",
                    record.words.join(" ")
                )));
        }
        Ok(Options {
            datestamp: record.datestamp,
            full_refresh: self.full_refresh,
            state_id: record.state_id.clone(),
            retries: 3,
            deny: self.deny_warnings.clone(),
            params,
            ..Options::default()
        })
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
