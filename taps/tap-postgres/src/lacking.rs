//! A table that is there, and that the user may not read.

use pg::Client;
use singer::Result;

/// The first table of the name `$1`, written as `schema.table` or as a stream, or of the pattern
/// `$2`, that the user may not read: the schema, the name, the user, and whether the user may use
/// the schema.
const NOT_READABLE: &str = "\
SELECT n.nspname, c.relname, current_user, has_schema_privilege(n.oid, 'USAGE')
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND ($1 IN (n.nspname || '.' || c.relname, n.nspname || '-' || c.relname)
        OR n.nspname || '.' || c.relname LIKE $2)
   AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT'))
 ORDER BY n.nspname, c.relname LIMIT 1";

/// A table that the user may not read.
pub struct Lacking {
    pub table: String,
    pub user: String,
    /// The statements that give the right.
    pub hint: String,
}

/// Returns a table of a name, or else of a pattern of LIKE, that the user may not read.
pub fn lacking(client: &mut Client, name: &str, pattern: &str) -> Result<Option<Lacking>> {
    let rows = client.query(NOT_READABLE, &[Some(name), Some(pattern)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let text = |column| row.get(column).unwrap_or_default();
    let role = pg::quote_ident(text(2))?;
    let of_schema = if text(3) == "t" {
        String::new()
    } else {
        format!("GRANT USAGE ON SCHEMA {} TO {role}; ", pg::quote_ident(text(0))?)
    };
    let table = pg::quote_qualified(text(0), text(1))?;
    Ok(Some(Lacking {
        table: format!("{}.{}", text(0), text(1)),
        user: text(2).to_owned(),
        hint: format!("run as its owner: {of_schema}GRANT SELECT ON {table} TO {role}"),
    }))
}
