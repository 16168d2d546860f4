//! Values of extension types, as Debian packages the extensions, from table to table.

use serde_json::json;

use support::cluster::{Database, database};
use support::folder;
use support::run::{ours, pipe_succeeds};

/// A type of an extension.
struct Case {
    extension: &'static str,
    /// As `format_type` prints it.
    kind: &'static str,
    /// Texts of values.
    values: &'static [&'static str],
}

const CASES: &[Case] = &[
    case("postgis", "geometry(Point,4326)", &["SRID=4326;POINT(0.1 -33.333333333333336)"]),
    case("postgis", "geometry", &["POINT EMPTY", "SRID=3857;LINESTRING Z (1 2 3,4.5 5 6)"]),
    case("postgis", "geography(Point,4326)", &["POINT(179.99999999999997 89.5)"]),
    case("postgis", "geography", &["SRID=4326;POLYGON((0 0,1 0,1 1,0 0))"]),
    case("unit", "unit", &["1 m", "0.1 kg*m/s^2", "299792458.00000006 m/s", "-40 degC"]),
    case("ltree", "ltree", &["Top.Science.Astronomy", ""]),
    case("ltree", "lquery", &["Top.*{1,2}.A*@"]),
    case("hstore", "hstore", &["\"a\"=>\"1\", \"b\"=>NULL", "", "\"q\\\"\"=>\"\\\\\""]),
    case("citext", "citext", &["Straße", "ABC", ""]),
    case("cube", "cube", &["(1, 2, 3),(0.1, -5, 1e+300)", "(0)"]),
    case("seg", "seg", &["1.50 .. 2.0", "~5.0", "3.0(+-)0.1"]),
    case("isn", "ean13", &["978-0-393-04002-9"]),
    case("isn", "isbn", &["0-393-04002-X"]),
    case("ip4r", "iprange", &["10.0.0.1-10.0.0.9", "2001:db8::/32", "-"]),
    case("ip4r", "ip4r", &["10.0.0.0/8", "10.0.0.1-10.0.0.9"]),
    case("semver", "semver", &["1.2.3-beta.1+build.5", "0.0.1"]),
    case("prefix", "prefix_range", &["0123", "01[2-5]"]),
    case("debversion", "debversion", &["1:2.3~rc1-4+deb12u1"]),
    case("pg_rational", "rational", &["1/3", "-7/2"]),
    case("pgmp", "mpz", &["123456789012345678901234567890"]),
    case("pgmp", "mpq", &["-1/3", "10/4"]),
    case("asn1oid", "asn1oid", &["1.3.6.1.4.1.311"]),
    case("jsquery", "jsquery", &["a = 1 AND b IN (\"x\", 2)"]),
    case("intarray", "query_int", &["1&(2|!3)"]),
    case("numeral", "numeral", &["four thousand two hundred seven"]),
];

const fn case(
    extension: &'static str,
    kind: &'static str,
    values: &'static [&'static str],
) -> Case {
    Case { extension, kind, values }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Makes a table of each case: a scalar, an array, and a null.
fn source() -> Database {
    let source = database("extensions");
    for (at, case) in CASES.iter().enumerate() {
        let Case { extension, kind, values } = case;
        source.psql(&format!("CREATE EXTENSION IF NOT EXISTS {extension}"));
        // Arrays of PostGIS have a separator of their own, which is not read yet.
        let array = if *extension == "postgis" { "text" } else { kind };
        source.psql(&format!("CREATE TABLE t{at} (id int PRIMARY KEY, v {kind}, a {array}[])"));
        for (id, value) in values.iter().enumerate() {
            let value = quoted(value);
            source.psql(&format!(
                "INSERT INTO t{at} VALUES ({id}, {value}, ARRAY[{value}, NULL]::{array}[])"
            ));
        }
        source.psql(&format!("INSERT INTO t{at} VALUES (99, NULL, NULL)"));
    }
    source
}

fn extensions(target: &Database, schema: Option<&str>) {
    if let Some(schema) = schema {
        target.psql(&format!("CREATE SCHEMA {schema}"));
    }
    let place = schema.map(|schema| format!(" SCHEMA {schema}")).unwrap_or_default();
    for case in CASES {
        target.psql(&format!("CREATE EXTENSION IF NOT EXISTS {}{place}", case.extension));
    }
}

fn settings(source: &Database) -> serde_json::Value {
    source.settings_with(&json!({ "filter_schemas": ["public"] }))
}

/// What is in the tables: type, scalar, array.
fn rows(database: &Database, at: usize, path: &str) -> String {
    database.psql(&format!(
        "SET search_path = public, {path}; SET extra_float_digits = 3;
         SELECT id, v, a FROM public.t{at} ORDER BY id"
    ))
}

fn column_type(database: &Database, at: usize, path: &str) -> String {
    database.psql(&format!(
        "SET search_path = public, {path}; SELECT format_type(atttypid, atttypmod)
         FROM pg_attribute WHERE attrelid = 'public.t{at}'::regclass AND attname = 'v'"
    ))
}

#[test]
fn types_of_extensions_arrive_as_they_are() {
    let source = source();
    for (purpose, schema) in [("ext_same", None), ("ext_elsewhere", Some("ext"))] {
        let target = database(purpose);
        extensions(&target, schema);
        let load = || {
            let load = target.settings_with(&json!({ "default_target_schema": "public" }));
            pipe_succeeds(
                ours("tap-postgres").config(&settings(&source)),
                ours("target-postgres").config(&load),
            )
        };
        load();
        let stamp = "SELECT string_agg(xmin::text, ',' ORDER BY id) FROM public.t0";
        let stamped = target.psql(stamp);
        let path = schema.unwrap_or("public");
        for (at, case) in CASES.iter().enumerate() {
            let kind = column_type(&source, at, "public");
            assert_eq!(column_type(&target, at, path), kind, "{purpose} {}", case.kind);
            assert_eq!(
                rows(&target, at, path),
                rows(&source, at, "public"),
                "{} {}",
                purpose,
                kind
            );
        }
        load();
        assert_eq!(target.psql(stamp), stamped, "the same again changed rows");
    }
}

#[test]
fn types_of_extensions_become_text_where_the_target_lacks_them() {
    let source = source();
    let target = database("ext_none");
    let (_, loaded) = pipe_succeeds(
        ours("tap-postgres").config(&settings(&source)),
        ours("target-postgres")
            .config(&target.settings_with(&json!({ "default_target_schema": "public" }))),
    );
    for at in 0..CASES.len() {
        assert_eq!(column_type(&target, at, "public"), "text");
        let wanted = source.psql(&format!(
            "SET extra_float_digits = 3; SELECT id, v::text FROM t{at} ORDER BY id"
        ));
        let found = target.psql(&format!("SELECT id, v FROM t{at} ORDER BY id"));
        assert_eq!(found, wanted, "{}", CASES[at].kind);
    }
    assert!(loaded.stderr.contains("W-TYPE-AS-TEXT"), "{}", loaded.complaint());
}

#[test]
fn types_of_extensions_pass_through_a_day() {
    let source = source();
    let (target, lake) = (database("ext_day"), folder());
    extensions(&target, None);
    let day = json!({ "output": lake.path(), "source": "s", "datestamp": "2026-11-20" });
    let mut write = day.clone();
    write["output_path"] = write.as_object_mut().unwrap().remove("output").unwrap();
    pipe_succeeds(
        ours("tap-postgres").config(&settings(&source)),
        ours("target-csv").config(&write),
    );
    pipe_succeeds(
        ours("tap-csv").config(&day),
        ours("target-postgres")
            .config(&target.settings_with(&json!({ "default_target_schema": "public" }))),
    );
    for (at, case) in CASES.iter().enumerate() {
        assert_eq!(column_type(&target, at, "public"), column_type(&source, at, "public"));
        assert_eq!(rows(&target, at, "public"), rows(&source, at, "public"), "{}", case.kind);
    }
}

#[test]
fn tables_of_extensions_are_no_streams() {
    let source = source();
    let catalog = ours("tap-postgres").config(&settings(&source)).args(["--discover"]).go();
    let catalog = catalog.success().text();
    for table in ["spatial_ref_sys", "unit_units", "unit_prefixes", "geography_columns"] {
        assert!(!catalog.contains(table), "{table}");
    }
}
