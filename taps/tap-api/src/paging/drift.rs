//! Data that moves while numbered pages of it are read.
//!
//! The rule: rows that come again on the next page, and a number of all records that sinks, say
//! that pages moved under the read. By its keys a stream tells which rows are the same, and leaves
//! them out. Without keys equal rows may be several: they stay, and are told where no page has
//! equal rows itself.

use std::collections::BTreeSet;

use crate::plan::Plan;

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
}

impl Drift {
    /// Tells whether a row, by its hash, stood on the page before.
    pub fn is_again(&mut self, row: u64) -> bool {
        self.alike |= !self.now.insert(row);
        let again = self.before.contains(&row);
        self.again_now += u64::from(again);
        again
    }

    /// Ends a page; `total` is how many records there were in all while it was made.
    pub fn end_page(&mut self, total: Option<u64>) {
        self.largest = self.largest.max(self.now.len());
        self.before = std::mem::take(&mut self.now);
        self.again += std::mem::take(&mut self.again_now);
        self.sank |= total.is_some_and(|total| self.total.is_some_and(|before| total < before));
        self.total = total.or(self.total);
    }

    /// Warns of what moved, at the end of the pages.
    pub fn report(&self, plan: &Plan) {
        let (name, again) = (&plan.name, self.again);
        if again > 0 && !plan.keys.is_empty() {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: {again} records came again on the next page and were left out: the \
                 data changed while it was read; sort by a key that does not change, or page by \
                 token"
            );
        } else if again > 0 && self.largest > 1 && !self.alike {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: {again} records came again on the next page, and others may be \
                 missing: the data changed while it was read; without `primary_keys` they are all \
                 kept; declare these, sort by a key that does not change, or page by token"
            );
        } else if self.sank {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {name}: the number of all records changed while the pages were read: some \
                 may be missing; sort by a key that does not change, or page by token"
            );
        }
    }
}
