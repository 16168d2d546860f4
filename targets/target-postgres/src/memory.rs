//! What is remembered of tables: which stream fills each one, and since when.
//!
//! A table is filled by one stream, and another one is refused, whenever it comes. That is
//! remembered in a table of ours in every schema that is loaded into, and written in the
//! transaction of the load. A stream is known by the schema and the table that its tap says it
//! reads, else by its name; never by the tap or the source, so that two tenants' taps may share a
//! table.
//!
//! The moment since which a table is filled tells it from another one that takes its name, in this
//! database or another: bookmarks have it, so that a state is believed by the table that it is of.
//! A table that somebody made anew under its name, with fewer rows maybe, has another number at the
//! server: that is remembered, beside the number of the table to remember in, which has another
//! one, too, where a whole schema or database was restored.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use pg::{Client, failure, ours, quote_literal, quote_qualified};
use singer::{Error, ErrorKind, Result, Stream};

use crate::filler::Filler;
use crate::names::TableName;
use crate::spelled::Spelled;

/// The columns that earlier releases did not make: when the last load of a table began, and the
/// numbers of the table and of the one to remember in.
const LATER: [&str; 3] = ["began timestamp with time zone", "table_oid oid", "memory_oid oid"];

/// The moment since which a table is filled, as text.
const SINCE: &str = "to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/// Who fills a table, and since when: a moment in UTC, to the microsecond.
#[derive(Clone, Debug)]
struct Known {
    filler: Filler,
    since: String,
    /// Whether the table is the one that was filled, where its number is remembered.
    is_same: Option<bool>,
}

/// What is remembered of the tables of all schemas of a run.
#[derive(Debug, Default)]
pub struct Memory {
    schemas: BTreeMap<String, Remembered>,
    /// The tables that were there when one was to be made.
    spelled: Option<Spelled>,
}

/// What is remembered of the tables of a schema.
#[derive(Debug, Default)]
struct Remembered {
    /// Who fills a table, by its name.
    fillers: BTreeMap<String, Known>,
    place: Place,
    /// Whether it is remembered when the last load of a table began.
    began: bool,
    /// Whether the numbers of tables are remembered.
    numbered: bool,
    /// Whether an earlier release made the table to remember in, and we may add columns to it.
    lacks: bool,
}

/// Whether there is a table to remember in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// There is none yet.
    #[default]
    Missing,
    There,
    /// The user may not make it, read it or write it.
    Refused,
}

/// A stream that is the first one to fill a table, as far as is known.
#[derive(Clone, Debug)]
pub struct Claim {
    name: TableName,
    filler: Filler,
    /// What was known of a table of this name that is gone.
    before: Option<Known>,
    /// Whether the table was there before.
    adopts: bool,
    /// Whether the stream fills it already, and only the number of the table is new.
    keeps: bool,
    /// Whether the number of the table is remembered, too.
    numbered: Cell<bool>,
    /// What the transaction at hand has written, where no other run had been there before.
    written: RefCell<Option<Known>>,
}

impl Memory {
    /// Returns who fills a table.
    pub fn filler(&mut self, client: &mut Client, name: &TableName) -> Result<Option<Filler>> {
        Ok(self.known(client, name)?.map(|known| known.filler))
    }

    /// Returns since when a table is filled.
    pub fn since(&mut self, client: &mut Client, name: &TableName) -> Result<Option<String>> {
        Ok(self.known(client, name)?.map(|known| known.since))
    }

    /// Returns the tables whose names differ from this one in case alone.
    pub fn in_another_case(
        &mut self,
        client: &mut Client,
        name: &TableName,
    ) -> Result<Vec<TableName>> {
        let spelled = match self.spelled.take() {
            Some(spelled) => spelled,
            None => Spelled::read(client)?,
        };
        Ok(self.spelled.insert(spelled).others(name))
    }

    /// Tells whether a table was made anew since it was filled, by somebody else.
    pub fn is_another(&mut self, client: &mut Client, name: &TableName) -> Result<bool> {
        Ok(self.known(client, name)?.is_some_and(|known| known.is_same == Some(false)))
    }

    fn known(&mut self, client: &mut Client, name: &TableName) -> Result<Option<Known>> {
        Ok(self.of(client, &name.schema)?.fillers.get(&name.table).cloned())
    }

    /// Returns the tables of a schema that a stream of this name fills.
    pub fn tables_of(
        &mut self,
        client: &mut Client,
        schema: &str,
        stream: &str,
    ) -> Result<Vec<TableName>> {
        let found = self.of(client, schema)?.fillers.iter();
        let found = found.filter(|(_, known)| known.filler.stream == stream);
        let name = |table: &String| TableName { schema: schema.to_owned(), table: table.clone() };
        Ok(found.map(|(table, _)| name(table)).collect())
    }

    /// Refuses a table that another stream fills. Returns what is to be written with the load
    /// where nothing is remembered, or only of a table that is gone or was another one.
    ///
    /// A row of a partition or a child is a row of its parent, too. So one stream fills them all,
    /// or each has a child of its own: what is not known yet must not come between, and what
    /// `replaces` rows must not take those of another stream.
    pub fn claim(
        &mut self,
        client: &mut Client,
        stream: &Stream,
        (name, exists, replaces): (&TableName, bool, bool),
    ) -> Result<Option<Claim>> {
        let filler = Filler::of(stream);
        let before = self.known(client, name)?;
        if exists && (before.is_none() || replaces) {
            for relative in relatives(client, name)? {
                if let Some(known) = self.known(client, &relative)?
                    && !known.filler.is(&filler)
                {
                    let refused = taken(&relative, &filler, &known.filler);
                    return Err(refused.with("parent or child", name));
                }
            }
        }
        match before {
            Some(known) if exists && !known.filler.is(&filler) => {
                Err(taken(name, &filler, &known.filler))
            }
            Some(known) if exists && known.is_same == Some(true) => Ok(None),
            before => {
                let keeps = exists && before.is_some();
                let adopts = exists && !keeps;
                let (name, numbered, written) = (name.clone(), Cell::default(), RefCell::default());
                Ok(Some(Claim { name, filler, before, adopts, keeps, numbered, written }))
            }
        }
    }

    /// Returns the failure of a table that another stream fills; `None` where no other does, as far
    /// as is known.
    pub fn taken_by_another(
        &mut self,
        client: &mut Client,
        stream: &Stream,
        name: &TableName,
    ) -> Option<Error> {
        let filler = Filler::of(stream);
        // The server may refuse to answer after a failure: that is the one to tell of, then.
        let known = self.known(client, name).ok().flatten()?;
        (!known.filler.is(&filler)).then(|| taken(name, &filler, &known.filler))
    }

    /// Tells whether the table to remember in is still to be made.
    pub fn is_missing(&self, schema: &str) -> bool {
        self.schemas.get(schema).is_none_or(|known| known.place == Place::Missing)
    }

    /// Tells whether it can be written.
    pub fn is_kept(&self, schema: &str) -> bool {
        self.schemas.get(schema).is_some_and(|known| known.place == Place::There)
    }

    /// Returns the statement for a table to remember in that an earlier release has made.
    pub fn renewal(&self, schema: &str) -> Result<Option<String>> {
        let lacks = self.schemas.get(schema).is_some_and(|known| known.lacks);
        let table = quote_qualified(schema, ours::TABLE)?;
        let columns = LATER.map(|column| format!("ADD COLUMN IF NOT EXISTS {column}"));
        Ok(lacks.then(|| format!("ALTER TABLE {table} {}", columns.join(", "))))
    }

    /// Tells whether it is remembered when the last load of a table began.
    pub fn orders(&self, schema: &str) -> bool {
        self.schemas.get(schema).is_some_and(|known| known.began)
    }

    /// Tells whether a claim can be written, which is told whether it takes a number.
    pub fn takes(&self, claim: &Claim) -> bool {
        let known = self.schemas.get(&claim.name.schema);
        claim.numbered.set(known.is_some_and(|known| known.numbered));
        self.is_kept(&claim.name.schema)
    }

    /// Makes the table to remember in, within a transaction under the lock of the schema; without
    /// the right to do so, what fills a table is known within the run alone.
    pub fn make(&mut self, client: &mut Client, schema: &str) -> Result<()> {
        let known = self.schemas.entry(schema.to_owned()).or_default();
        // Another run may have made it meanwhile.
        read(client, schema, known)?;
        if let Some(renewal) = self.renewal(schema)? {
            client.execute(&renewal)?;
        }
        let known = self.schemas.entry(schema.to_owned()).or_default();
        if known.place != Place::Missing {
            known.began |= known.lacks;
            known.numbered |= known.lacks;
            known.lacks = false;
            return Ok(());
        }
        let create = create(schema)?;
        let made =
            client.execute(&format!("SAVEPOINT remember; {create}; RELEASE SAVEPOINT remember"));
        match made {
            Ok(_) => {
                (known.place, known.began, known.numbered) = (Place::There, true, true);
            }
            Err(refused) if failure::sqlstate(&refused).is_some() && !client.is_broken() => {
                client.execute("ROLLBACK TO SAVEPOINT remember; RELEASE SAVEPOINT remember")?;
                let reason = refused.context("server_message").unwrap_or_default().to_owned();
                known.refuse(schema, &format!("cannot make it: {reason}"));
            }
            Err(failed) => return Err(failed),
        }
        Ok(())
    }

    /// Returns the statements that remember a claim: before the load, and with it.
    pub fn statements(&self, claim: &Claim) -> Result<(Option<String>, Vec<String>)> {
        let schema = &claim.name.schema;
        let missing = self.is_missing(schema);
        let made = if missing { Some(create(schema)?) } else { None };
        let kept = missing || self.is_kept(schema);
        let filler = if claim.keeps { None } else { Some(claim.statement()?) };
        let number = Some(claim.number()?);
        Ok((made, filler.into_iter().chain(number).filter(|_| kept).collect()))
    }

    /// Takes note of a claim that was committed.
    pub fn settle(&mut self, client: &mut Client, claim: &Claim) -> Result<()> {
        if claim.adopts {
            let (table, stream) = (&claim.name, &claim.filler);
            tracing::info!(
                "table {table}: was filled before; from now on only stream {stream} may fill it"
            );
        }
        // Another run may have been the first: its moment is the one that counts.
        let ours = claim.written.take();
        let known = if ours.is_some() { ours } else { claim.written(client)? };
        if let Some(known) = known {
            let schema = self.schemas.entry(claim.name.schema.clone()).or_default();
            schema.fillers.insert(claim.name.table.clone(), known);
        }
        Ok(())
    }

    fn of(&mut self, client: &mut Client, schema: &str) -> Result<&mut Remembered> {
        if !self.schemas.contains_key(schema) {
            let mut known = Remembered::default();
            read(client, schema, &mut known)?;
            self.schemas.insert(schema.to_owned(), known);
        }
        Ok(self.schemas.entry(schema.to_owned()).or_default())
    }
}

impl Remembered {
    fn refuse(&mut self, schema: &str, reason: &str) {
        self.place = Place::Refused;
        singer::warn!(
            "W-TABLES-NOT-REMEMBERED",
            "cannot write down in {} which streams fill the tables of schema {schema}: {reason}; \
             two streams of one table are refused only within this run",
            ours::TABLE
        );
    }
}

impl Claim {
    /// Returns the statement that writes it, where no other stream was first.
    pub fn statement(&self) -> Result<String> {
        let table = quote_qualified(&self.name.schema, ours::TABLE)?;
        let [stream, schema, source] = literals(Some(&self.filler));
        let before = self.before.as_ref();
        let [old_stream, old_schema, old_source] = literals(before.map(|known| &known.filler));
        let old_since = before.map_or("NULL".to_owned(), |known| quote_literal(&known.since));
        Ok(format!(
            "INSERT INTO {table} AS m (table_name, stream, source_schema, source_table) VALUES \
             ({}, {stream}, {schema}, {source}) ON CONFLICT (table_name) DO UPDATE SET \
             stream = excluded.stream, source_schema = excluded.source_schema, \
             source_table = excluded.source_table, since = excluded.since \
             WHERE m.stream = {old_stream} \
             AND m.source_schema IS NOT DISTINCT FROM {old_schema} \
             AND m.source_table IS NOT DISTINCT FROM {old_source} \
             AND m.since = {old_since}::timestamp with time zone",
            quote_literal(&self.name.table)
        ))
    }

    /// Returns the statement that writes which table it is.
    fn number(&self) -> Result<String> {
        let memory = quote_qualified(&self.name.schema, ours::TABLE)?;
        Ok(format!(
            "UPDATE {memory} SET table_oid = {}::regclass, memory_oid = tableoid WHERE \
             table_name = {}",
            quote_literal(&self.name.sql()?),
            quote_literal(&self.name.table)
        ))
    }

    /// Writes it, within the transaction of the load; with the number of the table where those are
    /// remembered. Fails where another stream was first.
    pub fn write(&self, client: &mut Client) -> Result<()> {
        let numbered = self.numbered.get();
        let mut statements = Vec::new();
        if !self.keeps {
            statements.push(format!("{} RETURNING {SINCE}", self.statement()?));
        }
        if numbered {
            statements.push(self.number()?);
        }
        if statements.is_empty() {
            return Ok(());
        }
        let rows = client.query_all(&statements.join("; "))?;
        let since = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
        if since.is_none() && !self.keeps {
            self.check_written(client)?;
        }
        let is_same = numbered.then_some(true);
        let known = since.map(|since| Known { filler: self.filler.clone(), since, is_same });
        self.written.replace(known);
        Ok(())
    }

    /// Fails where another stream was first.
    fn check_written(&self, client: &mut Client) -> Result<()> {
        match self.written(client)? {
            Some(known) if !known.filler.is(&self.filler) => {
                Err(taken(&self.name, &self.filler, &known.filler))
            }
            _ => Ok(()),
        }
    }

    /// Returns what is written of the table.
    fn written(&self, client: &mut Client) -> Result<Option<Known>> {
        let sql = format!("{} WHERE table_name = $1", select(&self.name.schema)?);
        let rows = client.query(&sql, &[Some(&self.name.table)])?;
        Ok(rows.first().map(known))
    }
}

/// Returns what is written of a filler: its stream, and the schema and table that it reads.
fn literals(filler: Option<&Filler>) -> [String; 3] {
    let literal = |text: Option<&String>| {
        text.map_or_else(|| "NULL::text".to_owned(), |text| quote_literal(text))
    };
    let source = filler.and_then(|filler| filler.source.as_ref());
    [
        literal(filler.map(|filler| &filler.stream)),
        literal(source.map(|(schema, _)| schema)),
        literal(source.map(|(_, table)| table)),
    ]
}

/// Returns the statement that makes the table to remember in.
fn create(schema: &str) -> Result<String> {
    let table = quote_qualified(schema, ours::TABLE)?;
    Ok(format!(
        "CREATE TABLE {table} (table_name text PRIMARY KEY, stream text NOT NULL, \
         source_schema text, source_table text, \
         since timestamp with time zone NOT NULL DEFAULT now(), {}); \
         COMMENT ON TABLE {table} IS {}",
        LATER.join(", "),
        quote_literal(ours::COMMENT)
    ))
}

fn select(schema: &str) -> Result<String> {
    let table = quote_qualified(schema, ours::TABLE)?;
    // As JSON, a column may be lacking.
    Ok(format!(
        "SELECT stream, source_schema, source_table, table_name, \
         {SINCE}, \
         CASE WHEN to_jsonb(m) ->> 'memory_oid' = m.tableoid::text \
         THEN to_jsonb(m) ->> 'table_oid' = \
         to_regclass(format('%I.%I', {}::text, table_name))::oid::text END FROM {table} m",
        quote_literal(schema)
    ))
}

fn known(row: &pg::Row) -> Known {
    let text = |at| row.get(at).map(str::to_owned);
    let filler = Filler { stream: text(0).unwrap_or_default(), source: text(1).zip(text(2)) };
    let is_same = row.get(5).map(|same| same == "t");
    Known { filler, since: text(4).unwrap_or_default(), is_same }
}

/// Reads what is remembered of the tables of a schema, where that may be.
fn read(client: &mut Client, schema: &str, remembered: &mut Remembered) -> Result<()> {
    let rows = client.query(
        "SELECT obj_description(c.oid, 'pg_class') IS NOT DISTINCT FROM $3, \
         has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
         AND has_table_privilege(c.oid, 'UPDATE'), \
         EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'began' \
           AND NOT a.attisdropped), \
         EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'memory_oid' \
           AND NOT a.attisdropped), \
         pg_has_role(c.relowner, 'USAGE') AND (SELECT count(*) < 3 FROM pg_attribute a WHERE \
           a.attrelid = c.oid AND a.attname IN ('began', 'table_oid', 'memory_oid') \
           AND NOT a.attisdropped) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2",
        &[Some(schema), Some(ours::TABLE), Some(ours::COMMENT)],
    )?;
    let Some(row) = rows.first() else {
        remembered.place = Place::Missing;
        return Ok(());
    };
    if row.get(0) != Some("t") {
        remembered.refuse(schema, "another program has a table of that name");
        return Ok(());
    }
    if row.get(1) != Some("t") {
        let table = quote_qualified(schema, ours::TABLE)?;
        let grant = format!("GRANT SELECT, INSERT, UPDATE ON {table} TO the user");
        remembered.refuse(schema, &format!("another user created it: {grant}"));
        return Ok(());
    }
    remembered.place = Place::There;
    remembered.began = row.get(2) == Some("t");
    remembered.numbered = row.get(3) == Some("t");
    remembered.lacks = row.get(4) == Some("t");
    let rows = client.query(&select(schema)?, &[])?;
    let named = rows.iter().filter_map(|row| Some((row.get(3)?.to_owned(), known(row))));
    remembered.fillers = named.collect();
    Ok(())
}

/// Returns the tables whose rows are rows of a table, too, and those that its own rows are of.
fn relatives(client: &mut Client, name: &TableName) -> Result<Vec<TableName>> {
    let rows = client.query(
        "WITH RECURSIVE t (oid) AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n \
           ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2), \
         up (oid) AS (SELECT i.inhparent FROM pg_inherits i JOIN t ON i.inhrelid = t.oid \
           UNION SELECT i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.oid), \
         down (oid) AS (SELECT i.inhrelid FROM pg_inherits i JOIN t ON i.inhparent = t.oid \
           UNION SELECT i.inhrelid FROM pg_inherits i JOIN down ON i.inhparent = down.oid) \
         SELECT n.nspname, c.relname FROM (SELECT oid FROM up UNION SELECT oid FROM down) r \
         JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_class m \
           WHERE m.relnamespace = n.oid AND m.relname = $3) ORDER BY 1, 2",
        &[Some(&name.schema), Some(&name.table), Some(ours::TABLE)],
    )?;
    let text = |row: &pg::Row, at| row.get(at).unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| TableName { schema: text(row, 0), table: text(row, 1) }).collect())
}

#[cold]
fn taken(name: &TableName, filler: &Filler, known: &Filler) -> Error {
    let memory = quote_qualified(&name.schema, ours::TABLE).unwrap_or_default();
    Error::new(ErrorKind::Config, "cannot load a stream into the table of another one")
        .with("table", name)
        .with("stream", filler)
        .with("filled by", known)
        .hint(format!(
            "load it into another table (`table_names`) or schema (`default_target_schema`); if it \
              is to replace the other stream permanently, run: DELETE FROM {memory} WHERE \
             table_name = {}",
            quote_literal(&name.table)
        ))
}
