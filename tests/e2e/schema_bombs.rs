//! A stream is not trusted: a small SCHEMA cannot make a target fill memory or work without end.

use serde_json::{Map, Value, json};

use crate::support::cluster::database;
use crate::support::folder;
use crate::support::messages::Lines;
use crate::support::pipes::{DAY, to_database, to_lake};
use crate::support::run::Run;

fn schema(properties: &Value, definitions: &Value) -> Lines {
    Lines::default().syncing("t").message(&json!({
        "type": "SCHEMA", "stream": "t", "key_properties": ["id"],
        "schema": { "type": "object", "properties": properties, "definitions": definitions },
    }))
}

/// So many definitions, each made of references to the next one.
fn chain(count: usize, make: impl Fn(Value) -> Value) -> Value {
    let mut all = Map::new();
    for at in 0..count {
        all.insert(at.to_string(), make(json!({ "$ref": format!("#/definitions/{}", at + 1) })));
    }
    all.insert(count.to_string(), json!({ "type": "string", "minLength": 1 }));
    all.into()
}

fn with_columns(column: &Value) -> Value {
    json!({ "id": { "type": "integer" }, "c": column })
}

#[test]
fn schemas_that_multiply_are_refused() {
    let database = database("schema_bombs");
    let output = folder();
    let start = json!({ "anyOf": [{ "$ref": "#/definitions/0" }, { "type": "null" }] });
    let twice = |next: Value| json!({ "anyOf": [next, next] });
    for (name, column, definitions) in [
        ("anyOf", start.clone(), chain(40, twice)),
        ("allOf", start.clone(), chain(40, |next| json!({ "allOf": [next, next] }))),
        (
            "properties",
            start.clone(),
            chain(40, |next| {
                json!({ "properties": {
            "definitions": next, "enum": next } })
            }),
        ),
        ("depth", start.clone(), chain(20_000, |next| json!({ "not": next }))),
        ("a circle", start, json!({ "0": { "allOf": [{ "$ref": "#/definitions/0" }] } })),
        ("a pattern", json!({ "pattern": "((a{1,500}){1,500}){1,500}" }), json!({})),
    ] {
        let lines = schema(&with_columns(&column), &definitions);
        let input = lines.record("t", &json!({ "id": 1, "c": "x" })).done().0;
        let targets: [&dyn Fn() -> Run; 2] =
            [&|| to_lake(output.path(), "s", DAY), &|| to_database(&database, &json!({}))];
        for target in targets {
            let outcome = target().input(input.clone()).go().exits(76);
            assert!(outcome.stderr.contains("cannot use the JSON Schema"), "{name}: {outcome:?}");
            assert!(outcome.stderr.contains("column: c\n"), "{name}: {outcome:?}");
        }
        // What the hint says works.
        let unchecked = to_lake(output.path(), "s", DAY).set("validate_records", false);
        unchecked.input(input).go().success();
    }
}

#[test]
fn a_value_that_would_be_checked_without_end_is_refused() {
    let output = folder();
    let next = json!({ "$ref": "#/definitions/0" });
    let definitions =
        json!({ "0": { "properties": { "x": { "oneOf": [next, { "not": next }] } } } });
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "x": inner }));
    let lines = schema(&with_columns(&next), &definitions);
    let input = lines.record("t", &json!({ "id": 1, "c": deep })).done().0;
    let outcome = to_lake(output.path(), "s", DAY).input(input).go().exits(65);
    assert!(outcome.stderr.contains("too much work"), "{outcome:?}");
}

#[test]
fn large_schemas_with_references_are_fine() {
    let output = folder();
    let mut columns = Map::new();
    columns.insert("id".to_owned(), json!({ "type": "integer" }));
    for at in 0..5000 {
        let reference = json!({ "$ref": format!("#/definitions/{}", at % 3) });
        let column = match at % 2 {
            0 => reference,
            _ => json!({ "anyOf": [reference, { "type": "null" }], "title": format!("c{at}") }),
        };
        columns.insert(format!("c{at}"), column);
    }
    let tree = json!({ "type": "object", "properties": { "next": { "$ref": "#/definitions/1" },
        "list": { "type": "array", "items": { "$ref": "#/definitions/1" } } } });
    let definitions = json!({ "0": { "type": "string", "maxLength": 9, "pattern": "^[a-z]+$" },
        "1": tree, "2": { "enum": ["a", "b"] } });
    let lines = schema(&columns.into(), &definitions);
    let row = json!({ "id": 1, "c0": "a", "c1": { "next": { "list": [{}, {}] } }, "c2": "b" });
    let good = lines.clone().record("t", &row).done().0;
    to_lake(output.path(), "s", DAY).input(good).go().success();
    let odd = json!({ "id": 1, "c1": { "next": { "list": [{}, 7] } } });
    let bad = lines.record("t", &odd).done().0;
    to_lake(output.path(), "s", DAY).input(bad).go().exits(65);
}
