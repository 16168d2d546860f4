//! Small file system steps, each with an error that names its path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use singer::{Error, ErrorKind, Result};

/// Makes the failure of a step on a path.
pub(crate) fn failure(message: &str, path: &Path, cause: io::Error) -> Error {
    let full = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    let failure = Error::new(ErrorKind::Io, message).with("path", path.display()).caused_by(cause);
    if full {
        return failure.hint("make room there and run again");
    }
    failure
}

/// Refuses a symlink; says whether something is there.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(Error::new(
            ErrorKind::Config,
            "cannot use a symbolic link inside the output folder",
        )
        .with("path", path.display())
        .hint("remove the link; the output folder itself may be one")),
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(failure("cannot look at the path", path, cause)),
    }
}

/// Makes a folder inside an existing one, unless it is there, and fsyncs the parent.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    if exists(path)? {
        return Ok(());
    }
    match fs::DirBuilder::new().mode(0o750).create(path) {
        Ok(()) => sync_parent(path),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => exists(path).map(drop),
        Err(cause) => Err(failure("cannot make the folder", path, cause)),
    }
}

/// Makes a new folder for what may vanish in a power loss.
pub(crate) fn make_staged_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o750)
        .create(path)
        .map_err(|cause| failure("cannot make the folder", path, cause))
}

/// Fsyncs a folder, so that the names in it survive a power loss.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let folder =
        File::open(path).map_err(|cause| failure("cannot open the folder", path, cause))?;
    folder.sync_all().map_err(|cause| failure("cannot flush the folder", path, cause))
}

pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| {
        let crosses = cause.kind() == io::ErrorKind::CrossesDevices;
        let failed = failure("cannot rename the path", from, cause).with("to", to.display());
        if crosses { failed.of_kind(ErrorKind::Config).hint(ONE_FILE_SYSTEM) } else { failed }
    })
}

pub(crate) const ONE_FILE_SYSTEM: &str =
    "staging and output must be on one file system: do not mount another below the output folder";

/// Creates a file that must not be there yet.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(path)
        .map_err(|cause| failure("cannot create the file", path, cause))
}

/// Writes a whole file and fsyncs it.
pub(crate) fn write_file(path: &Path, text: &[u8]) -> Result<()> {
    let mut file = create_new(path)?;
    file.write_all(text)
        .and_then(|()| file.sync_all())
        .map_err(|cause| failure("cannot write the file", path, cause))
}

/// Replaces a file as one step: its readers see the old text or the new text.
pub(crate) fn replace_file(path: &Path, text: &[u8]) -> Result<()> {
    exists(path)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    let partial = path.with_file_name(name);
    // A dead run may have left it; callers hold a lock.
    remove(&partial)?;
    let written = write_file(&partial, text).and_then(|()| rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written?;
    sync_parent(path)
}

/// Removes a file or a whole folder, if it is there; follows no link.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(failure("cannot remove the path", path, cause))
        }
        _ => Ok(()),
    }
}

/// Returns the names in a folder, sorted; none when it is not there.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>> {
    let unreadable = |cause| failure("cannot list the folder", folder, cause);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(unreadable(cause)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the number of the file system that the path, or its deepest parent there is, lies on.
pub(crate) fn device(path: &Path) -> Result<u64> {
    let mut at = path;
    loop {
        match fs::metadata(at) {
            Ok(found) => return Ok(found.dev()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match at.parent() {
                Some(parent) => at = parent,
                None => return Err(failure("cannot look at the path", path, cause)),
            },
            Err(cause) => return Err(failure("cannot look at the path", at, cause)),
        }
    }
}

/// Returns 16 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    File::open(path)
        .and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|cause| failure("cannot read random bytes", path, cause))?;
    Ok(crate::name::hex(&bytes))
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
