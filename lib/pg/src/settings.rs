//! Where and how to connect: the settings both connectors show, and what they resolve to.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind, Result, Secret};

use crate::servers::{self, Host, Server};
use crate::session_attributes::SessionAttributes;
use crate::ssl_mode::{SslMode, unknown_mode};
use crate::{options, password_file, url};

/// Reads a variable of the environment.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The connection settings of a Postgres connector.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionSettings {
    /// Host name or address of the server, or the folder of its Unix socket (starts with `/`). By
    /// default `PGHOST`, else `localhost`. A port may follow the host (`db:5433`). Several hosts,
    /// separated by commas (`db1:5432,db2`), are tried in this order.
    #[schemars(extend("x-pass-env" = ["PG*"]))]
    pub host: Option<String>,
    /// Port of the servers for which `host` has no port. By default `PGPORT`, else 5432.
    pub port: Option<u16>,
    /// User name. By default `PGUSER`, else the name of the system user.
    pub user: Option<String>,
    /// Password. By default `PGPASSWORD`, else the password in the password file (`PGPASSFILE`,
    /// `~/.pgpass`).
    pub password: Option<Secret>,
    /// Name of the database. By default `PGDATABASE`, else the user name.
    #[schemars(extend("x-aliases" = ["dbname"]))]
    pub database: Option<String>,
    /// The whole connection as `postgresql://user:password@host:port/database?sslmode=...`. Its
    /// parts win over the other settings. It may name several servers (`host1:5432,host2:5433`).
    pub sqlalchemy_url: Option<Secret>,
    /// Which of several servers to use, in the words of libpq: the first that can be reached
    /// (`any`), accepts writes (`read-write`), refuses writes (`read-only`), is a primary
    /// (`primary`) or is a standby (`standby`). `prefer-standby` uses a standby if there is one. By
    /// default `PGTARGETSESSIONATTRS`, else `any`.
    pub target_session_attrs: Option<SessionAttributes>,
    /// Settings of the server for the session, as `-c name=value -c name=value`. By default
    /// `PGOPTIONS`. The connector sets those that decide how values are read and written, whatever
    /// is set here.
    pub options: Option<String>,
    /// Uses TLS: `true` changes the default of `ssl_mode` to `verify-full`, `false` switches TLS
    /// off. By default `ssl_mode` decides.
    pub ssl_enable: Option<bool>,
    /// How TLS is used. By default `PGSSLMODE`, else `disable` for local hosts and `verify-full`
    /// for others.
    pub ssl_mode: Option<SslMode>,
    /// Certificate authority that signed the server's certificate, as a path or PEM text. By
    /// default `PGSSLROOTCERT`, else the authorities that this system trusts.
    pub ssl_certificate_authority: Option<String>,
    /// Sends a client certificate to the server.
    pub ssl_client_certificate_enable: bool,
    /// Client certificate, as a path or PEM text. By default `~/.postgresql/postgresql.crt`.
    pub ssl_client_certificate: Option<String>,
    /// Private key of the client certificate, as a path or PEM text. It must not be encrypted. By
    /// default `~/.postgresql/postgresql.key`.
    pub ssl_client_private_key: Option<Secret>,
    /// Accepted for compatibility and not used: keys are never written to disk.
    pub ssl_storage_directory: Option<String>,
    /// Short form of `ssl_mode`: `true` means `require`, `false` means `disable`.
    pub ssl: Option<bool>,
    /// Name shown in `pg_stat_activity`. By default `PGAPPNAME`, else the name of the connector.
    pub application_name: Option<String>,
    /// Seconds that connecting to one address of a host may take. By default, or with 0,
    /// `PGCONNECT_TIMEOUT`, else 10.
    #[schemars(extend("x-aliases" = ["connect_timeout"]))]
    pub connect_timeout_seconds: Option<u64>,
    /// Seconds that the server may be silent, also while it works on a long query. Then the
    /// connector gives the connection up. By default 3600.
    pub read_timeout_seconds: Option<u64>,
    /// Accepted for compatibility. SSH tunnels are not supported yet, so `enable: true` ends the
    /// run.
    pub ssh_tunnel: Option<SshTunnel>,
}

/// The setting `ssh_tunnel`, as far as it is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SshTunnel {
    /// Connects through an SSH tunnel. Not supported yet.
    pub enable: bool,
}

/// A connection with all values filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server to try first.
    pub server: Server,
    /// The servers to try when the first cannot be reached or does not fit.
    pub others: Vec<Server>,
    /// What the server must be.
    pub session_attributes: SessionAttributes,
    /// The user name.
    pub user: String,
    /// The database.
    pub database: String,
    /// Path or PEM text of the certificate authority.
    pub ssl_root: Option<String>,
    /// Path or PEM text of the client certificate and of its key.
    pub ssl_client: Option<(String, Secret)>,
    /// The name shown in `pg_stat_activity`.
    pub application_name: String,
    /// Further parameters of the first message, such as `options`.
    pub start_up: Vec<(String, String)>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may stay silent.
    pub read_timeout: Duration,
}

/// The parameter of the first message that has settings of the session.
pub(crate) const OPTIONS: &str = "options";

impl Config {
    /// Returns a configuration for each server, which has no other one.
    pub(crate) fn each(&self) -> impl Iterator<Item = Self> {
        let servers = std::iter::once(&self.server).chain(&self.others);
        servers.map(|server| Self {
            server: server.clone(),
            others: Vec::new(),
            session_attributes: SessionAttributes::Any,
            ..self.clone()
        })
    }
}

impl ConnectionSettings {
    /// Fills in libpq's environment variables and password file, and the defaults.
    pub fn resolve(&self) -> Result<Config> {
        self.resolve_with(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn resolve_with(&self, env: Env<'_>) -> Result<Config> {
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
        let user = first(&[&url.user, &self.user]).or_else(|| env("PGUSER"));
        let Some(user) = user.or_else(|| env("USER")).or_else(|| env("LOGNAME")) else {
            return Err(Error::new(ErrorKind::Config, "cannot connect without a user name")
                .hint("set `user` or PGUSER"));
        };
        let database = first(&[&url.database, &self.database]);
        let database = database.or_else(|| env("PGDATABASE")).unwrap_or_else(|| user.clone());
        let mut servers = self.servers(&url, (&user, &database), env)?.into_iter();
        let Some(server) = servers.next() else {
            return Err(Error::new(ErrorKind::Internal, "cannot connect without a server"));
        };
        Ok(Config {
            server,
            others: servers.collect(),
            session_attributes: self.session_attributes(&url, env)?,
            ssl_root: self.root(&url, home.as_deref(), env),
            ssl_client: self.client_certificate(home.as_deref()),
            user,
            database,
            application_name: first(&[&self.application_name, &url.application_name])
                .or_else(|| env("PGAPPNAME"))
                .unwrap_or_else(program),
            start_up: self.start_up(&url, env),
            connect_timeout: self.connect_timeout(&url, env)?,
            read_timeout: Duration::from_secs(self.read_timeout_seconds.unwrap_or(3600).max(1)),
        })
    }

    /// Lists the servers to try.
    fn servers(
        &self,
        url: &url::Parts,
        (user, database): (&str, &str),
        env: Env<'_>,
    ) -> Result<Vec<Server>> {
        let mut places = url.places.clone();
        if places.is_empty() {
            places = servers::places(self.host.as_deref().unwrap_or_default(), "host")?;
        }
        if places.is_empty() {
            let list = env("PGHOST").unwrap_or_else(|| "localhost".to_owned());
            places = servers::places(&list, "PGHOST")?;
        }
        let (ports, setting) = match self.port {
            _ if !url.ports.is_empty() => (url.ports.clone(), url::SETTING),
            Some(port) => (vec![Some(port)], "port"),
            None => (servers::ports(&env("PGPORT").unwrap_or_default(), "PGPORT")?, "PGPORT"),
        };
        let password = first(&[&url.password, &self.password]);
        let password = password.or_else(|| env("PGPASSWORD").map(Secret::new));
        let path = env("PGPASSFILE").map(PathBuf::from);
        let path = path.or_else(|| Some(PathBuf::from(env("HOME")?).join(".pgpass")));
        let server = |(host, port): (String, u16)| -> Result<Server> {
            let of_file = |path| {
                let wanted = password_file::Wanted { host: &host, port, database, user };
                password_file::find(path, &wanted).map(Secret::new)
            };
            let password = password.clone().or_else(|| of_file(path.as_deref()?));
            let host = Host::of(host);
            let ssl_mode = self.mode(url, &host, env)?;
            Ok(Server { host, port, password, ssl_mode })
        };
        servers::with_ports(places, &ports, setting)?.into_iter().map(server).collect()
    }

    fn session_attributes(&self, url: &url::Parts, env: Env<'_>) -> Result<SessionAttributes> {
        if let Some(attributes) = url.session_attributes.or(self.target_session_attrs) {
            return Ok(attributes);
        }
        let variable = "PGTARGETSESSIONATTRS";
        let word = env(variable).map(|word| SessionAttributes::named(&word, variable));
        Ok(word.transpose()?.unwrap_or_default())
    }

    fn start_up(&self, url: &url::Parts, env: Env<'_>) -> Vec<(String, String)> {
        let options = first(&[&url.options, &self.options]).or_else(|| env("PGOPTIONS"));
        if let Some(options) = &options {
            options::warn_of_pinned(options);
        }
        options.into_iter().map(|options| (OPTIONS.to_owned(), options)).collect()
    }

    fn connect_timeout(&self, url: &url::Parts, env: Env<'_>) -> Result<Duration> {
        const DEFAULT: u64 = 10;
        let seconds = url.connect_timeout.or(self.connect_timeout_seconds);
        let seconds = match seconds.filter(|seconds| *seconds > 0) {
            Some(seconds) => Some(seconds),
            None => number(env, "PGCONNECT_TIMEOUT")?,
        };
        let seconds = seconds.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT);
        Ok(Duration::from_secs(seconds))
    }

    fn mode(&self, url: &url::Parts, host: &Host, env: Env<'_>) -> Result<SslMode> {
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
        Ok(if host.is_local() { SslMode::Disable } else { SslMode::VerifyFull })
    }

    fn root(&self, url: &url::Parts, home: Option<&str>, env: Env<'_>) -> Option<String> {
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

fn number<T: std::str::FromStr>(env: Env<'_>, name: &str) -> Result<Option<T>> {
    let Some(text) = env(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Error::new(ErrorKind::Config, "cannot use the environment variable")
            .with("variable", name)
            .hint("the variable must be a number")
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
        assert_eq!(config.server.host, Host::Tcp("db.example.com".to_owned()));
        assert_eq!((config.server.port, config.database.as_str()), (6000, "ann"));
        assert_eq!(config.server.password.as_ref().map(Secret::reveal), Some("pw"));
        assert_eq!(config.server.ssl_mode, SslMode::VerifyFull);
        assert!(!format!("{config:?}").contains("pw\""));
    }

    #[test]
    fn tls_modes_come_from_whoever_says_so_first() {
        let check = |json: &str, mode| {
            let config =
                settings(json).resolve_with(&|name| (name == "PGUSER").then(|| "u".into()));
            assert_eq!(config.unwrap().server.ssl_mode, mode, "{json}");
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
        assert_eq!(config.server.host, Host::Tcp("h".to_owned()));
        assert_eq!((config.server.port, config.user.as_str()), (1234, "us@er"));
        assert_eq!(config.database, "d b");
        assert_eq!(config.server.password.as_ref().map(Secret::reveal), Some("p:/@w"));
    }

    #[test]
    fn an_empty_setting_is_not_set() {
        let env = |name: &str| match name {
            "PGHOST" | "PGDATABASE" | "PGUSER" | "PGPASSWORD" => Some(name.to_owned()),
            _ => None,
        };
        let check = |json: &str| {
            let config = settings(json).resolve_with(&env).unwrap();
            assert_eq!(config.server.host, Host::Tcp("PGHOST".to_owned()), "{json}");
            assert_eq!((&*config.user, &*config.database), ("PGUSER", "PGDATABASE"), "{json}");
            assert_eq!(
                config.server.password.as_ref().map(Secret::reveal),
                Some("PGPASSWORD"),
                "{json}"
            );
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
