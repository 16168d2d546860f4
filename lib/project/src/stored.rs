//! The settings that Meltano keeps in its system database, `plugin_settings`: a layer below
//! `meltano.yml`. Whoever reads that database gives them to the project.

use std::collections::BTreeMap;

use serde_json::Value;

/// Settings by plugins and names.
#[derive(Clone, Debug, Default)]
pub struct Stored(BTreeMap<(String, String), Value>);

impl Stored {
    /// Adds a row: its `namespace`, such as `extractors.tap-csv.default`, its name and its value.
    pub fn add(&mut self, namespace: &str, name: &str, value: Value) {
        self.0.insert((namespace.to_owned(), name.to_owned()), value);
    }

    /// Returns the value of a setting of a plugin; rules of a tap have names such as `_select`.
    pub fn get(&self, kind: &str, plugin: &str, name: &str) -> Option<&Value> {
        if self.0.is_empty() {
            return None;
        }
        let key = (format!("{kind}.{plugin}.default"), name.to_owned());
        self.0.get(&key).filter(|value| !value.is_null())
    }
}
