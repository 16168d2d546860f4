//! CSV text: a NULL is an empty field, an empty string is `""`, quotes are doubled.

mod reader;
#[cfg(test)]
mod round_trip;
mod writer;

pub use reader::CsvReader;
pub use writer::CsvWriter;

/// How fields are written.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Text that a spreadsheet would take for a formula gets a `'` before it.
    pub spreadsheet_safe: bool,
}

impl Dialect {
    /// What partitions are written in.
    pub const LOSSLESS: Self = Self { delimiter: b',', spreadsheet_safe: false };

    /// Appends a field with this text, quoted when it must be.
    #[inline]
    pub fn field(self, text: &[u8], out: &mut Vec<u8>) {
        let special = |byte: &u8| {
            *byte == self.delimiter || *byte == b'"' || *byte == b'\n' || *byte == b'\r'
        };
        // Without an early exit, so that it is done many bytes at a time.
        let special = text.iter().fold(0, |found, byte| found | u8::from(special(byte))) != 0;
        // Readers take a mark of the encoding at the start of a file for none of its text.
        let is_marked = text.starts_with("\u{feff}".as_bytes());
        if special || text.is_empty() || text == b"\\." || is_marked {
            quoted(text, out);
        } else {
            out.extend_from_slice(text);
        }
    }

    /// Appends a field of free text.
    #[inline]
    pub fn text(self, text: &[u8], out: &mut Vec<u8>) {
        const FORMULA_STARTS: &[u8] = b"=+-@\t\r";
        if self.spreadsheet_safe
            && let Some(first) = text.first()
            && FORMULA_STARTS.contains(first)
        {
            let mut safe = Vec::with_capacity(text.len() + 1);
            safe.push(b'\'');
            safe.extend_from_slice(text);
            return self.field(&safe, out);
        }
        self.field(text, out);
    }
}

/// A `\.` alone on a line would end a COPY, so it is quoted too.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 8);
    out.push(b'"');
    for part in text.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// Copies CSV text block by block, without its first record and with a suffix to each other one.
#[derive(Debug)]
pub struct Padding<'a> {
    suffix: &'a [u8],
    in_quotes: bool,
    in_header: bool,
}

impl<'a> Padding<'a> {
    /// Pads records by `suffix`: one delimiter for each column they lack.
    pub fn new(suffix: &'a [u8]) -> Self {
        Self { suffix, in_quotes: false, in_header: true }
    }

    /// Pads the records from here on by another suffix.
    pub fn go_on(&mut self, suffix: &'a [u8]) {
        self.suffix = suffix;
    }

    /// Copies the next block; records may go on in the next one. Returns how many ended.
    pub fn copy(&mut self, block: &[u8], out: &mut Vec<u8>) -> u64 {
        let mut records = 0;
        for byte in block {
            self.in_quotes ^= *byte == b'"';
            let ends = *byte == b'\n' && !self.in_quotes;
            if self.in_header {
                self.in_header = !ends;
                continue;
            }
            if ends {
                out.extend_from_slice(self.suffix);
                records += 1;
            }
            out.push(*byte);
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_what_needs_it() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            Dialect::LOSSLESS.text(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("", "\"\"");
        check("plain", "plain");
        check(" space ", " space ");
        check("a,b", "\"a,b\"");
        check("a\"b", "\"a\"\"b\"");
        check("\"", "\"\"\"\"");
        check("a\nb", "\"a\nb\"");
        check("a\rb", "\"a\rb\"");
        check("\\.", "\"\\.\"");
        check("\\.x", "\\.x");
        check("\u{feff}id", "\"\u{feff}id\"");
        check("\\N", "\\N");
        check("=1+1", "=1+1");
        check("ä;\t'", "ä;\t'");
        check("{\"a\":\"b\"}", "\"{\"\"a\"\":\"\"b\"\"}\"");
    }

    #[test]
    fn other_dialects_quote_their_own_delimiter_and_defuse_formulas() {
        let dialect = Dialect { delimiter: b';', spreadsheet_safe: true };
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            dialect.text(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("a,b", "a,b");
        check("a;b", "\"a;b\"");
        check("=1+1", "'=1+1");
        check("-x", "'-x");
        check("\rx", "\"'\rx\"");
        check("a=b", "a=b");
    }

    #[test]
    fn pads_records_wherever_blocks_are_cut() {
        let before = "\"i\nd\",n\n1,\"a\n\"\"b\"\"\"\n2,\n,\"\"\n";
        let after = "1,\"a\n\"\"b\"\"\",,\n2,,,\n,\"\",,\n";
        for size in 1..before.len() {
            let mut padding = Padding::new(b",,");
            let mut out = Vec::new();
            let blocks = before.as_bytes().chunks(size);
            let records: u64 = blocks.map(|block| padding.copy(block, &mut out)).sum();
            assert_eq!((String::from_utf8(out).unwrap().as_str(), records), (after, 3));
        }
    }
}
