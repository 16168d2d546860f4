//! A table as it is, read from the catalog. Most tables are plain, and a run may load thousands:
//! what most of them lack is asked for only where the catalog says that there is some.

use std::collections::BTreeMap;

use pg::Client;
use singer::Result;

use crate::facts::FACTS;
use crate::names::TableName;
use crate::relatives::Relatives;
use crate::types::SqlType;

/// A table, read from the catalog.
#[derive(Debug, Default)]
pub struct Existing {
    /// What it is, as `relkind` says.
    pub kind: String,
    /// Its columns, in order.
    pub columns: Vec<ExistingColumn>,
    /// The columns of each unique index that ON CONFLICT can use; the primary key first.
    pub unique: Vec<Vec<String>>,
    /// The columns of its primary key.
    pub primary: Vec<String>,
    /// Whether it has a primary key.
    pub has_primary_key: bool,
    /// Whether that is checked at the COMMIT, so that ON CONFLICT cannot use it.
    pub is_deferrable: bool,
    /// The columns that its key has to have, as it is partitioned by them; an empty name stands
    /// for an expression.
    pub partitioned_by: Vec<String>,
    /// What it has to do with others.
    pub relatives: Relatives,
    /// Whether it lasts, and has neither partitions nor triggers.
    pub is_plain: bool,
}

/// A column of it.
#[derive(Debug)]
pub struct ExistingColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether the server computes it.
    pub generated: bool,
    /// Whether the server numbers it.
    pub identity: bool,
    /// Whether the server numbers it unless told otherwise.
    pub identity_always: bool,
    /// What a new row gets there, as SQL, if that is not NULL.
    pub default: Option<String>,
    /// Its collation, quoted, if that takes different texts for equal.
    pub collation: Option<String>,
}

impl Existing {
    /// Reads a table; `None` where nothing has the name.
    pub fn read(client: &mut Client, name: &TableName) -> Result<Option<Self>> {
        let params = [Some(name.schema.as_str()), Some(name.table.as_str())];
        let rows = client.query(
            "SELECT c.oid, c.relkind, c.relhassubclass OR c.relhastriggers OR c.relhasrules,
               c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relhastriggers,
               (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                 WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                   AND d.refclassid = 'pg_extension'::regclass LIMIT 1)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 't', 'c')",
            &params,
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        let oid = row.get(0);
        let mut relatives = Relatives::default();
        if row.get(2) == Some("t") {
            relatives = Relatives::read(client, oid)?;
        }
        relatives.extension = row.get(4).map(str::to_owned);
        let mut existing = Self {
            kind: row.get(1).unwrap_or_default().to_owned(),
            columns: columns(client, oid)?,
            relatives,
            is_plain: row.get(3) == Some("t"),
            ..Self::default()
        };
        existing.read_keys(client, oid)?;
        if existing.kind == "p" {
            existing.partitioned_by = partitioned_by(client, oid)?;
        }
        Ok(Some(existing))
    }

    /// Gives columns other names, as they are to have.
    pub fn rename(&mut self, renames: &[[String; 2]]) {
        let keys = self.unique.iter_mut().flatten().chain(&mut self.partitioned_by);
        let keys = keys.chain(&mut self.primary);
        for name in self.columns.iter_mut().map(|column| &mut column.name).chain(keys) {
            if let Some([_, new]) = renames.iter().find(|[old, _]| old == name) {
                name.clone_from(new);
            }
        }
    }

    fn read_keys(&mut self, client: &mut Client, oid: Option<&str>) -> Result<()> {
        let keys = client.query(
            "SELECT i.indexrelid, i.indisprimary, a.attname, i.indimmediate
             FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
             JOIN pg_attribute a ON a.attnum = k.attnum AND a.attrelid = $1::oid
             WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid
               AND (i.indimmediate OR i.indisprimary) AND i.indpred IS NULL
               AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
             ORDER BY i.indisprimary DESC, i.indexrelid, k.place",
            &[oid],
        )?;
        let mut last = None;
        for row in &keys {
            if row.get(1) == Some("t") {
                self.has_primary_key = true;
                self.primary.push(row.get(2).unwrap_or_default().to_owned());
            }
            if row.get(3) != Some("t") {
                self.is_deferrable = true;
                continue;
            }
            if last != row.get(0) {
                self.unique.push(Vec::new());
                last = row.get(0);
            }
            if let Some(key) = self.unique.last_mut() {
                key.push(row.get(2).unwrap_or_default().to_owned());
            }
        }
        Ok(())
    }
}

/// Returns the columns that a table is partitioned by.
fn partitioned_by(client: &mut Client, oid: Option<&str>) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT a.attname FROM pg_partitioned_table p, unnest(p.partattrs::int2[]) k (attnum)
         LEFT JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attnum = k.attnum
         WHERE p.partrelid = $1::oid",
        &[oid],
    )?;
    Ok(rows.iter().map(|row| row.get(0).unwrap_or_default().to_owned()).collect())
}

fn columns(client: &mut Client, oid: Option<&str>) -> Result<Vec<ExistingColumn>> {
    // The base types of the server, and arrays of them, are what their names say.
    let rows = client.query(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
           a.attidentity = 'a', (SELECT format('%I.%I', n.nspname, o.collname)
             FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
             WHERE o.oid = a.attcollation AND NOT o.collisdeterministic),
           a.attidentity <> '', CASE WHEN a.atthasdef AND a.attgenerated = ''
             THEN (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                    WHERE adrelid = a.attrelid AND adnum = a.attnum) END,
           t.oid < 16384 AND t.typtype = 'b' AND (t.typelem = 0 OR EXISTS (
             SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typtype = 'b'))
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
         WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum",
        &[oid],
    )?;
    let is_base = |row: &pg::Row| row.get(7) == Some("t");
    let facts = if rows.iter().all(is_base) { BTreeMap::new() } else { facts(client, oid)? };
    let column = |row: &pg::Row| {
        let name = row.get(0).unwrap_or_default();
        let sql_type = SqlType::from_server(row.get(1).unwrap_or_default());
        ExistingColumn {
            name: name.to_owned(),
            sql_type: sql_type.with_facts(facts.get(name).map(String::as_str)),
            generated: row.get(2) == Some("t"),
            identity: row.get(5) == Some("t"),
            identity_always: row.get(3) == Some("t"),
            default: row.get(6).map(str::to_owned),
            collation: row.get(4).map(str::to_owned),
        }
    };
    Ok(rows.iter().map(column).collect())
}

/// Returns the facts of the types of all columns, by their names.
fn facts(client: &mut Client, oid: Option<&str>) -> Result<BTreeMap<String, String>> {
    let rows = client.query(
        &format!(
            "SELECT a.attname, types.facts FROM pg_attribute a JOIN (
               SELECT used.oid, used.m, {FACTS} AS facts
                 FROM (SELECT DISTINCT atttypid AS oid, atttypmod AS m FROM pg_attribute
                        WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped) used
                 JOIN pg_type t ON t.oid = used.oid
               OFFSET 0 -- Once a type, however many columns have it.
             ) types ON types.oid = a.atttypid AND types.m = a.atttypmod
             WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        &[oid],
    )?;
    let facts =
        rows.iter().filter_map(|row| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())));
    Ok(facts.collect())
}
