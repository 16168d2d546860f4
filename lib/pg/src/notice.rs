//! What the server says beside its answers: its notices and warnings become warnings of ours.
//!
//! A server that changes a value, or a trigger that has doubts, says so by a NOTICE or a WARNING,
//! and nowhere else: each text is reported once a run, without the values that it may name.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::failure::Report;

/// How many texts are reported in a run.
const TEXTS_MAX: usize = 50;
/// How many characters of a text are reported.
const TEXT_CHARS_MAX: usize = 200;
/// How many characters of a word are reported: a longer one is no word.
const WORD_CHARS_MAX: usize = 24;

/// The texts that this process was told, of all its connections.
static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Tells what a `NoticeResponse` says, if it is more than the server's small talk.
pub(crate) fn tell(report: &Report) {
    if !matches!(report.severity.as_str(), "NOTICE" | "WARNING") {
        tracing::debug!("server: {}: {}", report.severity, report.message);
        return;
    }
    let (severity, sqlstate) = (report.severity.to_lowercase(), &report.sqlstate);
    let place = report.function().map(|place| format!(" in {place}")).unwrap_or_default();
    let text = format!("{severity} {sqlstate}{place}: {}", without_values(&report.message));
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() > TEXTS_MAX || told.contains(&text) {
        return;
    }
    let last = told.len() == TEXTS_MAX;
    told.insert(text.clone());
    drop(told);
    if last {
        singer::warn!(
            "W-SERVER-NOTICE",
            "the server sends more than {TEXTS_MAX} different notices; see its log"
        );
    } else {
        singer::warn!("W-SERVER-NOTICE", "the server says: {text}");
    }
}

/// Leaves out what may be a value: what is in quotes or parentheses, digits, addresses, long words.
fn without_values(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    let mut word = 0;
    while let Some(c) = rest.next() {
        let closing = match c {
            '"' => Some('"'),
            '(' => Some(')'),
            // Not the apostrophe of a word.
            '\'' if !before.is_alphanumeric() => Some('\''),
            _ => None,
        };
        before = c;
        if let Some(closing) = closing {
            out.extend([c, '.', '.', '.', closing]);
            rest.by_ref().find(|c| *c == closing);
            before = closing;
            word = 0;
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            word = 0;
            out.push(' ');
            continue;
        }
        word += 1;
        if c.is_numeric() {
            while rest.next_if(|c| c.is_numeric()).is_some() {}
            out.push('#');
        } else if word == WORD_CHARS_MAX || c == '@' {
            while rest.next_if(|c| !c.is_whitespace()).is_some() {}
            out.push_str("...");
        } else {
            out.push(c);
        }
    }
    match out.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}...", &out[..at]),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_without_its_values() {
        let check =
            |text: &str, expected: &str| assert_eq!(without_values(text), expected, "{text}");
        check("price is negative", "price is negative");
        check("Coordinates into [-180 -90, 180 90]", "Coordinates into [-# -#, # #]");
        check("identifier \"secret name\" is cut", "identifier \"...\" is cut");
        check("don't use 'this value' or that's it", "don't use '...' or that's it");
        check("row (7,Alice,2026-01-01) is odd", "row (...) is odd");
        check("mail to alice@example.org is off", "mail to alice... is off");
        check("id 1234567: 1.5", "id #: #.#");
        check(&"x".repeat(100), &format!("{}...", "x".repeat(WORD_CHARS_MAX - 1)));
        check("an open \"quote", "an open \"...\"");
        check("two\nlines", "two lines");
        assert!(without_values(&"word ".repeat(100)).chars().count() <= TEXT_CHARS_MAX + 3);
    }
}
