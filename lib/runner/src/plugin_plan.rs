//! What the plugins of a step say they would do: statements, files, requests.

use std::borrow::Cow;
use std::fmt::Write;

use project::capture::{self, Captured};
use project::{Plugin, Project, Step};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use crate::observe;
use crate::prepare::{self, Alone};
use crate::selection::selected;

/// The flag that has a plugin tell it.
const FLAG: &str = "--plan=json";

/// What a plugin would do with each stream, and what it has warned of.
#[derive(Default)]
pub(crate) struct PluginPlan {
    /// `{"stream": ..., "steps": [...]}` for each stream.
    pub streams: Vec<Value>,
    /// Of a tap: the SCHEMA messages of the streams that it would write.
    pub schemas: String,
    /// What it has warned of.
    pub warnings: Vec<String>,
}

/// Asks the tap of a step what it would read, of a catalog that it was found to have or by its
/// settings, if it can tell.
pub(crate) fn of_tap(
    project: &Project,
    step: &Step,
    state: Option<&Value>,
    catalog: Option<&Value>,
) -> Result<PluginPlan> {
    let tap = step.tap();
    if !tap.plans() {
        let schemas = catalog.map(schemas).unwrap_or_default();
        return Ok(PluginPlan { schemas, ..PluginPlan::default() });
    }
    let mut plan = ask(tap, prepare::alone(project, tap, state, catalog)?, "")?;
    for stream in &mut plan.streams {
        let schema = stream["schema"].take();
        if let Some(members) = stream.as_object_mut() {
            members.remove("schema");
        }
        // What is unchanged is left out of the pipe.
        if stream["steps"].as_array().is_some_and(|steps| !steps.is_empty()) {
            let _ = writeln!(plan.schemas, "{schema}");
        }
    }
    Ok(plan)
}

/// Asks the target of a step what it would do with these streams, which go through the mappers
/// first, if it can tell.
pub(crate) fn of_target(project: &Project, step: &Step, schemas: &str) -> Result<PluginPlan> {
    let target = step.target();
    if schemas.is_empty() || !target.plans() {
        return Ok(PluginPlan::default());
    }
    let messages = through_mappers(project, step, schemas)?;
    ask(target, prepare::alone(project, target, None, None)?, &messages)
}

/// Has a target connect, as one does that receives no stream.
pub(crate) fn reach(project: &Project, target: &Plugin) -> Result<()> {
    let state = json!({ "type": "STATE", "value": {} }).to_string() + "\n";
    ask(target, prepare::alone(project, target, None, None)?, &state).map(drop)
}

/// Sends SCHEMA messages through the mappers of a step, and returns what they make of them.
pub(crate) fn through_mappers(project: &Project, step: &Step, schemas: &str) -> Result<String> {
    let mut messages = schemas.to_owned();
    for mapper in &step.plugins[1..step.plugins.len() - 1] {
        if messages.is_empty() {
            break;
        }
        let alone = prepare::alone(project, mapper, None, None)?;
        let captured = capture::run(&alone.program, &messages)?;
        match captured.failed {
            Some(kind) => return Err(silent(mapper, kind, &captured)),
            None => messages = captured.output,
        }
    }
    Ok(messages)
}

fn ask(plugin: &Plugin, mut alone: Alone, input: &str) -> Result<PluginPlan> {
    alone.program.arguments.push(FLAG.to_owned());
    let captured = capture::run(&alone.program, input)?;
    if let Some(kind) = captured.failed {
        return Err(silent(plugin, kind, &captured));
    }
    let answer: Value = serde_json::from_str(&captured.output)
        .map_err(|cause| silent(plugin, ErrorKind::Protocol, &captured).caused_by(cause))?;
    let warnings = captured.log.lines().filter_map(observe::warning).map(str::to_owned);
    Ok(PluginPlan {
        streams: answer["streams"].as_array().cloned().unwrap_or_default(),
        schemas: String::new(),
        warnings: warnings.collect(),
    })
}

/// Makes the failure of a plugin that did not answer.
pub(crate) fn silent(plugin: &Plugin, kind: ErrorKind, captured: &Captured) -> Error {
    let failure = Error::new(kind, format!("cannot predict what {} would do", plugin.name));
    let failure = failure.with("exit", &captured.exit);
    let add = |failure: Error, line: Cow<'_, str>| failure.with(&plugin.name, line);
    capture::last_words(&captured.log).into_iter().fold(failure, add)
}

/// Returns the SCHEMA messages of the selected streams, as most taps write them.
pub(crate) fn schemas(catalog: &Value) -> String {
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
