//! Loads into Postgres that others disturb: rows that come meanwhile, sessions that are ended
//! (K11, K12), and what a first load must have in common with all others.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::invariants::{Place, Table, Trial};
use support::messages::{Lines, columns, csv};
use support::pipes::{DAY, to_database};
use support::run::{Outcome, Run};

const KEYED: [&str; 3] = ["upsert", "overwrite", "replace-partition"];

fn loading(target: &Database, method: &str) -> Run {
    let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &more)
}

/// Rows of which some say that they are deleted, some only at first, some in the end.
fn deletions() -> Vec<u8> {
    let columns = json!({
        "id": { "type": "integer" },
        "name": { "type": ["null", "string"] },
        "_sdc_deleted_at": { "type": ["null", "string"], "format": "date-time" },
    });
    let row = |lines: Lines, id: i64, name: &str, deleted: Value| {
        lines.record("t", &json!({ "id": id, "name": name, "_sdc_deleted_at": deleted }))
    };
    let at = || json!("2026-11-20T00:00:00Z");
    let mut lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    lines = row(lines, 1, "kept", Value::Null);
    lines = row(lines, 2, "gone", at());
    lines = row(row(lines, 3, "before", at()), 3, "revived", Value::Null);
    lines = row(row(lines, 4, "before", Value::Null), 4, "gone", at());
    lines = row(lines, 5, "kept", Value::Null);
    lines.done().0
}

#[test]
fn a_first_load_deletes_what_any_load_deletes() {
    let target = database("first_deletes");
    let held = || target.psql("SELECT id, name, _sdc_deleted_at IS NULL FROM t ORDER BY id");
    for method in KEYED {
        for hard in [true, false] {
            target.psql("DROP TABLE IF EXISTS t");
            let more = json!({ "hard_delete": hard, "add_record_metadata": true });
            let load = || loading(&target, method).config(&more).input(deletions()).go().success();
            // What replaces rows leaves exactly those of the run, with their marks.
            let wanted = if hard && method == "upsert" {
                "1|kept|t\n3|revived|t\n5|kept|t"
            } else {
                "1|kept|t\n2|gone|f\n3|revived|t\n4|gone|f\n5|kept|t"
            };
            // No table, then rows that are as they should be, then none, then others.
            for (at, before) in ["", "SELECT", "DELETE FROM t"].into_iter().enumerate() {
                target.psql(before);
                load();
                assert_eq!(held(), wanted, "{method} {hard} {at}");
            }
            target.psql("UPDATE t SET name = 'old', _sdc_deleted_at = NULL");
            load();
            assert_eq!(held(), wanted, "{method} {hard} over others");
        }
    }
}

#[test]
fn what_is_marked_as_deleted_leaves_a_table_that_has_it() {
    let target = database("deletes");
    let whole = String::from_utf8(deletions()).unwrap();
    let alive = whole.replace("\"2026-11-20T00:00:00Z\"", "null");
    let more = json!({ "hard_delete": true, "add_record_metadata": true });
    let load = |input: &str| {
        loading(&target, "upsert").config(&more).input(input).go().success();
        target.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM t")
    };
    assert_eq!(load(&alive), "1,2,3,4,5");
    assert_eq!(load(&whole), "1,3,5");
}

/// Another program at work in the table.
struct Other(Child, ChildStdin);

impl Other {
    fn begin(target: &Database, sql: &str) -> Self {
        let mut command = target.psql_command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "BEGIN; {sql};\nSELECT pg_advisory_xact_lock(4712);\n").unwrap();
        target.wait_for("SELECT count(*) FROM pg_locks WHERE objid = 4712 AND granted");
        Self(child, stdin)
    }

    fn end(mut self, how: &str) {
        writeln!(self.1, "{how};").unwrap();
        drop(self.1);
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn rows_that_another_session_adds_during_a_first_load_are_merged() {
    let target = database("meanwhile");
    let rows: Vec<_> = (0..500).map(|id| (id, "ours")).collect();
    let input = Lines::whole(&rows).0;
    for method in KEYED {
        for how in ["COMMIT", "ROLLBACK"] {
            target.psql("DROP TABLE IF EXISTS t");
            // The table of an empty run, so that it is as the target makes it.
            loading(&target, method).input(Lines::whole(&[]).0).go().success();
            let partitioned = method == "replace-partition";
            let values = if partitioned {
                format!(
                    "t (id, name, _sdc_source, _sdc_datestamp) VALUES (7, 'theirs', 's', '{DAY}')"
                )
            } else {
                "t (id, name) VALUES (7, 'theirs')".to_owned()
            };
            let other = Other::begin(&target, &format!("INSERT INTO {values}"));
            let load = loading(&target, method).input(input.clone()).start(true);
            target.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted");
            other.end(how);
            load.wait().success();
            let held = target.psql("SELECT name, count(*), count(DISTINCT id) FROM t GROUP BY 1");
            assert_eq!(held, "ours|500|500", "{method} {how}");
        }
    }
}

#[test]
fn rows_of_no_day_are_told_where_days_are_loaded() {
    let target = database("dayless");
    let load = |method: &str| {
        let lines = Lines::default().syncing("t").schema("t", &columns(), &[]).row(1, "a").done();
        loading(&target, method).input(lines.0).go().success()
    };
    let told = |outcome: Outcome, wanted: bool| {
        assert_eq!(outcome.stderr.contains("W-ROWS-DAYLESS: "), wanted, "{}", outcome.stderr);
    };
    for before in ["overwrite", "append-only", "upsert"] {
        target.psql("DROP TABLE IF EXISTS t");
        told(load(before), false);
        told(load("replace-partition"), true);
        // As long as they are there.
        told(load("replace-partition"), true);
        target.psql("DELETE FROM \"public\".\"t\" WHERE \"_sdc_source\" IS NULL");
        told(load("replace-partition"), false);
        assert_eq!(target.psql("SELECT count(*) FROM t"), "1");
        // What is empty has no such rows.
        target.psql("DROP TABLE t; CREATE TABLE t (id bigint, name text)");
        told(load("replace-partition"), false);
        target.psql("UPDATE t SET _sdc_source = 'other'");
        told(load("replace-partition"), false);
    }
}

#[test]
fn appended_rows_stay_in_their_order() {
    const ROWS: i64 = 200_000;
    let target = database("order");
    let mut lines = Lines::opened();
    // No value follows the order by itself.
    let id = |at: i64| at * 7919 % ROWS;
    for at in 0..ROWS {
        lines = lines.row(id(at), if at % 3 == 0 { "a" } else { "a longer text" });
        if at % 50_000 == 49_999 {
            lines = lines.state(&json!({ "bookmarks": { "t": at }, "currently_syncing": "t" }));
        }
    }
    let input = lines.done().0;
    target.psql("CREATE TABLE t (id integer, name text, at serial)");
    for first in [0, ROWS] {
        loading(&target, "append-only").input(input.clone()).go().success();
        // In the order in which the server has taken them; where it puts them is its own affair.
        let order = format!(
            "SELECT count(*), count(DISTINCT at), max(at) - {first},
               bool_and(id = ((at - 1 - {first}) * 7919) % {ROWS}) FROM t WHERE at > {first}"
        );
        assert_eq!(target.psql(&order), format!("{ROWS}|{ROWS}|{ROWS}|t"));
    }
}

/// Runs a load whose session is ended: at the latest when half of the input has been sent where
/// there is no `pause`, else so long after it began, if it is still there.
fn ended(target: &Database, load: Run, input: &[u8], pause: Option<Duration>) -> Outcome {
    let Some(pause) = pause else {
        let mut load = load.start_with(Stdio::piped(), true);
        let mut stdin = load.child().stdin.take().unwrap();
        let (half, rest) = input.split_at(input.len() / 2);
        stdin.write_all(half).unwrap();
        target.wait_for(SESSIONS);
        target.psql(END_SESSIONS);
        // It may have left already.
        let _ = stdin.write_all(rest);
        drop(stdin);
        return load.wait().exits(75);
    };
    let load = load.input(input).start(true);
    std::thread::sleep(pause);
    target.psql(END_SESSIONS);
    load.wait()
}

/// In the middle, then later and later.
fn pauses() -> impl Iterator<Item = Option<Duration>> {
    std::iter::once(None).chain((0..9).map(|step| Some(Duration::from_millis(20 + step * 15))))
}

#[test]
fn a_session_that_is_ended_leaves_the_old_rows_or_the_new() {
    let target = database("terminated");
    let rows = |name: &str| -> Vec<u8> {
        let rows: Vec<_> = (0..5000).map(|id| (id, name)).collect();
        Lines::whole(&rows).0
    };
    let place = table(&target);
    let (old, new) = (rows("old"), rows("new"));
    let [before, after] = ["old", "new"].map(|name| csv((0..5000).map(|id| (id, name))));
    let trial = Trial { place: &place, old: Some(before), new: after, gaps: false };
    for method in KEYED {
        target.psql("DROP TABLE IF EXISTS t");
        for pause in pauses() {
            loading(&target, method).input(old.clone()).go().success();
            assert_eq!(place.seen(), trial.old);
            let outcome = ended(&target, loading(&target, method), &new, pause);
            // A commit whose answer is lost has been done all the same.
            trial.after_fault(&outcome, &[0, 75]);
            trial.after_rerun(&loading(&target, method).input(new.clone()).go());
        }
    }
}

#[test]
fn a_session_that_is_ended_in_a_first_load_leaves_no_row() {
    let target = database("terminated_first");
    let rows: Vec<_> = (0..20_000).map(|id| (id, "new")).collect();
    let input = Lines::whole(&rows).0;
    let new = csv(rows);
    let place = table(&target);
    // A table that was made is empty until all its rows are there.
    let trial = Trial { place: &place, old: Some(String::new()), new, gaps: true };
    for method in KEYED {
        for pause in pauses().step_by(2) {
            target.psql("DROP TABLE IF EXISTS t");
            let outcome = ended(&target, loading(&target, method), &input, pause);
            trial.after_fault(&outcome, &[0, 75]);
            trial.after_rerun(&loading(&target, method).input(input.clone()).go());
        }
    }
}

fn table(database: &Database) -> Table<'_> {
    Table { database, schema: "public", name: "t", columns: "id, name" }
}

/// How many others are connected.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'";
