//! The sink of one stream: stages rows, merges them, says what changed.

use std::cell::RefCell;
use std::rc::Rc;

use pg::{Client, quote_ident, quote_literal};
use singer::{Batch, Durability, End, Error, ErrorKind, Result, Sink, Stream};

use crate::encode::Encoder;
use crate::load::{Counts, Load};
use crate::merge::{self, Item, Merge};
use crate::names::{self, DATESTAMP, DELETED_AT, SOURCE, TABLE_VERSION, TableName};
use crate::session::Session;
use crate::settings::{LoadMethod, Missing, Settings};
use crate::stage::{self, Feed, Stage};
use crate::table::{self, Plan, Shape, Wanted};
use crate::types::{self, Change};

/// The rows of one stream on their way into their table.
pub struct PostgresSink {
    session: Rc<RefCell<Session>>,
    settings: Rc<Settings>,
    stream: Stream,
    method: LoadMethod,
    partition: Option<(String, String)>,
    shape: Shape,
    /// How many of the columns of `shape` come from the stream.
    width: usize,
    plan: Plan,
    stage: Stage,
    version: Option<i64>,
    counts: Counts,
}

impl PostgresSink {
    /// Compares the stream with its table and makes a staging table; the table itself changes
    /// with the first merge.
    pub fn open(
        session: Rc<RefCell<Session>>,
        settings: Rc<Settings>,
        stream: &Stream,
        name: TableName,
    ) -> Result<Self> {
        let method = method_of(&settings, stream);
        let partition = match method {
            LoadMethod::ReplacePartition => Some(partition_of(&settings, stream)?),
            _ => None,
        };
        let partitioned = partition.is_some();
        let lists_absent = method == LoadMethod::Upsert && settings.missing == Missing::Keep;
        let table = name.to_string();
        let stage = Stage::new(&mut session.borrow_mut(), &stream.name, &table, lists_absent)?;
        let mut sink = Self {
            session,
            settings,
            stream: stream.clone(),
            method,
            partition,
            shape: Shape {
                name,
                columns: Vec::new(),
                conflict: Vec::new(),
                unique_optional: method != LoadMethod::Upsert,
                partitioned,
                stream: stream.name.clone(),
            },
            width: 0,
            plan: Plan::default(),
            stage,
            version: None,
            counts: Counts::default(),
        };
        sink.adopt(stream)?;
        Ok(sink)
    }

    /// Takes over the columns of a schema; those of earlier ones stay.
    fn adopt(&mut self, stream: &Stream) -> Result<()> {
        let settings = Rc::clone(&self.settings);
        let session = Rc::clone(&self.session);
        let mut session = session.borrow_mut();
        let client = session.idle()?;
        let partitioned = self.partition.is_some();
        let names = names::column_names(stream, settings.add_record_metadata, partitioned)?;
        let mut data: Vec<Wanted> = self.shape.columns.drain(..).take(self.width).collect();
        let mut places = Vec::with_capacity(names.len());
        for (column, name) in stream.columns.iter().zip(&names) {
            let Some(name) = name else {
                places.push(None);
                continue;
            };
            let base16 = settings.interpret_content_encoding;
            let sql_type = table::wanted_type(client, column, base16, &self.shape.name.schema)?;
            let mut wanted = Wanted { name: name.clone(), sql_type, source: Some(column.clone()) };
            if let Some(at) = data.iter().position(|other| other.name == *name) {
                wanted.sql_type = self.evolved(&wanted, at)?;
                data[at] = wanted;
                places.push(Some(at));
            } else {
                places.push(Some(data.len()));
                data.push(wanted);
            }
        }
        self.width = data.len();
        let own = table::own_columns(partitioned, settings.add_record_metadata);
        let own = own.into_iter().filter(|own| !data.iter().any(|other| other.name == own.name));
        let own: Vec<Wanted> = own.collect();
        self.shape.columns = data;
        self.shape.columns.extend(own);
        self.shape.conflict = self.conflict_of(stream, &names)?;
        self.plan = self.shape.plan(client)?;
        self.reshape_stage(client, stream, &places)?;
        self.stream = stream.clone();
        Ok(())
    }

    /// Returns the type of a column whose schema came again.
    fn evolved(&self, wanted: &Wanted, at: usize) -> Result<types::SqlType> {
        let (Some(column), Some(current)) = (&wanted.source, self.plan.types.get(at)) else {
            return Ok(wanted.sql_type.clone());
        };
        match types::change(column, current, &wanted.sql_type) {
            Change::Keep => Ok(current.clone()),
            Change::Widen(wide) => Ok(wide),
            Change::Refuse => {
                Err(Error::new(ErrorKind::Data, "cannot change the type of the column safely")
                    .with("stream", &self.stream.name)
                    .with("table", &self.shape.name)
                    .with("column", &wanted.name)
                    .with("type so far", current.sql())
                    .with("type of the new schema", wanted.sql_type.sql()))
            }
        }
    }

    /// Returns the columns that identify a row of the table.
    fn conflict_of(&self, stream: &Stream, names: &[Option<String>]) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for key in &stream.keys {
            let name = stream.column(key).and_then(|at| names[at].clone());
            keys.push(name.ok_or_else(|| {
                Error::new(ErrorKind::Data, "cannot find the key among the columns")
                    .with("stream", &stream.name)
                    .with("column", key)
            })?);
        }
        Ok(match self.method {
            LoadMethod::AppendOnly => Vec::new(),
            LoadMethod::Upsert | LoadMethod::Overwrite => keys,
            LoadMethod::ReplacePartition if keys.is_empty() => keys,
            LoadMethod::ReplacePartition => {
                [SOURCE, DATESTAMP].map(str::to_owned).into_iter().chain(keys).collect()
            }
        })
    }

    fn reshape_stage(
        &mut self,
        client: &mut Client,
        stream: &Stream,
        places: &[Option<usize>],
    ) -> Result<()> {
        let columns = &self.shape.columns[..self.width];
        let staged = columns.iter().zip(&self.plan.types);
        let staged: Vec<(String, String)> = staged
            .map(|(wanted, sql)| (wanted.name.clone(), stage::staged(wanted, sql).0))
            .collect();
        let sanitize = self.settings.sanitize_null_text_characters;
        let feed = stream.columns.iter().zip(places).map(|(column, place)| {
            let place = place.filter(|at| !self.plan.generated[*at]);
            let name = place.map(|at| &self.shape.columns[at].name);
            let required = name.is_some_and(|name| self.shape.conflict.contains(name));
            let marks_deleted = name.is_some_and(|name| name == DELETED_AT);
            let keeps = !required && !marks_deleted && !column.absent_is_null;
            let to = place.map(|at| (at, Encoder::new(column, &self.plan.types[at], sanitize)));
            Feed { to, required, keeps }
        });
        let feed = feed.collect();
        self.stage.reshape(client, &staged, feed)
    }

    fn merge_sql(&self, session: &Session) -> Result<Merge> {
        let upsert = self.method == LoadMethod::Upsert;
        let mut merge = Merge {
            table: self.shape.name.sql()?,
            stage: self.stage.sql(),
            scope: "true".to_owned(),
            hard_delete: self.settings.hard_delete && upsert,
            overriding: self.plan.overriding,
            partitioned: self.plan.partitioned,
            ..Merge::default()
        };
        for (at, wanted) in self.shape.columns.iter().enumerate() {
            if self.plan.generated[at] {
                continue;
            }
            let column = quote_ident(&wanted.name)?;
            let from_stream = at < self.width;
            merge.has_deleted_at |= wanted.name == DELETED_AT;
            merge.foreign_keys |= self.shape.conflict.contains(&wanted.name)
                && !self.plan.types[at].storage().is_built_in();
            let value = if from_stream {
                format!("s.{column}{}", stage::staged(wanted, &self.plan.types[at]).1)
            } else {
                self.own_value(&wanted.name, session.started_ms())
            };
            let state = [DELETED_AT, TABLE_VERSION].contains(&&*wanted.name);
            merge.items.push(Item {
                column,
                value,
                compared: from_stream || upsert && state,
                settable: !self.plan.fixed[at],
                number: Some(at).filter(|_| from_stream),
            });
        }
        for name in &self.shape.conflict {
            let quoted = quote_ident(name)?;
            let ours = self.partition.is_some() && [SOURCE, DATESTAMP].contains(&&**name);
            if !ours {
                merge.keys.push(quoted.clone());
            }
            merge.conflict.push(quoted);
        }
        if let Some((source, datestamp)) = &self.partition {
            merge.scope = merge::partition_scope(source, datestamp);
        }
        Ok(merge)
    }

    /// Returns the value of a column that we fill.
    fn own_value(&self, name: &str, started_ms: u64) -> String {
        let (source, datestamp) = self.partition.as_ref().map_or(("", ""), |(s, d)| (s, d));
        match name {
            SOURCE => format!("{}::text", quote_literal(source)),
            DATESTAMP => format!("{}::date", quote_literal(datestamp)),
            DELETED_AT => "NULL::timestamptz".to_owned(),
            TABLE_VERSION => "s._sdc_stage_version".to_owned(),
            "_sdc_extracted_at" => "s._sdc_stage_extracted".to_owned(),
            "_sdc_received_at" => {
                "('epoch'::timestamptz + s._sdc_stage_received * interval '1 microsecond')"
                    .to_owned()
            }
            "_sdc_batched_at" => "now()".to_owned(),
            "_sdc_sequence" => "(s._sdc_stage_received / 1000)".to_owned(),
            _ => format!("{started_ms}::bigint"),
        }
    }

    /// Merges what is staged, in one transaction with the changes of the table itself.
    fn merge(&mut self, last: bool) -> Result<()> {
        let shared = Rc::clone(&self.session);
        let mut session = shared.borrow_mut();
        let mut merge = self.merge_sql(&session)?;
        let (stage, version) = (merge.stage.clone(), self.version.filter(|_| last));
        let mut load = Load {
            merge: &mut merge,
            method: self.method,
            partition: self.partition.as_ref(),
            name: &self.shape.name,
            unique: self.plan.unique,
            rows: self.stage.rows(),
            any_absent: self.stage.any_absent(),
        };
        let counts = session
            .transaction(|client| {
                if !self.plan.statements.is_empty() {
                    self.shape.apply(client, &self.plan)?;
                }
                let mut counts = load.run(client)?;
                if let Some(version) = version {
                    let gone = client.execute(&load.merge.activate(version))?;
                    counts.deleted += gone;
                }
                let end = if last { "DROP TABLE" } else { "TRUNCATE" };
                client.execute(&format!("{end} {stage}"))?;
                Ok(counts)
            })
            .map_err(|failure| self.located(failure))?;
        self.plan.statements.clear();
        self.stage.emptied();
        self.counts.add(counts);
        Ok(())
    }

    fn located(&self, failure: Error) -> Error {
        if failure.context("stream").is_some() {
            return failure;
        }
        let failure = failure.with("stream", &self.stream.name);
        if failure.context("table").is_some_and(|table| table.contains('.')) {
            return failure;
        }
        failure.with("into", &self.shape.name)
    }
}

impl Sink for PostgresSink {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.stage.write(&mut self.session.borrow_mut(), &self.stream, batch)?;
        let early = matches!(self.method, LoadMethod::AppendOnly | LoadMethod::Upsert);
        if early && self.settings.batch_size_rows.is_some_and(|rows| self.stage.rows() >= rows) {
            self.merge(false)?;
        }
        Ok(())
    }

    fn evolve(&mut self, stream: &Stream) -> Result<()> {
        let changed = |what: &str| {
            Error::new(ErrorKind::Data, format!("cannot change the {what} of a stream on the way"))
                .with("stream", &stream.name)
                .hint("load it in a run of its own")
        };
        if stream.keys != self.stream.keys {
            return Err(changed("keys"));
        }
        if self.partition.is_some() && self.partition != Some(partition_of(&self.settings, stream)?)
        {
            return Err(changed("partition"));
        }
        // Rows of the old schema say nothing about columns that come now.
        self.commit()?;
        self.adopt(stream)
    }

    fn commit(&mut self) -> Result<Durability> {
        match self.method {
            LoadMethod::AppendOnly | LoadMethod::Upsert => {
                if self.stage.rows() > 0 {
                    self.merge(false)?;
                }
                Ok(Durability::Durable)
            }
            LoadMethod::Overwrite | LoadMethod::ReplacePartition => Ok(Durability::OnComplete),
        }
    }

    fn complete(&mut self, _end: End<'_>) -> Result<()> {
        self.merge(true)?;
        let Counts { inserted, updated, deleted } = self.counts;
        let table = &self.shape.name;
        if inserted + updated + deleted == 0 {
            log::info!("table {table}: unchanged");
        } else {
            log::info!("table {table}: {inserted} inserted, {updated} updated, {deleted} deleted");
        }
        Ok(())
    }

    fn activate(&mut self, version: i64) -> Result<()> {
        if !self.settings.activate_version || self.partition.is_some() {
            return Ok(());
        }
        if !self.settings.add_record_metadata {
            log::warn!(
                "ACTIVATE_VERSION of {} is ignored: `add_record_metadata` is off",
                self.stream.name
            );
            return Ok(());
        }
        match self.version {
            Some(newer) if newer > version => log::warn!(
                "ACTIVATE_VERSION {version} of {} is ignored: {newer} was active",
                self.stream.name
            ),
            _ => self.version = Some(version),
        }
        Ok(())
    }
}

fn method_of(settings: &Settings, stream: &Stream) -> LoadMethod {
    match settings.load_method {
        Some(LoadMethod::Upsert) if stream.keys.is_empty() => {
            log::warn!("stream {} has no keys: its rows are appended", stream.name);
            LoadMethod::AppendOnly
        }
        Some(method) => method,
        None if stream.keys.is_empty() => LoadMethod::AppendOnly,
        None => LoadMethod::Upsert,
    }
}

/// Returns the source and the day that the rows of a stream belong to.
fn partition_of(settings: &Settings, stream: &Stream) -> Result<(String, String)> {
    let named = stream.schema.get(singer::schema::PARTITION);
    let part = |key: &str| named.and_then(|named| named[key].as_str()).map(str::to_owned);
    let source = part("source").or_else(|| settings.source.clone());
    let datestamp = part("extracted_at").or_else(|| settings.datestamp.clone());
    let (Some(source), Some(datestamp)) = (source, datestamp) else {
        return Err(Error::new(ErrorKind::Config, "cannot tell the partition of the rows")
            .with("stream", &stream.name)
            .hint("set `source` and `datestamp`, or read the rows from a day of the lake"));
    };
    let day = datestamp.parse::<jiff::civil::Date>();
    if datestamp.len() != 10 || day.is_err() {
        return Err(Error::new(ErrorKind::Config, "cannot read the datestamp as a day")
            .with("datestamp", &datestamp)
            .hint("it is a calendar date, YYYY-MM-DD"));
    }
    Ok((source, datestamp))
}
