//! Names that differ only in case from those that another program made: `name_case`.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::run::{Outcome, feed};

fn lines(stream: &str, names: &[&str]) -> Lines {
    let property = |name: &&str| ((*name).to_owned(), json!({ "type": ["null", "integer"] }));
    let columns: Value = names.iter().map(property).collect::<serde_json::Map<_, _>>().into();
    let record: Value = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(1)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let lines = Lines::default().syncing(stream).schema(stream, &columns, &names[..1]);
    lines.record(stream, &record).done()
}

fn load(target: &Database, case: &str, more: &Value, lines: &Lines) -> Outcome {
    let mut settings = target.settings_with(more);
    settings["name_case"] = case.into();
    settings["add_record_metadata"] = false.into();
    feed("target-postgres", &settings, &lines.0)
}

/// Returns the statement of a hint.
fn statement(outcome: &Outcome) -> String {
    outcome.stderr.split("run: ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

fn columns(target: &Database, table: &str) -> String {
    target.psql(&format!(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
    ))
}

#[test]
fn names_become_lower_case() {
    let target = database("case_lower");
    let sales = lines("Sales-Orders", &["Id", "Total", "ÜBER"]);
    load(&target, "lower", &json!({}), &sales).success();
    assert_eq!(columns(&target, "sales.orders"), "id total über");
    load(&target, "lower", &json!({}), &sales).success();
    assert_eq!(target.psql("SELECT count(*), sum(total) FROM sales.orders"), "1|1");
    // Names that settings give are taken as they are.
    let chosen = json!({ "default_target_schema": "Raw", "table_names": { "Sales-Orders": "O" } });
    load(&target, "lower", &chosen, &sales).success();
    assert_eq!(columns(&target, "\"Raw\".\"O\""), "id total über");
    load(&target, "keep", &json!({ "default_target_schema": "kept" }), &sales).success();
    assert_eq!(columns(&target, "kept.\"Orders\""), "Id Total ÜBER");
    let both = lines("s-t", &["id", "Id"]);
    let refused = load(&target, "lower", &json!({}), &both).exits(65);
    assert!(
        refused.stderr.contains("two columns of the stream have one name in the table"),
        "{}",
        refused.stderr
    );
    // Where the stream has both, both are meant.
    load(&target, "keep", &json!({}), &both).success();
    assert_eq!(columns(&target, "s.t"), "id Id");
}

#[test]
fn a_column_in_another_case_is_refused_with_both_ways_out() {
    let target = database("case_column");
    let make = "DROP TABLE IF EXISTS s.t; DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s;
         CREATE TABLE s.t (id bigint PRIMARY KEY, name bigint); INSERT INTO s.t VALUES (7, 7)";
    let upper = lines("s-t", &["id", "Name"]);
    for method in ["upsert", "append-only", "overwrite"] {
        target.psql(make);
        let method = json!({ "load_method": method });
        let refused = load(&target, "keep", &method, &upper).exits(78);
        assert!(refused.stderr.contains("column of the table: name"), "{}", refused.stderr);
        assert!(refused.stderr.contains("set `name_case: lower`, or run: "), "{}", refused.stderr);
        assert_eq!(columns(&target, "s.t"), "id name");
        load(&target, "lower", &method, &upper).success();
        assert_eq!(columns(&target, "s.t"), "id name");
        assert_eq!(target.psql("SELECT name FROM s.t WHERE id = 1"), "1");
        target.psql(make);
        target.psql(&statement(&refused));
        load(&target, "keep", &method, &upper).success();
        assert_eq!(columns(&target, "s.t"), "id Name");
    }
    // The other way round, and where no setting gives the name that is there.
    let refused = load(&target, "lower", &json!({}), &upper).exits(78);
    assert!(refused.stderr.contains("set `name_case: keep`, or run: "), "{}", refused.stderr);
    target.psql("ALTER TABLE s.t RENAME \"Name\" TO \"NAME\"");
    let refused = load(&target, "keep", &json!({}), &upper).exits(78);
    assert!(!refused.stderr.contains("name_case"), "{}", refused.stderr);
    target.psql(&statement(&refused));
    load(&target, "keep", &json!({}), &upper).success();
    // A stream that has had both in a run means both.
    target.psql(make);
    let columns_of =
        |name: &str| json!({ "id": { "type": "integer" }, (name): { "type": "integer" } });
    let within = Lines::default().syncing("s-t").schema("s-t", &columns_of("name"), &["id"]);
    let within = within.record("s-t", &json!({ "id": 1, "name": 1 }));
    let within = within.schema("s-t", &columns_of("Name"), &["id"]);
    let within = within.record("s-t", &json!({ "id": 1, "Name": 2 })).done();
    load(&target, "keep", &json!({}), &within).success();
    assert_eq!(target.psql("SELECT name, \"Name\" FROM s.t WHERE id = 1"), "1|2");
}

#[test]
fn a_table_in_another_case_is_refused_with_both_ways_out() {
    let target = database("case_table");
    let make = "DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s;
         CREATE TABLE s.orders (id bigint PRIMARY KEY)";
    let upper = lines("s-Orders", &["id"]);
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
         WHERE relnamespace = to_regnamespace('s') AND relkind = 'r'
           AND relname NOT LIKE '\\_sdc%'";
    target.psql(make);
    let refused = load(&target, "keep", &json!({}), &upper).exits(78);
    assert!(refused.stderr.contains("existing table: s.orders"), "{}", refused.stderr);
    assert_eq!(target.psql(tables), "orders");
    load(&target, "lower", &json!({}), &upper).success();
    assert_eq!(target.psql("SELECT count(*) FROM s.orders"), "1");
    // What we filled ourselves is known by its stream, too.
    load(&target, "keep", &json!({}), &upper).exits(78);
    target.psql(make);
    target.psql(&statement(&refused));
    load(&target, "keep", &json!({}), &upper).success();
    assert_eq!(target.psql(tables), "Orders");
    // Two streams may differ in case alone.
    for _ in 0..2 {
        load(&target, "keep", &json!({}), &lines("s-orders", &["id"])).success();
        load(&target, "keep", &json!({}), &upper).success();
    }
    assert_eq!(target.psql(tables), "Orders orders");
    let refused = load(&target, "keep", &json!({}), &lines("S-orders", &["id"])).success();
    assert!(!refused.stderr.contains("another case"), "{}", refused.stderr);
    // A schema that another program made.
    target.psql("CREATE SCHEMA raw; CREATE TABLE raw.items (id bigint PRIMARY KEY)");
    let items = lines("Raw-items", &["id"]);
    let refused = load(&target, "keep", &json!({}), &items).exits(78);
    assert!(refused.stderr.contains("existing table: raw.items"), "{}", refused.stderr);
    load(&target, "lower", &json!({}), &items).success();
    assert_eq!(target.psql("SELECT to_regnamespace('\"Raw\"') IS NULL"), "t");
}
