//! A lake: its sources, days and tables, wherever it lies.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use disk::Datestamp;
use disk::name;
use singer::{Context, Error, ErrorKind, Result};

use crate::backend::disk::Disk;
use crate::backend::{Backend, Found};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::{Key, Partition};

/// The output folder, where the partitions of all sources and days are.
#[derive(Clone, Debug)]
pub struct Lake {
    backend: Arc<dyn Backend>,
}

impl Lake {
    /// Names an output folder that need not be there; touches nothing.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self::over(Disk::at(root))
    }

    /// Opens an output folder to read; `NoInput` when it is not there.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Disk::open(root).map(Self::over)
    }

    /// Opens an output folder to write, and makes it when it is not there.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        Disk::create(root).map(Self::over)
    }

    /// Takes what a lake lies on.
    pub fn over(backend: impl Backend + 'static) -> Self {
        Self { backend: Arc::new(backend) }
    }

    /// Returns what the lake lies on.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// Returns the name that people know a place by.
    pub fn show(&self, at: &Key) -> String {
        self.backend.show(at)
    }

    /// Returns the path of a place, where it lies on a disk of this machine.
    pub fn local_path(&self, at: &Key) -> Option<PathBuf> {
        self.backend.local_path(at)
    }

    /// Tells whether something is at a place.
    pub fn has(&self, at: &Key) -> Result<bool> {
        Ok(self.backend.look(at)? != Found::Nothing)
    }

    /// Lists the sources, sorted by folder name.
    pub fn sources(&self) -> Result<Vec<String>> {
        let mut sources = Vec::new();
        for folder in self.backend.names(&Key::root())? {
            let Some(part) = folder.strip_prefix("source=") else { continue };
            match name::decode(part) {
                Some(source) => sources.push(source),
                None if part.contains(name::CUT) => {
                    sources.extend(self.real_source(&Key::root().join(&folder))?);
                }
                // No name of ours.
                None => {}
            }
        }
        Ok(sources)
    }

    /// Lists the days of a source, oldest first.
    pub fn days(&self, source: &str) -> Result<Vec<Datestamp>> {
        let parts = self.backend.names(&Key::source(source))?;
        let parts = parts.iter().filter_map(|part| part.strip_prefix("extracted_at="));
        Ok(parts.filter_map(|part| part.parse().ok()).collect())
    }

    /// Names the days of sources that are nearest to a day, for a message.
    pub(crate) fn days_near<S: AsRef<str>>(&self, sources: &[S], day: Datestamp) -> Result<String> {
        let mut days = BTreeSet::new();
        for source in sources {
            days.extend(self.days(source.as_ref())?);
        }
        let split = DAYS_SHOWN_MAX / 2;
        let mut near: Vec<Datestamp> = days.range(..day).rev().take(split).copied().collect();
        near.reverse();
        near.extend(days.range(day..).take(DAYS_SHOWN_MAX - near.len()));
        let mut text: Vec<String> = near.iter().map(ToString::to_string).collect();
        if near.len() < days.len() {
            text.push(format!("... ({} in all)", days.len()));
        }
        Ok(if text.is_empty() { "none".to_owned() } else { text.join(", ") })
    }

    /// Lists the tables of a day by their stream names, sorted by folder name; `NoInput` when the
    /// day is not there, or a folder has no manifest.
    pub fn tables(&self, source: &str, day: Datestamp) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for at in self.table_places(source, day)? {
            let part = at.last().strip_prefix("table=").unwrap_or_default();
            match name::decode(part) {
                Some(table) => tables.push(table),
                // A shortened name: the real one is in the manifest.
                None => tables.push(self.read_at(&at)?.manifest.stream),
            }
        }
        Ok(tables)
    }

    /// Returns the places of a day's tables, sorted; `NoInput` when there are none.
    pub(crate) fn table_places(&self, source: &str, day: Datestamp) -> Result<Vec<Key>> {
        let at = Key::day(source, day);
        let parts = self.backend.names(&at)?;
        let tables = parts.iter().filter(|part| part.starts_with("table="));
        let tables: Vec<_> = tables.map(|part| at.join(part)).collect();
        if tables.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot find the day")
                .with("source", source)
                .with("day", day)
                .with("path", self.show(&at))
                .with("days of the source", self.days_near(&[source], day)?)
                .hint(of_missing_day(day)));
        }
        Ok(tables)
    }

    /// Reads the manifest of a table; `NoInput` when table or manifest are not there.
    pub fn read(&self, source: &str, day: Datestamp, table: &str) -> Result<Partition> {
        let at = Key::table(source, day, table);
        if !self.has(&at)? {
            return Err(Error::new(ErrorKind::NoInput, "cannot find the table")
                .with("source", source)
                .with("day", day)
                .with("table", table)
                .with("path", self.show(&at))
                .hint("extract this table for this day first"));
        }
        self.read_at(&at)?.at_its_place()
    }

    /// Reads all tables of a day, sorted by folder name. Unless `unfinished_too`, a day whose run
    /// record is missing, open or does not match is refused: `NoInput`.
    pub fn read_day(
        &self,
        source: &str,
        day: Datestamp,
        unfinished_too: bool,
    ) -> Result<Vec<Partition>> {
        loop {
            let places = self.table_places(source, day)?;
            let read = |at: &Key| self.read_at(at)?.at_its_place();
            let partitions: Vec<_> = places.iter().map(read).collect::<Result<_>>()?;
            if unfinished_too {
                return Ok(partitions);
            }
            let checked = self.check_finished(source, day, &partitions);
            match checked.and_then(|()| self.check_has_all(source, day, &partitions)) {
                Ok(()) => return Ok(partitions),
                // The record is of newer manifests than those read: look again.
                Err(_) if partitions.iter().any(Partition::was_replaced) => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Returns the name of a source whose folder has a shortened one, as a manifest in it says;
    /// none where nothing was published.
    fn real_source(&self, at: &Key) -> Result<Option<String>> {
        let (mut unread, mut is_other) = (None, false);
        let days = self.backend.names(at)?;
        for day in days.iter().filter(|part| part.starts_with("extracted_at=")) {
            let day = at.join(day);
            let tables = self.backend.names(&day)?;
            for table in tables.iter().filter(|part| part.starts_with("table=")) {
                match self.read_at(&day.join(table)) {
                    Ok(Partition { manifest, .. }) if Key::source(&manifest.source) == *at => {
                        return Ok(Some(manifest.source));
                    }
                    Ok(_) => is_other = true,
                    Err(failure) => unread = Some(failure),
                }
            }
        }
        if is_other {
            singer::warn!(
                "W-SOURCE-DIFFERS",
                "skipping {}: it holds data of another source",
                self.show(at)
            );
            return Ok(None);
        }
        unread.map_or(Ok(None), Err)
    }

    /// Reads the manifest of the partition at a place.
    pub(crate) fn read_at(&self, at: &Key) -> Result<Partition> {
        let path = at.join(MANIFEST_NAME);
        let text = self.backend.read(&path)?.ok_or_else(|| {
            Error::new(ErrorKind::NoInput, "cannot find the manifest of the partition")
                .with("path", self.show(&path))
                .hint("target-csv did not publish this folder: extract the day again")
        })?;
        let manifest = Manifest::from_json(&text).with("path", self.show(&path))?;
        let manifest_sha256 = disk::sum(&text);
        Ok(Partition { lake: self.clone(), at: at.clone(), manifest, manifest_sha256 })
    }
}

/// So many days are named in the message about one that is missing.
const DAYS_SHOWN_MAX: usize = 6;

/// Says what to do about a day that is missing.
pub(crate) fn of_missing_day(day: Datestamp) -> String {
    format!(
        "extract the day first: chorus run TAP TARGET --datestamp {day}; or set `datestamp` to a \
         day that is there"
    )
}
