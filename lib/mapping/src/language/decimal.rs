//! Numbers with all their digits, as Python's `decimal` has them: 28 digits, halves to even.

use std::cmp::Ordering;
use std::fmt::Write as _;

use num_bigint::{BigInt, Sign};

/// The digits of a result.
const PRECISION: usize = 28;
/// How far apart the places of two numbers may lie that are brought together.
const APART_MAX: i64 = 10_000;

/// `coefficient * 10^exponent`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    coefficient: BigInt,
    exponent: i64,
    /// It is a zero with the sign `-`, which is seen in texts alone.
    is_minus_zero: bool,
}

impl Decimal {
    /// Reads a number of JSON.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let coefficient = digits.replace('.', "").parse().ok()?;
        let exponent = exponent.checked_sub(i64::try_from(places).ok()?)?;
        Some(Self::signed(coefficient, exponent, digits.starts_with('-')))
    }

    pub(crate) fn of(coefficient: BigInt) -> Self {
        Self::signed(coefficient, 0, false)
    }

    /// Makes a number; `minus` is its sign if it is a zero.
    fn signed(coefficient: BigInt, exponent: i64, minus: bool) -> Self {
        let is_minus_zero = minus && coefficient.sign() == Sign::NoSign;
        Self { coefficient, exponent, is_minus_zero }
    }

    fn is_minus(&self) -> bool {
        self.is_minus_zero || self.coefficient.sign() == Sign::Minus
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.coefficient.sign() == Sign::NoSign
    }

    /// Changes the sign; a zero has none then.
    pub(crate) fn negated(self) -> Self {
        Self::signed(-self.coefficient, self.exponent, false).rounded()
    }

    fn digits(&self) -> usize {
        self.coefficient.magnitude().to_string().len()
    }

    /// Returns both coefficients with one exponent; `None` where they lie too far apart.
    fn aligned(&self, other: &Self) -> Option<(BigInt, BigInt, i64)> {
        let exponent = self.exponent.min(other.exponent);
        let scaled = |number: &Self| {
            let by = number.exponent.checked_sub(exponent).filter(|by| *by <= APART_MAX)?;
            Some(&number.coefficient * ten_to(by))
        };
        Some((scaled(self)?, scaled(other)?, exponent))
    }

    pub(crate) fn plus(&self, other: &Self) -> Option<Self> {
        let (one, two, exponent) = self.aligned(other)?;
        let minus = self.is_minus() && other.is_minus();
        Some(Self::signed(one + two, exponent, minus).rounded())
    }

    pub(crate) fn less(&self, other: &Self) -> Option<Self> {
        let minus = !other.is_minus();
        self.plus(&Self::signed(-other.coefficient.clone(), other.exponent, minus))
    }

    pub(crate) fn times(&self, other: &Self) -> Option<Self> {
        let exponent = self.exponent.checked_add(other.exponent)?;
        let coefficient = &self.coefficient * &other.coefficient;
        Some(Self::signed(coefficient, exponent, self.is_minus() != other.is_minus()).rounded())
    }

    /// Divides by a number that is not 0.
    pub(crate) fn over(&self, other: &Self) -> Option<Self> {
        let ideal = self.exponent.checked_sub(other.exponent)?;
        if self.is_zero() {
            let minus = self.is_minus() != other.is_minus();
            return Some(Self::signed(BigInt::default(), ideal, minus));
        }
        let length = |number: &Self| i64::try_from(number.digits()).unwrap_or(APART_MAX);
        let shift = length(other) - length(self) + 29;
        let mut exponent = ideal.checked_sub(shift)?;
        let (mut one, mut two) = (self.coefficient.clone(), other.coefficient.clone());
        if shift >= 0 {
            one *= ten_to(shift);
        } else {
            two *= ten_to(-shift);
        }
        let (mut quotient, rest) = (&one / &two, &one % &two);
        if rest.sign() == Sign::NoSign {
            while exponent < ideal && (&quotient % 10_u8).sign() == Sign::NoSign {
                quotient /= 10_u8;
                exponent += 1;
            }
        } else if (&quotient % 5_u8).sign() == Sign::NoSign {
            // A 5 or 0 at the end must not look like a half.
            quotient += if quotient.sign() == Sign::Minus { -1 } else { 1 };
        }
        Some(Self::signed(quotient, exponent, false).rounded())
    }

    /// Divides by a number that is not 0 into whole parts, towards 0; returns these and the rest.
    pub(crate) fn parts(&self, other: &Self) -> Option<(Self, Self)> {
        let (one, two, exponent) = self.aligned(other)?;
        let whole = Self::signed(&one / &two, 0, self.is_minus() != other.is_minus());
        if whole.digits() > PRECISION {
            return None;
        }
        Some((whole, Self::signed(one % two, exponent, self.is_minus()).rounded()))
    }

    pub(crate) fn order(&self, other: &Self) -> Ordering {
        if let Some((one, two, _)) = self.aligned(other) {
            return one.cmp(&two);
        }
        // So far apart that signs and places decide.
        let signs = self.coefficient.sign().cmp(&other.coefficient.sign());
        let place = |number: &Self| {
            number.exponent.saturating_add(i64::try_from(number.digits()).unwrap_or(i64::MAX))
        };
        let places = match self.coefficient.sign() {
            Sign::Minus => place(other).cmp(&place(self)),
            _ => place(self).cmp(&place(other)),
        };
        signs.then(places)
    }

    /// Returns the integer without the fraction.
    pub(crate) fn truncated(&self) -> Option<BigInt> {
        match self.exponent {
            0..=APART_MAX => Some(&self.coefficient * ten_to(self.exponent)),
            exponent if exponent > 0 => None,
            exponent if exponent < -APART_MAX => Some(BigInt::default()),
            exponent => Some(&self.coefficient / ten_to(-exponent)),
        }
    }

    /// Tells whether there is no fraction.
    pub(crate) fn is_whole(&self) -> bool {
        self.truncated().is_some_and(|whole| Self::of(whole).order(self) == Ordering::Equal)
    }

    fn rounded(self) -> Self {
        let digits = self.digits();
        if digits <= PRECISION {
            return self;
        }
        let by = i64::try_from(digits - PRECISION).unwrap_or(APART_MAX);
        let unit = ten_to(by);
        let (mut kept, rest) = (&self.coefficient / &unit, &self.coefficient % &unit);
        let twice = (rest.magnitude() << 1_u8).cmp(unit.magnitude());
        let odd = kept.bit(0);
        if twice == Ordering::Greater || twice == Ordering::Equal && odd {
            kept += if self.coefficient.sign() == Sign::Minus { -1 } else { 1 };
        }
        Self::signed(kept, self.exponent + by, self.is_minus_zero).rounded()
    }

    /// Returns the text that Python writes.
    pub(crate) fn text(&self) -> String {
        let digits = self.coefficient.magnitude().to_string();
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let left = self.exponent.saturating_add(length);
        let point = if self.exponent <= 0 && left > -6 { left } else { 1 };
        let mut out = String::new();
        if self.is_minus() {
            out.push('-');
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        if point <= 0 {
            out.push_str("0.");
            out.push_str(&zeros(-point));
            out.push_str(&digits);
        } else if point >= length {
            out.push_str(&digits);
            out.push_str(&zeros(point - length));
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
        if left != point {
            let exponent = left - point;
            let _ = write!(out, "E{exponent:+}");
        }
        out
    }
}

fn ten_to(exponent: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or_default())
}
