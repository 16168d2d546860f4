//! What is wrong with the value of a setting.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError};
use serde_json::Value;

use super::{accepts, members};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::near::{ALIKE, nearest};

/// Refuses a value that its schema does not let pass; the failure names the setting and what may
/// stand there, and not the value.
pub(super) fn check(name: &str, value: &Value, property: &Value) -> Result<()> {
    if let Some(members::Unknown { place, known, near }) = members::unknown(value, property) {
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the members are: {}", known.join(", ")),
        };
        return Err(Error::new(ErrorKind::Config, "cannot use an unknown member of a setting")
            .with("setting", format!("{name}{place}"))
            .hint(hint));
    }
    let validator = jsonschema::validator_for(property)
        .or_kind(ErrorKind::Internal, "cannot use the schema of the settings")?;
    validator.validate(value).map_err(|fault| {
        let place = fault.instance_path().to_string();
        let words = words_of(&fault);
        let wanted = match &words {
            Some(words) => Some(one_of(words)),
            None => wanted(property).filter(|_| place.is_empty()),
        };
        let given = value.pointer(&place).and_then(Value::as_str).unwrap_or_default();
        let near = nearest(given, words.into_iter().flatten(), ALIKE);
        let lacks_brackets = place.is_empty() && value.is_string() && accepts(property, "array");
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if lacks_brackets => "write a list, also of one: `[\"...\"]`".to_owned(),
            None => "--about lists the settings and their types".to_owned(),
        };
        Error::new(ErrorKind::Config, "a setting is wrong")
            .with("setting", format!("{name}{place}"))
            .with(
                "reason",
                wanted.or_else(|| wrong_type(&fault)).unwrap_or_else(|| fault.masked().to_string()),
            )
            .hint(hint)
    })
}

/// Returns the words that may stand where something else does.
fn words_of<'a>(fault: &'a ValidationError<'_>) -> Option<Vec<&'a str>> {
    let ValidationErrorKind::Enum { options } = fault.kind() else { return None };
    // That it may be null as well needs no word.
    options.as_array()?.iter().filter(|option| !option.is_null()).map(Value::as_str).collect()
}

/// Says what a value must be, and what it is.
fn wrong_type(fault: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Type { kind } = fault.kind() else { return None };
    let wanted: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![one.as_str()],
        TypeKind::Multiple(several) => several.iter().map(JsonType::as_str).collect(),
    };
    let is = JsonType::from(fault.instance().as_ref());
    Some(format!("it must be of type {}, and is of type {is}", wanted.join(" or ")))
}

fn one_of(words: &[&str]) -> String {
    format!("it must be one of `{}`", words.join("`, `"))
}

/// Says what a setting may be: one of some words, or of a type.
fn wanted(property: &Value) -> Option<String> {
    let mut words = Vec::new();
    choices(property, &mut words);
    if !words.is_empty() {
        return Some(one_of(&words));
    }
    let types = ["string", "integer", "number", "boolean", "array", "object"];
    let types: Vec<&str> = types.into_iter().filter(|word| accepts(property, word)).collect();
    (!types.is_empty()).then(|| format!("it must be of type {}", types.join(" or ")))
}

fn choices<'a>(property: &'a Value, words: &mut Vec<&'a str>) {
    words.extend(property["const"].as_str());
    words.extend(property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for key in ["anyOf", "oneOf"] {
        for branch in property[key].as_array().into_iter().flatten() {
            choices(branch, words);
        }
    }
}
