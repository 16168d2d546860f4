//! The messages of a connection: what may come at any time, failures, and whether it can go on.

use std::ops::Range;
use std::time::Duration;

use singer::{Error, Result};

use crate::connect;
use crate::failure::Report;
use crate::notice;
use crate::settings::Config;
use crate::wire::{self, Wire};

/// What a simple query failed at, when the server says so.
pub(crate) const STATEMENT: &str = "cannot run the SQL statement";

/// A connection, below statements.
pub(crate) struct Protocol {
    pub(crate) wire: Wire,
    pub(crate) config: Config,
    /// Process id and secret key, for cancelling.
    pub(crate) backend: (i32, i32),
    /// `I`dle, in a `T`ransaction, or in a failed one (`E`).
    status: u8,
    broken: bool,
}

impl Protocol {
    /// Opens the connection, on which nobody has logged in.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let wire = connect::open(config, config.connect_timeout)?;
        let config = config.clone();
        Ok(Self { wire, config, backend: (0, 0), status: b'I', broken: false })
    }

    /// Tells whether a transaction block is open (also a failed one).
    pub(crate) fn in_transaction(&self) -> bool {
        self.status != b'I'
    }

    /// Tells whether the connection is beyond use.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Marks the connection as beyond use.
    pub(crate) fn give_up(&mut self) {
        self.broken = true;
    }

    /// Returns the next message; a failure of the connection marks it as broken.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<(u8, Range<usize>)> {
        let received = self.wire.message();
        if let Err(failure) = &received {
            self.broken = true;
            if wire::is_timeout(failure) {
                // A statement nobody waits for must not go on and hold its locks.
                let _ = self.cancel();
            }
        }
        received
    }

    /// Sends what is to be sent; where that fails, the server's own last words come first.
    pub(crate) fn send(&mut self) -> Result<()> {
        let Err(failure) = self.wire.flush() else { return Ok(()) };
        self.broken = true;
        while let Ok(true) = self.wire.ready(Duration::ZERO) {
            match self.wire.message() {
                Ok((b'E', range)) => return Err(self.report(range)),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        Err(failure)
    }

    /// Handles a message that may come at any time.
    pub(crate) fn aside(&mut self, kind: u8, range: Range<usize>) -> Result<()> {
        match kind {
            b'N' => {
                notice::tell(&Report::parse(self.wire.payload(range)));
            }
            // Parameters of the server, and what other sessions tell each other.
            b'S' | b'A' => {}
            _ => {
                self.broken = true;
                return Err(self.wire.garbled());
            }
        }
        Ok(())
    }

    /// Makes a failure of an `ErrorResponse`.
    pub(crate) fn report(&mut self, range: Range<usize>) -> Error {
        let report = Report::parse(self.wire.payload(range));
        if report.is_fatal() {
            self.broken = true;
        }
        report.into_error(STATEMENT)
    }

    /// Takes note of a `ReadyForQuery`.
    pub(crate) fn ready_for_query(&mut self, range: Range<usize>) {
        self.status = self.wire.payload(range).first().copied().unwrap_or(b'I');
    }

    /// Reads on to the end of a statement that failed; returns the failure.
    pub(crate) fn until_idle(&mut self, failure: Error) -> Error {
        if self.broken {
            return failure;
        }
        while let Ok((kind, range)) = self.message() {
            if kind == b'Z' {
                self.ready_for_query(range);
                break;
            }
        }
        failure
    }

    /// Asks the server to cancel what runs here.
    pub(crate) fn cancel(&self) -> Result<()> {
        connect::cancel(&self.config, self.backend)
    }
}
