//! How a stream maps onto its table: columns, types, keys, and the SQL that merges its rows.

use std::collections::BTreeSet;
use std::rc::Rc;

use pg::{Client, quote_ident, quote_literal};
use singer::{Error, ErrorKind, Result, Stream};

use crate::compare::Comparison;
use crate::direct::TableCopy;
use crate::encode::{self, Encoder};
use crate::fields::{Feed, Fields};
use crate::kept;
use crate::lookup;
use crate::merge::{self, Filled, Item, Loose, Merge};
use crate::method;
use crate::names::{self, DATESTAMP, DELETED_AT, EXTRACTED_AT, SOURCE, TABLE_VERSION, TableName};
use crate::own::{FilledColumn, OwnColumns};
use crate::partition::partition_of;
use crate::settings::{LoadMethod, Missing, Settings};
use crate::source;
use crate::stage;
use crate::table::{self, Shape, TableChange, Wanted};
use crate::types::{self, Change, SqlType};

/// A stream and its table.
pub struct Mapping {
    /// The settings of the run.
    pub settings: Rc<Settings>,
    /// The stream, with the last schema adopted.
    pub stream: Stream,
    /// How its rows reach the table.
    pub method: LoadMethod,
    /// The source and the day of its rows, for `replace-partition`.
    pub partition: Option<(String, String)>,
    /// The table as the stream needs it.
    pub shape: Shape,
    /// How many of the columns of `shape` come from the stream.
    width: usize,
    /// How many digits behind the point money has here.
    money_digits: usize,
    /// What is to do to the table.
    pub change: TableChange,
    /// Whether the server fills a column of the stream itself.
    computes: bool,
    /// Key columns of which the table takes different texts for equal.
    spelled: Vec<usize>,
    /// Columns whose type became another one, as was told.
    told: BTreeSet<String>,
}

impl Mapping {
    /// Decides how the rows of a stream reach their table; takes no column over yet.
    pub fn new(settings: Rc<Settings>, stream: &Stream, name: TableName) -> Result<Self> {
        let method = method::of(&settings, stream);
        let partition = match method {
            LoadMethod::ReplacePartition => Some(partition_of(&settings, stream)?),
            LoadMethod::Overwrite if stream.coverage.is_part() => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "cannot overwrite a table by a part of its rows",
                )
                .hint(
                    "the tap left rows out, going on from a state or by `max_record_count`: \
                     extract without that, or load with `upsert`; taps of files have \
                     `whole_tables`",
                ));
            }
            _ => None,
        };
        Ok(Self {
            stream: stream.clone(),
            method,
            shape: Shape {
                name,
                columns: Vec::new(),
                conflict: Vec::new(),
                method,
                removes: settings.hard_delete
                    || matches!(method, LoadMethod::Overwrite | LoadMethod::ReplacePartition),
                partitioned: partition.is_some(),
                stream: stream.name.clone(),
            },
            partition,
            width: 0,
            money_digits: 2,
            change: TableChange::default(),
            computes: false,
            spelled: Vec::new(),
            told: BTreeSet::new(),
            settings,
        })
    }

    /// Tells whether the rows of a record list the columns that it lacks.
    pub fn lists_lacking(&self) -> bool {
        self.method == LoadMethod::Upsert && self.settings.missing == Missing::Keep
    }

    /// Tells whether the run replaces rows that are there.
    pub fn replaces(&self) -> bool {
        matches!(self.method, LoadMethod::Overwrite | LoadMethod::ReplacePartition)
    }

    /// Tells whether versions of rows count.
    pub fn heeds_versions(&self) -> bool {
        let settings = &self.settings;
        settings.activate_version && settings.adds(TABLE_VERSION) && !self.replaces()
    }

    /// Tells whether rows that come again are added beside themselves: those of an older version
    /// go when a newer one is whole.
    pub fn adds_again(&self, versioned: bool) -> bool {
        let goes = versioned && self.heeds_versions();
        self.method == LoadMethod::AppendOnly && !goes
    }

    /// Tells whether the rows of a partition are replaced by those since a state. What was
    /// published as a day is all there is of that day.
    pub fn replaces_by_part(&self) -> bool {
        self.method == LoadMethod::ReplacePartition
            && self.stream.coverage.is_part()
            && !self.stream.schema.contains_key(singer::schema::PARTITION)
    }

    /// Tells whether the rows go on from others, so that the table has to have those. What was
    /// published as a day is all there is of that day.
    pub fn goes_on(&self) -> bool {
        let whole = self.method == LoadMethod::ReplacePartition
            && self.stream.schema.contains_key(singer::schema::PARTITION);
        !whole && self.stream.coverage.bookmark().is_some()
    }

    /// Tells whether rows that say so are deleted, so that each must be looked at.
    fn deletes(&self) -> bool {
        let marked = self.shape.columns[..self.width].iter().any(|own| own.name == DELETED_AT);
        self.settings.hard_delete && self.method == LoadMethod::Upsert && marked
    }

    /// Tells whether rows may go straight into the table, if it has none yet (or they are only
    /// added). A table that changes must not be locked for as long as that takes.
    pub fn may_go_direct(&self) -> bool {
        let settled = self.change.creates() || self.change.statements.is_empty();
        // Where a trigger puts rows elsewhere, the index does not see a key that comes again.
        let found = self.shape.conflict.is_empty() || self.change.unique && !self.change.routes;
        // The text of a moment loses its offset where the column has no time zone.
        let mut typed = self.shape.columns.iter().zip(&self.change.types);
        let converts = typed
            .any(|(own, sql)| own.name == EXTRACTED_AT && sql.is(&["timestamp without time zone"]));
        let looks = self.computes || !self.spelled.is_empty();
        // What a trigger makes of rows is seen where they are staged.
        let guards = self.change.guards;
        let guarded = guards.after || guards.inserts && !self.change.children;
        let plain = settled && !converts && !looks && !guarded;
        plain && (self.method == LoadMethod::AppendOnly || found && !self.deletes())
    }

    /// Tells whether small loads may do so in a transaction with other tables: what nothing hangs
    /// on cannot fail at the COMMIT.
    pub fn may_share(&self) -> bool {
        let TableChange { asks_promises, partitioned, routes, guards, .. } = self.change;
        let alone = asks_promises || partitioned || routes || guards.any() || guards.fires;
        self.may_go_direct() && !alone
    }

    /// Says of a failure which stream and table it is about.
    pub fn located(&self, failure: Error) -> Error {
        if failure.context("stream").is_some() {
            return failure;
        }
        let failure = failure.with("stream", &self.stream.name);
        if failure.context("table").is_some_and(|table| table.contains('.')) {
            return failure;
        }
        failure.with("into", &self.shape.name)
    }

    /// Tells whether a row has anything to write.
    pub fn has_columns(&self) -> bool {
        !self.shape.columns.is_empty()
    }

    /// Refuses a schema with other keys, or of another partition, than the rows so far.
    pub fn check_evolution(&self, stream: &Stream) -> Result<()> {
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
        Ok(())
    }

    /// Takes over the columns of a schema; those of earlier ones stay. Compares with the table as
    /// it is.
    pub fn adopt(&mut self, client: &mut Client, stream: &Stream) -> Result<Fields> {
        let stream = &*source::of_postgres(stream);
        let settings = Rc::clone(&self.settings);
        let partitioned = self.partition.is_some();
        let keeps_deleted_at = settings.adds(DELETED_AT) || settings.hard_delete;
        let names = names::column_names(stream, keeps_deleted_at, partitioned)?;
        self.warn_of_left_out(stream, &names);
        let mut data: Vec<Wanted> = self.shape.columns.drain(..).take(self.width).collect();
        let mut places = Vec::with_capacity(names.len());
        for (column, name) in stream.columns.iter().zip(&names) {
            let Some(name) = name else {
                places.push(None);
                continue;
            };
            let base16 = settings.interpret_content_encoding;
            let found = lookup::wanted_type(client, column, base16, &self.shape.name.schema)?;
            let (sql_type, came, unknown) = (found.sql_type, found.came, found.unknown);
            let source = Some(column.clone());
            let mut wanted = Wanted { name: name.clone(), sql_type, source, came, unknown };
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
        let own = table::own_columns(partitioned, &settings);
        let own = own.into_iter().filter(|own| !data.iter().any(|other| other.name == own.name));
        let own: Vec<Wanted> = own.collect();
        self.shape.columns = data;
        self.shape.columns.extend(own);
        names::check_width(stream, self.shape.columns.len())?;
        self.shape.conflict = self.conflict_of(stream, &names)?;
        self.change = self.shape.compare(client)?;
        self.money_digits = lookup::money_digits(client, &self.shape, &self.change)?;
        self.tell_unknown_types();
        self.stream = stream.clone();
        let fields = Fields::new(self.feed(&places), self.width);
        self.computes = fields.places().any(|at| self.change.generated[at]);
        self.spelled = fields.spelled().map(|(_, at)| at).collect();
        Ok(fields)
    }

    /// Returns the comparison of what comes with what the table keeps, where types alone do not
    /// tell. The number is unique in the run.
    pub fn comparison(&self, fields: &Fields, number: u64) -> Result<Option<Comparison>> {
        let table = self.shape.name.to_string();
        Comparison::new(fields, number, &table, &self.staged(), &self.change.types)
    }

    /// Says once which columns are not of the type of their source.
    fn tell_unknown_types(&mut self) {
        for (wanted, sql) in self.shape.columns.iter().zip(&self.change.types) {
            let Some(why) = wanted.unknown.as_ref().filter(|_| wanted.sql_type == *sql) else {
                continue;
            };
            if self.told.insert(wanted.name.clone()) {
                let (table, name, sql) = (&self.shape.name, &wanted.name, sql.sql());
                singer::warn!(
                    "W-TYPE-AS-TEXT",
                    "column {name} of table {table} is {sql}, not the type of its source: {why}"
                );
            }
        }
    }

    /// Says once which properties of the stream do not reach the table.
    fn warn_of_left_out(&self, stream: &Stream, names: &[Option<String>]) {
        let lost = stream.columns.iter().zip(names).filter(|(_, name)| name.is_none());
        let lost: Vec<&str> = lost.map(|(column, _)| column.name.as_str()).collect();
        if lost.is_empty() || self.width > 0 {
            return;
        }
        let why = if lost.iter().any(|name| self.settings.adds(name)) {
            "columns of these names get values of this run (`add_record_metadata`)"
        } else if self.settings.add_record_metadata {
            "names of metadata that `metadata_columns` leaves out"
        } else {
            "names of metadata, and `add_record_metadata` is off"
        };
        singer::warn!(
            "W-PROPERTY-LOST",
            "stream {}: properties left out: {}: {why}",
            stream.name,
            lost.join(", ")
        );
    }

    /// Returns the type of a column whose schema came again.
    fn evolved(&self, wanted: &Wanted, at: usize) -> Result<SqlType> {
        let (Some(column), Some(current)) = (&wanted.source, self.change.types.get(at)) else {
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

    fn feed(&self, places: &[Option<usize>]) -> Vec<Feed> {
        let sanitize = self.settings.sanitize_null_text_characters;
        // Only a tap of ours says so, and only of what a server of Postgres printed.
        let printed = self.stream.schema.contains_key(singer::schema::TABLE);
        let feed = self.stream.columns.iter().zip(places).map(|(column, place)| {
            let Some(at) = *place else { return Feed::default() };
            let (wanted, sql) = (&self.shape.columns[at], &self.change.types[at]);
            let required = self.shape.conflict.contains(&wanted.name);
            let marks_deleted = wanted.name == DELETED_AT;
            let computed = self.change.generated[at];
            let collation = self.change.collations[at].as_ref();
            let money_digits = Some(self.money_digits)
                .filter(|digits| *digits != 2 && sql.storage().name == "money");
            Feed {
                to: Some((at, Encoder::new(column, sql, (sanitize, printed)))),
                required,
                keeps: !required && !marks_deleted && !column.absent_is_null && !computed,
                // Of amounts whose point was moved nothing is cut.
                how: kept::compared(column, wanted.came.as_ref(), sql, printed)
                    .filter(|_| money_digits.is_none()),
                money_digits,
                spelled: required && kept::is_spelled(column, wanted, sql, collation),
            }
        });
        feed.collect()
    }

    /// Returns the columns of the stream, names and types, as they are staged. Keys that are equal
    /// in the table are equal there.
    pub fn staged(&self) -> Vec<(String, String)> {
        let columns = self.shape.columns[..self.width].iter().enumerate();
        let staged = columns.map(|(at, wanted)| {
            let sql = self.change.types[at].sql();
            match &self.change.collations[at] {
                Some(name) => (wanted.name.clone(), format!("{sql} COLLATE {name}")),
                None => (wanted.name.clone(), sql),
            }
        });
        staged.collect()
    }

    /// Returns the COPY into the table itself, which nobody else sees if it is `hidden`.
    pub fn direct(&self, fields: &Fields, started_ms: u64, hidden: bool) -> Result<TableCopy> {
        let names = fields.places().map(|at| quote_ident(&self.shape.columns[at].name));
        let names: Vec<String> = names.collect::<Result<_>>()?;
        let mut own = Vec::new();
        for (at, value) in self.filled(started_ms) {
            // A COPY has a column.
            let is_null = matches!(value, FilledColumn::Null) && !self.change.defaults[at];
            if !self.change.generated[at] && (!is_null || names.is_empty()) {
                let kind = encode::binary_type(&self.change.types[at]);
                own.push((quote_ident(&self.shape.columns[at].name)?, kind, value));
            }
        }
        Ok(TableCopy { table: self.shape.name.sql()?, names, own: OwnColumns::new(own), hidden })
    }

    /// Returns the columns that we fill, and what they get.
    fn filled(&self, started_ms: u64) -> impl Iterator<Item = (usize, FilledColumn)> {
        let own = self.shape.columns.iter().enumerate().skip(self.width);
        own.map(move |(at, wanted)| (at, self.own(&wanted.name, started_ms)))
    }

    /// Returns the columns of a staging table that have values for columns that we fill.
    pub fn staged_own(&self) -> OwnColumns {
        stage::own_columns(&self.filled(0).map(|(_, value)| value).collect::<Vec<_>>())
    }

    /// Returns what a column that we fill gets.
    fn own(&self, name: &str, started_ms: u64) -> FilledColumn {
        let (source, datestamp) = self.partition.clone().unwrap_or_default();
        match name {
            SOURCE => FilledColumn::Constant(source),
            DATESTAMP => FilledColumn::Constant(datestamp),
            DELETED_AT => FilledColumn::Null,
            TABLE_VERSION => FilledColumn::Version,
            EXTRACTED_AT => FilledColumn::Extracted,
            "_sdc_received_at" | "_sdc_batched_at" => FilledColumn::Received,
            "_sdc_sequence" => FilledColumn::Sequence,
            _ => FilledColumn::Constant(started_ms.to_string()),
        }
    }

    fn loose(&self, at: usize) -> Result<Loose> {
        let sql = self.change.types[at].storage();
        let padded = sql.modifiers.first().copied().filter(|_| sql.name == "character");
        let (column, text) = (quote_ident(&self.shape.columns[at].name)?, stage::spelling(at));
        Ok(Loose { column, text, padded, array: sql.array })
    }

    /// Returns the merge of a staging table.
    pub fn merge(&self, stage: &str, started_ms: u64) -> Result<Merge> {
        let (upsert, replaces) = (self.method == LoadMethod::Upsert, self.replaces());
        let mut merge = Merge {
            table: self.shape.name.sql()?,
            stage: stage.to_owned(),
            scope: "true".to_owned(),
            hard_delete: self.settings.hard_delete && !replaces,
            overriding: self.change.overriding,
            partitioned: self.change.partitioned,
            children: self.change.children,
            only: self.change.only,
            guards: self.change.guards,
            others: self.change.others.clone(),
            ..Merge::default()
        };
        for (at, wanted) in self.shape.columns.iter().enumerate() {
            let column = quote_ident(&wanted.name)?;
            let from_stream = at < self.width;
            let is_key = self.shape.conflict.contains(&wanted.name);
            if from_stream && !is_key && (self.change.generated[at] || self.change.fixed[at]) {
                merge.filled.push(Filled {
                    column: column.clone(),
                    sql: self.change.types[at].clone(),
                    computed: self.change.generated[at],
                });
            }
            if self.change.generated[at] {
                continue;
            }
            merge.has_deleted_at |= from_stream && wanted.name == DELETED_AT;
            let sql = self.change.types[at].storage();
            merge.foreign_keys |= is_key && !sql.is_built_in();
            let value = if from_stream {
                format!("s.{column}")
            } else {
                staged_value(&self.own(&wanted.name, started_ms), &wanted.sql_type)
            };
            let marks = [DELETED_AT, TABLE_VERSION].contains(&&*wanted.name);
            merge.items.push(Item {
                column,
                value,
                compared: from_stream || upsert && marks,
                settable: !self.change.fixed[at],
                respelled: is_key
                    && from_stream
                    && (!kept::has_one_spelling(sql) || self.change.collations[at].is_some()),
                number: Some(at).filter(|_| from_stream),
            });
        }
        merge.loose = self.spelled.iter().map(|at| self.loose(*at)).collect::<Result<_>>()?;
        merge.seen = stage::seen(&self.shape.name);
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
}

/// Returns the value of a column that we fill, from the staging row `s`.
fn staged_value(own: &FilledColumn, sql: &SqlType) -> String {
    match own {
        FilledColumn::Constant(text) => format!("{}::{}", quote_literal(text), sql.sql()),
        FilledColumn::Null => format!("NULL::{}", sql.sql()),
        FilledColumn::Version => "s._sdc_stage_version".to_owned(),
        FilledColumn::Extracted => "s._sdc_stage_extracted".to_owned(),
        FilledColumn::Received => "s._sdc_stage_received".to_owned(),
        FilledColumn::Sequence => "s._sdc_stage_sequence".to_owned(),
    }
}
