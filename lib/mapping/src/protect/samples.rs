//! Removes what a schema could show of protected values: samples, choices, and definitions that
//! nothing names any more.

use serde_json::{Map, Value};

/// The members of the schema of a stream that describe its columns by name.
const KEPT: [&str; 7] =
    ["type", "properties", "required", "title", "description", "$schema", "additionalProperties"];

/// Leaves out all of the schema of a stream but its columns, and the definitions that they name.
pub(crate) fn remove_samples(schema: &mut Map<String, Value>) {
    let mut needed = Vec::new();
    if let Some(properties) = schema.get("properties") {
        references(properties, &mut needed);
    }
    let mut at = 0;
    while let Some(name) = needed.get(at) {
        let mut more = Vec::new();
        if let Some(definition) = definition(schema, name) {
            references(definition, &mut more);
        }
        more.retain(|name| !needed.contains(name));
        needed.append(&mut more);
        at += 1;
    }
    schema.retain(|name, value| match name.as_str() {
        "definitions" | "$defs" => {
            if let Some(definitions) = value.as_object_mut() {
                let prefix = format!("#/{name}/");
                definitions.retain(|name, _| needed.contains(&format!("{prefix}{name}")));
                !definitions.is_empty()
            } else {
                false
            }
        }
        "additionalProperties" => value.is_boolean(),
        name => KEPT.contains(&name) || name.starts_with("x-"),
    });
}

/// Collects what `$ref` names.
fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(target) if name == "$ref" => {
                        if !found.contains(target) {
                            found.push(target.clone());
                        }
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn definition<'a>(schema: &'a Map<String, Value>, target: &str) -> Option<&'a Value> {
    let mut path = target.strip_prefix("#/")?.split('/');
    let mut found = schema.get(path.next()?)?;
    for name in path {
        found = found.get(name)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_columns_and_what_they_name_stay() {
        let schema = json!({
            "type": "object",
            "examples": [{ "v": "SECRET" }],
            "default": { "v": "SECRET" },
            "allOf": [{ "properties": { "v": { "enum": ["SECRET"] } } }],
            "patternProperties": { "^v": { "const": "SECRET" } },
            "additionalProperties": { "enum": ["SECRET"] },
            "properties": {
                "v": { "type": "string" },
                "w": { "anyOf": [{ "$ref": "#/definitions/w" }, { "type": "null" }] },
            },
            "definitions": {
                "v": { "enum": ["SECRET"] },
                "w": { "type": "object", "properties": { "x": { "$ref": "#/definitions/x" } } },
                "x": { "type": "string" },
            },
            "x-source": "public.t",
        });
        let Value::Object(mut schema) = schema else { panic!("not an object") };
        remove_samples(&mut schema);
        assert!(!Value::from(schema.clone()).to_string().contains("SECRET"));
        let names: Vec<&String> = schema.keys().collect();
        assert_eq!(names, ["type", "properties", "definitions", "x-source"]);
        assert_eq!(schema["definitions"].as_object().unwrap().len(), 2);
    }
}
