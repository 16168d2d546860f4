//! Bookmarks and days of APIs lose nothing: limits, keys, pages and columns that are not all.

use serde_json::{Value, json};

use crate::api_streams::{bookmark, incremental};
use crate::support::apis::tap_api;
use crate::support::web::{Reply, Web};

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
