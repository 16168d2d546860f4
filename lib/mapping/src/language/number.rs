//! Numbers, with Python's meaning.

use std::cmp::Ordering;

use num_bigint::BigInt;

use super::decimal::Decimal;

/// A number of any kind.
#[derive(Clone, Debug)]
pub(crate) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
    Decimal(Decimal),
}

impl Number {
    pub(super) fn big(&self) -> Option<BigInt> {
        match self {
            Self::Int(number) => Some(BigInt::from(*number)),
            Self::Big(number) => Some(number.clone()),
            Self::Float(_) | Self::Decimal(_) => None,
        }
    }

    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(number) => Some(number.clone()),
            other => other.big().map(Decimal::of),
        }
    }

    /// Returns the nearest float.
    #[expect(clippy::cast_precision_loss, reason = "as Python does it: the nearest float")]
    pub(crate) fn float(&self) -> f64 {
        match self {
            Self::Int(number) => *number as f64,
            Self::Big(number) => number.to_string().parse().unwrap_or(f64::NAN),
            Self::Float(number) => *number,
            Self::Decimal(number) => number.text().parse().unwrap_or(f64::NAN),
        }
    }
}

/// Returns the integer of a float that is finite, without its fraction.
pub(crate) fn truncated(number: f64) -> BigInt {
    let bits = number.to_bits();
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let mantissa = bits & ((1 << 52) - 1) | (1 << 52);
    let shift = exponent - 1075;
    let magnitude = match u64::try_from(shift) {
        Ok(left) => BigInt::from(mantissa) << left,
        Err(_) if shift > -64 => BigInt::from(mantissa >> -shift),
        Err(_) => BigInt::default(),
    };
    if number < 0.0 { -magnitude } else { magnitude }
}

/// Compares two numbers by their exact values; `None` for a NaN.
pub(crate) fn order(one: &Number, two: &Number) -> Option<Ordering> {
    match (one, two) {
        (Number::Int(one), Number::Int(two)) => Some(one.cmp(two)),
        (Number::Float(one), Number::Float(two)) => one.partial_cmp(two),
        (Number::Float(float), other) => float_order(*float, other),
        (other, Number::Float(float)) => float_order(*float, other).map(Ordering::reverse),
        _ => match (one.big(), two.big()) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => Some(one.decimal()?.order(&two.decimal()?)),
        },
    }
}

fn float_order(float: f64, other: &Number) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    // The exact value of a float ends after at most 1074 digits.
    let exact = Decimal::read(&format!("{float:.1074}"))?;
    Some(exact.order(&other.decimal()?))
}

/// Returns the text of a float, as `repr` writes it.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = even(format!("{number:e}"), number);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        return placed(mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Where two texts of a float are as short and as near, Python takes the even one.
fn even(scientific: String, number: f64) -> String {
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let odd = mantissa.as_bytes().last().is_some_and(|last| last % 2 == 1);
    if digits < 15 || !odd {
        return scientific;
    }
    let exact = format!("{number:.*e}", digits + 30);
    let cut = mantissa.len();
    let lower = format!("{}e{exponent}", &exact[..cut]);
    let tie = exact[cut..]
        .split('e')
        .next()
        .is_some_and(|rest| rest.starts_with('5') && rest[1..].bytes().all(|digit| digit == b'0'));
    if tie && lower != scientific && lower.parse() == Ok(number) { lower } else { scientific }
}

/// Writes digits without an exponent.
fn placed(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    match usize::try_from(exponent) {
        Err(_) => {
            let zeros = usize::try_from(-1 - exponent).unwrap_or_default();
            format!("{sign}0.{}{digits}", "0".repeat(zeros))
        }
        Ok(exponent) if digits.len() <= exponent + 1 => {
            format!("{sign}{digits}{}.0", "0".repeat(exponent + 1 - digits.len()))
        }
        Ok(exponent) => format!("{sign}{}.{}", &digits[..=exponent], &digits[exponent + 1..]),
    }
}
