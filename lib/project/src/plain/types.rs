//! Types of columns, in the words of pandas, SQL and JSON Schema.

use serde_json::{Map, Value, json};

/// A type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlainType {
    /// How the file writes it.
    pub word: String,
    /// `logicalType` of the contract; `None`: values of any kind.
    pub logical: Option<&'static str>,
    /// `logicalTypeOptions` of the contract.
    pub options: Map<String, Value>,
}

impl PlainType {
    /// Returns it as the settings of taps that read files have it.
    pub(super) fn of_files(&self) -> Value {
        match self.logical {
            None | Some("array") => "json".into(),
            Some("timestamp") => "date-time".into(),
            Some("boolean") => {
                json!({ "type": "boolean", "true_values": TRUTHS, "false_values": FALSITIES })
            }
            Some(word) => word.into(),
        }
    }
}

/// How files write true: as JSON, as pandas, as Excel, as a number.
pub(super) const TRUTHS: [&str; 4] = ["true", "True", "TRUE", "1"];
/// How they write false.
pub(super) const FALSITIES: [&str; 4] = ["false", "False", "FALSE", "0"];

/// What the words mean, each group with an example for people.
const WORDS: &[(&str, &[&str])] = &[
    (
        "integer",
        &["integer", "int", "bigint", "smallint", "int2", "int4", "int8", "long", "serial"],
    ),
    (
        "number",
        &[
            "number",
            "float",
            "double",
            "double precision",
            "real",
            "numeric",
            "decimal",
            "float4",
            "float8",
            "money",
        ],
    ),
    (
        "string",
        &[
            "string",
            "object",
            "str",
            "text",
            "varchar",
            "char",
            "character varying",
            "character",
            "category",
            "uuid",
            "email",
        ],
    ),
    ("boolean", &["boolean", "bool"]),
    ("date", &["date"]),
    ("time", &["time"]),
    (
        "timestamp",
        &[
            "timestamp",
            "timestamptz",
            "datetime",
            "date-time",
            "datetime64",
            "timestamp with time zone",
            "timestamp without time zone",
        ],
    ),
    ("array", &["array"]),
    ("", &["json", "jsonb"]),
];

/// The words that a message shows.
pub(super) const SHOWN: &str = "int64, float64, object, string, bool, category, datetime64[ns], \
                                date, and the names of types in SQL and JSON Schema";

/// Reads a type.
pub(super) fn read(text: &str) -> Option<PlainType> {
    let word = text.trim().to_lowercase();
    let (base, size) = match word.split_once(['(', '[']) {
        Some((base, rest)) => (base.trim(), Some(rest.trim_end_matches([')', ']']))),
        None => (word.as_str(), None),
    };
    let mut options = Map::new();
    let logical = if let Some((logical, format)) = of_bits(base) {
        // `int8` is eight bytes in Postgres and eight bits in pandas: only the pandas spellings of
        // other widths say which values there are.
        if let Some(format) = format {
            options.insert("format".to_owned(), format.into());
        }
        logical
    } else {
        WORDS.iter().find(|(_, words)| words.contains(&base))?.0
    };
    match (base, size) {
        ("varchar" | "char" | "character varying" | "character", Some(size)) => {
            options.insert("maxLength".to_owned(), json!(size.trim().parse::<u64>().ok()?));
        }
        ("uuid" | "email", None) => {
            options.insert("format".to_owned(), base.into());
        }
        (_, Some(_)) if !matches!(base, "datetime64" | "numeric" | "decimal" | "timestamp") => {
            return None;
        }
        _ => {}
    }
    let logical = Some(logical).filter(|logical| !logical.is_empty());
    Some(PlainType { word: text.trim().to_owned(), logical, options })
}

/// Reads the types of pandas that end with a number of bits.
fn of_bits(base: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match base {
        "int64" => ("integer", Some("i64")),
        "int32" => ("integer", Some("i32")),
        "int16" => ("integer", Some("i16")),
        "uint64" => ("integer", Some("u64")),
        "uint32" => ("integer", Some("u32")),
        "uint16" => ("integer", Some("u16")),
        "uint8" => ("integer", Some("u8")),
        "float64" | "float32" | "float16" => ("number", None),
        _ => return None,
    })
}
