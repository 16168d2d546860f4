//! JSON over bytes without building values: strict, not recursive, no allocation. Pure.
//!
//! The caller has checked that the bytes are UTF-8. Grammar: RFC 8259; lone surrogates refused.

use crate::quote::plain_prefix;

/// How deep values may nest.
pub const DEPTH_MAX: usize = 512;

/// Why and where (byte offset) a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the offending byte.
    pub at: usize,
    /// What is wrong, for people.
    pub what: &'static str,
}

/// A value, nested ones unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number without fraction and exponent.
    Integer(&'a [u8]),
    /// A number with a fraction or an exponent.
    Decimal(&'a [u8]),
    /// A string.
    String(Quoted<'a>),
    /// An object.
    Object(Nested<'a>),
    /// An array.
    Array(Nested<'a>),
}

/// What stands between the quotes of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// The bytes as they stand.
    pub raw: &'a [u8],
    /// There are no escapes: `raw` is the text.
    pub plain: bool,
}

/// The text of an object or array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nested<'a> {
    /// The bytes from bracket to bracket.
    pub text: &'a [u8],
    /// There is no white space between tokens.
    pub compact: bool,
}

impl Quoted<'_> {
    /// Appends the characters the string stands for.
    #[inline]
    pub fn unescape_into(&self, out: &mut Vec<u8>) {
        if self.plain { out.extend_from_slice(self.raw) } else { unescape_into(self.raw, out) }
    }
}

impl Nested<'_> {
    /// Appends the text without white space between tokens.
    pub fn compact_into(&self, out: &mut Vec<u8>) {
        if self.compact { out.extend_from_slice(self.text) } else { compact_into(self.text, out) }
    }
}

/// Reads JSON values out of a text, one after the other.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the offset of the next byte.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Makes a failure at the next byte.
    pub fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, what })
    }

    /// Skips white space; tells whether there was any.
    #[inline]
    pub fn space(&mut self) -> bool {
        let from = self.at;
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.at != from
    }

    /// Returns the next byte without taking it.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Returns the text that was not taken yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Takes `bytes` if they come next.
    #[inline]
    pub fn take(&mut self, bytes: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(bytes);
        if found {
            self.at += bytes.len();
        }
        found
    }

    /// Opens an object (`{`, `}`) or array (`[`, `]`); tells whether it has an element.
    pub fn open(&mut self, open: u8, close: u8) -> Result<bool, Fault> {
        self.space();
        if !self.take(&[open]) {
            let what = if open == b'{' { "expected an object" } else { "expected an array" };
            return self.fault(what);
        }
        self.space();
        Ok(!self.take(&[close]))
    }

    /// After an element: tells whether there is another; else the closing byte is taken.
    #[inline]
    pub fn more(&mut self, close: u8) -> Result<bool, Fault> {
        self.space();
        if self.take(b",") {
            self.space();
            return Ok(true);
        }
        if self.take(&[close]) { Ok(false) } else { self.fault("expected a comma or a bracket") }
    }

    /// Reads a key and its colon.
    #[inline]
    pub fn key(&mut self) -> Result<Quoted<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return self.fault("expected a key in quotes");
        }
        let key = self.string()?;
        self.space();
        if !self.take(b":") {
            return self.fault("expected a colon");
        }
        self.space();
        Ok(key)
    }

    /// Checks that nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.fault("text after the value") }
    }

    /// Reads one value.
    #[inline]
    pub fn value(&mut self) -> Result<Token<'a>, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'-' | b'0'..=b'9') => {
                let (text, integer) = self.number()?;
                Ok(if integer { Token::Integer(text) } else { Token::Decimal(text) })
            }
            Some(open @ (b'{' | b'[')) => {
                let nested = self.nested()?;
                Ok(if open == b'{' { Token::Object(nested) } else { Token::Array(nested) })
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token<'a>, Fault> {
        if self.take(b"null") {
            Ok(Token::Null)
        } else if self.take(b"true") {
            Ok(Token::Boolean(true))
        } else if self.take(b"false") {
            Ok(Token::Boolean(false))
        } else if self.at == self.text.len() {
            self.fault("the text ends too early")
        } else {
            self.fault("expected a JSON value")
        }
    }

    /// Reads a string from its quote on.
    #[inline]
    pub fn string(&mut self) -> Result<Quoted<'a>, Fault> {
        let start = self.at + 1;
        let mut at = start;
        let mut plain = true;
        loop {
            at += plain_prefix(&self.text[at..]);
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    at = escape_end(self.text, at)?;
                }
                Some(_) => return Err(Fault { at, what: "control character in a string" }),
                None => return Err(Fault { at, what: "the string does not end" }),
            }
        }
        self.at = at + 1;
        Ok(Quoted { raw: &self.text[start..at], plain })
    }

    /// Reads a number from its sign or first digit on; tells whether it is all digits.
    #[inline]
    pub fn number(&mut self) -> Result<(&'a [u8], bool), Fault> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.fault("expected a digit"),
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.some_digits()?;
        }
        Ok((&self.text[start..self.at], integer))
    }

    #[inline]
    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fault("expected a digit");
        }
        self.digits();
        Ok(())
    }

    /// Skips an object or array, checking it. One bit a level says what is open there.
    fn nested(&mut self) -> Result<Nested<'a>, Fault> {
        let start = self.at;
        let mut compact = true;
        let mut objects = [0_u64; DEPTH_MAX / 64];
        let mut depth = 0;
        loop {
            // Here a value starts.
            if let Some(open @ (b'{' | b'[')) = self.peek() {
                if depth == DEPTH_MAX {
                    return self.fault("nested too deep");
                }
                let is_object = open == b'{';
                let bit = 1 << (depth % 64);
                let level = &mut objects[depth / 64];
                *level = if is_object { *level | bit } else { *level & !bit };
                depth += 1;
                self.at += 1;
                compact &= !self.space();
                let close = if is_object { b'}' } else { b']' };
                if self.take(&[close]) {
                    depth -= 1;
                } else {
                    compact &= !is_object || self.nested_key()?;
                    continue;
                }
            } else {
                self.value()?;
            }
            // Here a value has ended: close levels until there is another element.
            loop {
                if depth == 0 {
                    return Ok(Nested { text: &self.text[start..self.at], compact });
                }
                compact &= !self.space();
                let is_object = objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                if self.take(b",") {
                    compact &= !self.space();
                    compact &= !is_object || self.nested_key()?;
                    break;
                }
                if !self.take(if is_object { b"}" } else { b"]" }) {
                    return self.fault("expected a comma or a bracket");
                }
                depth -= 1;
            }
        }
    }

    /// Reads a key inside a nested object; tells whether there was no white space around.
    fn nested_key(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'"') {
            return self.fault("expected a key in quotes");
        }
        self.string()?;
        let before = self.space();
        if !self.take(b":") {
            return self.fault("expected a colon");
        }
        let after = self.space();
        Ok(!before && !after)
    }
}

/// Checks the escape at `at`; returns where it ends. A high surrogate needs a low one behind it.
fn escape_end(text: &[u8], at: usize) -> Result<usize, Fault> {
    match text.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(text, at) {
            Some(0xd800..=0xdbff) => match unit(text, at + 6) {
                Some(0xdc00..=0xdfff) => Ok(at + 12),
                _ => Err(Fault { at, what: "lone surrogate" }),
            },
            Some(0xdc00..=0xdfff) => Err(Fault { at, what: "lone surrogate" }),
            Some(_) => Ok(at + 6),
            None => Err(Fault { at, what: "expected four hexadecimal digits" }),
        },
        _ => Err(Fault { at, what: "unknown escape" }),
    }
}

/// Reads `\uXXXX` at `at`.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let escape = text.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// Appends the characters of a checked string that has escapes.
fn unescape_into(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < raw.len() {
        let plain = plain_prefix(&raw[at..]);
        out.extend_from_slice(&raw[at..at + plain]);
        at += plain;
        let Some(&escape) = raw.get(at + 1) else { break };
        at += 2;
        let byte = match escape {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit_value = unit(raw, at - 2).unwrap_or(0);
                at += 4;
                if let 0xd800..=0xdbff = unit_value {
                    let low = unit(raw, at).unwrap_or(0xdc00);
                    unit_value = 0x10000 + ((unit_value - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                }
                let c = char::from_u32(unit_value).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => other,
        };
        out.push(byte);
    }
}

/// Appends a checked JSON text without the white space between its tokens.
fn compact_into(text: &[u8], out: &mut Vec<u8>) {
    let mut scanner = Scanner::new(text);
    while let Some(byte) = scanner.peek() {
        if byte == b'"' {
            let start = scanner.at;
            if scanner.string().is_err() {
                return;
            }
            out.extend_from_slice(&text[start..scanner.at]);
        } else {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                out.push(byte);
            }
            scanner.at += 1;
        }
    }
}
