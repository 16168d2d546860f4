//! COPY to us, for a caller that holds the connection meanwhile.

use std::time::Duration;

use singer::{Error, ErrorKind, Result};

use crate::protocol::Protocol;

/// Rows the server sends. Dropped early, it cancels the query.
pub struct CopyOut<'a> {
    protocol: &'a mut Protocol,
    over: bool,
}

impl<'a> CopyOut<'a> {
    pub(crate) fn new(protocol: &'a mut Protocol) -> Self {
        Self { protocol, over: false }
    }

    /// Returns the next message, a row of text COPY with its newline; `None` after the last.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "the row borrows the read buffer")]
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        if self.over {
            return Ok(None);
        }
        loop {
            let (kind, range) = self.protocol.message()?;
            match kind {
                b'd' => return Ok(Some(self.protocol.wire.payload(range))),
                b'c' | b'C' => {}
                b'Z' => {
                    self.over = true;
                    self.protocol.ready_for_query(range);
                    return Ok(None);
                }
                b'E' => {
                    self.over = true;
                    let failure = self.protocol.report(range);
                    return Err(self.protocol.until_idle(failure));
                }
                _ => self.protocol.aside(kind, range)?,
            }
        }
    }

    /// Tells whether the next call of `next` would wait for the network.
    pub fn waits(&mut self) -> Result<bool> {
        self.ready(Duration::ZERO).map(|ready| !ready)
    }

    /// Waits for the next message at most so long; tells whether it is there.
    #[inline]
    pub fn ready(&mut self, timeout: Duration) -> Result<bool> {
        if self.over { Ok(true) } else { self.protocol.wire.ready(timeout) }
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        if self.over || self.protocol.is_broken() {
            return;
        }
        let silence = self.protocol.wire.timeout;
        self.protocol.wire.timeout = Duration::from_secs(5);
        if self.protocol.cancel().is_err() {
            self.protocol.give_up();
            return;
        }
        let cut = Error::new(ErrorKind::Internal, "cannot continue an incomplete COPY");
        self.over = true;
        self.protocol.until_idle(cut);
        self.protocol.wire.timeout = silence;
    }
}
