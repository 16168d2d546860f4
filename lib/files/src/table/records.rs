//! Delimited files of a table: header, types of the values, rows.

use std::sync::atomic::Ordering;

use singer::convert::has_offset;
use singer::{Column, Error, ErrorKind, Refused, Result, Rows, Stream, quote};

use super::columns::{Columns, Origin, in_order, origins, unknown};
use super::edges::{Edges, word};
use super::heading::{Heading, Seams};
use super::likeness::{Spellings, apart};
use super::opening::{Input, Opened, is_space};
use super::{Place, Table, header};
use crate::identity::Identity;
use crate::reader::{Lines, Record};
use crate::settings::{Metadata, OnRagged};
use crate::short_text::ShortText;
use crate::written::Writing;

/// How the records of a file become rows.
struct Shape<'a> {
    /// The number of fields that the header has.
    width: usize,
    /// Where each cell comes from.
    origins: Vec<Origin>,
    /// How the cells of each column are written, where they are not read as they stand.
    writings: Vec<Option<&'a Writing>>,
    place: Place<'a>,
}

impl Table {
    /// Takes the columns of one file, and the types of its values, into account; returns what the
    /// file was.
    pub(super) fn survey_records(
        &self,
        path: &str,
        delimiter: ShortText,
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
                let width = names.len();
                if !self.fits(&record, width) && !self.is_padded(&record, width) {
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
                "the header of {path} may be a row, because all its names are numbers or look like \
                  the values below: if the file has no header, set `header` to false, and set \
                 `columns`"
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
            "the {} row of {path}, on line {}, is the only row that has no {} in column {}, and it \
              is read: if it is a total, a note or a second header, write the file without it; if \
             it is a row, set the type of the column (`types`) to string",
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
        (path, delimiter): (&str, ShortText),
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
                 first line is a row, set `header` to false, and set `columns`",
            ));
        }
        self.unknown.extend(unknown);
        self.had.extend(names.iter().cloned());
        let mut origins = origins(stream, names, self.settings.metadata);
        let writings = self.written(stream, &mut origins);
        let shape =
            Shape { width: names.len(), origins, writings, place: Place::new(path, identity)? };
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
                self.set_aside(shape.place.path, &Refused::Text(&raw), failure, rows)?;
            }
            if let Some(order) = header.again(&record) {
                seams.add(&order, record.line());
                shape.origins = in_order(&as_first, &order);
                continue;
            }
            if !fits && !self.is_padded(&record, width) {
                let failure = wrong_width(&record, width);
                let refused = refused(&record, &shape, rows);
                self.set_aside(shape.place.path, &refused, failure, rows)?;
                continue;
            }
            match self.row(&record, &shape, rows) {
                Ok(()) => rows.end()?,
                Err(failure) if failure.kind() == ErrorKind::Data => {
                    let failure = written_otherwise(failure.with("line", record.line()));
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
                Origin::Written { field, column } => {
                    self.convert(record, field, shape.writings[column], rows)?;
                }
                Origin::Metadata(Metadata::Extra) => self.extra(record, shape.width, rows)?,
                Origin::Metadata(column) => shape.place.cell(column, record.line(), rows)?,
                Origin::Nowhere => rows.null(),
            }
        }
        Ok(())
    }

    /// Finds the columns whose values are not read as they stand; returns how they are written.
    fn written(&self, stream: &Stream, origins: &mut [Origin]) -> Vec<Option<&Writing>> {
        if self.writings.is_empty() {
            return Vec::new();
        }
        let columns = stream.columns.iter().zip(origins).enumerate();
        let writing = |(column, (found, origin)): (usize, (&Column, &mut Origin))| {
            let writing = self.writings.get(&found.name).filter(|it| it.fits(found.kind))?;
            *origin = Origin::Written { field: origin.field()?, column };
            Some(writing)
        };
        columns.map(writing).collect()
    }

    /// Writes a field that is not read as it stands.
    fn convert(
        &self,
        record: &Record<'_>,
        at: usize,
        writing: Option<&Writing>,
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        let (Some(field), Some(writing)) = (record.field(at), writing) else {
            rows.null();
            return Ok(());
        };
        let nulls = writing.nulls.as_ref().unwrap_or(&self.settings.text.null_values);
        if self.is_one_of(nulls, record, at, field) {
            rows.null();
            return Ok(());
        }
        let Some(conversion) = &writing.conversion else {
            if let Some(told) = &writing.unzoned
                && !has_offset(field.0)
                && !told.swap(true, Ordering::Relaxed)
            {
                let column = self.writings.iter().find(|(_, one)| std::ptr::eq(*one, writing));
                let place = format!("as in line {}", record.line());
                self.tell_unzoned(column.map_or("", |(name, _)| name), &place);
            }
            return rows.cell(field.0);
        };
        rows.convert(field.0, conversion)
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

    /// Tells whether a record of another width is a row: null takes the place of the fields that
    /// it lacks, and no value stands behind the last column. Lines of white space are none.
    fn is_padded(&self, record: &Record<'_>, width: usize) -> bool {
        let is_null = |(at, field)| self.is_null(record, at, field);
        self.settings.text.on_ragged == Some(OnRagged::Null)
            && width > 0
            && !is_space(record.raw())
            && record.fields().enumerate().skip(width).all(is_null)
    }

    /// Sets a record of another width aside, or ends the run.
    #[cold]
    fn set_aside(
        &self,
        path: &str,
        record: &Refused<'_>,
        failure: Error,
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        if self.settings.text.on_ragged == Some(OnRagged::Fail) {
            return Err(failure.with("on_ragged", "fail"));
        }
        rows.reject(path, record, failure)
    }

    /// Tells whether a field is null.
    ///
    /// The rule: a null text with the escape in it, such as `\N`, is what stands in the file. The
    /// text `\N` that is written as `\\N` is none.
    #[inline]
    fn is_null(&self, record: &Record<'_>, at: usize, field: (&[u8], bool)) -> bool {
        self.is_one_of(&self.settings.text.null_values, record, at, field)
    }

    /// Tells whether a field is null where these texts are.
    #[inline]
    fn is_one_of(
        &self,
        nulls: &[String],
        record: &Record<'_>,
        at: usize,
        (text, quoted): (&[u8], bool),
    ) -> bool {
        if (text.is_empty() && !quoted) || nulls.is_empty() {
            return text.is_empty() && !quoted;
        }
        let stands = record.escaped(at);
        let escape = self.settings.text.escapechar.as_deref().filter(|_| stands.is_some());
        nulls.iter().any(|null| match (stands, escape) {
            (Some(stands), Some(escape)) if null.contains(escape) => null.as_bytes() == stands,
            _ => null.as_bytes() == text,
        })
    }

    /// Returns a key that a file with these columns does not have.
    fn lacking<'a>(&self, keys: &'a [String], names: &[String]) -> Option<&'a str> {
        let added = |key: &str| self.settings.metadata.iter().any(|column| column.name() == key);
        let has = |key: &String| names.is_empty() || names.contains(key) || added(key);
        keys.iter().find(|key| !has(key)).map(String::as_str)
    }
}

/// Warns of what shows that a file was put together from several.
fn tell_seams(path: &str, seams: Seams, marks: Lines) {
    if seams.repeated.count > 0 {
        singer::warn!(
            "W-HEADER-REPEATED",
            "skipping {} lines of {path} that repeat its header, the first on line {}: check \
             whether it was joined from several files",
            seams.repeated.count,
            seams.repeated.first
        );
    }
    if seams.moved.count > 0 {
        singer::warn!(
            "W-HEADER-REPEATED",
            "line {} of {path} has the names of its header in another order, and the rows below \
             are read in that order: if the line is a row, set `header` to false, set `skip_rows` \
             to leave out the header, and set `columns`",
            seams.moved.first
        );
    }
    if marks.count > 0 {
        singer::warn!(
            "W-MARK-INSIDE",
            "skipping {} byte order marks in {path}, the first on line {}: check whether it was \
             joined from several files",
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
            "{} records of {path} have a quoted field with text after its closing quote, the first \
              on line {}: such fields are read as they stand, with all of their quotes",
            lines.count,
            lines.first
        );
    }
}

/// Lines of white space that may yet turn out to be behind the last row, and how long they may be.
const SPACES_MAX: usize = 100;

/// Returns what may be shown of a record. In one of another width the fields may be those of other
/// columns.
fn refused<'a>(record: &Record<'a>, shape: &Shape<'_>, rows: &Rows<'_>) -> Refused<'a> {
    let Shape { width, origins, .. } = shape;
    let is_field = |origin: &&Origin| origin.field().is_some();
    if rows.selects_all() && origins.iter().filter(is_field).count() == *width {
        return Refused::Text(record.raw());
    }
    if record.len() != *width {
        return Refused::Untold;
    }
    let cell = |origin: &Origin| record.field(origin.field()?).map(|(text, _)| text.to_vec());
    Refused::Cells(origins.iter().map(cell).collect())
}

/// Says of a value that its column does not take which settings read another form.
fn written_otherwise(failure: Error) -> Error {
    let settings = match failure.context("type") {
        Some("integer" | "number") => "`decimal` and `thousands`",
        Some("date") => "`date_format`",
        Some("time") => "`time_format`",
        Some("date-time") => "`datetime_format`",
        Some("boolean") => "`true_values` and `false_values`",
        _ => return failure,
    };
    failure.hint(format!(
        "if the file writes such values in another form, set {settings}; else correct the record, \
         give the column another type in `types`, or set `max_rejects` to allow such records"
    ))
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
