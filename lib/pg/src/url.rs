//! Connection URLs: `postgresql[+driver]://user:password@host:port/database?sslmode=...` (pure).

use singer::{Error, ErrorKind, Result, Secret};

use crate::servers::{self, Place};
use crate::session_attributes::SessionAttributes;
use crate::ssl_mode::{SslMode, unknown_mode};

/// The setting that has the URL.
pub(crate) const SETTING: &str = "sqlalchemy_url";

/// What a URL says.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The servers; the parameter `host` takes their place.
    pub places: Vec<Place>,
    /// The ports of the parameter `port`.
    pub ports: Vec<Option<u16>>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<String>,
    pub ssl_mode: Option<SslMode>,
    pub ssl_root: Option<String>,
    pub application_name: Option<String>,
    pub session_attributes: Option<SessionAttributes>,
    pub options: Option<String>,
    pub connect_timeout: Option<u64>,
}

/// Reads a URL; no part of it is shown in a failure, as it holds the password.
pub(crate) fn parse(url: &str) -> Result<Parts> {
    let mut parts = Parts::default();
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return Err(refused("it has no `://`"));
    };
    if !matches!(scheme.split('+').next(), Some("postgresql" | "postgres")) {
        return Err(refused("it must start with `postgresql://`"));
    }
    let (rest, query) = match query_start(rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (rest, ""),
    };
    // The last `@` before the path: a password may hold others.
    let (authority, database) = match rest.rfind('@') {
        Some(at) => match rest[at..].find('/') {
            Some(slash) => (&rest[..at + slash], &rest[at + slash + 1..]),
            None => (rest, ""),
        },
        None => rest.split_once('/').unwrap_or((rest, "")),
    };
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    parts.user = some(user)?;
    parts.password = password.map(decode).transpose()?.map(Secret::new);
    parts.database = some(database)?;
    parts.places = servers::places(address, SETTING)?;
    for place in &mut parts.places {
        place.host = decode(&place.host)?;
    }
    let mut has_host = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name == "host" && !std::mem::replace(&mut has_host, true) {
            parts.places.clear();
        }
        if !parts.set(name, decode(value)?)? {
            // What looks like parameters may be the end of a password.
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if !is_name || query.contains('@') {
                return Err(refused("a part after its `?` is not a parameter"));
            }
            singer::warn!("W-URL-PARAMETER", "the connection URL's parameter {name:?} is not used");
        }
    }
    Ok(parts)
}

/// Finds the `?` before the parameters: a password may hold others.
fn query_start(text: &str) -> Option<usize> {
    let mut marks = text.match_indices('?').map(|(at, _)| at);
    marks.find(|at| text[..*at].contains(['@', '/']) || !text[*at..].contains('@'))
}

impl Parts {
    /// Sets a parameter; tells whether it is one that is used.
    fn set(&mut self, name: &str, value: String) -> Result<bool> {
        match name {
            // Some write each server as a parameter of its own.
            "host" => self.places.extend(servers::places(&value, SETTING)?),
            "port" => self.ports.extend(servers::ports(&value, SETTING)?),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = Some(value),
            "sslmode" => {
                let mode = SslMode::named(&value);
                self.ssl_mode = Some(mode.ok_or_else(|| unknown_mode("sslmode", &value))?);
            }
            "sslrootcert" => self.ssl_root = Some(value),
            "application_name" => self.application_name = Some(value),
            "target_session_attrs" => {
                self.session_attributes = Some(SessionAttributes::named(&value, name)?);
            }
            "options" => self.options = Some(value),
            "connect_timeout" => {
                let seconds: i64 =
                    value.parse().map_err(|_| refused("its connect_timeout is not a number"))?;
                // For libpq there is no limit below 1.
                self.connect_timeout = u64::try_from(seconds).ok();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn some(text: &str) -> Result<Option<String>> {
    if text.is_empty() { Ok(None) } else { decode(text).map(Some) }
}

/// Decodes `%41`.
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.ok_or_else(|| refused("a `%` in it is not followed by two hex digits"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8"))
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot read the connection URL")
        .with("setting", SETTING)
        .with("reason", reason)
        .hint("write it as postgresql://user:password@host:port/database, other characters as %XX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_people_write() {
        let check = |url: &str, expected: [Option<&str>; 4], port: Option<u16>| {
            let parts = parse(url).unwrap();
            let password = parts.password.as_ref().map(|secret| secret.reveal().to_owned());
            assert!(parts.places.len() <= 1, "{url}");
            let place = parts.places.first().cloned();
            let host = place.as_ref().map(|place| place.host.clone());
            let seen = [parts.user, password, host, parts.database];
            assert_eq!(seen, expected.map(|text| text.map(str::to_owned)), "{url}");
            assert_eq!(place.and_then(|place| place.port), port, "{url}");
        };
        check("postgres://h", [None, None, Some("h"), None], None);
        check("postgresql+psycopg2://u:p@h:1/d", ["u", "p", "h", "d"].map(Some), Some(1));
        check("postgresql://u:p@ss@h/d", ["u", "p@ss", "h", "d"].map(Some), None);
        check("postgresql://u@[::1]:5/d", [Some("u"), None, Some("::1"), Some("d")], Some(5));
        check(
            "postgresql:///d?host=/run/pg&user=u",
            [Some("u"), None, Some("/run/pg"), Some("d")],
            None,
        );
        check("postgresql://u:%20%C3%A9@h/d", ["u", " é", "h", "d"].map(Some), None);
        check("postgresql://u:p?w@h/d?sslmode=require", ["u", "p?w", "h", "d"].map(Some), None);
        check("postgresql://u:p?a=b/c@h", [Some("u"), Some("p?a=b/c"), Some("h"), None], None);
        check("postgresql://h/d?user=u@s", [Some("u@s"), None, Some("h"), Some("d")], None);
        check(
            "postgresql://h?user=u&fallback_application_name=a",
            [Some("u"), None, Some("h"), None],
            None,
        );
    }

    #[test]
    fn a_url_may_name_several_servers() {
        let check = |url: &str, expected: &str, ports: &[Option<u16>]| {
            let parts = parse(url).unwrap();
            let places = parts.places.iter();
            let places = places.map(|place| format!("{} {:?}", place.host, place.port));
            assert_eq!(places.collect::<Vec<_>>().join(" | "), expected, "{url}");
            assert_eq!(parts.ports, ports, "{url}");
            assert_eq!(parts.database.as_deref(), Some("d"), "{url}");
        };
        check("postgresql://u:p@a:1,b/d", "a Some(1) | b None", &[]);
        check(
            "postgresql://[::1]:1,%2Frun%2Fa,b:2/d",
            "::1 Some(1) | /run/a None | b Some(2)",
            &[],
        );
        check("postgresql://x/d?host=a,b&port=1,2", "a None | b None", &[Some(1), Some(2)]);
        check("postgresql://u:p@/d?host=a:1&host=b:2", "a Some(1) | b Some(2)", &[]);
        check("postgresql:///d?host=a&host=b&port=5", "a None | b None", &[Some(5)]);
    }

    #[test]
    fn parameters_of_libpq_are_read() {
        let url = "postgres://h/d?target_session_attrs=read-write&connect_timeout=3\
                   &options=-c%20geqo%3Doff%20-c%20work_mem=4MB";
        let parts = parse(url).unwrap();
        assert_eq!(parts.session_attributes, Some(SessionAttributes::ReadWrite));
        assert_eq!(parts.options.as_deref(), Some("-c geqo=off -c work_mem=4MB"));
        assert_eq!(parts.connect_timeout, Some(3));
        for url in ["postgres://h?target_session_attrs=master", "postgres://h?connect_timeout=x"] {
            assert_eq!(parse(url).unwrap_err().kind(), ErrorKind::Config, "{url}");
        }
        assert_eq!(parse("postgres://h?connect_timeout=-1").unwrap().connect_timeout, None);
    }

    #[test]
    fn refusals_show_no_secret() {
        for url in [
            "u:canary@h/d",
            "mysql://u:canary@h/d",
            "postgresql://u:canary%zz@h/d",
            "postgresql://u:canary@h:x/d",
            "postgresql://u:a@b?canary@h/d",
            "postgresql://u:a@b?canary=c@h/d",
            "postgresql://u:1/2?canary@h/d",
            "postgresql://u:1/2?x=1&canary=3@h/d",
            "postgresql://h/d?Canary canary",
        ] {
            assert!(!parse(url).unwrap_err().to_string().contains("canary"), "{url}");
        }
    }
}
