//! Booleans as words, such as `ja` and `nein`.

use super::Unfit;
use crate::error::{Error, ErrorKind, Result};

/// The words for true and false, besides `true` and `false` themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooleanWords {
    truths: Vec<String>,
    falsities: Vec<String>,
}

impl BooleanWords {
    /// Takes the words, which count as they are written, case included.
    ///
    /// Fails with `Config` when a word means both.
    pub fn new(truths: &[String], falsities: &[String]) -> Result<Self> {
        let both = truths.iter().find(|word| falsities.contains(word) || *word == "false");
        let both = both.or_else(|| falsities.iter().find(|word| *word == "true"));
        match both {
            Some(word) => {
                Err(Error::new(ErrorKind::Config, "cannot use one word for both true and false")
                    .with("word", word))
            }
            None => Ok(Self { truths: truths.to_vec(), falsities: falsities.to_vec() }),
        }
    }

    /// Appends `true` or `false`.
    pub fn convert(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Unfit> {
        let is = |words: &[String], own: &str| {
            text == own.as_bytes() || words.iter().any(|word| word.as_bytes() == text)
        };
        let word: &[u8] = match () {
            () if is(&self.truths, "true") => b"true",
            () if is(&self.falsities, "false") => b"false",
            () => return Err(Unfit("it is not one of the words for true and false")),
        };
        out.extend_from_slice(word);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_terminator('|').map(str::to_owned).collect()
    }

    #[test]
    fn words_count_as_they_are_written() {
        let format = BooleanWords::new(&words("ja|J|1"), &words("nein|N|0|")).unwrap();
        for (text, expected) in [
            ("ja", Some("true")),
            ("J", Some("true")),
            ("1", Some("true")),
            ("true", Some("true")),
            ("nein", Some("false")),
            ("0", Some("false")),
            ("false", Some("false")),
            ("Ja", None),
            (" ja", None),
            ("TRUE", None),
            ("", None),
            ("01", None),
        ] {
            let mut out = Vec::new();
            let found = format.convert(text.as_bytes(), &mut out).ok();
            assert_eq!(
                found.map(|()| String::from_utf8(out).unwrap()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn no_word_means_both() {
        for (truths, falsities) in [("a|b", "c|a"), ("false", ""), ("", "true"), ("false", "true")]
        {
            let failure = BooleanWords::new(&words(truths), &words(falsities)).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{truths} {falsities}");
        }
        BooleanWords::new(&words("true"), &words("false")).unwrap();
    }
}
