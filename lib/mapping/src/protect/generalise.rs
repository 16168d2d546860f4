//! Values made coarse: the year of a date, the network of an address, the range of a number.

use std::net::IpAddr;

use singer::convert::Unfit;

use super::partial::MASK;
use crate::normal::Decimal;

/// How coarse a value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generalise {
    /// Of a date or moment the year, an integer. A year before Christ is below zero.
    Year,
    /// Of a date or moment the month, such as `1984-05`.
    Month,
    /// Of an address the network: `/24` of IPv4, `/48` of IPv6.
    Network,
    /// Of a number the start of its range of this width: 37 becomes 30 for a width of 10.
    Range(u64),
    /// Of a text so many characters, such as the first two of a postal code, and `***`.
    First(usize),
}

impl Generalise {
    /// Appends the coarse value of one in canonical text. What cannot be made coarse is refused:
    /// it is never shown as it is.
    pub(crate) fn apply(self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        match self {
            Self::Year => year(text, out),
            Self::Month => month(text, out),
            Self::Network => network(text, out),
            Self::Range(width) => range(text, width, out),
            Self::First(count) => {
                let text = std::str::from_utf8(text).map_err(|_| Unfit("it is not UTF-8"))?;
                // A text that would be seen whole is hidden whole.
                if text.chars().count() > count {
                    let end = text.char_indices().nth(count).map_or(0, |(at, _)| at);
                    out.extend_from_slice(&text.as_bytes()[..end]);
                }
                out.extend_from_slice(MASK);
                Ok(())
            }
        }
    }

    /// Tells whether what comes out is a text, and not a number.
    pub(crate) fn is_text(self) -> bool {
        !matches!(self, Self::Year | Self::Range(_))
    }
}

const NO_DATE: Unfit = Unfit("it has no year");

/// Returns the digits of the year, what follows them, and whether it is before Christ.
fn parts(text: &[u8]) -> Result<(&str, &[u8], bool), Unfit> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits < 4 || text.get(digits) != Some(&b'-') {
        return Err(NO_DATE);
    }
    let year = std::str::from_utf8(&text[..digits]).map_err(|_| NO_DATE)?;
    Ok((year, &text[digits..], text.ends_with(b" BC")))
}

fn year(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    let (year, _, is_before) = parts(text)?;
    if is_before {
        out.push(b'-');
    }
    out.extend_from_slice(year.trim_start_matches('0').as_bytes());
    Ok(())
}

fn month(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    let (year, rest, is_before) = parts(text)?;
    out.extend_from_slice(year.as_bytes());
    out.extend_from_slice(rest.get(..3).ok_or(NO_DATE)?);
    if is_before {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

fn network(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
    let refused = Unfit("it is not an address of a network");
    let text = std::str::from_utf8(text).map_err(|_| refused)?;
    // As Postgres prints an inet: the host and the length of its network.
    let host = match text.split_once('/') {
        Some((host, bits)) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) => return Err(refused),
        None => text,
    };
    let shown = match host.parse::<IpAddr>().map_err(|_| refused)?.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    };
    out.extend_from_slice(shown.as_bytes());
    Ok(())
}

fn range(text: &[u8], width: u64, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let refused = Unfit("it is not a number, or has more than 37 digits");
    let mut number = Decimal::read(text).ok_or(refused)?;
    let mut below = 0;
    if number.has_fraction() {
        let fraction = usize::try_from(-number.scale).map_err(|_| refused)?;
        number.digits.truncate(number.digits.len().saturating_sub(fraction));
        number.scale = 0;
        below = i128::from(number.negative);
    }
    let whole = number.scaled(0).filter(|whole| whole.unsigned_abs() < 10_u128.pow(37));
    let whole = whole.ok_or(refused)? - below;
    let width = i128::from(width.max(1));
    out.extend_from_slice((whole.div_euclid(width) * width).to_string().as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coarse(how: Generalise, text: &str) -> Option<String> {
        let mut out = Vec::new();
        how.apply(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_become_coarse() {
        use Generalise::{First, Month, Network, Range, Year};
        for (how, text, expected) in [
            (Year, "1984-05-17", Some("1984")),
            (Year, "0044-03-15 BC", Some("-44")),
            (Year, "1984-05-17T10:00:00+02:00", Some("1984")),
            (Year, "infinity", None),
            (Year, "17.05.1984", None),
            (Month, "1984-05-17T10:00:00Z", Some("1984-05")),
            (Month, "0044-03-15 BC", Some("0044-03 BC")),
            (Network, "192.168.17.4", Some("192.168.17.0/24")),
            (Network, "192.168.17.4/32", Some("192.168.17.0/24")),
            (Network, "::ffff:10.1.2.3", Some("10.1.2.0/24")),
            (Network, "2001:db8:1:2::7", Some("2001:db8:1::/48")),
            (Network, "home.example.com", None),
            (Network, "10.1.2.3/secret", None),
            (Network, "", None),
            (Range(10), "37", Some("30")),
            (Range(10), "-1", Some("-10")),
            (Range(10), "-0.5", Some("-10")),
            (Range(10), "30.0", Some("30")),
            (Range(10), "0.001", Some("0")),
            (Range(1000), "12345.67", Some("12000")),
            (Range(10), "1e3", Some("1000")),
            (Range(10), "1e300", None),
            (Range(10), "NaN", None),
            (First(2), "80331", Some("80***")),
            (First(2), "80", Some("***")),
            (First(2), "", Some("***")),
            (First(1), "é🙂x", Some("é***")),
        ] {
            assert_eq!(coarse(how, text).as_deref(), expected, "{how:?} {text}");
        }
    }

    #[test]
    fn a_number_lies_in_its_range() {
        let values = (any::<i64>(), 0_u32..1000, 1_u64..100_000);
        testing::property::holds("ranges", 4000, values, |(whole, fraction, width)| {
            let text = format!("{whole}.{fraction:03}");
            let start: i128 = coarse(Generalise::Range(width), &text).unwrap().parse().unwrap();
            let thousandths = Decimal::read(text.as_bytes()).unwrap().scaled(3).unwrap();
            let (start, width) = (start * 1000, i128::from(width) * 1000);
            prop_assert!(start <= thousandths && thousandths < start + width, "{}", text);
            prop_assert_eq!(start % width, 0);
            Ok(())
        });
    }
}
