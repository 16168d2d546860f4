//! Runs the taps and targets of a `meltano.yml`.

mod cli;
mod cli_state;
mod commands;
mod complete;
mod examples;
mod progress;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::FromArgMatches;
use cli::{Cli, Command, WhatArgs};
use commands::run::datestamp;
use disk::Datestamp;
use project::{Context, Opening, Project, Warnings, spelled};
use runner::options::Options;
use serde_json::Value;
use singer::generate::{self, Kind};
use singer::{About, Error, ErrorKind, Result};

const ABOUT: About = About {
    name: "chorus",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs the taps and targets of a meltano.yml",
    capabilities: &[],
};

fn main() -> ExitCode {
    if runner::guard::is_wanted() {
        return runner::guard::main();
    }
    singer::log::start(&ABOUT);
    singer::secret::keep_from_dumps();
    let done = match complete::answer(cli::definition) {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => read().and_then(|cli| cli.map_or(Ok(ExitCode::SUCCESS), execute)),
        Err(failure) => help_or_usage(&failure).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            let failure = timed(failure);
            singer::log::failure(ABOUT.name, &failure);
            let signal = failure.context("signal").and_then(|signal| signal.parse::<u8>().ok());
            ExitCode::from(signal.map_or(failure.kind().exit_code(), |signal| 128 + signal))
        }
    }
}

/// Says when a command has failed, as its output is kept by schedulers; a wrong command line needs
/// no time.
fn timed(failure: Error) -> Error {
    match failure.kind() {
        ErrorKind::Usage => failure,
        _ => failure.with("time", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ")),
    }
}

/// Reads the command line; `None` when it only asked for a text, which is printed.
fn read() -> Result<Option<Cli>> {
    let definition = cli::definition();
    let mut matches = match definition.clone().try_get_matches() {
        Ok(matches) => matches,
        Err(failure) => return help_or_usage(&failure).map(|()| None),
    };
    let kind = matches.remove_one::<Kind>("generate");
    let folder = matches.remove_one::<PathBuf>("to");
    let cli = Cli::from_arg_matches(&matches).map_err(|failure| misread(&failure))?;
    let Some(kind) = kind else { return Ok(Some(cli)) };
    if cli.command.is_some() {
        return Err(Error::new(ErrorKind::Usage, "cannot generate and run a command at once")
            .hint("`chorus --generate man --to FOLDER` writes the pages of all commands"));
    }
    let files = match kind {
        Kind::Man => generate::pages(definition, &[singer::man::exit_status()]),
        Kind::Complete(shell) => vec![complete::script(shell)?],
    };
    generate::write(&files, folder.as_deref()).map(|()| None)
}

fn misread(failure: &clap::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot read the command line").caused_by(failure.to_string())
}

/// Prints the help that was asked for, or that a command without its words needs.
fn help_or_usage(failure: &clap::Error) -> Result<()> {
    if failure.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = failure.print();
        return Err(Error::new(ErrorKind::Usage, "no command given"));
    }
    singer::output::print(&singer::args::told(failure)?)
}

/// Opens the project that the command line names.
struct Opener {
    folder: PathBuf,
    environment: Option<String>,
    context: Arc<Context>,
}

impl Opener {
    /// Opens it for a day, with variables of the run.
    fn open_with(&self, day: Option<Datestamp>, more: &Value) -> Result<Project> {
        let more = more.as_object().into_iter().flatten();
        let variables: Vec<(String, String)> =
            more.filter_map(|(name, value)| Some((name.clone(), spelled::text(value)?))).collect();
        let (folder, environment) = (self.folder.as_path(), self.environment.as_deref());
        let opening =
            Opening { folder, environment, variables: &variables, context: &self.context };
        match day {
            Some(day) => Project::open_for(&opening, day),
            None => Project::open(&opening),
        }
    }

    fn open(&self) -> Result<Project> {
        self.open_with(None, &Value::Null)
    }

    fn of_day(&self, day: Datestamp) -> Result<Project> {
        self.open_with(Some(day), &Value::Null)
    }

    /// Opens it for the day that is given, or else for the one that the project names: it is the
    /// one of the run.
    fn of_run(&self, given: Option<&str>, more: &Value) -> Result<(Project, Option<Datestamp>)> {
        let day = datestamp(given)?;
        let project = self.open_with(day, more)?;
        let named = if day.is_none() { project.day()? } else { None };
        Ok(match named {
            Some(named) => (self.open_with(Some(named), more)?, Some(named)),
            None => (project, day),
        })
    }

    /// Opens it for what is to be run or planned, and completes how.
    fn of_what(&self, what: &WhatArgs, options: Options) -> Result<(Project, Options)> {
        let params = what.params.read()?;
        let (project, datestamp) = self.of_run(what.datestamp.as_deref(), &params.variables())?;
        let (state_id, state_id_suffix) = (what.state_id.clone(), what.state_id_suffix.clone());
        Ok((project, Options { datestamp, state_id, state_id_suffix, params, ..options }))
    }

    fn deny(&self, codes: &[String]) -> Result<()> {
        self.context.warnings.deny(codes)
    }
}

fn execute(cli: Cli) -> Result<ExitCode> {
    let Cli { project: folder, environment, command } = cli;
    let Some(command) = command else {
        return Err(Error::new(ErrorKind::Usage, "cannot do nothing: a command is missing")
            .hint("see --help"));
    };
    let folder = folder.unwrap_or(PathBuf::from("."));
    let context = Arc::new(Context::new(Warnings::new(|warning| {
        singer::warning::log(warning.code, module_path!(), format_args!("{}", warning.text));
    })));
    let opener = Opener { folder, environment, context };
    let of_day = |day: Datestamp| opener.of_day(day);
    let done = match command {
        // Its exit code is that of the plugin.
        Command::Invoke(args) => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            return commands::invoke::invoke(&project, &args);
        }
        Command::Run(args) => {
            opener.deny(&args.how.deny_warnings)?;
            let options = Options { parallel: args.parallel, ..args.how.options() };
            let (project, options) = opener.of_what(&args.what, options)?;
            commands::run::run(&project, &args, &options)
        }
        Command::Plan(args) => {
            let full_refresh = args.full_refresh;
            let options = Options { full_refresh, ..Options::default() };
            let (project, options) = opener.of_what(&args.what, options)?;
            commands::plan::plan(&project, &args, &options)
        }
        Command::Backfill(args) => {
            opener.deny(&args.how.deny_warnings)?;
            commands::backfill::run(&args, &of_day, &opener.context.warnings)
        }
        Command::Days(args) => commands::days::run(&args, &of_day, &opener.context.warnings),
        Command::Status { words } => commands::runs::status(&opener.open()?, &words, &of_day),
        Command::Runs(args) => commands::runs::runs(&opener.open()?, &args),
        Command::Logs { run } => commands::runs::logs(&opener.open()?, &run),
        Command::Rerun(args) => {
            opener.deny(&args.deny_warnings)?;
            let open_with = |day: Option<Datestamp>, more: &Value| opener.open_with(day, more);
            commands::runs::rerun(&opener.open()?, &args, &open_with)
        }
        Command::Check { plugin, records } => {
            let (project, _) = opener.of_run(None, &Value::Null)?;
            commands::check::check(&project, &plugin, records)
        }
        Command::Install(args) => commands::install::install(&opener.open()?, &args),
        Command::Schedule { names, deny_warnings } => {
            opener.deny(&deny_warnings)?;
            let of_schedule = |day: Datestamp, env: &Value| opener.open_with(Some(day), env);
            commands::schedule::schedule(&opener.open()?, &names, &of_schedule, &deny_warnings)
        }
        Command::Doctor { words } => {
            let (project, day) = opener.of_run(None, &Value::Null)?;
            commands::doctor::doctor(&project, day, &words)
        }
        Command::State { command } => commands::state::state(&opener.open()?, command),
    };
    done.map(|()| ExitCode::SUCCESS)
}
