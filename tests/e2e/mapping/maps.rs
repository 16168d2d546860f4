//! What maps of ours keep, check and add beyond those of the SDK.

use serde_json::{Value, json};

use support::folder;
use support::messages::Lines;
use support::run::{Outcome, ours};

fn properties() -> Value {
    json!({
        "id": { "type": "integer" },
        "App ID": { "type": ["string", "null"], "maxLength": 3, "x-sql-datatype": "varchar(3)" },
        "n": { "type": ["number", "null"] },
    })
}

fn lines() -> Lines {
    Lines::default()
        .schema("t", &properties(), &["id"])
        .record("t", &json!({ "id": 1, "App ID": "12", "n": 1.5 }))
        .record("t", &json!({ "id": 2, "n": null }))
}

fn mapped(settings: &Value, lines: Lines) -> Outcome {
    ours("map-streams").config(settings).input(lines.0).go()
}

fn records(outcome: &Outcome) -> Vec<Value> {
    let records = outcome.messages().into_iter().filter(|message| message["type"] == "RECORD");
    records.map(|mut message| message["record"].take()).collect()
}

#[test]
fn named_maps_are_shared_by_streams() {
    let named = json!({ "installs": {
        "rename": { "App ID": "app_id" }, "types": { "app_id": "integer" }, "drop": ["n"],
        "map": { "source": "'store'" } } });
    let settings = json!({ "named_maps": named, "stream_maps": {
        "t*": { "__use__": "installs", "source": "__stream_name__" } } });
    let outcome = mapped(&settings, lines()).success();
    let expected =
        [json!({ "id": 1, "app_id": 12, "source": "t" }), json!({ "id": 2, "source": "t" })];
    assert_eq!(records(&outcome), expected);
    let schema = outcome.messages()[0]["schema"]["properties"].clone();
    assert_eq!(schema["app_id"], json!({ "type": ["integer", "null"] }));
}

#[test]
fn a_copy_keeps_its_schema_and_a_computed_value_does_not() {
    let maps = json!({ "t": { "same": "record['App ID']", "App ID": "md5(self or '')" } });
    let outcome = mapped(&json!({ "stream_maps": maps }), lines()).success();
    let schema = outcome.messages()[0]["schema"]["properties"].clone();
    assert_eq!(schema["same"], properties()["App ID"]);
    assert_eq!(schema["App ID"], json!({ "type": ["string", "null"] }));
    // A value that a record does not have stays away in a copy.
    assert_eq!(records(&outcome)[1].get("same"), None);
}

#[test]
fn bookmarks_times_and_unknown_parts_are_kept() {
    let schema = json!({
        "type": "SCHEMA", "stream": "t", "schema": { "properties": properties(), "x-own": 1 },
        "key_properties": ["id"], "bookmark_properties": ["id"], "x-theirs": { "a": 1 },
    });
    let record = json!({ "type": "RECORD", "stream": "t", "record": { "id": 1 }, "version": 7,
        "time_extracted": "2026-01-02T03:04:05Z" });
    let state = json!({ "bookmarks": { "t": { "n": 1.0 } } });
    let lines = Lines::default().message(&schema).message(&record).state(&state);
    let maps = json!({ "t": { "n": null, "App ID": null, "twice": "int(id * 2)" } });
    let messages = mapped(&json!({ "stream_maps": maps }), lines).success().messages();
    for key in ["bookmark_properties", "x-theirs"] {
        assert_eq!(messages[0][key], schema[key], "{key}");
    }
    assert_eq!(messages[0]["schema"]["x-own"], 1);
    assert_eq!(messages[0]["source_stream"], "t");
    let mut expected = record;
    expected["record"]["twice"] = 2.into();
    assert_eq!(messages[1], expected);
    assert_eq!(messages[2]["value"], state);
}

#[test]
fn a_schema_that_comes_again_is_mapped_again() {
    let more = json!({ "id": { "type": "integer" }, "name": { "type": ["string", "null"] } });
    let lines = lines().schema("t", &more, &["id"]).record("t", &json!({ "id": 3, "name": "x" }));
    let maps = json!({ "t": { "__else__": null, "name": "record.get('name', 'none')" } });
    let outcome = mapped(&json!({ "stream_maps": maps }), lines).success();
    let names: Vec<Value> = records(&outcome).into_iter().map(|r| r["name"].clone()).collect();
    assert_eq!(names, ["none", "none", "x"]);
}

#[test]
fn a_map_that_no_stream_has_is_reported() {
    let maps = json!({ "tt": { "n": null }, "t": {} });
    let outcome = mapped(&json!({ "stream_maps": maps }), lines()).success();
    assert!(
        outcome.stderr.contains("W-MAP-UNUSED: `stream_maps` has \"tt\""),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.stderr.matches("`stream_maps` has").count(), 1);
}

#[test]
fn a_value_that_does_not_fit_is_a_reject_with_its_place() {
    let scratch = folder();
    let path = scratch.path().join("rejects.jsonl");
    let maps = json!({ "t": { "share": "float(1 / (id - 1))" } });
    let settings = json!({ "stream_maps": maps, "max_rejects": 1, "rejects_file": path });
    let outcome = mapped(&settings, lines()).success();
    assert_eq!(records(&outcome).len(), 1);
    let reject: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(reject["expression"], "float(1 / (id - 1))");
    assert_eq!(reject["part"], "1 / (id - 1)");
    assert_eq!(reject["reason"], "division by zero");
    let place = [&reject["stream"], &reject["property"], &reject["line"]];
    assert_eq!(place, [&json!("t"), &json!("share"), &json!(2)]);
}

#[test]
fn a_plan_shows_what_becomes_of_streams() {
    let maps = json!({ "t": { "n": null, "__alias__": "people" } });
    let run = ours("map-streams").config(&json!({ "stream_maps": maps })).args(["--plan"]);
    let text = run.input(lines().0).go().success().text();
    assert!(text.contains("people") && text.contains("2 columns, of 3 of stream t"), "{text}");
}

#[test]
fn a_flat_object_says_all_of_its_members() {
    let inner = json!({ "type": ["object", "null"], "properties": { "c": { "type": "string" } } });
    let a = json!({ "type": ["object", "null"], "properties": {
        "b": { "type": "integer" }, "i": inner } });
    let whole = json!({ "id": 1, "a": { "b": 1, "i": { "c": "x" } } });
    let cases = [
        (whole, json!({ "id": 1, "a__b": 1, "a__i__c": "x" })),
        (json!({ "id": 2, "a": { "b": 2 } }), json!({ "id": 2, "a__b": 2, "a__i__c": null })),
        (json!({ "id": 3, "a": { "i": {} } }), json!({ "id": 3, "a__b": null, "a__i__c": null })),
        (json!({ "id": 4, "a": null }), json!({ "id": 4, "a__b": null, "a__i__c": null })),
        // A record without the object changes nothing of it.
        (json!({ "id": 5 }), json!({ "id": 5 })),
    ];
    let input = Lines::default().schema("t", &json!({ "id": { "type": "integer" }, "a": a }), &[]);
    let input = cases.iter().fold(input, |lines, (record, _)| lines.record("t", record));
    let settings = json!({ "flattening_enabled": true, "flattening_max_depth": 2 });
    let outcome = mapped(&settings, input).success();
    let expected: Vec<Value> = cases.into_iter().map(|(_, flat)| flat).collect();
    assert_eq!(records(&outcome), expected);
}
