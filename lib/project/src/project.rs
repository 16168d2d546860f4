//! A project: its file, the active environment, and its variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::Datestamp;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::context::Context;
use crate::day::{DAY_VARIABLES, day_of};
use crate::file;
use crate::locks::Locks;
use crate::names::find_named;
use crate::role::Role;
use crate::shape::{self, Misspelled};
use crate::spelled;
use crate::system_names;
use crate::variables::Variables;
use crate::warning;
use crate::warnings::Warnings;

/// A project with one of its environments.
#[derive(Debug)]
pub struct Project {
    /// The folder of `meltano.yml`; paths of the project start here.
    pub root: PathBuf,
    /// The file with what it includes.
    pub(crate) file: Value,
    /// The active environment; null without one.
    pub(crate) environment: Value,
    /// Whether nobody named it: it is the default of the project.
    pub environment_is_default: bool,
    /// The variables of this process over those of `.env`.
    pub(crate) process: Variables,
    /// These over the `env` blocks of the project and its environment.
    pub variables: Variables,
    /// The same without those of the environment: Meltano reads its own settings from these.
    pub(crate) of_all: Variables,
    /// What it shares with others that were opened for the same purpose.
    pub context: Arc<Context>,
    /// The same project for another day, where it was opened for one: what is the same in both has
    /// nothing to do with the day.
    pub(crate) other_day: Option<Box<Self>>,
    /// The definitions of its plugins.
    pub(crate) locks: Locks,
}

/// How a project is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Its folder, or one below it.
    pub folder: &'a Path,
    /// The environment, empty for none; else `MELTANO_ENVIRONMENT`, or the project's default.
    pub environment: Option<&'a str>,
    /// Variables over those of the process.
    pub variables: &'a [(String, String)],
    /// What it shares with others.
    pub context: &'a Arc<Context>,
}

impl Opening<'_> {
    /// Returns the variables, with those that name a day.
    fn named(&self, day: Datestamp) -> Vec<(String, String)> {
        let named = DAY_VARIABLES.map(|name| (name.to_owned(), day.to_string()));
        self.variables.iter().cloned().chain(named).collect()
    }
}

impl Project {
    /// Reads the project of a folder, or of the nearest folder above it that has one.
    pub fn open(opening: &Opening<'_>) -> Result<Self> {
        let root = root(opening.folder)?;
        let file = file::read(&root, &opening.context.warnings)?;
        Self::of_file(root, file, opening)
    }

    /// Opens the project for a day: its variables name that day, whatever else does.
    pub fn open_for(opening: &Opening<'_>, day: Datestamp) -> Result<Self> {
        let mut project = Self::open(&Opening { variables: &opening.named(day), ..*opening })?;
        let other = day.date().yesterday().or_else(|_| day.date().tomorrow());
        if let Ok(other) = other.map(Datestamp::from) {
            let (root, file) = (project.root.clone(), project.file.clone());
            let opening = Opening { variables: &opening.named(other), ..*opening };
            project.other_day = Some(Box::new(Self::of_file(root, file, &opening)?));
        }
        Ok(project)
    }

    /// Opens a project whose file was made, and stands in no folder.
    ///
    /// # Errors
    /// As [`Project::open_for`].
    pub fn of_made(file: &Value, opening: &Opening<'_>, day: Datestamp) -> Result<Self> {
        let root = std::path::absolute(opening.folder).map_err(|cause| {
            Error::new(ErrorKind::Io, "cannot find the folder").caused_by(cause)
        })?;
        let of = |day: Datestamp| {
            let opening = Opening { variables: &opening.named(day), ..*opening };
            Self::of_file(root.clone(), file.clone(), &opening)
        };
        let mut project = of(day)?;
        let other = day.date().yesterday().or_else(|_| day.date().tomorrow());
        if let Ok(other) = other.map(Datestamp::from) {
            project.other_day = Some(Box::new(of(other)?));
        }
        Ok(project)
    }

    fn of_file(root: PathBuf, file: Value, opening: &Opening<'_>) -> Result<Self> {
        let Opening { variables, context, .. } = *opening;
        let mut process = Variables::of_process(&root, variables, &context.warnings)?;
        let named = opening
            .environment
            .or_else(|| process.get("MELTANO_ENVIRONMENT").filter(|name| !name.is_empty()));
        let is_default = named.is_none();
        let wanted = named
            .or_else(|| file["default_environment"].as_str())
            .map(str::to_owned)
            .filter(|name| !name.is_empty());
        let environment = match &wanted {
            Some(name) => find_environment(&file, name)?,
            None => Value::Null,
        };
        if let Some(name) = environment["name"].as_str() {
            for text in shape::unknown_in_environments(&file, Some(name)) {
                context.warnings.warn_once(warning!("W-PROJECT-UNUSED", "{text}"));
            }
        }
        // What stands here belongs to no one else: an `env` block may set it, as for Meltano.
        let given = process.clone();
        process.set("MELTANO_PROJECT_ROOT", root.to_string_lossy());
        let folder = process
            .get("MELTANO_SYS_DIR_ROOT")
            .map_or_else(|| root.join(".meltano").to_string_lossy().into_owned(), str::to_owned);
        process.set("MELTANO_SYS_DIR_ROOT", folder);
        let made_up = || made_up_id(&root.join(".meltano/analytics.json"));
        if let Some(id) = file["project_id"].as_str().map(str::to_owned).or_else(made_up) {
            process.set("MELTANO_PROJECT_ID", id);
        }
        if process.get("MELTANO_USER_AGENT").is_none() {
            process.set("MELTANO_USER_AGENT", concat!("chorus/", env!("CARGO_PKG_VERSION")));
        }
        process.set("MELTANO_ENVIRONMENT", wanted.as_deref().unwrap_or_default());
        let joined = |blocks: &[&Value]| {
            Variables::settled(|above| {
                let mut variables = process.clone();
                for block in blocks {
                    variables.add_block(block, &given, above);
                }
                variables
            })
        };
        let of_all = joined(&[&file["env"]]);
        let variables = joined(&[&file["env"], &environment["env"]]);
        system_names::check_environment(&environment["env"], &context.warnings);
        let context = Arc::clone(context);
        let (locks, other_day) = (Locks::of_project(&root), None);
        let environment_is_default = is_default && !environment.is_null();
        Ok(Self {
            root,
            file,
            environment,
            environment_is_default,
            process,
            variables,
            of_all,
            context,
            other_day,
            locks,
        })
    }

    /// Returns the keys of its files that are almost ones that a run goes by, and have no effect.
    pub fn misspelled(&self) -> Vec<Misspelled> {
        file::misspelled(&self.root, &self.file)
    }

    /// Returns who receives the warnings.
    pub fn warnings(&self) -> &Warnings {
        &self.context.warnings
    }

    /// Returns the day that the variables name: those of the process, of `.env`, and of the `env`
    /// blocks of the project and its environment. Two days are refused.
    pub fn day(&self) -> Result<Option<Datestamp>> {
        day_of(|name| self.variables.get(name).map(str::to_owned))
    }

    /// Returns the entries of `jobs`.
    pub fn jobs(&self) -> &[Value] {
        list(&self.file["jobs"])
    }

    /// Returns the names of the jobs.
    pub fn job_names(&self) -> Vec<String> {
        self.jobs().iter().filter_map(|job| job["name"].as_str()).map(str::to_owned).collect()
    }

    /// Returns what the project says to us of a job, in `annotations.chorus` of it; null where
    /// there is no such job.
    pub fn of_job(&self, name: &str) -> &Value {
        let job = find_named(&self.file["jobs"], name).unwrap_or(&Value::Null);
        &job["annotations"]["chorus"]
    }

    /// Returns the entries of `schedules`.
    pub fn schedules(&self) -> &[Value] {
        list(&self.file["schedules"])
    }

    /// Returns a number that the project sets for us, in `annotations.chorus`.
    pub fn own_number(&self, name: &str) -> Option<u64> {
        self.file["annotations"]["chorus"][name].as_u64()
    }

    /// Tells whether a variable without a value ends a run.
    pub fn is_strict(&self) -> bool {
        let setting = self.system_setting("ff.strict_env_var_mode");
        setting.and_then(|setting| setting.truth()) == Some(true)
    }

    /// Returns what the names of states end with, variables by their names.
    pub fn state_id_suffix(&self) -> Option<String> {
        spelled::text(&self.environment["state_id_suffix"])
    }

    /// Returns the name of the active environment.
    pub fn environment_name(&self) -> Option<&str> {
        self.environment["name"].as_str()
    }

    /// Returns the names of the environments.
    pub fn environment_names(&self) -> Vec<String> {
        let names = list(&self.file["environments"]).iter().filter_map(|one| one["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Returns the names of all plugins of a pipeline, and of mappings.
    pub fn plugin_names(&self) -> Vec<String> {
        Role::ALL.into_iter().flat_map(|role| self.plugin_names_of(role)).collect()
    }

    /// Returns the names of commands that steps may run: `dbt:run`.
    pub fn command_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for role in Role::ALL.into_iter().filter(|role| !role.is_of_pipeline()) {
            for plugin in list(&self.file["plugins"][role.key()]) {
                let name = plugin["name"].as_str().unwrap_or_default();
                let commands = plugin["commands"].as_object().into_iter().flatten();
                names.extend(commands.map(|(command, _)| format!("{name}:{command}")));
            }
        }
        names
    }

    /// Returns the key of `plugins` that the entry of a plugin of any kind is below.
    pub fn plugin_group(&self, name: &str) -> Option<&str> {
        let groups = self.file["plugins"].as_object()?;
        groups.iter().find(|(_, all)| find_named(all, name).is_some()).map(|(key, _)| key.as_str())
    }

    /// Returns the environment that is active where no command names one.
    pub fn default_environment(&self) -> Option<&str> {
        self.file["default_environment"].as_str()
    }

    /// Returns the names of the plugins of a role, and of mappings.
    pub fn plugin_names_of(&self, role: Role) -> Vec<String> {
        let mut names = Vec::new();
        for plugin in list(&self.file["plugins"][role.key()]) {
            names.extend(plugin["name"].as_str().map(str::to_owned));
            let mappings = list(&plugin["mappings"]).iter();
            names.extend(mappings.filter_map(|m| m["name"].as_str()).map(str::to_owned));
        }
        names
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn root(folder: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(folder)
        .map_err(|cause| Error::new(ErrorKind::Io, "cannot find the folder").caused_by(cause))?;
    let found = absolute.ancestors().find(|folder| folder.join(file::FILE_NAME).is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::NoInput, "cannot find a meltano.yml")
            .with("folder", absolute.display())
            .hint(
                "run the command in the folder of a meltano.yml, or name the folder with --project",
            )
    })
}

/// Returns the id that Meltano has made up for a project without one.
fn made_up_id(path: &Path) -> Option<String> {
    let text = std::fs::read(path).ok()?;
    let kept: Value = serde_json::from_slice(&text).ok()?;
    kept["project_id"].as_str().map(str::to_owned)
}

fn find_environment(file: &Value, name: &str) -> Result<Value> {
    if let Some(found) = find_named(&file["environments"], name) {
        return Ok(found.clone());
    }
    let known = file["environments"].as_array().into_iter().flatten();
    let known: Vec<&str> = known.filter_map(|entry| entry["name"].as_str()).collect();
    Err(Error::new(ErrorKind::Config, "cannot find the environment")
        .with("environment", name)
        .hint(if known.is_empty() {
            "the project has no `environments`: leave out --environment and MELTANO_ENVIRONMENT, \
             or add them"
                .to_owned()
        } else {
            format!("the project has: {}", known.join(", "))
        }))
}
