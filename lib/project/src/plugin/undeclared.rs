//! Variables that look like settings of a plugin which the project does not declare.

use super::about::Description;
use super::definition::{Definition, variable_name};
use super::entry::Entry;
use crate::names::nearest;
use crate::project::Project;
use crate::warning;

/// Adds the settings that variables are meant for, and that the plugin says it has. Only then is it
/// asked, and only one of ours: who knows what others do with a flag they do not know.
pub(super) fn complete(
    definitions: &mut Vec<Definition>,
    project: &Project,
    chain: &[Entry<'_>],
    description: Option<&Description>,
) {
    let undeclared = undeclared(definitions, project, chain);
    if undeclared.is_empty() {
        return;
    }
    let known = description.map_or(&[][..], |description| &description.settings);
    for own in known {
        if !definitions.iter().any(|definition| definition.name == own.name) {
            definitions.push(own.clone());
        }
    }
    let whole = project.file.to_string();
    for (variable, prefix) in undeclared {
        let name = variable[prefix.len()..].to_lowercase();
        if definitions.iter().any(|definition| definition.is_read_from(&variable, &prefix)) {
            continue;
        }
        // The project may use it by its name.
        if whole.contains(&format!("${{{variable}}}")) || whole.contains(&format!("${variable}")) {
            continue;
        }
        let plugin = chain.first().map_or("", |entry| entry.name);
        let names: Vec<String> = definitions.iter().map(|known| known.name.clone()).collect();
        let hint = match nearest(&name, &names) {
            Some(near) => format!("did you mean {prefix}{}?", variable_name(near)),
            None if known.is_empty() => format!(
                "if {name} is a setting of {plugin}, add {{name: {name}}} to its `settings`"
            ),
            None => format!("{plugin} --about lists its settings"),
        };
        project.warnings().warn_once(warning!(
            "W-PROJECT-UNUSED",
            "{variable} is set, but {plugin} has no such setting: {hint}"
        ));
    }
}

/// Returns the variables that have the prefix of the plugin and are for no setting of it, each with
/// the prefix.
fn undeclared(
    definitions: &[Definition],
    project: &Project,
    chain: &[Entry<'_>],
) -> Vec<(String, String)> {
    let prefixes: Vec<String> =
        chain.iter().flat_map(Entry::prefixes).map(|name| variable_name(name) + "_").collect();
    let others: Vec<String> =
        project.plugin_names().iter().map(|name| variable_name(name) + "_").collect();
    let mut found = Vec::new();
    for (variable, _) in project.process.iter() {
        let Some(prefix) = prefixes.iter().find(|prefix| variable.starts_with(*prefix)) else {
            continue;
        };
        let rest = &variable[prefix.len()..];
        // `__SELECT` and the like are no settings, and a longer name may be that of another plugin.
        let is_other = rest.is_empty()
            || rest.starts_with('_')
            || rest == "LOGLEVEL"
            || others.iter().any(|other| other.len() > prefix.len() && variable.starts_with(other));
        if !is_other && !definitions.iter().any(|known| known.is_read_from(variable, prefix)) {
            found.push((variable.clone(), prefix.clone()));
        }
    }
    found
}
