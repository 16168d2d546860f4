//! A replacement that has begun: what a run writes down before it renames, and what clears it.

use std::path::{Path, PathBuf};

use singer::{ErrorKind, Result, ResultExt};

use super::steps;
use crate::backend::Claim;

/// How the names of intent files end.
pub(super) const SUFFIX: &str = ".intent.json";

/// A claim is written down while its partition is replaced in two renames, which the next run
/// finishes if this one dies in between.
impl Claim {
    pub(super) fn path(&self, staging: &Path) -> PathBuf {
        staging.join(format!("{}{SUFFIX}", self.staged))
    }

    /// Where the old generation waits for its end.
    pub(super) fn old(&self, staging: &Path) -> PathBuf {
        staging.join(format!("{}.old", self.staged))
    }

    pub(super) fn write(&self, staging: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .or_kind(ErrorKind::Internal, "cannot write the intent file")?;
        steps::replace_file(&self.path(staging), &text)
    }

    /// Removes both generations, a while after the last step of the publication.
    pub(super) fn clear(&self, staging: &Path) {
        for folder in [staging.join(&self.staged), self.old(staging)] {
            clear_path(&folder);
        }
    }
}

/// Removes what is of no more use. Cleaning up never fails a run: the next one removes what stays.
pub(super) fn clear_path(path: &Path) {
    if let Err(failure) = steps::remove(path) {
        singer::warn!(
            "W-FOLDER-LEFT",
            "cannot remove a path from staging, the next run removes it: {}",
            failure.message()
        );
    }
}
