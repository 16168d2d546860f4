//! The bookmark of a stream of files: for each file its size, time and sum.

use std::path::Path;
use std::time::{Duration, SystemTime};

use files::Identity;
use serde_json::{Map, Value, json};
use singer::{Error, ErrorKind, Result, ResultExt};

/// No file system's clock has longer steps (FAT: two seconds).
const CLOCK_STEP_MAX: Duration = Duration::from_secs(3);

/// Which files were read, and what they were then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress(Map<String, Value>);

impl Progress {
    /// Reads a bookmark; anything but ours counts as none.
    pub fn of(bookmark: &Value) -> Self {
        Self(bookmark["files"].as_object().cloned().unwrap_or_default())
    }

    /// Forgets the files that are gone.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|path, _| wanted(path));
    }

    /// Tells whether the file is as it was read; a moved time alone is settled by the sum.
    pub fn has(&mut self, path: &Path, identity: Identity) -> Result<bool> {
        let key = key(path)?;
        let Some(known) = self.0.get(key) else { return Ok(false) };
        if known["size"].as_u64() != Some(identity.size) {
            return Ok(false);
        }
        if known["mtime"] == *time(identity.modified)? && known["recent"] != true {
            return Ok(true);
        }
        let sum = files::open::sum(path)?;
        if known["sha256"] != *sum {
            return Ok(false);
        }
        self.set(path, identity, &sum)?;
        Ok(true)
    }

    /// Says that the file was read to its end.
    pub fn set(&mut self, path: &Path, identity: Identity, sum: &str) -> Result<()> {
        let mtime = time(identity.modified)?;
        let mut entry = json!({"size": identity.size, "mtime": mtime, "sha256": sum});
        // The clock of a file system moves in steps: a change soon after this one may leave the
        // same time, so that next time the sum must decide.
        if identity.modified.elapsed().is_ok_and(|age| age < CLOCK_STEP_MAX) {
            entry["recent"] = true.into();
        }
        self.0.insert(key(path)?.to_owned(), entry);
        Ok(())
    }

    /// Returns the bookmark.
    pub fn to_json(&self) -> Value {
        json!({ "files": self.0 })
    }
}

fn key(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot use a file name that is not UTF-8")
            .with("path", path.display())
    })
}

/// Writes a time as RFC 3339 in UTC, with the microseconds that databases keep.
pub fn time_for_a_column(time: SystemTime) -> Result<String> {
    let message = "cannot read the time of the file";
    let time = jiff::Timestamp::try_from(time).or_kind(ErrorKind::Data, message)?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

/// Writes a time as RFC 3339 in UTC, as exact as it is.
fn time(time: SystemTime) -> Result<String> {
    let time = jiff::Timestamp::try_from(time)
        .or_kind(ErrorKind::Data, "cannot read the time of the file")?;
    Ok(time.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn knows_a_file_by_size_and_time_or_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "one").unwrap();
        let mut progress = Progress::default();
        let identity = Identity::of(&path).unwrap();
        assert!(!progress.has(&path, identity).unwrap());
        progress.set(&path, identity, &files::open::sum(&path).unwrap()).unwrap();
        let mut progress = Progress::of(&progress.to_json());
        assert!(progress.has(&path, identity).unwrap());

        let later = identity.modified + Duration::from_secs(5);
        let touch = || fs::File::options().write(true).open(&path).unwrap().set_modified(later);
        touch().unwrap();
        let touched = Identity::of(&path).unwrap();
        assert!(progress.has(&path, touched).unwrap());
        let expected = Value::from(time(later).unwrap());
        assert_eq!(progress.to_json()["files"][path.to_str().unwrap()]["mtime"], expected);

        fs::write(&path, "two").unwrap();
        assert!(!progress.has(&path, Identity::of(&path).unwrap()).unwrap());
        fs::write(&path, "three").unwrap();
        assert!(!progress.has(&path, Identity::of(&path).unwrap()).unwrap());
        progress.keep(|path| path.ends_with("b.csv"));
        assert_eq!(progress, Progress::default());
    }

    #[test]
    fn does_not_trust_the_time_of_a_file_that_was_just_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, "one").unwrap();
        let identity = Identity::of(&path).unwrap();
        let mut progress = Progress::default();
        progress.set(&path, identity, &files::open::sum(&path).unwrap()).unwrap();
        fs::write(&path, "two").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(identity.modified).unwrap();
        assert!(!progress.has(&path, Identity::of(&path).unwrap()).unwrap());
    }

    #[test]
    fn takes_a_foreign_bookmark_for_none() {
        for bookmark in [json!(null), json!({"replication_key": "x"}), json!({"files": 1})] {
            assert_eq!(Progress::of(&bookmark), Progress::default());
        }
    }
}
