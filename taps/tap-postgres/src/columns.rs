//! The columns of relations, as the system catalog has them.

use std::collections::{BTreeMap, VecDeque};

use pg::types::ColumnType;
use pg::{Client, Row};
use singer::Result;

use crate::catalog::{number, word};

/// How many tables are asked about at once: the server takes longer to plan the question than to
/// answer it.
const TABLES: usize = 100;

/// How many columns an answer has at most: a table has up to 1,600.
const COLUMNS_MAX: usize = 5_000;

/// The columns of relations (`{relations}`), by the number of the relation (`{number}`), and
/// whether the user may read each (`{readable}`) of a schema that it may use (`{usable}`).
/// Functions look past the snapshot: of a column that is gone since, nobody has or lacks the right.
/// Nobody holds the rows of a foreign table to their NOT NULL, nor, since 18, old rows to one that
/// is not validated. A type is of an extension if its base or its elements are.
const COLUMNS: &str = "\
WITH RECURSIVE extended (oid, extname) AS (
  SELECT d.objid, e.extname
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
   WHERE d.deptype = 'e' AND d.classid = 'pg_catalog.pg_type'::regclass
   UNION
  SELECT t.oid, x.extname
    FROM extended x
    JOIN (SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typbasetype >= 16384
           UNION ALL
          SELECT oid, typelem FROM pg_catalog.pg_type WHERE typelem >= 16384) t (oid, under)
      ON t.under = x.oid)
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull AND NOT f.foreign_rows AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint o
          WHERE o.conrelid = a.attrelid AND o.contype = 'n' AND NOT o.convalidated
            AND a.attnum = ANY (o.conkey)),
       c.relkind = 'r' AND NOT c.relhassubclass AND a.attgenerated = '',
       {readable},
       c.relkind = 'v' OR c.relrowsecurity OR f.foreign_rows,
       CASE WHEN a.atttypid >= 16384 THEN (
         SELECT x.extname FROM extended x WHERE x.oid = a.atttypid LIMIT 1) END,
       {number}
  FROM {relations}
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 CROSS JOIN LATERAL (
    SELECT c.relkind = 'f' OR c.relhassubclass AND EXISTS (
      SELECT FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class p ON p.oid = h.inhrelid
       WHERE h.inhparent = c.oid AND p.relkind = 'f')
  ) f (foreign_rows)
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname !~ '^pg_(toast_)?temp_'
   AND a.attnum > 0 AND NOT a.attisdropped
   AND {usable}
   AND has_column_privilege(c.oid, a.attnum, 'SELECT') IS NOT NULL
 ORDER BY {number}, a.attrelid, a.attnum";

/// Which columns the user may read, of schemas that it may use.
const RIGHTS: [&str; 2] =
    ["has_column_privilege(c.oid, a.attnum, 'SELECT')", "has_schema_privilege(n.oid, 'USAGE')"];

/// The same once it has the rights that `grants` tells of.
const GRANTED: [&str; 2] = [
    "has_column_privilege(c.oid, a.attnum, 'SELECT') OR NOT has_any_column_privilege(c.oid, \
     'SELECT')",
    "true",
];

/// The relations of the schemas `$1`, or of all if it is null.
const OF_SCHEMAS: &str = "\
pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       AND NOT c.relispartition AND ($1::text[] IS NULL OR n.nspname = ANY ($1::text[]))";

/// The relations `$1` (schemas) and `$2` (names).
const NAMED: &str = "\
unnest($1::text[], $2::text[]) WITH ORDINALITY w (nspname, relname, number)
  JOIN pg_catalog.pg_namespace n ON n.nspname = w.nspname
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.relname";

/// A column.
#[expect(clippy::struct_excessive_bools, reason = "one for each thing that the catalog tells")]
#[derive(Clone, Debug)]
pub struct Attribute {
    pub relation: u32,
    pub number: i16,
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
    /// The type as `format_type` prints it.
    pub formatted: String,
    pub not_null: bool,
    /// Whether COPY takes it from its table without a query: not of a view, not computed, and the
    /// rows are not those of other tables too.
    pub stored_alone: bool,
    /// Whether the user may read it.
    pub readable: bool,
    /// Whether something of the user's computes while its relation is read: a view, the policies
    /// of a table, a foreign server.
    pub computed: bool,
    /// The extension that its type belongs to, or the one of its elements or under its domain.
    pub extension: Option<String>,
    /// How it is read.
    pub form: Form,
}

impl Attribute {
    /// Returns the type of the column.
    pub fn column_type(&self) -> ColumnType<'_> {
        let (oid, modifier, nullable) = (self.type_oid, self.modifier, !self.not_null);
        ColumnType { oid, modifier, formatted: &self.formatted, nullable }
    }
}

/// How a column is read, so that its text is the same whatever the session has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    #[default]
    Plain,
    /// A moment as the time of day in UTC.
    InUtc,
    /// An amount of money as a number.
    Amount,
    /// The same, of each element.
    Amounts,
}

/// The columns of the tables of a run, asked for some tables ahead. All of it belongs into one
/// snapshot.
#[derive(Debug, Default)]
pub struct Columns {
    /// The tables that were not asked about, in the order in which they are wanted.
    waiting: VecDeque<(String, String)>,
    known: BTreeMap<(String, String), Vec<Attribute>>,
}

impl Columns {
    /// Takes the tables (schema and name) that will be wanted, in their order.
    pub fn of_run(tables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { waiting: tables.into_iter().collect(), known: BTreeMap::new() }
    }

    /// Returns the columns of a table; none if it is not there.
    pub fn of(&mut self, client: &mut Client, table: &(String, String)) -> Result<Vec<Attribute>> {
        if let Some(columns) = self.known.remove(table) {
            return Ok(columns);
        }
        let at = self.waiting.iter().position(|one| one == table);
        // Tables before it were not read after all.
        at.map(|at| self.waiting.drain(..=at));
        let mut asked = vec![table.clone()];
        asked.extend(self.waiting.iter().take(TABLES - 1).cloned());
        let mut answers = named(client, &asked)?;
        let ahead = answers.split_off(1);
        self.known.extend(self.waiting.drain(..ahead.len()).zip(ahead));
        Ok(answers.pop().unwrap_or_default())
    }
}

/// Reads the columns of the first ones of these tables, one at least.
fn named(client: &mut Client, tables: &[(String, String)]) -> Result<Vec<Vec<Attribute>>> {
    let schemas = pg::array_literal(tables.iter().map(|(schema, _)| schema));
    let names = pg::array_literal(tables.iter().map(|(_, name)| name));
    let sql = format!("{} LIMIT {COLUMNS_MAX}", question(NAMED, "w.number", RIGHTS));
    let rows = client.query(&sql, &[Some(&schemas), Some(&names)])?;
    let mut columns: Vec<Vec<Attribute>> = Vec::new();
    columns.resize_with(tables.len(), Vec::new);
    let mut last = 0;
    for row in &rows {
        last = number::<usize>(row, 11)?.saturating_sub(1);
        if let Some(of_table) = columns.get_mut(last) {
            of_table.push(attribute(row)?);
        }
    }
    if rows.len() == COLUMNS_MAX {
        // Some columns of the last one may be missing.
        columns.truncate(last);
    }
    Ok(columns)
}

/// Reads the columns of all relations of the schemas: as they are, or (`all`) as they
/// are once what is lacking is granted.
pub fn of_schemas(
    client: &mut Client,
    schemas: Option<&[String]>,
    all: bool,
) -> Result<Vec<Attribute>> {
    let schemas = schemas.map(pg::array_literal);
    let sql = question(OF_SCHEMAS, "0::bigint", if all { GRANTED } else { RIGHTS });
    client.query(&sql, &[schemas.as_deref()])?.iter().map(attribute).collect()
}

fn question(relations: &str, number: &str, [readable, usable]: [&str; 2]) -> String {
    let sql = COLUMNS.replace("{relations}", relations).replace("{number}", number);
    sql.replace("{readable}", readable).replace("{usable}", usable)
}

fn attribute(row: &Row) -> Result<Attribute> {
    Ok(Attribute {
        relation: number(row, 0)?,
        number: number(row, 1)?,
        name: word(row, 2)?,
        type_oid: number(row, 3)?,
        modifier: number(row, 4)?,
        formatted: word(row, 5)?,
        not_null: row.get(6) == Some("t"),
        stored_alone: row.get(7) == Some("t"),
        readable: row.get(8) == Some("t"),
        computed: row.get(9) == Some("t"),
        form: Form::Plain,
        extension: row.get(10).map(str::to_owned),
    })
}
