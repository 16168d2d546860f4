//! The entries that a plugin is made of: its own, those it inherits from, its definition.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::entry::Entry;
use crate::locks::Wanted;
use crate::names::find_named;
use crate::project::Project;
use crate::role::Role;

const INHERITANCE_MAX: usize = 16;

/// Returns the entry of a plugin and those it inherits from, nearest first; at last the definition
/// in a lock file, if there is one.
pub(super) fn chain<'a>(
    project: &'a Project,
    role: Role,
    entry: &'a Value,
) -> Result<Vec<Entry<'a>>> {
    let mut chain: Vec<Entry<'a>> = Vec::new();
    let mut next = Some(entry);
    while let Some(own) = next {
        let name = own["name"].as_str().unwrap_or_default();
        if chain.len() == INHERITANCE_MAX {
            return Err(Error::new(
                ErrorKind::Config,
                "plugins inherit from each other in a circle",
            )
            .with("plugin", name)
            .hint("check `inherit_from` of the plugins"));
        }
        let here = &project.environment["config"]["plugins"][role.key()];
        let of_environment = find_named(here, name).unwrap_or(&Value::Null);
        let namespace = own["namespace"].as_str();
        let mut entry = Entry { name, own, of_environment, namespace, is_lock: false };
        next = parent(project, role, &entry);
        let lock = if next.is_some() { None } else { lock(project, role, &entry)? };
        // Who inherits from a definition is named after itself.
        if entry.parent().is_none() {
            entry.namespace = namespace.or_else(|| lock.and_then(|lock| lock.namespace));
        }
        chain.push(entry);
        chain.extend(lock);
    }
    Ok(chain)
}

/// Returns the entry of the project that another one inherits from.
fn parent<'a>(project: &'a Project, role: Role, entry: &Entry<'a>) -> Option<&'a Value> {
    let parent = entry.parent()?;
    // As for Meltano, a variant asks for a definition.
    let has_lock = || project.locks.path(&project.root, wanted(role, entry)).is_some();
    if entry.own["variant"].is_string() && has_lock() {
        return None;
    }
    find_named(&project.file["plugins"][role.key()], parent)
}

/// Tells which definition an entry is of.
fn wanted<'a>(role: Role, entry: &Entry<'a>) -> Wanted<'a> {
    let name = entry.parent().unwrap_or(entry.name);
    Wanted { kind: role.key(), name, variant: entry.own["variant"].as_str() }
}

/// Returns the definition of an entry.
fn lock<'a>(project: &'a Project, role: Role, entry: &Entry<'a>) -> Result<Option<Entry<'a>>> {
    let parent = entry.parent();
    if parent.is_none() && entry.own["namespace"].is_string() {
        // The entry is a definition itself.
        return Ok(None);
    }
    let wanted = wanted(role, entry);
    let name = wanted.name;
    let found = project.locks.find(&project.root, wanted);
    let Some(own) = found.map_err(|failure| failure.with("plugin", entry.name))? else {
        return match parent {
            Some(parent) => Err(not_found(entry.name, parent, role)),
            None => Ok(None),
        };
    };
    let namespace = own["namespace"].as_str();
    Ok(Some(Entry { name, own, of_environment: &Value::Null, namespace, is_lock: true }))
}

fn not_found(name: &str, parent: &str, role: Role) -> Error {
    Error::new(ErrorKind::Config, "cannot find the plugin to inherit from")
        .with("plugin", name)
        .with("inherit_from", parent)
        .hint(format!(
            "add {parent} to the {key} of the project, or its lock file to plugins/{key}",
            key = role.key()
        ))
}
