//! What earlier runs have done: their records, and the days that are there.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use lake::Datestamp;
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::awaited;
use crate::day::day_is_there;
use crate::life::{self, Holder};
use crate::project::{Project, Step};
use crate::run::Options;
use crate::store::{self, Store};

/// The records of runs, oldest first.
#[derive(Debug)]
pub struct History {
    /// The folder of each run, and its record.
    pub runs: Vec<(PathBuf, Value)>,
}

/// How a step of a day stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never run.
    Missing,
    /// It is being run.
    Running,
    /// Its last run has failed.
    Failed,
    /// Its last run has failed by what it read: the rows do not fit.
    FailedByData,
    /// Its last run ended without saying how: it was killed.
    Died,
    /// It has succeeded, but the day it wrote is not there any more.
    Gone,
    /// It has succeeded.
    Done,
}

impl Standing {
    /// Tells whether the last run of the step did not end well.
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::FailedByData | Self::Died)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "-",
            Self::Running => "running",
            Self::Failed | Self::FailedByData => "failed",
            Self::Died => "died",
            Self::Gone => "gone",
            Self::Done => "ok",
        })
    }
}

impl History {
    /// Reads the records of a project; those that are damaged are told and left out.
    pub fn read(project: &Project) -> Result<Self> {
        let mut runs = Vec::new();
        for folder in store::entries(&Store::new(&project.root).runs())? {
            let path = folder.join("run.json");
            let Ok(text) = std::fs::read(&path) else { continue };
            match serde_json::from_slice::<Value>(&text) {
                Ok(record) if record["run"].is_string() => runs.push((folder, record)),
                _ => singer::warn!(
                    "W-HISTORY-DAMAGED",
                    "the record {} is damaged: it is left out",
                    path.display()
                ),
            }
        }
        Ok(Self { runs })
    }

    /// Finds a run by its id, the beginning of it, or as `last`.
    pub fn find(&self, name: &str) -> Result<&(PathBuf, Value)> {
        let matches =
            |run: &&(PathBuf, Value)| run.1["run"].as_str().is_some_and(|id| id.starts_with(name));
        let found: Vec<_> = if name == "last" {
            self.runs.last().into_iter().collect()
        } else {
            self.runs.iter().filter(matches).collect()
        };
        match found.as_slice() {
            [run] => Ok(run),
            [] => Err(Error::new(ErrorKind::NoInput, "cannot find the run")
                .with("run", name)
                .hint("`chorus runs` lists those that are there; `last` is the last one")),
            _ => Err(Error::new(ErrorKind::Usage, "cannot tell which run is meant")
                .with("run", name)
                .with("runs", found.len())),
        }
    }

    /// Returns the days that runs of a step were made for.
    pub fn days(&self, step: &str) -> Vec<Datestamp> {
        let has_step = |record: &Value| {
            let mut steps = record["steps"].as_array().into_iter().flatten();
            steps.any(|entry| entry["step"] == step)
        };
        let days = self.runs.iter().filter(|(_, record)| has_step(record));
        days.filter_map(|(_, record)| record["datestamp"].as_str()?.parse().ok()).collect()
    }

    /// Returns the latest day that a step has done.
    pub fn newest_done(&self, project: &Project, step: &Step) -> Option<Datestamp> {
        let environment = project.environment_name();
        let done = |record: &Value| {
            let mut steps = record["steps"].as_array().into_iter().flatten();
            record["environment"].as_str() == environment
                && steps.any(|entry| entry["step"] == step.name && entry["status"] == "succeeded")
        };
        let days = self.runs.iter().filter(|(_, record)| done(record));
        days.filter_map(|(_, record)| record["datestamp"].as_str()?.parse().ok()).max()
    }

    /// Returns what the last run of a step for a day has noted.
    pub fn entry(&self, project: &Project, step: &str, day: Datestamp) -> Option<&Value> {
        let (environment, day) = (project.environment_name(), day.to_string());
        let here = self.runs.iter().rev().filter(|(_, record)| {
            record["datestamp"] == day && record["environment"].as_str() == environment
        });
        let mut entries =
            here.flat_map(|(_, record)| record["steps"].as_array().into_iter().flatten());
        entries.find(|entry| entry["step"] == step && was_tried(entry))
    }

    /// Tells how a step of a day stands. The plugins of the step must be those of that day.
    pub fn standing(&self, project: &Project, step: &Step, day: Datestamp) -> Result<Standing> {
        let of_day = day.to_string();
        let mut last = Standing::Missing;
        let environment = project.environment_name();
        let here = |(_, record): &&(PathBuf, Value)| {
            record["datestamp"] == of_day && record["environment"].as_str() == environment
        };
        for (folder, record) in self.runs.iter().filter(here) {
            let entries = record["steps"].as_array().into_iter().flatten();
            let of_step = |entry: &&Value| entry["step"] == step.name && was_tried(entry);
            for entry in entries.filter(of_step) {
                last = match entry["status"].as_str() {
                    Some("succeeded") => Standing::Done,
                    Some("running") if is_alive(folder, record) => Standing::Running,
                    Some("running") => Standing::Died,
                    _ if entry["exit"] == ErrorKind::Data.exit_code() => Standing::FailedByData,
                    _ => Standing::Failed,
                };
            }
        }
        Ok(match (last, day_is_there(project, step)?) {
            (Standing::Missing, Some(true)) => {
                let options = Options { datestamp: Some(day), ..Options::default() };
                let awaited = awaited::is_awaited(project, &options, step)?;
                if awaited { Standing::Missing } else { Standing::Done }
            }
            (Standing::Done, Some(false)) => Standing::Gone,
            (last, _) => last,
        })
    }
}

/// How many runs are kept where the project does not say.
const RUNS_KEPT: u64 = 1000;
/// What is left of the runs when some were removed.
const LEFT: &str = "left.json";

/// Removes the oldest records and logs: all but the newest ones, those that run, and those that
/// tell how a step of a day stands.
pub fn prune(project: &Project) -> Result<()> {
    let kept = project.file["annotations"]["chorus"]["runs_kept"].as_u64();
    let kept = usize::try_from(kept.unwrap_or(RUNS_KEPT)).unwrap_or(usize::MAX).max(1);
    let folder = Store::new(&project.root).runs();
    // All of them are read only when there may be something to remove.
    let left = std::fs::read(folder.join(LEFT)).ok();
    let left = left.and_then(|text| serde_json::from_slice::<usize>(&text).ok()).unwrap_or(0);
    let folders = store::entries(&folder)?.len().saturating_sub(usize::from(left > 0));
    if folders <= kept.max(left) + kept / 10 {
        return Ok(());
    }
    let runs = History::read(project)?.runs;
    let mut told = BTreeSet::new();
    let mut left = folders;
    for (at, (folder, record)) in runs.iter().rev().enumerate() {
        let entries = record["steps"].as_array().into_iter().flatten();
        let before = told.len();
        told.extend(entries.filter(|entry| was_tried(entry)).map(|entry| of(record, entry)));
        let tells = told.len() > before;
        let runs = record["status"] == "running" && is_alive(folder, record);
        if at < kept || tells || runs {
            continue;
        }
        match std::fs::remove_dir_all(folder) {
            Ok(()) => left -= 1,
            Err(cause) => {
                singer::warn!("W-FOLDER-LEFT", "cannot remove {}: {cause}", folder.display());
            }
        }
    }
    store::note(&folder.join(LEFT), &left.into())
}

/// Returns what a record's entry tells of: environment, day, step.
fn of(record: &Value, entry: &Value) -> [String; 3] {
    [&record["environment"], &record["datestamp"], &entry["step"]].map(Value::to_string)
}

/// Tells whether a step was begun: one that waited, or found another run at it, was not.
fn was_tried(entry: &Value) -> bool {
    entry["status"] != "waiting" && entry["attempts"] != 0
}

/// The lock in the folder of a run that lives.
pub const LOCK: &str = "lock";

/// Tells whether the run that keeps its record in a folder lives.
pub fn is_alive(folder: &Path, record: &Value) -> bool {
    life::holder(&folder.join(LOCK), &record["owner"]) == Holder::Alive
}
