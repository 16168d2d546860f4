//! In which order the pages of a read come, by keys that are no times. Pure.
//!
//! The rule: a record that is added during a read has a larger key than all records that were there
//! when the first page came. If each page begins where the one before ended, it comes at the end.
//! Else it may be on a page that was read already: then only the keys of the first page are known
//! to have no such record before them.

use crate::key::Keys;

/// The keys of the pages of a read.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    /// The smallest and the largest key of the page at hand.
    page: Option<(String, String)>,
    /// The largest key of the first page with keys.
    first: Option<String>,
    /// The largest key of the pages before.
    last: Option<String>,
    is_mixed: bool,
}

impl Pages {
    /// Adds the key of a record of the page at hand.
    pub(super) fn note(&mut self, keys: Keys<'_>, key: &str) {
        let Some((smallest, largest)) = &mut self.page else {
            self.page = Some((key.to_owned(), key.to_owned()));
            return;
        };
        if keys.is_later(key, Some(largest)) {
            key.clone_into(largest);
        } else if keys.is_later(smallest, Some(key)) {
            key.clone_into(smallest);
        }
    }

    /// Ends the page.
    pub(super) fn end_page(&mut self, keys: Keys<'_>) {
        let Some((smallest, largest)) = self.page.take() else { return };
        let Some(last) = &mut self.last else {
            self.first = Some(largest.clone());
            self.last = Some(largest);
            return;
        };
        self.is_mixed |= keys.is_later(last, Some(&smallest));
        if keys.is_later(&largest, Some(last)) {
            *last = largest;
        }
    }

    /// Returns the key up to which no record can have been passed over, if it is not the largest.
    pub(super) fn settled(&self) -> Option<&str> {
        let first = self.first.as_deref().filter(|_| self.is_mixed)?;
        (self.last.as_deref() != Some(first)).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_bookmark_is_of_pages_in_their_order_or_of_the_first_one() {
        let utc = TimeZone::UTC;
        let keys = Keys { format: None, zone: &utc };
        let check = |read: &[&[&str]], expected: Option<&str>| {
            let mut pages = Pages::default();
            for page in read {
                page.iter().for_each(|key| pages.note(keys, key));
                pages.end_page(keys);
            }
            assert_eq!(pages.settled(), expected, "{read:?}");
        };
        check(&[], None);
        check(&[&["3", "1", "2"]], None);
        check(&[&["2", "1"], &[], &["2", "10"], &["11"]], None);
        // The first page of these has the largest key.
        check(&[&["9", "10"], &["8", "7"], &["6"]], None);
        check(&[&["2", "9"], &["8", "12"], &["13"]], Some("9"));
        check(&[&["5"], &["4"], &["6"]], Some("5"));
        check(&[&["b"], &["a", "c"]], Some("b"));
    }
}
