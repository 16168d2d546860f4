//! What a state or a SCHEMA says of the stream that is being read, and which run says it.
//!
//! A stream is complete by the word of the run that began it: a run of ours names itself where it
//! names a stream, and says so when it has ended. When another run speaks before that,
//! the first one was cut off. Programs that name no run are all one.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use serde_json::{Value, json};

use crate::scan::{Fault, Scanner, Token};

/// The member of a state or a SCHEMA with the run's name. It stands beside the name of a stream
/// alone, and no target prints it: what is kept between runs does not have it.
pub(crate) const RUN: &str = "syncing_run";

/// The member of it that says that rows of the stream named before were left out.
pub(crate) const LEFT_OUT: &str = "left_out";

/// What a state says in `currently_syncing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Syncing {
    /// This stream is being read.
    Stream(String),
    /// None is.
    Nothing,
}

/// What a state says of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// `None` when it says nothing of that.
    pub syncing: Option<Syncing>,
    /// Which run says it; `None` when it has no name.
    pub run: Option<String>,
    /// The run has read all that it is to read.
    pub ended: bool,
    /// Streams that it has read, and of which it wrote nothing.
    pub unchanged: Vec<String>,
    /// Rows were left out of the stream that was named before, such as rejects.
    pub left_out: bool,
    /// It comes through a mapper: the streams that come of those that it names have other names.
    pub mapped: bool,
}

impl Word {
    /// Reads it from a state, and appends the state without the name of the run to `rest`.
    pub(crate) fn read(state: &[u8], rest: &mut Vec<u8>) -> Self {
        let start = rest.len();
        rest.extend_from_slice(state);
        let mut word = Self::default();
        if let Ok(Some((from, to))) = word.members(state) {
            rest.drain(start + from..start + to);
        }
        word
    }

    /// Reads it from the member of the SCHEMA of this stream; `None` when it names no run.
    pub(crate) fn of_schema(stream: &str, member: &[u8]) -> Option<Self> {
        let syncing = Some(Syncing::Stream(stream.to_owned()));
        let mut word = Self { syncing, ..Self::default() };
        word.run_of(member);
        word.run.is_some().then_some(word)
    }

    /// Returns the member by which the run names itself behind a mapper. Streams of which nothing
    /// came have names that no target knows there.
    pub(crate) fn mapped_member(&self) -> Option<Value> {
        let mut member = run_member(self.run.as_deref()?, self.ended, &[]);
        if self.left_out {
            member[LEFT_OUT] = true.into();
        }
        member["mapped"] = true.into();
        Some(member)
    }

    fn run_of(&mut self, member: &[u8]) {
        let run: Value = serde_json::from_slice(member).unwrap_or_default();
        self.run = run["id"].as_str().map(str::to_owned);
        self.ended = run["ended"] == true;
        self.left_out = run[LEFT_OUT] == true;
        self.mapped = run["mapped"] == true;
        let unchanged = run["unchanged"].as_array().into_iter().flatten();
        self.unchanged = unchanged.filter_map(Value::as_str).map(str::to_owned).collect();
    }

    /// Reads the members; returns where the name of the run stands, with one comma.
    fn members(&mut self, state: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
        let mut scanner = Scanner::new(state);
        let mut more = scanner.open(b'{', b'}')?;
        let mut before = None;
        let mut place = None;
        while more {
            let start = scanner.at();
            let key = scanner.key()?;
            let member = scanner.value()?;
            let end = scanner.at();
            more = scanner.more(b'}')?;
            if key.raw == b"currently_syncing" {
                self.syncing = Some(match member {
                    Token::String(name) => {
                        let mut text = Vec::new();
                        name.unescape_into(&mut text);
                        Syncing::Stream(String::from_utf8_lossy(&text).into_owned())
                    }
                    _ => Syncing::Nothing,
                });
            } else if key.raw == RUN.as_bytes()
                && let Token::Object(nested) = member
            {
                self.run_of(nested.text);
                place = match before {
                    _ if more => Some((start, scanner.at())),
                    Some(before) => Some((before, end)),
                    None => Some((start, end)),
                };
            }
            before = Some(end);
        }
        Ok(place)
    }
}

/// Returns a name that no other run has.
pub(crate) fn new_run() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Returns a state with the name of its run, as a mapper passes it on.
pub(crate) fn with_run(state: &str, word: &Word) -> String {
    let member = word.mapped_member();
    match (member, state.trim_start().strip_prefix('{')) {
        (Some(member), Some(rest)) => {
            let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
            format!("{{\"{RUN}\":{member}{comma}{rest}")
        }
        _ => state.to_owned(),
    }
}

/// Returns the member by which a run names itself.
pub(crate) fn run_member(run: &str, ended: bool, unchanged: &[String]) -> Value {
    let mut member = json!({ "id": run });
    if ended {
        member["ended"] = true.into();
    }
    if !unchanged.is_empty() {
        member["unchanged"] = unchanged.into();
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_run_is_read_and_left_out() {
        let check = |state: &str, expected: (Option<&str>, Option<&str>, bool), rest: &str| {
            let mut out = b"before ".to_vec();
            let word = Word::read(state.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("before {rest}"), "{state}");
            let stream = match &word.syncing {
                Some(Syncing::Stream(name)) => Some(name.as_str()),
                Some(Syncing::Nothing) => Some(""),
                None => None,
            };
            assert_eq!((stream, word.run.as_deref(), word.ended), expected, "{state}");
        };
        let run = r#""syncing_run":{"id":"r"}"#;
        let named = (Some("a"), Some("r"), false);
        check(
            &format!(r#"{{"bookmarks":{{}},"currently_syncing":"a",{run}}}"#),
            named,
            r#"{"bookmarks":{},"currently_syncing":"a"}"#,
        );
        check(
            &format!(r#"{{ {run} , "currently_syncing": "\u0061" }}"#),
            named,
            r#"{ "currently_syncing": "\u0061" }"#,
        );
        check(
            &format!(r#"{{"x": 1.0, {run}, "currently_syncing":"a"}}"#),
            named,
            r#"{"x": 1.0, "currently_syncing":"a"}"#,
        );
        check(&format!("{{{run}}}"), (None, Some("r"), false), "{}");
        check(r#"{"syncing_run":{"id":"r","ended":true}}"#, (None, Some("r"), true), "{}");
        // Somebody else's member of that name is none of ours.
        for state in [r#"{"syncing_run":7,"currently_syncing":null}"#, "7", "{", r#"{"a":}"#] {
            let syncing = state.contains("null").then_some("");
            check(state, (syncing, None, false), state);
        }
    }

    #[test]
    fn runs_have_names_of_their_own() {
        assert_ne!(new_run(), new_run());
    }
}
