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

    /// Reads a moment; texts without an offset are of the zone.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Epoch => text.parse().ok().and_then(|second| Timestamp::from_second(second).ok()),
            Self::EpochMs => {
                text.parse().ok().and_then(|second| Timestamp::from_millisecond(second).ok())
            }
            Self::Pattern(pattern) => {
                let parsed = jiff::fmt::strtime::parse(pattern, text).ok();
                let civil = parsed.and_then(|parsed| {
                    let date = parsed.to_date().ok()?;
                    Some(parsed.to_datetime().unwrap_or_else(|_| date.into()))
                });
                let zoned = civil.and_then(|civil| civil.to_zoned(zone.clone()).ok());
                zoned.map(|zoned| zoned.timestamp()).or_else(|| moment(text, zone))
            }
            _ => moment(text, zone),
        }
    }
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
    }
}
