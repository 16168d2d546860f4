//! Files read by their content: formats, encodings, hidden names, several names of one file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::run::{Outcome, Run, file, ours, pipe};

fn tap(path: &Path, more: &Value) -> Run {
    let mut entry = json!({ "entity": "t", "path": path });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    ours("tap-csv").config(&json!({ "files": [entry] }))
}

/// The values of `id`, in order of the files.
fn ids(outcome: &Outcome) -> Vec<Value> {
    outcome.records("t").iter().map(|record| record["id"].clone()).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_folder_may_hold_every_kind_of_file() {
    let scratch = folder();
    let put = |name: &str, text: &str| file(scratch.path(), &format!("in/{name}"), text);
    put("a.csv", "id,name\n1,a\n");
    put("b.json", "[{\"id\": 2, \"name\": \"b\"}, {\"id\": 3, \"tags\": [1]}]");
    put("c.json", "{\n  \"id\": 4\n}\n");
    put("d.jsonl", "{\"id\":5}\n{\"id\":6}\n");
    put("e.ndjson", "{\"id\":7}");
    put("f.tsv", "id\tname\n8\tx,y\n");
    put("g.psv", "id|name\n9|x\n");
    put("h.txt", "id;name\n10;x\n");
    put("i.txt", "id\tname\n11\tx\n");
    put("j.txt", "{\"id\":12}\n{\"id\":13}\n");
    put("k.TXT", "name,id\n\"x;y\",14\n");
    put("_manifest.json", "{\"files\": []}");
    put("package.json", "{\"version\": \"1.0\"}");
    put("readme.txt", "These are the files of a day,\nsent by the shop.\n");
    let outcome = tap(&scratch.path().join("in"), &json!({})).go().success();
    assert_eq!(ids(&outcome), (1..=14).map(Value::from).collect::<Vec<_>>());
    let records = outcome.records("t");
    assert_eq!(records[2]["tags"], json!([1]));
    assert_eq!(records[7]["name"], "x,y");
    assert_eq!(records[13]["name"], "x;y");
    assert!(outcome.stderr.contains("readme.txt"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("package.json"), "{}", outcome.stderr);
    assert!(records.iter().all(|record| record.get("version").is_none()), "{records:?}");
    // A catalog reads the same.
    let config = json!({ "files": [{ "entity": "t", "path": scratch.path().join("in") }] });
    let catalog = ours("tap-csv").config(&config).args(["--discover"]).go().success().text();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    let again = ours("tap-csv").config(&config).json("--catalog", &catalog).go().success();
    assert_eq!(again.records("t"), records);
}

#[test]
fn each_kind_is_read_by_what_it_is() {
    let scratch = folder();
    let reads = |name: &str, text: &str, more: &Value, expected: &Value| {
        let outcome = tap(&file(scratch.path(), name, text), more).go();
        assert_eq!(outcome.code, 0, "{name} {text:?}: {}", outcome.stderr);
        assert_eq!(Value::from(outcome.records("t")), *expected, "{name} {text:?}");
    };
    let no = json!({});
    let one = json!([{ "a": 1, "b": "x" }]);
    reads("a.json", "[{\"a\":1,\"b\":\"x\"}]", &no, &one);
    reads("a.json", "{\"a\":1,\"b\":\"x\"}", &no, &one);
    reads("a.txt", "a,b\n1,x\n", &no, &one);
    reads("a.txt", "a|b\n1|x\n", &no, &one);
    reads("a.txt", "note; of nothing\na;b\n1;x\n", &json!({ "skip_rows": 1 }), &one);
    reads("a.txt", "a~b\n1~x\n", &json!({ "delimiter": "~" }), &one);
    reads("a.tsv", "a\tb\n1\tx\n", &no, &one);
    reads("a.tab", "a\tb\n1\tx\n", &no, &one);
    reads("a.tsv", "a,b\n1,x\n", &json!({ "delimiter": "," }), &one);
    reads("a.dat", "a,b\n1,x\n", &no, &one);
    reads("a.dat", "a\tb\n1\tx\n", &json!({ "format": "tsv" }), &one);
    reads("a.json", "a,b\n1,x\n", &json!({ "format": "csv" }), &one);
    reads("a.txt", "[{\"a\":1,\"b\":\"x\"}]", &no, &one);
    // A list without a delimiter is a column.
    reads("a.txt", "a\n1\n2\n", &no, &json!([{ "a": 1 }, { "a": 2 }]));
    let outcome = tap(&file(scratch.path(), "a.txt", "a,b;c\n1;2,3\n"), &no).go();
    assert_ne!(outcome.code, 0, "either may be the delimiter: {}", outcome.text());
}

#[test]
fn columns_of_json_and_delimited_files_are_joined_or_refused() {
    let read = |csv: &str, json: &str| {
        let scratch = folder();
        file(scratch.path(), "a.csv", csv);
        file(scratch.path(), "b.json", json);
        tap(scratch.path(), &json!({})).go()
    };
    for (csv, json, expected) in [
        ("n\n1\n", "{\"n\":2.5}", json!([1, 2.5])),
        ("n\n1\n", "{\"n\":\"x\"}", json!(["1", "x"])),
        ("n\n2026-01-01\n", "{\"n\":\"2026-01-02\"}", json!(["2026-01-01", "2026-01-02"])),
        ("n\n2026-01-01\n", "{\"n\":\"x\"}", json!(["2026-01-01", "x"])),
        ("n,m\n,1\n", "{\"n\":{\"a\":1}}", json!([null, {"a": 1}])),
        ("n\nx\n", "{\"n\":null}", json!(["x", null])),
        ("n\ntrue\n", "{\"n\":false}", json!([true, false])),
    ] {
        let outcome = read(csv, json);
        assert_eq!(outcome.code, 0, "{csv} {json}: {}", outcome.stderr);
        let found: Vec<_> = outcome.records("t").iter().map(|row| row["n"].clone()).collect();
        assert_eq!(Value::from(found), expected, "{csv} {json}");
    }
    for (csv, json) in
        [("n\nx\n", "{\"n\":1}"), ("n\n1\n", "{\"n\":[1]}"), ("n\n1\n", "{\"n\":true}")]
    {
        let outcome = read(csv, json).exits(65);
        assert!(outcome.stderr.contains("column: n"), "{}", outcome.stderr);
        assert_eq!(outcome.records("t").len(), 0);
    }
}

#[test]
fn an_encoding_that_the_bytes_contradict_is_refused() {
    let scratch = folder();
    let check = |name: &str, bytes: &[u8], setting: &str, words: &str| {
        let path = file(scratch.path(), name, bytes);
        let outcome = tap(&path, &json!({ "encoding": setting })).go().exits(65);
        assert_eq!(outcome.records("t").len(), 0, "{setting}");
        assert!(outcome.stderr.contains("encoding: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{setting}: {}", outcome.stderr);
    };
    check("a.csv", b"id,n\n1,ab\n", "utf-16", "not UTF-16");
    check("a.csv", "id,näme\n1,ab\n".as_bytes(), "utf-16be", "not UTF-16");
    check("a.csv", &utf_16("id,n\n1,ab\n"), "utf-8", "UTF-16LE");
    check("a.csv", &utf_16("id,n\n1,ab\n"), "cp1252", "UTF-16LE");
    check("a.csv", &utf_16("\u{feff}id,n\n1,ab\n"), "latin-1", "UTF-16LE");
    check("a.csv", "\u{feff}id,n\n1,ab\n".as_bytes(), "latin-1", "UTF-8");
    check("a.json", &utf_16("[{\"id\": 1}]"), "utf-8", "UTF-16LE");
    let fine =
        tap(&file(scratch.path(), "b.csv", utf_16("id,n\n1,é\n")), &json!({"encoding": "utf-16"}));
    assert_eq!(ids(&fine.go().success()), [1]);
    // What may be either is read as told, with a warning.
    let both = file(scratch.path(), "c.csv", "id,n\n1,größer\n");
    let outcome = tap(&both, &json!({ "encoding": "latin-1" })).go().success();
    assert_eq!(outcome.records("t")[0]["n"], "grÃ¶Ã\u{9f}er");
    assert!(outcome.stderr.contains("check `encoding`"), "{}", outcome.stderr);
}

#[test]
fn bytes_of_windows_in_text_of_iso_8859_are_refused_and_in_latin_1_told() {
    let scratch = folder();
    // Far behind the first bytes of the file, and of two files alike: it is said once.
    let far = [b"n\n".to_vec(), b"caf\xe9\n".repeat(40_000), b"5 \x80\n".to_vec()].concat();
    for name in ["a.csv", "b.csv"] {
        file(scratch.path(), name, &far);
    }
    let outcome = tap(scratch.path(), &json!({ "encoding": "latin-1" })).go().success();
    assert_eq!(outcome.records("t")[40_000]["n"], "5 \u{80}");
    let told = "byte 200004 (0x80) is no character in it, as in cp1252: check `encoding`";
    assert_eq!(outcome.stderr.matches(told).count(), 1, "{}", outcome.stderr);
    let outcome = tap(scratch.path(), &json!({ "encoding": "cp1252" })).go().success();
    assert_eq!(outcome.records("t")[40_000]["n"], "5 €");
    assert!(!outcome.stderr.contains("check `encoding`"), "{}", outcome.stderr);
    for encoding in ["iso-8859-9", "iso-8859-15", "latin2"] {
        let outcome = tap(scratch.path(), &json!({ "encoding": encoding })).go().exits(65);
        assert!(outcome.stderr.contains("byte: 200004"), "{}", outcome.stderr);
    }
}

#[test]
fn hidden_files_and_several_names_of_a_file_bring_no_rows_twice() {
    let scratch = folder();
    for name in ["orders_1.csv", ".git/b.csv", ".tmp.csv", "sub/.hidden.csv"] {
        file(scratch.path(), &format!("in/{name}"), format!("id\n{}\n", name.len()));
    }
    let at = |name: &str| scratch.path().join("in").join(name);
    symlink("orders_1.csv", at("latest.csv")).unwrap();
    fs::hard_link(at("orders_1.csv"), at("sub/same.csv")).unwrap();
    symlink("sub", at("current")).unwrap();
    for path in [at(""), at("*.csv"), at("**/*.csv")] {
        let outcome = tap(&path, &json!({})).go().success();
        assert_eq!(ids(&outcome), [12], "{}", path.display());
        assert!(outcome.stderr.contains("latest.csv: it is the same file"), "{}", outcome.stderr);
    }
    assert_eq!(ids(&tap(&at("latest.csv"), &json!({})).go().success()), [12]);
    assert_eq!(ids(&tap(&at(".*.csv"), &json!({})).go().success()), [8]);
    assert_eq!(ids(&tap(&at(".git"), &json!({})).go().success()), [10]);
}

#[test]
fn columns_beyond_the_limit_are_refused() {
    let scratch = folder();
    let header: Vec<_> = (0..300).map(|n| format!("c{n}")).collect();
    let wide = file(scratch.path(), "a.csv", header.join(",") + "\n");
    let object: serde_json::Map<_, _> =
        header.iter().map(|name| (name.clone(), json!(1))).collect();
    let objects = file(scratch.path(), "b.jsonl", json!(object).to_string());
    for path in [&wide, &objects] {
        let run = |max: u64| tap(path, &json!({})).set("max_columns", max).go();
        run(300).success();
        let outcome = run(299).exits(65);
        assert!(outcome.stderr.contains("max_columns: 299"), "{}", outcome.stderr);
    }
    let outcome = tap(&wide, &json!({ "header": false })).set("max_columns", 10).go().exits(65);
    assert!(outcome.stderr.contains("raise `max_columns`"), "{}", outcome.stderr);
    // By default memory has a limit, whatever the file holds.
    let many = file(scratch.path(), "c.csv", "abc,".repeat(1_000_000));
    let outcome = tap(&many, &json!({})).go().exits(65);
    assert!(outcome.stderr.contains("max_columns"), "{}", outcome.stderr);
}

#[test]
fn files_of_other_endings_are_told_once_for_a_folder() {
    let scratch = folder();
    let put = |name: &str| file(scratch.path(), &format!("in/{name}"), "id\n1\n");
    put("a.csv");
    for name in ["_SUCCESS", "a.csv.crc", "a.csv.md5", ".hidden", "README", "README.md", "x.tmp"] {
        put(name);
    }
    let read = |path: &str| tap(&scratch.path().join(path), &json!({})).go().success();
    let quiet = read("in");
    assert!(!quiet.stderr.contains("W-FILE-NOT-READ"), "{}", quiet.stderr);
    let others = ["b.xlsx", "c.parquet", "d.csv.bak", "e.dat.gz", "f", "sub/g.xml"];
    for name in others {
        put(name);
    }
    let outcome = read("in");
    assert_eq!(ids(&outcome), [1]);
    assert_eq!(outcome.stderr.matches("W-FILE-NOT-READ: ").count(), 1, "{}", outcome.stderr);
    let told = "skipping 6 files in ";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("b.xlsx, c.parquet, d.csv.bak, "), "{}", outcome.stderr);
    // What the warning says works, and a pattern is meant as it stands.
    let pattern = read("in/*.bak");
    assert_eq!(ids(&pattern), [1]);
    assert!(!pattern.stderr.contains("W-FILE-NOT-READ"), "{}", pattern.stderr);
}

#[test]
fn json_values_of_several_kinds_keep_them() {
    let scratch = folder();
    let lines = "{\"id\":1,\"v\":1,\"o\":{\"a\":1}}\n{\"id\":2,\"v\":\"1\",\"o\":\"x\"}\n\
                 {\"id\":3,\"v\":true,\"o\":[1]}\n{\"id\":4,\"v\":1.0}\n{\"id\":5,\"v\":\"x\"}\n";
    let path = file(scratch.path(), "a.jsonl", lines);
    let values = |outcome: &Outcome, name: &str| -> Vec<Value> {
        outcome.records("t").iter().map(|record| record[name].clone()).collect()
    };
    let outcome = tap(&path, &json!({})).go().success();
    assert_eq!(Value::from(values(&outcome, "v")), json!([1, "1", true, 1.0, "x"]));
    assert_eq!(Value::from(values(&outcome, "o")), json!([{"a": 1}, "x", [1], null, null]));
    let told = "W-KINDS-MIXED: stream t: JSON values of several kinds";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("in columns v, o: "), "{}", outcome.stderr);
    // So they arrive.
    let database = database("json_kinds");
    let settings = database.settings_with(&json!({ "default_target_schema": "s" }));
    let load = |tap: Run| pipe(tap, ours("target-postgres").config(&settings));
    let (_, loaded) = load(tap(&path, &json!({})));
    loaded.success();
    let found = "select string_agg(v::text, ' ' order by id) from s.t";
    assert_eq!(database.psql(found), "1 \"1\" true 1.0 \"x\"");
    // A type that is set is meant; as text all of them are text.
    let quiet = tap(&path, &json!({ "types": { "v": "string", "o": "json" } })).go().success();
    assert_eq!(values(&quiet, "v"), ["1", "1", "true", "1.0", "x"]);
    assert!(!quiet.stderr.contains("W-KINDS-MIXED"), "{}", quiet.stderr);
    // A column of text does not get strings in quotes beside its texts.
    database.psql("drop table s.t; create table s.t (id bigint, v text, o jsonb)");
    let (_, refused) = load(tap(&path, &json!({})));
    let refused = refused.exits(65);
    assert!(refused.stderr.contains("keep their quotes"), "{}", refused.stderr);
    let (_, loaded) = load(tap(&path, &json!({ "types": { "v": "string", "o": "json" } })));
    loaded.success();
    assert_eq!(database.psql(found), "1 1 true 1.0 x");
    // Objects and arrays, and numbers with a fraction among others, are of one kind.
    let path = file(scratch.path(), "b.jsonl", "{\"a\":1,\"b\":{}}\n{\"a\":1.5,\"b\":[]}\n");
    let outcome = tap(&path, &json!({})).go().success();
    assert!(!outcome.stderr.contains("W-KINDS-MIXED"), "{}", outcome.stderr);
}

#[test]
fn delimited_text_may_hold_json_where_its_type_says_so() {
    let scratch = folder();
    let path =
        file(scratch.path(), "a.csv", "id,v\n1,\"{\"\"a\"\":[1]}\"\n2,7\n3,\"\"\"x\"\"\"\n4,\n");
    let typed = json!({ "types": { "v": "json" } });
    let outcome = tap(&path, &typed).go().success();
    let values: Vec<_> = outcome.records("t").iter().map(|record| record["v"].clone()).collect();
    assert_eq!(Value::from(values), json!([{ "a": [1] }, 7, "x", null]));
    file(scratch.path(), "a.csv", "id,v\n1,{a\n");
    let outcome = tap(&path, &typed).go().exits(65);
    assert!(outcome.stderr.contains("column: v"), "{}", outcome.stderr);
}

#[test]
fn texts_that_mean_null_do_so_in_json_too() {
    let scratch = folder();
    file(scratch.path(), "in/a.csv", "id,v,w\n1,NA,x\n2,7,\"\"\n");
    file(
        scratch.path(),
        "in/b.jsonl",
        "{\"id\":3,\"v\":\"NA\",\"w\":\"\"}\n{\"id\":4,\"v\":8,\"w\":\"na\"}\n",
    );
    let nulls = json!({ "null_values": ["NA", ""] });
    let outcome = tap(&scratch.path().join("in"), &nulls).go().success();
    assert_eq!(
        Value::from(outcome.records("t")),
        json!([
            { "id": 1, "v": null, "w": "x" }, { "id": 2, "v": 7, "w": null },
            { "id": 3, "v": null, "w": null }, { "id": 4, "v": 8, "w": "na" },
        ])
    );
    // What says how delimited text is written does nothing to JSON, and that is told.
    let path = scratch.path().join("in/b.jsonl");
    let outcome = tap(&path, &json!({ "infer_types": false, "skip_rows": 1 })).go().success();
    for name in ["infer_types", "skip_rows"] {
        let told = format!("W-SETTING-UNUSED: `{name}` has no effect on stream t");
        assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
    }
}

#[test]
fn json_of_another_table_is_told() {
    let scratch = folder();
    file(scratch.path(), "in/a.json", "[{\"id\":1,\"n\":\"x\"}]");
    file(scratch.path(), "in/b.json", "[{\"id\":2,\"more\":true}]");
    let read = || tap(&scratch.path().join("in"), &json!({})).go().success();
    assert!(!read().stderr.contains("W-FILE-APART"), "{}", read().stderr);
    file(scratch.path(), "in/package.json", "{\"version\":\"1.0\"}");
    let outcome = read();
    assert!(outcome.stderr.contains("W-FILE-APART: "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("package.json has no column"), "{}", outcome.stderr);
}

#[test]
fn no_quote_is_lost_in_silence() {
    let scratch = folder();
    let path = scratch.path().join("q.csv");
    let text = "id,size,n\n1,\"3\" x 5\"\",a\n2,\"x\",b\n3,\"a,\"\"b\"c,\"d\"e\n";
    file(scratch.path(), "q.csv", text);
    let outcome = tap(&path, &json!({})).go().success();
    let expected = json!([
        { "id": 1, "size": "\"3\" x 5\"\"", "n": "a" }, { "id": 2, "size": "x", "n": "b" },
        { "id": 3, "size": "\"a,\"\"b\"c", "n": "\"d\"e" },
    ]);
    assert_eq!(Value::from(outcome.records("t")), expected);
    let told = "W-QUOTE-ODD: 2 records of ";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the first on line 2"), "{}", outcome.stderr);
    tap(&path, &json!({})).args(["--deny-warnings", "W-QUOTE-ODD"]).go().exits(65);
    let strict = tap(&path, &json!({ "strict": true })).go().exits(65);
    assert!(strict.stderr.contains("line: 2"), "{}", strict.stderr);
    // Quotes where they belong, and spaces behind them, are no news.
    file(scratch.path(), "q.csv", "id,n\n1,\"a\"\"b\"\n2,\"c\"  \n3,x\"y\n");
    let outcome = tap(&path, &json!({})).go().success();
    let names: Vec<_> = outcome.records("t").iter().map(|record| record["n"].clone()).collect();
    assert_eq!(names, ["a\"b", "c", "x\"y"]);
    assert!(!outcome.stderr.contains("W-"), "{}", outcome.stderr);
}

#[test]
fn json_without_an_object_is_refused() {
    for (name, text, line, hint) in [
        ("a.jsonl", "\n[{\"id\":1},{\"id\":2}]\n", 2, "set `format` to json"),
        ("a.ndjson", "7\n8\n", 1, "one object on each line"),
        ("a.jsonl", "{}\n\"x\"\n", 2, "one object on each line"),
        ("a.json", "[1,\n2]", 1, "an array of objects"),
        ("a.json", "[{},\n[3]]", 2, "an array of objects"),
        ("a.json", " 7", 1, "an array of objects"),
    ] {
        let scratch = folder();
        file(scratch.path(), name, text);
        let outcome = tap(&scratch.path().join(name), &json!({})).go().exits(65);
        for word in [name, &format!("line: {line}\n"), hint, "not an object"] {
            assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
        }
    }
    // What the hint says helps.
    let scratch = folder();
    file(scratch.path(), "a.jsonl", "[{\"id\":1},{\"id\":2}]\n");
    let outcome = tap(&scratch.path().join("a.jsonl"), &json!({ "format": "json" })).go();
    assert_eq!(ids(&outcome.success()), [1, 2]);
    // No records are no fault.
    file(scratch.path(), "b.json", "[]");
    let outcome = tap(&scratch.path().join("b.json"), &json!({})).go().success();
    assert!(outcome.stderr.contains("none of its files has one"), "{}", outcome.stderr);
}
