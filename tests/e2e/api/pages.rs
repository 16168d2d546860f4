//! Pages in all their forms, and those that go round in circles (A07, A08, A09, A19).

use serde_json::{Value, json};

use support::apis::tap_api;
use support::invariants;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

/// Rows `from..to`, as JSON.
fn rows(from: u64, to: u64) -> Value {
    (from..to).map(|id| json!({ "id": id })).collect()
}

fn read(web: &Web, options: &Value) -> Outcome {
    tap_api(&format!("{}/v1", web.url), options, &json!({})).go()
}

/// Asserts that all rows `0..count` come, in order.
#[track_caller]
fn gives(web: &Web, options: &Value, count: u64) {
    let outcome = read(web, options);
    assert_eq!(outcome.code, 0, "{options}: {}", outcome.stderr);
    assert_eq!(Value::from(outcome.records("t")), rows(0, count), "{options}");
}

fn number(asked: &Asked, name: &str) -> u64 {
    asked.param(name).map_or(0, |text| text.parse().unwrap())
}

#[test]
fn tokens_and_addresses_in_answers() {
    let page = |asked: &Asked, next: &dyn Fn(u64) -> Value| {
        let from = number(asked, "after");
        let next = if from + 2 < 5 { next(from + 2) } else { Value::Null };
        json!({ "data": rows(from, 5.min(from + 2)), "meta": { "next": next } })
    };
    let token = Web::start(move |asked| Reply::json(&page(asked, &|at| json!(at.to_string()))));
    let options = |style: &str| {
        json!({ "path": "items", "records_path": "$.data[*]", "params": { "q": "a b&ü" },
            "pagination_request_style": style, "pagination_next_page_param": "after",
            "next_page_token_path": "$.meta.next" })
    };
    gives(&token, &options("token"), 5);
    assert_eq!(token.targets()[2], "/v1/items?q=a%20b%26%C3%BC&after=4");
    let forms: [fn(u64) -> String; 4] = [
        |at| format!("?after={at}&x=größe [1]"),
        |at| format!("/v1/items?after={at}"),
        |at| format!("items?after={at}#part"),
        |at| format!("../v1/./items?after={at}"),
    ];
    for form in forms {
        let web = Web::start(move |asked| Reply::json(&page(asked, &|at| json!(form(at)))));
        gives(&web, &options("next_url"), 5);
        assert!(web.targets()[1].starts_with("/v1/items?after=2"), "{:?}", web.targets());
    }
    // A token that is an address is followed as one.
    let web = Web::start(move |asked| {
        let host = asked.header("host").unwrap().to_owned();
        Reply::json(&page(asked, &|at| json!(format!("http://{host}/v1/items?after={at}"))))
    });
    gives(&web, &options("jsonpath_paginator"), 5);
}

#[test]
fn links_and_tokens_in_headers() {
    let forms: [fn(u64) -> String; 8] = [
        |at| format!("</v1/items?after={at}>; rel=\"next\""),
        |at| format!("<?after=9>; title='a, b; c'; rel='prev', <?after={at}>; rel='next last'"),
        |at| format!("<?after={at}>; Rel = 'NEXT'"),
        |at| format!("?after={at}; rel=next"),
        |at| format!("<?after=0>; rel=first, <?after={at}>;rel=next;title=\"a, b; c\""),
        |at| format!("<items?after={at}>; REL=\"prev next\""),
        |at| format!("<?after={at}&q=ü x>; rel=next"),
        |at| {
            format!(
                "<?after=9>; title=\"<x>; rel=next\"; rel=last, <?after={at}>; rel='n'; x, \
                      <?after={at}> ; rel=\"next\""
            )
        },
    ];
    for form in forms {
        let web = Web::start(move |asked| {
            let from = number(asked, "after");
            let reply = Reply::json(&rows(from, from + 2));
            if from < 4 { reply.header("lInK", &form(from + 2)) } else { reply }
        });
        let options = json!({ "path": "items", "pagination_request_style": "link_header" });
        gives(&web, &options, 6);
    }
    let web = Web::start(|asked| {
        let from = number(asked, "page");
        let reply = Reply::json(&rows(from, from + 2));
        if from < 4 { reply.header("X-Next", &(from + 2).to_string()) } else { reply }
    });
    let options = json!({ "path": "items", "pagination_request_style": "header_token",
        "next_page_token_path": "x-NEXT" });
    gives(&web, &options, 6);
    let plain = json!({ "path": "items" });
    for link in ["<?page=2>; rel=next", "<?page=2>; rel='last next'"] {
        let web = Web::replies(vec![Reply::json(&rows(0, 2)).header("Link", link)]);
        let outcome = read(&web, &plain).success();
        assert!(outcome.stderr.contains("link_header` follows it"), "{}", outcome.stderr);
    }
}

#[test]
fn numbers_and_offsets() {
    // A server that never gives more than three at once, whatever is asked for.
    let web = Web::start(|asked| {
        let from = number(asked, "offset").max(number(asked, "page").saturating_sub(1) * 3);
        let size = number(asked, "limit").clamp(1, 3);
        let all = 8;
        let page = rows(from.min(all), all.min(from + size));
        Reply::json(&json!({ "data": page, "total": all, "more": from + size < all }))
    });
    let check = |more: Value, requests: usize| {
        let before = web.asked().len();
        let mut options = json!({ "path": "x", "records_path": "$.data[*]" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gives(&web, &options, 8);
        assert_eq!(web.asked().len() - before, requests, "{more}");
    };
    for style in ["page_number", "offset"] {
        let with = |more: Value| {
            let mut options =
                json!({ "pagination_request_style": style, "pagination_page_size": 100 });
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            options
        };
        // Only an empty page tells that a short one was the last.
        check(with(json!({})), 4);
        check(with(json!({ "pagination_total_limit_param": "total" })), 3);
        check(with(json!({ "next_page_token_path": "$.more" })), 3);
    }
    // A last page as full as the others needs one more to know, which may be refused.
    let web = Web::start(|asked| match number(asked, "page") {
        page @ 1..=2 => Reply::json(&rows(page * 3 - 3, page * 3)),
        _ => Reply::status(404),
    });
    let options = json!({ "path": "x", "pagination_request_style": "page_number" });
    gives(&web, &options, 6);
    assert_eq!(web.asked().len(), 3);
}

#[test]
fn a_short_page_need_not_be_the_last() {
    // A filter behind the pages leaves 3, 2, 3 and 1 rows of them, or fewest of the first.
    for starts in [[0, 3, 5, 8, 9], [0, 1, 4, 7, 9], [0, 2, 5, 8, 9]] {
        short_pages_are_read(starts);
    }
    // A page that comes again where all were as long as another is none.
    let web = Web::start(|asked| Reply::json(&rows(0, 3.min(number(asked, "page") * 3))));
    let options = json!({ "path": "x", "pagination_request_style": "page_number" });
    assert!(read(&web, &options).exits(65).stderr.contains("gives a page again"));
}

fn short_pages_are_read(starts: [u64; 5]) {
    let page = move |number: u64| {
        let at = usize::try_from(number - 1).unwrap();
        starts.get(at + 1).map(|end| rows(starts[at], *end))
    };
    let ends: [fn([u64; 5]) -> Reply; 3] = [
        |_| Reply::json(&json!([])),
        |_| Reply::status(404),
        // The last page for ever.
        |starts| Reply::json(&rows(starts[3], starts[4])),
    ];
    for end in ends {
        for more in [
            json!({}),
            json!({ "pagination_page_size": 3 }),
            json!({ "pagination_page_size": 3, "primary_keys": ["id"] }),
        ] {
            let web = Web::start(move |asked| {
                let number = number(asked, "page");
                page(number).map_or_else(|| end(starts), |rows| Reply::json(&rows))
            });
            let mut options = json!({ "path": "x", "pagination_request_style": "page_number" });
            options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            gives(&web, &options, 9);
            assert_eq!(web.asked().len(), 5, "{more}");
        }
    }
}

#[test]
fn a_page_without_records_that_says_that_there_is_more_is_not_the_last() {
    // A filter behind the pages leaves 2, 0, 0 and 1 rows of them.
    let starts = [0, 2, 2, 2, 3];
    let web = Web::start(move |asked| {
        let page = number(asked, "page");
        let at = usize::try_from(page).unwrap();
        let data = starts.get(at).map_or(rows(0, 0), |end| rows(starts[at - 1], *end));
        Reply::json(&json!({ "data": data, "has_more": page < 4 }))
    });
    let options = json!({ "path": "x", "records_path": "$.data[*]",
        "pagination_request_style": "page_number" });
    let mut told = options.clone();
    told["next_page_token_path"] = "$.has_more".into();
    gives(&web, &told, 3);
    assert_eq!(web.asked().len(), 4);
    // Without the path it ends there, aloud, as a chosen token that is none does.
    let outcome = read(&web, &options).success();
    assert_eq!(outcome.records("t").len(), 2);
    assert!(outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
    let empty = Web::replies(vec![Reply::json(&json!({ "data": [], "truncated": true }))]);
    for options in [json!({}), json!({ "next_page_token_path": "$.next" })] {
        let mut stream = json!({ "path": "x", "records_path": "$.data[*]" });
        stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let outcome = read(&empty, &stream).success();
        assert!(outcome.stderr.contains("$.truncated"), "{options}: {}", outcome.stderr);
    }
    let endless = Web::replies(vec![Reply::json(&json!({ "data": [], "has_more": true }))]);
    let outcome = read(&endless, &told).exits(65);
    assert!(outcome.stderr.contains("says that there are more records"), "{}", outcome.stderr);
}

#[test]
fn a_page_that_the_api_has_named_is_there() {
    let web = Web::start(|asked| match number(asked, "page") {
        0 => Reply::json(&json!({ "data": rows(0, 2), "next_page": 2 })),
        _ => Reply::status(404),
    });
    for not_found in ["fail", "empty"] {
        let options = json!({ "path": "x", "records_path": "$.data[*]", "not_found": not_found });
        let outcome = read(&web, &options).exits(69);
        assert!(outcome.stderr.contains("itself has named this page"), "{}", outcome.stderr);
    }
}

#[test]
fn totals_in_headers_are_told() {
    for (name, value) in [("X-Total-Count", "7"), ("Content-Range", "items 0-1/7")] {
        let web = Web::replies(vec![Reply::json(&rows(0, 2)).header(name, value)]);
        let outcome = read(&web, &json!({ "path": "x" })).success();
        assert!(outcome.stderr.contains("W-MORE-PAGES"), "{name}: {}", outcome.stderr);
    }
    for (name, value) in [("X-Total-Count", "2"), ("Content-Range", "items 0-1/*")] {
        let web = Web::replies(vec![Reply::json(&rows(0, 2)).header(name, value)]);
        let outcome = read(&web, &json!({ "path": "x" })).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{name}: {}", outcome.stderr);
    }
}

#[test]
fn rows_that_move_while_pages_are_read() {
    // After the first page a row is put in front: its last row is the first of the next page.
    let web = Web::start(|asked| {
        let from = number(asked, "offset");
        let from = if asked.before > 0 { from - 1 } else { from };
        Reply::json(&rows(from.min(7), 7.min(from + 3)))
    });
    let options = json!({ "path": "x", "primary_keys": ["id"], "pagination_page_size": 3,
        "pagination_request_style": "offset" });
    let outcome = read(&web, &options).success();
    assert_eq!(Value::from(outcome.records("t")), rows(0, 7));
    assert!(outcome.stderr.contains("1 records came again"), "{}", outcome.stderr);
    let web = Web::start(|asked| {
        let from = number(asked, "offset");
        let page = rows(from.min(9), 9.min(from + 3));
        Reply::json(&json!({ "data": page, "total": 9 - asked.before }))
    });
    let options = json!({ "path": "x", "records_path": "$.data[*]", "primary_keys": ["id"],
        "pagination_request_style": "offset", "pagination_total_limit_param": "total" });
    let outcome = read(&web, &options).success();
    assert!(outcome.stderr.contains("records may be missing"), "{}", outcome.stderr);
}

#[test]
fn bodies_ask_for_pages() {
    let web = Web::start(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(body["query"], "query{users{id}}");
        assert_eq!(body["variables"]["first"], 2);
        let from = body["variables"]["after"].as_u64().unwrap_or(0);
        let next = if from < 4 { json!(from + 2) } else { Value::Null };
        Reply::json(&json!({ "data": { "users": rows(from, from + 2), "end": next } }))
    });
    let options = json!({
        "path": "graphql",
        "body": { "query": "query{users{id}}", "variables": { "first": 2 } },
        "use_request_body_not_params": true,
        "records_path": "$.data.users[*]",
        "pagination_request_style": "token",
        "next_page_token_path": "$.data.end",
        "pagination_next_page_param": "variables.after",
    });
    gives(&web, &options, 6);
    assert!(web.asked().iter().all(|asked| asked.method == "POST"));
}

#[test]
fn pages_that_go_round_in_circles_end() {
    let fails = |web: &Web, options: Value, text: &str| {
        let outcome = read(web, &options);
        invariants::fails(&outcome, &[65]);
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
        assert!(web.asked().len() < 20);
    };
    let token = json!({ "path": "x", "records_path": "$.data[*]" });
    // The same token forever, and A, B, A.
    let web = Web::start(|asked| {
        let from = asked.before as u64;
        Reply::json(&json!({ "data": rows(from, from + 1), "next_page": "a" }))
    });
    fails(&web, token.clone(), "names a page again");
    let web = Web::start(|asked| {
        let next = if asked.param("page") == Some("a") { "b" } else { "a" };
        let from = asked.before as u64;
        Reply::json(&json!({ "data": rows(from, from + 1), "next_page": next }))
    });
    fails(&web, token.clone(), "names a page again");
    // Always the same page, whatever is asked for.
    let web = Web::replies(vec![Reply::json(&rows(0, 3))]);
    let numbered = json!({ "path": "x", "pagination_request_style": "page_number" });
    fails(&web, numbered.clone(), "gives a page again");
    // One row without keys that is the same for ever, by number and by token.
    let web = Web::replies(vec![Reply::json(&json!([{ "up": true }]))]);
    let outcome = read(&web, &numbered);
    invariants::fails(&outcome, &[65]);
    assert!(outcome.stderr.contains("gives a page again"), "{}", outcome.stderr);
    assert_eq!(web.asked().len(), 102);
    let web = Web::start(|asked| {
        let row = json!({ "up": asked.before % 2 });
        Reply::json(&json!({ "data": [row], "next_page": asked.before + 1 }))
    });
    let outcome = read(&web, &token);
    assert!(outcome.stderr.contains("gives a page again"), "{}", outcome.stderr);
    // Some that are equal are rows.
    let web = Web::start(|asked| {
        let rows = if asked.before < 90 { json!([{ "up": asked.before > 80 }]) } else { json!([]) };
        Reply::json(&rows)
    });
    assert_eq!(read(&web, &numbered).success().records("t").len(), 90);
    // New pages without end.
    let web = Web::start(|asked| {
        let from = asked.before as u64;
        Reply::json(&json!({ "data": rows(from, from + 1), "next_page": from + 1 }))
    });
    let mut bounded = token;
    bounded["max_pages"] = 5.into();
    fails(&web, bounded, "max_pages: 5");
    assert_eq!(web.asked().len(), 5);
}

#[test]
fn next_addresses_stay_at_their_origin() {
    let other = Web::replies(vec![Reply::json(&json!({ "data": rows(2, 4) }))]);
    let options = json!({ "path": "x", "records_path": "$.data[*]",
        "pagination_request_style": "next_url" });
    let auth = json!({ "auth_method": "bearer_token", "bearer_token": "CANARY-5f3a" });
    let elsewhere = format!("{}/x?page=2", other.url);
    for next in [
        elsewhere.as_str(),
        "https://127.0.0.1/x",
        "file:///etc/passwd",
        "//169.254.169.254/latest",
        "http://user:pass@127.0.0.1/x",
    ] {
        let page = json!({ "data": rows(0, 2), "next": next });
        let web = Web::replies(vec![Reply::json(&page)]);
        tap_api(&web.url, &options, &auth).go().exits(65);
    }
    assert!(other.asked().is_empty());
    let page = json!({ "data": rows(0, 2), "next": elsewhere });
    let web = Web::replies(vec![Reply::json(&page)]);
    let mut settings = auth.clone();
    settings["allowed_origins"] = json!([other.url]);
    let outcome = tap_api(&web.url, &options, &settings).go().success();
    assert_eq!(Value::from(outcome.records("t")), rows(0, 4));
    assert_eq!(other.asked()[0].header("authorization"), Some("Bearer CANARY-5f3a"));
}

#[test]
fn a_row_that_changes_and_comes_again_behind_others_is_told() {
    let read = |keys: &Value, style: &str, moved: Option<Value>| {
        let rows = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1)];
        let rows = rows.map(|(a, b)| json!({ "a": a, "b": b, "c": "once" }));
        let web = Web::start(move |asked| {
            let mut rows = rows.to_vec();
            if let Some(moved) = moved.clone().filter(|_| asked.before > 0) {
                rows.remove(1);
                rows.push(moved);
            }
            let at = |name| asked.param(name).map(|text| text.parse::<usize>().unwrap());
            let from = at("offset").unwrap_or_else(|| (at("page").unwrap() - 1) * 2);
            let page: Vec<Value> = rows.into_iter().skip(from).take(2).collect();
            Reply::json(&page.into())
        });
        let options = json!({ "path": "x", "primary_keys": keys, "pagination_request_style": style,
            "pagination_page_size": 2 });
        let outcome = tap_api(&web.url, &options, &json!({})).go().success();
        (outcome.records("t").len(), outcome.stderr.contains("W-DATA-MOVED"))
    };
    let moved = || Some(json!({ "b": 2, "a": 1, "c": "again" }));
    for style in ["offset", "page_number"] {
        assert_eq!(read(&json!(["a", "b"]), style, None), (7, false), "{style}");
        assert_eq!(read(&json!(["a", "b"]), style, moved()), (7, true), "{style}");
        // It is a row of its own: one went, another came.
        let other = Some(json!({ "a": 9, "b": 9, "c": "new" }));
        assert_eq!(read(&json!(["a", "b"]), style, other), (7, false), "{style}");
        // Keys that a page has twice tell no row.
        assert_eq!(read(&json!(["a"]), style, moved()), (7, false), "{style}");
        assert_eq!(read(&json!([]), style, moved()), (7, false), "{style}");
    }
}
