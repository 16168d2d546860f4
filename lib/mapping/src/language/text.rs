//! Methods of texts.

use std::borrow::Cow;
use std::rc::Rc;

use md5::{Digest as _, Md5};

use super::call::Method;
use super::fault::Fault;
use super::given::Given;
use super::letters::{self, is_space};
use super::size;
use super::value::{Value, Valued};
use super::weight;

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    singer::quote::hex(&Md5::digest(bytes))
}

/// Calls a method of a text.
pub(crate) fn call<'a>(text: &Cow<'a, str>, method: Method, mut given: Given<'a>) -> Valued<'a> {
    let found = match method {
        Method::Lower => Value::text(text.to_lowercase()),
        Method::Casefold => Value::text(letters::folded(text)),
        Method::Upper => Value::text(text.to_uppercase()),
        Method::Title => Value::text(letters::title(text)),
        Method::Capitalize => Value::text(letters::capitalized(text)),
        Method::SwapCase => Value::text(letters::swapped(text)),
        Method::Strip | Method::LStrip | Method::RStrip => {
            let chars = given.maybe_text("chars")?;
            stripped(text, method, chars.as_deref())
        }
        Method::Split | Method::RSplit => {
            let separator = given.maybe_text("sep")?;
            let most = given.maybe_index("maxsplit")?.unwrap_or(-1);
            split(text, separator.as_deref(), most, method == Method::RSplit)?
        }
        Method::SplitLines => {
            let lines = letters::lines(text);
            weight::list(lines.len())?;
            Value::list(lines.into_iter().map(|line| Value::text(line.to_owned())).collect())
        }
        Method::Partition | Method::RPartition => {
            partition(text, &given.text("sep")?, method == Method::RPartition)?
        }
        Method::Replace => {
            let (old, new) = (given.text("old")?, given.text("new")?);
            replaced(text, &old, &new, given.maybe_index("count")?)?
        }
        Method::ZFill => Value::text(zero_filled(text, given.index("width")?)?),
        Method::LJust | Method::RJust | Method::Center => {
            let width = given.index("width")?;
            let fill = given.maybe_text("fillchar")?.unwrap_or(Cow::Borrowed(" "));
            Value::text(justified(text, method, width, &fill)?)
        }
        Method::Join => joined(text, given.must("iterable")?)?,
        Method::Encode => {
            let encoding = given.maybe_text("encoding")?;
            let errors = given.maybe_text("errors")?;
            encoded(text, encoding.as_deref(), errors.as_deref())?
        }
        Method::IsDigit
        | Method::IsNumeric
        | Method::IsAlpha
        | Method::IsAlnum
        | Method::IsSpace
        | Method::IsLower
        | Method::IsDecimal
        | Method::IsTitle
        | Method::IsUpper => Value::Bool(letters::is(text, method)),
        _ => search(text, method, &mut given)?,
    };
    given.end()?;
    Ok(found)
}

/// Calls a method that looks for a part of a text.
fn search<'a>(text: &Cow<'a, str>, method: Method, given: &mut Given<'a>) -> Valued<'a> {
    Ok(match method {
        Method::StartsWith | Method::EndsWith => {
            let parts = given.must("prefix")?;
            let window = window(text, given)?;
            let fits = |part: &str| {
                window.is_some_and(|(_, text)| match method {
                    Method::StartsWith => text.starts_with(part),
                    _ => text.ends_with(part),
                })
            };
            Value::Bool(matches(&parts, &fits)?)
        }
        Method::RemovePrefix => {
            let prefix = given.text("prefix")?;
            Value::text(text.strip_prefix(&*prefix).unwrap_or(text).to_owned())
        }
        Method::RemoveSuffix => {
            let suffix = given.text("suffix")?;
            Value::text(text.strip_suffix(&*suffix).unwrap_or(text).to_owned())
        }
        Method::Count => {
            let part = given.text("sub")?;
            let count = window(text, given)?.map_or(0, |(_, text)| counted(text, &part));
            Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
        }
        Method::Find | Method::RFind | Method::Index => {
            let part = given.text("sub")?;
            let found = window(text, given)?.and_then(|(start, text)| {
                let at =
                    if method == Method::RFind { text.rfind(&*part) } else { text.find(&*part) };
                at.map(|at| start + at)
            });
            if found.is_none() && method == Method::Index {
                return Err(Fault::of("`index` does not find this text"));
            }
            place(text, found)
        }
        other => return Err(Fault::of(format!("str has no method `{}`", other.name()))),
    })
}

/// Returns the part of a text between two places, which may be given: where it starts, in bytes.
/// `None`: nothing lies between them.
fn window<'t>(text: &'t str, given: &mut Given<'_>) -> Result<Option<(usize, &'t str)>, Fault> {
    let (start, end) = (given.maybe_index("start")?, given.maybe_index("end")?);
    if start.is_none() && end.is_none() {
        return Ok(Some((0, text)));
    }
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let clipped = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let start = clipped(start.unwrap_or_default());
    let end = clipped(end.unwrap_or(length)).min(length);
    if start > end {
        return Ok(None);
    }
    let byte = |at: i64| {
        let nth = text.char_indices().nth(usize::try_from(at).unwrap_or(usize::MAX));
        nth.map_or(text.len(), |(at, _)| at)
    };
    let (start, end) = (byte(start), byte(end));
    Ok(Some((start, &text[start..end])))
}

fn stripped<'a>(text: &Cow<'a, str>, method: Method, chars: Option<&str>) -> Value<'a> {
    let strips = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let cut = |text: &str| -> (usize, usize) {
        let start = if method == Method::RStrip {
            0
        } else {
            text.len() - text.trim_start_matches(strips).len()
        };
        let rest = &text[start..];
        let end =
            if method == Method::LStrip { rest.len() } else { rest.trim_end_matches(strips).len() };
        (start, start + end)
    };
    let (start, end) = cut(text);
    part(text, start, end)
}

/// Returns a part of a text, borrowed where the text is.
pub(crate) fn part<'a>(text: &Cow<'a, str>, start: usize, end: usize) -> Value<'a> {
    match text {
        Cow::Borrowed(text) => Value::Text(Cow::Borrowed(&text[start..end])),
        Cow::Owned(text) => Value::text(text[start..end].to_owned()),
    }
}

fn split<'a>(
    text: &Cow<'a, str>,
    separator: Option<&str>,
    most: i64,
    from_end: bool,
) -> Valued<'a> {
    let most = usize::try_from(most).ok();
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    match separator {
        Some("") => return Err(Fault::of("`split` needs a separator that is not empty")),
        Some(separator) => {
            let mut found: Vec<usize> = if from_end {
                let all = text.rmatch_indices(separator).map(|(at, _)| at);
                all.take(most.unwrap_or(usize::MAX)).collect()
            } else {
                let all = text.match_indices(separator).map(|(at, _)| at);
                all.take(most.unwrap_or(usize::MAX)).collect()
            };
            found.sort_unstable();
            let mut start = 0;
            for at in found {
                ranges.push((start, at));
                start = at + separator.len();
            }
            ranges.push((start, text.len()));
        }
        None => words(text, most, from_end, &mut ranges),
    }
    weight::list(ranges.len())?;
    Ok(Value::list(ranges.into_iter().map(|(start, end)| part(text, start, end)).collect()))
}

/// Splits at white space.
fn words(text: &str, most: Option<usize>, from_end: bool, ranges: &mut Vec<(usize, usize)>) {
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (start, is_space(c)) {
            (Some(from), true) => {
                ranges.push((from, at));
                start = None;
            }
            (None, false) => start = Some(at),
            _ => {}
        }
    }
    ranges.extend(start.map(|from| (from, text.len())));
    let Some(most) = most.filter(|most| ranges.len() > *most) else { return };
    if from_end {
        let merged = ranges.len() - most;
        let end = ranges[merged - 1].1;
        // What is left stays as it is, with its white space.
        ranges.drain(..merged);
        ranges.insert(0, (0, end));
    } else {
        let start = ranges[most].0;
        ranges.truncate(most);
        ranges.push((start, text.len()));
    }
}

fn partition<'a>(text: &Cow<'a, str>, separator: &str, from_end: bool) -> Valued<'a> {
    if separator.is_empty() {
        return Err(Fault::of("`partition` needs a separator that is not empty"));
    }
    let found = if from_end { text.rfind(separator) } else { text.find(separator) };
    let parts = match found {
        Some(at) => {
            let behind = at + separator.len();
            vec![part(text, 0, at), part(text, at, behind), part(text, behind, text.len())]
        }
        None if from_end => vec![Value::text(""), Value::text(""), Value::Text(text.clone())],
        None => vec![Value::Text(text.clone()), Value::text(""), Value::text("")],
    };
    Ok(Value::Tuple(Rc::new(parts)))
}

fn replaced<'a>(text: &Cow<'a, str>, old: &str, new: &str, most: Option<i64>) -> Valued<'a> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let count = counted(text, old).min(most);
    if count == 0 {
        return Ok(Value::Text(text.clone()));
    }
    size::text(text.len().saturating_add(new.len().saturating_mul(count)))?;
    Ok(Value::text(text.replacen(old, new, count)))
}

/// Counts as Python does: an empty text stands between all characters and at both ends.
fn counted(text: &str, part: &str) -> usize {
    if part.is_empty() { text.chars().count() + 1 } else { text.matches(part).count() }
}

fn matches(parts: &Value<'_>, test: &dyn Fn(&str) -> bool) -> Result<bool, Fault> {
    match parts {
        Value::Text(part) => Ok(test(part)),
        Value::Tuple(parts) => {
            for part in parts.iter() {
                if matches(part, test)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Err(Fault::of(format!("a str or a tuple is expected, not {}", other.kind()))),
    }
}

/// Returns where something is, in characters.
fn place<'a>(text: &str, at: Option<usize>) -> Value<'a> {
    let count = at.map(|at| text[..at].chars().count());
    Value::Int(count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1))
}

/// Returns how many characters a text lacks.
fn missing(text: &str, width: i64) -> Result<usize, Fault> {
    let width = usize::try_from(width).unwrap_or_default();
    size::text(width.saturating_mul(size_of::<char>()))?;
    Ok(width.saturating_sub(text.chars().count()))
}

fn zero_filled(text: &str, width: i64) -> Result<String, Fault> {
    let zeros = "0".repeat(missing(text, width)?);
    Ok(match text.strip_prefix(['-', '+']) {
        Some(digits) => format!("{}{zeros}{digits}", &text[..1]),
        None => format!("{zeros}{text}"),
    })
}

fn justified(text: &str, method: Method, width: i64, fill: &str) -> Result<String, Fault> {
    if fill.chars().count() != 1 {
        return Err(Fault::of("one character is expected to fill with"));
    }
    let missing = missing(text, width)?;
    let left = match method {
        Method::LJust => 0,
        Method::RJust => missing,
        // As Python divides an odd number.
        _ => missing / 2 + (missing & usize::try_from(width).unwrap_or_default() & 1),
    };
    Ok(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)))
}

fn joined<'a>(separator: &str, parts: Value<'a>) -> Valued<'a> {
    let mut out = String::new();
    for (at, part) in parts.members()?.into_iter().enumerate() {
        let Value::Text(part) = part else {
            return Err(Fault::of(format!("`join` takes texts, not {}", part.kind())));
        };
        if at > 0 {
            out.push_str(separator);
        }
        size::text(out.len() + part.len())?;
        out.push_str(&part);
    }
    Ok(Value::text(out))
}

/// The encodings that there are.
fn limit(encoding: Option<&str>) -> Result<u32, Fault> {
    match encoding.unwrap_or("utf-8").to_ascii_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" => Ok(u32::MAX),
        "ascii" | "us-ascii" => Ok(0x7f),
        "latin-1" | "latin1" | "iso-8859-1" => Ok(0xff),
        _ => Err(Fault::of("this encoding is unknown: there are utf-8, ascii and latin-1")),
    }
}

fn encoded<'a>(text: &str, encoding: Option<&str>, errors: Option<&str>) -> Valued<'a> {
    let limit = limit(encoding)?;
    if limit == u32::MAX {
        return Ok(Value::Bytes(text.as_bytes().into()));
    }
    let mut out = Vec::new();
    for c in text.chars() {
        match (u8::try_from(u32::from(c)), errors) {
            (Ok(byte), _) if u32::from(c) <= limit => out.push(byte),
            (_, Some("ignore")) => {}
            (_, Some("replace")) => out.push(b'?'),
            _ => return Err(Fault::of("a character is not in this encoding")),
        }
    }
    Ok(Value::Bytes(out.into()))
}

/// Calls a method of bytes.
pub(crate) fn of_bytes<'a>(bytes: &[u8], method: Method, mut given: Given<'a>) -> Valued<'a> {
    let found = match method {
        Method::Hex => Value::text(singer::quote::hex(bytes)),
        Method::Decode => {
            let limit = limit(given.maybe_text("encoding")?.as_deref())?;
            let errors = given.maybe_text("errors")?;
            if limit == u32::MAX {
                match (std::str::from_utf8(bytes), errors.as_deref()) {
                    (Ok(text), _) => Value::text(text.to_owned()),
                    (Err(_), Some("replace")) => {
                        Value::text(String::from_utf8_lossy(bytes).into_owned())
                    }
                    (Err(_), _) => return Err(Fault::of("the bytes are not UTF-8")),
                }
            } else {
                let fits = |byte: &&u8| u32::from(**byte) <= limit;
                let kept: String =
                    bytes.iter().filter(fits).map(|byte| char::from(*byte)).collect();
                if kept.chars().count() != bytes.len() && errors.as_deref() != Some("ignore") {
                    return Err(Fault::of("a byte is not in this encoding"));
                }
                Value::text(kept)
            }
        }
        other => return Err(Fault::of(format!("bytes has no method `{}`", other.name()))),
    };
    given.end()?;
    Ok(found)
}
