//! Connecting: one server after the other, until one will do.

use singer::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::session_attributes::SessionAttributes;
use crate::settings::Config;

/// Why a server was skipped.
const REASON: &str = "reason";

impl Client {
    /// Connects to the first server of the configuration that can be reached and is what
    /// `target_session_attrs` wants. What a server refuses for good, such as a password, is not
    /// tried at the next one, as by libpq.
    ///
    /// What the client connects to later, to cancel a statement or to ask what became of a COMMIT,
    /// is the same server.
    pub fn connect(config: &Config) -> Result<Self> {
        let mut passed_over: Vec<(String, Error)> = Vec::new();
        for wanted in config.session_attributes.rounds() {
            for one in config.each() {
                match Self::attempt(&one, *wanted) {
                    Ok(client) => {
                        if !passed_over.is_empty() {
                            tracing::info!("connected to {}", one.server);
                        }
                        return Ok(client);
                    }
                    Err(failure) if is_of_server(&failure) => {
                        let server = one.server.to_string();
                        passed_over.retain(|(known, _)| *known != server);
                        passed_over.push((server, failure));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        Err(none_of(passed_over))
    }

    /// Connects to the only server of a configuration.
    fn attempt(config: &Config, wanted: SessionAttributes) -> Result<Self> {
        let mut client = Self::connect_to(config)?;
        if wanted == SessionAttributes::Any {
            return Ok(client);
        }
        let rows = client.query(
            "SELECT pg_catalog.pg_is_in_recovery(), \
                    pg_catalog.current_setting('transaction_read_only')",
            &[],
        )?;
        let answer = |column| rows.first().and_then(|row| row.get(column));
        match wanted.misfit(answer(0) == Some("t"), answer(1) == Some("on")) {
            None => Ok(client),
            Some(reason) => Err(Error::new(ErrorKind::Unavailable, "cannot use the server")
                .with("server", &config.server)
                .with(REASON, reason)
                .hint("check `target_session_attrs`; `host` may name several servers")),
        }
    }
}

/// Tells whether another server may do.
fn is_of_server(failure: &Error) -> bool {
    failure.kind() == ErrorKind::Temporary || failure.context(REASON).is_some()
}

/// Makes the failure of all servers.
fn none_of(mut passed_over: Vec<(String, Error)>) -> Error {
    let temporary = passed_over.iter().any(|(_, one)| one.kind() == ErrorKind::Temporary);
    let kind = if temporary { ErrorKind::Temporary } else { ErrorKind::Unavailable };
    if passed_over.len() == 1
        && let Some((_, failure)) = passed_over.pop()
    {
        return failure;
    }
    let all = Error::new(kind, "cannot connect to any of the Postgres servers");
    let all = passed_over.iter().fold(all, |all, (server, failure)| {
        let said = || failure.context(REASON).or_else(|| failure.context("server_message"));
        let why = failure.cause().or_else(|| said().map(str::to_owned));
        all.with("server", format!("{server}: {}", why.as_deref().unwrap_or(failure.message())))
    });
    all.hint("check `host`, `port` and `target_session_attrs`, and that the servers run")
}
