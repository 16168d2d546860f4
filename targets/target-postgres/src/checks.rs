//! What is asked of staged rows beside their merge: whether keys that are two in the source are one
//! in the table, and whether columns that the server fills get the values that came.

use pg::Client;
use singer::{Error, ErrorKind, Result};

use crate::ask;
use crate::merge::{Filled, Loose, Merge};
use crate::names::TABLE_VERSION;

/// The temporary table that computes what the table would.
const COMPUTED: &str = "pg_temp._sdc_stage_computed";

/// Refuses keys that the table takes for one and that came in different spellings, in all of the
/// run: the later row would replace the earlier one, which is another row of the source.
pub fn keys(client: &mut Client, merge: &Merge) -> Result<()> {
    if merge.loose.is_empty() || merge.keys.is_empty() {
        return Ok(());
    }
    let asked = format!("SELECT to_regclass('{}') IS NULL", merge.seen);
    if ask::is_true(client, &asked)? {
        client.execute(&merge.make_seen())?;
    }
    client.execute(&merge.see())?;
    let found = client.query(&merge.spelled_twice(), &[])?;
    let Some(row) = found.first() else { return Ok(()) };
    let texts = (0..row.width()).filter_map(|at| row.get(at));
    Err(Error::new(ErrorKind::Data, "two keys of the stream are equal in the table")
        .with("key", texts.collect::<Vec<_>>().join(", "))
        .hint(
            "the column of the key treats them as equal: load into a column with the type of the \
             source, or correct the records",
        ))
}

/// Warns of rows whose key is spelled otherwise than that of the staged row which is to replace
/// them: where the table takes two keys of the source for one, each replaces the other's row.
pub fn respelled(client: &mut Client, merge: &Merge) -> Result<()> {
    if merge.loose.is_empty() {
        return Ok(());
    }
    let rows = ask::one(client, &merge.respelled())?;
    if rows > 0 {
        singer::warn!(
            "W-KEY-RESPELLED",
            "table {}: rows were replaced by rows whose key has another spelling, which the column \
              treats as equal: {rows}. If they are different rows of the source, load into another \
              table, with a column of type text: {}",
            merge.table,
            merge.loose.iter().map(|key| &*key.column).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

/// Counts the rows that are not in the scope of a merge, of so many that came for it and no others:
/// a later one has their key.
pub fn repeated(client: &mut Client, merge: &Merge, came: u64) -> Result<u64> {
    if merge.keys.is_empty() {
        return Ok(0);
    }
    let sql = format!("SELECT count(*) FROM {} t WHERE {}", merge.table, merge.scope);
    Ok(came.saturating_sub(ask::pair(client, &sql)?.0))
}

/// Warns of rows that came with a higher version than the one that becomes active, in an earlier
/// run: no version below theirs lets them leave.
pub fn newer(client: &mut Client, merge: &Merge, version: i64) -> Result<()> {
    let (newer, _) = ask::pair(client, &merge.count_newer(version))?;
    if newer > 0 {
        singer::warn!(
            "W-VERSION-IGNORED",
            "ACTIVATE_VERSION {version} does not apply to rows of table {0} with a higher version: \
              {newer}. Those of them that are gone from the source stay. If a clock was set back, \
             or the tap counts its versions in another unit, run UPDATE {0} SET \
             \"{TABLE_VERSION}\" = NULL WHERE \"{TABLE_VERSION}\" > {version}, and then this load \
             again",
            merge.table
        );
    }
    Ok(())
}

/// Refuses values that came for columns that the server fills, and that are not the ones there.
/// A null says nothing of such a column.
pub fn filled(client: &mut Client, merge: &Merge) -> Result<()> {
    let computed = merge.filled.iter().any(|filled| filled.computed);
    if merge.filled.is_empty() || merge.keys.is_empty() && !computed {
        return Ok(());
    }
    let sql = if merge.keys.is_empty() {
        for statement in merge.compute() {
            client.execute(&statement)?;
        }
        merge.computed_otherwise()
    } else {
        merge.filled_otherwise()
    };
    let counts = client.query(&sql, &[])?;
    let Some(counts) = counts.first() else { return Ok(()) };
    for (at, filled) in merge.filled.iter().enumerate() {
        if let Some(rows) = counts.get(at).filter(|rows| *rows != "0") {
            return Err(filled.refusal(&merge.table).with("rows", rows));
        }
    }
    if merge.keys.is_empty() {
        client.execute(&format!("DROP TABLE {COMPUTED}"))?;
    }
    Ok(())
}

impl Merge {
    fn seen_columns(&self, of: &str) -> String {
        let columns = self.keys.iter().chain(self.loose.iter().map(|key| &key.text));
        columns.map(|column| format!("{of}{column}")).collect::<Vec<_>>().join(", ")
    }

    /// Makes the temporary table of the keys of the run so far.
    fn make_seen(&self) -> String {
        let columns = self.seen_columns("s.");
        format!("CREATE TABLE {} AS SELECT {columns} FROM {} s WHERE false", self.seen, self.stage)
    }

    /// Adds the staged keys to those of the run.
    fn see(&self) -> String {
        let columns = self.seen_columns("s.");
        format!("INSERT INTO {} SELECT DISTINCT {columns} FROM {} s", self.seen, self.stage)
    }

    /// Asks for the texts of one key that came in different ones.
    fn spelled_twice(&self) -> String {
        let texts = |sql: &dyn Fn(&String) -> String, between: &str| {
            self.loose.iter().map(|key| sql(&key.text)).collect::<Vec<_>>().join(between)
        };
        let keys: Vec<String> = self.keys.iter().map(|key| format!("s.{key}")).collect();
        format!(
            "SELECT {} FROM {} s GROUP BY {} HAVING {} LIMIT 1",
            texts(&|text| format!("min(s.{text}), max(s.{text})"), ", "),
            self.seen,
            keys.join(", "),
            texts(&|text| format!("min(s.{text}) <> max(s.{text})"), " OR ")
        )
    }

    /// Counts the rows of the table whose key a staged one has in another spelling.
    fn respelled(&self) -> String {
        let differs: Vec<String> = self.loose.iter().map(|key| key.differs(&self.stage)).collect();
        format!(
            "SELECT count(DISTINCT (t.tableoid, t.ctid)) FROM {} s JOIN {} t ON {} WHERE {}",
            self.stage,
            self.table,
            self.same_key("t", "s"),
            differs.join(" OR ")
        )
    }

    /// Counts, for each column that the server fills, the rows that came with another value than
    /// the table has after the merge.
    fn filled_otherwise(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("s.{key}")).collect();
        let keys = keys.join(", ");
        let counts = self.counts(&|_, filled| filled.differs(&format!("n.{}", filled.column)));
        format!(
            "SELECT {counts} FROM (SELECT DISTINCT ON ({keys}) s.* FROM {} s ORDER BY {keys}, \
             s.\"_sdc_stage_line\" DESC) n JOIN {} t ON {} AND {}",
            self.stage,
            self.table,
            self.same_key("t", "n"),
            self.scope
        )
    }

    /// Computes, for rows without a key, what the table does.
    fn compute(&self) -> Vec<String> {
        let came: Vec<String> =
            (0..self.filled.len()).map(|at| format!("_sdc_came_{at}")).collect();
        let types = self.filled.iter().zip(&came);
        let types = types.map(|(filled, came)| format!(", ADD {came} {}", filled.sql.sql()));
        let values = self.filled.iter().map(|filled| format!(", s.{}", filled.column));
        vec![
            format!(
                "CREATE TABLE {COMPUTED} (LIKE {} INCLUDING GENERATED INCLUDING DEFAULTS INCLUDING \
                 IDENTITY) ON COMMIT DROP",
                self.table
            ),
            format!(
                "ALTER TABLE {COMPUTED} {}",
                types.collect::<String>().trim_start_matches(", ")
            ),
            format!(
                "INSERT INTO {COMPUTED} ({}, {}) OVERRIDING SYSTEM VALUE SELECT {}{} FROM {} s",
                self.columns(),
                came.join(", "),
                self.values(),
                values.collect::<String>(),
                self.stage
            ),
        ]
    }

    /// Counts, for each column that the server fills, the rows without a key that came with another
    /// value than it computes.
    fn computed_otherwise(&self) -> String {
        let counts = self.counts(&|at, filled| filled.differs(&format!("t._sdc_came_{at}")));
        format!("SELECT {counts} FROM {COMPUTED} t")
    }

    fn counts(&self, differs: &dyn Fn(usize, &Filled) -> String) -> String {
        let filled = self.filled.iter().enumerate();
        let counts =
            filled.map(|(at, filled)| format!("count(*) FILTER (WHERE {})", differs(at, filled)));
        counts.collect::<Vec<_>>().join(", ")
    }
}

impl Loose {
    /// Returns the condition that a staged key `s` is spelled otherwise than that of the row `t`.
    ///
    /// A column that fills its values up by blanks keeps no blanks at their end. There a key that
    /// came with some is another one than that without them, unless all keys came as long as the
    /// column makes them: so does a source print that fills them up, too.
    fn differs(&self, stage: &str) -> String {
        // As the type prints it: a cast to text leaves blanks out.
        let text = |of: &str| format!("format('%s', {of}.{}) COLLATE \"C\"", self.column);
        let printed = format!("{} <> {}", text("t"), text("s"));
        let Some(length) = self.padded else { return printed };
        let values = |of: &str| {
            let text = format!("{of}.{}", self.text);
            let all = if self.array { format!("{text}::text[]") } else { format!("ARRAY[{text}]") };
            format!("unnest({all}) v (v)")
        };
        format!(
            "{printed} OR EXISTS (SELECT FROM {} WHERE v.v LIKE '% ') AND EXISTS (SELECT FROM \
             {stage} o CROSS JOIN LATERAL {} WHERE length(v.v) <> {length})",
            values("s"),
            values("o")
        )
    }
}

impl Filled {
    /// Returns the condition that what came is another value than that of the row `t`.
    fn differs(&self, came: &str) -> String {
        let kept = format!("t.{}", self.column);
        if self.sql.storage().is(&["numeric", "real", "double precision"]) {
            return format!("{came} IS NOT NULL AND {came} IS DISTINCT FROM {kept}");
        }
        format!("{came} IS NOT NULL AND ROW({came})::record *<> ROW({kept})::record")
    }

    fn refusal(&self, table: &str) -> Error {
        let (column, data) = (&self.column, ErrorKind::Data);
        if self.computed {
            return Error::new(
                data,
                "cannot load values into a column that the table computes differently",
            )
            .with("column", column)
            .hint(
                "leave the column out of the stream, or make it an ordinary column of the \
                     table",
            );
        }
        Error::new(data, "cannot change an identity column of existing rows")
            .with("column", column)
            .hint(format!(
                "leave the column out of the stream, or run: ALTER TABLE {table} ALTER COLUMN \
                 {column} SET GENERATED BY DEFAULT"
            ))
    }
}
