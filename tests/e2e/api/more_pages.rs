//! Answers that say in any words and places that there are more pages, and complete ones that say
//! nothing.

use serde_json::{Value, json};

use support::apis::tap_api;
use support::run::Outcome;
use support::web::{Asked, Reply, Web};

fn read(web: &Web, options: &Value) -> Outcome {
    let mut stream = json!({ "path": "items", "records_path": "$.data[*]" });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&web.url, &stream, &json!({})).go()
}

fn two() -> Value {
    json!([{ "id": 1, "next": "x", "has_more": true }, { "id": 2, "total_pages": 8 }])
}

/// Reads one answer without a style; returns what is said of more pages.
fn said(path: &str, answer: &Value, headers: &[(&str, &str)]) -> String {
    let reply =
        headers.iter().fold(Reply::json(answer), |reply, (name, value)| reply.header(name, value));
    let outcome = read(&Web::replies(vec![reply]), &json!({ "records_path": path })).success();
    assert_eq!(outcome.records("t").len(), 2, "{answer}");
    let lines = outcome.stderr.lines().filter(|line| line.contains("W-MORE-PAGES:"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Puts members beside two records.
fn beside(members: Value) -> Value {
    let mut answer = members;
    answer["data"] = two();
    answer
}

#[test]
fn marks_of_more_pages_are_known_by_their_words() {
    let next =
        json!([{ "relation": "self", "url": "/y" }, { "relation": "next", "url": "/y?p=2" }]);
    for (members, place) in [
        (json!({ "total": { "value": 9, "relation": "gte" } }), "$.total.value"),
        (json!({ "LastEvaluatedKey": { "pk": { "S": "a" } } }), "$.LastEvaluatedKey"),
        (json!({ "pageInfo": { "endCursor": "b" } }), "$.pageInfo.endCursor"),
        (json!({ "list_info": { "total_pages": 3, "page": 1 } }), "$.list_info.total_pages"),
        (
            json!({ "extra": { "pagination": { "more_rows_in_set": true } } }),
            "$.extra.pagination.more_rows_in_set",
        ),
        (json!({ "properties": { "ResultLimitExceeded": 1 } }), "$.properties.ResultLimitExceeded"),
        (json!({ "page": 0, "nbPages": 4 }), "$.nbPages"),
        (json!({ "offset": "itr/rec" }), "$.offset"),
        (json!({ "link": next }), "$.link[?(@.relation=='next')].url"),
        (json!({ "links": [{ "rel": "next last", "href": "?p=2" }] }), "].href"),
        (json!({ "numberMatched": 9, "numberReturned": 2 }), "$.numberMatched"),
        (json!({ "context": { "matched": "9" } }), "$.context.matched"),
        (json!({ "paging": { "next": { "after": "k" } } }), "$.paging.next.after"),
        (json!({ "continue": { "continue": "-||" } }), "$.continue.continue"),
        (json!({ "metadata": { "remainingItemCount": 5 } }), "$.metadata.remainingItemCount"),
        (json!({ "END_OF_RECORDS": false }), "$.END_OF_RECORDS"),
        (json!({ "estimatedTotalHits": 80 }), "$.estimatedTotalHits"),
        (json!({ "HasMoreItems": "yes" }), "$.HasMoreItems"),
        (json!({ "warnings": [{ "text": "Results limited to 2 rows" }] }), "$.warnings"),
        (json!({ "perPage": 2, "page": 1 }), "$.perPage"),
        (json!({ "meta": { "page_size": "2" } }), "$.meta.page_size"),
        (json!({ "nextOrdersHref": "/items?after=2" }), "$.nextOrdersHref"),
    ] {
        let text = said("$.data[*]", &beside(members.clone()), &[]);
        assert!(text.contains(place), "{members}: {text}");
    }
    let text = said("$[1][*]", &json!([{ "pages": 7, "per_page": "2" }, two()]), &[]);
    assert!(text.contains("$[0].pages"), "{text}");
    let nodes = json!({ "pages": { "nodes": two(), "cut": { "is_truncated": true } } });
    let text = said("$.pages.nodes[*]", &nodes, &[]);
    assert!(text.contains("$.pages.cut.is_truncated"), "{text}");
    for (name, value) in [
        ("X-WP-Total", "3"),
        ("X-WP-TotalPages", "2"),
        ("X-Pagination-Total-Count", "9"),
        ("X-Has-More", "true"),
        ("X-Acme-Next-Cursor", "k"),
        ("Total-Count", "9"),
        ("Content-Range", "0-1/9"),
        ("X-Pagination", "{\"TotalCount\":9}"),
        ("X-Paging", "{\"HasNext\":true}"),
    ] {
        let text = said("$[*]", &two(), &[(name, value)]);
        assert!(text.to_lowercase().contains(&name.to_lowercase()), "{name}: {text}");
    }
}

#[test]
fn an_answer_that_is_whole_says_nothing_of_more_pages() {
    for members in [
        json!({ "total": { "value": 2 }, "_scroll_id": "k", "_shards": { "total": 5 } }),
        json!({ "Count": 2, "ScannedCount": 50 }),
        json!({ "list_info": { "total_pages": 1, "page": 1, "total_count": 2, "per_page": 20 } }),
        json!({ "page": 3, "nbPages": 3 }),
        json!({ "offset": "0", "limit": "100", "took": 8 }),
        json!({ "links": [{ "rel": "self", "href": "?p=1" }, { "rel": "last", "href": "?p=9" }] }),
        json!({ "links": { "self": "/items", "next": "/items" } }),
        json!({ "nextSyncToken": "k", "total_price": 900, "grand_total": 900 }),
        json!({ "next_cursor": 0, "next_cursor_str": "0", "bookmark": "nil" }),
        json!({ "rate_limit": { "remaining": 99, "total": 100, "limit_exceeded": false } }),
        json!({ "facets": { "brand": { "total_count": 40 } } }),
        json!({ "users": { "list": [{ "id": 7 }], "has_more": true, "next_page": 2 } }),
        json!({ "included": [{ "id": 7, "next_cursor": "k" }] }),
        json!({ "first": true, "last": true, "totalPages": 1, "numberOfElements": 2, "size": 9 }),
        json!({ "paging": { "cursors": { "before": "a", "after": "b" } },
            "summary": { "total_count": 2 } }),
        json!({ "meta": { "more_info": "http://x/docs", "next_maintenance": "2027-01-01" } }),
        json!({ "warnings": ["The field `x` is deprecated, requests are limited to 5 a second"] }),
        json!({ "limit": 2, "next": null }),
        json!({ "limit": 2, "total": 2 }),
        json!({ "limit": 2, "has_more": false }),
        json!({ "limit": 100 }),
        json!({ "next_action_url": "http://x/y", "more": [] }),
    ] {
        let text = said("$.data[*]", &beside(members.clone()), &[]);
        assert_eq!(text, "", "{members}");
    }
    let headers = [
        ("X-WP-Total", "2"),
        ("X-WP-TotalPages", "1"),
        ("X-RateLimit-Remaining", "99"),
        ("X-Rate-Limit-Limit", "1000"),
        ("X-Request-Id", "k"),
        ("X-Next-Page", ""),
        ("X-Pagination", "{\"TotalCount\":2,\"HasNext\":false}"),
        ("Content-Range", "bytes 0-99/5000"),
        ("Link", "</items>; rel=self"),
    ];
    assert_eq!(said("$[*]", &two(), &headers), "");
}

fn number(asked: &Asked, name: &str) -> u64 {
    asked.param(name).map_or(0, |text| text.parse().unwrap())
}

fn rows(from: u64, to: u64) -> Value {
    (from..to).map(|id| json!({ "id": id })).collect()
}

#[test]
fn totals_anywhere_are_held_against_what_came() {
    type Beside = fn(u64) -> (Value, Option<(&'static str, &'static str)>);
    let totals: [(Beside, bool); 8] = [
        (|_| (json!({}), Some(("X-Total-Count", "9"))), true),
        (|_| (json!({}), Some(("X-Acme-Total-Records", "9"))), true),
        (|_| (json!({}), Some(("Content-Range", "items 0-2/9"))), true),
        (|_| (json!({}), Some(("X-Pagination", "{\"TotalCount\":9}"))), true),
        (|_| (json!({ "hits": { "total": { "value": 9 } } }), None), true),
        // On the first page alone, and none behind the last record.
        (|page| (if page == 0 { json!({ "numFound": 9 }) } else { json!({}) }, None), true),
        (|page| (json!({ "totalHits": if page < 3 { 9 } else { 0 } }), None), true),
        (|_| (json!({ "total": 7, "num_results": 3 }), Some(("X-Total", "7"))), false),
    ];
    for (at, (beside, is_told)) in totals.into_iter().enumerate() {
        for (style, param) in [("page_number", "page"), ("offset", "offset"), ("token", "next")] {
            // The one that is refused beyond the end counts as the one that is empty.
            for refuses in [false, true] {
                let web = Web::start(move |asked| {
                    let page = match number(asked, param) {
                        at if param == "offset" => at.div_ceil(3),
                        at => at.saturating_sub(u64::from(param == "page")),
                    };
                    if page == 3 && refuses {
                        return Reply::status(404);
                    }
                    let (mut answer, header) = beside(page);
                    answer["data"] = rows(7.min(page * 3), 7.min(page * 3 + 3));
                    answer["goto"] = (page < 2).then_some(page + 1).into();
                    let reply = Reply::json(&answer);
                    header.into_iter().fold(reply, |reply, (name, text)| reply.header(name, text))
                });
                let outcome = read(
                    &web,
                    &json!({ "pagination_request_style": style, "primary_keys": ["id"],
                        "pagination_next_page_param": param,
                        "next_page_token_path": (style == "token").then_some("$.goto") }),
                )
                .success();
                assert_eq!(outcome.records("t").len(), 7, "{at} {style}");
                let told = outcome.stderr.contains("there are 9 records, but sent 7");
                assert_eq!(told, is_told, "{at} {style} {refuses}: {}", outcome.stderr);
                assert_eq!(
                    outcome.stderr.contains("W-COUNT-DIFFERS"),
                    is_told,
                    "{at} {style}: {}",
                    outcome.stderr
                );
            }
        }
    }
}

#[test]
fn pages_that_are_counted_are_read_behind_an_empty_one() {
    // Of four pages the second and third are empty.
    let web = |first: u64, counted: Value| {
        Web::start(move |asked| {
            let page = usize::try_from(number(asked, "page") - first).unwrap();
            let (from, to) = [(0, 2), (2, 2), (2, 2), (2, 3)].get(page).copied().unwrap_or((3, 3));
            let mut answer = counted.clone();
            answer["data"] = rows(from, to);
            Reply::json(&answer)
        })
    };
    let numbered = |first: u64| {
        let style = "page_number";
        json!({ "pagination_request_style": style, "pagination_initial_offset": first })
    };
    for first in [0, 1] {
        for counted in [json!({ "total_pages": 4 }), json!({ "paging": { "lastPage": "4" } })] {
            let web = web(first, counted.clone());
            let outcome = read(&web, &numbered(first)).success();
            assert_eq!(outcome.records("t").len(), 3, "{first} {counted}: {}", outcome.stderr);
            assert!(!outcome.stderr.contains("W-"), "{counted}: {}", outcome.stderr);
        }
        let outcome = read(&web(first, json!({})), &numbered(first)).success();
        assert_eq!(outcome.records("t").len(), 2);
    }
    // A count that is not true ends aloud.
    let web = web(1, json!({ "total_pages": 900 }));
    let outcome = read(&web, &numbered(1)).success();
    assert_eq!(web.asked().len(), 15);
    assert!(outcome.stderr.contains("W-MORE-PAGES"), "{}", outcome.stderr);
}

#[test]
fn an_empty_page_that_names_the_next_one_by_its_number_is_not_the_end() {
    // Of four pages of two the second and third are empty.
    for (style, param) in [("page_number", "page"), ("offset", "offset")] {
        for text in [false, true] {
            let web = Web::start(move |asked| {
                let asked = number(asked, param);
                let page = if style == "offset" { asked / 2 } else { asked.saturating_sub(1) };
                let next = if style == "offset" { (page + 1) * 2 } else { page + 2 };
                let data = match page {
                    0 => rows(0, 2),
                    3 => rows(2, 3),
                    _ => rows(0, 0),
                };
                let next = if text { json!(next.to_string()) } else { json!(next) };
                let next = if page < 3 { next } else { Value::Null };
                Reply::json(&json!({ "data": data, "next": next }))
            });
            let paged = json!({ "pagination_request_style": style,
                "pagination_next_page_param": param, "next_page_token_path": "$.next" });
            let outcome = read(&web, &paged).success();
            assert_eq!(outcome.records("t").len(), 3, "{style} {text}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_total_that_is_no_number_is_told() {
    for (total, told) in [
        (json!("1,000"), true),
        (json!({ "value": 6 }), true),
        (json!(2), false),
        (json!("2"), false),
        (Value::Null, false),
    ] {
        let answer = json!({ "data": rows(0, 2), "total": total });
        let web = Web::start(move |asked| {
            let is_first = number(asked, "page") == 1;
            Reply::json(&if is_first { answer.clone() } else { json!({ "data": [] }) })
        });
        let paged = json!({ "pagination_request_style": "page_number",
            "pagination_total_limit_param": "total" });
        let outcome = read(&web, &paged).success();
        let said = outcome.stderr.contains("`pagination_total_limit_param` has no effect");
        assert_eq!(said, told, "{total}: {}", outcome.stderr);
    }
}

#[test]
fn rows_without_keys_that_move_are_told_and_kept() {
    let moved = |row: fn(u64) -> Value, moves: bool, size: u64| {
        let web = Web::start(move |asked| {
            let from = number(asked, "offset");
            let from = if moves && asked.before > 0 { from - 1 } else { from };
            let rows: Value = (from.min(9)..9.min(from + size)).map(row).collect();
            Reply::json(&json!({ "data": rows }))
        });
        let outcome = read(&web, &json!({ "pagination_request_style": "offset" })).success();
        (outcome.records("t").len(), outcome.stderr)
    };
    let distinct: fn(u64) -> Value = |at| json!({ "at": at });
    let (rows, said) = moved(distinct, true, 3);
    assert_eq!(rows, 10);
    assert!(said.contains("W-DATA-MOVED: stream t: 1 records came again"), "{said}");
    for (row, moves, size) in [
        (distinct, false, 3),
        // Rows that are alike on a page may be so on the next.
        ((|at| json!({ "at": at / 2 })) as fn(u64) -> Value, false, 3),
        ((|_| json!({ "at": 7 })) as fn(u64) -> Value, false, 1),
    ] {
        let (rows, said) = moved(row, moves, size);
        assert_eq!(rows, 9, "{said}");
        assert!(!said.contains("W-DATA-MOVED"), "{said}");
    }
}

#[test]
fn a_total_that_sinks_while_pages_are_read_is_told() {
    let sunk = |total: fn(u64) -> u64, keys: Value| {
        let web = Web::start(move |asked| {
            let from = number(asked, "offset");
            // Rows that came in or went in front of what is read next.
            let shift = |at: u64| (at + 9).saturating_sub(total(from));
            let data = rows(shift(from).min(9), 9.min(shift(from) + 3));
            Reply::json(&json!({ "data": data })).header("X-Total-Count", &total(from).to_string())
        });
        let options = json!({ "pagination_request_style": "offset", "primary_keys": keys });
        read(&web, &options).success().stderr
    };
    for keys in [json!(["id"]), json!([])] {
        let said = sunk(|from| if from == 0 { 9 } else { 8 }, keys.clone());
        assert!(said.contains("records may be missing"), "{said}");
        let said = sunk(|_| 9, keys);
        assert!(!said.contains("W-DATA-MOVED"), "{said}");
    }
    // The count of a page is none of all records, and rows at the end are no moved ones.
    let web = Web::start(|asked| {
        let from = number(asked, "offset");
        let all = if from == 0 { 7 } else { 8 };
        let data = rows(from.min(all), all.min(from + 3));
        let count = data.as_array().unwrap().len();
        Reply::json(&json!({ "data": data, "total": if asked.target.contains("q=1") {
            json!(count) } else { json!(all) } }))
    });
    for q in ["0", "1"] {
        let options = json!({ "pagination_request_style": "offset", "params": { "q": q } });
        let outcome = read(&web, &options).success();
        assert_eq!(outcome.records("t").len(), 8);
        assert!(!outcome.stderr.contains("W-"), "{q}: {}", outcome.stderr);
    }
}

#[test]
fn a_page_as_long_as_was_asked_for_is_what_was_asked_for() {
    let web = Web::start(|_| Reply::json(&beside(json!({ "limit": 2 }))));
    for options in [
        json!({ "params": { "limit": 2 } }),
        json!({ "params": { "count": "2" } }),
        json!({ "method": "POST", "body": { "page": { "size": 2 } } }),
    ] {
        let outcome = read(&web, &options).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{options}: {}", outcome.stderr);
    }
    let outcome = read(&web, &json!({ "params": { "limit": 9 } })).success();
    assert!(outcome.stderr.contains("$.limit in the answer"), "{}", outcome.stderr);
}

#[test]
fn a_page_before_the_first_one_is_told() {
    type Beside = fn(u64) -> (Value, String);
    let forms: [Beside; 6] = [
        |page| (json!({ "previousPage": format!("?page={}", page - 1) }), String::new()),
        |page| {
            (
                json!({ "links": { "prev": { "href": format!("?page={}", page - 1) } } }),
                String::new(),
            )
        },
        |_| (json!({ "pageInfo": { "hasPreviousPage": true } }), String::new()),
        |_| (json!({ "first": false }), String::new()),
        |page| {
            (
                json!({ "link": [{ "rel": "prev", "href": format!("?page={}", page - 1) }] }),
                String::new(),
            )
        },
        |page| (json!({}), format!("<?page={}>; rel=\"prev\"", page - 1)),
    ];
    let none: Beside =
        |_| (json!({ "first": true, "prev": null }), "<?page=9>; rel=last".to_owned());
    let web = |first: u64, beside: Beside| {
        Web::start(move |asked| {
            let page = number(asked, "page");
            let (mut answer, link) = if page > first { beside(page) } else { none(page) };
            answer["data"] = rows(9.min((page - first) * 3), 9.min((page - first) * 3 + 3));
            Reply::json(&answer).header("Link", &link)
        })
    };
    let mut numbered = json!({ "pagination_request_style": "page_number" });
    for (at, form) in forms.into_iter().enumerate() {
        let outcome = read(&web(0, form), &numbered).success();
        assert_eq!(outcome.records("t").len(), 6, "{at}");
        let text = "says that there is a page before it";
        assert!(outcome.stderr.contains(text), "{at}: {}", outcome.stderr);
        let outcome = read(&web(1, form), &numbered).success();
        assert_eq!(outcome.records("t").len(), 9, "{at}");
        assert!(!outcome.stderr.contains("W-"), "{at}: {}", outcome.stderr);
    }
    // Who has chosen where to begin knows.
    for first in [0, 1, 2] {
        numbered["pagination_initial_offset"] = first.into();
        let outcome = read(&web(0, forms[3]), &numbered).success();
        assert!(!outcome.stderr.contains("W-MORE-PAGES"), "{first}: {}", outcome.stderr);
    }
}

#[test]
fn pages_that_are_all_shorter_than_asked_for_are_told() {
    // Gives no more than so many, and counts its pages by what it was asked for.
    let web = |most: u64, beside: Value| {
        Web::start(move |asked| {
            let (page, size) = (number(asked, "page"), number(asked, "limit"));
            let from = 23.min((page - 1) * size);
            let mut answer = beside.clone();
            answer["data"] = rows(from, 23.min(from + size.min(most)));
            Reply::json(&answer)
        })
    };
    let sized = |size: u64| {
        let style = "page_number";
        json!({ "pagination_request_style": style, "pagination_page_size": size })
    };
    let outcome = read(&web(4, json!({})), &sized(10)).success();
    assert_eq!(outcome.records("t").len(), 11);
    assert!(outcome.stderr.contains("each page has 4 records"), "{}", outcome.stderr);
    for (most, size) in [(4, 4), (10, 5), (40, 40), (40, 23)] {
        let outcome = read(&web(most, json!({})), &sized(size)).success();
        assert_eq!(outcome.records("t").len(), 23, "{size}");
        assert!(!outcome.stderr.contains("W-"), "{size}: {}", outcome.stderr);
    }
    let outcome = read(&web(4, json!({ "total": 23 })), &sized(10)).success();
    assert!(outcome.stderr.contains("there are 23 records, but sent 11"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("each page has"), "{}", outcome.stderr);
    // What a filter leaves of each page differs from page to page.
    let web = Web::start(|asked| {
        let starts = [0, 4, 7, 9, 9];
        let page = usize::try_from(number(asked, "page") - 1).unwrap();
        Reply::json(&json!({ "data": rows(starts[page], starts[page + 1]) }))
    });
    let outcome = read(&web, &sized(10)).success();
    assert_eq!(outcome.records("t").len(), 9);
    assert!(!outcome.stderr.contains("W-"), "{}", outcome.stderr);
}

#[test]
fn a_list_among_several_that_has_more_is_told() {
    let check = |path: &str, first: Value, is_told: bool| {
        let web = Web::start(move |asked| {
            Reply::json(&match asked.param("page") {
                None => json!({ "data": first, "next_page": 2 }),
                Some(_) => json!({ "data": [] }),
            })
        });
        let outcome = read(&web, &json!({ "records_path": path })).success();
        let told = outcome.stderr.contains("one of its lists has more elements");
        assert_eq!(told, is_told, "{path}: {}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("W-MORE-PAGES"), is_told, "{}", outcome.stderr);
    };
    let lists = |last: Value| {
        let whole = json!({ "list": two(), "info": { "hasNextPage": false }, "total": 900 });
        json!([{ "more_at": true, "lines": whole }, { "lines": last }, { "lines": null }])
    };
    let path = "$.data[*].lines.list[*]";
    check(path, lists(json!({ "list": two(), "has_more": true })), true);
    check(path, lists(json!({ "list": two(), "page_info": { "hasNextPage": true } })), true);
    check(path, lists(json!({ "list": two(), "isLast": false })), true);
    check(path, lists(json!({ "list": two(), "has_more": false, "total": 7, "next": "x" })), false);
    // An element of a list says nothing of the list.
    let edges = json!([{ "cursor": "k", "node": { "id": 1, "has_more": true }, "has_more": true }]);
    check("$.data[*].node", edges, false);
}

#[test]
fn no_version_is_activated_where_there_may_be_more() {
    let two = json!([{ "id": 1 }, { "id": 2 }]);
    let emits = json!({ "emit_activate_version_messages": true });
    for (answer, is_whole) in [
        (json!({ "data": two }), true),
        (json!({ "data": two, "has_more": true }), false),
        (json!({ "data": two, "error": "the query has timed out" }), false),
    ] {
        let web = Web::replies(vec![Reply::json(&answer)]);
        let stream = json!({ "path": "items", "records_path": "$.data[*]" });
        let outcome = tap_api(&web.url, &stream, &emits).go().success();
        assert_eq!(outcome.text().contains("ACTIVATE_VERSION"), is_whole, "{}", outcome.stderr);
        // A target that would replace all rows learns it, too.
        assert_eq!(outcome.text().contains("\"left_out\":true"), !is_whole, "{}", outcome.text());
    }
}
