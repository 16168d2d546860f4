//! What may happen to streams within a tap or a target: who carries it out is for others to say.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::catalog::Stream;
use crate::error::Result;
use crate::mapper::Route;

/// Changes streams and rows where a tap writes them, or where a target has read them.
pub trait Inline {
    /// Meltano's words for what it can.
    const CAPABILITIES: &'static [&'static str] = &[];
    /// The settings. Each is a documented field. A connector's own setting of the same name is not
    /// among them.
    type Settings: DeserializeOwned + JsonSchema;

    /// Checks the settings. `None`: they ask for nothing, and no row costs anything.
    ///
    /// # Errors
    /// What is wrong with them.
    fn open(settings: Self::Settings) -> Result<Option<Box<dyn Stages>>>;
}

/// What is done to the streams of a run.
pub trait Stages {
    /// Returns the streams that are made of a stream; `None`: it stays as it is. It is called
    /// again when the SCHEMA changes.
    ///
    /// # Errors
    /// What the stream breaches, before its first row.
    fn routes(&mut self, stream: &Stream) -> Result<Option<Vec<Route>>>;

    /// Is called when a stream of the tap has been read, before anybody learns it.
    ///
    /// # Errors
    /// What its rows together breach.
    fn complete(&mut self, stream_of_tap: &str) -> Result<()>;

    /// Tells whether a rule judges all rows of a stream of the tap together: see
    /// [`Mapper::judges`](crate::Mapper::judges).
    fn judges(&self, stream_of_tap: &str) -> bool;

    /// Is called in place of `complete` when the source of a stream has not changed: no row of it
    /// comes.
    fn unchanged(&mut self, stream_of_tap: &str);

    /// Is called at the end of the input, before the run ends well.
    ///
    /// # Errors
    /// What the run breaches.
    fn finish(&mut self) -> Result<()>;

    /// Tells whether no row may be shown as it came: see
    /// [`Mapper::hides_rows`](crate::Mapper::hides_rows).
    fn hides_rows(&self) -> bool;

    /// Says what happens to a stream that was made, for `--plan`: a line each.
    fn plan(&self, stream: &str) -> Vec<String>;
}

/// Changes nothing, and has no settings.
pub(crate) struct Nothing;

/// No settings.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct NoSettings {}

impl Inline for Nothing {
    type Settings = NoSettings;

    fn open(_: NoSettings) -> Result<Option<Box<dyn Stages>>> {
        Ok(None)
    }
}
