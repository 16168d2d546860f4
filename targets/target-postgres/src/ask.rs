//! Statements whose answer is a truth or a count.

use pg::{Client, Row};
use singer::Result;

/// Runs a statement that returns two counts.
pub fn pair(client: &mut Client, sql: &str) -> Result<(u64, u64)> {
    Ok(counts(&client.query(sql, &[])?))
}

fn counts(rows: &[Row]) -> (u64, u64) {
    let count = |at| rows.first().and_then(|row| row.get(at)?.parse().ok()).unwrap_or(0);
    (count(0), count(1))
}

/// Runs a statement that changes rows of the table and returns two counts.
pub fn changed_pair(client: &mut Client, sql: &str) -> Result<(u64, u64)> {
    Ok(counts(&client.query_lent(sql)?))
}

/// Runs a statement that returns a truth.
pub fn is_true(client: &mut Client, sql: &str) -> Result<bool> {
    let rows = client.query(sql, &[])?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Runs a statement that returns a count.
pub fn one(client: &mut Client, sql: &str) -> Result<u64> {
    let rows = client.query(sql, &[])?;
    Ok(rows.first().and_then(|row| row.get(0)?.parse().ok()).unwrap_or(0))
}
