//! What a stream has that its contract does not say, where all rows pass whatever it says.

use singer::{Column, Kind, Stream};

use super::compile::spelled;
use super::logical::Logical;
use super::model::Table;

/// Warns of the differences between a stream and its contract.
pub(super) fn warn(stream: &Stream, table: &Table) {
    let found = differences(&stream.columns, table);
    if !found.is_empty() {
        singer::warn!(
            "W-CONTRACT-DIFFERS",
            "stream {} differs from its contract, and all its rows pass: {}",
            stream.name,
            found.join("; ")
        );
    }
}

fn differences(columns: &[Column], table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for column in columns {
        let name = spelled(&column.name, table.names);
        let Some(property) = table.properties.iter().find(|property| property.name == name) else {
            found.push(format!("column {name} is not in the contract"));
            continue;
        };
        let Some(logical) = property.logical.filter(|logical| !fits(column, *logical)) else {
            continue;
        };
        found.push(format!(
            "column {name} has values that are {}, not {}",
            column.types.words(),
            logical.word()
        ));
    }
    for property in &table.properties {
        let is_there = |column: &Column| spelled(&column.name, table.names) == property.name;
        if !columns.iter().any(is_there) {
            found.push(format!("column {} is missing", property.name));
        }
    }
    found
}

/// Tells whether the type of a column proves that its values are of the contract.
fn fits(column: &Column, logical: Logical) -> bool {
    column.is_guess()
        || match logical {
            Logical::String => column.kind != Kind::Json,
            Logical::Date => column.kind == Kind::Date,
            Logical::Timestamp => matches!(column.kind, Kind::DateTime | Kind::Date),
            Logical::Time => column.kind == Kind::Time,
            Logical::Number => matches!(column.kind, Kind::Number | Kind::Integer),
            Logical::Integer => column.kind == Kind::Integer,
            Logical::Boolean => column.kind == Kind::Boolean,
            Logical::Object | Logical::Array => column.kind == Kind::Json,
        }
}
