//! A plugin with its settings from all the places they may stand in.

pub(crate) mod about;
mod command;
mod dbt_files;
mod definition;
mod entry;
mod environment;
mod setting_role;
mod settings;
mod undeclared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result, whole};

use crate::file::{self, Segment};
use crate::lines::Spot;
use crate::names::{find_named, nearest};
use crate::project::Project;
use crate::role::Role;
use crate::variables::{Missing, Variables, names_in};
use about::Description;
pub use command::Command;
use definition::variable_name;
use entry::{Entry, nearest_text};
pub use environment::is_secret_word;
use environment::{Environment, Known};
pub use setting_role::SettingRole;
use settings::definitions;

/// A plugin, ready to be run.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// The name in the project, or that of the mapping.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The program.
    pub executable: PathBuf,
    /// The settings with their values, nested as the plugin reads them.
    pub config: Map<String, Value>,
    /// The same as it is written, variables by their names.
    pub written: Map<String, Value>,
    /// Settings that are left out because a variable has no value, and these variables.
    pub missing: Missing,
    /// What it can be run for by name.
    pub commands: BTreeMap<String, Command>,
    /// What the plugin can, where the project says it.
    pub capabilities: Vec<String>,
    /// `select`, `metadata`, `schema`, `catalog` and `state` of a tap.
    pub rules: Rules,
    /// The settings before a run took a part of what they read.
    pub before_part: Option<Map<String, Value>>,
    /// The variables of its process.
    pub environment: Environment,
    /// What it says of itself, if it is one of ours.
    description: Option<Arc<Description>>,
    /// Of a plugin of another author, which setting has which role.
    roles: BTreeMap<String, String>,
}

/// What a project wants of a tap's catalog and state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Patterns of streams and properties, `!` before those left out.
    pub select: Vec<String>,
    /// Metadata by patterns of streams and properties.
    pub metadata: Map<String, Value>,
    /// Keywords of JSON Schema by patterns of streams and properties.
    pub schema: Map<String, Value>,
    /// The path of a catalog to use in place of discovery.
    pub catalog: Option<String>,
    /// The path of a state to start from in place of the one that is kept.
    pub state: Option<String>,
    /// The part of all this that a run takes.
    pub part: Part,
}

/// A part of what a tap reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Patterns of streams and properties: of what the project selects, those alone are read.
    pub select: Vec<String>,
    /// Streams whose rows a condition narrows: each has to be read.
    pub narrowed: BTreeSet<String>,
    /// Rows are read from a time on: each stream has to have a key of time.
    pub since: bool,
}

impl Rules {
    /// Tells whether the project leaves the catalog to the tap.
    pub fn leave_catalog(&self) -> bool {
        *self == Self { state: self.state.clone(), ..Self::default() }
    }
}

impl Plugin {
    /// Finds a plugin, or the mapping of a mapper, by its name, to be run by itself.
    pub fn find(project: &Project, name: &str) -> Result<Self> {
        let mut plugin = Self::named(project, name)?;
        plugin.environment.without(&[], project);
        Ok(plugin)
    }

    /// Finds the plugins of a pipeline: none is given secrets of the others.
    pub fn find_all(project: &Project, names: &[String]) -> Result<Vec<Self>> {
        let all: Vec<Self> =
            names.iter().map(|name| Self::named(project, name)).collect::<Result<_>>()?;
        let mut plugins = all.clone();
        for (at, plugin) in plugins.iter_mut().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            let others: Vec<&Environment> = others.map(|(_, other)| &other.environment).collect();
            plugin.environment.without(&others, project);
        }
        Ok(plugins)
    }

    fn named(project: &Project, name: &str) -> Result<Self> {
        for role in Role::ALL {
            if let Some(entry) = find_named(&project.file["plugins"][role.key()], name) {
                return Self::resolve(project, role, entry, None);
            }
        }
        for mapper in project.file["plugins"]["mappers"].as_array().into_iter().flatten() {
            if let Some(mapping) = find_named(&mapper["mappings"], name) {
                return Self::resolve(project, Role::Mapper, mapper, Some(mapping));
            }
        }
        let known: Vec<String> = project.plugin_names();
        Err(Error::new(ErrorKind::Config, "cannot find a plugin of this name")
            .with("plugin", name)
            .hint(match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the project has: {}", known.join(", ")),
            }))
    }

    fn resolve(
        project: &Project,
        role: Role,
        entry: &Value,
        mapping: Option<&Value>,
    ) -> Result<Self> {
        let name = entry["name"].as_str().unwrap_or_default();
        let chain = chain(project, role, entry)?;
        let mut variables = project.variables.clone();
        for entry in chain.iter().rev() {
            variables.add_block(&entry.own["env"], &project.process);
            variables.add_block(&entry.of_environment["env"], &project.process);
        }
        let executable = executable(project, role, &chain);
        let named = |name: &str| program_named(project, role, &chain, name);
        let commands = command::commands(&chain, named)?;
        let context = &project.context;
        let mut definitions = definitions(&chain);
        let mut description = None;
        // Any other program does not answer, and reads variables by itself.
        if role.is_of_pipeline() {
            description = context
                .programs
                .describe(&executable, &context.warnings)
                .map_err(|failure| failure.with("plugin", name))?;
            undeclared::complete(&mut definitions, project, &chain, description.as_deref());
        }
        let mut missing = Missing::default();
        let of_plugin = |failure: Error| of_line(failure, project, role, &chain);
        let mut config = settings::resolve(&chain, &definitions, project, &variables, &mut missing)
            .map_err(of_plugin)?;
        let written = written(&chain);
        if let Some(mapping) = mapping {
            let own = variables.expand_value(&mapping["config"], &mut missing);
            settings::overlay(&mut config, own);
        }
        // It tells the kinds of its settings, and which of them are secrets.
        let kinds = description.as_ref().map_or(&[][..], |description| &description.settings);
        settings::settle(&mut config, kinds).map_err(of_plugin)?;
        let rules = rules(&chain, project, &variables, &mut missing)?;
        let known = Known {
            project,
            role,
            chain: &chain,
            definitions: &definitions,
            description: description.as_deref(),
            config: &config,
            written: &written,
        };
        let mut environment = Environment::new(&known, &variables);
        if !role.is_of_pipeline() {
            environment.keep(dbt_files::variables(&project.root, &config, &environment));
        }
        let of_others = match &description {
            Some(_) => BTreeMap::new(),
            None => setting_role::of_others(&chain, &definitions, &config),
        };
        let shown = mapping.map_or(name, |mapping| mapping["name"].as_str().unwrap_or(name));
        let plugin = Self {
            name: shown.to_owned(),
            role,
            executable,
            commands,
            capabilities: capabilities(&chain),
            rules,
            before_part: None,
            environment,
            description,
            roles: of_others,
            config,
            written,
            missing,
        };
        Ok(plugin)
    }

    /// Tells whether it would do something else than another one: by its settings, its rules, or
    /// the variables that its entry sets or names.
    pub fn differs_from(&self, other: &Self) -> bool {
        self.config != other.config
            || self.rules != other.rules
            || self.environment.own() != other.environment.own()
    }

    /// Tells whether it is one of ours.
    pub fn is_ours(&self) -> bool {
        self.description.is_some()
    }

    /// Tells whether it is one of ours and can tell what it would do: who knows what others do with
    /// a flag they do not know.
    pub fn plans(&self) -> bool {
        self.says_it_can("plan")
    }

    /// Tells whether it is one of ours that can end at a warning.
    pub fn denies_warnings(&self) -> bool {
        self.says_it_can("deny-warnings")
    }

    fn says_it_can(&self, capability: &str) -> bool {
        self.description.as_ref().is_some_and(|description| description.can(capability))
    }

    /// Tells whether it is one of ours whose bookmarks are of whole files and days: one leaves out
    /// what it names as a whole, and no part of it.
    pub fn has_whole_bookmarks(&self) -> bool {
        self.says_it_can(whole::CAPABILITY)
    }

    /// Returns the name of the setting that has a role. One of others says none; the source and the
    /// day it may have by the words of the project, and what a run takes a part by as
    /// `setting_role::of_others` says.
    pub fn setting_for(&self, role: SettingRole) -> Option<&str> {
        let own = self.description.as_ref().map_or(&self.roles, |description| &description.roles);
        let named = own.get(role.word()).map(String::as_str);
        let is_usual =
            || !self.is_ours() && matches!(role, SettingRole::Source | SettingRole::Datestamp);
        named.or_else(|| is_usual().then_some(role.word()))
    }

    /// Returns the value of the setting that has a role.
    pub fn value_for(&self, role: SettingRole) -> Option<&Value> {
        self.names_for(role).find_map(|name| self.config.get(name))
    }

    /// Returns the text of the setting that has a role.
    pub fn text_for(&self, role: SettingRole) -> Option<&str> {
        self.names_for(role).find_map(|name| self.config.get(name)?.as_str())
    }

    /// Sets the setting that has a role, if there is one.
    pub fn set_for(&mut self, role: SettingRole, value: Value) {
        let names: Vec<String> = self.names_for(role).map(str::to_owned).collect();
        self.config.retain(|name, _| !names.contains(name));
        if let Some(name) = names.into_iter().next() {
            self.config.insert(name, value);
        }
    }

    /// Returns the names of the setting that has a role, its own before the others.
    fn names_for(&self, role: SettingRole) -> impl Iterator<Item = &str> {
        let own = self.setting_for(role);
        let settings = self.description.iter().flat_map(|description| &description.settings);
        let named = settings.filter(move |setting| own == Some(setting.name.as_str()));
        own.into_iter().chain(named.flat_map(|setting| &setting.aliases).map(String::as_str))
    }

    /// Returns the variable that sets a setting: the one it is written with, or else its own.
    pub fn variable_of(&self, setting: &str) -> String {
        let written = self.written.get(setting).and_then(Value::as_str).unwrap_or_default();
        let names = names_in(written);
        let own = || format!("{}_{}", variable_name(&self.name), variable_name(setting));
        names.into_iter().next().unwrap_or_else(own)
    }

    /// Says where the project has the setting that one of ours has refused, by what it said.
    #[must_use]
    pub fn placed(&self, project: &Project, failure: Error) -> Error {
        let Some(setting) = setting_said(&failure, &self.name).filter(|_| self.is_ours()) else {
            return failure;
        };
        let entry = find_named(&project.file["plugins"][self.role.key()], &self.name);
        let chain = entry.and_then(|entry| chain(project, self.role, entry).ok());
        let parts = setting.split('/');
        let way: Vec<_> =
            parts.map(|part| part.parse().map_or(Segment::Key(part), Segment::At)).collect();
        let spot = chain.and_then(|chain| spot_of(project, self.role, &chain, &[&way]));
        at_line(failure, spot)
    }

    /// Tells whether the project says that the plugin can do this, or says nothing at all.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.is_empty() || self.capabilities.iter().any(|can| can == capability)
    }

    /// Tells whether the project says that the plugin can do this.
    pub fn declares(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|can| can == capability)
    }
}

/// Returns the settings as the project has them, variables by their names.
fn written(chain: &[Entry<'_>]) -> Map<String, Value> {
    let mut written = Map::new();
    for entry in chain.iter().rev() {
        settings::overlay(&mut written, entry.own["config"].clone());
        settings::overlay(&mut written, entry.of_environment["config"].clone());
    }
    written
}

const INHERITANCE_MAX: usize = 16;

/// Returns the entry of a plugin and those it inherits from, nearest first.
fn chain<'a>(project: &'a Project, role: Role, entry: &'a Value) -> Result<Vec<Entry<'a>>> {
    let mut chain = Vec::new();
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

/// Says of a value that cannot be used which plugin's it is, and where it is written.
fn of_line(failure: Error, project: &Project, role: Role, chain: &[Entry<'_>]) -> Error {
    let failure = failure.with("plugin", chain.first().map_or("", |entry| entry.name));
    let Some(setting) = failure.context("setting").map(str::to_owned) else { return failure };
    let whole = [Segment::Key(&setting)];
    let levels: Vec<_> = setting.split('.').map(Segment::Key).collect();
    at_line(failure, spot_of(project, role, chain, &[&whole, &levels]))
}

/// Returns the setting that a plugin says it has refused.
fn setting_said(failure: &Error, plugin: &str) -> Option<String> {
    let said = failure.context_pairs().filter(|(key, _)| *key == plugin);
    let mut settings = said.filter_map(|(_, line)| line.trim().strip_prefix("setting: "));
    settings.next().map(|name| name.trim_matches('`').to_owned())
}

fn at_line(failure: Error, spot: Option<(PathBuf, Spot)>) -> Error {
    let Some((path, Spot { line, column })) = spot else { return failure };
    failure.with("path", path.display()).with("line", line).with("column", column)
}

/// Finds where the settings of a plugin have a value: the first of several ways that leads to one.
fn spot_of(
    project: &Project,
    role: Role,
    chain: &[Entry<'_>],
    ways: &[&[Segment<'_>]],
) -> Option<(PathBuf, Spot)> {
    let environment = project.environment_name().unwrap_or_default();
    let mut places = Vec::new();
    for Entry { name, .. } in chain {
        let own = vec![Segment::Key("plugins"), Segment::Key(role.key()), Segment::Named(name)];
        let of_environment =
            [Segment::Key("environments"), Segment::Named(environment), Segment::Key("config")];
        for entry in [[&of_environment[..], &own[..]].concat(), own] {
            let config = [&entry[..], &[Segment::Key("config")]].concat();
            places.extend(ways.iter().map(|way| [&config[..], way].concat()));
        }
    }
    file::spot_of(&project.root, &project.file, &places)
}

fn capabilities(chain: &[Entry<'_>]) -> Vec<String> {
    let lists = chain.iter().find_map(|entry| entry.own["capabilities"].as_array());
    lists.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Finds the program: a path of the project, the environment that Meltano installed it in, the
/// folder this program is in, or else `PATH` at the time of the start.
fn executable(project: &Project, role: Role, chain: &[Entry<'_>]) -> PathBuf {
    let base = chain.last().map_or("", |entry| entry.name);
    let name = nearest_text(chain, "executable").map_or(base, |(_, name)| name);
    program_named(project, role, chain, name)
}

fn program_named(project: &Project, role: Role, chain: &[Entry<'_>], name: &str) -> PathBuf {
    let name = project.variables.expand(name, &mut BTreeSet::new());
    if name.contains('/') {
        return project.root.join(name.trim_start_matches("./"));
    }
    let installed = chain.iter().map(|entry| {
        let folder = project.root.join(".meltano").join(role.key()).join(entry.name);
        folder.join("venv/bin").join(&name)
    });
    let on_path = project.process.get("PATH").unwrap_or_default();
    let on_path = on_path.split(':').filter(|folder| !folder.is_empty());
    let on_path = on_path.map(|folder| Path::new(folder).join(&name));
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|own| Some(own.parent()?.join(&name)));
    let mut places = installed.chain(on_path).chain(beside);
    places.find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

fn rules(
    chain: &[Entry<'_>],
    project: &Project,
    variables: &Variables,
    missing: &mut Missing,
) -> Result<Rules> {
    let mut found = Map::new();
    for name in ["select", "select_filter", "metadata", "schema", "catalog", "state"] {
        let mut value = Value::Null;
        for entry in chain.iter().rev() {
            for at in [&entry.own[name], &entry.of_environment[name]] {
                let at = variables.expand_member(name, at, missing);
                if !at.is_null() {
                    settings::merge(&mut value, at);
                }
            }
            let variable = format!("{}__{}", variable_name(entry.name), name.to_uppercase());
            if let Some(text) = project.process.get(&variable) {
                value = match name {
                    "catalog" | "state" => Value::from(text),
                    _ => serde_json::from_str(text).map_err(|_| {
                        Error::new(ErrorKind::Config, "cannot read a variable as JSON")
                            .with("variable", &variable)
                    })?,
                };
            }
        }
        found.insert(name.to_owned(), value);
    }
    refuse_filter(chain, found.get("select_filter").unwrap_or(&Value::Null))?;
    let member = |name: &str| found.get(name).and_then(Value::as_object).cloned();
    let text = |name: &str| found.get(name).and_then(Value::as_str).map(str::to_owned);
    let select = match found.get("select") {
        Some(pattern @ Value::String(_)) => Some(vec![pattern.clone()]),
        select => select.and_then(Value::as_array).cloned(),
    };
    Ok(Rules {
        part: Part::default(),
        select: select.iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        metadata: member("metadata").unwrap_or_default(),
        schema: member("schema").unwrap_or_default(),
        catalog: text("catalog"),
        state: text("state"),
    })
}

/// Refuses `select_filter`: without it, streams are read that the project leaves out.
fn refuse_filter(chain: &[Entry<'_>], filter: &Value) -> Result<()> {
    let is_empty = match filter {
        Value::Array(patterns) => patterns.is_empty(),
        Value::String(pattern) => pattern.is_empty(),
        other => other.is_null(),
    };
    if is_empty {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot filter streams by `select_filter` yet")
        .with("plugin", chain.first().map_or("", |entry| entry.name))
        .hint("write the streams into `select`, and streams to leave out as `!STREAM.*`"))
}
