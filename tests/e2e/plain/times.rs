//! When a config.yaml begins and ends, and how its files are watched.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use support::cluster::{Database, database};
use support::folder;
use support::run::{file, ours, ours_to_end};

use super::files::{config, run};

const LOCAL: &str = "- {type: local, path: data}\n";

fn prepared(purpose: &str, more: &str) -> (tempfile::TempDir, Database) {
    let (folder, database) = (folder(), database(purpose));
    fs::create_dir(folder.path().join("data")).unwrap();
    file(folder.path(), "data/a.csv", "id\n1\n");
    config(folder.path(), LOCAL, &database, more);
    (folder, database)
}

fn watched(root: &Path) -> support::run::Run {
    ours_to_end("chorus").args(["run"]).args([root.join("config.yaml")])
}

#[test]
fn a_run_waits_for_its_start_and_does_not_begin_after_its_end() {
    let times = "start_time: 2026-01-31 06:00\nend_time: 2026-01-31 18:00\n";
    let (folder, database) = prepared("start", times);
    let root = folder.path();
    let begun = Instant::now();
    let ran = run(root).env("CHORUS_CLOCK", "2026-01-31T05:59:57Z").go().success();
    assert!(begun.elapsed() >= Duration::from_secs(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("waiting until 2026-01-31 06:00"), "{}", ran.stderr);
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "1");
    let late = run(root).env("CHORUS_CLOCK", "2026-01-31T18:00:00Z").go().exits(78);
    assert!(late.stderr.contains("the end is in the past"), "{}", late.stderr);
}

#[test]
fn a_time_that_the_zone_skips_or_has_twice_is_refused_and_the_hint_is_taken() {
    let folder = folder();
    let validate = |times: &str| {
        let text = format!(
            "sources:\n{LOCAL}target: {{type: postgres, database: w, table: t}}\n{times}\n"
        );
        file(folder.path(), "config.yaml", text);
        ours("chorus").args(["validate"]).args([folder.path().join("config.yaml")]).go()
    };
    for (key, zone, time, says) in [
        ("start_time", "Europe/Berlin", "2030-03-31 02:15", "clocks were set forward"),
        ("start_time", "Europe/Berlin", "2030-10-27T02:00", "clocks were set back"),
        ("end_time", "America/New_York", "2030-03-10 02:59:59", "clocks were set forward"),
        ("end_time", "UTC", "2030-11-03T01:30[America/New_York]", "clocks were set back"),
    ] {
        let line = |time: &str| format!("timezone: {zone}\n{key}: {time}");
        let refused = validate(&line(time)).exits(78);
        let place = format!("column: {}", key.len() + 3);
        for says in [says, &place, &format!("key: {key}"), "with an offset"] {
            assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        }
        let hints = refused.quoted();
        assert_eq!(hints.len(), 2, "{}", refused.stderr);
        for hint in hints {
            validate(&line(hint)).success();
            validate(&line(&format!("\"{hint}\""))).success();
        }
    }
    // A day begins at its first moment, also one without a midnight.
    validate("timezone: Africa/Cairo\nstart_time: 2030-04-26").success();
    validate("timezone: Europe/Berlin\nstart_time: 2030-03-31 03:00").success();
    validate("start_time: 2030-03-31 02:15").success();
    let none = validate("start_time: 2030-02-30").exits(78);
    assert!(none.stderr.contains("write YYYY-MM-DD"), "{}", none.stderr);
}

#[test]
fn watched_files_are_loaded_when_they_change_until_the_end() {
    let more = "monitor: {interval: 200ms}\n";
    let (folder, database) = prepared("watch", more);
    let root = folder.path();
    let running = watched(root).piped().start(true);
    database.wait_for("SELECT count(*) FROM sales");
    file(root, "data/b.csv", "id\n2\n3\n");
    database.wait_for("SELECT count(*) = 3 FROM sales");
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait().success();
    // Only the file that is new was read again.
    let read = |name: &str| ended.stderr.matches(&format!("local/{name}")).count();
    assert!(read("b.csv") > 0 || read("a.csv") == 0, "{}", ended.stderr);
}

#[test]
fn the_end_time_ends_a_watch() {
    let more = "monitor: {interval: 200ms}\nend_time: 2026-01-31 18:00\n";
    let (folder, database) = prepared("over", more);
    watched(folder.path()).env("CHORUS_CLOCK", "2026-01-31T17:59:50Z").go().success();
    assert_eq!(database.psql("SELECT count(*) FROM sales"), "1");
}

#[test]
fn g_and_enter_end_a_watch() {
    let (folder, database) = prepared("g", "monitor: {interval: 200ms}\n");
    watched(folder.path()).input("g\n").go().success();
    let there = database.psql("SELECT count(*) FROM pg_tables WHERE tablename = 'sales'");
    assert!(["0", "1"].contains(&there.as_str()));
}
