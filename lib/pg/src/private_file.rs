//! Files that hold secrets or say whom to trust, read with care for who else can touch them.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use singer::{Context, Error, ErrorKind, Result};

/// No file of certificates, keys or passwords is larger.
const BYTES_MAX: u64 = 8 << 20;

/// Reads a regular file, and what the system says of it: a pipe or a device might have no end.
/// Links are followed, for mounted secrets are links.
pub(crate) fn read(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 8 MiB"));
    }
    Ok((bytes, metadata))
}

/// Tells whether nobody but its owner can read or change the file; a group may read what belongs
/// to root, as for libpq.
pub(crate) fn is_private(metadata: &Metadata) -> bool {
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    metadata.permissions().mode() & others == 0
}

/// Tells whether everybody can change the file.
pub(crate) fn is_open_to_all(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o002 != 0
}

/// Refuses a private key that others can read.
pub(crate) fn check_private(path: &Path, metadata: &Metadata) -> Result<()> {
    if is_private(metadata) {
        return Ok(());
    }
    let refused = Error::new(ErrorKind::Denied, "cannot use a private key that others may read");
    Err(refused)
        .with("path", path.display())
        .with("mode", format!("{:04o}", metadata.permissions().mode() & 0o777))
        .hint(&format!("chmod 600 {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn a_private_file_is_its_owners_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let root = file.as_file().metadata().unwrap().uid() == 0;
        for (mode, private) in
            [(0o600, true), (0o400, true), (0o640, root), (0o644, false), (0o620, false)]
        {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let (_, metadata) = read(file.path()).unwrap();
            assert_eq!(is_private(&metadata), private, "{mode:o}");
            assert_eq!(check_private(file.path(), &metadata).is_ok(), private, "{mode:o}");
        }
    }

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
    }
}
