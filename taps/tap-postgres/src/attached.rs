//! Tables that came to an INCREMENTAL stream since its bookmark, with rows of their own: partitions
//! that were attached, tables that were made children, and what a changed view selects.
//!
//! The rule: a bookmark covers the rows of the tables that it was taken from. Where a table has
//! come since and has rows before the bookmark, these are read once; where the tap cannot tell them
//! from others, it is reported. A partition that was empty when it was made has no such rows.

use std::collections::BTreeSet;

use pg::Client;
use serde_json::{Value, json};
use singer::{Bookmark, Result, Rows, Stream};

use crate::catalog::number;
use crate::columns::Attribute;

/// The members of a bookmark with the tables of the rows, and with the definitions of the views.
const TABLES: &str = "tables";
const VIEWS: &str = "views";

/// What the rows of the relation `$1` come from: children, partitions, what is behind a view, each
/// with its definition if it is a view, and whether its column `$2` of the type `$3` can be read
/// from the table itself.
const BEHIND: &str = "\
WITH RECURSIVE behind (relation) AS (
  SELECT $1::oid
   UNION
  SELECT next.relation
    FROM behind b CROSS JOIN LATERAL (
      SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = b.relation
       UNION ALL
      SELECT d.refobjid
        FROM pg_catalog.pg_class v
        JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
         AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
       WHERE v.oid = b.relation AND v.relkind = 'v') next (relation))
SELECT c.oid, n.nspname, c.relname,
       CASE WHEN c.relkind = 'v' THEN substr(md5(pg_get_viewdef(c.oid)), 1, 16) END,
       NOT c.relrowsecurity AND has_schema_privilege(n.oid, 'USAGE') AND EXISTS (
         SELECT FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attname = $2 AND a.atttypid = $3::oid
            AND a.attnum > 0 AND NOT a.attisdropped
            AND has_column_privilege(c.oid, a.attnum, 'SELECT'))
  FROM behind b
  JOIN pg_catalog.pg_class c ON c.oid = b.relation
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'f', 'v') AND (c.relkind = 'v' OR c.oid <> $1::oid)
 ORDER BY c.oid";

/// A table that rows of a stream lie in.
#[derive(Clone, Debug)]
struct Table {
    oid: u32,
    /// As people write it, and quoted.
    name: (String, String),
    /// Whether its key can be read without its parent.
    alone: bool,
}

/// What the rows of a stream come from.
#[derive(Debug, Default)]
pub struct Behind {
    tables: Vec<Table>,
    views: Vec<String>,
}

impl Behind {
    /// Looks what is behind the relation of a key, but for the children `apart`, whose rows are in
    /// other streams.
    pub fn of(client: &mut Client, key: &Attribute, apart: &BTreeSet<u32>) -> Result<Self> {
        let (relation, kind) = (key.relation.to_string(), key.type_oid.to_string());
        let rows = client.query(BEHIND, &[Some(&relation), Some(&key.name), Some(&kind)])?;
        let mut behind = Self { tables: Vec::new(), views: Vec::new() };
        for row in &rows {
            let (oid, word) = (number(row, 0)?, |at| row.get(at).unwrap_or_default());
            match row.get(3) {
                Some(digest) => behind.views.push(digest.to_owned()),
                None if apart.contains(&oid) => {}
                None => behind.tables.push(Table {
                    oid,
                    name: (
                        format!("{}.{}", word(1), word(2)),
                        pg::quote_qualified(word(1), word(2))?,
                    ),
                    alone: row.get(4) == Some("t"),
                }),
            }
        }
        Ok(behind)
    }

    /// Has the next bookmark say them.
    pub fn remember(&self, rows: &mut Rows<'_>) {
        let oids: Vec<u32> = self.tables.iter().map(|table| table.oid).collect();
        rows.add_to_bookmark(TABLES, json!(oids));
        if !self.views.is_empty() {
            rows.add_to_bookmark(VIEWS, json!(self.views.join(" ")));
        }
    }

    /// Returns the tables that are not among those of the bookmark and have rows before it, if the
    /// stream is a table; of a view they are reported.
    pub fn come(
        &self,
        client: &mut Client,
        stream: &Stream,
        since: &Bookmark,
        (key, before): (&Attribute, &str),
    ) -> Result<Vec<u32>> {
        let is_view = !self.views.is_empty();
        let was = since.value[VIEWS].as_str();
        if is_view && was.is_some_and(|was| was != self.views.join(" ")) {
            tell(stream, "its view has another definition than under its bookmark");
            return Ok(Vec::new());
        }
        let Some(known) = since.value[TABLES].as_array() else { return Ok(Vec::new()) };
        let known: BTreeSet<u64> = known.iter().filter_map(Value::as_u64).collect();
        let new = self.tables.iter().filter(|table| !known.contains(&u64::from(table.oid)));
        let mut come = Vec::new();
        for table in new {
            if !table.alone {
                // Through its parent it can be read: with all tables that are new.
                come.extend((!is_view).then_some(table));
                continue;
            }
            let sql = format!("SELECT FROM ONLY {}{before} LIMIT 1", table.name.1);
            if !client.query_by_role(&sql, &[])?.is_empty() {
                come.push(table);
            }
        }
        let names: Vec<&str> = come.iter().take(20).map(|table| table.name.0.as_str()).collect();
        let names = names.join(", ");
        if is_view && !come.is_empty() {
            tell(stream, &format!("{names} came behind its view since its bookmark"));
            return Ok(Vec::new());
        }
        if come.iter().any(|table| table.alone) {
            singer::warn!(
                "W-TABLE-ATTACHED",
                "stream {}: {names} became a part of its table after the bookmark, with values of \
                 `{}` before it. This run reads these rows too; where a load had them before, \
                 `append-only` adds them again",
                stream.name,
                key.name
            );
        }
        Ok(come.into_iter().map(|table| table.oid).collect())
    }
}

fn tell(stream: &Stream, what: &str) {
    singer::warn!(
        "W-SOURCE-CHANGED",
        "stream {}: {what}. If it has rows now that it did not have, those up to the bookmark are \
         not read; to read them, read the stream once in full: chorus run TAP TARGET \
         --full-refresh --select '{}.*'",
        stream.name,
        stream.id
    );
}

/// Writes the condition on the table that a row lies in.
pub fn in_tables(oids: &[u32]) -> String {
    let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
    let equal = "OPERATOR(pg_catalog.=)";
    format!("tableoid {equal} ANY ('{{{}}}'::pg_catalog.oid[])", oids.join(","))
}
