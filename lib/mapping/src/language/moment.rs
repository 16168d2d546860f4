//! Days and moments of Python's `datetime`: years 1 to 9999, microseconds, an offset or none.

use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::fault::Fault;

pub(crate) const DAY: i64 = 86_400 * 1_000_000;
const HOUR: i64 = 3_600 * 1_000_000;
/// The days of the years 1 to 9999.
const DAYS: std::ops::RangeInclusive<i32> = 1..=3_652_059;
/// The day of 1970-01-01.
const EPOCH: i32 = 719_163;

/// A day: 1 is 0001-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(i32);

/// A moment: microseconds since the start of year 1 as its clock shows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DateTime {
    micros: i64,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
}

fn out_of_range() -> Fault {
    Fault::of("the date lies outside of the years 1 to 9999")
}

impl Date {
    pub(crate) fn new(year: i64, month: i64, day: i64) -> Result<Self, Fault> {
        let fault = |what: &str| Err(Fault::of(format!("{what} is out of range")));
        if !(1..=9999).contains(&year) {
            return fault("the year");
        }
        if !(1..=12).contains(&month) {
            return fault("the month");
        }
        if day < 1 || day > days_of(year, month) {
            return fault("the day");
        }
        let before: i64 = (1..month).map(|month| days_of(year, month)).sum();
        let years = year - 1;
        let number = years * 365 + years / 4 - years / 100 + years / 400 + before + day;
        Self::of(number)
    }

    fn of(number: i64) -> Result<Self, Fault> {
        let number = i32::try_from(number).ok().filter(|number| DAYS.contains(number));
        number.map(Self).ok_or_else(out_of_range)
    }

    pub(crate) fn plus_days(self, days: i64) -> Result<Self, Fault> {
        Self::of(i64::from(self.0).saturating_add(days))
    }

    pub(crate) fn days_since(self, other: Self) -> i64 {
        i64::from(self.0) - i64::from(other.0)
    }

    /// Returns year, month and day.
    pub(crate) fn parts(self) -> (i64, i64, i64) {
        let zero = i64::from(self.0) - 1;
        // The days since the 1st of March of year 0, in eras of 400 years.
        let from = zero + 306;
        let (era, of_era) = (from.div_euclid(146_097), from.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }

    /// Monday is 0.
    pub(crate) fn weekday(self) -> i64 {
        (i64::from(self.0) + 6) % 7
    }

    /// Returns the number of the day in its year, from 1.
    pub(crate) fn of_year(self) -> i64 {
        let (year, ..) = self.parts();
        Self::new(year, 1, 1).map_or(0, |first| self.days_since(first) + 1)
    }

    /// Returns year, week and day by ISO 8601.
    pub(crate) fn week(self) -> (i64, i64, i64) {
        let day = self.weekday() + 1;
        let (year, ..) = self.parts();
        let week = (self.of_year() - day + 10) / 7;
        let weeks = |year: i64| {
            let long = |year: i64| (year + year / 4 - year / 100 + year / 400) % 7;
            if long(year) == 4 || long(year - 1) == 3 { 53 } else { 52 }
        };
        match week {
            0 => (year - 1, weeks(year - 1), day),
            week if week > weeks(year) => (year + 1, 1, day),
            week => (year, week, day),
        }
    }

    pub(crate) fn text(self) -> String {
        let (year, month, day) = self.parts();
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub(crate) fn at(self, micros: i64, offset: Option<i32>) -> DateTime {
        DateTime { micros: (i64::from(self.0) - 1) * DAY + micros, offset }
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl DateTime {
    /// Returns the moment that the machine's clock shows, in UTC.
    pub(crate) fn now_utc() -> Result<Self, Fault> {
        Self::of_epoch(Timestamp::now().as_microsecond(), 0)
    }

    /// Returns what the clock shows in the time zone of the machine, without an offset.
    pub(crate) fn now_here() -> Result<Self, Fault> {
        let now = Timestamp::now();
        let here = TimeZone::system().to_offset(now).seconds();
        Self::of_epoch(now.as_microsecond(), here).map(Self::naive)
    }

    /// Returns the moment so many microseconds after 1970, as a clock with this offset shows it.
    pub(crate) fn of_epoch(micros: i64, offset: i32) -> Result<Self, Fault> {
        let from = (i64::from(EPOCH) - 1) * DAY;
        let there = micros.checked_add(from + i64::from(offset) * 1_000_000);
        Self { micros: 0, offset: Some(offset) }.with_micros(there)
    }

    pub(crate) fn of_epoch_here(micros: i64) -> Result<Self, Fault> {
        let at = Timestamp::from_microsecond(micros).map_err(|_| out_of_range())?;
        Self::of_epoch(micros, TimeZone::system().to_offset(at).seconds()).map(Self::naive)
    }

    fn with_micros(self, micros: Option<i64>) -> Result<Self, Fault> {
        let last = i64::from(*DAYS.end()) * DAY;
        match micros {
            Some(micros) if (0..last).contains(&micros) => Ok(Self { micros, ..self }),
            _ => Err(out_of_range()),
        }
    }

    pub(crate) fn naive(self) -> Self {
        Self { offset: None, ..self }
    }

    pub(crate) fn plus(self, micros: i64) -> Result<Self, Fault> {
        self.with_micros(self.micros.checked_add(micros))
    }

    pub(crate) fn date(self) -> Date {
        Date(i32::try_from(self.micros / DAY).unwrap_or_default() + 1)
    }

    /// Returns the microseconds of its day.
    pub(crate) fn of_day(self) -> i64 {
        self.micros % DAY
    }

    /// Returns hour, minute, second and microsecond.
    pub(crate) fn clock(self) -> (i64, i64, i64, i64) {
        let of_day = self.of_day();
        let seconds = of_day / 1_000_000;
        (seconds / 3600, seconds / 60 % 60, seconds % 60, of_day % 1_000_000)
    }

    fn utc(self) -> i64 {
        self.micros - i64::from(self.offset.unwrap_or_default()) * 1_000_000
    }

    pub(crate) fn equals(self, other: Self) -> bool {
        self.offset.is_some() == other.offset.is_some() && self.utc() == other.utc()
    }

    pub(crate) fn order(self, other: Self) -> Result<Ordering, Fault> {
        self.check(other)?;
        Ok(self.utc().cmp(&other.utc()))
    }

    pub(crate) fn micros_since(self, other: Self) -> Result<i64, Fault> {
        self.check(other)?;
        Ok(self.utc() - other.utc())
    }

    fn check(self, other: Self) -> Result<(), Fault> {
        if self.offset.is_some() == other.offset.is_some() {
            return Ok(());
        }
        Err(Fault::of("a datetime with an offset meets one without"))
    }

    /// Returns microseconds since 1970. One without an offset is of the machine's time zone.
    pub(crate) fn epoch(self) -> i64 {
        let naive = self.utc() - (i64::from(EPOCH) - 1) * DAY;
        if self.offset.is_some() {
            return naive;
        }
        let (year, month, day) = self.date().parts();
        let (hour, minute, second, _) = self.clock();
        let narrow = |number: i64| i8::try_from(number).unwrap_or_default();
        let civil = civil::DateTime::new(
            i16::try_from(year).unwrap_or_default(),
            narrow(month),
            narrow(day),
            narrow(hour),
            narrow(minute),
            narrow(second),
            0,
        );
        let zoned = civil.ok().and_then(|civil| TimeZone::system().to_timestamp(civil).ok());
        zoned.map_or(naive, |at| at.as_second() * 1_000_000 + naive.rem_euclid(1_000_000))
    }

    /// Returns the same moment on a clock with this offset.
    pub(crate) fn on_clock(self, offset: i32) -> Result<Self, Fault> {
        Self::of_epoch(self.epoch(), offset)
    }

    pub(crate) fn text(self, between: char) -> String {
        let (hour, minute, second, micro) = self.clock();
        let mut out = self.date().text();
        let _ = write!(out, "{between}{hour:02}:{minute:02}:{second:02}");
        if micro != 0 {
            let _ = write!(out, ".{micro:06}");
        }
        if let Some(offset) = self.offset {
            out.push_str(&offset_text(offset, ":"));
        }
        out
    }
}

pub(crate) fn offset_text(offset: i32, between: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    let mut out = format!("{sign}{:02}{between}{:02}", seconds / 3600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _ = write!(out, "{between}{:02}", seconds % 60);
    }
    out
}

/// Returns the text of a length of time, as `str` writes it.
pub(crate) fn delta_text(micros: i64) -> String {
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let mut out = String::new();
    if days != 0 {
        let plural = if days.abs() == 1 { "" } else { "s" };
        let _ = write!(out, "{days} day{plural}, ");
    }
    let seconds = rest / 1_000_000;
    let _ = write!(out, "{}:{:02}:{:02}", rest / HOUR, seconds / 60 % 60, seconds % 60);
    if rest % 1_000_000 != 0 {
        let _ = write!(out, ".{:06}", rest % 1_000_000);
    }
    out
}

/// Reads a day or a moment as ISO 8601 writes them, as `fromisoformat` of Python 3.11 does.
pub(crate) fn read(text: &str) -> Result<DateTime, Fault> {
    let fault = || Fault::of("the text is not a date and time of ISO 8601");
    if !text.is_ascii() {
        return Err(fault());
    }
    let (date, used) = read_date(text).ok_or_else(fault)??;
    let Some(rest) = text.get(used + 1..) else {
        return if used == text.len() { Ok(date.at(0, None)) } else { Err(fault()) };
    };
    let clock_end = rest.find(['+', '-', 'Z', 'z']).unwrap_or(rest.len());
    let (clock, offset) = rest.split_at(clock_end);
    let micros = read_clock(clock).ok_or_else(fault)?;
    let offset = match offset {
        "" => None,
        "Z" | "z" => Some(0),
        signed => {
            let seconds = read_clock(&signed[1..]).ok_or_else(fault)? / 1_000_000;
            let seconds = i32::try_from(seconds).map_err(|_| fault())?;
            Some(if signed.starts_with('-') { -seconds } else { seconds })
        }
    };
    Ok(date.at(micros, offset))
}

/// Reads a day alone.
pub(crate) fn read_day(text: &str) -> Result<Date, Fault> {
    let fault = || Fault::of("the text is not a date of ISO 8601");
    let (date, used) =
        Some(text).filter(|text| text.is_ascii()).and_then(read_date).ok_or_else(fault)??;
    if used == text.len() { Ok(date) } else { Err(fault()) }
}

/// Returns the day at the start of a text, and where it ends.
fn read_date(text: &str) -> Option<Result<(Date, usize), Fault>> {
    let part = |range: std::ops::Range<usize>| digits(text.get(range)?);
    if text.as_bytes().get(4) == Some(&b'-') {
        let date = (part(0..4)?, part(5..7)?, part(8..10)?);
        (text.as_bytes().get(7) == Some(&b'-')).then_some(())?;
        return Some(Date::new(date.0, date.1, date.2).map(|date| (date, 10)));
    }
    let date = (part(0..4)?, part(4..6)?, part(6..8)?);
    Some(Date::new(date.0, date.1, date.2).map(|date| (date, 8)))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

/// Reads `HH[:MM[:SS[.ffffff]]]`, with or without colons, into microseconds.
fn read_clock(text: &str) -> Option<i64> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let joined = whole.replace(':', "");
    let colons = whole.len() - joined.len();
    if whole.len() > 2 && colons > 0 && colons != joined.len() / 2 - 1 {
        return None;
    }
    let part = |at: usize| joined.get(at..at + 2).map_or(Some(0), digits);
    if !matches!(joined.len(), 2 | 4 | 6) || !fraction.is_empty() && joined.len() != 6 {
        return None;
    }
    let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
    if hour > 23 || minute > 59 || second > 59 || text.ends_with(['.', ',']) {
        return None;
    }
    // Python drops what is finer than a microsecond.
    let mut micros: String = fraction.chars().take(6).collect();
    digits(fraction).or(if fraction.is_empty() { Some(0) } else { None })?;
    while micros.len() < 6 {
        micros.push('0');
    }
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + digits(&micros)?)
}
