//! The SQL that merges a staging table into its table (pure).

use std::fmt::Write;

use crate::guards::Guards;
use crate::names::{DATESTAMP, DELETED_AT, SOURCE, TABLE_VERSION};
use crate::types::SqlType;

/// One column of the table and where its value comes from.
#[derive(Clone, Debug)]
pub struct Item {
    /// The quoted column.
    pub column: String,
    /// The value, from the staging row `s`.
    pub value: String,
    /// Whether a difference makes the row a changed one.
    pub compared: bool,
    /// Whether an update may set it.
    pub settable: bool,
    /// Whether it is a key of which equal values may be written differently: the last one stays.
    pub respelled: bool,
    /// The number under which the staging row lists the column when the record lacks it.
    pub number: Option<usize>,
}

/// A column of the stream that the server fills: computed, or an identity that no update may set.
#[derive(Clone, Debug)]
pub struct Filled {
    /// The quoted column.
    pub column: String,
    /// Its type.
    pub sql: SqlType,
    /// Whether it is computed from other columns.
    pub computed: bool,
}

/// A key of which the table takes different texts for equal.
#[derive(Clone, Debug)]
pub struct Loose {
    /// The quoted column.
    pub column: String,
    /// The staged column of its text as it came; of an array as SQL has it.
    pub text: String,
    /// How long the type makes each of its values by blanks, if it does.
    pub padded: Option<i32>,
    /// Whether it is an array.
    pub array: bool,
}

/// A merge of one staging table.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of the table")]
pub struct Merge {
    /// The quoted table.
    pub table: String,
    /// The quoted staging table.
    pub stage: String,
    /// The columns to write.
    pub items: Vec<Item>,
    /// The columns that the server fills.
    pub filled: Vec<Filled>,
    /// The quoted columns that the load does not write, and what a new row gets there, as SQL.
    pub others: Vec<(String, Option<String>)>,
    /// The keys of which the table takes different texts for equal.
    pub loose: Vec<Loose>,
    /// The temporary table of such keys of the run so far.
    pub seen: String,
    /// The quoted key columns of the stream, the same in both tables.
    pub keys: Vec<String>,
    /// Whether `=` may not be the equality of the keys' own types: operators of extensions are
    /// not in the empty search path, and `citext` would be compared as `text`.
    pub foreign_keys: bool,
    /// The quoted columns of the unique index.
    pub conflict: Vec<String>,
    /// The rows of the table that the run replaces, as a condition on `t`.
    pub scope: String,
    /// Whether deleted rows leave the table.
    pub hard_delete: bool,
    /// Whether the stage has the column of deleted rows.
    pub has_deleted_at: bool,
    /// Whether an identity column takes our values.
    pub overriding: bool,
    /// Whether inserted and updated rows cannot be told apart.
    pub partitioned: bool,
    /// Whether rows may be in child tables, so that no index tells whether a key is there.
    pub children: bool,
    /// Whether rows of child tables are left alone.
    pub only: bool,
    /// Whether no two staged rows have one key.
    pub distinct: bool,
    /// What the table may do to rows otherwise than asked.
    pub guards: Guards,
}

impl Item {
    /// Tells whether the value is that of the staged column of its name.
    pub fn is_staged(&self) -> bool {
        self.value.strip_prefix("s.") == Some(&self.column)
    }
}

impl Merge {
    /// Returns the columns to write.
    pub fn columns(&self) -> String {
        join(self.items.iter().map(|item| item.column.clone()))
    }

    /// Returns their values, from the staging row `s`.
    pub fn values(&self) -> String {
        join(self.items.iter().map(|item| format!("{} AS {}", item.value, item.column)))
    }

    fn insert(&self) -> String {
        let overriding = if self.overriding { " OVERRIDING SYSTEM VALUE" } else { "" };
        format!("INSERT INTO {} AS t ({}){overriding}", self.table, self.columns())
    }

    /// The staged rows; of those with one key only the last.
    pub fn rows(&self) -> String {
        let (values, stage) = (self.values(), &self.stage);
        if self.keys.is_empty() || self.distinct {
            return format!("SELECT {values} FROM {stage} s");
        }
        let keys = join(self.keys.iter().map(|key| format!("s.{key}")));
        format!(
            "SELECT DISTINCT ON ({keys}) {values} FROM {stage} s \
             ORDER BY {keys}, s.\"_sdc_stage_line\" DESC"
        )
    }

    /// Adds every row; affects as many as it adds. In their order without a sort: scans of
    /// temporary tables begin at the first page, and nothing has updated these rows.
    pub fn append(&self) -> String {
        format!("{} SELECT {} FROM {} s", self.insert(), self.values(), self.stage)
    }

    /// Asks whether the scope has no row.
    pub fn is_empty(&self) -> String {
        format!("SELECT NOT EXISTS (SELECT FROM {} t WHERE {})", self.table, self.scope)
    }

    /// Counts the staged rows whose key a later one has; cheaper than to sort whole rows by it.
    pub fn repeated(&self) -> String {
        let keys = join(self.keys.iter().map(|key| format!("s.{key}")));
        format!(
            "SELECT coalesce(sum(k.n - 1), 0) FROM (SELECT count(*) AS n FROM {} s GROUP BY {keys} \
             HAVING count(*) > 1) k",
            self.stage
        )
    }

    /// Adds and updates rows; returns how many of each. Rows that would not change are not touched.
    pub fn upsert(&self) -> String {
        format!(
            "WITH m AS ({} SELECT {} FROM ({}) n{} ON CONFLICT ({}) {} RETURNING {} AS fresh) \
             SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM m",
            self.insert(),
            self.columns(),
            self.rows(),
            self.changed(),
            self.conflict.join(", "),
            self.update_clause(),
            if self.partitioned { "true" } else { "(t.xmax = 0)" }
        )
    }

    /// Leaves out rows to be deleted, and rows that are in the table as they are: ON CONFLICT
    /// would write a lock into each of those.
    fn changed(&self) -> String {
        let alive = self.alive();
        let settable = self.settable();
        let compared: Vec<&&Item> = settable.iter().filter(|item| item.compared).collect();
        if compared.is_empty() {
            return alive;
        }
        let row = |of: &str| join(compared.iter().map(|item| format!("{of}.{}", item.column)));
        format!(
            "{} NOT EXISTS (SELECT FROM {} t WHERE {} AND {} AND ROW({})::record *= \
             ROW({})::record)",
            if alive.is_empty() { " WHERE".to_owned() } else { format!("{alive} AND") },
            self.table,
            self.scope,
            self.same_key("t", "n"),
            row("t"),
            row("n")
        )
    }

    fn update_clause(&self) -> String {
        let settable = self.settable();
        let compared: Vec<&&Item> = settable.iter().filter(|item| item.compared).collect();
        if compared.is_empty() {
            return "DO NOTHING".to_owned();
        }
        let set = settable.iter().map(|i| format!("{0} = excluded.{0}", i.column));
        let row = |of: &str| join(compared.iter().map(|item| format!("{of}.{}", item.column)));
        // `*<>` compares what is stored, so 1.0 and 1.00 differ and json needs no equality.
        format!(
            "DO UPDATE SET {} WHERE ROW({})::record *<> ROW({})::record",
            join(set),
            row("t"),
            row("excluded")
        )
    }

    /// Tells whether rows that say so are deleted.
    pub fn deletes(&self) -> bool {
        self.hard_delete && self.has_deleted_at && !self.keys.is_empty()
    }

    /// Removes rows whose last record says they are deleted; nothing when rows only get marked.
    pub fn delete_marked(&self) -> Option<String> {
        let keys = self.same_key("t", "n");
        self.deletes().then(|| {
            format!(
                "DELETE FROM {} t USING ({}) n WHERE n.\"{DELETED_AT}\" IS NOT NULL AND {keys}",
                self.table,
                self.rows()
            )
        })
    }

    /// Returns the condition that two rows have one key.
    pub fn same_key(&self, one: &str, other: &str) -> String {
        if self.foreign_keys {
            let row = |of: &str| join(self.keys.iter().map(|key| format!("{of}.{key}")));
            return format!("ROW({})::record = ROW({})::record", row(one), row(other));
        }
        let pairs = self.keys.iter().map(|key| format!("{one}.{key} = {other}.{key}"));
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    /// Adds the staged rows, one for each key, that the table does not have.
    pub fn insert_new(&self) -> String {
        let alive = self.alive();
        let known = if self.children {
            format!(
                "{} NOT EXISTS (SELECT FROM {} t WHERE {})",
                if alive.is_empty() { " WHERE" } else { " AND" },
                self.table,
                self.same_key("t", "n")
            )
        } else {
            format!(" ON CONFLICT ({}) DO NOTHING", self.conflict.join(", "))
        };
        let (insert, columns, rows) = (self.insert(), self.columns(), self.rows());
        format!("{insert} SELECT {columns} FROM ({rows}) n{alive}{known}")
    }

    /// Asks whether one key is in several rows of the table and its children; of one staged row a
    /// key.
    pub fn is_ambiguous(&self) -> String {
        format!(
            "SELECT EXISTS (SELECT FROM {} s JOIN {} t ON {} GROUP BY {} HAVING count(*) > 1)",
            self.stage,
            self.table,
            self.same_key("t", "s"),
            join(self.keys.iter().map(|key| format!("s.{key}")))
        )
    }

    /// Updates the rows of the table by the staged ones, one for each key; a column that the
    /// record lacks keeps its value, unless that is of a deleted row. None when there is nothing to
    /// set.
    pub fn update_known(&self) -> Option<String> {
        let goes_on = self.goes_on();
        let value = |item: &Item| match item.number {
            Some(number) => format!(
                "CASE WHEN {number} = ANY (s._sdc_stage_absent){goes_on} THEN t.{} ELSE {} END",
                item.column, item.value
            ),
            None => item.value.clone(),
        };
        let settable = self.settable();
        let compared: Vec<&&Item> = settable.iter().filter(|item| item.compared).collect();
        let marked =
            if self.deletes() { format!(" AND s.\"{DELETED_AT}\" IS NULL") } else { String::new() };
        (!compared.is_empty()).then(|| {
            format!(
                "UPDATE {} t SET {} FROM {} s WHERE {}{marked} AND ROW({})::record *<> \
                 ROW({})::record",
                self.table,
                join(settable.iter().map(|item| format!("{} = {}", item.column, value(item)))),
                self.stage,
                self.same_key("t", "s"),
                join(compared.iter().map(|item| format!("t.{}", item.column))),
                join(compared.iter().map(|item| value(item)))
            )
        })
    }

    fn settable(&self) -> Vec<&Item> {
        let settable = self.items.iter().filter(|item| item.settable);
        let kept = |item: &&Item| item.respelled || !self.conflict.contains(&item.column);
        settable.filter(kept).collect()
    }

    /// Leaves out rows that are to be deleted.
    fn alive(&self) -> String {
        if self.deletes() { format!(" WHERE n.\"{DELETED_AT}\" IS NULL") } else { String::new() }
    }

    /// Removes the rows of the scope whose key the run does not have.
    pub fn delete_stale(&self) -> String {
        format!(
            "DELETE FROM {} t WHERE {} AND NOT EXISTS (SELECT FROM {} s WHERE {})",
            self.table,
            self.scope,
            self.stage,
            self.same_key("t", "s")
        )
    }

    /// Makes the scope have exactly the staged rows, each as often as it is staged, without any
    /// key; rows that are there already stay. Returns how many were deleted and inserted.
    pub fn replace_multiset(&self) -> String {
        let compared: Vec<&Item> = self.items.iter().filter(|item| item.compared).collect();
        let hash = |of: &str| {
            let row = join(compared.iter().map(|item| format!("{of}.{}", item.column)));
            format!("sha256(convert_to(ROW({row})::text, 'UTF8'))")
        };
        let mut sql = String::new();
        let _ = write!(
            sql,
            "WITH old AS (SELECT at, tab, h, row_number() OVER (PARTITION BY h) AS n FROM \
             (SELECT t.ctid AS at, t.tableoid AS tab, {} AS h FROM {} t WHERE {}) o), \
             new AS (SELECT *, row_number() OVER (PARTITION BY \"_sdc_stage_h\") AS \
             \"_sdc_stage_n\" FROM (SELECT n.*, {} AS \"_sdc_stage_h\" FROM ({}) n) n), \
             stale AS (SELECT o.at, o.tab FROM old o LEFT JOIN new n ON \
             n.\"_sdc_stage_h\" = o.h AND n.\"_sdc_stage_n\" = o.n WHERE n.\"_sdc_stage_h\" IS \
             NULL), gone AS (DELETE FROM {} t {} RETURNING 1), \
             added AS ({} SELECT {} FROM new n WHERE NOT EXISTS (SELECT FROM old o WHERE \
             o.h = n.\"_sdc_stage_h\" AND o.n = n.\"_sdc_stage_n\") RETURNING 1) \
             SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM added)",
            hash("t"),
            self.table,
            self.scope,
            hash("n"),
            self.rows(),
            self.table,
            // By address, unless rows of several partitions share addresses.
            if self.partitioned {
                "USING stale g WHERE t.ctid = g.at AND t.tableoid = g.tab"
            } else {
                "WHERE t.ctid = ANY (ARRAY(SELECT at FROM stale))"
            },
            self.insert(),
            self.columns()
        );
        sql
    }

    /// Acts on a version: rows of older ones, or of none, leave the table or get marked.
    pub fn activate(&self, version: i64) -> String {
        let (of, old) = self.old(version);
        if self.hard_delete {
            format!("DELETE FROM {of} WHERE {old}")
        } else {
            format!("UPDATE {of} SET \"{DELETED_AT}\" = now() WHERE {old}")
        }
    }

    /// Counts the rows that a version is to act on.
    pub fn count_old(&self, version: i64) -> String {
        let (of, old) = self.old(version);
        format!("SELECT count(*) FROM {of} WHERE {old}")
    }

    /// Counts the rows that a version lets stay and that did not come with it.
    pub fn count_newer(&self, version: i64) -> String {
        let (of, newer) = self.live(format!("t.\"{TABLE_VERSION}\" > {version}"));
        format!("SELECT count(*) FROM {of} WHERE {newer}")
    }

    /// Returns the table, and the condition of the rows that a version is to act on.
    fn old(&self, version: i64) -> (String, String) {
        self.live(format!("(t.\"{TABLE_VERSION}\" < {version} OR t.\"{TABLE_VERSION}\" IS NULL)"))
    }

    /// Returns the table, and the condition for those of its rows that are not marked as deleted.
    fn live(&self, condition: String) -> (String, String) {
        let of = format!("{}{} t", if self.only { "ONLY " } else { "" }, self.table);
        if self.hard_delete {
            return (of, condition);
        }
        (of, format!("{condition} AND t.\"{DELETED_AT}\" IS NULL"))
    }
}

/// Returns the condition that a row `t` is in a partition.
pub fn partition_scope(source: &str, datestamp: &str) -> String {
    format!(
        "t.\"{SOURCE}\" = {} AND t.\"{DATESTAMP}\" = {}::date",
        pg::quote_literal(source),
        pg::quote_literal(datestamp)
    )
}

/// Joins parts of SQL by commas.
pub fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge() -> Merge {
        let item = |column: &str, compared| Item {
            column: column.to_owned(),
            value: format!("s.{column}"),
            compared,
            settable: true,
            respelled: false,
            number: Some(1).filter(|_| compared),
        };
        Merge {
            table: "\"p\".\"t\"".to_owned(),
            stage: "pg_temp.st".to_owned(),
            items: vec![item("\"id\"", true), item("\"v\"", true), item("\"m\"", false)],
            keys: vec!["\"id\"".to_owned()],
            conflict: vec!["\"id\"".to_owned()],
            scope: "true".to_owned(),
            ..Merge::default()
        }
    }

    #[test]
    fn leaves_unchanged_rows_alone_and_metadata_out_of_the_comparison() {
        let sql = merge().upsert();
        assert!(sql.contains("DISTINCT ON (s.\"id\")"), "{sql}");
        assert!(sql.contains("SET \"v\" = excluded.\"v\", \"m\" = excluded.\"m\" WHERE"), "{sql}");
        assert!(sql.contains("ROW(t.\"v\")::record *<> ROW(excluded.\"v\")::record"), "{sql}");
        assert!(sql.contains("ROW(t.\"v\")::record *= ROW(n.\"v\")::record"), "{sql}");
        assert_eq!(merge().delete_marked(), None);
    }

    #[test]
    fn a_key_is_set_where_equal_ones_may_look_different() {
        let mut respelled = merge();
        respelled.items[0].respelled = true;
        let sql = respelled.upsert();
        assert!(sql.contains("SET \"id\" = excluded.\"id\", \"v\""), "{sql}");
        assert!(sql.contains("ROW(t.\"id\", t.\"v\")::record *<>"), "{sql}");
    }

    #[test]
    fn deletes_only_when_told() {
        let hard = Merge { hard_delete: true, has_deleted_at: true, ..merge() };
        assert!(hard.delete_marked().is_some_and(|sql| sql.starts_with("DELETE FROM \"p\"")));
        assert!(hard.upsert().contains("n.\"_sdc_deleted_at\" IS NULL AND NOT EXISTS"));
        assert!(hard.activate(3).starts_with("DELETE"));
        assert!(merge().activate(3).starts_with("UPDATE"));
    }

    #[test]
    fn sorts_by_key_only_where_keys_repeat() {
        assert!(merge().upsert().contains("DISTINCT ON"));
        let distinct = Merge { distinct: true, ..merge() };
        assert!(!distinct.upsert().contains("DISTINCT ON"), "{}", distinct.upsert());
        assert!(!distinct.append().contains("ORDER BY"));
        assert!(distinct.repeated().contains("GROUP BY s.\"id\" HAVING"));
    }

    #[test]
    fn quotes_the_partition() {
        assert_eq!(
            partition_scope("a'b", "2026-01-01"),
            "t.\"_sdc_source\" = 'a''b' AND t.\"_sdc_datestamp\" = '2026-01-01'::date"
        );
    }
}
