//! The rights that the user lacks to read a stream, as SQL: told by `--plan`.
//!
//! The rule: a table of which the user may read some columns is read by these, as discovery has it;
//! only one that it may not read at all, and a column that a catalog selects, is to be granted.

use pg::{Rights, array_literal, quote_ident, quote_qualified};
use singer::{Error, ErrorKind, Result, Stream};

use crate::settings::Settings;
use crate::table::address;

/// The relation `$2` of the schema `$1`, and what the views among these read by the rights of the
/// user and not of their owner: the schema, the name, whether it is the relation itself, and
/// whether the user may read any of it.
const READ: &str = "\
WITH RECURSIVE read (oid, itself) AS (
  SELECT c.oid, true
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = $1 AND c.relname = $2
   UNION
  SELECT d.refobjid, false
    FROM read JOIN pg_catalog.pg_class v ON v.oid = read.oid AND v.relkind = 'v'
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
     AND d.refobjid <> v.oid
   WHERE EXISTS (
     SELECT FROM unnest(v.reloptions) option
      WHERE CASE WHEN option LIKE 'security_invoker=%'
                 THEN split_part(option, '=', 2)::boolean END))
SELECT n.nspname, c.relname, read.itself, has_any_column_privilege(c.oid, 'SELECT')
  FROM read JOIN pg_catalog.pg_class c ON c.oid = read.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
 ORDER BY read.itself DESC, n.nspname, c.relname";

/// The columns `$3` of a relation that the user may not read.
const COLUMNS: &str = "\
SELECT a.attname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY ($3::text[])
 WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0
   AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')
 ORDER BY a.attnum";

/// Returns what the user lacks to read a stream; ahead of it, where that is.
pub fn statements(client: &mut pg::Client, stream: &Stream) -> Result<Vec<String>> {
    let (schema, table) = address(stream)?;
    let mut rights = Rights::of(client)?;
    rights.on_schema(&schema, &["USAGE"])?;
    for row in rights.client.query(READ, &[Some(&schema), Some(&table)])? {
        let (of, name) = (row.get(0).unwrap_or_default(), row.get(1).unwrap_or_default());
        if row.get(3) != Some("t") {
            rights.on_table(of, name, &["SELECT"])?;
        } else if row.get(2) == Some("t") {
            let names = array_literal(stream.columns.iter().map(|column| &column.name));
            let lacking = rights.client.query(COLUMNS, &[Some(of), Some(name), Some(&names)])?;
            let names = lacking.iter().filter_map(|row| row.get(0));
            let names: Vec<String> = names.map(quote_ident).collect::<Result<_>>()?;
            let right = format!("SELECT ({})", names.join(", "));
            let right: Vec<String> = (!names.is_empty()).then_some(right).into_iter().collect();
            rights.grant(&right, &format!("TABLE {}", quote_qualified(of, name)?))?;
        }
    }
    Ok(rights.into_statements())
}

/// Refuses to read while rights are asked for: the streams are not those of a run.
pub fn check(settings: &Settings) -> Result<()> {
    if !settings.plan_grants {
        return Ok(());
    }
    let message = "cannot read a stream with the setting `plan_grants`";
    Err(Error::new(ErrorKind::Config, message)
        .hint("`--plan` prints the rights that are lacking; remove the setting to read"))
}
