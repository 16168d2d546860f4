//! The connections of a run: one that all streams share, and one for a stream whose rows go
//! straight into their table, in a transaction of its own.

use std::hash::{BuildHasher, Hasher, RandomState};

use pg::{Client, Config};
use singer::Result;

use crate::lane::{self, Lane};

/// The connections, and numbers that are unique in the run.
pub struct Session {
    config: Config,
    lock_timeout_seconds: u64,
    shared: Lane,
    own: Option<Lane>,
    own_state: Own,
    numbers: u64,
    started_ms: u64,
}

/// What is with the second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Free,
    Taken,
    /// The server gave us none: one has to do.
    Refused,
}

/// A connection of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one of all streams; no transaction is open on it between two calls of a sink.
    Shared,
    /// The one taken by [`Session::take_own`].
    Own,
}

impl Session {
    /// Connects.
    pub fn new(config: Config, lock_timeout_seconds: u64, started_ms: u64) -> Result<Self> {
        let mut client = Client::connect(&config)?;
        if client.is_pooled_by_transaction()? {
            return Err(lane::no_session());
        }
        let shared = Lane::new(client, lock_timeout_seconds)?;
        Ok(Self {
            config,
            lock_timeout_seconds,
            shared,
            own: None,
            own_state: Own::Free,
            // Anywhere: no other run shall have a staging table of the same name, not even where
            // a pooler mixes sessions up.
            numbers: RandomState::new().build_hasher().finish() >> 1,
            started_ms,
        })
    }

    /// Returns when the run began, in milliseconds since 1970.
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// Returns a number that no one else has.
    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Takes the second connection, where it is to be had.
    pub fn take_own(&mut self) -> bool {
        if self.own_state != Own::Free {
            return false;
        }
        if self.own.is_none() {
            let made = Client::connect(&self.config)
                .and_then(|client| Lane::new(client, self.lock_timeout_seconds));
            match made {
                Ok(lane) => self.own = Some(lane),
                Err(refused) => {
                    log::info!("all rows are staged, for there is no second connection: {refused}");
                    self.own_state = Own::Refused;
                    return false;
                }
            }
        }
        self.own_state = Own::Taken;
        true
    }

    /// Tells whether a stream has the second connection.
    pub fn is_own_taken(&self) -> bool {
        self.own_state == Own::Taken
    }

    /// Gives the second connection back, with no transaction open on it.
    pub fn give_back_own(&mut self) {
        self.own_state = Own::Free;
    }

    /// Returns a connection.
    pub fn lane(&mut self, which: Which) -> &mut Lane {
        match (which, &mut self.own) {
            (Which::Own, Some(own)) => own,
            _ => &mut self.shared,
        }
    }
}
