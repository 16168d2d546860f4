//! What a run takes beside its project: the part of the source that it reads, and values for
//! variables.

use std::collections::BTreeMap;
use std::path::Path;

use project::day::DAY_VARIABLES;
use project::names::nearest;
use project::plugin::is_secret_word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

/// What a run receives, from its command line or a file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Params {
    /// Patterns of streams and columns. Of the selection of the project, only these are read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// Conditions in SQL by stream. Only rows for which all of them are true are read.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, Vec<String>>,
    /// Only rows from this many days before the day of the run on are read, or before today if the
    /// run has no day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Values of variables; null if the name of a variable says that it is a secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Option<String>>,
}

/// The keys of a file.
const KEYS: [&str; 4] = ["select", "where", "days", "inputs"];

impl Params {
    /// Reads them from a file of JSON.
    ///
    /// # Errors
    /// `NoInput` without the file, `Usage` for what cannot be used in it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|cause| {
            Error::new(ErrorKind::NoInput, "cannot read the parameters of the run")
                .with("path", path.display())
                .caused_by(cause)
        })?;
        let read = serde_json::from_slice(&text).map_err(|cause| {
            refuse("cannot read the parameters of the run as JSON").caused_by(cause)
        });
        let read = read.and_then(|value| Self::of_json(&value));
        read.map_err(|failure| failure.with("path", path.display()))
    }

    fn of_json(value: &Value) -> Result<Self> {
        let Some(members) = value.as_object() else {
            return Err(refuse(
                "cannot read the parameters of the run: they must be a JSON object",
            ));
        };
        let mut params = Self::default();
        for (key, value) in members {
            let wrong = |wanted: &str| {
                let failure = refuse("cannot use a parameter of the run").with("parameter", key);
                failure.with("wanted", wanted)
            };
            match key.as_str() {
                "select" => {
                    params.select = texts(value).ok_or_else(|| wrong("a list of patterns"))?;
                }
                "where" => {
                    let wanted = "a mapping of streams to conditions";
                    for (stream, value) in value.as_object().ok_or_else(|| wrong(wanted))? {
                        let conditions = texts(value).ok_or_else(|| wrong(wanted))?;
                        params.conditions.insert(stream.clone(), conditions);
                    }
                }
                "days" => {
                    let days = value.as_u64().and_then(|days| u32::try_from(days).ok());
                    let days = days.filter(|days| *days > 0);
                    params.days = Some(days.ok_or_else(|| wrong("a whole number from 1"))?);
                }
                "inputs" => {
                    let wanted = "a mapping of variables to texts";
                    let inputs = value.as_object().ok_or_else(|| wrong(wanted))?;
                    params.inputs = inputs_of(inputs).ok_or_else(|| wrong(wanted))?;
                }
                _ => return Err(unknown(key)),
            }
        }
        params.inputs.keys().try_for_each(|name| check_name(name))?;
        Ok(params)
    }

    /// Adds a condition that is written `STREAM: EXPRESSION`.
    pub fn add_condition(&mut self, text: &str) -> Result<()> {
        let split =
            text.split_once(':').map(|(stream, condition)| (stream.trim(), condition.trim()));
        let filled =
            split.filter(|(stream, condition)| !stream.is_empty() && !condition.is_empty());
        let Some((stream, condition)) = filled else {
            return Err(refuse("cannot read a condition for rows")
                .with("condition", text)
                .hint("write the stream, a colon and SQL: --where 'public-orders: total > 5'"));
        };
        self.conditions.entry(stream.to_owned()).or_default().push(condition.to_owned());
        Ok(())
    }

    /// Sets a variable that is written `KEY=VALUE`.
    pub fn add_input(&mut self, text: &str) -> Result<()> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(refuse("cannot read the value of a variable")
                .with("variable", text)
                .hint("write -i KEY=VALUE"));
        };
        check_name(name)?;
        self.inputs.insert(name.to_owned(), Some(value.to_owned()));
        Ok(())
    }

    /// Tells whether a run reads a part alone: it stands for no whole run.
    pub fn is_part(&self) -> bool {
        !self.select.is_empty() || !self.conditions.is_empty() || self.days.is_some()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the variables as a project takes them.
    pub fn variables(&self) -> Value {
        let set = self.inputs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let set = set.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        Value::Object(set.collect())
    }

    /// Returns them as they may be shown and kept: a value whose name says that it is a secret is
    /// left out.
    #[must_use]
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        for (name, value) in &mut shown.inputs {
            if is_secret_word(name) {
                *value = None;
            }
        }
        shown
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn inputs_of(members: &Map<String, Value>) -> Option<BTreeMap<String, Option<String>>> {
    let text = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        Some((name.clone(), Some(text)))
    };
    members.iter().map(text).collect()
}

fn check_name(name: &str) -> Result<()> {
    if DAY_VARIABLES.contains(&name) {
        return Err(refuse("cannot set the day of a run as a variable")
            .with("variable", name)
            .hint("give --datestamp YYYY-MM-DD"));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_word)
    {
        return Err(refuse("cannot set a variable with this name").with("variable", name).hint(
            "a name consists of letters, digits and `_`: -i KEY=VALUE is `${KEY}` in \
                   meltano.yml",
        ));
    }
    Ok(())
}

fn unknown(key: &str) -> Error {
    let known = KEYS.map(str::to_owned);
    let hint = match nearest(key, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the members are: {}", KEYS.join(", ")),
    };
    refuse("cannot use an unknown parameter of the run").with("parameter", key).hint(hint)
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_has_all_that_a_command_line_has() {
        let file = json!({"select": ["a.id", "b"], "where": {"a": "x > 1", "b": ["y", "z"]},
                          "days": 3, "inputs": {"SCHEMA": "s", "LIMIT": 5}});
        let read = Params::of_json(&file).unwrap();
        let mut given = Params {
            select: vec!["a.id".to_owned(), "b".to_owned()],
            days: Some(3),
            ..Params::default()
        };
        for condition in ["a: x > 1", "b:y", "b : z"] {
            given.add_condition(condition).unwrap();
        }
        given.add_input("SCHEMA=s").unwrap();
        given.add_input("LIMIT=5").unwrap();
        assert_eq!(read, given);
        // What is printed is what a file may hold.
        let shown = serde_json::to_value(read.shown()).unwrap();
        assert_eq!(Params::of_json(&shown).unwrap(), read);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        let check = |file: Value, word: &str| {
            let failure = Params::of_json(&file).expect_err(&file.to_string());
            assert_eq!(failure.kind(), ErrorKind::Usage, "{file}");
            assert!(failure.to_string().contains(word), "{file}: {failure}");
        };
        check(json!([]), "a JSON object");
        check(json!({"selct": []}), "did you mean `select`?");
        check(json!({"select": 5}), "parameter: select");
        check(json!({"where": ["a: x"]}), "a mapping of streams");
        check(json!({"days": 0}), "a whole number from 1");
        check(json!({"days": -1}), "a whole number from 1");
        check(json!({"inputs": {"A": [1]}}), "a mapping of variables");
        check(json!({"inputs": {"A": null}}), "a mapping of variables");
        check(json!({"inputs": {"DATESTAMP": "2026-01-31"}}), "--datestamp");
        check(json!({"inputs": {"A-B": "x"}}), "variable: A-B");
        for text in ["orders", ": x", "orders:", ""] {
            assert!(Params::default().add_condition(text).is_err(), "{text}");
        }
        for text in ["A", "=x", "1=x", "EXTRACTED_AT=2026-01-31"] {
            assert!(Params::default().add_input(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_whose_name_says_that_it_is_a_secret_is_not_shown() {
        let mut params = Params::default();
        params.add_input("PAGE_TOKEN=x=y").unwrap();
        params.add_input("SCHEMA=s").unwrap();
        let shown = serde_json::to_value(params.shown()).unwrap();
        assert_eq!(shown, json!({"inputs": {"PAGE_TOKEN": null, "SCHEMA": "s"}}));
        assert_eq!(params.variables(), json!({"PAGE_TOKEN": "x=y", "SCHEMA": "s"}));
    }
}
