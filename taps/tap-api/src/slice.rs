//! The parts a read is cut into: all of it, what is new, a day, or windows of days. Pure but for
//! the clock it is given.

use disk::Datestamp;
use jiff::civil::Date;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use singer::{Context as _, Error, ErrorKind, Result, ResultExt, time_zone};

use crate::key::TimeFormat;
use crate::settings::Settings;
use crate::stream::StreamSpec;
use crate::template::Fills;

/// A part of a read, complete in itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// What `{start}`, `{end}` and `{datestamp}` stand for.
    pub fills: Fills,
    /// Rows whose key lies outside `[from, to)` are left out.
    pub bounds: Option<(Timestamp, Timestamp)>,
    /// The key from which on the next run reads when this slice has no rows.
    pub reached: Option<String>,
    /// The moment that `{start}` stands for, as it is written.
    pub from: Option<Timestamp>,
    /// The end of a window.
    pub to: Option<Timestamp>,
}

/// The times of a run.
#[derive(Clone, Debug)]
pub struct Calendar {
    datestamp: Option<Datestamp>,
    zone: TimeZone,
    /// The settings name the zone.
    is_set: bool,
    now: Zoned,
}

impl Calendar {
    /// Reads day and zone.
    ///
    /// Fails with `Config`.
    pub fn new(settings: &Settings) -> Result<Self> {
        let zone = time_zone::named(settings.time_zone.as_deref().unwrap_or("UTC"))
            .with("setting", "time_zone")?;
        let datestamp = settings.datestamp.as_deref().map(str::parse).transpose()?;
        let now = Timestamp::now().to_zoned(zone.clone());
        Ok(Self { datestamp, zone, is_set: settings.time_zone.is_some(), now })
    }

    /// Refuses a `start_date` that the time zone skips or has twice.
    pub fn check_start(&self, spec: &StreamSpec) -> Result<()> {
        let format = spec.time_format.as_ref().unwrap_or(&TimeFormat::Rfc3339);
        let Some(text) = &spec.start_date else { return Ok(()) };
        let Some(none) = format.unclear(text, &self.zone) else { return Ok(()) };
        let failure = Error::new(ErrorKind::Config, "cannot use a time")
            .with("stream", &spec.name)
            .with("start_date", text)
            .with("reason", none.why.0);
        Err(failure.hint(none.hint.unwrap_or_else(|| "correct `start_date`".to_owned())))
    }

    /// Tells whether one day is read, whatever the bookmarks say.
    pub fn reads_a_day(&self) -> bool {
        self.datestamp.is_some()
    }

    /// Returns the zone of texts without an offset.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Returns the one slice of a day, for streams that have days.
    pub fn day(&self, format: &TimeFormat) -> Result<Option<Slice>> {
        let Some(day) = self.datestamp else { return Ok(None) };
        let begin = |day: Date| {
            let midnight = day.to_zoned(self.zone.clone());
            midnight.or_kind(ErrorKind::Config, "cannot use `datestamp` in the time zone")
        };
        let tomorrow =
            day.date().tomorrow().or_kind(ErrorKind::Config, "cannot use `datestamp`")?;
        let (from, to) = (begin(day.date())?, begin(tomorrow)?);
        let fills = [
            ("start", format.write(&from)),
            ("end", format.write(&to)),
            ("datestamp", day.to_string()),
        ];
        Ok(Some(Slice {
            fills: fills.map(|(name, value)| (name.to_owned(), value.into())).into(),
            bounds: Some((from.timestamp(), to.timestamp())),
            ..Slice::default()
        }))
    }

    /// Returns the slices from a key on: one, or windows of so many days.
    ///
    /// Fails with `Config` when windows are wanted and the key is no moment.
    pub fn since(
        &self,
        start: Option<&str>,
        format: Option<&TimeFormat>,
        days: Option<u32>,
    ) -> Result<Vec<Slice>> {
        let written = format.unwrap_or(&TimeFormat::Rfc3339);
        let zone = self.clock_of(start, written);
        let now = self.now.with_time_zone(zone.clone());
        let read = |text: &str| written.read(text, &zone);
        let parsed = start.and_then(read).map(|stamp| stamp.to_zoned(zone.clone()));
        let Some(days) = days.filter(|days| *days > 0) else {
            // As it came, unless a form is asked for.
            let text = match (&parsed, format) {
                (Some(moment), Some(format)) => Some(format.write(moment)),
                _ => start.map(str::to_owned),
            };
            let from = text.as_deref().and_then(read);
            return Ok(vec![Slice { from, ..slice(text, written.write(&now), None) }]);
        };
        let Some(begin) = parsed else {
            return Err(Error::new(ErrorKind::Config, "cannot divide the read into windows")
                .with("start", start.unwrap_or("(none)"))
                .hint("`window_days` needs a `start_date`, or a bookmark that is a date or time"));
        };
        let span = i64::from(days).days();
        let mut slices = Vec::new();
        let mut from = begin;
        while from < now || slices.is_empty() {
            let next = from.checked_add(span).unwrap_or_else(|_| now.clone());
            let to = next.clone().min(now.clone()).max(from.clone());
            let whole = next < now;
            let reached = whole.then(|| written.write(&next));
            let text = written.write(&from);
            let (asked, to_moment) = (read(&text), Some(to.timestamp()));
            let one = slice(Some(text), written.write(&to), reached);
            slices.push(Slice { from: asked, to: to_moment, ..one });
            from = next;
        }
        Ok(slices)
    }
    /// Returns the zone in which a text is written again.
    ///
    /// The rule: a text that shows no zone is read by the clock of the API, which its own times
    /// show: another one would ask for later rows than those that are new.
    fn clock_of(&self, start: Option<&str>, format: &TimeFormat) -> TimeZone {
        let is_open = !self.is_set && !format.has_zone();
        let pieces = start.filter(|_| is_open).and_then(|text| Pieces::parse(text).ok());
        let offset = pieces.and_then(|pieces| pieces.to_numeric_offset());
        offset.map_or_else(|| self.zone.clone(), TimeZone::fixed)
    }
}

fn slice(start: Option<String>, end: String, reached: Option<String>) -> Slice {
    let fills = start.map(|start| ("start".to_owned(), start.into()));
    let fills = fills.into_iter().chain([("end".to_owned(), end.into())]).collect();
    Slice { fills, reached, ..Slice::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(day: Option<&str>, zone: &str, now: &str) -> Calendar {
        let zone = TimeZone::get(zone).unwrap();
        Calendar {
            datestamp: day.map(|day| day.parse().unwrap()),
            is_set: false,
            now: now.parse::<Timestamp>().unwrap().to_zoned(zone.clone()),
            zone,
        }
    }

    fn ends(slice: &Slice) -> (&str, &str) {
        (slice.fills["start"].as_str().unwrap(), slice.fills["end"].as_str().unwrap())
    }

    #[test]
    fn a_day_is_half_open_and_as_long_as_its_zone_says() {
        let check = |day: &str, zone: &str, expected: (&str, &str)| {
            let calendar = calendar(Some(day), zone, "2027-01-01T00:00:00Z");
            let slice = calendar.day(&TimeFormat::Rfc3339).unwrap().unwrap();
            assert_eq!(ends(&slice), expected, "{day} {zone}");
        };
        check("2026-11-20", "UTC", ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"));
        check("2026-03-29", "Europe/Berlin", ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        check("2026-10-25", "Europe/Berlin", ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        check("2026-12-31", "UTC", ("2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_form_without_a_zone_shows_the_clock_of_the_key() {
        let mut calendar = calendar(None, "UTC", "2026-03-10T23:00:00Z");
        let check = |calendar: &Calendar, format: &str, key: &str, expected: (&str, &str)| {
            let format = TimeFormat::named(format);
            let slices = calendar.since(Some(key), Some(&format), None).unwrap();
            assert_eq!(ends(&slices[0]), expected, "{key}");
        };
        let east = "2026-03-01T00:15:00+05:30";
        check(&calendar, "date", east, ("2026-03-01", "2026-03-11"));
        check(&calendar, "%d.%m.%Y %H:%M", east, ("01.03.2026 00:15", "11.03.2026 04:30"));
        let west = "2026-03-01 22:00:00-03:00";
        check(&calendar, "%Y%m%d%H", west, ("2026030122", "2026031020"));
        check(&calendar, "date", "2026-03-01T22:00:00Z", ("2026-03-01", "2026-03-10"));
        check(&calendar, "date", "2026-03-01T22:00:00", ("2026-03-01", "2026-03-10"));
        // A form that shows the zone means the same moment in any.
        check(&calendar, "epoch", west, ("1772413200", "1773183600"));
        let windows = calendar.since(Some(west), Some(&TimeFormat::Date), Some(6)).unwrap();
        let found: Vec<_> = windows.iter().map(ends).collect();
        assert_eq!(found, [("2026-03-01", "2026-03-07"), ("2026-03-07", "2026-03-10")]);
        assert_eq!(windows[0].from, Some("2026-03-01T03:00:00Z".parse().unwrap()));
        calendar.is_set = true;
        check(&calendar, "date", west, ("2026-03-02", "2026-03-10"));
    }

    #[test]
    fn windows_cover_the_time_up_to_now() {
        let calendar = calendar(None, "UTC", "2026-01-10T12:00:00Z");
        let slices = calendar.since(Some("2026-01-01"), None, Some(4)).unwrap();
        let found: Vec<_> = slices.iter().map(ends).collect();
        assert_eq!(
            found,
            [
                ("2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"),
                ("2026-01-05T00:00:00Z", "2026-01-09T00:00:00Z"),
                ("2026-01-09T00:00:00Z", "2026-01-10T12:00:00Z"),
            ]
        );
        assert_eq!(slices[1].reached.as_deref(), Some("2026-01-09T00:00:00Z"));
        assert_eq!(slices[2].reached, None);
        assert_eq!(calendar.since(Some("2027-01-01"), None, Some(4)).unwrap().len(), 1);
        assert!(calendar.since(Some("abc"), None, Some(4)).is_err());
        let one = calendar.since(Some("abc"), None, None).unwrap();
        assert_eq!(one[0].fills["start"], "abc");
        let epoch = Some(&TimeFormat::Epoch);
        let one = calendar.since(Some("2026-01-01"), epoch, None).unwrap();
        assert_eq!(one[0].fills["start"], "1767225600");
    }
}
