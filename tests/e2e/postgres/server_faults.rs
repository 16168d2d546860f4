//! A server that fails in the middle of a load (K11, G01 to G08): crashes, deadlocks, limits of
//! time, a full disk. The old rows are there or the new ones, the exit code says whether to run
//! again, and the message names what was in the way.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};

use serde_json::{Value, json};

use support::cluster::{Database, database, database_of, on_small_disk, owner, private, server};
use support::faults::{each, figure, tries};
use support::invariants::{Place, Reading, Saw, Table, Trial};
use support::messages::{Lines, csv};
use support::pipes::{DAY, from_database, to_database};
use support::run::{Outcome, Run, Running};

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

fn loading(target: &Database, method: &str) -> Run {
    let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
    to_database(target, &more)
}

fn rows(name: &str, count: i64) -> Vec<u8> {
    (1..=count).fold(Lines::opened(), |lines, id| lines.row(id, name)).done().0
}

/// A load of so many rows named `new` behind three named `old`, or into no table.
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

    /// Begins a load that has half of its input; returns where the rest goes, and that.
    fn half_way(&self, more: &Value) -> (Running, ChildStdin, Vec<u8>) {
        let mut run = self.load().config(more).start_with(Stdio::piped(), true);
        let mut stdin = run.child().stdin.take().unwrap();
        let mut half = self.input();
        let rest = half.split_off(half.len() / 2);
        stdin.write_all(&half).unwrap();
        (run, stdin, rest)
    }

    fn place(&self) -> Table<'_> {
        Table { database: self.target, schema: "public", name: "t", columns: "id, name" }
    }

    /// Has what must hold checked.
    fn tried(&self, check: impl FnOnce(&Trial<'_>)) {
        let place = self.place();
        let new = (1..=self.count).flat_map(|id| {
            let old = self.replaces && self.method == "append-only" && id <= 3;
            [Some((id, "new")), old.then_some((id, "old"))].into_iter().flatten()
        });
        // A table that was made is empty until all its rows are there.
        let old = if self.replaces { csv((1..=3).map(|id| (id, "old"))) } else { String::new() };
        check(&Trial { place: &place, old: Some(old), new: csv(new), gaps: !self.replaces });
    }

    /// Asserts that a fault left all as it was.
    #[track_caller]
    fn left_alone(&self, outcome: &Outcome, codes: &[i32]) {
        self.tried(|trial| assert_ne!(trial.after_fault(outcome, codes), Saw::New, "{outcome:?}"));
    }

    /// Asserts that a plain run then does all of it.
    #[track_caller]
    fn rerun(&self) {
        let outcome = self.load().input(self.input()).go();
        self.tried(|trial| trial.after_rerun(&outcome));
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
            let (run, mut stdin, rest) = case.half_way(&json!({}));
            target.wait_for("SELECT count(*) FROM pg_stat_activity WHERE query ~ '(^|; )COPY'");
            restart();
            // It may have left already.
            let _ = stdin.write_all(&rest);
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
        let outcome = load.wait();
        let retried = outcome.stderr.contains("in favour of another one; trying again");
        assert!(retried, "{round}: {}", outcome.stderr);
        case.tried(|trial| trial.after_rerun(&outcome));
    }
    target.psql("DROP OWNED BY hasty; DROP ROLE hasty");
}

#[test]
fn conflicts_that_do_not_end_are_given_up_and_named() {
    each(METHODS.len(), &METHODS, |method| {
        let target = database("conflicts");
        let case = Case { target: &target, method, replaces: true, count: 3 };
        for (state, says) in [
            ("40001", "hint: other sessions were in conflict with this run: run again"),
            ("40P01", "hint: other sessions were in conflict with this run: run again"),
            ("55P03", "hint: another session holds a lock on the table"),
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
            // A table with such a trigger has its rows staged, so that they are at hand again.
            let wanted = if state == "55P03" { 0 } else { 3 };
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
    let view = "CREATE OR REPLACE VIEW v AS SELECT n, pg_sleep(";
    let tap = |pause: &str| {
        target.psql(&format!("{view}{pause})::text FROM generate_series(1, 1000) n"));
        from_database(&target, &limited).go()
    };
    let whole = Reading::of("public-v", [&tap("0")]);
    let outcome = tap("0.1");
    whole.after_fault(&outcome, &[75]);
    assert!(outcome.stderr.contains("the role's statement_timeout"), "{}", outcome.stderr);
}

#[test]
fn a_session_without_memory_is_named() {
    let target = database("no_memory");
    let merges = |case: &Case<'_>| case.replaces && case.method != "append-only";
    for case in Case::all(&target, 30_000).filter(merges) {
        case.prepare();
        let (run, mut stdin, rest) = case.half_way(&json!({}));
        let copying = "FROM pg_stat_activity WHERE query ~ '(^|; )COPY' \
            AND datname = current_database()";
        target.wait_for(&format!("SELECT count(*) {copying}"));
        // From now on its process gets no more than it has.
        let pid = target.psql(&format!("SELECT pid {copying}"));
        let mut prlimit = server("prlimit".as_ref(), owner());
        assert!(prlimit.args(["--pid", &pid, "--as=1"]).status().unwrap().success());
        stdin.write_all(&rest).unwrap();
        drop(stdin);
        let outcome = run.wait();
        case.left_alone(&outcome, &[75]);
        let says = |text: &str| outcome.stderr.contains(text);
        assert!(says("sqlstate: 53200") && says("out of memory"), "{}", outcome.stderr);
        case.rerun();
    }
}

#[test]
fn a_tap_that_pauses_outlives_limits_on_idle_sessions() {
    let limits = ["idle_in_transaction_session_timeout", "idle_session_timeout"];
    each(2, &limits, |limit| {
        let target = database("idle");
        let limited = role(&target, &format!("{limit} = '100ms'"));
        for case in Case::all(&target, 300).step_by(tries(3, 1)) {
            case.prepare();
            let (run, mut stdin, rest) = case.half_way(&limited);
            // Nothing comes for longer than the server would wait.
            target.wait_for(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'target-postgres'
                 AND datname = current_database() AND backend_type = 'client backend'
                 AND state LIKE 'idle%' AND clock_timestamp() - state_change > '400ms'",
            );
            stdin.write_all(&rest).unwrap();
            drop(stdin);
            let outcome = run.wait();
            case.tried(|trial| trial.after_rerun(&outcome));
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
            let replica = Case { target: &follower, ..case };
            assert_eq!(replica.place().seen(), case.place().seen());
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
    leader.psql(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY, v text);
         INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n",
    );
    follower.wait_for("SELECT count(*) FROM t WHERE id = 200000");
    let tap = || from_database(follower, &json!({}));
    let rounds = tries(1, 10);
    for round in 0..rounds {
        let whole = tap().go();
        assert_eq!(whole.text().matches("\"RECORD\"").count(), 200_000);
        // It waits for its reader; meanwhile the rows it has yet to read are removed for good.
        let outcome = tap().go_amid(|| {
            leader.psql("UPDATE t SET v = v || 'y'; VACUUM t");
        });
        let conflicts = "SELECT confl_snapshot FROM pg_stat_database_conflicts \
            WHERE datname = current_database()";
        let vacuumed = leader.psql("SELECT pg_current_wal_lsn()");
        Reading::of("public-t", [&whole]).after_fault(&outcome, &[75]);
        assert!(outcome.stderr.contains("conflict with recovery"), "{round}: {}", outcome.stderr);
        follower.wait_for(&replayed(&vacuumed));
        assert_ne!(follower.psql(conflicts), "0");
    }
    tap().go().success();
    figure("reads of a standby that met a conflict", rounds);
}
