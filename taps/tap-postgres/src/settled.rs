//! Up to where the rows of an INCREMENTAL read are settled.
//!
//! The rule: a bookmark moves to a key only when no open transaction can still add a row at or
//! before it. For a row that commits behind the bookmark, no later run reads.
//!
//! Keys of a sequence: the highest key is read, then the writers of the table are noted, and only
//! when these have ended is the snapshot of the run taken. A row at or before that key was written
//! by one of them or earlier, so the snapshot has it; a later writer takes a higher key, unless its
//! session has kept numbers of a sequence with a cache, which is reported. Rows beyond the key are
//! read too, and again by the next run. While one of those writers stays open, the bookmark stays
//! where it was.
//!
//! Keys of time: `now()` is the start of a transaction. The bookmark stays before the start of
//! every transaction that has written the table, and of all young ones, which may be about to.
//!
//! Rows of a materialized view, a foreign table or a subscription are written elsewhere, and no
//! lock shows here by whom: that is reported, unless a `lookback_window` reads them again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pg::Client;
use pg::types::{self, Types};
use singer::catalog::ReplicationMethod;
use singer::future::Cap;
use singer::{Context, Result, Stream};

use crate::catalog;
use crate::columns::{Attribute, Columns};
use crate::family::Families;
use crate::settings::Settings;
use crate::statement;
use crate::writers::{self, Writers};

/// Clocks are cut to whole seconds here and there.
const MARGIN: i64 = 1_000_000;

/// Up to where a stream is settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// All that the snapshot has.
    End,
    /// This key, as text.
    Key(String),
    /// The keys of time before `since`, where a transaction was open at the time `clock`.
    Time { since: Option<i64>, clock: i64 },
    /// No key: the bookmark stays.
    Start,
}

/// An INCREMENTAL stream of the run.
struct Keyed {
    table: (String, String),
    stream: String,
    key: Attribute,
    from: String,
    tables: BTreeSet<u32>,
    is_time: bool,
    /// Whether an index finds the highest key.
    indexed: bool,
    last: Option<String>,
}

/// Up to where each stream is settled, by its table.
#[derive(Debug, Default)]
pub struct Settled(BTreeMap<(String, String), Until>);

/// The streams of a run whose bookmarks are to be settled.
pub struct Settling {
    keyed: Vec<Keyed>,
    standby: bool,
    /// Those whose highest key is read.
    asked: BTreeSet<usize>,
    wait: Duration,
}

impl Settled {
    /// Returns up to where the stream of a table is settled.
    pub fn until(&self, table: &(String, String)) -> Until {
        self.0.get(table).cloned().unwrap_or(Until::End)
    }
}

impl Settling {
    /// Finds the streams with a replication key, in a transaction of any kind. What is wrong with
    /// them is reported when they are read.
    pub fn of(
        client: &mut Client,
        streams: &[(&Stream, (String, String))],
        types: &Types,
        settings: &Settings,
        cap: &Cap,
    ) -> Result<Self> {
        let with_key = |stream: &Stream| {
            stream.replication_method == ReplicationMethod::Incremental
                && stream.replication_key.is_some()
        };
        let streams: Vec<_> = streams.iter().filter(|(stream, _)| with_key(stream)).collect();
        let wait = settings.wait();
        let mut settling = Self { keyed: Vec::new(), standby: false, asked: BTreeSet::new(), wait };
        if streams.is_empty() {
            return Ok(settling);
        }
        let names: Vec<(String, String)> = streams.iter().map(|(_, name)| name.clone()).collect();
        let (families, behind) = (Families::of(client, &names)?, writers::behind(client, &names)?);
        settling.standby = writers::is_standby(client)?;
        let mut columns = Columns::of_run(names);
        for ((stream, table), behind) in streams.into_iter().zip(behind) {
            let (schema, name) = table;
            let found = columns.of(client, table)?;
            let is_key =
                |column: &&Attribute| Some(&column.name) == stream.replication_key.as_ref();
            let Some(key) = found.into_iter().find(|column| is_key(&column)) else { continue };
            let kind = types::builtin_name(types, key.type_oid).unwrap_or_default();
            let grows = types::is_orderable(types, key.type_oid) && kind != "money";
            // Keys that mean the future are no times at which rows were written.
            let meant = is_time(types, &key) && cap.is_off();
            if !key.readable || !grows || meant || behind.tables.is_empty() {
                continue;
            }
            if settings.lookback(&stream.id) == 0 {
                if let Some(unseen) = behind.unseen {
                    warn_of_unseen(stream, &key.name, &unseen);
                }
                if let Some(sequence) = behind.cached.filter(|_| !is_time(types, &key)) {
                    warn_of_cached(stream, &key.name, &sequence);
                }
            }
            let columns = [key.name.as_str()].into_iter();
            settling.keyed.push(Keyed {
                from: families.item((schema, name), columns)?,
                is_time: is_time(types, &key),
                indexed: catalog::has_index(client, key.relation, key.number)?,
                table: table.clone(),
                stream: stream.name.clone(),
                tables: behind.tables,
                key,
                last: None,
            });
        }
        let ordered = settling.keyed.iter().enumerate().filter(|(_, keyed)| !keyed.is_time);
        // Where no index has it, the highest key is asked for only if somebody writes.
        settling.asked = ordered
            .filter(|(_, keyed)| keyed.indexed || settling.standby)
            .map(|(at, _)| at)
            .collect();
        Ok(settling)
    }

    /// Tells whether there is no such stream.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty()
    }

    /// Reads the highest keys: in a transaction that ends before [`Settling::wait`].
    pub fn read_last(&mut self, client: &mut Client, types: &Types) -> Result<()> {
        for at in &self.asked {
            let Some(keyed) = self.keyed.get_mut(*at) else { continue };
            if keyed.key.computed {
                client.lend(true)?;
            }
            let sql = statement::highest_key(&keyed.from, &keyed.key, types)?;
            let rows = client.query_by_role(&sql, &[]).with("table", keyed.table.1.clone())?;
            keyed.last = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
            if keyed.key.computed {
                client.take_back()?;
            }
        }
        Ok(())
    }

    /// Waits for the writers; the snapshot is to be taken right after it.
    pub fn wait(&self, client: &mut Client) -> Result<Writers> {
        let tables = self.keyed.iter().flat_map(|keyed| keyed.tables.iter().copied()).collect();
        Writers::wait_for(client, &tables, self.standby, self.wait)
    }

    /// Tells whether somebody writes a table whose highest key was not read: it is to be read, and
    /// its writers are to be waited for after that.
    pub fn has_more(&mut self, client: &mut Client) -> Result<bool> {
        let others = self.keyed.iter().enumerate();
        let others = others.filter(|(at, keyed)| !keyed.is_time && !self.asked.contains(at));
        let tables: BTreeSet<u32> = others.flat_map(|(_, keyed)| keyed.tables.clone()).collect();
        if tables.is_empty() {
            return Ok(false);
        }
        let written = writers::written(client, &tables)?;
        Ok(self.ask(&written))
    }

    /// Has the highest keys of the streams of these tables read; tells whether there are more.
    fn ask(&mut self, written: &BTreeSet<u32>) -> bool {
        let before = self.asked.len();
        for (at, keyed) in self.keyed.iter().enumerate() {
            if !keyed.is_time && !keyed.tables.is_disjoint(written) {
                self.asked.insert(at);
            }
        }
        self.asked.len() > before
    }

    /// Says up to where each stream is settled, and warns of those whose bookmark is held back.
    pub fn end(self, writers: &Writers) -> Settled {
        let asked = &self.asked;
        let settled = self.keyed.into_iter().enumerate().map(|(at, keyed)| {
            let open = writers.of(&keyed.tables);
            if let Some(who) = &open.stays {
                let seconds = self.wait.as_secs();
                report(&keyed, who, seconds);
            }
            let until = match (keyed.is_time, keyed.last) {
                (true, _) if open.hidden => Until::Start,
                (true, _) => Until::Time {
                    since: open.since.map(|since| since - MARGIN),
                    clock: writers.clock(),
                },
                (false, _) if open.stays.is_some() => Until::Start,
                (false, Some(key)) => Until::Key(key),
                (false, None) if asked.contains(&at) => Until::Start,
                (false, None) => Until::End,
            };
            tracing::debug!(
                "{}.{} has no open writers until {until:?}",
                keyed.table.0,
                keyed.table.1
            );
            (keyed.table, until)
        });
        Settled(settled.collect())
    }
}

/// Tells whether a key is a date or a moment.
pub fn is_time(types: &Types, key: &Attribute) -> bool {
    let name = types::builtin_name(types, key.type_oid).unwrap_or_default();
    ["timestamp", "timestamptz", "date"].contains(&name)
}

fn warn_of_unseen(stream: &Stream, key: &str, unseen: &str) {
    singer::warn!(
        "W-WRITERS-UNSEEN",
        "stream {}: its rows come from {unseen}, and this server does not show which transactions \
         write them. A row may appear with a lower `{key}` than the bookmark, and no later run \
         reads it. Set `lookback_window` to the longest time that a row may be late, or read \
         FULL_TABLE",
        stream.name
    );
}

fn warn_of_cached(stream: &Stream, key: &str, sequence: &str) {
    singer::warn!(
        "W-SEQUENCE-CACHED",
        "stream {}: the sequence {sequence} gives each session several numbers at once (CACHE), \
         which the session uses later. A row may appear with a lower `{key}` than the bookmark, \
         and no later run reads it. Change the sequence to CACHE 1, read FULL_TABLE, or set \
         `lookback_window` to as many numbers as the table takes while a session is connected",
        stream.name
    );
}

fn report(keyed: &Keyed, who: &str, seconds: u64) {
    singer::warn!(
        "W-BOOKMARK-HELD",
        "stream {}: transactions that write its table are open, {who} still after {seconds} s \
         (`writers_wait_seconds`). Their rows may have a lower `{}` than rows that are read now. \
         The bookmark stays before these rows: the next run reads them again, and `append-only` \
         adds them again",
        keyed.stream,
        keyed.key.name
    );
}
