//! Tables that are not alone: parents, whose children have rows of theirs, and those of an
//! extension.
//!
//! The rows of a table are those that a query of it finds, so that those of its children count:
//! they are found by table and address, within what a load replaces, and no index of the parent
//! knows their keys. A child with columns of its own has more than rows of the table: no load of
//! the parent touches it. What belongs to an extension is neither replaced nor changed.

use pg::Client;
use singer::{Error, ErrorKind, Result};

use crate::guards::{GUARDS, Guards};
use crate::settings::LoadMethod;

/// What a table has to do with others.
#[derive(Debug, Default)]
pub struct Relatives {
    /// Whether it has children (which are no partitions of it).
    pub children: bool,
    /// Whether a trigger may put new rows elsewhere.
    pub routes: bool,
    /// A child, or one of its children, that has columns of its own.
    pub wider_child: Option<String>,
    /// What may be done to its rows otherwise than asked.
    pub guards: Guards,
    /// Whether foreign keys remove or change rows of other tables with its own.
    pub cascades: bool,
    /// The extension that it belongs to.
    pub extension: Option<String>,
}

impl Relatives {
    /// Looks at a table that has children, partitions, triggers or rules, by its number; not for
    /// its extension.
    pub fn read(client: &mut Client, oid: Option<&str>) -> Result<Self> {
        let sql = format!(
            "SELECT c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), \
             EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal \
               AND tgenabled <> 'D' AND tgtype & 7 = 7), \
             {GUARDS}, \
             EXISTS (SELECT FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f' \
               AND confdeltype IN ('c', 'n', 'd')) \
             FROM pg_class c WHERE c.oid = $1::oid"
        );
        let rows = client.query(&sql, &[oid])?;
        let Some(row) = rows.first() else { return Ok(Self::default()) };
        let children = row.get(0) == Some("t");
        let wider_child = if children { wider_child(client, oid)? } else { None };
        Ok(Self {
            children,
            routes: row.get(1) == Some("t"),
            wider_child,
            guards: Guards::of(row.get(2)),
            cascades: row.get(3) == Some("t"),
            extension: None,
        })
    }

    /// Refuses a load that would touch rows or columns which are not the stream's to touch: one
    /// that `removes` rows, or that `changes` the table.
    pub fn check(&self, method: LoadMethod, removes: bool, changes: bool) -> Result<()> {
        if let Some(extension) = &self.extension
            && (removes || changes)
        {
            let message = "cannot replace or change a table that belongs to an extension";
            return Err(Error::new(ErrorKind::Config, message).with("extension", extension).hint(
                "leave the stream out, or load it into another schema (`default_target_schema`) or \
                  table (`table_names`); it is also possible to add rows by `append-only` or \
                 `upsert` without `add_record_metadata` and `hard_delete`",
            ));
        }
        if let Some(child) = &self.wider_child
            && (method != LoadMethod::AppendOnly || removes)
        {
            let message = "cannot distinguish the rows of a table from those of its child";
            return Err(Error::new(ErrorKind::Config, message).with("child", child).hint(
                "the child has columns that the stream lacks: load into another schema \
                 (`default_target_schema`) or table (`table_names`), or by `append-only` without \
                 `hard_delete`",
            ));
        }
        Ok(())
    }
}

/// Returns a descendant that has a column which the table lacks.
fn wider_child(client: &mut Client, oid: Option<&str>) -> Result<Option<String>> {
    let rows = client.query(
        "WITH RECURSIVE d (oid) AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::oid \
           UNION SELECT i.inhrelid FROM pg_inherits i JOIN d ON i.inhparent = d.oid) \
         SELECT d.oid::regclass::text FROM d JOIN pg_attribute a ON a.attrelid = d.oid \
           AND a.attnum > 0 AND NOT a.attisdropped WHERE NOT EXISTS (SELECT FROM pg_attribute p \
           WHERE p.attrelid = $1::oid AND p.attname = a.attname AND NOT p.attisdropped) \
         ORDER BY 1 LIMIT 1",
        &[oid],
    )?;
    Ok(rows.first().and_then(|row| row.get(0)).map(str::to_owned))
}
