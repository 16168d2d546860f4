//! The socket under a connection: never blocking, with or without TLS, waits with a timeout.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SendFlags;
use rustls::ClientConnection;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::socket;

/// The size of the read buffer, unless a message needs more.
const INPUT_BYTES: usize = 256 << 10;
/// A buffer that had to grow beyond this is given back once it is empty.
const INPUT_BYTES_KEPT: usize = 4 << 20;
/// Postgres itself refuses messages beyond 1 GiB.
const MESSAGE_BYTES_MAX: usize = (1 << 30) + 64;
/// What is no row of a COPY is an answer to a small question, or a message for people.
const CONTROL_BYTES_MAX: usize = 256 << 20;

enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Read for &Io {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.as_fd(), buffer)?)
    }
}

impl Write for &Io {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.as_fd(), data, SendFlags::NOSIGNAL)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a read without waiting brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    Some,
    Nothing,
    End,
}

/// One connection: buffers of whole messages over a socket.
pub(crate) struct Wire {
    io: Io,
    tls: Option<Box<ClientConnection>>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Messages to send with the next [`Wire::flush`].
    pub output: BytesMut,
    /// How long the peer may stay silent.
    pub timeout: Duration,
    /// When the handshake must be over, however little by little it comes.
    deadline: Option<Instant>,
    /// The largest message to take from the peer.
    pub message_bytes_max: usize,
    /// The largest row of a COPY to take.
    pub row_bytes_max: usize,
    /// Whether only this machine can listen.
    pub local: bool,
    peer: String,
}

/// The context of a failure to hear from the server in time.
const SILENT_SECONDS: &str = "silent_seconds";

/// Tells whether the server was silent for too long.
pub(crate) fn is_timeout(failure: &Error) -> bool {
    failure.context(SILENT_SECONDS).is_some()
}

impl Wire {
    /// Connects to the first address of the host that answers in time: each has all of it.
    pub(crate) fn tcp(host: &str, port: u16, timeout: Duration) -> Result<Self> {
        let peer = format!("{host}:{port}");
        let failed = |cause: io::Error| {
            Error::new(ErrorKind::Temporary, "cannot connect to the Postgres server")
                .with("server", &peer)
                .caused_by(cause)
                .hint("check `host` and `port`, and that the server runs and can be reached")
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in socket::resolve(host, port, timeout).map_err(failed)? {
            let deadline = Instant::now() + timeout;
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(socket) => {
                    socket::keep_alive(&socket).map_err(failed)?;
                    socket.set_nonblocking(true).map_err(failed)?;
                    let local = address.ip().is_loopback();
                    return Ok(Self::new(Io::Tcp(socket), local, peer, (timeout, deadline)));
                }
                Err(cause) => last = cause,
            }
        }
        Err(failed(last))
    }

    /// Connects to the socket of a server on this machine.
    pub(crate) fn unix(folder: &Path, port: u16, timeout: Duration) -> Result<Self> {
        let deadline = Instant::now() + timeout;
        let path = folder.join(format!(".s.PGSQL.{port}"));
        let peer = path.display().to_string();
        let connected = UnixStream::connect(&path).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => Ok(Self::new(Io::Unix(socket), true, peer, (timeout, deadline))),
            Err(cause) => {
                let kind = match cause.kind() {
                    io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                    _ => ErrorKind::Temporary,
                };
                Err(Error::new(kind, "cannot connect to the Postgres server")
                    .with("socket", peer)
                    .caused_by(cause)
                    .hint("check `host` (the folder of the socket) and `port`"))
            }
        }
    }

    fn new(io: Io, local: bool, peer: String, limits: (Duration, Instant)) -> Self {
        let (timeout, deadline) = limits;
        Self {
            io,
            tls: None,
            input: Vec::new(),
            start: 0,
            end: 0,
            output: BytesMut::new(),
            timeout,
            deadline: Some(deadline),
            message_bytes_max: MESSAGE_BYTES_MAX,
            row_bytes_max: MESSAGE_BYTES_MAX,
            local,
            peer,
        }
    }

    /// Lifts the limits of the handshake.
    pub(crate) fn established(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.deadline = None;
        self.message_bytes_max = MESSAGE_BYTES_MAX;
    }

    /// Tells whether nobody on the way can read along.
    pub(crate) fn is_private(&self) -> bool {
        self.local || self.tls.is_some()
    }

    /// Tells whether the connection is encrypted.
    pub(crate) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads the one byte that answers a request for TLS.
    pub(crate) fn answer(&mut self) -> Result<u8> {
        let mut byte = [0];
        loop {
            match (&self.io).read(&mut byte) {
                Ok(0) => return Err(self.closed()),
                Ok(_) => return Ok(byte[0]),
                Err(cause) if passing(&cause) => self.wait_or_fail(PollFlags::IN)?,
                Err(cause) => return Err(self.broke(cause)),
            }
        }
    }

    /// Does the TLS handshake.
    pub(crate) fn start_tls(&mut self, mut tls: ClientConnection) -> Result<()> {
        tls.set_buffer_limit(None);
        while tls.is_handshaking() || tls.wants_write() {
            let mut wanted = PollFlags::empty();
            while tls.wants_write() {
                match tls.write_tls(&mut &self.io) {
                    Ok(_) => {}
                    Err(cause) if passing(&cause) => {
                        wanted |= PollFlags::OUT;
                        break;
                    }
                    Err(cause) => return Err(self.broke(cause)),
                }
            }
            if !tls.is_handshaking() {
                break;
            }
            match tls.read_tls(&mut &self.io) {
                Ok(0) => return Err(self.closed()),
                Ok(_) => {
                    self.check_deadline()?;
                    if let Err(cause) = tls.process_new_packets() {
                        // The alert that tells the peer why is worth one try.
                        let _ = tls.write_tls(&mut &self.io);
                        return Err(crate::tls::refused(cause).with("server", &self.peer));
                    }
                }
                Err(cause) if passing(&cause) => self.wait_or_fail(wanted | PollFlags::IN)?,
                Err(cause) => return Err(self.broke(cause)),
            }
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Sends all output; takes in what the peer says meanwhile, so that neither waits forever.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            let queued = tls.writer().write_all(&self.output);
            self.output.clear();
            queued.map_err(|cause| self.broke(cause))?;
        }
        let mut sent = 0;
        loop {
            let step = match &mut self.tls {
                Some(tls) if tls.wants_write() => tls.write_tls(&mut &self.io).map(|_| 0),
                None if sent < self.output.len() => {
                    rustix::net::send(&self.io, &self.output[sent..], SendFlags::NOSIGNAL)
                        .map_err(io::Error::from)
                }
                _ => break,
            };
            match step {
                Ok(bytes) => sent += bytes,
                Err(cause) if passing(&cause) => {
                    let ready = self.wait_or_fail_for(PollFlags::IN | PollFlags::OUT)?;
                    if ready.contains(PollFlags::IN) && self.fill()? == Filled::End {
                        return Err(self.closed());
                    }
                }
                Err(cause) => return Err(self.broke(cause)),
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Fails once a handshake has taken too long.
    fn check_deadline(&self) -> Result<()> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(self.silent()),
            _ => Ok(()),
        }
    }

    /// Returns the type and payload of the next message, waiting for it; the payload stays valid
    /// until the next call.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<(u8, Range<usize>)> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            match self.fill()? {
                Filled::Some => self.check_deadline()?,
                Filled::Nothing => self.wait_or_fail(PollFlags::IN)?,
                Filled::End => return Err(self.closed()),
            }
        }
    }

    /// Tells whether a whole message is there, waiting for it at most so long.
    #[inline]
    pub(crate) fn ready(&mut self, timeout: Duration) -> Result<bool> {
        if self.has_message()? { Ok(true) } else { self.await_message(timeout) }
    }

    fn await_message(&mut self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        while !self.has_message()? {
            match self.fill()? {
                Filled::Some => {}
                // The next read reports the end.
                Filled::End => return Ok(true),
                Filled::Nothing => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() || self.wait(PollFlags::IN, left)?.is_empty() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Returns a message that is there already.
    #[inline]
    pub(crate) fn buffered(&mut self) -> Result<Option<(u8, Range<usize>)>> {
        let Some(length) = self.length()? else { return Ok(None) };
        if self.end - self.start < length {
            return Ok(None);
        }
        let start = self.start;
        self.start += length;
        Ok(Some((self.input[start], start + 5..self.start)))
    }

    /// Returns bytes of the input by the range a message was returned with.
    #[inline]
    pub(crate) fn payload(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Makes the failure for a peer that sent something else than Postgres would.
    pub(crate) fn garbled(&self) -> Error {
        Error::new(ErrorKind::Unavailable, "cannot understand the server's answer")
            .with("server", &self.peer)
            .hint("check that `host` and `port` are those of a Postgres server")
    }

    fn closed(&self) -> Error {
        Error::new(
            ErrorKind::Temporary,
            "cannot continue: the Postgres server closed the connection",
        )
        .with("server", &self.peer)
        .hint("read the log of the server; run again after it has started")
    }

    fn broke(&self, cause: io::Error) -> Error {
        Error::new(ErrorKind::Temporary, "cannot continue: the connection to Postgres broke")
            .with("server", &self.peer)
            .caused_by(cause)
    }

    #[inline]
    fn has_message(&self) -> Result<bool> {
        Ok(self.length()?.is_some_and(|length| self.end - self.start >= length))
    }

    /// Returns the length of the message that starts the input, type and length included.
    #[inline]
    fn length(&self) -> Result<Option<usize>> {
        let Some(&[_, a, b, c, d]) = self.input[self.start..self.end].first_chunk::<5>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let copied = self.input[self.start] == b'd';
        let most = if copied { MESSAGE_BYTES_MAX } else { CONTROL_BYTES_MAX };
        if !(4..=self.message_bytes_max.min(most)).contains(&length) {
            return Err(self.garbled());
        }
        if copied && length > self.row_bytes_max {
            return Err(Error::new(ErrorKind::Data, "a row is larger than the limit")
                .with("bytes of COPY text", length - 4));
        }
        Ok(Some(length + 1))
    }

    /// Reads what there is without waiting.
    fn fill(&mut self) -> Result<Filled> {
        self.make_room()?;
        let room = &mut self.input[self.end..];
        let read = match &mut self.tls {
            None => (&self.io).read(room),
            Some(tls) => read_tls(tls, &self.io, room),
        };
        match read {
            Ok(0) => Ok(Filled::End),
            Ok(bytes) => {
                self.end += bytes;
                Ok(Filled::Some)
            }
            Err(cause) if passing(&cause) => Ok(Filled::Nothing),
            Err(cause) => Err(self.broke(cause)),
        }
    }

    fn make_room(&mut self) -> Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.input.len() > INPUT_BYTES_KEPT {
                self.input = Vec::new();
            }
        } else if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.input.len() {
            // Grows with what has arrived, not with what a length field claims.
            let wanted = self.length()?.unwrap_or(0);
            let doubled = (self.input.len() * 2).max(INPUT_BYTES);
            let size = if wanted > self.input.len() { doubled.min(wanted) } else { doubled };
            self.input.resize(size.max(INPUT_BYTES), 0);
        }
        Ok(())
    }

    fn wait_or_fail(&self, flags: PollFlags) -> Result<()> {
        self.wait_or_fail_for(flags).map(drop)
    }

    fn wait_or_fail_for(&self, flags: PollFlags) -> Result<PollFlags> {
        let left = self.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let ready = self.wait(flags, left.unwrap_or(self.timeout))?;
        if ready.is_empty() { Err(self.silent()) } else { Ok(ready) }
    }

    fn silent(&self) -> Error {
        Error::new(ErrorKind::Temporary, "cannot wait any longer for the Postgres server")
            .with("server", &self.peer)
            .with(SILENT_SECONDS, self.timeout.as_secs())
            .hint(
                "check the network and the load of the server; `connect_timeout_seconds` and \
                 `read_timeout_seconds` set how long to wait",
            )
    }

    /// Waits for the socket; returns nothing when time is up.
    fn wait(&self, flags: PollFlags, timeout: Duration) -> Result<PollFlags> {
        let deadline = Instant::now() + timeout;
        loop {
            let mut fds = [PollFd::new(&self.io, flags)];
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).or_kind(ErrorKind::Internal, "cannot wait")?;
            match rustix::event::poll(&mut fds, Some(&left)) {
                Ok(0) => return Ok(PollFlags::empty()),
                // A hang-up wakes up as well: the read that follows tells.
                Ok(_) => return Ok(fds[0].revents() | (flags & PollFlags::IN)),
                Err(rustix::io::Errno::INTR) => {}
                Err(cause) => return Err(self.broke(cause.into())),
            }
        }
    }
}

/// Tells whether trying again later is all it needs.
fn passing(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Reads plain text from a TLS session without waiting.
fn read_tls(tls: &mut ClientConnection, io: &Io, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        match tls.reader().read(&mut room[filled..]) {
            Ok(0) => return Ok(filled),
            Ok(bytes) => {
                filled += bytes;
                if filled == room.len() {
                    return Ok(filled);
                }
                continue;
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) if filled > 0 => return Ok(filled),
            Err(cause) => return Err(cause),
        }
        match tls.read_tls(&mut &*io) {
            Ok(_) => {
                tls.process_new_packets()
                    .map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
            }
            Err(_) if filled > 0 => return Ok(filled),
            Err(cause) => return Err(cause),
        }
    }
}
