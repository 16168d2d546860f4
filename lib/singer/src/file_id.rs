//! Which file of a disk rows come from, so that no target replaces it.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// A file of a disk, by whatever name; `device:number` in messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(String);

/// The files that the rows of a stream come from.
pub type FileIds = BTreeSet<FileId>;

impl FileId {
    /// Makes the identity of the file that has this number on this device.
    pub fn new(device: u64, inode: u64) -> Self {
        Self(format!("{device}:{inode}"))
    }

    /// Returns which file this is about.
    pub fn of(metadata: &Metadata) -> Self {
        Self::new(metadata.dev(), metadata.ino())
    }

    /// Returns the text of messages.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `read_from` of a message: a list of texts; what is none counts for nothing.
    pub(crate) fn list(text: &[u8]) -> FileIds {
        let list: Vec<String> = serde_json::from_slice(text).unwrap_or_default();
        list.into_iter().map(Self).collect()
    }
}
