//! Rows to lines of COPY text: the fields that come from the columns of the stream.

use pg::copy_text;
use singer::Envelope;
use singer::{Batch, Cell, Error, ErrorKind, Rejects, Result, Stream};

use crate::encode::{Encoder, Scratch};
use crate::kept::How;
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
}

/// Lines of COPY text, and the lines of the input that they come from.
#[derive(Clone, Default)]
pub struct Lines {
    /// The text.
    pub text: Vec<u8>,
    /// A number for each line; 0 where it is not known.
    pub numbers: Vec<u64>,
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
        Self { feed, unfed, ..Self::default() }
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

    /// Appends the text of a key and a tab: of an array as SQL has it, for one of JSON is written
    /// in many ways. Where U+0000 in it is replaced, its spelling is not known.
    pub fn push_spelling(&self, at: usize, cell: Cell<'_>, out: &mut Vec<u8>) {
        let encoder = self.feed[at].to.as_ref().map(|to| &to.1);
        match cell {
            Cell::Text(text) if memchr::memchr(0, text).is_none() => match encoder {
                // The field of the row was written, so this one is, too.
                Some(array) if array.is_array() => {
                    let _ = array.text(text, &mut Scratch::default(), out);
                }
                _ => copy_text::escape(text, out),
            },
            _ => out.extend_from_slice(copy_text::NULL),
        }
        out.push(b'\t');
    }

    /// Returns the columns of the table in the order of the fields.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.feed.iter().filter_map(|feed| feed.to.as_ref().map(|to| to.0))
    }

    /// Fills `lines` with the rows of a batch; `tail` appends what comes behind the fields of each.
    pub fn write(
        &mut self,
        Incoming { stream, batch, rejects }: Incoming<'_>,
        lines: &mut Lines,
        mut tail: impl FnMut(&Self, usize, &mut Vec<u8>),
    ) -> Result<()> {
        if batch.width() != self.feed.len() + Envelope::CELLS {
            return Err(Error::new(ErrorKind::Internal, "cannot write rows of another width")
                .with("stream", &stream.name));
        }
        lines.text.clear();
        lines.numbers.clear();
        for row in 0..batch.rows() {
            let start = lines.text.len();
            let written = match self.changed.iter().find(|cell| cell.0 == row) {
                None => self.row(stream, batch, row, &mut lines.text),
                Some(cell) => Err((cell.1, changed())),
            };
            if let Err((at, failure)) = written {
                lines.text.truncate(start);
                let failure = failure.with("column", &stream.columns[at].name);
                rejects.row(stream, batch, row, failure)?;
                continue;
            }
            tail(self, row, &mut lines.text);
            if lines.text.len() > start {
                lines.text.pop();
            }
            lines.text.push(b'\n');
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
         that differ in that alone are one in the table, and the last of their rows stays",
        stream.name,
        stream.columns[at].name
    );
}

#[cold]
fn changed() -> Error {
    limits::refusal("the column would not keep the value as it came").hint(
        "write the value as the column's type prints it, load it into a column of type text, or \
         set `max_rejects` to set such records aside",
    )
}

/// Appends a cell of the envelope and a tab.
pub fn push_envelope(batch: &Batch, row: usize, cell: usize, out: &mut Vec<u8>) {
    match batch.cell(row, batch.width() - Envelope::CELLS + cell) {
        Cell::Text(text) => copy_text::escape(text, out),
        Cell::Null | Cell::Absent => out.extend_from_slice(copy_text::NULL),
    }
    out.push(b'\t');
}

/// Appends the digits of a number.
pub fn push_number(mut number: u64, out: &mut Vec<u8>) {
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
