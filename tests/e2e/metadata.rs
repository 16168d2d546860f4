//! The columns that a target adds, and those of their names in the source.

use serde_json::{Value, json};

use crate::support::cluster::database;
use crate::support::messages::{Lines, columns};
use crate::support::pipes::to_database;

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

#[test]
fn properties_that_do_not_reach_the_table_are_named() {
    let target = database("left_out_names");
    let mut schema = columns();
    for name in ["_sdc_extracted_at", "_sdc_table_version"] {
        schema[name] = json!({ "type": "string" });
    }
    for (on, words) in [(true, "get values of this run"), (false, "is off")] {
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
