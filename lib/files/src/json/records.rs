//! Reads the records of a JSON document one after the other, without the document in memory.

mod numbered;
mod parts;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, Read};

use memchr::{memchr, memchr_iter};
use serde_json::Value;
use singer::scan::{Fault, Scanner};
use singer::{Error, ErrorKind, Result};

use super::extent::Extent;
use super::path::{RecordsPath, Step};
use parts::{is_key, put};

const BLOCK_BYTES: usize = 64 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A reader of the records of one document, or of a document on each line.
///
/// Memory is one block, or the longest record where that is longer, and the document around the
/// records. Failures are `Data` and carry `line` (1-based) and `byte` (0-based).
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Records<R> {
    input: R,
    steps: Vec<Step>,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the next byte stands in the buffer, and where the bytes read end.
    at: usize,
    end: usize,
    ended: bool,
    /// The offset of the buffer's first byte in the input.
    base: u64,
    /// The line at `counted`, an offset into the buffer.
    line: u64,
    counted: usize,
    frames: Vec<Frame>,
    stage: Stage,
    lines: bool,
    found: bool,
    /// The document without its records.
    envelope: Vec<u8>,
    /// The key of the value at hand with its colon; empty in arrays.
    key: Vec<u8>,
    /// The last record of the innermost container that has one, with its key.
    held: Vec<u8>,
    /// Records in the buffer that are still to be given: members of a numbered object.
    members: VecDeque<Span>,
    loses_keys: bool,
    /// How many elements or members the path has gone on in first.
    outer: u64,
    /// The record at hand is the value at the end of the path itself.
    alone: bool,
}

/// One record; borrowed until the next.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The bytes of the value; JSON but for documents on lines, which are not looked at.
    pub text: &'a [u8],
    /// Its name with quotes and a colon, if it is a member of an object of records; else nothing.
    pub key: &'a [u8],
    /// The 1-based line on which the record starts.
    pub line: u64,
    /// The 0-based offset of its first byte.
    pub byte: u64,
    /// It is the value at the end of the path itself, not an element or member of it, and the path
    /// has one end alone.
    pub alone: bool,
}

/// A container that holds records somewhere below.
#[derive(Debug)]
struct Frame {
    close: u8,
    /// The step its elements are at.
    step: usize,
    /// Which of its elements the path goes on with; `None`: all.
    only: Option<Step>,
    position: u64,
    /// Its elements are records, whatever they are.
    records: bool,
    /// Its last record is held back from the envelope.
    holds: bool,
}

/// Where a value lies in the buffer.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Inside,
    End,
}

impl<R: Read> Records<R> {
    /// Reads the records of one document; a record, key or other value may have `bytes_max` bytes.
    pub fn new(input: R, path: &RecordsPath, bytes_max: usize) -> Self {
        Self {
            input,
            steps: path.steps.clone(),
            bytes_max,
            buffer: Vec::new(),
            at: 0,
            end: 0,
            ended: false,
            base: 0,
            line: 1,
            counted: 0,
            frames: Vec::new(),
            stage: Stage::Start,
            lines: false,
            found: false,
            envelope: Vec::new(),
            key: Vec::new(),
            held: Vec::new(),
            members: VecDeque::new(),
            loses_keys: false,
            outer: 0,
            alone: false,
        }
    }

    /// Takes every line that is not blank for a record.
    pub fn lines(input: R, bytes_max: usize) -> Self {
        Self { lines: true, ..Self::new(input, &RecordsPath::default(), bytes_max) }
    }

    /// Tells whether the document has the place that the path names, be it empty.
    pub fn found(&self) -> bool {
        self.found
    }

    /// Tells whether records were members of an object whose keys nothing of them has.
    pub fn loses_keys(&self) -> bool {
        self.loses_keys
    }

    /// Returns how many elements or members of the first list that the path goes on in were read.
    pub fn outer(&self) -> u64 {
        self.outer
    }

    /// Returns the document without its records, once all are read: an array of records has kept
    /// its last element.
    pub fn envelope(self) -> Result<Value> {
        serde_json::from_slice(&self.envelope).map_err(|cause| {
            Error::new(ErrorKind::Data, "cannot read the JSON around the records").caused_by(cause)
        })
    }

    /// Reads the next record; `None` behind the last one, where the document has ended well.
    #[expect(clippy::should_implement_trait, reason = "what it returns borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        if self.stage == Stage::Start {
            while self.end < BYTE_ORDER_MARK.len() && !self.ended {
                self.read_block()?;
            }
            if self.buffer[..self.end].starts_with(BYTE_ORDER_MARK) {
                self.at = BYTE_ORDER_MARK.len();
            }
        }
        let found = if self.lines { self.next_line()? } else { self.next_of_document()? };
        let Some(Span { start, length }) = found else { return Ok(None) };
        let line = self.line_at(start);
        let byte = self.base + start as u64;
        let alone = self.alone;
        let is_member = self.frames.last().is_some_and(|it| it.records && it.close == b'}');
        let (key, text) = (&self.key[..], &self.buffer[start..start + length]);
        let key = if is_member { key } else { &[] };
        Ok(Some(Record { text, key, line, byte, alone }))
    }

    fn next_line(&mut self) -> Result<Option<Span>> {
        self.stage = Stage::Inside;
        self.found = true;
        loop {
            let mut searched = 0;
            let end = loop {
                match memchr(b'\n', &self.buffer[self.at + searched..self.end]) {
                    Some(found) => break self.at + searched + found,
                    None if self.ended => break self.end,
                    None => searched = self.end - self.at,
                }
                self.check_length(searched)?;
                self.read_block()?;
            };
            let line = &self.buffer[self.at..end];
            let leading = line.len() - line.trim_ascii_start().len();
            let span = Span { start: self.at + leading, length: line.trim_ascii().len() };
            let last = end == self.end;
            self.at = if last { end } else { end + 1 };
            if span.length > 0 {
                self.check_length(span.length)?;
                self.check_utf8(span)?;
                return Ok(Some(span));
            }
            if last {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next record; returns where it lies in the buffer.
    fn next_of_document(&mut self) -> Result<Option<Span>> {
        if let Some(member) = self.members.pop_front() {
            return Ok(Some(member));
        }
        if self.stage == Stage::Start {
            self.stage = Stage::Inside;
            if self.skip_space()?.is_none() {
                return Err(self.fault(self.at, "the document is empty"));
            }
            if let Some(record) = self.enter(0, false)? {
                return Ok(Some(record));
            }
        }
        while let Some(frame) = self.frames.last() {
            let (step, records) = (frame.step, frame.records);
            let record = match self.element()? {
                Some(true) => self.enter(step, records)?,
                Some(false) => {
                    self.keep()?;
                    None
                }
                None => None,
            };
            if record.is_some() {
                return Ok(record);
            }
        }
        if self.stage == Stage::Inside {
            if self.skip_space()?.is_some() {
                return Err(self.fault(self.at, "text after the document"));
            }
            self.stage = Stage::End;
        }
        Ok(None)
    }

    /// Goes to the next element of the innermost container and tells whether the path goes on
    /// there; `None` when the container has ended instead.
    fn element(&mut self) -> Result<Option<bool>> {
        let mut byte = self.some_byte()?;
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        let (is_object, position) = (frame.close == b'}', frame.position);
        frame.position += 1;
        if byte == frame.close {
            self.at += 1;
            // A list without elements has no records, whatever the path goes on with.
            self.found |= frame.only.is_none() && position == 0;
            self.release();
            self.envelope.push(byte);
            self.frames.pop();
            return Ok(None);
        }
        if position > 0 {
            if byte != b',' {
                return Err(self.fault(self.at, "expected a comma or a bracket"));
            }
            self.at += 1;
            byte = self.some_byte()?;
        }
        self.key.clear();
        if is_object {
            self.read_key(byte)?;
        }
        let first = self.frames.iter().position(|frame| frame.only.is_none());
        self.outer += u64::from(first.is_some_and(|first| first + 1 == self.frames.len()));
        let only = self.frames.last().and_then(|frame| frame.only.as_ref());
        Ok(Some(match only {
            Some(Step::Name(name)) => is_key(&self.key, name),
            Some(Step::Index(index)) => position == *index,
            None | Some(Step::Elements | Step::Members) => true,
        }))
    }

    /// Reads a key with its colon, and the space behind it.
    fn read_key(&mut self, byte: u8) -> Result<()> {
        if byte != b'"' {
            return Err(self.fault(self.at, "expected a key in quotes"));
        }
        let Span { start, length } = self.value()?;
        self.key.extend_from_slice(&self.buffer[start..start + length]);
        if self.some_byte()? != b':' {
            return Err(self.fault(self.at, "expected a colon"));
        }
        self.key.push(b':');
        self.at += 1;
        self.some_byte().map(|_| ())
    }

    /// Enters the value at hand, to which the path has come with this step. Returns it when it is
    /// a record.
    fn enter(&mut self, mut step: usize, record: bool) -> Result<Option<Span>> {
        let byte = self.buffer[self.at];
        while self.steps.get(step) == Some(&Step::Elements) && byte != b'[' {
            step += 1;
        }
        match (self.steps.get(step).cloned(), byte) {
            (None, b'[') if !record => self.open(step, None, true),
            (None, _) => {
                let span = self.record(record)?;
                let elements = self.steps.last() == Some(&Step::Elements);
                // Behind `[*]` or `.*` each of them has a record there.
                let is_one_of_many = self.frames.iter().any(|frame| frame.only.is_none());
                self.alone = !record && !is_one_of_many;
                return Ok(match span {
                    Some(span) if !record && elements && byte == b'{' => self.numbered(span),
                    span => span,
                });
            }
            (Some(Step::Elements), b'[') | (Some(Step::Members), b'{' | b'[') => {
                self.open(step + 1, None, step + 1 == self.steps.len());
            }
            (only @ Some(Step::Name(_)), b'{') | (only @ Some(Step::Index(_)), b'[') => {
                self.open(step + 1, only, false);
            }
            _ => self.keep()?,
        }
        Ok(None)
    }

    fn open(&mut self, step: usize, only: Option<Step>, records: bool) {
        let open = self.buffer[self.at];
        self.at += 1;
        self.release();
        put(&mut self.envelope, &self.key, &[open]);
        self.found |= records;
        let close = if open == b'{' { b'}' } else { b']' };
        self.frames.push(Frame { close, step, only, position: 0, records, holds: false });
    }

    /// Reads a record, and holds it back from the envelope until there is another one.
    fn record(&mut self, element: bool) -> Result<Option<Span>> {
        self.found = true;
        let span = self.value()?;
        let text = &self.buffer[span.start..span.start + span.length];
        self.held.clear();
        self.held.extend_from_slice(&self.key);
        self.held.extend_from_slice(text);
        // `"data": null` says that there are no records.
        let none = !element && text == b"null";
        match self.frames.last_mut() {
            Some(frame) => frame.holds = true,
            None => self.envelope.extend_from_slice(&self.held),
        }
        Ok((!none).then_some(span))
    }

    /// Takes an object in the place of a list for the list, if its keys are numbers and its members
    /// objects: so some languages write a list with gaps, and an empty one. Returns the first
    /// record.
    fn numbered(&mut self, span: Span) -> Option<Span> {
        let text = &self.buffer[span.start..span.start + span.length];
        let Some(list) = numbered::read(text) else { return Some(span) };
        (self.alone, self.loses_keys) = (false, self.loses_keys || list.loses_keys);
        let place = |(start, length)| Span { start: span.start + start, length };
        self.members = list.members.into_iter().map(place).collect();
        self.members.pop_front()
    }

    /// Reads a value that is no record into the envelope.
    fn keep(&mut self) -> Result<()> {
        let Span { start, length } = self.value()?;
        put(&mut self.envelope, &self.key, &self.buffer[start..start + length]);
        self.check_length(self.envelope.len())
    }

    /// Puts the record that the innermost container holds into the envelope.
    fn release(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && frame.holds
        {
            frame.holds = false;
            put(&mut self.envelope, &[], &self.held);
        }
    }

    /// Reads the value at hand, whole and checked.
    fn value(&mut self) -> Result<Span> {
        let mut extent = Extent::default();
        let mut looked = 0;
        let length = loop {
            if let Some(end) = extent.find(&self.buffer[self.at + looked..self.end]) {
                break looked + end;
            }
            looked = self.end - self.at;
            if self.ended && extent.may_end() {
                break looked;
            }
            if self.ended {
                return Err(self.fault(self.end, "the document ends too early"));
            }
            self.check_length(looked)?;
            self.read_block()?;
        };
        self.check_length(length)?;
        let span = Span { start: self.at, length };
        self.check_utf8(span)?;
        let mut scanner = Scanner::new(&self.buffer[span.start..span.start + length]);
        if let Err(Fault { at, what }) = scanner.value().and_then(|_| scanner.end()) {
            return Err(self.fault(span.start + at, what));
        }
        self.at += length;
        Ok(span)
    }

    /// Skips white space and returns the next byte, which must be there, without taking it.
    fn some_byte(&mut self) -> Result<u8> {
        match self.skip_space()? {
            Some(byte) => Ok(byte),
            None => Err(self.fault(self.at, "the document ends too early")),
        }
    }

    fn skip_space(&mut self) -> Result<Option<u8>> {
        loop {
            while let Some(&byte) = self.buffer[..self.end].get(self.at) {
                if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                    return Ok(Some(byte));
                }
                self.at += 1;
            }
            if self.ended {
                return Ok(None);
            }
            self.read_block()?;
        }
    }

    /// Reads more, and forgets what lies before the next byte.
    fn read_block(&mut self) -> Result<()> {
        self.line_at(self.at);
        self.buffer.copy_within(self.at..self.end, 0);
        self.base += self.at as u64;
        self.end -= self.at;
        (self.at, self.counted) = (0, 0);
        self.buffer.resize((self.end + BLOCK_BYTES).max(self.buffer.len()), 0);
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(bytes) => {
                    self.end += bytes;
                    self.ended = bytes == 0;
                    return Ok(());
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(crate::failure::read_failure(cause)),
            }
        }
    }

    /// Returns the line of an offset into the buffer that is not before the last one asked for.
    fn line_at(&mut self, at: usize) -> u64 {
        if at > self.counted {
            self.line += memchr_iter(b'\n', &self.buffer[self.counted..at]).count() as u64;
            self.counted = at;
        }
        self.line
    }

    fn check_length(&self, bytes: usize) -> Result<()> {
        if bytes <= self.bytes_max {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Data, "a record is larger than the limit")
            .with("line", self.line)
            .with("limit in bytes", self.bytes_max)
            .hint("raise `max_record_bytes` on both sides of the pipe"))
    }

    fn check_utf8(&mut self, Span { start, length }: Span) -> Result<()> {
        match std::str::from_utf8(&self.buffer[start..start + length]) {
            Ok(_) => Ok(()),
            Err(cause) => Err(self.fault(start + cause.valid_up_to(), "the bytes are not UTF-8")),
        }
    }

    #[cold]
    fn fault(&mut self, at: usize, what: &str) -> Error {
        Error::new(ErrorKind::Data, "the text is not JSON")
            .with("line", self.line_at(at))
            .with("byte", self.base + at as u64)
            .with("reason", what)
    }
}
