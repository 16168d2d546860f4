//! Answers that tell of a failure, whatever their HTTP status. Pure.
//!
//! The rule: what stands around the records says whether an answer is one; what stands in a record
//! says nothing. A failure beside records is a warning, one without records a failure.

mod words;

use http_client::failure::kind_of;
use serde_json::{Map, Value};
use singer::{Error, ErrorKind};

use self::words::{
    BAD, CODES, GOOD, MESSAGES, PASSING, REFUSING, WORDS, is_bad, is_beside, is_failing, is_one_of,
};
pub use self::words::{is_around, is_code, is_complaint, is_good, is_message, plain};
use crate::stream::StreamSpec;

/// What the failure is called.
pub const MESSAGE: &str = "the answer reports an error";

/// So deep lies a fault in the bodies of envelopes.
const DEPTH: u8 = 3;
const WORDS_BYTES: usize = 2000;
/// A longer line is a record.
const LINE_BYTES: usize = 16 << 10;

/// A failure that an answer tells of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The status of HTTP that it names.
    pub status: Option<u16>,
    /// Its words.
    pub words: String,
}

/// What is known of the records of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// How many there are besides an answer that is itself one.
    pub count: u64,
    /// Their place is there.
    pub found: bool,
}

/// Finds the failure that an answer tells of in what stands around its records.
pub fn failure_of(spec: &StreamSpec, envelope: &Value, records: Records) -> Option<Told> {
    let mut told = Told::default();
    let members = envelope.as_object()?;
    if spec.records.is_root() {
        let tells = tells_alone(spec, members)
            && (look(members, None, DEPTH, &mut told) || regrets(members, &mut told));
        return tells.then_some(told);
    }
    let mut names = spec.records.names().peekable();
    let mut at = Some(members);
    let mut found = false;
    while let (Some(members), Some(name)) = (at, names.next()) {
        found |= look(members, Some(name), DEPTH, &mut told);
        if records.count == 0 {
            found |= is_coded(members, &mut told);
            found |= !records.found && complains(members, &mut told);
        }
        at = names.peek().and_then(|_| members.get(name)?.as_object());
    }
    found.then_some(told)
}

impl Told {
    /// Returns what kind of failure it is: by its status, else by its words.
    fn kind(&self) -> ErrorKind {
        if let Some(status) = self.status {
            return kind_of(status);
        }
        let words = self.words.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if has(PASSING) {
            ErrorKind::Temporary
        } else if has(REFUSING) {
            ErrorKind::Denied
        } else {
            ErrorKind::Data
        }
    }

    /// Turns it into a failure of ours.
    pub fn failure(&self) -> Error {
        let kind = self.kind();
        let hint = match kind {
            ErrorKind::Temporary => "run again later, or set `requests_per_second`",
            ErrorKind::Denied => {
                "check `auth_method`, the settings that it needs, and the rights of the user"
            }
            _ => "check `path`, `params` and `body` against the answer",
        };
        let failure = Error::new(kind, MESSAGE);
        let failure = match self.status {
            Some(status) => failure.with("status in the answer", status),
            None => failure,
        };
        failure.hint(format!("{hint}; if the answer is correct, set `error_in_answer: warn`"))
    }
}

/// Tells whether an object that is a record, for want of another place, may be no record: it has
/// none of the stream's keys, or nothing but what answers about failures have.
fn tells_alone(spec: &StreamSpec, members: &Map<String, Value>) -> bool {
    let has = |key: &String| members.get(key).is_some_and(|value| !value.is_null());
    if !spec.keys.is_empty() {
        return !spec.keys.iter().all(has);
    }
    let is_error = |name: &str| is_one_of(&["error", "errors"], name);
    let only = is_about_itself(members);
    // Where the path says that the answer is a record, it is one.
    let asked_for = spec.records.to_string() == "$";
    !asked_for
        && (only || spec.records_by_default && members.keys().any(|name| is_error(&plain(name))))
}

/// Finds the failure that the last line of an answer of lines tells of, in place of a record: it
/// has nothing but what answers about failures have, and the line before it does not.
pub fn failure_of_line(spec: &StreamSpec, line: &[u8], before: &[u8]) -> Option<Told> {
    let complaint = |line: &[u8]| {
        let members: Map<String, Value> = serde_json::from_slice(line).ok()?;
        let names = || members.keys().map(|name| plain(name));
        let has_key = spec.keys.iter().any(|key| members.contains_key(key));
        let tells = !has_key && names().all(|name| is_beside(&name));
        let fails = members.iter().any(|(name, value)| is_failing(&plain(name)) && is_set(value));
        (tells && fails).then_some(members)
    };
    if line.len() > LINE_BYTES || complaint(before).is_some() {
        return None;
    }
    let mut told = Told::default();
    look(&complaint(line)?, None, DEPTH, &mut told).then_some(told)
}

/// Looks at the members of an object around the records; tells whether one is a failure.
fn look(members: &Map<String, Value>, skip: Option<&str>, depth: u8, told: &mut Told) -> bool {
    let mut found = false;
    for (name, value) in members.iter().filter(|(name, _)| Some(name.as_str()) != skip) {
        let name = plain(name);
        let fails = is_failing(&name) && is_set(value)
            || is_one_of(&GOOD, &name) && is_no(value)
            || is_one_of(&BAD, &name) && is_yes(value)
            || is_one_of(&CODES, &name) && status_of(value).is_some()
            || is_one_of(&WORDS, &name) && value.as_str().is_some_and(|word| is_bad(&name, word));
        if fails {
            note(&name, value, 4, told);
        }
        found |= fails;
        if let (Some(inner), true) = (value.as_object(), is_around(&name) && depth > 0) {
            found |= look(inner, None, depth - 1, told);
        }
    }
    if found {
        for (name, value) in members.iter().filter(|(name, _)| Some(name.as_str()) != skip) {
            let name = plain(name);
            if is_one_of(&MESSAGES, &name) || is_one_of(&CODES, &name) {
                note(&name, value, 1, told);
            }
        }
    }
    found
}

/// Tells whether an answer without records has a code of its own that is none of success, and a
/// message.
fn is_coded(members: &Map<String, Value>, told: &mut Told) -> bool {
    let member = |names: &[&str]| {
        members.iter().find(|(name, _)| names.contains(&plain(name).as_str())).map(|(_, v)| v)
    };
    let Some(code) = member(&["code", "errcode", "retcode", "returncode", "resultcode"]) else {
        return false;
    };
    let Some(message) = member(&["message", "msg"]).and_then(Value::as_str) else { return false };
    let is_failure = is_failed(code) && !is_good(message);
    if is_failure {
        told.say(message);
    }
    is_failure
}

/// Tells whether a code of an API's own is none of success.
pub fn is_failed(code: &Value) -> bool {
    let number = code.as_i64().or_else(|| code.as_str()?.parse().ok());
    number.is_some_and(|number| !matches!(number, 0 | 1 | 100..=299))
}

/// Finds the failure that an object tells of which is no record.
pub fn failure_of_alone(object: &[u8]) -> Option<Told> {
    let members: Map<String, Value> = serde_json::from_slice(object).ok()?;
    let mut told = Told::default();
    complains(&members, &mut told).then_some(told)
}

/// Tells whether all members of an answer are about the answer. What has an id may be a thing that
/// failed.
fn is_about_itself(members: &Map<String, Value>) -> bool {
    let has_id = members.contains_key("id");
    members.iter().all(|(name, value)| {
        let name = plain(name);
        let is_verdict = is_one_of(&GOOD, &name) || is_one_of(&BAD, &name);
        is_beside(&name) || is_verdict && !has_id || is_around(&name) && value.is_object()
    })
}

/// Tells whether an answer that has nothing but what is about itself says in words that there is
/// no record in it.
fn regrets(members: &Map<String, Value>, told: &mut Told) -> bool {
    if !is_about_itself(members) {
        return false;
    }
    let is_none = |text: &str| text.to_lowercase().contains("not found");
    let texts = members.iter().filter(|(name, _)| is_message(&plain(name)));
    if let Some(text) = texts.filter_map(|(_, value)| value.as_str()).find(|text| is_none(text)) {
        told.say(text);
        return true;
    }
    complains(members, told)
}

/// Tells whether an answer that lacks the place of the records says in words why.
fn complains(members: &Map<String, Value>, told: &mut Told) -> bool {
    let texts = members.iter().filter(|(name, _)| is_message(&plain(name)));
    let bad = texts.filter_map(|(_, value)| value.as_str()).find(|text| is_complaint(text));
    if let Some(text) = bad {
        told.say(text);
    }
    bad.is_some()
}

impl Told {
    pub fn say(&mut self, text: &str) {
        if self.words.len() + text.len() < WORDS_BYTES && !self.words.contains(text) {
            if !self.words.is_empty() {
                self.words.push_str("; ");
            }
            self.words.push_str(text);
        }
    }
}

/// Keeps the statuses and words of a value.
fn note(name: &str, value: &Value, depth: u8, told: &mut Told) {
    if is_one_of(&CODES, name)
        && let Some(status) = status_of(value)
    {
        // The one that passes counts.
        let passes = |status: u16| kind_of(status) == ErrorKind::Temporary;
        if told.status.is_none_or(|known| passes(status) && !passes(known)) {
            told.status = Some(status);
        }
        return;
    }
    match value {
        Value::String(text) => told.say(text),
        Value::Array(values) if depth > 0 => {
            for value in values {
                note("", value, depth - 1, told);
            }
        }
        Value::Object(members) if depth > 0 => {
            for (name, value) in members {
                note(&plain(name), value, depth - 1, told);
            }
        }
        _ => {}
    }
}

/// Tells whether a member that holds failures has one.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => {
            number.as_f64().is_none_or(|number| number != 0.0 && !(200.0..300.0).contains(&number))
        }
        Value::String(text) => {
            let none = ["", "0", "200", "false", "no", "none", "null", "ok", "success", "no error"];
            let none = none.iter().chain(&["noerror", "no_error", "n/a", "-"]);
            !none.copied().any(|none| text.trim().eq_ignore_ascii_case(none))
        }
        Value::Array(values) => values.iter().any(is_set),
        Value::Object(members) => {
            let code = members.iter().find(|(name, _)| is_one_of(&CODES, &plain(name)));
            let is_good = code.is_some_and(|(_, code)| !code.is_null() && !is_set(code));
            !is_good && members.iter().any(|(name, value)| is_set(value) || says(name, value))
        }
    }
}

/// Tells whether a member is a message that says something: `no` is an answer, not the lack of one.
fn says(name: &str, value: &Value) -> bool {
    let no = value.as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case("no"));
    no && is_message(&plain(name))
}

/// Tells whether a member says no.
pub fn is_no(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => !yes,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => {
            ["false", "no", "0", "n"].iter().any(|no| text.trim().eq_ignore_ascii_case(no))
        }
        _ => false,
    }
}

/// Tells whether a member says yes.
pub fn is_yes(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::String(text) => {
            ["true", "yes", "1", "y"].iter().any(|yes| text.trim().eq_ignore_ascii_case(yes))
        }
        _ => false,
    }
}

/// Returns a status of HTTP that says that a request failed.
fn status_of(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.and_then(|number| u16::try_from(number).ok()).filter(|n| (400..600).contains(n))
}
