//! What the programs of plugins say of themselves.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use super::definition::{Definition, definition};
use super::entry::pass_env;
use crate::capture::{self, Limits};
use crate::program::Program;
use crate::warning;
use crate::warnings::Warnings;
use crate::{exit, yaml};

/// What a program says of itself.
#[derive(Debug, Default)]
pub struct Description {
    /// Its settings; their defaults are its own affair.
    pub settings: Vec<Definition>,
    /// What it can.
    pub capabilities: Vec<String>,
    /// Which setting has which role, by the words of [`super::SettingRole`].
    pub roles: BTreeMap<String, String>,
    /// The variables that it reads, beside those of its settings.
    pub passed: Vec<String>,
}

impl Description {
    /// Tells whether it says that it can do this.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|can| can == capability)
    }
}

/// The size of a program's file, and when it was changed: after an update it says something else.
type Version = (u64, Option<SystemTime>);
type Answers = BTreeMap<(PathBuf, Version), Option<Arc<Description>>>;

/// The programs that were asked what they are, each once.
#[derive(Debug, Default)]
pub struct Programs(Mutex<Answers>);

impl Programs {
    /// Returns what a program of ours says of itself; `None` for one of others. A program is ours
    /// when it lies beside this one, is no script, and says what it is.
    ///
    /// A program beside this one that cannot be asked is refused, as it would be run without what
    /// it needs and what it must end at; one that does not know the question is reported, and is
    /// one of others.
    pub fn describe(
        &self,
        executable: &Path,
        warnings: &Warnings,
    ) -> Result<Option<Arc<Description>>> {
        if !lies_beside(executable) {
            return Ok(None);
        }
        let file = executable.metadata().ok();
        let version = file.map_or((0, None), |file| (file.len(), file.modified().ok()));
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (executable.to_owned(), version);
        if let Some(known) = answers.get(&key) {
            return Ok(known.clone());
        }
        let description = ask(executable, warnings)?.map(Arc::new);
        answers.insert(key, description.clone());
        Ok(description)
    }
}

/// Returns what a program of this name beside this one says of itself, in Meltano's form; `None`
/// where there is none, or it is none of ours.
///
/// # Errors
/// The program cannot be asked.
pub fn about(name: &str, warnings: &Warnings) -> Result<Option<Value>> {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.join(name)));
    match beside.filter(|path| lies_beside(path)) {
        Some(path) => Ok(answer(&path, warnings)?.filter(|about| about["name"] == name)),
        None => Ok(None),
    }
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

/// Asks a program what it is; `None` where it does not know the question.
fn answer(executable: &Path, warnings: &Warnings) -> Result<Option<Value>> {
    let mut command = Command::new(executable);
    command.args(["--about", "--format", "meltano"]).stdin(Stdio::null());
    let program = Program::bare(executable);
    let limits = Limits { bytes: 4 << 20, time: Duration::from_mins(1), ..Limits::WORDS };
    let refuse = |kind: ErrorKind| {
        Error::new(kind, "cannot ask a program for its description")
            .with("program", executable.display())
    };
    let output = capture::output(&program, command, &limits).map_err(|cause| {
        refuse(cause.kind())
            .caused_by(cause.message())
            .hint("check that the program answers `--about`")
    })?;
    if output.status.code().is_none() {
        let kind = exit::kind(output.status);
        return Err(refuse(kind).with("exit", exit::words(output.status)));
    }
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success());
    let about = text.and_then(|text| yaml::parse(&text).ok());
    let about = about.filter(|about| about["name"].is_string());
    if about.is_none() {
        warnings.warn(warning!(
            "W-PLUGIN-UNKNOWN",
            "{} is in the folder of chorus, but does not answer `--about --format meltano` (exit \
             {}): it is run as a plugin of another author, without `--deny-warnings`",
            executable.display(),
            exit::words(output.status)
        ));
    }
    Ok(about)
}

fn ask(executable: &Path, warnings: &Warnings) -> Result<Option<Description>> {
    let Some(about) = answer(executable, warnings)? else { return Ok(None) };
    let settings = about["settings"].as_array().cloned().unwrap_or_default();
    let without_default = |mut setting: Value| {
        setting["value"] = Value::Null;
        definition(&setting)
    };
    let capabilities = about["capabilities"].as_array().into_iter().flatten();
    let roles = about["annotations"]["chorus"]["roles"].as_object().into_iter().flatten();
    let roles = roles.filter_map(|(role, name)| Some((role.clone(), name.as_str()?.to_owned())));
    Ok(Some(Description {
        settings: settings.into_iter().filter_map(without_default).collect(),
        capabilities: capabilities.filter_map(Value::as_str).map(str::to_owned).collect(),
        roles: roles.collect(),
        passed: pass_env(&about).unwrap_or_default(),
    }))
}
