//! What a target has added that no state covers: read again, those rows would be there twice.
//!
//! The rule: a target says so in its log before it makes such rows durable, and takes it back once
//! it has printed a state that covers them. Whoever runs it knows, however it ends.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::metrics;

static UNCOVERED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Members of a bookmark that leave out no row of the next run.
const NO_MARKS: [&str; 6] = [
    "last_replication_method",
    "progress_markers",
    "replication_key",
    "replication_key_signpost",
    "starting_replication_value",
    "version",
];

/// Says that rows of a stream are added, beside which the same ones would be added again.
pub fn begin(stream: &str) {
    let mut uncovered = UNCOVERED.lock().unwrap_or_else(PoisonError::into_inner);
    if uncovered.insert(stream.to_owned()) {
        metrics::uncovered(stream, true);
    }
}

/// Tells whether rows of a stream were added that no state covers.
pub(crate) fn is_uncovered(stream: &str) -> bool {
    UNCOVERED.lock().unwrap_or_else(PoisonError::into_inner).contains(stream)
}

/// Says that a state covers the rows of a stream.
pub(crate) fn cover(stream: &str) {
    let mut uncovered = UNCOVERED.lock().unwrap_or_else(PoisonError::into_inner);
    if uncovered.remove(stream) {
        metrics::uncovered(stream, false);
    }
}

/// Returns what a bookmark leaves out of the next run: null where that is nothing.
pub(crate) fn mark(bookmark: &Value) -> Value {
    let Some(members) = bookmark.as_object() else { return bookmark.clone() };
    let mut members = members.clone();
    members.retain(|name, value| !NO_MARKS.contains(&name.as_str()) && !value.is_null());
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bookmark_covers_rows_by_what_it_leaves_out() {
        let check = |bookmark: Value, expected: Value| {
            assert_eq!(mark(&bookmark), expected, "{bookmark}");
        };
        check(Value::Null, Value::Null);
        check(json!({}), Value::Null);
        check(json!({"last_replication_method": "FULL_TABLE", "version": 7}), Value::Null);
        check(json!({"replication_key": "u", "replication_key_value": null}), Value::Null);
        let moved = json!({"replication_key": "u", "replication_key_value": 7,
            "progress_markers": {"replication_key_value": 9}});
        check(moved, json!({"replication_key_value": 7}));
        check(json!({"files": {"a": 1}}), json!({"files": {"a": 1}}));
        check(json!("2026-01-31"), json!("2026-01-31"));
    }
}
