//! The local disk as a store of files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use singer::{Context, Error, ErrorKind, Result};

use crate::compress::Codec;
use crate::failure::{changed, open_failure, read_failure};
use crate::identity::Identity;
use crate::paths;
use crate::store::{Store, StoredFile};

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
            return Err(changed(path.display()));
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
