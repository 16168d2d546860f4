//! Reads of files that leave rows or fields out: no target takes what comes for all rows.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use support::folder;
use support::lake::{data, partition};
use support::pipes::{DAY, to_lake};
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};
use support::sshd::{Sshd, age};

fn state(outcome: &Outcome) -> Value {
    let last = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    last.unwrap()["value"].take()
}

fn part(outcome: &Outcome) -> Value {
    let schema = outcome.messages().into_iter().find(|message| message["type"] == "SCHEMA");
    schema.unwrap()["resumed_from"].take()
}

fn tap(path: &Path) -> Run {
    let files = json!([{ "entity": "t", "path": path }]);
    let tap = ours("tap-csv").config(&json!({ "files": files }));
    tap.set("emit_activate_version_messages", true)
}

#[test]
fn rows_of_files_that_are_gone_since_are_not_gone() {
    let scratch = folder();
    let (lake, place) = (scratch.path().join("output"), scratch.path().join("in"));
    file(scratch.path(), "in/d1.csv", "id\n1\n2\n");
    let first = tap(&place).go().success();
    assert!(part(&first).is_null() && first.text().contains("ACTIVATE_VERSION"));
    pipe_succeeds(tap(&place), to_lake(&lake, "s", DAY));
    let whole = data(&partition(&lake, "s", DAY, "t"));
    fs::remove_file(place.join("d1.csv")).unwrap();
    file(scratch.path(), "in/d2.csv", "id\n3\n");
    let next = || tap(&place).json("--state", &state(&first));
    let outcome = next().go().success();
    assert_eq!(outcome.records("t"), [json!({ "id": 3 })]);
    assert_eq!(part(&outcome), state(&first)["bookmarks"]["t"]);
    assert!(!outcome.text().contains("ACTIVATE_VERSION"));
    let (_, refused) = pipe(next(), to_lake(&lake, "s", DAY));
    assert!(refused.exits(78).stderr.contains("cannot replace a day by a part of its rows"));
    assert_eq!(data(&partition(&lake, "s", DAY, "t")), whole);
    // A file that is read again is whole, and so is what has no state.
    let outcome = tap(&place).json("--state", &state(&outcome)).go().success();
    file(scratch.path(), "in/d2.csv", "id\n3\n4\n");
    assert!(part(&tap(&place).go().success()).is_null());
    let again = tap(&place).json("--state", &state(&outcome)).go().success();
    assert_eq!((again.records("t").len(), part(&again).is_null()), (2, false));
}

#[test]
fn a_file_that_is_still_being_written_makes_the_rest_a_part() {
    let server = Sshd::start();
    let scratch = folder();
    let lake = scratch.path().join("output");
    server.put("/in/a.csv", "id\n1\n");
    server.put("/in/b.csv", "id\n2\n");
    let tables = json!([{ "table_name": "t", "remote_path": "/in" }]);
    let tap = || {
        let tap = ours("tap-sftp").config(&server.settings(&tables));
        tap.set("stability_seconds", 3600).set("emit_activate_version_messages", true)
    };
    pipe_succeeds(tap(), to_lake(&lake, "s", DAY));
    let whole = data(&partition(&lake, "s", DAY, "t"));
    server.fresh("/in/b.csv", "id\n2\n3\n");
    let outcome = tap().go().success();
    assert_eq!(part(&outcome), json!({ "unfinished": "/in/b.csv", "from": null }));
    assert!(!outcome.text().contains("ACTIVATE_VERSION"));
    let (_, refused) = pipe(tap(), to_lake(&lake, "s", DAY));
    let said = refused.exits(75).stderr;
    assert!(said.contains("left out: /in/b.csv") && said.contains("run again"), "{said}");
    assert_eq!(data(&partition(&lake, "s", DAY, "t")), whole);
}

#[test]
fn a_file_with_the_name_of_the_pattern_hides_no_others_in_silence() {
    let scratch = folder();
    file(scratch.path(), "in/o-*.csv", "id\n1\n");
    file(scratch.path(), "in/o-1.csv", "id\n2\n");
    let outcome = tap(&scratch.path().join("in/o-*.csv")).go().success();
    assert_eq!(outcome.records("t"), [json!({ "id": 1 })]);
    assert!(outcome.stderr.contains("W-FILE-NOT-READ"), "{}", outcome.stderr);
    fs::remove_file(scratch.path().join("in/o-1.csv")).unwrap();
    let outcome = tap(&scratch.path().join("in/o-*.csv")).go().success();
    assert!(!outcome.stderr.contains("W-FILE-NOT-READ"), "{}", outcome.stderr);
}

#[test]
fn what_is_said_of_longer_rows_counts_more_than_the_column_for_them() {
    let server = Sshd::start();
    server.put("/in/a.csv", "id,n\n1,x\n2,y,z\n3,w,\n");
    let read = |on_ragged: &str| {
        let mut table = json!({ "table_name": "t", "remote_path": "/in/a.csv" });
        if !on_ragged.is_empty() {
            table["on_ragged"] = json!(on_ragged);
        }
        ours("tap-sftp").config(&server.settings(&json!([table]))).set("max_rejects", 2).go()
    };
    assert_eq!(read("").success().records("t")[1]["_sdc_extra"], json!(["z"]));
    assert!(read("fail").exits(65).stderr.contains("line: 3"));
    assert_eq!(read("reject").success().records("t").len(), 1);
    let padded = read("null").success();
    assert_eq!(padded.records("t").len(), 2);
    assert!(padded.stderr.contains("W-RECORDS-REJECTED: 1 "), "{}", padded.stderr);
}

#[test]
fn bookmarks_that_are_of_no_files_or_of_the_future_are_told() {
    let scratch = folder();
    age(&file(scratch.path(), "in/a.csv", "id\n1\n"), Duration::from_hours(72));
    let read = |bookmark: Value| {
        let state = json!({ "bookmarks": { "t": bookmark } });
        tap(&scratch.path().join("in")).json("--state", &state).go().success()
    };
    for strange in [json!({ "replication_key_value": "2026" }), json!({ "modified_since": 5 })] {
        let outcome = read(strange);
        assert_eq!(outcome.records("t").len(), 1);
        assert!(outcome.stderr.contains("W-BOOKMARK-UNUSED: stream t"), "{}", outcome.stderr);
    }
    let outcome = read(json!({ "modified_since": "2999-01-01T00:00:00Z" }));
    assert_eq!(outcome.records("t").len(), 0);
    let told = "W-BOOKMARK-IN-FUTURE: stream t: the `modified_since` of its bookmark";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    // What came before the time of the state is not gone.
    let outcome = read(json!({ "modified_since": "2001-01-01T00:00:00Z" }));
    assert_eq!(outcome.records("t").len(), 1);
    assert!(!part(&outcome).is_null() && !outcome.text().contains("ACTIVATE_VERSION"));
    assert!(!read(json!({})).stderr.contains("W-BOOKMARK"));
}
