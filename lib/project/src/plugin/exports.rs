//! The variables that a plugin has its settings in, as Meltano names them: for its own process, for
//! its rules, and for the plugins behind it in the pipeline.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::definition::{Definition, variable_name};
use super::entry::{Entry, nearest_text};
use super::layers::{Setting, text_of};
use super::secret_words::is_secret;
use super::{dump, flat};
use crate::role::Role;
use crate::spelled;
use crate::variables::{Missing, Variables};

/// A variable of a plugin.
#[derive(Clone, Debug)]
pub(super) struct Export {
    pub name: String,
    pub text: String,
    /// Whether it is kept from other plugins.
    pub is_secret: bool,
}

/// Returns what Meltano says of a plugin: `MELTANO_EXTRACTOR_NAME` and the like.
pub(super) fn of_entry(role: Role, chain: &[Entry<'_>]) -> Vec<Export> {
    let Some(entry) = chain.first() else { return Vec::new() };
    let kind = role.word().to_uppercase();
    let variant = nearest_text(chain, "variant").map_or("default", |(_, text)| text);
    let namespace = entry.namespace.map_or_else(|| entry.name.replace('-', "_"), str::to_owned);
    let all = [("NAME", entry.name), ("NAMESPACE", &namespace), ("VARIANT", variant)];
    let export = |(word, text): (&str, &str)| Export {
        name: format!("MELTANO_{kind}_{word}"),
        text: text.to_owned(),
        is_secret: false,
    };
    all.map(export).into()
}

/// Returns the variables of the settings.
pub(super) fn of_settings(
    role: Role,
    chain: &[Entry<'_>],
    definitions: &[Definition],
    settings: &[Setting],
) -> Vec<Export> {
    let mut found = Vec::new();
    // What a map removes has no text.
    for setting in settings.iter().filter(|setting| !setting.value.is_null()) {
        let definition = definitions.iter().find(|known| known.name == setting.name);
        let text = text_of(setting, definition.and_then(|known| known.kind.as_deref()));
        let is_secret = is_secret(&setting.name, &setting.value, definitions);
        let own = definition.and_then(|known| known.variable.clone());
        let named = names(role, chain, &setting.name);
        for name in own.into_iter().chain(named) {
            found.push(Export { name, text: text.clone(), is_secret });
        }
    }
    found
}

/// Returns the variables of a mapping: of its settings, and of what it is.
pub(super) fn of_mapping(
    chain: &[Entry<'_>],
    definitions: &[Definition],
    (mapper, mapping): (&Value, &Value),
    config: &Value,
) -> Vec<Export> {
    let settings: Vec<Setting> = flat::flatten(config)
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| Setting::of_mapping(name, value.clone()))
        .collect();
    let mut found = of_settings(Role::Mapper, chain, definitions, &settings);
    let name = mapping["name"].as_str().unwrap_or_default().to_owned();
    let mut all = mapper["mappings"].clone();
    let is_read = spelled::settle(&mut all).is_ok();
    let all = if is_read { dump::json(&all) } else { String::new() };
    let what = [("_mapping", "true".to_owned()), ("_mapping_name", name), ("_mappings", all)];
    for (extra, text) in what {
        let names = names(Role::Mapper, chain, extra).into_iter();
        found.extend(names.map(|name| Export { name, text: text.clone(), is_secret: false }));
    }
    found
}

/// Returns what else the project says of a plugin, by Meltano's names, such as `_select`: its rules
/// as `rules` has them, and texts.
pub(super) fn extras(
    role: Role,
    chain: &[Entry<'_>],
    rules: &[(&str, Value)],
    variables: &Variables,
) -> Vec<(String, Value)> {
    let of_tap = if role == Role::Extractor { rules } else { &[] };
    let of_tap = of_tap.iter().map(|(name, value)| (format!("_{name}"), value.clone()));
    let mut all: Vec<(String, Value)> = of_tap.collect();
    let texts: &[(&str, &str)] = match role {
        Role::Extractor => &[("load_schema", "$MELTANO_EXTRACTOR_NAMESPACE")],
        Role::Loader => &[("dialect", "$MELTANO_LOADER_NAMESPACE"), ("target_schema", "")],
        _ => &[],
    };
    for (name, usual) in texts {
        if usual.is_empty() && nearest_extra(chain, name).is_none() {
            continue;
        }
        let variable = chain.iter().flat_map(Entry::prefixes).find_map(|prefix| {
            variables.get(&format!("{}__{}", variable_name(prefix), variable_name(name)))
        });
        let written = nearest_extra(chain, name).unwrap_or(usual);
        let text = variable.map_or_else(
            || variables.expand_value(&json!(written), &mut Missing::default()),
            Value::from,
        );
        all.push((format!("_{name}"), text));
    }
    all
}

/// Returns the variables of extras and of their members.
pub(super) fn of_extras(
    role: Role,
    chain: &[Entry<'_>],
    extras: &[(String, Value)],
) -> Vec<Export> {
    let mut all = Vec::new();
    for (name, value) in extras {
        all.push((name.clone(), value));
        if value.is_object() {
            let members = flat::flatten(value).into_iter();
            all.extend(members.map(|(path, value)| (format!("{name}.{path}"), value)));
        }
    }
    let mut found = Vec::new();
    for (name, value) in all.into_iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| dump::json(value), str::to_owned);
        for name in names(role, chain, &name) {
            found.push(Export { name, text: text.clone(), is_secret: false });
        }
    }
    found
}

/// Returns the names of the variables of extras: named after the plugin, and after what it does in
/// a pipeline.
pub(super) fn extra_names(role: Role, plugin: &str, extras: &[(String, Value)]) -> Vec<String> {
    let prefixes = [variable_name(plugin), format!("MELTANO_{}", role.verb())];
    let names = |(extra, _): &(String, Value)| {
        prefixes.clone().map(|prefix| format!("{prefix}_{}", variable_name(extra)))
    };
    extras.iter().flat_map(names).collect()
}

/// Returns the nearest text of an extra: beside `config`, or in it by its name behind `_`.
fn nearest_extra<'a>(chain: &[Entry<'a>], name: &str) -> Option<&'a str> {
    let inner = format!("_{name}");
    chain.iter().find_map(|entry| {
        let mut blocks = [entry.of_environment, entry.own].into_iter();
        blocks.find_map(|block| block[name].as_str().or_else(|| block["config"][&inner].as_str()))
    })
}

/// Returns the variables of a setting: named after the plugin, after those it inherits from, and
/// after what it does in a pipeline.
fn names(role: Role, chain: &[Entry<'_>], setting: &str) -> BTreeSet<String> {
    let prefixes = chain
        .iter()
        .flat_map(|entry| std::iter::once(entry.name).chain(entry.namespace).collect::<Vec<_>>());
    let verb = format!("MELTANO_{}", role.verb());
    let prefixes = prefixes.map(variable_name).chain([verb]);
    prefixes.map(|prefix| format!("{prefix}_{}", variable_name(setting))).collect()
}
