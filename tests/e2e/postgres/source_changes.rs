//! A source that is altered while it is read, or between discovery and reading (S07).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::lake;
use support::pipes::{DAY, extract, from_database, to_lake};
use support::run::{Outcome, Run, file, ours};

/// Rows that no pipe and no buffer holds.
const ROWS: usize = 60_000;

/// A tap that blocks because nobody reads on.
struct Blocked {
    tap: support::run::Running,
    rest: BufReader<std::process::ChildStdout>,
    messages: Vec<Value>,
}

impl Blocked {
    /// Runs a tap until it has written this many messages.
    fn after(tap: Run, messages: usize) -> Self {
        let mut tap = tap.start(false);
        let rest = BufReader::new(tap.child().stdout.take().unwrap());
        let mut blocked = Self { tap, rest, messages: Vec::new() };
        blocked.read(messages);
        blocked
    }

    fn read(&mut self, most: usize) {
        let lines = (&mut self.rest).lines().take(most);
        self.messages.extend(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()));
    }

    /// Reads all the rest.
    fn end(mut self) -> (Vec<Value>, Outcome) {
        self.read(usize::MAX);
        (self.messages, self.tap.wait())
    }
}

/// Returns the records of a stream after checking that they have the columns of its SCHEMA.
fn records<'a>(messages: &'a [Value], stream: &str) -> Vec<&'a Value> {
    let of = |kind: &'a str| {
        messages.iter().filter(move |m| m["type"] == *kind && m["stream"] == *stream)
    };
    let schema = of("SCHEMA").next().expect("a SCHEMA");
    assert_eq!(of("SCHEMA").count(), 1);
    let columns: Vec<_> = schema["schema"]["properties"].as_object().unwrap().keys().collect();
    let records: Vec<_> = of("RECORD").map(|m| &m["record"]).collect();
    for record in &records {
        assert!(record.as_object().unwrap().keys().eq(columns.iter().copied()), "{record}");
    }
    records
}

fn ended_well(messages: &[Value]) -> bool {
    messages.iter().any(|m| m["type"] == "STATE" && m["value"]["currently_syncing"].is_null())
}

/// Makes table `a`, which takes long to read, and `b`, which comes after it.
fn tables(purpose: &str) -> Database {
    let source = database(purpose);
    source.psql(&format!(
        "CREATE TABLE a (id integer PRIMARY KEY, v text, n integer);
         INSERT INTO a SELECT n, repeat('x', 300), n FROM generate_series(1, {ROWS}) n;
         CREATE TABLE b (id integer PRIMARY KEY, n integer);
         INSERT INTO b SELECT n, n FROM generate_series(1, 10) n"
    ));
    source
}

#[test]
fn a_table_is_not_altered_while_it_is_read() {
    let source = tables("altered_while_read");
    let reading = Blocked::after(from_database(&source, &json!({})), 10);
    let alterations =
        ["ADD fresh text DEFAULT 'f'", "ALTER n TYPE bigint", "DROP n", "RENAME v TO w"];
    for alteration in alterations {
        let refused =
            source.try_psql(&format!("SET lock_timeout = '100ms'; ALTER TABLE a {alteration}"));
        assert!(refused.unwrap_err().contains("lock timeout"), "{alteration}");
    }
    // Rows that come meanwhile are of the next run.
    source.psql("INSERT INTO a VALUES (0, 'late', 0); DELETE FROM a WHERE id = 1");
    let (messages, outcome) = reading.end();
    outcome.success();
    assert!(ended_well(&messages));
    let rows = records(&messages, "public-a");
    assert_eq!(rows.len(), ROWS);
    assert!(rows.iter().all(|row| row["id"] == row["n"] && row["id"] != 0));
    for alteration in alterations {
        source.psql(&format!("SET lock_timeout = '30s'; ALTER TABLE a {alteration}"));
    }
}

#[test]
fn a_table_altered_before_its_turn_is_read_whole_or_not_at_all() {
    let swap = "CREATE TABLE c (LIKE b INCLUDING ALL); INSERT INTO c SELECT * FROM b;
                ALTER TABLE b RENAME TO old; ALTER TABLE c RENAME TO b";
    let cases = [
        ("ALTER TABLE b ADD fresh text DEFAULT 'f'", 0),
        ("CREATE INDEX ON b (n); ANALYZE b; UPDATE b SET n = 0", 0),
        // Of a table that was written anew an older snapshot sees no row.
        ("ALTER TABLE b ALTER n TYPE bigint", 75),
        ("TRUNCATE b; INSERT INTO b VALUES (1, 1)", 75),
        (swap, 75),
        ("ALTER TABLE b DROP n", 69),
        ("DROP TABLE b", 69),
    ];
    for (change, code) in cases {
        let source = tables("altered_before");
        let reading = Blocked::after(from_database(&source, &json!({})), 10);
        source.psql(change);
        let (messages, outcome) = reading.end();
        let outcome = outcome.exits(code);
        assert_eq!(ended_well(&messages), code == 0, "{change}");
        if code == 0 {
            let rows = records(&messages, "public-b");
            assert!(rows.len() == 10 && rows.iter().all(|row| row["id"] == row["n"]), "{rows:?}");
        } else {
            assert!(outcome.stderr.contains("public.b"), "{change}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_part_that_is_taken_away_before_its_turn_ends_the_run() {
    let parted = "DROP TABLE b; CREATE TABLE b (id int, n int) PARTITION BY RANGE (id);
        CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (1) TO (6);
        CREATE TABLE b2 PARTITION OF b FOR VALUES FROM (6) TO (99);
        CREATE TABLE bin (id int, n int) PARTITION BY RANGE (id);";
    let inherited = "DROP TABLE b; CREATE TABLE b (id int, n int);
        CREATE TABLE b1 () INHERITS (b); CREATE TABLE b2 () INHERITS (b);";
    for (family, change, code) in [
        (parted, "SELECT 1", 0),
        (parted, "ALTER TABLE b DETACH PARTITION b2", 75),
        (parted, "DROP TABLE b2", 75),
        (
            parted,
            "ALTER TABLE b DETACH PARTITION b2;
             ALTER TABLE bin ATTACH PARTITION b2 FOR VALUES FROM (6) TO (99)",
            75,
        ),
        (parted, "CREATE TABLE b3 PARTITION OF b FOR VALUES FROM (99) TO (999)", 0),
        (inherited, "SELECT 1", 0),
        (inherited, "ALTER TABLE b2 NO INHERIT b", 75),
        (inherited, "DROP TABLE b2", 75),
    ] {
        let source = tables("part_taken_away");
        let rows = "SELECT n, n FROM generate_series";
        source.psql(&format!(
            "{family} INSERT INTO b1 {rows}(1, 5) n; INSERT INTO b2 {rows}(6, 10) n"
        ));
        let mut select = json!({ "tables": ["public.a", "public.b"] });
        if family == parted {
            select["tables"].as_array_mut().unwrap().push("public.bin".into());
        }
        let reading = Blocked::after(from_database(&source, &select), 10);
        source.psql(change);
        let (messages, outcome) = reading.end();
        outcome.exits(code);
        assert_eq!(ended_well(&messages), code == 0, "{change}");
        if code == 0 {
            assert_eq!(records(&messages, "public-b").len(), 10, "{change}");
        }
    }
}

#[test]
fn files_are_read_as_discovery_saw_them_or_another_time() {
    let scratch = folder();
    let at = |name: &str| scratch.path().join(name);
    file(
        scratch.path(),
        "big.csv",
        format!("v\n{}", format!("{}\n", "x".repeat(300)).repeat(ROWS)),
    );
    let entries = json!([{ "entity": "big", "path": at("big.csv") },
                         { "entity": "t", "path": at("in") }]);
    let tap = || ours("tap-csv").config(&json!({ "files": entries }));
    let rewritten = |path: &Path| fs::write(path, "id,extra\n1,b\n").unwrap();
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    for change in [&rewritten as &dyn Fn(&Path), &gone] {
        let path = file(scratch.path(), "in/a.csv", "id,name\n1,a\n");
        let reading = Blocked::after(tap(), 10);
        change(&path);
        let (messages, outcome) = reading.end();
        let outcome = outcome.exits(75);
        assert!(outcome.stderr.contains("changed while it was read"), "{}", outcome.stderr);
        assert!(!ended_well(&messages));
    }
    // A file that came since may have columns that nobody has heard of: it is of the next run.
    file(scratch.path(), "in/a.csv", "id,name\n1,a\n");
    let reading = Blocked::after(tap(), 10);
    file(scratch.path(), "in/b.csv", "id,name,extra\n2,b,c\n");
    let (messages, outcome) = reading.end();
    outcome.success();
    assert!(ended_well(&messages));
    assert_eq!(records(&messages, "t"), [&json!({ "id": 1, "name": "a" })]);
    let state = &messages.last().unwrap()["value"];
    let next = tap().json("--state", state).go().success();
    assert_eq!(next.records("t"), [json!({ "id": 2, "name": "b", "extra": "c" })]);
}

#[test]
fn what_a_catalog_says_and_the_table_lacks_is_named() {
    let (source, scratch) = (tables("after_discovery"), folder());
    extract(&source, scratch.path(), DAY);
    let before = lake::sums(scratch.path());
    let catalog = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
    let cases = [
        ("ALTER TABLE b DROP n", ["column: n", "table: public.b"]),
        ("DROP TABLE b", ["cannot read the table", "table: public.b"]),
    ];
    for (change, said) in cases {
        source.psql(change);
        let tap = from_database(&source, &json!({})).json("--catalog", &catalog);
        let (tap, target) = support::run::pipe(tap, to_lake(scratch.path(), "postgres", DAY));
        let tap = tap.exits(69);
        let says = |text: &&str| tap.stderr.contains(*text);
        assert!(said.iter().all(says) && tap.stderr.contains("discovery"), "{}", tap.stderr);
        target.exits(76);
    }
    // What was read before the failure is whole and may be published; the rest stays.
    lake::check(scratch.path());
    let of_b = |sums: &std::collections::BTreeMap<std::path::PathBuf, String>| -> Vec<_> {
        sums.iter()
            .filter(|(path, _)| path.display().to_string().contains("public-b"))
            .map(|(path, sum)| (path.clone(), sum.clone()))
            .collect()
    };
    assert_eq!(of_b(&lake::sums(scratch.path())), of_b(&before));
}

/// Discovers table `t`, alters it, and reads it by the catalog from before.
fn by_older_catalog(change: &str) -> Outcome {
    let source = database("older_catalog");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, moment timestamptz, plain timestamp, word text,
                         bytes bytea, hour timetz);
         INSERT INTO t VALUES (1, '2026-07-01 12:00Z', '2026-07-01 12:00', 'ab', 'ab', '1:00Z')",
    );
    let catalog = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
    source.psql(change);
    from_database(&source, &json!({})).json("--catalog", &catalog).go()
}

#[test]
fn a_text_that_means_another_value_than_the_catalog_says_is_refused() {
    for (change, column, before) in [
        ("ALTER moment TYPE timestamp", "moment", "timestamp with time zone"),
        ("ALTER plain TYPE timestamptz", "plain", "timestamp without time zone"),
        ("ALTER hour TYPE time", "hour", "time with time zone"),
        ("ALTER bytes TYPE text USING encode(bytes, 'escape')", "bytes", "bytea"),
        ("ALTER word TYPE bytea USING word::bytea", "word", "text"),
    ] {
        let outcome = by_older_catalog(&format!("ALTER TABLE t {change}")).exits(69);
        for said in [format!("column: {column}\n"), format!("type in the catalog: {before}\n")] {
            assert!(outcome.stderr.contains(&said), "{change}: {}", outcome.stderr);
        }
        assert!(outcome.stderr.contains("run discovery again"), "{}", outcome.stderr);
    }
    // What does not fit at all is no fault of the row.
    for using in ["'n1'", "'1.5'"] {
        let outcome = by_older_catalog(&format!("ALTER TABLE t ALTER id TYPE text USING {using}"));
        let outcome = outcome.exits(65);
        assert!(outcome.stderr.contains("run discovery again"), "{}", outcome.stderr);
    }
    // What means the same goes on.
    for change in ["ALTER word TYPE varchar(9)", "ALTER moment TYPE timestamptz(0)"] {
        by_older_catalog(&format!("ALTER TABLE t {change}")).success();
    }
}

#[test]
fn columns_that_the_catalog_does_not_know_are_told() {
    let told = |change: &str| by_older_catalog(change).success().stderr;
    let said = told("ALTER TABLE t ADD late integer, ADD \"odd, one\" text");
    let warning = "W-COLUMN-UNKNOWN: stream public-t: left out 2 columns of its table that are not \
                   in the catalog (late, odd, one)";
    assert_eq!(said.matches(warning).count(), 1, "{said}");
    let said = told("ALTER TABLE t ALTER word SET NOT NULL");
    assert!(!said.contains("W-COLUMN-UNKNOWN"), "{said}");
}

#[test]
fn rows_that_share_the_key_of_the_catalog_are_told() {
    let told = |change: &str| {
        let outcome = by_older_catalog(change).success();
        outcome.stderr.contains("W-KEY-SHARED: stream public-t: several rows have the same key id")
    };
    let loose = "ALTER TABLE t DROP CONSTRAINT t_pkey";
    let viewed = "ALTER TABLE t RENAME TO u; CREATE VIEW t AS SELECT * FROM u";
    for (change, expected) in [
        (format!("{loose}; INSERT INTO t VALUES (1)"), true),
        (format!("{loose}; ALTER TABLE t ADD UNIQUE (id, word); INSERT INTO t VALUES (1)"), true),
        (
            format!(
                "{loose}; CREATE UNIQUE INDEX ON t (id) WHERE word > ''; INSERT INTO t VALUES (1)"
            ),
            true,
        ),
        (format!("{viewed} UNION ALL SELECT * FROM u"), true),
        (format!("{loose}; INSERT INTO t VALUES (2)"), false),
        (viewed.to_owned(), false),
        (format!("{loose}; CREATE UNIQUE INDEX ON t (id)"), false),
    ] {
        assert_eq!(told(&change), expected, "{change}");
    }
}
