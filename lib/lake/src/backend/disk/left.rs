//! What runs of a series leave behind: old generations that are still young. The runs after them
//! remove those that are old enough, the end of the series removes the last ones, and the next run
//! of anybody does where the series has died.

use std::path::{Path, PathBuf};
use std::time::Duration;

use disk::Lock;

use super::{Disk, steps};

/// How long an old generation outlives its replacement. A reader that opened its folder just before
/// and lists it just after must still find its files: an empty folder would pass for a day without
/// rows.
pub(super) const RETIREMENT: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 250 });

/// How the names of the locks of series begin.
pub(super) const LOCKS: &str = "series-";

/// How the names of the folders end, which lie in `.staging`.
const EXTENSION: &str = "old";

/// Leaves the staging folder of a run that has ended to the series that is going on. Returns the
/// folder where there is none: then the run waits and removes it itself.
pub(super) fn leave(lake: &Disk, folder: &Path) -> Option<PathBuf> {
    if !is_going_on(lake) {
        return Some(folder.to_owned());
    }
    let left = folder.with_extension(EXTENSION);
    if steps::rename(folder, &left).is_err() {
        return Some(folder.to_owned());
    }
    // A series that ended meanwhile may have looked before the folder had its name.
    if is_going_on(lake) { None } else { Some(left) }
}

/// Tells whether a folder of `.staging` is what a run has left.
pub(super) fn is_left(folder: &Path) -> bool {
    folder.extension().is_some_and(|extension| extension == EXTENSION)
}

/// Returns for how long a folder that a run has left must stay; none where it may go.
pub(super) fn youth(folder: &Path) -> Option<Duration> {
    if !is_left(folder) {
        return None;
    }
    // Its time is that of the last exchange. One in the future says nothing.
    let age = steps::look(folder).ok()?.modified().ok()?.elapsed().ok()?;
    RETIREMENT.checked_sub(age).filter(|rest| !rest.is_zero())
}

fn is_going_on(lake: &Disk) -> bool {
    let locks = lake.root().join(".locks");
    let names = steps::names(&locks).unwrap_or_default();
    let mut series = names.iter().filter(|name| name.starts_with(LOCKS));
    series.any(|name| Lock::is_held(&locks.join(name)).unwrap_or(false))
}
