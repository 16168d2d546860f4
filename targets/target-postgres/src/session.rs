//! The one connection of a run: which COPY is open on it, and transactions that are tried again.

use std::time::Duration;

use pg::{Client, failure};
use singer::{Context, Error, ErrorKind, Result};

/// How often a transaction is tried when the server picks it as a victim.
const ATTEMPTS: u32 = 4;

/// The connection, and the COPY open on it.
pub struct Session {
    client: Client,
    copying: Option<Copying>,
    stages: u64,
    started_ms: u64,
}

struct Copying {
    stage: u64,
    table: String,
}

impl Session {
    /// Sets a connection up for loads.
    pub fn new(mut client: Client, lock_timeout_seconds: u64, started_ms: u64) -> Result<Self> {
        // Row security would hide rows from a merge without a word: let it fail instead.
        client.execute(&format!(
            "SET lock_timeout = {}; SET row_security = off; SET jit = off; SET work_mem = '64MB'",
            lock_timeout_seconds.saturating_mul(1000).min(i32::MAX.unsigned_abs().into())
        ))?;
        Ok(Self { client, copying: None, stages: 0, started_ms })
    }

    /// Returns when the run began, in milliseconds since 1970.
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Returns a number for a new staging table.
    pub fn next_stage(&mut self) -> u64 {
        self.stages += 1;
        self.stages
    }

    /// Returns the connection with no COPY open on it.
    pub fn idle(&mut self) -> Result<&mut Client> {
        if let Some(copying) = self.copying.take() {
            self.client.end_copy_in().map_err(|failure| rows_refused(failure, &copying.table))?;
        }
        Ok(&mut self.client)
    }

    /// Sends rows to a staging table, going on with its COPY if that is the one open.
    pub fn copy(&mut self, stage: u64, table: &str, sql: &str, rows: &[u8]) -> Result<()> {
        if self.copying.as_ref().is_none_or(|copying| copying.stage != stage) {
            self.idle()?.begin_copy_in(sql).with("table", table)?;
            self.copying = Some(Copying { stage, table: table.to_owned() });
        }
        self.client.copy_data(rows).map_err(|failure| {
            self.copying = None;
            rows_refused(failure, table)
        })
    }

    /// Runs `work` in one transaction; again when the server ended it for the sake of another.
    pub fn transaction<T>(&mut self, mut work: impl FnMut(&mut Client) -> Result<T>) -> Result<T> {
        let client = self.idle()?;
        let mut attempt = 1;
        loop {
            client.execute("BEGIN ISOLATION LEVEL READ COMMITTED")?;
            let done = work(client).and_then(|value| client.execute("COMMIT").map(|_| value));
            let failure = match done {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if client.is_broken() {
                return Err(failure);
            }
            if client.in_transaction() {
                client.execute("ROLLBACK")?;
            }
            let victim = matches!(failure::sqlstate(&failure), Some("40001" | "40P01"));
            if !victim || attempt == ATTEMPTS {
                return Err(explained(failure));
            }
            log::info!("the server ended the transaction in favour of another; trying again");
            std::thread::sleep(Duration::from_millis(100 << attempt));
            attempt += 1;
        }
    }
}

/// Says which column it was, in a line of its own.
fn rows_refused(failure: Error, table: &str) -> Error {
    let place = failure.context("where").unwrap_or_default();
    let column = place.split_once(", column ").map(|(_, rest)| rest);
    let column = column.and_then(|rest| rest.split(": ").next()).map(str::to_owned);
    let failure = failure.with("table", table);
    match column {
        Some(column) if failure.context("column").is_none() => failure.with("column", column),
        _ => failure,
    }
}

fn explained(failure: Error) -> Error {
    match failure::sqlstate(&failure) {
        Some("55P03") => failure
            .of_kind(ErrorKind::Temporary)
            .hint("another session holds the table; run again, or raise `lock_timeout_seconds`"),
        _ => failure,
    }
}
