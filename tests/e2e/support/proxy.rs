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
}

/// A running proxy on 127.0.0.1; it refuses connections when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    connections: Arc<AtomicUsize>,
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
        let (count, end) = (Arc::clone(&connections), Arc::clone(&ended));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::Relaxed);
                let fault = faults.get(number).or(faults.last()).copied().unwrap_or(Fault::None);
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                carry(&client, &server, fault, &end);
            }
        });
        Self { port, connections, ended }
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
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
fn carry(client: &TcpStream, server: &TcpStream, fault: Fault, end: &Arc<AtomicBool>) {
    let pair = || (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (from_client, to_server) = pair();
    std::thread::spawn(move || {
        copy(&from_client, &to_server, usize::MAX);
        let _ = to_server.shutdown(Shutdown::Write);
        // Read on: unread bytes would turn the end of the other way into a reset, which takes
        // bytes back that the client has not read yet.
        let _ = std::io::copy(&mut &from_client, &mut std::io::sink());
    });
    let (to_client, from_server) = pair();
    let end = Arc::clone(end);
    std::thread::spawn(move || match fault {
        Fault::None => answer(&from_server, &to_client, usize::MAX),
        Fault::CutAt(bytes) => answer(&from_server, &to_client, bytes),
        Fault::StallAt(bytes) => {
            copy(&from_server, &to_client, bytes);
            while !end.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
}

/// Copies at most so many bytes from the server, then ends both connections.
fn answer(server: &TcpStream, client: &TcpStream, limit: usize) {
    copy(server, client, limit);
    let _ = client.shutdown(Shutdown::Write);
    let _ = server.shutdown(Shutdown::Both);
}

/// Copies at most so many bytes.
fn copy(mut from: &TcpStream, mut to: &TcpStream, mut limit: usize) {
    let mut block = vec![0; 64 << 10];
    while limit > 0 {
        let wanted = block.len().min(limit);
        match from.read(&mut block[..wanted]) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => {
                limit -= bytes;
                if to.write_all(&block[..bytes]).is_err() {
                    return;
                }
            }
        }
    }
}
