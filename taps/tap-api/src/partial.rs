//! Answers that say that they are incomplete. Pure.
//!
//! The rule: what stands around the records may say that they are not all, by words that are not
//! about further pages. Such an answer is none, with or without records: later ones have the rest.

use serde_json::{Map, Value};
use singer::{Error, ErrorKind};

use crate::stream::StreamSpec;
use crate::told::{is_around, is_yes, plain};

/// What such an answer is called.
pub const MESSAGE: &str = "the answer says that it is incomplete";

/// Members that are true then. Names are compared without case and marks.
const YES: [&str; 17] = [
    "timedout",
    "partial",
    "ispartial",
    "partialresult",
    "partialresults",
    "ispartialresult",
    "haspartialresults",
    "partialdata",
    "partialresponse",
    "incomplete",
    "isincomplete",
    "incompleteresult",
    "incompleteresults",
    "incompletedata",
    "resultincomplete",
    "resultsincomplete",
    "odataincomplete",
];
/// Members that are false then.
const NO: [&str; 2] = ["jobcomplete", "querycomplete"];
/// Members that count the parts that were asked.
const PARTS: [&str; 2] = ["shards", "clusters"];
/// Members there that count those without an answer.
const MISSING: [&str; 2] = ["failed", "partial"];
const DEPTH: u8 = 2;

/// Returns the place at which an answer says that it is incomplete.
pub fn place_in(spec: &StreamSpec, envelope: &Value) -> Option<String> {
    // What is a record says nothing about the answer.
    if spec.records.is_root() {
        return None;
    }
    let mut names = spec.records.names().peekable();
    let (mut at, mut place) = (envelope.as_object(), "$".to_owned());
    while let (Some(members), Some(name)) = (at, names.next()) {
        if let Some(found) = look(members, &place, name, DEPTH) {
            return Some(found);
        }
        at = names.peek().and_then(|_| members.get(name)?.as_object());
        place = format!("{place}.{name}");
    }
    None
}

fn look(members: &Map<String, Value>, place: &str, skip: &str, depth: u8) -> Option<String> {
    members.iter().filter(|(name, _)| *name != skip).find_map(|(name, value)| {
        let at = format!("{place}.{name}");
        let name = plain(name);
        let lacks = YES.contains(&name.as_str()) && is_yes(value)
            || NO.contains(&name.as_str()) && *value == Value::Bool(false);
        if lacks {
            return Some(at);
        }
        let inner = value.as_object()?;
        if PARTS.contains(&name.as_str()) {
            let missing = |(name, count): &(&String, &Value)| {
                MISSING.contains(&plain(name).as_str()) && count.as_u64().is_some_and(|n| n > 0)
            };
            return inner.iter().find(missing).map(|(name, _)| format!("{at}.{name}"));
        }
        let goes_on = depth > 0 && is_around(&name);
        goes_on.then(|| look(inner, &at, "", depth - 1)).flatten()
    })
}

/// Makes a failure of it.
pub fn failure(place: &str) -> Error {
    Error::new(ErrorKind::Temporary, MESSAGE).with("member", place).hint(
        "run again later, or request less at once (`window_days`, `params`, `inputs`); if the \
         answer is correct, set `error_in_answer: warn`",
    )
}
