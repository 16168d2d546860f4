//! Files that have another name than when they were read: moved, renamed, or compressed since.

use singer::Result;

use super::Table;
use crate::identity::Identity;
use crate::open;
use crate::progress::{Gone, Progress};

impl Table {
    /// Tells whether a file with a new name is one that was read by a name which is gone: then its
    /// rows have been written, and would come twice.
    ///
    /// It is the same file where number, size, time and sum say so, or where what is compressed in
    /// it has the sum of a file of its name. Where nothing can say so it is read, and told.
    pub(super) fn has_moved(
        &self,
        path: &str,
        identity: Identity,
        gone: &mut Vec<Gone>,
        progress: &mut Progress,
    ) -> Result<bool> {
        let alike = |gone: &Gone| {
            gone.is_like(identity)
                || (plain_name(&gone.path) == plain_name(path)
                    && ending(&gone.path) != ending(path))
        };
        let Some(at) = gone.iter().position(alike) else { return Ok(false) };
        let was_compressed = !gone[at].is_like(identity);
        let before = gone[at].path.clone();
        let known = gone[at].sum().filter(|_| !was_compressed || ending(&before).is_empty());
        let sum = match known {
            Some(_) if was_compressed => Some(open::plain_sum(&*self.store, path, self.limits)?),
            Some(_) => Some(open::sum(&*self.store, path)?),
            None => None,
        };
        match (known, sum) {
            (Some(known), Some(sum)) if known == sum => {
                let own = if was_compressed { open::sum(&*self.store, path)? } else { sum };
                progress.set(path, identity, Some(&own), gone[at].rows())?;
                singer::warn!(
                    "W-FILE-MOVED",
                    "skipping {path}: it is {before} by another name, and was read by that one"
                );
                gone.swap_remove(at);
                Ok(true)
            }
            (Some(_), _) => Ok(false),
            (None, _) => {
                singer::warn!(
                    "W-FILE-MOVED",
                    "reading {path}, which may be {before} by another name: if it is, its rows \
                     come twice where they have no key"
                );
                gone.swap_remove(at);
                Ok(false)
            }
        }
    }

    /// Warns of files that may be copies of others: of one name but for the compression.
    pub(super) fn tell_copies<'a>(paths: impl Iterator<Item = &'a String>) {
        let mut last: Option<&str> = None;
        let mut paths: Vec<&str> = paths.map(String::as_str).collect();
        paths.sort_by_key(|path| without_ending(path));
        for path in paths {
            if let Some(last) = last.filter(|last| without_ending(last) == without_ending(path)) {
                singer::warn!(
                    "W-FILE-TWICE",
                    "reading both {last} and {path}: if one is a copy of the other, its rows come \
                     twice; give a pattern that one of them alone matches"
                );
            }
            last = Some(path);
        }
    }
}

/// Returns the ending of a name that says how the file is compressed.
fn ending(path: &str) -> &str {
    let lower = path.to_ascii_lowercase();
    let length =
        [".gz", ".zst"].iter().find(|end| lower.ends_with(*end)).map_or(0, |end| end.len());
    &path[path.len() - length..]
}

fn without_ending(path: &str) -> &str {
    &path[..path.len() - ending(path).len()]
}

/// Returns the name of a file without its folders and the ending of its compression.
fn plain_name(path: &str) -> &str {
    let path = without_ending(path);
    path.rsplit('/').next().unwrap_or(path)
}
