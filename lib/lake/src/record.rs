//! The run record of a day: which tables its finished runs published, and who is at work.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::manifest::{check_format_version, format_version};
use crate::partition::{Lake, Partition};
use crate::{Datestamp, Lock, disk, name};

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
        }
    }
}

impl Lake {
    /// Reads the run record of a day, if there is one.
    pub fn run_record(&self, source: &str, day: Datestamp) -> Result<Option<RunRecord>> {
        let path = self.record_path(source, day);
        let Some(text) = disk::read_small(&path)? else { return Ok(None) };
        let message = "cannot read the run record";
        check_format_version(&text, message).with("path", path.display())?;
        let record = serde_json::from_slice(&text).or_kind(ErrorKind::Data, message);
        record
            .with("path", path.display())
            .hint("remove the file, and extract all tables of the day again")
            .map(Some)
    }

    fn record_path(&self, source: &str, day: Datestamp) -> PathBuf {
        let folder = self.root().join(".runs").join(format!("source={}", name::encode(source)));
        folder.join(format!("extracted_at={day}.json"))
    }

    /// Changes the run record as one step, guarded against other runs of the same day. Leaves the
    /// file as it is when `change` changes nothing that matters.
    pub(crate) fn update_record(
        &self,
        source: &str,
        day: Datestamp,
        change: impl FnOnce(&mut RunRecord) -> Result<()>,
    ) -> Result<()> {
        let _guard = Lock::wait(&self.lock_path("record", &[source, &day.to_string()]))?;
        let path = self.record_path(source, day);
        let before = self.run_record(source, day)?;
        let mut record = before.clone().unwrap_or_else(|| RunRecord::new(source, day));
        change(&mut record)?;
        let settled = before.is_some_and(|b| b.tables == record.tables && b.open == record.open);
        if settled {
            return Ok(());
        }
        disk::make_folder(&self.root().join(".runs"))?;
        if let Some(folder) = path.parent() {
            disk::make_folder(folder)?;
        }
        let mut text = serde_json::to_vec_pretty(&record)
            .or_kind(ErrorKind::Internal, "cannot write the run record")?;
        text.push(b'\n');
        disk::replace_file(&path, &text)
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
                .with("extracted_at", day)
                .with("run record", self.record_path(source, day).display())
        };
        let Some(record) = self.run_record(source, day)? else {
            return Err(refuse("cannot read a day that no run has finished")
                .hint("extract the day again, or wait for the run that is at it"));
        };
        if let Some((run, tables)) = record.open.first_key_value() {
            let tables: Vec<_> = tables.iter().map(String::as_str).collect();
            return Err(refuse("cannot read a day with a run that has not finished")
                .with("run", run)
                .with("tables", tables.join(", "))
                .hint("extract these tables again, or wait for the run that is at it"));
        }
        for partition in partitions {
            let known = record.tables.get(&partition.manifest.stream);
            if known.is_none_or(|known| known.manifest_sha256 != partition.manifest_sha256) {
                return Err(refuse("cannot trust a table that differs from the run record")
                    .with("table", &partition.manifest.stream)
                    .with("path", partition.folder.display())
                    .hint("extract this table again"));
            }
        }
        Ok(())
    }

    /// Refuses a day that lacks a table of its run record.
    pub(crate) fn check_whole(
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
                .with("path", self.table_folder(source, day, table).display())
                .hint("the run record lists it: extract this table again")),
            None => Ok(()),
        }
    }
}
