//! A series of runs, such as the days of a backfill: readers are waited for once, at its end, and
//! not at the end of each run.

use disk::Lock;
use singer::Result;

use super::left::{self, LOCKS};
use super::{Disk, staging, steps};

/// A series; dropped, it waits for the readers of all its runs.
#[derive(Debug)]
pub(super) struct DiskSeries {
    lake: Disk,
    lock: Option<Lock>,
}

impl DiskSeries {
    /// Begins a series.
    pub(super) fn begin(lake: &Disk) -> Result<Self> {
        steps::make_folder(&lake.root().join(".locks"))?;
        loop {
            // A run that looks for series may hold the lock for a moment: take another id.
            let id = steps::random_id()?;
            let path = lake.root().join(".locks").join(format!("{LOCKS}{id}.lock"));
            if let Some(lock) = steps::try_lock(&path)? {
                return Ok(Self { lake: lake.clone(), lock: Some(lock) });
            }
        }
    }
}

impl Drop for DiskSeries {
    fn drop(&mut self) {
        // First, so that runs which are still going on wait themselves.
        self.lock = None;
        let all = self.lake.root().join(".staging");
        let names = steps::names(&all).unwrap_or_default();
        let mut left: Vec<_> = names.iter().map(|name| all.join(name)).collect();
        left.retain(|folder| left::is_left(folder));
        if left.is_empty() {
            return;
        }
        if let Some(rest) = left.iter().filter_map(|folder| left::youth(folder)).max() {
            std::thread::sleep(rest);
        }
        // It warns of what stays, and the next run sweeps again.
        let _ = staging::sweep(&self.lake);
    }
}
