//! A stream is not trusted: a small SCHEMA cannot make a target fill memory or work without end.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::files::limits::{measured, peak};
use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, to_database, to_lake};
use support::run::{Run, file, ours};

/// Many times what work in proportion to a schema takes.
const PATIENCE: Duration = Duration::from_mins(1);

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
    assert!(outcome.stderr.contains("takes too long"), "{outcome:?}");
}

#[test]
fn columns_beyond_the_limit_are_refused() {
    let (scratch, database) = (folder(), database("wide_schemas"));
    let many = |count: usize| -> Value {
        let column = |at: usize| (format!("c{at}"), json!({ "type": ["null", "string"] }));
        (0..count).map(column).collect::<Map<_, _>>().into()
    };
    let lines = |count: usize| {
        let lines = Lines::default().syncing("t").schema("t", &many(count), &[]);
        lines.record("t", &json!({ "c0": "x" })).done().0
    };
    let targets: [(_, _, &dyn Fn() -> Run); 2] = [
        ("target-csv", 3000, &|| to_lake(scratch.path(), "s", DAY)),
        ("target-postgres", 1500, &|| to_database(&database, &json!({}))),
    ];
    for (name, count, target) in targets {
        target().set("max_columns", count).input(lines(count)).go().success();
        let outcome = target().set("max_columns", count - 1).input(lines(count)).go().exits(65);
        let told = format!("columns: {count}\n  max_columns: {}\n", count - 1);
        assert!(outcome.stderr.contains(&told), "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("raise `max_columns`"), "{name}: {}", outcome.stderr);
    }
    // By default memory has a limit, whatever comes.
    let outcome = measured("target-csv")
        .config(&json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY }))
        .input(lines(1_000_000))
        .go()
        .exits(65);
    assert!(outcome.stderr.contains("columns: 1000000\n"), "{}", outcome.stderr);
    assert!(peak(&outcome) < 1 << 30, "{} bytes", peak(&outcome));
    // A catalog is read by the same rule, also where little of it is selected.
    let rows = file(scratch.path(), "t.csv", "c0\nx\n");
    let catalog = json!({ "streams": [{ "tap_stream_id": "t", "stream": "t",
        "schema": { "type": "object", "properties": many(2000) },
        "metadata": [{ "breadcrumb": [], "metadata": { "selected": true } }] }] });
    let config = json!({ "files": [{ "entity": "t", "path": rows, "keys": [] }] });
    let tap = |max: u64| {
        ours("tap-csv").config(&config).json("--catalog", &catalog).set("max_columns", max).go()
    };
    tap(2000).success();
    let outcome = tap(1999).exits(65);
    assert!(outcome.stderr.contains("columns: 2000\n"), "{}", outcome.stderr);
}

/// As many keys as columns, and as many definitions as columns: work that grows with the square of
/// their number does not come to its end within the patience of a run.
#[test]
fn work_grows_with_the_columns_and_not_with_their_square() {
    let scratch = folder();
    let wide = |count: usize, column: &dyn Fn(usize) -> Value| -> Map<String, Value> {
        (0..count).map(|at| (format!("c{at}"), column(at))).collect()
    };
    let target =
        || to_lake(scratch.path(), "s", DAY).set("max_columns", 150_000).patience(PATIENCE);

    let keyed = wide(150_000, &|_| json!({ "type": "string" }));
    let keys: Vec<&str> = keyed.keys().map(String::as_str).collect();
    let row: Map<_, _> = keyed.keys().map(|name| (name.clone(), json!("x"))).collect();
    let columns = Value::Object(keyed.clone());
    let lines = Lines::default().syncing("t").schema("t", &columns, &keys);
    target().input(lines.record("t", &row.into()).done().0).go().success();

    let referring = wide(
        20_000,
        &|at| json!({ "anyOf": [{ "$ref": format!("#/definitions/c{at}") }, { "type": "null" }] }),
    );
    let definitions = wide(20_000, &|_| json!({ "type": "string" }));
    let lines = Lines::default().syncing("t").message(&json!({
        "type": "SCHEMA", "stream": "t", "key_properties": [],
        "schema": { "type": "object", "properties": referring, "definitions": definitions },
    }));
    target().input(lines.record("t", &json!({ "c0": "x" })).done().0).go().success();
}

/// A copy for each column of what they refer to would be larger than any memory.
#[test]
fn columns_that_share_a_large_definition_are_refused() {
    let scratch = folder();
    let words: Vec<String> = (0..100_000).map(|at| format!("word {at}")).collect();
    let definitions = json!({ "large": { "properties": { "x": { "type": "string" } },
        "enum": words } });
    let check = |column: &dyn Fn(usize) -> Value, said: &str| {
        let columns: Map<_, _> = (0..20_000).map(|at| (format!("c{at}"), column(at))).collect();
        let lines = schema(&columns.into(), &definitions).raw("").done();
        let lines = String::from_utf8(lines.0).unwrap().replace(r#"["id"]"#, "[]");
        let outcome = measured("target-csv")
            .config(&json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY }))
            .input(lines)
            .go();
        assert!([65, 76].contains(&outcome.code), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(peak(&outcome) < 1 << 30, "{} bytes", peak(&outcome));
    };
    check(&|_| json!({ "$ref": "#/definitions/large" }), "cannot follow the references");
    let part = "#/definitions/large/properties/x";
    check(
        &|at| json!({ "minLength": at, "allOf": [{ "$ref": part }] }),
        "its references lead to more than",
    );
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
