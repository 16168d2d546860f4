//! The replication key of an INCREMENTAL read: which column it is, and how far a run goes.

use pg::Client;
use pg::types::{self, Types};
use singer::catalog::ReplicationMethod;
use singer::future::{Cap, is_dated, moment};
use singer::state::{is_endless, may_be_endless};
use singer::{Error, ErrorKind, Result, Stream};

use crate::catalog::{self, Attribute};
use crate::statement::{self, Incremental};

/// Returns the column that orders an INCREMENTAL read.
pub fn find<'a>(
    client: &mut Client,
    stream: &Stream,
    columns: &[&'a Attribute],
    types: &Types,
) -> Result<Option<&'a Attribute>> {
    if stream.replication_method != ReplicationMethod::Incremental {
        return Ok(None);
    }
    let name = stream.replication_key.as_deref().unwrap_or_default();
    let Some(column) = columns.iter().find(|column| column.name == name) else {
        return Err(Error::new(ErrorKind::Config, "cannot find the replication key")
            .with("replication key", name)
            .hint("set `replication-key` in the stream's metadata to one of its columns"));
    };
    if !types::is_orderable(types, column.type_oid) {
        return Err(Error::new(ErrorKind::Config, "cannot use a column as replication key")
            .with("column", name)
            .with("type", &column.formatted)
            .hint("choose a number, text or time that grows with every change"));
    }
    if catalog::lacks_index(client, column.relation, column.number)? {
        singer::warn!(
            "W-NO-INDEX",
            "no index starts with the replication key {name} of {}: every run reads and sorts \
             the whole table",
            stream.name
        );
    }
    Ok(Some(column))
}

/// Gives a bookmark its offset, for a session that is not in UTC.
pub fn add_offset(
    client: &mut Client,
    start: &mut Option<String>,
    key: Option<&Attribute>,
    types: &Types,
) -> Result<()> {
    let (Some(start), Some(key)) = (start, key) else { return Ok(()) };
    let timed = ["timestamp", "timestamptz", "date"];
    if types::builtin_name(types, key.type_oid).is_some_and(|name| timed.contains(&name)) {
        *start = catalog::with_offset(client, start)?;
    }
    Ok(())
}

/// Warns of the rows that a read from a bookmark on leaves out, as they have no key.
pub fn warn_of_nulls(
    client: &mut Client,
    stream: &Stream,
    key: &Attribute,
    from: &str,
) -> Result<()> {
    if key.not_null {
        return Ok(());
    }
    let rows = match catalog::null_keys(client, key, from)? {
        Some(0) => return Ok(()),
        Some(1) => "1 row is".to_owned(),
        Some(count) => format!("{count} rows are"),
        None => "any rows are".to_owned(),
    };
    singer::warn!(
        "W-NULL-KEY",
        "stream {}: {rows} left out where the replication key {} is null: an incremental run \
         reads them only without a bookmark and without `start_date`; choose a key that is never \
         null, or FULL_TABLE",
        stream.name,
        key.name
    );
    Ok(())
}

/// Returns the key that a run of about so many rows ends with, all rows of that key included;
/// `None` where nothing is behind it.
pub fn last(
    client: &mut Client,
    stream: &Stream,
    from: &str,
    incremental: &Incremental<'_>,
    (most, types, cap): (u64, &Types, &Cap),
) -> Result<Option<String>> {
    let sql = statement::last_key(from, incremental, most, types)?;
    log::debug!("{sql}");
    let rows = client.query(&sql, &[])?;
    let key = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
    // No bookmark can be made of it: a run that ended there would be the same for ever.
    let at = stream.column(&incremental.column.name);
    let may_be_endless = at.is_some_and(|at| may_be_endless(&stream.columns[at]));
    let is_ahead =
        |key: &String| at.is_some_and(|at| cap.is_ahead_key(&stream.columns[at], key.as_bytes()));
    let is_endless = key
        .as_ref()
        .is_some_and(|key| may_be_endless && is_endless(key.as_bytes()) || is_ahead(key));
    if is_endless {
        singer::warn!(
            "W-ROWS-LEFT-OUT",
            "stream {}: `max_record_count` is not kept to: the rows up to it have keys that are \
             infinite, of the future or no numbers, from which no run could go on",
            stream.name
        );
    }
    Ok(key.filter(|_| !is_endless))
}

/// Takes the clock of the server at the start of the snapshot, where the key is a time.
pub fn set_clock(
    client: &mut Client,
    stream: &Stream,
    key: &Attribute,
    cap: &mut Cap,
) -> Result<()> {
    if stream.column(&key.name).is_some_and(|at| is_dated(&stream.columns[at])) {
        let rows = client.query("SELECT pg_catalog.now()::pg_catalog.text", &[])?;
        let text = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        if let Some((clock, _)) = moment(text) {
            cap.set_clock(clock);
        }
    }
    Ok(())
}
