//! Checks an edited text against what it has to be; a fault of the engine becomes a refusal.

use std::ops::Range;

use super::refused::Refused;
use super::tree::{Comment, Node, Tree, is_same};

/// What an operation does to a text.
pub(super) struct Change {
    /// The bytes of the entry, or the place of a new one.
    pub(super) span: Range<usize>,
    /// Which comments may go or change their place.
    pub(super) comments: Comments,
}

/// Which comments may go or change their place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    /// None.
    Stay,
    /// Those inside the value that is replaced.
    Inside,
    /// Those of the entry that is removed.
    Owned,
    /// They move with their entry.
    Move,
}

/// A text before and after an edit.
pub(super) struct Edit<'a> {
    /// The text before.
    pub(super) text: &'a str,
    /// Its tree.
    pub(super) tree: &'a Tree,
    /// Which of its documents is edited.
    pub(super) document: usize,
    /// What that document has to be.
    pub(super) expected: &'a Node,
    /// What is done.
    pub(super) change: &'a Change,
}

impl Edit<'_> {
    /// Checks the text after the edit.
    pub(super) fn verify(&self, after: &str) -> Result<(), Refused> {
        let bad = |why: &str| {
            Err(Refused::new("NOT_VERIFIED", format!("the edited text would be wrong: {why}"))
                .at_line(super::model::line_of(self.text, self.change.span.start)))
        };
        let Ok(tree) = Tree::read(after) else { return bad("it cannot be read") };
        let were = if self.tree.documents.is_empty() { 1 } else { self.tree.documents.len() };
        if tree.documents.len() != were {
            return bad("it has another number of documents");
        }
        for (at, actual) in tree.documents.iter().enumerate() {
            let expected =
                if at == self.document { self.expected } else { &self.tree.documents[at] };
            if !is_same(expected, actual) {
                return bad("its values differ");
            }
        }
        if !self.keeps_comments(&tree.comments) {
            return bad("a comment is lost");
        }
        if !self.keeps_lines(after) {
            return bad("a line that the edit does not concern would change");
        }
        if !keeps_line_ends(self.text, after) {
            return bad("its line ends differ");
        }
        if crate::yaml::accepts(self.text) && !crate::yaml::accepts(after) {
            return bad("a reader refuses it");
        }
        Ok(())
    }

    /// Tells whether all comments are there that must not go, and no others.
    fn keeps_comments(&self, after: &[Comment]) -> bool {
        let (before, change) = (&self.tree.comments, self.change);
        let gap = self.gap();
        let may_go = |comment: &Comment| match change.comments {
            Comments::Stay | Comments::Move => false,
            Comments::Inside => {
                change.span.start <= comment.span.start && comment.span.end <= change.span.end
            }
            Comments::Owned => gap.start <= comment.span.start && comment.span.end <= gap.end,
        };
        if after.len() > before.len() {
            return false;
        }
        if change.comments == Comments::Move {
            let sorted = |comments: &[Comment]| {
                let mut texts: Vec<String> =
                    comments.iter().map(|comment| comment.text.clone()).collect();
                texts.sort();
                texts
            };
            return sorted(before) == sorted(after);
        }
        let mut left = after.iter();
        let mut must = before.iter().filter(|comment| !may_go(comment));
        must.all(|comment| left.any(|other| other.text == comment.text))
    }

    /// Returns the bytes between what stands before the change and what stands behind it.
    fn gap(&self) -> Range<usize> {
        let stops = &self.tree.stops;
        let before = stops.iter().rev().find(|stop| **stop < self.change.span.start);
        let behind = stops.iter().find(|stop| **stop > self.change.span.end);
        *before.unwrap_or(&0)..*behind.unwrap_or(&self.text.len())
    }

    /// Tells whether all lines outside the gap are the same.
    fn keeps_lines(&self, after: &str) -> bool {
        let gap = self.gap();
        let start = self.text[..gap.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[gap.end..].find('\n').map_or(self.text.len(), |at| gap.end + at + 1);
        let (head, tail) = (&self.text[..start], &self.text[end..]);
        head.len() + tail.len() <= after.len() && after.starts_with(head) && after.ends_with(tail)
    }
}

/// Tells whether an edited text has the line ends of the one before.
fn keeps_line_ends(before: &str, after: &str) -> bool {
    let counts = |text: &str| (text.matches('\n').count(), text.matches("\r\n").count());
    let ((lines, with), (lines_after, with_after)) = (counts(before), counts(after));
    let kinds = match (lines, with) {
        (0, _) => true,
        (_, 0) => with_after == 0,
        (lines, with) if lines == with => lines_after == with_after,
        _ => true,
    };
    kinds && (before.is_empty() || before.ends_with('\n') == after.ends_with('\n'))
}
