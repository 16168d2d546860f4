//! The table as it is, the table as the stream needs it, and the DDL between the two.

use pg::{Client, quote_ident, quote_literal};
use singer::{Column, Context, Error, ErrorKind, Result};

use crate::existing::{Existing, ExistingColumn};
use crate::guards::Guards;
use crate::names::{DATESTAMP, METADATA, SOURCE, TableName};
use crate::settings::{LoadMethod, Settings};
use crate::types::{self, Change, SqlType};

/// A column as the stream needs it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The name in the table.
    pub name: String,
    /// The type to make it with.
    pub sql_type: SqlType,
    /// The column of the stream; none for columns that we fill.
    pub source: Option<Column>,
    /// The type of the source, where the server has one of that name, with what is under domains.
    pub came: Option<SqlType>,
    /// Why it is not of the type that it has in its source, where the server does not know that.
    pub unknown: Option<String>,
}

/// What is there to do, and what the table is like after it.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of the table")]
pub struct TableChange {
    /// The statements, in order.
    pub statements: Vec<String>,
    /// Columns of the stream that the table lacks, though it is there.
    pub added: Vec<String>,
    /// Those of them that a column which the stream lacks is spelled like, and that one.
    pub alike: Vec<[String; 2]>,
    /// The type of every wanted column afterwards, in their order.
    pub types: Vec<SqlType>,
    /// Collations of wanted columns that take different texts for equal, quoted.
    pub collations: Vec<Option<String>>,
    /// Wanted columns that the server computes, so that nothing can be written to them.
    pub generated: Vec<bool>,
    /// Wanted columns that get something in a row which leaves them out.
    pub defaults: Vec<bool>,
    /// Whether a column is an identity that takes values only when told.
    pub overriding: bool,
    /// Wanted columns whose identity forbids an update.
    pub fixed: Vec<bool>,
    /// Whether the table has the columns of a partition already.
    pub has_days: bool,
    /// Whether ON CONFLICT can use the conflict columns.
    pub unique: bool,
    /// Whether rows are in several tables: inserts cannot return system columns, and two rows may
    /// have one address.
    pub partitioned: bool,
    /// Whether those are children, so that no index tells whether a key is there.
    pub children: bool,
    /// Whether a trigger may put new rows elsewhere.
    pub routes: bool,
    /// Whether rows of children are left alone.
    pub only: bool,
    /// What may be done to rows otherwise than asked.
    pub guards: Guards,
    /// Whether foreign keys remove or change rows of other tables with those of this one.
    pub cascades: bool,
    /// Columns that the load does not write, quoted, and what a new row gets there, as SQL.
    pub others: Vec<(String, Option<String>)>,
    /// Whether there may be something that `promises` warns of, so that it is to be asked.
    pub asks_promises: bool,
}

impl TableChange {
    /// Tells whether the statements make the table.
    pub fn creates(&self) -> bool {
        self.statements.first().is_some_and(|first| first.starts_with("CREATE TABLE"))
    }

    /// Adds a wanted column, of the table as it is or to be made.
    fn push(&mut self, sql: SqlType, found: Option<&ExistingColumn>) {
        self.types.push(sql);
        self.collations.push(found.and_then(|found| found.collation.clone()));
        self.defaults.push(found.is_some_and(|found| found.default.is_some() || found.identity));
        self.generated.push(found.is_some_and(|found| found.generated));
        self.fixed.push(found.is_some_and(|found| found.identity_always));
        self.overriding |= found.is_some_and(|found| found.identity_always);
    }
}

/// The table a stream needs.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name.
    pub name: TableName,
    /// Its columns, in order.
    pub columns: Vec<Wanted>,
    /// The columns that identify a row, for ON CONFLICT; empty for none.
    pub conflict: Vec<String>,
    /// How rows reach the table.
    pub method: LoadMethod,
    /// Whether a load may take rows out of the table.
    pub removes: bool,
    /// Whether rows belong to a partition (source, datestamp).
    pub partitioned: bool,
    /// The stream, for messages.
    pub stream: String,
}

/// Returns what spellings of a name have in common that differ in case, spaces and `_-.` alone.
fn word(name: &str) -> String {
    let counts = |c: &char| !c.is_whitespace() && !matches!(c, '_' | '-' | '.');
    name.chars().filter(counts).flat_map(char::to_lowercase).collect()
}

impl Shape {
    /// Compares with the table as it is.
    pub fn compare(&self, client: &mut Client) -> Result<TableChange> {
        let mut change = TableChange::default();
        let existing = Existing::read(client, &self.name)?;
        let table = self.name.sql()?;
        let Some(existing) = existing else {
            self.create(&table, &mut change)?;
            return Ok(change);
        };
        match &*existing.kind {
            "r" | "p" => {
                let relatives = &existing.relatives;
                change.children = relatives.children;
                change.partitioned = existing.kind == "p" || relatives.children;
                change.routes = relatives.routes;
                change.only = relatives.wider_child.is_some();
                change.guards = relatives.guards;
                change.cascades = relatives.cascades;
            }
            _ => {
                return Err(self
                    .refusal(ErrorKind::Unavailable, "cannot load into what is no table")
                    .hint("a view or foreign table has the name: choose another schema"));
            }
        }
        let mut actions = Vec::new();
        for wanted in &self.columns {
            self.place(wanted, &existing, &mut actions, &mut change)?;
        }
        for column in &existing.columns {
            let written = self.columns.iter().any(|wanted| wanted.name == column.name);
            if !written {
                let added = change.added.iter().filter(|name| word(name) == word(&column.name));
                change.alike.extend(added.map(|name| [name.clone(), column.name.clone()]));
            }
            if !written && !column.generated && !column.identity {
                change.others.push((quote_ident(&column.name)?, column.default.clone()));
            }
        }
        let computes = change.others.iter().any(|(_, default)| default.is_some());
        change.asks_promises = computes || !existing.is_plain;
        if !actions.is_empty() {
            change.statements.push(format!("ALTER TABLE {table} {}", actions.join(", ")));
        }
        let changes = !change.statements.is_empty();
        let checked = existing.relatives.check(self.method, self.removes, changes);
        checked.with("stream", &self.stream).with("table", &self.name)?;
        self.check_keys(&existing, &table, &mut change)?;
        Ok(change)
    }

    fn create(&self, table: &str, change: &mut TableChange) -> Result<()> {
        let mut parts = Vec::new();
        for wanted in &self.columns {
            let required = self.conflict.contains(&wanted.name)
                || self.partitioned && [SOURCE, DATESTAMP].contains(&&*wanted.name);
            let name = quote_ident(&wanted.name)?;
            let null = if required { " NOT NULL" } else { "" };
            parts.push(format!("{name} {}{null}", wanted.sql_type.sql()));
            change.push(wanted.sql_type.clone(), None);
        }
        if !self.conflict.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", quoted(&self.conflict)?));
            change.unique = true;
        }
        change.statements.push(format!("CREATE TABLE {table} ({})", parts.join(", ")));
        if self.partitioned && self.conflict.is_empty() {
            change.statements.push(partition_index(table));
        }
        Ok(())
    }

    /// Finds a wanted column in the table, or the way to get it there.
    fn place(
        &self,
        wanted: &Wanted,
        existing: &Existing,
        actions: &mut Vec<String>,
        change: &mut TableChange,
    ) -> Result<()> {
        let name = quote_ident(&wanted.name)?;
        let Some(found) = existing.columns.iter().find(|column| column.name == wanted.name) else {
            actions.push(format!("ADD COLUMN {name} {}", wanted.sql_type.sql()));
            change.added.extend(wanted.source.is_some().then(|| wanted.name.clone()));
            change.push(wanted.sql_type.clone(), None);
            return Ok(());
        };
        let fit = match &wanted.source {
            Some(source) => types::change(source, &found.sql_type, &wanted.sql_type),
            None if our_type_fits(&found.sql_type, &wanted.sql_type) => Change::Keep,
            None => Change::Refuse,
        };
        let sql = match fit {
            Change::Keep => found.sql_type.clone(),
            Change::Widen(wide) => {
                actions.push(types::retype(&name, &found.sql_type.sql(), &wide.sql()));
                wide
            }
            Change::Refuse => {
                return Err(self
                    .refusal(ErrorKind::Data, "cannot change the type of the column safely")
                    .with("column", &wanted.name)
                    .with("type of the table", found.sql_type.sql())
                    .with("type of the stream", wanted.sql_type.sql())
                    .hint(
                        "change the column by hand, load into another table, or change the tap",
                    ));
            }
        };
        change.push(sql, Some(found));
        Ok(())
    }

    fn check_keys(&self, existing: &Existing, table: &str, change: &mut TableChange) -> Result<()> {
        let same = |columns: &Vec<String>| {
            columns.len() == self.conflict.len()
                && columns.iter().all(|column| self.conflict.contains(column))
        };
        let unique = !self.conflict.is_empty() && existing.unique.iter().any(same);
        change.unique = unique && !change.children;
        let computed =
            |column: &&ExistingColumn| column.generated && self.conflict.contains(&column.name);
        if let Some(column) = existing.columns.iter().find(computed).filter(|_| unique) {
            let name = quote_ident(&column.name)?;
            return Err(self
                .refusal(ErrorKind::Data, "cannot find rows by a key that the table computes")
                .with("column", &column.name)
                .hint(format!(
                    "load into another table or, if the key is to be as it comes, run: ALTER \
                     TABLE {table} ALTER COLUMN {name} DROP EXPRESSION"
                )));
        }
        let has = |name: &str| existing.columns.iter().any(|column| column.name == name);
        change.has_days = has(SOURCE) && has(DATESTAMP);
        if self.partitioned && !has(DATESTAMP) {
            change.statements.push(partition_index(table));
        }
        if unique || self.conflict.is_empty() {
            return Ok(());
        }
        let columns = quoted(&self.conflict)?;
        if existing.has_primary_key {
            let key = existing.unique.first().map(|key| key.join(", ")).unwrap_or_default();
            return Err(self
                .refusal(ErrorKind::Data, "cannot load by a key other than the table's")
                .with("key of the table", key)
                .with("key of the stream", self.conflict.join(", "))
                .hint(self.way_to_a_key(
                    existing,
                    &format!("CREATE UNIQUE INDEX ON {table} ({columns})"),
                )));
        }
        if self.method != LoadMethod::Upsert || change.children {
            return Ok(());
        }
        Err(self
            .refusal(
                ErrorKind::Data,
                "cannot find rows by key: the table has no unique index on it",
            )
            .with("key of the stream", self.conflict.join(", "))
            .hint(self.way_to_a_key(
                existing,
                &format!("ALTER TABLE {table} ADD PRIMARY KEY ({columns})"),
            )))
    }

    /// Says what to do about a table that is not unique by the key of the stream.
    fn way_to_a_key(&self, existing: &Existing, statement: &str) -> String {
        let has = |name: &&String| existing.columns.iter().any(|column| column.name == **name);
        if !self.partitioned && existing.columns.iter().any(|column| column.name == DATESTAMP) {
            return "the table holds days, and a key may be in each of them: load by \
                    `replace-partition`, or into another table or schema"
                .to_owned();
        }
        match self.conflict.iter().find(|name| !has(name)) {
            Some(missing) => format!(
                "the table has no column {missing}: it was made by another `load_method`; load \
                 into another table or schema"
            ),
            None => format!(
                "load into another table or schema or, if no two rows share that key, run: \
                 {statement}"
            ),
        }
    }

    fn refusal(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message).with("stream", &self.stream).with("table", &self.name)
    }

    /// Makes the schema of the table, where it is not there; within a transaction that ends soon,
    /// for other streams wait for it.
    pub fn create_schema(&self, client: &mut Client) -> Result<()> {
        lock(client, &format!("schema {}", self.name.schema))?;
        match self.schema_statement(client)? {
            Some(statement) => self.change(client, &statement),
            None => Ok(()),
        }
    }

    /// Returns the statement that makes the schema of the table; `None` where it is there.
    pub fn schema_statement(&self, client: &mut Client) -> Result<Option<String>> {
        let schema = [Some(self.name.schema.as_str())];
        let found = client.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", &schema)?;
        let create = || Ok(format!("CREATE SCHEMA {}", quote_ident(&self.name.schema)?));
        found.is_empty().then(create).transpose()
    }

    fn change(&self, client: &mut Client, statement: &str) -> Result<()> {
        tracing::info!("changing the database: {statement}");
        let done = client.execute(statement);
        done.map_err(|failure| failure.with("stream", &self.stream).with("statement", statement))?;
        Ok(())
    }

    /// Makes the table what the stream needs, under a lock that keeps out other runs that would
    /// do the same; within a transaction. Tells whether it had to make the table itself.
    pub fn apply(&self, client: &mut Client, expected: &TableChange) -> Result<bool> {
        lock(client, &self.name.to_string())?;
        let change = self.compare(client)?;
        let same = change.types == expected.types && change.defaults == expected.defaults;
        if !same || change.unique != expected.unique {
            return Err(self
                .refusal(ErrorKind::Temporary, "cannot load: the table was changed meanwhile")
                .hint("run again"));
        }
        self.make(client, &change)?;
        Ok(change.creates())
    }

    /// Runs the statements of a change; within a transaction, under the lock of the table.
    pub fn make(&self, client: &mut Client, change: &TableChange) -> Result<()> {
        change.statements.iter().try_for_each(|statement| self.change(client, statement))
    }
}

/// Takes a lock that ends with the transaction; other programs do not know of it.
pub fn lock(client: &mut Client, name: &str) -> Result<()> {
    client.execute(&format!("SELECT pg_advisory_xact_lock({})", lock_number(name)))?;
    Ok(())
}

/// Takes the same lock if it is free, and tells whether it was.
pub fn try_lock(client: &mut Client, name: &str) -> Result<bool> {
    let sql = format!("SELECT pg_try_advisory_xact_lock({})", lock_number(name));
    Ok(client.query(&sql, &[])?.first().and_then(|row| row.get(0)) == Some("t"))
}

/// Returns the number by which the server knows a lock, as SQL.
pub fn lock_number(name: &str) -> String {
    format!("hashtextextended({}, 0)", quote_literal(&format!("target-postgres {name}")))
}

/// Tells whether a column we fill is of a type that takes our values.
fn our_type_fits(existing: &SqlType, wanted: &SqlType) -> bool {
    existing == wanted
        || existing.name.starts_with("timestamp") && wanted.name.starts_with("timestamp")
        || existing.is(&["text", "character varying"]) && wanted.is(&["text"])
        || existing.is(&["bigint", "numeric"]) && wanted.is(&["bigint"])
}

fn partition_index(table: &str) -> String {
    format!("CREATE INDEX ON {table} (\"{SOURCE}\", \"{DATESTAMP}\")")
}

/// Quotes names and joins them by commas.
pub fn quoted(names: &[String]) -> Result<String> {
    let names: Result<Vec<String>> = names.iter().map(|name| quote_ident(name)).collect();
    Ok(names?.join(", "))
}

/// Returns the columns that we fill, for a partition and for metadata.
pub fn own_columns(partitioned: bool, settings: &Settings) -> Vec<Wanted> {
    let partition = [(SOURCE, "text"), (DATESTAMP, "date")];
    let partition = partition.into_iter().filter(|_| partitioned);
    partition
        .chain(METADATA.into_iter().filter(|(name, _)| settings.adds(name)))
        .map(|(name, sql)| Wanted {
            name: name.to_owned(),
            sql_type: SqlType::plain(sql),
            source: None,
            came: None,
            unknown: None,
        })
        .collect()
}
