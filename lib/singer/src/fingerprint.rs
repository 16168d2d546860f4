//! The fingerprint of a server's key, as people copy it from `ssh-keygen` and from mails.
//!
//! The rule: what cannot be a SHA-256 fingerprint is refused where it is given. It would match no
//! key, and every server would look like an attacker.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// How many characters of base64 32 bytes are, without padding.
const LENGTH: usize = 43;
/// What the last of them can be: four of its six bits belong to the bytes.
const LAST: &str = "AEIMQUYcgkosw048";

/// A SHA-256 fingerprint; it is shown as `ssh-keygen` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads a fingerprint; `SHA256:` before it and `=` behind it may be there or not.
    ///
    /// Fails with `Config`.
    pub fn read(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let bare = trimmed.strip_prefix("SHA256:").unwrap_or(trimmed).trim_end_matches('=');
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if bare.len() == LENGTH
            && bare.bytes().all(is_base64)
            && bare.ends_with(|c| LAST.contains(c))
        {
            return Ok(Self(bare.to_owned()));
        }
        Err(Error::new(ErrorKind::Config, "cannot use this text as the fingerprint of a key")
            .with("value", text)
            .with("reason", format!("it is not `SHA256:` and {LENGTH} characters of base64"))
            .hint(
                "`ssh-keyscan -p PORT HOST | ssh-keygen -lf -` shows the fingerprints of a server: \
                 compare them with what its owner tells you, and set one of them, from `SHA256:` \
                 to the next blank",
            ))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_32_bytes_with_or_without_what_people_write_around_it() {
        let bare = "uNiVztksCsDhcc0u9e8BrrJXVGDqd+/XqoTnAG2vKQ0";
        let shown = format!("SHA256:{bare}");
        for text in [bare, &shown, &format!(" {shown}= \n"), &format!("{bare}=")] {
            assert_eq!(Fingerprint::read(text).unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "SHA256:",
            "SHA256:x",
            &bare[1..],
            &format!("{bare}A"),
            // Its last bits are no part of 32 bytes.
            &bare.replace("KQ0", "KQ1"),
            &bare.replace('+', "-"),
            &format!("256 {shown} files.example.com (ED25519)"),
            "MD5:2c:66:6f:34:44:3e:f4:0e:40:35:51:f7:88:fa:a3:5d",
            "b8d895ced92c0ac0e171cd2ef5ef01aeb2575460ea77efd7aa84e7006daf290d",
            "AAAAC3NzaC1lZDI1NTE5AAAAIAeVbY5/tN4xnZ+LFb4ONJm5NfRKPz7/MKcBDNuMHXbm",
        ] {
            let failure = Fingerprint::read(text).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Config, "{text}");
        }
    }
}
