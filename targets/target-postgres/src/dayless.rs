//! Rows of no day beside those of days. A load of a day replaces the rows that have its source and
//! day alone, so the same rows without them, which another `load_method` has added, would be there
//! twice.

use pg::{Client, quote_ident};
use singer::Result;

use crate::ask;
use crate::mapping::Mapping;
use crate::names::SOURCE;
use crate::settings::LoadMethod;

/// Warns of rows of no day where a day is to be loaded.
pub fn warn(client: &mut Client, mapping: &Mapping) -> Result<()> {
    if mapping.method != LoadMethod::ReplacePartition || mapping.change.creates() {
        return Ok(());
    }
    let (table, source) = (mapping.shape.name.sql()?, quote_ident(SOURCE)?);
    // In columns that the load adds no row has a value.
    let dayless =
        if mapping.change.has_days { format!(" WHERE {source} IS NULL") } else { String::new() };
    if ask::is_true(client, &format!("SELECT EXISTS (SELECT FROM {table}{dayless})"))? {
        singer::warn!(
            "W-ROWS-DAYLESS",
            "table {} has rows without a day, which another `load_method` or program has added. \
             Loads of days do not remove them, so rows that also belong to a day are there twice. \
             Run DELETE FROM {table} WHERE {source} IS NULL and load their days again or, if they \
             belong to no day, give them a source and a day by UPDATE",
            mapping.shape.name
        );
    }
    Ok(())
}
