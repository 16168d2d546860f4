//! The same settings in a mapper, in a tap and in a target: the same rows come out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::conformance::subjects::taps;
use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, to_lake};
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};

const KEY: &str = "e2e-key-0123456789-abcdefghijklmnopqrstuv";

/// Returns one object with the members of both.
fn with(one: &Value, more: &Value) -> Value {
    let mut all = one.clone();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Returns the files that a target has written, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| path.is_file());
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    entries.map(read).collect()
}

/// Runs the maps in each of the three places; returns the files, which are the same.
#[track_caller]
fn in_three_places(tap: &dyn Fn(&Value) -> Run, maps: &Value) -> BTreeMap<String, String> {
    let target = |folder: &Path, more: &Value| {
        ours("target-csv").config(&with(&json!({ "output_path": folder }), more))
    };
    let (none, [one, two, three]) = (json!({}), [folder(), folder(), folder()]);
    let mapped = tap(&none).go().success();
    let mapped = ours("map-streams").config(maps).input(mapped.stdout).go().success();
    target(one.path(), &none).input(mapped.stdout).go().success();
    pipe_succeeds(tap(maps), target(two.path(), &none));
    pipe_succeeds(tap(&none), target(three.path(), maps));
    let expected = files(one.path());
    assert_eq!(files(two.path()), expected, "in the tap: {maps}");
    assert_eq!(files(three.path()), expected, "in the target: {maps}");
    expected
}

fn contract(folder: &Path) -> String {
    let text = "apiVersion: v3.1.0
kind: DataContract
id: t
name: T
version: 1.0.0
status: active
schema:
- name: t
  properties:
  - {name: id, logicalType: integer, classification: public}
  - name: name
    classification: restricted
    customProperties: [{property: protect, value: hash}]
";
    file(folder, "t.odcs.yaml", text).display().to_string()
}

#[test]
fn maps_give_the_same_rows_in_every_tap() {
    for subject in taps() {
        let tap = |more: &Value| ours(subject.name).config(&with(&subject.settings, more));
        let maps = json!({ "stream_maps": {
            "*": { "__alias__": "people", "upper": "name.upper() if name else None",
                   "__filter__": "id != 3" },
            "copy": { "__source__": subject.stream, "__else__": null },
        } });
        let found = in_three_places(&tap, &maps);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            ["copy.csv", "people.csv"],
            "{}",
            subject.name
        );
        assert!(found["people.csv"].starts_with("id,name,upper\n1,a,A\n"), "{found:?}");
        assert_eq!(found["copy.csv"], "id\n1\n2\n3\n");
    }
}

/// A tap on a day with nested values.
fn nested(lake: &Path) -> impl Fn(&Value) -> Run {
    let text = json!({ "type": ["string", "null"] });
    let properties = json!({
        "id": { "type": "integer" }, "name": text, "price": { "type": ["number", "null"] },
        "home": { "type": ["object", "null"], "properties": { "city": text, "street": text } },
    });
    let record = |members: &str| {
        format!("{{\"type\":\"RECORD\",\"stream\":\"t\",\"record\":{{{members}}}}}")
    };
    let lines = Lines::default()
        .syncing("t")
        .schema("t", &properties, &["id"])
        .raw(record(r#""id":1,"name":"Ada","price":1.10,"home":{"city":"London","street":"S"}"#))
        .raw(record(r#""id":2,"name":null,"price":1e5,"home":null"#))
        .raw(record(r#""id":3,"name":"","home":{"city":"日本"}"#))
        .syncing("u")
        .schema("u", &json!({ "id": { "type": "integer" } }), &["id"])
        .record("u", &json!({ "id": 1 }));
    let lines = lines.state(&json!({ "currently_syncing": null }));
    to_lake(lake, "s", DAY).input(lines.0).go().success();
    let settings = json!({ "output": lake, "datestamp": DAY });
    move |more: &Value| ours("tap-lake").config(&with(&settings, more))
}

#[test]
fn every_setting_gives_the_same_rows_in_each_place() {
    let (lake, scratch) = (folder(), folder());
    let tap = nested(lake.path());
    let contract = contract(scratch.path());
    for maps in [
        json!({ "stream_maps": {
            "__else__": null, "t": { "cents": "int(float(price or 0)*100)" } } }),
        json!({
            "flattening_enabled": true, "flattening_max_depth": 1, "flattening_separator": "_" }),
        json!({ "flattening_enabled": true, "flattening_max_depth": 0,
            "stream_maps": { "t": { "price": "price" } } }),
        json!({ "transformations": [
            { "tap_stream_name": "t", "field_id": "home", "field_paths": ["street"],
              "type": "HASH" }] }),
        json!({ "contracts": [contract], "protect_key": KEY, "extra_columns": "drop" }),
        json!({ "row_hash": { "columns": "all" } }),
        json!({ "contracts": [contract], "protect_key": KEY, "row_hash": { "columns": ["name"] },
            "stream_maps": { "t": { "name": "name or 'none'" }, "u": null },
            "stream_map_config": {} }),
    ] {
        let found = in_three_places(&tap, &maps);
        assert!(found["t.csv"].lines().count() == 4, "{maps}: {found:?}");
    }
}

#[test]
fn a_database_gets_the_same_rows_from_each_place() {
    let lake = folder();
    let tap = nested(lake.path());
    let maps = json!({ "stream_maps": { "t": { "__alias__": "people", "twice": "int(id * 2)" } },
        "row_hash": { "columns": "all" } });
    let target = |more: &Value| {
        let database = database("inline");
        let settings = database.settings_with(&json!({ "default_target_schema": "public" }));
        (ours("target-postgres").config(&with(&settings, more)), database)
    };
    let rows = |tap: Run, (target, database): (Run, support::cluster::Database)| {
        pipe_succeeds(tap, target);
        database.psql("SELECT id, name, twice, home, _row_hash FROM people ORDER BY id")
    };
    let first = rows(tap(&maps), target(&json!({})));
    let second = rows(tap(&json!({})), target(&maps));
    assert_eq!(first, second);
    assert_eq!(first.lines().count(), 3, "{first}");
}

fn records(outcome: &Outcome) -> Vec<Value> {
    let records = outcome.messages().into_iter().filter(|message| message["type"] == "RECORD");
    records.map(|mut message| message["record"].take()).collect()
}

#[test]
fn bookmarks_keep_the_names_of_the_tap_and_other_names_are_announced() {
    let source = database("inline");
    source.psql("CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, name text)");
    source.psql(
        "INSERT INTO t VALUES (1, '2024-01-01T00:00:00Z', 'a'), (2, '2024-01-02T00:00:00Z', 'b')",
    );
    let scratch = folder();
    let catalog = ours("tap-postgres").config(&source.settings_with(&json!({})));
    let mut catalog: Value =
        serde_json::from_str(&catalog.args(["--discover"]).go().success().text()).unwrap();
    let metadata = catalog["streams"][0]["metadata"].as_array_mut().unwrap();
    let root = metadata.iter_mut().find(|entry| entry["breadcrumb"] == json!([])).unwrap();
    root["metadata"]["replication-method"] = "INCREMENTAL".into();
    root["metadata"]["replication-key"] = "at".into();
    let catalog = file(scratch.path(), "catalog.json", catalog.to_string());
    let maps = json!({ "stream_maps": { "public-t": { "__alias__": "people", "at": null } } });
    let tap = |more: &Value| {
        let run = ours("tap-postgres").config(&source.settings_with(more));
        run.args(["--catalog", catalog.to_str().unwrap()])
    };
    let first = tap(&maps).go().success();
    assert_eq!(records(&first), [json!({ "id": 1, "name": "a" }), json!({ "id": 2, "name": "b" })]);
    let messages = first.messages();
    let schema = messages.iter().find(|message| message["type"] == "SCHEMA").unwrap();
    assert_eq!([&schema["stream"], &schema["source_stream"]], ["people", "public-t"]);
    assert_eq!(schema["bookmark_properties"], json!(["at"]));
    let state = messages.last().unwrap()["value"].clone();
    assert_eq!(state["bookmarks"]["public-t"]["replication_key"], "at");
    assert!(state["bookmarks"].get("people").is_none(), "{state}");
    // The next run goes on behind the bookmark, and a protected one is refused.
    source.psql("INSERT INTO t VALUES (3, '2024-01-03T00:00:00Z', 'c')");
    let state = file(scratch.path(), "state.json", state.to_string());
    let second = tap(&maps).args(["--state", state.to_str().unwrap()]).go().success();
    assert_eq!(records(&second).len(), 2, "the last row comes again: {}", second.text());
    let text = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: T\nversion: 1.0.0\nstatus: \
                active\nschema:\n- name: public-t\n  properties:\n  - {name: at, customProperties: \
                [{property: protect, value: mask}]}\n";
    let contract = file(scratch.path(), "at.odcs.yaml", text);
    let refused = tap(&json!({ "contracts": [contract] })).go().exits(78);
    assert!(refused.stderr.contains("cannot protect a replication key"), "{}", refused.stderr);
    assert!(refused.text().is_empty(), "{}", refused.text());
    // A map that gives it another name cannot hide it from the state: that is told everywhere.
    let renamed =
        file(scratch.path(), "renamed.odcs.yaml", text.replace("name: at", "name: moment"));
    let moved = json!({ "contracts": [renamed], "protect_key": KEY, "stream_maps": {
        "public-t": { "moment": "at", "at": null } } });
    let (lines, out) = (tap(&json!({})).go().success().stdout, folder());
    let mapper = ours("map-streams").config(&moved).input(lines.clone());
    let target = ours("target-csv").config(&with(&moved, &json!({ "output_path": out.path() })));
    for outcome in [tap(&moved).go(), mapper.go(), target.input(lines.clone()).go()] {
        let outcome = outcome.success();
        let told = outcome.stderr.contains("the state holds the last value as it is");
        assert!(told, "{}", outcome.stderr);
    }
    let out = folder();
    let settings = json!({ "output_path": out.path(), "contracts": [contract] });
    let refused = ours("target-csv").config(&settings).input(lines).go().exits(78);
    assert!(refused.stderr.contains("cannot protect a replication key"), "{}", refused.stderr);
    assert!(files(out.path()).is_empty());
}

#[test]
fn a_stream_that_is_removed_is_not_read() {
    let lake = folder();
    let tap = nested(lake.path());
    let outcome = tap(&json!({ "stream_maps": { "t": null } })).go().success();
    let messages = outcome.messages();
    assert!(messages.iter().all(|message| message["stream"] != "t"), "{}", outcome.text());
    let state = &messages.last().unwrap()["value"];
    assert!(state["bookmarks"].get("t").is_none(), "{state}");
    assert!(state["bookmarks"].get("u").is_some(), "{state}");
    assert!(outcome.stderr.contains("stream t is not read"), "{}", outcome.stderr);
}

#[test]
fn bad_settings_end_the_run_before_a_row() {
    let lake = folder();
    let tap = nested(lake.path());
    for (maps, words) in [
        // The stream that is read last is looked at before the first one is read.
        (json!({ "stream_maps": { "u": { "x": "nmae" } } }), "unknown name `nmae`"),
        (json!({ "stream_maps": { "u": { "__alias__": "t" } } }), "two streams under one name"),
        (json!({ "require_classification": true }), "without contracts"),
        (json!({ "contracts": ["/nowhere.odcs.yaml"] }), "/nowhere.odcs.yaml"),
    ] {
        let outcome = tap(&maps).go();
        assert!(outcome.code != 0 && outcome.stderr.contains(words), "{}", outcome.stderr);
        assert!(!outcome.text().contains("RECORD"), "{maps}: {}", outcome.text());
    }
    let maps = json!({ "stream_maps": { "t": { "x": "int(name)" } } });
    let failed = tap(&maps).go().exits(65);
    assert!(failed.stderr.contains("row: 1"), "{}", failed.stderr);
    let out = folder();
    let target = ours("target-csv").config(&with(&json!({ "output_path": out.path() }), &maps));
    let (_, failed) = pipe(tap(&json!({})), target);
    let failed = failed.exits(65);
    assert!(failed.stderr.contains("property: x"), "{}", failed.stderr);
    assert!(!out.path().join("t.csv").exists());
}

#[test]
fn a_plan_shows_what_is_written() {
    let (lake, scratch) = (folder(), folder());
    let tap = nested(lake.path());
    let maps = json!({ "stream_maps": { "t": { "__alias__": "people" }, "u": null } });
    let text = tap(&maps).args(["--plan"]).go().success().text();
    assert!(text.starts_with("people:") && !text.contains("\nu:"), "{text}");
    let maps = json!({ "contracts": [contract(scratch.path())], "protect_key": KEY });
    let plan = tap(&maps).args(["--plan=json"]).go().success().text();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let name = &plan["streams"][0]["schema"]["schema"]["properties"]["name"];
    assert_eq!(*name, json!({ "type": ["string", "null"] }));
}

#[test]
fn versions_are_activated_under_the_names_that_are_written() {
    let lake = folder();
    let tap = nested(lake.path());
    let maps = json!({ "emit_activate_version_messages": true, "stream_maps": {
        "t": { "__alias__": "people" }, "copy": { "__source__": "t" }, "u": null } });
    let outcome = tap(&maps).go().success();
    let mut activated: Vec<Value> = outcome.messages();
    activated.retain(|message| message["type"] == "ACTIVATE_VERSION");
    let names: Vec<&Value> = activated.iter().map(|message| &message["stream"]).collect();
    assert_eq!(names, ["people", "copy"]);
}

/// What may not be seen.
const SECRETS: [&str; 3] = ["Zebulon Quist", "Yolanda Quist", "Xaver Quist"];

#[test]
fn a_tap_and_a_target_that_protect_show_no_value() {
    let scratch = folder();
    let rows = "id,name\n1,Zebulon Quist\n2,Yolanda Quist\nx3,Xaver Quist\n4,Xaver Quist,more\n";
    let path = file(scratch.path(), "t.csv", rows);
    let rejects = scratch.path().join("rejects.jsonl");
    let types = json!({ "id": "integer" });
    let entry = json!({ "entity": "t", "path": path, "keys": ["id"], "types": types });
    let files_of = json!({ "files": [entry] });
    let protects = json!({ "contracts": [contract(scratch.path())], "protect_key": KEY });
    let check = |what: &str, text: &str| {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{what} shows {secret}: {text}");
        }
    };
    let more = json!({ "max_rejects": 5, "rejects_file": rejects });
    let tap = |plan: &[&str], more: &Value| {
        let settings = with(&with(&files_of, &protects), more);
        ours("tap-csv").config(&settings).env("LOGLEVEL", "TRACE").args(plan)
    };
    for (plan, more) in [(&[][..], &more), (&["--plan=json"], &more), (&[], &json!({}))] {
        let outcome = tap(plan, more).go();
        check("stdout", &outcome.text());
        check("stderr", &outcome.stderr);
    }
    let mut found = fs::read_to_string(&rejects).unwrap();
    check("rejects", &found);
    assert!(found.contains("\"line\"") || found.contains("place"), "{found}");
    // The target sets rows aside: as they came before the stages, as they are behind them.
    let (lines, out) = (Lines::whole(&[(1, SECRETS[0]), (2, SECRETS[1])]), folder());
    let bad =
        json!({ "type": "RECORD", "stream": "t", "record": { "id": "x", "name": SECRETS[2] } });
    let lines = lines.0.into_iter().collect::<Vec<u8>>();
    let text = String::from_utf8(lines).unwrap();
    let at = text.rfind("{\"type\":\"STATE\"").unwrap_or(text.len());
    let text = format!("{}{bad}\n{}", &text[..at], &text[at..]);
    fs::remove_file(&rejects).unwrap();
    let settings = with(&with(&json!({ "output_path": out.path() }), &protects), &more);
    let target = ours("target-csv").config(&settings).env("LOGLEVEL", "TRACE").input(text);
    let outcome = target.go().success();
    check("stdout", &outcome.text());
    check("stderr", &outcome.stderr);
    found = fs::read_to_string(&rejects).unwrap();
    check("rejects", &found);
    check("the file", &fs::read_to_string(out.path().join("t.csv")).unwrap());
}
