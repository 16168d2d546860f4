//! Bookmarks of streams that go no further: nobody has their rows, so they stay as they were.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::catalog::Stream;

/// The streams of the tap of which nothing is passed on, as maps or contracts want it.
#[derive(Debug, Default)]
pub(crate) struct HeldBack {
    /// Each with its bookmark from before the run, where the tap says it, or else null.
    removed: BTreeMap<String, Value>,
    /// Those of which something is passed on.
    passed: BTreeSet<String>,
}

impl HeldBack {
    /// Takes note of a stream that has come, and of whether something comes of it.
    pub(crate) fn note(&mut self, stream: &Stream, is_passed: bool) {
        let of_tap = stream.of_tap();
        if is_passed {
            self.removed.remove(of_tap);
            self.passed.insert(of_tap.to_owned());
        } else if !self.passed.contains(of_tap) && !self.removed.contains_key(of_tap) {
            let before = stream.coverage.bookmark().cloned().unwrap_or_default();
            self.removed.insert(of_tap.to_owned(), before);
            tracing::info!(
                "stream {}: nothing of it is passed on, and its bookmark stays as it is",
                crate::error::printable(of_tap)
            );
        }
    }

    /// Returns the state with the bookmarks from before.
    pub(crate) fn in_state(&self, text: String) -> String {
        if self.removed.is_empty() {
            return text;
        }
        let Ok(mut state) = serde_json::from_str::<Value>(&text) else { return text };
        let Some(bookmarks) = state.get_mut("bookmarks").and_then(Value::as_object_mut) else {
            return text;
        };
        for (name, before) in &self.removed {
            match (before, bookmarks.get_mut(name)) {
                (Value::Null, _) => drop(bookmarks.shift_remove(name)),
                (before, Some(bookmark)) => bookmark.clone_from(before),
                (_, None) => {}
            }
        }
        state.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::coverage::Coverage;

    fn stream(name: &str, of_tap: &str, coverage: Coverage) -> Stream {
        let mut stream = Stream::new(name, Map::new(), Vec::new());
        stream.source_stream = Some(of_tap.to_owned());
        stream.coverage = coverage;
        stream
    }

    #[test]
    fn what_goes_no_further_keeps_its_bookmark() {
        let before = Coverage::since(&json!({ "n": 1 }));
        let streams = [
            (stream("a", "a", before.clone()), false),
            (stream("b", "b", Coverage::Whole), false),
            (stream("c", "c", before.clone()), true),
            // One of two copies goes on.
            (stream("d1", "d", before.clone()), true),
            (stream("d2", "d", before.clone()), false),
            (stream("e", "e", before), false),
        ];
        let mut held = HeldBack::default();
        let check = |held: &HeldBack, state: &str, expected: &str| {
            assert_eq!(held.in_state(state.to_owned()), expected);
        };
        let now = r#"{"bookmarks":{"a":{"n":5.0},"b":{"n":5},"c":{"n":5},"d":{"n":5}},"x":1}"#;
        check(&held, now, now);
        for (stream, is_passed) in streams.iter().chain(streams.iter().rev()) {
            held.note(stream, *is_passed);
        }
        let then = r#"{"bookmarks":{"a":{"n":1},"c":{"n":5},"d":{"n":5}},"x":1}"#;
        check(&held, now, then);
        for other in ["null", "{", r#"{"a":5}"#, r#"{"bookmarks":[]}"#] {
            check(&held, other, other);
        }
    }
}
