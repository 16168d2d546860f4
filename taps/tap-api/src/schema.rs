//! The schema of the settings: references by `$id` and `$anchor` as pointers. Pure.
//!
//! A column takes its definitions along by pointers alone, so that those are what targets get.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Keywords whose members are names, whatever they look like.
const NAMED: [&str; 5] =
    ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas"];
/// Keywords that hold data.
const DATA: [&str; 4] = ["enum", "const", "default", "examples"];

/// Where a schema is: its pointer from the root, and that and the name of the document it is in.
#[derive(Clone, Debug, Default)]
struct At {
    pointer: String,
    base: String,
    name: String,
}

impl At {
    fn step(&self, key: &str) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{key}", self.pointer), ..self.clone() }
    }

    /// Moves into the document that a schema starts by its `$id`.
    fn enter(mut self, keywords: &Map<String, Value>) -> Self {
        if let Some(id) = keywords.get("$id").and_then(Value::as_str)
            && !id.starts_with('#')
        {
            self.name = resolve(&self.name, id.trim_end_matches('#'));
            self.base.clone_from(&self.pointer);
        }
        self
    }
}

/// Writes references by `$id` and `$anchor` as pointers; others stay as they are.
pub fn with_pointers(schema: &mut Map<String, Value>) {
    let mut schema_value = Value::Object(std::mem::take(schema));
    let mut known = BTreeMap::new();
    walk(&mut schema_value, &At::default(), false, &mut |keywords, at| {
        let text = |name: &str| keywords.get(name).and_then(Value::as_str);
        if at.base == at.pointer {
            known.insert(at.name.clone(), at.pointer.clone());
        }
        // Older drafts name a place by an `$id` that is a fragment.
        let old = text("$id").and_then(|id| id.strip_prefix('#'));
        for anchor in [text("$anchor"), old].into_iter().flatten() {
            known.insert(format!("{}#{anchor}", at.name), at.pointer.clone());
        }
    });
    walk(&mut schema_value, &At::default(), false, &mut |keywords, at| {
        if let Some(Value::String(text)) = keywords.get_mut("$ref")
            && let Some(pointer) = pointer_of(text, at, &known)
        {
            *text = format!("#{pointer}");
        }
        // Pointers count from the root, which no name may move.
        if !at.pointer.is_empty() {
            keywords.remove("$id");
        }
        keywords.remove("$anchor");
    });
    if let Value::Object(done) = schema_value {
        *schema = done;
    }
}

/// Calls `each` for every schema, the outer ones first.
fn walk(
    value: &mut Value,
    at: &At,
    named: bool,
    each: &mut dyn FnMut(&mut Map<String, Value>, &At),
) {
    match value {
        Value::Array(list) => {
            for (index, inner) in list.iter_mut().enumerate() {
                walk(inner, &at.step(&index.to_string()), false, each);
            }
        }
        Value::Object(keywords) => {
            let at = if named { at.clone() } else { at.clone().enter(keywords) };
            if !named {
                each(keywords, &at);
            }
            for (key, value) in keywords.iter_mut() {
                if named || !DATA.contains(&key.as_str()) {
                    let by_name = !named && NAMED.contains(&key.as_str());
                    walk(value, &at.step(key), by_name, each);
                }
            }
        }
        _ => {}
    }
}

fn pointer_of(text: &str, at: &At, known: &BTreeMap<String, String>) -> Option<String> {
    let (name, fragment) = text.split_once('#').unwrap_or((text, ""));
    let name = if name.is_empty() { at.name.clone() } else { resolve(&at.name, name) };
    if fragment.is_empty() || fragment.starts_with('/') {
        return Some(format!("{}{fragment}", known.get(&name)?));
    }
    known.get(&format!("{name}#{fragment}")).cloned()
}

/// Returns the name that one stands for in the document of another name.
fn resolve(base: &str, name: &str) -> String {
    match base.rsplit_once('/') {
        Some((folder, _)) if !name.contains(':') && !name.starts_with('/') => {
            format!("{folder}/{name}")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_pointers() {
        let check = |root: &str, reference: &str, expected: &str| {
            let mut schema = json!({
                "properties": { "$ref": { "$ref": reference }, "a": { "enum": [{ "$ref": "i" }] } },
                "definitions": {
                    "i": { "$id": "i.json", "items": { "$ref": "#/x" }, "x": { "$anchor": "y" } },
                    "o": { "$id": "#old" }, "a/b": { "$anchor": "new" },
                },
            });
            if !root.is_empty() {
                schema["$id"] = root.into();
            }
            let Value::Object(mut schema) = schema else { unreachable!() };
            with_pointers(&mut schema);
            assert_eq!(schema["properties"]["$ref"]["$ref"], expected, "{root} {reference}");
            assert_eq!(schema["properties"]["a"]["enum"][0]["$ref"], "i");
            let definition = json!({ "items": { "$ref": "#/definitions/i/x" }, "x": {} });
            assert_eq!(schema["definitions"]["i"], definition);
        };
        for root in ["", "https://example.com/s/root.json", "root.json"] {
            check(root, "i.json", "#/definitions/i");
            check(root, "i.json#", "#/definitions/i");
            check(root, "i.json#/x", "#/definitions/i/x");
            check(root, "i.json#y", "#/definitions/i/x");
            check(root, "#old", "#/definitions/o");
            check(root, "#new", "#/definitions/a~1b");
            check(root, "#/definitions/i", "#/definitions/i");
            check(root, "#", "#");
            check(root, "elsewhere.json", "elsewhere.json");
            check(root, "#nowhere", "#nowhere");
        }
        let root = "https://example.com/s/root.json";
        check(root, "https://example.com/s/i.json", "#/definitions/i");
        check(root, "https://example.com/s/root.json#old", "#/definitions/o");
        check(root, "root.json#/definitions/o", "#/definitions/o");
    }
}
