//! Opens a file as UTF-8 text, and tells afterwards whether it stayed the same.

use std::fmt::Display;
use std::fs::Metadata;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use singer::{Context, Error, ErrorKind, FileId, Result, quote};

use crate::compress::Limits;
use crate::encoding::TextEncoding;
use crate::evidence;
use crate::store::{DiskFile, Store, StoredFile};

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Size in bytes, as stored.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// What the disk says besides; `None` for a file that is elsewhere.
    pub disk: Option<OnDisk>,
}

/// What a disk says of a file besides size and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// The device it is on.
    pub device: u64,
    /// The number of the file on its device.
    pub inode: u64,
    /// When the file, its names or its rights last changed, in nanoseconds since 1970: nobody can
    /// set this time.
    pub changed: i128,
}

/// Within a run: names and rights may change without the bytes.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let same = self.size == other.size && self.modified == other.modified;
        same && self.place() == other.place()
    }
}

impl Eq for Identity {}

impl Identity {
    /// Looks at the file a path leads to.
    ///
    /// Fails with `NoInput`, `Denied` or `Io`, and with `Config` for all but a regular file.
    pub fn of(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(open_failure);
        found.and_then(|metadata| Self::regular(&metadata)).with("path", path.display())
    }

    /// Makes the identity of a file that is elsewhere, where size and time are all there is.
    pub fn far(size: u64, modified: SystemTime) -> Self {
        Self { size, modified, disk: None }
    }

    /// Returns which file of a disk it is, for a target that would replace it.
    pub fn file(&self) -> Option<FileId> {
        self.disk.map(|disk| FileId::new(disk.device, disk.inode))
    }

    /// Returns device and number of the file; nulls for a file that is elsewhere.
    pub fn place(&self) -> (u64, u64) {
        self.disk.map_or((0, 0), |disk| (disk.device, disk.inode))
    }

    pub(crate) fn regular(metadata: &Metadata) -> Result<Self> {
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::Config, "cannot read what is not a regular file")
                .hint("pipes, sockets and devices cannot be read twice: copy it to a file"));
        }
        Ok(Self {
            size: metadata.len(),
            modified: metadata.modified().map_err(read_failure)?,
            disk: Some(OnDisk {
                device: metadata.dev(),
                inode: metadata.ino(),
                changed: i128::from(metadata.ctime()) * 1_000_000_000
                    + i128::from(metadata.ctime_nsec()),
            }),
        })
    }
}

/// A file being read: its text, and what it was when it was opened.
pub struct OpenFile {
    path: String,
    stored: Box<dyn StoredFile>,
    identity: Identity,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    bytes: u64,
    sum: Option<Sha256>,
}

impl OpenFile {
    /// Opens a regular file of the local disk; `summed` asks for its SHA-256 while it is read.
    pub fn open(path: &Path, summed: bool) -> Result<Self> {
        Ok(Self::new(path.display().to_string(), Box::new(DiskFile::open(path)?), summed))
    }

    /// Takes a file that a store has opened.
    pub fn new(path: String, stored: Box<dyn StoredFile>, summed: bool) -> Self {
        let seen = Seen { bytes: 0, sum: summed.then(Sha256::new) };
        Self { path, identity: stored.identity(), stored, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Returns what the file was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the decompressed text in UTF-8; call it once.
    pub fn text(&self, encoding: TextEncoding, limits: Limits) -> Result<Box<dyn Read + Send>> {
        let raw = Raw { input: self.stored.bytes()?, seen: Arc::clone(&self.seen) };
        let plain = self.stored.codec().decompress(raw, limits).with("path", &self.path)?;
        Ok(encoding.decode(plain))
    }

    /// Returns the decompressed text in UTF-8, and whether the setting of its encoding is in doubt;
    /// call it once.
    ///
    /// Fails with `Data` when the first bytes prove that the setting is wrong.
    pub fn checked_text(
        &self,
        setting: TextEncoding,
        limits: Limits,
    ) -> Result<(Box<dyn Read + Send>, bool)> {
        let mut plain = self.text(TextEncoding::Utf8, limits)?;
        let head = head(&mut plain)?;
        let encoding = evidence::compare(setting, &head).with("path", &self.path)?;
        let doubtful = evidence::looks_like_utf_8(setting, &head);
        Ok((encoding.decode(Box::new(Cursor::new(head).chain(plain))), doubtful))
    }

    /// Checks that the file is still the one opened and was read to its end.
    /// Returns its SHA-256 in hexadecimal, if asked for.
    ///
    /// Fails with `Temporary`: a rerun finds a file at rest.
    pub fn finish(self) -> Result<Option<String>> {
        let after = self.stored.named().map_err(|failure| self.changed().caused_by(failure))?;
        if after != self.identity {
            return Err(self.changed());
        }
        let seen = Arc::clone(&self.seen);
        self.finish_held()?;
        let sum = seen.lock().unwrap_or_else(PoisonError::into_inner).sum.take();
        Ok(sum.map(|sum| quote::hex(&sum.finalize())))
    }

    /// Checks that the bytes read are those of the file opened, whatever has its name by now.
    ///
    /// Fails with `Temporary`.
    pub fn finish_held(self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).bytes;
        let same = self.stored.held()? == self.identity && seen == self.identity.size;
        if same { Ok(()) } else { Err(self.changed()) }
    }

    /// Returns the change of the file under its reader where that explains what the reader found,
    /// else the failure as it is.
    pub fn explain(&self, failure: Error) -> Error {
        // Only what is wrong with the bytes can come from a change of them.
        if failure.kind() != ErrorKind::Data {
            return failure;
        }
        match self.stored.held() {
            Ok(held) if held == self.identity => failure,
            _ => self.changed().caused_by(failure),
        }
    }

    /// The failure of a file that changed under its reader.
    pub fn changed(&self) -> Error {
        changed(&self.path)
    }
}

/// The failure of a file that changed while it was read.
pub fn changed(path: impl Display) -> Error {
    Error::new(ErrorKind::Temporary, "cannot read a file that changed during the read")
        .with("path", path)
        .hint("run again when its writer is done; write to another name and rename at the end")
}

/// Returns the SHA-256 of a file in hexadecimal.
pub fn sum(store: &dyn Store, path: &str) -> Result<String> {
    let file = OpenFile::new(path.to_owned(), store.open(path)?, true);
    let mut raw = Raw { input: file.stored.bytes()?, seen: Arc::clone(&file.seen) };
    let mut block = vec![0; 256 << 10];
    while raw.read(&mut block).map_err(read_failure).with("path", path)? > 0 {}
    Ok(file.finish()?.unwrap_or_default())
}

/// Returns the SHA-256 of what is compressed in a file, in hexadecimal.
pub(crate) fn plain_sum(store: &dyn Store, path: &str, limits: Limits) -> Result<String> {
    let file = OpenFile::new(path.to_owned(), store.open(path)?, false);
    let mut text = file.text(TextEncoding::Utf8, limits)?;
    let (mut sum, mut block) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        let bytes = text.read(&mut block).map_err(read_failure).with("path", path)?;
        if bytes == 0 {
            break;
        }
        sum.update(&block[..bytes]);
    }
    file.finish()?;
    Ok(quote::hex(&sum.finalize()))
}

/// Reads the first bytes of an input.
pub(crate) fn head(input: &mut impl Read) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = input.take(evidence::HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(read_failure)?;
    Ok(head)
}

/// Reads the file as stored, counting and summing.
struct Raw {
    input: Box<dyn Read + Send>,
    seen: Arc<Mutex<Seen>>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes += bytes as u64;
        if let Some(sum) = &mut seen.sum {
            sum.update(&buffer[..bytes]);
        }
        Ok(bytes)
    }
}

/// Turns a failed open into ours.
pub(crate) fn open_failure(cause: io::Error) -> Error {
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
    use crate::store::Disk;

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
        let disk = Disk::new("");
        assert_eq!(sum(&disk, path.to_str().unwrap()).unwrap(), expected);
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
