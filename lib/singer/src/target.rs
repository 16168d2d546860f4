//! What a target is: settings, and one sink a stream.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::about::About;
use crate::batch::Batch;
use crate::catalog::Stream;
use crate::error::Result;
use crate::help::Example;
use crate::plan::Planned;
use crate::rejects::Rejects;
use crate::settings::OtherSetting;
use crate::tables::{self, TablesAsked, TablesOrder};

/// The member of a bookmark that names the place with the rows before it: see [`Target::place`].
pub const FILLED_SINCE: &str = "filled_since";

/// A destination of streams.
pub trait Target: Sized {
    /// Whether the target can distinguish the place of a stream from another place with the same
    /// name.
    const KNOWS_PLACES: bool = false;
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Lines that use it, for its help and its man page: each must work.
    const EXAMPLES: &'static [Example] = &[];
    /// Settings of programs that this target replaces, but which it does not support.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// The settings. Each is a documented field.
    type Settings: DeserializeOwned + JsonSchema;
    /// Where the rows of one stream go.
    type Sink: Sink;

    /// Checks the settings and prepares the destination.
    fn open(settings: Self::Settings) -> Result<Self>;

    /// Opens the sink of a stream at its first SCHEMA.
    fn sink(&mut self, stream: &Stream) -> Result<Self::Sink>;

    /// Returns what its sinks share. Each call of a sink receives it.
    fn shared(&mut self) -> &mut <Self::Sink as Sink>::Shared;

    /// Returns what a load of these streams would do, and changes nothing.
    fn plan(settings: Self::Settings, streams: &[Arc<Stream>]) -> Result<Vec<Planned>>;

    /// Returns what would be done to the tables of these streams, as JSON, and changes nothing.
    ///
    /// # Errors
    /// What a load of these streams would fail by, too.
    fn plan_tables(
        _settings: Self::Settings,
        _streams: &[Arc<Stream>],
        _asked: &TablesAsked,
    ) -> Result<Value> {
        Err(tables::unable())
    }

    /// Does what a plan of [`Target::plan_tables`] says, and returns it.
    ///
    /// # Errors
    /// The tables are not as they were, or the plan cannot be applied. Nothing is changed, then.
    fn apply_tables(
        _settings: Self::Settings,
        _streams: &[Arc<Stream>],
        _order: &TablesOrder,
    ) -> Result<Value> {
        Err(tables::unable())
    }

    /// Makes durable what completed sinks have left for it ([`Durability::Together`]): at the
    /// latest a second behind the first of them, and before the end.
    ///
    /// # Errors
    /// Those of the first stream that is not durable now; the others may be.
    fn commit(&mut self) -> Result<()> {
        Ok(())
    }

    /// Tells whether completed sinks have left rows that are not durable yet. Where a target has
    /// made them durable before [`Target::commit`], their state is printed at once.
    fn has_waiting(&self) -> bool {
        true
    }

    /// Receives, after every sink was completed, the streams whose source has not changed since
    /// their bookmarks, so that our tap wrote nothing. Fails if the destination has lost the rows
    /// that the bookmarks describe.
    fn unchanged(&mut self, _streams: &[Unchanged]) -> Result<()> {
        Ok(())
    }

    /// Returns a text that distinguishes the place with the rows of a stream from any other place.
    /// The bookmarks of our taps contain it as [`FILLED_SINCE`]: a place accepts only states of its
    /// own.
    fn place(&mut self, _stream: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// Ends a successful run, after every sink was completed.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Does the work that follows a successful run. The last state is already printed and stays
    /// valid.
    fn afterwards(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Whether rows survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// All rows written so far are durable; state that covers them may be printed.
    Durable,
    /// The rows become durable when the stream is completed.
    OnComplete,
    /// The stream is complete, and [`Target::commit`] makes its rows durable together with those of
    /// other streams. This costs nearly the same for one small stream and for many.
    Together,
}

/// A stream without rows in this run, because its source has not changed since its bookmark.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// Its name.
    pub name: String,
    /// The number of rows of its source, if the bookmark says it.
    pub rows: Option<u64>,
    /// The place that the bookmark belongs to, if the bookmark says it.
    pub filled_since: Option<String>,
    /// Whether it belongs to a day.
    pub is_of_day: bool,
}

/// What the tap said at the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The stream was read to its end.
    End,
    /// A state behind its last row, so that the rows may be all.
    State,
    /// Nothing: the input just ended.
    Nothing,
}

/// How a stream ended, and the state that came with it.
#[derive(Clone, Debug)]
pub struct End {
    /// What the tap said of it.
    pub said: Said,
    /// Rows of it were left out before they came to the target, such as rejects.
    pub left_out: bool,
    /// The target has rejected rows of it.
    pub rejected: bool,
    /// The last state received, without the bookmarks of other streams.
    pub state: Option<Value>,
}

/// The rows of one stream on their way into a destination. Dropped without
/// [`Sink::complete`], it publishes nothing.
pub trait Sink {
    /// What the sinks of a run share: a connection, a buffer.
    type Shared;

    /// Receives rows: the stream's columns, then the cells of an [`Envelope`](crate::Envelope).
    /// They need not be durable yet. Rows may come twice after a crash. A row that the destination
    /// cannot store goes to `rejects`.
    fn write(&mut self, shared: &mut Self::Shared, batch: &Batch, rejects: &Rejects) -> Result<()>;

    /// The SCHEMA changed: later batches have its columns.
    fn evolve(&mut self, shared: &mut Self::Shared, stream: &Stream) -> Result<()>;

    /// Makes the written rows durable, if the destination can do so before the end.
    fn commit(&mut self, shared: &mut Self::Shared) -> Result<Durability>;

    /// The stream ended well: publishes it, or leaves that to [`Target::commit`]. No row follows.
    fn complete(&mut self, shared: &mut Self::Shared, end: End) -> Result<Durability>;

    /// Rows of versions before this one are gone from the source. A sink that acts on versions is
    /// called right before [`Sink::complete`], when all rows of this version have come. For other
    /// sinks, `older` says that this run has written rows of older versions.
    fn activate(&mut self, version: i64, older: bool) -> Result<()>;

    /// Returns whether more rows of the stream may come into a new sink after this one was
    /// completed. A tap that reads all tables, and then their changes, sends such rows.
    fn may_go_on(&self) -> bool {
        false
    }

    /// Returns whether this sink acts on versions. If so, a state waits for the end of the stream.
    fn heeds_versions(&self) -> bool;
}
