//! What earlier runs have done: their records, and the days that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use disk::Datestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use project::warning;
use project::{Project, Step};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use crate::life::{self, Holder};
use crate::options::Options;
use crate::place;
use crate::record::{RunRecord, RunStatus, StepRecord, StepStatus};
use crate::state_names::state_id;
use crate::state_stores::States;
use crate::store::{self, Store};

/// The records of runs, oldest first.
#[derive(Debug)]
pub struct History {
    /// The runs that stand for a whole.
    pub runs: Vec<PastRun>,
    /// Those that have read a part: no day is done by them.
    pub parts: Vec<PastRun>,
    /// The states of the project, opened when they are first looked at: a server is connected to
    /// once.
    states: OnceLock<Option<States>>,
}

/// A run of which there is a record, be it over or not.
#[derive(Debug)]
pub struct PastRun {
    /// The folder with its logs.
    pub folder: PathBuf,
    /// Its record.
    pub record: RunRecord,
}

impl History {
    /// Reads the records of a project; those that are damaged are reported and left out.
    pub fn read(project: &Project) -> Result<Self> {
        let (mut runs, mut parts) = (Vec::new(), Vec::new());
        for folder in store::entries(&Store::new(&project.root).runs())? {
            let path = folder.join("run.json");
            let Ok(text) = std::fs::read(&path) else { continue };
            let read = serde_json::from_slice::<Value>(&text);
            let read = read.ok().filter(|record| record["run"].is_string());
            if let Some(record) = &read {
                store::check_version(record, &path)?;
            }
            match read.and_then(|record| serde_json::from_value::<RunRecord>(record).ok()) {
                Some(record) if record.is_part() => parts.push(PastRun { folder, record }),
                Some(record) => runs.push(PastRun { folder, record }),
                None => project.warnings().warn(warning!(
                    "W-HISTORY-DAMAGED",
                    "the record {} is damaged and is left out",
                    path.display()
                )),
            }
        }
        Ok(Self { runs, parts, states: OnceLock::new() })
    }

    /// Returns the states of the project; `None` where they cannot be opened.
    pub(crate) fn states(&self, project: &Project) -> Option<&States> {
        self.states.get_or_init(|| States::open(project).ok()).as_ref()
    }

    /// Returns all runs, those of parts among them, oldest first.
    pub fn all(&self) -> Vec<&PastRun> {
        let mut all: Vec<&PastRun> = self.runs.iter().chain(&self.parts).collect();
        all.sort_by(|one, other| one.folder.cmp(&other.folder));
        all
    }

    /// Finds a run by its id, the beginning of it, its UUID, or as `last`.
    pub fn find(&self, name: &str) -> Result<&PastRun> {
        let mut found = self.all();
        if name == "last" {
            found.drain(..found.len().saturating_sub(1));
        } else {
            let named = |run: &PastRun| run.record.run_id.as_deref() == Some(name);
            found.retain(|run| run.record.run.starts_with(name) || named(run));
        }
        match found.as_slice() {
            [run] => Ok(run),
            [] => Err(Error::new(ErrorKind::NoInput, "cannot find the run")
                .with("run", name)
                .hint("`chorus runs` lists the runs; `last` is the last run")),
            _ => Err(Error::new(ErrorKind::Usage, "several runs match this name")
                .with("run", name)
                .with("runs", found.len())),
        }
    }

    /// Returns the days that runs of a step were made for.
    pub fn days(&self, step: &str) -> Vec<Datestamp> {
        let has_step = |record: &RunRecord| record.steps.iter().any(|entry| entry.step == step);
        let days = self.runs.iter().filter(|PastRun { record, .. }| has_step(record));
        days.filter_map(|PastRun { record, .. }| record.datestamp).collect()
    }

    /// Returns the days after one that were done for what a step loads, by that step or another
    /// one, the earliest first; each with the last that has done it.
    pub fn newer_done(
        &self,
        project: &Project,
        step: &Step,
        streams: &BTreeSet<&str>,
        day: Datestamp,
    ) -> Vec<Newest> {
        let filled = Filled::new(self, project, step, streams);
        let mut newer = BTreeMap::new();
        for PastRun { record, .. } in self.all() {
            let Some(of) = record.datestamp.filter(|of| *of > day) else { continue };
            let done = |entry: &&StepRecord| entry.status == StepStatus::Succeeded && entry.wrote();
            let mut done = record.steps.iter().filter(done);
            let entry = done.find(|entry| filled.has_part_in(record, entry));
            let Some(step) = entry.map(|entry| entry.step.clone()) else { continue };
            let environment = record.environment.clone();
            let newest = Newest { day: of, step, environment, is_recorded: true };
            newer.insert(of, newest);
        }
        // Their records may be lost: a state says that a day was loaded, too.
        for of in self.days_by_state_alone(project, step, day).filter(|of| *of > day) {
            let environment = project.environment_name().map(str::to_owned);
            let newest =
                Newest { day: of, step: step.name.clone(), environment, is_recorded: false };
            newer.entry(of).or_insert(newest);
        }
        newer.into_values().collect()
    }

    /// Returns the days of a step that have a state, and no record of a run that has moved it.
    pub fn days_by_state_alone(
        &self,
        project: &Project,
        step: &Step,
        day: Datestamp,
    ) -> impl Iterator<Item = Datestamp> {
        let id = state_id(project, &Options { datestamp: Some(day), ..Options::default() }, step);
        let without_day = id.strip_suffix(&day.to_string()).map(str::to_owned);
        let ids =
            self.states(project).and_then(|states| states.state_ids().ok()).unwrap_or_default();
        let recorded: BTreeSet<&str> = self
            .all()
            .into_iter()
            .flat_map(|PastRun { record, .. }| &record.steps)
            .filter_map(|entry| entry.state_id.as_deref())
            .collect();
        let lost = ids.into_iter().filter(|id| !recorded.contains(id.as_str()));
        let day = |id: String| id.strip_prefix(without_day.as_deref()?)?.parse().ok();
        let days: Vec<Datestamp> = lost.filter_map(day).collect();
        days.into_iter()
    }

    /// Returns an older day that was loaded after a day that is done, over its rows. Which of two
    /// loads at once was the last in each table is not known: then the older day is taken for it.
    pub fn older_on_top(
        &self,
        project: &Project,
        step: &Step,
        day: Datestamp,
    ) -> Option<Datestamp> {
        let filled = Filled::new(self, project, step, &BTreeSet::new());
        let (mut is_done, mut begun, mut older) = (false, None, None);
        for PastRun { folder, record } in self.all() {
            let Some(of) = record.datestamp.filter(|of| *of <= day) else { continue };
            let is_dead = || !is_alive(project, folder, record);
            let wrote = |entry: &StepRecord| {
                entry.wrote() || entry.status == StepStatus::Running && is_dead()
            };
            for (at, entry) in record.steps.iter().enumerate() {
                if !filled.has_part_in(record, entry) || !wrote(entry) {
                    continue;
                }
                let time = Span::of(folder, record, at, entry);
                if of < day {
                    older = older.max(Some((time.ended, of)));
                } else if !record.is_part() {
                    is_done |= filled.is_own(record, entry);
                    begun = begun.max(Some(time.begun));
                }
            }
        }
        let older = older.filter(|(ended, _)| Some(*ended) > begun);
        older.filter(|_| is_done).map(|(_, of)| of)
    }

    /// Returns the step that was the last to move a state.
    pub fn mover(&self, id: &str) -> Option<&str> {
        Some(&self.moved(id)?.step)
    }

    /// Returns what the last step to move a state has noted.
    pub fn moved(&self, id: &str) -> Option<&StepRecord> {
        let moved =
            |entry: &&StepRecord| entry.state_id.as_deref() == Some(id) && entry.has_moved_state();
        let mut runs = self.all().into_iter().rev();
        runs.find_map(|PastRun { record, .. }| record.steps.iter().rfind(moved))
    }

    /// Returns what the last run of a step for a day has noted.
    pub fn entry(&self, project: &Project, step: &str, day: Datestamp) -> Option<&StepRecord> {
        let environment = project.environment_name();
        let here = self.runs.iter().rev().filter(|PastRun { record, .. }| {
            record.datestamp == Some(day) && record.environment.as_deref() == environment
        });
        let mut entries = here.flat_map(|PastRun { record, .. }| &record.steps);
        entries.find(|entry| entry.step == step && entry.was_tried())
    }

    /// Returns when the last run of a step began, if it may have kept an older state than that of
    /// what it had loaded, and why that is so.
    pub fn unkept(
        &self,
        project: &Project,
        step: &Step,
        day: Option<Datestamp>,
    ) -> Option<(Timestamp, &'static str)> {
        let environment = project.environment_name();
        let day = day.filter(|_| step.is_of_day);
        let is_same = |record: &RunRecord| {
            record.environment.as_deref() == environment
                && (day.is_none() || record.datestamp == day)
        };
        let runs = self.runs.iter().rev().filter(|PastRun { record, .. }| is_same(record));
        let runs = runs
            .flat_map(|PastRun { folder, record }| {
                record.steps.iter().map(move |entry| (folder, record, entry))
            })
            .filter(|(.., entry)| entry.step == step.name && entry.was_tried());
        for (folder, record, entry) in runs {
            let why = match entry.status {
                // This run itself is one of those that live.
                StepStatus::Running if is_alive(project, folder, record) => continue,
                StepStatus::Running => "was killed",
                _ if entry.state_lost == Some(true) => "could not keep its state",
                _ if entry.uncovered.is_some() => UNCOVERED,
                // What it had added is covered, or it had added nothing.
                StepStatus::Failed if entry.states == Some(0) => continue,
                _ => return None,
            };
            return Some((record.started, why));
        }
        None
    }
}

/// Returns the moment that the id of a new run begins with. Runs are read in the order of their
/// ids, so a clock that was put back gives none before the last one.
pub fn moment(store: &Store, now: Timestamp) -> Result<String> {
    let write = |moment: Timestamp| moment.strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let folders = store::entries(&store.runs())?;
    let names = folders.iter().filter_map(|path| path.file_name()?.to_str());
    let mut moments = names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    let Some(last) = moments.next_back().and_then(|name| name.split('-').next()) else {
        return Ok(write(now));
    };
    if write(now).as_str() > last {
        return Ok(write(now));
    }
    Ok(after(last).map_or_else(|| write(now), write))
}

/// Returns the next moment after one that is written in an id.
fn after(written: &str) -> Option<Timestamp> {
    let (seconds, thousandths) = written.strip_suffix('Z')?.split_at_checked(15)?;
    let last = DateTime::strptime("%Y%m%dT%H%M%S", seconds).ok()?.to_zoned(TimeZone::UTC).ok()?;
    let thousandths = thousandths.parse::<i64>().ok()? + 1;
    last.timestamp().checked_add(thousandths.milliseconds()).ok()
}

/// A day that was done for a table, and by what.
pub struct Newest {
    /// The day.
    pub day: Datestamp,
    /// The step that has done it.
    pub step: String,
    /// The environment that it was done in.
    pub environment: Option<String>,
    /// A record says so, or else a state alone.
    pub is_recorded: bool,
}

/// What a step loads: where its target writes, and which streams.
struct Filled<'a> {
    step: &'a str,
    environment: Option<&'a str>,
    place: String,
    streams: BTreeSet<&'a str>,
}

impl<'a> Filled<'a> {
    /// The streams are those that are given, or else those that the step has loaded before.
    fn new(
        history: &'a History,
        project: &'a Project,
        step: &'a Step,
        streams: &BTreeSet<&'a str>,
    ) -> Self {
        let (place, environment) = (place::of(step), project.environment_name());
        let streams = streams.iter().map(|stream| place::table(step, stream)).collect();
        let mut filled = Self { step: &step.name, environment, place, streams };
        if filled.streams.is_empty() {
            for PastRun { record, .. } in &history.runs {
                let own = record.steps.iter().filter(|entry| filled.is_own(record, entry));
                let streams: Vec<&str> = own.flat_map(StepRecord::tables).collect();
                filled.streams.extend(streams);
            }
        }
        filled
    }

    /// Tells whether an entry of a record is of the step itself. What it wrote to another place is
    /// not what it writes now.
    fn is_own(&self, record: &RunRecord, entry: &StepRecord) -> bool {
        entry.step == self.step
            && record.environment.as_deref() == self.environment
            && entry.into.as_ref().is_none_or(|into| *into == self.place)
    }

    /// Tells whether an entry of a record has loaded the same, under whatever name.
    fn has_part_in(&self, record: &RunRecord, entry: &StepRecord) -> bool {
        self.is_own(record, entry)
            || entry.into.as_ref() == Some(&self.place)
                && entry.tables().any(|stream| self.streams.contains(stream))
    }
}

/// From when to when a step was at its load.
struct Span {
    begun: Timestamp,
    ended: Timestamp,
}

impl Span {
    /// Older records tell the start of the run alone; of a step that was killed, its log tells.
    fn of(folder: &Path, record: &RunRecord, at: usize, entry: &StepRecord) -> Self {
        let begun = entry.started.unwrap_or(record.started);
        let log = || {
            let log = folder.join(format!("{}.log", at + 1)).metadata().ok();
            let log = log.filter(|_| entry.status == StepStatus::Running);
            Timestamp::try_from(log?.modified().ok()?).ok()
        };
        let ended = entry.ended.or_else(log).unwrap_or(begun);
        Self { begun, ended }
    }
}

/// How many runs are kept where the project does not say.
const RUNS_KEPT: u64 = 1000;
/// What is left of the runs when some were removed.
const LEFT: &str = "left.json";

/// Removes the oldest records and logs: all but the newest ones, those that run, and those that
/// tell how a step of a day stands.
pub fn prune(project: &Project) -> Result<()> {
    let kept = project.own_number("runs_kept");
    let kept = usize::try_from(kept.unwrap_or(RUNS_KEPT)).unwrap_or(usize::MAX).max(1);
    let folder = Store::new(&project.root).runs();
    // All of them are read only when there may be something to remove.
    let left = std::fs::read(folder.join(LEFT)).ok();
    let left = left.and_then(|text| serde_json::from_slice::<usize>(&text).ok()).unwrap_or(0);
    let folders = store::entries(&folder)?.len().saturating_sub(usize::from(left > 0));
    if folders <= kept.max(left) + kept / 10 {
        return Ok(());
    }
    let history = History::read(project)?;
    let mut told = BTreeSet::new();
    let mut left = folders;
    for (at, PastRun { folder, record }) in history.all().into_iter().rev().enumerate() {
        let before = told.len();
        let tells = |entry: &&StepRecord| entry.was_tried() && !record.is_part();
        for entry in record.steps.iter().filter(tells) {
            // Which day lies on top follows from the last run that has changed something.
            told.extend((entry.wrote == Some(true)).then(|| (true, of(record, entry))));
            told.insert((false, of(record, entry)));
        }
        let tells = told.len() > before;
        let runs = record.status == RunStatus::Running && is_alive(project, folder, record);
        if at < kept || tells || runs {
            continue;
        }
        match std::fs::remove_dir_all(folder) {
            Ok(()) => left -= 1,
            Err(cause) => {
                project.warnings().warn(warning!(
                    "W-FOLDER-LEFT",
                    "cannot remove {}: {cause}",
                    folder.display()
                ));
            }
        }
    }
    store::note(&folder.join(LEFT), &left.into())
}

/// Returns what a record's entry tells of: environment, day, step.
fn of<'a>(
    record: &'a RunRecord,
    entry: &'a StepRecord,
) -> (Option<&'a str>, Option<Datestamp>, &'a str) {
    (record.environment.as_deref(), record.datestamp, &entry.step)
}

/// Why rows are added again behind a run that has failed.
pub const UNCOVERED: &str = "failed";

/// The lock in the folder of a run that lives.
pub const LOCK: &str = "lock";

/// Tells whether the run that keeps its record in a folder lives.
pub fn is_alive(project: &Project, folder: &Path, record: &RunRecord) -> bool {
    life::holder(&folder.join(LOCK), record.owner.as_ref(), project.warnings()) == Holder::Alive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_their_order_when_the_clock_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let now: Timestamp = "2026-01-31T12:00:00.5Z".parse().unwrap();
        let check = |last: &str, expected: &str| {
            std::fs::create_dir_all(store.runs().join(last)).unwrap();
            assert_eq!(moment(&store, now).unwrap(), expected, "{last}");
        };
        check("left.json", "20260131T120000500Z");
        check("20260131T120000499Z-7-0", "20260131T120000500Z");
        check("20260131T120000500Z-7-1", "20260131T120000501Z");
        check("20991231T235959999Z-7-2", "21000101T000000000Z");
    }
}
