//! The failure of a step on a path.

use std::io;
use std::path::Path;

use singer::{Error, ErrorKind};

/// Makes the failure of a step on a path; `Io`.
pub fn failure(message: &str, path: &Path, cause: io::Error) -> Error {
    let full = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    let many = cause.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error());
    let failure = Error::new(ErrorKind::Io, message).with("path", path.display()).caused_by(cause);
    if full {
        return failure.hint("free some space there and run again");
    }
    if many {
        return failure.hint("the process has too many open files: raise `ulimit -n`");
    }
    failure
}
