//! A replacement that has begun: what a run writes down before it renames, and what clears it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use singer::{ErrorKind, Result, ResultExt};

use crate::{Datestamp, disk};

/// How the names of intent files end.
pub(crate) const SUFFIX: &str = ".intent.json";

/// A replacement in two renames that the next run finishes if this one dies in between.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub source: String,
    pub extracted_at: Datestamp,
    pub table: String,
    /// The new generation's folder name within the staging folder.
    pub staged: String,
}

impl Intent {
    pub fn path(&self, staging: &Path) -> PathBuf {
        staging.join(format!("{}{SUFFIX}", self.staged))
    }

    /// Where the old generation waits for its end.
    pub fn old(&self, staging: &Path) -> PathBuf {
        staging.join(format!("{}.old", self.staged))
    }

    pub fn write(&self, staging: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .or_kind(ErrorKind::Internal, "cannot write the intent file")?;
        disk::replace_file(&self.path(staging), &text)
    }

    /// Removes both generations, a while after the last step of the publication.
    pub fn clear(&self, staging: &Path) {
        for folder in [staging.join(&self.staged), self.old(staging)] {
            clear_path(&folder);
        }
    }
}

/// Removes what is of no more use. Cleaning up never fails a run: the next one removes what stays.
pub(crate) fn clear_path(path: &Path) {
    if let Err(failure) = disk::remove(path) {
        singer::warn!(
            "W-FOLDER-LEFT",
            "a path stays in staging for the next run: {}",
            failure.message()
        );
    }
}
