//! Turns other encodings into UTF-8, and fails where a byte has no meaning.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use encoding_rs::{DecoderResult, Encoding};
use singer::{Error, ErrorKind, Result};

/// The encoding of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8: the bytes pass as they are, and [`crate::Reader`] checks them.
    Utf8,
    /// ISO 8859-1 as Python has it: each byte is the character of that number. (On the web the
    /// same name means windows-1252, where 0x80 is the euro sign: say `cp1252` for that.)
    Latin1,
    /// UTF-16, by its byte order mark; without one by where its NUL bytes are, else little-endian.
    Utf16,
    /// ISO 8859-9 or 8859-11 (TIS-620). On the web their names mean a code page of Windows, which
    /// has characters at 0x80 to 0x9f; here these bytes have no meaning.
    Iso(&'static Encoding),
    /// One of the encodings of the WHATWG standard.
    Other(&'static Encoding),
}

/// A file whose encoding may be doubted, once for all files that share the flag.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub(crate) path: String,
    pub(crate) told: Arc<AtomicBool>,
}

impl Doubt {
    /// Warns that the encoding is doubtful, unless it was said before.
    pub(crate) fn tell(&self, encoding: &str, why: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            singer::warn!(
                "W-ENCODING-DOUBTFUL",
                "{} is read as {encoding}, but {why}: check `encoding`",
                self.path
            );
        }
    }
}

impl TextEncoding {
    /// Finds an encoding by the names that Python or the web know it by.
    ///
    /// Fails with `Config`.
    pub fn named(name: &str) -> Result<Self> {
        let word = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        Ok(match word.as_str() {
            // Every ASCII file is UTF-8.
            "utf-8" | "utf8" | "utf-8-sig" | "u8" | "ascii" | "us-ascii" => Self::Utf8,
            "latin-1" | "latin1" | "l1" | "iso-8859-1" | "iso8859-1" | "8859" => Self::Latin1,
            "utf-16" | "utf16" => Self::Utf16,
            _ => {
                let label = match word.as_str() {
                    "utf-16-le" | "utf16le" => "utf-16le",
                    "utf-16-be" | "utf16be" => "utf-16be",
                    "mac-roman" | "macroman" => "macintosh",
                    "cp874" => "windows-874",
                    "cp932" | "ms932" => "shift_jis",
                    "cp936" => "gbk",
                    "cp949" => "euc-kr",
                    "cp950" => "big5",
                    _ => &word,
                };
                let found = Encoding::for_label_no_replacement(label.as_bytes())
                    .or_else(|| Encoding::for_label_no_replacement(name.trim().as_bytes()));
                let found = found.ok_or_else(|| {
                    Error::new(ErrorKind::Config, "cannot find the encoding")
                        .with("encoding", name)
                        .hint(
                            "known names are utf-8, utf-16, latin-1, cp1252, shift_jis, gbk and \
                               so on",
                        )
                })?;
                // The web reads ISO 8859-1, -9 and -11 by the code pages of Windows; a name with
                // the number of the code page asks for it.
                let of_windows = ["125", "874"].iter().any(|number| word.contains(number));
                match found.name() {
                    "windows-1252" if word.starts_with("ansi-x3.4") => Self::Utf8,
                    "windows-1252" if !of_windows => Self::Latin1,
                    "windows-1254" | "windows-874" if !of_windows => Self::Iso(found),
                    _ => Self::Other(found),
                }
            }
        })
    }

    /// Wraps the input so that it reads UTF-8. What it reads fails with `Data` and the offset in
    /// the input where a byte has no meaning.
    pub fn decode<'a>(self, input: Box<dyn Read + Send + 'a>) -> Box<dyn Read + Send + 'a> {
        self.decode_doubting(input, None)
    }

    /// The same, telling of Latin-1 with bytes that are nothing but control characters in it: such
    /// text is mostly of a code page of Windows.
    pub(crate) fn decode_doubting<'a>(
        self,
        input: Box<dyn Read + Send + 'a>,
        doubt: Option<Doubt>,
    ) -> Box<dyn Read + Send + 'a> {
        let decoder = match self {
            Self::Utf8 => return input,
            Self::Latin1 => Decoder::Latin1(doubt),
            Self::Utf16 => Decoder::Sniff,
            Self::Iso(encoding) | Self::Other(encoding) => {
                Decoder::Standard(Box::new(encoding.new_decoder_with_bom_removal()))
            }
        };
        Box::new(Decoding {
            input,
            decoder,
            name: self.name(),
            lacking: self.lacking(),
            bytes: vec![0; BLOCK_BYTES],
            filled: 0,
            offset: 0,
            ended: false,
            text: vec![0; BLOCK_BYTES * 3 + 16],
            unread: 0..0,
        })
    }

    /// Returns the bytes that an encoding of single bytes lacks: the standard makes control
    /// characters of them, which nobody has written.
    fn lacking(self) -> Vec<u8> {
        let (encoding, is_iso) = match self {
            Self::Iso(encoding) => (encoding, true),
            Self::Other(encoding) if encoding.is_single_byte() => (encoding, false),
            _ => return Vec::new(),
        };
        let is_control = |byte: &u8| {
            let text = encoding.decode_without_bom_handling(std::slice::from_ref(byte)).0;
            text.chars().any(char::is_control)
        };
        CONTROLS.filter(|byte| is_iso || is_control(byte)).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Latin1 => "ISO-8859-1",
            Self::Utf16 => "UTF-16",
            Self::Iso(encoding) if encoding.name() == "windows-1254" => "ISO-8859-9",
            Self::Iso(_) => "ISO-8859-11",
            Self::Other(encoding) => encoding.name(),
        }
    }
}

const BLOCK_BYTES: usize = 64 << 10;

/// Where ISO 8859 has control characters, and the code pages of Windows have others.
const CONTROLS: std::ops::RangeInclusive<u8> = 0x80..=0x9f;

enum Decoder {
    Latin1(Option<Doubt>),
    Sniff,
    Standard(Box<encoding_rs::Decoder>),
}

struct Decoding<'a> {
    input: Box<dyn Read + Send + 'a>,
    decoder: Decoder,
    name: &'static str,
    /// Bytes that have no meaning, but are read as one.
    lacking: Vec<u8>,
    bytes: Vec<u8>,
    filled: usize,
    /// Bytes of the input before `bytes`.
    offset: u64,
    ended: bool,
    text: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl Decoding<'_> {
    /// Decodes another block into `text`.
    fn refill(&mut self) -> io::Result<()> {
        while self.filled < self.bytes.len() && !self.ended {
            match self.input.read(&mut self.bytes[self.filled..]) {
                Ok(0) => self.ended = true,
                Ok(bytes) => self.filled += bytes,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        if matches!(self.decoder, Decoder::Sniff) {
            let big = self.bytes[..self.filled].starts_with(b"\xfe\xff");
            let found = if big { encoding_rs::UTF_16BE } else { encoding_rs::UTF_16LE };
            self.decoder = Decoder::Standard(Box::new(found.new_decoder_with_bom_removal()));
        }
        let bytes = &self.bytes[..self.filled];
        let Decoder::Standard(decoder) = &mut self.decoder else {
            // Looked for until it was found once.
            if let Decoder::Latin1(waiting @ Some(_)) = &mut self.decoder
                && let Some(at) = bytes.iter().position(|byte| CONTROLS.contains(byte))
                && let Some(doubt) = waiting.take()
            {
                let (byte, at) = (bytes[at], self.offset + at as u64);
                let why = format!("byte {at} (0x{byte:x}) is no character in it, as in cp1252");
                doubt.tell(self.name, &why);
            }
            let written = encoding_rs::mem::convert_latin1_to_utf8(bytes, &mut self.text);
            self.unread = 0..written;
            self.offset += bytes.len() as u64;
            self.filled = 0;
            return Ok(());
        };
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, self.ended);
        self.unread = 0..written;
        if let DecoderResult::Malformed(bad, after) = result {
            let at = (self.offset + read as u64).saturating_sub(u64::from(bad) + u64::from(after));
            return Err(unreadable(self.name, at));
        }
        let lacks = |byte: &u8| self.lacking.contains(byte);
        if !self.lacking.is_empty()
            && let Some(at) = bytes[..read].iter().position(|byte| *byte >= 0x80 && lacks(byte))
        {
            return Err(unreadable(self.name, self.offset + at as u64));
        }
        self.offset += read as u64;
        self.bytes.copy_within(read..self.filled, 0);
        self.filled -= read;
        Ok(())
    }
}

fn unreadable(encoding: &str, at: u64) -> io::Error {
    io::Error::other(
        Error::new(ErrorKind::Data, "cannot read the text in its encoding")
            .with("encoding", encoding)
            .with("byte", at)
            .hint(
                "set `encoding` to the encoding of the file; text of Windows is of a code page, \
                 such as cp1250 to cp1258",
            ),
    )
}

impl Read for Decoding<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            if self.ended && self.filled == 0 {
                return Ok(0);
            }
            self.refill()?;
        }
        let bytes = buffer.len().min(self.unread.len());
        let from = self.unread.start;
        buffer[..bytes].copy_from_slice(&self.text[from..from + bytes]);
        self.unread.start += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use testing::drip::Drip;

    use super::*;

    fn read(name: &str, bytes: &[u8], drip: usize) -> Result<String> {
        let mut out = Vec::new();
        let input = Box::new(Drip(bytes, drip));
        let mut input = TextEncoding::named(name)?.decode(input);
        input.read_to_end(&mut out).map_err(crate::failure::read_failure)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn reads_encodings_by_their_usual_names() {
        let check = |name: &str, bytes: &[u8], text: &str| {
            for drip in [1, 3, 1000] {
                assert_eq!(read(name, bytes, drip).unwrap(), text, "{name}");
            }
        };
        check("utf-8", "é€".as_bytes(), "é€");
        check("latin-1", b"caf\xe9 \x80", "café \u{80}");
        check("cp1252", b"caf\xe9 \x80", "café €");
        check("windows-1252", b"\x80", "€");
        check("utf-16", b"\xff\xfea\0\xe9\0", "aé");
        check("UTF_16", b"\xfe\xff\0a\0\xe9", "aé");
        check("utf-16le", b"a\0\x3d\xd8\x00\xde", "a😀");
        check("utf-16be", b"\xfe\xff\0a", "a");
        check("shift_jis", b"\x93\xfa\x96\x7b", "日本");
        check("iso-8859-15", b"\xa4", "€");
        check("iso-8859-9", b"\xf0\xfd\xa0", "ğı\u{a0}");
        check("latin5", b"\xfe", "ş");
        check("windows-1254", b"\x80", "€");
        check("tis-620", b"\xa1", "ก");
        check("cp874", b"\x85\xa1", "…ก");
        check("cp819", b"\x9f\xe9", "\u{9f}é");
        check("ISO_8859-1:1987", b"\x80", "\u{80}");
        check("koi8-r", b"\x80\xc1", "─а");
        check("latin-1", &vec![0xe9; 200_000], &"é".repeat(200_000));
    }

    #[test]
    fn refuses_bytes_without_a_meaning() {
        let check = |name: &str, bytes: &[u8], at: &str| {
            for drip in [1, 1000] {
                let failure = read(name, bytes, drip).unwrap_err();
                assert_eq!(failure.kind(), ErrorKind::Data, "{name}");
                assert_eq!(failure.context("byte"), Some(at), "{name}");
            }
        };
        check("shift_jis", b"ab\xff", "2");
        check("cp1252", b"\x80\x81", "1");
        check("cp1252", b"abc\x9d", "3");
        check("windows-1255", b"a\xd9", "1");
        check("windows-874", b"\x85\x81", "1");
        for (name, bytes) in [
            ("iso-8859-9", b"ab\x80"),
            ("latin5", b"ab\x9e"),
            ("tis-620", b"ab\x85"),
            ("iso-8859-11", b"ab\x93"),
            ("iso-8859-2", b"ab\x8a"),
            ("iso-8859-15", b"ab\x9f"),
            ("latin2", b"ab\x85"),
        ] {
            check(name, bytes, "2");
        }
        assert_eq!(TextEncoding::named("ANSI_X3.4-1968").unwrap(), TextEncoding::Utf8);
        check("utf-16le", b"a\0\x00\xdcb\0", "2");
        check("utf-16le", b"a\0b", "2");
        assert_eq!(TextEncoding::named("klingon").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(TextEncoding::named("replacement").unwrap_err().kind(), ErrorKind::Config);
    }
}
