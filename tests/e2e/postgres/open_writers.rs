//! Rows that commit behind others with higher keys: no bookmark moves past them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use support::cluster::{Database, database, database_of, private};
use support::pipes::from_database;
use support::run::{Outcome, Run};

const CODE: &str = "W-BOOKMARK-HELD";

/// A session that stays open.
struct Session {
    psql: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn of(database: &Database) -> Self {
        let mut command = database.psql_command();
        let mut psql = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = psql.stdin.take().unwrap();
        let output = BufReader::new(psql.stdout.take().unwrap());
        Self { psql, input, output }
    }

    /// Runs SQL to its end.
    fn run(&mut self, sql: &str) {
        writeln!(self.input, "{sql};\n\\echo done").unwrap();
        let mut line = String::new();
        while line != "done\n" {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "psql has ended: {sql}");
        }
    }

    fn end(mut self) {
        drop(self.input);
        self.psql.wait().unwrap();
    }
}

/// A catalog of the tables, each read by a column.
fn catalog(source: &Database, keys: &[(&str, &str)]) -> Value {
    let discovered = from_database(source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    let streams = catalog["streams"].as_array_mut().unwrap();
    let key = |stream: &Value| {
        keys.iter().find(|(table, _)| stream["table_name"] == *table).map(|(_, key)| *key)
    };
    streams.retain(|stream| key(stream).is_some());
    for stream in streams {
        stream["replication_key"] = key(stream).unwrap().into();
        stream["replication_method"] = "INCREMENTAL".into();
    }
    catalog
}

/// A tap that goes on from its state.
pub struct Reader {
    /// Makes a run without its state.
    pub tap: Box<dyn Fn() -> Run>,
    /// What the last run came to.
    pub state: Value,
}

impl Reader {
    /// Reads tables by their keys.
    pub fn of(source: &Database, keys: &[(&str, &str)], settings: &Value) -> Self {
        let (catalog, source, settings) = (catalog(source, keys), source.clone(), settings.clone());
        let tap = move || from_database(&source, &settings).json("--catalog", &catalog);
        Self { tap: Box::new(tap), state: json!({}) }
    }

    /// Reads on, and keeps the state.
    pub fn run(&mut self) -> Outcome {
        let outcome = (self.tap)().json("--state", &self.state).go().success();
        let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
        self.state = state.unwrap()["value"].take();
        outcome
    }

    /// Returns the bookmark of a table.
    pub fn mark(&self, table: &str) -> Value {
        self.state["bookmarks"][format!("public-{table}")]["replication_key_value"].clone()
    }
}

/// Returns the ids of the rows of a table.
pub fn ids(outcome: &Outcome, table: &str) -> BTreeSet<i64> {
    let rows = outcome.records(&format!("public-{table}"));
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// Has row 2 commit behind row 3, and reads between and after: by its own table, and by the table
/// (or view) `read`.
fn commits_behind(source: &Database, (read, key): (&str, &str), writes: [&str; 3]) {
    let name = format!("{read}, {key}, {writes:?}");
    let [late, end, early] = writes;
    let mut reader = Reader::of(source, &[(read, key)], &json!({ "writers_wait_seconds": 0 }));
    assert_eq!(ids(&reader.run(), read), [1].into(), "{name}");
    let before = reader.mark(read);
    let mut session = Session::of(source);
    session.run(late);
    source.psql(early);
    let amid = reader.run();
    assert!(ids(&amid, read).contains(&3), "{name}: {}", amid.stderr);
    assert!(amid.stderr.contains(CODE), "{name}: {}", amid.stderr);
    assert_eq!(reader.mark(read), before, "{name}");
    session.run(end);
    // A key that was rounded up to a second is of the past then.
    source.psql("SELECT pg_sleep(0.5)");
    let after = reader.run();
    assert!(ids(&after, read).is_superset(&[2, 3].into()), "{name}: {:?}", ids(&after, read));
    assert!(!after.stderr.contains(CODE), "{name}: {}", after.stderr);
    // Nobody writes any more: the bookmark is the last key, which alone is read again.
    let last = reader.run();
    let keys = source.psql(&format!("SELECT * FROM {read}"));
    assert!(ids(&last, read).len() < 3, "{name}: {keys}\n{}", last.stderr);
    session.end();
}

#[test]
fn a_row_that_commits_late_is_read_whatever_its_key() {
    let cluster = private("max_prepared_transactions = 10");
    let source = database_of(&cluster, "late_rows");
    let begin = "BEGIN; INSERT INTO t VALUES (2)";
    let plain = [begin, "COMMIT", "INSERT INTO t VALUES (3)"];
    let kinds = [
        "bigserial PRIMARY KEY",
        "serial",
        "numeric DEFAULT nextval('numbers')",
        "float8 UNIQUE DEFAULT nextval('numbers')",
        "text DEFAULT 'k' || nextval('numbers')",
        "uuid UNIQUE DEFAULT ('00000000-0000-0000-0000-' || nextval('numbers'))::uuid",
        "timestamptz UNIQUE DEFAULT now()",
        "timestamptz(0) DEFAULT now()",
        "timestamp DEFAULT now()",
        "timestamp DEFAULT (now() AT TIME ZONE 'Asia/Tokyo')",
        "timestamp UNIQUE DEFAULT (now() AT TIME ZONE 'America/Los_Angeles')",
    ];
    source.psql("CREATE SEQUENCE numbers START 100000000000");
    for kind in kinds {
        source.psql(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, k {kind});
             INSERT INTO t VALUES (1); SELECT pg_sleep(1.1)"
        ));
        commits_behind(&source, ("t", "k"), plain);
    }
    for (late, end) in [
        ("BEGIN; SAVEPOINT a; INSERT INTO t VALUES (2); RELEASE a", "COMMIT"),
        ("BEGIN; SAVEPOINT a; INSERT INTO t VALUES (2); SAVEPOINT b; ROLLBACK TO b", "COMMIT"),
        ("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'p'", "COMMIT PREPARED 'p'"),
    ] {
        for kind in ["bigserial", "timestamptz DEFAULT now()"] {
            source.psql(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, k {kind});
                 INSERT INTO t VALUES (1)"
            ));
            commits_behind(&source, ("t", "k"), [late, end, "INSERT INTO t VALUES (3)"]);
        }
    }
}

#[test]
fn a_transaction_that_has_only_taken_a_number_so_far_counts() {
    let source = database("numbers_taken");
    for kind in ["bigserial", "bigint GENERATED ALWAYS AS IDENTITY", "int DEFAULT nextval('n')"] {
        source.psql(&format!(
            "DROP TABLE IF EXISTS t CASCADE; DROP SEQUENCE IF EXISTS n; CREATE SEQUENCE n;
             CREATE TABLE t (id int, k {kind}); INSERT INTO t VALUES (1);
             CREATE VIEW v AS SELECT * FROM t"
        ));
        let sequence = source.psql("SELECT coalesce(pg_get_serial_sequence('t', 'k'), 'n')");
        for read in ["t", "v"] {
            source.psql("DELETE FROM t WHERE id > 1");
            let late = format!("BEGIN; SELECT nextval('{sequence}')");
            let end = format!(
                "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (2, currval('{sequence}')); COMMIT"
            );
            commits_behind(&source, (read, "k"), [&late, &end, "INSERT INTO t VALUES (3)"]);
        }
    }
}

#[test]
fn numbers_that_sessions_keep_for_later_are_told() {
    let source = database("numbers_kept");
    source.psql(
        "CREATE SEQUENCE s CACHE 50;
         CREATE TABLE kept (id int, k bigint DEFAULT nextval('s'), at timestamptz);
         CREATE TABLE fresh (id int, k bigserial);
         CREATE VIEW over_kept AS SELECT id, k AS n FROM kept;
         INSERT INTO kept VALUES (1, DEFAULT, '2026-01-01Z'); INSERT INTO fresh VALUES (1)",
    );
    for (table, key, more, told) in [
        ("kept", "k", json!({}), true),
        ("over_kept", "n", json!({}), true),
        ("kept", "k", json!({ "lookback_window": 1000 }), false),
        ("kept", "at", json!({}), false),
        ("fresh", "k", json!({}), false),
    ] {
        let run = Reader::of(&source, &[(table, key)], &more).run();
        let warned = run.stderr.contains("W-SEQUENCE-CACHED");
        assert_eq!(warned, told, "{table} {key} {more}: {}", run.stderr);
    }
}

#[test]
fn writers_of_parts_of_a_table_and_of_tables_behind_a_view_count() {
    let source = database("late_parts");
    source.psql(
        "CREATE TABLE parted (id int, k bigserial) PARTITION BY LIST (id);
         CREATE TABLE leaf_1 PARTITION OF parted FOR VALUES IN (1, 3);
         CREATE TABLE middle PARTITION OF parted FOR VALUES IN (2) PARTITION BY LIST (id);
         CREATE TABLE leaf_2 PARTITION OF middle DEFAULT;
         CREATE TABLE parent (id int, k bigserial);
         CREATE TABLE child (CHECK (id = 2)) INHERITS (parent);
         CREATE TABLE base (id int, k bigserial);
         CREATE VIEW inner_view AS SELECT * FROM base WHERE id > 0;
         CREATE VIEW outer_view AS SELECT id, k FROM inner_view UNION ALL SELECT 9, 9 WHERE false;
         INSERT INTO parted VALUES (1); INSERT INTO parent VALUES (1); INSERT INTO base VALUES (1)",
    );
    for (read, late, early) in [
        ("parted", "leaf_2 (id, k) VALUES (2, nextval('parted_k_seq'))", "parted VALUES (3)"),
        ("parent", "child VALUES (2)", "parent VALUES (3)"),
        ("outer_view", "base VALUES (2)", "base VALUES (3)"),
    ] {
        let (late, early) = (format!("BEGIN; INSERT INTO {late}"), format!("INSERT INTO {early}"));
        let mut reader = Reader::of(&source, &[(read, "k")], &json!({ "writers_wait_seconds": 0 }));
        // A child that is a stream is read by itself; here it is not.
        assert_eq!(ids(&reader.run(), read), [1].into(), "{read}");
        drop(reader);
        commits_behind(&source, (read, "k"), [&late, "COMMIT", &early]);
    }
}

#[test]
fn a_writer_is_waited_for_also_where_the_role_sees_little() {
    let source = database("waited_for");
    source.psql(
        "CREATE ROLE blinkered LOGIN; CREATE TABLE t (id int, k bigserial PRIMARY KEY);
         CREATE TABLE d (id int, k timestamptz DEFAULT now());
         GRANT SELECT ON t, d TO blinkered; INSERT INTO t VALUES (1);
         INSERT INTO d VALUES (1, '2026-01-01Z')",
    );
    let keys = [("t", "k"), ("d", "k")];
    let mut writer = Session::of(&source);
    let settings = json!({ "user": "blinkered", "writers_wait_seconds": 0 });
    let mut reader = Reader::of(&source, &keys, &settings);
    reader.run();
    writer.run("BEGIN; INSERT INTO t VALUES (2); INSERT INTO d VALUES (2)");
    source.psql("INSERT INTO t VALUES (3); INSERT INTO d VALUES (3)");
    let amid = reader.run();
    assert_eq!(amid.stderr.matches(CODE).count(), 2 + 1, "{}", amid.stderr);
    assert_eq!(reader.mark("t"), 1);
    assert_eq!(reader.mark("d"), "2026-01-01T00:00:00+00:00");
    // It denies the warning before a row is read.
    let denied = (reader.tap)().json("--state", &reader.state).args(["--deny-warnings", CODE]);
    assert!(denied.go().exits(65).records("public-t").is_empty());
    let patient = json!({ "user": "blinkered", "writers_wait_seconds": 50 });
    let mut patient = Reader { state: reader.state, ..Reader::of(&source, &keys, &patient) };
    let tap = (patient.tap)().json("--state", &patient.state).start(true);
    source.wait_for(
        "SELECT count(*) FROM pg_stat_activity
          WHERE usename = 'blinkered' AND state = 'idle' AND query LIKE '%virtualtransaction%'",
    );
    writer.run("COMMIT");
    let outcome = tap.wait().success();
    assert!(!outcome.stderr.contains(CODE), "{}", outcome.stderr);
    for table in ["t", "d"] {
        assert_eq!(ids(&outcome, table), [1, 2, 3].into(), "{table}");
    }
    patient.run();
    assert_eq!(patient.mark("t"), 3);
    writer.end();
}

#[test]
fn transactions_that_do_not_write_the_table_change_nothing() {
    let source = database("other_writers");
    source.psql(
        "CREATE TABLE other (id int); CREATE TABLE t (id int, k bigserial PRIMARY KEY);
         CREATE TABLE d (id int, k timestamptz);
         INSERT INTO t VALUES (1), (2); INSERT INTO d VALUES (1, '2026-01-01Z')",
    );
    let keys = [("t", "k"), ("d", "k")];
    for open in [
        "BEGIN; INSERT INTO other VALUES (1)",
        "BEGIN; SELECT * FROM t, d",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t FOR SHARE",
        "BEGIN; LOCK TABLE d IN SHARE MODE",
        "BEGIN; LOCK TABLE t, d IN SHARE UPDATE EXCLUSIVE MODE",
    ] {
        let mut other = Session::of(&source);
        other.run(open);
        let mut reader = Reader::of(&source, &keys, &json!({}));
        let outcome = reader.run();
        assert!(!outcome.stderr.contains(CODE), "{open}: {}", outcome.stderr);
        assert_eq!(reader.mark("t"), 2, "{open}");
        assert_eq!(reader.mark("d"), "2026-01-01T00:00:00+00:00", "{open}");
        other.end();
    }
}

#[test]
fn many_writers_at_once_lose_no_row() {
    let source = database("busy_writers");
    source.psql(
        "CREATE TABLE by_id (id bigserial PRIMARY KEY, k int);
         CREATE TABLE no_index (id bigserial, k int);
         CREATE TABLE moments (id bigserial, k timestamptz DEFAULT now());
         CREATE TABLE plain (id bigserial, k timestamp DEFAULT (now() AT TIME ZONE 'Asia/Tokyo'));
         CREATE TABLE words (id bigserial,
                             k text DEFAULT to_char(nextval('by_id_id_seq'), '0000009'));
         CREATE INDEX ON words (k); CREATE INDEX ON moments (k)",
    );
    let tables = ["by_id", "no_index", "moments", "plain", "words"];
    let keys =
        [("by_id", "id"), ("no_index", "id"), ("moments", "k"), ("plain", "k"), ("words", "k")];
    let inserts: String = tables
        .map(|table| {
            format!("PERFORM pg_sleep(random() * 0.01); INSERT INTO {table} DEFAULT VALUES;")
        })
        .concat();
    let load = format!(
        "DO $$ BEGIN FOR n IN 1..100 LOOP
           {inserts} PERFORM pg_sleep(random() * 0.03); COMMIT;
         END LOOP; END $$"
    );
    let mut seen = tables.map(|_| BTreeSet::new());
    let mut reader = Reader::of(&source, &keys, &json!({ "user": "postgres" }));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6).map(|_| scope.spawn(|| source.psql(&load))).collect();
        let mut last = false;
        while !last {
            last = writers.iter().all(std::thread::ScopedJoinHandle::is_finished);
            let outcome = reader.run();
            assert!(!outcome.stderr.contains(CODE), "{}", outcome.stderr);
            for (table, seen) in tables.iter().zip(&mut seen) {
                seen.extend(ids(&outcome, table));
            }
        }
    });
    for (table, seen) in tables.iter().zip(seen) {
        assert_eq!(source.psql(&format!("SELECT count(*) FROM {table}")), "600");
        assert_eq!(seen.len(), 600, "{table} has lost rows");
    }
    // The bookmarks have come along: a run that follows reads the last rows alone.
    let outcome = reader.run();
    for table in tables {
        assert!(ids(&outcome, table).len() < 600, "{table}: {:?}", reader.state);
    }
}

#[test]
fn a_standby_waits_for_all_that_is_open_at_its_primary() {
    let primary = private("max_wal_senders = 5\nwal_level = replica");
    let source = database_of(&primary, "followed");
    source.psql("CREATE TABLE t (id int, k bigserial); INSERT INTO t VALUES (1)");
    let standby = primary.standby("hot_standby = on");
    let copy = Database::of(&standby, &source.name);
    copy.wait_for("SELECT count(*) FROM t");
    let mut reader = Reader::of(&copy, &[("t", "k")], &json!({ "writers_wait_seconds": 0 }));
    reader.run();
    let mut writer = Session::of(&source);
    writer.run("BEGIN; INSERT INTO t VALUES (2)");
    source.psql("INSERT INTO t VALUES (3)");
    copy.wait_for("SELECT count(*) > 1 FROM t");
    let amid = reader.run();
    assert!(amid.stderr.contains(CODE), "{}", amid.stderr);
    assert_eq!(reader.mark("t"), 1);
    writer.run("COMMIT");
    copy.wait_for("SELECT count(*) > 2 FROM t");
    let after = reader.run();
    assert_eq!(ids(&after, "t"), [1, 2, 3].into());
    assert!(!after.stderr.contains(CODE), "{}", after.stderr);
    assert_eq!(reader.mark("t"), 3);
    writer.end();
}

#[test]
fn rows_whose_writers_no_lock_shows_are_told() {
    let source = database("unseen_writers");
    source.psql(
        "CREATE EXTENSION file_fdw;
         CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE afar (id int, k int) SERVER files
                OPTIONS (program 'echo 1,1', format 'csv');
         CREATE TABLE base (id int, k int);
         INSERT INTO base VALUES (1, 1);
         CREATE MATERIALIZED VIEW made AS SELECT * FROM base;
         CREATE VIEW over_made AS SELECT id, k FROM made;
         CREATE TABLE parted (id int, k int) PARTITION BY LIST (id);
         CREATE FOREIGN TABLE leaf PARTITION OF parted FOR VALUES IN (1) SERVER files
                OPTIONS (program 'echo 1,1', format 'csv');
         CREATE TABLE copied (id int, k int);
         INSERT INTO copied VALUES (1, 1);
         CREATE SUBSCRIPTION far CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false);
         INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)
         SELECT oid, 'copied'::regclass, 'r' FROM pg_subscription WHERE subname = 'far'",
    );
    let names = ["afar", "made", "over_made", "parted", "copied", "base"];
    for name in names {
        for (settings, told) in [
            (json!({}), name != "base"),
            (json!({ "lookback_window": 1 }), false),
            (
                json!({ "stream_options": { format!("public-{name}"): { "lookback_window": 1 } } }),
                false,
            ),
        ] {
            let mut reader = Reader::of(&source, &[(name, "k")], &settings);
            for _ in 0..2 {
                let run = reader.run();
                assert_eq!(ids(&run, name), [1].into(), "{name}");
                let warned = run.stderr.contains("W-WRITERS-UNSEEN");
                assert_eq!(warned, told, "{name} {settings}: {}", run.stderr);
            }
        }
    }
    source.psql("ALTER SUBSCRIPTION far SET (slot_name = NONE); DROP SUBSCRIPTION far");
}
