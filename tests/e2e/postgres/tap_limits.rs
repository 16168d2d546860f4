//! Limits that tap-postgres is given, meets at the server, or finds in values.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use support::cluster::{Database, PASSWORD, database, database_of, owner, private};
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::run::{Outcome, Run, file, ours, pipe, pipe_succeeds};
use support::{binaries_dir, folder};

/// Returns the catalog of one table alone.
fn entry(source: &Database, table: &str) -> Value {
    let discovered = from_database(source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    let streams = catalog["streams"].as_array_mut().unwrap();
    streams.retain(|stream| stream["table_name"] == table);
    catalog
}

/// Returns the catalog of one table alone, read by its column `k`.
fn by_key(source: &Database, table: &str) -> Value {
    let mut catalog = entry(source, table);
    catalog["streams"][0]["replication_method"] = "INCREMENTAL".into();
    catalog["streams"][0]["replication_key"] = "k".into();
    catalog
}

fn last_state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages().into_iter().filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

#[test]
fn runs_of_so_many_records_reach_the_end_of_a_table() {
    let source = database("limited_runs");
    // Ties, more null keys than a run reads, keys that no bookmark can have, spellings with quotes.
    let tables = [
        ("ties", "integer", "SELECT n, CASE WHEN n < 10 THEN 7 ELSE n END FROM n"),
        ("missing", "bigint", "SELECT n, CASE WHEN n > 12 THEN n END FROM n"),
        (
            "moments",
            "timestamptz",
            "SELECT n, timestamptz '2026-01-01Z' + n * interval '1 h' FROM n",
        ),
        ("plain", "timestamp", "SELECT n, timestamp '2026-01-01' + n * interval '1 ms' FROM n"),
        (
            "days",
            "date",
            "SELECT n, CASE WHEN n < 9 THEN '-infinity' ELSE date '2026-01-01' + n END FROM n",
        ),
        (
            "ends",
            "date",
            "SELECT n, CASE WHEN n > 9 THEN 'infinity' ELSE date '2026-01-01' + n END FROM n",
        ),
        ("digits", "numeric", "SELECT n, CASE WHEN n > 9 THEN 'NaN' ELSE n / 7.0 END FROM n"),
        ("floats", "double precision", "SELECT n, n / 7.0::float8 FROM n"),
        ("words", "text COLLATE \"C\"", "SELECT n, repeat('it''s \\ ', n / 3) FROM n"),
        ("padded", "char(4)", "SELECT n, chr(64 + n) FROM n"),
    ];
    for (table, kind, rows) in tables {
        source.psql(&format!(
            "CREATE TABLE {table} (id integer PRIMARY KEY, k {kind});
             WITH n AS (SELECT generate_series(1, 20) AS n) INSERT INTO {table} {rows}"
        ));
        let (catalog, stream) = (by_key(&source, table), format!("public-{table}"));
        let (mut state, mut seen, mut more) = (json!({}), BTreeSet::new(), true);
        for run in 0.. {
            let tap = from_database(&source, &json!({ "max_record_count": 4 }));
            let outcome = tap.json("--catalog", &catalog).json("--state", &state).go().success();
            let records = outcome.records(&stream);
            let before = seen.len();
            seen.extend(records.iter().map(|record| record["id"].as_i64().unwrap()));
            assert!(seen.len() >= before + usize::from(more), "{table}, run {run}");
            if !more {
                assert_eq!(seen.len(), 20, "{table}");
                break;
            }
            assert!(run < 8, "{table}: the runs do not end");
            more = outcome.stderr.contains("reads the remaining rows");
            state = last_state(&outcome);
        }
    }
}

#[test]
fn a_limit_that_leaves_nothing_out_says_nothing() {
    let source = database("exact_limit");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, k integer);
         INSERT INTO t VALUES (1, 1), (2, 2), (3, 2)",
    );
    let versions = json!({ "emit_activate_version_messages": true });
    let full =
        |most: u64| from_database(&source, &versions).set("max_record_count", most).go().success();
    for (most, rows, whole) in [(2, 2, false), (3, 3, true), (u64::MAX, 3, true)] {
        let outcome = full(most);
        assert_eq!(outcome.records("public-t").len(), rows, "{most}");
        assert_eq!(outcome.text().contains("ACTIVATE_VERSION"), whole, "{most}");
        let said = format!("the run reads only {most} records");
        assert_eq!(outcome.stderr.contains(&said), !whole, "{}", outcome.stderr);
    }
    let catalog = by_key(&source, "t");
    let keyed = |most: u64| {
        let tap = from_database(&source, &json!({})).set("max_record_count", most);
        tap.json("--catalog", &catalog)
    };
    for (most, rows, left) in [(1, 1, true), (2, 3, false), (u64::MAX, 3, false)] {
        let outcome = keyed(most).go().success();
        assert_eq!(outcome.records("public-t").len(), rows, "{most}");
        let says = outcome.stderr.contains("reads the remaining rows");
        assert_eq!(says, left, "{}", outcome.stderr);
    }
    let plan = keyed(1).args(["--plan"]).go().success();
    assert!(plan.text().contains(r#""k" <= '1'::"#), "{}", plan.text());
    let refused = from_database(&source, &versions).set("max_record_count", 0).go().exits(78);
    assert!(refused.stderr.contains("setting: max_record_count"), "{}", refused.stderr);
}

#[test]
fn a_slow_reader_is_no_reason_for_the_server_to_end_the_session() {
    let source = database("idle_session");
    source.psql(
        "CREATE ROLE hasty LOGIN;
         ALTER ROLE hasty SET idle_in_transaction_session_timeout = '300ms';
         DO $$ BEGIN FOR n IN 100..299 LOOP
             EXECUTE format('CREATE TABLE t%s AS SELECT repeat(''x'', 20000) AS v', n);
         END LOOP; END $$; GRANT SELECT ON ALL TABLES IN SCHEMA public TO hasty",
    );
    let tap = from_database(&source, &json!({ "user": "hasty" }));
    let mut tap = tap.start(false);
    let mut rest = BufReader::new(tap.child().stdout.take().unwrap());
    let mut first = String::new();
    rest.read_line(&mut first).unwrap();
    source.wait_for(
        "SELECT state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 s'
           FROM pg_stat_activity WHERE usename = 'hasty'",
    );
    let mut text = String::new();
    rest.read_to_string(&mut text).unwrap();
    tap.wait().success();
    assert_eq!(text.matches("\"RECORD\"").count(), 200);
}

#[test]
fn only_what_other_tables_are_behind_looks_at_all_locks() {
    let cluster = private("log_statement = all");
    let source = database_of(&cluster, "locks");
    source.psql(
        "CREATE TABLE a (id integer); CREATE TABLE b (id integer); CREATE TABLE parent (id integer);
         CREATE TABLE child () INHERITS (parent); CREATE VIEW v AS SELECT * FROM a",
    );
    from_database(&source, &json!({})).go().success();
    let log = std::fs::read_to_string(cluster.folder.join("log")).unwrap();
    let checks = |part: &str| log.matches(part).count();
    assert_eq!(checks("IS DISTINCT FROM to_regclass"), 5, "{log}");
    assert_eq!(checks("c.oid = l.relation"), 2, "the parent and the view");
    assert_eq!(checks("WITH RECURSIVE below"), 1, "the parent");
}

#[test]
fn a_server_without_room_for_locks_says_what_to_do() {
    // The fewest that the server can be given.
    let few = "max_connections = 20\nmax_wal_senders = 0\nwal_level = replica\n\
               max_replication_slots = 0\nmax_locks_per_transaction = 10";
    let cluster = private(few);
    let source = database_of(&cluster, "many_locks");
    source.psql(
        "CREATE TABLE t (id integer);
         SELECT format('CREATE TABLE c%s () INHERITS (t)', n)
         FROM generate_series(1, 3000) n \\gexec",
    );
    let catalog = entry(&source, "t");
    let outcome = from_database(&source, &json!({})).json("--catalog", &catalog).go().exits(69);
    assert!(outcome.stderr.contains("hint: raise max_locks_per_transaction"), "{}", outcome.stderr);
}

#[test]
fn the_second_address_of_a_host_has_all_of_the_time() {
    let cluster = private("listen_addresses = '127.0.0.1,127.0.0.3'");
    let source = database_of(&cluster, "addresses");
    source.psql("CREATE TABLE t (id integer); INSERT INTO t VALUES (1)");
    // At the first one nobody accepts: one waits in the queue, and there is no room for more.
    let deaf = TcpListener::bind(("127.0.0.2", cluster.port)).unwrap();
    rustix::net::listen(&deaf, 0).unwrap();
    let wait = Duration::from_millis(200);
    let address = deaf.local_addr().unwrap();
    let queued: Vec<_> =
        (0..2).map_while(|_| TcpStream::connect_timeout(&address, wait).ok()).collect();
    assert!(!queued.is_empty());
    let scratch = folder();
    let hosts = file(scratch.path(), "hosts", "127.0.0.2 two.test\n127.0.0.3 two.test\n");
    let settings = json!({
        "host": "two.test", "port": cluster.port, "user": "postgres", "password": PASSWORD,
        "database": source.name, "ssl_mode": "require", "connect_timeout_seconds": 1,
    });
    // The names of hosts are those of this file, for this process alone.
    let namespace = if owner().is_some() { "-m" } else { "-rm" };
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let outcome = Run::new(Path::new("/usr/bin/unshare"))
        .args([namespace, "sh", "-c", script, "sh"])
        .args([hosts, binaries_dir().join("tap-postgres")])
        .config(&settings)
        .go()
        .success();
    assert_eq!(outcome.records("public-t").len(), 1);
}

#[test]
fn json_that_nobody_else_reads_is_set_aside_with_its_place() {
    let (source, target, scratch) = (database("odd_json"), database("odd_json_target"), folder());
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    source.psql(&format!(
        "CREATE TABLE t (id integer PRIMARY KEY, j json, many json[]);
         INSERT INTO t VALUES (1, '\"\\ud83d\\ude00 \\\\ud800\"', NULL), (2, '\"\\ud800\"', NULL),
             (3, '{}', NULL), (4, '{}', NULL), (5, '1', ARRAY['\"\\udc00\"']::json[])",
        deep(513),
        deep(512)
    ));
    let refused = from_database(&source, &json!({})).go().exits(65);
    for said in ["column: j", "place: row 2", "stream: public-t", "lone surrogate"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    let rejects = scratch.path().join("rejects.jsonl");
    let lenient = json!({ "max_rejects": 3, "rejects_file": rejects });
    pipe_succeeds(from_database(&source, &lenient), to_database(&target, &json!({})));
    assert_eq!(target.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 4");
    let rejects = std::fs::read_to_string(rejects).unwrap();
    assert!(rejects.contains("nested too deep") && rejects.contains("row 5"), "{rejects}");
    let into = to_lake(&scratch.path().join("output"), "postgres", DAY);
    let (tap, _) = pipe(from_database(&source, &lenient).set("max_rejects", 2), into);
    tap.exits(65);
}

#[test]
fn a_start_date_and_the_default_method_are_kept_to() {
    let source = database("kept_settings");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, k timestamp);
         INSERT INTO t SELECT n, timestamp '2026-01-01' + n * interval '1 day'
         FROM generate_series(1, 5) n",
    );
    let mut catalog = by_key(&source, "t");
    let rows = |catalog: &Value, more: Value| {
        let outcome = from_database(&source, &more).json("--catalog", catalog).go().success();
        outcome.records("public-t").len()
    };
    for as_text in [false, true] {
        let more = json!({ "start_date": "2026-01-04", "dates_as_string": as_text });
        assert_eq!(rows(&catalog, more), 3, "dates_as_string: {as_text}");
        let column = &mut catalog["streams"][0]["schema"]["properties"]["k"];
        column.as_object_mut().unwrap().remove("format");
    }
    catalog["streams"][0].as_object_mut().unwrap().remove("replication_method");
    let from = "2026-01-04";
    assert_eq!(rows(&catalog, json!({ "start_date": from })), 3, "a key is for INCREMENTAL");
    for (method, expected) in [("INCREMENTAL", 3), ("FULL_TABLE", 5)] {
        let more = json!({ "start_date": from, "default_replication_method": method });
        assert_eq!(rows(&catalog, more), expected, "{method}");
    }
    let state = json!({ "bookmarks": { "public-t": { "replication_key_value": "never" } } });
    let tap = ours("tap-postgres").config(&source.settings()).json("--catalog", &catalog);
    let outcome = tap.set("max_record_count", 1).json("--state", &state).go().exits(78);
    assert!(outcome.stderr.contains("bookmark: never"), "{}", outcome.stderr);
}
