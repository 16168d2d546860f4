//! The tap: one connection, one snapshot for all streams of a run.

use std::time::Duration;

use pg::convert::Conversion;
use pg::types::{self, Mapping, Types};
use pg::{Client, Config};
use serde_json::json;
use singer::catalog::ReplicationMethod;
use singer::future::Cap;
use singer::{
    About, Bookmark, Context, Error, ErrorKind, OtherSetting, Reading, Refused, Result, Rows,
    Stream, Tap,
};

use crate::catalog::{self, After, Attribute, Form};
use crate::family::Families;
use crate::plan::Plan;
use crate::settings::{self, Settings, check_method};
use crate::statement::{self, Incremental};
use crate::{discover, keys, money};

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
    families: Families,
    /// How many digits behind the point money has here, once it is known.
    money_digits: Option<usize>,
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
        let (cap, families) = (Cap::new(settings.bookmark_cap), Families::default());
        Ok(Self { settings, config, client, types: None, cap, families, money_digits: None })
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

    fn prepare(&mut self, streams: &mut [&mut Stream]) -> Result<()> {
        if streams.is_empty() {
            return Ok(());
        }
        self.begin()?;
        self.client.warn_of_server(false)?;
        let tables: Vec<(String, String)> =
            streams.iter().filter_map(|stream| address(stream).ok()).collect();
        self.families = Families::of(&mut self.client, &tables)?;
        for stream in streams {
            if let Ok((schema, table)) = address(stream) {
                self.families.check_key(&mut self.client, (&schema, &table), stream)?;
            }
        }
        Ok(())
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
        if select.lent {
            self.client.take_back()?;
        }
        let part = select.part(since);
        Ok(Reading { steps: vec![select.sql], part })
    }
}

/// How the rows of a stream are read.
struct Select {
    sql: String,
    plan: Plan,
    /// The table as SQL, for people, and by its columns.
    name: String,
    table: String,
    columns: Vec<Attribute>,
    /// Whether the session is as the role has it, for views and the like to compute by.
    lent: bool,
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
        let mut select = self.select(stream, since, types, rows.limit())?;
        let part = select.part(since);
        rows.set_cap(self.cap);
        if let Some((most, part)) = select.cut.zip(part) {
            rows.leave_out(&if stream.replication_method == ReplicationMethod::Incremental {
                "this run ends with the last key of `max_record_count`; rows are left for the next"
                    .to_owned()
            } else {
                format!("no more than {most} records are read (`max_record_count`)")
            });
            rows.resume(stream, &part);
        }
        log::debug!("{}", select.sql);
        copy(&mut self.client, &select.sql, &mut select.plan, rows)
            .and_then(|()| self.check(&select, types))
            .with("table", select.table)
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
        let mut found = catalog::attributes(
            &mut self.client,
            Some(std::slice::from_ref(&schema)),
            Some(&table),
        )?;
        self.set_forms(&mut found, types)?;
        let columns = pick(stream, &found, &schema, &table)?;
        let mappings = columns.iter().map(|column| self.mapping(column, types)).collect();
        let plan = Plan::new(&stream.columns, mappings, self.settings.nan());
        let names = columns.iter().map(|column| column.name.as_str());
        let from = self.families.item((&schema, &table), names)?;
        let name = pg::quote_qualified(&schema, &table)?;
        let table = format!("{schema}.{table}");
        let most = self.settings.max_record_count.filter(|_| wanted.is_none());
        let client = &mut self.client;
        let key = keys::find(client, stream, &columns, types)?;
        if let Some(key) = key {
            keys::set_clock(client, stream, key, &mut self.cap)?;
        }
        let mut start = since.start.clone();
        let lent = columns.iter().any(|column| column.computed);
        if lent {
            keys::add_offset(client, &mut start, key, types)?;
            client.lend()?;
        }
        if let Some(key) = key.filter(|_| since.start.is_some() && wanted.is_none()) {
            keys::warn_of_nulls(client, stream, key, &from)?;
        }
        let start = start.as_deref();
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
        let cut = most.filter(|_| end.is_some() || limit.is_some());
        let columns = columns.into_iter().cloned().collect();
        Ok(Select { sql, plan, name, table, columns, lent, cut })
    }

    /// Returns how a column travels.
    fn mapping(&self, column: &Attribute, types: &Types) -> Mapping {
        let (oid, modifier, nullable) = (column.type_oid, column.modifier, !column.not_null);
        let choices = self.settings.choices();
        let mut mapping = types::map(types, oid, modifier, &column.formatted, nullable, choices);
        if column.form == Form::InUtc {
            mapping.conversion = Conversion::Timestamp;
        }
        mapping
    }

    /// Decides how each column is read, so that its text does not depend on the zone that views
    /// compute in, nor on what money is counted in.
    fn set_forms(&mut self, columns: &mut [Attribute], types: &Types) -> Result<()> {
        let as_text = self.settings.choices().dates_as_string;
        for column in columns {
            let moment = types::builtin_name(types, column.type_oid) == Some("timestamptz");
            if column.computed && moment && !as_text {
                column.form = Form::InUtc;
            }
            if types::is_shown_by(types, column.type_oid, &["money"]) && self.money_digits()? != 2 {
                column.form = money::form(&mut self.client, types, column)?;
            }
        }
        Ok(())
    }

    /// Returns how many digits behind the point money has.
    fn money_digits(&mut self) -> Result<usize> {
        if let Some(digits) = self.money_digits {
            return Ok(digits);
        }
        let digits = self.client.money_digits()?;
        if digits != 2 {
            self.client.keep_money()?;
        }
        self.money_digits = Some(digits);
        Ok(digits)
    }

    /// Fails when the table is not the one of the snapshot any more (once it was read it is
    /// locked), or when a setting that the text of a column depends on was changed meanwhile. Sets
    /// the session up for the next stream.
    fn check(&mut self, select: &Select, types: &Types) -> Result<()> {
        let stored = select.columns.iter().find(|column| column.stored_alone);
        let Some(column) = stored.or(select.columns.first()) else { return Ok(()) };
        let After { replaced, changed } = catalog::after(&mut self.client, column, &select.name)?;
        if replaced {
            let message = "cannot read the table: it was replaced or rewritten since the run began";
            return Err(Error::new(ErrorKind::Temporary, message)
                .hint("run again; the snapshot of this run shows none of the rows written anew"));
        }
        if select.lent || !changed.is_empty() {
            self.client.take_back()?;
        }
        for setting in changed {
            let names: Vec<&str> = setting.types().collect();
            let mut columns = select.columns.iter();
            if let Some(shown) =
                columns.find(|column| types::is_shown_by(types, column.type_oid, &names))
            {
                return Err(catalog::changed_text(&setting, shown));
            }
            singer::warn!(
                "W-SESSION-CHANGED",
                "a function changed the setting {} of the session while {} was read: it is set \
                 back; none of its columns depends on it",
                setting.name,
                select.table
            );
        }
        Ok(())
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
