//! Array literals of Postgres and JSON arrays, one to the other (pure).

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
            "it has explicit bounds, which a JSON array cannot keep (`arrays_as: text` does)",
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
                let text = &rest[..end.ok_or_else(|| refused("it is cut short"))?];
                if text == b"NULL" {
                    out.extend_from_slice(b"null");
                } else {
                    element(text, false, out)?;
                }
                at += text.len();
            }
            None => return Err(refused("it is cut short")),
        }
        // Behind an element, or before the end of an empty array.
        while literal.get(at) == Some(&b'}') && depth > 0 {
            out.push(b']');
            depth -= 1;
            at += 1;
        }
        if depth == 0 {
            return if at == literal.len() { Ok(()) } else { Err(refused("it goes on too long")) };
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
        let end = memchr::memchr2(b'"', b'\\', rest).ok_or_else(|| refused("it is cut short"))?;
        scratch.extend_from_slice(&rest[..end]);
        at += end + 1;
        if rest[end] == b'"' {
            element(scratch, true, out)?;
            return Ok(at);
        }
        scratch.push(*literal.get(at).ok_or_else(|| refused("it is cut short"))?);
        at += 1;
    }
}

/// Appends the array literal for a JSON array. With `json_elements` the elements are JSON values
/// (`json[]`, `jsonb[]`); else nested arrays are dimensions and elements are scalars.
pub fn from_json(json: &[u8], json_elements: bool, out: &mut Vec<u8>) -> Result<()> {
    let mut reader = Reader { json, at: 0, json_elements };
    reader.space();
    if reader.peek() != Some(b'[') {
        return Err(refused("it is no JSON array"));
    }
    reader.array(1, out)?;
    reader.space();
    if reader.at == json.len() { Ok(()) } else { Err(reader.broken()) }
}

/// A reader of JSON that writes array literals.
struct Reader<'a> {
    json: &'a [u8],
    at: usize,
    json_elements: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn broken(&self) -> Error {
        refused("it is not JSON").with("byte", self.at + 1)
    }

    /// Reads an array from its bracket on.
    fn array(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(refused("it is nested deeper than arrays of Postgres can be"));
        }
        self.at += 1;
        out.push(b'{');
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            out.push(b'}');
            return Ok(());
        }
        loop {
            self.space();
            match self.peek() {
                Some(b'[') if !self.json_elements => self.array(depth + 1, out)?,
                _ => self.element(out)?,
            }
            self.space();
            let next = self.peek();
            self.at += 1;
            match next {
                Some(b',') => out.push(b','),
                Some(b']') => {
                    out.push(b'}');
                    return Ok(());
                }
                _ => return Err(self.broken()),
            }
        }
    }

    fn element(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let start = self.at;
        self.skip()?;
        let text = &self.json[start..self.at];
        match text.first() {
            Some(b'n') => out.extend_from_slice(b"NULL"),
            Some(b'"') if !self.json_elements => {
                out.push(b'"');
                unquote(&text[1..text.len() - 1], out)?;
                out.push(b'"');
            }
            Some(b'{' | b'"' | b'[') => {
                out.push(b'"');
                for byte in text {
                    push_escaped(*byte, out);
                }
                out.push(b'"');
            }
            _ => out.extend_from_slice(text),
        }
        Ok(())
    }

    /// Goes behind one value of any kind.
    fn skip(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{' | b'[') => {
                let mut depth = 0_usize;
                loop {
                    match self.peek() {
                        Some(b'"') => {
                            self.skip_string()?;
                            continue;
                        }
                        Some(b'{' | b'[') => depth += 1,
                        Some(b'}' | b']') => depth -= 1,
                        Some(_) => {}
                        None => return Err(self.broken()),
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
            }
            _ => {
                let rest = &self.json[self.at..];
                let scalar = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = rest.iter().take_while(|byte| scalar(byte)).count();
                let word = &rest[..length];
                let known = matches!(word, b"null" | b"true" | b"false")
                    || word.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-');
                if !known {
                    return Err(self.broken());
                }
                self.at += length;
                Ok(())
            }
        }
    }

    fn skip_string(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            let Some(end) = memchr::memchr2(b'"', b'\\', &self.json[self.at..]) else {
                return Err(self.broken());
            };
            self.at += end + 1;
            if self.json[self.at - 1] == b'"' {
                return Ok(());
            }
            if self.at == self.json.len() {
                return Err(self.broken());
            }
            self.at += 1;
        }
    }
}

/// Appends the characters of a JSON string, escaped for a quoted array element.
fn unquote(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte != b'\\' {
            push_escaped(byte, out);
            continue;
        }
        let code = text.get(at).copied().unwrap_or_default();
        at += 1;
        match code {
            b'"' | b'\\' => push_escaped(code, out),
            b'/' => out.push(b'/'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (character, length) = code_point(&text[at..])?;
                at += length;
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    push_escaped(byte, out);
                }
            }
            _ => return Err(refused("a string in it has an unknown escape")),
        }
    }
    Ok(())
}

/// Reads the hex digits behind `\u`, and a second half where there is one.
fn code_point(text: &[u8]) -> Result<(char, usize)> {
    let unit = |at: usize| {
        let hex = std::str::from_utf8(text.get(at..at + 4)?).ok()?;
        u32::from_str_radix(hex, 16).ok()
    };
    let lone = || refused("a string in it has half a character (a lone surrogate)");
    let first = unit(0).ok_or_else(|| refused("a string in it has a broken escape"))?;
    if first == 0 {
        return Err(refused("a string in it has U+0000, which Postgres cannot keep"));
    }
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 4));
    }
    let second = unit(6).filter(|unit| (0xDC00..0xE000).contains(unit));
    let second = second.filter(|_| text.get(4..6) == Some(b"\\u")).ok_or_else(lone)?;
    if first >= 0xDC00 {
        return Err(lone());
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code).map(|character| (character, 10)).ok_or_else(lone)
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
            from_json(json.as_bytes(), json_elements, &mut out).unwrap();
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
            "[\"",
            "[{]",
        ] {
            assert!(from_json(broken.as_bytes(), false, &mut Vec::new()).is_err(), "{broken}");
        }
    }
}
