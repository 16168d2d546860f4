//! From a field of COPY text to the canonical text of a cell (pure).

use singer::scan::{DEPTH_MAX, Scanner};
use singer::{Error, ErrorKind, Result};

use crate::{array, copy_text};

/// What the COPY text of a type needs to become canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Nothing; digits.
    Digits,
    /// Nothing, unless it is `NaN` or infinite.
    Number,
    /// `t` and `f` become `true` and `false`.
    Boolean,
    /// Nothing; the text has no backslash.
    Plain,
    /// Escapes are taken back.
    Text,
    /// `T` and an offset of zero are put in.
    Timestamp,
    /// `T` is put in, and the minutes of the offset.
    TimestampWithZone,
    /// The minutes of the offset are put in.
    TimeWithZone,
    /// The `\x` in front goes.
    Bytes,
    /// Escapes and white space between tokens go.
    Json,
    /// The literal becomes a JSON array.
    Array {
        /// What the elements need.
        element: Box<Conversion>,
        /// What stands between elements.
        delimiter: u8,
    },
}

/// What becomes of `NaN` and the infinities of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NanPolicy {
    /// They stay, as JSON strings.
    #[default]
    String,
    /// They become null.
    Null,
    /// They are refused.
    Fail,
}

/// Memory that conversions use again.
#[derive(Debug, Default)]
pub struct Scratch {
    literal: Vec<u8>,
    element: Vec<u8>,
    json: Vec<u8>,
}

/// Tells whether the text of a number is `NaN` or infinite.
#[inline]
pub fn is_not_finite(text: &[u8]) -> bool {
    matches!(text, [b'N' | b'I', ..] | [b'-', b'I', ..])
}

impl Conversion {
    /// Tells whether the field itself is the canonical text, for a number if it is finite.
    #[inline]
    pub fn is_copy(&self) -> bool {
        matches!(self, Self::Digits | Self::Number | Self::Plain)
    }

    /// Appends the canonical text of a field of COPY text that is not null.
    pub fn convert(
        &self,
        field: &[u8],
        policy: NanPolicy,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self {
            Self::Text => copy_text::unescape(field, out),
            Self::Bytes => out.extend_from_slice(hex_of(field.get(1..).unwrap_or(field))?),
            Self::Json => {
                let start = out.len();
                copy_text::unescape(field, out);
                compact(out, start);
                check_json(&out[start..])?;
            }
            Self::Array { element, delimiter } => {
                let Scratch { literal, element: one, json } = scratch;
                literal.clear();
                copy_text::unescape(field, literal);
                if **element == Self::Json && literal.starts_with(b"{{") {
                    return Err(refused(
                        "an array of JSON values has dimensions, which a JSON array cannot \
                         distinguish from values that are arrays (`arrays_as: text` can)",
                    ));
                }
                let start = out.len();
                array::to_json(literal, *delimiter, one, out, &mut |text, quoted, out| {
                    if quoted && text == b"null" && **element == Self::Json {
                        return Err(refused(
                            "an element is the JSON value null, which a JSON array cannot \
                             distinguish from SQL NULL (`arrays_as: text` can)",
                        ));
                    }
                    element.element(text, policy, json, out)
                })?;
                if **element == Self::Json {
                    check_json(&out[start..])?;
                }
            }
            _ => self.value(field, policy, out)?,
        }
        Ok(())
    }

    /// Appends the canonical text of a value without escapes.
    #[inline]
    fn value(&self, text: &[u8], policy: NanPolicy, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Boolean => out.extend_from_slice(match text {
                b"t" => b"true",
                b"f" => b"false",
                _ => return Err(refused("a boolean is neither t nor f")),
            }),
            Self::Number => {
                if policy == NanPolicy::Fail && is_not_finite(text) {
                    return Err(refused(
                        "a number is not finite, which `nan_policy: fail` refuses",
                    ));
                }
                out.extend_from_slice(text);
            }
            Self::Timestamp | Self::TimestampWithZone => timestamp(text, self, out),
            Self::TimeWithZone => zoned(text, out),
            Self::Bytes => out.extend_from_slice(hex_of(text)?),
            _ => out.extend_from_slice(text),
        }
        Ok(())
    }

    /// Appends the JSON text of an element of an array.
    fn element(
        &self,
        text: &[u8],
        policy: NanPolicy,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        match self {
            Self::Digits | Self::Boolean => self.value(text, policy, out),
            Self::Number if !is_not_finite(text) => self.value(text, policy, out),
            Self::Number if policy == NanPolicy::Null => {
                out.extend_from_slice(b"null");
                Ok(())
            }
            Self::Json => {
                let start = out.len();
                out.extend_from_slice(text);
                compact(out, start);
                Ok(())
            }
            Self::Text | Self::Plain => {
                quote(text, out);
                Ok(())
            }
            _ => {
                scratch.clear();
                self.value(text, policy, scratch)?;
                quote(scratch, out);
                Ok(())
            }
        }
    }
}

/// `2022-03-19 06:04:19.22+00 BC`: puts `T` and a whole offset in; leaves `infinity` alone.
fn timestamp(text: &[u8], conversion: &Conversion, out: &mut Vec<u8>) {
    let Some(space) = memchr::memchr(b' ', text) else {
        out.extend_from_slice(text);
        return;
    };
    let (rest, era) = match text.strip_suffix(b" BC") {
        Some(rest) => (rest, " BC"),
        None => (text, ""),
    };
    out.extend_from_slice(&rest[..space]);
    out.push(b'T');
    let time = &rest[space + 1..];
    if *conversion == Conversion::Timestamp {
        out.extend_from_slice(time);
        out.extend_from_slice(b"+00:00");
    } else {
        zoned(time, out);
    }
    out.extend_from_slice(era.as_bytes());
}

/// `06:04:19+00`: puts the minutes of the offset in.
fn zoned(time: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(time);
    if matches!(time, [.., b'+' | b'-', _, _]) {
        out.extend_from_slice(b":00");
    }
}

fn hex_of(text: &[u8]) -> Result<&[u8]> {
    text.strip_prefix(b"\\x").ok_or_else(|| refused("bytes are not in hex format"))
}

/// Takes white space outside strings out of the JSON text from `start` on.
fn compact(out: &mut Vec<u8>, start: usize) {
    let mut to = start;
    let mut at = start;
    let mut in_string = false;
    while at < out.len() {
        let byte = out[at];
        if in_string {
            if byte == b'\\' && at + 1 < out.len() {
                out[to] = byte;
                to += 1;
                at += 1;
            } else if byte == b'"' {
                in_string = false;
            }
        } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
            continue;
        } else if byte == b'"' {
            in_string = true;
        }
        out[to] = out[at];
        to += 1;
        at += 1;
    }
    out.truncate(to);
}

/// Refuses what Postgres keeps in a `json` as it came, and no reader of the pipe takes: half a
/// surrogate pair, and values nested without end. Others are looked through, not read.
fn check_json(text: &[u8]) -> Result<()> {
    let escapes = || memchr::memchr(b'\\', text).is_some();
    let units = || memchr::memmem::find(text, b"\\u").is_some();
    let deep = || memchr::memchr2_iter(b'[', b'{', text).nth(DEPTH_MAX).is_some();
    if !(escapes() && units() || text.len() > DEPTH_MAX && deep()) {
        return Ok(());
    }
    Scanner::new(text).value().map(drop).map_err(|fault| {
        refused(fault.what).hint(
            "Postgres accepts such JSON, but other programs cannot read it: correct the value, \
             leave the column out, or set `max_rejects` to allow rejected rows",
        )
    })
}

/// Appends a JSON string.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot convert a value").with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(conversion: &Conversion, field: &str, policy: NanPolicy) -> Result<String> {
        let mut out = b"before ".to_vec();
        conversion.convert(field.as_bytes(), policy, &mut Scratch::default(), &mut out)?;
        Ok(String::from_utf8(out[7..].to_vec()).unwrap())
    }

    fn of(element: Conversion) -> Conversion {
        Conversion::Array { element: Box::new(element), delimiter: b',' }
    }

    #[test]
    fn fields_become_canonical() {
        let check = |conversion: &Conversion, field: &str, expected: &str| {
            let seen = run(conversion, field, NanPolicy::String).unwrap();
            assert_eq!(seen, expected, "{conversion:?} {field}");
        };
        check(&Conversion::Boolean, "t", "true");
        check(&Conversion::Number, "NaN", "NaN");
        check(&Conversion::Text, "a\\tb\\\\c", "a\tb\\c");
        check(&Conversion::Timestamp, "2022-03-19 06:04:19.22", "2022-03-19T06:04:19.22+00:00");
        check(&Conversion::Timestamp, "0044-03-15 01:02:03 BC", "0044-03-15T01:02:03+00:00 BC");
        check(&Conversion::Timestamp, "-infinity", "-infinity");
        let zoned = Conversion::TimestampWithZone;
        check(&zoned, "2022-03-19 06:04:19+00", "2022-03-19T06:04:19+00:00");
        check(&zoned, "10000-01-01 00:00:00+00", "10000-01-01T00:00:00+00:00");
        check(&zoned, "0044-03-15 01:02:03+00 BC", "0044-03-15T01:02:03+00:00 BC");
        check(&Conversion::TimeWithZone, "24:00:00-08", "24:00:00-08:00");
        check(&Conversion::TimeWithZone, "01:02:03+05:45", "01:02:03+05:45");
        check(&Conversion::TimeWithZone, "01:02:03+05:45:15", "01:02:03+05:45:15");
        check(&Conversion::Bytes, "\\\\x00ff", "00ff");
        check(&Conversion::Bytes, "\\\\x", "");
        check(&Conversion::Json, r#"{"a b": [1, "x \\" y", {}]}"#, r#"{"a b":[1,"x \" y",{}]}"#);
        check(&Conversion::Json, " null ", "null");
        check(&Conversion::Json, r#""\\ud83d\\ude00""#, r#""\ud83d\ude00""#);
        check(&Conversion::Json, r#""\\\\ud800""#, r#""\\ud800""#);
        let deep = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        check(&Conversion::Json, &deep, &deep);
        let wide = format!("[{}0]", "[],".repeat(2 * DEPTH_MAX));
        check(&Conversion::Json, &wide, &wide);
        check(&of(Conversion::Digits), "{1,NULL}", "[1,null]");
        check(&of(Conversion::Number), "{1.50,NaN,-Infinity}", r#"[1.50,"NaN","-Infinity"]"#);
        check(&of(Conversion::Boolean), "{t,f}", "[true,false]");
        check(&of(Conversion::Text), r#"{"a\nb","q\\"x",plain}"#, r#"["a\nb","q\"x","plain"]"#);
        check(
            &of(Conversion::Timestamp),
            r#"{"2022-03-19 06:04:19"}"#,
            r#"["2022-03-19T06:04:19+00:00"]"#,
        );
        check(&of(Conversion::Bytes), r#"{"\\\\x00ff"}"#, r#"["00ff"]"#);
        check(&of(Conversion::Json), r#"{"{\\"a\\": 1}",NULL,1}"#, r#"[{"a":1},null,1]"#);
    }

    #[test]
    fn what_cannot_travel_is_refused() {
        let check = |conversion: &Conversion, field: &str, policy| {
            let failure = run(conversion, field, policy).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Data, "{conversion:?} {field}");
        };
        check(&Conversion::Number, "NaN", NanPolicy::Fail);
        check(&of(Conversion::Number), "{Infinity}", NanPolicy::Fail);
        check(&of(Conversion::Json), r#"{"null"}"#, NanPolicy::String);
        check(&of(Conversion::Json), "{{1,2}}", NanPolicy::String);
        check(&of(Conversion::Digits), "[2:3]={1,2}", NanPolicy::String);
        check(&Conversion::Boolean, "yes", NanPolicy::String);
        check(&Conversion::Json, r#"["a\\ud800"]"#, NanPolicy::String);
        check(&Conversion::Json, r#"{"\\udc00\\ud83d":1}"#, NanPolicy::String);
        check(&of(Conversion::Json), r#"{"\\"\\\\ud800\\""}"#, NanPolicy::String);
        let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
        check(&Conversion::Json, &deep(DEPTH_MAX + 1), NanPolicy::String);
    }

    #[test]
    fn numbers_that_are_none_can_be_null() {
        let seen = run(&of(Conversion::Number), "{1,NaN}", NanPolicy::Null).unwrap();
        assert_eq!(seen, "[1,null]");
    }
}
