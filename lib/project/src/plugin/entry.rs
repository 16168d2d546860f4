//! What a project says of a plugin.

use serde_json::Value;

/// A plugin's entry, and what the active environment says of it; or its definition in a lock file.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the project says of it.
    pub own: &'a Value,
    /// What its active environment says of it.
    pub of_environment: &'a Value,
    /// The second prefix of its variables.
    pub namespace: Option<&'a str>,
    /// Tells whether a lock file says it.
    pub is_lock: bool,
}

impl<'a> Entry<'a> {
    /// Returns what the names of its variables begin with: none are named after a definition.
    pub fn prefixes(&self) -> Vec<&'a str> {
        if self.is_lock {
            return Vec::new();
        }
        let namespace = self.namespace.filter(|namespace| *namespace != self.name);
        std::iter::once(self.name).chain(namespace).collect()
    }

    /// Returns the value of a key of a project's entry; a definition has no values of its own.
    pub fn blocks(&self, key: &str) -> [&'a Value; 2] {
        if self.is_lock {
            return [&Value::Null; 2];
        }
        [&self.own[key], &self.of_environment[key]]
    }

    /// Returns the entry that it inherits from by name.
    pub fn parent(&self) -> Option<&'a str> {
        self.own["inherit_from"].as_str().filter(|parent| *parent != self.name)
    }
}

/// Returns the nearest text of a key, and the name of the entry that has it.
pub(super) fn nearest_text<'a>(chain: &[Entry<'a>], key: &str) -> Option<(&'a str, &'a str)> {
    chain.iter().find_map(|entry| {
        let text = entry.of_environment[key].as_str().or_else(|| entry.own[key].as_str())?;
        Some((entry.name, text))
    })
}

/// Reads `pass_env` of a plugin's entry.
pub(super) fn pass_env(entry: &Value) -> Option<Vec<String>> {
    let texts =
        |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match &entry["annotations"]["chorus"]["pass_env"] {
        Value::String(one) => Some(vec![one.clone()]),
        list => list.as_array().map(texts),
    }
}
