//! Who else can touch a file that holds secrets or says whom to trust.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use singer::{Context, Error, ErrorKind, Result};

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
    let refused =
        Error::new(ErrorKind::Denied, "cannot use a private key that other users may read");
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
            let metadata = file.as_file().metadata().unwrap();
            assert_eq!(is_private(&metadata), private, "{mode:o}");
            assert_eq!(check_private(file.path(), &metadata).is_ok(), private, "{mode:o}");
        }
    }
}
