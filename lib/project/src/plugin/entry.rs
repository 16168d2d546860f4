//! What a project says of a plugin, with the plugins that it inherits from.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::names::find_named;
use crate::project::Project;
use crate::role::Role;

/// A plugin's entry, and what the active environment says of it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the project says of it.
    pub own: &'a Value,
    /// What its active environment says of it.
    pub of_environment: &'a Value,
}

impl<'a> Entry<'a> {
    /// Returns what the names of its variables begin with.
    pub fn prefixes(&self) -> Vec<&'a str> {
        let namespace = self.own["namespace"].as_str().filter(|namespace| *namespace != self.name);
        std::iter::once(self.name).chain(namespace).collect()
    }
}

const INHERITANCE_MAX: usize = 16;

/// Returns the entry of a plugin and those it inherits from, nearest first.
pub fn chain<'a>(project: &'a Project, role: Role, entry: &'a Value) -> Result<Vec<Entry<'a>>> {
    let mut chain = Vec::new();
    let mut next = Some(entry);
    while let Some(own) = next {
        let name = own["name"].as_str().unwrap_or_default();
        if chain.len() == INHERITANCE_MAX {
            return Err(Error::new(ErrorKind::Config, "cannot inherit in a circle")
                .with("plugin", name)
                .hint("look at `inherit_from` of the plugins"));
        }
        let here = &project.environment["config"]["plugins"][role.key()];
        let of_environment = find_named(here, name).unwrap_or(&Value::Null);
        chain.push(Entry { name, own, of_environment });
        next = match own["inherit_from"].as_str() {
            Some(parent) if parent != name => {
                let found = find_named(&project.file["plugins"][role.key()], parent);
                Some(found.ok_or_else(|| {
                    Error::new(ErrorKind::Config, "cannot find the plugin to inherit from")
                        .with("plugin", name)
                        .with("inherit_from", parent)
                })?)
            }
            _ => None,
        };
    }
    Ok(chain)
}

/// Returns the nearest text of a key, and the name of the entry that has it.
pub fn nearest_text<'a>(chain: &[Entry<'a>], key: &str) -> Option<(&'a str, &'a str)> {
    chain.iter().find_map(|entry| {
        let text = entry.of_environment[key].as_str().or_else(|| entry.own[key].as_str())?;
        Some((entry.name, text))
    })
}

/// Reads `pass_env` of a plugin's entry.
pub fn pass_env(entry: &Value) -> Option<Vec<String>> {
    let texts =
        |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match &entry["annotations"]["chorus"]["pass_env"] {
        Value::String(one) => Some(vec![one.clone()]),
        list => list.as_array().map(texts),
    }
}
