//! What the rows of an INCREMENTAL stream are read from: which table of which database, and which
//! of its columns.
//!
//! The rule: a bookmark covers the rows, and the columns, of the table that it was taken from. What
//! it covers is not read again; so another table behind the same name, one that was emptied and
//! whose numbers have begun anew, and columns that were left out until now, are reported.

use std::collections::BTreeSet;

use pg::Client;
use serde_json::{Value, json};
use singer::{Bookmark, Result, Rows, Stream};

use crate::columns::Attribute;

/// The member of a bookmark with the table, and the one with the columns that were left out.
const TABLE: &str = "table";
const LEFT_OUT: &str = "left_out";
/// The one with the files that hold the rows and the sequence of the key.
const NUMBERS: &str = "numbers";

/// The file of the table `$1`, that of the sequence that gives its column `$2` numbers, and the
/// type of the column. TRUNCATE ... RESTART IDENTITY gives both new files, as TRUNCATE and ALTER
/// SEQUENCE ... RESTART do; upkeep and most other changes of a table have one of them new at most,
/// but for those of the type.
const FILES: &str = "\
SELECT c.relfilenode, s.relfilenode, a.atttypid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = $2::int2
  JOIN (
    SELECT objid, refobjid, refobjsubid FROM pg_catalog.pg_depend
     WHERE classid = 'pg_catalog.pg_class'::regclass AND deptype IN ('a', 'i')
       AND refclassid = 'pg_catalog.pg_class'::regclass
     UNION
    SELECT d.refobjid, f.adrelid, f.adnum
      FROM pg_catalog.pg_attrdef f
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
       AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
  ) d (sequence, relation, number) ON d.relation = c.oid AND d.number = a.attnum
  JOIN pg_catalog.pg_class s ON s.oid = d.sequence AND s.relkind = 'S'
 WHERE c.oid = $1::oid AND c.relfilenode <> 0
 ORDER BY s.oid LIMIT 1";

/// The database of a run: its number, behind that of the cluster where the server shows it.
#[derive(Debug, Default)]
pub struct Origin(String);

impl Origin {
    /// Asks for the database; outside of a transaction, for a server may refuse part of it.
    pub fn of(client: &mut Client) -> Result<Self> {
        let cluster = client.query("SELECT system_identifier FROM pg_control_system()", &[]);
        let database = "SELECT oid FROM pg_database WHERE datname = current_database()";
        let database = client.query(database, &[])?;
        let first = |rows: &[pg::Row]| {
            rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned()
        };
        let cluster = cluster.map(|rows| first(&rows)).unwrap_or_default();
        Ok(Self(format!("{cluster}/{}", first(&database))))
    }

    /// Tells whether a bookmark is of this relation, as far as it says so.
    pub fn is_of(&self, since: &Bookmark, relation: u32) -> bool {
        since.value[TABLE].as_str().is_none_or(|known| known == format!("{}/{relation}", self.0))
    }

    /// Compares the bookmark with the table and its columns, and has the next one say them.
    pub fn check(
        &self,
        stream: &Stream,
        since: &Bookmark,
        (relation, left_out): (u32, &BTreeSet<String>),
        rows: &mut Rows<'_>,
    ) {
        let table = format!("{}/{relation}", self.0);
        if since.is_of_state() {
            tell(stream, &since.value, &table);
        }
        rows.add_to_bookmark(TABLE, table.into());
        if !left_out.is_empty() {
            rows.add_to_bookmark(LEFT_OUT, json!(left_out));
        }
    }
}

/// Compares the bookmark with the files of the table and of the sequence of its key, and has the
/// next one say them; `from` is what the rows are read from.
pub fn check_numbers(
    client: &mut Client,
    stream: &Stream,
    since: &Bookmark,
    (key, from): (&Attribute, &str),
    rows: &mut Rows<'_>,
) -> Result<()> {
    let params = [key.relation.to_string(), key.number.to_string()];
    let found = client.query(FILES, &[Some(&params[0]), Some(&params[1])])?;
    let Some(row) = found.first() else { return Ok(()) };
    let files: Vec<&str> = (0..3).filter_map(|column| row.get(column)).collect();
    rows.add_to_bookmark(NUMBERS, json!(files));
    let known = since.value[NUMBERS].as_array().filter(|_| since.is_of_state());
    let differs = |at: usize| {
        known.and_then(|known| known.get(at)?.as_str()).is_some_and(|known| known != files[at])
    };
    let Some(start) = since.start.as_deref().filter(|_| differs(0) && differs(1) && !differs(2))
    else {
        return Ok(());
    };
    let name = pg::quote_ident(&key.name)?;
    let sql = format!("SELECT FROM {from} WHERE {name} OPERATOR(pg_catalog.<) $1 LIMIT 1");
    if !client.query_by_role(&sql, &[Some(start)])?.is_empty() {
        singer::warn!(
            "W-SOURCE-CHANGED",
            "stream {}: its table was emptied after the bookmark, and the numbers of `{}` have \
             started again. Rows up to the bookmark are not read; unless they are the rows that \
             were read before, read the stream once in full: chorus run TAP TARGET --full-refresh \
             --select '{}.*'",
            stream.name,
            key.name,
            stream.id
        );
    }
    Ok(())
}

fn tell(stream: &Stream, bookmark: &Value, table: &str) {
    let again = format!(
        "to read them, read the stream once in full: chorus run TAP TARGET --full-refresh --select \
         '{}.*'",
        stream.id
    );
    if bookmark[TABLE].as_str().is_some_and(|known| known != table) {
        singer::warn!(
            "W-SOURCE-CHANGED",
            "stream {}: its table is not the table of its bookmark: it was created again, or is in \
              another database. Its rows up to the bookmark are not read; if they are not the rows \
              that were read before, {again}",
            stream.name
        );
        return;
    }
    let was_left_out = |name: &str| {
        let names = bookmark[LEFT_OUT].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).any(|known| known == name)
    };
    let names = stream.columns.iter().map(|column| column.name.as_str());
    let come: Vec<&str> = names.filter(|name| was_left_out(name)).collect();
    if !come.is_empty() {
        singer::warn!(
            "W-COLUMN-ADDED",
            "stream {}: columns that were left out before are read only from the bookmark on, and \
             older rows keep their values there: {}; {again}",
            stream.name,
            come.join(", ")
        );
    }
}
