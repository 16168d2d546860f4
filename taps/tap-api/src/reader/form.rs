//! How an answer is written: JSON, JSON on lines, CSV; in which encoding.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};

use files::dialect;
use files::json::{Record, Records, RecordsPath};
use files::{Dialect, Reader as CsvReader, Record as CsvRecord, TextEncoding};
use http_client::Answer;
use serde_json::{Map, Value};
use singer::quote::string_into;
use singer::scan::{Scanner, Token};
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::options::AnswerFormat;
use crate::stream::StreamSpec;

/// The elements of an answer, one after the other.
pub(super) enum Source<'a> {
    Json(Box<Records<Input<'a>>>),
    Csv(Box<Table<'a>>),
}

type Input<'a> = Box<dyn Read + Send + 'a>;

/// A CSV answer, of which the first row names the columns.
pub(super) struct Table<'a> {
    reader: CsvReader<Input<'a>>,
    /// In quotes, with their colons; and whether their type is declared as one that is no text.
    names: Vec<(Vec<u8>, bool)>,
    /// What is in the only name, and is mostly a delimiter.
    other: Option<char>,
    /// The declared columns, and those of them whose values are no texts.
    declared: BTreeSet<String>,
    plain: BTreeSet<String>,
    object: Vec<u8>,
}

impl<'a> Source<'a> {
    /// Begins to read an answer.
    pub(super) fn new(
        answer: &'a mut Answer,
        format: AnswerFormat,
        spec: &StreamSpec,
        place: &RecordsPath,
        bytes_max: usize,
    ) -> Result<Self> {
        let encoding = encoding_of(answer, spec)?;
        let input = encoding.decode(Box::new(answer.body()?));
        Ok(match format {
            AnswerFormat::Json => Self::Json(Box::new(Records::new(input, place, bytes_max))),
            AnswerFormat::Jsonl => Self::Json(Box::new(Records::lines(input, bytes_max))),
            AnswerFormat::Csv => {
                let dialect = Dialect {
                    delimiter: spec.delimiter,
                    record_bytes_max: bytes_max,
                    ..Dialect::default()
                };
                let reader = CsvReader::new(input, &dialect);
                let plain = spec.schema.as_ref().map(columns_without_text).unwrap_or_default();
                let declared = spec.schema.as_ref().map(declared_columns).unwrap_or_default();
                let (names, object) = (Vec::new(), Vec::new());
                Self::Csv(Box::new(Table { reader, names, other: None, declared, plain, object }))
            }
        })
    }

    /// Reads the next element.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>> {
        match self {
            Self::Json(records) => records.next(),
            Self::Csv(table) => table.next(),
        }
    }

    /// Tells whether the place of the records is there.
    pub(super) fn found(&self) -> bool {
        match self {
            Self::Json(records) => records.found(),
            Self::Csv(_) => true,
        }
    }

    /// Returns how many elements of the first list on the way to the records were read.
    pub(super) fn outer(&self) -> u64 {
        match self {
            Self::Json(records) => records.outer(),
            Self::Csv(_) => 0,
        }
    }

    /// Returns the names of the columns of CSV.
    pub(super) fn columns(&self) -> BTreeSet<Vec<u8>> {
        match self {
            Self::Json(_) => BTreeSet::new(),
            Self::Csv(table) => table.names.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Returns what is probably the delimiter of CSV in place of the one that was set.
    pub(super) fn other_delimiter(&self) -> Option<char> {
        match self {
            Self::Json(_) => None,
            Self::Csv(table) => table.other,
        }
    }

    /// Tells whether records were members whose names nothing of them has.
    pub(super) fn loses_names(&self) -> bool {
        matches!(self, Self::Json(records) if records.loses_keys())
    }

    /// Returns what stands around the records.
    pub(super) fn envelope(self, format: AnswerFormat) -> Result<Value> {
        match self {
            Self::Json(records) if format == AnswerFormat::Json => records.envelope(),
            Self::Json(_) | Self::Csv(_) => Ok(Value::Null),
        }
    }
}

impl Table<'_> {
    /// Reads the next row as an object of texts; a field without text and quotes is null, and one
    /// of a column that is declared as a number or a boolean is that where it is written as in
    /// JSON.
    fn next(&mut self) -> Result<Option<Record<'_>>> {
        let Self { reader, names, other, declared, plain, object } = self;
        while names.is_empty() {
            let Some(header) = reader.record()? else { return Ok(None) };
            if !header.is_blank() {
                check_declared(&header, declared)?;
                *names = columns(header.fields().map(|(text, _)| text), plain)?;
                if let (Some((text, _)), None) = (header.field(0), header.field(1)) {
                    *other = dialect::other_delimiter(text);
                }
            }
        }
        let row = loop {
            let Some(row) = reader.record()? else { return Ok(None) };
            // Of one column a blank line is a row without a value.
            if !row.is_blank() || names.len() == 1 {
                break row;
            }
        };
        if row.len() != names.len() {
            return Err(Error::new(ErrorKind::Data, "a row has another number of fields")
                .with("line", row.line())
                .with("fields", row.len())
                .with("columns", names.len())
                .hint("check `delimiter`, and the answer"));
        }
        object.clear();
        object.push(b'{');
        for ((name, is_plain), (text, is_quoted)) in names.iter().zip(row.fields()) {
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(name);
            if text.is_empty() && !is_quoted {
                object.extend_from_slice(b"null");
            } else if *is_plain && is_plain_value(text) {
                object.extend_from_slice(text);
            } else {
                string_into(text, object);
            }
        }
        object.push(b'}');
        let (line, byte) = (row.line(), row.offset());
        Ok(Some(Record { text: object, key: b"", line, byte, alone: false }))
    }
}

fn declared_columns(schema: &Map<String, Value>) -> BTreeSet<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Refuses an answer that has none of the columns that its schema declares: it may be the text of
/// a failure, and would count as no rows.
fn check_declared(header: &CsvRecord<'_>, declared: &BTreeSet<String>) -> Result<()> {
    let is_declared =
        |text: &[u8]| std::str::from_utf8(text).is_ok_and(|name| declared.contains(name));
    if declared.is_empty() || header.fields().any(|(text, _)| is_declared(text)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "the answer has none of the columns that the schema declares")
        .with("line", header.line())
        .with("columns", header.len())
        .hint(
            "check `path`, `params`, `delimiter` and the names in `schema`; the answer may also be \
             an error message",
        ))
}

/// Returns the declared columns whose values are numbers or booleans, and no texts.
fn columns_without_text(schema: &Map<String, Value>) -> BTreeSet<String> {
    let has = |property: &Value, words: &[&str]| match &property["type"] {
        Value::String(word) => words.contains(&word.as_str()),
        Value::Array(all) => all.iter().any(|it| it.as_str().is_some_and(|it| words.contains(&it))),
        _ => false,
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_plain = |property: &Value| {
        has(property, &["integer", "number", "boolean"]) && !has(property, &["string"])
    };
    let plain = properties.into_iter().flatten().filter(|(_, property)| is_plain(property));
    plain.map(|(name, _)| name.clone()).collect()
}

/// Tells whether a text is a number or a boolean as JSON writes it.
fn is_plain_value(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    let value = scanner.value();
    let is_plain = matches!(value, Ok(Token::Integer(_) | Token::Decimal(_) | Token::Boolean(_)));
    is_plain && scanner.at() == text.len()
}

fn columns<'a>(
    texts: impl Iterator<Item = &'a [u8]>,
    plain: &BTreeSet<String>,
) -> Result<Vec<(Vec<u8>, bool)>> {
    let mut names: Vec<(Vec<u8>, bool)> = Vec::new();
    for text in texts {
        let mut name = Vec::new();
        string_into(text, &mut name);
        name.push(b':');
        if text.is_empty() || names.iter().any(|(known, _)| *known == name) {
            return Err(Error::new(ErrorKind::Data, "cannot read the columns of a CSV answer")
                .with(
                    "reason",
                    if text.is_empty() { "one has no name" } else { "two have one name" },
                )
                .hint("the first row of the answer must name the columns"));
        }
        let is_plain = std::str::from_utf8(text).is_ok_and(|text| plain.contains(text));
        names.push((name, is_plain));
    }
    Ok(names)
}

/// Returns the encoding of an answer.
///
/// The rule: what is UTF-8 is read as that whatever a header says, as JSON is UTF-8 and many
/// servers name an encoding that they do not use; other bytes are of the encoding that the header
/// names. `encoding` counts more than both.
fn encoding_of(answer: &mut Answer, spec: &StreamSpec) -> Result<TextEncoding> {
    if let Some(encoding) = spec.encoding {
        return Ok(encoding);
    }
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let charset = kind.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
    let Some(charset) = charset.map(|it| it.trim_matches(['"', ' '])) else {
        return Ok(TextEncoding::Utf8);
    };
    let named = TextEncoding::named(charset);
    if matches!(named, Ok(TextEncoding::Utf8)) {
        return Ok(TextEncoding::Utf8);
    }
    // Such text has no other bytes than ASCII has, or is of pairs of bytes.
    let is_other = match &named {
        Ok(TextEncoding::Other(encoding)) => !encoding.is_ascii_compatible(),
        Ok(TextEncoding::Utf16) => true,
        Ok(_) => false,
        Err(_) => charset.starts_with("utf-"),
    };
    if !is_other && is_utf8(answer.body()?)? {
        return Ok(TextEncoding::Utf8);
    }
    named.map_err(|_| {
        Error::new(ErrorKind::Data, "cannot read the encoding of the answer")
            .with("charset", charset)
            .hint("set `encoding` to the encoding of the answer")
    })
}

/// Tells whether all bytes are UTF-8.
fn is_utf8(mut input: impl BufRead) -> Result<bool> {
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let block =
            input.fill_buf().or_kind(ErrorKind::Io, "cannot read an answer that was kept")?;
        let (bytes, is_end) = (block.len(), block.is_empty());
        rest.extend_from_slice(block);
        input.consume(bytes);
        match std::str::from_utf8(&rest) {
            Ok(_) => rest.clear(),
            Err(cause) if cause.error_len().is_some() || is_end => return Ok(false),
            Err(cause) => {
                rest.drain(..cause.valid_up_to());
            }
        }
        if is_end {
            return Ok(true);
        }
    }
}

/// Tells how an answer is written: by `answer_format`, else by what the API calls it, JSON by
/// default.
///
/// Fails with `Data` for what is none of these by its own words, or as it begins. Text that begins
/// as JSON does is JSON, also where it is called HTML.
pub(super) fn format_of(
    answer: &mut Answer,
    spec: &StreamSpec,
    is_first: bool,
) -> Result<AnswerFormat> {
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    let text = answer.excerpt();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let is_html =
        matches!(&*kind, "text/html" | "application/xhtml+xml" | "text/xml" | "application/xml");
    let called = match kind.as_str() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines" => AnswerFormat::Jsonl,
        "text/csv" | "application/csv" => AnswerFormat::Csv,
        _ => AnswerFormat::Json,
    };
    let format = spec.answer_format.unwrap_or(called);
    // Behind other pages an empty CSV answer is the end.
    let names_columns = format == AnswerFormat::Csv && is_first && spec.schema.is_some();
    let has_content = format == AnswerFormat::Json || names_columns;
    if answer.status != 204 && answer.length == 0 && has_content {
        return Err(Error::new(ErrorKind::Data, "the answer is empty")
            .hint("check `path` and `params`: an API without records gives an empty list"));
    }
    let (is_other, message, hint) = match format {
        AnswerFormat::Csv => (
            text.starts_with(['{', '<']) || text.starts_with("[{"),
            "the answer is not CSV",
            "check `path` and `answer_format`; the answer may also be an error message",
        ),
        AnswerFormat::Json | AnswerFormat::Jsonl => (
            is_html && !text.starts_with(['{', '[']),
            "the answer is not JSON",
            "check `api_url` and `path`; the answer may also be a sign-in page",
        ),
    };
    if is_other {
        return Err(Error::new(ErrorKind::Data, message).with("content-type", kind).hint(hint));
    }
    let is_placed = !spec.records.is_root() || spec.elements.unwinding.is_some();
    if format != AnswerFormat::Json && is_placed {
        return Err(Error::new(
            ErrorKind::Config,
            "cannot use `records_path` with an answer of lines",
        )
        .with("content-type", kind)
        .with("records_path", &spec.records)
        .hint(
            "each line of JSON lines, and each row of CSV, is a record: remove `records_path` \
                 and `parent_fields`, or set `answer_format: json` if the answer is one document",
        ));
    }
    Ok(format)
}
