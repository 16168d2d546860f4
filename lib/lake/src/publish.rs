//! The steps of a publication, each small enough to die before or after it.

use std::io;
use std::path::{Path, PathBuf};

use singer::Result;

use crate::disk;
use crate::intent::{Intent, clear_path};
use crate::manifest::{FileEntry, MANIFEST_NAME, Manifest};
use crate::partition::Lake;

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no such partition before.
    New,
    /// The partition had other data.
    Replaced,
    /// The partition held the same data and was left alone.
    Unchanged,
}

/// Step 1: the staged files get their names, the manifest goes in, the folder is durable.
pub(crate) fn seal(
    staged: &Path,
    files: &[(PathBuf, FileEntry)],
    manifest: &Manifest,
) -> Result<()> {
    let text = manifest.to_json()?;
    for (path, entry) in files {
        disk::rename(path, &staged.join(&entry.name))?;
    }
    disk::write_file(&staged.join(MANIFEST_NAME), &text)?;
    disk::sync_folder(staged)
}

/// Step 2: the folders above the partition are there.
pub(crate) fn make_way(lake: &Lake, intent: &Intent) -> Result<PathBuf> {
    disk::make_folder(&lake.source_folder(&intent.source))?;
    disk::make_folder(&lake.day_folder(&intent.source, intent.extracted_at))?;
    Ok(lake.table_folder(&intent.source, intent.extracted_at, &intent.table))
}

/// Step 3: the new generation takes its place; the old one, if any, is then in staging.
pub(crate) fn place(staging: &Path, intent: &Intent, place: &Path) -> Result<()> {
    let staged = staging.join(&intent.staged);
    if !disk::exists(place)? {
        disk::rename(&staged, place)?;
        return disk::sync_parent(place);
    }
    match disk::exchange(&staged, place) {
        // One step for the file system too, so one of its two folders is enough.
        Ok(()) => disk::sync_parent(place),
        Err(cause) if lacks_exchange(&cause) => {
            warn_once();
            // What is moved into a folder is lost when the folder's own name is.
            disk::sync_parent(staging)?;
            intent.write(staging)?;
            disk::rename(place, &intent.old(staging))?;
            if let Err(failure) = disk::rename(&staging.join(&intent.staged), place) {
                // The old generation returns if it can; else the next run settles the intent.
                if disk::rename(&intent.old(staging), place).is_ok() {
                    disk::remove(&intent.path(staging))?;
                }
                return Err(failure);
            }
            sync_both(place, staging)?;
            // It is settled, so one that stays has nothing left to do.
            clear_path(&intent.path(staging));
            Ok(())
        }
        Err(cause) => Err(disk::failure("cannot exchange the partition", place, cause)
            .with("staged", staged.display())),
    }
}

fn sync_both(place: &Path, staging: &Path) -> Result<()> {
    disk::sync_parent(place)?;
    disk::sync_folder(staging)
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
