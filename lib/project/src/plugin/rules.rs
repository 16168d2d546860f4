//! What a project wants of the catalog and the state of a tap.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result};

use super::definition::variable_name;
use super::entry::Entry;
use super::{kinds, literal, settings};
use crate::spelled;
use crate::variables::{Missing, Variables};

/// What a project wants of a tap's catalog and state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Patterns of streams and properties, `!` before those left out; `None` where the project says
    /// nothing, which is everything. An empty list selects nothing.
    pub select: Option<Vec<String>>,
    /// Patterns of streams, `!` before those left out: of what is selected, those alone are read.
    pub select_filter: Vec<String>,
    /// Metadata by patterns of streams and properties.
    pub metadata: Map<String, Value>,
    /// Keywords of JSON Schema by patterns of streams and properties.
    pub schema: Map<String, Value>,
    /// The path of a catalog to use in place of discovery.
    pub catalog: Option<String>,
    /// The path of a state to start from in place of the one that is kept.
    pub state: Option<String>,
    /// The part of all this that a run takes.
    pub part: Part,
}

/// A part of what a tap reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Patterns of streams and properties: of what the project selects, those alone are read.
    pub select: Vec<String>,
    /// Streams whose rows a condition narrows: each has to be read.
    pub narrowed: BTreeSet<String>,
    /// Rows are read from a time on: each stream has to have a key of time.
    pub since: bool,
}

impl Rules {
    /// Tells whether the project leaves the catalog to the tap.
    pub fn leave_catalog(&self) -> bool {
        *self == Self { state: self.state.clone(), ..Self::default() }
    }
}

/// Gathers the rules: nearer entries before others, variables before both. Returns them also in the
/// form in which Meltano has them in variables.
pub(super) fn rules(
    chain: &[Entry<'_>],
    variables: &Variables,
    missing: &mut Missing,
) -> Result<(Rules, Vec<(&'static str, Value)>)> {
    let mut found = Map::new();
    for name in ["select", "select_filter", "metadata", "schema", "catalog", "state"] {
        let mut value = Value::Null;
        for (at, entry) in chain.iter().enumerate().rev() {
            // What an environment says of a plugin above, Meltano has only of lists and texts.
            let is_mapping = matches!(name, "metadata" | "schema");
            let of_environment =
                if at > 0 && is_mapping { &Value::Null } else { entry.of_environment };
            for block in [entry.own, of_environment] {
                let at = extra(block, name, entry.is_lock)?;
                let at = variables.expand_member(name, &at, missing);
                if !at.is_null() {
                    settings::merge(&mut value, at);
                }
            }
            for prefix in entry.prefixes().into_iter().filter(|_| is_mapping) {
                let head = format!("{}__{}", variable_name(prefix), variable_name(name));
                set_members(&mut value, &head, variables)?;
            }
            for prefix in entry.prefixes() {
                let variable = format!("{}__{}", variable_name(prefix), variable_name(name));
                let Some(text) = variables.get(&variable) else { continue };
                value = match name {
                    "catalog" | "state" => Value::from(text),
                    _ => read_json(text).ok_or_else(|| {
                        Error::new(ErrorKind::Config, "cannot read a variable as JSON")
                            .with("variable", &variable)
                    })?,
                };
            }
        }
        found.insert(name.to_owned(), value);
    }
    let member = |name: &str| found.get(name).and_then(Value::as_object).cloned();
    let text = |name: &str| found.get(name).and_then(Value::as_str).map(str::to_owned);
    let patterns = |name: &str| {
        let found = match found.get(name) {
            Some(pattern @ Value::String(_)) => vec![pattern.clone()],
            list => list.and_then(Value::as_array).cloned().unwrap_or_default(),
        };
        found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let extras = extras(&found);
    let rules = Rules {
        part: Part::default(),
        select: found.get("select").filter(|said| !said.is_null()).map(|_| patterns("select")),
        select_filter: patterns("select_filter"),
        metadata: member("metadata").unwrap_or_default(),
        schema: member("schema").unwrap_or_default(),
        catalog: text("catalog"),
        state: text("state"),
    };
    Ok((rules, extras))
}

/// Sets what variables have of the members of a rule, such as `TAP_X__METADATA_STREAM_KEY`: those
/// that it has, as the types that they have.
fn set_members(rule: &mut Value, head: &str, variables: &Variables) -> Result<()> {
    for (name, value) in rule.as_object_mut().into_iter().flatten() {
        let variable = format!("{head}_{}", variable_name(name));
        if value.as_object().is_some_and(|members| !members.is_empty()) {
            set_members(value, &variable, variables)?;
        } else if let Some(text) = variables.get(&variable) {
            let plain = spelled::unread(value).and_then(spelled::plain);
            let kind = match plain.as_ref().unwrap_or(value) {
                Value::Bool(_) => Some("boolean"),
                Value::Number(_) => Some("integer"),
                Value::Array(_) => Some("array"),
                Value::Object(_) => Some("object"),
                _ => None,
            };
            *value = Value::from(text);
            kinds::cast(value, kind).map_err(|failure| failure.with("variable", &variable))?;
        }
    }
    Ok(())
}

/// Returns what an entry says of a rule: by its name, over what `config` has behind a `_`. For
/// Meltano, `metadata` in `config` is a rule without it, too.
fn extra(entry: &Value, name: &str, is_lock: bool) -> Result<Value> {
    let mut found = Value::Null;
    for (key, value) in entry["config"].as_object().into_iter().flatten().filter(|_| !is_lock) {
        let key = key.strip_prefix('_').or((name == "metadata").then_some(key.as_str()));
        let Some(rest) = key.and_then(|key| key.strip_prefix(name)) else { continue };
        if rest.is_empty() {
            settings::merge(&mut found, value.clone());
        } else if let Some(rest) = rest.strip_prefix('.') {
            let mut nested = Map::new();
            settings::overlay(&mut nested, json!({ rest: value }));
            settings::merge(&mut found, Value::Object(nested));
        }
    }
    // No kind is known for what stands among the settings.
    spelled::settle(&mut found)?;
    if !entry[name].is_null() {
        settings::merge(&mut found, entry[name].clone());
    }
    Ok(found)
}

/// Returns the rules as Meltano has them in variables, those that nobody sets, too.
fn extras(found: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    let usual = [
        ("select", json!(["*.*"])),
        ("select_filter", json!([])),
        ("metadata", json!({})),
        ("schema", json!({})),
        ("catalog", Value::Null),
        ("state", Value::Null),
    ];
    let value = |name: &str| found.get(name).filter(|value| !value.is_null()).cloned();
    usual.map(|(name, usual)| (name, value(name).unwrap_or(usual))).into()
}

fn read_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| literal::read(text))
}
