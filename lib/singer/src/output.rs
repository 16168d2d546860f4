//! Blocks to standard output: its own buffer, a bigger pipe, quiet when the reader has gone.

use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result};

/// How much is gathered before a write, or taken by a read: it stays in the cache of the core.
pub const BLOCK_BYTES: usize = 256 << 10;
/// How much a pipe is asked to hold.
pub const PIPE_BYTES: usize = 1 << 20;

/// Buffered standard output.
pub struct Output {
    buffer: Vec<u8>,
    /// So many bytes stay back until the output ends well.
    held: usize,
}

impl Output {
    /// Takes standard output and, where it is a pipe, makes the pipe large.
    pub fn new() -> Self {
        // Not a pipe, or not allowed: as good as before.
        let _ = rustix::pipe::fcntl_setpipe_size(rustix::stdio::stdout(), PIPE_BYTES);
        Self { buffer: Vec::with_capacity(2 * BLOCK_BYTES), held: 0 }
    }

    /// Holds back the end of the last line until [`Output::finish`]: whoever reads the output of a
    /// process that was killed finds a line that is no message.
    #[must_use]
    pub fn holding_the_end(self) -> Self {
        Self { held: b"}\n".len(), ..self }
    }

    /// Returns the buffer to append to.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer once it holds a block.
    #[inline]
    pub fn write_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what is buffered, but for what is held back.
    pub fn flush(&mut self) -> Result<()> {
        let end = self.buffer.len().saturating_sub(self.held);
        write_all(rustix::stdio::stdout(), &self.buffer[..end])?;
        self.buffer.drain(..end);
        self.buffer.shrink_to(4 * BLOCK_BYTES);
        Ok(())
    }

    /// Writes all that is left.
    pub fn finish(&mut self) -> Result<()> {
        self.held = 0;
        self.flush()
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a text to standard output.
pub fn print(text: &str) -> Result<()> {
    write_all(rustix::stdio::stdout(), text.as_bytes())
}

fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::PIPE) => {
                return Err(Error::new(
                    ErrorKind::ReaderGone,
                    "the program that reads the output has ended",
                ));
            }
            Err(cause) => {
                return Err(Error::new(ErrorKind::Io, "cannot write to standard output")
                    .caused_by(std::io::Error::from(cause)));
            }
        }
    }
    Ok(())
}
