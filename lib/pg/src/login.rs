//! The log-in: the start-up message, and the exchange of passwords.

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::frontend;
use singer::{Error, ErrorKind, Result, ResultExt, Secret};

use crate::ident::quote_ident;
use crate::protocol::Protocol;
use crate::settings::{Config, OPTIONS};
use crate::ssl_mode::SslMode;

/// No message before the end of the log-in is larger; an answer that claims to be is not Postgres.
const HANDSHAKE_BYTES_MAX: usize = 64 << 10;

/// Connects, authenticates and waits until the server is ready.
pub(crate) fn log_in(config: &Config) -> Result<Protocol> {
    let mut protocol = Protocol::open(config)?;
    protocol.wire.message_bytes_max = HANDSHAKE_BYTES_MAX;
    let parameters = [
        ("user", config.user.as_str()),
        ("database", config.database.as_str()),
        ("application_name", config.application_name.as_str()),
        ("client_encoding", "UTF8"),
    ];
    let further = config.start_up.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    frontend::startup_message(parameters.into_iter().chain(further), &mut protocol.wire.output)
        .or_kind(ErrorKind::Config, "cannot use the user or database name")?;
    protocol.send()?;
    let mut dialogue = Dialogue { config, scram: None };
    loop {
        let (kind, range) = protocol.message()?;
        match kind {
            b'R' => {
                let payload = protocol.wire.payload(range).to_vec();
                dialogue.answer(&payload, &mut protocol)?;
            }
            b'E' => {
                let failure = protocol.report(range);
                return Err(describe(&failure, config));
            }
            b'K' => {
                let key = protocol.wire.payload(range);
                let number = |at: usize| {
                    key.get(at..at + 4)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map_or(0, i32::from_be_bytes)
                };
                protocol.backend = (number(0), number(4));
            }
            b'v' => {}
            b'Z' => {
                protocol.ready_for_query(range);
                return Ok(protocol);
            }
            _ => protocol.aside(kind, range)?,
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
    described = described
        .with("server", &config.server)
        .with("user", &config.user)
        .with("database", &config.database);
    let state = failure.context("sqlstate").unwrap_or_default();
    described = described.with("sqlstate", state);
    let options = config.start_up.iter().find(|(name, _)| name == OPTIONS);
    if let Some((_, options)) = options.filter(|_| is_of_options(state)) {
        return described
            .of_kind(ErrorKind::Config)
            .with("options", options)
            .hint("check `options` (or PGOPTIONS): write them as -c name=value");
    }
    if let Some(grant) = to_connect(failure, config) {
        return described.hint(format!("run: {grant}"));
    }
    match crate::failure::hint_of(state) {
        Some(hint) => described.hint(hint),
        None => described,
    }
}

/// Returns what lets the user connect, where the server misses the right to. Its name is the same
/// in every language of the server.
fn to_connect(failure: &Error, config: &Config) -> Option<String> {
    let misses = failure.context("sqlstate") == Some("42501")
        && failure.context("detail").is_some_and(|detail| detail.contains("CONNECT"));
    let (database, user) = (quote_ident(&config.database).ok()?, quote_ident(&config.user).ok()?);
    misses.then(|| format!("GRANT CONNECT ON DATABASE {database} TO {user}"))
}

/// Tells whether the server refused a setting of the session, which it does not know, or which no
/// session may set or not to this value; or a pooler that takes no options at all.
fn is_of_options(sqlstate: &str) -> bool {
    ["42704", "42601", "22023", "55P02", "08P01"].contains(&sqlstate)
}

/// The exchange of passwords.
struct Dialogue<'a> {
    config: &'a Config,
    scram: Option<(sasl::ScramSha256, bool)>,
}

impl Dialogue<'_> {
    /// Answers an authentication request.
    fn answer(&mut self, payload: &[u8], protocol: &mut Protocol) -> Result<()> {
        let Some((code, rest)) = payload.split_first_chunk::<4>() else {
            return Err(protocol.wire.garbled());
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
                check_private(protocol)?;
                self.warn_of_stranger(protocol, "in clear text");
                let password = self.password()?;
                send_password(password.reveal().as_bytes(), &mut protocol.wire.output)?;
            }
            5 => {
                check_private(protocol)?;
                self.warn_of_stranger(protocol, "as an md5 sum");
                let Some(salt) = rest.first_chunk::<4>() else {
                    return Err(protocol.wire.garbled());
                };
                let password = self.password()?.reveal().as_bytes();
                let hash = md5_hash(self.config.user.as_bytes(), password, *salt);
                send_password(hash.as_bytes(), &mut protocol.wire.output)?;
            }
            10 => self.begin_scram(rest, &mut protocol.wire.output)?,
            11 | 12 => self.go_on(code == 12, rest, &mut protocol.wire.output)?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Denied,
                    "cannot log in by the method the server asks for",
                )
                .with("method", code)
                .hint("supported are trust, password, md5, scram-sha-256 and cert"));
            }
        }
        if protocol.wire.output.is_empty() { Ok(()) } else { protocol.send() }
    }

    /// Says that the password, or what it is easily guessed from, goes to a server that may be
    /// anybody: the connection is encrypted, and nobody has checked who is at its other end.
    fn warn_of_stranger(&self, protocol: &Protocol, form: &str) {
        let checked =
            matches!(self.config.server.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull);
        if !checked && protocol.wire.has_tls() {
            singer::warn!(
                "W-PASSWORD-UNCHECKED-SERVER",
                "the server asks for the password {form}, but its identity was not checked: set \
                 `ssl_mode: verify-full`, or use scram-sha-256 for the role"
            );
        }
    }

    fn password(&self) -> Result<&Secret> {
        self.config.server.password.as_ref().ok_or_else(|| {
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
            .hint("the only supported SASL mechanism is SCRAM-SHA-256"));
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
fn check_private(protocol: &Protocol) -> Result<()> {
    if protocol.wire.is_private() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Denied, "cannot send the password over a connection without TLS")
        .hint("use TLS (`ssl_mode`), or scram-sha-256 for the role at the server"))
}
