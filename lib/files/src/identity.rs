//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use singer::{Context, Error, ErrorKind, FileId, Result};

use crate::failure::{open_failure, read_failure};

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
            return Err(Error::new(
                ErrorKind::Config,
                "cannot read a path that is not a regular file",
            )
            .hint("a pipe, socket or device cannot be read twice: copy its content to a file"));
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
