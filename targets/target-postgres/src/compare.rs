//! Cells beside what their columns keep of them: the server reads them, and its answer is compared.

use pg::{copy_text, quote_ident};
use singer::{Batch, Cell, Result};

use crate::connection::{Connection, CopyTarget};
use crate::fields::{Fields, Lines};
use crate::kept::How;
use crate::line::Format;
use crate::names::STAGE_PREFIX;
use crate::stage;
use crate::types::SqlType;

/// The columns of a stream that are compared, and the temporary table for it.
pub struct Comparison {
    columns: Vec<Compared>,
    /// Makes the table, which goes with its transaction.
    create: String,
    into: CopyTarget,
}

struct Compared {
    /// The column of the stream.
    feed: usize,
    how: How,
    /// Asks for the rows whose texts differ: their numbers, what came and what was kept.
    query: String,
}

impl Comparison {
    /// Makes the comparison of fields with columns of the table (names, types and what to make
    /// them with); `None` where nothing is to be compared. The number is unique in the run.
    pub fn new(
        fields: &Fields,
        number: u64,
        table: &str,
        columns: &[(String, String)],
        types: &[SqlType],
    ) -> Result<Option<Self>> {
        let relation = format!("{STAGE_PREFIX}{number}");
        let mut compared = Vec::new();
        let mut made = vec!["_sdc_stage_row bigint".to_owned()];
        for (at, (feed, place, how)) in fields.compared().enumerate() {
            let (name, came) = (quote_ident(&columns[place].0)?, format!("_sdc_stage_came_{at}"));
            made.push(format!("{came} text, {name} {}", columns[place].1));
            let kept = how.kept(&came, &name);
            let query = format!(
                "SELECT _sdc_stage_row, {came}, {kept} FROM pg_temp.{relation} WHERE {came} IS NOT \
                 NULL AND {} IS DISTINCT FROM {kept}",
                how.came(&came, &types[place])
            );
            compared.push(Compared { feed, how: how.clone(), query });
        }
        if compared.is_empty() {
            return Ok(None);
        }
        let into = CopyTarget {
            owner: number,
            table: table.to_owned(),
            sql: format!("COPY pg_temp.{relation} FROM STDIN"),
            relation,
            ..CopyTarget::default()
        };
        let create = format!(
            "BEGIN; CREATE TABLE pg_temp.{} ({}) ON COMMIT DROP",
            into.relation,
            made.join(", ")
        );
        Ok(Some(Self { columns: compared, create, into }))
    }

    /// Returns the cells, by row and column of the stream, that their columns would change.
    pub fn changed(
        &self,
        connection: &mut Connection,
        fields: &mut Fields,
        batch: &Batch,
    ) -> Result<Vec<(usize, usize)>> {
        let mut lines = connection.take_lines();
        lines.begin(Format::Text);
        for row in 0..batch.rows() {
            let start = lines.data.len();
            lines.data.extend_from_slice(row.to_string().as_bytes());
            let mut some = false;
            for column in &self.columns {
                lines.data.push(b'\t');
                some |= push(fields, column.feed, batch.cell(row, column.feed), &mut lines.data);
            }
            if some {
                lines.data.push(b'\n');
                lines.numbers.push(batch.line(row));
            } else {
                lines.data.truncate(start);
            }
        }
        if lines.numbers.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.ask(connection, lines);
        let ended = connection.idle()?.execute(if found.is_ok() { "COMMIT" } else { "ROLLBACK" });
        // What went wrong first is what went wrong.
        found.and_then(|found| ended.map(|_| found))
    }

    /// Has the server read the lines, in a transaction that stays open.
    fn ask(&self, connection: &mut Connection, lines: Lines) -> Result<Vec<(usize, usize)>> {
        let made = connection.idle()?.execute(&self.create);
        made.map_err(|refused| stage::explain(refused, &self.into.table))?;
        connection.copy(&self.into, lines)?;
        let client = connection.idle()?;
        let mut changed = Vec::new();
        for column in &self.columns {
            for row in client.query(&column.query, &[])? {
                let (came, kept) = (row.get(1).unwrap_or_default(), row.get(2).unwrap_or_default());
                if !column.how.is_same(came, kept) {
                    let number = row.get(0).and_then(|row| row.parse().ok()).unwrap_or_default();
                    changed.push((number, column.feed));
                }
            }
        }
        Ok(changed)
    }
}

/// Appends the field of a cell twice, as text and as the column reads it; tells whether there is
/// something to compare.
fn push(fields: &mut Fields, feed: usize, cell: Cell<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let some = matches!(cell, Cell::Text(text) if fields.field(feed, text, out));
    if !some {
        out.extend_from_slice(copy_text::NULL);
    }
    let end = out.len();
    out.push(b'\t');
    out.extend_from_within(start..end);
    some
}
