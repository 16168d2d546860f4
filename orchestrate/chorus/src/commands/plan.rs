//! `chorus plan`: what a run would do, without doing it.

use std::fmt::Write;

use project::{Job, Plugin, Project, Step};
use runner::lake_paths::{self, day_written};
use runner::options::Options;
use runner::plugin_plan::{self, PluginPlan};
use runner::prepare;
use runner::selection::{Selected, selected};
use runner::state_names::state_id;
use runner::states;
use runner::store::Store;
use serde_json::{Value, json};
use singer::error::printable;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::PlanArgs;
use crate::commands::table;

/// Prints what the steps would read and write. The rule: what would make the run fail makes its
/// plan fail, behind all that there is to tell.
pub fn plan(project: &Project, args: &PlanArgs, options: &Options) -> Result<()> {
    let job = Job::find(project, &args.words)?;
    let mut failure = None;
    let mut steps = Vec::new();
    for (at, step) in job.steps.iter().enumerate() {
        let mut findings = Findings::default();
        steps.push(step_plan(project, step, at > 0, options, &mut findings)?);
        failure = failure.or(findings.failure.map(|failure| failure.with("step", &step.name)));
    }
    let plan = json!({
        "job": job.name,
        "environment": project.environment_name(),
        "datestamp": options.datestamp.map(|day| day.to_string()),
        "steps": steps,
    });
    print(&if args.json { plan.to_string() + "\n" } else { text(&plan) })?;
    failure.map_or(Ok(()), Err)
}

/// What there is to say of a step.
#[derive(Default)]
struct Findings {
    warnings: Vec<String>,
    /// The first thing that would make a run fail.
    failure: Option<Error>,
}

impl Findings {
    fn warn(&mut self, text: String) {
        // A plugin warns of the same when it is asked again.
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    fn fail(&mut self, text: String, failure: Error) {
        self.warn(text);
        self.failure.get_or_insert(failure);
    }
}

fn step_plan(
    project: &Project,
    step: &Step,
    follows: bool,
    options: &Options,
    findings: &mut Findings,
) -> Result<Value> {
    let id = state_id(project, options, step);
    let start = states::start(project, &Store::new(&project.root), options, &id, step)?;
    if let Some(why) = &start.why {
        log::info!("{why}");
    }
    let state = start.given;
    for plugin in &step.plugins {
        if !plugin.executable.is_file() {
            let path = plugin.executable.display();
            let missing = std::io::ErrorKind::NotFound.into();
            let failure = prepare::program(project, plugin, vec![]).not_started(missing);
            findings.fail(format!("{}: there is no program {path}", plugin.name), failure);
        }
        if !plugin.missing.names().is_empty() {
            let names: Vec<&str> = plugin.missing.names().into_iter().collect();
            findings.warn(format!("{}: no value for {}", plugin.name, names.join(", ")));
        }
    }
    if let Err(failure) = lake_paths::check(project, step, options.datestamp) {
        findings.fail(one_line(&failure), failure);
    }
    let [mut streams, mut reads, mut loads] = [const { Vec::new() }; 3];
    match prepare::catalog(project, step.tap()) {
        Ok((catalog, more)) => {
            for warning in more {
                findings.warn(format!("{}: {warning}", step.tap().name));
            }
            streams = selected(&catalog).iter().map(stream_plan).collect();
            let planned = plugin_plan::of_tap(project, step, state.as_ref(), Some(&catalog));
            let planned = plan_or_failure(step.tap(), planned, findings);
            let target = plugin_plan::of_target(project, step, &planned.schemas);
            loads = plan_or_failure(step.target(), target, findings).streams;
            reads = planned.streams;
        }
        Err(failure) => {
            let text = format!("{}: {}", step.tap().name, one_line(&failure));
            if failure.kind() == ErrorKind::NoInput && follows {
                findings.warn(text + "; a step before this one may make it");
            } else {
                findings.fail(text, failure);
            }
        }
    }
    let bookmarks = state.as_ref().map(|state| &state["bookmarks"]);
    let used = bookmarks.is_some_and(|all| all.as_object().is_none_or(|all| !all.is_empty()));
    Ok(json!({
        "step": step.name,
        "state": { "id": id, "used": used },
        "plugins": step.plugins.iter().map(plugin_plan).collect::<Vec<_>>(),
        "streams": streams,
        "writes": writes(project, step),
        "reads": reads,
        "loads": loads,
        "warnings": findings.warnings,
    }))
}

/// Takes over what a plugin has warned of, or that it cannot tell.
fn plan_or_failure(
    plugin: &Plugin,
    planned: Result<PluginPlan>,
    findings: &mut Findings,
) -> PluginPlan {
    match planned {
        Ok(planned) => {
            for warning in &planned.warnings {
                findings.warn(format!("{}: {warning}", plugin.name));
            }
            planned
        }
        Err(failure) => {
            findings.fail(one_line(&failure), failure);
            PluginPlan::default()
        }
    }
}

/// Tells where a step writes: the folder of a day, or the tables of a schema.
fn writes(project: &Project, step: &Step) -> Option<String> {
    if let Some((root, source, day)) = day_written(project, step) {
        let source = lake::name::encode(&source);
        return Some(format!("{}/source={source}/extracted_at={day}/", root.display()));
    }
    let schema = step.target().config.get("default_target_schema")?.as_str()?;
    Some(format!("tables of schema {schema}"))
}

/// A secret may stand in any setting: their names are told, not their values.
fn plugin_plan(plugin: &Plugin) -> Value {
    json!({
        "plugin": plugin.name,
        "role": plugin.role.to_string(),
        "executable": plugin.executable,
        "settings": plugin.config.keys().collect::<Vec<_>>(),
    })
}

pub fn one_line(failure: &Error) -> String {
    let rest: Vec<String> =
        failure.context_pairs().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{} ({})", failure.message(), rest.join("; "))
}

fn stream_plan(stream: &Selected<'_>) -> Value {
    json!({
        "stream": stream.entry["stream"],
        "columns": stream.columns,
        "keys": stream.keys(),
        "replication_method": stream.value_of("replication-method"),
        "replication_key": stream.value_of("replication-key"),
        "rows": stream.value_of("row-count"),
    })
}

fn text(plan: &Value) -> String {
    let mut text = String::new();
    for (at, step) in plan["steps"].as_array().into_iter().flatten().enumerate() {
        let _ = writeln!(text, "step {}: {}", at + 1, word(&step["step"]));
        let used = if step["state"]["used"] == true { "used" } else { "none: all is read" };
        let _ = writeln!(text, "state: {} ({used})", word(&step["state"]["id"]));
        for plugin in step["plugins"].as_array().into_iter().flatten() {
            let (role, path) = (word(&plugin["role"]), word(&plugin["executable"]));
            let _ = writeln!(text, "{role}: {path}, settings: {}", list(&plugin["settings"]));
        }
        if !step["writes"].is_null() {
            let _ = writeln!(text, "writes: {}", word(&step["writes"]));
        }
        let header = ["stream", "rows (estimate)", "columns", "keys", "replication"];
        let rows = step["streams"].as_array().into_iter().flatten().map(|stream| {
            let method = [&stream["replication_method"], &stream["replication_key"]];
            let method: Vec<String> =
                method.into_iter().filter(|value| !value.is_null()).map(word).collect();
            let columns = stream["columns"].as_array().map_or(0, Vec::len).to_string();
            let rows = if stream["rows"].is_null() { "-".into() } else { word(&stream["rows"]) };
            vec![word(&stream["stream"]), rows, columns, list(&stream["keys"]), method.join(" ")]
        });
        text += &table::render(&header, rows.collect(), &[1, 2]);
        for (verb, streams) in [("read", &step["reads"]), ("load", &step["loads"])] {
            for stream in streams.as_array().into_iter().flatten() {
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
        for warning in step["warnings"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "warning: {}", word(warning));
        }
        text.push('\n');
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| printable(text).into_owned())
}

fn list(values: &Value) -> String {
    let words: Vec<String> = values.as_array().into_iter().flatten().map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
