//! Lines from standard input or a file, in blocks, UTF-8 checked a block at a time.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::output::{BLOCK_BYTES, PIPE_BYTES};

/// Reads lines.
pub struct Input {
    file: File,
    buffer: Vec<u8>,
    /// Start of the line to come, end of the whole lines that are checked, end of what was read.
    next: usize,
    checked: usize,
    filled: usize,
    ended: bool,
    limits: Limits,
    /// Number of the line returned last.
    line: u64,
}

/// What input may ask of us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest line, bytes.
    pub line_bytes: usize,
    /// How long to wait for more input; zero waits for ever.
    pub idle: Duration,
}

/// A line, or why there is none now.
#[derive(Debug)]
pub enum Next<'a> {
    /// A line without its end, and its number from 1.
    Line(&'a [u8], u64),
    /// No whole line is buffered: a read comes next, and may wait.
    Pause,
    /// The input ended.
    End,
}

impl Input {
    /// Reads a file.
    pub fn from_path(path: &std::path::Path, limits: Limits) -> Result<Self> {
        let file = File::open(path)
            .or_kind(ErrorKind::NoInput, "cannot open the input file")
            .map_err(|failure| failure.with("path", path.display()))?;
        Ok(Self::new(file, limits))
    }

    /// Reads standard input.
    pub fn from_stdin(limits: Limits) -> Result<Self> {
        let stdin = rustix::stdio::stdin();
        if rustix::termios::isatty(stdin) {
            return Err(Error::new(ErrorKind::Usage, "standard input is a terminal").hint(
                "pipe a tap into this target: tap-csv ... | target-csv ..., or use --input",
            ));
        }
        let file = stdin.try_clone_to_owned();
        let file = file.or_kind(ErrorKind::Usage, "cannot read standard input")?;
        let _ = rustix::pipe::fcntl_setpipe_size(&file, PIPE_BYTES);
        Ok(Self::new(File::from(file), limits))
    }

    fn new(file: File, limits: Limits) -> Self {
        Self {
            file,
            buffer: vec![0; BLOCK_BYTES],
            next: 0,
            checked: 0,
            filled: 0,
            ended: false,
            limits,
            line: 0,
        }
    }

    /// Returns the next line. After [`Next::Pause`], call [`Input::fill`].
    #[inline]
    pub fn next_line(&mut self) -> Next<'_> {
        if self.next == self.checked {
            return if self.ended { Next::End } else { Next::Pause };
        }
        let rest = &self.buffer[self.next..self.checked];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..length];
        self.next = (self.next + length + 1).min(self.checked);
        self.line += 1;
        Next::Line(line.strip_suffix(b"\r").unwrap_or(line), self.line)
    }

    /// Tells whether the line returned last was cut off by the end of the input.
    pub fn cut_short(&self) -> bool {
        self.ended && self.next == self.filled && self.buffer[..self.filled].last() != Some(&b'\n')
    }

    /// Reads until there is a whole line, or the end.
    pub fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.checked -= self.next;
        self.next = 0;
        if self.filled == 0 && self.buffer.len() > 4 * BLOCK_BYTES {
            self.buffer.truncate(BLOCK_BYTES);
            self.buffer.shrink_to(BLOCK_BYTES);
        }
        loop {
            if self.filled > self.limits.line_bytes {
                return Err(too_long(self.line + 1, self.limits.line_bytes));
            }
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            self.wait()?;
            let from = self.filled;
            match self.file.read(&mut self.buffer[from..]) {
                Ok(0) => {
                    self.ended = true;
                    self.checked = self.filled;
                    return self.check_utf8(0);
                }
                Ok(read) => self.filled += read,
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(cause) => {
                    return Err(Error::new(ErrorKind::Io, "cannot read the input").caused_by(cause));
                }
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.buffer[from..self.filled]) {
                self.checked = from + end + 1;
                return self.check_utf8(0);
            }
        }
    }

    /// Tells whether a read would not wait, or not for longer than this.
    pub fn is_ready_within(&self, time: Duration) -> Result<bool> {
        let mut poll = [PollFd::from_borrowed_fd(self.file.as_fd(), PollFlags::IN)];
        let timeout = Timespec::try_from(time).or_kind(ErrorKind::Internal, "cannot wait")?;
        match rustix::event::poll(&mut poll, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            // Interrupted, or not a thing to poll: the read tells.
            Err(_) => Ok(true),
        }
    }

    fn wait(&self) -> Result<()> {
        if self.limits.idle.is_zero() || self.is_ready_within(self.limits.idle)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Temporary,
            "the tap sent no message within `idle_timeout_seconds`",
        )
        .with("seconds", self.limits.idle.as_secs())
        .hint("raise `idle_timeout_seconds`, or find out what the tap waits for"))
    }

    /// Checks the whole lines from `start`, and drops a byte order mark at the very start.
    fn check_utf8(&mut self, start: usize) -> Result<()> {
        if self.line == 0 && self.buffer[..self.checked].starts_with(b"\xef\xbb\xbf") {
            self.next = 3;
        }
        let Err(fault) = std::str::from_utf8(&self.buffer[start..self.checked]) else {
            return Ok(());
        };
        let at = start + fault.valid_up_to();
        let before = &self.buffer[self.next..at];
        let line = self.line + 1 + memchr::memchr_iter(b'\n', before).count() as u64;
        let column = at - memchr::memrchr(b'\n', &self.buffer[..at]).map_or(0, |end| end + 1);
        Err(Error::new(ErrorKind::Protocol, "the input is not UTF-8")
            .with("line", line)
            .with("byte", column + 1)
            .hint("Singer messages must be UTF-8: check the encoding of the tap's output"))
    }
}

/// Makes the failure of a line that is longer than the limit.
#[cold]
pub(crate) fn too_long(line: u64, limit: usize) -> Error {
    Error::new(ErrorKind::Data, "a line is longer than the limit")
        .with("line", line)
        .with("limit in bytes", limit)
        .hint("raise `max_record_bytes` if the tap sends records of this size")
}
