//! Headers of delimited files: a row is never read as a header, nor a header as a row, without a
//! warning.

use std::path::Path;

use serde_json::{Value, json};

use support::folder;
use support::run::{Outcome, Run, file, ours};

fn tap(path: &Path, more: &Value) -> Run {
    let mut entry = json!({ "entity": "t", "path": path });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ours("tap-csv").config(&json!({ "files": [entry] }))
}

/// Reads files that are named by their place.
fn read(files: &[&str], more: &Value) -> Outcome {
    let scratch = folder();
    for (at, text) in files.iter().enumerate() {
        file(scratch.path(), &format!("in/{at}.csv"), text);
    }
    tap(&scratch.path().join("in"), more).go()
}

#[track_caller]
fn rows(outcome: Outcome, warnings: &[&str], expected: &Value) {
    let outcome = outcome.success();
    for code in ["W-HEADER-DOUBTFUL", "W-HEADER-REPEATED", "W-MARK-INSIDE", "W-COLUMN-ALIKE"] {
        let told = outcome.stderr.contains(&format!("{code}: "));
        assert_eq!(told, warnings.contains(&code), "{code} in {}", outcome.stderr);
    }
    assert_eq!(Value::from(outcome.records("t")), *expected);
}

#[test]
fn a_file_that_has_no_column_of_the_table_is_refused() {
    let no = json!({});
    let alone = |words: &str, files: &[&str], more: &Value| {
        let outcome = read(files, more).exits(65);
        assert_eq!(outcome.records("t").len(), 0);
        for word in ["cannot find a column of the table in a file", "1.csv", words] {
            assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
        }
    };
    // A later part without a header; its first line is no header.
    alone("`header: false`", &["id,n\n1,a\n", "2,b\n3,c\n"], &no);
    alone("line: 3", &["-\n-\nid,n\n1,a\n", "-\n-\nx,y\n"], &json!({ "skip_rows": 2 }));
    alone("with another spelling in: ", &["id,n\n1,a\n", "ID,N\n3,c\n"], &no);
    alone("this `delimiter`", &["id,n\n1,a\n", "id;n\n1;a\n"], &no);
    // What the message says helps.
    let scratch = folder();
    file(scratch.path(), "1.csv", "id,n\n1,a\n");
    file(scratch.path(), "2.csv", "2,b\n3,c\n");
    let path = scratch.path().join("2.csv");
    let own = tap(&path, &json!({ "header": false, "columns": ["id", "n"] })).go();
    rows(own, &[], &json!([{ "id": 2, "n": "b" }, { "id": 3, "n": "c" }]));
    // A catalog is held to the same.
    let catalog = tap(&scratch.path().join("1.csv"), &no).args(["--discover"]).go().success();
    let catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
    let outcome = tap(scratch.path(), &no).json("--catalog", &catalog).go().exits(65);
    assert!(outcome.stderr.contains("2.csv") && outcome.stderr.contains("line: 1"));
    // Files may share some columns, in any order, and have more or fewer.
    rows(
        read(&["id,n\n1,a\n", "n,id\nb,2\n", "m,id\nx,3\n", "id\n4\n"], &no),
        &[],
        &json!([
            { "id": 1, "n": "a", "m": null }, { "id": 2, "n": "b", "m": null },
            { "id": 3, "n": null, "m": "x" }, { "id": 4, "n": null, "m": null },
        ]),
    );
}

#[test]
fn names_that_differ_little_are_told() {
    rows(
        read(&["id,Order Date\n1,a\n", "id,order_date\n2,b\n"], &json!({})),
        &["W-COLUMN-ALIKE"],
        &json!([
            { "id": 1, "Order Date": "a", "order_date": null },
            { "id": 2, "Order Date": null, "order_date": "b" },
        ]),
    );
    for (one, other, shown) in
        [("Größe", "Gro\u{308}ße", "o\\u{308}"), ("n", "n\u{200b}", "\\u{200b}")]
    {
        let files = [format!("id,{one}\n1,a\n"), format!("id,{other}\n2,b\n")];
        let outcome = read(&[&files[0], &files[1]], &json!({}));
        assert!(outcome.stderr.contains(shown), "{}", outcome.stderr);
        let expected = json!([
            { "id": 1, one: "a", other: null }, { "id": 2, one: null, other: "b" },
        ]);
        rows(outcome, &["W-COLUMN-ALIKE"], &expected);
    }
    // One file has both, so they are two.
    let both = json!([{ "id": 1, "ID": 2 }, { "id": null, "ID": 3 }]);
    rows(read(&["id,ID\n1,2\n", "ID\n3\n"], &json!({})), &[], &both);
}

#[test]
fn a_row_that_is_taken_for_the_header_is_told() {
    let told = ["W-HEADER-DOUBTFUL"];
    rows(read(&["1,anna\n2,bert\n"], &json!({})), &told, &json!([{ "1": 2, "anna": "bert" }]));
    rows(
        read(&["x,2026-01-02\ny,2026-01-03\n"], &json!({})),
        &told,
        &json!([
            { "x": "y", "2026-01-02": "2026-01-03" }
        ]),
    );
    let named = json!({ "header": false });
    rows(read(&["1,anna\n"], &named), &[], &json!([{ "c1": 1, "c2": "anna" }]));
    // Crosswise tables, and names that no value below is like.
    rows(
        read(&["product,2025,2026\npen,1,2\n"], &json!({})),
        &[],
        &json!([
            { "product": "pen", "2025": 1, "2026": 2 }
        ]),
    );
    rows(read(&["1,id\nx,1\n"], &json!({})), &[], &json!([{ "1": "x", "id": 1 }]));
    // Numbers alone are no names, whatever their order.
    for (text, row) in [
        ("1,2\n3,4\n", json!({ "1": 3, "2": 4 })),
        ("7,8\n2,6\n", json!({ "7": 2, "8": 6 })),
        ("2025,2026\n7,8\n", json!({ "2025": 7, "2026": 8 })),
        ("5,9.5\n3,x\n", json!({ "5": 3, "9.5": "x" })),
    ] {
        rows(read(&[text], &json!({})), &told, &json!([row]));
    }
    rows(read(&["0,1\na,b\n"], &json!({})), &[], &json!([{ "0": "a", "1": "b" }]));
    // What is no delimited text at all.
    for (text, words) in [
        ("{\"a\":1}\n{\"a\":2}\n", "set `format` to json or jsonl"),
        ("[\n{\"a\":1}\n]\n", "set `format` to json or jsonl"),
        ("<!DOCTYPE html>\n<p>Sign in</p>\n", "HTML"),
        ("<?xml version=\"1.0\"?>\n<a/>\n", "XML"),
        ("\n\nid\n1\n", "set `skip_rows`"),
    ] {
        let outcome = read(&[text], &json!({})).exits(65);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let lines = read(&["{\"a\":1}\n{\"a\":2}\n"], &json!({ "format": "jsonl" }));
    rows(lines, &[], &json!([{ "a": 1 }, { "a": 2 }]));
    let meant = read(&["<html>\nx\n"], &json!({ "format": "csv" }));
    rows(meant, &[], &json!([{ "<html>": "x" }]));
}

#[test]
fn files_that_were_put_together_give_their_rows_alone() {
    let expected = json!([{ "id": 1, "n": "a,b" }, { "id": 2, "n": "c" }]);
    let two = ["W-HEADER-REPEATED", "W-MARK-INSIDE"];
    for (text, warnings) in [
        ("id,n\n1,\"a,b\"\nid,n\n2,c\n", &two[..1]),
        ("id,n\r\n1,\"a,b\"\r\nid,n\r\nid,n\r\n2,c", &two[..1]),
        ("\u{feff}id,n\n1,\"a,b\"\n\u{feff}id,n\n2,c\n", &two),
        ("\u{feff}\"id\",n\n1,\"a,b\"\n\u{feff}\"id\",n\n2,c\n", &two),
        ("\u{feff}\u{feff}id,n\n\u{feff}1,\"a,b\"\n\u{feff}2,c\n\u{feff}", &two[1..]),
    ] {
        rows(read(&[text], &json!({})), warnings, &expected);
    }
    // In another spelling, too.
    for again in ["\"id\",\"n\"", "id, n", "ID,N", "Id,\"n \""] {
        let text = format!("id,n\n1,\"a,b\"\n{again}\n2,c\n");
        rows(read(&[&text], &json!({})), &two[..1], &expected);
    }
    let umlaut = json!([{ "größe": 1, "id": "x" }, { "größe": 2, "id": "y" }]);
    rows(
        read(&["größe,id\n1,x\nGRÖSSE,Id\n"], &json!({})),
        &[],
        &json!([
            { "größe": "1", "id": "x" }, { "größe": "GRÖSSE", "id": "Id" },
        ]),
    );
    rows(read(&["größe,id\n1,x\nGRÖßE,Id\n2,y\n"], &json!({})), &two[..1], &umlaut);
    let renamed = json!({ "rename_headers": true });
    let names = json!([{ "a": 1, "c2": 2, "a_2": 3 }, { "a": 4, "c2": 5, "a_2": 6 }]);
    rows(read(&["a,,a\n1,2,3\n\"a\",,a\n4,5,6\n"], &renamed), &two[..1], &names);
    // Rows have other values: some of the names, or one of them twice.
    for row in ["id,x", "n,n", "ID,"] {
        let outcome = read(&[&format!("id,n\n1,a\n{row}\n")], &json!({})).success();
        assert_eq!(outcome.records("t").len(), 2, "{row}");
    }
    // One column may have its name for a value; without a header there is none to come again.
    rows(read(&["n\nx\nn\n"], &json!({})), &[], &json!([{ "n": "x" }, { "n": "n" }]));
    let all = json!([{ "c1": "id", "c2": "n" }, { "c1": "id", "c2": "n" }]);
    rows(read(&["id,n\nid,n\n"], &json!({ "header": false })), &[], &all);
    // A mark within a value is part of it.
    rows(read(&["id,n\n1,\u{feff}x\n"], &json!({})), &[], &json!([{"id": 1, "n": "\u{feff}x"}]));
}

#[test]
fn a_header_in_another_order_is_heeded_from_there_on() {
    let told = ["W-HEADER-REPEATED"];
    let expected = json!([
        { "id": 1, "n": "a", "day": "2026-01-01" },
        { "id": 2, "n": "b", "day": "2026-01-02" },
        { "id": 3, "n": null, "day": "2026-01-03" },
        { "id": 4, "n": "d", "day": "2026-01-04" },
    ]);
    let text = "id,n,day\n1,a,2026-01-01\nday,id,n\n2026-01-02,2,b\n2026-01-03,3,\n\
                \"ID\", N,day\n4,d,2026-01-04\n";
    let outcome = read(&[text], &json!({}));
    assert!(outcome.stderr.contains("line 3 of "), "{}", outcome.stderr);
    rows(outcome, &told, &expected);
    // Columns that are not selected, and a key, stay what they are.
    let scratch = folder();
    let path = file(scratch.path(), "a.csv", text);
    let run = || tap(&path, &json!({ "keys": ["id"] }));
    let catalog = run().args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!(["properties", "n"]) {
            entry["metadata"]["selected"] = json!(false);
        }
    }
    let some: Vec<Value> = expected
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!({ "id": row["id"], "day": row["day"] }))
        .collect();
    rows(run().json("--catalog", &catalog).go(), &told, &json!(some));
    // What the warning says reads such a line as a row.
    let more = json!({ "header": false, "skip_rows": 1, "columns": ["a", "b"] });
    let all = json!([{ "a": "x", "b": "y" }, { "a": "b", "b": "a" }]);
    rows(read(&["a,b\nx,y\nb,a\n"], &more), &[], &all);
    // Case counts where names differ in it alone.
    let both = json!([{ "id": 1, "ID": 2 }, { "id": 4, "ID": 3 }]);
    rows(read(&["id,ID\n1,2\nID,id\n3,4\n"], &json!({})), &told, &both);
    let other = json!([{ "id": "1", "ID": "2" }, { "id": "Id", "ID": "iD" }]);
    rows(read(&["id,ID\n1,2\nId,iD\n"], &json!({})), &[], &other);
}

#[test]
fn a_quote_that_is_missing_swallows_no_rows() {
    for text in ["id,n\n1,\"5 in\n2,\"6 in\n", "id,n\n1,\"a\n2,b\n3,\"c\"\n"] {
        let outcome = read(&[text], &json!({})).exits(65);
        assert!(outcome.stderr.contains("line: 2"), "{}", outcome.stderr);
        let quotes = read(&[text], &json!({ "quotechar": "" })).success();
        assert!(quotes.records("t").len() > 1, "the hint helps");
    }
    let fine = read(&["id,n\n1,\"a\nb\" \n2,\"c\"d\n"], &json!({}));
    rows(fine, &[], &json!([{ "id": 1, "n": "a\nb" }, { "id": 2, "n": "\"c\"d" }]));
}

#[test]
fn members_of_objects_that_differ_little_are_told() {
    let scratch = folder();
    let told = |files: &[&str]| {
        let input = scratch.path().join("in");
        std::fs::remove_dir_all(&input).ok();
        for (at, text) in files.iter().enumerate() {
            let ending = if text.starts_with('{') { "jsonl" } else { "csv" };
            file(&input, &format!("{at}.{ending}"), text);
        }
        let outcome = tap(&input, &json!({})).go().success();
        outcome.stderr.matches("W-COLUMN-ALIKE: ").count()
    };
    assert_eq!(told(&["{\"id\":1,\"userId\":1}", "{\"id\":2,\"user_id\":2}"]), 1);
    assert_eq!(told(&["{\"id\":1,\"ｶﾅ\":1}\n{\"id\":2,\"カナ\":2}\n"]), 1);
    assert_eq!(told(&["id,Tên\n1,a\n", "{\"id\":2,\"Te\u{302}n\":2}"]), 1);
    // One object has both, before or behind others.
    let both = "{\"id\":1,\"a\":1,\"A\":2}";
    assert_eq!(told(&[both, "{\"id\":2,\"a\":1}\n{\"id\":3,\"A\":1}"]), 0);
    assert_eq!(told(&["{\"id\":2,\"A\":1}\n{\"id\":3,\"a\":1}", both]), 0);
    assert_eq!(told(&["{\"id\":1,\"a\":1}", "{\"id\":2,\"b\":2}"]), 0);
}

#[test]
fn a_row_at_an_edge_that_is_unlike_the_others_is_told_and_read() {
    let rows = |count: usize| {
        let lines: Vec<_> = (0..count).map(|at| format!("{at},{at}.5\n")).collect();
        lines.concat()
    };
    let told = |files: &[&str], more: &Value| {
        let outcome = read(files, more).success();
        let count = outcome.stderr.matches("W-ROW-DOUBTFUL: ").count();
        (count, outcome.records("t").len(), outcome.stderr)
    };
    let no = json!({});
    let total = format!("id,n\n{}Total,42\n", rows(12));
    let (count, read_rows, words) = told(&[&total], &no);
    assert_eq!((count, read_rows), (1, 13));
    assert!(words.contains("the last row of ") && words.contains("on line 14"), "{words}");
    assert!(words.contains("no integer in column id"), "{words}");
    let units = format!("id,n\n#,kg\n{}", rows(12));
    let (count, _, words) = told(&[&units], &no);
    assert!(count == 1 && words.contains("the first row of "), "{words}");
    // Once, whatever the files are.
    assert_eq!(told(&[&total, &units, &total], &no).0, 1);
    // Three rows show it where the text comes first; fewer nothing, nor do settings by name.
    assert_eq!(told(&[&format!("id,n\n{}Total,42\n", rows(2))], &no).0, 0);
    for count in [3, 5, 9, 10] {
        assert_eq!(told(&[&format!("id,n\n{}Total,42\n", rows(count))], &no).0, 1, "{count}");
        assert_eq!(told(&[&format!("id,n\n,kg\n{}", rows(count))], &no).0, 1, "{count}");
    }
    assert_eq!(told(&["name,value\nport,80\ntries,5\nwait,7\nhost,localhost\n"], &no).0, 0);
    // Nor does text in the middle, or in a column that has a type.
    assert_eq!(told(&[&format!("id,n\n{0}x,1\n{0}", rows(12))], &no).0, 0);
    assert_eq!(told(&[&total], &json!({ "types": { "id": "string" } })).0, 0);
    // What the warning says refuses it.
    let refused = read(&[&total], &json!({ "types": { "id": "integer" } })).exits(65);
    assert!(refused.stderr.contains("line: 14"), "{}", refused.stderr);
}

#[test]
fn a_delimiter_that_leaves_something_in_names_is_told() {
    let told = |text: &str, more: &Value| {
        let outcome = read(&[text], more).success();
        outcome.stderr.matches("W-DELIMITER-DOUBTFUL: ").count()
    };
    let no = json!({});
    for delimiter in [";", "\t", "|", "~", "^", "\u{1}", "\u{1e}", "\u{1f}"] {
        assert_eq!(told(&format!("id{delimiter}n\n1{delimiter}a\n"), &no), 1, "{delimiter:?}");
        let more = json!({ "delimiter": delimiter });
        assert_eq!(told(&format!("id{delimiter}n\n1{delimiter}a\n"), &more), 0, "{delimiter:?}");
    }
    assert_eq!(told("\"id,n\"\n\"1,a\"\n", &no), 1);
    assert_eq!(told("id, n, m\n1, a, b\n", &no), 1);
    assert_eq!(told("id, n, m\n1, a, b\n", &json!({ "skipinitialspace": true })), 0);
    assert_eq!(told("id, n,m\n1, a,b\n", &no), 0);
    assert_eq!(told("id,\" n\"\n1,a\n", &no), 0);
    assert_eq!(told(" id\n1\n", &no), 0);
}

#[test]
fn keys_of_objects_that_no_row_has_are_told() {
    let scratch = folder();
    for (text, is_told) in [
        ("{\"17\":{\"n\":1},\"25\":{\"n\":2}}", true),
        ("{\"17\":{\"id\":17},\"25\":{\"id\":25}}", false),
        ("{\"0\":{\"n\":1},\"1\":{\"n\":2}}", false),
    ] {
        let path = file(scratch.path(), "a.json", text);
        let outcome = tap(&path, &json!({})).go().success();
        assert_eq!(outcome.records("t").len(), 2);
        assert_eq!(outcome.stderr.contains("W-PROPERTY-LOST: "), is_told, "{}", outcome.stderr);
    }
}

#[test]
fn columns_that_no_file_has_any_more_are_told() {
    let scratch = folder();
    let at = scratch.path().join("in");
    let config = |keys: &Value| json!({ "files": [{ "entity": "t", "path": at, "keys": keys }] });
    for (keys, told) in [(json!(["id"]), 1), (json!([]), 0)] {
        std::fs::remove_dir_all(&at).ok();
        file(&at, "a.csv", "id,v\n1,10\n");
        file(&at, "b.csv", "id\n2\n");
        let run = |state: &Value, more: &[(&str, &Value)]| {
            let mut tap = ours("tap-csv").config(&config(&keys)).json("--state", state);
            for (flag, value) in more {
                tap = tap.json(flag, value);
            }
            let outcome = tap.go().success();
            let tells = outcome.stderr.matches("W-COLUMN-MISSING: stream t: ").count();
            let last = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
            (tells, last.map(|mut message| message["value"].take()).unwrap_or_default())
        };
        let discovered = ours("tap-csv").config(&config(&keys)).args(["--discover"]).go().success();
        let catalog: Value = serde_json::from_str(&discovered.text()).unwrap();
        // One that has it is enough.
        let (tells, first) = run(&json!({}), &[]);
        assert_eq!(tells, 0);
        assert_eq!(run(&json!({}), &[("--catalog", &catalog)]).0, 0);
        // The rows of a new file take the place of others by their key.
        file(&at, "c.csv", "id\n1\n");
        assert_eq!(run(&first, &[]).0, told, "{keys}");
        // A file without rows changes nothing.
        std::fs::write(at.join("c.csv"), "id\n").unwrap();
        assert_eq!(run(&first, &[]).0, 0);
        // A catalog says what is expected.
        std::fs::write(at.join("a.csv"), "id\n1\n").unwrap();
        assert_eq!(run(&json!({}), &[("--catalog", &catalog)]).0, 1);
    }
}
