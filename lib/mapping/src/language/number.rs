//! Arithmetic, with Python's meaning.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::{BigInt, Sign};

use super::ast::Binary;
use super::decimal::Decimal;
use super::fault::Fault;
use super::value::{Value, Valued};

/// The largest integer that is computed with, in bits.
const BITS_MAX: u64 = 1 << 20;

/// A number of any kind.
#[derive(Clone, Debug)]
pub(crate) enum Number {
    Int(i64),
    Big(BigInt),
    Float(f64),
    Decimal(Decimal),
}

impl Number {
    fn big(&self) -> Option<BigInt> {
        match self {
            Self::Int(number) => Some(BigInt::from(*number)),
            Self::Big(number) => Some(number.clone()),
            Self::Float(_) | Self::Decimal(_) => None,
        }
    }

    fn decimal(&self) -> Option<Decimal> {
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

/// Returns the smallest form of an integer.
pub(crate) fn integer<'a>(number: BigInt) -> Value<'a> {
    match i64::try_from(&number) {
        Ok(small) => Value::Int(small),
        Err(_) => Value::Big(Rc::new(number)),
    }
}

pub(crate) fn decimal<'a>(number: &Decimal) -> Value<'a> {
    Value::Digits(number.text().into())
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

/// Computes `one operator two`.
pub(crate) fn compute<'a>(operator: Binary, one: &Number, two: &Number) -> Valued<'a> {
    let divides = matches!(operator, Binary::Divide | Binary::FloorDivide | Binary::Modulo);
    let is_zero = match two {
        Number::Int(number) => *number == 0,
        Number::Big(_) => false,
        Number::Float(number) => *number == 0.0,
        Number::Decimal(number) => number.is_zero(),
    };
    if divides && is_zero {
        return Err(Fault::of("division by zero"));
    }
    match (one, two) {
        (Number::Int(one), Number::Int(two)) => ints(operator, *one, *two),
        (Number::Float(_), _) | (_, Number::Float(_)) => {
            Ok(Value::Float(floats(operator, one.float(), two.float())))
        }
        _ => match (one.big(), two.big()) {
            (Some(one), Some(two)) => bigs(operator, &one, &two),
            _ => decimals(operator, one, two),
        },
    }
}

fn ints<'a>(operator: Binary, one: i64, two: i64) -> Valued<'a> {
    let found = match operator {
        Binary::Add => one.checked_add(two),
        Binary::Subtract => one.checked_sub(two),
        Binary::Multiply => one.checked_mul(two),
        Binary::FloorDivide => one
            .checked_div(two)
            .map(|quotient| quotient - i64::from(one % two != 0 && (one < 0) != (two < 0))),
        Binary::Modulo => one
            .checked_rem(two)
            .map(|rest| if rest != 0 && (rest < 0) != (two < 0) { rest + two } else { rest }),
        Binary::Divide => {
            let exact = 1_i64 << 53;
            if one.unsigned_abs() <= exact.unsigned_abs()
                && two.unsigned_abs() <= exact.unsigned_abs()
            {
                let (one, two) = (Number::Int(one).float(), Number::Int(two).float());
                return Ok(Value::Float(one / two));
            }
            None
        }
    };
    match found {
        Some(number) => Ok(Value::Int(number)),
        None => bigs(operator, &BigInt::from(one), &BigInt::from(two)),
    }
}

fn bigs<'a>(operator: Binary, one: &BigInt, two: &BigInt) -> Valued<'a> {
    let floored = || {
        let (quotient, rest) = (one / two, one % two);
        let differs = rest.sign() != Sign::NoSign && (rest.sign() != two.sign());
        if differs { (quotient - 1, rest + two) } else { (quotient, rest) }
    };
    if operator == Binary::Multiply && one.bits() + two.bits() > BITS_MAX {
        return Err(Fault::of("the result is too large"));
    }
    Ok(integer(match operator {
        Binary::Add => one + two,
        Binary::Subtract => one - two,
        Binary::Multiply => one * two,
        Binary::FloorDivide => floored().0,
        Binary::Modulo => floored().1,
        Binary::Divide => return Ok(Value::Float(divided(one, two)?)),
    }))
}

/// Divides two integers into the nearest float.
fn divided(one: &BigInt, two: &BigInt) -> Result<f64, Fault> {
    let bits = |number: &BigInt| i64::try_from(number.bits()).unwrap_or(i64::MAX);
    let shift = 66 - (bits(one) - bits(two));
    let (mut above, mut below) = (one.magnitude().clone(), two.magnitude().clone());
    match u64::try_from(shift) {
        Ok(left) => above <<= left,
        Err(_) => below <<= shift.unsigned_abs(),
    }
    let (quotient, rest) = (&above / &below, &above % &below);
    // A rest tells apart what lies beside the middle of two floats.
    let sticky = u128::from(rest != num_bigint::BigUint::default());
    let quotient = u128::try_from(&quotient).unwrap_or_default() | sticky;
    #[expect(clippy::cast_precision_loss, reason = "the nearest float is wanted")]
    let float = quotient as f64;
    let found = float * 2_f64.powi(i32::try_from(-shift).unwrap_or(i32::MAX));
    if found.is_infinite() {
        return Err(Fault::of("the result is too large for a float"));
    }
    Ok(if (one.sign() == Sign::Minus) == (two.sign() == Sign::Minus) { found } else { -found })
}

fn floats(operator: Binary, one: f64, two: f64) -> f64 {
    match operator {
        Binary::Add => one + two,
        Binary::Subtract => one - two,
        Binary::Multiply => one * two,
        Binary::Divide => one / two,
        Binary::FloorDivide | Binary::Modulo => {
            let (whole, rest) = float_parts(one, two);
            if operator == Binary::Modulo { rest } else { whole }
        }
    }
}

/// Divides as Python does: the rest has the sign of the divisor.
fn float_parts(one: f64, two: f64) -> (f64, f64) {
    let mut rest = one % two;
    let mut quotient = (one - rest) / two;
    if rest == 0.0 {
        rest = 0_f64.copysign(two);
    } else if (two < 0.0) != (rest < 0.0) {
        rest += two;
        quotient -= 1.0;
    }
    let whole = if quotient == 0.0 {
        0_f64.copysign(one / two)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 { floor + 1.0 } else { floor }
    };
    (whole, rest)
}

fn decimals<'a>(operator: Binary, one: &Number, two: &Number) -> Valued<'a> {
    let both = one.decimal().zip(two.decimal());
    let found = both.and_then(|(one, two)| match operator {
        Binary::Add => one.plus(&two),
        Binary::Subtract => one.plus(&two.negated()),
        Binary::Multiply => one.times(&two),
        Binary::Divide => one.over(&two),
        Binary::FloorDivide => one.parts(&two).map(|(whole, _)| whole),
        Binary::Modulo => one.parts(&two).map(|(_, rest)| rest),
    });
    found.map(|number| decimal(&number)).ok_or_else(|| Fault::of("the numbers are too large"))
}

/// Changes the sign.
pub(crate) fn negated<'a>(number: Number) -> Value<'a> {
    match number {
        Number::Int(number) => {
            number.checked_neg().map_or_else(|| integer(-BigInt::from(number)), Value::Int)
        }
        Number::Big(number) => integer(-number),
        Number::Float(number) => Value::Float(-number),
        Number::Decimal(number) => decimal(&number.negated()),
    }
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
