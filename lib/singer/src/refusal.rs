//! Why a record is not taken.

use crate::scan::Fault;

/// Why a value does not fit its column, for people; never the value itself.
pub type Reason = String;

/// Why a record was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// It is not JSON.
    Broken(Fault),
    /// A value does not fit its column (`None`: the record as a whole).
    Unfit(Option<usize>, Reason),
    /// It says that its row was deleted, which the schema does not declare: see
    /// `RecordDecoder::heeding_deletions`.
    Deletes,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}
