//! One run at a time for each state: the runs of this process wait for each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lake::Lock;
use singer::Result;

use crate::pipeline::Stop;

/// What the runs of this process hold, or are about to.
static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A state that is held until this is dropped.
pub struct Turn {
    path: PathBuf,
    lock: Option<Lock>,
}

impl Turn {
    /// Waits while another run of this process holds the state, unless it is asked to end. Returns
    /// `None` when another process holds it: nobody knows for how long.
    pub fn take(path: &Path, stop: &dyn Stop) -> Result<Option<Self>> {
        while !taken().insert(path.to_owned()) {
            if stop.requested().is_some() {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut turn = Self { path: path.to_owned(), lock: None };
        turn.lock = Lock::try_take(path)?;
        Ok(turn.lock.is_some().then_some(turn))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The next one takes the lock, too.
        self.lock = None;
        taken().remove(&self.path);
    }
}

fn taken() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}
