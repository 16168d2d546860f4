//! What a tap is: settings, discovery, and reading one stream.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::about::About;
use crate::catalog::{ReplicationMethod, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::outbox::Outbox;
use crate::plan::Reading;
use crate::rows::Rows;
use crate::settings::{OtherSetting, TapCommon};
use crate::state::Bookmark;

/// The capability of a tap that reads what has changed from a log: see [`Tap::sync_log`].
pub const LOG_BASED: &str = "log-based";

/// A source of streams.
pub trait Tap: Sized {
    /// Name, description and capabilities.
    const ABOUT: About;
    /// Settings of the programs that this one replaces, which it does not carry out.
    const OTHER_SETTINGS: &'static [OtherSetting] = &[];
    /// Discovery itself tells why it finds no stream, where that may be a fault; to have no new
    /// file is none.
    const TELLS_NO_STREAM: bool = false;
    /// What the common setting `start_date` does, where that is not what its description says.
    const START_DATE: Option<&'static str> = None;
    /// The settings, each written once as a documented field.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings and prepares the source; reads no stream. `common` has the settings of
    /// every tap; the driver itself carries them out, except where the tap reads ahead of it.
    fn open(settings: Self::Settings, common: &TapCommon) -> Result<Self>;

    /// Returns every stream the source has.
    fn discover(&mut self) -> Result<Vec<Stream>>;

    /// Selects streams, or has them read otherwise, as the settings say: those that discovery
    /// found, or those of a catalog.
    fn adjust(&mut self, _streams: &mut [Stream]) -> Result<()> {
        Ok(())
    }

    /// Returns how to read streams with a replication key whose catalog entry does not say it; by
    /// default `Incremental`. Those without a key are read whole.
    fn default_method(&self) -> Option<ReplicationMethod> {
        None
    }

    /// Returns the schema and the table that a stream is read from, where there are such.
    fn source_table(&self, _stream: &Stream) -> Option<(String, String)> {
        None
    }

    /// Takes note of all streams that the run reads, before the first of them; what is not true of
    /// them in this run, such as a key, it may correct.
    fn prepare(&mut self, _streams: &mut [&mut Stream]) -> Result<()> {
        Ok(())
    }

    /// Writes the rows of a stream, cells in the order of `stream.columns`; or none and
    /// [`Rows::unchanged`], where the source is as the bookmark knows it.
    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()>;

    /// Writes what has changed in these streams since their bookmarks, as it comes: several are
    /// open at once, each by its place in `streams`. Only a tap with the capability [`LOG_BASED`]
    /// is asked for it.
    fn sync_log(&mut self, _: &[(Stream, Bookmark)], _: &mut Outbox) -> Result<()> {
        Err(no_log())
    }

    /// Tells what [`Tap::sync`] would read, without doing so: statements, files or requests.
    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading>;
}

/// The failure of a tap that reads no log.
#[must_use]
pub fn no_log() -> Error {
    Error::new(ErrorKind::Config, "cannot read a stream LOG_BASED: this tap reads no log")
        .hint("set `replication-method` to INCREMENTAL with a `replication-key`, or to FULL_TABLE")
}
