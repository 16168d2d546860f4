//! What `records_path` does not reach in answers, and what is lost on its way.

use serde_json::{Value, json};

use support::apis::{tap_api, tap_apis};
use support::cluster::database;
use support::pipes::to_database;
use support::run::{Outcome, pipe_succeeds};
use support::web::{Reply, Web};

fn read(answer: &Value, options: &Value) -> Outcome {
    let mut stream = json!({ "path": "items" });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&Web::replies(vec![Reply::json(answer)]).url, &stream, &json!({})).go().success()
}

/// Reads an answer; returns how many rows came of it, and the codes of the warnings.
fn codes(answer: &Value, options: &Value) -> (usize, Vec<String>) {
    let outcome = read(answer, options);
    let code = |line: &str| Some(line.split_once("W-")?.1.split(':').next()?.to_owned());
    let told = outcome.stderr.lines().filter(|line| line.contains("| WARNING"));
    (outcome.records("t").len(), told.filter_map(code).collect())
}

fn check(answer: &Value, options: &Value, rows: usize, expected: &[&str]) {
    let found = codes(answer, options);
    let expected = expected.iter().map(ToString::to_string).collect();
    assert_eq!(found, (rows, expected), "{options} {answer}");
}

#[test]
fn an_element_without_the_rest_of_the_path_is_told() {
    let lacking = &["RECORDS-LACKING"];
    let hits = json!({ "hits": [{ "source": { "id": 1 } }, { "score": 2 }] });
    let path = json!({ "records_path": "$.hits[*].source" });
    check(&hits, &path, 1, lacking);
    let whole = json!({ "hits": [{ "source": { "id": 1 } }, { "source": { "id": 2 } }] });
    check(&whole, &path, 2, &[]);
    let null = json!({ "hits": [{ "source": { "id": 1 } }, { "source": null }, null] });
    check(&null, &path, 1, &[]);
    let deep = json!([{ "a": { "b": { "id": 1 } } }, { "a": { "c": { "id": 2 } } }]);
    check(&deep, &json!({ "records_path": "$[*].a.b" }), 1, lacking);
    let members = json!({ "x": { "of": { "id": 1 } }, "y": { "at": { "id": 1 } } });
    check(&members, &json!({ "records_path": "$.*.of" }), 1, lacking);
    // A list that is not there is an empty one, and what may be missing is no mistake.
    let lists = json!({ "orders": [{ "lines": [{ "id": 1 }] }, { "id": 2 }] });
    check(&lists, &json!({ "records_path": "$.orders[*].lines[*]" }), 1, &[]);
    check(&lists, &json!({ "records_path": "$.orders[*].lines" }), 1, &[]);
    let may = json!({ "records_path": "$.hits[*].source", "allow_missing_records": true });
    check(&hits, &may, 1, &[]);
}

#[test]
fn a_map_of_records_that_is_taken_for_one_is_told() {
    let told = &["WHOLE-ANSWER"];
    let rates = json!({ "EUR": { "rate": 1, "on": "x" }, "USD": { "rate": 2, "on": "y" } });
    let in_data = json!({ "data": rates });
    check(&rates, &json!({}), 1, told);
    check(&in_data, &json!({ "records_path": "$.data[*]" }), 1, told);
    // Settings that say what the object is.
    check(&rates, &json!({ "records_path": "$" }), 1, &[]);
    check(&in_data, &json!({ "records_path": "$.data" }), 1, &[]);
    let by_input = json!({ "inputs": [{ "shop": "a" }], "primary_keys": ["shop"] });
    check(&rates, &by_input, 1, &[]);
    // Records with parts, and a lonely one.
    for record in [
        json!({ "name": { "first": "a" }, "address": { "city": "b" } }),
        json!({ "name": { "first": "a" } }),
        json!({ "id": 1, "from": { "x": 1 }, "to": { "x": 2 } }),
        json!({ "from": {}, "to": {} }),
    ] {
        check(&json!({ "data": record }), &json!({ "records_path": "$.data[*]" }), 1, &[]);
    }
    // One member each, with another name in each answer.
    let web = Web::start(|asked| {
        let name = asked.param("day").unwrap().to_owned();
        Reply::json(&json!({ name: { "count": 1 } }))
    });
    let stream = json!({ "path": "x", "params": { "day": "{day}" },
        "inputs": [{ "day": "d1" }, { "day": "d2" }] });
    let outcome = tap_api(&web.url, &stream, &json!({})).go().success();
    assert!(outcome.stderr.contains("W-WHOLE-ANSWER"), "{}", outcome.stderr);
}

#[test]
fn names_of_members_that_no_row_has_are_told() {
    let told = &["PROPERTY-LOST"];
    let path = json!({ "records_path": "$.of.*" });
    check(&json!({ "of": { "EUR": { "rate": 1 }, "USD": { "rate": 2 } } }), &path, 2, told);
    let has = json!({ "of": { "EUR": { "rate": 1, "code": "EUR" } } });
    check(&has, &path, 1, &[]);
    check(&json!({ "of": [{ "rate": 1 }] }), &path, 1, &[]);
    let keyed = json!({ "records_path": "$.of.*", "primary_keys": ["rate"] });
    check(&json!({ "of": { "EUR": { "rate": 1 } } }), &keyed, 1, &[]);
    let listed = json!({ "records_path": "$.of[*]" });
    check(&json!({ "of": { "17": { "n": 1 }, "25": { "n": 1 } } }), &listed, 2, told);
    check(&json!({ "of": { "0": { "n": 1 }, "2": { "n": 1 } } }), &listed, 2, &[]);
}

#[test]
fn a_list_in_a_record_that_has_more_is_told() {
    let list = || json!([{ "id": 1 }, { "id": 2 }]);
    let path = json!({ "records_path": "$.data[*]" });
    let read = |record: &Value| {
        let mut first = record.clone();
        first["id"] = 1.into();
        read(&json!({ "data": [first, { "id": 2 }] }), &path)
    };
    for (record, place) in [
        (json!({ "notes": { "list": list(), "hasMore": true } }), "notes.hasMore"),
        (
            json!({ "replies": { "nodes": list(), "pageInfo": { "hasNextPage": true } } }),
            "replies.pageInfo.hasNextPage",
        ),
        (json!({ "work": { "startAt": 0, "total": 30, "logs": list() } }), "work.total"),
        (
            json!({ "tracks": { "limit": 2, "next": "http://a/b?p=2", "items": list() } }),
            "tracks.next",
        ),
        (json!({ "likes": { "rows": list(), "paging": { "next": "/l?p=2" } } }), "paging.next"),
        (json!({ "tree": { "tree": list(), "truncated": true } }), "tree.truncated"),
        (json!({ "Lines": list(), "Lines@odata.nextLink": "x?skip=2" }), "@odata.nextLink"),
        (json!({ "lines": list(), "has_more": true }), "has_more"),
        (json!({ "bean": { "values": list(), "maxResults": 2, "isLast": false } }), "bean.isLast"),
        (json!({ "found": { "rows": list(), "limit": 2, "total": 3 } }), "found.total"),
        (
            json!({ "parts": [{ "refunds": { "data": list(), "has_more": true } }] }),
            "parts.refunds.has_more",
        ),
    ] {
        let outcome = read(&record);
        let mut told = outcome.stderr.lines().filter(|line| line.contains("W-MORE-PAGES:"));
        let line = told.next().unwrap_or_default();
        assert!(line.contains(place) && line.contains("`parent`"), "{record}: {}", outcome.stderr);
        assert_eq!(told.next(), None);
    }
    for record in [
        json!({ "notes": { "list": list(), "has_more": false } }),
        json!({ "replies": { "nodes": list(), "pageInfo": { "hasNextPage": false,
            "endCursor": "k" } } }),
        json!({ "work": { "startAt": 0, "maxResults": 20, "total": 2, "logs": list() } }),
        json!({ "cart": { "items": list(), "total": 900, "is_last_order": false } }),
        json!({ "chapter": { "verses": list(), "next": "/chapter/2" } }),
        json!({ "tracks": { "limit": 2, "next": null, "items": list() } }),
        json!({ "has_more": true, "tags": ["a"], "next_page": "/p/2", "is_last": false }),
        json!({ "plan": { "has_more": true, "name": "x" }, "lines": list() }),
        json!({ "lines": list(), "next_page": "/p/2", "total": 9, "offset": 0 }),
        json!({ "credit": { "limit": 5000, "total": 12000, "accounts": list() } }),
        json!({ "stage": { "is_last": false, "tasks": list() } }),
        json!({ "steps": list(), "is_last": false, "truncated": true, "has_next": true }),
    ] {
        assert!(!read(&record).stderr.contains("W-MORE-PAGES"), "{record}");
    }
}

#[test]
fn a_list_in_a_record_that_another_stream_reads_is_not_told() {
    let web = Web::start(|asked| {
        let cut = json!({ "data": [{ "n": 1 }], "has_more": true });
        Reply::json(&if asked.path() == "/bills" {
            json!([{ "id": 1, "lines": cut }])
        } else {
            json!([{ "n": 1 }, { "n": 2 }])
        })
    });
    let bills = json!({ "name": "bills", "path": "bills" });
    let child = |path: &str| {
        json!({ "name": "c", "path": path, "parent": "bills",
        "parent_keys": { "bill": "id" } })
    };
    for (streams, is_told) in [
        (vec![bills.clone()], true),
        (vec![bills.clone(), child("bills/{bill}/lines")], false),
        (vec![bills.clone(), child("bills/{bill}/payments")], true),
    ] {
        let outcome = tap_apis(&web.url, &streams, &json!({})).go().success();
        assert_eq!(outcome.stderr.contains("W-MORE-PAGES"), is_told, "{}", outcome.stderr);
    }
    // A column that is not read lacks nothing.
    let catalog = json!({ "streams": [{ "tap_stream_id": "bills", "stream": "bills",
        "schema": { "type": "object", "properties": { "id": { "type": "integer" },
            "lines": { "type": "object" } } },
        "metadata": [{ "breadcrumb": [], "metadata": { "selected": true } },
            { "breadcrumb": ["properties", "lines"], "metadata": { "selected": false } }] }] });
    let run = tap_apis(&web.url, &[bills], &json!({})).json("--catalog", &catalog);
    let outcome = run.go().success();
    assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
}

#[test]
fn an_empty_object_is_flattened_to_itself() {
    let flat = |more: Value| {
        let mut options = json!({ "path": "x", "flattening_enabled": true });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let rows = json!([{ "id": 1, "a": {} }, { "id": 2, "a": { "b": 1, "c": { "d": {} } } }]);
    let outcome = read(&rows, &flat(json!({})));
    let first = json!({ "id": 1, "a": {}, "a__b": null, "a__c__d": null });
    let expected = json!([first, { "id": 2, "a__b": 1, "a__c__d": {} }]);
    assert_eq!(json!(outcome.records("t")), expected);
    // Declared columns are all there are, and nothing is lost that is none of them.
    let columns = |names: &[&str]| {
        let property = |name: &&str| (name.to_string(), json!({}));
        let properties: serde_json::Map<_, _> = names.iter().map(property).collect();
        flat(json!({ "schema": { "type": "object", "properties": properties } }))
    };
    for (names, expected) in [
        (&["id", "a", "a__b", "a__c__d"][..], expected.clone()),
        (&["id", "a__b"], json!([{ "id": 1, "a__b": null }, { "id": 2, "a__b": 1 }])),
    ] {
        let outcome = read(&rows, &columns(names));
        assert_eq!(json!(outcome.records("t")), expected);
        assert!(!outcome.stderr.contains("| WARNING"), "{}", outcome.stderr);
    }
    // One that comes behind those that columns are inferred from has none, and is told.
    let late = json!([{ "id": 1, "at": "2026-01-01" }, { "id": 2, "at": "2026-01-02", "a": {} }]);
    let web = Web::start(move |asked| {
        Reply::json(&match asked.param("page") {
            None => json!({ "data": [late[0]], "next_page": 2 }),
            Some(_) => json!({ "data": [late[1]] }),
        })
    });
    let options = flat(json!({ "replication_key": "at", "params": { "since": "{start}" },
        "num_inference_records": 1, "records_path": "$.data[*]" }));
    let outcome = tap_api(&web.url, &options, &json!({})).go().success();
    assert_eq!(outcome.records("t").len(), 2);
    assert!(outcome.stderr.contains("left out: a"), "{}", outcome.stderr);
}

#[test]
fn a_flat_object_that_lost_members_has_null_there() {
    let options = json!({ "path": "x", "flattening_enabled": true });
    let rows = json!([
        { "id": 1, "a": { "b": 1, "c": { "d": "x" } } },
        { "id": 2, "a": { "c": { "d": "y" } } },
        { "id": 3, "a": null },
        { "id": 4 },
    ]);
    let outcome = read(&rows, &options);
    let expected = json!([
        { "id": 1, "a__b": 1, "a__c__d": "x" },
        { "id": 2, "a__b": null, "a__c__d": "y" },
        { "id": 3, "a": null, "a__b": null, "a__c__d": null },
        { "id": 4 },
    ]);
    assert_eq!(json!(outcome.records("t")), expected);
}

#[test]
fn a_list_that_is_empty_for_once_changes_no_type() {
    let stream = json!({ "path": "x", "records_path": "$.data[*]", "primary_keys": ["id"] });
    for method in ["upsert", "overwrite"] {
        let target = database("empty_list");
        let load = |rows: Value| {
            let web = Web::replies(vec![Reply::json(&json!({ "data": rows }))]);
            let into = to_database(&target, &json!({ "load_method": method }));
            pipe_succeeds(tap_api(&web.url, &stream, &json!({})), into);
            target.psql("SELECT string_agg(id::text || pg_typeof(id)::text, ',') FROM t")
        };
        assert_eq!(load(json!([{ "id": 1 }])), "1bigint");
        let left = if method == "upsert" { "1bigint" } else { "" };
        assert_eq!(load(json!([])), left);
        load(json!([{ "id": 2 }]));
    }
}
