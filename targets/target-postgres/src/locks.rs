//! Locks that only this program knows: of tables, schemas and partitions.

use pg::{Client, quote_literal};
use singer::Result;

/// Takes a lock that ends with the transaction; other programs do not know of it.
pub fn lock(client: &mut Client, name: &str) -> Result<()> {
    client.execute(&format!("SELECT pg_advisory_xact_lock({})", lock_number(name)))?;
    Ok(())
}

/// Takes the same lock if it is free, and tells whether it was.
pub fn try_lock(client: &mut Client, name: &str) -> Result<bool> {
    let sql = format!("SELECT pg_try_advisory_xact_lock({})", lock_number(name));
    Ok(client.query(&sql, &[])?.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Returns the number by which the server knows a lock, as SQL.
pub fn lock_number(name: &str) -> String {
    format!("hashtextextended({}, 0)", quote_literal(&format!("target-postgres {name}")))
}
