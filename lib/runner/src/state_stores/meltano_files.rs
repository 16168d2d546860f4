//! The file backend of Meltano: a folder for each state, with `state.json`, and `lock` while one of
//! both programs changes it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use disk::{NewFile, failure};
use serde_json::{Value, json};
use singer::{Context, Error, ErrorKind, Result};

use super::{StateStore, form};

const STATE: &str = "state.json";
const LOCK: &str = "lock";
/// How long is waited for a change that another program makes.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The folder of the backend.
#[derive(Debug)]
pub(super) struct MeltanoFiles {
    folder: PathBuf,
    /// A lock that is older is of a program that was killed.
    lock_age_max: Duration,
}

/// A state that is about to change; others wait until this is dropped.
struct Held(PathBuf);

impl MeltanoFiles {
    pub(super) fn new(folder: PathBuf, lock_age_max: Duration) -> Self {
        Self { folder, lock_age_max }
    }

    /// Returns the folder of a state. Its name is Meltano's, so it is the id as it is.
    fn folder_of(&self, id: &str) -> Result<PathBuf> {
        if id.is_empty() || id.contains('/') || id == "." || id == ".." {
            return Err(Error::new(ErrorKind::Config, "cannot use a state id as name of a folder")
                .with("state", id)
                .with("state_backend.uri", self.folder.display())
                .hint("give --state-id, or other names to the plugins"));
        }
        Ok(self.folder.join(id))
    }

    fn hold(&self, folder: &Path) -> Result<Held> {
        fs::create_dir_all(folder)
            .map_err(|cause| failure("cannot make the folder of the state", folder, cause))?;
        let path = folder.join(LOCK);
        let end = Instant::now() + WAIT_MAX;
        loop {
            match File::create_new(&path) {
                Ok(mut file) => {
                    let now = jiff::Timestamp::now();
                    let written = write!(file, "{:.6}", now.as_duration().as_secs_f64());
                    written.map_err(|cause| failure("cannot lock the state", &path, cause))?;
                    return Ok(Held(path));
                }
                Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(failure("cannot lock the state", &path, cause));
                }
                Err(_) if self.is_old(&path) => drop(fs::remove_file(&path)),
                Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(100)),
                Err(_) => {
                    return Err(Error::new(
                        ErrorKind::Temporary,
                        "cannot change a state that another program is changing",
                    )
                    .with("lock", path.display())
                    .hint("wait until it has ended; if none runs, remove the lock"));
                }
            }
        }
    }

    /// Tells whether a lock is of a program that was killed: by the moment in it, or else by that
    /// of the file.
    fn is_old(&self, path: &Path) -> bool {
        let written = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let of_file = || fs::metadata(path).and_then(|file| file.modified()).ok()?.elapsed().ok();
        let age = written.map(|at: f64| now - at).or_else(|| Some(of_file()?.as_secs_f64()));
        age.is_some_and(|age| age > self.lock_age_max.as_secs_f64())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl StateStore for MeltanoFiles {
    fn state(&self, id: &str) -> Result<Option<Value>> {
        let path = self.folder_of(id)?.join(STATE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failure("cannot read the state", &path, cause)),
        };
        let damaged = |_| Error::new(ErrorKind::Config, "cannot read the state: it is damaged");
        let read = serde_json::from_str::<Value>(&text).map_err(damaged).and_then(|value| {
            let part = |name: &str| value.get(name).map(ToString::to_string);
            form::read(part("completed").as_deref(), part("partial").as_deref())
        });
        read.with("path", path.display()).hint(&format!(
            "restore a copy, or run `chorus state clear '{id}'` to read everything again"
        ))
    }

    fn set_state(&self, id: &str, state: &Value) -> Result<()> {
        let folder = self.folder_of(id)?;
        let _held = self.hold(&folder)?;
        let text = json!({ "completed": form::completed(state), "partial": {} }).to_string();
        let mut file = NewFile::among_others(&folder.join(STATE), 0o666)?;
        file.write(text.as_bytes())?;
        file.place()
    }

    fn clear_state(&self, id: &str) -> Result<bool> {
        let folder = self.folder_of(id)?;
        let was_there = folder.join(STATE).is_file();
        if was_there {
            let _held = self.hold(&folder)?;
            fs::remove_dir_all(&folder)
                .map_err(|cause| failure("cannot remove the state", &folder, cause))?;
        }
        Ok(was_there)
    }

    fn state_ids(&self) -> Result<Vec<String>> {
        let folders = crate::store::entries(&self.folder)?.into_iter();
        let ids = folders.filter(|folder| folder.join(STATE).is_file());
        Ok(ids.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect())
    }

    fn name(&self) -> String {
        format!("Meltano's folder {}", self.folder.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_states_as_meltano_does_and_heeds_its_locks() {
        let folder = tempfile::tempdir().unwrap();
        let store = MeltanoFiles::new(folder.path().to_owned(), Duration::from_secs(10));
        let (id, state) = ("dev:a-to-b", json!({"bookmarks": {"s": {"v": 1}}}));
        assert!(store.state(id).unwrap().is_none());
        store.set_state(id, &state).unwrap();
        let path = folder.path().join(id);
        let text = fs::read_to_string(path.join(STATE)).unwrap();
        assert_eq!(
            text,
            r#"{"completed":{"singer_state":{"bookmarks":{"s":{"v":1}}}},"partial":{}}"#
        );
        assert!(!path.join(LOCK).exists());
        assert_eq!(store.state_ids().unwrap(), [id]);
        // One of a program that was killed is in nobody's way.
        fs::write(path.join(LOCK), "1000.5").unwrap();
        store.set_state(id, &state).unwrap();
        fs::write(path.join(STATE), "{").unwrap();
        assert_eq!(store.state(id).unwrap_err().kind(), ErrorKind::Config);
        assert!(store.clear_state(id).unwrap());
        assert!(!store.clear_state(id).unwrap());
        assert!(!path.exists());
        assert_eq!(store.set_state("a/b", &state).unwrap_err().kind(), ErrorKind::Config);
    }
}
