//! The text format of COPY: escape and unescape one field (pure).

/// The field that stands for null.
pub const NULL: &[u8] = b"\\N";

/// Appends a field to COPY text, with its special characters escaped.
#[inline]
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let special = rest.iter().position(|b| matches!(b, b'\\' | b'\t' | b'\n' | b'\r'));
        let Some(at) = special else { break };
        out.extend_from_slice(&rest[..at]);
        let code = match rest[at] {
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            other => other,
        };
        out.extend_from_slice(&[b'\\', code]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends the value of a field of COPY text as the server writes it.
#[inline]
pub fn unescape(field: &[u8], out: &mut Vec<u8>) {
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(code) = rest.get(at + 1) else {
            out.push(b'\\');
            return;
        };
        out.push(match code {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            other => *other,
        });
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (1..=255).collect();
        let (mut escaped, mut back) = (Vec::new(), Vec::new());
        escape(&all, &mut escaped);
        assert!(!escaped.contains(&b'\n') && !escaped.contains(&b'\t'));
        unescape(&escaped, &mut back);
        assert_eq!(back, all);
    }

    #[test]
    fn reads_the_escapes_of_the_server() {
        let check = |field: &str, expected: &[u8]| {
            let mut out = Vec::new();
            unescape(field.as_bytes(), &mut out);
            assert_eq!(out, expected, "{field}");
        };
        check("", b"");
        check("a\\\\N\\.\\v\\f\\b", b"a\\N.\x0b\x0c\x08");
        check("end\\", b"end\\");
    }
}
