//! Records as rows: with the columns of their input or parent, flat or with the record beside.

use std::sync::OnceLock;

use disk::Sum;
use files::json::Flatten;
use serde_json::Value;
use singer::quote::string_into;
use singer::scan::{Fault, Quoted, Scanner, Token};
use singer::{Column, Error, ErrorKind, Result};

use crate::template::{self, Fills};

/// The column of the record as it came.
pub const RAW: &str = "_sdc_raw_json";

/// What a stream is read for: an input, or keys of a parent.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Names and values.
    pub members: Vec<(String, Value)>,
    /// `"name":value` of each.
    texts: Vec<Vec<u8>>,
}

/// Why no row can be made of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It is no JSON object.
    Fault(Fault),
    /// It has another value than its context in the member of this position.
    Differs(usize),
}

impl From<Fault> for Unusable {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Context {
    /// Takes the members.
    pub fn new(members: Vec<(String, Value)>) -> Self {
        let text = |(name, value): &(String, Value)| {
            let mut text = Vec::new();
            string_into(name.as_bytes(), &mut text);
            text.push(b':');
            text.extend_from_slice(value.to_string().as_bytes());
            text
        };
        Self { texts: members.iter().map(text).collect(), members }
    }

    /// Returns how much memory the context takes, about.
    pub fn bytes(&self) -> usize {
        let texts = self.texts.iter().map(|text| 2 * text.len() + 64);
        64 + texts.sum::<usize>()
    }

    /// Returns a sum that tells these values from others.
    pub fn sum(&self) -> [u8; 32] {
        let mut sum = Sum::default();
        for text in &self.texts {
            // The texts are JSON, so that a line break parts them.
            sum.add(text);
            sum.add(b"\n");
        }
        sum.bytes()
    }

    /// Returns what placeholders stand for.
    pub fn fills(&self) -> Fills {
        self.members.iter().cloned().collect()
    }
}

/// So much of what streams are read for is kept in memory.
const CONTEXT_BYTES_MAX: usize = 1 << 30;

/// Refuses more contexts than can be kept.
pub fn check_parents(bytes: usize) -> Result<()> {
    if bytes <= CONTEXT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "there are more parents than the tap can keep")
        .with("limit in bytes", CONTEXT_BYTES_MAX)
        .hint("check whether the pages of the parent come to an end, or request fewer records"))
}

/// Takes members out of a row, in the order of their names; `None` for what it does not have.
pub fn members(row: &[u8], names: &[&str]) -> Result<Vec<Option<Value>>, Fault> {
    let mut found = vec![None; names.len()];
    let mut scanner = Scanner::new(row);
    let mut scratch = Vec::new();
    let mut more = scanner.open(b'{', b'}')?;
    while more {
        let key = scanner.key()?;
        let name = text_of(key, &mut scratch);
        let start = scanner.at();
        scanner.value()?;
        for (at, _) in names.iter().enumerate().filter(|(_, wanted)| wanted.as_bytes() == name) {
            found[at] = serde_json::from_slice(&row[start..scanner.at()]).ok();
        }
        more = scanner.more(b'}')?;
    }
    Ok(found)
}

/// How rows are made of records.
#[derive(Clone, Debug, Default)]
pub struct RowRules {
    /// Depth and separator of flattening.
    pub flatten: Option<(usize, String)>,
    /// Columns that stay nested.
    pub except: Vec<String>,
    /// Adds the record as it came.
    pub raw: bool,
    /// The replication key.
    pub key: Option<String>,
    /// The columns, once they are known.
    pub columns: OnceLock<Vec<String>>,
}

/// Makes rows, one after the other in the same memory.
#[derive(Debug)]
pub struct RowMaker {
    rules: RowRules,
    flatten: Option<Flatten>,
    flat: Vec<u8>,
    row: Vec<u8>,
    name: Vec<u8>,
    key: Vec<u8>,
}

impl RowMaker {
    /// Starts with these rules.
    pub fn new(rules: &RowRules) -> Self {
        let flatten = |(depth, separator): &(usize, String)| {
            let flatten = Flatten::new(*depth, separator, &rules.except);
            match rules.columns.get() {
                Some(columns) => flatten.for_columns(columns.iter().map(String::as_str)),
                None => flatten,
            }
        };
        Self {
            flatten: rules.flatten.as_ref().map(flatten),
            rules: rules.clone(),
            flat: Vec::new(),
            row: Vec::new(),
            name: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Takes the columns, which were not known when it began; so the rows that it has made lack
    /// what [`RowMaker::complete`] adds.
    pub fn know(&mut self, columns: &[Column]) {
        if let Some(flatten) = &mut self.flatten {
            flatten.know(columns.iter().map(|column| column.name.as_str()));
        }
    }

    /// Returns a row of its own with null in the columns of members that its objects lack.
    pub fn complete<'a>(&'a mut self, row: &'a [u8]) -> Result<&'a [u8]> {
        let Some(flatten) = &mut self.flatten else { return Ok(row) };
        self.flat.clear();
        flatten.complete(row, &mut self.flat).map_err(|fault| {
            Error::new(ErrorKind::Internal, "cannot read a row that was kept")
                .with("reason", fault.what)
        })?;
        Ok(&self.flat)
    }

    /// Learns what another one knows of the names of members.
    pub fn learn(&mut self, other: &Self) {
        if let (Some(own), Some(other)) = (&mut self.flatten, &other.flatten) {
            own.join(other);
        }
    }

    /// Returns the replication key of the last row as text; empty when it has none.
    pub fn key(&self) -> &str {
        std::str::from_utf8(&self.key).unwrap_or_default()
    }

    /// Makes a row of a record.
    ///
    /// The rule: a column has one value. A record that has a member of its context itself has it
    /// with the same value, or no row is made.
    pub fn make<'a>(
        &'a mut self,
        record: &'a [u8],
        context: &Context,
    ) -> Result<&'a [u8], Unusable> {
        let mut flatten = self.flatten.take();
        let flattened = match &mut flatten {
            Some(flatten) => {
                self.flat.clear();
                flatten.object(record, &mut self.flat).map(|()| true)
            }
            None => Ok(false),
        };
        self.flatten = flatten;
        let object = if flattened? { std::mem::take(&mut self.flat) } else { Vec::new() };
        let source = if object.is_empty() { record } else { &object };
        let known = self.look(source, context)?;
        let additions = known.iter().any(|known| !known) || self.rules.raw;
        let done = additions || !object.is_empty();
        if done {
            self.join(source, record, context, &known);
        }
        self.flat = object;
        Ok(if done { &self.row } else { record })
    }

    /// Takes the replication key out, and tells which members of the context the record has.
    fn look(&mut self, object: &[u8], context: &Context) -> Result<Vec<bool>, Unusable> {
        let mut known = vec![false; context.members.len()];
        self.key.clear();
        let mut scanner = Scanner::new(object);
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let name = scanner.key()?;
            let value = scanner.value()?;
            let name = text_of(name, &mut self.name);
            for (at, (member, given)) in context.members.iter().enumerate() {
                if member.as_bytes() == name {
                    if !is_same(&value, given) {
                        return Err(Unusable::Differs(at));
                    }
                    known[at] = true;
                }
            }
            if self.rules.key.as_ref().is_some_and(|key| key.as_bytes() == name) {
                match value {
                    Token::String(text) => text.unescape_into(&mut self.key),
                    Token::Integer(text) | Token::Decimal(text) => {
                        self.key.extend_from_slice(text);
                    }
                    _ => {}
                }
            }
            more = scanner.more(b'}')?;
        }
        scanner.end()?;
        // The key may be a column of the context.
        for ((member, given), _) in context.members.iter().zip(&known).filter(|(_, known)| !**known)
        {
            if self.rules.key.as_ref() == Some(member) && !(given.is_array() || given.is_object()) {
                self.key.extend_from_slice(template::text_of(given).as_bytes());
            }
        }
        Ok(known)
    }

    fn join(&mut self, object: &[u8], record: &[u8], context: &Context, known: &[bool]) {
        let row = &mut self.row;
        row.clear();
        row.push(b'{');
        let comma = |row: &mut Vec<u8>| {
            if row.len() > 1 {
                row.push(b',');
            }
        };
        for (text, _) in context.texts.iter().zip(known).filter(|(_, known)| !**known) {
            comma(row);
            row.extend_from_slice(text);
        }
        let inner = object.trim_ascii();
        let inner = inner[1..inner.len() - 1].trim_ascii();
        if !inner.is_empty() {
            comma(row);
            row.extend_from_slice(inner);
        }
        if self.rules.raw {
            comma(row);
            string_into(RAW.as_bytes(), row);
            row.push(b':');
            row.extend_from_slice(record);
        }
        row.push(b'}');
    }
}

/// Tells whether a value of a record is one of a context; a number may be written as a text.
fn is_same(value: &Token<'_>, given: &Value) -> bool {
    let text = match value {
        Token::Null => return given.is_null(),
        Token::Boolean(value) => return text_is(given, if *value { b"true" } else { b"false" }),
        Token::String(text) if text.plain => return text_is(given, text.raw),
        Token::String(text) => {
            let mut whole = Vec::new();
            text.unescape_into(&mut whole);
            return text_is(given, &whole);
        }
        Token::Integer(text) | Token::Decimal(text) => *text,
        Token::Object(nested) | Token::Array(nested) => {
            return serde_json::from_slice(nested.text).is_ok_and(|value: Value| value == *given);
        }
    };
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<f64>().ok();
    let is_plain = |text: &[u8]| text.iter().all(|byte| !matches!(byte, b'.' | b'e' | b'E'));
    let numbers = || match given {
        // Integers are equal by their digits alone.
        Value::Number(given) if !(is_plain(text) && is_plain(given.as_str().as_bytes())) => {
            number(text).is_some_and(|number| given.as_f64() == Some(number))
        }
        _ => false,
    };
    text_is(given, text) || numbers()
}

fn text_is(given: &Value, text: &[u8]) -> bool {
    match given {
        Value::String(given) => given.as_bytes() == text,
        Value::Number(given) => given.as_str().as_bytes() == text,
        Value::Bool(given) => text == if *given { "true" } else { "false" }.as_bytes(),
        _ => false,
    }
}

fn text_of<'a>(quoted: Quoted<'a>, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if quoted.plain {
        return quoted.raw;
    }
    scratch.clear();
    quoted.unescape_into(scratch);
    scratch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(rules: &RowRules, record: &str, context: &Value) -> (String, String) {
        let members = context.as_object().unwrap();
        let members = members.iter().map(|(name, value)| (name.clone(), value.clone()));
        let mut maker = RowMaker::new(rules);
        let context = Context::new(members.collect());
        let row = maker.make(record.as_bytes(), &context).unwrap().to_vec();
        (String::from_utf8(row).unwrap(), maker.key().to_owned())
    }

    #[test]
    fn rows_have_the_columns_of_their_context() {
        let key = || RowRules { key: Some("at".to_owned()), ..RowRules::default() };
        let check = |record: &str, context: Value, expected: &str| {
            assert_eq!(made(&key(), record, &context).0, expected, "{record}");
        };
        check("{\"a\": 1.50}", json!({}), "{\"a\": 1.50}");
        check("{\"a\":1}", json!({"id": 7, "n": "x\""}), "{\"id\":7,\"n\":\"x\\\"\",\"a\":1}");
        check("{ }", json!({"id": 7}), "{\"id\":7}");
        check("{\"\\u0069d\":7}", json!({"id": 7}), "{\"\\u0069d\":7}");
        assert_eq!(made(&key(), "{\"at\":\"a\\n\"}", &json!({})).1, "a\n");
        assert_eq!(made(&key(), "{\"at\":12}", &json!({})).1, "12");
        assert_eq!(made(&key(), "{\"id\":1}", &json!({ "at": "2026" })).1, "2026");
        assert_eq!(made(&key(), "{\"at\":5}", &json!({ "at": 5 })).1, "5");
        assert_eq!(made(&key(), "{\"id\":1}", &json!({ "at": [5] })).1, "");
        assert_eq!(made(&key(), "{\"at\":null}", &json!({})).1, "");
        assert!(RowMaker::new(&key()).make(b"[1]", &Context::default()).is_err());
    }

    #[test]
    fn a_record_has_the_values_of_its_context() {
        let check = |record: &str, given: Value, same: bool| {
            let text = format!("{{\"id\":{record}}}");
            let context = Context::new(vec![("n".into(), json!(1)), ("id".into(), given.clone())]);
            let mut maker = RowMaker::new(&RowRules::default());
            let made = maker.make(text.as_bytes(), &context);
            assert_eq!(made.err(), (!same).then_some(Unusable::Differs(1)), "{record} {given}");
        };
        check("7", json!(7), true);
        check("\"7\"", json!(7), true);
        check("7", json!("7"), true);
        check("7.0", json!(7), true);
        check("\"\\u00e4\"", json!("ä"), true);
        check("[1, {\"a\":2}]", json!([1, {"a": 2}]), true);
        check("true", json!(true), true);
        check("null", json!(null), true);
        check("8", json!(7), false);
        check("\"\"", json!(7), false);
        check("\"07\"", json!("7"), false);
        check("12345678901234567891", json!(12_345_678_901_234_567_890_u64), false);
        check("null", json!(7), false);
        check("[1]", json!([2]), false);
        check("{\"id\":7}", json!(7), false);
        check("false", json!(true), false);
    }

    #[test]
    fn rows_are_flat_where_wanted() {
        let rules = |except: &[&str], raw| RowRules {
            flatten: Some((3, "__".to_owned())),
            except: except.iter().map(ToString::to_string).collect(),
            raw,
            ..RowRules::default()
        };
        let record = r#"{"a":{"b":{"c":1}},"d":{"e":2},"f":[{"g":3}]}"#;
        let none = json!({});
        assert_eq!(
            made(&rules(&[], false), record, &none).0,
            r#"{"a__b__c":1,"d__e":2,"f":[{"g":3}]}"#
        );
        assert_eq!(
            made(&rules(&["d"], false), record, &none).0,
            r#"{"a__b__c":1,"d":{"e":2},"f":[{"g":3}]}"#
        );
        assert_eq!(made(&rules(&["a", "d", "f"], false), record, &none).0, record);
        let raw = RowRules { raw: true, ..RowRules::default() };
        assert_eq!(made(&raw, r#"{"a":1}"#, &none).0, r#"{"a":1,"_sdc_raw_json":{"a":1}}"#);
    }
}
