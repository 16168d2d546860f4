//! What the tap says of a relation, its key and its rows is true of what it reads.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::pipes::from_database;
use support::run::Outcome;

/// Reads only these streams, as a catalog that was written by discovery says.
fn read(source: &Database, streams: &[&str]) -> Outcome {
    let catalog = discover(source);
    let mut chosen = catalog.clone();
    chosen["streams"].as_array_mut().unwrap().retain(|stream| {
        streams.iter().any(|name| stream["tap_stream_id"] == format!("public-{name}"))
    });
    from_database(source, &json!({})).json("--catalog", &chosen).go().success()
}

fn discover(source: &Database) -> Value {
    let outcome = from_database(source, &json!({})).args(["--discover"]).go().success();
    serde_json::from_slice(&outcome.stdout).unwrap()
}

fn keys(source: &Database, stream: &str) -> Value {
    let catalog = discover(source);
    let mut streams = catalog["streams"].as_array().unwrap().iter();
    let found = streams.find(|found| found["tap_stream_id"] == format!("public-{stream}"));
    found.unwrap_or_else(|| panic!("{stream}: {catalog}"))["key_properties"].clone()
}

fn schema(outcome: &Outcome, stream: &str) -> Value {
    let name = format!("public-{stream}");
    let mut messages = outcome.messages().into_iter();
    messages.find(|m| m["type"] == "SCHEMA" && m["stream"] == name).expect("a SCHEMA")
}

fn ids(outcome: &Outcome, stream: &str) -> Vec<i64> {
    let records = outcome.records(&format!("public-{stream}"));
    let mut ids: Vec<i64> = records.iter().map(|r| r["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn each_row_of_tables_that_inherit_is_in_one_stream() {
    let source = database("inherited");
    source.psql(
        "CREATE TABLE city (id integer PRIMARY KEY, name text);
         CREATE TABLE capital (country text) INHERITS (city);
         CREATE TABLE \"old \"\"capital\" () INHERITS (capital);
         INSERT INTO city VALUES (1, 'a'), (2, 'b');
         INSERT INTO capital VALUES (1, 'c', 'x'), (3, 'd', 'y');
         INSERT INTO \"old \"\"capital\" VALUES (1, 'e', 'z')",
    );
    let check = |streams: &[&str], expected: &[(&str, &[i64])]| {
        let outcome = read(&source, streams);
        for (stream, rows) in expected {
            assert_eq!(ids(&outcome, stream), *rows, "{streams:?}: {stream}");
        }
        outcome
    };
    let all = ["city", "capital", "old \"capital"];
    let whole = check(&all, &[("city", &[1, 2]), ("capital", &[1, 3]), ("old \"capital", &[1])]);
    assert_eq!(schema(&whole, "city")["key_properties"], json!(["id"]));
    assert_eq!(schema(&whole, "capital")["key_properties"], json!([]));
    // Children that are no streams of the run are read through their parents, as ever. Of those
    // rows nothing keeps a key.
    let alone = check(&["city"], &[("city", &[1, 1, 1, 2, 3])]);
    assert_eq!(schema(&alone, "city")["key_properties"], json!([]));
    assert!(alone.stderr.contains("W-KEY-OVER-CHILDREN"), "{}", alone.stderr);
    check(&["city", "capital"], &[("city", &[1, 2]), ("capital", &[1, 1, 3])]);
    check(&["city", "old \"capital"], &[("city", &[1, 1, 2, 3]), ("old \"capital", &[1])]);
    // Where no two of them share one, it is the key.
    source.psql("UPDATE capital SET id = id + 10; UPDATE \"old \"\"capital\" SET id = id + 20");
    let alone = check(&["city"], &[("city", &[1, 2, 11, 13, 31])]);
    assert_eq!(schema(&alone, "city")["key_properties"], json!(["id"]));
    assert!(!alone.stderr.contains("W-KEY-OVER-CHILDREN"), "{}", alone.stderr);
    // An incremental read of them says so.
    let mut catalog = discover(&source);
    catalog["streams"].as_array_mut().unwrap().retain(|s| s["tap_stream_id"] == "public-city");
    catalog["streams"][0]["replication_key"] = "id".into();
    let read = from_database(&source, &json!({ "max_record_count": 2 }));
    let outcome = read.json("--catalog", &catalog).go().success();
    assert_eq!(ids(&outcome, "city"), [1, 2]);
    assert!(outcome.stderr.contains("W-KEY-OVER-CHILDREN"), "{}", outcome.stderr);
}

#[test]
fn partitions_and_parts_of_extensions_are_read_through_their_table() {
    let source = database("parts_of");
    source.psql(
        "CREATE EXTENSION citext;
         CREATE TABLE p (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
         CREATE TABLE p2 PARTITION OF p DEFAULT;
         INSERT INTO p VALUES (1, 'a'), (11, 'b');
         CREATE TABLE series (id integer PRIMARY KEY);
         CREATE SCHEMA internal; ALTER EXTENSION citext ADD SCHEMA internal;
         CREATE TABLE internal.chunk () INHERITS (series);
         INSERT INTO series VALUES (1); INSERT INTO internal.chunk VALUES (2);
         CREATE TABLE parent (id integer PRIMARY KEY);
         CREATE TABLE part () INHERITS (parent); ALTER EXTENSION citext ADD TABLE part;
         INSERT INTO parent VALUES (1); INSERT INTO part VALUES (1)",
    );
    let outcome = from_database(&source, &json!({})).go().success();
    let messages = outcome.messages();
    let schemas = messages.iter().filter(|message| message["type"] == "SCHEMA");
    let streams: Vec<&str> = schemas.map(|schema| schema["stream"].as_str().unwrap()).collect();
    assert_eq!(streams, ["public-p", "public-parent", "public-series"]);
    assert_eq!(ids(&outcome, "p"), [1, 11]);
    assert_eq!(schema(&outcome, "p")["key_properties"], json!(["id"]));
    // The extension that made the parts minds the key; nobody does of a table in its parts.
    assert_eq!(ids(&outcome, "series"), [1, 2]);
    assert_eq!(schema(&outcome, "series")["key_properties"], json!(["id"]));
    assert_eq!(ids(&outcome, "parent"), [1, 1]);
    assert_eq!(schema(&outcome, "parent")["key_properties"], json!([]));
}

#[test]
fn what_an_extension_brings_is_no_stream() {
    let source = database("of_extension");
    source.psql(
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION hstore;
         CREATE TABLE units (id integer PRIMARY KEY); ALTER EXTENSION hstore ADD TABLE units;
         CREATE MATERIALIZED VIEW known AS SELECT 1 AS id;
         ALTER EXTENSION hstore ADD MATERIALIZED VIEW known;
         CREATE TABLE mine (id integer PRIMARY KEY); INSERT INTO mine VALUES (1);
         INSERT INTO units VALUES (7)",
    );
    let outcome = from_database(&source, &json!({})).go().success();
    let messages = outcome.messages();
    let schemas = messages.iter().filter(|message| message["type"] == "SCHEMA");
    let streams: Vec<&str> = schemas.map(|schema| schema["stream"].as_str().unwrap()).collect();
    assert_eq!(streams, ["public-mine"]);
    assert!(outcome.stderr.contains("belong to the extension hstore: public.known, public.units"));
    // A catalog that names one still reads it.
    let mut catalog = discover(&source);
    let entry = &mut catalog["streams"][0];
    for (field, value) in
        [("tap_stream_id", "public-units"), ("stream", "public-units"), ("table_name", "units")]
    {
        entry[field] = value.into();
    }
    let outcome = from_database(&source, &json!({})).json("--catalog", &catalog).go().success();
    assert_eq!(outcome.records("public-units"), [json!({ "id": 7 })]);
}

#[test]
fn a_key_is_what_holds_for_every_row() {
    let source = database("true_keys");
    source.psql(
        "CREATE TABLE nullable (a integer UNIQUE NULLS NOT DISTINCT);
         CREATE TABLE some_rows (a integer NOT NULL, b boolean);
         CREATE UNIQUE INDEX ON some_rows (a) WHERE b;
         CREATE TABLE by_value (a text NOT NULL);
         CREATE UNIQUE INDEX ON by_value (lower(a));
         CREATE TABLE one_null (a integer NOT NULL, b integer, UNIQUE (a, b));
         CREATE TABLE broken (a integer NOT NULL); INSERT INTO broken VALUES (1), (1);
         CREATE TABLE deferred (a integer NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE covering (a integer NOT NULL, b integer);
         CREATE UNIQUE INDEX ON covering (a) INCLUDE (b);
         CREATE TABLE parted (a integer NOT NULL) PARTITION BY RANGE (a);
         CREATE TABLE parted_1 PARTITION OF parted DEFAULT;
         CREATE UNIQUE INDEX ON ONLY parted (a);
         CREATE VIEW seen AS SELECT a FROM deferred;
         CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE far (a integer NOT NULL, b text NOT NULL) SERVER files
           OPTIONS (program 'printf \"1,\\\\n,x\\\\n\"', format 'csv')",
    );
    // Fails, and leaves an index behind that is not valid.
    source.try_psql("CREATE UNIQUE INDEX CONCURRENTLY ON broken (a)").unwrap_err();
    assert_eq!(source.psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "2");
    for (table, key) in [
        ("nullable", json!([])),
        ("some_rows", json!([])),
        ("by_value", json!([])),
        ("one_null", json!([])),
        ("broken", json!([])),
        ("deferred", json!(["a"])),
        ("covering", json!(["a"])),
        ("parted", json!([])),
        ("seen", json!([])),
        ("far", json!([])),
    ] {
        assert_eq!(keys(&source, table), key, "{table}");
    }
    // Nobody holds the rows of a foreign table to its NOT NULL.
    let outcome = read(&source, &["far"]);
    assert_eq!(schema(&outcome, "far")["schema"]["properties"]["a"]["type"][1], "null");
    assert_eq!(
        outcome.records("public-far"),
        [json!({ "a": 1, "b": null }), json!({ "a": null, "b": "x" })]
    );
    // Of 18 on, a NOT NULL may be there that old rows do not meet.
    if source.is_at_least(18) {
        source.psql(
            "CREATE TABLE old (id integer); INSERT INTO old VALUES (NULL), (1);
             CREATE UNIQUE INDEX ON old (id); ALTER TABLE old ADD NOT NULL id NOT VALID",
        );
        assert_eq!(keys(&source, "old"), json!([]));
        assert_eq!(read(&source, &["old"]).records("public-old").len(), 2);
    }
}
