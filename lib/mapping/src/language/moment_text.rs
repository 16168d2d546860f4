//! `strftime` and `strptime`.

use std::fmt::Write as _;

use super::fault::Fault;
use super::moment::{Date, DateTime, offset_text};

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

fn named(names: &[&'static str], at: i64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default()
}

fn short(name: &'static str) -> &'static str {
    name.get(..3).unwrap_or(name)
}

/// Writes a moment in a format, as the locale `C` does.
pub(crate) fn format(moment: DateTime, format: &str) -> Result<String, Fault> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(directive) => write(moment, directive, &mut out)?,
            None => out.push('%'),
        }
    }
    Ok(out)
}

fn write(moment: DateTime, directive: char, out: &mut String) -> Result<(), Fault> {
    let (year, month, day) = moment.date().parts();
    let (hour, minute, second, micro) = moment.clock();
    let weekday = moment.date().weekday();
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let of_year = moment.date().of_year();
    let done = match directive {
        'Y' => write!(out, "{year}"),
        'C' => write!(out, "{:02}", year / 100),
        'y' => write!(out, "{:02}", year % 100),
        'm' => write!(out, "{month:02}"),
        'd' => write!(out, "{day:02}"),
        'e' => write!(out, "{day:2}"),
        'H' => write!(out, "{hour:02}"),
        'I' => write!(out, "{half:02}"),
        'M' => write!(out, "{minute:02}"),
        'S' => write!(out, "{second:02}"),
        'f' => write!(out, "{micro:06}"),
        'p' => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
        'j' => write!(out, "{of_year:03}"),
        'B' => write!(out, "{}", named(&MONTHS, month - 1)),
        'b' | 'h' => write!(out, "{}", short(named(&MONTHS, month - 1))),
        'A' => write!(out, "{}", named(&WEEKDAYS, weekday)),
        'a' => write!(out, "{}", short(named(&WEEKDAYS, weekday))),
        'u' => write!(out, "{}", weekday + 1),
        'w' => write!(out, "{}", (weekday + 1) % 7),
        'U' => write!(out, "{:02}", (of_year + 6 - (weekday + 1) % 7) / 7),
        'W' => write!(out, "{:02}", (of_year + 6 - weekday) / 7),
        'G' => write!(out, "{}", moment.date().week().0),
        'V' => write!(out, "{:02}", moment.date().week().1),
        'F' => write!(out, "{year}-{month:02}-{day:02}"),
        'D' | 'x' => write!(out, "{month:02}/{day:02}/{:02}", year % 100),
        'T' | 'X' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
        'R' => write!(out, "{hour:02}:{minute:02}"),
        'n' => writeln!(out),
        't' => write!(out, "\t"),
        's' => write!(out, "{}", moment.epoch().div_euclid(1_000_000)),
        'z' => write!(out, "{}", moment.offset.map_or(String::new(), |o| offset_text(o, ""))),
        'Z' => write!(out, "{}", moment.offset.map_or(String::new(), zone)),
        '%' => write!(out, "%"),
        other => {
            return Err(Fault::of(format!("`%{other}` is not supported in a format of times")));
        }
    };
    done.map_err(|_| Fault::of("the text cannot be written"))
}

/// Names an offset as Python does.
pub(crate) fn zone(offset: i32) -> String {
    if offset == 0 { "UTC".to_owned() } else { format!("UTC{}", offset_text(offset, ":")) }
}

/// What `strptime` has read by now.
struct Reading<'a> {
    rest: &'a str,
    year: i64,
    month: i64,
    day: i64,
    of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micro: i64,
    afternoon: Option<bool>,
    offset: Option<i32>,
}

/// Reads a moment in a format.
pub(crate) fn parse(text: &str, format: &str) -> Result<DateTime, Fault> {
    let fault = || Fault::of("the text does not fit the format");
    let mut reading = Reading {
        rest: text,
        year: 1900,
        month: 1,
        day: 1,
        of_year: None,
        hour: 0,
        minute: 0,
        second: 0,
        micro: 0,
        afternoon: None,
        offset: None,
    };
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            let directive = chars.next().ok_or_else(|| Fault::of("the format ends with `%`"))?;
            reading.directive(directive)?;
        } else if c.is_whitespace() {
            let trimmed = reading.rest.trim_start();
            if trimmed.len() == reading.rest.len() {
                return Err(fault());
            }
            reading.rest = trimmed;
        } else {
            let mut rest = reading.rest.chars();
            let same = rest
                .next()
                .is_some_and(|other| other == c || other.to_lowercase().eq(c.to_lowercase()));
            if !same {
                return Err(fault());
            }
            reading.rest = rest.as_str();
        }
    }
    if !reading.rest.is_empty() {
        return Err(Fault::of("the text goes on behind the format"));
    }
    reading.finish()
}

impl Reading<'_> {
    fn digits(&mut self, most: usize) -> Result<i64, Fault> {
        let count = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits.parse().map_err(|_| Fault::of("the text does not fit the format"))
    }

    fn one_of(&mut self, names: &[&str]) -> Result<i64, Fault> {
        for (at, name) in names.iter().enumerate() {
            if self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
                self.rest = &self.rest[name.len()..];
                return Ok(i64::try_from(at).unwrap_or_default());
            }
        }
        Err(Fault::of("the text does not fit the format"))
    }

    fn directive(&mut self, directive: char) -> Result<(), Fault> {
        match directive {
            'Y' => {
                let before = self.rest.len();
                self.year = self.digits(4)?;
                if before - self.rest.len() != 4 {
                    return Err(Fault::of("the text does not fit the format"));
                }
            }
            'y' => {
                let year = self.digits(2)?;
                self.year = if year < 69 { 2000 + year } else { 1900 + year };
            }
            'm' => self.month = self.digits(2)?,
            'd' => self.day = self.digits(2)?,
            'j' => self.of_year = Some(self.digits(3)?),
            'H' | 'I' => self.hour = self.digits(2)?,
            'M' => self.minute = self.digits(2)?,
            'S' => self.second = self.digits(2)?,
            'f' => {
                let before = self.rest.len();
                let digits = self.digits(6)?;
                let count = u32::try_from(before - self.rest.len()).unwrap_or_default();
                self.micro = digits * 10_i64.pow(6 - count);
            }
            'B' => self.month = self.one_of(&MONTHS)? + 1,
            'b' => self.month = self.one_of(&MONTHS.map(short))? + 1,
            'A' => drop(self.one_of(&WEEKDAYS)?),
            'a' => drop(self.one_of(&WEEKDAYS.map(short))?),
            'p' => self.afternoon = Some(self.one_of(&["AM", "PM"])? == 1),
            'z' => self.zone()?,
            'Z' => {
                self.one_of(&["UTC", "GMT"])?;
            }
            '%' => drop(self.one_of(&["%"])?),
            other => {
                return Err(Fault::of(format!("`%{other}` is not supported when reading times")));
            }
        }
        Ok(())
    }

    fn zone(&mut self) -> Result<(), Fault> {
        let fault = || Fault::of("the text does not fit the format");
        if let Some(rest) = self.rest.strip_prefix('Z') {
            (self.rest, self.offset) = (rest, Some(0));
            return Ok(());
        }
        let sign = match self.rest.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            _ => return Err(fault()),
        };
        self.rest = &self.rest[1..];
        let hours = self.digits(2)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        let seconds = (hours * 60 + self.digits(2)?) * 60;
        self.offset = Some(sign * i32::try_from(seconds).map_err(|_| fault())?);
        Ok(())
    }

    fn finish(self) -> Result<DateTime, Fault> {
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let date = match self.of_year {
            Some(day) => Date::new(self.year, 1, 1)?.plus_days(day - 1)?,
            None => Date::new(self.year, self.month, self.day)?,
        };
        clock(hour, self.minute, self.second, self.micro).map(|micros| date.at(micros, self.offset))
    }
}

/// Returns the microseconds of a time of day.
pub(crate) fn clock(hour: i64, minute: i64, second: i64, micro: i64) -> Result<i64, Fault> {
    let parts = [("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)];
    let odd = parts.iter().find(|(_, value, most)| !(0..=*most).contains(value));
    if let Some((name, ..)) = odd {
        return Err(Fault::of(format!("the {name} is out of range")));
    }
    if !(0..1_000_000).contains(&micro) {
        return Err(Fault::of("the microsecond is out of range"));
    }
    Ok(((hour * 60 + minute) * 60 + second) * 1_000_000 + micro)
}
