//! Contexts that have bookmarks of their own: where each starts, and what each has come to.

use std::sync::Arc;

use crate::latest::Start;

/// The bookmarks of contexts; without starts there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    starts: Arc<Vec<Start>>,
    marks: Vec<Option<String>>,
    /// Contexts whose bookmark stays before their largest key.
    pub(super) held: u64,
}

impl Own {
    /// Takes where each starts.
    pub(super) fn new(starts: Vec<Start>) -> Self {
        Self { starts: Arc::new(starts), ..Self::default() }
    }

    /// Returns where the context of this position starts.
    pub(super) fn start(&self, at: usize) -> Option<&Start> {
        self.starts.get(at)
    }

    /// Returns that of one context.
    pub(super) fn beside(&self, at: usize) -> Self {
        Self::new(self.start(at).cloned().into_iter().collect())
    }

    /// Keeps what the context at hand has come to.
    pub(super) fn end(&mut self, mark: Option<String>) {
        if !self.starts.is_empty() {
            self.marks.push(mark);
        }
    }

    /// Adds what those that follow have come to, as a read beside this one has found.
    pub(super) fn join(&mut self, other: &Self) {
        self.marks.extend_from_slice(&other.marks);
        self.held += other.held;
    }

    /// Returns what each that was read has come to.
    pub(super) fn marks(&self) -> &[Option<String>] {
        &self.marks
    }
}
