//! Files that were read and are no longer there, or no longer by their name.

use std::time::SystemTime;

use serde_json::Value;

use super::{is_alike, is_fair, says_something, time};
use crate::identity::Identity;

/// A file that was read, and is no longer there, or has its name no more.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) path: String,
    pub(super) entry: Value,
    /// Another file has its name now, or other bytes are in it.
    pub(super) is_replaced: bool,
}

impl Gone {
    /// Reads one of a bookmark.
    pub(super) fn of(entry: &Value) -> Option<Self> {
        let mut entry = entry.clone();
        let Some(Value::String(path)) = entry.as_object_mut()?.remove("path") else { return None };
        Some(Self { path, entry, is_replaced: false })
    }

    pub(super) fn to_json(&self) -> Value {
        let mut entry = self.entry.clone();
        entry["path"] = self.path.as_str().into();
        entry
    }

    /// Tells whether its size and time are those of this file, whatever time that is.
    pub(crate) fn is_alike(&self, identity: Identity) -> bool {
        is_alike(&self.entry, identity)
    }

    /// Tells whether its size is that of this file.
    pub(crate) fn is_of_size(&self, identity: Identity) -> bool {
        self.entry["size"].as_u64() == Some(identity.size)
    }

    /// Tells whether a file may be this one by another name, for its sum to prove it.
    ///
    /// Size and time tell, and on a disk the number of the file, or a time that nobody set. What
    /// another file took the name of was moved or copied away, so that its size is enough.
    pub(crate) fn is_like(&self, identity: Identity) -> bool {
        if self.is_replaced && self.sum().is_some() {
            return self.is_of_size(identity);
        }
        let number = identity.disk.map_or(Value::Null, |disk| disk.inode.into());
        let has_time = |time: SystemTime| self.sum().is_some() && is_fair(time);
        self.is_alike(identity) && (self.entry["inode"] == number || has_time(identity.modified))
    }

    /// Tells whether its time is that of this file, as it is where one was compressed to the other.
    pub(crate) fn is_of_time(&self, identity: Identity) -> bool {
        says_something(Identity { disk: None, ..identity })
            && time(identity.modified).is_ok_and(|time| self.entry["mtime"] == *time)
    }

    /// Returns the sum of its bytes, where it is known.
    pub(crate) fn sum(&self) -> Option<&str> {
        self.entry["sha256"].as_str()
    }

    /// Returns the checksum of what was compressed in it, where that was as long as this file.
    pub(crate) fn held(&self, identity: Identity) -> Option<u64> {
        let of_length = self.entry["held"][0].as_u64() == Some(identity.size);
        self.entry["held"][1].as_u64().filter(|_| of_length)
    }

    /// Returns how many rows it gave, where that is known.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.entry["rows"].as_u64()
    }
}
