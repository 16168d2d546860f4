//! The tap: one connection, one snapshot for all streams of a run.

use std::time::Duration;

use pg::types::{self, Types};
use pg::{Client, Config};
use serde_json::json;
use singer::catalog::ReplicationMethod;
use singer::future::Cap;
use singer::{
    About, Bookmark, Context, Error, ErrorKind, OtherSetting, Reading, Refused, Result, Rows,
    Stream, Tap,
};

use crate::catalog::{self, Attribute};
use crate::plan::Plan;
use crate::settings::{self, Settings, check_method};
use crate::statement::{self, Incremental};
use crate::{discover, keys};

/// One snapshot for all streams. Rows come in the order in which they lie in their table, whoever
/// else reads it: the same rows give the same file.
const BEGIN: &str = "ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// The server may pause so long before what was read so far is handed on.
const PAUSE: Duration = Duration::from_millis(100);

/// What to do when the catalog and the database differ.
const REDISCOVER: &str = "the catalog is older than the database: run discovery again";

/// Reads tables and views of a Postgres database.
pub struct TapPostgres {
    settings: Settings,
    config: Config,
    client: Client,
    types: Option<Types>,
    cap: Cap,
}

impl Tap for TapPostgres {
    const ABOUT: About = About {
        name: "tap-postgres",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads tables and views of a PostgreSQL database, by COPY in one snapshot.",
        capabilities: &["activate-version"],
    };
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;

    fn open(settings: Settings) -> Result<Self> {
        settings.check()?;
        let config = settings.connection.resolve()?;
        let client = Client::connect(&config)?;
        let cap = Cap::new(settings.bookmark_cap);
        Ok(Self { settings, config, client, types: None, cap })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        self.begin()?;
        let schemas = self.settings.filter_schemas.as_ref().map(settings::Names::list);
        let schemas = schemas.filter(|names| !names.is_empty());
        let relations = catalog::relations(&mut self.client, schemas.as_deref())?;
        for schema in schemas.iter().flatten() {
            if !relations.iter().any(|relation| relation.schema == *schema) {
                catalog::check_schema(&mut self.client, schema)?;
            }
        }
        let attributes = catalog::attributes(&mut self.client, schemas.as_deref(), None)?;
        let types = self.types()?;
        let choices = self.settings.choices();
        let database = &self.config.database;
        discover::streams(relations, attributes, &types, choices, database)
            .inspect(|_| self.types = Some(types))
    }

    fn default_method(&self) -> Option<ReplicationMethod> {
        self.settings.method()
    }

    fn source_table(&self, stream: &Stream) -> Option<(String, String)> {
        address(stream).ok()
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows) -> Result<()> {
        check_method(stream.replication_method)?;
        self.begin()?;
        let types = self.types()?;
        let read = self.read(stream, since, &types, rows);
        self.types = Some(types);
        read.map_err(|failure| explained(failure, since))
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        check_method(stream.replication_method)?;
        self.begin()?;
        let types = self.types()?;
        let select = self.select(stream, since, &types, None);
        self.types = Some(types);
        let select = select.map_err(|failure| explained(failure, since))?;
        let part = select.part(since);
        Ok(Reading { steps: vec![select.sql], part })
    }
}

/// How the rows of a stream are read.
struct Select {
    sql: String,
    plan: Plan,
    /// The table as SQL, for people, and by one of its columns.
    from: String,
    table: String,
    column: Option<Attribute>,
    /// The `max_record_count` by which the read ends before the table does.
    cut: Option<u64>,
}

impl Select {
    /// Returns what rows are left out by: no target takes the others for all there is.
    fn part(&self, since: &Bookmark) -> Option<serde_json::Value> {
        self.cut.map(|most| json!({ "max_record_count": most, "from": since.value }))
    }
}

impl TapPostgres {
    /// Opens the snapshot that all streams of the run are read in.
    fn begin(&mut self) -> Result<()> {
        if self.client.in_transaction() {
            return Ok(());
        }
        self.client.begin(BEGIN)
    }

    fn types(&mut self) -> Result<Types> {
        match self.types.take() {
            Some(types) => Ok(types),
            None => catalog::types(&mut self.client),
        }
    }

    fn read(
        &mut self,
        stream: &Stream,
        since: &Bookmark,
        types: &Types,
        rows: &mut Rows,
    ) -> Result<()> {
        let select = self.select(stream, since, types, rows.limit())?;
        let part = select.part(since);
        let Select { sql, mut plan, from, table, column, cut } = select;
        rows.set_cap(self.cap);
        if let Some((most, part)) = cut.zip(part) {
            rows.leave_out(&if stream.replication_method == ReplicationMethod::Incremental {
                "this run ends with the last key of `max_record_count`; rows are left for the next"
                    .to_owned()
            } else {
                format!("no more than {most} records are read (`max_record_count`)")
            });
            rows.resume(stream, &part);
        }
        log::debug!("{sql}");
        copy(&mut self.client, &sql, &mut plan, rows)
            .and_then(|()| self.check_replaced(column.as_ref(), &from))
            .with("table", table)
    }

    /// Compares the stream with its table, and writes the statement.
    fn select(
        &mut self,
        stream: &Stream,
        since: &Bookmark,
        types: &Types,
        wanted: Option<u64>,
    ) -> Result<Select> {
        let (schema, table) = address(stream)?;
        let found = catalog::attributes(
            &mut self.client,
            Some(std::slice::from_ref(&schema)),
            Some(&table),
        )?;
        let columns = pick(stream, &found, &schema, &table)?;
        let choices = self.settings.choices();
        let mappings = columns.iter().map(|column| {
            let nullable = !column.not_null;
            types::map(
                types,
                column.type_oid,
                column.modifier,
                &column.formatted,
                nullable,
                choices,
            )
        });
        let plan = Plan::new(&stream.columns, mappings.collect(), self.settings.nan());
        let from = pg::quote_qualified(&schema, &table)?;
        let table = format!("{schema}.{table}");
        let most = self.settings.max_record_count.filter(|_| wanted.is_none());
        let client = &mut self.client;
        let key = keys::find(client, stream, &columns, types)?;
        if let Some(key) = key.filter(|_| since.start.is_some() && wanted.is_none()) {
            keys::warn_of_nulls(client, stream, key, &from)?;
        }
        if let Some(key) = key {
            keys::set_clock(client, stream, key, &mut self.cap)?;
        }
        let start = since.start.as_deref();
        let mut incremental = key.map(|column| Incremental { column, start, end: None });
        let end = match (&incremental, most) {
            (Some(read), Some(most)) => {
                keys::last(client, stream, &from, read, (most, types, &self.cap))
                    .with("table", &table)?
            }
            _ => None,
        };
        if let Some(read) = &mut incremental {
            read.end = end.as_deref();
        }
        let cut = match most.filter(|_| key.is_none()) {
            Some(most) if catalog::has_more(client, &from, most).with("table", &table)? => {
                Some(most)
            }
            _ => None,
        };
        let limit = wanted.or(cut);
        let sql = statement::copy(&from, &columns, incremental.as_ref(), limit, types)?;
        let alone = columns.iter().find(|column| column.stored_alone);
        let column = alone.or(columns.first()).map(|column| (*column).clone());
        let cut = most.filter(|_| end.is_some() || limit.is_some());
        Ok(Select { sql, plan, from, table, column, cut })
    }

    /// Fails when the table of a column is not the one of the snapshot any more; once it was read
    /// it is locked.
    fn check_replaced(&mut self, column: Option<&Attribute>, from: &str) -> Result<()> {
        let Some(column) = column else { return Ok(()) };
        if !catalog::was_replaced(&mut self.client, column, from)? {
            return Ok(());
        }
        let message = "cannot read the table: it was replaced or rewritten since the run began";
        Err(Error::new(ErrorKind::Temporary, message)
            .hint("run again; the snapshot of this run shows none of the rows written anew"))
    }
}

/// Tells whether the server refused a value as no text of its type.
fn is_refused_value(failure: &Error) -> bool {
    pg::failure::sqlstate(failure)
        .is_some_and(|state| matches!(state, "22P02" | "22003" | "22007" | "22008"))
}

/// Says so where it is the bookmark that the server refused.
fn explained(failure: Error, since: &Bookmark) -> Error {
    let Some(start) = since.start.as_ref().filter(|_| is_refused_value(&failure)) else {
        return failure;
    };
    failure
        .with("bookmark", start)
        .of_kind(ErrorKind::Config)
        .hint("the bookmark or `start_date` may not fit the column: correct it, or read anew")
}

/// Returns the schema and name of a stream's table, as its metadata says, else by its id.
fn address(stream: &Stream) -> Result<(String, String)> {
    let schema = stream.meta("schema-name").and_then(serde_json::Value::as_str);
    let table = stream.fields.get("table_name").and_then(serde_json::Value::as_str);
    let found = match (schema, table) {
        (Some(schema), Some(table)) => Some((schema, table)),
        (Some(schema), None) => stream
            .id
            .strip_prefix(schema)
            .and_then(|rest| rest.strip_prefix('-'))
            .map(|table| (schema, table)),
        (None, Some(table)) => stream
            .id
            .strip_suffix(table)
            .and_then(|rest| rest.strip_suffix('-'))
            .map(|schema| (schema, table)),
        (None, None) => stream.id.split_once('-'),
    };
    let (schema, table) = found.ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot tell which table a stream of the catalog is")
            .hint("run discovery again, or set `schema-name` in its metadata and `table_name`")
    })?;
    Ok((schema.to_owned(), table.to_owned()))
}

/// Finds the columns of a stream among those of its table.
fn pick<'a>(
    stream: &Stream,
    found: &'a [Attribute],
    schema: &str,
    table: &str,
) -> Result<Vec<&'a Attribute>> {
    let missing = |what: &str| {
        Error::new(ErrorKind::Unavailable, what)
            .with("table", format!("{schema}.{table}"))
            .hint(REDISCOVER)
    };
    if found.is_empty() {
        return Err(missing("cannot read the table: it is not there"));
    }
    stream
        .columns
        .iter()
        .map(|column| {
            let named = found.iter().find(|attribute| attribute.name == column.name);
            named.filter(|attribute| attribute.readable).ok_or_else(|| {
                let failure = match named {
                    Some(_) => missing("cannot read a column: the user lacks the right")
                        .of_kind(ErrorKind::Denied)
                        .hint(
                            "GRANT SELECT ON the table, or on this column of it, TO the user; or \
                             run discovery again, which leaves it out",
                        ),
                    None => missing("cannot read a column: it is not there"),
                };
                failure.with("column", &column.name)
            })
        })
        .collect()
}

/// Reads the rows of the statement, and hands them on.
fn copy(client: &mut Client, sql: &str, plan: &mut Plan, rows: &mut Rows) -> Result<()> {
    let bytes_max = rows.record_bytes_max();
    // Escapes at most double a text; of a row beyond that not even the text is wanted.
    client.limit_rows(bytes_max.saturating_mul(2).saturating_add(1 << 16));
    let mut rest = client.copy_out(sql)?;
    let mut count = 0_u64;
    let mut over = Ok(());
    loop {
        if !rest.ready(PAUSE).map_err(|failure| too_large(failure, bytes_max))? {
            rows.flush()?;
        }
        let next = rest.next().map_err(|failure| too_large(failure, bytes_max))?;
        let Some(row) = next else { return over };
        count += 1;
        if over.is_err() {
            continue;
        }
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        over = match plan.write(row, rows) {
            Ok(()) => rows.end(),
            Err(failure) if failure.kind() == ErrorKind::Data => {
                rows.reject(&format!("row {count}"), &refused(row, rows), failure)
            }
            Err(failure) => Err(failure),
        };
        match &over {
            // With enough rows the query has a limit: the few left are read over.
            Err(failure) if failure.kind() != ErrorKind::Enough => return over,
            _ => {}
        }
    }
}

/// Returns what may be shown of a row, which has selected columns alone but all of their values.
fn refused<'a>(row: &'a [u8], rows: &Rows) -> Refused<'a> {
    if rows.selects_all() {
        return Refused::Text(row);
    }
    let cell = |field: &[u8]| {
        let mut text = Vec::new();
        pg::copy_text::unescape(field, &mut text);
        (field != b"\\N").then_some(text)
    };
    Refused::Cells(row.split(|byte| *byte == b'\t').map(cell).collect())
}

/// Says what to do about a row that is too large to be read at all.
fn too_large(failure: Error, bytes_max: usize) -> Error {
    if failure.context("bytes of COPY text").is_none() {
        return failure;
    }
    failure
        .with("limit in bytes", bytes_max)
        .hint("raise `max_record_bytes` on both sides of the pipe, or leave out the column")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_taps_find_their_table() {
        let check = |id: &str, schema: Option<&str>, table: Option<&str>, expected: &str| {
            let mut stream = Stream::new(id, serde_json::Map::new(), Vec::new());
            if let Some(schema) = schema {
                stream.set_meta(None, "schema-name", schema);
            }
            if let Some(table) = table {
                stream.fields.insert("table_name".into(), table.into());
            }
            let (schema, table) = address(&stream).unwrap();
            assert_eq!(format!("{schema}|{table}"), expected, "{id}");
        };
        check("public-orders", None, None, "public|orders");
        check("a-b-c", Some("a-b"), None, "a-b|c");
        check("a-b-c", None, Some("b-c"), "a|b-c");
        check("anything", Some("s"), Some("t"), "s|t");
        let stream = Stream::new("orders", serde_json::Map::new(), Vec::new());
        assert_eq!(address(&stream).unwrap_err().kind(), ErrorKind::Config);
    }
}
