//! Names and literals in SQL (pure).

use singer::{Error, ErrorKind, Result};

/// Quotes a name, doubling its quotes; refuses the empty name and U+0000.
pub fn quote_ident(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::Data, "cannot use an empty name in SQL"));
    }
    if name.contains('\0') {
        return Err(
            Error::new(ErrorKind::Data, "cannot use a name with U+0000 in SQL").with("name", name)
        );
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Quotes the name of a table and that of its schema.
pub fn quote_qualified(schema: &str, table: &str) -> Result<String> {
    Ok(format!("{}.{}", quote_ident(schema)?, quote_ident(table)?))
}

/// Quotes a text literal so that it means the same under any `standard_conforming_strings`.
pub fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Shortens a name beyond Postgres' 63 bytes: cut at a character, `_` and 8 hex digits of its
/// SHA-256, so that two long names stay two names and every run finds the same one.
pub fn shorten_ident(name: &str) -> String {
    const BYTES_MAX: usize = 63;
    if name.len() <= BYTES_MAX {
        return name.to_owned();
    }
    let mut cut = BYTES_MAX - 9;
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{}", &name[..cut], &disk::sum(name)[..8])
}

/// Writes names as a literal of `text[]`.
pub fn array_literal(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = names
        .into_iter()
        .map(|name| format!("\"{}\"", name.as_ref().replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_data() {
        assert_eq!(quote_ident("a\"b; drop").unwrap(), "\"a\"\"b; drop\"");
        assert!(quote_ident("").is_err());
        assert!(quote_ident("a\0b").is_err());
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\'"), " E'a\\\\'''");
    }

    #[test]
    fn long_names_stay_apart() {
        let long = "é".repeat(40);
        let short = shorten_ident(&long);
        assert!(short.len() <= 63 && short.starts_with('é'), "{short}");
        assert_ne!(short, shorten_ident(&format!("{long}x")));
        assert_eq!(short, shorten_ident(&long));
        assert_eq!(shorten_ident("short"), "short");
    }
}
