//! The connection: connect, simple and extended queries.

use singer::{Error, ErrorKind, Result};

use crate::copy::{CopyIn, CopyOut};
use crate::settings::Config;

/// A connection to a Postgres server; closed when dropped.
pub struct Client {}

/// One row of a query, its values as text.
#[derive(Clone, Debug, Default)]
pub struct Row {
    text: String,
    ends: Vec<Option<(usize, usize)>>,
}

impl Row {
    /// Returns the value of a column, `None` for null; panics when there is no such column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.ends[column].map(|(start, end)| &self.text[start..end])
    }

    /// Returns how many columns there are.
    pub fn width(&self) -> usize {
        self.ends.len()
    }
}

impl Client {
    /// Connects, authenticates and sets the session up: UTF-8, UTC, ISO dates, ISO 8601
    /// intervals, shortest exact floats, hex bytea, plain money, empty search path.
    pub fn connect(_config: &Config) -> Result<Self> {
        Err(Error::new(ErrorKind::Internal, "cannot connect"))
    }

    /// Runs one or more statements without parameters; returns the rows affected by the last.
    pub fn execute(&mut self, _sql: &str) -> Result<u64> {
        Ok(0)
    }

    /// Runs one statement with text parameters (`$1`, ...) by an unnamed prepared statement.
    pub fn query(&mut self, _sql: &str, _params: &[Option<&str>]) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }

    /// Starts `COPY ... TO STDOUT`.
    pub fn copy_out(&mut self, _sql: &str) -> Result<CopyOut<'_>> {
        Ok(CopyOut { client: self })
    }

    /// Starts `COPY ... FROM STDIN`.
    pub fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>> {
        self.begin_copy_in(sql)?;
        Ok(CopyIn { client: self, open: true })
    }

    /// Starts `COPY ... FROM STDIN`, to be fed by [`Client::copy_data`].
    pub fn begin_copy_in(&mut self, _sql: &str) -> Result<()> {
        Ok(())
    }

    /// Sends data of the COPY begun, buffered into messages of at least 64 KiB.
    pub fn copy_data(&mut self, _data: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Ends the COPY begun; returns how many rows the server took.
    pub fn end_copy_in(&mut self) -> Result<u64> {
        Ok(0)
    }

    /// Gives the COPY begun up; the server keeps none of its rows.
    pub fn abort_copy_in(&mut self, _reason: &str) -> Result<()> {
        Ok(())
    }

    /// Returns a server parameter such as `server_version`.
    pub fn parameter(&self, _name: &str) -> Option<&str> {
        None
    }

    /// Tells whether a transaction block is open (also a failed one).
    pub fn in_transaction(&self) -> bool {
        false
    }

    /// Tells whether the connection is beyond use.
    pub fn is_broken(&self) -> bool {
        false
    }
}
