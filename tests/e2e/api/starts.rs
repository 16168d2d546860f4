//! Where a stream starts: at its bookmark, or at its start when a changed setting asks for other
//! rows.

use serde_json::{Value, json};

use crate::api::streams::bookmark;
use support::apis::{tap_api, tap_apis};
use support::run::Outcome;
use support::web::{Reply, Web};

const CODE: &str = "W-SETTINGS-CHANGED";

fn stream(more: &Value) -> Value {
    let mut stream = json!({ "path": "x", "primary_keys": ["id"], "replication_key": "at",
        "params": { "since": "{start}" } });
    stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stream
}

fn state(outcome: &Outcome) -> Value {
    let messages = outcome.messages().into_iter();
    let mut states = messages.filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

/// A row for each day, as a server that knows `since` gives them.
fn days() -> Web {
    Web::start(|asked| {
        let since = asked.param("since").unwrap_or_default().to_owned();
        let days = (1..=9).map(|day| format!("2026-01-0{day}")).filter(|day| *day >= since);
        let rows: Vec<Value> = days.map(|day| json!({ "id": day, "at": day })).collect();
        Reply::json(&if asked.path() == "/x" { rows.into() } else { json!({ "data": rows }) })
    })
}

#[test]
fn what_decides_the_rows_has_the_stream_read_from_its_start_again() {
    let web = days();
    let tap = |more: &Value, known: &Value, settings: &Value| {
        tap_api(&web.url, &stream(more), settings).json("--state", known).go().success()
    };
    let none = json!({});
    let input = json!({ "inputs": [{ "n": 1 }] });
    let known = state(&tap(&input, &none, &none));
    let goes_on = |more: &Value, settings: &Value| {
        let outcome = tap(more, &known, settings);
        assert_eq!(outcome.records("t").len(), 1, "{more} {settings}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains(CODE), "{more} {settings}: {}", outcome.stderr);
    };
    let with = |more: Value| {
        let mut stream = input.clone();
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        stream
    };
    goes_on(&input, &none);
    goes_on(&with(json!({ "pagination_page_size": 7, "concurrency": 2, "max_pages": 9 })), &none);
    goes_on(&with(json!({ "headers": { "X-Key": "1" }, "start_date": "2025-01-01" })), &none);
    goes_on(
        &input,
        &json!({ "request_timeout_seconds": 9, "auth_method": "bearer_token",
        "bearer_token": "CANARY-5f3a" }),
    );
    for (more, name) in [
        (with(json!({ "inputs": [{ "n": 1 }, { "n": 2 }] })), "`inputs`"),
        (with(json!({ "path": "x?all=1" })), "`path`"),
        (with(json!({ "params": { "since": "{start}", "state": "all" } })), "`params`"),
        (with(json!({ "path": "y", "records_path": "$.data[*]" })), "`path`, `records_path`"),
        (with(json!({ "body": { "all": true } })), "`body`, `method`"),
        (with(json!({ "pagination_request_style": "link_header" })), "`pagination_request_style`"),
    ] {
        let inputs = more["inputs"].as_array().unwrap().len();
        for (settings, rows) in [(json!({}), 9), (json!({ "start_date": "2026-01-03" }), 7)] {
            let outcome = tap(&more, &known, &settings);
            assert_eq!(outcome.records("t").len(), rows * inputs, "{more}: {}", outcome.stderr);
            let said = &outcome.stderr;
            assert!(said.contains(CODE) && said.contains(name), "{more}: {said}");
            // All rows there are, so that a target may replace what it has.
            assert!(!outcome.text().contains("resumed_from"), "{more}");
            let plan = tap_api(&web.url, &stream(&more), &settings).json("--state", &known);
            let plan = plan.args(["--plan"]).go().success();
            assert!(!plan.text().contains("2026-01-09"), "{more}: {}", plan.text());
            let next = tap(&more, &state(&outcome), &settings);
            assert_eq!(next.records("t").len(), inputs, "{more}");
            assert!(!next.stderr.contains(CODE), "{more}: {}", next.stderr);
        }
    }
}

#[test]
fn a_change_of_a_parent_is_one_of_its_children() {
    let web = days();
    let run = |path: &str, known: &Value| {
        let mut child = stream(&json!({ "parent": "p", "parent_keys": { "p": "id" } }));
        child["name"] = "t".into();
        let parent = json!({ "name": "p", "path": path });
        tap_apis(&web.url, &[parent, child], &json!({})).json("--state", known).go().success()
    };
    let known = state(&run("x?since=2026-01-08", &json!({})));
    assert_eq!(run("x?since=2026-01-08", &known).records("t").len(), 2);
    let outcome = run("x?since=2026-01-07", &known);
    assert_eq!(outcome.records("t").len(), 27);
    assert!(outcome.stderr.contains("`parent`"), "{}", outcome.stderr);
}

#[test]
fn old_bookmarks_are_taken_over_and_learn_the_settings() {
    let web = days();
    let bare = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": "2026-01-09" } } });
    let tap = |more: &Value, known: &Value| {
        tap_api(&web.url, &stream(more), &json!({})).json("--state", known).go().success()
    };
    let none = json!({});
    let adopted = tap(&none, &bare);
    assert_eq!(adopted.records("t").len(), 1);
    assert!(!adopted.stderr.contains(CODE), "{}", adopted.stderr);
    // Also where there is nothing new.
    let ahead = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": "2026-02-01" } } });
    let nothing = tap(&none, &ahead);
    assert_eq!(bookmark(&nothing), "2026-02-01");
    for known in [state(&adopted), state(&nothing)] {
        let changed = tap(&json!({ "path": "x?a=1" }), &known);
        assert_eq!(changed.records("t").len(), 9, "{known}");
        assert!(changed.stderr.contains(CODE), "{}", changed.stderr);
    }
    // No rows by the new settings: the bookmark of the old ones is none.
    let web = Web::replies(vec![Reply::json(&json!([]))]);
    let outcome = tap_api(&web.url, &stream(&json!({ "path": "x?a=1" })), &none)
        .json("--state", &state(&adopted))
        .go()
        .success();
    let known = state(&outcome);
    assert_eq!(known["bookmarks"]["t"]["replication_key_value"], Value::Null);
    let next = tap(&json!({ "path": "x?a=1" }), &known);
    assert_eq!(next.records("t").len(), 9);
    assert!(!next.stderr.contains(CODE), "{}", next.stderr);
}

#[test]
fn no_secret_lies_in_a_state() {
    let web = days();
    let run = |secret: &str, known: &Value| {
        let stream = stream(&json!({
            "params": { "since": "{start}", "api_key": secret, "k": "{token}" },
            "headers": { "X-Key": secret, "X-Pat": "{pat}" },
            "inputs": [{ "pat": secret, "token": secret, "n": 1 }],
        }));
        let settings = json!({ "auth_method": "bearer_token", "bearer_token": secret });
        tap_api(&web.url, &stream, &settings).json("--state", known).go().success()
    };
    let first = run("hunter2-one", &json!({}));
    let known = state(&first);
    assert!(!known.to_string().contains("hunter2"), "{known}");
    // A secret that is changed decides nothing, and has left nothing that could tell.
    let next = run("hunter2-two", &known);
    assert!(!next.stderr.contains(CODE), "{}", next.stderr);
    assert_eq!(state(&next), known);
}

#[test]
fn a_bookmark_does_not_go_back_and_an_api_that_ignores_the_start_is_told() {
    let read = |keys: &[Value], mark: &Value, settings: &Value| {
        let rows = keys.iter().enumerate().map(|(id, at)| json!({ "id": id, "at": at }));
        let web = Web::replies(vec![Reply::json(&rows.collect())]);
        let known = json!({ "bookmarks": { "t": { "replication_key": "at",
            "replication_key_value": mark } } });
        tap_api(&web.url, &stream(&json!({})), settings).json("--state", &known).go().success()
    };
    let ignored = "W-START-IGNORED";
    let none = json!({});
    let day = |day: u32| json!(format!("2026-01-{day:02}"));
    for (keys, mark, after, told) in [
        (vec![day(2)], day(5), day(5), true),
        (vec![json!(3), json!(4)], json!(5), json!(5), true),
        (vec![day(1), day(2), day(9)], day(5), day(9), true),
        (vec![day(5), day(6)], day(5), day(6), false),
        // A start that is rounded down to its day gives rows before it.
        (
            vec![json!("2026-01-05T01:00:00Z")],
            json!("2026-01-05T20:00:00Z"),
            json!("2026-01-05T20:00:00Z"),
            false,
        ),
        (vec![json!("a")], json!("b"), json!("b"), false),
        // Some old rows beside more new ones are corrections.
        (vec![day(1), day(6), day(7)], day(5), day(7), false),
    ] {
        let outcome = read(&keys, &mark, &none);
        assert_eq!(bookmark(&outcome), after, "{keys:?} {mark}");
        assert_eq!(outcome.records("t").len(), keys.len());
        assert_eq!(outcome.stderr.contains(ignored), told, "{keys:?}: {}", outcome.stderr);
    }
    // A first read has its start from the settings.
    let first = json!({ "start_date": "2026-01-05" });
    let outcome = read(&[day(1)], &Value::Null, &first);
    assert!(outcome.stderr.contains(ignored), "{}", outcome.stderr);
    // Rows without a key move nothing, and are told when there is no other.
    let outcome = read(&[Value::Null, Value::Null], &day(5), &none);
    assert_eq!(bookmark(&outcome), day(5));
    assert!(outcome.stderr.contains("W-NULL-KEY"), "{}", outcome.stderr);
    let outcome = read(&[Value::Null, day(6)], &day(5), &none);
    assert_eq!(bookmark(&outcome), day(6));
    assert!(!outcome.stderr.contains("W-NULL-KEY"), "{}", outcome.stderr);
}

#[test]
fn a_read_that_finds_not_even_the_row_of_its_bookmark_is_told() {
    let times = ["2026-03-01T00:00:00Z", "2026-03-02T08:30:00Z"];
    let resumed = |is_given: fn(&str, &str) -> bool, more: Value, bookmark: &str| {
        let web = Web::start(move |asked| {
            let since = asked.param("since").unwrap_or_default().replace("%3A", ":");
            let rows = times.iter().enumerate().filter(|(_, time)| is_given(time, &since));
            Reply::json(&rows.map(|(id, time)| json!({ "id": id, "at": time })).collect())
        });
        let mut stream = json!({ "path": "x", "params": { "since": "{start}" },
            "replication_key": "at", "schema": { "type": "object", "properties": {
                "id": { "type": "integer" }, "at": { "type": "string" } } } });
        stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let state = json!({ "bookmarks": { "t": { "replication_key": "at",
            "replication_key_value": bookmark } } });
        let tap = tap_api(&web.url, &stream, &json!({})).json("--state", &state);
        tap.go().success().stderr
    };
    let told = |stderr: &str| stderr.contains("W-START-EXCLUDED");
    let later = |time: &str, since: &str| time > since;
    let from = |time: &str, since: &str| time >= since;
    let none = |_: &str, _: &str| false;
    assert!(told(&resumed(later, json!({}), times[1])));
    assert!(told(&resumed(later, json!({ "primary_keys": ["id"] }), "2026-03-03")));
    for stderr in [
        resumed(from, json!({}), times[1]),
        // What is later may have been the row of the bookmark.
        resumed(later, json!({}), times[0]),
        // Few rows share a moment as fine, an id, or a key.
        resumed(none, json!({}), "2026-03-02T08:30:00.123Z"),
        resumed(none, json!({}), "4711"),
        resumed(none, json!({ "primary_keys": ["at"] }), times[1]),
        resumed(none, json!({ "window_days": 400 }), times[1]),
    ] {
        assert!(!told(&stderr), "{stderr}");
    }
}

#[test]
fn a_start_that_the_zone_skips_or_has_twice_is_refused_and_the_hint_is_taken() {
    let web = days();
    let go = |start: &str, zone: &str, format: Option<&str>| {
        let mut stream = stream(&json!({ "start_date": start }));
        if let Some(format) = format {
            stream["time_format"] = format.into();
        }
        tap_api(&web.url, &stream, &json!({ "time_zone": zone })).go()
    };
    let (berlin, minutes) = ("Europe/Berlin", Some("%d.%m.%Y %H:%M"));
    for (start, zone, format) in [
        ("2025-03-30T02:30:00", berlin, None),
        ("2025-10-26 02:00:00", berlin, Some("epoch")),
        ("30.03.2025 02:59", berlin, minutes),
        ("2025-11-02T01:30:00", "America/New_York", Some("date")),
    ] {
        let refused = go(start, zone, format).exits(78);
        for says in [start, "stream: t", "clocks were set"] {
            assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        }
        let hints = refused.quoted();
        assert_eq!(hints.len(), 2, "{}", refused.stderr);
        for hint in hints {
            go(hint, zone, format).success();
        }
    }
    assert!(web.targets().iter().all(|target| !target.contains("02%3A59")), "{:?}", web.targets());
    for (start, zone, format) in [
        ("2025-03-30T03:00:00", berlin, None),
        ("30.03.2025 03:00", berlin, minutes),
        ("2025-04-25", "Africa/Cairo", None),
        ("25.04.2025", "Africa/Cairo", Some("%d.%m.%Y")),
        ("2025-03-30T02:30:00", "UTC", None),
    ] {
        go(start, zone, format).success();
    }
}
