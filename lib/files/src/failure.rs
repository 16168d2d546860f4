//! Failures of files: not opened, not read, changed meanwhile.

use std::fmt::Display;
use std::io;

use singer::{Error, ErrorKind};

/// The failure of a file that changed while it was read.
pub fn changed(path: impl Display) -> Error {
    Error::new(ErrorKind::Temporary, "cannot read a file that changed while it was read")
        .with("path", path)
        .hint(
            "run again after its writer has finished; a writer should use another name and \
               rename the file at the end",
        )
}

/// Turns a failed open into ours.
pub(crate) fn open_failure(cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NoInput,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    let failure = Error::new(kind, "cannot open the file").caused_by(cause);
    if kind == ErrorKind::NoInput {
        failure.hint("relative paths start at the folder in which the command runs")
    } else {
        failure
    }
}

/// Turns a failed read into ours; failures of ours that travelled through `io::Error` come out.
pub fn read_failure(cause: io::Error) -> Error {
    match cause.downcast::<Error>() {
        Ok(failure) => failure,
        Err(cause) => Error::new(ErrorKind::Io, "cannot read the file").caused_by(cause),
    }
}
