//! The steps of a publication, each small enough to die before or after it.

use std::io;
use std::path::Path;

use singer::Result;

use super::intent::clear_path;
use super::{Disk, steps};
use crate::Key;
use crate::backend::{Claim, Generation};
use crate::manifest::{FileEntry, MANIFEST_NAME};

/// Step 1: the data files are ended and get their names, and the manifest goes in. They are
/// durable then, unless the whole file system is made durable behind them.
pub(super) fn seal(staged: &Path, generation: Generation<'_>, is_synced_later: bool) -> Result<()> {
    for mut file in generation.files {
        let path = staged.join(partial(file.number()));
        let FileEntry { name, .. } = if is_synced_later {
            file.rest()?;
            file.entry()
        } else {
            file.finish()?
        };
        steps::rename(&path, &staged.join(&name))?;
    }
    let manifest = staged.join(MANIFEST_NAME);
    if is_synced_later {
        return steps::write_unsynced_file(&manifest, generation.manifest);
    }
    steps::write_file(&manifest, generation.manifest)?;
    steps::sync_folder(staged)
}

/// Returns the name of a data file while it is written.
pub(super) fn partial(number: u32) -> String {
    format!("{number}.partial")
}

/// Step 2: the folders above the partition are there, and the new generation takes its place; tells
/// whether there was an old one, which is then in staging. The new name is durable when the folder
/// of the day is.
pub(super) fn place(lake: &Disk, staging: &Path, claim: &Claim) -> Result<bool> {
    steps::make_folder(&lake.path(&Key::source(&claim.source)))?;
    steps::make_folder(&lake.path(&Key::day(&claim.source, claim.extracted_at)))?;
    let (staged, place) = (staging.join(&claim.staged), lake.path(&claim.place()));
    if !steps::exists(&place)? {
        return steps::rename(&staged, &place).map(|()| false);
    }
    match steps::exchange(&staged, &place) {
        // One step for the file system too, so one of its two folders is enough.
        Ok(()) => {}
        Err(cause) if lacks_exchange(&cause) => replace(staging, claim, &place)?,
        Err(cause) => {
            return Err(steps::failure("cannot exchange the partition", &place, cause)
                .with("staged", staged.display()));
        }
    }
    Ok(true)
}

/// Does in two renames what the file system cannot do in one step.
fn replace(staging: &Path, claim: &Claim, place: &Path) -> Result<()> {
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
    steps::sync_parent(place)?;
    steps::sync_folder(staging)?;
    // It is settled, so one that stays has nothing left to do.
    clear_path(&claim.path(staging));
    Ok(())
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
            "the file system cannot exchange two folders: a partition is replaced by two renames, \
             and for a moment a reader may not find it"
        );
    });
}
