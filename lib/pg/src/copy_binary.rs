//! The binary format of COPY: fields of values whose text leaves no doubt of what the server makes
//! of it (pure).

use std::str::FromStr;

use crate::moments::{self, Moment};

/// What the data begins with: the signature, and that there are neither flags nor an extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What stands behind the last row, where another one would have its number of fields.
pub const END: [u8; 2] = [0xff; 2];
/// The field that stands for null.
pub const NULL: [u8; 4] = [0xff; 4];

/// A type of the server whose binary form is written here, with any modifier: the server holds
/// values to it in both formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `boolean`: `true` or `false`.
    Boolean,
    /// `smallint`.
    Smallint,
    /// `integer`.
    Integer,
    /// `bigint`.
    Bigint,
    /// `real`.
    Real,
    /// `double precision`.
    Double,
    /// `numeric`, without an exponent.
    Numeric,
    /// `date`: `YYYY-MM-DD`.
    Date,
    /// `time without time zone`: `HH:MM:SS[.fraction]`.
    Time,
    /// `timestamp without time zone`, of a text without an offset or with one of zero.
    Timestamp,
    /// The same, of a text whose offset counts: the time in UTC is stored.
    Utc,
    /// `timestamp with time zone`, of a text with an offset.
    Timestamptz,
    /// `uuid`, with its hyphens.
    Uuid,
    /// `bytea`: hexadecimal digits without a mark before them.
    Bytea,
    /// Any type whose binary form is its text.
    Text,
    /// `jsonb`.
    Jsonb,
}

impl Type {
    /// Finds a built-in type by the name that `format_type` prints without a modifier.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "smallint" => Self::Smallint,
            "integer" => Self::Integer,
            "bigint" => Self::Bigint,
            "real" => Self::Real,
            "double precision" => Self::Double,
            "numeric" => Self::Numeric,
            "date" => Self::Date,
            "time without time zone" => Self::Time,
            "timestamp without time zone" => Self::Timestamp,
            "timestamp with time zone" => Self::Timestamptz,
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytea,
            "text" | "character varying" | "character" | "bpchar" | "json" => Self::Text,
            "jsonb" => Self::Jsonb,
            _ => return None,
        })
    }

    /// Returns how many nanoseconds of the server's time this form of a value saves, as measured
    /// on Postgres 15. Short text takes longer.
    pub fn gain(self) -> i32 {
        match self {
            Self::Text => -20,
            Self::Smallint => 0,
            Self::Boolean => 10,
            Self::Integer | Self::Bigint | Self::Numeric => 40,
            Self::Real | Self::Double | Self::Bytea | Self::Jsonb => 200,
            Self::Date | Self::Time => 300,
            Self::Timestamp | Self::Utc | Self::Timestamptz | Self::Uuid => 500,
        }
    }

    /// Appends the field of a value. Tells whether that is what the server makes of the text; if it
    /// is not, or that is not sure, what was appended means nothing.
    #[inline]
    pub fn push(self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let pushed = match self {
            Self::Boolean => boolean(text).map(|value| fixed([value], out)),
            Self::Smallint => narrow(text).map(|value: i16| fixed(value.to_be_bytes(), out)),
            Self::Integer => narrow(text).map(|value: i32| fixed(value.to_be_bytes(), out)),
            Self::Bigint => integer(text).map(|value| fixed(value.to_be_bytes(), out)),
            Self::Real => {
                float(text, f32::from_bits(0x7fc0_0000)).map(|it| fixed(it.to_be_bytes(), out))
            }
            Self::Double => float(text, f64::from_bits(0x7ff8_0000_0000_0000))
                .map(|it| fixed(it.to_be_bytes(), out)),
            Self::Numeric => numeric(text, out),
            Self::Date => moments::date(text).map(|days| fixed(days.to_be_bytes(), out)),
            Self::Time => moments::time(text).map(|micros| fixed(micros.to_be_bytes(), out)),
            Self::Timestamp => Moment::parse(text)
                .and_then(Moment::without_offset)
                .map(|micros| fixed(micros.to_be_bytes(), out)),
            Self::Utc => Moment::parse(text)
                .and_then(|moment| moment.in_utc().or(moment.without_offset()))
                .map(|micros| fixed(micros.to_be_bytes(), out)),
            Self::Timestamptz => Moment::parse(text)
                .and_then(Moment::in_utc)
                .map(|micros| fixed(micros.to_be_bytes(), out)),
            Self::Uuid => uuid(text).map(|value| fixed(value, out)),
            Self::Bytea => hex(text, out),
            Self::Text => characters(b"", text, out),
            // The version of the form.
            Self::Jsonb => characters(&[1], text, out),
        };
        pushed.is_some()
    }
}

/// The number by which the server knows `smallint`.
const SMALLINT_OID: u32 = 21;

/// Appends the field of an array of type `smallint[]`; nothing for no number.
pub fn smallints(numbers: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    let start = out.len();
    let mut count = 0_u32;
    for number in numbers {
        if count == 0 {
            // Length, dimensions, whether there are nulls, type, count, and the first index.
            for head in [0, 1, 0, SMALLINT_OID, 0, 1] {
                out.extend_from_slice(&u32::to_be_bytes(head));
            }
        }
        count += 1;
        fixed(u16::try_from(number).unwrap_or(u16::MAX >> 1).to_be_bytes(), out);
    }
    if count > 0 {
        let bytes = 20 + 6 * count;
        out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
        out[start + 16..start + 20].copy_from_slice(&count.to_be_bytes());
    }
}

#[inline]
fn fixed<const N: usize>(value: [u8; N], out: &mut Vec<u8>) {
    length(N, out);
    out.extend_from_slice(&value);
}

/// Appends a length, which a batch of rows keeps far below the limit of the type.
#[inline]
fn length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX >> 1).to_be_bytes());
}

#[inline]
fn characters(before: &[u8], text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if memchr::memchr(0, text).is_some() {
        return None;
    }
    length(before.len() + text.len(), out);
    out.extend_from_slice(before);
    out.extend_from_slice(text);
    Some(())
}

fn boolean(text: &[u8]) -> Option<u8> {
    match text {
        b"true" => Some(1),
        b"false" => Some(0),
        _ => None,
    }
}

/// Reads digits, as many as surely fit.
#[inline]
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        None => digits(text)?.try_into().ok(),
        Some(text) => 0_i64.checked_sub_unsigned(digits(text)?),
    }
}

#[inline]
fn narrow<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
    integer(text)?.try_into().ok()
}

/// Returns the text of a number in digits, and whether one of its mantissa is not zero.
fn number(text: &[u8]) -> Option<(&str, bool)> {
    let first = if text.first() == Some(&b'-') { text.get(1) } else { text.first() };
    if !first.is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let some = mantissa.into_iter().any(|byte| matches!(byte, b'1'..=b'9'));
    Some((std::str::from_utf8(text).ok()?, some))
}

/// Reads a float as the server does, rounded to the nearest; it refuses what is too large and what
/// becomes zero.
///
/// `nan` is the one that the server stores.
fn float<T: FromStr + Into<f64> + Copy>(text: &[u8], nan: T) -> Option<T> {
    let (text, some) = match text {
        b"NaN" => return Some(nan),
        b"Infinity" | b"-Infinity" => return std::str::from_utf8(text).ok()?.parse().ok(),
        _ => number(text)?,
    };
    let value: T = text.parse().ok()?;
    let exact: f64 = value.into();
    (exact.is_finite() && some == (exact.abs() > 0.0)).then_some(value)
}

/// So much text of a number is written as digits; the server takes more, up to limits of its own.
const NUMERIC_BYTES_MAX: usize = 1000;

/// Appends a number without an exponent: digits of base 10,000, and how many stand behind the
/// point in its text.
fn numeric(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (sign, text) = match text.strip_prefix(b"-") {
        None => (0_u16, text),
        Some(text) => (0x4000, text),
    };
    let point = memchr::memchr(b'.', text);
    let (whole, fraction) = match point {
        None => (text, &text[text.len()..]),
        Some(at) => (&text[..at], &text[at + 1..]),
    };
    let is_bare = whole.is_empty() || point.is_some() && fraction.is_empty();
    if is_bare || text.len() > NUMERIC_BYTES_MAX {
        return None;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 12]);
    let (first, groups) = whole.split_at(whole.len() % 4);
    if !first.is_empty() {
        group(first, 1, out)?;
    }
    groups.chunks_exact(4).try_for_each(|four| group(four, 1, out))?;
    let groups = fraction.chunks_exact(4);
    let last = groups.remainder();
    for four in groups {
        group(four, 1, out)?;
    }
    if !last.is_empty() {
        group(last, [0, 1000, 100, 10][last.len()], out)?;
    }
    let bytes = out.len() - start - 4;
    let head = &mut out[start..start + 12];
    let short = |number: usize| u16::try_from(number).ok().map(u16::to_be_bytes);
    head[..4].copy_from_slice(&u32::try_from(bytes).ok()?.to_be_bytes());
    head[4..6].copy_from_slice(&short((bytes - 8) / 2)?);
    head[6..8].copy_from_slice(&short(whole.len().div_ceil(4) - 1)?);
    head[8..10].copy_from_slice(&sign.to_be_bytes());
    head[10..].copy_from_slice(&short(fraction.len())?);
    Some(())
}

/// Appends up to four digits as one of base 10,000.
#[inline]
fn group(text: &[u8], unit: u16, out: &mut Vec<u8>) -> Option<()> {
    let mut value = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u16::from(digit);
    }
    out.extend_from_slice(&(value * unit).to_be_bytes());
    Some(())
}

#[inline]
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    if text.len() != 36 || hyphens.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut value = [0; 16];
    let mut at = 0;
    for byte in &mut value {
        at += usize::from(text[at] == b'-');
        *byte = nibble(text[at])? << 4 | nibble(text[at + 1])?;
        at += 2;
    }
    Some(value)
}

/// Appends bytes that come as hexadecimal digits, without a mark before them.
fn hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    length(pairs.len(), out);
    for pair in pairs {
        out.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Type, text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        kind.push(text.as_bytes(), &mut out).then_some(out)
    }

    #[test]
    fn writes_values_as_the_server_sends_them() {
        let check = |kind: Type, text: &str, expected: &[u8]| {
            let mut whole = u32::try_from(expected.len()).unwrap().to_be_bytes().to_vec();
            whole.extend_from_slice(expected);
            assert_eq!(field(kind, text), Some(whole), "{kind:?} {text}");
        };
        check(Type::Boolean, "true", &[1]);
        check(Type::Smallint, "-32768", &[0x80, 0]);
        check(Type::Integer, "0065536", &[0, 1, 0, 0]);
        check(Type::Bigint, "-9223372036854775808", &[0x80, 0, 0, 0, 0, 0, 0, 0]);
        check(Type::Real, "0.1", &0x3dcc_cccd_u32.to_be_bytes());
        check(Type::Double, "-0.0", &[0x80, 0, 0, 0, 0, 0, 0, 0]);
        check(Type::Double, "5e-324", &[0, 0, 0, 0, 0, 0, 0, 1]);
        check(Type::Double, "NaN", &[0x7f, 0xf8, 0, 0, 0, 0, 0, 0]);
        check(Type::Numeric, "-12345.6070", &[0, 3, 0, 1, 0x40, 0, 0, 4, 0, 1, 9, 41, 23, 182]);
        check(Type::Numeric, "0.5", &[0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0x13, 0x88]);
        check(Type::Date, "1999-12-31", &[0xff; 4]);
        check(Type::Timestamp, "2000-01-01T00:00:01", &1_000_000_i64.to_be_bytes());
        check(Type::Utc, "2000-01-01T05:45:00.5+05:45", &500_000_i64.to_be_bytes());
        check(Type::Utc, "2000-01-01T00:00:00.5", &500_000_i64.to_be_bytes());
        check(Type::Timestamptz, "2000-01-01 00:00:00-00:01", &60_000_000_i64.to_be_bytes());
        check(Type::Uuid, "00010203-0405-0607-0809-0a0B0c0d0e0f", &(0..16).collect::<Vec<u8>>());
        check(Type::Bytea, "00fF", &[0, 0xff]);
        check(Type::Text, "a\\\t\u{e9}", "a\\\t\u{e9}".as_bytes());
        check(Type::Text, "", b"");
        check(Type::Jsonb, "[1]", b"\x01[1]");
    }

    #[test]
    fn leaves_what_is_not_plain_to_the_server() {
        for (kind, text) in [
            (Type::Boolean, "t"),
            (Type::Smallint, "32768"),
            (Type::Integer, "-2147483649"),
            (Type::Integer, "1e3"),
            (Type::Integer, " 1"),
            (Type::Integer, "+1"),
            (Type::Integer, ""),
            (Type::Integer, "-"),
            (Type::Bigint, "9223372036854775808"),
            (Type::Bigint, "00000000000000000001"),
            (Type::Real, "3.5e38"),
            (Type::Real, "1e-60"),
            (Type::Double, "1e400"),
            (Type::Double, "1e-400"),
            (Type::Double, "nan"),
            (Type::Double, "0x10"),
            (Type::Double, "inf"),
            (Type::Numeric, "1e3"),
            (Type::Numeric, "NaN"),
            (Type::Numeric, "1."),
            (Type::Numeric, ".5"),
            (Type::Numeric, "1.5.2"),
            (Type::Numeric, ""),
            (Type::Timestamp, "2000-01-01T00:00:00+01:00"),
            (Type::Timestamptz, "2000-01-01T00:00:00"),
            (Type::Uuid, "{00010203-0405-0607-0809-0a0b0c0d0e0f}"),
            (Type::Uuid, "000102030405-0607-0809-0a0b0c0d0e0f-"),
            (Type::Bytea, "abc"),
            (Type::Bytea, "\\x00"),
            (Type::Text, "a\0"),
            (Type::Jsonb, "\0"),
        ] {
            assert_eq!(field(kind, text), None, "{kind:?} {text}");
        }
    }
}
