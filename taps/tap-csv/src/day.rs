//! A day of the lake, read back with the types and keys of its manifests.

use std::collections::{BTreeMap, BTreeSet};

use files::dialect::RECORD_BYTES_CEILING;
use files::failure::changed;
use files::{Dialect, Identity, Limits, OpenFile, Reader, Record, TextEncoding};
use lake::{Datestamp, Lake, Partition};
use serde_json::{Value, json};
use singer::{Bookmark, Context, Error, ErrorKind, Reading, Result, Rows, Stream};

use crate::settings::TapCsvSettings;

/// The member of a bookmark that tells which generation of the table was read.
const MANIFEST_SHA256: &str = "manifest_sha256";
/// How many rows the table has in the day: a target looks for them where nothing has changed.
const ROWS: &str = "rows";
/// The member that names the columns which were left out of the rows.
const LEFT_OUT: &str = "left_out";

/// A day of the lake.
#[derive(Debug)]
pub struct Day {
    lake: Lake,
    source: Option<String>,
    datestamp: Datestamp,
    unfinished_too: bool,
    dialect: Dialect,
    /// The tables, once looked for.
    tables: Option<Vec<Table>>,
    /// All tables were announced, so all must be whole before the first row.
    announced: bool,
}

#[derive(Debug)]
struct Table {
    partition: Partition,
    /// What the files were when they were found to be as published.
    verified: Option<Vec<Identity>>,
}

impl Day {
    /// Opens the output folder.
    pub fn open(output: &str, datestamp: &str, settings: &TapCsvSettings) -> Result<Self> {
        // Quotes may double the text of a record.
        let record_bytes_max =
            settings.max_record_bytes.saturating_mul(2).min(RECORD_BYTES_CEILING);
        Ok(Self {
            datestamp: datestamp.parse().with("setting", "datestamp")?,
            lake: Lake::open(output)?,
            source: settings.source.clone(),
            unfinished_too: !settings.require_run_record,
            dialect: Dialect { record_bytes_max, ..Dialect::lake() },
            tables: None,
            announced: false,
        })
    }

    /// Returns a stream for each table of the day.
    pub fn discover(&mut self) -> Result<Vec<Stream>> {
        self.announced = true;
        Ok(self.tables()?.iter().map(|table| table.partition.manifest.stream()).collect())
    }

    /// Returns the paths of the files that [`Day::sync`] would read.
    pub fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let partition = &self.table(stream)?.partition;
        let known = is_known(stream, since, &partition.manifest_sha256);
        let files = partition.files();
        let steps = files.iter().filter(|_| !known).map(|path| path.display().to_string());
        // The day itself may have been extracted from a state on.
        Ok(Reading { steps: steps.collect(), coverage: Some(partition.manifest.coverage.clone()) })
    }

    /// Writes the rows of a table, unless the bookmark is of this very generation and of all the
    /// columns that are wanted. Else all of them: a part of a partition would be taken for the
    /// whole where it is loaded.
    pub fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        let partition = &self.table(stream)?.partition;
        let (manifest, count) = (partition.manifest_sha256.clone(), partition.manifest.rows());
        if is_known(stream, since, &manifest) {
            log::info!("skipping stream {}: unchanged since it was read", stream.name);
            rows.unchanged();
            return Ok(());
        }
        if self.announced {
            for table in self.tables()? {
                table.verify()?;
            }
        }
        // Before anything is read, a target must know what it may not replace.
        if rows.wants_files() {
            let found = self.tables()?.iter().filter_map(|table| table.identities().ok()).flatten();
            rows.read_from(&found.filter_map(|identity| identity.file()).collect());
        }
        let dialect = self.dialect;
        let table = self.table(stream)?;
        let identities = table.verify()?.to_vec();
        rows.cover(&table.partition.manifest.coverage);
        table.read(stream, &identities, &dialect, rows)?;
        let left_out = table.left_out(stream);
        rows.bookmark(if left_out.is_empty() {
            json!({ MANIFEST_SHA256: manifest, ROWS: count })
        } else {
            json!({ MANIFEST_SHA256: manifest, ROWS: count, LEFT_OUT: left_out })
        });
        Ok(())
    }

    fn table(&mut self, stream: &Stream) -> Result<&mut Table> {
        let datestamp = self.datestamp;
        let tables = self.tables()?;
        let found = tables.iter_mut().find(|table| table.partition.manifest.stream == stream.id);
        found.ok_or_else(|| {
            Error::new(ErrorKind::NoInput, "cannot find the table of the stream")
                .with("stream", &stream.id)
                .with("extracted_at", datestamp)
                .hint("write the catalog again with --discover, or extract the table first")
        })
    }

    fn tables(&mut self) -> Result<&mut Vec<Table>> {
        let tables = match self.tables.take() {
            Some(tables) => tables,
            None => self.find()?,
        };
        Ok(self.tables.insert(tables))
    }

    fn find(&self) -> Result<Vec<Table>> {
        let sources = if let Some(source) = &self.source {
            vec![source.clone()]
        } else {
            if !self.unfinished_too {
                self.lake.check_awaited(self.datestamp)?;
            }
            self.sources()?
        };
        let mut tables: Vec<Table> = Vec::new();
        for source in &sources {
            for partition in self.lake.read_day(source, self.datestamp, self.unfinished_too)? {
                let name = &partition.manifest.stream;
                let same = |table: &&Table| table.partition.manifest.stream == *name;
                if let Some(other) = tables.iter().find(same) {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "cannot read one stream of two sources",
                    )
                    .with("stream", name)
                    .with("sources", format!("{}, {source}", other.partition.manifest.source))
                    .hint("set `source`, and read each source in a run of its own"));
                }
                tables.push(Table { partition, verified: None });
            }
        }
        Ok(tables)
    }

    fn sources(&self) -> Result<Vec<String>> {
        let mut sources = self.lake.sources()?;
        let mut with_day = Vec::new();
        for source in sources.drain(..) {
            if self.lake.days(&source)?.contains(&self.datestamp) {
                with_day.push(source);
            }
        }
        if with_day.is_empty() {
            return Err(Error::new(ErrorKind::NoInput, "cannot find a source that has the day")
                .with("output", self.lake.root().display())
                .with("extracted_at", self.datestamp)
                .hint("extract the day first, or check `output` and `datestamp`"));
        }
        Ok(with_day)
    }
}

/// Tells whether the rows of a bookmark are of this generation, with all columns of the stream.
fn is_known(stream: &Stream, since: &Bookmark, manifest: &str) -> bool {
    let mut left_out = since.value[LEFT_OUT].as_array().into_iter().flatten();
    let selected = selected(stream);
    let is_wanted = |name: &Value| name.as_str().is_some_and(|name| selected.contains(name));
    since.value[MANIFEST_SHA256] == *manifest && !left_out.any(is_wanted)
}

fn selected(stream: &Stream) -> BTreeSet<&str> {
    stream.columns.iter().map(|column| column.name.as_str()).collect()
}

impl Table {
    /// Returns the columns that the stream does not have.
    fn left_out(&self, stream: &Stream) -> Vec<&str> {
        let selected = selected(stream);
        let names = self.names().into_iter();
        names.filter(|name| !selected.contains(name)).collect()
    }

    fn names(&self) -> Vec<&str> {
        let properties = self.partition.manifest.schema.get("properties");
        let properties = properties.and_then(Value::as_object).into_iter().flatten();
        properties.map(|(name, _)| name.as_str()).collect()
    }

    /// Checks sizes and sums of the files, once; returns what the files are.
    fn verify(&mut self) -> Result<&[Identity]> {
        let identities = if let Some(identities) = self.verified.take() {
            identities
        } else {
            let identities = self.identities()?;
            self.partition.verify()?;
            identities
        };
        Ok(self.verified.insert(identities))
    }

    /// Looks at the files; one that is missing is for the verification to tell.
    fn identities(&self) -> Result<Vec<Identity>> {
        let found = self.partition.files().iter().map(|path| Identity::of(path)).collect();
        match found {
            Err(failure) if failure.kind() == ErrorKind::NoInput => {
                self.partition.verify()?;
                Err(failure)
            }
            found => found,
        }
    }

    fn read(
        &self,
        stream: &Stream,
        identities: &[Identity],
        dialect: &Dialect,
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        let manifest = &self.partition.manifest;
        let names = self.names();
        if names.is_empty() && manifest.rows() == 0 {
            // A header without names is a blank line, which no reader finds.
            return Ok(());
        }
        let wanted = projection(stream, &names)?;
        let layout = Layout { names, wanted };
        let files = self.partition.files();
        for ((path, entry), identity) in files.iter().zip(&manifest.files).zip(identities) {
            // It was there a moment ago, so the day is being published again.
            let file = OpenFile::open(path, false).map_err(|failure| match failure.kind() {
                ErrorKind::NoInput => changed(path.display()).caused_by(failure),
                _ => failure,
            })?;
            if file.identity() != *identity {
                return Err(file.changed());
            }
            let count = layout.read(&file, dialect, rows).map_err(|failure| {
                let failure = file.explain(failure);
                if failure.kind() == ErrorKind::Data {
                    failure.with("path", path.display())
                } else {
                    failure
                }
            })?;
            if rows.has_enough() {
                return Ok(());
            }
            file.finish_held()?;
            if count != entry.rows {
                let message = "cannot find as many rows as the manifest says";
                return Err(Error::new(ErrorKind::Data, message)
                    .with("path", path.display())
                    .with("rows in the manifest", entry.rows)
                    .with("rows found", count));
            }
        }
        Ok(())
    }
}

/// Returns which columns of the files the stream has; `None` when it has all, in order.
fn projection(stream: &Stream, names: &[&str]) -> Result<Option<Vec<usize>>> {
    // By name, for there may be very many.
    let places: BTreeMap<_, _> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let find = |column: &singer::Column| {
        places.get(column.name.as_str()).copied().ok_or_else(|| {
            Error::new(ErrorKind::NoInput, "cannot find a column in the day's files")
                .with("stream", &stream.id)
                .with("column", &column.name)
                .hint("write the catalog again with --discover")
        })
    };
    let wanted = stream.columns.iter().map(find).collect::<Result<Vec<_>>>()?;
    Ok((!wanted.iter().copied().eq(0..names.len())).then_some(wanted))
}

/// The columns of the files, and which of them are wanted; `None` for all.
struct Layout<'a> {
    names: Vec<&'a str>,
    wanted: Option<Vec<usize>>,
}

impl Layout<'_> {
    /// Writes the rows of a file; returns how many there were.
    fn read(&self, file: &OpenFile, dialect: &Dialect, rows: &mut Rows<'_>) -> Result<u64> {
        let limits = Limits { ratio_max: u64::MAX, ..Limits::default() };
        let mut reader = Reader::new(file.text(TextEncoding::Utf8, limits)?, dialect);
        check_header(reader.record()?, &self.names)?;
        let mut count = 0;
        while !rows.has_enough()
            && let Some(record) = reader.record()?
        {
            if record.len() != self.names.len() {
                return Err(Error::new(ErrorKind::Data, "a row has another width than the schema")
                    .with("line", record.line())
                    .with("fields", record.len())
                    .with("columns", self.names.len()));
            }
            // The sums say that these are the bytes written, so the text is canonical.
            match &self.wanted {
                None => push_all(record, rows),
                Some(wanted) => {
                    let fields = wanted.iter().filter_map(|at| record.field(*at));
                    fields.for_each(|field| push(field, rows));
                }
            }
            rows.end()?;
            count += 1;
        }
        Ok(count)
    }
}

#[inline]
fn push_all(record: Record<'_>, rows: &mut Rows<'_>) {
    let places = record.places();
    let Some((places, start)) = places.and_then(|places| Some((places, rows.text(record.raw())?)))
    else {
        return record.fields().for_each(|field| push(field, rows));
    };
    for (place, quoted) in places {
        if quoted || !place.is_empty() {
            rows.within(start + place.start, place.len());
        } else {
            rows.null();
        }
    }
}

#[inline]
fn push((text, quoted): (&[u8], bool), rows: &mut Rows<'_>) {
    if quoted || !text.is_empty() { rows.verbatim(text) } else { rows.null() }
}

fn check_header(header: Option<Record<'_>>, names: &[&str]) -> Result<()> {
    let found = header.iter().flat_map(Record::fields).map(|(text, _)| text);
    if found.eq(names.iter().map(|name| name.as_bytes())) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "cannot match the header with the schema of the manifest")
        .hint("extract the day again"))
}

#[cfg(test)]
mod tests;
