//! A table of files: its columns from every file, then the rows of those that are new.

mod columns;
mod documents;
mod edges;
mod form;
mod header;
mod heading;
mod likeness;
mod moved;
mod opening;
mod records;
mod since;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use singer::{Bookmark, Context, Error, ErrorKind, FileIds, Kind, Reading, Result, Rows, Stream};

use crate::compress::Limits;
use crate::dialect::{Dialect, RECORD_BYTES_CEILING};
use crate::encoding::TextEncoding;
use crate::identity::Identity;
use crate::open::OpenFile;
use crate::progress::time_for_a_column;
use crate::settings::{Metadata, TableSettings};
use crate::short_text::ShortText;
use crate::store::Store;
use crate::written::{Writing, writings};
use columns::Columns;
use form::Form;
use since::Due;

/// A table of files in a store, read as one stream.
#[derive(Debug)]
pub struct Table {
    settings: TableSettings,
    store: Box<dyn Store>,
    encoding: TextEncoding,
    limits: Limits,
    /// Rows may have more fields than the header.
    wider: bool,
    /// How the values of columns are read that are not read as they stand.
    writings: BTreeMap<String, Writing>,
    /// The files that were found, until they are looked at.
    found: Option<Vec<String>>,
    /// How each of the files is written.
    forms: BTreeMap<String, Form>,
    /// The files that the columns were found in, and what they were; none with a catalog.
    discovered: Vec<(String, Identity)>,
    /// The setting of the encoding was found to be in doubt, and that was told.
    doubted: Arc<AtomicBool>,
    /// The delimiter was found to be in doubt, and that was told.
    doubted_delimiter: Cell<bool>,
    /// A header was found to be in doubt, and that was told.
    doubted_header: Cell<bool>,
    /// A row at the edge of a file was found to be in doubt, and that was told.
    doubted_row: Cell<bool>,
    /// Keys of objects that are no columns were found, and that was told.
    doubted_keys: Cell<bool>,
    /// Length and checksum of what was compressed in the file that was read last.
    held: Cell<Option<(u64, u32)>>,
    /// Columns of files that the catalog does not know.
    unknown: BTreeSet<String>,
    /// Columns of the delimited files that were read, and whether others were.
    had: BTreeSet<String>,
    had_documents: Cell<bool>,
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
            encoding: TextEncoding::named(settings.text.encoding()).with(label, &name)?,
            limits: Limits { ratio_max, ..Limits::default() },
            // What was said of such rows counts more than that there is a column for the rest.
            wider: settings.text.on_ragged.is_none()
                && settings.metadata.contains(&Metadata::Extra),
            writings: writings(&settings.text).with(label, &name)?,
            found: None,
            forms: BTreeMap::new(),
            discovered: Vec::new(),
            doubted: Arc::default(),
            doubted_delimiter: Cell::new(false),
            doubted_header: Cell::new(false),
            doubted_row: Cell::new(false),
            doubted_keys: Cell::new(false),
            held: Cell::new(None),
            unknown: BTreeSet::new(),
            had: BTreeSet::new(),
            had_documents: Cell::new(false),
            settings,
            store,
        };
        this.dialect(this.settings.delimiter.unwrap_or(ShortText::from(b',')))
            .with(label, &name)?;
        let refuse = |message: &str| Err(Error::new(ErrorKind::Config, message).with(label, &name));
        if name.is_empty() {
            return refuse(&format!("cannot name a stream by an empty `{label}`"));
        }
        match &this.settings.text.columns {
            Some(_) if this.settings.text.header => {
                refuse("cannot use `columns` for files with a header")
                    .hint("set `header` to false, or remove `columns`")
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

    /// Returns which files of a disk the table is made of; what cannot be found is not for here to
    /// refuse.
    pub fn files(&mut self) -> FileIds {
        if !self.store.is_near() {
            return FileIds::new();
        }
        if self.discovered.is_empty() {
            self.found = self.store.find(&|_, _| false).ok();
            let found = self.found.iter().flatten();
            let identities = found.filter_map(|path| self.store.identity(path).ok());
            return identities.filter_map(|identity| identity.file()).collect();
        }
        self.discovered.iter().filter_map(|(_, identity)| identity.file()).collect()
    }

    /// Returns the name of the stream.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Looks at the files, see [`Store::glance`].
    pub fn glance(&mut self) {
        self.store.glance();
    }

    /// Reads every file once for its columns and their types; `None` when there are no columns.
    pub fn discover(&mut self) -> Result<Option<Stream>> {
        let mut columns = Columns::new(self.settings.columns_max);
        let paths = self.store.find(&|_, _| false).with(self.settings.words.table, self.name())?;
        if paths.is_empty() {
            // Why there is none is reported where files are looked for; to have none that is new is
            // no fault.
            self.check_finished()?;
            return Ok(None);
        }
        self.forms = self.with_forms(paths)?;
        self.survey(&mut columns)?;
        let text = &self.settings.text;
        let mut properties = columns.shape.properties();
        if columns.names.is_empty() && properties.is_empty() {
            self.check_finished()?;
            if let Some(failure) = columns.no_object.take() {
                return Err(failure.with(self.settings.words.table, self.name()));
            }
            self.tell_no_columns();
            return Ok(None);
        }
        self.tell_doubts(&columns);
        for (name, property) in &mut properties {
            if let Some(given) = text.types.get(name) {
                *property = columns::of_json(given.kind(), property);
            }
        }
        // Objects have no surplus.
        let has_records = !columns.names.is_empty();
        let added = |column: &Metadata| has_records || *column != Metadata::Extra;
        let metadata = self.settings.metadata.iter().copied().filter(added).collect::<Vec<_>>();
        for (at, name) in columns.names.iter().enumerate() {
            let (typed, other) = (text.types.get(name), properties.get(name));
            let mut property = match (typed, other) {
                // What its type takes of JSON is more than what it takes of text.
                (Some(_), Some(other)) => other.clone(),
                (Some(given), None) => given.kind().property(),
                _ if text.infer_types => columns.inference.property(at),
                _ => Kind::String.property(),
            };
            if let Some(other) = other.filter(|_| typed.is_none()) {
                let table = self.settings.words.table;
                property = columns::joined(name, &property, other).with(table, self.name())?;
            }
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

    /// Reads every file for its columns: delimited files first, as JSON beside them must have one
    /// of their columns to belong to the table.
    fn survey(&mut self, columns: &mut Columns) -> Result<()> {
        let (records, documents): (Vec<_>, Vec<_>) =
            self.forms.clone().into_iter().partition(|(_, form)| matches!(form, Form::Records(_)));
        for (path, form) in records.into_iter().chain(documents) {
            let surveyed = match form {
                Form::Records(delimiter) => {
                    self.survey_records(&path, delimiter, columns).map(Some)
                }
                Form::Documents { lines } => self.survey_documents(&path, lines, columns),
            };
            match surveyed.with("path", &path)? {
                Some(identity) => self.discovered.push((path, identity)),
                None => drop(self.forms.remove(&path)),
            }
        }
        self.discovered.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(())
    }

    /// Writes the rows of all files but those that are as the bookmark says.
    pub fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        let Due { mut progress, unread, coverage, .. } = self.compare(stream, &since.value)?;
        if unread.is_empty() {
            rows.unchanged();
        } else {
            progress.leave_out(Self::deselected(stream));
            rows.cover(&coverage);
        }
        let mut written = Instant::now();
        for path in &unread {
            let before = rows.count();
            let (identity, sum) =
                self.read(stream, path, rows).map_err(|failure| located(failure, path))?;
            if rows.has_enough() {
                return Ok(());
            }
            progress.set(path, identity, sum.as_deref(), Some(rows.count() - before))?;
            progress.set_held(path, self.held.take());
            progress.leave_out(self.unknown.iter().cloned());
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
        self.tell_unknown(stream);
        if rows.count() > 0 {
            self.tell_missing(stream);
        }
        Ok(())
    }

    /// Returns the paths of the files that a read would read.
    pub fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let due = self.compare(stream, &since.value)?;
        Ok(Reading { steps: due.steps(), coverage: Some(due.coverage.clone()) })
    }

    /// Writes the rows of one file; returns what the file was, and its sum.
    fn read(
        &mut self,
        stream: &Stream,
        path: &str,
        rows: &mut Rows<'_>,
    ) -> Result<(Identity, Option<String>)> {
        match self.forms.get(path).copied().unwrap_or(Form::Records(ShortText::from(b','))) {
            Form::Documents { lines } => self.read_documents(stream, (path, lines), rows),
            Form::Records(delimiter) => self.read_records(stream, (path, delimiter), rows),
        }
    }

    fn open(&self, path: &str, summed: bool) -> Result<OpenFile> {
        let stored = found_once(path, self.store.open(path))?;
        Ok(OpenFile::new(path.to_owned(), stored, summed))
    }

    /// Returns the text of a file that was opened.
    fn text(&self, file: &OpenFile) -> Result<Box<dyn Read + Send>> {
        file.checked_text(self.encoding, self.limits, &self.doubted)
    }

    fn dialect(&self, delimiter: ShortText) -> Result<Dialect> {
        let record_bytes_max = self.settings.record_bytes_max.min(RECORD_BYTES_CEILING);
        self.settings.text.dialect(delimiter, record_bytes_max)
    }

    /// Refuses more columns than a table may have: each takes memory in every step.
    fn check_width(&self, columns: usize) -> Result<()> {
        columns::check_count(columns, self.settings.columns_max)
    }

    /// Refuses a file without text, or whose text is all skipped, unless that is no fault.
    fn check_empty(&self, path: &str, size: u64) -> Result<()> {
        if !self.settings.text.allow_empty_files {
            let what = if size == 0 { "without text" } else { "without enough lines" };
            let message = format!("cannot find a header in a file {what}");
            return Err(Error::new(ErrorKind::Data, message)
                .hint("if such files are allowed, set `allow_empty_files` to true"));
        }
        tracing::info!("{path} is empty: it has no rows");
        Ok(())
    }

    /// Tells of files without columns, unless such are no fault. To be whole, a table would have to
    /// take the place of what was loaded, and without columns it does not.
    fn tell_no_columns(&self) {
        let name = self.name();
        let (may_be, whole) = (self.settings.text.allow_empty_files, self.settings.whole);
        if may_be && !whole {
            tracing::info!("stream {name} has no columns: its files are empty");
            return;
        }
        let rest = if whole { ", and rows that were loaded before stay" } else { "" };
        let hint = if may_be { "" } else { "; if this is allowed, set `allow_empty_files`" };
        singer::warn!(
            "W-STREAM-EMPTY",
            "stream {name} has no columns: none of its files has one{rest}{hint}"
        );
    }

    fn check_keys(&self, properties: &Map<String, Value>) -> Result<()> {
        let missing = self.settings.keys.iter().find(|key| !properties.contains_key(*key));
        let Some(key) = missing else { return Ok(()) };
        let words = self.settings.words;
        let names: Vec<_> = properties.keys().map(String::as_str).collect();
        let hint = match names[..] {
            [header] if header.contains([';', ',', '\t', '|']) => {
                "the header has one column, and its name has marks between words: set `delimiter`"
            }
            _ => "write the key exactly as the name of the column in the header",
        };
        let message = format!("cannot find a column that `{}` names", words.keys);
        Err(Error::new(ErrorKind::Config, message)
            .with(words.table, self.name())
            .with("key", key)
            .with("columns", names.join(", "))
            .hint(hint))
    }

    /// Warns of columns that may be meant otherwise: names that differ little, values of several
    /// kinds.
    fn tell_doubts(&self, columns: &Columns) {
        for [(one, path), (other, other_path)] in columns.spellings.doubtful().take(COLUMNS_TOLD) {
            singer::warn!(
                "W-COLUMN-ALIKE",
                "stream {}: {path} has a column {one}, and {other_path} has {other}: each is a \
                 column of its own, and null in the rows of the other",
                self.name(),
                one = likeness::shown(one, other),
                other = likeness::shown(other, one)
            );
        }
        let is_open = |name: &&str| !self.settings.text.types.contains_key(*name);
        let mixed: Vec<_> = columns.shape.mixed().filter(is_open).collect();
        if !mixed.is_empty() {
            singer::warn!(
                "W-KINDS-MIXED",
                "stream {}: JSON values of several kinds, such as 1 and \"1\", are kept as JSON in \
                 columns {}: set their `types` to json, or to string for numbers and booleans as \
                 text",
                self.name(),
                mixed[..mixed.len().min(COLUMNS_TOLD)].join(", ")
            );
        }
    }

    /// Warns of the columns that were left out because the catalog does not know them.
    fn tell_unknown(&mut self, stream: &Stream) {
        let unknown = std::mem::take(&mut self.unknown);
        let unknown: Vec<_> = unknown.iter().map(String::as_str).collect();
        stream.warn_of_unknown("its files", &unknown);
    }

    /// Warns of the columns that no file has which was read: all rows have null there, and where
    /// they take the place of others, what those had is lost. A file of rows that are
    /// only added, beside files that have the column, may lack it.
    fn tell_missing(&mut self, stream: &Stream) {
        let had = std::mem::take(&mut self.had);
        let may_lack = !self.discovered.is_empty() && stream.keys.is_empty();
        if had.is_empty() || self.had_documents.take() || may_lack {
            return;
        }
        let is_added =
            |name: &str| self.settings.metadata.iter().any(|column| column.name() == name);
        let names = stream.columns.iter().map(|column| column.name.as_str());
        let missing: Vec<_> =
            names.filter(|name| !had.contains(*name) && !is_added(name)).collect();
        if !missing.is_empty() {
            singer::warn!(
                "W-COLUMN-MISSING",
                "stream {}: no file of this run has the columns {}: they are null in all rows, \
                 also in rows that replace rows with values; if the files are right, deselect the \
                 columns in a catalog, or write the catalog again with --discover",
                self.name(),
                missing[..missing.len().min(COLUMNS_TOLD)].join(", ")
            );
        }
    }

    fn without_key(&self, path: &str, key: &str) -> Error {
        let message = format!("a file lacks a column that `{}` names", self.settings.words.keys);
        Error::new(ErrorKind::Data, message).with("path", path).with("key", key).hint(
            "without this column the rows of the file have no key: correct the file or leave it \
             out",
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

    fn cell(&self, column: Metadata, line: u64, rows: &mut Rows<'_>) -> Result<()> {
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
        ErrorKind::NoInput => crate::failure::changed(path).caused_by(failure),
        _ => failure,
    })
}

/// Adds the path, unless the failure has it.
fn located(failure: Error, path: &str) -> Error {
    let has = failure.context("path").is_some() || failure.context("place").is_some();
    if has { failure } else { failure.with("path", path) }
}
