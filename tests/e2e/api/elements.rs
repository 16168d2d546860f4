//! Records that are no objects in a list: in documents, values, members, arrays, lines, CSV; and
//! what is asked for with the first page alone, or by several tokens.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::apis::tap_apis;
use support::run::Outcome;
use support::web::{Reply, Web};

/// Reads one stream of an API that gives this answer, called so.
fn read(kind: &str, answer: &[u8], stream: &Value) -> Outcome {
    let (kind, answer) = (kind.to_owned(), answer.to_vec());
    let web = Web::start(move |_| Reply::bytes(200, &kind, &answer));
    let mut all = json!({ "name": "s", "path": "s", "pagination_request_style": "none" });
    all.as_object_mut().unwrap().extend(stream.as_object().unwrap().clone());
    tap_apis(&web.url, &[all], &json!({})).go()
}

fn rows(answer: &str, stream: &Value) -> Value {
    Value::from(read("application/json", answer.as_bytes(), stream).success().records("s"))
}

#[test]
fn records_in_documents_keep_fields_of_those() {
    let answer = r#"{ "as_of": "2026-01-02", "orders": [
        { "lines": [{ "sku": "a", "taxes": [{ "t": 1.5 }, { "t": 2 }] }, { "sku": "b" }],
          "id": 1 },
        { "lines": [], "id": 2 }, { "id": 3, "lines": null }, { "id": 4 },
        { "id": 5, "lines": [{ "sku": "c", "taxes": [{ "t": 3 }] }] } ] }"#;
    let lines = json!({ "records_path": "$.orders[*].lines[*]",
        "parent_fields": { "order": "$.orders[*].id", "as_of": "$.as_of" } });
    let found = rows(answer, &lines);
    let short = |row: &Value| json!([row["order"], row["sku"], row["as_of"]]);
    let shown: Vec<Value> = found.as_array().unwrap().iter().map(short).collect();
    let day = "2026-01-02";
    assert_eq!(Value::from(shown), json!([[1, "a", day], [1, "b", day], [5, "c", day]]));
    let taxes = json!({ "records_path": "$.orders[*].lines[*].taxes[*]",
        "parent_fields": { "order": "$.orders[*].id", "sku": "$.orders[*].lines[*].sku" } });
    assert_eq!(
        rows(answer, &taxes).to_string(),
        r#"[{"order":1,"sku":"a","t":1.5},{"order":1,"sku":"a","t":2},{"order":5,"sku":"c","t":3}]"#
    );
    let beside = json!({ "records_path": "$.orders[*]", "parent_fields": { "at": "$.as_of" } });
    assert_eq!(rows(answer, &beside)[3], json!({ "at": day, "id": 4 }));
}

#[test]
fn fields_that_cannot_be_are_refused() {
    let orders = br#"{"orders":[{"id":1,"items":[{"id":2}]}]}"#;
    let read = |path: &str, fields: Value| {
        let stream = json!({ "records_path": path, "parent_fields": fields });
        read("application/json", orders, &stream)
    };
    let id = json!({ "id": "$.orders[*].id" });
    let said = read("$.orders[*].items[*]", id).exits(65).stderr;
    assert!(said.contains("choose another name in `parent_fields`"), "{said}");
    let said = read("$.orders[*].lines[*]", json!({ "o": "$.orders[*].id" })).exits(65).stderr;
    assert!(said.contains("cannot find the records"), "{said}");
    let said = read("$.orders[*].items[*]", json!({ "o": "$.orders[*]" })).exits(78).stderr;
    assert!(said.contains("parent_fields"), "{said}");
}

#[test]
fn values_members_and_arrays_are_rows() {
    let values = json!({ "records_path": "$.tags[*]", "value_column": "tag" });
    assert_eq!(
        rows(r#"{"tags":["a",null,1.50]}"#, &values).to_string(),
        r#"[{"tag":"a"},{"tag":null},{"tag":1.50}]"#
    );
    let members = json!({ "records_path": "$.rates.*", "key_column": "currency" });
    let answer = r#"{"rates":{"EUR":{"r":1.10},"CHF":{"r":1.05}}}"#;
    let expected = r#"[{"currency":"EUR","r":1.10},{"currency":"CHF","r":1.05}]"#;
    assert_eq!(rows(answer, &members).to_string(), expected);
    let both =
        json!({ "records_path": "$.rates.*", "key_column": "currency", "value_column": "r" });
    assert_eq!(rows(r#"{"rates":{"EUR":1.10,"CHF":1.05}}"#, &both).to_string(), expected);
    let outcome = read("application/json", answer.as_bytes(), &members).success();
    assert!(!outcome.stderr.contains("W-PROPERTY-LOST"), "{}", outcome.stderr);
    let expected = r#"[{"id":1,"n":"a"},{"id":2,"n":null}]"#;
    for (answer, place) in [
        (r#"{"rows":[[1,"a"],[2,null]],"columns":["id","n"]}"#, "$.columns[*]"),
        (
            r#"{"fields":[{"name":"id"},{"name":"n"}],"rows":[[1,"a"],[2,null]]}"#,
            "$.fields[*].name",
        ),
        (r#"{"rows":[["id","n"],[1,"a"],[2,null]]}"#, "first_row"),
    ] {
        let arrays = json!({ "records_path": "$.rows[*]", "columns_path": place });
        assert_eq!(rows(answer, &arrays).to_string(), expected, "{place}");
    }
    let arrays = json!({ "records_path": "$.rows[*]", "columns_path": "$.columns[*]" });
    for (answer, word) in [
        (r#"{"rows":[[1,2,3]],"columns":["a","b"]}"#, "3 values"),
        (r#"{"rows":[[1,2],[3]],"columns":["a","b"]}"#, "1 values"),
        (r#"{"rows":[[]],"columns":["a","b"]}"#, "0 values"),
        (r#"{"rows":[[1,2]],"columns":["a","a"]}"#, "two have one name"),
        (r#"{"rows":[[1,2]]}"#, "there are no columns"),
    ] {
        let said = read("application/json", answer.as_bytes(), &arrays).exits(65).stderr;
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(rows(r#"{"rows":[],"columns":[]}"#, &arrays), json!([]));
    let first = json!({ "records_path": "$.rows[*]", "columns_path": "first_row" });
    let short = br#"{"rows":[["a","b"],[1,2],[3]]}"#;
    let said = read("application/json", short, &first).exits(65).stderr;
    assert!(said.contains("it has 1 values, and there are 2 columns"), "{said}");
}

#[test]
fn bytes_that_are_no_text_are_told_with_what_reads_them() {
    let text = r#"[{"id":1,"v":"é"}]"#;
    let latin: Vec<u8> = text.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
    let wide: Vec<u8> =
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (bytes, encoding) in [(latin, "latin-1"), (wide, "utf-16")] {
        let refused = read("application/json", &bytes, &json!({})).exits(65);
        let hint = refused.stderr.lines().find(|line| line.contains("hint:")).unwrap();
        assert!(hint.contains("`encoding`") && hint.contains(encoding), "{}", refused.stderr);
        let outcome = read("application/json", &bytes, &json!({ "encoding": encoding })).success();
        assert_eq!(outcome.records("s"), [json!({ "id": 1, "v": "é" })]);
    }
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x8b, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2];
    for kind in ["application/json", "text/csv", "application/x-ndjson"] {
        let refused = read(kind, &gzip, &json!({})).exits(65);
        for word in ["(compressed with gzip)", "`Content-Encoding: gzip`"] {
            assert!(refused.stderr.contains(word), "{kind}: {}", refused.stderr);
        }
    }
}

#[test]
fn an_answer_is_read_as_what_it_is_called_or_set_to_be() {
    let check = |kind: &str, answer: &[u8], stream: Value, expected: &str| {
        let found = Value::from(read(kind, answer, &stream).success().records("s"));
        assert_eq!(found.to_string(), expected, "{kind} {stream}");
    };
    let csv = "id,n,x\r\n1,\"a\n\"\"b\"\"\",\r\n\r\n2,ä,\"\"\r\n";
    let expected = r#"[{"id":"1","n":"a\n\"b\"","x":null},{"id":"2","n":"ä","x":""}]"#;
    check("text/csv; charset=utf-8", csv.as_bytes(), json!({}), expected);
    check("text/plain", csv.as_bytes(), json!({ "answer_format": "csv" }), expected);
    let schema = json!({ "schema": { "type": "object", "properties": {
        "id": { "type": "integer" }, "n": { "type": ["null", "string"] },
        "x": { "type": ["null", "string"] } } } });
    let typed = expected.replace("\"1\"", "1").replace("\"2\"", "2");
    check("text/csv", csv.as_bytes(), schema.clone(), &typed);
    let semicolons = csv.replace(',', ";");
    check("text/csv", semicolons.as_bytes(), json!({ "delimiter": ";" }), expected);
    let latin: Vec<u8> = csv.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
    check("text/csv; charset=ISO-8859-1", &latin, json!({}), expected);
    check("text/csv", &latin, json!({ "encoding": "cp1252" }), expected);
    // Many servers name an encoding that they do not use.
    check("text/csv; charset=ISO-8859-1", csv.as_bytes(), json!({}), expected);
    let wide: Vec<u8> = r#"[{"a":"ä"}]"#.encode_utf16().flat_map(u16::to_be_bytes).collect();
    check("application/json; charset=utf-16be", &wide, json!({}), r#"[{"a":"ä"}]"#);
    let lines = b"{\"a\":1}\n\n{\"a\":2}\n";
    check("text/plain", lines, json!({ "answer_format": "jsonl" }), r#"[{"a":1},{"a":2}]"#);
    check("application/jsonlines", lines, json!({}), r#"[{"a":1},{"a":2}]"#);
    check("text/html; charset=utf-8", b"\n [{\"a\":1}]", json!({}), r#"[{"a":1}]"#);
    for (kind, answer, stream, word) in [
        ("text/html", &b"<p>sign in</p>"[..], json!({}), "not JSON"),
        ("text/csv", b"a,b\n1\n", json!({}), "another number of fields"),
        ("text/csv", b"a,a\n1,2\n", json!({}), "two have one name"),
        ("text/csv", b"Error: quota exceeded\n", schema.clone(), "none of the columns"),
        ("text/csv", b"error,message\n429,slow down\n", schema.clone(), "none of the columns"),
        ("text/csv", b"id;n;x\n1;a;b\n", schema.clone(), "`delimiter`"),
        ("text/csv", b"", schema.clone(), "the answer is empty"),
        ("application/json", &latin, json!({}), "not JSON"),
        ("application/json; charset=klingon", b"[{\"a\":\"\xe4\"}]", json!({}), "set `encoding`"),
    ] {
        let said = read(kind, answer, &stream).exits(65).stderr;
        assert!(said.contains(word), "{kind}: {said}");
    }
    let told = |text: &[u8]| read("text/csv", text, &json!({})).success().stderr;
    let said = told(b"id;n;x\n1;a;b\n");
    assert_eq!(said.matches("W-DELIMITER-DOUBTFUL: stream s: the only").count(), 1, "{said}");
    assert!(told(b"id\tn\n1\ta\n").contains("has a '\\t' in its name"));
    assert!(!told(b"id\n1;2\n").contains("W-DELIMITER"));
    let said = read("text/csv", b"a\n", &json!({ "encoding": "klingon" })).exits(78).stderr;
    assert!(said.contains("cannot find the encoding"), "{said}");
}

#[test]
fn pages_are_counted_by_the_elements_of_their_list() {
    let lines = [vec![1], vec![], vec![2, 3], vec![], vec![4], vec![]];
    let order = |(at, lines): (usize, &Vec<u8>)| {
        let lines: Vec<Value> = lines.iter().map(|line| json!({ "line": line })).collect();
        json!({ "id": at, "lines": lines })
    };
    let orders: Vec<Value> = lines.iter().enumerate().map(order).collect();
    for fields in [json!(null), json!({ "order": "$.orders[*].id" })] {
        for (style, size) in [("page_number", 1), ("offset", 2)] {
            let orders = orders.clone();
            let web = Web::start(move |asked| {
                let number = |name: &str| asked.param(name).map(|it| it.parse::<usize>().unwrap());
                let at = number("offset").unwrap_or_else(|| number("page").unwrap() - 1);
                let part = orders.iter().skip(at).take(size).collect::<Vec<_>>();
                Reply::json(&json!({ "orders": part }))
            });
            let stream = json!({ "name": "s", "path": "s", "parent_fields": fields,
                "records_path": "$.orders[*].lines[*]", "pagination_request_style": style,
                "pagination_page_size": size });
            let outcome = tap_apis(&web.url, &[stream], &json!({})).go().success();
            let found: Vec<Value> =
                outcome.records("s").into_iter().map(|mut row| row["line"].take()).collect();
            assert_eq!(found, [1, 2, 3, 4], "{style} {fields}");
            assert!(!outcome.stderr.contains("W-DATA-MOVED"), "{}", outcome.stderr);
        }
    }
}

#[test]
fn what_would_be_taken_wrongly_is_refused() {
    let check = |stream: Value, answer: &str, code: i32, word: &str| {
        let kind = stream["kind"].as_str().unwrap_or("application/json").to_owned();
        let mut stream = stream;
        stream.as_object_mut().unwrap().remove("kind");
        let said = read(&kind, answer.as_bytes(), &stream).exits(code).stderr;
        assert!(said.contains(word), "{stream} {answer}: {said}");
    };
    let token = |path: &str| {
        json!({ "records_path": "$.items[*]", "pagination_request_style": "token",
            "next_page_token_path": path })
    };
    check(token("$.items[1].id"), "{}", 78, "cannot read a field inside the list of records");
    let first = json!({ "o": "$.o[*].id", "first": "$.o[0].id" });
    check(json!({ "records_path": "$.o[*].l[*]", "parent_fields": first }), "{}", 78, "first");
    let member = json!({ "records_path": "$.o.*", "parent_fields": { "a": "$.o.A.id" } });
    check(member, "{}", 78, "parent_fields");
    let header = json!({ "records_path": "$.rows[*]", "columns_path": "$.rows[0][*]" });
    check(header, "{}", 78, "columns_path");
    let tables = json!({ "records_path": "$.t[*].rows[*]", "columns_path": "$.t[*].columns[*]" });
    check(tables, "{}", 78, "columns of several tables");
    check(json!({ "records_path": "$.i[*]", "key_column": "k" }), "{}", 78, "ends with .*");
    let tokens = json!({ "pagination_request_style": "token", "next_page_tokens": { "b": "$.b" } });
    check(tokens, "{}", 78, "`next_page_token_path` for the first token");
    let both = json!({ "records_path": "$.i[*]", "pagination_request_style": "token",
        "next_page_token_path": "$.a", "next_page_tokens": { "b": "$.b" } });
    check(both, r#"{"i":[{"x":1}],"b":2}"#, 65, "lacks a token");
    let names = json!({ "records_path": "$.r[*]", "columns_path": "$.c[*].name" });
    let lacking = r#"{"r":[[1,2]],"c":[{"name":"a"},{}]}"#;
    check(names, lacking, 65, "one has no name");
    let lines = json!({ "kind": "application/x-ndjson", "records_path": "$.result" });
    check(lines, "{\"result\":{}}\n", 78, "cannot use `records_path` with an answer of lines");
    for error in ["{\"error\":\"quota\"}", "<html>", "[{\"a\":1}]"] {
        check(json!({ "answer_format": "csv" }), error, 65, "not CSV");
        check(json!({ "kind": "text/csv" }), error, 65, "not CSV");
    }
    let seven = json!({ "kind": "text/csv; charset=utf-7" });
    check(seven, "a\n+AOQ-\n", 65, "set `encoding`");
    let outcome = read("text/csv; charset=iso-2022-jp", b"a\n\x1b$B&D\x1b(B\n", &json!({}));
    assert_eq!(outcome.success().records("s"), [json!({ "a": "δ" })]);
    for kind in ["text/csv", "application/jsonl"] {
        assert!(read(kind, b"", &json!({})).success().records("s").is_empty());
    }
}

#[test]
fn a_page_with_other_columns_than_the_first_is_refused() {
    let read = |second: &'static str| {
        let web = Web::start(move |asked| {
            let text = match asked.param("page") {
                Some("1") => "a,b\n1,x\n",
                Some("2") => second,
                _ => "a,b\n",
            };
            Reply::text(200, "text/csv", text)
        });
        let stream = json!({ "name": "s", "path": "s", "pagination_request_style": "page_number" });
        tap_apis(&web.url, &[stream], &json!({})).go()
    };
    let said = read("2,y\n3,z\n").exits(65).stderr;
    assert!(said.contains("has other columns"), "{said}");
    assert_eq!(read("b,a\ny,2\n").success().records("s").len(), 2);
}

#[test]
fn the_first_page_has_parameters_of_its_own_and_others_several_tokens() {
    for in_body in [false, true] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let web = Web::start({
            let asked = Arc::clone(&asked);
            move |request| {
                let query = request.target.split_once('?').map_or("", |(_, query)| query);
                let body = request.body.clone();
                asked.lock().unwrap().push(if in_body { body } else { query.to_owned() });
                let at = request.before + 1;
                let next =
                    if at < 3 { json!({ "id": at, "at": format!("t{at}") }) } else { json!({}) };
                Reply::json(&json!({ "rows": [{ "n": at }], "next": next }))
            }
        });
        let stream = json!({ "name": "s", "path": "s", "records_path": "$.rows[*]",
            "params": { "all": "1" }, "first_page_params": { "from": "x" },
            "use_request_body_not_params": in_body,
            "next_page_token_path": "$.next.id", "pagination_next_page_param": "after",
            "next_page_tokens": { "after_at": "$.next.at" } });
        let outcome = tap_apis(&web.url, &[stream], &json!({})).go().success();
        assert_eq!(outcome.records("s").len(), 3);
        let asked = asked.lock().unwrap().clone();
        let expected = if in_body {
            [
                r#"{"all":"1","from":"x"}"#,
                r#"{"all":"1","after":1,"after_at":"t1"}"#,
                r#"{"all":"1","after":2,"after_at":"t2"}"#,
            ]
        } else {
            ["all=1&from=x", "all=1&after=1&after_at=t1", "all=1&after=2&after_at=t2"]
        };
        assert_eq!(asked, expected);
    }
}
