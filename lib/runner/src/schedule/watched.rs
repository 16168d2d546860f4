//! The files that a schedule watches.
//!
//! The rule: a pattern is one of files wherever it lies, in the project or outside of it: only the
//! folder in front of its first sign is walked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use disk::Sum;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use project::Job;
use singer::{Error, ErrorKind, Result};

use crate::lake_paths;

/// Patterns of files, and what of them is not watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    root: PathBuf,
    /// The folders in front of the patterns.
    folders: Vec<PathBuf>,
    /// Of whole paths.
    files: GlobSet,
    patterns: Vec<String>,
    /// Folders that its own runs write: they must not call for the next one.
    without: Vec<PathBuf>,
}

/// The sums of watched files.
type Sums = BTreeMap<PathBuf, [u8; 32]>;

const DEPTH_MAX: usize = 16;

impl Watched {
    /// Reads patterns, which start at the folder of the project.
    pub(super) fn new(root: &Path, patterns: Vec<String>) -> Result<Self> {
        let bad = |cause: globset::Error| {
            let message = "cannot read a pattern of `watch`";
            Error::new(ErrorKind::Config, message).caused_by(cause)
        };
        let root = std::path::absolute(root).map_err(|cause| {
            Error::new(ErrorKind::Io, "cannot find the folder of the project").caused_by(cause)
        })?;
        let mut files = GlobSetBuilder::new();
        let mut folders: Vec<PathBuf> = Vec::new();
        for pattern in &patterns {
            let is_sign = |c: char| matches!(c, '*' | '?' | '[' | '{' | '\\');
            let plain = &pattern[..pattern.find(is_sign).unwrap_or(pattern.len())];
            let (folder, rest) = pattern.split_at(plain.rfind('/').map_or(0, |at| at + 1));
            let folder = settled(&root.join(folder));
            let whole = format!("{}/{rest}", globset::escape(&folder.to_string_lossy()));
            let glob = GlobBuilder::new(&whole).literal_separator(true).build();
            files.add(glob.map_err(bad)?);
            folders.push(folder);
        }
        let files = files.build().map_err(bad)?;
        Ok(Self { root, folders, files, patterns, without: Vec::new() })
    }

    /// Leaves out what the steps of a job write: the folders of their targets, and for a target
    /// that does not tell its folder the usual one, unless that is what is to be watched.
    pub(super) fn leave_out_outputs(&mut self, job: &Job) {
        for step in job.pipelines() {
            let usual = || {
                let is_watched = |text: &String| Path::new(text).starts_with(lake_paths::FOLDER);
                (!self.patterns.iter().any(is_watched)).then(|| lake_paths::FOLDER.into())
            };
            if let Some(folder) = lake_paths::output(step.target()).or_else(usual) {
                self.without.push(settled(&self.root.join(folder)));
            }
        }
    }

    /// Returns the files with the sums of what they hold.
    pub(super) fn sums(&self) -> Sums {
        let mut found = Sums::new();
        for folder in &self.folders {
            self.look(folder, 0, &mut found);
        }
        found
    }

    /// What cannot be read now is looked at the next time.
    fn look(&self, folder: &Path, depth: usize, found: &mut Sums) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if self.without.contains(&path) || found.contains_key(&path) {
                continue;
            }
            if kind.is_dir() && !hidden && depth < DEPTH_MAX {
                self.look(&path, depth + 1, found);
            } else if kind.is_file()
                && self.files.is_match(&path)
                && let Ok(sum) = fs::File::open(&path).and_then(Sum::of_reader)
            {
                found.insert(path, sum.bytes());
            }
        }
    }
}

/// Returns a path without `.` and `..`.
fn settled(path: &Path) -> PathBuf {
    let mut settled = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(settled.pop()),
            part => settled.push(part),
        }
    }
    settled
}
