//! Cells to fields of COPY data, by what the column of the table is (pure).

use pg::array::Notation;
use pg::copy_binary::Type;
use pg::{array, copy_text};
use singer::{Column, Kind, Result};

use crate::elements::Elements;
use crate::limits::{self, Length, refusal};
use crate::source;
use crate::types::{self, Making, SqlType};

/// Memory to reuse.
pub type Scratch = [Vec<u8>; 2];

/// Returns the type of binary fields for a type of the server itself that has some here, and is
/// neither an array nor a domain.
pub fn binary_type(sql: &SqlType) -> Option<Type> {
    let is_plain = !sql.array && sql.making == Making::One && sql.extension.is_empty();
    Type::of(&sql.name).filter(|_| is_plain && std::ptr::eq(sql.storage(), sql))
}

/// How the cells of one column are written.
#[derive(Clone, Debug)]
pub struct Encoder {
    form: Form,
    /// Digits after the point that the type keeps.
    scale: Option<i32>,
    /// How much text the type keeps.
    length: Option<Length>,
    /// Whether U+0000 becomes U+FFFD.
    sanitize: bool,
    /// Refuses what the type would take and change.
    refuse: Option<limits::Refuse>,
    /// What the elements of an array are held to, where their type limits them.
    elements: Option<Elements>,
    /// How arrays are written.
    notation: Notation,
    /// The type that binary fields are of, where it has some.
    binary: Option<Type>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Digits and words without special characters.
    Verbatim,
    /// Characters.
    Text,
    /// Characters that become a JSON string.
    JsonString,
    /// A JSON number, with words for what JSON has none.
    JsonNumber,
    /// JSON text.
    Json,
    /// Date or time; `zoned` when the type keeps (or converts) an offset.
    Moment { zoned: bool },
    /// Date with time for a type without an offset: Postgres would drop it, so UTC it is.
    Utc,
    /// Hexadecimal digits of bytes.
    Hex,
    /// A JSON array for an SQL array.
    Array(Items),
}

/// How the elements of a JSON array are written into an SQL array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Items {
    /// As their text.
    Text,
    /// As JSON.
    Json,
    /// As bytes, whose hexadecimal digits they are.
    Hex,
}

impl Form {
    /// Returns the type that binary fields are of, where the server has no part in what is made of
    /// the text beside its type's modifier.
    fn binary(self, sql: &SqlType) -> Option<Type> {
        use Type::{
            Bigint, Boolean, Bytea, Date, Double, Integer, Jsonb, Numeric, Real, Smallint, Text,
            Time, Timestamp, Timestamptz, Utc, Uuid,
        };
        let binary = binary_type(sql)?;
        match (self, binary) {
            (Self::Verbatim, Boolean | Smallint | Integer | Bigint | Real | Double | Numeric)
            | (Self::Verbatim | Self::Text, Text)
            | (Self::Text, Uuid)
            | (Self::JsonString | Self::JsonNumber, Text | Jsonb)
            | (Self::Json, Jsonb)
            | (Self::Moment { .. }, Date | Time | Timestamp | Timestamptz)
            | (Self::Hex, Bytea) => Some(binary),
            (Self::Utc, Timestamp) => Some(Utc),
            _ => None,
        }
    }
}

impl Encoder {
    /// Makes the encoder of a column's cells for a type that [`crate::types::fits`] them.
    /// `printed` tells that a server of Postgres has printed them, so that they are of the type
    /// that their schema says.
    pub fn new(column: &Column, sql: &SqlType, (sanitize, printed): (bool, bool)) -> Self {
        let declared = sql;
        let sql = sql.storage();
        let json = sql.is(&["json", "jsonb"]);
        let form = match column.kind {
            _ if column.is_guess() && !types::fits(column, sql) => Form::Text,
            Kind::Json if sql.array => Form::Array(match &*sql.name {
                "json" | "jsonb" => Items::Json,
                "bytea" => Items::Hex,
                _ => Items::Text,
            }),
            // Only this type knows no U+0000.
            Kind::Json if sql.is(&["jsonb"]) => Form::Json,
            Kind::Json => Form::Text,
            Kind::Number if json => Form::JsonNumber,
            Kind::Boolean | Kind::Integer | Kind::Number => Form::Verbatim,
            _ if sql.array => Form::Text,
            _ if json => Form::JsonString,
            Kind::DateTime if sql.is(&["timestamp without time zone"]) => Form::Utc,
            Kind::String if sql.is(&["bytea"]) => Form::Hex,
            Kind::Date | Kind::Time | Kind::DateTime if !sql.is(&["text", "character varying"]) => {
                Form::Moment { zoned: sql.name != "time without time zone" }
            }
            _ => Form::Text,
        };
        let floats = source::comes_from_float(column, sql);
        let kept = printed && floats;
        let refuse: Option<limits::Refuse> = match column.kind {
            Kind::Integer | Kind::Number if !(sql.array || kept) => {
                limits::in_float_type(&sql.name, floats)
            }
            _ => None,
        };
        let refuse = refuse.or(match column.kind {
            Kind::Integer if sql.is(&["oid"]) => Some(limits::not_negative),
            Kind::Json if sql.name == "jsonb" && !(printed && source::is_jsonb(column)) => {
                Some(limits::distinct_keys)
            }
            // What an SQL source has is the text that Postgres itself would make of it.
            Kind::Json
                if sql.is(&["text", "character varying"])
                    && source::base_datatype(column).is_none() =>
            {
                Some(limits::no_json_string)
            }
            _ if column.is_guess() && !types::fits(column, sql) => Some(limits::none_at_all),
            Kind::Date if matches!(form, Form::Moment { .. }) => Some(limits::day),
            _ => None,
        });
        let padded = source::is_padded(column);
        let elements = match form {
            Form::Array(_) if !kept => {
                Elements::of(sql, source::sends_hex(column), (floats, padded))
            }
            _ => None,
        };
        let length = limits::length(sql, padded);
        let binary = form.binary(declared);
        let notation = Notation { json_elements: false, delimiter: sql.delimiter };
        let scale = sql.scale();
        Self { form, scale, length, sanitize, refuse, elements, notation, binary }
    }

    /// Lets nothing but moments pass: what says that a row was deleted.
    #[must_use]
    pub fn of_moments(self) -> Self {
        Self { refuse: Some(limits::deletion), ..self }
    }

    /// Returns the type that binary fields of the column are of, where it has some.
    pub fn binary(&self) -> Option<Type> {
        self.binary
    }

    /// Appends the binary field of a cell. Tells whether it is surely what the server would make of
    /// the one that [`Encoder::text`] appends; if not, what was appended means nothing.
    #[inline]
    pub fn push_binary(&self, cell: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
        let Some(binary) = self.binary else { return false };
        if self.check(cell).is_err() {
            return false;
        }
        match self.form {
            Form::JsonString => self.push_quoted(cell, &mut scratch[0], out),
            Form::JsonNumber if cell.ends_with(b"N") || cell.ends_with(b"y") => {
                self.push_quoted(cell, &mut scratch[0], out)
            }
            Form::Json if find_escaped_nul(cell).is_some() => false,
            _ => binary.push(cell, out),
        }
    }

    fn push_quoted(&self, cell: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
        let quoted = memchr::memchr(0, cell).is_none() && self.quote(cell, scratch).is_ok();
        quoted && self.binary.is_some_and(|binary| binary.push(scratch, out))
    }

    /// Appends the field of a cell.
    #[inline]
    pub fn text(&self, cell: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        match self.form {
            Form::Verbatim => {
                self.check(cell)?;
                out.extend_from_slice(cell);
                return Ok(());
            }
            Form::Text | Form::Moment { .. } => self.check(cell)?,
            Form::Utc => {
                self.check(cell)?;
                if let Some(moment) = limits::to_utc(cell)? {
                    out.extend_from_slice(moment.as_bytes());
                    return Ok(());
                }
            }
            Form::Hex => {
                out.extend_from_slice(b"\\\\x");
                let digits = cell.strip_prefix(b"0x").unwrap_or(cell);
                if digits.len() % 2 == 1 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(refusal("the text is not pairs of hexadecimal digits"));
                }
                out.extend_from_slice(digits);
                return Ok(());
            }
            Form::JsonNumber if !cell.ends_with(b"N") && !cell.ends_with(b"y") => {
                out.extend_from_slice(cell);
                return Ok(());
            }
            Form::Json => return self.json(cell, &mut scratch[0], out),
            Form::JsonString | Form::JsonNumber => {
                self.quote(cell, &mut scratch[0])?;
                copy_text::escape(&scratch[0], out);
                return Ok(());
            }
            Form::Array(items) => return self.array(cell, items, scratch, out),
        }
        if memchr::memchr(0, cell).is_none() {
            copy_text::escape(cell, out);
            return Ok(());
        }
        self.may_sanitize()?;
        for (at, part) in cell.split(|byte| *byte == 0).enumerate() {
            if at > 0 {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
            copy_text::escape(part, out);
        }
        Ok(())
    }

    /// Refuses a value that the type would take and change.
    fn check(&self, cell: &[u8]) -> Result<()> {
        if let Some(refuse) = self.refuse {
            refuse(cell)?;
        }
        match (self.form, self.scale) {
            (Form::Verbatim, Some(scale)) => limits::scale(cell, scale),
            (Form::Moment { zoned }, scale) => limits::moment(cell, zoned, scale),
            (Form::Utc, scale) => limits::moment(cell, true, scale),
            (Form::Text, Some(scale)) => limits::fraction(cell, scale),
            (Form::Text, None) => self.length.map_or(Ok(()), |length| length.check(cell)),
            _ => Ok(()),
        }
    }

    /// JSON may hold an escaped U+0000, which Postgres refuses in `jsonb`.
    fn json(&self, cell: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        self.refuse.map_or(Ok(()), |refuse| refuse(cell))?;
        if find_escaped_nul(cell).is_none() {
            copy_text::escape(cell, out);
            return Ok(());
        }
        self.may_sanitize()?;
        replace_escaped_nul(cell, scratch);
        copy_text::escape(scratch, out);
        Ok(())
    }

    fn quote(&self, cell: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.push(b'"');
        for byte in cell {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
                0 => {
                    self.may_sanitize()?;
                    out.extend_from_slice("\u{fffd}".as_bytes());
                }
                0..0x20 => {
                    let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                _ => out.push(*byte),
            }
        }
        out.push(b'"');
        Ok(())
    }

    fn array(
        &self,
        cell: &[u8],
        items: Items,
        [literal, scratch]: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.refuse.map_or(Ok(()), |refuse| refuse(cell))?;
        let mut sanitized = Vec::new();
        let mut cell = cell;
        if find_escaped_nul(cell).is_some() {
            self.may_sanitize()?;
            replace_escaped_nul(cell, &mut sanitized);
            cell = &sanitized;
        }
        let marked;
        if items == Items::Hex {
            marked = mark_hex(cell);
            cell = &marked;
        }
        if let Some(elements) = &self.elements {
            limits::each_element(cell, &mut |text, string| elements.check(text, string))?;
        }
        literal.clear();
        let notation = Notation { json_elements: items == Items::Json, ..self.notation };
        array::from_json(cell, notation, scratch, literal)?;
        copy_text::escape(literal, out);
        Ok(())
    }

    /// Tells whether cells are JSON arrays for an SQL array.
    pub fn is_array(&self) -> bool {
        matches!(self.form, Form::Array(_))
    }

    /// Tells whether a cell has U+0000 that is replaced.
    pub fn sanitizes(&self, cell: &[u8]) -> bool {
        let escaped =
            || matches!(self.form, Form::Json | Form::Array(_)) && find_escaped_nul(cell).is_some();
        self.sanitize && (memchr::memchr(0, cell).is_some() || escaped())
    }

    fn may_sanitize(&self) -> Result<()> {
        if self.sanitize {
            return Ok(());
        }
        Err(refusal("the value has U+0000, which Postgres cannot store")
            .hint("set `sanitize_null_text_characters` to store U+FFFD instead"))
    }
}

/// Returns where an escaped U+0000 begins.
fn find_escaped_nul(json: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(json, b"\\u0000").find(|at| {
        let before = json[..*at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before % 2 == 0
    })
}

fn replace_escaped_nul(json: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = json;
    while let Some(at) = find_escaped_nul(rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice("\u{fffd}".as_bytes());
        rest = &rest[at + 6..];
    }
    out.extend_from_slice(rest);
}

/// Puts the mark of hexadecimal input before every string of an array.
fn mark_hex(json: &[u8]) -> Vec<u8> {
    let mut marked = Vec::with_capacity(json.len() * 2);
    let mut inside = false;
    for byte in json {
        marked.push(*byte);
        if *byte == b'"' {
            inside = !inside;
            if inside {
                marked.extend_from_slice(b"\\\\x");
            }
        }
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(schema: &str, sql: &str, cell: &str, sanitize: bool) -> String {
        let column = Column::new("c", serde_json::from_str(schema).unwrap());
        let encoder = Encoder::new(&column, &SqlType::from_server(sql), (sanitize, false));
        let mut out = Vec::new();
        match encoder.text(cell.as_bytes(), &mut Scratch::default(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(failure) => failure.context("reason").unwrap().to_owned(),
        }
    }

    const STRING: &str = r#"{"type":"string"}"#;
    const NUMBER: &str = r#"{"type":"number"}"#;
    const MOMENT: &str = r#"{"type":"string","format":"date-time"}"#;
    const TIME: &str = r#"{"type":"string","format":"time"}"#;

    #[test]
    fn writes_fields_of_copy_text() {
        let check = |schema: &str, sql: &str, cell: &str, expected: &str| {
            assert_eq!(encode(schema, sql, cell, false), expected, "{sql} <- {cell}");
        };
        check(STRING, "text", "a\tb\\c\n\\.", "a\\tb\\\\c\\n\\\\.");
        check(STRING, "jsonb", "a\"\n", "\"a\\\\\"\\\\u000a\"");
        check(NUMBER, "jsonb", "NaN", "\"NaN\"");
        check(NUMBER, "real", "0.1", "0.1");
        check(
            r#"{"type":"number","x-sql-datatype":"real"}"#,
            "real",
            "3.40282347e38",
            "3.40282347e38",
        );
        check(
            r#"{"type":"array","items":{"contentEncoding":"base16"}}"#,
            "bytea[]",
            r#"["00"]"#,
            r#"{"\\\\x00"}"#,
        );
        check(NUMBER, "jsonb", "-Infinity", "\"-Infinity\"");
        check(NUMBER, "jsonb", "1.50", "1.50");
        check(NUMBER, "numeric(10,2)", "1.500", "1.500");
        check(NUMBER, "numeric(10,2)", "NaN", "NaN");
        check(NUMBER, "numeric(10,2)", "1.5e3", "1.5e3");
        check(r#"{"type":"string","contentEncoding":"base16"}"#, "bytea", "00ff", "\\\\x00ff");
        check(r#"{"type":"string","contentEncoding":"base16"}"#, "bytea", "", "\\\\x");
        check("{}", "jsonb", r#"{"a":"\\u0000"}"#, r#"{"a":"\\\\u0000"}"#);
        check(MOMENT, "timestamp with time zone", "infinity", "infinity");
        check(
            MOMENT,
            "timestamp with time zone",
            "2024-01-01T00:00:00.1234560Z",
            "2024-01-01T00:00:00.1234560Z",
        );
        let naive = "timestamp without time zone";
        check(MOMENT, naive, "2024-01-01T00:00:00.5+00:00", "2024-01-01T00:00:00.5+00:00");
        check(MOMENT, naive, "2024-01-01T00:00:00.5+05:45", "2023-12-31T18:15:00.5");
        check(MOMENT, naive, "2024-01-01T00:00:00-01:00", "2024-01-01T01:00:00");
        check(MOMENT, naive, "-infinity", "-infinity");
        check(MOMENT, naive, "10000-01-01T00:00:00+00:00", "10000-01-01T00:00:00+00:00");
        check(TIME, "time without time zone", "24:00:00", "24:00:00");
        check(TIME, "time without time zone", "06:00:00+00:00", "06:00:00+00:00");
        check(TIME, "time with time zone", "06:00:00+05:45", "06:00:00+05:45");
    }

    #[test]
    fn refuses_what_postgres_would_change_without_a_word() {
        let check = |schema: &str, sql: &str, cell: &str, part: &str| {
            let reason = encode(schema, sql, cell, false);
            assert!(reason.contains(part), "{sql} <- {cell}: {reason}");
        };
        check(NUMBER, "numeric(10,2)", "1.005", "more decimal digits");
        check(NUMBER, "numeric(10,2)", "-1e-3", "more decimal digits");
        check(NUMBER, "numeric(3,-2)", "150", "more decimal digits");
        check(STRING, "character varying(2)", "ab  ", "longer");
        check(STRING, "name", &"é".repeat(40), "longer");
        check(NUMBER, "real", "123456789.12", "change the number");
        check(NUMBER, "double precision", "0.12345678901234567891", "change the number");
        check(r#"{"type":"integer"}"#, "real", "16777217", "change the number");
        check(
            r#"{"type":"array"}"#,
            "double precision[]",
            "[0.5,0.12345678901234567891]",
            "change the number",
        );
        check(r#"{"type":"array"}"#, "bytea[]", r#"["cafe"]"#, "bytes");
        check(r#"{"type":"array"}"#, "boolean[]", "[1]", "boolean");
        check(STRING, "text", "a\0b", "U+0000");
        check("{}", "jsonb", r#"["\u0000"]"#, "U+0000");
        check(MOMENT, "timestamp with time zone", "yesterday", "not a date");
        check(MOMENT, "timestamp with time zone", "2024-01-01T00:00:00.1234567Z", "fraction");
        check(TIME, "time without time zone", "06:00:00+05:45", "offset");
        check(MOMENT, "timestamp without time zone", "12024-01-01T00:00:00+01:00", "offset");
        check(r#"{"type":"string","contentEncoding":"base16"}"#, "bytea", "abc", "pairs");
    }

    #[test]
    fn replaces_nul_when_told() {
        assert_eq!(encode(STRING, "text", "a\0b", true), "a\u{fffd}b");
        assert_eq!(
            encode("{}", "jsonb", r#"["\u0000\\u0000"]"#, true),
            "[\"\u{fffd}\\\\\\\\u0000\"]"
        );
        assert_eq!(mark_hex(br#"["00",null]"#), br#"["\\x00",null]"#);
    }
}
