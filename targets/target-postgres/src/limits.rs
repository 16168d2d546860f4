//! What a type of Postgres would take and change without a word: refused before it is sent (pure).

use std::io::Write as _;

use singer::{Error, ErrorKind, Result};

use crate::decimal;
use crate::json_keys::{self, end_of_string};
use crate::types::SqlType;

/// Refuses a cell.
pub type Refuse = fn(&[u8]) -> Result<()>;

/// How much text a type keeps, where it cuts longer text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Characters(usize),
    /// Characters that are filled up with spaces: of text that ends with some, and is no padded
    /// text in its source, those could not be told from the ones added.
    Padded(usize),
    Bytes(usize),
}

/// Returns how much text a type keeps, where it cuts longer text; of a source that has `padded`
/// text, or not.
pub fn length(sql: &SqlType, padded: bool) -> Option<Length> {
    if sql.array {
        return None;
    }
    let characters = || sql.modifiers.first().and_then(|n| usize::try_from(*n).ok());
    match &*sql.name {
        "character varying" => characters().map(Length::Characters),
        "character" if padded => Some(Length::Characters(characters().unwrap_or(1))),
        "character" => Some(Length::Padded(characters().unwrap_or(1))),
        "name" => Some(Length::Bytes(63)),
        _ => None,
    }
}

impl Length {
    /// Refuses text that is longer: Postgres would cut spaces off its end, or cut a `name`, without
    /// a word.
    pub fn check(self, text: &[u8]) -> Result<()> {
        // Bytes that do not continue a UTF-8 character.
        let characters = || text.iter().filter(|byte| (**byte & 0xc0) != 0x80).count();
        match self {
            Self::Padded(most) if text.ends_with(b" ") && characters() < most => {
                Err(refusal("its column ignores the spaces at the end of the text"))
            }
            Self::Characters(most) | Self::Padded(most) | Self::Bytes(most)
                if text.len() <= most =>
            {
                Ok(())
            }
            Self::Characters(most) | Self::Padded(most) if characters() <= most => Ok(()),
            Self::Bytes(_) => Err(longer().with("bytes", text.len())),
            Self::Characters(_) | Self::Padded(_) => Err(longer().with("characters", characters())),
        }
    }
}

fn longer() -> Error {
    refusal("the text is longer than its column")
}

/// Returns the failure for a value.
pub fn refusal(reason: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot store the value").with("reason", reason)
}

/// Refuses digits after the point that the type would round away.
pub fn scale(number: &[u8], kept: i32) -> Result<()> {
    let exponent_at = number.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let point = memchr::memchr(b'.', number);
    if exponent_at.is_none() && point.is_none() && kept >= 0 {
        return Ok(());
    }
    let (mantissa, exponent) = number.split_at(exponent_at.unwrap_or(number.len()));
    let exponent = std::str::from_utf8(exponent.get(1..).unwrap_or_default()).unwrap_or_default();
    let exponent: i64 = match exponent {
        "" => 0,
        digits => digits.parse().unwrap_or(0),
    };
    // Where the last digit that is not zero stands, counted from the point to the right.
    let end = mantissa.iter().rposition(|byte| (b'1'..=b'9').contains(byte));
    let Some(end) = end else { return Ok(()) };
    let point = point.unwrap_or(mantissa.len());
    let place = i64::try_from(end).unwrap_or(i64::MAX) - i64::try_from(point).unwrap_or(i64::MAX)
        + i64::from(end < point);
    if place - exponent <= i64::from(kept) {
        return Ok(());
    }
    Err(refusal("the number has more decimal digits than its column keeps")
        .with("digits kept", kept))
}

/// Refuses words that Postgres would take for a moment (`yesterday`), dates that it would read by
/// the order of day and month in a setting (`01/02/2026`), a fraction it would round and an offset
/// it would drop.
pub fn moment(cell: &[u8], zoned: bool, scale: Option<i32>) -> Result<()> {
    let digits = cell.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, cell.get(digits)) {
        (2, Some(b':')) | (4.., Some(b'-')) => {}
        _ if matches!(cell, b"infinity" | b"-infinity") => return Ok(()),
        _ => return Err(refusal("the text is not a date or time")),
    }
    if let Some(scale) = scale {
        fraction(cell, scale)?;
    }
    // Seconds stand there in a date with a time, or in a time.
    if cell.get(16..19) == Some(b":60") || cell.get(5..8) == Some(b":60") {
        return Err(refusal("a leap second, which Postgres would move to the next minute"));
    }
    if zoned {
        return Ok(());
    }
    let offset = cell.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'));
    let Some(at) = offset else { return Ok(()) };
    if cell[at + 1..].iter().all(|byte| matches!(byte, b'0' | b':')) {
        return Ok(());
    }
    Err(refusal("the time has an offset that its column would drop"))
}

/// Refuses text that is no moment at which a row was deleted: an empty one says that it was not.
pub fn deletion(cell: &[u8]) -> Result<()> {
    date(cell, Some((9, true))).map_err(|_| refusal("the text is no time of a deletion"))
}

/// Refuses text of a column of dates that has more than a date: a time would be dropped, or would
/// be one that the schema does not speak of.
pub fn day(cell: &[u8]) -> Result<()> {
    let is_short = cell.len() == 10 && cell[4] == b'-' && cell[7] == b'-';
    if is_short { Ok(()) } else { date(cell, None) }
}

/// Refuses text that is no date as it is written in full, or whose time (with so many digits of a
/// second, and an offset if the flag is set) the type would round or drop; `None` takes no time.
pub fn date(text: &[u8], time: Option<(i32, bool)>) -> Result<()> {
    if matches!(text, b"infinity" | b"-infinity") {
        return Ok(());
    }
    let text = text.strip_suffix(b" BC").unwrap_or(text);
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'T' | b't'));
    let (day, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut parts = day.split(|byte| *byte == b'-');
    let mut digits = |least: usize, most: usize| {
        let part = parts.next().unwrap_or_default();
        (least..=most).contains(&part.len()) && part.iter().all(u8::is_ascii_digit)
    };
    if !(digits(4, 7) && digits(2, 2) && digits(2, 2) && parts.next().is_none()) {
        return Err(refusal("the text is not a date"));
    }
    match (rest, time) {
        ([], _) => Ok(()),
        ([_, rest @ ..], Some((scale, zoned))) => clock(rest, zoned, Some(scale)),
        ([_, rest @ ..], None) if rest.iter().all(|byte| b"0:.+-Z".contains(byte)) => Ok(()),
        _ => Err(refusal("the text has a time that its column would drop")),
    }
}

/// Refuses text that is no time of day in digits, and one that [`moment`] refuses.
pub fn clock(text: &[u8], zoned: bool, scale: Option<i32>) -> Result<()> {
    let known = text.iter().all(|byte| byte.is_ascii_digit() || b":.+-Zz".contains(byte));
    if !known || text.get(2) != Some(&b':') {
        return Err(refusal("the text is not a time"));
    }
    moment(text, zoned, scale)
}

/// Returns a moment with an offset other than zero in UTC, without one; `None` when it can stay as
/// it is.
pub fn to_utc(cell: &[u8]) -> Result<Option<String>> {
    let clock = cell.get(11..).unwrap_or_default();
    let Some(sign) = clock.iter().position(|byte| matches!(byte, b'+' | b'-')) else {
        return Ok(None);
    };
    if !clock[sign..].iter().any(|byte| (b'1'..=b'9').contains(byte)) {
        return Ok(None);
    }
    let moment = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok());
    let moment: jiff::Timestamp =
        moment.ok_or_else(|| refusal("the time has an offset that its column would drop"))?;
    Ok(Some(moment.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string()))
}

/// Refuses digits behind a point that would be rounded away.
pub fn fraction(cell: &[u8], scale: i32) -> Result<()> {
    let Some(at) = memchr::memchr(b'.', cell) else { return Ok(()) };
    let digits = cell[at + 1..].iter().take_while(|byte| byte.is_ascii_digit());
    let last = digits.enumerate().filter(|(_, byte)| **byte != b'0').last();
    if last.is_some_and(|(at, _)| at >= usize::try_from(scale).unwrap_or(0)) {
        return Err(refusal("the fraction has more digits than its column keeps")
            .with("digits kept", scale));
    }
    Ok(())
}

/// Refuses a number that does not come back from a `double precision` as the same number.
pub fn in_double(number: &[u8]) -> Result<()> {
    in_float(number, 15, |text, out| print(text.parse::<f64>().unwrap_or(f64::NAN), out))
}

/// Refuses a number that does not come back from a `real` as the same number.
pub fn in_real(number: &[u8]) -> Result<()> {
    in_float(number, 6, |text, out| print(text.parse::<f32>().unwrap_or(f32::NAN), out))
}

/// Returns what refuses numbers that a type of floats would change. A column that holds floats in
/// its source may write all digits of one.
pub fn in_float_type(name: &str, comes_from_float: bool) -> Option<Refuse> {
    match (name, comes_from_float) {
        ("real", false) => Some(in_real),
        ("real", true) => Some(came_from_real),
        ("double precision", false) => Some(in_double),
        ("double precision", true) => Some(came_from_double),
        _ => None,
    }
}

/// The same as [`in_double`], but takes all 17 digits of a float.
fn came_from_double(number: &[u8]) -> Result<()> {
    in_double(number).or_else(|refused| {
        let float: f64 = text_of(number).parse().unwrap_or(f64::NAN);
        if is_printed(number, format_args!("{float:.16e}")) { Ok(()) } else { Err(refused) }
    })
}

/// The same as [`in_real`], but takes all 9 digits of a float, and those of the wider float that
/// many programs have of it.
fn came_from_real(number: &[u8]) -> Result<()> {
    in_real(number).or_else(|refused| {
        let float: f32 = text_of(number).parse().unwrap_or(f32::NAN);
        let wide = f64::from(float);
        let all = is_printed(number, format_args!("{float:.8e}"))
            || is_printed(number, format_args!("{wide:e}"))
            || is_printed(number, format_args!("{wide:.16e}"));
        if all { Ok(()) } else { Err(refused) }
    })
}

fn text_of(number: &[u8]) -> &str {
    std::str::from_utf8(number).unwrap_or_default()
}

fn is_printed(number: &[u8], printed: std::fmt::Arguments<'_>) -> bool {
    decimal::same(number, printed.to_string().as_bytes())
}

/// A float takes what comes back from it as the same number, as it is printed: with as few digits
/// as tell it from its neighbours. So many digits without an exponent always do.
fn in_float(number: &[u8], digits: usize, print: fn(&str, &mut [u8]) -> usize) -> Result<()> {
    // Words: `NaN`, `Infinity`.
    let word = number.iter().any(|byte| matches!(byte, b'N' | b'y'));
    if word || number.len() <= digits && number.iter().all(|byte| !matches!(byte, b'e' | b'E')) {
        return Ok(());
    }
    let mut printed = [0; 32];
    let length = print(text_of(number), &mut printed);
    if decimal::same(number, &printed[..length]) {
        return Ok(());
    }
    Err(refusal("its column would change the number")
        .hint("change the type of the column to numeric"))
}

/// Prints a float with as few digits as tell it from its neighbours; returns the length.
fn print(float: impl std::fmt::LowerExp, out: &mut [u8]) -> usize {
    let size = out.len();
    let mut rest = out;
    if write!(rest, "{float:e}").is_err() {
        return 0;
    }
    size - rest.len()
}

/// Refuses JSON with an object that has a key twice, of which a `jsonb` would keep the last alone.
pub fn distinct_keys(json: &[u8]) -> Result<()> {
    if json_keys::repeat(json) {
        return Err(refusal("an object has a key twice, and jsonb keeps only one")
            .hint("correct the record, or load it into a column of type json"));
    }
    Ok(())
}

/// Refuses a number below zero, which an `oid` would wrap around.
pub fn not_negative(number: &[u8]) -> Result<()> {
    if number.first() == Some(&b'-') && number != b"-0" {
        return Err(refusal("the number is negative"));
    }
    Ok(())
}

/// Refuses a string of JSON for a text column: it would have quotes there, unlike a text that came
/// when all values were texts.
pub fn no_json_string(cell: &[u8]) -> Result<()> {
    if cell.first() == Some(&b'"') {
        return Err(refusal(
            "strings of a column for any JSON keep their quotes in a column of text: let the tap \
             declare the column as text, or change the type of the column to jsonb",
        ));
    }
    Ok(())
}

/// Refuses every value: those of a column that had none when its type was guessed do not belong
/// to the type that the table has for it.
pub fn none_at_all(_: &[u8]) -> Result<()> {
    Err(refusal("the column had no value when its type was inferred: run discovery again"))
}

/// Shows every string and number of a JSON array to a check, and whether it is a string; text that
/// is no JSON is left to others.
pub fn each_element(json: &[u8], check: &mut dyn FnMut(&[u8], bool) -> Result<()>) -> Result<()> {
    let mut rest = json;
    while let Some((first, behind)) = rest.split_first() {
        match first {
            b'"' => {
                let end = end_of_string(behind);
                let text = &behind[..end];
                if memchr::memchr(b'\\', text).is_none() {
                    check(text, true)?;
                } else if let Ok(text) =
                    serde_json::from_slice::<String>(rest.get(..end + 2).unwrap_or_default())
                {
                    check(text.as_bytes(), true)?;
                }
                rest = behind.get(end + 1..).unwrap_or_default();
            }
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| b",] \t\n\r".contains(byte));
                let (number, behind) = rest.split_at(end.unwrap_or(rest.len()));
                check(number, false)?;
                rest = behind;
            }
            _ => rest = behind,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_scalar() {
        let check = |json: &str, expected: &[&str]| {
            let mut seen = Vec::new();
            each_element(json.as_bytes(), &mut |text, _| {
                seen.push(String::from_utf8(text.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, expected, "{json}");
        };
        check("[]", &[]);
        check(r#"[1,[-2.5 , null],"a\"b,]","",true]"#, &["1", "-2.5", "a\"b,]", ""]);
        check(r#"["cut\"#, &[]);
    }

    #[test]
    fn refuses_what_would_change() {
        for (number, double, real) in [
            ("-9007199254740992", true, false),
            ("9007199254740993", false, false),
            ("100000000000000000000", true, true),
            ("100000000000000000001", false, false),
            ("0.1", true, true),
            ("123456789.12", true, false),
            ("16777217", true, false),
            ("16777216", true, true),
            ("1.10e-2", true, true),
            ("0.30000000000000004", true, false),
            ("0.300000000000000041", false, false),
            ("0.12345678901234567891", false, false),
            ("3.4028235e38", true, true),
            ("3.5e38", true, false),
            ("5e-324", true, false),
            ("1e400", false, false),
            ("1e-400", false, false),
            ("-0.0", true, true),
            ("-Infinity", true, true),
            ("NaN", true, true),
        ] {
            assert_eq!(in_double(number.as_bytes()).is_ok(), double, "{number}");
            assert_eq!(in_real(number.as_bytes()).is_ok(), real, "{number}");
        }
        assert!(Length::Bytes(63).check("é".repeat(32).as_bytes()).is_err());
        assert!(Length::Bytes(64).check("é".repeat(32).as_bytes()).is_ok());
        assert!(Length::Characters(32).check("é".repeat(32).as_bytes()).is_ok());
        assert!(Length::Characters(31).check("é".repeat(32).as_bytes()).is_err());
        assert!(not_negative(b"-1").is_err());
        assert!(fraction(b"PT1.1234560S", 6).is_ok());
        assert!(fraction(b"PT1.1234567S", 6).is_err());
        assert!(fraction(b"$1.005", 2).is_err());
        for (text, expected) in [
            ("2026-01-02T10:00:00+00:00", true),
            ("12026-01-02", true),
            ("0044-03-15 BC", true),
            ("10:00:00.5", true),
            ("01/02/2026", false),
            ("1.2.2026 10:00", false),
            ("20260102", false),
            ("7", false),
        ] {
            assert_eq!(moment(text.as_bytes(), true, None).is_ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("2026-01-02", true),
            ("2026-01-02T00:00:00", true),
            ("0044-03-15 BC", true),
            ("infinity", true),
            ("2026-01-02T10:00:00+00:00", false),
            ("2026-01-02 23:30", false),
        ] {
            assert_eq!(day(text.as_bytes()).is_ok(), expected, "{text}");
        }
        assert!(moment(b"23:59:60", false, Some(6)).is_err());
    }
}
