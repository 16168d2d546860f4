//! State: bookmarks per stream, in the SDK's shape; the pipelinewise shape is read too.

use serde_json::Value;

/// Where a stream was left by an earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bookmark {
    /// The stream's bookmark object, null when there is none.
    pub value: Value,
    /// Where an INCREMENTAL read starts (`>=`), as text: the bookmark's `replication_key_value`,
    /// else `start_date`; `None` reads everything, null keys included.
    pub start: Option<String>,
}
