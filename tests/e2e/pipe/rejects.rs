//! The rejects file has the rejected records that are selected, and nothing else.

use std::path::Path;

use serde_json::{Value, json};

use crate::api::streams::incremental;
use support::apis::tap_api;
use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_lake};
use support::run::{Run, file, ours};
use support::web::{Reply, Web};

const CANARY: &str = "CANARY-of-what-is-not-selected";

/// Runs a tap or target that sets records aside; returns the lines of the file.
#[track_caller]
fn rejects(scratch: &Path, run: Run) -> Vec<Value> {
    let path = scratch.join("rejects.jsonl");
    let _ = std::fs::remove_file(&path);
    let settings = json!({ "max_rejects": 9, "rejects_file": path });
    let outcome = run.config(&settings).go().success();
    assert!(!outcome.text().contains(CANARY), "{outcome:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(CANARY), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The catalog that a tap discovers, without these properties.
fn catalog(tap: Run, out: &[&[&str]], types: &Value) -> Value {
    let found = tap.args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&found.stdout).unwrap();
    let stream = &mut catalog["streams"][0];
    for (name, schema) in types.as_object().unwrap() {
        stream["schema"]["properties"][name] = schema.clone();
    }
    let metadata = stream["metadata"].as_array_mut().unwrap();
    metadata.retain(|entry| entry["breadcrumb"] != json!([]));
    metadata.push(json!({ "breadcrumb": [], "metadata": { "selected": true } }));
    for path in out {
        let breadcrumb: Vec<&str> = path.iter().flat_map(|part| ["properties", *part]).collect();
        metadata.retain(|entry| entry["breadcrumb"] != json!(breadcrumb));
        metadata.push(json!({ "breadcrumb": breadcrumb, "metadata": { "selected": false } }));
    }
    catalog
}

#[test]
fn of_a_file_the_selected_columns() {
    let scratch = folder();
    let text = format!("id,pin,n\n1,{CANARY},x\n2,{CANARY}\n3,{CANARY},7\n4,5,6,{CANARY}\n");
    let path = file(scratch.path(), "t.csv", text);
    let tap = || ours("tap-csv").config(&json!({ "files": [{ "entity": "t", "path": path }] }));
    let types = json!({ "n": { "type": "integer" } });
    let chosen = catalog(tap(), &[&["pin"]], &types);
    let lines = rejects(scratch.path(), tap().json("--catalog", &chosen));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0]["record"], json!({ "id": "1", "n": "x" }));
    // Which of its fields is which, nobody knows.
    for (line, at) in [(&lines[1], 3), (&lines[2], 5)] {
        assert!(line.get("record").is_none(), "{line}");
        assert_eq!(line["line"], at, "{line}");
    }
}

#[test]
fn of_a_table_the_selected_parts() {
    let source = database("rejects_selected");
    source.psql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, f float8, j json, pin text);
         INSERT INTO t VALUES (1, 'NaN', '{{\"x\": \"{CANARY}\", \"y\": 2}}', '{CANARY}'),
             (2, 'NaN', '[{{\"x\": \"{CANARY}\"}}]', '{CANARY}'), (3, 'NaN', NULL, '{CANARY}')"
    ));
    let tap = || from_database(&source, &json!({ "nan_policy": "fail" }));
    let nested = json!({ "j": { "type": ["object", "null"], "properties": { "x": {}, "y": {} } } });
    let chosen = catalog(tap(), &[&["pin"], &["j", "x"]], &nested);
    let scratch = folder();
    let lines = rejects(scratch.path(), tap().json("--catalog", &chosen));
    let records: Vec<&Value> = lines.iter().map(|line| &line["record"]).collect();
    assert_eq!(records.len(), 3, "{lines:?}");
    assert_eq!(*records[0], json!({ "id": "1", "f": "NaN", "j": "{\"y\": 2}" }));
    assert_eq!(*records[1], json!({ "id": "2", "f": "NaN" }));
    assert_eq!(*records[2], json!({ "id": "3", "f": "NaN", "j": null }));
}

#[test]
fn of_an_answer_the_selected_properties() {
    let web = Web::start(|_| {
        Reply::json(&json!([
            { "id": 1, "at": "2026-01-01", "n": "x", "o": { "x": CANARY, "y": 1 }, "pin": CANARY },
            { "id": 2, "at": "2026-01-02", "n": 2, "o": { "x": CANARY, "y": "z" }, "pin": CANARY },
        ]))
    });
    let o = json!({ "type": "object", "properties": { "x": {}, "y": { "type": "integer" } } });
    let mut stream = incremental(&json!({}));
    stream["schema"] = json!({ "properties": { "id": { "type": "integer" },
        "at": { "type": "string" }, "n": { "type": "integer" }, "o": o, "pin": {} } });
    let tap = || tap_api(&web.url, &stream, &json!({}));
    let chosen = catalog(tap(), &[&["pin"], &["o", "x"]], &json!({}));
    let scratch = folder();
    let lines = rejects(scratch.path(), tap().json("--catalog", &chosen));
    assert_eq!(lines[0]["record"]["o"], json!({ "y": 1 }), "{lines:?}");
    assert_eq!(lines[1]["record"]["o"], json!({ "y": "z" }), "{lines:?}");
}

#[test]
fn of_a_record_the_properties_that_its_schema_declares() {
    let scratch = folder();
    let odd = json!({ "id": "x", "name": "kept", "pin": CANARY });
    let input = Lines::opened().record("t", &odd).done().0;
    let target = to_lake(&scratch.path().join("lake"), "s", DAY).input(input);
    let lines = rejects(scratch.path(), target);
    assert_eq!(lines[0]["record"], json!({ "id": "x", "name": "kept" }));
}

#[test]
fn a_target_counts_what_it_keeps() {
    let scratch = folder();
    let records = ["1", "null", "null", "\"x\""].map(|id| {
        let record = format!("{{\"id\":{id},\"name\":\"a\"}}");
        format!("{{\"type\":\"RECORD\",\"stream\":\"t\",\"record\":{record}}}\n")
    });
    let schema = json!({ "type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": {
        "properties": { "id": { "type": ["integer", "null"] }, "name": { "type": "string" } } } });
    let input = format!("{schema}\n{}", records.concat());
    let target = to_lake(&scratch.path().join("lake"), "s", DAY);
    let path = scratch.path().join("rejects.jsonl");
    let target = target.set("max_rejects", 9).set("rejects_file", path.display());
    let outcome = target.input(input).go().success();
    let count = r#""metric":"record_count","value":1,"#;
    assert!(outcome.stderr.contains(count), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("3 records were rejected"), "{}", outcome.stderr);
}

#[test]
fn a_record_that_is_longer_than_the_limit_is_refused() {
    let scratch = folder();
    let lines = Lines::opened().row(1, &"x".repeat(5000));
    let target = || to_lake(&scratch.path().join("lake"), "s", DAY);
    let refused = target().set("max_record_bytes", 4000).input(lines.0.clone()).go().exits(65);
    assert!(refused.stderr.contains("a line is longer than the limit"), "{}", refused.stderr);
    target().set("max_record_bytes", 6000).input(lines.done().0).go().success();
}
