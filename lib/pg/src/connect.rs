//! The start of a connection: TLS, passwords, and the request to cancel.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;
use singer::{Error, ErrorKind, Result, ResultExt, Secret};

use crate::client::Client;
use crate::settings::{Config, Host, SslMode};
use crate::wire::Wire;

/// No message before the end of the log-in is larger; an answer that claims to be is not Postgres.
const HANDSHAKE_BYTES_MAX: usize = 64 << 10;

/// Opens the connection and agrees on TLS.
pub(crate) fn open(config: &Config, timeout: Duration) -> Result<Wire> {
    let mut wire = match &config.host {
        Host::Tcp(host) => Wire::tcp(host, config.port, timeout)?,
        Host::Unix(folder) => return Wire::unix(folder, config.port, timeout),
    };
    if matches!(config.ssl_mode, SslMode::Disable | SslMode::Allow) {
        return Ok(wire);
    }
    frontend::ssl_request(&mut wire.output);
    wire.flush()?;
    match wire.answer()? {
        b'S' => wire.start_tls(crate::tls::session(config)?)?,
        b'N' if config.ssl_mode == SslMode::Prefer => {}
        b'N' => {
            return Err(Error::new(
                ErrorKind::Denied,
                "cannot use TLS: the server does not offer it",
            )
            .hint(
                "switch TLS on at the server or, knowing that anybody in between can then \
                     read and change all, set `ssl_mode: disable`",
            ));
        }
        _ => return Err(wire.garbled()),
    }
    if config.ssl_mode == SslMode::Require {
        singer::warn!(
            "W-TLS-UNVERIFIED",
            "ssl_mode is require: the connection is encrypted, but nobody checks who is at the \
             other end; verify-full does"
        );
    }
    Ok(wire)
}

/// Asks the server to cancel what the connection runs.
pub(crate) fn cancel(config: &Config, backend: (i32, i32)) -> Result<()> {
    let mut wire = open(config, Duration::from_secs(5))?;
    frontend::cancel_request(backend.0, backend.1, &mut wire.output);
    wire.flush()?;
    // The server closes the connection once the request is on its way.
    let _ = wire.answer();
    Ok(())
}

/// Authenticates and waits until the server is ready.
pub(crate) fn log_in(client: &mut Client) -> Result<()> {
    client.wire.message_bytes_max = HANDSHAKE_BYTES_MAX;
    let config = client.config.clone();
    let parameters = [
        ("user", config.user.as_str()),
        ("database", config.database.as_str()),
        ("application_name", config.application_name.as_str()),
        ("client_encoding", "UTF8"),
    ];
    let further = config.start_up.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    frontend::startup_message(parameters.into_iter().chain(further), &mut client.wire.output)
        .or_kind(ErrorKind::Config, "cannot use the user or database name")?;
    client.send()?;
    let mut dialogue = Dialogue { config: &config, scram: None };
    loop {
        let (kind, range) = client.message()?;
        match kind {
            b'R' => {
                let payload = client.wire.payload(range).to_vec();
                dialogue.answer(&payload, client)?;
            }
            b'E' => {
                let failure = client.report(range);
                return Err(describe(&failure, &config));
            }
            b'K' => {
                let key = client.wire.payload(range);
                let number = |at: usize| {
                    key.get(at..at + 4)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map_or(0, i32::from_be_bytes)
                };
                client.backend = (number(0), number(4));
            }
            b'v' => {}
            b'Z' => {
                client.ready_for_query(range);
                return Ok(());
            }
            _ => client.aside(kind, range)?,
        }
    }
}

/// Says who wanted to connect to what.
fn describe(failure: &Error, config: &Config) -> Error {
    let kind = failure.kind();
    let mut described = Error::new(kind, "cannot log in to the Postgres server");
    if let Some(text) = failure.context("server_message") {
        described = described.with("server_message", text);
    }
    let host = match &config.host {
        Host::Tcp(host) => format!("{host}:{}", config.port),
        Host::Unix(folder) => {
            folder.join(format!(".s.PGSQL.{}", config.port)).display().to_string()
        }
    };
    described = described
        .with("server", host)
        .with("user", &config.user)
        .with("database", &config.database);
    let state = failure.context("sqlstate").unwrap_or_default();
    described = described.with("sqlstate", state);
    match crate::failure::hint_of(state) {
        Some(hint) => described.hint(hint),
        None => described,
    }
}

/// The exchange of passwords.
struct Dialogue<'a> {
    config: &'a Config,
    scram: Option<(sasl::ScramSha256, bool)>,
}

impl Dialogue<'_> {
    /// Answers an authentication request.
    fn answer(&mut self, payload: &[u8], client: &mut Client) -> Result<()> {
        let Some((code, rest)) = payload.split_first_chunk::<4>() else {
            return Err(client.wire.garbled());
        };
        let code = i32::from_be_bytes(*code);
        match code {
            0 => {
                if self.scram.as_ref().is_some_and(|(_, proven)| !proven) {
                    return Err(Error::new(
                        ErrorKind::Denied,
                        "cannot trust the server: it did not prove that it knows the password",
                    ));
                }
                return Ok(());
            }
            3 => {
                check_private(client)?;
                self.warn_of_stranger(client, "in clear text");
                let password = self.password()?;
                send_password(password.reveal().as_bytes(), &mut client.wire.output)?;
            }
            5 => {
                check_private(client)?;
                self.warn_of_stranger(client, "as an md5 sum");
                let Some(salt) = rest.first_chunk::<4>() else {
                    return Err(client.wire.garbled());
                };
                let password = self.password()?.reveal().as_bytes();
                let hash = md5_hash(self.config.user.as_bytes(), password, *salt);
                send_password(hash.as_bytes(), &mut client.wire.output)?;
            }
            10 => self.begin_scram(rest, &mut client.wire.output)?,
            11 | 12 => self.go_on(code == 12, rest, &mut client.wire.output)?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Denied,
                    "cannot log in by the method the server asks for",
                )
                .with("method", code)
                .hint("supported are trust, password, md5, scram-sha-256 and cert"));
            }
        }
        if client.wire.output.is_empty() { Ok(()) } else { client.send() }
    }

    /// Says that the password, or what it is easily guessed from, goes to a server that may be
    /// anybody: the connection is encrypted, and nobody has checked who is at its other end.
    fn warn_of_stranger(&self, client: &Client, form: &str) {
        let checked = matches!(self.config.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull);
        if !checked && client.wire.has_tls() {
            singer::warn!(
                "W-PASSWORD-UNCHECKED-SERVER",
                "the server asks for the password {form}, and nobody has checked that it is the \
                 server you mean: set `ssl_mode: verify-full`, or use scram-sha-256 for the role"
            );
        }
    }

    fn password(&self) -> Result<&Secret> {
        self.config.password.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Denied, "cannot log in without a password")
                .with("user", &self.config.user)
                .with("database", &self.config.database)
                .hint("set `password`, PGPASSWORD, or a line in ~/.pgpass")
        })
    }

    fn begin_scram(&mut self, mechanisms: &[u8], out: &mut BytesMut) -> Result<()> {
        if !mechanisms.split(|byte| *byte == 0).any(|name| name == b"SCRAM-SHA-256") {
            return Err(Error::new(
                ErrorKind::Denied,
                "cannot log in by the method the server asks for",
            )
            .hint("of the SASL mechanisms, SCRAM-SHA-256 is supported"));
        }
        let password = self.password()?.reveal().as_bytes();
        let scram = sasl::ScramSha256::new(password, sasl::ChannelBinding::unsupported());
        frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), out)
            .or_kind(ErrorKind::Internal, "cannot log in")?;
        self.scram = Some((scram, false));
        Ok(())
    }

    fn go_on(&mut self, last: bool, data: &[u8], out: &mut BytesMut) -> Result<()> {
        const REFUSED: &str = "cannot log in: the server's part of the password check is wrong";
        let Some((scram, proven)) = &mut self.scram else {
            return Err(Error::new(ErrorKind::Denied, REFUSED));
        };
        if last {
            scram.finish(data).or_kind(ErrorKind::Denied, REFUSED)?;
            *proven = true;
            return Ok(());
        }
        scram.update(data).or_kind(ErrorKind::Denied, REFUSED)?;
        frontend::sasl_response(scram.message(), out).or_kind(ErrorKind::Internal, "cannot log in")
    }
}

fn send_password(password: &[u8], out: &mut BytesMut) -> Result<()> {
    frontend::password_message(password, out)
        .or_kind(ErrorKind::Config, "cannot send a password with U+0000")
}

/// Refuses to show a password, or what it is easily guessed from, to anybody on the way.
fn check_private(client: &Client) -> Result<()> {
    if client.wire.is_private() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, "cannot send the password over a connection without TLS")
        .hint("use TLS (`ssl_mode`), or scram-sha-256 for the role at the server"))
}
