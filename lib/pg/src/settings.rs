//! Where and how to connect: the settings both connectors show, and what they resolve to.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind, Result, Secret};

use crate::ssl_mode::{SslMode, unknown_mode};
use crate::{password_file, url};

/// The connection settings of a Postgres connector.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionSettings {
    /// Host name or address of the server, or the folder of its Unix socket (starts with `/`);
    /// without it `PGHOST`, else `localhost`.
    #[schemars(extend("x-pass-env" = ["PG*"]))]
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
    /// Seconds until an attempt to connect to an address of the host is given up; default 10, or
    /// `PGCONNECT_TIMEOUT`.
    pub connect_timeout_seconds: Option<u64>,
    /// Seconds the server may stay silent, also while it works on a long query, until the
    /// connection is given up; default 3600.
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
    /// Further parameters of the first message, such as `replication`.
    pub start_up: Vec<(String, String)>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may stay silent.
    pub read_timeout: Duration,
}

impl ConnectionSettings {
    /// Fills in libpq's environment variables and password file, and the defaults.
    pub fn resolve(&self) -> Result<Config> {
        self.resolve_with(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn resolve_with(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Config> {
        if self.ssh_tunnel.as_ref().is_some_and(|tunnel| tunnel.enable) {
            return Err(Error::new(ErrorKind::Config, "cannot connect through an SSH tunnel yet")
                .with("setting", "ssh_tunnel.enable")
                .hint("open the tunnel with `ssh -L` and set `host` and `port` to its end"));
        }
        let url = match &self.sqlalchemy_url {
            Some(url) if !url.reveal().is_empty() => url::parse(url.reveal())?,
            _ => url::Parts::default(),
        };
        let home = env("HOME");
        let host = first(&[&url.host, &self.host]);
        let host = host.or_else(|| env("PGHOST")).unwrap_or_else(|| "localhost".to_owned());
        let port = match url.port.or(self.port) {
            Some(port) => port,
            None => number(env, "PGPORT")?.unwrap_or(5432),
        };
        let user = first(&[&url.user, &self.user]).or_else(|| env("PGUSER"));
        let Some(user) = user.or_else(|| env("USER")).or_else(|| env("LOGNAME")) else {
            return Err(Error::new(ErrorKind::Config, "cannot connect without a user name")
                .hint("set `user` or PGUSER"));
        };
        let database = first(&[&url.database, &self.database]);
        let database = database.or_else(|| env("PGDATABASE")).unwrap_or_else(|| user.clone());
        let password = first(&[&url.password, &self.password]);
        let password = password.or_else(|| env("PGPASSWORD").map(Secret::new));
        let password = password.or_else(|| {
            let path = env("PGPASSFILE").map(PathBuf::from);
            let path = path.or_else(|| Some(PathBuf::from(home.clone()?).join(".pgpass")))?;
            let entry =
                password_file::Wanted { host: &host, port, database: &database, user: &user };
            password_file::find(&path, &entry).map(Secret::new)
        });
        let host = match host.strip_prefix('/') {
            Some(_) => Host::Unix(PathBuf::from(host)),
            None => Host::Tcp(host),
        };
        let connect_seconds = match self.connect_timeout_seconds {
            Some(seconds) => seconds,
            None => number(env, "PGCONNECT_TIMEOUT")?.filter(|seconds| *seconds > 0).unwrap_or(10),
        };
        Ok(Config {
            ssl_mode: self.mode(&url, &host, env)?,
            ssl_root: self.root(&url, home.as_deref(), env),
            ssl_client: self.client_certificate(home.as_deref()),
            host,
            port,
            user,
            password,
            database,
            application_name: first(&[&self.application_name, &url.application_name])
                .or_else(|| env("PGAPPNAME"))
                .unwrap_or_else(program),
            start_up: Vec::new(),
            connect_timeout: Duration::from_secs(connect_seconds.max(1)),
            read_timeout: Duration::from_secs(self.read_timeout_seconds.unwrap_or(3600).max(1)),
        })
    }

    fn mode(
        &self,
        url: &url::Parts,
        host: &Host,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<SslMode> {
        if self.ssl_enable == Some(false) {
            return Ok(SslMode::Disable);
        }
        if let Some(mode) = url.ssl_mode.or(self.ssl_mode) {
            return Ok(mode);
        }
        if self.ssl_enable == Some(true) {
            return Ok(SslMode::VerifyFull);
        }
        match self.ssl {
            Some(true) => return Ok(SslMode::Require),
            Some(false) => return Ok(SslMode::Disable),
            None => {}
        }
        if let Some(word) = env("PGSSLMODE") {
            return SslMode::named(&word).ok_or_else(|| unknown_mode("PGSSLMODE", &word));
        }
        Ok(if is_local(host) { SslMode::Disable } else { SslMode::VerifyFull })
    }

    fn root(
        &self,
        url: &url::Parts,
        home: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let root = first(&[&url.ssl_root, &self.ssl_certificate_authority]);
        match root.or_else(|| env("PGSSLROOTCERT")) {
            Some(word) if word == "system" => None,
            Some(root) => Some(expand(root, home)),
            None => {
                let path = PathBuf::from(home?).join(".postgresql/root.crt");
                path.is_file().then(|| path.display().to_string())
            }
        }
    }

    fn client_certificate(&self, home: Option<&str>) -> Option<(String, Secret)> {
        if !self.ssl_client_certificate_enable {
            return None;
        }
        let certificate = first(&[&self.ssl_client_certificate]);
        let certificate = certificate.unwrap_or_else(|| "~/.postgresql/postgresql.crt".to_owned());
        let key = first(&[&self.ssl_client_private_key]);
        let key = key.as_ref().map_or("~/.postgresql/postgresql.key", Secret::reveal);
        Some((expand(certificate, home), Secret::new(expand(key.to_owned(), home))))
    }
}

/// Returns the first setting that has text: an empty one is not set, as for libpq.
fn first<T: Clone + Default + PartialEq>(settings: &[&Option<T>]) -> Option<T> {
    settings.iter().copied().flatten().find(|text| **text != T::default()).cloned()
}

/// Tells whether the server can only be on this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn number<T: std::str::FromStr>(
    env: &dyn Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<T>> {
    let Some(text) = env(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Error::new(ErrorKind::Config, "cannot use the environment variable")
            .with("variable", name)
            .hint("it must be a number")
    })
}

/// Puts the home folder in place of a leading `~/`; leaves PEM text alone.
fn expand(path: String, home: Option<&str>) -> String {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ => path,
    }
}

/// Returns the name this program was started by.
fn program() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    let name = path.as_deref().and_then(std::path::Path::file_name);
    name.map_or_else(|| "chorus".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> ConnectionSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn defaults_are_libpqs_and_safe() {
        let env = |name: &str| match name {
            "PGHOST" => Some("db.example.com".to_owned()),
            "PGPORT" => Some("6000".to_owned()),
            "PGUSER" => Some("ann".to_owned()),
            "PGPASSWORD" => Some("pw".to_owned()),
            _ => None,
        };
        let config = settings("{}").resolve_with(&env).unwrap();
        assert_eq!(config.host, Host::Tcp("db.example.com".to_owned()));
        assert_eq!((config.port, config.database.as_str()), (6000, "ann"));
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("pw"));
        assert_eq!(config.ssl_mode, SslMode::VerifyFull);
        assert!(!format!("{config:?}").contains("pw\""));
    }

    #[test]
    fn tls_modes_come_from_whoever_says_so_first() {
        let check = |json: &str, mode| {
            let config =
                settings(json).resolve_with(&|name| (name == "PGUSER").then(|| "u".into()));
            assert_eq!(config.unwrap().ssl_mode, mode, "{json}");
        };
        check(r#"{"host":"h"}"#, SslMode::VerifyFull);
        check(r#"{"host":"127.0.0.1"}"#, SslMode::Disable);
        check(r#"{"host":"/run/pg"}"#, SslMode::Disable);
        check(r#"{"host":"h","ssl":true}"#, SslMode::Require);
        check(r#"{"host":"h","ssl_enable":false,"ssl_mode":"verify-full"}"#, SslMode::Disable);
        check(r#"{"host":"localhost","ssl_enable":true}"#, SslMode::VerifyFull);
        check(r#"{"host":"h","ssl_enable":true,"ssl_mode":"verify-ca"}"#, SslMode::VerifyCa);
        check(
            r#"{"sqlalchemy_url":"postgresql+psycopg2://u:p@h/d?sslmode=require"}"#,
            SslMode::Require,
        );
    }

    #[test]
    fn urls_win_over_single_settings() {
        let json = r#"{"host":"a","database":"b","sqlalchemy_url":
            "postgresql://us%40er:p%3A%2F%40w@h:1234/d%20b"}"#;
        let config = settings(json).resolve_with(&|_| None).unwrap();
        assert_eq!(config.host, Host::Tcp("h".to_owned()));
        assert_eq!((config.port, config.user.as_str()), (1234, "us@er"));
        assert_eq!(config.database, "d b");
        assert_eq!(config.password.as_ref().map(Secret::reveal), Some("p:/@w"));
    }

    #[test]
    fn an_empty_setting_is_not_set() {
        let env = |name: &str| match name {
            "PGHOST" | "PGDATABASE" | "PGUSER" | "PGPASSWORD" => Some(name.to_owned()),
            _ => None,
        };
        let check = |json: &str| {
            let config = settings(json).resolve_with(&env).unwrap();
            assert_eq!(config.host, Host::Tcp("PGHOST".to_owned()), "{json}");
            assert_eq!((&*config.user, &*config.database), ("PGUSER", "PGDATABASE"), "{json}");
            assert_eq!(config.password.as_ref().map(Secret::reveal), Some("PGPASSWORD"), "{json}");
            assert!(!config.application_name.is_empty(), "{json}");
        };
        check(
            r#"{"host":"","user":"","password":"","database":"","sqlalchemy_url":"",
                "application_name":"","ssl_certificate_authority":""}"#,
        );
        check(r#"{"sqlalchemy_url":"postgresql://:@/?host=&user=&password=&dbname="}"#);
    }

    #[test]
    fn ssh_tunnels_are_refused() {
        let failed =
            settings(r#"{"user":"u","ssh_tunnel":{"enable":true}}"#).resolve_with(&|_| None);
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn settings_can_be_flattened_into_those_of_a_connector() {
        #[derive(Deserialize)]
        struct Outer {
            #[serde(flatten)]
            connection: ConnectionSettings,
        }
        let value: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(r#"{"port":5433,"password":"x"}"#).unwrap();
        let outer: Outer = serde_json::from_value(value.into()).unwrap();
        assert_eq!(outer.connection.port, Some(5433));
    }
}
