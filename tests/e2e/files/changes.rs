//! What makes a file read again: its bytes, the settings it is read by, the columns left out of it.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, Run, file, ours};

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
    file(scratch.path(), "in/b.csv", "id;n\n1;x\n4;z\n");
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
    // The key decides which rows take the place of others; its order does not, and a bookmark from
    // before keys were kept has none.
    let keyed = |state: &Value, keys: Value| {
        let more = json!({ "delimiter": ";", "keys": keys });
        tap(folder, &more).json("--state", state).go().success()
    };
    let by_two = keyed(&first, json!(["n", "id"]));
    assert_eq!(by_two.records("t").len(), 4);
    assert!(by_two.stderr.contains("W-SETTINGS-CHANGED: stream t: `keys` "), "{}", by_two.stderr);
    assert_eq!(keyed(&state(&by_two), json!(["id", "n"])).records("t").len(), 0);
    assert_eq!(keyed(&state(&by_two), json!(["id"])).records("t").len(), 4);
    let mut old = first.clone();
    old["bookmarks"]["t"]["settings"].as_object_mut().unwrap().remove("keys").unwrap();
    assert_eq!(keyed(&old, json!(["id"])).records("t").len(), 0);
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

#[test]
fn a_file_by_another_name_brings_no_rows_twice() {
    let scratch = folder();
    let at = |name: &str| scratch.path().join("in").join(name);
    let path = file(scratch.path(), "in/a.csv", "id\n1\n");
    file(scratch.path(), "in/b.csv", "id\n2\n");
    let folder = path.parent().unwrap();
    let first = state(&tap(folder, &json!({})).go().success());
    let read = |state: &Value| tap(folder, &json!({})).json("--state", state).go().success();
    // Renamed, moved into a folder, compressed there.
    fs::rename(&path, at("c.csv")).unwrap();
    let renamed = read(&first);
    fs::create_dir(at("archive")).unwrap();
    fs::rename(at("c.csv"), at("archive/c.csv")).unwrap();
    let moved = read(&state(&renamed));
    let gzip = |name: &str| {
        Run::new(Path::new("/bin/gzip")).args(["-n".into(), at(name)]).go().success();
    };
    gzip("archive/c.csv");
    let compressed = read(&state(&moved));
    for (outcome, name) in
        [(&renamed, "in/c.csv"), (&moved, "archive/c.csv"), (&compressed, "c.csv.gz")]
    {
        assert_eq!(outcome.records("t").len(), 0, "{name}");
        assert!(outcome.stderr.contains("W-FILE-MOVED: skipping "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(name), "{}", outcome.stderr);
    }
    let last = read(&state(&compressed));
    assert_eq!(last.records("t").len(), 0);
    assert!(!last.stderr.contains("W-FILE-MOVED"), "{}", last.stderr);
    // Renamed and compressed at once, beside one that is compressed and another.
    file(scratch.path(), "in/e.csv", "id\n4\n");
    file(scratch.path(), "in/f.csv", "id\n5\n");
    file(scratch.path(), "in/archive/h.csv", "id\n7\n");
    let last = read(&state(&last));
    fs::rename(at("e.csv"), at("archive/old")).unwrap();
    gzip("archive/old");
    fs::rename(at("archive/old.gz"), at("archive/four.csv.gz")).unwrap();
    fs::remove_file(at("f.csv")).unwrap();
    file(scratch.path(), "in/six.csv", "id\n6\n");
    gzip("six.csv");
    let both = read(&state(&last));
    assert_eq!(both.records("t"), [json!({ "id": 6 })]);
    assert!(both.stderr.contains("four.csv.gz: it is "), "{}", both.stderr);
    assert_eq!(both.stderr.matches("W-FILE-MOVED: ").count(), 1, "{}", both.stderr);
    let last = read(&state(&both));
    assert_eq!(last.records("t").len(), 0);
    // By other times it may be another file of the same bytes.
    gzip("archive/h.csv");
    File::options()
        .write(true)
        .open(at("archive/h.csv.gz"))
        .unwrap()
        .set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .unwrap();
    fs::rename(at("archive/h.csv.gz"), at("seven.csv.gz")).unwrap();
    let last = read(&state(&last));
    assert_eq!(last.records("t"), [json!({ "id": 7 })]);
    assert!(last.stderr.contains("seven.csv.gz, which may be "), "{}", last.stderr);
    // Another file of the same bytes is another: a day like the one before.
    fs::remove_file(at("b.csv")).unwrap();
    file(scratch.path(), "in/d.csv", "id\n2\n");
    assert_eq!(read(&state(&last)).records("t"), [json!({ "id": 2 })]);
    // Of one name, but with other rows.
    gzip("d.csv");
    file(scratch.path(), "in/d.csv", "id\n3\n");
    let both = read(&state(&last));
    assert_eq!(both.records("t").len(), 2);
    assert!(both.stderr.contains("W-FILE-TWICE: reading both "), "{}", both.stderr);
}

#[test]
fn a_run_that_skips_files_activates_no_version() {
    let scratch = folder();
    let path = file(scratch.path(), "in/a.csv", "id\n1\n");
    let folder = path.parent().unwrap();
    let database = database("skipped_files");
    let settings = database.settings_with(&json!({
        "default_target_schema": "s", "add_record_metadata": true, "hard_delete": true,
    }));
    let load = |since: &Value, whole: bool, versions: usize| {
        let tap = tap(folder, &json!({ "keys": ["id"] })).json("--state", since);
        let tap = tap.set("emit_activate_version_messages", true).set("whole_tables", whole);
        let read = tap.go().success();
        assert_eq!(read.text().matches("ACTIVATE_VERSION").count(), versions, "{}", read.text());
        let target = ours("target-postgres").config(&settings).set("allow_empty", true);
        target.input(read.stdout.clone()).go().success();
        (state(&read), database.psql("select string_agg(id::text, ',' order by id) from s.t"))
    };
    let (first, ids) = load(&json!({}), false, 1);
    assert_eq!(ids, "1");
    // The rows of a file that is skipped are not gone.
    file(scratch.path(), "in/b.csv", "id\n2\n");
    let (second, ids) = load(&first, false, 0);
    assert_eq!(ids, "1,2");
    let (third, ids) = load(&second, false, 0);
    assert_eq!(ids, "1,2");
    // All files are all there is.
    fs::write(&path, "id\n3\n").unwrap();
    let (_, ids) = load(&third, true, 1);
    assert_eq!(ids, "2,3");
}

#[test]
fn rows_without_a_key_that_come_again_are_told() {
    let scratch = folder();
    let input = scratch.path().join("in");
    let grown = |name: &str| {
        let text = fs::read_to_string(input.join(name)).unwrap();
        file(&input, name, format!("{text}9\n"));
    };
    for (keys, whole, told) in
        [(json!([]), false, 1), (json!(["id"]), false, 0), (json!([]), true, 0)]
    {
        fs::remove_dir_all(&input).ok();
        file(&input, "a.csv", "id\n1\n");
        file(&input, "b.csv", "id\n2\n");
        let more = json!({ "keys": keys });
        let run = |state: &Value| {
            let tap = tap(&input, &more).set("whole_tables", whole).json("--state", state);
            tap.go().success()
        };
        let tells = |outcome: &Outcome| outcome.stderr.matches("W-NO-KEYS: ").count();
        let first = run(&json!({}));
        // A new file beside them is no reason.
        file(&input, "c.csv", "id\n3\n");
        let second = run(&state(&first));
        assert_eq!((tells(&first), tells(&second)), (0, 0), "{}", second.stderr);
        grown("a.csv");
        grown("c.csv");
        let third = run(&state(&second));
        assert_eq!(tells(&third), told, "{}", third.stderr);
        assert_eq!(third.stderr.contains("a.csv and 1 more changed"), told > 0);
        assert_eq!(third.records("t").len(), if whole { 5 } else { 4 });
        assert_eq!(tells(&run(&state(&third))), 0);
    }
}

#[test]
fn files_that_may_be_empty_are_no_news_when_all_are() {
    let scratch = folder();
    let input = scratch.path().join("in");
    for (files, may_be, whole, told) in [
        (&[("a.csv", ""), ("b.json", "")][..], true, false, 0),
        (&[("a.json", "[]")], true, false, 0),
        (&[("a.json", "[]")], false, false, 1),
        // What was loaded before is not replaced by nothing.
        (&[("a.csv", "")], true, true, 1),
    ] {
        fs::remove_dir_all(&input).ok();
        for (name, text) in files {
            file(&input, name, text);
        }
        let tap = tap(&input, &json!({ "allow_empty_files": may_be })).set("whole_tables", whole);
        let outcome = tap.go().success();
        assert_eq!(outcome.stderr.matches("W-STREAM-EMPTY: ").count(), told, "{}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("| WARNING"), told > 0, "{}", outcome.stderr);
    }
}
