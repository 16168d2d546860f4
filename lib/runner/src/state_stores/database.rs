//! The tables of Meltano's database that have states (`state`) and running jobs (`runs`).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use singer::{Context, Error, ErrorKind, Result};

use super::{StateStore, form};

/// The newest version of the tables that is known, and the one before, as `alembic_version` names
/// them. Both have the same columns in the two tables.
const VERSIONS: [&str; 2] = ["c0efb3c314eb", "6828cc5b1a4f"];

/// What helps where the tables are not there.
pub(super) const SET_UP: &str =
    "it has to be a database that Meltano has set up: `meltano state list` does so";

/// The cells of a row; `None` is null.
pub(super) type Row = Vec<Option<String>>;

/// A connection to a database. Its statements are of the SQL that both kinds of server have;
/// parameters are `$1`, `$2`, ..., in the order in which they first occur.
pub(super) trait Database: fmt::Debug + Send {
    /// Runs a statement; returns its rows.
    fn query(&mut self, sql: &str, params: &[&str]) -> Result<Vec<Row>>;
    /// Begins a transaction that no other one writes beside.
    fn begin(&mut self) -> Result<()>;
    /// Says which database it is.
    fn name(&self) -> String;
    /// Writes the bytes of a column in hexadecimal digits, in SQL.
    fn hexadecimal(&self, column: &str) -> String {
        format!("hex({column})")
    }
}

/// A database that the parts of a run share.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Box<dyn Database>>>);

impl Shared {
    /// Takes a database whose tables have a version that is known.
    pub(super) fn checked(mut database: Box<dyn Database>) -> Result<Self> {
        let found = database.query("SELECT version_num FROM alembic_version", &[]);
        let rows = found.map_err(|failure| match failure.kind() {
            ErrorKind::Temporary | ErrorKind::Denied | ErrorKind::Io => failure,
            // Of a file it is known what is wrong with it.
            _ if failure.context("path").is_some() => failure,
            _ => failure.of_kind(ErrorKind::Config).hint(SET_UP),
        })?;
        let version = rows.into_iter().flatten().next().flatten().unwrap_or_default();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot use Meltano's database: the version of its tables is not known",
            )
            .with("database", database.name())
            .with("version", &version)
            .with("known versions", VERSIONS.join(", "))
            .hint(
                "update this program, or run `meltano state list` with Meltano 4 to update them",
            ));
        }
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Box<dyn Database>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does several things in one transaction.
    pub(super) fn at_once<T>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T>,
    ) -> Result<T> {
        let mut database = self.lock();
        let mut done = database.begin().and_then(|()| work(database.as_mut()));
        if done.is_ok()
            && let Err(failure) = database.query("COMMIT", &[])
        {
            done = Err(failure);
        }
        if done.is_err() {
            // Whichever step failed: what comes next must not be part of this transaction.
            let _ = database.query("ROLLBACK", &[]);
        }
        done
    }
}

impl StateStore for Shared {
    fn state(&self, id: &str) -> Result<Option<Value>> {
        let mut database = self.lock();
        let sql = "SELECT completed_state, partial_state FROM state WHERE state_id = $1";
        let rows = database.query(sql, &[id])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let cell = |at: usize| row.get(at).and_then(Option::as_deref);
        let hint = format!("`chorus state clear '{id}'` removes it, and everything is read again");
        form::read(cell(0), cell(1)).with("state", id).with("database", database.name()).hint(&hint)
    }

    fn set_state(&self, id: &str, state: &Value) -> Result<()> {
        let sql = "INSERT INTO state (state_id, completed_state, partial_state) \
                   VALUES ($1, $2, '{}') ON CONFLICT (state_id) DO UPDATE \
                   SET completed_state = excluded.completed_state, \
                       partial_state = excluded.partial_state";
        self.lock().query(sql, &[id, &form::completed(state).to_string()]).map(drop)
    }

    fn clear_state(&self, id: &str) -> Result<bool> {
        let sql = "DELETE FROM state WHERE state_id = $1 RETURNING state_id";
        Ok(!self.lock().query(sql, &[id])?.is_empty())
    }

    fn state_ids(&self) -> Result<Vec<String>> {
        let mut rows = self.lock().query("SELECT state_id FROM state", &[])?;
        let mut ids: Vec<String> =
            rows.iter_mut().filter_map(|row| row.first_mut()?.take()).collect();
        ids.sort();
        Ok(ids)
    }

    fn name(&self) -> String {
        self.lock().name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at a statement, and keeps what it was asked.
    #[derive(Debug, Default)]
    struct Failing {
        at: &'static str,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Database for Failing {
        fn query(&mut self, sql: &str, _: &[&str]) -> Result<Vec<Row>> {
            self.asked.lock().unwrap().push(sql.to_owned());
            let fails = sql == self.at;
            if fails { Err(Error::new(ErrorKind::Temporary, "no")) } else { Ok(Vec::new()) }
        }

        fn begin(&mut self) -> Result<()> {
            self.query("BEGIN", &[])?;
            self.query("LOCK", &[]).map(drop)
        }

        fn name(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_transaction_ends_whichever_of_its_steps_fails() {
        for (at, end) in
            [("LOCK", "ROLLBACK"), ("WORK", "ROLLBACK"), ("COMMIT", "ROLLBACK"), ("", "COMMIT")]
        {
            let asked = Arc::default();
            let failing = Failing { at, asked: Arc::clone(&asked) };
            let shared = Shared(Arc::new(Mutex::new(Box::new(failing))));
            let done = shared.at_once(|database| database.query("WORK", &[]));
            assert_eq!(done.is_ok(), at.is_empty(), "{at}");
            assert_eq!(asked.lock().unwrap().last().unwrap(), end, "{at}");
        }
    }
}
