//! The staging table of a stream: a temporary table that its rows are copied into.

use std::time::{SystemTime, UNIX_EPOCH};

use pg::{Client, copy_text, failure, quote_ident};
use singer::target::{ENVELOPE_CELLS, TIME_EXTRACTED, VERSION};
use singer::{Batch, Cell, Error, ErrorKind, Kind, Result, Stream};

use crate::encode::Encoder;
use crate::session::Session;
use crate::table::Wanted;
use crate::types::SqlType;

/// What a staged row has behind the columns of its stream.
const EXTRA: [(&str, &str); 5] = [
    ("_sdc_stage_extracted", "timestamp with time zone"),
    ("_sdc_stage_version", "bigint"),
    ("_sdc_stage_received", "bigint"),
    ("_sdc_stage_line", "bigint"),
    ("_sdc_stage_absent", "smallint[]"),
];

/// The staging table, and how cells become its fields.
pub struct Stage {
    number: u64,
    /// The stream and table, for messages.
    stream: String,
    table: String,
    types: Vec<String>,
    feed: Vec<Feed>,
    /// Columns of earlier schemas, which no record has any more.
    unfed: Vec<usize>,
    names: Vec<String>,
    copy: String,
    /// Whether rows list the columns that their record lacks.
    lists_lacking: bool,
    rows: u64,
    line: u64,
    any_absent: bool,
    out: Vec<u8>,
    scratch: Vec<u8>,
}

/// Where the cells of one column of the stream go.
#[derive(Clone)]
pub struct Feed {
    /// The column in the staging table and how to write its cells; `None` leaves it out.
    pub to: Option<(usize, Encoder)>,
    /// Whether a row must have a value.
    pub required: bool,
    /// Whether a record without it leaves the old value alone.
    pub keeps: bool,
}

/// How a column of a table is staged, and what makes the staged value one of the table's.
pub fn staged(wanted: &Wanted, sql: &SqlType) -> (String, String) {
    let moment = wanted.source.as_ref().is_some_and(|column| column.kind == Kind::DateTime);
    if moment && sql.storage().is(&["timestamp without time zone"]) {
        // Postgres would drop the offset of the text; this way it converts it to UTC.
        return ("timestamp with time zone".to_owned(), format!("::{}", sql.sql()));
    }
    (sql.sql(), String::new())
}

impl Stage {
    /// Makes the staging table.
    pub fn new(
        session: &mut Session,
        stream: &str,
        table: &str,
        lists_lacking: bool,
    ) -> Result<Self> {
        let number = session.next_stage();
        let made = Self {
            number,
            stream: stream.to_owned(),
            table: table.to_owned(),
            types: Vec::new(),
            feed: Vec::new(),
            unfed: Vec::new(),
            names: Vec::new(),
            copy: String::new(),
            lists_lacking,
            rows: 0,
            line: 0,
            any_absent: false,
            out: Vec::with_capacity(2 * Batch::TEXT_BYTES),
            scratch: Vec::new(),
        };
        let extra = EXTRA.iter().map(|(name, sql)| format!("{name} {sql}"));
        let extra = extra.collect::<Vec<_>>().join(", ");
        let sql = format!("CREATE TABLE {} ({extra}, _sdc_stage_round bigint)", made.sql());
        session.idle()?.execute(&sql).map_err(|refused| made.explain(refused))?;
        Ok(made)
    }

    /// Returns the quoted name.
    pub fn sql(&self) -> String {
        format!("pg_temp._sdc_stage_{}", self.number)
    }

    /// Returns how many rows are staged.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Tells whether a staged record lacks a column that it is to leave alone.
    pub fn any_absent(&self) -> bool {
        self.any_absent
    }

    /// Forgets the rows, which the caller removes.
    pub fn emptied(&mut self) {
        self.rows = 0;
        self.any_absent = false;
    }

    /// Gives the table these columns (those it has must be the first of them) and later rows
    /// this way into them.
    pub fn reshape(
        &mut self,
        client: &mut Client,
        columns: &[(String, String)],
        feed: Vec<Feed>,
    ) -> Result<()> {
        let mut actions = Vec::new();
        for (at, (name, sql)) in columns.iter().enumerate() {
            let quoted = quote_ident(name)?;
            match self.types.get(at) {
                Some(old) if old == sql => {}
                Some(_) => actions.push(format!("ALTER COLUMN {quoted} TYPE {sql}")),
                None => actions.push(format!("ADD COLUMN {quoted} {sql}")),
            }
        }
        if !actions.is_empty() {
            let sql = format!("ALTER TABLE {} {}", self.sql(), actions.join(", "));
            client.execute(&sql).map_err(|refused| self.explain(refused))?;
        }
        (self.names, self.types) = columns.iter().cloned().unzip();
        self.feed = feed;
        let has_cells = |at: &usize| {
            self.feed.iter().any(|feed| feed.to.as_ref().is_some_and(|to| to.0 == *at))
        };
        self.unfed = (0..columns.len()).filter(|at| !has_cells(at)).collect();
        let mut names = Vec::new();
        for (at, _) in self.feed.iter().filter_map(|feed| feed.to.as_ref()) {
            names.push(quote_ident(&self.names[*at])?);
        }
        names.extend(EXTRA.iter().map(|(name, _)| (*name).to_owned()));
        self.copy = format!("COPY {} ({}) FROM STDIN", self.sql(), names.join(", "));
        Ok(())
    }

    fn explain(&self, refused: Error) -> Error {
        let denied = failure::sqlstate(&refused) == Some("42501");
        let refused = refused.with("stream", &self.stream).with("table", &self.table);
        if denied {
            return refused.hint(
                "rows are staged in a temporary table: GRANT TEMPORARY ON DATABASE ... TO the user",
            );
        }
        refused
    }

    /// Stages the rows of a batch.
    pub fn write(&mut self, session: &mut Session, stream: &Stream, batch: &Batch) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let received = now.as_micros().to_string();
        let width = self.feed.len();
        if batch.width() != width + ENVELOPE_CELLS {
            return Err(Error::new(ErrorKind::Internal, "cannot write rows of another width")
                .with("stream", &stream.name));
        }
        self.out.clear();
        for row in 0..batch.rows() {
            self.line += 1;
            self.rows += 1;
            self.encode(stream, batch, row)?;
            for cell in [TIME_EXTRACTED, VERSION] {
                match batch.cell(row, width + cell) {
                    Cell::Text(text) => copy_text::escape(text, &mut self.out),
                    Cell::Null | Cell::Absent => self.out.extend_from_slice(copy_text::NULL),
                }
                self.out.push(b'\t');
            }
            self.out.extend_from_slice(received.as_bytes());
            self.out.push(b'\t');
            push_number(self.line, &mut self.out);
            self.out.push(b'\t');
            self.push_absent(batch, row);
            self.out.push(b'\n');
        }
        session.copy(self.number, &self.table, &self.copy, &self.out)
    }

    fn encode(&mut self, stream: &Stream, batch: &Batch, row: usize) -> Result<()> {
        for (at, (feed, cell)) in self.feed.iter().zip(batch.row(row)).enumerate() {
            let Some((_, encoder)) = &feed.to else { continue };
            let done = match cell {
                Cell::Text(text) => encoder.text(text, &mut self.scratch, &mut self.out),
                Cell::Null | Cell::Absent if feed.required => {
                    let missing = if cell == Cell::Null { "null" } else { "missing" };
                    Err(Error::new(ErrorKind::Data, "cannot load a record without its key")
                        .with("reason", format!("the key column is {missing}")))
                }
                Cell::Null | Cell::Absent => {
                    self.out.extend_from_slice(copy_text::NULL);
                    Ok(())
                }
            };
            if let Err(failure) = done {
                return Err(failure
                    .with("stream", &stream.name)
                    .with("row", self.line)
                    .with("column", &stream.columns[at].name));
            }
            self.out.push(b'\t');
        }
        Ok(())
    }

    /// Appends the numbers of the columns that the record lacks, or null.
    fn push_absent(&mut self, batch: &Batch, row: usize) {
        let start = self.out.len();
        if self.lists_lacking {
            let cells = self.feed.iter().zip(batch.row(row));
            let lacking = cells.filter_map(|(feed, cell)| {
                let (at, _) = feed.to.as_ref()?;
                (feed.keeps && cell == Cell::Absent).then_some(at)
            });
            for at in lacking.chain(&self.unfed) {
                let next = if self.out.len() == start { b'{' } else { b',' };
                self.out.push(next);
                push_number(u64::try_from(*at).unwrap_or(0), &mut self.out);
            }
        }
        if self.out.len() == start {
            self.out.extend_from_slice(copy_text::NULL);
        } else {
            self.out.push(b'}');
            self.any_absent = true;
        }
    }
}

fn push_number(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.extend(u8::try_from(number % 10).map(|digit| b'0' + digit));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = b"x".to_vec();
            push_number(number, &mut out);
            assert_eq!(out, format!("x{number}").into_bytes());
        }
    }
}
