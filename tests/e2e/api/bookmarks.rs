//! No record of an API is lost: by limits, keys that are not times, refusals, late columns.

use serde_json::{Value, json};

use crate::api::streams::{bookmark, incremental};
use support::apis::tap_api;
use support::web::{Reply, Web};

fn stream(more: &Value) -> Value {
    let mut stream = incremental(&json!({}));
    stream.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stream
}

#[test]
fn a_limit_keeps_the_bookmark_before_what_is_left() {
    let newest_first: Vec<Value> =
        (1..=20).rev().map(|day| json!({ "id": day, "at": format!("2026-01-{day:02}") })).collect();
    let page = newest_first.clone();
    let web = Web::start(move |asked| {
        let from: usize = asked.param("page").map_or(0, |text| text.parse().unwrap());
        let next = (from + 5 < 20).then_some(from + 5);
        Reply::json(&json!({ "data": page[from..from + 5], "next_page": next }))
    });
    for (limit, mark, requests) in [
        (3, Value::Null, 1),
        (5, Value::Null, 1),
        (7, Value::Null, 2),
        (20, json!("2026-01-20"), 4),
        (21, json!("2026-01-20"), 4),
    ] {
        let before = web.asked().len();
        let options = stream(&json!({ "records_path": "$.data[*]",
            "pagination_results_limit": limit }));
        let outcome = tap_api(&web.url, &options, &json!({})).go().success();
        assert_eq!(outcome.records("t"), newest_first[..limit.min(20)], "{limit}");
        assert_eq!(bookmark(&outcome), mark, "{limit}");
        assert_eq!(web.asked().len() - before, requests, "{limit}");
        let said = outcome.stderr.contains("(`pagination_results_limit`)");
        assert_eq!(said, mark.is_null(), "{limit}: {}", outcome.stderr);
    }
    // Windows that were read whole count, and those behind the limit are not asked for.
    let window = |since: &str| json!([{ "id": 1, "at": since }, { "id": 2, "at": since }]);
    let web = Web::start(move |asked| Reply::json(&window(asked.param("since").unwrap())));
    for (limit, mark, requests) in
        [(1, Value::Null, 1), (2, json!("2026-11-06"), 1), (3, json!("2026-11-06"), 2)]
    {
        let before = web.asked().len();
        let options = stream(&json!({ "params": { "since": "{start}" }, "window_days": 5,
            "time_format": "date", "pagination_results_limit": limit }));
        let settings = json!({ "start_date": "2026-11-01" });
        let outcome = tap_api(&web.url, &options, &settings).go().success();
        assert_eq!(bookmark(&outcome), mark, "{limit}");
        assert_eq!(web.asked().len() - before, requests, "{limit}");
    }
}

#[test]
fn a_day_has_no_rows_of_which_nobody_knows_the_day() {
    let read = |keys: &[Value], more: Value| {
        let page: Vec<Value> =
            keys.iter().enumerate().map(|(id, at)| json!({ "id": id, "at": at })).collect();
        let web = Web::replies(vec![Reply::json(&page.into())]);
        tap_api(&web.url, &stream(&more), &json!({ "datestamp": "2024-01-01" })).go()
    };
    let ids = |keys: &[Value], more: Value| -> Vec<u64> {
        let outcome = read(keys, more).success();
        outcome.records("t").iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    let seconds = [json!(1_704_067_200), json!(1), json!(1_999_999_999), json!("2024-01-01")];
    for key in [&seconds[0], &json!("Tue, 05 Mar 2019 10:00:00 GMT"), &json!("01/02/2020")] {
        let complaint = read(&[json!("2024-01-01"), key.clone()], json!({})).exits(65).stderr;
        for word in ["set `time_format`", "replication_key: at", "stream: t", "line: 1"] {
            assert!(complaint.contains(word), "no {word} in {complaint}");
        }
    }
    assert_eq!(ids(&seconds, json!({ "time_format": "epoch" })), [0, 3]);
    let patterns = [json!("1/1/2024 00:30 +0100"), json!("31/12/2023 23:30 -0100")];
    assert_eq!(ids(&patterns, json!({ "time_format": "%d/%m/%Y %H:%M %z" })), [1]);
    let none = [json!("2024-01-01"), Value::Null, json!("2024-01-02"), json!("")];
    assert_eq!(ids(&none, json!({})), [0, 1, 3]);
    let inputs = json!({ "inputs": [{ "n": 1 }, { "n": 2 }], "concurrency": 2 });
    let said = read(&none, inputs).success().stderr;
    assert!(said.contains("4 records without `at` are part of every day"), "{said}");
}

#[test]
fn a_refusal_behind_full_pages_is_not_the_end() {
    let read = |sizes: &'static [u64], status: u16, more: Value| {
        let refusal = "{\"message\":\"Only the first results are available\"}";
        let web = Web::start(move |asked| {
            let page: usize = asked.param("page").unwrap().parse().unwrap();
            let row = |id: u64| json!({ "id": page as u64 * 100 + id });
            match sizes.get(page - 1) {
                Some(size) => Reply::json(&(0..*size).map(row).collect()),
                None => Reply::text(status, "application/json", refusal),
            }
        });
        let mut options = json!({ "path": "x", "pagination_request_style": "page_number" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let outcome = tap_api(&web.url, &options, &json!({})).go();
        assert_eq!(web.asked().len(), sizes.len() + 1);
        outcome
    };
    for status in [400, 422] {
        for more in
            [json!({}), json!({ "pagination_page_size": 5 }), json!({ "primary_keys": ["id"] })]
        {
            let outcome = read(&[3, 3], status, more.clone()).exits(69);
            for word in ["Only the first", "pages before it: 2", "`window_days`"] {
                assert!(outcome.stderr.contains(word), "{status} {more}: {}", outcome.stderr);
            }
            assert!(!outcome.text().contains("\"currently_syncing\":null"));
        }
        // A page as full as was asked for is behind none that is longer.
        read(&[3], status, json!({ "pagination_page_size": 3 })).exits(69);
    }
    for (sizes, status) in [
        (&[3, 2][..], 400),
        (&[3, 2][..], 422),
        (&[3][..], 422),
        (&[3, 3][..], 404),
        (&[3, 3][..], 416),
    ] {
        let outcome = read(sizes, status, json!({})).success();
        assert_eq!(outcome.records("t").len() as u64, sizes.iter().sum::<u64>());
        let said = format!(
            "refused a page with status {status}, and the tap treats this as the end: {{\"message"
        );
        assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
    }
    let elsewhere = read(&[], 422, json!({})).exits(69);
    assert!(!elsewhere.stderr.contains("window_days"), "{}", elsewhere.stderr);
}

#[test]
fn a_property_that_was_not_inferred_is_not_lost() {
    let time = |second: u64| format!("2026-11-20T{:02}:{:02}:00Z", second / 60, second % 60);
    let web = |late: Value| {
        Web::start(move |asked| {
            let rows = |from: u64, to: u64| -> Vec<Value> {
                (from..to).map(|id| json!({ "id": id, "at": time(id) })).collect()
            };
            let last = || {
                let mut row = json!({ "id": 1000, "at": time(1000) });
                row.as_object_mut().unwrap().extend(late.as_object().unwrap().clone());
                vec![row]
            };
            Reply::json(&match (asked.param("since"), asked.param("page")) {
                (None, None) => json!({ "data": rows(0, 1000), "next_page": 2 }),
                _ => json!({ "data": last() }),
            })
        })
    };
    let options = |more: Value| {
        let mut options =
            stream(&json!({ "records_path": "$.data[*]", "params": { "since": "{start}" } }));
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let (plain, none) = (options(json!({})), json!({}));
    let late = web(json!({ "discount": 1.5, "more": { "x": 1 } }));
    let tap = |more: Value| tap_api(&late.url, &options(more), &none);
    let refused = tap(json!({})).go().exits(65);
    for word in ["property: discount", "`num_inference_records`", "stream: t"] {
        assert!(refused.stderr.contains(word), "no {word} in {}", refused.stderr);
    }
    assert_eq!((refused.records("t").len(), bookmark(&refused)), (1000, Value::Null));
    let state = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": time(999) } } });
    let resumed = tap(json!({})).json("--state", &state).go().exits(65);
    assert!(resumed.stderr.contains("property: discount"), "{}", resumed.stderr);
    assert_eq!(bookmark(&resumed), time(999));
    // From more records, or from a whole day, all columns are known.
    let more = tap(json!({ "num_inference_records": 1001 })).go().success();
    let day = json!({ "datestamp": "2026-11-20" });
    let day = tap_api(&late.url, &stream(&json!({ "records_path": "$.data[*]" })), &day);
    for outcome in [more, day.go().success()] {
        assert_eq!(outcome.records("t").len(), 1001);
        assert_eq!(outcome.records("t")[1000]["discount"], 1.5);
    }
    // A catalog says what is wanted.
    let catalog = tap(json!({})).args(["--discover"]).go().success().stdout;
    let catalog: Value = serde_json::from_slice(&catalog).unwrap();
    let chosen = tap(json!({})).json("--catalog", &catalog).go().success();
    assert!(chosen.stderr.contains("left out: discount, more"), "{}", chosen.stderr);
    assert_eq!(bookmark(&chosen), time(1000));
    let null = web(json!({ "discount": null }));
    let outcome = tap_api(&null.url, &plain, &none).go().success();
    assert_eq!(outcome.records("t").len(), 1001);
    // A window without rows is not what columns are inferred from.
    let web = Web::start(|asked| match asked.param("since") {
        Some("2026-11-01" | "2026-11-06") => Reply::json(&json!([])),
        Some(since) => Reply::json(&json!([{ "id": 1, "at": since, "price": 1 }])),
        None => Reply::status(500),
    });
    let options = stream(&json!({ "params": { "since": "{start}" }, "window_days": 5,
        "time_format": "date" }));
    let settings = json!({ "start_date": "2026-11-01" });
    let outcome = tap_api(&web.url, &options, &settings).go().success();
    assert_eq!(outcome.records("t")[0]["price"], 1);
}

#[test]
fn columns_of_later_windows_and_of_a_whole_day_are_not_lost() {
    let web = Web::start(|asked| {
        let since = asked.param("since").unwrap();
        let late = json!([{ "id": 2, "at": since, "late": "x" }]);
        Reply::json(&if since == "2026-11-01" { json!([{ "id": 1, "at": since }]) } else { late })
    });
    let mut options = stream(&json!({ "params": { "since": "{start}" }, "window_days": 5,
        "time_format": "date" }));
    let settings = json!({ "start_date": "2026-11-01" });
    let refused = tap_api(&web.url, &options, &settings).go().exits(65);
    assert!(refused.stderr.contains("`num_inference_records`"), "{}", refused.stderr);
    options["num_inference_records"] = 2.into();
    let outcome = tap_api(&web.url, &options, &settings).go().success();
    assert_eq!(outcome.records("t")[1]["late"], "x");

    let web = Web::start(|asked| {
        Reply::json(&match asked.param("page") {
            None => json!({ "data": [{ "id": 1 }], "next_page": 2 }),
            _ => json!({ "data": [{ "id": 2, "late": "x" }] }),
        })
    });
    let options = json!({ "path": "x", "records_path": "$.data[*]", "num_inference_records": 1 });
    let day = |more: &Value| tap_api(&web.url, &options, more).go();
    let refused = day(&json!({ "datestamp": "2026-11-20" })).exits(65);
    assert!(refused.stderr.contains("property: late"), "{}", refused.stderr);
    day(&json!({})).success();
}

#[test]
fn records_whose_types_no_record_told_are_not_set_aside() {
    let web = Web::start(|asked| {
        let is_new = asked.param("since").is_some_and(|since| since > "2024-02");
        let row = json!({ "id": 1, "at": "2024-01-02" });
        Reply::json(&if is_new { json!([]) } else { json!([row]) })
    });
    let state = json!({ "bookmarks": { "t": { "replication_key": "at",
        "replication_key_value": "2024-01-01" } } });
    let options = stream(&json!({ "params": { "since": "{start}" }, "primary_keys": ["id"] }));
    let read = |start: &str| {
        let settings = json!({ "start_date": start, "max_rejects": 5 });
        tap_api(&web.url, &options, &settings).json("--state", &state).go()
    };
    let refused = read("2024-06-01").exits(65);
    assert!(refused.stderr.contains("set an earlier `start_date`"), "{}", refused.stderr);
    assert_eq!(read("2023-06-01").success().records("t").len(), 1);
}
