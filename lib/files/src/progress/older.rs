//! Bookmarks that this program did not write.

use std::time::SystemTime;

use serde_json::Value;
use singer::{Context, ErrorKind, Result, ResultExt, whole};

use super::Progress;

impl Progress {
    /// Tells whether a bookmark is neither ours nor one of older plugins.
    pub fn is_strange(bookmark: &Value) -> bool {
        let known = bookmark[whole::FILES].is_object() || bookmark["modified_since"].is_string();
        !known && !bookmark.is_null() && bookmark.as_object().is_none_or(|it| !it.is_empty())
    }

    /// Takes over a bookmark of older plugins, which is a time alone: everything up to it was read.
    /// Returns the time, if there is one.
    ///
    /// Fails with `Config` when it is no time.
    pub fn read_until(bookmark: &Value) -> Result<Option<SystemTime>> {
        let Some(text) = bookmark["modified_since"].as_str() else { return Ok(None) };
        if bookmark[whole::FILES].is_object() {
            return Ok(None);
        }
        let time: jiff::Timestamp = text
            .parse()
            .or_kind(ErrorKind::Config, "cannot read the state")
            .with("modified_since", text)
            .hint(
                "the value must be a time in the form of RFC 3339; without this bookmark all \
                   files are read",
            )?;
        Ok(Some(time.into()))
    }
}
