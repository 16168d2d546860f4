//! Data that moves while numbered pages of it are read.
//!
//! The rule: rows that come again on the next page, and a number of all records that sinks, say
//! that pages moved under the read. By its keys a stream tells which rows are the same, and leaves
//! them out; one with a key of an earlier page has changed, and stays. Without keys equal rows may
//! be several: they stay, and are reported where no page has equal rows itself.

use std::collections::BTreeSet;

/// The rows of the page before, and what came again.
#[derive(Debug, Default)]
pub struct Drift {
    before: BTreeSet<u64>,
    now: BTreeSet<u64>,
    /// Rows of this page that stood on the one before, and of all pages.
    again_now: u64,
    again: u64,
    /// A page has equal rows.
    alike: bool,
    /// The most rows of a page.
    largest: usize,
    total: Option<u64>,
    sank: bool,
    /// The keys of the rows of the pages before, and of this one.
    keys: BTreeSet<u64>,
    keys_now: BTreeSet<u64>,
    /// Rows of this page whose keys stood on those before, and of all pages.
    changed_now: u64,
    changed: u64,
    /// A page has a key twice: the keys tell no row.
    keys_alike: bool,
}

/// So many keys are remembered.
const KEYS_MAX: usize = 1_000_000;

impl Drift {
    /// Tells whether a row, by its hash, stood on the page before.
    pub fn is_again(&mut self, row: u64) -> bool {
        self.alike |= !self.now.insert(row);
        let again = self.before.contains(&row);
        self.again_now += u64::from(again);
        again
    }

    /// Keeps the key of a row that is none of the page before, by its hash.
    pub fn note_key(&mut self, key: u64) {
        self.keys_alike |= !self.keys_now.insert(key);
        self.changed_now += u64::from(self.keys.contains(&key));
    }

    /// Ends a page; `total` is how many records there were in all while it was made.
    pub fn end_page(&mut self, total: Option<u64>) {
        self.largest = self.largest.max(self.now.len());
        self.before = std::mem::take(&mut self.now);
        self.again += std::mem::take(&mut self.again_now);
        self.changed += std::mem::take(&mut self.changed_now);
        let keys = std::mem::take(&mut self.keys_now);
        self.keys.extend(keys.into_iter().take(KEYS_MAX.saturating_sub(self.keys.len())));
        self.sank |= total.is_some_and(|total| self.total.is_some_and(|before| total < before));
        self.total = total.or(self.total);
    }

    /// Warns of what moved, at the end of the pages of a stream, which has keys or not.
    pub fn report(&self, name: &str, has_keys: bool) {
        let (again, changed) = (self.again, self.changed);
        if changed > 0 && !self.keys_alike {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: the keys of {changed} records came again on a later page, and \
                 other records may be missing, because the data changed during the read: sort by a \
                  key that does not change, or page by token"
            );
        } else if again > 0 && has_keys {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: {again} records came again on the next page and were left out, \
                 because the data changed during the read: sort by a key that does not change, or \
                 page by token"
            );
        } else if again > 0 && self.largest > 1 && !self.alike {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: {again} records came again on the next page, and other records may \
                  be missing, because the data changed during the read. Without `primary_keys` all \
                  records are kept: declare them, sort by a key that does not change, or page by \
                 token"
            );
        } else if self.sank {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: the total number of records changed while the pages were read, so \
                 records may be missing: sort by a key that does not change, or page by token"
            );
        }
    }
}
