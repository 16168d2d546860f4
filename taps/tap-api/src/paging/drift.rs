//! Data that moves while numbered pages of it are read: rows that come again on the next page.

use std::collections::BTreeSet;

use crate::plan::Plan;

/// The rows of the page before, and what came again.
#[derive(Debug, Default)]
pub struct Drift {
    before: BTreeSet<u64>,
    now: BTreeSet<u64>,
    again: u64,
    totals: BTreeSet<u64>,
}

impl Drift {
    /// Tells whether a row, by its hash, stood on the page before.
    pub fn is_again(&mut self, row: u64) -> bool {
        self.now.insert(row);
        let again = self.before.contains(&row);
        self.again += u64::from(again);
        again
    }

    /// Ends a page; `total` is how many records there were in all while it was made.
    pub fn end_page(&mut self, total: Option<u64>) {
        self.before = std::mem::take(&mut self.now);
        self.totals.extend(total);
    }

    /// Warns of what moved, at the end of the pages.
    pub fn report(&self, plan: &Plan) {
        if self.again > 0 {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {}: {} records came again on the next page and were left out: the data \
                 changed while it was read; sort by a key that does not change, or page by token",
                plan.name,
                self.again
            );
        } else if self.totals.len() > 1 {
            singer::warn!(
                "W-DATA-MOVED",
                "stream {}: the number of all records changed while the pages were read: some may \
                 be missing; sort by a key that does not change, or page by token",
                plan.name
            );
        }
    }
}
