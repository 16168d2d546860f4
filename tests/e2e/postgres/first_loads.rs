//! The ways of rows into their tables: straight, until a key comes again, and by a staging table.

use std::fmt::Write as _;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::{Lines, columns};
use support::pipes::{DAY, to_database};
use support::{folder, run::Outcome};

/// More rows than go into one COPY.
const MANY: i64 = 60_000;

/// Text that makes a row of some hundred bytes.
fn name(id: i64, version: &str) -> String {
    format!("{version}{id}{}", "x".repeat(120))
}

/// Rows of stream `t`: ids from 0 on, and at last some of them again with another name.
fn repeating(again: &[i64]) -> Lines {
    let mut lines = Lines::opened();
    let all = (0..MANY).map(|id| (id, "a")).chain(again.iter().map(|id| (*id, "b")));
    for (id, version) in all {
        let record = format!(r#"{{"id":{id},"name":"{}"}}"#, name(id, version));
        let line = format!(r#"{{"type":"RECORD","stream":"t","record":{record}}}"#);
        lines = lines.raw(line);
    }
    lines.done()
}

/// How to load, for every method that looks at keys.
fn keyed() -> [Value; 3] {
    ["upsert", "overwrite", "replace-partition"]
        .map(|method| json!({ "load_method": method, "source": "s", "datestamp": DAY }))
}

fn load(target: &Database, more: &Value, lines: &Lines) -> Outcome {
    to_database(target, more).input(lines.0.clone()).go()
}

fn held(target: &Database) -> String {
    target.psql("SELECT count(*), count(*) FILTER (WHERE name ^@ 'b'), sum(id) FROM t")
}

#[test]
fn a_key_that_comes_again_late_in_a_first_load_has_its_last_row() {
    let target = database("repeats_late");
    let again = [3, MANY / 2, MANY - 1];
    for more in keyed() {
        target.psql("DROP TABLE IF EXISTS t");
        for run in ["first", "second"] {
            let outcome = load(&target, &more, &repeating(&again)).success();
            let expected = format!("{MANY}|3|{}", MANY * (MANY - 1) / 2);
            assert_eq!(held(&target), expected, "{more} {run}");
            let unchanged = outcome.stderr.contains("table public.t: unchanged");
            assert_eq!(unchanged, run == "second", "{more} {run}: {}", outcome.stderr);
        }
        let gone = load(&target, &more, &Lines::whole(&[(3, "b")])).success();
        let left = if more["load_method"] == "upsert" { MANY } else { 1 };
        let count = target.psql("SELECT count(*) FROM t");
        assert_eq!(count, left.to_string(), "{more}: {}", gone.stderr);
    }
}

#[test]
fn a_table_that_grows_while_it_is_filled_has_all_rows() {
    let target = database("grows_while_filled");
    let mut wider = columns();
    wider["note"] = json!({ "type": ["null", "string"] });
    let mut lines = Lines::opened();
    for id in 0..10 {
        lines = lines.row(id, "a");
    }
    lines = lines.schema("t", &wider, &["id"]);
    for id in 5..15 {
        lines = lines.record("t", &json!({ "id": id, "name": "b", "note": "n" }));
    }
    let lines = lines.done();
    for more in keyed() {
        target.psql("DROP TABLE IF EXISTS t");
        load(&target, &more, &lines).success();
        let of = "SELECT count(*), count(note), string_agg(name, '' ORDER BY id) FROM t";
        assert_eq!(target.psql(of), "15|10|aaaaabbbbbbbbbb", "{more}");
    }
    target.psql("DROP TABLE t");
    load(&target, &json!({ "load_method": "append-only" }), &lines).success();
    assert_eq!(target.psql("SELECT count(*), count(note) FROM t"), "20|10");
}

/// Streams that come mixed, as some taps write them, while only one can go straight.
#[test]
fn streams_that_come_mixed_all_arrive() {
    let target = database("mixed_streams");
    let names = ["a", "b", "c"];
    let mut lines = Lines::default();
    for name in names {
        lines = lines.schema(name, &columns(), &["id"]);
    }
    for id in 0..3000 {
        let name = names[usize::try_from(id % 3).unwrap()];
        lines = lines.record(name, &json!({ "id": id / 6, "name": format!("{id}") }));
        if id % 500 == 0 {
            lines = lines.state(&json!({ "bookmarks": { "at": id } }));
        }
    }
    for method in ["append-only", "upsert", "overwrite"] {
        for name in names {
            target.psql(&format!("DROP TABLE IF EXISTS {name}"));
        }
        let more = json!({ "load_method": method, "state_interval_seconds": 0 });
        load(&target, &more, &lines).success();
        for (at, name) in (0..).zip(names) {
            let of = format!("SELECT count(*), count(DISTINCT id), sum(name::int) FROM {name}");
            // Of `id` the records are 6 * id + at and, the last, 3 more.
            let (first, last) = (748_500 + 500 * at, 750_000 + 500 * at);
            let wanted = match method {
                "append-only" => format!("1000|500|{}", first + last),
                _ => format!("500|500|{last}"),
            };
            assert_eq!(target.psql(&of), wanted, "{method} {name}");
        }
    }
}

#[test]
fn one_connection_is_enough() {
    let target = database("one_connection");
    target
        .psql("CREATE ROLE lonely LOGIN CONNECTION LIMIT 1; GRANT ALL ON SCHEMA public TO lonely");
    let more = json!({ "user": "lonely", "load_method": "upsert" });
    let outcome = load(&target, &more, &Lines::whole(&[(1, "a"), (1, "b"), (2, "c")])).success();
    assert!(outcome.stderr.contains("no second connection"), "{}", outcome.stderr);
    assert_eq!(target.psql("SELECT id, name FROM t ORDER BY id"), "1|b\n2|c");
}

#[test]
fn rows_that_a_column_cannot_keep_are_set_aside_with_their_lines() {
    let target = database("sink_rejects");
    let scratch = folder();
    let rejects = scratch.path().join("rejects.jsonl");
    let properties = json!({
        "id": { "type": "integer" },
        "code": { "type": ["null", "string"], "maxLength": 3, "x-sql-datatype": "varchar(3)" },
        "price": { "type": ["null", "number"], "x-sql-datatype": "numeric(6,2)" },
    });
    let lines = Lines::default()
        .syncing("t")
        .schema("t", &properties, &["id"])
        .record("t", &json!({ "id": 1, "code": "abc", "price": 1.25 }))
        .record("t", &json!({ "id": 2, "code": "a\u{0}c", "price": 2 }))
        .record("t", &json!({ "id": 3, "code": "abc", "price": 1.005 }))
        .record("t", &json!({ "id": null, "code": "abc", "price": 1 }))
        .record("t", &json!({ "id": 1, "code": "new", "price": 3 }))
        .done();
    for more in keyed() {
        let _ = std::fs::remove_file(&rejects);
        target.psql("DROP TABLE IF EXISTS t");
        let with = |max: u64| {
            let mut more = more.clone();
            more["validate_records"] = json!(false);
            more["max_rejects"] = json!(max);
            more["rejects_file"] = json!(rejects);
            more["rejects_include_record"] = json!(true);
            more
        };
        let refused = load(&target, &with(0), &lines).exits(65);
        assert!(refused.stderr.contains("line: 4"), "{}", refused.stderr);
        assert_eq!(target.psql("SELECT to_regclass('t') IS NULL"), "t", "{more}");
        load(&target, &with(3), &lines).success();
        assert_eq!(target.psql("SELECT id, code, price FROM t"), "1|new|3.00", "{more}");
        let mut found = String::new();
        for line in std::fs::read_to_string(&rejects).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["stream"], "t", "{line}");
            assert_eq!(
                line["record"]["id"].to_string(),
                line["key"].as_str().map_or_else(|| line["key"].to_string(), str::to_owned),
                "{line}"
            );
            let _ = writeln!(found, "{} {} {}", line["line"], line["key"], line["column"]);
        }
        assert_eq!(found, "4 2 \"code\"\n5 3 \"price\"\n6 \"null\" \"id\"\n", "{more}");
    }
}

/// What the server alone finds wrong is named by the line of the input, too.
#[test]
fn the_line_of_a_value_that_the_server_refuses_is_told() {
    let target = database("server_refuses");
    let properties = json!({
        "id": { "type": "integer" },
        "at": { "type": "string", "format": "date" },
    });
    let mut lines = Lines::default().syncing("t").schema("t", &properties, &["id"]);
    for id in 0..100 {
        let at = if id == 41 { "2026-02-30" } else { "2026-02-28" };
        lines = lines.record("t", &json!({ "id": id, "at": at }));
    }
    let lines = lines.done();
    for method in ["append-only", "upsert", "overwrite"] {
        for existing in [
            "",
            "CREATE TABLE t (id bigint PRIMARY KEY, at date); INSERT INTO t \
                              VALUES (1000, '2026-01-01')",
        ] {
            target.psql(&format!("DROP TABLE IF EXISTS t; {existing}"));
            let more = json!({ "load_method": method, "validate_records": false });
            let refused = load(&target, &more, &lines).exits(65);
            assert!(refused.stderr.contains("line: 44"), "{method}: {}", refused.stderr);
            assert!(refused.stderr.contains("column: at"), "{method}: {}", refused.stderr);
            assert!(!refused.stderr.contains("2026-02-30"), "data in a log: {}", refused.stderr);
        }
    }
}

/// Text with an offset goes into a column without one as UTC.
#[test]
fn moments_arrive_in_utc() {
    let target = database("moments_in_utc");
    let properties = json!({
        "id": { "type": "integer" },
        "at": { "type": "string", "format": "date-time", "x-sql-datatype": "timestamp" },
    });
    let lines = ["2026-03-01T00:30:00.125+05:45", "2026-03-01T00:30:00Z", "infinity"];
    let lines = lines.iter().zip(1..).fold(
        Lines::default().syncing("t").schema("t", &properties, &["id"]),
        |lines, (at, id)| lines.record("t", &json!({ "id": id, "at": at })),
    );
    for more in keyed() {
        target.psql("DROP TABLE IF EXISTS t");
        for _ in 0..2 {
            load(&target, &more, &lines.clone().done()).success();
            assert_eq!(
                target.psql("SELECT at FROM t ORDER BY id"),
                "2026-02-28 18:45:00.125\n2026-03-01 00:30:00\ninfinity",
                "{more}"
            );
        }
    }
}

#[test]
fn rows_without_columns_are_refused_and_no_rows_are_not() {
    let target = database("no_columns");
    let lines = || Lines::default().syncing("t").schema("t", &json!({}), &[]);
    let row = lines().record("t", &json!({})).done();
    let refused = load(&target, &json!({}), &row).exits(65);
    assert!(refused.stderr.contains("cannot load rows without columns"), "{}", refused.stderr);
    load(&target, &json!({}), &lines().done()).success();
    load(&target, &json!({ "add_record_metadata": true }), &row).success();
    assert_eq!(target.psql("SELECT count(*) FROM t"), "1");
}

#[test]
fn rows_of_two_streams_by_turns_may_refer_to_each_other() {
    let target = database("refer");
    target.psql(
        "CREATE TABLE parent (id bigint PRIMARY KEY, name text);
         CREATE TABLE child (id bigint PRIMARY KEY, name text, parent bigint REFERENCES parent)",
    );
    let mut of_child = columns();
    of_child["parent"] = json!({ "type": "integer" });
    let mut lines = Lines::default().schema("parent", &columns(), &["id"]);
    lines = lines.schema("child", &of_child, &["id"]);
    for id in 0..20 {
        lines = lines.record("parent", &json!({ "id": id, "name": "p" }));
        for child in id * 10..id * 10 + 10 {
            lines = lines.record("child", &json!({ "id": child, "name": "c", "parent": id }));
        }
        // Rows are handed on when a stream begins.
        lines = lines.schema(&format!("other{id}"), &columns(), &["id"]);
    }
    load(&target, &json!({ "batch_size_rows": 5 }), &lines).success();
    let joined = "SELECT count(*) FROM child JOIN parent ON parent.id = child.parent";
    assert_eq!(target.psql(joined), "200");
}

#[test]
fn a_batch_that_waits_is_tried_less_and_less_often() {
    let target = database("waits");
    target.psql(
        "CREATE TABLE parent (id bigint PRIMARY KEY, name text);
         CREATE TABLE child (id bigint PRIMARY KEY, name text, parent bigint REFERENCES parent);
         CREATE SEQUENCE tries;
         CREATE FUNCTION tried() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN PERFORM nextval(''public.tries''); RETURN NULL; END';
         CREATE TRIGGER tried BEFORE INSERT ON child EXECUTE FUNCTION tried()",
    );
    let mut of_child = columns();
    of_child["parent"] = json!({ "type": "integer" });
    let mut lines = Lines::default().schema("parent", &columns(), &["id"]);
    lines = lines.schema("child", &of_child, &["id"]);
    lines = lines.record("parent", &json!({ "id": 1, "name": "p" }));
    for id in 0..200 {
        if id % 5 == 0 {
            // Rows are handed on when a stream begins.
            lines = lines.schema(&format!("other{id}"), &columns(), &["id"]);
        }
        lines = lines.record("child", &json!({ "id": id, "name": "c", "parent": 1 }));
    }
    load(&target, &json!({ "batch_size_rows": 5 }), &lines).success();
    assert_eq!(target.psql("SELECT count(*) FROM child"), "200");
    // Of 40 batches.
    let tries: usize = target.psql("SELECT last_value FROM tries").parse().unwrap();
    assert!((2..12).contains(&tries), "{tries} tries");
}
