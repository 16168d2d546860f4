//! The settings of a plugin: which there are, and what they are joined to.

use serde_json::{Map, Value};
use singer::Result;

use super::about::Description;
use super::definition::{Definition, definition};
use super::entry::Entry;
use super::{flat, kinds};
use crate::spelled;

/// Returns the settings of a plugin: those that its lock file and the project declare, nearer
/// declarations before others, and those that only have a value.
pub(super) fn definitions(
    chain: &[Entry<'_>],
    description: Option<&Description>,
) -> Vec<Definition> {
    let mut found: Vec<Definition> = Vec::new();
    for entry in chain {
        let all = entry.own["settings"].as_array().into_iter().flatten();
        for mut setting in all.filter_map(definition) {
            if found.iter().any(|known| known.name == setting.name) {
                continue;
            }
            // Where ours has the place of another one, it has no use for defaults of settings that
            // it has not, unless they say where: those are passed, and refused.
            let is_unknown = || description.is_some_and(|ours| !knows(ours, &setting.name));
            if entry.is_lock && !says_where(&setting) && is_unknown() {
                setting.default = Value::Null;
            }
            found.push(setting);
        }
    }
    for (name, value, by_parent) in values(chain) {
        if name.starts_with('_') {
            // A rule, such as `_select`: Meltano passes none of them on.
            continue;
        }
        // As for Meltano: what only an environment gives to a plugin that is inherited from makes
        // no setting of the one that inherits.
        if by_parent && !description.is_some_and(|ours| knows(ours, &name)) {
            continue;
        }
        if !found.iter().any(|known| known.name == name) {
            let mut described = description.into_iter().flat_map(|ours| &ours.settings);
            let kind =
                described.find(|known| known.is_called(&name)).and_then(|known| known.kind.clone());
            let kind = kind.or_else(|| kinds::kind_of(value).map(str::to_owned));
            found.push(Definition { name, kind, ..Definition::default() });
        }
    }
    found
}

/// Returns all values of entries by the names of all levels, and whether an environment gives it to
/// an entry that is inherited from.
fn values<'a>(chain: &[Entry<'a>]) -> Vec<(String, &'a Value, bool)> {
    let mut all = Vec::new();
    for (at, entry) in chain.iter().enumerate().rev() {
        let [own, of_environment] = entry.blocks("config");
        for (block, by_parent) in [(own, false), (of_environment, at > 0)] {
            let named = flat::flatten(block).into_iter();
            all.extend(named.map(|(name, value)| (name, value, by_parent)));
        }
    }
    all
}

/// Words in the names of settings that say where data is.
const WHERE_WORDS: [&str; 9] =
    ["host", "port", "schema", "database", "dbname", "path", "url", "bucket", "folder"];

/// Tells whether a default says where data is: by the name of its setting, or by a variable.
fn says_where(setting: &Definition) -> bool {
    let is_member = setting.name.contains('.');
    let words =
        || !is_member && setting.name.split(['_', '-']).any(|word| WHERE_WORDS.contains(&word));
    match &setting.default {
        Value::String(text) => text.contains('$') || !text.is_empty() && words(),
        Value::Number(_) => words(),
        _ => false,
    }
}

fn knows(description: &Description, name: &str) -> bool {
    description
        .settings
        .iter()
        .any(|setting| setting.is_named(name) || setting.name.starts_with(&format!("{name}.")))
}

/// Takes away the second name of a setting that one of ours would be given by two names: the one
/// that it does not know.
pub(super) fn name_once(
    config: &mut Map<String, Value>,
    definitions: &[Definition],
    ours: &Description,
) {
    for definition in definitions.iter().filter(|definition| !definition.aliases.is_empty()) {
        let names: Vec<&String> =
            std::iter::once(&definition.name).chain(&definition.aliases).collect();
        let given: Vec<&&String> =
            names.iter().filter(|name| config.contains_key(**name)).collect();
        if given.len() < 2 {
            continue;
        }
        let kept = given.iter().find(|name| knows(ours, name)).unwrap_or(&given[0]);
        let dropped: Vec<String> =
            given.iter().filter(|name| *name != kept).map(|name| (**name).clone()).collect();
        config.retain(|name, _| !dropped.contains(name));
    }
}

/// Reads the numbers and truth values whose kinds the project does not say: as the plugin says, or
/// as what they mean to everybody.
pub(super) fn settle(config: &mut Map<String, Value>, definitions: &[Definition]) -> Result<()> {
    for definition in definitions {
        for name in std::iter::once(&definition.name).chain(&definition.aliases) {
            let Some(value) = member(config, name) else { continue };
            let Some(spelled) = spelled::unread(value) else { continue };
            let read = kinds::as_spelled(definition.kind.as_deref(), spelled)
                .map_err(|wrong| wrong.with("setting", name))?;
            if let Some(read) = read {
                *value = read;
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
    let parts = flat::split(name);
    let Some((first, rest)) = parts.split_first() else { return };
    let slot = config.entry(first.replace("\\.", ".")).or_insert(Value::Null);
    if rest.is_empty() {
        merge(slot, flat::unescaped(value));
        return;
    }
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot {
        put(inner, &rest.join("."), value);
    }
}

/// Puts a value over another one; mappings level by level. A null leaves what is there.
pub(super) fn merge(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Object(inner), Value::Object(members)) => {
            for (name, value) in members {
                merge(inner.entry(name).or_insert(Value::Null), value);
            }
        }
        (slot, value) if slot.is_null() || !value.is_null() => *slot = value,
        _ => {}
    }
}

fn member<'a>(config: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let mut parts = name.split('.');
    let first = config.get_mut(parts.next()?)?;
    parts.try_fold(first, |at, part| at.get_mut(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dotted_names_nest_and_mappings_merge() {
        let mut config = Map::new();
        overlay(&mut config, json!({"a.b": 1, "c": {"d": 1, "e": [1]}, "f\\.g": true}));
        overlay(&mut config, json!({"a": {"b": null}, "c.d": 2, "c": {"e": [2]}}));
        let expected = json!({"a": {"b": 1}, "c": {"d": 2, "e": [2]}, "f.g": true});
        assert_eq!(Value::Object(config), expected);
    }
}
