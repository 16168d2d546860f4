//! A day of the lake, read back with the types and keys of its manifests.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use disk::Datestamp;
use files::Identity;
use files::failure::changed;
use serde_json::{Value, json};
use singer::{
    Bookmark, Column, Context as _, Error, ErrorKind, Kind, Reading, Result, Rows, Stream, whole,
};

use crate::format::Projection;
use crate::lake::of_missing_day;
use crate::{Key, Lake, Partition};

/// The member that names the columns which were left out of the rows.
const LEFT_OUT: &str = "left_out";

/// Returns which generation of a table a bookmark says was read; `None` where it is of no day.
pub fn generation_read(bookmark: &Value) -> Option<&str> {
    bookmark[whole::DAY].as_str()
}

/// Which day is read, and how.
#[derive(Clone, Debug)]
pub struct DayOptions {
    /// The day.
    pub datestamp: Datestamp,
    /// The source to read; without it every source that has the day.
    pub source: Option<String>,
    /// Refuses a day that no run has finished.
    pub require_run_record: bool,
    /// How many bytes the text of a row may have.
    pub row_bytes_max: usize,
}

/// A day of the lake.
#[derive(Debug)]
pub struct Day {
    lake: Lake,
    options: DayOptions,
    /// The tables, once looked for.
    tables: OnceCell<Vec<Table>>,
    /// All tables were announced, so all must be whole before the first row.
    announced: bool,
}

#[derive(Debug)]
struct Table {
    partition: Partition,
    /// What the files were when they were found to be as published.
    verified: OnceCell<Vec<Identity>>,
}

impl Day {
    /// Opens a day; looks for nothing yet.
    pub fn new(lake: Lake, options: DayOptions) -> Self {
        Self { lake, options, tables: OnceCell::new(), announced: false }
    }

    /// Returns a stream for each table of the day.
    pub fn discover(&mut self) -> Result<Vec<Stream>> {
        self.announced = true;
        Ok(self.tables()?.iter().map(|table| table.partition.manifest.stream()).collect())
    }

    /// Says of streams which partition they are read from, warns of columns that they lack, and
    /// refuses columns with other types.
    ///
    /// The rule: a catalog may be of another day, or of another source. What names the partition
    /// comes from the partition that is read, and its values are written as its own types say.
    pub fn prepare(&self, streams: &mut [&mut Stream]) -> Result<()> {
        // Those of a discovery are of this day.
        let of_catalog = if self.announced { &mut [] } else { streams };
        for stream in of_catalog {
            let table = self.table(stream)?;
            let partition = table.partition.manifest.keyword();
            let unknown: Vec<_> =
                table.names().into_iter().filter(|name| !stream.knows(name)).collect();
            stream.warn_of_unknown("its table", &unknown);
            table.check_types(stream)?;
            table.tell_keys(stream);
            stream.schema.insert(singer::schema::PARTITION.to_owned(), partition);
        }
        Ok(())
    }

    /// Returns the paths of the files that [`Day::sync`] would read.
    pub fn plan(&self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        let partition = &self.table(stream)?.partition;
        let known = is_known(stream, since, &partition.manifest_sha256);
        let files = partition.files();
        let steps = files.iter().filter(|_| !known).map(|file| self.lake.show(file));
        // The day itself may have been extracted from a state on.
        Ok(Reading { steps: steps.collect(), coverage: Some(partition.manifest.coverage.clone()) })
    }

    /// Writes the rows of a table, unless the bookmark is of this very generation and of all the
    /// columns that are wanted. Else all of them: a part of a partition would be treated as the
    /// whole where it is loaded.
    pub fn sync(&self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        let table = self.table(stream)?;
        let manifest = &table.partition.manifest_sha256;
        if is_known(stream, since, manifest) {
            tracing::info!("skipping stream {}: unchanged since it was read", stream.name);
            rows.unchanged();
            return Ok(());
        }
        if self.announced {
            for table in self.tables()? {
                table.verify().with("stream", &table.partition.manifest.stream)?;
            }
        }
        // Before anything is read, a target must know what it may not replace.
        if rows.wants_files() {
            let found = self.tables()?.iter().filter_map(|table| table.identities().ok()).flatten();
            rows.read_from(&found.filter_map(|identity| identity.file()).collect());
        }
        table.verify()?;
        rows.cover(&table.partition.manifest.coverage);
        // What did not come to the day may still be there in the source.
        if let Some(why) = table.partition.manifest.may_lack_rows() {
            rows.lack_rows(why);
        }
        table.read(stream, self.options.row_bytes_max, rows)?;
        let (count, left_out) = (table.partition.manifest.rows(), table.left_out(stream));
        rows.bookmark(if left_out.is_empty() {
            json!({ whole::DAY: manifest, whole::ROWS: count })
        } else {
            json!({ whole::DAY: manifest, whole::ROWS: count, LEFT_OUT: left_out })
        });
        Ok(())
    }

    fn table(&self, stream: &Stream) -> Result<&Table> {
        let found =
            self.tables()?.iter().find(|table| table.partition.manifest.stream == stream.id);
        found.ok_or_else(|| {
            Error::new(ErrorKind::NoInput, "cannot find the table of the stream")
                .with("stream", &stream.id)
                .with("day", self.options.datestamp)
                .hint("write the catalog again with --discover, or extract the table first")
        })
    }

    fn tables(&self) -> Result<&[Table]> {
        once(&self.tables, || self.find()).map(Vec::as_slice)
    }

    fn find(&self) -> Result<Vec<Table>> {
        let DayOptions { datestamp, source, require_run_record, .. } = &self.options;
        let sources = if let Some(source) = source {
            vec![source.clone()]
        } else {
            if *require_run_record {
                self.lake.check_awaited(*datestamp)?;
            }
            self.sources(*require_run_record)?
        };
        let mut tables: Vec<Table> = Vec::new();
        for source in &sources {
            for partition in self.lake.read_day(source, *datestamp, !require_run_record)? {
                let name = &partition.manifest.stream;
                let same = |table: &&Table| table.partition.manifest.stream == *name;
                if let Some(other) = tables.iter().find(same) {
                    return Err(Error::new(
                        ErrorKind::Config,
                        "cannot read one stream from two sources",
                    )
                    .with("stream", name)
                    .with("sources", format!("{}, {source}", other.partition.manifest.source))
                    .hint("set `source` to read each source in a run of its own"));
                }
                tables.push(Table { partition, verified: OnceCell::new() });
            }
        }
        Ok(tables)
    }

    /// Returns the sources that have the day. One that a run record says to have it counts: where
    /// nothing of it is there, the day is not whole.
    fn sources(&self, recorded_too: bool) -> Result<Vec<String>> {
        let sources = self.lake.sources()?;
        let day = self.options.datestamp;
        let mut with_day = Vec::new();
        for source in &sources {
            if self.lake.days(source)?.contains(&day) {
                with_day.push(source.clone());
            }
        }
        if with_day.is_empty() {
            let shown = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
            return Err(Error::new(ErrorKind::NoInput, "cannot find a source that has the day")
                .with("output", self.lake.show(&Key::root()))
                .with("day", day)
                .with("sources", shown)
                .with("days of the sources", self.lake.days_near(&sources, day)?)
                .hint(of_missing_day(day)));
        }
        if recorded_too {
            for record in self.lake.run_records(self.options.datestamp)? {
                if !with_day.contains(&record.source) {
                    self.lake.check_gone(&record)?;
                }
            }
        }
        Ok(with_day)
    }
}

/// Tells whether the rows of a bookmark are of this generation, with all columns of the stream.
fn is_known(stream: &Stream, since: &Bookmark, manifest: &str) -> bool {
    let mut left_out = since.value[LEFT_OUT].as_array().into_iter().flatten();
    let selected = selected(stream);
    let is_wanted = |name: &Value| name.as_str().is_some_and(|name| selected.contains(name));
    since.value[whole::DAY] == *manifest && !left_out.any(is_wanted)
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

    /// Warns of a key of the catalog that is a part of the key of the day: rows may share it.
    fn tell_keys(&self, stream: &Stream) {
        let (given, own) = (&stream.keys, &self.partition.manifest.key_properties);
        if !given.is_empty() && own.iter().any(|key| !given.contains(key)) {
            singer::warn!(
                "W-KEY-SHARED",
                "stream {}: its key is ({}) in the catalog and ({}) in the day: a load by key \
                 keeps only one of the rows that share the first. Write the catalog again with \
                 --discover",
                stream.id,
                given.join(", "),
                own.join(", ")
            );
        }
    }

    /// Refuses a column whose values are written in another form than its type in the catalog has.
    fn check_types(&self, stream: &Stream) -> Result<()> {
        let own = self.partition.manifest.stream();
        let kinds: BTreeMap<_, _> =
            own.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
        for Column { name, kind, .. } in &stream.columns {
            let Some(found) = kinds.get(name.as_str()) else { continue };
            // A text takes any value, and a number takes integers.
            let fits = found == kind
                || matches!((found, kind), (_, Kind::String) | (Kind::Integer, Kind::Number));
            if !fits {
                let message = "a column has another type in the day than in the catalog";
                return Err(Error::new(ErrorKind::Config, message)
                    .with("stream", &stream.id)
                    .with("column", name)
                    .with("type in the day", found.word())
                    .with("type in the catalog", kind.word())
                    .hint("write the catalog again with --discover, or run without one"));
            }
        }
        Ok(())
    }

    /// Checks sizes and sums of the files, once; returns what the files are.
    fn verify(&self) -> Result<&[Identity]> {
        let verified = once(&self.verified, || {
            self.partition.manifest.format.check()?;
            let identities = self.identities()?;
            self.partition.verify()?;
            Ok(identities)
        });
        verified.map(Vec::as_slice)
    }

    /// Looks at the files; one that is missing is for the verification to tell.
    fn identities(&self) -> Result<Vec<Identity>> {
        let identity = |file: &Key| self.partition.open(file).map(|open| open.identity());
        let found = self.partition.files().iter().map(identity).collect();
        match found {
            Err(failure) if failure.kind() == ErrorKind::NoInput => {
                self.partition.verify()?;
                Err(failure)
            }
            found => found,
        }
    }

    /// Writes the rows of the files, which have to be those that were verified.
    fn read(&self, stream: &Stream, row_bytes_max: usize, rows: &mut Rows<'_>) -> Result<()> {
        let manifest = &self.partition.manifest;
        let names = self.names();
        if names.is_empty() && manifest.rows() == 0 {
            // A header without names is a blank line, which no reader finds.
            return Ok(());
        }
        let columns = Projection::new(stream, names)?;
        let reader = manifest.format.reader(columns, row_bytes_max)?;
        let files = self.partition.files();
        for ((at, entry), identity) in files.iter().zip(&manifest.files).zip(self.verify()?) {
            // It was there a moment ago, so the day is being published again.
            let path = self.partition.lake.show(at);
            let file = self.partition.open(at).map_err(|failure| match failure.kind() {
                ErrorKind::NoInput => changed(&path).caused_by(failure),
                _ => failure,
            })?;
            if file.identity() != *identity {
                return Err(file.changed());
            }
            let count = reader.read(&file, rows).map_err(|failure| {
                let failure = file.explain(failure);
                if failure.kind() == ErrorKind::Data {
                    failure.with("path", &path)
                } else {
                    failure
                }
            })?;
            if rows.has_enough() {
                return Ok(());
            }
            file.finish_held()?;
            if count != entry.rows {
                let message = "the number of rows differs from the manifest";
                return Err(Error::new(ErrorKind::Data, message)
                    .with("path", path)
                    .with("rows in the manifest", entry.rows)
                    .with("rows found", count));
            }
        }
        Ok(())
    }
}

/// Returns what a cell has, made by the first call.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

#[cfg(test)]
mod tests;
