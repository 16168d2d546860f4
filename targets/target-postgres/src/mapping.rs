//! How a stream maps onto its table: columns, types, keys, and the SQL that merges its rows.

mod adopt;

use std::collections::BTreeSet;
use std::rc::Rc;

use pg::failure::sqlstate;
use pg::{quote_ident, quote_literal};
use singer::{Error, ErrorKind, Result, Stream};

use crate::compare::Comparison;
use crate::direct::TableCopy;
use crate::encode;
use crate::fields::Fields;
use crate::kept;
use crate::merge::{self, Filled, Item, Loose, Merge};
use crate::method;
use crate::names::{DATESTAMP, DELETED_AT, EXTRACTED_AT, SOURCE, TABLE_VERSION, TableName};
use crate::own::{FilledColumn, OwnColumns};
use crate::partition::partition_of;
use crate::settings::{LoadMethod, Missing, Settings};
use crate::split::Split;
use crate::stage;
use crate::table::{Shape, TableChange};
use crate::types::SqlType;

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
    /// Columns that get nothing, for another one has the values of their property.
    splits: Vec<Split>,
}

impl Mapping {
    /// Decides how the rows of a stream reach their table; takes no column over yet.
    pub fn new(settings: Rc<Settings>, stream: &Stream, name: TableName) -> Result<Self> {
        if settings.primary_key_required && stream.keys.is_empty() {
            let message = "cannot load a stream without keys: `primary_key_required` is set";
            return Err(Error::new(ErrorKind::Config, message).hint(
                "let the tap declare keys for the stream, or remove the setting: `load_method` \
                 then decides how streams without keys are loaded",
            ));
        }
        let method = method::of(&settings, stream);
        let partition = (method == LoadMethod::ReplacePartition)
            .then(|| partition_of(&settings, stream))
            .transpose()?;
        check_part(method, stream)?;
        Ok(Self {
            stream: stream.clone(),
            method,
            shape: Shape {
                name,
                columns: Vec::new(),
                conflict: Vec::new(),
                method,
                on_type_change: settings.on_type_change,
                removes: settings.hard_delete
                    || matches!(method, LoadMethod::Overwrite | LoadMethod::ReplacePartition),
                partitioned: partition.is_some(),
                readers: settings.readers_of(stream),
                indices: settings.indices_of(stream),
                stream: stream.name.clone(),
                renames: None,
            },
            partition,
            width: 0,
            money_digits: 2,
            change: TableChange::default(),
            computes: false,
            spelled: Vec::new(),
            told: BTreeSet::new(),
            splits: Vec::new(),
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

    /// Says of a version that is not obeyed what that means, where it means something.
    pub fn ignore_version(&self, version: i64, older: bool) -> Result<()> {
        if older && self.settings.activate_version && self.replaces() {
            // What replaces all rows leaves none of an older version, but for those of this run.
            singer::warn!(
                "W-VERSION-IGNORED",
                "ACTIVATE_VERSION {version} of {} is ignored: this run has loaded rows of older \
                 versions into table {}",
                self.stream.name,
                self.shape.name
            );
        } else if self.settings.activate_version && !self.replaces() {
            // Rows that are gone would stay, and nobody would know.
            let message = "cannot act on ACTIVATE_VERSION: the table has no column for versions";
            return Err(Error::new(ErrorKind::Config, message).with("version", version).hint(
                "set `add_record_metadata` to true, or `load_method: overwrite`, or \
                 `activate_version: false` to keep rows that are gone from the source",
            ));
        }
        Ok(())
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
        let looks = self.computes || !self.spelled.is_empty() || !self.splits.is_empty();
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
        let failure = self.without_key(failure).with("stream", &self.stream.name);
        if failure.context("table").is_some_and(|table| table.contains('.')) {
            return failure;
        }
        failure.with("into", &self.shape.name)
    }

    /// Says what helps where a row has no value for a column of the primary key: such a column is
    /// never null, so the statement for other columns would fail.
    fn without_key(&self, failure: Error) -> Error {
        let is_key = |name: &str| self.change.primary.iter().any(|column| column == name);
        if sqlstate(&failure) != Some("23502") || !failure.context("column").is_some_and(is_key) {
            return failure;
        }
        let days = self.change.has_days && self.partition.is_none();
        failure.hint(if days {
            "the table holds days, and each day may have the same key: load by \
             `replace-partition`, or into another table or schema"
        } else {
            "the column belongs to the primary key of the table, so each row needs a value: let \
             the stream give it one, or load into another table or schema"
        })
    }

    /// Returns the columns of the table that get nothing, for another one has their values.
    pub fn emptied_columns(&self) -> impl Iterator<Item = &str> {
        self.splits.iter().map(|split| split.column.as_str())
    }

    /// Tells whether a row has anything to write.
    pub fn has_columns(&self) -> bool {
        !self.shape.columns.is_empty()
    }

    /// Refuses a schema with other keys, or of another partition, than the rows so far.
    pub fn check_evolution(&self, stream: &Stream) -> Result<()> {
        let changed = |what: &str| {
            Error::new(
                ErrorKind::Data,
                format!("cannot change the {what} of a stream during a run"),
            )
            .with("stream", &stream.name)
            .hint("load the stream in a run of its own")
        };
        if stream.keys != self.stream.keys {
            return Err(changed("keys"));
        }
        if self.partition.is_some() && self.partition != Some(partition_of(&self.settings, stream)?)
        {
            return Err(changed("partition"));
        }
        check_part(self.method, stream)
    }

    /// Returns the comparison of what comes with what the table keeps, where types alone do not
    /// tell. The number is unique in the run.
    pub fn comparison(&self, fields: &Fields, number: u64) -> Result<Option<Comparison>> {
        let table = self.shape.name.to_string();
        Comparison::new(fields, number, &table, &self.staged(), &self.change.types)
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

    /// Returns the place under which a record lists a column of the stream as lacking.
    fn lister(&self, at: usize) -> usize {
        let split = self.splits.iter().find(|split| split.column == self.shape.columns[at].name);
        split.map_or(at, |split| split.beside)
    }

    /// Returns columns beside those of the stream that get NULL, for one of these has the value.
    fn emptied(&self) -> Result<Vec<Item>> {
        let is_wanted = |name: &str| self.shape.columns.iter().any(|wanted| wanted.name == name);
        let others = self.splits.iter().filter(|split| !is_wanted(&split.column));
        let emptied = others.map(|split| {
            Ok(Item {
                column: quote_ident(&split.column)?,
                value: format!("NULL::{}", split.sql.sql()),
                compared: true,
                settable: true,
                respelled: false,
                number: Some(split.beside),
            })
        });
        emptied.collect()
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
                number: Some(self.lister(at)).filter(|_| from_stream),
            });
        }
        merge.items.extend(self.emptied()?);
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

/// Refuses to take a part of the rows for all of them.
fn check_part(method: LoadMethod, stream: &Stream) -> Result<()> {
    if method != LoadMethod::Overwrite || stream.coverage.is_whole() {
        return Ok(());
    }
    Err(stream.coverage.refusal(
        "cannot overwrite a table by a part of its rows",
        "the tap left rows out, because of a state, `max_record_count` or `custom_where_clauses`: \
         extract without these, or load with `upsert`; for taps of files set `whole_tables`",
    ))
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
