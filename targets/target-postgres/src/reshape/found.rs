//! What a table is like, and what depends on it.

use pg::{Client, array_literal};
use singer::Result;

use crate::names::TableName;

/// Asks for a sum over all that a change of a table may meet.
const SUM: &str = "SELECT encode(sha256(convert_to(jsonb_build_array(c.oid, c.relowner, c.relkind,
    c.relpersistence, c.relrowsecurity,
    (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
        a.attcollation, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
          WHERE adrelid = c.oid AND adnum = a.attnum), col_description(c.oid, a.attnum))
        ORDER BY a.attnum) FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT jsonb_agg(jsonb_build_array(k.conname, k.conrelid, pg_get_constraintdef(k.oid))
        ORDER BY k.conname, k.oid) FROM pg_constraint k
      WHERE k.conrelid = c.oid OR k.confrelid = c.oid),
    (SELECT jsonb_agg(pg_get_indexdef(i.indexrelid) ORDER BY i.indexrelid) FROM pg_index i
      WHERE i.indrelid = c.oid),
    (SELECT jsonb_agg(pg_get_triggerdef(t.oid) ORDER BY t.oid) FROM pg_trigger t
      WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
    (SELECT jsonb_agg(i.inhrelid ORDER BY i.inhrelid) FROM pg_inherits i
      WHERE i.inhparent = c.oid),
    (SELECT jsonb_agg(DISTINCT r.ev_class) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
      WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = c.oid))::text, 'UTF8')), 'hex')
  FROM pg_class c WHERE c.oid = to_regclass($1)";

/// Returns a sum that differs when the table, or what depends on it, changes; `None` where there is
/// no table.
pub(super) fn sum(client: &mut Client, name: &TableName) -> Result<Option<String>> {
    first(client, SUM, name)
}

/// Returns the name of the primary key of a table.
pub(super) fn primary_key(client: &mut Client, name: &TableName) -> Result<Option<String>> {
    let sql =
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass($1) AND contype = 'p'";
    first(client, sql, name)
}

fn first(client: &mut Client, sql: &str, name: &TableName) -> Result<Option<String>> {
    let rows = client.query(sql, &[Some(&name.sql()?)])?;
    Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
}

/// Returns the foreign keys of other tables that point to a table, in words.
pub(super) fn references(client: &mut Client, name: &TableName) -> Result<Vec<String>> {
    let sql = "SELECT format('foreign key %I of table %s points to the table; drop it, apply, and \
               create it again', conname, conrelid::regclass) FROM pg_constraint \
               WHERE confrelid = to_regclass($1) AND contype = 'f' AND conparentid = 0 \
               ORDER BY 1";
    all(client, sql, name)
}

/// Returns what keeps a table from being dropped, in words.
pub(super) fn dependents(client: &mut Client, name: &TableName) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT format('%s %s reads the table; drop it first', CASE v.relkind \
               WHEN 'm' THEN 'materialized view' ELSE 'view' END, v.oid::regclass) \
               FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
               JOIN pg_class v ON v.oid = r.ev_class \
               WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass \
               AND d.refobjid = to_regclass($1) AND v.oid <> d.refobjid \
               UNION SELECT format('foreign key %I of table %s points to the table; drop it \
               first', conname, conrelid::regclass) FROM pg_constraint \
               WHERE confrelid = to_regclass($1) AND conrelid <> confrelid AND contype = 'f' \
               AND conparentid = 0 \
               UNION SELECT format('table %s is a child of the table; drop it first', \
               inhrelid::regclass) FROM pg_inherits JOIN pg_class c ON c.oid = inhparent \
               WHERE inhparent = to_regclass($1) AND c.relkind = 'r' ORDER BY 1";
    all(client, sql, name)
}

fn all(client: &mut Client, sql: &str, name: &TableName) -> Result<Vec<String>> {
    let rows = client.query(sql, &[Some(&name.sql()?)])?;
    Ok(rows.iter().filter_map(|row| row.get(0)).map(str::to_owned).collect())
}

/// Returns what the server drops together with columns, in its words: indexes, constraints.
pub(super) fn goes_with(
    client: &mut Client,
    name: &TableName,
    columns: &[String],
) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d \
         JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1) \
         AND a.attname = ANY ($2::text[]) AND d.deptype IN ('a', 'i') \
         AND NOT (d.classid = 'pg_class'::regclass AND d.objid = d.refobjid) ORDER BY 1",
        &[Some(&name.sql()?), Some(&array_literal(columns))],
    )?;
    Ok(rows.iter().filter_map(|row| row.get(0)).map(str::to_owned).collect())
}
