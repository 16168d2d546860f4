//! What a run leaves behind, however it ends.

use std::fs;

use serde_json::json;

use super::*;
use crate::backend::disk::steps;
use crate::sample::{self, day};

fn lake() -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("output")).unwrap();
    (folder, lake)
}

fn contents() -> Contents {
    sample::contents(&json!({}))
}

fn begin(lake: &Lake) -> Run {
    Run::begin(lake, "pg", day(), "test 1").unwrap()
}

fn publish_in(run: &Run, table: &str, text: &str) -> Result<Outcome> {
    let mut staged = run.stage(table, false)?;
    let mut file = staged.file(&format!("{}.csv", run.id()))?;
    file.write(b"id\n", 0)?;
    file.rest().unwrap();
    file.write(text.as_bytes(), u64::try_from(text.lines().count()).unwrap())?;
    staged.publish(vec![file], contents())
}

fn run_once(lake: &Lake, table: &str, text: &str) -> Outcome {
    let run = begin(lake);
    let outcome = publish_in(&run, table, text).unwrap();
    run.finish().unwrap();
    outcome
}

fn text_of(lake: &Lake, table: &str) -> String {
    let partition = lake.read("pg", day(), table).unwrap();
    partition.verify().unwrap();
    partition.paths().iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn staging(lake: &Lake) -> Vec<String> {
    steps::names(&lake.root().join(".staging")).unwrap()
}

fn staging_of(run: &Run) -> std::path::PathBuf {
    run.shared.lake.root().join(".staging").join(run.id())
}

/// Ends a run as kill -9 does: its locks go, what it wrote stays.
fn kill(run: Run, staged: Option<Staged>) {
    let folder = staging_of(&run);
    let saved = folder.with_extension("saved");
    fs::rename(&folder, &saved).unwrap();
    drop(staged);
    drop(run);
    fs::rename(&saved, &folder).unwrap();
}

#[test]
fn publishes_new_then_unchanged_then_replaced() {
    let (_folder, lake) = lake();
    assert_eq!(run_once(&lake, "orders", "1\n2\n"), Outcome::New);
    let first = lake.read("pg", day(), "orders").unwrap();
    assert_eq!(first.manifest.rows(), 2);
    assert_eq!(run_once(&lake, "orders", "1\n2\n"), Outcome::Unchanged);
    let second = lake.read("pg", day(), "orders").unwrap();
    assert_eq!(first.manifest_sha256, second.manifest_sha256);
    assert_eq!(run_once(&lake, "orders", "1\n"), Outcome::Replaced);
    assert_eq!(text_of(&lake, "orders"), "id\n1\n");
    assert_eq!(steps::names(&lake.table_folder("pg", day(), "orders")).unwrap().len(), 2);
    assert!(staging(&lake).is_empty());
    assert!(steps::names(&lake.root().join(".locks")).unwrap().is_empty());
    assert_eq!(lake.sources().unwrap(), ["pg"]);
    assert_eq!(lake.days("pg").unwrap(), [day()]);
    assert_eq!(lake.tables("pg", day()).unwrap(), ["orders"]);
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 1);
}

#[test]
fn publishes_nothing_that_was_not_completed() {
    let (_folder, lake) = lake();
    run_once(&lake, "orders", "1\n");
    let run = begin(&lake);
    let mut staged = run.stage("orders", false).unwrap();
    staged.file("x.csv").unwrap().write(b"id\n9\n", 1).unwrap();
    drop(staged);
    drop(run);
    assert_eq!(text_of(&lake, "orders"), "id\n1\n");
    assert!(staging(&lake).is_empty());
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 1);
}

#[test]
fn one_run_holds_a_partition() {
    let (_folder, lake) = lake();
    let (one, two) = (begin(&lake), begin(&lake));
    let held = one.stage("orders", false).unwrap();
    assert_eq!(two.stage("orders", false).unwrap_err().kind(), ErrorKind::Temporary);
    publish_in(&two, "customers", "1\n").unwrap();
    let other_day = Run::begin(&lake, "pg", "2024-03-01".parse().unwrap(), "test 1").unwrap();
    other_day.stage("orders", false).unwrap();
    drop(held);
    assert_eq!(two.stage("orders", false).unwrap_err().kind(), ErrorKind::Temporary);
    drop(one);
    two.stage("orders", false).unwrap();
}

#[test]
fn sweeps_the_dead_and_spares_the_living() {
    let (_folder, lake) = lake();
    let dead = begin(&lake);
    let mut staged = dead.stage("orders", false).unwrap();
    staged.file("x.csv").unwrap().write(b"id\n9\n", 1).unwrap();
    kill(dead, Some(staged));
    assert_eq!(staging(&lake).len(), 1);
    let living = begin(&lake);
    assert_eq!(staging(&lake), [living.id()]);
    let second = begin(&lake);
    assert_eq!(staging(&lake).len(), 2);
    assert!(staging_of(&living).exists());
    drop(second);
    assert_eq!(run_once(&lake, "orders", "1\n"), Outcome::New);
}

#[test]
fn a_day_whose_run_died_is_refused_until_its_tables_are_extracted_again() {
    let (_folder, lake) = lake();
    run_once(&lake, "orders", "1\n");
    run_once(&lake, "customers", "1\n");
    let dead = begin(&lake);
    publish_in(&dead, "orders", "2\n").unwrap();
    kill(dead, None);
    let refused = lake.read_day("pg", day(), false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoInput, "{refused}");
    assert_eq!(lake.read_day("pg", day(), true).unwrap().len(), 2);
    run_once(&lake, "customers", "1\n");
    assert!(lake.read_day("pg", day(), false).is_err());
    assert_eq!(run_once(&lake, "orders", "2\n"), Outcome::Unchanged);
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 2);
    assert!(lake.run_record("pg", day()).unwrap().unwrap().open.is_empty());
}

#[test]
fn a_table_that_failed_without_a_change_does_not_block_its_day() {
    let (_folder, lake) = lake();
    run_once(&lake, "kept", "1\n");
    let failed = begin(&lake);
    // Both are about to be written when the first one is published; then the run fails.
    let left = ["never", "kept"].map(|table| failed.stage(table, false).unwrap());
    publish_in(&failed, "orders", "1\n").unwrap();
    drop(left);
    let living = begin(&lake);
    publish_in(&living, "other", "1\n").unwrap();
    drop(failed);
    run_once(&lake, "orders", "2\n");
    assert!(lake.read_day("pg", day(), false).is_err(), "a run is still at it");
    living.finish().unwrap();
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 3);
}

#[test]
fn two_runs_of_one_day_merge_their_tables() {
    let (_folder, lake) = lake();
    let (one, two) = (begin(&lake), begin(&lake));
    publish_in(&one, "a", "1\n").unwrap();
    publish_in(&two, "b", "1\n").unwrap();
    one.finish().unwrap();
    assert!(lake.read_day("pg", day(), false).is_err());
    two.finish().unwrap();
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), 2);
    fs::remove_dir_all(lake.table_folder("pg", day(), "a")).unwrap();
    assert!(lake.read_day("pg", day(), false).is_err());
}

#[test]
fn leaves_the_folders_of_others_alone() {
    let (_folder, lake) = lake();
    let place = lake.table_folder("pg", day(), "orders");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("theirs.csv"), "x\n").unwrap();
    let run = begin(&lake);
    let refused = run.stage("orders", false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("adopt"), "{refused}");
    assert!(place.join("theirs.csv").exists());
    drop(run);
    assert_eq!(lake.read("pg", day(), "orders").unwrap_err().kind(), ErrorKind::NoInput);
    let run = begin(&lake);
    let mut staged = run.stage("orders", true).unwrap();
    let mut file = staged.file("x.csv").unwrap();
    file.write(b"id\n", 0).unwrap();
    assert_eq!(staged.publish(vec![file], contents()).unwrap(), Outcome::Replaced);
    assert!(!place.join("theirs.csv").exists());
}

#[test]
fn refuses_symbolic_links() {
    let (folder, lake) = lake();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, lake.source_folder("pg")).unwrap();
    let run = begin(&lake);
    assert_eq!(run.stage("orders", false).unwrap_err().kind(), ErrorKind::Config);
    fs::remove_file(lake.source_folder("pg")).unwrap();
    drop(run);
    fs::remove_dir(lake.root().join(".staging")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, lake.root().join(".staging")).unwrap();
    assert!(Run::begin(&lake, "pg", day(), "test 1").is_err());
    assert!(steps::names(&elsewhere).unwrap().is_empty());
}

#[test]
fn names_the_file_that_is_not_what_was_published() {
    let (_folder, lake) = lake();
    run_once(&lake, "orders", "1\n");
    let partition = lake.read("pg", day(), "orders").unwrap();
    let path = partition.paths().remove(0);
    for damage in ["id\n3\n", "id\n11\n", ""] {
        fs::write(&path, damage).unwrap();
        let failure = partition.verify().unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("path"), path.to_str());
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(partition.verify().unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(run_once(&lake, "orders", "1\n"), Outcome::Replaced);
    assert_eq!(text_of(&lake, "orders"), "id\n1\n");
}

#[test]
fn refuses_a_manifest_of_a_newer_format() {
    let (_folder, lake) = lake();
    run_once(&lake, "orders", "1\n");
    let path = lake.table_folder("pg", day(), "orders").join(MANIFEST_NAME);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"format_version\": 1", "\"format_version\": 2")).unwrap();
    assert_eq!(lake.read("pg", day(), "orders").unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(begin(&lake).stage("orders", false).unwrap_err().kind(), ErrorKind::Config);
    fs::write(&path, "{").unwrap();
    assert_eq!(lake.read("pg", day(), "orders").unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(run_once(&lake, "orders", "1\n"), Outcome::Replaced);
}

#[test]
fn hostile_names_stay_inside() {
    let (_folder, lake) = lake();
    let long = "x".repeat(300);
    let tables = ["../../x", "/abs", "a\0b", "", "..", ".hidden", &long, "a/b"];
    let run = begin(&lake);
    for table in tables {
        publish_in(&run, table, "1\n").unwrap();
    }
    run.finish().unwrap();
    let mut found = lake.tables("pg", day()).unwrap();
    found.sort_unstable();
    let mut expected: Vec<_> = tables.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(steps::names(&lake.day_folder("pg", day())).unwrap().len(), tables.len());
    assert_eq!(lake.read("pg", day(), &long).unwrap().manifest.stream, long);
    assert!(disk::name::encode(&long).len() < 255);
    assert_eq!(lake.read_day("pg", day(), false).unwrap().len(), tables.len());
}

#[test]
fn missing_things_are_no_input() {
    let (folder, lake) = lake();
    assert_eq!(Lake::open(folder.path().join("no")).unwrap_err().kind(), ErrorKind::NoInput);
    assert_eq!(lake.tables("pg", day()).unwrap_err().kind(), ErrorKind::NoInput);
    assert_eq!(lake.read("pg", day(), "orders").unwrap_err().kind(), ErrorKind::NoInput);
    run_once(&lake, "orders", "1\n");
    assert_eq!(lake.read("pg", day(), "other").unwrap_err().kind(), ErrorKind::NoInput);
}

#[test]
fn a_whole_read_of_the_same_rows_makes_a_day_whole() {
    let (_folder, lake) = lake();
    let publish = |coverage: Coverage| {
        let run = begin(&lake);
        let mut staged = run.stage("t", false).unwrap();
        let mut file = staged.file("t.csv").unwrap();
        file.write(b"id\n1\n", 1).unwrap();
        let outcome = staged.publish(vec![file], Contents { coverage, ..contents() });
        run.finish().unwrap();
        (outcome.unwrap(), lake.read("pg", day(), "t").unwrap().manifest.coverage)
    };
    let (one, two) = (Coverage::Since(json!(1)), Coverage::Since(json!(2)));
    assert_eq!(publish(one.clone()), (Outcome::New, one.clone()));
    // Both say that the day is a part, and it is of the same rows.
    assert_eq!(publish(two.clone()), (Outcome::Unchanged, one));
    assert_eq!(publish(Coverage::Whole), (Outcome::Replaced, Coverage::Whole));
    assert_eq!(publish(two), (Outcome::Unchanged, Coverage::Whole));
}

#[test]
fn names_that_the_file_system_takes_for_one_replace_nothing() {
    let (_folder, lake) = lake();
    run_once(&lake, "Orders", "1\n");
    // What a file system shows that folds case.
    let day_folder = lake.day_folder("pg", day());
    fs::rename(day_folder.join("table=Orders"), day_folder.join("table=orders")).unwrap();
    fs::rename(lake.source_folder("pg"), lake.source_folder("PG")).unwrap();
    let records = lake.root().join(".runs");
    fs::rename(records.join("source=pg"), records.join("source=PG")).unwrap();
    for (source, table) in [("PG", "orders"), ("PG", "Orders")] {
        if table == "Orders" {
            let folder = lake.day_folder(source, day());
            fs::rename(folder.join("table=orders"), folder.join("table=Orders")).unwrap();
        }
        let refused = Run::begin(&lake, source, day(), "test 1").unwrap().stage(table, true);
        let refused = refused.map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(refused.to_string().contains("names in the manifest: source=pg/"), "{refused}");
        assert_eq!(lake.read(source, day(), table).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(lake.read_day(source, day(), true).unwrap_err().kind(), ErrorKind::Config);
    }
    // Another table would be recorded with those of the other source.
    let run = Run::begin(&lake, "PG", day(), "test 1").unwrap();
    let refused = publish_in(&run, "items", "1\n").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Data, "{refused}");
    assert!(refused.to_string().contains("source in the record: pg"), "{refused}");
    drop(run);
    assert!(!lake.table_folder("PG", day(), "items").exists());
}

#[test]
fn a_series_keeps_what_its_runs_have_replaced_until_its_end() {
    let (_folder, lake) = lake();
    run_once(&lake, "orders", "1\n");
    let series = Series::begin(&lake).unwrap();
    let run = begin(&lake);
    publish_in(&run, "orders", "2\n").unwrap();
    let left = staging_of(&run).with_extension("old");
    drop(run);
    // A reader that had opened the folder of the old generation still finds all of it.
    let names = steps::names(&left.join("0")).unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    drop(series);
    assert!(staging(&lake).is_empty());

    // Where a series has died, the next run waits itself, and removes what was left.
    fs::create_dir_all(left.join("0")).unwrap();
    let dead = lake.root().join(".locks/series-1.lock");
    fs::write(&dead, "").unwrap();
    run_once(&lake, "orders", "3\n");
    assert!(staging(&lake).is_empty());
    assert!(!dead.exists());
}
