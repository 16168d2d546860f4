//! What the streams of a run share on their way out.

use crate::error::Result;
use crate::future::Cap;
use crate::pipe::{Job, Pipe};
use crate::rejects::Rejects;
use crate::states::States;

/// What all streams of a run share.
pub(crate) struct Shared {
    pub pipe: Pipe,
    pub rejects: Rejects,
    pub states: States,
    /// Up to where bookmarks of time move.
    pub cap: Cap,
    /// How many rows of a stream are wanted.
    pub limit: Option<u64>,
    pub record_bytes_max: usize,
    /// A SCHEMA of the run has said which files are read.
    pub files_told: bool,
    /// Something happens to rows before they are written.
    pub changes_rows: bool,
    /// Text of the rows that wait in the batches of the open streams.
    pub pending_bytes: usize,
}

impl Shared {
    pub(crate) fn line(&mut self, line: Vec<u8>) -> Result<()> {
        self.pipe.send(Job::Line(line))
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Closed {
    /// How many rows it had.
    pub count: u64,
    /// Rows of it were left out.
    pub left_out: bool,
    /// Why the source may lack rows.
    pub lacks: Option<&'static str>,
}
