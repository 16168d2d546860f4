//! The forms that data files have: how rows are written into them.

pub mod csv;
pub mod gaps;

use singer::{Batch, Result, Stream};

pub use self::gaps::Gaps;
use crate::{DataFile, Layout};

/// Beyond this many streams each has to do with little.
const WRITERS_MANY: usize = 200;

/// What the writers of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Where rows become text; one for all, so that many streams need little memory.
    block: Vec<u8>,
    /// How many writers there are.
    writers: usize,
}

impl Shared {
    /// Tells whether there are so many streams that each has to do with little.
    fn has_many(&self) -> bool {
        self.writers > WRITERS_MANY
    }
}

/// Where a writer creates its data files: a staged partition, or a place of a target's own.
pub trait DataFiles {
    /// Creates another data file.
    ///
    /// # Errors
    /// Those of creating it.
    fn create(&mut self) -> Result<DataFile>;
}

/// The rows of one stream on their way into data files of one format.
pub trait RowWriter: std::fmt::Debug + Send {
    /// Returns the columns as they are now.
    fn layout(&self) -> &Layout;

    /// Takes rows, but those without a value in their key: a load of the day would not take them.
    /// Returns these. Which cells of the others are absent is noted in `gaps`.
    ///
    /// # Errors
    /// Those of writing them.
    fn write(
        &mut self,
        shared: &mut Shared,
        batch: &Batch,
        gaps: &mut Gaps,
    ) -> Result<Vec<Keyless>>;

    /// Takes a changed schema, see [`Layout::evolve`]. Rows from before lack the new columns.
    ///
    /// # Errors
    /// Those of [`Layout::evolve`] and of writing the rows that wait.
    fn evolve(&mut self, shared: &mut Shared, stream: &Stream) -> Result<()>;

    /// Ends the files: all rows in them have the columns of the layout.
    ///
    /// # Errors
    /// Those of writing them.
    fn finish(self: Box<Self>, shared: &mut Shared, files: &mut dyn DataFiles) -> Result<Written>;
}

/// What a writer has written.
#[derive(Debug)]
pub struct Written {
    /// The data files, in reading order; there is one also where there are no rows.
    pub files: Vec<DataFile>,
    /// The columns of all rows.
    pub layout: Layout,
}

/// A row of a batch that lacks a value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyless {
    /// Which row it is.
    pub row: usize,
    /// The cell that has none.
    pub at: usize,
}
