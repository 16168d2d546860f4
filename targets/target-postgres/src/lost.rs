//! Tables that the target has lost: rows since a state go on from rows that are there.
//!
//! A state says what the target has. Where the table of a stream is gone, rows since the state, or
//! none of a stream that is as the state says, would be treated as all: the run fails instead. So
//! it does where a table has the name, and is another one: it was made anew since, or the state is
//! of another database. A table that is there and empty is warned of, and so is one that is known
//! to have been filled and is gone, where nobody says whether these rows are all that it had.

use std::collections::BTreeMap;

use pg::{Client, quote_literal};
use singer::mapper::COMBINED;
use singer::target::{FILLED_SINCE, Unchanged};
use singer::{Error, ErrorKind, Result, Stream};

use crate::ask;
use crate::filler::Filler;
use crate::letter_case;
use crate::mapping::Mapping;
use crate::memory::{Claim, Memory};
use crate::names::TableName;
use crate::session::Session;
use crate::settings::{LoadMethod, MissingTable, Settings};

/// How days are loaded again.
const LOAD_DAYS: &str = "`chorus backfill TAP TARGET --from DAY --to DAY --only again \
                         --full-refresh`; in a plain pipe each day without `--state`";

const GONE: &str = "cannot continue from the state: the table does not exist";

/// What a state speaks of that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Had {
    /// Rows of files, or up to a bookmark.
    Rows,
    /// A whole day: a table has others, too.
    Day,
}

/// Says how to load the rows that are gone, of a stream or of several; `is_there` tells that there
/// is a table, which may have rows.
fn hint(settings: &Settings, (had, is_there): (Had, bool), streams: &[&str]) -> String {
    let adds = settings.load_method == Some(LoadMethod::AppendOnly);
    let load = if had == Had::Day && !adds {
        format!("load all days of these tables again, the earliest first: {LOAD_DAYS}")
    } else {
        let of = if had == Had::Day { "the state of each of its days" } else { "the state" };
        let empty = if is_there { "; first empty the table if its rows have no keys" } else { "" };
        let names = streams.iter().fold(String::new(), |names, name| names + " --stream " + name);
        format!(
            "read the loaded rows again: remove the bookmark of the stream from {of} (`chorus \
             state clear ID{names}`; in a plain pipe edit the file of `--state`), then run \
             again{empty}"
        )
    };
    format!(
        "{load}. If these rows are not wanted, or the table was moved here with its rows, set \
         `missing_table: make` for one run"
    )
}

/// Refuses a table that another stream fills, and one that is gone and would get the rows since a
/// state alone. Returns what is to be remembered of it with the load.
pub fn check(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<Option<Claim>> {
    let (name, exists) = (&mapping.shape.name, !mapping.change.creates());
    letter_case::check_table(client, memory, mapping)?;
    let claim = memory.claim(client, &mapping.stream, (name, exists, mapping.replaces()))?;
    if !exists && !mapping.goes_on() && mapping.settings.missing_table == MissingTable::Refuse {
        warn_of_gone(client, memory, mapping)?;
    }
    if !mapping.goes_on() || mapping.settings.missing_table == MissingTable::Make {
        return Ok(claim);
    }
    if !exists {
        return Err(refused(GONE, mapping));
    }
    check_there(client, memory, mapping)?;
    Ok(claim)
}

/// Refuses a table that is there, and is not the one that the state speaks of.
fn check_there(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<()> {
    let name = &mapping.shape.name;
    let said = filled_since(mapping);
    let other = "cannot continue from the state: it belongs to another table of this name";
    if said.is_some() && memory.since(client, name)?.as_deref() != said {
        return Err(refused(other, mapping));
    }
    // Rows may have been deleted for good reason, so this is no refusal.
    let asked = format!("SELECT NOT EXISTS (SELECT FROM {})", name.sql()?);
    if ask::is_true(client, &asked)? {
        singer::warn!(
            "W-TABLE-EMPTY",
            "table {name} is empty, although the state says that rows were loaded into it: this \
             run adds only the rows since the state; run once without the state to load all rows"
        );
    } else if memory.is_another(client, name)? {
        return Err(refused(other, mapping));
    }
    Ok(())
}

/// Refuses another schema of a stream where it says that rows go on that did not before, as those
/// of another stream come under the same name, and `made` or planned is the table only by this run.
pub fn check_evolution(mapping: &Mapping, stream: &Stream, made: bool) -> Result<()> {
    mapping.check_evolution(stream)?;
    let begins = stream.coverage.bookmark().is_some() && !mapping.goes_on();
    let is_new = made || mapping.change.creates();
    if begins && is_new && mapping.settings.missing_table == MissingTable::Refuse {
        return Err(refused(GONE, mapping));
    }
    Ok(())
}

/// Checks the table once a stream has another schema; `went_on` tells that its rows went on before.
pub fn check_evolved(
    (client, memory): (&mut Client, &mut Memory),
    mapping: &Mapping,
    went_on: bool,
) -> Result<()> {
    if !mapping.goes_on() {
        return Ok(());
    }
    if !went_on && mapping.settings.missing_table == MissingTable::Refuse {
        check_there(client, memory, mapping)?;
    }
    warn_of_added(client, mapping)
}

#[cold]
fn refused(message: &str, mapping: &Mapping) -> Error {
    let (settings, stream) = (&mapping.settings, mapping.stream.of_tap());
    let of_day = mapping.stream.schema.contains_key(singer::schema::PARTITION);
    let had = if of_day { Had::Day } else { Had::Rows };
    // What came of several streams has the bookmarks of them all.
    let streams = if stream == COMBINED { &[][..] } else { &[stream] };
    let advice = hint(settings, (had, !mapping.change.creates()), streams);
    Error::new(ErrorKind::Config, message).with("table", &mapping.shape.name).hint(advice)
}

/// Returns which place the state is of that the rows go on from. A day says what its source was
/// read from, which was no state of this table.
fn filled_since(mapping: &Mapping) -> Option<&str> {
    let from = mapping.stream.coverage.bookmark()?;
    let of_day = mapping.stream.schema.contains_key(singer::schema::PARTITION);
    let said = &from[FILLED_SINCE];
    // Several streams may have been made of one.
    said.as_str().or_else(|| said[&mapping.stream.name].as_str()).filter(|_| !of_day)
}

/// Warns of a table that was filled and is gone. What replaces all rows makes it whole, and so does
/// a tap that says which rows it leaves out, but for other days.
fn warn_of_gone(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<()> {
    let (name, stream) = (&mapping.shape.name, &mapping.stream);
    let of_day = stream.schema.contains_key(singer::schema::PARTITION);
    let whole = match mapping.method {
        LoadMethod::Overwrite => true,
        LoadMethod::ReplacePartition => false,
        LoadMethod::AppendOnly | LoadMethod::Upsert => stream.says_coverage && !of_day,
    };
    let filled = memory.filler(client, name)?.is_some_and(|known| known.is(&Filler::of(stream)));
    if !whole && filled && of_day {
        singer::warn!(
            "W-TABLE-GONE",
            "table {name} was filled before and is gone: the target creates it again, with only \
             the rows of this day; load its other days again, the earliest first: {LOAD_DAYS}"
        );
    } else if !whole && filled {
        singer::warn!(
            "W-TABLE-GONE",
            "table {name} was filled before and is gone: the target creates it again, with only \
             the rows of this run; if these are not all rows, load again without a state"
        );
    }
    Ok(())
}

/// Warns of columns that the table gets with rows since a bookmark: the rows from before have no
/// value in them, whatever the source has, until it changes them. Rows of files are never read
/// again, so theirs are as their files are.
pub fn warn_of_added(client: &mut Client, mapping: &Mapping) -> Result<()> {
    let (name, stream, added) = (&mapping.shape.name, &mapping.stream, &mapping.change.added);
    for [column, other] in &mapping.change.alike {
        singer::warn!(
            "W-COLUMN-ALIKE",
            "table {name} gets a column {column:?} and has {other:?}, which stream {} lacks: each \
             row has a value in only one of them; if they are the same column, use the old name in \
              the source, or move its values",
            stream.of_tap()
        );
    }
    let part = mapping.goes_on() || !stream.says_coverage && !mapping.replaces();
    if added.is_empty() || !part || stream.replication_key.is_none() {
        return Ok(());
    }
    if ask::is_true(client, &format!("SELECT EXISTS (SELECT FROM {})", name.sql()?))? {
        // All its rows are added to those that are there.
        let adds = mapping.method == LoadMethod::AppendOnly;
        let first = if adds { "empty the table and " } else { "" };
        singer::warn!(
            "W-COLUMN-ADDED",
            "table {name} gets columns, but this run has only the rows since a bookmark: older \
             rows have NULL there until they change in the source: {}; to fill them, {first}read \
             the stream once in full: chorus run TAP TARGET --full-refresh --select '{}.*'",
            added.join(", "),
            stream.of_tap()
        );
    }
    Ok(())
}

/// Fails where the table of a stream is gone of which nothing came, as its source is as the state
/// says, or where the state is of another table of its name; warns where it is empty, and the
/// source is not. Returns the tables.
pub fn check_unchanged(
    session: &mut Session,
    settings: &Settings,
    streams: &[Unchanged],
) -> Result<Vec<(String, TableName)>> {
    let mut found = Vec::new();
    if streams.is_empty() {
        return Ok(found);
    }
    let (client, memory) = session.remembering()?;
    let tables = Tables::read(client, settings.only_schema())?;
    let (mut gone, mut others, mut filled) = (Vec::new(), Vec::new(), Vec::new());
    for stream in streams {
        let Some(name) = tables.find(client, memory, (settings, &stream.name))? else {
            gone.push(stream);
            continue;
        };
        let since = memory.since(client, &name)?;
        if stream.filled_since.is_some() && stream.filled_since != since
            || memory.is_another(client, &name)?
        {
            others.push(stream);
        }
        if stream.rows > Some(0) && tables.names[&name] {
            filled.push(name.clone());
        }
        found.push((stream.name.clone(), name));
    }
    if settings.missing_table == MissingTable::Make {
        return Ok(found);
    }
    warn_of_empty(client, &filled)?;
    for (lost, is_there, message) in [
        (gone, false, "cannot find the tables of streams that have not changed since the state"),
        (
            others,
            true,
            "cannot use the state of these streams: it belongs to other tables of the same names",
        ),
    ] {
        if let Some(first) = lost.first() {
            let had = if first.is_of_day { Had::Day } else { Had::Rows };
            let names: Vec<&str> = lost.iter().take(5).map(|stream| stream.name.as_str()).collect();
            let more = lost.len() - names.len();
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            return Err(Error::new(ErrorKind::Config, message)
                .with("streams", format!("{}{more}", names.join(", ")))
                .hint(hint(settings, (had, is_there), &names)));
        }
    }
    Ok(found)
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
                "table {} is empty, but its source has rows and has not changed since the state: \
                 run once without the state to load them",
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
        for name in settings.tables_of(stream) {
            if self.names.contains_key(&name) && memory.filler(client, &name)?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}
