//! `.chorus/`: what outlives a run. Every file is replaced whole, or not at all, and numbers its
//! form: a later release reads every earlier form, and an earlier one refuses a later.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use disk::replace::folder_of;
use disk::{NewFile, failure};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

/// The member of a file that numbers its form; a file without it has the first.
const FORMAT_VERSION: &str = "format_version";
/// The newest form that this release writes and reads.
const NEWEST: u64 = 1;

/// The folder of a project's run records, and of its states where Meltano keeps none.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Names the folder; nothing is made before something is written.
    pub fn new(project: &Path) -> Self {
        Self { folder: project.join(".chorus") }
    }

    /// Returns the folder of the runs.
    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// Returns the folder of what is known of schedules.
    pub fn schedules(&self) -> PathBuf {
        self.folder.join("schedules")
    }
}

/// Returns the paths in a folder, sorted; none when it is not there.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failure("cannot list the folder", folder, cause)),
    };
    let mut paths = Vec::new();
    for entry in listed {
        paths.push(entry.map_err(|cause| failure("cannot list the folder", folder, cause))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Replaces a JSON file: readers see the old one or the new one, also after a power loss.
pub fn write(path: &Path, value: &Value) -> Result<()> {
    new_file(path, value)?.place()
}

/// Replaces a JSON file that may be an older one again after a power loss.
pub fn note(path: &Path, value: &Value) -> Result<()> {
    new_file(path, value)?.place_unsynced()
}

/// Refuses a file that a later release has written in another form.
pub fn check_version(value: &Value, path: &Path) -> Result<()> {
    let version = value.get(FORMAT_VERSION).map_or(Some(1), Value::as_u64);
    if version.is_some_and(|version| version <= NEWEST) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot read the file: a later release wrote it")
        .with("path", path.display())
        .with("format version of the file", &value[FORMAT_VERSION])
        .with("newest known format version", NEWEST)
        .hint("update this program"))
}

/// Writes a JSON file beside the one whose place it takes; several may be at it.
fn new_file(path: &Path, value: &Value) -> Result<NewFile> {
    make_private_folder(folder_of(path))?;
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        members.insert(FORMAT_VERSION.to_owned(), NEWEST.into());
    }
    let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
    text.push(b'\n');
    let mut new = NewFile::among_others(path, 0o600)?;
    new.write(&text)?;
    Ok(new)
}

/// Writes a file that only its owner may read, as what it holds may be secret.
pub fn write_private(path: &Path, text: &[u8]) -> Result<()> {
    let fail = |cause: std::io::Error| failure("cannot write the file", path, cause);
    let mut file = File::create_new(path).map_err(fail)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(fail)?;
    file.write_all(text).map_err(fail)
}

/// Makes a folder, and those above it, for its owner alone.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| failure("cannot make the folder", path, cause))
}

/// Makes a folder for its owner alone; tells whether there was none.
pub fn make_new_folder(path: &Path) -> Result<bool> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(cause) => Err(failure("cannot make the folder", path, cause)),
    }
}
