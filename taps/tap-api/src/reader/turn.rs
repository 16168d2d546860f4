//! What came of an answer, and in which form its records stood.

use singer::{Error, ErrorKind, Result};

use crate::paging::pager::Next;
use crate::plan::Plan;

/// What has come of an answer.
pub(super) enum Turn {
    /// Its rows are taken; this is to be asked for next.
    Next(Option<Next>),
    /// It tells of a failure that may pass, and nothing was taken.
    Again(Error),
}

/// How the records of a stream stood in its answers.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// As elements of a list.
    pub listed: bool,
    /// As an object whose members are objects, taken for one record.
    pub mapped: bool,
}

impl Forms {
    /// Adds those of a read of other inputs or parents.
    pub(super) fn join(&mut self, other: &Self, plan: &Plan) -> Result<()> {
        self.listed |= other.listed;
        self.mapped |= other.mapped;
        if self.listed && self.mapped { Err(mixed(plan)) } else { Ok(()) }
    }
}

/// One stream has its records in one way.
pub(super) fn mixed(plan: &Plan) -> Error {
    Error::new(ErrorKind::Data, "the records are a list in one answer and an object in another")
        .with("records_path", &plan.records)
        .hint(
            "a `records_path` that ends with `.*` in place of `[*]` takes the members of an \
             object, and the elements of a list",
        )
}
