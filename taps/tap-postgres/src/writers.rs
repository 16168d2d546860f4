//! The open transactions that write the tables of a run, as every user may see them.
//!
//! A statement that adds rows holds a `RowExclusiveLock` on its table before it takes the first key
//! from a sequence, and keeps it to the end of its transaction, also once that is prepared. One
//! that takes a key first holds such a lock on the sequence. The locks are shown to everybody; when
//! a transaction began, only to its own role and to members of `pg_read_all_stats`. A standby shows
//! no lock of its primary, but which transactions are open.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pg::{Client, Row};
use singer::Result;

/// Transactions that hold no lock on a table yet may be about to write it, with the time at which
/// they began as the key. For so long they are waited for in the bookmark, in microseconds; older
/// ones are reports and backups, or write other tables.
pub const YOUNG: i64 = 10_000_000;
/// The waits between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The tables that a relation's rows lie in: its own, those of its children and partitions, and
/// those behind a view; with each, where its rows come from if no writer of them is seen here. Then
/// the sequences that give columns of these their numbers; with each, how many of its numbers a
/// session keeps for later. `$1` and `$2` are the schemas and names of the relations.
const TABLES: &str = "\
WITH RECURSIVE behind (root, relation) AS (
  SELECT wanted.number, c.oid
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY wanted (nspname, relname, number)
    JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.nspname
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.relname
   UNION
  SELECT b.root, next.relation
    FROM behind b CROSS JOIN LATERAL (
      SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = b.relation
       UNION ALL
      SELECT d.refobjid
        FROM pg_catalog.pg_class v
        JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.ev_type = '1'
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass
         AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
       WHERE v.oid = b.relation AND v.relkind = 'v') next (relation))
SELECT b.root, c.oid, CASE
       WHEN c.relkind = 'm' THEN 'a materialized view'
       WHEN c.relkind = 'f' THEN 'a foreign table'
       WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s WHERE s.srrelid = c.oid)
       THEN 'a table of a subscription' END, NULL
  FROM behind b JOIN pg_catalog.pg_class c ON c.oid = b.relation
 WHERE c.relkind IN ('r', 'p', 'm', 'f')
 UNION ALL
SELECT b.root, s.seqrelid, s.seqrelid::regclass::text, s.seqcache
  FROM behind b
  JOIN (
    SELECT refobjid, objid FROM pg_catalog.pg_depend
     WHERE classid = 'pg_catalog.pg_class'::regclass AND deptype IN ('a', 'i')
       AND refclassid = 'pg_catalog.pg_class'::regclass
     UNION
    SELECT f.adrelid, d.refobjid
      FROM pg_catalog.pg_attrdef f
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
       AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
  ) d (relation, sequence) ON d.relation = b.relation
  JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.sequence";

/// The locks on the tables `$1`; then a row with the time, and the age of the oldest other
/// transaction of the database that is younger than `$2`, all in microseconds. An age that is
/// hidden counts as that.
const LOOK: &str = "\
SELECT l.relation, l.virtualtransaction, l.pid,
       (extract(epoch FROM statement_timestamp() - a.xact_start) * 1000000)::int8
  FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND l.relation = ANY ($1::oid[]) AND l.pid IS DISTINCT FROM pg_backend_pid()
 UNION ALL
SELECT NULL, (extract(epoch FROM statement_timestamp()) * 1000000)::int8::text, NULL, (
  SELECT max(age) FROM (
    SELECT coalesce((extract(epoch FROM statement_timestamp() - a.xact_start) * 1000000)::int8,
                    $2::int8)
      FROM pg_catalog.pg_stat_activity a
      JOIN pg_catalog.pg_locks v ON v.pid = a.pid AND v.locktype = 'virtualxid' AND v.granted
     WHERE a.datname = current_database() AND a.usesysid IS NOT NULL
       AND a.pid <> pg_backend_pid()) young (age)
   WHERE age <= $2::int8)";

/// What a standby knows: the first transaction that is open, the first that is yet to begin, and up
/// to when it is as its primary.
const STANDBY: &str = "\
SELECT txid_snapshot_xmin(txid_current_snapshot()), txid_snapshot_xmax(txid_current_snapshot()),
       (extract(epoch FROM CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
                                THEN statement_timestamp()
                                ELSE coalesce(pg_last_xact_replay_timestamp(),
                                              statement_timestamp()) END) * 1000000)::int8";

/// A transaction that writes a table.
#[derive(Clone, Debug)]
struct Lock {
    relation: u32,
    transaction: String,
    /// Its process; none once it is prepared.
    process: Option<String>,
    /// How long it has been open, in microseconds, if that is shown.
    age: Option<i64>,
}

/// What one look shows.
#[derive(Debug, Default)]
struct Look {
    /// In microseconds since 1970, as all times here.
    clock: i64,
    young: Option<i64>,
    locks: Vec<Lock>,
}

/// The writers before the snapshot of a run.
#[derive(Debug)]
pub struct Writers {
    /// Those that were open at the first look.
    first: BTreeSet<String>,
    begun: i64,
    last: Look,
    /// Whether this is a standby, and transactions of its primary stayed open.
    standby: Option<bool>,
}

/// What of them touches one stream.
#[derive(Debug)]
pub struct Open {
    /// Those that have stayed open since the highest key was read, in words.
    pub stays: Option<String>,
    /// When the oldest one that may add a row began, which is reported.
    pub since: Option<i64>,
    /// Whether it is hidden when one of those that stay began.
    pub hidden: bool,
}

/// What is behind a relation.
#[derive(Clone, Debug, Default)]
pub struct Behind {
    /// The tables that its rows lie in, and the sequences of their columns.
    pub tables: BTreeSet<u32>,
    /// What its rows come by from elsewhere, in words: no lock shows here who writes them.
    pub unseen: Option<String>,
    /// A sequence that gives sessions several numbers at once, which they use later.
    pub cached: Option<String>,
}

/// Returns what is behind each of the relations.
pub fn behind(client: &mut Client, relations: &[(String, String)]) -> Result<Vec<Behind>> {
    let schemas = pg::array_literal(relations.iter().map(|(schema, _)| schema));
    let names = pg::array_literal(relations.iter().map(|(_, name)| name));
    let mut found = vec![Behind::default(); relations.len()];
    for row in client.query(TABLES, &[Some(&schemas), Some(&names)])? {
        let root: Option<usize> = number(&row, 0);
        if let (Some(root), Some(oid)) = (root, number(&row, 1))
            && let Some(behind) = found.get_mut(root.wrapping_sub(1))
        {
            behind.tables.insert(oid);
            let name = row.get(2).map(str::to_owned);
            match number::<u64>(&row, 3) {
                Some(kept) if kept > 1 => behind.cached = behind.cached.take().or(name),
                Some(_) => {}
                None => behind.unseen = behind.unseen.take().or(name),
            }
        }
    }
    Ok(found)
}

/// Tells whether this server follows another one.
pub fn is_standby(client: &mut Client) -> Result<bool> {
    let rows = client.query("SELECT pg_is_in_recovery()", &[])?;
    Ok(rows.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Tells which of these tables somebody writes now.
pub fn written(client: &mut Client, tables: &BTreeSet<u32>) -> Result<BTreeSet<u32>> {
    let look = look(client, tables)?;
    Ok(look.locks.iter().map(|lock| lock.relation).collect())
}

impl Writers {
    /// Notes the writers of the tables, and waits at most so long until these have ended.
    pub fn wait_for(
        client: &mut Client,
        tables: &BTreeSet<u32>,
        standby: bool,
        most: Duration,
    ) -> Result<Self> {
        let end = Instant::now() + most;
        if standby {
            return Self::of_standby(client, end);
        }
        let mut last = look(client, tables)?;
        let first: BTreeSet<String> =
            last.locks.iter().map(|lock| lock.transaction.clone()).collect();
        let begun = last.clock;
        let mut pause = PAUSES.0;
        while last.locks.iter().any(|lock| stays(&first, lock)) && Instant::now() < end {
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
            last = look(client, tables)?;
        }
        Ok(Self { first, begun, last, standby: None })
    }

    /// Waits for all transactions that are open at the primary: which table they write is not
    /// known here.
    fn of_standby(client: &mut Client, end: Instant) -> Result<Self> {
        let mut pause = PAUSES.0;
        let mut until: Option<i64> = None;
        loop {
            let rows = client.query(STANDBY, &[])?;
            let value = |column| rows.first().and_then(|row| number::<i64>(row, column));
            let until = *until.get_or_insert(value(1).unwrap_or_default());
            let stays = value(0).unwrap_or_default() < until;
            if !stays || Instant::now() >= end {
                let clock = value(2).unwrap_or_default();
                let last = Look { clock, young: Some(YOUNG), locks: Vec::new() };
                let standby = Some(stays);
                return Ok(Self { first: BTreeSet::new(), begun: clock, last, standby });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Returns the time of the last look.
    pub fn clock(&self) -> i64 {
        self.last.clock
    }

    /// Returns what may still add rows to one of the tables.
    pub fn of(&self, tables: &BTreeSet<u32>) -> Open {
        let locks = || self.last.locks.iter().filter(|lock| tables.contains(&lock.relation));
        let staying = || locks().filter(|lock| stays(&self.first, lock));
        let named = staying().max_by_key(|lock| lock.age);
        let stays = match self.standby {
            Some(true) => Some("a transaction of the primary".to_owned()),
            _ => named.map(in_words),
        };
        // One whose start is hidden has its lock since the first look, and began a little before.
        let unknown = self.last.clock - self.begun + YOUNG;
        let ages = locks().map(|lock| lock.age.unwrap_or(unknown)).chain(self.last.young);
        Open {
            hidden: self.standby == Some(true) || staying().any(|lock| lock.age.is_none()),
            since: ages.max().map(|age| self.last.clock - age.max(0)),
            stays,
        }
    }
}

/// Tells whether a transaction was there at the first look. One that is prepared has a new name.
fn stays(first: &BTreeSet<String>, lock: &Lock) -> bool {
    lock.process.is_none() || first.contains(&lock.transaction)
}

fn in_words(lock: &Lock) -> String {
    match (&lock.process, lock.age) {
        (None, _) => "a prepared transaction (see pg_prepared_xacts)".to_owned(),
        (Some(process), Some(age)) => {
            format!("the one of process {process}, open for {} s,", age / 1_000_000)
        }
        (Some(process), None) => format!("the one of process {process}"),
    }
}

fn look(client: &mut Client, tables: &BTreeSet<u32>) -> Result<Look> {
    let tables = pg::array_literal(tables.iter().map(u32::to_string));
    let mut look = Look::default();
    for row in client.query(LOOK, &[Some(&tables), Some(&YOUNG.to_string())])? {
        let (age, name) = (number(&row, 3), row.get(1).unwrap_or_default());
        if let Some(relation) = number(&row, 0) {
            look.locks.push(Lock {
                relation,
                transaction: name.to_owned(),
                process: row.get(2).map(str::to_owned),
                age,
            });
        } else {
            (look.clock, look.young) = (name.parse().unwrap_or_default(), age);
        }
    }
    Ok(look)
}

fn number<T: std::str::FromStr>(row: &Row, column: usize) -> Option<T> {
    row.get(column).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(relation: u32, transaction: &str, age: Option<i64>) -> Lock {
        let process = (!transaction.starts_with("-1/")).then(|| "7".to_owned());
        Lock { relation, transaction: transaction.to_owned(), process, age }
    }

    #[test]
    fn only_those_of_the_first_look_stay() {
        let check = |locks: Vec<Lock>, young, stays: bool, since, hidden| {
            let last = Look { clock: 60_000_000, young, locks };
            let first = ["3/1".to_owned()].into();
            let writers = Writers { first, begun: 59_000_000, last, standby: None };
            let open = writers.of(&[1, 2].into());
            assert_eq!((open.stays.is_some(), open.since, open.hidden), (stays, since, hidden));
        };
        check(vec![], None, false, None, false);
        check(vec![], Some(5), false, Some(59_999_995), false);
        check(vec![lock(3, "3/1", None)], None, false, None, false);
        check(vec![lock(2, "3/1", Some(50_000_000))], Some(5), true, Some(10_000_000), false);
        check(vec![lock(2, "3/1", None)], None, true, Some(49_000_000), true);
        // It came since: it took its lock after the first look.
        check(vec![lock(1, "4/1", None)], None, false, Some(49_000_000), false);
        check(vec![lock(1, "4/1", Some(90))], None, false, Some(59_999_910), false);
        check(vec![lock(1, "-1/88", None)], None, true, Some(49_000_000), true);
    }
}
