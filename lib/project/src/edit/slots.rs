//! The parts of a text that belong to the entries of a collection.

use super::style::Style;
use super::tree::{Comment, Form, Node, Tree, props_end};

/// A text with what stands where in it.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// Its tree.
    pub(super) tree: &'a Tree,
}

/// What belongs to an entry of a collection.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Where its first comment begins, or the entry.
    pub(super) top: usize,
    /// Where the entry begins: its dash, its `?`, or its key.
    pub(super) start: usize,
    /// Where its value ends.
    pub(super) end: usize,
    /// Where its last line ends, with comments that are deeper than it; without the line end.
    pub(super) bottom: usize,
}

impl<'a> Places<'a> {
    /// Returns where the line of a place begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |line| line + 1)
    }

    /// Returns where the line of a place ends, before its line end.
    pub(super) fn line_stop(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |line| at + line);
        if self.text[at..end].ends_with('\r') { end - 1 } else { end }
    }

    /// Returns where the next line begins.
    pub(super) fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |line| at + line + 1)
    }

    /// Returns the column of a place.
    pub(super) fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// Tells whether only white space stands before a place on its line.
    pub(super) fn begins_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].trim().is_empty()
    }

    /// Returns the comment that is the whole line which begins at a place.
    fn comment_line(&self, line: usize) -> Option<&'a Comment> {
        let stop = self.line_stop(line);
        let first = self.text[line..stop].len() - self.text[line..stop].trim_start().len();
        self.comment_at(line + first)
    }

    fn comment_at(&self, at: usize) -> Option<&'a Comment> {
        let comments = &self.tree.comments;
        let found = comments.binary_search_by_key(&at, |comment| comment.span.start).ok()?;
        Some(&comments[found])
    }

    /// Goes back over white space and comments.
    fn back(&self, mut at: usize) -> usize {
        loop {
            at = self.text[..at].trim_end().len();
            let comments = &self.tree.comments;
            let before = comments.iter().rev().find(|comment| comment.span.start < at);
            match before.filter(|comment| comment.span.end >= at) {
                Some(comment) => at = comment.span.start,
                None => return at,
            }
        }
    }

    /// Returns the colon between a key and its value, and what follows with it on its line.
    pub(super) fn head_end(&self, key: &Node, value: &Node) -> Option<usize> {
        let behind = self.text[key.span.end..].trim_start();
        let colon = self.text.len() - behind.strip_prefix(':')?.len();
        let has_more = value.start < value.span.start && value.start >= colon
            || value.is_nothing() && (value.anchor != 0 || value.tag.is_some());
        Some(if has_more { props_end(self.text, value.start) } else { colon })
    }

    /// Returns the slots of a collection in their order.
    pub(super) fn slots(&self, node: &Node, is_root: bool) -> Vec<Slot> {
        let spans: Vec<(usize, usize)> = match &node.form {
            Form::List(items) => items
                .iter()
                .map(|item| {
                    let start = match node.style {
                        Style::Block => self.back(item.start).saturating_sub(1),
                        _ => item.start,
                    };
                    let end = if item.is_nothing() && item.anchor == 0 && item.tag.is_none() {
                        start + 1
                    } else {
                        item.span.end
                    };
                    (start, end)
                })
                .collect(),
            Form::Map(entries) => entries
                .iter()
                .map(|(key, value)| {
                    let before = self.text[..key.start].trim_end_matches([' ', '\t']);
                    let is_explicit = before.ends_with('?')
                        && before.len() < key.start
                        && (node.style == Style::Block || before.len() > node.span.start);
                    let start = if is_explicit { before.len() - 1 } else { key.start };
                    (start, key.span.end.max(value.span.end))
                })
                .collect(),
            _ => Vec::new(),
        };
        let mut slots: Vec<Slot> = Vec::new();
        for (at, (start, end)) in spans.iter().copied().enumerate() {
            let next = spans.get(at + 1).map(|(start, _)| *start);
            let mut slot = Slot { top: start, start, end, bottom: end };
            if node.style == Style::Block {
                slot.bottom = self.bottom(start, end, next);
                if !(at == 0 && (is_root || !self.begins_line(start))) {
                    slot.top = self.top(start);
                }
            }
            slots.push(slot);
        }
        slots
    }

    /// Finds the first of the comments directly above an entry, at its column.
    fn top(&self, start: usize) -> usize {
        if !self.begins_line(start) {
            return start;
        }
        let (mut top, column) = (start, self.column(start));
        let mut line = self.line_start(start);
        while line > 0 {
            line = self.line_start(line - 1);
            match self.comment_line(line) {
                Some(comment) if self.column(comment.span.start) == column => {
                    top = comment.span.start;
                }
                _ => break,
            }
        }
        top
    }

    /// Finds the end of an entry's last line, with the comments behind it that are deeper.
    fn bottom(&self, start: usize, end: usize, next: Option<usize>) -> usize {
        let mut bottom = self.line_stop(end).min(next.unwrap_or(self.text.len()));
        let column = self.column(start);
        loop {
            let line = self.next_line(bottom);
            if line >= self.text.len() || next.is_some_and(|next| line >= next) {
                return bottom;
            }
            match self.comment_line(line) {
                Some(comment) if self.column(comment.span.start) > column => {
                    bottom = comment.span.end;
                }
                _ => return bottom,
            }
        }
    }

    /// Returns where the blank lines end that begin at a line.
    pub(super) fn past_blank(&self, mut line: usize) -> usize {
        while line < self.text.len() && self.text[line..self.line_stop(line)].trim().is_empty() {
            line = self.next_line(line);
        }
        line
    }

    /// Returns where the blank lines begin that end before a line.
    pub(super) fn before_blank(&self, mut line: usize) -> usize {
        while line > 0 {
            let above = self.line_start(line - 1);
            if !self.text[above..self.line_stop(above)].trim().is_empty() {
                break;
            }
            line = above;
        }
        line
    }
}

/// Returns the last value in a node that is no collection.
pub(super) fn last_leaf(node: &Node) -> &Node {
    match &node.form {
        Form::List(items) if node.style == Style::Block => items.last().map_or(node, last_leaf),
        Form::Map(entries) if node.style == Style::Block => {
            entries.last().map_or(node, |(_, value)| last_leaf(value))
        }
        _ => node,
    }
}
