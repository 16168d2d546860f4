//! The scanner against `serde_json`: both accept or refuse a text, and mean the same by it.

use serde_json::Value;
use singer::scan::{Scanner, Token};

/// Panics where the scanner and `serde_json` disagree about `text`.
pub fn judge(text: &str) {
    let ours = scan(text);
    // serde_json stops at 128 levels, the scanner at 512.
    if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100 {
        return;
    }
    match (serde_json::from_str::<Value>(text), ours) {
        (Ok(expected), Some(compact)) => {
            let found: Value = serde_json::from_str(&compact).expect("the scanner's text is JSON");
            assert_eq!(found, expected, "{text:?}");
        }
        (Err(_), None) => {}
        (expected, found) => panic!("{text:?}: serde_json {expected:?}, the scanner {found:?}"),
    }
}

/// Reads a text as one value and writes it again: strings unescaped and quoted, nests compacted.
fn scan(text: &str) -> Option<String> {
    let mut scanner = Scanner::new(text.as_bytes());
    scanner.space();
    let token = scanner.value().ok()?;
    scanner.end().ok()?;
    let mut out = Vec::new();
    match token {
        Token::Null => out.extend_from_slice(b"null"),
        Token::Boolean(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Token::Integer(digits) | Token::Decimal(digits) => out.extend_from_slice(digits),
        Token::String(quoted) => {
            let mut unescaped = Vec::new();
            quoted.unescape_into(&mut unescaped);
            singer::quote::string_into(&unescaped, &mut out);
        }
        Token::Object(nested) | Token::Array(nested) => nested.compact_into(&mut out),
    }
    Some(String::from_utf8(out).expect("the scanner writes UTF-8"))
}
