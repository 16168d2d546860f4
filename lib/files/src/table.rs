//! A table of files: its columns from every file, then the rows of those that are new.

mod columns;
mod documents;
mod header;
mod records;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use singer::{Bookmark, Context, Error, ErrorKind, Kind, Reading, Result, Rows, Stream};

use crate::compress::Limits;
use crate::dialect::{Dialect, RECORD_BYTES_CEILING};
use crate::encoding::TextEncoding;
use crate::format::Format;
use crate::open::{self, Identity, OpenFile};
use crate::progress::{Progress, is_recent, time_for_a_column};
use crate::settings::{Metadata, TableSettings};
use crate::store::Store;
use columns::Columns;

/// A table of files in a store, read as one stream.
#[derive(Debug)]
pub struct Table {
    settings: TableSettings,
    store: Box<dyn Store>,
    encoding: TextEncoding,
    limits: Limits,
    /// Rows may have more fields than the header.
    wider: bool,
    /// The files that the columns were found in, and what they were; none with a catalog.
    discovered: Vec<(String, Identity)>,
    /// Columns of files that the catalog does not know.
    unknown: BTreeSet<String>,
}

/// The bookmark is written after each file until it holds so many, then not more often than so.
const BOOKMARK_FILES: usize = 100;
const BOOKMARK_PAUSE: Duration = Duration::from_secs(1);
/// So many files that are skipped are named.
const SKIPPED_TOLD: usize = 20;
/// So many columns that are left out are named.
const COLUMNS_TOLD: usize = 20;

impl Table {
    /// Checks the settings.
    pub fn new(settings: TableSettings, store: Box<dyn Store>) -> Result<Self> {
        let (label, name) = (settings.words.table, settings.name.clone());
        let ratio_max = settings.decompression_ratio_max;
        let this = Self {
            encoding: TextEncoding::named(&settings.text.encoding).with(label, &name)?,
            limits: Limits { ratio_max, ..Limits::default() },
            wider: settings.metadata.contains(&Metadata::Extra),
            discovered: Vec::new(),
            unknown: BTreeSet::new(),
            settings,
            store,
        };
        this.dialect(this.settings.format.unwrap_or(Format::Csv)).with(label, &name)?;
        let refuse = |message: &str| Err(Error::new(ErrorKind::Config, message).with(label, &name));
        if name.is_empty() {
            return refuse(&format!("cannot name a stream by an empty `{label}`"));
        }
        match &this.settings.text.columns {
            Some(_) if this.settings.text.header => {
                refuse("cannot use `columns` for files with a header")
                    .hint("set `header` to false, or leave `columns` out")
            }
            Some(names) => {
                header::checked(names.clone(), false)
                    .map_err(|failure| failure.of_kind(ErrorKind::Config))
                    .with(label, &name)?;
                Ok(this)
            }
            None => Ok(this),
        }
    }

    /// Returns the name of the stream.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Reads every file once for its columns and their types; `None` when there are no columns.
    pub fn discover(&mut self) -> Result<Option<Stream>> {
        let mut columns = Columns::default();
        for path in self.store.find().with(self.settings.words.table, self.name())? {
            let surveyed = if self.format(&path).is_json() {
                self.survey_documents(&path, &mut columns)
            } else {
                self.survey_records(&path, &mut columns)
            };
            let identity = surveyed.with("path", &path)?;
            self.discovered.push((path, identity));
        }
        let text = &self.settings.text;
        let mut properties = columns.shape.properties();
        if columns.names.is_empty() && properties.is_empty() {
            self.check_finished()?;
            singer::warn!(
                "W-STREAM-EMPTY",
                "stream {} has no columns: it has no file with text",
                self.name()
            );
            return Ok(None);
        }
        if !columns.names.is_empty() && !properties.is_empty() {
            return Err(documents::mixed().with(self.settings.words.table, self.name()));
        }
        for (name, property) in &mut properties {
            if let Some(given) = text.types.get(name) {
                *property = crate::infer::property(given.kind());
            }
        }
        // Objects have no surplus.
        let added = |column: &Metadata| properties.is_empty() || *column != Metadata::Extra;
        let metadata = self.settings.metadata.iter().copied().filter(added).collect::<Vec<_>>();
        for (at, name) in columns.names.iter().enumerate() {
            let typed = text.types.get(name).map(|given| given.kind());
            let property = match typed {
                Some(kind) => crate::infer::property(kind),
                None if text.infer_types => columns.inference.property(at),
                None => crate::infer::property(Kind::String),
            };
            properties.insert(name.clone(), property);
        }
        for name in text.types.keys().filter(|name| !properties.contains_key(*name)) {
            singer::warn!(
                "W-SETTING-UNUSED",
                "`types` names column {name}, which stream {} lacks",
                self.name()
            );
        }
        columns::add_metadata(&mut properties, &metadata)?;
        self.check_keys(&properties)?;
        if let Some((path, key)) = &columns.lacking {
            return Err(self.without_key(path, key));
        }
        let Value::Object(schema) = json!({"type": "object", "properties": properties}) else {
            return Ok(None);
        };
        Ok(Some(Stream::new(self.name(), schema, self.settings.keys.clone())))
    }

    /// Writes the rows of all files but those that are as the bookmark says.
    pub fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows) -> Result<()> {
        let (mut progress, unread, skipped) = self.compare(since)?;
        if unread.is_empty() {
            rows.unchanged();
        } else if skipped > 0 {
            rows.resume(stream, &since.value);
        }
        let mut written = Instant::now();
        for path in &unread {
            let (identity, sum) =
                self.read(stream, path, rows).map_err(|failure| located(failure, path))?;
            progress.set(path, identity, sum.as_deref())?;
            // A bookmark of many files is long: written after each of them, it would be the most
            // of what is written.
            if progress.len() <= BOOKMARK_FILES || written.elapsed() >= BOOKMARK_PAUSE {
                rows.checkpoint(progress.saved())?;
                written = Instant::now();
            }
        }
        // Times that moved, and files that are gone.
        if progress.is_unsaved() {
            rows.checkpoint(progress.saved())?;
        }
        self.tell_unknown();
        Ok(())
    }

    /// Returns the paths of the files that a read would read.
    pub fn plan(&mut self, since: &Bookmark) -> Result<Reading> {
        let (_, steps, skipped) = self.compare(since)?;
        Ok(Reading { steps, part: (skipped > 0).then(|| since.value.clone()) })
    }

    /// Compares the files with the bookmark: what is known of them, those to read, and how many
    /// are not.
    fn compare(&mut self, since: &Bookmark) -> Result<(Progress, Vec<String>, usize)> {
        let files = self.find()?;
        self.check_finished()?;
        let mut progress = Progress::of(&since.value);
        let found: BTreeSet<_> = files.iter().map(|(path, _)| path.as_str()).collect();
        progress.keep(|path| found.contains(path));
        let some_are_gone = progress.is_unsaved();
        if let Some(time) = Progress::read_until(&since.value)? {
            for (path, identity) in &files {
                if identity.modified <= time {
                    progress.set(path, *identity, None)?;
                }
            }
        }
        let (mut unread, mut skipped) = (Vec::new(), Vec::new());
        for (path, identity) in &files {
            let known = progress.has(path, *identity, |same_time| self.settle(path, same_time))?;
            let list = if known { &mut skipped } else { &mut unread };
            list.push(path.clone());
        }
        if self.settings.whole && (some_are_gone || !unread.is_empty()) {
            // A state on the way must not name what this read has yet to come to.
            let paths = files.into_iter().map(|(path, _)| path);
            return Ok((Progress::default(), paths.collect(), 0));
        }
        for path in skipped.iter().take(SKIPPED_TOLD) {
            log::info!("skipping {path}: unchanged since it was read");
        }
        if skipped.len() > SKIPPED_TOLD {
            log::info!("skipping {} more that are unchanged", skipped.len() - SKIPPED_TOLD);
        }
        Ok((progress, unread, skipped.len()))
    }

    /// Finds the files and what they are. After a discovery they are those it saw, as they were: a
    /// file that came since may have columns that the stream lacks, so it is left for the next run.
    fn find(&mut self) -> Result<Vec<(String, Identity)>> {
        if self.discovered.is_empty() {
            let paths = self.store.find()?.into_iter();
            let identified = |path: String| {
                let identity = found_once(&path, self.store.identity(&path))?;
                Ok((path, identity))
            };
            return paths.map(identified).collect();
        }
        for (path, before) in &self.discovered {
            if found_once(path, self.store.identity(path))? != *before {
                return Err(open::changed(path));
            }
        }
        Ok(self.discovered.clone())
    }

    /// Refuses a table that is to be whole while one of its files is left for another run.
    fn check_finished(&self) -> Result<()> {
        match self.store.unfinished() {
            Some(path) if self.settings.whole => {
                let message = "cannot read a whole table while a file of it is being written";
                Err(Error::new(ErrorKind::Temporary, message)
                    .with(self.settings.words.table, self.name())
                    .with("path", path)
                    .hint("run again when its writer is done"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the sum of a file that may be as it was, where it is worth reading for that.
    fn settle(&self, path: &str, same_time: bool) -> Result<Option<String>> {
        let worth = same_time || self.store.is_near();
        if worth { open::sum(&*self.store, path).map(Some) } else { Ok(None) }
    }

    /// Writes the rows of one file; returns what the file was, and its sum where one is of use.
    fn read(
        &mut self,
        stream: &Stream,
        path: &str,
        rows: &mut Rows,
    ) -> Result<(Identity, Option<String>)> {
        let summed = self.store.is_near() || is_recent(self.store.identity(path)?);
        if self.format(path).is_json() {
            self.read_documents(stream, path, summed, rows)
        } else {
            self.read_records(stream, path, summed, rows)
        }
    }

    fn open(&self, path: &str, summed: bool) -> Result<OpenFile> {
        let stored = found_once(path, self.store.open(path))?;
        Ok(OpenFile::new(path.to_owned(), stored, summed))
    }

    fn format(&self, path: &str) -> Format {
        self.settings.format.or_else(|| Format::of(path)).unwrap_or(Format::Csv)
    }

    fn delimiter(&self, format: Format) -> u8 {
        self.settings.delimiter.unwrap_or(format.delimiter())
    }

    fn dialect(&self, format: Format) -> Result<Dialect> {
        let record_bytes_max = self.settings.record_bytes_max.min(RECORD_BYTES_CEILING);
        self.settings.text.dialect(self.delimiter(format), record_bytes_max)
    }

    /// Refuses a file without text, unless that is no fault.
    fn check_empty(&self, path: &str) -> Result<()> {
        if !self.settings.text.allow_empty_files {
            let message = "cannot find a header in a file without text";
            return Err(Error::new(ErrorKind::Data, message)
                .hint("if such a file is no fault, set `allow_empty_files` to true"));
        }
        log::info!("{path} is empty: it has no rows");
        Ok(())
    }

    fn check_keys(&self, properties: &Map<String, Value>) -> Result<()> {
        let missing = self.settings.keys.iter().find(|key| !properties.contains_key(*key));
        let Some(key) = missing else { return Ok(()) };
        let words = self.settings.words;
        let names: Vec<_> = properties.keys().map(String::as_str).collect();
        let message = format!("cannot find a column that `{}` names", words.keys);
        Err(Error::new(ErrorKind::Config, message)
            .with(words.table, self.name())
            .with("key", key)
            .with("columns", names.join(", "))
            .hint("a key is the name of a column in the header, as it stands there"))
    }

    /// Warns of the columns that were left out because the catalog does not know them.
    fn tell_unknown(&mut self) {
        let unknown = std::mem::take(&mut self.unknown);
        if !unknown.is_empty() {
            let told: Vec<_> = unknown.iter().take(COLUMNS_TOLD).map(String::as_str).collect();
            singer::warn!(
                "W-COLUMN-UNKNOWN",
                "stream {}: {} columns of its files that the catalog does not know were left out \
                 ({}{}): write the catalog again with --discover",
                self.name(),
                unknown.len(),
                told.join(", "),
                if told.len() < unknown.len() { ", ..." } else { "" },
            );
        }
    }

    fn without_key(&self, path: &str, key: &str) -> Error {
        let message = format!("a file lacks a column that `{}` names", self.settings.words.keys);
        Error::new(ErrorKind::Data, message).with("path", path).with("key", key).hint(
            "without it the rows of the file would have no key: correct the file or leave it out",
        )
    }
}

/// The file that rows come from, in the columns that tell it.
struct Place<'a> {
    path: &'a str,
    modified: String,
}

impl<'a> Place<'a> {
    fn new(path: &'a str, identity: Identity) -> Result<Self> {
        Ok(Self { path, modified: time_for_a_column(identity.modified)? })
    }

    fn cell(&self, column: Metadata, line: u64, rows: &mut Rows) -> Result<()> {
        match column {
            Metadata::File => rows.cell(self.path.as_bytes()),
            Metadata::Modified => rows.cell(self.modified.as_bytes()),
            Metadata::Line => rows.write(|text| {
                text.extend_from_slice(line.to_string().as_bytes());
                Ok(())
            }),
            Metadata::Extra => {
                rows.null();
                Ok(())
            }
        }
    }
}

/// Takes a file that is gone by now, though it was found, for one that changed.
fn found_once<T>(path: &str, result: Result<T>) -> Result<T> {
    result.map_err(|failure| match failure.kind() {
        ErrorKind::NoInput => open::changed(path).caused_by(failure),
        _ => failure,
    })
}

/// Adds the path, unless the failure has it.
fn located(failure: Error, path: &str) -> Error {
    let has = failure.context("path").is_some() || failure.context("place").is_some();
    if has || failure.kind() == ErrorKind::Enough { failure } else { failure.with("path", path) }
}
