//! When runs of a schedule may begin: from a moment on, up to a moment, between times of each day.

use jiff::civil::{Time, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use project::moment;
use singer::convert::NoMoment;
use singer::{Error, ErrorKind, Result};

/// The bounds of a schedule; without any it is always open.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The last moment.
    pub to: Option<Timestamp>,
    /// The first and last time of each day, and the zone of that day; it may go over midnight.
    daily: Option<(Time, Time, TimeZone)>,
}

/// One bound.
enum Edge {
    Moment(Timestamp),
    /// A time of each day, in a zone of its own where it names one.
    Daily(Time, Option<TimeZone>),
}

impl Window {
    /// Reads `start_time` and `end_time`: each is a time of day, a date, or both, with or without a
    /// zone; else that of the schedule. A date alone is the whole day.
    pub(super) fn read(start: Option<&str>, end: Option<&str>, zone: &TimeZone) -> Result<Self> {
        let read = |name: &str, text: Option<&str>| {
            let edge = |text: &str| {
                let edge = edge(text.trim(), zone, name == "end_time");
                edge.map_err(|none| unread(name, text, none))
            };
            text.map(edge).transpose()
        };
        let mut window = Self::default();
        let mut daily = (None, None);
        match read("start_time", start)? {
            Some(Edge::Moment(from)) => window.from = Some(from),
            Some(Edge::Daily(time, zone)) => daily.0 = Some((time, zone)),
            None => {}
        }
        match read("end_time", end)? {
            Some(Edge::Moment(to)) => window.to = Some(to),
            Some(Edge::Daily(time, zone)) => daily.1 = Some((time, zone)),
            None => {}
        }
        if let (Some(from), Some(to)) = (window.from, window.to)
            && from > to
        {
            return Err(refuse("cannot use a window that ends before it begins")
                .with("start_time", from)
                .with("end_time", to));
        }
        if daily.0.is_some() || daily.1.is_some() {
            let zones =
                |edge: &Option<(Time, Option<TimeZone>)>| edge.clone().map(|(_, zone)| zone);
            let named: Vec<Option<TimeZone>> =
                [zones(&daily.0), zones(&daily.1)].into_iter().flatten().collect();
            if named.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(refuse("cannot use times of day in two zones")
                    .hint("write both without a zone, and set `timezone` of the schedule"));
            }
            let own = named.into_iter().flatten().next().unwrap_or_else(|| zone.clone());
            let from = daily.0.map_or(Time::MIN, |(time, _)| time);
            window.daily = Some((from, daily.1.map_or(Time::MAX, |(time, _)| time), own));
        }
        Ok(window)
    }

    /// Tells whether runs may begin at a moment.
    pub(super) fn is_open(&self, at: &Zoned) -> bool {
        let moment = at.timestamp();
        let is_between =
            self.from.is_none_or(|from| from <= moment) && self.to.is_none_or(|to| moment <= to);
        is_between
            && self.daily.as_ref().is_none_or(|(from, to, zone)| {
                let time = at.with_time_zone(zone.clone()).time();
                if from <= to {
                    (*from..=*to).contains(&time)
                } else {
                    time >= *from || time <= *to
                }
            })
    }
}

fn edge(text: &str, zone: &TimeZone, is_end: bool) -> Result<Edge, NoMoment> {
    if text.find(':').is_some_and(|colon| colon < 3) {
        return daily(text, is_end);
    }
    moment::read(text, zone, is_end).map(Edge::Moment)
}

fn daily(text: &str, is_end: bool) -> Result<Edge, NoMoment> {
    let (text, apart) = moment::apart(text)?;
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.'));
    let (clock, rest) = text.split_at(end.unwrap_or(text.len()));
    let zone = if rest.is_empty() { apart } else { Some(moment::zone_of(rest)?) };
    let is_midnight = is_end && matches!(clock, "24:00" | "24:00:00");
    let read = if is_midnight { Time::MAX } else { clock.parse().map_err(|_| moment::UNREAD)? };
    // The last second is whole: a run that is due in it may begin.
    let is_whole = is_end && read.subsec_nanosecond() == 0;
    let last = time(read.hour(), read.minute(), read.second(), 999_999_999);
    Ok(Edge::Daily(if is_whole { last } else { read }, zone))
}

fn unread(name: &str, text: &str, none: NoMoment) -> Error {
    let hint = || format!("write HH:MM for a time of each day, or {}", moment::FORMS);
    refuse("cannot use a time")
        .with(name, text)
        .with("reason", none.why.0)
        .hint(none.hint.unwrap_or_else(hint))
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(start: &str, end: &str, at: &str) -> bool {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let (start, end) = (start.to_owned().leak(), end.to_owned().leak());
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let window = Window::read(some(start), some(end), &zone).unwrap();
        window.is_open(&at.parse::<Timestamp>().unwrap().to_zoned(zone))
    }

    #[test]
    fn bounds_are_times_dates_or_both_in_every_form() {
        // The first moment of 2030 in Berlin, an hour before that of UTC.
        let (before, first) = ("2029-12-31T22:59:59Z", "2029-12-31T23:00:00Z");
        for start in [
            "2030-01-01",
            "2030-01-01 00:00",
            " 2030-01-01 00:00:00 ",
            "2030-01-01T00:00",
            "20300101T000000",
            "2030-01-01T00:00:00.000",
            "2029-12-31T23:00Z",
            "2029-12-31 23:00 UTC",
            "2030-01-01T00:00+01:00",
            "2030-01-01 00:00 +01:00",
            "2029-12-31T18:00-05:00[America/New_York]",
            "2029-12-31 18:00 America/New_York",
            "2030-01-01T08:00[Asia/Tokyo]",
        ] {
            assert!(!open(start, "", before) && open(start, "", first), "{start}");
        }
        // A day that ends a window is part of it.
        for (end, inside, outside) in [
            ("2030-01-01", "2030-01-01T22:59:59Z", "2030-01-01T23:00:00Z"),
            ("2030-01-01 12:00", "2030-01-01T11:00:00Z", "2030-01-01T11:00:01Z"),
            ("23:00", "2030-01-01T22:00:00Z", "2030-01-01T22:00:01Z"),
            ("24:00", "2030-01-01T22:59:59Z", ""),
        ] {
            assert!(open("", end, inside), "{end}");
            assert!(outside.is_empty() || !open("", end, outside), "{end}");
        }
        // Of each day, over midnight, and in a zone of their own.
        assert!(open("22:00", "02:00", "2026-07-01T21:00:00Z"));
        assert!(!open("22:00", "02:00", "2026-07-01T12:00:00Z"));
        assert!(open("10:00Z", "11:00Z", "2026-07-01T10:30:00Z"));
        assert!(!open("10:00+09:00", "11:00+09:00", "2026-07-01T10:30:00Z"));
        // Both kinds at once.
        assert!(!open("2030-01-01", "08:00", "2026-07-01T05:00:00Z"));
        assert!(open("2030-01-01", "08:00", "2030-07-01T05:00:00Z"));
        assert!(!open("2030-01-01", "08:00", "2030-07-01T12:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "2030",
            "25:00",
            "10 PM",
            "tomorrow",
            "2030-02-30",
            "2030-01-01 25:00",
            "22:00 Mars/X",
            "01.02.2030",
            "2030-01-01 00:00 sometime",
            "",
        ] {
            let read = Window::read(Some(text), None, &TimeZone::UTC);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
        assert!(Window::read(Some("2030-01-02"), Some("2030-01-01"), &TimeZone::UTC).is_err());
        assert!(Window::read(Some("10:00Z"), Some("11:00"), &TimeZone::UTC).is_err());
    }
}
