//! Requests and answers, one server's connection at a time. Nothing here survives a cut.
//!
//! The server is not trusted: each queue and each loop over what it sends has a bound, and an
//! answer counts only to a request that waits for one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use singer::{Error, ErrorKind};

use crate::attempt::{Attempt, Failure};
use crate::link::Link;
use crate::packet::{self, Assembler, Attributes, Name, Reply};

/// So many lists of names are asked for at once.
const LISTS_AHEAD: usize = 8;
/// What answers may take together that nobody waits for yet: more than is ever asked for ahead.
const ARRIVED_BYTES_MAX: usize = 16 << 20;
/// So many requests may be unanswered that nobody waits for.
const ABANDONED_MAX: usize = 1 << 16;
/// An answer that is not whole after so many times the patience never will be.
const PATIENCE_TIMES: u32 = 10;
/// A server may give so many lists without a name, and this for each name on average.
const EMPTY_LISTS_MAX: usize = 8;
const NAME_BYTES_EACH: usize = 256;
const END_OF_FILE: u32 = 1;
const READABLE: [u8; 4] = [0, 0, 0, 1];

/// The connection, once both sides have said hello.
pub(crate) struct Client {
    link: Link,
    assembler: Assembler,
    rest: Bytes,
    /// Requests whose answer is due, and those whose answer nobody wants any more.
    asked: BTreeSet<u32>,
    abandoned: BTreeSet<u32>,
    /// Answers that nobody has waited for yet, and what they take.
    arrived: BTreeMap<u32, Vec<u8>>,
    arrived_bytes: usize,
    next: u32,
    patience: Duration,
}

impl Client {
    /// Says hello.
    pub(crate) fn start(link: Link, patience: Duration) -> Attempt<Self> {
        let mut this = Self {
            link,
            assembler: Assembler::default(),
            rest: Bytes::new(),
            asked: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            arrived: BTreeMap::new(),
            arrived_bytes: 0,
            next: 0,
            patience,
        };
        let mut hello = Vec::new();
        packet::request(&mut hello, packet::INIT, 3, |_| {});
        this.link.send(hello)?;
        let packet = this.next_packet(Instant::now())?;
        match packet::head(&packet)? {
            (packet::VERSION, 3..) => Ok(this),
            _ => Err(packet::broken("its answer is not valid SFTP").into()),
        }
    }

    /// Looks at what a path leads to.
    pub(crate) fn stat(&mut self, path: &str) -> Attempt<Attributes> {
        self.attributes(packet::STAT, path.as_bytes(), path)
    }

    /// Looks at an open file.
    pub(crate) fn fstat(&mut self, handle: &[u8], path: &str) -> Attempt<Attributes> {
        self.attributes(packet::FSTAT, handle, path)
    }

    /// Returns the absolute path without links.
    pub(crate) fn real_path(&mut self, path: &str) -> Attempt<Vec<u8>> {
        match self.call(packet::REALPATH, path.as_bytes())? {
            Reply::Names(names) if names.len() == 1 => {
                Ok(names.into_iter().next().map(|name| name.name).unwrap_or_default())
            }
            other => Err(unexpected(other, "cannot find the path on the server", path)),
        }
    }

    /// Opens a file for reading.
    pub(crate) fn open(&mut self, path: &str) -> Attempt<Vec<u8>> {
        let number = self.send(packet::OPEN, |out| {
            packet::string(out, path.as_bytes());
            out.extend_from_slice(&READABLE);
            out.extend_from_slice(&[0; 4]);
        })?;
        self.handle(number, "cannot open the file on the server", path)
    }

    /// Closes a handle; nobody waits for the answer.
    pub(crate) fn close(&mut self, handle: &[u8]) -> Attempt<()> {
        let number = self.send(packet::CLOSE, |out| packet::string(out, handle))?;
        self.abandon(number);
        Ok(())
    }

    /// Lists a folder; fails beyond so many names.
    pub(crate) fn list(&mut self, path: &str, names_max: usize) -> Attempt<Vec<Name>> {
        let message = "cannot list the folder on the server";
        let number = self.send(packet::OPENDIR, |out| packet::string(out, path.as_bytes()))?;
        let handle = self.handle(number, message, path)?;
        let mut asked = VecDeque::new();
        let mut names = Vec::new();
        let (mut bytes, mut empty) = (0, 0);
        let read = loop {
            while asked.len() < LISTS_AHEAD {
                let body = |out: &mut Vec<u8>| packet::string(out, &handle);
                asked.push_back(self.send(packet::READDIR, body)?);
            }
            let Some(number) = asked.pop_front() else { break Ok(()) };
            match self.answer(number)? {
                Reply::Names(more) => {
                    bytes += more.iter().map(|name| name.name.len()).sum::<usize>();
                    empty += usize::from(more.is_empty());
                    names.extend(more);
                }
                Reply::Status(END_OF_FILE, _) => break Ok(()),
                other => break Err(unexpected(other, message, path)),
            }
            if names.len() > names_max || bytes / NAME_BYTES_EACH > names_max {
                break Err(too_many(path, names_max));
            }
            if empty > EMPTY_LISTS_MAX {
                break Err(packet::broken("a folder without an end").with("path", path).into());
            }
        };
        for number in asked {
            self.abandon(number);
        }
        self.close(&handle)?;
        read.map(|()| names)
    }

    /// Asks for bytes of an open file.
    pub(crate) fn ask(&mut self, handle: &[u8], offset: u64, bytes: u32) -> Attempt<u32> {
        self.send(packet::READ, |out| {
            packet::string(out, handle);
            out.extend_from_slice(&offset.to_be_bytes());
            out.extend_from_slice(&bytes.to_be_bytes());
        })
    }

    /// Waits for bytes that were asked for: the packet they are in, `None` at the end of the file.
    pub(crate) fn bytes(&mut self, number: u32, path: &str) -> Attempt<Option<Vec<u8>>> {
        let packet = self.wait(number)?;
        match packet::reply(&packet)? {
            Reply::Data => Ok(Some(packet)),
            Reply::Status(END_OF_FILE, _) => Ok(None),
            other => Err(unexpected(other, "cannot read the file on the server", path)),
        }
    }

    /// Takes back the memory of a packet.
    pub(crate) fn give_back(&mut self, packet: Vec<u8>) {
        self.assembler.give_back(packet);
    }

    /// Says that nobody will wait for an answer.
    pub(crate) fn abandon(&mut self, number: u32) {
        if let Some(packet) = self.take_arrived(number) {
            self.give_back(packet);
        } else if self.asked.remove(&number) {
            self.abandoned.insert(number);
        }
    }

    fn attributes(&mut self, kind: u8, of: &[u8], path: &str) -> Attempt<Attributes> {
        match self.call(kind, of)? {
            Reply::Attributes(attributes) => Ok(attributes),
            other => {
                Err(unexpected(other, "cannot read the properties of the file on the server", path))
            }
        }
    }

    fn handle(&mut self, number: u32, message: &str, path: &str) -> Attempt<Vec<u8>> {
        match self.answer(number)? {
            Reply::Handle(handle) => Ok(handle),
            other => Err(unexpected(other, message, path)),
        }
    }

    fn call(&mut self, kind: u8, of: &[u8]) -> Attempt<Reply> {
        let number = self.send(kind, |out| packet::string(out, of))?;
        self.answer(number)
    }

    fn send(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> Attempt<u32> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        if self.abandoned.len() > ABANDONED_MAX {
            return Err(packet::broken("it does not answer some requests").into());
        }
        let mut bytes = Vec::with_capacity(64);
        packet::request(&mut bytes, kind, number, body);
        self.link.send(bytes)?;
        self.asked.insert(number);
        Ok(number)
    }

    fn answer(&mut self, number: u32) -> Attempt<Reply> {
        let packet = self.wait(number)?;
        let reply = packet::reply(&packet)?;
        self.give_back(packet);
        Ok(reply)
    }

    fn wait(&mut self, number: u32) -> Attempt<Vec<u8>> {
        if let Some(packet) = self.take_arrived(number) {
            return Ok(packet);
        }
        let begun = Instant::now();
        loop {
            let packet = self.next_packet(begun)?;
            let (_, of) = packet::head(&packet)?;
            if self.abandoned.remove(&of) {
                self.give_back(packet);
            } else if !self.asked.remove(&of) {
                return Err(packet::broken("it answers a request that was not sent").into());
            } else if of == number {
                return Ok(packet);
            } else {
                self.arrived_bytes += packet.capacity();
                self.arrived.insert(of, packet);
                if self.arrived_bytes > ARRIVED_BYTES_MAX {
                    return Err(packet::broken("it sends more data than was requested").into());
                }
            }
        }
    }

    fn take_arrived(&mut self, number: u32) -> Option<Vec<u8>> {
        let packet = self.arrived.remove(&number)?;
        self.arrived_bytes = self.arrived_bytes.saturating_sub(packet.capacity());
        Some(packet)
    }

    /// Waits for the next packet, for an answer that is waited for since then.
    fn next_packet(&mut self, since: Instant) -> Attempt<Vec<u8>> {
        loop {
            while !self.rest.is_empty() {
                let (packet, taken) = self.assembler.take(&self.rest)?;
                self.rest.advance(taken);
                if let Some(packet) = packet {
                    return Ok(packet);
                }
            }
            if since.elapsed() > self.patience * PATIENCE_TIMES {
                return Err(self.link.too_late(self.patience));
            }
            self.rest = self.link.receive(self.patience)?;
        }
    }
}

/// The failure of a folder with more names than are allowed.
fn too_many(path: &str, names_max: usize) -> Failure {
    let message = "cannot list a folder with this many files";
    Failure::Refused(
        Error::new(ErrorKind::Config, message)
            .with("path", path)
            .with("max_files", names_max)
            .hint("name a smaller folder, or raise `max_files`"),
    )
}

/// Turns an answer that is not the one hoped for into a failure.
fn unexpected(reply: Reply, message: &str, path: &str) -> Failure {
    let Reply::Status(code, text) = reply else {
        return packet::broken("an answer to another question").with("path", path).into();
    };
    let (kind, hint) = match code {
        2 => (
            ErrorKind::NoInput,
            "relative paths start at `user_dir`, or at the folder of the login",
        ),
        3 => (ErrorKind::Denied, "ask the owner of the server for the right to read it"),
        6 | 7 => (ErrorKind::Temporary, "run again later"),
        _ => (ErrorKind::Unavailable, "the server gives no reason"),
    };
    let failure = Error::new(kind, message).with("path", path).hint(hint);
    let failure = if text.is_empty() {
        failure.with("status", code)
    } else {
        failure.with("the server says", text)
    };
    if kind == ErrorKind::Temporary { Failure::Lost(failure) } else { Failure::Refused(failure) }
}
