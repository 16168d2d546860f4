//! Streams that are their own parents: folders in folders, comments on comments.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::apis::tap_apis;
use support::web::{Asked, Reply, Web};

/// The folders of the tests: 1 and 2 at the top, 3 and 4 in 1, 5 in 3; 4 leads back to 1.
fn children(of: &str) -> Value {
    let folder = |id: u8, day: u8, has: bool| {
        let at = format!("2024-01-{day:02}T00:00:00Z");
        json!({ "id": id, "at": at, "has": has })
    };
    match of {
        "root" => json!([folder(1, 1, true), folder(2, 2, false)]),
        "1" => json!([folder(3, 3, true), folder(4, 3, true)]),
        "3" => json!([folder(5, 4, false)]),
        "4" => json!([folder(1, 1, true)]),
        _ => json!([]),
    }
}

/// Answers, and keeps what was asked.
fn folders() -> (Web, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let web = Web::start({
        let asked = Arc::clone(&asked);
        move |request: &Asked| {
            let of = match request.path() {
                "/folders" => request.param("in").unwrap_or("root").to_owned(),
                path => path.trim_start_matches("/folders/").to_owned(),
            };
            asked.lock().unwrap().push(of.clone());
            Reply::json(&children(&of))
        }
    });
    (web, asked)
}

fn stream(more: &Value) -> Value {
    let mut stream = json!({ "name": "folders", "path": "folders/{in}",
        "inputs": [{ "in": "root" }],
        "recurse": { "parent_keys": { "in": "id" } } });
    for (name, value) in more.as_object().unwrap() {
        match (stream.get_mut(name), value) {
            (_, Value::Null) => {
                stream.as_object_mut().unwrap().remove(name);
            }
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
            _ => stream[name] = value.clone(),
        }
    }
    stream
}

/// Returns of each row what it lies in, its id, its level, and whether it is a leaf.
fn shown(rows: &[Value]) -> Vec<Value> {
    let show = |row: &Value| json!([row["in"], row["id"], row["level"], row["is_leaf"]]);
    rows.iter().map(show).collect()
}

#[test]
fn every_level_is_read_once() {
    for concurrency in [1, 3] {
        let (web, asked) = folders();
        let stream = stream(&json!({ "concurrency": concurrency }));
        let outcome = tap_apis(&web.url, &[stream], &json!({})).go().success();
        let expected = json!([
            ["root", 1, 1, false],
            ["root", 2, 1, true],
            [1, 3, 2, false],
            [1, 4, 2, false],
            [3, 5, 3, true],
            [4, 1, 3, false],
        ]);
        assert_eq!(Value::from(shown(&outcome.records("folders"))), expected);
        assert!(outcome.stderr.contains("W-TREE-CIRCLE"), "{}", outcome.stderr);
        let mut asked = asked.lock().unwrap().clone();
        asked.sort();
        assert_eq!(asked, ["1", "2", "3", "4", "5", "root"]);
    }
}

#[test]
fn levels_and_leaves_are_told_without_being_asked_for() {
    let check = |more: Value, expected: Value, requests: usize| {
        let (web, asked) = folders();
        let outcome = tap_apis(&web.url, &[stream(&more)], &json!({})).go().success();
        let rows = outcome.records("folders");
        assert_eq!(Value::from(shown(&rows[..rows.len().min(4)])), expected, "{more}");
        assert_eq!(asked.lock().unwrap().len(), requests, "{more}");
    };
    let roots = |leaf: Value| json!([["root", 1, 1, leaf], ["root", 2, 1, leaf]]);
    check(json!({ "recurse": { "max_depth": 1 } }), roots(Value::Null), 1);
    check(
        json!({ "recurse": { "max_depth": 2 } }),
        json!([["root", 1, 1, false], ["root", 2, 1, true], [1, 3, 2, null], [1, 4, 2, null],]),
        3,
    );
    check(
        json!({ "recurse": { "has_children": "has" } }),
        json!([["root", 1, 1, false], ["root", 2, 1, true], [1, 3, 2, false], [1, 4, 2, false]]),
        4,
    );
    // The first level is asked for without the parameter.
    check(
        json!({ "path": "folders", "inputs": null, "params": { "in": "{in}" },
            "recurse": { "has_children": "has" } }),
        json!([[null, 1, 1, false], [null, 2, 1, true], [1, 3, 2, false], [1, 4, 2, false]]),
        4,
    );
}

#[test]
fn a_day_has_its_rows_of_every_level_and_children_are_read_for_all() {
    let (web, _) = folders();
    let tree = stream(&json!({ "replication_key": "at" }));
    let files = json!({ "name": "files", "path": "folders/{in}", "parent": "folders",
        "parent_keys": { "in": "id" } });
    let settings = json!({ "datestamp": "2024-01-04" });
    let outcome = tap_apis(&web.url, &[tree, files], &settings).go().success();
    assert_eq!(shown(&outcome.records("folders")), [json!([3, 5, 3, true])]);
    assert_eq!(outcome.records("files").len(), 4);
}

#[test]
fn columns_of_a_declared_schema_are_added() {
    let (web, _) = folders();
    let schema = json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
    let stream = stream(&json!({ "schema": schema,
        "recurse": { "level_column": "depth", "leaf_column": "end" } }));
    let outcome = tap_apis(&web.url, &[stream], &json!({})).go().success();
    let row = &outcome.records("folders")[0];
    assert_eq!(*row, json!({ "in": "root", "depth": 1, "id": 1, "end": false }));
}

#[test]
fn a_tree_without_an_end_is_given_up() {
    let web = Web::start(|asked| {
        let at: u64 = asked.path().trim_start_matches("/folders/").parse().unwrap_or(0);
        Reply::json(&json!([{ "id": at + 1 }]))
    });
    let outcome = tap_apis(&web.url, &[stream(&json!({}))], &json!({})).go().exits(65);
    assert!(outcome.stderr.contains("max_depth"), "{}", outcome.stderr);
}

#[test]
fn what_is_no_tree_is_refused() {
    let refused = |more: Value, word: &str| {
        let (web, _) = folders();
        let outcome = tap_apis(&web.url, &[stream(&more)], &json!({})).go().exits(78);
        assert!(outcome.stderr.contains(word), "{more}: {}", outcome.stderr);
    };
    let since = json!({ "replication_key": "at", "params": { "since": "{start}" } });
    refused(since, "a part of the time");
    refused(json!({ "recurse": { "parent_keys": { "other": "id" } } }), "{other}");
    refused(json!({ "recurse": { "level_column": "in" } }), "level_column");
    refused(json!({ "recurse": { "max_depth": 0 } }), "max_depth");
    refused(json!({ "recurse": { "max_deep": 3 } }), "max_deep");
    let differs = |more: Value, word: &str| {
        let (web, _) = folders();
        let outcome = tap_apis(&web.url, &[stream(&more)], &json!({})).go().exits(65);
        assert!(outcome.stderr.contains(word), "{more}: {}", outcome.stderr);
    };
    differs(json!({ "recurse": { "has_children": "hass" } }), "no row has hass");
    differs(json!({ "recurse": { "leaf_column": "has" } }), "has a has itself");
    differs(json!({ "recurse": { "level_column": "id" } }), "level_column");
    differs(json!({ "recurse": { "parent_keys": { "in": "number" } } }), "no number");
}

#[test]
fn rows_of_a_parent_without_a_key_fail_or_are_skipped() {
    let web = Web::start(|asked| {
        Reply::json(&match asked.path() {
            "/orders" => json!([{ "customer": 7 }, { "customer": null }]),
            path => json!([{ "path": path }]),
        })
    });
    let read = |more: &Value| {
        let orders = json!({ "name": "orders", "path": "orders" });
        let mut one = json!({ "name": "customers", "path": "customers/{id}", "parent": "orders",
            "parent_keys": { "id": "customer" } });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tap_apis(&web.url, &[orders, one], &json!({})).go()
    };
    let outcome = read(&json!({})).exits(65);
    assert!(outcome.stderr.contains("null_parent_keys: skip"), "{}", outcome.stderr);
    let outcome = read(&json!({ "null_parent_keys": "skip" })).success();
    assert_eq!(outcome.records("customers"), [json!({ "id": 7, "path": "/customers/7" })]);
}
