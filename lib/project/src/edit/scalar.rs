//! Texts as scalars: which need quotes, and how they are written.
//!
//! YAML 1.1 readers still exist (`PyYAML`), so a text gets quotes that either version needs.

use std::fmt::Write;

use super::style::Style;

/// Tells whether a text without quotes is a text to every reader: no number, day or truth.
pub(super) fn is_text(text: &str) -> bool {
    const WORDS: [&str; 13] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "="];
    let lower = text.to_ascii_lowercase();
    !WORDS.contains(&lower.as_str()) && !is_number(&lower) && !is_time(text)
}

fn is_number(lower: &str) -> bool {
    let text = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    if matches!(text, ".inf" | ".nan") {
        return true;
    }
    let of = |digits: Option<&str>, radix: u32| {
        digits.is_some_and(|digits| {
            !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(radix))
        })
    };
    if of(text.strip_prefix("0x"), 16)
        || of(text.strip_prefix("0o"), 8)
        || of(text.strip_prefix("0b"), 2)
    {
        return true;
    }
    let (number, exponent) = match text.split_once('e') {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let is_digit = |c: char| c.is_ascii_digit() || c == '_' || c == ',';
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit())
    });
    // Also `1:30`, which is ninety in YAML 1.1.
    exponent
        && number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && number.contains(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| is_digit(c) || c == '.' || c == ':')
}

fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits == 4
        && bytes.get(4) == Some(&b'-')
        && bytes.get(5).is_some_and(u8::is_ascii_digit)
        && text[5..].contains('-')
}

/// Writes a text as a scalar of one line: without quotes where it can, else in the quotes that
/// were there.
pub(super) fn written(text: &str, before: Style, in_flow: bool) -> String {
    match before {
        Style::Single if can_be_single(text) => format!("'{}'", text.replace('\'', "''")),
        Style::Single | Style::Double => double(text),
        _ if can_be_plain(text, in_flow) => text.to_owned(),
        _ => double(text),
    }
}

fn can_be_single(text: &str) -> bool {
    !text.chars().any(must_escape)
}

fn can_be_plain(text: &str, in_flow: bool) -> bool {
    let first = text.chars().next();
    let starts = first.is_some_and(|c| !"-?:,[]{}#&*!|>'\"%@`=<.".contains(c) || c == '.')
        || text.len() > 1 && text.starts_with('-') && !text[1..].starts_with(['-', ' ']);
    starts
        && is_text(text)
        && text.trim() == text
        && !text.starts_with("...")
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.contains('\t')
        && !(in_flow && text.contains([',', '[', ']', '{', '}', ':']))
        && !text.chars().any(must_escape)
}

/// Tells whether a character can stand only behind a backslash.
fn must_escape(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{85}' | '\u{a0}')
        || ('\u{fff0}'..='\u{ffff}').contains(&c)
}

/// Writes a text in double quotes, which can hold every text.
pub(super) fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_escape(c) => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_could_take_for_something_else_is_no_text() {
        for text in [
            "",
            "~",
            "No",
            "y",
            "on",
            "1",
            "-1",
            "+1.5",
            "1e3",
            ".5",
            "1_000",
            "0x1F",
            "0o7",
            "0b1",
            "012",
            "1:30",
            ".inf",
            "-.INF",
            ".NaN",
            "2026-01-01",
            "2026-1-1 10:00:00",
            "<<",
            "=",
        ] {
            assert!(!is_text(text), "{text}");
        }
        for text in ["a", "1a", "x1", "1.2.x", "e3", "1e", "-", "2026-x", "noo", "v1.0", "a:b"] {
            assert!(is_text(text), "{text}");
        }
    }

    #[test]
    fn a_text_is_written_as_plainly_as_it_can_be() {
        let check = |text: &str, before: Style, in_flow: bool, expected: &str| {
            assert_eq!(written(text, before, in_flow), expected, "{text:?}");
        };
        check("a b", Style::Plain, false, "a b");
        check("tap target", Style::Plain, true, "tap target");
        check("it's", Style::Single, false, "'it''s'");
        check("a\nb", Style::Single, false, "\"a\\nb\"");
        check("no", Style::Plain, false, "\"no\"");
        check("x, y", Style::Plain, true, "\"x, y\"");
        check("x, y", Style::Plain, false, "x, y");
        check("*.id", Style::Plain, false, "\"*.id\"");
        check("!a.b", Style::Plain, false, "\"!a.b\"");
        check("a: b", Style::Plain, false, "\"a: b\"");
        check("a #b", Style::Plain, false, "\"a #b\"");
        check("$A", Style::Plain, false, "$A");
        check("\u{85}\u{1f600}\u{1}", Style::Plain, false, "\"\\x85\u{1f600}\\x01\"");
    }
}
