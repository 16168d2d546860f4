//! Opens a file as UTF-8 text, and tells afterwards whether it stayed the same.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use disk::Sum;
use flate2::Crc;
use singer::{Context, Error, ErrorKind, Result};

use crate::compress::{Codec, Limits};
use crate::disk::DiskFile;
use crate::encoding::{Doubt, TextEncoding};
use crate::evidence;
use crate::failure::{changed, read_failure};
use crate::identity::Identity;
use crate::store::{Store, StoredFile};

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
    sum: Option<Sum>,
    /// What was compressed in it: its length and its checksum, which costs next to nothing.
    held: Option<(u64, Crc)>,
}

impl OpenFile {
    /// Opens a regular file of the local disk; `summed` asks for its SHA-256 while it is read.
    pub fn open(path: &Path, summed: bool) -> Result<Self> {
        Ok(Self::new(path.display().to_string(), Box::new(DiskFile::open(path)?), summed))
    }

    /// Takes a file that a store has opened.
    pub fn new(path: String, stored: Box<dyn StoredFile>, summed: bool) -> Self {
        let seen = Seen { bytes: 0, sum: summed.then(Sum::default), held: None };
        Self { path, identity: stored.identity(), stored, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Returns what the file was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the decompressed text in UTF-8; call it once.
    pub fn text(&self, encoding: TextEncoding, limits: Limits) -> Result<Box<dyn Read + Send>> {
        let raw = Raw { input: self.stored.bytes()?, seen: Arc::clone(&self.seen) };
        let codec = self.stored.codec();
        let plain = codec.decompress(raw, limits).with("path", &self.path)?;
        if codec == Codec::Plain {
            return Ok(encoding.decode(plain));
        }
        let held = Held { input: plain, seen: Arc::clone(&self.seen) };
        Ok(encoding.decode(Box::new(held)))
    }

    /// Returns the length and the checksum of what was compressed in the file and was read of it.
    pub fn held(&self) -> Option<(u64, u32)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.held.as_ref().map(|(bytes, crc)| (*bytes, crc.sum()))
    }

    /// Returns the decompressed text in UTF-8, and tells where the setting of its encoding is in
    /// doubt, unless that was `told`; call it once.
    ///
    /// Fails with `Data` when the first bytes prove that the setting is wrong.
    pub fn checked_text(
        &self,
        setting: TextEncoding,
        limits: Limits,
        told: &Arc<AtomicBool>,
    ) -> Result<Box<dyn Read + Send>> {
        let mut plain = self.text(TextEncoding::Utf8, limits)?;
        let head = head(&mut plain)?;
        let encoding = evidence::compare(setting, &head).with("path", &self.path)?;
        let doubt = Doubt { path: self.path.clone(), told: Arc::clone(told) };
        if evidence::looks_like_utf_8(setting, &head) {
            doubt.tell(setting.name(), "its text is also valid UTF-8");
        }
        let input = Box::new(Cursor::new(head).chain(plain));
        Ok(encoding.decode_doubting(input, Some(doubt)))
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
        Ok(sum.map(Sum::hex))
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
    let text = file.text(TextEncoding::Utf8, limits)?;
    let sum = Sum::of_reader(text).map_err(read_failure).with("path", path)?;
    file.finish()?;
    Ok(sum.hex())
}

/// Returns the checksum of the bytes of a file.
pub(crate) fn checksum(store: &dyn Store, path: &str) -> Result<u32> {
    let file = OpenFile::new(path.to_owned(), store.open(path)?, false);
    let mut raw = Raw { input: file.stored.bytes()?, seen: Arc::clone(&file.seen) };
    let (mut crc, mut block) = (Crc::new(), vec![0; 256 << 10]);
    loop {
        let bytes = raw.read(&mut block).map_err(read_failure).with("path", path)?;
        if bytes == 0 {
            break;
        }
        crc.update(&block[..bytes]);
    }
    file.finish()?;
    Ok(crc.sum())
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
            sum.add(&buffer[..bytes]);
        }
        Ok(bytes)
    }
}

/// Reads what is compressed in a file, counting and summing.
struct Held {
    input: Box<dyn Read + Send>,
    seen: Arc<Mutex<Seen>>,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, crc) = seen.held.get_or_insert_with(|| (0, Crc::new()));
        *count += bytes as u64;
        crc.update(&buffer[..bytes]);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::Disk;

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
