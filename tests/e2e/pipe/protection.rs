//! No protected value is found anywhere: not in files, tables, states, rejects, logs or processes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, to_database, to_lake};
use support::python::TAP_POSTGRES;
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};

/// The secret of these tests.
const KEY: &str = "e2e-key-0123456789-abcdefghijklmnopqrstuv";

/// What is protected: no output may have one of these texts.
const SECRETS: [&str; 12] = [
    "Zebulon Quist",
    "Yolanda Quist",
    "zebulon.quist@example.net",
    "yolanda.quist@example.net",
    "49171555",
    "1931-07-29",
    "1932-08-30",
    "DE89370400440532013000",
    "203.0.113.77",
    "Secret Street",
    "hidden-note",
    "4711001",
];

fn contract(folder: &Path) -> PathBuf {
    let property = |name: &str, logical: &str, protect: &str, more: &str| {
        format!(
            "  - {{name: {name}, logicalType: {logical}, classification: restricted, \
             customProperties: [{{property: protect, value: \"{protect}\"}}]{more}}}\n"
        )
    };
    let properties = [
        property("id", "integer", "hash", ", primaryKey: true"),
        property("name", "string", "token", ""),
        property("mail", "string", "partial", ", logicalTypeOptions: {format: email}"),
        property("phone", "string", "mask", ""),
        property("born", "date", "generalise", ""),
        property("iban", "string", "null", ""),
        property("ip", "string", "generalise", ", logicalTypeOptions: {format: ipv4}"),
        property("note", "string", "drop", ""),
        "  - {name: amount, logicalType: number, classification: public}\n".to_owned(),
        "  - name: home\n    properties:\n    - {name: street, classification: restricted, \
         customProperties: [{property: protect, value: mask}]}\n"
            .to_owned(),
    ];
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: people\nname: People\nversion: 1.0.0\n\
         status: active\nschema:\n- name: people\n  properties:\n{}",
        properties.concat()
    );
    file(folder, "people.odcs.yaml", text)
}

fn properties() -> Value {
    let text = json!({ "type": ["string", "null"] });
    json!({ "id": { "type": "integer" }, "name": text, "mail": text, "phone": text, "born": text,
        "iban": text, "ip": text, "note": { "type": ["string", "null"], "maxLength": 40 },
        "amount": text, "home": {} })
}

fn person(id: u64, more: &Value) -> Value {
    let mut person = json!({ "id": id, "name": "Zebulon Quist", "mail": "zebulon.quist@example.net",
        "phone": "49171555", "born": "1931-07-29", "iban": "DE89370400440532013000",
        "ip": "203.0.113.77", "note": "hidden-note", "amount": "1.50",
        "home": { "street": "Secret Street", "city": "Town" } });
    person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    person
}

fn opened() -> Lines {
    Lines::default().syncing("people").schema("people", &properties(), &["id"])
}

fn mapper(folder: &Path, settings: &Value) -> Run {
    ours("map-streams")
        .set("contracts", json!([contract(folder)]))
        .set("rejects_file", folder.join("rejects.jsonl").display())
        .env("MAP_STREAMS_PROTECT_KEY", KEY)
        .args(["--config", "ENV"])
        .config(settings)
}

#[track_caller]
fn hidden(what: &str, text: &str) {
    for secret in SECRETS.iter().chain(&[KEY]) {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

#[track_caller]
fn hidden_in(outcomes: &[&Outcome], folder: &Path) {
    for outcome in outcomes {
        hidden("an output", &outcome.text());
        hidden("a log", &outcome.stderr);
    }
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            hidden(&entry.path().display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

/// Records of all kinds: two that fit, and one for each way of not fitting.
fn mixed() -> Lines {
    let bad = |id: u64, more: &Value| person(id, more);
    opened()
        .record("people", &person(4_711_001, &json!({})))
        .record("people", &person(2, &json!({ "name": "Yolanda Quist", "born": "1932-08-30" })))
        .record("people", &bad(3, &json!({ "amount": "much" })))
        .record("people", &bad(4, &json!({ "born": "49171555" })))
        .record("people", &bad(5, &json!({ "mail": "Zebulon Quist" })))
        .record("people", &bad(6, &json!({ "ip": "Secret Street 5" })))
        .record("people", &bad(7, &json!({ "home": "Secret Street" })))
        .record("people", &bad(8, &json!({ "home": ["Secret Street"] })))
        // These do not fit the schema of the stream.
        .record("people", &bad(9, &json!({ "name": ["Zebulon Quist"] })))
        .record("people", &json!({ "id": "Zebulon Quist", "name": "Yolanda Quist" }))
        .record("people", &bad(11, &json!({ "note": "hidden-note".repeat(9) })))
}

#[test]
fn values_are_nowhere_after_success_and_rejects() {
    let folder = folder();
    let target = database("protected");
    let state = json!({ "bookmarks": { "people": {} }, "currently_syncing": null });
    let lines = mixed().state(&state);
    let settings = json!({ "on_violation": "reject", "max_rejects": 20 });
    let lake = folder.path().join("lake");
    let (mapped, stored) = pipe_succeeds(
        mapper(folder.path(), &settings).input(lines.0.clone()),
        to_lake(&lake, "s", DAY),
    );
    hidden_in(&[&mapped, &stored], folder.path());
    let rejects = fs::read_to_string(folder.path().join("rejects.jsonl")).unwrap();
    let mut rejects: Vec<Value> =
        rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Two threads find them.
    rejects.sort_by_key(|reject| reject["line"].as_u64());
    assert_eq!(rejects.len(), 9, "{rejects:?}");
    // What can be shown of a row is there, protected; the rest of it is null.
    let first = &rejects[0];
    assert_eq!((&first["column"], &first["line"]), (&json!("amount"), &json!(5)));
    let record = &first["record"];
    assert_eq!(record["amount"], "much");
    assert_eq!(record["home"], json!({ "street": "***", "city": "Town" }));
    assert!(record["id"].as_str().unwrap().starts_with("h_"), "{record}");
    assert!(record.get("note").is_none() && record["iban"].is_null(), "{record}");
    assert_eq!(rejects[1]["record"]["born"], Value::Null);
    for outside in &rejects[6..] {
        assert!(outside.get("record").is_none() && outside.get("key").is_none(), "{outside}");
    }
    // And into a database, in which the values are looked for as well.
    let (mapped, loaded) = pipe_succeeds(
        mapper(folder.path(), &settings).input(lines.0),
        to_database(&target, &json!({})),
    );
    hidden_in(&[&mapped, &loaded], folder.path());
    let rows = target.psql("SELECT t FROM people t ORDER BY 1");
    hidden("the table", &rows);
    assert_eq!(rows.lines().count(), 2, "{rows}");
    let kinds = target.psql("SELECT pg_typeof(id), pg_typeof(born), born, ip FROM people LIMIT 1");
    assert_eq!(kinds, "text|bigint|1931|203.0.113.0/24");
}

#[test]
fn values_are_nowhere_after_failures() {
    let lines = mixed();
    let text = String::from_utf8(lines.0).unwrap();
    let all: Vec<&str> = text.lines().collect();
    // Each record that does not fit ends a run of its own.
    for at in 4..all.len() {
        let folder = folder();
        let input = [&all[..3], &all[at..=at]].concat().join("\n") + "\n";
        let lake = folder.path().join("lake");
        let (mapped, stored) =
            pipe(mapper(folder.path(), &json!({})).input(input), to_lake(&lake, "s", DAY));
        let mapped = mapped.exits(65);
        hidden_in(&[&mapped, &stored], folder.path());
        stored.exits(76);
        assert!(!lake.join("source=s/extracted_at=2026-11-20/table=people").exists());
    }
}

#[test]
fn values_are_nowhere_while_it_runs_and_after_a_kill() {
    let folder = folder();
    let text = String::from_utf8(mixed().0).unwrap();
    let mut lines: Vec<&str> = text.lines().take(3).collect();
    let record = lines[2];
    lines.resize(20_000, record);
    let input = lines.join("\n") + "\n";
    let mut running = mapper(folder.path(), &json!({})).piped().start(true);
    running.child().stdin.as_mut().unwrap().write_all(input.as_bytes()).unwrap();
    let pid = running.child().id();
    for name in ["cmdline", "environ", "status"] {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace(KEY, "");
        hidden(name, &text);
    }
    running.kill();
    let mapped = running.wait();
    let lake = folder.path().join("lake");
    let stored = to_lake(&lake, "s", DAY).input(mapped.stdout.clone()).go();
    hidden_in(&[&mapped, &stored], folder.path());
    assert_ne!(stored.code, 0);
}

/// What is left out does not stand in the rejects, either; nor do records of streams that are.
#[test]
fn rejects_hold_nothing_that_is_left_out() {
    let folder = folder();
    let properties = json!({ "id": { "type": "integer" }, "extra": { "type": "string" } });
    let wide = json!({ "id": ["broken"], "extra": "SECRET-EXTRA-VALUE" });
    let lines = Lines::default().schema("people", &properties, &["id"]).record("people", &wide);
    let lines = lines.schema("others", &properties, &["id"]).record("others", &wide).done();
    let path = file(
        folder.path(),
        "plain.odcs.yaml",
        "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n\
         - name: people\n  properties:\n  - {name: id}\n",
    );
    let rejects = folder.path().join("rejects.jsonl");
    let told = ours("map-streams")
        .set("contracts", json!([path]))
        .set("extra_columns", "drop")
        .set("max_rejects", 9)
        .set("rejects_file", rejects.display())
        .input(lines.0)
        .go()
        .success();
    let text = fs::read_to_string(rejects).unwrap();
    assert!(text.contains("people") && !text.contains("SECRET"), "{text}");
    assert!(!told.stderr.contains("SECRET") && !told.text().contains("SECRET"));
}

#[test]
fn a_plan_shows_types_and_no_values() {
    let folder = folder();
    let plan = mapper(folder.path(), &json!({ "max_rejects": 9 }))
        .args(["--plan"])
        .input(mixed().0)
        .go()
        .success();
    hidden_in(&[&plan], folder.path());
}

/// A token is read by who has the key, in another language, too. Their tap brings the package that
/// the page names.
#[test]
fn a_token_is_read_again_with_the_key() {
    let folder = folder();
    let lines = opened().record("people", &person(1, &json!({}))).done();
    let told = mapper(folder.path(), &json!({})).input(lines.0).go().success();
    let record = told.records("people").remove(0);
    let page = fs::read_to_string(support::root().join("docs/guides/personal-data.md")).unwrap();
    let code = page.split("```python shape\n").nth(1).unwrap().split("```").next().unwrap();
    let script = format!("{code}\nprint(reveal({}, {KEY:?}))", record["name"]);
    let read = TAP_POSTGRES.script(&script).go().success();
    assert_eq!(read.text().trim(), "Zebulon Quist");
}
