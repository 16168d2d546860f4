//! The least and the greatest integer of a column.

use serde_json::Value;

use crate::refusal::Reason;

/// `minimum` and `maximum`.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    low: Option<i128>,
    high: Option<i128>,
    /// A number of so many characters is within both, whatever its digits are: such need not be
    /// parsed.
    within: usize,
}

impl Bounds {
    /// Takes the `minimum`; tells whether it is one.
    pub(super) fn set_low(&mut self, minimum: &Value) -> bool {
        self.low = minimum.to_string().parse().ok();
        self.within = self.digits_within();
        self.low.is_some()
    }

    /// Takes the `maximum`; tells whether it is one.
    pub(super) fn set_high(&mut self, maximum: &Value) -> bool {
        self.high = maximum.to_string().parse().ok();
        self.within = self.digits_within();
        self.high.is_some()
    }

    /// Refuses an integer that is beyond them; its digits have no leading zeros.
    #[inline]
    pub(super) fn check(&self, digits: &[u8]) -> Result<(), Reason> {
        if digits.len() <= self.within { Ok(()) } else { self.compare(digits) }
    }

    fn compare(&self, digits: &[u8]) -> Result<(), Reason> {
        if self.low.is_none() && self.high.is_none() {
            return Ok(());
        }
        let value = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<i128>().ok());
        // A number beyond 128 bits is beyond every bound on its side of zero.
        let negative = digits.starts_with(b"-");
        let too_low = self.low.is_some_and(|low| value.map_or(negative, |value| value < low));
        let too_high = self.high.is_some_and(|high| value.map_or(!negative, |value| value > high));
        match (self.low, self.high) {
            (Some(low), _) if too_low => Err(format!("the number is below the minimum {low}")),
            (_, Some(high)) if too_high => Err(format!("the number is above the maximum {high}")),
            _ => Ok(()),
        }
    }

    /// Returns how many digits a number may have that is within both, with either sign.
    fn digits_within(&self) -> usize {
        let mut most = 0_i128;
        for digits in 0..DIGITS {
            let too_low = self.low.is_some_and(|low| -most < low);
            if too_low || self.high.is_some_and(|high| most > high) {
                return digits.saturating_sub(1);
            }
            most = most * 10 + 9;
        }
        DIGITS - 1
    }
}

/// Numbers of fewer digits fit an `i128`.
const DIGITS: usize = i128::MAX.ilog10() as usize;
