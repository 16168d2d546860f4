//! The key that a bookmark is made of: the latest up to the start of the read.

mod pages;

use http_client::Answer;
use jiff::{SignedDuration, Timestamp};
use singer::future::{Ahead, Cap};

use self::pages::Pages;
use crate::key::Keys;

/// A row that lies so much before the start is not there for a rounded start or another zone.
const BEFORE_START: SignedDuration = SignedDuration::from_hours(24);

/// Where a read starts.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The key that it starts from.
    pub key: Option<String>,
    /// That is the bookmark: no later one is before it.
    pub is_bookmark: bool,
}

/// The latest key so far.
#[derive(Clone, Debug)]
pub struct Latest {
    key: Option<String>,
    start: Start,
    /// Up to where the key may go, by the clock of the first answer once there is one.
    cap: Cap,
    has_clock: bool,
    pages: Pages,
    /// Rows whose key is yet to come.
    pub ahead: Ahead,
    /// How the rows lie to the start.
    pub counts: KeyCounts,
}

/// How the rows of a read lie to its start.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyCounts {
    /// Rows with a key that a bookmark can be made of.
    pub keyed: u64,
    /// Those of them that lie well before what was asked for.
    pub before: u64,
}

impl Latest {
    /// Starts with none.
    pub fn new(start: Start, cap: Cap) -> Self {
        Self {
            key: None,
            start,
            cap,
            has_clock: false,
            pages: Pages::default(),
            ahead: Ahead::default(),
            counts: KeyCounts::default(),
        }
    }

    /// Starts another read of the same moment: the clock of a later answer would be behind that of
    /// rows which were read before it.
    pub fn beside(&self) -> Self {
        Self { has_clock: true, ..Self::new(self.start.clone(), self.cap) }
    }

    /// Starts the read of another parent or input, which has a bookmark of its own.
    pub fn turn(&mut self, start: Start) {
        (self.key, self.start, self.pages) = (None, start, Pages::default());
    }

    /// Ends a page.
    pub fn end_page(&mut self, keys: Keys<'_>) {
        self.pages.end_page(keys);
    }

    /// Returns what the bookmark is to be: the latest key that is known, or an earlier one where
    /// rows with smaller keys may have been added to pages that were read already.
    pub fn mark(&self, keys: Keys<'_>) -> Option<&str> {
        match (self.pages.settled(), self.bookmark()) {
            (Some(settled), Some(start)) if keys.is_later(start, Some(settled)) => Some(start),
            (Some(settled), _) => Some(settled),
            (None, _) => self.known(),
        }
    }

    /// Adds what a read beside this one has found, behind so many rows.
    pub fn join(&mut self, keys: Keys<'_>, other: &Self, behind: u64) {
        self.ahead.join(other.ahead, behind);
        self.counts.keyed += other.counts.keyed;
        self.counts.before += other.counts.before;
        self.note(keys, other.key().unwrap_or_default(), behind);
    }

    /// Returns the latest key, or where a slice without rows has ended.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the latest key that is known, the bookmark that the read starts from included.
    pub fn known(&self) -> Option<&str> {
        self.key().or(self.bookmark())
    }

    /// Returns the bookmark that the read starts from.
    pub fn bookmark(&self) -> Option<&str> {
        self.start.key.as_deref().filter(|_| self.start.is_bookmark)
    }

    /// Takes the clock of the server, as the first answer shows it.
    pub fn take_clock(&mut self, answer: &Answer) {
        if !std::mem::replace(&mut self.has_clock, true)
            && let Some(text) = answer.header("date")
            && let Ok(clock) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text)
        {
            self.cap.set_clock(clock);
        }
    }

    /// Keeps the key of a row, by the number of the row, and counts where it lies to the moment
    /// from which on rows are asked for.
    pub fn note_row(&mut self, keys: Keys<'_>, key: &str, from: Option<Timestamp>, row: u64) {
        if keys.is_later(key, None) {
            self.counts.keyed += 1;
            let is_before = match (keys.moment(key), from) {
                (Some((moment, _)), Some(from)) => from.duration_since(moment) > BEFORE_START,
                (Some(_), None) => false,
                (None, _) => {
                    self.pages.note(keys, key);
                    keys.is_smaller(key, self.start.key.as_deref())
                }
            };
            self.counts.before += u64::from(is_before);
        }
        self.note(keys, key, row);
    }

    /// Keeps the later of two keys, the second that of a row by its number; one that is later than
    /// the start of the read does not count, and neither does one before the bookmark.
    pub fn note(&mut self, keys: Keys<'_>, key: &str, row: u64) {
        let known = self.key.as_deref();
        let start = self.start.key.as_deref();
        if !keys.is_later(key, known) || known.is_none() && keys.differ(key, start) {
            return;
        }
        if let Some(start) = start.filter(|_| self.start.is_bookmark)
            && keys.is_later(start, Some(key))
        {
            return;
        }
        if let Some((moment, zoned)) = keys.moment(key)
            && self.cap.is_ahead(moment, zoned)
        {
            if self.cap.is_to_come(moment, zoned) {
                self.ahead.add(row);
            }
            return;
        }
        key.clone_into(self.key.get_or_insert_default());
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_bookmark_does_not_go_back() {
        let utc = TimeZone::UTC;
        let keys = Keys { format: None, zone: &utc };
        let check = |start: &str, is_bookmark, noted: &[&str], expected: Option<&str>| {
            let start = Start { key: Some(start.to_owned()), is_bookmark };
            let mut latest = Latest::new(start, Cap::new(true));
            for key in noted {
                latest.note_row(keys, key, None, 1);
            }
            assert_eq!(latest.key(), expected, "{noted:?}");
            let mut other = latest.beside();
            other.join(keys, &latest, 0);
            assert_eq!(other.key(), expected, "{noted:?}");
        };
        check("2026-01-05", true, &["2026-01-02", ""], None);
        check("2026-01-05", true, &["2026-01-02", "2026-01-05", "2026-01-03"], Some("2026-01-05"));
        check("2026-01-05", true, &["2026-01-02", "2026-01-07"], Some("2026-01-07"));
        check("2026-01-05", false, &["2026-01-02"], Some("2026-01-02"));
        check("10", true, &["9", "8.5"], None);
        check("m", true, &["b"], None);
        // Of two kinds that do not compare, the one that comes now counts, if it is no text.
        check("10", true, &["2026-01-02"], Some("2026-01-02"));
        check("2026-01-05", true, &["never"], None);
    }
}
