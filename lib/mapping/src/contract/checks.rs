//! What a value must be, judged on its canonical text.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use regex::Regex;
use singer::convert::Unfit;
use singer::scan::{Scanner, Token};
use singer::{Kind, Result};

use super::model::Logical;
use super::options::{Limit, Options};
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
    /// Of dates and times, whose order is that of their texts.
    Text(Vec<u8>),
    /// Of moments.
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
    if let Some((text, spot)) = &options.multiple_of {
        let number = Decimal::read(text.as_bytes()).filter(|n| !n.digits.is_empty());
        let number = number.filter(|number| !number.negative);
        let number = number.ok_or_else(|| spot.fault("`multipleOf` is not a number above 0"))?;
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
        Kind::DateTime => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(Bound::Moment(moment)),
            Err(_) => match text.parse::<jiff::civil::DateTime>() {
                Ok(at) => Ok(Bound::Text(at.to_string().into_bytes())),
                Err(_) => Err(refused(spot)),
            },
        },
        Kind::Date | Kind::Time if singer::canonical::is_canonical(kind, text.as_bytes()) => {
            Ok(Bound::Text(text.clone().into_bytes()))
        }
        _ => Err(refused(spot)),
    }
}

/// The checks of a `format`; forms that are not known here judge nothing.
fn of_format(kind: Kind, format: &str) -> Vec<Check> {
    let range = |low: i128, high: i128| {
        let bound = |value: i128, is_low| {
            let number = Decimal::read(value.to_string().as_bytes());
            number.map(|number| Check::Bound {
                bound: Bound::Number(number, i64::try_from(value).ok()),
                is_low,
                excluded: false,
            })
        };
        bound(low, true).into_iter().chain(bound(high, false)).collect()
    };
    let bits = |bits: u32| range(-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
    let natural = |bits: u32| range(0, (1 << bits) - 1);
    match (kind, format) {
        (Kind::Integer, "i8") => bits(8),
        (Kind::Integer, "i16") => bits(16),
        (Kind::Integer, "i32") => bits(32),
        (Kind::Integer, "i64") => bits(64),
        (Kind::Integer, "u8") => natural(8),
        (Kind::Integer, "u16") => natural(16),
        (Kind::Integer, "u32") => natural(32),
        (Kind::Integer, "u64") => natural(64),
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
                let refused = if *is_low { "it is below the minimum" } else { BEYOND };
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

const BEYOND: &str = "it is above the maximum";

fn between(found: u64, min: u64, max: u64, refused: &'static str) -> Result<(), Unfit> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(Unfit(refused)) }
}

impl Bound {
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
            Self::Moment(bound) => {
                let moment: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
                Some(moment.cmp(bound))
            }
            Self::Text(bound) if kind == Kind::DateTime => {
                let moment: jiff::civil::DateTime = std::str::from_utf8(text).ok()?.parse().ok()?;
                Some(moment.to_string().as_bytes().cmp(bound))
            }
            Self::Text(bound) => {
                let is_plain = kind == Kind::Time || text.len() == 10;
                is_plain.then(|| text.cmp(bound))
            }
        }
    }
}

fn is_multiple(number: &Decimal, unit: &Decimal) -> bool {
    let power = (-number.scale).max(-unit.scale).max(0);
    match (number.scaled(power), unit.scaled(power)) {
        (Some(number), Some(unit)) if unit != 0 => number % unit == 0,
        _ => false,
    }
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
