//! The value of each setting, from the layers that may have it.
//!
//! The order is Meltano's, from below: the default; what is inherited; Meltano's system database;
//! `config` of the plugin; its `config` in the active environment; variables. A null
//! is no value: the layer below has it; only of a program of ours it takes the value away. The
//! members of a mapping are settings of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

use super::definition::{Definition, variable_name};
use super::entry::Entry;
use super::origin::Origin;
use super::{dump, flat, kinds};
use crate::project::Project;
use crate::spelled;
use crate::variables::{Missing, Variables};

/// Where the settings of a plugin may stand.
pub(super) struct Layers<'a> {
    project: &'a Project,
    chain: &'a [Entry<'a>],
    definitions: &'a [Definition],
    variables: &'a Variables,
    /// Those that the plugins are set by that it inherits from.
    of_parents: &'a Variables,
    null_removes: bool,
    /// `config` of each entry, and of the environment, by the names of all levels.
    blocks: Vec<[BTreeMap<String, &'a Value>; 2]>,
}

/// The value of a setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The name, dots between levels.
    pub name: String,
    pub value: Value,
    /// Tells whether the names of its members have the dots of more levels.
    is_flat: bool,
}

/// Where a value was found.
#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Default,
    Inherited,
    Own,
}

impl Setting {
    /// Makes a setting of a mapping.
    pub(super) fn of_mapping(name: String, value: Value) -> Self {
        Self { name, value, is_flat: false }
    }
}

struct Found {
    value: Value,
    layer: Layer,
    /// Whether variables stand in it by their names.
    expands: bool,
    /// The variable that it is from.
    variable: Option<String>,
}

impl<'a> Layers<'a> {
    /// `variables` are those of the plugin, and those of the plugins that it inherits from: without
    /// its own block. A null may take away what the layers below have, as for programs of ours.
    pub(super) fn new(
        project: &'a Project,
        chain: &'a [Entry<'a>],
        definitions: &'a [Definition],
        [variables, of_parents]: [&'a Variables; 2],
        null_removes: bool,
    ) -> Self {
        let blocks = chain.iter().map(|entry| entry.blocks("config").map(of_names)).collect();
        Self { project, chain, definitions, variables, of_parents, null_removes, blocks }
    }

    /// Returns all settings that have a value.
    pub(super) fn all(&self, missing: &mut Missing) -> Result<Vec<Setting>> {
        let mut found = Vec::new();
        for definition in self.definitions {
            let named = |failure: Error| failure.with("setting", &definition.name);
            let setting = self.setting(definition, missing).map_err(named)?;
            found.extend(setting);
        }
        Ok(found)
    }

    fn setting(&self, definition: &Definition, missing: &mut Missing) -> Result<Option<Setting>> {
        let name = definition.name.clone();
        let found = self.found(0, definition).or_else(|| default(definition));
        let layer = found.as_ref().map_or(Layer::Default, |found| found.layer);
        let mut value = match &found {
            Some(found) if found.expands => self.expand(&name, &found.value, missing),
            Some(found) => found.value.clone(),
            None => Value::Null,
        };
        let found_expands = found.as_ref().is_some_and(|found| found.expands);
        let mut is_flat = false;
        if definition.kind() == "object"
            && layer != Layer::Own
            && let Some(members) = self.members(definition, missing)?
        {
            (value, is_flat) = (Value::Object(members), true);
        }
        let variable = found.and_then(|found| found.variable);
        // A truth value of the file stays one, whatever the kind: only ours know their kinds.
        let spelled = spelled::unread(&value).and_then(spelled::plain);
        if self.null_removes || !spelled.is_some_and(|plain| plain.is_boolean()) {
            kinds::cast(&mut value, definition.kind.as_deref()).map_err(|failure| {
                variable.map_or(failure, |variable| of_variable(&variable, definition.kind()))
            })?;
        }
        if !self.null_removes {
            // One of ours reads its own notations.
            kinds::check_text(&value, definition.kind())?;
            definition.check(&value)?;
        }
        if value.is_null() {
            let is_said = found_expands && self.null_removes && is_of_map(&name);
            return Ok(is_said.then_some(Setting { name, value, is_flat: false }));
        }
        if definition.processor.as_deref() == Some("nest_object") {
            is_flat = false;
        }
        let value = kinds::process(value, definition, self.project.context.now)?;
        Ok(Some(Setting { name, value, is_flat }))
    }

    /// Returns the members of a mapping that are settings of their own, by the names of all levels.
    fn members(
        &self,
        definition: &Definition,
        missing: &mut Missing,
    ) -> Result<Option<Map<String, Value>>> {
        let mut members = Map::new();
        for name in std::iter::once(&definition.name).chain(&definition.aliases) {
            let prefix = format!("{name}.");
            for inner in self.definitions {
                let Some(rest) = inner.name.strip_prefix(&prefix) else { continue };
                if !members.contains_key(rest) {
                    let setting = self.setting(inner, missing)?;
                    members.insert(rest.to_owned(), setting.map_or(Value::Null, |one| one.value));
                }
            }
        }
        Ok(Some(members).filter(|members| !members.is_empty()))
    }

    fn expand(&self, name: &str, value: &Value, missing: &mut Missing) -> Value {
        let expanded = self.variables.expand_member(name, value, missing);
        // As for Meltano: what is nothing but empty variables is not there. Ours refuse it.
        let is_emptied = !self.null_removes && expanded == "" && *value != "";
        if is_emptied { Value::Null } else { expanded }
    }

    /// Finds the value of a setting for an entry of the chain.
    fn found(&self, at: usize, definition: &Definition) -> Option<Found> {
        self.chain.get(at).filter(|entry| !entry.is_lock)?;
        if let Some((variable, text)) = self.in_variables(at, definition) {
            let (value, variable) = (Value::from(text), Some(variable));
            return Some(Found { value, layer: Layer::Own, expands: false, variable });
        }
        let [own, of_environment] = &self.blocks[at];
        for block in [of_environment, own] {
            let mut names = std::iter::once(&definition.name).chain(&definition.aliases);
            let value = names.find_map(|name| block.get(name));
            if self.null_removes && value.is_none() && is_in_null(block, &definition.name) {
                let (value, variable) = (Value::Null, None);
                return Some(Found { value, layer: Layer::Own, expands: false, variable });
            }
            if let Some(value) = value.filter(|value| self.null_removes || !value.is_null()) {
                let value = (*value).clone();
                return Some(Found { value, layer: Layer::Own, expands: true, variable: None });
            }
        }
        if let Some(value) = self.in_database(at, definition) {
            let (value, variable) = (value.clone(), None);
            return Some(Found { value, layer: Layer::Own, expands: false, variable });
        }
        let inherited = self.found(at + 1, definition)?;
        Some(Found { layer: Layer::Inherited, ..inherited })
    }

    /// Says where the value of a setting is from.
    pub(super) fn origin(&self, definition: &Definition) -> Origin {
        for (at, entry) in self.chain.iter().enumerate().take_while(|(_, entry)| !entry.is_lock) {
            if let Some(origin) = self.origin_at(at, definition) {
                let is_own = at == 0;
                return if is_own { origin } else { Origin::Inherited(entry.name.to_owned()) };
            }
        }
        let declares = |entry: &&Entry<'_>| {
            let mut all = entry.own["settings"].as_array().into_iter().flatten();
            all.any(|setting| setting["name"] == definition.name.as_str())
        };
        let is_of_lock = self.chain.iter().find(declares).is_some_and(|entry| entry.is_lock);
        let is_lock = is_of_lock && !definition.default.is_null();
        if is_lock { Origin::Lock } else { Origin::Default }
    }

    fn origin_at(&self, at: usize, definition: &Definition) -> Option<Origin> {
        if let Some((variable, _)) = self.in_variables(at, definition) {
            return Some(match self.project.process.get(&variable) {
                None => Origin::EnvBlock(variable),
                Some(_) if std::env::var_os(&variable).is_some() => Origin::Shell(variable),
                Some(_) => Origin::Dotenv(variable),
            });
        }
        let [own, of_environment] = &self.blocks[at];
        let has = |block: &BTreeMap<String, &Value>| {
            let mut names = std::iter::once(&definition.name).chain(&definition.aliases);
            let value = names.find_map(|name| block.get(name));
            let is_value = value.is_some_and(|value| self.null_removes || !value.is_null());
            is_value || self.null_removes && is_in_null(block, &definition.name)
        };
        if has(of_environment) {
            return Some(Origin::Environment);
        }
        if has(own) {
            return Some(Origin::Own);
        }
        self.in_database(at, definition).map(|_| Origin::Database)
    }

    /// Finds the value that Meltano's system database has for a plugin.
    fn in_database(&self, at: usize, definition: &Definition) -> Option<&Value> {
        let plugin = self.chain[at].name;
        let group = self.project.plugin_group(plugin)?;
        let mut names = std::iter::once(&definition.name).chain(&definition.aliases);
        names.find_map(|name| self.project.context.stored(group, plugin, name))
    }

    fn in_variables(&self, at: usize, definition: &Definition) -> Option<(String, &str)> {
        let prefixes = self.chain[at].prefixes();
        let variables = if at == 0 { self.variables } else { self.of_parents };
        let mut names = std::iter::once(&definition.name).chain(&definition.aliases);
        names.find_map(|name| {
            prefixes.iter().find_map(|prefix| {
                let variable = format!("{}_{}", variable_name(prefix), variable_name(name));
                let text = variables.get(&variable)?;
                Some((variable, text))
            })
        })
    }
}

/// Tells whether a setting lies in a stream map, where null removes a stream or a property. In
/// other settings it is no value.
fn is_of_map(name: &str) -> bool {
    ["stream_maps.", "named_maps."].iter().any(|map| name.starts_with(map))
}

/// Tells whether a block has a null for a mapping that a setting lies in.
fn is_in_null(block: &BTreeMap<String, &Value>, name: &str) -> bool {
    let mut outer = name.match_indices('.').map(|(at, _)| &name[..at]);
    outer.any(|outer| block.get(outer).is_some_and(|value| value.is_null()))
}

fn of_names(block: &Value) -> BTreeMap<String, &Value> {
    flat::flatten(block).into_iter().collect()
}

fn default(definition: &Definition) -> Option<Found> {
    let value = Some(definition.default.clone()).filter(|value| !value.is_null())?;
    Some(Found { value, layer: Layer::Default, expands: true, variable: None })
}

fn of_variable(variable: &str, kind: &str) -> Error {
    let failure =
        Error::new(ErrorKind::Config, "cannot read a variable as the type of its setting");
    kinds::hinted(failure.with("variable", variable).with("kind", kind), kind)
}

/// Makes the settings that a plugin reads of those that have a value.
pub(super) fn config(
    settings: &[Setting],
    definitions: &[Definition],
    project: &Project,
) -> Result<Map<String, Value>> {
    let mut config = Map::new();
    for setting in settings {
        let mut value = setting.value.clone();
        if setting.is_flat
            && let Value::Object(members) = &mut value
        {
            // The members of more levels are settings, too.
            members.retain(|name, _| flat::split(name).len() == 1);
        }
        let definition = definitions.iter().find(|known| known.name == setting.name);
        if let Some(definition) = definition {
            value = kinds::post_process(value, definition, project.context.now)
                .map_err(|failure| failure.with("setting", &setting.name))?;
        }
        flat::nest(&mut config, &setting.name, value)?;
    }
    match flat::unescaped(Value::Object(config)) {
        Value::Object(config) => Ok(config),
        _ => Ok(Map::new()),
    }
}

/// Returns the text of a setting in a variable, as Meltano writes it.
pub(super) fn text_of(setting: &Setting, kind: Option<&str>) -> String {
    let mut value = setting.value.clone();
    if spelled::settle(&mut value).is_err() {
        return spelled::text(&setting.value).unwrap_or_default();
    }
    match (&value, kind) {
        (Value::String(text), _) => text.clone(),
        (Value::Bool(true), None | Some("string")) => "True".to_owned(),
        (Value::Bool(false), None | Some("string")) => "False".to_owned(),
        _ => dump::json(&value),
    }
}
