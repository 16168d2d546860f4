//! Makes a step ready to run: files with the settings, the catalog and the state, and flags.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::catalog_rules;
use crate::pipeline::Program;
use crate::project::{Plugin, Project, Role, Step};
use crate::store;

/// The programs of a step, and the folder with their files; it goes when this is dropped.
#[derive(Debug)]
pub struct Prepared {
    /// In the order of the pipe.
    pub programs: Vec<Program>,
    _folder: tempfile::TempDir,
}

/// Writes the files of a step and finds out what its tap is to read.
pub fn prepare(project: &Project, step: &Step, state: Option<&Value>) -> Result<Prepared> {
    let parent = project.root.join(".chorus/work");
    store::make_private_folder(&parent)?;
    let folder = tempfile::TempDir::new_in(&parent)
        .map_err(|cause| store::failure("cannot make a folder", &parent, cause))?;
    let mut programs = Vec::new();
    for (at, plugin) in step.plugins.iter().enumerate() {
        let config = folder.path().join(format!("{at}.config.json"));
        write_json(&config, &Value::Object(plugin.config.clone()))?;
        let mut arguments = vec!["--config".to_owned(), text(&config)];
        if plugin.role == Role::Extractor {
            let mut files = TapFiles { folder: folder.path(), config: &config, state: None };
            if let Some(state) = state.filter(|_| plugin.can("state")) {
                let path = folder.path().join("state.json");
                write_json(&path, state)?;
                files.state = Some(path);
            }
            arguments.extend(tap_arguments(project, plugin, &files)?);
        }
        programs.push(program(project, plugin, arguments));
    }
    Ok(Prepared { programs, _folder: folder })
}

struct TapFiles<'a> {
    folder: &'a Path,
    config: &'a Path,
    state: Option<PathBuf>,
}

fn tap_arguments(project: &Project, plugin: &Plugin, files: &TapFiles<'_>) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    let flag = if plugin.declares("properties") && !plugin.declares("catalog") {
        "--properties"
    } else {
        "--catalog"
    };
    if needs_catalog(plugin) {
        let mut catalog = catalog(project, plugin, files)?;
        catalog_rules::apply(&mut catalog, &plugin.rules)
            .map_err(|failure| failure.with("plugin", &plugin.name))?;
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
    reads_one && (!plugin.rules.is_empty() || !plugin.declares("about"))
}

/// Returns the catalog that the project names, or else what the tap discovers.
fn catalog(project: &Project, plugin: &Plugin, files: &TapFiles<'_>) -> Result<Value> {
    if let Some(path) = &plugin.rules.catalog {
        let path = project.root.join(path);
        let text = std::fs::read(&path).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog")
                .with("plugin", &plugin.name)
                .with("path", path.display())
                .caused_by(cause)
        })?;
        return serde_json::from_slice(&text).map_err(|cause| {
            Error::new(ErrorKind::Config, "cannot read the catalog as JSON")
                .with("path", path.display())
                .caused_by(cause)
        });
    }
    discover(project, plugin, files.config)
}

/// Asks a tap for its catalog.
pub fn discover(project: &Project, plugin: &Plugin, config: &Path) -> Result<Value> {
    let arguments = vec!["--config".to_owned(), text(config), "--discover".to_owned()];
    let program = program(project, plugin, arguments);
    let output = command(&program).output().map_err(|cause| {
        Error::new(ErrorKind::Config, "cannot start the plugin")
            .with("plugin", &plugin.name)
            .with("executable", program.executable.display())
            .caused_by(cause)
            .hint("install it, put it on PATH, or set `executable` to its path")
    })?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let kind = kind_of_exit(output.status.code());
        return Err(Error::new(kind, "cannot discover the streams of the tap")
            .with("plugin", &plugin.name)
            .with("exit", output.status)
            .with("log", last_lines(&log, 12)));
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| {
        Error::new(ErrorKind::Protocol, "cannot read the catalog that the tap discovered")
            .with("plugin", &plugin.name)
            .caused_by(cause)
    })
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

/// Makes the program of a plugin.
pub fn program(project: &Project, plugin: &Plugin, arguments: Vec<String>) -> Program {
    let pairs = plugin.variables.iter().map(|(name, value)| (name.clone(), value.clone()));
    Program {
        name: plugin.name.clone(),
        executable: plugin.executable.clone(),
        arguments,
        variables: pairs.collect(),
        folder: project.root.clone(),
    }
}

/// Reads the class of a failure out of an exit code of ours; others' codes say nothing.
pub fn kind_of_exit(code: Option<i32>) -> ErrorKind {
    let kinds = [
        ErrorKind::Usage,
        ErrorKind::Data,
        ErrorKind::NoInput,
        ErrorKind::Unavailable,
        ErrorKind::Io,
        ErrorKind::Temporary,
        ErrorKind::Protocol,
        ErrorKind::Denied,
        ErrorKind::Config,
    ];
    let found = kinds.into_iter().find(|kind| Some(i32::from(kind.exit_code())) == code);
    found.unwrap_or(ErrorKind::Unavailable)
}

/// Returns the last lines of a log.
pub fn last_lines(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n    ")
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    store::write_private(path, value.to_string().as_bytes())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
