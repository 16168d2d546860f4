//! CSV as it comes: dialects, encodings, broken files, types (C01 to C26 of the fault catalogue).

use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{DAY, extract, load, to_lake};
use support::run::{Outcome, Run, feed, file, ours, pipe_succeeds};
use support::{folder, invariants, lake};

/// A tap on one entity `t`, with more settings of the entry.
fn tap(path: &Path, more: &Value) -> Run {
    let mut entry = json!({ "entity": "t", "path": path });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    ours("tap-csv").config(&json!({ "files": [entry] }))
}

fn read(bytes: &[u8], more: &Value) -> Outcome {
    let folder = folder();
    tap(&file(folder.path(), "in.csv", bytes), more).go()
}

/// Asserts that a file gives these records.
#[track_caller]
fn gives(name: &str, bytes: &[u8], more: &Value, records: &Value) {
    let outcome = read(bytes, more);
    assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
    assert_eq!(Value::from(outcome.records("t")), *records, "{name}");
}

/// Asserts that a file ends the run with this code and text.
#[track_caller]
fn fails(name: &str, bytes: &[u8], more: &Value, code: i32, text: &str) {
    let outcome = read(bytes, more);
    assert_eq!(outcome.code, code, "{name}: {} {}", outcome.stderr, outcome.text());
    invariants::fails(&outcome, &[code]);
    assert!(outcome.stderr.contains(text), "{name}: no {text:?} in {}", outcome.stderr);
}

#[test]
fn files_that_are_fine() {
    let no = json!({});
    let strings = json!({ "infer_types": false });
    let one = json!([{ "a": 1, "b": "x" }]);
    gives("plain", b"a,b\n1,x\n", &no, &one);
    gives(
        "C01 line ends, quotes and delimiters in quotes",
        b"a,b\n1,\"x\ny\r\nz\"\n2,\"a,\"\"b\"\"\"\n",
        &no,
        &json!([{ "a": 1, "b": "x\ny\r\nz" }, { "a": 2, "b": "a,\"b\"" }]),
    );
    gives("C02 CRLF", b"a,b\r\n1,x\r\n", &no, &one);
    gives("C02 mixed", b"a,b\r\n1,x\n2,y", &no, &json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]));
    gives("C02 no final line end", b"a,b\n1,x", &no, &one);
    for end in ["\n\n", "\n ", "\n\t \n", "\n  \n\n \r\n"] {
        gives("C05 white space at the end", format!("a,b\n1,x{end}").as_bytes(), &no, &one);
    }
    let spaces = json!([{ "a": " " }, { "a": "  " }]);
    gives("C05 white space that is a value", b"a\n \n  \n", &no, &spaces);
    gives("C07 header only", b"a,b\n", &no, &json!([]));
    gives("C07 nothing, allowed", b"", &json!({ "allow_empty_files": true }), &json!([]));
    gives("C08 BOM", b"\xef\xbb\xbfa,b\n1,x\n", &no, &one);
    gives("C08 BOM and quotes", b"\xef\xbb\xbf\"a\",b\n1,x\n", &no, &one);
    let latin = json!({ "encoding": "latin-1" });
    gives("C09 latin-1", b"a,b\n1,\xe9\n", &latin, &json!([{ "a": 1, "b": "é" }]));
    let windows = json!({ "encoding": "cp1252" });
    gives("C09 cp1252", b"a,b\n1,\x80\n", &windows, &json!([{ "a": 1, "b": "€" }]));
    let wide = "\u{feff}a,b\n1,é🎉\n".encode_utf16();
    let wide: Vec<u8> = wide.flat_map(u16::to_le_bytes).collect();
    let utf16 = json!({ "encoding": "utf-16" });
    gives("C09 UTF-16", &wide, &utf16, &json!([{ "a": 1, "b": "é🎉" }]));
    gives("C11 tabs", b"a\tb\n1\tx\n", &json!({ "delimiter": "\t" }), &one);
    gives("C11 tabs by name", b"a\tb\n1\tx\n", &json!({ "delimiter": "\\t" }), &one);
    gives("C11 pipes", b"a|b\n1|x\n", &json!({ "delimiter": "|" }), &one);
    gives("C11 sep= line", b"sep=;\na;b\n1;x\n", &json!({"delimiter": ";", "skip_rows": 1}), &one);
    gives(
        "quotechar",
        b"a,b\n1,'x,y'\n",
        &json!({ "quotechar": "'" }),
        &json!([{"a":1,"b":"x,y"}]),
    );
    let escape = json!({ "escapechar": "\\" });
    gives("escapechar", b"a,b\n1,x\\,y\n", &escape, &json!([{ "a": 1, "b": "x,y" }]));
    gives("skipinitialspace", b"a, b\n1, \"x\"\n", &json!({ "skipinitialspace": true }), &one);
    gives("no header", b"1,x\n", &json!({ "header": false, "columns": ["a", "b"] }), &one);
    gives(
        "names by position",
        b"1,x\n",
        &json!({ "header": false }),
        &json!([{"c1": 1, "c2": "x"}]),
    );
    gives(
        "C12 empty, quoted empty, \\N, NULL",
        b"a,b\n1,\n2,\"\"\n3,\\N\n4,NULL\n",
        &no,
        &json!([{"a":1,"b":null},{"a":2,"b":""},{"a":3,"b":"\\N"},{"a":4,"b":"NULL"}]),
    );
    gives(
        "null_values",
        b"a,b\n1,\\N\n2,NULL\n3,x\n",
        &json!({ "null_values": ["\\N", "NULL"] }),
        &json!([{"a":1,"b":null},{"a":2,"b":null},{"a":3,"b":"x"}]),
    );
    gives("C13 \\.", b"a\n\\.\nx\n", &no, &json!([{ "a": "\\." }, { "a": "x" }]));
    gives(
        "C25 formulas",
        b"a\n=1\n+2\n-x\n@y\n",
        &no,
        &json!([{ "a": "=1" }, { "a": "+2" }, { "a": "-x" }, { "a": "@y" }]),
    );
    gives("no types", b"a,b\n1,true\n", &strings, &json!([{ "a": "1", "b": "true" }]));
}

#[test]
fn null_texts_with_the_escape_in_them_are_found_as_they_stand() {
    let nulls = json!({ "escapechar": "\\", "null_values": ["\\N", "NA"] });
    let bytes = b"id,n\n\\N,a\n1,\\N\n2,\"\\N\"\n3,\\\\N\n4,N\n5,x\\N\n6,NA\n7,N\\A\n8,\\N";
    gives(
        "unquoted",
        bytes,
        &nulls,
        &json!([
            { "id": null, "n": "a" }, { "id": 1, "n": null }, { "id": 2, "n": "N" },
            { "id": 3, "n": "\\N" }, { "id": 4, "n": "N" }, { "id": 5, "n": "xN" },
            { "id": 6, "n": null }, { "id": 7, "n": null }, { "id": 8, "n": null },
        ]),
    );
    let nulls = json!({
        "escapechar": "!", "null_values": ["!0"], "skipinitialspace": true, "delimiter": ";",
    });
    gives(
        "other",
        b"id;n\n1; !0\n!0;a!;b\n",
        &nulls,
        &json!([
            { "id": 1, "n": null }, { "id": null, "n": "a;b" },
        ]),
    );
}

#[test]
fn files_that_are_broken() {
    let no = json!({});
    fails("C03 open quote", b"a,b\n1,x\n2,\"y\n3,z\n", &no, 65, "line: 3");
    fails("C04 text after a quote", b"a,b\n1,\"a\"b\n", &json!({ "strict": true }), 65, "line: 2");
    fails("C05 short row", b"a,b\n1,x\n2\n", &no, 65, "line: 3");
    fails("C05 white space between rows", b"a,b\n1,x\n \n2,y\n", &no, 65, "line: 3");
    fails("C05 long row", b"a,b\n1,x\n2,y,z\n", &no, 65, "line: 3");
    fails("C06 a name twice", b"a,b,a\n1,x,y\n", &no, 65, "more than once: a\n");
    fails("C06 no name", b"a,\n1,x\n", &no, 65, "without a name: column 2\n");
    fails("C07 nothing", b"", &no, 65, "allow_empty");
    fails("C09 latin-1 as UTF-8", b"a,b\n1,x\n2,\xe9\n", &no, 65, "encoding");
    fails("C10 NUL", b"a,b\n1,x\0y\n", &no, 65, "cannot read a NUL byte as text\n");
    fails("key not in the header", b"a,b\n1,x\n", &json!({ "keys": ["id"] }), 78, "key: id\n");
    fails(
        "type that does not fit",
        b"a\n1\nx\n",
        &json!({"types": {"a": "integer"}}),
        65,
        "line: 3",
    );
    fails("unknown encoding", b"a\n1\n", &json!({ "encoding": "klingon" }), 78, "klingon");
}

#[test]
fn long_fields_meet_the_limit() {
    let huge = [b"a,b\n1,\"".to_vec(), vec![b'x'; 70 << 20], b"\"\n".to_vec()].concat();
    let outcome = read(&huge, &json!({}));
    assert_eq!(outcome.code, 65, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("max_record_bytes"), "{}", outcome.stderr);
    let large = [b"a,b\n1,\"".to_vec(), vec![b'x'; 20 << 20], b"\"\n".to_vec()].concat();
    let outcome = read(&large, &json!({})).success();
    assert_eq!(outcome.records("t")[0]["b"].as_str().unwrap().len(), 20 << 20);
}

#[test]
fn many_columns_work_in_files_and_are_refused_by_postgres() {
    let folder = folder();
    let header: Vec<_> = (0..20_000).map(|n| format!("c{n}")).collect();
    let row: Vec<_> = (0..20_000).map(|n| n.to_string()).collect();
    let text = format!("{}\n{}\n", header.join(","), row.join(","));
    let path = file(folder.path(), "wide.csv", text);
    let outcome = tap(&path, &json!({})).go().success();
    assert_eq!(outcome.records("t")[0]["c19999"], 19_999);
    pipe_succeeds(tap(&path, &json!({})), to_lake(&folder.path().join("lake"), "s", DAY));
    lake::check(&folder.path().join("lake"));
    let target = database("wide").settings();
    let refused = feed("target-postgres", &target, &outcome.stdout);
    assert_eq!(refused.code, 65, "{}", refused.stderr);
    assert!(refused.stderr.contains("limit of Postgres: 1600"), "{}", refused.stderr);
}

#[test]
fn types_are_inferred_only_where_no_byte_changes() {
    // Column values, and the type they have.
    let cases: &[(&[&str], &str)] = &[
        (&["1", "-2", "0"], "integer"),
        (&["1", "00123"], "string"),
        (&["1e5"], "string"),
        (&["+49"], "string"),
        (&["-0"], "string"),
        (&["1.50", "2"], "number"),
        (&[".5"], "string"),
        (&["5."], "string"),
        (&["true", "false"], "boolean"),
        (&["TRUE"], "string"),
        (&["1", "true"], "string"),
        (&["2026-02-28"], "string:date"),
        (&["2026-02-30"], "string"),
        (&["1-2"], "string"),
        (&["2026-02-28T12:00:00Z"], "string:date-time"),
        (&["yesterday"], "string"),
        (&["NaN"], "string"),
        (&["1 "], "string"),
        (&["1,5"], "string"),
        (&["0x10"], "string"),
        (&["9223372036854775807"], "integer"),
        (&["99999999999999999999999999"], "number"),
    ];
    for (values, wanted) in cases {
        let text = format!("v\n\"{}\"\n", values.join("\"\n\""));
        let plain = format!("v\n{}\n", values.join("\n"));
        let text = if values.iter().any(|v| v.contains(',')) { &text } else { &plain };
        let outcome = read(text.as_bytes(), &json!({})).success();
        let messages = outcome.messages();
        let schema = messages.iter().find(|m| m["type"] == "SCHEMA").unwrap();
        let column = &schema["schema"]["properties"]["v"];
        let types = column["type"].as_array().cloned().unwrap_or(vec![column["type"].clone()]);
        let name = types.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap();
        let name = column["format"].as_str().map_or(name.to_owned(), |f| format!("{name}:{f}"));
        assert_eq!(name, *wanted, "{values:?}");
        assert_eq!(to_and_fro(&outcome.stdout), *text, "{values:?}");
    }
    // A type that the last row refutes: the whole file is looked at.
    let long = format!("v\n{}x\n", "1\n".repeat(100_000));
    let outcome = read(long.as_bytes(), &json!({})).success();
    assert_eq!(outcome.records("t").first().unwrap()["v"], "1");
}

/// Writes messages into a day of the lake and returns the file.
fn to_and_fro(messages: &[u8]) -> String {
    let folder = folder();
    let config = json!({ "output_path": folder.path(), "source": "s", "datestamp": DAY });
    feed("target-csv", &config, messages).success();
    lake::data(&lake::partition(folder.path(), "s", DAY, "t"))
}

#[test]
fn files_of_one_entity_are_read_by_name() {
    let folder = folder();
    file(folder.path(), "in/1.csv", "a,b\n1,x\n");
    file(folder.path(), "in/sub/2.csv", "b,a\ny,2\n");
    file(folder.path(), "in/notes.txt", "not a table");
    let outcome = tap(&folder.path().join("in"), &json!({})).go().success();
    assert_eq!(outcome.records("t"), [json!({"a": 1, "b": "x"}), json!({"a": 2, "b": "y"})]);
    let outcome = tap(&folder.path().join("in/*.csv"), &json!({})).go().success();
    assert_eq!(outcome.records("t").len(), 1);
    file(folder.path(), "in/3.csv", "a\n3\n");
    let all = tap(&folder.path().join("in"), &json!({}));
    let all = all.go().success();
    let lacking = json!({ "a": 3, "b": null });
    assert_eq!(all.records("t")[1..], [lacking, json!({ "a": 2, "b": "y" })]);
    // A key that a file lacks is not null in its rows: the file is refused, also when the types
    // are known.
    let keyed = |keys: Value| tap(&folder.path().join("in"), &json!({ "keys": keys }));
    assert_eq!(keyed(json!(["a"])).go().success().records("t").len(), 3);
    let outcome = keyed(json!(["a", "b"])).go().exits(65);
    assert!(outcome.stderr.contains("/in/3.csv"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("key: b"), "{}", outcome.stderr);
    let discovered = keyed(json!(["a"])).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    let stream = &mut catalog["streams"][0];
    stream["key_properties"] = json!(["a", "b"]);
    for entry in stream["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!([]) {
            entry["metadata"] = json!({ "selected": true, "table-key-properties": ["a", "b"] });
        }
    }
    let outcome = keyed(json!(["a"])).json("--catalog", &catalog).go().exits(65);
    assert!(outcome.stderr.contains("/in/3.csv"), "{}", outcome.stderr);
    let outcome = tap(&folder.path().join("none/*.csv"), &json!({})).go().exits(66);
    assert!(outcome.stderr.contains("none"), "{}", outcome.stderr);
}

#[test]
fn key_order_of_records_does_not_shift_columns() {
    let lines = Lines::opened()
        .raw(r#"{"type":"RECORD","stream":"t","record":{"name":"a","id":1}}"#)
        .raw(r#"{"type":"RECORD","stream":"t","record":{"id":2,"name":"b"}}"#)
        .raw(r#"{"record":{"name":"c","id":3},"stream":"t","type":"RECORD"}"#)
        .done();
    assert_eq!(to_and_fro(&lines.0), "id,name\n1,a\n2,b\n3,c\n");
}

#[test]
fn a_schema_that_grows_does_not_shift_columns() {
    let grown = json!({
        "id": { "type": "integer" }, "more": { "type": ["null", "string"] },
        "name": { "type": ["null", "string"] },
    });
    let lines = Lines::opened()
        .row(1, "a")
        .schema("t", &grown, &["id"])
        .record("t", &json!({ "id": 2, "more": "m", "name": "b" }))
        .done();
    let folder = folder();
    let config = json!({ "output_path": folder.path(), "source": "s", "datestamp": DAY });
    feed("target-csv", &config, &lines.0).success();
    lake::check(folder.path());
    let tap = ours("tap-csv").config(&json!({ "output": folder.path(), "datestamp": DAY }));
    let records = tap.go().success().records("t");
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!((&records[0]["id"], &records[0]["name"]), (&json!(1), &json!("a")));
    assert!(records[0]["more"].is_null(), "{records:?}");
    assert_eq!(records[1], json!({ "id": 2, "more": "m", "name": "b" }));
}

#[test]
fn compressed_files_are_whole_or_refused() {
    let folder = folder();
    let script = |text: &str| {
        let run = Run::new(Path::new("/bin/sh")).args(["-ec", text, "sh"]);
        run.args([folder.path()]).go().success();
    };
    file(folder.path(), "a.csv", format!("a,b\n{}", "1,x\n".repeat(5000)));
    file(folder.path(), "b.csv", "2,y\n");
    script(
        "cd $1; gzip -c a.csv > ok.csv.gz; cp ok.csv.gz two.csv.gz; gzip -c b.csv >> two.csv.gz",
    );
    script("cd $1; head -c 40 ok.csv.gz > cut.csv.gz; cp a.csv not.csv.gz");
    script("cd $1; cp ok.csv.gz tail.csv.gz; echo garbage >> tail.csv.gz");
    let records = |name: &str| tap(&folder.path().join(name), &json!({})).go();
    assert_eq!(records("ok.csv.gz").success().records("t").len(), 5000);
    assert_eq!(records("two.csv.gz").success().records("t").len(), 5001);
    for name in ["cut.csv.gz", "not.csv.gz", "tail.csv.gz"] {
        let outcome = records(name).exits(65);
        assert!(outcome.stderr.contains(name), "{}", outcome.stderr);
    }
}

#[test]
fn only_regular_files_are_read() {
    let folder = folder();
    let mkfifo = Run::new(Path::new("/usr/bin/mkfifo")).args([folder.path().join("fifo.csv")]);
    mkfifo.go().success();
    for path in [folder.path().join("fifo.csv"), "/dev/zero".into(), folder.path().join("no.csv")] {
        let outcome = tap(&path, &json!({})).go();
        assert!([66, 78].contains(&outcome.code), "{}: {}", path.display(), outcome.stderr);
    }
}

#[test]
fn a_day_without_manifest_is_no_day() {
    let folder = folder();
    let partition = lake::partition(folder.path(), "s", DAY, "t");
    file(&partition, "data.csv", "id\n1\n");
    let tap = || ours("tap-csv").config(&json!({ "output": folder.path(), "datestamp": DAY }));
    let outcome = tap().go().exits(66);
    assert!(outcome.stderr.contains("manifest"), "{}", outcome.stderr);
    let config = json!({ "output_path": folder.path(), "source": "s", "datestamp": DAY });
    let foreign = feed("target-csv", &config, &Lines::whole(&[(1, "a")]).0);
    assert_ne!(foreign.code, 0, "a folder of another program is not touched");
    assert!(foreign.stderr.contains("adopt"), "{}", foreign.stderr);
    assert!(partition.join("data.csv").exists());
}

#[test]
fn an_unchanged_file_is_skipped_when_there_is_state() {
    let folder = folder();
    let path = file(folder.path(), "in/1.csv", "a,b\n1,x\n");
    let first = tap(&folder.path().join("in"), &json!({})).go().success();
    let state =
        first.messages().into_iter().rfind(|m| m["type"] == "STATE").unwrap()["value"].take();
    let again =
        || tap(&folder.path().join("in"), &json!({})).json("--state", &state).go().success();
    assert_eq!(again().records("t").len(), 0);
    file(folder.path(), "in/2.csv", "a,b\n2,y\n");
    assert_eq!(again().records("t"), [json!({ "a": 2, "b": "y" })]);
    std::fs::write(path, "a,b\n3,z\n").unwrap();
    assert_eq!(again().records("t").len(), 2);
}

#[test]
fn a_day_read_back_has_the_types_and_keys_of_its_source() {
    let (source, target, folder) = (database("typed"), database("typed_target"), folder());
    source.psql(
        "CREATE TABLE t (a varchar(3), b integer, c numeric(6,2), d date, PRIMARY KEY (b, a));
         INSERT INTO t VALUES ('00', 1, 1.50, '2026-01-01'), ('', 2, NULL, NULL)",
    );
    extract(&source, folder.path(), DAY);
    let tap = ours("tap-csv").config(&json!({ "output": folder.path(), "datestamp": DAY })).go();
    let messages = tap.success().messages();
    let schema = messages.iter().find(|m| m["type"] == "SCHEMA").unwrap();
    assert_eq!(schema["stream"], "public-t");
    assert_eq!(schema["key_properties"], json!(["b", "a"]));
    assert_eq!(schema["schema"]["properties"]["c"]["x-sql-datatype"], "numeric(6,2)");
    let partition = json!({ "source": "postgres", "extracted_at": DAY });
    assert_eq!(schema["schema"]["x-partition"], partition);
    load(folder.path(), DAY, &target, &json!({}));
    assert_eq!(target.psql("SELECT * FROM public.t ORDER BY b"), "00|1|1.50|2026-01-01\n|2||");
}

#[test]
fn rejects_are_set_aside_up_to_the_limit() {
    let scratch = folder();
    let rejects = scratch.path().join("rejects.jsonl");
    let config = |max: u64| {
        json!({ "output_path": scratch.path().join("lake"), "source": "s", "datestamp": DAY,
                "max_rejects": max, "rejects_file": rejects })
    };
    let lines = Lines::opened()
        .row(1, "a")
        .record("t", &json!({ "id": "two", "name": "b" }))
        .row(3, "c")
        .done();
    feed("target-csv", &config(0), &lines.0).exits(65);
    let outcome = feed("target-csv", &config(1), &lines.0).success();
    assert!(outcome.stderr.contains("rejects.jsonl"), "{}", outcome.stderr);
    let data = lake::data(&lake::partition(&scratch.path().join("lake"), "s", DAY, "t"));
    assert_eq!(data, "id,name\n1,a\n3,c\n");
    let text = std::fs::read_to_string(&rejects).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["stream"], "t", "{last}");
    assert_eq!(last["column"], "id", "{last}");
}

#[test]
fn a_property_that_some_records_lack_is_told() {
    let integer = || json!({ "type": ["integer", "null"] });
    let columns = |absent_is_null: bool| {
        let mut columns = json!({ "a": integer(), "b": integer(), "id": integer() });
        if absent_is_null {
            columns["b"]["x-absent-is-null"] = true.into();
        }
        columns
    };
    let whole = json!({ "id": 1, "a": 1, "b": null });
    let lacks = json!({ "id": 2, "a": 2 });
    let told = |keys: &[&str], (ours, absent_is_null): (bool, bool), records: &[&Value]| {
        let scratch = folder();
        let state = |syncing: Value, ended: bool| {
            let mut state = json!({ "bookmarks": {}, "currently_syncing": syncing });
            if ours {
                state["syncing_run"] = json!({ "id": "1", "ended": ended });
            }
            state
        };
        let lines = Lines::default().state(&state("t".into(), false));
        let lines = lines.schema("t", &columns(absent_is_null), keys);
        let lines = records.iter().fold(lines, |lines, record| lines.record("t", record));
        let lines = lines.state(&state(Value::Null, true));
        let run = to_lake(scratch.path(), "s", DAY).set("max_rejects", 1);
        let rejects = scratch.path().join("rejects.jsonl");
        let outcome = run.set("rejects_file", rejects.display()).input(lines.0).go().success();
        let told = outcome.stderr.lines().find(|line| line.contains("W-PROPERTY-ABSENT: "));
        told.map(|line| line.contains("has null there: b."))
    };
    let foreign = (false, false);
    assert_eq!(told(&["id"], foreign, &[&whole, &lacks]), Some(true));
    assert_eq!(told(&["id"], foreign, &[&lacks, &whole, &lacks]), Some(true));
    // In batches of their own.
    let many: Vec<&Value> = std::iter::repeat_n(&lacks, 70_000).chain([&whole]).collect();
    assert_eq!(told(&["id"], foreign, &many), Some(true));
    let many: Vec<&Value> = std::iter::repeat_n(&whole, 70_000).chain([&lacks]).collect();
    assert_eq!(told(&["id"], foreign, &many), Some(true));
    assert_eq!(told(&["id"], foreign, &many[..70_000]), None);
    // A record that is rejected is none of the file.
    let keyless = json!({ "a": 3, "id": null });
    assert_eq!(told(&["id"], foreign, &[&keyless, &whole]), None);
    assert_eq!(told(&["id"], foreign, &[&keyless, &lacks]), None);
    // All have it, or none, or a load by key is none, or the records are whole.
    assert_eq!(told(&["id"], foreign, &[&whole, &whole]), None);
    assert_eq!(told(&["id"], foreign, &[&lacks, &lacks]), None);
    assert_eq!(told(&[], foreign, &[&whole, &lacks]), None);
    assert_eq!(told(&["id"], (true, false), &[&whole, &lacks]), None);
    assert_eq!(told(&["id"], (false, true), &[&whole, &lacks]), None);
}
