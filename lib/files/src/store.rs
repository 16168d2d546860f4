//! Where files lie: what a table of files asks of a disk or a server, and the local disk.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use singer::{Context, Error, ErrorKind, Result};

use crate::compress::Codec;
use crate::open::{Identity, open_failure, read_failure};
use crate::paths;

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

/// A file, a folder or a pattern on the local disk.
#[derive(Clone, Debug)]
pub struct Disk {
    path: String,
    own: Option<String>,
}

impl Disk {
    /// Takes a path as [`paths::find`] does.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), own: None }
    }

    /// Leaves out a file that the tap itself writes.
    #[must_use]
    pub fn without(self, own: impl Into<String>) -> Self {
        Self { own: Some(own.into()), ..self }
    }
}

impl Store for Disk {
    fn find(&mut self, _: &dyn Fn(&str, Identity) -> bool) -> Result<Vec<String>> {
        let own = self.own.as_ref().and_then(|own| Identity::of(Path::new(own)).ok());
        let is_own = |path: &Path| {
            own.is_some_and(|own| Identity::of(path).is_ok_and(|it| it.place() == own.place()))
        };
        let found = paths::find(&self.path)?;
        let found = found.iter().filter(|path| !is_own(path));
        found.map(|path| utf_8(path).map(str::to_owned)).collect()
    }

    fn identity(&self, path: &str) -> Result<Identity> {
        Identity::of(Path::new(path))
    }

    fn open(&self, path: &str) -> Result<Box<dyn StoredFile>> {
        Ok(Box::new(DiskFile::open(Path::new(path))?))
    }

    fn is_near(&self) -> bool {
        true
    }
}

/// Returns a path as text.
///
/// Fails with `Config` when it is not UTF-8.
pub fn utf_8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot use a file name that is not UTF-8")
            .with("path", path.display())
    })
}

/// A regular file of the local disk.
pub(crate) struct DiskFile {
    path: PathBuf,
    file: File,
    identity: Identity,
}

impl DiskFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // Before opening: to open a FIFO would wait for its writer.
        let before = Identity::of(path)?;
        let file = File::open(path).map_err(open_failure).with("path", path.display())?;
        let metadata = file.metadata().map_err(open_failure)?;
        let identity = Identity::regular(&metadata).with("path", path.display())?;
        if before != identity {
            return Err(crate::open::changed(path.display()));
        }
        Ok(Self { path: path.to_owned(), file, identity })
    }
}

impl StoredFile for DiskFile {
    fn identity(&self) -> Identity {
        self.identity
    }

    fn held(&self) -> Result<Identity> {
        Identity::regular(&self.file.metadata().map_err(read_failure)?)
    }

    fn named(&self) -> Result<Identity> {
        Identity::of(&self.path)
    }

    fn codec(&self) -> Codec {
        Codec::of(&self.path)
    }

    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
        let file = self.file.try_clone().map_err(read_failure);
        Ok(Box::new(file.with("path", self.path.display())?))
    }
}
