//! A SCHEMA as a stream.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::at_line;
use crate::catalog::Stream;
use crate::coverage::Coverage;
use crate::decode::Line;
use crate::encode::{READ_FROM, SOURCE_STREAM};
use crate::error::{ErrorKind, Result};
use crate::file_id::FileId;
use crate::near::{ALIKE, nearest};
use crate::schema::{Column, check_size, unknown_type};
use crate::word::RUN;

/// The types that JSON Schema knows.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// Reads the stream that a SCHEMA declares.
pub(super) fn read(name: &str, line: &Line<'_>, number: u64, columns_max: usize) -> Result<Stream> {
    let fault = |what: &str| at_line(ErrorKind::Protocol, what, number).with("stream", name);
    let schema = line.schema.and_then(|text| serde_json::from_slice::<Map<_, _>>(text).ok());
    let schema = schema.ok_or_else(|| fault("a SCHEMA needs `schema`, an object"))?;
    if !schema.get("properties").is_some_and(Value::is_object) {
        return Err(fault("the schema of a stream needs `properties`, an object"));
    }
    check_size(&schema, columns_max)
        .map_err(|failure| failure.with("stream", name).with("line", number))?;
    let keys = match line.key_properties {
        None | Some(b"null") => {
            crate::warn!("W-KEYS-MISSING", "the SCHEMA of stream {name} has no `key_properties`");
            Vec::new()
        }
        Some(text) => serde_json::from_slice::<Vec<String>>(text)
            .map_err(|_| fault("`key_properties` is not a list of names"))?,
    };
    // A column that is named twice is one column of the key.
    let mut named = BTreeSet::new();
    let keys = keys.into_iter().filter(|key| named.insert(key.clone())).collect();
    let mut stream = Stream::new(name, schema, keys);
    let ordered_by = line.bookmark_properties.and_then(|text| serde_json::from_slice(text).ok());
    stream.replication_key = ordered_by.and_then(|names: Vec<String>| names.into_iter().next());
    let coverage = line.coverage.and_then(|text| serde_json::from_slice(text).ok());
    stream.coverage = coverage.unwrap_or_default();
    stream.read_from = line.read_from.map(FileId::list).unwrap_or_default();
    stream.source_stream =
        line.source_stream.and_then(|text| serde_json::from_slice(text).unwrap_or_default());
    if let Some(column) = stream.columns.iter().find(|column| column.name.is_empty()) {
        return Err(fault("a property has an empty name").with("property", &column.name));
    }
    let unknown = |column: &Column| Some((column.name.clone(), unknown_type(&column.schema)?));
    if let Some((property, word)) = stream.columns.iter().find_map(unknown) {
        let near = nearest(&word, TYPES, ALIKE);
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        return Err(fault("a property has a type that JSON Schema does not have")
            .with("property", property)
            .with("type", word)
            .hint(format!(
                "{near}the types are {}: correct the tap or its catalog",
                TYPES.join(", ")
            )));
    }
    match stream.keys.iter().find(|key| !stream.has_column(key)) {
        Some(key) => Err(fault("a key property is not in the schema").with("key", key)),
        None => Ok(stream),
    }
}

/// Returns the members of a SCHEMA that [`read`] does not read.
pub(super) fn further_members(text: &[u8]) -> Map<String, Value> {
    let mut members: Map<String, Value> = serde_json::from_slice(text).unwrap_or_default();
    let known = ["type", "stream", "schema", "key_properties", Coverage::MEMBER, READ_FROM];
    for name in known.into_iter().chain([SOURCE_STREAM, RUN]) {
        members.remove(name);
    }
    members
}
