//! A plain file that is there, before it is replaced.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use disk::failure;
use lake::format::csv::Padding;
use singer::Result;

const BLOCK_BYTES: usize = 1 << 16;

/// Tells whether a CSV file has more than a header.
pub fn holds_rows(path: &Path) -> Result<bool> {
    let unreadable = |cause| failure("cannot read the file", path, cause);
    let mut file = match fs::File::open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(unreadable)?,
    };
    let mut padding = Padding::new(b"");
    let (mut block, mut rows) = (vec![0; BLOCK_BYTES], Vec::new());
    loop {
        let count = file.read(&mut block).map_err(unreadable)?;
        padding.copy(&block[..count], &mut rows);
        if count == 0 || !rows.is_empty() {
            return Ok(!rows.is_empty());
        }
    }
}
