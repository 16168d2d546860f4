//! The record of a run: `run.json` in its folder, and what `chorus run --json` prints.
//!
//! What later releases add is left alone, and older releases have written less: all but what names
//! a run may be absent.

use disk::Datestamp;
use jiff::Timestamp;
use project::warnings::Counts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::options::StateStrategy;
use crate::params::Params;

/// The record of a run. The file also has `format_version`: the version of its format.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct RunRecord {
    /// The name of the run: the time of its start, the number of its process, and a count.
    pub run: String,
    /// The job or the plugins that ran, as one text.
    #[serde(default)]
    pub job: String,
    /// The words of `job`.
    #[serde(default)]
    pub words: Vec<String>,
    /// The environment of the project.
    pub environment: Option<String>,
    /// The day of the run, if it has one.
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub datestamp: Option<Datestamp>,
    /// The time at which the run began.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: Timestamp,
    /// The status of the run.
    pub status: RunStatus,
    /// The number of the process.
    #[serde(default)]
    pub process: u32,
    /// The host on which the run runs.
    pub owner: Option<Owner>,
    /// The state id, if the command line gave one.
    pub state_id: Option<String>,
    /// The suffix of state ids, if the command line gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_id_suffix: Option<String>,
    /// The schedule of a tap and a target that began the run: its states have that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Whether the run started without a state, and kept none, because the command line says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_state_update: bool,
    /// How the state of the run went with the one that was there, if the command line says so.
    #[serde(default, skip_serializing_if = "is_auto")]
    pub state_strategy: StateStrategy,
    /// The UUID that the command line gave the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What the run received in addition to the project. A run that reads a part does not count as
    /// a run of the whole job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Params>,
    /// The steps, in their order.
    #[serde(default)]
    pub steps: Vec<StepRecord>,
    /// The number of warnings by code, after the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Counts>,
    /// The time at which the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended: Option<Timestamp>,
}

impl RunRecord {
    /// Returns the first of its steps that has failed, and why.
    pub fn failure(&self) -> Option<(&str, &Failure)> {
        self.steps.iter().find_map(|step| Some((step.step.as_str(), step.failure.as_ref()?)))
    }

    /// Tells it in one line, with the command that shows more.
    pub fn failure_line(&self) -> Option<String> {
        let (_, failure) = self.failure()?;
        Some(format!("{}; chorus logs {} shows more", failure.line(), self.run))
    }

    /// Tells whether it has read a part alone.
    pub fn is_part(&self) -> bool {
        self.params.as_ref().is_some_and(Params::is_part)
    }

    /// Returns it as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_auto(strategy: &StateStrategy) -> bool {
    *strategy == StateStrategy::Auto
}

/// The status of a run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// The run is running, or it was killed. The lock in its folder distinguishes the two.
    Running,
    /// All steps succeeded.
    Succeeded,
    /// A step failed.
    Failed,
    /// A step waits for an earlier day, which failed.
    Waited,
}

impl RunStatus {
    /// Returns the word of the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Waited => "waited",
        }
    }
}

/// The host of a run, and the current start of its system.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Owner {
    /// The name of the host.
    pub host: String,
    /// A number that the system keeps until it is started again.
    pub boot: String,
}

/// The record of a step of a run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct StepRecord {
    /// The names of its plugins.
    pub step: String,
    /// The status of the step.
    pub status: StepStatus,
    /// The exit code of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// Why the step failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The number of attempts; 0 if another run was executing the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<usize>,
    /// The time at which the step began, after no other run was executing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started: Option<Timestamp>,
    /// The time at which the step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended: Option<Timestamp>,
    /// The duration in seconds, including attempts and waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The state id of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_id: Option<String>,
    /// The target printed a state that could not be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_lost: Option<bool>,
    /// The rows that the target has added, or may have added, and that no state covers.
    pub uncovered: Option<String>,
    /// A name for the place that the target writes to. It shows nothing else about the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// A name for the source that the tap reads. It shows nothing else about the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The step may have changed data of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrote: Option<bool>,
    /// The number of states that the target printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<u64>,
    /// A name for the data that the step has replaced completely. It shows nothing else about the
    /// data.
    pub replaced: Option<String>,
    /// The streams that the step read.
    pub streams: Vec<StreamRecord>,
    /// The results of a dbt command, from its file `run_results.json`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<ResultRecord>,
    /// The number of warnings of its plugins, by code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Counts>,
}

/// The status of a step.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It has not begun.
    #[default]
    Waiting,
    /// It is running, or it was killed with its run.
    Running,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

impl StepStatus {
    /// Returns the word of the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// The record of a stream of a step.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct StreamRecord {
    /// The name of the stream.
    pub stream: String,
    /// The number of rows that were read.
    pub rows: u64,
    /// The number of rejected records.
    pub rejected: u64,
    /// The bytes of their values, if they are known.
    pub bytes: u64,
    /// The duration in seconds; null if the stream did not reach its end.
    pub seconds: Option<f64>,
    /// The table that the stream fills, if it has another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// The record of a model, a test or another node that a dbt command has run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ResultRecord {
    /// The name of the node.
    pub node: String,
    /// The kind of the node, such as `model`, `test`, `seed` or `snapshot`.
    pub kind: String,
    /// The status, as dbt names it, such as `success`, `pass`, `fail`, `error` or `skipped`.
    pub status: String,
    /// The number of rows that the database reported, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The number of rows that a test found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
    /// The duration in seconds.
    pub seconds: f64,
}

impl StepRecord {
    /// Makes one of a step that has not begun.
    pub fn waiting(step: &str) -> Self {
        Self { step: step.to_owned(), ..Self::default() }
    }

    /// Tells whether it was begun: one that waited, or found another run at it, was not.
    pub fn was_tried(&self) -> bool {
        self.status != StepStatus::Waiting && self.attempts != Some(0)
    }

    /// Tells whether it may have changed what its target had; older records tell its rows alone.
    pub fn wrote(&self) -> bool {
        self.wrote.unwrap_or_else(|| self.streams.iter().any(|stream| stream.rows > 0))
    }

    /// Tells whether its target has printed a state.
    pub fn has_moved_state(&self) -> bool {
        self.states.is_some_and(|count| count > 0)
    }

    /// Returns the tables that it has filled: those of its streams, unless it names others.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.streams.iter().map(|stream| stream.table.as_ref().unwrap_or(&stream.stream).as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn root() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
    }

    #[test]
    fn the_schema_of_records_is_that_of_the_page() {
        let path = root().join("docs/reference/run-record.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(RunRecord)).unwrap();
        let schema = schema + "\n";
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &schema).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap();
        assert_eq!(kept, schema, "UPDATE=1 writes {}", path.display());
    }

    #[test]
    fn records_of_releases_are_read_whole() {
        let mut count = 0;
        for release in fs::read_dir(root().join("tests/upgrades")).unwrap() {
            let runs = release.unwrap().path().join("chorus/runs");
            for run in fs::read_dir(runs).into_iter().flatten() {
                let path = run.unwrap().path().join("run.json");
                let Ok(text) = fs::read(&path) else { continue };
                let mut written: Value = serde_json::from_slice(&text).unwrap();
                written.as_object_mut().unwrap().remove("format_version");
                let read: RunRecord = serde_json::from_value(written.clone()).unwrap();
                is_in(&written, &read.to_json(), &path.display().to_string());
                count += 1;
            }
        }
        assert!(count > 5, "{count}");
    }

    /// Asserts that all that was written is there, in one way or another.
    fn is_in(written: &Value, read: &Value, place: &str) {
        match (written, read) {
            (Value::Object(written), read) => {
                for (key, value) in written {
                    is_in(value, &read[key], &format!("{place}: {key}"));
                }
            }
            (Value::Array(written), Value::Array(read)) => {
                assert_eq!(written.len(), read.len(), "{place}");
                written.iter().zip(read).for_each(|(written, read)| is_in(written, read, place));
            }
            (Value::Number(written), Value::Number(read)) if written.is_f64() => {
                assert_eq!(written.as_f64(), read.as_f64(), "{place}");
            }
            (written, read) => assert_eq!(written, read, "{place}"),
        }
    }
}
