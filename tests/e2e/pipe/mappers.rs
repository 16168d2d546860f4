//! A mapper keeps the order, the envelope and the completeness of its streams.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::run::{Outcome, Run, ours, pipe, pipe_succeeds};
use support::{folder, lake};

fn mapper(settings: &Value) -> Run {
    ours("map-example").config(settings)
}

/// Feeds lines through a mapper into a target.
fn mapped(lines: &Lines, settings: &Value, target: Run) -> (Outcome, Outcome) {
    pipe(mapper(settings).input(lines.0.clone()), target)
}

fn is_published(lake: &Path, table: &str) -> bool {
    lake.join(format!("source=s/extracted_at={DAY}/table={table}")).exists()
}

fn properties() -> Value {
    json!({ "id": { "type": "integer" }, "name": { "type": "string" } })
}

#[test]
fn each_record_keeps_its_time_and_its_version() {
    let record = |id: u64, more: &Value| {
        let mut message = json!({ "type": "RECORD", "stream": "t", "record": { "id": id } });
        for (name, value) in more.as_object().unwrap() {
            message[name] = value.clone();
        }
        message
    };
    let first = json!({ "version": 7, "time_extracted": "2026-01-02T03:04:05.000001Z" });
    let second = json!({ "time_extracted": "2026-01-02T03:04:06Z" });
    let state = json!({ "bookmarks": { "t": { "x": 1.0 } }, "own": "ä" });
    let lines = Lines::default().schema("t", &properties(), &["id"]);
    let lines = lines.message(&record(1, &first)).message(&record(2, &second));
    let lines = lines.message(&record(3, &json!({}))).message(&record(4, &first)).state(&state);
    let activate = json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": 7 });
    let lines = lines.message(&activate);
    let told = mapper(&json!({ "skip": ["4"] })).input(lines.0).go().success();
    let records = told.messages().into_iter().filter(|message| message["type"] == "RECORD");
    let seen: Vec<Value> = records
        .map(|mut message| {
            let record = message["record"].take();
            json!([record, message["version"], message["time_extracted"]])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!([{ "id": 1 }, 7, "2026-01-02T03:04:05.000001Z"]),
            json!([{ "id": 2 }, null, "2026-01-02T03:04:06Z"]),
            json!([{ "id": 3 }, null, null]),
        ]
    );
    let last: Vec<Value> = told.messages().into_iter().rev().take(2).collect();
    assert_eq!(last[1]["value"], state);
    assert_eq!(last[0], activate);
    // The text of a state is nobody's to change.
    assert!(told.text().contains(r#""x":1.0"#), "{}", told.text());
}

/// Returns how many bytes a process has written.
fn written(io: &str) -> u64 {
    let text = fs::read_to_string(io).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    count.unwrap().parse().unwrap()
}

/// A tap of another author names no stream, so the end of the output looks like a good end.
#[test]
fn a_mapper_that_is_stopped_ends_within_a_message() {
    let rows = (0..20_000)
        .fold(Lines::default().schema("t", &properties(), &["id"]), |lines, id| {
            lines.record("t", &json!({ "id": id, "name": "x" }))
        });
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL] {
        let mut run = mapper(&json!({})).start_with(Stdio::piped(), true);
        let mut stdin = run.child().stdin.take().unwrap();
        stdin.write_all(&rows.0).unwrap();
        stdin.flush().unwrap();
        let io = format!("/proc/{}/io", run.child().id());
        let mut left = 10_000;
        while written(&io) < 1_000_000 {
            left -= 1;
            assert!(left > 0, "the mapper writes nothing");
            std::thread::sleep(Duration::from_millis(2));
        }
        run.signal(signal);
        let stopped = run.wait();
        drop(stdin);
        assert!(stopped.text().len() > 100_000, "{signal:?}: {}", stopped.text().len());
        let lake = folder();
        let target = to_lake(lake.path(), "s", DAY).input(stopped.stdout).go().exits(76);
        assert!(!is_published(lake.path(), "t"), "{signal:?}: {}", target.stderr);
    }
}

/// Values of more than one type are kept as texts, and the SCHEMA says so.
#[test]
fn what_comes_out_is_of_its_schema() {
    let mixed = json!({ "id": { "type": "integer" }, "v": { "type": ["integer", "boolean", "null"],
        "title": "Mixed", "minimum": 1 } });
    let lines = Lines::default().schema("t", &mixed, &["id"]);
    let lines = lines.record("t", &json!({ "id": 1, "v": true }));
    let lines = lines.record("t", &json!({ "id": 2, "v": 1 }));
    let told = mapper(&json!({})).input(lines.0).go().success();
    let schema = &told.messages()[0]["schema"]["properties"];
    assert_eq!(schema["v"], json!({ "type": ["string", "null"], "title": "Mixed" }));
    assert_eq!(schema["id"], mixed["id"]);
    let values: Vec<Value> =
        told.records("t").into_iter().map(|mut record| record["v"].take()).collect();
    assert_eq!(values, ["true", "1"]);
}

#[test]
fn what_a_schema_says_besides_is_passed_on() {
    let schema = json!({
        "type": "SCHEMA", "stream": "t", "schema": { "properties": properties() },
        "key_properties": ["id"], "bookmark_properties": ["id"], "x-theirs": { "a": 1 },
        "resumed_from": { "at": 3 },
    });
    let lines = Lines::default().message(&schema);
    let told = mapper(&json!({ "streams": { "t": ["u"] } })).input(lines.0).go().success();
    let mut expected = schema;
    expected["stream"] = "u".into();
    expected["source_stream"] = "t".into();
    assert_eq!(told.messages(), [expected.clone()]);
    // And so is a SCHEMA that differs in this only.
    let mut again = expected.clone();
    again["bookmark_properties"] = json!(["name"]);
    again.as_object_mut().unwrap().remove("source_stream");
    again["stream"] = "t".into();
    let mut first = again.clone();
    first["bookmark_properties"] = json!(["id"]);
    let lines = Lines::default().message(&first).message(&again);
    let told = mapper(&json!({ "streams": { "t": ["u"] } })).input(lines.0).go().success();
    let names: Vec<Value> = told
        .messages()
        .into_iter()
        .map(|mut message| message["bookmark_properties"].take())
        .collect();
    assert_eq!(names, [json!(["id"]), json!(["name"])]);
}

/// Streams of a tap of ours, one of which becomes two and one nothing.
#[test]
fn a_stream_is_whole_by_the_word_of_its_tap() {
    let source = database("mapped");
    source.psql(
        "CREATE TABLE a (id integer PRIMARY KEY, secret text); INSERT INTO a VALUES (1, 'x');
         CREATE TABLE b (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY);
         INSERT INTO c SELECT generate_series(1, 1000)",
    );
    let streams = json!({ "public-a": ["one", "two"], "public-b": [] });
    let settings = json!({ "streams": streams, "without": ["secret"] });
    let tap = from_database(&source, &json!({})).go().success();
    let through = mapper(&settings).input(tap.text()).go().success().text();
    assert!(!through.contains("secret") && !through.contains("\"stream\":\"public-b\""));
    let lines: Vec<&str> = through.lines().collect();
    // Cut anywhere, no stream is published that may lack rows.
    for end in 0..=lines.len() {
        if (20..lines.len() - 10).contains(&end) {
            continue;
        }
        let output = folder();
        let cut = lines[..end].join("\n") + "\n";
        let done = to_lake(output.path(), "s", DAY).input(cut).go();
        let whole = end == lines.len();
        assert_eq!(done.code == 0, whole, "{end}: {}", done.stderr);
        let rest = lines[end..].join("\n");
        for table in ["one", "two", "public-c"] {
            let more = rest.contains(&format!("\"stream\":\"{table}\",\"record\""));
            assert!(!(more && is_published(output.path(), table)), "{end}: {table}");
            assert!(!whole || is_published(output.path(), table), "{table}");
        }
    }
}

#[test]
fn a_tap_that_breaks_off_ends_no_stream_that_comes_of_its_own() {
    let lines = Lines::default().syncing("t").schema("t", &properties(), &["id"]).row(1, "a");
    let output = folder();
    let settings = json!({ "streams": { "t": ["u", "v"] } });
    let (_, refused) = mapped(&lines, &settings, to_lake(output.path(), "s", DAY));
    refused.exits(76);
    assert!(!is_published(output.path(), "u") && !is_published(output.path(), "v"));
    let (_, done) = mapped(&lines.done(), &settings, to_lake(output.path(), "s", DAY));
    done.success();
    for table in ["u", "v"] {
        let partition = lake::partition(output.path(), "s", DAY, table);
        assert_eq!(lake::manifest(&partition)["complete"], true);
    }
}

#[test]
fn the_rest_of_a_stream_replaces_nothing_behind_a_mapper() {
    let (source, target) = (database("mapped_rest"), database("mapped_rest_into"));
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz);
         INSERT INTO t VALUES (1, '2026-01-01'), (2, '2026-01-02')",
    );
    let settings = json!({ "streams": { "public-t": ["mine"] } });
    let more = json!({ "load_method": "upsert" });
    let run = |state: Option<&Value>| {
        let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
        let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
        catalog["streams"][0]["replication_method"] = "INCREMENTAL".into();
        catalog["streams"][0]["replication_key"] = "at".into();
        let tap = from_database(&source, &json!({})).json("--catalog", &catalog);
        let tap = state.into_iter().fold(tap, |tap, state| tap.json("--state", state));
        let told = tap.go().success();
        let (mapped, loaded) =
            pipe(mapper(&settings).input(told.text()), to_database(&target, &more));
        mapped.success();
        serde_json::from_str::<Value>(loaded.success().text().lines().last().unwrap()).unwrap()
    };
    let first = run(None);
    assert!(first["bookmarks"]["public-t"].is_object(), "{first}");
    source.psql("INSERT INTO t VALUES (3, '2026-01-03')");
    run(Some(&first));
    assert_eq!(target.psql("SELECT count(*) FROM mine"), "3");
}

#[test]
fn what_cannot_be_mapped_is_refused_before_its_rows() {
    let both = Lines::default().schema("a", &properties(), &["id"]);
    let both = both.schema("b", &properties(), &["id"]);
    let settings = json!({ "streams": { "a": ["one"], "b": ["one"] } });
    let refused = mapper(&settings).input(both.0.clone()).go().exits(78);
    assert!(
        refused.stderr.contains("cannot send two streams under one name"),
        "{}",
        refused.stderr
    );
    let refused = mapper(&json!({ "without": ["id"] })).input(both.0).go().exits(78);
    assert!(refused.stderr.contains("cannot leave out a key"), "{}", refused.stderr);
    mapper(&json!({})).input("").go().exits(76);
    mapper(&json!({})).set("allow_empty", true).input("").go().success();
}

#[test]
fn a_record_that_does_not_fit_is_set_aside_by_the_mapper() {
    let lines = Lines::opened().row(1, "a").record("t", &json!({ "id": "x" })).row(2, "b").done();
    let output = folder();
    let target = to_lake(output.path(), "s", DAY);
    pipe_succeeds(mapper(&json!({ "max_rejects": 1 })).input(lines.0.clone()), target);
    let data = lake::data(&lake::partition(output.path(), "s", DAY, "t"));
    assert_eq!(data.lines().count(), 3);
    mapper(&json!({})).input(lines.0).go().exits(65);
}
