//! State: bookmarks per stream, written in the SDK's shape; the pipelinewise shape is read too.

use serde_json::{Map, Value, json};

use crate::catalog::{ReplicationMethod, Stream};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::future::{is_dated, moment};
use crate::schema::{Column, Kind};
use crate::word;

/// Where a stream was left by an earlier run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bookmark {
    /// The stream's bookmark object, null when there is none.
    pub value: Value,
    /// Where an INCREMENTAL read starts (`>=`), as text: the bookmark's `replication_key_value`,
    /// else `start_date`; `None` reads everything, null keys included.
    pub start: Option<String>,
}

impl Bookmark {
    /// Reads the bookmark of a stream, or of one of its parts.
    pub fn read(value: Value, stream: &Stream, start_date: Option<&str>) -> Self {
        let mut start = None;
        if stream.replication_method == ReplicationMethod::Incremental {
            let key = stream.replication_key.as_deref();
            // A bookmark of another key, as after a change of the catalog, does not count.
            let same = value["replication_key"].as_str().is_none_or(|name| Some(name) == key);
            let mark = &value["replication_key_value"];
            let column = key.and_then(|key| stream.column(key)).map(|at| &stream.columns[at]);
            if same && other_type(&value, column).is_none() {
                start = match mark {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(digits) => Some(digits.to_string()),
                    _ => None,
                };
            }
            if column.is_some_and(may_be_endless) {
                start = start.filter(|text| !is_endless(text.as_bytes()));
            }
            if let Some(date) = start_date.filter(|_| column.is_some_and(is_dated))
                && start.as_deref().is_none_or(|mark| is_before(mark, date))
            {
                start = Some(date.to_owned());
            }
        }
        Self { value, start }
    }

    /// Says why a bookmark that is there is not used for a replication key, in words; `column` is
    /// that of the key, where there is one.
    pub fn unused(&self, key: &str, column: Option<&Column>) -> Option<String> {
        let value = self.value.as_object()?;
        let of_key = value.get("replication_key").and_then(Value::as_str);
        if let Some(other) = of_key.filter(|other| *other != key) {
            return Some(format!(
                "it belongs to `{other}`, but the replication key is now `{key}`"
            ));
        }
        if let Some((was, is)) = other_type(&self.value, column) {
            return Some(format!("the type of `{key}` was {was} and is now {is}"));
        }
        match value.get("replication_key_value") {
            Some(Value::String(_) | Value::Number(_)) => None,
            Some(Value::Null) | None if !value.contains_key(key) => None,
            Some(_) => Some("its `replication_key_value` is neither a string nor a number".into()),
            None => Some("it has no `replication_key_value`".into()),
        }
    }

    /// Says why a bookmark without a key is not used, though a state of the Singer SDK has another
    /// way to say where the stream was left; `by_parts` for a tap that reads the one of parts.
    pub(crate) fn unread(&self, stream: &Stream, by_parts: bool) -> Option<String> {
        let is_there = |name: &str| self.value.get(name).is_some_and(|value| !value.is_null());
        let is_used = is_there("replication_key_value");
        if is_used || stream.replication_method != ReplicationMethod::Incremental {
            return None;
        }
        if !by_parts && !parts(&self.value).is_empty() {
            return Some("it has only `partitions`, and the stream is read as a whole".into());
        }
        let unfinished = ["progress_markers", "starting_replication_value"];
        unfinished.into_iter().find(|name| is_there(name)).map(|name| {
            format!("it has `{name}`, but no `replication_key_value`: its run did not end well")
        })
    }

    /// Tells whether the start is the key that an earlier run came to.
    pub fn is_of_state(&self) -> bool {
        let mark = match &self.value["replication_key_value"] {
            Value::String(text) => text.clone(),
            Value::Number(digits) => digits.to_string(),
            _ => return false,
        };
        self.start.as_ref() == Some(&mark)
    }
}

/// The state of a tap's run.
#[derive(Clone, Debug)]
pub struct State(Map<String, Value>);

impl State {
    /// Starts without bookmarks.
    pub fn empty() -> Self {
        Self(Map::new())
    }

    /// Reads a state file: the value, or the value wrapped as a STATE message or as Meltano's
    /// `singer_state`.
    pub fn from_slice(text: &[u8]) -> Result<Self> {
        let broken = || {
            Error::new(ErrorKind::Config, "the state is not an object")
                .hint("give --state the last line that the target printed: {\"bookmarks\": {...}}")
        };
        let value: Value = serde_json::from_slice(text)
            .or_kind(ErrorKind::Config, "cannot read the state")
            .map_err(|failure| {
                let what = if text.is_empty() { "the file is empty; " } else { "" };
                failure.hint(format!(
                    "{what}give --state the last line that the target printed; without --state a \
                     run reads everything"
                ))
            })?;
        let Value::Object(mut value) = value else {
            return if value.is_null() { Ok(Self::empty()) } else { Err(broken()) };
        };
        for wrapper in ["completed", "value", "singer_state"] {
            if !value.contains_key("bookmarks")
                && let Some(Value::Object(inner)) = value.get_mut(wrapper)
            {
                value = std::mem::take(inner);
            }
        }
        if value.get("bookmarks").is_some_and(|bookmarks| !bookmarks.is_object()) {
            return Err(broken().with("member", "bookmarks"));
        }
        // Some other file would have everything read again, and nobody would know.
        if !value.is_empty()
            && !["bookmarks", "currently_syncing"].iter().any(|word| value.contains_key(*word))
        {
            let names = value.keys().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::new(ErrorKind::Config, "the state has no bookmarks")
                .with("members", names)
                .hint(
                    "give --state the last line that the target printed: {\"bookmarks\": {...}}; \
                     without --state a run reads everything",
                ));
        }
        // As a target that does not know it has kept it.
        value.shift_remove(word::RUN);
        Ok(Self(value))
    }

    /// Returns the stream an earlier run was cut short in.
    pub fn currently_syncing(&self) -> Option<&str> {
        self.0.get("currently_syncing").and_then(Value::as_str)
    }

    /// Sets the stream being read; `None` stays in the state as null, so that a store which merges
    /// states clears it.
    pub fn set_currently_syncing(&mut self, stream: Option<&str>) {
        self.0.insert("currently_syncing".to_owned(), stream.into());
    }

    /// Returns where to read a stream from.
    pub fn bookmark(&self, stream: &Stream, start_date: Option<&str>) -> Bookmark {
        let bookmarks = self.0.get("bookmarks");
        let value = bookmarks.and_then(|all| all.get(&stream.id)).cloned().unwrap_or_default();
        Bookmark::read(value, stream, start_date)
    }

    /// Sets a stream's bookmark.
    pub fn set_bookmark(&mut self, stream: &str, value: Value) {
        let bookmarks = self.0.entry("bookmarks").or_insert_with(|| Value::Object(Map::new()));
        if let Some(bookmarks) = bookmarks.as_object_mut() {
            bookmarks.insert(stream.to_owned(), value);
        }
    }

    /// Returns the state without a run.
    pub fn to_json(&self) -> Value {
        let mut value = self.0.clone();
        value.entry("bookmarks").or_insert_with(|| Value::Object(Map::new()));
        Value::Object(value)
    }
}

/// Makes the bookmark of an INCREMENTAL stream from a key, as text. A number with a fraction stays
/// text where a double would change it: who keeps states reads numbers as doubles, and behind a
/// bookmark that is a little higher rows would be lost.
pub fn key_bookmark(key: &str, kind: Kind, text: &str) -> Value {
    let number = match kind {
        Kind::Integer => serde_json::from_str::<Value>(text).ok(),
        Kind::Number if keeps_double(text) => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    };
    let value = number.unwrap_or_else(|| text.into());
    json!({ "replication_key": key, "replication_key_value": value })
}

/// Returns the bookmarks of the parts that a stream is read in, as the Singer SDK writes them.
pub fn parts(bookmark: &Value) -> &[Value] {
    bookmark.get("partitions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The member of a bookmark that names the type of its key in the SQL source.
pub(crate) const KEY_TYPE: &str = "replication_key_type";

/// Returns the types that the key of a bookmark had and has, where they order values, or spell
/// them, in ways of their own.
fn other_type<'a>(bookmark: &'a Value, column: Option<&'a Column>) -> Option<(&'a str, &'a str)> {
    let (was, is) = (bookmark[KEY_TYPE].as_str()?, column?.sql_datatype()?);
    (ordered_as(was) != ordered_as(is)).then_some((was, is))
}

/// Returns a name that types of one order share: without their modifiers.
fn ordered_as(sql: &str) -> String {
    let plain = match (sql.find('('), sql.find(')')) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &sql[..start], &sql[end + 1..]),
        _ => sql.to_owned(),
    };
    match plain.as_str() {
        "smallint" | "integer" | "bigint" => "integer".to_owned(),
        "character varying" | "character" | "text" => "text".to_owned(),
        _ => plain,
    }
}

/// Tells whether values of a column may be infinite, or no number.
pub fn may_be_endless(column: &Column) -> bool {
    column.kind == Kind::Number || is_dated(column)
}

/// Tells whether a value of such a column is infinite, or no number.
pub fn is_endless(text: &[u8]) -> bool {
    matches!(text, b"infinity" | b"-infinity" | b"Infinity" | b"-Infinity" | b"NaN")
}

/// Reads the setting `start_date`: a date, or a time, which is of UTC unless it has an offset.
/// Without text there is none.
///
/// Fails with `Config`.
pub fn start_date(text: &str) -> Result<Option<jiff::Timestamp>> {
    if text.is_empty() {
        return Ok(None);
    }
    moment(text).map(|(at, _)| Some(at)).ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot read the date")
            .with("setting", "start_date")
            .with("value", text)
            .hint("write it as YYYY-MM-DD or as RFC 3339")
    })
}

/// Tells whether a double keeps a number: whole numbers are read as such.
fn keeps_double(number: &str) -> bool {
    const DIGITS_KEPT: usize = 15;
    let whole =
        number.strip_prefix('-').unwrap_or(number).bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    let double = number.parse::<f64>().unwrap_or(f64::INFINITY);
    let normal = double == 0.0 || double.is_normal();
    whole || normal && (digits.count() <= DIGITS_KEPT || double.to_string() == number)
}

/// Compares two moments where both can be read; else the bookmark wins.
fn is_before(mark: &str, date: &str) -> bool {
    matches!((moment(mark), moment(date)), (Some((mark, _)), Some((date, _))) if mark < date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(kind: &str) -> Stream {
        let schema = format!(r#"{{"properties":{{"k":{kind}}}}}"#);
        let mut stream = Stream::new("s", serde_json::from_str(&schema).unwrap(), Vec::new());
        stream.replication_method = ReplicationMethod::Incremental;
        stream.replication_key = Some("k".to_owned());
        stream
    }

    #[test]
    fn what_has_no_bookmarks_is_no_state() {
        for text in ["{}", "null", r#"{"currently_syncing": null}"#, r#"{"singer_state": {}}"#] {
            assert!(State::from_slice(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [r#"{"streams": []}"#, r#"{"value": {"host": "h"}}"#, "[]", "1"] {
            let refused = State::from_slice(text.as_bytes()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Config, "{text}");
        }
    }

    #[test]
    fn a_number_that_no_double_keeps_is_a_bookmark_of_text() {
        let check = |kind, text: &str, as_number: bool| {
            let mark = key_bookmark("k", kind, text)["replication_key_value"].take();
            assert_eq!(mark.is_number(), as_number, "{text}");
            let seen = mark.as_str().map_or_else(|| mark.to_string(), str::to_owned);
            assert_eq!(seen, text);
        };
        for kept in ["1.5", "-0.1", "0.30000000000000004", "123456789.123456", "0.00", "1e+20"] {
            check(Kind::Number, kept, true);
        }
        for whole in ["9223372036854775807", "-123456789012345678901234567890"] {
            check(Kind::Number, whole, true);
            check(Kind::Integer, whole, true);
        }
        let digits = "123456789012345678.12345678901234567891";
        for changed in [digits, "0.1000000000000000055", "1e+400", "1e-310", "12345678901.1234567"]
        {
            check(Kind::Number, changed, false);
        }
    }

    #[test]
    fn a_bookmark_that_is_not_used_is_told() {
        let check = |value: Value, told: Option<&str>| {
            let seen = Bookmark { value, start: None }.unused("k", None);
            assert_eq!(seen.is_some(), told.is_some(), "{seen:?}");
            assert!(told.is_none_or(|part| seen.unwrap_or_default().contains(part)));
        };
        check(json!(null), None);
        check(json!({}), None);
        check(json!({ "replication_key": "k", "replication_key_value": 7 }), None);
        check(json!({ "replication_key": "k", "replication_key_value": null }), None);
        check(json!({ "last_replication_method": "FULL_TABLE", "version": 1 }), None);
        check(json!({ "replication_key": "j", "replication_key_value": 7 }), Some("`j`"));
        check(json!({ "replication_key_value": true }), Some("neither"));
        check(json!({ "replication_key_value": { "k": 7 } }), Some("neither"));
        check(json!({ "k": 7 }), Some("no `replication_key_value`"));
    }

    #[test]
    fn a_bookmark_is_of_the_type_that_its_key_had() {
        let check = |was: &str, is: &str, used| {
            let state = json!({ "bookmarks": { "s": {
                "replication_key": "k", "replication_key_value": "7", KEY_TYPE: was,
            } } });
            let state = State::from_slice(state.to_string().as_bytes()).unwrap();
            let schema = json!({ "type": "string", "x-sql-datatype": is }).to_string();
            let stream = stream(&schema);
            let bookmark = state.bookmark(&stream, None);
            assert_eq!(bookmark.start.is_some(), used, "{was} {is}");
            let told = bookmark.unused("k", stream.columns.first());
            assert_eq!(told.is_none(), used, "{was} {is}: {told:?}");
        };
        check("integer", "bigint", true);
        check("character varying(9)", "text", true);
        check("timestamp(3) without time zone", "timestamp without time zone", true);
        check("timestamp(3) without time zone", "timestamp(3) with time zone", false);
        check("integer", "text", false);
        check("bigint", "numeric(10,1)", false);
        check("date", "timestamp without time zone", false);
    }

    #[test]
    fn reads_the_shapes_of_both_families_and_wrapped_ones() {
        let date = r#"{"type":"string","format":"date-time"}"#;
        let check = |state: &str, kind: &str, start_date, expected: Option<&str>| {
            let state = State::from_slice(state.as_bytes()).unwrap();
            let start = state.bookmark(&stream(kind), start_date).start;
            assert_eq!(start.as_deref(), expected);
        };
        let sdk = r#"{"bookmarks":{"s":{"replication_key":"k","replication_key_value":7}}}"#;
        check(sdk, r#"{"type":"integer"}"#, None, Some("7"));
        check(&format!(r#"{{"type":"STATE","value":{sdk}}}"#), "{}", None, Some("7"));
        check(&format!(r#"{{"singer_state":{sdk}}}"#), "{}", None, Some("7"));
        check(&format!(r#"{{"completed":{{"singer_state":{sdk}}}}}"#), "{}", None, Some("7"));
        let other = r#"{"bookmarks":{"s":{"replication_key":"old","replication_key_value":7}}}"#;
        check(other, "{}", None, None);
        let pipelinewise = r#"{"bookmarks":{"s":{"last_replication_method":"INCREMENTAL",
            "replication_key":"k","replication_key_value":"2021-01-02T00:00:00Z","version":1}},
            "currently_syncing":null}"#;
        check(pipelinewise, date, Some("2020-01-01"), Some("2021-01-02T00:00:00Z"));
        check(pipelinewise, date, Some("2022-01-01"), Some("2022-01-01"));
        check("{}", date, Some("2022-01-01"), Some("2022-01-01"));
        check("null", date, None, None);
        let text = r#"{"type":"string","x-sql-datatype":"timestamp without time zone"}"#;
        check("{}", text, Some("2022-01-01"), Some("2022-01-01"));
        let printed = r#"{"bookmarks":{"s":{"replication_key_value":"2022-03-04 05:06:07"}}}"#;
        check(printed, text, Some("2022-03-04T05:00:00Z"), Some("2022-03-04 05:06:07"));
        check(printed, text, Some("2022-03-05"), Some("2022-03-05"));
        check("{}", r#"{"type":"string"}"#, Some("2022-01-01"), None);
        for (kind, key, expected) in [
            (date, "\"infinity\"", None),
            (r#"{"type":"number"}"#, "\"NaN\"", None),
            (r#"{"type":"string"}"#, "\"NaN\"", Some("NaN")),
        ] {
            let state = format!(r#"{{"bookmarks":{{"s":{{"replication_key_value":{key}}}}}}}"#);
            check(&state, kind, None, expected);
        }
    }
}
