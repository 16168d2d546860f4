//! Variables that look like settings of a plugin which the project does not declare.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::capture::{self, Limits};
use crate::exit;
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
    let known = settings(executable);
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

/// Tells whether a program is one of ours: it lies beside this one, is no script, and says what it
/// is.
pub fn is_ours(executable: &Path) -> bool {
    lies_beside(executable) && matches!(asked(executable), Ok(Some(_)))
}

/// Looks at a program that lies beside this one: it must say what it is. One that cannot be asked
/// is refused, as it would be run without what it needs and what it must end at; one that does not
/// know the question is told, and is one of others.
pub fn check(executable: &Path) -> Result<()> {
    if lies_beside(executable) { asked(executable).map(drop) } else { Ok(()) }
}

fn lies_beside(executable: &Path) -> bool {
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

/// Returns what one of ours says of itself; nothing of any other.
fn said(executable: &Path) -> Said {
    if !lies_beside(executable) {
        return Said::default();
    }
    asked(executable).ok().flatten().unwrap_or_default()
}

/// Tells whether a program is one of ours and says that it can do this.
pub fn is_ours_and_can(executable: &Path, capability: &str) -> bool {
    said(executable).capabilities.iter().any(|can| can == capability)
}

/// Returns the settings that one of ours says it has.
pub fn settings(executable: &Path) -> Vec<Definition> {
    said(executable).settings
}

/// Returns the variables that one of ours says it reads, beside those of its settings.
pub fn passed(executable: &Path) -> Vec<String> {
    said(executable).passed
}

/// Asks a program what it is, until it has answered; `None` where it does not know the question.
fn asked(executable: &Path) -> Result<Option<Said>> {
    static ASKED: Mutex<BTreeMap<PathBuf, Option<Said>>> = Mutex::new(BTreeMap::new());
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = asked.get(executable) {
        return Ok(known.clone());
    }
    let said = ask(executable)?;
    asked.insert(executable.to_owned(), said.clone());
    Ok(said)
}

fn ask(executable: &Path) -> Result<Option<Said>> {
    let mut command = Command::new(executable);
    command.args(["--about", "--format", "meltano"]).stdin(Stdio::null());
    let program = Program::bare(executable);
    let limits = Limits { bytes: 4 << 20, time: Duration::from_mins(1) };
    let refuse = |kind: ErrorKind| {
        Error::new(kind, "cannot ask a program what it is").with("program", executable.display())
    };
    let output = capture::output(&program, command, &limits).map_err(|cause| {
        refuse(cause.kind()).caused_by(cause.message()).hint("does `--about` of it work?")
    })?;
    if output.status.code().is_none() {
        let kind = exit::kind(output.status);
        return Err(refuse(kind).with("exit", exit::words(output.status)));
    }
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success());
    let about = text.and_then(|text| file::parse(&text).ok());
    let Some(about) = about.filter(|about| about["name"].is_string()) else {
        singer::warn!(
            "W-PLUGIN-UNKNOWN",
            "{} lies beside chorus, but `--about --format meltano` does not say what it is \
             (exit {}): it is run as a plugin of others, without `--deny-warnings`",
            executable.display(),
            exit::words(output.status)
        );
        return Ok(None);
    };
    let settings = about["settings"].as_array().cloned().unwrap_or_default();
    let without_default = |mut setting: Value| {
        setting["value"] = Value::Null;
        definition(&setting)
    };
    let capabilities = about["capabilities"].as_array().into_iter().flatten();
    Ok(Some(Said {
        settings: settings.into_iter().filter_map(without_default).collect(),
        capabilities: capabilities.filter_map(Value::as_str).map(str::to_owned).collect(),
        passed: environment::pass_env(&about).unwrap_or_default(),
    }))
}
