//! COPY to us, for a caller that holds the connection meanwhile.

use std::time::Duration;

use singer::{Error, ErrorKind, Result};

use crate::client::Client;
use crate::connect;

/// Rows the server sends. Dropped early, it cancels the query.
pub struct CopyOut<'a> {
    client: &'a mut Client,
    over: bool,
}

impl<'a> CopyOut<'a> {
    pub(crate) fn new(client: &'a mut Client) -> Self {
        Self { client, over: false }
    }

    /// Returns the next message, a row of text COPY with its newline; `None` after the last.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "the row borrows the read buffer")]
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        if self.over {
            return Ok(None);
        }
        loop {
            let (kind, range) = self.client.message()?;
            match kind {
                b'd' => return Ok(Some(self.client.wire.payload(range))),
                b'c' | b'C' => {}
                b'Z' => {
                    self.over = true;
                    self.client.ready_for_query(range);
                    return Ok(None);
                }
                b'E' => {
                    self.over = true;
                    let failure = self.client.report(range);
                    return Err(self.client.until_idle(failure));
                }
                _ => self.client.aside(kind, range)?,
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
        if self.over { Ok(true) } else { self.client.wire.ready(timeout) }
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        if self.over || self.client.is_broken() {
            return;
        }
        let silence = self.client.wire.timeout;
        self.client.wire.timeout = Duration::from_secs(5);
        if connect::cancel(&self.client.config, self.client.backend).is_err() {
            self.client.give_up();
            return;
        }
        let cut = Error::new(ErrorKind::Internal, "cannot go on with a COPY cut short");
        self.over = true;
        self.client.until_idle(cut);
        self.client.wire.timeout = silence;
    }
}
