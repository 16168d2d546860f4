//! Files that hold secrets or say whom to trust, read with care: they may be no files, and what is
//! set as their path may be the secret itself.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Error, ErrorKind};

/// No file of certificates, keys, known hosts or passwords is larger.
const BYTES_MAX: u64 = 8 << 20;

/// Reads a regular file, and what the system says of it: a pipe or a device might have no end.
/// Links are followed, for mounted secrets are links.
pub fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 8 MiB"));
    }
    Ok((bytes, metadata))
}

/// Makes the failure of a file that cannot be read. What a setting that may hold a secret says is
/// shown as a path only where something is at this path, or where it begins like a path and its
/// folder is there.
pub fn failure(message: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Config,
    };
    let failure = Error::new(kind, message).caused_by(cause);
    if is_path(path) {
        return failure.with("path", path.display());
    }
    failure.hint(
        "no file is at this path (not shown, because it may be a secret); relative paths start at \
         the folder in which the command runs",
    )
}

fn is_path(text: &Path) -> bool {
    let begins = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| text.as_os_str().as_encoded_bytes().starts_with(start.as_bytes()));
    let is_there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    is_there(text) || begins && text.parent().is_some_and(is_there)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [&*pipe, folder.path(), Path::new("/dev/zero")] {
            assert_eq!(read(path).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
        }
        let large = folder.path().join("large");
        fs::File::create(&large).unwrap().set_len(BYTES_MAX + 1).unwrap();
        assert_eq!(read(&large).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let small = folder.path().join("small");
        fs::write(&small, "x").unwrap();
        assert_eq!(read(&small).unwrap().0, b"x");
    }

    #[test]
    fn what_may_be_a_secret_is_shown_as_a_path_only_where_something_is_at_it() {
        let told = |path: &Path| failure("cannot", path, read(path).unwrap_err()).to_string();
        for path in ["/dev/zero", "/nonexistent", "./nonexistent"] {
            assert!(told(Path::new(path)).contains(path), "{path}");
        }
        for secret in ["hunter2", "b3BlbnNzaC1rZXktdjEAAAAA/+AA=\n", "-----BEGIN\nX", "/+Ab/x="] {
            let told = told(Path::new(secret));
            assert!(!told.contains(&secret[..3]) && told.contains("hint"), "{told}");
        }
    }
}
