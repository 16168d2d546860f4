//! A server that fails in the middle of a load (K11, G01 to G08): crashes, deadlocks, limits of
//! time, a full disk. The old rows are there or the new ones, the exit code says whether to run
//! again, and the message names what was in the way.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::{Value, json};

use crate::support::cluster::{Database, database, database_of, on_small_disk, private};
use crate::support::faults::{each, figure, tries};
use crate::support::invariants::explains;
use crate::support::messages::Lines;
use crate::support::pipes::{DAY, to_database};
use crate::support::run::{Outcome, Run};

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

fn loading(target: &Database, method: &str) -> Run {
    let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &more)
}

fn rows(name: &str, count: i64) -> Vec<u8> {
    (1..=count).fold(Lines::opened(), |lines, id| lines.row(id, name)).done().0
}

/// What is to be seen: counts by name.
const SEEN: &str = "(SELECT name, count(*), count(DISTINCT id) FROM t GROUP BY name) t";

/// How many rows of which name the table has; `None` without a table.
fn held(target: &Database) -> Option<String> {
    let there = target.psql("SELECT to_regclass('public.t') IS NOT NULL") == "t";
    there.then(|| target.psql(&format!("SELECT * FROM {SEEN} ORDER BY 1")))
}

/// The trial of a load of so many rows named `new` behind three named `old`, or into no table.
struct Case<'a> {
    target: &'a Database,
    method: &'static str,
    replaces: bool,
    count: i64,
}

impl Case<'_> {
    fn all(target: &Database, count: i64) -> impl Iterator<Item = Case<'_>> {
        let both =
            move |method| [true, false].map(|replaces| Case { target, method, replaces, count });
        METHODS.into_iter().flat_map(both)
    }

    fn prepare(&self) {
        self.target.psql("DROP TABLE IF EXISTS t");
        if self.replaces {
            loading(self.target, self.method).input(rows("old", 3)).go().success();
        }
    }

    fn load(&self) -> Run {
        loading(self.target, self.method)
    }

    fn input(&self) -> Vec<u8> {
        rows("new", self.count)
    }

    /// Asserts that a fault left all as it was.
    #[track_caller]
    fn left_alone(&self, outcome: &Outcome, codes: &[i32]) {
        explains(outcome, codes);
        assert!(!outcome.text().contains("\"currently_syncing\":null"), "{outcome:?}");
        let old = self.replaces.then(|| "old|3|3".to_owned());
        let now = held(self.target);
        let empty = !self.replaces && now.as_deref() == Some("");
        assert!(now == old || empty, "{} {}: {now:?}", self.method, outcome.stderr);
    }

    /// Asserts that a plain run then does all of it.
    #[track_caller]
    fn rerun(&self) {
        self.load().input(self.input()).go().success();
        let new = format!("new|{0}|{0}", self.count);
        let appends = self.replaces && self.method == "append-only";
        let all = if appends { format!("{new}\nold|3|3") } else { new };
        assert_eq!(held(self.target), Some(all), "{}", self.method);
    }
}

/// Has a statement of a load wait for as long as nobody ends it.
const SLOW: &str = "
    CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
    CREATE TRIGGER slow AFTER INSERT OR UPDATE ON t EXECUTE FUNCTION slow()";

#[test]
fn a_server_that_crashes_amid_a_load_leaves_the_old_rows() {
    let cluster = private("");
    let target = database_of(&cluster, "crashes");
    let restart = || cluster.control(&["restart", "-m", "immediate"]);
    let mut crashes = 0;
    for case in Case::all(&target, 30_000).step_by(tries(3, 1)) {
        for _ in 0..tries(1, 5) {
            case.prepare();
            let mut run = case.load().start_with(Stdio::piped(), true);
            let mut stdin = run.child().stdin.take().unwrap();
            let input = case.input();
            let (half, rest) = input.split_at(input.len() / 2);
            stdin.write_all(half).unwrap();
            target.wait_for("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%'");
            restart();
            // It may have left already.
            let _ = stdin.write_all(rest);
            drop(stdin);
            case.left_alone(&run.wait(), &[75]);
            crashes += 1;
        }
        case.rerun();
    }
    figure("crashes of the server amid COPY", crashes);

    crashes = 0;
    for case in Case::all(&target, 300).filter(|case| case.replaces) {
        case.prepare();
        target.psql(SLOW);
        let run = case.load().input(case.input()).start(true);
        target.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        restart();
        let outcome = run.wait();
        case.left_alone(&outcome, &[75]);
        target.psql("DROP TRIGGER slow ON t");
        case.rerun();
        crashes += 1;
    }
    figure("crashes of the server amid a merge", crashes);
}

/// A session of somebody else.
struct Other(Child, ChildStdin);

impl Other {
    fn begin(target: &Database, sql: &str) -> Self {
        let count = "SELECT count(*) FROM pg_locks WHERE objid = 4713 AND granted";
        let before: usize = target.psql(count).parse().unwrap();
        let mut command = target.psql_command();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        write!(stdin, "BEGIN; {sql};\nSELECT pg_advisory_xact_lock_shared(4713);\n").unwrap();
        target.wait_for(&format!("SELECT (({count}) > {before})::integer"));
        Self(child, stdin)
    }

    fn say(&mut self, sql: &str) {
        writeln!(self.1, "{sql};").unwrap();
    }

    fn end(mut self, sql: &str) {
        writeln!(self.1, "{sql};").unwrap();
        drop(self.1);
        assert!(self.0.wait().unwrap().success());
    }
}

const WAITING_AT_GATE: &str = "SELECT count(*) FROM pg_locks WHERE objid = 4711 AND NOT granted";
const WAITING_FOR_ROW: &str =
    "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted";

const WENT_ON: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE state = 'idle in transaction' AND query LIKE 'UPDATE t SET name = ''x'' WHERE id = 1%'";

#[test]
fn the_victim_of_a_deadlock_tries_again() {
    let target = database("deadlock");
    let case = Case { target: &target, method: "upsert", replaces: true, count: 3 };
    target.psql("CREATE ROLE hasty SUPERUSER LOGIN; ALTER ROLE hasty SET deadlock_timeout = '5ms'");
    for round in 0..tries(2, 20) {
        case.prepare();
        // A load waits at the gate with the first row in its hands.
        target.psql(
            "CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END';
             CREATE TRIGGER gate BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.id = 2)
             EXECUTE FUNCTION gate()",
        );
        let gate = Other::begin(&target, "SELECT pg_advisory_xact_lock(4711)");
        let mut other = Other::begin(
            &target,
            "SET LOCAL deadlock_timeout = '1h'; UPDATE t SET name = 'x' WHERE id = 3",
        );
        let load = case.load().config(&json!({ "user": "hasty" })).input(case.input()).start(true);
        target.wait_for(WAITING_AT_GATE);
        other.say("UPDATE t SET name = 'x' WHERE id = 1");
        target.wait_for(WAITING_FOR_ROW);
        // Each has what the other wants.
        gate.end("COMMIT");
        target.wait_for(WENT_ON);
        other.end("COMMIT");
        let outcome = load.wait().success();
        let retried = outcome.stderr.contains("in favour of another; trying again");
        assert!(retried, "{round}: {}", outcome.stderr);
        assert_eq!(held(&target).as_deref(), Some("new|3|3"));
    }
    target.psql("DROP OWNED BY hasty; DROP ROLE hasty");
}

#[test]
fn conflicts_that_do_not_end_are_given_up_and_named() {
    each(METHODS.len(), &METHODS, |method| {
        let target = database("conflicts");
        let case = Case { target: &target, method, replaces: true, count: 3 };
        for (state, says) in [
            ("40001", "hint: other sessions were in the way: run again"),
            ("40P01", "hint: other sessions were in the way: run again"),
            ("55P03", "hint: another session holds the table"),
        ] {
            case.prepare();
            target.psql(&format!(
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN RAISE EXCEPTION 'in conflict' USING ERRCODE = '{state}'; END$$;
                 CREATE TRIGGER refuse AFTER INSERT OR UPDATE ON t EXECUTE FUNCTION refuse()"
            ));
            let outcome = case.load().input(case.input()).go();
            case.left_alone(&outcome, &[75]);
            assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
            assert!(outcome.stderr.contains(&format!("sqlstate: {state}")), "{}", outcome.stderr);
            let again = outcome.stderr.matches("trying again").count();
            // Rows that went straight into the table are not at hand any more.
            let wanted = if state == "55P03" || *method == "append-only" { 0 } else { 3 };
            assert_eq!(again, wanted, "{state}: {}", outcome.stderr);
            target.psql("DROP TRIGGER refuse ON t");
            case.rerun();
        }
    });
}

/// A role with a setting, that may load.
fn role(target: &Database, setting: &str) -> Value {
    let name = format!("{}_limited", target.name);
    target.psql(&format!("CREATE ROLE {name} LOGIN SUPERUSER; ALTER ROLE {name} SET {setting}"));
    json!({ "user": name })
}

#[test]
fn a_limit_of_time_is_named() {
    let target = database("too_slow");
    let limited = role(&target, "statement_timeout = '500ms'");
    for method in METHODS {
        let case = Case { target: &target, method, replaces: true, count: 3 };
        case.prepare();
        target.psql(SLOW);
        let outcome = case.load().config(&limited).input(case.input()).go();
        case.left_alone(&outcome, &[75]);
        assert!(outcome.stderr.contains("the role's statement_timeout"), "{}", outcome.stderr);
        target.psql("DROP TRIGGER slow ON t");
        case.rerun();
    }
    let tap = crate::support::pipes::from_database(&target, &limited);
    target.psql("CREATE VIEW v AS SELECT n, pg_sleep(0.1)::text FROM generate_series(1, 1000) n");
    let outcome = tap.go().exits(75);
    assert!(outcome.stderr.contains("the role's statement_timeout"), "{}", outcome.stderr);
    assert!(!outcome.text().contains("\"currently_syncing\":null"));
}

#[test]
fn a_tap_that_pauses_outlives_limits_on_idle_sessions() {
    let limits = ["idle_in_transaction_session_timeout", "idle_session_timeout"];
    each(2, &limits, |limit| {
        let target = database("idle");
        let limited = role(&target, &format!("{limit} = '100ms'"));
        for case in Case::all(&target, 300).step_by(tries(3, 1)) {
            case.prepare();
            let mut run = case.load().config(&limited).start_with(Stdio::piped(), true);
            let mut stdin = run.child().stdin.take().unwrap();
            let input = case.input();
            let (half, rest) = input.split_at(input.len() / 2);
            stdin.write_all(half).unwrap();
            // Nothing comes for longer than the server would wait.
            target.wait_for(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'target-postgres'
                 AND datname = current_database() AND backend_type = 'client backend'
                 AND state LIKE 'idle%' AND clock_timestamp() - state_change > '400ms'",
            );
            stdin.write_all(rest).unwrap();
            drop(stdin);
            run.wait().success();
            let new = held(&target).unwrap();
            assert!(new.starts_with("new|300|300"), "{}: {new}", case.method);
        }
    });
}

#[test]
fn a_full_disk_of_the_server_is_named_and_changes_nothing() {
    let cluster = on_small_disk("1m");
    // One at a time: what fills the disk would be the other's fault.
    each(1, &METHODS, |method| {
        let target = database_of(&cluster, "full");
        let place = |at: &str| {
            let name = &target.name;
            target.psql(&format!(
                "ALTER DATABASE {name} SET default_tablespace = {at};
                 ALTER DATABASE {name} SET temp_tablespaces = {at}"
            ));
        };
        for case in Case::all(&target, 30_000).filter(|case| case.method == *method) {
            place("small");
            case.prepare();
            let outcome = case.load().input(case.input()).go();
            case.left_alone(&outcome, &[75]);
            let says = |text: &str| outcome.stderr.contains(text);
            assert!(says("sqlstate: 53100") && says("No space left"), "{}", outcome.stderr);
            assert!(says("hint: the server's disk is full"), "{}", outcome.stderr);
            place("pg_default");
            target.psql(
                "ALTER TABLE ALL IN TABLESPACE small SET TABLESPACE pg_default;
                 ALTER INDEX ALL IN TABLESPACE small SET TABLESPACE pg_default",
            );
            case.rerun();
        }
    });
}

#[test]
fn a_server_that_is_read_only_is_named() {
    let leader = private("");
    let target = database_of(&leader, "leader");
    let standby = leader.standby("max_standby_streaming_delay = 0");
    let follower = Database::of(&standby, &target.name);
    let limited = role(&target, "default_transaction_read_only = on");
    for case in Case::all(&target, 9) {
        case.prepare();
        let now = target.psql("SELECT pg_current_wal_lsn()");
        follower.wait_for(&replayed(&now));
        let into_follower = loading(&follower, case.method);
        for run in [into_follower, case.load().config(&limited)] {
            let outcome = run.input(case.input()).go();
            case.left_alone(&outcome, &[75]);
            assert_eq!(held(&follower), held(&target));
            let says = |text: &str| outcome.stderr.contains(text);
            assert!(
                says("sqlstate: 25006") && says("connect to the primary"),
                "{}",
                outcome.stderr
            );
        }
    }
    reads_of_a_standby_end_with_75_in_a_conflict(&target, &follower);
}

/// Asks a standby whether it has come that far.
fn replayed(position: &str) -> String {
    format!("SELECT (pg_last_wal_replay_lsn() >= '{position}')::integer")
}

fn reads_of_a_standby_end_with_75_in_a_conflict(leader: &Database, follower: &Database) {
    use crate::support::pipes::from_database;
    leader.psql(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY, v text);
         INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n",
    );
    follower.wait_for("SELECT count(*) FROM t WHERE id = 200000");
    let tap = || from_database(follower, &json!({}));
    let whole = tap().go().success();
    assert_eq!(whole.text().matches("\"RECORD\"").count(), 200_000);
    let rounds = tries(1, 10);
    for round in 0..rounds {
        // It waits for its reader; meanwhile the rows it has yet to read are removed for good.
        let mut run = tap().start(false);
        let mut out = run.child().stdout.take().unwrap();
        std::io::Read::read_exact(&mut out, &mut [0; 10_000]).unwrap();
        leader.psql("UPDATE t SET v = v || 'y'; VACUUM t");
        let conflicts = "SELECT confl_snapshot FROM pg_stat_database_conflicts \
            WHERE datname = current_database()";
        let vacuumed = leader.psql("SELECT pg_current_wal_lsn()");
        let rest = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let outcome = run.wait();
        rest.join().unwrap().unwrap();
        explains(&outcome, &[75]);
        assert!(outcome.stderr.contains("conflict with recovery"), "{round}: {}", outcome.stderr);
        follower.wait_for(&replayed(&vacuumed));
        assert_ne!(follower.psql(conflicts), "0");
        tap().go().success();
    }
    figure("reads of a standby that met a conflict", rounds);
}
