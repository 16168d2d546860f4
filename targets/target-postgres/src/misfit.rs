//! What a load would refuse of a table: a plan of the table itself changes it.

use serde::Serialize;
use singer::Error;

/// What a load would refuse of a table.
#[derive(Debug, Default)]
pub struct Misfits {
    /// Columns whose types take no values of the stream.
    pub types: Vec<Misfit>,
    /// Columns that get another type.
    pub retyped: Vec<String>,
    /// Columns that the stream does not have, and that the server does not fill.
    pub unwanted: Vec<String>,
    /// Why the rows cannot be found by the key of the stream.
    pub key: Option<Error>,
}

/// A column whose type is not that of the stream.
#[derive(Clone, Debug, Serialize)]
pub struct Misfit {
    /// Its name.
    pub column: String,
    /// Its type.
    pub from: String,
    /// The type that it is to have.
    pub to: String,
}
