//! A COMMIT, and what became of it when its answer was lost.

use std::time::{Duration, Instant};

use singer::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::failure;
use crate::session::Changed;

/// For so many times as long as connecting may take, the server is asked again: it may restart.
const PATIENCE: u32 = 3;
/// How long to wait before the server is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// What a transaction is recognized by once its connection is gone.
struct Witness {
    /// Its number; none where it changed nothing.
    number: Option<String>,
    /// When the server last lost its statistics, which it does by a crash. What a crash took back
    /// may have left its number to another transaction.
    crashed: Option<String>,
    /// The settings of its session.
    settings: String,
}

/// What the server knows of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    /// It did not end yet: a session holds it that nobody is connected to.
    Open,
    Unknown,
}

impl Client {
    /// Commits the open transaction. Where the connection breaks before the answer, asks by another
    /// what became of it: when it was committed, that connection takes the place of this one (a
    /// new session, without temporary tables), and `true` is returned.
    ///
    /// Where the server crashed meanwhile, rows that the transaction added to `table` (quoted)
    /// tell.
    ///
    /// Settings that a trigger changed are set back, so that the COMMIT lasts and what comes next
    /// is read as it is meant. Rows that went straight into a table (`direct`) while a setting of
    /// reading was changed are refused.
    pub fn commit(&mut self, table: Option<&str>, direct: bool) -> Result<bool> {
        let witness = self.witness()?;
        let changed = self.changed(&witness.settings);
        if let Some(setting) = changed.iter().find(|setting| direct && setting.is_of_reading()) {
            return Err(read_otherwise(setting));
        }
        if !changed.is_empty() {
            self.set_up()?;
            singer::warning::check()?;
        }
        let Err(failure) = self.execute("COMMIT") else { return Ok(false) };
        if !self.is_broken() {
            return Err(failure);
        }
        singer::warn!(
            "W-COMMIT-UNSURE",
            "the connection broke before the server answered a COMMIT: asking whether it was \
             committed"
        );
        match self.ask(&witness, table) {
            Ok((other, Fate::Committed)) => {
                tracing::info!("the transaction was committed");
                *self = other;
                Ok(true)
            }
            Ok((_, Fate::Aborted)) => Err(failure.of_kind(ErrorKind::Temporary)),
            Ok(_) => Err(unknown(&witness, &failure)),
            Err(unreachable) => Err(unknown(&witness, &unreachable)),
        }
    }

    fn witness(&mut self) -> Result<Witness> {
        let settings = Self::settings_now();
        let sql = format!(
            "SELECT pg_catalog.txid_current_if_assigned(), stats_reset, {settings} \
               FROM pg_catalog.pg_stat_bgwriter"
        );
        let rows = self.query(&sql, &[])?;
        let text = |at| rows.first().and_then(|row| row.get(at)).map(str::to_owned);
        let settings = text(2).unwrap_or_default();
        Ok(Witness { number: text(0), crashed: text(1), settings })
    }

    /// Asks on another connection until there is an answer, or no more time.
    fn ask(&self, witness: &Witness, table: Option<&str>) -> Result<(Self, Fate)> {
        let deadline = Instant::now() + self.protocol.config.connect_timeout * PATIENCE;
        loop {
            let asked = Self::connect(&self.protocol.config).and_then(|mut client| {
                let fate = client.fate(witness, table)?;
                Ok((client, fate))
            });
            let again = match &asked {
                Ok((_, fate)) => *fate == Fate::Open,
                Err(failure) => failure.kind() == ErrorKind::Temporary,
            };
            if !again || Instant::now() >= deadline {
                return asked;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn fate(&mut self, witness: &Witness, table: Option<&str>) -> Result<Fate> {
        let Some(number) = witness.number.as_deref() else { return Ok(Fate::Committed) };
        let crashed = self.witness()?.crashed != witness.crashed;
        let fate = match self.query("SELECT txid_status($1::bigint)", &[Some(number)]) {
            Ok(rows) => match rows.first().and_then(|row| row.get(0)) {
                Some("committed") => Fate::Committed,
                Some("aborted") => Fate::Aborted,
                Some("in progress") => Fate::Open,
                _ => Fate::Unknown,
            },
            // No transaction has this number yet: a crash took ours back.
            Err(failure) if failure::sqlstate(&failure) == Some("22023") => Fate::Aborted,
            Err(failure) => return Err(failure),
        };
        match fate {
            // Its session died in the crash: another transaction has the number, so that ours
            // cannot have been committed.
            Fate::Open if crashed => Ok(Fate::Aborted),
            Fate::Open => self.end_session_of(number).map(|()| fate),
            Fate::Committed if crashed => self.has_row_of(number, table),
            _ => Ok(fate),
        }
    }

    /// Ends the session of a transaction that did not end with its connection.
    fn end_session_of(&mut self, number: &str) -> Result<()> {
        self.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_xid = ($1::bigint % 4294967296)::text::xid AND pid <> pg_backend_pid()",
            &[Some(number)],
        )?;
        Ok(())
    }

    fn has_row_of(&mut self, number: &str, table: Option<&str>) -> Result<Fate> {
        let Some(table) = table else { return Ok(Fate::Unknown) };
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {table} t
             WHERE t.xmin = ($1::bigint % 4294967296)::text::xid)"
        );
        let rows = self.query(&sql, &[Some(number)])?;
        let found = rows.first().and_then(|row| row.get(0)) == Some("t");
        Ok(if found { Fate::Committed } else { Fate::Unknown })
    }
}

fn read_otherwise(setting: &Changed) -> Error {
    let message = "cannot trust the rows: a trigger changed the session while they were loaded";
    Error::new(ErrorKind::Unavailable, message)
        .with("setting", setting.name)
        .with("reason", setting.reason)
        .hint(
            "change the function of the trigger so that it does not change the setting, or sets it \
              back at its end: ALTER FUNCTION ... SET ...",
        )
}

fn unknown(witness: &Witness, cause: &Error) -> Error {
    let message = "cannot find out whether the rows were committed: the connection broke before \
                   the server's answer";
    let unknown = Error::new(ErrorKind::Temporary, message)
        .with("transaction", witness.number.as_deref().unwrap_or("none"))
        .with("reason", cause.message());
    cause.context_pairs().fold(unknown, |unknown, (key, value)| unknown.with(key, value)).hint(
        "run again; with `append-only` first check whether the rows are there, because the run \
         adds them again",
    )
}
