//! Rows to lines of COPY data: the fields that come from the columns of the stream.

use pg::copy_binary::{self, Type};
use pg::copy_text;
use singer::Envelope;
use singer::{Batch, Cell, Error, ErrorKind, Rejects, Result, Stream};

use crate::encode::{Encoder, Scratch};
use crate::kept::How;
use crate::line::{Format, Line};
use crate::{limits, money};

/// Where the cells of one column of the stream go.
#[derive(Clone, Default)]
pub struct Feed {
    /// The column of the table and how to write its cells; `None` leaves it out.
    pub to: Option<(usize, Encoder)>,
    /// Whether a row must have a value.
    pub required: bool,
    /// Whether a record without it leaves the old value alone.
    pub keeps: bool,
    /// How its cells are compared with what the column keeps of them, where that is to be seen.
    pub how: Option<How>,
    /// How many digits behind the point an amount of money has here, where these are not two.
    pub money_digits: Option<usize>,
    /// Whether it is a key whose column takes different texts for one.
    pub spelled: bool,
}

/// How the rows of a stream become fields, and memory to reuse for it.
#[derive(Default)]
pub struct Fields {
    feed: Vec<Feed>,
    /// Columns of earlier schemas, which no record has any more.
    unfed: Vec<usize>,
    scratch: Scratch,
    /// An amount of money as our session reads it.
    amount: Vec<u8>,
    /// Cells of the next rows, by row and column of the stream, that their column would change.
    changed: Vec<(usize, usize)>,
    /// Whether it was said that keys do not arrive as they came.
    told: bool,
    /// What the server saves by the binary format of a row; `None` where a column has none.
    gain: Option<i32>,
    /// So many batches go as text, behind one that had to.
    text_batches: u32,
    /// How many that were the last time.
    last_wait: u32,
}

/// Lines of COPY data, and the lines of the input that they come from.
#[derive(Clone, Default)]
pub struct Lines {
    /// How the data is written.
    pub format: Format,
    /// The data.
    pub data: Vec<u8>,
    /// A number for each line; 0 where it is not known.
    pub numbers: Vec<u64>,
}

impl Lines {
    /// Makes room for lines of this format.
    pub fn begin(&mut self, format: Format) {
        self.format = format;
        self.data.clear();
        self.numbers.clear();
    }
}

/// Rows that have come.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// Their stream.
    pub stream: &'a Stream,
    /// The rows.
    pub batch: &'a Batch,
    /// Where those go that the table cannot take.
    pub rejects: &'a Rejects,
}

impl Fields {
    /// Takes one feed for each column of the stream; the table has `width` columns for them.
    pub fn new(feed: Vec<Feed>, width: usize) -> Self {
        let has_cells =
            |at: &usize| feed.iter().any(|feed| feed.to.as_ref().is_some_and(|to| to.0 == *at));
        let unfed = (0..width).filter(|at| !has_cells(at)).collect();
        let encoders = feed.iter().filter_map(|feed| feed.to.as_ref());
        let gain = encoders.map(|(_, encoder)| encoder.binary().map(Type::gain)).sum();
        Self { feed, unfed, gain, ..Self::default() }
    }

    /// Returns the columns whose cells are compared: of the stream, of the table, and how.
    pub fn compared(&self) -> impl Iterator<Item = (usize, usize, &How)> {
        let feed = self.feed.iter().enumerate();
        feed.filter_map(|(at, feed)| Some((at, feed.to.as_ref()?.0, feed.how.as_ref()?)))
    }

    /// Returns the keys whose spelling counts: columns of the stream and of the table.
    pub fn spelled(&self) -> impl Iterator<Item = (usize, usize)> {
        let feed = self.feed.iter().enumerate().filter(|(_, feed)| feed.spelled);
        feed.filter_map(|(at, feed)| Some((at, feed.to.as_ref()?.0)))
    }

    /// Takes note of cells of the next rows to be written, by row and column of the stream, which
    /// their column would change: those rows are refused.
    pub fn refuse(&mut self, changed: Vec<(usize, usize)>) {
        self.changed = changed;
    }

    /// Appends the field of a cell; tells whether the column takes it.
    pub fn field(&mut self, at: usize, text: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let to = self.feed[at].to.as_ref();
        let taken = to.is_some_and(|to| to.1.text(text, &mut self.scratch, out).is_ok());
        if !taken {
            out.truncate(start);
        }
        taken
    }

    /// Appends the text of a key: of an array as SQL has it, for one of JSON is written in many
    /// ways. Where U+0000 in it is replaced, its spelling is not known.
    pub fn push_spelling(&self, at: usize, cell: Cell<'_>, line: &mut Line<'_>) -> bool {
        let encoder = self.feed[at].to.as_ref().map(|to| &to.1);
        match cell {
            Cell::Text(text) if memchr::memchr(0, text).is_none() => match encoder {
                // The field of the row was written, so this one is, too.
                Some(array) if array.is_array() && line.format == Format::Text => {
                    let _ = array.text(text, &mut Scratch::default(), line.out);
                    line.count();
                }
                _ => return line.push(text, Some(Type::Text)),
            },
            _ => line.push_null(),
        }
        true
    }

    /// Returns the columns of the table in the order of the fields.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.feed.iter().filter_map(|feed| feed.to.as_ref().map(|to| to.0))
    }

    /// Fills `lines` with the rows of a batch; `tail` appends what comes behind the fields of each,
    /// which is of the types `behind`, and tells whether the format has it.
    pub fn write(
        &mut self,
        rows: Incoming<'_>,
        lines: &mut Lines,
        behind: &[Option<Type>],
        mut tail: impl FnMut(&Self, usize, &mut Line<'_>) -> bool,
    ) -> Result<()> {
        match self.write_binary(rows, lines, behind, &mut tail)? {
            Format::Binary => Ok(()),
            Format::Text => self.write_text(rows, lines, tail),
        }
    }

    /// Returns the format that takes the server less time, where what is behind the fields of each
    /// row is of these types.
    pub fn format(&self, behind: &[Option<Type>]) -> Format {
        let behind: Option<i32> = behind.iter().map(|kind| kind.map(Type::gain)).sum();
        match self.gain.zip(behind) {
            Some((gain, behind)) if gain + behind > 0 => Format::Binary,
            _ => Format::Text,
        }
    }

    /// Tells whether the next rows are tried in the binary format.
    fn tries_binary(&mut self, behind: &[Option<Type>]) -> bool {
        let waits = self.text_batches > 0;
        self.text_batches = self.text_batches.saturating_sub(1);
        !waits && self.changed.is_empty() && self.format(behind) == Format::Binary
    }

    /// Does what [`Fields::write`] does in the binary format, if that is worth it, and each value
    /// has a form there that is surely what the server would make of its text. Nothing is rejected
    /// or said of the rows: else they are still to be written as text.
    pub fn write_binary(
        &mut self,
        Incoming { stream, batch, .. }: Incoming<'_>,
        lines: &mut Lines,
        behind: &[Option<Type>],
        mut tail: impl FnMut(&Self, usize, &mut Line<'_>) -> bool,
    ) -> Result<Format> {
        if batch.width() != self.feed.len() + Envelope::CELLS {
            return Err(Error::new(
                ErrorKind::Internal,
                "a row has another number of columns than its table",
            )
            .with("stream", &stream.name));
        }
        if !self.tries_binary(behind) {
            return Ok(Format::Text);
        }
        lines.begin(Format::Binary);
        for row in 0..batch.rows() {
            let mut line = Line::begin(Format::Binary, row, &mut lines.data);
            if !self.row_binary(batch, row, &mut line) || !tail(self, row, &mut line) {
                // A stream that has one such value may have more of them.
                self.last_wait = (2 * self.last_wait).clamp(1, 64);
                self.text_batches = self.last_wait;
                return Ok(Format::Text);
            }
            line.end();
            lines.numbers.push(batch.line(row));
        }
        self.last_wait /= 2;
        Ok(Format::Binary)
    }

    #[inline]
    fn row_binary(&mut self, batch: &Batch, row: usize, line: &mut Line<'_>) -> bool {
        for (feed, cell) in self.feed.iter().zip(batch.row(row)) {
            let Some((_, encoder)) = &feed.to else { continue };
            match cell {
                Cell::Text(text) => {
                    if !encoder.push_binary(text, &mut self.scratch, line.out) {
                        return false;
                    }
                }
                Cell::Null | Cell::Absent if feed.required => return false,
                Cell::Null | Cell::Absent => line.out.extend_from_slice(&copy_binary::NULL),
            }
            line.count();
        }
        true
    }

    /// Does what [`Fields::write`] does in the text format.
    pub fn write_text(
        &mut self,
        Incoming { stream, batch, rejects }: Incoming<'_>,
        lines: &mut Lines,
        mut tail: impl FnMut(&Self, usize, &mut Line<'_>) -> bool,
    ) -> Result<()> {
        lines.begin(Format::Text);
        for row in 0..batch.rows() {
            let start = lines.data.len();
            let mut line = Line::begin(Format::Text, lines.numbers.len(), &mut lines.data);
            let written = match self.changed.iter().find(|cell| cell.0 == row) {
                None => self.row(stream, batch, row, line.out),
                Some(cell) => Err((cell.1, changed())),
            };
            if let Err((at, failure)) = written {
                lines.data.truncate(start);
                let failure = failure.with("column", &stream.columns[at].name);
                rejects.row(stream, batch, row, failure)?;
                continue;
            }
            tail(self, row, &mut line);
            line.end();
            lines.numbers.push(batch.line(row));
        }
        self.changed.clear();
        Ok(())
    }

    /// Appends the fields of a row, a tab behind each; fails with the column at fault.
    #[inline]
    fn row(
        &mut self,
        stream: &Stream,
        batch: &Batch,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), (usize, Error)> {
        for (at, (feed, cell)) in self.feed.iter().zip(batch.row(row)).enumerate() {
            let Some((_, encoder)) = &feed.to else { continue };
            match cell {
                Cell::Text(text) => {
                    let text = match feed.money_digits {
                        None => text,
                        Some(digits) => money::counted(text, digits, &mut self.amount)
                            .map_err(|failure| (at, failure))?,
                    };
                    encoder.text(text, &mut self.scratch, out).map_err(|failure| (at, failure))?;
                    if feed.required && !self.told && encoder.sanitizes(text) {
                        self.told = true;
                        warn_of_key(stream, at);
                    }
                }
                Cell::Null | Cell::Absent if feed.required => {
                    let missing = if cell == Cell::Null { "null" } else { "missing" };
                    let failure =
                        Error::new(ErrorKind::Data, "cannot load a record without its key")
                            .with("reason", format!("the key column is {missing}"));
                    return Err((at, failure));
                }
                Cell::Null | Cell::Absent => out.extend_from_slice(copy_text::NULL),
            }
            out.push(b'\t');
        }
        Ok(())
    }

    /// Returns the columns of the table that the record of a row lacks and is to leave alone.
    pub fn lacking(&self, batch: &Batch, row: usize) -> impl Iterator<Item = usize> {
        let cells = self.feed.iter().zip(batch.row(row));
        let lacking = cells.filter_map(|(feed, cell)| {
            let (at, _) = feed.to.as_ref()?;
            (feed.keeps && cell == Cell::Absent).then_some(*at)
        });
        lacking.chain(self.unfed.iter().copied())
    }
}

/// Says once that a key is not the one that came: another one may be the same now.
#[cold]
fn warn_of_key(stream: &Stream, at: usize) {
    singer::warn!(
        "W-KEY-RESPELLED",
        "stream {}: U+0000 in the key {} becomes U+FFFD (`sanitize_null_text_characters`): keys \
         that differ only in this character are equal in the table, and only the last of their \
         rows stays",
        stream.name,
        stream.columns[at].name
    );
}

#[cold]
fn changed() -> Error {
    limits::refusal("the column would change the value").hint(
        "write the value in the form in which the column's type prints it, load it into a column \
         of type text, or set `max_rejects` to allow rejected records",
    )
}

/// Appends a cell of the envelope.
pub fn push_envelope(
    batch: &Batch,
    (row, cell): (usize, usize),
    kind: Option<Type>,
    line: &mut Line<'_>,
) -> bool {
    match batch.cell(row, batch.width() - Envelope::CELLS + cell) {
        Cell::Text(text) => return line.push(text, kind),
        Cell::Null | Cell::Absent => line.push_null(),
    }
    true
}
