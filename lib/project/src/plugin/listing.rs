//! The settings of a plugin as people look at them: each with its value and where that is from.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::chain::chain;
use super::definition::{Definition, variable_name};
use super::entry::Entry;
use super::kinds::read_as;
use super::layers::Layers;
pub use super::origin::Origin;
use super::secret_words::is_secret;
use super::settings::definitions;
use super::{Plugin, exports, undeclared};
use crate::names::{find_named, nearest};
use crate::project::Project;

/// A plugin with its settings.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The plugin.
    pub plugin: Plugin,
    /// Its settings, in the order of their names.
    pub settings: Vec<Setting>,
    /// What stands beside its settings, by Meltano's names, such as `_select`.
    pub extras: Vec<Setting>,
    /// Groups of settings; those of one group must be set (`settings_group_validation`).
    pub groups: Vec<Vec<String>>,
}

/// A setting of a plugin.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The name, dots between levels.
    pub name: String,
    /// Its kind, where that is known.
    pub kind: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The values that it may have; none where they are not listed.
    pub options: Vec<String>,
    /// Its value.
    pub value: Option<Value>,
    /// Where the value is from.
    pub origin: Origin,
    /// The variable that sets it.
    pub variable: String,
    /// The variable that other plugins of the pipeline see it by.
    pub general: String,
    /// Whether the value is a secret.
    pub is_secret: bool,
    /// Whether the plugin or the project declares it.
    pub is_declared: bool,
}

impl Listing {
    /// Lists the settings of a plugin.
    pub fn of(project: &Project, name: &str) -> Result<Self> {
        let plugin = Plugin::find(project, name)?;
        let entry = find_named(&project.file["plugins"][plugin.role.key()], name);
        let entry = entry.ok_or_else(|| {
            Error::new(ErrorKind::Usage, "a mapping has no settings of its own")
                .with("plugin", name)
                .hint("name the mapper, or edit `mappings` of meltano.yml")
        })?;
        let chain = chain(project, plugin.role, entry)?;
        let mut declared = definitions(&chain, plugin.description.as_deref());
        undeclared::complete(&mut declared, project, &chain, plugin.description.as_deref());
        let ours = plugin.description.iter().flat_map(|described| &described.settings);
        for setting in ours {
            match declared.iter_mut().find(|known| known.name == setting.name) {
                Some(known) => {
                    known.description = known.description.take().or(setting.description.clone());
                    known.kind = known.kind.take().or(setting.kind.clone());
                    known.options.clone_from(&setting.options);
                }
                None => declared.push(setting.clone()),
            }
        }
        let exports = exports::of_entry(plugin.role, &chain);
        let variables = super::variables(project, &chain, &[], &exports);
        let parents = super::variables(project, &chain[1..], &[], &[]);
        let of = [&variables, &parents];
        let layers = Layers::new(project, &chain, &declared, of, plugin.is_ours());
        let of = |one: &Definition| setting(&layers, &plugin, (one, &declared));
        let mut settings: Vec<Setting> = declared.iter().map(of).collect();
        for name in plugin.config.keys().filter(|name| !covers(&declared, name)) {
            let json = serde_json::json!({ "name": name });
            let Some(definition) = super::definition::definition(&json) else { continue };
            settings.push(Setting { is_declared: false, ..of(&definition) });
        }
        settings.sort_by(|one, other| one.name.cmp(&other.name));
        let extra =
            |(name, value): &(String, Value)| of_extra(project, &plugin, &chain, name, value);
        let extras = plugin.extras.iter().map(extra).collect();
        Ok(Self { settings, extras, groups: groups(&chain), plugin })
    }

    /// Finds a setting by its name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Returns the setting's name that was probably meant.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let known: Vec<String> = self.settings.iter().map(|setting| setting.name.clone()).collect();
        nearest(name, &known).map(str::to_owned)
    }
}

/// Returns the nearest groups of settings that the project or the lock file has.
fn groups(chain: &[Entry<'_>]) -> Vec<Vec<String>> {
    let all = chain.iter().find_map(|entry| entry.own["settings_group_validation"].as_array());
    let names = |group: &Value| {
        let names = group.as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    all.into_iter().flatten().map(names).collect()
}

/// Returns an extra with where it is from.
fn of_extra(
    project: &Project,
    plugin: &Plugin,
    chain: &[Entry<'_>],
    name: &str,
    value: &Value,
) -> Setting {
    let key = name.trim_start_matches('_');
    let says = |block: &Value| {
        let has = |found: &str| {
            found == name || found.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        };
        let mut inside = block["config"].as_object().into_iter().flatten();
        !block[key].is_null() || inside.any(|(found, _)| has(found))
    };
    let variable = format!("{}_{}", variable_name(&plugin.name), variable_name(name));
    let of_entry = |(at, entry): (usize, &Entry<'_>)| match at {
        _ if entry.is_lock => says(entry.own).then_some(Origin::Lock),
        0 if says(entry.of_environment) => Some(Origin::Environment),
        0 if says(entry.own) => Some(Origin::Own),
        0 => None,
        _ => says(entry.own).then(|| Origin::Inherited(entry.name.to_owned())),
    };
    let origin = match project.process.get(&variable) {
        Some(_) if std::env::var_os(&variable).is_some() => Origin::Shell(variable.clone()),
        Some(_) => Origin::Dotenv(variable.clone()),
        None => chain.iter().enumerate().find_map(of_entry).unwrap_or(Origin::Default),
    };
    Setting {
        name: name.to_owned(),
        kind: None,
        description: None,
        options: Vec::new(),
        value: Some(value.clone()).filter(|value| !value.is_null()),
        origin,
        general: format!("MELTANO_{}_{}", plugin.role.verb(), variable_name(name)),
        variable,
        is_secret: false,
        is_declared: true,
    }
}

fn covers(declared: &[Definition], name: &str) -> bool {
    declared.iter().any(|known| known.is_named(name) || known.name.split('.').next() == Some(name))
}

fn setting(
    layers: &Layers<'_>,
    plugin: &Plugin,
    (definition, declared): (&Definition, &[Definition]),
) -> Setting {
    let name = &definition.name;
    let config = Value::Object(plugin.config.clone());
    let value = definition
        .aliases
        .iter()
        .fold(inside(&config, name), |value, alias| value.or_else(|| inside(&config, alias)));
    let own = format!("{}_{}", variable_name(&plugin.name), variable_name(name));
    let origin = layers.origin(definition);
    Setting {
        name: name.clone(),
        kind: definition.kind.clone(),
        description: definition.description.clone(),
        options: definition.options.clone(),
        value: value.filter(|value| !value.is_null()).cloned(),
        origin,
        variable: own,
        general: format!("MELTANO_{}_{}", plugin.role.verb(), variable_name(name)),
        is_secret: is_secret(name, value.unwrap_or(&Value::Null), declared),
        is_declared: true,
    }
}

/// Finds a value by its dotted name: under the whole name, or level by level.
fn inside<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| name.split('.').try_fold(value, |at, part| at.get(part)))
}

/// Reads the text that a command line gives as the kind of a setting.
pub fn typed(setting: Option<&Setting>, text: &str) -> Result<Value> {
    let kind = setting.and_then(|setting| setting.kind.as_deref()).unwrap_or("string");
    let options = setting.map_or(&[][..], |setting| &setting.options);
    if !options.is_empty() && !text.contains('$') && !options.iter().any(|one| one == text) {
        let failure =
            Error::new(ErrorKind::Usage, "cannot use a value that is none of its options");
        return Err(failure.hint(match nearest(text, options) {
            Some(near) => format!("did you mean `{near}`? It is one of: {}", options.join(", ")),
            None => format!("it is one of: {}", options.join(", ")),
        }));
    }
    read_as(kind, text).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "cannot read the value as the type of its setting")
            .with("kind", kind)
            .hint(match kind {
                "array" => "write a list as JSON: '[\"a\", \"b\"]'",
                "object" => "write a mapping as JSON: '{\"a\": 1}'",
                "boolean" => "write `true` or `false`",
                _ => "write a number",
            })
    })
}
