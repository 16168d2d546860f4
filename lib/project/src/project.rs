//! A project: its file, the active environment, and its variables.

use std::path::{Path, PathBuf};

use lake::Datestamp;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::day::{DAY_VARIABLES, day_of};
use crate::file;
use crate::names::find_named;
use crate::role::Role;
use crate::variables::Variables;

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
    /// The same project for another day, where it was opened for one: what is the same in both has
    /// nothing to do with the day.
    pub other_day: Option<Box<Self>>,
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
        Self::of_file(root, file, environment, settings)
    }

    /// Opens the project for a day: its variables name that day, whatever else does.
    pub fn open_for(
        folder: &Path,
        environment: Option<&str>,
        settings: &[(String, String)],
        day: Datestamp,
    ) -> Result<Self> {
        let with = |day: Datestamp| -> Vec<(String, String)> {
            let named = DAY_VARIABLES.map(|name| (name.to_owned(), day.to_string()));
            settings.iter().cloned().chain(named).collect()
        };
        let mut project = Self::open(folder, environment, &with(day))?;
        let other = day.date().yesterday().or_else(|_| day.date().tomorrow());
        if let Ok(other) = other.map(Datestamp::from) {
            let (root, file) = (project.root.clone(), project.file.clone());
            let other = Self::of_file(root, file, environment, &with(other))?;
            project.other_day = Some(Box::new(other));
        }
        Ok(project)
    }

    fn of_file(
        root: PathBuf,
        file: Value,
        environment: Option<&str>,
        settings: &[(String, String)],
    ) -> Result<Self> {
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
        Ok(Self { root, file, environment, process, variables, other_day: None })
    }

    /// Returns the day that the variables name: those of the process, of `.env`, and of the `env`
    /// blocks of the project and its environment. Two days are refused.
    pub fn day(&self) -> Result<Option<Datestamp>> {
        day_of(|name| self.variables.get(name).map(str::to_owned))
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
