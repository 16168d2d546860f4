//! Views that hold a column to its type: the server changes none that a view reads.

use pg::{Client, array_literal};
use singer::{Error, ErrorKind, Result};

use crate::names::TableName;

/// Asks for the views that read one of these columns, and those that read them; the last ones of
/// all, which are to be dropped first, come first.
const VIEWS: &str = "WITH RECURSIVE reads (of, view, attnum) AS (
    SELECT DISTINCT d.refobjid, r.ev_class, d.refobjsubid FROM pg_depend d
      JOIN pg_rewrite r ON r.oid = d.objid
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND r.ev_class <> d.refobjid),
  held (view, depth) AS (
    SELECT view, 1 FROM reads JOIN pg_attribute a ON a.attrelid = of AND a.attnum = reads.attnum
     WHERE of = to_regclass($1) AND a.attname = ANY ($2::text[])
    UNION SELECT reads.view, depth + 1 FROM held JOIN reads ON of = held.view)
  SELECT format('%I.%I', n.nspname, c.relname),
    CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END
    FROM held JOIN pg_class c ON c.oid = view JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('v', 'm') GROUP BY 1, 2 ORDER BY max(depth) DESC, 1";

/// Refuses to change the types of columns that a view reads, with what to do about it.
pub fn check(client: &mut Client, name: &TableName, columns: &[String]) -> Result<()> {
    let views = client.query(VIEWS, &[Some(&name.sql()?), Some(&array_literal(columns))])?;
    let text = |row: &pg::Row, at| row.get(at).unwrap_or_default().to_owned();
    let views: Vec<(String, String)> =
        views.iter().map(|row| (text(row, 0), text(row, 1))).collect();
    if views.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = views.iter().map(|(view, _)| view.as_str()).collect();
    let drops = views.iter().map(|(view, kind)| format!("DROP {kind} {view}"));
    Err(Error::new(ErrorKind::Unavailable, "cannot change the type of a column that a view reads")
        .with("columns", columns.join(", "))
        .with("views", names.join(", "))
        .hint(format!(
            "save the output of `SELECT pg_get_viewdef('{}')` (for each view), run: {}; load, and \
             create the views again, the last one first",
            names[0].replace('\'', "''"),
            drops.collect::<Vec<_>>().join("; ")
        )))
}
