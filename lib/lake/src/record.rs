//! The run record of a day: which tables its finished runs published, and who is at work.

use std::collections::{BTreeMap, BTreeSet};

use disk::Datestamp;
use serde::{Deserialize, Serialize};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::backend::Change;
use crate::manifest::{check_format_version, format_version};
use crate::{Key, Lake, Partition};

/// What is known about the runs of (source, day). Loads trust a day when no run is open and the
/// sums of the manifests are those recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this format.
    pub format_version: u64,
    /// The source.
    pub source: String,
    /// The day.
    pub extracted_at: Datestamp,
    /// The run that finished last.
    pub run_id: Option<String>,
    /// The program of that run, with its version.
    pub tool: Option<String>,
    /// When that run finished, in UTC.
    pub finished_at: Option<String>,
    /// The tables by stream name.
    pub tables: BTreeMap<String, TableRecord>,
    /// Runs that began to publish and did not finish, with the tables they may have changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, BTreeSet<String>>,
    /// Steps of the runner that are to extract the source and have not done so, by their states.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub awaited: BTreeMap<String, String>,
}

/// One table of a finished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// The SHA-256 of the manifest's text.
    pub manifest_sha256: String,
    /// How many rows the partition holds.
    pub rows: u64,
}

impl RunRecord {
    fn new(source: &str, day: Datestamp) -> Self {
        Self {
            format_version: format_version(),
            source: source.to_owned(),
            extracted_at: day,
            run_id: None,
            tool: None,
            finished_at: None,
            tables: BTreeMap::new(),
            open: BTreeMap::new(),
            awaited: BTreeMap::new(),
        }
    }

    /// Tells whether it says what the other one says of tables and runs.
    fn settles(&self, other: &Self) -> bool {
        self.tables == other.tables && self.open == other.open && self.awaited == other.awaited
    }
}

impl Lake {
    /// Reads the run record of a day, if there is one.
    /// One of another source or day is none (`Data`): it was moved here, or the file system takes
    /// the names of two sources for one.
    pub fn run_record(&self, source: &str, day: Datestamp) -> Result<Option<RunRecord>> {
        self.checked_record(source, day, self.backend().read(&Key::record(source, day))?)
    }

    fn checked_record(
        &self,
        source: &str,
        day: Datestamp,
        text: Option<Vec<u8>>,
    ) -> Result<Option<RunRecord>> {
        let path = self.show(&Key::record(source, day));
        match read_record(&path, text)? {
            Some(record) if record.source != source || record.extracted_at != day => Err(
                Error::new(ErrorKind::Data, "cannot use the run record of another day or source")
                    .with("path", path)
                    .with("source in the record", record.source)
                    .with("day in the record", record.extracted_at)
                    .hint(
                        "check whether the folder of a source was renamed, or whether two sources \
                         differ only in upper and lower case; else remove the file, and extract \
                         all tables of the day again",
                    ),
            ),
            record => Ok(record),
        }
    }

    /// Says that a step of the runner is about to extract a source: until it has, nobody takes the
    /// day for whole. `state` is what the step keeps its state under.
    pub fn await_step(&self, source: &str, day: Datestamp, state: &str, step: &str) -> Result<()> {
        self.update_record(source, day, |record| {
            record.awaited.insert(state.to_owned(), step.to_owned());
            Ok(())
        })
    }

    /// Says that the step has extracted the source.
    pub fn step_done(&self, source: &str, day: Datestamp, state: &str) -> Result<()> {
        if self.run_record(source, day)?.is_none_or(|record| !record.awaited.contains_key(state)) {
            return Ok(());
        }
        self.update_record(source, day, |record| {
            record.awaited.remove(state);
            Ok(())
        })
    }

    /// Returns the run records of a day, of all sources.
    pub(crate) fn run_records(&self, day: Datestamp) -> Result<Vec<RunRecord>> {
        let mut records = Vec::new();
        for folder in
            self.backend().names(&Key::records())?.iter().filter(|name| name.starts_with("source="))
        {
            let at = Key::records().join(folder).join(&format!("extracted_at={day}.json"));
            records.extend(read_record(&self.show(&at), self.backend().read(&at)?)?);
        }
        Ok(records)
    }

    /// Lists the sources that have a run record of a day, also those without rows of it.
    pub fn recorded(&self, day: Datestamp) -> Result<Vec<String>> {
        Ok(self.run_records(day)?.into_iter().map(|record| record.source).collect())
    }

    /// Refuses a day that a source is still to be extracted for.
    pub fn check_awaited(&self, day: Datestamp) -> Result<()> {
        for record in self.run_records(day)? {
            if let Some(step) = record.awaited.values().next() {
                return Err(Error::new(
                    ErrorKind::NoInput,
                    "cannot read a day that is not complete",
                )
                .with("day", day)
                .with("source", &record.source)
                .with("step that did not succeed", step)
                .with("run record", self.show(&Key::record(&record.source, day)))
                .hint(format!(
                    "wait for the step, or run it again: chorus run {step} --datestamp {day}; \
                         or set `source` to read only another source"
                )));
            }
        }
        Ok(())
    }

    /// Refuses a day of which a source is gone that its run record has tables of, or a run.
    pub(crate) fn check_gone(&self, record: &RunRecord) -> Result<()> {
        let open = record.open.values().flatten();
        let Some(table) = record.tables.keys().chain(open).next() else { return Ok(()) };
        Err(Error::new(ErrorKind::NoInput, "cannot find a source of the day")
            .with("source", &record.source)
            .with("day", record.extracted_at)
            .with("table", table)
            .with("run record", self.show(&Key::record(&record.source, record.extracted_at)))
            .hint(
                "the run record lists this source: extract it again for this day, or wait for the \
                 run that is writing it; if it was removed on purpose, remove the run record; or \
                 set `source` to read only another source",
            ))
    }

    /// Returns those of the tables whose rows are not where a state says that they are: a run wrote
    /// one for this day and it is gone, or no run ever wrote it here. One that was written for
    /// another day may have been removed since, as old days are.
    pub fn lacking<'a>(
        &self,
        source: &str,
        day: Datestamp,
        tables: &[&'a str],
    ) -> Result<Vec<&'a str>> {
        let is_there = |day, table: &str| self.has(&Key::table(source, day, table));
        let (mut gone, mut unknown) = (Vec::new(), Vec::new());
        let today = self.run_record(source, day)?.map(|record| record.tables).unwrap_or_default();
        for table in tables {
            if !is_there(day, table)? {
                let list = if today.contains_key(*table) { &mut gone } else { &mut unknown };
                list.push(*table);
            }
        }
        let records = Key::records().join(Key::source(source).as_str());
        let names = self.backend().names(&records)?;
        let recorded = names.iter().filter_map(|name| name.strip_prefix("extracted_at="));
        let recorded = recorded.filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        let days: BTreeSet<Datestamp> = recorded.chain(self.days(source)?).collect();
        for day in days.into_iter().rev() {
            if unknown.is_empty() {
                break;
            }
            // A damaged record of another day is not for this run to refuse.
            let record = self.run_record(source, day).ok().flatten();
            let known = record.map(|record| record.tables).unwrap_or_default();
            unknown.retain(|table| {
                !known.contains_key(*table) && !is_there(day, table).unwrap_or(true)
            });
        }
        gone.append(&mut unknown);
        Ok(gone)
    }

    /// Changes the run record as one step, guarded against other runs of the same day. Leaves it as
    /// it is when `change` changes nothing that matters.
    pub(crate) fn update_record(
        &self,
        source: &str,
        day: Datestamp,
        change: impl Fn(&mut RunRecord) -> Result<()>,
    ) -> Result<()> {
        self.backend().change_record(source, day, &mut |text| {
            let before = self.checked_record(source, day, text)?;
            let mut record = before.clone().unwrap_or_else(|| RunRecord::new(source, day));
            change(&mut record)?;
            if before.as_ref().is_some_and(|before| before.settles(&record)) {
                return Ok(Change::Keep);
            }
            if record.settles(&RunRecord::new(source, day)) {
                return Ok(Change::Remove);
            }
            let mut text = serde_json::to_vec_pretty(&record)
                .or_kind(ErrorKind::Internal, "cannot write the run record")?;
            text.push(b'\n');
            Ok(Change::Write(text))
        })
    }

    /// Refuses a day whose runs are not all finished, or whose tables are not those recorded.
    pub(crate) fn check_finished(
        &self,
        source: &str,
        day: Datestamp,
        partitions: &[Partition],
    ) -> Result<()> {
        let refuse = |message: &str| {
            Error::new(ErrorKind::NoInput, message)
                .with("source", source)
                .with("day", day)
                .with("run record", self.show(&Key::record(source, day)))
        };
        let Some(record) = self.run_record(source, day)? else {
            return Err(refuse("cannot read a day that no run has finished")
                .hint("extract the day again, or wait for the run that is writing it"));
        };
        if let Some((run, tables)) = record.open.first_key_value() {
            let tables: Vec<_> = tables.iter().map(String::as_str).collect();
            return Err(refuse("cannot read a day while one of its runs has not finished")
                .with("run", run)
                .with("tables", tables.join(", "))
                .hint("extract these tables again, or wait for the run that is writing them"));
        }
        for partition in partitions {
            let known = record.tables.get(&partition.manifest.stream);
            if known.is_none_or(|known| known.manifest_sha256 != partition.manifest_sha256) {
                return Err(refuse("cannot use a table that differs from the run record")
                    .with("table", &partition.manifest.stream)
                    .with("path", partition.show())
                    .hint("extract this table again"));
            }
        }
        Ok(())
    }

    /// Refuses a day that lacks a table of its run record.
    pub(crate) fn check_has_all(
        &self,
        source: &str,
        day: Datestamp,
        partitions: &[Partition],
    ) -> Result<()> {
        let Some(record) = self.run_record(source, day)? else { return Ok(()) };
        let missing = record
            .tables
            .keys()
            .find(|table| !partitions.iter().any(|there| there.manifest.stream == **table));
        match missing {
            Some(table) => Err(Error::new(ErrorKind::NoInput, "cannot find a table of the day")
                .with("table", table)
                .with("path", self.show(&Key::table(source, day, table)))
                .hint("the run record lists this table: extract it again")),
            None => Ok(()),
        }
    }
}

fn read_record(path: &str, text: Option<Vec<u8>>) -> Result<Option<RunRecord>> {
    let Some(text) = text else { return Ok(None) };
    let message = "cannot read the run record";
    check_format_version(&text, message).with("path", path)?;
    let record = serde_json::from_slice(&text).or_kind(ErrorKind::Data, message);
    record
        .with("path", path)
        .hint("remove the file, and extract all tables of the day again")
        .map(Some)
}
