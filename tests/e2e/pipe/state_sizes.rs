//! States of runs with many streams: whole, and few where they are long, so that they take no more
//! than a share of the bytes of the rows.

use std::path::Path;

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::{Lines, columns};
use support::pipes::{DAY, from_lake, to_database, to_lake};
use support::run::{Outcome, file, ours, pipe, pipe_succeeds};
use support::{folder, lake};

/// So many tables that a state before each would be most of what is written.
const TABLES: usize = 160;

/// Names that are long, as bookmarks are by them.
fn name(table: usize) -> String {
    format!("{}{table:03}", "long_name_".repeat(4))
}

/// Writes a day of small tables; returns how many rows it has.
fn write_day(output: &Path) -> usize {
    let mut lines = Lines::default();
    for table in (0..TABLES).map(name) {
        lines = lines.syncing(&table).schema(&table, &columns(), &["id"]);
        lines = (0..3).fold(lines, |lines, id| {
            lines.record(&table, &json!({ "id": id, "name": "a".repeat(20) }))
        });
    }
    to_lake(output, "s", DAY).input(lines.done().0).go().success();
    TABLES * 3
}

/// What a tap has written, counted: states whole, every stream named before its rows.
struct Written {
    states: Vec<Value>,
    state_bytes: usize,
    /// Streams that a SCHEMA alone has named.
    by_schema: Vec<String>,
    schemas: usize,
    rows: usize,
}

#[track_caller]
fn written(tap: &Outcome) -> Written {
    let mut found =
        Written { states: vec![], state_bytes: 0, by_schema: vec![], schemas: 0, rows: 0 };
    let (mut syncing, mut bookmarks) = (Value::Null, 0);
    for line in tap.text().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        match message["type"].as_str().unwrap() {
            "STATE" => {
                found.state_bytes += line.len();
                syncing = message["value"]["currently_syncing"].clone();
                let marks = message["value"]["bookmarks"].as_object().unwrap().len();
                assert!(marks >= bookmarks, "bookmarks are lost: {marks} of {bookmarks}");
                bookmarks = marks;
                found.states.push(message["value"].clone());
            }
            "SCHEMA" => {
                found.schemas += 1;
                if message["syncing_run"]["id"].is_string() {
                    assert_ne!(syncing, message["stream"], "named twice");
                    syncing = message["stream"].clone();
                    found.by_schema.push(message["stream"].as_str().unwrap().to_owned());
                }
                assert_eq!(syncing, message["stream"], "not named");
            }
            _ => {
                assert_eq!(syncing, message["stream"], "not named");
                found.rows += 1;
            }
        }
    }
    found
}

impl Written {
    /// Asserts that states are few: so many bytes are free, the last ones are written always.
    #[track_caller]
    fn check_share(&self, rows: &Outcome) {
        let text = rows.text();
        let records = text.lines().filter(|line| line.contains("\"RECORD\"")).map(str::len);
        let last = self.states.last().unwrap().to_string().len() + 200;
        let most = (256 << 10) + records.sum::<usize>() / 10 + 3 * last;
        assert!(self.state_bytes <= most, "{} bytes of states, not {most}", self.state_bytes);
        let each = self.states.len() < TABLES / 2 + 2;
        assert!(each, "{} states of {TABLES} tables", self.states.len());
    }
}

fn last_state(target: &Outcome) -> Value {
    assert!(!target.text().contains("syncing_run"), "{}", target.text());
    serde_json::from_str(target.text().lines().last().unwrap()).unwrap()
}

#[test]
fn a_day_of_many_tables_has_few_states_and_every_table_is_whole() {
    let (first, second, target) = (folder(), folder(), database("many_states"));
    let rows = write_day(first.path());
    let tap = || from_lake(first.path(), DAY);
    let outcome = tap().go().success();
    let found = written(&outcome);
    assert_eq!((found.rows, found.schemas), (rows, TABLES));
    assert!(found.by_schema.len() > TABLES / 3, "{:?}", found.by_schema);
    found.check_share(&outcome);
    let whole = found.states.last().unwrap();
    assert_eq!(whole["bookmarks"].as_object().unwrap().len(), TABLES);
    assert!(whole["currently_syncing"].is_null(), "{whole}");

    let (_, csv) = pipe_succeeds(tap(), to_lake(second.path(), "s", DAY));
    assert_eq!(last_state(&csv), *whole);
    for table in (0..TABLES).map(name) {
        let [old, new] = [&first, &second].map(|at| lake::partition(at.path(), "s", DAY, &table));
        assert_eq!(lake::data(&old), lake::data(&new));
        let manifest = lake::manifest(&new);
        assert_eq!(manifest["complete"], true, "{table}");
        // Of one table alone: of all of them, the days would be larger than their rows.
        let bookmarks = manifest["state"]["bookmarks"].as_object().unwrap();
        assert!(bookmarks.keys().all(|stream| *stream == table), "{bookmarks:?}");
    }
    let overwrite = json!({ "load_method": "overwrite", "require_complete": true });
    let (_, loaded) = pipe_succeeds(tap(), to_database(&target, &overwrite));
    // Each bookmark says besides since when its table has the rows.
    let mut marked = last_state(&loaded);
    for bookmark in marked["bookmarks"].as_object_mut().unwrap().values_mut() {
        assert!(bookmark.as_object_mut().unwrap().remove("filled_since").is_some(), "{bookmark}");
    }
    assert_eq!(marked, *whole);
    let last = name(TABLES - 1);
    assert_eq!(target.psql(&format!("SELECT count(*) FROM {last}")), "3");

    // As the state says: nothing is written of a table, and the target knows of each.
    let again = || tap().json("--state", whole);
    let outcome = again().go().success();
    let found = written(&outcome);
    assert_eq!((found.rows, found.schemas), (0, 0));
    found.check_share(&outcome);
    assert_eq!(found.states.last(), Some(whole));
    pipe_succeeds(again(), to_database(&target, &overwrite));
    for table in [0, TABLES / 2, TABLES - 2, TABLES - 1].map(name) {
        target.psql(&format!("ALTER TABLE {table} RENAME TO gone"));
        let refused = pipe(again(), to_database(&target, &overwrite)).1.exits(78);
        assert!(refused.stderr.contains(&table), "{}", refused.stderr);
        target.psql(&format!("ALTER TABLE gone RENAME TO {table}"));
    }
}

#[test]
fn a_tap_that_dies_in_a_table_that_no_state_names_leaves_the_tables_before_it() {
    let (first, whole) = (folder(), database("many_whole"));
    write_day(first.path());
    let outcome = from_lake(first.path(), DAY).go().success();
    let found = written(&outcome);
    let dies_in = &found.by_schema[found.by_schema.len() / 2];
    let text = outcome.text();
    let record = format!("{{\"type\":\"RECORD\",\"stream\":\"{dies_in}\"");
    let cut = &text[..text.rfind(&record).unwrap()];
    assert!(cut.contains(&record));
    let other = from_lake(first.path(), DAY).go().success().text();
    let end = String::from_utf8(Lines::default().done().0).unwrap();
    for (input, why) in [
        (cut.to_owned(), "the input ended early"),
        (format!("{cut}{end}"), "another tap started"),
        (format!("{cut}{other}"), "another tap started"),
    ] {
        let second = folder();
        let refused = to_lake(second.path(), "s", DAY).input(input).go().exits(76);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("stream: {dies_in}\n")), "{}", refused.stderr);
        for table in (0..TABLES).map(name) {
            let there = lake::partition(second.path(), "s", DAY, &table).exists();
            assert_eq!(there, table < *dies_in, "{table}");
        }
        let rest = from_lake(first.path(), DAY).json("--state", &last_state(&refused));
        let (_, target) = pipe_succeeds(rest, to_lake(second.path(), "s", DAY));
        assert_eq!(last_state(&target), *found.states.last().unwrap());
        (0..TABLES).map(name).for_each(|table| {
            assert!(lake::partition(second.path(), "s", DAY, &table).exists(), "{table}");
        });
    }
    let settings = json!({ "load_method": "overwrite" });
    let refused = to_database(&whole, &settings).input(cut).go().exits(76);
    assert!(refused.stderr.contains(&format!("stream: {dies_in}\n")), "{}", refused.stderr);
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'long_name_%'";
    let before = (0..TABLES).filter(|table| name(*table) < *dies_in).count();
    assert_eq!(whole.psql(tables), before.to_string());
}

#[test]
fn a_tap_that_fails_says_what_its_states_had_not_said() {
    let scratch = folder();
    let mut files = Vec::new();
    for table in 0..TABLES {
        let bad = if table == TABLES - 1 { "2,b,c\n" } else { "" };
        let path = file(scratch.path(), &format!("{table}.csv"), format!("id,name\n1,a\n{bad}"));
        files.push(json!({ "entity": name(table), "path": path, "keys": ["id"] }));
    }
    let tap = ours("tap-csv").config(&json!({ "files": files })).go().exits(65);
    let found = written(&tap);
    assert!(found.by_schema.len() > TABLES / 3, "{:?}", found.by_schema);
    found.check_share(&tap);
    let last = found.states.last().unwrap();
    assert_eq!(last["currently_syncing"], name(TABLES - 1));
    let marks = last["bookmarks"].as_object().unwrap();
    assert_eq!(marks.len(), TABLES - 1);
    assert!(!marks.contains_key(&name(TABLES - 1)));
}
