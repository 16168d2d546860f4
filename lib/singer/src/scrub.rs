//! Takes secrets out of texts for people, also as a server or a library writes them again.
//!
//! The rule: a text from outside is scrubbed whole before any of it is cut off, and once more with
//! everything that this process writes for people.

mod readings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use self::readings::Readings;
use crate::secret::is_secret;

/// What stands in the place of a secret.
const MASK: &str = "***";
/// Texts shorter than this are left alone: they would be found everywhere.
const LENGTH_MIN: usize = 4;
/// A line of a longer secret, like a key, counts as a secret from this length on.
const LINE_MIN: usize = 16;
/// So many characters of a secret count, where they are half of it or more.
const PART_MIN: usize = 12;
/// The longest escape of a character, which a cut may have parted.
const ESCAPE_MAX: usize = 24;
/// So much more than is shown is looked at, for what scrubbing shortens.
const BEYOND: usize = 16 << 10;

/// The secrets that no output of this process may hold.
static KNOWN: RwLock<Scrubber> = RwLock::new(Scrubber::new());

/// Makes a secret known to everything that writes texts for people.
pub fn learn(secret: &str) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(secret);
}

/// Makes the secrets in an address known: its password, and values of its query.
pub fn learn_address(address: &str) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).add_address(address);
}

/// Makes the secrets of the environment known that are there for any program.
pub(crate) fn learn_environment() {
    for (name, value) in std::env::vars_os() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
        let is_place = value.starts_with(['/', '.', '~']);
        if name == "PGPASSWORD" || is_secret_name(name) && !is_place && value.len() >= 8 {
            learn(value);
        } else if value.contains("://") {
            learn_address(value);
        }
    }
}

/// Makes the secrets of settings known: what their schema marks, keys pasted in place of a path,
/// and passwords in addresses. A text that is also a setting to be shown is none.
pub(crate) fn learn_settings<'a>(settings: impl Iterator<Item = (&'a Value, &'a Value)>) {
    let (mut secrets, mut shown) = (Vec::new(), Vec::new());
    settings.for_each(|(value, schema)| part(value, schema, &mut secrets, &mut shown));
    for text in &shown {
        if text.contains("PRIVATE KEY") || is_lines_of_base64(text) {
            learn(text);
        } else if text.contains("://") {
            learn_address(text);
        }
    }
    for secret in secrets.into_iter().filter(|secret| !shown.contains(secret)) {
        learn(secret);
        learn_address(secret);
    }
}

/// Replaces every known secret in a text.
pub fn scrub(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).scrub(text)
}

/// Replaces every known secret in a text whose end was cut off, a part of one at its end included.
pub fn scrub_start(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).scrub_start(text)
}

/// Replaces every known secret in a text, and then cuts it to so many characters.
pub fn excerpt(text: &str, chars_max: usize) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).excerpt(text, chars_max)
}

/// Tells whether a variable, parameter or member of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let parts = ["password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey"];
    let parts = parts.iter().chain(&["privatekey", "credential", "signature"]);
    let whole = ["key", "pwd", "pass", "auth", "authorization", "sig", "code"];
    whole.contains(&name.as_str()) || parts.into_iter().any(|part| name.contains(part))
}

/// Finds secrets in texts.
#[derive(Debug, Default)]
pub struct Scrubber {
    patterns: Vec<Pattern>,
}

/// One form of a secret.
#[derive(PartialEq, Eq)]
struct Pattern {
    chars: Vec<char>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// What three bytes in a row make of it, and whether the characters before and behind it are
    /// made of a part of it.
    Base64 {
        before: bool,
        behind: bool,
    },
    Hex,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Scrubber {
    /// Starts without secrets.
    pub const fn new() -> Self {
        Self { patterns: Vec::new() }
    }

    /// Adds a secret, and each line of one that has several.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        let lines = secret.lines().map(str::trim);
        let long = |line: &&str| line.len() >= LINE_MIN && !line.starts_with("-----");
        let lines: Vec<&str> = lines.filter(|line| *line != secret).filter(long).collect();
        for text in std::iter::once(secret).chain(lines) {
            if text.len() >= LENGTH_MIN {
                self.add_forms(text);
            }
        }
    }

    /// Adds the password of an address, and the values of its query that are named like secrets.
    pub fn add_address(&mut self, address: &str) {
        for secret in secrets_of_address(address) {
            self.add(secret);
            self.add(&decoded(secret));
        }
    }

    fn add_forms(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        let text = Pattern { chars: secret.chars().collect(), form: Form::Text };
        let hex = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex = hex.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        let hex = Pattern { chars: hex, form: Form::Hex };
        let of_base64 = (0..3).map(|offset| base64(bytes, offset));
        for pattern in [text, hex].into_iter().chain(of_base64) {
            if pattern.chars.len() >= LENGTH_MIN && !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
    }

    /// Replaces every secret in a text.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.replace(text, false)
    }

    /// Replaces every secret in a text, and then cuts it to so many characters.
    pub fn excerpt<'a>(&self, text: &'a str, chars_max: usize) -> Cow<'a, str> {
        let mut looked = text.len().min(chars_max.saturating_mul(4).saturating_add(BEYOND));
        while !text.is_char_boundary(looked) {
            looked -= 1;
        }
        // A secret that lies across the end of what is looked at is known by its beginning.
        let scrubbed = self.replace(&text[..looked], looked < text.len());
        let end = scrubbed.char_indices().nth(chars_max).map(|(at, _)| at);
        match (end, looked < text.len()) {
            (None, false) => scrubbed,
            (end, _) => {
                let kept = end.unwrap_or(scrubbed.len());
                Cow::Owned(format!("{}...", &scrubbed[..kept]))
            }
        }
    }

    /// Replaces every secret in a text whose end was cut off, a part of one at its end included.
    pub fn scrub_start<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.replace(text, true)
    }

    fn replace<'a>(&self, text: &'a str, is_cut: bool) -> Cow<'a, str> {
        if self.patterns.is_empty() {
            return Cow::Borrowed(text);
        }
        let readings = Readings::new(text);
        let mut out = String::new();
        // What is copied so far, and where the secret at hand ends.
        let (mut copied, mut hidden) = (0, None::<usize>);
        for (at, _) in text.char_indices() {
            if hidden.is_some_and(|end| at > end) {
                copied = hidden.take().unwrap_or(copied);
            }
            let found = self.patterns.iter().filter_map(|one| one.find(&readings, at, is_cut));
            let Some((start, end)) = found.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
                continue;
            };
            if hidden.is_none() {
                out.push_str(&text[copied..start.max(copied)]);
                out.push_str(MASK);
            }
            hidden = hidden.max(Some(end));
        }
        if out.is_empty() {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[hidden.unwrap_or(copied)..]);
        Cow::Owned(out)
    }
}

impl Pattern {
    /// Finds the secret, or a good part of it, at a place of a text; returns where it begins and
    /// ends.
    fn find(&self, readings: &Readings<'_>, at: usize, is_cut: bool) -> Option<(usize, usize)> {
        let mut ends = vec![at];
        for (count, wanted) in self.chars.iter().enumerate() {
            let mut next = Vec::new();
            for &end in &ends {
                self.follow(readings, end, *wanted, &mut next);
            }
            if count + 1 < self.chars.len() {
                self.pass_over(readings, &mut next);
            }
            if next.is_empty() {
                let end = ends.iter().copied().max()?;
                let left = readings.text().len() - end;
                let cut = is_cut && left < ESCAPE_MAX && count >= LENGTH_MIN;
                let part = count >= PART_MIN && count * 2 >= self.chars.len();
                return (cut && may_go_on(readings, end) || part)
                    .then_some((at, if cut { readings.text().len() } else { end }));
            }
            ends = next;
        }
        let end = ends.into_iter().max()?;
        Some(self.with_neighbours(readings, at, end))
    }

    /// Reads one character of the form.
    fn follow(&self, readings: &Readings<'_>, at: usize, wanted: char, next: &mut Vec<usize>) {
        for (found, end) in readings.at(at) {
            if self.form.same(found, wanted) && !next.contains(&end) {
                next.push(end);
            }
        }
    }

    /// Reads the line breaks and marks that may stand behind a character of the form.
    fn pass_over(&self, readings: &Readings<'_>, ends: &mut Vec<usize>) {
        let mut looked = 0;
        while let Some(&at) = ends.get(looked) {
            let passed = readings.at(at).find(|(c, _)| self.form.passes_over(*c));
            ends.extend(passed.map(|(_, end)| end).filter(|end| !ends.contains(end)));
            looked += 1;
        }
    }

    /// Adds the characters of base64 beside a secret that a part of it went into.
    fn with_neighbours(&self, readings: &Readings<'_>, at: usize, end: usize) -> (usize, usize) {
        let Form::Base64 { before, behind } = self.form else { return (at, end) };
        let is_digit = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
        let last = readings.text()[..at].chars().next_back();
        let start = last.filter(|c| before && is_digit(*c)).map_or(at, |c| at - c.len_utf8());
        let digit = readings.at(end).find(|(c, _)| behind && is_digit(*c));
        let mut end = digit.map_or(end, |(_, end)| end);
        for _ in 0..2 {
            let padding = readings.at(end).find(|(c, _)| *c == '=');
            end = padding.map_or(end, |(_, end)| end);
        }
        (start, end)
    }
}

/// Tells whether the text ends where it cannot be seen how the secret goes on.
fn may_go_on(readings: &Readings<'_>, at: usize) -> bool {
    let rest = &readings.text()[at..];
    rest.is_empty() || rest.starts_with(['%', '&', '\\', '='])
}

impl Form {
    fn same(self, found: char, wanted: char) -> bool {
        match self {
            Self::Text => found == wanted,
            Self::Hex => found.eq_ignore_ascii_case(&wanted),
            Self::Base64 { .. } => {
                let other = match wanted {
                    '+' => "- ",
                    '/' => "_",
                    _ => "",
                };
                found == wanted || other.contains(found)
            }
        }
    }

    /// Long base64 is broken into lines, and hex is parted by marks.
    fn passes_over(self, c: char) -> bool {
        match self {
            Self::Text => false,
            Self::Base64 { .. } => matches!(c, '\r' | '\n'),
            Self::Hex => matches!(c, ' ' | ':' | '-' | '\r' | '\n'),
        }
    }
}

/// Returns what stands in base64 for bytes that begin at this offset of three, whatever is around
/// them.
fn base64(bytes: &[u8], offset: usize) -> Pattern {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let (first, last) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    let byte = |at: usize| usize::from(padded.get(at).copied().unwrap_or(0));
    let digit = |at: usize| {
        let (index, shift) = (at * 6 / 8, at * 6 % 8);
        let two = byte(index) << 8 | byte(index + 1);
        char::from(DIGITS[(two >> (10 - shift)) & 63])
    };
    let form = Form::Base64 { before: offset > 0, behind: !padded.len().is_multiple_of(3) };
    Pattern { chars: (first..last).map(digit).collect(), form }
}

/// Sorts the texts of a setting into secrets and others, as its schema marks them.
fn part<'a>(
    value: &'a Value,
    schema: &Value,
    secrets: &mut Vec<&'a str>,
    shown: &mut Vec<&'a str>,
) {
    let branches = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array());
    let branches: Vec<&Value> = branches.flatten().filter(|one| one["type"] != "null").collect();
    match (value, &branches[..]) {
        (Value::String(text), _) if is_secret(schema) && !is_place(text) => secrets.push(text),
        (Value::String(text), _) => shown.push(text),
        (Value::Object(_) | Value::Array(_), [first, ..]) => {
            let of_kind = |one: &&&Value| one["type"] == "object" || one["type"] == "array";
            part(value, branches.iter().find(of_kind).unwrap_or(first), secrets, shown);
        }
        (Value::Array(elements), _) => {
            for one in elements {
                part(one, &schema["items"], secrets, shown);
            }
        }
        (Value::Object(members), _) => {
            for (name, one) in members {
                let known = schema["properties"].get(name);
                let of_name = known.unwrap_or(&schema["additionalProperties"]);
                part(one, of_name, secrets, shown);
            }
        }
        _ => {}
    }
}

/// Tells whether a secret setting names a file that is there, whose path people need to know.
fn is_place(text: &str) -> bool {
    text.contains('/') && !text.contains('\n') && std::path::Path::new(text).is_file()
}

/// Tells whether a text is the inside of a key in PEM, without the lines around it.
fn is_lines_of_base64(text: &str) -> bool {
    let mut lines = text.trim().lines();
    let digits = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let long = |line: &str| line.trim().len() >= 40 && line.trim().chars().all(digits);
    lines.next().is_some_and(long) && lines.next().is_some()
}

/// Returns what is secret in an address, as it stands there.
fn secrets_of_address(address: &str) -> Vec<&str> {
    let address = address.trim();
    let Some((_, rest)) = address.split_once("://") else { return Vec::new() };
    let (rest, _) = rest.split_once('#').unwrap_or((rest, ""));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority_end = place.find('/').unwrap_or(place.len());
    // A password that is not encoded may have slashes.
    let user_end = place[..authority_end].rfind('@').or_else(|| place.rfind('@'));
    let login = user_end.and_then(|end| place[..end].split_once(':'));
    // What is shown as the user is no secret.
    let password = login.filter(|(user, password)| user != password).map(|(_, text)| text);
    let values = query.split('&').filter_map(|pair| pair.split_once('='));
    let secret = |(name, value): &(&str, &str)| is_secret_name(name) && value.len() >= LENGTH_MIN;
    password.into_iter().chain(values.filter(secret).map(|(_, value)| value)).collect()
}

/// Undoes percent encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
