//! A day, and a table of it, as the tests of this crate publish them.

use std::path::PathBuf;

use disk::Datestamp;
use serde_json::{Value, json};
use singer::Coverage;

use crate::format::Format;
use crate::{Completeness, Contents, Key, Lake, Partition};

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
        rows_left_out: false,
        format: Format::Csv,
        state: None,
    }
}

/// Where tests look for folders themselves.
impl Lake {
    pub(crate) fn root(&self) -> PathBuf {
        self.folder(&Key::root())
    }

    pub(crate) fn source_folder(&self, source: &str) -> PathBuf {
        self.folder(&Key::source(source))
    }

    pub(crate) fn day_folder(&self, source: &str, day: Datestamp) -> PathBuf {
        self.folder(&Key::day(source, day))
    }

    pub(crate) fn table_folder(&self, source: &str, day: Datestamp, table: &str) -> PathBuf {
        self.folder(&Key::table(source, day, table))
    }

    pub(crate) fn folder(&self, at: &Key) -> PathBuf {
        self.local_path(at).unwrap()
    }
}

impl Partition {
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files().iter().map(|file| self.lake.folder(file)).collect()
    }
}
