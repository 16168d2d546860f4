//! One stream on its way into its sink.

use serde_json::Value;
use tracing::Span;

use crate::metrics::RecordCounter;
use crate::versions::Versions;

/// What came behind the last row of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Behind {
    /// Nothing yet.
    Nothing,
    /// A state, or the stream's version: the rows may be all.
    Something,
    /// A state that said that no stream is being read any more.
    End,
}

/// One stream on its way into its sink.
pub(super) struct Outgoing<S> {
    pub name: String,
    pub span: Span,
    /// The stream of the tap that it came of: the tap says when that was read.
    pub of_tap: String,
    /// `None` once it was completed.
    pub sink: Option<S>,
    /// Rows were written that are not durable.
    pub dirty: bool,
    /// It was completed, and its rows become durable with those of others.
    pub waits: bool,
    /// Its sink makes rows durable at the end only.
    pub late: bool,
    /// What came behind its rows.
    pub behind: Behind,
    /// Rows of versions before this one are gone, if all rows have come.
    pub version: Option<i64>,
    /// Those that its rows came with.
    pub versions: Versions,
    /// What the last state that covers rows of it leaves out.
    pub mark: Value,
    pub counter: RecordCounter,
}
