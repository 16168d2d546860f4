//! Values while an expression is computed, and what Python says of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::BigInt;

use super::decimal::Decimal;
use super::fault::Fault;
use super::moment::{Date, DateTime};
use super::number::{self, Number};
use super::size;

pub(crate) type Valued<'a> = Result<Value<'a>, Fault>;

/// A value. Texts of a row are borrowed.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer of usual size.
    Int(i64),
    /// An integer that is larger.
    Big(Rc<BigInt>),
    /// A float.
    Float(f64),
    /// A number with the digits that it came with: Python's `Decimal`.
    Digits(Cow<'a, str>),
    /// A text.
    Text(Cow<'a, str>),
    /// What `encode` makes.
    Bytes(Rc<[u8]>),
    /// A day.
    Date(Date),
    /// A moment.
    DateTime(DateTime),
    /// A length of time, in microseconds.
    Delta(i64),
    /// An offset from UTC, in seconds.
    Zone(i32),
    /// A list.
    List(Rc<Vec<Value<'a>>>),
    /// A tuple.
    Tuple(Rc<Vec<Value<'a>>>),
    /// A dictionary, in the order of its keys.
    Dict(Rc<Dict<'a>>),
}

/// Keys and values.
pub(crate) type Dict<'a> = Vec<(Value<'a>, Value<'a>)>;

impl<'a> Value<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list(values: Vec<Self>) -> Self {
        Self::List(Rc::new(values))
    }

    pub(crate) fn dict(pairs: Dict<'a>) -> Self {
        Self::Dict(Rc::new(pairs))
    }

    /// Returns the same value without copying its text.
    pub(crate) fn borrowed(&'a self) -> Self {
        match self {
            Self::Text(text) => Self::Text(Cow::Borrowed(text)),
            Self::Digits(text) => Self::Digits(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// Names its type as Python does.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Digits(_) => "Decimal",
            Self::Text(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "date",
            Self::DateTime(_) => "datetime",
            Self::Delta(_) => "timedelta",
            Self::Zone(_) => "timezone",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
        }
    }

    /// Tells whether it counts as true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Digits(text) => Decimal::read(text).is_none_or(|number| !number.is_zero()),
            Self::Text(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::Delta(micros) => *micros != 0,
            Self::List(values) | Self::Tuple(values) => !values.is_empty(),
            Self::Dict(pairs) => !pairs.is_empty(),
            Self::Big(_) | Self::Date(_) | Self::DateTime(_) | Self::Zone(_) => true,
        }
    }

    /// Returns the number that it is; a truth is one.
    pub(crate) fn number(&self) -> Option<Number> {
        Some(match self {
            Self::Bool(truth) => Number::Int(i64::from(*truth)),
            Self::Int(number) => Number::Int(*number),
            Self::Big(number) => Number::Big(number.as_ref().clone()),
            Self::Float(number) => Number::Float(*number),
            Self::Digits(text) => Number::Decimal(Decimal::read(text)?),
            _ => return None,
        })
    }

    /// Tells whether it is a number; a truth is none here.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Big(_) | Self::Float(_) | Self::Digits(_))
    }

    /// Tells whether it is a number without a fraction.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Int(_) | Self::Big(_) => true,
            Self::Float(number) => number.is_finite() && number.fract() == 0.0,
            Self::Digits(text) => Decimal::read(text).is_some_and(|number| number.is_whole()),
            _ => false,
        }
    }

    /// Returns an integer that counts or points.
    pub(crate) fn index(&self) -> Result<i64, Fault> {
        match self {
            Self::Bool(truth) => Ok(i64::from(*truth)),
            Self::Int(number) => Ok(*number),
            Self::Big(number) => {
                let negative = number.sign() == num_bigint::Sign::Minus;
                Ok(if negative { i64::MIN } else { i64::MAX })
            }
            other => Err(Fault::of(format!("an integer is expected, not {}", other.kind()))),
        }
    }

    pub(crate) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::None, Value::None) => true,
            (Self::Text(one), Value::Text(two)) => one == two,
            (Self::Int(one), Value::Int(two)) | (Self::Delta(one), Value::Delta(two)) => one == two,
            (Self::Bytes(one), Value::Bytes(two)) => one == two,
            (Self::Date(one), Value::Date(two)) => one == two,
            (Self::DateTime(one), Value::DateTime(two)) => one.equals(*two),
            (Self::Zone(one), Value::Zone(two)) => one == two,
            (Self::List(one), Value::List(two)) | (Self::Tuple(one), Value::Tuple(two)) => {
                one.len() == two.len() && one.iter().zip(two.iter()).all(|(a, b)| a.equals(b))
            }
            (Self::Dict(one), Value::Dict(two)) => {
                let same = |(key, value): &(Value<'_>, Value<'_>)| {
                    found(two, key).is_some_and(|other| value.equals(other))
                };
                one.len() == two.len() && one.iter().all(same)
            }
            _ => match (self.number(), other.number()) {
                (Some(one), Some(two)) => number::order(&one, &two) == Some(Ordering::Equal),
                _ => false,
            },
        }
    }

    /// Compares two values that have an order.
    pub(crate) fn order(&self, other: &Value<'_>, sign: &str) -> Result<Option<Ordering>, Fault> {
        match (self, other) {
            // Both are UTF-8, whose bytes have the order of the code points.
            (Self::Text(one), Value::Text(two)) => Ok(Some(one.as_bytes().cmp(two.as_bytes()))),
            (Self::Bytes(one), Value::Bytes(two)) => Ok(Some(one.cmp(two))),
            (Self::Date(one), Value::Date(two)) => Ok(Some(one.cmp(two))),
            (Self::DateTime(one), Value::DateTime(two)) => one.order(*two).map(Some),
            (Self::Delta(one), Value::Delta(two)) => Ok(Some(one.cmp(two))),
            (Self::List(one), Value::List(two)) | (Self::Tuple(one), Value::Tuple(two)) => {
                for (a, b) in one.iter().zip(two.iter()) {
                    if !a.equals(b) {
                        return a.order(b, sign);
                    }
                }
                Ok(Some(one.len().cmp(&two.len())))
            }
            _ => match (self.number(), other.number()) {
                (Some(one), Some(two)) => Ok(number::order(&one, &two)),
                _ => Err(Fault::of(format!(
                    "`{sign}` cannot compare {} with {}",
                    self.kind(),
                    other.kind()
                ))),
            },
        }
    }

    /// Tells whether `item` is in it.
    pub(crate) fn contains(&self, item: &Value<'_>) -> Result<bool, Fault> {
        match (self, item) {
            (Self::Text(text), Value::Text(part)) => Ok(text.contains(&**part)),
            (Self::Text(_), other) => {
                Err(Fault::of(format!("`in` looks for a str in a str, not for {}", other.kind())))
            }
            (Self::List(values) | Self::Tuple(values), item) => {
                Ok(values.iter().any(|value| value.equals(item)))
            }
            (Self::Dict(pairs), key) => Ok(found(pairs, key).is_some()),
            (other, _) => Err(Fault::of(format!("`in` cannot look into {}", other.kind()))),
        }
    }

    /// Returns the values that a loop visits.
    pub(crate) fn members(self) -> Result<Vec<Value<'a>>, Fault> {
        match self {
            Self::List(values) | Self::Tuple(values) => Ok(Rc::unwrap_or_clone(values)),
            Self::Dict(pairs) => Ok(pairs.iter().map(|(key, _)| key.clone()).collect()),
            Self::Text(text) => {
                size::text(text.len().saturating_mul(size_of::<Value<'_>>()))?;
                Ok(text.chars().map(|c| Value::text(c.to_string())).collect())
            }
            other => Err(Fault::of(format!("`for` cannot go through {}", other.kind()))),
        }
    }
}

/// Returns the value of a key.
pub(crate) fn found<'d, 'a>(pairs: &'d Dict<'a>, key: &Value<'_>) -> Option<&'d Value<'a>> {
    pairs.iter().find(|(known, _)| known.equals(key)).map(|(_, value)| value)
}

/// Sets the value of a key.
pub(crate) fn set<'a>(pairs: &mut Dict<'a>, key: Value<'a>, value: Value<'a>) {
    match pairs.iter_mut().find(|(known, _)| known.equals(&key)) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}
