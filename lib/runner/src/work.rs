//! Folders with what one plugin is given for one run: they go with the run, or with the next one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use disk::Lock;
use project::Project;
use project::warning;
use singer::Result;

use crate::life::{self, Holder, Life};
use crate::record::Owner;
use crate::store;

/// Tells who made a folder.
const OWNER: &str = "owner.json";
const LOCK: &str = "lock";

/// A folder for its owner alone; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    path: PathBuf,
    // Let go of when the folder is gone.
    _life: Life,
}

impl WorkFolder {
    /// Makes a folder in the project, after those of dead runs are swept: their settings may hold
    /// secrets.
    pub(crate) fn new(project: &Project) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let parent = project.root.join(".chorus/work");
        store::make_private_folder(&parent)?;
        sweep(project, &parent)?;
        loop {
            let now = jiff::Timestamp::now().as_nanosecond();
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{now:x}-{:x}-{count:x}", std::process::id()));
            // The life begins before there is a folder that could be swept.
            let life = Life::begin(&path.with_extension(LOCK))?;
            if store::make_new_folder(&path)? {
                let folder = Self { path, _life: life };
                let owner = serde_json::to_vec(&life::here()).unwrap_or_default();
                store::write_private(&folder.path.join(OWNER), &owner)?;
                return Ok(folder);
            }
        }
    }

    /// Returns the path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next run.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed runs have left.
fn sweep(project: &Project, parent: &Path) -> Result<()> {
    for path in store::entries(parent)? {
        let lock = path.with_extension(LOCK);
        let is_lock = path.extension() == Some(OsStr::new(LOCK));
        if is_lock && path.with_extension("").exists() {
            continue;
        }
        let owner = std::fs::read(path.join(OWNER)).ok();
        let owner: Option<Owner> = owner.and_then(|text| serde_json::from_slice(&text).ok());
        if life::holder(&lock, owner.as_ref(), project.warnings()) != Holder::Dead {
            continue;
        }
        // Another run may be sweeping it; a lock alone goes when it is let go of.
        let Some(_swept) = Lock::try_take(&lock)? else { continue };
        if !is_lock && let Err(cause) = std::fs::remove_dir_all(&path) {
            project.warnings().warn(warning!(
                "W-FOLDER-LEFT",
                "cannot remove {}: {cause}",
                path.display()
            ));
        }
    }
    Ok(())
}
