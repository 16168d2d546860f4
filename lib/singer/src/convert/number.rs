//! Numbers with a decimal comma or another mark, and with separators of thousands.

use super::Unfit;
use crate::error::{Error, ErrorKind, Result};

/// The marks within a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberFormat {
    decimal: String,
    thousands: Option<String>,
}

const EMPTY: Unfit = Unfit("it is not a number");
const GROUPS: Unfit = Unfit("a thousands separator is missing before a group of three digits");
const ZEROS: Unfit = Unfit("it begins with zeros");
const FRACTION: Unfit = Unfit("no digits follow its decimal mark");
const WHOLE: Unfit = Unfit("it has a fraction");
const REST: Unfit = Unfit("it has characters that are neither digits nor the declared marks");

impl NumberFormat {
    /// Takes the mark before the fraction and the one between thousands.
    ///
    /// Fails with `Config` unless both are single characters that no number has otherwise, and
    /// differ.
    pub fn new(decimal: &str, thousands: Option<&str>) -> Result<Self> {
        let marks = [("decimal", Some(decimal)), ("thousands", thousands)];
        for (setting, mark) in marks.into_iter().filter_map(|(name, mark)| Some((name, mark?))) {
            let mut characters = mark.chars();
            let (one, more) = (characters.next(), characters.next());
            let fits = |c: char| !c.is_alphanumeric() && !c.is_control() && !is_sign(c);
            if !one.is_some_and(fits) || more.is_some() {
                return Err(Error::new(
                    ErrorKind::Config,
                    "cannot use this text as a mark in numbers",
                )
                .with("setting", setting)
                .with("value", mark)
                .hint("give one character, such as `,`"));
            }
        }
        if thousands == Some(decimal) {
            return Err(Error::new(ErrorKind::Config, "cannot use one mark for two purposes")
                .with("settings", "decimal, thousands")
                .with("value", decimal)
                .hint("set `decimal` to `,` where `thousands` is `.`, and the other way round"));
        }
        Ok(Self { decimal: decimal.to_owned(), thousands: thousands.map(str::to_owned) })
    }

    /// Appends an integer as its digits.
    pub fn integer(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let rest = self.whole(signed(text, out), out)?.0;
        if rest.starts_with(self.decimal.as_bytes()) {
            return Err(WHOLE);
        }
        if rest.is_empty() { Ok(()) } else { Err(self.rest(rest)) }
    }

    /// Appends a number as JSON has it; `NaN`, `Infinity` and `-Infinity` are what they are.
    pub fn number(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
            out.extend_from_slice(text);
            return Ok(());
        }
        let (mut rest, is_grouped) = self.whole(signed(text, out), out)?;
        if let Some(fraction) = rest.strip_prefix(self.decimal.as_bytes()) {
            let (digits, behind) = digits(fraction);
            if digits.is_empty() {
                return Err(FRACTION);
            }
            out.push(b'.');
            out.extend_from_slice(digits);
            rest = behind;
        }
        if let [b'e' | b'E', power @ ..] = rest
            && !is_grouped
        {
            let (sign, power) = match power {
                [sign @ (b'+' | b'-'), power @ ..] => (Some(*sign), power),
                power => (None, power),
            };
            let (digits, behind) = digits(power);
            if digits.is_empty() {
                return Err(REST);
            }
            out.push(b'e');
            out.extend(sign);
            out.extend_from_slice(digits);
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(self.rest(rest)) }
    }

    /// Appends the digits before the decimal mark; returns what follows, and whether there were
    /// groups.
    fn whole<'a>(&self, text: &'a [u8], out: &mut Vec<u8>) -> Result<(&'a [u8], bool), Unfit> {
        let (first, mut rest) = digits(text);
        if first.is_empty() {
            // As some databases print it: `,5` for a half.
            let is_fraction = rest.starts_with(self.decimal.as_bytes());
            out.push(b'0');
            return if is_fraction { Ok((rest, false)) } else { Err(EMPTY) };
        }
        out.extend_from_slice(first);
        let mut is_grouped = false;
        while let Some(group) =
            self.thousands.as_ref().and_then(|mark| rest.strip_prefix(mark.as_bytes()))
        {
            let (three, behind) = digits(group);
            if three.len() != 3 || (!is_grouped && (first.len() > 3 || first[0] == b'0')) {
                return Err(GROUPS);
            }
            out.extend_from_slice(three);
            (rest, is_grouped) = (behind, true);
        }
        if first.len() > 1 && first[0] == b'0' {
            return Err(ZEROS);
        }
        Ok((rest, is_grouped))
    }

    /// Says what is wrong with what follows the digits.
    fn rest(&self, rest: &[u8]) -> Unfit {
        let is_mark = |mark: &String| rest.starts_with(mark.as_bytes());
        if self.thousands.as_ref().is_some_and(is_mark) { GROUPS } else { REST }
    }
}

fn is_sign(c: char) -> bool {
    matches!(c, '+' | '-' | '\u{2212}')
}

/// Appends a minus, be it the one of ASCII or that of typography; returns what follows the sign.
fn signed<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    for (sign, is_minus) in [(&b"-"[..], true), ("\u{2212}".as_bytes(), true), (b"+", false)] {
        if let Some(rest) = text.strip_prefix(sign) {
            if is_minus {
                out.push(b'-');
            }
            return rest;
        }
    }
    text
}

/// Splits a text behind its digits.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::canonical::is_canonical;
    use crate::schema::Kind;

    fn format(decimal: &str, thousands: &str) -> NumberFormat {
        NumberFormat::new(decimal, Some(thousands).filter(|mark| !mark.is_empty())).unwrap()
    }

    fn number(format: &NumberFormat, text: &str) -> Option<String> {
        let mut out = Vec::new();
        format.number(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    fn integer(format: &NumberFormat, text: &str) -> Option<String> {
        let mut out = Vec::new();
        format.integer(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn numbers_are_read_in_the_declared_form_alone() {
        let german = format(",", ".");
        for (text, expected) in [
            ("1.234,50", "1234.50"),
            ("1.234", "1234"),
            ("1234", "1234"),
            ("1234567,5", "1234567.5"),
            ("12.345.678,9", "12345678.9"),
            ("0,50", "0.50"),
            (",5", "0.5"),
            ("-,5", "-0.5"),
            ("-1.234,5", "-1234.5"),
            ("\u{2212}7", "-7"),
            ("+7,0", "7.0"),
            ("0", "0"),
            ("1,5E+03", "1.5e+03"),
            ("123456789012345678901234567890,1", "123456789012345678901234567890.1"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(number(&german, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn numbers_in_another_form_are_refused() {
        let german = format(",", ".");
        for text in [
            "12.34,5",
            "1.23",
            "1.2345",
            "1234.567",
            "1.234.56",
            "0.123",
            "01.234",
            "1..234",
            ".234",
            "1.",
            "1,",
            "1,2,3",
            "1,234.5",
            "1,2.3",
            "1.234,567.8",
            "007",
            "00,5",
            "",
            "-",
            "--1",
            "+-1",
            "1-",
            "1 234",
            " 1",
            "1 ",
            "1,5 €",
            "€1",
            "1.234e5",
            "1e",
            "1e+",
            "e5",
            "(5)",
            "12%",
            "1'234",
            "٣",
            "0x1F",
            "1_000",
            "nan",
            "inf",
            "1,5e1,5",
            "1.234,",
            ",",
        ] {
            assert_eq!(number(&german, text), None, "{text}");
        }
    }

    #[test]
    fn a_mark_means_what_was_declared() {
        let comma = format(",", "");
        assert_eq!(number(&comma, "1234,5").as_deref(), Some("1234.5"));
        // Nobody knows whether it is a thousand or one.
        assert_eq!(number(&comma, "1.234"), None);
        let english = format(".", ",");
        assert_eq!(number(&english, "1,234.5").as_deref(), Some("1234.5"));
        assert_eq!(number(&english, "1.234,5"), None);
        let indian = number(&english, "1,23,456");
        assert_eq!(indian, None);
        for mark in [" ", "\u{a0}", "\u{202f}", "'", "\u{2019}", "_"] {
            let text = format!("1{mark}234{mark}567,8");
            assert_eq!(number(&format(",", mark), &text).as_deref(), Some("1234567.8"), "{mark:?}");
        }
        assert_eq!(number(&format(",", "\u{a0}"), "1 234"), None);
    }

    #[test]
    fn integers_have_no_fraction() {
        let german = format(",", ".");
        for (text, expected) in [
            ("1.234", Some("1234")),
            ("-12", Some("-12")),
            ("12,0", None),
            (",5", None),
            ("1e3", None),
            ("12.34", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(integer(&german, text).as_deref(), expected, "{text}");
        }
        let mut out = Vec::new();
        assert_eq!(german.integer(b"12,5", &mut out), Err(WHOLE));
        assert_eq!(german.integer(b"12.34", &mut out), Err(GROUPS));
        assert_eq!(german.number(b"12,3.4", &mut out), Err(GROUPS));
    }

    #[test]
    fn marks_are_single_characters_of_their_own() {
        for (decimal, thousands) in [
            ("", None),
            (",,", None),
            ("5", None),
            ("-", None),
            ("e", None),
            (".", Some(".")),
            (",", Some("")),
            (",", Some("+")),
            (",", Some("\t")),
        ] {
            let failure = NumberFormat::new(decimal, thousands).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{decimal:?} {thousands:?}");
        }
    }

    /// Writes a canonical number in a form.
    fn print(format: &NumberFormat, canonical: &str) -> String {
        let (sign, digits) = match canonical.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", canonical),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (digits, None),
        };
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 {
                grouped.push_str(format.thousands.as_deref().unwrap_or_default());
            }
            grouped.push(digit);
        }
        let fraction = fraction.map(|digits| format!("{}{digits}", format.decimal));
        format!("{sign}{grouped}{}", fraction.unwrap_or_default())
    }

    fn formats() -> impl Strategy<Value = NumberFormat> {
        let marks = [(",", "."), (".", ","), (",", ""), (",", " "), (".", "'"), ("·", "\u{202f}")];
        prop::sample::select(marks.to_vec()).prop_map(|(one, other)| format(one, other))
    }

    #[test]
    fn what_is_printed_in_a_form_is_read_as_the_same_number() {
        let values = (formats(), "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,6})?");
        testing::property::holds("numbers in a form", 2000, values, |(format, text)| {
            let printed = print(&format, &text);
            prop_assert_eq!(number(&format, &printed), Some(text.clone()), "{}", printed);
            let whole = text.split('.').next().unwrap().to_owned();
            prop_assert_eq!(integer(&format, &print(&format, &whole)), Some(whole));
            Ok(())
        });
    }

    #[test]
    fn any_text_is_refused_or_is_a_number_with_the_same_digits() {
        let values = (formats(), "[0-9.,' e+-]{0,9}");
        testing::property::holds("texts as numbers", 4000, values, |(format, text)| {
            let Some(found) = number(&format, &text) else { return Ok(()) };
            prop_assert!(is_canonical(Kind::Number, found.as_bytes()), "{} {}", text, found);
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            let own = digits(&text);
            let added = digits(&found);
            prop_assert!(added == own || added == format!("0{own}"), "{} {}", text, found);
            // Each mark stands where the form has it.
            let plain = text.trim_start_matches(['-', '+']);
            let mark = format.thousands.as_deref().filter(|mark| plain.contains(mark));
            if mark.is_some() && !plain.contains('e') {
                let printed = print(&format, &found);
                prop_assert_eq!(printed.trim_start_matches('-'), plain);
            }
            Ok(())
        });
    }
}
