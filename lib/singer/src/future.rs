//! Keys of the future. A bookmark of time moves to keys up to the start of the run and not beyond:
//! behind a key of the year 2204 no later run would find a row.

use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::schema::{Column, Kind};

/// No clock of the Earth is further ahead of UTC. A time without a zone is in the future when it is
/// so everywhere.
const ZONE_MAX: SignedDuration = SignedDuration::from_hours(14);
/// A time of whole seconds may be one of now that was rounded up, as `timestamptz(0)` does.
const ROUNDING: SignedDuration = SignedDuration::from_millis(500);
/// The clock of an answer has whole seconds.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// A server's clock that is further away is none: the answer was kept, or the clock is wrong.
const CLOCK_DISTANCE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Up to where bookmarks of time move.
#[derive(Clone, Copy, Debug)]
pub struct Cap {
    /// The start of the run; `None` moves bookmarks to any key.
    start: Option<Timestamp>,
    /// When that was.
    since: Instant,
}

/// The rows whose keys lie in the future.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead {
    rows: u64,
    first: u64,
}

impl Cap {
    /// Takes the clock of this machine, unless bookmarks are not capped.
    pub fn new(capped: bool) -> Self {
        Self { start: capped.then(Timestamp::now), since: Instant::now() }
    }

    /// Tells whether bookmarks of time move to any key.
    pub fn is_off(&self) -> bool {
        self.start.is_none()
    }

    /// Takes the clock of the source, as it was when the read began.
    pub fn set_clock(&mut self, clock: Timestamp) {
        if let Some(start) = &mut self.start
            && clock.duration_since(*start).abs() < CLOCK_DISTANCE_MAX
        {
            *start = clock;
            self.since = Instant::now();
        }
    }

    /// Tells whether a moment, or a time without a zone read in UTC, is beyond.
    pub fn is_ahead(&self, moment: Timestamp, zoned: bool) -> bool {
        self.is_ahead_by(SignedDuration::ZERO, moment, zoned)
    }

    fn is_ahead_by(&self, least: SignedDuration, moment: Timestamp, zoned: bool) -> bool {
        let Some(start) = self.start else { return false };
        let ahead = if zoned { SignedDuration::ZERO } else { ZONE_MAX };
        moment.duration_since(start) > ahead + least
    }

    /// Tells whether a moment is yet to come: beyond what may have changed since the start.
    pub fn is_to_come(&self, moment: Timestamp, zoned: bool) -> bool {
        let now = self.start.map(|start| start + self.since.elapsed() + CLOCK_STEP);
        now.is_some() && Self { start: now, ..*self }.is_ahead(moment, zoned)
    }

    /// Tells whether the text of such a column is a date or time beyond.
    pub fn is_ahead_key(&self, column: &Column, text: &[u8]) -> bool {
        if self.is_off() || !is_dated(column) {
            return false;
        }
        // Texts of no calendar of ours: `infinity`, years before 1 and after 9999.
        if text.ends_with(b" BC") || text == b"-infinity" {
            return false;
        }
        if text == b"infinity" || text.iter().take_while(|byte| byte.is_ascii_digit()).count() > 4 {
            return true;
        }
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let least = if text.contains('.') { SignedDuration::ZERO } else { ROUNDING };
        moment(text)
            .is_some_and(|(at, zoned)| self.is_ahead_by(least, at, zoned && has_zone(column)))
    }
}

impl Ahead {
    /// Counts a row, by its number in the stream, from 1.
    pub fn add(&mut self, row: u64) {
        self.first = if self.rows == 0 { row } else { self.first.min(row) };
        self.rows += 1;
    }

    /// Adds rows that were counted elsewhere, behind so many.
    pub fn join(&mut self, others: Self, behind: u64) {
        if others.rows > 0 {
            self.first = if self.rows == 0 { others.first + behind } else { self.first };
            self.rows += others.rows;
        }
    }

    /// Warns of the rows, if there are any.
    pub fn report(&self, stream: &str, key: &str) {
        let (rows, first) = (self.rows, self.first);
        if rows > 0 {
            crate::warn!(
                "W-KEY-IN-FUTURE",
                "stream {stream}: {rows} rows (the first is row {first} of this run) have a \
                 `{key}` later than the start of the run. The bookmark does not move to them: \
                 every run reads them again, and `append-only` adds them again. Correct the rows, \
                 or set `bookmark_cap` to false if `{key}` lies in the future on purpose",
            );
        }
    }
}

/// Warns of a bookmark from before that lies in the future.
pub fn report_bookmark(stream: &str, key: &str) {
    crate::warn!(
        "W-BOOKMARK-IN-FUTURE",
        "stream {stream}: its bookmark of `{key}` is later than the start of the run, and no row \
         before it is read. Set `replication_key_value` in the state to a time up to which all \
         rows were read, or read the stream once without a bookmark. Set `bookmark_cap` to false \
         if `{key}` lies in the future on purpose",
    );
}

/// Tells whether values of a column are dates or moments, also as text of the source's.
pub fn is_dated(column: &Column) -> bool {
    let dated = |sql: &str| sql == "date" || sql.starts_with("timestamp");
    matches!(column.kind, Kind::Date | Kind::DateTime) || column.sql_datatype().is_some_and(dated)
}

/// Tells whether the times of a column are of a zone in their source, whatever their text says.
fn has_zone(column: &Column) -> bool {
    let zoned = |sql: &str| sql.ends_with("with time zone") || !sql.starts_with("timestamp");
    column.kind != Kind::Date && column.sql_datatype().is_none_or(zoned)
}

/// Reads a date or time, in UTC where it has no zone; and tells whether it has one.
pub fn moment(text: &str) -> Option<(Timestamp, bool)> {
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some((stamp, true));
    }
    let civil = text.parse::<DateTime>().ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_keys_of_the_future() {
        let start = Some("2026-11-20T10:00:00Z".parse().unwrap());
        let cap = Cap { start, since: Instant::now() };
        let check = |schema: &str, text: &str, expected| {
            let column = Column::new("k", serde_json::from_str(schema).unwrap());
            let found = cap.is_ahead_key(&column, text.as_bytes());
            assert_eq!(found, expected, "{schema} {text}");
            assert!(!Cap::new(false).is_ahead_key(&column, text.as_bytes()), "{schema} {text}");
        };
        let zoned = r#"{"type":"string","format":"date-time"}"#;
        check(zoned, "2026-11-20T10:00:00Z", false);
        check(zoned, "2026-11-20T10:00:00.000001Z", true);
        check(zoned, "2026-11-20 11:00:00+01", false);
        check(zoned, "2026-11-20T11:00:01+01:00", true);
        check(zoned, "2204-01-01T00:00:00+00:00", true);
        check(zoned, "12026-01-01T00:00:00+00:00", true);
        check(zoned, "4713-01-01T00:00:00+00:00 BC", false);
        check(zoned, "infinity", true);
        check(zoned, "-infinity", false);
        // Without a zone it may be a day later elsewhere.
        check(zoned, "2026-11-20T23:00:00", false);
        check(zoned, "2026-11-21T01:00:00", true);
        let naive = r#"{"type":"string","format":"date-time",
            "x-sql-datatype":"timestamp(3) without time zone"}"#;
        check(naive, "2026-11-20T23:00:00+00:00", false);
        check(naive, "2026-11-21T01:00:00+00:00", true);
        let printed = r#"{"type":"string","x-sql-datatype":"timestamp with time zone"}"#;
        check(printed, "2026-11-20 10:00:00.5+00", true);
        let date = r#"{"type":"string","format":"date"}"#;
        check(date, "2026-11-21", false);
        check(date, "2026-11-22", true);
        check(date, "10000-01-01", true);
        // A time of whole seconds may be rounded up.
        let start = Some("2026-11-20T10:00:00.6Z".parse().unwrap());
        let later = Cap { start, since: Instant::now() };
        let column = Column::new("k", serde_json::from_str(zoned).unwrap());
        let found = |text: &str| later.is_ahead_key(&column, text.as_bytes());
        assert!(!found("2026-11-20T10:00:01Z") && found("2026-11-20T10:00:02Z"));
        assert!(found("2026-11-20T10:00:01.000001Z"));
        // Only times are capped.
        check(r#"{"type":"string"}"#, "2204-01-01", false);
        check(r#"{"type":"integer"}"#, "22040101", false);
        check(r#"{"type":"number"}"#, "Infinity", false);
    }

    #[test]
    fn a_clock_is_believed_within_a_day() {
        let start: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let mut cap = Cap { start: Some(start), since: Instant::now() };
        cap.set_clock("2099-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(cap.start, Some(start));
        let near = "2026-11-20T12:00:00Z".parse().unwrap();
        cap.set_clock(near);
        assert_eq!(cap.start, Some(near));
    }
}
