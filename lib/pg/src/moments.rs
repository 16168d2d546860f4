//! Dates and times of the years 1 to 9999 as the numbers that the server keeps of them (pure).

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// The days of the years 1 to 9999, counted from 2000-01-01, which the server counts from.
const DAYS: std::ops::RangeInclusive<i64> = -730_119..=2_921_939;

/// A date with a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Microseconds since 2000 began, as its text says them.
    micros: i64,
    /// How far its text is before UTC, in seconds; `None` where it does not say that.
    offset: Option<i64>,
}

impl Moment {
    /// Reads `YYYY-MM-DDTHH:MM:SS[.fraction][Z|+HH[:MM]]`, with a space or a `T`, or a date alone,
    /// which is its midnight.
    #[inline]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (day, rest) = text.split_at_checked(10)?;
        let day = i64::from(date(day)?) * DAY;
        let [b'T' | b' ', rest @ ..] = rest else {
            return rest.is_empty().then_some(Self { micros: day, offset: None });
        };
        let (micros, rest) = clock(rest)?;
        let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
        Some(Self { micros: day + micros, offset })
    }

    /// Returns the time as it is written, unless it has an offset other than zero.
    #[inline]
    pub(crate) fn without_offset(self) -> Option<i64> {
        self.offset.is_none_or(|seconds| seconds == 0).then_some(self.micros)
    }

    /// Returns the time in UTC, where it has an offset.
    #[inline]
    pub(crate) fn in_utc(self) -> Option<i64> {
        let micros = self.micros - self.offset? * 1_000_000;
        DAYS.contains(&micros.div_euclid(DAY)).then_some(micros)
    }
}

/// Reads `YYYY-MM-DD` as days since 2000-01-01.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = pair(text, 0)? * 100 + pair(text, 2)?;
    let (month, day) = (pair(text, 5)?, pair(text, 8)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=days).contains(&day) {
        return None;
    }
    // Of years that begin with March, so that a leap day is their last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days - 730_425)
}

/// Reads `HH:MM:SS[.fraction]` as microseconds since midnight.
#[inline]
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (micros, rest) = clock(text)?;
    rest.is_empty().then_some(micros)
}

/// Reads the time that a text begins with; returns what is behind it.
#[inline]
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest) = text.split_at_checked(8)?;
    if text[2] != b':' || text[5] != b':' {
        return None;
    }
    let (hours, minutes, seconds) = (pair(text, 0)?, pair(text, 3)?, pair(text, 6)?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = i64::from((hours * 60 + minutes) * 60 + seconds) * 1_000_000;
    let [b'.', rest @ ..] = rest else { return Some((micros, rest)) };
    let mut fraction = 0;
    let mut unit = 1_000_000;
    let mut at = 0;
    while let Some(digit) = rest.get(at).filter(|byte| byte.is_ascii_digit()) {
        // More digits than are kept are left to the server.
        if unit == 1 {
            return None;
        }
        unit /= 10;
        fraction += i64::from(digit - b'0') * unit;
        at += 1;
    }
    (at > 0).then_some((micros + fraction, &rest[at..]))
}

/// Reads an offset in seconds: `Z`, `+HH` or `+HH:MM`.
#[inline]
fn offset(text: &[u8]) -> Option<i64> {
    let (hours, minutes) = match text {
        b"Z" => return Some(0),
        [_, _, _] => (pair(text, 1)?, 0),
        [_, _, _, b':', _, _] => (pair(text, 1)?, pair(text, 4)?),
        _ => return None,
    };
    let seconds = i64::from((hours * 60 + minutes) * 60);
    match text[0] {
        _ if hours > 14 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Reads two digits.
#[inline]
fn pair(text: &[u8], at: usize) -> Option<i32> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then_some(i32::from(tens) * 10 + i32::from(ones))
}

#[cfg(test)]
mod tests {
    use jiff::civil;

    use super::*;

    #[test]
    fn counts_every_day() {
        let (first, start) = (civil::date(1, 1, 1), civil::date(2000, 1, 1));
        let mut expected = *DAYS.start();
        let mut day = first;
        assert_eq!(start.since(first).unwrap().get_days(), -i32::try_from(expected).unwrap());
        loop {
            assert_eq!(date(day.to_string().as_bytes()).map(i64::from), Some(expected), "{day}");
            match day.tomorrow() {
                Ok(next) => (day, expected) = (next, expected + 1),
                Err(_) => break,
            }
        }
        assert_eq!((day, expected), (civil::date(9999, 12, 31), *DAYS.end()));
    }

    #[test]
    fn reads_no_other_text() {
        for text in [
            "",
            "2024-02-30",
            "2023-02-29",
            "1900-02-29",
            "0000-01-01",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-1-01",
            "12024-01-01",
            "0044-03-15 BC",
            "2024/01/01",
            "infinity",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        for text in [
            "24:00:00",
            "23:60:00",
            "23:59:60",
            "1:00:00",
            "10:00",
            "10:00:00.",
            "10:00:00.1234567",
            "10:00:00+00",
            "10:00:00 ",
        ] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
        for text in [
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00+0000",
            "2024-01-01T00:00:00+15:00",
            "2024-01-01T00:00:00+01:60",
            "2024-01-01T00:00:00 UTC",
            "2024-01-01T00:00:00Z ",
            "2024-01-01T",
            "2024-01-01 ",
            "2024-01-01+01",
            "2024-01-01T00:00:00+01:00:00",
        ] {
            assert_eq!(Moment::parse(text.as_bytes()), None, "{text}");
        }
        let edge = |text: &str| Moment::parse(text.as_bytes()).unwrap().in_utc();
        assert_eq!(edge("0001-01-01T00:00:00+00:01"), None);
        assert_eq!(edge("9999-12-31T23:59:59-00:01"), None);
        assert!(edge("9999-12-31T23:59:59.999999Z").is_some());
    }

    #[test]
    fn reads_times() {
        assert_eq!(time(b"23:59:59.999999"), Some(DAY - 1));
        assert_eq!(time(b"00:00:00.05"), Some(50_000));
        let parse = |text: &str| Moment::parse(text.as_bytes()).unwrap();
        assert_eq!(parse("2000-01-02"), Moment { micros: DAY, offset: None });
        assert_eq!(
            parse("1999-12-31 23:59:59.5-03:30"),
            Moment { micros: -500_000, offset: Some(-12_600) }
        );
        assert_eq!(parse("2000-01-01T00:00:00+14"), Moment { micros: 0, offset: Some(50_400) });
        assert_eq!(parse("2000-01-01T00:00:00.000Z").in_utc(), Some(0));
    }
}
