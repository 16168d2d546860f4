//! Where the states of a project are kept. Where Meltano has a store, it is the only one: its
//! database or its file backend. Else they are in `.chorus/state`, and those that are still there
//! when Meltano's store appears are copied into it.

mod database;
mod files;
mod form;
mod mark;
mod meltano_files;
mod postgres;
mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use disk::Lock;
use project::{Project, SystemSetting, warning};
use serde_json::Value;
use singer::{Error, ErrorKind, Result};

use self::database::Shared;
use self::files::Files;
pub(crate) use self::form::merged;
pub(crate) use self::mark::Mark;
use self::meltano_files::MeltanoFiles;
use self::postgres::Postgres;
use self::sqlite::Sqlite;
use crate::options::Options;
use crate::state_names;

/// Where Meltano keeps its database unless a setting says otherwise.
const DATABASE: &str = "meltano.db";
/// The value of `state_backend.uri` for states in the database.
const SYSTEM: &str = "systemdb";
/// How old a lock of the file backend may be unless a setting says otherwise.
const LOCK_SECONDS: u64 = 10;

/// A place that keeps states by their ids.
trait StateStore: fmt::Debug + Send + Sync {
    /// Reads the state of an id: the value of a STATE message. `None` when there is none; what
    /// cannot be read is never taken for none.
    fn state(&self, id: &str) -> Result<Option<Value>>;
    /// Replaces the state of an id.
    fn set_state(&self, id: &str, state: &Value) -> Result<()>;
    /// Removes the state of an id; tells whether there was one.
    fn clear_state(&self, id: &str) -> Result<bool>;
    /// Returns the ids that have a state, in order.
    fn state_ids(&self) -> Result<Vec<String>>;
    /// Says where it is.
    fn name(&self) -> String;
}

/// The states of a project.
#[derive(Debug)]
pub struct States {
    kept: Box<dyn StateStore>,
    /// `.chorus/state`, where another store keeps the states: those in it wait to be copied.
    waiting: Option<Files>,
    /// The list of running jobs that Meltano heeds.
    runs: Option<Shared>,
}

impl States {
    /// Opens the store of a project; nothing is made before something is written.
    ///
    /// # Errors
    /// `Config` for a kind of store that is not supported, or a database that cannot be used;
    /// `Temporary` for one that is locked, or a server that cannot be reached.
    pub fn open(project: &Project) -> Result<Self> {
        let files = Files::of(project);
        let backend = project.system_setting("state_backend.uri");
        let backend = backend.filter(|setting| setting.value != SYSTEM);
        let folder = backend.as_ref().map(folder_of).transpose()?;
        let runs = database(project)?;
        Ok(match (folder, runs) {
            (Some(folder), runs) => {
                let age = project.system_setting("state_backend.lock_timeout_seconds");
                let age = age.and_then(|setting| setting.value.parse().ok());
                let age = Duration::from_secs(age.unwrap_or(LOCK_SECONDS));
                let kept = Box::new(MeltanoFiles::new(project.root.join(folder), age));
                Self { kept, waiting: Some(files), runs }
            }
            (None, Some(runs)) => {
                Self { kept: Box::new(runs.clone()), waiting: Some(files), runs: Some(runs) }
            }
            (None, None) => Self { kept: Box::new(files), waiting: None, runs: None },
        })
    }

    /// Keeps states in a folder, for tests.
    #[cfg(test)]
    pub(crate) fn at(folder: &Path) -> Self {
        let kept = Box::new(Files::at(folder.join(".chorus/state")));
        Self { kept, waiting: None, runs: None }
    }

    /// Reads the state of an id: the value of a STATE message. `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or Meltano's store and `.chorus` have different ones.
    pub fn state(&self, id: &str) -> Result<Option<Value>> {
        let kept = self.kept.state(id)?;
        let waiting = self.waiting.as_ref().map(|files| files.state(id)).transpose()?.flatten();
        match (kept, waiting) {
            (Some(kept), Some(waiting)) if kept != waiting => {
                Err(self.differs(id, &kept, &waiting))
            }
            (kept, waiting) => Ok(kept.or(waiting)),
        }
    }

    /// Returns the state that two parts make: what runs that ended well have left, and what others
    /// have left since. `None` where there is none.
    ///
    /// # Errors
    /// `Config` when a part is no object.
    pub fn of_parts(completed: &Value, partial: &Value) -> Result<Option<Value>> {
        form::read(Some(&completed.to_string()), Some(&partial.to_string()))
    }

    /// Replaces the state of an id.
    pub fn set_state(&self, id: &str, state: &Value) -> Result<()> {
        self.kept.set_state(id, state)?;
        self.settle(id)
    }

    /// Removes the state of an id; tells whether there was one.
    pub fn clear_state(&self, id: &str) -> Result<bool> {
        let was_kept = self.kept.clear_state(id)?;
        let was_waiting = self.waiting.as_ref().is_some_and(|files| files.path(id).is_file());
        self.settle(id)?;
        Ok(was_kept || was_waiting)
    }

    /// Returns the ids that have a state, in order.
    pub fn state_ids(&self) -> Result<Vec<String>> {
        let mut ids = self.kept.state_ids()?;
        if let Some(files) = &self.waiting {
            ids.extend(files.state_ids()?);
            ids.sort();
            ids.dedup();
        }
        Ok(ids)
    }

    /// Says where they are.
    pub fn name(&self) -> String {
        self.kept.name()
    }

    /// Tells whether they are where Meltano keeps them.
    pub fn are_of_meltano(&self) -> bool {
        self.waiting.is_some()
    }

    /// Copies the states of `.chorus` to where Meltano keeps them; those of a run stay until it has
    /// ended. What was copied is put aside, so it is copied once.
    ///
    /// # Errors
    /// `Config` when both have a state of an id, and they differ: nothing is changed then.
    pub(crate) fn take_over(&self, project: &Project) -> Result<()> {
        let Some(files) = &self.waiting else { return Ok(()) };
        let ids = files.state_ids()?;
        for id in &ids {
            self.state(id)?;
        }
        for id in &ids {
            let Some(_held) = Lock::try_take(&state_names::lock(project, id)?)? else { continue };
            let Some(state) = files.state(id)? else { continue };
            if self.check_idle(project, id).is_err() {
                continue;
            }
            if self.kept.state(id)?.is_none() {
                self.kept.set_state(id, &state)?;
                let place = self.name();
                tracing::info!("copied the state {id} from .chorus/state to {place}");
            }
            files.put_aside(id)?;
        }
        Ok(())
    }

    /// Marks the job of a state as running, where Meltano has a list of running jobs. The caller
    /// holds the lock of the state.
    ///
    /// # Errors
    /// `Temporary` while Meltano, or `chorus` on another machine, runs it, unless that is ignored.
    pub(crate) fn begin(
        &self,
        project: &Project,
        id: &str,
        options: &Options,
    ) -> Result<Option<Mark>> {
        self.runs.as_ref().map(|runs| Mark::begin(project, runs, id, options)).transpose()
    }

    /// Refuses a change of a state whose job runs. The caller holds the lock of the state.
    ///
    /// # Errors
    /// `Temporary` while Meltano, or `chorus` on another machine, runs it.
    pub fn check_idle(&self, project: &Project, id: &str) -> Result<()> {
        let Some(runs) = &self.runs else { return Ok(()) };
        runs.at_once(|database| mark::end_stale(project, database, id, false))
    }

    /// What waits to be copied has been replaced or removed.
    fn settle(&self, id: &str) -> Result<()> {
        match &self.waiting {
            Some(files) if files.path(id).is_file() => files.put_aside(id),
            _ => Ok(()),
        }
    }

    fn differs(&self, id: &str, kept: &Value, waiting: &Value) -> Error {
        let path = self.waiting.as_ref().map(|files| files.path(id).display().to_string());
        let path = path.unwrap_or_default();
        Error::new(ErrorKind::Config, "cannot tell which of two states to continue from")
            .with("state", id)
            .with(&self.name(), kept)
            .with(&path, waiting)
            .hint(format!(
                "set the one that holds, and the other is put aside: chorus state set '{id}' \
                 '{{\"singer_state\": ...}}'"
            ))
    }
}

/// Returns the folder of Meltano's file backend.
fn folder_of(backend: &SystemSetting) -> Result<PathBuf> {
    let (scheme, rest) = backend.value.split_once(':').unwrap_or((&backend.value, ""));
    if scheme != "file" {
        return Err(Error::new(ErrorKind::Config, "cannot keep states in this backend yet")
            .with("setting", &backend.source)
            .with("backend", scheme)
            .hint(
                "`chorus` keeps states in Meltano's database and in `file://` backends; to move \
                 them: meltano state get ID, then chorus state set ID - with another \
                 MELTANO_STATE_BACKEND_URI",
            ));
    }
    // Meltano uses the path alone, whatever host there is.
    let path = rest.strip_prefix("//").map_or(rest, |rest| &rest[rest.find('/').unwrap_or(0)..]);
    Ok(PathBuf::from(path))
}

/// Opens Meltano's database, if there is one. A file that is not there is none: Meltano makes it
/// when it first runs.
fn database(project: &Project) -> Result<Option<Shared>> {
    let Some(setting) = project.system_setting("database_uri") else {
        let folder = project.variables.get("MELTANO_SYS_DIR_ROOT").unwrap_or(".meltano");
        let path = project.root.join(folder).join(DATABASE);
        return if path.is_file() { sqlite(&path).map(Some) } else { Ok(None) };
    };
    let scheme = setting.value.split([':', '+']).next().unwrap_or_default();
    match scheme {
        "postgresql" | "postgres" => {
            let database = Postgres::open(&setting.value, &setting.source)?;
            Shared::checked(Box::new(database)).map(Some)
        }
        "sqlite" => {
            let path = setting.value.split_once(":///").map_or("", |(_, path)| path);
            let path = project.root.join(path.split('?').next().unwrap_or_default());
            if path.is_file() {
                return sqlite(&path).map(Some);
            }
            project.warnings().warn_once(warning!(
                "W-STATE-ELSEWHERE",
                "`{}` names {}, which does not exist: states are kept in .chorus/state until \
                 Meltano makes it",
                setting.source,
                path.display()
            ));
            Ok(None)
        }
        _ => Err(Error::new(ErrorKind::Config, "cannot use a Meltano database of this kind")
            .with("setting", &setting.source)
            .with("kind", scheme)
            .hint("`chorus` can use databases of SQLite and Postgres, and `file://` backends")),
    }
}

/// Returns the settings of plugins in Meltano's database: the namespace of the plugin, the name,
/// and the value as Python pickles it.
pub(crate) fn stored_settings(project: &Project) -> Result<Vec<(String, String, Vec<u8>)>> {
    let Some(database) = database(project)? else { return Ok(Vec::new()) };
    let mut database = database.lock();
    let sql = format!(
        "SELECT namespace, name, {} FROM plugin_settings WHERE enabled",
        database.hexadecimal("value")
    );
    let rows = database.query(&sql, &[])?.into_iter();
    Ok(rows
        .filter_map(|row| match <[Option<String>; 3]>::try_from(row) {
            Ok([Some(namespace), Some(name), Some(digits)]) => {
                Some((namespace, name, bytes_of(&digits)))
            }
            _ => None,
        })
        .collect())
}

/// Reads pairs of hexadecimal digits.
fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let text = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    text.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

fn sqlite(path: &Path) -> Result<Shared> {
    Shared::checked(Box::new(Sqlite::open(path)?))
}

#[cfg(test)]
mod tests;
