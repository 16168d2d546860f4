//! Columns that were made for values which another one does not take: `on_type_change: add_column`.
//!
//! A property has a column of its name, and one for each class of values that this does not take.
//! A row has its value in one of them, and NULL in the others. A comment of the server tells which
//! columns were made so, and for which: one that only has such a name is left alone.

use std::collections::{BTreeMap, BTreeSet};

use pg::{Client, shorten_ident};
use singer::{Error, ErrorKind, Result, Stream};

use crate::existing::Existing;
use crate::names::TableName;
use crate::remark;
use crate::settings::OnTypeChange;
use crate::table::Wanted;
use crate::type_change;
use crate::types::{Change, SqlType};

/// A column that gets no value of a property, for another one has it.
pub struct Split {
    /// Its name.
    pub column: String,
    /// Its type.
    pub sql: SqlType,
    /// The place of the column that has the value.
    pub beside: usize,
}

/// The columns of a table, as far as they tell where a value goes.
#[derive(Default)]
pub struct Splits {
    types: BTreeMap<String, SqlType>,
    comments: BTreeMap<String, String>,
    keys: BTreeSet<String>,
}

impl Splits {
    /// Reads those of a table, which may not be there.
    pub fn read(client: &mut Client, name: &TableName) -> Result<Self> {
        let Some(existing) = Existing::read(client, name)? else { return Ok(Self::default()) };
        let rows = client.query(
            "SELECT a.attname, d.description FROM pg_description d
             JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
             WHERE d.classoid = 'pg_class'::regclass AND d.objoid = to_regclass($1)",
            &[Some(&name.sql()?)],
        )?;
        let text = |row: &pg::Row, at| row.get(at).unwrap_or_default().to_owned();
        Ok(Self {
            keys: existing.unique.iter().flatten().cloned().collect(),
            types: existing.columns.into_iter().map(|found| (found.name, found.sql_type)).collect(),
            comments: rows.iter().map(|row| (text(row, 0), text(row, 1))).collect(),
        })
    }

    /// Returns the name of the column that takes the values of a wanted one, where that of its own
    /// name, which is of the `current` type if it comes with the stream, takes none of them.
    pub fn other(
        &self,
        wanted: &Wanted,
        current: Option<&SqlType>,
        stream: &Stream,
    ) -> Result<Option<String>> {
        let (name, how) = (&wanted.name, OnTypeChange::AddColumn);
        let current = current.or_else(|| self.types.get(name));
        let (Some(column), Some(current)) = (&wanted.source, current) else { return Ok(None) };
        if self.keys.contains(name)
            || stream.keys.contains(&column.name)
            || type_change::change(how, column, current, &wanted.sql_type) != Change::Refuse
        {
            return Ok(None);
        }
        let other = shorten_ident(&format!("{name}__{}", short(&wanted.sql_type)));
        let is_there = self.types.contains_key(&other);
        let is_other = is_there && self.comments.get(&other) != Some(&remark::of(name));
        if is_other || stream.column(&other).is_some() {
            let message =
                "cannot create a column for the values that do not fit the existing column";
            return Err(Error::new(ErrorKind::Data, message)
                .with("stream", &stream.name)
                .with("column", name)
                .with("name taken", &other)
                .hint("rename the column of that name, or set `on_type_change: widen`"));
        }
        Ok(Some(other))
    }

    /// Returns the columns that get nothing, as each of `data` has the values of its property.
    pub fn besides(&self, data: &[Wanted], places: &[Option<usize>]) -> Vec<Split> {
        let mut found = Vec::new();
        for at in places.iter().flatten().copied() {
            let name = &data[at].name;
            let of = data[at].instead_of.as_ref().unwrap_or(name);
            let same = |other: &&Wanted| {
                let base = other.instead_of.as_ref().unwrap_or(&other.name);
                base == of && other.name != *name
            };
            let here = data.iter().filter(same);
            let mut split: BTreeMap<&String, &SqlType> =
                here.map(|other| (&other.name, &other.sql_type)).collect();
            let made = |other: &String| self.comments.get(other) == Some(&remark::of(of));
            let there = self.types.iter().filter(|(other, _)| *other == of || made(other));
            split.extend(there.filter(|(other, _)| *other != name));
            found.extend(split.into_iter().map(|(column, sql)| Split {
                column: column.clone(),
                sql: sql.clone(),
                beside: at,
            }));
        }
        found
    }
}

/// Returns a short name of a type for the name of a column.
fn short(sql: &SqlType) -> String {
    let name = match &*sql.name {
        "character varying" => "varchar",
        "character" => "char",
        "bit varying" => "varbit",
        "double precision" => "double",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        name => name.rsplit('.').next().unwrap_or(name),
    };
    let letter = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.trim_matches('"').chars().map(letter).collect();
    if sql.array { format!("{name}_array") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_short_names() {
        for (sql, expected) in [
            ("timestamp(3) with time zone", "timestamptz"),
            ("numeric(10,2)", "numeric"),
            ("bigint[]", "bigint_array"),
            ("public.\"My mood\"", "My_mood"),
        ] {
            assert_eq!(short(&SqlType::from_server(sql)), expected);
        }
    }
}
