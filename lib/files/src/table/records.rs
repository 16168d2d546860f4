//! Delimited files of a table: header, types of the values, rows.

use std::io::Read;

use singer::{Context, Error, ErrorKind, Refused, Result, Rows, Stream, quote};

use super::columns::{Columns, Origin, in_order, origins, unknown};
use super::edges::{Edges, word};
use super::form::{DELIMITERS_DOUBTED, is_json};
use super::heading::{Heading, Seams};
use super::likeness::{Spellings, apart};
use super::{Place, Table, header};
use crate::identity::Identity;
use crate::open::OpenFile;
use crate::reader::{Lines, Reader, Record};
use crate::settings::Metadata;

type Input = Reader<Box<dyn Read + Send>>;

/// How the records of a file become rows.
struct Shape<'a> {
    /// The number of fields that the header has.
    width: usize,
    /// Where each cell comes from.
    origins: Vec<Origin>,
    place: Place<'a>,
}

/// A file with its header read.
struct Opened {
    file: OpenFile,
    reader: Input,
    header: Heading,
}

impl Table {
    /// Takes the columns of one file, and the types of its values, into account; returns what the
    /// file was.
    pub(super) fn survey_records(
        &self,
        path: &str,
        delimiter: u8,
        columns: &mut Columns,
    ) -> Result<Identity> {
        let Opened { file, mut reader, header } = self.open_records((path, delimiter), false)?;
        let identity = file.identity();
        let names = &header.names;
        let is_apart = !columns.names.is_empty() && !names.is_empty();
        if is_apart && !names.iter().any(|name| columns.has(name)) {
            let has_header = self.settings.text.header;
            return Err(apart(header.line.max(1), names, &columns.spellings, has_header));
        }
        if let Some(key) = self.lacking(&self.settings.keys, names) {
            columns.lacking.get_or_insert_with(|| (path.to_owned(), key.to_owned()));
        }
        let mut edges = Edges::new(names.len());
        let mut columns_of_fields: Vec<usize> = (0..names.len()).collect();
        let types = &self.settings.text.types;
        if self.settings.text.infer_types && names.iter().any(|name| !types.contains_key(name)) {
            while let Some(record) = reader.record().map_err(|failure| file.explain(failure))? {
                // The rows of another width are not for this pass to refuse.
                if !self.fits(&record, names.len()) {
                    continue;
                }
                if let Some(order) = header.again(&record) {
                    columns_of_fields = order;
                    continue;
                }
                edges.begin(record.line());
                for ((at, field), column) in record.fields().enumerate().zip(&columns_of_fields) {
                    if !self.is_null(&record, at, field) {
                        edges.see(*column, field.0);
                    }
                }
            }
            file.finish()?;
        }
        self.tell_odd_row(path, names, &edges);
        let inference = edges.inference();
        if self.settings.text.header
            && header::may_be_row(names, &inference)
            && !self.doubted_header.replace(true)
        {
            singer::warn!(
                "W-HEADER-DOUBTFUL",
                "the header of {path} may be a row, for its names are all numbers, or values like \
                 those below it: if the file has no header, set `header` to false, and `columns`"
            );
        }
        columns.spellings.see(names, path);
        columns.join(header.names, &inference)?;
        Ok(identity)
    }

    /// Warns of a first or last row that may be a total, a note or a second header, once.
    fn tell_odd_row(&self, path: &str, names: &[String], edges: &Edges) {
        let is_open = |column: usize| !self.settings.text.types.contains_key(&names[column]);
        let Some(odd) = edges.odd(is_open).filter(|_| !self.doubted_row.replace(true)) else {
            return;
        };
        singer::warn!(
            "W-ROW-DOUBTFUL",
            "the {} row of {path}, on line {}, is read, and is the only one that has no {} in \
             column {}: if it is a total, a note or a second header, have the file written without \
             it; if it is a row, set the type of the column (`types`) to string",
            if odd.is_first { "first" } else { "last" },
            odd.line,
            word(odd.kind),
            names[odd.column],
        );
    }

    /// Writes the rows of one file; returns what the file was, and its sum.
    pub(super) fn read_records(
        &mut self,
        stream: &Stream,
        (path, delimiter): (&str, u8),
        rows: &mut Rows<'_>,
    ) -> Result<(Identity, Option<String>)> {
        let Opened { file, mut reader, header } = self.open_records((path, delimiter), true)?;
        let identity = file.identity();
        let names = &header.names;
        if let Some(key) = self.lacking(&stream.keys, names) {
            return Err(self.without_key(path, key));
        }
        let unknown = unknown(stream, names);
        if !names.is_empty() && unknown.len() == names.len() {
            let failure = apart(header.line.max(1), names, &Spellings::default(), header.line > 0);
            return Err(failure.hint(
                "if the columns were renamed, write the catalog again with --discover; if the \
                 first line is a row, set `header` to false, and `columns`",
            ));
        }
        self.unknown.extend(unknown);
        self.had.extend(names.iter().cloned());
        let shape = Shape {
            width: names.len(),
            origins: origins(stream, names, self.settings.metadata),
            place: Place::new(path, identity)?,
        };
        let read = self.rows(&mut reader, &header, shape, rows);
        let seams = read.map_err(|failure| file.explain(failure))?;
        self.held.set(file.held());
        let sum = if rows.has_enough() { None } else { file.finish()? };
        tell_seams(path, seams, reader.marks());
        tell_odd_quotes(path, reader.odd_quotes());
        Ok((identity, sum))
    }

    /// Writes the rows; returns the lines that are the header once more.
    fn rows(
        &self,
        reader: &mut Input,
        header: &Heading,
        mut shape: Shape<'_>,
        rows: &mut Rows<'_>,
    ) -> Result<Seams> {
        let mut seams = Seams::default();
        let width = shape.width;
        let as_first = shape.origins.clone();
        let mut spaces = Vec::new();
        while !rows.has_enough()
            && let Some(record) = reader.record()?
        {
            let fits = self.fits(&record, width);
            if !fits && record.is_blank() {
                continue;
            }
            let raw = record.raw();
            if !fits && raw.len() < SPACES_MAX && spaces.len() < SPACES_MAX && is_space(raw) {
                // No row, if it is the last line: the next one tells.
                spaces.push((raw.to_vec(), wrong_width(&record, width)));
                continue;
            }
            for (raw, failure) in spaces.drain(..) {
                rows.reject(shape.place.path, &Refused::Text(&raw), failure)?;
            }
            if let Some(order) = header.again(&record) {
                seams.add(&order, record.line());
                shape.origins = in_order(&as_first, &order);
                continue;
            }
            let read = if fits {
                self.row(&record, &shape, rows)
            } else {
                Err(wrong_width(&record, width))
            };
            match read {
                Ok(()) => rows.end()?,
                Err(failure) if failure.kind() == ErrorKind::Data => {
                    let failure = failure.with("line", record.line());
                    rows.reject(shape.place.path, &refused(&record, &shape, rows), failure)?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(seams)
    }

    #[inline]
    fn row(&self, record: &Record<'_>, shape: &Shape<'_>, rows: &mut Rows<'_>) -> Result<()> {
        for origin in &shape.origins {
            match *origin {
                Origin::Field(at) => match record.field(at) {
                    Some(field) if !self.is_null(record, at, field) => rows.cell(field.0)?,
                    _ => rows.null(),
                },
                Origin::Metadata(Metadata::Extra) => self.extra(record, shape.width, rows)?,
                Origin::Metadata(column) => shape.place.cell(column, record.line(), rows)?,
                Origin::Nowhere => rows.null(),
            }
        }
        Ok(())
    }

    /// Writes the fields beyond those of the header as a JSON array.
    fn extra(&self, record: &Record<'_>, width: usize, rows: &mut Rows<'_>) -> Result<()> {
        if record.len() <= width {
            rows.null();
            return Ok(());
        }
        rows.write(|out| {
            out.push(b'[');
            for (at, field) in record.fields().enumerate().skip(width) {
                if at > width {
                    out.push(b',');
                }
                if self.is_null(record, at, field) {
                    out.extend_from_slice(b"null");
                } else {
                    quote::string_into(field.0, out);
                }
            }
            out.push(b']');
            Ok(())
        })
    }

    /// Tells whether a record can be a row: as wide as the header, or wider where that is no fault.
    #[inline]
    fn fits(&self, record: &Record<'_>, width: usize) -> bool {
        record.len() == width || (self.wider && width > 0 && record.len() > width)
    }

    /// Tells whether a field is null.
    ///
    /// The rule: a null text with the escape in it, such as `\N`, is what stands in the file. The
    /// text `\N` that is written as `\\N` is none.
    #[inline]
    fn is_null(&self, record: &Record<'_>, at: usize, (text, quoted): (&[u8], bool)) -> bool {
        let settings = &self.settings.text;
        if (text.is_empty() && !quoted) || settings.null_values.is_empty() {
            return text.is_empty() && !quoted;
        }
        let stands = record.escaped(at);
        let escape = settings.escapechar.as_deref().filter(|_| stands.is_some());
        settings.null_values.iter().any(|null| match (stands, escape) {
            (Some(stands), Some(escape)) if null.contains(escape) => null.as_bytes() == stands,
            _ => null.as_bytes() == text,
        })
    }

    /// Opens a file and reads its column names.
    fn open_records(&self, (path, delimiter): (&str, u8), summed: bool) -> Result<Opened> {
        let (file, mut reader) = self.reader(path, delimiter, summed)?;
        let text = &self.settings.text;
        let header = if let Some(names) = &text.columns {
            Some(Heading::named(names.clone()))
        } else if text.header {
            self.header(path, delimiter, &mut reader)?
        } else {
            // The first row has rows' values: another reader looks at it for its width.
            let (_, mut other) = self.reader(path, delimiter, false)?;
            let width = other.record()?.map(|record| record.len());
            self.check_width(width.unwrap_or_default())?;
            width.map(header::numbered).map(Heading::named)
        };
        if file.identity().size == 0 || header.is_none() {
            self.check_empty(path)?;
        }
        Ok(Opened { file, reader, header: header.unwrap_or_default() })
    }

    /// Returns a key that a file with these columns does not have.
    fn lacking<'a>(&self, keys: &'a [String], names: &[String]) -> Option<&'a str> {
        let added = |key: &str| self.settings.metadata.iter().any(|column| column.name() == key);
        let has = |key: &String| names.is_empty() || names.contains(key) || added(key);
        keys.iter().find(|key| !has(key)).map(String::as_str)
    }

    fn reader(&self, path: &str, delimiter: u8, summed: bool) -> Result<(OpenFile, Input)> {
        let file = self.open(path, summed)?;
        let dialect = self.dialect(delimiter)?;
        let mut reader = Reader::new(self.text(path, &file)?, &dialect);
        reader.skip_lines(self.settings.text.skip_rows)?;
        Ok((file, reader))
    }

    fn header(&self, path: &str, delimiter: u8, reader: &mut Input) -> Result<Option<Heading>> {
        let Some(record) = reader.record()? else { return Ok(None) };
        let line = record.line();
        self.check_header(&record).with("line", line)?;
        if let Some([delimiter]) = record.raw().strip_prefix(b"sep=") {
            let delimiter = char::from(*delimiter);
            let message = "cannot take a `sep=` line for the header";
            return Err(Error::new(ErrorKind::Data, message)
                .with("line", record.line())
                .hint(format!("set `delimiter` to `{delimiter}` and `skip_rows` to 1")));
        }
        self.check_width(record.len())?;
        let name = |(text, _): (&[u8], bool)| String::from_utf8_lossy(text).into_owned();
        let names: Vec<String> = record.fields().map(name).collect();
        let other = DELIMITERS_DOUBTED.map(char::from);
        let other = other.into_iter().find(|other| names.len() == 1 && names[0].contains(*other));
        if let Some(other) = other.filter(|_| !self.doubted_delimiter.replace(true)) {
            // Its own delimiter can be there in quotes alone.
            let is_own = other == char::from(delimiter);
            let doubt = if is_own { "are whole lines in quotes" } else { "is `delimiter` right" };
            singer::warn!(
                "W-DELIMITER-DOUBTFUL",
                "the only column of {path} has a {other:?} in its name: {doubt}?"
            );
        }
        let is_spaced = |(text, quoted): (&[u8], bool)| !quoted && text.first() == Some(&b' ');
        if names.len() > 1
            && record.fields().skip(1).all(is_spaced)
            && !self.doubted_delimiter.replace(true)
        {
            singer::warn!(
                "W-DELIMITER-DOUBTFUL",
                "the names of {path} begin with a space, which is part of them, as it is of \
                 values: if it is not meant, set `skipinitialspace`"
            );
        }
        let rename = self.settings.text.rename_headers;
        let heading = Heading::of_line(&names, line);
        let names = header::checked(names, rename).with("line", line)?;
        Ok(Some(heading.renamed(names)))
    }

    /// Refuses a first line that is no header of delimited text.
    fn check_header(&self, record: &Record<'_>) -> Result<()> {
        if record.is_blank() && !self.settings.text.rename_headers {
            return Err(Error::new(ErrorKind::Data, "cannot take an empty line for the header")
                .hint("set `skip_rows` to the number of lines before the header"));
        }
        if self.settings.format.is_some() {
            return Ok(());
        }
        let raw = record.raw();
        if is_json(raw).is_some() || raw.trim_ascii() == b"[" || starts(raw, b"{\"") {
            return Err(Error::new(ErrorKind::Data, "cannot take JSON for the header")
                .hint("set `format` to json or jsonl; if it is a header, to csv"));
        }
        if [&b"<!doctype"[..], b"<html", b"<?xml"].iter().any(|begin| starts(raw, begin)) {
            return Err(Error::new(ErrorKind::Data, "cannot take HTML or XML for the header")
                .hint(
                    "is it what a server says of a failure? if it is a header, set `format` to csv",
                ));
        }
        Ok(())
    }
}

/// Tells whether a line begins so, in any case.
fn starts(line: &[u8], begin: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin))
}

/// Warns of what shows that a file was put together from several.
fn tell_seams(path: &str, seams: Seams, marks: Lines) {
    if seams.repeated.count > 0 {
        singer::warn!(
            "W-HEADER-REPEATED",
            "passing over {} lines of {path} that are its header once more, the first one on line \
             {}: was it put together from several files?",
            seams.repeated.count,
            seams.repeated.first
        );
    }
    if seams.moved.count > 0 {
        singer::warn!(
            "W-HEADER-REPEATED",
            "line {} of {path} has the names of its header in another order, and the rows below it \
             are read in that order: if the line is a row, set `header` to false, `skip_rows` to \
             leave out the header, and `columns`",
            seams.moved.first
        );
    }
    if marks.count > 0 {
        singer::warn!(
            "W-MARK-INSIDE",
            "passing over {} byte order marks within {path}, the first one on line {}: was it put \
             together from several files?",
            marks.count,
            marks.first
        );
    }
}

/// Warns of fields whose quotes no one can tell apart: no quote of a file is lost in silence.
fn tell_odd_quotes(path: &str, lines: Lines) {
    if lines.count > 0 {
        singer::warn!(
            "W-QUOTE-ODD",
            "{} records of {path} have a quoted field with text behind its closing quote, the \
             first one on line {}: such fields are taken as they stand, with all of their quotes",
            lines.count,
            lines.first
        );
    }
}

/// Lines of white space that may yet turn out to be behind the last row, and how long they may be.
const SPACES_MAX: usize = 100;

fn is_space(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Returns what may be shown of a record. In one of another width the fields may be those of other
/// columns.
fn refused<'a>(record: &Record<'a>, shape: &Shape<'_>, rows: &Rows<'_>) -> Refused<'a> {
    let Shape { width, origins, .. } = shape;
    let is_field = |origin: &&Origin| matches!(origin, Origin::Field(_));
    if rows.selects_all() && origins.iter().filter(is_field).count() == *width {
        return Refused::Text(record.raw());
    }
    if record.len() != *width {
        return Refused::Untold;
    }
    let cell = |origin: &Origin| match *origin {
        Origin::Field(at) => record.field(at).map(|(text, _)| text.to_vec()),
        Origin::Metadata(_) | Origin::Nowhere => None,
    };
    Refused::Cells(origins.iter().map(cell).collect())
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
