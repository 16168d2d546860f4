//! The table as it is, the table as the stream needs it, and the DDL between the two.

mod way;

use pg::failure::sqlstate;
use pg::{Client, quote_ident};
use singer::{Column, Context, Error, ErrorKind, Result};

use crate::existing::{Existing, ExistingColumn};
use crate::guards::Guards;
use crate::misfit::{Misfit, Misfits};
use crate::names::{DATESTAMP, SOURCE, TableName};
use crate::settings::{LoadMethod, OnTypeChange};
use crate::types::{self, Change, SqlType};
use crate::{grants, held, locks, remark, retype, type_change};

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
    /// The column of the property's name, where that one does not take its values.
    pub instead_of: Option<String>,
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
    /// The columns of its primary key.
    pub primary: Vec<String>,
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
    /// What a load would refuse, of a shape with `misfits`.
    pub misfits: Misfits,
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

/// What one statement does to the columns of a table.
#[derive(Default)]
struct Actions {
    parts: Vec<String>,
    /// The columns that get another type.
    retyped: Vec<String>,
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
    /// What to do with a column that does not take what comes.
    pub on_type_change: OnTypeChange,
    /// Whether a load may take rows out of the table.
    pub removes: bool,
    /// Whether rows belong to a partition (source, datestamp).
    pub partitioned: bool,
    /// The roles that may read the table, if it is to be made.
    pub readers: Vec<String>,
    /// The columns of each index that it gets then.
    pub indices: Vec<Vec<String>>,
    /// The stream, for messages.
    pub stream: String,
    /// For a plan of the table itself: the new names of columns that are there. What a load would
    /// refuse is then written down, and not refused.
    pub renames: Option<Vec<[String; 2]>>,
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
        let Some(mut existing) = existing else {
            self.create(&table, &mut change)?;
            let granted = grants::statements(client, &self.name, &self.readers);
            change.statements.extend(granted.with("stream", &self.stream)?);
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
                    .refusal(ErrorKind::Unavailable, "cannot load into a view or foreign table")
                    .hint("a view or foreign table has this name: choose another schema"));
            }
        }
        let plans = self.renames.is_some();
        let mut actions = Actions::default();
        existing.rename(self.renames.as_deref().unwrap_or_default());
        for wanted in &self.columns {
            self.place(wanted, &existing, &mut actions, &mut change)?;
        }
        if plans {
            change.misfits.retyped.clone_from(&actions.retyped);
        } else if !actions.retyped.is_empty() {
            let free = held::check(client, &self.name, &actions.retyped);
            free.with("stream", &self.stream).with("table", &self.name)?;
        }
        for column in &existing.columns {
            let written = self.columns.iter().any(|wanted| wanted.name == column.name);
            if !written {
                let added = change.added.iter().filter(|name| word(name) == word(&column.name));
                change.alike.extend(added.map(|name| [name.clone(), column.name.clone()]));
            }
            if !written && !column.generated && !column.identity {
                if column.default.is_none() {
                    change.misfits.unwanted.push(column.name.clone());
                }
                change.others.push((quote_ident(&column.name)?, column.default.clone()));
            }
        }
        let computes = change.others.iter().any(|(_, default)| default.is_some());
        change.asks_promises = computes || !existing.is_plain;
        if !actions.parts.is_empty() {
            change.statements.push(format!("ALTER TABLE {table} {}", actions.parts.join(", ")));
        }
        change.statements.extend(self.remarks(&table, |column| change.added.contains(column))?);
        let changes = !change.statements.is_empty();
        let checked = existing.relatives.check(self.method, self.removes, changes);
        checked.with("stream", &self.stream).with("table", &self.name)?;
        change.primary.clone_from(&existing.primary);
        match self.check_keys(&existing, &table, &mut change) {
            Err(misfit) if plans => change.misfits.key = Some(misfit),
            checked => checked?,
        }
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
        change.statements.extend(self.remarks(table, |_| true)?);
        for columns in &self.indices {
            let lacks = |name: &&String| !self.columns.iter().any(|wanted| wanted.name == **name);
            if let Some(missing) = columns.iter().find(lacks) {
                let message = "cannot create an index: the stream lacks its column";
                return Err(self
                    .refusal(ErrorKind::Config, message)
                    .with("column", missing)
                    .hint("correct `indices` in `schema_mapping`"));
            }
            change.statements.push(format!("CREATE INDEX ON {table} ({})", quoted(columns)?));
        }
        if self.partitioned && self.conflict.is_empty() {
            change.statements.push(partition_index(table));
        }
        Ok(())
    }

    /// Returns the statements that say of new columns for which one each was made.
    fn remarks(&self, table: &str, is_new: impl Fn(&String) -> bool) -> Result<Vec<String>> {
        let new = self.columns.iter().filter(|wanted| is_new(&wanted.name));
        let new = new.filter_map(|wanted| Some((wanted, wanted.instead_of.as_ref()?)));
        new.map(|(wanted, of)| Ok(remark::statement(table, &quote_ident(&wanted.name)?, of)))
            .collect()
    }

    /// Finds a wanted column in the table, or the way to get it there.
    fn place(
        &self,
        wanted: &Wanted,
        existing: &Existing,
        actions: &mut Actions,
        change: &mut TableChange,
    ) -> Result<()> {
        let name = quote_ident(&wanted.name)?;
        let Some(found) = existing.columns.iter().find(|column| column.name == wanted.name) else {
            actions.parts.push(format!("ADD COLUMN {name} {}", wanted.sql_type.sql()));
            change.added.extend(wanted.source.is_some().then(|| wanted.name.clone()));
            change.push(wanted.sql_type.clone(), None);
            return Ok(());
        };
        let fixed = self.fixed(found, existing);
        let fit = match &wanted.source {
            Some(source) if fixed.is_some() => {
                types::change(source, &found.sql_type, &wanted.sql_type)
            }
            Some(source) => {
                type_change::change(self.on_type_change, source, &found.sql_type, &wanted.sql_type)
            }
            None if our_type_fits(&found.sql_type, &wanted.sql_type) => Change::Keep,
            None => Change::Refuse,
        };
        let sql = match fit {
            Change::Keep => found.sql_type.clone(),
            Change::Widen(wide) => {
                actions.parts.push(retype::action(&name, &found.sql_type.sql(), &wide.sql()));
                actions.retyped.push(wanted.name.clone());
                wide
            }
            Change::Refuse if self.renames.is_some() => {
                let (from, to) = (found.sql_type.sql(), wanted.sql_type.sql());
                change.misfits.types.push(Misfit { column: wanted.name.clone(), from, to });
                wanted.sql_type.clone()
            }
            Change::Refuse => return Err(self.type_refusal(wanted, found, fixed)),
        };
        change.push(sql, Some(found));
        Ok(())
    }

    /// Returns why a column keeps its type, whatever `on_type_change` says.
    fn fixed(&self, found: &ExistingColumn, existing: &Existing) -> Option<&'static str> {
        let of = |key: &[String]| key.contains(&found.name);
        if of(&self.conflict) || existing.unique.iter().any(|key| of(key)) {
            Some("the column is part of a key")
        } else if found.generated || found.identity {
            Some("the server fills the column")
        } else {
            None
        }
    }

    #[cold]
    fn type_refusal(
        &self,
        wanted: &Wanted,
        found: &ExistingColumn,
        fixed: Option<&'static str>,
    ) -> Error {
        let fixed = fixed.or(wanted.source.is_none().then_some("the load fills the column"));
        let widest = type_change::widest(&found.sql_type, &wanted.sql_type);
        let hint = match (fixed, widest) {
            (Some(why), _) => format!(
                "{why}, and `on_type_change` does not apply to it: change the column by hand, load \
                  into another table, or change the tap"
            ),
            (None, Some(wide)) => format!(
                "set `on_type_change` to `widen` (the column becomes {}), or to `add_column` (the \
                 new values go into a column of their own); else load into another table, or \
                 change the tap",
                wide.sql()
            ),
            (None, None) => {
                "set `on_type_change: add_column` (the new values go into a column of their own), \
                 change the column by hand, load into another table, or change the tap"
                    .to_owned()
            }
        };
        self.refusal(ErrorKind::Data, "cannot change the type of the column safely")
            .with("column", &wanted.name)
            .with("type of the table", found.sql_type.sql())
            .with("type of the stream", wanted.sql_type.sql())
            .hint(hint)
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
                    "load into another table or, to store the key of the stream, run: ALTER TABLE \
                     {table} ALTER COLUMN {name} DROP EXPRESSION"
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
        if existing.has_primary_key && !existing.is_deferrable {
            let key = existing.unique.first().map(|key| key.join(", ")).unwrap_or_default();
            return Err(self
                .refusal(ErrorKind::Data, "the key of the stream differs from the key of the table")
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
        let statement = if existing.has_primary_key {
            format!("CREATE UNIQUE INDEX ON {table} ({columns})")
        } else {
            format!("ALTER TABLE {table} ADD PRIMARY KEY ({columns})")
        };
        let message = "cannot find rows by key: the table has no unique index on it";
        Err(self
            .refusal(ErrorKind::Data, message)
            .with("key of the stream", self.conflict.join(", "))
            .hint(self.way_to_a_key(existing, &statement)))
    }

    fn refusal(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message).with("stream", &self.stream).with("table", &self.name)
    }

    /// Makes the schema of the table, where it is not there; within a transaction that ends soon,
    /// for other streams wait for it.
    pub fn create_schema(&self, client: &mut Client) -> Result<()> {
        locks::lock(client, &format!("schema {}", self.name.schema))?;
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
        client.execute(statement).map_err(|failure| {
            let failure = failure.with("stream", &self.stream).with("statement", statement);
            let held = matches!(sqlstate(&failure), Some("0A000" | "2BP01" | "42883" | "42804"));
            if held && statement.contains(" ALTER COLUMN ") {
                return failure.hint(
                    "a check, an index, a default, a policy or a trigger depends on the column: \
                     drop it, load, and create it again",
                );
            }
            failure
        })?;
        Ok(())
    }

    /// Makes the table what the stream needs, under a lock that keeps out other runs that would
    /// do the same; within a transaction. Tells whether it had to make the table itself.
    pub fn apply(&self, client: &mut Client, expected: &TableChange) -> Result<bool> {
        locks::lock(client, &self.name.to_string())?;
        let change = self.compare(client)?;
        let same = change.types == expected.types && change.defaults == expected.defaults;
        if !same || change.unique != expected.unique {
            return Err(self
                .refusal(
                    ErrorKind::Temporary,
                    "cannot load: another session changed the table during the load",
                )
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
