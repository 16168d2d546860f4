//! A TCP proxy that breaks connections: after so many bytes from the server, or by silence.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It ends after so many bytes from the server.
    CutAt(usize),
    /// After so many bytes from the server nothing comes any more, and nothing ends.
    StallAt(usize),
    /// This byte from the server is another one.
    FlipAt(usize),
    /// From this byte from the server on they come one by one.
    DripFrom(usize),
}

/// A running proxy on 127.0.0.1; it refuses connections when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    connections: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy to a port of 127.0.0.1; the n-th connection has the n-th fault, and those
    /// beyond have the last one.
    pub fn start(upstream: u16, faults: Vec<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let bytes = Arc::new(AtomicUsize::new(0));
        let (count, end) = (Arc::clone(&connections), Arc::clone(&ended));
        let first = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::Relaxed);
                let fault = faults.get(number).or(faults.last()).copied().unwrap_or(Fault::None);
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                let counted = if number == 0 { Arc::clone(&first) } else { Arc::default() };
                carry(&client, &server, (fault, counted), &end);
            }
        });
        Self { port, connections, bytes, ended }
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Returns how many bytes came from the server by the first connection.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which then closes its socket.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries bytes both ways on threads of their own.
fn carry(
    client: &TcpStream,
    server: &TcpStream,
    (fault, counted): (Fault, Arc<AtomicUsize>),
    end: &Arc<AtomicBool>,
) {
    let pair = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (from_client, to_server) = pair();
    std::thread::spawn(move || {
        copy(&from_client, &to_server, usize::MAX, &AtomicUsize::new(0));
        let _ = to_server.shutdown(Shutdown::Write);
        // Read on: unread bytes would turn the end of the other way into a reset, which takes
        // bytes back that the client has not read yet.
        let _ = std::io::copy(&mut &from_client, &mut std::io::sink());
    });
    let (to_client, from_server) = pair();
    let end = Arc::clone(end);
    std::thread::spawn(move || match fault {
        Fault::None => answer(&from_server, &to_client, usize::MAX, &counted),
        Fault::CutAt(bytes) => answer(&from_server, &to_client, bytes, &counted),
        Fault::FlipAt(bytes) => {
            copy(&from_server, &to_client, bytes, &counted);
            let mut byte = [0];
            if matches!((&from_server).read(&mut byte), Ok(1)) {
                let _ = (&to_client).write_all(&[byte[0] ^ 1]);
            }
            answer(&from_server, &to_client, usize::MAX, &counted);
        }
        Fault::DripFrom(bytes) => {
            copy(&from_server, &to_client, bytes, &counted);
            while !end.load(Ordering::Relaxed) {
                let mut byte = [0];
                let passed = (&from_server).read(&mut byte).unwrap_or(0) == 1
                    && (&to_client).write_all(&byte).is_ok();
                if !passed {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Fault::StallAt(bytes) => {
            copy(&from_server, &to_client, bytes, &counted);
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
}

/// Copies at most so many bytes from the server, then ends both connections.
fn answer(server: &TcpStream, client: &TcpStream, limit: usize, counted: &AtomicUsize) {
    copy(server, client, limit, counted);
    let _ = client.shutdown(Shutdown::Write);
    let _ = server.shutdown(Shutdown::Both);
}

/// Copies at most so many bytes, and counts them.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut limit: usize, counted: &AtomicUsize) {
    let mut block = vec![0; 64 << 10];
    while limit > 0 {
        let wanted = block.len().min(limit);
        match from.read(&mut block[..wanted]) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => {
                limit -= bytes;
                counted.fetch_add(bytes, Ordering::Relaxed);
                if to.write_all(&block[..bytes]).is_err() {
                    return;
                }
            }
        }
    }
}
