//! The column that holds the values of two columns without changing one, where there is one (pure).
//!
//! Of two columns that name types of SQL, it has the type of SQL that holds both, if that is one of
//! the two, or is longer or more precise than both. Else it has the plain type of their kind, where
//! the text of a value says all. Times with a zone and without one, arrays and JSON have none.

use serde_json::Value;
use singer::schema::SQL_DATATYPE;
use singer::{Column, Kind, sql_type};

/// Returns the schema of a column that holds the values of both without changing one; `None` where
/// there is none.
pub(super) fn widened(one: &Column, other: &Column) -> Option<Value> {
    if one.schema == other.schema || other.is_guess() {
        return Some(one.schema.clone());
    }
    if one.is_guess() {
        return Some(other.schema.clone());
    }
    if one.is_base16() != other.is_base16() || one.absent_is_null != other.absent_is_null {
        return None;
    }
    match (one.kind, other.kind) {
        (kind, other_kind) if kind == other_kind => of_kind(kind, one, other),
        (Kind::Json, _) | (_, Kind::Json) => None,
        (Kind::Integer, Kind::Number) | (Kind::Number, Kind::Integer) => {
            Some(Kind::Number.property())
        }
        // The text of a value is the value.
        _ => Some(Kind::String.property()),
    }
}

fn of_kind(kind: Kind, one: &Column, other: &Column) -> Option<Value> {
    let (sql, other_sql) = (Sql::of(one), Sql::of(other));
    if one.sql_datatype().is_some() && one.sql_datatype() == other.sql_datatype() {
        return Some(one.schema.clone());
    }
    let is_of_times = matches!(kind, Kind::DateTime | Kind::Time);
    if is_of_times && has_zone(kind, sql.as_ref()) != has_zone(kind, other_sql.as_ref()) {
        return None;
    }
    let both = sql.as_ref().zip(other_sql.as_ref());
    let wide = both.and_then(|(sql, other)| sql.or(other));
    // What bounds the values of one column goes, such as their length.
    let mut schema = kind.property();
    if one.is_base16() {
        schema["contentEncoding"] = "base16".into();
    }
    match (kind, wide) {
        (Kind::Json, wide) if both.is_some() => {
            let sql = wide.filter(|_| one.schema["items"] == other.schema["items"])?;
            schema = one.schema.clone();
            schema[SQL_DATATYPE] = sql.text().into();
        }
        (_, Some(sql)) => {
            if let (Kind::String, [length]) = (kind, sql.sizes.as_slice()) {
                schema["maxLength"] = (*length).into();
            }
            schema[SQL_DATATYPE] = sql.text().into();
        }
        (_, None) => {}
    }
    Some(schema)
}

/// Tells whether times of a column have a zone: without a type of SQL, moments have one and times
/// of a day have none. `None` where the type of SQL is not known.
fn has_zone(kind: Kind, sql: Option<&Sql>) -> Option<bool> {
    match sql {
        None => Some(kind == Kind::DateTime),
        Some(sql) if sql.name.ends_with(" with time zone") => Some(true),
        Some(sql) if sql.name.ends_with(" without time zone") => Some(false),
        Some(_) => None,
    }
}

/// A type of SQL.
struct Sql {
    name: String,
    /// Its length, or its precision and scale.
    sizes: Vec<i32>,
    is_array: bool,
}

/// Types whose values are those of the ones before them, and more.
const RISING: &[&[&str]] =
    &[&["smallint", "integer", "bigint"], &["real", "double precision"], &["jsonb", "json"]];
/// Types whose values in an array are texts.
const TEXTS: [&str; 4] = ["text", "character varying", "character", "bpchar"];
/// More digits than these a `numeric` cannot declare.
const DIGITS_MAX: i32 = 1000;

impl Sql {
    /// Reads the type of a column, of a domain the one under it; `None` where it names none.
    fn of(column: &Column) -> Option<Self> {
        let text = column.schema["x-sql-base-datatype"].as_str().or(column.sql_datatype())?;
        let text = text.trim().to_lowercase();
        let element = text.trim_end_matches("[]");
        let (name, sizes, rest) = match element.split_once('(') {
            Some((name, rest)) => {
                let (sizes, rest) = rest.split_once(')')?;
                (name.trim(), sizes, rest)
            }
            None => (element, "", ""),
        };
        let name = format!("{name}{rest}");
        let name = sql_type::canonical(&name).unwrap_or(&name).to_owned();
        let sizes = sizes.split(',').filter(|size| !size.is_empty());
        let sizes = sizes.map(|size| size.trim().parse().ok()).collect::<Option<_>>()?;
        Some(Self { name, sizes, is_array: element.len() < text.len() })
    }

    /// Returns it as SQL writes it.
    fn text(&self) -> String {
        let sizes: Vec<String> = self.sizes.iter().map(i32::to_string).collect();
        let sizes = if sizes.is_empty() { String::new() } else { format!("({})", sizes.join(",")) };
        let (first, rest) = match self.name.find(" with") {
            Some(at) => self.name.split_at(at),
            None => (self.name.as_str(), ""),
        };
        format!("{first}{sizes}{rest}{}", if self.is_array { "[]" } else { "" })
    }

    /// Returns the type that has the values of both.
    fn or(&self, other: &Self) -> Option<Self> {
        if self.is_array != other.is_array {
            return None;
        }
        let made = |name: &str, sizes: Vec<i32>| {
            Some(Self { name: name.to_owned(), sizes, is_array: self.is_array })
        };
        let is_text = |sql: &Self| TEXTS.contains(&sql.name.as_str());
        if self.name == other.name && self.sizes == other.sizes {
            return made(&self.name, self.sizes.clone());
        }
        if self.name == "numeric" && other.name == "numeric" {
            return made("numeric", digits_of_both(&self.sizes, &other.sizes));
        }
        let is_sized = self.name == "character varying" || self.name.ends_with(" time zone");
        if self.name == other.name && is_sized {
            let sizes = match (self.sizes.first(), other.sizes.first()) {
                (Some(one), Some(other)) => vec![*one.max(other)],
                _ => Vec::new(),
            };
            return made(&self.name, sizes);
        }
        if self.is_array && is_text(self) && is_text(other) {
            return made("text", Vec::new());
        }
        let rank = |names: &[&str], sql: &Self| names.iter().position(|name| *name == sql.name);
        RISING.iter().find_map(|names| {
            let wide = rank(names, self)?.max(rank(names, other)?);
            made(names[wide], Vec::new())
        })
    }
}

/// Returns precision and scale of a `numeric` that has the digits of both.
fn digits_of_both(one: &[i32], other: &[i32]) -> Vec<i32> {
    let parts = |sizes: &[i32]| {
        let scale = sizes.get(1).copied().unwrap_or(0);
        Some((sizes.first()?.saturating_sub(scale), scale))
    };
    let (Some((whole, scale)), Some((other_whole, other_scale))) = (parts(one), parts(other))
    else {
        return Vec::new();
    };
    let scale = scale.max(other_scale);
    let digits = whole.max(other_whole).saturating_add(scale);
    if digits > DIGITS_MAX { Vec::new() } else { vec![digits, scale] }
}

/// Names the type of a column, for people: all that decides with what it can be united.
pub(super) fn words(column: &Column) -> String {
    let bytes = if column.is_base16() { ", hexadecimal bytes" } else { "" };
    let null = if column.absent_is_null { ", where null is a value" } else { "" };
    let items = column.schema["items"]["type"].as_array().map(|types| {
        let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
        format!(" of {}", types.join(" or "))
    });
    match column.sql_datatype() {
        Some(sql) => format!("{sql}{bytes}"),
        None => format!("{}{}{bytes}{null}", kind(column), items.unwrap_or_default()),
    }
}

fn kind(column: &Column) -> &'static str {
    match column.kind {
        Kind::String => "text",
        Kind::Json => "JSON",
        kind => kind.word(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn column(schema: &str) -> Column {
        Column::new("c", serde_json::from_str(schema).unwrap())
    }

    /// Makes a column of a type of SQL.
    fn sql(sql: &str) -> Column {
        let kind = match sql {
            sql if sql.ends_with("[]") => json!({ "type": ["array"], "items": {} }),
            sql if sql.starts_with("json") => {
                json!({ "type": ["object", "string"], "x-absent-is-null": true })
            }
            "smallint" | "integer" | "int8" | "oid" => json!({ "type": ["integer"] }),
            "real" | "double precision" => json!({ "type": ["number"] }),
            sql if sql.starts_with("num") => json!({ "type": ["number"] }),
            sql if sql.starts_with("timestamp") => {
                json!({ "type": ["string"], "format": "date-time" })
            }
            sql if sql.starts_with("time") => json!({ "type": ["string"], "format": "time" }),
            "bytea" => json!({ "type": ["string"], "contentEncoding": "base16" }),
            _ => json!({ "type": ["string"] }),
        };
        let mut schema = kind;
        schema[SQL_DATATYPE] = sql.into();
        Column::new("c", schema)
    }

    #[test]
    fn types_of_sql_are_united_where_no_value_changes() {
        for (one, other, expected) in [
            ("integer", "int8", "bigint"),
            ("smallint", "integer", "integer"),
            ("varchar(10)", "character varying(20)", "character varying(20)"),
            ("varchar(10)", "character varying", "character varying"),
            ("varchar(10)", "text", "text"),
            ("character(5)", "character(9)", "text"),
            ("mood", "uuid", "text"),
            ("numeric(10,2)", "numeric(12,2)", "numeric(12,2)"),
            ("numeric(10,2)", "numeric(9,4)", "numeric(12,4)"),
            ("numeric(3)", "numeric(2,-3)", "numeric(5,0)"),
            ("numeric(1000,0)", "numeric(5,5)", "numeric"),
            ("numeric(10,2)", "numeric", "numeric"),
            ("numeric(10,2)", "real", "number"),
            ("numeric(10,2)", "integer", "number"),
            ("real", "double precision", "double precision"),
            ("oid", "integer", "integer alone"),
            ("timestamp(3)", "timestamp without time zone", "timestamp without time zone"),
            (
                "timestamp(3) with time zone",
                "timestamp(6) with time zone",
                "timestamp(6) with time zone",
            ),
            ("time(0)", "time(3)", "time(3) without time zone"),
            ("integer[]", "int8[]", "bigint[]"),
            ("text[]", "varchar(3)[]", "text[]"),
            ("jsonb", "json", "json"),
            ("integer", "text", "text"),
            // There is no type for these.
            ("timestamp", "timestamptz", "-"),
            ("time", "timetz", "-"),
            ("integer[]", "text[]", "-"),
            ("integer[]", "text", "-"),
            ("jsonb", "integer[]", "-"),
            ("bytea", "text", "-"),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let wide = widened(&sql(one), &sql(other)).map(|schema| Column::new("c", schema));
                let said = match &wide {
                    None => "-",
                    Some(wide) => match (wide.sql_datatype(), wide.kind) {
                        (Some(sql), _) => sql,
                        (None, Kind::Number) => "number",
                        (None, Kind::String) => "text",
                        (None, Kind::Integer) => "integer alone",
                        _ => "?",
                    },
                };
                assert_eq!(said, expected, "{one} and {other}");
                if said == "-" {
                    assert_ne!(words(&sql(one)), words(&sql(other)));
                }
            }
        }
    }

    #[test]
    fn a_plain_column_and_one_of_sql_have_the_plain_type() {
        for (plain, of_sql, expected) in [
            (r#"{"type":"integer"}"#, "integer", Some(Kind::Integer)),
            (r#"{"type":"string"}"#, "varchar(3)", Some(Kind::String)),
            (r#"{"type":"number"}"#, "numeric(3,1)", Some(Kind::Number)),
            (r#"{"type":"string","format":"date-time"}"#, "timestamptz", Some(Kind::DateTime)),
            (r#"{"type":"string","format":"date-time"}"#, "timestamp", None),
            (r#"{"type":"string","format":"time"}"#, "time(3)", Some(Kind::Time)),
            (r#"{"type":"string","format":"time"}"#, "timetz", None),
            (r#"{"type":"array"}"#, "integer[]", Some(Kind::Json)),
            (r#"{"type":"object"}"#, "jsonb", None),
        ] {
            let (plain, of_sql) = (column(plain), sql(of_sql));
            for (one, other) in [(&plain, &of_sql), (&of_sql, &plain)] {
                let wide = widened(one, other).map(|schema| Column::new("c", schema));
                let kind = wide.as_ref().map(|wide| wide.kind);
                assert_eq!(kind, expected, "{}", of_sql.schema);
                assert!(wide.is_none_or(|wide| wide.sql_datatype().is_none()));
            }
        }
        let domain = r#"{"type":"string","x-sql-datatype":"short","maxLength":3,
            "x-sql-base-datatype":"varchar(3)"}"#;
        let wide = widened(&column(domain), &sql("varchar(7)")).unwrap();
        assert_eq!(
            wide,
            json!({ "type": ["string", "null"], "maxLength": 7,
                "x-sql-datatype": "character varying(7)" })
        );
    }
}
