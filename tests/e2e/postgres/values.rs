//! Values at the edges of their types: stored exactly, or refused (T01 to T17 of the catalogue).

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_database, from_lake, to_database, to_lake};
use support::run::{feed, pipe_succeeds};

/// What becomes of a value.
enum Fate {
    /// The target holds this text.
    Stored(&'static str),
    /// The run ends with exit code 65.
    Refused,
}
use Fate::{Refused, Stored};

/// Type of the existing column, JSON Schema of the property, the value as JSON text, its fate.
fn cases() -> Vec<(&'static str, Value, &'static str, Fate)> {
    let integer = || json!({ "type": "integer" });
    let number = || json!({ "type": "number" });
    let string = || json!({ "type": "string" });
    let time = |format: &str| json!({ "type": "string", "format": format });
    vec![
        ("integer", integer(), "2147483648", Refused),
        ("bigint", integer(), "9007199254740993", Stored("9007199254740993")),
        ("bigint", integer(), "9223372036854775808", Refused),
        (
            "numeric",
            integer(),
            "100000000000000000000000000000000000001",
            Stored("100000000000000000000000000000000000001"),
        ),
        ("numeric", number(), "0.10", Stored("0.10")),
        ("numeric", number(), "1E+2", Stored("100")),
        (
            "numeric",
            number(),
            "1234567890123456789012345678901234567890.123456789",
            Stored("1234567890123456789012345678901234567890.123456789"),
        ),
        ("numeric(10,2)", number(), "1e9", Refused),
        ("numeric(10,2)", number(), "1.005", Refused),
        ("double precision", number(), "-0.0", Stored("-0")),
        ("double precision", number(), "5e-324", Stored("5e-324")),
        ("double precision", number(), "1e400", Refused),
        ("date", time("date"), "\"2026-02-30\"", Refused),
        ("date", time("date"), "\"0000-01-01\"", Refused),
        ("date", time("date"), "\"yesterday\"", Refused),
        ("date", time("date"), "\"0044-03-15 BC\"", Stored("0044-03-15 BC")),
        ("timestamptz", time("date-time"), "\"tomorrow\"", Refused),
        (
            "timestamptz",
            time("date-time"),
            "\"2026-01-01T00:00:00+05:45\"",
            Stored("2025-12-31 18:15:00+00"),
        ),
        ("time", time("time"), "\"24:00:00\"", Stored("24:00:00")),
        ("varchar(5)", string(), "\"sixsix\"", Refused),
        ("varchar(5)", string(), "\"fives\"", Stored("fives")),
        ("text", string(), r#""a\u0000b""#, Refused),
        ("jsonb", json!({ "type": "object" }), r#"{"a":"\u0000"}"#, Refused),
        ("jsonb", json!({}), "null", Stored("")),
        ("boolean", json!({ "type": "boolean" }), "true", Stored("t")),
        ("uuid", string(), "\"not a uuid\"", Refused),
    ]
}

/// Values that Postgres takes and changes without a word.
fn silent_changes() -> Vec<(&'static str, Value, &'static str, Fate)> {
    let integer = || json!({ "type": "integer" });
    let number = || json!({ "type": "number" });
    let string = || json!({ "type": "string" });
    let time = |format: &str| json!({ "type": "string", "format": format });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let bytes = || json!({ "type": "string", "contentEncoding": "base16" });
    vec![
        ("double precision", integer(), "9007199254740993", Refused),
        ("double precision", integer(), "9007199254740992", Stored("9.007199254740992e+15")),
        ("double precision", number(), "0.30000000000000004", Stored("0.30000000000000004")),
        ("double precision", number(), "1E+400", Refused),
        ("real", number(), "0.1", Stored("0.1")),
        ("char(3)", string(), "\"ab      \"", Refused),
        ("char(5)", string(), "\"abcde\"", Stored("abcde")),
        ("oid", integer(), "-1", Refused),
        ("numeric(5)", number(), "1.5", Refused),
        ("numeric(2,4)", number(), "0.00125", Refused),
        ("numeric(10,-2)", integer(), "1234", Refused),
        ("numeric(10,2)", number(), "1.500", Stored("1.50")),
        ("numeric(5,2)[]", list(number()), "[1.5, 1.005]", Refused),
        ("numeric(5,2)[]", list(number()), "[1.5, 2.500]", Stored("{1.50,2.50}")),
        ("varchar(5)", string(), "\"fives   \"", Refused),
        ("varchar(3)[]", list(string()), r#"["abc   "]"#, Refused),
        ("varchar(3)[]", list(string()), r#"["a\"b", "ünï"]"#, Stored(r#"{"a\"b",ünï}"#)),
        ("char(5)", string(), "\"sixsix\"", Refused),
        ("bit(3)", string(), "\"1\"", Refused),
        ("bit varying(3)", string(), "\"1010\"", Refused),
        (
            "name",
            string(),
            r#""xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
            Refused,
        ),
        ("interval(0)", string(), "\"PT1.6S\"", Refused),
        ("interval", string(), "\"PT1.1234567S\"", Refused),
        ("interval", string(), "\"PT1.123456S\"", Stored("00:00:01.123456")),
        ("money", string(), "\"$1.005\"", Refused),
        ("time(0)", time("time"), "\"12:00:00.6\"", Refused),
        ("time", time("time"), "\"23:59:60\"", Refused),
        ("time", time("time"), "\"12:00:00+02:00\"", Refused),
        ("timestamptz", time("date-time"), "\"2026-12-31T23:59:60Z\"", Refused),
        ("timestamptz", time("date-time"), "\"2026-01-01T00:00:00.123456789Z\"", Refused),
        (
            "timestamptz",
            time("date-time"),
            "\"2026-01-01T00:00:00.123456000Z\"",
            Stored("2026-01-01 00:00:00.123456+00"),
        ),
        (
            "timestamp",
            time("date-time"),
            "\"2026-01-01T00:00:00+05:45\"",
            Stored("2025-12-31 18:15:00"),
        ),
        ("date", time("date-time"), "\"2026-01-01T12:00:00Z\"", Refused),
        ("bytea", bytes(), "\"0af\"", Refused),
        ("bytea", bytes(), "\"\"", Stored("\\x")),
        ("bytea", bytes(), "\"00ff\"", Stored("\\x00ff")),
        ("integer", integer(), "1.5", Refused),
        ("integer", integer(), "1.0", Stored("1")),
        ("text", json!({ "type": ["null", "integer", "string"] }), "5", Stored("5")),
    ]
}

#[test]
fn values_are_stored_exactly_or_refused() {
    let target = database("edges");
    let mut faults = Vec::new();
    // Before version 15 a scale lies within its precision.
    let has_scales = target.is_at_least(15);
    let has =
        |sql_type: &str| has_scales || !["numeric(2,4)", "numeric(10,-2)"].contains(&sql_type);
    let cases = cases().into_iter().chain(silent_changes());
    let cases = cases.filter(|(sql_type, ..)| has(sql_type));
    for (at, (sql_type, schema, value, fate)) in cases.enumerate() {
        target.psql(&format!("CREATE TABLE public.t_{at} (id integer PRIMARY KEY, v {sql_type})"));
        let name = format!("t_{at}");
        let properties = json!({ "id": { "type": "integer" }, "v": schema });
        let record =
            format!(r#"{{"type":"RECORD","stream":"{name}","record":{{"id":1,"v":{value}}}}}"#);
        let lines = Lines::default().syncing(&name).schema(&name, &properties, &["id"]).raw(record);
        let more = json!({ "default_target_schema": "public", "add_record_metadata": false });
        let outcome = feed("target-postgres", &target.settings_with(&more), &lines.done().0);
        let held = target.psql(&format!("SET timezone TO 'UTC'; SELECT v FROM public.t_{at}"));
        let (code, wanted) = match fate {
            Stored(text) => (0, text),
            Refused => (65, ""),
        };
        if outcome.code != code || held != wanted {
            let said = outcome.complaint();
            faults
                .push(format!("{sql_type} {value}: exit {}, holds {held:?}: {said}", outcome.code));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn keys_are_equal_as_their_type_says() {
    let target = database("keys");
    target.psql("CREATE EXTENSION citext");
    let more = json!({ "default_target_schema": "public", "add_record_metadata": false });
    let mut settings = target.settings_with(&more);
    for (sql_type, one, other) in
        [("citext", "abc", "aBC"), ("char(5)", "ABC ", "ABC"), ("text", "ABC", "ABC")]
    {
        let properties = json!({
            "id": { "type": "string", "x-sql-datatype": sql_type },
            "a": { "type": ["null", "string"] }, "b": { "type": ["null", "string"] },
        });
        for method in ["upsert", "overwrite"] {
            target.psql(&format!(
                "DROP TABLE IF EXISTS t;
                 CREATE TABLE t (id {sql_type} PRIMARY KEY, a text, b text);
                 INSERT INTO t VALUES ('ABC', 'old', 'old'), ('other', 'kept', 'kept')"
            ));
            settings["load_method"] = method.into();
            // The second record lacks a column, as does the first.
            let lines = Lines::default()
                .syncing("t")
                .schema("t", &properties, &["id"])
                .record("t", &json!({ "id": one, "a": "1" }))
                .record("t", &json!({ "id": other, "a": "2" }))
                .done();
            feed("target-postgres", &settings, &lines.0).success();
            let rows = target.psql("SELECT lower(trim(id)), a, b FROM t ORDER BY 1");
            let wanted = if method == "upsert" { "abc|2|old\nother|kept|kept" } else { "abc|2|" };
            assert_eq!(rows, wanted, "{sql_type} {method}");
        }
    }
}

#[test]
fn a_breach_of_a_constraint_names_it_and_changes_nothing() {
    let target = database("constraints");
    target.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, name text,
             CONSTRAINT short CHECK (length(name) < 5));
         INSERT INTO t VALUES (7, 'old')",
    );
    let more = json!({ "default_target_schema": "public", "add_record_metadata": false });
    let lines = Lines::whole(&[(1, "fine"), (2, "far too long")]).0;
    let outcome = feed("target-postgres", &target.settings_with(&more), &lines).exits(65);
    assert!(outcome.stderr.contains("short"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("far too long"), "data in a log: {}", outcome.stderr);
    assert_eq!(target.psql("SELECT id, name FROM t"), "7|old");
}

#[test]
fn columns_grow_safely_and_unsafe_changes_are_refused() {
    let target = database("growth");
    let more = json!({ "default_target_schema": "public", "add_record_metadata": false });
    let settings = target.settings_with(&more);
    let run = |schema: &Value, value: &Value| {
        let lines = Lines::default().syncing("t").schema("t", schema, &["id"]);
        let lines = lines.record("t", &json!({ "id": 1, "v": value })).done();
        feed("target-postgres", &settings, &lines.0)
    };
    let typed = |kind: &str, sql: &str| {
        let v = json!({ "type": [kind, "null"], "x-sql-datatype": sql });
        json!({ "id": { "type": "integer" }, "v": v })
    };
    let column = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                  WHERE attrelid = 'public.t'::regclass AND attname = 'v'";
    run(&typed("string", "character varying(3)"), &json!("abc")).success();
    assert_eq!(target.psql(column), "character varying(3)");
    run(&typed("string", "text"), &json!("abcdef")).success();
    assert_eq!(target.psql(column), "text");
    target.psql("DROP TABLE t");
    run(&typed("number", "real"), &json!(0.1)).success();
    run(&typed("number", "double precision"), &json!(0.125)).success();
    assert_eq!(target.psql(column), "double precision");
    let lines = Lines::default().syncing("t").schema("t", &typed("number", "real"), &["id"]);
    let lines = lines.record("t", &json!({ "id": 2, "v": 7 })).done();
    target.psql("TRUNCATE t; ALTER TABLE t ALTER v TYPE real; INSERT INTO t VALUES (1, 0.1)");
    feed("target-postgres", &settings, &lines.0).success();
    let wide = typed("number", "double precision");
    let lines = Lines::default().syncing("t").schema("t", &wide, &["id"]);
    feed("target-postgres", &settings, &lines.record("t", &json!({ "id": 3, "v": 8 })).done().0);
    assert_eq!(target.psql("SELECT v FROM t ORDER BY id"), "0.1\n7\n8");
    target.psql("DROP TABLE t");
    run(&typed("integer", "integer"), &json!(1)).success();
    run(&typed("integer", "bigint"), &json!(1_i64 << 40)).success();
    assert_eq!(target.psql(column), "bigint");
    let outcome = run(&typed("string", "text"), &json!("no number"));
    assert!([65, 69].contains(&outcome.code), "{} {}", outcome.code, outcome.stderr);
    let named = ["bigint", "text"].iter().all(|name| outcome.stderr.contains(name));
    assert!(named, "{}", outcome.stderr);
    assert_eq!(target.psql("SELECT v FROM t"), (1_i64 << 40).to_string());
}

#[test]
fn text_in_the_place_of_a_number_adds_no_row_even_unchecked() {
    let (target, scratch) = (database("unchecked"), folder());
    let more = json!({ "default_target_schema": "public", "validate_records": false });
    let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let values = ["7\n666\t999", "\\N", "1,\"name\":\"evil\"", "x", "01"].map(|text| json!(text));
    for value in values.into_iter().chain([json!({ "a": 1 }), json!([1]), json!(true)]) {
        let properties = json!({ "id": { "type": "integer" }, "n": { "type": "number" } });
        let lines = Lines::default().syncing("t").schema("t", &properties, &[]);
        let record = json!({ "id": value, "n": value });
        let lines = lines.record("t", &record).record("t", &json!({ "id": 8, "n": 8.5 })).done();
        let refused = feed("target-postgres", &target.settings_with(&more), &lines.0).exits(65);
        assert!(refused.stderr.contains("integer"), "{value}: {}", refused.stderr);
        let mut settings = day.clone();
        settings["validate_records"] = json!(false);
        feed("target-csv", &settings, &lines.0).exits(65);
        assert!(!scratch.path().join("source=s").exists(), "{value}");
    }
    assert_eq!(target.psql("SELECT to_regclass('public.t') IS NULL"), "t");
}

#[test]
fn a_date_that_has_a_time_is_refused_even_unchecked() {
    let target = database("unchecked_dates");
    let properties = json!({ "id": { "type": "integer" },
        "d": { "type": "string", "format": "date" },
        "m": { "type": "string", "format": "date-time" } });
    let load = |method: &str, record: Value| {
        let more = json!({ "load_method": method, "validate_records": false });
        let lines = Lines::default().syncing("t").schema("t", &properties, &["id"]);
        feed("target-postgres", &target.settings_with(&more), &lines.record("t", &record).done().0)
    };
    for existing in [
        "",
        "CREATE TABLE t (id bigint PRIMARY KEY, d date, m timestamptz)",
        "CREATE TABLE t (id bigint PRIMARY KEY, d timestamp, m timestamp)",
    ] {
        for method in ["upsert", "append-only", "overwrite"] {
            target.psql(&format!("DROP TABLE IF EXISTS t; {existing}"));
            for wrong in ["2026-01-01T23:30:00-05:00", "2026-01-01 10:00:00", "01/02/2026"] {
                let said = load(method, json!({ "id": 1, "d": wrong })).exits(65).stderr;
                assert!(said.contains("column: d"), "{method} {wrong}: {said}");
            }
            // Day or month: a setting of the session would tell.
            let said = load(method, json!({ "id": 1, "m": "01/02/2026 10:00" })).exits(65).stderr;
            assert!(said.contains("column: m"), "{method}: {said}");
            load(method, json!({ "id": 1, "d": "2026-01-02", "m": "2026-01-02T10:00:00Z" }))
                .success();
            assert_eq!(target.psql("SELECT d::date, m::date FROM t"), "2026-01-02|2026-01-02");
        }
    }
}

#[test]
fn what_json_may_hold_and_jsonb_may_not() {
    let target = database("nul_in_json");
    let schema = json!({ "id": { "type": "integer" }, "v": {} });
    let line = r#"{"type":"RECORD","stream":"t","record":{"id":1,"v":{"a":"\u0000"}}}"#;
    let lines = Lines::default().schema("t", &schema, &["id"]).raw(line).done();
    let load = |kind: &str| {
        target.psql(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint, v {kind})"));
        to_database(&target, &json!({ "load_method": "append-only" })).input(lines.0.clone()).go()
    };
    load("json").success();
    assert_eq!(target.psql("SELECT v FROM t"), r#"{"a":"\u0000"}"#);
    load("jsonb").exits(65);
}

#[test]
fn domains_over_domains_are_what_they_are_over_in_the_end() {
    let target = database("domains");
    target.psql(
        "CREATE DOMAIN d1 AS numeric(6, 2); CREATE DOMAIN d2 AS d1 CHECK (VALUE > 0);
         CREATE DOMAIN d3 AS d2; CREATE TABLE s (id integer PRIMARY KEY, a d1, b d2, c d3);
         INSERT INTO s VALUES (1, 1.25, 2.5, 3);
         CREATE SCHEMA x; CREATE TABLE x.s (LIKE s INCLUDING ALL)",
    );
    for table in ["x.s", "y.s"] {
        let more = json!({ "default_target_schema": &table[..1] });
        let tap = from_database(&target, &json!({ "filter_schemas": "public" }));
        pipe_succeeds(tap, to_database(&target, &more));
        assert_eq!(target.psql(&format!("SELECT a, b, c FROM {table}")), "1.25|2.50|3.00");
    }
}

#[test]
fn partial_records_of_one_key_fold_in_their_order() {
    let target = database("folds");
    let schema = json!({
        "id": { "type": "integer" }, "a": { "type": "integer" }, "b": { "type": "integer" },
    });
    let mut lines = Lines::default().schema("t", &schema, &["id"]);
    lines = lines.record("t", &json!({ "id": 0, "a": 0, "b": 0 })).state(&json!({}));
    // Twice: the staging table is used again.
    for round in 0..2 {
        for n in 0..9 {
            let column = if n / 2 % 2 == 0 { "a" } else { "b" };
            lines = lines.record("t", &json!({ "id": n % 2, column: 10 * round + n }));
        }
        lines = lines.state(&json!({ "round": round }));
    }
    let more = json!({ "state_interval_seconds": 0 });
    to_database(&target, &more).input(lines.done().0).go().success();
    assert_eq!(target.psql("SELECT id, a, b FROM t ORDER BY id"), "0|18|16\n1|15|17");
}

/// `1` and `"1"` are one text, by pipe and by day; where both come that is told.
#[test]
fn values_of_several_kinds_are_one_text_by_pipe_and_by_day() {
    let (target, scratch) = (database("several_kinds"), folder());
    let schema = json!({
        "id": { "type": "integer" },
        "v": { "type": ["string", "integer", "boolean", "null"] },
        "w": { "anyOf": [{ "type": "string" }, { "type": "number" }] },
        "j": {},
    });
    let lines = |values: &[Value]| {
        let mut lines = Lines::default().syncing("t").schema("t", &schema, &["id"]);
        for (id, value) in values.iter().enumerate() {
            let record = json!({ "id": id, "v": value, "w": "x", "j": value });
            lines = lines.record("t", &record);
        }
        lines.done().0
    };
    let rows = |table: &str| {
        target.psql(&format!("SELECT id, v, w, j, pg_typeof(v), pg_typeof(j) FROM {table}"))
    };
    for (values, is_told) in [
        (vec![json!(1), json!("1"), json!(true), json!("x")], true),
        (vec![json!("true"), json!("7"), json!(null), json!(false)], true),
        (vec![json!(1), json!("a 1"), json!(true), json!("")], false),
    ] {
        target.psql("DROP SCHEMA IF EXISTS by_day, by_pipe CASCADE");
        let into = |schema: &str| {
            let more = json!({ "load_method": "upsert", "default_target_schema": schema });
            to_database(&target, &more)
        };
        let piped = into("by_pipe").input(lines(&values)).go().success();
        let day = to_lake(scratch.path(), "s", DAY).input(lines(&values)).go().success();
        pipe_succeeds(from_lake(scratch.path(), DAY), into("by_day"));
        for outcome in [&piped, &day] {
            let told = outcome.stderr.matches("W-KINDS-AS-TEXT: ").count();
            assert_eq!(told, usize::from(is_told), "{values:?}: {}", outcome.stderr);
        }
        assert_eq!(rows("by_pipe.t"), rows("by_day.t"));
        assert!(rows("by_day.t").contains("|text|jsonb"), "{}", rows("by_day.t"));
    }
}
