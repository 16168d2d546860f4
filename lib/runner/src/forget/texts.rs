//! Values in texts: in lines of rejects, in logs, in records and states.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use singer::Result;

/// What stands in a log in the place of a value.
const MASK: &str = "***";
/// Texts shorter than this are found everywhere.
const LENGTH_MIN: usize = 4;
/// The same of numbers.
const DIGITS_MIN: usize = 7;

/// Tells whether a value can be looked for in texts that say anything.
pub(super) fn is_findable(value: &str) -> bool {
    let length = value.chars().count();
    let is_number = value.chars().all(|c| c.is_ascii_digit() || ".,-: ".contains(c));
    length >= if is_number { DIGITS_MIN } else { LENGTH_MIN }
}

/// Tells whether a text holds a value as a word of its own.
pub(super) fn holds(text: &str, value: &str) -> bool {
    places(text, value).next().is_some()
}

fn places<'a>(text: &'a str, value: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(value).map(|(at, _)| at).filter(move |at| {
        !value.is_empty()
            && is_apart(text[..*at].chars().next_back())
            && is_apart(text[at + value.len()..].chars().next())
    })
}

/// Tells whether two texts differ only in letter case or in spaces at their ends.
pub(super) fn is_alike(value: &str, text: &str) -> bool {
    value != text && value.trim().to_lowercase() == text.trim().to_lowercase()
}

/// Tells whether two texts show one number, without exponents.
pub(super) fn same_number(one: &str, other: &str) -> bool {
    fn normal(text: &str) -> Option<(bool, &str, &str)> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = !digits.is_empty()
            && whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let is_zero = whole.is_empty() && part.is_empty();
        is_number.then_some((is_negative && !is_zero, whole, part))
    }
    normal(one).is_some_and(|number| normal(other) == Some(number))
}

/// Tells whether a line of rejects is of a stream and shows one of these values: in the column, or
/// anywhere in a record that was kept as it came.
pub(super) fn is_of(line: &str, stream: &str, column: &str, values: &BTreeSet<String>) -> bool {
    let Ok(Value::Object(reject)) = serde_json::from_str::<Value>(line) else {
        return values.iter().any(|value| is_findable(value) && holds(line, value));
    };
    let named = reject.get("stream").and_then(Value::as_str);
    if named.is_some_and(|named| named != stream) {
        return false;
    }
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_one = |text: &str| values.iter().any(|value| value == text || same_number(value, text));
    match reject.get("record") {
        Some(Value::Object(record)) => {
            record.get(column).is_some_and(|value| is_one(&shown(value)))
        }
        // A line of a file: its fields cannot be told apart here.
        Some(Value::String(text)) => {
            values.iter().any(|value| is_findable(value) && holds(text, value))
        }
        _ => reject.get("key").is_some_and(|key| {
            let key = shown(key);
            values.iter().any(|value| key == *value || is_findable(value) && holds(&key, value))
        }),
    }
}

/// Counts the lines of a file that are meant, and removes them if that is asked for. The file is
/// replaced as one step.
pub(super) fn without_lines(
    path: &Path,
    is_meant: &dyn Fn(&str) -> bool,
    apply: bool,
) -> Result<u64> {
    let Some((path, text)) = read(path)? else { return Ok(0) };
    let (mut found, mut kept) = (0, Vec::new());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if is_meant(String::from_utf8_lossy(line).trim_end()) {
            found += 1;
        } else {
            kept.extend_from_slice(line);
        }
    }
    if apply && found > 0 {
        disk::replace_file(&path, &kept, 0o600)?;
    }
    Ok(found)
}

/// Counts the lines of a file that hold a value, and masks it in them if that is asked for.
pub(super) fn masked(path: &Path, values: &[&String], apply: bool) -> Result<u64> {
    let Some((path, text)) = read(path)? else { return Ok(0) };
    let text = String::from_utf8_lossy(&text);
    // Within JSON, quotes and backslashes of a value have one more.
    let escaped = values.iter().map(|value| {
        let text = Value::from(value.as_str()).to_string();
        text[1..text.len() - 1].to_owned()
    });
    let values: BTreeSet<String> =
        values.iter().map(|value| (*value).clone()).chain(escaped).collect();
    let (mut found, mut kept) = (0, String::new());
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        let mut is_hit = false;
        for value in &values {
            let hits: Vec<usize> = places(&line, value).collect();
            is_hit |= !hits.is_empty();
            for at in hits.into_iter().rev() {
                line.replace_range(at..at + value.len(), MASK);
            }
        }
        found += u64::from(is_hit);
        kept.push_str(&line);
    }
    if apply && found > 0 {
        disk::replace_file(&path, kept.as_bytes(), 0o600)?;
    }
    Ok(found)
}

/// Reads a file, and says where it lies: a link is followed, so that the file itself is replaced.
fn read(path: &Path) -> Result<Option<(PathBuf, Vec<u8>)>> {
    match path.canonicalize().and_then(|path| Ok((path.clone(), std::fs::read(&path)?))) {
        Ok(read) => Ok(Some(read)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(disk::failure("cannot read the file", path, cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_words_of_their_own() {
        assert!(holds("key: ann@example.com, line 3", "ann@example.com"));
        assert!(!holds("joann@example.com", "ann@example.com"));
        assert!(!holds("170 rows", "17") && holds("id 17", "17"));
        assert!(is_findable("ann@x.de") && !is_findable("17") && !is_findable("170017"));
        assert!(same_number("17", "17.0") && same_number("-0", "0") && !same_number("1", "10"));
        assert!(!same_number("", "") && !same_number("a", "a") && same_number("007", "7"));
        assert!(is_alike("Ann ", "ann") && !is_alike("ann", "ann"));
    }

    #[test]
    fn rejects_are_read_by_stream_and_column() {
        let values = BTreeSet::from(["17".to_owned()]);
        let is = |line: &str| is_of(line, "s", "id", &values);
        assert!(is(r#"{"stream":"s","record":{"id":17,"n":"x"}}"#));
        assert!(is(r#"{"stream":"s","record":{"id":"17"}}"#));
        assert!(!is(r#"{"stream":"t","record":{"id":17}}"#));
        assert!(!is(r#"{"stream":"s","record":{"id":1,"n":17}}"#));
        assert!(!is(r#"{"stream":"s","record":"3,7.17,six"}"#));
        assert!(is(r#"{"stream":"s","key":"17"}"#));
        assert!(!is(r#"{"stream":"s","line":17}"#));
    }

    #[test]
    fn files_lose_lines_or_values_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let ann = "ann@example.com".to_owned();
        let before = "a\nkey ann@example.com and ann@example.com\njoann@example.com\n";
        std::fs::write(&path, before).unwrap();
        assert_eq!(masked(&path, &[&ann], false).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert_eq!(masked(&path, &[&ann], true).unwrap(), 1);
        let after = "a\nkey *** and ***\njoann@example.com\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        assert_eq!(without_lines(&path, &|line| line == "a", true).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after[2..]);
        assert_eq!(masked(&folder.path().join("none"), &[&ann], true).unwrap(), 0);
    }
}
