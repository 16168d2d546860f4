//! One stream on its way into its sink.

use std::sync::Arc;

use serde_json::Value;
use tracing::Span;

use crate::catalog::Stream;
use crate::error::{Error, ErrorKind};
use crate::metrics::RecordCounter;
use crate::tap::TEST;
use crate::target::Said;
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

impl Behind {
    /// Returns what the tap has said at the end of the stream; `verified` where that was its end.
    pub(super) fn said(self, verified: bool) -> Said {
        match self {
            _ if verified => Said::End,
            Self::Nothing => Said::Nothing,
            Self::Something | Self::End => Said::State,
        }
    }
}

/// One stream on its way into its sink.
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of a stream")]
pub(super) struct Outgoing<S> {
    pub name: String,
    pub span: Span,
    /// The stream of the tap that it came of: the tap says when that was read.
    pub of_tap: String,
    /// What its last SCHEMA said.
    pub stream: Arc<Stream>,
    /// `None` once it was completed.
    pub sink: Option<S>,
    /// It was completed, and further rows of it may come all the same.
    pub goes_on: bool,
    /// Rows were written that are not durable.
    pub dirty: bool,
    /// Some of its rows are durable, before the stream ended.
    pub partly: bool,
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
    /// Its tap has left rows out, such as rejects.
    pub lacks: bool,
    /// What the last state that covers rows of it leaves out.
    pub mark: Value,
    pub counter: RecordCounter,
}

impl<S> Outgoing<S> {
    /// Describes a stream of which nothing came yet; `mark` is what the last state leaves out.
    pub(super) fn new(stream: &Arc<Stream>, sink: S, span: Span, mark: Value) -> Self {
        Self {
            name: stream.name.clone(),
            span,
            of_tap: stream.of_tap().to_owned(),
            stream: Arc::clone(stream),
            sink: Some(sink),
            goes_on: false,
            dirty: false,
            partly: false,
            waits: false,
            late: false,
            lacks: false,
            behind: Behind::Nothing,
            version: None,
            versions: Versions::default(),
            mark,
            counter: RecordCounter::new(&stream.name),
        }
    }
}

/// Makes the failure for what comes of a stream that had ended.
pub(super) fn after_end(name: &str) -> Error {
    Error::new(ErrorKind::Protocol, "a message arrived after the end of its stream")
        .with("stream", name)
        .hint(
            "the tap announced the end of this stream by `currently_syncing`, and a load that \
             replaces all rows cannot continue: check whether two taps write into one pipe",
        )
}

/// Makes the failure of an input that ends while a stream is being read.
pub(super) fn ended_early(name: &str, published: &str) -> Error {
    if name == TEST {
        return Error::new(ErrorKind::Protocol, "cannot load what `--test` reads").hint(
            "the input comes from a tap that was run with `--test`, which reads one row of each \
             stream: run the tap without it",
        );
    }
    Error::new(ErrorKind::Protocol, "the input ended early")
        .with("stream", name)
        .with("published before", published)
        .hint("the tap did not finish this stream: read its own messages, then run again")
}
