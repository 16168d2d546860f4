//! Whether a run is alive: it holds a lock, which is free the moment it dies, however it dies.
//!
//! The number of a process shows nothing: each container counts its own, and so does each host.

use std::fs;
use std::path::Path;

use disk::Lock;
use project::Warnings;
use project::warning;
use singer::Result;

use crate::record::Owner;

/// A life that lasts until this is dropped, or its process dies.
#[derive(Debug)]
pub(crate) struct Life(#[expect(dead_code, reason = "it is held")] Lock);

impl Life {
    /// Begins a life at a path that nobody else takes.
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        // Who asks whether it is held does so for a moment.
        Lock::wait(path).map(Self)
    }
}

/// Names this host, and the time since it was started.
pub(crate) fn here() -> Owner {
    let read = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
        text.map_or(String::new(), |text| text.trim().to_owned())
    };
    Owner { host: read("hostname"), boot: read("random/boot_id") }
}

/// How it is with something whose holder may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It lives.
    Alive,
    /// It is dead.
    Dead,
    /// Its lock is free, but another host may hold it, for all that is known here.
    Elsewhere,
}

/// Looks for the holder of a lock; `owner` is what [`here`] told it when it began.
pub(crate) fn holder(lock: &Path, owner: Option<&Owner>, warnings: &Warnings) -> Holder {
    match Lock::is_held(lock) {
        Ok(true) => return Holder::Alive,
        // What cannot be looked at is better treated as alive than removed.
        Err(failure) => {
            warnings.warn(warning!("W-LOCK-UNSURE", "{failure}"));
            return Holder::Alive;
        }
        Ok(false) => {}
    }
    let Some(owner) = owner.filter(|owner| owner.boot != here().boot) else {
        return Holder::Dead;
    };
    let Some(kind) = without_shared_locks(lock) else { return Holder::Dead };
    // Each run has a path of its own: the first one tells it.
    if warnings.is_news("locks of other hosts") {
        warnings.warn(warning!(
            "W-LOCK-UNSURE",
            "{} is on a file system ({kind}) that does not show the locks of other hosts, and {} \
             wrote to it, so chorus cannot see whether its runs are alive: give each host a \
             project folder of its own, or mount this folder with shared locks",
            lock.parent().unwrap_or(lock).display(),
            if owner.host.is_empty() { "another host" } else { &owner.host },
        ));
    }
    Holder::Elsewhere
}

/// Returns the kind of a path's file system when other hosts may write to it whose locks are not
/// seen here.
fn without_shared_locks(path: &Path) -> Option<String> {
    let path = path.parent()?.canonicalize().ok()?;
    kind_without_locks(&fs::read_to_string("/proc/self/mountinfo").ok()?, &path)
}

/// Looks for the mount of a path in the list of all mounts: `id parent device root place options
/// ... - kind source options`.
fn kind_without_locks(mounts: &str, path: &Path) -> Option<String> {
    let found = mounts.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let place = head.split(' ').nth(4)?.replace("\\040", " ").replace("\\134", "\\");
        path.starts_with(&place).then_some((place.len(), tail))
    });
    // The last of equal ones lies over the others.
    let (_, tail) = found.max_by_key(|(length, _)| *length)?;
    let mut parts = tail.split(' ');
    let kind = parts.next()?;
    let options = parts.nth(1).unwrap_or_default();
    let has = |wanted: &[&str]| options.split(',').any(|option| wanted.contains(&option));
    let apart = match kind {
        "nfs" | "nfs4" => has(&["nolock", "local_lock=all", "local_lock=flock"]),
        "lustre" => has(&["localflock"]),
        "9p" | "cifs" | "smb3" | "vboxsf" | "prl_fs" | "virtiofs" => true,
        _ => kind == "fuse" || kind.starts_with("fuse."),
    };
    apart.then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_other_hosts_are_seen_where_the_file_system_shares_them() {
        let mounts = "\
1 0 0:1 / / rw - overlay overlay rw,lowerdir=x
2 1 0:2 / /data rw - nfs4 server:/x rw,vers=4.2,local_lock=none
3 1 0:3 / /data/old rw - nfs server:/y rw,nolock,local_lock=all
4 1 0:4 / /my\\040disk rw shared:1 - fuse.sshfs host:/ rw
5 1 0:5 / /usb rw - fuseblk /dev/sdb1 rw
6 1 0:6 / /vm rw - 9p tag rw,trans=virtio
7 1 0:7 / /vm rw - ext4 /dev/vda rw
";
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(kind_without_locks(mounts, Path::new(path)).as_deref(), expected, "{path}");
        };
        check("/home/p", None);
        check("/data/p", None);
        check("/data/old/p", Some("nfs"));
        check("/my disk/p", Some("fuse.sshfs"));
        check("/usb/p", None);
        check("/vm/p", None);
        check("/database", None);
    }
}
