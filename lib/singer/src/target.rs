//! What a target is: settings, and one sink a stream.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::about::About;
use crate::batch::Batch;
use crate::catalog::Stream;
use crate::error::Result;
use crate::plan::Planned;
use crate::rejects::Rejects;
use crate::settings::OtherSetting;

/// The member of a bookmark that tells which place has the rows before it: see [`Target::place`].
pub const FILLED_SINCE: &str = "filled_since";

/// A destination of streams.
pub trait Target: Sized {
    /// Whether it can tell the place of a stream from another one that takes its name.
    const KNOWS_PLACES: bool = false;
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Settings of the programs that this one replaces, which it does not carry out.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// The settings, each written once as a documented field.
    type Settings: DeserializeOwned + JsonSchema;
    /// Where the rows of one stream go.
    type Sink: Sink;

    /// Checks the settings and prepares the destination.
    fn open(settings: Self::Settings) -> Result<Self>;

    /// Opens the sink of a stream at its first SCHEMA.
    fn sink(&mut self, stream: &Stream) -> Result<Self::Sink>;

    /// Returns what its sinks share, which each call of one is handed.
    fn shared(&mut self) -> &mut <Self::Sink as Sink>::Shared;

    /// Tells what a load of these streams would do, and changes nothing.
    fn plan(settings: Self::Settings, streams: &[Arc<Stream>]) -> Result<Vec<Planned>>;

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

    /// Is told, after every sink was completed, of the streams of which a tap of ours wrote
    /// nothing, as their source is as their bookmarks know it: fails where the destination has
    /// lost what the bookmarks say it has.
    fn unchanged(&mut self, _streams: &[Unchanged]) -> Result<()> {
        Ok(())
    }

    /// Returns what tells the place that has the rows of a stream of this run from any other. The
    /// bookmarks of our taps take it along, as [`FILLED_SINCE`]: a state is believed by the place
    /// that it is of alone.
    fn place(&mut self, _stream: &str) -> Result<Option<String>> {
        Ok(None)
    }

    /// Ends a good run, after every sink was completed.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    /// Does what comes behind a good run, whose last state is printed: that stays true.
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
    /// The stream is completed, and its rows become durable together with those of others, by
    /// [`Target::commit`]: it costs nearly the same for one small stream and for many.
    Together,
}

/// A stream of which nothing came, as its source is as its bookmark knows it.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// Its name.
    pub name: String,
    /// How many rows its source has, where the bookmark says that.
    pub rows: Option<u64>,
    /// The place that the bookmark is of, where it says that.
    pub filled_since: Option<String>,
    /// Whether it is a day's.
    pub is_of_day: bool,
}

/// How a stream ended, and the state that came with it.
#[derive(Clone, Debug)]
pub struct End {
    /// The tap said that the stream was read to its end; else input merely ended.
    pub verified: bool,
    /// The last state received, without the bookmarks of other streams.
    pub state: Option<Value>,
}

/// The rows of one stream on their way into a destination. Dropped without
/// [`Sink::complete`], it publishes nothing.
pub trait Sink {
    /// What the sinks of a run share: a connection, a buffer.
    type Shared;

    /// Takes rows: the stream's columns, then the cells of an [`Envelope`](crate::Envelope). Need
    /// not be durable yet; rows may come twice after a crash. A row that the destination cannot
    /// take goes to `rejects`.
    fn write(&mut self, shared: &mut Self::Shared, batch: &Batch, rejects: &Rejects) -> Result<()>;

    /// The SCHEMA changed; later batches have its columns.
    fn evolve(&mut self, shared: &mut Self::Shared, stream: &Stream) -> Result<()>;

    /// Makes what was written durable, where the destination can do so before the end.
    fn commit(&mut self, shared: &mut Self::Shared) -> Result<Durability>;

    /// The stream ended well: publish, or leave that to [`Target::commit`]. No row follows.
    fn complete(&mut self, shared: &mut Self::Shared, end: End) -> Result<Durability>;

    /// Rows of versions before this one are gone; where that is heeded it comes right before
    /// [`Sink::complete`], when all rows of this one have come. Where it is not heeded, `older`
    /// tells that rows of older versions were written in this run.
    fn activate(&mut self, version: i64, older: bool) -> Result<()>;

    /// Tells whether further rows of the stream may come into a sink of their own when this one was
    /// completed, as of a tap that reads all tables, and then what changed in all of them.
    fn may_go_on(&self) -> bool {
        false
    }

    /// Tells whether versions change anything here: a state waits for what one does.
    fn heeds_versions(&self) -> bool;
}
