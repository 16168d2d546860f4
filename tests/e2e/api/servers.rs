//! tap-api on servers that other people wrote: Datasette, json-server, Kinto.

use serde_json::{Value, json};

use support::apis::{datasette, json_server, kinto, tap_api, tap_apis};
use support::cluster::database;
use support::pipes::{DAY, load, to_lake};
use support::run::{Outcome, pipe_succeeds};
use support::{folder, lake};

const TOKEN: &str = "CANARY-5f3a-of-datasette";

fn orders(options: &Value) -> Value {
    let mut stream = json!({
        "path": "/shop/orders.json",
        "params": { "_shape": "objects", "_size": 100 },
        "records_path": "$.rows[*]",
        "primary_keys": ["id"],
        "pagination_request_style": "next_url",
        "next_page_token_path": "$.next_url",
    });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    stream
}

/// Returns the state a run ended with.
fn last_state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages();
    states.retain(|message| message["type"] == "STATE");
    states.pop().unwrap()["value"].take()
}

#[test]
fn a_day_of_an_api_goes_through_the_lake_into_postgres() {
    let scratch = folder();
    let server = datasette(scratch.path(), 1050, TOKEN);
    let auth = json!({ "auth_method": "bearer_token", "bearer_token": TOKEN });
    let tap = || tap_api(&server.url, &orders(&json!({})), &auth);
    let lake = scratch.path().join("lake");
    pipe_succeeds(tap(), to_lake(&lake, "api", DAY));
    let first = lake::data_sums(&lake);
    pipe_succeeds(tap(), to_lake(&lake, "api", DAY));
    assert_eq!(lake::data_sums(&lake), first, "a rerun gives the same bytes");
    let target = database("from_api");
    let more = json!({ "load_method": "replace-partition" });
    for _ in 0..2 {
        load(&lake, DAY, &target, &more);
        let found = target.psql(
            "SELECT count(*), count(DISTINCT id), min(price), pg_typeof(min(updated_at)) FROM t",
        );
        assert_eq!(found, "1050|1050|1.01|timestamp with time zone");
    }
}

#[test]
fn datasette_wants_a_token_and_gives_what_is_new() {
    let scratch = folder();
    let server = datasette(scratch.path(), 230, TOKEN);
    for (auth, code) in [
        (json!({}), 77),
        (json!({ "auth_method": "bearer_token", "bearer_token": "CANARY-5f3a-wrong" }), 77),
    ] {
        let refused = tap_api(&server.url, &orders(&json!({})), &auth).go().exits(code);
        assert!(refused.stderr.contains("status: 403"), "{}", refused.stderr);
    }
    let auth = json!({ "auth_method": "bearer_token", "bearer_token": TOKEN });
    let stream = orders(&json!({
        "replication_key": "updated_at",
        "source_search_field": "updated_at__gte",
        "source_search_query": "$last_run_date",
    }));
    let full = tap_api(&server.url, &stream, &auth).go().success();
    assert_eq!(full.records("t").len(), 230);
    let state = last_state(&full);
    let times = full.records("t");
    let latest = times.iter().map(|row| row["updated_at"].as_str().unwrap()).max().unwrap();
    assert_eq!(state["bookmarks"]["t"]["replication_key_value"], latest);
    let again = tap_api(&server.url, &stream, &auth).json("--state", &state).go().success();
    let rows = again.records("t");
    assert!(!rows.is_empty() && rows.len() < 30, "{}", rows.len());
    assert!(rows.iter().all(|row| row["updated_at"] == latest));
    assert_eq!(last_state(&again), state);
}

#[test]
fn json_server_gives_pages_by_link_number_and_offset() {
    let scratch = folder();
    let post = |id: u32| json!({ "id": id, "userId": 1 + id % 3, "title": format!("t{id} ü") });
    let posts: Vec<Value> = (1..=25).map(post).collect();
    let users: Vec<Value> = (1..=3).map(|id| json!({ "id": id, "name": "n" })).collect();
    let server = json_server(scratch.path(), &json!({ "posts": posts, "users": users }));
    let check = |options: Value| {
        let mut stream = json!({ "path": "posts", "primary_keys": ["id"] });
        stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let rows = tap_api(&server.url, &stream, &json!({})).go().success().records("t");
        assert_eq!(rows, posts, "{options}");
    };
    check(json!({ "params": { "_page": 1, "_limit": 10 },
        "pagination_request_style": "restapi_header_link_paginator" }));
    check(
        json!({ "pagination_request_style": "page_number", "pagination_next_page_param": "_page",
        "pagination_page_size": 10, "pagination_limit_per_page_param": "_limit" }),
    );
    check(json!({ "pagination_request_style": "offset", "pagination_next_page_param": "_start",
        "pagination_page_size": 10, "pagination_limit_per_page_param": "_limit" }));
    check(json!({}));
    let children = [
        json!({ "name": "users", "path": "/users", "primary_keys": ["id"] }),
        json!({ "name": "t", "path": "/users/{user}/posts", "primary_keys": ["id"],
            "parent": "users", "parent_keys": { "user": "id" } }),
    ];
    let outcome = tap_apis(&server.url, &children, &json!({})).go().success();
    let rows = outcome.records("t");
    assert_eq!(rows.len(), 25);
    assert!(rows.iter().all(|row| row["user"] == row["userId"]), "{rows:?}");
}

#[test]
fn kinto_gives_pages_by_a_header_and_changes_with_tombstones() {
    let scratch = folder();
    let server = kinto(scratch.path());
    let curl = |method: &str, path: &str, body: &Value| {
        let outcome = std::process::Command::new("python3")
            .args([
                "-c",
                "import sys, urllib.request as r; a = sys.argv; r.urlopen(r.Request(a[2], \
                a[3].encode(), {'Content-Type': 'application/json', 'Authorization': \
                'Basic dG9tOkNBTkFSWS01ZjNh'}, method=a[1]))",
            ])
            .args([method, &format!("{}/v1/{path}", server.url), &body.to_string()])
            .output()
            .unwrap();
        assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    };
    curl("PUT", "accounts/tom", &json!({ "data": { "password": "CANARY-5f3a" } }));
    curl("PUT", "buckets/b", &json!({}));
    curl("PUT", "buckets/b/collections/c", &json!({}));
    for n in 0..12 {
        curl("PUT", &format!("buckets/b/collections/c/records/r{n}"), &json!({"data": {"n": n}}));
    }
    let stream = json!({
        "path": "/v1/buckets/b/collections/c/records",
        "records_path": "$.data[*]",
        "primary_keys": ["id"],
        "replication_key": "last_modified",
        "params": { "_since": "\"{start}\"" },
        "schema": { "type": "object", "properties": {
            "id": { "type": "string" }, "n": { "type": ["integer", "null"] },
            "last_modified": { "type": "integer" }, "deleted": { "type": ["boolean", "null"] },
        } },
        "pagination_request_style": "header_token",
        "next_page_token_path": "Next-Page",
    });
    let auth = json!({ "auth_method": "basic", "username": "tom", "password": "CANARY-5f3a" });
    let full = tap_api(&server.url, &stream, &auth).go().success();
    assert_eq!(full.records("t").len(), 12);
    curl("DELETE", "buckets/b/collections/c/records/r3", &json!({}));
    curl("PUT", "buckets/b/collections/c/records/r4", &json!({ "data": { "n": 44 } }));
    let run = tap_api(&server.url, &stream, &auth).json("--state", &last_state(&full));
    let rows = run.go().success().records("t");
    let found: Vec<_> = rows.iter().map(|row| (row["id"].clone(), row["n"].clone())).collect();
    assert_eq!(rows.len(), 2, "{found:?}");
    assert!(rows.iter().any(|row| row["id"] == "r3" && row["deleted"] == true), "{rows:?}");
    assert!(rows.iter().any(|row| row["id"] == "r4" && row["n"] == 44), "{rows:?}");
}
