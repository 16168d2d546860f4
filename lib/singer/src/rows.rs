//! What a tap writes its rows into.

use serde_json::Value;

use crate::error::Result;

/// The rows of one stream on their way to the pipe.
pub struct Rows {}

impl Rows {
    /// Appends a cell, checked against the kind of its column.
    pub fn cell(&mut self, _text: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Appends a cell whose text the caller knows to be canonical.
    pub fn verbatim(&mut self, _text: &[u8]) {}

    /// Appends a cell whose canonical text `fill` appends to the buffer it gets.
    pub fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        fill(&mut Vec::new())
    }

    /// Appends a null (for a column with `absent_is_null`: a missing key).
    pub fn null(&mut self) {}

    /// Ends the row. Fails with `ErrorKind::Enough` once `limit` rows are there: pass it on.
    pub fn end(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes back the cells of the row begun and records why: with `max_rejects` used up, fails
    /// with `ErrorKind::Data` and this reason.
    pub fn reject(&mut self, _place: &str, _record: &[u8], _failure: crate::Error) -> Result<()> {
        Ok(())
    }

    /// Hands on what was written, before a wait.
    pub fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Says that everything up to here is covered by this progress: it becomes the stream's
    /// bookmark. Not needed for a replication key: that is taken from the rows.
    pub fn checkpoint(&mut self, _progress: Value) -> Result<()> {
        Ok(())
    }

    /// Returns how many rows are wanted (`--test` asks for one).
    pub fn limit(&self) -> Option<u64> {
        None
    }
}
