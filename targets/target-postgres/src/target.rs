//! The target: one connection, one sink a stream.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pg::failure::sqlstate;
use serde_json::Value;
use singer::target::Unchanged;
use singer::{
    About, Context, Error, ErrorKind, Example, OtherSetting, Planned, Result, Stream, TablesAsked,
    TablesOrder, Target,
};

use crate::forget;
use crate::lost;
use crate::names::TableName;
use crate::plan;
use crate::reshape;
use crate::rights;
use crate::run_sql;
use crate::session::{Role, Session};
use crate::settings::{self, Settings};
use crate::sink::PostgresSink;

/// Loads streams into Postgres.
pub struct TargetPostgres {
    session: Session,
    settings: Rc<Settings>,
    /// The stream of every table.
    tables: BTreeMap<TableName, String>,
    /// The table of every stream whose rows are there, or on their way.
    filled: BTreeMap<String, TableName>,
    /// Whether `before_run_sql` was run.
    began: bool,
}

impl Target for TargetPostgres {
    const ABOUT: About = About {
        name: "target-postgres",
        version: env!("CARGO_PKG_VERSION"),
        description: "Loads streams into Postgres tables: COPY into staging, one merge a table.",
        capabilities: &[
            "activate-version",
            "soft-delete",
            "hard-delete",
            "target-schema",
            "forget-rows",
            "schema-plan",
            singer::plan::GRANTS,
        ],
    };
    const EXAMPLES: &'static [Example] = &[Example {
        what: "Load what a tap reads, and keep the state",
        line: "tap-csv -c files.json | {} --set database=warehouse > states",
    }];
    const KNOWS_PLACES: bool = true;
    const OTHER_SETTINGS: &'static [OtherSetting] = settings::OTHERS;
    type Settings = Settings;
    type Sink = PostgresSink;

    fn open(settings: Settings) -> Result<Self> {
        if settings.batch_size_rows == Some(0) || settings.lock_timeout_seconds == 0 {
            return Err(Error::new(ErrorKind::Config, "cannot use zero as a limit")
                .hint("check `batch_size_rows` and `lock_timeout_seconds`"));
        }
        settings.check_metadata()?;
        if settings.use_copy.is_some() || settings.dialect_driver.is_some() {
            tracing::info!(
                "`use_copy` and `dialect+driver` are not used: rows are always loaded by COPY"
            );
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut config = settings.connection.resolve()?;
        if settings.connection.application_name.is_none() && std::env::var_os("PGAPPNAME").is_none()
        {
            Self::ABOUT.name.clone_into(&mut config.application_name);
        }
        let session = Session::new(&config, settings.lock_timeout_seconds, started_ms)?;
        Ok(Self {
            session,
            settings: Rc::new(settings),
            tables: BTreeMap::new(),
            filled: BTreeMap::new(),
            began: false,
        })
    }

    fn plan(settings: Settings, streams: &[Arc<Stream>]) -> Result<Vec<Planned>> {
        let mut target = Self::open(settings)?;
        let mut planned = Vec::new();
        for stream in streams {
            let name = target.table_of(stream)?;
            if !target.settings.forget_rows.is_empty() {
                let client = target.session.connection(Role::Shared).idle()?;
                planned.push(forget::plan(client, &target.settings, stream, &name)?);
                continue;
            }
            let client = target.session.connection(Role::Shared).idle()?;
            let told = if target.settings.plan_grants {
                rights::statements(client, &target.settings, stream, name)
            } else {
                plan::statements(client, &target.settings, stream, name)
            };
            let steps = told.with("stream", &stream.name)?;
            planned.push(Planned { stream: stream.name.clone(), steps, schema: None, rows: None });
        }
        Ok(planned)
    }

    fn plan_tables(
        settings: Settings,
        streams: &[Arc<Stream>],
        asked: &TablesAsked,
    ) -> Result<Value> {
        let mut target = Self::open(settings)?;
        let filled = target.fillings(streams)?;
        let client = target.session.connection(Role::Shared).idle()?;
        reshape::plan(client, &target.settings, &filled, asked)
    }

    fn apply_tables(
        settings: Settings,
        streams: &[Arc<Stream>],
        order: &TablesOrder,
    ) -> Result<Value> {
        let mut target = Self::open(settings)?;
        let filled = target.fillings(streams)?;
        let connection = target.session.connection(Role::Shared);
        reshape::apply(connection, &target.settings, &filled, order)
    }

    fn sink(&mut self, stream: &Stream) -> Result<PostgresSink> {
        self.begin()?;
        let name = self.table_of(stream)?;
        self.filled.insert(stream.name.clone(), name.clone());
        PostgresSink::open(&mut self.session, Rc::clone(&self.settings), stream, name)
    }

    fn shared(&mut self) -> &mut Session {
        &mut self.session
    }

    fn commit(&mut self) -> Result<()> {
        self.session.commit_together()
    }

    fn has_waiting(&self) -> bool {
        self.session.has_waiting()
    }

    fn unchanged(&mut self, streams: &[Unchanged]) -> Result<()> {
        let found = lost::check_unchanged(&mut self.session, &self.settings, streams)?;
        self.filled.extend(found);
        Ok(())
    }

    fn place(&mut self, stream: &str) -> Result<Option<String>> {
        let Some(name) = self.filled.get(stream) else { return Ok(None) };
        let (client, memory) = self.session.remembering()?;
        memory.since(client, name)
    }

    fn finish(&mut self) -> Result<()> {
        self.begin()
    }

    fn afterwards(&mut self) -> Result<()> {
        let Some(sql) = &self.settings.after_run_sql else { return Ok(()) };
        let done = run_sql::run(self.session.config(), "after_run_sql", sql);
        done.map_err(|failure| {
            // Another try would load again, and meet the same.
            let failure = match failure.kind() {
                ErrorKind::Data => failure,
                _ if sqlstate(&failure).is_some() => failure.of_kind(ErrorKind::Unavailable),
                _ => failure,
            };
            failure.hint(
                "all tables are committed and the state is printed: correct the SQL, and run it by \
                  hand or with the next load",
            )
        })
    }
}

impl TargetPostgres {
    /// Runs the SQL that is to be run ahead of all, once.
    fn begin(&mut self) -> Result<()> {
        forget::check(&self.settings)?;
        rights::check(&self.settings)?;
        match &self.settings.before_run_sql {
            Some(sql) if !std::mem::replace(&mut self.began, true) => {
                run_sql::run(self.session.config(), "before_run_sql", sql)
            }
            _ => Ok(()),
        }
    }

    /// Returns the tables of all streams.
    fn fillings<'a>(&mut self, streams: &'a [Arc<Stream>]) -> Result<Vec<reshape::Filling<'a>>> {
        streams.iter().map(|stream| Ok((&**stream, self.table_of(stream)?))).collect()
    }

    /// Returns the table of a stream, which is that of no other.
    fn table_of(&mut self, stream: &Stream) -> Result<TableName> {
        let name = self.settings.table_of(stream, self.settings.name_case);
        if name.table == pg::ours::TABLE {
            let message =
                "cannot load a stream into the table in which target-postgres keeps its own notes";
            return Err(Error::new(ErrorKind::Config, message)
                .with("table", &name)
                .with("stream", &stream.name)
                .hint("leave the stream out, or name another table in `table_names`"));
        }
        let other = self.tables.entry(name.clone()).or_insert_with(|| stream.name.clone());
        if *other != stream.name {
            return Err(Error::new(ErrorKind::Config, "cannot load two streams into one table")
                .with("table", &name)
                .with("stream", &stream.name)
                .with("other stream", other)
                .hint(
                    "name another table for one of them in `table_names`, or load them in two runs \
                      with different `default_target_schema`",
                ));
        }
        Ok(name)
    }
}
