//! Meltano's database as a file of `SQLite`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use singer::{Error, ErrorKind, Result};

use super::database::{Database, Row, SET_UP};

/// How long another program may be in the middle of a change.
const BUSY_MAX: Duration = Duration::from_secs(10);

/// An open file.
#[derive(Debug)]
pub(super) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY_MAX)?;
            Ok(connection)
        });
        let connection = opened.map_err(|cause| failed(path, cause))?;
        Ok(Self { connection, path: path.to_owned() })
    }
}

impl Database for Sqlite {
    fn query(&mut self, sql: &str, params: &[&str]) -> Result<Vec<Row>> {
        let failed = |cause| failed(&self.path, cause);
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let width = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = (0..width).map(|at| Ok(text(row.get_ref(at)?)));
            found.push(cells.collect::<rusqlite::Result<Row>>().map_err(failed)?);
        }
        Ok(found)
    }

    fn begin(&mut self) -> Result<()> {
        self.query("BEGIN IMMEDIATE", &[]).map(drop)
    }

    fn name(&self) -> String {
        format!("Meltano's database {}", self.path.display())
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            Some(String::from_utf8_lossy(text).into_owned())
        }
    }
}

/// Makes the error of a file: one that another program is changing is free again soon.
fn failed(path: &Path, cause: rusqlite::Error) -> Error {
    let code = cause.sqlite_error_code();
    let (kind, message, hint) = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Temporary,
            "cannot use Meltano's database: another program has locked it",
            "wait until that program has ended, and try again",
        ),
        Some(ErrorCode::DiskFull) => {
            (ErrorKind::Io, "cannot write to Meltano's database: the disk is full", "free room")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::Config,
            "cannot open Meltano's database",
            "let the user of this command read and write the file and its folder",
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            ErrorKind::Config,
            "cannot read Meltano's database: it is damaged",
            "restore a copy of the file, or move it away to begin without its states",
        ),
        _ => (ErrorKind::Config, "cannot use Meltano's database", SET_UP),
    };
    Error::new(kind, message).with("path", path.display()).hint(hint).caused_by(cause)
}
