//! What makes a file read again: its bytes, the settings it is read by, the columns left out of it.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::folder;
use crate::support::messages::Lines;
use crate::support::pipes::{DAY, from_lake, to_lake};
use crate::support::run::{Outcome, Run, file, ours};

fn state(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"].take()
}

fn settings(path: &Path, more: &Value) -> Value {
    let mut entry = json!({ "entity": "t", "path": path });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    json!({ "files": [entry] })
}

fn tap(path: &Path, more: &Value) -> Run {
    ours("tap-csv").config(&settings(path, more))
}

#[test]
fn a_change_of_what_decides_the_rows_reads_them_again_and_says_so() {
    let scratch = folder();
    let path = file(scratch.path(), "in/a.csv", "id;n\n1;NA\n3;y\n");
    file(scratch.path(), "in/b.csv", "id;n\n2;x\n4;z\n");
    let folder = path.parent().unwrap();
    let base = json!({ "delimiter": ";" });
    let first = state(&tap(folder, &base).go().success());
    let again = |more: &Value| tap(folder, more).json("--state", &first).go().success();
    assert_eq!(again(&base).records("t").len(), 0);
    // It decides about files without rows, and nothing else.
    let same = json!({ "delimiter": ";", "allow_empty_files": true });
    assert_eq!(again(&same).records("t").len(), 0);
    for (name, value) in [
        ("types", json!({ "id": "string" })),
        ("null_values", json!(["NA"])),
        ("encoding", json!("cp1252")),
        ("quotechar", json!("'")),
        ("skipinitialspace", json!(true)),
        ("infer_types", json!(false)),
        ("delimiter", json!(",")),
        ("header", json!(false)),
        ("skip_rows", json!(1)),
        ("format", json!("csv")),
    ] {
        let mut more = base.clone();
        more[name] = value;
        let outcome = again(&more);
        assert_ne!(outcome.records("t").len(), 0, "{name}");
        let told = format!("`{name}` changed");
        assert!(outcome.stderr.contains(&told), "{name}: {}", outcome.stderr);
        assert!(!outcome.text().contains("resumed_from"), "{name}: all is read");
        let then = tap(folder, &more).json("--state", &state(&outcome)).go().success();
        assert_eq!(then.records("t").len(), 0, "{name}");
    }
    let changed =
        ours("tap-csv").config(&settings(folder, &base)).set("add_metadata_columns", true);
    let outcome = changed.json("--state", &first).go().success();
    assert_eq!(outcome.records("t").len(), 4);
    // A bookmark from before settings were kept is taken as it is, and has them from then on.
    let mut old = first.clone();
    old["bookmarks"]["t"].as_object_mut().unwrap().remove("settings").unwrap();
    let typed = json!({ "delimiter": ";", "types": { "id": "string" } });
    let adopted = tap(folder, &typed).json("--state", &old).go().success();
    assert_eq!(adopted.records("t").len(), 0);
    let outcome = tap(folder, &base).json("--state", &state(&adopted)).go().success();
    assert_eq!(outcome.records("t").len(), 4);
}

#[test]
fn columns_that_were_left_out_are_read_when_they_are_wanted() {
    let scratch = folder();
    let path = file(scratch.path(), "a.csv", "id,n,m\n1,2,3\n");
    let config = settings(&path, &json!({}));
    let run = |catalog: &Value, state: &Value| {
        let tap = ours("tap-csv").config(&config).json("--catalog", catalog);
        tap.json("--state", state).go().success()
    };
    let catalog = ours("tap-csv").config(&config).args(["--discover"]).go().success().text();
    let all: Value = serde_json::from_str(&catalog).unwrap();
    let mut fewer = all.clone();
    let metadata = fewer["streams"][0]["metadata"].as_array_mut().unwrap();
    let of_n = |entry: &&mut Value| entry["breadcrumb"] == json!(["properties", "n"]);
    metadata.iter_mut().find(of_n).unwrap()["metadata"]["selected"] = json!(false);
    let first = run(&fewer, &json!({}));
    assert_eq!(first.records("t"), [json!({ "id": 1, "m": 3 })]);
    assert_eq!(run(&fewer, &state(&first)).records("t").len(), 0);
    let second = run(&all, &state(&first));
    assert_eq!(second.records("t"), [json!({ "id": 1, "n": 2, "m": 3 })]);
    assert!(second.stderr.contains("left out"), "{}", second.stderr);
    // Fewer columns need no reading again.
    assert_eq!(run(&fewer, &state(&second)).records("t").len(), 0);
    // What a catalog did not know was left out as well.
    let mut stale = all.clone();
    stale["streams"][0]["schema"]["properties"].as_object_mut().unwrap().remove("m").unwrap();
    let metadata = stale["streams"][0]["metadata"].as_array_mut().unwrap();
    metadata.retain(|entry| entry["breadcrumb"] != json!(["properties", "m"]));
    let third = run(&stale, &json!({}));
    assert_eq!(third.records("t"), [json!({ "id": 1, "n": 2 })]);
    assert_eq!(run(&all, &state(&third)).records("t"), [json!({ "id": 1, "n": 2, "m": 3 })]);
}

#[test]
fn columns_of_a_day_that_were_left_out_are_read_when_they_are_wanted() {
    let scratch = folder();
    to_lake(scratch.path(), "s", DAY).input(Lines::whole(&[(1, "a")]).0).go().success();
    let tap = || from_lake(scratch.path(), DAY);
    let all: Value =
        serde_json::from_str(&tap().args(["--discover"]).go().success().text()).unwrap();
    let mut fewer = all.clone();
    let metadata = fewer["streams"][0]["metadata"].as_array_mut().unwrap();
    let of_name = |entry: &&mut Value| entry["breadcrumb"] == json!(["properties", "name"]);
    metadata.iter_mut().find(of_name).unwrap()["metadata"]["selected"] = json!(false);
    let run = |catalog: &Value, state: &Value| {
        tap().json("--catalog", catalog).json("--state", state).go().success()
    };
    let first = run(&fewer, &json!({}));
    assert_eq!(first.records("t"), [json!({ "id": 1 })]);
    assert_eq!(run(&fewer, &state(&first)).records("t").len(), 0);
    let second = run(&all, &state(&first));
    assert_eq!(second.records("t"), [json!({ "id": 1, "name": "a" })]);
    assert_eq!(run(&all, &state(&second)).records("t").len(), 0);
    assert_eq!(run(&fewer, &state(&second)).records("t").len(), 0);
}

#[test]
fn a_file_of_equal_size_and_time_is_read_when_it_is_another() {
    let scratch = folder();
    let path = scratch.path().join("a.csv");
    let put = |text: &str, seconds: u64| {
        let new = scratch.path().join("new");
        fs::write(&new, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(&new).unwrap().set_modified(time).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    for seconds in [0, 1, 499_162_500, 1_577_836_800] {
        put("id\n1\n", seconds);
        let first = state(&tap(&path, &json!({})).go().success());
        let again = || tap(&path, &json!({})).json("--state", &first).go().success();
        assert_eq!(again().records("t").len(), 0, "{seconds}");
        put("id\n1\n", seconds);
        assert_eq!(again().records("t").len(), 0, "the same bytes again, {seconds}");
        put("id\n2\n", seconds);
        assert_eq!(again().records("t"), [json!({ "id": 2 })], "{seconds}");
    }
}
