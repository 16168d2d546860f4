//! Loads of one table that overlap: of two rows with one key, the one that was read later is right.
//!
//! When a load began to read is the best that is known of the age of its rows. A load that replaces
//! a table therefore waits for every load of it that began before, of whatever method, and every
//! load waits for one that replaces the table and began before it; so does one that replaces a
//! partition for others of that partition. Loads by key may fill one table at once, as those of two
//! tenants do; there a load that another one has overtaken is refused, if it would change rows that
//! are newer than its own. The moment when the last load of a table began is remembered with what
//! fills it.

use std::cell::Cell;

use pg::{Client, failure, ours, quote_literal, quote_qualified};
use singer::{Error, ErrorKind, Result};

use crate::guarded::or_kept;
use crate::locks;
use crate::mapping::Mapping;
use crate::merge::{Item, Merge};
use crate::names::TableName;
use crate::settings::LoadMethod;

/// A run holds no more locks than this at once: the server has room for some thousands.
const LOCKS_MAX: usize = 500;

/// When a load of a table began, as far as others may overtake it.
#[derive(Debug, Default)]
pub struct Order {
    /// What later loads of the same rows wait for.
    locks: Vec<Lock>,
    begun: Option<Begun>,
}

/// A lock of the session: of a table, or of a partition.
#[derive(Debug)]
struct Lock {
    number: String,
    /// Added to the names of the server's functions.
    shared: &'static str,
    is_held: bool,
}

/// When a load by key began.
#[derive(Debug)]
struct Begun {
    /// By the clock of the server.
    at: String,
    /// No transaction that begins later has a lower number.
    horizon: i64,
    /// The numbers of the load's own transactions: of each the first, and the one behind the last.
    own: Vec<(i64, i64)>,
    /// Those of the transaction at hand.
    current: Cell<Option<(i64, i64)>>,
}

impl Order {
    /// Begins a load, behind those that are to come before it. `locks` are those of the run.
    pub fn begin(client: &mut Client, mapping: &Mapping, locks: &mut usize) -> Result<Self> {
        Self::take(client, mapping, locks, "pg_advisory_lock")
    }

    /// Begins a load if no other one is to come before it.
    pub fn begin_at_once(
        client: &mut Client,
        mapping: &Mapping,
        locks: &mut usize,
    ) -> Result<Option<Self>> {
        let mut order = Self::take(client, mapping, locks, "pg_try_advisory_lock")?;
        if order.locks.iter().all(|lock| lock.is_held) {
            return Ok(Some(order));
        }
        Self::end(client, [&mut order], locks);
        Ok(None)
    }

    fn take(
        client: &mut Client,
        mapping: &Mapping,
        locks: &mut usize,
        function: &str,
    ) -> Result<Self> {
        let upserts = mapping.method == LoadMethod::Upsert;
        let mut wanted = wanted(mapping, *locks);
        // One question for all. As in a transaction of its own, each part sees what was committed
        // before it.
        let mut asked = vec!["BEGIN ISOLATION LEVEL READ COMMITTED".to_owned()];
        asked.extend(upserts.then(|| "SELECT clock_timestamp()::text".to_owned()));
        for Lock { number, shared, .. } in &wanted {
            asked.push(format!("SELECT {function}{shared}({number})"));
        }
        if upserts {
            // Behind the wait: rows that were waited for are older ones.
            asked.push("SELECT txid_snapshot_xmax(txid_current_snapshot())".to_owned());
        }
        asked.push("COMMIT".to_owned());
        let rows = client.query_all(&asked.join("; ")).map_err(|refused| {
            if client.in_transaction() {
                let _ = client.execute("ROLLBACK");
            }
            is_held(refused, &mapping.shape.name)
        })?;
        *locks += wanted.len();
        for (lock, row) in wanted.iter_mut().zip(rows.iter().skip(upserts.into())) {
            lock.is_held = row.get(0) != Some("f");
        }
        let text = |row: Option<&pg::Row>| row.and_then(|row| row.get(0)).unwrap_or("").to_owned();
        let begun = upserts.then(|| Begun {
            at: text(rows.first()),
            horizon: text(rows.last()).parse().unwrap_or(i64::MAX),
            own: Vec::new(),
            current: Cell::default(),
        });
        Ok(Self { locks: wanted, begun })
    }

    /// Lets others load, by one question for all of these loads. The rows are there by now: no
    /// load fails for this, and a connection that is gone has let go of its locks.
    pub fn end<'a>(
        client: &mut Client,
        ended: impl IntoIterator<Item = &'a mut Self>,
        locks: &mut usize,
    ) {
        let all = ended.into_iter().flat_map(|order| order.locks.drain(..));
        let freed = all.inspect(|_| *locks -= 1).filter(|lock| lock.is_held);
        let freed = freed
            .map(|Lock { number, shared, .. }| format!("pg_advisory_unlock{shared}({number})"));
        let freed = freed.collect::<Vec<_>>().join(", ");
        if !freed.is_empty()
            && let Err(failure) = client.execute(&format!("SELECT {freed}"))
        {
            tracing::debug!("cannot release locks before the end of the session: {failure}");
        }
    }

    /// Takes note that the transaction at hand was committed.
    pub fn committed(&mut self) {
        if let Some(begun) = &mut self.begun {
            begun.own.extend(begun.current.take());
        }
    }

    /// Refuses staged rows that would change those of a load which began later; before they are
    /// merged. Returns when the last load began.
    pub fn check(&self, client: &mut Client, mapping: &Mapping, merge: &Merge) -> Result<Newest> {
        let (Some(begun), false) = (&self.begun, merge.keys.is_empty()) else {
            return Ok(Newest::default());
        };
        let newest = Newest::read(client, &mapping.shape.name, begun)?.unwrap_or_default();
        if newest.is_later {
            let rows = client.query(&merge.overtaken(begun.horizon, &begun.own), &[])?;
            let rows = rows.first().and_then(|row| row.get(0)).unwrap_or("0");
            if rows != "0" {
                return Err(overtaken(mapping).with("newer rows with the same keys", rows));
            }
        }
        Ok(newest)
    }

    /// Remembers that this load began, unless that of another one did later; behind the merge. Has
    /// it done again where such a one came while rows were merged.
    pub fn remember(&self, client: &mut Client, mapping: &Mapping, before: &Newest) -> Result<()> {
        let Some(begun) = &self.begun else { return Ok(()) };
        let sql = format!(
            "{} RETURNING old.began::text, old.began > $1::timestamptz, txid_current(), \
             greatest(txid_current() + 1, txid_snapshot_xmax(txid_current_snapshot()))",
            statement(&mapping.shape.name)?
        );
        let rows = client.query(&sql, &[Some(&begun.at)])?;
        let Some(row) = rows.first() else { return Ok(()) };
        let now = Newest::of(row);
        if now.is_later && now.at != before.at {
            // By this number the transaction is run again.
            return Err(overtaken(mapping).with("sqlstate", "40001"));
        }
        let number = |at| row.get(at)?.parse().ok();
        begun.current.set(number(2).zip(number(3)));
        Ok(())
    }
}

/// Returns the locks by which a load waits for those that are to come before it, and has later ones
/// wait for it. The run holds so many others.
fn wanted(mapping: &Mapping, held: usize) -> Vec<Lock> {
    let name = &mapping.shape.name;
    let lock =
        |what: &str, shared| Lock { number: locks::lock_number(what), shared, is_held: false };
    let shared = if mapping.method == LoadMethod::Overwrite { "" } else { "_shared" };
    let mut wanted = vec![lock(&format!("load {name}"), shared)];
    if let Some((source, datestamp)) = &mapping.partition {
        wanted.push(lock(&format!("load {name} {source} {datestamp}"), ""));
    }
    if held + wanted.len() > LOCKS_MAX {
        tracing::info!(
            "table {name}: is not locked, because the run already holds {LOCKS_MAX} locks"
        );
        return Vec::new();
    }
    wanted
}

/// Returns the statement that remembers when a load of a table began, unless another one began
/// later. What another transaction has written that held the row before is seen behind the wait.
pub fn statement(name: &TableName) -> Result<String> {
    let memory = quote_qualified(&name.schema, ours::TABLE)?;
    let table = quote_literal(&name.table);
    Ok(format!(
        "WITH old AS (SELECT began FROM {memory} WHERE table_name = {table} FOR UPDATE) \
         UPDATE {memory} m SET began = greatest(old.began, $1::timestamptz) FROM old \
         WHERE m.table_name = {table}"
    ))
}

/// When the last load of a table began that was committed.
#[derive(Debug, Default)]
pub struct Newest {
    at: Option<String>,
    /// Whether that is later than our own.
    is_later: bool,
}

impl Newest {
    /// Asks for it; `None` where nothing is remembered of the table.
    fn read(client: &mut Client, name: &TableName, begun: &Begun) -> Result<Option<Self>> {
        let memory = quote_qualified(&name.schema, ours::TABLE)?;
        let sql = format!(
            "SELECT began::text, began > $2::timestamptz FROM {memory} WHERE table_name = $1"
        );
        let rows = client.query(&sql, &[Some(&name.table), Some(&begun.at)])?;
        Ok(rows.first().map(Self::of))
    }

    fn of(row: &pg::Row) -> Self {
        Self { at: row.get(0).map(str::to_owned), is_later: row.get(1) == Some("t") }
    }
}

impl Merge {
    /// Counts the rows that the staged ones would change, and that a transaction behind the horizon
    /// has written which is none of ours. A row has the lower half of its number.
    fn overtaken(&self, horizon: i64, own: &[(i64, i64)]) -> String {
        let ours = own.iter().map(|(first, end)| format!(" AND (n < {first} OR n >= {end})"));
        let ours = ours.collect::<String>();
        let columns: Vec<&Item> = self.came().collect();
        let there: Vec<String> = columns.iter().map(|item| format!("t.{}", item.column)).collect();
        let came: Vec<String> = columns.iter().map(|item| or_kept(item)).collect();
        let keys: Vec<String> = self.keys.iter().map(|key| format!("s.{key}")).collect();
        let keys = keys.join(", ");
        format!(
            "SELECT count(*) FROM (SELECT DISTINCT ON ({keys}) s.* FROM {} s ORDER BY {keys}, \
             s.\"_sdc_stage_line\" DESC) s JOIN {} t ON {} \
             CROSS JOIN (SELECT txid_snapshot_xmax(txid_current_snapshot())) cur (cur) \
             CROSS JOIN LATERAL (SELECT t.xmin::text::bigint) low (low) \
             CROSS JOIN LATERAL (SELECT (cur >> 32 << 32) + low - CASE WHEN low > cur & 4294967295 \
             THEN 4294967296 ELSE 0 END) number (n) \
             WHERE CASE WHEN n < {horizon} THEN false ELSE txid_status(n) = 'committed' END{ours} \
             AND ROW({})::record *<> ROW({})::record",
            self.stage,
            self.table,
            self.same_key("t", "s"),
            there.join(", "),
            came.join(", ")
        )
    }
}

#[cold]
fn overtaken(mapping: &Mapping) -> Error {
    let message =
        "cannot replace newer rows: a load of the table that began later has already finished";
    let failure = Error::new(ErrorKind::Temporary, message)
        .with("stream", &mapping.stream.name)
        .with("table", &mapping.shape.name);
    if mapping.stream.schema.contains_key(singer::schema::PARTITION) {
        return failure.hint("load this day again, and then the later days one by one");
    }
    failure.hint("run tap and target again, so that the rows are read again")
}

/// Says what holds the rows that are to be replaced.
fn is_held(refused: Error, name: &TableName) -> Error {
    if failure::sqlstate(&refused) != Some("55P03") {
        return refused;
    }
    let message = "cannot load a table while an earlier load of its rows is running";
    Error::new(ErrorKind::Temporary, message)
        .with("table", name)
        .hint("run again after that load has ended, or raise `lock_timeout_seconds`")
}
