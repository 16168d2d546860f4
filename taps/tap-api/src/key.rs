//! Replication keys: which is later, and what moment one means. Pure.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use singer::convert::{NoMoment, moment_in};

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

    /// Tells whether what is written shows its zone, or is the same in all of them.
    pub fn has_zone(&self) -> bool {
        match self {
            Self::Rfc3339 | Self::Epoch | Self::EpochMs => true,
            Self::Date => false,
            Self::Pattern(pattern) => {
                ["%z", "%:z", "%Q", "%s"].iter().any(|part| pattern.contains(part))
            }
        }
    }

    /// Reads a moment, in RFC 3339 as well; texts without an offset are of the zone. One that the
    /// zone has twice is the earlier one: more is read then, and nothing is missed.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        self.said(text)?.moment(zone)
    }

    /// Tells why a text that says a time is none of the zone.
    pub fn unclear(&self, text: &str, zone: &TimeZone) -> Option<NoMoment> {
        match self.said(text)? {
            Said::Local(local) => moment_in(local, zone).err(),
            Said::Moment(_) | Said::Day(_) => None,
        }
    }

    fn said(&self, text: &str) -> Option<Said> {
        let read = match self {
            Self::Rfc3339 | Self::Date => None,
            Self::Epoch => floor(text).and_then(|second| Timestamp::from_second(second).ok()),
            Self::EpochMs => floor(text).and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            Self::Pattern(pattern) => {
                let it = jiff::fmt::strtime::parse(pattern, text).ok();
                let local = |it: BrokenDownTime| {
                    let moment = it.to_timestamp().ok().map(Said::Moment);
                    let time = || it.hour().and(it.to_datetime().ok()).map(Said::Local);
                    moment.or_else(time).or_else(|| it.to_date().ok().map(Said::Day))
                };
                return it.and_then(local).or_else(|| said(text));
            }
        };
        read.map(Said::Moment).or_else(|| said(text))
    }
}

/// What a text says of a moment.
#[derive(Clone, Copy, Debug)]
enum Said {
    Moment(Timestamp),
    Local(DateTime),
    Day(Date),
}

impl Said {
    fn moment(self, zone: &TimeZone) -> Option<Timestamp> {
        let local = match self {
            Self::Moment(moment) => return Some(moment),
            Self::Local(local) => local,
            Self::Day(day) => day.into(),
        };
        Some(local.to_zoned(zone.clone()).ok()?.timestamp())
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
    said(text)?.moment(zone)
}

fn said(text: &str) -> Option<Said> {
    let local = || {
        let pieces = Pieces::parse(text).ok()?;
        let date = pieces.date();
        Some(pieces.time().map_or(Said::Day(date), |time| Said::Local(date.to_datetime(time))))
    };
    text.parse().ok().map(Said::Moment).or_else(local)
}

/// What a replication key is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Moment(Timestamp),
    Number(&'a str),
    Text(&'a str),
}

/// How the keys of a stream are read and compared: by `time_format` where it is set.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// The form of the times.
    pub format: Option<&'a TimeFormat>,
    /// The zone of those that say none.
    pub zone: &'a TimeZone,
}

impl Keys<'_> {
    /// Returns the moment of a key, and whether it says its zone; a number is a time only by a
    /// form.
    pub fn moment(&self, text: &str) -> Option<(Timestamp, bool)> {
        match self.format {
            Some(format) => {
                let zoned = match format {
                    TimeFormat::Epoch | TimeFormat::EpochMs => floor(text).is_some(),
                    TimeFormat::Pattern(_) => format.has_zone(),
                    TimeFormat::Rfc3339 | TimeFormat::Date => false,
                };
                let zoned = zoned || text.parse::<Timestamp>().is_ok();
                Some((format.read(text, self.zone)?, zoned))
            }
            None if is_number(text) => None,
            None => Some((moment(text, self.zone)?, text.parse::<Timestamp>().is_ok())),
        }
    }

    /// Tells whether a key is later than the one known: of two kinds that do not compare, a time
    /// or a number stays, and takes the place of a text. With a form, only times count.
    pub fn is_later(&self, key: &str, known: Option<&str>) -> bool {
        if key.is_empty() || self.format.is_some() && self.moment(key).is_none() {
            return false;
        }
        let Some(known) = known else { return true };
        match (self.read(key), self.read(known)) {
            (Value::Moment(key), Value::Moment(known)) => key > known,
            (Value::Number(key), Value::Number(known)) => compare_numbers(key, known).is_gt(),
            (Value::Text(key), Value::Text(known)) => key > known,
            (Value::Moment(_) | Value::Number(_), Value::Text(_)) => true,
            _ => false,
        }
    }

    /// Tells whether a key is a number, and smaller than the one that the read starts from.
    pub fn is_smaller(&self, key: &str, start: Option<&str>) -> bool {
        match start.map(|start| (self.read(key), self.read(start))) {
            Some((Value::Number(key), Value::Number(start))) => compare_numbers(key, start).is_lt(),
            _ => false,
        }
    }

    /// Tells whether a key is of another kind than the one that the read starts from.
    pub fn differ(&self, key: &str, start: Option<&str>) -> bool {
        let is_text = |text| matches!(self.read(text), Value::Text(_));
        start.is_some_and(|start| is_text(key) && !is_text(start))
    }

    fn read<'t>(&self, text: &'t str) -> Value<'t> {
        match self.moment(text) {
            Some((at, _)) => Value::Moment(at),
            None if is_number(text) => Value::Number(text),
            None => Value::Text(text),
        }
    }
}

/// Tells whether a text is a finite number.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn compare_numbers(a: &str, b: &str) -> Ordering {
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return a.cmp(&b);
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_keys_of_one_kind() {
        let utc = TimeZone::UTC;
        let check = |format: Option<&str>, key: &str, known: &str, expected| {
            let format = format.map(TimeFormat::named);
            let keys = Keys { format: format.as_ref(), zone: &utc };
            assert_eq!(keys.is_later(key, Some(known)), expected, "{format:?} {key} {known}");
        };
        check(None, "2024-01-01T00:00:00Z", "2024-01-01T00:30:00+01:00", true);
        check(None, "2024-01-01", "2024-01-01T00:00:00Z", false);
        check(None, "2024-01-01 10:00:00", "2024-01-01 09:00:00", true);
        check(None, "9", "10", false);
        check(None, "9.5", "10", false);
        check(None, "20261301", "20261231", true);
        check(None, "b", "a", true);
        // Kinds that do not compare do not win.
        for odd in ["never", "infinity", "inf", "NaN", "9999", ""] {
            check(None, odd, "2024-01-01", false);
            check(Some("%d.%m.%Y"), odd, "01.01.2024", false);
        }
        check(None, "2024-01-01", "never", true);
        check(None, "5", "never", true);
        check(None, "infinity", "5", false);
        // By the form, not by the text.
        check(Some("%d.%m.%Y"), "01.02.2024", "31.01.2024", true);
        check(Some("%d.%m.%Y"), "31.12.2023", "01.02.2024", false);
        check(Some("epoch"), "999", "1000", false);
        let keys = Keys { format: Some(&TimeFormat::Date), zone: &utc };
        assert!(!keys.is_later("never", None));
        assert!(Keys { format: None, ..keys }.is_later("never", None));
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
