//! The versions that the rows of a stream came with: what a version acts on must be known of all.

use crate::Cell;
use crate::batch::{Batch, Envelope};

/// The versions of the rows of one stream in this run.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    lowest: Option<i64>,
    /// A row came without one.
    lacking: bool,
    /// The text of the last one: rows with one version mostly come one after the other.
    last: Vec<u8>,
}

impl Versions {
    /// Takes note of the rows of a batch.
    pub(crate) fn add(&mut self, batch: &Batch) {
        let Some(at) = batch.width().checked_sub(Envelope::CELLS) else { return };
        for row in 0..batch.rows() {
            match batch.cell(row, at + Envelope::VERSION) {
                Cell::Text(text) if text == self.last => {}
                Cell::Text(text) => {
                    self.last.clear();
                    self.last.extend_from_slice(text);
                    let version = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                    self.lowest = self.lowest.into_iter().chain(version).min();
                }
                Cell::Null | Cell::Absent => self.lacking = true,
            }
        }
    }

    /// Tells whether a row came with a version before this one.
    pub(crate) fn any_before(&self, version: i64) -> bool {
        self.lowest.is_some_and(|lowest| lowest < version)
    }

    /// Tells whether a row came without a version.
    pub(crate) fn any_lacking(&self) -> bool {
        self.lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_of_versions_before_one() {
        let check = |came: &[Option<&str>], (before, lacking): (bool, bool)| {
            let mut batch = Batch::new(1 + Envelope::CELLS);
            for version in came {
                batch.push(b"9");
                batch.push_absent();
                match version {
                    Some(text) => batch.push(text.as_bytes()),
                    None => batch.push_absent(),
                }
            }
            let mut versions = Versions::default();
            versions.add(&batch);
            assert_eq!((versions.any_before(5), versions.any_lacking()), (before, lacking));
        };
        check(&[], (false, false));
        check(&[Some("5"), Some("5"), Some("60")], (false, false));
        check(&[Some("5"), Some("-3"), Some("5")], (true, false));
        check(&[Some("7"), None], (false, true));
    }
}
