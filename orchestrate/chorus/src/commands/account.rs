//! What the plugins of a step say they would do: statements, files, requests. Only ours are
//! asked: who knows what others do with a flag they do not know.

use std::fmt::Write;

use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use crate::capture;
use crate::commands::plan::selected;
use crate::observe;
use crate::prepare::{self, Alone};
use crate::project::{Plugin, Project, Step};

/// The flag that has a plugin tell it.
const FLAG: &str = "--plan=json";

/// What a plugin would do with each stream, and what it has warned of.
#[derive(Default)]
pub struct Account {
    /// `{"stream": ..., "steps": [...]}` for each stream.
    pub streams: Vec<Value>,
    /// What it has warned of.
    pub warnings: Vec<String>,
}

/// Asks the tap of a step what it would read of a catalog.
pub fn of_tap(
    project: &Project,
    step: &Step,
    state: Option<&Value>,
    catalog: &Value,
) -> Result<Account> {
    let tap = step.tap();
    if !tap.is_ours() {
        return Ok(Account::default());
    }
    ask(tap, prepare::alone(project, tap, state, Some(catalog))?, "")
}

/// Asks the target of a step what it would do with the streams of a catalog, which go through the
/// mappers first.
pub fn of_target(project: &Project, step: &Step, catalog: &Value) -> Result<Account> {
    let target = step.target();
    if !target.is_ours() {
        return Ok(Account::default());
    }
    let mut messages = schemas(catalog);
    for mapper in &step.plugins[1..step.plugins.len() - 1] {
        let alone = prepare::alone(project, mapper, None, None)?;
        let captured = capture::run(&alone.program, &messages);
        match captured.kind {
            Some(kind) => return Err(silent(mapper, kind, &captured.log)),
            None => messages = captured.output,
        }
    }
    ask(target, prepare::alone(project, target, None, None)?, &messages)
}

fn ask(plugin: &Plugin, mut alone: Alone, input: &str) -> Result<Account> {
    alone.program.arguments.push(FLAG.to_owned());
    let captured = capture::run(&alone.program, input);
    if let Some(kind) = captured.kind {
        return Err(silent(plugin, kind, &captured.log));
    }
    let told: Value = serde_json::from_str(&captured.output)
        .map_err(|cause| silent(plugin, ErrorKind::Protocol, "").caused_by(cause))?;
    let warnings = captured.log.lines().filter_map(observe::warning).map(str::to_owned);
    Ok(Account {
        streams: told["streams"].as_array().cloned().unwrap_or_default(),
        warnings: warnings.collect(),
    })
}

fn silent(plugin: &Plugin, kind: ErrorKind, log: &str) -> Error {
    let failure = Error::new(kind, format!("cannot tell what {} would do", plugin.name));
    let lines = log.lines().map(str::trim).skip_while(|line| !line.starts_with("error: "));
    lines.fold(failure, |failure, line| failure.with(&plugin.name, line))
}

/// Returns the SCHEMA messages of the selected streams.
fn schemas(catalog: &Value) -> String {
    let mut lines = String::new();
    for stream in selected(catalog) {
        let mut schema = stream.entry["schema"].clone();
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.retain(|name, _| stream.columns.contains(&name.as_str()));
        }
        let keys = Some(stream.keys()).filter(|keys| !keys.is_null()).cloned();
        let message = json!({
            "type": "SCHEMA",
            "stream": stream.entry["stream"],
            "schema": schema,
            "key_properties": keys.unwrap_or_else(|| json!([])),
        });
        let _ = writeln!(lines, "{message}");
    }
    lines
}
