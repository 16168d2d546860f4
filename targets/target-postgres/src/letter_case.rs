//! Names that a schema or a table has in other letters only, as another program wrote them: `Name`
//! and `name` are two names to the server, and one to whoever made both.

use pg::{Client, quote_ident};
use singer::{Error, ErrorKind, Result};

use crate::filler::Filler;
use crate::mapping::Mapping;
use crate::memory::Memory;
use crate::names::TableName;
use crate::settings::NameCase;
use crate::table::Shape;

/// Refuses to make a column whose name the table has in another case, where the stream lacks that:
/// what was filled so far would not be filled any more. `alike` has each with the one there.
pub fn check_columns(shape: &Shape, case: NameCase, alike: &[[String; 2]]) -> Result<()> {
    let same = |[column, other]: &&[String; 2]| column.to_lowercase() == other.to_lowercase();
    let found = alike.iter().find(same);
    found.map_or(Ok(()), |[column, other]| Err(other_column(shape, case, [column, other])))
}

/// Refuses to make a table whose name is there in another case, unless another stream fills that.
pub fn check_table(client: &mut Client, memory: &mut Memory, mapping: &Mapping) -> Result<()> {
    if !mapping.change.creates() {
        return Ok(());
    }
    let filler = Filler::of(&mapping.stream);
    for other in memory.in_another_case(client, &mapping.shape.name)? {
        let known = memory.filler(client, &other)?;
        let is_told = memory.is_missing(&other.schema) || memory.is_kept(&other.schema);
        if known.map_or(is_told, |known| known.is(&filler)) {
            return Err(other_table(mapping, &other));
        }
    }
    Ok(())
}

/// Returns how to say which setting gives the other name, where one does.
fn setting(case: NameCase, lower: bool, kept: bool) -> Option<&'static str> {
    match case {
        NameCase::Keep if lower => Some("set `name_case: lower`"),
        NameCase::Lower if kept => Some("set `name_case: keep`"),
        NameCase::Keep | NameCase::Lower => None,
    }
}

#[cold]
fn other_column(shape: &Shape, case: NameCase, [column, other]: [&String; 2]) -> Error {
    let source = shape.columns.iter().find(|wanted| wanted.name == *column);
    let source = source.and_then(|wanted| wanted.source.as_ref());
    let kept = source.is_some_and(|source| source.name == *other);
    let way = setting(case, *other == column.to_lowercase(), kept);
    let [old, new] = [other, column].map(|name| quote_ident(name).unwrap_or_default());
    let table = shape.name.sql().unwrap_or_default();
    let message = "cannot load a column that the table has only in another case";
    Error::new(ErrorKind::Config, message)
        .with("stream", &shape.stream)
        .with("table", &shape.name)
        .with("column", column)
        .with("column of the table", other)
        .hint(format!(
            "{}run: ALTER TABLE {table} RENAME COLUMN {old} TO {new}",
            way.map(|way| format!("{way}, or ")).unwrap_or_default()
        ))
}

#[cold]
fn other_table(mapping: &Mapping, other: &TableName) -> Error {
    let (name, case) = (&mapping.shape.name, mapping.settings.name_case);
    let chosen = |chosen: NameCase| mapping.settings.table_of(&mapping.stream, chosen) == *other;
    let way = setting(case, chosen(NameCase::Lower), chosen(NameCase::Keep));
    let rename = if other.schema == name.schema {
        let [old, new] = [other.sql(), quote_ident(&name.table)].map(Result::unwrap_or_default);
        format!("run: ALTER TABLE {old} RENAME TO {new}")
    } else {
        format!("set `default_target_schema` to {:?}", other.schema)
    };
    let message = "cannot create a table that already exists in another case";
    Error::new(ErrorKind::Config, message)
        .with("stream", &mapping.stream.name)
        .with("table", name)
        .with("existing table", other)
        .hint(match way {
            Some(way) => format!("{way}, or {rename}"),
            None if other.schema == name.schema => format!(
                "name it in `table_names` ({{{:?}: {:?}}}), or {rename}",
                mapping.stream.name, other.table
            ),
            None => rename,
        })
}
