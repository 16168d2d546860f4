//! The last state that a target received: its text, and what it says of one stream.

use std::cell::OnceCell;

use serde_json::{Map, Value};

/// A state. It is read once, however many streams ask what it says of them.
#[derive(Debug)]
pub(crate) struct LastState {
    text: String,
    value: OnceCell<Value>,
}

impl LastState {
    pub(crate) fn new(text: String) -> Self {
        Self { text, value: OnceCell::new() }
    }

    /// Returns the state as it was received.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the state without the bookmarks of other streams. With all of them in it, what is
    /// kept of many streams would grow with the square of their number.
    pub(crate) fn of_stream(&self, stream: &str) -> Value {
        let Some(state) = self.value().as_object() else { return self.value().clone() };
        let part = |(name, member): (&String, &Value)| match member.as_object() {
            Some(bookmarks) if name == "bookmarks" => {
                let own = bookmarks.get_key_value(stream);
                let own: Map<_, _> =
                    own.map(|(name, mark)| (name.clone(), mark.clone())).into_iter().collect();
                (name.clone(), Value::Object(own))
            }
            _ => (name.clone(), member.clone()),
        };
        Value::Object(state.iter().map(part).collect())
    }

    /// Returns the bookmark of a stream; null where it has none.
    pub(crate) fn bookmark(&self, stream: &str) -> &Value {
        &self.value()["bookmarks"][stream]
    }

    fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_its_own_bookmark_alone() {
        let check = |state: &str, expected: &str| {
            let part = LastState::new(state.to_owned()).of_stream("a-b");
            assert_eq!(part.to_string(), expected, "{state}");
        };
        check(
            r#"{"bookmarks":{"x":{"v":1},"a-b":{"v":2.50},"a":3},"currently_syncing":"x"}"#,
            r#"{"bookmarks":{"a-b":{"v":2.50}},"currently_syncing":"x"}"#,
        );
        check(r#"{"other":[1],"bookmarks":{"x":7}}"#, r#"{"other":[1],"bookmarks":{}}"#);
        // What other programs keep in a form of their own stays as it is.
        check(r#"{"a-b":"2026-01-01"}"#, r#"{"a-b":"2026-01-01"}"#);
        check(r#"{"bookmarks":["x"]}"#, r#"{"bookmarks":["x"]}"#);
        check("7", "7");
        check("null", "null");
    }

    #[test]
    fn thousands_of_streams_read_a_state_once() {
        let marks: Map<String, Value> =
            (0..20_000).map(|at| (format!("s{at}"), Value::from("v".repeat(50)))).collect();
        let state = LastState::new(serde_json::json!({ "bookmarks": marks }).to_string());
        let start = std::time::Instant::now();
        let bytes: usize = marks.keys().map(|name| state.of_stream(name).to_string().len()).sum();
        assert!(bytes < 20_000 * 100, "{bytes} bytes");
        // Reading it each time would take minutes.
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
