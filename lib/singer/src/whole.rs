//! Bookmarks of taps that leave out whole files or days alone, and no part of one.
//!
//! The contract: such a tap has the capability [`CAPABILITY`]. Its bookmark has the member
//! [`FILES`] or [`DAY`], and where it knows how many rows the source has, [`ROWS`]. Where nothing
//! came of a stream, as its source has not changed, a target of ours looks for those rows.

use serde_json::Value;

/// The capability of a tap with such bookmarks.
pub const CAPABILITY: &str = "whole-bookmarks";
/// The member of a bookmark of files: what is known of each file that was read.
pub const FILES: &str = "files";
/// The member of a bookmark of a day: which generation of the table was read.
pub const DAY: &str = "manifest_sha256";
/// The member that tells how many rows the files, or the table of the day, have.
pub const ROWS: &str = "rows";

/// What such a bookmark is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Files.
    Files,
    /// A day.
    Day,
}

impl Whole {
    /// Tells what a bookmark is of; `None` where it may leave out a part of a file or day.
    pub fn of(bookmark: &Value) -> Option<Self> {
        if bookmark[DAY].is_string() {
            return Some(Self::Day);
        }
        bookmark[FILES].is_object().then_some(Self::Files)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bookmark_of_a_key_is_not_whole() {
        let check = |bookmark: Value, expected| {
            assert_eq!(Whole::of(&bookmark), expected, "{bookmark}");
        };
        check(json!({ "files": {}, "rows": 0 }), Some(Whole::Files));
        check(json!({ "manifest_sha256": "ab", "rows": 2 }), Some(Whole::Day));
        check(json!({ "replication_key": "id", "replication_key_value": 1 }), None);
        check(json!({ "files": 1, "manifest_sha256": null }), None);
        check(Value::Null, None);
    }
}
