//! Where and how to connect: the settings both connectors show, and what they resolve to.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind, Result, Secret};

use crate::{password_file, url};

/// The connection settings of a Postgres connector.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionSettings {
    /// Host name or address of the server, or the folder of its Unix socket (starts with `/`);
    /// without it `PGHOST`, else `localhost`.
    pub host: Option<String>,
    /// Port of the server; without it `PGPORT`, else 5432.
    pub port: Option<u16>,
    /// User name; without it `PGUSER`, else the name of the system user.
    pub user: Option<String>,
    /// Password; without it `PGPASSWORD`, else the password file (`PGPASSFILE`, `~/.pgpass`).
    pub password: Option<Secret>,
    /// Name of the database; without it `PGDATABASE`, else the user name.
    #[schemars(extend("x-aliases" = ["dbname"]))]
    pub database: Option<String>,
    /// The whole connection as `postgresql://user:password@host:port/database?sslmode=...`; its
    /// parts win over the settings above.
    pub sqlalchemy_url: Option<Secret>,
    /// Whether to use TLS: with `true` the default mode is `verify-full`, with `false` there is
    /// no TLS; without it `ssl_mode` decides.
    pub ssl_enable: Option<bool>,
    /// How TLS is used; without it `PGSSLMODE`, else `verify-full` for hosts that are not local
    /// and `disable` for local ones.
    pub ssl_mode: Option<SslMode>,
    /// Certificate authority that signed the server's certificate: a path or PEM text; without
    /// it `PGSSLROOTCERT`, else the authorities this system trusts.
    pub ssl_certificate_authority: Option<String>,
    /// Whether to show a client certificate to the server.
    pub ssl_client_certificate_enable: bool,
    /// Client certificate: a path or PEM text; default `~/.postgresql/postgresql.crt`.
    pub ssl_client_certificate: Option<String>,
    /// Private key of the client certificate, not encrypted: a path or PEM text; default
    /// `~/.postgresql/postgresql.key`.
    pub ssl_client_private_key: Option<Secret>,
    /// Accepted for compatibility and not used: keys are never written to disk.
    pub ssl_storage_directory: Option<String>,
    /// Short form of `ssl_mode`: `true` means `require`.
    pub ssl: Option<bool>,
    /// Name shown in `pg_stat_activity`; without it `PGAPPNAME`, else the connector's name.
    pub application_name: Option<String>,
    /// Seconds until an attempt to connect is given up; default 10, or `PGCONNECT_TIMEOUT`.
    pub connect_timeout_seconds: Option<u64>,
    /// Seconds the server may stay silent, also while it works on a long query, until the
    /// connection is given up; default 600.
    pub read_timeout_seconds: Option<u64>,
    /// Accepted for compatibility: enabling it is refused, as SSH tunnels are not supported yet.
    pub ssh_tunnel: Option<SshTunnel>,
}

/// The setting `ssh_tunnel`, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SshTunnel {
    /// Whether to connect through an SSH tunnel; not supported yet.
    pub enable: bool,
}

/// How TLS is used, in libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// No TLS (libpq would fall back to it only if the server insists; we do not try twice).
    Allow,
    /// TLS where the server has it, else none; the certificate is not checked.
    Prefer,
    /// TLS; the certificate is not checked.
    Require,
    /// TLS; the certificate must be signed by a trusted authority, for any name.
    VerifyCa,
    /// TLS; the certificate must be signed by a trusted authority and name the host.
    VerifyFull,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A host name or address.
    Tcp(String),
    /// The folder of a Unix socket.
    Unix(PathBuf),
}

/// A connection, resolved: nothing of it is optional any more.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the server listens.
    pub host: Host,
    /// Its port, also part of the name of a Unix socket.
    pub port: u16,
    /// The user name.
    pub user: String,
    /// The password, if one was found.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How TLS is used.
    pub ssl_mode: SslMode,
    /// Path or PEM text of the certificate authority.
    pub ssl_root: Option<String>,
    /// Path or PEM text of the client certificate and of its key.
    pub ssl_client: Option<(String, Secret)>,
    /// The name shown in `pg_stat_activity`.
    pub application_name: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may stay silent.
    pub read_timeout: Duration,
}

impl ConnectionSettings {
    /// Fills in libpq's environment variables and password file, and the defaults.
    pub fn resolve(&self) -> Result<Config> {
        let _ = (url::parse as fn(_) -> _, password_file::find as fn(_, _, _, _) -> _);
        Err(Error::new(ErrorKind::Internal, "cannot resolve the connection"))
    }
}
