//! Small tables whose rows are in one transaction: what is still to be done of them at its COMMIT,
//! which costs the same for one table and for many.

use singer::added;

use crate::counts::Counts;
use crate::memory::Claim;
use crate::names::TableName;
use crate::order::Order;

/// So many tables are enough: a server that knows the numbers of more savepoints by heart than of
/// 64 does not see at a glance whether a row is of an open transaction.
const ENOUGH: usize = 50;
/// So many bytes are enough: until the COMMIT others wait for these tables.
const ENOUGH_BYTES: usize = 4 << 20;

/// A table whose rows wait for the COMMIT.
#[derive(Debug)]
pub struct Waiting {
    /// Its stream.
    pub stream: String,
    /// Its name.
    pub name: TableName,
    /// The same, quoted.
    pub table: String,
    /// Whether rows that come again would be added beside themselves.
    pub adds: bool,
    /// That the stream fills it, where that is remembered with the rows.
    pub claim: Option<Claim>,
    /// The locks of its load.
    pub order: Order,
    /// What was done.
    pub counts: Counts,
    /// Whether it was made.
    pub made: bool,
    /// How large its rows are.
    pub bytes: usize,
}

/// The tables in the open transaction; with none there is no such transaction.
#[derive(Debug, Default)]
pub struct Together {
    waiting: Vec<Waiting>,
    /// Whether the transaction has ended and its tables are not there.
    pub lost: bool,
}

impl Together {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Tells whether these are enough.
    pub fn is_full(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(|one| one.bytes).sum();
        self.waiting.len() >= ENOUGH || bytes >= ENOUGH_BYTES
    }

    /// Takes one more.
    pub fn push(&mut self, one: Waiting) {
        self.waiting.push(one);
    }

    /// Says, before the COMMIT, which streams are added to; returns a table that has new rows.
    pub fn tell(&self) -> Option<String> {
        for one in self.waiting.iter().filter(|one| one.adds) {
            added::begin(&one.stream);
        }
        self.waiting.iter().find(|one| one.counts.any()).map(|one| one.table.clone())
    }

    /// Returns the names of the tables, for a message.
    pub fn names(&self) -> String {
        let names: Vec<String> =
            self.waiting.iter().take(5).map(|one| one.name.to_string()).collect();
        match self.waiting.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }

    /// Returns them behind the COMMIT.
    pub fn take(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }
}
