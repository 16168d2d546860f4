//! Transformations of fields, as `transform-field` makes them.

use serde_json::{Value, json};

use support::folder;
use support::messages::Lines;
use support::python::TRANSFORM_FIELD;
use support::run::{Outcome, ours};

fn lines() -> Lines {
    let text = json!({ "type": ["string", "null"] });
    let properties = json!({
        "id": { "type": "integer" }, "name": text, "mail": text,
        "number": { "type": ["integer", "null"] },
        "at": { "type": ["string", "null"], "format": "date-time" },
        "data": { "type": ["object", "null"] },
    });
    Lines::default()
        .schema("t", &properties, &["id"])
        .record(
            "t",
            &json!({ "id": 1, "name": "Ada Lovelace", "mail": "ada@x.co", "number": 7,
            "at": "2024-05-06T07:08:09", "data": { "a": { "b": "secret" }, "c": [1, "x"] } }),
        )
        .record(
            "t",
            &json!({ "id": 2, "name": "Émile", "mail": "e@y.de", "number": 0,
            "at": "1999-12-31T00:00:00", "data": { "c": [] } }),
        )
        .record(
            "t",
            &json!({ "id": 3, "name": null, "mail": null, "number": null, "at": null,
            "data": null }),
        )
}

fn said(outcome: &Outcome) -> Vec<Value> {
    let records = outcome.messages().into_iter().filter(|message| message["type"] == "RECORD");
    records.map(|mut message| message["record"].take()).collect()
}

#[test]
fn fields_become_what_transform_field_makes_of_them() {
    for (field, kind, more) in [
        ("name", "HASH", json!({})),
        ("name", "HASH-SKIP-FIRST-1", json!({})),
        ("name", "HASH-SKIP-FIRST-2", json!({ "when": [{ "column": "id", "equals": 1 }] })),
        ("name", "MASK-HIDDEN", json!({})),
        ("name", "MASK-STRING-SKIP-ENDS-2", json!({})),
        (
            "mail",
            "MASK-STRING-SKIP-ENDS-3",
            json!({ "when": [{ "column": "mail", "regex_match": "x\\.co$" }] }),
        ),
        ("mail", "SET-NULL", json!({ "when": [{ "column": "name", "equals": "Émile" }] })),
        ("number", "MASK-NUMBER", json!({})),
        ("at", "MASK-DATE", json!({})),
        ("data", "HASH", json!({ "field_paths": ["a/b"] })),
        (
            "name",
            "HASH",
            json!({ "when": [
            { "column": "data", "field_path": "a/b", "equals": "secret" } ] }),
        ),
    ] {
        let mut one = json!({ "tap_stream_name": "t", "field_id": field, "type": kind });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let settings = json!({ "transformations": [one] });
        let theirs = TRANSFORM_FIELD.program("transform-field").config(&settings);
        let theirs = theirs.input(lines().0).go().success();
        let ours = ours("map-streams").config(&settings).input(lines().0).go().success();
        assert_eq!(said(&ours), said(&theirs), "{settings}");
    }
}

#[test]
fn what_cannot_be_transformed_is_refused() {
    let refuses = |one: Value, code: i32, words: &str| {
        let settings = json!({ "transformations": [one] });
        let outcome = ours("map-streams").config(&settings).input(lines().0).go().exits(code);
        assert!(outcome.stderr.contains(words), "{words}: {}", outcome.stderr);
        assert!(said(&outcome).is_empty(), "{settings}");
    };
    let of = |field: &str, kind: &str| -> Value {
        json!({ "tap_stream_name": "t", "field_id": field, "type": kind })
    };
    refuses(of("name", "HASCH"), 78, "unknown type of a transformation");
    refuses(of("nmae", "HASH"), 78, "a property that is not there");
    refuses(of("number", "HASH"), 78, "cannot transform a property of this type");
    refuses(of("id", "SET-NULL"), 78, "a key property cannot be None");
    refuses(of("id", "MASK-NUMBER"), 78, "a key property cannot be masked");
    let mut odd = of("name", "HASH");
    odd["when"] = json!([{ "column": "mail", "regex_match": "(" }]);
    refuses(odd, 78, "cannot read a regular expression");
    let mut odd = of("name", "HASH");
    odd["when"] = json!([{ "column": "mail" }]);
    refuses(odd, 78, "a condition needs `equals` or `regex_match`");
    let mut odd = of("name", "HASH");
    odd["when"] = json!([{ "column": "mail", "equals": "a", "regex_match": "a" }]);
    refuses(odd, 78, "a condition has both");
}

#[test]
fn a_stream_is_known_by_the_name_of_the_tap_and_an_entry_that_nothing_meets_is_told() {
    let run = |maps: Value, name: &str| {
        let one = json!({ "tap_stream_name": name, "field_id": "mail", "type": "HASH" });
        let settings = json!({ "stream_maps": maps, "transformations": [one] });
        ours("map-streams").config(&settings).input(lines().done().0).go().success()
    };
    let shows = |outcome: &Outcome| outcome.text().contains("ada@x.co");
    let told = |outcome: &Outcome| outcome.stderr.contains("W-MAP-UNUSED");
    for (maps, name, shown, warned) in [
        (json!({ "t": { "__alias__": "people" } }), "t", false, false),
        (json!({ "t": { "__alias__": "people" } }), "people", false, false),
        (json!({ "t": {}, "copy": { "__source__": "t" } }), "t", false, false),
        (json!({ "t": { "mail": null } }), "u", false, true),
        (json!({ "t": {} }), "tt", true, true),
        // Under another name it is another property.
        (json!({ "t": { "__alias__": "p", "post": "mail", "mail": null } }), "t", true, true),
    ] {
        let outcome = run(maps.clone(), name);
        assert_eq!(shows(&outcome), shown, "{maps} {name}: {}", outcome.text());
        assert_eq!(told(&outcome), warned, "{maps} {name}: {}", outcome.stderr);
    }
}

#[test]
fn a_text_or_a_list_in_the_place_of_an_object_is_rejected() {
    let input = Lines::default().schema("t", &json!({ "id": { "type": "integer" }, "o": {} }), &[]);
    let objects = [
        json!({ "s": "secret" }),
        json!([{ "s": "secret" }]),
        json!("{\"s\": \"secret\"}"),
        json!({ "s": null }),
        Value::Null,
        json!(7),
    ];
    let rows = objects.iter().zip(1..).map(|(object, id)| json!({ "id": id, "o": object }));
    let input = rows.fold(input, |lines, row| lines.record("t", &row));
    let one = json!({
        "tap_stream_name": "t", "field_id": "o", "field_paths": ["s"], "type": "HASH" });
    let folder = folder();
    let rejects = folder.path().join("rejects.jsonl");
    let settings = json!({ "transformations": [one], "max_rejects": 2, "rejects_file": rejects });
    let outcome = ours("map-streams").config(&settings).input(input.0).go().success();
    assert!(!outcome.text().contains("secret"), "{}", outcome.text());
    assert_eq!(outcome.records("t").len(), 4);
    let rejects = std::fs::read_to_string(rejects).unwrap();
    assert!(rejects.contains("there is no object that could have `s`"), "{rejects}");
}
