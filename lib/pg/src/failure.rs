//! What the server reports as failed, as an error of ours.

use singer::{Error, ErrorKind};

/// Returns the SQLSTATE of a failure that came from the server.
pub fn sqlstate(failure: &Error) -> Option<&str> {
    failure.context("sqlstate")
}

/// Returns the class of a failure by its SQLSTATE.
pub fn kind_of(_sqlstate: &str) -> ErrorKind {
    ErrorKind::Unavailable
}
