//! The one text of a value, whatever its stream, its type and its spelling: what hashes and tokens
//! are made of.
//!
//! Numbers lose zeros that say nothing, so that `1`, `1.0` and `10e-1` are one value; moments with
//! an offset are in UTC; JSON has its members in order. Texts stay as they are, so that the text
//! `1` and the number 1 are one value, and the text `1.0` is another one.

use singer::Kind;
use singer::quote::string_into;
use singer::scan::{Fault, Scanner, Token};

/// Up to so many digits a number is written without an exponent.
const PLAIN_DIGITS_MAX: i64 = 40;

/// Appends the one text of a value, which is canonical for its kind.
pub(crate) fn normal_into(kind: Kind, text: &[u8], out: &mut Vec<u8>) {
    match kind {
        Kind::Integer | Kind::Number => number_into(text, out),
        Kind::DateTime => moment_into(text, out),
        Kind::Time => time_into(text, out),
        Kind::Json => json_into(text, out),
        Kind::Boolean | Kind::String | Kind::Date => out.extend_from_slice(text),
    }
}

/// Tells whether the text of a value of this kind is always its one text.
pub(crate) fn is_always_normal(kind: Kind) -> bool {
    matches!(kind, Kind::Boolean | Kind::String | Kind::Date)
}

/// Appends a number without zeros that say nothing.
fn number_into(text: &[u8], out: &mut Vec<u8>) {
    if let Some(short) = plain(text) {
        out.extend_from_slice(short);
        return;
    }
    let Some(number) = Decimal::read(text) else {
        out.extend_from_slice(text);
        return;
    };
    number.write(out);
}

/// Returns a number that is written without an exponent, as most are, without zeros that say
/// nothing; `None` for others.
fn plain(text: &[u8]) -> Option<&[u8]> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if text.len() > 40 || !text.iter().all(is_plain) {
        return None;
    }
    if !text.contains(&b'.') {
        return (text != b"-0").then_some(text);
    }
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    let short = &text[..text.len() - zeros];
    let short = short.strip_suffix(b".").unwrap_or(short);
    (short != b"-0").then_some(short)
}

/// A decimal number, exact: digits without zeros at either end, and the power of ten of the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    /// It is below zero.
    pub negative: bool,
    /// ASCII digits; none for zero.
    pub digits: Vec<u8>,
    /// The power of ten of the last digit.
    pub scale: i64,
}

impl Decimal {
    /// Reads a JSON number; `None` for `NaN`, infinities, and exponents beyond all use.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let end = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, power) = match end {
            Some(end) => {
                let power = std::str::from_utf8(&text[end + 1..]).ok()?;
                (&text[..end], power.parse::<i32>().ok()?)
            }
            None => (text, 0),
        };
        let dot = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let (whole, fraction) = (&mantissa[..dot], mantissa.get(dot + 1..).unwrap_or_default());
        let mut digits = [whole, fraction].concat();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut scale = i64::from(power) - i64::try_from(fraction.len()).ok()?;
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        while digits.last() == Some(&b'0') {
            digits.pop();
            scale += 1;
        }
        if digits.is_empty() {
            return Some(Self { negative: false, digits, scale: 0 });
        }
        Some(Self { negative, digits, scale })
    }

    fn length(&self) -> i64 {
        i64::try_from(self.digits.len()).unwrap_or(i64::MAX)
    }

    /// Appends it as a JSON number.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(b'0');
            return;
        }
        if self.negative {
            out.push(b'-');
        }
        let length = self.length();
        let point = length + self.scale;
        let zeros = |count: i64, out: &mut Vec<u8>| (0..count).for_each(|_| out.push(b'0'));
        if self.scale == 0 || self.scale > 0 && point <= PLAIN_DIGITS_MAX {
            out.extend_from_slice(&self.digits);
            zeros(self.scale, out);
        } else if self.scale < 0 && point > 0 {
            let at = usize::try_from(point).unwrap_or_default();
            out.extend_from_slice(&self.digits[..at]);
            out.push(b'.');
            out.extend_from_slice(&self.digits[at..]);
        } else if self.scale < 0 && -self.scale <= PLAIN_DIGITS_MAX {
            out.extend_from_slice(b"0.");
            zeros(-point, out);
            out.extend_from_slice(&self.digits);
        } else {
            out.extend_from_slice(&self.digits);
            out.extend_from_slice(format!("e{}", self.scale).as_bytes());
        }
    }

    /// Tells whether it has a fraction.
    pub(crate) fn has_fraction(&self) -> bool {
        self.scale < 0
    }

    /// Returns it times a power of ten, where that is an integer that fits.
    pub(crate) fn scaled(&self, power: i64) -> Option<i128> {
        let zeros = u32::try_from(self.scale.checked_add(power)?).ok()?;
        let digits: i128 = match std::str::from_utf8(&self.digits).ok()? {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        let value = digits.checked_mul(10_i128.checked_pow(zeros)?)?;
        Some(if self.negative { -value } else { value })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let signs = sign(self).cmp(&sign(other));
        if signs.is_ne() || self.digits.is_empty() {
            return signs;
        }
        let sizes = (self.length() + self.scale).cmp(&(other.length() + other.scale));
        // Digits without zeros at the end: of two that begin alike, the longer one is larger.
        let sizes = sizes.then_with(|| self.digits.cmp(&other.digits));
        if self.negative { sizes.reverse() } else { sizes }
    }
}

/// Appends a moment: with an offset in UTC, else as it is, with a `T` and no zeros behind.
fn moment_into(text: &[u8], out: &mut Vec<u8>) {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| {
        let moment = text.parse::<jiff::Timestamp>().ok().map(|at| at.to_string());
        moment.or_else(|| text.parse::<jiff::civil::DateTime>().ok().map(|at| at.to_string()))
    });
    match parsed {
        Some(parsed) => out.extend_from_slice(parsed.as_bytes()),
        None => out.extend_from_slice(text),
    }
}

/// Appends a time without zeros at the end of its fraction; an offset of zero is `Z`.
fn time_into(text: &[u8], out: &mut Vec<u8>) {
    let offset = text.iter().position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
    let (time, offset) = text.split_at(offset.unwrap_or(text.len()));
    let time = match time.iter().position(|byte| *byte == b'.') {
        Some(_) => {
            let zeros = time.iter().rev().take_while(|byte| **byte == b'0').count();
            let time = &time[..time.len() - zeros];
            time.strip_suffix(b".").unwrap_or(time)
        }
        None => time,
    };
    out.extend_from_slice(time);
    match offset {
        b"z" | b"+00:00" | b"-00:00" | b"+00" | b"-00" => out.push(b'Z'),
        offset => out.extend_from_slice(offset),
    }
}

/// Appends JSON with its members in the order of their names. A string is its characters, as in a
/// column of strings.
fn json_into(text: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut scanner = Scanner::new(text);
    scanner.space();
    let done = match scanner.clone().value() {
        Ok(Token::String(quoted)) => {
            quoted.unescape_into(out);
            Ok(())
        }
        _ => value_into(&mut scanner, out),
    };
    if done.is_err() {
        out.truncate(start);
        out.extend_from_slice(text);
    }
}

fn value_into(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match scanner.peek() {
        Some(b'{') => {
            let mut members: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut more = scanner.open(b'{', b'}')?;
            while more {
                let (mut name, mut value) = (Vec::new(), Vec::new());
                scanner.key()?.unescape_into(&mut name);
                value_into(scanner, &mut value)?;
                members.push((name, value));
                more = scanner.more(b'}')?;
            }
            // Of members of one name the last one counts, as for most readers.
            members.reverse();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.dedup_by(|later, first| later.0 == first.0);
            out.push(b'{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string_into(name, out);
                out.push(b':');
                out.extend_from_slice(value);
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let mut more = scanner.open(b'[', b']')?;
            out.push(b'[');
            while more {
                value_into(scanner, out)?;
                more = scanner.more(b']')?;
                if more {
                    out.push(b',');
                }
            }
            out.push(b']');
        }
        _ => match scanner.value()? {
            Token::String(quoted) => {
                let mut text = Vec::new();
                quoted.unescape_into(&mut text);
                string_into(&text, out);
            }
            Token::Integer(digits) | Token::Decimal(digits) => number_into(digits, out),
            Token::Boolean(true) => out.extend_from_slice(b"true"),
            Token::Boolean(false) => out.extend_from_slice(b"false"),
            _ => out.extend_from_slice(b"null"),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(kind: Kind, text: &str) -> String {
        let mut out = Vec::new();
        normal_into(kind, text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_value_has_one_text() {
        for (kind, text, expected) in [
            (Kind::Integer, "1", "1"),
            (Kind::Integer, "-0", "0"),
            (Kind::Integer, "1500", "1500"),
            (Kind::Number, "1.0", "1"),
            (Kind::Number, "10e-1", "1"),
            (Kind::Number, "1.5E+3", "1500"),
            (Kind::Number, "-0.0500", "-0.05"),
            (Kind::Number, "12.340", "12.34"),
            (Kind::Number, "0.000", "0"),
            (Kind::Number, "1e400", "1e400"),
            (Kind::Number, "100e398", "1e400"),
            (Kind::Number, "1e-400", "1e-400"),
            (Kind::Number, "1e99999999999", "1e99999999999"),
            (Kind::Number, "NaN", "NaN"),
            (Kind::Number, "-Infinity", "-Infinity"),
            (Kind::String, "1.0", "1.0"),
            (Kind::Boolean, "true", "true"),
            (Kind::Date, "2026-01-01", "2026-01-01"),
            (Kind::DateTime, "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"),
            (Kind::DateTime, "2026-01-01 00:00:00.000Z", "2026-01-01T00:00:00Z"),
            (Kind::DateTime, "2026-01-01 00:00:00.500", "2026-01-01T00:00:00.5"),
            (Kind::DateTime, "infinity", "infinity"),
            (Kind::DateTime, "0044-03-15T00:00:00 BC", "0044-03-15T00:00:00 BC"),
            (Kind::Time, "10:00:00.500+00:00", "10:00:00.5Z"),
            (Kind::Time, "10:00:00.000", "10:00:00"),
            (Kind::Json, r#"{"b":1.0,"a":[1,"x"]}"#, r#"{"a":[1,"x"],"b":1}"#),
            (Kind::Json, r#"{"a":1,"\u0061":2}"#, r#"{"a":2}"#),
            (Kind::Json, r#""a\"b""#, "a\"b"),
            (Kind::Json, "1.50", "1.5"),
            (Kind::Json, "[]", "[]"),
            (Kind::Json, "{}", "{}"),
        ] {
            assert_eq!(normal(kind, text), expected, "{text}");
        }
    }

    #[test]
    fn a_normal_text_stays() {
        let numbers = ("-?(0|[1-9][0-9]{0,50})([.][0-9]{1,50})?", -60_i32..60);
        testing::property::holds("normal numbers", 4000, numbers, |(mantissa, power)| {
            let text = format!("{mantissa}e{power}");
            let once = normal(Kind::Number, &text);
            prop_assert_eq!(normal(Kind::Number, &once), once.clone(), "{}", text);
            // The short way and the long one agree.
            for text in [&mantissa, &once] {
                let mut long = Vec::new();
                Decimal::read(text.as_bytes()).unwrap().write(&mut long);
                prop_assert_eq!(normal(Kind::Number, text).into_bytes(), long, "{}", text);
            }
            let (a, b) = (Decimal::read(text.as_bytes()), Decimal::read(once.as_bytes()));
            prop_assert_eq!(a, b, "{}", text);
            Ok(())
        });
    }

    #[test]
    fn numbers_are_compared_exactly() {
        let values = (any::<i64>(), 0_i64..19, any::<i64>(), 0_i64..19);
        testing::property::holds("order of numbers", 4000, values, |(a, i, b, j)| {
            let one = Decimal::read(format!("{a}e-{i}").as_bytes()).unwrap();
            let other = Decimal::read(format!("{b}e-{j}").as_bytes()).unwrap();
            let (x, y) = (one.scaled(18).unwrap(), other.scaled(18).unwrap());
            prop_assert_eq!(one.cmp(&other), x.cmp(&y));
            Ok(())
        });
    }
}
