//! Tables that the target has lost: rows since a state go on from rows that are there.
//!
//! A state says what the target has. Where the table of a stream is gone, rows since the state, or
//! none of a stream that is as the state says, would be taken for all: the run fails instead. A
//! table that is there and empty is warned of, and so is one that is known to have been filled and
//! is gone, where nobody says whether these rows are all that it had.

use std::collections::BTreeMap;

use pg::{Client, quote_literal};
use serde_json::Value;
use singer::target::Unchanged;
use singer::{Error, ErrorKind, Result};

use crate::load;
use crate::mapping::Mapping;
use crate::memory::{Claim, Filler, Memory};
use crate::names::TableName;
use crate::session::Session;
use crate::settings::{LoadMethod, MissingTable, Settings};

/// How to load the rows that are gone.
const READ_ALL: &str = "what the state says was loaded is gone here: run once without the state \
                        (`--full-refresh` of chorus, or no `--state`), which reads all rows; or \
                        set `missing_table: make` to go on without them";

/// Refuses a table that another stream fills, and one that is gone and would get the rows since a
/// state alone. Returns what is to be remembered of it with the load.
pub fn check(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<Option<Claim>> {
    let (name, exists) = (&mapping.shape.name, !mapping.plan.creates());
    let claim = memory.claim(client, &mapping.stream, (name, exists))?;
    if !exists && !mapping.goes_on() && mapping.settings.missing_table == MissingTable::Refuse {
        warn_of_gone(client, memory, mapping)?;
    }
    if !mapping.goes_on() || mapping.settings.missing_table == MissingTable::Make {
        return Ok(claim);
    }
    if exists {
        // Rows may have been deleted for good reason, so this is no refusal.
        let asked = format!("SELECT NOT EXISTS (SELECT FROM {})", name.sql()?);
        if load::is_true(client, &asked)? {
            singer::warn!(
                "W-TABLE-EMPTY",
                "table {name} is empty, though the state says that rows were loaded into it: this \
                 run adds the rows since the state alone; run once without the state to load all"
            );
        }
        return Ok(claim);
    }
    Err(Error::new(ErrorKind::Config, "cannot go on from a state: the table is not there")
        .with("table", name)
        .hint(READ_ALL))
}

/// Warns of a table that was filled and is gone. What replaces all rows makes it whole, and so does
/// a tap that says which rows it leaves out, but for other days.
fn warn_of_gone(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<()> {
    let (name, stream) = (&mapping.shape.name, &mapping.stream);
    let whole = match mapping.method {
        LoadMethod::Overwrite => true,
        LoadMethod::ReplacePartition => false,
        LoadMethod::AppendOnly | LoadMethod::Upsert => stream.says_part,
    };
    let filled = memory.filler(client, name)?.is_some_and(|known| known.is(&Filler::of(stream)));
    if !whole && filled {
        singer::warn!(
            "W-TABLE-GONE",
            "table {name} was filled before and is gone: it is made anew with the rows of this run \
             alone; if those are not all, load again what it had, without a state"
        );
    }
    Ok(())
}

/// Tells whether a bookmark, or the one that a limit counts from, leaves out rows before it.
pub fn leaves_out_loaded(resumed_from: &Value) -> bool {
    let from = match resumed_from.get("max_record_count") {
        Some(_) => &resumed_from["from"],
        None => resumed_from,
    };
    !from.is_null()
}

/// Fails where the table of a stream is gone of which nothing came, as its source is as the state
/// says; warns where it is empty, and the source is not.
pub fn check_unchanged(
    session: &mut Session,
    settings: &Settings,
    streams: &[Unchanged<'_>],
) -> Result<()> {
    if streams.is_empty() || settings.missing_table == MissingTable::Make {
        return Ok(());
    }
    let (client, memory) = session.remembering()?;
    let tables = Tables::read(client, settings.schema())?;
    let (mut lost, mut filled) = (Vec::new(), Vec::new());
    for Unchanged { name, rows } in streams {
        match tables.find(client, memory, (settings, name))? {
            None => lost.push(*name),
            Some(table) if *rows > Some(0) && tables.names[&table] => filled.push(table),
            Some(_) => {}
        }
    }
    warn_of_empty(client, &filled)?;
    if lost.is_empty() {
        return Ok(());
    }
    let (first, more) = lost.split_at(lost.len().min(5));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    let message = "cannot find the tables of streams that are as the state says";
    Err(Error::new(ErrorKind::Config, message)
        .with("streams", format!("{}{more}", first.join(", ")))
        .hint(READ_ALL))
}

/// Warns of tables without rows, of those that are to have some. One question for many of them, for
/// there may be thousands.
fn warn_of_empty(client: &mut Client, tables: &[TableName]) -> Result<()> {
    for some in tables.chunks(100) {
        let mut asked = Vec::new();
        for table in some {
            let name = quote_literal(&table.to_string());
            asked.push(format!("SELECT {name} WHERE NOT EXISTS (SELECT FROM {})", table.sql()?));
        }
        for row in client.query(&asked.join(" UNION ALL "), &[])? {
            singer::warn!(
                "W-TABLE-EMPTY",
                "table {} is empty, though its source is as the state says, and has rows: run once \
                 without the state to load them",
                row.get(0).unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// The tables that are there.
struct Tables {
    /// With each, whether the user may read it.
    names: BTreeMap<TableName, bool>,
    /// The schemas in which it is remembered what fills tables.
    schemas: Vec<String>,
}

impl Tables {
    /// Reads those of a schema, or else of all.
    fn read(client: &mut Client, schema: Option<&str>) -> Result<Self> {
        let rows = client.query(
            "SELECT n.nspname, c.relname, has_table_privilege(c.oid, 'SELECT') FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') \
             AND ($1::text IS NULL OR n.nspname = $1::text)",
            &[schema],
        )?;
        let text = |row: &pg::Row, at| row.get(at).unwrap_or_default().to_owned();
        let name = |row| TableName { schema: text(row, 0), table: text(row, 1) };
        let names: BTreeMap<TableName, bool> =
            rows.iter().map(|row| (name(row), row.get(2) == Some("t"))).collect();
        let ours = names.keys().filter(|name| name.table == pg::ours::TABLE);
        let schemas = ours.map(|name| name.schema.clone()).collect();
        Ok(Self { names, schemas })
    }

    /// Returns the table that a stream fills, if it is among them: as is remembered, else the one
    /// of its name that no other stream is known to fill.
    fn find(
        &self,
        client: &mut Client,
        memory: &mut Memory,
        (settings, stream): (&Settings, &str),
    ) -> Result<Option<TableName>> {
        let mut remembered = false;
        for schema in &self.schemas {
            for name in memory.tables_of(client, schema, stream)? {
                remembered = true;
                if self.names.contains_key(&name) {
                    return Ok(Some(name));
                }
            }
        }
        if remembered {
            return Ok(None);
        }
        for mut name in TableName::candidates(stream, settings.schema()) {
            if let Some(table) = settings.table_names.get(stream) {
                name.table = pg::shorten_ident(table);
            }
            if self.names.contains_key(&name) && memory.filler(client, &name)?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}
