//! Singer lines into messages; records straight into the batch of their stream.

use serde_json::{Map, Value};

use crate::batch::{Batch, Cell, Envelope};
use crate::canonical::is_canonical;
use crate::catalog::Stream;
use crate::error::Result;
use crate::kinds::{self, Kinds};
use crate::log::of_stream;
use crate::quote::string_into;
use crate::refusal::Refusal;
use crate::scan::{Fault, Quoted, Scanner, Token};
use crate::schema::{DELETED_AT, Kind};
use crate::validate::{Checks, Compiler};

/// A line, its parts unread.
#[derive(Debug, Default)]
pub struct Line<'a> {
    /// `type`, as it stands.
    pub kind: Option<Quoted<'a>>,
    /// `stream`
    pub stream: Option<Quoted<'a>>,
    /// `record`, the text of any value.
    pub record: Option<&'a [u8]>,
    /// `schema`, the text of any value.
    pub schema: Option<&'a [u8]>,
    /// `key_properties`, the text of any value.
    pub key_properties: Option<&'a [u8]>,
    /// `bookmark_properties` of a SCHEMA, the text of any value.
    pub bookmark_properties: Option<&'a [u8]>,
    /// `source_stream` of a SCHEMA, the text of any value.
    pub source_stream: Option<&'a [u8]>,
    /// `resumed_from` of a SCHEMA, the text of any value.
    pub coverage: Option<&'a [u8]>,
    /// `read_from` of a SCHEMA, the text of any value.
    pub read_from: Option<&'a [u8]>,
    /// `syncing_run` of a SCHEMA, the text of any value.
    pub syncing_run: Option<&'a [u8]>,
    /// `value` of a STATE, the text of any value.
    pub value: Option<&'a [u8]>,
    /// `version`
    pub version: Option<Token<'a>>,
    /// `time_extracted`
    pub time_extracted: Option<Token<'a>>,
}

/// Which of the two is meant? A reader that takes the first one would read another message.
const TWICE: &str = "a member of the message is there twice";

impl<'a> Line<'a> {
    /// Splits a line into its parts.
    pub fn read(text: &'a [u8]) -> Result<Self, Fault> {
        let mut line = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.space();
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let key = scanner.key()?;
            line.part(&mut scanner, key, text)?;
            more = scanner.more(b'}')?;
        }
        scanner.end()?;
        Ok(line)
    }

    fn part(
        &mut self,
        scanner: &mut Scanner<'a>,
        key: Quoted<'a>,
        text: &'a [u8],
    ) -> Result<(), Fault> {
        let start = scanner.at();
        let token = scanner.value()?;
        let whole = &text[start..scanner.at()];
        let string = |token| if let Token::String(quoted) = token { Some(quoted) } else { None };
        let twice = match key.raw {
            b"type" => replaces(&mut self.kind, string(token)),
            b"stream" => replaces(&mut self.stream, string(token)),
            b"record" => replaces(&mut self.record, Some(whole)),
            b"schema" => replaces(&mut self.schema, Some(whole)),
            b"key_properties" => replaces(&mut self.key_properties, Some(whole)),
            b"bookmark_properties" => replaces(&mut self.bookmark_properties, Some(whole)),
            b"source_stream" => replaces(&mut self.source_stream, Some(whole)),
            b"resumed_from" => replaces(&mut self.coverage, Some(whole)),
            b"read_from" => replaces(&mut self.read_from, Some(whole)),
            b"syncing_run" => replaces(&mut self.syncing_run, Some(whole)),
            b"value" => replaces(&mut self.value, Some(whole)),
            b"version" => replaces(&mut self.version, Some(token)),
            b"time_extracted" => replaces(&mut self.time_extracted, Some(token)),
            _ => false,
        };
        if twice { scanner.fault(TWICE) } else { Ok(()) }
    }
}

/// Sets a part of a message; tells whether it was there before.
fn replaces<T>(part: &mut Option<T>, found: Option<T>) -> bool {
    std::mem::replace(part, found).is_some()
}

/// Reads the records of one stream.
pub struct RecordDecoder {
    /// What a line of the usual key order starts with: `{"type":"RECORD","stream":"s","record":`.
    head: Vec<u8>,
    columns: Vec<DecodedColumn>,
    /// Positions of the columns in the order of their names, to find a key out of order.
    by_name: Vec<usize>,
    scratch: Vec<u8>,
    required: Vec<usize>,
    nulls: Vec<usize>,
    /// Properties that no column has, as often as they came.
    pub undeclared: Undeclared,
    stream: String,
    said: Said,
    /// A `time_extracted` was none.
    odd_times: bool,
    /// A property came twice in a record.
    repeats: bool,
    pub(crate) kinds: Kinds,
    heeds_deletions: bool,
}

/// How the last line of the usual order ended behind its record, and the envelope that it gave:
/// most records of a stream end alike.
#[derive(Debug, Default)]
struct Said {
    text: Vec<u8>,
    time_extracted: Option<Vec<u8>>,
    version: Option<Vec<u8>>,
}

struct DecodedColumn {
    name: String,
    /// `"name":`
    key: Vec<u8>,
    checks: Checks,
}

/// Properties of records that the schema does not declare.
#[derive(Debug, Default)]
pub struct Undeclared {
    /// How many values were left out.
    count: u64,
    /// The first few names.
    names: Vec<String>,
    /// Properties that are left out on purpose, sorted.
    deselected: Vec<String>,
    /// The warning was given.
    reported: bool,
}

impl Undeclared {
    fn note(&mut self, name: &[u8]) {
        if self.deselected.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok() {
            return;
        }
        self.count += 1;
        if self.names.len() < 5 {
            let name = String::from_utf8_lossy(name).into_owned();
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }

    /// Warns, once, that something of a stream is left out.
    pub fn report(&mut self, stream: &str) {
        if self.count > 0 && !self.reported {
            self.reported = true;
            let _within = of_stream(stream).entered();
            crate::warn!(
                "W-PROPERTY-UNDECLARED",
                "stream {stream}: properties that its schema does not declare are left out: {}",
                self.names.join(", "),
            );
        }
    }

    /// Tells how much was left out of a stream.
    pub fn sum_up(&self, stream: &str) {
        if self.count > 0 {
            let _within = of_stream(stream).entered();
            tracing::info!("stream {stream}: left out {} undeclared values", self.count);
        }
    }
}

impl RecordDecoder {
    /// Prepares for a stream.
    pub fn new(stream: &Stream, validate: bool) -> Result<Self> {
        let mut compiler = Compiler::new(&stream.schema);
        let column = |column: &crate::Column| {
            let mut key = Vec::new();
            string_into(column.name.as_bytes(), &mut key);
            key.push(b':');
            let checks = Checks::new(column, &mut compiler, validate)
                .map_err(|failure| failure.with("stream", &stream.name))?;
            Ok(DecodedColumn { name: column.name.clone(), key, checks })
        };
        let columns = stream.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let mut by_name: Vec<usize> = (0..columns.len()).collect();
        by_name.sort_by(|a, b| columns[*a].name.cmp(&columns[*b].name));
        let name = Value::from(stream.name.as_str());
        let required = if validate { required(&stream.schema) } else { Vec::new() };
        let position = |name: &String| {
            let found = by_name.binary_search_by(|at| columns[*at].name.cmp(name));
            found.ok().map(|found| by_name[found])
        };
        let required = required.iter().filter_map(position).collect();
        let nulls = stream.columns.iter().enumerate().filter(|(_, column)| column.absent_is_null);
        Ok(Self {
            head: format!("{{\"type\":\"RECORD\",\"stream\":{name},\"record\":").into_bytes(),
            columns,
            by_name,
            scratch: Vec::new(),
            required,
            nulls: nulls.map(|(index, _)| index).collect(),
            undeclared: Undeclared::default(),
            stream: stream.name.clone(),
            said: Said::default(),
            odd_times: false,
            repeats: false,
            kinds: Kinds::of(&stream.columns),
            heeds_deletions: false,
        })
    }

    /// Refuses a record that says that its row was deleted where the schema does not declare that.
    #[must_use]
    pub fn heeding_deletions(mut self) -> Self {
        self.heeds_deletions = true;
        self
    }

    /// Takes these properties, which the schema lacks, for left out on purpose.
    #[must_use]
    pub fn without(mut self, mut deselected: Vec<String>) -> Self {
        deselected.sort();
        self.undeclared.deselected = deselected;
        self
    }

    /// Tells whether the line is a record of this stream in the usual key order.
    #[inline]
    pub fn predicts(&self, line: &[u8]) -> bool {
        line.starts_with(&self.head)
    }

    /// Reads a line of the usual order into a new row; on refusal the batch is as before.
    #[inline]
    pub fn predicted(&mut self, line: &[u8], batch: &mut Batch) -> Result<(), Refusal> {
        let mark = batch.mark();
        let done = self.predicted_row(line, batch);
        if done.is_err() {
            batch.rollback(mark);
        }
        done
    }

    #[inline]
    fn predicted_row(&mut self, line: &[u8], batch: &mut Batch) -> Result<(), Refusal> {
        let mut scanner = Scanner::new(line);
        scanner.take(&self.head);
        scanner.space();
        batch.begin_row();
        self.cells(&mut scanner, batch)?;
        let rest = scanner.rest();
        if !rest.is_empty() && self.said.text == rest {
            self.said.repeat(self.columns.len(), batch);
            return Ok(());
        }
        self.rest(&mut scanner, batch)?;
        self.said.keep(rest, self.columns.len(), batch);
        Ok(())
    }

    /// Reads what stands behind the record.
    fn rest(&mut self, scanner: &mut Scanner<'_>, batch: &mut Batch) -> Result<(), Refusal> {
        let (mut version, mut time_extracted) = (None, None);
        while scanner.more(b'}')? {
            let key = scanner.key()?;
            let value = scanner.value()?;
            match key.raw {
                b"version" if !replaces(&mut version, Some(value)) => {}
                b"time_extracted" if !replaces(&mut time_extracted, Some(value)) => {}
                b"type" | b"stream" | b"record" | b"version" | b"time_extracted" => {
                    scanner.fault(TWICE)?;
                }
                _ => {}
            }
        }
        scanner.end()?;
        self.envelope(version, time_extracted, batch)
    }

    /// Reads the record of any line into a new row; on refusal the batch is as before.
    pub fn record(&mut self, line: &Line<'_>, batch: &mut Batch) -> Result<(), Refusal> {
        let Some(text) = line.record else {
            return Err(Refusal::Unfit(None, "a RECORD without `record`".to_owned()));
        };
        let mark = batch.mark();
        batch.begin_row();
        let done = self
            .cells(&mut Scanner::new(text), batch)
            .and_then(|()| self.envelope(line.version, line.time_extracted, batch));
        if done.is_err() {
            batch.rollback(mark);
        }
        done
    }

    /// Reads a bare object into a new row without an envelope; on refusal the batch is as before.
    pub fn object(&mut self, text: &[u8], batch: &mut Batch) -> Result<(), Refusal> {
        let mark = batch.mark();
        batch.begin_row();
        let mut scanner = Scanner::new(text);
        scanner.space();
        let done = self.cells(&mut scanner, batch).and_then(|()| Ok(scanner.end()?));
        if done.is_err() {
            batch.rollback(mark);
        }
        done
    }

    /// Reads the object at the scanner into the last row.
    #[inline]
    fn cells(&mut self, scanner: &mut Scanner<'_>, batch: &mut Batch) -> Result<(), Refusal> {
        if scanner.peek() != Some(b'{') {
            scanner.value()?;
            return Err(Refusal::Unfit(None, "the record is not an object".to_owned()));
        }
        let mut expected = 0;
        // While keys come in the order of the columns, none of them comes twice.
        let mut ordered = true;
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let predicted =
                self.columns.get(expected).is_some_and(|column| scanner.take(&column.key));
            let at = if predicted {
                scanner.space();
                Some(expected)
            } else {
                let key = scanner.key()?;
                self.find(key)
            };
            if let Some(at) = at {
                ordered &= at >= expected;
                if !ordered && !batch.is_last_absent(at) {
                    self.tell_repeat(at);
                }
                let first = scanner.peek();
                self.columns[at].checks.put_next(scanner, at, batch)?;
                if self.kinds.note(at, first, batch) {
                    kinds::tell(&self.stream, &self.columns[at].name);
                }
                expected = at + 1;
            } else {
                let value = scanner.value()?;
                if self.heeds_deletions && self.scratch == DELETED_AT.as_bytes() {
                    if !matches!(value, Token::Null) {
                        return Err(Refusal::Deletes);
                    }
                } else {
                    self.undeclared.note(&self.scratch);
                }
            }
            more = scanner.more(b'}')?;
        }
        for &at in &self.nulls {
            batch.absent_to_null(at);
        }
        for &at in &self.required {
            if batch.is_last_absent(at) && !self.nulls.contains(&at) {
                return Err(Refusal::Unfit(Some(at), "the property is required".to_owned()));
            }
        }
        Ok(())
    }

    /// Finds the column of an unexpected key, whose text is `scratch` then.
    fn find(&mut self, key: Quoted<'_>) -> Option<usize> {
        self.scratch.clear();
        key.unescape_into(&mut self.scratch);
        let name = |at: &usize| self.columns[*at].name.as_bytes();
        let found = self.by_name.binary_search_by(|at| name(at).cmp(&self.scratch));
        found.ok().map(|found| self.by_name[found])
    }

    /// Of a property that comes twice the last value is kept, as most readers of JSON do.
    #[cold]
    fn tell_repeat(&mut self, at: usize) {
        if !std::mem::replace(&mut self.repeats, true) {
            let _within = of_stream(&self.stream).entered();
            crate::warn!(
                "W-PROPERTY-TWICE",
                "stream {}: the property {:?} comes twice in a record: the last value is kept",
                self.stream,
                self.columns[at].name
            );
        }
    }

    #[cold]
    fn tell_odd_time(&mut self) {
        if !std::mem::replace(&mut self.odd_times, true) {
            let _within = of_stream(&self.stream).entered();
            crate::warn!(
                "W-TIME-EXTRACTED",
                "stream {}: a `time_extracted` is not a date and time and is left out",
                self.stream
            );
        }
    }

    #[inline]
    fn envelope(
        &mut self,
        version: Option<Token<'_>>,
        time_extracted: Option<Token<'_>>,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let from = self.columns.len();
        debug_assert_eq!(batch.width(), from + Envelope::CELLS);
        match time_extracted {
            None | Some(Token::Null) => {}
            Some(Token::String(quoted)) => {
                if batch.set_or_repeat(from + Envelope::TIME_EXTRACTED, quoted.raw)
                    && !is_canonical(Kind::DateTime, quoted.raw)
                {
                    batch.set_null(from + Envelope::TIME_EXTRACTED);
                    self.tell_odd_time();
                }
            }
            Some(_) => self.tell_odd_time(),
        }
        match version {
            None | Some(Token::Null) => Ok(()),
            Some(Token::Integer(digits)) => {
                batch.set_or_repeat(from + Envelope::VERSION, digits);
                Ok(())
            }
            Some(_) => Err(Refusal::Unfit(None, "`version` is not an integer".to_owned())),
        }
    }
}

impl Said {
    /// Keeps how a line ended that gave the last row its envelope.
    fn keep(&mut self, rest: &[u8], from: usize, batch: &Batch) {
        self.text.clear();
        let row = batch.rows() - 1;
        let keep = |cell: Cell<'_>, kept: &mut Option<Vec<u8>>| match cell {
            Cell::Text(text) => {
                let kept = kept.get_or_insert_default();
                kept.clear();
                kept.extend_from_slice(text);
                true
            }
            Cell::Absent => {
                *kept = None;
                true
            }
            // It is reported each time.
            Cell::Null => false,
        };
        let time = batch.cell(row, from + Envelope::TIME_EXTRACTED);
        let version = batch.cell(row, from + Envelope::VERSION);
        if keep(time, &mut self.time_extracted) && keep(version, &mut self.version) {
            self.text.extend_from_slice(rest);
        }
    }

    /// Gives the last row the same envelope.
    #[inline]
    fn repeat(&self, from: usize, batch: &mut Batch) {
        if let Some(text) = &self.time_extracted {
            batch.set_or_repeat(from + Envelope::TIME_EXTRACTED, text);
        }
        if let Some(text) = &self.version {
            batch.set_or_repeat(from + Envelope::VERSION, text);
        }
    }
}

fn required(schema: &Map<String, Value>) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
