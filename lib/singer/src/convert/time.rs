//! Dates and times in a declared form.

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use super::Unfit;
use super::pattern::{Field, Part, parts};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Kind;

/// How dates, times, or both are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat {
    kind: Kind,
    parts: Vec<Part>,
    /// The first year that two digits may mean.
    century_start: u16,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const FORM: Unfit = Unfit("it does not match its format");
const LONGER: Unfit = Unfit("it is longer than its format");
const NO_DAY: Unfit = Unfit("this day does not exist");
const NO_TIME: Unfit = Unfit("this time does not exist");
const WEEKDAY: Unfit = Unfit("its day of the week does not fit its date");

/// What was read of a text.
#[derive(Default)]
struct Read<'a> {
    year: u16,
    month: u8,
    day: u8,
    weekday: Option<u8>,
    hour: u8,
    is_afternoon: Option<bool>,
    minute: u8,
    second: u8,
    fraction: &'a [u8],
    offset: Option<Offset>,
}

#[derive(Clone, Copy)]
enum Offset {
    Zulu,
    Of { sign: u8, hours: u8, minutes: u8 },
}

impl TimeFormat {
    /// Reads a format: `%d.%m.%Y` as strptime has it, or `DD.MM.YYYY`, for a date, a time or a
    /// date-time. Two digits of a year are one of the hundred years from `century_start` on.
    ///
    /// Fails with `Config` when it says too little, too much or the same twice, and for years of
    /// two digits without `century_start`.
    pub fn new(kind: Kind, pattern: &str, century_start: Option<u16>) -> Result<Self> {
        let refuse = |reason: String| {
            Error::new(ErrorKind::Config, "cannot use this format of dates and times")
                .with("format", pattern)
                .with("reason", reason)
        };
        let parts = parts(pattern).map_err(refuse)?;
        let mut fields: Vec<Field> = parts.iter().filter_map(Part::field).collect();
        fields.sort_unstable();
        let has = |field: Field| fields.contains(&field);
        if let Some(pair) = fields.windows(2).find(|pair| pair[0] == pair[1]) {
            let hint = "write months as %m or MM, and minutes as %M or mm";
            return Err(refuse(format!("it has the {} twice", word(pair[0]))).hint(hint));
        }
        let has_date = has(Field::Day) && has(Field::Month);
        let years = usize::from(has(Field::Year)) + usize::from(has(Field::YearOfCentury));
        let is_half = has(Field::HourOfHalf);
        let hours = usize::from(has(Field::Hour)) + usize::from(is_half);
        let has_more = has(Field::Weekday) || has(Field::Day) || has(Field::Month) || years > 0;
        let reason = match kind {
            Kind::Date | Kind::DateTime if !has_date || years != 1 => {
                "it lacks the day, the month or the year"
            }
            Kind::Date if fields.iter().any(|field| *field >= Field::Hour) => {
                "it has a time, but the type is date"
            }
            Kind::DateTime | Kind::Time if hours != 1 => "it has no hour",
            Kind::Time if has_more || has(Field::Offset) => {
                "it has more than a time, but the type is time"
            }
            _ if is_half != has(Field::Meridiem) => "it has only one of %I and %p",
            _ if has(Field::Second) && !has(Field::Minute) => "it has seconds without minutes",
            _ if has(Field::Fraction) && !has(Field::Second) => "it has a fraction without seconds",
            Kind::Date | Kind::DateTime | Kind::Time => "",
            _ => "only dates and times have a format",
        };
        if !reason.is_empty() {
            return Err(refuse(reason.to_owned()));
        }
        let in_reach = |start: &u16| (1..=9900).contains(start);
        match (has(Field::YearOfCentury), century_start) {
            (true, None) => Err(refuse("two digits do not give the century".to_owned()).hint(
                "set `two_digit_century_start` to the first year that they may mean, such as 1970",
            )),
            (_, Some(start)) if !in_reach(&start) => {
                Err(refuse("years from 1 to 9900 can begin a century".to_owned()))
            }
            (_, start) => Ok(Self { kind, parts, century_start: start.unwrap_or_default() }),
        }
    }

    /// Tells whether what comes out has an offset.
    pub fn has_offset(&self) -> bool {
        self.parts.contains(&Part::Offset)
    }

    /// Returns the kind of what comes out.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Appends a date or time as ISO 8601 has it; a date-time has an offset where the text has one.
    pub fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let read = self.read(text)?;
        if self.kind != Kind::Time {
            read.check_date()?;
            push(out, read.year, 4);
            out.push(b'-');
            push(out, read.month.into(), 2);
            out.push(b'-');
            push(out, read.day.into(), 2);
        }
        if self.kind == Kind::Date {
            return Ok(());
        }
        if self.kind == Kind::DateTime {
            out.push(b'T');
        }
        let hour = read.hour_of_day()?;
        if hour > 23 || read.minute > 59 || read.second > 59 {
            return Err(NO_TIME);
        }
        for (at, number) in [hour, read.minute, read.second].into_iter().enumerate() {
            if at > 0 {
                out.push(b':');
            }
            push(out, number.into(), 2);
        }
        if !read.fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(read.fraction);
        }
        match read.offset {
            None => {}
            Some(Offset::Zulu) => out.push(b'Z'),
            Some(Offset::Of { sign, hours, minutes }) => {
                out.push(sign);
                push(out, hours.into(), 2);
                out.push(b':');
                push(out, minutes.into(), 2);
            }
        }
        Ok(())
    }

    fn read<'a>(&self, text: &'a [u8]) -> Result<Read<'a>, Unfit> {
        let mut read = Read::default();
        let mut rest = text;
        for part in &self.parts {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_bytes()).ok_or(FORM)?,
                Part::Number { field, digits_min, digits_max } => {
                    let max = usize::from(*digits_max);
                    let count = rest.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
                    if count < usize::from(*digits_min) {
                        return Err(FORM);
                    }
                    let (digits, behind) = rest.split_at(count);
                    self.take(*field, digits, &mut read);
                    rest = behind;
                }
                Part::Name { field, is_short } => {
                    let names = if *field == Field::Month { &MONTHS[..] } else { &WEEKDAYS };
                    let (at, behind) = name(rest, names, *is_short).ok_or(FORM)?;
                    match field {
                        Field::Month => read.month = at + 1,
                        _ => read.weekday = Some(at),
                    }
                    rest = behind;
                }
                Part::Meridiem => {
                    let (at, behind) = name(rest, &["AM", "PM"], false).ok_or(FORM)?;
                    read.is_afternoon = Some(at == 1);
                    rest = behind;
                }
                Part::Offset => {
                    let (offset, behind) = offset(rest).ok_or(FORM)?;
                    read.offset = Some(offset);
                    rest = behind;
                }
            }
        }
        if rest.is_empty() { Ok(read) } else { Err(LONGER) }
    }

    fn take<'a>(&self, field: Field, digits: &'a [u8], read: &mut Read<'a>) {
        if field == Field::Fraction {
            read.fraction = digits;
            return;
        }
        let number = digits.iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        // Two digits at most, but for the year.
        let small = u8::try_from(number).unwrap_or(u8::MAX);
        match field {
            Field::Year => read.year = number,
            Field::YearOfCentury => {
                let start = self.century_start;
                let year = start - start % 100 + number;
                read.year = if year < start { year + 100 } else { year };
            }
            Field::Month => read.month = small,
            Field::Day => read.day = small,
            Field::Hour | Field::HourOfHalf => read.hour = small,
            Field::Minute => read.minute = small,
            Field::Second => read.second = small,
            Field::Weekday | Field::Meridiem | Field::Fraction | Field::Offset => {}
        }
    }
}

impl Read<'_> {
    fn check_date(&self) -> Result<(), Unfit> {
        let signed = |number: u8| i8::try_from(number).map_err(|_| NO_DAY);
        let year = i16::try_from(self.year).ok().filter(|year| *year > 0).ok_or(NO_DAY)?;
        let date = Date::new(year, signed(self.month)?, signed(self.day)?).map_err(|_| NO_DAY)?;
        let weekday = date.weekday().to_monday_zero_offset();
        let is_it = self.weekday.is_none_or(|said| i8::try_from(said) == Ok(weekday));
        if is_it { Ok(()) } else { Err(WEEKDAY) }
    }

    fn hour_of_day(&self) -> Result<u8, Unfit> {
        match self.is_afternoon {
            None => Ok(self.hour),
            Some(_) if !(1..=12).contains(&self.hour) => Err(NO_TIME),
            Some(is_afternoon) => Ok(self.hour % 12 + if is_afternoon { 12 } else { 0 }),
        }
    }
}

/// Finds a name, in any case, at the start of a text; returns its number and what follows.
fn name<'a>(text: &'a [u8], names: &[&str], is_short: bool) -> Option<(u8, &'a [u8])> {
    names.iter().zip(0..).find_map(|(name, at)| {
        let name = if is_short { &name[..3] } else { name };
        let (begin, rest) = text.split_at_checked(name.len())?;
        begin.eq_ignore_ascii_case(name.as_bytes()).then_some((at, rest))
    })
}

fn offset(text: &[u8]) -> Option<(Offset, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"Z") {
        return Some((Offset::Zulu, rest));
    }
    let [sign @ (b'+' | b'-'), text @ ..] = text else { return None };
    let (hours, rest) = pair(text)?;
    let behind = rest.strip_prefix(b":").unwrap_or(rest);
    let (minutes, rest) = match pair(behind) {
        Some((minutes, rest)) => (minutes, rest),
        None if rest.first() == Some(&b':') => return None,
        None => (0, rest),
    };
    // No place on Earth has a greater one, and databases take none.
    let fits = hours <= 15 && minutes <= 59;
    fits.then_some((Offset::Of { sign: *sign, hours, minutes }, rest))
}

/// Reads a number of two digits.
fn pair(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
            Some(((tens - b'0') * 10 + ones - b'0', rest))
        }
        _ => None,
    }
}

/// Appends a number with as many digits.
fn push(out: &mut Vec<u8>, number: u16, digits: u32) {
    for power in (0..digits).rev() {
        out.push(b'0' + u8::try_from(number / 10_u16.pow(power) % 10).unwrap_or_default());
    }
}

fn word(field: Field) -> &'static str {
    match field {
        Field::Year | Field::YearOfCentury => "year",
        Field::Month => "month",
        Field::Day => "day",
        Field::Weekday => "day of the week",
        Field::Hour | Field::HourOfHalf => "hour",
        Field::Meridiem => "half of the day",
        Field::Minute => "minute",
        Field::Second => "second",
        Field::Fraction => "fraction",
        Field::Offset => "offset",
    }
}
