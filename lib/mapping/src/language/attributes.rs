//! Attributes and methods of values.

use std::rc::Rc;

use super::call::Method;
use super::fault::Fault;
use super::given::Given;
use super::moment::{DAY, Date, DateTime};
use super::moment_text::{self, clock};
use super::number::Number;
use super::text;
use super::value::{Dict, Value, Valued, found};

/// Returns an attribute. A member of a dictionary can be written as one.
pub(crate) fn get<'a>(of: &Value<'a>, name: &str) -> Valued<'a> {
    let number = match of {
        Value::Dict(pairs) => {
            let key = Value::text(name.to_owned());
            return found(pairs, &key)
                .cloned()
                .ok_or_else(|| Fault::of(format!("there is no key `{name}`")));
        }
        Value::Date(date) => of_date(*date, name),
        Value::DateTime(moment) => of_date(moment.date(), name).or_else(|| {
            let (hour, minute, second, micro) = moment.clock();
            match name {
                "hour" => Some(hour),
                "minute" => Some(minute),
                "second" => Some(second),
                "microsecond" => Some(micro),
                _ => None,
            }
        }),
        Value::Delta(micros) => match name {
            "days" => Some(micros.div_euclid(DAY)),
            "seconds" => Some(micros.rem_euclid(DAY) / 1_000_000),
            "microseconds" => Some(micros.rem_euclid(1_000_000)),
            _ => None,
        },
        _ => None,
    };
    number.map(Value::Int).ok_or_else(|| Fault::of(format!("{} has no `{name}`", of.kind())))
}

fn of_date(date: Date, name: &str) -> Option<i64> {
    let (year, month, day) = date.parts();
    match name {
        "year" => Some(year),
        "month" => Some(month),
        "day" => Some(day),
        _ => None,
    }
}

/// Calls a method.
pub(crate) fn call<'a>(of: &Value<'a>, method: Method, given: Given<'a>) -> Valued<'a> {
    match of {
        Value::Text(text) => text::call(text, method, given),
        Value::Bytes(bytes) => text::of_bytes(bytes, method, given),
        Value::Dict(pairs) => of_dict(pairs, method, given),
        Value::List(values) | Value::Tuple(values) => of_list(values, method, given),
        Value::Date(date) => of_day(*date, method, given),
        Value::DateTime(moment) => of_moment(*moment, method, given),
        Value::Delta(micros) if method == Method::TotalSeconds => {
            given.end()?;
            Ok(Value::Float(Number::Int(*micros).float() / 1e6))
        }
        other => {
            let fault = Fault::of(format!("{} has no method `{}`", other.kind(), method.name()));
            Err(match other {
                Value::None => {
                    fault.hint("say what becomes of a None: `a.lower() if a is not None else None`")
                }
                Value::Int(_) | Value::Float(_) | Value::Digits(_) => {
                    fault.hint("write `str(...)` around the number")
                }
                _ => fault,
            })
        }
    }
}

fn of_dict<'a>(pairs: &Dict<'a>, method: Method, mut given: Given<'a>) -> Valued<'a> {
    let value = match method {
        Method::Get => {
            let key = given.must("key")?;
            let default = given.maybe("default").unwrap_or(Value::None);
            found(pairs, &key).cloned().unwrap_or(default)
        }
        Method::Keys => Value::list(pairs.iter().map(|(key, _)| key.clone()).collect()),
        Method::Values => Value::list(pairs.iter().map(|(_, value)| value.clone()).collect()),
        Method::Items => {
            let pair = |(key, value): &(Value<'a>, Value<'a>)| {
                Value::Tuple(Rc::new(vec![key.clone(), value.clone()]))
            };
            Value::list(pairs.iter().map(pair).collect())
        }
        other => return Err(Fault::of(format!("dict has no method `{}`", other.name()))),
    };
    given.end()?;
    Ok(value)
}

fn of_list<'a>(values: &[Value<'a>], method: Method, mut given: Given<'a>) -> Valued<'a> {
    let item = given.must("value")?;
    given.end()?;
    let count = match method {
        Method::Count => Some(values.iter().filter(|value| value.equals(&item)).count()),
        Method::Index => values.iter().position(|value| value.equals(&item)),
        other => return Err(Fault::of(format!("list has no method `{}`", other.name()))),
    };
    let count = count.ok_or_else(|| Fault::of("the list does not have this value"))?;
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn of_day(date: Date, method: Method, mut given: Given<'_>) -> Valued<'_> {
    let value = match method {
        Method::IsoFormat => Value::text(date.text()),
        Method::Strftime => {
            Value::text(moment_text::format(date.at(0, None), &given.text("format")?)?)
        }
        Method::Weekday => Value::Int(date.weekday()),
        Method::IsoWeekday => Value::Int(date.weekday() + 1),
        Method::Replace => Value::Date(replaced(date, &mut given)?),
        other => return Err(Fault::of(format!("date has no method `{}`", other.name()))),
    };
    given.end()?;
    Ok(value)
}

fn replaced(date: Date, given: &mut Given<'_>) -> Result<Date, Fault> {
    let (year, month, day) = date.parts();
    let year = given.maybe_index("year")?.unwrap_or(year);
    let month = given.maybe_index("month")?.unwrap_or(month);
    Date::new(year, month, given.maybe_index("day")?.unwrap_or(day))
}

fn of_moment(moment: DateTime, method: Method, mut given: Given<'_>) -> Valued<'_> {
    let value = match method {
        Method::Date => Value::Date(moment.date()),
        Method::IsoFormat => {
            let between = given.maybe_text("sep")?.and_then(|text| text.chars().next());
            Value::text(moment.text(between.unwrap_or('T')))
        }
        Method::Strftime => Value::text(moment_text::format(moment, &given.text("format")?)?),
        Method::Timestamp => Value::Float(Number::Int(moment.epoch()).float() / 1e6),
        Method::Weekday => Value::Int(moment.date().weekday()),
        Method::IsoWeekday => Value::Int(moment.date().weekday() + 1),
        Method::AsTimezone => match given.maybe("tz") {
            Some(Value::Zone(offset)) => Value::DateTime(moment.on_clock(offset)?),
            _ => return Err(Fault::of("`astimezone` takes `datetime.timezone.utc`")),
        },
        Method::Replace => {
            let date = replaced(moment.date(), &mut given)?;
            let (hour, minute, second, micro) = moment.clock();
            let hour = given.maybe_index("hour")?.unwrap_or(hour);
            let minute = given.maybe_index("minute")?.unwrap_or(minute);
            let second = given.maybe_index("second")?.unwrap_or(second);
            let micro = given.maybe_index("microsecond")?.unwrap_or(micro);
            let offset = match given.maybe("tzinfo") {
                Some(Value::Zone(offset)) => Some(offset),
                Some(_) => None,
                None => moment.offset,
            };
            Value::DateTime(date.at(clock(hour, minute, second, micro)?, offset))
        }
        other => return Err(Fault::of(format!("datetime has no method `{}`", other.name()))),
    };
    given.end()?;
    Ok(value)
}
