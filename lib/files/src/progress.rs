//! The bookmark of a stream of files: for each file its size, time and sum.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use singer::{Context, ErrorKind, Result, ResultExt};

use crate::open::Identity;

/// No file system's clock has longer steps (FAT: two seconds).
const CLOCK_STEP_MAX: Duration = Duration::from_secs(3);

/// Which files were read, and what they were then.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    files: Map<String, Value>,
    /// Something has changed since it was last saved.
    unsaved: bool,
}

impl Progress {
    /// Reads a bookmark; anything but ours counts as none.
    pub fn of(bookmark: &Value) -> Self {
        let files = bookmark["files"].as_object().cloned().unwrap_or_default();
        Self { files, unsaved: false }
    }

    /// Takes over a bookmark of older plugins, which is a time alone: everything up to it was read.
    /// Returns the time, if there is one.
    ///
    /// Fails with `Config` when it is no time.
    pub fn read_until(bookmark: &Value) -> Result<Option<SystemTime>> {
        let Some(text) = bookmark["modified_since"].as_str() else { return Ok(None) };
        if bookmark["files"].is_object() {
            return Ok(None);
        }
        let time: jiff::Timestamp = text
            .parse()
            .or_kind(ErrorKind::Config, "cannot read the state")
            .with("modified_since", text)
            .hint("it is a time as RFC 3339; without this bookmark all files are read")?;
        Ok(Some(time.into()))
    }

    /// Forgets the files that are gone.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        let before = self.files.len();
        self.files.retain(|path, _| wanted(path));
        self.unsaved |= self.files.len() != before;
    }

    /// Tells whether the file is as it was read. Where size and time do not say it, `sum` is told
    /// whether the time is the same, and gives the sum or `None` when it is not worth reading.
    pub fn has(
        &mut self,
        path: &str,
        identity: Identity,
        sum: impl FnOnce(bool) -> Result<Option<String>>,
    ) -> Result<bool> {
        let Some(known) = self.files.get(path) else { return Ok(false) };
        if known["size"].as_u64() != Some(identity.size) {
            return Ok(false);
        }
        let same_time = known["mtime"] == *time(identity.modified)?;
        if same_time && known["recent"] != true {
            return Ok(true);
        }
        if !known["sha256"].is_string() {
            return Ok(false);
        }
        let Some(sum) = sum(same_time)? else { return Ok(false) };
        if known["sha256"] != *sum {
            return Ok(false);
        }
        self.set(path, identity, Some(&sum))?;
        Ok(true)
    }

    /// Says that the file was read to its end.
    pub fn set(&mut self, path: &str, identity: Identity, sum: Option<&str>) -> Result<()> {
        let mut entry = json!({"size": identity.size, "mtime": time(identity.modified)?});
        if let Some(sum) = sum {
            entry["sha256"] = sum.into();
        }
        if is_recent(identity) {
            entry["recent"] = true.into();
        }
        self.unsaved |= self.files.get(path) != Some(&entry);
        self.files.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Returns how many files were read.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Tells whether no file was read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the bookmark.
    pub fn to_json(&self) -> Value {
        json!({ "files": self.files })
    }

    /// Returns the bookmark, to be saved.
    pub fn saved(&mut self) -> Value {
        self.unsaved = false;
        self.to_json()
    }

    /// Tells whether anything has changed since it was last saved.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }
}

/// Tells whether a file may still change without its time showing it: the clock of a file system
/// moves in steps, so that a change soon after the last one may leave the same time. A time yet to
/// come is one of a clock before ours.
pub(crate) fn is_recent(identity: Identity) -> bool {
    identity.modified.elapsed().map_or(true, |age| age < CLOCK_STEP_MAX)
}

/// Writes a time as RFC 3339 in UTC, with the microseconds that databases keep.
pub(crate) fn time_for_a_column(time: SystemTime) -> Result<String> {
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
    use std::path::Path;

    use super::*;
    use crate::store::Disk;

    fn has(progress: &mut Progress, path: &str) -> bool {
        let sum = |_| crate::open::sum(&Disk::new(path), path).map(Some);
        progress.has(path, Identity::of(Path::new(path)).unwrap(), sum).unwrap()
    }

    fn set(progress: &mut Progress, path: &str) {
        let identity = Identity::of(Path::new(path)).unwrap();
        let sum = crate::open::sum(&Disk::new(path), path).unwrap();
        progress.set(path, identity, Some(&sum)).unwrap();
    }

    fn file(folder: &tempfile::TempDir) -> String {
        let path = folder.path().join("a.csv");
        fs::write(&path, "one").unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn knows_a_file_by_size_and_time_or_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = &file(&folder);
        let mut progress = Progress::default();
        assert!(!has(&mut progress, path));
        set(&mut progress, path);
        let mut progress = Progress::of(&progress.to_json());
        assert!(has(&mut progress, path));

        let later = Identity::of(Path::new(path)).unwrap().modified + Duration::from_secs(5);
        fs::File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
        assert!(has(&mut progress, path));
        let expected = Value::from(time(later).unwrap());
        assert_eq!(progress.to_json()["files"][path]["mtime"], expected);

        fs::write(path, "two").unwrap();
        assert!(!has(&mut progress, path));
        fs::write(path, "three").unwrap();
        assert!(!has(&mut progress, path));
        progress.saved();
        progress.keep(|path| path.ends_with("a.csv"));
        assert!(!progress.is_unsaved());
        progress.keep(|path| path.ends_with("b.csv"));
        assert!(progress.is_empty() && progress.is_unsaved());
    }

    #[test]
    fn does_not_trust_the_time_of_a_file_that_was_just_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = &file(&folder);
        let identity = Identity::of(Path::new(path)).unwrap();
        let mut progress = Progress::default();
        set(&mut progress, path);
        fs::write(path, "two").unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(identity.modified).unwrap();
        assert!(!has(&mut progress, path));
    }

    #[test]
    fn a_file_without_a_sum_is_known_by_size_and_time_alone() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut progress = Progress::default();
        progress.set("a", Identity::far(3, at(9)), None).unwrap();
        let mut has = |size, seconds| {
            let no_sum = |_| panic!("there is no sum to compare with");
            progress.has("a", Identity::far(size, at(seconds)), no_sum).unwrap()
        };
        assert!(has(3, 9));
        assert!(!has(4, 9));
        assert!(!has(3, 8), "a time that goes back is a change");
    }

    #[test]
    fn takes_a_foreign_bookmark_for_none() {
        for bookmark in [json!(null), json!({"replication_key": "x"}), json!({"files": 1})] {
            assert!(Progress::of(&bookmark).is_empty());
        }
    }
}
