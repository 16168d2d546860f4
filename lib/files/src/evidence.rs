//! What the first bytes of a text file prove about its encoding. Pure.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use singer::{Error, ErrorKind, Result};

use crate::encoding::TextEncoding;

/// How many bytes are looked at.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// What the first bytes leave no doubt of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// The byte order mark of UTF-8.
    Utf8,
    /// The byte order mark of UTF-16, or NUL bytes where UTF-16 has them.
    Utf16(&'static Encoding),
    /// The byte order mark of UTF-32.
    Utf32,
    /// Text in an encoding that has ASCII's characters as single bytes.
    Bytes,
}

/// Compares a setting with what the first bytes prove; returns the encoding to read by.
///
/// What the bytes prove beats what the setting says: a contradiction is an error that names both.
/// Bytes that prove nothing are read as the setting says.
///
/// Fails with `Data`.
pub(crate) fn compare(setting: TextEncoding, head: &[u8]) -> Result<TextEncoding> {
    let Some(proof) = Proof::of(head) else { return Ok(setting) };
    let fits = match (setting, proof) {
        (TextEncoding::Utf16, Proof::Utf16(found)) => return Ok(TextEncoding::Other(found)),
        (TextEncoding::Other(named), Proof::Utf16(found)) => named == found,
        (TextEncoding::Utf8, Proof::Utf8) => true,
        (TextEncoding::Other(named), Proof::Utf8) => named == UTF_8,
        (setting, Proof::Bytes) => !is_utf_16(setting),
        _ => false,
    };
    if fits {
        return Ok(setting);
    }
    let failure =
        Error::new(ErrorKind::Data, "cannot read the file in the encoding of its setting")
            .with("encoding", setting.name())
            .with("the first bytes are", proof.words());
    Err(match proof {
        Proof::Utf8 => failure.hint("set `encoding` to utf-8"),
        Proof::Utf16(_) => failure.hint("set `encoding` to utf-16"),
        Proof::Utf32 => failure.hint("write the file as UTF-8"),
        Proof::Bytes => failure.hint("set `encoding` to utf-8, cp1252 or another encoding"),
    })
}

/// Tells whether text that is to be read byte by byte is UTF-8 with characters beyond ASCII: then
/// the setting is likely to be wrong, though it need not be.
pub(crate) fn looks_like_utf_8(setting: TextEncoding, head: &[u8]) -> bool {
    let single = match setting {
        TextEncoding::Latin1 | TextEncoding::Iso(_) => true,
        TextEncoding::Other(named) => named.is_single_byte(),
        TextEncoding::Utf8 | TextEncoding::Utf16 => false,
    };
    let Some(text) = whole_utf_8(head).filter(|_| single) else { return false };
    let mut found = text.char_indices().filter(|(_, c)| !c.is_ascii());
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => true,
        (Some((at, _)), None) => is_no_western_text(setting, head, at),
        (None, _) => false,
    }
}

/// Tells whether the bytes of one character in UTF-8 are hardly anything in an encoding of Western
/// Europe. The first one is a capital there, mostly `Â` or `Ã`, which may end a word in capitals;
/// of two bytes the second one is a sign, and few stand behind a word.
fn is_no_western_text(setting: TextEncoding, head: &[u8], at: usize) -> bool {
    let is_latin_1 = setting == TextEncoding::Latin1;
    let is_western = match setting {
        TextEncoding::Other(named) => ["windows-1252", "ISO-8859-15"].contains(&named.name()),
        _ => is_latin_1,
    };
    let follows_capital = at > 0 && head[at - 1].is_ascii_uppercase();
    let is_behind_words = match head.get(at..at + 2) {
        // Quotes, dashes and dots of Windows; control characters in Latin-1.
        Some([0xc2..=0xdf, 0x80..=0x9f]) => !is_latin_1,
        // A hard space, guillemets, (c), (r), ordinals, a degree and the like.
        Some([0xc2..=0xdf, sign]) => {
            matches!(sign, 0xa0 | 0xa9..=0xab | 0xae | 0xb0 | 0xb2 | 0xb3 | 0xb7 | 0xb9..=0xbb)
        }
        _ => false,
    };
    is_western && !(follows_capital && is_behind_words)
}

fn is_utf_16(setting: TextEncoding) -> bool {
    match setting {
        TextEncoding::Utf16 => true,
        TextEncoding::Other(named) => named == UTF_16LE || named == UTF_16BE,
        TextEncoding::Utf8 | TextEncoding::Latin1 | TextEncoding::Iso(_) => false,
    }
}

impl Proof {
    fn of(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Self::Utf32,
            [0xff, 0xfe, ..] => Self::Utf16(UTF_16LE),
            [0xfe, 0xff, ..] => Self::Utf16(UTF_16BE),
            [0xef, 0xbb, 0xbf, ..] => Self::Utf8,
            _ => return Self::without_mark(head),
        })
    }

    fn without_mark(head: &[u8]) -> Option<Self> {
        let nuls = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
        match (nuls(0), nuls(1)) {
            (0, 0) => is_bytes(head).then_some(Self::Bytes),
            // Delimiters and line ends alone make more than these; one alone is a stray NUL.
            (0, low) if low > 1 && low * 16 >= head.len() => Some(Self::Utf16(UTF_16LE)),
            (high, 0) if high > 1 && high * 16 >= head.len() => Some(Self::Utf16(UTF_16BE)),
            _ => None,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Utf8 => "the byte order mark of UTF-8".to_owned(),
            Self::Utf16(found) => format!("{} text", found.name()),
            Self::Utf32 => "the byte order mark of UTF-32".to_owned(),
            Self::Bytes => "text with one byte a character, not UTF-16".to_owned(),
        }
    }
}

/// Tells whether bytes without a NUL cannot be UTF-16: that has a NUL in each delimiter and each
/// line end, so what is no text in single bytes, or too short, is left open.
fn is_bytes(head: &[u8]) -> bool {
    let has_line_end = head.contains(&b'\n') || head.contains(&b'\r');
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let ascii = head.iter().filter(|byte| is_text(byte)).count();
    let plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let is_utf_8 = whole_utf_8(head).is_some_and(|text| text.chars().all(plain));
    (is_utf_8 && (has_line_end || head.len() >= 8)) || (has_line_end && ascii * 4 >= head.len() * 3)
}

/// Returns the bytes as UTF-8, but for a character that the end of the head may have cut.
fn whole_utf_8(head: &[u8]) -> Option<&str> {
    match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(cause) if cause.error_len().is_none() && head.len() >= HEAD_BYTES => {
            std::str::from_utf8(&head[..cause.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    fn verdict(setting: &str, head: &[u8]) -> Result<TextEncoding> {
        compare(TextEncoding::named(setting).unwrap(), head)
    }

    #[test]
    fn a_setting_that_the_bytes_contradict_is_refused_with_both() {
        let text = "id,näme\n1,日本\n";
        let little = utf_16(text, u16::to_le_bytes);
        let big = utf_16(text, u16::to_be_bytes);
        let marked = |order| utf_16(&format!("\u{feff}{text}"), order);
        let latin = b"id,n\n1,caf\xe9\n2,x\n";
        let utf_32: Vec<u8> = "\u{feff}id".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let mark = format!("\u{feff}{text}");
        for (settings, head) in [
            (&["utf-16", "utf-16le", "utf-16be"][..], text.as_bytes()),
            (&["utf-16", "utf-16le", "utf-16be"], b"id,n\n1,ab\n"),
            (&["utf-16", "utf-16le"], b"id;name;city"),
            (&["utf-16", "utf-16be"], latin),
            (&["utf-8", "latin-1", "cp1252", "shift_jis", "utf-16be"], &little),
            (&["utf-8", "ascii", "iso-8859-15", "gbk", "utf-16le"], &big),
            (&["utf-8", "latin-1", "utf-16be"], &marked(u16::to_le_bytes)),
            (&["utf-8", "cp1252", "utf-16le"], &marked(u16::to_be_bytes)),
            (&["latin-1", "cp1252", "shift_jis", "utf-16", "utf-16le"], mark.as_bytes()),
            (&["utf-8", "utf-16", "utf-16le", "latin-1"], &utf_32),
        ] {
            for setting in settings {
                let failure = verdict(setting, head).unwrap_err();
                assert_eq!(failure.kind(), ErrorKind::Data, "{setting} {head:?}");
                assert!(failure.context("encoding").is_some() && failure.has_hint(), "{failure}");
                assert!(failure.context("the first bytes are").is_some(), "{failure}");
            }
        }
    }

    #[test]
    fn what_the_bytes_leave_open_is_read_as_the_setting_says() {
        let little = utf_16("id,n\n1,é\n", u16::to_le_bytes);
        let big = utf_16("id,n\n1,é\n", u16::to_be_bytes);
        let chinese = utf_16("上海是一座城市而且很大", u16::to_le_bytes);
        let found = |setting, head: &[u8]| verdict(setting, head).unwrap();
        assert_eq!(found("utf-16", &little), TextEncoding::Other(UTF_16LE));
        assert_eq!(found("utf-16", &big), TextEncoding::Other(UTF_16BE));
        for (setting, head) in [
            ("utf-8", "\u{feff}id\n1\n".as_bytes()),
            ("utf-8", "id,näme\n".as_bytes()),
            ("latin-1", "id,näme\n".as_bytes()),
            ("latin-1", b"id,caf\xe9\n"),
            ("cp1252", b"plain ascii\n"),
            ("shift_jis", b"\x93\xfa\x96\x7b\n"),
            ("utf-16le", &little),
            ("utf-16be", &big),
            ("utf-16", &chinese),
            ("utf-16le", &chinese),
            ("utf-16", b""),
            ("utf-8", b""),
            ("utf-8", b"a\0b,c\nsome more text\n"),
        ] {
            assert_eq!(found(setting, head), TextEncoding::named(setting).unwrap(), "{head:?}");
        }
    }

    #[test]
    fn text_that_is_utf_8_beyond_ascii_makes_single_bytes_doubtful() {
        let doubtful =
            |setting, head: &[u8]| looks_like_utf_8(TextEncoding::named(setting).unwrap(), head);
        assert!(doubtful("latin-1", "näme,straße\n".as_bytes()));
        assert!(doubtful("cp1252", "näme,straße\n".as_bytes()));
        for text in ["café\n", "voilà,x\n", "GRÖSSE 5 £", "ÜBER", "it’s", "10 €\n"] {
            assert!(doubtful("latin-1", text.as_bytes()), "{text}");
        }
        for text in ["café\n", "voilà,x\n", "étoile", "x,\u{a0}", "it’s", "10 €\n", "name 😀"]
        {
            assert!(doubtful("cp1252", text.as_bytes()), "{text}");
        }
        // AMANHÃ before a guillemet, a dash or a hard space; CAFÉ®; Cyrillic.
        for text in [&b"AMANH\xc3\xbb"[..], b"IRM\xc3\x94", b"IRM\xc3\x96", b"MA\xc3\xa0x"] {
            assert!(!doubtful("cp1252", text), "{text:?}");
        }
        assert!(!doubtful("cp1252", b"CAF\xc9\xae"));
        assert!(!doubtful("windows-1251", b"\xd0\xb8\n"));
        assert!(!doubtful("utf-8", "näme,straße\n".as_bytes()));
        assert!(!doubtful("latin-1", b"caf\xe9,stra\xdfe\n"));
        assert!(!doubtful("latin-1", b"plain\n"));
        assert!(!doubtful("shift_jis", "näme,straße\n".as_bytes()));
    }
}
