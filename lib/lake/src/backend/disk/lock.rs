//! Locks that die with their owner: `flock` on a file that is removed on release.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use singer::Result;

use super::steps as disk;

/// A lock that is held until this is dropped or its process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock, or returns `None` at once when somebody holds it.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        loop {
            let file = disk::open_lock(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(cause)) => {
                    return Err(disk::failure("cannot lock the file", path, cause));
                }
            }
            if is_current(&file, path) {
                return Ok(Some(Self { path: path.to_path_buf(), _file: file }));
            }
        }
    }

    /// Takes the lock and waits for it; only for work that takes moments.
    pub fn wait(path: &Path) -> Result<Self> {
        loop {
            let file = disk::open_lock(path)?;
            file.lock().map_err(|cause| disk::failure("cannot lock the file", path, cause))?;
            if is_current(&file, path) {
                return Ok(Self { path: path.to_path_buf(), _file: file });
            }
        }
    }

    /// Tells whether somebody holds the lock; leaves the file as it is.
    pub fn is_held(path: &Path) -> Result<bool> {
        let failed = |cause| disk::failure("cannot look at the lock", path, cause);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(failed(cause)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

impl Drop for Lock {
    /// The file is removed while it is locked, so whoever locks it next sees that it is stale.
    fn drop(&mut self) {
        let _ = disk::remove_file(&self.path);
    }
}

/// Tells whether the locked file is still the one at the path: its last holder removes it.
fn is_current(file: &File, path: &Path) -> bool {
    let Ok(held) = file.metadata() else { return false };
    disk::look(path).is_ok_and(|at| at.ino() == held.ino() && at.dev() == held.dev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_held_by_one_and_free_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        assert!(Lock::is_held(&path).unwrap());
        drop(held);
        assert!(!Lock::is_held(&path).unwrap());
        assert!(!path.exists());
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
