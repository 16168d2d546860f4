//! The header of a file, and the lines of the file that are its header once more.
//!
//! The rule: where files were put together, a line that has the names of the header and nothing
//! else is no row, however they are spelled; in another order, it is the header of what follows.

use std::collections::BTreeSet;

use crate::reader::{Lines, Record};

/// The columns of a file.
#[derive(Default)]
pub(super) struct Heading {
    /// None in an empty file.
    pub(super) names: Vec<String>,
    /// The number of its line; none in a file without one.
    pub(super) line: u64,
    /// What the spellings of each name have in common; none in a file without a header.
    words: Vec<String>,
    /// No two names differ in case alone, so that case does not count.
    is_folded: bool,
    /// No two words are the same, so that each has its place in any order.
    are_distinct: bool,
}

/// The lines that are the header once more.
#[derive(Clone, Copy, Default)]
pub(super) struct Seams {
    pub(super) repeated: Lines,
    /// Those in another order than that of the file.
    pub(super) moved: Lines,
}

impl Seams {
    /// Adds a line that has the columns in this order.
    pub(super) fn add(&mut self, columns: &[usize], line: u64) {
        self.repeated.add(line);
        if !columns.is_sorted() {
            self.moved.add(line);
        }
    }
}

impl Heading {
    /// Makes the columns of a file without a header.
    pub(super) fn named(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Makes the columns of a line with these names.
    pub(super) fn of_line(names: &[String], line: u64) -> Self {
        let plain: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        let fold = |name: &String| name.chars().flat_map(char::to_lowercase).collect();
        let folded: Vec<String> = plain.iter().map(fold).collect();
        let is_folded = are_distinct(&folded);
        let words = if is_folded { folded } else { plain };
        let are_distinct = are_distinct(&words);
        Self { names: names.to_vec(), line, words, is_folded, are_distinct }
    }

    /// Gives the columns other names than those in the line.
    pub(super) fn renamed(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }

    /// Returns the column of each field of a record that is the header once more. One column may
    /// have its own name for a value.
    #[inline]
    pub(super) fn again(&self, record: &Record<'_>) -> Option<Vec<usize>> {
        let width = self.words.len();
        if width < 2 || record.len() != width {
            return None;
        }
        // Few rows begin with a name.
        self.column(0, record.text(0)?)?;
        let mut columns = Vec::with_capacity(width);
        for (at, (text, _)) in record.fields().enumerate() {
            let column = self.column(at, text)?;
            if columns.contains(&column) {
                return None;
            }
            columns.push(column);
        }
        self.words.iter().any(|word| !word.is_empty()).then_some(columns)
    }

    /// Returns the column of a name in any spelling, before others the one at this place.
    #[inline]
    fn column(&self, at: usize, text: &[u8]) -> Option<usize> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let is_plain = text.is_ascii();
        let is = |word: &String| match (self.is_folded, is_plain) {
            (false, _) => word == text,
            (true, true) => word.eq_ignore_ascii_case(text),
            (true, false) => word.chars().eq(text.chars().flat_map(char::to_lowercase)),
        };
        if is(self.words.get(at)?) {
            return Some(at);
        }
        self.words.iter().position(is).filter(|_| self.are_distinct)
    }
}

fn are_distinct(words: &[String]) -> bool {
    words.iter().collect::<BTreeSet<_>>().len() == words.len()
}
