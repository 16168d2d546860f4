//! The one seam to the file system: all that this crate does to files and folders is done here, in
//! small steps, each with an error that names its path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) use disk::failure;
use disk::lock::{Lock, LockSteps, open_lock};
use disk::open_plainly;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use singer::{Error, ErrorKind, Result};

use crate::manifest::SMALL_BYTES_MAX;

/// One step. A simulated disk (`simulation.rs`) sees it, may refuse it, and knows what a power loss
/// behind it can leave.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the simulated disk of the tests reads them"))]
pub(crate) enum Step<'a> {
    /// Reads what is there.
    Look,
    MakeFolder(&'a Path),
    /// Makes an empty file, unless it is there.
    MakeFile(&'a Path),
    Append(&'a Path, &'a [u8]),
    SyncFile(&'a Path),
    SyncFolder(&'a Path),
    /// Makes all durable that was done in the file system.
    SyncAll,
    Rename(&'a Path, &'a Path),
    Exchange(&'a Path, &'a Path),
    RemoveFile(&'a Path),
    /// Removes a folder with all in it, one by one.
    RemoveTree(&'a Path),
}

#[cfg(not(test))]
fn act<T>(_: Step<'_>, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    call()
}

#[cfg(not(test))]
fn may_sync_all(may: impl FnOnce() -> bool) -> bool {
    may()
}

#[cfg(test)]
use super::simulation::{act, may_sync_all};

/// Refuses a symlink; says whether something is there.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match look(path) {
        Ok(found) if found.is_symlink() => Err(Error::new(
            ErrorKind::Config,
            "cannot use a symbolic link inside the output folder",
        )
        .with("path", path.display())
        .hint("remove the link (only the output folder itself may be a link)")),
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(failure("cannot read the properties of the path", path, cause)),
    }
}

/// Makes a folder inside an existing one, unless it is there, and fsyncs the parent.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if exists(path)? {
        return Ok(());
    }
    match act(Step::MakeFolder(path), || fs::DirBuilder::new().mode(0o750).create(path)) {
        Ok(()) => sync_parent(path),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => exists(path).map(drop),
        Err(cause) => Err(failure("cannot make the folder", path, cause)),
    }
}

/// Makes a new folder for what may vanish in a power loss.
pub(crate) fn make_staged_folder(path: &Path) -> Result<()> {
    act(Step::MakeFolder(path), || fs::DirBuilder::new().mode(0o750).create(path))
        .map_err(|cause| failure("cannot make the folder", path, cause))
}

/// Makes a folder and all above it that are not there, and fsyncs the parent of each.
pub(crate) fn make_folders(path: &Path) -> Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|above| !above.is_dir()).collect();
    for folder in missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        match act(Step::MakeFolder(folder), || fs::DirBuilder::new().mode(0o750).create(folder)) {
            Ok(()) => sync_parent(folder)?,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(cause) => return Err(failure("cannot make the output folder", folder, cause)),
        }
    }
    Ok(())
}

/// Fsyncs a folder, so that the names in it survive a power loss.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    act(Step::SyncFolder(path), || disk::replace::sync_folder(path))
        .map_err(|cause| failure("cannot flush the folder", path, cause))
}

pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    sync_folder(disk::replace::folder_of(path))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    act(Step::Rename(from, to), || fs::rename(from, to)).map_err(|cause| {
        let crosses = cause.kind() == io::ErrorKind::CrossesDevices;
        let failed = failure("cannot rename the path", from, cause).with("to", to.display());
        if crosses { failed.of_kind(ErrorKind::Config).hint(ONE_FILE_SYSTEM) } else { failed }
    })
}

pub(crate) const ONE_FILE_SYSTEM: &str =
    "staging and output must be on one file system: do not mount another below the output folder";

/// Swaps two folders as one step.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    act(Step::Exchange(one, other), || {
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    })
}

/// Creates a file that must not be there yet.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    let new = || OpenOptions::new().write(true).create_new(true).mode(0o640).open(path);
    act(Step::MakeFile(path), new).map_err(|cause| failure("cannot create the file", path, cause))
}

/// Takes a lock, or returns `None` at once when somebody holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<Lock>> {
    Lock::try_take_by(path, LOCK_STEPS)
}

/// Takes a lock and waits for it; only for work that takes moments.
pub(crate) fn wait_for_lock(path: &Path) -> Result<Lock> {
    Lock::wait_by(path, LOCK_STEPS)
}

const LOCK_STEPS: LockSteps =
    LockSteps { open: |path| act(Step::MakeFile(path), || open_lock(path)), remove: remove_file };

/// Opens a file that this run wrote, to write on.
pub(crate) fn open_again(path: &Path) -> Result<File> {
    act(Step::Look, || OpenOptions::new().append(true).open(path))
        .map_err(|cause| failure("cannot open the file again", path, cause))
}

/// Writes at the end of a file.
pub(crate) fn append(file: &mut File, path: &Path, text: &[u8]) -> io::Result<()> {
    act(Step::Append(path, text), || file.write_all(text))
}

/// Makes what a file holds durable, but not its name.
pub(crate) fn sync_file(file: &File, path: &Path) -> io::Result<()> {
    act(Step::SyncFile(path), || file.sync_all())
}

/// Makes all durable that was done in the file system of this open file.
pub(crate) fn sync_all(file: &File) -> io::Result<()> {
    act(Step::SyncAll, || Ok(rustix::fs::syncfs(file)?))
}

/// Tells whether [`sync_all`] may be called, by what is true of the disk; a simulated one decides
/// by itself.
pub(crate) fn syncs_all(may: impl FnOnce() -> bool) -> bool {
    may_sync_all(may)
}

/// Writes a whole file and fsyncs it.
pub(crate) fn write_file(path: &Path, text: &[u8]) -> Result<()> {
    let file = write_new(path, text)?;
    sync_file(&file, path).map_err(|cause| failure(CANNOT_WRITE, path, cause))
}

/// Writes a whole file, for [`FileSystem::sync`].
pub(crate) fn write_unsynced_file(path: &Path, text: &[u8]) -> Result<()> {
    write_new(path, text).map(drop)
}

fn write_new(path: &Path, text: &[u8]) -> Result<File> {
    let mut file = create_new(path)?;
    append(&mut file, path, text).map_err(|cause| failure(CANNOT_WRITE, path, cause))?;
    Ok(file)
}

const CANNOT_WRITE: &str = "cannot write the file";

/// Replaces a file as one step: its readers see the old text or the new text.
pub(crate) fn replace_file(path: &Path, text: &[u8]) -> Result<()> {
    exists(path)?;
    let partial = disk::replace::partial(path);
    // A dead run may have left it; callers hold a lock.
    remove(&partial)?;
    let written = write_file(&partial, text).and_then(|()| rename(&partial, path));
    if written.is_err() {
        let _ = remove_file(&partial);
    }
    written?;
    sync_parent(path)
}

/// Removes a file or a whole folder, if it is there; follows no link.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let Ok(found) = look(path) else { return Ok(()) };
    let removed = if found.is_dir() {
        act(Step::RemoveTree(path), || fs::remove_dir_all(path))
    } else {
        remove_file(path)
    };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(failure("cannot remove the path", path, cause))
        }
        _ => Ok(()),
    }
}

/// Removes a folder that has nothing in it; another one stays.
pub(crate) fn remove_empty_folder(path: &Path) {
    let _ = act(Step::RemoveTree(path), || fs::remove_dir(path));
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    act(Step::RemoveFile(path), || fs::remove_file(path))
}

/// Returns what the system knows of a path, or of the link there.
pub(crate) fn look(path: &Path) -> io::Result<fs::Metadata> {
    act(Step::Look, || fs::symlink_metadata(path))
}

/// Opens a file to read; a link, a pipe or a device is none.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    act(Step::Look, || open_plainly(OpenOptions::new().read(true), path))
}

/// Reads a small file, `None` where there is none. What is no file, or too large, is a `Data`
/// failure.
pub fn read_small(path: &Path) -> Result<Option<Vec<u8>>> {
    let found = match look(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => {
            found.map_err(|cause| failure("cannot read the properties of the path", path, cause))?
        }
    };
    let refuse = |message: &str| Error::new(ErrorKind::Data, message).with("path", path.display());
    if !found.is_file() {
        return Err(refuse("cannot read a path that is not a file")
            .hint("this path is a link, a pipe or a device: remove it"));
    }
    let unread = |cause| failure("cannot read the file", path, cause);
    let file = match open(path) {
        // It was there a moment ago.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(unread)?,
    };
    let mut text = Vec::new();
    let limited = &mut file.take(SMALL_BYTES_MAX + 1);
    act(Step::Look, || limited.read_to_end(&mut text)).map_err(unread)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SMALL_BYTES_MAX {
        return Err(refuse("cannot read a file that is too large")
            .with("bytes at most", SMALL_BYTES_MAX)
            .hint("remove the file: no program of Chorus writes files of this size here"));
    }
    Ok(Some(text))
}

/// Returns the names in a folder, sorted; none when it is not there.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let name = |found: fs::DirEntry| found.file_name().to_string_lossy().into_owned();
    let listed = act(Step::Look, || {
        fs::read_dir(folder)?.map(|entry| entry.map(name)).collect::<io::Result<Vec<_>>>()
    });
    let mut names = match listed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|cause| failure("cannot list the folder", folder, cause))?,
    };
    names.sort_unstable();
    Ok(names)
}

/// Returns the number of the file system that the path, or its deepest parent there is, lies on.
pub(crate) fn device(path: &Path) -> Result<u64> {
    let mut at = path;
    loop {
        match act(Step::Look, || fs::metadata(at)) {
            Ok(found) => return Ok(found.dev()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match at.parent() {
                Some(parent) => at = parent,
                None => return Err(failure("cannot read the properties of the path", path, cause)),
            },
            Err(cause) => return Err(failure("cannot read the properties of the path", at, cause)),
        }
    }
}

/// Returns 16 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|cause| failure("cannot read random bytes", path, cause))?;
    Ok(singer::quote::hex(&bytes))
}

/// Raises the limit of open files as far as the system lets us: a run holds one a partition.
pub fn allow_many_files() {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
}

/// Joins path parts below a root.
pub(crate) fn below(root: &Path, parts: &[&str]) -> PathBuf {
    parts.iter().fold(root.to_path_buf(), |path, part| path.join(part))
}
