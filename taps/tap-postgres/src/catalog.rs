//! What the system catalog says: relations, columns and types, by one query each.

use std::collections::BTreeMap;

use pg::types::{Class, PgType, Types};
use pg::{Client, Row};
use singer::{Error, ErrorKind, Result};

/// Relations somebody can read as streams, with the columns of their key. A partition is read
/// through its parent. `$1` is an array of schemas or null. What target-postgres remembers in a
/// table of its own (`$2`, with the comment `$3`) is nobody's data.
const RELATIONS: &str = "\
SELECT c.oid, n.nspname, c.relname, c.relkind,
       CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint END, k.attnums
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (
    SELECT DISTINCT ON (i.indrelid) i.indrelid,
           array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' ') AS attnums
      FROM pg_catalog.pg_index i
     WHERE i.indisunique AND i.indisvalid AND i.indislive
       AND i.indpred IS NULL AND i.indexprs IS NULL
       AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = i.indrelid AND NOT a.attnotnull
                AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
     ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
  ) k ON k.indrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname !~ '^pg_(toast_)?temp_'
   AND ($1::text[] IS NULL OR n.nspname = ANY ($1::text[]))
   AND has_schema_privilege(n.oid, 'USAGE')
   AND (c.relname <> $2::text OR obj_description(c.oid, 'pg_class') IS DISTINCT FROM $3::text)
 ORDER BY n.nspname, c.relname";

/// The columns of those relations. `$2` is one relation's name or null. Functions look past the
/// snapshot: of a column that is gone since, nobody has or lacks the right.
const COLUMNS: &str = "\
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
       format_type(a.atttypid, a.atttypmod), a.attnotnull,
       c.relkind = 'r' AND NOT c.relhassubclass AND a.attgenerated = '',
       has_column_privilege(c.oid, a.attnum, 'SELECT')
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ($2::text IS NOT NULL OR NOT c.relispartition)
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname !~ '^pg_(toast_)?temp_'
   AND ($1::text[] IS NULL OR n.nspname = ANY ($1::text[]))
   AND ($2::text IS NULL OR c.relname = $2::text)
   AND a.attnum > 0 AND NOT a.attisdropped
   AND has_schema_privilege(n.oid, 'USAGE')
   AND has_column_privilege(c.oid, a.attnum, 'SELECT') IS NOT NULL
 ORDER BY a.attrelid, a.attnum";

/// Types, but for the row types of tables and arrays of them.
const TYPES: &str = "\
SELECT t.oid, t.typname, n.nspname = 'pg_catalog', format_type(t.oid, NULL), t.typtype,
       t.typbasetype, t.typtypmod,
       CASE WHEN t.typinput = 'pg_catalog.array_in'::regproc THEN t.typelem END,
       e.typdelim, l.labels
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
  LEFT JOIN (
    SELECT enumtypid, json_agg(enumlabel ORDER BY enumsortorder)::text AS labels
      FROM pg_catalog.pg_enum GROUP BY enumtypid
  ) l ON l.enumtypid = t.oid
 WHERE t.typtype IN ('b', 'd', 'e') AND (e.typtype IS NULL OR e.typtype IN ('b', 'd', 'e'))";

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

/// A table, view or the like.
#[derive(Debug)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `r`, `p`, `v`, `m` or `f`.
    pub kind: char,
    /// An estimate; views have none, nor have tables that were never analysed.
    pub rows: Option<i64>,
    /// The numbers of the columns of its key.
    pub key: Vec<i16>,
}

/// A column.
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
}

/// Says why a schema that was asked for has no table: it is not there, or not open to the user.
/// One that is merely empty is fine.
pub fn check_schema(client: &mut Client, schema: &str) -> Result<()> {
    let rows = client.query(
        "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1",
        &[Some(schema)],
    )?;
    match rows.first().map(|row| row.get(0) == Some("t")) {
        Some(true) => {
            singer::warn!("W-NO-TABLE", "schema {schema} has no table");
            Ok(())
        }
        Some(false) => Err(Error::new(ErrorKind::Denied, "cannot look into the schema")
            .with("schema", schema)
            .hint("GRANT USAGE ON SCHEMA ... and SELECT ON ALL TABLES IN SCHEMA ... to the user")),
        None => Err(Error::new(ErrorKind::Config, "cannot find the schema")
            .with("schema", schema)
            .hint("check `filter_schemas` and `database`; names are case-sensitive")),
    }
}

/// Reads the relations.
pub fn relations(client: &mut Client, schemas: Option<&[String]>) -> Result<Vec<Relation>> {
    let schemas = schemas.map(array_literal);
    let ours = [schemas.as_deref(), Some(pg::ours::TABLE), Some(pg::ours::COMMENT)];
    let rows = client.query(RELATIONS, &ours)?;
    rows.iter()
        .map(|row| {
            let key = row.get(5).unwrap_or("").split_ascii_whitespace();
            Ok(Relation {
                oid: number(row, 0)?,
                schema: word(row, 1)?,
                name: word(row, 2)?,
                kind: row.get(3).and_then(|text| text.chars().next()).unwrap_or('r'),
                rows: row.get(4).map(|_| number(row, 4)).transpose()?,
                key: key.filter_map(|number| number.parse().ok()).collect(),
            })
        })
        .collect()
}

/// Reads the columns of all relations of the schemas, or of one.
pub fn attributes(
    client: &mut Client,
    schemas: Option<&[String]>,
    relation: Option<&str>,
) -> Result<Vec<Attribute>> {
    let schemas = schemas.map(array_literal);
    let rows = client.query(COLUMNS, &[schemas.as_deref(), relation])?;
    rows.iter()
        .map(|row| {
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
            })
        })
        .collect()
}

/// Reads the types.
pub fn types(client: &mut Client) -> Result<Types> {
    let rows = client.query(TYPES, &[])?;
    let mut types = BTreeMap::new();
    for row in &rows {
        let class = match (row.get(4), row.get(7)) {
            (Some("e"), _) => Class::Enum(
                row.get(9).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default(),
            ),
            (Some("d"), _) => Class::Domain { base: number(row, 5)?, modifier: number(row, 6)? },
            (_, Some(_)) => Class::Array {
                element: number(row, 7)?,
                delimiter: row.get(8).and_then(|text| text.bytes().next()).unwrap_or(b','),
            },
            _ => Class::Base,
        };
        let found = PgType {
            name: word(row, 1)?,
            builtin: row.get(2) == Some("t"),
            formatted: word(row, 3)?,
            class,
        };
        types.insert(number(row, 0)?, found);
    }
    Ok(types)
}

/// Tells whether the relation could have an index that starts with the column, but has none.
pub fn lacks_index(client: &mut Client, relation: u32, column: i16) -> Result<bool> {
    let rows = client.query(
        "SELECT FROM pg_catalog.pg_class c \
          WHERE c.oid = $1::oid AND c.relkind IN ('r', 'p', 'm') AND NOT EXISTS ( \
                SELECT FROM pg_catalog.pg_index i \
                 WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL \
                   AND (i.indkey::int2[])[0] = $2::int2)",
        &[Some(&relation.to_string()), Some(&column.to_string())],
    )?;
    Ok(!rows.is_empty())
}

/// Counts the rows whose key is null; none where that could take long, as in a view.
pub fn null_keys(client: &mut Client, key: &Attribute, table: &str) -> Result<Option<u64>> {
    let kind = "SELECT FROM pg_catalog.pg_class WHERE oid = $1::oid AND relkind IN ('r', 'p', 'm')";
    if client.query(kind, &[Some(&key.relation.to_string())])?.is_empty() {
        return Ok(None);
    }
    let name = pg::quote_ident(&key.name)?;
    let sql = format!("SELECT count(*) FROM {table} WHERE {name} IS NULL");
    client.query(&sql, &[])?.first().map(|row| number(row, 0)).transpose()
}

/// Tells whether a table has more than so many rows; it reads that many.
pub fn has_more(client: &mut Client, table: &str, rows: u64) -> Result<bool> {
    let rows = rows.min(i64::MAX.unsigned_abs());
    Ok(!client.query(&format!("SELECT 1 FROM {table} OFFSET {rows} LIMIT 1"), &[])?.is_empty())
}

/// Tells whether the relation of a column that was read is not what the snapshot of the
/// transaction should show: rewrites of a table (TRUNCATE, most changes of a type) leave older
/// snapshots without its rows.
pub fn was_replaced(client: &mut Client, read: &Attribute, name: &str) -> Result<bool> {
    let query = if read.stored_alone { REPLACED } else { ANY_REPLACED };
    let rows = client.query(query, &[Some(&read.relation.to_string()), Some(name)])?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}

fn array_literal(names: &[String]) -> String {
    let quoted =
        names.iter().map(|name| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn word(row: &Row, column: usize) -> Result<String> {
    row.get(column).map(str::to_owned).ok_or_else(unexpected)
}

fn number<T: std::str::FromStr>(row: &Row, column: usize) -> Result<T> {
    row.get(column).and_then(|text| text.parse().ok()).ok_or_else(unexpected)
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Unavailable, "cannot understand the system catalog of the server")
        .hint("is it a PostgreSQL server, version 12 or later?")
}
