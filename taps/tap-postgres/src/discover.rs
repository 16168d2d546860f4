//! From the system catalog to streams.

use std::collections::{BTreeMap, BTreeSet};

use pg::types::{self, Choices, Types};
use pg::{quote_ident, quote_qualified};
use serde_json::{Map, Value, json};
use singer::schema::{SQL_DIALECT, SQL_EXTENSION};
use singer::unreadable::{self, Unreadable};
use singer::{Error, ErrorKind, Result, Stream};

use crate::catalog::Relation;
use crate::chosen;
use crate::columns::Attribute;

/// What discovery finds.
#[derive(Debug)]
pub struct Found {
    pub streams: Vec<Stream>,
    /// What of `tables` the user may not read.
    pub unreadable: Vec<Unreadable>,
}

/// Who asks for what.
pub struct Asked<'a> {
    pub database: &'a str,
    /// The user, quoted.
    pub role: String,
    /// The setting `tables`.
    pub tables: &'a [String],
    pub choices: Choices,
}

/// Makes a stream of every relation that has a column we may read, and lists the others.
pub fn streams(
    relations: Vec<Relation>,
    attributes: Vec<Attribute>,
    types: &Types,
    asked: &Asked<'_>,
) -> Result<Found> {
    let mut by_relation: BTreeMap<u32, Vec<Attribute>> = BTreeMap::new();
    let mut hidden: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for attribute in attributes {
        if attribute.readable {
            by_relation.entry(attribute.relation).or_default().push(attribute);
        } else {
            hidden.entry(attribute.relation).or_default().push(attribute.name);
        }
    }
    let mut seen = BTreeSet::new();
    let mut streams = Vec::with_capacity(relations.len());
    let (mut unreadable, mut extensions) = (Vec::new(), BTreeMap::new());
    for relation in relations {
        if let Some(extension) = relation.extension {
            let names: &mut Vec<String> = extensions.entry(extension).or_default();
            names.push(format!("{}.{}", relation.schema, relation.name));
            continue;
        }
        let columns = by_relation.remove(&relation.oid);
        let lacking = hidden.remove(&relation.oid).unwrap_or_default();
        if chosen::is_wanted(asked.tables, &relation.schema, &relation.name) {
            match &columns {
                Some(_) => {
                    for column in lacking {
                        unreadable.push(unread(&relation, Some(column), &asked.role)?);
                    }
                }
                // A table without columns is no stream, and nothing of it is hidden.
                None if lacking.is_empty() && !relation.is_closed => {}
                None => unreadable.push(unread(&relation, None, &asked.role)?),
            }
        }
        let Some(columns) = columns else { continue };
        let stream = stream(&relation, &columns, types, asked);
        if !seen.insert(stream.id.clone()) {
            return Err(Error::new(ErrorKind::Config, "two tables have the same stream name")
                .with("stream", stream.id)
                .hint("leave one of the schemas out with `filter_schemas`"));
        }
        streams.push(stream);
    }
    for (extension, names) in extensions {
        // They come with the extension, wherever that is created: to load them would be in its way.
        tracing::info!(
            "left out, because they belong to the extension {extension}: {}",
            names.join(", ")
        );
    }
    if streams.is_empty() {
        return Err(nothing(&unreadable, asked.database));
    }
    Ok(Found { streams, unreadable })
}

/// Says what the user may not read, and by which statements it may.
fn unread(relation: &Relation, column: Option<String>, role: &str) -> Result<Unreadable> {
    let (schema, name) = (&relation.schema, &relation.name);
    let of_schema = if relation.is_closed {
        Some(format!("GRANT USAGE ON SCHEMA {} TO {role}", quote_ident(schema)?))
    } else {
        None
    };
    let right = match &column {
        Some(column) => format!("SELECT ({})", quote_ident(column)?),
        None => "SELECT".to_owned(),
    };
    let of_table = format!("GRANT {right} ON TABLE {} TO {role}", quote_qualified(schema, name)?);
    Ok(Unreadable {
        tap_stream_id: id(relation),
        name: format!("{schema}.{name}"),
        column,
        is_closed: relation.is_closed,
        grants: of_schema.into_iter().chain([of_table]).collect(),
    })
}

/// Says why there is no stream at all: nothing is there, or the user may read none of it.
fn nothing(unreadable: &[Unreadable], database: &str) -> Error {
    let message = "cannot find a table that the user may read";
    if unreadable.is_empty() {
        return Error::new(ErrorKind::NoInput, message)
            .with("database", database)
            .hint("check `database` and `filter_schemas`: there is no table of any user");
    }
    let all: Vec<&Unreadable> = unreadable.iter().collect();
    let names: Vec<&str> = all.iter().take(5).map(|one| one.name.as_str()).collect();
    Error::new(ErrorKind::Denied, message)
        .with("database", database)
        .with("tables", format!("{}: {}", all.len(), names.join(", ")))
        .hint(format!(
            "grant the user the right to those it is to read, as their owner: {}",
            unreadable::statements(&all)
        ))
}

/// Returns the id of the stream of a table.
fn id(relation: &Relation) -> String {
    format!("{}-{}", relation.schema, relation.name)
}

fn stream(relation: &Relation, columns: &[Attribute], types: &Types, asked: &Asked<'_>) -> Stream {
    let database = asked.database;
    let mut properties = Map::new();
    for column in columns {
        let mut mapped = types::map(types, column.column_type(), asked.choices);
        if let Some(extension) = &column.extension {
            mapped.schema.insert(SQL_EXTENSION.to_owned(), extension.clone().into());
        }
        properties.insert(column.name.clone(), Value::Object(mapped.schema));
    }
    let schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        (SQL_DIALECT.to_owned(), json!(types::DIALECT)),
        ("properties".to_owned(), Value::Object(properties)),
    ]);
    let keys = key(relation, columns);
    let is_view = matches!(relation.kind, 'v' | 'm');
    let mut stream = Stream::new(id(relation), schema, keys.clone());
    stream.fields = Map::from_iter([
        ("table_name".to_owned(), relation.name.clone().into()),
        ("database_name".to_owned(), database.into()),
        ("is_view".to_owned(), is_view.into()),
    ]);
    if let Some(rows) = relation.rows {
        stream.fields.insert("row_count".to_owned(), rows.into());
        stream.set_meta(None, "row-count", rows);
    }
    let orderable = columns.iter().filter(|column| types::is_orderable(types, column.type_oid));
    let orderable: Vec<Value> = orderable.map(|column| column.name.clone().into()).collect();
    stream.set_meta(None, "inclusion", "available");
    stream.set_meta(None, "selected-by-default", true);
    stream.set_meta(None, "table-key-properties", keys.clone());
    stream.set_meta(None, "schema-name", relation.schema.clone());
    stream.set_meta(None, "database-name", database);
    stream.set_meta(None, "is-view", is_view);
    stream.set_meta(None, "valid-replication-keys", orderable);
    for column in columns {
        let inclusion = if keys.contains(&column.name) { "automatic" } else { "available" };
        stream.set_meta(Some(&column.name), "inclusion", inclusion);
        stream.set_meta(Some(&column.name), "selected-by-default", true);
        stream.set_meta(Some(&column.name), "sql-datatype", column.formatted.clone());
    }
    stream
}

/// Returns the columns of the key; none if one of them may not be read.
fn key(relation: &Relation, columns: &[Attribute]) -> Vec<String> {
    let name = |number: &i16| {
        columns.iter().find(|column| column.number == *number).map(|column| column.name.clone())
    };
    relation.key.iter().map(name).collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Form;

    fn relation(schema: &str, name: &str, oid: u32, key: Vec<i16>) -> Relation {
        Relation {
            oid,
            schema: schema.into(),
            name: name.into(),
            kind: 'r',
            rows: Some(7),
            key,
            extension: None,
            is_closed: false,
        }
    }

    fn asked() -> Asked<'static> {
        let (role, choices) = ("\"me\"".to_owned(), Choices::default());
        Asked { database: "db", role, tables: &[], choices }
    }

    fn column(relation: u32, number: i16, name: &str) -> Attribute {
        Attribute {
            relation,
            number,
            name: name.into(),
            type_oid: 25,
            modifier: -1,
            formatted: "text".into(),
            not_null: number == 1,
            stored_alone: true,
            readable: true,
            computed: false,
            form: Form::Plain,
            extension: None,
        }
    }

    #[test]
    fn streams_carry_key_and_metadata() {
        let relations = vec![relation("s", "t", 1, vec![2, 1]), relation("s", "hidden", 2, vec![])];
        let columns = vec![column(1, 1, "a"), column(1, 2, "b")];
        let found = streams(relations, columns, &Types::new(), &asked()).unwrap().streams;
        assert_eq!(found.len(), 1, "a table without readable columns is no stream");
        assert_eq!(found[0].id, "s-t");
        assert_eq!(found[0].keys, ["b", "a"]);
        assert_eq!(found[0].meta("schema-name"), Some(&json!("s")));
        let property = &found[0].metadata[&vec!["properties".to_owned(), "a".to_owned()]];
        assert_eq!(property["inclusion"], "automatic");
        assert_eq!(property["sql-datatype"], "text");
    }

    #[test]
    fn what_belongs_to_an_extension_is_no_stream() {
        let mut relations = vec![relation("s", "t", 1, vec![]), relation("s", "units", 2, vec![])];
        relations[1].extension = Some("unit".into());
        let columns = vec![column(1, 1, "a"), column(2, 1, "a")];
        let found = streams(relations, columns, &Types::new(), &asked()).unwrap().streams;
        assert_eq!(found.iter().map(|stream| stream.id.as_str()).collect::<Vec<_>>(), ["s-t"]);
    }

    #[test]
    fn a_key_of_hidden_columns_is_none() {
        let relations = vec![relation("s", "t", 1, vec![1, 3])];
        let columns = vec![column(1, 1, "a")];
        let found = streams(relations, columns, &Types::new(), &asked()).unwrap().streams;
        assert!(found[0].keys.is_empty());
    }

    #[test]
    fn tables_with_one_id_are_refused() {
        let relations = vec![relation("a-b", "c", 1, vec![]), relation("a", "b-c", 2, vec![])];
        let columns = vec![column(1, 1, "x"), column(2, 1, "x")];
        let failed = streams(relations, columns, &Types::new(), &asked());
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Config);
    }
}
