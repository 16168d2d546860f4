//! The days that a job has written: which there are, and their removal.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use disk::Datestamp;
use lake::{Key, Lake};
use project::{Job, Project};
use singer::{Error, ErrorKind, Result};

use crate::lake_paths::day_written;
use crate::options::Options;
use crate::pipeline::Stop;
use crate::state_lock::StateLocks;
use crate::state_names::{self, state_id};

/// A day of a source that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownDay {
    /// The source.
    pub source: String,
    /// The day.
    pub day: Datestamp,
    /// Where it lies.
    pub place: String,
    /// How many tables it has.
    pub tables: usize,
    /// How many rows its run record says they have; without one it is not whole.
    pub rows: Option<u64>,
    root: PathBuf,
}

/// Returns the days of the sources that a job writes, by source and day. The project is open for
/// any day.
pub fn known(project: &Project, job: &Job) -> Result<Vec<KnownDay>> {
    let mut found = BTreeSet::new();
    for (root, source, _) in written(project, job)? {
        if !root.is_dir() {
            continue;
        }
        for day in Lake::open(&root)?.days(&source)? {
            found.insert(look(&root, &source, day)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns what a job has written for the day that the project is open for.
///
/// # Errors
/// `NoInput` where that is nothing.
pub fn of_day(project: &Project, job: &Job, day: Datestamp) -> Result<Vec<KnownDay>> {
    let mut found = BTreeSet::new();
    for (root, source, written) in written(project, job)? {
        let is_there = || Lake::open(&root).and_then(|lake| lake.has(&Key::day(&source, day)));
        if written == day && root.is_dir() && is_there()? {
            found.insert(look(&root, &source, day)?);
        }
    }
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NoInput, "cannot find the day")
            .with("job", &job.name)
            .with("day", day)
            .hint(format!("chorus days {} lists the days", job.words.join(" "))));
    }
    Ok(found.into_iter().collect())
}

/// Removes what a job has written for a day, unless a run is at it.
///
/// # Errors
/// `Temporary` while a run of the job, or any that writes the day, is at it.
pub fn remove(project: &Project, job: &Job, days: &[KnownDay], stop: &dyn Stop) -> Result<()> {
    let locks = StateLocks::default();
    let mut states = BTreeSet::new();
    for day in days {
        let options = Options { datestamp: Some(day.day), ..Options::default() };
        let steps = job.pipelines().filter(|step| {
            day_written(project, step).is_some_and(|(_, source, _)| source == day.source)
        });
        states.extend(steps.map(|step| state_id(project, &options, step)));
        // What is to write it says so before it begins.
        let record = Lake::open(&day.root)?.run_record(&day.source, day.day)?;
        states.extend(record.into_iter().flat_map(|record| record.awaited.into_keys()));
    }
    let mut held = Vec::new();
    for state in states {
        let lock = locks.take(&state_names::lock(project, &state)?, stop)?;
        held.push(lock.ok_or_else(|| {
            Error::new(ErrorKind::Temporary, "cannot remove a day that a run is writing")
                .with("job", &job.name)
                .with("state of the run", &state)
                .hint("wait until it has ended: `chorus runs` lists the running ones")
        })?);
    }
    for day in days {
        Lake::open(&day.root)?.remove_day(&day.source, day.day)?;
    }
    Ok(())
}

/// Returns the folders, sources and days that the steps of a job write.
fn written(project: &Project, job: &Job) -> Result<Vec<(PathBuf, String, Datestamp)>> {
    let mut all: Vec<_> = job.pipelines().filter_map(|step| day_written(project, step)).collect();
    if all.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "cannot list days: the job writes no dated folders",
        )
        .with("job", &job.name)
        .hint("name a job with a target that writes `source=S/extracted_at=DAY/...`"));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn look(root: &Path, source: &str, day: Datestamp) -> Result<KnownDay> {
    let lake = Lake::open(root)?;
    let record = lake.run_record(source, day)?;
    let whole = record.filter(|record| record.open.is_empty() && record.awaited.is_empty());
    let tables = lake.tables(source, day).map_or(0, |tables| tables.len());
    Ok(KnownDay {
        source: source.to_owned(),
        day,
        place: lake.show(&Key::day(source, day)),
        tables,
        rows: whole.map(|record| record.tables.values().map(|table| table.rows).sum()),
        root: root.to_owned(),
    })
}
