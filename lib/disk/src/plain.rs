//! Opens plain files: no link is followed, and nobody at the other end of a pipe is waited for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

const PLAINLY: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// Opens a plain file by these options. What is no file is refused: a pipe may never end, and a
/// device never does.
pub fn open_plainly(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.clone().custom_flags(PLAINLY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}
