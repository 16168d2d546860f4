//! Texts and spelled numbers as the kinds of their settings.

use jiff::civil::DateTime;
use serde_json::{Map, Number, Value};
use singer::{Error, ErrorKind, Result};

use super::definition::Definition;
use super::{flat, literal};
use crate::spelled;

/// Makes a text the kind of its setting; an empty one is none. Numbers and truth values as a file
/// spells them become texts where a text is wanted; all others are read when all is known.
pub(super) fn cast(value: &mut Value, kind: Option<&str>) -> Result<()> {
    let kind = kind.unwrap_or_default();
    if let Some(spelled) = spelled::unread(value) {
        if is_text(kind) {
            *value = Value::from(spelled);
        }
        return Ok(());
    }
    let Value::String(text) = value else { return Ok(()) };
    *value = match read_as(kind, text) {
        Some(Value::String(_)) => return Ok(()),
        _ if text.trim().is_empty() => Value::Null,
        Some(read) => read,
        // It may be in a notation of the plugin's own.
        None if matches!(kind, "array" | "object") => return Ok(()),
        None => {
            let message = "cannot read a value as the type of its setting";
            return Err(hinted(Error::new(ErrorKind::Config, message).with("kind", kind), kind));
        }
    };
    Ok(())
}

/// Refuses a text that is no list or mapping where one is wanted, as Meltano does.
pub(super) fn check_text(value: &Value, kind: &str) -> Result<()> {
    let is_other = value.is_string() && spelled::unread(value).is_none();
    if !is_other || !matches!(kind, "array" | "object") {
        return Ok(());
    }
    let example = if kind == "array" { "[\"a\", \"b\"]" } else { "{\"a\": 1}" };
    Err(Error::new(ErrorKind::Config, "cannot read a value as the type of its setting")
        .with("kind", kind)
        .hint(format!("write it as JSON, such as {example}")))
}

fn is_text(kind: &str) -> bool {
    !matches!(kind, "" | "integer" | "decimal" | "boolean" | "array" | "object")
}

/// Says of a word that Meltano takes for false what to write.
pub(super) fn hinted(failure: Error, kind: &str) -> Error {
    if kind == "boolean" { failure.hint("write true or false") } else { failure }
}

/// Reads a number or truth value as one of ours says it; `None` where the kind says nothing.
pub(super) fn as_spelled(kind: Option<&str>, spelled: &str) -> Result<Option<Value>> {
    let refuse = |kind: &str| {
        Error::new(ErrorKind::Config, "cannot read a value as the type of its setting")
            .with("kind", kind)
    };
    let read = match kind {
        None | Some("array" | "object") => return Ok(None),
        Some("boolean") => read_as("boolean", spelled).ok_or_else(|| refuse("boolean"))?,
        Some(kind @ ("integer" | "decimal")) => {
            let value = spelled::plain(spelled).ok_or_else(spelled::inexact)?;
            match (kind, value.is_number()) {
                (_, false) => return Err(refuse(kind)),
                ("integer", true) if !is_whole(&value) => {
                    whole(&value).ok_or_else(|| refuse(kind))?
                }
                _ => value,
            }
        }
        Some(_) => Value::from(spelled),
    };
    Ok(Some(read))
}

fn is_whole(value: &Value) -> bool {
    !value.to_string().contains(['.', 'e', 'E'])
}

/// Returns a number without a fraction as a whole one.
fn whole(value: &Value) -> Option<Value> {
    format!("{:.0}", value.as_f64()?)
        .parse::<i64>()
        .ok()
        .map(Value::from)
        .filter(|whole| whole.as_f64() == value.as_f64())
}

/// Returns the kind that a value has by itself, as Meltano sees it.
pub(super) fn kind_of(value: &Value) -> Option<&'static str> {
    let plain = spelled::unread(value).and_then(spelled::plain);
    match plain.as_ref().unwrap_or(value) {
        Value::Bool(_) => Some("boolean"),
        number @ Value::Number(_) => Some(if is_whole(number) { "integer" } else { "decimal" }),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
        Value::String(_) | Value::Null => None,
    }
}

/// Reads the text of a variable as the kind of its setting; `None` when it cannot be.
pub(super) fn read_as(kind: &str, text: &str) -> Option<Value> {
    let list = |text: &str| serde_json::from_str(text).ok().or_else(|| literal::read(text));
    match kind {
        "integer" => text.trim().replace('_', "").parse::<i64>().ok().map(Value::from),
        "decimal" => serde_json::from_str::<Number>(text.trim()).ok().map(Value::Number),
        // Meltano takes every other word for false; what may mean true is refused.
        "boolean" => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "0" | "no" | "n" | "off" | "f" | "" => Some(Value::Bool(false)),
            _ => None,
        },
        "array" => list(text).filter(Value::is_array),
        "object" => list(text).filter(Value::is_object),
        _ => Some(Value::from(text)),
    }
}

/// Changes a value as its setting wants it when it is read, `value_processor`.
pub(super) fn process(value: Value, definition: &Definition, now: DateTime) -> Result<Value> {
    match (definition.processor.as_deref(), value) {
        (Some("upcase_string"), Value::String(text)) => Ok(Value::from(text.to_uppercase())),
        (Some("nest_object"), Value::Object(members)) => {
            let mut nested = Map::new();
            for (name, value) in members {
                // As Meltano has it.
                let value = if value.is_null() { Value::Object(Map::new()) } else { value };
                flat::nest(&mut nested, &name, value)?;
            }
            Ok(Value::Object(nested))
        }
        (Some("stringify"), value) if !value.is_string() => settled_text(value),
        (Some("parse_date"), Value::String(text)) => super::dates::read(&text, now),
        (_, value) => Ok(value),
    }
}

/// Changes a value as the plugin wants it, `value_post_processor`; a date that is told from now on
/// is a time.
pub(super) fn post_process(value: Value, definition: &Definition, now: DateTime) -> Result<Value> {
    match (definition.post_processor.as_deref(), value) {
        (Some("upcase_string"), Value::String(text)) => Ok(Value::from(text.to_uppercase())),
        (Some("stringify"), value) if !value.is_string() || spelled::unread(&value).is_some() => {
            settled_text(value)
        }
        (Some("parse_date"), Value::String(text)) => super::dates::read(&text, now),
        (None, Value::String(text)) if definition.kind() == "date_iso8601" => {
            super::dates::read(&text, now)
        }
        (_, value) => Ok(value),
    }
}

fn settled_text(mut value: Value) -> Result<Value> {
    spelled::settle(&mut value)?;
    Ok(Value::from(super::dump::json(&value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_variables_by_the_kind_of_their_setting() {
        let check = |kind: &str, text: &str, expected: Option<Value>| {
            assert_eq!(read_as(kind, text), expected, "{kind} {text}");
        };
        check("integer", "5432", Some(json!(5432)));
        check("integer", "05432", Some(json!(5432)));
        check("integer", "x", None);
        check("boolean", "True", Some(json!(true)));
        check("boolean", "off", Some(json!(false)));
        // False for Meltano, and true for whoever writes it.
        check("boolean", "t", None);
        check("boolean", "maybe", None);
        check("array", "[1]", Some(json!([1])));
        check("array", "['a']", Some(json!(["a"])));
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
        check(Some("integer"), "05432", Some(json!(5432)));
        check(Some("integer"), "1_000", Some(json!(1000)));
        check(Some("integer"), "2e3", Some(json!(2000)));
        check(Some("decimal"), "1.50", Some(json!(1.5)));
        check(Some("boolean"), "1", Some(json!(true)));
        check(Some("array"), "5", None);
        for (kind, text) in [("integer", "1.5"), ("integer", "true"), ("boolean", "2")] {
            assert!(as_spelled(Some(kind), text).is_err(), "{kind} {text}");
        }
    }
}
