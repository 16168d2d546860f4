//! `chorus plan`: what a run would do, without doing it.

use std::fmt::Write;

use project::{Job, Project};
use runner::options::Options;
use runner::plan::{self, JobPlan, StreamPlan};
use serde_json::Value;
use singer::Result;
use singer::error::printable;
use singer::output::print;

use crate::cli::PlanArgs;
use crate::commands::{table, what};

/// Prints what the steps would read and write. The rule: what would make the run fail makes its
/// plan fail, behind all that there is to tell.
pub fn plan(project: &Project, args: &PlanArgs, options: &Options) -> Result<()> {
    let found = what::job(project, &args.what, options)?;
    if args.what.params.print_params {
        return what::print_params(&options.params);
    }
    job(project, &found, options, args.json)
}

/// Prints the plan of a job.
pub fn job(project: &Project, job: &Job, options: &Options, as_json: bool) -> Result<()> {
    let (plan, failure) = plan::of_job(project, job, options, &|why| tracing::info!("{why}"))?;
    let json = || serde_json::to_value(&plan).unwrap_or_default().to_string() + "\n";
    print(&if as_json { json() } else { text(&plan) })?;
    failure.map_or(Ok(()), Err)
}

fn text(plan: &JobPlan) -> String {
    let mut text = String::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "step {}: {}", at + 1, printable(&step.step));
        if let Some(state) = &step.state {
            let used = if state.used { "used" } else { "none: everything is read" };
            let _ = writeln!(text, "state: {} ({used})", printable(&state.id));
        }
        if let Some(command) = &step.command {
            let _ = writeln!(text, "command: {}", printable(command));
        }
        for plugin in &step.plugins {
            let path = plugin.executable.to_string_lossy();
            let (path, names) =
                (printable(&path), plugin.settings.iter().map(|name| printable(name)));
            let _ = writeln!(text, "{}: {path}, settings: {}", plugin.role, list(names));
        }
        if let Some(writes) = &step.writes {
            let _ = writeln!(text, "writes: {}", printable(writes));
        }
        if step.command.is_none() {
            text += &streams(&step.streams);
        }
        for (verb, streams) in [("read", &step.reads), ("load", &step.loads)] {
            for stream in streams {
                let _ = writeln!(text, "{verb} {}:", word(&stream["stream"]));
                let steps = stream["steps"].as_array().into_iter().flatten();
                let mut lines: Vec<String> =
                    steps.map(|step| format!("  {}", word(step))).collect();
                if lines.is_empty() {
                    lines.push("  nothing to do".to_owned());
                }
                let _ = writeln!(text, "{}", lines.join("\n"));
            }
        }
        for warning in &step.warnings {
            let _ = writeln!(text, "warning: {}", printable(warning));
        }
        text.push('\n');
    }
    text
}

fn streams(streams: &[StreamPlan]) -> String {
    let header = ["stream", "rows (estimate)", "columns", "keys", "replication"];
    let rows = streams.iter().map(|stream| {
        let method = [&stream.replication_method, &stream.replication_key];
        let method: Vec<String> =
            method.into_iter().filter(|value| !value.is_null()).map(word).collect();
        let rows = if stream.rows.is_null() { "-".into() } else { word(&stream.rows) };
        let keys = list(stream.keys.as_array().into_iter().flatten().map(word));
        let columns = stream.columns.len().to_string();
        vec![word(&stream.stream), rows, columns, keys, method.join(" ")]
    });
    table::render(&header, rows.collect(), &[1, 2])
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| printable(text).into_owned())
}

fn list(words: impl Iterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<String> = words.map(|word| word.as_ref().to_owned()).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
