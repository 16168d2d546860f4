//! A step that runs a command of a plugin, such as `dbt:run`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::unknown;
use crate::names::{find_named, nearest};
use crate::plugin::other::Other;
use crate::plugin::{Command, Plugin};
use crate::program::Program;
use crate::project::Project;
use crate::role::Role;
use crate::shell_words;

/// A command of a plugin, run by itself.
#[derive(Clone, Debug)]
pub struct CommandStep {
    /// The name: `dbt:run`, or that of the plugin where it is run without a command.
    pub name: String,
    /// The plugin.
    pub plugin: Plugin,
    /// The name of the command.
    pub command: Option<String>,
    /// Whether another day has it do something else; it has not where no day is known.
    pub is_of_day: bool,
}

impl CommandStep {
    /// Finds a plugin and its command by `PLUGIN:COMMAND`, or the plugin by its name.
    pub fn find(project: &Project, word: &str) -> Result<Self> {
        let mut step = Self::of(project, word)?;
        if let Some(other) = &project.other_day {
            let other = Self::of(other, word)?;
            step.is_of_day = step.plugin.differs_from(&other.plugin)
                || step.arguments().ok() != other.arguments().ok();
        }
        Ok(step)
    }

    fn of(project: &Project, word: &str) -> Result<Self> {
        let (_, name, command) = named(project, word)?;
        let plugin = Plugin::find(project, name)?;
        if let Some(command) = command.filter(|command| !plugin.commands.contains_key(*command)) {
            let known: Vec<String> = plugin.commands.keys().cloned().collect();
            return Err(Error::new(ErrorKind::Config, "cannot find a command of the plugin")
                .with("plugin", name)
                .with("command", command)
                .hint(match (nearest(command, &known), known.is_empty()) {
                    (Some(near), _) => format!("did you mean `{name}:{near}`?"),
                    (None, false) => format!("it has: {}", known.join(", ")),
                    (None, true) => format!(
                        "add it to {name} in meltano.yml: `commands: {{{command}: ARGUMENTS}}`"
                    ),
                }));
        }
        let command = command.map(str::to_owned);
        Ok(Self { name: word.to_owned(), plugin, command, is_of_day: false })
    }

    fn spec(&self) -> Option<&Command> {
        self.plugin.commands.get(self.command.as_ref()?)
    }

    /// Returns the program that it runs.
    pub fn executable(&self) -> &PathBuf {
        let own = self.spec().and_then(|command| command.executable.as_ref());
        own.unwrap_or(&self.plugin.executable)
    }

    /// Returns the command line as the project has it, with variables by their names.
    pub fn written(&self) -> String {
        let name = self.executable().file_name().unwrap_or_default().to_string_lossy();
        let arguments = self.spec().map_or("", |command| command.arguments.trim());
        format!("{name} {arguments}").trim_end().to_owned()
    }

    /// Returns the arguments of the command: split, then variables in them expanded.
    ///
    /// # Errors
    /// `Config` where they cannot be split, or an argument is nothing.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let Some(command) = self.spec() else { return Ok(Vec::new()) };
        let refuse = |message: &str| {
            let failure = Error::new(ErrorKind::Config, message).with("plugin", &self.plugin.name);
            failure.with("command", self.command.as_deref().unwrap_or_default())
        };
        let words = shell_words::split(&command.arguments).ok_or_else(|| {
            refuse("cannot read the arguments of the command")
                .hint("close each quote, and put a character behind each backslash")
        })?;
        let variables = self.variables();
        let expand = |word: &String| {
            let mut missing = BTreeSet::new();
            let expanded = variables.expand(word, &mut missing);
            if expanded.is_empty() {
                return Err(refuse("cannot run a command with an empty argument")
                    .with("argument", word)
                    .hint(match missing.first() {
                        Some(name) => format!("set {name}"),
                        None => "remove the argument, or give it a value".to_owned(),
                    }));
            }
            Ok(expanded)
        };
        words.iter().map(expand).collect()
    }

    /// Returns the process that it is, with more arguments behind its own. It runs in the folder of
    /// the project; a transformer, in that of its own project.
    pub fn program(&self, project: &Project, more: &[String]) -> Result<Program> {
        let mut arguments = self.arguments()?;
        arguments.extend_from_slice(more);
        let variables = self.variables();
        let own = self.plugin.config.get("project_dir").and_then(Value::as_str);
        let own = own.filter(|_| self.plugin.role == Role::Transformer);
        Ok(Program {
            name: self.plugin.name.clone(),
            executable: self.executable().clone(),
            arguments,
            variables: variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            folder: own.map_or_else(|| project.root.clone(), |path| project.root.join(path)),
        })
    }

    /// Returns the variables of its process. Programs find others of their own environment.
    fn variables(&self) -> crate::Variables {
        let mut variables = self.plugin.environment.given.clone();
        variables.remove("VIRTUAL_ENV");
        variables.remove("PYTHONPATH");
        let folder = self.executable().parent().filter(|folder| folder.ends_with("venv/bin"));
        if let Some((folder, venv)) = folder.and_then(|folder| Some((folder, folder.parent()?))) {
            let path = variables.get("PATH").unwrap_or_default();
            variables.set("PATH", format!("{}:{path}", folder.display()));
            variables.set("VIRTUAL_ENV", venv.to_string_lossy());
        }
        variables
    }
}

/// Reads a word: the role and name of a plugin, and the command behind a colon.
pub(super) fn named<'a>(
    project: &Project,
    word: &'a str,
) -> Result<(Role, &'a str, Option<&'a str>)> {
    if let Some(role) = role(project, word) {
        return Ok((role, word, None));
    }
    let split = word.split_once(':').and_then(|(name, command)| {
        let role = role(project, name)?;
        Some((role, name, Some(command).filter(|command| !command.is_empty())))
    });
    if let Some(named) = split {
        return Ok(named);
    }
    let name = word.split_once(':').map_or(word, |(name, _)| name);
    if let Some(other) = Other::find(project, name) {
        return Err(other.refusal(name));
    }
    Err(unknown(project, word))
}

fn role(project: &Project, name: &str) -> Option<Role> {
    let plugins = &project.file["plugins"];
    let found = Role::ALL.into_iter().find(|role| find_named(&plugins[role.key()], name).is_some());
    let mappers = plugins["mappers"].as_array().into_iter().flatten();
    let mut mappings = mappers.map(|mapper| &mapper["mappings"]);
    found.or_else(|| mappings.any(|all| find_named(all, name).is_some()).then_some(Role::Mapper))
}
