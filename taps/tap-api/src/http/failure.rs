//! Failures of the network and of answers, in the words and classes of this workspace.

use std::error::Error as StdError;
use std::io;

use singer::{Error, ErrorKind};

/// Turns a failure of the HTTP library into ours.
pub fn of_transport(cause: ureq::Error) -> Error {
    match cause {
        ureq::Error::Other(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(inner) => unreachable_server().caused_by(inner).hint(CHECK_HOST),
        },
        ureq::Error::Io(cause) => broken_off(cause),
        ureq::Error::Rustls(cause) => tls(cause),
        ureq::Error::Timeout(which) => timeout(which),
        ureq::Error::HostNotFound => {
            unreachable_server().caused_by(ureq::Error::HostNotFound).hint(CHECK_HOST)
        }
        ureq::Error::ConnectProxyFailed(reason) if reason.contains(" 407") => {
            Error::new(ErrorKind::Denied, "the proxy refused the credentials")
                .hint("put user and password into the proxy's address in HTTPS_PROXY or HTTP_PROXY")
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            Error::new(ErrorKind::Config, "cannot make a request of the address")
        }
        other => unreachable_server().caused_by(other).hint(CHECK_HOST),
    }
}

const CHECK_HOST: &str = "check the host in `api_url`, and whether this machine reaches it";

/// Turns a failure while data travels into ours.
pub fn broken_off(cause: io::Error) -> Error {
    if let Some(inner) = cause.get_ref() {
        if let Some(found) = find::<rustls::Error>(inner) {
            return tls(found.clone());
        }
        if inner.is::<ureq::Error>() {
            return of_transport(ureq::Error::from(cause));
        }
    }
    match cause.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Error::new(ErrorKind::Temporary, "the server is silent for too long").caused_by(cause)
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::new(ErrorKind::Temporary, "the answer is cut short or damaged").caused_by(cause)
        }
        io::ErrorKind::ConnectionRefused => unreachable_server()
            .caused_by(cause)
            .hint("nothing listens there: check host and port in `api_url`, and the server"),
        _ => unreachable_server().caused_by(cause).hint(CHECK_HOST),
    }
}

fn unreachable_server() -> Error {
    Error::new(ErrorKind::Temporary, "cannot get an answer from the server")
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
        rustls::Error::AlertReceived(_) => {
            (ErrorKind::Denied, "the server may want a client certificate, or another TLS version")
        }
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
            "the server's certificate names another host: use the name it was made for"
        }
        Reason::UnknownIssuer => {
            "nobody this system trusts signed the server's certificate: set `ca_file` to the \
             certificate that did"
        }
        _ => "`ca_file` sets whom to trust besides the system's authorities",
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

/// Says what an answer that is no success means, and what to do.
pub fn of_status(status: u16) -> Error {
    let (kind, message, hint) = match status {
        202 => (
            ErrorKind::Temporary,
            "the API has not made the answer yet",
            "run again later; if it is always so, check `path`: the result may be at another one",
        ),
        401 => (
            ErrorKind::Denied,
            "the API refused the credentials",
            "check `auth_method` and what it needs",
        ),
        403 => (
            ErrorKind::Denied,
            "the API does not allow the request",
            "check the rights of the user or token, and `auth_method`",
        ),
        407 => (
            ErrorKind::Denied,
            "the proxy refused the credentials",
            "put user and password into the proxy's address in HTTPS_PROXY or HTTP_PROXY",
        ),
        404 | 410 => (
            ErrorKind::Unavailable,
            "the API does not have what was asked for",
            "check `api_url` and `path`; `not_found: empty` takes 404 for no records",
        ),
        408 | 425 | 429 => (
            ErrorKind::Temporary,
            "the API wants fewer requests",
            "set `requests_per_second` or `requests_per_minute`, or run again later",
        ),
        500.. => (
            ErrorKind::Temporary,
            "the API cannot answer at present",
            "run again later, or ask for smaller pages",
        ),
        300..=399 => {
            (ErrorKind::Unavailable, "the API redirects to nowhere", "check `api_url` and `path`")
        }
        _ => (
            ErrorKind::Unavailable,
            "the API refused the request",
            "check `params`, `body` and `headers` against the answer",
        ),
    };
    Error::new(kind, message).hint(hint)
}
