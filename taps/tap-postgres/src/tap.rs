//! The tap: one connection, one snapshot for all streams of a run.

mod select;

use jiff::Timestamp;
use pg::types::{self, Types};
use pg::{Client, Config};
use singer::catalog::ReplicationMethod;
use singer::future::Cap;
use singer::settings::TapCommon;
use singer::unreadable::Unreadable;
use singer::{
    About, Bookmark, Context, Error, ErrorKind, Example, OtherSetting, Reading, Result, Rows,
    Stream, Tap,
};

use self::select::Select;
use crate::after::{After, after, changed_text};
use crate::attached::{self, Behind};
use crate::catalog::{self, Relation};
use crate::columns::{self, Attribute, Columns};
use crate::conditions;
use crate::discover::{self, Asked};
use crate::family::Families;
use crate::hidden::{self, Hidden};
use crate::origin::{self, Origin};
use crate::read::copy;
use crate::settings::{self, Settings};
use crate::settled::{Settled, Settling, Until};
use crate::table::address;
use crate::unheld::Unheld;
use crate::{chosen, grants, keys, statement};

/// One snapshot for all streams. Rows come in the order in which they lie in their table, whoever
/// else reads it: the same rows give the same file.
const BEGIN: &str = "ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// What is looked at before the snapshot: each statement sees what was committed until then.
const BEFORE: &str = "ISOLATION LEVEL READ COMMITTED READ ONLY";

/// Reads tables and views of a Postgres database.
pub struct TapPostgres {
    settings: Settings,
    config: Config,
    client: Client,
    types: Option<Types>,
    cap: Cap,
    columns: Columns,
    families: Families,
    hidden: Hidden,
    settled: Settled,
    unheld: Unheld,
    origin: Origin,
    /// What the last discovery found that the user may not read.
    unreadable: Vec<Unreadable>,
    /// How many digits behind the point money has here, once it is known.
    money_digits: Option<usize>,
}

impl Tap for TapPostgres {
    const ABOUT: About = About {
        name: "tap-postgres",
        version: env!("CARGO_PKG_VERSION"),
        description: "Reads tables and views of a PostgreSQL database, by COPY in one snapshot.",
        capabilities: &["activate-version", singer::plan::GRANTS],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Read all tables of a schema into a dated folder",
        line: "{} --set database=sales --set filter_schemas=public |\n    \
               target-csv -c target.json > states",
    }];
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;

    fn open(settings: Settings, common: &TapCommon) -> Result<Self> {
        settings.check()?;
        let config = settings.connection.resolve()?;
        let client = Client::connect(&config)?;
        Ok(Self {
            settings,
            config,
            client,
            types: None,
            cap: Cap::new(common.bookmark_cap),
            columns: Columns::default(),
            families: Families::default(),
            hidden: Hidden::default(),
            settled: Settled::default(),
            unheld: Unheld::default(),
            origin: Origin::default(),
            unreadable: Vec::new(),
            money_digits: None,
        })
    }

    fn discover(&mut self) -> Result<Vec<Stream>> {
        self.begin()?;
        let schemas = self.settings.schemas();
        let all = self.settings.plan_grants;
        let mut relations = catalog::relations(&mut self.client, schemas.as_deref())?;
        for schema in schemas.iter().flatten() {
            let is_of = |one: &Relation| one.schema == *schema && (all || !one.is_closed);
            if !relations.iter().any(is_of) {
                catalog::check_schema(&mut self.client, schema)?;
            }
        }
        let tables = self.settings.tables();
        for relation in &mut relations {
            // What comes with an extension is left out unless somebody asks for it by its name.
            if chosen::is_named(&tables, &relation.schema, &relation.name) {
                relation.extension = None;
            }
        }
        let attributes = columns::of_schemas(&mut self.client, schemas.as_deref(), all)?;
        let types = self.types()?;
        let choices = self.settings.choices();
        let role = self.client.query("SELECT current_user", &[])?;
        let role = pg::quote_ident(role.first().and_then(|row| row.get(0)).unwrap_or_default())?;
        let asked = Asked { database: &self.config.database, role, tables: &tables, choices };
        let found = discover::streams(relations, attributes, &types, &asked)?;
        self.types = Some(types);
        self.unreadable = found.unreadable;
        Ok(found.streams)
    }

    fn unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.unreadable)
    }

    fn adjust(&mut self, streams: &mut [Stream]) -> Result<()> {
        let adjusted = chosen::adjust(&self.settings, streams);
        adjusted.or_else(|failure| Err(chosen::explained(failure, &mut self.client)?))
    }

    fn default_method(&self) -> Option<ReplicationMethod> {
        self.settings.method()
    }

    fn source_table(&self, stream: &Stream) -> Option<(String, String)> {
        address(stream).ok()
    }

    fn prepare(&mut self, streams: &mut [&mut Stream]) -> Result<()> {
        if streams.is_empty() || self.settings.plan_grants {
            return Ok(());
        }
        let known = streams.iter().filter_map(|one| Some((&**one, address(one).ok()?)));
        let known: Vec<_> = known.collect();
        let method = |(stream, _): &(&Stream, _)| stream.replication_method;
        if known.iter().any(|one| method(one) == ReplicationMethod::Incremental) {
            // The snapshot is taken once their writers have ended.
            if self.client.in_transaction() {
                self.client.execute("ROLLBACK")?;
            }
            self.origin = Origin::of(&mut self.client)?;
        }
        self.settle(&known).map_err(hidden::explained)?;
        self.hidden = Hidden::of(&mut self.client, &known)?;
        self.client.warn_of_server(false)?;
        self.unheld = Unheld::of(&mut self.client, &known)?;
        let tables: Vec<(String, String)> = known.into_iter().map(|(_, table)| table).collect();
        self.families = Families::of(&mut self.client, &tables)?;
        for stream in streams.iter() {
            self.check_conditions(stream)?;
        }
        self.columns = Columns::of_run(tables);
        for stream in streams {
            if let Ok((schema, table)) = address(stream) {
                self.families.check_key(&mut self.client, (&schema, &table), stream)?;
            }
        }
        Ok(())
    }

    fn sync(&mut self, stream: &Stream, since: &Bookmark, rows: &mut Rows<'_>) -> Result<()> {
        grants::check(&self.settings)?;
        self.begin()?;
        let types = self.types()?;
        let read = self.read(stream, since, &types, rows);
        self.types = Some(types);
        read.map_err(|failure| keys::explained(failure, since))
    }

    fn plan(&mut self, stream: &Stream, since: &Bookmark) -> Result<Reading> {
        self.begin()?;
        if self.settings.plan_grants {
            let steps = grants::statements(&mut self.client, stream)?;
            return Ok(Reading { steps, coverage: None });
        }
        let types = self.types()?;
        let select = self.select(stream, since, &types, None);
        self.types = Some(types);
        let select = select.map_err(|failure| keys::explained(failure, since))?;
        if select.lent {
            self.client.take_back()?;
        }
        let coverage = select.coverage(stream, since);
        let steps = std::iter::once(select.sql).chain(select.beyond).collect();
        Ok(Reading { steps, coverage })
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

    /// The same, once the writers of the tables of INCREMENTAL streams have ended or were waited
    /// for.
    fn settle(&mut self, streams: &[(&Stream, (String, String))]) -> Result<()> {
        self.begin()?;
        let types = self.types()?;
        let (settings, cap) = (&self.settings, &self.cap);
        let mut settling = Settling::of(&mut self.client, streams, &types, settings, cap)?;
        while !settling.is_empty() {
            if self.client.in_transaction() {
                self.client.execute("ROLLBACK")?;
            }
            self.client.begin(BEFORE)?;
            settling.read_last(&mut self.client, &types)?;
            self.client.execute("ROLLBACK")?;
            // The first writer may come at any time: before the wait, and until the snapshot.
            if settling.has_more(&mut self.client)? {
                continue;
            }
            let writers = settling.wait(&mut self.client)?;
            self.begin()?;
            if !settling.has_more(&mut self.client)? {
                self.settled = settling.end(&writers);
                break;
            }
        }
        self.types = Some(types);
        Ok(())
    }

    /// Has the server check the conditions of a stream.
    fn check_conditions(&mut self, stream: &Stream) -> Result<()> {
        let conditions = self.settings.conditions(&stream.id);
        match address(stream) {
            Ok((schema, table)) if !conditions.is_empty() => {
                let table = pg::quote_qualified(&schema, &table)?;
                conditions::check(&mut self.client, stream, &table, conditions)
            }
            _ => Ok(()),
        }
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
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        let mut select = self.select(stream, since, types, rows.limit())?;
        let coverage = select.coverage(stream, since);
        rows.set_cap(self.cap);
        if let Some(key) = select.key(stream) {
            conditions::remember(stream, since, &select.conditions, rows);
            self.origin.check(stream, since, (key.relation, &select.left_out), rows);
            self.hidden.check(stream, &address(stream)?, since, rows);
            let read = (key, select.from.as_str());
            origin::check_numbers(&mut self.client, stream, since, read, rows)?;
        }
        if let Some(coverage) = coverage {
            rows.cover(&coverage);
        }
        if let Some(most) = select.limit {
            rows.leave_out(&if stream.replication_method == ReplicationMethod::Incremental {
                "this run ends with the last key of `max_record_count`; the next run reads the \
                 remaining rows"
                    .to_owned()
            } else {
                format!("the run reads only {most} records (`max_record_count`)")
            });
        }
        let attached = self.attached(stream, since, &select, rows)?;
        if let Some(sql) = &attached {
            rows.hold_bookmark()?;
            copy(&mut self.client, sql, &mut select.converter, rows)?;
            rows.release_bookmark()?;
        }
        match &select.until {
            Until::Start => rows.hold_bookmark()?,
            Until::Time { .. } => {
                if let Some(settled) = self.settled_time(&select, stream, types)? {
                    rows.settle(settled);
                }
            }
            Until::Key(_) | Until::End => {}
        }
        if rows.limit().is_none() {
            let (client, table) = (&mut self.client, address(stream)?);
            let of = format!("{}{}", select.from, select.filter);
            self.unheld.check(client, stream, &table, &of).with("table", &select.table)?;
        }
        tracing::debug!("{}", select.sql);
        let read = copy(&mut self.client, &select.sql, &mut select.converter, rows);
        let read = read.and_then(|()| match &select.beyond {
            Some(sql) => {
                rows.hold_bookmark()?;
                copy(&mut self.client, sql, &mut select.converter, rows)
            }
            None => Ok(()),
        });
        read.and_then(|()| self.check(&select, types))
            .and_then(|()| self.check_start(stream, since, &select, (types, rows)))
            // The rows that came with tables are not to come again.
            .and_then(|()| attached.map_or(Ok(()), |_| rows.renew_bookmark(since)))
            .with("table", select.table)
    }

    /// Writes the statement for the rows before the bookmark that came with tables since it, and
    /// has the next bookmark say which tables there are.
    fn attached(
        &mut self,
        stream: &Stream,
        since: &Bookmark,
        select: &Select,
        rows: &mut Rows<'_>,
    ) -> Result<Option<String>> {
        let Some(key) = select.key(stream) else { return Ok(None) };
        let (schema, table) = address(stream)?;
        let behind = if select.from.starts_with("ONLY ") {
            Behind::default()
        } else {
            let apart = self.families.apart(&(schema.clone(), table.clone()));
            Behind::of(&mut self.client, key, &apart)?
        };
        behind.remember(rows);
        let before = select.before.as_ref().filter(|_| self.origin.is_of(since, key.relation));
        let Some(before) = before else { return Ok(None) };
        let come = behind.come(&mut self.client, stream, since, (key, before))?;
        if come.is_empty() {
            return Ok(None);
        }
        let columns: Vec<&Attribute> = select.columns.iter().collect();
        let names = columns.iter().map(|column| column.name.as_str());
        let mut conditions = select.conditions.clone();
        conditions.push(attached::in_tables(&come));
        let from = self.families.filtered((&schema, &table), names, &conditions)?;
        statement::copy_before(&from, &columns, key, before).map(Some)
    }

    /// Warns where not even the row is left that the bookmark was taken from, as after a restart of
    /// its numbers.
    fn check_start(
        &mut self,
        stream: &Stream,
        since: &Bookmark,
        select: &Select,
        (types, rows): (&Types, &Rows<'_>),
    ) -> Result<()> {
        let start = since.start.as_deref().filter(|_| since.is_of_state() && rows.count() == 0);
        if let Some((start, key)) = start.zip(select.key(stream)) {
            let names = (select.name.as_str(), select.from.as_str(), start);
            keys::warn_of_restart(&mut self.client, stream, key, names, types)?;
        }
        Ok(())
    }

    /// Returns up to when keys of time are settled, on the clock of the column.
    fn settled_time(
        &mut self,
        select: &Select,
        stream: &Stream,
        types: &Types,
    ) -> Result<Option<Timestamp>> {
        let Until::Time { since, clock } = select.until else { return Ok(None) };
        let Some(key) = select.key(stream) else { return Ok(None) };
        let zoned = types::builtin_name(types, key.type_oid) == Some("timestamptz");
        keys::settled(&mut self.client, &select.from, key, (since, clock, zoned), types)
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
        let with_children = !select.from.starts_with("ONLY ");
        let found = after(&mut self.client, &select.columns, &select.name, with_children)?;
        let Some(After { replaced, changed }) = found else { return Ok(()) };
        if replaced {
            let message = "cannot read the table: it was replaced or rewritten since the run began";
            return Err(Error::new(ErrorKind::Temporary, message)
                .hint("run again: the snapshot of this run does not show the new rows"));
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
                return Err(changed_text(&setting, shown));
            }
            singer::warn!(
                "W-SESSION-CHANGED",
                "a function changed the setting {} of the session while {} was read. The tap has \
                 set it back; no column of the table depends on it",
                setting.name,
                select.table
            );
        }
        Ok(())
    }
}
