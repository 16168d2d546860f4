//! What loads have changed.

use crate::names::TableName;

/// Rows that merges changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Rows added.
    pub inserted: u64,
    /// Rows of which a value changed.
    pub updated: u64,
    /// Rows removed, or marked as deleted by a version.
    pub deleted: u64,
    /// Rows whose key came again behind them, of rows that are to be all of the table.
    pub repeated: u64,
}

impl Counts {
    /// Adds those of another merge.
    pub fn add(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.repeated += other.repeated;
    }

    /// Says what a load has done to a table, which it may have made.
    pub fn tell(self, table: &TableName, made: bool) {
        let Self { inserted, updated, deleted, .. } = self;
        if !self.any() && !made {
            tracing::info!("table {table}: unchanged");
        } else {
            tracing::info!(
                "table {table}: {inserted} inserted, {updated} updated, {deleted} deleted"
            );
        }
    }

    /// Tells whether rows were changed.
    pub fn any(self) -> bool {
        self.inserted + self.updated + self.deleted > 0
    }
}
