//! The settings of a plugin: from variables, the environment, the project, and their defaults.

use serde_json::{Map, Number, Value};
use singer::{Error, ErrorKind, Result};

use super::definition::{Definition, definition, variable_name};
use super::entry::Entry;
use crate::project::Project;
use crate::spelled;
use crate::variables::{Missing, Variables};

/// Returns the settings that the project declares for a plugin; nearer definitions win.
pub(super) fn definitions(chain: &[Entry<'_>]) -> Vec<Definition> {
    let mut found: Vec<Definition> = Vec::new();
    for entry in chain {
        let all = entry.own["settings"].as_array().into_iter().flatten();
        for setting in all.filter_map(definition) {
            if !found.iter().any(|known| known.name == setting.name) {
                found.push(setting);
            }
        }
    }
    found
}

/// Gathers the settings. From the weakest to the strongest: defaults; then for the plugin
/// inherited from, and so on up to the plugin itself: the project, its environment, variables.
pub(super) fn resolve(
    chain: &[Entry<'_>],
    definitions: &[Definition],
    project: &Project,
    variables: &Variables,
    missing: &mut Missing,
) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    for definition in definitions {
        let default = variables.expand_member(&definition.name, &definition.default, missing);
        put(&mut config, &definition.name, default);
    }
    for entry in chain.iter().rev() {
        for layer in [&entry.own["config"], &entry.of_environment["config"]] {
            overlay(&mut config, variables.expand_value(layer, missing));
        }
        for definition in definitions {
            if let Some((variable, text)) = from_variables(definition, entry, &project.process) {
                let value = read_as(definition.kind(), text).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Config,
                        "cannot read a variable as the type of its setting",
                    )
                    .with("variable", variable)
                    .with("kind", definition.kind())
                })?;
                put(&mut config, &definition.name, value);
            }
        }
    }
    for definition in definitions {
        for name in std::iter::once(&definition.name).chain(&definition.aliases) {
            if let Some(value) = member(&mut config, name) {
                cast(value, definition.kind.as_deref())
                    .map_err(|wrong| wrong.with("setting", name))?;
            }
        }
    }
    drop_nulls(&mut config);
    Ok(config)
}

/// Reads the numbers and truth values whose kinds the project does not say: as the plugin says, or
/// as what they mean to everybody.
pub(super) fn settle(config: &mut Map<String, Value>, definitions: &[Definition]) -> Result<()> {
    for definition in definitions {
        for name in std::iter::once(&definition.name).chain(&definition.aliases) {
            if let Some(value) = member(config, name).filter(|one| spelled::unread(one).is_some()) {
                cast(value, definition.kind.as_deref())
                    .map_err(|wrong| wrong.with("setting", name))?;
            }
        }
    }
    spelled::settle_members(config)
}

/// Puts the members of a mapping, their names dotted, over those that are there.
pub(super) fn overlay(config: &mut Map<String, Value>, layer: Value) {
    let Value::Object(layer) = layer else { return };
    for (name, value) in layer {
        put(config, &name, value);
    }
}

/// Sets a value by its dotted name (`\.` is a dot); mappings are put over mappings.
fn put(config: &mut Map<String, Value>, name: &str, value: Value) {
    const DOT: &str = "\u{0}";
    let name = name.replace("\\.", DOT);
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first.replace(DOT, "."), Some(rest.replace(DOT, "\\."))),
        None => (name.replace(DOT, "."), None),
    };
    let slot = config.entry(first).or_insert(Value::Null);
    match (slot, rest, value) {
        (slot, Some(rest), value) => {
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Value::Object(inner) = slot {
                put(inner, &rest, value);
            }
        }
        (slot, None, value) => merge(slot, unescaped(value)),
    }
}

/// Takes the backslashes away with which names below the first level have their dots under Meltano:
/// there, others would be names of more levels.
fn unescaped(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let each = |(name, value): (String, Value)| (name.replace("\\.", "."), unescaped(value));
    Value::Object(members.into_iter().map(each).collect())
}

/// Puts a value over another one; mappings level by level, where a dot is part of a name.
pub(super) fn merge(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Object(inner), Value::Object(members)) => {
            for (name, value) in members {
                merge(inner.entry(name).or_insert(Value::Null), value);
            }
        }
        (slot, value) => *slot = value,
    }
}

fn member<'a>(config: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let mut parts = name.split('.');
    let first = config.get_mut(parts.next()?)?;
    parts.try_fold(first, |at, part| at.get_mut(part))
}

/// Makes a text the kind of its setting; an empty one is none.
fn cast(value: &mut Value, kind: Option<&str>) -> Result<()> {
    if let Some(spelled) = spelled::unread(value) {
        if let Some(read) = as_spelled(kind, spelled)? {
            *value = read;
        }
        return Ok(());
    }
    let Value::String(text) = value else { return Ok(()) };
    let kind = kind.unwrap_or("string");
    *value = match read_as(kind, text) {
        Some(Value::String(_)) => return Ok(()),
        _ if text.trim().is_empty() => Value::Null,
        Some(read) => read,
        // It may be in a notation of the plugin's own.
        None if matches!(kind, "array" | "object") => return Ok(()),
        None => {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot read a value as the type of its setting",
            )
            .with("kind", kind));
        }
    };
    Ok(())
}

/// Reads a number or truth value as the kind of its setting; `None` where the kind says nothing.
fn as_spelled(kind: Option<&str>, spelled: &str) -> Result<Option<Value>> {
    let refuse = |kind: &str| {
        Error::new(ErrorKind::Config, "cannot read a value as the type of its setting")
            .with("kind", kind)
    };
    let read = match kind {
        None | Some("array" | "object") => return Ok(None),
        Some("boolean") => read_as("boolean", spelled).ok_or_else(|| refuse("boolean"))?,
        Some(kind @ ("integer" | "decimal")) => {
            let value = spelled::plain(spelled).ok_or_else(spelled::ambiguous)?;
            match (kind, value.as_f64()) {
                (_, None) => return Err(refuse(kind)),
                ("integer", Some(_)) if value.is_f64() => {
                    whole(&value).ok_or_else(|| refuse(kind))?
                }
                _ => value,
            }
        }
        Some(_) => Value::from(spelled),
    };
    Ok(Some(read))
}

/// Returns a number without a fraction as a whole one.
fn whole(value: &Value) -> Option<Value> {
    format!("{:.0}", value.as_f64()?)
        .parse::<i64>()
        .ok()
        .map(Value::from)
        .filter(|whole| whole.as_f64() == value.as_f64())
}

fn drop_nulls(config: &mut Map<String, Value>) {
    config.retain(|_, value| {
        if let Value::Object(inner) = value
            && !inner.is_empty()
        {
            drop_nulls(inner);
            return !inner.is_empty();
        }
        !value.is_null()
    });
}

fn from_variables<'a>(
    definition: &Definition,
    entry: &Entry<'_>,
    process: &'a Variables,
) -> Option<(String, &'a str)> {
    let names = std::iter::once(&definition.name).chain(&definition.aliases);
    let written = names.flat_map(|name| {
        entry
            .prefixes()
            .into_iter()
            .map(move |prefix| format!("{}_{}", variable_name(prefix), variable_name(name)))
    });
    let mut all = definition.variable.iter().cloned().chain(written);
    all.find_map(|variable| process.get(&variable).map(|text| (variable.clone(), text)))
}

/// Reads the text of a variable as the kind of its setting; `None` when it cannot be.
fn read_as(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "integer" => text.trim().parse::<i64>().ok().map(Value::from),
        "decimal" => serde_json::from_str::<Number>(text.trim()).ok().map(Value::Number),
        "boolean" => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "y" | "on" | "t" => Some(Value::Bool(true)),
            "false" | "0" | "no" | "n" | "off" | "f" | "" => Some(Value::Bool(false)),
            _ => None,
        },
        "array" => serde_json::from_str(text).ok().filter(Value::is_array),
        "object" => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => Some(Value::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_names_nest_and_mappings_merge() {
        let mut config = Map::new();
        overlay(&mut config, json!({"a.b": 1, "c": {"d": 1, "e": [1]}, "f\\.g": true}));
        overlay(&mut config, json!({"a": {"x": null}, "c.d": 2, "c": {"e": [2]}}));
        drop_nulls(&mut config);
        let expected = json!({"a": {"b": 1}, "c": {"d": 2, "e": [2]}, "f.g": true});
        assert_eq!(Value::Object(config), expected);

        // A dot is part of a name below the first level.
        let mut config = Map::new();
        overlay(&mut config, json!({"a": {"b\\.c": 1, "d.e": {"f\\.g": 1}}}));
        overlay(&mut config, json!({"a": {"b.c": 2, "d.e": {"h.i": 2}}, "a.j": 3}));
        let expected = json!({"a": {"b.c": 2, "d.e": {"f.g": 1, "h.i": 2}, "j": 3}});
        assert_eq!(Value::Object(config), expected);
    }

    #[test]
    fn reads_variables_by_the_kind_of_their_setting() {
        let check = |kind: &str, text: &str, expected: Option<Value>| {
            assert_eq!(read_as(kind, text), expected, "{kind} {text}");
        };
        check("integer", "5432", Some(json!(5432)));
        check("integer", "x", None);
        check("boolean", "True", Some(json!(true)));
        check("boolean", "maybe", None);
        check("array", "[1]", Some(json!([1])));
        check("array", "{}", None);
        check("object", "{\"a\":1}", Some(json!({"a": 1})));
        check("string", "00123", Some(json!("00123")));
        check("password", "p'w", Some(json!("p'w")));
    }

    #[test]
    fn a_number_of_the_file_becomes_what_its_setting_wants() {
        let check = |kind: Option<&str>, spelled: &str, expected: Option<Value>| {
            assert_eq!(as_spelled(kind, spelled).unwrap(), expected, "{kind:?} {spelled}");
        };
        for text in ["007", "1_000", "0x1F", "1.50", "True", "123456789012345678901234567890"] {
            check(Some("string"), text, Some(json!(text)));
            check(Some("password"), text, Some(json!(text)));
            check(None, text, None);
        }
        check(Some("integer"), "5432", Some(json!(5432)));
        check(Some("integer"), "2e3", Some(json!(2000)));
        check(Some("decimal"), "1.50", Some(json!(1.5)));
        check(Some("boolean"), "1", Some(json!(true)));
        check(Some("array"), "5", None);
        for (kind, text) in [
            ("integer", "05432"),
            ("integer", "1_000"),
            ("integer", "1.5"),
            ("integer", "true"),
            ("decimal", "007.5"),
            ("boolean", "2"),
        ] {
            assert!(as_spelled(Some(kind), text).is_err(), "{kind} {text}");
        }
    }
}
