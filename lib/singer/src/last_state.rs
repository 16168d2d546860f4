//! The last state that a target received: its text, and what it says of one stream.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::mapper::COMBINED;
use crate::target::FILLED_SINCE;

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

    /// Returns the state with the places in its bookmarks that have the rows of these streams, each
    /// with the stream of the tap that it came of; `None` where it names them already. What came of
    /// several streams is said by all bookmarks that no other stream has.
    pub(crate) fn with_places<'a>(
        &self,
        streams: impl Iterator<Item = (&'a str, &'a str)>,
        place: &mut dyn FnMut(&str) -> Result<Option<String>>,
    ) -> Result<Option<String>> {
        let mut state = self.value().clone();
        let Some(bookmarks) = state.get_mut("bookmarks").and_then(Value::as_object_mut) else {
            return Ok(None);
        };
        let mut places: BTreeMap<&str, Vec<(&str, Option<String>)>> = BTreeMap::new();
        for (of_tap, name) in streams {
            if of_tap == COMBINED || bookmarks.contains_key(of_tap) {
                places.entry(of_tap).or_default().push((name, place(name)?));
            }
        }
        let united = places.remove(COMBINED).map(said);
        let own: BTreeMap<&str, Option<Value>> =
            places.into_iter().map(|(of_tap, all)| (of_tap, said(all))).collect();
        let mut changed = false;
        for (name, bookmark) in bookmarks.iter_mut() {
            let place = own.get(name.as_str()).or(united.as_ref());
            if let (Some(place), Some(bookmark)) = (place, bookmark.as_object_mut())
                && bookmark.get(FILLED_SINCE) != place.as_ref()
            {
                changed = true;
                match place {
                    Some(place) => drop(bookmark.insert(FILLED_SINCE.to_owned(), place.clone())),
                    None => drop(bookmark.shift_remove(FILLED_SINCE)),
                }
            }
        }
        Ok(changed.then(|| state.to_string()))
    }

    fn value(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(&self.text).unwrap_or_default())
    }
}

/// Returns what a bookmark says of the places of one stream, or of several by their names.
fn said(mut all: Vec<(&str, Option<String>)>) -> Option<Value> {
    if all.len() == 1 {
        return all.pop()?.1.map(Value::String);
    }
    let known = all.into_iter().filter_map(|(name, place)| Some((name.to_owned(), place?.into())));
    Some(Value::Object(known.collect()))
        .filter(|all| all.as_object().is_some_and(|all| !all.is_empty()))
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
    fn bookmarks_name_the_places_of_their_rows() {
        let check = |state: &str, expected: Option<&str>| {
            let streams = ["a", "b", "c"].map(|name| (name, name));
            let mut place = |name: &str| Ok((name != "b").then(|| format!("{name} now")));
            let state = LastState::new(state.to_owned());
            let marked = state.with_places(streams.into_iter(), &mut place).unwrap();
            assert_eq!(marked.as_deref(), expected, "{}", state.text());
        };
        check(
            r#"{"bookmarks":{"d":{"n":1.50},"a":{"n":2.50},"b":{"filled_since":"x","n":1}}}"#,
            Some(concat!(
                r#"{"bookmarks":{"d":{"n":1.50},"#,
                r#""a":{"n":2.50,"filled_since":"a now"},"b":{"n":1}}}"#
            )),
        );
        for state in [
            r#"{"bookmarks":{"c":{"filled_since":"c now"},"b":{},"a":7}}"#,
            r#"{"bookmarks":{}}"#,
            r#"{"bookmarks":7}"#,
            "7",
            "{",
        ] {
            check(state, None);
        }
    }

    #[test]
    fn bookmarks_of_the_tap_name_the_places_of_what_was_made_of_them() {
        let check = |streams: &[(&str, &str)], expected: &str| {
            let mut place = |name: &str| Ok((name != "none").then(|| format!("{name} now")));
            let state = r#"{"bookmarks":{"a":{"n":1},"b":{"n":2}}}"#.to_owned();
            let marked = LastState::new(state).with_places(streams.iter().copied(), &mut place);
            let marked: Value = serde_json::from_str(&marked.unwrap().unwrap()).unwrap();
            let found = ["a", "b"].map(|name| marked["bookmarks"][name][FILLED_SINCE].to_string());
            assert_eq!(found.join(" "), expected, "{streams:?}");
        };
        check(&[("a", "renamed"), ("x", "y")], r#""renamed now" null"#);
        check(&[("a", "a"), ("a", "copy")], r#"{"a":"a now","copy":"copy now"} null"#);
        check(&[("a", "none"), ("a", "copy")], r#"{"copy":"copy now"} null"#);
        check(&[(COMBINED, "all")], r#""all now" "all now""#);
        check(&[(COMBINED, "all"), ("b", "b")], r#""all now" "b now""#);
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
