//! Failures of the network and of answers, in the words and classes of this workspace.

use std::error::Error as StdError;
use std::io;

use singer::{Error, ErrorKind};

const PROXY: &str =
    "put user and password into the address of the proxy in HTTPS_PROXY or HTTP_PROXY";

/// The message where a server cannot be reached.
pub(crate) const UNREACHABLE: &str = "cannot get an answer from the server";

/// What a connector says in its own words when a request fails: its settings that may be wrong.
#[derive(Clone, Copy, Debug)]
pub struct Hints {
    /// The setting that names the server.
    pub address: &'static str,
    /// What to do when redirects lead nowhere.
    pub redirect: &'static str,
    /// What to do when a redirect leads to where it must not be followed.
    pub moved: &'static str,
    /// What to do when an answer is not made yet.
    pub not_yet: &'static str,
    /// What to do when the credentials are refused.
    pub credentials: &'static str,
    /// What to do when the user or token may not ask this.
    pub rights: &'static str,
    /// What to do when nothing is at an address.
    pub missing: &'static str,
    /// What to do when a request is refused for what it says.
    pub request: &'static str,
}

impl Hints {
    /// Turns a failure of the HTTP library into ours.
    pub(crate) fn of_transport(&self, cause: ureq::Error) -> Error {
        match cause {
            ureq::Error::Other(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(inner) => self.cannot_reach(inner),
            },
            ureq::Error::Io(cause) => self.broken_off(cause),
            ureq::Error::Rustls(cause) => tls(cause),
            ureq::Error::Timeout(which) => timeout(which),
            ureq::Error::HostNotFound => self.cannot_reach(ureq::Error::HostNotFound),
            ureq::Error::ConnectProxyFailed(reason) if reason.contains(" 407") => {
                Error::new(ErrorKind::Denied, "the proxy refused the credentials").hint(PROXY)
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Error::new(ErrorKind::Config, "cannot make a request of the address")
            }
            other => self.cannot_reach(other),
        }
    }

    /// Turns a failure while data travels into ours.
    pub(crate) fn broken_off(&self, cause: io::Error) -> Error {
        if let Some(inner) = cause.get_ref() {
            if let Some(found) = find::<rustls::Error>(inner) {
                return tls(found.clone());
            }
            if inner.is::<ureq::Error>() {
                return self.of_transport(ureq::Error::from(cause));
            }
        }
        match cause.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                Error::new(ErrorKind::Temporary, "the server sent no data for too long")
                    .caused_by(cause)
            }
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => {
                Error::new(ErrorKind::Temporary, "the answer is incomplete or damaged")
                    .caused_by(cause)
            }
            io::ErrorKind::ConnectionRefused => {
                unreachable_server().caused_by(cause).hint(format!(
                    "no server listens at this address: check host and port in {}, and the server",
                    self.address
                ))
            }
            _ => self.cannot_reach(cause),
        }
    }

    fn cannot_reach(&self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        unreachable_server().caused_by(cause).hint(format!(
            "check the host in {}, and whether this machine can reach it",
            self.address
        ))
    }

    /// Says what an answer that is no success means, and what to do.
    pub(crate) fn of_status(&self, status: u16) -> Error {
        let (message, hint) = match status {
            202 => ("the API has not made the answer yet", self.not_yet),
            300..=399 => ("the API redirects without an address", self.redirect),
            401 => ("the API refused the credentials", self.credentials),
            403 => ("the API does not allow the request", self.rights),
            407 => ("the proxy refused the credentials", PROXY),
            404 | 410 => ("the API did not find the requested address", self.missing),
            408 | 425 | 429 => (
                "the API refuses so many requests",
                "set `requests_per_second` or `requests_per_minute`, or run again later",
            ),
            500.. => {
                ("the API cannot answer at the moment", "run again later, or ask for smaller pages")
            }
            _ => ("the API refused the request", self.request),
        };
        Error::new(kind_of(status), message).hint(hint)
    }
}

/// Returns the kind of the failure that a status means.
pub fn kind_of(status: u16) -> ErrorKind {
    match status {
        202 | 408 | 425 | 429 | 500.. => ErrorKind::Temporary,
        401 | 403 | 407 => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    }
}

fn unreachable_server() -> Error {
    Error::new(ErrorKind::Temporary, UNREACHABLE)
}

fn timeout(which: ureq::Timeout) -> Error {
    let setting = match which {
        ureq::Timeout::Resolve | ureq::Timeout::Connect => "connect_timeout_seconds",
        ureq::Timeout::PerRead | ureq::Timeout::PerWrite => "read_timeout_seconds",
        _ => "request_timeout_seconds",
    };
    Error::new(ErrorKind::Temporary, "the server takes too long")
        .with("limit", setting)
        .hint(format!("ask for smaller pages, or raise `{setting}`"))
}

fn tls(cause: rustls::Error) -> Error {
    let (kind, hint) = match &cause {
        rustls::Error::InvalidCertificate(reason) => (ErrorKind::Denied, certificate_hint(reason)),
        rustls::Error::AlertReceived(_) => (
            ErrorKind::Denied,
            "the server may require a client certificate or another TLS version",
        ),
        _ => (ErrorKind::Temporary, "the server may not speak TLS at this port"),
    };
    Error::new(kind, "cannot agree on TLS with the server").caused_by(cause).hint(hint)
}

fn certificate_hint(reason: &rustls::CertificateError) -> &'static str {
    use rustls::CertificateError as Reason;
    match reason {
        Reason::Expired | Reason::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it"
        }
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            "the server's certificate names another host: use the host name in the certificate"
        }
        Reason::UnknownIssuer => {
            "this system does not trust the signer of the server's certificate: set `ca_file` to \
             the certificate of the signer"
        }
        _ => "`ca_file` adds signers to those that this system trusts",
    }
}

fn find<'a, E: StdError + 'static>(cause: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut at = Some(cause);
    while let Some(cause) = at {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        at = cause.source();
    }
    None
}
