//! Tokens of every kind, placeholders that keep theirs, totals, and signs of more pages.

use serde_json::{Value, json};

use support::apis::tap_api;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

fn read(web: &Web, options: &Value) -> Outcome {
    let mut stream = json!({ "path": "items", "records_path": "$.data[*]" });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&web.url, &stream, &json!({})).go()
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap_or_default()
}

/// Gives a second page for what follows the first.
fn two_pages(token: &Value, sent: fn(&Asked) -> bool) -> Web {
    let token = token.clone();
    Web::start(move |asked| {
        Reply::json(&if sent(asked) {
            json!({ "data": [{ "id": 2 }], "next": null })
        } else {
            json!({ "data": [{ "id": 1 }], "next": token })
        })
    })
}

#[test]
fn a_token_of_any_kind_is_sent_as_it_is() {
    let in_body = json!({ "use_request_body_not_params": true,
        "pagination_next_page_param": "at.key",
        "pagination_request_style": "token", "next_page_token_path": "$.next" });
    let tokens = [
        json!([1.50, "a", null]),
        json!({ "id": 7, "x": ["y"] }),
        json!("007"),
        json!("7"),
        json!(7),
        json!(0),
        json!(1.0),
        json!(12_345_678_901_234_567_890_u64),
        json!(true),
    ];
    for token in &tokens {
        let web = two_pages(token, |asked| body(asked)["at"].is_object());
        assert_eq!(read(&web, &in_body).success().records("t").len(), 2, "{token}");
        assert_eq!(body(&web.asked()[1])["at"]["key"], *token);
    }
    let in_query = json!({ "pagination_request_style": "token", "next_page_token_path": "$.next" });
    for token in &tokens {
        let web = two_pages(token, |asked| asked.param("page").is_some());
        let nested = token.is_array() || token.is_object();
        if nested {
            let outcome = read(&web, &in_query).exits(65);
            assert!(outcome.stderr.contains("pagination_token_as_json"), "{}", outcome.stderr);
        }
        let mut options = in_query.clone();
        options["pagination_token_as_json"] = nested.into();
        assert_eq!(read(&web, &options).success().records("t").len(), 2, "{token}");
    }
    for end in [Value::Null, json!(""), json!(false), json!([]), json!({})] {
        let web = two_pages(&end, |_| false);
        assert_eq!(read(&web, &in_body).success().records("t").len(), 1, "{end}");
        assert_eq!(web.asked().len(), 1, "{end}");
    }
    let mut by_address = in_query.clone();
    by_address["pagination_request_style"] = "next_url".into();
    let web = two_pages(&json!({ "href": "/x" }), |_| false);
    let outcome = read(&web, &by_address).exits(65);
    assert!(outcome.stderr.contains("next_page_token_path"), "{}", outcome.stderr);
}

#[test]
fn a_placeholder_that_is_all_of_a_string_keeps_its_kind() {
    let web = Web::start(|_| Reply::json(&json!({ "data": [] })));
    let inputs = json!([{ "a": "007", "b": 7, "c": 1.5, "d": true, "e": ["x", 1], "f": "[1]" }]);
    let all = json!({ "a": "{a}", "b": "{b}", "c": "{c}", "d": "{d}", "e": "{e}", "f": "{f}",
        "text": "{b}-{a}", "deep": [{ "a": "{a}" }] });
    let expected = json!({ "a": "007", "b": 7, "c": 1.5, "d": true, "e": ["x", 1], "f": "[1]",
        "text": "7-007", "deep": [{ "a": "007" }] });
    read(&web, &json!({ "inputs": inputs, "body": all })).success();
    let in_body = json!({ "inputs": inputs, "params": all, "use_request_body_not_params": true });
    read(&web, &in_body).success();
    for asked in web.asked() {
        assert_eq!(body(&asked), expected);
    }
    // A query has texts.
    read(&web, &json!({ "inputs": inputs, "params": { "a": "{a}", "b": "{b}", "e": "{e}" } }))
        .success();
    assert_eq!(web.targets().last().unwrap(), "/items?a=007&b=7&e=%5B%22x%22%2C1%5D");
    read(&web, &json!({ "inputs": inputs, "path": "items/{e}" })).exits(65);
}

#[test]
fn records_have_one_form_or_the_run_fails() {
    let page = |first: &Value, second: &Value| {
        let (first, second) = (first.clone(), second.clone());
        Web::start(move |asked| {
            Reply::json(&if asked.param("page").is_some() {
                json!({ "data": second })
            } else {
                json!({ "data": first, "next_page": 2 })
            })
        })
    };
    let list = json!([{ "id": 1, "v": {} }, { "id": 2, "v": {} }]);
    let gaps = json!({ "0": { "id": 3, "v": {} }, "2": { "id": 4, "v": {} } });
    let map = json!({ "x": { "id": 3 }, "y": { "id": 4 } });
    for (first, second) in [(&list, &gaps), (&gaps, &list)] {
        let outcome = read(&page(first, second), &json!({})).success();
        assert_eq!(outcome.records("t").len(), 4, "{first} {second}");
    }
    for (first, second) in [(&list, &map), (&map, &list)] {
        for path in ["$.data[*]", "$.data"] {
            let outcome = read(&page(first, second), &json!({ "records_path": path })).exits(65);
            assert!(outcome.stderr.contains("`.*`"), "{}", outcome.stderr);
        }
        let members = json!({ "records_path": "$.data.*" });
        assert_eq!(read(&page(first, second), &members).success().records("t").len(), 4);
    }
    // One record where others are lists of them is a record, and no member is none.
    let one = json!({ "id": 3, "v": { "x": 1 } });
    for (first, second) in [(&list, &one), (&one, &list)] {
        assert_eq!(read(&page(first, second), &json!({})).success().records("t").len(), 3);
    }
    let outcome = read(&page(&list, &json!({})), &json!({})).success();
    assert_eq!(outcome.records("t").len(), 2);
    // Inputs that are read at once are compared as those that are read one after the other.
    for (forms, code) in [([&list, &map], 65), ([&map, &list], 65), ([&list, &one], 0)] {
        let forms = forms.map(Clone::clone);
        let web = Web::start(move |asked| {
            let n: usize = asked.param("n").unwrap().parse().unwrap();
            Reply::json(&json!({ "data": forms[n % 2] }))
        });
        for concurrency in [1, 2, 3, 4] {
            let options = json!({ "inputs": [{ "n": 0 }, { "n": 2 }, { "n": 1 }, { "n": 3 }],
                "params": { "n": "{n}" }, "concurrency": concurrency });
            let outcome = read(&web, &options);
            assert_eq!(outcome.code, code, "{concurrency}: {}", outcome.stderr);
        }
    }
}

#[test]
fn the_announced_total_counts_for_every_style() {
    let counted = |style: &str, more: Value| {
        let web = Web::start(|asked| {
            let again = asked.param("page").or(asked.param("offset")).is_some_and(|at| at != "1");
            let data = if again { json!([]) } else { json!([{ "id": 1 }, { "id": 2 }]) };
            Reply::json(&json!({ "data": data, "meta": { "total": "5" }, "next": null }))
        });
        let mut options = json!({ "pagination_request_style": style,
            "pagination_total_limit_param": "meta.total" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let outcome = read(&web, &options).success();
        let text = "the API says that there are 5 records, but sent 2";
        assert!(outcome.stderr.contains(text), "{style}: {}", outcome.stderr);
    };
    for style in ["none", "page_number", "header_token", "next_url", "link_header"] {
        counted(style, json!({}));
    }
    counted("token", json!({ "next_page_token_path": "$.next" }));
}

#[test]
fn a_total_that_is_lower_than_what_came_does_not_end_the_read() {
    type Total = fn(u64, u64) -> Value;
    let lower: [(&str, Total); 5] = [
        ("none", |_, _| json!(0)),
        ("too few", |_, _| json!("2")),
        ("those of the page less one", |_, count| json!(count.saturating_sub(1))),
        ("true after it was untrue", |from, count| json!(if from == 0 { 1 } else { from + count })),
        ("true before it is untrue", |from, _| json!(if from == 0 { 7 } else { 4 })),
    ];
    let pages = |total: Total, style: &str, size: u64| {
        let (first, numbered) = (u64::from(style == "page_number"), style == "page_number");
        let web = Web::start(move |asked| {
            let at = asked.param(if numbered { "page" } else { "offset" });
            let at: u64 = at.unwrap().parse().unwrap();
            let from = 7.min(if numbered { (at - first) * 3 } else { at });
            let ids: Vec<Value> = (from..7.min(from + 3)).map(|id| json!({ "id": id })).collect();
            let total = total(from, ids.len() as u64);
            Reply::json(&json!({ "data": ids, "total": total }))
        });
        let mut options = json!({ "pagination_request_style": style, "primary_keys": ["id"],
            "pagination_total_limit_param": "total" });
        if size > 0 {
            options["pagination_page_size"] = size.into();
        }
        let outcome = read(&web, &options).success();
        (outcome.records("t").len(), outcome.stderr, web.asked().len())
    };
    for (name, total) in lower {
        for style in ["offset", "page_number"] {
            for size in [0, 3, 50] {
                let (rows, said, _) = pages(total, style, size);
                assert_eq!(rows, 7, "{name} {style} {size}: {said}");
                assert!(said.contains("W-COUNT-DIFFERS"), "{name} {style} {size}: {said}");
            }
        }
    }
    // A true one ends the read without a further request.
    let (rows, said, asked) = pages(|_, _| json!(7), "offset", 3);
    assert_eq!((rows, asked), (7, 3), "{said}");
    assert!(!said.contains("W-COUNT-DIFFERS"), "{said}");
    // Where nothing is asked for by number, the total is told all the same.
    let web = Web::start(|_| Reply::json(&json!({ "data": [{ "id": 1 }, { "id": 2 }], "n": 1 })));
    let outcome = read(&web, &json!({ "pagination_total_limit_param": "n" })).success();
    assert!(outcome.stderr.contains("there are 1 records, but sent 2"), "{}", outcome.stderr);
}

#[test]
fn a_total_that_is_the_count_of_its_page_neither_ends_the_read_nor_warns() {
    let paged = |sizes: &'static [u64], beyond: fn() -> Reply| {
        Web::start(move |asked| {
            let page: usize = asked.param("page").map_or(1, |text| text.parse().unwrap());
            let offset = asked.param("offset").map(|text| text.parse::<u64>().unwrap());
            let starts = |at: usize| sizes[..at].iter().sum::<u64>();
            let at = offset.map_or(page - 1, |offset| {
                (0..sizes.len()).find(|at| starts(*at) == offset).unwrap_or(sizes.len())
            });
            let Some(size) = sizes.get(at) else { return beyond() };
            let ids: Vec<Value> =
                (starts(at)..starts(at) + size).map(|id| json!({ "id": id })).collect();
            let next = (at + 1 < sizes.len()).then_some(at + 2);
            Reply::json(&json!({ "data": ids, "count": ids.len(), "next": next }))
        })
    };
    let none = || Reply::json(&json!({ "data": [], "count": 0 }));
    let gone = || Reply::status(404);
    let options = |style: &str, more: Value| {
        let mut options = json!({ "pagination_request_style": style,
            "pagination_total_limit_param": "count" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    for sizes in [&[3, 3, 2][..], &[3, 3], &[1, 1, 1], &[4, 2], &[5]] {
        let all = usize::try_from(sizes.iter().sum::<u64>()).unwrap();
        for style in ["page_number", "offset", "token"] {
            for more in [json!({}), json!({ "primary_keys": ["id"], "pagination_page_size": 9 })] {
                let mut options = options(style, more);
                if style == "token" {
                    options["next_page_token_path"] = "$.next".into();
                }
                for beyond in [none, gone] {
                    let outcome = read(&paged(sizes, beyond), &options).success();
                    assert_eq!(outcome.records("t").len(), all, "{sizes:?} {options}");
                    for code in ["W-COUNT-DIFFERS", "W-DATA-MOVED", "W-PAGE-AGAIN"] {
                        assert!(!outcome.stderr.contains(code), "{options}: {}", outcome.stderr);
                    }
                }
            }
        }
    }
    // One page that is all there is: by a server that knows of no pages, or has no second one.
    let same =
        Web::start(|_| Reply::json(&json!({ "data": [{ "id": 1 }, { "id": 2 }], "count": 2 })));
    for style in ["page_number", "offset"] {
        for web in [&same, &paged(&[5], gone), &paged(&[5], none)] {
            let outcome = read(web, &options(style, json!({}))).success();
            assert!(!outcome.stderr.contains("W-"), "{style}: {}", outcome.stderr);
        }
    }
    // Once a total has shown to be one, single pages are believed.
    let web = Web::start(|asked| {
        let rows: Vec<Value> = match (asked.param("n"), asked.param("page")) {
            (Some("0"), Some("1")) => vec![json!({ "id": 1 }), json!({ "id": 2 })],
            (_, Some("1")) => vec![json!({ "id": 3 })],
            _ => vec![json!({ "id": 4 })],
        };
        let count = if asked.param("n") == Some("0") { 3 } else { 1 };
        Reply::json(&json!({ "data": rows, "count": count }))
    });
    let inputs =
        json!({ "inputs": [{ "n": 0 }, { "n": 1 }, { "n": 2 }], "params": { "n": "{n}" } });
    assert_eq!(read(&web, &options("page_number", inputs)).success().records("t").len(), 5);
    assert_eq!(web.asked().len(), 4, "{:?}", web.targets());
}

#[test]
fn an_answer_that_says_that_there_is_more_is_followed_or_warned_of() {
    let answer = |more: &Value| {
        let mut answer = json!({ "data": [{ "id": 1 }], "count": 1, "user": { "next": "x" } });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Reply::json(&answer)
    };
    let signs = [
        (json!({ "next": "https://x/y?page=2" }), "next_page_token_path: $.next`"),
        (json!({ "has_more": true }), "page_number"),
        (json!({ "meta": { "hasMore": "true" } }), "$.meta.hasMore"),
        (json!({ "@odata.nextLink": "/y?skip=1" }), "$['@odata.nextLink']"),
        (json!({ "nextPageToken": "abc" }), "pagination_request_style: token"),
        (
            json!({ "response_metadata": { "next_cursor": "abc" } }),
            "$.response_metadata.next_cursor",
        ),
        (json!({ "_links": { "next": { "href": "/y" } } }), "$._links.next.href"),
        (json!({ "page": { "totalPages": 3 } }), "$.page.totalPages"),
        (json!({ "pagination": { "total_count": 7 } }), "pagination_total_limit_param"),
        (json!({ "done": false, "nextRecordsUrl": "/y" }), "$.nextRecordsUrl"),
        (json!({ "last": false }), "$.last"),
    ];
    for (more, words) in signs {
        let outcome = read(&Web::replies(vec![answer(&more)]), &json!({})).success();
        assert!(outcome.stderr.contains("W-MORE-PAGES"), "{more}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{more}: {}", outcome.stderr);
        // Who wants one page has one.
        let none = json!({ "pagination_request_style": "none" });
        let outcome = read(&Web::replies(vec![answer(&more)]), &none).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{more}: {}", outcome.stderr);
    }
    for (name, value) in [("Link", "<y?page=2>; rel=next"), ("X-Next-Page", "2")] {
        let web = Web::replies(vec![answer(&json!({})).header(name, value)]);
        let outcome = read(&web, &json!({})).success();
        assert!(outcome.stderr.contains("W-MORE-PAGES"), "{name}: {}", outcome.stderr);
    }
    let ends = json!({ "next": null, "has_more": false, "nextPageToken": "", "next_cursor": "",
        "page": { "totalPages": 1 }, "total": 1, "last": true, "_links": { "next": {} } });
    let outcome = read(&Web::replies(vec![answer(&ends)]), &json!({})).success();
    assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
    // A style that ends before the answer does.
    let by_token = json!({ "next_page_token_path": "$.cursor" });
    let web = Web::replies(vec![answer(&json!({ "cursor": null, "has_more": true }))]);
    let outcome = read(&web, &by_token).success();
    assert!(outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
}

#[test]
fn a_replication_key_that_does_not_reach_the_api_is_told() {
    let web = Web::start(|_| Reply::json(&json!({ "data": [{ "id": 1, "at": "2026-01-01" }] })));
    let keyed = |more: Value| {
        let mut options = json!({ "replication_key": "at" });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let outcome = read(&web, &keyed(json!({}))).success();
    assert!(outcome.stderr.contains("W-START-UNUSED"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\"{start}\""), "{}", outcome.stderr);
    for asks in [
        json!({ "params": { "since": "{start}" } }),
        json!({ "headers": { "If-Modified-Since": "{start}" } }),
        json!({ "body": { "q": { "since": "{start}" } } }),
        json!({ "source_search_field": "q", "source_search_query": "gt$last_run_date" }),
    ] {
        let outcome = read(&web, &keyed(asks.clone())).success();
        assert!(!outcome.stderr.contains("W-START-UNUSED"), "{asks}: {}", outcome.stderr);
    }
    // An end alone asks for everything before it, each time.
    let outcome = read(&web, &keyed(json!({ "params": { "until": "{end}" } }))).success();
    assert!(outcome.stderr.contains("W-START-UNUSED"), "{}", outcome.stderr);
    let catalog = json!({ "streams": [{ "tap_stream_id": "t", "stream": "t",
        "replication_method": "INCREMENTAL", "replication_key": "id", "metadata": [],
        "schema": { "type": "object", "properties": { "id": { "type": "integer" },
            "at": { "type": "string" } } } }] });
    let with = |options: Value| {
        let mut stream = json!({ "path": "items", "records_path": "$.data[*]" });
        stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        tap_api(&web.url, &stream, &json!({})).json("--catalog", &catalog).go()
    };
    let outcome = with(json!({})).success();
    assert!(outcome.stderr.contains("W-START-UNUSED"), "{}", outcome.stderr);
    let outcome = with(keyed(json!({ "params": { "since": "{start}" } }))).exits(78);
    assert!(outcome.stderr.contains("another replication key"), "{}", outcome.stderr);
    let windows = keyed(json!({ "window_days": 5, "start_date": "2026-01-01" }));
    let outcome = read(&web, &windows).exits(78);
    assert!(outcome.stderr.contains("{start} and {end}"), "{}", outcome.stderr);
    let by_end = keyed(json!({ "window_days": 5, "start_date": "2026-01-01",
        "params": { "until": "{end}" } }));
    let outcome = read(&web, &by_end).exits(78);
    assert!(outcome.stderr.contains("only {end}"), "{}", outcome.stderr);
}

#[test]
fn pages_without_an_end_fill_no_disk() {
    let web = Web::start(|asked| {
        let page: u64 = asked.param("page").map_or(0, |text| text.parse().unwrap());
        let row = json!({ "id": page, "x": "x".repeat(10_000) });
        Reply::json(&json!({ "data": [row], "next_page": page + 1 }))
    });
    let stream = json!({ "path": "items", "records_path": "$.data[*]" });
    let outcome = tap_api(&web.url, &stream, &json!({ "max_spool_bytes": 100_000 })).go().exits(65);
    assert!(outcome.stderr.contains("max_spool_bytes"), "{}", outcome.stderr);
    assert!(web.asked().len() < 20);
}
