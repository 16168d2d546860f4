//! What is looked at once the rows of a table were read.

use pg::Client;
use singer::{Error, ErrorKind, Result};

use crate::columns::Attribute;

/// Whether the relation that was read is another one than in the snapshot (`$2` is the name by
/// which `$1` was read), or was written anew since. Functions look past the snapshot.
const REPLACED: &str = "\
SELECT $1::oid IS DISTINCT FROM to_regclass($2)::oid OR EXISTS (
  SELECT FROM pg_catalog.pg_class c
   WHERE c.oid = $1::oid AND c.relkind = 'r' AND c.relfilenode <> 0
     AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid))";

/// The same, of all tables that this transaction holds: those behind views and parents are among
/// them. It takes the longer the more these are.
const ANY_REPLACED: &str = "\
SELECT $1::oid IS DISTINCT FROM to_regclass($2)::oid OR EXISTS (
  SELECT FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
   WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid()
     AND c.relkind = 'r' AND c.relfilenode <> 0
     AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid))";

/// Tells of a table with children whether one of these, as the snapshot has them, is none any more,
/// so that its rows were not read. Of a partitioned table a function knows that; of another one all
/// children are locked that were read.
const CHILD_GONE: &str = "\
EXISTS (
  WITH RECURSIVE below (oid) AS (
    SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid
     UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below ON i.inhparent = below.oid)
  SELECT FROM below JOIN pg_catalog.pg_class root ON root.oid = $1::oid
   WHERE CASE root.relkind
         WHEN 'p' THEN below.oid NOT IN (SELECT relid FROM pg_partition_tree($1::oid))
         WHEN 'r' THEN NOT EXISTS (
           SELECT FROM pg_catalog.pg_locks l
            WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid()
              AND l.relation = below.oid)
         ELSE false END)";

/// What became of a table and of the session while it was read.
pub struct After {
    /// Whether the relation is not what the snapshot of the transaction should show: rewrites of a
    /// table (TRUNCATE, most changes of a type) leave older snapshots without its rows.
    pub replaced: bool,
    /// The settings of the session that are not what we set.
    pub changed: Vec<pg::Changed>,
}

/// Looks at both, once columns of a relation were read by this name, with the rows of its children
/// or without. Returns `None` where no column was.
pub fn after(
    client: &mut Client,
    read: &[Attribute],
    name: &str,
    with_children: bool,
) -> Result<Option<After>> {
    let stored = read.iter().find(|column| column.stored_alone);
    let Some(column) = stored.or(read.first()) else { return Ok(None) };
    let replaced = match (column.stored_alone, with_children) {
        (true, _) => REPLACED.to_owned(),
        (false, false) => ANY_REPLACED.to_owned(),
        (false, true) => format!("{ANY_REPLACED} OR {CHILD_GONE}"),
    };
    // Nothing that somebody wrote computes while plain columns are read: the session is as it was.
    let is_plain = read.iter().all(|column| column.stored_alone && !column.computed);
    let now = if is_plain { "NULL".to_owned() } else { Client::settings_now() };
    let query = format!("{replaced}, {now}");
    let rows = client.query(&query, &[Some(&column.relation.to_string()), Some(name)])?;
    let answer = |column| rows.first().and_then(|row| row.get(column));
    let changed = answer(1).map(|now| client.changed(now)).unwrap_or_default();
    Ok(Some(After { replaced: answer(0) == Some("t"), changed }))
}

/// Makes the failure for rows whose text nobody can trust.
pub fn changed_text(setting: &pg::Changed, column: &Attribute) -> Error {
    let message = "cannot trust the rows: a function changed the session while they were read";
    Error::new(ErrorKind::Unavailable, message)
        .with("setting", setting.name)
        .with("reason", setting.reason)
        .with("column", &column.name)
        .hint(
            "change the function so that it does not change the setting, or sets it back at its \
             end: ALTER FUNCTION ... SET ...",
        )
}
