//! Many streams become one, in a pipe: known before the first row, or one after the other.

use serde_json::json;

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{from_database, to_database};
use support::run::{feed, ours, pipe_succeeds};

const STREAMS: &str = concat!(
    r#"{"type":"SCHEMA","stream":"a","schema":{"properties":{"id":{"type":"integer"}}},"#,
    r#""key_properties":[]}"#,
    "\n",
    r#"{"type":"STATE","value":{"currently_syncing":"a"}}"#,
    "\n",
    r#"{"type":"RECORD","stream":"a","record":{"id":1}}"#,
    "\n",
    r#"{"type":"STATE","value":{"currently_syncing":"b"}}"#,
    "\n",
    r#"{"type":"SCHEMA","stream":"b","schema":{"properties":{"id":{"type":"number"},"#,
    r#""more":{"type":"string"}}},"key_properties":[]}"#,
    "\n",
    r#"{"type":"RECORD","stream":"b","record":{"id":2.5,"more":"x"}}"#,
    "\n",
);

#[test]
fn streams_that_come_one_after_the_other_widen_the_table() {
    let database = database("widen");
    let mapper = || ours("map-streams").set("combine", json!({ "name": "united" }));
    let ended =
        format!("{STREAMS}{{\"type\":\"STATE\",\"value\":{{\"currently_syncing\":null}}}}\n");
    pipe_succeeds(mapper().input(ended), to_database(&database, &json!({})));
    let rows = database.psql("SELECT id, more, source FROM united ORDER BY 1");
    assert_eq!(rows, "1||a\n2.5|x|b");
}

#[test]
fn nothing_is_published_where_the_last_stream_is_not_whole() {
    let folder = folder();
    let mapper = ours("map-streams").set("combine", json!({ "name": "united" })).input(STREAMS);
    let target = ours("target-csv").set("output_path", folder.path().display());
    let (_, target) = support::run::pipe(mapper, target);
    assert_eq!(target.code, 76, "{}", target.stderr);
    assert!(!folder.path().join("united.csv").exists());
}

#[test]
fn what_cannot_be_united_ends_the_run() {
    let settings = json!({ "combine": { "name": "u" } });
    let lines = Lines::opened().row(1, "ann").done();
    feed("map-streams", &settings, &lines.0).success();
    let clash = STREAMS.replace(r#""id":{"type":"number"}"#, r#""id":{"type":"object"}"#);
    let clash = clash.replace("\"id\":2.5", "\"id\":{}");
    let done = feed("map-streams", &settings, clash.as_bytes()).exits(65);
    for says in ["columns clash", "id (integer in stream a, JSON in stream b)"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    let named = json!({ "combine": { "name": "u", "source_column": "id" } });
    let done = feed("map-streams", &named, STREAMS.as_bytes()).exits(78);
    assert!(done.stderr.contains("source_column"), "{}", done.stderr);
}

#[test]
fn tables_with_other_types_of_sql_become_one() {
    let (source, database) = (database("unite"), database("united"));
    source.psql(
        "CREATE TABLE a (i int, v varchar(10), n numeric(10,2), r real, at timestamptz, m text[]);
         CREATE TABLE b (i bigint, v varchar(20), n numeric(12,4), r float8, at timestamptz(3),
             m varchar(9)[]);
         CREATE TABLE c (i smallint, v char(4), n numeric(10,2), r real, at timestamptz, m text[]);
         INSERT INTO a VALUES (1, 'ann', 12345678.25, 1.5, '2026-01-31 06:00+00', '{x,NULL}');
         INSERT INTO b VALUES (9007199254740993, repeat('x', 20), 12345678.1234, 1e300,
             '2026-01-31 07:00:00.125+00', '{y}');
         INSERT INTO c VALUES (3, 'ab', 1.10, 0.1, 'infinity', NULL);",
    );
    let united = |tables: &[&str]| {
        let tap = from_database(&source, &json!({ "tables": tables }));
        let mapper = ours("map-streams").set("combine", json!({ "name": "united" }));
        (tap, mapper)
    };
    let (tap, mapper) = united(&["public.a", "public.b"]);
    let read = tap.go().success();
    let made = mapper.input(read.stdout.clone()).go().success();
    assert!(made.stderr.contains("column i becomes bigint"), "{}", made.stderr);
    to_database(&database, &json!({})).input(made.stdout).go().success();
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) \
                 FROM pg_attribute WHERE attrelid = 'united'::regclass AND attnum > 0";
    assert_eq!(
        database.psql(types),
        "bigint, character varying(20), numeric(12,4), double precision, \
         timestamp with time zone, text[], text"
    );
    let columns = "i, v, n::numeric(12,4) AS n, r, at, m::text[] AS m";
    let rows = |database: &support::cluster::Database, from: &str| {
        database.psql(&format!("SELECT md5(string_agg(t::text, '|' ORDER BY i)) FROM ({from}) t"))
    };
    let both = format!("SELECT {columns} FROM a UNION ALL SELECT {columns} FROM b");
    assert_eq!(rows(&database, &format!("SELECT {columns} FROM united")), rows(&source, &both));
    // A third table widens again: padded text keeps its blanks.
    let (tap, mapper) = united(&["public.b", "public.c"]);
    let made = mapper.input(tap.go().success().stdout).go().success();
    to_database(&database, &json!({ "table_names": { "united": "more" } }))
        .input(made.stdout)
        .go()
        .success();
    let of_c = database.psql("SELECT i, v, n, r, at, m FROM more WHERE source = 'public-c'");
    assert_eq!(of_c, "3|ab  |1.1000|0.1|infinity|");
}

#[test]
fn types_of_sql_without_a_common_one_are_named_with_both_streams() {
    let source = database("disunited");
    source.psql(
        "CREATE TABLE one (id int, at timestamp, b bytea);
         CREATE TABLE two (id int, at timestamptz, b text);",
    );
    let tap = from_database(&source, &json!({ "tables": ["public.one", "public.two"] }));
    let mapper = ours("map-streams").set("combine", json!({ "name": "united" }));
    let done = mapper.input(tap.go().success().stdout).go().exits(65);
    for says in [
        "at (timestamp without time zone in stream public-one, timestamp with time zone in stream \
         public-two)",
        "b (bytea, hexadecimal bytes in stream public-one, text in stream public-two)",
    ] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
}
