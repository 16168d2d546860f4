//! Array literals of Postgres and JSON arrays, one to the other (pure).

use singer::scan::{Fault, Scanner, Token};
use singer::{Error, ErrorKind, Result};

/// Arrays of Postgres have at most six dimensions.
const DEPTH_MAX: usize = 6;

/// Appends the JSON text of one element that is not null, given its text and whether it was quoted.
pub type Element<'a> = dyn FnMut(&[u8], bool, &mut Vec<u8>) -> Result<()> + 'a;

/// Appends the JSON array for an array literal such as `{1,NULL,"a b"}`; `scratch` is
/// memory to use again.
pub fn to_json(
    literal: &[u8],
    delimiter: u8,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
    element: &mut Element<'_>,
) -> Result<()> {
    if literal.first() == Some(&b'[') {
        return Err(refused(
            "it has explicit bounds, which a JSON array cannot keep (`arrays_as: text` keeps them)",
        ));
    }
    let mut at = 0;
    let mut depth = 0;
    loop {
        match literal.get(at) {
            Some(b'{') => {
                depth += 1;
                out.push(b'[');
                at += 1;
                if literal.get(at) != Some(&b'}') {
                    continue;
                }
            }
            Some(b'"') => at = quoted(literal, at + 1, scratch, out, element)?,
            Some(_) => {
                let rest = &literal[at..];
                let end = rest.iter().position(|byte| *byte == delimiter || *byte == b'}');
                let text = &rest[..end.ok_or_else(|| refused("it is incomplete"))?];
                if text == b"NULL" {
                    out.extend_from_slice(b"null");
                } else {
                    element(text, false, out)?;
                }
                at += text.len();
            }
            None => return Err(refused("it is incomplete")),
        }
        // Behind an element, or before the end of an empty array.
        while literal.get(at) == Some(&b'}') && depth > 0 {
            out.push(b']');
            depth -= 1;
            at += 1;
        }
        if depth == 0 {
            return if at == literal.len() { Ok(()) } else { Err(refused("text follows its end")) };
        }
        if literal.get(at) != Some(&delimiter) {
            return Err(refused("a delimiter is missing"));
        }
        out.push(b',');
        at += 1;
    }
}

/// Reads a quoted element from behind its first quote; returns the place behind its last.
fn quoted(
    literal: &[u8],
    start: usize,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
    element: &mut Element<'_>,
) -> Result<usize> {
    scratch.clear();
    let mut at = start;
    loop {
        let rest = &literal[at..];
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or_else(|| refused("it is incomplete"))?;
        scratch.extend_from_slice(&rest[..end]);
        at += end + 1;
        if rest[end] == b'"' {
            element(scratch, true, out)?;
            return Ok(at);
        }
        scratch.push(*literal.get(at).ok_or_else(|| refused("it is incomplete"))?);
        at += 1;
    }
}

/// How an array literal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notation {
    /// Whether the elements are JSON values (`json[]`, `jsonb[]`); else nested arrays are
    /// dimensions and elements are scalars.
    pub json_elements: bool,
    /// What stands between elements: a comma for most types.
    pub delimiter: u8,
}

/// Appends the array literal for a JSON array; `scratch` is memory to use again.
pub fn from_json(
    json: &[u8],
    notation: Notation,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut scanner = Scanner::new(json);
    scanner.space();
    if scanner.peek() != Some(b'[') {
        return Err(refused("it is not a JSON array"));
    }
    dimension(&mut scanner, 1, notation, scratch, out)?;
    scanner.end().map_err(broken)
}

/// Reads an array from its bracket on.
fn dimension(
    scanner: &mut Scanner<'_>,
    depth: usize,
    notation: Notation,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(refused("it is nested deeper than Postgres allows"));
    }
    let mut more = scanner.open(b'[', b']').map_err(broken)?;
    if !more && depth > 1 {
        return Err(refused("it contains an empty array, which Postgres does not keep"));
    }
    out.push(b'{');
    while more {
        if scanner.peek() == Some(b'[') && !notation.json_elements {
            dimension(scanner, depth + 1, notation, scratch, out)?;
        } else {
            match scanner.value().map_err(broken)? {
                Token::Null => out.extend_from_slice(b"NULL"),
                Token::Boolean(truth) => {
                    out.extend_from_slice(if truth { b"true" } else { b"false" });
                }
                Token::Integer(digits) | Token::Decimal(digits) => out.extend_from_slice(digits),
                Token::Object(nested) | Token::Array(nested) => push_quoted(&[nested.text], out),
                Token::String(text) if notation.json_elements => {
                    push_quoted(&[b"\"", text.raw, b"\""], out);
                }
                Token::String(text) => {
                    scratch.clear();
                    text.unescape_into(scratch);
                    if memchr::memchr(0, scratch).is_some() {
                        return Err(refused("it has U+0000, which Postgres cannot keep"));
                    }
                    push_quoted(&[scratch], out);
                }
            }
        }
        more = scanner.more(b']').map_err(broken)?;
        if more {
            out.push(notation.delimiter);
        }
    }
    out.push(b'}');
    Ok(())
}

/// Appends an element in quotes.
fn push_quoted(parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in parts.iter().copied().flatten() {
        push_escaped(*byte, out);
    }
    out.push(b'"');
}

fn broken(fault: Fault) -> Error {
    refused("it is not JSON").with("byte", fault.at + 1).with("fault", fault.what)
}

#[inline]
fn push_escaped(byte: u8, out: &mut Vec<u8>) {
    if matches!(byte, b'"' | b'\\') {
        out.push(b'\\');
    }
    out.push(byte);
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Data, "cannot convert an array").with("reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(literal: &str) -> Result<String> {
        let mut out = Vec::new();
        to_json(literal.as_bytes(), b',', &mut Vec::new(), &mut out, &mut |text, quoted, out| {
            if quoted {
                out.extend_from_slice(format!("{:?}", String::from_utf8_lossy(text)).as_bytes());
            } else {
                out.extend_from_slice(text);
            }
            Ok(())
        })?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn literals_become_json() {
        let check = |literal: &str, expected: &str| {
            assert_eq!(json(literal).unwrap(), expected, "{literal}");
        };
        check("{}", "[]");
        check("{1,2,NULL}", "[1,2,null]");
        check("{{1,2},{3,NULL}}", "[[1,2],[3,null]]");
        check(r#"{"a,b","c\"d\\","",NULL,"NULL"}"#, r#"["a,b","c\"d\\","",null,"NULL"]"#);
        check("{{{1}},{{2}}}", "[[[1]],[[2]]]");
        for broken in ["[2:3]={1,2}", "{1", "{1,2}}", "", "{\"a", "{1}x", "{{1}{2}}", "1,2"] {
            assert!(json(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn json_becomes_literals() {
        let check = |json: &str, json_elements, expected: &str| {
            let mut out = Vec::new();
            let notation = Notation { json_elements, delimiter: b',' };
            from_json(json.as_bytes(), notation, &mut Vec::new(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{json}");
        };
        check("[]", false, "{}");
        check(" [ 1 , -2.5e3 , null , true ] ", false, "{1,-2.5e3,NULL,true}");
        check("[[1,2],[3,null]]", false, "{{1,2},{3,NULL}}");
        check(
            r#"["a,b","c\"d\\","","NULL","\n\u00e9\ud83d\ude00\/"]"#,
            false,
            "{\"a,b\",\"c\\\"d\\\\\",\"\",\"NULL\",\"\né😀/\"}",
        );
        check(
            r#"[{"a":"]"},[1,{}],"x",1,null]"#,
            true,
            r#"{"{\"a\":\"]\"}","[1,{}]","\"x\"",1,NULL}"#,
        );
        check(r#"[{"a":[1]}]"#, false, r#"{"{\"a\":[1]}"}"#);
        let mut out = Vec::new();
        let boxes = Notation { json_elements: false, delimiter: b';' };
        from_json(br#"[["(2,2),(1,1)"],[null]]"#, boxes, &mut Vec::new(), &mut out).unwrap();
        assert_eq!(out, br#"{{"(2,2),(1,1)"};{NULL}}"#);
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for broken in [
            "",
            "1",
            "[",
            "[1",
            "[1,]",
            "[a]",
            "[1] 2",
            r#"["\ud800"]"#,
            r#"["\u0000"]"#,
            r#"["\udc00\udc00"]"#,
            r#"["\x"]"#,
            "[[[[[[[1]]]]]]]",
            "[[]]",
            "[[],[]]",
            "[\"",
            "[{]",
        ] {
            let plain = Notation { json_elements: false, delimiter: b',' };
            let done = from_json(broken.as_bytes(), plain, &mut Vec::new(), &mut Vec::new());
            assert!(done.is_err(), "{broken}");
        }
    }
}
