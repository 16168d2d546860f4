//! One transaction: changes of the table, a merge, a version that becomes active, and what is
//! remembered of it.

use pg::Client;
use singer::{End, Result};

use crate::counts::Counts;
use crate::load::Load;
use crate::mapping::Mapping;
use crate::memory::Claim;
use crate::merge::Merge;
use crate::order::{Newest, Order};
use crate::settings::LoadMethod;
use crate::stage::Stage;
use crate::{checks, gone, guarded};

/// What one transaction does.
pub struct Work<'a> {
    /// The stream and its table.
    pub mapping: &'a Mapping,
    /// How many rows are staged and whether one lacks columns; `None` without a staging table.
    pub load: Option<(u64, bool)>,
    /// Where the table, or the partition, has no rows but those of this transaction: how many of
    /// them went straight there.
    pub added_to: Option<u64>,
    /// The SQL of the merge.
    pub merge: Merge,
    /// How the stream ended, where it has.
    pub end: Option<&'a End>,
    /// A version that becomes active.
    pub version: Option<i64>,
    /// Whether the staging table is not needed any more.
    pub drops: bool,
    /// That the stream fills the table, where that is still to be remembered.
    pub claim: Option<&'a Claim>,
    /// When the load began, where it is remembered when the last one did.
    pub order: Option<&'a Order>,
    /// Whether the table is as the stream needs it by now.
    pub is_made: bool,
}

impl Work<'_> {
    /// Tells whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        let changes = !self.mapping.change.statements.is_empty();
        self.load.is_none() && self.version.is_none() && !changes
    }

    /// Does it; within the transaction.
    pub fn run(&self, client: &mut Client) -> Result<Counts> {
        let (mapping, merge) = (self.mapping, &self.merge);
        let (mut counts, mut newest) = (Counts::default(), Newest::default());
        if !self.is_made && !mapping.change.statements.is_empty() {
            mapping.shape.apply(client, &mapping.change)?;
        }
        if let Some((rows, any_absent)) = self.load {
            let method = match mapping.method {
                method if self.added_to.is_none() => method,
                _ if mapping.shape.conflict.is_empty() => LoadMethod::AppendOnly,
                _ => LoadMethod::Upsert,
            };
            let load = Load {
                merge,
                method,
                partition: mapping.partition.as_ref(),
                name: &mapping.shape.name,
                unique: mapping.change.unique,
                rows,
                any_absent,
            };
            checks::keys(client, merge)?;
            if let Some(order) = self.order.filter(|_| rows > 0) {
                newest = order.check(client, mapping, merge)?;
            }
            if mapping.method == LoadMethod::Upsert && self.added_to.is_none() {
                checks::respelled(client, merge)?;
            }
            counts = load.run(client)?;
            if let Some(sent) = self.added_to.filter(|_| mapping.replaces()) {
                counts.repeated = checks::repeated(client, merge, sent + rows)?;
            }
            self.warn_of_repeated(counts);
            checks::filled(client, merge)?;
            if self.added_to.is_none() {
                gone::check(mapping, self.end, counts.deleted)?;
            }
        }
        if let Some(version) = self.version {
            counts.deleted += client.execute_lent(&merge.activate(version))?;
            guarded::activated(client, merge, &mapping.shape.name, version)?;
            checks::newer(client, merge, version)?;
        }
        guarded::fire(client, merge)?;
        if mapping.change.cascades {
            guarded::cascaded(client, &mapping.shape.name, counts, mapping.replaces())?;
        }
        if let Some(claim) = self.claim {
            claim.write(client)?;
        }
        if let Some(order) = self.order.filter(|_| self.added_to.is_some() || counts.any()) {
            order.remember(client, mapping, &newest)?;
        }
        // What the server has said of the rows may be denied.
        singer::warning::check()?;
        if self.load.is_some() {
            Stage::end(client, &merge.stage, self.drops)?;
        }
        Ok(counts)
    }

    /// Warns of rows that are to be all of the table, and of which only the last of a key stays.
    /// Of rows since a bookmark, which may be changes, that is to be expected.
    fn warn_of_repeated(&self, counts: Counts) {
        let stream = &self.mapping.stream;
        let changes = stream.coverage.is_part() || stream.replication_key.is_some();
        if counts.repeated > 0 && !changes {
            singer::warn!(
                "W-KEYS-REPEATED",
                "table {}: rows that a later row of the run with the same key replaced: {}; the \
                 key is not unique in the source of stream {}: {}",
                self.mapping.shape.name,
                counts.repeated,
                stream.name,
                stream.keys.join(", ")
            );
        }
    }
}
