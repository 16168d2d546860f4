//! Makes a step ready to run: files with the settings, the catalog and the state, and flags.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::capture::last_words;
use crate::catalog_rules;
use crate::exit;
use crate::observe;
use crate::pipeline::Program;
use crate::project::{Plugin, Project, Role, Step};
use crate::store;

/// The programs of a step, and the folder with their files; it goes when this is dropped.
#[derive(Debug)]
pub struct Prepared {
    /// In the order of the pipe.
    pub programs: Vec<Program>,
    folder: tempfile::TempDir,
}

impl Prepared {
    /// Names the files of the step by what they are: they are gone when somebody looks for them.
    pub fn named(&self, line: String) -> String {
        let names: Vec<&str> = self.programs.iter().map(|program| program.name.as_str()).collect();
        named(self.folder.path(), &names, line)
    }
}

/// Writes the files of a step and finds out what its tap is to read.
pub fn prepare(project: &Project, step: &Step, state: Option<&Value>) -> Result<Prepared> {
    let folder = work_folder(project)?;
    let mut programs = Vec::new();
    for (at, plugin) in step.plugins.iter().enumerate() {
        let given = Given { state, catalog: None };
        programs.push(program_of(project, plugin, folder.path(), at, given)?);
    }
    Ok(Prepared { programs, folder })
}

/// What a tap is given beside its settings.
#[derive(Clone, Copy)]
struct Given<'a> {
    state: Option<&'a Value>,
    /// In place of what it discovers.
    catalog: Option<&'a Value>,
}

/// Writes the files of a plugin and makes its command line.
fn program_of(
    project: &Project,
    plugin: &Plugin,
    folder: &Path,
    at: usize,
    given: Given<'_>,
) -> Result<Program> {
    let config = folder.join(config_name(at));
    write_json(&config, &Value::Object(plugin.config.clone()))?;
    let mut arguments = vec!["--config".to_owned(), text(&config)];
    if plugin.role == Role::Extractor {
        let mut files = TapFiles { folder, config: &config, state: None };
        if let Some(state) = given.state.filter(|_| plugin.can("state")) {
            let path = folder.join("state.json");
            write_json(&path, state)?;
            files.state = Some(path);
        }
        arguments.extend(tap_arguments(project, plugin, &files, given.catalog)?);
    }
    Ok(program(project, plugin, arguments))
}

/// Returns the catalog that a tap would be run with, and what it has warned of.
pub fn catalog(project: &Project, plugin: &Plugin) -> Result<(Value, Vec<String>)> {
    let folder = work_folder(project)?;
    let config = folder.path().join("config.json");
    write_json(&config, &Value::Object(plugin.config.clone()))?;
    selected_catalog(project, plugin, &config)
}

/// A plugin by itself, and the folder with its files; it goes when this is dropped.
#[derive(Debug)]
pub struct Alone {
    /// The program with its flags.
    pub program: Program,
    _folder: tempfile::TempDir,
}

/// Makes a plugin ready to be run by itself; a tap, with a catalog that it was found to have.
pub fn alone(
    project: &Project,
    plugin: &Plugin,
    state: Option<&Value>,
    catalog: Option<&Value>,
) -> Result<Alone> {
    let folder = work_folder(project)?;
    let program = program_of(project, plugin, folder.path(), 0, Given { state, catalog })?;
    Ok(Alone { program, _folder: folder })
}

/// Removes what killed runs have left: their settings may hold secrets.
fn sweep(parent: &Path) -> Result<()> {
    for path in store::entries(parent)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let owner = name.split('-').next().and_then(|id| id.parse::<u32>().ok());
        let alive = owner.is_some_and(|id| Path::new("/proc").join(id.to_string()).exists());
        if !alive && let Err(cause) = std::fs::remove_dir_all(&path) {
            singer::warn!("W-FOLDER-LEFT", "cannot remove {}: {cause}", path.display());
        }
    }
    Ok(())
}

fn work_folder(project: &Project) -> Result<tempfile::TempDir> {
    let parent = project.root.join(".chorus/work");
    store::make_private_folder(&parent)?;
    sweep(&parent)?;
    tempfile::Builder::new()
        .prefix(&format!("{}-", std::process::id()))
        .tempdir_in(&parent)
        .map_err(|cause| store::failure("cannot make a folder", &parent, cause))
}

struct TapFiles<'a> {
    folder: &'a Path,
    config: &'a Path,
    state: Option<PathBuf>,
}

fn tap_arguments(
    project: &Project,
    plugin: &Plugin,
    files: &TapFiles<'_>,
    catalog: Option<&Value>,
) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    let flag = if plugin.declares("properties") && !plugin.declares("catalog") {
        "--properties"
    } else {
        "--catalog"
    };
    if catalog.is_some() || needs_catalog(plugin) {
        let (catalog, warnings) = match catalog {
            Some(catalog) => (catalog.clone(), Vec::new()),
            None => selected_catalog(project, plugin, files.config)?,
        };
        for warning in warnings {
            singer::warn!("W-PROJECT-UNUSED", "{}: {warning}", plugin.name);
        }
        let path = files.folder.join("catalog.json");
        write_json(&path, &catalog)?;
        arguments.extend([flag.to_owned(), text(&path)]);
    }
    if let Some(state) = &files.state {
        arguments.extend(["--state".to_owned(), text(state)]);
    }
    Ok(arguments)
}

/// A tap made after the Singer SDK (it has `--about`) reads everything when it is given no
/// catalog; others read nothing.
fn needs_catalog(plugin: &Plugin) -> bool {
    let reads_one = plugin.can("catalog") || plugin.can("properties");
    reads_one && (!plugin.rules.leave_catalog() || !plugin.declares("about"))
}

/// Returns the catalog of a tap with the project's rules applied.
fn selected_catalog(
    project: &Project,
    plugin: &Plugin,
    config: &Path,
) -> Result<(Value, Vec<String>)> {
    let (mut catalog, warnings) = given_catalog(project, plugin, config)?;
    catalog_rules::apply(&mut catalog, &plugin.rules)
        .map_err(|failure| failure.with("plugin", &plugin.name))?;
    Ok((catalog, warnings))
}

/// Returns the catalog that the project names, or else what the tap discovers.
fn given_catalog(
    project: &Project,
    plugin: &Plugin,
    config: &Path,
) -> Result<(Value, Vec<String>)> {
    if let Some(path) = &plugin.rules.catalog {
        let path = project.root.join(path);
        let text = std::fs::read(&path).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog")
                .with("plugin", &plugin.name)
                .with("path", path.display())
                .caused_by(cause)
        })?;
        let catalog = serde_json::from_slice(&text).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog as JSON")
                .with("path", path.display())
                .caused_by(cause)
        })?;
        return Ok((catalog, Vec::new()));
    }
    discover(project, plugin, config)
}

/// Asks a tap for its catalog.
fn discover(project: &Project, plugin: &Plugin, config: &Path) -> Result<(Value, Vec<String>)> {
    let arguments = vec!["--config".to_owned(), text(config), "--discover".to_owned()];
    let program = program(project, plugin, arguments);
    let output = command(&program).output().map_err(|cause| not_started(&program, cause))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let kind = exit::kind(output.status);
        let failure = Error::new(kind, "cannot discover the streams of the tap")
            .with("plugin", &plugin.name)
            .with("exit", exit::words(output.status));
        let folder = config.parent().unwrap_or(config);
        let log = named(folder, &[&plugin.name], log.into_owned());
        let add = |failure: Error, line: &str| failure.with(&plugin.name, line);
        return Err(last_words(&log).into_iter().fold(failure, add));
    }
    let catalog = serde_json::from_slice(&output.stdout).map_err(|cause| {
        Error::new(ErrorKind::Protocol, "cannot read the catalog that the tap discovered")
            .with("plugin", &plugin.name)
            .caused_by(cause)
    })?;
    Ok((catalog, log.lines().filter_map(observe::warning).map(str::to_owned).collect()))
}

/// Makes a command without input.
pub fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.executable);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(program.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&program.folder)
        .stdin(Stdio::null());
    command
}

/// How often our plugins say what they have counted, in seconds.
const METRICS_INTERVAL: (&str, &str) = ("METRICS_INTERVAL_SECONDS", "1");

/// Makes the program of a plugin.
pub fn program(project: &Project, plugin: &Plugin, arguments: Vec<String>) -> Program {
    let pairs = plugin.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    // Progress is shown from what the plugins count.
    let often = (METRICS_INTERVAL.0.to_owned(), METRICS_INTERVAL.1.to_owned());
    let pairs = std::iter::once(often).chain(pairs);
    Program {
        name: plugin.name.clone(),
        executable: plugin.executable.clone(),
        arguments,
        variables: pairs.collect(),
        folder: project.root.clone(),
    }
}

/// Makes the failure of a program that cannot be run.
pub fn not_started(program: &Program, cause: std::io::Error) -> Error {
    let missing = cause.kind() == std::io::ErrorKind::NotFound;
    let failure = Error::new(ErrorKind::Config, "cannot start the plugin")
        .with("plugin", &program.name)
        .with("executable", program.executable.display())
        .caused_by(cause);
    if missing {
        failure.hint("install it, put it on PATH, or set `executable` to its path")
    } else {
        failure
    }
}

/// Puts names in place of the paths of files that are made for a run and go with it.
fn named(folder: &Path, plugins: &[&str], line: String) -> String {
    let folder = text(folder);
    if !line.contains(&folder) {
        return line;
    }
    let tap = plugins.first().copied().unwrap_or_default();
    let file = |name: &str| format!("{folder}/{name}");
    let mut line = line
        .replace(&file("config.json"), &format!("the settings of {tap}"))
        .replace(&file("catalog.json"), &format!("the catalog of {tap}"))
        .replace(&file("state.json"), &format!("the state of {tap}"));
    for (at, plugin) in plugins.iter().enumerate() {
        line = line.replace(&file(&config_name(at)), &format!("the settings of {plugin}"));
    }
    line
}

fn config_name(at: usize) -> String {
    format!("{at}.config.json")
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    store::write_private(path, value.to_string().as_bytes())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
