//! Forms that values have: mail addresses, phones, accounts, cards, addresses of networks.

use std::net::IpAddr;

use super::iban::is_iban;
use super::names;

/// A form of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Mail,
    Phone,
    /// Digits alone, as many as a phone has, behind the 0 or 00 that begins one.
    Digits,
    Iban,
    Card,
    NetworkAddress,
    Name,
}

/// Tells whether a text has a form.
type Test = fn(&str) -> bool;

/// Returns the forms that a text has.
pub(super) fn forms(text: &str) -> impl Iterator<Item = Form> {
    let tests: [(Form, Test); 7] = [
        (Form::Mail, is_mail),
        (Form::Phone, is_phone),
        (Form::Digits, is_dialled),
        (Form::Iban, is_iban),
        (Form::Card, is_card),
        (Form::NetworkAddress, is_address),
        (Form::Name, names::is_of_person),
    ];
    tests.into_iter().filter(move |(_, fits)| fits(text)).map(|(form, _)| form)
}

/// Tells whether a longer text contains a mail address, an account number or a number of a card.
pub(super) fn has_some_inside(text: &str) -> bool {
    let apart = |c: char| c.is_whitespace() || "<>()[]{},;:\"'|=".contains(c);
    let mut words = text.split(apart).map(|word| word.trim_end_matches(['.', '!', '?']));
    words.any(|word| is_mail(word) || is_iban(word) || is_card(word))
}

/// Returns the year that a date or moment begins with.
pub(super) fn year(text: &str) -> Option<i16> {
    let date = text.get(..10)?;
    date.parse::<jiff::civil::Date>().ok().map(jiff::civil::Date::year)
}

/// Tells whether a text is a mail address, in letters of any script.
fn is_mail(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    let is_quoted = name.len() > 2 && name.starts_with('"') && name.ends_with('"');
    let is_apart = |c: char| c.is_whitespace() || "@\"<>()[]{},;:".contains(c);
    let is_name = !name.is_empty() && (is_quoted || !name.contains(is_apart));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.len() <= 254
        && is_name
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && domain.rsplit('.').next().is_some_and(|last| last.chars().any(char::is_alphabetic))
}

/// Tells whether digits by themselves begin as a phone does, and are as many: such as 0612345678.
fn is_dialled(text: &str) -> bool {
    let digits = text.trim_start_matches('0');
    let zeros = text.len() - digits.len();
    text.bytes().all(|byte| byte.is_ascii_digit())
        && match zeros {
            1 => (9..=11).contains(&digits.len()),
            2 => (10..=13).contains(&digits.len()),
            _ => false,
        }
}

/// Tells whether a text is written as a phone is: with a plus, or with marks between the digits.
/// Digits by themselves could be any number.
fn is_phone(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let marks = |c: char| c.is_ascii_digit() || " ()./-+".contains(c);
    if !(7..=15).contains(&digits) || !text.chars().all(marks) {
        return false;
    }
    if text.starts_with('+') || text.starts_with("00") && text.len() > digits {
        return !text[1..].contains('+');
    }
    let groups: Vec<&str> = text.split([' ', '(', ')', '.', '/', '-']).collect();
    let groups: Vec<&str> = groups.into_iter().filter(|group| !group.is_empty()).collect();
    let american =
        || matches!(groups[..], [a, b, c] if a.len() == 3 && b.len() == 3 && c.len() == 4);
    // `01.02.2026` is a date.
    let is_date = groups.len() == 3 && groups.iter().any(|group| group.len() == 4) && digits == 8;
    let national = || text.trim_start_matches('(').starts_with('0') && groups.len() >= 2;
    !text.contains('+') && !is_date && (american() || national())
}

/// Tells whether a text is a number of a card: of an issuer, and by Luhn's check digit.
fn is_card(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
    if text.len() > 23 || !text.bytes().all(|byte| byte.is_ascii_digit() || b" -".contains(&byte)) {
        return false;
    }
    let Some(start) = digits.get(..4) else { return false };
    let start = start.iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let is_issued = match digits.len() {
        13 | 19 => start / 1000 == 4,
        14 => matches!(start / 10, 300..=305) || matches!(start / 100, 36 | 38),
        15 => matches!(start / 100, 34 | 37),
        16 => {
            start / 1000 == 4
                || matches!(start / 100, 51..=55 | 62 | 65)
                || matches!(start, 2221..=2720 | 3528..=3589 | 6011)
        }
        _ => false,
    };
    is_issued && luhn(&digits)
}

/// Judges digits by Luhn's sum.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(*digit) * if at % 2 == 0 { 1 } else { 2 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}

/// Tells whether a text is an address of a network, or of a device in it.
fn is_address(text: &str) -> bool {
    let text = text.split_once('/').map_or(text, |(address, _)| address);
    let is_device = || {
        let parts: Vec<&str> = text.split([':', '-']).collect();
        parts.len() == 6
            && parts
                .iter()
                .all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    // `::` could be anything.
    text.len() >= 7 && (text.parse::<IpAddr>().is_ok() || is_device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        for (text, expected) in [
            ("ann@example.com", &[Form::Mail][..]),
            ("@home", &[]),
            ("+49 171 2345678", &[Form::Phone]),
            ("0171/2345678", &[Form::Phone]),
            ("(555) 123-4567", &[Form::Phone]),
            ("01.02.2026", &[]),
            ("2026-01-31", &[]),
            ("1712345678", &[]),
            ("06 12 34 56 78", &[Form::Phone]),
            ("01.23.45.67.89", &[Form::Phone]),
            ("0612345678", &[Form::Digits]),
            ("0033612345678", &[Form::Digits]),
            ("0049 171 2345678", &[Form::Phone]),
            ("0000012345", &[]),
            ("jörg@müller.de", &[Form::Mail]),
            ("anna@пример.рф", &[Form::Mail]),
            ("\"a b\"@x.de", &[Form::Mail]),
            ("a b@x.de", &[]),
            ("pkg@1.2.3", &[]),
            ("de89370400440532013000", &[Form::Iban]),
            ("1.234.567", &[]),
            ("DE89 3704 0044 0532 0130 00", &[Form::Iban]),
            ("GB82WEST12345698765432", &[Form::Iban]),
            ("DE88370400440532013000", &[]),
            ("4111 1111 1111 1111", &[Form::Card]),
            ("4111111111111112", &[]),
            ("378282246310005", &[Form::Card]),
            ("1111111111111117", &[]),
            ("192.168.17.4", &[Form::NetworkAddress]),
            ("2001:db8::17", &[Form::NetworkAddress]),
            ("1.2.3", &[]),
            ("00:1b:44:11:3a:b7", &[Form::NetworkAddress]),
            ("Berlin", &[]),
            ("Anna Smith", &[Form::Name]),
        ] {
            assert_eq!(forms(text).collect::<Vec<_>>(), expected, "{text}");
        }
        assert!(has_some_inside("please write to ann@example.com."));
        assert!(!has_some_inside("nothing to see @ home"));
        assert_eq!(year("1984-05-17T10:00:00Z"), Some(1984));
        assert_eq!(year("17.05.1984"), None);
    }
}
