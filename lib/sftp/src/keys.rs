//! Private keys: from a file or a setting, with or without a passphrase.

use std::borrow::Cow;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{self, PrivateKey, decode_secret_key};
use singer::{Context, Error, ErrorKind, Result, ResultExt, Secret, private_file};

/// Reads a private key file, as OpenSSH, OpenSSL (PEM) or `PuTTY` write them.
///
/// Fails with `Config` for a file that is not there or no key, and with `Denied` when others may
/// read the file or the passphrase is wrong.
pub fn from_file(path: &Path, passphrase: Option<&Secret>) -> Result<Arc<PrivateKey>> {
    let read = private_file::read(path);
    let (bytes, metadata) =
        read.map_err(|cause| private_file::failure("cannot read the private key", path, cause))?;
    let text = String::from_utf8_lossy(&bytes);
    // As OpenSSH has it: another owner's file is that owner's business.
    let own = rustix::process::geteuid().as_raw() == metadata.uid();
    let mode = metadata.permissions().mode() & 0o777;
    if own && mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorKind::Denied,
            "cannot use a private key that other users may read",
        )
        .with("path", path.display())
        .with("mode", format!("{mode:04o}"))
        .hint(format!("chmod 600 {}", path.display())));
    }
    from_text(&text, passphrase).with("path", path.display())
}

/// Reads a private key from the text of such a file, or from what settings make of it: with `\n`
/// or blanks for line ends, or as base64 of the whole text.
pub fn from_text(text: &str, passphrase: Option<&Secret>) -> Result<Arc<PrivateKey>> {
    let text = &*with_lines(text);
    let key = decode_secret_key(text, passphrase.map(Secret::reveal));
    let encrypted = "the key is encrypted: set `private_key_passphrase`";
    match key {
        Ok(key) if key.is_encrypted() => {
            Err(Error::new(ErrorKind::Config, "cannot use the private key").hint(encrypted))
        }
        Ok(key) => Ok(Arc::new(key)),
        Err(keys::Error::KeyIsEncrypted) => {
            Err(Error::new(ErrorKind::Config, "cannot use the private key").hint(encrypted))
        }
        Err(cause) if passphrase.is_some() && text.contains("PRIVATE KEY") => {
            Err(cause).or_kind(ErrorKind::Denied, "cannot use the private key").hint(
                "check `private_key_passphrase`; supported are keys of type ed25519, ECDSA and RSA \
                  in the format of OpenSSH, PEM or PuTTY",
            )
        }
        Err(cause) => Err(cause).or_kind(ErrorKind::Config, "cannot use the private key").hint(
            "give a private key of type ed25519, ECDSA or RSA, in the format of OpenSSH, PEM or \
             PuTTY, not the public one",
        ),
    }
}

/// Gives the text of a key its lines back.
fn with_lines(text: &str) -> Cow<'_, str> {
    let plain = text.trim();
    if !is_key(plain) {
        let bare: String = plain.split_whitespace().collect();
        let decoded = STANDARD.decode(bare).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return match decoded.filter(|text| is_key(text.trim())) {
            Some(decoded) => {
                singer::scrub::learn(&decoded);
                Cow::Owned(with_lines(&decoded).into_owned())
            }
            None => Cow::Borrowed(text),
        };
    }
    if plain.contains('\n') {
        return Cow::Borrowed(text);
    }
    let lines = plain.replace("\\r", "").replace("\\n", "\n");
    if lines.contains('\n') {
        return Cow::Owned(lines.trim_end().to_owned() + "\n");
    }
    // A variable of a shell, in which blanks took the place of line ends: none is within the marks'
    // dashes, and none within base64.
    let parts = plain
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.split_once(DASHES))
        .and_then(|(kind, rest)| Some((kind, rest.split_once("-----END ")?.0)));
    match parts {
        Some((kind, body)) if !body.contains(':') => {
            let body = body.split_whitespace().collect::<Vec<_>>().join("\n");
            Cow::Owned(format!("{BEGIN}{kind}{DASHES}\n{body}\n-----END {kind}{DASHES}\n"))
        }
        _ => Cow::Borrowed(text),
    }
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

fn is_key(text: &str) -> bool {
    text.starts_with(BEGIN) || text.starts_with("PuTTY-User-Key-File-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\nAAAA==\n\
                       -----END OPENSSH PRIVATE KEY-----\n";

    #[test]
    fn a_key_gets_its_lines_back() {
        let once = STANDARD.encode(KEY);
        let (head, tail) = once.split_at(20);
        let in_base64 = format!("{head}\n{tail}\n");
        for text in [
            KEY.replace('\n', "\\n"),
            KEY.trim().replace('\n', "\\r\\n"),
            KEY.replace('\n', " "),
            once.clone(),
            in_base64,
            STANDARD.encode(KEY.replace('\n', "\\n")),
        ] {
            assert_eq!(with_lines(&text), KEY, "{text}");
        }
        for text in [KEY, "", "x", "QUJD", "ssh-ed25519 AAAA me", "-----BEGIN X-----", "a: b\\nc"] {
            assert_eq!(with_lines(text), text);
        }
        let putty = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n";
        assert_eq!(with_lines(putty), putty);
        assert_eq!(with_lines(putty.trim().replace('\n', "\\n").as_str()), putty);
        // A PEM with headers needs its own lines.
        let pem = "-----BEGIN RSA PRIVATE KEY----- Proc-Type: 4,ENCRYPTED AAAA -----END RSA";
        assert_eq!(with_lines(pem), pem);
    }
}
