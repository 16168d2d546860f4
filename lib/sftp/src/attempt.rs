//! What a call on a connection gives, and why it did not.

use singer::Error;

/// What a call on a connection gives.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// Why a call did not give it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection is gone: a new one may do better.
    Lost(Error),
    /// The same call would fail again.
    Refused(Error),
}

impl Failure {
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Lost(failure) | Self::Refused(failure) => failure,
        }
    }
}

impl From<Error> for Failure {
    fn from(failure: Error) -> Self {
        Self::Refused(failure)
    }
}
