//! The project: its file, the active environment, its variables, plugins and jobs.

mod dotenv;
pub mod file;
pub mod job;
mod lines;
pub mod plugin;
mod shape;
pub mod variables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

pub use job::{Job, Step};
pub use plugin::{Plugin, Role};
pub use variables::Variables;

/// A project with one of its environments.
#[derive(Debug)]
pub struct Project {
    /// The folder of `meltano.yml`; paths of the project start here.
    pub root: PathBuf,
    /// The file with what it includes.
    pub file: Value,
    /// The active environment; null without one.
    pub environment: Value,
    /// The variables of this process over those of `.env`.
    pub process: Variables,
    /// These over the `env` blocks of the project and its environment.
    pub variables: Variables,
}

impl Project {
    /// Reads the project of a folder, or of the nearest folder above it that has one. The
    /// environment is the one named, else `MELTANO_ENVIRONMENT`, else the project's default.
    pub fn open(
        folder: &Path,
        environment: Option<&str>,
        settings: &[(String, String)],
    ) -> Result<Self> {
        let root = root(folder)?;
        let file = file::read(&root)?;
        let mut process = Variables::of_process(&root, settings)?;
        let wanted = environment
            .or_else(|| process.get("MELTANO_ENVIRONMENT").filter(|name| !name.is_empty()))
            .or_else(|| file["default_environment"].as_str())
            .map(str::to_owned);
        let environment = match &wanted {
            Some(name) => find_environment(&file, name)?,
            None => Value::Null,
        };
        process.set("MELTANO_PROJECT_ROOT", root.to_string_lossy());
        process.set("MELTANO_ENVIRONMENT", wanted.as_deref().unwrap_or_default());
        let mut variables = process.clone();
        variables.add_block(&file["env"], &process);
        variables.add_block(&environment["env"], &process);
        Ok(Self { root, file, environment, process, variables })
    }

    /// Returns the name of the active environment.
    pub fn environment_name(&self) -> Option<&str> {
        self.environment["name"].as_str()
    }

    /// Returns the names of all plugins of a pipeline, and of mappings.
    pub fn plugin_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for role in Role::ALL {
            for plugin in self.file["plugins"][role.key()].as_array().into_iter().flatten() {
                names.extend(plugin["name"].as_str().map(str::to_owned));
                let mappings = plugin["mappings"].as_array().into_iter().flatten();
                names.extend(mappings.filter_map(|m| m["name"].as_str()).map(str::to_owned));
            }
        }
        names
    }
}

/// Warns of something in the project, once: a backfill opens the project for each day.
pub fn warn_once(text: &str) {
    if is_news(text) {
        singer::warn!("W-PROJECT-UNUSED", "{text}");
    }
}

/// Tells whether this process has not said it before.
pub fn is_news(text: &str) -> bool {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.insert(text.to_owned())
}

/// Finds the entry of a list by its name.
pub fn find_named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["name"] == name)
}

/// Returns the name that was probably meant.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let likeness = |other: &String| strsim::jaro_winkler(name, other);
    let near = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(near) > 0.8).then_some(near)
}

fn root(folder: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(folder)
        .map_err(|cause| Error::new(ErrorKind::Io, "cannot find the folder").caused_by(cause))?;
    let found = absolute.ancestors().find(|folder| folder.join(file::FILE_NAME).is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::NoInput, "cannot find a meltano.yml")
            .with("folder", absolute.display())
            .hint("run in the folder of a meltano.yml, or name it with --project")
    })
}

fn find_environment(file: &Value, name: &str) -> Result<Value> {
    if let Some(found) = find_named(&file["environments"], name) {
        return Ok(found.clone());
    }
    let known = file["environments"].as_array().into_iter().flatten();
    let known: Vec<&str> = known.filter_map(|entry| entry["name"].as_str()).collect();
    Err(Error::new(ErrorKind::Config, "cannot find the environment")
        .with("environment", name)
        .hint(format!("the project has: {}", known.join(", "))))
}
