//! A lake on a disk of this machine: folders that are exchanged, and locks that die with their
//! owners.

mod file_system;
mod intent;
mod left;
mod output;
mod publish;
mod series;
#[cfg(test)]
pub(crate) mod simulation;
mod staging;
pub(crate) mod steps;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use disk::{Datestamp, Lock, Sum};
use files::OpenFile;
use singer::{Error, ErrorKind, Result};

use self::series::DiskSeries;
use self::staging::DiskStaging;
use super::{Backend, Change, ChangeRecord, Found, Staging};
use crate::Key;

/// A lake below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Names a folder that need not be there; touches nothing.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Opens a folder to read; `NoInput` when it is not there.
    pub(crate) fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if root.is_dir() {
            return Ok(Self { root });
        }
        Err(Error::new(ErrorKind::NoInput, "cannot find the output folder")
            .with("path", root.display())
            .hint("check `output`; relative paths start at the folder in which the command runs"))
    }

    /// Opens a folder to write, and makes it when it is not there.
    pub(crate) fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        steps::make_folders(&root)?;
        Ok(Self { root })
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, at: &Key) -> PathBuf {
        if at.as_str().is_empty() { self.root.clone() } else { self.root.join(at.as_str()) }
    }

    /// Returns the path of a lock; a hash, because names may be long.
    fn lock_path(&self, kind: &str, parts: &[&str]) -> PathBuf {
        let mut sum = Sum::default();
        for part in parts {
            sum.add(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            sum.add(part);
        }
        let name = &sum.hex()[..32];
        self.root().join(".locks").join(format!("{kind}-{name}.lock"))
    }

    fn try_lock_partition(
        &self,
        source: &str,
        day: Datestamp,
        table: &str,
    ) -> Result<Option<Lock>> {
        // Names that fall together on a file system without case are told apart by the manifest.
        steps::try_lock(&self.lock_path("partition", &[source, &day.to_string(), table]))
    }
}

impl Backend for Disk {
    fn show(&self, at: &Key) -> String {
        self.path(at).display().to_string()
    }

    fn local_path(&self, at: &Key) -> Option<PathBuf> {
        Some(self.path(at))
    }

    fn look(&self, at: &Key) -> Result<Found> {
        let path = self.path(at);
        if !steps::exists(&path)? {
            return Ok(Found::Nothing);
        }
        match steps::look(&path) {
            Ok(found) if found.is_file() => Ok(Found::File(found.len())),
            Ok(found) if found.is_dir() => Ok(Found::Folder),
            Ok(_) => Ok(Found::Other),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(cause) => {
                Err(steps::failure("cannot read the properties of the path", &path, cause))
            }
        }
    }

    fn names(&self, at: &Key) -> Result<Vec<String>> {
        steps::names(&self.path(at))
    }

    fn read(&self, at: &Key) -> Result<Option<Vec<u8>>> {
        steps::read_small(&self.path(at))
    }

    fn open(&self, at: &Key) -> Result<OpenFile> {
        OpenFile::open(&self.path(at), false)
    }

    fn sum(&self, at: &Key) -> Result<String> {
        let path = self.path(at);
        let sum = steps::open(&path).and_then(Sum::of_reader).map(Sum::hex);
        sum.map_err(|cause| steps::failure("cannot read the data file", &path, cause))
    }

    fn change_record(&self, source: &str, day: Datestamp, change: ChangeRecord<'_>) -> Result<()> {
        steps::make_folder(&self.root.join(".locks"))?;
        let _guard = steps::wait_for_lock(&self.lock_path("record", &[source, &day.to_string()]))?;
        let at = Key::record(source, day);
        let path = self.path(&at);
        match change(self.read(&at)?)? {
            Change::Keep => Ok(()),
            Change::Remove => steps::remove(&path),
            Change::Write(text) => {
                steps::make_folder(&self.path(&Key::records()))?;
                if let Some(folder) = path.parent() {
                    steps::make_folder(folder)?;
                }
                steps::replace_file(&path, &text)
            }
        }
    }

    fn settle(&self) -> Result<()> {
        staging::sweep(self)
    }

    fn begin(&self) -> Result<Box<dyn Staging>> {
        Ok(Box::new(DiskStaging::begin(self)?))
    }

    fn series(&self) -> Result<Box<dyn Debug>> {
        Ok(Box::new(DiskSeries::begin(self)?))
    }

    fn dead(&self, run: &str) -> Result<Option<Box<dyn Debug>>> {
        let owner = steps::try_lock(&self.lock_path("run", &[run]))?;
        Ok(owner.map(|owner| Box::new(owner) as Box<dyn Debug>))
    }
}
