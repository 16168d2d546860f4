//! Packets of version 3 of the SFTP protocol, as far as reading needs them. Pure.

use std::time::{Duration, SystemTime};

use singer::{Error, ErrorKind, Result};

pub(crate) const INIT: u8 = 1;
pub(crate) const VERSION: u8 = 2;
pub(crate) const OPEN: u8 = 3;
pub(crate) const CLOSE: u8 = 4;
pub(crate) const READ: u8 = 5;
pub(crate) const FSTAT: u8 = 8;
pub(crate) const OPENDIR: u8 = 11;
pub(crate) const READDIR: u8 = 12;
pub(crate) const REALPATH: u8 = 16;
pub(crate) const STAT: u8 = 17;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

/// No server may send more in one packet: names of a folder come in several.
const PACKET_BYTES_MAX: usize = 1 << 20;
/// The protocol has no longer handles.
const HANDLE_BYTES_MAX: usize = 256;
/// No system has longer paths, and no server more to say.
const NAME_BYTES_MAX: usize = 64 << 10;
const WORDS_MAX: usize = 1000;
/// Larger packets give their memory back, as few are so large.
const SPARE_BYTES_MAX: usize = 256 << 10;
/// Where the bytes of a file begin in a packet of them.
pub(crate) const DATA_START: usize = 9;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its last change, in whole seconds; the epoch where the server does not say.
    pub modified: SystemTime,
}

/// What lies under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, pipe or socket.
    Other,
}

/// An entry of a folder; its name is what bytes the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name, or the path where a path was asked for.
    pub name: Vec<u8>,
    /// What the server says of it without following links.
    pub attributes: Attributes,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Status(u32, String),
    Handle(Vec<u8>),
    /// The bytes from [`DATA_START`] on.
    Data,
    Names(Vec<Name>),
    Attributes(Attributes),
}

/// Appends a request: its number, then what `body` appends.
pub(crate) fn request(out: &mut Vec<u8>, kind: u8, number: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&number.to_be_bytes());
    body(out);
    let bytes = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&bytes.to_be_bytes());
}

/// Appends a string: its length, then its bytes.
pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Cuts a stream of bytes into packets, without their lengths.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    head: Vec<u8>,
    packet: Vec<u8>,
    wanted: usize,
    spare: Vec<Vec<u8>>,
}

impl Assembler {
    /// Takes bytes; returns the packet they complete and how many of them it took.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(Option<Vec<u8>>, usize)> {
        let mut taken = 0;
        if self.wanted == 0 {
            taken = bytes.len().min(4 - self.head.len());
            self.head.extend_from_slice(&bytes[..taken]);
            let Ok(length) = <[u8; 4]>::try_from(self.head.as_slice()) else {
                return Ok((None, taken));
            };
            self.head.clear();
            self.wanted = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if self.wanted == 0 || self.wanted > PACKET_BYTES_MAX {
                return Err(broken("a packet of an impossible length"));
            }
            self.packet = self.spare.pop().unwrap_or_default();
            self.packet.reserve_exact(self.wanted);
        }
        let part = (bytes.len() - taken).min(self.wanted - self.packet.len());
        self.packet.extend_from_slice(&bytes[taken..taken + part]);
        taken += part;
        if self.packet.len() < self.wanted {
            return Ok((None, taken));
        }
        self.wanted = 0;
        Ok((Some(std::mem::take(&mut self.packet)), taken))
    }

    /// Takes back the memory of a packet.
    pub(crate) fn give_back(&mut self, mut packet: Vec<u8>) {
        if self.spare.len() < 64 && packet.capacity() <= SPARE_BYTES_MAX {
            packet.clear();
            self.spare.push(packet);
        }
    }
}

/// Returns kind and number of a packet.
pub(crate) fn head(packet: &[u8]) -> Result<(u8, u32)> {
    let mut fields = Fields(packet);
    Ok((fields.byte()?, fields.number()?))
}

/// Reads an answer.
pub(crate) fn reply(packet: &[u8]) -> Result<Reply> {
    let (kind, _) = head(packet)?;
    let mut fields = Fields(&packet[5..]);
    Ok(match kind {
        STATUS => {
            let code = fields.number()?;
            // Servers of the first days send no text.
            let text = fields.string().unwrap_or_default();
            Reply::Status(code, String::from_utf8_lossy(text).chars().take(WORDS_MAX).collect())
        }
        HANDLE => match fields.string()? {
            handle if handle.len() <= HANDLE_BYTES_MAX => Reply::Handle(handle.to_vec()),
            _ => return Err(broken("a handle of an impossible length")),
        },
        DATA => {
            fields.string()?;
            Reply::Data
        }
        NAME => {
            let count = fields.number()?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = fields.string()?.to_vec();
                if name.len() > NAME_BYTES_MAX {
                    return Err(broken("a name of an impossible length"));
                }
                let long = fields.string()?;
                let attributes = fields.attributes(long.first().copied())?;
                names.push(Name { name, attributes });
            }
            Reply::Names(names)
        }
        ATTRS => Reply::Attributes(fields.attributes(None)?),
        _ => return Err(broken("an answer of an unknown kind").with("kind", kind)),
    })
}

/// Returns the bytes of a file in a packet of them.
pub(crate) fn data(packet: &[u8]) -> Result<&[u8]> {
    Fields(packet.get(5..).unwrap_or_default()).string()
}

/// The failure of a server that breaks the protocol.
pub(crate) fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "cannot understand the SFTP server").with("reason", what)
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) =
            self.0.split_at_checked(count).ok_or_else(|| broken("a packet that ends early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Result<u32> {
        self.bytes(4).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a [u8]> {
        let bytes = self.number()?;
        self.bytes(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Reads attributes; without permissions the first letter of the long name tells the kind.
    fn attributes(&mut self, letter: Option<u8>) -> Result<Attributes> {
        let flags = self.number()?;
        let mut size = 0;
        if flags & 1 != 0 {
            size = u64::from(self.number()?) << 32 | u64::from(self.number()?);
        }
        if flags & 2 != 0 {
            self.bytes(8)?;
        }
        let mode = if flags & 4 != 0 { self.number()? & 0o170_000 } else { 0 };
        let mut modified = 0;
        if flags & 8 != 0 {
            self.number()?;
            modified = self.number()?;
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.string()?;
                self.string()?;
            }
        }
        let kind = match (mode, letter) {
            (0o100_000, _) | (0, Some(b'-') | None) => FileKind::File,
            (0o040_000, _) | (0, Some(b'd')) => FileKind::Folder,
            (0o120_000, _) | (0, Some(b'l')) => FileKind::Link,
            _ => FileKind::Other,
        };
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(modified));
        Ok(Attributes { kind, size, modified })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, body: &[&[u8]]) -> Vec<u8> {
        [&[kind, 0, 0, 0, 7][..], &body.concat()].concat()
    }

    #[test]
    fn requests_carry_their_length() {
        let mut out = b"x".to_vec();
        request(&mut out, STAT, 258, |out| string(out, b"a/b"));
        assert_eq!(out, b"x\0\0\0\x0c\x11\0\0\x01\x02\0\0\0\x03a/b");
    }

    #[test]
    fn packets_come_together_from_any_pieces() {
        let stream: Vec<u8> = [&b"\0\0\0\x03abc\0\0\0\x01d"[..], b"\0\0\0\x02ef"].concat();
        for piece in 1..stream.len() {
            let mut assembler = Assembler::default();
            let mut packets = Vec::new();
            for bytes in stream.chunks(piece) {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let (packet, taken) = assembler.take(rest).unwrap();
                    packets.extend(packet);
                    rest = &rest[taken..];
                }
            }
            assert_eq!(packets, [&b"abc"[..], b"d", b"ef"], "{piece}");
        }
        assert!(Assembler::default().take(b"\0\0\0\0").is_err());
        assert!(Assembler::default().take(b"HTTP").is_err());
    }

    #[test]
    fn reads_answers() {
        let check = |kind, body: &[&[u8]], expected: Reply| {
            assert_eq!(reply(&packet(kind, body)).unwrap(), expected);
        };
        check(STATUS, &[b"\0\0\0\x02", b"\0\0\0\x02no"], Reply::Status(2, "no".to_owned()));
        check(STATUS, &[b"\0\0\0\x01"], Reply::Status(1, String::new()));
        check(HANDLE, &[b"\0\0\0\x02\xff\0"], Reply::Handle(vec![0xff, 0]));
        check(DATA, &[b"\0\0\0\x01x"], Reply::Data);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let attributes = |kind, size, seconds| Attributes { kind, size, modified: at(seconds) };
        let all = b"\0\0\0\x0f\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\x81\xa4\0\0\0\x05\0\0\0\x09";
        let expected = attributes(FileKind::File, (1 << 32) + 2, 9);
        check(ATTRS, &[all], Reply::Attributes(expected));
        let folder = b"\0\0\0\x01\0\0\0\x01\xe9\0\0\0\x04drwx\0\0\0\0";
        let expected = Name { name: vec![0xe9], attributes: attributes(FileKind::Folder, 0, 0) };
        check(NAME, &[folder], Reply::Names(vec![expected]));
    }

    #[test]
    fn refuses_packets_that_lie_about_their_parts() {
        for (kind, body) in [
            (HANDLE, &b"\xff\xff\xff\xffx"[..]),
            (NAME, b"\xff\xff\xff\xff"),
            (ATTRS, b"\0\0\0\x01\0"),
            (DATA, b"\0\0\0\x02x"),
            (7, b""),
            (HANDLE, &[&[0, 0, 1, 1][..], &[7; 257]].concat()),
        ] {
            assert_eq!(reply(&packet(kind, &[body])).unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert!(reply(b"").is_err());
        assert!(reply(b"\x65\0\0").is_err());
    }
}
