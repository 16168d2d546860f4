//! Answers that report an error although their status is that of success.

use serde_json::{Value, json};

use support::apis::tap_api;
use support::run::Outcome;
use support::web::{Reply, Web};

fn read(web: &Web, options: &Value) -> Outcome {
    let mut stream = json!({ "path": "items", "records_path": "$.items[*]" });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&web.url, &stream, &json!({})).go()
}

/// Asserts how a read of this answer ends, with and without the place of the records.
#[track_caller]
fn ends(answer: &Value, options: &Value, code: i32) {
    let web = Web::replies(vec![Reply::json(answer)]);
    let outcome = read(&web, options);
    assert_eq!(outcome.code, code, "{answer} {options}: {}", outcome.stderr);
    let asked = web.asked().len();
    assert_eq!(asked, if code == 75 { 3 } else { 1 }, "{answer} {options}: {}", outcome.stderr);
    if code != 0 {
        assert!(outcome.stderr.contains("error_in_answer"), "{answer}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("reports an error"), "{answer}: {}", outcome.stderr);
    }
}

/// Failures as APIs write them, and how a run must end.
fn failures() -> Vec<(Value, i32)> {
    vec![
        (json!({ "error": { "code": 429 } }), 75),
        (json!({ "error": { "code": "503", "message": "x" } }), 75),
        (json!({ "errors": [{ "message": "no", "extensions": { "code": "FORBIDDEN" } }] }), 77),
        (json!({ "errors": [{ "message": "bad field" }] }), 65),
        (json!({ "error": { "message": "no" } }), 65),
        (json!({ "errors": [{ "status": "500", "title": "oops" }] }), 75),
        (json!({ "success": false, "message": "bad parameter" }), 65),
        (json!({ "success": false, "statusCode": 429 }), 75),
        (json!({ "ok": false, "error": "ratelimited" }), 75),
        (json!({ "ok": "false", "description": "x" }), 65),
        (json!({ "status": "error", "message": "Too many requests" }), 75),
        (json!({ "status": "FAILED", "reason": "Unauthorized" }), 77),
        (json!({ "status": "OVER_QUERY_LIMIT" }), 75),
        (json!({ "status": 404 }), 69),
        (json!({ "meta": { "status": "fail", "code": 500 } }), 75),
        (json!({ "status": { "code": 401, "message": "who?" } }), 77),
        (
            json!({ "soap:Envelope": { "soap:Body": { "soap:Fault":
            { "faultcode": "soap:Server", "faultstring": "timeout" } } } }),
            75,
        ),
        (json!({ "jsonrpc": "2.0", "error": { "code": -32000, "message": "x" } }), 65),
        (json!({ "hasErrors": true }), 65),
        (json!({ "errorMessages": ["The value is wrong"], "errors": {} }), 65),
        (json!({ "code": 40001, "msg": "invalid credential" }), 77),
    ]
}

#[test]
fn an_answer_that_tells_of_a_failure_is_one() {
    for (answer, code) in failures() {
        let mut beside = answer.clone();
        beside["items"] = json!([]);
        ends(&beside, &json!({}), code);
        ends(&beside, &json!({ "allow_missing_records": true }), code);
        ends(&answer, &json!({ "allow_missing_records": true }), code);
        ends(
            &json!({ "data": { "items": [], "x": 1 }, "errors": [{ "message": "bad" }] }),
            &json!({ "records_path": "$.data.items[*]" }),
            65,
        );
        let inner = json!({ "response": beside });
        ends(&inner, &json!({ "records_path": "$.response.items[*]" }), code);
        ends(&beside, &json!({ "error_in_answer": "warn" }), 0);
    }
    let gone = json!({ "status": 404, "items": null });
    ends(&gone, &json!({ "not_found": "empty" }), 0);
}

#[test]
fn an_answer_with_nothing_but_words_about_itself_is_no_record() {
    let plain = json!({ "records_path": "$[*]" });
    for (answer, code) in [
        (json!({ "Message": "Authorization has been denied for this request." }), 77),
        (json!({ "message": "Too Many Requests" }), 75),
        (json!({ "msg": "invalid parameter" }), 65),
        (json!({ "detail": "Not found." }), 65),
        (json!({ "message": "Not Found", "documentation_url": "https://example.com" }), 65),
        (json!({ "__type": "ThrottlingException", "message": "Rate exceeded" }), 65),
        (json!({ "cod": "401", "message": "who?" }), 77),
        (json!({ "success": false }), 65),
        (json!({ "response": { "error": "x" } }), 65),
        (json!({ "Envelope": { "Body": { "Fault": { "faultstring": "server busy" } } } }), 75),
    ] {
        ends(&answer, &plain, code);
        // With a value of another kind it is a record.
        let mut row = answer.clone();
        row["amount"] = json!(1);
        let web = Web::replies(vec![Reply::json(&row)]);
        assert_eq!(read(&web, &plain).success().records("t").len(), 1, "{row}");
    }
    for row in [
        json!({ "message": "hello" }),
        json!({ "success": true, "status": "ok" }),
        json!({ "default": { "code": "a" } }),
    ] {
        let web = Web::replies(vec![Reply::json(&row)]);
        assert_eq!(read(&web, &plain).success().records("t").len(), 1, "{row}");
    }
    let beside = json!({ "items": [{ "id": 1 }], "default": { "a": 1 } });
    let web = Web::replies(vec![Reply::json(&beside)]);
    assert!(!read(&web, &json!({})).success().stderr.contains("W-ERROR-IN-ANSWER"));
}

#[test]
fn a_failure_that_passes_is_tried_again() {
    let bad = Reply::json(&json!({ "error": { "code": 429 }, "items": [] }));
    let good = Reply::json(&json!({ "items": [{ "id": 1 }] }));
    let web = Web::replies(vec![bad, good]);
    let outcome = read(&web, &json!({})).success();
    assert_eq!(outcome.records("t"), [json!({ "id": 1 })]);
    assert_eq!(web.asked().len(), 2);
}

#[test]
fn a_failure_beside_records_is_a_warning() {
    for (mut answer, _) in failures().into_iter().filter(|(answer, _)| answer["code"].is_null()) {
        answer["items"] = json!([{ "id": 1 }]);
        let web = Web::replies(vec![Reply::json(&answer)]);
        let outcome = read(&web, &json!({})).success();
        assert_eq!(outcome.records("t"), [json!({ "id": 1 })], "{answer}");
        assert!(outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{answer}: {}", outcome.stderr);
    }
}

#[test]
fn records_and_good_answers_may_speak_of_failures() {
    let row = json!({ "id": 1, "error": "timeout", "errors": [1], "status": "failed", "code": 500,
        "success": false, "ok": false });
    let gives = |answer: &Value, options: &Value| {
        let web = Web::replies(vec![Reply::json(answer)]);
        let outcome = read(&web, options).success();
        assert_eq!(outcome.records("t").len(), 1, "{answer} {options}");
        assert!(!outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{answer}: {}", outcome.stderr);
    };
    gives(&json!({ "items": [row] }), &json!({}));
    gives(&json!([row]), &json!({ "records_path": "$[*]" }));
    gives(&json!([row]), &json!({ "records_path": "$" }));
    gives(&row, &json!({ "records_path": "$" }));
    gives(&row, &json!({ "records_path": "$[*]" }));
    gives(&row, &json!({ "records_path": "$[*]", "primary_keys": ["id"] }));
    gives(&json!({ "item": row }), &json!({ "records_path": "$.item" }));
    gives(&json!({ "errors": [row] }), &json!({ "records_path": "$.errors[*]" }));
    gives(&json!({ "error": row }), &json!({ "records_path": "$.error" }));
    gives(&json!({ "a": row }), &json!({ "records_path": "$.*" }));
    let good = json!({ "error": null, "errors": [], "success": true, "ok": 1, "status": "OK",
        "code": 0, "msg": "success", "error_code": 0, "errmsg": "", "status_code": 200,
        "meta": { "status": 200, "error": {}, "errors": false }, "result": "no error",
        "failed": 0, "hasErrors": false, "items": [] });
    for options in [json!({}), json!({ "allow_missing_records": true })] {
        ends(&good, &options, 0);
    }
    ends(&json!({ "code": 10, "msg": "No records", "items": [] }), &json!({}), 0);
    // An object that is a record for want of anything better.
    for options in [
        json!({ "records_path": "$[*]" }),
        json!({ "records_path": "$[*]",
        "primary_keys": ["id"] }),
    ] {
        ends(&json!({ "error": { "code": 429, "message": "slow down" } }), &options, 75);
    }
}

#[test]
fn what_is_only_accepted_is_not_answered() {
    let later = || Reply::text(202, "application/json", "{\"items\":[]}");
    let web = Web::replies(vec![later(), Reply::json(&json!({ "items": [{ "id": 1 }] }))]);
    assert_eq!(read(&web, &json!({})).success().records("t").len(), 1);
    let web = Web::replies(vec![later()]);
    read(&web, &json!({ "allow_missing_records": true })).exits(75);
    assert_eq!(web.asked().len(), 3);
}

#[test]
fn an_answer_that_says_that_it_is_incomplete_is_none() {
    let lacks = [
        json!({ "timed_out": true }),
        json!({ "incompleteResults": "true" }),
        json!({ "meta": { "is_partial": true } }),
        json!({ "_shards": { "total": 5, "skipped": 3, "failed": 1 } }),
        json!({ "_clusters": { "partial": 2 } }),
        json!({ "jobComplete": false }),
    ];
    let nested = json!({ "records_path": "$.hits.items[*]" });
    for lack in &lacks {
        for (items, asked) in [(json!([]), 3), (json!([{ "id": 1 }]), 1)] {
            let mut flat = lack.clone();
            flat["items"] = items.clone();
            let mut deep = lack.clone();
            deep["hits"] = json!({ "items": items });
            let mut inner = lack.clone();
            inner["items"] = items;
            let inner = json!({ "hits": inner });
            for (answer, options) in
                [(flat, json!({})), (deep, nested.clone()), (inner, nested.clone())]
            {
                let web = Web::replies(vec![Reply::json(&answer)]);
                let outcome = read(&web, &options).exits(75);
                for word in ["incomplete", "member: $.", "`error_in_answer: warn`"] {
                    assert!(outcome.stderr.contains(word), "{answer}: {}", outcome.stderr);
                }
                assert_eq!(web.asked().len(), asked, "{answer}");
                assert!(!outcome.text().contains("\"currently_syncing\":null"), "{answer}");
                let mut options = options;
                options["error_in_answer"] = "warn".into();
                let outcome = read(&web, &options).success();
                assert!(outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{}", outcome.stderr);
            }
        }
    }
    // What says that it is whole, what asks so, and what a record says of itself.
    let whole = json!({ "timed_out": false, "partial": null, "incomplete_results": "no",
        "_shards": { "failed": 0, "skipped": 4 }, "query": { "partial": true },
        "items": [{ "id": 1, "partial": true, "timed_out": true }] });
    let one = json!({ "id": 1, "partial": true, "_shards": { "failed": 1 } });
    let gives = |answer: &Value, options: &Value| {
        let web = Web::replies(vec![Reply::json(answer)]);
        let outcome = read(&web, options).success();
        assert_eq!(outcome.records("t").len(), 1, "{answer}");
        assert!(!outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{}", outcome.stderr);
    };
    gives(&whole, &json!({}));
    gives(&one, &json!({ "records_path": "$[*]", "primary_keys": ["id"] }));
    gives(&json!({ "items": one }), &json!({ "records_path": "$.items" }));
    // A passing one is tried again.
    let replies = [json!({ "timed_out": true, "items": [] }), json!({ "items": [{ "id": 1 }] })];
    let web = Web::replies(replies.iter().map(Reply::json).collect());
    assert_eq!(read(&web, &json!({})).success().records("t").len(), 1);
}

#[test]
fn a_last_line_that_tells_of_a_failure_is_no_record() {
    let lines = |lines: &[Value], options: &Value| {
        let text: String =
            lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect();
        let web = Web::replies(vec![Reply::text(200, "application/x-ndjson", &text)]);
        let mut stream = json!({ "path": "items" });
        stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        tap_api(&web.url, &stream, &json!({})).go()
    };
    let row = json!({ "id": 1, "sku": "a", "error": "timeout" });
    for (complaint, code) in [
        (json!({ "error": { "code": 503, "message": "shard is gone" } }), 75),
        (json!({ "error": "the query was cancelled", "status": 400 }), 69),
        (json!({ "errors": [{ "message": "stopped" }], "request_id": "x" }), 65),
    ] {
        let outcome = lines(&[row.clone(), complaint.clone()], &json!({})).exits(code);
        assert!(outcome.stderr.contains("line: 2"), "{}", outcome.stderr);
        let warned = json!({ "error_in_answer": "warn" });
        let outcome = lines(&[row.clone(), complaint.clone()], &warned).success();
        assert!(outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{}", outcome.stderr);
        // Where all are such, they are records.
        lines(&[complaint.clone(), complaint.clone()], &json!({})).success();
        lines(&[complaint], &json!({})).success();
    }
    assert_eq!(lines(&[row.clone(), row], &json!({})).success().records("t").len(), 2);
}

/// Reads these pages, without records behind them.
fn read_pages(pages: &[Value], options: &Value) -> Outcome {
    let pages = pages.to_vec();
    let web = Web::start(move |asked| {
        let page: usize = asked.param("page").map_or(1, |text| text.parse().unwrap());
        Reply::json(pages.get(page - 1).unwrap_or(&json!([])))
    });
    let mut stream = json!({ "path": "items", "pagination_request_style": "page_number",
        "allow_missing_records": true });
    stream.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    tap_api(&web.url, &stream, &json!({})).go()
}

#[test]
fn an_object_in_the_place_of_a_list_is_a_record_only_if_it_looks_like_one() {
    let list = json!([{ "id": 1, "n": "a" }, { "id": 2, "n": "b", "note": null }]);
    for (object, with_keys, without) in [
        (json!({ "see": "the manual" }), 65, 65),
        (json!({ "message": "Quota used up, try again later" }), 75, 75),
        (json!({ "detail": "Permission missing" }), 77, 77),
        (json!({ "n": "a", "status": 7, "docs": "x" }), 65, 65),
        (json!({ "id": 3, "n": "c" }), 0, 0),
        (json!({ "id": 3, "m": 1, "o": 2 }), 0, 65),
    ] {
        for (keys, code) in [(json!(["id"]), with_keys), (json!([]), without)] {
            for wrapped in [false, true] {
                let wrap = |value: &Value| {
                    if wrapped { json!({ "items": value }) } else { value.clone() }
                };
                let path = if wrapped { "$.items[*]" } else { "$[*]" };
                let options = json!({ "records_path": path, "primary_keys": keys });
                let outcome = read_pages(&[wrap(&list), wrap(&object)], &options);
                assert_eq!(outcome.code, code, "{object} {options}: {}", outcome.stderr);
                if code == 0 {
                    assert_eq!(outcome.records("t").len(), 3, "{object} {options}");
                }
            }
        }
    }
}

#[test]
fn an_object_for_one_input_is_none_where_others_have_lists() {
    for (first, concurrency) in [("a", 1), ("a", 2), ("b", 1), ("b", 2)] {
        let web = Web::start(move |asked| {
            let has_list = asked.path() == "/a";
            Reply::json(&if has_list { json!([{ "id": 1 }]) } else { json!({ "hello": "there" }) })
        });
        let second = if first == "a" { "b" } else { "a" };
        let stream = json!({ "path": "{o}", "concurrency": concurrency,
            "inputs": [{ "o": first }, { "o": second }] });
        let complaint = tap_api(&web.url, &stream, &json!({})).go().exits(65).stderr;
        assert!(complaint.contains("a list in one answer"), "{first}: {complaint}");
    }
}

#[test]
fn a_page_without_records_that_says_why_is_not_the_end() {
    let pages = |good: &Value, last: &Value| {
        let with = |beside: &Value, items: Value| {
            let mut page = beside.clone();
            page["items"] = items;
            page
        };
        [with(good, json!([{ "id": 1 }, { "id": 2 }])), with(last, json!([]))]
    };
    let options = json!({ "records_path": "$.items[*]" });
    for (good, last, code) in [
        (json!({}), json!({ "message": "Quota exceeded" }), 65),
        (json!({}), json!({ "msg": "Too many calls" }), 75),
        (json!({ "ret": 0, "info": "ok" }), json!({ "ret": 1001, "info": "?" }), 65),
        (json!({ "head": { "rc": "0" } }), json!({ "head": { "rc": "-3" } }), 65),
        (json!({ "returnCode": 0 }), json!({ "returnCode": -1, "returnMsg": "busy" }), 75),
        (json!({ "code": 0, "msg": "ok" }), json!({ "code": 7, "msg": "token expired" }), 77),
        (json!({ "code": 0, "msg": "ok" }), json!({ "code": 7, "msg": "No more data" }), 0),
        (json!({ "code": 200, "msg": "ok" }), json!({ "code": 204, "msg": "" }), 0),
        (json!({ "message": "2 found" }), json!({ "message": "that is all" }), 0),
        (json!({ "message": "failed before: 3" }), json!({ "message": "failed before: 3" }), 0),
        (json!({ "code": 12 }), json!({ "code": 12 }), 0),
    ] {
        let outcome = read_pages(&pages(&good, &last), &options);
        assert_eq!(outcome.code, code, "{good} {last}: {}", outcome.stderr);
        let told = outcome.stderr.contains(" W-");
        assert!(code != 0 || !told, "{good} {last}: {}", outcome.stderr);
        if code != 0 {
            let warns = json!({ "records_path": "$.items[*]", "error_in_answer": "warn" });
            let outcome = read_pages(&pages(&good, &last), &warns).success();
            assert!(outcome.stderr.contains("W-ERROR-IN-ANSWER"), "{last}: {}", outcome.stderr);
        }
    }
}
