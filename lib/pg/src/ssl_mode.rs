//! Whether and how TLS is used.

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind};

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

impl SslMode {
    /// Returns the mode of a word of libpq.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Refuses a word that is no mode.
pub(crate) fn unknown_mode(setting: &str, word: &str) -> Error {
    Error::new(ErrorKind::Config, "cannot use the TLS mode")
        .with("setting", setting)
        .with("value", word)
        .hint("write one of disable, allow, prefer, require, verify-ca, verify-full")
}
