//! The start of a connection: its transport, TLS, and the request to cancel.

use std::time::Duration;

use postgres_protocol::message::frontend;
use singer::{Error, ErrorKind, Result};

use crate::servers::{Host, Server};
use crate::settings::Config;
use crate::ssl_mode::SslMode;
use crate::wire::Wire;

/// Opens the connection to the first server and agrees on TLS.
pub(crate) fn open(config: &Config, timeout: Duration) -> Result<Wire> {
    let Server { host, port, ssl_mode, .. } = &config.server;
    let mut wire = match host {
        Host::Tcp(host) => Wire::tcp(host, *port, timeout)?,
        Host::Unix(folder) => return Wire::unix(folder, *port, timeout),
    };
    if matches!(ssl_mode, SslMode::Disable | SslMode::Allow) {
        return Ok(wire);
    }
    frontend::ssl_request(&mut wire.output);
    wire.flush()?;
    match wire.answer()? {
        b'S' => wire.start_tls(crate::tls::session(config)?)?,
        b'N' if *ssl_mode == SslMode::Prefer => {}
        b'N' => {
            return Err(Error::new(
                ErrorKind::Denied,
                "cannot use TLS: the server does not offer it",
            )
            .hint(
                "switch TLS on at the server, or set `ssl_mode: disable`, which lets anybody on \
                 the network read and change the data",
            ));
        }
        _ => return Err(wire.garbled()),
    }
    if *ssl_mode == SslMode::Require {
        singer::warn!(
            "W-TLS-UNVERIFIED",
            "ssl_mode is require: the connection is encrypted, but the identity of the server is \
             not checked; verify-full checks it"
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
