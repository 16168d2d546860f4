//! Columns and their kinds, read from JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::weight::{COPIED_MAX, size};

/// What the text of a column means. The text is canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// `-?digits`, any number of them.
    Integer,
    /// A JSON number with its digits as they came, or `NaN`, `Infinity`, `-Infinity`.
    Number,
    /// The characters themselves, UTF-8; also for columns of several scalar types.
    String,
    /// `YYYY-MM-DD`; beyond years 1 to 9999 as Postgres prints it (`0044-03-15 BC`, `infinity`).
    Date,
    /// `HH:MM:SS[.fraction][offset]`.
    Time,
    /// RFC 3339; beyond years 1 to 9999 as Postgres prints it.
    DateTime,
    /// JSON text on one line without white space between tokens.
    Json,
}

impl Kind {
    /// Returns the JSON Schema of a nullable column of this kind.
    pub fn property(self) -> Value {
        match self {
            Self::Boolean => json!({"type": ["boolean", "null"]}),
            Self::Integer => json!({"type": ["integer", "null"]}),
            Self::Number => json!({"type": ["number", "null"]}),
            Self::String => json!({"type": ["string", "null"]}),
            Self::Date => json!({"type": ["string", "null"], "format": "date"}),
            Self::Time => json!({"type": ["string", "null"], "format": "time"}),
            Self::DateTime => json!({"type": ["string", "null"], "format": "date-time"}),
            Self::Json => {
                json!({"type": ["object", "array", "string", "number", "boolean", "null"]})
            }
        }
    }

    /// Returns the word for it in settings and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Date => "date",
            Self::Time => "time",
            Self::DateTime => "date-time",
            Self::Json => "json",
        }
    }
}

/// A set of JSON types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Types(u8);

impl Types {
    /// `null`
    pub const NULL: Self = Self(1);
    /// `boolean`
    pub const BOOLEAN: Self = Self(2);
    /// `integer`
    pub const INTEGER: Self = Self(4);
    /// `number`; contains `integer`
    pub const NUMBER: Self = Self(8 | 4);
    /// `string`
    pub const STRING: Self = Self(16);
    /// `object`
    pub const OBJECT: Self = Self(32);
    /// `array`
    pub const ARRAY: Self = Self(64);
    /// Every type.
    pub const ANY: Self = Self(127);

    /// Tells whether all of `other` is in the set.
    #[inline]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Tells whether the sets share a type.
    #[inline]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the union.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the set without `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Names the types, for people: `integer or null`.
    pub fn words(self) -> String {
        const WORDS: [(Types, &str); 7] = [
            (Types::BOOLEAN, "boolean"),
            (Types(8), "number"),
            (Types::INTEGER, "integer"),
            (Types::STRING, "string"),
            (Types::OBJECT, "object"),
            (Types::ARRAY, "array"),
            (Types::NULL, "null"),
        ];
        let found = WORDS.iter().filter(|(types, _)| self.has(*types)).map(|(_, word)| *word);
        let found = found.filter(|word| !(*word == "integer" && self.has(Self::NUMBER)));
        found.collect::<Vec<_>>().join(" or ")
    }

    /// Returns the type a JSON Schema word names.
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            _ => return None,
        })
    }

    /// Reads the types a property schema allows: `type`, else the union of `anyOf`/`oneOf`, else
    /// what all of `allOf` allow. No word at all allows every type, and so does one that JSON
    /// Schema does not know, which a target refuses ([`unknown_type`]). A column of a scalar type
    /// of SQL has scalars.
    fn of(property: &Value) -> Self {
        let named = |word: &Value| word.as_str().and_then(Self::named).unwrap_or(Self::ANY);
        let all = match &property["type"] {
            word @ Value::String(_) => named(word),
            Value::Array(words) => words.iter().map(named).fold(Self::default(), Self::or),
            _ => match branches(property) {
                Some(branches) => branches.iter().map(Self::of).fold(Self::default(), Self::or),
                None if is_scalar_of_sql(property) => {
                    Self::ANY.without(Self::OBJECT.or(Self::ARRAY))
                }
                None => {
                    let all = property["allOf"].as_array().into_iter().flatten();
                    all.map(Self::of).fold(Self::ANY, |of, branch| Self(of.0 & branch.0))
                }
            },
        };
        if all == Self::default() { Self::ANY } else { all }
    }
}

/// One column of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The property name.
    pub name: String,
    /// What the text of its cells means.
    pub kind: Kind,
    /// The JSON types its values may have.
    pub types: Types,
    /// The property's JSON Schema, with every keyword it came with.
    pub schema: Value,
    /// With the keyword `x-absent-is-null`, SQL NULL travels as a missing key and the JSON value
    /// `null` as itself, so that a jsonb `null` and a SQL NULL stay two things. In a batch SQL
    /// NULL is a null cell and JSON's null the text `null`.
    pub absent_is_null: bool,
}

/// The keyword behind [`Column::absent_is_null`].
pub const ABSENT_IS_NULL: &str = "x-absent-is-null";
/// The keyword that carries the type a column has in its SQL source, as `format_type` prints it.
pub const SQL_DATATYPE: &str = "x-sql-datatype";
/// The keyword at the top of a stream's schema that says of which database those types are, such as
/// `postgresql`. Without it a target takes them for its own.
pub const SQL_DIALECT: &str = "x-sql-dialect";
/// The keyword with the name of the extension that the type of a column belongs to in its SQL
/// source, or the one under its domain or of its elements: it may be in another schema elsewhere.
pub const SQL_EXTENSION: &str = "x-sql-extension";
/// The keyword of a column whose type is a guess, as none of its cells had a value: it says nothing
/// against any type that a table has for the column.
pub const NO_VALUES: &str = "x-no-values";
/// The keyword of a JSON column that had plain values alone: texts, numbers and booleans, and no
/// object or list.
pub const PLAIN_VALUES: &str = "x-plain-values";
/// The keyword at the top of a stream's schema that names its partition: `{source, extracted_at}`.
pub const PARTITION: &str = "x-partition";
/// The keyword at the top of a stream's schema that names the table it is read from:
/// `{schema, table}`. It says how the stream's name, `SCHEMA-TABLE`, is to be taken apart, and
/// nothing of a stream that somebody gave another name.
pub const TABLE: &str = "x-table";
/// The keyword with the id of a property in its contract, which stays when its name changes.
pub const COLUMN_ID: &str = "x-column-id";
/// The property in which a record says that its row was deleted in the source.
pub const DELETED_AT: &str = "_sdc_deleted_at";

impl Column {
    /// Reads a property.
    pub fn new(name: impl Into<String>, schema: Value) -> Self {
        let types = Types::of(&schema);
        let absent_is_null = schema[ABSENT_IS_NULL] == Value::Bool(true);
        Self { name: name.into(), kind: kind_of(&schema, types), types, schema, absent_is_null }
    }

    /// Tells whether null is allowed.
    pub fn nullable(&self) -> bool {
        self.types.has(Types::NULL)
    }

    /// Tells whether the type is a guess, as no cell had a value.
    pub fn is_guess(&self) -> bool {
        self.schema[NO_VALUES] == Value::Bool(true)
    }

    /// Returns the source's SQL type, if the schema carries it.
    pub fn sql_datatype(&self) -> Option<&str> {
        self.schema[SQL_DATATYPE].as_str()
    }

    /// Tells whether the cells are hexadecimal text of bytes (`contentEncoding: base16`).
    pub fn is_base16(&self) -> bool {
        self.schema["contentEncoding"] == "base16"
    }
}

/// Reads the columns of a stream's schema, in the order of its `properties`.
pub fn columns(schema: &Map<String, Value>) -> Vec<Column> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| Column::new(name.clone(), resolve(property, schema)))
        .collect()
}

/// How many columns a stream may have, unless `max_columns` says otherwise.
pub const COLUMNS_MAX: usize = 50_000;

/// Refuses a schema whose columns would take more memory than its text lets expect: each column
/// takes some KB, and has a copy of what its reference leads to.
pub fn check_size(schema: &Map<String, Value>, columns_max: usize) -> Result<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    check_count(properties.len(), columns_max)?;
    // A target of many columns is measured once.
    let mut sizes = BTreeMap::new();
    let mut copied = 0_u64;
    for (name, property) in properties {
        let Some((path, target)) = target(property, schema) else { continue };
        let size = *sizes.entry(path).or_insert_with(|| size(target));
        copied = copied.saturating_add(size);
        if copied > COPIED_MAX {
            return Err(Error::new(ErrorKind::Data, "cannot follow the references of a schema")
                .with("column", name)
                .with("reason", format!("they lead to more than {COPIED_MAX} parts"))
                .hint("in the schema, replace references to large definitions by `{}`"));
        }
    }
    Ok(())
}

/// Refuses more columns than a stream may have.
fn check_count(columns: usize, columns_max: usize) -> Result<()> {
    if columns <= columns_max {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Data, "cannot read a stream with this many columns")
        .with("columns", columns)
        .with("max_columns", columns_max)
        .hint(
            "if the names of properties are data, put these properties into one object; else raise \
              `max_columns`",
        ))
}

/// Follows a `$ref` into the schema's own definitions, one level; others stay as they are.
fn resolve(property: &Value, schema: &Map<String, Value>) -> Value {
    target(property, schema).map_or(property, |(_, target)| target).clone()
}

/// Returns the path of a `$ref` and what it leads to.
fn target<'a>(property: &'a Value, schema: &'a Map<String, Value>) -> Option<(&'a str, &'a Value)> {
    let path = property["$ref"].as_str()?.strip_prefix("#/")?;
    let mut parts = path.split('/');
    let first = schema.get(parts.next()?)?;
    Some((path, parts.try_fold(first, |at, part| at.get(part))?))
}

fn kind_of(property: &Value, types: Types) -> Kind {
    let types = types.without(Types::NULL);
    if types.meets(Types::OBJECT.or(Types::ARRAY)) || types == Types::default() {
        return Kind::Json;
    }
    if types == Types::BOOLEAN {
        return Kind::Boolean;
    }
    if types == Types::INTEGER {
        return Kind::Integer;
    }
    if types == Types::NUMBER {
        return Kind::Number;
    }
    if types != Types::STRING {
        return Kind::String;
    }
    match format_of(property) {
        Some("date") => Kind::Date,
        Some("time") => Kind::Time,
        Some("date-time") => Kind::DateTime,
        Some("singer.decimal" | "x-singer.decimal") => Kind::Number,
        _ => Kind::String,
    }
}

/// Returns the `format` of the property, or the one its string branches share.
fn format_of(property: &Value) -> Option<&str> {
    if let Some(format) = property["format"].as_str() {
        return Some(format);
    }
    let mut strings = branches(property)?.iter().filter(|b| Types::of(b).has(Types::STRING));
    let format = format_of(strings.next()?)?;
    strings.all(|branch| format_of(branch) == Some(format)).then_some(format)
}

/// Tells whether a column has a type of SQL whose values are neither JSON nor arrays.
fn is_scalar_of_sql(property: &Value) -> bool {
    let sql = |key: &str| property[key].as_str().map(|sql| sql.trim().to_lowercase());
    let is_json = |sql: &String| matches!(&**sql, "json" | "jsonb") || sql.ends_with("[]");
    let names = [sql(SQL_DATATYPE), sql("x-sql-base-datatype")];
    let plain = property["allOf"].is_null() && property[ABSENT_IS_NULL].is_null();
    plain && names[0].is_some() && !names.iter().flatten().any(is_json)
}

/// Returns the first word among the types of a property that JSON Schema does not know.
pub(crate) fn unknown_type(property: &Value) -> Option<String> {
    let word = |word: &Value| match word {
        Value::String(word) => Types::named(word).is_none().then(|| word.clone()),
        _ => None,
    };
    let own = match &property["type"] {
        Value::Array(words) => words.iter().find_map(word),
        one => word(one),
    };
    own.or_else(|| {
        let keys = ["anyOf", "oneOf", "allOf"].iter();
        let branches = keys.filter_map(|key| property[*key].as_array()).flatten();
        branches.filter(|branch| branch.is_object()).find_map(unknown_type)
    })
}

fn branches(property: &Value) -> Option<&Vec<Value>> {
    property["anyOf"].as_array().or_else(|| property["oneOf"].as_array())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_share_a_large_definition_only_so_often() {
        let check = |columns: usize, reference: &str, large: Value| {
            let column = |at: usize| (format!("c{at}"), json!({ "$ref": reference }));
            let properties: Map<_, _> = (0..columns).map(column).collect();
            let schema = json!({ "properties": properties, "definitions": { "a": large } });
            check_size(schema.as_object().unwrap(), 5000).map_err(|failure| failure.to_string())
        };
        let words = || json!({ "enum": vec!["word"; 1000] });
        check(500, "#/definitions/a", words()).unwrap();
        let text = json!({ "description": "x".repeat(100_000) });
        for (columns, reference, large) in [
            (1500, "#/definitions/a", words()),
            (1500, "#/definitions", words()),
            (1500, "#/properties", json!({})),
            (2000, "#/definitions/a", text),
        ] {
            let failure = check(columns, reference, large).unwrap_err();
            assert!(failure.contains("cannot follow the references"), "{failure}");
        }
        check(5000, "#/definitions/none", json!({})).unwrap();
        let failure = check(5001, "#/definitions/none", json!({})).unwrap_err();
        assert!(failure.contains("max_columns"), "{failure}");
    }

    #[test]
    fn reads_kinds_from_the_shapes_taps_write() {
        let check = |schema: &str, kind| {
            let column = Column::new("c", serde_json::from_str(schema).unwrap());
            assert_eq!(column.kind, kind, "{schema}");
        };
        check(r#"{"type":["null","integer"]}"#, Kind::Integer);
        check(r#"{"type":["integer","number"]}"#, Kind::Number);
        check(r#"{"type":"boolean"}"#, Kind::Boolean);
        check(r#"{"type":["string","null"],"format":"date-time"}"#, Kind::DateTime);
        check(r#"{"anyOf":[{"type":"string","format":"date"},{"type":"null"}]}"#, Kind::Date);
        check(r#"{"anyOf":[{"type":"string","format":"date"},{"type":"string"}]}"#, Kind::String);
        check(r#"{"type":["null","integer","string"]}"#, Kind::String);
        check(r#"{"type":["object","null"]}"#, Kind::Json);
        check(r#"{"type":["array","string","null"]}"#, Kind::Json);
        check("{}", Kind::Json);
        check(r#"{"type":"null"}"#, Kind::Json);
        check(r#"{"type":"string","format":"x-singer.decimal"}"#, Kind::Number);
        // What allows every type is JSON.
        for any in [r#""varchar""#, r#"["null","int"]"#, "[]", r#"[{"type":"string"}]"#, "7"] {
            check(&format!(r#"{{"type":{any}}}"#), Kind::Json);
            check(&format!(r#"{{"anyOf":[{{"type":{any}}},{{"type":"null"}}]}}"#), Kind::Json);
        }
        check(r#"{"oneOf":[]}"#, Kind::Json);
        check(r#"{"allOf":[]}"#, Kind::Json);
        check(r#"{"allOf":[{"type":"string"}]}"#, Kind::String);
        check(r#"{"allOf":[{"maxLength":3},{"type":["string","null"]}]}"#, Kind::String);
        check(r##"{"allOf":[{"$ref":"#/definitions/a"}]}"##, Kind::Json);
        check(r#"{"x-sql-datatype":"citext"}"#, Kind::String);
        check(r#"{"x-sql-datatype":"jsonb"}"#, Kind::Json);
        check(r#"{"x-sql-datatype":"integer[]"}"#, Kind::Json);
    }

    #[test]
    fn words_that_are_no_type_are_found() {
        let check = |schema: &str, expected: Option<&str>| {
            let found = unknown_type(&serde_json::from_str(schema).unwrap());
            assert_eq!(found.as_deref(), expected, "{schema}");
        };
        check(r#"{"type":"sting"}"#, Some("sting"));
        check(r#"{"type":["null","int"]}"#, Some("int"));
        check(r#"{"anyOf":[{"type":"null"},{"oneOf":[{"type":"str"}]}]}"#, Some("str"));
        check(r#"{"type":["null","integer"],"format":"sting"}"#, None);
        check(r#"{"type":7}"#, None);
        check(r#"{"properties":{"a":{"type":"sting"}}}"#, None);
        check("{}", None);
    }
}
