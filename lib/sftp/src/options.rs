//! What is needed to connect: where to, as whom, and whom to trust.

use std::path::PathBuf;
use std::time::Duration;

use russh::keys::PrivateKey;
use singer::{Fingerprint, Secret};

/// How to reach a server. Nothing of it but host, port and user is ever shown.
pub struct Options {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The password, if there is one.
    pub password: Option<Secret>,
    /// Private keys, in the order they are offered.
    pub keys: Vec<std::sync::Arc<PrivateKey>>,
    /// Offers the keys of the agent of `SSH_AUTH_SOCK`.
    pub agent: bool,
    /// Which key the server must have.
    pub trust: Trust,
    /// Takes algorithms that are no longer safe, where a server has no others.
    pub legacy: bool,
    /// How long connecting and logging in may take.
    pub connect_timeout: Duration,
    /// How long the server may be silent when an answer is due.
    pub request_timeout: Duration,
    /// How often a lost connection is made anew without a byte in between.
    pub reconnects_max: usize,
}

/// How a server proves that it is the right one.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Its key has this SHA-256 fingerprint.
    Fingerprint(Fingerprint),
    /// Its key is in this file.
    KnownHosts(PathBuf),
}

impl Options {
    /// Returns `host:port`, for messages.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.user, self.address())
    }
}
