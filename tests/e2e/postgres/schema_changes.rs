//! Schemas that change on the way or between runs (S01 to S10 of the catalogue).

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, load, to_database};
use support::run::{Outcome, feed, ours, pipe_succeeds};
use support::{folder, invariants, lake};

fn integer() -> Value {
    json!({ "type": "integer" })
}

fn string() -> Value {
    json!({ "type": ["null", "string"] })
}

fn opened(columns: &Value) -> Lines {
    Lines::default().syncing("t").schema("t", columns, &["id"])
}

/// Column `b` comes with the second SCHEMA and `a` goes with the third.
fn comes_and_goes() -> Lines {
    let a = json!({ "id": integer(), "a": string() });
    let both = json!({ "b": string(), "id": integer(), "a": string() });
    let b = json!({ "id": integer(), "b": string() });
    opened(&a)
        .record("t", &json!({ "id": 1, "a": "a1" }))
        .schema("t", &both, &["id"])
        .record("t", &json!({ "b": "b2", "id": 2, "a": "a2" }))
        .schema("t", &b, &["id"])
        .record("t", &json!({ "id": 3, "b": "b3" }))
        .done()
}

fn into(target: &Database, more: &Value, lines: &Lines) -> Outcome {
    let mut settings = target.settings_with(more);
    settings["default_target_schema"] = "public".into();
    settings["add_record_metadata"] = false.into();
    feed("target-postgres", &settings, &lines.0)
}

fn types(target: &Database) -> String {
    target.psql(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
         FROM pg_attribute WHERE attrelid = to_regclass('public.t') AND attnum > 0
         AND NOT attisdropped",
    )
}

#[test]
fn columns_come_and_go_in_mid_stream() {
    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    feed("target-csv", &config, &comes_and_goes().0).success();
    lake::check(scratch.path());
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition), "id,a,b\n1,a1,\n2,a2,b2\n3,,b3\n");
    let properties = &lake::manifest(&partition)["schema"]["properties"];
    assert_eq!(properties.as_object().unwrap().len(), 3, "{properties}");

    let target = database("comes_and_goes");
    for method in ["upsert", "append-only", "overwrite"] {
        target.psql("DROP TABLE IF EXISTS t");
        into(&target, &json!({ "load_method": method }), &comes_and_goes()).success();
        let rows = target.psql("SELECT id, a, b FROM t ORDER BY id");
        assert_eq!(rows, "1|a1|\n2|a2|b2\n3||b3", "{method}");
    }
    // A column that is in the schema no more keeps what the table has.
    target.psql("DELETE FROM t; INSERT INTO t (id, a, b) VALUES (1, 'x', 'old'), (3, 'old', 'x')");
    into(&target, &json!({ "load_method": "upsert" }), &comes_and_goes()).success();
    let rows = target.psql("SELECT id, a, b FROM t ORDER BY id");
    assert_eq!(rows, "1|a1|old\n2|a2|b2\n3|old|b3");
}

#[test]
fn types_widen_in_mid_stream() {
    let of = |number: &str, text: &str| {
        json!({
            "id": integer(),
            "n": { "type": "integer", "x-sql-datatype": number },
            "v": { "type": "string", "x-sql-datatype": text },
        })
    };
    let lines = opened(&of("smallint", "varchar(3)"))
        .record("t", &json!({ "id": 1, "n": 1, "v": "abc" }))
        .schema("t", &of("integer", "varchar(20)"), &["id"])
        .record("t", &json!({ "id": 2, "n": 70_000, "v": "abcdef" }))
        .schema("t", &of("bigint", "text"), &["id"])
        .record("t", &json!({ "id": 3, "n": 1_i64 << 40, "v": "x".repeat(30) }))
        .done();
    let target = database("widen");
    for method in ["upsert", "append-only", "overwrite"] {
        target.psql("DROP TABLE IF EXISTS t");
        into(&target, &json!({ "load_method": method }), &lines).success();
        assert_eq!(types(&target), "id bigint, n bigint, v text", "{method}");
        assert_eq!(target.psql("SELECT sum(n), sum(length(v)) FROM t"), "1099511697777|39");
    }
    // The narrow schema again: the table stays wide.
    let narrow = opened(&of("smallint", "varchar(3)")).done();
    into(&target, &json!({}), &narrow).success();
    assert_eq!(types(&target), "id bigint, n bigint, v text");
}

/// A column that happens to be empty on a day, or has its first values later.
#[test]
fn a_column_without_values_fits_any_table() {
    let (target, scratch) = (database("no_values"), folder());
    let path = scratch.path().join("in.csv");
    let settings = json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] });
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Lines(ours("tap-csv").config(&settings).go().success().stdout)
    };
    let rows = || target.psql("SELECT id, n, d, s FROM t ORDER BY id");
    let (empty, full) = ("id,n,d,s\n1,,,\n", "id,n,d,s\n1,7,2026-01-31,x\n");
    for (first, second) in [(full, empty), (full, "id,n,d,s\n")] {
        target.psql("DROP TABLE IF EXISTS t");
        into(&target, &json!({}), &read(first)).success();
        into(&target, &json!({}), &read(second)).success();
        assert_eq!(types(&target), "id bigint, n bigint, d date, s text");
        assert_eq!(rows(), if second == empty { "1|||" } else { "1|7|2026-01-31|x" });
        into(&target, &json!({}), &read(full)).success();
        assert_eq!(rows(), "1|7|2026-01-31|x");
    }
    for first in [empty, "id,n,d,s\n"] {
        target.psql("DROP TABLE t");
        into(&target, &json!({}), &read(first)).success();
        into(&target, &json!({}), &read(full)).success();
        assert_eq!(rows(), "1|7|2026-01-31|x");
    }
    // A value comes after all, as when a catalog is older than the file: none is changed.
    target.psql("DROP TABLE t; CREATE TABLE t (id bigint PRIMARY KEY, n bigint)");
    let guess = json!({ "type": ["string", "null"], "x-no-values": true });
    let lines = opened(&json!({ "id": integer(), "n": guess }));
    let lines = lines.record("t", &json!({ "id": 1, "n": "007" })).done();
    let refused = into(&target, &json!({}), &lines).exits(65);
    assert!(refused.stderr.contains("column: n"), "{}", refused.stderr);
    assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
}

#[test]
fn unsafe_changes_name_both_types_and_lose_nothing() {
    let date = || json!({ "type": "string", "format": "date" });
    let target = database("unsafe");
    let cases = [
        (integer(), json!(5), date(), json!("2026-01-01"), ["bigint", "date"]),
        (date(), json!("2026-01-01"), integer(), json!(5), ["date", "bigint"]),
        (json!({ "type": "boolean" }), json!(true), integer(), json!(5), ["boolean", "bigint"]),
        (integer(), json!(5), string(), json!("five"), ["bigint", "text"]),
    ];
    for (before, value, after, other, named) in cases {
        target.psql("DROP TABLE IF EXISTS t");
        let first = json!({ "id": integer(), "v": before });
        let second = json!({ "id": integer(), "v": after });
        let old = opened(&first).record("t", &json!({ "id": 1, "v": value }));
        into(&target, &json!({}), &old.clone().done()).success();
        let kept = target.psql("SELECT * FROM t");
        let new = json!({ "id": 2, "v": other });
        let between = opened(&second).record("t", &new).done();
        let within = old.schema("t", &second, &["id"]).record("t", &new).done();
        for lines in [between, within] {
            let outcome = into(&target, &json!({}), &lines);
            invariants::fails(&outcome, &[65]);
            let says = |name: &&str| outcome.stderr.contains(*name);
            assert!(named.iter().all(says), "{named:?}: {}", outcome.stderr);
            assert_eq!(target.psql("SELECT * FROM t"), kept);
        }
    }
    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let lines = opened(&json!({ "id": integer(), "v": string() }))
        .record("t", &json!({ "id": 1, "v": "five" }))
        .schema("t", &json!({ "id": integer(), "v": integer() }), &["id"])
        .done();
    let outcome = feed("target-csv", &config, &lines.0).exits(65);
    assert!(outcome.stderr.contains("column: v"), "{}", outcome.stderr);
    assert!(lake::sums(scratch.path()).is_empty());
}

#[test]
fn keys_do_not_change() {
    let columns = json!({ "id": integer(), "other": integer() });
    let row = |id: i64| json!({ "id": id, "other": -id });
    let within = opened(&columns)
        .record("t", &row(1))
        .schema("t", &columns, &["other"])
        .record("t", &row(2))
        .done();
    let target = database("key_change");
    into(&target, &json!({}), &within).exits(65);
    assert_eq!(target.psql("SELECT to_regclass('public.t') IS NULL"), "t");
    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    feed("target-csv", &config, &within.0).exits(65);
    assert!(lake::sums(scratch.path()).is_empty());

    into(&target, &json!({}), &opened(&columns).record("t", &row(1)).done()).success();
    let between = Lines::default().syncing("t").schema("t", &columns, &["other"]);
    let between = between.record("t", &row(2)).done();
    let outcome = into(&target, &json!({}), &between).exits(65);
    for text in ["key of the table: id", "key of the stream: other", "CREATE UNIQUE INDEX"] {
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
    target.psql("CREATE UNIQUE INDEX ON t (other)");
    into(&target, &json!({}), &between).success();
    assert_eq!(target.psql("SELECT id, other FROM t ORDER BY id"), "1|-1\n2|-2");
}

#[test]
fn a_repeated_schema_is_nothing_new() {
    let columns = json!({ "id": integer(), "v": string() });
    // The same, written another way.
    let same = r#"{"type": "SCHEMA", "key_properties": ["id"], "stream": "t", "schema":
        {"properties": {"id": {"type":"integer"}, "v": {"type":["null","string"]}},
        "type": "object"}}"#
        .replace('\n', " ");
    let mut lines = Lines::default().syncing("t");
    for id in 0..200 {
        lines = lines.schema("t", &columns, &["id"]).record("t", &json!({ "id": id, "v": "x" }));
        lines = lines.raw(&same).record("t", &json!({ "id": id + 1000, "v": "y" }));
    }
    let target = database("repeated");
    let outcome = into(&target, &json!({}), &lines.clone().done()).success();
    assert_eq!(target.psql("SELECT count(*), count(DISTINCT xmin::text) FROM t"), "400|1");
    assert_eq!(outcome.stderr.matches("changing the database").count(), 1, "{}", outcome.stderr);
    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    feed("target-csv", &config, &lines.done().0).success();
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition).lines().count(), 401);
}

#[test]
fn a_day_extracted_again_has_the_new_schema_alone() {
    let (source, target, scratch) = (database("v1"), database("v1_target"), folder());
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, gone text, n integer);
         INSERT INTO t VALUES (1, 'g', 7)",
    );
    let partition_load = json!({ "load_method": "replace-partition" });
    extract(&source, scratch.path(), "2026-11-19");
    extract(&source, scratch.path(), DAY);
    load(scratch.path(), "2026-11-19", &target, &partition_load);
    load(scratch.path(), DAY, &target, &partition_load);
    source.psql(
        "ALTER TABLE t DROP gone, ADD fresh text, ALTER n TYPE bigint;
         UPDATE t SET fresh = 'f', n = 1099511627776",
    );
    extract(&source, scratch.path(), DAY);
    lake::check(scratch.path());
    let partition = lake::partition(scratch.path(), "postgres", DAY, "public-t");
    assert_eq!(lake::data(&partition), "id,n,fresh\n1,1099511627776,f\n");
    load(scratch.path(), DAY, &target, &partition_load);
    let rows = "SELECT _sdc_datestamp, id, n, fresh FROM t ORDER BY 1";
    assert_eq!(target.psql(rows), "2026-11-19|1|7|\n2026-11-20|1|1099511627776|f");
    load(scratch.path(), "2026-11-19", &target, &partition_load);
    assert_eq!(target.psql(rows), "2026-11-19|1|7|\n2026-11-20|1|1099511627776|f");
    assert_eq!(target.psql("SELECT gone FROM t WHERE _sdc_datestamp = '2026-11-19'"), "g");
}

#[test]
fn a_table_changed_by_others_is_not_bent_back() {
    let target = database("altered");
    let columns = json!({ "id": integer(), "v": string(), "n": integer() });
    let lines = opened(&columns).record("t", &json!({ "id": 1, "v": "a", "n": 1 })).done();
    into(&target, &json!({}), &lines).success();
    target.psql("ALTER TABLE t ADD more text DEFAULT 'm', DROP v");
    into(&target, &json!({}), &lines).success();
    assert_eq!(target.psql("SELECT id, v, n, more FROM t"), "1|a|1|m");
    target.psql("ALTER TABLE t ALTER n TYPE date USING NULL");
    let outcome = into(&target, &json!({}), &lines).exits(65);
    assert!(["date", "bigint"].iter().all(|t| outcome.stderr.contains(t)), "{}", outcome.stderr);
    target.psql("DROP TABLE t; CREATE VIEW t AS SELECT 1 AS id");
    into(&target, &json!({}), &lines).exits(69);
    target.psql("DROP VIEW t");
    into(&target, &json!({}), &lines).success();
}

#[test]
fn a_lock_held_by_another_is_waited_for_only_so_long() {
    use std::io::Write;
    use std::process::Stdio;

    let target = database("locked");
    let narrow = json!({ "id": integer() });
    into(&target, &json!({}), &opened(&narrow).record("t", &json!({ "id": 1 })).done()).success();
    let mut reader =
        target.psql_command().stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = reader.stdin.take().unwrap();
    stdin.write_all(b"BEGIN; SELECT * FROM t;\n").unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass
                AND mode = 'AccessShareLock' AND pid <> pg_backend_pid()";
    while target.psql(held) == "0" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let wide = json!({ "id": integer(), "v": string() });
    let lines = opened(&wide).record("t", &json!({ "id": 2, "v": "x" })).done();
    let outcome = into(&target, &json!({ "lock_timeout_seconds": 1 }), &lines);
    invariants::fails(&outcome, &[75]);
    assert_eq!(types(&target), "id bigint");
    drop(stdin);
    reader.wait().unwrap();
    into(&target, &json!({}), &lines).success();
    assert_eq!(target.psql("SELECT id, v FROM t ORDER BY id"), "1|\n2|x");
}

const ADDED: &str = "W-COLUMN-ADDED";

#[test]
fn a_column_that_comes_with_rows_since_a_bookmark_is_told() {
    let (source, target) = (database("added_from"), database("added_to"));
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, at integer, a text, b text);
         INSERT INTO t VALUES (1, 1, 'a', 'b'), (2, 2, 'a', 'b')",
    );
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let catalog = |method: &str, without: &str| {
        let mut catalog = found.clone();
        let stream = &mut catalog["streams"][0];
        stream["replication_method"] = method.into();
        stream["replication_key"] = "at".into();
        for entry in stream["metadata"].as_array_mut().unwrap() {
            let is_without = entry["breadcrumb"] == json!(["properties", without]);
            entry["metadata"]["selected"] = (!is_without).into();
        }
        catalog
    };
    for method in ["upsert", "append-only"] {
        let run = |catalog: &Value, state: &Value| {
            let tap = from_database(&source, &json!({})).json("--catalog", catalog);
            let into = to_database(&target, &json!({ "load_method": method }));
            let target = pipe_succeeds(tap.json("--state", state), into).1;
            let state =
                target.text().lines().last().map(|line| serde_json::from_str(line).unwrap());
            (target.stderr, state.unwrap_or_default())
        };
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let (stderr, state): (_, Value) = run(&catalog("INCREMENTAL", "b"), &json!({}));
        assert!(!stderr.contains(ADDED), "{stderr}");
        let (stderr, state) = run(&catalog("INCREMENTAL", "none"), &state);
        assert!(stderr.contains(ADDED) && stderr.contains(": b;"), "{stderr}");
        let (stderr, _) = run(&catalog("INCREMENTAL", "none"), &state);
        assert!(!stderr.contains(ADDED), "{stderr}");
        // What the hint says fills them.
        target.psql("ALTER TABLE t DROP b");
        let (stderr, _) = run(&catalog("INCREMENTAL", "none"), &json!({}));
        assert!(!stderr.contains(ADDED), "{stderr}");
        assert_eq!(target.psql("SELECT b FROM t WHERE id = 1 AND b = 'b'"), "b");
        target.psql("ALTER TABLE t DROP b");
        let (stderr, _) = run(&catalog("FULL_TABLE", "none"), &json!({}));
        assert!(!stderr.contains(ADDED), "{stderr}");
    }
}

#[test]
fn of_a_foreign_tap_with_a_bookmark_nobody_knows_which_rows_come() {
    let target = database("added_foreign");
    let lines = |ordered_by: &[&str], columns: &Value| {
        Lines::default()
            .message(&json!({
                "type": "SCHEMA", "stream": "t", "key_properties": ["id"],
                "schema": { "type": "object", "properties": columns },
                "bookmark_properties": ordered_by,
            }))
            .record("t", &json!({ "id": 2 }))
            .state(&json!({ "bookmarks": {} }))
    };
    let narrow = json!({ "id": integer() });
    let wide = json!({ "id": integer(), "v": string() });
    for (ordered_by, method, rows, told) in [
        (&["id"][..], "upsert", "(1)", true),
        (&["id"], "append-only", "(1)", true),
        (&["id"], "overwrite", "(1)", false),
        (&["id"], "upsert", "", false),
        (&[], "upsert", "(1)", false),
    ] {
        let more = json!({ "load_method": method });
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        into(&target, &more, &lines(ordered_by, &narrow)).success();
        target.psql("TRUNCATE t");
        if !rows.is_empty() {
            target.psql(&format!("INSERT INTO t VALUES {rows}"));
        }
        let stderr = into(&target, &more, &lines(ordered_by, &wide)).success().stderr;
        assert_eq!(stderr.contains(ADDED), told, "{ordered_by:?} {method} {rows}: {stderr}");
    }
}

#[test]
fn a_column_that_comes_spelled_otherwise_is_told_once() {
    let database = database("spelled_otherwise");
    let tells = |columns: &[&str]| {
        let mut schema = json!({ "id": integer() });
        for name in columns {
            schema[*name] = string();
        }
        let lines = opened(&schema).record("t", &json!({ "id": 1 })).done();
        let outcome = into(&database, &json!({}), &lines).success();
        outcome.stderr.matches("W-COLUMN-ALIKE: table ").count()
    };
    assert_eq!(tells(&["a mount", "unit price"]), 0);
    assert_eq!(tells(&["amount", "unit price"]), 1);
    assert_eq!(tells(&["amount", "unit price"]), 0);
    // A stream that has both means both, and another name is another column.
    assert_eq!(tells(&["amount", "unit price", "unit_price", "amounts"]), 0);
    assert_eq!(tells(&["amount", "Unit-Price", "n"]), 2);
}
