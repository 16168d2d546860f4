//! The rows of the tables, as CSV. A process of its own: the generator holds 300 MB of text.

use std::fmt::{Display, Write as _};
use std::fs::File;
use std::io::{BufWriter, Write};

use singer::{Error, ErrorKind, Result, ResultExt};
use tpchgen::csv::{LineItemCsv, OrderCsv};
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

use crate::measure::real;
use crate::mixed::Mixed;

/// Rows of `lineitem` at TPC-H's scale factor 1.
const LINEITEM_ROWS: f64 = 6_000_000.0;
/// Rows of `narrow` for one of `lineitem`: there are few bytes in each.
const NARROW_TIMES: u64 = 4;

/// Writes a table to standard output; `rows` are those of `lineitem`.
pub fn write(table: &str, rows: u64) -> Result<()> {
    let scale = real(rows) / LINEITEM_ROWS;
    match table {
        "lineitem" => lines(LineItemGenerator::new(scale, 1, 1).iter().map(LineItemCsv::new)),
        "orders" => lines(OrderGenerator::new(scale, 1, 1).iter().map(OrderCsv::new)),
        "mixed" => lines(Mixed::new().take(usize::try_from(rows / 3).unwrap_or(usize::MAX))),
        "narrow" => {
            lines((0..NARROW_TIMES * rows).map(|id| format!("{id},{}", id * 7919 % 1_000_003)))
        }
        _ => Err(Error::new(ErrorKind::Usage, "cannot generate a table of that name")
            .with("table", table)),
    }
}

fn lines(rows: impl Iterator<Item = impl Display>) -> Result<()> {
    let message = "cannot write the rows";
    let output = rustix::stdio::stdout().try_clone_to_owned().or_kind(ErrorKind::Io, message)?;
    let mut output = BufWriter::with_capacity(1 << 20, File::from(output));
    let mut line = String::new();
    for row in rows {
        line.clear();
        let _ = writeln!(line, "{row}");
        output.write_all(line.as_bytes()).or_kind(ErrorKind::Io, message)?;
    }
    output.flush().or_kind(ErrorKind::Io, message)
}
