//! Streams: what discovery writes, what selection leaves, what SCHEMA says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{self, Column};

/// How a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationMethod {
    /// Every row, every time.
    FullTable,
    /// Rows whose replication key is at or beyond the bookmark.
    Incremental,
    /// Changes from the source's log.
    LogBased,
}

/// A stream: in a tap its catalog entry, in a target what SCHEMA said.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// `tap_stream_id`: unique in the catalog, the key of its bookmark.
    pub id: String,
    /// `stream`: the name in messages.
    pub name: String,
    /// The JSON Schema, with every keyword it came with; after selection only selected properties.
    pub schema: Map<String, Value>,
    /// The columns of `schema`, in its order.
    pub columns: Vec<Column>,
    /// `key_properties`.
    pub keys: Vec<String>,
    /// How to read it, once selection has decided.
    pub replication_method: ReplicationMethod,
    /// The column that orders an INCREMENTAL read.
    pub replication_key: Option<String>,
    /// Catalog metadata by breadcrumb; `[]` is the stream itself.
    pub metadata: BTreeMap<Vec<String>, Map<String, Value>>,
    /// Further stream-level fields of the catalog (`table_name`, `database_name`, ...), kept as is.
    pub fields: Map<String, Value>,
}

impl Stream {
    /// Makes a stream with this schema (an object with `properties`) and keys.
    pub fn new(name: impl Into<String>, schema: Map<String, Value>, keys: Vec<String>) -> Self {
        let name = name.into();
        Self {
            id: name.clone(),
            name,
            columns: schema::columns(&schema),
            schema,
            keys,
            replication_method: ReplicationMethod::FullTable,
            replication_key: None,
            metadata: BTreeMap::new(),
            fields: Map::new(),
        }
    }

    /// Returns the position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Returns a metadata value of the stream itself.
    pub fn meta(&self, key: &str) -> Option<&Value> {
        self.metadata.get(&[] as &[String]).and_then(|meta| meta.get(key))
    }

    /// Sets a metadata value of the stream itself (`None`) or of a property.
    pub fn set_meta(&mut self, property: Option<&str>, key: &str, value: impl Into<Value>) {
        let breadcrumb = match property {
            Some(name) => vec!["properties".to_owned(), name.to_owned()],
            None => Vec::new(),
        };
        self.metadata.entry(breadcrumb).or_default().insert(key.to_owned(), value.into());
    }
}
