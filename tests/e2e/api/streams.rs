//! What streams are: inputs, parents, what is new, days, windows, schemas, columns.

use serde_json::{Value, json};

use support::apis::{tap_api, tap_apis};
use support::folder;
use support::run::{Outcome, file};
use support::web::{Asked, Reply, Web};

/// Returns the last bookmark of the stream `t`.
pub fn bookmark(outcome: &Outcome) -> Value {
    let mut states = outcome.messages();
    states.retain(|message| message["type"] == "STATE");
    states.pop().unwrap()["value"]["bookmarks"]["t"]["replication_key_value"].take()
}

fn schema(outcome: &Outcome, stream: &str) -> Value {
    let mut schemas = outcome.messages();
    schemas.retain(|message| message["type"] == "SCHEMA" && message["stream"] == stream);
    schemas.pop().unwrap()["schema"].take()
}

#[test]
fn inputs_and_parents_fill_paths_and_columns() {
    let web = Web::start(|asked| {
        let parts: Vec<&str> = asked.path().split('/').collect();
        Reply::json(&match parts[..] {
            ["", _, "shops"] => json!([{ "id": 1, "name": "a/b" }, { "id": 2, "name": "ü" }]),
            ["", region, "shops", shop, "orders"] => {
                json!([{ "order": format!("{region} {shop}"), "price": 1.50 }])
            }
            ["", _, "shops", _, "orders", order, "lines"] => json!([{ "line": order }]),
            _ => return Reply::status(404),
        })
    });
    let streams = [
        json!({ "name": "shops", "path": "/{region}/shops", "primary_keys": ["region", "id"],
            "inputs": [{ "region": "eu", "n": 1 }, { "region": "us", "n": 2 }] }),
        json!({ "name": "orders", "path": "/{region}/shops/{shop}/orders", "parent": "shops",
            "parent_keys": { "shop": "name", "region": "region" } }),
        json!({ "name": "lines", "path": "/{region}/shops/{shop}/orders/{order}/lines",
            "parent": "orders",
            "parent_keys": { "order": "order", "shop": "shop", "region": "region" } }),
    ];
    let outcome = tap_apis(&web.url, &streams, &json!({})).go().success();
    assert_eq!(
        outcome.records("shops")[2],
        json!({ "region": "us", "n": 2, "id": 1, "name": "a/b" })
    );
    let orders = outcome.records("orders");
    assert_eq!(orders.len(), 4);
    assert_eq!(
        orders[0],
        json!({ "region": "eu", "shop": "a/b", "order": "eu a%2Fb", "price": 1.50 })
    );
    assert_eq!(outcome.records("lines")[3]["line"], "us%20%25C3%25BC");
    // Two lists of shops, four of orders, four of lines: nothing is asked twice.
    assert_eq!(web.asked().len(), 10, "{:?}", web.targets());
    let catalog: Value = serde_json::from_slice(
        &tap_apis(&web.url, &streams, &json!({})).args(["--discover"]).go().success().stdout,
    )
    .unwrap();
    let run = tap_apis(&web.url, &streams, &json!({})).json("--catalog", &catalog);
    assert_eq!(run.go().success().records("lines").len(), 4);
}

#[test]
fn values_in_paths_lead_nowhere_else() {
    let read = |path: &str, id: &str| {
        let web = Web::replies(vec![Reply::json(&json!([{ "id": 1 }]))]);
        let stream = json!({ "path": path, "inputs": [{ "x": id }] });
        let outcome = tap_api(&web.url, &stream, &json!({})).go();
        (outcome.code, web.targets())
    };
    let one = |target: &str| (0, vec![target.to_owned()]);
    assert_eq!(read("a/{x}/b", "c/d?e=f#g%"), one("/a/c%2Fd%3Fe%3Df%23g%25/b"));
    assert_eq!(read("a/{+x}/b", "c/d?e=f#g%"), one("/a/c/d%3Fe%3Df%23g%25/b"));
    for id in ["..", ".", "", "../../admin", "a/../.."] {
        for path in ["a/{x}/b", "a/{+x}/b"] {
            assert_eq!(read(path, id), (65, Vec::new()), "{path} {id}");
        }
    }
}

#[test]
fn several_inputs_at_once_give_rows_in_order() {
    let web = Web::start(|asked| {
        let n: u64 = asked.param("n").unwrap().parse().unwrap();
        let page: u64 = asked.param("page").map_or(0, |page| page.parse().unwrap());
        // The first ones are the slowest.
        std::thread::sleep(std::time::Duration::from_millis(20 - n));
        let next = (page < 2).then_some(page + 1);
        let reply = json!({ "data": [{ "id": n * 10 + page }], "next_page": next });
        if n == 17 && page == 1 { Reply::status(400) } else { Reply::json(&reply) }
    });
    let read = |count: u64| {
        let inputs: Value = (0..count).map(|n| json!({ "n": n })).collect();
        let stream = json!({ "path": "x", "records_path": "$.data[*]", "params": { "n": "{n}" },
            "inputs": inputs, "concurrency": 4, "schema":
            { "type": "object", "properties": { "id": { "type": "integer" } } } });
        let outcome = tap_api(&web.url, &stream, &json!({})).go();
        let rows = outcome.records("t");
        let found: Vec<u64> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        (outcome.code, found)
    };
    let rows = |count: u64| (0..count * 3).map(|at| at / 3 * 10 + at % 3).collect::<Vec<_>>();
    assert_eq!(read(14), (0, rows(14)));
    let (code, found) = read(20);
    assert_eq!(code, 69);
    assert!(found.len() >= rows(16).len() && rows(17).starts_with(&found), "{found:?}");
}

#[test]
fn mistakes_in_streams_are_found_before_the_first_request() {
    let web = Web::replies(vec![Reply::json(&json!([]))]);
    let check = |streams: Value, more: Value, words: &[&str]| {
        let streams = streams.as_array().unwrap();
        let outcome = tap_apis(&web.url, streams, &more).go().exits(78);
        for word in words {
            assert!(outcome.stderr.contains(word), "no {word} in {}", outcome.stderr);
        }
    };
    check(
        json!([
            { "name": "a", "path": "/{x}/y", "params": { "p": "{start}" } },
            { "name": "c", "parent": "a", "parent_keys": { "z": "id" }, "path": "{z}/{x}" },
            { "name": "b", "headers": { "H": "{y}" }, "params": { "q": ["{datestamp}"] } },
        ]),
        json!({}),
        &[
            "a.path: {x}",
            "c.path: {x}",
            "a.params.p: {start}",
            "b.headers.H: {y}",
            "b.params.q: {datestamp}",
        ],
    );
    check(json!([]), json!({}), &["streams"]);
    check(json!([{ "name": "a" }, { "name": "a" }]), json!({}), &["one name", "stream: a"]);
    check(json!([{ "name": "a", "parent": "b" }]), json!({}), &["parent: b"]);
    let circle = json!([{ "name": "a", "parent": "b" }, { "name": "b", "parent": "a" }]);
    check(circle, json!({}), &["its own ancestor"]);
    check(json!([{ "name": "a", "inputs": [{ "x": 1 }, { "y": 1 }] }]), json!({}), &["inputs[1]"]);
    check(json!([{ "name": "a", "records_path": "data" }]), json!({}), &["records_path"]);
    check(json!([{ "name": "a", "schema": "/nonexistent.json" }]), json!({}), &["nonexistent"]);
    check(json!([{ "name": "a", "method": "GET", "body": {} }]), json!({}), &["method: POST"]);
    for day in ["20260230", "2026-1-1", "2026-02-30", "../x", ""] {
        check(json!([{ "name": "a" }]), json!({ "datestamp": day }), &["datestamp"]);
    }
    check(json!([{ "name": "a" }]), json!({ "time_zone": "Mars/Base" }), &["Mars/Base"]);
    assert!(web.asked().is_empty());
}

/// Rows with times, as a server that knows `since` and `until`, or not.
fn changes(asked: &Asked, filters: bool) -> Vec<Value> {
    let times = [
        "2026-11-21T00:00:00Z",
        "2026-11-19T10:00:00Z",
        "2026-11-20T00:00:00Z",
        "2026-11-20T23:59:59.999999Z",
        "2026-11-18T10:00:00Z",
    ];
    let decode = |name: &str| asked.param(name).map(|text| text.replace("%3A", ":"));
    let (since, until) = (decode("since"), decode("until"));
    let inside = |time: &str| {
        since.as_ref().is_none_or(|since| time >= since.as_str())
            && until.as_ref().is_none_or(|until| time < until.as_str())
    };
    let times = times.iter().enumerate().filter(|(_, time)| !filters || inside(time));
    times.map(|(id, time)| json!({ "id": id, "at": time })).collect()
}

/// A stream `t` with the replication key `at`.
pub fn incremental(params: &Value) -> Value {
    json!({ "path": "x", "primary_keys": ["id"], "replication_key": "at", "params": params })
}

#[test]
fn what_is_new_is_asked_for_and_the_bookmark_is_the_latest() {
    let web = Web::start(|asked| Reply::json(&changes(asked, true).into()));
    let stream = incremental(&json!({ "since": "{start}" }));
    let tap = || tap_api(&web.url, &stream, &json!({}));
    let first = tap().go().success();
    assert_eq!(first.records("t").len(), 5);
    // The rows are in no order, and so is the last of them no bookmark.
    assert_eq!(bookmark(&first), "2026-11-21T00:00:00Z");
    assert_eq!(web.targets(), ["/x"]);
    let state = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": "2026-11-20T00:00:00Z" } } });
    let next = tap().json("--state", &state).go().success();
    assert_eq!(next.records("t").len(), 3);
    assert_eq!(web.targets().last().unwrap(), "/x?since=2026-11-20T00%3A00%3A00Z");
    // Nothing new leaves the bookmark where it was.
    let state = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": "2027-01-01T00:00:00Z" } } });
    let none = tap().json("--state", &state).go().success();
    assert!(none.records("t").is_empty());
    assert_eq!(bookmark(&none), "2027-01-01T00:00:00Z");
    let dated = tap_api(&web.url, &stream, &json!({ "start_date": "2026-11-19" })).go().success();
    assert_eq!(dated.records("t").len(), 4);
    assert_eq!(web.targets().last().unwrap(), "/x?since=2026-11-19");
    let formats = [("epoch", "1795046400"), ("%Y%m%d", "20261119"), ("epoch_ms", "1795046400000")];
    for (format, text) in formats {
        let settings = json!({ "start_date": "2026-11-19", "time_format": format });
        let web = Web::replies(vec![Reply::json(&json!([]))]);
        tap_api(&web.url, &stream, &settings).go().success();
        assert_eq!(web.targets()[0], format!("/x?since={text}"));
    }
}

#[test]
fn a_run_cut_short_does_not_move_the_bookmark() {
    let web = Web::start(|asked| match asked.before {
        0 => Reply::json(&json!({ "data": [{ "id": 1, "at": "2026-11-20" }], "next_page": 2 })),
        _ => Reply::status(400),
    });
    let mut stream = incremental(&json!({}));
    stream["records_path"] = "$.data[*]".into();
    stream["schema"] = json!({ "type": "object", "properties": {
        "id": { "type": "integer" }, "at": { "type": "string", "format": "date" } } });
    let outcome = tap_api(&web.url, &stream, &json!({})).go().exits(69);
    assert_eq!(bookmark(&outcome), Value::Null);
    assert_eq!(outcome.records("t").len(), 1);
}

#[test]
fn a_day_is_read_half_open() {
    let ids = |outcome: &Outcome| -> Vec<u64> {
        outcome.records("t").iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    let window = json!({ "since": "{start}", "until": "{end}" });
    for (filters, params) in [(true, window.clone()), (false, json!({}))] {
        let web = Web::start(move |asked| Reply::json(&changes(asked, filters).into()));
        let stream = incremental(&params);
        let read = |more: Value| {
            let state = json!({ "bookmarks": { "t": { "replication_key": "at",
                "replication_key_value": "2026-11-21T00:00:00Z" } } });
            tap_api(&web.url, &stream, &more).json("--state", &state).go().success()
        };
        let day = read(json!({ "datestamp": "2026-11-20" }));
        assert_eq!(ids(&day), [2, 3]);
        assert_eq!(bookmark(&day), "2026-11-21T00:00:00Z", "a backfill leaves bookmarks alone");
        assert_eq!(ids(&read(json!({ "datestamp": "2026-11-21" }))), [0]);
        assert!(ids(&read(json!({ "datestamp": "2026-11-22" }))).is_empty());
        let local = json!({ "datestamp": "2026-11-21", "time_zone": "Europe/Berlin" });
        assert_eq!(ids(&read(local)), [0, 3]);
    }
    let web = Web::start(|_| Reply::json(&json!([{ "id": 1 }])));
    let stream = json!({ "path": "days/{datestamp}" });
    tap_api(&web.url, &stream, &json!({ "datestamp": "2026-11-20" })).go().success();
    assert_eq!(web.targets(), ["/days/2026-11-20"]);
}

#[test]
fn windows_move_the_bookmark_one_by_one() {
    let web = Web::start(|asked| match asked.param("since") {
        Some("2026-11-11") => Reply::status(400),
        Some(since) => Reply::json(&json!([{ "id": 1, "at": format!("{since}T05:00:00Z") }])),
        None => Reply::status(500),
    });
    let mut stream = incremental(&json!({ "since": "{start}", "until": "{end}" }));
    stream["window_days"] = 5.into();
    stream["time_format"] = "date".into();
    let settings = json!({ "start_date": "2026-11-01" });
    let outcome = tap_api(&web.url, &stream, &settings).go().exits(69);
    assert_eq!(
        web.targets(),
        [
            "/x?since=2026-11-01&until=2026-11-06",
            "/x?since=2026-11-06&until=2026-11-11",
            &web.targets()[2]
        ]
    );
    assert_eq!(bookmark(&outcome), "2026-11-11");
}

#[test]
fn types_come_from_all_records_and_each_is_asked_for_once() {
    let web = Web::start(|asked| {
        Reply::json(&match asked.before {
            0 => json!({ "data": [{ "id": 1, "a": 1, "n": {"x": 1} }], "next_page": 2 }),
            1 => json!({ "data": [{ "id": 2, "a": 1.50, "b": "2026-01-01" }], "next_page": 3 }),
            _ => json!({ "data": [{ "id": 3, "a": "many", "c": [1] }] }),
        })
    });
    let stream = json!({ "path": "x", "records_path": "$.data[*]", "primary_keys": ["id"] });
    let outcome = tap_api(&web.url, &stream, &json!({})).go().success();
    assert_eq!(web.asked().len(), 3);
    assert_eq!(
        schema(&outcome, "t")["properties"],
        json!({
            "id": { "type": ["integer"] },
            "a": { "type": ["object", "array", "string", "number", "boolean", "null"],
                "x-plain-values": true },
            "n": { "type": ["object", "null"] },
            "b": { "type": ["string", "null"], "format": "date" },
            "c": { "type": ["array", "null"] },
        })
    );
    assert_eq!(outcome.records("t").len(), 3);
    // From the first record alone, later properties are missed aloud.
    let web = Web::start(|asked| {
        Reply::json(&match asked.before {
            0 => json!({ "data": [{ "id": 1 }], "next_page": 2 }),
            _ => json!({ "data": [{ "id": 2, "late": 1 }, { "id": 3, "late": 2 }] }),
        })
    });
    let mut sampled = stream;
    sampled["num_inference_records"] = 1.into();
    let outcome = tap_api(&web.url, &sampled, &json!({})).go().success();
    assert_eq!(outcome.records("t"), [json!({"id": 1}), json!({"id": 2}), json!({"id": 3})]);
    assert!(outcome.stderr.contains("2 undeclared values") && outcome.stderr.contains("late"));
}

#[test]
fn a_declared_schema_needs_no_request_to_discover() {
    let scratch = folder();
    let text = r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#;
    let path = file(scratch.path(), "schema.json", text);
    for schema in [json!(path), serde_json::from_str(text).unwrap(), json!(text)] {
        let stream = json!({ "path": "x", "schema": schema, "primary_keys": ["id"],
            "store_raw_json_message": true });
        let run = tap_api("http://127.0.0.1:9", &stream, &json!({})).args(["--discover"]);
        let catalog: Value = serde_json::from_slice(&run.go().success().stdout).unwrap();
        let properties = &catalog["streams"][0]["schema"]["properties"];
        assert_eq!(properties.as_object().unwrap().len(), 2, "{properties}");
    }
}

#[test]
fn records_keep_their_digits_and_are_flat_where_wanted() {
    let body =
        r#"[{"id":12345678901234567890.10,"a":{"b":{"c":1e400}},"d":{"e":[1.10]},"f":"ü\u0000"}]"#;
    let read = |more: Value| {
        let web = Web::replies(vec![Reply::text(200, "application/json", body)]);
        let mut stream = json!({ "path": "x" });
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = tap_api(&web.url, &stream, &json!({})).go().success().text();
        let (_, record) = text.split_once("\"record\":").unwrap();
        record.split(",\"time_extracted").next().unwrap().to_owned()
    };
    let plain =
        r#"{"id":12345678901234567890.10,"a":{"b":{"c":1e400}},"d":{"e":[1.10]},"f":"ü\u0000"}"#;
    assert_eq!(read(json!({})), plain);
    assert_eq!(
        read(json!({ "flattening_enabled": true, "flattening_max_depth": 1 })),
        r#"{"id":12345678901234567890.10,"a__b":{"c":1e400},"d__e":[1.10],"f":"ü\u0000"}"#
    );
    assert_eq!(
        read(
            json!({ "flattening_enabled": true, "flattening_separator": "_", "except_keys": ["d"] })
        ),
        r#"{"id":12345678901234567890.10,"a_b_c":1e400,"d":{"e":[1.10]},"f":"ü\u0000"}"#
    );
    let raw = read(json!({ "store_raw_json_message": true }));
    assert_eq!(raw, format!("{},\"_sdc_raw_json\":{plain}}}", &plain[..plain.len() - 1]));
}

#[test]
fn a_test_reads_one_record() {
    let web = Web::start(|asked| {
        Reply::json(&json!({ "data": [{ "id": asked.before }], "next_page": asked.before + 1 }))
    });
    let stream = json!({ "path": "x", "records_path": "$.data[*]", "schema":
        { "type": "object", "properties": { "id": { "type": "integer" } } } });
    let outcome = tap_api(&web.url, &stream, &json!({})).args(["--test"]).go().success();
    assert_eq!(outcome.records("t").len(), 1);
    assert_eq!(web.asked().len(), 1);
    let mut limited = stream;
    limited["pagination_results_limit"] = 3.into();
    let outcome = tap_api(&web.url, &limited, &json!({})).go().success();
    assert_eq!(outcome.records("t").len(), 3);
}

#[test]
fn a_declared_schema_may_name_its_definitions() {
    for (reference, definition) in [
        ("i.json", json!({ "$id": "i.json", "type": "integer" })),
        ("#i", json!({ "$anchor": "i", "type": "integer" })),
        ("#i", json!({ "$id": "#i", "type": "integer" })),
    ] {
        for row in [json!({ "id": 1 }), json!({ "id": "x" })] {
            let web = Web::replies(vec![Reply::json(&json!([row]))]);
            let stream = json!({ "path": "x", "schema": { "type": "object",
                "properties": { "id": { "$ref": reference } },
                "definitions": { "number": definition } } });
            let outcome = tap_api(&web.url, &stream, &json!({})).go();
            assert_eq!(outcome.code, if row["id"] == 1 { 0 } else { 65 }, "{}", outcome.stderr);
        }
    }
}
