//! What the tables of a pipeline lack, and making them so: `--schema-plan` and `--schema-apply`.
//!
//! A plan is made by the code that a load uses. It is applied by making it again, under locks, and
//! comparing: no statement of the file that is given reaches the server.

mod apply;
mod changes;
mod found;
mod notes;
mod removed;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pg::{Client, quote_ident};
use serde::Serialize;
use singer::{Aim, Context, Result, Stream, TablesAsked};

pub use apply::apply;

use crate::filler::Filler;
use crate::memory::{Claim, Memory};
use crate::misfit::Misfit;
use crate::names::TableName;
use crate::settings::Settings;

/// The form of the plans.
const VERSION: u64 = 1;

/// What is done to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    /// Nothing.
    #[default]
    None,
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is dropped.
    Drop,
}

/// What is done to a table, and why.
#[derive(Debug, Default, Serialize)]
struct TablePlan {
    schema: String,
    table: String,
    /// The stream that fills it; none where no stream does any more.
    stream: Option<String>,
    action: Action,
    new_fields: Vec<String>,
    deleted_fields: Vec<String>,
    intersect_fields: Vec<String>,
    /// The new name by the old one.
    renamed_fields: BTreeMap<String, String>,
    changed_types: Vec<Misfit>,
    /// The key as it is, and as it is to be.
    key: Option<[Vec<String>; 2]>,
    statements: Vec<String>,
    /// What is lost with it.
    loses: Vec<String>,
    /// Why the table has to be filled again from its source.
    refill: Vec<String>,
    /// What has to be done before, by hand.
    blocked: Vec<String>,
    /// What is left as it is, and why.
    left: Vec<String>,
    /// What the table is like, as a sum.
    found: Option<String>,
}

/// What is remembered with a table.
struct Remember {
    name: TableName,
    claim: Option<Claim>,
    /// The columns by the ids of their properties.
    ids: BTreeMap<String, String>,
}

/// What is done to all tables.
#[derive(Debug, Serialize)]
struct Plan {
    version: u64,
    aim: &'static str,
    pipeline: Option<String>,
    create_schemas: Vec<String>,
    tables: Vec<TablePlan>,
}

/// Makes a plan.
struct Planning<'a> {
    client: &'a mut Client,
    memory: Memory,
    settings: &'a Rc<Settings>,
    asked: &'a TablesAsked,
    remember: Vec<Remember>,
}

/// A stream and its table.
pub type Filling<'a> = (&'a Stream, TableName);

/// Returns what is to be done to the tables of streams, as JSON; changes nothing.
pub fn plan(
    client: &mut Client,
    settings: &Rc<Settings>,
    filled: &[Filling<'_>],
    asked: &TablesAsked,
) -> Result<serde_json::Value> {
    // The server itself refuses what is more than a plan.
    client.execute("SET default_transaction_read_only = on")?;
    // A table that changes meanwhile would be half the old one and half the new one.
    client.execute("BEGIN ISOLATION LEVEL READ COMMITTED")?;
    for (_, name) in filled {
        hold(client, name)?;
    }
    let plan = Planning::new(client, settings, asked).all(filled)?.0;
    client.execute("ROLLBACK")?;
    Ok(serde_json::to_value(plan).unwrap_or_default())
}

/// Keeps changes of a table out to the end of the transaction, where the user may read it.
fn hold(client: &mut Client, name: &TableName) -> Result<()> {
    let table = name.sql()?;
    let sql = "SELECT 1 FROM pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'p') \
               AND has_table_privilege(oid, 'SELECT')";
    if client.query(sql, &[Some(&table)])?.is_empty() {
        return Ok(());
    }
    client.execute(&format!("LOCK TABLE {table} IN ACCESS SHARE MODE"))?;
    Ok(())
}

impl<'a> Planning<'a> {
    fn new(client: &'a mut Client, settings: &'a Rc<Settings>, asked: &'a TablesAsked) -> Self {
        Self { client, memory: Memory::default(), settings, asked, remember: Vec::new() }
    }

    /// Plans all tables; returns what is to be remembered of them, too.
    fn all(mut self, filled: &[Filling<'_>]) -> Result<(Plan, Vec<Remember>, Memory)> {
        let mut tables = Vec::new();
        for (stream, name) in filled {
            let planned = match self.asked.aim {
                Aim::Drop => self.drop_filled(stream, name),
                Aim::Build | Aim::Changes | Aim::Additions => self.change(stream, name),
            };
            tables.push(planned.with("stream", &stream.name)?);
        }
        if matches!(self.asked.aim, Aim::Changes | Aim::Drop) {
            let names: BTreeSet<&TableName> = filled.iter().map(|(_, name)| name).collect();
            tables.extend(self.without_stream(&names)?);
        }
        let create_schemas = self.missing_schemas(&tables)?;
        let (aim, pipeline) = (self.asked.aim.word(), self.asked.pipeline.clone());
        let plan = Plan { version: VERSION, aim, pipeline, create_schemas, tables };
        Ok((plan, self.remember, self.memory))
    }

    /// Returns the schemas of new tables that are not there.
    fn missing_schemas(&mut self, tables: &[TablePlan]) -> Result<Vec<String>> {
        let made = tables.iter().filter(|table| table.action == Action::Create);
        let names: BTreeSet<&str> = made.map(|table| table.schema.as_str()).collect();
        let mut missing = Vec::new();
        for name in names {
            let sql = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
            if self.client.query(sql, &[Some(name)])?.is_empty() {
                quote_ident(name)?;
                missing.push(name.to_owned());
            }
        }
        Ok(missing)
    }

    /// Tells whether a stream is known to fill a table that is there.
    fn is_filled_by(&mut self, name: &TableName, stream: &Stream) -> Result<bool> {
        let known = self.memory.filler(self.client, name)?;
        let same = known.is_some_and(|known| known.is(&Filler::of(stream)));
        Ok(same && !self.memory.is_another(self.client, name)?)
    }
}

impl TablePlan {
    fn of(name: &TableName, stream: Option<&Stream>) -> Self {
        Self {
            schema: name.schema.clone(),
            table: name.table.clone(),
            stream: stream.map(|stream| stream.name.clone()),
            ..Self::default()
        }
    }

    fn name(&self) -> TableName {
        TableName { schema: self.schema.clone(), table: self.table.clone() }
    }
}
