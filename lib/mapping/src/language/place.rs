//! Where the values of a row lie.

use singer::Kind;

/// Where a value of the row lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) column: usize,
    pub(crate) kind: Kind,
    /// The members that lead into a value of JSON.
    pub(crate) path: Vec<String>,
}
