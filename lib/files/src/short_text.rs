//! A text of a few bytes that is copied, not borrowed: a delimiter, the beginning of a comment.

use std::fmt;

use singer::{Error, ErrorKind, Result};

/// A text of 1 to [`ShortText::BYTES_MAX`] bytes without line ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl ShortText {
    /// How long it may be.
    pub const BYTES_MAX: usize = 20;

    /// Reads a setting; `\t` in it is a tab.
    ///
    /// Fails with `Config` for an empty text, a long one, and one with a line end or NUL.
    pub fn read(setting: &str, text: &str) -> Result<Self> {
        let plain = text.replace("\\t", "\t");
        let fits = (1..=Self::BYTES_MAX).contains(&plain.len());
        if !fits || plain.contains(['\n', '\r', '\0']) {
            return Err(Error::new(ErrorKind::Config, "cannot use this text as a delimiter")
                .with("setting", setting)
                .with("value", text)
                .hint(format!(
                    "give 1 to {} bytes without line ends; \\t is a tab",
                    Self::BYTES_MAX
                )));
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[..plain.len()].copy_from_slice(plain.as_bytes());
        Ok(Self { bytes, length: u8::try_from(plain.len()).unwrap_or_default() })
    }

    /// Returns the bytes; never none.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Returns the first byte.
    #[inline]
    pub fn first(&self) -> u8 {
        self.bytes[0]
    }

    /// Tells whether there are several bytes.
    #[inline]
    pub fn is_long(&self) -> bool {
        self.length > 1
    }
}

impl From<u8> for ShortText {
    fn from(byte: u8) -> Self {
        let mut bytes = [0; Self::BYTES_MAX];
        bytes[0] = byte;
        Self { bytes, length: 1 }
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_few_bytes_and_nothing_else() {
        for (text, bytes) in [
            (",", ","),
            ("\\t", "\t"),
            ("||", "||"),
            ("§", "§"),
            ("\\t|\\t", "\t|\t"),
            ("\u{1f}", "\u{1f}"),
            ("12345678901234567890", "12345678901234567890"),
        ] {
            let found = ShortText::read("delimiter", text).unwrap();
            assert_eq!(found.as_bytes(), bytes.as_bytes());
            assert_eq!(found.to_string(), bytes);
            assert_eq!(found.is_long(), bytes.len() > 1, "{text:?}");
        }
        assert_eq!(ShortText::from(b';'), ShortText::read("delimiter", ";").unwrap());
        for text in ["", "\n", "a\r", "\0", "123456789012345678901"] {
            let failure = ShortText::read("delimiter", text).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{text:?}");
            assert_eq!(failure.context("setting"), Some("delimiter"));
        }
    }
}
