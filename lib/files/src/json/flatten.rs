//! Makes columns of nested objects.
//!
//! An empty object has no values that could be columns: it stays, under its own name.
//!
//! An object says all of its members: columns of its members that a record lacks are null, also
//! where the object itself is null. Else a target would keep what they had before.
//!
//! A column has the values of one path: of the record at hand and of all that came before. Else
//! `{"a":{"b":1}}` and a later `{"a__b":2}` would be mixed in one column.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::Arc;

use singer::scan::{Fault, Nested, Quoted, Scanner, Token};

/// Writes `{"a":{"b":1}}` as `{"a__b":1}`, down to a depth. Objects below it, and arrays, stay.
#[derive(Clone, Debug)]
pub struct Flatten {
    depth_max: usize,
    separator: Vec<u8>,
    /// Members that stay as they are, as they stand between quotes.
    except: Vec<Vec<u8>>,
    /// The columns, as they stand between quotes; `None`: they are not known yet.
    columns: Option<Arc<BTreeSet<Vec<u8>>>>,
    /// Empty objects that no column takes are left out.
    trims: bool,
    /// The names of the record at hand, without quotes, and where each lies.
    names: Vec<u8>,
    spans: Vec<Range<usize>>,
    /// What the names of the members start with of the objects that the record has or says are
    /// null.
    said: Vec<Vec<u8>>,
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
            columns: None,
            trims: false,
            names: Vec::new(),
            spans: Vec::new(),
            said: Vec::new(),
            ends: Vec::new(),
            paths: BTreeMap::new(),
        }
    }

    /// Leaves empty objects out that none of these columns takes, and says which members are null.
    #[must_use]
    pub fn for_columns<'a>(mut self, columns: impl Iterator<Item = &'a str>) -> Self {
        self.know(columns);
        self.trims = true;
        self
    }

    /// Says from now on which members are null, of these columns.
    pub fn know<'a>(&mut self, columns: impl Iterator<Item = &'a str>) {
        self.columns = Some(Arc::new(columns.map(quoted).collect()));
    }

    /// Learns which paths the names of another one are of.
    pub fn join(&mut self, other: &Self) {
        let new = other.paths.iter().filter(|(name, _)| !self.paths.contains_key(*name));
        let new: Vec<_> = new.map(|(name, ends)| (name.clone(), ends.clone())).collect();
        let room = PATHS_MAX.saturating_sub(self.paths.len());
        self.paths.extend(new.into_iter().take(room));
    }

    /// Appends to `out` a flat record that was written before the columns were known, with what
    /// its objects lack.
    pub fn complete(&mut self, flat: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.names.clear();
        self.spans.clear();
        self.said.clear();
        let mut scanner = Scanner::new(flat);
        let mut more = scanner.open(b'{', b'}')?;
        out.push(b'{');
        while more {
            let mut name = Vec::new();
            put_name(scanner.key()?, &mut name);
            let value = scanner.value()?;
            let is_object = match &value {
                Token::Object(object) => object.text == EMPTY.text,
                value => matches!(value, Token::Null),
            };
            self.leaf(value, &name, out);
            let of_object = self.paths.get(&name).and_then(|ends| ends.first().copied());
            if let Some(end) = of_object.or_else(|| is_object.then_some(name.len()))
                && !self.except.contains(&name)
            {
                name.truncate(end);
                name.extend_from_slice(&self.separator);
                self.said.push(name);
            }
            more = scanner.more(b'}')?;
        }
        scanner.end()?;
        self.said.sort_unstable();
        self.said.dedup();
        let names = &self.names;
        self.spans.sort_unstable_by(|a, b| names[a.clone()].cmp(&names[b.clone()]));
        self.nulls(out);
        out.push(b'}');
        Ok(())
    }

    /// Appends the flat record to `out`. Fails when the text is not a JSON object, or when two
    /// of its values get one name, or one that the value of another path has had before.
    pub fn object(&mut self, object: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.names.clear();
        self.spans.clear();
        self.ends.clear();
        self.said.clear();
        let mut scanner = Scanner::new(object);
        scanner.space();
        out.push(b'{');
        self.members(&mut scanner, &mut Vec::new(), out)?;
        scanner.end()?;
        let names = &self.names;
        self.spans.sort_unstable_by(|a, b| names[a.clone()].cmp(&names[b.clone()]));
        let same = |pair: &[Range<usize>]| names[pair[0].clone()] == names[pair[1].clone()];
        if self.spans.windows(2).any(same) {
            return Err(Fault { at: 0, what: TWO_PATHS });
        }
        self.nulls(out);
        out.push(b'}');
        Ok(())
    }

    /// Writes the columns of members that the objects of the record lack.
    fn nulls(&mut self, out: &mut Vec<u8>) {
        let Some(columns) = self.columns.clone() else { return };
        let sorted = self.spans.len();
        for prefix in std::mem::take(&mut self.said) {
            let from = columns.range::<[u8], _>((Bound::Excluded(&prefix[..]), Bound::Unbounded));
            let name = |at: &Range<usize>| &self.names[at.clone()];
            let mut at = self.spans[..sorted].partition_point(|span| *name(span) < prefix[..]);
            let mut lacking = Vec::new();
            for column in from.take_while(|column| column.starts_with(&prefix)) {
                while at < sorted && *name(&self.spans[at]) < column[..] {
                    at += 1;
                }
                let is_there = at < sorted && *name(&self.spans[at]) == column[..];
                // A member of this name that lies in no object may be kept.
                let is_nested = self.paths.get(column).is_none_or(|ends| !ends.is_empty());
                if !is_there && is_nested {
                    lacking.push(column);
                }
            }
            for column in lacking {
                self.leaf(Token::Null, column, out);
            }
        }
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
                    self.say(depth, prefix);
                    let has_any = self.members(scanner, prefix, out)?;
                    self.ends.pop();
                    prefix.truncate(name);
                    let taken = |all: &Arc<BTreeSet<_>>| !self.trims || all.contains(&prefix[..]);
                    if !has_any && self.columns.as_ref().is_none_or(taken) {
                        self.leaf(Token::Object(EMPTY), prefix, out);
                        self.check(prefix)?;
                    }
                }
                _ => {
                    let value = scanner.value()?;
                    if matches!(value, Token::Null) && depth < self.depth_max && !stays {
                        let name = prefix.len();
                        prefix.extend_from_slice(&self.separator);
                        self.say(depth, prefix);
                        prefix.truncate(name);
                    }
                    self.leaf(value, prefix, out);
                    self.check(prefix)?;
                }
            }
            prefix.truncate(end);
            more = scanner.more(b'}')?;
        }
        Ok(has_any)
    }

    /// Remembers what the members of an object of the record start with; those of an object within
    /// it start so, too.
    fn say(&mut self, depth: usize, prefix: &[u8]) {
        // Most nulls are of no object: they cost no copy.
        let has_members = |columns: &Arc<BTreeSet<Vec<u8>>>| {
            let mut behind = columns.range::<[u8], _>((Bound::Excluded(prefix), Bound::Unbounded));
            behind.next().is_some_and(|column| column.starts_with(prefix))
        };
        if depth == 0 && self.columns.as_ref().is_some_and(has_members) {
            self.said.push(prefix.to_owned());
        }
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
        let expected = r#"{"a":{},"a__b\"":null}{"a__b\"":{},"a__c":1}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn an_object_says_that_the_members_it_lacks_are_null() {
        let columns = ["a", "a__b", "a__c__d", "ab", "k__x", "z__y"];
        let check = |objects: &[&str], expected: &str| {
            let flatten = Flatten::new(2, "__", &["k".to_owned()]);
            let mut flatten = flatten.for_columns(columns.into_iter());
            let mut out = Vec::new();
            for object in objects {
                out.clear();
                flatten.object(object.as_bytes(), &mut out).unwrap();
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{objects:?}");
        };
        check(&[r#"{"a":{"b":1}}"#], r#"{"a__b":1,"a__c__d":null}"#);
        check(&[r#"{"a":{"c":{}}}"#], r#"{"a__b":null,"a__c__d":null}"#);
        check(&[r#"{"a":{"c":null,"b":2}}"#], r#"{"a__c":null,"a__b":2,"a__c__d":null}"#);
        check(&[r#"{"a":null}"#], r#"{"a":null,"a__b":null,"a__c__d":null}"#);
        check(&[r#"{"a":{"c":{"d":1},"b":2}}"#], r#"{"a__c__d":1,"a__b":2}"#);
        // What is absent is kept, and so is what lies in no object, or in one that stays.
        check(&["{}"], "{}");
        check(&[r#"{"a":7,"k":{"x":1}}"#], r#"{"a":7,"k":{"x":1}}"#);
        check(&[r#"{"z__y":1}"#, r#"{"z":null}"#], r#"{"z":null}"#);
        check(&[r#"{"z":{"y":1}}"#, r#"{"z":null}"#], r#"{"z":null,"z__y":null}"#);
    }

    #[test]
    fn records_from_before_the_columns_were_known_get_their_nulls() {
        let rows = [r#"{"a":{},"z__y":2}"#, r#"{"a":{"b":1},"z":null}"#, r#"{"k":null}"#, "{}"];
        let mut flatten = Flatten::new(2, "__", &["k".to_owned()]);
        let mut flat = vec![Vec::new(); rows.len()];
        for (row, flat) in rows.iter().zip(&mut flat) {
            flatten.object(row.as_bytes(), flat).unwrap();
        }
        flatten.know(["a__b", "a__c__d", "k__x", "z__y"].into_iter());
        let completed = flat.iter().map(|flat| {
            let mut out = Vec::new();
            flatten.complete(flat, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        });
        let expected = [
            r#"{"a":{},"z__y":2,"a__b":null,"a__c__d":null}"#,
            r#"{"a__b":1,"z":null,"a__c__d":null}"#,
            r#"{"k":null}"#,
            "{}",
        ];
        assert_eq!(completed.collect::<Vec<_>>(), expected);
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
