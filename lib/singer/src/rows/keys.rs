//! The bookmark of an INCREMENTAL stream whose rows come in the order of their key.

use jiff::Timestamp;
use serde_json::Value;

use super::Rows;
use crate::batch::Cell;
use crate::catalog::{ReplicationMethod, Stream};
use crate::error::Result;
use crate::future::{moment, report_bookmark};
use crate::state::{Bookmark, is_endless, key_bookmark};

/// The keys of a stream that no row may still come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Those that are read.
    All,
    /// Times up to this one.
    Until(Timestamp),
    /// None of those that follow.
    None,
}

impl Rows<'_> {
    /// Says that rows may still come whose key is a time later than this: the bookmark does not
    /// move beyond it. A time without a zone is taken as one of UTC.
    pub fn settle(&mut self, until: Timestamp) {
        self.open.settled = Settled::Until(until);
    }

    /// Says that rows may still come before those that follow: the bookmark stays.
    pub fn hold_bookmark(&mut self) -> Result<()> {
        self.flush()?;
        self.open.settled = Settled::None;
        Ok(())
    }

    /// Says that no row may still come before those that follow: the bookmark moves again.
    pub fn release_bookmark(&mut self) -> Result<()> {
        self.flush()?;
        self.open.settled = Settled::All;
        Ok(())
    }

    /// Adds a member to the bookmarks that are made of keys: what the rows were read from.
    pub fn add_to_bookmark(&mut self, name: &str, value: Value) {
        self.open.besides.insert(name.to_owned(), value);
    }

    /// Has the bookmark that the stream began with say what rows were read from in this run, if
    /// none of them moves it.
    pub fn renew_bookmark(&mut self, since: &Bookmark) -> Result<()> {
        self.flush()?;
        if self.open.last_key.is_empty() && since.is_of_state() {
            let mark = self.with_besides(since.value.clone());
            self.bookmark(mark);
        }
        Ok(())
    }

    /// Warns of a bookmark that lies in the future, or that is not used.
    pub(crate) fn check_bookmark(&self, stream: &Stream, since: &Bookmark, by_parts: bool) {
        let unread = || since.unread(stream, by_parts);
        if let Some(why) = unused(stream, since).or_else(unread) {
            crate::warn!(
                "W-BOOKMARK-UNUSED",
                "stream {}: the tap does not use its bookmark, because {why}. It reads the stream \
                 as without a bookmark, and `append-only` adds its rows again",
                self.open.id
            );
        }
        let mark = since.value["replication_key_value"].as_str();
        if let (Some(column), Some(mark)) = (&self.open.dated_key, mark)
            && self.run.cap.is_ahead_key(column, mark.as_bytes())
        {
            report_bookmark(&self.open.id, &column.name);
        }
    }

    /// Keeps the last replication key that a bookmark can be made of. The keys that come behind it
    /// are null, infinite or of the future.
    pub(super) fn note_keys(&mut self, rows: usize) {
        let Some((_, at)) = &self.open.replication_key else { return };
        for row in (0..rows).rev() {
            let Cell::Text(text) = self.open.batch.cell(row, *at) else { continue };
            if let Some(column) = &self.open.dated_key
                && self.run.cap.is_ahead_key(column, text)
            {
                self.open.ahead.add(self.open.counter.total() + row as u64 + 1);
            } else if !(self.open.endless_keys && is_endless(text) || self.is_open(text)) {
                self.open.last_key.clear();
                self.open.last_key.extend_from_slice(text);
                return;
            }
        }
    }

    /// Tells whether rows may still come before this key.
    fn is_open(&self, key: &[u8]) -> bool {
        let until = match self.open.settled {
            Settled::All => return false,
            Settled::None => return true,
            Settled::Until(until) => until,
        };
        let key = std::str::from_utf8(key).ok().and_then(moment);
        key.is_some_and(|(at, _)| at > until)
    }

    fn with_besides(&self, mut mark: Value) -> Value {
        for (name, value) in &self.open.besides {
            mark[name] = value.clone();
        }
        mark
    }

    /// Makes the last replication key the stream's bookmark.
    pub(super) fn bookmark_key(&mut self) {
        let Some((name, at)) = &self.open.replication_key else { return };
        if let Ok(text) = std::str::from_utf8(&self.open.last_key)
            && !text.is_empty()
        {
            let mark = key_bookmark(name, self.open.columns[*at].1, text);
            self.set_bookmark(self.with_besides(mark));
        }
    }
}

/// Says why the bookmark of an INCREMENTAL stream is not used.
pub(crate) fn unused(stream: &Stream, since: &Bookmark) -> Option<String> {
    let key = stream.replication_key.as_ref()?;
    let at = stream.column(key)?;
    let incremental = stream.replication_method == ReplicationMethod::Incremental;
    if incremental { since.unused(key, Some(&stream.columns[at])) } else { None }
}
