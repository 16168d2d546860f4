//! The table as it is, the table as the stream needs it, and the DDL between the two.

use pg::types::SQL_BASE_DATATYPE;
use pg::{Client, failure, quote_ident, quote_literal};
use serde_json::Value;
use singer::{Column, Error, ErrorKind, Result, schema};

use crate::facts::FACTS;
use crate::names::{DATESTAMP, METADATA, SOURCE, TableName};
use crate::types::{self, Change, SqlType};

/// A table, read from the catalog.
#[derive(Debug, Default)]
pub struct Existing {
    kind: String,
    columns: Vec<ExistingColumn>,
    /// The columns of each unique index that ON CONFLICT can use; the primary key first.
    unique: Vec<Vec<String>>,
    has_primary_key: bool,
}

#[derive(Debug)]
struct ExistingColumn {
    name: String,
    sql_type: SqlType,
    generated: bool,
    identity_always: bool,
    /// Its collation, quoted, if that takes different texts for equal.
    collation: Option<String>,
}

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
}

/// What is there to do, and what the table is like after it.
#[derive(Debug, Default)]
pub struct Plan {
    /// The statements, in order.
    pub statements: Vec<String>,
    /// The type of every wanted column afterwards, in their order.
    pub types: Vec<SqlType>,
    /// Collations of wanted columns that take different texts for equal, quoted.
    pub collations: Vec<Option<String>>,
    /// Wanted columns that the server computes, so that nothing can be written to them.
    pub generated: Vec<bool>,
    /// Whether a column is an identity that takes values only when told.
    pub overriding: bool,
    /// Wanted columns whose identity forbids an update.
    pub fixed: Vec<bool>,
    /// Whether ON CONFLICT can use the conflict columns.
    pub unique: bool,
    /// Whether rows are in partitions, so that system columns cannot be returned.
    pub partitioned: bool,
}

impl Plan {
    /// Tells whether the statements make the table.
    pub fn creates(&self) -> bool {
        self.statements.first().is_some_and(|first| first.starts_with("CREATE TABLE"))
    }

    /// Adds a wanted column, of the table as it is or to be made.
    fn push(&mut self, sql: SqlType, found: Option<&ExistingColumn>) {
        self.types.push(sql);
        self.collations.push(found.and_then(|found| found.collation.clone()));
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
    /// Whether a merge works without a unique index on them.
    pub unique_optional: bool,
    /// Whether rows belong to a partition (source, datestamp).
    pub partitioned: bool,
    /// The stream, for messages.
    pub stream: String,
}

impl Shape {
    /// Compares with the table as it is.
    pub fn plan(&self, client: &mut Client) -> Result<Plan> {
        let mut plan = Plan::default();
        let existing = read(client, &self.name)?;
        let table = self.name.sql()?;
        let Some(existing) = existing else {
            self.create(&table, &mut plan)?;
            return Ok(plan);
        };
        match &*existing.kind {
            "r" | "p" => plan.partitioned = existing.kind == "p",
            _ => {
                return Err(self
                    .refusal(ErrorKind::Unavailable, "cannot load into what is no table")
                    .hint("a view or foreign table has the name: choose another schema"));
            }
        }
        let mut actions = Vec::new();
        for wanted in &self.columns {
            self.place(wanted, &existing, &mut actions, &mut plan)?;
        }
        if !actions.is_empty() {
            plan.statements.push(format!("ALTER TABLE {table} {}", actions.join(", ")));
        }
        self.check_keys(&existing, &table, &mut plan)?;
        Ok(plan)
    }

    fn create(&self, table: &str, plan: &mut Plan) -> Result<()> {
        let mut parts = Vec::new();
        for wanted in &self.columns {
            let required = self.conflict.contains(&wanted.name)
                || self.partitioned && [SOURCE, DATESTAMP].contains(&&*wanted.name);
            let name = quote_ident(&wanted.name)?;
            let null = if required { " NOT NULL" } else { "" };
            parts.push(format!("{name} {}{null}", wanted.sql_type.sql()));
            plan.push(wanted.sql_type.clone(), None);
        }
        if !self.conflict.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", quoted(&self.conflict)?));
            plan.unique = true;
        }
        plan.statements.push(format!("CREATE TABLE {table} ({})", parts.join(", ")));
        if self.partitioned && self.conflict.is_empty() {
            plan.statements.push(partition_index(table));
        }
        Ok(())
    }

    /// Finds a wanted column in the table, or the way to get it there.
    fn place(
        &self,
        wanted: &Wanted,
        existing: &Existing,
        actions: &mut Vec<String>,
        plan: &mut Plan,
    ) -> Result<()> {
        let name = quote_ident(&wanted.name)?;
        let Some(found) = existing.columns.iter().find(|column| column.name == wanted.name) else {
            actions.push(format!("ADD COLUMN {name} {}", wanted.sql_type.sql()));
            plan.push(wanted.sql_type.clone(), None);
            return Ok(());
        };
        let change = match &wanted.source {
            Some(source) => types::change(source, &found.sql_type, &wanted.sql_type),
            None if our_type_fits(&found.sql_type, &wanted.sql_type) => Change::Keep,
            None => Change::Refuse,
        };
        let sql = match change {
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
        plan.push(sql, Some(found));
        Ok(())
    }

    fn check_keys(&self, existing: &Existing, table: &str, plan: &mut Plan) -> Result<()> {
        let same = |columns: &Vec<String>| {
            columns.len() == self.conflict.len()
                && columns.iter().all(|column| self.conflict.contains(column))
        };
        plan.unique = !self.conflict.is_empty() && existing.unique.iter().any(same);
        let new_partition = |column: &&ExistingColumn| column.name == DATESTAMP;
        if self.partitioned && !existing.columns.iter().any(|column| new_partition(&column)) {
            plan.statements.push(partition_index(table));
        }
        if plan.unique || self.conflict.is_empty() {
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
        if self.unique_optional {
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
        log::info!("changing the database: {statement}");
        let done = client.execute(statement);
        done.map_err(|failure| failure.with("stream", &self.stream).with("statement", statement))?;
        Ok(())
    }

    /// Makes the table what the stream needs, under a lock that keeps out other runs that would
    /// do the same; within a transaction. Tells whether it had to make the table itself.
    pub fn apply(&self, client: &mut Client, expected: &Plan) -> Result<bool> {
        lock(client, &self.name.to_string())?;
        let plan = self.plan(client)?;
        if plan.types != expected.types || plan.unique != expected.unique {
            return Err(self
                .refusal(ErrorKind::Temporary, "cannot load: the table was changed meanwhile")
                .hint("run again"));
        }
        for statement in &plan.statements {
            self.change(client, statement)?;
        }
        Ok(plan.creates())
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

fn lock_number(name: &str) -> String {
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
pub fn own_columns(partitioned: bool, metadata: bool) -> Vec<Wanted> {
    let partition = [(SOURCE, "text"), (DATESTAMP, "date")];
    let partition = partition.into_iter().filter(|_| partitioned);
    partition
        .chain(METADATA.into_iter().filter(|_| metadata))
        .map(|(name, sql)| Wanted {
            name: name.to_owned(),
            sql_type: SqlType::plain(sql),
            source: None,
            came: None,
        })
        .collect()
}

fn read(client: &mut Client, name: &TableName) -> Result<Option<Existing>> {
    let params = [Some(name.schema.as_str()), Some(name.table.as_str())];
    let rows = client.query(
        "SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 't', 'c')",
        &params,
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let oid = [row.get(0)];
    let mut existing =
        Existing { kind: row.get(1).unwrap_or_default().to_owned(), ..Existing::default() };
    let columns = client.query(
        &format!(
            "SELECT attname, format_type(atttypid, atttypmod), attgenerated <> '',
               attidentity = 'a', {FACTS}, (SELECT format('%I.%I', n.nspname, o.collname)
                 FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
                 WHERE o.oid = attcollation AND NOT o.collisdeterministic)
             FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
               CROSS JOIN LATERAL (SELECT atttypmod) modifier (m)
             WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum"
        ),
        &oid,
    )?;
    existing.columns = columns
        .iter()
        .map(|row| ExistingColumn {
            name: row.get(0).unwrap_or_default().to_owned(),
            sql_type: SqlType::from_server(row.get(1).unwrap_or_default()).with_facts(row.get(4)),
            generated: row.get(2) == Some("t"),
            identity_always: row.get(3) == Some("t"),
            collation: row.get(5).map(str::to_owned),
        })
        .collect();
    let keys = client.query(
        "SELECT i.indexrelid, i.indisprimary, a.attname
         FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, place)
         JOIN pg_attribute a ON a.attnum = k.attnum AND a.attrelid = $1::oid
         WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indimmediate
           AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
         ORDER BY i.indisprimary DESC, i.indexrelid, k.place",
        &oid,
    )?;
    let mut last = None;
    for row in &keys {
        existing.has_primary_key |= row.get(1) == Some("t");
        if last != row.get(0) {
            existing.unique.push(Vec::new());
            last = row.get(0);
        }
        if let Some(key) = existing.unique.last_mut() {
            key.push(row.get(2).unwrap_or_default().to_owned());
        }
    }
    Ok(Some(existing))
}

/// Returns the type to make a column with: its source's type where the server knows it and the
/// values fit, else what its JSON Schema asks for. Also returns the type that the values have in
/// the source, where the server has one of that name; what is under a domain of the source only the
/// source can say.
pub fn wanted_type(
    client: &mut Client,
    column: &Column,
    base16_is_bytea: bool,
    target_schema: &str,
) -> Result<(SqlType, Option<SqlType>)> {
    let mut find = |key: &str| match column.schema[key].as_str() {
        Some(text) => match SqlType::parse(text) {
            Some(known) => Ok(Some(known)),
            None => look_up(client, text, target_schema),
        },
        None => Ok(None),
    };
    let own = find(schema::SQL_DATATYPE)?;
    let base = find(SQL_BASE_DATATYPE)?;
    let came = match column.schema[SQL_BASE_DATATYPE] {
        Value::Null => own.clone().filter(|own| own.storage() == own),
        _ => base.clone(),
    };
    let mut found = [own, base].into_iter().flatten();
    let wanted = found.find(|found| types::fits(column, found));
    Ok((wanted.unwrap_or_else(|| types::from_schema(column, base16_is_bytea)), came))
}

/// Asks the server for a type; the text is data and never becomes SQL.
fn look_up(client: &mut Client, text: &str, target_schema: &str) -> Result<Option<SqlType>> {
    let places = [None, Some(target_schema), Some("public")];
    for place in places {
        let name = match place {
            None => text.to_owned(),
            Some(_) if text.contains('.') => break,
            Some(schema) => format!("{}.{text}", quote_ident(schema)?),
        };
        let rows = client.query(
            &format!(
                "SELECT format_type(oid, NULL), {FACTS} FROM pg_type t \
                 CROSS JOIN (SELECT -1) modifier (m) WHERE oid = to_regtype($1)"
            ),
            &[Some(&name)],
        );
        match rows {
            Ok(rows) => {
                if let Some(row) = rows.first() {
                    let found = SqlType::from_server(row.get(0).unwrap_or_default());
                    return Ok(Some(found.with_facts(row.get(1)).with_suffix_of(text)));
                }
            }
            // Text that is no type's name at all.
            Err(refused) if failure::sqlstate(&refused).is_some() && !client.is_broken() => {}
            Err(failed) => return Err(failed),
        }
    }
    Ok(None)
}
