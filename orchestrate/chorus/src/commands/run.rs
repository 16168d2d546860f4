//! `chorus run`: a job, or a pipeline named on the command line.

use std::fmt::Write;

use lake::Datestamp;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::RunArgs;
use crate::project::{Job, Plugin, Project};
use crate::run::{Options, Run, StepEnd, state_id};
use crate::signals::Signals;
use crate::store::Store;

/// The variables that name the day of a run, the first one wins.
pub const DAY_VARIABLES: [&str; 2] = ["DATESTAMP", "EXTRACTED_AT"];

/// Returns the day that a command or its environment names; never today.
pub fn datestamp(given: Option<&str>) -> Result<Option<Datestamp>> {
    let variable = |name: &&str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let text = given.map(str::to_owned).or_else(|| DAY_VARIABLES.iter().find_map(variable));
    text.map(|text| text.parse()).transpose()
}

/// Runs what the command names; tells how it ended.
pub fn run(project: &Project, args: &RunArgs) -> Result<()> {
    let options = Options {
        datestamp: datestamp(args.datestamp.as_deref())?,
        full_refresh: args.full_refresh,
        state_id: args.state_id.clone(),
        retries: args.retries,
        verbose: args.verbose,
    };
    let job = Job::find(project, &args.words)?;
    for step in &job.steps {
        step.plugins.iter().try_for_each(check_variables)?;
    }
    if args.state_id.is_some() && job.steps.len() > 1 {
        return Err(Error::new(ErrorKind::Usage, "cannot use one state for several steps")
            .hint("leave out --state-id, or name one tap and one target"));
    }
    if args.dry_run {
        return print(&plan(project, &job, &options)?);
    }
    let signals = Signals::note();
    let mut run = Run::begin(project, &job, &options, &signals)?;
    let mut ends = run.steps(&job.steps)?;
    let record = run.end(&ends, job.steps.len())?;
    let text = if args.json { record.to_string() + "\n" } else { summary(&ends) };
    print(&text)?;
    ends.pop().and_then(|end| end.failure).map_or(Ok(()), Err)
}

/// A setting that lacks its variable is left out; a day that lacks it must not be.
fn check_variables(plugin: &Plugin) -> Result<()> {
    let lacking: Vec<&str> = plugin.missing.iter().map(String::as_str).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    if lacking.iter().any(|name| DAY_VARIABLES.contains(name)) {
        return Err(Error::new(ErrorKind::Usage, "cannot run without a day")
            .with("plugin", &plugin.name)
            .hint("give --datestamp YYYY-MM-DD, or set DATESTAMP"));
    }
    let names = lacking.join(", ");
    log::warn!("{}: settings that want {names} are left out: no such variable is set", plugin.name);
    Ok(())
}

/// Says what a run would do.
fn plan(project: &Project, job: &Job, options: &Options) -> Result<String> {
    let store = Store::new(&project.root);
    let mut text = String::new();
    for (at, step) in job.steps.iter().enumerate() {
        let id = state_id(project, options, step);
        let from = match store.state(&id)? {
            Some(_) if options.full_refresh => "there, and not used",
            Some(_) => "there",
            None => "none: everything is read",
        };
        let _ = writeln!(text, "step {}: {}", at + 1, step.name);
        let _ = writeln!(text, "  state {id}: {from}");
        for plugin in &step.plugins {
            let program = plugin.executable.display();
            let found = if plugin.executable.is_file() { "" } else { " (not found)" };
            let _ = writeln!(text, "  {} {}: {program}{found}", plugin.role, plugin.name);
            let names: Vec<&str> = plugin.config.keys().map(String::as_str).collect();
            let _ = writeln!(text, "    settings: {}", names.join(", "));
        }
    }
    Ok(text)
}

/// The table at the end of a run.
fn summary(ends: &[StepEnd]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::TableStyle::new());
    table.set_header(["step", "stream", "rows", "seconds", "state"]);
    for end in ends {
        let ended = match (&end.failure, end.state.1) {
            (Some(_), _) => "failed",
            (None, true) => "kept",
            (None, false) => "-",
        };
        if end.observed.streams.is_empty() {
            let seconds = format!("{:.1}", end.seconds);
            table.add_row([end.name.as_str(), "-", "0", seconds.as_str(), ended]);
        }
        for stream in &end.observed.streams {
            let seconds = stream.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
            let rows = stream.rows.to_string();
            table.add_row([end.name.as_str(), &stream.name, &rows, &seconds, ended]);
        }
    }
    for column in [2, 3] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}
