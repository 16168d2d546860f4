//! Where files lie: what a table of files asks of a disk or a server.

use std::io::Read;

use singer::Result;

use crate::compress::Codec;
use crate::identity::Identity;

/// Where the files of a table lie.
pub trait Store: std::fmt::Debug {
    /// Looks at what there is, so that a later look can tell which files are being written.
    fn glance(&mut self) {}

    /// Finds the files as they are now, sorted by path; `known` tells whether a file seems to be
    /// one that was read already.
    fn find(&mut self, known: &dyn Fn(&str, Identity) -> bool) -> Result<Vec<String>>;

    /// Returns a file that [`Store::find`] left for another run, for it is still being written.
    fn unfinished(&self) -> Option<&str> {
        None
    }

    /// Returns what a file is; a store far away answers from what it found.
    fn identity(&self, path: &str) -> Result<Identity>;

    /// Opens a file.
    fn open(&self, path: &str) -> Result<Box<dyn StoredFile>>;

    /// Tells whether a file whose time alone has moved is read once more, to be settled by its
    /// sum; else it counts as changed.
    fn is_near(&self) -> bool;
}

/// One file of a store, opened.
pub trait StoredFile {
    /// Returns what the file was when it was opened.
    fn identity(&self) -> Identity;

    /// Returns what the opened file is now.
    fn held(&self) -> Result<Identity>;

    /// Returns what the file is now that has its name.
    fn named(&self) -> Result<Identity>;

    /// Returns how the bytes are compressed.
    fn codec(&self) -> Codec;

    /// Returns the bytes as stored, from the first one; call it once.
    fn bytes(&self) -> Result<Box<dyn Read + Send>>;
}
