//! Column types: from JSON Schema and source types to SQL, and which may become which (pure).

use serde_json::Value;
use singer::schema::Types;
use singer::{Column, Kind, sql_type};

/// A column type. Its text is safe SQL: it is made of known words and numbers, or it came from
/// the server's `format_type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlType {
    /// The name without length or precision: `character varying`, `public.mood`.
    pub name: String,
    /// Length, or precision and scale.
    pub modifiers: Vec<i32>,
    /// Whether it is an array.
    pub array: bool,
    /// Modifiers of an extension's type, as text: `(Point,4326)`.
    suffix: String,
    /// For a domain, or an array of one, the type it is made of in the end.
    pub base: Option<Box<SqlType>>,
    /// What its values (or those of its elements) are made of.
    pub making: Making,
    /// The extension that it (or the type of its elements) belongs to; empty for none.
    pub extension: String,
    /// What stands between the elements of its arrays.
    pub delimiter: u8,
}

/// What the values of a type are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Making {
    /// One value.
    #[default]
    One,
    /// One of the labels of an enum.
    Label,
    /// Parts that have types of their own: composites, ranges, arrays of arrays.
    Parts,
    /// Such parts, in a type that every server brings with it.
    KnownParts,
}

impl SqlType {
    /// Makes a type without modifiers from a canonical name.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            modifiers: Vec::new(),
            array: false,
            suffix: String::new(),
            base: None,
            making: Making::One,
            extension: String::new(),
            delimiter: if name == "box" { b';' } else { b',' },
        }
    }

    /// Makes a type with modifiers from a canonical name.
    pub fn sized(name: &str, modifiers: &[i32]) -> Self {
        Self { modifiers: modifiers.to_vec(), ..Self::plain(name) }
    }

    /// Reads the name of a built-in type, in any of its spellings; `None` for all other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (element, array) = strip_array(text);
        let (name, modifiers) = strip_modifiers(element)?;
        let name = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let canonical = sql_type::canonical(&name)?;
        let sizes = match canonical {
            "numeric" => 2,
            "character varying" | "character" | "bit" | "bit varying" | "interval" => 1,
            name if name.starts_with("time") => 1,
            _ => 0,
        };
        (modifiers.len() <= sizes).then(|| Self { array, ..Self::sized(canonical, &modifiers) })
    }

    /// Reads what the server's `format_type` printed.
    pub fn from_server(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| {
            let (element, array) = strip_array(text);
            Self { array, ..Self::plain(element) }
        })
    }

    /// Takes over the modifiers of the text it was looked up by, where they are harmless.
    #[must_use]
    pub fn with_suffix_of(mut self, text: &str) -> Self {
        let (element, _) = strip_array(text);
        if let Some((_, rest)) = element.split_once('(')
            && let Some(inner) = rest.strip_suffix(')')
            && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ,-".contains(&byte))
        {
            if self.is_built_in() {
                // By these, not by the text, a value is held to its type; floats have none.
                let sized = Self::parse(&format!("{}({inner})", self.name));
                self.modifiers = sized.map(|sized| sized.modifiers).unwrap_or_default();
            } else {
                self.suffix = format!("({inner})");
            }
        }
        self
    }

    /// Takes over what the server's catalog says of it: the type under domains, if there are some,
    /// what its values are made of, and the extension it belongs to.
    #[must_use]
    pub fn known(mut self, base: Option<&str>, making: Making, extension: &str) -> Self {
        let of = |mut sql: Self| {
            sql.making = making;
            extension.clone_into(&mut sql.extension);
            sql
        };
        self.base = base.map(|base| Box::new(of(Self::from_server(base))));
        of(self)
    }

    /// Returns the type that says how values are written: what is under domains, else itself.
    pub fn storage(&self) -> &Self {
        self.base.as_deref().unwrap_or(self)
    }

    /// Returns the type as SQL.
    pub fn sql(&self) -> String {
        let mut sql = self.name.clone();
        if !self.modifiers.is_empty() {
            let sizes: Vec<String> = self.modifiers.iter().map(i32::to_string).collect();
            let sizes = format!("({})", sizes.join(","));
            match self.name.find(" with") {
                Some(at) if self.name.starts_with("time") => sql.insert_str(at, &sizes),
                _ => sql.push_str(&sizes),
            }
        }
        sql.push_str(&self.suffix);
        if self.array {
            sql.push_str("[]");
        }
        sql
    }

    /// Tells whether the server itself brings the type (and its operators) with it.
    pub fn is_built_in(&self) -> bool {
        sql_type::canonical(&self.name) == Some(&*self.name)
    }

    /// Tells whether this is one of these types, and no array.
    pub fn is(&self, names: &[&str]) -> bool {
        !self.array && names.contains(&&*self.name)
    }

    /// Returns the digits after the point that the type keeps, if it limits them.
    pub fn scale(&self) -> Option<i32> {
        match (&*self.name, &self.modifiers[..]) {
            _ if self.array => None,
            ("numeric", [_, scale]) => Some(*scale),
            ("numeric", [_]) => Some(0),
            (name, [digits]) if name.starts_with("time") => Some(*digits),
            (name, []) if name.starts_with("time") => Some(6),
            // What an interval of some fields keeps is compared.
            ("interval", digits) => Some(digits.first().copied().unwrap_or(6)),
            (name, []) if name.starts_with("interval ") => Some(6),
            ("money", _) => Some(2),
            _ => None,
        }
    }
}

fn strip_array(text: &str) -> (&str, bool) {
    let mut element = text.trim();
    while let Some(shorter) = element.strip_suffix("[]") {
        element = shorter.trim_end();
    }
    (element, element.len() != text.trim().len())
}

/// Takes `(10,2)` out of a type's name.
fn strip_modifiers(text: &str) -> Option<(String, Vec<i32>)> {
    let Some((before, rest)) = text.split_once('(') else {
        return Some((text.to_owned(), Vec::new()));
    };
    let (inner, after) = rest.split_once(')')?;
    let modifiers = inner.split(',').map(|size| size.trim().parse().ok());
    Some((format!("{before} {after}"), modifiers.collect::<Option<_>>()?))
}

/// Returns the type the JSON Schema of a column asks for, leaving its source's type aside.
pub fn from_schema(column: &Column, base16_is_bytea: bool) -> SqlType {
    let format = column.schema["format"].as_str();
    SqlType::plain(match column.kind {
        Kind::Boolean => "boolean",
        Kind::Integer => integer(column),
        Kind::Number => return decimal(column),
        Kind::String if base16_is_bytea && column.is_base16() => "bytea",
        Kind::String if format == Some("uuid") && column.types.has(Types::STRING) => "uuid",
        Kind::String => "text",
        Kind::Date => "date",
        Kind::Time => "time without time zone",
        Kind::DateTime => "timestamp with time zone",
        Kind::Json => "jsonb",
    })
}

fn integer(column: &Column) -> &'static str {
    let bound = |key: &str| match &column.schema[key] {
        Value::Number(number) => {
            let text = number.to_string();
            text.parse::<i128>().ok().or_else(|| number.as_f64().map(saturating))
        }
        _ => None,
    };
    let (low, high) = (bound("minimum"), bound("maximum"));
    let within = |least: i128, most: i128| {
        low.is_some_and(|low| low >= least) && high.is_some_and(|high| high <= most)
    };
    if within(i16::MIN.into(), i16::MAX.into()) {
        "smallint"
    } else if within(i32::MIN.into(), i32::MAX.into()) {
        "integer"
    } else if high.is_some_and(|high| high > i64::MAX.into())
        || low.is_some_and(|low| low < i64::MIN.into())
    {
        "numeric"
    } else {
        "bigint"
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which a bound may")]
fn saturating(bound: f64) -> i128 {
    bound as i128
}

fn decimal(column: &Column) -> SqlType {
    let size = |key: &str| column.schema[key].as_i64().and_then(|size| i32::try_from(size).ok());
    match (size("precision"), size("scale")) {
        (Some(precision @ 1..=1000), scale) if (0..=precision).contains(&scale.unwrap_or(0)) => {
            SqlType::sized("numeric", &[precision, scale.unwrap_or(0)])
        }
        _ => SqlType::plain("numeric"),
    }
}

/// Tells whether a type may take the canonical text of a column's cells: what it would lose without
/// a report of the server, the encoder refuses or [`crate::kept`] has compared.
pub fn fits(column: &Column, sql: &SqlType) -> bool {
    let sql = sql.storage();
    if sql.array {
        // A string is Postgres' own text of the array.
        return column.kind == Kind::String
            || column.kind == Kind::Json && column.types.meets(Types::ARRAY);
    }
    let name = &*sql.name;
    if matches!(name, "text" | "character varying" | "json" | "jsonb") {
        return true;
    }
    let number = matches!(name, "smallint" | "integer" | "bigint" | "numeric" | "real")
        || name == "double precision";
    let timed = name == "date" || name.starts_with("time");
    match column.kind {
        Kind::Boolean => name == "boolean",
        Kind::Integer => number || name == "oid",
        Kind::Number => matches!(name, "numeric" | "real" | "double precision"),
        Kind::Date => name == "date" || name.starts_with("timestamp"),
        Kind::Time => name.starts_with("time "),
        Kind::DateTime => name.starts_with("timestamp"),
        Kind::String if name == "bytea" => column.is_base16(),
        Kind::String => !number && !timed && name != "boolean",
        Kind::Json => false,
    }
}

/// What an existing column needs before it can take the values of a column of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Keep,
    /// A wider type.
    Widen(SqlType),
    /// A type that cannot hold all it may have to: no safe way.
    Refuse,
}

/// Decides how an existing column takes values for which `wanted` would be made.
pub fn change(column: &Column, existing: &SqlType, wanted: &SqlType) -> Change {
    if existing == wanted || column.is_guess() {
        return Change::Keep;
    }
    let fitting = fits(column, existing);
    let schema = &column.schema;
    let explicit = ["maximum", "maxLength", "precision"].iter().any(|key| !schema[*key].is_null())
        || column.sql_datatype().is_some();
    if fitting && !explicit {
        return Change::Keep;
    }
    let wanted = match schema["maxLength"].as_u64().and_then(|length| i32::try_from(length).ok()) {
        Some(length) if wanted.is(&["text"]) && column.sql_datatype().is_none() => {
            &SqlType::sized("character varying", &[length])
        }
        _ => wanted,
    };
    match widened(existing, wanted) {
        Some(wide) if wide == *existing => Change::Keep,
        Some(wide) => Change::Widen(wide),
        None if fitting => Change::Keep,
        None => Change::Refuse,
    }
}

/// Returns the type that holds all values of both, where `existing` can become it safely.
fn widened(existing: &SqlType, wanted: &SqlType) -> Option<SqlType> {
    const INTEGERS: [&str; 3] = ["smallint", "integer", "bigint"];
    if existing.array || wanted.array {
        return None;
    }
    let rank = |sql: &SqlType| INTEGERS.iter().position(|name| *name == sql.name);
    match (&*existing.name, &*wanted.name) {
        (_, "text") if existing.is(&["character varying", "character", "bpchar", "text"]) => {
            Some(wanted.clone())
        }
        ("character varying", "character varying" | "character") => {
            Some(match (existing.modifiers.first(), wanted.modifiers.first()) {
                (Some(old), Some(new)) => SqlType::sized("character varying", &[*old.max(new)]),
                _ => SqlType::plain("character varying"),
            })
        }
        ("numeric", "numeric") => Some(numeric_of_both(existing, wanted)),
        ("numeric", name) if INTEGERS.contains(&name) => {
            existing.modifiers.is_empty().then(|| existing.clone())
        }
        (name, "numeric") if INTEGERS.contains(&name) => Some(SqlType::plain("numeric")),
        ("smallint" | "integer" | "real", "double precision") => Some(wanted.clone()),
        ("double precision", "real") => Some(existing.clone()),
        _ => match (rank(existing)?, rank(wanted)?) {
            (old, new) if old >= new => Some(existing.clone()),
            _ => Some(wanted.clone()),
        },
    }
}

fn numeric_of_both(one: &SqlType, other: &SqlType) -> SqlType {
    let parts = |sql: &SqlType| {
        let precision = *sql.modifiers.first()?;
        let scale = sql.modifiers.get(1).copied().unwrap_or(0);
        Some((precision - scale, scale))
    };
    match (parts(one), parts(other)) {
        (Some((whole, scale)), Some((other_whole, other_scale))) => {
            let scale = scale.max(other_scale);
            SqlType::sized("numeric", &[whole.max(other_whole) + scale, scale])
        }
        _ => SqlType::plain("numeric"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(schema: &str) -> Column {
        Column::new("c", serde_json::from_str(schema).unwrap())
    }

    #[test]
    fn reads_only_built_in_names() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(SqlType::parse(text).map(|sql| sql.sql()).as_deref(), expected, "{text}");
        };
        check("numeric(10,2)", Some("numeric(10,2)"));
        check("VARCHAR (20)", Some("character varying(20)"));
        check("timestamp(3) without time zone", Some("timestamp(3) without time zone"));
        check("timestamptz(3)[][]", Some("timestamp(3) with time zone[]"));
        check("int4", Some("integer"));
        check("double  precision", Some("double precision"));
        check("integer; drop table x", None);
        check("text); drop table x; --", None);
        check("numeric(10,2", None);
        check("integer(3)", None);
        check("public.mood", None);
        assert_eq!(
            SqlType::plain("public.geometry").with_suffix_of("geometry(Point,4326)").sql(),
            "public.geometry(Point,4326)"
        );
        assert_eq!(SqlType::plain("v").with_suffix_of("v(3); drop (x)").sql(), "v");
    }

    #[test]
    fn maps_json_schema() {
        let check = |schema: &str, expected: &str| {
            assert_eq!(from_schema(&column(schema), false).sql(), expected, "{schema}");
        };
        check(r#"{"type":"integer"}"#, "bigint");
        check(r#"{"type":"integer","minimum":-32768,"maximum":32767}"#, "smallint");
        check(r#"{"type":"integer","minimum":0,"maximum":2147483647}"#, "integer");
        check(r#"{"type":"integer","minimum":0,"maximum":18446744073709551615}"#, "numeric");
        check(r#"{"type":["null","number"]}"#, "numeric");
        check(
            r#"{"type":"string","format":"x-singer.decimal","precision":9,"scale":2}"#,
            "numeric(9,2)",
        );
        check(r#"{"type":"string","format":"uuid"}"#, "uuid");
        check(r#"{"type":"string","contentEncoding":"base16"}"#, "text");
        check(r#"{"type":["integer","string"]}"#, "text");
        check(r#"{"type":"string","format":"date-time"}"#, "timestamp with time zone");
        check(r#"{"type":["array","null"],"items":{"type":"integer"}}"#, "jsonb");
        check("{}", "jsonb");
    }

    #[test]
    fn widens_only_where_nothing_can_be_lost() {
        let check = |schema: &str, existing: &str, expected: &str| {
            let column = column(schema);
            let wanted = column.sql_datatype().and_then(SqlType::parse);
            let wanted = wanted.unwrap_or_else(|| from_schema(&column, false));
            let change = match change(&column, &SqlType::from_server(existing), &wanted) {
                Change::Keep => "keep".to_owned(),
                Change::Widen(wide) => wide.sql(),
                Change::Refuse => "refuse".to_owned(),
            };
            assert_eq!(change, expected, "{existing} <- {schema}");
        };
        check(r#"{"type":"integer"}"#, "integer", "keep");
        check(r#"{"type":"integer","x-sql-datatype":"bigint"}"#, "integer", "bigint");
        check(r#"{"type":"integer","x-sql-datatype":"smallint"}"#, "bigint", "keep");
        check(r#"{"type":"number"}"#, "bigint", "numeric");
        check(r#"{"type":"number"}"#, "double precision", "keep");
        check(r#"{"type":"number","x-sql-datatype":"numeric(9,2)"}"#, "double precision", "keep");
        check(
            r#"{"type":"number","x-sql-datatype":"numeric(12,4)"}"#,
            "numeric(10,2)",
            "numeric(12,4)",
        );
        check(
            r#"{"type":"number","x-sql-datatype":"numeric(6,4)"}"#,
            "numeric(10,2)",
            "numeric(12,4)",
        );
        check(r#"{"type":"number","x-sql-datatype":"real"}"#, "double precision", "keep");
        check(r#"{"type":"string"}"#, "character varying(10)", "keep");
        check(
            r#"{"type":"string","maxLength":20}"#,
            "character varying(10)",
            "character varying(20)",
        );
        check(r#"{"type":"string","maxLength":5}"#, "character varying(10)", "keep");
        check(r#"{"type":"string","x-sql-datatype":"text"}"#, "character varying(10)", "text");
        check(r#"{"type":"string","x-sql-datatype":"varchar(5)"}"#, "text", "keep");
        check(r#"{"type":"string"}"#, "integer", "refuse");
        check(r#"{"type":"string","x-no-values":true}"#, "integer", "keep");
        check(r#"{"type":"string","x-no-values":true}"#, "date[]", "keep");
        check(r#"{"type":"string","format":"date"}"#, "integer", "refuse");
        check(r#"{"type":"string","format":"date-time"}"#, "date", "refuse");
        check(r#"{"type":"string","format":"date-time"}"#, "timestamp without time zone", "keep");
        check(r#"{"type":"integer"}"#, "text", "keep");
        check(r#"{"type":"string"}"#, "public.mood", "keep");
        check(r#"{"type":"object"}"#, "integer", "refuse");
        check(r#"{"type":"boolean"}"#, "smallint", "refuse");
    }
}
