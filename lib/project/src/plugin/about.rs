//! What the programs of plugins say of themselves.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::entry::pass_env;
use super::settings::{Definition, definition};
use crate::capture::{self, Limits};
use crate::program::Program;
use crate::{exit, yaml};

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
    let about = text.and_then(|text| yaml::parse(&text).ok());
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
        passed: pass_env(&about).unwrap_or_default(),
    }))
}
