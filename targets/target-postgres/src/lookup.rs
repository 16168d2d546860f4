//! Types of columns to be made: the source's own, where the target database has them.

use pg::types::SQL_BASE_DATATYPE;
use pg::{Client, failure, quote_ident};
use serde_json::Value;
use singer::{Column, Error, ErrorKind, Result, schema};

use crate::facts::FACTS;
use crate::table::{Shape, TableChange};
use crate::types::{self, Making, SqlType};

/// The type of a column to be made.
pub struct Found {
    /// The source's type where the server knows it and the values fit, else what the JSON Schema
    /// asks for.
    pub sql_type: SqlType,
    /// The type that the values have in the source, where the server has one of that name; what is
    /// under a domain of the source only the source can say.
    pub came: Option<SqlType>,
    /// Why it is not of the type that it has in its source, where the server does not know that.
    pub unknown: Option<String>,
}

/// Returns the type to make a column with.
pub fn wanted_type(
    client: &mut Client,
    column: &Column,
    base16_is_bytea: bool,
    target_schema: &str,
) -> Result<Found> {
    let extension = column.schema[schema::SQL_EXTENSION].as_str();
    let mut unknown = None;
    let mut find = |key: &str| {
        let Some(text) = column.schema[key].as_str() else { return Ok(None) };
        if let Some(known) = SqlType::parse(text) {
            return Ok(Some(known));
        }
        let found = look_up(client, text, target_schema, extension)?;
        Ok(match found.and_then(|found| of_same_kind(column, found)) {
            Ok(found) => Some(found),
            Err(why) => {
                unknown.get_or_insert(why);
                None
            }
        })
    };
    let own = find(schema::SQL_DATATYPE)?;
    let base = find(SQL_BASE_DATATYPE)?;
    let came = match column.schema[SQL_BASE_DATATYPE] {
        Value::Null => own.clone().filter(|own| own.storage() == own),
        _ => base.clone(),
    };
    let mut found = [own, base].into_iter().flatten();
    Ok(match found.find(|found| types::fits(column, found)) {
        Some(sql_type) => Found { sql_type, came, unknown: None },
        None => Found { sql_type: types::from_schema(column, base16_is_bytea), came, unknown },
    })
}

/// Refuses a type that only has the name of the source's, as the row type of a table may, and one
/// whose values name objects of the source's database.
fn of_same_kind(column: &Column, found: SqlType) -> std::result::Result<SqlType, String> {
    let labels = [&column.schema["enum"], &column.schema["items"]["enum"]];
    let is_enum = labels.iter().any(|labels| labels.is_array());
    let base = column.schema[SQL_BASE_DATATYPE].as_str().and_then(SqlType::parse);
    let storage = found.storage();
    let has_no_parts = is_enum || base.is_some() && !storage.array;
    if has_no_parts && storage.making == Making::Parts {
        return Err(format!("{} is another type in this database", found.sql()));
    }
    if NAMING.contains(&&*storage.name) {
        return Err(format!(
            "a {} names an object that may not exist in this database",
            storage.name
        ));
    }
    Ok(found)
}

/// Types whose values name objects of a database.
const NAMING: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// Returns how many digits behind the point money has here. Where these are not two, refuses a
/// column that has amounts inside another type: only those of a column itself can be counted anew.
pub fn money_digits(client: &mut Client, shape: &Shape, change: &TableChange) -> Result<usize> {
    let has_parts = |sql: &SqlType| sql.storage().making == Making::Parts;
    if !change.types.iter().any(|sql| sql.storage().name == "money" || has_parts(sql)) {
        return Ok(2);
    }
    let digits = client.money_digits()?;
    if digits == 2 {
        return Ok(digits);
    }
    for (wanted, sql) in shape.columns.iter().zip(&change.types).filter(|(_, sql)| has_parts(sql)) {
        if client.holds_money(&sql.sql())? {
            let message = "cannot load money inside another type: its text depends on \
                           `lc_monetary`";
            return Err(Error::new(ErrorKind::Unavailable, message)
                .with("stream", &shape.stream)
                .with("table", &shape.name)
                .with("column", &wanted.name)
                .with("type", sql.sql())
                .hint("change the amount in the type to numeric, or the column to text"));
        }
    }
    Ok(digits)
}

/// Looks for a type: one of an extension by that and its name, in whatever schema the target
/// database has the extension; any other one where its name says, in the schema of the table, and
/// in `public`. Returns why it cannot be used where that is so.
fn look_up(
    client: &mut Client,
    text: &str,
    target_schema: &str,
    extension: Option<&str>,
) -> Result<std::result::Result<SqlType, String>> {
    if extension.is_none()
        && let Some(found) = by_name(client, text, target_schema)?
    {
        return Ok(Ok(found));
    }
    match of_extension(client, text, extension)? {
        Some((found, true, _)) => return Ok(Ok(found)),
        Some((_, false, schema)) => {
            return Ok(Err(format!(
                "the user may not use {text}: GRANT USAGE ON SCHEMA {} TO the user",
                quote_ident(&schema)?
            )));
        }
        None => {}
    }
    if extension.is_some()
        && let Some(found) = by_name(client, text, target_schema)?
    {
        return Ok(Ok(found));
    }
    Ok(Err(match extension {
        Some(name) => {
            format!("the database has no {text}: CREATE EXTENSION {}", quote_ident(name)?)
        }
        None => format!("the database has no {text}"),
    }))
}

/// Looks for a type among those of extensions; tells whether the user may use it, and its schema.
fn of_extension(
    client: &mut Client,
    text: &str,
    extension: Option<&str>,
) -> Result<Option<(SqlType, bool, String)>> {
    let Some((name, array)) = bare_name(text) else { return Ok(None) };
    let rows = client.query(
        &format!(
            "SELECT format_type(t.oid, -1), {FACTS}, has_schema_privilege(n.oid, 'USAGE'), \
             n.nspname FROM pg_type b JOIN pg_namespace n ON n.oid = b.typnamespace \
             JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = b.oid \
               AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass \
             JOIN pg_extension x ON x.oid = d.refobjid \
             JOIN pg_type t ON t.oid = CASE WHEN $3::boolean THEN b.typarray ELSE b.oid END \
             CROSS JOIN (SELECT -1) modifier (m) \
             WHERE b.typname = $1 AND ($2::text IS NULL OR x.extname = $2::text) \
             ORDER BY 3 DESC, 4 LIMIT 1"
        ),
        &[Some(&name), extension, Some(if array { "true" } else { "false" })],
    )?;
    Ok(rows.first().map(|row| {
        let found = SqlType::from_server(row.get(0).unwrap_or_default());
        let schema = row.get(3).unwrap_or_default().to_owned();
        (found.with_facts(row.get(1)).with_suffix_of(text), row.get(2) == Some("t"), schema)
    }))
}

/// Takes the name of a type out of what `format_type` printed, without its schema, size and
/// brackets; tells whether it is an array.
fn bare_name(text: &str) -> Option<(String, bool)> {
    let mut rest = text.trim();
    let mut array = false;
    while let Some(element) = rest.strip_suffix("[]") {
        rest = element.trim_end();
        array = true;
    }
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut()?;
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => part.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            '(' if !quoted => break,
            c => part.push(c),
        }
    }
    let name = parts.pop()?;
    (!name.is_empty() && parts.len() < 2).then_some((name, array))
}

/// Asks the server for a type by its name; the text is data and never becomes SQL. Arrays of rows
/// of a table are left out: those of an enum of its name look alike. Without a length
/// `character` has no limit here (and would have that of one character in a statement).
fn by_name(client: &mut Client, text: &str, target_schema: &str) -> Result<Option<SqlType>> {
    let places = [None, Some(target_schema), Some("public")];
    for place in places {
        let name = match place {
            None => text.to_owned(),
            Some(_) if text.contains('.') => break,
            Some(schema) => format!("{}.{text}", quote_ident(schema)?),
        };
        let rows = client.query(
            &format!(
                "SELECT format_type(oid, -1), {FACTS} FROM pg_type t \
                 CROSS JOIN (SELECT -1) modifier (m) WHERE oid = to_regtype($1) \
                 AND NOT EXISTS (SELECT FROM pg_type e JOIN pg_class c ON c.oid = e.typrelid \
                   WHERE e.oid = t.typelem AND c.relkind <> 'c')"
            ),
            &[Some(&name)],
        );
        match rows {
            Ok(rows) => {
                if let Some(row) = rows.first() {
                    let found = SqlType::from_server(row.get(0).unwrap_or_default());
                    return Ok(Some(found.with_facts(row.get(1)).with_suffix_of(text)));
                }
            }
            // Text that is no type's name at all.
            Err(refused) if failure::sqlstate(&refused).is_some() && !client.is_broken() => {}
            Err(failed) => return Err(failed),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_lose_what_is_around_them() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let found = bare_name(text);
            let found = found.as_ref().map(|(name, array)| (name.as_str(), *array));
            assert_eq!(found, expected, "{text}");
        };
        check("citext", Some(("citext", false)));
        check("public.citext[]", Some(("citext", true)));
        check("ext.geometry(Point,4326)", Some(("geometry", false)));
        check("\"My ext\".\"a.b\"\"c(d\"[][]", Some(("a.b\"c(d", true)));
        check("a.b.c", None);
        check("", None);
        check("s.", None);
    }
}
