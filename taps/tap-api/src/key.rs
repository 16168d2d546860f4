//! Replication keys: which is later, and what moment one means. Pure.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// How moments are written in requests, and read in keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// `2024-01-01T00:00:00Z`
    Rfc3339,
    /// `2024-01-01`
    Date,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// By a pattern of strftime.
    Pattern(String),
}

impl TimeFormat {
    /// Reads the setting.
    pub fn named(word: &str) -> Self {
        match word {
            "rfc3339" => Self::Rfc3339,
            "date" => Self::Date,
            "epoch" => Self::Epoch,
            "epoch_ms" => Self::EpochMs,
            pattern => Self::Pattern(pattern.to_owned()),
        }
    }

    /// Writes a moment.
    pub fn write(&self, moment: &Zoned) -> String {
        match self {
            Self::Rfc3339 => moment.timestamp().to_string(),
            Self::Date => moment.date().to_string(),
            Self::Epoch => moment.timestamp().as_second().to_string(),
            Self::EpochMs => moment.timestamp().as_millisecond().to_string(),
            Self::Pattern(pattern) => moment.strftime(pattern).to_string(),
        }
    }

    /// Reads a moment, in RFC 3339 as well; texts without an offset are of the zone.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        let read = match self {
            Self::Rfc3339 | Self::Date => None,
            Self::Epoch => floor(text).and_then(|second| Timestamp::from_second(second).ok()),
            Self::EpochMs => floor(text).and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            Self::Pattern(pattern) => {
                jiff::fmt::strtime::parse(pattern, text).ok().and_then(|it| {
                    let civil = || {
                        let date = it.to_date().ok()?;
                        let civil = it.to_datetime().unwrap_or_else(|_| date.into());
                        Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
                    };
                    it.to_timestamp().ok().or_else(civil)
                })
            }
        };
        read.or_else(|| moment(text, zone))
    }
}

/// Reads a number in plain digits, rounded down.
fn floor(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let below = whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
    whole.parse::<i64>().ok().filter(|_| plain)?.checked_sub(i64::from(below))
}

/// Reads RFC 3339, or a date and time, or a date.
pub fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let stamp = text.parse::<Timestamp>().ok();
    let civil = || {
        let date = || text.parse::<Date>().ok().map(DateTime::from);
        let civil = text.parse::<DateTime>().ok().or_else(date)?;
        Some(civil.to_zoned(zone.clone()).ok()?.timestamp())
    };
    stamp.or_else(civil)
}

/// Compares two keys: moments, numbers, else texts.
pub fn compare(a: &str, b: &str) -> Ordering {
    let utc = TimeZone::UTC;
    if let (Some(a), Some(b)) = (moment(a, &utc), moment(b, &utc)) {
        return a.cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return a.cmp(&b);
    }
    if let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) {
        return a.total_cmp(&b);
    }
    a.cmp(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_moments_numbers_and_texts() {
        let check = |a: &str, b: &str, expected| assert_eq!(compare(a, b), expected, "{a} {b}");
        check("2024-01-01T00:00:00Z", "2024-01-01T00:30:00+01:00", Ordering::Greater);
        check("2024-01-01", "2024-01-01T00:00:00Z", Ordering::Equal);
        check("2024-01-01 10:00:00", "2024-01-01 09:00:00", Ordering::Greater);
        check("9", "10", Ordering::Less);
        check("9.5", "10", Ordering::Less);
        check("b", "a", Ordering::Greater);
    }

    #[test]
    fn writes_and_reads_moments() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let moment: Timestamp = "2026-11-19T23:00:00Z".parse().unwrap();
        let check = |word: &str, expected: &str| {
            let format = TimeFormat::named(word);
            let text = format.write(&moment.to_zoned(zone.clone()));
            assert_eq!(text, expected, "{word}");
            assert_eq!(format.read(&text, &zone), Some(moment), "{word}");
        };
        check("rfc3339", "2026-11-19T23:00:00Z");
        check("date", "2026-11-20");
        check("epoch", "1795129200");
        check("epoch_ms", "1795129200000");
        check("%Y%m%d", "20261120");
        check("%d.%m.%Y %H:%M", "20.11.2026 00:00");
        check("%d.%m.%Y %H:%M %z", "20.11.2026 00:00 +0100");
    }

    #[test]
    fn reads_what_apis_write() {
        let check = |word: &str, text: &str, expected: Option<&str>| {
            let found = TimeFormat::named(word).read(text, &TimeZone::UTC);
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{word} {text}");
        };
        check("epoch", "1704067199.999999", Some("2023-12-31T23:59:59Z"));
        check("epoch", "-0.5", Some("1969-12-31T23:59:59Z"));
        check("epoch", "-2.00", Some("1969-12-31T23:59:58Z"));
        check("epoch", "2024-01-01", Some("2024-01-01T00:00:00Z"));
        check("epoch", "1.x", None);
        check("epoch_ms", "1704067199999", Some("2023-12-31T23:59:59.999Z"));
        check("%d/%m/%Y", "31/12/2023", Some("2023-12-31T00:00:00Z"));
        check(
            "%a, %d %b %Y %T %z",
            "Mon, 01 Jan 2024 00:30:00 +0100",
            Some("2023-12-31T23:30:00Z"),
        );
        check("%d/%m/%Y", "2023-12-31T01:00:00+01:00", Some("2023-12-31T00:00:00Z"));
        for text in ["1704067200", "1", "01/02/2020", "Tue, 05 Mar 2019 10:00:00 GMT", ""] {
            check("rfc3339", text, None);
        }
    }
}
