//! A web server of ours for what good servers never do: it answers as a test says, byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A server that runs until the test binary ends.
pub struct Web {
    /// Its address, without a path.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request it got.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How many requests there were before it.
    pub before: usize,
}

/// What it does then.
#[derive(Clone, Debug)]
pub struct Reply {
    pieces: Vec<Vec<u8>>,
    pause: Duration,
    reset: bool,
    tunnel: bool,
}

impl Asked {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter, as it stands in the query.
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Returns the path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

impl Reply {
    /// Answers with JSON.
    pub fn json(value: &Value) -> Self {
        Self::text(200, "application/json", &value.to_string())
    }

    /// Answers with a status alone.
    pub fn status(status: u16) -> Self {
        Self::text(status, "text/plain", &format!("status {status}"))
    }

    /// Answers with a text.
    pub fn text(status: u16, kind: &str, body: &str) -> Self {
        Self::bytes(status, kind, body.as_bytes())
    }

    /// Answers with bytes.
    pub fn bytes(status: u16, kind: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            body.len()
        );
        Self::raw(&[head.as_bytes(), body].concat())
    }

    /// Sends these bytes and closes.
    pub fn raw(bytes: &[u8]) -> Self {
        Self { pieces: vec![bytes.to_vec()], pause: Duration::ZERO, reset: false, tunnel: false }
    }

    /// Says nothing for a long time.
    pub fn silence() -> Self {
        let pieces = vec![Vec::new(), Vec::new()];
        Self { pieces, pause: Duration::from_mins(1), ..Self::raw(b"") }
    }

    /// Does what a proxy does when it is asked to connect.
    pub fn tunnel() -> Self {
        Self { tunnel: true, ..Self::raw(b"HTTP/1.1 200 OK\r\n\r\n") }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let line = format!("\r\n{name}: {value}");
        let text = &mut self.pieces[0];
        let at = text.windows(2).position(|two| two == b"\r\n").unwrap();
        text.splice(at..at, line.into_bytes());
        self
    }

    /// Sends piece by piece, with pauses.
    pub fn slowly(self, piece: usize, pause: Duration) -> Self {
        let bytes = self.pieces.concat();
        let pieces = bytes.chunks(piece).map(<[u8]>::to_vec).collect();
        Self { pieces, pause, ..Self::raw(b"") }
    }

    /// Leaves so many bytes at the end out.
    pub fn without(mut self, bytes: usize) -> Self {
        let kept = self.pieces[0].len() - bytes;
        self.pieces[0].truncate(kept);
        self
    }

    /// Ends with a reset instead of a good end.
    pub fn reset(mut self) -> Self {
        self.reset = true;
        self
    }
}

impl Web {
    /// Starts a server that answers like this.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client that goes away early is none of the server's business.
                std::thread::spawn(move || drop(serve(stream, &seen, &*answer)));
            }
        });
        Self { url, asked }
    }

    /// Answers with pages: the n-th request gets the n-th, later ones the last.
    pub fn replies(replies: Vec<Reply>) -> Self {
        Self::start(move |asked| replies[asked.before.min(replies.len() - 1)].clone())
    }

    /// Returns what was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Returns path and query of what was asked so far.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Reply,
) -> std::io::Result<()> {
    let Some(mut asked) = read(&mut stream)? else { return Ok(()) };
    {
        let mut seen = seen.lock().unwrap();
        asked.before = seen.len();
        seen.push(asked.clone());
    }
    let reply = answer(&asked);
    for (at, piece) in reply.pieces.iter().enumerate() {
        if at > 0 {
            std::thread::sleep(reply.pause);
        }
        stream.write_all(piece)?;
    }
    if reply.tunnel {
        let mut there = TcpStream::connect(&asked.target)?;
        let (mut back, mut from) = (stream.try_clone()?, there.try_clone()?);
        std::thread::spawn(move || drop(std::io::copy(&mut from, &mut back)));
        std::io::copy(&mut stream, &mut there)?;
        return Ok(());
    }
    if reply.reset {
        // Bytes that were sent and not read make the kernel reset the connection.
        return Ok(());
    }
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(())
}

fn read(stream: &mut TcpStream) -> std::io::Result<Option<Asked>> {
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut block)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&block[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut asked = Asked {
        method: first.next().unwrap_or_default().to_owned(),
        target: first.next().unwrap_or_default().to_owned(),
        ..Asked::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        asked.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length: usize = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        match stream.read(&mut block)? {
            0 => return Ok(None),
            read => body.extend_from_slice(&block[..read]),
        }
    }
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(asked))
}
