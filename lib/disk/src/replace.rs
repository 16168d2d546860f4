//! Replaces a file as one step: who reads it sees the old text or the new one, never a part.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use singer::Result;

use crate::failure;

/// A file beside the one whose place it takes; it is removed unless it does.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    is_placed: bool,
}

impl NewFile {
    /// Makes it for the only writer: the caller holds a lock. What a dead one has left is removed.
    pub fn alone(path: &Path, mode: u32) -> Result<Self> {
        let partial = partial(path);
        remove_file(&partial)?;
        Self::create(path, partial, mode)
    }

    /// Makes it for one of several writers, the last of which wins. Where its process is killed,
    /// it stays.
    pub fn among_others(path: &Path, mode: u32) -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let now = jiff::Timestamp::now().as_nanosecond();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = format!("{now:x}-{:x}-{count:x}", std::process::id());
        let partial = hidden(path, &format!(".{own}.partial"));
        Self::create(path, partial, mode)
    }

    fn create(path: &Path, partial: PathBuf, mode: u32) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial);
        let file = file.map_err(|cause| failure("cannot create the file", &partial, cause))?;
        Ok(Self { path: path.to_owned(), partial, file, is_placed: false })
    }

    /// Writes more of it.
    pub fn write(&mut self, text: &[u8]) -> Result<()> {
        let written = self.file.write_all(text);
        written.map_err(|cause| failure("cannot write the file", &self.path, cause))
    }

    /// Takes the place for good: also after a power loss.
    pub fn place(mut self) -> Result<()> {
        let synced = self.file.sync_all();
        synced.map_err(|cause| failure("cannot write the file", &self.path, cause))?;
        place(&self.partial, &self.path)?;
        self.is_placed = true;
        sync_parent(&self.path)
    }

    /// Takes the place; after a power loss the old text may be there again, or none.
    pub fn place_unsynced(mut self) -> Result<()> {
        place(&self.partial, &self.path)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_placed {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Replaces a file as one step and for good. The caller holds a lock: there is no other writer.
pub fn replace_file(path: &Path, text: &[u8], mode: u32) -> Result<()> {
    let mut new = NewFile::alone(path, mode)?;
    new.write(text)?;
    new.place()
}

/// Replaces the text of a file that a person has made, as one step and for good: its mode stays,
/// and a link to it stays a link.
pub fn replace_text(path: &Path, text: &[u8]) -> Result<()> {
    let found = fs::canonicalize(path);
    let path = found.map_err(|cause| failure("cannot find the file", path, cause))?;
    let facts = fs::metadata(&path);
    let facts = facts.map_err(|cause| failure("cannot check the file", &path, cause))?;
    let mut new = NewFile::among_others(&path, 0o600)?;
    new.write(text)?;
    // The mode of a new file depends on the umask.
    let kept = new.file.set_permissions(facts.permissions());
    kept.map_err(|cause| failure("cannot set the mode of the file", &path, cause))?;
    new.place()
}

/// Puts a file that is durable into the place of another, as one step and for good.
pub fn place_file(from: &Path, to: &Path) -> Result<()> {
    place(from, to)?;
    sync_parent(to)
}

fn place(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|cause| failure("cannot rename the file", to, cause))
}

/// Removes a file, if it is there.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(failure("cannot remove the file", path, cause))
        }
        _ => Ok(()),
    }
}

/// Fsyncs the folder that a path is in, so that its name survives a power loss.
pub fn sync_parent(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    sync_folder(folder).map_err(|cause| failure("cannot flush the folder", folder, cause))
}

/// Fsyncs a folder, so that the names in it survive a power loss.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns the folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(here) if here.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// Returns the path of what its only writer writes beside a file before it takes its place.
pub fn partial(path: &Path) -> PathBuf {
    hidden(path, ".partial")
}

/// Returns the path of a hidden file beside another.
pub fn hidden(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| name(e).unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_writer_that_dies_leaves_the_old_file_and_the_next_one_clears_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace_file(&path, b"old", 0o600).unwrap();
        for written in ["", "n", "new"] {
            let mut new = NewFile::alone(&path, 0o644).unwrap();
            new.write(written.as_bytes()).unwrap();
            // As by a kill: nothing is done at the end.
            std::mem::forget(new);
            assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"old".to_vec(), 0o600));
            assert_eq!(names(folder.path()), [".a.json.partial", "a.json"]);
        }
        replace_file(&path, b"new", 0o600).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o600));
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_writer_that_fails_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace_file(&path, b"old", 0o600).unwrap();
        for new in [NewFile::alone, NewFile::among_others] {
            let mut new = new(&path, 0o600).unwrap();
            new.write(b"new").unwrap();
            new.file = File::open(&path).unwrap();
            // It is open for reading alone, as where a disk is full.
            let refused = new.write(b"more").unwrap_err();
            assert_eq!(refused.context("path"), Some(&*path.to_string_lossy()));
            drop(new);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(folder.path()), ["a.json"]);
        }
        // What it cannot replace: a folder with something in it.
        let taken = folder.path().join("b.json");
        fs::create_dir_all(taken.join("c")).unwrap();
        assert!(replace_file(&taken, b"new", 0o600).is_err());
        assert_eq!(names(folder.path()), ["a.json", "b.json"]);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("elsewhere"), "theirs").unwrap();
        symlink(at("elsewhere"), at("a.json")).unwrap();
        symlink(at("elsewhere"), at(".a.json.partial")).unwrap();
        replace_file(&at("a.json"), b"ours", 0o600).unwrap();
        assert_eq!(fs::read(at("elsewhere")).unwrap(), b"theirs");
        assert!(fs::symlink_metadata(at("a.json")).unwrap().is_file());
        assert_eq!(fs::read(at("a.json")).unwrap(), b"ours");
        assert_eq!(names(folder.path()), ["a.json", "elsewhere"]);
    }

    #[test]
    fn the_text_of_a_file_is_replaced_and_its_mode_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.yml"), "old").unwrap();
        fs::set_permissions(at("a.yml"), fs::Permissions::from_mode(0o666)).unwrap();
        symlink(at("a.yml"), at("link.yml")).unwrap();
        replace_text(&at("link.yml"), b"new").unwrap();
        assert_eq!((fs::read(at("a.yml")).unwrap(), mode(&at("a.yml"))), (b"new".to_vec(), 0o666));
        assert!(fs::symlink_metadata(at("link.yml")).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["a.yml", "link.yml"]);
        assert!(replace_text(&at("none"), b"").is_err());
    }

    #[test]
    fn of_several_writers_each_leaves_a_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..100 {
                        let mut new = NewFile::among_others(path, 0o600).unwrap();
                        (0..8).for_each(|_| new.write(&[b'a' + writer; 512]).unwrap());
                        new.place_unsynced().unwrap();
                        let text = fs::read(path).unwrap();
                        assert_eq!(text.len(), 4096);
                        assert!(text.iter().all(|byte| *byte == text[0]));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), ["a.json"]);
    }
}
