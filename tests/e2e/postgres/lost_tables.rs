//! Tables that a target has lost, though a state says what they have: noticed, and never made
//! anew with a part of their rows.

use std::fs;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, extract, from_database, from_lake, to_database, to_lake};
use support::project::Project;
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};

/// The last state that a target printed.
fn state(target: &Outcome) -> Value {
    serde_json::from_str(target.text().lines().last().unwrap()).unwrap()
}

fn resumed_from(tap: Run, state: Option<&Value>) -> Run {
    match state {
        Some(state) => tap.json("--state", state),
        None => tap,
    }
}

/// Expects that a run is refused for what is gone, and that its hint helps.
#[track_caller]
fn noticed(first: &Value, run: impl Fn(Option<&Value>) -> (Run, Run)) {
    let (tap, target) = run(Some(first));
    let refused = pipe(tap, target).1.exits(78);
    let gone = ["the table does not exist", "cannot find the tables"];
    assert!(gone.iter().any(|words| refused.stderr.contains(words)), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--state`"), "{}", refused.stderr);
    let (tap, target) = run(None);
    // The table is another one: the state from before is not of it.
    let now = state(&pipe_succeeds(tap, target).1);
    let (tap, target) = run(Some(first));
    pipe(tap, target).1.exits(78);
    let (tap, target) = run(Some(&now));
    pipe_succeeds(tap, target);
}

fn source() -> Database {
    let source = database("kept");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1), (2);
         CREATE TABLE \"a-b\" (id integer PRIMARY KEY); INSERT INTO \"a-b\" VALUES (1), (2)",
    );
    source
}

/// Returns a catalog that reads the rows since a state.
fn incremental(source: &Database) -> Value {
    let found = from_database(source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
    for entry in catalog["streams"].as_array_mut().unwrap() {
        entry["replication_method"] = "INCREMENTAL".into();
        entry["replication_key"] = "id".into();
    }
    catalog
}

#[test]
fn a_day_that_is_as_the_state_says_needs_its_tables() {
    let (source, scratch) = (source(), folder());
    extract(&source, scratch.path(), DAY);
    for (schema, gone) in [
        ("raw", "DROP SCHEMA raw CASCADE"),
        ("raw", "DROP TABLE raw.t"),
        ("raw", "DROP TABLE raw.\"a-b\""),
        ("", "DROP TABLE t"),
        ("", "DROP TABLE public.\"a-b\", _sdc_tables"),
    ] {
        let target = database("lost_day");
        let more = json!({ "default_target_schema": schema });
        let tap = || from_lake(scratch.path(), DAY);
        let first = state(&pipe_succeeds(tap(), to_database(&target, &more)).1);
        let resumed = || tap().json("--state", &first);
        pipe_succeeds(resumed(), to_database(&target, &more));
        target.psql(gone);
        noticed(&first, |from| {
            let tap = resumed_from(tap(), from);
            (tap, to_database(&target, &more))
        });
        // Unless somebody wants it so.
        target.psql(gone);
        let make = to_database(&target, &more).set("missing_table", "make");
        pipe_succeeds(resumed(), make);
    }
}

#[test]
fn a_day_of_tables_that_were_never_remembered_is_found() {
    let (source, scratch) = (source(), folder());
    extract(&source, scratch.path(), DAY);
    let target = database("never_remembered");
    let tap = || from_lake(scratch.path(), DAY);
    let first = state(&pipe_succeeds(tap(), to_database(&target, &json!({}))).1);
    target.psql("DROP TABLE _sdc_tables");
    // As a state from before says nothing of its tables.
    let mut before = first.clone();
    for (_, bookmark) in before["bookmarks"].as_object_mut().unwrap() {
        assert!(bookmark["filled_since"].is_string(), "{first}");
        bookmark.as_object_mut().unwrap().remove("filled_since");
    }
    pipe_succeeds(tap().json("--state", &before), to_database(&target, &json!({})));
    let refused = pipe(tap().json("--state", &first), to_database(&target, &json!({}))).1;
    assert!(refused.exits(78).stderr.contains("other tables of the same names"));
}

#[test]
fn a_state_is_of_the_tables_that_it_was_written_for() {
    let (source, scratch) = (source(), folder());
    extract(&source, scratch.path(), DAY);
    let catalog = incremental(&source);
    let by_key = || from_database(&source, &json!({})).json("--catalog", &catalog);
    let by_day = || from_lake(scratch.path(), DAY);
    let taps: [&dyn Fn() -> Run; 2] = [&by_key, &by_day];
    for tap in taps {
        let [one, other] = ["one", "other"].map(database);
        let into = |target: &Database| to_database(target, &json!({}));
        let first = state(&pipe_succeeds(tap(), into(&one)).1);
        pipe_succeeds(tap(), into(&other));
        other.psql("DELETE FROM t");
        let resumed = || tap().json("--state", &first);
        let second = state(&pipe_succeeds(resumed(), into(&one)).1);
        assert_eq!(second["bookmarks"], first["bookmarks"]);
        // Another database with tables of these names, filled by the same streams.
        let refused = pipe(resumed(), into(&other)).1.exits(78);
        assert!(
            refused.stderr.contains("another table of this name")
                || refused.stderr.contains("other tables of the same names"),
            "{}",
            refused.stderr
        );
        assert_eq!(other.psql("SELECT count(*) FROM t"), "0");
        // Unless they are said to be the ones.
        let taken = pipe_succeeds(resumed(), into(&other).set("missing_table", "make")).1;
        let taken = state(&taken);
        pipe_succeeds(tap().json("--state", &taken), into(&other));
        pipe(tap().json("--state", &taken), into(&one)).1.exits(78);
        // A table that a load has made anew is another one, too.
        one.psql("DROP TABLE t, \"a-b\"");
        pipe_succeeds(tap(), into(&one));
        pipe(resumed(), into(&one)).1.exits(78);
        // A state tells its target nothing where the user may remember nothing.
        other.psql("DROP TABLE t, \"a-b\", _sdc_tables; CREATE TABLE _sdc_tables (n integer)");
        let untold = state(&pipe_succeeds(tap(), into(&other)).1);
        pipe_succeeds(tap().json("--state", &untold), into(&other));
        assert!(!untold.to_string().contains("filled_since"), "{untold}");
    }
}

#[test]
fn rows_since_a_state_need_the_table_of_those_before() {
    let source = source();
    let catalog = incremental(&source);
    let tap = || from_database(&source, &json!({})).json("--catalog", &catalog);
    for (method, gone) in [
        ("upsert", "DROP TABLE t"),
        ("append-only", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"),
    ] {
        let target = database("lost_rows");
        let into = || to_database(&target, &json!({ "load_method": method }));
        let first = state(&pipe_succeeds(tap(), into()).1);
        target.psql(gone);
        noticed(&first, |from| {
            let tap = resumed_from(tap(), from);
            (tap, into())
        });
        target.psql(gone);
        let resumed = || tap().json("--state", &first);
        pipe_succeeds(resumed(), into().set("missing_table", "make"));
    }
    // A limit alone leaves out nothing that was loaded.
    let target = database("limited");
    let some = tap().set("max_record_count", 1);
    let first = state(&pipe_succeeds(some, to_database(&target, &json!({}))).1);
    target.psql("DROP TABLE t");
    let more = tap().set("max_record_count", 1).json("--state", &first);
    pipe(more, to_database(&target, &json!({}))).1.exits(78);
}

#[test]
fn a_table_that_somebody_made_anew_under_its_name_is_noticed() {
    let (source, target) = (source(), database("made_anew"));
    let catalog = incremental(&source);
    let into = |more: &Value| to_database(&target, more);
    let tap = || from_database(&source, &json!({})).json("--catalog", &catalog);
    let mut from = state(&pipe_succeeds(tap(), into(&json!({}))).1);
    let replaced = "CREATE TABLE k (LIKE t INCLUDING ALL); INSERT INTO k SELECT * FROM t LIMIT 1; \
                    DROP TABLE t; ALTER TABLE k RENAME TO t";
    let again = "CREATE TABLE k AS TABLE t; DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY);
                 INSERT INTO t TABLE k; DROP TABLE k";
    for sql in [replaced, again] {
        target.psql(sql);
        // Also where nothing is new, and where only the other stream has rows.
        for _ in 0..2 {
            let refused = pipe(tap().json("--state", &from), into(&json!({}))).1.exits(78);
            assert!(refused.stderr.contains("belongs to another table"), "{}", refused.stderr);
            assert!(refused.stderr.contains("`missing_table: make`"), "{}", refused.stderr);
            source.psql("INSERT INTO \"a-b\" SELECT max(id) + 1 FROM \"a-b\"");
        }
        let make = json!({ "missing_table": "make" });
        from = state(&pipe_succeeds(tap().json("--state", &from), into(&make)).1);
        pipe_succeeds(tap().json("--state", &from), into(&json!({})));
    }
    // A read of all rows has no gap, and takes the table for its own.
    target.psql(replaced);
    from = state(&pipe_succeeds(tap(), into(&json!({}))).1);
    pipe_succeeds(tap().json("--state", &from), into(&json!({})));
    // What the server itself writes anew stays the same table.
    target.psql("VACUUM FULL t; ALTER TABLE t ADD more text DEFAULT clock_timestamp()::text");
    pipe_succeeds(tap().json("--state", &from), into(&json!({})));
    // A schema that was restored as a whole has its rows.
    target.psql(&format!(
        "ALTER TABLE t DROP more; {again};
         CREATE TABLE m (LIKE _sdc_tables INCLUDING ALL); INSERT INTO m TABLE _sdc_tables;
         DO $$ BEGIN EXECUTE format('COMMENT ON TABLE m IS %L',
           obj_description('_sdc_tables'::regclass, 'pg_class')); END $$;
         DROP TABLE _sdc_tables; ALTER TABLE m RENAME TO _sdc_tables"
    ));
    pipe_succeeds(tap().json("--state", &from), into(&json!({})));
    target.psql(replaced);
    pipe(tap().json("--state", &from), into(&json!({}))).1.exits(78);
    // What an earlier release remembers has no number, and gets one.
    target.psql("ALTER TABLE _sdc_tables DROP COLUMN table_oid, DROP COLUMN memory_oid");
    pipe_succeeds(tap().json("--state", &from), into(&json!({})));
    target.psql(replaced);
    pipe(tap().json("--state", &from), into(&json!({}))).1.exits(78);
}

#[test]
fn a_table_made_anew_behind_unchanged_files_is_noticed() {
    let (source, scratch, target) = (source(), folder(), database("anew_unchanged"));
    extract(&source, scratch.path(), DAY);
    let tap = || from_lake(scratch.path(), DAY);
    let first = state(&pipe_succeeds(tap(), to_database(&target, &json!({}))).1);
    target.psql("ALTER TABLE t RENAME TO k; CREATE TABLE t AS TABLE k LIMIT 1; DROP TABLE k");
    let resumed = || pipe(tap().json("--state", &first), to_database(&target, &json!({}))).1;
    assert!(resumed().exits(78).stderr.contains("other tables of the same names"));
}

#[test]
fn a_table_that_was_emptied_is_warned_of() {
    let source = source();
    let catalog = incremental(&source);
    let tap = || from_database(&source, &json!({})).json("--catalog", &catalog);
    for emptied in ["DELETE FROM t", "DROP TABLE t; CREATE TABLE t (id integer PRIMARY KEY)"] {
        let target = database("emptied");
        let into = || to_database(&target, &json!({}));
        let first = pipe_succeeds(tap(), into()).1;
        assert!(!first.stderr.contains("W-TABLE-EMPTY"), "{}", first.stderr);
        let resumed = || tap().json("--state", &state(&first));
        assert!(!pipe_succeeds(resumed(), into()).1.stderr.contains("W-TABLE-EMPTY"));
        target.psql(emptied);
        let denied = into().args(["--deny-warnings", "W-TABLE-EMPTY"]);
        let refused = pipe(resumed(), denied).1.exits(65);
        assert!(refused.stderr.contains("code: W-TABLE-EMPTY"), "{}", refused.stderr);
        assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
        let told = pipe_succeeds(resumed(), into()).1;
        assert!(told.stderr.contains("W-TABLE-EMPTY: table public.t is empty"), "{}", told.stderr);
    }
}

#[test]
fn files_that_are_as_the_state_says_need_their_table() {
    let scratch = folder();
    let path = file(scratch.path(), "in/a.csv", "id\n1\n");
    let tap = || {
        let files = json!([{ "entity": "a", "path": scratch.path().join("in"), "keys": ["id"] }]);
        ours("tap-csv").config(&json!({ "files": files }))
    };
    let target = database("lost_files");
    let first = state(&pipe_succeeds(tap(), to_database(&target, &json!({}))).1);
    for more in ["", "id\n2\n"] {
        target.psql("DROP TABLE a");
        if !more.is_empty() {
            fs::write(path.with_file_name("b.csv"), more).unwrap();
        }
        noticed(&first, |from| {
            let tap = resumed_from(tap(), from);
            (tap, to_database(&target, &json!({})))
        });
    }
}

#[test]
fn a_table_of_a_stream_that_is_not_read_may_be_gone() {
    let scratch = folder();
    file(scratch.path(), "a.csv", "id\n1\n");
    file(scratch.path(), "b.csv", "id\n1\n");
    let tap = |names: &[&str]| {
        let entry = |name: &&str| {
            let path = scratch.path().join(format!("{name}.csv"));
            json!({ "entity": name, "path": path, "keys": ["id"] })
        };
        let files: Vec<Value> = names.iter().map(entry).collect();
        ours("tap-csv").config(&json!({ "files": files }))
    };
    let target = database("not_read");
    let first = state(&pipe_succeeds(tap(&["a", "b"]), to_database(&target, &json!({}))).1);
    target.psql("DROP TABLE b");
    pipe_succeeds(tap(&["a"]).json("--state", &first), to_database(&target, &json!({})));
}

#[test]
fn a_day_of_rows_since_a_state_needs_the_table_of_the_days_before() {
    let (source, scratch, target) = (source(), folder(), database("later_day"));
    let catalog = incremental(&source);
    let tap = || from_database(&source, &json!({})).json("--catalog", &catalog);
    let first = state(&pipe_succeeds(tap(), to_lake(scratch.path(), "s", DAY)).1);
    let later = "2026-11-21";
    pipe_succeeds(tap().json("--state", &first), to_lake(scratch.path(), "s", later));
    let load = |day: &str| pipe(from_lake(scratch.path(), day), to_database(&target, &json!({}))).1;
    assert!(load(later).exits(78).stderr.contains("does not exist"));
    for day in [DAY, later] {
        load(day).success();
    }
}

#[test]
fn a_run_of_chorus_does_not_call_it_well_when_a_table_is_gone() {
    let target = database("lost_by_chorus");
    let settings = target.settings_with(&json!({ "default_target_schema": "public" }));
    let loader =
        format!("  - {{name: target-postgres, executable: target-postgres, config: {settings}}}\n");
    let project = Project::with("", &loader, "");
    let run = |more: &[&str]| {
        let words = ["run", "tap-csv", "target-postgres"];
        project.chorus(&[&words[..], more].concat()).go()
    };
    run(&[]).success();
    run(&[]).success();
    target.psql("DROP TABLE a");
    let refused = run(&[]);
    assert_ne!(refused.code, 0, "{}", refused.stderr);
    let hint = "`chorus state clear 'dev:tap-csv-to-target-postgres' --stream a`";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    clear(&project, &refused, "a");
    run(&[]).success();
    assert_eq!(target.psql("SELECT count(*) FROM a"), "2");
    run(&[]).success();
}

#[test]
fn a_table_that_was_filled_and_is_gone_is_told_whatever_the_tap_says() {
    let target = database("gone");
    let rows = |id: i64| Lines::opened().row(id, "x").state(&json!({ "id": id })).done().0;
    for (way, told) in [
        (json!({ "load_method": "upsert" }), true),
        (json!({ "load_method": "append-only" }), true),
        // Other days went with it.
        (json!({ "load_method": "replace-partition", "source": "s", "datestamp": DAY }), true),
        (json!({ "load_method": "upsert", "missing_table": "make" }), false),
        (json!({ "load_method": "overwrite" }), false),
    ] {
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let run = |id| to_database(&target, &way).input(rows(id)).go().success();
        assert!(!run(1).stderr.contains("W-TABLE-GONE"), "{way}");
        assert!(!run(1).stderr.contains("W-TABLE-GONE"), "{way}");
        target.psql("DROP TABLE t");
        let denied = to_database(&target, &way).input(rows(2));
        let code = denied.args(["--deny-warnings", "W-TABLE-GONE"]).go().code;
        assert_eq!(code, if told { 65 } else { 0 }, "{way}");
        assert_eq!(run(2).stderr.contains("W-TABLE-GONE: table public.t"), told, "{way}");
        assert!(!run(3).stderr.contains("W-TABLE-GONE"), "{way}");
    }
    // A tap of ours says where it leaves rows out, and reads all of them here.
    let (source, target) = (source(), database("gone_by_hand"));
    let run = || {
        let tap = from_database(&source, &json!({}));
        pipe_succeeds(tap, to_database(&target, &json!({}))).1
    };
    run();
    target.psql("DROP TABLE t");
    assert!(!run().stderr.contains("W-TABLE-GONE"));
}

#[test]
fn a_table_emptied_behind_an_unchanged_day_is_warned_of() {
    let (source, scratch) = (source(), folder());
    source.psql("CREATE TABLE nothing (id integer PRIMARY KEY)");
    extract(&source, scratch.path(), DAY);
    for method in ["upsert", "overwrite", "replace-partition"] {
        let target = database("emptied_day");
        let into = || to_database(&target, &json!({ "load_method": method }));
        let tap = || from_lake(scratch.path(), DAY);
        let first = state(&pipe_succeeds(tap(), into()).1);
        let resumed = || pipe_succeeds(tap().json("--state", &first), into()).1;
        assert!(!resumed().stderr.contains("W-TABLE-EMPTY"));
        target.psql("DELETE FROM t");
        let told = resumed();
        assert_eq!(told.stderr.matches("W-TABLE-EMPTY: table ").count(), 1, "{}", told.stderr);
        assert!(told.stderr.contains("public.t is empty"), "{}", told.stderr);
        pipe_succeeds(tap(), into());
        assert_eq!(target.psql("SELECT count(*) FROM t"), "2");
        assert!(!resumed().stderr.contains("W-TABLE-EMPTY"));
    }
}

#[test]
fn a_table_emptied_behind_unchanged_files_is_warned_of() {
    let scratch = folder();
    for (at, (rows, keys)) in
        [("1,a\n2,b\n", json!(["id"])), ("1,a\n", json!([])), ("", json!([]))].iter().enumerate()
    {
        let path = file(scratch.path(), &format!("{at}.csv"), format!("id,n\n{rows}"));
        let target = database("emptied_files");
        let files = json!({ "files": [{ "entity": "t", "path": path, "keys": keys }] });
        let tap = || ours("tap-csv").config(&files);
        let into = || to_database(&target, &json!({}));
        let first = state(&pipe_succeeds(tap(), into()).1);
        let resumed = || pipe_succeeds(tap().json("--state", &first), into()).1.stderr;
        assert!(!resumed().contains("W-TABLE-EMPTY"));
        target.psql("DELETE FROM t");
        let told = usize::from(!rows.is_empty());
        assert_eq!(resumed().matches("W-TABLE-EMPTY: table ").count(), told, "{rows}");
    }
}

/// Follows the hint for one stream: the failure names the state.
fn clear(project: &Project, refused: &Outcome, stream: &str) {
    let id = refused.stderr.lines().find_map(|line| line.trim().strip_prefix("state: ")).unwrap();
    let words = ["state", "clear", id, "--stream"];
    let typo = [&words[..], &["publik-t"]].concat();
    assert_eq!(project.chorus(&typo).go().code, 66);
    project.chorus(&[&words[..], &[stream]].concat()).go().success();
}

#[test]
fn one_stream_of_several_is_read_again_alone() {
    let (source, target) = (source(), database("one_lost"));
    source.psql("CREATE TABLE log (n integer); INSERT INTO log VALUES (1), (2), (3)");
    let (reads, writes) =
        (source.settings(), target.settings_with(&json!({ "load_method": null })));
    let tap = format!(
        "  - name: tap-postgres
    executable: tap-postgres
    capabilities: [catalog, discover, state, about]
    config: {reads}
    select: [public-t.*, public-log.*]
    metadata:
      public-t: {{replication-method: INCREMENTAL, replication-key: id}}
      public-log: {{replication-method: INCREMENTAL, replication-key: n}}
"
    );
    let loader =
        format!("  - {{name: target-postgres, executable: target-postgres, config: {writes}}}\n");
    let project = Project::with(&tap, &loader, "");
    let run = || project.chorus(&["run", "tap-postgres", "target-postgres"]).go();
    let count = |table: &str| target.psql(&format!("SELECT count(*) FROM {table}"));
    let told = run().success().stderr;
    let again = "W-NO-KEYS: stream public-log has no keys: its rows are appended, and each run \
                 adds those at its bookmark (the last n) again";
    assert!(told.contains(again), "{told}");
    run().success();
    assert_eq!((count("t"), count("log")), ("2".to_owned(), "4".to_owned()));
    target.psql("DROP TABLE t");
    let refused = run();
    assert!(refused.stderr.contains("--stream public-t`"), "{}", refused.stderr);
    clear(&project, &refused.exits(78), "public-t");
    let before: u32 = count("log").parse().unwrap();
    run().success();
    assert_eq!((count("t"), count("log")), ("2".to_owned(), (before + 1).to_string()));
}
