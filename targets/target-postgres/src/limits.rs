//! What a type of Postgres would take and change without a word: refused before it is sent (pure).

use singer::{Error, ErrorKind, Result};

use crate::types::SqlType;

/// Refuses a cell.
pub type Refuse = fn(&[u8]) -> Result<()>;

/// Integers up to here are all exact in a `double precision`.
const DOUBLE_EXACT_MAX: u64 = 1 << 53;

/// Returns how many characters (for `name`: bytes) a type keeps, where it cuts longer text.
pub fn length(sql: &SqlType) -> Option<usize> {
    if sql.array {
        return None;
    }
    match &*sql.name {
        "character" | "character varying" => {
            sql.modifiers.first().and_then(|n| usize::try_from(*n).ok())
        }
        "name" => Some(63),
        "\"char\"" => Some(1),
        _ => None,
    }
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
    Err(refusal("the number has more digits after its point than its column keeps")
        .with("digits kept", kept))
}

/// Refuses words that Postgres would take for a moment (`yesterday`), a fraction it would round
/// and an offset it would drop.
pub fn moment(cell: &[u8], zoned: bool, scale: Option<i32>) -> Result<()> {
    if !cell.first().is_some_and(u8::is_ascii_digit) {
        return match cell {
            b"infinity" | b"-infinity" => Ok(()),
            _ => Err(refusal("the text is no date or time")),
        };
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

/// Refuses an integer that a `double precision` would round.
pub fn whole_in_double(number: &[u8]) -> Result<()> {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let small = digits.len() < 16
        || std::str::from_utf8(digits)
            .is_ok_and(|digits| digits.parse().is_ok_and(|n: u64| n <= DOUBLE_EXACT_MAX));
    if small {
        return Ok(());
    }
    Err(refusal("a double precision column may round so large an integer")
        .hint("make the column bigint or numeric"))
}

/// Refuses a number below zero, which an `oid` would wrap around.
pub fn not_negative(number: &[u8]) -> Result<()> {
    if number.first() == Some(&b'-') && number != b"-0" {
        return Err(refusal("the number is negative"));
    }
    Ok(())
}

/// Refuses every value: those of a column that had none when its type was guessed do not belong
/// to the type that the table has for it.
pub fn none_at_all(_: &[u8]) -> Result<()> {
    Err(refusal("the column had no value when its type was inferred: run discovery again"))
}

/// Shows every scalar of a JSON array that is not null to a check; text that is no JSON is left
/// to others.
pub fn each_element(json: &[u8], check: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut rest = json;
    while let Some((first, behind)) = rest.split_first() {
        match first {
            b'"' => {
                let end = end_of_string(behind);
                let text = &behind[..end];
                if memchr::memchr(b'\\', text).is_none() {
                    check(text)?;
                } else if let Ok(text) =
                    serde_json::from_slice::<String>(rest.get(..end + 2).unwrap_or_default())
                {
                    check(text.as_bytes())?;
                }
                rest = behind.get(end + 1..).unwrap_or_default();
            }
            b'-' | b'0'..=b'9' => {
                let end = rest.iter().position(|byte| b",] \t\n\r".contains(byte));
                let (number, behind) = rest.split_at(end.unwrap_or(rest.len()));
                check(number)?;
                rest = behind;
            }
            _ => rest = behind,
        }
    }
    Ok(())
}

/// Returns where the quote that ends a string stands.
fn end_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += next;
        if text[at] == b'"' {
            return at;
        }
        at = text.len().min(at + 2);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_scalar() {
        let check = |json: &str, expected: &[&str]| {
            let mut seen = Vec::new();
            each_element(json.as_bytes(), &mut |text| {
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
        assert!(whole_in_double(b"-9007199254740992").is_ok());
        assert!(whole_in_double(b"9007199254740993").is_err());
        assert!(whole_in_double(b"100000000000000000000").is_err());
        assert!(not_negative(b"-1").is_err());
        assert!(fraction(b"PT1.1234560S", 6).is_ok());
        assert!(fraction(b"PT1.1234567S", 6).is_err());
        assert!(fraction(b"$1.005", 2).is_err());
        assert!(moment(b"23:59:60", false, Some(6)).is_err());
    }
}
