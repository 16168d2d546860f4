//! Which streams and columns a catalog leaves, and where an incremental run goes on.

use std::fs;

use serde_json::{Value, json};

use support::cluster::{Database, database, database_of, private};
use support::folder;
use support::run::{Run, file, ours, pipe_succeeds};

fn source() -> Database {
    let source = database("selection");
    source.psql(
        "CREATE TABLE a (id integer PRIMARY KEY, name text, secret text, changed timestamptz);
         CREATE TABLE b (id integer PRIMARY KEY);
         CREATE VIEW v AS SELECT id, name FROM a;
         INSERT INTO a SELECT n, 'n' || n, 's', timestamptz '2026-01-01Z' + n * '1 day'::interval
         FROM generate_series(1, 5) n;
         INSERT INTO a VALUES (6, 'never changed', 's', NULL);
         INSERT INTO b VALUES (1);",
    );
    source
}

fn tap(source: &Database) -> Run {
    ours("tap-postgres").config(&source.settings())
}

fn catalog(source: &Database) -> Value {
    let outcome = tap(source).args(["--discover"]).go().success();
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// Sets a metadata value of a stream, or of one of its properties.
fn mark(catalog: &mut Value, stream: &str, property: Option<&str>, key: &str, value: &Value) {
    let breadcrumb = property.map_or(json!([]), |name| json!(["properties", name]));
    let streams = catalog["streams"].as_array_mut().unwrap();
    let stream = streams.iter_mut().find(|s| s["tap_stream_id"] == stream).expect("the stream");
    let metadata = stream["metadata"].as_array_mut().unwrap();
    match metadata.iter_mut().find(|entry| entry["breadcrumb"] == breadcrumb) {
        Some(entry) => entry["metadata"][key] = value.clone(),
        None => metadata.push(json!({ "breadcrumb": breadcrumb, "metadata": { key: value } })),
    }
}

#[test]
fn discovery_finds_tables_and_views_with_keys_and_types() {
    let source = source();
    let catalog = catalog(&source);
    let names: Vec<_> =
        catalog["streams"].as_array().unwrap().iter().map(|s| &s["stream"]).collect();
    assert_eq!(names, ["public-a", "public-b", "public-v"]);
    let a = &catalog["streams"][0];
    assert_eq!(a["key_properties"], json!(["id"]));
    assert_eq!(a["table_name"], "a");
    let changed = &a["schema"]["properties"]["changed"];
    assert_eq!(changed["format"], "date-time", "{changed}");
    assert_eq!(changed["x-sql-datatype"], "timestamp with time zone", "{changed}");
    let view = catalog["streams"][2]["metadata"].as_array().unwrap();
    assert!(view.iter().any(|m| m["metadata"]["is-view"] == true), "{view:?}");
}

#[test]
fn a_catalog_leaves_out_what_it_says() {
    let source = source();
    let mut catalog = catalog(&source);
    let no = json!(false);
    mark(&mut catalog, "public-b", None, "selected", &no);
    mark(&mut catalog, "public-a", Some("secret"), "selected", &no);
    // A key is always there.
    mark(&mut catalog, "public-a", Some("id"), "selected", &no);
    for flag in ["--catalog", "--properties"] {
        let outcome = tap(&source).json(flag, &catalog).go().success();
        assert_eq!(outcome.records("public-b").len(), 0);
        assert_eq!(outcome.records("public-v").len(), 6);
        let records = outcome.records("public-a");
        assert_eq!(records.len(), 6);
        assert_eq!(records[0]["id"], 1);
        assert!(records[0].get("secret").is_none(), "{}", records[0]);
        let schema = outcome.messages().into_iter().find(|m| m["stream"] == "public-a").unwrap();
        assert!(schema["schema"]["properties"].get("secret").is_none(), "{schema}");
    }
    mark(&mut catalog, "public-a", Some("name"), "inclusion", &json!("unsupported"));
    let outcome = tap(&source).json("--catalog", &catalog).go().success();
    assert!(outcome.records("public-a")[0].get("name").is_none());
    // A view has no key, so that nothing may be left of it.
    for column in ["id", "name"] {
        mark(&mut catalog, "public-v", Some(column), "selected", &no);
    }
    let outcome = tap(&source).json("--catalog", &catalog).go().success();
    assert!(!outcome.text().contains("public-v"), "{}", outcome.text());
    let left_out = "stream public-v is left out: none of its columns is selected";
    assert!(outcome.stderr.contains(left_out), "{}", outcome.stderr);
    assert_eq!(outcome.records("public-a").len(), 6);
}

#[test]
fn columns_of_files_that_a_catalog_does_not_know_are_told() {
    let scratch = folder();
    file(scratch.path(), "a.csv", "id,name,secret\n1,a,s\n");
    let entry = json!({ "entity": "t", "path": scratch.path(), "keys": ["id"] });
    let tap = || ours("tap-csv").config(&json!({ "files": [entry] }));
    let found = tap().args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&found.stdout).unwrap();
    mark(&mut catalog, "t", None, "selected", &json!(true));
    mark(&mut catalog, "t", Some("secret"), "selected", &json!(false));
    let known = tap().json("--catalog", &catalog).go().success();
    assert!(!known.stderr.contains("left out"), "{}", known.stderr);
    file(scratch.path(), "b.csv", "id,more,secret,name\n2,m,s,b\n");
    file(scratch.path(), "c.csv", "id,more,other\n3,m,o\n");
    let outcome = tap().json("--catalog", &catalog).go().success();
    let rows = [(1, json!("a")), (2, json!("b")), (3, Value::Null)];
    assert_eq!(outcome.records("t"), rows.map(|(id, name)| json!({ "id": id, "name": name })));
    assert_eq!(outcome.stderr.matches("left out").count(), 1, "{}", outcome.stderr);
    let told = "stream t: left out 2 columns of its files that are not in the catalog \
                (more, other)";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}

fn incremental(source: &Database) -> Value {
    let mut catalog = catalog(source);
    for stream in ["public-b", "public-v"] {
        mark(&mut catalog, stream, None, "selected", &json!(false));
    }
    mark(&mut catalog, "public-a", None, "replication-method", &json!("INCREMENTAL"));
    mark(&mut catalog, "public-a", None, "replication-key", &json!("changed"));
    catalog
}

fn last_state(outcome: &support::run::Outcome) -> Value {
    let mut states = outcome.messages();
    states.retain(|message| message["type"] == "STATE");
    states.pop().expect("a state")["value"].take()
}

#[test]
fn an_incremental_run_goes_on_from_the_bookmark() {
    let source = source();
    let catalog = incremental(&source);
    let first = tap(&source).json("--catalog", &catalog).go().success();
    assert_eq!(first.records("public-a").len(), 6, "null keys come in the first run");
    let state = last_state(&first);
    let bookmark = &state["bookmarks"]["public-a"];
    assert_eq!(bookmark["replication_key"], "changed", "{state}");
    let value = bookmark["replication_key_value"].as_str().unwrap();
    assert!(value.starts_with("2026-01-06T00:00:00"), "{state}");

    source.psql("INSERT INTO a VALUES (7, 'later', 's', '2026-02-01 00:00+00')");
    let second = tap(&source).json("--catalog", &catalog).json("--state", &state).go().success();
    let ids: Vec<_> = second.records("public-a").iter().map(|r| r["id"].clone()).collect();
    assert_eq!(ids, [5, 7], "the row of the bookmark comes again");

    let left_out = "stream public-a: 1 row is left out because the replication key changed is null";
    assert!(second.stderr.contains(left_out), "{}", second.stderr);
    assert!(!first.stderr.contains("left out"), "{}", first.stderr);

    for from in ["2026-01-05T00:00:00Z", "2026-01-05", "2026-01-05 00:00:00"] {
        let run = tap(&source).json("--catalog", &catalog).set("start_date", from);
        assert_eq!(run.go().success().records("public-a").len(), 3, "{from}");
    }
    // Words that Postgres knows for times.
    for from in ["tomorrow", "now", "2026-13-01"] {
        let run = tap(&source).json("--catalog", &catalog).set("start_date", from);
        let outcome = run.go().exits(78);
        assert!(outcome.stderr.contains("setting: start_date"), "{}", outcome.stderr);
    }
}

#[test]
fn a_bookmark_is_the_largest_key_that_others_can_follow() {
    let source = database("endless_keys");
    for (kind, sql, keys, later) in [
        ("timestamptz", "timestamptz", ["2026-01-01Z", "2026-01-02Z"], "2026-01-03Z"),
        ("timestamp", "timestamp", ["2026-01-01", "0001-01-01 BC"], "2026-01-03"),
        ("day", "date", ["2026-01-01", "2026-01-02"], "12026-01-03"),
        ("double", "double precision", ["1.5", "2.5"], "3.5"),
        ("digits", "numeric", ["1.5", "2.5"], "3.5"),
    ] {
        let endless: &[&str] = match kind {
            "double" | "digits" => &["NaN", "Infinity", "-Infinity"],
            _ => &["infinity", "-infinity"],
        };
        // Postgres 13 knows no infinite `numeric`.
        let endless = if kind == "digits" { &endless[..1] } else { endless };
        let values = keys.iter().chain(endless).map(|key| format!("('{key}')"));
        let values = values.collect::<Vec<_>>().join(",");
        source.psql(&format!("CREATE TABLE {kind} (k {sql}); INSERT INTO {kind} VALUES {values}"));
        let stream = format!("public-{kind}");
        let mut catalog = catalog(&source);
        catalog["streams"].as_array_mut().unwrap().retain(|s| s["tap_stream_id"] == *stream);
        mark(&mut catalog, &stream, None, "replication-method", &json!("INCREMENTAL"));
        mark(&mut catalog, &stream, None, "replication-key", &json!("k"));
        // Dates of the far future are wanted here.
        let as_text = json!({ "dates_as_string": sql != "timestamptz", "bookmark_cap": false });
        let tap = || tap(&source).json("--catalog", &catalog).config(&as_text);
        let first = tap().go().success();
        assert_eq!(first.records(&stream).len(), 2 + endless.len(), "{kind}");
        source.psql(&format!("INSERT INTO {kind} VALUES ('{later}')"));
        let second = tap().json("--state", &last_state(&first)).go().success();
        // That of the bookmark, the later one, and those at the end of all.
        let above = endless.iter().filter(|key| !key.starts_with('-')).count();
        assert_eq!(second.records(&stream).len(), 2 + above, "{kind}: {}", second.text());
        let third = tap().json("--state", &last_state(&second)).go().success();
        assert_eq!(third.records(&stream).len(), 1 + above, "{kind}: {}", third.text());
    }
}

#[test]
fn an_incremental_run_through_the_target_keeps_its_state() {
    let (source, target, scratch) = (source(), database("incremental"), folder());
    let catalog = incremental(&source);
    let into = || support::pipes::to_database(&target, &json!({}));
    let run = |state: &Value| {
        let tap = tap(&source).json("--catalog", &catalog).json("--state", state);
        let (_, outcome) = pipe_succeeds(tap, into());
        serde_json::from_str::<Value>(outcome.text().lines().last().unwrap()).unwrap()
    };
    let state = run(&json!({}));
    source.psql("UPDATE a SET name = 'new', changed = '2026-03-01 00:00+00' WHERE id = 2");
    let state = run(&state);
    assert_eq!(target.psql("SELECT name FROM public.a WHERE id = 2"), "new");
    assert_eq!(target.psql("SELECT count(*) FROM public.a"), "6");
    let value = state["bookmarks"]["public-a"]["replication_key_value"].as_str().unwrap();
    assert!(value.starts_with("2026-03-01T"), "{state}");
    drop(scratch);
}

#[test]
fn log_based_is_refused_clearly() {
    let source = source();
    let mut catalog = incremental(&source);
    mark(&mut catalog, "public-a", None, "replication-method", &json!("LOG_BASED"));
    let outcome = tap(&source).json("--catalog", &catalog).go();
    assert!([69, 78].contains(&outcome.code), "{} {}", outcome.code, outcome.stderr);
    assert!(outcome.stderr.contains("LOG_BASED"), "{}", outcome.stderr);
}

#[test]
fn only_granted_columns_are_discovered() {
    let source = source();
    source.psql(
        "CREATE ROLE limited LOGIN;
         GRANT SELECT (id, name) ON a TO limited;",
    );
    let settings = source.settings_with(&json!({ "user": "limited" }));
    let outcome = ours("tap-postgres").config(&settings).go().success();
    assert_eq!(outcome.records("public-a").len(), 6);
    assert!(outcome.records("public-a")[0].get("secret").is_none());
    assert_eq!(outcome.records("public-b").len(), 0);
    let left_out = "columns of public.a left out because the user may not read them: secret, chang";
    assert!(outcome.stderr.contains(left_out), "{}", outcome.stderr);
    // The catalog of somebody else.
    let run = ours("tap-postgres").config(&settings).json("--catalog", &catalog(&source));
    let outcome = run.go().exits(77);
    assert!(outcome.stderr.contains("column: secret"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("hint: run as its owner: GRANT SELECT (\"secret\") ON "),
        "{}",
        outcome.stderr
    );
}

/// COPY by the name of a table would leave out all of these.
#[test]
fn rows_of_children_and_computed_columns_are_read_and_hidden_rows_are_not() {
    let source = database("not_stored_alone");
    source.psql(
        "CREATE TABLE parent (id integer); CREATE TABLE child () INHERITS (parent);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
         CREATE TABLE parts (id integer) PARTITION BY LIST (id);
         CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1), (2);
         CREATE TABLE computed (id integer, twice integer GENERATED ALWAYS AS (id * 2) STORED);
         INSERT INTO computed VALUES (1), (2);
         CREATE MATERIALIZED VIEW kept AS SELECT id FROM parts;
         CREATE VIEW seen AS SELECT id FROM parts;
         CREATE TABLE guarded (id integer); INSERT INTO guarded VALUES (1), (2), (3);
         ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         CREATE POLICY two ON guarded USING (id < 3);
         CREATE ROLE watched LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO watched",
    );
    let settings = source.settings_with(&json!({ "user": "watched" }));
    let outcome = ours("tap-postgres").config(&settings).go().success();
    // Each row is in one stream.
    for (stream, id) in [("parent", 1), ("child", 2)] {
        let records = outcome.records(&format!("public-{stream}"));
        assert_eq!(records, [json!({ "id": id })], "{stream}");
    }
    for stream in ["parts", "computed", "kept", "seen", "guarded"] {
        let records = outcome.records(&format!("public-{stream}"));
        let mut ids: Vec<_> = records.iter().map(|record| record["id"].as_i64()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [Some(1), Some(2)], "{stream}");
        assert!(stream != "computed" || records[1]["twice"] == 4, "{records:?}");
    }
}

#[test]
fn what_a_limit_leaves_out_is_not_taken_for_gone() {
    let (source, target) = (source(), database("limited"));
    let whole = json!({ "emit_activate_version_messages": true });
    let part = json!({ "emit_activate_version_messages": true, "max_record_count": 2 });
    let settings = target.settings_with(&json!({ "default_target_schema": "t" }));
    for (more, said) in [(whole, false), (part, true)] {
        let tap = ours("tap-postgres").config(&source.settings_with(&more));
        let (tap, _) = pipe_succeeds(tap, ours("target-postgres").config(&settings));
        assert_eq!(tap.stderr.contains("the run reads only 2 records"), said, "{}", tap.stderr);
        let left = "SELECT count(*) FROM t.a WHERE _sdc_deleted_at IS NULL";
        assert_eq!(target.psql(left), "6");
    }
}

/// The tap asks for the columns of many tables at once, and of fewer where these are wide.
#[test]
fn each_of_many_tables_has_its_own_columns() {
    let cluster = private("log_statement = all");
    let source = database_of(&cluster, "many_columns");
    let wide = (1..=60).map(|table| (format!("wide{table}"), 300));
    let narrow = (1..=150).map(|table| (format!("table{table}"), 1 + table % 7));
    let widest = [("aaa".to_owned(), 1_500), ("zzz".to_owned(), 1_500)];
    let tables: Vec<(String, usize)> = wide.chain(narrow).chain(widest).collect();
    for part in tables.chunks(20) {
        let made = part.iter().map(|(table, width)| {
            let columns: Vec<String> = (1..=*width).map(|n| format!("{table}_{n} int2")).collect();
            format!(
                "CREATE TABLE {table} ({}); INSERT INTO {table} ({table}_{width}) VALUES (7);",
                columns.join(", ")
            )
        });
        source.psql(&made.collect::<String>());
    }
    let mut catalog = catalog(&source);
    // One is not read, and one is read by two streams.
    mark(&mut catalog, "public-wide30", None, "selected", &json!(false));
    let streams = catalog["streams"].as_array_mut().unwrap();
    let at = streams.iter().position(|stream| stream["tap_stream_id"] == "public-table9").unwrap();
    let mut again = streams[at].clone();
    again["tap_stream_id"] = json!("again");
    again["stream"] = json!("again");
    streams.push(again);

    let log = || fs::read_to_string(cluster.folder.join("log")).unwrap();
    let before = log().len();
    let outcome = tap(&source).json("--catalog", &catalog).go().success();
    let questions = log()[before..].matches("WITH ORDINALITY w").count();
    assert!((3..=12).contains(&questions), "{questions} questions for the columns");
    let records: Vec<Value> =
        outcome.messages().into_iter().filter(|message| message["type"] == "RECORD").collect();
    assert_eq!(records.len(), tables.len());
    for (table, width) in tables.iter().filter(|(table, _)| table != "wide30") {
        let streams = [format!("public-{table}"), "again".to_owned()];
        let of = if table == "table9" { &streams[..] } else { &streams[..1] };
        for stream in of {
            let mut found = records.iter().filter(|message| message["stream"] == **stream);
            let record = found.next().expect("a record")["record"].as_object().unwrap();
            assert_eq!(record.len(), *width, "{stream}");
            assert_eq!(record[&format!("{table}_{width}")], 7, "{stream}");
            assert!(found.next().is_none(), "{stream}");
        }
    }
}
