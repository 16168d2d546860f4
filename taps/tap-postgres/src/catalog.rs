//! What the system catalog says: relations, columns and types, by one query each.

use std::collections::BTreeMap;

use pg::types::{Class, ColumnType, PgType, Types};
use pg::{Client, Row};
use singer::{Error, ErrorKind, Result};

/// Relations somebody can read as streams, with the columns of their key, and the extension that
/// one belongs to. A partition is read through its parent, and so is what an extension made of a
/// table in a schema of its own. A key is one where the index is over all rows, and no column of it
/// can be null: of 18 on, a NOT NULL may be there that old rows do not meet. `$1` is an array of
/// schemas or null. What target-postgres remembers in a table of its own (`$2`, with the comment
/// `$3`) is nobody's data.
const RELATIONS: &str = "\
SELECT c.oid, n.nspname, c.relname, c.relkind,
       CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint END, k.attnums, x.extname
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
   AND has_schema_privilege(n.oid, 'USAGE')
   AND (c.relname <> $2::text OR obj_description(c.oid, 'pg_class') IS DISTINCT FROM $3::text)
   AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_inherits h
           JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
           JOIN pg_catalog.pg_depend s ON s.classid = 'pg_catalog.pg_namespace'::regclass
                AND s.objid = c.relnamespace AND s.deptype = 'e'
          WHERE h.inhrelid = c.oid AND p.relnamespace <> c.relnamespace)
 ORDER BY n.nspname, c.relname";

/// The columns of those relations. `$2` is one relation's name or null. Functions look past the
/// snapshot: of a column that is gone since, nobody has or lacks the right. Nobody holds the rows
/// of a foreign table to their NOT NULL, nor, since 18, old rows to one that is not validated.
const COLUMNS: &str = "\
{extended}SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
       format_type(a.atttypid, a.atttypmod),
       a.attnotnull AND NOT f.foreign_rows AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_constraint o
          WHERE o.conrelid = a.attrelid AND o.contype = 'n' AND NOT o.convalidated
            AND a.attnum = ANY (o.conkey)),
       c.relkind = 'r' AND NOT c.relhassubclass AND a.attgenerated = '',
       has_column_privilege(c.oid, a.attnum, 'SELECT'),
       c.relkind = 'v' OR c.relrowsecurity OR f.foreign_rows,
       {extension}
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
 CROSS JOIN LATERAL (
    SELECT c.relkind = 'f' OR c.relhassubclass AND EXISTS (
      SELECT FROM pg_catalog.pg_inherits h JOIN pg_catalog.pg_class p ON p.oid = h.inhrelid
       WHERE h.inhparent = c.oid AND p.relkind = 'f')
  ) f (foreign_rows)
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ($2::text IS NOT NULL OR NOT c.relispartition)
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND n.nspname !~ '^pg_(toast_)?temp_'
   AND ($1::text[] IS NULL OR n.nspname = ANY ($1::text[]))
   AND ($2::text IS NULL OR c.relname = $2::text)
   AND a.attnum > 0 AND NOT a.attisdropped
   AND has_schema_privilege(n.oid, 'USAGE')
   AND has_column_privilege(c.oid, a.attnum, 'SELECT') IS NOT NULL
 ORDER BY a.attrelid, a.attnum";

/// The extension of a type, its base or its elements: for the columns of one relation.
const EXTENSION: &str = "\
CASE WHEN a.atttypid >= 16384 THEN (
  WITH RECURSIVE under (oid) AS (
    SELECT a.atttypid
     UNION
    SELECT u.oid FROM under JOIN pg_catalog.pg_type t ON t.oid = under.oid
     CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem)) u (oid)
     WHERE u.oid >= 16384)
  SELECT e.extname
    FROM under
    JOIN pg_catalog.pg_depend d ON d.deptype = 'e'
     AND d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = under.oid
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
   LIMIT 1) END";

/// The extensions of all types, for the columns of many relations: asked for each column, they
/// would be so dear in the eyes of the planner that it compiles the statement, which takes longer.
const EXTENDED: &str = "\
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
";
const EXTENSION_OF_ALL: &str = "\
CASE WHEN a.atttypid >= 16384 THEN (
  SELECT x.extname FROM extended x WHERE x.oid = a.atttypid LIMIT 1) END";

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
}

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
    Ok(!client.query(&sql, &[])?.is_empty())
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
    let schemas = schemas.map(pg::array_literal);
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
                extension: row.get(6).map(str::to_owned),
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
    let schemas = schemas.map(pg::array_literal);
    let (extended, extension) =
        if relation.is_some() { ("", EXTENSION) } else { (EXTENDED, EXTENSION_OF_ALL) };
    let sql = COLUMNS.replace("{extended}", extended).replace("{extension}", extension);
    let rows = client.query(&sql, &[schemas.as_deref(), relation])?;
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
                computed: row.get(9) == Some("t"),
                form: Form::Plain,
                extension: row.get(10).map(str::to_owned),
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

/// What became of a table and of the session while it was read.
pub struct After {
    /// Whether the relation is not what the snapshot of the transaction should show: rewrites of a
    /// table (TRUNCATE, most changes of a type) leave older snapshots without its rows.
    pub replaced: bool,
    /// The settings of the session that are not what we set.
    pub changed: Vec<pg::Changed>,
}

/// Looks at both, once a column of the relation was read.
pub fn after(client: &mut Client, read: &Attribute, name: &str) -> Result<After> {
    let replaced = if read.stored_alone { REPLACED } else { ANY_REPLACED };
    let query = format!("{replaced}, {}", Client::settings_now());
    let rows = client.query(&query, &[Some(&read.relation.to_string()), Some(name)])?;
    let answer = |column| rows.first().and_then(|row| row.get(column));
    let changed = client.changed(answer(1).unwrap_or_default());
    Ok(After { replaced: answer(0) == Some("t"), changed })
}

/// Makes the failure for rows whose text nobody can trust.
pub fn changed_text(setting: &pg::Changed, column: &Attribute) -> Error {
    let message = "cannot trust the rows: a function changed the session while they were read";
    Error::new(ErrorKind::Unavailable, message)
        .with("setting", setting.name)
        .with("reason", setting.reason)
        .with("column", &column.name)
        .hint(
            "let the function leave the setting alone, or have it set back at its end: ALTER \
             FUNCTION ... SET ...",
        )
}

/// Returns a bookmark of a moment with its offset, that of the session where it has none.
pub fn with_offset(client: &mut Client, moment: &str) -> Result<String> {
    let rows = client.query("SELECT $1::pg_catalog.timestamptz", &[Some(moment)])?;
    rows.first().map_or_else(|| Err(unexpected()), |row| word(row, 0))
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
