//! Rows that are a part of what there is, and records that did not come: nobody takes them for all.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::invariants::fails;
use support::messages::{Lines, columns};
use support::pipes::{DAY, from_database, from_lake, to_database, to_lake};
use support::run::{Outcome, ours, pipe, pipe_succeeds};

/// A table with a key that grows, and the catalog that reads it by that.
fn growing(purpose: &str) -> (Database, Value) {
    let source = database(purpose);
    source.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!([]) {
            entry["metadata"]["replication-method"] = "INCREMENTAL".into();
            entry["metadata"]["replication-key"] = "id".into();
        }
    }
    (source, catalog)
}

/// The last state that a target printed.
fn state(target: &Outcome) -> Value {
    serde_json::from_str(target.text().lines().last().unwrap()).unwrap()
}

fn ids(target: &Database) -> String {
    target.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM t")
}

#[test]
fn a_partition_is_not_replaced_by_the_rows_since_another_state() {
    let (source, catalog) = growing("part_source");
    let target = database("part_target");
    let by_partition =
        |day: &str| json!({ "load_method": "replace-partition", "source": "s", "datestamp": day });
    let tap = |state: &Value| {
        from_database(&source, &json!({})).json("--catalog", &catalog).json("--state", state)
    };
    let into = |day: &str| to_database(&target, &by_partition(day));
    let (_, first) = pipe_succeeds(tap(&json!({})), into(DAY));
    let first = state(&first);
    source.psql("INSERT INTO t VALUES (4)");
    let (_, refused) = pipe(tap(&first), into(DAY));
    fails(&refused, &[78]);
    assert!(refused.stderr.contains("rows that would be lost: 2"), "{}", refused.stderr);
    assert_eq!(ids(&target), "1,2,3");
    // Another day has the rows since the last one, and may have them again.
    for _ in 0..2 {
        pipe_succeeds(tap(&first), into("2026-11-21"));
        assert_eq!(ids(&target), "1,2,3,3,4");
    }
    // So may the first day, from where it began.
    pipe_succeeds(tap(&json!({})), into(DAY));
    assert_eq!(ids(&target), "1,2,3,3,4,4");
}

#[test]
fn a_table_is_not_overwritten_by_a_day_of_rows_since_a_state() {
    let (source, catalog) = growing("day_source");
    let (target, scratch) = (database("day_target"), folder());
    let extract = |state: &Value, day: &str| {
        let tap = from_database(&source, &json!({})).json("--catalog", &catalog);
        pipe_succeeds(tap.json("--state", state), to_lake(scratch.path(), "s", day)).1
    };
    let load = |day: &str, method: &str| {
        let target = to_database(&target, &json!({ "load_method": method }));
        pipe(from_lake(scratch.path(), day), target).1
    };
    let first = state(&extract(&json!({}), DAY));
    load(DAY, "overwrite").success();
    source.psql("INSERT INTO t VALUES (4)");
    extract(&first, "2026-11-21");
    fails(&load("2026-11-21", "overwrite"), &[78]);
    assert_eq!(ids(&target), "1,2,3");
    let plan = from_lake(scratch.path(), "2026-11-21").args(["--plan=json"]).go().success();
    assert!(plan.text().contains("\"resumed_from\""), "{}", plan.text());
    load("2026-11-21", "upsert").success();
    assert_eq!(ids(&target), "1,2,3,4");
    target.psql("DROP TABLE t");
    // What a day has is all there is of that day.
    for day in [DAY, "2026-11-21", "2026-11-21"] {
        load(day, "replace-partition").success();
    }
    assert_eq!(ids(&target), "1,2,3,3,4");
}

#[test]
fn what_a_limit_cut_is_not_taken_for_all() {
    let (source, catalog) = growing("cut_source");
    let (target, scratch) = (database("cut_target"), folder());
    let full = || from_database(&source, &json!({}));
    let overwrite = || to_database(&target, &json!({ "load_method": "overwrite" }));
    let day = || to_lake(scratch.path(), "s", DAY);
    pipe_succeeds(full(), overwrite());
    pipe_succeeds(full(), day());
    for keyed in [false, true] {
        let cut = |most: u64| {
            let tap = full().set("max_record_count", most);
            if keyed { tap.json("--catalog", &catalog) } else { tap }
        };
        for target in [overwrite(), day()] {
            fails(&pipe(cut(2), target).1, &[78]);
        }
        assert_eq!(ids(&target), "1,2,3");
        for target in [overwrite(), day()] {
            pipe_succeeds(cut(3), target);
        }
    }
    let read = from_lake(scratch.path(), DAY).go().success();
    assert_eq!(read.records("public-t").len(), 3);

    // The same part again is no other one, and a plan says so, too.
    let sample = folder();
    let cut = || full().set("max_record_count", 2);
    for _ in 0..2 {
        pipe_succeeds(cut(), to_lake(sample.path(), "s", DAY));
    }
    let plan: Value =
        serde_json::from_str(&cut().args(["--plan=json"]).go().success().text()).unwrap();
    let schema = Lines::default().message(&plan["streams"][0]["schema"]).0;
    to_lake(sample.path(), "s", DAY).args(["--plan"]).input(schema).go().success();
}

#[test]
fn two_streams_of_one_name_are_refused() {
    let source = database("one_name");
    source.psql(
        "CREATE SCHEMA a; CREATE TABLE a.t (id integer PRIMARY KEY);
         CREATE SCHEMA b; CREATE TABLE b.t (id integer PRIMARY KEY)",
    );
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
    let run = |catalog: &Value| from_database(&source, &json!({})).json("--catalog", catalog).go();
    run(&catalog).success();
    for entry in catalog["streams"].as_array_mut().unwrap() {
        entry["stream"] = "t".into();
    }
    let refused = run(&catalog);
    fails(&refused, &[78]);
    for word in ["tap_stream_id: a-t", "and: b-t", "`stream` of its own"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    assert!(refused.text().is_empty(), "{}", refused.text());
}

/// Says that rows of versions before this one are gone.
fn activate(lines: Lines, version: i64) -> Lines {
    lines.message(&json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": version }))
}

fn version(lines: Lines, id: &Value, version: i64) -> Lines {
    let record = json!({ "id": id, "name": "a" });
    lines.message(&json!({ "type": "RECORD", "stream": "t", "record": record, "version": version }))
}

#[test]
fn rows_that_did_not_come_are_not_taken_for_gone() {
    let target = database("not_gone");
    let more = json!({ "hard_delete": true, "add_record_metadata": true, "max_rejects": 3 });
    let load = |lines: Lines| to_database(&target, &more).input(lines.0).go().success();
    let schema = || Lines::default().schema("t", &columns(), &["id"]);
    let row = |lines: Lines, id: i64, at: i64| version(lines, &json!(id), at);
    load(activate(row(row(schema(), 1, 1), 2, 1), 1).done());
    assert_eq!(ids(&target), "1,2");
    // One was set aside.
    let aside = version(row(schema(), 1, 2), &json!("two"), 2);
    let outcome = load(activate(aside, 2).done());
    assert!(outcome.stderr.contains("some of its records were rejected"), "{}", outcome.stderr);
    assert_eq!(ids(&target), "1,2");
    // The input ended amid the rows: the version was named before them.
    let outcome = load(row(activate(schema(), 3), 1, 3));
    assert!(outcome.stderr.contains("without a state after its records"), "{}", outcome.stderr);
    assert_eq!(ids(&target), "1,2");
    // A state behind them, of any form, says that they were all.
    load(row(activate(schema(), 4), 1, 4).state(&json!({ "any": 1 })));
    assert_eq!(ids(&target), "1");
    // So does the version.
    load(activate(row(schema(), 3, 5), 5));
    assert_eq!(ids(&target), "3");
    // A schema is no row.
    let mut wide = columns();
    wide["more"] = json!({ "type": ["null", "string"] });
    load(activate(row(schema(), 4, 6), 6).state(&json!({})).schema("t", &wide, &["id"]));
    assert_eq!(ids(&target), "4");
    // And no state is printed ahead of what the version does.
    let lines = activate(row(schema(), 5, 7), 7).state(&json!({ "version": 7 }));
    let lines = lines.schema("u", &columns(), &["id"]).state(&json!({ "more": 1 })).raw("garbage");
    let often = json!({ "state_interval_seconds": 0 });
    let load = || to_database(&target, &more).config(&often).input(lines.0.clone());
    let outcome = load().go().exits(76);
    assert_eq!((outcome.text().as_str(), ids(&target).as_str()), ("", "4,5"));
    // Where versions do nothing, no state waits for them.
    let outcome = load().set("activate_version", false).go().exits(76);
    assert!(outcome.text().contains("\"version\":7"), "{}", outcome.text());
}

#[test]
fn rows_of_this_run_are_never_taken_for_gone() {
    let target = database("of_this_run");
    let row = |lines: Lines, id: i64, at: i64| version(lines, &json!(id), at);
    let schema = || Lines::default().schema("t", &columns(), &["id"]);
    let held = "SELECT string_agg(id::text, ',' ORDER BY id) FROM t WHERE _sdc_deleted_at IS NULL";
    for hard in [true, false] {
        target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
        let more = json!({ "hard_delete": hard, "add_record_metadata": true });
        let load = |lines: Lines| to_database(&target, &more).input(lines.0).go().success();
        load(row(row(schema(), 1, 30), 2, 30).done());
        for (came, told) in [
            (row(schema().row(3, "a"), 4, 40), "some of its records have no version"),
            (row(schema(), 3, 40).row(4, "a"), "some of its records have no version"),
            (row(row(schema(), 3, 39), 4, 40), "some of its records have an older version"),
        ] {
            let outcome = load(activate(came, 40).done());
            assert!(outcome.stderr.contains("W-VERSION-IGNORED"), "{}", outcome.stderr);
            assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
            assert_eq!(target.psql(held), "1,2,3,4", "{hard}, {told}");
        }
        let outcome = load(activate(row(row(schema(), 4, 50), 5, 51), 50).done());
        let told = "W-VERSION-IGNORED";
        assert_eq!(target.psql(held), "4,5", "{hard}");
        assert!(outcome.stderr.contains("a higher version: 1"), "{told}: {}", outcome.stderr);
    }
    // What replaces all rows keeps those of the run.
    for (versions, told) in [([60, 61], 1), ([61, 61], 0)] {
        let more = json!({ "load_method": "overwrite", "add_record_metadata": true });
        let lines = row(row(schema(), 6, versions[0]), 7, versions[1]);
        let run = to_database(&target, &more).input(activate(lines, 61).done().0);
        let outcome = run.go().success();
        assert_eq!(outcome.stderr.matches("W-VERSION-IGNORED").count().min(1), told);
        assert_eq!(target.psql(held), "6,7");
    }
}

#[test]
fn rows_of_higher_versions_that_stay_are_told() {
    let target = database("higher_versions");
    let row = |lines: Lines, id: i64, at: i64| version(lines, &json!(id), at);
    let schema = || Lines::default().schema("t", &columns(), &["id"]);
    for hard in [true, false] {
        target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
        let more = json!({ "hard_delete": hard, "add_record_metadata": true });
        let load = |lines: Lines| to_database(&target, &more).input(lines.0).go().success();
        let first = row(row(row(schema(), 1, 1_790_000_000_123), 2, 1_790_000_000_123), 3, 4);
        load(first.done());
        // The tap counts seconds now, of which the first row has come again.
        let again = || activate(row(schema(), 1, 1_790_000_600), 1_790_000_600).done();
        let outcome = load(again());
        let told = "a higher version: 1.";
        assert!(outcome.stderr.contains("W-VERSION-IGNORED"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
        // What the warning says helps.
        let hint = outcome.stderr.split("another unit, run ").nth(1).unwrap();
        target.psql(hint.split(", and then this load").next().unwrap());
        let outcome = load(again());
        assert!(!outcome.stderr.contains("W-VERSION-IGNORED"), "{}", outcome.stderr);
        let live = "SELECT string_agg(id::text, ',') FROM t WHERE _sdc_deleted_at IS NULL";
        assert_eq!(target.psql(live), "1", "{hard}");
    }
}

#[test]
fn files_with_rows_of_older_versions_are_told() {
    let folder = folder();
    let row = |lines: Lines, id: i64, at: i64| version(lines, &json!(id), at);
    let schema = || Lines::default().schema("t", &columns(), &["id"]);
    for (lines, told) in [
        (row(row(activate(schema(), 8), 1, 8), 2, 8), 0),
        (row(row(schema(), 1, 7), 2, 8), 1),
        (row(schema(), 1, 9).row(2, "a"), 0),
    ] {
        let lines = activate(lines, 8).done();
        let run = ours("target-csv").set("output_path", folder.path().display());
        let outcome = run.input(lines.0).go().success();
        let count = outcome.stderr.matches("W-VERSION-IGNORED: ").count();
        assert_eq!(count, told, "{}", outcome.stderr);
    }
}

#[test]
fn a_tap_that_left_out_a_row_activates_no_version() {
    let source = database("left_out");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, n double precision);
         INSERT INTO t VALUES (1, 1), (2, 'NaN')",
    );
    let more = json!({ "emit_activate_version_messages": true, "max_rejects": 5 });
    let versions = |more: &Value| {
        let outcome = from_database(&source, more).go().success();
        outcome.text().matches("ACTIVATE_VERSION").count()
    };
    assert_eq!(versions(&more), 1);
    let mut strict = more;
    strict["nan_policy"] = "fail".into();
    assert_eq!(versions(&strict), 0);
}

#[test]
fn what_the_operator_says_of_a_partition_is_not_contradicted() {
    let (target, scratch) = (database("contradicted"), folder());
    for (source, day) in [("s", DAY), ("s", "2026-11-21"), ("other", DAY)] {
        to_lake(scratch.path(), source, day).input(Lines::whole(&[(1, source)]).0).go().success();
    }
    let load = |source: &str, day: &str, set: Value| {
        let tap = from_lake(scratch.path(), day).set("source", source);
        let more = json!({ "load_method": "replace-partition" });
        pipe(tap, to_database(&target, &more).config(&set)).1
    };
    let held = "SELECT string_agg(_sdc_source || ' ' || _sdc_datestamp, ',' ORDER BY 1) FROM
                (SELECT * FROM t ORDER BY _sdc_source, _sdc_datestamp) t";
    load("s", DAY, json!({})).success();
    load("s", "2026-11-21", json!({ "source": "s", "datestamp": "2026-11-21" })).success();
    load("other", DAY, json!({ "source": "", "datestamp": DAY })).success();
    let all = "other 2026-11-20,s 2026-11-20,s 2026-11-21";
    assert_eq!(target.psql(held), all);
    target.psql("UPDATE t SET name = 'kept'");
    for (set, word) in [
        (json!({ "source": "other" }), "other"),
        (json!({ "datestamp": "2026-11-21" }), "2026-11-21"),
        (json!({ "source": "S", "datestamp": DAY }), "S"),
    ] {
        let refused = load("s", DAY, set);
        fails(&refused, &[78]);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    assert_eq!(target.psql("SELECT count(*) FROM t WHERE name = 'kept'"), "3");
    // Where no partition is replaced, it is nobody's affair.
    target.psql("DROP TABLE t");
    let tap = from_lake(scratch.path(), DAY).set("source", "s");
    let more = json!({ "load_method": "upsert", "source": "other" });
    pipe_succeeds(tap, to_database(&target, &more));
}

#[test]
fn a_load_that_replaces_rows_does_not_remove_those_of_rejects() {
    let set_aside = json!({ "max_rejects": 5 });
    let refused = |outcome: &Outcome, removed: &str| {
        fails(outcome, &[65]);
        let told = format!("rows that would be removed: {removed}");
        assert!(outcome.stderr.contains(&told), "{told}: {}", outcome.stderr);
    };
    let by_day = json!({ "load_method": "replace-partition", "source": "s", "datestamp": DAY });
    for (method, keys) in [
        (json!({ "load_method": "overwrite" }), &["id"][..]),
        (json!({ "load_method": "overwrite" }), &[]),
        (by_day.clone(), &["id"]),
        (by_day.clone(), &[]),
    ] {
        let target = database("rejected");
        let load = |lines: Lines| to_database(&target, &method).config(&set_aside).input(lines.0);
        let schema = || Lines::default().syncing("t").schema("t", &columns(), keys);
        let wrong = |lines: Lines, id: i64| lines.record("t", &json!({ "id": id, "name": 5 }));
        // Where nothing is removed, the other rows are loaded.
        load(wrong(schema().row(1, "a").row(2, "b"), 9).done()).go().success();
        load(wrong(schema().row(1, "a").row(2, "b").row(3, "c"), 9).done()).go().success();
        refused(&load(wrong(schema().row(1, "a").row(3, "c"), 2).done()).go(), "1");
        refused(&load(wrong(wrong(wrong(schema(), 1), 2), 3).done()).go(), "3");
        assert_eq!(ids(&target), "1,2,3", "{method}");
        // A mapper rejects one.
        let cut = json!({ "t": { "name": "str(int(name))" } });
        let run = |syncing: Value| {
            let run = json!({ "id": "r", "ended": syncing.is_null() });
            json!({ "bookmarks": {}, "currently_syncing": syncing, "syncing_run": run })
        };
        let lines = Lines::default().state(&run(json!("t"))).schema("t", &columns(), keys);
        let lines = lines.row(1, "7").row(3, "c").state(&run(json!(null)));
        let mapper = ours("map-streams").set("stream_maps", cut.to_string()).config(&set_aside);
        refused(&load(Lines(mapper.input(lines.0).go().success().stdout)).go(), "");
        assert_eq!(ids(&target), "1,2,3", "{method}");
        load(schema().row(3, "c").done()).go().success();
        assert_eq!(ids(&target), "3", "{method}");
    }
    // The tap rejects one.
    let (source, target) = (database("rejecting_source"), database("rejecting_target"));
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, n double precision);
         INSERT INTO t VALUES (1, 1), (2, 2)",
    );
    let tap = || from_database(&source, &set_aside).set("nan_policy", "fail");
    let into = || to_database(&target, &by_day);
    pipe_succeeds(tap(), into());
    source.psql("UPDATE t SET n = 'NaN' WHERE id = 2");
    refused(&pipe(tap(), into()).1, "1");
    assert_eq!(ids(&target), "1,2");
}

#[test]
fn rows_removed_by_an_input_that_says_no_end_are_told() {
    let target = database("no_end");
    let method = json!({ "load_method": "overwrite" });
    let load = |lines: Lines| to_database(&target, &method).input(lines.0);
    let schema = || Lines::default().schema("t", &columns(), &["id"]);
    let told = "W-END-UNSURE";
    for (lines, is_told, left) in [
        (schema().row(1, "a").row(2, "b"), false, "1,2"),
        (schema().row(1, "a").row(2, "b").row(3, "c"), false, "1,2,3"),
        (schema().row(1, "a").row(2, "b"), true, "1,2"),
        (schema().row(1, "a").state(&json!({ "any": 1 })), false, "1"),
        (schema(), true, ""),
    ] {
        if is_told {
            let denied = load(lines.clone()).args(["--deny-warnings", told]).go();
            assert_ne!(denied.code, 0, "{}", denied.stderr);
            assert_ne!(ids(&target), left);
        }
        let outcome = load(lines).go().success();
        assert_eq!(outcome.stderr.contains(told), is_told, "{}", outcome.stderr);
        assert_eq!(ids(&target), left);
    }
}

#[test]
fn a_day_that_may_lack_rows_is_loaded_as_it_is() {
    let scratch = folder();
    // The tap does not say which stream it reads: nobody knows that the day is whole.
    let publish = |rows: &[(i64, &str)]| {
        let lines = Lines::default().schema("t", &columns(), &["id"]);
        let lines = rows.iter().fold(lines, |lines, (id, name)| lines.row(*id, name));
        let lines = lines.state(&json!({ "any": 1 }));
        to_lake(scratch.path(), "s", DAY).input(lines.0).go().success();
    };
    for method in ["overwrite", "replace-partition"] {
        let target = database("days");
        let settings = json!({ "load_method": method, "max_rejects": 5 });
        let load = || {
            let tap = ours("tap-lake").set("output", scratch.path().display());
            pipe(tap.set("datestamp", DAY), to_database(&target, &settings)).1
        };
        publish(&[(1, "a"), (2, "b")]);
        load().success();
        publish(&[(1, "a")]);
        load().success();
        assert_eq!(ids(&target), "1", "{method}");
        // A row that this target rejects may still be there.
        target.psql("ALTER TABLE t ALTER name TYPE varchar(1)");
        publish(&[(1, "cc")]);
        fails(&load(), &[65]);
        assert_eq!(ids(&target), "1", "{method}");
    }
}
