//! What is wrong with a row that a tap has written.

use super::Rows;
use crate::error::{Error, ErrorKind};

impl Rows<'_> {
    #[cold]
    pub(super) fn wrong_width(&self) -> Error {
        Error::new(ErrorKind::Internal, "a row has the wrong number of cells")
            .with("stream", &self.open.id)
            .with("cells", self.open.column)
            .with("columns", self.open.columns.len())
    }

    #[cold]
    pub(super) fn too_large(&self, bytes: usize) -> Error {
        Error::new(ErrorKind::Data, "a record is larger than the limit")
            .with("stream", &self.open.id)
            .with("bytes", bytes)
            .with("limit in bytes", self.run.record_bytes_max)
            .hint("raise `max_record_bytes` on both sides of the pipe, or leave out the column")
    }
}
