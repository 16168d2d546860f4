//! `.chorus/state`: one file for each state, where Meltano keeps none.

use std::fs;
use std::path::PathBuf;

use disk::failure;
use project::Project;
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use super::StateStore;
use crate::store;

/// The folder of states.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn of(project: &Project) -> Self {
        Self { folder: project.root.join(".chorus/state") }
    }

    #[cfg(test)]
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn path(&self, id: &str) -> PathBuf {
        self.folder.join(disk::name::encode(id) + ".json")
    }

    /// Puts the state of an id aside: it is kept elsewhere from now on.
    pub(super) fn put_aside(&self, id: &str) -> Result<()> {
        let from = self.path(id);
        let aside = self.folder.with_file_name("state.copied");
        store::make_private_folder(&aside)?;
        let to = aside.join(from.file_name().unwrap_or_default());
        disk::replace::place_file(&from, &to)
    }
}

impl StateStore for Files {
    /// A file that cannot be read is refused: to take it for empty would read everything again.
    fn state(&self, id: &str) -> Result<Option<Value>> {
        let path = self.path(id);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(failure("cannot read the state", &path, cause)),
        };
        let broken = || {
            Error::new(ErrorKind::Config, "cannot read the state: the file is damaged")
                .with("path", path.display())
                .hint("restore a copy, or run `chorus state clear` to read everything again")
        };
        let value: Value = serde_json::from_slice(&text).map_err(|_| broken())?;
        store::check_version(&value, &path)?;
        match &value["singer_state"] {
            state @ Value::Object(_) => Ok(Some(state.clone())),
            _ => Err(broken()),
        }
    }

    fn set_state(&self, id: &str, state: &Value) -> Result<()> {
        store::write(&self.path(id), &json!({ "singer_state": state }))
    }

    fn clear_state(&self, id: &str) -> Result<bool> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(failure("cannot remove the state", &path, cause)),
        }
    }

    fn state_ids(&self) -> Result<Vec<String>> {
        let decoded = store::entries(&self.folder)?.into_iter().filter_map(|path| {
            disk::name::decode(path.file_name()?.to_str()?.strip_suffix(".json")?)
        });
        let mut ids: Vec<String> = decoded.collect();
        ids.sort();
        Ok(ids)
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_states_and_refuses_damaged_ones() {
        let folder = tempfile::tempdir().unwrap();
        let store = Files::at(folder.path().join("state"));
        assert!(store.state("dev:a-to-b").unwrap().is_none());
        assert!(store.state_ids().unwrap().is_empty());
        let state = json!({"bookmarks": {"s": {"v": 1}}});
        store.set_state("dev:a-to-b:2026/01", &state).unwrap();
        store.set_state("dev:a-to-b", &state).unwrap();
        assert_eq!(store.state("dev:a-to-b").unwrap().unwrap(), state);
        assert_eq!(store.state_ids().unwrap(), ["dev:a-to-b", "dev:a-to-b:2026/01"]);
        for damaged in ["", "{", "{}", "{\"singer_state\": 1}", "null"] {
            fs::write(store.path("dev:a-to-b"), damaged).unwrap();
            assert_eq!(
                store.state("dev:a-to-b").unwrap_err().kind(),
                ErrorKind::Config,
                "{damaged}"
            );
        }
        for (version, fine) in
            [("0", true), ("1", true), ("2", false), ("-1", false), ("\"1\"", false)]
        {
            let text = format!("{{\"singer_state\": {state}, \"format_version\": {version}}}");
            fs::write(store.path("dev:a-to-b"), text).unwrap();
            assert_eq!(store.state("dev:a-to-b").is_ok(), fine, "{version}");
        }
        assert!(store.clear_state("dev:a-to-b").unwrap());
        assert!(!store.clear_state("dev:a-to-b").unwrap());
    }
}
