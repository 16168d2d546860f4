//! The streams of a catalog that a run reads.

use std::collections::BTreeMap;

use serde_json::Value;

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

/// Returns the selected streams of a catalog.
pub fn selected(catalog: &Value) -> Vec<Selected<'_>> {
    let mut found = Vec::new();
    for entry in catalog["streams"].as_array().into_iter().flatten() {
        let mut root = &Value::Null;
        let mut of_columns = BTreeMap::new();
        for said in entry["metadata"].as_array().into_iter().flatten() {
            match said["breadcrumb"].as_array().map(Vec::as_slice) {
                Some([]) => root = &said["metadata"],
                Some([_, name]) => drop(of_columns.insert(name.as_str(), &said["metadata"])),
                _ => {}
            }
        }
        if root["selected"] == false {
            continue;
        }
        let stream = Selected { entry, root, columns: Vec::new() };
        let keys = stream.keys().as_array().into_iter().flatten();
        let needed: Vec<&str> =
            keys.chain([stream.value_of("replication-key")]).filter_map(Value::as_str).collect();
        let names = entry["schema"]["properties"].as_object().into_iter().flatten();
        let columns = names.map(|(name, _)| name.as_str()).filter(|name| {
            let metadata = of_columns.get(&Some(*name)).copied().unwrap_or(&Value::Null);
            let automatic = metadata["inclusion"] == "automatic" || needed.contains(name);
            metadata["inclusion"] != "unsupported" && (metadata["selected"] != false || automatic)
        });
        let columns = columns.collect();
        found.push(Selected { columns, ..stream });
    }
    found
}
