//! Files that have another name than when they were read: moved, renamed, or compressed since.

use singer::Result;

use super::Table;
use crate::archive::is_member;
use crate::compress::Codec;
use crate::identity::Identity;
use crate::open;
use crate::progress::{Gone, Progress};

impl Table {
    /// Tells whether a file with a new name is one that was read by a name which is gone: then its
    /// rows have been written, and would come twice.
    ///
    /// It is the same file where number, size, time and sum say so, or where what is compressed in
    /// it has the sum of a file of its name or its time. Where nothing can say so it is read, and
    /// told: another file may have the same bytes.
    pub(super) fn has_moved(
        &self,
        path: &str,
        identity: Identity,
        gone: &mut Vec<Gone>,
        progress: &mut Progress,
    ) -> Result<bool> {
        let like = |gone: &Gone| gone.is_like(identity) && gone.sum().is_some();
        // What is packed in an archive, or unpacked from one, gets another time.
        let is_packed = |gone: &Gone| is_member(&gone.path) != is_member(path);
        let alike = |gone: &Gone| {
            let is_alike = gone.is_alike(identity) || is_packed(gone) && gone.is_of_size(identity);
            is_alike && gone.sum().is_some()
        };
        let sum = if gone.iter().any(|gone| like(gone) || alike(gone)) {
            Some(open::sum(&*self.store, path)?)
        } else {
            None
        };
        let may_hold =
            !ending(path).is_empty() && gone.iter().any(|gone| plain_sum(gone).is_some());
        let held =
            if may_hold { Some(open::plain_sum(&*self.store, path, self.limits)?) } else { None };
        let is_near =
            |gone: &Gone| plain_name(&gone.path) == plain_name(path) || gone.is_of_time(identity);
        let is_held = |gone: &Gone| held.is_some() && plain_sum(gone) == held.as_deref();
        let is_same = |gone: &Gone| {
            like(gone) && gone.sum() == sum.as_deref() || is_held(gone) && is_near(gone)
        };
        let was_held =
            ending(path).is_empty() && gone.iter().any(|gone| gone.held(identity).is_some());
        let checksum = if was_held { Some(open::checksum(&*self.store, path)?) } else { None };
        let is_unpacked =
            |gone: &Gone| checksum.is_some() && gone.held(identity) == checksum.map(u64::from);
        let may_be = |gone: &Gone| {
            if is_unpacked(gone) {
                return true;
            }
            if gone.is_like(identity) {
                return gone.sum().is_none();
            }
            // A time that programs set does not prove it, and tells.
            if alike(gone) && gone.sum() == sum.as_deref() {
                return true;
            }
            let is_other = ending(&gone.path) != ending(path) && plain_sum(gone).is_none();
            is_held(gone) || is_other && is_near(gone)
        };
        if let Some(at) = gone.iter().position(is_same) {
            let sum = sum.map_or_else(|| open::sum(&*self.store, path), Ok)?;
            progress.set(path, identity, Some(&sum), gone[at].rows())?;
            let before = gone.swap_remove(at).path;
            singer::warn!(
                "W-FILE-MOVED",
                "skipping {path}: it is {before} under another name and was already read"
            );
            return Ok(true);
        }
        if let Some(at) = gone.iter().position(may_be) {
            let before = gone.swap_remove(at).path;
            singer::warn!(
                "W-FILE-MOVED",
                "reading {path}, which may be {before} under another name: if it is, its rows come \
                  twice unless they have a key"
            );
        }
        Ok(false)
    }

    /// Warns of files that may be copies of others: of one name but for the compression.
    pub(super) fn tell_copies<'a>(paths: impl Iterator<Item = &'a String>) {
        let mut last: Option<&str> = None;
        let mut paths: Vec<&str> = paths.map(String::as_str).collect();
        paths.sort_by_key(|path| Codec::without_ending(path));
        for path in paths {
            if let Some(last) =
                last.filter(|last| Codec::without_ending(last) == Codec::without_ending(path))
            {
                singer::warn!(
                    "W-FILE-TWICE",
                    "reading both {last} and {path}: if one is a copy of the other, its rows come \
                     twice; give a pattern that matches only one of them"
                );
            }
            last = Some(path);
        }
    }
}

/// Returns the sum of what a file that is gone held, where it was not compressed and it is known.
fn plain_sum(gone: &Gone) -> Option<&str> {
    gone.sum().filter(|_| ending(&gone.path).is_empty())
}

/// Returns the ending of a name that says how the file is compressed.
fn ending(path: &str) -> &str {
    &path[Codec::without_ending(path).len()..]
}

/// Returns the name of a file without its folders and the ending of its compression.
fn plain_name(path: &str) -> &str {
    let path = Codec::without_ending(path);
    path.rsplit('/').next().unwrap_or(path)
}
