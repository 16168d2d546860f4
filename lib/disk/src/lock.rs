//! Locks that die with their owner: `flock` on a file that is removed on release.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use singer::Result;

use crate::failure;
use crate::plain::open_plainly;

/// How the file of a lock comes and goes: for who watches what is done to files.
#[derive(Clone, Copy, Debug)]
pub struct LockSteps {
    /// Opens the file, which is made where there is none.
    pub open: fn(&Path) -> io::Result<File>,
    /// Removes the file.
    pub remove: fn(&Path) -> io::Result<()>,
}

const UNWATCHED: LockSteps = LockSteps { open: open_lock, remove: |path| fs::remove_file(path) };

/// A lock that is held until this is dropped or its process dies.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    steps: LockSteps,
    _file: File,
}

impl Lock {
    /// Takes the lock, or returns `None` at once when somebody holds it.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        Self::try_take_by(path, UNWATCHED)
    }

    /// Takes the lock and waits for it; only for work that takes moments.
    pub fn wait(path: &Path) -> Result<Self> {
        Self::wait_by(path, UNWATCHED)
    }

    /// Does what [`Self::try_take`] does, by these steps.
    pub fn try_take_by(path: &Path, steps: LockSteps) -> Result<Option<Self>> {
        loop {
            let file = open(path, steps)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(cause)) => {
                    return Err(failure("cannot lock the file", path, cause));
                }
            }
            if is_current(&file, path) {
                return Ok(Some(Self { path: path.to_owned(), steps, _file: file }));
            }
        }
    }

    /// Does what [`Self::wait`] does, by these steps.
    pub fn wait_by(path: &Path, steps: LockSteps) -> Result<Self> {
        loop {
            let file = open(path, steps)?;
            file.lock().map_err(|cause| failure("cannot lock the file", path, cause))?;
            if is_current(&file, path) {
                return Ok(Self { path: path.to_owned(), steps, _file: file });
            }
        }
    }

    /// Tells whether somebody holds the lock; leaves the file as it is.
    pub fn is_held(path: &Path) -> Result<bool> {
        let failed = |cause| failure("cannot check the lock", path, cause);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
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
        let _ = (self.steps.remove)(&self.path);
    }
}

/// Opens the file of a lock, which is made where there is none; refuses what is not a file.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_plainly(options.write(true).create(true).truncate(false).mode(0o640), path)
}

fn open(path: &Path, steps: LockSteps) -> Result<File> {
    (steps.open)(path).map_err(|cause| failure("cannot open the lock file", path, cause))
}

/// Tells whether the locked file is still the one at the path: its last holder removes it.
fn is_current(file: &File, path: &Path) -> bool {
    let Ok(held) = file.metadata() else { return false };
    let at = fs::symlink_metadata(path);
    at.is_ok_and(|at| at.ino() == held.ino() && at.dev() == held.dev())
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

    #[test]
    fn who_waited_takes_the_file_that_is_there_by_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let held = Lock::wait(&path).unwrap();
                        assert!(Lock::try_take(&path).unwrap().is_none());
                        drop(held);
                    }
                });
            }
        });
        assert!(!path.exists());
    }

    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("a.lock"), folder.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(Lock::try_take(&path).is_err());
        assert!(!elsewhere.exists());
    }
}
