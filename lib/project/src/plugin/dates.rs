//! Times that are told from now on, `1 month ago`, as the times that they are.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Span};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// Returns a date as it is written, or the time that its words say, in UTC as Meltano writes it.
///
/// # Errors
/// `Config` for other words: Meltano guesses what they mean.
pub(super) fn read(text: &str, now: DateTime) -> Result<Value> {
    let words = text.trim().to_lowercase();
    if words.is_empty() || begins_with_year(&words) {
        return Ok(Value::from(text));
    }
    let at = relative(&words, now).ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot read a date")
            .hint("write it as 2026-01-31 or 2026-01-31T00:00:00Z, or as `3 days ago`")
    })?;
    let microseconds = at.subsec_nanosecond() / 1000;
    let part = if microseconds == 0 { String::new() } else { format!(".{microseconds:06}") };
    Ok(Value::from(format!("{}{part}", at.strftime("%Y-%m-%dT%H:%M:%S"))))
}

fn begins_with_year(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == text.len() || digits == 4 && text[4..].starts_with(['-', '/', '.'])
}

fn relative(words: &str, now: DateTime) -> Option<DateTime> {
    let day = SignedDuration::from_hours(24);
    match words {
        "now" | "today" => return Some(now),
        "yesterday" => return now.checked_sub(day).ok(),
        "tomorrow" => return now.checked_add(day).ok(),
        _ => {}
    }
    let back = words.strip_suffix(" ago");
    let words = back.or_else(|| words.strip_prefix("in "))?;
    let is_back = back.is_some();
    let mut at = now;
    let mut parts = words.split(|c: char| c.is_whitespace() || c == ',');
    let mut parts = parts.by_ref().filter(|part| !part.is_empty() && *part != "and").peekable();
    parts.peek()?;
    while let Some(number) = parts.next() {
        let number = match number {
            "a" | "an" | "one" => 1,
            number => number.parse::<i64>().ok()?,
        };
        let unit = parts.next()?;
        let more = match unit.strip_suffix('s').unwrap_or(unit) {
            "second" | "sec" => Span::new().try_seconds(number),
            "minute" | "min" => Span::new().try_minutes(number),
            "hour" | "hr" => Span::new().try_hours(number),
            "day" => Span::new().try_days(number),
            "week" => Span::new().try_weeks(number),
            "month" => Span::new().try_months(number),
            "year" => Span::new().try_years(number),
            _ => return None,
        };
        let more = more.ok()?;
        at = if is_back { at.checked_sub(more) } else { at.checked_add(more) }.ok()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_times_from_now_on() {
        let now: DateTime = "2026-03-31T10:00:00.5".parse().unwrap();
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text, now).unwrap(), Value::from(expected), "{text}");
        };
        check("2020-01-02", "2020-01-02");
        check("2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z");
        check("20200102", "20200102");
        check("", "");
        check("1 month ago", "2026-02-28T10:00:00.500000");
        check("2 days ago", "2026-03-29T10:00:00.500000");
        check("1 day, 2 hours ago", "2026-03-30T08:00:00.500000");
        check("in 1 week", "2026-04-07T10:00:00.500000");
        check("Yesterday", "2026-03-30T10:00:00.500000");
        for text in ["first monday", "x days ago", "3 moons ago", "ago", "1 ago", "in"] {
            assert_eq!(read(text, now).unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }
}
