//! The table of a stream, and its columns there.

use pg::{Client, quote_ident, quote_qualified};
use singer::{Error, ErrorKind, Result, Stream};

use crate::columns::Attribute;
use crate::lacking::lacking;

/// What to do when the catalog and the database differ.
pub const REDISCOVER: &str =
    "the database has changed since the catalog was written: run discovery again";

/// Returns the schema and name of a stream's table, as its metadata says, else by its id.
pub fn address(stream: &Stream) -> Result<(String, String)> {
    let schema = stream.meta("schema-name").and_then(serde_json::Value::as_str);
    let table = stream.fields.get("table_name").and_then(serde_json::Value::as_str);
    let found = match (schema, table) {
        (Some(schema), Some(table)) => Some((schema, table)),
        (Some(schema), None) => stream
            .id
            .strip_prefix(schema)
            .and_then(|rest| rest.strip_prefix('-'))
            .map(|table| (schema, table)),
        (None, Some(table)) => stream
            .id
            .strip_suffix(table)
            .and_then(|rest| rest.strip_suffix('-'))
            .map(|schema| (schema, table)),
        (None, None) => stream.id.split_once('-'),
    };
    let (schema, table) = found.ok_or_else(|| {
        Error::new(ErrorKind::Config, "cannot find the table of a stream of the catalog")
            .hint("run discovery again, or set `schema-name` in its metadata and `table_name`")
    })?;
    Ok((schema.to_owned(), table.to_owned()))
}

/// Finds the columns of a stream among those of its table.
pub fn pick<'a>(
    stream: &Stream,
    found: &'a [Attribute],
    schema: &str,
    table: &str,
) -> Result<Vec<&'a Attribute>> {
    let missing = |what: &str| {
        Error::new(ErrorKind::Unavailable, what)
            .with("table", format!("{schema}.{table}"))
            .hint(REDISCOVER)
    };
    if found.is_empty() {
        return Err(missing("cannot read the table: it does not exist"));
    }
    stream
        .columns
        .iter()
        .map(|column| {
            let named = found.iter().find(|attribute| attribute.name == column.name);
            named.filter(|attribute| attribute.readable).ok_or_else(|| {
                let failure = match named {
                    Some(_) => missing("cannot read a column: the user lacks the right")
                        .of_kind(ErrorKind::Denied),
                    None => missing("cannot read a column: it does not exist"),
                };
                failure.with("column", &column.name)
            })
        })
        .collect()
}

/// Says of a table or column that cannot be read by which statement the user gets the right.
///
/// # Errors
/// When the server cannot be asked.
pub fn explained(
    client: &mut Client,
    failure: Error,
    (schema, table): (&str, &str),
) -> Result<Error> {
    if let Some(lacking) = lacking(client, &format!("{schema}.{table}"), "")? {
        let message = "cannot read the table: the user lacks the right";
        return Ok(Error::new(ErrorKind::Denied, message)
            .with("table", lacking.table)
            .with("user", lacking.user)
            .hint(lacking.hint));
    }
    let column = failure.context("column").filter(|_| failure.kind() == ErrorKind::Denied);
    let Some(column) = column.map(quote_ident).transpose()? else { return Ok(failure) };
    let rows = client.query("SELECT current_user", &[])?;
    let role = quote_ident(rows.first().and_then(|row| row.get(0)).unwrap_or_default())?;
    let table = quote_qualified(schema, table)?;
    Ok(failure.hint(format!(
        "run as its owner: GRANT SELECT ({column}) ON {table} TO {role}; or run discovery again, \
         which leaves it out"
    )))
}

/// Warns of the columns of a table that are left out because the catalog does not know them.
pub fn tell_unknown(stream: &Stream, found: &[Attribute]) {
    let unknown = found.iter().filter(|column| column.readable && !stream.knows(&column.name));
    let unknown: Vec<_> = unknown.map(|column| column.name.as_str()).collect();
    stream.warn_of_unknown("its table", &unknown);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_taps_find_their_table() {
        let check = |id: &str, schema: Option<&str>, table: Option<&str>, expected: &str| {
            let mut stream = Stream::new(id, serde_json::Map::new(), Vec::new());
            if let Some(schema) = schema {
                stream.set_meta(None, "schema-name", schema);
            }
            if let Some(table) = table {
                stream.fields.insert("table_name".into(), table.into());
            }
            let (schema, table) = address(&stream).unwrap();
            assert_eq!(format!("{schema}|{table}"), expected, "{id}");
        };
        check("public-orders", None, None, "public|orders");
        check("a-b-c", Some("a-b"), None, "a-b|c");
        check("a-b-c", None, Some("b-c"), "a|b-c");
        check("anything", Some("s"), Some("t"), "s|t");
        let stream = Stream::new("orders", serde_json::Map::new(), Vec::new());
        assert_eq!(address(&stream).unwrap_err().kind(), ErrorKind::Config);
    }
}
