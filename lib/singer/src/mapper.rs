//! What a mapper is: settings, and what becomes of each stream.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::about::About;
use crate::batch::{Batch, Cell};
use crate::catalog::Stream;
use crate::error::Result;
use crate::help::Example;
use crate::settings::OtherSetting;

/// The `source_stream` of a stream that is made of several streams of the tap: it is complete when
/// the tap has read all of its streams.
pub const COMBINED: &str = "--combined";

/// Stands between a tap and a target, and changes streams and rows on their way.
pub trait Mapper: Sized {
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Lines that use it, for its help and its man page: each must work.
    const EXAMPLES: &'static [Example] = &[];
    /// Settings of programs that this mapper replaces, but which it does not support.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// The settings. Each is a documented field.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings.
    ///
    /// # Errors
    /// What is wrong with them.
    fn open(settings: Self::Settings) -> Result<Self>;

    /// Returns the streams that are made of a stream: none, itself, or several. It is called again
    /// when the SCHEMA changes.
    fn routes(&mut self, stream: &Stream) -> Result<Vec<Route>>;

    /// Is called with streams whose SCHEMA came before a row of theirs, before [`Mapper::routes`].
    /// So a tap that writes all its schemas first lets a mapper know them all at once.
    ///
    /// # Errors
    /// As [`Mapper::routes`].
    fn announce(&mut self, _streams: &[Arc<Stream>]) -> Result<()> {
        Ok(())
    }

    /// Returns the streams of the tap whose routes are others now, since those of another stream
    /// were asked for: they are asked for again.
    fn renewed(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Is called when the tap has read one of its streams, before the target learns it. It may be
    /// called again where further rows of the stream come.
    ///
    /// # Errors
    /// What the rows together breach: the target then publishes nothing of the stream.
    fn complete(&mut self, _stream_of_tap: &str) -> Result<()> {
        Ok(())
    }

    /// Tells whether a rule judges all rows of a stream of the tap together. No state covers rows
    /// of such a stream before [`Mapper::complete`] has returned.
    fn judges(&self, _stream_of_tap: &str) -> bool {
        false
    }

    /// Is called in place of that when the source of a stream has not changed: no row of it comes.
    fn unchanged(&mut self, _stream_of_tap: &str) {}

    /// Is called when the input is over, before the run ends well.
    ///
    /// # Errors
    /// What the run breaches.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Tells whether no row may be shown as it came. Rejects then hold of a row what its failure
    /// shows ([`Error::showing`](crate::Error::showing)), or its place and the reason only.
    fn hides_rows(&self) -> bool {
        false
    }

    /// Says what happens to a stream that was made, for `--plan`: a line each.
    fn plan(&self, _stream: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A stream that is made of another stream.
pub struct Route {
    /// As its SCHEMA says it; [`Stream::mapped`] makes one.
    pub stream: Stream,
    /// Makes its rows.
    pub rows: RowMap,
}

impl Route {
    /// Returns the stream as it is.
    #[must_use]
    pub fn copy(stream: &Stream) -> Self {
        let width = stream.columns.len();
        Self {
            stream: stream.mapped(&stream.name, stream.schema.clone(), stream.keys.clone()),
            rows: Box::new(move |row, out| {
                (0..width).for_each(|at| out.push_cell(row.cell(at)));
                Ok(())
            }),
        }
    }
}

impl Route {
    /// Says of columns of more than one type that they are texts, as their values are.
    pub(crate) fn saying_texts(self) -> Self {
        Self { stream: self.stream.saying_texts(), ..self }
    }
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
    /// Points at a row of a batch.
    #[must_use]
    pub fn new(batch: &'a Batch, at: usize) -> Self {
        Self { batch, at }
    }

    /// Returns the line of the input that the row came from; 0 where that is not known.
    #[must_use]
    pub fn line(self) -> u64 {
        self.batch.line(self.at)
    }

    /// Returns the cell of a column, by its position in the stream.
    #[must_use]
    pub fn cell(self, column: usize) -> Cell<'a> {
        self.batch.cell(self.at, column)
    }
}
