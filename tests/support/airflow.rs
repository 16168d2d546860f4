//! A real Airflow with our DAGs, a home of its own and a copy of the example project.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::example::{Example, search_path};
use crate::python::AIRFLOW;
use crate::run::{Outcome, Run};
use crate::{folder, root};

/// A dozen runs of a DAG in one process, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(10);

/// Airflow with its metadata in a file, for `airflow dags test`.
pub struct Airflow<'a> {
    project: &'a Example,
    home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// 0, or what the command failed with.
    pub code: Value,
    /// What it printed, the logs of its tasks included.
    pub printed: String,
    /// State and tries of the tasks in the newest run.
    pub tasks: Value,
}

impl Ended {
    /// Returns a task's state and how often it was tried.
    #[track_caller]
    pub fn task(&self, name: &str) -> (String, u64) {
        let task = &self.tasks[name];
        let state = task["state"].as_str().unwrap_or("none").to_owned();
        (state, task["tries"].as_u64().unwrap_or_default())
    }
}

impl<'a> Airflow<'a> {
    /// Makes an Airflow for a project.
    pub fn new(project: &'a Example) -> Self {
        let airflow = Self { project, home: folder() };
        airflow.quiet(AIRFLOW.program("airflow")).args(["db", "migrate"]).go().success();
        airflow
    }

    /// Runs commands one after the other, each with variables over those of the ones before.
    /// Returns how each ended, and what all of them logged.
    pub fn run(&self, commands: &[(&[&str], Value)]) -> (Vec<Ended>, Outcome) {
        let scenarios = commands
            .iter()
            .map(|(argv, variables)| json!({ "argv": argv, "variables": variables }))
            .collect::<Vec<_>>();
        let results = self.home.path().join("results.json");
        let run = AIRFLOW.script(include_str!("drive_airflow.py")).args([&results]);
        let run = self.quiet(run).input(Value::from(scenarios).to_string()).patience(PATIENCE);
        let outcome = run.go().success();
        let results: Value = serde_json::from_slice(&fs::read(results).unwrap()).unwrap();
        let ended = |result: &Value| Ended {
            code: result["code"].clone(),
            printed: result["printed"].as_str().unwrap().to_owned(),
            tasks: result["tasks"].clone(),
        };
        (results.as_array().unwrap().iter().map(ended).collect(), outcome)
    }

    fn quiet(&self, run: Run) -> Run {
        run.env("PATH", search_path(&[]))
            .env("AIRFLOW_HOME", self.home.path())
            .env("AIRFLOW__CORE__LOAD_EXAMPLES", "false")
            .env("AIRFLOW__CORE__DAGS_FOLDER", root().join("orchestrate/dags"))
            .env("AIRFLOW__USAGE_DATA_COLLECTION__ENABLED", "false")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CHORUS_PROJECT", self.project.path())
            .env("CHORUS_RETRY_SECONDS", "1")
    }
}
