//! Columns of several scalar kinds, whose values become text: `1` and `"1"` are one there.
//!
//! That loses nothing while each text has come in one kind alone, as it mostly has. Where a number
//! (or a truth) and the text of one have come, nobody can tell them apart any more, and it is
//! reported.

use crate::batch::{Batch, Cell};
use crate::canonical::is_number;
use crate::log::of_stream;
use crate::schema::{Column, Kind, Types};

/// What came of the columns of a stream that are of several scalar kinds.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    /// Empty where no column is.
    columns: Vec<Option<Mixed>>,
}

#[derive(Clone, Debug)]
struct Mixed {
    declared: Types,
    /// The kinds that came as themselves.
    bare: Types,
    /// The kinds whose text came as a string.
    quoted: Types,
    told: bool,
}

impl Kinds {
    /// Looks for such columns.
    pub(crate) fn of(columns: &[Column]) -> Self {
        let mixed = |column: &Column| {
            let declared = column.types;
            let others = declared.meets(Types::NUMBER.or(Types::BOOLEAN));
            let is_mixed = column.kind == Kind::String && declared.has(Types::STRING) && others;
            let nothing = Types::default();
            is_mixed.then_some(Mixed { declared, bare: nothing, quoted: nothing, told: false })
        };
        let columns: Vec<_> = columns.iter().map(mixed).collect();
        let any = columns.iter().any(Option::is_some);
        Self { columns: if any { columns } else { Vec::new() } }
    }

    /// Takes note of the value of a column in the last row, by its first byte as it came. Tells,
    /// once, that its values cannot be told apart any more.
    #[inline]
    pub(crate) fn note(&mut self, column: usize, first: Option<u8>, batch: &Batch) -> bool {
        let Some(Some(mixed)) = self.columns.get_mut(column) else { return false };
        let cell = batch.cell(batch.rows() - 1, column);
        let (Some(first), Cell::Text(text)) = (first, cell) else { return false };
        let kind = match text {
            b"true" | b"false" => Types::BOOLEAN,
            _ if is_number(text) && text.last().is_some_and(u8::is_ascii_digit) => Types::NUMBER,
            _ => Types::default(),
        };
        let into = if first == b'"' { &mut mixed.quoted } else { &mut mixed.bare };
        if mixed.declared.meets(kind) {
            *into = into.or(kind);
        }
        !mixed.told && mixed.bare.meets(mixed.quoted) && {
            mixed.told = true;
            true
        }
    }
}

/// Warns of a column.
#[cold]
pub(crate) fn tell(stream: &str, column: &str) {
    let _within = of_stream(stream).entered();
    crate::warn!(
        "W-KINDS-AS-TEXT",
        "stream {stream}: property {column:?} has numbers or booleans, and also strings that look \
         the same: all become text, so that they no longer differ"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Envelope;
    use crate::catalog::Stream;
    use crate::decode::RecordDecoder;

    #[test]
    fn kinds_that_cannot_be_told_apart_are_told_and_others_are_not() {
        let told = |property: &str, values: &[&str]| {
            let schema = format!(r#"{{"properties":{{"a":{property}}}}}"#);
            let stream = Stream::new("s", serde_json::from_str(&schema).unwrap(), Vec::new());
            let mut decoder = RecordDecoder::new(&stream, true).unwrap();
            let mut batch = Batch::new(1 + Envelope::CELLS);
            for value in values {
                let line = format!(r#"{{"type":"RECORD","stream":"s","record":{{"a":{value}}}}}"#);
                decoder.predicted(line.as_bytes(), &mut batch).unwrap();
            }
            decoder.kinds.columns.iter().flatten().any(|mixed| mixed.told)
        };
        let text = r#"{"type":["string","integer","null"]}"#;
        let any = r#"{"anyOf":[{"type":"string"},{"type":"number"},{"type":"boolean"}]}"#;
        for (property, values) in [
            (text, &["1", r#""2""#] as &[_]),
            (text, &[r#""-7""#, "null", "12"]),
            (any, &["1.0", r#""1e5""#]),
            (any, &[r#""true""#, "false"]),
        ] {
            assert!(told(property, values), "{property} {values:?}");
        }
        for (property, values) in [
            (text, &["1", r#""x""#, r#""""#, "null"] as &[_]),
            (text, &[r#""1""#, r#""2""#]),
            (text, &["1", r#""true""#, r#""007""#, r#""NaN""#]),
            (any, &["1", r#""true""#]),
            (any, &["true", r#""1""#]),
            (r#"{"type":["string","null"]}"#, &[r#""1""#]),
            ("{}", &["1", r#""1""#]),
        ] {
            assert!(!told(property, values), "{property} {values:?}");
        }
    }
}
