//! A copy of the example project, with a source and a target database of its own.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{Database, database};
use crate::python::MELTANO;
use crate::run::{Outcome, Run, file};
use crate::{binaries_dir, folder, lake, root};

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
        let plugins = fs::read_dir(root().join("plugins"))
            .unwrap()
            .map(|entry| format!("plugins/{}", entry.unwrap().file_name().display()));
        let entries = ["meltano.yml", "demo/order_details.csv"].map(str::to_owned);
        for entry in plugins.chain(entries) {
            let bytes = fs::read(root().join(&entry)).unwrap();
            file(project.path(), &entry, bytes);
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

    /// Runs lines with `meltano` in the folder of the project.
    pub fn meltano(&self, lines: &str) -> Outcome {
        self.shell(lines, &[&MELTANO.programs()])
            .env("MELTANO_SEND_ANONYMOUS_USAGE_STATS", "false")
            .env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
            .env("NO_COLOR", "1")
            .patience(Duration::from_mins(10))
            .go()
    }

    /// Returns the tables of a day, by source, with the sums of their data.
    pub fn day(&self, day: &str) -> BTreeMap<String, String> {
        let part = format!("extracted_at={day}");
        let sums = lake::data_sums(&self.lake());
        let of_day = sums.into_iter().filter(|(path, _)| path.to_string_lossy().contains(&part));
        let table = |path: &Path| path.parent().unwrap().to_string_lossy().replace(&part, "");
        of_day.map(|(path, sum)| (table(&path), sum)).collect()
    }

    /// Returns the tables of a schema of the target, sorted.
    pub fn tables(&self, schema: &str) -> Vec<String> {
        let list = format!(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname <> '_sdc_tables'
             AND relnamespace = '{schema}'::regnamespace ORDER BY 1"
        );
        self.target.psql(&list).lines().map(str::to_owned).collect()
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
