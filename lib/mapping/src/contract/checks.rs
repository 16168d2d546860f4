//! What a value must be, judged on its canonical text.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use regex::Regex;
use singer::convert::Unfit;
use singer::scan::{Scanner, Token};
use singer::{Kind, Result};

use super::logical::Logical;
use super::options::{Limit, Options};
use super::words::no_value_between;
use super::yaml::Spot;
use crate::normal::{Decimal, normal_into};
use crate::protect::mail_parts;

/// One thing that a value must be.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// So many characters.
    Lengths {
        min: u64,
        max: u64,
    },
    /// So many elements or members.
    Counts {
        min: u64,
        max: u64,
    },
    Pattern(Regex),
    /// Not below, or not above.
    Bound {
        bound: Bound,
        is_low: bool,
        excluded: bool,
    },
    MultipleOf(Decimal),
    Format(Format),
    UniqueItems,
    Members(Vec<String>),
    /// An object, or an array.
    Opens(u8),
}

/// An end of a range.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    /// Of numbers; with its value where it is a small integer.
    Number(Decimal, Option<i64>),
    Day(Day),
    /// Of times, whose order is that of their texts.
    Time(Vec<u8>),
    /// Of moments; one without an offset is in UTC.
    Moment(jiff::Timestamp),
}

/// A form of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Email,
    Uuid,
    Ipv4,
    Ipv6,
    Hostname,
    Uri,
}

/// Compiles what values of a column must be.
pub(crate) fn compile(
    kind: Kind,
    logical: Option<Logical>,
    options: &Options,
) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let min = options.count_min.unwrap_or(0);
    let max = options.count_max.unwrap_or(u64::MAX);
    let counts = options.count_min.is_some() || options.count_max.is_some();
    match logical {
        Some(Logical::Object) => checks.push(Check::Opens(b'{')),
        Some(Logical::Array) => checks.push(Check::Opens(b'[')),
        _ => {}
    }
    match kind {
        Kind::Json if counts => checks.push(Check::Counts { min, max }),
        Kind::String if counts => checks.push(Check::Lengths { min, max }),
        _ => {}
    }
    if let Some(pattern) = &options.pattern {
        checks.push(Check::Pattern(pattern.clone()));
    }
    for (limit, is_low) in [(&options.low, true), (&options.high, false)] {
        if let Some(limit) = limit {
            let bound = bound(kind, limit)?;
            checks.push(Check::Bound { bound, is_low, excluded: limit.excluded });
        }
    }
    if let [Check::Bound { bound: low, .. }, Check::Bound { bound: high, .. }] =
        &checks[checks.len().saturating_sub(2)..]
        && low.is_above(high)
        && let Some(limit) = &options.low
    {
        return Err(no_value_between(limit.spot));
    }
    if let Some((text, spot)) = &options.multiple_of {
        let number = Decimal::read(text.as_bytes()).filter(|n| !n.digits.is_empty());
        let number = number.filter(|number| !number.negative);
        let number = number.filter(|number| number.digits.len() <= 19);
        let number = number.ok_or_else(|| {
            spot.fault("`multipleOf` is not a number above 0 with at most 19 digits")
        })?;
        checks.push(Check::MultipleOf(number));
    }
    if options.unique_items {
        checks.push(Check::UniqueItems);
    }
    if !options.members.is_empty() {
        checks.push(Check::Members(options.members.clone()));
    }
    if let Some(format) = &options.format {
        checks.extend(of_format(kind, format));
    }
    Ok(checks)
}

fn bound(kind: Kind, limit: &Limit) -> Result<Bound> {
    let Limit { text, spot, .. } = limit;
    let refused = |spot: &Spot| {
        spot.fault("cannot compare values of this type with the limit").hint(
            "write a number for numbers, and dates and times as in `2026-11-20` and \
             `2026-11-20T06:00:00Z`",
        )
    };
    match kind {
        Kind::Integer | Kind::Number => {
            let number = Decimal::read(text.as_bytes()).ok_or_else(|| refused(spot))?;
            let small = number.scaled(0).and_then(|value| i64::try_from(value).ok());
            Ok(Bound::Number(number, small))
        }
        Kind::DateTime => {
            let day = text.parse::<jiff::civil::Date>().map(|day| day.at(0, 0, 0, 0));
            let moment = moment(text.as_bytes()).or_else(|| utc(day.ok()?));
            moment.map(Bound::Moment).ok_or_else(|| refused(spot))
        }
        Kind::Date => Day::read(text.as_bytes()).map(Bound::Day).ok_or_else(|| refused(spot)),
        Kind::Time if singer::canonical::is_canonical(kind, text.as_bytes()) => {
            Ok(Bound::Time(normal_time(text.as_bytes())))
        }
        _ => Err(refused(spot)),
    }
}

/// The checks of a `format`; forms that are not known here judge nothing.
fn of_format(kind: Kind, format: &str) -> Vec<Check> {
    let range = |low: String, high: String| {
        let bound = |text: String, is_low| {
            let number = Decimal::read(text.as_bytes());
            number.map(|number| Check::Bound {
                bound: Bound::Number(number, text.parse().ok()),
                is_low,
                excluded: false,
            })
        };
        bound(low, true).into_iter().chain(bound(high, false)).collect()
    };
    let bits = |bits: u32| {
        let high = i128::MAX >> (128 - bits);
        range((-high - 1).to_string(), high.to_string())
    };
    let natural = |bits: u32| range("0".to_owned(), (u128::MAX >> (128 - bits)).to_string());
    match (kind, format) {
        (Kind::Integer, "i8") => bits(8),
        (Kind::Integer, "i16") => bits(16),
        (Kind::Integer, "i32") => bits(32),
        (Kind::Integer, "i64") => bits(64),
        (Kind::Integer, "i128") => bits(128),
        (Kind::Integer, "u8") => natural(8),
        (Kind::Integer, "u16") => natural(16),
        (Kind::Integer, "u32") => natural(32),
        (Kind::Integer, "u64") => natural(64),
        (Kind::Integer, "u128") => natural(128),
        (Kind::String, "email") => vec![Check::Format(Format::Email)],
        (Kind::String, "uuid") => vec![Check::Format(Format::Uuid)],
        (Kind::String, "ipv4") => vec![Check::Format(Format::Ipv4)],
        (Kind::String, "ipv6") => vec![Check::Format(Format::Ipv6)],
        (Kind::String, "hostname") => vec![Check::Format(Format::Hostname)],
        (Kind::String, "uri") => vec![Check::Format(Format::Uri)],
        _ => Vec::new(),
    }
}

impl Check {
    /// Judges a value in canonical text.
    pub(crate) fn judge(&self, kind: Kind, text: &[u8]) -> Result<(), Unfit> {
        match self {
            Self::Lengths { min, max } => {
                let length = text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
                between(length, *min, *max, "its text is too short or too long")
            }
            Self::Counts { min, max } => {
                let count = elements(text).map_or(0, |elements| elements.len() as u64);
                between(count, *min, *max, "it has too many or too few elements or members")
            }
            Self::Pattern(pattern) => {
                let fits = std::str::from_utf8(text).is_ok_and(|text| pattern.is_match(text));
                fits.then_some(()).ok_or(Unfit("it does not match the pattern"))
            }
            Self::Bound { bound, is_low, excluded } => {
                let order = bound.compare(kind, text);
                let fits = match order {
                    Some(Ordering::Equal) => !excluded,
                    Some(Ordering::Less) => !is_low,
                    Some(Ordering::Greater) => *is_low,
                    None => false,
                };
                let refused = match (is_low, excluded) {
                    (true, false) => "it is below the minimum",
                    (true, true) => "it is not above exclusiveMinimum",
                    (false, false) => "it is above the maximum",
                    (false, true) => "it is not below exclusiveMaximum",
                };
                fits.then_some(()).ok_or(Unfit(refused))
            }
            Self::MultipleOf(unit) => {
                let number = Decimal::read(text);
                let fits = number.is_some_and(|number| is_multiple(&number, unit));
                fits.then_some(()).ok_or(Unfit("it is not a multiple of multipleOf"))
            }
            Self::Format(format) => {
                let fits = std::str::from_utf8(text).is_ok_and(|text| format.fits(text));
                fits.then_some(()).ok_or(Unfit("it does not have the format"))
            }
            Self::UniqueItems => {
                let mut seen = BTreeSet::new();
                let fits = elements(text).unwrap_or_default().into_iter().all(|element| {
                    let mut normal = Vec::new();
                    normal_into(Kind::Json, element, &mut normal);
                    // The text "1" and the number 1 are two elements.
                    normal.push(u8::from(element.first() == Some(&b'"')));
                    seen.insert(normal)
                });
                fits.then_some(()).ok_or(Unfit("an element comes twice"))
            }
            Self::Members(names) => {
                let found = members(text);
                let fits = names.iter().all(|name| found.iter().any(|key| key == name.as_bytes()));
                fits.then_some(()).ok_or(Unfit("a required member is missing"))
            }
            Self::Opens(bracket) => {
                let refused =
                    if *bracket == b'{' { "it is not an object" } else { "it is not an array" };
                (text.first() == Some(bracket)).then_some(()).ok_or(Unfit(refused))
            }
        }
    }
}

fn between(found: u64, min: u64, max: u64, refused: &'static str) -> Result<(), Unfit> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(Unfit(refused)) }
}

impl Bound {
    /// Tells whether it is above another one of its kind.
    fn is_above(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one, _), Self::Number(other, _)) => one > other,
            (Self::Day(one), Self::Day(other)) => one > other,
            (Self::Time(one), Self::Time(other)) => one > other,
            (Self::Moment(one), Self::Moment(other)) => one > other,
            _ => false,
        }
    }

    /// Compares a value with it; `None` where they cannot be compared.
    fn compare(&self, kind: Kind, text: &[u8]) -> Option<Ordering> {
        match self {
            Self::Number(number, small) => {
                if let (Some(small), Kind::Integer, true) = (small, kind, text.len() <= 18) {
                    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
                    return Some(value.cmp(small));
                }
                Some(Decimal::read(text)?.cmp(number))
            }
            Self::Moment(bound) => Some(moment(text)?.cmp(bound)),
            Self::Day(bound) => Some(Day::read(text)?.cmp(bound)),
            Self::Time(bound) => Some(normal_time(text).cmp(bound)),
        }
    }
}

/// A day of any year: the year, and month and day as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64, String);

impl Day {
    /// Reads a canonical date, such as `2026-01-31`, `10000-01-01` or `0044-03-15 BC`.
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if !singer::canonical::is_canonical(Kind::Date, text.as_bytes()) {
            return None;
        }
        let (date, is_before) = match text.strip_suffix(" BC") {
            Some(date) => (date, true),
            None => (text, false),
        };
        let (year, rest) = date.split_once('-')?;
        let year: i64 = year.parse().ok()?;
        Some(Self(if is_before { 1 - year } else { year }, rest.to_owned()))
    }
}

/// Returns the time with the same text for the same time.
fn normal_time(text: &[u8]) -> Vec<u8> {
    let mut normal = Vec::new();
    normal_into(Kind::Time, text, &mut normal);
    normal
}

fn moment(text: &[u8]) -> Option<jiff::Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| utc(text.parse::<jiff::civil::DateTime>().ok()?))
}

fn utc(at: jiff::civil::DateTime) -> Option<jiff::Timestamp> {
    at.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn is_multiple(number: &Decimal, unit: &Decimal) -> bool {
    // The digits have no zeros at their end: a number of lower scale has a rest.
    let Ok(zeros) = u64::try_from(number.scale - unit.scale) else {
        return number.digits.is_empty();
    };
    let text = std::str::from_utf8(&unit.digits).unwrap_or_default();
    let Ok(unit) = text.parse::<u64>().map(u128::from) else { return false };
    let mut rest =
        number.digits.iter().fold(0, |rest, digit| (rest * 10 + u128::from(digit - b'0')) % unit);
    let (mut power, mut zeros) = (10 % unit, zeros);
    while zeros > 0 {
        if zeros % 2 == 1 {
            rest = rest * power % unit;
        }
        power = power * power % unit;
        zeros /= 2;
    }
    rest == 0
}

impl Format {
    fn fits(self, text: &str) -> bool {
        match self {
            Self::Email => mail_parts(text).is_some(),
            Self::Uuid => {
                let parts: Vec<&str> = text.split('-').collect();
                parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                    && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
            }
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
            Self::Hostname => {
                let fits = |label: &str| {
                    !label.is_empty()
                        && label.len() <= 63
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                };
                text.len() <= 253 && text.split('.').all(fits)
            }
            Self::Uri => {
                let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            }
        }
    }
}

/// Returns the elements of an array, or the values of an object.
fn elements(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new(text);
    let is_object = scanner.peek() == Some(b'{');
    let (open, close) = if is_object { (b'{', b'}') } else { (b'[', b']') };
    let mut more = scanner.open(open, close).ok()?;
    while more {
        if is_object {
            scanner.key().ok()?;
        }
        let start = scanner.at();
        scanner.value().ok()?;
        found.push(&text[start..scanner.at()]);
        more = scanner.more(close).ok()?;
    }
    Some(found)
}

/// Returns the names of the members of an object that are not null.
fn members(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new(text);
    let Ok(mut more) = scanner.open(b'{', b'}') else { return found };
    while more {
        let Ok(key) = scanner.key() else { return found };
        let mut name = Vec::new();
        key.unescape_into(&mut name);
        match scanner.value() {
            Ok(Token::Null) => {}
            Ok(_) => found.push(name),
            Err(_) => return found,
        }
        more = scanner.more(b'}').unwrap_or(false);
    }
    found
}
