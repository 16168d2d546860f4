//! The streams of a catalog that a run reads.

use serde_json::{Map, Value, json};
use singer::catalog::Metadata;
use singer::selection::Rules;

/// A stream of a catalog that a run reads.
pub struct Selected<'a> {
    /// Its entry.
    pub entry: &'a Value,
    /// The metadata of the stream itself.
    pub root: &'a Value,
    /// The columns that are read.
    pub columns: Vec<&'a str>,
}

impl Selected<'_> {
    /// Returns what the entry says by this name, or else its metadata.
    pub fn value_of(&self, name: &str) -> &Value {
        let value = &self.entry[name.replace('-', "_")];
        if value.is_null() { &self.root[name] } else { value }
    }

    /// Returns the keys.
    pub fn keys(&self) -> &Value {
        let keys = &self.entry["key_properties"];
        if keys.is_null() { &self.root["table-key-properties"] } else { keys }
    }
}

/// Returns the selected streams of a catalog, by the rule of our taps.
pub fn selected(catalog: &Value) -> Vec<Selected<'_>> {
    let mut found = Vec::new();
    for entry in catalog["streams"].as_array().into_iter().flatten() {
        let entries = entry["metadata"].as_array().into_iter().flatten();
        let root = entries.clone().find(|said| said["breadcrumb"] == json!([]));
        let root = root.map_or(&Value::Null, |said| &said["metadata"]);
        let stream = Selected { entry, root, columns: Vec::new() };
        let keys = stream.keys().as_array().into_iter().flatten();
        let automatic = keys.chain([stream.value_of("replication-key")]).filter_map(Value::as_str);
        let metadata: Metadata = entries.filter_map(said_of).collect();
        let rules = Rules::new(&metadata, automatic.map(str::to_owned));
        if rules.root() {
            let names = entry["schema"]["properties"].as_object().into_iter().flatten();
            let columns = names.map(|(name, _)| name.as_str()).filter(|name| rules.column(name));
            found.push(Selected { columns: columns.collect(), ..stream });
        }
    }
    found
}

/// Returns what an entry of the metadata says, and of what; other entries say nothing.
fn said_of(entry: &Value) -> Option<(Vec<String>, Map<String, Value>)> {
    let parts = entry["breadcrumb"].as_array()?.iter();
    let breadcrumb = parts.map(|part| part.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some((breadcrumb, entry["metadata"].as_object()?.clone()))
}

#[cfg(test)]
mod tests {
    use singer::{catalog, schema, selection};

    use super::*;

    /// The streams and columns that a tap of ours reads by a catalog.
    fn read(catalog: &Value) -> Vec<(String, Vec<String>)> {
        let text = catalog.to_string();
        let streams = catalog::from_slice(text.as_bytes(), None, schema::COLUMNS_MAX).unwrap();
        let read = streams.into_iter().filter_map(|stream| selection::select(stream).unwrap());
        let columns = |found: selection::Selected| {
            let columns = found.stream.columns.into_iter().map(|column| column.name);
            (found.stream.name, columns.collect())
        };
        read.map(columns).collect()
    }

    #[test]
    fn what_a_plan_says_is_what_a_tap_of_ours_reads() {
        let check = |metadata: Value, expected: &[&str]| {
            let catalog = json!({ "streams": [{
                "stream": "s",
                "tap_stream_id": "s",
                "key_properties": ["id"],
                "schema": { "properties": { "id": {}, "a": {}, "b": {} } },
                "metadata": metadata,
            }] });
            let told = selected(&catalog).into_iter().map(|stream| {
                let columns = stream.columns.iter().map(|name| (*name).to_owned());
                (stream.entry["stream"].as_str().unwrap().to_owned(), columns.collect())
            });
            let told: Vec<(String, Vec<String>)> = told.collect();
            assert_eq!(told, read(&catalog), "{metadata}");
            let columns: Vec<&String> = told.iter().flat_map(|(_, columns)| columns).collect();
            assert_eq!(columns, expected, "{metadata}");
        };
        let root = |values: Value| json!({ "breadcrumb": [], "metadata": values });
        let a = |values: Value| json!({ "breadcrumb": ["properties", "a"], "metadata": values });
        let on = root(json!({ "selected": true }));
        check(json!([]), &["id", "a", "b"]);
        check(json!([root(json!({ "selected": false }))]), &[]);
        check(json!([root(json!({ "selected-by-default": false }))]), &[]);
        check(json!([root(json!({ "inclusion": "unsupported", "selected": true }))]), &[]);
        check(json!([root(json!({ "schema-name": "x" }))]), &[]);
        check(json!([on, a(json!({ "selected-by-default": false }))]), &["id", "b"]);
        check(json!([on, a(json!({ "inclusion": "unsupported" }))]), &["id", "b"]);
        let automatic = json!({ "inclusion": "automatic", "selected": false });
        check(json!([on, a(automatic)]), &["id", "a", "b"]);
        let key = json!({ "breadcrumb": ["properties", "id"], "metadata": { "selected": false } });
        check(json!([on, key]), &["id", "a", "b"]);
    }
}
