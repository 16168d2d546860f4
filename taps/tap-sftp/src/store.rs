//! The files of a table as a store: those at rest, with the members of archives.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use files::{Codec, Identity, Store, StoredFile};
use jiff::Timestamp;
use sftp::{Attributes, RemoteFile, Server};
use singer::{Context, Error, ErrorKind, Result};

use crate::archive::{self, Member};
use crate::folder::{Finder, Found};

/// A run waits no longer than this for files to come to rest.
const PATIENCE_SECONDS: u64 = 10;

/// Which files are left out by their times.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// How long a file must have been at rest.
    pub seconds: u64,
    /// Files that last changed before this are passed over.
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
            log::info!("passing over {} files from before `start_date`", before - kept.len());
        }
        kept
    }

    /// Leaves out the files that are still being written.
    fn at_rest(&mut self, found: Vec<Found>) -> Result<Vec<Found>> {
        let (rest, left) = self.told_apart(found)?;
        for found in &left {
            singer::warn!(
                "W-FILE-UNFINISHED",
                "leaving {} for the next run: it is still being written",
                found.path
            );
        }
        self.unfinished = left.into_iter().next().map(|found| found.path);
        Ok(rest)
    }

    /// Tells the files at rest from those that are still being written.
    fn told_apart(&self, found: Vec<Found>) -> Result<(Vec<Found>, Vec<Found>)> {
        let seconds = self.waiting.seconds;
        if seconds == 0 {
            return Ok((found, Vec::new()));
        }
        // The protocol does not tell the server's time; it is not before that of its newest file.
        let newest = found.iter().map(|found| found.attributes.modified).max();
        let now = newest.unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::now());
        let window = Duration::from_secs(seconds);
        let is_young = |found: &Found| {
            now.duration_since(found.attributes.modified).is_ok_and(|age| age < window)
        };
        let (young, mut rest): (Vec<_>, Vec<_>) = found.into_iter().partition(is_young);
        if young.is_empty() || seconds > PATIENCE_SECONDS {
            return Ok((rest, young));
        }
        log::info!("waiting {seconds} s to see whether {} new files are at rest", young.len());
        std::thread::sleep(window);
        let mut left = Vec::new();
        for found in young {
            match self.server.stat(&found.path) {
                Ok(attributes) if same(attributes, found.attributes) => rest.push(found),
                Err(failure) if failure.kind() != ErrorKind::NoInput => return Err(failure),
                _ => left.push(found),
            }
        }
        Ok((rest, left))
    }
}

impl Store for Remote {
    fn find(&mut self) -> Result<Vec<String>> {
        let found = self.not_too_old(self.finder.find(&self.server)?);
        self.found.clear();
        for stored in self.at_rest(found)? {
            if !archive::is_one(&stored.path) {
                self.found.insert(stored.path.clone(), Item { stored, member: None });
                continue;
            }
            let members = archive::members(&self.server, &stored, &self.finder);
            for member in members.with("path", &stored.path)? {
                let path = format!("{}/{}", stored.path, member.name);
                let item = Item { stored: stored.clone(), member: Some(member) };
                self.found.insert(path, item);
            }
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
            return Err(files::open::changed(path));
        }
        let server = Arc::clone(&self.server);
        Ok(Box::new(Opened { server, path: path.to_owned(), item, file: RefCell::new(Some(file)) }))
    }

    fn is_near(&self) -> bool {
        false
    }
}

impl Remote {
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
            Err(files::open::changed(&self.path))
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
            Some(member) => member.inflate(file).with("path", &self.path),
        }
    }
}

fn same(one: Attributes, other: Attributes) -> bool {
    one.size == other.size && one.modified == other.modified
}
