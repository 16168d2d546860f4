//! The servers that a connection may be to: lists of hosts and ports, as libpq has them.

use std::fmt;
use std::path::PathBuf;

use singer::{Error, ErrorKind, Result, Secret};

use crate::ssl_mode::SslMode;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A host name or address.
    Tcp(String),
    /// The folder of a Unix socket.
    Unix(PathBuf),
}

impl Host {
    /// Reads a host: a folder starts with `/`.
    pub(crate) fn of(text: String) -> Self {
        if text.starts_with('/') { Self::Unix(PathBuf::from(text)) } else { Self::Tcp(text) }
    }

    /// Tells whether the server can only be on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// A server, and what depends on which one it is.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub host: Host,
    /// Its port, also part of the name of a Unix socket.
    pub port: u16,
    /// The password for it, if one was found.
    pub password: Option<Secret>,
    /// How TLS is used.
    pub ssl_mode: SslMode,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(host) => write!(f, "{host}:{}", self.port),
            Host::Unix(folder) => {
                write!(f, "{}", folder.join(format!(".s.PGSQL.{}", self.port)).display())
            }
        }
    }
}

/// A host of a list, and the port written behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub host: String,
    pub port: Option<u16>,
}

/// Reads a list of hosts, each alone or as `host:port`; an address with colons has a port behind
/// its brackets alone, and a folder has none. `setting` is where the list comes from.
pub(crate) fn places(list: &str, setting: &str) -> Result<Vec<Place>> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    list.split(',').map(|text| place(text.trim(), setting)).collect()
}

fn place(text: &str, setting: &str) -> Result<Place> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match (bracketed, text.split_once(':')) {
        (Some((host, rest)), _) => (host, rest.strip_prefix(':')),
        (None, Some((host, port))) if !text.starts_with('/') && !port.contains(':') => {
            (host, Some(port))
        }
        _ => (text, None),
    };
    let port =
        port.filter(|port| !port.is_empty()).map(|port| number(port, setting)).transpose()?;
    // Between two commas stands the default, as for libpq.
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(Place { host: host.to_owned(), port })
}

/// Reads a list of ports; an empty one is the default.
pub(crate) fn ports(list: &str, setting: &str) -> Result<Vec<Option<u16>>> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    let port = |text: &str| match text.trim() {
        "" => Ok(None),
        text => number(text, setting).map(Some),
    };
    list.split(',').map(port).collect()
}

/// Gives each host a port: its own, else that of the list in its place, or the only one of it.
pub(crate) fn with_ports(
    places: Vec<Place>,
    ports: &[Option<u16>],
    setting: &str,
) -> Result<Vec<(String, u16)>> {
    const DEFAULT: u16 = 5432;
    if ports.len() > 1 && ports.len() != places.len() {
        return Err(Error::new(
            ErrorKind::Config,
            "the number of ports does not fit the number of hosts",
        )
        .with("setting", setting)
        .with("hosts", places.len())
        .with("ports", ports.len())
        .hint("write one port for all hosts, one for each, or `host:port`"));
    }
    let of_list = |at: usize| ports.get(if ports.len() == 1 { 0 } else { at }).copied().flatten();
    let with_port = places.into_iter().enumerate().map(|(at, place)| {
        let port = place.port.or_else(|| of_list(at)).unwrap_or(DEFAULT);
        (place.host, port)
    });
    Ok(with_port.collect())
}

fn number(text: &str, setting: &str) -> Result<u16> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot read a port").with("setting", setting).hint(
            "a port is a number from 1 to 65535, which may follow a host: `db1:5432,db2:5433`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hosts: &str, port_list: &str) -> Result<String> {
        let found = with_ports(places(hosts, "host")?, &ports(port_list, "port")?, "port")?;
        let found = found.into_iter().map(|(host, port)| format!("{host} {port}"));
        Ok(found.collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn hosts_come_alone_in_lists_and_with_ports() {
        let check = |hosts: &str, ports: &str, expected: &str| {
            assert_eq!(read(hosts, ports).unwrap(), expected, "{hosts} {ports}");
        };
        check("", "5433", "");
        check("h", "", "h 5432");
        check("h:5433", "", "h 5433");
        check("h:5433", "1", "h 5433");
        check("h:", "1", "h 1");
        check("h1, h2:7 ,h3", "1", "h1 1 | h2 7 | h3 1");
        check("h1,h2,h3", "1,,3", "h1 1 | h2 5432 | h3 3");
        check("h1,,h3", "", "h1 5432 | localhost 5432 | h3 5432");
        let addresses = "::1,[::1]:7,[fe80::1],10.0.0.1:8";
        check(addresses, "", "::1 5432 | ::1 7 | fe80::1 5432 | 10.0.0.1 8");
        check("/run/a:b,h", "7", "/run/a:b 7 | h 7");
    }

    #[test]
    fn ports_that_are_none_are_refused() {
        for (hosts, ports) in [
            ("h:x", ""),
            ("h:0", ""),
            ("h:65536", ""),
            ("h", "x"),
            ("h1,h2", "1,2,3"),
            ("h1,h2,h3", "1,2"),
        ] {
            let failure = read(hosts, ports).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{hosts} {ports}");
        }
    }
}
