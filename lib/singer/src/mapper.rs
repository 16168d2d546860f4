//! What a mapper is: settings, and what becomes of each stream.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::about::About;
use crate::batch::{Batch, Cell};
use crate::catalog::Stream;
use crate::error::Result;
use crate::settings::OtherSetting;

/// Stands between a tap and a target, and changes streams and rows on their way.
pub trait Mapper: Sized {
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Settings of the programs that this one replaces, which it does not carry out.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// The settings, each written once as a documented field.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings.
    ///
    /// # Errors
    /// What is wrong with them.
    fn open(settings: Self::Settings) -> Result<Self>;

    /// Returns what becomes of a stream: nothing, itself, or several. Asked again when its SCHEMA
    /// changes.
    ///
    /// # Errors
    /// Why it cannot be mapped.
    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>>;
}

/// A stream that comes of another one.
pub struct Route {
    /// As its SCHEMA says it; [`Stream::mapped`] makes one.
    pub stream: Stream,
    /// Makes its rows.
    pub rows: RowMap,
}

/// Appends the cells of the row that comes of a row: canonical text, one cell a column of the
/// route's stream. A row of which no cell comes is left out. A failure of kind `Data` sets the row
/// aside.
pub type RowMap = Box<dyn FnMut(Row<'_>, &mut Batch) -> Result<()>>;

/// One row of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    batch: &'a Batch,
    at: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn new(batch: &'a Batch, at: usize) -> Self {
        Self { batch, at }
    }

    /// Returns the cell of a column, by its position in the stream.
    #[must_use]
    pub fn cell(self, column: usize) -> Cell<'a> {
        self.batch.cell(self.at, column)
    }
}
