//! A day read by tap-lake: what tap-csv reads of it, and what neither of them reads.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use support::example::search_path;
use support::folder;
use support::lake::{self, manifest, partition};
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};

use crate::project::generated::plugin;

/// Makes a day with two tables, values that CSV quotes among them.
fn day(scratch: &Path) -> std::path::PathBuf {
    let orders = file(scratch, "orders.csv", "id,text\n1,\"a, \"\"b\"\"\"\n2,\n3,\"\"\n");
    let items = file(scratch, "items.csv", "id\n7\n");
    let files = json!([
        { "entity": "orders", "path": orders, "keys": ["id"] },
        { "entity": "items", "path": items },
    ]);
    let lake = scratch.join("output");
    pipe_succeeds(ours("tap-csv").config(&json!({ "files": files })), to_lake(&lake, "s", DAY));
    lake
}

fn tap_lake(lake: &Path) -> Run {
    ours("tap-lake").set("output", lake.display()).set("datestamp", DAY)
}

/// Returns the messages without what tells one run from another.
fn messages(outcome: &Outcome) -> Vec<Value> {
    let mut messages = outcome.messages();
    for message in &mut messages {
        for place in ["", "/value"] {
            if let Some(Value::Object(members)) = message.pointer_mut(place) {
                members.remove("time_extracted");
                members.remove("syncing_run");
            }
        }
    }
    messages
}

/// Writes messages on lines.
fn text_of(messages: &[Value]) -> Vec<u8> {
    let lines: Vec<_> = messages.iter().map(Value::to_string).collect();
    (lines.join("\n") + "\n").into_bytes()
}

fn state(outcome: &Outcome) -> Value {
    let last = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    last.unwrap()["value"].take()
}

#[test]
fn tap_lake_and_tap_csv_read_a_day_alike() {
    let scratch = folder();
    let lake = day(scratch.path());
    let (one, other) = (tap_lake(&lake).go().success(), from_lake(&lake, DAY).go().success());
    assert_eq!(one.records("orders").len() + one.records("items").len(), 4);
    assert_eq!(messages(&one), messages(&other));
    // Either goes on from what the other has read.
    let after = |run: Run, read: &Outcome| run.json("--state", &state(read)).go().success();
    for again in [after(tap_lake(&lake), &other), after(from_lake(&lake, DAY), &one)] {
        assert_eq!(again.records("orders").len() + again.records("items").len(), 0);
    }
    let plans = [tap_lake(&lake), from_lake(&lake, DAY)];
    let [one, other] = plans.map(|run| run.args(["--plan"]).go().success().text());
    assert!(one.contains("table=orders"), "{one}");
    assert_eq!(one, other);
}

#[test]
fn a_day_that_is_not_as_published_is_refused_before_its_first_row() {
    let scratch = folder();
    let lake = day(scratch.path());
    let items = partition(&lake, "s", DAY, "items").join("_manifest.json");
    let text = fs::read_to_string(&items).unwrap();
    let refused = |code: i32, words: &str| {
        for run in [tap_lake(&lake), from_lake(&lake, DAY)] {
            let failed = run.go().exits(code);
            assert!(failed.complaint().contains(words), "{}", failed.complaint());
            assert!(failed.messages().iter().all(|m| m["type"] != "RECORD"), "{failed:?}");
        }
    };
    fs::write(&items, text.replace("\"csv\"", "\"strange\"")).unwrap();
    refused(66, "cannot use a table that differs from the run record");
    fs::write(&items, &text).unwrap();
    let name = manifest(items.parent().unwrap())["files"][0]["name"].as_str().unwrap().to_owned();
    let data = items.with_file_name(name);
    let rows = fs::read(&data).unwrap();
    fs::write(&data, "id\n8\n").unwrap();
    refused(65, "checksum differs");
    fs::write(&data, rows).unwrap();
    fs::remove_dir_all(lake.join(".runs")).unwrap();
    refused(66, "cannot read a day that no run has finished");
}

#[test]
fn a_format_that_no_tap_knows_is_refused_by_its_name() {
    let scratch = folder();
    let lake = day(scratch.path());
    let items = partition(&lake, "s", DAY, "items").join("_manifest.json");
    assert_eq!(manifest(items.parent().unwrap())["format"], "csv");
    let text = fs::read_to_string(&items).unwrap();
    fs::write(&items, text.replace("\"csv\"", "\"strange\"")).unwrap();
    for run in [tap_lake(&lake), from_lake(&lake, DAY)] {
        let failed = run.set("require_run_record", false).go().exits(78);
        assert!(failed.complaint().contains("format: strange"), "{}", failed.complaint());
        assert!(failed.messages().iter().all(|m| m["type"] != "RECORD"), "{failed:?}");
    }
}

#[test]
fn days_of_releases_without_formats_are_csv() {
    let scratch = folder();
    let lake = day(scratch.path());
    let read = |run: Run| run.set("require_run_record", false).go().success();
    let before = messages(&read(tap_lake(&lake)));
    for table in ["orders", "items"] {
        let path = partition(&lake, "s", DAY, table).join("_manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let old = text.replace("  \"format\": \"csv\",\n", "");
        assert_ne!(old, text);
        fs::write(&path, old).unwrap();
    }
    let records = |messages: Vec<Value>| {
        messages.into_iter().filter(|message| message["type"] != "STATE").collect::<Vec<_>>()
    };
    assert_eq!(records(messages(&read(tap_lake(&lake)))), records(before));
}

#[test]
fn the_runner_loads_a_day_by_tap_lake() {
    let scratch = folder();
    day(scratch.path());
    let plugins = [("extractors", "tap-lake"), ("loaders", "target-csv")];
    let blocks = plugins.map(|(kind, name)| format!("  {kind}:\n{}\n", plugin(name)));
    file(scratch.path(), "meltano.yml", format!("plugins:\n{}", blocks.concat()));
    let run = || {
        let script = "cd \"$1\" && exec chorus run tap-lake target-csv --datestamp \"$2\"";
        Run::new("/bin/sh".as_ref())
            .args(["-c", script, "sh"])
            .args([scratch.path().as_os_str(), DAY.as_ref()])
            .env("PATH", search_path(&[]))
            .env("TAP_LAKE_OUTPUT", "output")
            .env("TAP_LAKE_DATESTAMP", DAY)
            .env("TARGET_CSV_OUTPUT_PATH", "copy")
            .env("TARGET_CSV_SOURCE", "s")
            .env("TARGET_CSV_DATESTAMP", DAY)
    };
    run().go().success();
    let (from, to) = (scratch.path().join("output"), scratch.path().join("copy"));
    lake::check(&to);
    for table in ["orders", "items"] {
        let [one, other] = [&from, &to].map(|root| lake::data(&partition(root, "s", DAY, table)));
        assert_eq!(one, other, "{table}");
    }
    fs::remove_dir_all(from.join(".runs")).unwrap();
    let failed = run().go();
    assert!(failed.stderr.contains("cannot read a day that no run has finished"), "{failed:?}");
    assert_ne!(failed.code, 0);
}

#[test]
fn a_catalog_of_another_day_or_source_does_not_name_the_partition() {
    let scratch = folder();
    let lake = day(scratch.path());
    let later = file(scratch.path(), "later.csv", "id,text,new,more\n4,x,1,2\n");
    let files = json!([{ "entity": "orders", "path": later, "keys": ["id"] }]);
    for (source, day) in [("s", "2026-02-01"), ("other", "2026-02-02")] {
        let tap = ours("tap-csv").config(&json!({ "files": files }));
        pipe_succeeds(tap, to_lake(&lake, source, day));
    }
    let read = |day: &str| {
        let tap = ours("tap-lake").set("output", lake.display()).set("datestamp", day);
        [tap, from_lake(&lake, day)]
    };
    let catalog = read(DAY).map(|run| run.args(["--discover"]).go().success().text());
    let mut catalog: Value = serde_json::from_str(&catalog[0]).unwrap();
    let of_orders = |stream: &Value| stream["tap_stream_id"] == "orders";
    catalog["streams"].as_array_mut().unwrap().retain(of_orders);
    // A column that the catalog does not select is known to it.
    let deselected =
        json!({ "breadcrumb": ["properties", "more"], "metadata": {"selected": false} });
    catalog["streams"][0]["metadata"].as_array_mut().unwrap().push(deselected);
    for (source, day) in [("s", "2026-02-01"), ("other", "2026-02-02")] {
        for run in read(day) {
            let outcome = run.json("--catalog", &catalog).go().success();
            let schema = outcome.messages().into_iter().find(|m| m["type"] == "SCHEMA").unwrap();
            let named = json!({ "source": source, "extracted_at": day });
            assert_eq!(schema["schema"]["x-partition"], named);
            assert_eq!(outcome.records("orders"), [json!({ "id": 4, "text": "x" })]);
            let told = "W-COLUMN-UNKNOWN: stream orders: left out 1 columns of its table that are \
                        not in the catalog (new)";
            assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        }
    }
    // A key that is wider than the one of the catalog.
    catalog["streams"][0]["key_properties"] = json!(["text"]);
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        entry["metadata"].as_object_mut().unwrap().remove("table-key-properties");
    }
    let outcome = read(DAY).map(|run| run.json("--catalog", &catalog).go().success());
    assert!(outcome.iter().all(|it| it.stderr.contains("W-KEY-SHARED")), "{}", outcome[0].stderr);
    catalog["streams"][0]["key_properties"] = json!(["id"]);
    // The copy of a day is that day, and no other one.
    let tap = || read("2026-02-01").into_iter().next().unwrap().json("--catalog", &catalog);
    pipe_succeeds(tap(), to_lake(&scratch.path().join("copy"), "s", "2026-02-01"));
    let (_, wrong) = pipe(tap(), to_lake(&scratch.path().join("copy"), "s", DAY));
    assert!(wrong.code == 78 && wrong.stderr.contains("another day"), "{}", wrong.stderr);
}

#[test]
fn a_catalog_with_other_types_than_the_day_is_refused() {
    let scratch = folder();
    let lake = day(scratch.path());
    let catalog = tap_lake(&lake).args(["--discover"]).go().success().text();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    let read = |table: usize, column: &str, property: Value| {
        let mut catalog = catalog.clone();
        catalog["streams"][table]["schema"]["properties"][column] = property;
        [tap_lake(&lake), from_lake(&lake, DAY)].map(|run| run.json("--catalog", &catalog).go())
    };
    let at = |name: &str| (0..2).find(|at| catalog["streams"][*at]["stream"] == name).unwrap();
    let (orders, items) = (at("orders"), at("items"));
    for kind in ["integer", "number", "boolean", "object"] {
        for outcome in read(orders, "text", json!({ "type": ["null", kind] })) {
            let outcome = outcome.exits(78);
            assert!(outcome.stderr.contains("type in the day: string"), "{}", outcome.stderr);
            assert!(outcome.records("orders").is_empty(), "{kind}");
        }
    }
    // Of a text and a number the value is the same.
    for (kind, value) in [("number", json!(7)), ("string", json!("7"))] {
        for outcome in read(items, "id", json!({ "type": ["null", kind] })) {
            assert_eq!(outcome.success().records("items"), [json!({ "id": value })]);
        }
    }
}

#[test]
fn what_became_text_in_a_day_is_text_when_it_is_read() {
    let scratch = folder();
    let lake = scratch.path().join("output");
    let lines = [
        json!({ "type": "SCHEMA", "stream": "t", "key_properties": [], "schema": { "properties": {
            "a": { "type": ["boolean", "integer", "null"] },
            "b": { "anyOf": [{ "type": "number" }, { "type": "boolean" }] },
            "c": { "type": ["integer", "string"] } } } }),
        json!({ "type": "RECORD", "stream": "t", "record": { "a": 1, "b": true, "c": "x" } }),
        json!({ "type": "RECORD", "stream": "t", "record": { "a": true, "b": 2.5, "c": 4 } }),
    ];
    to_lake(&lake, "s", DAY).input(text_of(&lines)).go().success();
    let rows =
        [json!({ "a": "1", "b": "true", "c": "x" }), json!({ "a": "true", "b": "2.5", "c": "4" })];
    for run in [tap_lake(&lake), from_lake(&lake, DAY)] {
        assert_eq!(run.go().success().records("t"), rows);
    }
    // It can be written again, with the types that it has.
    let copy = scratch.path().join("copy");
    pipe_succeeds(tap_lake(&lake), to_lake(&copy, "s", DAY));
    assert_eq!(
        lake::data(&partition(&lake, "s", DAY, "t")),
        lake::data(&partition(&copy, "s", DAY, "t"))
    );
}

#[test]
fn rows_that_were_rejected_on_their_way_into_a_day_are_not_gone() {
    let scratch = folder();
    let text = "id,n\n1,1\n2,x\n3,3\n";
    file(scratch.path(), "bad/t.csv", text);
    file(scratch.path(), "good/t.csv", text.replace('x', "2"));
    let tap = |from: &str, types: Value| {
        let path = scratch.path().join(from);
        let entry = json!({ "entity": "t", "path": path, "types": types });
        let rejects = scratch.path().join("tap.jsonl");
        let tap = ours("tap-csv").config(&json!({ "files": [entry] })).set("max_rejects", 1);
        tap.set("rejects_file", rejects.display())
    };
    let lake = scratch.path().join("output");
    let target = || {
        let rejects = scratch.path().join("target.jsonl");
        to_lake(&lake, "s", DAY).set("max_rejects", 1).set("rejects_file", rejects.display())
    };
    let versioned = |lake: &Path| {
        let run = tap_lake(lake).set("emit_activate_version_messages", true);
        let outcome = run.go().success();
        let is_sent = outcome.text().contains("ACTIVATE_VERSION");
        assert_ne!(is_sent, outcome.stderr.contains("W-VERSION-IGNORED"), "{}", outcome.stderr);
        (outcome.records("t").len(), is_sent)
    };
    let noted = || manifest(&partition(&lake, "s", DAY, "t"))["rows_left_out"] == true;
    let integer = || json!({ "n": "integer" });
    pipe_succeeds(tap("good", integer()), target());
    assert_eq!((versioned(&lake), noted()), ((3, true), false));
    // The tap rejects a record, also in front of a mapper.
    pipe_succeeds(tap("bad", integer()), target());
    assert_eq!((versioned(&lake), noted()), ((2, false), true));
    pipe_succeeds(tap("good", integer()), target());
    assert!(!noted());
    let lines = tap("bad", integer()).go().success().stdout;
    let mapper =
        || ours("map-streams").set("stream_maps", json!({ "t": { "m": "n" } }).to_string());
    let from_mapper = mapper().input(lines).go().success().stdout;
    target().input(from_mapper).go().success();
    assert_eq!((versioned(&lake), noted()), ((2, false), true));
    // A mapper rejects one, and none of the next stream.
    let files = json!([
        { "entity": "t", "path": scratch.path().join("bad"), "types": { "n": "string" } },
        { "entity": "u", "path": scratch.path().join("good") },
    ]);
    let lines = ours("tap-csv").config(&json!({ "files": files })).go().success().stdout;
    let rejecting = ours("map-streams")
        .set("stream_maps", json!({ "t": { "m": "int(n)" } }).to_string())
        .set("max_rejects", 1)
        .set("rejects_file", scratch.path().join("mapper.jsonl").display());
    let from_mapper = rejecting.input(lines).go().success().stdout;
    target().input(from_mapper).go().success();
    assert!(noted());
    assert!(manifest(&partition(&lake, "s", DAY, "u"))["rows_left_out"].is_null());
    fs::remove_dir_all(&lake).unwrap();
    pipe_succeeds(tap("bad", integer()), target());
    // A copy of the day knows it as well.
    let copy = scratch.path().join("copy");
    pipe_succeeds(tap_lake(&lake), to_lake(&copy, "s", DAY));
    assert_eq!(versioned(&copy), (2, false));
    // The target rejects one.
    let state = json!({ "type": "STATE", "value": { "bookmarks": {}, "currently_syncing": null } });
    let lines = [
        json!({ "type": "SCHEMA", "stream": "t", "key_properties": ["id"],
            "schema": { "properties": { "id": { "type": "integer" } } } }),
        json!({ "type": "RECORD", "stream": "t", "record": { "id": 1 } }),
        json!({ "type": "RECORD", "stream": "t", "record": { "id": "x" } }),
        state,
    ];
    target().input(text_of(&lines)).go().success();
    assert_eq!((versioned(&lake), noted()), ((1, false), true));
    // Nobody knows whether the input of another tap was whole.
    target().input(text_of(&lines[..2])).go().success();
    assert_eq!((versioned(&lake), noted()), ((1, false), false));
}
