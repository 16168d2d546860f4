//! The local disk as a store of files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use singer::{Context, Error, ErrorKind, Result};

use crate::archive::{self, Member, Parts, Rules, is_archive};
use crate::compress::{Codec, Limits};
use crate::failure::{changed, open_failure, read_failure};
use crate::identity::Identity;
use crate::paths;
use crate::store::{Store, StoredFile};

/// A file, a folder or a pattern on the local disk.
#[derive(Clone, Debug)]
pub struct Disk {
    path: String,
    own: Option<String>,
    any_ending: bool,
    ratio_max: u64,
    /// The members of archives that were found, by their paths, and where the archives are.
    members: BTreeMap<String, (PathBuf, Member)>,
}

/// How many members an archive may have.
const MEMBERS_MAX: usize = 100_000;

impl Disk {
    /// Takes a path as [`paths::find`] does.
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            own: None,
            any_ending: false,
            ratio_max: Limits::default().ratio_max,
            members: BTreeMap::new(),
        }
    }

    /// Sets how members of archives are read: those of any ending, and how many bytes each may give
    /// for each of its own.
    #[must_use]
    pub fn with_members(self, any_ending: bool, ratio_max: u64) -> Self {
        Self { any_ending, ratio_max, ..self }
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
        self.members.clear();
        let mut paths = Vec::new();
        for path in found {
            let text = utf_8(path)?;
            if is_archive(text) {
                paths.extend(self.list(path).with("path", text)?);
            } else {
                paths.push(text.to_owned());
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    fn identity(&self, path: &str) -> Result<Identity> {
        match self.members.get(path) {
            Some((archive, member)) => {
                Identity::of(archive).map(|identity| member.within(identity))
            }
            None => Identity::of(Path::new(path)),
        }
    }

    fn open(&self, path: &str) -> Result<Box<dyn StoredFile>> {
        let Some((archive, member)) = self.members.get(path) else {
            return Ok(Box::new(DiskFile::open(Path::new(path))?));
        };
        let file = DiskFile::open(archive)?;
        Ok(Box::new(MemberFile { path: path.to_owned(), member: member.clone(), file }))
    }

    fn is_near(&self) -> bool {
        true
    }
}

impl Disk {
    /// Lists the members of an archive; hidden ones are skipped.
    fn list(&mut self, archive: &Path) -> Result<Vec<String>> {
        let mut file = Part::new(DiskFile::open(archive)?);
        let rules = Rules {
            members_max: MEMBERS_MAX,
            ratio_max: self.ratio_max,
            any_ending: self.any_ending,
            ignores: &|part| part.starts_with('.'),
        };
        let text = utf_8(archive)?;
        let size = file.size;
        let members = archive::members(text, &mut file, size, &rules)?;
        if members.is_empty() {
            singer::warn!("W-FILE-NOT-READ", "no file to read is in archive {text}");
        }
        let mut paths = Vec::new();
        for member in members {
            let path = format!("{text}/{}", member.name);
            paths.push(path.clone());
            self.members.insert(path, (archive.to_owned(), member));
        }
        Ok(paths)
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

/// A member of an archive on the disk.
struct MemberFile {
    path: String,
    member: Member,
    file: DiskFile,
}

impl StoredFile for MemberFile {
    fn identity(&self) -> Identity {
        self.member.within(self.file.identity)
    }

    fn held(&self) -> Result<Identity> {
        self.file.held().map(|identity| self.member.within(identity))
    }

    fn named(&self) -> Result<Identity> {
        self.file.named().map(|identity| self.member.within(identity))
    }

    fn codec(&self) -> Codec {
        Codec::of(Path::new(&self.path))
    }

    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
        let file = self.file.file.try_clone().map_err(read_failure)?;
        let part = Part { file, size: self.file.identity.size, left: 0 };
        self.member.inflate(Box::new(part)).with("path", &self.path)
    }
}

/// A file of which a part is read.
struct Part {
    file: File,
    size: u64,
    left: u64,
}

impl Part {
    fn new(file: DiskFile) -> Self {
        let size = file.identity.size;
        Self { file: file.file, size, left: size }
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = self.file.read(&mut buffer[..max])?;
        self.left -= bytes as u64;
        Ok(bytes)
    }
}

impl Parts for Part {
    fn seek_to(&mut self, start: u64, bytes: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(start))?;
        self.left = bytes.min(self.size.saturating_sub(start));
        Ok(())
    }
}
