//! What functions return.

use std::rc::Rc;

use num_bigint::BigInt;
use sha2::{Digest as _, Sha256};

use super::arithmetic::integer;
use super::call::Function;
use super::decimal::Decimal;
use super::fault::Fault;
use super::given::Given;
use super::json::{self, Fractions};
use super::letters::{digit, is_space};
use super::moment::{self, DAY, Date, DateTime};
use super::moment_text;
use super::number::{Number, truncated};
use super::show;
use super::text::md5_hex;
use super::value::{Dict, Value, Valued, set};

/// Calls a function.
pub(crate) fn call(function: Function, mut given: Given<'_>) -> Valued<'_> {
    let found = match function {
        Function::Str => given
            .maybe("object")
            .map_or(Ok(Value::text("")), |value| Ok(Value::Text(show::str(&value)?)))?,
        Function::Int => given.maybe("x").map_or(Ok(Value::Int(0)), int)?,
        Function::Float => given.maybe("x").map_or(Ok(Value::Float(0.0)), |value| float(&value))?,
        Function::Bool => Value::Bool(given.maybe("x").is_some_and(|value| value.is_true())),
        Function::Len => length(&given.must("obj")?)?,
        Function::Md5 => digest(&given.must("string")?, "md5", md5_hex)?,
        Function::Sha256 => digest(&given.must("string")?, "sha256", |bytes| {
            singer::quote::hex(&Sha256::digest(bytes))
        })?,
        Function::Dict => dict(&mut given)?,
        Function::List => Value::list(given.maybe("x").map_or(Ok(Vec::new()), Value::members)?),
        Function::Tuple => {
            Value::Tuple(Rc::new(given.maybe("x").map_or(Ok(Vec::new()), Value::members)?))
        }
        Function::Loads => match given.must("s")? {
            Value::Text(text) => loads(&text)?,
            other => {
                return Err(Fault::of(format!("`json.loads` takes a str, not {}", other.kind())));
            }
        },
        Function::Dumps => Value::text(json::dumps(&given.must("obj")?)?),
        _ => return times(function, given),
    };
    given.end()?;
    Ok(found)
}

/// The text may not live as long as the value.
fn loads<'a>(text: &str) -> Valued<'a> {
    json::read(text.as_bytes(), Fractions::Floats).map(|value| owned(&value))
}

/// Copies a value with all its texts.
pub(crate) fn owned<'a>(value: &Value<'_>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::text(text.clone().into_owned()),
        Value::Digits(text) => Value::Digits(text.clone().into_owned().into()),
        Value::List(values) => Value::list(values.iter().map(owned).collect()),
        Value::Tuple(values) => Value::Tuple(Rc::new(values.iter().map(owned).collect())),
        Value::Dict(pairs) => {
            Value::dict(pairs.iter().map(|(key, value)| (owned(key), owned(value))).collect())
        }
        Value::None => Value::None,
        Value::Bool(truth) => Value::Bool(*truth),
        Value::Int(number) => Value::Int(*number),
        Value::Big(number) => Value::Big(Rc::clone(number)),
        Value::Float(number) => Value::Float(*number),
        Value::Bytes(bytes) => Value::Bytes(Rc::clone(bytes)),
        Value::Date(date) => Value::Date(*date),
        Value::DateTime(moment) => Value::DateTime(*moment),
        Value::Delta(micros) => Value::Delta(*micros),
        Value::Zone(offset) => Value::Zone(*offset),
    }
}

fn times(function: Function, mut given: Given<'_>) -> Valued<'_> {
    let found = match function {
        Function::Now => match given.maybe("tz") {
            Some(Value::Zone(offset)) => Value::DateTime(DateTime::now_utc()?.on_clock(offset)?),
            _ => Value::DateTime(DateTime::now_here()?),
        },
        Function::Today => Value::DateTime(DateTime::now_here()?),
        Function::UtcNow => Value::DateTime(DateTime::now_utc()?.naive()),
        Function::DateToday => Value::Date(DateTime::now_here()?.date()),
        Function::FromIso => Value::DateTime(moment::read(&given.text("date_string")?)?),
        Function::DateFromIso => Value::Date(moment::read_day(&given.text("date_string")?)?),
        Function::Strptime => {
            let text = given.text("date_string")?;
            Value::DateTime(moment_text::parse(&text, &given.text("format")?)?)
        }
        Function::FromTimestamp => {
            let micros = micros(&given.must("timestamp")?)?;
            Value::DateTime(match given.maybe("tz") {
                Some(Value::Zone(offset)) => DateTime::of_epoch(micros, offset)?,
                _ => DateTime::of_epoch_here(micros)?,
            })
        }
        Function::UtcFromTimestamp => {
            let micros = micros(&given.must("timestamp")?)?;
            Value::DateTime(DateTime::of_epoch(micros, 0)?.naive())
        }
        Function::Date => Value::Date(date(&mut given)?),
        Function::DateTime => {
            let date = date(&mut given)?;
            let mut part = |name| given.maybe_index(name).map(Option::unwrap_or_default);
            let (hour, minute) = (part("hour")?, part("minute")?);
            let (second, micro) = (part("second")?, part("microsecond")?);
            let offset = match given.maybe("tzinfo") {
                Some(Value::Zone(offset)) => Some(offset),
                _ => None,
            };
            let micros = moment_text::clock(hour, minute, second, micro)?;
            Value::DateTime(date.at(micros, offset))
        }
        Function::TimeDelta => delta(&mut given)?,
        other => return Err(Fault::of(format!("`{}` cannot be called", other.name()))),
    };
    given.end()?;
    Ok(found)
}

fn date(given: &mut Given<'_>) -> Result<Date, Fault> {
    let (year, month) = (given.index("year")?, given.index("month")?);
    Date::new(year, month, given.index("day")?)
}

fn delta<'a>(given: &mut Given<'_>) -> Valued<'a> {
    let units = [
        ("days", DAY),
        ("seconds", 1_000_000),
        ("microseconds", 1),
        ("milliseconds", 1000),
        ("minutes", 60_000_000),
        ("hours", 3_600_000_000),
        ("weeks", 7 * DAY),
    ];
    let mut total = 0_i64;
    for (name, unit) in units {
        let Some(value) = given.maybe(name) else { continue };
        let part = match &value {
            Value::Int(count) => count.checked_mul(unit),
            Value::Float(count) => Some(rounded(count * Number::Int(unit).float())),
            other => {
                return Err(Fault::of(format!("`timedelta` takes numbers, not {}", other.kind())));
            }
        };
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| Fault::of("the timedelta is too long"))?;
    }
    Ok(Value::Delta(total))
}

/// Rounds halves to even, as Python does.
#[expect(clippy::cast_possible_truncation, reason = "what is too large is limited to i64")]
fn rounded(micros: f64) -> i64 {
    micros.round_ties_even() as i64
}

fn micros(value: &Value<'_>) -> Result<i64, Fault> {
    let fault = || Fault::of(format!("a number of seconds is expected, not {}", value.kind()));
    match value.number().ok_or_else(fault)? {
        Number::Int(seconds) => {
            seconds.checked_mul(1_000_000).ok_or_else(|| Fault::of("the timestamp is too large"))
        }
        other => Ok(rounded(other.float() * 1e6)),
    }
}

/// Returns `int(value)`.
fn int<'a>(value: Value<'_>) -> Valued<'a> {
    let fault = || Fault::of("`int` cannot read this text");
    match value {
        Value::Text(text) => {
            let plain = plain_number(&text).ok_or_else(fault)?;
            let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(fault());
            }
            match plain.parse() {
                Ok(number) => Ok(Value::Int(number)),
                Err(_) => plain.parse::<BigInt>().map(integer).map_err(|_| fault()),
            }
        }
        Value::Digits(text) => Decimal::read(&text)
            .and_then(|number| number.truncated())
            .map(integer)
            .ok_or_else(|| Fault::of("the number is too large")),
        Value::Float(number) if number.is_finite() => Ok(integer(truncated(number))),
        Value::Float(_) => Err(Fault::of("`int` cannot convert a NaN or an infinity")),
        Value::Bool(truth) => Ok(Value::Int(i64::from(truth))),
        Value::Int(number) => Ok(Value::Int(number)),
        Value::Big(number) => Ok(Value::Big(number)),
        other => Err(Fault::of(format!("`int` cannot convert {}", other.kind()))),
    }
}

/// Returns `float(value)`.
fn float<'a>(value: &Value<'_>) -> Valued<'a> {
    if let Value::Text(text) = value {
        let parsed = plain_number(text).and_then(|text| text.parse().ok());
        return parsed.map(Value::Float).ok_or_else(|| Fault::of("`float` cannot read this text"));
    }
    if let Value::Digits(text) = value {
        return text.parse().map(Value::Float).map_err(|_| Fault::of("this is no number"));
    }
    match value.number().map(|number| number.float()) {
        Some(number) if number.is_infinite() && !matches!(value, Value::Float(_)) => {
            Err(Fault::of("the number is too large for a float"))
        }
        Some(number) => Ok(Value::Float(number)),
        None => Err(Fault::of(format!("`float` cannot convert {}", value.kind()))),
    }
}

/// Takes away white space around a number, and underscores between its digits. Digits of other
/// scripts become ours.
fn plain_number(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    let text = text.trim_matches(is_space);
    if !text.is_ascii() {
        let ours = |c| digit(c).map_or(c, |digit| char::from(b'0' + digit));
        let text: String = text.chars().map(ours).collect();
        return text
            .is_ascii()
            .then(|| plain_number(&text).map(|text| text.into_owned().into()))?;
    }
    if !text.contains('_') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |(at, _): (usize, &str)| digit(at.checked_sub(1)) && digit(Some(at + 1));
    text.match_indices('_').all(between).then(|| text.replace('_', "").into())
}

fn length<'a>(value: &Value<'_>) -> Valued<'a> {
    let count = match value {
        Value::Text(text) if text.is_ascii() => text.len(),
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) | Value::Tuple(values) => values.len(),
        Value::Dict(pairs) => pairs.len(),
        other => return Err(Fault::of(format!("`len` cannot measure {}", other.kind()))),
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn digest<'a>(value: &Value<'_>, name: &str, hash: impl Fn(&[u8]) -> String) -> Valued<'a> {
    match value {
        Value::Text(text) => Ok(Value::text(hash(text.as_bytes()))),
        other => {
            Err(Fault::of(format!("`{name}` takes a str, not {}", other.kind())).hint(format!(
                "write `{name}(str(...))`, or say what becomes of None: \
                 `{name}(a) if a is not None else None`"
            )))
        }
    }
}

fn dict<'a>(given: &mut Given<'a>) -> Valued<'a> {
    let mut pairs = match given.placed.next() {
        None => Dict::new(),
        Some(Value::Dict(pairs)) => pairs.as_ref().clone(),
        Some(other) => {
            let mut pairs = Dict::new();
            for member in other.members()? {
                let mut pair = member.members()?.into_iter();
                let (Some(key), Some(value), None) = (pair.next(), pair.next(), pair.next()) else {
                    return Err(Fault::of("`dict` takes pairs"));
                };
                set(&mut pairs, key, value);
            }
            pairs
        }
    };
    for (name, value) in std::mem::take(&mut given.named) {
        set(&mut pairs, Value::text(name), value);
    }
    Ok(Value::dict(pairs))
}
