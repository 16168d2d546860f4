//! Where a read of pages ends, how it ends, and what it requests on the way.

use serde_json::{Value, json};

use support::apis::tap_api;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

fn read(web: &Web, options: &Value) -> Outcome {
    let mut stream = json!({ "path": "items", "records_path": "$.data[*]" });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&web.url, &stream, &json!({})).go()
}

fn number(asked: &Asked, name: &str, missing: u64) -> u64 {
    asked.param(name).map_or(missing, |text| text.parse().unwrap())
}

/// Rows `from..to` and what stands beside them.
fn page(from: u64, to: u64, beside: &Value) -> Reply {
    let rows: Vec<Value> = (from..to).map(|id| json!({ "id": id })).collect();
    let mut answer = json!({ "data": rows });
    answer.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    Reply::json(&answer)
}

#[test]
fn every_end_of_the_records_path_has_a_record() {
    let web = Web::start(|asked| {
        let from = number(asked, "after", 0);
        let to = 7.min(from + 3);
        let edges: Vec<Value> = (from..to).map(|id| json!({ "node": { "id": id } })).collect();
        let next = (to < 7).then_some(to);
        Reply::json(&json!({ "u": { "edges": edges, "info": { "end": next } } }))
    });
    let options = json!({ "records_path": "$.u.edges[*].node",
        "next_page_token_path": "$.u.info.end", "pagination_next_page_param": "after" });
    assert_eq!(read(&web, &options).success().records("t").len(), 7);
    let web = Web::start(|_| Reply::json(&json!({ "u": { "edges": [] } })));
    let options = json!({ "records_path": "$.u.edges[*].node" });
    assert!(read(&web, &options).success().records("t").is_empty());
}

#[test]
fn a_page_that_we_counted_to_need_not_be_there() {
    let numbered = json!({ "pagination_request_style": "page_number", "pagination_page_size": 4 });
    let web = |rows: u64, size: u64, beside: Value| {
        Web::start(move |asked| {
            let from = (number(asked, "page", 1) - 1) * size;
            if from < rows {
                page(from, rows.min(from + size), &beside)
            } else {
                Reply::status(404)
            }
        })
    };
    let check = |rows: u64, size: u64, beside: Value, is_told: bool| {
        let outcome = read(&web(rows, size, beside.clone()), &numbered).success();
        assert_eq!(outcome.records("t").len() as u64, rows, "{beside}");
        let told = outcome.stderr.contains("W-END-BY-REFUSAL");
        assert_eq!(told, is_told, "{beside}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("W-COUNT-DIFFERS"), "{beside}: {}", outcome.stderr);
    };
    for beside in [
        json!({ "count": 8, "next": "/items?page=2", "previous": null }),
        json!({ "meta": { "total": "8" } }),
        json!({ "page": { "totalElements": 8 } }),
    ] {
        check(8, 4, beside, false);
    }
    check(3, 3, json!({ "total": 3 }), false);
    check(8, 4, json!({ "has_more": false }), false);
    // Nothing proves that it is the end.
    check(8, 4, json!({}), true);
    check(8, 4, json!({ "total": 4 }), true);
    // A page behind others as full may be refused for a limit of the API.
    let refusing = Web::start(|asked| match number(asked, "page", 1) {
        at @ (1 | 2) => page(at * 4, at * 4 + 4, &json!({})),
        _ => Reply::status(400),
    });
    read(&refusing, &numbered).exits(69);
}

#[test]
fn an_answer_that_says_that_it_is_the_last_is() {
    let by_token = json!({ "pagination_request_style": "token", "next_page_token_path": "$.cursor",
        "pagination_next_page_param": "c" });
    for last in [
        json!({ "has_more": false }),
        json!({ "meta": { "hasNextPage": "false" } }),
        json!({ "isLast": true }),
        json!({ "moreResult": false }),
    ] {
        let beside = last.clone();
        let web = Web::start(move |asked| {
            if asked.param("c").is_none() {
                return page(0, 2, &json!({ "cursor": "k", "has_more": true }));
            }
            let mut beside = beside.clone();
            beside["cursor"] = "k".into();
            page(2, 3, &beside)
        });
        let outcome = read(&web, &by_token).success();
        assert_eq!(outcome.records("t").len(), 3, "{last}");
        assert_eq!(web.asked().len(), 2, "{last}");
        // Nor is it told as more where no style is set.
        let mut one = last.clone();
        one["cursor"] = "k".into();
        let web = Web::start(move |_| page(0, 2, &one));
        let outcome = read(&web, &json!({})).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{last}: {}", outcome.stderr);
    }
    // One that says both goes on.
    let web = Web::start(|asked| match asked.param("c") {
        None => page(0, 2, &json!({ "cursor": "k", "more": false, "has_more": true })),
        Some(_) => page(2, 3, &json!({})),
    });
    assert_eq!(read(&web, &by_token).success().records("t").len(), 3);
    for beside in [
        json!({ "title": "Ulysses", "pages": 730 }),
        json!({ "next": "2027-02-03" }),
        json!({ "next": "2027-02-03T04:05:06+01:00" }),
        json!({ "current_page": 9, "total_pages": 9 }),
    ] {
        let web = Web::start({
            let beside = beside.clone();
            move |_| page(0, 2, &beside)
        });
        let outcome = read(&web, &json!({})).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{beside}: {}", outcome.stderr);
    }
}

#[test]
fn fewer_records_than_the_answers_announce_are_told() {
    let numbered = json!({ "pagination_request_style": "page_number" });
    let check = |options: &Value, beside: Value, is_told: bool| {
        let web = Web::start({
            let beside = beside.clone();
            move |asked| {
                let from = (number(asked, "page", 1) - 1) * 5;
                page(from.min(8), 8.min(from + 5), &beside)
            }
        });
        let outcome = read(&web, options).success();
        assert_eq!(outcome.records("t").len(), 8.min(5 * web.asked().len()), "{beside}");
        let told = outcome.stderr.contains("W-COUNT-DIFFERS");
        assert_eq!(told, is_told, "{beside}: {}", outcome.stderr);
    };
    for beside in [
        json!({ "total": 11 }),
        json!({ "count": "11" }),
        json!({ "totalElements": 11 }),
        json!({ "pagination": { "total_count": 11 } }),
    ] {
        check(&numbered, beside, true);
    }
    for beside in [json!({ "total": 8 }), json!({ "count": 5 }), json!({ "total": 5 }), json!({})] {
        check(&numbered, beside, false);
    }
    let by_url = json!({ "pagination_request_style": "next_url" });
    check(&by_url, json!({ "count": 11, "next": null, "previous": null }), true);
    // That is the size of a page.
    check(&by_url, json!({ "count": 100, "next": null }), false);
    check(&json!({ "pagination_request_style": "none" }), json!({ "total": 11 }), false);
}

#[test]
fn a_token_at_another_place_than_that_of_the_settings_is_told() {
    let check = |path: &str, beside: Value, is_told: bool| {
        let options = json!({ "pagination_request_style": "token", "next_page_token_path": path });
        let web = Web::start({
            let beside = beside.clone();
            move |_| page(0, 2, &beside)
        });
        let outcome = read(&web, &options).success();
        let told = outcome.stderr.contains("W-MORE-PAGES");
        assert_eq!(told, is_told, "{path} {beside}: {}", outcome.stderr);
    };
    check("$.meta.cursor", json!({ "meta": { "next_cursor": "abc" } }), true);
    check("$.nextToken", json!({ "paging": { "nextPageToken": 7 } }), true);
    check("$.meta.cursor", json!({ "meta": { "cursor": null, "next_cursor": "abc" } }), false);
    check("$.next", json!({ "cursor": "abc" }), false);
}

#[test]
fn a_full_page_where_no_answer_says_what_comes_next_is_told() {
    let told = |style: &Value, answer: &Value| {
        let mut options = json!({ "records_path": "$.data[*]" });
        options.as_object_mut().unwrap().extend(style.as_object().unwrap().clone());
        let outcome = read(&Web::replies(vec![Reply::json(answer)]), &options).success();
        let mut lines = outcome.stderr.lines().filter(|line| line.contains("W-"));
        let line = lines.find(|line| line.contains("W-MORE-PAGES:"));
        line.unwrap_or_default().to_owned()
    };
    let answer = |records: u64, beside: Value| {
        let mut answer = beside;
        answer["data"] = (0..records).map(|id| json!({ "id": id })).collect();
        answer
    };
    let by_token = json!({ "next_page_token_path": "$.after" });
    let sized = |name: &str, value: u64| {
        json!({ "pagination_request_style": "next_url",
        "params": { name: value } })
    };
    for (style, answer, words) in [
        (by_token.clone(), answer(300, json!({})), "`$.after`"),
        (by_token.clone(), answer(7, json!({ "meta": { "page_size": 7 } })), "`$.after`"),
        (by_token.clone(), answer(100, json!({ "cursor": "k" })), "$.cursor"),
        (sized("per_page", 7), answer(7, json!({})), "`$.next`"),
        (sized("$top", 7), answer(7, json!({})), "`$.next`"),
        (
            json!({ "pagination_request_style": "header_token", "pagination_page_size": 7,
                "next_page_token_path": "X-After" }),
            answer(7, json!({})),
            "the header x-after",
        ),
        (
            json!({ "pagination_request_style": "link_header", "params": { "limit": "7" } }),
            answer(7, json!({})),
            "the header Link",
        ),
    ] {
        let line = told(&style, &answer);
        assert!(line.contains(words), "{style}: {line}");
    }
    for (style, answer) in [
        (by_token.clone(), answer(249, json!({}))),
        (by_token.clone(), answer(300, json!({ "after": null }))),
        (by_token.clone(), answer(300, json!({ "total": 300 }))),
        (by_token.clone(), answer(300, json!({ "has_more": false }))),
        (by_token.clone(), answer(7, json!({ "cursor": "k" }))),
        (sized("per_page", 8), answer(7, json!({}))),
        (sized("days", 7), answer(7, json!({}))),
        (sized("limit", 1), answer(1, json!({}))),
    ] {
        assert_eq!(told(&style, &answer), "", "{style} {answer}");
    }
    // Another answer of the stream has the place.
    let web = Web::start(move |asked| {
        let next = if asked.param("n") == Some("1") { json!({ "after": "k" }) } else { json!({}) };
        Reply::json(&answer(100 - asked.param("page").map_or(0, |_| 90), next))
    });
    let mut options = by_token;
    options["params"] = json!({ "n": "{n}" });
    options["inputs"] = json!([{ "n": 0 }, { "n": 2 }]);
    assert!(read(&web, &options).success().stderr.contains("W-MORE-PAGES"));
    let web = Web::start(|asked| {
        let has = asked.param("n") == Some("1") && asked.param("page").is_none();
        let next = if has { json!({ "after": "k" }) } else { json!({}) };
        let from = if asked.param("page").is_some() { 100 } else { 0 };
        page(from, from + 100, &next)
    });
    options["inputs"] = json!([{ "n": 0 }, { "n": 1 }]);
    let outcome = read(&web, &options).success();
    assert_eq!(outcome.records("t").len(), 300);
    assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
}

#[test]
fn numbered_pages_without_the_place_that_says_whether_there_is_more_are_counted() {
    let read_all = |of: u64, end: fn() -> Reply, asked: usize| {
        for style in ["page_number", "offset"] {
            let web = Web::start(move |asked| {
                let from = match style {
                    "offset" => number(asked, "offset", 0),
                    _ => (number(asked, "page", 1) - 1) * 3,
                };
                if from < of { page(from, of.min(from + 3), &json!({})) } else { end() }
            });
            let options = json!({ "pagination_request_style": style,
                "next_page_token_path": "$.meta.more" });
            let outcome = read(&web, &options).success();
            assert_eq!(outcome.records("t").len() as u64, of, "{style}");
            assert!(!outcome.stderr.contains("| WARNING"), "{}", outcome.stderr);
            assert_eq!(web.asked().len(), asked, "{style}");
        }
    };
    read_all(7, || page(0, 0, &json!({})), 4);
    // An API that leaves the place out where one page is all.
    for end in [
        || page(0, 0, &json!({})),
        || Reply::status(404),
        || Reply::status(400),
        || page(0, 2, &json!({})),
    ] {
        read_all(2, end, 2);
    }
    // It is asked behind the first of such pages, and where one is larger.
    let web = Web::start(|asked| {
        let of = number(asked, "n", 0) / 10;
        if asked.param("page") == Some("1") { page(0, of, &json!({})) } else { Reply::status(404) }
    });
    let options = json!({ "pagination_request_style": "page_number", "params": { "n": "{n}" },
        "next_page_token_path": "$.next",
        "inputs": [{ "n": 20 }, { "n": 21 }, { "n": 10 }, { "n": 30 }, { "n": 22 }] });
    assert_eq!(read(&web, &options).success().records("t").len(), 10);
    assert_eq!(web.asked().len(), 7);
}

#[test]
fn what_is_asked_for_stays_from_page_to_page() {
    // Filters by `status`, which its links lack.
    let web = Web::start(|asked| {
        let from = number(asked, "skip", 0);
        let status = asked.param("status").unwrap_or("ALL").to_owned();
        let row = json!({ "id": from, "status": status });
        let next = (from < 2).then(|| format!("/items?skip={}", from + 1));
        let link = next.clone().map(|next| format!("<{next}>; rel=next")).unwrap_or_default();
        Reply::json(&json!({ "data": [row], "next": next })).header("Link", &link)
    });
    for style in ["next_url", "link_header", "hateoas_paginator"] {
        let options = json!({ "pagination_request_style": style, "params": { "status": "a b" } });
        let rows = read(&web, &options).success().records("t");
        let statuses: Vec<_> = rows.iter().map(|row| &row["status"]).collect();
        assert_eq!(statuses, ["a%20b"; 3], "{style}");
    }
    // A link that has them all stays as it is, and its own values count.
    let web = Web::start(|asked| match asked.param("z") {
        None => page(0, 1, &json!({ "next": "?z=1&f%5ba%5d=x+y&s=9" })),
        Some(_) => page(1, 2, &json!({})),
    });
    let options = json!({ "pagination_request_style": "next_url",
        "params": { "f[a]": "x y", "s": "1" } });
    assert_eq!(read(&web, &options).success().records("t").len(), 2);
    assert_eq!(web.targets()[1], "/items?z=1&f%5Ba%5D=x+y&s=9");
    // An API may take nothing beside its token, which knows what was asked for.
    let web = Web::start(|asked| match (asked.param("token"), asked.param("q")) {
        (None, _) => page(0, 1, &json!({ "next": "/items?token=k" })),
        (Some(_), Some(_)) => Reply::status(400),
        (Some(_), None) => page(1, 2, &json!({})),
    });
    let options = json!({ "pagination_request_style": "next_url", "params": { "q": "1" } });
    assert_eq!(read(&web, &options).success().records("t").len(), 2);
    assert_eq!(web.targets()[1..], ["/items?token=k&q=1", "/items?token=k"]);
}

#[test]
fn an_address_that_names_the_page_alone_gets_what_is_asked_for() {
    // Filters by `status`, and has the page in the path.
    let pages = |form: fn(u64) -> String| {
        Web::start(move |asked| {
            let at = asked.path().trim_end_matches(".json").rsplit(['/', '-']).next().unwrap();
            let at: u64 = at.parse().unwrap_or(0);
            let status = asked.param("status").unwrap_or("ALL").to_owned();
            let next = (at < 2).then(|| form(at + 1));
            let link = next.clone().map(|next| format!("<{next}>; rel=next")).unwrap_or_default();
            let row = json!({ "id": at, "status": status });
            Reply::json(&json!({ "data": [row], "next": next })).header("Link", &link)
        })
    };
    let forms: [fn(u64) -> String; 4] = [
        |at| format!("/items/{at}"),
        |at| format!("/items/page/{at}"),
        |at| format!("/v2/feeds/page-{at}.json"),
        |at| format!("./items/p-{at}"),
    ];
    for form in forms {
        for style in ["next_url", "link_header"] {
            let options = json!({ "pagination_request_style": style,
                "params": { "status": "open" }, "next_page_token_path": "$.next" });
            let rows = read(&pages(form), &options).success().records("t");
            let statuses: Vec<_> = rows.iter().map(|row| &row["status"]).collect();
            assert_eq!(statuses, ["open"; 3], "{} {style}", form(1));
        }
    }
    // A token knows what was asked for.
    let web = Web::start(|asked| match asked.path() {
        "/items" => page(0, 1, &json!({ "next": "/query/01gD0000002HU6KIAW-2000" })),
        _ => page(1, 2, &json!({})),
    });
    let options = json!({ "pagination_request_style": "next_url", "params": { "q": "1" } });
    assert_eq!(read(&web, &options).success().records("t").len(), 2);
    assert_eq!(web.targets()[1], "/query/01gD0000002HU6KIAW-2000");
    // A place that is the same but for what is asked for is no other page.
    let web = Web::start(|asked| page(0, 1, &json!({ "next": asked.path() })));
    assert!(read(&web, &options).exits(65).stderr.contains("names a page again"));
    // A signed address is no longer good with more parameters.
    for status in [400, 403, 404, 422] {
        let web = Web::start(move |asked| match (asked.param("signed"), asked.param("q")) {
            (None, _) => page(0, 1, &json!({ "next": "/items?signed=k" })),
            (Some(_), Some(_)) => Reply::status(status),
            (Some(_), None) => page(1, 2, &json!({})),
        });
        assert_eq!(read(&web, &options).success().records("t").len(), 2);
    }
}

#[test]
fn a_redirect_to_other_pages_or_times_is_refused() {
    let to = |location: &'static str| {
        Web::start(move |asked| match asked.path() {
            "/items" => Reply::status(302).header("Location", location),
            _ => page(0, 1, &json!({})),
        })
    };
    let options = json!({ "params": { "since": "2026-01-02", "status": "Open" } });
    for location in [
        "/v2/items?lang=en",
        "/v2/items?lang=en&status=open",
        "/v2/all?status=open",
        "/v2/items?since=2025-01-02&status=open",
        "/v2/items?since=&status=open",
    ] {
        let outcome = read(&to(location), &options).exits(69);
        assert!(outcome.stderr.contains("with other parameters or without"), "{}", outcome.stderr);
    }
    for location in [
        "/v2/items?since=2026-01-02T00%3A00%3A00Z&status=open&v=2",
        "/v2/items?X-Amz-Signature=k",
        "/v2/items?state=0123456789abcdef",
        "/made/4711.json?v=3",
    ] {
        let outcome = read(&to(location), &options);
        assert_eq!(outcome.code, 0, "{location}: {}", outcome.stderr);
    }
    // The same page for every page.
    let web = Web::start(|asked| match (asked.path(), asked.param("page")) {
        ("/items", Some("2")) => Reply::status(301).header("Location", "/v2/items?page=1"),
        (_, at) => page(0, if at == Some("1") { 2 } else { 0 }, &json!({})),
    });
    let numbered = json!({ "pagination_request_style": "page_number" });
    read(&web, &numbered).exits(69);
}

#[test]
fn a_redirect_that_loses_the_parameters_is_refused() {
    let to = |location: &'static str, status: u16| {
        Web::start(move |asked| match asked.path() {
            "/items" => Reply::status(status).header("Location", location),
            _ => page(0, 1, &json!({})),
        })
    };
    let options = json!({ "params": { "status": "open", "size": 3 } });
    for status in [301, 302, 307, 308] {
        let outcome = read(&to("/v2/items", status), &options).exits(69);
        assert!(outcome.stderr.contains("with other parameters or without"), "{}", outcome.stderr);
    }
    for location in ["/v2/items?size=3&status=open", "/files/9?signature=x"] {
        assert_eq!(read(&to(location, 302), &options).success().records("t").len(), 1);
    }
    assert_eq!(read(&to("/results/9", 303), &options).success().records("t").len(), 1);
    assert_eq!(read(&to("/v2/items", 301), &json!({})).success().records("t").len(), 1);
}
