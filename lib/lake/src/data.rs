//! A data file being written: counted and hashed on the way, durable at the end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};
use singer::{Result, quote};

use crate::disk;
use crate::manifest::FileEntry;

const CANNOT_FLUSH: &str = "cannot flush the data file";
/// How much may be written before the disk is told to begin.
const FLUSH_BYTES: u64 = 32 << 20;

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
    flusher: Option<Flusher>,
}

/// Has the disk take what is written so far, while more is being written: of a large file the end
/// alone is waited for.
#[derive(Debug)]
struct Flusher {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
    /// The size of the file when it was woken last.
    bytes: u64,
}

impl Flusher {
    fn start(file: &File, bytes: u64) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            // After a failure it ends: a second flush might say that all is well.
            woken.iter().try_for_each(|()| file.sync_data())
        });
        Ok(Self { wake, thread, bytes })
    }

    fn end(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended")))
    }
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
            flusher: None,
        })
    }

    /// Appends a block that holds this many rows.
    pub fn write(&mut self, block: &[u8], rows: u64) -> Result<()> {
        self.hash.update(block);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => disk::open_again(&self.path)?,
        };
        disk::append(&mut file, &self.path, block).map_err(|cause| {
            disk::failure("cannot write the data file", &self.path, cause)
                .with("bytes written before", self.bytes)
        })?;
        self.rows += rows;
        self.bytes += u64::try_from(block.len()).unwrap_or(u64::MAX);
        let flushed = self.flusher.as_ref().map_or(0, |flusher| flusher.bytes);
        if self.bytes - flushed >= FLUSH_BYTES {
            self.flush_behind(&file)?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn flush_behind(&mut self, file: &File) -> Result<()> {
        let flusher = match &mut self.flusher {
            Some(flusher) => flusher,
            none => none.insert(
                Flusher::start(file, self.bytes)
                    .map_err(|cause| disk::failure(CANNOT_FLUSH, &self.path, cause))?,
            ),
        };
        flusher.bytes = self.bytes;
        // Still at work, or ended by a failure, which comes out at the end.
        let _ = flusher.wake.try_send(());
        Ok(())
    }

    /// Closes the file until the next block, so that many files do not need many descriptors.
    pub fn rest(&mut self) -> Result<()> {
        self.file = None;
        self.end_flusher()
    }

    fn end_flusher(&mut self) -> Result<()> {
        let ended = self.flusher.take().map_or(Ok(()), Flusher::end);
        ended.map_err(|cause| disk::failure(CANNOT_FLUSH, &self.path, cause))
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
            sha256: quote::hex(&self.hash.clone().finalize()),
        }
    }

    /// Makes the file durable and says where it is and what it holds. A failed flush is never tried
    /// again: the system may have dropped the pages.
    pub fn finish(mut self) -> Result<(PathBuf, FileEntry)> {
        self.end_flusher()?;
        let file = match self.file.take() {
            Some(file) => file,
            None => disk::open_again(&self.path)?,
        };
        disk::sync_file(&file, &self.path)
            .map_err(|cause| disk::failure(CANNOT_FLUSH, &self.path, cause))?;
        let entry = self.entry();
        Ok((self.path, entry))
    }

    /// Removes the file, closed first: some file systems keep what is open.
    pub fn discard(mut self) {
        let _ = self.rest();
        let _ = disk::remove_file(&self.path);
    }
}

/// Reads a file and returns its SHA-256 in hexadecimal and its size.
pub(crate) fn sum(path: &Path) -> io::Result<(String, u64)> {
    let mut file = disk::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 17];
    let mut bytes = 0;
    loop {
        let count = io::Read::read(&mut file, &mut block)?;
        if count == 0 {
            return Ok((quote::hex(&hash.finalize()), bytes));
        }
        hash.update(&block[..count]);
        bytes += u64::try_from(count).unwrap_or(u64::MAX);
    }
}
