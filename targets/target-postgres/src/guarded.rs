//! What triggers and rules of a table have made of rows.
//!
//! What a load says that it put into a table is what the server says is there. A trigger may keep a
//! row out, change it, remove it again, or keep one that is to leave; so may a rule that does
//! something INSTEAD. That is legal and may be meant, so it is a warning with the number of rows,
//! ahead of the COMMIT and behind all that triggers do, also those that wait for it. Only tables
//! that have such are looked at again; of all others the counts of the server are held against what
//! was sent.

use pg::Client;
use singer::Result;

use crate::ask::{changed_pair, is_true, one, pair};
use crate::counts::Counts;
use crate::merge::{Item, Merge};
use crate::names::{DELETED_AT, TableName};

/// Rows of which the table has something else than was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    /// Rows that are not there.
    missed: u64,
    /// Rows that have other values.
    changed: u64,
    /// Rows that were to leave.
    kept: u64,
}

impl Found {
    fn warn(self, table: &impl std::fmt::Display) {
        warn_of_missed(table, self.missed);
        if self.changed > 0 {
            singer::warn!(
                "W-VALUES-CHANGED",
                "table {table}: rows whose values differ from the loaded values: {}; a trigger of \
                 the table changed them or kept the old values",
                self.changed
            );
        }
        if self.kept > 0 {
            singer::warn!(
                "W-ROWS-NOT-DELETED",
                "table {table}: rows that were to be deleted and are still there: {}; a trigger or \
                  rule of the table kept them",
                self.kept
            );
        }
    }
}

/// Warns of rows that the server says it has not taken.
pub fn warn_of_missed(table: &impl std::fmt::Display, missed: u64) {
    if missed > 0 {
        singer::warn!(
            "W-ROWS-NOT-TAKEN",
            "table {table}: rows that were loaded and are not in it: {missed}; a trigger or rule \
             of the table kept them out or removed them"
        );
    }
}

/// Tells whether rows that are added are held against those that the table has of them. A trigger
/// may put them into a child, and the server says nothing of those.
fn compares(merge: &Merge) -> bool {
    merge.guards.inserts && !merge.children
}

/// Returns the statement that adds the staged rows.
pub fn append_statement(merge: &Merge) -> String {
    if compares(merge) { merge.append_compared() } else { merge.append() }
}

/// Has triggers fire that would wait for the COMMIT: what they do to rows and to settings of the
/// session is looked at before it.
pub fn fire(client: &mut Client, merge: &Merge) -> Result<()> {
    if merge.guards.fires {
        client.execute_lent("SET CONSTRAINTS ALL IMMEDIATE")?;
    }
    Ok(())
}

/// Adds the staged rows; returns how many the table has taken.
pub fn append(client: &mut Client, merge: &Merge, name: &TableName, rows: u64) -> Result<u64> {
    let (taken, differ) = if compares(merge) {
        changed_pair(client, &append_statement(merge))?
    } else {
        let taken = client.execute_lent(&merge.append())?;
        let routed = merge.guards.inserts && merge.children;
        (if routed { rows } else { taken }, 0)
    };
    let missed = rows.saturating_sub(taken);
    let mut found = Found { missed, changed: differ.saturating_sub(missed), kept: 0 };
    if merge.guards.after {
        fire(client, merge)?;
        if is_true(client, &merge.is_touched())? {
            let (lacking, more) = pair(client, &merge.added_otherwise())?;
            let changed = lacking.min(more);
            found = Found { missed: lacking - changed, changed, kept: 0 };
        }
    }
    found.warn(name);
    Ok(taken.min(rows.saturating_sub(found.missed)))
}

/// Looks at the table after staged rows with a key were merged into it; `replaced` tells that rows
/// of other keys were to leave.
pub fn merged(client: &mut Client, merge: &Merge, name: &TableName, replaced: bool) -> Result<()> {
    let guards = merge.guards;
    let mut found = Found::default();
    if guards.after {
        fire(client, merge)?;
    }
    if guards.inserts || guards.updates || guards.after || guards.deletes && merge.deletes() {
        let counts = client.query(&merge.otherwise(), &[])?;
        let count = |at| counts.first().and_then(|row| row.get(at)?.parse().ok()).unwrap_or(0);
        found = Found { missed: count(0), changed: count(1), kept: count(2) };
    }
    if (guards.deletes || guards.after) && replaced {
        found.kept += one(client, &merge.count_stale())?;
    }
    found.warn(name);
    Ok(())
}

/// Looks at the table after rows without a key took the place of those it had.
pub fn replaced(client: &mut Client, merge: &Merge, name: &TableName) -> Result<()> {
    if merge.guards.any() {
        fire(client, merge)?;
        let (lacking, more) = pair(client, &merge.differing())?;
        let changed = lacking.min(more);
        Found { missed: lacking - changed, changed, kept: more - changed }.warn(name);
    }
    Ok(())
}

/// Looks for rows of older versions after they were to leave the table, or to be marked.
pub fn activated(client: &mut Client, merge: &Merge, name: &TableName, version: i64) -> Result<()> {
    let guards = merge.guards;
    if guards.after || if merge.hard_delete { guards.deletes } else { guards.updates } {
        fire(client, merge)?;
        let kept = one(client, &merge.count_old(version))?;
        Found { kept, ..Found::default() }.warn(name);
    }
    Ok(())
}

/// Warns of rows of other tables that went, or were changed, with those that left the table; and of
/// more rows of itself, unless all of them are `replaced`.
pub fn cascaded(
    client: &mut Client,
    name: &TableName,
    counts: Counts,
    replaced: bool,
) -> Result<()> {
    if counts.deleted == 0 {
        return Ok(());
    }
    // What this transaction did so far.
    let rows = client.query(
        "WITH RECURSIVE k (oid) AS (SELECT to_regclass($1)::oid UNION SELECT o.conrelid FROM k \
           JOIN pg_constraint o ON o.confrelid = k.oid AND o.contype = 'f' \
             AND o.confdeltype IN ('c', 'n', 'd')) \
         SELECT k.oid::regclass::text, n.deleted, n.updated FROM k CROSS JOIN LATERAL (SELECT \
           pg_stat_get_xact_tuples_deleted(k.oid) - CASE WHEN k.oid = to_regclass($1)::oid \
             THEN $2::bigint ELSE 0 END, \
           CASE WHEN k.oid = to_regclass($1)::oid THEN 0 \
             ELSE pg_stat_get_xact_tuples_updated(k.oid) END \
         ) n (deleted, updated) WHERE n.deleted + n.updated > 0 \
           AND (k.oid <> to_regclass($1)::oid OR NOT $3::boolean) ORDER BY 1",
        &[
            Some(&name.sql()?),
            Some(&counts.deleted.to_string()),
            Some(if replaced { "true" } else { "false" }),
        ],
    )?;
    for row in &rows {
        let text = |at| row.get(at).unwrap_or_default();
        singer::warn!(
            "W-ROWS-CASCADED",
            "table {name}: when rows were deleted, foreign keys changed rows of table {}: {} \
             removed, {} changed",
            text(0),
            text(1),
            text(2)
        );
    }
    Ok(())
}

/// Returns what a row `t` is to have in a column by the staged row `s`, which may lack it.
pub fn or_kept(item: &Item) -> String {
    match item.number {
        Some(number) => format!(
            "CASE WHEN {number} = ANY (s._sdc_stage_absent) THEN t.{} ELSE {} END",
            item.column, item.value
        ),
        None => item.value.clone(),
    }
}

impl Merge {
    /// The columns of the stream whose values the table is to have.
    pub fn came(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.compared && item.number.is_some())
    }

    /// The sum of the values of the stream in a row, which tells equal rows.
    fn sum(&self, of: &str) -> String {
        let columns: Vec<String> =
            self.came().map(|item| format!("{of}.{}", item.column)).collect();
        format!("sha256(convert_to(ROW({})::text, 'UTF8'))", columns.join(", "))
    }

    /// Adds every row; returns how many the table has taken, and how many it has not as they came.
    fn append_compared(&self) -> String {
        format!(
            "WITH m AS ({} RETURNING {} AS h) SELECT (SELECT count(*) FROM m), (SELECT count(*) \
             FROM (SELECT {} FROM (SELECT {} FROM {} s) n EXCEPT ALL SELECT h FROM m) d)",
            self.append(),
            self.sum("t"),
            self.sum("n"),
            self.values(),
            self.stage
        )
    }

    /// Asks whether rows were changed or removed in this transaction, which only added some: by
    /// the statistics of the session, which may count a little more, unless it keeps none.
    fn is_touched(&self) -> String {
        format!(
            "WITH RECURSIVE tree (oid) AS (SELECT '{}'::regclass::oid UNION SELECT i.inhrelid \
             FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid) SELECT \
             current_setting('track_counts') = 'off' OR \
             sum(pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid)) > 0 \
             FROM tree",
            self.table.replace('\'', "''")
        )
    }

    /// Counts the staged rows that this transaction did not leave in the table, and those that it
    /// did beside them.
    fn added_otherwise(&self) -> String {
        let staged = format!(
            "SELECT {} FROM (SELECT {} FROM {} s) n",
            self.sum("n"),
            self.values(),
            self.stage
        );
        let there = format!(
            "SELECT {} FROM {} t WHERE t.xmin::text = (txid_current() & 4294967295)::text",
            self.sum("t"),
            self.table
        );
        format!(
            "SELECT (SELECT count(*) FROM ({staged} EXCEPT ALL {there}) d), (SELECT count(*) FROM \
             ({there} EXCEPT ALL {staged}) d)"
        )
    }

    /// Counts the keys of the stage whose row is not there, has other values, or was to leave.
    fn otherwise(&self) -> String {
        let compared: Vec<&Item> = self.came().filter(|item| item.settable).collect();
        let there: Vec<String> = compared.iter().map(|item| format!("t.{}", item.column)).collect();
        let came: Vec<String> = compared.iter().map(|item| or_kept(item)).collect();
        let (there, came) = (there.join(", "), came.join(", "));
        let gone = if self.deletes() {
            format!("s.\"{DELETED_AT}\" IS NOT NULL")
        } else {
            "false".to_owned()
        };
        let keys: Vec<String> = self.keys.iter().map(|key| format!("s.{key}")).collect();
        let keys = keys.join(", ");
        format!(
            "SELECT count(*) FILTER (WHERE t.tableoid IS NULL AND NOT {gone}), count(*) FILTER \
             (WHERE t.tableoid IS NOT NULL AND NOT {gone} AND ROW({there})::record *<> \
             ROW({came})::record), count(*) FILTER (WHERE t.tableoid IS NOT NULL AND {gone}) FROM \
             (SELECT DISTINCT ON ({keys}) s.* FROM {} s ORDER BY {keys}, s.\"_sdc_stage_line\" \
             DESC) s LEFT JOIN {} t ON {} AND {}",
            self.stage,
            self.table,
            self.same_key("t", "s"),
            self.scope
        )
    }

    /// Counts the rows of the scope whose key the run does not have.
    fn count_stale(&self) -> String {
        format!(
            "SELECT count(*) FROM {} t WHERE {} AND NOT EXISTS (SELECT FROM {} s WHERE {})",
            self.table,
            self.scope,
            self.stage,
            self.same_key("t", "s")
        )
    }

    /// Counts the staged rows that the scope has not, and those it has beside them.
    fn differing(&self) -> String {
        let staged = format!("SELECT {} FROM ({}) n", self.sum("n"), self.rows());
        let there = format!("SELECT {} FROM {} t WHERE {}", self.sum("t"), self.table, self.scope);
        format!(
            "SELECT (SELECT count(*) FROM ({staged} EXCEPT ALL {there}) d), (SELECT count(*) FROM \
             ({there} EXCEPT ALL {staged}) d)"
        )
    }
}
