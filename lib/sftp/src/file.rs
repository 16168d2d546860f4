//! A file on the server, read from one byte to another: ahead of its reader, and on after a cut.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use singer::{Error, ErrorKind, Result};

use crate::attempt::{Attempt, Failure};
use crate::client::Client;
use crate::packet::{self, Attributes, FileKind};
use crate::server::Server;

/// What is asked for at once. A server may give less.
const BLOCK_BYTES: u32 = 128 << 10;
const BLOCK_BYTES_MIN: u32 = 4 << 10;
/// How much is asked for ahead: little at first, for some only want the header.
const AHEAD_FIRST: u64 = 256 << 10;
const AHEAD_MAX: u64 = 4 << 20;

/// A regular file on a server, open for reading.
pub struct RemoteFile {
    server: Arc<Server>,
    path: String,
    attributes: Attributes,
    handle: Option<(u64, Vec<u8>)>,
    /// The packet being handed out, and from where.
    packet: Vec<u8>,
    from: usize,
    /// Where the next packet begins in the file, and where reading ends.
    offset: u64,
    end: u64,
    asked: VecDeque<Asked>,
    /// Up to where bytes were asked for.
    asked_to: u64,
    ahead: u64,
    block: u32,
}

/// Bytes asked for.
struct Asked {
    number: u32,
    offset: u64,
    bytes: u32,
}

impl RemoteFile {
    /// Opens a file.
    ///
    /// Fails with `NoInput`, `Denied`, `Unavailable`, `Temporary`, and with `Config` for all but a
    /// regular file.
    pub fn open(server: &Arc<Server>, path: &str) -> Result<Self> {
        let opened = server.with(|client, generation| {
            let handle = client.open(path)?;
            let attributes = client.fstat(&handle, path)?;
            Ok((generation, handle, attributes))
        });
        let (generation, handle, attributes) = opened?;
        if attributes.kind != FileKind::File {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot read a path that is not a regular file",
            )
            .with("path", path));
        }
        Ok(Self {
            server: Arc::clone(server),
            path: path.to_owned(),
            attributes,
            handle: Some((generation, handle)),
            packet: Vec::new(),
            from: 0,
            offset: 0,
            end: attributes.size,
            asked: VecDeque::new(),
            asked_to: 0,
            ahead: AHEAD_FIRST,
            block: BLOCK_BYTES,
        })
    }

    /// Returns what the file was when it was opened.
    pub fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// Reads a part of the file alone, from here on.
    pub fn seek_to(&mut self, start: u64, bytes: u64) {
        let asked: Vec<u32> = self.asked.drain(..).map(|asked| asked.number).collect();
        if let Some((generation, _)) = &self.handle {
            self.server.with_same(*generation, |client| {
                for number in asked {
                    client.abandon(number);
                }
            });
        }
        self.end = start.saturating_add(bytes).min(self.attributes.size);
        self.offset = start.min(self.end);
        self.asked_to = self.offset;
        self.packet.clear();
        self.from = 0;
        self.ahead = AHEAD_FIRST;
    }

    /// Waits for the next packet of bytes.
    fn next(&mut self, client: &mut Client, generation: u64) -> Attempt<()> {
        let handle = self.handle(client, generation)?;
        while self.asked_to < self.end && self.asked_to - self.offset < self.ahead {
            let bytes = u64::from(self.block).min(self.end - self.asked_to);
            let bytes = u32::try_from(bytes).unwrap_or(self.block);
            let number = client.ask(&handle, self.asked_to, bytes)?;
            self.asked.push_back(Asked { number, offset: self.asked_to, bytes });
            self.asked_to += u64::from(bytes);
        }
        let Some(Asked { number, offset, bytes }) = self.asked.pop_front() else {
            return Err(packet::broken("a file that ends and does not").into());
        };
        let Some(packet) = client.bytes(number, &self.path)? else {
            return Err(self.changed("it is shorter").into());
        };
        let given = u32::try_from(packet::data(&packet)?.len()).unwrap_or(u32::MAX);
        if given == 0 || given > bytes {
            return Err(packet::broken("other bytes than requested")
                .with("path", &self.path)
                .into());
        }
        if given < bytes {
            // It gives no more at once: ask for the rest, and for no more from now on.
            self.block = given.clamp(BLOCK_BYTES_MIN, self.block);
            let (offset, bytes) = (offset + u64::from(given), bytes - given);
            let number = client.ask(&handle, offset, bytes)?;
            self.asked.push_front(Asked { number, offset, bytes });
        }
        client.give_back(std::mem::replace(&mut self.packet, packet));
        self.from = packet::DATA_START;
        self.offset = offset + u64::from(given);
        self.ahead = (self.ahead * 2).min(AHEAD_MAX);
        Ok(())
    }

    /// Returns the handle; opens the file again on a new connection, if it still is the same.
    fn handle(&mut self, client: &mut Client, generation: u64) -> Attempt<Vec<u8>> {
        if let Some((of, handle)) = &self.handle
            && *of == generation
        {
            return Ok(handle.clone());
        }
        let handle = client.open(&self.path)?;
        let attributes = client.fstat(&handle, &self.path)?;
        if attributes != self.attributes {
            return Err(Failure::Refused(self.changed("after the reconnect it is another file")));
        }
        if !self.goes_on(client, &handle)? {
            return Err(Failure::Refused(self.changed("after the reconnect it has other bytes")));
        }
        self.asked.clear();
        self.asked_to = self.offset;
        self.handle = Some((generation, handle.clone()));
        Ok(handle)
    }

    /// Tells whether the file has the bytes that were read of it last.
    ///
    /// The rule: a file goes on where it stopped only if the bytes before are those that were read,
    /// for a server does not number its files, and another one may have their size and time.
    fn goes_on(&self, client: &mut Client, handle: &[u8]) -> Attempt<bool> {
        let mut read = self.packet.get(packet::DATA_START..).unwrap_or_default();
        while !read.is_empty() {
            let bytes = u32::try_from(read.len()).unwrap_or(self.block).min(self.block);
            let number = client.ask(handle, self.offset - read.len() as u64, bytes)?;
            let Some(packet) = client.bytes(number, &self.path)? else { return Ok(false) };
            let given = packet::data(&packet)?;
            if given.is_empty() || !read.starts_with(given) {
                return Ok(false);
            }
            read = &read[given.len()..];
            client.give_back(packet);
        }
        Ok(true)
    }

    fn changed(&self, how: &str) -> Error {
        Error::new(ErrorKind::Temporary, "cannot read a file that changed while it was read")
            .with("path", &self.path)
            .with("change", how)
            .hint(
                "run again after its writer has finished; a writer should use another name and \
                   rename the file at the end",
            )
    }
}

impl Read for RemoteFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.from >= self.packet.len() {
            if self.offset >= self.end {
                return Ok(0);
            }
            let server = Arc::clone(&self.server);
            let read = server.with(|client, generation| self.next(client, generation));
            read.map_err(io::Error::other)?;
        }
        let rest = &self.packet[self.from..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.from += bytes;
        Ok(bytes)
    }
}

impl Drop for RemoteFile {
    fn drop(&mut self) {
        let Some((generation, handle)) = self.handle.take() else { return };
        let asked = std::mem::take(&mut self.asked);
        self.server.with_same(generation, |client| {
            for asked in asked {
                client.abandon(asked.number);
            }
            let _ = client.close(&handle);
        });
    }
}
