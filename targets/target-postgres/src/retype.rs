//! How an existing column gets another type without a loss (pure).

use crate::types::SqlType;

/// Returns the action that gives a quoted column another type.
pub fn action(column: &str, from: &str, to: &str) -> String {
    let text = if to == "text" { text_of(column, &SqlType::from_server(from)) } else { None };
    // By its digits: else 0.1 would become 0.10000000149011612.
    let digits = || (from == "real").then(|| format!("{column}::text::{to}"));
    let using = text.or_else(digits).map(|value| format!(" USING {value}")).unwrap_or_default();
    format!("ALTER COLUMN {column} TYPE {to}{using}")
}

/// Returns the SQL of the text of a column as our taps print it, in a session of ours; `None` for
/// types whose values have more than one text, or none of their own.
pub fn text_of(column: &str, sql: &SqlType) -> Option<String> {
    let text = format!("{column}::text");
    Some(match &*sql.name {
        _ if sql.array => return None,
        "boolean"
        | "smallint"
        | "integer"
        | "bigint"
        | "numeric"
        | "real"
        | "double precision"
        | "date"
        | "time without time zone"
        | "uuid" => text,
        "time with time zone" => format!("regexp_replace({text}, '([+-]..)$', '\\1:00')"),
        "timestamp without time zone" => {
            format!("regexp_replace({text}, '^([^ ]+) ([^ ]+)', '\\1T\\2+00:00')")
        }
        "timestamp with time zone" => {
            format!("regexp_replace({text}, '^([^ ]+) ([^ ]+)', '\\1T\\2:00')")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_the_same() {
        for (from, to, expected) in [
            ("integer", "bigint", "ALTER COLUMN c TYPE bigint"),
            ("real", "double precision", "c::text::double precision"),
            ("real", "text", "USING c::text"),
            ("character varying(3)", "text", "ALTER COLUMN c TYPE text"),
            ("timestamp(3) without time zone", "text", "\\1T\\2+00:00')"),
        ] {
            let action = action("c", from, to);
            assert!(action.ends_with(expected), "{action}");
        }
        assert_eq!(text_of("c", &SqlType::from_server("integer[]")), None);
        assert_eq!(text_of("c", &SqlType::from_server("public.mood")), None);
    }
}
