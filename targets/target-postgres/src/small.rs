//! The rows of a table that is small so far: they are kept until the stream ends, so that the
//! transaction that small tables share is never open on a stream that is still being read.
//!
//! While that transaction is open, nothing of the run waits for another run: what is not available
//! at once has the transaction committed first. So runs whose tables come in another order do not
//! hold each other up.

use singer::{Batch, Result};

use crate::connection::{CopyTarget, Received};
use crate::counts::Counts;
use crate::direct::Direct;
use crate::fields::{Fields, Incoming, Lines};
use crate::load;
use crate::mapping::Mapping;
use crate::memory::Claim;
use crate::order::Order;
use crate::session::{Role, Session};
use crate::together::Waiting;
use crate::work::Work;

/// A table with more text is loaded alone.
const SMALL_BYTES: usize = 64 << 10;

/// Rows, as they came and as they go.
pub struct Small {
    direct: Direct,
    parts: Vec<(Lines, Batch)>,
    bytes: usize,
}

/// What is to be done of a small table beside its rows.
pub struct Joining<'a> {
    /// The stream and its table.
    pub mapping: &'a Mapping,
    /// That the stream fills it, where that is still to be remembered.
    pub claim: Option<Claim>,
    /// When the load began.
    pub order: &'a mut Order,
    /// A version that becomes active.
    pub version: Option<i64>,
    /// Whether the table, or the partition, has no rows.
    pub fresh: &'a mut Option<bool>,
    /// Whether rows that come again would be added beside themselves.
    pub adds: bool,
}

/// Describes rows that go straight into their table, which nobody else sees if it is `hidden`.
pub fn describe(
    session: &mut Session,
    mapping: &Mapping,
    fields: &Fields,
    hidden: bool,
) -> Result<Direct> {
    let copy = mapping.direct(fields, session.started_ms(), hidden)?;
    let name = &mapping.shape.name;
    let (relation, table) = (name.table.clone(), name.to_string());
    let owner = session.next_number();
    let into = CopyTarget { owner, relation, table, ..CopyTarget::default() };
    let routed = mapping.change.routes && mapping.change.children;
    Ok(Direct::new(into, copy, !mapping.shape.conflict.is_empty(), routed))
}

impl Small {
    /// Tells whether rows of this size are few, and can be kept beside those of other streams.
    pub fn fits(bytes: usize) -> bool {
        bytes <= SMALL_BYTES
    }

    /// Describes rows that would go straight into the table.
    pub fn new(direct: Direct) -> Self {
        Self { direct, parts: Vec::new(), bytes: 0 }
    }

    /// Keeps rows; what is to be rejected of them is. Returns how large they are.
    pub fn keep(&mut self, fields: &mut Fields, rows: Incoming<'_>) -> Result<usize> {
        let mut lines = Lines::default();
        self.direct.encode(fields, rows, &Received::now(), &mut lines)?;
        let mut batch = Batch::default();
        batch.clone_from(rows.batch);
        let bytes = lines.data.len() + batch.text_bytes();
        self.bytes += bytes;
        self.parts.push((lines, batch));
        Ok(bytes)
    }

    /// Returns how large the rows are, in both forms.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many rows there are.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|(lines, _)| lines.numbers.len() as u64).sum()
    }

    /// Returns the rows.
    pub fn into_parts(self) -> Vec<(Lines, Batch)> {
        self.parts
    }

    /// Puts the rows into the table, in the transaction that small tables share; tells whether they
    /// are there. Where they are not, for whatever reason, nothing was done and the transaction is
    /// over: loaded alone, the table says itself what is wrong.
    pub fn join(&self, session: &mut Session, mut load: Joining<'_>) -> Result<bool> {
        let mapping = load.mapping;
        session.prepare(&mapping.shape, (mapping.change.creates(), load.claim.is_some()))?;
        let name = &mapping.shape.name;
        load.claim = load.claim.filter(|claim| session.takes(claim));
        if !session.begin_together()? {
            return Ok(false);
        }
        match self.fill(session, &mut load) {
            Ok(Some(counts)) => {
                session.wait(Waiting {
                    stream: mapping.stream.name.clone(),
                    table: name.sql()?,
                    name: name.clone(),
                    adds: load.adds && self.rows() > 0,
                    claim: load.claim,
                    order: std::mem::take(load.order),
                    counts,
                    made: mapping.change.creates(),
                    bytes: self.bytes,
                });
                Ok(true)
            }
            Err(failure) if session.connection(Role::Direct).is_broken() => Err(failure),
            refused => {
                if let Err(failure) = refused {
                    tracing::debug!(
                        "table {name}: is loaded in a transaction of its own: {failure}"
                    );
                }
                session.leave_together()?;
                Ok(false)
            }
        }
    }

    /// Does the work; `None` where the table is not free, or has rows.
    fn fill(&self, session: &mut Session, load: &mut Joining<'_>) -> Result<Option<Counts>> {
        let mapping = load.mapping;
        let schema = &mapping.shape.name.schema;
        let order = Some(&*load.order).filter(|_| session.orders(schema));
        let merge = mapping.merge("", session.started_ms())?;
        let connection = session.connection(Role::Direct);
        if !load::takes_at_once(connection.idle()?, mapping, load.fresh)? {
            return Ok(None);
        }
        let into = self.direct.copy_target();
        for (lines, _) in &self.parts {
            connection.copy(into, lines.clone())?;
        }
        connection.idle()?;
        if connection.take_missed() > 0 {
            return Ok(None);
        }
        let work = Work {
            mapping,
            load: None,
            added_to: Some(0),
            merge,
            end: None,
            version: load.version,
            drops: true,
            claim: load.claim.as_ref(),
            order,
            is_made: true,
        };
        let mut counts = work.run(connection.idle()?)?;
        counts.inserted += self.rows();
        Ok(Some(counts))
    }
}
