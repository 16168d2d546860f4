//! Runs the taps and targets of a `meltano.yml`.

mod awaited;
mod backfill;
mod before;
mod capture;
mod catalog_rules;
mod check;
mod cli;
mod commands;
mod day;
mod exit;
mod guard;
mod history;
mod life;
mod observe;
mod order;
mod pipeline;
mod prepare;
mod progress;
mod project;
mod run;
mod schedule;
mod signals;
mod states;
mod store;
mod turn;
mod warnings;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use before::DAY_VARIABLES;
use clap::Parser;
use cli::{Cli, Command};
use commands::run::datestamp;
use lake::Datestamp;
use project::Project;
use serde_json::Value;
use singer::{About, Error, ErrorKind, Result};

const ABOUT: About = About {
    name: "chorus",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs the taps and targets of a meltano.yml",
    capabilities: &[],
};

fn main() -> ExitCode {
    if guard::is_wanted() {
        return guard::main();
    }
    singer::log::start(&ABOUT);
    singer::secret::keep_from_dumps();
    let done = match Cli::try_parse() {
        Ok(cli) => execute(cli),
        Err(failure) => told(&failure),
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
fn told(failure: &clap::Error) -> Result<()> {
    if failure.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = failure.print();
        return Err(Error::new(ErrorKind::Usage, "cannot do nothing: a command is missing"));
    }
    singer::output::print(&singer::args::told(failure)?)
}

/// Has warnings of these codes end a run.
fn deny(codes: &[String]) -> Result<()> {
    singer::warning::deny(codes.iter().map(String::as_str))
}

fn execute(cli: Cli) -> Result<()> {
    let Cli { project: folder, environment, command } = cli;
    let folder = folder.unwrap_or(PathBuf::from("."));
    let open_with = |day: Option<Datestamp>, more: &Value| {
        let mut variables = Vec::new();
        for (name, value) in more.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            variables.push((name.clone(), text));
        }
        for name in DAY_VARIABLES {
            variables.extend(day.map(|day| (name.to_owned(), day.to_string())));
        }
        Project::open(&folder, environment.as_deref(), &variables)
    };
    let open = |day: Option<Datestamp>| open_with(day, &Value::Null);
    let of_day = |day: Datestamp| open(Some(day));
    match command {
        Command::Run(args) => {
            deny(&args.deny_warnings)?;
            let day = datestamp(args.datestamp.as_deref())?;
            commands::run::run(&open(day)?, &args)
        }
        Command::Plan(args) => {
            let day = datestamp(args.datestamp.as_deref())?;
            let (full_refresh, state_id) = (args.full_refresh, args.state_id.clone());
            let options =
                run::Options { datestamp: day, full_refresh, state_id, ..run::Options::default() };
            commands::plan::plan(&open(day)?, &args, &options)
        }
        Command::Backfill(args) => {
            deny(&args.deny_warnings)?;
            commands::backfill::run(&args, &of_day)
        }
        Command::Status { words } => commands::runs::status(&open(None)?, &words, &of_day),
        Command::Runs { count } => commands::runs::runs(&open(None)?, count),
        Command::Logs { run } => commands::runs::logs(&open(None)?, &run),
        Command::Rerun(args) => commands::runs::rerun(&open(None)?, &args, &of_day),
        Command::Check { plugin, records } => {
            commands::check::check(&open(datestamp(None)?)?, &plugin, records)
        }
        Command::Schedule { names, deny_warnings } => {
            let of_schedule = |day: Datestamp, env: &Value| open_with(Some(day), env);
            deny(&deny_warnings)?;
            commands::schedule::schedule(&open(None)?, &names, &of_schedule, &deny_warnings)
        }
        Command::Doctor => {
            let day = datestamp(None)?;
            commands::doctor::doctor(&open(day)?, day)
        }
        Command::State { command } => commands::state::state(&open(None)?, command),
    }
}
