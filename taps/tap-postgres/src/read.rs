//! The rows of a statement on their way into batches.

use std::time::Duration;

use pg::Client;
use singer::{Error, ErrorKind, Refused, Result, Rows};

use crate::convert::RowConverter;

/// The server may pause so long before what was read so far is handed on.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads the rows of the statement, and hands them on.
pub fn copy(
    client: &mut Client,
    sql: &str,
    converter: &mut RowConverter,
    rows: &mut Rows<'_>,
) -> Result<()> {
    let bytes_max = rows.record_bytes_max();
    // Escapes at most double a text; of a row beyond that not even the text is wanted.
    client.limit_rows(bytes_max.saturating_mul(2).saturating_add(1 << 16));
    client.begin_by_role()?;
    let mut rest = client.copy_out(sql)?;
    loop {
        if !rest.ready(PAUSE).map_err(|failure| too_large(failure, bytes_max))? {
            rows.flush()?;
        }
        let next = rest.next().map_err(|failure| too_large(failure, bytes_max))?;
        let Some(row) = next else { break };
        converter.count += 1;
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        match converter.write(row, rows) {
            Ok(()) => rows.end()?,
            Err(failure) if failure.kind() == ErrorKind::Data => {
                let place = format!("row {}", converter.count);
                rows.reject(&place, &refused(row, rows), of_catalog(failure))?;
            }
            Err(failure) => return Err(failure),
        }
    }
    drop(rest);
    client.end_by_role()
}

/// Says what to do about a value that is none of its column: the catalog may be from before the
/// column got its type.
fn of_catalog(failure: Error) -> Error {
    if failure.has_hint() || failure.message() != "a value does not fit the type of its column" {
        return failure;
    }
    failure.hint(
        "if the column has got another type since discovery, run discovery again and use the new \
         catalog; else correct the value, or set `max_rejects` to set such rows aside",
    )
}

/// Returns what may be shown of a row, which has selected columns alone but all of their values.
fn refused<'a>(row: &'a [u8], rows: &Rows<'_>) -> Refused<'a> {
    if rows.selects_all() {
        return Refused::Text(row);
    }
    let cell = |field: &[u8]| {
        let mut text = Vec::new();
        pg::copy_text::unescape(field, &mut text);
        (field != b"\\N").then_some(text)
    };
    Refused::Cells(row.split(|byte| *byte == b'\t').map(cell).collect())
}

/// Says what to do about a row that is too large to be read at all.
fn too_large(failure: Error, bytes_max: usize) -> Error {
    if failure.context("bytes of COPY text").is_none() {
        return failure;
    }
    failure
        .with("limit in bytes", bytes_max)
        .hint("raise `max_record_bytes` on both sides of the pipe, or leave out the column")
}
