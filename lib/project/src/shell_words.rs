//! Arguments in one text, read as Python's `shlex.split` reads them, by which Meltano splits them.
//!
//! The crates for this follow the shell: there, `#` begins a comment, and `"\$"` is `$`.

/// Splits a text into words. Quotes hold blanks; a backslash takes the next character as it is, in
/// double quotes only a quote or a backslash. `None` where a quote or a backslash has no end.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        inner => word.push(inner),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => match letters.next()? {
                            inner @ ('"' | '\\') => word.push(inner),
                            inner => word.extend(['\\', inner]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(letters.next()?),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_python() {
        // Each was split by `shlex.split` of Python 3.11.
        for (text, expected) in [
            ("", vec![]),
            ("  run  --select a\tb\n", vec!["run", "--select", "a", "b"]),
            ("a'b c'd \"e f\"", vec!["ab cd", "e f"]),
            ("'' \"\"", vec!["", ""]),
            ("#x a#b", vec!["#x", "a#b"]),
            (r#""a\"b" "\$X" "\\" '\' a\ b"#, vec!["a\"b", "\\$X", "\\", "\\", "a b"]),
            ("--vars '{\"a\": \"$X\"}'", vec!["--vars", "{\"a\": \"$X\"}"]),
            ("a;b|c>d é", vec!["a;b|c>d", "é"]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        for text in ["'a", "\"a", "a\\", "\"a\\"] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
