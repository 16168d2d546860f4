//! Whether a last line was cut off, or is broken in itself (pure).

/// Tells whether a line with a fault at this byte could be JSON with more behind it.
pub(crate) fn may_go_on(line: &[u8], fault: usize) -> bool {
    let Some(rest) = line.get(fault..) else { return false };
    let word = ["null", "true", "false"].iter().any(|word| word.as_bytes().starts_with(rest));
    let escape = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'\\' | b'u');
    word || rest.first() == Some(&b'\\') && rest.iter().all(escape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Line;

    #[test]
    fn a_line_is_cut_off_where_more_would_make_it_json() {
        let line = r#"{"a":[null,true,-1.5e+7,{"b\u00e9":"\ud83c\udf89\n"}],"c":false} "#;
        let is_cut = |text: &str| {
            let fault = Line::read(text.as_bytes()).unwrap_err();
            may_go_on(text.as_bytes(), fault.at)
        };
        for end in 1..line.len() - 1 {
            assert!(is_cut(&line[..end]), "{}", &line[..end]);
        }
        for whole in [
            "x",
            r#"{"a":1}}"#,
            r#"{"a":1}{"#,
            r#"{"a":nul}"#,
            r#"{"a":"\ud83c"}"#,
            r#"{"a":"\x41"}"#,
            "{\"a\":\"\u{1}\"}",
            r#"{"a":01}"#,
        ] {
            assert!(!is_cut(whole), "{whole}");
        }
    }
}
