//! Tells whether a text is the canonical text of a kind. Pure.

use crate::scan::{Scanner, Token};
use crate::schema::Kind;

/// Tells whether `text`, which is UTF-8, is canonical for `kind`.
pub fn is_canonical(kind: Kind, text: &[u8]) -> bool {
    match kind {
        Kind::Boolean => matches!(text, b"true" | b"false"),
        Kind::Integer => is_integer(text),
        Kind::Number => is_number(text),
        Kind::String => true,
        Kind::Date => is_date(text),
        Kind::Time => is_time(text),
        Kind::DateTime => is_date_time(text),
        Kind::Json => is_json(text),
    }
}

/// `-?(0|[1-9][0-9]*)`
#[inline]
pub fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] => true,
        [] | [b'0', ..] => false,
        _ => digits.iter().all(u8::is_ascii_digit),
    }
}

/// A JSON number, or one of the three words floats have besides.
pub fn is_number(text: &[u8]) -> bool {
    if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
        return true;
    }
    let mut scanner = Scanner::new(text);
    matches!(scanner.value(), Ok(Token::Integer(_) | Token::Decimal(_)))
        && scanner.at() == text.len()
}

/// JSON on one line without white space between tokens.
pub fn is_json(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    let compact = match scanner.value() {
        Ok(Token::Object(nested) | Token::Array(nested)) => nested.compact,
        Ok(_) => true,
        Err(_) => false,
    };
    compact && scanner.at() == text.len()
}

/// `YYYY-MM-DD`, a day of the calendar; also longer years, ` BC`, `infinity`, `-infinity`.
pub fn is_date(text: &[u8]) -> bool {
    if matches!(text, b"infinity" | b"-infinity") {
        return true;
    }
    let (text, before_christ) = era(text);
    date_end(text, before_christ) == Some(text.len())
}

/// `HH:MM:SS[.fraction][offset]`, up to `24:00:00` and leap seconds.
pub fn is_time(text: &[u8]) -> bool {
    time_end(text).is_some_and(|end| is_offset(&text[end..]))
}

/// RFC 3339, with a space for the `T` or no offset too, and the years of [`is_date`].
pub fn is_date_time(text: &[u8]) -> bool {
    if matches!(text, b"infinity" | b"-infinity") {
        return true;
    }
    let (text, before_christ) = era(text);
    let Some(date) = date_end(text, before_christ) else { return false };
    let Some((b'T' | b't' | b' ', time)) = text[date..].split_first() else { return false };
    time_end(time).is_some_and(|end| is_offset(&time[end..]))
}

fn era(text: &[u8]) -> (&[u8], bool) {
    text.strip_suffix(b" BC").map_or((text, false), |text| (text, true))
}

fn date_end(text: &[u8], before_christ: bool) -> Option<usize> {
    let years = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(4..=7).contains(&years) {
        return None;
    }
    let year = number(&text[..years])?;
    let [b'-', m1, m2, b'-', d1, d2] = *text[years..].first_chunk::<6>()? else { return None };
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    // There is no year 0: 1 BC is the leap year before the year 4.
    let count = if before_christ { year.wrapping_sub(1) } else { year };
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if count.is_multiple_of(4)
            && (!count.is_multiple_of(100) || count.is_multiple_of(400)) =>
        {
            29
        }
        2 => 28,
        _ => return None,
    };
    (year > 0 && (1..=days).contains(&day)).then_some(years + 6)
}

fn time_end(text: &[u8]) -> Option<usize> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *text.first_chunk::<8>()? else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let fits = hour < 24 && minute < 60 && second <= 60 || (hour, minute, second) == (24, 0, 0);
    if !fits {
        return None;
    }
    let mut end = 8;
    if text.get(end) == Some(&b'.') {
        let digits = text[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        end += 1 + digits;
        if digits == 0 {
            return None;
        }
    }
    Some(end)
}

/// Nothing, `Z`, `±HH`, `±HHMM`, `±HH:MM`, `±HH:MM:SS` (old local mean times).
fn is_offset(text: &[u8]) -> bool {
    let pair = |a: &u8, b: &u8, max| number(&[*a, *b]).is_some_and(|n| n <= max);
    match text {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2] => pair(h1, h2, 23),
        [b'+' | b'-', h1, h2, m1, m2] | [b'+' | b'-', h1, h2, b':', m1, m2] => {
            pair(h1, h2, 23) && pair(m1, m2, 59)
        }
        [b'+' | b'-', h1, h2, b':', m1, m2, b':', s1, s2] => {
            pair(h1, h2, 23) && pair(m1, m2, 59) && pair(s1, s2, 59)
        }
        _ => false,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |n, d| d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_canonical_texts() {
        let check = |kind, good: &[&str], bad: &[&str]| {
            for text in good {
                assert!(is_canonical(kind, text.as_bytes()), "{kind:?} {text}");
            }
            for text in bad {
                assert!(!is_canonical(kind, text.as_bytes()), "{kind:?} {text}");
            }
        };
        check(Kind::Integer, &["0", "-1", "123456789012345678901"], &["", "-", "01", "+1", "1.0"]);
        check(Kind::Number, &["0.10", "1E+2", "-0.0", "NaN"], &["", ".5", "5.", "nan", "1 "]);
        check(
            Kind::Date,
            &["2024-02-29", "0044-03-15 BC", "0001-02-29 BC", "10000-01-01", "infinity"],
            &["2026-02-30", "0000-01-01", "2023-02-29", "2026-1-1", "yesterday", "2024-02-29T"],
        );
        check(
            Kind::Time,
            &["00:00:00", "24:00:00", "23:59:60", "06:04:19.222000", "04:05:06+05:45"],
            &["24:00:01", "12:60:00", "1:00:00", "00:00:00.", "00:00"],
        );
        check(
            Kind::DateTime,
            &["2021-05-17T20:41:16Z", "2021-05-17 20:41:16.123456789+00:00", "infinity"],
            &["2021-05-17", "yesterday", "2021-02-30T00:00:00Z", "2021-05-17T20:41:16+0:00"],
        );
        check(Kind::DateTime, &["0044-03-15T00:00:00+00:00 BC", "10000-01-01T00:00:00+00:00"], &[]);
        check(Kind::Json, &["{\"a\":[1,null]}", "\"x\"", "1"], &["{\"a\": 1}", "{", "1 ", ""]);
    }
}
