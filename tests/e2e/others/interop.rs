//! Our taps with targets of other authors, and their taps with ours, over the plain Singer pipe.

use serde_json::json;

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::python::{JSONL, TAP_POSTGRES, TARGET_CSV, TARGET_POSTGRES};
use support::run::{Run, file, ours, pipe_succeeds};
use support::{folder, lake};

/// What every plugin can carry; the rest of the types is a matter among our own.
const TABLE: &str = "
    CREATE TABLE people (
        id integer PRIMARY KEY, name text, born date, seen timestamptz, paid numeric(12,2),
        ratio double precision, active boolean, notes jsonb
    );
    INSERT INTO people VALUES
        (1, 'Ann \"A\" O''Hara, Ltd.', '1968-12-08', '2026-11-20 12:34:56.789+00', 32.38, 0.1, true,
         '{\"a\": [1, null, \"x\"]}'),
        (2, 'Íñigo 🎉' || chr(10) || 'second line', NULL, NULL, -0.01, 1e22, false, '{}'),
        (3, '', '2000-02-29', '1999-12-31 23:59:59+00', 99999999.99, -2.5, NULL, '{\"b\": {}}');
";

fn people() -> Database {
    let source = database("people");
    source.psql(TABLE);
    source
}

/// The rows, with values in a form that does not depend on the column types a plugin chose.
fn rows(database: &Database, table: &str) -> String {
    database.psql(&format!(
        "SET timezone TO 'UTC';
         SELECT id, name, born::date, seen::timestamptz, paid::numeric(12,2),
                ratio::double precision, active::boolean, notes::jsonb FROM {table} ORDER BY id"
    ))
}

/// The settings their Postgres plugins want: TCP, for they know no socket.
fn their_settings(database: &Database, more: &serde_json::Value) -> serde_json::Value {
    let cluster = support::cluster::cluster();
    let mut settings = json!({
        "host": "127.0.0.1", "port": cluster.port, "user": "postgres", "database": database.name,
        "password": support::cluster::PASSWORD,
    });
    for (name, value) in more.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

/// Their tap reads what a catalog selects, and nothing by default.
fn their_tap(database: &Database) -> Run {
    let settings = their_settings(database, &json!({ "filter_schemas": ["public"] }));
    let tap = || TAP_POSTGRES.program("tap-postgres").config(&settings);
    let discovered = tap().args(["--discover"]).go().success();
    let mut catalog: serde_json::Value = serde_json::from_slice(&discovered.stdout).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        entry["metadata"]["selected"] = true.into();
    }
    tap().json("--catalog", &catalog)
}

#[test]
fn our_tap_feeds_their_postgres_target() {
    let (source, target) = (people(), database("theirs"));
    let settings = their_settings(&target, &json!({ "default_target_schema": "public" }));
    let into = TARGET_POSTGRES.program("target-postgres").config(&settings);
    pipe_succeeds(from_database(&source, &json!({})), into);
    assert_eq!(rows(&target, "public.people"), rows(&source, "people"));
}

#[test]
fn their_postgres_tap_feeds_our_targets() {
    let (source, target, scratch) = (people(), database("from_theirs"), folder());
    pipe_succeeds(their_tap(&source), to_database(&target, &json!({})));
    assert_eq!(rows(&target, "public.people"), rows(&source, "people"));
    assert_eq!(target.psql("SELECT count(*) FROM public.people WHERE seen IS NULL"), "1");
    pipe_succeeds(their_tap(&source), to_lake(scratch.path(), "postgres", DAY));
    lake::check(scratch.path());
    let partition = lake::partition(scratch.path(), "postgres", DAY, "public-people");
    assert_eq!(lake::manifest(&partition)["files"][0]["rows"], 3);
    // Nobody said that the input was whole: the manifest must not claim it.
    assert_eq!(lake::manifest(&partition)["complete"], "unverified");
    let strict = to_lake(scratch.path(), "strict", DAY).set("require_complete", true);
    let (_, outcome) = support::run::pipe(their_tap(&source), strict);
    assert_eq!(outcome.code, 76, "{}", outcome.stderr);
}

#[test]
fn our_tap_feeds_their_file_targets() {
    let (source, scratch) = (people(), folder());
    let target = TARGET_CSV.program("target-csv").config(
        &json!({ "file_naming_scheme": "{stream_name}.csv", "output_path": scratch.path() }),
    );
    pipe_succeeds(from_database(&source, &json!({})), target);
    let text = std::fs::read_to_string(scratch.path().join("public-people.csv")).unwrap();
    // As the csv module and str() of Python write such values.
    let wanted = "id,name,born,seen,paid,ratio,active,notes\r\n\
        1,\"Ann \"\"A\"\" O'Hara, Ltd.\",1968-12-08,2026-11-20 12:34:56.789000+00:00,32.38,0.1,\
        True,\"{'a': [1, None, 'x']}\"\r\n\
        2,\"Íñigo 🎉\nsecond line\",,,-0.01,1E+22,False,{}\r\n\
        3,,2000-02-29,1999-12-31 23:59:59+00:00,99999999.99,-2.5,,{'b': {}}\r\n";
    assert_eq!(text, wanted);

    let target = JSONL
        .program("target-jsonl")
        .config(&json!({ "destination_path": scratch.path(), "do_timestamp_file": false }));
    pipe_succeeds(from_database(&source, &json!({})), target);
    let text = std::fs::read_to_string(scratch.path().join("public-people.jsonl")).unwrap();
    let records: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wanted = r#"[
        { "id": 1, "name": "Ann \"A\" O'Hara, Ltd.", "born": "1968-12-08",
          "seen": "2026-11-20T12:34:56.789+00:00", "paid": 32.38, "ratio": 0.1, "active": true,
          "notes": { "a": [1, null, "x"] } },
        { "id": 2, "name": "Íñigo 🎉\nsecond line", "born": null, "seen": null, "paid": -0.01,
          "ratio": 1e+22, "active": false, "notes": {} },
        { "id": 3, "name": "", "born": "2000-02-29", "seen": "1999-12-31T23:59:59+00:00",
          "paid": 99999999.99, "ratio": -2.5, "active": null, "notes": { "b": {} } }
    ]"#;
    let wanted: Vec<serde_json::Value> = serde_json::from_str(wanted).unwrap();
    assert_eq!(records, wanted);
}

#[test]
fn our_csv_tap_feeds_their_postgres_target() {
    let (target, scratch) = (database("csv_theirs"), folder());
    let path =
        file(scratch.path(), "in.csv", "id,code,amount\n1,00123,32.38\n2,\"a,\"\"b\"\"\",-0.5\n");
    let files = json!({ "files": [{ "entity": "codes", "path": path, "keys": ["id"] }] });
    let settings = their_settings(&target, &json!({ "default_target_schema": "public" }));
    let into = TARGET_POSTGRES.program("target-postgres").config(&settings);
    pipe_succeeds(ours("tap-csv").config(&files), into);
    let rows = "SELECT id, code, amount::numeric FROM public.codes ORDER BY id";
    assert_eq!(target.psql(rows), "1|00123|32.38\n2|a,\"b\"|-0.5");
}

#[test]
fn a_recorded_run_of_theirs_is_read_from_a_file() {
    let (source, target, scratch) = (people(), database("recorded"), folder());
    let recorded = their_tap(&source).go().success();
    assert!(!recorded.stdout.is_empty(), "{}", recorded.stderr);
    let path = file(scratch.path(), "recorded.jsonl", &recorded.stdout);
    let into = to_database(&target, &json!({})).args(["--input".as_ref(), path.as_os_str()]);
    into.go().success();
    assert_eq!(rows(&target, "public.people"), rows(&source, "people"));
}

/// A name may mean two things: `timestamp` is a moment in `MySQL`, and none in Postgres.
#[test]
fn types_of_another_database_are_not_taken_for_those_of_postgres() {
    let property = |sql: &str, base: &str| {
        json!({
            "type": ["null", "string"], "format": "date-time",
            "x-sql-datatype": sql, "x-sql-base-datatype": base,
        })
    };
    let columns =
        json!({ "a": property("timestamp", "timestamp"), "b": property("t", "timestamp(3)") });
    for (dialect, types) in [
        (json!("mysql"), "timestamp with time zone,timestamp with time zone"),
        (json!("postgresql"), "timestamp without time zone,timestamp without time zone"),
        (json!(null), "timestamp without time zone,timestamp without time zone"),
    ] {
        let target = database("dialects");
        let mut schema = json!({ "type": "object", "properties": columns });
        if !dialect.is_null() {
            schema["x-sql-dialect"] = dialect;
        }
        let schema = json!({
            "type": "SCHEMA", "stream": "t", "schema": schema, "key_properties": [],
        });
        let row = json!({ "a": "2026-01-02T00:00:00", "b": "2026-01-02T00:00:00" });
        let lines = Lines::default().message(&schema).record("t", &row);
        to_database(&target, &json!({ "add_record_metadata": false }))
            .input(lines.0)
            .go()
            .success();
        let found = target.psql(
            "SELECT string_agg(data_type, ',' ORDER BY ordinal_position)
             FROM information_schema.columns WHERE table_name = 't'",
        );
        assert_eq!(found, types);
    }
}
