//! What to do about a table whose key is not that of the stream.

use pg::quote_ident;

use super::Shape;
use crate::existing::{Existing, ExistingColumn};
use crate::names::DATESTAMP;

impl Shape {
    /// Says what to do about a table that is not unique by the key of the stream.
    pub(super) fn way_to_a_key(&self, existing: &Existing, statement: &str) -> String {
        let has = |name: &&String| existing.columns.iter().any(|column| column.name == **name);
        if !self.partitioned && existing.columns.iter().any(|column| column.name == DATESTAMP) {
            return "the table holds days, and each day may have the same key: load by \
                    `replace-partition`, or into another table or schema"
                .to_owned();
        }
        if existing.partitioned_by.iter().any(|column| !self.conflict.contains(column)) {
            return "a unique key of a partitioned table must have all columns of its partition \
                    key: load by `append-only`, or into another table or schema"
                .to_owned();
        }
        match self.conflict.iter().find(|name| !has(name)) {
            Some(missing) if let Some(rename) = self.respelling(existing, missing) => rename,
            Some(missing) => format!(
                "the table has no column {missing}, because another stream or another \
                 `load_method` created it: load into another table or schema"
            ),
            None => format!(
                "load into another table or schema or, if no two rows have the same key, run: \
                 {statement}"
            ),
        }
    }

    /// Says how a column gets its name, where the table has it in another case, and the stream does
    /// not have that one too.
    fn respelling(&self, existing: &Existing, missing: &str) -> Option<String> {
        let is_other = |column: &&ExistingColumn| {
            column.name.to_lowercase() == missing.to_lowercase()
                && !self.columns.iter().any(|wanted| wanted.name == column.name)
        };
        let other = &existing.columns.iter().find(is_other)?.name;
        let [old, new] = [other, missing].map(|name| quote_ident(name).ok());
        Some(format!(
            "the table has the key column only in another case: choose `name_case` or, to rename \
             the column, run: ALTER TABLE {} RENAME COLUMN {} TO {}",
            self.name.sql().ok()?,
            old?,
            new?
        ))
    }
}
