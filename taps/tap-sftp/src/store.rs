//! The files of a table as a store: those at rest, with the members of archives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use files::archive::{self, Member, Parts, is_archive};
use files::{Codec, Identity, Store, StoredFile};
use jiff::Timestamp;
use sftp::{Attributes, RemoteFile, Server};
use singer::{Context, Error, ErrorKind, Result};

use crate::folder::Finder;
use crate::found::Found;

/// A run waits no longer than this for files to come to rest.
const PATIENCE_SECONDS: u64 = 10;
/// No clock that is meant to be right is further from another one: local time taken for UTC.
const CLOCK_FAULT_MAX: Duration = Duration::from_hours(24);
/// Times before this (2000-01-01) are those of no clock.
const TIMES_FROM: Duration = Duration::from_hours(262_968);

/// Which files are left out by their times.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// How long a file must have been at rest.
    pub seconds: u64,
    /// Files that last changed before this are skipped.
    pub start: Option<Timestamp>,
}

/// The files of a table on a server.
#[derive(Debug)]
pub struct Remote {
    server: Arc<Server>,
    finder: Finder,
    waiting: Waiting,
    found: BTreeMap<String, Item>,
    /// A file that was left out because it is still being written.
    unfinished: Option<String>,
    /// What an earlier look has found, and when that was.
    seen: Option<(Instant, BTreeMap<String, Attributes>)>,
}

/// A file, or a member of an archive.
#[derive(Clone, Debug)]
struct Item {
    stored: Found,
    member: Option<Member>,
}

impl Item {
    fn identity(&self) -> Identity {
        let Attributes { size, modified, .. } = self.stored.attributes;
        Identity::far(self.member.as_ref().map_or(size, |member| member.size), modified)
    }
}

impl Remote {
    /// Looks for files as the finder says.
    pub fn new(server: &Arc<Server>, finder: Finder, waiting: Waiting) -> Self {
        Self {
            server: Arc::clone(server),
            finder,
            waiting,
            found: BTreeMap::new(),
            unfinished: None,
            seen: None,
        }
    }

    /// Leaves out the files that last changed before the start.
    fn not_too_old(&self, found: Vec<Found>) -> Vec<Found> {
        let Some(start) = self.waiting.start else { return found };
        let before = found.len();
        let start = SystemTime::from(start);
        let kept: Vec<_> =
            found.into_iter().filter(|found| found.attributes.modified >= start).collect();
        if kept.len() < before {
            tracing::info!("skipping {} files from before `start_date`", before - kept.len());
        }
        kept
    }

    /// Leaves out the files that are still being written; `known` ones are not read again.
    fn at_rest(
        &mut self,
        found: Vec<Found>,
        known: &dyn Fn(&str, Identity) -> bool,
    ) -> Result<Vec<Found>> {
        let (rest, left) = self.told_apart(found, known)?;
        for found in &left {
            singer::warn!(
                "W-FILE-UNFINISHED",
                "leaving {} for the next run, because it is still being written",
                found.path
            );
        }
        self.unfinished = left.into_iter().next().map(|found| found.path);
        Ok(rest)
    }

    /// Tells the files at rest from those that are still being written.
    ///
    /// A time is believed when it says that a file is older than the window, whatever clock of a
    /// day more or less it is by. Files with other times are at rest when they look the same twice.
    fn told_apart(
        &mut self,
        found: Vec<Found>,
        known: &dyn Fn(&str, Identity) -> bool,
    ) -> Result<(Vec<Found>, Vec<Found>)> {
        let seconds = self.waiting.seconds;
        let looked = Instant::now();
        let seen = self.seen.take();
        if seconds == 0 {
            return Ok((found, Vec::new()));
        }
        let (mut rest, mut left, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
        let now = SystemTime::now();
        for found in found {
            match Rest::of(found.attributes.modified, now, Duration::from_secs(seconds)) {
                Rest::Old => rest.push(found),
                _ if known(&found.path, far(found.attributes)) => rest.push(found),
                Rest::Young if seconds > PATIENCE_SECONDS => left.push(found),
                Rest::Young | Rest::Unknown => doubtful.push(found),
            }
        }
        if doubtful.is_empty() {
            return Ok((rest, left));
        }
        let window = Duration::from_secs(seconds.min(PATIENCE_SECONDS));
        let (since, before) = seen.unwrap_or((looked, BTreeMap::new()));
        // Files that an earlier look did not find as they are now have been looked at once.
        let is_new = |found: &Found| {
            before.get(&found.path).is_none_or(|before| !same(*before, found.attributes))
        };
        let since = if doubtful.iter().any(is_new) { looked } else { since };
        let pause = window.saturating_sub(since.elapsed());
        if !pause.is_zero() {
            let seconds = pause.as_secs_f32();
            tracing::info!(
                "waiting {seconds:.0} s to see whether {} files still change",
                doubtful.len()
            );
            std::thread::sleep(pause);
        }
        for found in doubtful {
            match self.server.stat(&found.path) {
                Ok(attributes) if same(attributes, found.attributes) => rest.push(found),
                Err(failure) if failure.kind() != ErrorKind::NoInput => return Err(failure),
                _ => left.push(found),
            }
        }
        Ok((rest, left))
    }
}

/// What the time of a file says of its rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// It was written long ago, by any clock.
    Old,
    /// It was written within the window, by our clock.
    Young,
    /// Its time says nothing: it is that of no clock, yet to come, or a wrong clock could have it.
    Unknown,
}

impl Rest {
    fn of(modified: SystemTime, now: SystemTime, window: Duration) -> Self {
        let age = now.duration_since(modified);
        let apart = age.clone().unwrap_or_else(|cause| cause.duration());
        match age {
            _ if apart < window => Self::Young,
            Ok(age) if age >= window + CLOCK_FAULT_MAX => {
                let from = SystemTime::UNIX_EPOCH + TIMES_FROM;
                if modified >= from { Self::Old } else { Self::Unknown }
            }
            _ => Self::Unknown,
        }
    }
}

fn far(attributes: Attributes) -> Identity {
    Identity::far(attributes.size, attributes.modified)
}

impl Store for Remote {
    fn glance(&mut self) {
        let looked = Instant::now();
        if self.waiting.seconds == 0 {
            return;
        }
        // What goes wrong here goes wrong again when the files are looked for in earnest.
        if let Ok(found) = self.finder.look(&self.server, true) {
            let attributes = found.into_iter().map(|found| (found.path, found.attributes));
            self.seen = Some((looked, attributes.collect()));
        }
    }

    fn find(&mut self, known: &dyn Fn(&str, Identity) -> bool) -> Result<Vec<String>> {
        let found = self.not_too_old(self.finder.find(&self.server)?);
        self.found.clear();
        let rest = self.at_rest(found, known)?;
        let first = rest.first().map(|found| found.path.clone());
        for stored in rest {
            if !is_archive(&stored.path) {
                self.found.insert(stored.path.clone(), Item { stored, member: None });
                continue;
            }
            for member in self.members(&stored).with("path", &stored.path)? {
                let path = format!("{}/{}", stored.path, member.name);
                let item = Item { stored: stored.clone(), member: Some(member) };
                self.found.insert(path, item);
            }
        }
        if let Some(path) = first.filter(|_| self.found.is_empty()) {
            singer::warn!(
                "W-FILE-NOT-READ",
                "no file to read is in archive {path} or in the archives beside it"
            );
        }
        Ok(self.found.keys().cloned().collect())
    }

    fn unfinished(&self) -> Option<&str> {
        self.unfinished.as_deref()
    }

    fn identity(&self, path: &str) -> Result<Identity> {
        self.item(path).map(Item::identity)
    }

    fn open(&self, path: &str) -> Result<Box<dyn StoredFile>> {
        let item = self.item(path)?.clone();
        let file = RemoteFile::open(&self.server, &item.stored.path)?;
        if !same(file.attributes(), item.stored.attributes) {
            return Err(files::failure::changed(path));
        }
        let server = Arc::clone(&self.server);
        Ok(Box::new(Opened { server, path: path.to_owned(), item, file: RefCell::new(Some(file)) }))
    }

    fn is_near(&self) -> bool {
        false
    }
}

impl Remote {
    fn members(&self, stored: &Found) -> Result<Vec<Member>> {
        let file = RemoteFile::open(&self.server, &stored.path)?;
        let size = file.attributes().size;
        self.finder.with_rules(|rules| archive::members(&stored.path, &mut Far(file), size, rules))
    }

    fn item(&self, path: &str) -> Result<&Item> {
        self.found.get(path).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "a file was asked for that was not found")
                .with("path", path)
        })
    }
}

/// A file of the store, opened.
struct Opened {
    server: Arc<Server>,
    path: String,
    item: Item,
    file: RefCell<Option<RemoteFile>>,
}

impl StoredFile for Opened {
    fn identity(&self) -> Identity {
        self.item.identity()
    }

    fn held(&self) -> Result<Identity> {
        self.named()
    }

    fn named(&self) -> Result<Identity> {
        let now = self.server.stat(&self.item.stored.path)?;
        if same(now, self.item.stored.attributes) {
            Ok(self.item.identity())
        } else {
            Err(files::failure::changed(&self.path))
        }
    }

    fn codec(&self) -> Codec {
        Codec::of(self.path.as_ref())
    }

    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
        let file = self.file.take().ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the bytes of a file were asked for twice")
        })?;
        match &self.item.member {
            None => Ok(Box::new(file)),
            Some(member) => member.inflate(Box::new(Far(file))).with("path", &self.path),
        }
    }
}

/// A file of the server, of which parts are read.
struct Far(RemoteFile);

impl Read for Far {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Parts for Far {
    fn seek_to(&mut self, start: u64, bytes: u64) -> io::Result<()> {
        self.0.seek_to(start, bytes);
        Ok(())
    }
}

fn same(one: Attributes, other: Attributes) -> bool {
    one.size == other.size && one.modified == other.modified
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_as_old_where_no_clock_can_be_the_reason() {
        let window = Duration::from_secs(5);
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let hour = Duration::from_hours(1);
        let check = |modified: SystemTime, expected: Rest| {
            assert_eq!(Rest::of(modified, now, window), expected, "{modified:?}");
        };
        check(now, Rest::Young);
        check(now - window / 2, Rest::Young);
        check(now + window / 2, Rest::Young);
        check(now - window, Rest::Unknown);
        check(now - hour, Rest::Unknown);
        check(now - 14 * hour, Rest::Unknown);
        check(now + hour, Rest::Unknown);
        check(now + 50_000 * hour, Rest::Unknown);
        check(now - 25 * hour, Rest::Old);
        check(now - 100_000 * hour, Rest::Old);
        check(SystemTime::UNIX_EPOCH, Rest::Unknown);
        check(SystemTime::UNIX_EPOCH + Duration::from_hours(87648), Rest::Unknown);
    }
}
