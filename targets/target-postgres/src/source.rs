//! What a column says of its type in the source (pure).

use std::borrow::Cow;

use pg::types::{DIALECT, SQL_BASE_DATATYPE};
use singer::schema::{SQL_DATATYPE, SQL_EXTENSION};
use singer::{Column, Stream};

use crate::types::SqlType;

/// Returns the stream without the types of its SQL source where those are of another database: one
/// name may mean two things, as `timestamp` does.
pub fn of_postgres(stream: &Stream) -> Cow<'_, Stream> {
    let mut stream = Cow::Borrowed(stream);
    if !stream.has_types_of(DIALECT) {
        for column in &mut stream.to_mut().columns {
            if let Some(schema) = column.schema.as_object_mut() {
                schema.retain(|key, _| {
                    ![SQL_DATATYPE, SQL_BASE_DATATYPE, SQL_EXTENSION].contains(&&**key)
                });
            }
        }
    }
    stream
}

/// Tells whether the source holds floats that are no wider than those of the type, as it says:
/// their numbers may be written with more digits than tell them from others.
pub fn comes_from_float(column: &Column, sql: &SqlType) -> bool {
    match (&*sql.name, base_datatype(column).and_then(SqlType::parse)) {
        ("double precision", Some(from)) => matches!(&*from.name, "double precision" | "real"),
        ("real", Some(from)) => from.name == "real",
        _ => false,
    }
}

/// Tells whether the source pads text with spaces, so that those at its end mean nothing.
pub fn is_padded(column: &Column) -> bool {
    let padded = |sql: SqlType| matches!(&*sql.name, "character" | "bpchar");
    base_datatype(column).and_then(SqlType::parse).is_some_and(padded)
}

/// Tells whether bytes in an array come as hexadecimal digits.
pub fn sends_hex(column: &Column) -> bool {
    column.schema["items"]["contentEncoding"] == "base16"
        || base_datatype(column).is_some_and(|text| {
            // A domain may be one over bytes.
            SqlType::parse(text).is_none_or(|sql| sql.name == "bytea")
        })
}

/// Tells whether the source has JSON whose objects have each key once.
pub fn is_jsonb(column: &Column) -> bool {
    base_datatype(column).and_then(SqlType::parse).is_some_and(|sql| sql.name == "jsonb")
}

/// Returns the source's type of the values: of a domain the type under it.
pub fn base_datatype(column: &Column) -> Option<&str> {
    column.schema[SQL_BASE_DATATYPE].as_str().or_else(|| column.sql_datatype())
}
