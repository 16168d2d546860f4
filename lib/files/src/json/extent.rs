//! Finds where a JSON value ends, over blocks that come one after the other. Pure.

use memchr::memchr2;

/// Where in a value the search stands. Brackets are counted, not matched: what it finds is for
/// the scanner to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    depth: usize,
    inside: Inside,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    /// A number or a word, outside of brackets.
    Scalar,
    String,
    Escape,
}

impl Extent {
    /// Looks at the next bytes of the value; returns the offset behind it once its end is there.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.inside {
                Inside::Escape => {
                    self.inside = Inside::String;
                    at += 1;
                }
                Inside::String => {
                    let found = at + memchr2(b'"', b'\\', &bytes[at..])?;
                    at = found + 1;
                    self.inside = match bytes[found] {
                        b'"' => Inside::Nothing,
                        _ => Inside::Escape,
                    };
                    if self.inside == Inside::Nothing && self.depth == 0 {
                        return Some(at);
                    }
                }
                Inside::Nothing | Inside::Scalar => {
                    let byte = bytes[at];
                    if self.inside == Inside::Scalar && ends_scalar(byte) {
                        return Some(at);
                    }
                    at += 1;
                    if self.structural(byte) {
                        return Some(at);
                    }
                }
            }
        }
        None
    }

    /// Tells whether the value may end where the bytes end.
    pub(super) fn may_end(&self) -> bool {
        self.inside == Inside::Scalar
    }

    /// Takes a byte outside of strings; tells whether it ends the value.
    #[inline]
    fn structural(&mut self, byte: u8) -> bool {
        match byte {
            b'"' => self.inside = Inside::String,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ if self.depth == 0 => self.inside = Inside::Scalar,
            _ => {}
        }
        false
    }
}

fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_wherever_the_blocks_are_cut() {
        let values: [&str; 8] = [
            "{}",
            "[1,[2,{\"a\":\"]\"}],\"\\\"]\"]",
            "\"a\\\\\"",
            "\"\"",
            "\"\\u0022\"",
            "-12.5e3",
            "null",
            "{\"a\" : { \"b\":[ ] } }",
        ];
        for value in values {
            for after in [",1", "]", "}", " ", "\n"] {
                let text = format!("{value}{after}");
                for cut in 0..=value.len() {
                    let (head, tail) = text.as_bytes().split_at(cut);
                    let mut extent = Extent::default();
                    let end = match extent.find(head) {
                        Some(end) => end,
                        None => cut + extent.find(tail).unwrap(),
                    };
                    assert_eq!(end, value.len(), "{text} cut at {cut}");
                }
            }
        }
        for (open, ends) in [("12", true), ("{", false), ("\"a", false), ("\"a\\", false)] {
            let mut extent = Extent::default();
            assert_eq!(extent.find(open.as_bytes()), None, "{open}");
            assert_eq!(extent.may_end(), ends, "{open}");
        }
    }
}
