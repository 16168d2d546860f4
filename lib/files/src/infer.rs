//! Infers the kinds of text columns: never one that would bring a value back with other bytes.

use serde_json::Value;
use singer::Kind;
use singer::schema::NO_VALUES;

/// The kinds that columns may still have, after all values seen so far.
///
/// A value counts as a
/// - boolean: `true`, `false`
/// - integer: digits in canonical form (`0`, `-12`; not `00123`, `+49`, `-0`), within 64 bits
/// - number: the same with a fraction (`1.50`; not `1e5`, `.5`, `1.`, `-0.0`), or a longer integer
/// - date: `YYYY-MM-DD` that the calendar has
/// - time: `HH:MM:SS` with at most 6 digits of fraction, the last not 0
/// - date-time: RFC 3339 with `T`, at most 6 digits of fraction, and `Z` or an offset
///
/// and a column has a kind when all its values have it; integers among numbers are numbers.
/// Anything else is a string, and so is a column without a value, which says that it is a guess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inference {
    columns: Vec<Candidates>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidates(u8);

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const NUMBER: u8 = 4;
const DATE: u8 = 8;
const TIME: u8 = 16;
const DATE_TIME: u8 = 32;
/// No value was seen yet.
const UNSEEN: u8 = 64;
/// The kinds of [`temporal`].
pub(crate) const TEMPORAL: u8 = DATE | TIME | DATE_TIME;
const EVERY: u8 = BOOLEAN | INTEGER | NUMBER | TEMPORAL;

impl Inference {
    /// Starts with columns that have no value.
    pub fn new(width: usize) -> Self {
        Self { columns: vec![Candidates(EVERY | UNSEEN); width] }
    }

    /// Adds columns without a value, up to this many in all.
    pub fn grow(&mut self, width: usize) {
        if self.columns.len() < width {
            self.columns.resize(width, Candidates(EVERY | UNSEEN));
        }
    }

    /// Takes a value into account; nulls are not for here.
    #[inline]
    pub fn see(&mut self, column: usize, text: &[u8]) {
        if let Some(candidates) = self.columns.get_mut(column)
            && candidates.0 != 0
        {
            candidates.0 &= classes(text, candidates.0);
        }
    }

    /// Takes a value into account; returns the kind that the column has lost by it, to be text.
    #[inline]
    pub(crate) fn see_loss(&mut self, column: usize, text: &[u8]) -> Option<Kind> {
        let before = self.columns.get(column)?.0;
        if before == 0 {
            return None;
        }
        self.see(column, text);
        let is_lost = self.columns[column].0 == 0 && before & UNSEEN == 0;
        is_lost.then(|| Candidates(before).kind())
    }

    /// Takes all values of another column into account.
    pub fn merge(&mut self, column: usize, other: &Self, other_column: usize) {
        let Some(theirs) = other.columns.get(other_column) else { return };
        if let Some(ours) = self.columns.get_mut(column)
            && theirs.0 & UNSEEN == 0
        {
            ours.0 &= theirs.0;
        }
    }

    /// Takes the values of the same columns of other rows into account.
    pub(crate) fn join(&mut self, other: &Self) {
        (0..self.columns.len()).for_each(|column| self.merge(column, other, column));
    }

    /// Tells whether a column has no value yet.
    pub(crate) fn is_unseen(&self, column: usize) -> bool {
        self.columns.get(column).is_none_or(|candidates| candidates.0 & UNSEEN != 0)
    }

    /// Returns the JSON Schema of a column.
    pub fn property(&self, column: usize) -> Value {
        let candidates = self.columns.get(column).map_or(0, |candidates| candidates.0);
        if candidates & UNSEEN != 0 { no_values() } else { self.kind(column).property() }
    }

    /// Returns the kind of a column.
    pub fn kind(&self, column: usize) -> Kind {
        self.columns.get(column).map_or(Kind::String, |candidates| candidates.kind())
    }
}

impl Candidates {
    fn kind(self) -> Kind {
        if self.0 & UNSEEN != 0 {
            return Kind::String;
        }
        let kinds = [
            (BOOLEAN, Kind::Boolean),
            (INTEGER, Kind::Integer),
            (NUMBER, Kind::Number),
            (DATE, Kind::Date),
            (TIME, Kind::Time),
            (DATE_TIME, Kind::DateTime),
        ];
        let found = kinds.iter().find(|(bit, _)| self.0 & bit != 0);
        found.map_or(Kind::String, |(_, kind)| *kind)
    }
}

/// Returns the kind of texts that all are of these [`TEMPORAL`] kinds.
pub(crate) fn temporal_kind(kinds: u8) -> Kind {
    let named = [(DATE, Kind::Date), (TIME, Kind::Time), (DATE_TIME, Kind::DateTime)];
    named.iter().find(|(bit, _)| kinds & bit != 0).map_or(Kind::String, |(_, kind)| *kind)
}

/// Returns the JSON Schema of a column without a value.
pub fn no_values() -> Value {
    let mut schema = Kind::String.property();
    schema[NO_VALUES] = Value::Bool(true);
    schema
}

/// Returns which of the candidates a value is.
#[inline]
fn classes(text: &[u8], candidates: u8) -> u8 {
    match text.first() {
        Some(b't') if text == b"true" => BOOLEAN,
        Some(b'f') if text == b"false" => BOOLEAN,
        Some(b'-' | b'0'..=b'9') => {
            let mut found = 0;
            if candidates & (INTEGER | NUMBER) != 0 {
                found = numeric(text);
            }
            if candidates & TEMPORAL != 0 && found == 0 {
                found = temporal(text);
            }
            found
        }
        _ => 0,
    }
}

/// Beyond this many digits Postgres' numeric ends.
const FRACTION_DIGITS_MAX: usize = 16_383;
const WHOLE_DIGITS_MAX: usize = 131_072;

#[inline]
fn numeric(text: &[u8]) -> u8 {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || (whole > 1 && digits[0] == b'0') || whole > WHOLE_DIGITS_MAX {
        return 0;
    }
    let negative = digits.len() < text.len();
    match digits[whole..].split_first() {
        None if negative && digits == b"0" => 0,
        None if whole <= 18 || fits_64_bits(text) => INTEGER | NUMBER,
        None => NUMBER,
        Some((b'.', fraction)) => {
            let plain = !fraction.is_empty()
                && fraction.len() <= FRACTION_DIGITS_MAX
                && fraction.iter().all(u8::is_ascii_digit);
            // A database has no negative zero to give back.
            let zero = digits.iter().all(|byte| matches!(byte, b'0' | b'.'));
            if plain && !(negative && zero) { NUMBER } else { 0 }
        }
        Some(_) => 0,
    }
}

/// Tells whether digits are a 64-bit integer.
pub(crate) fn fits_64_bits(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok())
}

/// Returns which of [`TEMPORAL`] a text is.
pub(crate) fn temporal(text: &[u8]) -> u8 {
    match text.len() {
        10 if is_date(text) => DATE,
        8..=15 if text[2] == b':' => match clock(text) {
            Some(rest) if rest.is_empty() && !(text.len() > 8 && text.ends_with(b"0")) => TIME,
            _ => 0,
        },
        20.. if text[10] == b'T' && is_date(&text[..10]) => match clock(&text[11..]) {
            Some(rest) if is_offset(rest) => DATE_TIME,
            _ => 0,
        },
        _ => 0,
    }
}

/// Reads the digits of a two-digit number.
fn pair(text: &[u8], at: usize) -> Option<u8> {
    let tens = text.get(at)?.wrapping_sub(b'0');
    let ones = text.get(at + 1)?.wrapping_sub(b'0');
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

fn is_date(text: &[u8]) -> bool {
    let parts = (pair(text, 0), pair(text, 2), pair(text, 5), pair(text, 8));
    let (Some(century), Some(year), Some(month), Some(day)) = parts else { return false };
    if text[4] != b'-' || text[7] != b'-' {
        return false;
    }
    let year = u16::from(century) * 100 + u16::from(year);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// Reads `HH:MM:SS[.fraction]`; returns what follows.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (hour, minute, second) = (pair(text, 0)?, pair(text, 3)?, pair(text, 6)?);
    if text[2] != b':' || text[5] != b':' || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = &text[8..];
    let Some(fraction) = rest.strip_prefix(b".") else { return Some(rest) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=6).contains(&digits).then(|| &fraction[digits..])
}

fn is_offset(text: &[u8]) -> bool {
    match text {
        b"Z" => true,
        [b'+' | b'-', _, _, b':', _, _] => {
            let (hours, minutes) = (pair(text, 1), pair(text, 4));
            // Postgres takes offsets up to 15:59; `-00:00` says that the offset is not known.
            hours.is_some_and(|hours| hours <= 15)
                && minutes.is_some_and(|minutes| minutes <= 59)
                && text != b"-00:00"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        let mut inference = Inference::new(1);
        for value in values {
            inference.see(0, value.as_bytes());
        }
        inference.kind(0)
    }

    #[test]
    fn takes_only_values_that_come_back_the_same() {
        let check = |values: &[&str], expected| assert_eq!(kind(values), expected, "{values:?}");
        check(&[], Kind::String);
        check(&[""], Kind::String);
        check(&["true", "false"], Kind::Boolean);
        for value in ["TRUE", "True", "t", "yes", "truer"] {
            check(&[value], Kind::String);
        }
        for value in ["0", "-1", "12", "9223372036854775807", "-9223372036854775808"] {
            check(&[value], Kind::Integer);
        }
        for value in
            ["9223372036854775808", "123456789012345678901234567890", "1.50", "-0.5", "0.0"]
        {
            check(&[value], Kind::Number);
        }
        for value in [
            "00123", "-0", "-01", "+49", "1e5", "1E5", "1.", ".5", "-.5", "-", "1-2", "1,000",
            " 1", "1 ", "0x1F", "-0.0", "-0.00", "1.2.3", "NaN", "Infinity", "1_000", "٣", "--1",
            "01.5",
        ] {
            check(&[value], Kind::String);
        }
        check(&["1", "1.5"], Kind::Number);
        check(&["1.5", "1"], Kind::Number);
        check(&["1", "true"], Kind::String);
        check(&["1", "2024-01-01"], Kind::String);
        check(&["1", ""], Kind::String);
    }

    #[test]
    fn takes_only_times_that_the_calendar_has() {
        let check = |values: &[&str], expected| assert_eq!(kind(values), expected, "{values:?}");
        for value in ["2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31"] {
            check(&[value], Kind::Date);
        }
        for value in [
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-04-31",
            "0000-01-01",
            "2024-1-01",
            "2024/01/01",
            "20240101x",
            "12024-01-01",
            "2024-01-01 ",
        ] {
            check(&[value], Kind::String);
        }
        for value in ["00:00:00", "23:59:59", "12:30:00.5", "12:30:00.123456"] {
            check(&[value], Kind::Time);
        }
        for value in [
            "24:00:00",
            "12:60:00",
            "12:00:60",
            "12:30",
            "12:30:00.50",
            "12:30:00.",
            "12:30:00.1234567",
            "12:30:00Z",
            "1:30:00",
        ] {
            check(&[value], Kind::String);
        }
        for value in
            ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.120+02:00", "2024-01-01T00:00:00-05:30"]
        {
            check(&[value], Kind::DateTime);
        }
        for value in [
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00-00:00",
            "2024-01-01T00:00:00+0200",
            "2024-01-01T00:00:00+16:00",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00Z ",
            "2024-01-01T00:00Z00000000",
        ] {
            check(&[value], Kind::String);
        }
        check(&["2024-01-01", "2024-01-01T00:00:00Z"], Kind::String);
    }

    #[test]
    fn merges_columns_of_several_files() {
        let mut all = Inference::new(2);
        let mut one = Inference::new(1);
        one.see(0, b"1");
        all.merge(0, &one, 0);
        all.merge(1, &Inference::new(1), 0);
        assert_eq!((all.kind(0), all.kind(1)), (Kind::Integer, Kind::String));
        let mut two = Inference::new(1);
        two.see(0, b"1.5");
        all.merge(0, &two, 0);
        all.merge(1, &two, 0);
        assert_eq!((all.kind(0), all.kind(1)), (Kind::Number, Kind::Number));
    }
}
