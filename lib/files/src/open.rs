//! Opens a file as UTF-8 text, and tells afterwards whether it stayed the same.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use singer::{Context, Error, ErrorKind, Result};

use crate::compress::{Codec, Limits};
use crate::encoding::TextEncoding;

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Size in bytes, as stored.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    device: u64,
    inode: u64,
}

impl Identity {
    /// Looks at the file a path leads to.
    ///
    /// Fails with `NoInput`, `Denied` or `Io`, and with `Config` for all but a regular file.
    pub fn of(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(open_failure);
        found.and_then(|metadata| Self::regular(&metadata)).with("path", path.display())
    }

    fn regular(metadata: &Metadata) -> Result<Self> {
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Config, "cannot read what is not a regular file")
                .hint("pipes, sockets and devices cannot be read twice: copy it to a file"));
        }
        Ok(Self {
            size: metadata.len(),
            modified: metadata.modified().map_err(read_failure)?,
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// A file being read: its text, and what it was when it was opened.
pub struct OpenFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    bytes: u64,
    sum: Option<Sha256>,
}

impl OpenFile {
    /// Opens a regular file; `summed` asks for its SHA-256 while it is read.
    pub fn open(path: &Path, summed: bool) -> Result<Self> {
        // Before opening: to open a FIFO would wait for its writer.
        let before = Identity::of(path)?;
        let file = File::open(path).map_err(open_failure).with("path", path.display())?;
        let metadata = file.metadata().map_err(open_failure)?;
        let identity = Identity::regular(&metadata).with("path", path.display())?;
        let this = Self {
            path: path.to_owned(),
            file,
            identity,
            seen: Arc::new(Mutex::new(Seen { bytes: 0, sum: summed.then(Sha256::new) })),
        };
        if before == identity { Ok(this) } else { Err(this.changed()) }
    }

    /// Returns what the file was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the decompressed text in UTF-8; call it once.
    pub fn text(&self, encoding: TextEncoding, limits: Limits) -> Result<Box<dyn Read + Send>> {
        let file = self.file.try_clone().map_err(read_failure).with("path", self.path.display())?;
        let raw = Raw { file, seen: Arc::clone(&self.seen) };
        let plain =
            Codec::of(&self.path).decompress(raw, limits).with("path", self.path.display())?;
        Ok(encoding.decode(plain))
    }

    /// Checks that the file is still the one opened and was read to its end.
    /// Returns its SHA-256 in hexadecimal, if asked for.
    ///
    /// Fails with `Temporary`: a rerun finds a file at rest.
    pub fn finish(self) -> Result<Option<String>> {
        let after =
            Identity::of(&self.path).map_err(|failure| self.changed().caused_by(failure))?;
        let held = self.file.metadata().map_err(read_failure)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let same = after == self.identity && Identity::regular(&held)? == self.identity;
        if !same || seen.bytes != self.identity.size {
            return Err(self.changed());
        }
        Ok(seen.sum.clone().map(|sum| hexadecimal(&sum.finalize())))
    }

    /// Checks that the bytes read are those of the file opened, whatever has its name by now.
    ///
    /// Fails with `Temporary`.
    pub fn finish_held(self) -> Result<()> {
        let held = self.file.metadata().map_err(read_failure)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).bytes;
        let same = Identity::regular(&held)? == self.identity && seen == self.identity.size;
        if same { Ok(()) } else { Err(self.changed()) }
    }

    /// Returns the change of the file under its reader where that explains what the reader found,
    /// else the failure as it is.
    pub fn explain(&self, failure: Error) -> Error {
        let held = self.file.metadata().map_err(read_failure);
        let same =
            held.and_then(|held| Identity::regular(&held)).is_ok_and(|held| held == self.identity);
        if same || failure.kind() != ErrorKind::Data {
            return failure;
        }
        self.changed().caused_by(failure)
    }

    /// The failure of a file that changed under its reader.
    pub fn changed(&self) -> Error {
        changed(&self.path)
    }
}

/// The failure of a file that changed while it was read.
pub fn changed(path: &Path) -> Error {
    Error::new(ErrorKind::Temporary, "cannot read a file that changed during the read")
        .with("path", path.display())
        .hint("run again when its writer is done; write to another name and rename at the end")
}

/// Returns the SHA-256 of a file in hexadecimal.
pub fn sum(path: &Path) -> Result<String> {
    let file = OpenFile::open(path, true)?;
    let mut raw =
        Raw { file: file.file.try_clone().map_err(read_failure)?, seen: Arc::clone(&file.seen) };
    let mut block = vec![0; 256 << 10];
    while raw.read(&mut block).map_err(read_failure).with("path", path.display())? > 0 {}
    Ok(file.finish()?.unwrap_or_default())
}

/// Reads the file as stored, counting and summing.
struct Raw {
    file: File,
    seen: Arc<Mutex<Seen>>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes += bytes as u64;
        if let Some(sum) = &mut seen.sum {
            sum.update(&buffer[..bytes]);
        }
        Ok(bytes)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Turns a failed open into ours.
fn open_failure(cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NoInput,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Io,
    };
    let failure = Error::new(kind, "cannot open the file").caused_by(cause);
    if kind == ErrorKind::NoInput {
        failure.hint("relative paths start at the folder the command runs in")
    } else {
        failure
    }
}

/// Turns a failed read into ours; failures of ours that travelled through `io::Error` come out.
pub fn read_failure(cause: io::Error) -> Error {
    match cause.downcast::<Error>() {
        Ok(failure) => failure,
        Err(cause) => Error::new(ErrorKind::Io, "cannot read the file").caused_by(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(file: &OpenFile) -> Vec<u8> {
        let mut out = Vec::new();
        let mut text = file.text(TextEncoding::Utf8, Limits::default()).unwrap();
        text.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn sums_a_file_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "abc").unwrap();
        let file = OpenFile::open(&path, true).unwrap();
        assert_eq!(read(&file), b"abc");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file.finish().unwrap().as_deref(), Some(expected));
        assert_eq!(sum(&path).unwrap(), expected);
    }

    #[test]
    fn notices_a_file_that_changes_during_the_read() {
        let changes: [fn(&Path); 4] = [
            |path| fs::write(path, "abcdef").unwrap(),
            |path| fs::write(path, "a").unwrap(),
            |path| fs::remove_file(path).unwrap(),
            |path| {
                let other = path.with_extension("other");
                fs::write(&other, "abc").unwrap();
                fs::rename(other, path).unwrap();
            },
        ];
        for (case, change) in changes.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.csv");
            fs::write(&path, "abc").unwrap();
            let file = OpenFile::open(&path, false).unwrap();
            read(&file);
            change(&path);
            assert_eq!(file.finish().unwrap_err().kind(), ErrorKind::Temporary, "{case}");
        }
    }

    #[test]
    fn opens_regular_files_alone() {
        let missing = Identity::of(Path::new("/nonexistent/a.csv")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NoInput);
        let device = OpenFile::open(Path::new("/dev/zero"), false).err().unwrap();
        assert_eq!(device.kind(), ErrorKind::Config);
    }
}
