//! The names of the built-in types of Postgres, as `x-sql-datatype` and settings write them.

/// Names of built-in types, each with its other names.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("boolean", &["bool"]),
    ("smallint", &["int2"]),
    ("integer", &["int", "int4"]),
    ("bigint", &["int8"]),
    ("numeric", &["decimal"]),
    ("real", &["float4"]),
    ("double precision", &["float8", "double"]),
    ("text", &["string"]),
    ("character varying", &["varchar"]),
    ("character", &["char"]),
    // Without a length; `character` alone would be `character(1)`.
    ("bpchar", &[]),
    ("date", &[]),
    ("time without time zone", &["time"]),
    ("time with time zone", &["timetz"]),
    ("timestamp without time zone", &["timestamp"]),
    ("timestamp with time zone", &["timestamptz"]),
    ("json", &[]),
    ("jsonb", &[]),
    ("bytea", &[]),
    ("uuid", &[]),
    ("interval", &[]),
    ("money", &[]),
    ("bit", &[]),
    ("bit varying", &["varbit"]),
    ("inet", &[]),
    ("cidr", &[]),
    ("xml", &[]),
    ("tsvector", &[]),
    ("oid", &[]),
];

/// Returns the name of a built-in type as `format_type` prints it; `name` is this one or another
/// one of the type, in small letters and without sizes.
pub fn canonical(name: &str) -> Option<&'static str> {
    let of_type =
        |(known, others): &&(&'static str, &[&str])| *known == name || others.contains(&name);
    BUILT_IN.iter().find(of_type).map(|(known, _)| *known)
}
