//! Rows straight into their table: where they are only added, and where the table, or the
//! partition, had none, so that there is nothing to merge them with.

use pg::failure;
use singer::{Batch, Error, Result};

use crate::connection::{Connection, CopyTarget, Received};
use crate::fields::{Fields, Incoming, Lines};
use crate::line::{Format, Line};
use crate::own::OwnColumns;
use crate::{guarded, own};

/// Makes the place to go back to, the first and each later time.
const SAVE: &str = "SAVEPOINT direct; ";
const SAVE_AGAIN: &str = "RELEASE SAVEPOINT direct; SAVEPOINT direct; ";
/// The SQLSTATE of a second row with one key.
const UNIQUE_VIOLATION: &str = "23505";

/// A transaction that is open on the run's second connection, and what it has taken.
pub struct Direct {
    into: CopyTarget,
    copy: TableCopy,
    /// Whether a key may come twice: the later row replaces the earlier one, which takes a merge.
    keyed: bool,
    /// For that: the rows since the savepoint.
    pending: Vec<Batch>,
    spare: Vec<Batch>,
    rows: u64,
    pending_rows: u64,
    saved: bool,
    /// Whether a trigger puts rows into children of the table, which COPY does not count.
    routed: bool,
}

/// A COPY into a table itself.
pub struct TableCopy {
    /// The table, quoted.
    pub table: String,
    /// The columns of the stream, quoted, in the order of the fields.
    pub names: Vec<String>,
    /// The columns behind them.
    pub own: OwnColumns,
    /// Whether nobody else sees the table yet.
    pub hidden: bool,
}

/// What became of a batch.
pub enum Sent {
    /// The table has taken it, or will.
    Direct,
    /// A key came again: these batches, of which it is the last, must go another way.
    Repeated(Vec<Batch>),
    /// The same, but it is not among them.
    RepeatedBefore(Vec<Batch>),
}

impl Direct {
    /// Describes a COPY; of rows that are `routed` into children of the table the server does not
    /// say how many it took.
    pub fn new(mut into: CopyTarget, copy: TableCopy, keyed: bool, routed: bool) -> Self {
        into.sql = copy.sql();
        // What nobody else sees yet has neither triggers nor indexes of theirs.
        into.computes = !copy.hidden;
        Self {
            into,
            copy,
            keyed,
            pending: Vec::new(),
            spare: Vec::new(),
            rows: 0,
            pending_rows: 0,
            saved: false,
            routed,
        }
    }

    /// Returns the COPY into the table.
    pub fn copy_target(&self) -> &CopyTarget {
        &self.into
    }

    /// Returns how many rows the table has taken.
    pub fn rows(&self) -> u64 {
        self.rows + self.pending_rows
    }

    /// Sends rows. When a key comes again, returns the batches that the table has not taken; what
    /// is to be rejected of them has been.
    pub fn write(
        &mut self,
        connection: &mut Connection,
        fields: &mut Fields,
        rows: Incoming<'_>,
    ) -> Result<Sent> {
        let received = Received::now();
        if let Some(actions) = self.copy.renew(rows.batch, &received) {
            if let Some(repeated) = self.settle(connection)? {
                return Ok(Sent::RepeatedBefore(repeated));
            }
            own::alter(connection.idle()?, &self.copy.table, &actions)?;
        }
        let (mut lines, types) = (connection.take_lines(), self.copy.own.types());
        let own = &self.copy.own;
        let push =
            |_: &Fields, row, line: &mut Line<'_>| own.push((rows.batch, row), &received, line);
        let format = fields.write_binary(rows, &mut lines, &types, push)?;
        // Before anything is rejected: what a repeated key sends another way is written anew.
        if let Some(repeated) = self.begin(connection, format)? {
            return Ok(Sent::RepeatedBefore(repeated));
        }
        if format == Format::Text {
            let own = &self.copy.own;
            fields.write_text(rows, &mut lines, |_, row, line| {
                own.push((rows.batch, row), &received, line)
            })?;
        }
        self.go_on(connection, lines, rows.batch)
    }

    /// Makes lines of rows; rejects what is to be rejected of them.
    pub fn encode(
        &self,
        fields: &mut Fields,
        rows: Incoming<'_>,
        received: &Received,
        lines: &mut Lines,
    ) -> Result<()> {
        let own = &self.copy.own;
        fields.write(rows, lines, &own.types(), |_, row, line| {
            own.push((rows.batch, row), received, line)
        })
    }

    /// Sends the lines of a batch, as [`Direct::write`] does.
    pub fn send(
        &mut self,
        connection: &mut Connection,
        lines: Lines,
        batch: &Batch,
    ) -> Result<Sent> {
        if let Some(repeated) = self.begin(connection, lines.format)? {
            return Ok(Sent::RepeatedBefore(repeated));
        }
        self.go_on(connection, lines, batch)
    }

    /// Makes ready for a new COPY where none is open; returns the rows of the last one that the
    /// table has not taken because a key came again.
    fn begin(&mut self, connection: &mut Connection, format: Format) -> Result<Option<Vec<Batch>>> {
        if connection.is_copying(self.into.owner, format) {
            return Ok(None);
        }
        let repeated = self.settle(connection)?;
        self.into.sql = self.copy.sql();
        self.into.before = "";
        if self.keyed && repeated.is_none() {
            self.into.before = if self.saved { SAVE_AGAIN } else { SAVE };
            self.saved = true;
        }
        Ok(repeated)
    }

    /// Goes on with the COPY, or begins it.
    fn go_on(&mut self, connection: &mut Connection, lines: Lines, batch: &Batch) -> Result<Sent> {
        self.pending_rows += lines.numbers.len() as u64;
        if self.keyed {
            let mut kept = self.spare.pop().unwrap_or_default();
            kept.clone_from(batch);
            self.pending.push(kept);
        }
        match connection.copy(&self.into, lines) {
            Ok(()) => Ok(Sent::Direct),
            Err(refused) => self.turn_back(connection, refused).map(Sent::Repeated),
        }
    }

    /// Waits until the server has taken all rows; returns those it has not because a key came
    /// again.
    pub fn settle(&mut self, connection: &mut Connection) -> Result<Option<Vec<Batch>>> {
        if let Err(refused) = connection.idle() {
            return self.turn_back(connection, refused).map(Some);
        }
        self.spare.append(&mut self.pending);
        self.rows += std::mem::take(&mut self.pending_rows);
        let missed = connection.take_missed();
        if missed > 0 && !self.routed {
            self.rows -= missed.min(self.rows);
            guarded::warn_of_missed(&self.into.table, missed);
        }
        Ok(None)
    }

    /// Does the same behind the last rows, and leaves the table as it is to be.
    pub fn end(&mut self, connection: &mut Connection) -> Result<Option<Vec<Batch>>> {
        let repeated = self.settle(connection)?;
        self.forget(connection)?;
        Ok(repeated)
    }

    /// Has the table forget what was set for its COPYs.
    pub fn forget(&mut self, connection: &mut Connection) -> Result<()> {
        self.copy.own.forget(connection.idle()?, &self.copy.table)
    }

    fn turn_back(&mut self, connection: &mut Connection, refused: Error) -> Result<Vec<Batch>> {
        if !self.keyed || failure::sqlstate(&refused) != Some(UNIQUE_VIOLATION) {
            return Err(refused);
        }
        connection.idle()?.execute("ROLLBACK TO SAVEPOINT direct; RELEASE SAVEPOINT direct")?;
        self.saved = false;
        self.pending_rows = 0;
        Ok(std::mem::take(&mut self.pending))
    }
}

impl TableCopy {
    /// Returns the statement.
    pub fn sql(&self) -> String {
        let names: Vec<&str> =
            self.names.iter().map(String::as_str).chain(self.own.names()).collect();
        format!("COPY {} ({}) FROM STDIN", self.table, names.join(", "))
    }

    fn renew(&mut self, batch: &Batch, received: &Received) -> Option<Vec<String>> {
        // A COPY has a column.
        let may = self.hidden && !self.names.is_empty();
        may.then(|| self.own.renew(batch, received)).flatten()
    }
}
