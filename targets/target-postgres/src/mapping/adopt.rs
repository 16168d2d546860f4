//! How a mapping takes over the columns of a schema, and what is said of them.

use std::rc::Rc;

use pg::Client;
use singer::{Error, ErrorKind, Kind, Result, Stream};

use super::Mapping;
use crate::encode::Encoder;
use crate::fields::{Feed, Fields};
use crate::kept;
use crate::letter_case;
use crate::lookup;
use crate::names::{self, DATESTAMP, DELETED_AT, METADATA, SOURCE};
use crate::settings::{LoadMethod, OnTypeChange, Settings};
use crate::source;
use crate::split::Splits;
use crate::stage;
use crate::table::Wanted;
use crate::type_change;
use crate::types::{Change, SqlType};

impl Mapping {
    /// Takes over the columns of a schema; those of earlier ones stay. Compares with the table as
    /// it is.
    pub fn adopt(&mut self, client: &mut Client, stream: &Stream) -> Result<Fields> {
        let stream = &*source::of_postgres(stream);
        let settings = Rc::clone(&self.settings);
        let partitioned = self.partition.is_some();
        let keeps_deleted_at = settings.adds(DELETED_AT) || settings.hard_delete;
        let names = names::column_names(stream, (keeps_deleted_at, partitioned), |name| {
            settings.name_case.of(name)
        })?;
        self.warn_of_left_out(stream, &names);
        let splits = match settings.on_type_change {
            OnTypeChange::AddColumn => Some(Splits::read(client, &self.shape.name)?),
            OnTypeChange::Refuse | OnTypeChange::Widen => None,
        };
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
            let (name, instead_of) = (name.clone(), None);
            let mut wanted = Wanted { name, sql_type, source, came, unknown, instead_of };
            if let Some(splits) = &splits {
                self.split(splits, &mut wanted, (stream, &data))?;
            }
            let name = &wanted.name;
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
        self.splits = splits.map(|known| known.besides(&data, &places)).unwrap_or_default();
        let own = own_columns(partitioned, &settings);
        let own = own.into_iter().filter(|own| !data.iter().any(|other| other.name == own.name));
        let own: Vec<Wanted> = own.collect();
        self.shape.columns = data;
        self.shape.columns.extend(own);
        names::check_width(stream, self.shape.columns.len())?;
        self.shape.conflict = self.conflict_of(stream, &names)?;
        self.change = self.shape.compare(client)?;
        letter_case::check_columns(&self.shape, settings.name_case, &self.change.alike)?;
        self.money_digits = lookup::money_digits(client, &self.shape, &self.change)?;
        self.tell_unknown_types();
        self.stream = stream.clone();
        let fields = Fields::new(self.feed(&places), self.width);
        self.computes = fields.places().any(|at| self.change.generated[at]);
        self.spelled = fields.spelled().map(|(_, at)| at).collect();
        if self.method != LoadMethod::AppendOnly {
            let further = stage::FURTHER_COLUMNS + self.spelled.len();
            names::check_staged_width(stream, self.width, further)?;
        }
        Ok(fields)
    }

    /// Gives a column another name where that of its own does not take its values.
    fn split(
        &self,
        splits: &Splits,
        wanted: &mut Wanted,
        (stream, data): (&Stream, &[Wanted]),
    ) -> Result<()> {
        let at = data.iter().position(|other| other.name == wanted.name);
        let current = at.and_then(|at| self.change.types.get(at));
        if let Some(other) = splits.other(wanted, current, stream)? {
            wanted.instead_of = Some(std::mem::replace(&mut wanted.name, other));
        }
        Ok(())
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
                    "column {name} of table {table} is {sql}, which is not its type in the source: \
                      {why}"
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
            "`add_record_metadata` fills the columns of these names"
        } else if self.settings.add_record_metadata {
            "they are metadata columns that `metadata_columns` leaves out"
        } else {
            "they are metadata columns, and `add_record_metadata` is false"
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
        let is_key = self.shape.conflict.contains(&wanted.name);
        let how = if is_key { OnTypeChange::Refuse } else { self.settings.on_type_change };
        match type_change::change(how, column, current, &wanted.sql_type) {
            Change::Keep => Ok(current.clone()),
            Change::Widen(wide) => Ok(wide),
            Change::Refuse => Err(Error::new(
                ErrorKind::Data,
                "cannot change the type of the column safely",
            )
            .with("stream", &self.stream.name)
            .with("table", &self.shape.name)
            .with("column", &wanted.name)
            .with("type so far", current.sql())
            .with("type of the new schema", wanted.sql_type.sql())
            .hint(if is_key {
                "the column is part of a key, and `on_type_change` does not apply to keys: change \
                 the tap"
            } else {
                "set `on_type_change` to `widen` or `add_column`, or change the tap"
            })),
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
            let encoder = Encoder::new(column, sql, (sanitize, printed));
            let takes_rows_out = marks_deleted && self.settings.hard_delete;
            let is_text = takes_rows_out && column.kind == Kind::String;
            let encoder = if is_text { encoder.of_moments() } else { encoder };
            let money_digits = Some(self.money_digits)
                .filter(|digits| *digits != 2 && sql.storage().name == "money");
            Feed {
                to: Some((at, encoder)),
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
}

/// Returns the columns that we fill, for a partition and for metadata.
fn own_columns(partitioned: bool, settings: &Settings) -> Vec<Wanted> {
    let partition = [(SOURCE, "text"), (DATESTAMP, "date")];
    let partition = partition.into_iter().filter(|_| partitioned);
    partition
        .chain(METADATA.into_iter().filter(|(name, _)| settings.adds(name)))
        .map(|(name, sql)| Wanted {
            name: name.to_owned(),
            sql_type: SqlType::plain(sql),
            source: None,
            came: None,
            unknown: None,
            instead_of: None,
        })
        .collect()
}
