//! Keys that come twice in a JSON object, of which `jsonb` would keep the last alone (pure).

use std::borrow::Cow;
use std::collections::BTreeSet;

/// So many keys of objects within each other are compared without taking memory.
const FEW: usize = 64;

/// Tells whether an object in the text, JSON without white space between tokens, has a key twice.
pub fn repeat(json: &[u8]) -> bool {
    let mut keys: [&[u8]; FEW] = [&[]; FEW];
    // Where the keys of the objects begin that are open, and how many there are.
    let (mut starts, mut depth, mut count) = ([0; FEW], 0, 0);
    let mut tokens = Tokens { json, at: 0 };
    while let Some(token) = tokens.next() {
        match token {
            Token::Open if depth == FEW => return repeat_among_many(json),
            Token::Open => {
                starts[depth] = count;
                depth += 1;
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                count = starts[depth];
            }
            Token::Key(key) => {
                let escaped = memchr::memchr(b'\\', key).is_some();
                if count == FEW || escaped || depth == 0 {
                    return repeat_among_many(json);
                }
                if keys[starts[depth - 1]..count].contains(&key) {
                    return true;
                }
                keys[count] = key;
                count += 1;
            }
        }
    }
    false
}

fn repeat_among_many(json: &[u8]) -> bool {
    let mut objects: Vec<BTreeSet<Cow<'_, [u8]>>> = Vec::new();
    let mut tokens = Tokens { json, at: 0 };
    while let Some(token) = tokens.next() {
        match token {
            Token::Open => objects.push(BTreeSet::new()),
            Token::Close => drop(objects.pop()),
            Token::Key(key) => {
                let quoted = [b"\"", key, b"\""].concat();
                let text = serde_json::from_slice::<String>(&quoted);
                let key = text.map_or(Cow::Borrowed(key), |text| Cow::Owned(text.into_bytes()));
                if objects.last_mut().is_some_and(|keys| !keys.insert(key)) {
                    return true;
                }
            }
        }
    }
    false
}

enum Token<'a> {
    Open,
    Close,
    Key(&'a [u8]),
}

/// The braces and keys of a JSON text.
struct Tokens<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = self.json.get(self.at..)?;
            let found = memchr::memchr3(b'"', b'{', b'}', rest)?;
            self.at += found + 1;
            match rest[found] {
                b'{' => return Some(Token::Open),
                b'}' => return Some(Token::Close),
                _ => {
                    let start = self.at;
                    let end = start + end_of_string(&self.json[start..]);
                    self.at = end + 1;
                    if self.json.get(self.at) == Some(&b':') {
                        return Some(Token::Key(&self.json[start..end]));
                    }
                }
            }
        }
    }
}

/// Returns where the quote that ends a string stands.
pub fn end_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &text[at..]) {
        at += next;
        if text[at] == b'"' {
            return at;
        }
        at = text.len().min(at + 2);
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_keys_that_come_twice_in_one_object() {
        let many: Vec<String> = (0..100).map(|n| format!(r#""k{n}":{n}"#)).collect();
        let many = many.join(",");
        let deep = r#"{"a":"#.repeat(80);
        for (json, expected) in [
            (r#"{"a":1,"a":2}"#, true),
            (r#"{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}"#, false),
            (r#"[{"x":{"b":1,"c":{},"b":2}}]"#, true),
            (r#"{"b":{"a":1},"a":{"b":1},"b":0}"#, true),
            (r#"{"a":"a\":","b":"{\"a\":"}"#, false),
            (r#"{"a":1,"\u0061":2}"#, true),
            (r#"{"a\"":1,"a":2}"#, false),
            (r#""text""#, false),
            ("[1,{},{}]", false),
            (&format!("{{{many}}}"), false),
            (&format!("{{{many},\"k7\":1}}"), true),
            (&format!(r#"{deep}{{"x":1,"x":2}}{}"#, "}".repeat(80)), true),
            (r#"{"cut"#, false),
        ] {
            assert_eq!(repeat(json.as_bytes()), expected, "{json}");
        }
    }
}
