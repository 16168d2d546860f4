//! Answers that are not what they should be: no JSON, or one record in place of many.

use std::sync::atomic::Ordering;

use files::json::Lacking;
use http_client::Answer;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::plan::Plan;
use crate::row::{Context, Unusable};

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

/// Warns when an answer that is an object, and for want of a `records_path` a record, seems to hold
/// the records.
pub fn warn_of_records(plan: &Plan, envelope: &Value) {
    let Some(members) = envelope.as_object() else { return };
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
}

/// Warns, once for a stream, of elements that lack the place where `records_path` goes on, so that
/// they have no row.
pub fn warn_of_lacking(plan: &Plan, envelope: &Value) {
    let Lacking { all, lacking } = plan.records.lacking(envelope);
    if lacking == 0 || plan.allow_missing || plan.warned.lacking.swap(true, Ordering::Relaxed) {
        return;
    }
    singer::warn!(
        "W-RECORDS-LACKING",
        "stream {}: {lacking} of {all} elements in an answer have nothing at `{}`, so that no row \
         is made of them: correct `records_path`, or set `allow_missing_records` if they have no \
         record",
        plan.name,
        plan.records
    );
}

/// Warns, once for a stream, of an object that is taken for one record and looks like a map of
/// records.
pub fn warn_of_map(plan: &Plan) {
    if plan.warned.map.swap(true, Ordering::Relaxed) {
        return;
    }
    let path = plan.records.to_string();
    singer::warn!(
        "W-WHOLE-ANSWER",
        "stream {}: an object at `{path}` is taken for one record, with a column for each of its \
         members; if these are the records, set `records_path` to {}.*, and if it is one, to {}",
        plan.name,
        path.trim_end_matches("[*]"),
        path.trim_end_matches("[*]")
    );
}

/// Warns, once for a stream, when members of an object are records that do not have their names.
pub fn warn_of_names(plan: &Plan) {
    if plan.warned.names.swap(true, Ordering::Relaxed) {
        return;
    }
    singer::warn!(
        "W-PROPERTY-LOST",
        "stream {}: the members of the object at `{}` are its records, and the rows do not have \
         their names: if these are more than places, have the API give them within each record; a \
         `records_path` without its end takes the object for one record, with their names as \
         columns",
        plan.name,
        plan.records
    );
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

/// Refuses a record of which no row can be made.
pub fn no_row(plan: &Plan, context: &Context, unusable: Unusable) -> Error {
    let failure = Error::new(ErrorKind::Data, "cannot make a row of a record");
    let at = match unusable {
        Unusable::Fault(fault) => {
            return failure.with("reason", fault.what).hint("`records_path` must lead to objects");
        }
        Unusable::Differs(at) => at,
    };
    let name = context.members.get(at).map(|(name, _)| name.as_str()).unwrap_or_default();
    let mut keys = plan.parent.iter().flat_map(|(_, keys)| keys);
    let failure = failure.with("stream", &plan.name).with("member of the record", name);
    match keys.find(|(to, _)| to == name) {
        Some((_, from)) => failure
            .with("property of the parent", from)
            .with("reason", "the record and its parent have different values for one column")
            .hint(
                "choose another name for the parent's value in `parent_keys`, as in \
                 {\"parent_id\": \"id\"}, and use it in `path`, `params` and `primary_keys`",
            ),
        None => failure
            .with("reason", "the record and its input have different values for one column")
            .hint(
                "choose another name for the member of `inputs`, and use it in `path`, `params` \
                 and `primary_keys`",
            ),
    }
}
