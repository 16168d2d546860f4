//! Reads CSV records out of big blocks, keeping what tells NULL from an empty string.

#[cfg(test)]
mod fuzz;
mod parse;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};
use singer::{Error, ErrorKind, Result};

use crate::dialect::Dialect;
use parse::{Fault, Field, Parser, Stop};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of CSV records. The input must be UTF-8: see [`crate::TextEncoding`] for others.
///
/// Memory is one block, or the longest record where that is longer. Nothing is allocated per
/// record. Failures carry `line` (1-based) and `byte` (0-based, of the decoded text).
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    parser: Parser,
    buffer: Vec<u8>,
    /// Where the next record starts in the buffer, and where the bytes read end.
    start: usize,
    end: usize,
    ended: bool,
    opened: bool,
    line: u64,
    /// The offset of the buffer's first byte in the input.
    base: u64,
    block_bytes: usize,
    marks: Lines,
    odd_quotes: Lines,
    /// The first byte of a comment; that of a mark where there are no comments.
    comment_first: u8,
}

/// Lines of which something was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// How many there are.
    pub count: u64,
    /// The first one, 1-based; 0 when there is none.
    pub first: u64,
}

impl Lines {
    /// Adds a line behind those so far.
    pub(crate) fn add(&mut self, line: u64) {
        self.count += 1;
        if self.first == 0 {
            self.first = line;
        }
    }
}

/// One record; borrowed until the next.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    raw: &'a [u8],
    scratch: &'a [u8],
    fields: &'a [Field],
    escaped: &'a [(usize, Range<usize>)],
    line: u64,
    offset: u64,
}

impl<'a> Record<'a> {
    /// Returns how many fields there are; never none.
    #[inline]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Tells whether there are no fields, which is never so.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Tells whether the line was empty: one unquoted field without text.
    #[inline]
    pub fn is_blank(&self) -> bool {
        self.raw.is_empty()
    }

    /// Returns the text of a field without its quotes.
    #[inline]
    pub fn text(&self, field: usize) -> Option<&'a [u8]> {
        self.fields.get(field).map(|field| field.text(self.raw, self.scratch))
    }

    /// Returns the text of a field and whether it was quoted.
    #[inline]
    pub fn field(&self, field: usize) -> Option<(&'a [u8], bool)> {
        let found = self.fields.get(field)?;
        Some((found.text(self.raw, self.scratch), found.quoted()))
    }

    /// Returns the fields: their text, and whether they were quoted.
    #[inline]
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'a [u8], bool)> + use<'a> {
        let (raw, scratch) = (self.raw, self.scratch);
        self.fields.iter().map(move |field| (field.text(raw, scratch), field.quoted()))
    }

    /// Returns an unquoted field as it stands in the file, if escapes were removed from its text.
    #[inline]
    pub fn escaped(&self, field: usize) -> Option<&'a [u8]> {
        let (_, place) = self.escaped.iter().find(|(at, _)| *at == field)?;
        Some(&self.raw[place.clone()])
    }

    /// Returns where the fields lie in [`Record::raw`], and whether they were quoted; `None` when
    /// not all do, as there were escapes or doubled quotes.
    #[inline]
    pub fn places(&self) -> Option<impl ExactSizeIterator<Item = (Range<usize>, bool)> + use<'a>> {
        let all = self.scratch.is_empty();
        all.then(|| self.fields.iter().map(|field| (field.place(), field.quoted())))
    }

    /// Returns the bytes of the record as they stand in the file, without the line end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Returns the 1-based line on which the record starts.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns the offset of the record's first byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl<R: Read> Reader<R> {
    /// How much is read at once.
    pub const BLOCK_BYTES: usize = 256 << 10;

    /// Makes a reader with a block of [`Reader::BLOCK_BYTES`].
    pub fn new(input: R, dialect: &Dialect) -> Self {
        Self::with_block_bytes(input, dialect, Self::BLOCK_BYTES)
    }

    /// Makes a reader that reads at most so many bytes at once, until a record needs more.
    pub fn with_block_bytes(input: R, dialect: &Dialect, block_bytes: usize) -> Self {
        Self {
            input,
            parser: Parser::new(dialect),
            buffer: Vec::new(),
            start: 0,
            end: 0,
            ended: false,
            opened: false,
            line: 1,
            base: 0,
            block_bytes: block_bytes.max(1),
            marks: Lines::default(),
            odd_quotes: Lines::default(),
            comment_first: dialect.comment.map_or(MARK[0], |comment| comment.first()),
        }
    }

    /// Skips physical lines, whatever their quotes; returns how many there were.
    pub fn skip_lines(&mut self, lines: u64) -> Result<u64> {
        self.open()?;
        for skipped in 0..lines {
            if !self.skip_line()? {
                return Ok(skipped);
            }
            self.line += 1;
        }
        Ok(lines)
    }

    /// Reads the next record; `None` at the end.
    ///
    /// Fails with `Data` for bytes that are no record of this dialect, and with what the input
    /// fails with.
    #[inline]
    pub fn record(&mut self) -> Result<Option<Record<'_>>> {
        if !self.opened {
            self.open()?;
        }
        let (raw_bytes, bytes, line_ends) = loop {
            if self.start == self.end {
                if self.ended || !self.fill()? {
                    return Ok(None);
                }
                continue;
            }
            let first = self.buffer[self.start];
            let is_passed = first == MARK[0] && self.pass_mark()?
                || first == self.comment_first && self.pass_comment()?;
            // What follows it is a record, or nothing.
            if !is_passed {
                match self.parser.parse(&self.buffer[self.start..self.end], self.ended) {
                    Ok(parsed) => break parsed,
                    Err(stop) => self.stopped(stop)?,
                }
            }
        };
        let (at, line) = (self.start, self.line);
        self.start += bytes;
        self.line += 1 + line_ends;
        if self.parser.odd_quotes {
            self.odd_quotes.add(line);
        }
        let raw = &self.buffer[at..at + raw_bytes];
        let offset = self.base + at as u64;
        self.check(raw, line, offset)?;
        let (fields, scratch) = (&self.parser.fields[..], &self.parser.scratch[..]);
        let escaped = &self.parser.escaped[..];
        Ok(Some(Record { raw, scratch, fields, escaped, line, offset }))
    }

    /// Returns the lines that began with a byte order mark which was skipped, other than that
    /// at the start of the input.
    pub fn marks(&self) -> Lines {
        self.marks
    }

    /// Returns the lines with a quoted field that has text behind its closing quote: such a field
    /// is as it stands in the file, with all of its quotes.
    pub fn odd_quotes(&self) -> Lines {
        self.odd_quotes
    }

    /// Passes over a byte order mark at the start of a record: files that were put together have
    /// them. Tells whether there was one.
    #[cold]
    fn pass_mark(&mut self) -> Result<bool> {
        if self.parser.dialect.marks_allowed {
            return Ok(false);
        }
        while self.end - self.start < MARK.len() && !self.ended {
            self.fill()?;
        }
        let is_mark = self.buffer[self.start..self.end].starts_with(MARK);
        if is_mark {
            self.start += MARK.len();
            self.marks.add(self.line);
        }
        Ok(is_mark)
    }

    /// Passes over a line that is a comment, whatever its quotes and bytes. Tells whether it is
    /// one.
    #[cold]
    fn pass_comment(&mut self) -> Result<bool> {
        let Some(comment) = self.parser.dialect.comment else { return Ok(false) };
        while self.end - self.start < comment.as_bytes().len() && !self.ended {
            self.fill()?;
        }
        let is_comment = self.buffer[self.start..self.end].starts_with(comment.as_bytes());
        if is_comment {
            self.skip_line()?;
            self.line += 1;
        }
        Ok(is_comment)
    }

    /// Reads more, or says what is wrong.
    #[cold]
    fn stopped(&mut self, stop: Stop) -> Result<()> {
        let (fault, at) = match stop {
            Stop::More { quote } => {
                if self.end - self.start < self.parser.dialect.record_bytes_max {
                    self.fill()?;
                    return Ok(());
                }
                (Fault::TooLong, quote.unwrap_or(0))
            }
            Stop::Fault(fault, at) => (fault, at),
        };
        let before = &self.buffer[self.start..self.start + at];
        let failure = Error::new(ErrorKind::Data, fault.message())
            .with("line", self.line + count_line_ends(before))
            .with("byte", self.base + (self.start + at) as u64);
        Err(match fault {
            Fault::TooLong => failure
                .with("bytes_max", self.parser.dialect.record_bytes_max)
                .hint("a quote may be missing; else raise `max_record_bytes`"),
            Fault::OpenQuote => failure.hint("the line is that of the opening quote"),
            Fault::OverLines => failure.hint(
                "the line is that of the opening quote; text follows the closing quote of the \
                 field, so a quote is missing or too many: correct it, or set `quotechar` to an \
                 empty text if quotes are ordinary text",
            ),
            Fault::AfterQuote | Fault::InsideText => {
                failure.hint("set `strict` to false to read such quotes as text")
            }
        })
    }

    #[inline]
    fn check(&self, raw: &[u8], line: u64, offset: u64) -> Result<()> {
        if !self.parser.dialect.nul_allowed
            && let Some(at) = memchr(0, raw)
        {
            return Err(Error::new(ErrorKind::Data, "cannot read a NUL byte as text")
                .with("line", line + count_line_ends(&raw[..at]))
                .with("byte", offset + at as u64)
                .hint("if the file is UTF-16, set `encoding`"));
        }
        match std::str::from_utf8(raw) {
            Ok(_) => Ok(()),
            Err(cause) => Err(bad_utf8(cause.valid_up_to(), raw, line, offset)),
        }
    }

    /// Reads the first block and skips a byte order mark.
    #[cold]
    fn open(&mut self) -> Result<()> {
        if self.opened {
            return Ok(());
        }
        while self.end < 3 && !self.ended {
            self.fill()?;
        }
        if self.buffer[..self.end].starts_with(MARK) {
            self.start = MARK.len();
        }
        self.opened = true;
        Ok(())
    }

    /// Passes over one line; tells whether there was one.
    fn skip_line(&mut self) -> Result<bool> {
        let mut any = false;
        loop {
            let text = &self.buffer[self.start..self.end];
            any |= !text.is_empty();
            let found = memchr2(b'\n', b'\r', text);
            let Some(at) = found else {
                self.start = self.end;
                if self.ended || !self.fill()? {
                    return Ok(any);
                }
                continue;
            };
            match (text[at], text.get(at + 1)) {
                (b'\r', Some(b'\n')) => self.start += at + 2,
                (b'\r', None) if !self.ended => {
                    self.start += at;
                    self.fill()?;
                    continue;
                }
                _ => self.start += at + 1,
            }
            return Ok(true);
        }
    }

    /// Moves what is left to the front, makes room and reads; tells whether bytes came.
    fn fill(&mut self) -> Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end * 2 >= self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).max(self.block_bytes), 0);
        }
        let before = self.end;
        // A whole block, as inputs that decode hand out little at a time.
        while self.end < self.buffer.len() && !self.ended {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(bytes) => self.end += bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(crate::failure::read_failure(cause)),
            }
        }
        Ok(self.end > before)
    }
}

#[cold]
fn bad_utf8(at: usize, raw: &[u8], line: u64, offset: u64) -> Error {
    let line = line + count_line_ends(&raw[..at]);
    let at = offset + at as u64;
    let hint = if at == 0 && (raw.starts_with(b"\xff\xfe") || raw.starts_with(b"\xfe\xff")) {
        "the file looks like UTF-16: set `encoding` to utf-16"
    } else {
        "set `encoding` to the encoding of the file, such as cp1252 or latin-1"
    };
    Error::new(ErrorKind::Data, "cannot read the text as UTF-8")
        .with("line", line)
        .with("byte", at)
        .hint(hint)
}

/// Counts line ends: LF, CRLF as one, lone CR.
fn count_line_ends(text: &[u8]) -> u64 {
    let returns = memchr_iter(b'\r', text).filter(|at| text.get(at + 1) != Some(&b'\n')).count();
    (memchr_iter(b'\n', text).count() + returns) as u64
}
