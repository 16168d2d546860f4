//! How a CSV file is written: delimiter, quotes, escapes, and how strictly it is read.

use singer::{Error, ErrorKind, Result};

use crate::short_text::ShortText;

/// The dialect of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are the names everyone knows them by")]
pub struct Dialect {
    /// What stands between fields.
    pub delimiter: ShortText,
    /// The byte around fields; without one quotes are ordinary text.
    pub quote: Option<u8>,
    /// The byte that makes the next one ordinary, inside and outside of quotes.
    pub escape: Option<u8>,
    /// A quote inside a quoted field is written twice.
    pub double_quote: bool,
    /// Spaces after a delimiter are not part of the field.
    pub skip_initial_space: bool,
    /// Quotes at odd places are failures, else ordinary text: a quoted field with text behind its
    /// closing quote is as it stands.
    pub strict: bool,
    /// What begins a line that is no record, and is skipped.
    pub comment: Option<ShortText>,
    /// NUL bytes are text.
    pub nul_allowed: bool,
    /// A byte order mark at the start of a later record is text, and is not skipped as what a
    /// file had that was put together with others.
    pub marks_allowed: bool,
    /// The longest record; a longer one is a failure.
    pub record_bytes_max: usize,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: ShortText::from(b','),
            quote: Some(b'"'),
            escape: None,
            double_quote: true,
            skip_initial_space: false,
            strict: false,
            comment: None,
            nul_allowed: false,
            marks_allowed: false,
            record_bytes_max: 64 << 20,
        }
    }
}

/// The ceiling of [`Dialect::record_bytes_max`]: positions in a record are 32 bits wide.
pub const RECORD_BYTES_CEILING: usize = 1 << 30;

impl Dialect {
    /// The dialect of the lake: Postgres COPY CSV, where every byte counts.
    pub fn lake() -> Self {
        Self { strict: true, nul_allowed: true, marks_allowed: true, ..Self::default() }
    }

    /// Checks that the parts of the dialect fit together.
    ///
    /// Fails with `Config`.
    pub fn check(self) -> Result<Self> {
        let clash = |first: &str, second: &str| {
            Error::new(ErrorKind::Config, "cannot use the same character for two purposes")
                .with("settings", format!("{first}, {second}"))
        };
        let delimiter = self.delimiter.as_bytes();
        if self.quote.is_some_and(|quote| delimiter.contains(&quote)) {
            return Err(clash("delimiter", "quotechar"));
        }
        if self.escape.is_some_and(|escape| delimiter.contains(&escape)) {
            return Err(clash("delimiter", "escapechar"));
        }
        if self.skip_initial_space && self.delimiter.first() == b' ' {
            return Err(clash("delimiter", "skipinitialspace"));
        }
        if let Some(comment) = &self.comment {
            // A record can begin with each of these.
            let text = comment.as_bytes();
            if text.starts_with(delimiter) || delimiter.starts_with(text) {
                return Err(clash("comment", "delimiter"));
            }
            if self.quote == Some(comment.first()) {
                return Err(clash("comment", "quotechar"));
            }
            if self.escape == Some(comment.first()) {
                return Err(clash("comment", "escapechar"));
            }
        }
        if self.record_bytes_max == 0 || self.record_bytes_max > RECORD_BYTES_CEILING {
            return Err(Error::new(ErrorKind::Config, "cannot use this limit of a record's size")
                .with("bytes", self.record_bytes_max)
                .hint(format!("use 1 to {RECORD_BYTES_CEILING} bytes")));
        }
        // As in the reference plugin: a doubled quote is then one way to escape a quote anyway.
        Ok(if self.escape == self.quote { Self { escape: None, ..self } } else { self })
    }
}

/// Reads a setting that names one byte: the character itself, or `\t`.
///
/// Fails with `Config` for none, several, or one outside of ASCII.
pub fn one_byte(setting: &str, text: &str) -> Result<u8> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err(Error::new(ErrorKind::Config, "cannot use this text as a single character")
            .with("setting", setting)
            .with("value", text)
            .hint("give one ASCII character other than a line end, or \\t")),
    }
}

/// Reads a setting that names one byte or, when empty, none.
pub fn byte_or_none(setting: &str, text: &str) -> Result<Option<u8>> {
    if text.is_empty() { Ok(None) } else { one_byte(setting, text).map(Some) }
}

/// The bytes that are hardly part of the only name of a text: the usual delimiters and rarer ones.
const DELIMITERS_DOUBTED: [u8; 9] = [b',', b';', b'\t', b'|', b'~', b'^', 1, 0x1e, 0x1f];

/// Returns what is probably the delimiter of a text whose only column has this name.
pub fn other_delimiter(name: &[u8]) -> Option<char> {
    DELIMITERS_DOUBTED.into_iter().find(|byte| name.contains(byte)).map(char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_ascii_character_and_nothing_else() {
        for (text, byte) in [(",", b','), ("\\t", b'\t'), ("\t", b'\t'), ("|", b'|')] {
            assert_eq!(one_byte("delimiter", text).unwrap(), byte);
        }
        for text in ["", "||", "§", "\n", "\r", "\0", "\\n"] {
            let failure = one_byte("delimiter", text).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{text:?}");
            assert_eq!(failure.context("setting"), Some("delimiter"));
        }
        assert_eq!(byte_or_none("quotechar", "").unwrap(), None);
    }

    #[test]
    fn refuses_one_character_for_two_purposes() {
        let dialect = Dialect::default();
        for bad in [
            Dialect { delimiter: ShortText::from(b'"'), ..dialect },
            Dialect { delimiter: ShortText::read("", "|\"").unwrap(), ..dialect },
            Dialect { escape: Some(b','), ..dialect },
            Dialect { record_bytes_max: 0, ..dialect },
            Dialect { delimiter: ShortText::from(b' '), skip_initial_space: true, ..dialect },
            Dialect { comment: Some(ShortText::from(b'"')), ..dialect },
            Dialect { comment: Some(ShortText::from(b',')), ..dialect },
            Dialect { comment: Some(ShortText::read("", ",#").unwrap()), ..dialect },
            Dialect { comment: Some(ShortText::from(b'#')), escape: Some(b'#'), ..dialect },
        ] {
            assert_eq!(bad.check().unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        }
        let same = Dialect { escape: Some(b'"'), ..dialect };
        assert_eq!(same.check().unwrap(), dialect);
    }
}
