//! Types of Postgres: the JSON Schema they get, and what their COPY text needs on its way (pure).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use singer::schema::{ABSENT_IS_NULL, SQL_DATATYPE};

use crate::convert::Conversion;
use crate::parameters::NAMES;

/// Whose types they are that a schema of a Postgres source names.
pub const DIALECT: &str = "postgresql";
/// The keyword with the type under a domain.
pub const SQL_BASE_DATATYPE: &str = "x-sql-base-datatype";
/// `VARHDRSZ`: what a type modifier counts on top of a length.
const MODIFIER_EXTRA: i32 = 4;

/// The types of a server by their number.
pub type Types = BTreeMap<u32, PgType>;

/// What is known of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgType {
    /// Its name, without a schema.
    pub name: String,
    /// As `format_type` prints it.
    pub formatted: String,
    /// Whether it comes with Postgres (is in `pg_catalog`).
    pub builtin: bool,
    /// What it is made of.
    pub class: Class,
}

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// A type of its own.
    Base,
    /// An enum with these values, in their order.
    Enum(Vec<String>),
    /// A domain over a type, with that type's modifier.
    Domain {
        /// The type under it.
        base: u32,
        /// The modifier the domain gives that type, -1 for none.
        modifier: i32,
    },
    /// An array of a type.
    Array {
        /// The type of its elements.
        element: u32,
        /// What stands between elements in a literal.
        delimiter: u8,
    },
}

/// What a user may choose about the mapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choices {
    /// Arrays as their literals instead of JSON arrays.
    pub arrays_as_text: bool,
    /// Dates and times of day and date as strings without a format, as Postgres prints them.
    pub dates_as_string: bool,
    /// json and jsonb declared as objects.
    pub json_as_object: bool,
}

/// How a column travels.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Its JSON Schema.
    pub schema: Map<String, Value>,
    /// What its COPY text needs.
    pub conversion: Conversion,
}

/// The type of a column, as the catalog has it.
#[derive(Clone, Copy, Debug)]
pub struct ColumnType<'a> {
    /// The number of the type.
    pub oid: u32,
    /// Its modifier; -1 for none.
    pub modifier: i32,
    /// The type and its modifier as SQL.
    pub formatted: &'a str,
    /// Whether the column may be NULL.
    pub nullable: bool,
}

/// Maps a column of this type.
pub fn map(types: &Types, column: ColumnType<'_>, choices: Choices) -> Mapping {
    let ColumnType { oid, modifier, formatted, nullable } = column;
    let (base, base_modifier, domain) = base_of(types, oid, modifier);
    let mut mapping = map_base(types, base, base_modifier, choices);
    if nullable && let Some(Value::Array(words)) = mapping.schema.get_mut("type") {
        let null = json!("null");
        if !words.contains(&null) {
            words.push(null);
        }
    }
    mapping.schema.insert(SQL_DATATYPE.to_owned(), formatted.into());
    if domain && let Some(base) = types.get(&base) {
        let declared = declared(&base.formatted, base_modifier);
        mapping.schema.insert(SQL_BASE_DATATYPE.to_owned(), declared.into());
    }
    mapping
}

/// Returns how a column of a type is declared that keeps what the modifier lets it keep. Alone,
/// `character` and `bit` have one place.
fn declared(formatted: &str, modifier: i32) -> String {
    let (name, array) = match formatted.strip_suffix("[]") {
        Some(name) => (name, "[]"),
        None => (formatted, ""),
    };
    match (name, modifier) {
        ("character", 5..) => format!("character({}){array}", modifier - 4),
        ("character", _) => format!("bpchar{array}"),
        ("bit", 1..) => format!("bit({modifier}){array}"),
        ("bit", _) => format!("bit varying{array}"),
        _ => formatted.to_owned(),
    }
}

/// The types that have an order a bookmark can follow.
const ORDERED: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "numeric",
    "float4",
    "float8",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "text",
    "varchar",
    "bpchar",
    "uuid",
    "oid",
    "name",
    "money",
    "pg_lsn",
];

/// Tells whether values of the type can be compared in the order of their text's meaning, so that
/// it can be a replication key.
pub fn is_orderable(types: &Types, oid: u32) -> bool {
    builtin_name(types, oid).is_some_and(|name| ORDERED.contains(&name))
}

/// Returns the name of a type of Postgres' own, also of the one under a domain.
pub fn builtin_name(types: &Types, oid: u32) -> Option<&str> {
    let (base, ..) = base_of(types, oid, -1);
    types.get(&base).filter(|found| found.builtin).map(|found| found.name.as_str())
}

/// Tells whether the text of a type may change with a setting that changes the text of types of
/// these names (`*`: of all). What is made of other types, or is not known, may.
pub fn is_shown_by(types: &Types, oid: u32, names: &[&str]) -> bool {
    let (base, ..) = base_of(types, oid, -1);
    match types.get(&base) {
        Some(PgType { class: Class::Array { element, .. }, .. }) => {
            is_shown_by(types, *element, names)
        }
        Some(PgType { class: Class::Base, builtin: true, name, .. }) => {
            names.contains(&"*") || names.contains(&name.as_str())
        }
        Some(PgType { class: Class::Enum(_), .. }) => names.contains(&"*"),
        _ => !names.is_empty(),
    }
}

/// Tells whether the text of a type may name objects, which it does by the search path.
pub fn names_objects(types: &Types, oid: u32) -> bool {
    let (base, ..) = base_of(types, oid, -1);
    match types.get(&base) {
        Some(PgType { class: Class::Array { element, .. }, .. }) => names_objects(types, *element),
        Some(PgType { builtin, name, .. }) => {
            *builtin && NAMES.split_ascii_whitespace().any(|known| known == name)
        }
        // What is made of other types.
        None => true,
    }
}

/// Follows domains down to the type under them: its number and modifier, and whether there was a
/// domain.
pub fn base_of(types: &Types, mut oid: u32, mut modifier: i32) -> (u32, i32, bool) {
    let mut domain = false;
    // The catalog cannot hold a cycle; the bound costs nothing.
    for _ in 0..64 {
        let Some(PgType { class: Class::Domain { base, modifier: own }, .. }) = types.get(&oid)
        else {
            break;
        };
        domain = true;
        oid = *base;
        if modifier < 0 {
            modifier = *own;
        }
    }
    (oid, modifier, domain)
}

fn map_base(types: &Types, oid: u32, modifier: i32, choices: Choices) -> Mapping {
    let Some(found) = types.get(&oid) else { return text(None) };
    match &found.class {
        Class::Enum(labels) => {
            let mut mapping = text(None);
            mapping.schema.insert("enum".to_owned(), labels.clone().into());
            mapping
        }
        Class::Array { .. } if choices.arrays_as_text => text(None),
        Class::Array { element, delimiter } => array(types, *element, *delimiter, choices),
        Class::Base | Class::Domain { .. } if found.builtin => {
            builtin(&found.name, modifier, choices)
        }
        _ => text(None),
    }
}

fn builtin(name: &str, modifier: i32, choices: Choices) -> Mapping {
    match name {
        "bool" => mapping(json!({"type": ["boolean"]}), Conversion::Boolean),
        "int2" => integer(i16::MIN.into(), i16::MAX.into()),
        "int4" => integer(i32::MIN.into(), i32::MAX.into()),
        "int8" => integer(i64::MIN, i64::MAX),
        "numeric" | "float4" | "float8" => mapping(json!({"type": ["number"]}), Conversion::Number),
        "date" | "timestamp" | "timestamptz" if choices.dates_as_string => text(None),
        "date" => formatted("date", Conversion::Plain),
        "time" => formatted("time", Conversion::Plain),
        "timetz" => formatted("time", Conversion::TimeWithZone),
        "timestamp" => formatted("date-time", Conversion::Timestamp),
        "timestamptz" => formatted("date-time", Conversion::TimestampWithZone),
        "uuid" => formatted("uuid", Conversion::Plain),
        "varchar" | "bpchar" => text(Some(modifier - MODIFIER_EXTRA).filter(|_| modifier >= 0)),
        "bytea" => {
            mapping(json!({"type": ["string"], "contentEncoding": "base16"}), Conversion::Bytes)
        }
        "json" | "jsonb" if choices.json_as_object => {
            mapping(json!({"type": ["object", "null"], ABSENT_IS_NULL: true}), Conversion::Json)
        }
        // With SQL NULL as a missing key, the JSON value null is allowed even where NULL is not.
        "json" | "jsonb" => mapping(
            json!({
                "type": ["null", "boolean", "number", "string", "array", "object"],
                ABSENT_IS_NULL: true,
            }),
            Conversion::Json,
        ),
        _ => text(None),
    }
}

fn array(types: &Types, element: u32, delimiter: u8, choices: Choices) -> Mapping {
    let (base, modifier, _) = base_of(types, element, -1);
    let inner = match types.get(&base) {
        // An array under a domain is one value, and no dimension more.
        Some(PgType { class: Class::Array { .. }, .. }) => text(None),
        _ => map_base(types, base, modifier, choices),
    };
    // What the catalog says about dimensions binds no value, so elements may be arrays; and
    // numbers that are none are strings.
    let mut words: Vec<Value> = match inner.schema.get("type") {
        Some(Value::Array(words)) => words.clone(),
        _ => Vec::new(),
    };
    if inner.conversion == Conversion::Number {
        words.push("string".into());
    }
    for word in ["array", "null"] {
        if !words.contains(&word.into()) {
            words.push(word.into());
        }
    }
    mapping(
        json!({"type": ["array"], "items": {"type": words}}),
        Conversion::Array { element: Box::new(inner.conversion), delimiter },
    )
}

fn integer(minimum: i64, maximum: i64) -> Mapping {
    mapping(
        json!({"type": ["integer"], "minimum": minimum, "maximum": maximum}),
        Conversion::Digits,
    )
}

fn formatted(format: &str, conversion: Conversion) -> Mapping {
    mapping(json!({"type": ["string"], "format": format}), conversion)
}

fn text(length_max: Option<i32>) -> Mapping {
    let schema = match length_max {
        Some(length) => json!({"type": ["string"], "maxLength": length}),
        None => json!({"type": ["string"]}),
    };
    mapping(schema, Conversion::Text)
}

fn mapping(schema: Value, conversion: Conversion) -> Mapping {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    Mapping { schema, conversion }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Types {
        let base = |name: &str| PgType {
            name: name.to_owned(),
            formatted: name.to_owned(),
            builtin: true,
            class: Class::Base,
        };
        let other = |name: &str, class| PgType { builtin: false, class, ..base(name) };
        [
            (23, base("int4")),
            (1043, base("varchar")),
            (3802, base("jsonb")),
            (1184, base("timestamptz")),
            (701, base("float8")),
            (1, other("mood", Class::Enum(vec!["sad".to_owned(), "ok".to_owned()]))),
            (2, other("email", Class::Domain { base: 1043, modifier: 24 })),
            (3, other("_int4", Class::Array { element: 23, delimiter: b',' })),
            (4, other("work_email", Class::Domain { base: 2, modifier: -1 })),
            (5, other("_float8", Class::Array { element: 701, delimiter: b',' })),
            (6, other("int4", Class::Base)),
            (7, other("list", Class::Domain { base: 3, modifier: -1 })),
            (8, other("_list", Class::Array { element: 7, delimiter: b',' })),
        ]
        .into()
    }

    #[test]
    fn the_type_under_a_domain_keeps_its_length() {
        let check = |formatted: &str, modifier, expected: &str| {
            assert_eq!(declared(formatted, modifier), expected);
        };
        check("character", 8, "character(4)");
        check("character[]", 7, "character(3)[]");
        check("character", -1, "bpchar");
        check("bit", 3, "bit(3)");
        check("bit", -1, "bit varying");
        check("numeric", 655_366, "numeric");
        check("character varying", 14, "character varying");
    }

    #[test]
    fn types_get_their_schema() {
        let check = |oid, modifier, nullable, expected: Value| {
            let types = types();
            let column = ColumnType { oid, modifier, formatted: "T", nullable };
            let mapped = map(&types, column, Choices::default());
            let mut schema = Value::Object(mapped.schema);
            let keywords = schema.as_object_mut().unwrap();
            assert_eq!(keywords.shift_remove(SQL_DATATYPE), Some("T".into()));
            assert_eq!(schema, expected, "{oid}");
        };
        let int4 = json!({"type": ["integer"], "minimum": -2_147_483_648_i64,
            "maximum": 2_147_483_647});
        check(23, -1, false, int4);
        check(1043, 14, true, json!({"type": ["string", "null"], "maxLength": 10}));
        check(1043, -1, true, json!({"type": ["string", "null"]}));
        check(1184, -1, false, json!({"type": ["string"], "format": "date-time"}));
        check(1, -1, true, json!({"type": ["string", "null"], "enum": ["sad", "ok"]}));
        check(
            4,
            -1,
            false,
            json!({"type": ["string"], "maxLength": 20, SQL_BASE_DATATYPE: "varchar"}),
        );
        check(
            3,
            -1,
            true,
            json!({"type": ["array", "null"],
            "items": {"type": ["integer", "array", "null"]}}),
        );
        check(
            5,
            -1,
            false,
            json!({"type": ["array"],
            "items": {"type": ["number", "string", "array", "null"]}}),
        );
        // An array of a domain over an array has literals of arrays as elements.
        let lists = json!({"type": ["array"], "items": {"type": ["string", "array", "null"]}});
        check(8, -1, false, lists);
        // A user's own type of that name, and one that is not known.
        check(6, -1, false, json!({"type": ["string"]}));
        check(999, -1, false, json!({"type": ["string"]}));
    }

    #[test]
    fn settings_show_in_the_types_that_they_change() {
        let check = |oid, names: &[&str], expected| {
            assert_eq!(is_shown_by(&types(), oid, names), expected, "{oid} {names:?}");
        };
        check(701, &["float4", "float8"], true);
        check(5, &["float4", "float8"], true);
        check(3, &["float4", "float8"], false);
        check(4, &["float4", "varchar"], true);
        check(1, &["float4"], false);
        check(1, &["*"], true);
        // A type of an extension, and one that is not known.
        check(6, &["float4"], true);
        check(999, &["float4"], true);
        check(999, &[], false);
        let names = |oid| names_objects(&types(), oid);
        assert_eq!([23, 3, 6, 7, 999].map(names), [false, false, false, false, true]);
    }

    #[test]
    fn json_tells_null_from_nothing_even_where_nothing_is_forbidden() {
        let jsonb = ColumnType { oid: 3802, modifier: -1, formatted: "jsonb", nullable: false };
        let mapped = map(&types(), jsonb, Choices::default());
        assert_eq!(mapped.schema[ABSENT_IS_NULL], true);
        assert_eq!(mapped.schema["type"][0], "null");
    }
}
