//! The zone of times that are written without an offset.
//!
//! The rule: a time without an offset never gets one by itself. A setting names its zone, or it
//! stays without one and that is reported. A time that its zone skips or has twice is none: nothing
//! says which moment was meant.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::{TimeFormat, Unfit};
use crate::canonical;
use crate::error::Result;
use crate::schema::Kind;
use crate::time_zone;

const FORM: Unfit = Unfit("it is not a date and time in ISO 8601, and no format was declared");
const TWICE: Unfit = Unfit("its zone has this time twice, as clocks were set back");
const NEVER: Unfit = Unfit("its zone does not have this time, as clocks were set forward");
const BEYOND: Unfit = Unfit("its year is out of the range of time zones");

/// Times that may have no offset, and their zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonedTimes {
    /// How they are written, if not as ISO 8601 has it.
    format: Option<TimeFormat>,
    zone: TimeZone,
}

impl ZonedTimes {
    /// Reads the name of a zone: `UTC`, `Europe/Berlin`.
    ///
    /// Fails with `Config`.
    pub fn new(format: Option<TimeFormat>, name: &str) -> Result<Self> {
        Ok(Self { format, zone: time_zone::named(name)? })
    }

    /// Appends a date-time with an offset: its own, or that of the zone.
    pub fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let start = out.len();
        match &self.format {
            Some(format) => format.convert(text, out)?,
            None if canonical::is_canonical(Kind::DateTime, text) => out.extend_from_slice(text),
            None => return Err(FORM),
        }
        let written = out.get(start..).unwrap_or_default();
        if has_offset(written) {
            return Ok(());
        }
        let read = std::str::from_utf8(written).ok().and_then(|text| text.parse().ok());
        let local: DateTime = read.ok_or(BEYOND)?;
        let offset = match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => return Err(NEVER),
            AmbiguousOffset::Fold { .. } => return Err(TWICE),
        };
        // Before clocks agreed, zones had offsets with seconds, which no text of ISO 8601 has.
        let minutes = offset.seconds() / 60;
        if offset.seconds() % 60 != 0 {
            return Err(BEYOND);
        }
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        out.extend_from_slice(format!("{sign}{hours:02}:{minutes:02}").as_bytes());
        Ok(())
    }
}

/// Why a time that a setting gives is no moment.
#[derive(Clone, Debug)]
pub struct NoMoment {
    /// For people; never the text itself.
    pub why: Unfit,
    /// What to write, where that is more than the form of a time.
    pub hint: Option<String>,
}

/// Returns the moment of a time that a setting gives, in its zone.
pub fn moment_in(local: DateTime, zone: &TimeZone) -> Result<Timestamp, NoMoment> {
    let moment = |offset: Offset| {
        let beyond = |_| NoMoment { why: BEYOND, hint: None };
        offset.to_timestamp(local).map_err(beyond)
    };
    let (why, first, second) = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => return moment(offset),
        // As the clocks show them, on both sides of what they skip.
        AmbiguousOffset::Gap { before, after } => (NEVER, (after, before), (before, after)),
        AmbiguousOffset::Fold { before, after } => (TWICE, (before, before), (after, after)),
    };
    let shown = |(meant, shown)| Ok(moment(meant)?.display_with_offset(shown).to_string());
    let (first, second) = (shown(first)?, shown(second)?);
    let hint = format!("write the time with an offset: \"{first}\" or \"{second}\"");
    Err(NoMoment { why, hint: Some(hint) })
}

/// Tells whether a date-time in canonical text has an offset, or is none that could have one.
pub fn has_offset(text: &[u8]) -> bool {
    let Some(time) = text.get(10..) else { return true };
    time.iter().any(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_a_setting_that_its_zone_skips_or_has_twice_is_no_moment() {
        let moment = |zone: &str, local: &str| {
            let found = moment_in(local.parse().unwrap(), &TimeZone::get(zone).unwrap());
            found.map(|moment| moment.to_string())
        };
        for (zone, local, expected) in [
            ("UTC", "2026-03-29T02:30:00", "2026-03-29T02:30:00Z"),
            ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
            ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "1880-01-01T00:00:00", "1879-12-31T23:06:32Z"),
        ] {
            assert_eq!(moment(zone, local).unwrap(), expected, "{zone} {local}");
        }
        for (zone, local, why, first, second) in [
            ("Europe/Berlin", "2026-03-29T02:00:00", NEVER, "03:00:00+02:00", "01:00:00+01:00"),
            ("Europe/Berlin", "2026-10-25T02:30:00", TWICE, "02:30:00+02:00", "02:30:00+01:00"),
            ("America/St_Johns", "2026-03-08T02:59:00", NEVER, "03:59:00-02:30", "01:59:00-03:30"),
            ("Australia/Lord_Howe", "2026-04-05T01:45:00", TWICE, "01:45:00+11:00", "+10:30"),
        ] {
            let found = moment(zone, local).unwrap_err();
            assert_eq!(found.why, why, "{zone} {local}");
            let hint = found.hint.unwrap();
            assert!(hint.contains(first) && hint.contains(second), "{hint}");
            // The hint works: its two times are as far apart as the offsets.
            let moments = hint.split('"').filter_map(|text| text.parse::<Timestamp>().ok());
            let moments: Vec<_> = moments.collect();
            assert!(moments.len() == 2 && moments[0] != moments[1], "{hint}");
        }
        assert_eq!(moment("America/New_York", "9999-12-31T23:00:00").unwrap_err().why, BEYOND);
    }

    #[test]
    fn a_time_without_an_offset_gets_that_of_the_zone() {
        let iso = [
            ("UTC", "2026-01-01T12:00:00", Some("2026-01-01T12:00:00+00:00")),
            ("Europe/Berlin", "2026-01-01T12:00:00.5", Some("2026-01-01T12:00:00.5+01:00")),
            ("Europe/Berlin", "2026-07-01 12:00:00", Some("2026-07-01 12:00:00+02:00")),
            ("America/St_Johns", "2026-01-01T12:00:00", Some("2026-01-01T12:00:00-03:30")),
            // It has one of its own.
            ("Europe/Berlin", "2026-07-01T12:00:00Z", Some("2026-07-01T12:00:00Z")),
            ("Europe/Berlin", "2026-07-01T12:00:00-05:00", Some("2026-07-01T12:00:00-05:00")),
            // Clocks are set forward and back.
            ("Europe/Berlin", "2026-03-29T02:30:00", None),
            ("Europe/Berlin", "2026-10-25T02:30:00", None),
            ("Europe/Berlin", "1880-01-01T00:00:00", None),
            ("UTC", "yesterday", None),
        ];
        for (zone, text, expected) in iso {
            let (times, mut out) = (ZonedTimes::new(None, zone).unwrap(), Vec::new());
            let done = times.convert(text.as_bytes(), &mut out).ok();
            let found = done.map(|()| String::from_utf8(out).unwrap());
            assert_eq!(found.as_deref(), expected, "{zone} {text}");
        }
        let format = TimeFormat::new(Kind::DateTime, "DD.MM.YYYY HH:mm", None).unwrap();
        let (times, mut out) = (ZonedTimes::new(Some(format), "Asia/Tokyo").unwrap(), Vec::new());
        times.convert(b"01.02.2026 07:30", &mut out).unwrap();
        assert_eq!(out, b"2026-02-01T07:30:00+09:00");
        assert!(ZonedTimes::new(None, "Mars/Olympus").is_err());
    }
}
