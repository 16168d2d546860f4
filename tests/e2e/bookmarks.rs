//! Bookmarks: what lies before one is read again if that is set, and one that cannot be right is
//! told.

use serde_json::{Value, json};

use crate::open_writers::{Reader, ids};
use support::cluster::{Database, database};
use support::pipes::from_database;
use support::run::Outcome;

#[test]
fn a_read_begins_as_far_before_its_bookmark_as_is_set() {
    let source = database("lookback");
    let cases = [
        ("bigint", "n", "4", "W"),
        ("smallint", "n", "4", "W"),
        ("numeric", "n + 0.5", "4", "W"),
        ("double precision", "n", "4", "W"),
        ("timestamptz", "timestamptz '2026-01-01Z' + n * interval '1 h'", "14400", "W"),
        ("timestamp", "timestamp '2026-01-01' + n * interval '1 h'", "14400", "W"),
        ("date", "date '2026-01-01' + n", "259201", "W"),
        ("text COLLATE \"C\"", "to_char(n, '09')", "4", "W-SETTING-UNUSED"),
    ];
    for (kind, value, back, warned) in cases {
        source.psql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, k {kind});
             INSERT INTO t SELECT n, {value} FROM generate_series(1, 10) n"
        ));
        let back: u64 = back.parse().unwrap();
        let settings = json!({ "stream_options": { "public-t": { "lookback_window": back } } });
        let mut reader = Reader::of(&source, &[("t", "k")], &settings);
        reader.run();
        let mark = reader.mark("t");
        let unused = warned == "W-SETTING-UNUSED";
        let expected = if unused { [10].into() } else { (6..=10).collect() };
        let again = reader.run();
        assert_eq!(ids(&again, "t"), expected, "{kind}");
        assert_eq!(again.stderr.contains("W-SETTING-UNUSED"), unused, "{kind}: {}", again.stderr);
        assert_eq!(reader.mark("t"), mark, "{kind}");
        // Runs of few rows come to an end.
        let few = json!({ "lookback_window": back, "max_record_count": 2 });
        let mut few = Reader::of(&source, &[("t", "k")], &few);
        for _ in 0..5 {
            few.run();
        }
        assert_eq!(few.mark("t"), mark, "{kind}");
    }
}

#[test]
fn numbers_that_begin_anew_are_told() {
    let source = database("numbers_anew");
    source.psql("CREATE ROLE stranger LOGIN; CREATE SEQUENCE loose");
    let told = |reader: &mut Reader| reader.run().stderr.contains("W-BOOKMARK-BEYOND");
    for kind in ["serial", "bigint GENERATED ALWAYS AS IDENTITY", "int DEFAULT nextval('loose')"] {
        source.psql(&format!(
            "DROP TABLE IF EXISTS t; ALTER SEQUENCE loose RESTART;
             CREATE TABLE t (id {kind}, v text);
             GRANT SELECT ON t TO stranger; INSERT INTO t (v) SELECT 'a' FROM generate_series(1, 3)"
        ));
        let mut reader = Reader::of(&source, &[("t", "id")], &json!({}));
        let mut stranger = Reader::of(&source, &[("t", "id")], &json!({ "user": "stranger" }));
        assert!(!told(&mut reader) && !told(&mut reader) && !told(&mut stranger), "{kind}");
        // The number of a row that is gone does not come again.
        source.psql("DELETE FROM t WHERE id = 3");
        assert!(!told(&mut reader), "{kind}");
        assert!(told(&mut stranger), "{kind}: it cannot tell");
        source.psql("TRUNCATE t RESTART IDENTITY; ALTER SEQUENCE loose RESTART");
        assert!(told(&mut reader), "{kind}");
        source.psql("INSERT INTO t (v) VALUES ('b')");
        assert!(told(&mut reader) && told(&mut stranger), "{kind}");
        reader.state = json!({});
        assert_eq!(ids(&reader.run(), "t"), [1].into(), "{kind}");
    }
}

#[test]
fn a_bookmark_that_is_not_used_is_told() {
    let source = database("unused_marks");
    source.psql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 5), (2, 6)");
    let mut reader = Reader::of(&source, &[("t", "id")], &json!({}));
    for (mark, rows, told) in [
        (json!({ "replication_key": "id", "replication_key_value": 2 }), 1, false),
        (json!({ "replication_key_value": "2" }), 1, false),
        (json!({ "replication_key": "id", "replication_key_value": null, "version": 1 }), 2, false),
        (json!({ "replication_key": "n", "replication_key_value": 6 }), 2, true),
        (json!({ "replication_key": "id", "replication_key_value": [2] }), 2, true),
        (json!({ "id": 2 }), 2, true),
    ] {
        reader.state = json!({ "bookmarks": { "public-t": mark } });
        let outcome = reader.run();
        assert_eq!(ids(&outcome, "t").len(), rows, "{mark}");
        assert_eq!(outcome.stderr.contains("W-BOOKMARK-UNUSED"), told, "{mark}");
        assert_eq!(reader.mark("t"), 2);
        assert!(!reader.run().stderr.contains("W-BOOKMARK-UNUSED"), "{mark}");
    }
}

#[test]
fn a_state_that_others_keep_as_doubles_loses_no_row() {
    let source = database("double_marks");
    let digits = "123456789012345678.12345678901234567891";
    source.psql(&format!("CREATE TABLE t (id int, k numeric); INSERT INTO t VALUES (1, {digits})"));
    let mut reader = Reader::of(&source, &[("t", "k")], &json!({}));
    reader.run();
    assert_eq!(reader.mark("t"), digits);
    // As Python reads and writes it.
    let text = reader.state.to_string();
    let script = "import json, sys; print(json.dumps(json.load(sys.stdin)))";
    let python = support::run::Run::new(std::path::Path::new("/usr/bin/python3"));
    let kept = python.args(["-c", script]).input(text).go().success().text();
    reader.state = serde_json::from_str::<Value>(&kept).unwrap();
    source.psql(&format!("INSERT INTO t VALUES (2, {digits} + 0.00000000000000000001)"));
    assert_eq!(ids(&reader.run(), "t"), [1, 2].into());
}

#[test]
fn a_bookmark_is_of_the_table_and_the_type_that_it_was_taken_from() {
    let (source, other) = (database("bookmark_of"), database("bookmark_of_other"));
    let rows = |first: u32, last: u32| {
        format!("INSERT INTO t SELECT n, n FROM generate_series({first}, {last}) n")
    };
    let table = |kind: &str| format!("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, k {kind})");
    let count = |outcome: &Outcome| ids(outcome, "t").len();
    let of = |database: &Database| Reader::of(database, &[("t", "k")], &json!({}));
    let changed = |reader: &Reader, database: &Database, code: &str, rows: usize| {
        // The catalog of today, and the state from before.
        let mut today = of(database);
        today.state = reader.state.clone();
        let outcome = today.run();
        let codes = ["W-SOURCE-CHANGED", "W-BOOKMARK-UNUSED"];
        let told: Vec<_> = codes.iter().filter(|code| outcome.stderr.contains(**code)).collect();
        let expected: Vec<_> = codes.iter().filter(|known| **known == code).collect();
        assert_eq!(told, expected, "{}", outcome.stderr);
        assert_eq!(count(&outcome), rows, "{code}: {}", outcome.stderr);
        // It is told once.
        assert!(!codes.iter().any(|code| today.run().stderr.contains(code)));
    };
    let begin = || {
        source.psql(&format!("{}; {}", table("integer"), rows(1, 10)));
        let mut reader = of(&source);
        assert_eq!(count(&reader.run()), 10);
        reader
    };
    let reader = begin();
    source.psql(&rows(11, 12));
    changed(&reader, &source, "", 3);
    source.psql("ALTER TABLE t ALTER k TYPE bigint");
    changed(&reader, &source, "", 3);
    source.psql("ALTER TABLE t ALTER k TYPE text USING lpad(k::text, 4, '0')");
    changed(&reader, &source, "W-BOOKMARK-UNUSED", 12);
    let reader = begin();
    source.psql("ALTER TABLE t ALTER k TYPE numeric USING k / 10.0");
    changed(&reader, &source, "W-BOOKMARK-UNUSED", 10);
    let reader = begin();
    source.psql(&format!("{}; {}", table("integer"), rows(1, 20)));
    changed(&reader, &source, "W-SOURCE-CHANGED", 11);
    let reader = begin();
    other.psql(&format!("{}; {}", table("integer"), rows(1, 20)));
    changed(&reader, &other, "W-SOURCE-CHANGED", 11);
}

#[test]
fn columns_that_were_left_out_and_come_behind_a_bookmark_are_told() {
    let source = database("left_out");
    source.psql(
        "CREATE TABLE t (id int, k int, v text, w text); INSERT INTO t VALUES (1, 1), (2, 2)",
    );
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let mut state = json!({});
    for (without, told) in
        [(&["v"][..], None), (&[], Some("v")), (&["v", "w"], None), (&["v"], Some("w"))]
    {
        let mut catalog = found.clone();
        let stream = &mut catalog["streams"][0];
        stream["replication_method"] = "INCREMENTAL".into();
        stream["replication_key"] = "k".into();
        for entry in stream["metadata"].as_array_mut().unwrap() {
            let name = entry["breadcrumb"][1].as_str().unwrap_or_default().to_owned();
            entry["metadata"]["selected"] = (!without.contains(&name.as_str())).into();
        }
        let tap = from_database(&source, &json!({})).json("--catalog", &catalog);
        let outcome = tap.json("--state", &state).go().success();
        let named = |name: &str| outcome.stderr.contains(&format!("what they have there: {name};"));
        assert_eq!(outcome.stderr.contains("W-COLUMN-ADDED"), told.is_some(), "{}", outcome.stderr);
        assert!(told.is_none_or(named), "{told:?}: {}", outcome.stderr);
        let states = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
        state = states.unwrap()["value"].take();
    }
}
