//! Amounts for a database whose currency has not two digits behind the point (pure).
//!
//! Postgres keeps an amount as a whole number of the smallest unit, and our session reads its text
//! as if a hundred of them made one. So the point is moved: 1500 yen are read from `15.00`.

use singer::Result;

use crate::limits::refusal;

/// What our session takes for the digits behind the point.
const DIGITS: usize = 2;

/// Returns, in memory of the caller, what our session reads as the amount (or as each of a JSON
/// array), where money has so many digits.
pub fn counted<'a>(amounts: &[u8], digits: usize, out: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    out.clear();
    if amounts.first() == Some(&b'[') {
        each(amounts, digits, out)?;
    } else {
        one(amounts, digits, out)?;
    }
    Ok(out)
}

fn one(amount: &[u8], digits: usize, out: &mut Vec<u8>) -> Result<()> {
    let unclear = || refusal("the text is not an amount of money");
    let (mut negative, mut whole, mut fraction) = (false, Vec::new(), None);
    for byte in amount {
        match (byte, &mut fraction) {
            (b'0'..=b'9', None) => whole.push(*byte),
            (b'0'..=b'9', Some(fraction)) => Vec::push(fraction, *byte),
            (b'.', None) if !whole.is_empty() => fraction = Some(Vec::new()),
            (b'-' | b'(', None) if !negative && whole.is_empty() => negative = true,
            (b')', _) if negative => {}
            (b',', None) if !whole.is_empty() => {}
            (b'$' | b' ' | b'+', None) if whole.is_empty() => {}
            _ => return Err(unclear()),
        }
    }
    if whole.is_empty() {
        return Err(unclear());
    }
    let fraction = fraction.unwrap_or_default();
    let kept = fraction.len().min(digits);
    if fraction[kept..].iter().any(|byte| *byte != b'0') {
        return Err(refusal("the amount has more decimal digits than money has on this server")
            .with("digits kept", digits));
    }
    whole.extend_from_slice(&fraction[..kept]);
    whole.resize(whole.len() + digits - kept, b'0');
    let zeros = (DIGITS + 1).saturating_sub(whole.len());
    whole.splice(0..0, std::iter::repeat_n(b'0', zeros));
    whole.insert(whole.len() - DIGITS, b'.');
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(&whole);
    Ok(())
}

fn each(array: &[u8], digits: usize, out: &mut Vec<u8>) -> Result<()> {
    for (at, part) in array.split(|byte| *byte == b'"').enumerate() {
        if at > 0 {
            out.push(b'"');
        }
        if at % 2 == 1 { one(part, digits, out)? } else { out.extend_from_slice(part) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_moves_to_where_our_session_expects_it() {
        let check = |amount: &str, digits, expected: Option<&str>| {
            let mut out = Vec::new();
            let seen = counted(amount.as_bytes(), digits, &mut out).ok();
            assert_eq!(seen, expected.map(str::as_bytes), "{amount} with {digits}");
        };
        check("1500", 0, Some("15.00"));
        check("$1,500.00", 0, Some("15.00"));
        check("7", 0, Some("0.07"));
        check("-$7", 0, Some("-0.07"));
        check("1.5", 0, None);
        check("1500.500", 3, Some("15005.00"));
        check("$1,500.5", 3, Some("15005.00"));
        check("0.005", 3, Some("00.05"));
        check("($0.005)", 3, Some("-00.05"));
        check("0.0005", 3, None);
        check("12", 2, Some("12.00"));
        for text in ["", "$", "x", "1e3", "1.2.3", "NaN", "1500 JPY"] {
            check(text, 0, None);
        }
        check(r#"["2",null,["-$1.00"]]"#, 0, Some(r#"["0.02",null,["-0.01"]]"#));
        check(r#"["x"]"#, 0, None);
    }
}
