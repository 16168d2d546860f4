//! A copy of the example project, with a source and a target database of its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::cluster::{Database, database};
use super::run::{Run, file};
use super::{binaries_dir, folder, root};

/// The project, in a folder that goes with it.
pub struct Example {
    /// Holds the sales tables of the demo.
    pub source: Database,
    /// Is empty at first.
    pub target: Database,
    folder: tempfile::TempDir,
}

impl Example {
    /// Copies the project and makes its databases; `purpose` becomes part of their names.
    pub fn new(purpose: &str) -> Self {
        let source = database(&format!("{purpose}_sales"));
        source.psql(&fs::read_to_string(root().join("demo/sales.sql")).unwrap());
        let target = database(&format!("{purpose}_warehouse"));
        let project = Self { source, target, folder: folder() };
        for entry in ["meltano.yml", "demo/order_details.csv"] {
            let bytes = fs::read(root().join(entry)).unwrap();
            file(project.path(), entry, bytes);
        }
        let example = fs::read_to_string(root().join(".env.example")).unwrap();
        file(project.path(), ".env.example", project.variables(&example));
        project
    }

    /// Returns the folder of the project.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the dated folders.
    pub fn lake(&self) -> PathBuf {
        self.path().join("output")
    }

    /// Reads variables from `.env`, as `.env.example` tells to make it.
    pub fn with_variables(self) -> Self {
        fs::copy(self.path().join(".env.example"), self.path().join(".env")).unwrap();
        self
    }

    /// Describes a shell that runs lines in the project, with our binaries and others on its path.
    pub fn shell(&self, lines: &str, programs: &[&Path]) -> Run {
        let script = format!("cd '{}'\n{lines}", self.path().display());
        Run::new(Path::new("/bin/bash"))
            .args(["-o", "pipefail", "-ec", &script])
            .env("PATH", search_path(programs))
    }

    /// Puts these databases into the text of `.env.example`.
    fn variables(&self, example: &str) -> String {
        let mut text = String::new();
        for line in example.lines() {
            let given = line.split_once('=').filter(|_| !line.starts_with('#'));
            let value = given.and_then(|(name, _)| self.variable(name));
            match (given, value) {
                (Some((name, _)), Some(value)) => writeln!(text, "{name}={value}"),
                _ => writeln!(text, "{line}"),
            }
            .unwrap();
        }
        text
    }

    /// Returns what a variable of the databases is here.
    fn variable(&self, name: &str) -> Option<String> {
        let (end, setting) = name.split_once("_POSTGRES_")?;
        let database = if end == "SOURCE" { &self.source } else { &self.target };
        let settings = database.settings();
        let value = &settings[setting.to_lowercase()];
        Some(value.as_str().map_or_else(
            || if value.is_null() { String::new() } else { value.to_string() },
            str::to_owned,
        ))
    }
}

/// Returns a `PATH` of folders, then our binaries, then the system's.
pub fn search_path(first: &[&Path]) -> std::ffi::OsString {
    let ours = binaries_dir();
    let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new);
    std::env::join_paths(first.iter().copied().chain([ours.as_path()]).chain(system)).unwrap()
}
