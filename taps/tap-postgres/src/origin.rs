//! What the rows of an INCREMENTAL stream are read from: which table of which database, and which
//! of its columns.
//!
//! The rule: a bookmark covers the rows, and the columns, of the table that it was taken from. What
//! it covers is not read again; so another table behind the same name, and columns that were left
//! out until now, are told.

use std::collections::BTreeSet;

use pg::Client;
use serde_json::{Value, json};
use singer::{Bookmark, Result, Rows, Stream};

/// The member of a bookmark with the table, and the one with the columns that were left out.
const TABLE: &str = "table";
const LEFT_OUT: &str = "left_out";

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

fn tell(stream: &Stream, bookmark: &Value, table: &str) {
    let again = "to read them, run once without the bookmark";
    if bookmark[TABLE].as_str().is_some_and(|known| known != table) {
        singer::warn!(
            "W-SOURCE-CHANGED",
            "stream {}: its table is another one than its bookmark was taken from, made anew or \
             of another database, and its rows up to the bookmark are not read; where they are not \
             those that were read before, {again}",
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
            "stream {}: columns that were left out until now are read since the bookmark alone, \
             and rows from before keep what they have there: {}; {again}",
            stream.name,
            come.join(", ")
        );
    }
}
