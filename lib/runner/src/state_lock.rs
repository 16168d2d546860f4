//! One run at a time for each state: the runs of one program wait for each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::Lock;
use singer::Result;

use crate::pipeline::Stop;

/// The states that the runs of one program hold, or are about to: all of them share it.
#[derive(Debug, Default)]
pub struct StateLocks(Mutex<BTreeSet<PathBuf>>);

/// A state that is held until this is dropped.
pub struct StateLock<'a> {
    all: &'a StateLocks,
    path: PathBuf,
    lock: Option<Lock>,
}

impl StateLocks {
    /// Waits while another run of this program holds the state, unless it is asked to end. Returns
    /// `None` when another program holds it: nobody knows for how long.
    pub fn take(&self, path: &Path, stop: &dyn Stop) -> Result<Option<StateLock<'_>>> {
        self.take_or_wait(path, stop, &|| ())
    }

    /// Does the same, and says when it has to wait: who keeps states of this program then lets go
    /// of them, or two runs would wait for each other.
    pub(crate) fn take_or_wait(
        &self,
        path: &Path,
        stop: &dyn Stop,
        waits: &dyn Fn(),
    ) -> Result<Option<StateLock<'_>>> {
        while !self.held().insert(path.to_owned()) {
            waits();
            if stop.requested().is_some() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut lock = StateLock { all: self, path: path.to_owned(), lock: None };
        lock.lock = Lock::try_take(path)?;
        Ok(lock.lock.is_some().then_some(lock))
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StateLock<'_> {
    fn drop(&mut self) {
        // The next one takes the lock, too.
        self.lock = None;
        self.all.held().remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Asked(bool);

    impl Stop for Asked {
        fn requested(&self) -> Option<i32> {
            self.0.then_some(15)
        }
    }

    #[test]
    fn runs_of_one_program_wait_and_those_of_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (here, elsewhere) = (StateLocks::default(), StateLocks::default());
        let held = here.take(&path, &Asked(false)).unwrap().unwrap();
        assert!(here.take(&path, &Asked(true)).unwrap().is_none());
        assert!(elsewhere.take(&path, &Asked(false)).unwrap().is_none());
        assert!(here.take(&folder.path().join("other"), &Asked(false)).unwrap().is_some());
        std::thread::scope(|scope| {
            let next = scope.spawn(|| here.take(&path, &Asked(false)).unwrap().is_some());
            drop(held);
            assert!(next.join().unwrap());
        });
        assert!(elsewhere.take(&path, &Asked(false)).unwrap().is_some());
    }
}
