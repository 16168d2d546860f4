//! Decimal numbers as text: whether two are the same number (pure).

/// A number: its digits from the first to the last that is not zero, maybe with a point among them,
/// and the power of ten of the last one.
#[derive(Clone, Copy)]
struct Decimal<'a> {
    negative: bool,
    digits: &'a [u8],
    power: i64,
}

/// Tells whether two texts are JSON numbers, and the same number: `1.50` and `15e-1`.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (read(one), read(other)) else { return false };
    let digits = |number: Decimal<'_>| number.digits.iter().filter(|byte| **byte != b'.').count();
    let mut pairs = one.digits.iter().filter(|byte| **byte != b'.');
    let zero = one.digits.is_empty() && other.digits.is_empty();
    zero || one.negative == other.negative
        && one.power == other.power
        && digits(one) == digits(other)
        && other.digits.iter().filter(|byte| **byte != b'.').all(|byte| pairs.next() == Some(byte))
}

/// Tells whether the text is a number as JSON has it: `007` and `+1` are none.
pub fn is_number(text: &[u8]) -> bool {
    read(text).is_some()
}

/// Returns a number in one form of all that are the same, and other text as it is.
pub fn normal(text: &str) -> String {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let Some(number) = read(unsigned.as_bytes()) else { return text.to_owned() };
    let digits: Vec<u8> = number.digits.iter().copied().filter(|byte| *byte != b'.').collect();
    let sign = if number.negative && !digits.is_empty() { "-" } else { "" };
    format!("{sign}{}e{}", String::from_utf8_lossy(&digits), number.power)
}

fn read(text: &[u8]) -> Option<Decimal<'_>> {
    let negative = text.first() == Some(&b'-');
    let text = &text[usize::from(negative)..];
    let exponent_at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = text.split_at(exponent_at.unwrap_or(text.len()));
    let exponent: i64 = match exponent {
        [] => 0,
        [_, digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..));
    let all_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let padded = whole.len() > 1 && whole[0] == b'0';
    if !all_digits(whole) || padded || !fraction.is_none_or(all_digits) {
        return None;
    }
    let counts = |byte: &u8| (b'1'..=b'9').contains(byte);
    let Some(first) = mantissa.iter().position(counts) else {
        return Some(Decimal { negative, digits: &[], power: 0 });
    };
    let last = mantissa.iter().rposition(counts)?;
    let place = i64::try_from(point).ok()? - i64::try_from(last).ok()? - i64::from(last < point);
    Some(Decimal { negative, digits: &mantissa[first..=last], power: place.checked_add(exponent)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_numbers_whatever_they_look_like() {
        for (one, other, expected) in [
            ("1.50", "15e-1", true),
            ("100", "1E+2", true),
            ("0.0010", "1e-3", true),
            ("-0.0", "0", true),
            ("-1", "1", false),
            ("12.3", "1.23", false),
            ("1203", "1.203e3", true),
            ("10", "1", false),
            ("1", "10", false),
            ("9007199254740993", "9007199254740992", false),
            ("007", "7", false),
            ("1.", "1", false),
            ("", "0", false),
            ("1e99999999999999999999", "1", false),
        ] {
            assert_eq!(same(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
