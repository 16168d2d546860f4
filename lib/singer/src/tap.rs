//! What a tap is: settings, discovery, and reading one stream.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::about::About;
use crate::catalog::{ReplicationMethod, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::help::Example;
use crate::outbox::Outbox;
use crate::plan::Reading;
use crate::rows::Rows;
use crate::settings::{OtherSetting, TapCommon};
use crate::state::Bookmark;
use crate::unreadable::Unreadable;

/// The capability of a tap that reads what has changed from a log: see [`Tap::sync_log`].
pub const LOG_BASED: &str = "log-based";
/// What a tap that is run with `--test` names as the stream that it reads, and never as read.
pub(crate) const TEST: &str = "--test";

/// A source of streams.
pub trait Tap: Sized {
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Lines that use it, for its help and its man page: each must work.
    const EXAMPLES: &'static [Example] = &[];
    /// Settings of programs that this tap replaces, but which it does not support.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// Discovery reports itself when it finds no stream. Having no new file is not a fault.
    const TELLS_NO_STREAM: bool = false;
    /// The description of the common setting `start_date`, if it means something else for this tap.
    const START_DATE: Option<&'static str> = None;
    /// The settings. Each is a documented field.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings and prepares the source; reads no stream. `common` has the settings of
    /// every tap; the driver itself carries them out, except where the tap reads ahead of it.
    fn open(settings: Self::Settings, common: &TapCommon) -> Result<Self>;

    /// Returns every stream the source has.
    fn discover(&mut self) -> Result<Vec<Stream>>;

    /// Returns what the source has and the user may not read, of what the settings name, after
    /// [`Tap::discover`].
    fn unreadable(&mut self) -> Vec<Unreadable> {
        Vec::new()
    }

    /// Tells whether the schemas of all streams are written before the first row.
    fn schemas_first(&self) -> bool {
        false
    }

    /// Selects streams, or changes how they are read, as the settings say. The streams come from
    /// discovery or from a catalog.
    fn adjust(&mut self, _streams: &mut [Stream]) -> Result<()> {
        Ok(())
    }

    /// Returns how to read streams that have a replication key, but no method in their catalog
    /// entry; by default `Incremental`. Streams without a key are read in full.
    fn default_method(&self) -> Option<ReplicationMethod> {
        None
    }

    /// Tells whether the tap reads the bookmarks of parts of this stream, which
    /// [`crate::state::parts`] returns.
    fn reads_parts(&self, _stream: &Stream) -> bool {
        false
    }

    /// Returns the schema and the table of a stream, if it is read from a table.
    fn source_table(&self, _stream: &Stream) -> Option<(String, String)> {
        None
    }

    /// Receives all streams of the run before the first of them is read. It may correct what is not
    /// true in this run, such as a key.
    fn prepare(&mut self, _streams: &mut [&mut Stream]) -> Result<()> {
        Ok(())
    }

    /// Writes the rows of a stream, with the cells in the order of `stream.columns`. If the source
    /// has not changed since the bookmark, writes no row and calls [`Rows::unchanged`].
    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()>;

    /// Writes the changes of these streams since their bookmarks, in the order of the log. All
    /// streams are open at once, each by its place in `streams`. The driver calls it only for a tap
    /// with the capability [`LOG_BASED`].
    fn sync_log(&mut self, _: &[(Stream, Bookmark)], _: &mut Outbox) -> Result<()> {
        Err(no_log())
    }

    /// Returns what [`Tap::sync`] would read, without reading it: statements, files or requests.
    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading>;
}

/// Returns the failure of a tap that cannot read a log.
#[must_use]
pub fn no_log() -> Error {
    Error::new(ErrorKind::Config, "cannot read a stream by LOG_BASED: this tap does not support it")
        .hint("set `replication-method` to INCREMENTAL with a `replication-key`, or to FULL_TABLE")
}
