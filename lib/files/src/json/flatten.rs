//! Makes columns of nested objects.
//!
//! An empty object has no values that could be columns: it stays, under its own name.
//!
//! A column has the values of one path: of the record at hand and of all that came before. Else
//! `{"a":{"b":1}}` and a later `{"a__b":2}` would be mixed in one column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use singer::scan::{Fault, Nested, Quoted, Scanner, Token};

/// Writes `{"a":{"b":1}}` as `{"a__b":1}`, down to a depth. Objects below it, and arrays, stay.
#[derive(Clone, Debug)]
pub struct Flatten {
    depth_max: usize,
    separator: Vec<u8>,
    /// Members that stay as they are, as they stand between quotes.
    except: Vec<Vec<u8>>,
    /// The names under which empty objects stay; `None`: all.
    empty: Option<Arc<BTreeSet<Vec<u8>>>>,
    /// The names of the record at hand, without quotes, and where each lies.
    names: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// Where the names within the name at hand end.
    ends: Vec<usize>,
    /// The names that might be of several paths, with those that they are of.
    paths: BTreeMap<Vec<u8>, Vec<usize>>,
}

/// So many names are remembered with their paths: more than a table can have columns.
const PATHS_MAX: usize = 20_000;
const EMPTY: Nested<'_> = Nested { text: b"{}", compact: true };
/// What is wrong with a record that breaks the rule.
const TWO_PATHS: &str = "flattening gives two values the same name";

impl Flatten {
    /// Flattens so many levels; 0 leaves records as they are. The separator joins the names.
    /// Members named in `except` stay nested.
    pub fn new(depth_max: usize, separator: &str, except: &[String]) -> Self {
        Self {
            depth_max,
            separator: quoted(separator),
            except: except.iter().map(|name| quoted(name)).collect(),
            empty: None,
            names: Vec::new(),
            spans: Vec::new(),
            ends: Vec::new(),
            paths: BTreeMap::new(),
        }
    }

    /// Leaves empty objects out that none of these columns takes.
    #[must_use]
    pub fn for_columns<'a>(mut self, columns: impl Iterator<Item = &'a str>) -> Self {
        self.empty = Some(Arc::new(columns.map(quoted).collect()));
        self
    }

    /// Appends the flat record to `out`. Fails when the text is not a JSON object, or when two
    /// of its values get one name, or one that the value of another path has had before.
    pub fn object(&mut self, object: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.names.clear();
        self.spans.clear();
        self.ends.clear();
        let mut scanner = Scanner::new(object);
        scanner.space();
        out.push(b'{');
        self.members(&mut scanner, &mut Vec::new(), out)?;
        out.push(b'}');
        scanner.end()?;
        let names = &self.names;
        self.spans.sort_unstable_by(|a, b| names[a.clone()].cmp(&names[b.clone()]));
        let same = |pair: &[Range<usize>]| names[pair[0].clone()] == names[pair[1].clone()];
        if self.spans.windows(2).any(same) {
            return Err(Fault { at: 0, what: TWO_PATHS });
        }
        Ok(())
    }

    /// Writes the members of an object; tells whether it has any.
    fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
        prefix: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let mut more = scanner.open(b'{', b'}')?;
        let has_any = more;
        while more {
            let key = scanner.key()?;
            let end = prefix.len();
            put_name(key, prefix);
            let depth = self.ends.len();
            let stays = depth == 0 && self.except.iter().any(|name| name == prefix);
            match scanner.peek() {
                Some(b'{') if depth < self.depth_max && !stays => {
                    let name = prefix.len();
                    self.ends.push(name);
                    prefix.extend_from_slice(&self.separator);
                    let has_any = self.members(scanner, prefix, out)?;
                    self.ends.pop();
                    prefix.truncate(name);
                    if !has_any && self.empty.as_ref().is_none_or(|all| all.contains(prefix)) {
                        self.leaf(Token::Object(EMPTY), prefix, out);
                        self.check(prefix)?;
                    }
                }
                _ => {
                    self.leaf(scanner.value()?, prefix, out);
                    self.check(prefix)?;
                }
            }
            prefix.truncate(end);
            more = scanner.more(b'}')?;
        }
        Ok(has_any)
    }

    /// Refuses a name that had the value of another path before.
    fn check(&mut self, name: &[u8]) -> Result<(), Fault> {
        if self.ends.is_empty() && memchr::memmem::find(name, &self.separator).is_none() {
            return Ok(());
        }
        match self.paths.get(name) {
            Some(known) if *known == self.ends => Ok(()),
            Some(_) => Err(Fault { at: 0, what: TWO_PATHS }),
            // Names that are data have no column each.
            None if self.paths.len() >= PATHS_MAX => Ok(()),
            None => {
                self.paths.insert(name.to_owned(), self.ends.clone());
                Ok(())
            }
        }
    }

    fn leaf(&mut self, value: Token<'_>, name: &[u8], out: &mut Vec<u8>) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
        match value {
            Token::Null => out.extend_from_slice(b"null"),
            Token::Boolean(true) => out.extend_from_slice(b"true"),
            Token::Boolean(false) => out.extend_from_slice(b"false"),
            Token::Integer(text) | Token::Decimal(text) => out.extend_from_slice(text),
            Token::String(text) => {
                out.push(b'"');
                out.extend_from_slice(text.raw);
                out.push(b'"');
            }
            Token::Object(text) | Token::Array(text) => text.compact_into(out),
        }
        let start = self.names.len();
        self.names.extend_from_slice(name);
        self.spans.push(start..self.names.len());
    }
}

/// Returns a text as it stands between quotes.
fn quoted(text: &str) -> Vec<u8> {
    let mut quoted = Vec::new();
    singer::quote::string_into(text.as_bytes(), &mut quoted);
    quoted[1..quoted.len() - 1].to_vec()
}

/// Appends a name as it stands between quotes, in one way of writing it.
fn put_name(key: Quoted<'_>, prefix: &mut Vec<u8>) {
    if key.plain {
        prefix.extend_from_slice(key.raw);
        return;
    }
    let (mut text, mut quoted) = (Vec::new(), Vec::new());
    key.unescape_into(&mut text);
    singer::quote::string_into(&text, &mut quoted);
    prefix.extend_from_slice(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(depth: usize, object: &str) -> Result<String, Fault> {
        let mut out = Vec::new();
        Flatten::new(depth, "__", &[]).object(object.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn flattens_objects_down_to_the_depth() {
        let check = |depth, object: &str, expected: &str| {
            assert_eq!(flat(depth, object).unwrap(), expected, "{object}");
        };
        let nested = r#"{ "a" : { "b" : { "c" : 1 } , "d" : [ {"e":2} ] } , "f" : "x\n" }"#;
        check(0, nested, r#"{"a":{"b":{"c":1},"d":[{"e":2}]},"f":"x\n"}"#);
        check(1, nested, r#"{"a__b":{"c":1},"a__d":[{"e":2}],"f":"x\n"}"#);
        check(9, nested, r#"{"a__b__c":1,"a__d":[{"e":2}],"f":"x\n"}"#);
        check(1, r#"{"a":null,"b":{},"c":{"d":1.50}}"#, r#"{"a":null,"b":{},"c__d":1.50}"#);
        check(2, r#"{"a":{"b":{ },"c":{"d":{ }}}}"#, r#"{"a__b":{},"a__c__d":{}}"#);
        check(1, r#"{"\u0061\"":{"\n":true}}"#, r#"{"a\"__\n":true}"#);
        check(1, "{}", "{}");
    }

    #[test]
    fn empty_objects_stay_where_a_column_takes_them() {
        let columns = ["a", "a__b\""];
        let mut flatten = Flatten::new(2, "__", &[]).for_columns(columns.into_iter());
        let mut out = Vec::new();
        flatten.object(br#"{"a":{},"c":{},"d":{"b\"":{}}}"#, &mut out).unwrap();
        flatten.object(br#"{"a":{"b\"":{},"c":1}}"#, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":{}}{"a__b\"":{},"a__c":1}"#);
    }

    #[test]
    fn refuses_two_values_of_one_name() {
        assert!(flat(1, r#"{"a__b":1,"a":{"b":2}}"#).is_err());
        assert!(flat(1, r#"{"a__b":1,"\u0061":{"b":2}}"#).is_err());
        assert!(flat(1, "[]").is_err());
        assert!(flat(1, r#"{"a":{"b":1}"#).is_err());
    }

    #[test]
    fn a_name_is_of_one_path_in_all_records() {
        let check = |separator: &str, records: &[&str], fits: bool| {
            let mut flatten = Flatten::new(2, separator, &["k".to_owned()]);
            let done = records.iter().map(|text| flatten.object(text.as_bytes(), &mut vec![]));
            let mut done: Vec<bool> = done.map(|done| done.is_ok()).collect();
            let last = done.pop().unwrap();
            assert!(done.into_iter().all(|done| done), "{records:?}");
            assert_eq!(last, fits, "{records:?}");
        };
        let nested = r#"{"a":{"b":1}}"#;
        check("__", &[nested, r#"{"a__b":2}"#], false);
        check("__", &[r#"{"a__b":2}"#, "{}", nested], false);
        check("__", &[r#"{"a":{"b":{"c":1}}}"#, r#"{"a":{"b__c":1}}"#], false);
        check(".", &[r#"{"x":{"y.z":1}}"#, r#"{"x.y":{"z":1}}"#], false);
        check("", &[r#"{"ab":{"c":1}}"#, r#"{"a":{"bc":1}}"#], false);
        check("__", &[r#"{"k":{"b":1},"a":null}"#, r#"{"k__b":1,"a":{"b":[]}}"#, nested], true);
        check("__", &[nested, r#"{"\u0061":{"b":"x"},"ab":{"c":1},"b":1}"#, nested], true);
        check("__", &[r#"{"a__b":1}"#, r#"{"a__b":2,"a":{"c":1}}"#], true);
    }
}
