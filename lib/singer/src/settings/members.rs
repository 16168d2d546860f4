//! Members of settings that are mappings, or lists of mappings: their names, and unknown ones.

use serde_json::{Map, Value};

use crate::near::{ALIKE, nearest};

/// A member of a setting that nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown<'a> {
    /// Where it stands, from the setting on: `/0/pth`.
    pub place: String,
    /// The members that there are.
    pub known: Vec<&'a str>,
    /// The one that was probably meant.
    pub near: Option<&'a str>,
}

/// Returns the members that a value of a setting has, in their order; none for one that has none of
/// its own.
pub(crate) fn of(schema: &Value) -> Option<&Map<String, Value>> {
    let schema = shape(schema);
    match schema.get("properties").and_then(Value::as_object) {
        Some(members) => Some(members),
        None => of(schema.get("items")?),
    }
}

/// Finds the first member of a value, at any depth, that its schema does not let pass.
pub(super) fn unknown<'a>(value: &Value, schema: &'a Value) -> Option<Unknown<'a>> {
    let schema = shape(schema);
    match value {
        Value::Array(items) => {
            let schema = schema.get("items")?;
            items.iter().enumerate().find_map(|(at, item)| within(&at.to_string(), item, schema))
        }
        Value::Object(members) => {
            let known = schema.get("properties")?.as_object()?;
            let is_closed = |key: &str| schema.get(key) == Some(&Value::Bool(false));
            let closed = is_closed("additionalProperties") || is_closed("unevaluatedProperties");
            members.iter().find_map(|(name, value)| match known.get(name) {
                Some(schema) => within(name, value, schema),
                None if closed => {
                    let known: Vec<&str> = known.keys().map(String::as_str).collect();
                    let near = nearest(name, known.iter().copied(), ALIKE);
                    Some(Unknown { place: format!("/{name}"), known, near })
                }
                None => None,
            })
        }
        _ => None,
    }
}

fn within<'a>(part: &str, value: &Value, schema: &'a Value) -> Option<Unknown<'a>> {
    let found = unknown(value, schema)?;
    Some(Unknown { place: format!("/{part}{}", found.place), ..found })
}

/// Returns the one branch of a schema that is not for null, or the schema itself.
fn shape(schema: &Value) -> &Value {
    let branches = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(*key)?.as_array());
    let mut branches = branches.into_iter().flatten().filter(|branch| branch["type"] != "null");
    match (branches.next(), branches.next()) {
        (Some(branch), None) => shape(branch),
        _ => schema,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_member_is_found_at_every_depth() {
        let types = json!({"properties": {"decimal": {"type": "string"}},
                           "additionalProperties": false});
        let entry = json!({"type": "object", "additionalProperties": false, "properties": {
            "path": {"type": "string"},
            "types": {"anyOf": [types, {"type": "null"}]},
            "open": {"type": "object", "properties": {"a": {}}},
        }});
        let schema = json!({"type": ["array", "null"], "items": entry});
        let check = |value: Value, expected: Option<(&str, Option<&str>)>| {
            let found = unknown(&value, &schema);
            let found = found.as_ref().map(|found| (found.place.as_str(), found.near));
            assert_eq!(found, expected, "{value}");
        };
        check(json!([{"path": "x", "open": {"b": 1}}]), None);
        check(json!([{}, {"pth": "x"}]), Some(("/1/pth", Some("path"))));
        check(json!([{"types": {"decimla": ","}}]), Some(("/0/types/decimla", Some("decimal"))));
        check(json!([{"zzzzz": 1}]), Some(("/0/zzzzz", None)));
        check(json!("text"), None);
        assert_eq!(of(&schema).unwrap().len(), 3);
        assert_eq!(of(&json!({"type": "string"})), None);
    }
}
