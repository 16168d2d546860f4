//! Arithmetic, with Python's meaning.

use std::rc::Rc;

use num_bigint::{BigInt, Sign};

use super::ast::Binary;
use super::decimal::Decimal;
use super::fault::Fault;
use super::number::Number;
use super::value::{Value, Valued};

/// The largest integer that is computed with, in bits.
const BITS_MAX: u64 = 1 << 20;

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

/// Computes `one operator two`.
pub(crate) fn compute<'a>(operator: Binary, one: &Number, two: &Number) -> Valued<'a> {
    if operator == Binary::Power {
        return power(one, two);
    }
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

/// Computes `base ** exponent`: of integers exactly, else as floats.
fn power<'a>(base: &Number, exponent: &Number) -> Valued<'a> {
    let too_large = || Fault::of("the result is too large");
    if let (Some(base), Some(exponent)) = (base.big(), exponent.big())
        && exponent.sign() != Sign::Minus
    {
        // 0, 1 and -1 stay small, whatever the exponent is.
        let exponent = if base.bits() <= 1 && exponent.bits() > 2 {
            BigInt::from(if exponent.bit(0) { 3 } else { 2 })
        } else {
            exponent
        };
        let exponent = u32::try_from(&exponent).map_err(|_| too_large())?;
        if base.bits().saturating_mul(u64::from(exponent)) > BITS_MAX {
            return Err(too_large());
        }
        return Ok(integer(base.pow(exponent)));
    }
    if matches!(base, Number::Decimal(_)) || matches!(exponent, Number::Decimal(_)) {
        return Err(Fault::of("`**` takes integers and floats, and no decimal number of a row")
            .hint("write `float(...)` around the number"));
    }
    let (base, exponent) = (base.float(), exponent.float());
    if base == 0.0 && exponent < 0.0 {
        return Err(Fault::of("0.0 cannot be raised to a negative power"));
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(Fault::of("a negative number to the power of a fraction is no real number"));
    }
    let found = base.powf(exponent);
    if found.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(Fault::of("the result is too large for a float"));
    }
    Ok(Value::Float(found))
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
        Binary::Power => None,
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
        Binary::Power => return power(&Number::Big(one.clone()), &Number::Big(two.clone())),
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
        Binary::Power => one.powf(two),
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
        Binary::Subtract => one.less(&two),
        Binary::Multiply => one.times(&two),
        Binary::Divide => one.over(&two),
        Binary::FloorDivide => one.parts(&two).map(|(whole, _)| whole),
        Binary::Modulo => one.parts(&two).map(|(_, rest)| rest),
        Binary::Power => None,
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
