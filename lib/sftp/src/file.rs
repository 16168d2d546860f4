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
    end_known: End,
}

/// Whether the file ends where its size says: some servers tell a size that is not that of the
/// bytes they give, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was not asked yet.
    Open,
    /// A byte behind it was asked for.
    Asked(u32),
    /// It does, or only a part is read.
    Known,
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
            end_known: End::Open,
        })
    }

    /// Returns what the file was when it was opened.
    pub fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// Reads a part of the file alone, from here on.
    pub fn seek_to(&mut self, start: u64, bytes: u64) {
        let asked = self.drain_asked();
        if let Some((generation, _)) = &self.handle {
            self.server.with_same(*generation, |client| {
                for number in asked {
                    client.abandon(number);
                }
            });
        }
        self.end_known = End::Known;
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
            let number = match client.ask(&handle, self.asked_to, bytes) {
                // What was asked for before the cut may have arrived.
                Err(failure) if failure.is_lost() && !self.asked.is_empty() => break,
                asked => asked?,
            };
            self.asked.push_back(Asked { number, offset: self.asked_to, bytes });
            self.asked_to += u64::from(bytes);
        }
        if self.asked_to >= self.end && self.end_known == End::Open {
            match client.ask(&handle, self.end, 1) {
                Err(failure) if failure.is_lost() && !self.asked.is_empty() => {}
                asked => self.end_known = End::Asked(asked?),
            }
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

    /// Refuses a file with bytes behind its end.
    fn check_end(&mut self, client: &mut Client, generation: u64) -> Attempt<()> {
        let handle = self.handle(client, generation)?;
        let number = match self.end_known {
            End::Asked(number) => number,
            End::Open => client.ask(&handle, self.end, 1)?,
            End::Known => return Ok(()),
        };
        if client.bytes(number, &self.path)?.is_some() {
            if client.fstat(&handle, &self.path)?.size != self.attributes.size {
                return Err(self.changed("it is longer").into());
            }
            let message = "cannot read a file that has more bytes than its size says";
            return Err(Error::new(ErrorKind::Temporary, message)
                .with("path", &self.path)
                .with("size", self.end)
                .hint(
                    "run again after its writer has finished; if this does not help, the server \
                     tells wrong sizes, and must be set to send files as they are stored",
                )
                .into());
        }
        self.end_known = End::Known;
        Ok(())
    }

    /// Takes the numbers of what was asked for.
    fn drain_asked(&mut self) -> Vec<u32> {
        let mut asked: Vec<u32> = self.asked.drain(..).map(|asked| asked.number).collect();
        if let End::Asked(number) = self.end_known {
            asked.push(number);
        }
        asked
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
        if self.end_known != End::Known {
            self.end_known = End::Open;
        }
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
            let server = Arc::clone(&self.server);
            if self.offset >= self.end {
                if self.end_known != End::Known {
                    let ends = server.with(|client, generation| self.check_end(client, generation));
                    ends.map_err(io::Error::other)?;
                }
                return Ok(0);
            }
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
        let asked = self.drain_asked();
        self.server.with_same(generation, |client| {
            for number in asked {
                client.abandon(number);
            }
            let _ = client.close(&handle);
        });
    }
}
