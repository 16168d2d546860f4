//! Rows straight into their table: where they are only added, and where the table, or the
//! partition, had none, so that there is nothing to merge them with.

use pg::{copy_text, failure};
use singer::Envelope;
use singer::{Batch, Error, Result};

use crate::connection::{Connection, CopyTarget, Received};
use crate::fields::{Fields, Incoming, Lines, push_envelope};
use crate::guarded;

/// The SQLSTATE of a second row with one key.
const UNIQUE_VIOLATION: &str = "23505";

/// A transaction that is open on the run's second connection, and what it has taken.
pub struct Direct {
    into: CopyTarget,
    /// The COPY alone.
    copy: String,
    own: Vec<FilledColumn>,
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

/// The value of a column that we fill.
#[derive(Clone, Debug)]
pub enum FilledColumn {
    /// The same for all rows.
    Constant(String),
    /// None.
    Null,
    /// When the tap says that it read the row.
    Extracted,
    /// The version of its record.
    Version,
    /// When we received it, as a moment.
    Received,
    /// When we received it, in milliseconds.
    Sequence,
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
    /// Describes a COPY whose last columns are `own`; of rows that are `routed` into children of
    /// the table the server does not say how many it took.
    pub fn new(into: CopyTarget, own: Vec<FilledColumn>, keyed: bool, routed: bool) -> Self {
        Self {
            copy: into.sql.clone(),
            into,
            own,
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
        let mut lines = connection.take_lines();
        self.encode(fields, rows, &mut lines)?;
        self.send(connection, lines, rows.batch)
    }

    /// Makes lines of rows; rejects what is to be rejected of them.
    pub fn encode(&self, fields: &mut Fields, rows: Incoming<'_>, lines: &mut Lines) -> Result<()> {
        let received = Received::now();
        let (own, batch) = (&self.own, rows.batch);
        fields.write(rows, lines, |_, row, out| {
            for own in own {
                own.push(batch, row, &received, out);
            }
        })
    }

    /// Sends the lines of a batch, as [`Direct::write`] does.
    pub fn send(
        &mut self,
        connection: &mut Connection,
        lines: Lines,
        batch: &Batch,
    ) -> Result<Sent> {
        if !connection.is_copying(self.into.owner) {
            if let Some(repeated) = self.settle(connection)? {
                return Ok(Sent::RepeatedBefore(repeated));
            }
            if self.keyed {
                let release = if self.saved { "RELEASE SAVEPOINT direct; " } else { "" };
                self.into.sql = format!("{release}SAVEPOINT direct; {}", self.copy);
                self.saved = true;
            }
        }
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

impl FilledColumn {
    fn push(&self, batch: &Batch, row: usize, received: &Received, out: &mut Vec<u8>) {
        match self {
            Self::Extracted => return push_envelope(batch, row, Envelope::TIME_EXTRACTED, out),
            Self::Version => return push_envelope(batch, row, Envelope::VERSION, out),
            Self::Constant(text) => copy_text::escape(text.as_bytes(), out),
            Self::Null => out.extend_from_slice(copy_text::NULL),
            Self::Received => out.extend_from_slice(received.moment.as_bytes()),
            Self::Sequence => out.extend_from_slice(received.millis.as_bytes()),
        }
        out.push(b'\t');
    }
}
