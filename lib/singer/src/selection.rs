//! Which streams and properties a run writes, by the metadata of the catalog.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::catalog::{Metadata, ReplicationMethod, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::near::{ALIKE, nearest};
use crate::scan::Scanner;
use crate::schema;

/// The parts of nested values that selection removes, by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruning(BTreeMap<String, Option<Pruning>>);

/// A stream as a run writes it.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The stream with the selected properties alone.
    pub stream: Stream,
    /// For each column, what to remove from its nested values.
    pub prunings: Vec<Option<Pruning>>,
    /// The properties left out.
    pub deselected: Vec<String>,
}

/// Applies the selection rules; `None` when the stream is not selected.
pub fn select(mut stream: Stream) -> Result<Option<Selected>> {
    let automatic = stream.keys.iter().chain(&stream.replication_key).cloned();
    let rules = Rules::new(&stream.metadata, automatic);
    if !rules.root() {
        return Ok(None);
    }
    let mut schema = stream.schema.clone();
    let pruning = rules.prune(&mut schema, &mut Vec::new());
    stream.columns = schema::columns(&schema);
    stream.schema = schema;
    for key in &stream.keys {
        if !stream.has_column(key) {
            return Err(Error::new(ErrorKind::Config, "a key property is not in the schema")
                .with("stream", &stream.id)
                .with("column", key)
                .hint("write the catalog again with --discover"));
        }
    }
    if stream.replication_method == ReplicationMethod::Incremental {
        let key = stream.replication_key.as_deref();
        if key.is_none_or(|key| !stream.has_column(key)) {
            let set = "set `replication-key` in the stream's metadata to one of its columns";
            return Err(without_key(&stream, key, set));
        }
    }
    if stream.columns.is_empty() && !pruning.0.is_empty() {
        crate::warn!(
            "W-STREAM-EMPTY",
            "stream {} is left out: none of its columns is selected",
            stream.name
        );
        return Ok(None);
    }
    let prunings = stream
        .columns
        .iter()
        .map(|column| pruning.0.get(&column.name).cloned().flatten())
        .collect();
    let out = pruning.0.iter().filter(|(_, inner)| inner.is_none());
    let deselected = out.map(|(name, _)| name.clone()).collect();
    Ok(Some(Selected { stream, prunings, deselected }))
}

/// Makes the error of an INCREMENTAL stream whose replication key is not one of its columns; `set`
/// says where to name it, for a key that resembles no column.
pub fn without_key(stream: &Stream, key: Option<&str>, set: &str) -> Error {
    let names: Vec<&str> = stream.columns.iter().map(|column| column.name.as_str()).collect();
    let meant = key.and_then(|key| nearest(key, names.iter().copied(), ALIKE));
    Error::new(ErrorKind::Config, "cannot find the replication key")
        .with("stream", &stream.id)
        .with("replication key", key.unwrap_or("(none)"))
        .with("columns", names.join(", "))
        .hint(meant.map_or_else(|| set.to_owned(), |meant| format!("did you mean `{meant}`?")))
}

/// What a run reads of a stream, judged by the metadata of its catalog entry.
pub struct Rules<'a> {
    metadata: &'a Metadata,
    automatic: BTreeSet<String>,
}

impl<'a> Rules<'a> {
    /// Judges by this metadata; `automatic` columns, keys and the like, are read whatever it says.
    pub fn new(metadata: &'a Metadata, automatic: impl IntoIterator<Item = String>) -> Self {
        Self { metadata, automatic: automatic.into_iter().collect() }
    }

    /// Tells whether the stream is read: also where the metadata says nothing at all.
    pub fn root(&self) -> bool {
        if self.metadata.values().all(Map::is_empty) {
            return true;
        }
        let Some(meta) = self.metadata.get(&[] as &[String]) else { return false };
        own(meta).unwrap_or(false)
    }

    /// Tells whether a column is read.
    pub fn column(&self, name: &str) -> bool {
        self.property(&["properties".to_owned(), name.to_owned()], true)
    }

    fn property(&self, breadcrumb: &[String], parent: bool) -> bool {
        if breadcrumb.len() == 2 && self.automatic.contains(&breadcrumb[1]) {
            return true;
        }
        self.metadata.get(breadcrumb).and_then(own).unwrap_or(parent)
    }

    /// Removes unselected properties from a schema object; returns what to remove from values.
    fn prune(&self, schema: &mut Map<String, Value>, at: &mut Vec<String>) -> Pruning {
        let mut pruning = Pruning::default();
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
            return pruning;
        };
        properties.retain(|name, property| {
            at.extend(["properties".to_owned(), name.clone()]);
            let keep = self.property(at, true);
            if !keep {
                pruning.0.insert(name.clone(), None);
            } else if let Some(property) = property.as_object_mut() {
                let inner = self.prune(property, at);
                if !inner.0.is_empty() {
                    pruning.0.insert(name.clone(), Some(inner));
                }
            }
            at.truncate(at.len() - 2);
            keep
        });
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| {
                name.as_str().is_none_or(|name| !matches!(pruning.0.get(name), Some(None)))
            });
        }
        pruning
    }
}

/// What an entry says of itself: `unsupported`, `automatic`, `selected`, `selected-by-default`.
fn own(meta: &Map<String, Value>) -> Option<bool> {
    match meta.get("inclusion").and_then(Value::as_str) {
        Some("unsupported") => return Some(false),
        Some("automatic") => return Some(true),
        _ => {}
    }
    let flag = |key: &str| meta.get(key).and_then(Value::as_bool);
    flag("selected").or_else(|| flag("selected-by-default"))
}

impl Pruning {
    /// Appends the compact JSON text `text` without the removed parts.
    pub fn apply(&self, text: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if self.try_apply(text, out).is_none() {
            out.truncate(start);
            out.extend_from_slice(text);
        }
    }

    /// `None` when the text is not an object, and thus has nothing to remove.
    fn try_apply(&self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut scanner = Scanner::new(text);
        let mut more = scanner.open(b'{', b'}').ok()?;
        out.push(b'{');
        let mut first = true;
        while more {
            let start = scanner.at();
            let key = scanner.key().ok()?;
            let value_start = scanner.at();
            scanner.value().ok()?;
            let value = &text[value_start..scanner.at()];
            let mut name = Vec::new();
            key.unescape_into(&mut name);
            let rule = std::str::from_utf8(&name).ok().and_then(|name| self.0.get(name));
            if !matches!(rule, Some(None)) {
                if !first {
                    out.push(b',');
                }
                first = false;
                out.extend_from_slice(&text[start..value_start]);
                match rule {
                    Some(Some(inner)) => inner.apply(value, out),
                    _ => out.extend_from_slice(value),
                }
            }
            more = scanner.more(b'}').ok()?;
        }
        out.push(b'}');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn selected(entry: &str) -> Option<Vec<String>> {
        let text = format!("{{\"streams\":[{entry}]}}");
        let stream =
            catalog::from_slice(text.as_bytes(), None, schema::COLUMNS_MAX).unwrap().remove(0);
        let selected = select(stream).unwrap()?;
        Some(selected.stream.columns.iter().map(|column| column.name.clone()).collect())
    }

    #[test]
    fn follows_the_selection_rules() {
        let schema = r#""schema":{"properties":{"id":{},"a":{},"b":{}}}"#;
        let check = |metadata: &str, expected: Option<&[&str]>| {
            let entry = format!(
                r#"{{"stream":"s","key_properties":["id"],{schema},"metadata":[{metadata}]}}"#
            );
            let expected = expected.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(selected(&entry), expected, "{metadata}");
        };
        let root = |meta: &str| format!(r#"{{"breadcrumb":[],"metadata":{{{meta}}}}}"#);
        let of = |name: &str, meta: &str| {
            format!(r#"{{"breadcrumb":["properties","{name}"],"metadata":{{{meta}}}}}"#)
        };
        check("", Some(&["id", "a", "b"]));
        check(&root(r#""selected":false"#), None);
        check(&root(r#""schema-name":"x""#), None);
        check(&root(r#""selected-by-default":true"#), Some(&["id", "a", "b"]));
        let on = root(r#""selected":true"#);
        check(&format!("{on},{}", of("a", r#""selected":false"#)), Some(&["id", "b"]));
        check(&format!("{on},{}", of("id", r#""selected":false"#)), Some(&["id", "a", "b"]));
        let unsupported = of("a", r#""inclusion":"unsupported","selected":true"#);
        check(&format!("{on},{unsupported}"), Some(&["id", "b"]));
        let automatic = of("a", r#""inclusion":"automatic","selected":false"#);
        check(&format!("{on},{automatic}"), Some(&["id", "a", "b"]));
        let default = of("a", r#""selected-by-default":false"#);
        check(&format!("{on},{default}"), Some(&["id", "b"]));
    }

    #[test]
    fn a_wrong_replication_key_is_told_with_the_columns() {
        let told = |key: Value| {
            let root = serde_json::json!({"selected": true, "replication-method": "INCREMENTAL",
                "replication-key": key});
            let entry = serde_json::json!({"streams": [{"stream": "s",
                "schema": {"properties": {"id": {}, "updated_at": {}}},
                "metadata": [{"breadcrumb": [], "metadata": root}]}]});
            let text = entry.to_string();
            let mut streams =
                catalog::from_slice(text.as_bytes(), None, schema::COLUMNS_MAX).unwrap();
            select(streams.remove(0)).unwrap_err().to_string()
        };
        let near = told("updatd_at".into());
        assert!(near.contains("\n  columns: id, updated_at\n"), "{near}");
        assert!(near.ends_with("hint: did you mean `updated_at`?"), "{near}");
        let none = told(Value::Null);
        assert!(none.contains("replication key: (none)") && none.contains("set `rep"), "{none}");
    }

    #[test]
    fn names_that_are_no_texts_are_refused() {
        for odd in [
            r#""key_properties":[["id"]]"#,
            r#""key_properties":5"#,
            r#""replication_key":5"#,
            r#""metadata":[{"breadcrumb":[],"metadata":{"table-key-properties":[5]}}]"#,
            r#""metadata":[{"breadcrumb":[null],"metadata":{"selected":false}}]"#,
        ] {
            let entry =
                format!(r#"{{"streams":[{{"stream":"s","schema":{{"properties":{{}}}},{odd}}}]}}"#);
            let failure =
                catalog::from_slice(entry.as_bytes(), None, schema::COLUMNS_MAX).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{odd}");
        }
    }

    #[test]
    fn reads_the_legacy_properties_shape() {
        let entry = r#"{"stream":"u","schema":{"selected":true,"properties":{
            "id":{"inclusion":"automatic"},"x":{"selected":false},"y":{"selected":true}}}}"#;
        assert_eq!(selected(entry), Some(vec!["id".to_owned(), "y".to_owned()]));
    }

    #[test]
    fn removes_nested_parts_from_schema_and_values() {
        let entry = r#"{"streams":[{"stream":"s","schema":{"properties":{"a":{"type":"object",
            "properties":{"b":{},"c":{}}}}},"metadata":[
            {"breadcrumb":[],"metadata":{"selected":true}},
            {"breadcrumb":["properties","a","properties","b"],"metadata":{"selected":false}}]}]}"#;
        let stream =
            catalog::from_slice(entry.as_bytes(), None, schema::COLUMNS_MAX).unwrap().remove(0);
        let selected = select(stream).unwrap().unwrap();
        assert_eq!(selected.stream.columns[0].schema["properties"].to_string(), r#"{"c":{}}"#);
        let mut out = Vec::new();
        let pruning = selected.prunings[0].as_ref().unwrap();
        pruning.apply(br#"{"b":{"x":1},"c":[1],"\u0062":2,"d":"}"}"#, &mut out);
        assert_eq!(out, br#"{"c":[1],"d":"}"}"#);
    }
}
