//! The connections of a run: one that all streams share, and one for a stream whose rows go
//! straight into their table, in a transaction of its own.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use pg::{Client, Config};
use singer::Result;

use crate::connection::{self, Connection, Effect};
use crate::mapping::Mapping;
use crate::memory::{Claim, Memory};
use crate::order::Order;
use crate::table::Shape;

/// The connections, and numbers that are unique in the run.
pub struct Session {
    config: Config,
    lock_timeout_seconds: u64,
    shared: Connection,
    direct: Option<Connection>,
    direct_state: Availability,
    numbers: u64,
    started_ms: u64,
    memory: Memory,
    /// Schemas that are there, as the run has made sure.
    prepared: BTreeSet<String>,
    /// How many loads others wait for.
    held: usize,
}

/// What is with the second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Availability {
    Free,
    Taken,
    /// The server gave us none: one has to do.
    Refused,
}

/// A connection of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one of all streams; no transaction is open on it between two calls of a sink.
    Shared,
    /// The one taken by [`Session::take_direct`].
    Direct,
}

impl Session {
    /// Connects.
    pub fn new(config: Config, lock_timeout_seconds: u64, started_ms: u64) -> Result<Self> {
        let mut client = Client::connect(&config)?;
        if client.is_pooled_by_transaction()? {
            return Err(connection::no_session());
        }
        client.warn_of_server(true)?;
        let shared = Connection::new(client, lock_timeout_seconds)?;
        Ok(Self {
            config,
            lock_timeout_seconds,
            shared,
            direct: None,
            direct_state: Availability::Free,
            // Anywhere: no other run shall have a staging table of the same name, not even where
            // a pooler mixes sessions up.
            numbers: RandomState::new().build_hasher().finish() >> 1,
            started_ms,
            memory: Memory::default(),
            prepared: BTreeSet::new(),
            held: 0,
        })
    }

    /// Returns the connection of all streams, and what is remembered of tables.
    pub fn remembering(&mut self) -> Result<(&mut Client, &mut Memory)> {
        Ok((self.shared.idle()?, &mut self.memory))
    }

    /// Tells whether it is remembered, for all runs, what fills the tables of a schema.
    pub fn remembers(&self, schema: &str) -> bool {
        self.memory.is_kept(schema)
    }

    /// Tells whether it is remembered when the last load of a table of a schema began.
    pub fn orders(&self, schema: &str) -> bool {
        self.memory.orders(schema)
    }

    /// Takes the place of a load among those of its table.
    pub fn begin(&mut self, mapping: &Mapping) -> Result<Order> {
        Order::begin(self.shared.idle()?, mapping, &mut self.held)
    }

    /// Ends a load. Fails by what the server says of rows of another stream alone.
    pub fn end(&mut self, order: &mut Order) -> Result<()> {
        order.end(self.shared.idle()?, &mut self.held);
        Ok(())
    }

    /// Takes note of a claim that was committed.
    pub fn settle(&mut self, claim: &Claim) -> Result<()> {
        let (client, memory) = self.remembering()?;
        memory.settle(client, claim)
    }

    /// Makes what the tables of a schema need, where it is not there: the schema itself, if a table
    /// of it is to be made, and the table to remember in what fills them. In a transaction of its
    /// own that ends soon, for other runs wait for it; once a run and schema.
    pub fn prepare(&mut self, shape: &Shape, (makes, claims): (bool, bool)) -> Result<()> {
        let schema = &shape.name.schema;
        let makes = makes && !self.prepared.contains(schema);
        let memory = &mut self.memory;
        let claims = claims && memory.is_missing(schema) || memory.renewal(schema)?.is_some();
        if !makes && !claims {
            return Ok(());
        }
        self.shared.transaction(Effect::default(), |client| {
            shape.create_schema(client)?;
            if claims { memory.make(client, schema) } else { Ok(()) }
        })?;
        self.prepared.insert(schema.clone());
        Ok(())
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
    pub fn take_direct(&mut self) -> bool {
        if self.direct_state != Availability::Free {
            return false;
        }
        if self.direct.is_none() {
            let made = Client::connect(&self.config)
                .and_then(|client| Connection::new(client, self.lock_timeout_seconds));
            match made {
                Ok(connection) => self.direct = Some(connection),
                Err(refused) => {
                    tracing::info!(
                        "all rows are staged, for there is no second connection: {refused}"
                    );
                    self.direct_state = Availability::Refused;
                    return false;
                }
            }
        }
        self.direct_state = Availability::Taken;
        true
    }

    /// Tells whether a stream has the second connection.
    pub fn is_direct_taken(&self) -> bool {
        self.direct_state == Availability::Taken
    }

    /// Gives the second connection back, with no transaction open on it.
    pub fn give_back_direct(&mut self) {
        self.direct_state = Availability::Free;
    }

    /// Returns a connection.
    pub fn connection(&mut self, role: Role) -> &mut Connection {
        match (role, &mut self.direct) {
            (Role::Direct, Some(direct)) => direct,
            _ => &mut self.shared,
        }
    }
}
