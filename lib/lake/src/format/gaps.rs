//! Properties that some records of a stream have and others lack. A load by key leaves alone what a
//! record lacks, but a cell of a file cannot say that: it is null, which is a value.

use singer::Stream;

use crate::{Layout, Origin};

/// What is known of each column of a file.
#[derive(Debug)]
pub struct Gaps {
    /// Whether it counts: records of our own taps are whole, and rows without keys replace none.
    counts: bool,
    /// Whether a row had the property, and whether one lacked it, under whatever schema it came.
    columns: Vec<(bool, bool)>,
    /// Rows were written: they lack a column that comes later.
    some_written: bool,
    /// The columns of the absent cells of a batch: what is written anyway is not looked at again.
    absent: Vec<usize>,
}

impl Gaps {
    /// Begins with a stream.
    pub fn new(stream: &Stream) -> Self {
        let counts = !stream.keys.is_empty() && !stream.says_coverage;
        Self { counts, columns: Vec::new(), some_written: false, absent: Vec::new() }
    }

    /// Takes note of an absent cell of a row that is being written.
    #[inline]
    pub fn note(&mut self, column: usize) {
        if self.counts {
            self.absent.push(column);
        }
    }

    /// Returns how many were noted, for [`Gaps::take_back`].
    #[inline]
    pub fn noted(&self) -> usize {
        self.absent.len()
    }

    /// Takes back what was noted since, for the row is not written.
    pub fn take_back(&mut self, noted: usize) {
        self.absent.truncate(noted);
    }

    /// Takes note of so many rows of a batch that were written.
    pub fn end_batch(&mut self, rows: usize, layout: &Layout) {
        if !self.counts || rows == 0 {
            return;
        }
        let mut absent = vec![0; layout.origins.len()];
        self.absent.drain(..).for_each(|column| absent[column] += 1);
        self.columns.resize(layout.origins.len(), (false, self.some_written));
        self.some_written = true;
        for (((had, lacked), origin), absent) in
            self.columns.iter_mut().zip(&layout.origins).zip(absent)
        {
            match origin {
                Origin::Cell { .. } => {
                    *had |= absent < rows;
                    *lacked |= absent > 0;
                }
                // The schema of these rows has it no more.
                Origin::Null => *lacked = true,
                _ => {}
            }
        }
    }

    /// Warns of what the file does not say.
    pub fn warn(&self, stream: &str, layout: &Layout) {
        let columns = layout.names().zip(&self.columns);
        let gaps: Vec<&str> =
            columns.filter(|(_, seen)| **seen == (true, true)).map(|(name, _)| name).collect();
        if !gaps.is_empty() {
            singer::warn!(
                "W-PROPERTY-ABSENT",
                "stream {stream}: records lack properties that other records have, and the file \
                 has null there: {}. A load of the file by key overwrites the values with null, \
                 but a direct load of these records would keep them. Let the tap write whole \
                 records, or load them without a file",
                gaps.join(", ")
            );
        }
    }
}
