//! Which stream fills a table, and how it is known again.

use std::fmt;

use singer::Stream;

/// Who fills a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filler {
    /// The stream's name.
    pub stream: String,
    /// The schema and the table that its tap says it reads.
    pub source: Option<(String, String)>,
}

impl Filler {
    /// Returns how a stream is known.
    pub fn of(stream: &Stream) -> Self {
        let source = stream.source_table();
        let source = source.map(|(schema, table)| (schema.to_owned(), table.to_owned()));
        Self { stream: stream.name.clone(), source }
    }

    /// Tells whether both are one stream. What a release or a tap that says no tables wrote is
    /// known by its name.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Some(one), Some(other)) => one == other,
            _ => self.stream == other.stream,
        }
    }
}

impl fmt::Display for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_table_else_by_its_name() {
        let filler = |stream: &str, source: Option<(&str, &str)>| Filler {
            stream: stream.to_owned(),
            source: source.map(|(schema, table)| (schema.to_owned(), table.to_owned())),
        };
        let check = |one: &Filler, other: &Filler, same: bool| {
            assert_eq!(one.is(other), same, "{one:?} {other:?}");
            assert_eq!(other.is(one), same, "{one:?} {other:?}");
        };
        let said = filler("a-b-c", Some(("a", "b-c")));
        check(&said, &said, true);
        check(&said, &filler("a-b-c", None), true);
        check(&said, &filler("a-b-c", Some(("a-b", "c"))), false);
        check(&said, &filler("c", None), false);
        check(&filler("orders", None), &filler("orders", None), true);
        check(&filler("orders", None), &filler("Orders", None), false);
    }
}
