//! A stream of CSV files: its columns from every file, then its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use files::dialect::RECORD_BYTES_CEILING;
use files::{Dialect, Identity, Inference, Limits, OpenFile, Reader, Record, TextEncoding};
use serde_json::{Map, Value, json};
use singer::{Bookmark, Context, Error, ErrorKind, Kind, Result, Rows, Stream};

use crate::header;
use crate::progress::{self, Progress};
use crate::settings::{FileSettings, TapCsvSettings};

const SOURCE_FILE: &str = "_sdc_source_file";
const SOURCE_FILE_MTIME: &str = "_sdc_source_file_mtime";
const SOURCE_LINENO: &str = "_sdc_source_lineno";

/// A stream of CSV files.
#[derive(Debug)]
pub struct Entity {
    settings: FileSettings,
    dialect: Dialect,
    encoding: TextEncoding,
    limits: Limits,
    metadata_columns: bool,
    /// What the files were when their types were inferred.
    discovered: BTreeMap<PathBuf, Identity>,
}

/// A file with its header read.
struct Opened {
    file: OpenFile,
    reader: Reader<Box<dyn Read + Send>>,
    /// None in an empty file.
    names: Vec<String>,
}

/// Where the cell of a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Field(usize),
    Path,
    Modified,
    Line,
    Nowhere,
}

/// The union of the columns of the files read so far.
#[derive(Debug, Default)]
struct Columns {
    names: Vec<String>,
    inference: Inference,
}

impl Entity {
    /// Checks the settings of an entry.
    pub fn new(settings: FileSettings, common: &TapCsvSettings) -> Result<Self> {
        let record_bytes_max = common.max_record_bytes.min(RECORD_BYTES_CEILING);
        let this = Self {
            dialect: dialect_of(&settings, record_bytes_max).with("entity", &settings.entity)?,
            encoding: TextEncoding::named(&settings.encoding).with("entity", &settings.entity)?,
            limits: Limits { ratio_max: common.decompression_ratio_max, ..Limits::default() },
            metadata_columns: common.add_metadata_columns,
            discovered: BTreeMap::new(),
            settings,
        };
        let refuse = |message: &str| {
            Err(Error::new(ErrorKind::Config, message).with("entity", &this.settings.entity))
        };
        if this.settings.entity.is_empty() {
            return refuse("cannot name a stream by an empty `entity`");
        }
        match &this.settings.columns {
            Some(_) if this.settings.header => {
                refuse("cannot use `columns` for files with a header")
                    .hint("set `header` to false, or leave `columns` out")
            }
            Some(names) => {
                header::checked(names.clone(), false)
                    .map_err(|failure| failure.of_kind(ErrorKind::Config))
                    .with("entity", &this.settings.entity)?;
                Ok(this)
            }
            None => Ok(this),
        }
    }

    /// Returns the name of the stream.
    pub fn name(&self) -> &str {
        &self.settings.entity
    }

    /// Reads every file once for its columns and their types; `None` when there are no columns.
    pub fn discover(&mut self) -> Result<Option<Stream>> {
        let mut columns = Columns::default();
        for path in files::paths::find(&self.settings.path).with("entity", self.name())? {
            self.survey(&path, &mut columns).with("path", path.display())?;
        }
        if columns.names.is_empty() {
            log::warn!("stream {} has no columns: its files are empty", self.name());
            return Ok(None);
        }
        let mut properties = Map::new();
        for (at, name) in columns.names.iter().enumerate() {
            let typed = self.settings.types.get(name).map(|given| given.kind());
            let inferred =
                if self.settings.infer_types { columns.inference.kind(at) } else { Kind::String };
            let kind = typed.unwrap_or(inferred);
            properties.insert(name.clone(), files::infer::property(kind));
        }
        for name in self.settings.types.keys().filter(|name| !properties.contains_key(*name)) {
            log::warn!("`types` names column {name}, which stream {} lacks", self.name());
        }
        self.check_keys(&properties)?;
        if self.metadata_columns {
            add_metadata_columns(&mut properties)?;
        }
        let Value::Object(schema) = json!({"type": "object", "properties": properties}) else {
            return Ok(None);
        };
        Ok(Some(Stream::new(self.name(), schema, self.settings.keys.clone())))
    }

    /// Writes the rows of all files but those that are as the bookmark says.
    pub fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows) -> Result<()> {
        let paths = files::paths::find(&self.settings.path)?;
        let mut progress = Progress::of(&since.value);
        let mut written = progress.clone();
        let found: BTreeSet<_> = paths.iter().filter_map(|path| path.to_str()).collect();
        progress.keep(|path| found.contains(path));
        let mut changed = paths.is_empty();
        for path in &paths {
            let identity = Identity::of(path)?;
            if self.discovered.get(path).is_some_and(|before| *before != identity) {
                return Err(files::open::changed(path));
            }
            if progress.has(path, identity)? {
                log::info!("skipping {}: unchanged since it was read", path.display());
                continue;
            }
            changed = true;
            let (identity, sum) =
                self.read(stream, path, rows).map_err(|failure| located(failure, path))?;
            progress.set(path, identity, &sum)?;
            rows.checkpoint(progress.to_json())?;
            written = progress.clone();
        }
        if !changed {
            rows.unchanged();
        }
        // Times that moved, and files that are gone.
        if progress != written {
            rows.checkpoint(progress.to_json())?;
        }
        Ok(())
    }

    /// Writes the rows of one file; returns what the file was.
    fn read(&self, stream: &Stream, path: &Path, rows: &mut Rows) -> Result<(Identity, String)> {
        let Opened { file, mut reader, names } = self.open(path, true)?;
        let identity = file.identity();
        let origins = origins(stream, &names, self.metadata_columns);
        let place = path.display().to_string();
        let modified = progress::time_for_a_column(identity.modified)?;
        let places = [place.as_str(), modified.as_str()];
        let read = self.rows(&mut reader, names.len(), &origins, places, rows);
        read.map_err(|failure| file.explain(failure))?;
        Ok((identity, file.finish()?.unwrap_or_default()))
    }

    fn rows(
        &self,
        reader: &mut Reader<Box<dyn Read + Send>>,
        width: usize,
        origins: &[Origin],
        places: [&str; 2],
        rows: &mut Rows,
    ) -> Result<()> {
        while let Some(record) = reader.record()? {
            if record.len() == width {
                match self.row(&record, origins, places, rows) {
                    Ok(()) => rows.end()?,
                    Err(failure) if failure.kind() == ErrorKind::Data => {
                        rows.reject(places[0], record.raw(), failure.with("line", record.line()))?;
                    }
                    Err(failure) => return Err(failure),
                }
            } else if !record.is_blank() {
                rows.reject(places[0], record.raw(), wrong_width(&record, width))?;
            }
        }
        Ok(())
    }

    fn row(
        &self,
        record: &Record<'_>,
        origins: &[Origin],
        [path, modified]: [&str; 2],
        rows: &mut Rows,
    ) -> Result<()> {
        for origin in origins {
            match *origin {
                Origin::Field(at) => match record.field(at) {
                    Some((text, quoted)) if !self.is_null(text, quoted) => rows.cell(text)?,
                    _ => rows.null(),
                },
                Origin::Path => rows.cell(path.as_bytes())?,
                Origin::Modified => rows.cell(modified.as_bytes())?,
                Origin::Line => rows.write(|text| {
                    text.extend_from_slice(record.line().to_string().as_bytes());
                    Ok(())
                })?,
                Origin::Nowhere => rows.null(),
            }
        }
        Ok(())
    }

    /// Takes the columns of one file, and the types of its values, into account.
    fn survey(&mut self, path: &Path, columns: &mut Columns) -> Result<()> {
        let Opened { file, mut reader, names } = self.open(path, false)?;
        self.discovered.insert(path.to_owned(), file.identity());
        let mut inference = Inference::new(names.len());
        if self.settings.infer_types {
            while let Some(record) = reader.record().map_err(|failure| file.explain(failure))? {
                // The rows of another width are not for this pass to refuse.
                if record.len() != names.len() {
                    continue;
                }
                for (column, (text, quoted)) in record.fields().enumerate() {
                    if !self.is_null(text, quoted) {
                        inference.see(column, text);
                    }
                }
            }
            file.finish()?;
        }
        columns.join(names, &inference);
        Ok(())
    }

    #[inline]
    fn is_null(&self, text: &[u8], quoted: bool) -> bool {
        (text.is_empty() && !quoted)
            || self.settings.null_values.iter().any(|null| null.as_bytes() == text)
    }

    /// Opens a file and reads its column names.
    fn open(&self, path: &Path, summed: bool) -> Result<Opened> {
        let (file, mut reader) = self.reader(path, summed)?;
        let names = if let Some(names) = &self.settings.columns {
            Some(names.clone())
        } else if self.settings.header {
            self.header(&mut reader)?
        } else {
            // The first row has rows' values: another reader looks at it for its width.
            let (_, mut other) = self.reader(path, false)?;
            other.record()?.map(|record| header::numbered(record.len()))
        };
        if file.identity().size == 0 || names.is_none() {
            if !self.settings.allow_empty_files {
                let message = "cannot find a header in a file without text";
                return Err(Error::new(ErrorKind::Data, message)
                    .hint("if such a file is no fault, set `allow_empty_files` to true"));
            }
            log::info!("{} is empty: it has no rows", path.display());
        }
        Ok(Opened { file, reader, names: names.unwrap_or_default() })
    }

    fn reader(
        &self,
        path: &Path,
        summed: bool,
    ) -> Result<(OpenFile, Reader<Box<dyn Read + Send>>)> {
        let file = OpenFile::open(path, summed)?;
        let mut reader = Reader::new(file.text(self.encoding, self.limits)?, &self.dialect);
        reader.skip_lines(self.settings.skip_rows)?;
        Ok((file, reader))
    }

    fn header(&self, reader: &mut Reader<Box<dyn Read + Send>>) -> Result<Option<Vec<String>>> {
        let Some(record) = reader.record()? else { return Ok(None) };
        if let Some([delimiter]) = record.raw().strip_prefix(b"sep=") {
            let delimiter = char::from(*delimiter);
            let message = "cannot take a `sep=` line for the header";
            return Err(Error::new(ErrorKind::Data, message)
                .with("line", record.line())
                .hint(format!("set `delimiter` to `{delimiter}` and `skip_rows` to 1")));
        }
        let name = |(text, _): (&[u8], bool)| String::from_utf8_lossy(text).into_owned();
        let names: Vec<String> = record.fields().map(name).collect();
        let other = [',', ';', '\t', '|'].into_iter().find(|other| {
            names.len() == 1
                && names[0].contains(*other)
                && !self.settings.delimiter.contains(*other)
        });
        if let Some(other) = other {
            log::warn!(
                "the only column of {} has a {other:?} in its name: is `delimiter` right?",
                self.settings.entity
            );
        }
        header::checked(names, self.settings.rename_headers).with("line", record.line()).map(Some)
    }

    fn check_keys(&self, properties: &Map<String, Value>) -> Result<()> {
        let missing = self.settings.keys.iter().find(|key| !properties.contains_key(*key));
        let Some(key) = missing else { return Ok(()) };
        let names: Vec<_> = properties.keys().map(String::as_str).collect();
        Err(Error::new(ErrorKind::Config, "cannot find a column that `keys` names")
            .with("entity", self.name())
            .with("key", key)
            .with("columns", names.join(", "))
            .hint("a key is the name of a column in the header, as it stands there"))
    }
}

impl Columns {
    fn join(&mut self, names: Vec<String>, inference: &Inference) {
        for (theirs, name) in names.into_iter().enumerate() {
            let known = self.names.iter().position(|known| *known == name);
            let ours = known.unwrap_or_else(|| {
                self.names.push(name);
                self.inference.grow(self.names.len());
                self.names.len() - 1
            });
            self.inference.merge(ours, inference, theirs);
        }
    }
}

fn dialect_of(settings: &FileSettings, record_bytes_max: usize) -> Result<Dialect> {
    use files::dialect::{byte_or_none, one_byte};
    let escape = settings.escapechar.as_deref().unwrap_or_default();
    Dialect {
        delimiter: one_byte("delimiter", &settings.delimiter)?,
        quote: byte_or_none("quotechar", &settings.quotechar)?,
        escape: byte_or_none("escapechar", escape)?,
        double_quote: settings.doublequote,
        skip_initial_space: settings.skipinitialspace,
        strict: settings.strict,
        nul_allowed: false,
        record_bytes_max,
    }
    .check()
}

fn add_metadata_columns(properties: &mut Map<String, Value>) -> Result<()> {
    let columns = [
        (SOURCE_FILE, Kind::String),
        (SOURCE_FILE_MTIME, Kind::DateTime),
        (SOURCE_LINENO, Kind::Integer),
    ];
    for (name, kind) in columns {
        if properties.insert(name.to_owned(), files::infer::property(kind)).is_some() {
            return Err(Error::new(ErrorKind::Data, "cannot add a column that the file has")
                .with("column", name)
                .hint("set `add_metadata_columns` to false"));
        }
    }
    Ok(())
}

fn origins(stream: &Stream, names: &[String], metadata_columns: bool) -> Vec<Origin> {
    let origin = |name: &str| match name {
        SOURCE_FILE if metadata_columns => Origin::Path,
        SOURCE_FILE_MTIME if metadata_columns => Origin::Modified,
        SOURCE_LINENO if metadata_columns => Origin::Line,
        _ => {
            let found = names.iter().position(|known| known == name);
            found.map_or(Origin::Nowhere, Origin::Field)
        }
    };
    stream.columns.iter().map(|column| origin(&column.name)).collect()
}

fn wrong_width(record: &Record<'_>, width: usize) -> Error {
    let message = if record.len() < width {
        "a row has fewer fields than the header"
    } else {
        "a row has more fields than the header"
    };
    Error::new(ErrorKind::Data, message)
        .with("line", record.line())
        .with("fields", record.len())
        .with("columns", width)
}

/// Adds the path, unless the failure has it.
fn located(failure: Error, path: &Path) -> Error {
    let has = failure.context("path").is_some() || failure.context("place").is_some();
    if has || failure.kind() == ErrorKind::Enough {
        failure
    } else {
        failure.with("path", path.display())
    }
}

#[cfg(test)]
mod tests;
