//! Files that were found.

use sftp::Attributes;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path, as the settings begin it.
    pub path: String,
    /// What it is.
    pub attributes: Attributes,
}
