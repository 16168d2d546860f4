//! One connection of a run: which COPY is open on it, and transactions that are tried again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pg::{Client, copy_binary, failure, quote_ident, quote_qualified};
use singer::{Batch, Context, Error, ErrorKind, Result};

use crate::fields::Lines;
use crate::line::Format;
use crate::names::STAGE_PREFIX;

/// How often a transaction is tried when the server picks it as a victim.
const ATTEMPTS: u32 = 4;
/// A COPY ends behind so much text: the lines of its rows are kept until then, for messages.
const COPY_BYTES: usize = 4 << 20;

/// A connection, and the COPY open on it.
pub struct Connection {
    client: Client,
    copying: Option<Copying>,
    /// Memory for the next rows.
    spare: Lines,
    lock_timeout_seconds: u64,
    /// How many staging tables are on it.
    staged: usize,
    /// Rows that were sent and that the server says it has not taken.
    missed: u64,
}

/// A transaction to be: what it is about when its end is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effect<'a> {
    /// The quoted table that it may add rows to.
    pub table: Option<&'a str>,
    /// Whether it needs nothing of a staging table any more.
    pub spends_stage: bool,
    /// Whether rows went straight into the table.
    pub direct: bool,
    /// Whether what was warned of since its work was done is of others.
    pub judged: bool,
}

/// Where a COPY goes.
#[derive(Clone, Debug, Default)]
pub struct CopyTarget {
    /// Who copies: a number unique in the run.
    pub owner: u64,
    /// The name of the relation, as the server shows it.
    pub relation: String,
    /// The table that the rows are for in the end, for messages.
    pub table: String,
    /// Statements ahead of the COPY, each with its semicolon.
    pub before: &'static str,
    /// The COPY, for data in the text format.
    pub sql: String,
    /// Whether something of the user's may compute, such as a trigger of the table.
    pub computes: bool,
}

struct Copying {
    into: CopyTarget,
    format: Format,
    bytes: usize,
    /// The lines of the input that its rows came from.
    numbers: Vec<u64>,
    closed: bool,
}

/// When rows were received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Microseconds since 1970.
    micros: u64,
    /// The same as a moment in UTC, as the server reads it fastest.
    pub moment: String,
    /// Milliseconds since 1970.
    pub millis: String,
}

impl Received {
    /// Looks at the clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(u64::try_from(since.as_micros()).unwrap_or(0))
    }

    /// Takes a moment, in microseconds since 1970.
    pub fn at(micros: u64) -> Self {
        let moment = jiff::Timestamp::from_microsecond(i64::try_from(micros).unwrap_or(0));
        Self {
            micros,
            moment: moment.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string(),
            millis: (micros / 1000).to_string(),
        }
    }

    /// Returns the microseconds between two moments, whichever was first: clocks are set back.
    pub fn micros_from(&self, other: &Self) -> u64 {
        self.micros.abs_diff(other.micros)
    }
}

impl Connection {
    /// Sets a connection up for loads.
    pub fn new(client: Client, lock_timeout_seconds: u64) -> Result<Self> {
        let (copying, spare, staged, missed) = (None, Lines::default(), 0, 0);
        let mut connection = Self { client, copying, spare, lock_timeout_seconds, staged, missed };
        connection.set_up()?;
        Ok(connection)
    }

    fn set_up(&mut self) -> Result<()> {
        if self.client.is_pooled() {
            self.client.set_up()?;
        }
        // A tap may take its time. And row security would hide rows from a merge without a word:
        // let it fail instead.
        self.client.execute(&format!(
            "SET lock_timeout = {}; SET row_security = off; SET jit = off; SET work_mem = '64MB'; \
             {}",
            self.lock_timeout_seconds.saturating_mul(1000).min(i32::MAX.unsigned_abs().into()),
            pg::no_idle_limits(false)
        ))?;
        Ok(())
    }

    /// Takes note of a staging table that was made.
    pub fn made_stage(&mut self) {
        self.staged += 1;
    }

    /// Takes note of a staging table that was dropped.
    pub fn dropped_stage(&mut self) {
        self.staged = self.staged.saturating_sub(1);
    }

    /// Tells whether it has staging tables: a new connection has none.
    pub fn has_stages(&self) -> bool {
        self.staged > 0
    }

    /// Tells whether it is beyond use.
    pub fn is_broken(&self) -> bool {
        self.client.is_broken()
    }

    /// Returns memory for the lines of a batch; [`Connection::copy`] takes it back.
    pub fn take_lines(&mut self) -> Lines {
        if self.spare.data.capacity() == 0 {
            self.spare.data.reserve(2 * Batch::TEXT_BYTES);
        }
        std::mem::take(&mut self.spare)
    }

    /// Tells whether a COPY of this owner takes more rows of this format.
    pub fn is_copying(&self, owner: u64, format: Format) -> bool {
        let is_it = |open: &Copying| open.into.owner == owner && open.format == format;
        self.copying.as_ref().is_some_and(|open| is_it(open) && !open.closed)
    }

    /// Returns the connection with no COPY open on it.
    pub fn idle(&mut self) -> Result<&mut Client> {
        if let Some(mut copying) = self.copying.take() {
            let taken = copying.close(&mut self.client).and_then(|()| self.client.end_copy_in());
            let taken = taken.map_err(|failure| copying.refused(failure))?;
            self.missed += (copying.numbers.len() as u64).saturating_sub(taken);
            if copying.into.computes {
                self.client.take_path_back()?;
            }
        }
        Ok(&mut self.client)
    }

    /// Returns, once, how many rows of the COPYs that ended the server has not taken.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Sends rows, going on with the COPY of the same owner if that is the one open.
    pub fn copy(&mut self, into: &CopyTarget, lines: Lines) -> Result<()> {
        let format = lines.format;
        let mut header: &[u8] = b"";
        if !self.is_copying(into.owner, format) {
            let begun = into.begin(self.idle()?, format);
            begun.map_err(explained).with("table", &into.table)?;
            let into = into.clone();
            self.copying =
                Some(Copying { into, format, bytes: 0, numbers: Vec::new(), closed: false });
            if format == Format::Binary {
                header = copy_binary::HEADER;
            }
        }
        let Some(copying) = &mut self.copying else { return Ok(()) };
        copying.bytes += lines.data.len();
        copying.numbers.extend_from_slice(&lines.numbers);
        let mut sent = self.client.copy_data(header);
        sent = sent.and_then(|()| self.client.copy_data(&lines.data));
        if sent.is_ok() && copying.bytes >= COPY_BYTES {
            // The server works on while the next rows are made.
            sent = copying.close(&mut self.client);
        }
        self.spare = lines;
        sent.map_err(|failure| match self.copying.take() {
            Some(copying) => copying.refused(failure),
            None => failure,
        })
    }

    /// Runs `work` in one transaction; again when the server ended it for the sake of another.
    pub fn transaction<T>(
        &mut self,
        effect: Effect<'_>,
        mut work: impl FnMut(&mut Client) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            let client = self.idle()?;
            client.execute("BEGIN ISOLATION LEVEL READ COMMITTED")?;
            let done = work(client).and_then(|value| self.commit(effect).map(|()| value));
            let failure = match done {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let client = &mut self.client;
            if client.is_broken() || client.in_transaction() && client.execute("ROLLBACK").is_err()
            {
                return Err(failure);
            }
            let victim = matches!(failure::sqlstate(&failure), Some("40001" | "40P01"));
            if !victim || attempt == ATTEMPTS {
                return Err(explained(failure));
            }
            tracing::info!(
                "the server ended the transaction in favour of another one; trying again"
            );
            std::thread::sleep(Duration::from_millis(100 << attempt));
            attempt += 1;
        }
    }

    /// Commits the open transaction, also when the connection breaks before the server's answer
    /// and another one tells that it was done.
    pub fn commit(&mut self, effect: Effect<'_>) -> Result<()> {
        if !effect.judged {
            singer::warning::check()?;
        }
        if !self.idle()?.commit(effect.table, effect.direct)? {
            return Ok(());
        }
        let lost = self.staged > usize::from(effect.spends_stage);
        self.staged = 0;
        if lost {
            let message = "cannot continue: the connection broke, and the staged rows are lost";
            return Err(Error::new(ErrorKind::Temporary, message)
                .hint("run again: everything that was committed before is in the tables"));
        }
        self.set_up()
    }
}

impl CopyTarget {
    fn begin(&self, client: &mut Client, format: Format) -> Result<()> {
        let copy = format.statement(&self.sql);
        if self.computes {
            client.begin_copy_in_lent(self.before, &copy)
        } else {
            client.begin_copy_in(&format!("{}{copy}", self.before))
        }
    }
}

impl Copying {
    /// Ends the data, if that is still to be done; does not wait for the server to be done with it.
    fn close(&mut self, client: &mut Client) -> Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        if self.format == Format::Binary {
            client.copy_data(&copy_binary::END)?;
        }
        client.close_copy_in()
    }

    /// Says which line of the input and which column it was, each in a line of its own.
    fn refused(&self, failure: Error) -> Error {
        let place = failure.context("where").unwrap_or_default();
        let (line, column) = place_of(place, &self.into.relation);
        let line = line.and_then(|line| self.numbers.get(line.checked_sub(1)?).copied());
        let column = column.map(str::to_owned);
        let mut failure = explained(failure).with("table", &self.into.table);
        if let Some(line) = line.filter(|line| *line > 0) {
            failure = failure.with("line", line);
        }
        match column {
            Some(column) if failure.context("column").is_none() => failure.with("column", column),
            _ => failure,
        }
    }
}

/// Reads the row and the column from what the server says about a COPY: `COPY t, line 3, column
/// c: "..."`.
fn place_of<'a>(place: &'a str, relation: &str) -> (Option<usize>, Option<&'a str>) {
    let rest = place.strip_prefix("COPY ").and_then(|rest| rest.strip_prefix(relation));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix(", line ")) else {
        return (None, None);
    };
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let column = rest[digits.len()..].strip_prefix(", column ");
    (digits.parse().ok(), column.and_then(|rest| rest.split(": ").next()))
}

/// Makes the failure for a pooler that gives every transaction another session.
pub fn no_session() -> Error {
    Error::new(ErrorKind::Config, "cannot load through a connection pool in transaction mode").hint(
        "rows are staged in a temporary table, which only one session can see: connect to the \
         server itself, or through a pool in session mode",
    )
}

/// Says what to do about a lock that was not available, or a staging table that is gone.
pub fn explained(failure: Error) -> Error {
    match failure::sqlstate(&failure) {
        Some("42P01") if says_stage(&failure) => no_session(),
        Some("55P03") => failure.of_kind(ErrorKind::Temporary).hint(
            "another session holds a lock on the table: run again, or raise \
                   `lock_timeout_seconds`",
        ),
        Some("23502") => match of_table(&failure, "column") {
            Some([table, column]) => failure.hint(format!(
                "the stream has no value for the column: let the stream give it a value or, if the \
                  column may be null, run: ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
            )),
            None => failure,
        },
        Some("23514") if failure.context("constraint").is_none() => {
            match of_table(&failure, "table") {
                Some([table, _]) => {
                    let schema = failure.context("schema").unwrap_or_default();
                    let rest = format!("{}_rest", failure.context("table").unwrap_or_default());
                    let rest = quote_qualified(schema, &rest).unwrap_or_default();
                    failure.hint(format!(
                        "the table has no partition for a row: create it or, for a partition of \
                         all other rows, run: CREATE TABLE {rest} PARTITION OF {table} DEFAULT"
                    ))
                }
                None => failure,
            }
        }
        Some("42501") if says(&failure, "row-level security") => failure.hint(
            "its policies would hide rows from the load: give the user BYPASSRLS or, if the user \
             owns the table, run ALTER TABLE ... NO FORCE ROW LEVEL SECURITY",
        ),
        _ => failure,
    }
}

/// Returns the quoted table that the server names in a failure, and another name of it, quoted.
fn of_table(failure: &Error, other: &str) -> Option<[String; 2]> {
    let [schema, table, other] = ["schema", "table", other].map(|key| failure.context(key));
    Some([quote_qualified(schema?, table?).ok()?, quote_ident(other?).ok()?])
}

fn says_stage(failure: &Error) -> bool {
    says(failure, STAGE_PREFIX)
}

fn says(failure: &Error, part: &str) -> bool {
    failure.context("server_message").is_some_and(|message| message.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_place_in_a_copy() {
        let check = |place: &str, expected: (Option<usize>, Option<&str>)| {
            assert_eq!(place_of(place, "t, line 5"), expected, "{place}");
        };
        check("COPY t, line 5, line 3, column a b: \"x, line 9\"", (Some(3), Some("a b")));
        check("COPY t, line 5, line 12: \"1\t2\"", (Some(12), None));
        check("COPY t, line 5, line 7", (Some(7), None));
        check("SQL function", (None, None));
    }
}
