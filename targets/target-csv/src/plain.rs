//! A plain file: written beside its place, and renamed into it when the stream is complete.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use disk::replace::{hidden, place_file, remove_file};
use disk::{Lock, failure, replace_file};
use lake::DataFile;
use serde_json::Value;
use singer::{Coverage, Error, ErrorKind, FileId, Result};

use crate::old_file::holds_rows;
use crate::written_for;

/// What a run says of a plain file that it writes.
#[derive(Debug)]
pub struct Claim {
    /// Which rows of the stream come.
    pub coverage: Coverage,
    /// Each run makes a file of its own.
    pub moves: bool,
    /// What the file is written for, where its name does not tell.
    pub written_for: Option<Value>,
}

/// A plain file on its way; what was written vanishes when this is dropped.
#[derive(Debug)]
pub struct PlainFile {
    path: PathBuf,
    name: String,
    /// Which of the two partial files is being written: a grown schema needs the other one.
    second: bool,
    claim: Claim,
    _lock: Lock,
}

impl PlainFile {
    /// Takes the file's place: no other run may write it now.
    pub fn new(path: PathBuf, claim: Claim) -> Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let folder = path.parent().unwrap_or(Path::new("."));
        let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
        made.map_err(|c| failure("cannot make the folder", folder, c))?;
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.is_file() => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "cannot replace a path that is not a file",
                )
                .with("path", path.display())
                .hint("this path is a folder or a symbolic link: remove it or write elsewhere"));
            }
            _ => {}
        }
        let Some(lock) = Lock::try_take(&lock_path(&path))? else {
            return Err(Error::new(
                ErrorKind::Temporary,
                "cannot write the file: another run is writing it",
            )
            .with("path", path.display())
            .hint("wait until the other run has ended, then run again"));
        };
        check_replaced(&path, &claim)?;
        let file = Self { path, name, second: false, claim, _lock: lock };
        // A dead run may have left them.
        file.clear();
        Ok(file)
    }

    /// Creates a partial file; at most two are there at a time.
    pub fn file(&mut self) -> Result<DataFile> {
        self.second = !self.second;
        DataFile::create(self.partial(self.second), &self.name)
    }

    /// Returns the place of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file, now durable, into its place. Its rows may cover less than was said first.
    pub fn publish(&mut self, files: Vec<DataFile>, coverage: Coverage) -> Result<()> {
        if coverage != self.claim.coverage {
            self.claim.coverage = coverage;
            check_replaced(&self.path, &self.claim)?;
        }
        let [file] = <[DataFile; 1]>::try_from(files)
            .map_err(|_| Error::new(ErrorKind::Internal, "a plain file of several files"))?;
        let partial = self.partial(self.second);
        file.finish()?;
        singer::warning::check()?;
        // What is said of a part goes before the whole file comes, and comes behind the part.
        let note = part_note(&self.path);
        remove_file(&note)?;
        written_for::remove(&self.path)?;
        place_file(&partial, &self.path)?;
        if let Some(ours) = &self.claim.written_for {
            written_for::write(&self.path, ours)?;
        }
        if let Some(from) = self.claim.coverage.value().filter(|_| !self.claim.moves) {
            replace_file(&note, from.to_string().as_bytes(), 0o640)?;
        }
        Ok(())
    }

    fn partial(&self, second: bool) -> PathBuf {
        let number = if second { 2 } else { 1 };
        hidden(&self.path, &format!(".{number}.partial"))
    }

    fn clear(&self) {
        let _ = fs::remove_file(self.partial(false));
        let _ = fs::remove_file(self.partial(true));
    }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The plain files of a run.
#[derive(Debug, Default)]
pub struct Paths {
    /// The path and the stream of each, by the path in lower case.
    taken: BTreeMap<String, Vec<(PathBuf, String)>>,
}

impl Paths {
    /// Refuses a path that another stream has, also one that the file system takes for the same.
    pub fn take(&mut self, path: &Path, stream: &str) -> Result<()> {
        let near = self.taken.entry(path.to_string_lossy().to_ascii_lowercase()).or_default();
        let Some((_, other)) = near.iter().find(|(known, _)| is_same(known, path)) else {
            near.push((path.to_owned(), stream.to_owned()));
            return Ok(());
        };
        Err(Error::new(ErrorKind::Config, "cannot write two streams to one file")
            .with("path", path.display())
            .with("other stream", other)
            .hint(
                "put {stream_name} into `file_naming_scheme`; if the file system does not \
                 distinguish upper and lower case, give one of the streams another name",
            ))
    }
}

/// Tells whether two paths, which differ in case at most, lead to one file, or will: a file that is
/// being written has a lock.
fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| fs::symlink_metadata(path).ok().map(|found| FileId::of(&found));
    let is_one = |one: &Path, other: &Path| id(one).is_some_and(|found| Some(found) == id(other));
    one == other || is_one(one, other) || is_one(&lock_path(one), &lock_path(other))
}

fn lock_path(path: &Path) -> PathBuf {
    hidden(path, ".lock")
}

/// Refuses to replace a file by what is new since a bookmark: the rows before it would be lost. A
/// part may take the place of a part that began at the same bookmark. Where each run makes a file
/// of its own (`moves`), one that is there is of a run whose time is written the same.
pub fn check_replaced(path: &Path, claim: &Claim) -> Result<()> {
    if let Some(ours) = &claim.written_for {
        written_for::check(path, ours)?;
    }
    let Coverage::Since(from) = &claim.coverage else {
        if claim.moves && holds_rows(path)? {
            singer::warn!(
                "W-FILE-REPLACED",
                "replacing a file of an earlier run that has the same time in its name: {}",
                path.display()
            );
        }
        return Ok(());
    };
    let known = lake::read_small(&part_note(path))?;
    let known = known.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    if known.as_ref() == Some(from) || !holds_rows(path)? {
        return Ok(());
    }
    if claim.moves {
        return Err(Error::new(ErrorKind::Config, "cannot replace the file of an earlier run")
            .with("path", path.display())
            .hint(
                "its name has the time at which the run began: run again a second later; \
                 `timestamp_format` must contain seconds, and `timestamp_timezone` must not repeat \
                  an hour (UTC does not)",
            ));
    }
    let failure = claim.coverage.refusal(
        "cannot replace a file by a part of its rows",
        "the tap left rows out, because of a state or a limit: run it without (`chorus run \
         --full-refresh`), or put {timestamp} into `file_naming_scheme` so that each run writes a \
         file of its own; for taps of files set `whole_tables`",
    );
    Err(failure.with("path", path.display()))
}

/// Returns the path of the file beside a part that says from which bookmark it was read.
fn part_note(path: &Path) -> PathBuf {
    hidden(path, ".resumed_from.json")
}
