//! Infers the schema of JSON records.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::Kind;
use singer::quote::string_into;
use singer::scan::{Fault, Quoted, Scanner, Token};
use singer::schema::{PLAIN_VALUES, Types};

use crate::infer;

/// The columns of the records seen so far, in the order in which they came first.
///
/// A column has every JSON type that its values had; integers among numbers are numbers, and so
/// are integers beyond 64 bits. A column of several kinds is of any JSON, so that its values keep
/// their kinds: `1` and `"1"` are not the same. Strings have a `format` when all of them are a
/// date, a time or a date-time by the rules of [`crate::Inference`]. A column without a value is a
/// string, and says that it is a guess.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    columns: Vec<Seen>,
    by_name: BTreeMap<Vec<u8>, usize>,
    scratch: Vec<u8>,
    /// How many records there were.
    records: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    name: String,
    /// `"name":`
    key: Vec<u8>,
    types: Types,
    /// The temporal kinds that all strings have.
    temporal: u8,
    /// The number of the last record that has it.
    record: u64,
}

impl Shape {
    /// Takes a record into account. Fails when it is not a JSON object.
    pub fn see(&mut self, object: &[u8]) -> Result<(), Fault> {
        self.records += 1;
        let mut scanner = Scanner::new(object);
        scanner.space();
        let mut expected = 0;
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let predicted = self.columns.get(expected).is_some_and(|seen| scanner.take(&seen.key));
            let at = if predicted {
                scanner.space();
                expected
            } else {
                let key = scanner.key()?;
                self.find(key)
            };
            let value = scanner.value()?;
            self.columns[at].record = self.records;
            self.columns[at].take(value);
            expected = at + 1;
            more = scanner.more(b'}')?;
        }
        scanner.end()
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|seen| seen.name.as_str())
    }

    /// Tells whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name.as_bytes())
    }

    /// Tells whether the last record had a column.
    pub fn had_last(&self, name: &str) -> bool {
        let at = self.by_name.get(name.as_bytes());
        at.is_some_and(|at| self.columns[*at].record == self.records)
    }

    /// Returns how many columns there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Returns the schema of each column; all of them may be null.
    pub fn properties(&self) -> Map<String, Value> {
        self.columns.iter().map(|seen| (seen.name.clone(), seen.property())).collect()
    }

    /// Returns the names of the columns whose values are of several kinds, other than objects and
    /// arrays, which are JSON anyway.
    pub fn mixed(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|seen| seen.is_mixed()).map(|seen| seen.name.as_str())
    }

    fn find(&mut self, key: Quoted<'_>) -> usize {
        self.scratch.clear();
        key.unescape_into(&mut self.scratch);
        if let Some(at) = self.by_name.get(&self.scratch) {
            return *at;
        }
        let name = String::from_utf8_lossy(&self.scratch).into_owned();
        let mut key = Vec::new();
        string_into(name.as_bytes(), &mut key);
        key.push(b':');
        let at = self.columns.len();
        self.by_name.insert(self.scratch.clone(), at);
        let temporal = infer::TEMPORAL;
        self.columns.push(Seen { name, key, types: Types::NULL, temporal, record: 0 });
        at
    }
}

impl Seen {
    fn take(&mut self, value: Token<'_>) {
        let types = match value {
            Token::Null => return,
            Token::Boolean(_) => Types::BOOLEAN,
            Token::Integer(digits) if infer::fits_64_bits(digits) => Types::INTEGER,
            Token::Integer(_) | Token::Decimal(_) => Types::NUMBER,
            Token::String(text) => {
                if self.temporal != 0 {
                    self.temporal &= if text.plain { infer::temporal(text.raw) } else { 0 };
                }
                Types::STRING
            }
            Token::Object(_) => Types::OBJECT,
            Token::Array(_) => Types::ARRAY,
        };
        self.types = self.types.or(types);
    }

    fn is_mixed(&self) -> bool {
        let nested = Types::OBJECT.or(Types::ARRAY);
        let kinds = [Types::BOOLEAN, Types::NUMBER, Types::STRING, nested];
        kinds.into_iter().filter(|kind| self.types.meets(*kind)).count() > 1
    }

    fn property(&self) -> Value {
        const WORDS: [(Types, &str); 5] = [
            (Types::BOOLEAN, "boolean"),
            (Types::NUMBER, "number"),
            (Types::INTEGER, "integer"),
            (Types::OBJECT, "object"),
            (Types::ARRAY, "array"),
        ];
        if self.is_mixed() {
            let mut property = Kind::Json.property();
            if !self.types.meets(Types::OBJECT.or(Types::ARRAY)) {
                property[PLAIN_VALUES] = true.into();
            }
            return property;
        }
        let alone = self.types.without(Types::NULL);
        if alone == Types::STRING {
            return infer::temporal_kind(self.temporal).property();
        }
        if alone == Types::default() {
            return infer::no_values();
        }
        let number = self.types.has(Types::NUMBER);
        let words = WORDS.iter().filter(|(types, _)| self.types.has(*types));
        let words = words.map(|(_, word)| *word).filter(|word| !(number && *word == "integer"));
        json!({"type": words.chain(["null"]).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(records: &[&str]) -> String {
        let mut shape = Shape::default();
        for record in records {
            shape.see(record.as_bytes()).unwrap();
        }
        Value::Object(shape.properties()).to_string()
    }

    #[test]
    fn widens_to_all_that_came() {
        let check = |values: &[&str], expected: &str| {
            let records: Vec<String> =
                values.iter().map(|value| format!("{{ \"a\" : {value} }}")).collect();
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            assert_eq!(shape(&records), format!("{{\"a\":{expected}}}"), "{values:?}");
        };
        check(&["1", "null", "-2"], r#"{"type":["integer","null"]}"#);
        check(&["1", "1.50"], r#"{"type":["number","null"]}"#);
        check(&["1e5"], r#"{"type":["number","null"]}"#);
        check(&["9223372036854775808"], r#"{"type":["number","null"]}"#);
        check(&["true", "false"], r#"{"type":["boolean","null"]}"#);
        check(&["null"], r#"{"type":["string","null"],"x-no-values":true}"#);
        check(&["\"2024-02-29\""], r#"{"type":["string","null"],"format":"date"}"#);
        check(&["\"2024-02-29T00:00:00Z\""], r#"{"type":["string","null"],"format":"date-time"}"#);
        check(&["\"2024-02-29\"", "\"2024-02-29T00:00:00Z\""], r#"{"type":["string","null"]}"#);
        check(&["\"2024-02-29\"", "\"\""], r#"{"type":["string","null"]}"#);
        check(&["{\"b\":1}", "[]"], r#"{"type":["object","array","null"]}"#);
    }

    #[test]
    fn values_of_several_kinds_keep_them() {
        let any = r#"{"type":["object","array","string","number","boolean","null"]}"#;
        let plain = &any.replace('}', r#","x-plain-values":true}"#);
        for values in [
            ["\"1\"", "1"],
            ["1", "\"x\""],
            ["1", "true"],
            ["\"true\"", "true"],
            ["1.5", "{}"],
            ["[]", "\"2026-01-01\""],
            ["false", "[1]"],
        ] {
            let records = values.map(|value| format!("{{\"a\":{value},\"b\":1}}"));
            let mut seen = Shape::default();
            for record in &records {
                seen.see(record.as_bytes()).unwrap();
            }
            assert_eq!(seen.mixed().collect::<Vec<_>>(), ["a"], "{values:?}");
            let found = Value::Object(seen.properties()).to_string();
            // What has no object and no list can be a text elsewhere.
            let any = if values.concat().contains(['[', '{']) { any } else { plain };
            let expected = format!("{{\"a\":{any},\"b\":{{\"type\":[\"integer\",\"null\"]}}}}");
            assert_eq!(found, expected);
        }
        let mut seen = Shape::default();
        for record in ["{\"a\":1,\"b\":{}}", "{\"a\":2.5,\"b\":[]}", "{\"a\":null,\"b\":null}"] {
            seen.see(record.as_bytes()).unwrap();
        }
        assert_eq!(seen.mixed().count(), 0);
    }

    #[test]
    fn keeps_the_order_of_the_columns() {
        let integer = r#"{"type":["integer","null"]}"#;
        assert_eq!(
            shape(&[r#"{"b":1,"a":1}"#, r#"{"a":1,"\u0062":2,"é\"":3}"#, "{}"]),
            format!(r#"{{"b":{integer},"a":{integer},"é\"":{integer}}}"#)
        );
        assert!(Shape::default().see(b"[1]").is_err());
        assert!(Shape::default().see(b"{\"a\":1}x").is_err());
    }
}
