//! Loads of one table that overlap: rows that were read later stay, whoever is done first, and
//! loads of different rows do not hinder each other.

use std::io::Write;
use std::process::{ChildStdin, Stdio};

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::{Lines, columns};
use support::pipes::to_database;
use support::run::{Outcome, Running};

/// A load that has begun, and waits for the end of its input.
struct Begun {
    running: Running,
    stdin: ChildStdin,
}

fn way(method: &str, day: &str) -> Value {
    json!({ "load_method": method, "source": "s", "datestamp": day })
}

impl Begun {
    fn end(mut self) -> Outcome {
        self.stdin.write_all(&Lines::default().done().0).unwrap();
        drop(self.stdin);
        self.running.wait()
    }
}

/// Starts a load.
fn start(target: &Database, more: &Value, rows: &[(i64, &str)], name: &str) -> Begun {
    let lines = rows.iter().fold(Lines::opened(), |lines, (id, name)| lines.row(*id, name));
    start_lines(target, more, &lines, name)
}

fn start_lines(target: &Database, more: &Value, lines: &Lines, name: &str) -> Begun {
    let run = to_database(target, more).set("application_name", name);
    let mut running = run.start_with(Stdio::piped(), true);
    let mut stdin = running.child().stdin.take().unwrap();
    stdin.write_all(&lines.0).unwrap();
    Begun { running, stdin }
}

/// Starts a load, and waits until it looks at its table: then it has begun.
fn begin(target: &Database, more: &Value, rows: &[(i64, &str)], name: &str) -> Begun {
    let begun = start(target, more, rows, name);
    wait_until_begun(target, name);
    begun
}

fn wait_until_begun(target: &Database, name: &str) {
    target.wait_for(&format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'
         AND query ~ 'pg_index|_sdc_tables|EXISTS|relkind NOT IN|obj_description|COPY'"
    ));
}

fn load(target: &Database, more: &Value, rows: &[(i64, &str)]) -> Outcome {
    to_database(target, more).input(Lines::whole(rows).0).go()
}

fn names(target: &Database) -> String {
    target.psql("SELECT string_agg(name, ',' ORDER BY id, name) FROM t")
}

#[test]
fn rows_that_were_read_later_stay() {
    let target = database("overtaken");
    let upsert = way("upsert", "2026-01-01");
    load(&target, &upsert, &[(1, "a"), (2, "b"), (3, "c")]).success();
    let older = begin(&target, &upsert, &[(1, "a"), (2, "old"), (3, "c")], "older");
    load(&target, &upsert, &[(2, "new")]).success();
    let refused = older.end().exits(75);
    assert!(refused.stderr.contains("newer rows with the same keys: 1"), "{}", refused.stderr);
    assert_eq!(names(&target), "a,new,c");
    // Read again, they are the newer ones.
    load(&target, &upsert, &[(1, "a"), (2, "later"), (3, "c")]).success();
    assert_eq!(names(&target), "a,later,c");
    // The one that began later is done later.
    let older = begin(&target, &upsert, &[(1, "x")], "older");
    let newer = begin(&target, &upsert, &[(1, "y")], "newer");
    older.end().success();
    newer.end().success();
    assert_eq!(names(&target), "y,later,c");
    // Rows that are the same take nothing away, nor do those that a user has written.
    let older = begin(&target, &upsert, &[(1, "y"), (3, "d")], "older");
    load(&target, &upsert, &[(1, "y"), (2, "z")]).success();
    target.psql("UPDATE t SET name = 'theirs' WHERE id = 2");
    older.end().success();
    assert_eq!(names(&target), "y,theirs,d");
}

#[test]
fn loads_of_other_rows_are_done_in_any_order() {
    let target = database("side_by_side");
    let upsert = way("upsert", "2026-01-01");
    // The first load of all goes straight into the table, the second one does not.
    let one = begin(&target, &upsert, &[(1, "a"), (1, "b")], "one");
    let two = begin(&target, &upsert, &[(2, "a"), (2, "b")], "two");
    two.end().success();
    one.end().success();
    assert_eq!(names(&target), "b,b");
    for batch in [1, 1000] {
        let upsert = json!({ "load_method": "upsert", "batch_size_rows": batch });
        let one = begin(&target, &upsert, &[(1, "c"), (3, "c"), (1, "d")], "one");
        load(&target, &upsert, &[(2, "c"), (4, "c")]).success();
        one.end().success();
        assert_eq!(names(&target), "d,c,c,c");
        load(&target, &upsert, &[(1, "b"), (2, "b")]).success();
    }
    target.psql("DROP TABLE t");
    let [monday, tuesday] = ["2026-01-05", "2026-01-06"].map(|day| way("replace-partition", day));
    load(&target, &monday, &[(2, "a")]).success();
    let one = begin(&target, &monday, &[(1, "a")], "one");
    load(&target, &tuesday, &[(1, "b")]).success();
    one.end().success();
    assert_eq!(names(&target), "a,b");
}

#[test]
fn what_replaces_rows_waits_for_an_earlier_load_of_them() {
    let target = database("in_line");
    for method in ["overwrite", "replace-partition"] {
        target.psql("DROP TABLE IF EXISTS t");
        let way = way(method, "2026-01-01");
        for _ in 0..2 {
            let older = begin(&target, &way, &[(1, "a"), (2, "gone")], "older");
            let newer = start(&target, &way, &[(1, "b")], "newer");
            target.wait_for(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'newer'
                 AND wait_event = 'advisory'",
            );
            let mut hasty = way.clone();
            hasty["lock_timeout_seconds"] = json!(1);
            let refused = load(&target, &hasty, &[(1, "c")]).exits(75);
            assert!(refused.stderr.contains("an earlier load of its rows"), "{}", refused.stderr);
            older.end().success();
            newer.end().success();
            assert_eq!(names(&target), "b");
        }
    }
}

#[test]
fn what_replaces_a_table_and_any_other_load_of_it_come_in_order() {
    let target = database("in_line_of_unlike");
    let lines = |method: &str, partitions: bool, rows: &[(i64, &str)]| {
        let keys: &[&str] = if partitions || method == "append-only" { &[] } else { &["id"] };
        let lines = Lines::default().syncing("t").schema("t", &columns(), keys);
        rows.iter().fold(lines, |lines, (id, name)| lines.row(*id, name))
    };
    let old = [(1, "old"), (2, "old")];
    for (first, second, new, wanted) in [
        ("overwrite", "upsert", [(2, "new"), (3, "new")], "old,new,new"),
        ("upsert", "overwrite", [(2, "new"), (3, "new")], "new,new"),
        ("overwrite", "append-only", [(3, "new"), (4, "new")], "old,old,new,new"),
        ("append-only", "overwrite", [(3, "new"), (4, "new")], "new,new"),
        ("overwrite", "replace-partition", [(2, "new"), (3, "new")], "old,new,old,new"),
        ("replace-partition", "overwrite", [(2, "new"), (3, "new")], "new,new"),
    ] {
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let partitions = [first, second].contains(&"replace-partition");
        let [older, newer] = [first, second].map(|method| way(method, "2026-01-01"));
        let base = lines("overwrite", partitions, &[(9, "base")]).done();
        to_database(&target, &way("overwrite", "2026-01-01")).input(base.0).go().success();
        let older = start_lines(&target, &older, &lines(first, partitions, &old), "older");
        wait_until_begun(&target, "older");
        let newer = start_lines(&target, &newer, &lines(second, partitions, &new), "newer");
        target.wait_for(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'newer'
             AND wait_event = 'advisory'",
        );
        older.end().success();
        newer.end().success();
        assert_eq!(names(&target), wanted, "{first}, {second}");
    }
}

#[test]
fn the_memory_of_an_earlier_release_learns_when_loads_began() {
    let target = database("unordered");
    let upsert = way("upsert", "2026-01-01");
    load(&target, &upsert, &[(1, "a")]).success();
    target.psql("ALTER TABLE _sdc_tables DROP COLUMN began");
    let older = begin(&target, &upsert, &[(1, "old")], "older");
    load(&target, &upsert, &[(1, "new")]).success();
    older.end().exits(75);
    assert_eq!(target.psql("SELECT count(began) FROM _sdc_tables"), "1");
    assert_eq!(names(&target), "new");
}
