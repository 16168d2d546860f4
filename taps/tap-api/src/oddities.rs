//! Answers that are not what they should be: no JSON, failures that look like records, more pages.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::http::answer::Answer;
use crate::plan::Plan;

/// Refuses what is no JSON by its own words; tells whether each line is a record.
pub fn check_kind(answer: &mut Answer) -> Result<bool> {
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if matches!(kind, "text/html" | "application/xhtml+xml" | "text/xml" | "application/xml") {
        return Err(Error::new(ErrorKind::Data, "the answer is no JSON")
            .with("content-type", kind)
            .hint("check `api_url` and `path`; an answer like this can also be a sign-in page"));
    }
    if answer.status != 204 && answer.length == 0 {
        return Err(Error::new(ErrorKind::Data, "the answer is empty")
            .hint("check `path` and `params`: an API without records gives an empty list"));
    }
    Ok(matches!(kind, "application/x-ndjson" | "application/ndjson" | "application/jsonl"))
}

/// Warns when a style of pages that was not set seems to be wanted.
pub fn warn_of_more(plan: &Plan, answer: &Answer) {
    if crate::paging::link::next(answer.headers_named("link")).is_some() {
        singer::warn!(
            "W-MORE-PAGES",
            "stream {}: the answer has a Link to a next page; `pagination_request_style: \
             link_header` follows it",
            plan.name
        );
    }
}

/// Looks at an answer that is an object, and for want of a `records_path` a record: refuses one
/// that tells of a failure, and warns of one that seems to hold the records.
pub fn check_record(plan: &Plan, envelope: &Value) -> Result<()> {
    let Some(members) = envelope.as_object() else { return Ok(()) };
    let says = |name: &str| match members.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    if says("error") || says("errors") {
        return Err(Error::new(ErrorKind::Data, "the answer tells of a failure")
            .hint("see the answer; if it is a record all the same, set `records_path` to $"));
    }
    let lists =
        |value: &Value| value.as_array().is_some_and(|list| list.iter().any(Value::is_object));
    if let Some((name, _)) = members.iter().find(|(_, value)| lists(value)) {
        singer::warn!(
            "W-WHOLE-ANSWER",
            "stream {}: the whole answer is taken for one record; if its records are in `{name}`, \
             set `records_path` to $.{name}[*]",
            plan.name
        );
    }
    Ok(())
}

/// Refuses a replication key by which nobody can tell the day of its record.
pub fn no_moment(plan: &Plan, key: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot read the replication key of a record as a time")
        .with("replication_key", plan.replication_key.as_deref().unwrap_or_default())
        .with("value", key)
        .hint(
            "set `time_format` to how the API writes it; without a `replication_key` all records \
             are taken that the API gives for the day",
        )
}
