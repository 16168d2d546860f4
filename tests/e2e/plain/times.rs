//! When a config.yaml begins and ends, and how its files are watched.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use support::cluster::{Database, database};
use support::folder;
use support::run::{file, ours_to_end};

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
