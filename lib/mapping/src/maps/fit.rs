//! Values into cells: each is checked against the type of its property.

use singer::canonical::is_canonical;
use singer::scan::{Scanner, Token};
use singer::schema::Types;
use singer::{Batch, Cell, Column, Kind, Row};

use crate::language::{Fault, Place, Value, compact, member, str};

/// Appends a value.
pub(crate) fn push(value: &Value<'_>, column: &Column, out: &mut Batch) -> Result<(), Fault> {
    if matches!(value, Value::None) {
        if !column.nullable() {
            return Err(Fault::of("a key property cannot be None"));
        }
        out.push_null();
        return Ok(());
    }
    let fits = match column.kind {
        Kind::Boolean => matches!(value, Value::Bool(_)),
        Kind::Integer => value.is_whole(),
        Kind::Number => value.is_number(),
        Kind::String | Kind::Date | Kind::Time | Kind::DateTime => is_text(value, column),
        Kind::Json => is_json(value, column),
    };
    if !fits {
        return Err(misfit(value, column));
    }
    match (column.kind, value) {
        (Kind::Boolean, value) => out.push(if value.is_true() { b"true" } else { b"false" }),
        (Kind::Json, value) => out.push_with(|text| compact(value, text))?,
        (Kind::Integer, value) => out.push(value.whole_text()?.as_bytes()),
        (Kind::Number, value) => out.push(value.number_text()?.as_bytes()),
        (_, Value::Text(text) | Value::Digits(text)) => out.push(text.as_bytes()),
        (_, Value::DateTime(moment)) => out.push(moment.text('T').as_bytes()),
        (_, Value::Bool(truth)) => out.push(if *truth { b"true" } else { b"false" }),
        (_, value) => out.push(str(value)?.as_bytes()),
    }
    Ok(())
}

fn is_text(value: &Value<'_>, column: &Column) -> bool {
    match (value, column.kind) {
        (Value::Text(_), Kind::String)
        | (Value::Date(_), Kind::Date | Kind::String)
        | (Value::DateTime(_), Kind::DateTime | Kind::String) => true,
        (Value::Text(text), kind) => is_canonical(kind, text.as_bytes()),
        // A property of several types of which text is one.
        (Value::Bool(_), Kind::String) => column.types.has(Types::BOOLEAN),
        (Value::Int(_) | Value::Big(_), Kind::String) => column.types.has(Types::INTEGER),
        (Value::Float(_) | Value::Digits(_), Kind::String) => column.types.has(Types::NUMBER),
        _ => false,
    }
}

fn is_json(value: &Value<'_>, column: &Column) -> bool {
    column.types.has(match value {
        Value::Bool(_) => Types::BOOLEAN,
        Value::Int(_) | Value::Big(_) => Types::INTEGER,
        Value::Float(_) | Value::Digits(_) => Types::NUMBER,
        Value::Dict(_) => Types::OBJECT,
        Value::List(_) | Value::Tuple(_) => Types::ARRAY,
        Value::Text(_) | Value::Date(_) | Value::DateTime(_) => Types::STRING,
        _ => return false,
    })
}

#[cold]
fn misfit(value: &Value<'_>, column: &Column) -> Fault {
    let wanted = match column.kind {
        Kind::Date => "a date".to_owned(),
        Kind::Time => "a time".to_owned(),
        Kind::DateTime => "a date and time".to_owned(),
        _ => column.types.without(Types::NULL).words(),
    };
    let kind = value.kind();
    let text = match value {
        Value::Text(_) => "this text is none of it",
        _ => "",
    };
    let found = if text.is_empty() { format!("not {kind}") } else { text.to_owned() };
    let around = match value {
        Value::Int(_) | Value::Big(_) => "int",
        Value::Float(_) | Value::Digits(_) => "float",
        Value::Bool(_) => "bool",
        Value::List(_) | Value::Tuple(_) | Value::Dict(_) => "json.dumps",
        _ => "str",
    };
    Fault::of(format!("the property takes {wanted}, and {found}"))
        .hint(format!("an expression that starts with `{around}(` gives the property another type"))
}

/// Appends what lies at a place, unchanged. An object says all of its members: those that it lacks
/// are null, as are those of null. Only where the object itself is absent are they absent, too: a
/// target keeps what it has.
pub(crate) fn copy(
    row: Row<'_>,
    place: &Place,
    column: &Column,
    out: &mut Batch,
) -> Result<(), Fault> {
    let cell = row.cell(place.column);
    if place.path.is_empty() && place.kind == column.kind {
        out.push_cell(cell);
        return Ok(());
    }
    let Cell::Text(mut text) = cell else {
        out.push_cell(cell);
        return Ok(());
    };
    if place.path.is_empty() && place.kind != Kind::Json {
        // Another type was declared for it.
        if is_canonical(column.kind, text) {
            out.push(text);
            return Ok(());
        }
        return push(&crate::language::of_cell(text, place.kind)?, column, out);
    }
    for name in &place.path {
        if let Some(inner) = member(text, name) {
            text = inner;
        } else if !text.starts_with(b"{") && text != b"null" {
            return Err(Fault::of("the value is no object, and cannot be flattened"));
        } else {
            out.push_null();
            return Ok(());
        }
    }
    of_json(text, column, out)
}

/// Appends a value of JSON to a column of any type.
fn of_json(text: &[u8], column: &Column, out: &mut Batch) -> Result<(), Fault> {
    let broken = |_| Fault::of("the value is not JSON");
    let token = Scanner::new(text).value().map_err(broken)?;
    let is_text_column =
        matches!(column.kind, Kind::String | Kind::Date | Kind::Time | Kind::DateTime);
    match token {
        Token::Null => out.push_null(),
        _ if column.kind == Kind::Json => out.push(text),
        Token::String(quoted) if is_text_column => {
            let mut plain = Vec::new();
            quoted.unescape_into(&mut plain);
            if !is_canonical(column.kind, &plain) {
                return Err(Fault::of("the value does not fit the type of its property"));
            }
            out.push(&plain);
        }
        Token::Object(_)
        | Token::Array(_)
        | Token::Integer(_)
        | Token::Decimal(_)
        | Token::Boolean(_)
            if column.kind == Kind::String =>
        {
            out.push(text);
        }
        Token::String(quoted) if column.kind == Kind::Number && quoted.plain => {
            // The three words that floats have besides numbers.
            if !matches!(quoted.raw, b"NaN" | b"Infinity" | b"-Infinity") {
                return Err(Fault::of("the value does not fit the type of its property"));
            }
            out.push(quoted.raw);
        }
        _ if is_canonical(column.kind, text) => out.push(text),
        _ => return Err(Fault::of("the value does not fit the type of its property")),
    }
    Ok(())
}
