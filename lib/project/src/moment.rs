//! Moments as `start_time` and `end_time` write them: a date, or a date and a time, with a zone or
//! without one.

use jiff::fmt::temporal::{DateTimeParser, Pieces};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use singer::convert::{NoMoment, Unfit, moment_in};

/// What a moment looks like.
pub const FORMS: &str = "YYYY-MM-DD, or YYYY-MM-DD HH:MM, or with a zone YYYY-MM-DDTHH:MM+01:00";

/// What is not written as a time.
pub const UNREAD: NoMoment = NoMoment { why: Unfit("it is not a time"), hint: None };

/// Reads a moment, which is in a zone where the text names none of its own. A date alone is the
/// whole day.
pub fn read(text: &str, zone: &TimeZone, is_end: bool) -> Result<Timestamp, NoMoment> {
    let (text, apart) = apart(text)?;
    let pieces = Pieces::parse(text).map_err(|_| UNREAD)?;
    let offset = pieces.to_numeric_offset().map(TimeZone::fixed);
    let own = match offset {
        Some(offset) => Some(offset),
        None if text.ends_with(['Z', 'z']) => Some(TimeZone::UTC),
        None => pieces.to_time_zone().map_err(|_| UNREAD)?,
    };
    let zone = own.or(apart).unwrap_or_else(|| zone.clone());
    let date = pieces.date();
    if let Some(time) = pieces.time() {
        return moment_in(date.to_datetime(time), &zone);
    }
    // A day that has no midnight begins at its first moment.
    let day = if is_end { date.tomorrow().map_err(|_| UNREAD)? } else { date };
    let first = day.to_zoned(zone).map_err(|_| UNREAD)?.timestamp();
    if is_end { first.checked_sub(1.nanosecond()).map_err(|_| UNREAD) } else { Ok(first) }
}

/// Takes the name of a zone, or an offset, that stands apart from a time.
pub fn apart(text: &str) -> Result<(&str, Option<TimeZone>), NoMoment> {
    match text.rsplit_once(' ') {
        Some((text, last)) if !last.starts_with(|c: char| c.is_ascii_digit()) => {
            Ok((text.trim_end(), Some(zone_of(last)?)))
        }
        _ => Ok((text, None)),
    }
}

/// Reads the name of a zone, or an offset.
pub fn zone_of(text: &str) -> Result<TimeZone, NoMoment> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    if matches!(inner, "Z" | "z" | "UTC" | "utc" | "GMT") {
        return Ok(TimeZone::UTC);
    }
    DateTimeParser::new().parse_time_zone(inner).map_err(|_| UNREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_and_a_time_in_every_form_count() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, expected) in [
            ("2026-01-31 06:00", "2026-01-31T05:00:00Z"),
            ("2026-01-31T06:00[America/New_York]", "2026-01-31T11:00:00Z"),
            ("2026-01-31 06:00 Asia/Tokyo", "2026-01-30T21:00:00Z"),
            ("2026-01-31T06:00Z", "2026-01-31T06:00:00Z"),
            ("20260131T060000", "2026-01-31T05:00:00Z"),
            ("2026-01-31", "2026-01-30T23:00:00Z"),
        ] {
            assert_eq!(read(text, &berlin, false).unwrap().to_string(), expected, "{text}");
        }
        let end = read("2026-01-31", &berlin, true).unwrap();
        assert_eq!(end.to_string(), "2026-01-31T22:59:59.999999999Z");
        // The first moment of a day that has no midnight.
        let cairo = TimeZone::get("Africa/Cairo").unwrap();
        let first = read("2026-04-24", &cairo, false).unwrap();
        assert_eq!(first.to_string(), "2026-04-23T22:00:00Z");
        for text in ["", "06:00", "2026", "2026-01-31 06:00 Mars/Base", "2026-01-31 06:00 soon"] {
            assert_eq!(read(text, &berlin, false).unwrap_err().why, UNREAD.why, "{text}");
        }
    }
}
