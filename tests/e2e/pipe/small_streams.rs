//! Small streams are made durable together: soon, also while the tap is silent, and before a later
//! stream fails.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::invariants::fails;
use support::messages::{Lines, columns};
use support::pipes::{DAY, from_lake, to_database, to_lake};
use support::run::{Outcome, Run};
use support::strace::{Point, points};
use support::{folder, lake};

/// Where two small streams go.
enum Place<'a> {
    Lake(&'a Path),
    Database(&'a Database),
}

impl Place<'_> {
    fn target(&self) -> Run {
        match self {
            Self::Lake(folder) => to_lake(folder, "s", DAY),
            Self::Database(database) => to_database(database, &json!({ "load_method": "upsert" })),
        }
    }

    /// Tells whether the rows of stream `a` are there for others.
    fn has_a(&self) -> bool {
        match self {
            Self::Lake(folder) => lake::partition(folder, "s", DAY, "a").exists(),
            Self::Database(database) => {
                database.psql("SELECT to_regclass('public.a') IS NOT NULL") == "t"
                    && database.psql("SELECT count(*) FROM a") == "2"
            }
        }
    }
}

/// Stream `a` as a whole; `b` is being read behind it.
fn a_then_b() -> Lines {
    let lines = Lines::default().syncing("a").schema("a", &columns(), &["id"]);
    (0..2)
        .fold(lines, |lines, id| lines.record("a", &json!({ "id": id, "name": "x" })))
        .state(&behind_a())
        .schema("b", &columns(), &["id"])
}

fn behind_a() -> Value {
    json!({ "bookmarks": { "a": { "version": 1 } }, "currently_syncing": "b" })
}

/// Asserts that the last state printed is the one behind stream `a`.
#[track_caller]
fn prints_a(outcome: &Outcome) {
    let last = outcome.text().lines().last().map(str::to_owned).unwrap_or_default();
    let last: Value = serde_json::from_str(&last).unwrap_or_default();
    assert_eq!(last["bookmarks"]["a"]["version"], 1, "{}", outcome.stderr);
    assert_eq!(last["currently_syncing"], "b");
}

#[test]
fn a_stream_that_has_ended_does_not_wait_for_a_silent_tap() {
    let (target, scratch) = (database("together_silent"), folder());
    for place in [Place::Lake(scratch.path()), Place::Database(&target)] {
        let mut run = place.target().start_with(Stdio::piped(), true);
        let mut stdin = run.child().stdin.take().unwrap();
        stdin.write_all(&a_then_b().0).unwrap();
        let mut left = 600;
        while !place.has_a() {
            left -= 1;
            assert!(left > 0, "the rows wait for the tap");
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(stdin);
        let outcome = run.wait();
        fails(&outcome, &[76]);
        prints_a(&outcome);
    }
}

#[test]
fn a_stream_that_has_ended_stays_when_the_next_one_fails() {
    let (target, scratch) = (database("together_failed"), folder());
    for place in [Place::Lake(scratch.path()), Place::Database(&target)] {
        let bad = a_then_b().record("b", &json!({ "id": "none" }));
        let outcome = place.target().input(bad.0).go();
        fails(&outcome, &[65]);
        assert!(outcome.stderr.contains("stream: b"), "{}", outcome.stderr);
        assert!(place.has_a());
        prints_a(&outcome);
    }
}

#[test]
fn small_and_large_streams_make_one_day() {
    let scratch = folder();
    let run = |value: &str| {
        let mut lines = Lines::default();
        for number in 0..60 {
            let name = format!("t{number}");
            lines = lines.syncing(&name).schema(&name, &columns(), &["id"]);
            let (rows, width) = if number % 20 == 7 { (40, 50_000) } else { (number % 4, 5) };
            let name_of = |id| format!("{value}{id}").repeat(width);
            lines = (0..rows).fold(lines, |lines, id| {
                lines.record(&name, &json!({ "id": id, "name": name_of(id) }))
            });
        }
        to_lake(scratch.path(), "s", DAY).input(lines.done().0).go().success()
    };
    let done = |outcome: &Outcome, what: &str| outcome.stderr.matches(what).count();
    assert_eq!(done(&run("x"), ": new, "), 60);
    lake::check(scratch.path());
    assert_eq!(done(&run("x"), ": unchanged, "), 60);
    let changed = run("y");
    assert_eq!((done(&changed, ": replaced, "), done(&changed, ": unchanged, ")), (45, 15));
    lake::check(scratch.path());
    let read = from_lake(scratch.path(), DAY).go().success();
    assert_eq!(read.records("t27").len(), 40);
}

#[test]
fn small_partitions_write_the_run_record_a_few_times_and_not_each() {
    let scratch = folder();
    let lines = (0..40).map(|number| format!("t{number}")).fold(Lines::default(), |lines, name| {
        let lines = lines.syncing(&name).schema(&name, &columns(), &["id"]);
        lines.record(&name, &json!({ "id": 1, "name": "x" }))
    });
    let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let calls =
        points("target-csv", &[], scratch.path(), |run| run.config(&day).input(lines.done().0));
    lake::check(scratch.path());
    let written = |call: &&Point| call.call.starts_with("rename") && call.line.contains("/.runs/");
    // Once before and once behind each group; a slow machine makes some more.
    let records = calls.iter().filter(written).count();
    assert!((2..=20).contains(&records), "{records}");
}
