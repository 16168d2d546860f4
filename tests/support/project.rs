//! A project of the runner: CSV files, our connectors, and scripts as foreign plugins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::run::{Outcome, Run, file, ours, ours_to_end};
use crate::{binaries_dir, folder, lake};

/// The day of the runs.
pub const DAY: &str = "2026-01-31";

/// A project in a folder of its own, with a CSV file and our connectors.
pub struct Project {
    _scratch: tempfile::TempDir,
    /// The folder of `meltano.yml`.
    pub root: PathBuf,
}

const HEAD: &str = "
default_environment: dev
environments:
- name: dev
- name: other
  config:
    plugins:
      loaders:
      - {name: target-csv, config: {source: others}}
plugins:
  extractors:
  - name: tap-csv
    executable: tap-csv
    capabilities: [catalog, discover, state, about]
    settings: [{name: files, kind: array}, {name: max_rejects, kind: integer}]
    config: {files: [{entity: a, path: in/a.csv, keys: [id]}]}
  - name: tap-csv--two
    inherit_from: tap-csv
    config: {files: [{entity: b, path: $MELTANO_PROJECT_ROOT/in/b.csv, keys: [id]}]}
";

const LOADERS: &str = "
  loaders:
  - name: target-csv
    executable: target-csv
    settings:
    - {name: output_path}
    - {name: source}
    - {name: datestamp}
    - {name: max_rejects, kind: integer}
    config: {output_path: output, source: '${SOURCE}', datestamp: '${DATESTAMP}'}
jobs:
- {name: both, tasks: [tap-csv target-csv, [tap-csv--two, target-csv--two]]}
";

impl Project {
    /// Makes a project with more extractors and mappers, as YAML, and scripts by their names.
    pub fn new(more: &str, scripts: &[(&str, &str)]) -> Self {
        let project = Self::with(more, "", "");
        for (name, text) in scripts {
            project.script(name, text);
        }
        project
    }

    /// Adds a script for the shell.
    pub fn script(&self, name: &str, text: &str) {
        let path = file(&self.root, name, format!("#!/bin/sh\n{text}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes a project with more extractors and mappers, loaders, and jobs, as YAML.
    pub fn with(more: &str, loaders: &str, jobs: &str) -> Self {
        let scratch = folder();
        let root = scratch.path().join("project");
        let two = "  - {name: target-csv--two, inherit_from: target-csv, config: {source: two}}\n";
        let loaders = LOADERS.replace("jobs:", &format!("{two}{loaders}jobs:"));
        file(&root, "meltano.yml", format!("{HEAD}{more}{loaders}{jobs}"));
        file(&root, ".env", "SOURCE=csv\n");
        file(&root, "in/a.csv", "id,name\n1,a\n2,b\n");
        file(&root, "in/b.csv", "id,secret\n1,x\n");
        Self { _scratch: scratch, root }
    }

    /// Describes a run of the runner.
    pub fn chorus(&self, args: &[&str]) -> Run {
        self.with_binaries(ours("chorus")).args(args)
    }

    /// The same, for signals to end.
    pub fn chorus_to_end(&self, args: &[&str]) -> Run {
        self.with_binaries(ours_to_end("chorus")).args(args)
    }

    /// Has a run find our binaries and this project.
    pub fn with_binaries(&self, run: Run) -> Run {
        let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
        run.env("PATH", path).args(["--project"]).args([&self.root])
    }

    /// Runs a job or pipeline for the day, once.
    pub fn run(&self, words: &[&str]) -> Outcome {
        self.chorus(&["run", "--datestamp", DAY, "--retries", "0"]).args(words).go()
    }

    /// Returns the output folder.
    pub fn lake(&self) -> PathBuf {
        self.root.join("output")
    }

    /// Returns the folder of a partition of the day.
    pub fn partition(&self, source: &str, table: &str) -> PathBuf {
        lake::partition(&self.lake(), source, DAY, table)
    }

    /// Asserts that nothing was published, and that no settings or half states are left.
    #[track_caller]
    pub fn published_nothing(&self) {
        let sources = fs::read_dir(self.lake()).into_iter().flatten().flatten();
        let sources: Vec<_> = sources
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("source="))
            .collect();
        assert!(sources.is_empty(), "{sources:?}");
        self.left_nothing();
    }

    /// Asserts that no settings are left.
    #[track_caller]
    pub fn left_nothing(&self) {
        let work = fs::read_dir(self.root.join(".chorus/work")).into_iter().flatten().flatten();
        let left: Vec<_> = work.map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Tells whether a file of the project is there and has text.
    pub fn has_text(&self, name: &str) -> bool {
        fs::read_to_string(self.root.join(name)).is_ok_and(|text| !text.is_empty())
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn wait_for(&self, done: &dyn Fn() -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !done() {
            assert!(Instant::now() < end, "{} is never so far", self.root.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
