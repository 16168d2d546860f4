//! What a column would keep otherwise than it came is refused: at every level of a type, in tables
//! that are there and new ones, and by every load method.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, load, to_database};
use support::run::{Outcome, feed, pipe};

/// What becomes of a value.
enum Fate {
    /// The table holds this text.
    Kept(&'static str),
    /// The run ends with exit code 65, and names the column.
    Refused,
}
use Fate::{Kept, Refused};

/// Types of our own, and some that Postgres brings with it.
const TYPES: &str = "
    CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION cube;
    CREATE DOMAIN cents AS numeric(10,2); CREATE DOMAIN dear AS cents CHECK (VALUE > 0);
    CREATE DOMAIN short AS interval hour to minute; CREATE DOMAIN words AS tsvector;
    CREATE DOMAIN list AS numeric(4,1)[];
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE wait AS (name text, stay interval minute, at timestamp(0));
    CREATE TYPE pair AS (a real, b integer);
    CREATE TYPE span AS RANGE (subtype = float8);
    CREATE TYPE clock AS RANGE (subtype = timestamp);";

fn string() -> Value {
    json!({ "type": ["string", "null"] })
}

fn number() -> Value {
    json!({ "type": ["number", "null"] })
}

fn list() -> Value {
    json!({ "type": ["array", "null"] })
}

/// A string that a Postgres source has in a column of this type.
fn from(sql: &str) -> Value {
    json!({ "type": ["string", "null"], "x-sql-datatype": sql })
}

/// Rows of one column beside the key.
fn rows(schema: &Value, values: &[&str]) -> Lines {
    let columns = json!({ "id": { "type": "integer" }, "v": schema });
    let mut lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    for (at, value) in values.iter().enumerate() {
        let record = format!(r#"{{"id":{at},"v":{value}}}"#);
        lines = lines.raw(format!(r#"{{"type":"RECORD","stream":"t","record":{record}}}"#));
    }
    lines.done()
}

fn into(target: &Database, more: &Value, lines: &Lines) -> Outcome {
    let mut settings = target.settings_with(more);
    settings["default_target_schema"] = "public".into();
    settings["add_record_metadata"] = false.into();
    feed("target-postgres", &settings, &lines.0)
}

/// Every way to load; what goes straight into an empty table is staged into one with rows.
fn ways() -> Vec<Value> {
    ["append-only", "upsert", "overwrite", "replace-partition"]
        .map(|method| json!({ "load_method": method, "source": "s", "datestamp": DAY }))
        .into()
}

/// Makes the table for a way to load; without rows, or with one.
fn table(target: &Database, sql: &str, way: &Value, filled: bool) {
    let (more, key, value) = match way["load_method"].as_str() {
        Some("replace-partition") => (
            ", _sdc_source text, _sdc_datestamp date",
            "_sdc_source, _sdc_datestamp, id",
            format!(", 's', '{DAY}'"),
        ),
        _ => ("", "id", String::new()),
    };
    target.psql(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint, v {sql}{more}, PRIMARY KEY ({key}))"
    ));
    if filled {
        target.psql(&format!("INSERT INTO t VALUES (99, NULL{value})"));
    }
}

fn held(target: &Database) -> String {
    target.psql(
        "SET timezone TO 'UTC'; SET intervalstyle TO iso_8601; SET lc_monetary TO 'C';
         SELECT v FROM t WHERE id < 99",
    )
}

/// The type of the existing column, the property, the value as JSON, its fate.
type Case = (&'static str, Value, &'static str, Fate);

fn elements_and_numbers() -> Vec<Case> {
    vec![
        // Elements obey what scalars obey.
        ("date[]", list(), r#"["2026-01-01T23:30:00"]"#, Refused),
        ("date[]", list(), r#"["2026-01-01", null]"#, Kept("{2026-01-01,NULL}")),
        ("timestamp[]", list(), r#"["2026-01-01T23:30:00+05:00"]"#, Refused),
        ("time(0)[]", list(), r#"["10:00:00.5"]"#, Refused),
        ("float8[]", list(), "[0.5, 0.12345678901234567891]", Refused),
        ("float8[]", list(), "[9007199254740993]", Refused),
        ("float8[]", list(), "[[0.1], [1e300]]", Kept("{{0.1},{1e+300}}")),
        ("real[]", list(), "[16777217]", Refused),
        ("boolean[]", list(), "[1]", Refused),
        ("integer[]", list(), r#"["007"]"#, Refused),
        ("bytea[]", list(), r#"["cafe"]"#, Refused),
        ("oid[]", list(), "[-1]", Refused),
        ("name[]", list(), r#"["éééééééééééééééééééééééééééééééééééééééé"]"#, Refused),
        ("integer[]", list(), "[[], []]", Refused),
        ("integer[]", list(), "[]", Kept("{}")),
        // So do those of domains, and domains over arrays.
        ("cents[]", list(), "[1.005]", Refused),
        ("cents[]", list(), "[1.50]", Kept("{1.50}")),
        ("dear[]", list(), "[2.001]", Refused),
        ("list", list(), "[1.25]", Refused),
        ("list", list(), "[1.5]", Kept("{1.5}")),
        ("words[]", list(), r#"["b a a"]"#, Refused),
        ("short[]", list(), r#"["PT1H2M33S"]"#, Refused),
        ("short[]", list(), r#"["1:02"]"#, Kept("{PT1H2M}")),
        // Floats take what comes back as the same number.
        ("real", number(), "123456789.12", Refused),
        ("real", number(), "0.1", Kept("0.1")),
        ("real", json!({ "type": "integer" }), "16777217", Refused),
        ("real", json!({ "type": "integer" }), "16777216", Kept("1.6777216e+07")),
        ("float8", number(), "0.30000000000000001", Refused),
        ("float8", json!({ "type": "integer" }), "9007199254740993", Refused),
        (
            "float8",
            json!({ "type": "number", "x-sql-datatype": "numeric" }),
            "1.23456789012345678",
            Refused,
        ),
        ("float8", json!({ "type": "number", "x-sql-datatype": "numeric" }), "1.25", Kept("1.25")),
    ]
}

fn texts() -> Vec<Case> {
    vec![
        // Types that keep some fields or digits only.
        ("interval hour to minute", string(), r#""01:02:33""#, Refused),
        ("interval hour to minute", string(), r#""01:02""#, Kept("PT1H2M")),
        ("interval hour to minute", from("interval"), r#""PT1H2M33S""#, Refused),
        ("interval year", string(), r#""P1Y3M""#, Refused),
        ("interval day to second(1)", string(), r#""P1DT0.25S""#, Refused),
        ("interval month[]", list(), r#"["P3M", "P3M2D"]"#, Refused),
        ("short", string(), r#""PT5S""#, Refused),
        ("name", string(), r#""éééééééééééééééééééééééééééééééééééééééé""#, Refused),
        (r#""char""#, string(), r#""ab""#, Refused),
        (r#""char""#, string(), r#""é""#, Refused),
        (r#""char""#, string(), r#""a""#, Kept("a")),
        ("money", string(), r#""1,5""#, Refused),
        ("money", string(), r#""1,234.50""#, Kept("$1,234.50")),
        // Types that read text their own way.
        ("tsvector", string(), r#""b a a""#, Refused),
        ("tsvector", from("text"), r#""a a""#, Refused),
        ("tsvector", from("text"), r#""the cat""#, Kept("'cat' 'the'")),
        ("words", string(), r#""b a a""#, Refused),
        ("hstore", string(), r#""a=>1, a=>2""#, Refused),
        ("hstore", string(), r#""a=>1, b=>NULL""#, Kept(r#""a"=>"1", "b"=>NULL"#)),
        ("point", string(), r#""(123456789.123456789, 1)""#, Refused),
        ("point", string(), r#""( 1.50 , 2 )""#, Kept("(1.5,2)")),
        ("cube", string(), r#""(0.12345678901234567891)""#, Refused),
        ("oid", string(), r#""-1""#, Refused),
        ("xid", string(), r#""4294967297""#, Refused),
        ("ltree", string(), r#""Top.Science""#, Kept("Top.Science")),
        ("mood", string(), r#""ok""#, Kept("ok")),
        ("mood", string(), r#""glad""#, Refused),
        ("citext", string(), r#""MiXed""#, Kept("MiXed")),
        (
            "uuid",
            string(),
            r#""A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11""#,
            Kept("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        // One of two keys of an object would be gone.
        ("jsonb", json!({}), r#"{"b":{"a":1,"a":2}}"#, Refused),
        ("jsonb", json!({ "x-sql-datatype": "json" }), r#"[{"a":1,"a":1}]"#, Refused),
        ("jsonb[]", list(), r#"[{"a":1,"a":2}]"#, Refused),
        ("jsonb", json!({}), r#"{"a":{"a":1}}"#, Kept(r#"{"a": {"a": 1}}"#)),
        ("json", json!({}), r#"{"a":1,"a":2}"#, Kept(r#"{"a":1,"a":2}"#)),
        // Ranges and composites: each bound and member.
        ("daterange", from("tstzrange"), r#""[\"2026-01-01 10:00:00+00\",)""#, Refused),
        ("daterange", string(), r#""[2026-01-01,2026-01-31]""#, Kept("[2026-01-01,2026-02-01)")),
        ("tsrange", string(), r#""[yesterday,)""#, Refused),
        (
            "tstzrange",
            string(),
            r#""[2026-01-01T10:00:00+02:00,)""#,
            Kept(r#"["2026-01-01 08:00:00+00",)"#),
        ),
        ("tsrange", string(), r#""[2026-01-01T10:00:00+02:00,)""#, Refused),
        ("span", from("public.span"), r#""[1.123456789012345678,2]""#, Refused),
        ("span", from("public.span"), r#""[1.5,2)""#, Kept("[1.5,2)")),
        ("clock", string(), r#""[2026-01-01 10:00:00.1234567,)""#, Refused),
        ("datemultirange", from("tstzmultirange"), r#""{[\"2026-01-01 10:00:00+00\",)}""#, Refused),
        ("int4range", string(), r#""[1,5]""#, Kept("[1,6)")),
        ("wait", from("public.wait"), r#""(a,PT1H2M33S,)""#, Refused),
        ("wait", from("public.wait"), r#""(a,PT1H2M,\"2026-01-01 10:00:00.6\")""#, Refused),
        ("wait", from("public.wait"), r#""(a,PT1H2M,)""#, Kept("(a,PT1H2M,)")),
        ("wait[]", list(), r#"["(a,PT1H2M33S,)"]"#, Refused),
        ("pair", string(), r#""(123456789.12,1)""#, Refused),
        ("pair", string(), r#""(0.50,1)""#, Kept("(0.5,1)")),
        // Arrays as text.
        ("float8[]", from("numeric[]"), r#""{0.12345678901234567891}""#, Refused),
        ("numeric(10,2)[]", string(), r#""{1.239}""#, Refused),
        ("numeric(10,2)[]", string(), r#""{ 1.2 , NULL }""#, Kept("{1.20,NULL}")),
        ("date[]", from("timestamp[]"), r#""{\"2026-01-01 23:30:00\"}""#, Refused),
        ("cents[]", from("public.cents[]"), r#""{1.005}""#, Refused),
    ]
}

#[test]
fn what_a_column_would_change_is_refused_at_every_level() {
    let target = database("kept");
    target.psql(TYPES);
    let mut faults = Vec::new();
    for (sql, schema, value, fate) in elements_and_numbers().into_iter().chain(texts()) {
        table(&target, sql, &json!({}), false);
        let outcome = into(&target, &json!({}), &rows(&schema, &[value]));
        let fine = match fate {
            Kept(text) => outcome.code == 0 && held(&target) == text,
            Refused => outcome.code == 65 && outcome.stderr.contains("column: v"),
        };
        if !fine {
            let (code, held) = (outcome.code, held(&target));
            faults.push(format!("{sql} <- {value}: exit {code}, {held}\n{}", outcome.stderr));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_way_to_load_refuses_what_a_column_would_change() {
    let target = database("kept_ways");
    target.psql(TYPES);
    let cases = [
        ("hstore", string(), r#""a=>1""#, r#""a=>1, a=>2""#, r#""a"=>"1""#),
        ("span", from("public.span"), r#""[1,2)""#, r#""[1.123456789012345678,2)""#, "[1,2)"),
        ("date[]", list(), r#"["2026-01-01"]"#, r#"["2026-01-01 10:00:00"]"#, "{2026-01-01}"),
        ("real", number(), "0.1", "123456789.12", "0.1"),
    ];
    for (sql, schema, good, bad, text) in cases {
        for way in ways() {
            for filled in [false, true] {
                table(&target, sql, &way, filled);
                let both = rows(&schema, &[good, bad]);
                let refused = into(&target, &way, &both).exits(65);
                assert!(refused.stderr.contains("column: v"), "{}", refused.stderr);
                assert_eq!(held(&target), "", "{sql} {way} {filled}");
                let (mut lenient, scratch) = (way.clone(), folder());
                lenient["max_rejects"] = 1.into();
                let path = scratch.path().join("rejects.jsonl");
                lenient["rejects_file"] = path.to_str().unwrap().into();
                let replaces = ["overwrite", "replace-partition"].map(Value::from);
                if filled && replaces.contains(&way["load_method"]) {
                    // The row that is there does not come, and may be the one that was rejected.
                    into(&target, &lenient, &both).exits(65);
                    assert_eq!(held(&target), "", "{sql} {way}");
                    continue;
                }
                into(&target, &lenient, &both).success();
                assert_eq!(held(&target), text, "{sql} {way} {filled}");
                let rejects = std::fs::read_to_string(path).unwrap();
                assert_eq!(rejects.lines().count(), 1, "{rejects}");
                assert!(rejects.contains(r#""column":"v""#), "{rejects}");
            }
        }
    }
}

#[test]
fn rows_behind_a_key_that_comes_again_are_compared_too() {
    let target = database("kept_again");
    target.psql("CREATE EXTENSION hstore; CREATE TABLE t (id bigint PRIMARY KEY, v hstore)");
    let scratch = folder();
    let columns = json!({ "id": { "type": "integer" }, "v": string() });
    let mut lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    for (id, value) in [(1, "a=>1"), (2, "a=>1, a=>2"), (1, "a=>3"), (3, "b=>1, b=>2")] {
        lines = lines.record("t", &json!({ "id": id, "v": value }));
    }
    let path = scratch.path().join("rejects.jsonl");
    let more = json!({ "max_rejects": 5, "rejects_file": path });
    into(&target, &more, &lines.done()).success();
    assert_eq!(target.psql("SELECT id, v FROM t"), r#"1|"a"=>"3""#);
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
}

/// The shape of a type is not in its name.
#[test]
fn a_type_of_the_same_name_and_another_shape_does_not_change_values() {
    let (source, target) = (database("shape_here"), database("shape_there"));
    source.psql(
        "CREATE TYPE fr AS RANGE (subtype = numeric); CREATE TYPE place AS (at timestamptz, n text);
         CREATE DOMAIN d AS text; CREATE DOMAIN fine AS numeric(12,4);
         CREATE TABLE r (id int PRIMARY KEY, v fr); CREATE TABLE c (id int PRIMARY KEY, v place);
         CREATE TABLE w (id int PRIMARY KEY, v d); CREATE TABLE l (id int PRIMARY KEY, v fine[]);
         INSERT INTO r VALUES (1, '[1.5,2]'); INSERT INTO c VALUES (1, '(2026-01-01 00:00+00,7)');
         INSERT INTO w VALUES (1, 'b a'); INSERT INTO l VALUES (1, '{1.25}')",
    );
    let types = "CREATE TYPE fr AS RANGE (subtype = float8); CREATE TYPE place AS (at date, n int);
        CREATE DOMAIN d AS tsvector; CREATE DOMAIN fine AS numeric(10,2)";
    target.psql(types);
    let run = || pipe(from_database(&source, &json!({})), to_database(&target, &json!({}))).1;
    assert_eq!(run().code, 0);
    let all = "SELECT r.v, c.v, w.v, l.v FROM r, c, w, l";
    assert_eq!(target.psql(all), "[1.5,2]|(2026-01-01,7)|'a' 'b'|{1.25}");
    for (table, value) in [
        ("r", "'[1.123456789012345678,2]'"),
        ("c", "'(2026-01-01 10:00+00,7)'"),
        ("c", "'(2026-01-01 00:00+00,007)'"),
        ("w", "'b a a'"),
        ("l", "'{1.2345}'"),
    ] {
        for fresh in [false, true] {
            source.psql(&format!("INSERT INTO {table} VALUES (2, {value})"));
            if fresh {
                target.psql("DROP TABLE r, c, w, l");
            }
            let refused = run();
            assert_eq!(refused.code, 65, "{table} {value} {fresh}: {}", refused.stderr);
            assert!(refused.stderr.contains("column: v"), "{}", refused.stderr);
            source.psql(&format!("DELETE FROM {table} WHERE id = 2"));
            assert_eq!(run().code, 0);
        }
    }
}

/// Columns of one shape go as before, into new tables and those that are there.
#[test]
fn types_of_our_own_travel_and_a_second_load_changes_nothing() {
    let (source, target, lake) = (database("own_here"), database("own_there"), folder());
    source.psql(TYPES);
    target.psql(TYPES);
    source.psql(
        "CREATE TABLE t (id int PRIMARY KEY, a wait, b span, c wait[], d cents[], e list, f hstore,
           g daterange, h short, i words, j datemultirange, k citext, l pair);
         INSERT INTO t VALUES
           (1, '(\"a, \"\"b\"\"\",PT1H2M,2026-01-01 10:00:00)', '[0.1,1e300)',
            ARRAY['(,,)'::wait, NULL], '{1.50,NULL}', '{{1.5},{2.5}}', 'a=>1, b=>NULL',
            '[2026-01-01,2026-02-01)', 'PT1H2M', 'b:2A a:1', '{[2026-01-01,2026-02-01)}', 'MiX',
            '(0.1,-5)'),
           (2, NULL, 'empty', '{}', '{}', NULL, '', '(,)', NULL, '', '{}', '', '(,)')",
    );
    extract(&source, lake.path(), DAY);
    let all = "SET intervalstyle TO iso_8601; SELECT t::text FROM t ORDER BY id";
    load(lake.path(), DAY, &target, &json!({}));
    assert_eq!(target.psql(all), source.psql(all));
    let kinds = "SELECT string_agg(format_type(atttypid, atttypmod), ',' ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(target.psql(kinds), source.psql(kinds));
    let touched = target.psql("SELECT xmin, ctid FROM t");
    load(lake.path(), DAY, &target, &json!({}));
    assert_eq!(target.psql("SELECT xmin, ctid FROM t"), touched);
}

/// What a SCHEMA says of the type of a value need not be so: only what a tap of ours has read from
/// a server of Postgres is that type's own text.
#[test]
fn a_value_that_is_not_of_the_type_its_schema_says_is_refused() {
    let target = database("claims");
    let claimed = |kind: &str, sql: &str| json!({ "type": [kind, "null"], "x-sql-datatype": sql });
    let moment = |sql: &str| {
        let kind = ["string", "null"];
        json!({ "type": kind, "format": "date-time", "x-sql-datatype": sql })
    };
    for (schema, value, fate) in [
        (claimed("number", "real"), "1.23456789012", Refused),
        (claimed("integer", "real"), "16777217", Refused),
        (claimed("number", "real"), "0.1", Kept("0.1")),
        // All digits of a float, as programs write them.
        (claimed("number", "real"), "0.10000000149011612", Kept("0.1")),
        (claimed("number", "real"), "0.100000001", Kept("0.1")),
        (claimed("number", "double precision"), "0.10000000000000001", Kept("0.1")),
        (claimed("number", "double precision"), "0.12345678901234567891", Refused),
        (claimed("array", "real[]"), "[1.23456789]", Refused),
        (claimed("array", "double precision[]"), "[0.10000000000000001]", Kept("{0.1}")),
        (claimed("string", "real[]"), r#""{1.23456789}""#, Refused),
        (claimed("string", "tsvector"), r#""b a a""#, Refused),
        (claimed("string", "tstzrange"), r#""[yesterday,)""#, Refused),
        (claimed("string", "daterange"), r#""[2026-01-01 23:00,)""#, Refused),
        (claimed("string", "point"), r#""(1.123456789012345678,2)""#, Refused),
        (claimed("string", "interval(0)[]"), r#""{PT1.6S}""#, Refused),
        (claimed("string", "name"), &format!("{:?}", "x".repeat(64)), Refused),
        (claimed("string", "character varying(3)"), r#""abc ""#, Refused),
        (claimed("string", "bit(3)"), r#""1010""#, Refused),
        (moment("timestamp(0)"), r#""2026-01-01T00:00:00.7Z""#, Refused),
        (claimed("object", "jsonb"), r#"{"a":1,"a":2}"#, Refused),
        // Words that mean a type have its limits, whatever they are.
        (claimed("number", "dec(5,2)"), "1.239", Refused),
        (claimed("number", "pg_catalog.numeric(5,2)"), "1.239", Refused),
        (claimed("number", "pg_catalog.numeric(5,2)"), "1.23", Kept("1.23")),
        (claimed("string", "national character varying(3)"), r#""abc ""#, Refused),
        (claimed("string", "nchar"), r#""abc ""#, Kept("abc ")),
        (claimed("string", "character"), r#""a ""#, Refused),
        (claimed("number", "float(24)"), "1.5", Kept("1.5")),
    ] {
        for way in ways() {
            target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
            // New, and there with what was made of it.
            for _ in 0..2 {
                let outcome = into(&target, &way, &rows(&schema, &[value]));
                match fate {
                    Kept(text) => {
                        assert_eq!(outcome.code, 0, "{schema} {value}: {}", outcome.stderr);
                        assert!(held(&target).starts_with(text), "{schema} {value}");
                    }
                    Refused => {
                        assert_eq!(outcome.code, 65, "{schema} {value}: {}", outcome.stderr);
                        let empty = into(&target, &way, &rows(&schema, &["null"]));
                        assert_eq!(empty.code, 0, "{schema}: {}", empty.stderr);
                    }
                }
            }
        }
    }
}

#[test]
fn a_column_of_another_type_than_the_schema_says_keeps_the_meaning() {
    let target = database("meanings");
    for (sql, schema, value, fate) in [
        // Between two integers a range of numbers has more.
        ("int4range", from("numrange"), r#""[1,5]""#, Refused),
        ("int4range", from("numrange"), r#""(1,5)""#, Refused),
        ("int4range", from("numrange"), r#""[1,5)""#, Kept("[1,5)")),
        ("int8range", from("int4range"), r#""[1,5]""#, Kept("[1,6)")),
        ("int4multirange", from("nummultirange"), r#""{[1,5]}""#, Refused),
        ("daterange", from("tsrange"), r#""[2026-01-01 00:00:00,2026-01-02 00:00:00]""#, Refused),
        ("daterange", string(), r#""[2026-01-01 00:00:00,2026-01-02 00:00:00]""#, Refused),
        ("daterange", string(), r#""[2026-01-01,2026-01-02]""#, Kept("[2026-01-01,2026-01-03)")),
        // Spaces at the end are lost among those that the column adds.
        ("char(5)", string(), r#""abc ""#, Refused),
        ("char(5)", string(), r#""abc""#, Kept("abc  ")),
        ("char(5)", string(), r#""ab   ""#, Kept("ab   ")),
        ("char(5)", from("character(4)"), r#""abc ""#, Kept("abc  ")),
        ("char(5)[]", list(), r#"["abc "]"#, Refused),
    ] {
        for way in ways() {
            table(&target, sql, &way, false);
            let outcome = into(&target, &way, &rows(&schema, &[value]));
            match fate {
                Kept(text) => {
                    assert_eq!(outcome.code, 0, "{sql} {value}: {}", outcome.stderr);
                    assert_eq!(held(&target), text, "{sql} {schema} {value}");
                }
                Refused => assert_eq!(outcome.code, 65, "{sql} {value}: {}", outcome.stderr),
            }
        }
    }
}
