//! Runs the taps and targets of a `meltano.yml`.

mod cli;
mod commands;
mod progress;
mod signals;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use cli::{Cli, Command};
use commands::run::datestamp;
use disk::Datestamp;
use project::{Context, Opening, Project, Warnings, spelled};
use runner::options::Options;
use serde_json::Value;
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
    let done = match Cli::try_parse() {
        Ok(cli) => execute(cli),
        Err(failure) => help_or_usage(&failure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            singer::log::failure(ABOUT.name, &failure);
            let signal = failure.context("signal").and_then(|signal| signal.parse::<u8>().ok());
            ExitCode::from(signal.map_or(failure.kind().exit_code(), |signal| 128 + signal))
        }
    }
}

/// Prints the help that was asked for, or that a command without its words needs.
fn help_or_usage(failure: &clap::Error) -> Result<()> {
    if failure.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = failure.print();
        return Err(Error::new(ErrorKind::Usage, "cannot do nothing: a command is missing"));
    }
    singer::output::print(&singer::args::told(failure)?)
}

fn execute(cli: Cli) -> Result<()> {
    let Cli { project: folder, environment, command } = cli;
    let folder = folder.unwrap_or(PathBuf::from("."));
    let context = Arc::new(Context::new(Warnings::new(|warning| {
        singer::warning::log(warning.code, module_path!(), format_args!("{}", warning.text));
    })));
    let deny = |codes: &[String]| context.warnings.deny(codes);
    let open_with = |day: Option<Datestamp>, more: &Value| {
        let more = more.as_object().into_iter().flatten();
        let variables: Vec<(String, String)> =
            more.filter_map(|(name, value)| Some((name.clone(), spelled::text(value)?))).collect();
        let (folder, environment) = (folder.as_path(), environment.as_deref());
        let opening = Opening { folder, environment, variables: &variables, context: &context };
        match day {
            Some(day) => Project::open_for(&opening, day),
            None => Project::open(&opening),
        }
    };
    let open = |day: Option<Datestamp>| open_with(day, &Value::Null);
    let of_day = |day: Datestamp| open(Some(day));
    // The day that is given, or else the one that the project names: it is the one of the run.
    let of_run = |given: Option<&str>| {
        let day = datestamp(given)?;
        let project = open(day)?;
        let named = if day.is_none() { project.day()? } else { None };
        Ok::<_, Error>(match named {
            Some(named) => (of_day(named)?, Some(named)),
            None => (project, day),
        })
    };
    match command {
        Command::Run(args) => {
            deny(&args.deny_warnings)?;
            let (project, day) = of_run(args.datestamp.as_deref())?;
            commands::run::run(&project, day, &args)
        }
        Command::Plan(args) => {
            let (project, day) = of_run(args.datestamp.as_deref())?;
            let (full_refresh, state_id) = (args.full_refresh, args.state_id.clone());
            let options = Options { datestamp: day, full_refresh, state_id, ..Options::default() };
            commands::plan::plan(&project, &args, &options)
        }
        Command::Backfill(args) => {
            deny(&args.deny_warnings)?;
            commands::backfill::run(&args, &of_day, &context.warnings)
        }
        Command::Status { words } => commands::runs::status(&open(None)?, &words, &of_day),
        Command::Runs(args) => commands::runs::runs(&open(None)?, &args),
        Command::Logs { run } => commands::runs::logs(&open(None)?, &run),
        Command::Rerun(args) => {
            deny(&args.deny_warnings)?;
            commands::runs::rerun(&open(None)?, &args, &of_day)
        }
        Command::Check { plugin, records } => {
            commands::check::check(&of_run(None)?.0, &plugin, records)
        }
        Command::Schedule { names, deny_warnings } => {
            let of_schedule = |day: Datestamp, env: &Value| open_with(Some(day), env);
            deny(&deny_warnings)?;
            commands::schedule::schedule(&open(None)?, &names, &of_schedule, &deny_warnings)
        }
        Command::Doctor => {
            let (project, day) = of_run(None)?;
            commands::doctor::doctor(&project, day)
        }
        Command::State { command } => commands::state::state(&open(None)?, command),
    }
}
