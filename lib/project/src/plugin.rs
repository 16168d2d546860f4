//! A plugin with its settings from all the places they may stand in.

pub(crate) mod about;
mod chain;
mod command;
mod dates;
mod dbt_files;
mod definition;
mod differences;
mod dump;
mod entry;
mod environment;
mod executable;
mod exports;
mod flat;
mod installation;
mod kinds;
mod layers;
pub mod listing;
mod literal;
mod origin;
pub(crate) mod other;
mod places;
mod rules;
mod secret_words;
mod setting_role;
mod settings;
mod undeclared;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result, whole};

use crate::context::Context;
use crate::file::Segment;
use crate::names::{find_named, nearest};
use crate::project::Project;
use crate::role::Role;
use crate::variables::{Missing, Variables, names_in};
use crate::warning;
use about::Description;
pub use about::about;
use chain::chain;
pub use command::Command;
pub use definition::variable_name;
pub use differences::differences;
use entry::Entry;
use environment::{Environment, Known};
use executable::{executable, program_named};
use exports::Export;
pub use installation::{FINGERPRINT, Installation};
use layers::Layers;
use other::Other;
use places::{at_line, of_line, setting_said, spot_of};
use rules::rules;
pub use rules::{Part, Rules};
pub use secret_words::{holds_secret, is_secret_word};
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
    /// What of it is installed, and where.
    pub installation: Option<Installation>,
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
    /// The variables of its names and settings.
    exports: Vec<Export>,
    /// Those of its settings.
    of_settings: Vec<Export>,
    /// What the project says of it beside its settings, by Meltano's names, such as `_select`.
    pub extras: Vec<(String, Value)>,
    /// What it says of itself, if it is one of ours.
    description: Option<Arc<Description>>,
    /// Of a plugin of another author, which setting has which role.
    roles: BTreeMap<String, String>,
}

impl Plugin {
    /// Finds a plugin, or the mapping of a mapper, by its name, to be run by itself.
    pub fn find(project: &Project, name: &str) -> Result<Self> {
        let mut plugin = Self::named(project, name, &[])?;
        plugin.environment.without(&[], project);
        Ok(plugin)
    }

    /// Finds the plugins of a pipeline: none is given secrets of the others.
    pub fn find_all(project: &Project, names: &[String]) -> Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        let mut before = Vec::new();
        for name in names {
            let plugin = Self::named(project, name, &before)?;
            before.extend(plugin.exports.iter().cloned());
            all.push(plugin);
        }
        let mut plugins = all.clone();
        for (at, plugin) in plugins.iter_mut().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != at);
            let others: Vec<&Environment> = others.map(|(_, other)| &other.environment).collect();
            plugin.environment.without(&others, project);
        }
        Ok(plugins)
    }

    fn named(project: &Project, name: &str, before: &[Export]) -> Result<Self> {
        for role in Role::ALL {
            if let Some(entry) = find_named(&project.file["plugins"][role.key()], name) {
                return Self::resolve(project, role, (entry, None), before);
            }
        }
        for mapper in project.file["plugins"]["mappers"].as_array().into_iter().flatten() {
            if let Some(mapping) = find_named(&mapper["mappings"], name) {
                let mapper = without_config(project, mapper, name);
                return Self::resolve(project, Role::Mapper, (&mapper, Some(mapping)), before);
            }
        }
        if let Some(other) = Other::find(project, name) {
            return Err(other.refusal(name));
        }
        let known: Vec<String> = project.plugin_names();
        Err(Error::new(ErrorKind::Config, "cannot find a plugin of this name")
            .with("plugin", name)
            .hint(match nearest(name, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => crate::names::listed(&known),
            }))
    }

    fn resolve(
        project: &Project,
        role: Role,
        (entry, mapping): (&Value, Option<&Value>),
        before: &[Export],
    ) -> Result<Self> {
        let name = entry["name"].as_str().unwrap_or_default();
        let chain = chain(project, role, entry)?;
        let mut exports = exports::of_entry(role, &chain);
        let variables = variables(project, &chain, before, &exports);
        let executable = executable(project, role, &chain);
        let commands =
            command::commands(&chain, |name: &str| program_named(project, role, &chain, name))?;
        let description = described(project, role, &executable)
            .map_err(|failure| failure.with("plugin", name))?;
        let mut definitions = definitions(&chain, description.as_deref());
        if role.is_of_pipeline() {
            undeclared::complete(&mut definitions, project, &chain, description.as_deref());
        }
        let mut missing = Missing::default();
        let of_plugin = |failure: Error| of_line(failure, project, role, &chain);
        let parents = self::variables(project, &chain[1..], before, &[]);
        let of = [&variables, &parents];
        let layers = Layers::new(project, &chain, &definitions, of, description.is_some());
        let settings = layers.all(&mut missing).map_err(of_plugin)?;
        let mut config = layers::config(&settings, &definitions, project).map_err(of_plugin)?;
        let of_settings = exports::of_settings(role, &chain, &definitions, &settings);
        exports.extend(of_settings.iter().cloned());
        let written = written(&chain);
        if let Some(mapping) = mapping {
            let own = variables.expand_value(&mapping["config"], &mut missing);
            exports.extend(exports::of_mapping(&chain, &definitions, (entry, mapping), &own));
            settings::overlay(&mut config, own);
        }
        // It tells the kinds of its settings, and which of them are secrets.
        if let Some(ours) = &description {
            settings::name_once(&mut config, &definitions, ours);
        }
        let kinds = description.as_ref().map_or(&[][..], |description| &description.settings);
        settings::settle(&mut config, kinds).map_err(of_plugin)?;
        let mut with_settings = variables.clone();
        set_all(&mut with_settings, &exports);
        let (rules, of_rules) = rules(&chain, &with_settings, &mut missing)?;
        let extras = exports::extras(role, &chain, &of_rules, &with_settings);
        exports.extend(exports::of_extras(role, &chain, &extras));
        let known = Known {
            project,
            chain: &chain,
            definitions: &definitions,
            description: description.as_deref(),
            written: &written,
            exports: &exports,
        };
        let mut environment = Environment::new(&known, &variables);
        if !role.is_of_pipeline() {
            environment.keep(dbt_files::variables(&project.root, &config, &environment));
        }
        let of_others = || setting_role::of_others(&chain, &definitions, &config);
        Ok(Self {
            name: mapping.map_or(name, |one| one["name"].as_str().unwrap_or(name)).to_owned(),
            role,
            executable,
            installation: Installation::find(project, role, &chain, &variables)?,
            commands,
            capabilities: capabilities(&chain),
            rules,
            before_part: None,
            environment,
            exports,
            of_settings,
            extras,
            roles: if description.is_some() { BTreeMap::new() } else { of_others() },
            description,
            config,
            written,
            missing,
        })
    }

    /// Tells whether it would do something else than another one: by its settings, its rules, or
    /// the variables that its entry sets or names.
    pub fn differs_from(&self, other: &Self) -> bool {
        self.config != other.config
            || self.rules != other.rules
            || self.environment.own() != other.environment.own()
    }

    /// Returns the variables of its settings, as the plugins behind it may see them: the name, the
    /// value, and whether it is a secret.
    pub fn setting_variables(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        let all = self.of_settings.iter();
        all.map(|export| (export.name.as_str(), export.text.as_str(), export.is_secret))
    }

    /// Returns the variables of what stands beside its settings: the name and the value.
    pub fn extra_variables(&self) -> impl Iterator<Item = (String, &str)> {
        let names = exports::extra_names(self.role, &self.name, &self.extras);
        let of_name = |name: String| {
            let found = self.exports.iter().find(|export| export.name == name);
            found.map(|export| (name, export.text.as_str()))
        };
        names.into_iter().filter_map(of_name)
    }

    /// Returns the programs of the same name that lie elsewhere along the ways to look for one.
    pub fn other_programs(&self, project: &Project) -> Vec<PathBuf> {
        executable::others(project, &self.executable)
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

    /// Tells whether it is a target of ours that says, and runs, how rows of a person are removed.
    pub fn forgets_rows(&self) -> bool {
        self.says_it_can("forget-rows")
    }

    /// Tells whether it is a target of ours that plans and changes its tables as a whole.
    pub fn plans_tables(&self) -> bool {
        self.says_it_can(singer::tables::CAPABILITY)
    }

    /// Tells whether it is one of ours that says which rights its user lacks.
    pub fn tells_grants(&self) -> bool {
        self.says_it_can(singer::plan::GRANTS)
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

/// Returns the variables of a plugin, as Meltano joins them: the blocks of plugins that it inherits
/// from, of the project, what the plugins before it in the pipeline are, its own, and those of the
/// environment. The variables of this process win.
fn variables(
    project: &Project,
    chain: &[Entry<'_>],
    before: &[Export],
    own: &[Export],
) -> Variables {
    let process = &project.process;
    let mut below = process.clone();
    for (name, value) in project.system_variables() {
        below.set(&name, value);
    }
    Variables::settled(|above| {
        let mut variables = below.clone();
        for block in chain.iter().skip(1).rev().flat_map(|entry| entry.blocks("env")) {
            variables.add_block(block, process, above);
        }
        variables.add_block(&project.file["env"], process, above);
        set_all(&mut variables, before);
        set_all(&mut variables, own);
        let [of_plugin, in_environment] =
            chain.first().map_or([&Value::Null; 2], |entry| entry.blocks("env"));
        for block in [of_plugin, &project.environment["env"], in_environment] {
            variables.add_block(block, process, above);
        }
        variables
    })
}

fn set_all(variables: &mut Variables, exports: &[Export]) {
    for Export { name, text, .. } in exports {
        variables.set(name, text);
    }
}

/// Returns the entry of a mapper for one of its mappings, whose settings take the place of the
/// mapper's, as for Meltano.
fn without_config(project: &Project, mapper: &Value, mapping: &str) -> Value {
    let mut mapper = mapper.clone();
    let config = mapper.as_object_mut().and_then(|members| members.remove("config"));
    if config.is_some_and(|config| config.as_object().is_some_and(|all| !all.is_empty())) {
        project.warnings().warn_once(warning!(
            "W-PROJECT-UNUSED",
            "{}: its `config` has no effect in its mapping {mapping}, as in Meltano: write it into \
             the mapping",
            mapper["name"].as_str().unwrap_or_default()
        ));
    }
    mapper
}

/// Returns what a program of ours says of itself. Any program with commands does not answer, and
/// reads variables by itself.
fn described(project: &Project, role: Role, executable: &Path) -> Result<Option<Arc<Description>>> {
    let Context { programs, warnings, .. } = &*project.context;
    if role.is_of_pipeline() { programs.describe(executable, warnings) } else { Ok(None) }
}

/// Returns the settings as the project has them, variables by their names.
fn written(chain: &[Entry<'_>]) -> Map<String, Value> {
    let mut written = Map::new();
    for entry in chain.iter().rev() {
        for block in entry.blocks("config") {
            settings::overlay(&mut written, block.clone());
        }
    }
    written
}

fn capabilities(chain: &[Entry<'_>]) -> Vec<String> {
    let lists = chain.iter().find_map(|entry| entry.own["capabilities"].as_array());
    lists.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
