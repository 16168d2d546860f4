//! Files that a run keeps for itself, with secrets or the data of people: regular, of this user,
//! and reached by no link. Files that others prepare are read by `private_file`.
//!
//! The rule: the name itself is opened, and what it opens is a plain file of this user that nobody
//! else may read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Context as _, Error, ErrorKind, Result, ResultExt as _};

const OPEN: &str = "cannot open a file that only its owner may read";

/// Reads a file whole, if it is there.
///
/// Fails with `Config` for what is no regular file of this user, for one that others may read, and
/// for one that is larger than the limit.
pub fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>> {
    let file = match options().read(true).open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|cause| failed(cause, path))?,
    };
    let (owner, mode) = check(&file, path)?;
    if mode & 0o077 != 0 {
        return Err(refused("other users may read it", path)
            .with("mode", format!("{:04o}", mode & 0o7777))
            .hint(format!("run `chmod 600 {}`", path.display())));
    }
    check_owner(owner, path)?;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    read.or_kind(ErrorKind::Io, "cannot read the file").with("path", path.display())?;
    if bytes.len() as u64 > bytes_max {
        return Err(refused("it is too large", path)
            .with("limit in bytes", bytes_max)
            .hint("check the path: this is probably another file"));
    }
    Ok(Some(bytes))
}

/// Opens a file to write into, made if it is not there; what others may read of it ends.
///
/// Fails with `Config` for what is no regular file of this user.
pub fn write(path: &Path) -> Result<File> {
    open(options().write(true).create(true), path)
}

/// Opens a file to write behind its end, made if it is not there; what others may read of it ends.
///
/// Fails with `Config` for what is no regular file of this user.
pub fn append(path: &Path) -> Result<File> {
    open(options().append(true).create(true), path)
}

/// Opens a file to write lines behind its end, as [`append`] does. Where its last line has no end,
/// as after a kill, it gets one.
///
/// While it is open, it has a shared lock: who replaces the file takes the lock alone, so that no
/// line goes into a file that was replaced.
pub fn append_lines(path: &Path) -> Result<File> {
    let mut file = loop {
        let file = open(options().append(true).read(true).create(true), path)?;
        // A disk without locks has nobody who waits for one.
        let is_locked = file.lock_shared().is_ok();
        let id = |facts: std::fs::Metadata| (facts.dev(), facts.ino());
        let is_there = path.metadata().map(id).ok() == file.metadata().map(id).ok();
        if is_there || !is_locked {
            break file;
        }
    };
    let mend = |file: &mut File| -> io::Result<()> {
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
    };
    mend(&mut file).or_kind(ErrorKind::Io, "cannot write the file").with("path", path.display())?;
    Ok(file)
}

fn options() -> OpenOptions {
    // A FIFO must not hold the run up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    options
}

fn open(options: &OpenOptions, path: &Path) -> Result<File> {
    match options.clone().create_new(true).open(path) {
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map_err(|cause| failed(cause, path)),
    }
    let file = options.open(path).map_err(|cause| failed(cause, path))?;
    let (owner, mode) = check(&file, path)?;
    check_owner(owner, path)?;
    if mode & 0o077 != 0
        && let Err(cause) = file.set_permissions(std::fs::Permissions::from_mode(0o600))
    {
        // Some file systems have one mode for all files.
        tracing::info!("cannot keep {} from other users: {cause}", path.display());
    }
    Ok(file)
}

/// Refuses the file of another user, but for the administrator, who may do anything.
fn check_owner(owner: u32, path: &Path) -> Result<()> {
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(refused("another user owns it", path).hint("name a file of this user"))
}

/// Returns owner and mode of a regular file that has one name.
fn check(file: &File, path: &Path) -> Result<(u32, u32)> {
    let facts = file.metadata().or_kind(ErrorKind::Io, OPEN).with("path", path.display())?;
    if !facts.is_file() {
        return Err(refused("it is not a regular file", path).hint("name a regular file"));
    }
    if facts.nlink() > 1 {
        return Err(refused("it has a second name (a hard link)", path)
            .hint("name a file without hard links, or a new file"));
    }
    Ok((facts.uid(), facts.mode()))
}

fn refused(reason: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Config, OPEN).with("path", path.display()).with("reason", reason)
}

fn failed(cause: io::Error, path: &Path) -> Error {
    let is_link = path.symlink_metadata().is_ok_and(|facts| facts.is_symlink());
    match cause.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::LOOP) if is_link => {
            refused("it is a link", path).hint("name the file that it leads to")
        }
        Some(rustix::io::Errno::NXIO) => {
            refused("it is not a regular file", path).hint("name a regular file")
        }
        _ => Error::new(ErrorKind::Io, OPEN).with("path", path.display()).caused_by(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_of_this_user_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(read(&at("none"), 10).unwrap(), None);
        let opened = write(&at("plain")).unwrap();
        assert_eq!(opened.metadata().unwrap().mode() & 0o777, 0o600);
        fs::write(at("plain"), "12345").unwrap();
        assert_eq!(read(&at("plain"), 5).unwrap().unwrap(), b"12345");
        assert_eq!(read(&at("plain"), 4).unwrap_err().context("reason"), Some("it is too large"));
        symlink(at("plain"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        for name in ["link", "dangling", "folder", "fifo"] {
            for done in [read(&at(name), 10).err(), append(&at(name)).err(), write(&at(name)).err()]
            {
                let failure = done.unwrap();
                assert!(matches!(failure.kind(), ErrorKind::Config | ErrorKind::Io), "{failure}");
            }
        }
        assert!(!at("nowhere").exists());
        fs::hard_link(at("plain"), at("other")).unwrap();
        assert!(append(&at("other")).is_err());
        fs::remove_file(at("other")).unwrap();
        fs::set_permissions(at("plain"), fs::Permissions::from_mode(0o644)).unwrap();
        let failure = read(&at("plain"), 10).unwrap_err();
        assert!(failure.to_string().contains("chmod 600"), "{failure}");
        drop(append(&at("plain")).unwrap());
        assert_eq!(fs::metadata(at("plain")).unwrap().mode() & 0o777, 0o600);
    }
}
