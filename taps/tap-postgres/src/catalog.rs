//! What the system catalog says of relations and types, by one query each.

use std::collections::BTreeMap;

use pg::types::{Class, PgType, Types};
use pg::{Client, Row};
use singer::{Error, ErrorKind, Result};

/// Relations somebody can read as streams, with the columns of their key, and the extension that
/// one belongs to. A partition is read through its parent, and so is what an extension made of a
/// table in a schema of its own. A key is one where the index is over all rows, and no column of it
/// can be null: of 18 on, a NOT NULL may be there that old rows do not meet. `$1` is an array of
/// schemas or null. What target-postgres remembers in a table of its own (`$2`, with the comment
/// `$3`) is nobody's data. The last column says whether the user may use the schema.
const RELATIONS: &str = "\
SELECT c.oid, n.nspname, c.relname, c.relkind,
       CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint END, k.attnums, x.extname,
       has_schema_privilege(n.oid, 'USAGE')
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass
       AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'
  LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
  LEFT JOIN (
    SELECT DISTINCT ON (i.indrelid) i.indrelid,
           array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' ') AS attnums
      FROM pg_catalog.pg_index i
     WHERE i.indisunique AND i.indisvalid AND i.indislive
       AND i.indpred IS NULL AND i.indexprs IS NULL
       AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = i.indrelid
                AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                AND (NOT a.attnotnull OR EXISTS (
                      SELECT FROM pg_catalog.pg_constraint o
                       WHERE o.conrelid = a.attrelid AND o.contype = 'n' AND NOT o.convalidated
                         AND a.attnum = ANY (o.conkey))))
     ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
  ) k ON k.indrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname !~ '^pg_(toast_)?temp_'
   AND ($1::text[] IS NULL OR n.nspname = ANY ($1::text[]))
   AND (c.relname <> $2::text OR obj_description(c.oid, 'pg_class') IS DISTINCT FROM $3::text)
   AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_inherits h
           JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
           JOIN pg_catalog.pg_depend s ON s.classid = 'pg_catalog.pg_namespace'::regclass
                AND s.objid = c.relnamespace AND s.deptype = 'e'
          WHERE h.inhrelid = c.oid AND p.relnamespace <> c.relnamespace)
 ORDER BY n.nspname, c.relname";

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

/// The children of tables, theirs too, each with its parent, and whether an extension made it in a
/// schema of its own. `$1` and `$2` are the schemas and the names of the tables.
const DESCENDANTS: &str = "\
WITH RECURSIVE family (root, parent, child) AS (
  SELECT h.inhparent, h.inhparent, h.inhrelid
    FROM unnest($1::text[], $2::text[]) wanted (nspname, relname)
    JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.nspname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.relname
    JOIN pg_catalog.pg_inherits h ON h.inhparent = c.oid
   WHERE c.relkind IN ('r', 'f') AND c.relhassubclass
   UNION
  SELECT f.root, f.child, h.inhrelid
    FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.child)
SELECT rn.nspname, r.relname, c.oid, n.nspname, c.relname, EXISTS (
         SELECT FROM pg_catalog.pg_depend s
          WHERE s.classid = 'pg_catalog.pg_namespace'::regclass AND s.objid = n.oid
            AND s.deptype = 'e'), f.root, f.parent
  FROM family f
  JOIN pg_catalog.pg_class r ON r.oid = f.root
  JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
  JOIN pg_catalog.pg_class c ON c.oid = f.child
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY c.oid";

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
    /// The extension that it is a part of.
    pub extension: Option<String>,
    /// The user may not use its schema.
    pub is_closed: bool,
}

/// A table that inherits from another one.
#[derive(Debug)]
pub struct Child {
    /// The schema and the name of the table whose children were asked for, and its oid.
    pub root: (String, String),
    pub root_oid: u32,
    /// The one that it inherits from.
    pub parent_oid: u32,
    pub oid: u32,
    /// Its schema and its name.
    pub table: (String, String),
    /// Whether it lies in a schema that an extension brought.
    pub of_extension: bool,
}

/// Returns the children of tables, and theirs.
pub fn children(client: &mut Client, tables: &[(String, String)]) -> Result<Vec<Child>> {
    let schemas = pg::array_literal(tables.iter().map(|(schema, _)| schema));
    let names = pg::array_literal(tables.iter().map(|(_, name)| name));
    let rows = client.query(DESCENDANTS, &[Some(&schemas), Some(&names)])?;
    let children = rows.iter().map(|row| {
        Ok(Child {
            root: (word(row, 0)?, word(row, 1)?),
            root_oid: number(row, 6)?,
            parent_oid: number(row, 7)?,
            oid: number(row, 2)?,
            table: (word(row, 3)?, word(row, 4)?),
            of_extension: row.get(5) == Some("t"),
        })
    });
    children.collect()
}

/// Tells whether two rows have the same key.
pub fn shares_key(client: &mut Client, from: &str, key: &[String]) -> Result<bool> {
    let names: Vec<String> = key.iter().map(|name| pg::quote_ident(name)).collect::<Result<_>>()?;
    let names = names.join(", ");
    let sql = format!("SELECT FROM {from} GROUP BY {names} HAVING count(*) > 1 LIMIT 1");
    Ok(!client.query_by_role(&sql, &[])?.is_empty())
}

/// Says why a schema that was asked for has no table: it is not there, or not open to the user.
/// One that is merely empty is fine.
pub fn check_schema(client: &mut Client, schema: &str) -> Result<()> {
    let rows = client.query(
        "SELECT has_schema_privilege(oid, 'USAGE'), current_user
           FROM pg_catalog.pg_namespace WHERE nspname = $1",
        &[Some(schema)],
    )?;
    let user = rows.first().and_then(|row| row.get(1)).unwrap_or_default();
    match rows.first().map(|row| row.get(0) == Some("t")) {
        Some(true) => {
            singer::warn!("W-NO-TABLE", "schema {schema} has no table");
            Ok(())
        }
        Some(false) => Err(Error::new(ErrorKind::Denied, "cannot read the schema")
            .with("schema", schema)
            .with("user", user)
            .hint(all_of_schema(schema, user)?)),
        None => Err(Error::new(ErrorKind::Config, "cannot find the schema")
            .with("schema", schema)
            .hint("check `filter_schemas` and `database`; upper and lower case differ")),
    }
}

/// Returns the statements that let a user read all of a schema.
fn all_of_schema(schema: &str, user: &str) -> Result<String> {
    let (schema, user) = (pg::quote_ident(schema)?, pg::quote_ident(user)?);
    Ok(format!(
        "run as its owner: GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT ON ALL TABLES IN \
         SCHEMA {schema} TO {user}"
    ))
}

/// Reads the relations, also those of schemas that the user may not use.
pub fn relations(client: &mut Client, schemas: Option<&[String]>) -> Result<Vec<Relation>> {
    let schemas = schemas.map(pg::array_literal);
    let (table, comment) = (Some(pg::ours::TABLE), Some(pg::ours::COMMENT));
    let rows = client.query(RELATIONS, &[schemas.as_deref(), table, comment])?;
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
                extension: row.get(6).map(str::to_owned),
                is_closed: row.get(7) != Some("t"),
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

/// Tells whether an index starts with the column.
pub fn has_index(client: &mut Client, relation: u32, column: i16) -> Result<bool> {
    let rows = client.query(
        "SELECT FROM pg_catalog.pg_index i \
          WHERE i.indrelid = $1::oid AND i.indisvalid AND i.indpred IS NULL \
            AND (i.indkey::int2[])[0] = $2::int2",
        &[Some(&relation.to_string()), Some(&column.to_string())],
    )?;
    Ok(!rows.is_empty())
}

/// Counts the rows whose key is null; none where that could take long, as in a view.
pub fn null_keys(
    client: &mut Client,
    relation: u32,
    key: &str,
    table: &str,
) -> Result<Option<u64>> {
    let kind = "SELECT FROM pg_catalog.pg_class WHERE oid = $1::oid AND relkind IN ('r', 'p', 'm')";
    if client.query(kind, &[Some(&relation.to_string())])?.is_empty() {
        return Ok(None);
    }
    let name = pg::quote_ident(key)?;
    let sql = format!("SELECT count(*) FROM {table} WHERE {name} IS NULL");
    client.query_by_role(&sql, &[])?.first().map(|row| number(row, 0)).transpose()
}

/// Tells whether a table has more than so many rows; it reads that many.
pub fn has_more(client: &mut Client, table: &str, rows: u64) -> Result<bool> {
    let rows = rows.min(i64::MAX.unsigned_abs());
    let sql = format!("SELECT 1 FROM {table} OFFSET {rows} LIMIT 1");
    Ok(!client.query_by_role(&sql, &[])?.is_empty())
}

/// Returns a bookmark of a moment with its offset, that of the session where it has none.
pub fn with_offset(client: &mut Client, moment: &str) -> Result<String> {
    let rows = client.query("SELECT $1::pg_catalog.timestamptz", &[Some(moment)])?;
    rows.first().map_or_else(|| Err(unexpected()), |row| word(row, 0))
}

pub fn word(row: &Row, column: usize) -> Result<String> {
    row.get(column).map(str::to_owned).ok_or_else(unexpected)
}

pub fn number<T: std::str::FromStr>(row: &Row, column: usize) -> Result<T> {
    row.get(column).and_then(|text| text.parse().ok()).ok_or_else(unexpected)
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Unavailable, "cannot understand the system catalog of the server")
        .hint("check that the server is PostgreSQL, version 12 or later")
}
