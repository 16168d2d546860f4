//! The rows of CSV files that were published.

use files::dialect::RECORD_BYTES_CEILING;
use files::{Dialect, Limits, OpenFile, Reader, Record, TextEncoding};
use singer::{Error, ErrorKind, Result, Rows};

use crate::format::{Projection, RowReader};

/// Reads CSV files as [`super::Dialect::LOSSLESS`] writes them.
pub struct CsvReader<'a> {
    columns: Projection<'a>,
    dialect: Dialect,
}

impl<'a> CsvReader<'a> {
    /// Takes the columns, and how many bytes the text of a row may have.
    pub fn new(columns: Projection<'a>, row_bytes_max: usize) -> Self {
        // Quotes may double the text of a record.
        let record_bytes_max = row_bytes_max.saturating_mul(2).min(RECORD_BYTES_CEILING);
        Self { columns, dialect: Dialect { record_bytes_max, ..Dialect::lake() } }
    }
}

impl RowReader for CsvReader<'_> {
    fn read(&self, file: &OpenFile, rows: &mut Rows<'_>) -> Result<u64> {
        let Projection { names, wanted } = &self.columns;
        let limits = Limits { ratio_max: u64::MAX, ..Limits::default() };
        let mut reader = Reader::new(file.text(TextEncoding::Utf8, limits)?, &self.dialect);
        check_header(reader.record()?, names)?;
        let mut count = 0;
        while !rows.has_enough()
            && let Some(record) = reader.record()?
        {
            if record.len() != names.len() {
                return Err(Error::new(
                    ErrorKind::Data,
                    "a row has another number of fields than the schema",
                )
                .with("line", record.line())
                .with("fields", record.len())
                .with("columns", names.len()));
            }
            // The sums say that these are the bytes written, so the text is canonical.
            match wanted {
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
    Err(Error::new(ErrorKind::Data, "the header does not match the schema of the manifest")
        .hint("extract the day again"))
}
