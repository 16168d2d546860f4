//! Files that were found, and what their names tell.

use sftp::Attributes;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path, as the settings begin it.
    pub path: String,
    /// What it is.
    pub attributes: Attributes,
}

/// Returns a name that can be a part of a path.
pub fn plain(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    let bad = text.is_empty() || matches!(text, "." | "..") || text.contains('/');
    (!bad && !text.chars().any(char::is_control)).then_some(text)
}

/// Tells whether a path is that of an archive.
pub fn is_archive(path: &str) -> bool {
    path.len() > 4 && path.as_bytes()[path.len() - 4..].eq_ignore_ascii_case(b".zip")
}
