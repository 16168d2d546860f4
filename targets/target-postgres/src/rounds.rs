//! The SQL that makes one of several staged records of a key, of which some lack columns (pure).
//!
//! The result of a load does not depend on where its batches end. So a record goes on from the one
//! before it, or from the row of the table, unless these are deleted and it is not: what comes
//! after the deletion of its key begins a new row. In columns that the load does not write, that
//! has what an insert gives, too, and not what the deleted row had.

use pg::quote_ident;

use crate::merge::{Merge, join};
use crate::names::DELETED_AT;

/// Takes the index of [`Merge::index_rounds`] off the staging table, which is used again.
pub const FORGET_ROUNDS: &str = "DROP INDEX pg_temp._sdc_stage_rounds";

impl Merge {
    /// Makes records that begin a new row lack nothing; their other columns are null. Only where
    /// the stream says of rows that they are deleted.
    pub fn begin_anew(&self) -> Option<String> {
        let keys = join(self.keys.iter().map(|key| format!("s.{key}")));
        (self.has_deleted_at && !self.keys.is_empty()).then(|| {
            format!(
                "UPDATE {0} u SET _sdc_stage_absent = NULL FROM (SELECT s.ctid AS _sdc_stage_at, \
                 lag(s.\"{DELETED_AT}\" IS NOT NULL) OVER (PARTITION BY {keys} \
                 ORDER BY s._sdc_stage_line) AS _sdc_stage_anew FROM {0} s \
                 WHERE EXISTS (SELECT FROM {0} d WHERE d.\"{DELETED_AT}\" IS NOT NULL)) r \
                 WHERE u.ctid = r._sdc_stage_at AND r._sdc_stage_anew \
                 AND u.\"{DELETED_AT}\" IS NULL AND u._sdc_stage_absent IS NOT NULL",
                self.stage
            )
        })
    }

    /// Returns what else must hold for a record `s` to go on from the row `t` of the table, which
    /// may be marked as deleted.
    pub fn goes_on(&self) -> String {
        let mark = quote_ident(DELETED_AT).unwrap_or_default();
        let marks = self.items.iter().find(|item| item.column == mark);
        marks.map_or_else(String::new, |item| {
            format!(" AND (t.{mark} IS NULL OR {} IS NOT NULL)", item.value)
        })
    }

    /// Asks whether there are rows whose other columns are still those of a deleted row, and gives
    /// them what an insert does; before the merge.
    pub fn renew_others(&self) -> Option<[String; 2]> {
        let mark = quote_ident(DELETED_AT).unwrap_or_default();
        let marks = self.items.iter().any(|item| item.column == mark);
        if self.others.is_empty() || self.keys.is_empty() || !marks {
            return None;
        }
        let keys = join(self.keys.iter().map(|key| format!("s.{key}")));
        let anew = if self.has_deleted_at {
            format!(
                "EXISTS (SELECT FROM (SELECT DISTINCT ON ({keys}) s.*, bool_or(s.{mark} IS NOT \
                 NULL) OVER (PARTITION BY {keys}) AS _sdc_stage_gone FROM {} s ORDER BY {keys}, \
                 s._sdc_stage_line DESC) s WHERE {} AND s.{mark} IS NULL \
                 AND (s._sdc_stage_gone OR t.{mark} IS NOT NULL))",
                self.stage,
                self.same_key("t", "s")
            )
        } else {
            let same_key = self.same_key("t", "s");
            format!(
                "t.{mark} IS NOT NULL AND EXISTS (SELECT FROM {} s WHERE {same_key})",
                self.stage
            )
        };
        let old = self.others.iter().map(|(column, default)| match default {
            Some(default) => format!("t.{column}::text IS DISTINCT FROM ({default})::text"),
            None => format!("num_nonnulls(t.{column}) > 0"),
        });
        let old = old.collect::<Vec<_>>().join(" OR ");
        let set = join(self.others.iter().map(|(column, _)| format!("{column} = DEFAULT")));
        Some([
            format!("SELECT EXISTS (SELECT FROM {} t WHERE {anew} AND ({old}))", self.table),
            format!("UPDATE {} t SET {set} WHERE {anew} AND ({old})", self.table),
        ])
    }

    /// For records that lack columns: numbers the records of each key, oldest first, beginning
    /// with the last one that is whole; then asks how many rounds that makes.
    pub fn number_rounds(&self) -> [String; 2] {
        let keys = join(self.keys.iter().map(|key| format!("s.{key}")));
        let stage = &self.stage;
        [
            format!(
                "UPDATE {stage} u SET _sdc_stage_round = r.n FROM (SELECT s._sdc_stage_at, \
                 row_number() OVER (PARTITION BY {keys} ORDER BY s._sdc_stage_line) AS n \
                 FROM (SELECT s.*, s.ctid AS _sdc_stage_at, \
                 max(CASE WHEN s._sdc_stage_absent IS NULL THEN s._sdc_stage_line END) \
                 OVER (PARTITION BY {keys}) AS _sdc_stage_whole FROM {stage} s) s \
                 WHERE s._sdc_stage_whole IS NULL \
                 OR s._sdc_stage_line >= s._sdc_stage_whole) r WHERE u.ctid = r._sdc_stage_at"
            ),
            format!("SELECT coalesce(max(_sdc_stage_round), 0) FROM {stage}"),
        ]
    }

    /// Makes the records of a round be found.
    pub fn index_rounds(&self) -> String {
        format!("CREATE INDEX _sdc_stage_rounds ON {0} (_sdc_stage_round); ANALYZE {0}", self.stage)
    }

    /// Gives the records of a round what they lack and the record before them has.
    pub fn fold(&self, round: u64) -> String {
        let staged = self.items.iter().filter(|item| item.is_staged());
        let lacking = staged.filter_map(|item| item.number.map(|n| (n, &item.column)));
        let set = lacking.map(|(number, column)| {
            format!(
                "{column} = CASE WHEN {number} = ANY (s._sdc_stage_absent) THEN p.{column} \
                 ELSE s.{column} END"
            )
        });
        format!(
            "UPDATE {0} s SET {1}, _sdc_stage_absent = CASE WHEN s._sdc_stage_absent IS NOT NULL \
             AND p._sdc_stage_absent IS NOT NULL THEN ARRAY(SELECT unnest(s._sdc_stage_absent) \
             INTERSECT SELECT unnest(p._sdc_stage_absent)) END FROM {0} p WHERE \
             s._sdc_stage_round = {round} AND p._sdc_stage_round = {round} - 1 AND {2}",
            self.stage,
            join(set),
            self.same_key("s", "p")
        )
    }

    /// Leaves only the last record of every key staged.
    pub fn drop_older(&self) -> String {
        format!(
            "DELETE FROM {0} s WHERE s._sdc_stage_round IS NULL OR EXISTS (SELECT FROM {0} p \
             WHERE p._sdc_stage_round = s._sdc_stage_round + 1 AND {1})",
            self.stage,
            self.same_key("s", "p")
        )
    }
}
