//! The settings of a plugin as people look at them: each with its value and where that is from.

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::chain::chain;
use super::definition::{Definition, variable_name};
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
        Ok(Self { plugin, settings })
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
