//! States never run ahead of rows, and a stream that has ended stays as it was (M19, M29).

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::invariants::{KILLED, Table, explains, states_cover};
use support::messages::{Lines, columns};
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Run, Running, feed, ours};
use support::{folder, lake};

/// Rows of stream `a` or `b`, from this number on.
fn rows(lines: Lines, stream: &str, ids: std::ops::Range<i64>) -> Lines {
    ids.fold(lines, |lines, id| lines.record(stream, &json!({ "id": id, "name": stream })))
}

fn both() -> Lines {
    Lines::default().schema("a", &columns(), &["id"]).schema("b", &columns(), &["id"])
}

fn covering(a: i64, b: i64) -> Value {
    json!({ "bookmarks": { "a": { "id": a }, "b": { "id": b } } })
}

fn target(database: &Database, more: &Value) -> Run {
    let settings = json!({ "default_target_schema": "public", "batch_size_rows": 100 });
    ours("target-postgres").config(&database.settings_with(&settings)).config(more)
}

fn count(table: &str) -> String {
    format!("SELECT count(*) FROM public.{table}")
}

/// Feeds the input to a target that is killed, and asserts that a run again loses nothing.
#[track_caller]
fn again(database: &Database, killed: Running, input: &Lines, a: i64, b: i64) {
    let printed = killed.wait();
    explains(&printed, &[KILLED]);
    assert_eq!(printed.text(), "", "a state without all its rows");
    // No state was printed, so the next run starts at the beginning.
    let outcome = target(database, &json!({})).input(input.0.clone()).go().success();
    for name in ["a", "b"] {
        let table = Table { database, schema: "public", name, columns: "id, name" };
        assert!(states_cover(&outcome, &table) > 0, "no state: {outcome:?}");
    }
    assert_eq!(database.psql(&count("a")), a.to_string());
    assert_eq!(database.psql(&count("b")), b.to_string());
}

#[test]
fn a_target_killed_between_two_streams_printed_no_state_of_both() {
    let database = database("state_buffered");
    let head = rows(rows(both(), "a", 0..5000), "b", 0..10).state(&covering(4999, 9));
    // A new stream makes the target take in all that came before it; more rows of `a` in the table
    // then tell that it has.
    let tail = Lines::default().schema("c", &columns(), &["id"]);
    let tail = rows(tail, "a", 5000..10_000);
    let input = Lines([head.0, tail.0].concat());
    let mut run = target(&database, &json!({})).start_with(Stdio::piped(), true);
    let mut stdin = run.child().stdin.take().unwrap();
    stdin.write_all(&input.0).unwrap();
    stdin.flush().unwrap();
    database.wait_for("SELECT count(*) > 5000 FROM public.a");
    run.kill();
    drop(stdin);
    let without_b = "SELECT to_regclass('public.b') IS NULL";
    assert_eq!(database.psql(without_b), "t", "`b` was to wait for the end");
    again(&database, run, &input, 10_000, 10);
}

#[test]
fn a_target_killed_amid_the_commit_of_two_streams_printed_no_state_of_both() {
    let database = database("state_amid");
    let every = json!({ "state_interval_seconds": 0 });
    // Both tables are there, and somebody holds the second.
    target(&database, &json!({})).input(both().0).go().success();
    let mut holder = hold(&database, "b");
    let input = rows(rows(both(), "a", 0..500), "b", 0..10).state(&covering(499, 9));
    let mut run = target(&database, &every).start_with(Stdio::piped(), true);
    let mut stdin = run.child().stdin.take().unwrap();
    stdin.write_all(&input.0).unwrap();
    stdin.flush().unwrap();
    database.wait_for("SELECT count(*) = 500 FROM public.a");
    let waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted";
    database.wait_for(waiting);
    run.kill();
    drop(stdin);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(database.psql(&count("b")), "0");
    again(&database, run, &input, 500, 10);
}

/// Locks a table until the child's input ends.
fn hold(database: &Database, table: &str) -> Child {
    let mut child = database
        .psql_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let sql = format!("BEGIN; LOCK TABLE public.{table}; SELECT 'held';\n");
    child.stdin.as_mut().unwrap().write_all(sql.as_bytes()).unwrap();
    let mut said = [0; 4];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    child
}

#[test]
fn a_state_is_printed_once_the_rows_of_all_its_streams_are_there() {
    let database = database("state_after");
    let every = json!({ "state_interval_seconds": 0 });
    let mut run = target(&database, &every).start_with(Stdio::piped(), false);
    let mut stdin = run.child().stdin.take().unwrap();
    let mut printed = BufReader::new(run.child().stdout.take().unwrap());
    let mut head = both();
    for round in 1..=3 {
        let from = (round - 1) * 300;
        head = rows(rows(head, "a", from..from + 300), "b", from / 10..from / 10 + 30);
        head = head.state(&covering(from + 299, from / 10 + 29));
        stdin.write_all(&head.0).unwrap();
        stdin.flush().unwrap();
        head = Lines::default();
        let mut line = String::new();
        printed.read_line(&mut line).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap()["bookmarks"]["a"]["id"],
            from + 299
        );
        assert_eq!(database.psql(&count("a")), (from + 300).to_string(), "{line}");
        assert_eq!(database.psql(&count("b")), (from / 10 + 30).to_string(), "{line}");
    }
    drop(stdin);
    run.wait().success();
}

/// What two runs of the same tap write into one pipe.
fn twice(second: &[(i64, &str)]) -> Vec<u8> {
    let second = second.iter().fold(Lines::opened(), |lines, (id, name)| lines.row(*id, name));
    let covers = json!({ "bookmarks": { "t": { "second": true } }, "currently_syncing": null });
    [Lines::whole(&[(1, "first"), (2, "first")]).0, second.state(&covers).0].concat()
}

#[test]
fn rows_of_a_stream_that_had_ended_are_refused_and_change_nothing() {
    let scratch = folder();
    let csv = || to_lake(scratch.path(), "s", DAY);
    let outcome = csv().input(twice(&[(2, "second")])).go().exits(76);
    assert!(outcome.stderr.contains("stream: t"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("after the end of its stream"), "{}", outcome.stderr);
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition), "id,name\n1,first\n2,first\n");
    lake::check(scratch.path());
    let outcome = csv().input(twice(&[])).go().exits(76);
    assert!(outcome.stderr.contains("after the end of its stream"), "{}", outcome.stderr);
    // The day is not said to be whole: who loads it is told.
    let tap = from_lake(scratch.path(), DAY).go().exits(66);
    assert!(tap.stderr.contains(DAY), "{}", tap.stderr);
    csv().input(Lines::whole(&[(3, "third")]).0).go().success();
    assert_eq!(from_lake(scratch.path(), DAY).go().success().records("t").len(), 1);
    lake::check_swept(scratch.path());

    let database = database("twice");
    for method in ["upsert", "append-only", "overwrite", "replace-partition"] {
        let config = database.settings_with(&json!({
            "default_target_schema": method, "load_method": method, "add_record_metadata": false,
            "source": "s", "datestamp": DAY,
        }));
        let rows = format!(
            "SELECT string_agg(id || ' ' || name, ', ' ORDER BY id, name) FROM \"{method}\".t t"
        );
        let outcome = feed("target-postgres", &config, &twice(&[(2, "second")]));
        let (code, expected) = match method {
            "upsert" => (0, "1 first, 2 second"),
            "append-only" => (0, "1 first, 2 first, 2 second"),
            _ => (76, "1 first, 2 first"),
        };
        assert_eq!(database.psql(&rows), expected, "{method}");
        // What replaces all rows cannot be taken up again; what adds to them can.
        let outcome = outcome.exits(code);
        let says = outcome.stderr.contains("after the end of its stream");
        assert_eq!(says, code == 76, "{}", outcome.stderr);
        assert_eq!(outcome.text().contains("second"), code == 0, "{}", outcome.text());
    }
    let left = "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname ~ 'stage'";
    assert_eq!(database.psql(left), "", "staging tables left");
}

/// A tap reads all tables, and then the log of all of them.
#[test]
fn a_stream_that_comes_back_is_taken_up_again() {
    let database = database("comes_back");
    let row = |lines: Lines, stream: &str, id: i64, name: &str| {
        lines.record(stream, &json!({ "id": id, "name": name }))
    };
    let begin =
        |lines: Lines, stream: &str| lines.syncing(stream).schema(stream, &columns(), &["id"]);
    let tables = row(begin(Lines::default(), "a"), "a", 1, "table");
    let tables = row(begin(tables, "b"), "b", 1, "table");
    let log = |lines: Lines| row(row(lines, "a", 1, "log"), "a", 2, "log");
    let nothing = json!({ "bookmarks": {}, "currently_syncing": null });
    let wider = json!({
        "id": { "type": "integer" }, "name": { "type": ["null", "string"] },
        "more": { "type": "integer" },
    });
    let covers = json!({ "bookmarks": { "a": { "lsn": 9 } }, "currently_syncing": null });
    let load = |method: &str, lines: &Lines| {
        let config = database.settings_with(&json!({
            "default_target_schema": method, "load_method": method, "add_record_metadata": false,
        }));
        feed("target-postgres", &config, &lines.0)
    };
    for method in ["upsert", "append-only"] {
        let rows = format!(
            "SELECT string_agg(id || ' ' || name, ', ' ORDER BY id, name) FROM \"{method}\".a"
        );
        let expected = match method {
            "upsert" => "1 log, 2 log",
            _ => "1 log, 1 table, 2 log",
        };
        for lines in [
            log(tables.clone().syncing("a")),
            log(tables.clone().state(&nothing)),
            log(tables.clone().schema("a", &wider, &["id"])),
        ] {
            database.psql(&format!("DROP SCHEMA IF EXISTS \"{method}\" CASCADE"));
            let outcome = load(method, &lines.clone().state(&covers)).success();
            assert_eq!(database.psql(&rows), expected, "{method}");
            assert!(outcome.text().contains("\"lsn\":9"), "{}", outcome.text());
        }
        // The end of the input is judged by what is said last.
        database.psql(&format!("DROP SCHEMA \"{method}\" CASCADE"));
        let cut = load(method, &log(tables.clone().syncing("a"))).exits(76);
        assert!(cut.stderr.contains("the input ended early"), "{}", cut.stderr);
        assert_eq!(database.psql(&rows), "1 table", "{method}");
        assert!(!cut.text().contains("lsn"), "{}", cut.text());
    }
}

#[test]
fn another_schema_of_a_stream_that_had_ended_is_refused() {
    let scratch = folder();
    let wider = json!({ "id": { "type": "integer" }, "more": { "type": "string" } });
    let second = Lines::default().syncing("t").schema("t", &wider, &["id"]).done();
    let input = [Lines::whole(&[(1, "first")]).0, second.0].concat();
    let outcome = to_lake(scratch.path(), "s", DAY).input(input).go().exits(76);
    assert!(outcome.stderr.contains("after the end of its stream"), "{}", outcome.stderr);
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    assert_eq!(lake::data(&partition), "id,name\n1,first\n");
}

#[test]
fn a_second_tap_with_other_streams_may_follow_the_first() {
    let scratch = folder();
    let second = Lines::default()
        .syncing("u")
        .schema("u", &columns(), &["id"])
        .record("u", &json!({ "id": 2, "name": "second" }))
        .done();
    let input = [Lines::whole(&[(1, "first")]).0, second.0].concat();
    to_lake(scratch.path(), "s", DAY).input(input).go().success();
    let tap = from_lake(scratch.path(), DAY).go().success();
    assert_eq!((tap.records("t").len(), tap.records("u").len()), (1, 1));
}

#[test]
fn a_stream_is_whole_only_by_what_is_said_behind_its_rows() {
    let scratch = folder();
    let nothing = json!({ "bookmarks": {}, "currently_syncing": null });
    let rows = |lines: Lines| rows(lines.schema("t", &columns(), &["id"]), "t", 0..3);
    let early = Lines::default().state(&nothing);
    for (lines, complete) in [
        (rows(early.clone()), json!("unverified")),
        (rows(early.clone()).state(&nothing), json!(true)),
        (rows(early.syncing("t")).state(&nothing), json!(true)),
    ] {
        let run = |require: bool| {
            to_lake(scratch.path(), "s", DAY)
                .set("require_complete", require)
                .input(lines.0.clone())
                .go()
        };
        let partition = lake::partition(scratch.path(), "s", DAY, "t");
        let required = run(true);
        assert_eq!(required.code, if complete == json!(true) { 0 } else { 76 }, "{complete}");
        run(false).success();
        assert_eq!(lake::manifest(&partition)["complete"], complete);
        std::fs::remove_dir_all(scratch.path().join("source=s")).unwrap();
    }
}
