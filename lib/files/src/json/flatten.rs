//! Makes columns of nested objects.

use std::ops::Range;

use singer::scan::{Fault, Quoted, Scanner, Token};

/// Writes `{"a":{"b":1}}` as `{"a__b":1}`, down to a depth. Objects below it, and arrays, stay.
#[derive(Clone, Debug)]
pub struct Flatten {
    depth_max: usize,
    separator: Vec<u8>,
    /// The names of the record at hand, without quotes, and where each lies.
    names: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Flatten {
    /// Flattens so many levels; 0 leaves records as they are. The separator joins the names.
    pub fn new(depth_max: usize, separator: &str) -> Self {
        let mut quoted = Vec::new();
        singer::quote::string_into(separator.as_bytes(), &mut quoted);
        let separator = quoted[1..quoted.len() - 1].to_vec();
        Self { depth_max, separator, names: Vec::new(), spans: Vec::new() }
    }

    /// Appends the flat record to `out`. Fails when the text is not a JSON object, or when two
    /// of its values get one name.
    pub fn object(&mut self, object: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.names.clear();
        self.spans.clear();
        let mut scanner = Scanner::new(object);
        scanner.space();
        out.push(b'{');
        self.members(&mut scanner, &mut Vec::new(), 0, out)?;
        out.push(b'}');
        scanner.end()?;
        let names = &self.names;
        self.spans.sort_unstable_by(|a, b| names[a.clone()].cmp(&names[b.clone()]));
        let same = |pair: &[Range<usize>]| names[pair[0].clone()] == names[pair[1].clone()];
        if self.spans.windows(2).any(same) {
            return Err(Fault { at: 0, what: "two values get the same name by flattening" });
        }
        Ok(())
    }

    fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
        prefix: &mut Vec<u8>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut more = scanner.open(b'{', b'}')?;
        while more {
            let key = scanner.key()?;
            let end = prefix.len();
            put_name(key, prefix);
            match scanner.peek() {
                Some(b'{') if depth < self.depth_max => {
                    prefix.extend_from_slice(&self.separator);
                    self.members(scanner, prefix, depth + 1, out)?;
                }
                _ => self.leaf(scanner.value()?, prefix, out),
            }
            prefix.truncate(end);
            more = scanner.more(b'}')?;
        }
        Ok(())
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
        Flatten::new(depth, "__").object(object.as_bytes(), &mut out)?;
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
        check(1, r#"{"a":null,"b":{},"c":{"d":1.50}}"#, r#"{"a":null,"c__d":1.50}"#);
        check(1, r#"{"\u0061\"":{"\n":true}}"#, r#"{"a\"__\n":true}"#);
        check(1, "{}", "{}");
    }

    #[test]
    fn refuses_two_values_of_one_name() {
        assert!(flat(1, r#"{"a__b":1,"a":{"b":2}}"#).is_err());
        assert!(flat(1, r#"{"a__b":1,"\u0061":{"b":2}}"#).is_err());
        assert!(flat(1, "[]").is_err());
        assert!(flat(1, r#"{"a":{"b":1}"#).is_err());
    }
}
