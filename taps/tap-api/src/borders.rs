//! Rows at the borders of windows: what two windows give comes once.
//!
//! The rule: a window begins where the one before it ended, and APIs differ in whether the ends
//! belong to it. So neither end is cut off; a row that the window before gave is left out, if it
//! lay near its end or beyond. One without a key may be another row: it stays, and is counted.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::key::Keys;

/// A row that lies nearer to the end than this is one of the next window, where an API rounds its
/// start or reads it in another zone.
const NEAR_END: SignedDuration = SignedDuration::from_hours(24);
/// So many rows of a window are remembered: about 100 MB.
const ROWS_MAX: usize = 3_000_000;

/// What a row tells by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It lies well before the end of its window.
    Inside,
    /// It lies near the end, beyond it, or nobody knows where.
    Near,
    /// It has no key.
    Nowhere,
}

impl Place {
    /// Tells where a key lies in a window with this end.
    pub fn of(keys: Keys<'_>, key: &str, end: Timestamp) -> Self {
        match keys.moment(key) {
            _ if key.is_empty() => Self::Nowhere,
            Some((moment, _)) if end.duration_since(moment) > NEAR_END => Self::Inside,
            _ => Self::Near,
        }
    }
}

/// The rows near the ends of the window before and of this one, by their sums.
#[derive(Debug, Default)]
pub struct Borders {
    before: Arc<BTreeMap<u64, u32>>,
    taken: BTreeMap<u64, u32>,
    now: BTreeMap<u64, u32>,
    /// Rows without a key that the window before had as well.
    pub unsure: u64,
    /// There were more rows than are remembered.
    pub full: bool,
}

impl Borders {
    /// Tells whether a row is one that the window before gave.
    pub fn is_again(&mut self, row: &[u8], place: Place) -> bool {
        if place == Place::Inside && self.before.is_empty() {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(row);
        let sum = hasher.finish();
        if place != Place::Inside {
            self.remember(sum, 1);
        }
        // As often as it came there: equal rows may be several.
        let Some(count) = self.before.get(&sum) else { return false };
        let taken = self.taken.entry(sum).or_default();
        if *taken >= *count {
            return false;
        }
        *taken += 1;
        self.unsure += u64::from(place == Place::Nowhere);
        place != Place::Nowhere
    }

    fn remember(&mut self, sum: u64, count: u32) {
        if self.now.len() < ROWS_MAX || self.now.contains_key(&sum) {
            *self.now.entry(sum).or_default() += count;
        } else {
            self.full = true;
        }
    }

    /// Ends a window.
    pub fn end_window(&mut self) {
        self.before = Arc::new(std::mem::take(&mut self.now));
        self.taken.clear();
    }

    /// Starts another read of a part of the same window.
    pub fn beside(&self) -> Self {
        Self { before: Arc::clone(&self.before), ..Self::default() }
    }

    /// Adds what a read beside this one has come across, which has ended its window.
    pub fn join(&mut self, other: &Self) {
        for (sum, count) in &*other.before {
            self.remember(*sum, *count);
        }
        self.unsure += other.unsure;
        self.full |= other.full;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_two_windows_comes_once() {
        let mut borders = Borders::default();
        let mut is_again = |row: &str, place| borders.is_again(row.as_bytes(), place);
        for (row, place) in
            [("a", Place::Inside), ("b", Place::Near), ("b", Place::Near), ("c", Place::Nowhere)]
        {
            assert!(!is_again(row, place), "{row}");
        }
        borders.end_window();
        let mut other = borders.beside();
        for borders in [&mut borders, &mut other] {
            let mut is_again = |row: &str, place| borders.is_again(row.as_bytes(), place);
            assert!(!is_again("a", Place::Inside));
            // Twice it was there, and a third one is another.
            assert!(is_again("b", Place::Inside) && is_again("b", Place::Near));
            assert!(!is_again("b", Place::Near));
            assert!(!is_again("c", Place::Nowhere));
            assert_eq!(borders.unsure, 1);
        }
        other.end_window();
        borders.join(&other);
        assert_eq!(borders.unsure, 2);
        borders.end_window();
        assert!(borders.is_again(b"b", Place::Near));
        // Rows of a window are not forgotten where they come again in each.
        borders.end_window();
        assert!(borders.is_again(b"b", Place::Inside));
        borders.end_window();
        assert!(!borders.is_again(b"b", Place::Inside));
    }
}
