//! SQL ahead of a load and behind it, rights of readers, and schemas by a mapping.

use std::process::Stdio;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::to_database;
use support::run::{Outcome, ours};

fn load(target: &Database, more: &Value, input: Vec<u8>) -> Outcome {
    to_database(target, more).input(input).go()
}

fn whole() -> Vec<u8> {
    Lines::whole(&[(1, "a"), (2, "b")]).0
}

#[test]
fn sql_runs_ahead_of_the_first_row_and_behind_the_last() {
    let target = database("run_sql");
    target.psql("CREATE TABLE log (at serial, what text)");
    // Names are found as the user finds them.
    let settings = json!({
        "before_run_sql": ["CREATE SCHEMA made", "INSERT INTO log (what) SELECT 'before ' ||
            coalesce(to_regclass('t')::text, 'no t')"],
        "after_run_sql": "INSERT INTO log (what) SELECT 'after ' || count(*) FROM t;
            CREATE INDEX ON t (name)",
        "default_target_schema": "public",
    });
    load(&target, &settings, whole()).success();
    let log = "SELECT string_agg(what, ', ' ORDER BY at) FROM log";
    assert_eq!(target.psql(log), "before no t, after 2");
    // Where nothing changes both are run all the same, once.
    let settings = json!({
        "before_run_sql": "INSERT INTO log (what) VALUES ('b')",
        "after_run_sql": ["INSERT INTO log (what) VALUES ('a')"],
    });
    target.psql("TRUNCATE log");
    load(&target, &settings, whole()).success();
    load(&target, &settings, Lines::default().done().0).success();
    assert_eq!(target.psql(log), "b, a, b, a");
    // A plan runs none.
    target.psql("TRUNCATE log");
    ours("target-postgres")
        .config(&target.settings_with(&settings))
        .args(["--plan"])
        .input(whole())
        .go()
        .success();
    assert_eq!(target.psql("SELECT count(*) FROM log"), "0");
}

#[test]
fn a_failure_ahead_loads_nothing() {
    let target = database("run_before");
    for (sql, code, word) in [
        (json!(["CREATE TABLE made ()", "SELECT 1/0"]), 65, "entry: 2"),
        (json!("SELEC"), 69, "entry: 1"),
        (json!("DO $$ BEGIN RAISE EXCEPTION 'not today'; END $$"), 65, "not today"),
        (json!("COMMIT"), 78, "remove COMMIT and ROLLBACK"),
        (json!(["VACUUM"]), 69, "transaction block"),
    ] {
        let failed = load(&target, &json!({ "before_run_sql": sql }), whole()).exits(code);
        assert!(failed.stderr.contains("setting: before_run_sql"), "{sql}: {}", failed.stderr);
        assert!(failed.stderr.contains(word), "{sql}: {}", failed.stderr);
        assert!(!failed.text().contains("null"), "{}", failed.text());
        let made = "SELECT to_regclass('t') IS NULL AND to_regclass('made') IS NULL";
        assert_eq!(target.psql(made), "t", "{sql}");
    }
}

#[test]
fn a_failure_behind_leaves_what_was_committed_and_said() {
    let target = database("run_after");
    for (sql, code) in [
        ("SELECT 1/0", 65),
        ("SELECT nothing", 69),
        ("SET lock_timeout = 1; LOCK TABLE held", 69),
        ("SET ROLE reader; CREATE TABLE t2 ()", 69),
    ] {
        target.psql(
            "DROP TABLE IF EXISTS t, held; CREATE TABLE held ();
             DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN END $$",
        );
        target.psql("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
        let mut holder = target.psql_command();
        holder.args(["-c", "BEGIN; LOCK TABLE held; SELECT pg_sleep(60)"]);
        let quiet = holder.stdout(Stdio::null()).stderr(Stdio::null());
        let mut holder = quiet.spawn().unwrap();
        target.wait_for("SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass");
        let failed = load(&target, &json!({ "after_run_sql": sql }), whole()).exits(code);
        let end =
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'held'::regclass";
        target.psql(end);
        holder.wait().unwrap();
        assert!(failed.stderr.contains("setting: after_run_sql"), "{}", failed.stderr);
        assert!(failed.stderr.contains("hint: all tables are committed"), "{}", failed.stderr);
        assert_eq!(target.psql("SELECT count(*) FROM t"), "2", "{sql}");
        assert!(failed.text().contains("\"currently_syncing\":null"), "{}", failed.text());
    }
    // It waits for every table: none was committed, nothing is run.
    target.psql("CREATE TABLE ran (at serial)");
    let settings = json!({ "after_run_sql": "INSERT INTO ran DEFAULT VALUES" });
    let cut = Lines::opened().row(1, "a");
    load(&target, &settings, cut.0).exits(76);
    let bad = Lines::opened().record("t", &json!({ "id": "x", "name": "a" })).done();
    load(&target, &settings, bad.0).exits(65);
    assert_eq!(target.psql("SELECT count(*) FROM ran"), "0");
}

#[test]
fn readers_get_the_right_to_new_tables() {
    let target = database("readers");
    target.psql(
        "DO $$ BEGIN CREATE ROLE \"Reader 1\"; EXCEPTION WHEN duplicate_object THEN END $$;
         DO $$ BEGIN CREATE ROLE reader_2; EXCEPTION WHEN duplicate_object THEN END $$",
    );
    let may = |role: &str, table: &str| {
        target.psql(&format!(
            "SELECT has_schema_privilege('{role}', split_part('{table}', '.', 1), 'USAGE'),
             has_table_privilege('{role}', '{table}', 'SELECT'),
             has_table_privilege('{role}', '{table}', 'INSERT')"
        ))
    };
    let name = "default_target_schema_select_permissions";
    for (schema, method, setting, readers) in [
        ("one", "upsert", name, json!("Reader 1")),
        ("several", "overwrite", name, json!(["Reader 1", "reader_2"])),
        ("kinds", "append-only", name, json!({ "users": "Reader 1", "groups": ["reader_2"] })),
        ("alias", "upsert", "default_target_schema_select_permission", json!(["Reader 1"])),
        ("everyone", "upsert", name, json!("public")),
    ] {
        let settings = json!({
            "default_target_schema": schema, "load_method": method, (setting): readers,
        });
        load(&target, &settings, whole()).success();
        assert_eq!(may("Reader 1", &format!("{schema}.t")), "t|t|f", "{schema}");
        // A table that is there keeps its rights.
        target.psql(&format!("REVOKE SELECT ON {schema}.t FROM \"Reader 1\", PUBLIC"));
        load(&target, &settings, whole()).success();
        assert_eq!(may("Reader 1", &format!("{schema}.t")), "t|f|f", "{schema}");
    }
    assert_eq!(may("reader_2", "kinds.t"), "t|t|f");
    assert_eq!(may("reader_2", "one.t"), "f|f|f");
    let settings = json!({ "default_target_schema": "none", (name): ["Reader 1", "no \"one"] });
    let refused = load(&target, &settings, whole()).exits(78);
    assert!(
        refused.stderr.contains("hint: run: CREATE ROLE \"no \"\"one\";"),
        "{}",
        refused.stderr
    );
    assert_eq!(target.psql("SELECT to_regclass('none.t') IS NULL"), "t");
}

#[test]
fn schemas_of_a_source_go_where_the_mapping_says() {
    let target = database("schema_mapping");
    target.psql("DO $$ BEGIN CREATE ROLE mapped; EXCEPTION WHEN duplicate_object THEN END $$");
    let stream = |name: &str| {
        let columns = json!({ "id": { "type": "integer" }, "a": {}, "b": { "type": "integer" } });
        let lines = Lines::default().syncing(name).schema(name, &columns, &["id"]);
        lines.record(name, &json!({ "id": 1, "b": 2 })).done().0
    };
    let settings = json!({
        "default_target_schema": "rest",
        "schema_mapping": {
            "sales": {
                "target_schema": "raw_sales",
                "target_schema_select_permissions": ["mapped"],
                "indices": { "orders": ["b", "b, id"] },
            },
            "hr": { "indices": { "people": ["missing"] } },
        },
    });
    for (name, table) in [
        ("sales-orders", "raw_sales.orders"),
        ("db-sales-items", "raw_sales.items"),
        ("other-orders", "rest.orders"),
        ("plain", "rest.plain"),
    ] {
        for _ in 0..2 {
            load(&target, &settings, stream(name)).success();
        }
        assert_eq!(target.psql(&format!("SELECT count(*) FROM {table}")), "1", "{name}");
        let may = format!("SELECT has_table_privilege('mapped', '{table}', 'SELECT')");
        assert_eq!(target.psql(&may) == "t", table.starts_with("raw"), "{name}");
    }
    let indices =
        "SELECT string_agg(pg_get_indexdef(indexrelid, 0, true), '; ' ORDER BY indexrelid)
         FROM pg_index WHERE indrelid = 'raw_sales.orders'::regclass AND NOT indisprimary";
    let indices = target.psql(indices);
    assert!(indices.contains("(b);") && indices.ends_with("(b, id)"), "{indices}");
    let refused = load(&target, &settings, stream("hr-people")).exits(78);
    assert!(refused.stderr.contains("column: missing"), "{}", refused.stderr);
    let wrong = json!({ "schema_mapping": { "a": { "target_schemas": "b" } } });
    let refused = load(&target, &wrong, stream("a-b")).exits(78);
    assert!(refused.stderr.contains("schema_mapping"), "{}", refused.stderr);
}

#[test]
fn a_stream_without_keys_is_refused_where_keys_are_required() {
    let target = database("keys_required");
    let columns = json!({ "id": { "type": "integer" } });
    let lines = Lines::default().syncing("t").schema("t", &columns, &[]);
    let lines = lines.record("t", &json!({ "id": 1 })).done().0;
    let refused = load(&target, &json!({ "primary_key_required": true }), lines.clone()).exits(78);
    assert!(refused.stderr.contains("hint: let the tap declare keys"), "{refused:?}");
    load(&target, &json!({ "primary_key_required": false }), lines).success();
    let keyed = json!({ "primary_key_required": true, "default_target_schema": "keyed" });
    load(&target, &keyed, whole()).success();
}
