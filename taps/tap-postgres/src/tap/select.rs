//! A stream beside its table as it is now, and the statement that reads its rows.

use std::collections::BTreeSet;

use pg::Client;
use pg::convert::Conversion;
use pg::types::{self, Mapping, Types};
use singer::{Bookmark, Context, Coverage, Result, Stream};

use super::TapPostgres;
use crate::catalog;
use crate::columns::{Attribute, Form};
use crate::convert::RowConverter;
use crate::settled::Until;
use crate::statement::{self, Incremental, Part};
use crate::table::{address, explained, pick, tell_unknown};
use crate::{keys, money};

/// How the rows of a stream are read.
pub(super) struct Select {
    pub sql: String,
    /// What reads the rows behind which the bookmark does not move, where that is a statement of
    /// its own.
    pub beyond: Option<String>,
    pub until: Until,
    pub converter: RowConverter,
    /// The table as SQL, for people, and by its columns.
    pub name: String,
    pub table: String,
    /// The item of FROM, and the condition on its rows.
    pub from: String,
    pub filter: String,
    /// The condition of the rows before a bookmark of the state.
    pub before: Option<String>,
    pub columns: Vec<Attribute>,
    /// Columns of the table that are not read.
    pub left_out: BTreeSet<String>,
    /// Whether the session is as the role has it, for views and the like to compute by.
    pub lent: bool,
    /// The `max_record_count` by which the read ends before the table does.
    pub limit: Option<u64>,
    /// What must be true of a row.
    pub conditions: Vec<String>,
}

impl Select {
    /// Returns the column of the replication key.
    pub fn key(&self, stream: &Stream) -> Option<&Attribute> {
        let name = stream.replication_key.as_deref();
        self.columns.iter().find(|column| Some(column.name.as_str()) == name)
    }

    /// Returns which rows are read, where a limit ends the read or conditions leave rows out.
    pub fn coverage(&self, stream: &Stream, since: &Bookmark) -> Option<Coverage> {
        let limited = self.limit.map(|most| Coverage::limited(most, &since.value));
        if self.conditions.is_empty() {
            return limited;
        }
        let read = limited.unwrap_or_else(|| singer::covered(stream, since));
        Some(read.filtered(&self.conditions))
    }
}

/// Has what is behind the columns compute by the settings of the role; it finds names by ours where
/// a column has names of objects, whose text would be another one.
fn lend(client: &mut Client, columns: &[&Attribute], types: &Types) -> Result<()> {
    client.lend(!columns.iter().any(|column| types::names_objects(types, column.type_oid)))
}

/// Writes the statement of the settled rows, and that of those beyond.
fn statements<'a>(
    from: &str,
    columns: &[&Attribute],
    mut incremental: Option<Incremental<'a>>,
    (until, limit): (&'a Until, Option<u64>),
    types: &Types,
) -> Result<(String, Option<String>)> {
    let Until::Key(key) = until else {
        return Ok((statement::copy(from, columns, incremental.as_ref(), limit, types)?, None));
    };
    let mut part = |part| {
        if let Some(read) = &mut incremental {
            read.settled = Some((part, key.as_str()));
        }
        statement::copy(from, columns, incremental.as_ref(), limit, types)
    };
    let up_to = part(Part::UpTo)?;
    Ok((up_to, Some(part(Part::Beyond)?)))
}

/// The table of a stream.
struct Source {
    name: String,
    table: String,
    from: String,
    columns: Vec<Attribute>,
    left_out: BTreeSet<String>,
    converter: RowConverter,
}

impl TapPostgres {
    /// Compares the stream with its table, and writes the statement.
    pub(super) fn select(
        &mut self,
        stream: &Stream,
        since: &Bookmark,
        types: &Types,
        wanted: Option<u64>,
    ) -> Result<Select> {
        let source = self.source(stream, types)?;
        let Source { from, table, .. } = &source;
        let columns: Vec<&Attribute> = source.columns.iter().collect();
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
            lend(client, &columns, types)?;
        }
        let mut incremental = None;
        if let Some(column) = key {
            if since.start.is_some() && wanted.is_none() {
                keys::warn_of_nulls(client, stream, column, from)?;
            }
            let lookback = keys::lookback(stream, column, since, (types, &self.settings));
            let start = start.as_deref();
            incremental = Some(Incremental { column, start, lookback, end: None, settled: None });
        }
        let end = match (&incremental, most) {
            (Some(read), Some(most)) => {
                keys::last(client, stream, from, read, (most, types, &self.cap))
                    .with("table", table)?
            }
            _ => None,
        };
        if let Some(read) = &mut incremental {
            read.end = end.as_deref();
        }
        let mut limit = wanted;
        if let Some(most) = most.filter(|_| key.is_none())
            && catalog::has_more(client, from, most).with("table", table)?
        {
            limit = Some(most);
        }
        let until = match &incremental {
            Some(_) if wanted.is_none() => self.settled.until(&address(stream)?),
            _ => Until::End,
        };
        let filter = incremental.as_ref().map(|read| read.condition(types)).transpose()?;
        let filter = filter.unwrap_or_default();
        let before = match &incremental {
            Some(read) if since.is_of_state() && wanted.is_none() => read.before(types)?,
            _ => None,
        };
        let (sql, beyond) = statements(from, &columns, incremental, (&until, limit), types)?;
        let limit = most.filter(|_| end.is_some() || limit.is_some());
        let Source { name, table, from, columns, left_out, converter } = source;
        Ok(Select {
            sql,
            beyond,
            until,
            converter,
            name,
            table,
            from,
            filter,
            before,
            columns,
            left_out,
            lent,
            limit,
            conditions: self.settings.conditions(&stream.id).to_vec(),
        })
    }

    /// Looks at the table of a stream as it is now.
    fn source(&mut self, stream: &Stream, types: &Types) -> Result<Source> {
        let address = address(stream)?;
        let mut found = self.columns.of(&mut self.client, &address)?;
        let (schema, table) = address;
        let conditions = self.settings.conditions(&stream.id);
        if !conditions.is_empty() {
            // They compute as what a view is made of does.
            for column in &mut found {
                (column.computed, column.stored_alone) = (true, false);
            }
        }
        self.set_forms(&mut found, types)?;
        let columns = match pick(stream, &found, &schema, &table) {
            Ok(columns) => columns,
            Err(failure) => return Err(explained(&mut self.client, failure, (&schema, &table))?),
        };
        tell_unknown(stream, &found);
        let mappings = columns.iter().map(|column| self.mapping(column, types)).collect();
        let converter = RowConverter::new(&stream.columns, mappings, self.settings.nan())
            .with("table", format!("{schema}.{table}"))?;
        let names = columns.iter().map(|column| column.name.as_str());
        let conditions = self.settings.conditions(&stream.id);
        let from = self.families.filtered((&schema, &table), names, conditions)?;
        let name = pg::quote_qualified(&schema, &table)?;
        let columns: Vec<Attribute> = columns.into_iter().cloned().collect();
        let is_read = |name: &String| columns.iter().any(|column| column.name == *name);
        let left_out = found.iter().map(|column| column.name.clone());
        let left_out = left_out.filter(|name| !is_read(name)).collect();
        let table = format!("{schema}.{table}");
        Ok(Source { name, table, from, columns, left_out, converter })
    }

    /// Returns how a column travels.
    fn mapping(&self, column: &Attribute, types: &Types) -> Mapping {
        let choices = self.settings.choices();
        let mut mapping = types::map(types, column.column_type(), choices);
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
}
