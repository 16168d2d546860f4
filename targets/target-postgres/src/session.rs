//! The connections of a run: one that all streams share, and one for a stream whose rows go
//! straight into their table, in a transaction of its own.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use pg::{Client, Config};
use singer::{Error, ErrorKind, Result};

use crate::connection::{self, Connection, Effect};
use crate::mapping::Mapping;
use crate::memory::{Claim, Memory};
use crate::order::Order;
use crate::table::Shape;
use crate::together::{Together, Waiting};

/// So many bytes of rows of small tables are kept at once, of streams that are read side by side.
const KEPT_BYTES_MAX: usize = 4 << 20;

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
    together: Together,
    /// How large the rows of small tables are that are kept.
    kept_bytes: usize,
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
    pub fn new(config: &Config, lock_timeout_seconds: u64, started_ms: u64) -> Result<Self> {
        let mut client = Client::connect(config)?;
        if client.is_pooled_by_transaction()? {
            return Err(connection::no_session());
        }
        client.warn_of_server(true)?;
        // The second connection is to the same server.
        let config = client.config().clone();
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
            together: Together::default(),
            kept_bytes: 0,
        })
    }

    /// Returns how to connect.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the connection of all streams, and what is remembered of tables.
    pub fn remembering(&mut self) -> Result<(&mut Client, &mut Memory)> {
        Ok((self.shared.idle()?, &mut self.memory))
    }

    /// Tells whether a claim is to be written, for all runs to see; it is told how.
    pub fn takes(&self, claim: &Claim) -> bool {
        self.memory.takes(claim)
    }

    /// Tells whether it is remembered when the last load of a table of a schema began.
    pub fn orders(&self, schema: &str) -> bool {
        self.memory.orders(schema)
    }

    /// Takes the place of a load among those of its table.
    pub fn begin(&mut self, mapping: &Mapping) -> Result<Order> {
        if !self.together.is_empty() {
            let at_once = Order::begin_at_once(self.shared.idle()?, mapping, &mut self.held)?;
            if let Some(order) = at_once {
                return Ok(order);
            }
            self.commit_together()?;
        }
        Order::begin(self.shared.idle()?, mapping, &mut self.held)
    }

    /// Ends a load. Fails by what the server says of rows of another stream alone.
    pub fn end(&mut self, order: &mut Order) -> Result<()> {
        Order::end(self.shared.idle()?, [order], &mut self.held);
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
        self.commit_together()?;
        let memory = &mut self.memory;
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

    /// Takes the second connection for one stream, where it is available.
    pub fn take_direct(&mut self) -> Result<bool> {
        self.commit_together()?;
        Ok(self.connect_direct())
    }

    fn connect_direct(&mut self) -> bool {
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
                        "all rows are staged, because there is no second connection: {refused}"
                    );
                    self.direct_state = Availability::Refused;
                    return false;
                }
            }
        }
        self.direct_state = Availability::Taken;
        true
    }

    /// Begins the work for one more small table, in the transaction that such share on the second
    /// connection; tells whether that is available.
    pub fn begin_together(&mut self) -> Result<bool> {
        // Rows behind no savepoint have the number of the transaction, by which its COMMIT is known
        // after a crash of the server.
        let begin = match self.together.len() {
            0 => "BEGIN ISOLATION LEVEL READ COMMITTED",
            1 => "SAVEPOINT small",
            _ => "RELEASE SAVEPOINT small; SAVEPOINT small",
        };
        if self.together.is_empty() {
            if !self.connect_direct() {
                return Ok(false);
            }
            self.give_back_direct();
        }
        self.connection(Role::Direct).idle()?.execute(begin)?;
        Ok(true)
    }

    /// Takes the work back that was begun for a small table, and ends the transaction.
    pub fn leave_together(&mut self) -> Result<()> {
        let is_alone = self.together.is_empty();
        let connection = self.connection(Role::Direct);
        // It may have stopped amid a COPY, whose rows are not wanted.
        let _ = connection.idle();
        connection.take_missed();
        let back = if is_alone { "ROLLBACK" } else { "ROLLBACK TO SAVEPOINT small" };
        connection.idle()?.execute(back)?;
        self.commit_together()
    }

    /// Takes note that rows of a small table are kept; tells whether those of all are few.
    pub fn keep(&mut self, bytes: usize) -> bool {
        self.kept_bytes += bytes;
        self.kept_bytes <= KEPT_BYTES_MAX
    }

    /// Takes note that rows are not kept any more.
    pub fn let_go(&mut self, bytes: usize) {
        self.kept_bytes -= bytes;
    }

    /// Has a small table wait for others, whose work is done.
    pub fn wait(&mut self, table: Waiting) {
        self.together.push(table);
    }

    /// Tells whether small tables wait for their COMMIT.
    pub fn has_waiting(&self) -> bool {
        !self.together.is_empty()
    }

    /// Tells whether no more small tables should wait.
    pub fn is_together_full(&self) -> bool {
        self.together.is_full()
    }

    /// Commits the transaction that small tables share.
    pub fn commit_together(&mut self) -> Result<()> {
        if self.together.is_empty() {
            return Ok(());
        }
        self.together.lost |= self.connection(Role::Direct).is_broken();
        if self.together.lost {
            let message = "cannot commit small tables: their transaction was lost";
            return Err(Error::new(ErrorKind::Temporary, message)
                .with("tables", self.together.names())
                .hint("run again"));
        }
        let table = self.together.tell();
        let effect =
            Effect { table: table.as_deref(), direct: true, judged: true, ..Effect::default() };
        if let Err(failure) = self.connection(Role::Direct).commit(effect) {
            self.together.lost = true;
            return Err(failure.with("tables", self.together.names()));
        }
        let mut done = self.together.take();
        for one in &done {
            if let Some(claim) = &one.claim {
                self.settle(claim)?;
            }
            one.counts.tell(&one.name, one.made);
        }
        let orders = done.iter_mut().map(|one| &mut one.order);
        Order::end(self.shared.idle()?, orders, &mut self.held);
        Ok(())
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
