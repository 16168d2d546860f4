//! The types of what expressions give, by the rules of the SDK.

use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result, Stream};

/// Words that can be written as the type of a property.
const WORDS: [&str; 9] =
    ["string", "integer", "number", "boolean", "object", "array", "date", "time", "date-time"];

/// Returns the schema of a type that is named by a word.
pub(crate) fn of_word(word: &str) -> Result<Value> {
    if !WORDS.contains(&word) {
        return Err(Error::new(ErrorKind::Config, "unknown type in a named map")
            .with("type", word)
            .hint(format!("there are {}", WORDS.join(", "))));
    }
    Ok(match word {
        "date" | "time" | "date-time" => json!({ "type": ["string", "null"], "format": word }),
        _ => json!({ "type": [word, "null"] }),
    })
}

/// What the SDK decides a type by: how the text of an expression starts or ends.
pub(crate) fn by_text(expression: &str, stream: &Stream) -> Option<Value> {
    let starts = |words: &[&str]| words.iter().any(|word| expression.starts_with(word));
    let word = if expression == "record" {
        return Some(Value::Object(stream.schema.clone()));
    } else if starts(&["float("]) {
        "number"
    } else if starts(&["int("]) {
        "integer"
    } else if starts(&["str(", "json.dumps("]) {
        "string"
    } else if starts(&["bool("]) {
        "boolean"
    } else if starts(&["datetime.date.", "datetime.date("]) || expression.ends_with(".date()") {
        "date"
    } else if starts(&["datetime.datetime.", "datetime.datetime("]) {
        "date-time"
    } else if expression.starts_with('\'') && expression.ends_with('\'') {
        "string"
    } else {
        return None;
    };
    of_word(word).ok()
}

/// Returns the type of a property for values that are computed: the values that its schema allowed
/// (lengths, words, types of a database) are others now.
pub(crate) fn computed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.retain(|keyword, value| match keyword.as_str() {
            "type"
            | "anyOf"
            | "oneOf"
            | "allOf"
            | "$ref"
            | "description"
            | "title"
            | "properties"
            | "items"
            | "additionalProperties" => true,
            "format" => value.as_str().is_some_and(|format| WORDS.contains(&format)),
            _ => false,
        });
    }
    nullable(schema)
}

/// Allows null.
pub(crate) fn nullable(mut schema: Value) -> Value {
    let null = || json!("null");
    match schema.get_mut("type") {
        Some(Value::Array(types)) => {
            if !types.contains(&null()) {
                types.push(null());
            }
        }
        Some(one) if *one != "null" => *one = json!([one.clone(), "null"]),
        Some(_) => {}
        None => {
            for keyword in ["anyOf", "oneOf"] {
                if let Some(Value::Array(branches)) = schema.get_mut(keyword) {
                    let allows = |branch: &Value| {
                        branch["type"] == "null"
                            || branch["type"].as_array().is_some_and(|all| all.contains(&null()))
                    };
                    if !branches.iter().any(allows) {
                        branches.push(json!({ "type": "null" }));
                    }
                }
            }
        }
    }
    schema
}

/// Forbids null, as in a key.
pub(crate) fn required(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get_mut("type")
        && types.len() > 1
    {
        types.retain(|word| word != "null");
    }
    schema
}
