//! Where something lies in a lake, whatever the lake lies on.

use std::fmt;

use disk::Datestamp;
use disk::name;

/// A place within a lake: the encoded parts of its path, joined by `/`. It never leads out of the
/// lake, and no part of it is longer than a name may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Returns the place of the lake itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the place of a source.
    pub fn source(source: &str) -> Self {
        Self(format!("source={}", name::encode(source)))
    }

    /// Returns the place of a day of a source.
    pub fn day(source: &str, day: Datestamp) -> Self {
        Self::source(source).join(&format!("extracted_at={day}"))
    }

    /// Returns the place of a partition.
    pub fn table(source: &str, day: Datestamp, table: &str) -> Self {
        Self::day(source, day).join(&format!("table={}", name::encode(table)))
    }

    /// Returns the place of all run records.
    pub(crate) fn records() -> Self {
        Self(".runs".to_owned())
    }

    /// Returns the place of the run record of a day.
    pub fn record(source: &str, day: Datestamp) -> Self {
        Self::records().join(&Self::source(source).0).join(&format!("extracted_at={day}.json"))
    }

    /// Returns the place of this name below: one of those that a backend lists, or that a manifest
    /// was found to have.
    pub(crate) fn join(&self, part: &str) -> Self {
        if self.0.is_empty() { Self(part.to_owned()) } else { Self(format!("{}/{part}", self.0)) }
    }

    /// Returns the last part, which is empty for the lake itself.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the path below the lake.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::day;

    #[test]
    fn names_stay_within_their_part() {
        let key = Key::table("../x", day(), "a/b");
        assert_eq!(key.as_str(), "source=%2E.%2Fx/extracted_at=2024-02-29/table=a%2Fb");
        assert_eq!(key.last(), "table=a%2Fb");
        assert_eq!(key.join("x.csv").last(), "x.csv");
        let record = Key::record("pg", day());
        assert_eq!(record.as_str(), ".runs/source=pg/extracted_at=2024-02-29.json");
        assert_eq!((Key::root().as_str(), Key::root().last()), ("", ""));
        assert_eq!(Key::root().join("source=pg"), Key::source("pg"));
    }
}
