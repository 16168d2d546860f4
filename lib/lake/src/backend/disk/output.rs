//! A data file on a disk while it is written; durable at the end.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use singer::Result;

use super::steps;
use crate::data::{DataFile, Output};

const CANNOT_FLUSH: &str = "cannot flush the data file";
/// How much may be written before the disk is asked to begin.
const FLUSH_BYTES: u64 = 4 << 20;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct DiskOutput {
    path: PathBuf,
    file: Option<File>,
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

impl DiskOutput {
    /// Creates the file, which must not be there.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = steps::create_new(&path)?;
        Ok(Self { path, file: Some(file), bytes: 0, flusher: None })
    }

    fn flush_behind(&mut self, file: &File) -> Result<()> {
        let flusher = match &mut self.flusher {
            Some(flusher) => flusher,
            none => none.insert(
                Flusher::start(file, self.bytes)
                    .map_err(|cause| steps::failure(CANNOT_FLUSH, &self.path, cause))?,
            ),
        };
        flusher.bytes = self.bytes;
        // Still at work, or ended by a failure, which comes out at the end.
        let _ = flusher.wake.try_send(());
        Ok(())
    }

    fn end_flusher(&mut self) -> Result<()> {
        let ended = self.flusher.take().map_or(Ok(()), Flusher::end);
        ended.map_err(|cause| steps::failure(CANNOT_FLUSH, &self.path, cause))
    }
}

impl DataFile {
    /// Creates a file of the disk that is part of no lake, and must not be there.
    ///
    /// # Errors
    /// Those of creating it.
    pub fn create(path: impl Into<PathBuf>, name: &str) -> Result<Self> {
        Ok(Self::new(0, name, Box::new(DiskOutput::create(path.into())?)))
    }
}

impl Output for DiskOutput {
    fn show(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&mut self, block: &[u8]) -> Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => steps::open_again(&self.path)?,
        };
        steps::append(&mut file, &self.path, block).map_err(|cause| {
            steps::failure("cannot write the data file", &self.path, cause)
                .with("bytes written before", self.bytes)
        })?;
        self.bytes += u64::try_from(block.len()).unwrap_or(u64::MAX);
        let flushed = self.flusher.as_ref().map_or(0, |flusher| flusher.bytes);
        if self.bytes - flushed >= FLUSH_BYTES {
            self.flush_behind(&file)?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        self.file = None;
        self.end_flusher()
    }

    fn read_back(&self) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(File::open(&self.path)?))
    }

    /// A failed flush is never tried again: the system may have dropped the pages.
    fn finish(mut self: Box<Self>) -> Result<()> {
        self.end_flusher()?;
        let file = match self.file.take() {
            Some(file) => file,
            None => steps::open_again(&self.path)?,
        };
        steps::sync_file(&file, &self.path)
            .map_err(|cause| steps::failure(CANNOT_FLUSH, &self.path, cause))
    }

    /// Closed first: some file systems keep what is open.
    fn discard(mut self: Box<Self>) {
        let _ = self.rest();
        let _ = steps::remove_file(&self.path);
    }
}
