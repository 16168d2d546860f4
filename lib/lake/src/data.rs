//! A data file being written: counted and summed on the way, durable at the end.

use std::fmt::Debug;
use std::io;

use disk::Sum;
use singer::Result;

use crate::manifest::FileEntry;

/// Where the bytes of a data file go.
pub trait Output: Debug + Send {
    /// Returns the name that people know it by while it is written.
    fn show(&self) -> String;

    /// Appends a block.
    ///
    /// # Errors
    /// Those of writing.
    fn write(&mut self, block: &[u8]) -> Result<()>;

    /// Gives back what it holds open, until the next block.
    ///
    /// # Errors
    /// Those of writing what is on its way.
    fn rest(&mut self) -> Result<()>;

    /// Reads what was written, from the first byte.
    ///
    /// # Errors
    /// Those of opening it.
    fn read_back(&self) -> io::Result<Box<dyn io::Read>>;

    /// Makes it durable.
    ///
    /// # Errors
    /// Those of flushing.
    fn finish(self: Box<Self>) -> Result<()>;

    /// Removes it.
    fn discard(self: Box<Self>);
}

/// A data file on its way; write it in big blocks.
#[derive(Debug)]
pub struct DataFile {
    number: u32,
    name: String,
    output: Box<dyn Output>,
    sum: Sum,
    rows: u64,
    bytes: u64,
}

impl DataFile {
    /// Takes where its bytes go, and the name it is published by. `number` tells it from others of
    /// the same partition.
    pub(crate) fn new(number: u32, name: &str, output: Box<dyn Output>) -> Self {
        Self { number, name: name.to_owned(), output, sum: Sum::default(), rows: 0, bytes: 0 }
    }

    /// Appends a block that holds this many rows.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&mut self, block: &[u8], rows: u64) -> Result<()> {
        self.sum.add(block);
        self.output.write(block)?;
        self.rows += rows;
        self.bytes += u64::try_from(block.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Closes the file until the next block, so that many files do not need many descriptors.
    ///
    /// # Errors
    /// Those of writing what is on its way.
    pub fn rest(&mut self) -> Result<()> {
        self.output.rest()
    }

    /// Reads what was written, from the first byte.
    pub(crate) fn read_back(&self) -> io::Result<Box<dyn io::Read>> {
        self.output.read_back()
    }

    /// Returns the name that people know it by while it is written.
    pub(crate) fn show(&self) -> String {
        self.output.show()
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
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
            sha256: self.sum.clone().hex(),
        }
    }

    /// Makes the file durable and says what it holds.
    ///
    /// # Errors
    /// Those of flushing.
    pub fn finish(self) -> Result<FileEntry> {
        let entry = self.entry();
        self.output.finish()?;
        Ok(entry)
    }

    /// Removes the file.
    pub fn discard(self) {
        self.output.discard();
    }
}
