//! The zone of times that are written without an offset.
//!
//! The rule: a time without an offset never gets one by itself. A setting names its zone, or it
//! stays without one and that is reported.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{TimeFormat, Unfit};
use crate::canonical;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Kind;

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
        let zone = TimeZone::get(name).map_err(|_| {
            Error::new(ErrorKind::Config, "cannot find the time zone of date-times")
                .with("time zone", name)
                .hint("write a name such as `UTC` or `Europe/Berlin`")
        })?;
        Ok(Self { format, zone })
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

/// Tells whether a date-time in canonical text has an offset, or is none that could have one.
pub fn has_offset(text: &[u8]) -> bool {
    let Some(time) = text.get(10..) else { return true };
    time.iter().any(|byte| matches!(byte, b'+' | b'-' | b'Z' | b'z'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
