//! The settings `tables` and `replication` of tap-postgres: which tables a run reads, and how, with
//! and without a catalog.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::pipes::from_database;
use support::run::{Outcome, Run};

fn source() -> Database {
    let source = database("chosen");
    source.psql(
        "CREATE SCHEMA sales; CREATE SCHEMA \"od.d\";
         CREATE TABLE orders (id integer PRIMARY KEY, updated_at timestamptz NOT NULL);
         CREATE TABLE sales.items (id integer PRIMARY KEY);
         CREATE TABLE sales.\"it.ems\" (id integer PRIMARY KEY);
         CREATE TABLE \"od.d\".\"a*b\" (id integer PRIMARY KEY);
         CREATE TABLE \"od.d\".\"axb\" (id integer PRIMARY KEY);
         CREATE EXTENSION pg_stat_statements;
         INSERT INTO orders SELECT n, timestamptz '2026-01-01Z' + n * interval '1 day'
           FROM generate_series(1, 5) n",
    );
    source
}

/// Returns the streams that a run has read.
fn read(outcome: &Outcome) -> BTreeSet<String> {
    let schemas = outcome.messages().into_iter().filter(|message| message["type"] == "SCHEMA");
    schemas.map(|message| message["stream"].as_str().unwrap().to_owned()).collect()
}

fn with(source: &Database, settings: &Value) -> Run {
    from_database(source, settings)
}

fn discovered(source: &Database, settings: &Value) -> Value {
    let outcome = with(source, settings).args(["--discover"]).go().success();
    serde_json::from_slice(&outcome.stdout).unwrap()
}

#[test]
fn tables_are_read_by_name_with_and_without_a_catalog() {
    let source = source();
    let whole = discovered(&source, &json!({}));
    let check = |tables: Value, expected: &[&str]| {
        let settings = json!({ "tables": tables });
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        let own = discovered(&source, &settings);
        for run in [
            with(&source, &settings),
            with(&source, &settings).json("--catalog", &whole),
            // What a discovery prints selects what a run without a catalog reads.
            with(&source, &json!({})).json("--catalog", &own),
        ] {
            assert_eq!(read(&run.go().success()), expected, "{settings}");
        }
    };
    check(json!(["public.orders"]), &["public-orders"]);
    check(json!("sales.*, public-orders"), &["public-orders", "sales-items", "sales-it.ems"]);
    check(json!(["sales.it.ems"]), &["sales-it.ems"]);
    check(json!(["od.d.a*b"]), &["od.d-a*b"]);
    let named = with(&source, &json!({ "tables": ["public.pg_stat_statements"] })).go();
    let of_extension = named.stderr.contains("cannot find a table");
    assert!(!of_extension, "what an extension made is read by its name: {}", named.stderr);
    let env = ["public.orders", "[\"public.orders\"]"].map(|text| {
        with(&source, &json!({})).args(["--config", "ENV"]).env("TAP_POSTGRES_TABLES", text)
    });
    for run in env {
        assert_eq!(read(&run.go().success()).len(), 1);
    }
}

#[test]
fn an_empty_list_does_not_stand_for_all_in_silence() {
    let source = source();
    for empty in [json!([]), json!("[]"), json!(","), json!("")] {
        for more in [&["--discover"][..], &[]] {
            let tables = with(&source, &json!({ "tables": empty })).args(more).go().exits(78);
            assert!(tables.stderr.contains("setting: tables"), "{empty}: {}", tables.stderr);
            assert!(tables.stderr.contains("leave the setting out"), "{empty}: {}", tables.stderr);
            assert!(tables.stdout.is_empty());
        }
        // Meltano's tap reads all schemas then.
        let schemas = with(&source, &json!({ "filter_schemas": empty })).go().success();
        assert_eq!(read(&schemas).len(), 5, "{empty}");
        let told = "W-SETTING-UNUSED: `filter_schemas` is empty";
        assert_eq!(schemas.stderr.matches(told).count(), 1, "{empty}: {}", schemas.stderr);
    }
    let some = with(&source, &json!({ "filter_schemas": ["sales"] })).go().success();
    assert_eq!(read(&some).len(), 2);
    assert!(!some.stderr.contains("W-SETTING-UNUSED"), "{}", some.stderr);
}

#[test]
fn names_that_stand_for_no_table_end_the_run() {
    let source = source();
    let mut catalog = discovered(&source, &json!({}));
    let refused = |settings: Value, catalog: Option<&Value>, told: &str| {
        let run = with(&source, &settings);
        let run = match catalog {
            Some(catalog) => run.json("--catalog", catalog),
            None => run,
        };
        let outcome = run.go().exits(78);
        assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty());
    };
    refused(json!({ "tables": ["public.order"] }), None, "did you mean `public.orders`?");
    refused(json!({ "tables": ["orders"] }), Some(&catalog), "did you mean `public.orders`?");
    refused(json!({ "tables": ["public.orders", "marts.*"] }), None, "value: marts.*");
    let unknown = json!({ "replication": { "public.orders": { "key": "update_at" } } });
    refused(unknown, None, "did you mean `updated_at`?");
    let unknown = json!({ "replication": { "public.orders": { "keys": "id" } } });
    refused(unknown, None, "setting: replication/public.orders");
    let unknown = json!({ "replication": { "public.ordres": { "key": "id" } } });
    refused(unknown, None, "did you mean `public.orders`?");
    let options = json!({ "stream_options": { "public.orders": { "lookback_window": 1 } } });
    refused(options, None, "did you mean `public-orders`?");
    let options = json!({ "stream_options": { "public-orders": { "lookback": 1 } } });
    refused(options, None, "setting: stream_options/public-orders");
    // What a catalog does not select, no name of a table selects.
    let streams = catalog["streams"].as_array_mut().unwrap();
    for stream in streams.iter_mut().filter(|stream| stream["stream"] == "public-orders") {
        stream["metadata"] = json!([{ "breadcrumb": [], "metadata": { "selected": false } }]);
    }
    let settings = json!({ "tables": ["public.orders"] });
    refused(settings, Some(&catalog), "cannot read a table that is not selected");
    let settings = json!({ "tables": ["*"] });
    let outcome = with(&source, &settings).json("--catalog", &catalog).go().success();
    assert_eq!(read(&outcome).len(), 4);
}

#[test]
fn replication_is_set_by_name_with_and_without_a_catalog() {
    let source = source();
    let settings = json!({
        "tables": ["public.orders", "sales.items"],
        "replication": {
            "public.orders": { "method": "INCREMENTAL", "key": "updated_at" }, "*": { "key": "id" },
        },
    });
    let whole = discovered(&source, &json!({}));
    let own = discovered(&source, &settings);
    for (settings, catalog) in
        [(&settings, None), (&settings, Some(&whole)), (&json!({}), Some(&own))]
    {
        let run = |state: Option<&Value>| {
            let run = with(&source, settings);
            let run = catalog.into_iter().fold(run, |run, one| run.json("--catalog", one));
            state.into_iter().fold(run, |run, one| run.json("--state", one)).go().success()
        };
        let first = run(None);
        assert_eq!(first.records("public-orders").len(), 5);
        let mut states = first.messages().into_iter().filter(|one| one["type"] == "STATE");
        let state = states.next_back().unwrap()["value"].clone();
        let bookmark = &state["bookmarks"]["public-orders"];
        assert_eq!(bookmark["replication_key"], "updated_at", "{state}");
        assert_eq!(run(Some(&state)).records("public-orders").len(), 1);
    }
    // A name of the settings is stronger than the catalog.
    let full = json!({ "replication": { "public.orders": { "method": "FULL_TABLE" } } });
    let outcome = with(&source, &full).json("--catalog", &own).go().success();
    assert!(!outcome.text().contains("replication_key"), "{}", outcome.text());
}

#[test]
fn a_table_that_the_user_may_not_read_is_told_with_the_grant() {
    let source = source();
    source.psql(
        "CREATE ROLE chosen_reader LOGIN; GRANT SELECT ON orders TO chosen_reader;
         GRANT USAGE ON SCHEMA public TO chosen_reader; CREATE TABLE region (id integer);
         GRANT SELECT ON region TO chosen_reader; REVOKE SELECT ON orders FROM chosen_reader",
    );
    let check = |table: &str, told: &[&str]| {
        let settings = json!({ "tables": [table], "user": "chosen_reader" });
        let outcome = with(&source, &settings).go().exits(77);
        for part in told {
            assert!(outcome.stderr.contains(part), "{table}, {part}: {}", outcome.stderr);
        }
    };
    let grant = "GRANT SELECT ON \"public\".\"orders\" TO \"chosen_reader\"";
    check("public.orders", &["cannot read a table that a setting names", grant]);
    check("public-orders", &[grant]);
    check("sales.items", &["GRANT USAGE ON SCHEMA \"sales\" TO \"chosen_reader\"; GRANT SELECT"]);
    let settings = json!({ "tables": ["public.regio"], "user": "chosen_reader" });
    let unknown = with(&source, &settings).go().exits(78);
    assert!(unknown.stderr.contains("did you mean `public.region`?"), "{}", unknown.stderr);
    source.psql("DROP OWNED BY chosen_reader; DROP ROLE chosen_reader");
}
