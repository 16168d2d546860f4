//! The replication key of an INCREMENTAL read: which column it is, and how far a run goes.

use jiff::Timestamp;
use pg::Client;
use pg::types::{self, Types};
use singer::catalog::ReplicationMethod;
use singer::future::{Cap, is_dated, moment};
use singer::selection::without_key;
use singer::state::{is_endless, may_be_endless};
use singer::{Bookmark, Error, ErrorKind, Result, Stream};

use crate::catalog;
use crate::columns::Attribute;
use crate::hidden;
use crate::settings::Settings;
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
        let set = "set `replication-key` in the stream's metadata to one of its columns";
        return Err(without_key(stream, stream.replication_key.as_deref(), set));
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
            "no index starts with the replication key {name} of {}: every run reads and sorts the \
             whole table",
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
    let is_moment =
        types::builtin_name(types, key.type_oid).is_some_and(|name| timed.contains(&name));
    if is_moment && !statement::is_day(start) {
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
    let rows = match catalog::null_keys(client, key.relation, &key.name, from)? {
        Some(0) => return Ok(()),
        Some(1) => "1 row is".to_owned(),
        Some(count) => format!("{count} rows are"),
        None => "any rows are".to_owned(),
    };
    singer::warn!(
        "W-NULL-KEY",
        "stream {}: {rows} left out because the replication key {} is null: an incremental run \
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
    tracing::debug!("{sql}");
    let rows = client.query_by_role(&sql, &[])?;
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
            "stream {}: the run reads more rows than `max_record_count`: the rows up to this limit \
              have keys that are infinite, in the future or not numbers, so no run could continue \
             from them",
            stream.name
        );
    }
    Ok(key.filter(|_| !is_endless))
}

/// Returns how far before its bookmark a stream is read; warns where its key has no distances.
pub fn lookback(
    stream: &Stream,
    key: &Attribute,
    since: &Bookmark,
    (types, settings): (&Types, &Settings),
) -> u64 {
    let lookback = if since.is_of_state() { settings.lookback(&stream.id) } else { 0 };
    if lookback == 0 || statement::looks_back(key, types) {
        return lookback;
    }
    singer::warn!(
        "W-SETTING-UNUSED",
        "stream {}: `lookback_window` has no effect, because the replication key {} is neither a \
         number nor a time",
        stream.name,
        key.name
    );
    0
}

/// Returns up to when keys of time are settled, on the clock of the column: a moment by the clock
/// of the server, and others by the highest key, as nobody knows their zone.
pub fn settled(
    client: &mut Client,
    from: &str,
    key: &Attribute,
    (since, clock, zoned): (Option<i64>, i64, bool),
    types: &Types,
) -> Result<Option<Timestamp>> {
    let micros = match since {
        _ if zoned => Some(since.unwrap_or(clock)),
        None => None,
        Some(since) => {
            let sql = statement::settled_time(from, key, (since, clock), types)?;
            tracing::debug!("{sql}");
            let rows = client.query_by_role(&sql, &[])?;
            rows.first().and_then(|row| row.get(0)).and_then(|text| text.parse().ok())
        }
    };
    Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

/// Whether the sequence behind column `$2` (named `$4`) of table `$1` (named `$3`) has not come to
/// the bookmark `$5`; null where none is known, or the user may not look at it.
const RESTARTED: &str = "\
SELECT CASE WHEN has_sequence_privilege(s.oid, 'SELECT, USAGE')
            THEN coalesce(pg_sequence_last_value(s.oid) < $5::numeric, true) END
  FROM (SELECT pg_get_serial_sequence($3, $4)::regclass::oid
         UNION
        SELECT d.refobjid
          FROM pg_catalog.pg_attrdef a
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
           AND d.objid = a.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
          JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'S'
         WHERE a.adrelid = $1::oid AND a.adnum = $2::int2) s (oid)
 WHERE s.oid IS NOT NULL ORDER BY 1 NULLS LAST LIMIT 1";

/// Warns where no row has a key at or beyond the bookmark, nor the one that it was taken from, if
/// the numbers of a sequence may have begun anew: a row that was removed gives no number back.
pub fn warn_of_restart(
    client: &mut Client,
    stream: &Stream,
    key: &Attribute,
    (name, from, start): (&str, &str, &str),
    types: &Types,
) -> Result<()> {
    let kind = types::builtin_name(types, key.type_oid).unwrap_or_default();
    if !["int2", "int4", "int8"].contains(&kind) || key.computed {
        return Ok(());
    }
    let (relation, number) = (key.relation.to_string(), key.number.to_string());
    let params = [&relation, &number, name, &key.name, start];
    let rows = client.query(RESTARTED, &params.map(Some))?;
    let restarted = rows.first().and_then(|row| row.get(0));
    let is_told = match restarted {
        Some(restarted) => restarted == "t",
        None => !client.query(&format!("SELECT FROM {from} LIMIT 1"), &[])?.is_empty(),
    };
    if is_told {
        let (or, how) = match restarted {
            Some(_) => ("", ""),
            None => (
                ", or its last rows were removed",
                "; GRANT SELECT ON its sequence lets a run tell which it is",
            ),
        };
        singer::warn!(
            "W-BOOKMARK-BEYOND",
            "stream {}: no row has a `{}` at or after the bookmark: the numbers have started \
             again{or}. No run reads rows before the bookmark: read the stream once without \
             it{how}",
            stream.name,
            key.name
        );
    }
    Ok(())
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

/// Tells whether the server refused a value as no text of its type.
fn is_refused_value(failure: &Error) -> bool {
    pg::failure::sqlstate(failure)
        .is_some_and(|state| matches!(state, "22P02" | "22003" | "22007" | "22008"))
}

/// Says so where it is the bookmark that the server refused, or rows would be hidden.
pub fn explained(failure: Error, since: &Bookmark) -> Error {
    let Some(start) = since.start.as_ref().filter(|_| is_refused_value(&failure)) else {
        return hidden::explained(failure);
    };
    failure.with("bookmark", start).of_kind(ErrorKind::Config).hint(
        "the bookmark or `start_date` may not fit the column: correct it, or read the stream \
                without it",
    )
}
