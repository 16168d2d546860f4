//! Runs that are stopped and go on, starved of memory, or fail at the very end (P05, P12, P14, R06,
//! R15): what another run of the same may do meanwhile, and what is there afterwards.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{ChildStdin, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::invariants::{KILLED, Partition, Place, Saw, Table, Trial, explains, is_done};
use support::messages::{Lines, csv};
use support::pipes::{DAY, from_lake, to_database, to_lake};
use support::run::{Outcome, Run, Running, file, ours, pipe};
use support::strace::{Point, points, traced};
use support::{binaries_dir, folder, lake};

/// Rows of each run: more than one write, and than one message.
const ROWS: i64 = 3000;

/// Rows of which some have been taken before the last one is.
const MANY: i64 = 60_000;

fn rows(name: &str, count: i64) -> Lines {
    (0..count).fold(Lines::opened(), |lines, id| lines.row(id, name))
}

fn whole(name: &str) -> Vec<u8> {
    rows(name, ROWS).done().0
}

/// Starts a run that has all its rows, but not their end, and stops it once it is at work.
fn stopped_in_the_middle(
    run: Run,
    name: &str,
    count: i64,
    at_work: impl Fn() -> bool,
) -> (Running, ChildStdin) {
    let mut run = run.start_with(Stdio::piped(), true);
    let mut stdin = run.child().stdin.take().unwrap();
    stdin.write_all(&rows(name, count).0).unwrap();
    let mut left = 20_000;
    while !at_work() {
        left -= 1;
        assert!(left > 0, "{name} never begins");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.signal(Signal::STOP);
    run.wait_until_stopped();
    (run, stdin)
}

fn go_on((run, mut stdin): (Running, ChildStdin)) -> Outcome {
    run.signal(Signal::CONT);
    stdin.write_all(&Lines::default().done().0).unwrap();
    drop(stdin);
    run.wait()
}

/// Returns the names of the rows of the day, each once, after checking that all rows are there.
fn names_in(lake: &Path, count: i64) -> Vec<String> {
    let day = Partition { lake, source: "s", day: DAY, table: "t" };
    let data = day.seen().expect("a day");
    let names = data.lines().skip(1).map(|line| line.split_once(',').unwrap().1.to_owned());
    let mut names: Vec<_> = names.collect();
    assert_eq!(names.len(), usize::try_from(count).unwrap());
    names.dedup();
    names
}

#[test]
fn a_stopped_run_keeps_its_partition_and_finishes_what_it_began() {
    let scratch = folder();
    let publish = |name: &str| to_lake(scratch.path(), "s", DAY).input(whole(name)).go();
    for round in 0..2 {
        let holds = || {
            let locks = fs::read_dir(scratch.path().join(".locks"));
            let mut names = locks.into_iter().flatten().map(|lock| lock.unwrap().file_name());
            names.any(|name| name.to_string_lossy().starts_with("partition-"))
        };
        let run = to_lake(scratch.path(), "s", DAY);
        let first = stopped_in_the_middle(run, "first", MANY, holds);
        let second = publish("second").exits(75);
        assert!(second.stderr.contains("another run holds the partition"), "{}", second.stderr);
        assert_eq!(scratch.path().join("source=s").exists(), round > 0);
        go_on(first).success();
        assert_eq!(names_in(scratch.path(), MANY), ["first"]);
        publish("second").success();
        assert_eq!(names_in(scratch.path(), ROWS), ["second"]);
        lake::check_swept(scratch.path());
    }
}

#[test]
fn a_run_stopped_inside_its_publication_finishes_it() {
    let scratch = folder();
    let input = file(scratch.path(), "input", whole("first"));
    let lake = scratch.path().join("lake");
    let settings = |run: Run| {
        let run = run.set("output_path", lake.display()).set("source", "s");
        run.set("datestamp", DAY).args(["--input".as_ref(), input.as_os_str()])
    };
    for replaces in [false, true] {
        let clean = || {
            let _ = fs::remove_dir_all(&lake);
            if replaces {
                to_lake(&lake, "s", DAY).input(whole("old")).go().success();
            }
        };
        clean();
        let calls = points("target-csv", &[], &lake, settings);
        let placed = |point: &Point| {
            point.call.starts_with("rename")
                && point.line.contains("/.staging/")
                && point.line.contains("table=")
        };
        let at = calls.iter().position(placed).expect("the day is put in its place");
        // The call before, that one, and the flush after it.
        for point in &calls[at - 1..=at + 2] {
            clean();
            let fault = point.inject("signal=SIGSTOP");
            let mut stopped = settings(traced("target-csv", &[fault])).start(true);
            stopped.wait_until_stopped();
            to_lake(&lake, "s", DAY).input(whole("second")).go().exits(75);
            // Another day sweeps what dead runs left: this one is not dead.
            to_lake(&lake, "s", "2026-11-19").input(whole("other")).go().success();
            if lake::partition(&lake, "s", DAY, "t").exists() {
                let names = names_in(&lake, ROWS);
                assert!(names == ["first"] || replaces && names == ["old"], "{names:?}");
            } else {
                assert!(!replaces);
            }
            // Nobody is told that the day is finished.
            from_lake(&lake, DAY).go().exits(66);
            stopped.signal(Signal::CONT);
            stopped.wait().success();
            assert_eq!(names_in(&lake, ROWS), ["first"]);
            lake::check_swept(&lake);
            assert_eq!(from_lake(&lake, DAY).go().success().records("t").len(), 3000);
        }
    }
}

const METHODS: [&str; 4] = ["overwrite", "replace-partition", "upsert", "append-only"];

fn loading(target: &Database, method: &str) -> Run {
    let more = json!({
        "load_method": method, "source": "s", "datestamp": DAY, "lock_timeout_seconds": 1,
    });
    to_database(target, &more)
}

/// How many others are connected.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// The table of the loads.
fn table(database: &Database) -> Table<'_> {
    Table { database, schema: "public", name: "t", columns: "id, name" }
}

/// What the table has with so many rows of each name, as it is read.
fn with(names: &[(&str, i64)]) -> String {
    let mut rows: Vec<_> =
        names.iter().flat_map(|(name, count)| (0..*count).map(|id| (id, *name))).collect();
    rows.sort_unstable();
    csv(rows)
}

/// Asserts what must hold after a load that went well, whatever else there was.
#[track_caller]
fn brings(target: &Database, outcome: &Outcome, names: &[(&str, i64)]) {
    let trial = Trial { place: &table(target), old: None, new: with(names), gaps: false };
    trial.after_rerun(outcome);
}

#[test]
fn a_load_stopped_in_the_middle_holds_up_those_alone_that_would_replace_its_rows() {
    let target = database("stopped_load");
    let has = |names: &[(&str, i64)]| {
        assert_eq!(table(&target).seen().as_deref(), Some(&*with(names)));
    };
    let (old, second, first) = (("old", ROWS), ("second", ROWS), ("first", ROWS));
    for method in METHODS {
        target.psql("DROP TABLE IF EXISTS t");
        loading(&target, method).input(whole("old")).go().success();
        let connected = || target.psql(SESSIONS) != "0";
        let stopped = stopped_in_the_middle(loading(&target, method), "first", ROWS, connected);
        let later = loading(&target, method).input(whole("second")).go();
        explains(&later, &[0, 75]);
        if method == "append-only" {
            brings(&target, &later, &[old, second]);
            brings(&target, &go_on(stopped), &[old, second, first]);
            continue;
        }
        // One that had begun is to come before the later one, which does not wait for ever.
        has(&[if later.code == 0 { second } else { old }]);
        assert!(later.code == 0 || method != "upsert", "{method}: {later:?}");
        let earlier = go_on(stopped);
        explains(&earlier, &[0, 75]);
        has(&[if earlier.code == 0 { first } else { second }]);
        assert!(earlier.code == 0 || later.code == 0, "{method}: {earlier:?} {later:?}");
        brings(&target, &loading(&target, method).input(whole("second")).go(), &[second]);
    }
}

#[test]
fn a_first_load_stopped_in_the_middle_is_never_mixed_with_another() {
    let target = database("stopped_first");
    for method in METHODS {
        target.psql("DROP TABLE IF EXISTS t");
        // The rows of an empty table come in as they are sent: enough of them are on their way.
        let at_work = || target.psql(COPYING) != "0";
        let first = stopped_in_the_middle(loading(&target, method), "first", MANY, at_work);
        let second = loading(&target, method).input(whole("second")).go();
        let first = go_on(first);
        for outcome in [&first, &second] {
            explains(outcome, &[0, 75]);
            assert_eq!(is_done(outcome), outcome.code == 0, "{method}: {outcome:?}");
        }
        assert!(first.code == 0 || second.code == 0, "{method}: {first:?} {second:?}");
        let (all, others) = (with(&[("first", MANY)]), with(&[("second", ROWS)]));
        let wanted = match (method, first.code, second.code) {
            (_, 75, _) => vec![others],
            (_, _, 75) => vec![all],
            ("append-only", ..) => vec![with(&[("first", MANY), ("second", ROWS)])],
            // One after the other, in either order.
            ("upsert", ..) => {
                let rest = (ROWS..MANY).map(|id| (id, "first"));
                let merged = others + &csv(rest);
                vec![all, merged]
            }
            _ => vec![all, others],
        };
        let loaded = table(&target).seen().unwrap();
        assert!(wanted.contains(&loaded), "{method}: {} rows", loaded.lines().count());
        table(&target).check_swept();
    }
}

/// How many sessions take rows in.
const COPYING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query ~ '(^|; )COPY '";

/// Makes loads wait at the end of their first INSERT for as long as the test holds a lock.
const GATE: &str = "
    CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NULL; END';
    CREATE TRIGGER gate AFTER INSERT ON t EXECUTE FUNCTION gate()";

/// How many sessions wait at the gate.
const AT_THE_GATE: &str = "SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted";

/// A process that holds the gate shut until its input ends.
fn shut_gate(target: &Database) -> (std::process::Child, ChildStdin) {
    let mut command = target.psql_command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"SELECT pg_advisory_lock(4711);\n").unwrap();
    target.wait_for("SELECT count(*) FROM pg_locks WHERE objid = 4711 AND granted");
    (child, stdin)
}

#[test]
fn a_load_stopped_inside_its_transaction_is_waited_for_only_so_long() {
    let target = database("stopped_transaction");
    for (method, killed) in [
        ("overwrite", false),
        ("replace-partition", false),
        ("upsert", false),
        ("overwrite", true),
        ("replace-partition", true),
        ("upsert", true),
    ] {
        target.psql("DROP TABLE IF EXISTS t");
        loading(&target, method).input(whole("old")).go().success();
        target.psql(GATE);
        let (mut gate, key) = shut_gate(&target);
        let run = loading(&target, method).set("lock_timeout_seconds", 60);
        let mut first = run.input(whole("first")).start(true);
        target.wait_for(AT_THE_GATE);
        first.signal(Signal::STOP);
        first.wait_until_stopped();
        drop(key);
        gate.wait().unwrap();
        // The server has done what it was told; the process that should commit has stopped.
        target.wait_for("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'");
        let place = table(&target);
        let [old, new] = ["old", "first"].map(|name| with(&[(name, ROWS)]));
        let trial = Trial { place: &place, old: Some(old), new, gaps: false };
        let second = loading(&target, method).input(whole("second")).go();
        assert_eq!(trial.after_fault(&second, &[75]), Saw::Old, "{method}");
        assert!(second.stderr.contains("lock_timeout_seconds"), "{}", second.stderr);
        if killed {
            first.kill();
            let first = first.wait();
            target.wait_for(
                "SELECT NOT EXISTS (
                SELECT FROM pg_stat_activity WHERE state LIKE 'idle in trans%')",
            );
            assert_eq!(trial.after_fault(&first, &[KILLED]), Saw::Old, "{method}");
        } else {
            first.signal(Signal::CONT);
            trial.after_rerun(&first.wait());
        }
        let second = loading(&target, method).input(whole("second")).go();
        brings(&target, &second, &[("second", ROWS)]);
    }
}

#[test]
fn a_tap_that_fails_after_its_last_state_leaves_the_load_and_shows_its_code() {
    let (target, scratch) = (database("late_failure"), folder());
    let input = file(scratch.path(), "input", whole("late"));
    let lake = scratch.path().join("lake");
    let into = target.settings_with(&json!({ "default_target_schema": "public" }));
    let into = file(scratch.path(), "target.json", into.to_string());
    let targets = [
        format!(
            "target-csv --set output_path={} --set source=s --set datestamp={DAY}",
            lake.display()
        ),
        format!("target-postgres --config {}", into.display()),
    ];
    for target in targets {
        let run = |options: &str| {
            let script = format!(
                "{options} PATH={}:$PATH; (cat {}; exit 1) | {target} >/dev/null; \
                 code=$? each=${{PIPESTATUS[*]}}; echo $each; exit $code",
                binaries_dir().display(),
                input.display()
            );
            Run::new(Path::new("/bin/bash")).args(["-c", &script]).go()
        };
        // `$?` of an assignment list is taken first, so both are of the pipe.
        assert_eq!(run("").success().text(), "1 0\n");
        assert_eq!(run("set -o pipefail;").exits(1).text(), "1 0\n");
    }
    assert_eq!(names_in(&lake, ROWS), ["late"]);
    assert_eq!(table(&target).seen(), Some(with(&[("late", ROWS)])));
}

/// What processes that abort exit with.
const ABORTED: i32 = 128 + 6;

/// The address space that a run with small rows gets by with.
const ADDRESS_SPACE: u64 = 100 << 20;

fn starved(name: &str, config: &Value) -> Run {
    Run::new(Path::new("/usr/bin/prlimit"))
        .args([format!("--as={ADDRESS_SPACE}").into(), binaries_dir().join(name).into_os_string()])
        .config(config)
}

#[test]
fn out_of_memory_in_the_middle_publishes_nothing() {
    let (target, scratch) = (database("starved"), folder());
    let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    let into = target.settings_with(&json!({
        "default_target_schema": "public", "add_record_metadata": false,
        "load_method": "overwrite",
    }));
    let big = "x".repeat(60 << 20);
    let huge = rows("new", ROWS).row(ROWS, &big).done().0;
    let place = Partition { lake: scratch.path(), source: "s", day: DAY, table: "t" };
    let places: [(&str, _, &dyn Place, _); 2] = [
        ("target-csv", &day, &place, "id,name\n"),
        ("target-postgres", &into, &table(&target), ""),
    ];
    for (name, config, place, header) in places {
        let text = |rows: String| header.to_owned() + &rows;
        let old = text(with(&[("old", ROWS)]));
        let new = text(with(&[("new", ROWS)]) + &csv([(ROWS, big.as_str())]));
        let trial = Trial { place, old: Some(old), new, gaps: false };
        starved(name, config).input(whole("old")).go().success();
        let before = (lake::sums(scratch.path()), target.try_psql("SELECT xmin, ctid, * FROM t"));
        let outcome = starved(name, config).input(huge.clone()).go();
        assert!(outcome.stderr.contains("memory allocation"), "{}", outcome.stderr);
        assert_eq!(trial.after_fault(&outcome, &[ABORTED]), Saw::Old);
        let after = (lake::sums(scratch.path()), target.try_psql("SELECT xmin, ctid, * FROM t"));
        assert_eq!(after, before);
        trial.after_rerun(&ours(name).config(config).input(huge.clone()).go());
    }

    // A tap that dies so takes its target with it.
    let before = lake::sums(scratch.path());
    let source = starved("tap-postgres", &target.settings());
    let into = to_lake(scratch.path(), "postgres", DAY);
    let (tap, into) = pipe(source, into);
    explains(&tap, &[ABORTED]);
    into.exits(76);
    assert_eq!(lake::sums(scratch.path()), before);
}
