//! What is left of a text of which a part may be seen.

/// What stands in the place of what is hidden, whatever its length.
pub(crate) const MASK: &[u8] = b"***";
/// So many characters at the end of a text stay.
const SHOWN: usize = 4;
/// A text that shows its end has so many characters, so that half of it is hidden.
const LENGTH_MIN: usize = 8;

/// Appends what may be seen of a text: of a mail address the first character and the domain, of
/// any other text of at least eight characters the last four, of a shorter one nothing.
pub(crate) fn partial_into(text: &[u8], out: &mut Vec<u8>) {
    let Ok(text) = std::str::from_utf8(text) else {
        out.extend_from_slice(MASK);
        return;
    };
    if let Some((name, domain)) = mail_parts(text) {
        let mut characters = name.chars();
        let first = characters.next();
        // Of a name of one or two characters the first one would be too much.
        if let (Some(first), true) = (first, characters.count() >= 2) {
            out.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
        }
        out.extend_from_slice(MASK);
        out.push(b'@');
        out.extend_from_slice(domain.as_bytes());
        return;
    }
    out.extend_from_slice(MASK);
    if text.chars().count() >= LENGTH_MIN {
        let from = text.char_indices().rev().nth(SHOWN - 1).map_or(text.len(), |(at, _)| at);
        out.extend_from_slice(&text.as_bytes()[from..]);
    }
}

/// Splits a mail address at its `@`; `None` for other texts. A domain is ASCII here, so that no
/// other text behind an `@` is shown.
pub(crate) fn mail_parts(text: &str) -> Option<(&str, &str)> {
    let (name, domain) = text.rsplit_once('@')?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
    let labels = domain.split('.').count();
    let is_domain = labels >= 2
        && domain.len() <= 253
        && domain.bytes().all(fits)
        && domain.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '@');
    (is_domain && is_name).then_some((name, domain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partial(text: &str) -> String {
        let mut out = Vec::new();
        partial_into(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_part_is_shown() {
        for (text, expected) in [
            ("julia@example.com", "j***@example.com"),
            ("jo@example.com", "***@example.com"),
            ("é@example.com", "***@example.com"),
            ("émile@example.com", "é***@example.com"),
            ("DE89370400440532013000", "***3000"),
            ("+49 171 1234567", "***4567"),
            ("1234567", "***"),
            ("12345678", "***5678"),
            ("", "***"),
            ("a@b", "***"),
            ("Ann Smith @ home.example", "***mple"),
            ("🙂🙂🙂🙂🙂🙂🙂🙂", "***🙂🙂🙂🙂"),
        ] {
            assert_eq!(partial(text), expected, "{text}");
        }
    }

    #[test]
    fn no_more_is_shown_than_is_stated() {
        let texts =
            prop_oneof![any::<String>(), "[a-zé]{0,9}@[a-z]{1,5}[.][a-z]{2}", "\\PC*@\\PC*"];
        testing::property::holds("partial", 4000, texts, |text| {
            let shown = partial(&text);
            if let Some((name, domain)) = mail_parts(&text) {
                let (head, tail) = shown.split_once("***").unwrap();
                prop_assert!(head.chars().count() <= 1 && name.starts_with(head));
                prop_assert!(head.is_empty() || name.chars().count() >= 3);
                prop_assert_eq!(tail, format!("@{domain}"));
            } else {
                let tail = shown.strip_prefix("***").unwrap();
                prop_assert!(text.ends_with(tail) && tail.chars().count() <= SHOWN);
                prop_assert!(tail.is_empty() || text.chars().count() >= LENGTH_MIN);
            }
            Ok(())
        });
    }
}
