//! Answers that tell of a failure, whatever their HTTP status. Pure.
//!
//! The rule: what stands around the records says whether an answer is one; what stands in a record
//! says nothing. A failure beside records is a warning, one without records a failure.

use http_client::failure::kind_of;
use serde_json::{Map, Value};
use singer::{Error, ErrorKind};

use crate::stream::StreamSpec;

/// What the failure is called.
pub const MESSAGE: &str = "the answer reports an error";

/// Members that hold a failure, unless they are empty, false or zero. Names are compared without
/// case and marks.
const ERRORS: [&str; 17] = [
    "error",
    "errors",
    "exception",
    "exceptions",
    "errorcode",
    "errcode",
    "errormessage",
    "errormessages",
    "errormsg",
    "errmsg",
    "errordescription",
    "errordetail",
    "errordetails",
    "errortype",
    "errorinfo",
    "odataerror",
    "errno",
];
/// Members that are false when the request failed.
const GOOD: [&str; 7] =
    ["success", "successful", "succeeded", "issuccess", "issuccessful", "ok", "isok"];
/// Members that are true when the request failed.
const BAD: [&str; 7] = ["failed", "failure", "iserror", "haserror", "haserrors", "isfault", "fail"];
/// Members whose word may say that the request failed.
const WORDS: [&str; 7] = ["status", "result", "state", "stat", "outcome", "responsestatus", "type"];
/// Members whose number may be a status of HTTP.
const CODES: [&str; 10] = [
    "code",
    "status",
    "statuscode",
    "httpstatus",
    "httpcode",
    "httpstatuscode",
    "responsecode",
    "returncode",
    "resultcode",
    "errorcode",
];
/// Members that say in words what happened.
const MESSAGES: [&str; 9] =
    ["message", "messages", "msg", "detail", "details", "title", "reason", "description", "info"];
/// Members that an answer about a failure has besides.
const BESIDE: [&str; 18] = [
    "timestamp",
    "time",
    "path",
    "requestid",
    "traceid",
    "correlationid",
    "id",
    "instance",
    "data",
    "jsonrpc",
    "version",
    "documentationurl",
    "helpurl",
    "moreinfo",
    "meta",
    "method",
    "extensions",
    "trace",
];
/// Members that hold what is said about the answer.
const AROUND: [&str; 12] = [
    "meta",
    "metadata",
    "status",
    "response",
    "result",
    "header",
    "head",
    "responseheader",
    "responsestatus",
    "envelope",
    "body",
    "outcome",
];
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
        let tells = tells_alone(spec, members) && look(members, None, DEPTH, &mut told);
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

/// Words of failures that pass.
const PASSING: &[&str] = &[
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many",
    "too_many",
    "toomany",
    "throttl",
    "over_query_limit",
    "slow down",
    "slowdown",
    "try again",
    "retry",
    "temporar",
    "unavailable",
    "timeout",
    "timed out",
    "overload",
    "busy",
    "internal server error",
    "internal_server_error",
    "server_error",
];
/// Words of failures that have to do with credentials or rights.
const REFUSING: &[&str] = &[
    "unauthor",
    "unauthenticated",
    "not authenticated",
    "forbidden",
    "denied",
    "permission",
    "credential",
    "invalid token",
    "invalid_token",
    "token expired",
    "invalid api key",
    "invalid_auth",
];
/// Words by which a text without records is a complaint.
const COMPLAINTS: &[&str] = &["error", "exception", "fail", "invalid", "expired", "exceeded"];

/// Tells whether an object that is a record, for want of another place, may be no record: it has
/// none of the stream's keys, or nothing but what answers about failures have.
fn tells_alone(spec: &StreamSpec, members: &Map<String, Value>) -> bool {
    let has = |key: &String| members.get(key).is_some_and(|value| !value.is_null());
    if !spec.keys.is_empty() {
        return !spec.keys.iter().all(has);
    }
    let is_error = |name: &str| is_one_of(&["error", "errors"], name);
    let only = members.keys().all(|name| is_beside(&plain(name)));
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

/// Tells whether a message is one of success, or of an end.
pub fn is_good(message: &str) -> bool {
    let words = message.to_lowercase();
    let good = ["success", "succe", "no record", "no data", "no result", "no more", "not found"];
    let is_word = |known: &str| words.split(|c: char| !c.is_alphanumeric()).any(|it| it == known);
    words.trim().is_empty()
        || good.iter().any(|word| words.contains(word))
        || ["ok", "empty", "end"].into_iter().any(is_word)
}

/// Finds the failure that an object tells of which is no record.
pub fn failure_of_alone(object: &[u8]) -> Option<Told> {
    let members: Map<String, Value> = serde_json::from_slice(object).ok()?;
    let mut told = Told::default();
    complains(&members, &mut told).then_some(told)
}

/// Tells whether an answer that lacks the place of the records says in words why.
fn complains(members: &Map<String, Value>, told: &mut Told) -> bool {
    let texts = members.iter().filter(|(name, _)| is_one_of(&MESSAGES, &plain(name)));
    let bad = texts.filter_map(|(_, value)| value.as_str()).find(|text| is_complaint(text));
    if let Some(text) = bad {
        told.say(text);
    }
    bad.is_some()
}

/// Tells whether a text has words of failures.
pub fn is_complaint(text: &str) -> bool {
    let words = text.to_lowercase();
    [PASSING, REFUSING, COMPLAINTS].iter().any(|all| all.iter().any(|part| words.contains(part)))
}

/// Tells whether a member of this name says in words what happened.
pub fn is_message(name: &str) -> bool {
    is_one_of(&MESSAGES, name) || name.ends_with("msg") || name.ends_with("message")
}

/// Tells whether the number of a member of this name is a status or a code.
pub fn is_code(name: &str) -> bool {
    is_one_of(&CODES, name) || ["ret", "retcode", "errcode", "rc"].contains(&name)
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

/// Tells whether an answer about a failure may have a member of this name.
fn is_beside(name: &str) -> bool {
    is_failing(name)
        || is_one_of(&CODES, name)
        || is_one_of(&WORDS, name)
        || is_one_of(&MESSAGES, name)
        || is_one_of(&BESIDE, name)
}

/// Returns a name without case and marks.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Tells whether a member of this name holds what is said about the answer.
pub fn is_around(name: &str) -> bool {
    AROUND.contains(&name) || name.ends_with("envelope") || name.ends_with("body")
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

fn is_failing(name: &str) -> bool {
    ERRORS.contains(&name)
        || name.ends_with("fault")
        || name == "faultstring"
        || name == "faultcode"
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

/// Tells whether a word in place of a status is one of failure.
fn is_bad(name: &str, word: &str) -> bool {
    let word = plain(word);
    if name == "type" {
        return word == "error" || word == "errorlist";
    }
    let bad = ["error", "fail", "exception", "fatal", "denied", "unauthor", "forbidden", "throttl"];
    let bad = bad.iter().chain(&["ratelimit", "overquerylimit", "invalidrequest", "unavailable"]);
    let whole = ["ko", "nok", "notok", "abort", "aborted", "timeout"];
    let good = ["noerror", "withouterror"].iter().any(|good| word.contains(good));
    !good && (bad.copied().any(|bad| word.contains(bad)) || whole.contains(&word.as_str()))
}
