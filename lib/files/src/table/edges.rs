//! The first and the last row of a file, where one of them alone makes a column text: totals, notes
//! and second headers stand there.
//!
//! The rule: a line that may not be a row is not read as one without a warning. A column that
//! others fill with numbers or times, and one row at the edge with text, is reported; with `types`
//! nothing is in doubt. Behind few rows it is reported where the text is the first value of its
//! row, as it is in totals and notes: in files of names and values, such as settings, the last
//! value may be a text by chance.

use singer::Kind;

use crate::infer::Inference;

/// So many other rows must have a value in the column.
const VALUES_MIN: u64 = 3;
/// From so many other rows on, the text may stand behind other values of its row.
const VALUES_MANY: u64 = 10;

/// What the rows of a file make of its columns.
pub(super) struct Edges {
    /// The number of the row that is looked at.
    row: u64,
    first_line: u64,
    line: u64,
    first: Inference,
    others: Inference,
    columns: Vec<Seen>,
    /// The column of the first value of the first row, and of the last.
    first_begins: Option<usize>,
    last_begins: Option<usize>,
}

/// What is known of one column, but for the first row.
#[derive(Clone, Copy)]
struct Seen {
    values: u64,
    /// The row that made it text, and what it was before.
    changed: u64,
    before: Kind,
}

/// A row that is unlike all others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Odd {
    pub(super) is_first: bool,
    pub(super) line: u64,
    pub(super) column: usize,
    /// What the column is without it.
    pub(super) kind: Kind,
}

impl Edges {
    pub(super) fn new(width: usize) -> Self {
        Self {
            row: 0,
            first_line: 0,
            line: 0,
            first: Inference::new(width),
            others: Inference::new(width),
            columns: vec![Seen { values: 0, changed: 0, before: Kind::String }; width],
            first_begins: None,
            last_begins: None,
        }
    }

    /// Begins a row.
    pub(super) fn begin(&mut self, line: u64) {
        self.row += 1;
        self.line = line;
        self.last_begins = None;
        if self.row == 1 {
            self.first_line = line;
        }
    }

    /// Takes a value of the row into account; nulls are not for here.
    #[inline]
    pub(super) fn see(&mut self, column: usize, text: &[u8]) {
        if self.row == 1 {
            self.first_begins.get_or_insert(column);
            return self.first.see(column, text);
        }
        self.last_begins.get_or_insert(column);
        let Some(seen) = self.columns.get_mut(column) else { return };
        seen.values += 1;
        if let Some(before) = self.others.see_loss(column, text) {
            (seen.changed, seen.before) = (self.row, before);
        }
    }

    /// Returns the row at an edge that alone makes a column text, of the columns that are wanted.
    pub(super) fn odd(&self, wanted: impl Fn(usize) -> bool) -> Option<Odd> {
        let shows = |values: u64, column: usize, begins: Option<usize>| {
            values >= if begins == Some(column) { VALUES_MIN } else { VALUES_MANY }
        };
        let odd = |(column, seen): (usize, &Seen)| {
            let (others, row) = (self.others.kind(column), self.row);
            // One of the values is that of the last row itself; the first row has one, too.
            let values = seen.values + u64::from(self.first.kind(column) != Kind::String);
            if seen.changed == row && shows(values.saturating_sub(1), column, self.last_begins) {
                let (line, kind) = (self.line, seen.before);
                return Some(Odd { is_first: false, line, column, kind });
            }
            if others == Kind::String
                || !shows(seen.values, column, self.first_begins)
                || self.first.is_unseen(column)
            {
                return None;
            }
            let mut all = self.others.clone();
            all.merge(column, &self.first, column);
            let is_odd = all.kind(column) == Kind::String;
            is_odd.then_some(Odd { is_first: true, line: self.first_line, column, kind: others })
        };
        let mut columns = self.columns.iter().enumerate().filter(|(column, _)| wanted(*column));
        columns.find_map(odd)
    }

    /// Returns what all rows make of the columns.
    pub(super) fn inference(mut self) -> Inference {
        self.others.join(&self.first);
        self.others
    }
}

/// Returns what values of a kind are called.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Date => "date",
        Kind::Time => "time",
        Kind::DateTime => "date and time",
        Kind::String | Kind::Json => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(rows: &[[&str; 2]]) -> Edges {
        let mut edges = Edges::new(2);
        for (row, line) in rows.iter().zip(2..) {
            edges.begin(line);
            for (column, value) in row.iter().enumerate().filter(|(_, value)| !value.is_empty()) {
                edges.see(column, value.as_bytes());
            }
        }
        edges
    }

    #[test]
    fn a_row_at_the_edge_that_is_unlike_all_others_is_odd() {
        let days: Vec<String> = (1..=12).map(|day| format!("2026-01-{day:02}")).collect();
        let rows: Vec<[&str; 2]> = days.iter().map(|day| [day.as_str(), "7"]).collect();
        let odd = |rows: &[[&str; 2]]| edges(rows).odd(|_| true).map(|odd| (odd.line, odd.kind));
        let with = |first: &[[&'static str; 2]], last: &[[&'static str; 2]]| {
            let all = first.iter().map(|row| &row[..]).chain(rows.iter().map(|row| &row[..]));
            let all: Vec<[String; 2]> = all
                .chain(last.iter().map(|row| &row[..]))
                .map(|row| [row[0].to_owned(), row[1].to_owned()])
                .collect();
            let all: Vec<[&str; 2]> =
                all.iter().map(|row| [row[0].as_str(), row[1].as_str()]).collect();
            odd(&all)
        };
        assert_eq!(with(&[], &[["Total", "84"]]), Some((14, Kind::Date)));
        assert_eq!(with(&[], &[["", "12 rows"]]), Some((14, Kind::Integer)));
        assert_eq!(with(&[["day", "kg"]], &[]), Some((2, Kind::Date)));
        assert_eq!(with(&[["", "kg"]], &[]), Some((2, Kind::Integer)));
        // Another number, no value, or several rows of text are none.
        assert_eq!(with(&[], &[["2026-02-01", "0.5"]]), None);
        assert_eq!(with(&[["", "1.5"]], &[["", ""]]), None);
        assert_eq!(with(&[], &[["x", "7"], ["y", "7"]]), None);
        assert_eq!(with(&[["x", "7"]], &[["y", "7"]]).map(|(line, _)| line), Some(15));
        assert_eq!(odd(&rows), None);
        // Few rows show it in the first value of a row alone, and fewer than three nothing.
        let few = [["1", "a"], ["2", "b"], ["3", "c"]];
        let after = |rows: &[[&'static str; 2]], last| odd(&[rows, &[last]].concat());
        assert_eq!(after(&few[1..], ["Total", "c"]), None);
        assert_eq!(after(&few, ["Total", "c"]), Some((5, Kind::Integer)));
        assert_eq!(after(&few, ["Note: of today", ""]), Some((5, Kind::Integer)));
        let pairs = [["port", "80"], ["tries", "5"], ["wait", "2.5"], ["size", "9"]];
        assert_eq!(after(&pairs, ["host", "localhost"]), None);
        assert_eq!(after(&pairs, ["", "localhost"]), Some((6, Kind::Number)));
        let before = |first| odd(&[&[first], &few[..], &[["4", "d"]]].concat());
        assert_eq!(before(["#", "name"]), Some((2, Kind::Integer)));
        assert_eq!(odd(&[&[["host", "localhost"]], &pairs[..]].concat()), None);
        // A column whose type is set is none of them.
        let last = edges(&[&rows[..], &[["Total", "84"]]].concat());
        assert_eq!(last.odd(|column| column == 1), None);
    }

    #[test]
    fn all_rows_make_what_they_make_together() {
        for rows in [
            &[["1", "a"], ["2", ""], ["2.5", "b"]][..],
            &[["x", "1"], ["2", "2"]],
            &[["", "1"]],
            &[],
        ] {
            let mut together = Inference::new(2);
            for (column, value) in rows.iter().flat_map(|row| row.iter().enumerate()) {
                if !value.is_empty() {
                    together.see(column, value.as_bytes());
                }
            }
            assert_eq!(edges(rows).inference(), together);
        }
    }
}
