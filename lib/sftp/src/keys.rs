//! Private keys: from a file or a setting, with or without a passphrase.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

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
        return Err(Error::new(ErrorKind::Denied, "cannot use a private key that others may read")
            .with("path", path.display())
            .with("mode", format!("{mode:04o}"))
            .hint(format!("chmod 600 {}", path.display())));
    }
    from_text(&text, passphrase).with("path", path.display())
}

/// Reads a private key from the text of such a file.
pub fn from_text(text: &str, passphrase: Option<&Secret>) -> Result<Arc<PrivateKey>> {
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
                "is `private_key_passphrase` right? OpenSSH, PEM and PuTTY keys of types ed25519, \
                 ECDSA and RSA can be read",
            )
        }
        Err(cause) => Err(cause).or_kind(ErrorKind::Config, "cannot use the private key").hint(
            "give a private key of type ed25519, ECDSA or RSA, in the form of OpenSSH, PEM or \
             PuTTY; not the public one",
        ),
    }
}
