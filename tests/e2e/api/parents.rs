//! Rows of parents that children are read for: all of them, each under a name of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use support::apis::tap_apis;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

/// Answers with those rows that are as new as asked for.
fn since(asked: &Asked, rows: &Value) -> Reply {
    let since = asked.param("since").unwrap_or_default();
    let mut rows = rows.as_array().unwrap().clone();
    rows.retain(|row| row["u"].as_str().unwrap() >= &*since);
    Reply::json(&Value::from(rows))
}

fn groups_of_teams() -> Web {
    Web::start(|asked| {
        let parts: Vec<&str> = asked.path().split('/').collect();
        let old = "2024-01-01T00:00:00Z";
        let new = "2024-01-10T05:00:00Z";
        match parts[..] {
            ["", "p"] => since(asked, &json!([{ "id": 1, "u": old }, { "id": 2, "u": new }])),
            ["", "p", _, "c"] => since(asked, &json!([{ "x": 1, "u": new }, { "x": 2, "u": old }])),
            ["", "p", _, "c", _, "g"] => since(asked, &json!([{ "y": 1, "u": new }])),
            _ => Reply::status(404),
        }
    })
}

fn streams(more: &Value) -> Vec<Value> {
    let with = |mut stream: Value| {
        let common = json!({ "replication_key": "u", "params": { "since": "{start}" } });
        let members = stream.as_object_mut().unwrap();
        members.extend(common.as_object().unwrap().clone());
        members.extend(more.as_object().unwrap().clone());
        stream
    };
    vec![
        with(json!({ "name": "p", "path": "p", "primary_keys": ["id"] })),
        with(json!({ "name": "c", "path": "p/{p}/c", "parent": "p", "parent_keys": { "p": "id" },
            "primary_keys": ["p", "x"] })),
        with(json!({ "name": "g", "path": "p/{p}/c/{c}/g", "parent": "c",
            "parent_keys": { "p": "p", "c": "x" }, "primary_keys": ["p", "c", "y"] })),
    ]
}

#[test]
fn parents_are_read_whole_for_their_children() {
    let u = json!({ "type": "string", "format": "date-time" });
    let properties = json!({ "id": {}, "x": {}, "y": {}, "u": u });
    let schema = json!({ "schema": { "type": "object", "properties": properties } });
    let cases = [
        (json!({}), json!({ "datestamp": "2024-01-10" })),
        (json!({ "start_date": "2024-01-05T00:00:00Z" }), json!({})),
        (json!({ "start_date": "2024-01-05T00:00:00Z" }), json!({ "datestamp": "2024-01-10" })),
        (json!({ "params": {} }), json!({ "datestamp": "2024-01-10" })),
    ];
    for (more, settings) in cases {
        for declared in [false, true] {
            let mut more = more.clone();
            if declared {
                more.as_object_mut().unwrap().extend(schema.as_object().unwrap().clone());
            }
            let web = groups_of_teams();
            let streams = streams(&more);
            let outcome = tap_apis(&web.url, &streams, &settings).go().success();
            let rows = |name: &str| outcome.records(name).len();
            // Of the written rows there are those of the day alone.
            assert_eq!((rows("p"), rows("c"), rows("g")), (1, 2, 4), "{more} {settings}");
            let discover = tap_apis(&web.url, &streams, &settings).args(["--discover"]);
            let catalog = discover.go().success().stdout;
            let mut catalog: Value = serde_json::from_slice(&catalog).unwrap();
            for (at, name, count) in [(2, "g", 4), (1, "c", 2)] {
                let mut one = catalog.clone();
                one["streams"] = json!([catalog["streams"][at].take()]);
                let run = tap_apis(&web.url, &streams, &settings).json("--catalog", &one);
                let outcome = run.go().success();
                assert_eq!(outcome.records(name).len(), count, "{name} alone: {more} {settings}");
            }
        }
    }
}

#[test]
fn parents_that_are_asked_for_by_windows_are_read_from_their_start_on() {
    let web = groups_of_teams();
    let more = json!({ "window_days": 400, "start_date": "2023-12-20" });
    let settings = json!({ "datestamp": "2024-01-10" });
    let outcome = tap_apis(&web.url, &streams(&more), &settings).go().success();
    assert_eq!(outcome.records("p").len(), 1);
    // Rows of parents come with each window that they are as new as.
    let rows = outcome.records("c");
    assert!(rows.iter().any(|row| row["p"] == 1) && rows.iter().any(|row| row["p"] == 2));
}

#[test]
fn a_record_that_contradicts_its_parent_or_input_is_refused() {
    let read = |own: &Value, keys: &str, inputs: bool| {
        let own = own.clone();
        let keys = keys.to_owned();
        let web = Web::start(move |asked| {
            Reply::json(&match asked.path() {
                "/p" => json!([{ "id": 7, "n": "a/b", "k": 1 }, { "id": 7, "n": "a/b", "k": 2 }]),
                _ => json!([{ "x": asked.before, "pid": own }]),
            })
        });
        let parent = json!({ "name": "p", "path": "p" });
        let mut child = json!({ "name": "c", "path": "c", "primary_keys": ["pid", "x"] });
        if inputs {
            let value = if keys == "id" { json!(7) } else { json!("a/b") };
            child["inputs"] = json!([{ "pid": value, "k": 1 }, { "pid": value, "k": 2 }]);
        } else {
            child["parent"] = "p".into();
            child["parent_keys"] = json!({ "pid": keys, "k": "k" });
        }
        tap_apis(&web.url, &[parent, child], &json!({})).go()
    };
    for inputs in [false, true] {
        for (own, keys) in [(json!(7), "id"), (json!("7"), "id"), (json!("a/b"), "n")] {
            let outcome = read(&own, keys, inputs).success();
            assert_eq!(outcome.records("c").len(), 2, "{own} {keys}");
        }
        for (own, keys) in
            [(json!(8), "id"), (json!("a"), "n"), (Value::Null, "id"), (json!({ "id": 7 }), "id")]
        {
            let outcome = read(&own, keys, inputs).exits(65);
            let setting = if inputs { "`inputs`" } else { "`parent_keys`" };
            let said = &outcome.stderr;
            assert!(said.contains("pid") && said.contains(setting), "{own} {keys}: {said}");
            assert!(inputs || said.contains(&format!("property of the parent: {keys}")), "{said}");
            assert!(outcome.records("c").is_empty(), "{own} {keys}");
        }
    }
    let both = [
        json!({ "name": "p", "path": "p" }),
        json!({ "name": "c", "path": "c", "parent": "p", "parent_keys": { "a": "id" },
            "inputs": [{ "b": 1, "a": 2 }] }),
    ];
    let outcome = tap_apis("http://127.0.0.1:9", &both, &json!({})).go().exits(78);
    assert!(outcome.stderr.contains("one column"), "{}", outcome.stderr);
}

#[test]
fn children_are_read_once_for_the_same_values() {
    let web = Web::start(|asked| {
        let orders: Value = (0..6).map(|id| json!({ "id": id, "customer": id / 2 })).collect();
        Reply::json(&match asked.path() {
            "/orders" => orders,
            path => json!([{ "path": path }]),
        })
    });
    let orders = json!({ "name": "orders", "path": "orders" });
    let child = |more: Value| {
        let mut child = json!({ "name": "c", "path": "customers/{customer}", "parent": "orders",
            "parent_keys": { "customer": "customer" } });
        child.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        child
    };
    let inputs = json!([{ "n": 1 }, { "n": 2 }, { "n": 1 }]);
    for (more, rows) in [
        (json!({}), 3),
        (json!({ "concurrency": 4 }), 3),
        (json!({ "inputs": inputs }), 6),
        (json!({ "parent_keys": {}, "path": "all" }), 1),
        (json!({ "parent_keys": { "customer": "customer", "order": "id" } }), 6),
    ] {
        let before = web.asked().len();
        let outcome = tap_apis(&web.url, &[orders.clone(), child(more.clone())], &json!({})).go();
        assert_eq!(outcome.success().records("c").len(), rows, "{more}");
        assert_eq!(web.asked().len() - before, rows + 1, "{more}");
    }
}

#[test]
fn children_of_a_part_of_the_parents_move_no_bookmark() {
    let web = Web::start(|asked| {
        Reply::json(&match asked.path() {
            "/a" => (0..5).map(|id| json!({ "id": id })).collect(),
            path => json!([{ "id": path, "at": "2026-01-01" }]),
        })
    });
    for limit in [2, 9] {
        let incremental = json!({ "replication_key": "at", "params": { "since": "{start}" } });
        let with = |mut stream: Value| {
            stream.as_object_mut().unwrap().extend(incremental.as_object().unwrap().clone());
            stream
        };
        let streams = [
            json!({ "name": "a", "path": "a", "pagination_results_limit": limit }),
            with(json!({ "name": "b", "path": "b/{a}", "parent": "a",
                "parent_keys": { "a": "id" } })),
            with(json!({ "name": "c", "path": "c/{b}", "parent": "b",
                "parent_keys": { "b": "id" } })),
        ];
        let outcome = tap_apis(&web.url, &streams, &json!({})).go().success();
        let moved = outcome.text().contains("\"replication_key_value\"");
        assert_eq!(moved, limit == 9, "{limit}: {}", outcome.text());
        let told = outcome.stderr.matches("a part of the rows of its parent").count();
        assert_eq!(told, if limit == 9 { 0 } else { 2 }, "{}", outcome.stderr);
    }
}

#[test]
fn a_replication_key_may_be_a_column_of_the_parent() {
    let web = Web::start(|asked| {
        Reply::json(&match asked.path() {
            "/p" => json!([{ "id": 1, "u": "2026-01-02" }, { "id": 2, "u": "2026-01-01" }]),
            _ => json!([{ "x": 1 }]),
        })
    });
    let child = json!({ "name": "c", "path": "c/{p}", "parent": "p",
        "parent_keys": { "p": "id", "u": "u" }, "replication_key": "u",
        "params": { "since": "{start}" } });
    let streams = [json!({ "name": "p", "path": "p" }), child];
    let outcome = tap_apis(&web.url, &streams, &json!({})).go().success();
    let text = outcome.text();
    assert!(text.contains("\"replication_key_value\":\"2026-01-02\""), "{text}");
    // A day has the rows of its parents of that day.
    let day = tap_apis(&web.url, &streams, &json!({ "datestamp": "2026-01-01" })).go().success();
    assert_eq!(day.records("c").len(), 1);
}

/// A group that is there in some runs, the rows that it has in each, and what is asked of it.
struct Shown {
    group: &'static str,
    runs: [Option<&'static [&'static str]>; 5],
    since: [&'static str; 5],
}

const OLD: &str = "2025-01-05";
const MAY: &str = "2025-05-05";
const JUNE: &str = "2025-06-05";
const JULY: &str = "2025-07-05";
/// `None` is a group that the API does not know.
const SHOWN: [Shown; 3] = [
    Shown {
        group: "a",
        runs: [Some(&[MAY]), Some(&[MAY]), None, Some(&[MAY, JUNE]), Some(&[JUNE])],
        since: ["2025-01", MAY, MAY, MAY, JUNE],
    },
    // It comes with the second run, and has older rows than the others.
    Shown {
        group: "b",
        runs: [None, Some(&[OLD, MAY]), Some(&[JULY]), Some(&[JULY]), Some(&[JULY])],
        since: ["2025-01", "2025-01", MAY, JULY, JULY],
    },
    // It has no rows at first, and then an older one than the others.
    Shown {
        group: "d",
        runs: [Some(&[]), Some(&[]), Some(&[]), Some(&[OLD]), Some(&[])],
        since: ["2025-01", "2025-01", "2025-01", "2025-01", OLD],
    },
];

/// Reads five runs of such groups; `is_listed` tells whether the API lists those that it knows.
fn five_runs(child: &Value, is_listed: bool) {
    let run = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&run);
    let web = Web::start(move |asked| {
        let run = at.load(Ordering::SeqCst);
        if asked.path() == "/groups" {
            let is_there = |shown: &&Shown| !is_listed || shown.runs[run].is_some();
            let there = SHOWN.iter().filter(is_there);
            let groups: Vec<Value> = there.map(|shown| json!({ "name": shown.group })).collect();
            return Reply::json(&groups.into());
        }
        let group = asked.param("group").unwrap();
        let Some(rows) = SHOWN.iter().find(|shown| shown.group == group).unwrap().runs[run] else {
            return Reply::status(404);
        };
        since(asked, &rows.iter().map(|at| json!({ "u": at })).collect::<Vec<_>>().into())
    });
    let u = json!({ "type": "string", "format": "date" });
    let schema = json!({ "type": "object", "properties": { "g": { "type": "string" }, "u": u } });
    let mut stream = json!({ "name": "c", "path": "rows", "not_found": "empty", "schema": schema,
        "start_date": "2025-01", "replication_key": "u",
        "params": { "group": "{g}", "since": "{start}" } });
    stream.as_object_mut().unwrap().extend(child.as_object().unwrap().clone());
    let streams = [json!({ "name": "p", "path": "groups" }), stream];
    let mut state = json!({});
    for at in 0..5 {
        run.store(at, Ordering::SeqCst);
        let before = web.asked().len();
        let read = tap_apis(&web.url, &streams, &json!({})).json("--state", &state);
        let outcome = read.go().success();
        state = last_state(&outcome);
        let asked = web.asked();
        for shown in &SHOWN {
            let is_asked = shown.runs[at].is_some() || !is_listed;
            let of_it = |asked: &&Asked| asked.param("group") == Some(shown.group);
            let asked: Vec<_> = asked[before..].iter().filter(of_it).collect();
            let sinces: Vec<_> = asked.iter().filter_map(|asked| asked.param("since")).collect();
            // A group that went and came is read from where it was read to, or whole.
            let since = if is_listed && shown.group == "a" && at == 3 {
                "2025-01"
            } else {
                shown.since[at]
            };
            let expected: &[&str] = if is_asked { &[since] } else { &[] };
            assert_eq!(sinces, expected, "run {at}: {} {child} {state}", shown.group);
        }
    }
}

fn last_state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages().into_iter().filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

#[test]
fn a_parent_or_input_is_read_from_its_own_bookmark_or_from_the_start() {
    for more in [json!({}), json!({ "concurrency": 3 })] {
        let with = |mut child: Value| {
            child.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            child
        };
        for is_listed in [true, false] {
            five_runs(&with(json!({ "parent": "p", "parent_keys": { "g": "name" } })), is_listed);
        }
        let inputs: Vec<Value> = SHOWN.iter().map(|shown| json!({ "g": shown.group })).collect();
        five_runs(&with(json!({ "inputs": inputs })), false);
    }
}
