//! One run of (source, day): it stages partitions, publishes them and records that it finished.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use disk::Datestamp;
use serde_json::{Map, Value};
use singer::{Coverage, Error, ErrorKind, Result};

use crate::backend::{Claim, Found, Generation, Staging};
use crate::format::Format;
use crate::lake::Lake;
use crate::manifest::{Completeness, FileEntry, MANIFEST_NAME, Manifest, format_version};
use crate::record::{RunRecord, TableRecord};
use crate::{DataFile, Key, Partition};

/// How many tables are named that a run has left as they were.
const TABLES_TOLD: usize = 20;

/// A run that writes partitions of one source and day. It holds its partitions until it and all
/// it staged are dropped; what it did not publish vanishes then.
#[derive(Clone, Debug)]
pub struct Run {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    lake: Lake,
    source: String,
    day: Datestamp,
    tool: String,
    progress: Mutex<Progress>,
    staging: Box<dyn Staging>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Tables staged.
    staged: BTreeSet<String>,
    /// Tables that the run record shows as being changed by this run.
    opened: BTreeSet<String>,
    /// Tables that were published or found unchanged.
    done: BTreeMap<String, TableRecord>,
    /// The run record as it was read last; with many tables it is large.
    record: Option<RunRecord>,
}

/// A partition that is being written; published by [`Staged::publish`], gone when dropped.
#[derive(Debug)]
pub struct Staged {
    shared: Arc<Shared>,
    claim: Claim,
    files: u32,
}

/// A generation that was written; [`Run::publish`] makes it visible. Gone when dropped.
#[derive(Debug)]
pub struct Ready {
    staged: Staged,
    files: Vec<DataFile>,
    /// The text of the manifest; `None` where the partition has the same data already.
    manifest: Option<Vec<u8>>,
    rows: u64,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no such partition before.
    New,
    /// The partition had other data.
    Replaced,
    /// The partition held the same data and was left alone.
    Unchanged,
}

/// What the manifest says beside the files.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The JSON Schema of the stream, its properties in the order of the files' columns.
    pub schema: Map<String, Value>,
    /// The keys of the stream.
    pub key_properties: Vec<String>,
    /// Whether the tap said that it read the stream to its end.
    pub complete: Completeness,
    /// Which rows of the stream there are.
    pub coverage: Coverage,
    /// Rows of the stream were left out on the way, such as rejects.
    pub rows_left_out: bool,
    /// The form of the files.
    pub format: Format,
    /// The last state received, without the bookmarks of other streams.
    pub state: Option<Value>,
}

impl Run {
    /// Begins a run and sweeps what dead runs left. `tool` is the program's name and version.
    pub fn begin(lake: &Lake, source: &str, day: Datestamp, tool: &str) -> Result<Self> {
        lake.backend().settle()?;
        let shared = Shared {
            lake: lake.clone(),
            source: source.to_owned(),
            day,
            tool: tool.to_owned(),
            progress: Mutex::default(),
            staging: lake.backend().begin()?,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the id of the run.
    pub fn id(&self) -> &str {
        self.shared.staging.id()
    }

    /// Claims a partition. `Temporary` when another run holds it; a folder that is there without a
    /// manifest is refused unless `adopt`.
    pub fn stage(&self, table: &str, adopt: bool) -> Result<Staged> {
        let Shared { lake, source, day, staging, .. } = &*self.shared;
        let Some(claim) = staging.claim(source, *day, table)? else {
            return Err(Error::new(
                ErrorKind::Temporary,
                "cannot write the partition: another run holds the partition",
            )
            .with("source", source)
            .with("extracted_at", day)
            .with("table", table)
            .hint("wait until the other run has ended, then run again"));
        };
        let staged = Staged { shared: Arc::clone(&self.shared), claim, files: 0 };
        current(lake, &staged.claim.place(), adopt)?;
        self.shared.progress().staged.insert(table.to_owned());
        Ok(staged)
    }

    /// Publishes generations, each as one step; what makes them durable is done for all at once.
    pub fn publish(&self, mut ready: Vec<Ready>) -> Result<Vec<Outcome>> {
        let generations: Vec<_> = ready.iter_mut().filter_map(Ready::generation).collect();
        if !generations.is_empty() {
            self.shared.staging.seal(generations)?;
        }
        let new = || ready.iter().filter(|one| one.manifest.is_some());
        let claims: Vec<_> = new().map(|one| &one.staged.claim).collect();
        self.shared.open_record(&claims)?;
        let mut replaced = self.shared.staging.publish(&claims)?.into_iter();
        let outcome = |Ready { staged, manifest, rows, .. }: &Ready| {
            let Some(manifest) = manifest else { return Outcome::Unchanged };
            staged.done(disk::sum(manifest), *rows);
            if replaced.next() == Some(true) { Outcome::Replaced } else { Outcome::New }
        };
        Ok(ready.iter().map(outcome).collect())
    }

    /// Records that the run finished: its tables become part of the finished day.
    pub fn finish(&self) -> Result<()> {
        let Shared { lake, source, day, tool, .. } = &*self.shared;
        let done = std::mem::take(&mut self.shared.progress().done);
        if done.is_empty() {
            return Ok(());
        }
        lake.update_record(source, *day, |record| {
            tell_left(record, &done);
            record.open.remove(self.id());
            // This run held the partitions, so other entries with them are of dead runs.
            record.open.values_mut().for_each(|tables| {
                tables.retain(|table| !done.contains_key(table));
            });
            record.tables.extend(done.clone());
            lake.forget_untouched(record)?;
            record.open.retain(|_, tables| !tables.is_empty());
            record.run_id = Some(self.id().to_owned());
            record.tool = Some(tool.clone());
            record.finished_at = Some(now());
            Ok(())
        })
    }
}

/// Runs that follow each other soon, such as the days of a backfill, also of other processes. While
/// it is kept, none of them waits for readers of what it has replaced; dropped, it waits for all.
#[derive(Debug)]
pub struct Series {
    _kept: Box<dyn Debug>,
}

impl Series {
    /// Begins a series of runs.
    pub fn begin(lake: &Lake) -> Result<Self> {
        Ok(Self { _kept: lake.backend().series()? })
    }
}

impl Ready {
    /// Tells whether the partition has the same data already.
    pub fn is_unchanged(&self) -> bool {
        self.manifest.is_none()
    }

    /// Returns the place that the partition is published at, as people know it.
    pub fn show(&self) -> String {
        self.staged.show()
    }

    fn generation(&mut self) -> Option<Generation<'_>> {
        let (claim, files) = (&self.staged.claim, std::mem::take(&mut self.files));
        self.manifest.as_deref().map(|manifest| Generation { claim, files, manifest })
    }
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows in the run record that this run is about to change these tables.
    fn open_record(&self, claims: &[&Claim]) -> Result<()> {
        let mut progress = self.progress();
        if claims.iter().all(|claim| progress.opened.contains(&claim.table)) {
            return Ok(());
        }
        // All that are staged by now, so that the record is seldom written.
        let tables = progress.staged.clone();
        self.lake.update_record(&self.source, self.day, |record| {
            record.open.insert(self.staging.id().to_owned(), tables.clone());
            Ok(())
        })?;
        progress.opened = tables;
        Ok(())
    }
}

/// Lists the tables of a day that a run has left as they were: it may have been one of a part of
/// the streams, or their source may have them no more.
fn tell_left(record: &RunRecord, done: &BTreeMap<String, TableRecord>) {
    let left: Vec<&str> = record
        .tables
        .keys()
        .filter(|table| !done.contains_key(*table))
        .map(String::as_str)
        .collect();
    if !left.is_empty() {
        let (count, RunRecord { source, extracted_at, .. }) = (left.len(), record);
        let some = left.get(..TABLES_TOLD).unwrap_or(&left).join(", ");
        tracing::info!("{count} tables of {source}, {extracted_at}, are unchanged: {some}");
    }
}

impl Lake {
    /// Refuses what a run that publishes a table would refuse: what is at the table's place cannot
    /// be replaced, or not by such a part of the rows. Writes nothing.
    pub fn check_place(&self, table: &Key, adopt: bool, coverage: &Coverage) -> Result<()> {
        match current(self, table, adopt)? {
            Some(old) => check_replaced(&old, coverage),
            None => Ok(()),
        }
    }

    /// Takes tables out of the entries of dead runs that did not get to change them: nobody may
    /// ever extract them again.
    fn forget_untouched(&self, record: &mut RunRecord) -> Result<()> {
        let RunRecord { source, extracted_at, tables: known, open, .. } = record;
        for (run, tables) in open {
            let Some(_proof) = self.backend().dead(run)? else { continue };
            tables.retain(|table| {
                let now = self.read_at(&Key::table(source, *extracted_at, table));
                let now = now.ok().map(|partition| partition.manifest_sha256);
                now.as_ref() != known.get(table).map(|known| &known.manifest_sha256)
            });
        }
        Ok(())
    }
}

impl Staged {
    /// Creates a data file, to be published under this name.
    pub fn file(&mut self, name: &str) -> Result<DataFile> {
        let odd = name.is_empty() || name.starts_with(['.', '_']) || name.contains(['/', '\0']);
        if odd || name.len() > 255 {
            return Err(Error::new(ErrorKind::Config, "cannot use this name for a data file")
                .with("name", name)
                .hint(
                    "choose a name of at most 255 bytes, without `/`, that does not start with `.` \
                      or `_`",
                ));
        }
        self.files += 1;
        self.shared.staging.create(&self.claim, self.files, name)
    }

    /// Returns the place that the partition is published at, as people know it.
    pub fn show(&self) -> String {
        self.shared.lake.show(&self.claim.place())
    }

    /// Publishes the files as the partition's one generation, unless it holds the same already.
    pub fn publish(self, files: Vec<DataFile>, contents: Contents) -> Result<Outcome> {
        let run = Run { shared: Arc::clone(&self.shared) };
        let outcomes = run.publish(vec![self.ready(files, contents)?])?;
        Ok(outcomes.first().copied().unwrap_or(Outcome::Unchanged))
    }

    /// Ends the files, to be published as the partition's one generation by [`Run::publish`],
    /// unless it holds the same already.
    pub fn ready(self, files: Vec<DataFile>, contents: Contents) -> Result<Ready> {
        let Shared { lake, staging, .. } = &*self.shared;
        let entries = files.iter().map(DataFile::entry).collect();
        let manifest = self.manifest(contents, entries);
        // The partition is claimed since staging, but a person may have been there.
        let old = current(lake, &self.claim.place(), true)?;
        let unchanged = |old: &&Partition| holds(old, &manifest) && self.is_recorded(old);
        if let Some(old) = old.as_ref().filter(unchanged) {
            // Where open files stay when they are removed (NFS, FUSE), their folder does, too.
            drop(files);
            staging.discard(&self.claim);
            let rows = manifest.rows();
            self.done(old.manifest_sha256.clone(), rows);
            return Ok(Ready { staged: self, files: Vec::new(), manifest: None, rows });
        }
        if let Some(old) = &old {
            check_replaced(old, &manifest.coverage)?;
        }
        // Only what is published need be durable.
        let (text, rows) = (manifest.to_json()?, manifest.rows());
        singer::warning::check()?;
        Ok(Ready { staged: self, files, manifest: Some(text), rows })
    }

    fn manifest(&self, contents: Contents, files: Vec<FileEntry>) -> Manifest {
        Manifest {
            format_version: format_version(),
            source: self.claim.source.clone(),
            extracted_at: self.claim.extracted_at,
            stream: self.claim.table.clone(),
            schema: contents.schema,
            key_properties: contents.key_properties,
            complete: contents.complete,
            coverage: contents.coverage,
            rows_left_out: contents.rows_left_out,
            format: contents.format,
            files,
            state: contents.state,
            run_id: self.shared.staging.id().to_owned(),
            tool: self.shared.tool.clone(),
            published_at: now(),
        }
    }

    /// Tells whether the manifest that is there is the one that the last run wrote: the other
    /// things it says would be trusted too. A run that died may not have recorded it.
    fn is_recorded(&self, old: &Partition) -> bool {
        let Claim { source, extracted_at, table, .. } = &self.claim;
        let known = |record: &RunRecord| {
            let died = record.open.values().any(|tables| tables.contains(table));
            let known = record.tables.get(table);
            died || known.is_none_or(|known| known.manifest_sha256 == old.manifest_sha256)
        };
        let mut progress = self.shared.progress();
        if progress.record.as_ref().is_some_and(known) {
            return true;
        }
        // Another run may have written it before this one claimed the partition.
        let Ok(Some(record)) = self.shared.lake.run_record(source, *extracted_at) else {
            return true;
        };
        let is_known = known(&record);
        progress.record = Some(record);
        if !is_known {
            singer::warn!(
                "W-PARTITION-REPLACED",
                "replacing a partition whose manifest was changed: {table:?}"
            );
        }
        is_known
    }

    fn done(&self, manifest_sha256: String, rows: u64) {
        let table = TableRecord { manifest_sha256, rows };
        self.shared.progress().done.insert(self.claim.table.clone(), table);
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.shared.staging.discard(&self.claim);
    }
}

/// Reads what is at a partition's place: nothing of use, or a generation that can be compared.
fn current(lake: &Lake, place: &Key, adopt: bool) -> Result<Option<Partition>> {
    match lake.backend().look(place)? {
        Found::Nothing => return Ok(None),
        Found::Folder => {}
        Found::File(_) | Found::Other => {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot publish a partition at the path of a file",
            )
            .with("path", lake.show(place))
            .hint("move the file away"));
        }
    }
    if !lake.has(&place.join(MANIFEST_NAME))? {
        if adopt || lake.backend().names(place)?.is_empty() {
            return Ok(None);
        }
        return Err(Error::new(
            ErrorKind::Config,
            "cannot replace a folder that target-csv did not publish",
        )
        .with("path", lake.show(place))
        .hint("the folder has no manifest: move it away, or set `adopt: true` to replace it"));
    }
    match lake.read_at(place).and_then(Partition::at_its_place) {
        Ok(old) => Ok(Some(old)),
        Err(failure) if failure.kind() == ErrorKind::Data => {
            singer::warn!(
                "W-PARTITION-REPLACED",
                "replacing a partition with a broken manifest: {}",
                lake.show(place)
            );
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// Refuses to replace a generation by a part of the rows that is not the one it has.
fn check_replaced(old: &Partition, coverage: &Coverage) -> Result<()> {
    if coverage.is_whole() || *coverage == old.manifest.coverage || old.manifest.rows() == 0 {
        return Ok(());
    }
    let failure = coverage.refusal(
        "cannot replace a day by a part of its rows",
        "the tap left rows out, because of a state or a setting (`max_record_count`, \
         `custom_where_clauses`), and this differs from the first extract of the day: run again \
         with the same state and settings, or without them; for taps of files set `whole_tables`",
    );
    Err(failure.with("path", old.show()))
}

/// Tells whether the old generation has the same data, is whole and has nothing beside it.
fn holds(old: &Partition, new: &Manifest) -> bool {
    if !old.manifest.same_data(new) {
        return false;
    }
    let known = |name: &String| {
        name == MANIFEST_NAME || old.manifest.files.iter().any(|file| file.name == *name)
    };
    match old.lake.backend().names(&old.at) {
        Ok(names) => match names.iter().find(|name| !known(name)) {
            Some(stray) => {
                singer::warn!(
                    "W-PARTITION-REPLACED",
                    "replacing a partition with a stray file in it: {stray:?}"
                );
                false
            }
            None => true,
        },
        Err(_) => false,
    }
    .then(|| old.verify())
    .is_some_and(|verified| match verified {
        Ok(()) => true,
        Err(failure) => {
            singer::warn!(
                "W-PARTITION-REPLACED",
                "replacing a damaged partition: {}",
                failure.message()
            );
            false
        }
    })
}

fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
