//! What is written in a file, as the ending of its name tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compress::Codec;
use crate::short_text::ShortText;

/// How a file is written.
// Without comments on the variants, so that its schema is a plain list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Format {
    Csv,
    Tsv,
    Psv,
    Json,
    Jsonl,
}

impl Format {
    /// Tells the format by the ending of a name, behind which that of a compression may stand.
    pub fn of(name: &str) -> Option<Self> {
        Some(match ending(name)?.as_str() {
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "psv" | "pipe" => Self::Psv,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::Jsonl,
            _ => return None,
        })
    }

    /// Tells whether a name ends in `.txt`, which says nothing of how the text is written.
    pub fn is_text(name: &str) -> bool {
        ending(name).is_some_and(|ending| ending == "txt")
    }

    /// Tells whether it is JSON, and no delimited text.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }

    /// Returns what stands between fields; JSON has none, and anything does.
    pub fn delimiter(self) -> ShortText {
        ShortText::from(match self {
            Self::Csv | Self::Json | Self::Jsonl => b',',
            Self::Tsv => b'\t',
            Self::Psv => b'|',
        })
    }
}

/// Returns the ending of a name in lower case, without that of a compression behind it.
fn ending(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = Codec::without_ending(&name);
    name.rsplit_once('.').map(|(_, ending)| ending.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_by_the_ending() {
        let check = |name: &str, expected| assert_eq!(Format::of(name), expected, "{name}");
        check("a.csv", Some(Format::Csv));
        check("A.CSV.GZ", Some(Format::Csv));
        check("x/a.b.tsv.zst", Some(Format::Tsv));
        check("a.psv", Some(Format::Psv));
        check("a.csv.bz2", Some(Format::Csv));
        check("a.tsv.XZ", Some(Format::Tsv));
        check("a.json.gz", Some(Format::Json));
        check("a.ndjson", Some(Format::Jsonl));
        check("a.txt", None);
        check("a.gz", None);
        check("csv", None);
    }
}
