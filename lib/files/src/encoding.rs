//! Turns other encodings into UTF-8, and fails where a byte has no meaning.

use std::io::{self, Read};

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
    /// One of the encodings of the WHATWG standard.
    Other(&'static Encoding),
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
                    "cp932" | "ms932" => "shift_jis",
                    "cp936" => "gbk",
                    "cp949" => "euc-kr",
                    "cp950" => "big5",
                    _ => &word,
                };
                let found = Encoding::for_label_no_replacement(label.as_bytes())
                    .or_else(|| Encoding::for_label_no_replacement(name.trim().as_bytes()));
                Self::Other(found.ok_or_else(|| {
                    Error::new(ErrorKind::Config, "cannot find the encoding")
                        .with("encoding", name)
                        .hint(
                            "known names are utf-8, utf-16, latin-1, cp1252, shift_jis, gbk and \
                               so on",
                        )
                })?)
            }
        })
    }

    /// Wraps the input so that it reads UTF-8. What it reads fails with `Data` and the offset in
    /// the input where a byte has no meaning.
    pub fn decode<'a>(self, input: Box<dyn Read + Send + 'a>) -> Box<dyn Read + Send + 'a> {
        let decoder = match self {
            Self::Utf8 => return input,
            Self::Latin1 => Decoder::Latin1,
            Self::Utf16 => Decoder::Sniff,
            Self::Other(encoding) => {
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

    /// Returns the bytes that a code page of Windows lacks: the standard makes control characters
    /// of them, which nobody has written.
    fn lacking(self) -> Vec<u8> {
        let Self::Other(encoding) = self else { return Vec::new() };
        if !encoding.name().starts_with("windows-") {
            return Vec::new();
        }
        let is_control = |byte: &u8| {
            let text = encoding.decode_without_bom_handling(std::slice::from_ref(byte)).0;
            text.chars().any(char::is_control)
        };
        (0x80..=0x9f).filter(is_control).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Latin1 => "ISO-8859-1",
            Self::Utf16 => "UTF-16",
            Self::Other(encoding) => encoding.name(),
        }
    }
}

const BLOCK_BYTES: usize = 64 << 10;

enum Decoder {
    Latin1,
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
            .hint("set `encoding` to the encoding of the file"),
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
        check("utf-16le", b"a\0\x00\xdcb\0", "2");
        check("utf-16le", b"a\0b", "2");
        assert_eq!(TextEncoding::named("klingon").unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(TextEncoding::named("replacement").unwrap_err().kind(), ErrorKind::Config);
    }
}
