//! Small tables share a transaction: a failure of one does not affect the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use support::cluster::{Database, cluster, database};
use support::faults::{Random, each, figure, tries};
use support::messages::{Lines, columns};
use support::pg_proxy::{Fault, MOMENTS, Moment, PgProxy};
use support::pipes::{DAY, to_database};
use support::run::{Outcome, Run};

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];
const ROWS: i64 = 3;

fn loading(target: &Database, method: &str) -> Run {
    let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &more)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("s{number:03}")).collect()
}

/// The streams one after the other, each with its bookmark behind it.
fn streams<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let (mut lines, mut bookmarks) = (Lines::default(), json!({}));
    for name in names {
        lines = lines.state(&json!({ "bookmarks": bookmarks, "currently_syncing": name }));
        lines = lines.schema(name, &columns(), &["id"]);
        for id in 1..=ROWS {
            lines = lines.record(name, &json!({ "id": id, "name": name }));
        }
        bookmarks[name] = json!({ "rows": ROWS });
    }
    lines.state(&json!({ "bookmarks": bookmarks, "currently_syncing": null })).0
}

/// The streams of the last state that was printed.
fn covered(outcome: &Outcome) -> BTreeSet<String> {
    let last = outcome.messages().pop().unwrap_or_default();
    let bookmarks = last["bookmarks"].as_object().cloned().unwrap_or_default();
    bookmarks.into_iter().map(|(name, _)| name).collect()
}

/// How many rows each table has that is there.
fn rows(target: &Database) -> BTreeMap<String, i64> {
    let tables = target.psql(r"SELECT relname FROM pg_class WHERE relname ~ '^s\d+$'");
    let counts = tables.lines().map(|name| format!("SELECT '{name}', count(*) FROM {name}"));
    let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
    let count = |line: &str| {
        let (name, count) = line.split_once('|').unwrap();
        (name.to_owned(), count.parse().unwrap())
    };
    target.psql(&counts).lines().map(count).collect()
}

/// Tells whether each table has so many rows.
fn all_have(target: &Database, names: &[String], count: i64) -> bool {
    let rows = rows(target);
    names.iter().all(|name| rows.get(name) == Some(&count))
}

/// The tables that are still to be loaded.
fn unloaded(target: &Database, names: &[String]) -> Vec<String> {
    let rows = rows(target);
    names.iter().filter(|name| rows.get(*name) != Some(&ROWS)).cloned().collect()
}

/// Tables are there as a whole or not at all, and those that the state speaks of are there.
#[track_caller]
fn whole(target: &Database, names: &[String], outcome: &Outcome) -> usize {
    let (covered, rows) = (covered(outcome), rows(target));
    let mut there = 0;
    for name in names {
        let rows = rows.get(name);
        assert!(matches!(rows, None | Some(&(0 | ROWS))), "{name}: {rows:?} {}", outcome.stderr);
        assert!(rows == Some(&ROWS) || !covered.contains(name), "{name}: {}", outcome.stderr);
        there += usize::from(rows == Some(&ROWS));
    }
    there
}

fn drop_all(target: &Database, names: &[String]) {
    target.psql(&format!("DROP TABLE IF EXISTS {} CASCADE", names.join(", ")));
    target.psql("DROP TABLE IF EXISTS _sdc_tables");
}

#[test]
fn many_small_tables_take_few_commits() {
    let target = database("few_commits");
    let names = names(100);
    for method in METHODS {
        drop_all(&target, &names);
        let proxy = PgProxy::start(&cluster().socket(), Fault::None);
        let through = json!({ "host": "127.0.0.1", "port": proxy.port, "ssl_mode": "disable" });
        let run = || loading(&target, method).config(&through).input(streams(&names)).go();
        let outcome = run().success();
        assert_eq!(whole(&target, &names, &outcome), 100);
        assert_eq!(covered(&outcome).len(), 100);
        assert!(proxy.commits() < 25, "{method}: {}", proxy.commits());
        // What is there is merged or added to, as by any load.
        run().success();
        let each = if method == "append-only" { 2 * ROWS } else { ROWS };
        assert!(all_have(&target, &names, each), "{method}");
        let known = target.psql("SELECT count(*), count(table_oid) FROM _sdc_tables");
        assert_eq!(known, "100|100", "{method}");
    }
}

#[test]
fn a_bad_table_among_small_ones_is_told_as_if_it_were_alone() {
    let target = database("bad_among_small");
    let names = names(50);
    let bad = &names[24];
    for method in METHODS {
        drop_all(&target, &names);
        loading(&target, method).input(streams([bad])).go().success();
        target.psql(&format!("DELETE FROM {bad}; ALTER TABLE {bad} ADD CHECK (id < 2)"));
        let alone = loading(&target, method).input(streams([bad])).go();
        let outcome = loading(&target, method).input(streams(&names)).go();
        let complaint = |outcome: &Outcome| {
            let complaint = outcome.complaint();
            complaint[complaint.find("error: ").expect("an error")..].to_owned()
        };
        // But for the line of the input.
        let same = |text: String| {
            text.lines().filter(|line| !line.contains("line:")).collect::<Vec<_>>().join("\n")
        };
        assert_ne!(alone.code, 0, "{method}");
        assert_eq!(outcome.code, alone.code, "{method}: {}", outcome.stderr);
        assert_eq!(same(complaint(&outcome)), same(complaint(&alone)), "{method}");
        assert_eq!(whole(&target, &names, &outcome), 24, "{method}");
        let before: BTreeSet<String> = names[..24].iter().cloned().collect();
        assert_eq!(covered(&outcome), before, "{method}: {}", outcome.stderr);
    }
}

#[test]
fn a_denied_warning_holds_back_its_own_table_alone() {
    let target = database("denied_among_small");
    let names = names(20);
    loading(&target, "upsert").input(streams([&names[9]])).go().success();
    target.psql(&format!("DROP TABLE {}", names[9]));
    let run = loading(&target, "upsert").args(["--deny-warnings", "W-TABLE-GONE"]);
    let outcome = run.input(streams(&names)).go().exits(65);
    assert_eq!(whole(&target, &names, &outcome), 9);
    assert_eq!(covered(&outcome).len(), 9, "{}", outcome.stderr);
}

#[test]
fn small_tables_that_refer_to_each_other_load_in_their_order() {
    let target = database("small_references");
    let names = names(12);
    for method in ["append-only", "upsert"] {
        drop_all(&target, &names);
        loading(&target, method).input(streams(&names[4..6])).go().success();
        let (one, other) = (&names[4], &names[5]);
        target.psql(&format!(
            "DELETE FROM {one}; DELETE FROM {other}; CREATE UNIQUE INDEX ON {one} (id);
             ALTER TABLE {other} ADD FOREIGN KEY (id) REFERENCES {one} (id)"
        ));
        let outcome = loading(&target, method).input(streams(&names)).go().success();
        assert_eq!(whole(&target, &names, &outcome), names.len(), "{method}");
    }
}

#[test]
fn a_commit_of_small_tables_that_is_cut_has_exactly_one_effect() {
    let names = names(60);
    let socket = cluster().socket();
    each(2, &["append-only", "upsert"], |method| {
        let target = database("small_cut");
        // The first COMMIT of all makes the table to remember in.
        for nth in 2..=3 {
            for moment in MOMENTS.into_iter().rev().take(tries(2, MOMENTS.len())) {
                drop_all(&target, &names);
                let proxy = PgProxy::start(&socket, Fault::Commit(nth, moment));
                let through =
                    json!({ "host": "127.0.0.1", "port": proxy.port, "ssl_mode": "disable" });
                let run = loading(&target, method).config(&through).input(streams(&names));
                let outcome = run.go();
                assert!(proxy.happened(), "{method} {moment:?} {nth}");
                let there = whole(&target, &names, &outcome);
                assert!([0, 75].contains(&outcome.code), "{method} {moment:?}: {outcome:?}");
                assert_eq!(outcome.code == 0, there == names.len(), "{outcome:?}");
                if moment == Moment::Answered {
                    assert_eq!(outcome.code, 0, "{method} {nth}: {}", outcome.stderr);
                }
                assert_eq!(covered(&outcome).len(), there, "{method}: {outcome:?}");
                let rest = unloaded(&target, &names);
                if !rest.is_empty() {
                    loading(&target, method).input(streams(&rest)).go().success();
                }
                assert!(all_have(&target, &names, ROWS));
            }
        }
    });
}

#[test]
fn a_load_of_small_tables_that_is_killed_leaves_whole_ones() {
    let target = database("small_killed");
    let names = names(120);
    let mut random = Random::new();
    let mut kept = 0;
    for _ in 0..tries(3, 60) {
        drop_all(&target, &names);
        let mut run = loading(&target, "append-only").input(streams(&names)).start(true);
        std::thread::sleep(Duration::from_millis(random.below(900)));
        run.kill();
        let outcome = run.wait();
        // Its sessions end when the server finds out.
        target.wait_for(
            "SELECT (count(*) = 0)::integer FROM pg_stat_activity \
             WHERE application_name = 'target-postgres' AND datname = current_database()",
        );
        kept += whole(&target, &names, &outcome);
        let rest = unloaded(&target, &names);
        if !rest.is_empty() {
            loading(&target, "append-only").input(streams(&rest)).go().success();
        }
        assert!(all_have(&target, &names, ROWS));
    }
    figure("small tables that were there when their load was killed", kept);
}

#[test]
fn two_loads_of_the_same_small_tables_hold_each_other_up_for_moments_only() {
    let (there, mut back) = (names(40), names(40));
    back.reverse();
    each(2, &METHODS, |method| {
        let target = database("small_twice");
        for made in [false, true] {
            drop_all(&target, &there);
            if made {
                loading(&target, method).input(streams(&there)).go().success();
                target.psql(&format!("TRUNCATE {}", there.join(", ")));
            }
            let runs = [&there, &back].map(|names| {
                let patience = json!({ "lock_timeout_seconds": 20 });
                loading(&target, method).config(&patience).input(streams(names)).start(true)
            });
            for outcome in runs.map(support::run::Running::wait) {
                outcome.success();
            }
            let each = if *method == "append-only" { 2 * ROWS } else { ROWS };
            assert!(all_have(&target, &there, each), "{method} {made}");
        }
    });
}

#[test]
fn rows_that_wait_for_others_wait_a_moment_only() {
    use std::io::Write;
    use std::process::Stdio;

    let target = database("small_waits");
    let mut run = loading(&target, "upsert").start_with(Stdio::piped(), true);
    let mut stdin = run.child().stdin.take().unwrap();
    let names = names(3);
    let mut input = streams(&names[..2]);
    // The last state names no stream: the next one is still to come.
    stdin.write_all(&input).unwrap();
    target.wait_for("SELECT (to_regclass('public.s002') IS NOT NULL)::integer");
    assert_eq!(rows(&target)["s002"], ROWS);
    let next: Value = json!({ "bookmarks": {}, "currently_syncing": names[2] });
    input = Lines::default().state(&next).schema(&names[2], &columns(), &["id"]).done().0;
    stdin.write_all(&input).unwrap();
    drop(stdin);
    run.wait().success();
    assert_eq!(rows(&target)["s003"], 0);
}
