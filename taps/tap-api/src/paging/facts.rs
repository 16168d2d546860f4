//! What a page was like, and what it said of all pages together.

use http_client::Answer;
use serde_json::Value;

/// What a page was like.
#[derive(Clone, Copy, Debug)]
pub struct PageFacts<'a> {
    /// The answer it came in.
    pub answer: &'a Answer,
    /// The answer without its records.
    pub envelope: &'a Value,
    /// How many records it had.
    pub records: u64,
    /// What it says of all pages together.
    pub said: Said,
}

/// What an answer says of all pages together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said {
    /// There is a page behind this one.
    pub more: bool,
    /// This page is the last.
    pub last: bool,
    /// How many records there are.
    pub total: Option<u64>,
    /// What the member `count` says, which may also be the size of a page.
    pub count: Option<u64>,
    /// How many pages there are.
    pub pages: Option<u64>,
}

impl Said {
    /// Tells whether the answer says that it is the last.
    pub fn is_last(&self) -> bool {
        self.last && !self.more
    }

    /// Returns how many records there are in all. A `count` is no size of a page once a second page
    /// has records.
    pub fn total(&self, filled: u64) -> Option<u64> {
        self.total.or(self.count.filter(|_| filled > 1))
    }

    /// Adds what the pages before have said: some say how many there are on the first one alone,
    /// and none behind the last record.
    #[must_use]
    pub fn behind(self, before: Self, records: u64) -> Self {
        let total = self.total.filter(|total| records > 0 || *total > 0).or(before.total);
        Self { total, pages: self.pages.filter(|pages| *pages > 0).or(before.pages), ..self }
    }
}
