//! Singer messages as lines.

use serde_json::{Value, json};

use crate::batch::{Batch, Cell, Envelope};
use crate::catalog::Stream;
use crate::coverage::Coverage;
use crate::file_id::{FileId, FileIds};
use crate::quote::{escaped_into, string_into};
use crate::schema::{Kind, Types};
use crate::selection::Pruning;

/// The member of a SCHEMA with the files of a disk that the rows of the run come from.
pub(crate) const READ_FROM: &str = "read_from";
/// The member of a SCHEMA with the stream of the tap that this one came of.
pub(crate) const SOURCE_STREAM: &str = "source_stream";

/// Writes the RECORD lines of one stream.
pub struct RecordEncoder {
    head: Vec<u8>,
    columns: Vec<EncodedColumn>,
    tail: Tail,
}

/// What a record says besides its values.
#[derive(Clone, Copy, Debug)]
pub enum Envelopes<'a> {
    /// The same of every record: `time_extracted` and, if any, the version.
    Same(&'a str, Option<i64>),
    /// What the [`Envelope`] of each row has.
    OfRows,
}

enum Tail {
    Same(Vec<u8>),
    OfRows,
}

struct EncodedColumn {
    /// `,"name":`, with the opening quote of the value where that is in quotes.
    key: Vec<u8>,
    form: Form,
    /// A null cell is a missing key.
    omits_null: bool,
    pruning: Option<Pruning>,
}

#[derive(Clone, Copy)]
enum Form {
    /// As it stands.
    Raw,
    /// In quotes, with escapes.
    Quoted,
    /// As it stands, but `NaN` and the infinities in quotes.
    Number,
}

impl RecordEncoder {
    /// Prepares for a stream.
    pub fn new(stream: &Stream, prunings: &[Option<Pruning>], envelopes: Envelopes<'_>) -> Self {
        let columns = stream.columns.iter().enumerate().map(|(index, column)| {
            let mut key = vec![b','];
            string_into(column.name.as_bytes(), &mut key);
            key.push(b':');
            let form = match column.kind {
                Kind::Boolean | Kind::Integer | Kind::Json => Form::Raw,
                Kind::Number if !column.types.meets(Types::NUMBER) => Form::Quoted,
                Kind::Number => Form::Number,
                Kind::String | Kind::Date | Kind::Time | Kind::DateTime => Form::Quoted,
            };
            if matches!(form, Form::Quoted) {
                key.push(b'"');
            }
            EncodedColumn {
                key,
                form,
                omits_null: column.absent_is_null,
                pruning: prunings.get(index).cloned().flatten(),
            }
        });
        let columns = columns.collect();
        let name = Value::from(stream.name.as_str());
        let head = format!("{{\"type\":\"RECORD\",\"stream\":{name},\"record\":{{");
        let tail = match envelopes {
            Envelopes::Same(time_extracted, version) => {
                let version = version.map(|number| format!(",\"version\":{number}"));
                let version = version.unwrap_or_default();
                let tail = format!("}}{version},\"time_extracted\":\"{time_extracted}\"}}\n");
                Tail::Same(tail.into_bytes())
            }
            Envelopes::OfRows => Tail::OfRows,
        };
        Self { head: head.into_bytes(), columns, tail }
    }

    /// Appends the line of a row.
    #[inline]
    pub fn row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        self.members(batch, row, out);
        match &self.tail {
            Tail::Same(tail) => out.extend_from_slice(tail),
            Tail::OfRows => envelope(batch.envelope(row), out),
        }
    }

    /// Appends the record of a row alone, a JSON object.
    pub fn record(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        self.members(batch, row, out);
        out.push(b'}');
    }

    #[inline]
    fn members(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        // The first member has no comma before it.
        let mut from = 1;
        for (column, cell) in self.columns.iter().zip(batch.row(row)) {
            if cell == Cell::Absent || cell == Cell::Null && column.omits_null {
                continue;
            }
            let key = &column.key[from..];
            from = 0;
            if cell == Cell::Null {
                out.extend_from_slice(key.strip_suffix(b"\"").unwrap_or(key));
                out.extend_from_slice(b"null");
                continue;
            }
            out.extend_from_slice(key);
            match (cell, column.form) {
                (Cell::Text(text), Form::Raw) => match &column.pruning {
                    None => out.extend_from_slice(text),
                    Some(pruning) => pruning.apply(text, out),
                },
                (Cell::Text(text), Form::Number) => {
                    if text.last().is_some_and(u8::is_ascii_digit) {
                        out.extend_from_slice(text);
                    } else {
                        string_into(text, out);
                    }
                }
                (Cell::Text(text), Form::Quoted) => {
                    escaped_into(text, out);
                    out.push(b'"');
                }
                (Cell::Null | Cell::Absent, _) => {}
            }
        }
    }
}

/// Ends a record with what it says besides its values; both texts are canonical.
fn envelope(envelope: Envelope<'_>, out: &mut Vec<u8>) {
    out.push(b'}');
    if let Cell::Text(version) = envelope.version {
        out.extend_from_slice(b",\"version\":");
        out.extend_from_slice(version);
    }
    if let Cell::Text(time) = envelope.time_extracted {
        out.extend_from_slice(b",\"time_extracted\":\"");
        out.extend_from_slice(time);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
}

/// Returns the SCHEMA line of a stream.
pub fn schema_line(stream: &Stream) -> Vec<u8> {
    message_line(&schema_message(stream))
}

/// Returns the SCHEMA message of a stream.
pub fn schema_message(stream: &Stream) -> Value {
    let mut message = json!({
        "type": "SCHEMA",
        "stream": stream.name,
        "schema": stream.schema,
        "key_properties": stream.keys,
    });
    if let Some(key) = &stream.replication_key {
        message["bookmark_properties"] = json!([key]);
    } else if let Some(lost) = stream.fields.get("bookmark_properties") {
        // A map has removed the column: the state goes on holding its values.
        message["bookmark_properties"] = lost.clone();
    }
    if let Some(source) = &stream.source_stream {
        message[SOURCE_STREAM] = source.as_str().into();
    }
    if let Some(part) = stream.coverage.value() {
        message[Coverage::MEMBER] = part.clone();
    }
    if !stream.read_from.is_empty() {
        message[READ_FROM] = file_names(&stream.read_from);
    }
    message
}

/// Returns files as the SCHEMA names them.
pub(crate) fn file_names(files: &FileIds) -> Value {
    files.iter().map(FileId::as_str).collect()
}

/// Returns a STATE line.
pub fn state_line(value: &Value) -> Vec<u8> {
    message_line(&json!({ "type": "STATE", "value": value }))
}

/// Returns an `ACTIVATE_VERSION` line.
pub fn activate_version_line(stream: &str, version: i64) -> Vec<u8> {
    message_line(&json!({ "type": "ACTIVATE_VERSION", "stream": stream, "version": version }))
}

/// Returns a message as a line.
pub(crate) fn message_line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}
