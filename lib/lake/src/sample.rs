//! A day, and a table of it, as the tests of this crate publish them.

use serde_json::{Value, json};
use singer::Coverage;

use crate::format::Format;
use crate::{Completeness, Contents, Datestamp};

pub(crate) fn day() -> Datestamp {
    "2024-02-29".parse().unwrap()
}

/// Returns what is said of a table with the key `id` and these columns beside it.
pub(crate) fn contents(more: &Value) -> Contents {
    let mut properties = json!({ "id": { "type": "integer" } });
    for (name, column) in more.as_object().into_iter().flatten() {
        properties[name] = column.clone();
    }
    let schema = json!({ "type": "object", "properties": properties });
    Contents {
        schema: schema.as_object().unwrap().clone(),
        key_properties: vec!["id".to_owned()],
        complete: Completeness::Verified,
        coverage: Coverage::Whole,
        format: Format::Csv,
        state: None,
    }
}
