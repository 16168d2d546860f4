//! The key that a bookmark is made of: the latest up to the start of the read.

use singer::future::{Ahead, Cap};

use crate::http::answer::Answer;
use crate::key::Keys;

/// The latest key so far.
#[derive(Clone, Debug)]
pub struct Latest {
    key: Option<String>,
    /// The key that the read starts from.
    start: Option<String>,
    /// Up to where the key may go, by the clock of the first answer once there is one.
    cap: Cap,
    has_clock: bool,
    /// Rows whose key is yet to come.
    pub ahead: Ahead,
}

impl Latest {
    /// Starts with none.
    pub fn new(start: Option<String>, cap: Cap) -> Self {
        Self { key: None, start, cap, has_clock: false, ahead: Ahead::default() }
    }

    /// Starts another read of the same moment: the clock of a later answer would be behind that of
    /// rows which were read before it.
    pub fn beside(&self) -> Self {
        Self { key: None, ahead: Ahead::default(), has_clock: true, ..self.clone() }
    }

    /// Returns the latest key, or where a slice without rows has ended.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
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

    /// Keeps the later of two keys, the second that of a row by its number; one that is later than
    /// the start of the read does not count.
    pub fn note(&mut self, keys: Keys<'_>, key: &str, row: u64) {
        let known = self.key.as_deref();
        if !keys.is_later(key, known) || known.is_none() && keys.differ(key, self.start.as_deref())
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
