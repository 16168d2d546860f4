//! The CSV reader beside one that reads a byte at a time: the same rows, or a failure on the same
//! line.

use proptest::prelude::*;
use singer::{ErrorKind, Result};

use super::Reader;
use crate::dialect::Dialect;
use crate::short_text::ShortText;
use testing::property::holds;

/// A row: its line, and its fields with whether they were quoted.
type Row = (u64, Vec<(Vec<u8>, bool)>);
/// The rows before the end or a failure, and the line of the failure.
type Outcome = (Vec<Row>, Option<u64>);

/// Reads in blocks of this size.
fn ours(text: &[u8], dialect: &Dialect, block: usize) -> Result<Outcome> {
    let mut reader = Reader::with_block_bytes(text, dialect, block);
    let mut rows = Vec::new();
    loop {
        match reader.record() {
            Ok(Some(record)) => {
                let fields = record.fields().map(|(text, quoted)| (text.to_vec(), quoted));
                rows.push((record.line(), fields.collect()));
            }
            Ok(None) => return Ok((rows, None)),
            Err(failure) if failure.kind() == ErrorKind::Data => {
                let line = failure.context("line").and_then(|line| line.parse().ok());
                return Ok((rows, Some(line.expect("a line"))));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// What RFC 4180 says, with every line end and, unless strict, quotes at odd places as text.
struct Plain<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
    dialect: &'a Dialect,
}

impl Plain<'_> {
    fn read(text: &[u8], dialect: &Dialect) -> Outcome {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut plain = Plain { text, at: 0, line: 1, dialect };
        let mut rows = Vec::new();
        loop {
            while text[plain.at..].starts_with(b"\xef\xbb\xbf") {
                plain.at += 3;
            }
            if plain.at == text.len() {
                break;
            }
            let begins = |comment: ShortText| text[plain.at..].starts_with(comment.as_bytes());
            if dialect.comment.is_some_and(begins) {
                let line = plain.line;
                while plain.line == line && plain.at < text.len() {
                    plain.next();
                }
                plain.line = line + 1;
                continue;
            }
            match plain.row() {
                Ok(row) => rows.push(row),
                Err(line) => return (rows, Some(line)),
            }
        }
        (rows, None)
    }

    fn row(&mut self) -> Result<Row, u64> {
        let (start, line) = (self.at, self.line);
        let mut fields = Vec::new();
        loop {
            fields.push(if self.peek() == Some(b'"') { self.quoted()? } else { self.bare()? });
            let delimiter = self.dialect.delimiter.as_bytes();
            if !self.text[self.at..].starts_with(delimiter) {
                break;
            }
            self.at += delimiter.len();
        }
        let raw = &self.text[start..self.at];
        let nul = raw.iter().position(|byte| *byte == 0).filter(|_| !self.dialect.nul_allowed);
        let odd = std::str::from_utf8(raw).err().map(|cause| cause.valid_up_to());
        if let Some(at) = nul.or(odd) {
            return Err(line + line_ends(&raw[..at]));
        }
        if self.peek().is_some() {
            self.next();
        }
        Ok((line, fields))
    }

    fn quoted(&mut self) -> Result<(Vec<u8>, bool), u64> {
        let (open, from) = (self.line, self.at);
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                None => return Err(open),
                Some(b'"') if self.text.get(self.at + 1) == Some(&b'"') => {
                    text.push(b'"');
                    self.at += 2;
                }
                Some(b'"') => break,
                Some(_) => text.extend_from_slice(self.next()),
            }
        }
        self.at += 1;
        if !self.field_ends() {
            if self.dialect.strict {
                return Err(self.line);
            }
            let spans_lines = text.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
            let behind = self.bare()?.0;
            if behind.iter().any(|byte| *byte != b' ') {
                let as_it_stands = self.text[from..self.at].to_vec();
                return if spans_lines { Err(open) } else { Ok((as_it_stands, true)) };
            }
        }
        Ok((text, true))
    }

    /// Reads up to the end of the field.
    fn bare(&mut self) -> Result<(Vec<u8>, bool), u64> {
        let from = self.at;
        while !self.field_ends() {
            if self.dialect.strict && self.peek() == Some(b'"') {
                return Err(self.line);
            }
            self.at += 1;
        }
        Ok((self.text[from..self.at].to_vec(), false))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn field_ends(&self) -> bool {
        let delimiter = self.dialect.delimiter.as_bytes();
        matches!(self.peek(), None | Some(b'\n' | b'\r'))
            || self.text[self.at..].starts_with(delimiter)
    }

    /// Takes a byte, or the two of a CRLF, and counts lines.
    fn next(&mut self) -> &[u8] {
        let rest = &self.text[self.at..];
        let length = if rest.starts_with(b"\r\n") { 2 } else { 1 };
        self.line += u64::from(matches!(rest[0], b'\r' | b'\n'));
        self.at += length;
        &rest[..length]
    }
}

fn line_ends(text: &[u8]) -> u64 {
    let mut plain = Plain { text, at: 0, line: 0, dialect: &Dialect::default() };
    while plain.at < text.len() {
        plain.next();
    }
    plain.line
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let short = |text: &str| ShortText::read("", text).unwrap();
    let delimiters = [",", ",", ",,", "a,", "a,a", "é", ",b"].map(short).to_vec();
    let comments = [None, None, Some(short("b")), Some(short("b\\")), Some(short("ba "))].to_vec();
    let texts = (prop::sample::select(delimiters), prop::sample::select(comments));
    (any::<bool>(), any::<bool>(), texts).prop_map(|(strict, nul_allowed, texts)| {
        let (delimiter, comment) = texts;
        Dialect { delimiter, strict, comment, nul_allowed, ..Dialect::default() }
    })
}

fn agree(text: &[u8], dialect: &Dialect, block: usize) -> Result<(), TestCaseError> {
    let expected = Plain::read(text, dialect);
    for block in [block, 1 << 16] {
        let found = ours(text, dialect, block);
        prop_assert!(found.is_ok(), "{found:?}");
        prop_assert_eq!(found.unwrap(), expected.clone(), "blocks of {}", block);
    }
    Ok(())
}

#[test]
fn any_bytes_are_the_rows_that_a_plain_reader_finds() {
    let bytes = prop::sample::select(b",,\"\"\"\n\r\nab\\ \0\xc3\xa9\xff\xef\xbb\xbf".to_vec());
    let values = (prop::collection::vec(bytes, 0..40), dialects(), 1_usize..24);
    holds("texts of CSV", 4000, values, |(text, dialect, block)| agree(&text, &dialect, block));
}

/// A change of one place of a file.
#[derive(Clone, Debug)]
enum Damage {
    Put(u8),
    Insert(u8),
    Remove(usize),
    Repeat(usize),
    Cut,
}

fn damages() -> impl Strategy<Value = Damage> {
    let odd = prop::sample::select(b"\",\n\r\0\xff'\\;x".to_vec());
    prop_oneof![
        odd.clone().prop_map(Damage::Put),
        odd.prop_map(Damage::Insert),
        (1_usize..30).prop_map(Damage::Remove),
        (1_usize..30).prop_map(Damage::Repeat),
        Just(Damage::Cut),
    ]
}

fn damage(text: &mut Vec<u8>, at: usize, how: &Damage) {
    let upto = |length: usize| (at + length).min(text.len());
    match how {
        Damage::Put(byte) => text[at] = *byte,
        Damage::Insert(byte) => text.insert(at, *byte),
        Damage::Remove(length) => drop(text.drain(at..upto(*length))),
        Damage::Repeat(length) => {
            let again = text[at..upto(*length)].to_vec();
            text.splice(at..at, again);
        }
        Damage::Cut => text.truncate(at),
    }
}

#[test]
fn damaged_files_are_read_as_they_stand_or_refused_on_their_line() {
    let cell = prop_oneof![
        "[a-z0-9 .-]{0,20}",
        "[a,\"\n\ré€🎉]{0,12}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\""))),
    ];
    let rows = (1_usize..6)
        .prop_flat_map(move |width| prop::collection::vec(vec![cell.clone(); width], 1..12));
    let places = prop::collection::vec((any::<prop::sample::Index>(), damages()), 0..4);
    let values = (rows, any::<bool>(), places, dialects(), 1_usize..200);
    holds("damaged files of CSV", 2000, values, |(rows, crlf, places, dialect, block)| {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let text: String = rows.iter().map(|row| row.join(",") + line_end).collect();
        let mut text = text.into_bytes();
        for (at, how) in places {
            if !text.is_empty() {
                let at = at.index(text.len());
                damage(&mut text, at, &how);
            }
        }
        agree(&text, &dialect, block)
    });
}
