//! The columns that a target adds, and those of their names in the source.

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::{Lines, columns};
use support::pipes::{load, to_database, to_lake};

fn metadata(on: bool) -> Value {
    json!({ "add_record_metadata": on })
}

#[test]
fn rows_that_are_marked_as_deleted_go_with_and_without_metadata() {
    let target = database("hard_delete");
    let mut schema = columns();
    schema["_sdc_deleted_at"] = json!({ "type": ["null", "string"], "format": "date-time" });
    let lines = |at: Value| {
        let record = json!({ "id": 1, "name": "a", "_sdc_deleted_at": at });
        let lines = Lines::default().syncing("t").schema("t", &schema, &["id"]).row(2, "b");
        lines.record("t", &record).done().0
    };
    for on in [true, false] {
        target.psql("DROP TABLE IF EXISTS t");
        let load = |at: Value| {
            let run = to_database(&target, &json!({ "hard_delete": true })).config(&metadata(on));
            run.input(lines(at)).go().success();
            target.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM t")
        };
        assert_eq!(load(Value::Null), "1,2", "{on}");
        assert_eq!(load("2026-11-20T00:00:00Z".into()), "2", "{on}");
    }
}

/// Says of rows that they are deleted, by a property that the schema declares or not.
fn marked(declared: bool, rows: &[(i64, &str)]) -> Vec<u8> {
    let mut schema = columns();
    if declared {
        schema["_sdc_deleted_at"] = json!({ "type": ["null", "string"], "format": "date-time" });
    }
    let mut lines = Lines::default().syncing("t").schema("t", &schema, &["id"]);
    for (id, at) in rows {
        let record = match *at {
            "" => json!({ "id": id, "name": "a" }),
            "null" => json!({ "id": id, "name": "a", "_sdc_deleted_at": null }),
            at => json!({ "id": id, "_sdc_deleted_at": at, "name": "a" }),
        };
        lines = lines.record("t", &record);
    }
    lines.done().0
}

const AT: &str = "2026-11-20T01:02:03Z";

#[test]
fn a_row_is_deleted_whether_the_schema_declares_the_mark_or_not() {
    let target = database("undeclared");
    let rows = "SELECT string_agg(id || CASE WHEN to_jsonb(t) ->> '_sdc_deleted_at' IS NULL
                  THEN '' ELSE '-' END, ' ' ORDER BY id) FROM t";
    for (on, hard, method) in [
        (true, true, "upsert"),
        (true, false, "upsert"),
        (false, true, "upsert"),
        (true, false, "overwrite"),
        (true, false, "append-only"),
    ] {
        for declared in [true, false] {
            target.psql("DROP TABLE IF EXISTS t");
            let case = format!("{on} {hard} {method} {declared}");
            let more = json!({ "hard_delete": hard, "load_method": method });
            let load = |rows: &[(i64, &str)]| {
                let run = to_database(&target, &more).config(&metadata(on));
                run.input(marked(declared, rows)).go().success()
            };
            load(&[(1, ""), (2, ""), (3, "null")]);
            assert_eq!(target.psql(rows), "1 2 3", "{case}");
            // A row that comes back, one that goes, and one that is deleted and was not there.
            let outcome = load(&[(1, AT), (1, ""), (2, ""), (2, AT), (4, AT)]);
            assert!(!outcome.stderr.contains("not declare"), "{case}: {}", outcome.stderr);
            let expected = match method {
                "overwrite" => "1 2- 4-",
                "append-only" => "1 1 1- 2 2 2- 3 4-",
                _ if hard => "1 3",
                _ => "1 2- 3 4-",
            };
            let sorted = |text: String| {
                let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
                words.sort();
                words.join(" ")
            };
            assert_eq!(sorted(target.psql(rows)), expected, "{case}");
        }
    }
}

#[test]
fn a_mark_that_is_no_time_is_a_record_that_does_not_fit() {
    let target = database("odd_mark");
    let run = to_database(&target, &metadata(true)).input(marked(false, &[(1, "yesterday")]));
    assert!(run.go().exits(65).stderr.contains("_sdc_deleted_at"));
}

#[test]
fn a_day_keeps_the_marks_of_deleted_rows() {
    let (target, scratch) = (database("marked_day"), folder());
    for (day, at) in [("2026-11-20", ""), ("2026-11-21", AT)] {
        let rows = marked(false, &[(1, ""), (2, at)]);
        to_lake(scratch.path(), "s", day).input(rows).go().success();
        load(
            scratch.path(),
            day,
            &target,
            &json!({ "hard_delete": true, "load_method": "upsert" }),
        );
    }
    assert_eq!(target.psql("SELECT string_agg(id::text, ',') FROM t"), "1");
}

#[test]
fn a_mark_that_is_no_time_takes_no_row_out() {
    let target = database("marks_of_text");
    let properties = json!({ "id": { "type": "integer" },
        "_sdc_deleted_at": { "type": ["string", "null"] } });
    let load = |mark: Value| {
        let record = json!({ "id": 1, "_sdc_deleted_at": mark });
        let lines = Lines::default().syncing("t").schema("t", &properties, &["id"]);
        let lines = lines.record("t", &record).done();
        to_database(&target, &json!({ "hard_delete": true })).input(lines.0).go()
    };
    load(Value::Null).success();
    for mark in ["", "false", "not a date", "0"] {
        let said = load(json!(mark)).exits(65).stderr;
        assert!(said.contains("no time of a deletion"), "{mark}: {said}");
        assert_eq!(target.psql("SELECT count(*) FROM t"), "1", "{mark}");
    }
    load(json!("2026-01-02T10:00:00Z")).success();
    assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
}

#[test]
fn hard_delete_takes_records_that_lack_columns() {
    let target = database("lacking_deletes");
    for on in [true, false] {
        target.psql("DROP TABLE IF EXISTS t");
        let load = |lines: Lines| {
            let run = to_database(&target, &json!({ "hard_delete": true })).config(&metadata(on));
            run.input(lines.done().0).go().success();
        };
        load(Lines::opened().row(1, "a").row(2, "b"));
        load(Lines::opened().record("t", &json!({ "id": 2 })).row(1, "c"));
        assert_eq!(target.psql("SELECT id, name FROM t ORDER BY id"), "1|c\n2|b", "{on}");
    }
}

#[test]
fn versions_are_acted_on_or_refused() {
    let version = |lines: Lines, version: i64, id: i64| {
        let record = json!({ "id": id, "name": "a" });
        let row = json!({ "type": "RECORD", "stream": "t", "record": record, "version": version });
        let end = json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": version });
        lines.message(&row).message(&end).done().0
    };
    // Without the columns that tell the rows' versions nothing can be acted on.
    let target = database("versions_off");
    let keyed = || version(Lines::opened(), 1, 1);
    for hard in [true, false] {
        let run = || {
            let more = json!({ "hard_delete": hard });
            to_database(&target, &more).config(&metadata(false)).input(keyed())
        };
        let refused = run().go().exits(78);
        assert!(refused.stderr.contains("set `add_record_metadata` to true"), "{}", refused.stderr);
        run().set("activate_version", false).go().success();
        run().set("load_method", "overwrite").go().success();
    }
    // Of rows without a key the old ones go, too, or are marked.
    for (hard, expected) in [(true, "2|t"), (false, "1|f\n2|t")] {
        target.psql("DROP TABLE IF EXISTS t");
        for at in [1, 2] {
            let lines = Lines::default().syncing("t").schema("t", &columns(), &[]);
            let run = to_database(&target, &json!({ "hard_delete": hard })).config(&metadata(true));
            run.input(version(lines, at, at)).go().success();
        }
        let rows = "SELECT id, _sdc_deleted_at IS NULL FROM t ORDER BY id";
        assert_eq!(target.psql(rows), expected, "{hard}");
    }
}

#[test]
fn properties_that_do_not_reach_the_table_are_named() {
    let target = database("left_out_names");
    let mut schema = columns();
    for name in ["_sdc_extracted_at", "_sdc_table_version"] {
        schema[name] = json!({ "type": "string" });
    }
    for (on, words) in [(true, "fills the columns of these names"), (false, "is false")] {
        let lines = Lines::default().schema("t", &schema, &["id"]).row(1, "a").done();
        let outcome = to_database(&target, &metadata(on)).input(lines.0).go().success();
        let said = "properties left out: _sdc_extracted_at, _sdc_table_version";
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn the_time_of_extraction_is_the_same_moment_in_any_table() {
    let target = database("moments");
    let row = |id: i64, at: &str| {
        let record = json!({ "id": id, "name": "a" });
        let record =
            json!({ "type": "RECORD", "stream": "t", "record": record, "time_extracted": at });
        Lines::opened().message(&record).done()
    };
    for kind in ["timestamp", "timestamptz"] {
        target.psql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, name text,
               _sdc_extracted_at {kind})"
        ));
        // Into an empty table, and beside a row.
        for id in 1..3 {
            let lines = row(id, "2026-01-01T05:00:00+05:00").0;
            to_database(&target, &metadata(true)).input(lines).go().success();
        }
        let at = "SELECT DISTINCT _sdc_extracted_at::timestamp FROM t";
        assert_eq!(target.psql(&format!("SET timezone = 'UTC'; {at}")), "2026-01-01 00:00:00");
    }
    for (id, odd) in (3..).zip(["yesterday", "", "2026-02-30T00:00:00Z"]) {
        let outcome = to_database(&target, &metadata(true)).input(row(id, odd).0).go().success();
        assert!(outcome.stderr.contains("`time_extracted` is not a date"), "{}", outcome.stderr);
    }
    let odd = "SELECT count(*), count(_sdc_extracted_at) FROM t WHERE id > 2";
    assert_eq!(target.psql(odd), "3|0");
}

/// Returns the rows of each step: one of each key, in the order of the keys.
fn steps_of_deletions() -> Vec<Vec<Value>> {
    let at = "2026-11-20T01:02:03+00:00";
    let deleted = |id: i64| json!({ "id": id, "_sdc_deleted_at": at });
    vec![
        vec![
            json!({ "id": 7, "a": 3, "b": "old", "c": true }),
            json!({ "id": 8, "a": 4, "b": "never", "_sdc_deleted_at": at }),
            json!({ "id": 9, "b": "kept" }),
            json!({ "id": 10, "a": 5, "c": false }),
        ],
        vec![deleted(7), deleted(8), json!({ "id": 9, "a": 6 }), deleted(10)],
        vec![
            json!({ "id": 7, "b": "new" }),
            json!({ "id": 8, "c": false }),
            json!({ "id": 9, "c": true }),
            deleted(10),
        ],
        vec![json!({ "id": 7, "a": 9 }), json!({ "id": 8 }), deleted(9), json!({ "id": 10 })],
        vec![deleted(7), json!({ "id": 8, "a": 2 }), json!({ "id": 9, "a": 1 })],
        vec![json!({ "id": 7, "c": false, "_sdc_deleted_at": null }), deleted(8)],
    ]
}

#[test]
fn what_comes_after_a_deletion_begins_a_new_row_wherever_batches_end() {
    let target = database("begins_anew");
    let schema = json!({
        "id": { "type": "integer" },
        "a": { "type": ["null", "integer"] },
        "b": { "type": ["null", "string"] },
        "c": { "type": ["null", "boolean"] },
        "_sdc_deleted_at": { "type": ["null", "string"], "format": "date-time" },
    });
    let steps = steps_of_deletions();
    let load = |hard: bool, steps: &[Vec<Value>], often: bool| {
        let mut lines = Lines::default().schema("t", &schema, &["id"]);
        for record in steps.iter().flatten() {
            lines = lines.record("t", record);
            lines = if often { lines.state(&json!({ "often": record })) } else { lines };
        }
        let run = to_database(&target, &json!({ "hard_delete": hard })).config(&metadata(true));
        let run = if often {
            run.set("state_interval_seconds", 0).set("batch_size_rows", 1)
        } else {
            run
        };
        run.input(lines.done().0).go().success();
    };
    for hard in [true, false] {
        for most in [2, 4, steps.len()] {
            let told = format!("hard_delete {hard}, the first {most} steps");
            let live = "SELECT id, a, b, c FROM t WHERE _sdc_deleted_at IS NULL ORDER BY id";
            let mut held = Vec::new();
            for sizes in [vec![1; most], vec![most], vec![1, most - 1], vec![most - 1, 1]] {
                target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
                let mut rest = &steps[..most];
                for size in sizes.into_iter().filter(|size| *size > 0) {
                    let (some, others) = rest.split_at(size);
                    load(hard, some, false);
                    rest = others;
                }
                held.push(target.psql(live));
            }
            target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
            load(hard, &steps[..most], true);
            held.push(target.psql(live));
            assert!(held.iter().all(|rows| *rows == held[0]), "{told}: {held:#?}");
            if most == 4 {
                assert_eq!(held[0], "7|9|new|\n8|||f\n10|||", "{told}");
            } else if most == steps.len() {
                assert_eq!(held[0], "7|||f\n9|1||\n10|||", "{told}");
            }
        }
    }
}

#[test]
fn what_comes_after_a_deletion_has_nothing_of_the_old_row() {
    let target = database("renewed");
    let rows = "SELECT id, name, note, state, parts, since FROM t ORDER BY id";
    for hard in [true, false] {
        for apart in [true, false] {
            target.psql("DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS _sdc_tables");
            let load = |rows: &[(i64, &str)]| {
                let more = json!({ "hard_delete": hard, "load_method": "upsert" });
                let run = to_database(&target, &more).config(&metadata(true));
                run.input(marked(true, rows)).go().success();
            };
            load(&[(1, ""), (2, ""), (3, "")]);
            target.psql(
                "CREATE TYPE pair AS (a int, b int);
                 ALTER TABLE t ADD COLUMN note text, ADD COLUMN state text DEFAULT 'new',
                   ADD COLUMN parts json, ADD COLUMN since pair,
                   ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED,
                   ADD COLUMN n bigint GENERATED BY DEFAULT AS IDENTITY;
                 UPDATE t SET note = 'n', state = 'seen', parts = '{}', since = (NULL, NULL)",
            );
            if apart {
                load(&[(1, AT), (2, ""), (3, AT)]);
                load(&[(1, "")]);
            } else {
                load(&[(1, AT), (1, ""), (2, ""), (3, ""), (3, AT)]);
            }
            let gone = if hard { "" } else { "\n3|a|n|seen|{}|(,)" };
            let expected = format!("1|a||new||\n2|a|n|seen|{{}}|(,){gone}");
            assert_eq!(target.psql(rows), expected, "hard {hard}, apart {apart}");
            // A row that stays is not touched.
            let place = "SELECT ctid FROM t WHERE id = 2";
            let before = target.psql(place);
            load(&[(2, "")]);
            assert_eq!(target.psql(place), before);
            target.psql("DROP TABLE t; DROP TYPE pair");
        }
    }
}
