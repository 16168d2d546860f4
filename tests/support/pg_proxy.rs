//! A proxy that knows the messages of Postgres: it cuts a connection at a COMMIT, or after so many
//! bytes of either side.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens, once; everything else passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// At this COMMIT of all, from 1.
    Commit(usize, Moment),
    /// After so many bytes from the client, on this connection of all, from 1.
    Client(usize, usize),
    /// After so many bytes from the server.
    Server(usize, usize),
    /// The same, by a reset instead of an orderly end.
    Reset(usize, usize),
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the server gets the COMMIT.
    Unsent,
    /// The same, but the server does not learn that the client has gone.
    Held,
    /// When the server has a part of the COMMIT.
    Torn,
    /// When the server has got it.
    Sent,
    /// When the server has answered; the client does not get the answer.
    Answered,
    /// The same, and the server is then not to be reached for good.
    AnsweredForGood,
}

/// All moments but the last.
pub const MOMENTS: [Moment; 5] =
    [Moment::Unsent, Moment::Held, Moment::Torn, Moment::Sent, Moment::Answered];

/// A running proxy on 127.0.0.1; it refuses connections when it is dropped.
pub struct PgProxy {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    socket: PathBuf,
    fault: Fault,
    /// Runs when the fault at a COMMIT happens, before the client learns of it.
    meanwhile: Box<dyn Fn() + Send + Sync>,
    /// The COMMITs so far.
    commits: AtomicUsize,
    /// Bytes from the client and from the server, by connection.
    bytes: Mutex<Vec<[usize; 2]>>,
    happened: AtomicBool,
    ended: AtomicBool,
}

impl PgProxy {
    /// Starts a proxy to the socket of a server.
    pub fn start(socket: &Path, fault: Fault) -> Self {
        Self::start_with(socket, fault, || {})
    }

    /// The same; does something more when a fault at a COMMIT happens, before the client learns of
    /// it.
    pub fn start_with(
        socket: &Path,
        fault: Fault,
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            socket: socket.to_owned(),
            fault,
            meanwhile: Box::new(meanwhile),
            commits: AtomicUsize::new(0),
            bytes: Mutex::default(),
            happened: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        let carried = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let cut_off = carried.happened()
                    && matches!(carried.fault, Fault::Commit(_, Moment::AnsweredForGood));
                if carried.ended.load(Ordering::Relaxed) || cut_off {
                    return;
                }
                let Ok(client) = client else { continue };
                let Ok(server) = UnixStream::connect(&carried.socket) else { continue };
                carried.carry(client, server);
            }
        });
        Self { port, shared }
    }

    /// Returns how many COMMITs came by.
    pub fn commits(&self) -> usize {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Returns the bytes from the client and from the server, by connection.
    pub fn bytes(&self) -> Vec<[usize; 2]> {
        self.shared.bytes.lock().unwrap().clone()
    }

    /// Tells whether the fault happened.
    pub fn happened(&self) -> bool {
        self.shared.happened()
    }
}

impl Drop for PgProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which then closes its socket.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Both ends of a connection; they close once both directions are done with them.
struct Ends {
    client: TcpStream,
    server: UnixStream,
    /// The server's next words are not passed on: they end the connection.
    mute: AtomicBool,
    /// The other direction cuts the connection.
    cutting: AtomicBool,
}

impl Ends {
    fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn happened(&self) -> bool {
        self.happened.load(Ordering::Relaxed)
    }

    fn carry(self: &Arc<Self>, client: TcpStream, server: UnixStream) {
        let number = {
            let mut bytes = self.bytes.lock().unwrap();
            bytes.push([0, 0]);
            bytes.len()
        };
        let ends = Arc::new(Ends {
            client,
            server,
            mute: AtomicBool::new(false),
            cutting: AtomicBool::new(false),
        });
        let (shared, both) = (Arc::clone(self), Arc::clone(&ends));
        std::thread::spawn(move || {
            // An end in the middle of a message is one.
            let held = shared.to_server(number, &both).unwrap_or(false);
            if held {
                let _ = both.client.shutdown(Shutdown::Both);
                while !shared.ended.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            let _ = both.server.shutdown(Shutdown::Write);
        });
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            let left = shared.to_client(number, &ends).unwrap_or(false);
            if !left {
                // Not `Both`: what is not read yet would become a reset.
                let _ = ends.client.shutdown(Shutdown::Write);
                let _ = ends.server.shutdown(Shutdown::Both);
            }
        });
    }

    /// Passes messages on; tells whether the server is to be held.
    fn to_server(&self, number: usize, ends: &Ends) -> io::Result<bool> {
        let mut first = true;
        loop {
            let message = message(&ends.client, first)?;
            first = false;
            if let Some(left) = self.take(number, 0, message.len()) {
                let _ = (&ends.server).write_all(&message[..left]);
                ends.cut();
                return Ok(false);
            }
            if message.get(5..) == Some(b"COMMIT\0") {
                let nth = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
                if let Fault::Commit(at, moment) = self.fault
                    && at == nth
                {
                    self.happened.store(true, Ordering::Relaxed);
                    if moment == Moment::Held {
                        return Ok(true);
                    }
                    self.cut_at(&message, moment, ends)?;
                    continue;
                }
            }
            (&ends.server).write_all(&message)?;
        }
    }

    fn cut_at(&self, commit: &[u8], moment: Moment, ends: &Ends) -> io::Result<()> {
        let answered = matches!(moment, Moment::Answered | Moment::AnsweredForGood);
        ends.cutting.store(!answered, Ordering::Relaxed);
        match moment {
            Moment::Unsent | Moment::Held => {}
            Moment::Torn => (&ends.server).write_all(&commit[..commit.len() / 2])?,
            Moment::Sent => (&ends.server).write_all(commit)?,
            Moment::Answered | Moment::AnsweredForGood => {
                ends.mute.store(true, Ordering::Relaxed);
                // The end of the answer ends the connection.
                return (&ends.server).write_all(commit);
            }
        }
        (self.meanwhile)();
        ends.cut();
        Ok(())
    }

    /// Passes on what comes; tells whether to leave the end to the other direction.
    fn to_client(&self, number: usize, ends: &Ends) -> io::Result<bool> {
        let mut block = vec![0; 64 << 10];
        loop {
            let bytes = (&ends.server).read(&mut block)?;
            if ends.mute.load(Ordering::Relaxed) {
                (self.meanwhile)();
                return Ok(false);
            }
            if bytes == 0 || ends.cutting.load(Ordering::Relaxed) {
                return Ok(ends.cutting.load(Ordering::Relaxed));
            }
            let Some(left) = self.take(number, 1, bytes) else {
                (&ends.client).write_all(&block[..bytes])?;
                continue;
            };
            (&ends.client).write_all(&block[..left])?;
            if let Fault::Reset(..) = self.fault {
                rustix::net::sockopt::set_socket_linger(&ends.client, Some(Duration::ZERO))?;
                // Wakes the other direction; the last of both closes, and that resets.
                let _ = ends.client.shutdown(Shutdown::Read);
                let _ = ends.server.shutdown(Shutdown::Both);
                return Ok(true);
            }
            return Ok(false);
        }
    }

    /// Counts bytes; when the connection is to be cut among them, tells how many of them pass.
    fn take(&self, number: usize, side: usize, bytes: usize) -> Option<usize> {
        let mut counts = self.bytes.lock().unwrap();
        let count = &mut counts[number - 1][side];
        let before = *count;
        *count += bytes;
        let limit = match self.fault {
            Fault::Client(on, limit) if on == number && side == 0 => limit,
            Fault::Server(on, limit) | Fault::Reset(on, limit) if on == number && side == 1 => {
                limit
            }
            _ => return None,
        };
        if limit > *count || before > limit {
            return None;
        }
        self.happened.store(true, Ordering::Relaxed);
        Some(limit - before)
    }
}

/// Reads a message with its head; the first one of a connection has no type.
fn message(mut from: &TcpStream, first: bool) -> io::Result<Vec<u8>> {
    let head = if first { 4 } else { 5 };
    let mut message = vec![0; head];
    from.read_exact(&mut message)?;
    let length = u32::from_be_bytes(*message[head - 4..].first_chunk().unwrap());
    let length = usize::try_from(length).unwrap();
    message.resize(head - 4 + length, 0);
    from.read_exact(&mut message[head..])?;
    Ok(message)
}
