//! The name of a server, without what addresses have around it.

use crate::error::{Error, ErrorKind, Result};

/// Refuses a text that has a user, a path or a scheme, which would be looked for as a part of the
/// name.
///
/// # Errors
/// `Config` where it has.
pub fn check(text: &str) -> Result<()> {
    if !text.contains(['/', '@']) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "cannot use this text as a server's name").hint(
        "set `host` to a name or an address only; `username`, `password` and `port` are settings \
         of their own",
    ))
}
