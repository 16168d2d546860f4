//! The staging table of a stream: a temporary table that its rows are copied into.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;

use pg::copy_binary::Type;
use pg::{Client, failure, quote_ident};
use singer::{Error, Result};

use crate::connection::{Connection, CopyTarget, Received};
use crate::fields::{Fields, Incoming};
use crate::names::{STAGE_PREFIX, TableName};
use crate::own::{FilledColumn, OwnColumns};
use crate::{own, retype};

/// What a staged row has behind the columns of its stream and those of [`OWN`].
const EXTRA: [(&str, &str); 2] =
    [("_sdc_stage_line", "bigint"), ("_sdc_stage_absent", "smallint[]")];
/// The same as they are written; the last one by `push_places`.
const EXTRA_TYPES: [Option<Type>; 2] = [Some(Type::Bigint), Some(Type::Smallint)];
/// The values that columns of the table are filled with.
const OWN: [(&str, &str, FilledColumn); 4] = [
    ("_sdc_stage_extracted", "timestamp with time zone", FilledColumn::Extracted),
    ("_sdc_stage_version", "bigint", FilledColumn::Version),
    ("_sdc_stage_received", "timestamp with time zone", FilledColumn::Received),
    ("_sdc_stage_sequence", "bigint", FilledColumn::Sequence),
];

/// How many columns it has beside those of its stream; one is the round of its record.
pub const FURTHER_COLUMNS: usize = EXTRA.len() + OWN.len() + 1;

/// The staging table.
pub struct Stage {
    into: CopyTarget,
    /// Its columns so far, with their types.
    columns: Vec<(String, String)>,
    /// The columns that have a second one for the text of keys as it came.
    spelled: Vec<usize>,
    /// Whether rows list the columns that their record lacks.
    lists_lacking: bool,
    /// The columns of [`OWN`], which nobody else sees.
    own: OwnColumns,
    rows: u64,
    line: u64,
    any_absent: bool,
    is_made: bool,
}

impl Stage {
    /// Describes a staging table, which [`Stage::reshape`] makes. Its number is unique in the run.
    pub fn new(number: u64, table: &str, lists_lacking: bool, own: OwnColumns) -> Self {
        Self {
            into: CopyTarget {
                owner: number,
                relation: format!("{STAGE_PREFIX}{number}"),
                table: table.to_owned(),
                ..CopyTarget::default()
            },
            columns: Vec::new(),
            spelled: Vec::new(),
            lists_lacking,
            own,
            rows: 0,
            line: 0,
            any_absent: false,
            is_made: false,
        }
    }

    /// Returns the quoted name.
    pub fn sql(&self) -> String {
        format!("pg_temp.{}", self.into.relation)
    }

    /// Returns how many rows are staged.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Tells whether a staged record lacks a column that it is to leave alone.
    pub fn any_absent(&self) -> bool {
        self.any_absent
    }

    /// Removes the rows from the table of this quoted name or, if it `drops` it, the table;
    /// within a transaction, behind which [`Stage::ended`] takes note of it.
    pub fn end(client: &mut Client, name: &str, drops: bool) -> Result<()> {
        let end = if drops { "DROP TABLE" } else { "TRUNCATE" };
        client.execute(&format!("{end} {name}"))?;
        Ok(())
    }

    /// Takes note of the end of a transaction that has used the rows; returns what is left, ready
    /// for more rows. A connection that is new has no staging tables.
    pub fn ended(mut self, connection: &mut Connection, drops: bool) -> Option<Self> {
        if drops || !connection.has_stages() {
            connection.dropped_stage();
            return None;
        }
        self.rows = 0;
        self.any_absent = false;
        Some(self)
    }

    /// Makes the table of these columns, names and types, or gives it those that it lacks (those it
    /// has must be the first of them); later rows come with these fields.
    pub fn reshape(
        &mut self,
        connection: &mut Connection,
        columns: Vec<(String, String)>,
        fields: &Fields,
    ) -> Result<()> {
        let (mut added, mut actions) = (Vec::new(), Vec::new());
        for (at, (name, sql)) in columns.iter().enumerate() {
            let quoted = quote_ident(name)?;
            match self.columns.get(at) {
                Some((_, old)) if old == sql => {}
                Some((_, old)) => actions.push(retype::action(&quoted, old, sql)),
                None => added.push(format!("{quoted} {sql}")),
            }
        }
        for (_, place) in fields.spelled().filter(|(_, place)| !self.spelled.contains(place)) {
            added.push(format!("{} text", spelling(place)));
        }
        self.spelled.extend(fields.spelled().map(|(_, place)| place));
        let sql = if self.is_made {
            actions.extend(added.iter().map(|column| format!("ADD COLUMN {column}")));
            (!actions.is_empty())
                .then(|| format!("ALTER TABLE {} {}", self.sql(), actions.join(", ")))
        } else {
            let own = OWN.into_iter().map(|(name, sql, _)| (name, sql));
            let extra = EXTRA.into_iter().chain(own);
            let extra = extra.map(|(name, sql)| format!("{name} {sql}"));
            let round = "_sdc_stage_round bigint".to_owned();
            let columns: Vec<String> = extra.chain([round]).chain(added).collect();
            Some(format!("CREATE TABLE {} ({})", self.sql(), columns.join(", ")))
        };
        if let Some(mut sql) = sql {
            let client = connection.idle()?;
            if !client.in_transaction() {
                // Nobody needs the table after a crash of the server: its disk is not waited for.
                sql.insert_str(0, "SET LOCAL synchronous_commit = off; ");
            }
            let done = client.execute(&sql);
            done.map_err(|refused| explain(refused, &self.into.table))?;
        }
        if !std::mem::replace(&mut self.is_made, true) {
            connection.made_stage();
        }
        self.columns = columns;
        self.into.sql = copy(&self.sql(), &self.columns, fields, &self.own)?;
        Ok(())
    }

    /// Stages the rows of a batch.
    pub fn write(
        &mut self,
        connection: &mut Connection,
        fields: &mut Fields,
        rows: Incoming<'_>,
    ) -> Result<()> {
        let received = Received::now();
        if let Some(actions) = self.own.renew(rows.batch, &received) {
            own::alter(connection.idle()?, &self.sql(), &actions)?;
            self.into.sql = copy(&self.sql(), &self.columns, fields, &self.own)?;
        }
        let mut lines = connection.take_lines();
        let (first, any_absent, own) = (self.line + 1, &mut self.any_absent, &self.own);
        let (batch, behind) = (rows.batch, behind(fields, own));
        fields.write(rows, &mut lines, &behind, |fields, row, line| {
            let mut pushed = own.push((batch, row), &received, line);
            line.push_number(first + line.before as u64);
            if self.lists_lacking {
                *any_absent |= line.push_places(fields.lacking(batch, row));
            } else {
                line.push_null();
            }
            for (at, _) in fields.spelled() {
                pushed &= fields.push_spelling(at, batch.cell(row, at), line);
            }
            pushed
        })?;
        self.line += lines.numbers.len() as u64;
        self.rows += lines.numbers.len() as u64;
        connection.copy(&self.into, lines)
    }
}

/// Returns the types of what is behind the fields of a staged row, in the binary format.
pub fn behind(fields: &Fields, own: &OwnColumns) -> Vec<Option<Type>> {
    let spelled = fields.spelled().map(|_| Some(Type::Text));
    own.types().into_iter().chain(EXTRA_TYPES).chain(spelled).collect()
}

/// Returns the COPY of fields into a staging table with these columns, names and types.
pub fn copy(
    stage: &str,
    columns: &[(String, String)],
    fields: &Fields,
    own: &OwnColumns,
) -> Result<String> {
    let names: Result<Vec<String>> =
        fields.places().map(|at| quote_ident(&columns[at].0)).collect();
    let mut names = names?;
    names.extend(own.names().map(str::to_owned));
    names.extend(EXTRA.iter().map(|(name, _)| (*name).to_owned()));
    names.extend(fields.spelled().map(|(_, place)| spelling(place)));
    Ok(format!("COPY {stage} ({}) FROM STDIN", names.join(", ")))
}

/// Returns the columns of a staging table that have the values of `filled` columns.
pub fn own_columns(filled: &[FilledColumn]) -> OwnColumns {
    let kinds: Vec<_> = filled.iter().map(discriminant).collect();
    let wanted = OWN.into_iter().filter(|(_, _, value)| kinds.contains(&discriminant(value)));
    OwnColumns::new(wanted.map(|(name, sql, value)| (name.to_owned(), Type::of(sql), value)))
}

/// Returns the column that has the text of a key as it came.
pub fn spelling(place: usize) -> String {
    format!("_sdc_stage_spelling_{place}")
}

/// Returns the temporary table of the keys of a run that may be spelled in more than one way.
pub fn seen(table: &TableName) -> String {
    let mut hash = DefaultHasher::new();
    table.to_string().hash(&mut hash);
    format!("pg_temp.{STAGE_PREFIX}keys_{}", hash.finish())
}

/// Says which right a refused temporary table wants; `table` is where its rows go in the end.
pub fn explain(refused: Error, table: &str) -> Error {
    let denied = failure::sqlstate(&refused) == Some("42501");
    let refused = refused.with("table", table);
    if denied {
        return refused.hint(
            "rows are staged in a temporary table: GRANT TEMPORARY ON DATABASE ... TO the user",
        );
    }
    refused
}
