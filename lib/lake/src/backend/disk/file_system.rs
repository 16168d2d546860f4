//! The file system as a whole: many small files are made durable by one call, where that is cheaper
//! than one call each and as sure.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use singer::Result;

use super::steps;

/// Where more kilobytes of others wait for the disk, nobody waits for all of them.
const WAITING_KILOBYTES_MAX: u64 = 64 << 10;
/// `ext`, XFS, Btrfs and memory: what one call makes durable there is known.
const KNOWN: [i64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994];

/// A file system, opened before the first file is written: what has failed since is reported.
#[derive(Debug)]
pub(super) struct FileSystem {
    path: PathBuf,
    file: File,
    is_known: bool,
}

impl FileSystem {
    /// Opens the file system of a folder.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let unread =
            |cause| steps::failure("cannot read the properties of the file system", folder, cause);
        let file = File::open(folder).map_err(unread)?;
        let kind = rustix::fs::fstatfs(&file).map(|found| found.f_type);
        let is_known = kind.is_ok_and(|kind| KNOWN.contains(&kind)) && tells_failures();
        Ok(Self { path: folder.to_owned(), file, is_known })
    }

    /// Tells whether one call for all is as sure as one for each file, and not held up by what
    /// others have written.
    pub(super) fn syncs_at_once(&self) -> bool {
        let is_quiet = || waiting().is_some_and(|kilobytes| kilobytes <= WAITING_KILOBYTES_MAX);
        steps::syncs_all(|| self.is_known && is_quiet())
    }

    /// Makes all durable that was written.
    pub(super) fn sync(&self) -> Result<()> {
        steps::sync_all(&self.file)
            .map_err(|cause| steps::failure("cannot flush the file system", &self.path, cause))
    }
}

/// Before Linux 5.8 this call tells no failure to write.
fn tells_failures() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(5), Some(8))
}

/// Returns how many kilobytes of all files wait for their disks.
fn waiting() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(field("Dirty:")? + field("Writeback:")?)
}
