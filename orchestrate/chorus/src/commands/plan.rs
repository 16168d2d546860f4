//! `chorus plan`: what a run would do, without doing it.

use std::fmt::Write;

use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, Result};

use crate::cli::PlanArgs;
use crate::commands::table;
use crate::day::{self, day_written};
use crate::prepare;
use crate::project::{Job, Plugin, Project, Step};
use crate::run::Options;
use crate::states::{self, state_id};
use crate::store::Store;

/// Prints what the steps would read and write.
pub fn plan(project: &Project, args: &PlanArgs, options: &Options) -> Result<()> {
    let job = Job::find(project, &args.words)?;
    let steps: Vec<Value> =
        job.steps.iter().map(|step| step_plan(project, step, options)).collect::<Result<_>>()?;
    let plan = json!({
        "job": job.name,
        "environment": project.environment_name(),
        "datestamp": options.datestamp.map(|day| day.to_string()),
        "steps": steps,
    });
    print(&if args.json { plan.to_string() + "\n" } else { text(&plan) })
}

fn step_plan(project: &Project, step: &Step, options: &Options) -> Result<Value> {
    let id = state_id(project, options, step);
    let state = states::known(project, &Store::new(&project.root), &id, step)?;
    let mut warnings = Vec::new();
    for plugin in &step.plugins {
        if !plugin.executable.is_file() {
            let path = plugin.executable.display();
            warnings.push(format!("{}: there is no program {path}", plugin.name));
        }
        if !plugin.missing.is_empty() {
            let names: Vec<&str> = plugin.missing.iter().map(String::as_str).collect();
            warnings.push(format!("{}: no value for {}", plugin.name, names.join(", ")));
        }
    }
    if let Err(failure) = day::check(step, options.datestamp) {
        warnings.push(one_line(&failure));
    }
    let streams = match prepare::catalog(project, step.tap()) {
        Ok((catalog, more)) => {
            warnings.extend(more.iter().map(|warning| format!("{}: {warning}", step.tap().name)));
            streams(&catalog)
        }
        Err(failure) => {
            warnings.push(format!("{}: {}", step.tap().name, one_line(&failure)));
            Vec::new()
        }
    };
    let known = !options.full_refresh && state.is_some();
    Ok(json!({
        "step": step.name,
        "state": { "id": id, "used": known },
        "plugins": step.plugins.iter().map(plugin_plan).collect::<Vec<_>>(),
        "streams": streams,
        "writes": writes(project, step),
        "warnings": warnings,
    }))
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

/// Returns the selected streams of a catalog.
pub fn streams(catalog: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for stream in catalog["streams"].as_array().into_iter().flatten() {
        let entries = || stream["metadata"].as_array().into_iter().flatten();
        let root =
            entries().find(|entry| entry["breadcrumb"].as_array().is_some_and(Vec::is_empty));
        let root = root.map_or(&Value::Null, |entry| &entry["metadata"]);
        if root["selected"] == false {
            continue;
        }
        let columns: Vec<&str> = entries()
            .filter(|entry| entry["breadcrumb"].as_array().is_some_and(|path| path.len() == 2))
            .filter(|entry| {
                let metadata = &entry["metadata"];
                metadata["inclusion"] != "unsupported"
                    && (metadata["selected"] != false || metadata["inclusion"] == "automatic")
            })
            .filter_map(|entry| entry["breadcrumb"][1].as_str())
            .collect();
        let of_stream = |name: &str| {
            let value = &stream[name.replace('-', "_")];
            if value.is_null() { root[name].clone() } else { value.clone() }
        };
        found.push(json!({
            "stream": stream["stream"],
            "columns": columns,
            "keys": stream["key_properties"],
            "replication_method": of_stream("replication-method"),
            "replication_key": of_stream("replication-key"),
            "rows": of_stream("row-count"),
        }));
    }
    found
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
        for warning in step["warnings"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "warning: {}", word(warning));
        }
        text.push('\n');
    }
    text
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(values: &Value) -> String {
    let words: Vec<String> = values.as_array().into_iter().flatten().map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}
