//! A plain file: written beside its place, and renamed into it when the stream is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lake::{DataFile, Lock};
use singer::{Error, ErrorKind, Result};

/// A plain file on its way; what was written vanishes when this is dropped.
#[derive(Debug)]
pub struct PlainFile {
    path: PathBuf,
    name: String,
    /// Which of the two partial files is being written: a grown schema needs the other one.
    second: bool,
    _lock: Lock,
}

impl PlainFile {
    /// Takes the file's place: no other run may write it now.
    pub fn new(path: PathBuf) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|c| failure("cannot make the folder", folder, c))?;
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(Error::new(ErrorKind::Config, "cannot replace what is not a file")
                    .with("path", path.display())
                    .hint("a folder or a symbolic link is there: remove it or write elsewhere"));
            }
            _ => {}
        }
        let Some(lock) = Lock::try_take(&path.with_file_name(format!(".{name}.lock")))? else {
            return Err(Error::new(
                ErrorKind::Temporary,
                "cannot write the file: another run is writing it",
            )
            .with("path", path.display())
            .hint("wait until the other run has ended, then run again"));
        };
        let file = Self { path, name, second: false, _lock: lock };
        // A dead run may have left them.
        file.clear();
        Ok(file)
    }

    /// Creates a partial file; at most two are there at a time.
    pub fn file(&mut self) -> Result<DataFile> {
        self.second = !self.second;
        DataFile::create(self.partial(self.second), self.name.clone())
    }

    /// Returns the place of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file, now durable, into its place.
    pub fn publish(&mut self, file: DataFile) -> Result<()> {
        let (partial, _) = file.finish()?;
        singer::warning::check()?;
        fs::rename(&partial, &self.path)
            .map_err(|cause| failure("cannot rename the file", &self.path, cause))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|cause| failure("cannot flush the folder", folder, cause))
    }

    fn partial(&self, second: bool) -> PathBuf {
        let number = if second { 2 } else { 1 };
        self.path.with_file_name(format!(".{}.{number}.partial", self.name))
    }

    fn clear(&self) {
        let _ = fs::remove_file(self.partial(false));
        let _ = fs::remove_file(self.partial(true));
    }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        self.clear();
    }
}

fn failure(message: &str, path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::Io, message).with("path", path.display()).caused_by(cause)
}
