//! Values in texts: in lines of rejects, in logs, in records and states.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde_json::Value;
use singer::{Error, ErrorKind, Result};
use unicode_normalization::UnicodeNormalization as _;

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

/// Tells whether two texts differ only in letter case, in spaces at their ends, or in how their
/// letters are composed: `ë` may be one character or two.
pub(super) fn is_alike(value: &str, text: &str) -> bool {
    if value == text {
        return false;
    }
    let (value, text) = (value.trim(), text.trim());
    if value.is_ascii() && text.is_ascii() {
        return value.eq_ignore_ascii_case(text);
    }
    let plain = |text: &str| text.nfkc().collect::<String>().to_lowercase();
    plain(value) == plain(text)
}

/// Returns the id of the key by which a value was protected, if it looks like a hash or a token.
pub(super) fn key_id(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("h_").or_else(|| text.strip_prefix("t_"))?;
    let (id, body) = rest.split_once('_')?;
    let is_id = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_body = if text.starts_with("h_") {
        body.len() == 64 && body.bytes().all(|byte| byte.is_ascii_hexdigit())
    } else {
        // A nonce of 16 bytes is before the value.
        body.len() >= 22
    };
    (is_id && is_body).then_some(id)
}

/// Tells whether two texts show one number.
pub(super) fn same_number(one: &str, other: &str) -> bool {
    /// Returns its sign, its digits, and the power of ten of the last one.
    fn normal(text: &str) -> Option<(bool, String, i64)> {
        let (is_negative, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, power) = match number.split_once(['e', 'E']) {
            Some((number, power)) => (number, power.parse::<i32>().ok()?),
            None => (number, 0),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{part}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let last = i64::from(power) - i64::try_from(part.len()).ok()?;
        let short = digits.trim_end_matches('0');
        let cut = i64::try_from(digits.len() - short.len()).ok()?;
        match short.trim_start_matches('0') {
            "" => Some((false, String::new(), 0)),
            digits => Some((is_negative, digits.to_owned(), last + cut)),
        }
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
            // In CSV, quotes within a value are doubled.
            let is_in = |value: &String| holds(text, value) || holds(text, &doubled(value));
            values.iter().any(|value| is_findable(value) && is_in(value))
        }
        _ => reject.get("key").is_some_and(|key| {
            let key = shown(key);
            values.iter().any(|value| key == *value || is_findable(value) && holds(&key, value))
        }),
    }
}

fn doubled(value: &str) -> String {
    value.replace('"', "\"\"")
}

/// Counts the lines of a file that are meant, and removes them if that is asked for. The file is
/// replaced as one step, and never while a plugin writes it: its later lines would be lost.
///
/// # Errors
/// `Temporary` while a plugin has the file open, and those of reading and replacing it.
pub(super) fn without_lines(
    path: &Path,
    is_meant: &dyn Fn(&str) -> bool,
    apply: bool,
) -> Result<u64> {
    let _lock = if apply { lock(path)? } else { None };
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

/// Keeps plugins from writing to a file, which hold a shared lock while they do. Where the disk has
/// no locks, there is none.
fn lock(path: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Temporary,
            "cannot remove lines from a file of rejects: a run is writing it",
        )
        .with("path", path.display())
        .hint("wait until the run has ended, then run it again")),
        Err(TryLockError::Error(_)) => Ok(None),
    }
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
        assert!(is_alike("Zo\u{eb}", "zoe\u{308}") && !is_alike("Zo\u{eb}", "zoe"));
        assert!(
            same_number("1e3", "1000.0") && same_number("10e-1", "1") && same_number("0e9", "0")
        );
        assert!(!same_number("1e3", "100") && !same_number("e3", "e3") && !same_number("1-", "1-"));
        let hash = format!("h_0a1b2c3d_{}", "0".repeat(64));
        assert_eq!(key_id(&hash), Some("0a1b2c3d"));
        assert_eq!(key_id("h_0a1b2c3d_00"), None);
        assert_eq!(key_id("t_0a1b2c3d_abcdefghijklmnopqrstuvw"), Some("0a1b2c3d"));
        assert_eq!(key_id("t_shirt_abcdefghijklmnopqrstuvw"), None);
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
        let quoted = BTreeSet::from([r#"O"Brien, Ann"#.to_owned()]);
        let line = r#"{"stream":"s","record":"9,\"O\"\"Brien, Ann\""}"#;
        assert!(is_of(line, "s", "name", &quoted));
        assert!(is(r#"{"stream":"s","key":"17"}"#));
        assert!(!is(r#"{"stream":"s","line":17}"#));
    }

    #[test]
    fn a_file_that_is_being_written_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let mut writer = singer::own_file::append_lines(&path).unwrap();
        std::io::Write::write_all(&mut writer, b"a\nb\n").unwrap();
        let failure = without_lines(&path, &|line| line == "a", true).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Temporary);
        assert_eq!(without_lines(&path, &|line| line == "a", false).unwrap(), 1);
        drop(writer);
        assert_eq!(without_lines(&path, &|line| line == "a", true).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "b\n");
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
