//! Names with dots: a setting `a.b` is the member `b` of the setting `a`; `\.` is a dot of a name.

use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

/// Returns the members of a mapping by the names of all levels; an empty mapping is a value.
pub(super) fn flatten(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    gather(value, "", &mut found);
    found
}

fn gather<'a>(value: &'a Value, path: &str, found: &mut Vec<(String, &'a Value)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if value.as_object().is_some_and(|members| !members.is_empty()) {
            gather(value, &path, found);
        } else {
            found.push((path, value));
        }
    }
}

/// Splits a name at its dots; those behind a backslash stay, with it.
pub(super) fn split(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in name.match_indices('.') {
        if !name[..at].ends_with('\\') {
            parts.push(&name[start..at]);
            start = at + 1;
        }
    }
    parts.push(&name[start..]);
    parts
}

/// Sets a value by its name, unless there is one: what is set first is the setting as a whole.
///
/// # Errors
/// `Config` where a member is set of what is no mapping.
pub(super) fn nest(members: &mut Map<String, Value>, name: &str, value: Value) -> Result<()> {
    let parts = split(name);
    let Some((last, path)) = parts.split_last() else { return Ok(()) };
    let mut at = members;
    for part in path {
        let slot = at.entry(*part).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = slot else { return Err(not_a_mapping(name)) };
        at = inner;
    }
    at.entry(*last).or_insert(value);
    Ok(())
}

fn not_a_mapping(name: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot set a member of a setting that is no mapping")
        .with("setting", name)
        .hint("set the whole setting in one place, or each member by its name with dots")
}

/// Takes away the backslashes before dots in the names of all levels.
pub(super) fn unescaped(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let each = |(name, value): (String, Value)| (name.replace("\\.", "."), unescaped(value));
    Value::Object(members.into_iter().map(each).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_all_levels_are_joined_and_set_again() {
        let value = json!({"a": {"b": 1, "c": {}}, "d.e": [1], "f\\.g": {"h": null}});
        let flat = flatten(&value);
        let names: Vec<&str> = flat.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.b", "a.c", "d.e", "f\\.g.h"]);
        let mut members = Map::new();
        for (name, value) in flat {
            nest(&mut members, &name, value.clone()).unwrap();
        }
        nest(&mut members, "a.b", json!(2)).unwrap();
        let expected = json!({"a": {"b": 1, "c": {}}, "d": {"e": [1]}, "f.g": {"h": null}});
        assert_eq!(unescaped(Value::Object(members.clone())), expected);
        assert_eq!(nest(&mut members, "a.b.c", json!(1)).unwrap_err().kind(), ErrorKind::Config);
    }
}
