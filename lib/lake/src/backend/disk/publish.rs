//! The steps of a publication, each small enough to die before or after it.

use std::io;
use std::path::{Path, PathBuf};

use singer::Result;

use super::intent::clear_path;
use super::{Disk, steps};
use crate::Key;
use crate::backend::Claim;
use crate::manifest::{FileEntry, MANIFEST_NAME};

/// Step 1: the staged files get their names, the manifest goes in, the folder is durable.
pub(super) fn seal(staged: &Path, files: &[(PathBuf, FileEntry)], manifest: &[u8]) -> Result<()> {
    for (path, entry) in files {
        steps::rename(path, &staged.join(&entry.name))?;
    }
    steps::write_file(&staged.join(MANIFEST_NAME), manifest)?;
    steps::sync_folder(staged)
}

/// Step 2: the folders above the partition are there.
pub(super) fn make_way(lake: &Disk, claim: &Claim) -> Result<PathBuf> {
    steps::make_folder(&lake.path(&Key::source(&claim.source)))?;
    steps::make_folder(&lake.path(&Key::day(&claim.source, claim.extracted_at)))?;
    Ok(lake.path(&claim.place()))
}

/// Step 3: the new generation takes its place; the old one, if any, is then in staging.
pub(super) fn place(staging: &Path, claim: &Claim, place: &Path) -> Result<()> {
    let staged = staging.join(&claim.staged);
    if !steps::exists(place)? {
        steps::rename(&staged, place)?;
        return steps::sync_parent(place);
    }
    match steps::exchange(&staged, place) {
        // One step for the file system too, so one of its two folders is enough.
        Ok(()) => steps::sync_parent(place),
        Err(cause) if lacks_exchange(&cause) => {
            warn_once();
            // What is moved into a folder is lost when the folder's own name is.
            steps::sync_parent(staging)?;
            claim.write(staging)?;
            steps::rename(place, &claim.old(staging))?;
            if let Err(failure) = steps::rename(&staging.join(&claim.staged), place) {
                // The old generation returns if it can; else the next run settles the claim.
                if steps::rename(&claim.old(staging), place).is_ok() {
                    steps::remove(&claim.path(staging))?;
                }
                return Err(failure);
            }
            sync_both(place, staging)?;
            // It is settled, so one that stays has nothing left to do.
            clear_path(&claim.path(staging));
            Ok(())
        }
        Err(cause) => Err(steps::failure("cannot exchange the partition", place, cause)
            .with("staged", staged.display())),
    }
}

fn sync_both(place: &Path, staging: &Path) -> Result<()> {
    steps::sync_parent(place)?;
    steps::sync_folder(staging)
}

fn lacks_exchange(cause: &io::Error) -> bool {
    use rustix::io::Errno;
    let lacking = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    cause.raw_os_error().is_some_and(|code| lacking.iter().any(|e| e.raw_os_error() == code))
}

fn warn_once() {
    static WARNED: std::sync::Once = std::sync::Once::new();
    WARNED.call_once(|| {
        singer::warn!(
            "W-NOT-ATOMIC",
            "the file system cannot exchange two folders: partitions are replaced in two renames, \
             so a reader may miss one for a moment"
        );
    });
}
