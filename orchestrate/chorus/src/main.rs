//! Runs the taps and targets of a `meltano.yml`.

mod catalog_rules;
mod cli;
mod commands;
mod observe;
mod pipeline;
mod prepare;
mod progress;
mod project;
mod run;
mod signals;
mod store;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use project::Project;
use singer::{About, Result};

const ABOUT: About = About {
    name: "chorus",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs the taps and targets of a meltano.yml",
    capabilities: &[],
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(failure) => {
            let _ = failure.print();
            return ExitCode::from(if failure.use_stderr() { 64 } else { 0 });
        }
    };
    singer::log::start(&ABOUT);
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            singer::log::failure(ABOUT.name, &failure);
            ExitCode::from(failure.kind().exit_code())
        }
    }
}

fn execute(cli: Cli) -> Result<()> {
    let day = match &cli.command {
        Command::Run(args) => commands::run::datestamp(args.datestamp.as_deref())?,
        Command::State { .. } => None,
    };
    let day = day.map(|day| day.to_string());
    let mut variables = Vec::new();
    if let Some(day) = &day {
        variables.extend(commands::run::DAY_VARIABLES.map(|name| (name, day.as_str())));
    }
    let folder = cli.project.as_deref().unwrap_or(Path::new("."));
    let project = Project::open(folder, cli.environment.as_deref(), &variables)?;
    match cli.command {
        Command::Run(args) => commands::run::run(&project, &args),
        Command::State { command } => commands::state::state(&project, command),
    }
}
