//! Variables that look like settings of a plugin which the project does not declare.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::capture::{self, Limits};
use crate::pipeline::Program;

use super::super::{Project, file, nearest, warn_once};
use super::settings::{Definition, definition, variable_name};
use super::{Entry, environment};

/// Adds the settings that variables are meant for, and that the plugin says it has. Only then is it
/// asked, and only one of ours: who knows what others do with a flag they do not know.
pub fn complete(
    definitions: &mut Vec<Definition>,
    project: &Project,
    chain: &[Entry<'_>],
    executable: &Path,
) {
    let undeclared = undeclared(definitions, project, chain);
    if undeclared.is_empty() {
        return;
    }
    let known = if is_ours(executable) { asked(executable).settings } else { Vec::new() };
    for own in &known {
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
                "add {{name: {name}}} to `settings` of {plugin} if that is one of its settings"
            ),
            None => format!("{plugin} --about lists its settings"),
        };
        warn_once(&format!("{variable} is set, but {plugin} has no such setting: {hint}"));
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

/// Tells whether a program is one of ours: it lies beside this one and is no script.
pub fn is_ours(executable: &Path) -> bool {
    let folder = |path: PathBuf| Some(path.canonicalize().ok()?.parent()?.to_owned());
    let own = std::env::current_exe().ok().and_then(folder);
    let is_binary = || {
        let mut start = [0; 4];
        let read = File::open(executable).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && !start.starts_with(b"#!")
    };
    own.is_some() && folder(executable.to_owned()) == own && is_binary()
}

/// What a program says of itself.
#[derive(Clone, Default)]
struct Said {
    /// Its settings; their defaults are its own affair.
    settings: Vec<Definition>,
    capabilities: Vec<String>,
    passed: Vec<String>,
}

/// Tells whether a program is one of ours and says that it can do this.
pub fn is_ours_and_can(executable: &Path, capability: &str) -> bool {
    is_ours(executable) && asked(executable).capabilities.iter().any(|can| can == capability)
}

/// Returns the settings that one of ours says it has.
pub fn settings(executable: &Path) -> Vec<Definition> {
    asked(executable).settings
}

/// Returns the variables that one of ours says it reads, beside those of its settings.
pub fn passed(executable: &Path) -> Vec<String> {
    asked(executable).passed
}

/// Asks a program what it is, once.
fn asked(executable: &Path) -> Said {
    static ASKED: Mutex<BTreeMap<PathBuf, Said>> = Mutex::new(BTreeMap::new());
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    let ask = || {
        let mut command = Command::new(executable);
        command.args(["--about", "--format", "meltano"]).stdin(Stdio::null());
        let program = Program::bare(executable);
        let limits = Limits { bytes: 4 << 20, time: Duration::from_secs(60) };
        let output = capture::output(&program, command, &limits);
        let output = output.ok().filter(|output| output.status.success());
        let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
        let about = text.and_then(|text| file::parse(&text).ok()).unwrap_or_default();
        let settings = about["settings"].as_array().cloned().unwrap_or_default();
        let without_default = |mut setting: Value| {
            setting["value"] = Value::Null;
            definition(&setting)
        };
        let capabilities = about["capabilities"].as_array().into_iter().flatten();
        Said {
            settings: settings.into_iter().filter_map(without_default).collect(),
            capabilities: capabilities.filter_map(Value::as_str).map(str::to_owned).collect(),
            passed: environment::pass_env(&about).unwrap_or_default(),
        }
    };
    asked.entry(executable.to_owned()).or_insert_with(ask).clone()
}
