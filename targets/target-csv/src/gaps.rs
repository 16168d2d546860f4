//! Properties that some records of a stream have and others lack. A load by key leaves alone what a
//! record lacks, but a cell of a file cannot say that: it is null, which is a value.

use singer::{Batch, Cell, Stream};

use crate::layout::{Layout, Origin};

/// What is known of each column of a file.
#[derive(Debug)]
pub struct Gaps {
    /// Whether it counts: records of our own taps are whole, and rows without keys replace none.
    counts: bool,
    /// Whether a record had the property, and whether one lacked it.
    columns: Vec<(bool, bool)>,
}

impl Gaps {
    /// Begins with a stream.
    pub fn new(stream: &Stream) -> Self {
        Self { counts: !stream.keys.is_empty() && !stream.says_part, columns: Vec::new() }
    }

    /// Takes note of the rows of a batch.
    pub fn see(&mut self, batch: &Batch, layout: &Layout) {
        if !self.counts {
            return;
        }
        self.columns.resize(layout.origins.len(), (false, false));
        for ((had, lacked), origin) in self.columns.iter_mut().zip(&layout.origins) {
            let Origin::Cell { at, .. } = *origin else { continue };
            let mut rows = 0..batch.rows();
            while !(*had && *lacked)
                && let Some(row) = rows.next()
            {
                let lacks = batch.cell(row, at) == Cell::Absent;
                *had |= !lacks;
                *lacked |= lacks;
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
                "stream {stream}: records lack properties that others have, and are null there in \
                 the file: a load of it by key puts null in place of the values that a load of \
                 these records leaves alone: {}; if they are not null, let the tap write whole \
                 records, or load them without a file between",
                gaps.join(", ")
            );
        }
    }
}
