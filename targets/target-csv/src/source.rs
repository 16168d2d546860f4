//! Refuses to replace the files that the rows come from.

use std::path::Path;

use singer::{Error, ErrorKind, FileId, FileIds, Result};

/// Refuses a file, or a folder with a file in it, that a tap reads: a file that is being read is
/// not written, and once it is replaced nobody can read it again.
///
/// Fails with `Config`.
pub fn check(path: &Path, read_from: &FileIds) -> Result<()> {
    if read_from.is_empty() {
        return Ok(());
    }
    let below = std::fs::read_dir(path).into_iter().flatten().flatten();
    let below = below.map(|entry| entry.path());
    let is_read = |path: &Path| {
        let found = std::fs::symlink_metadata(path);
        found.is_ok_and(|metadata| read_from.contains(&FileId::of(&metadata)))
    };
    match std::iter::once(path.to_owned()).chain(below).find(|path| is_read(path)) {
        None => Ok(()),
        Some(path) => Err(Error::new(
            ErrorKind::Config,
            "cannot replace a file that the rows of this run come from",
        )
        .with("path", path.display())
        .hint("set `output_path` to another folder, or give the stream another name")),
    }
}
