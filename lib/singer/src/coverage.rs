//! Which rows of a stream a read covers: said by the tap, carried in SCHEMA and manifest, and
//! respected by every target.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};

/// The member of a part that a limit cuts off. `from` is then the bookmark from which the limit
/// counts.
const LIMIT: &str = "max_record_count";
/// The member of a part that conditions select. It has `from` as well.
const CONDITIONS: &str = "custom_where_clauses";
/// The member of a part without a file that is still being written. It has `from` as well.
const UNFINISHED: &str = "unfinished";
/// The bookmark of such parts.
const FROM: &str = "from";

/// Which rows of a stream a read contains. No target treats a part of the rows as all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Coverage {
    /// All rows that the source has.
    #[default]
    Whole,
    /// The rows since this bookmark, within a limit, under conditions, or without a file. The other
    /// rows are left out.
    Since(Value),
}

impl Coverage {
    /// The name of the member in messages and manifests.
    pub const MEMBER: &'static str = "resumed_from";

    /// Returns what a read since this bookmark covers; null leaves out nothing.
    pub fn since(bookmark: &Value) -> Self {
        match bookmark {
            Value::Null => Self::Whole,
            bookmark => Self::Since(bookmark.clone()),
        }
    }

    /// Returns what a read of so many rows since this bookmark covers.
    pub fn limited(most: u64, bookmark: &Value) -> Self {
        Self::Since(json!({ LIMIT: most, FROM: bookmark }))
    }

    /// Returns this coverage for a read under conditions.
    #[must_use]
    pub fn filtered(self, conditions: &[String]) -> Self {
        let mut part = match self {
            Self::Whole => json!({ FROM: null }),
            Self::Since(part) if part.get(LIMIT).is_some() => part,
            Self::Since(bookmark) => json!({ FROM: bookmark }),
        };
        part[CONDITIONS] = conditions.into();
        Self::Since(part)
    }

    /// Returns this coverage for a read without a file that is still being written.
    #[must_use]
    pub fn without(self, unfinished: &str) -> Self {
        Self::Since(json!({ FROM: self, UNFINISHED: unfinished }))
    }

    /// Returns what rows of both reads cover together: a part where one of them is a part, best one
    /// whose bookmark says what has to be there.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let is_better = self.is_whole() || self.bookmark().is_none() && other.bookmark().is_some();
        if is_better && other.is_part() { other.clone() } else { self.clone() }
    }

    /// Returns the failure of a target that would have to take the part for all rows; `hint` is for
    /// a part that a later run makes no whole.
    pub fn refusal(&self, message: &'static str, hint: &str) -> Error {
        match self.value().and_then(|part| part.get(UNFINISHED)).and_then(Value::as_str) {
            Some(path) => Error::new(ErrorKind::Temporary, message)
                .with("left out", path)
                .hint("a file was left out that is still being written: run again"),
            None => Error::new(ErrorKind::Config, message).hint(hint),
        }
    }

    /// Returns whether the read contains all rows.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// Returns whether the read leaves rows out.
    pub fn is_part(&self) -> bool {
        !self.is_whole()
    }

    /// Returns the value of the member, or `None` for a whole read.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Whole => None,
            Self::Since(value) => Some(value),
        }
    }

    /// Returns the bookmark from which the read continues. An earlier run has loaded the rows
    /// before it.
    pub fn bookmark(&self) -> Option<&Value> {
        let value = self.value()?;
        let is_part =
            [LIMIT, CONDITIONS, UNFINISHED].iter().any(|member| value.get(member).is_some());
        let bookmark = if is_part { &value[FROM] } else { value };
        Some(bookmark).filter(|bookmark| !bookmark.is_null())
    }
}

impl Serialize for Coverage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Coverage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Value>::deserialize(deserializer)?.map_or(Self::Whole, Self::Since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_comes_back_and_null_is_the_whole() {
        for part in [json!({"a": 1}), json!("2024"), json!(0), json!(false)] {
            let coverage = Coverage::since(&part);
            assert_eq!(serde_json::to_value(&coverage).unwrap(), part);
            assert_eq!(serde_json::from_value::<Coverage>(part.clone()).unwrap(), coverage);
            assert_eq!((coverage.is_part(), coverage.bookmark()), (true, Some(&part)));
        }
        assert_eq!(serde_json::from_value::<Coverage>(Value::Null).unwrap(), Coverage::Whole);
        assert_eq!(Coverage::since(&Value::Null), Coverage::Whole);
    }

    #[test]
    fn conditions_leave_rows_out_of_any_read() {
        let conditions = ["a".to_owned()];
        let bookmark = json!({"id": 5});
        let reads = [
            (Coverage::Whole, None),
            (Coverage::since(&bookmark), Some(&bookmark)),
            (Coverage::limited(5, &bookmark), Some(&bookmark)),
            (Coverage::limited(5, &Value::Null), None),
        ];
        for (read, from) in reads {
            let part = read.clone().filtered(&conditions);
            assert_eq!((part.is_part(), part.bookmark()), (true, from), "{part:?}");
            assert_ne!(part, read.filtered(&["b".to_owned()]));
        }
    }

    #[test]
    fn a_file_that_is_still_being_written_leaves_rows_out() {
        for bookmark in [Value::Null, json!({"files": {}})] {
            let part = Coverage::since(&bookmark).without("/in/a.csv");
            let from = Some(&bookmark).filter(|bookmark| !bookmark.is_null());
            assert_eq!((part.is_part(), part.bookmark()), (true, from));
            assert_eq!(part.refusal("no", "x").kind(), ErrorKind::Temporary);
        }
        assert_eq!(Coverage::limited(5, &Value::Null).refusal("no", "x").kind(), ErrorKind::Config);
    }

    #[test]
    fn reads_together_are_a_part_where_one_is() {
        let (whole, limit) = (Coverage::Whole, Coverage::limited(5, &Value::Null));
        let (one, other) = (Coverage::since(&json!(1)), Coverage::since(&json!(2)));
        for (first, second, both) in [
            (&whole, &whole, &whole),
            (&whole, &limit, &limit),
            (&limit, &whole, &limit),
            (&limit, &one, &one),
            (&one, &limit, &one),
            (&one, &other, &one),
        ] {
            assert_eq!(first.joined(second), *both);
        }
    }

    #[test]
    fn a_limit_leaves_rows_out_without_a_bookmark_too() {
        let first = Coverage::limited(5, &Value::Null);
        assert_eq!((first.is_part(), first.bookmark()), (true, None));
        let next = Coverage::limited(5, &json!({"id": 5}));
        assert_eq!(next.bookmark(), Some(&json!({"id": 5})));
    }
}
