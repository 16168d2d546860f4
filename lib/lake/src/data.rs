//! A data file being written: counted and hashed on the way, durable at the end.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use singer::Result;

use crate::manifest::FileEntry;
use crate::{disk, name};

/// A data file on its way; write it in big blocks. Its name gets the data suffix when it is
/// published, until then it ends in `.partial`.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    name: String,
    file: Option<File>,
    hash: Sha256,
    rows: u64,
    bytes: u64,
}

impl DataFile {
    /// Creates the file at `path`, which must not be there, to be published as `name`.
    pub fn create(path: impl Into<PathBuf>, name: impl Into<String>) -> Result<Self> {
        let path = path.into();
        let file = disk::create_new(&path)?;
        Ok(Self {
            path,
            name: name.into(),
            file: Some(file),
            hash: Sha256::new(),
            rows: 0,
            bytes: 0,
        })
    }

    /// Appends a block that holds this many rows.
    pub fn write(&mut self, block: &[u8], rows: u64) -> Result<()> {
        self.hash.update(block);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .append(true)
                .open(&self.path)
                .map_err(|cause| disk::failure("cannot open the file again", &self.path, cause))?,
        };
        file.write_all(block).map_err(|cause| {
            disk::failure("cannot write the data file", &self.path, cause)
                .with("bytes written before", self.bytes)
        })?;
        self.file = Some(file);
        self.rows += rows;
        self.bytes += u64::try_from(block.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Closes the file until the next block, so that many files do not need many descriptors.
    pub fn rest(&mut self) {
        self.file = None;
    }

    /// Returns where the file is while it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many rows were written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns how many bytes were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Says what the file holds by now.
    pub fn entry(&self) -> FileEntry {
        FileEntry {
            name: self.name.clone(),
            rows: self.rows,
            bytes: self.bytes,
            sha256: name::hex(&self.hash.clone().finalize()),
        }
    }

    /// Makes the file durable and says where it is and what it holds. A failed flush is never tried
    /// again: the system may have dropped the pages.
    pub fn finish(mut self) -> Result<(PathBuf, FileEntry)> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)
                .map_err(|cause| disk::failure("cannot open the file again", &self.path, cause))?,
        };
        file.sync_all()
            .map_err(|cause| disk::failure("cannot flush the data file", &self.path, cause))?;
        let entry = self.entry();
        Ok((self.path, entry))
    }

    /// Removes the file.
    pub fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Reads a file and returns its SHA-256 in hexadecimal and its size.
pub(crate) fn sum(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 17];
    let mut bytes = 0;
    loop {
        let count = std::io::Read::read(&mut file, &mut block)?;
        if count == 0 {
            return Ok((name::hex(&hash.finalize()), bytes));
        }
        hash.update(&block[..count]);
        bytes += u64::try_from(count).unwrap_or(u64::MAX);
    }
}
