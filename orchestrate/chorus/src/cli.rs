//! The command line.

pub mod contract;
mod doctor;
pub mod edits;
mod el;
pub(crate) mod given;
mod install;
mod invoke;
mod meltano;
pub mod schema;

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use runner::backfill::Only;
use runner::options::Options;
use runner::params::Params;
use runner::record::RunRecord;
use singer::{Error, ErrorKind, Result, generate, help};

use crate::cli_state::StateCommand;
use crate::complete;
use crate::examples::{self, below};
use contract::DataCommand;
pub use doctor::DoctorArgs;
use edits::{EditCommand, ScheduleArgs};
pub use el::{DumpOfPipeline, ElArgs};
pub use install::InstallArgs;
pub use invoke::{Dump, InvokeArgs};
pub use meltano::{InstallFlags, MeltanoFlags};

/// Returns the definition of the command line.
pub fn definition() -> clap::Command {
    let version = Arg::new("version").long("version").short('V').action(ArgAction::Version);
    let version = version.display_order(1001).help("Print the version");
    // `--help` of each command says the same as a command `help`.
    let command = Cli::command().disable_version_flag(true).disable_help_subcommand(true);
    help::shaped(command.args(generate::flags()).arg(version))
}

/// Runs the taps and targets of a meltano.yml
#[derive(Debug, Parser)]
#[command(
    name = "chorus",
    version,
    about,
    arg_required_else_help = true,
    subcommand_value_name = "COMMAND"
)]
#[command(after_help = examples::below(examples::CHORUS))]
pub struct Cli {
    /// Use the project in this folder
    #[arg(long, visible_alias = "cwd", global = true, value_name = "FOLDER", display_order = 900)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub project: Option<PathBuf>,
    /// Use this environment of the project
    #[arg(long, short = 'e', global = true, value_name = "NAME")]
    #[arg(add = complete::environments(), display_order = 901)]
    pub environment: Option<String>,
    /// Use no environment
    #[arg(long, global = true, conflicts_with = "environment", hide = true)]
    pub no_environment: bool,
    /// Write log lines of this level, and graver ones
    #[arg(long, global = true, value_name = "LEVEL", hide = true, value_parser = given::LEVELS)]
    pub log_level: Option<String>,
    /// Write the log in this form: `plain` or `json`
    #[arg(long, global = true, value_name = "FORM", hide = true, value_parser = given::FORMATS)]
    pub log_format: Option<String>,
    /// What to do; nothing beside `--generate`
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run jobs, or a tap and a target
    #[command(after_help = below(examples::RUN))]
    Run(RunArgs),
    /// Run a tap and a target, as `meltano el` does
    #[command(hide = true, after_help = below(examples::EL))]
    El(ElArgs),
    /// Run a tap and a target, as `meltano elt` does
    #[command(hide = true, after_help = below(examples::ELT))]
    Elt(ElArgs),
    /// Show what a run would do: streams, columns, files, SQL
    #[command(alias = "explain", after_help = below(examples::PLAN))]
    Plan(PlanArgs),
    /// Run a job for many days, and skip the days that are done
    #[command(after_help = below_backfill())]
    Backfill(BackfillArgs),
    /// Show the steps of jobs, day by day
    #[command(after_help = below(examples::STATUS))]
    Status {
        /// Jobs to show; without one, all that have a name or were run
        #[arg(value_name = PIPELINE, add = complete::pipelines())]
        words: Vec<String>,
    },
    /// List the days that a job has written, or remove some of them
    #[command(after_help = below(examples::DAYS))]
    Days(DaysArgs),
    /// List the runs
    #[command(after_help = below(examples::RUNS))]
    Runs(RunsArgs),
    /// Print the logs of a run
    #[command(after_help = below(examples::LOGS))]
    Logs {
        /// Id of the run, or its first characters, or `last`
        #[arg(default_value = "last", add = complete::runs())]
        run: String,
    },
    /// Run a past run again, for its day
    #[command(after_help = below(examples::RERUN))]
    Rerun(RerunArgs),
    /// Run the schedules of the project until you stop it, or edit them
    #[command(after_help = below(examples::SCHEDULE))]
    Schedule(ScheduleArgs),
    /// Find what would stop a run, and print how to mend it
    #[command(after_help = below(examples::DOCTOR))]
    Doctor(DoctorArgs),
    /// Test whether a plugin of any author keeps the Singer protocol
    #[command(after_help = below(examples::CHECK))]
    Check {
        /// A tap, or a target, which gets a stream of test records
        #[arg(add = complete::plugins())]
        plugin: String,
        /// Read at most this many records of a tap
        #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = records)]
        #[arg(allow_negative_numbers = true)]
        records: u64,
    },
    /// Commands for contracts and personal data
    #[command(flatten)]
    Data(DataCommand),
    /// Install the plugins that have a `pip_url`, as Meltano does
    #[command(after_help = below(examples::INSTALL))]
    Install(InstallArgs),
    /// Run a plugin by itself, or a command of it, such as dbt:run
    #[command(after_help = below(examples::INVOKE))]
    Invoke(InvokeArgs),
    /// Check a config.yaml, and print it in its canonical form
    #[command(after_help = below(examples::VALIDATE))]
    Validate {
        /// A file with sources and a target
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Make a project of a config.yaml
    #[command(after_help = below(examples::CONVERT))]
    Convert {
        /// A file with sources and a target
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write the project into this folder, not that of the file
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        into: Option<PathBuf>,
    },
    /// Commands that list or edit the project
    #[command(flatten)]
    Edit(EditCommand),
    /// Show or change the states of taps
    #[command(after_help = below(examples::STATE))]
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
    #[arg(required = true, value_name = PIPELINE, add = complete::pipelines())]
    pub words: Vec<String>,
    /// The day: YYYY-MM-DD, today or yesterday (UTC)
    #[arg(long, value_name = "DAY", add = complete::days())]
    pub datestamp: Option<String>,
    /// Use the state of this id
    #[arg(long, value_name = "ID", add = complete::states())]
    pub state_id: Option<String>,
    /// End the names of states with this
    #[arg(long, value_name = "ID", conflicts_with = "state_id")]
    pub state_id_suffix: Option<String>,
    /// What it takes beside the project
    #[command(flatten)]
    pub params: ParamsArgs,
}

/// What a pipeline is made of.
const PIPELINE: &str = "JOB | TAP [MAPPER...] TARGET";
/// The heading of what a run takes beside the project.
const PARAMS: &str = "Parts of the source, and variables";

/// What a run takes beside the project.
#[derive(Debug, Default, Args)]
pub struct ParamsArgs {
    /// Read only this stream, or STREAM.COLUMN; repeatable
    #[arg(help_heading = PARAMS, long, value_name = "STREAM")]
    #[arg(value_hint = ValueHint::Other)]
    pub select: Vec<String>,
    /// Read only rows for which this SQL is true; repeatable
    #[arg(help_heading = PARAMS, long = "where", value_name = "STREAM: SQL")]
    #[arg(value_hint = ValueHint::Other)]
    pub conditions: Vec<String>,
    /// Read from this many days before the day of the run
    #[arg(help_heading = PARAMS, long, value_name = "COUNT", value_parser = days)]
    #[arg(allow_negative_numbers = true)]
    pub days: Option<u32>,
    /// Set `${KEY}` of meltano.yml; repeatable
    #[arg(help_heading = PARAMS, long = "input", short = 'i', value_name = "KEY=VALUE")]
    #[arg(value_hint = ValueHint::Other)]
    pub inputs: Vec<String>,
    /// Read these options from a JSON file
    #[arg(help_heading = PARAMS, long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Print these options as JSON, and run nothing
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
    /// Read everything, and ignore the state
    #[arg(long)]
    pub full_refresh: bool,
    /// How often to retry after exit code 75
    #[arg(long, value_name = "COUNT", default_value_t = HowArgs::RETRIES, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub retries: usize,
    /// Fail at this warning, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Show every line of the plugins' logs
    #[arg(long, short)]
    pub verbose: bool,
}

impl HowArgs {
    /// How often a step is retried, unless a flag says it.
    pub const RETRIES: usize = 3;

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
    /// Start without a state, and keep none
    #[arg(long)]
    pub no_state_update: bool,
    /// Flags of Meltano
    #[command(flatten)]
    pub meltano: MeltanoFlags,
    /// End the run after this time
    #[arg(long, value_name = "SECONDS", hide = true, value_parser = meltano::seconds)]
    pub timeout: Option<u64>,
    /// How many steps may run at once
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub parallel: usize,
    /// Show what the run would do, and run nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the record of the run as JSON
    #[arg(long)]
    pub json: bool,
}

/// Which days to list, or to remove.
#[derive(Debug, Args)]
pub struct DaysArgs {
    /// Jobs, or plugins from a tap to a target
    #[arg(required = true, value_name = PIPELINE, add = complete::pipelines())]
    pub words: Vec<String>,
    /// Remove this day, YYYY-MM-DD; repeatable
    #[arg(long, value_name = "DAY")]
    pub delete: Vec<String>,
    /// List what `--delete` would remove, and remove nothing
    #[arg(long, requires = "delete")]
    pub preview: bool,
}

/// Which runs to list.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// List this many of the last runs
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub count: usize,
    /// List only runs of this job, or of these plugins
    #[arg(long, value_name = "JOB", add = complete::jobs())]
    pub job: Option<String>,
    /// List only runs that failed, died, or wait for a failed day
    #[arg(long)]
    pub failed: bool,
}

/// What to plan.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// What to plan
    #[command(flatten)]
    pub what: WhatArgs,
    /// Read everything, and ignore the state
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
    #[arg(required = true, value_name = "JOB", add = complete::pipelines())]
    pub words: Vec<String>,
    /// The first day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub from: String,
    /// The last day, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    pub to: String,
    /// Which steps to run: see below
    #[arg(long, value_enum, default_value_t = OnlyArg::Missing, hide_possible_values = true)]
    pub only: OnlyArg,
    /// How many days may run at once
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = count)]
    #[arg(allow_negative_numbers = true)]
    pub parallel: usize,
    /// List what would run, and run nothing
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
    /// Id of the run, or its first characters, or `last`
    #[arg(add = complete::runs())]
    pub run: String,
    /// Begin with this step: its number, from 1, or its plugins
    #[arg(long, value_name = "STEP", allow_negative_numbers = true)]
    pub from: Option<String>,
    /// Read everything, and ignore the state
    #[arg(long)]
    pub full_refresh: bool,
    /// Fail at this warning, or at `all`; repeatable
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub deny_warnings: Vec<String>,
    /// Print the record of the run as JSON
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
            state_id_suffix: record.state_id_suffix.clone(),
            schedule: record.schedule.clone(),
            no_state_update: record.no_state_update,
            state_strategy: record.state_strategy,
            retries: 3,
            deny: self.deny_warnings.clone(),
            params,
            ..Options::default()
        })
    }
}

/// Which steps to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnlyArg {
    /// Steps not done, no longer there, or made from changed data
    #[default]
    Missing,
    /// Steps that failed
    Failed,
    /// Steps that failed, and the steps that write the day they read
    FailedAndBefore,
    /// Steps that ran before, and steps that read what they write
    Again,
    /// Steps whose day lies under an older day, loaded later
    Under,
    /// All steps
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

/// Returns the text at the end of the help of `chorus backfill`: the values of `--only`, and the
/// examples.
fn below_backfill() -> String {
    let mut text = "Values of --only:".to_owned();
    for value in OnlyArg::value_variants().iter().filter_map(ValueEnum::to_possible_value) {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = write!(text, "\n  {:<18}{help}", value.get_name());
    }
    text + "\n\n" + &below(examples::BACKFILL)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn lines(command: &clap::Command) -> Vec<String> {
        let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = below.lines().filter(|line| line.starts_with("  chorus ")).map(str::to_owned);
        own.chain(command.get_subcommands().flat_map(lines)).collect()
    }

    #[test]
    fn every_example_is_read_by_the_definition() {
        definition().debug_assert();
        let mut command = definition();
        command.build();
        let lines = lines(&command);
        assert!(lines.len() > 20, "{lines:?}");
        for line in lines {
            let words = line.split_whitespace().take_while(|word| !["<", ">"].contains(word));
            let matches = definition().try_get_matches_from(words);
            let read = matches.and_then(|matches| Cli::from_arg_matches(&matches));
            assert!(read.is_ok(), "{line}: {read:?}");
        }
    }
}
