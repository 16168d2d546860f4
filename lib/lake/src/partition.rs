//! One published generation of a table of a day: what its files hold, and whether they still do.

use files::OpenFile;
use singer::{Error, ErrorKind, Result};

use crate::backend::Found;
use crate::manifest::Manifest;
use crate::{Key, Lake};

/// One published generation of (source, day, table).
#[derive(Clone, Debug)]
pub struct Partition {
    pub(crate) lake: Lake,
    /// Its place.
    pub at: Key,
    /// What the files hold.
    pub manifest: Manifest,
    /// The SHA-256 of the manifest's own text.
    pub manifest_sha256: String,
}

impl Partition {
    /// Returns the data files, in reading order.
    pub fn files(&self) -> Vec<Key> {
        self.manifest.files.iter().map(|file| self.at.join(&file.name)).collect()
    }

    /// Refuses a folder that was moved, or whose manifest was changed: its rows would be loaded as
    /// those of another source, day or table. A folder of names that differ in case alone belongs
    /// to these (`Config`): the file system takes both for one.
    pub(crate) fn at_its_place(self) -> Result<Self> {
        let Manifest { source, extracted_at, stream, .. } = &self.manifest;
        let its_place = Key::table(source, *extracted_at, stream);
        if self.at == its_place {
            return Ok(self);
        }
        if self.at.as_str().eq_ignore_ascii_case(its_place.as_str()) {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot use a folder that belongs to another name",
            )
            .with("path", self.show())
            .with("names in the manifest", its_place)
            .hint(
                "the file system does not distinguish upper and lower case: rename the source \
                     or the stream",
            ));
        }
        Err(Error::new(ErrorKind::Data, "cannot use a manifest of another place")
            .with("path", self.show())
            .with("place in the manifest", its_place)
            .hint("a published folder cannot be moved or renamed: extract the table again"))
    }

    /// Returns the name that people know its place by.
    pub fn show(&self) -> String {
        self.lake.show(&self.at)
    }

    /// Opens one of its files, see [`Partition::files`].
    pub(crate) fn open(&self, file: &Key) -> Result<OpenFile> {
        self.lake.backend().open(file)
    }

    /// Tells whether another generation has taken the place of this one.
    pub(crate) fn was_replaced(&self) -> bool {
        self.lake.read_at(&self.at).is_ok_and(|now| now.manifest_sha256 != self.manifest_sha256)
    }

    /// Tells whether the files that the manifest lists are there, of the size they had.
    pub fn has_files(&self) -> bool {
        self.manifest.files.iter().all(|entry| {
            let found = self.lake.backend().look(&self.at.join(&entry.name));
            found.is_ok_and(|found| found == Found::File(entry.bytes))
        })
    }

    /// Checks sizes and sums of all files; a difference is a `Data` failure naming the file, or
    /// `Temporary` when the partition was published again meanwhile.
    pub fn verify(&self) -> Result<()> {
        self.check_files().map_err(|failure| {
            if failure.kind() != ErrorKind::Data || !self.was_replaced() {
                return failure;
            }
            Error::new(ErrorKind::Temporary, "cannot read a table that was published again")
                .with("path", self.show())
                .hint("run again: the table was replaced after its manifest was read")
        })
    }

    fn check_files(&self) -> Result<()> {
        for entry in &self.manifest.files {
            let at = self.at.join(&entry.name);
            let differs = |message: &str| {
                Error::new(ErrorKind::Data, message)
                    .with("path", self.lake.show(&at))
                    .hint("the file was changed after it was published: extract the day again")
            };
            let size = match self.lake.backend().look(&at)? {
                Found::File(bytes) => bytes,
                Found::Folder | Found::Other => {
                    return Err(differs("cannot use a path that is not a file"));
                }
                Found::Nothing => {
                    return Err(differs("cannot find a file of the manifest"));
                }
            };
            if size != entry.bytes {
                return Err(differs("cannot use a file whose size differs from the manifest")
                    .with("bytes in the manifest", entry.bytes)
                    .with("bytes found", size));
            }
            let sha256 = self.lake.backend().sum(&at)?;
            if sha256 != entry.sha256 {
                return Err(differs("cannot use a file whose checksum differs from the manifest")
                    .with("sha256 in the manifest", &entry.sha256)
                    .with("sha256 found", sha256));
            }
        }
        Ok(())
    }
}
