//! The tap warns of rows that the row security of a source hides.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::pipes::from_database;
use support::run::{Outcome, Run};

/// Tables and views of three rows, some of which a role that is not theirs does not see.
const TABLES: &str = "\
    CREATE ROLE NAME; CREATE ROLE \"NAME \"\"clerk\" LOGIN; CREATE ROLE NAME_other;
    GRANT NAME TO \"NAME \"\"clerk\"; ALTER ROLE \"NAME \"\"clerk\" SET search_path = public;
    CREATE FUNCTION guarded(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
      EXECUTE format('CREATE TABLE %I (id integer PRIMARY KEY)', name);
      EXECUTE format('INSERT INTO %I VALUES (1), (2), (3)', name);
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    END $$;
    SELECT guarded(unnest(ARRAY['part', 'none', 'all', 'member', 'other', 'less', 'less_other',
                                'updates', 'own', 'forced', 'Quoted \"one']));
    CREATE TABLE open (id integer); INSERT INTO open VALUES (1), (2), (3);
    CREATE POLICY p ON part USING (id < 3); CREATE POLICY p ON \"Quoted \"\"one\" USING (id < 2);
    CREATE POLICY p ON \"all\" USING (true); CREATE POLICY q ON \"all\" USING (id < 2);
    CREATE POLICY p ON member FOR SELECT TO NAME USING (true);
    CREATE POLICY p ON other USING (id > 1); CREATE POLICY q ON other TO NAME_other USING (true);
    CREATE POLICY p ON less USING (true); CREATE POLICY q ON less AS RESTRICTIVE USING (id > 2);
    CREATE POLICY p ON less_other USING (true);
    CREATE POLICY q ON less_other AS RESTRICTIVE TO NAME_other USING (id > 2);
    CREATE POLICY r ON less_other AS RESTRICTIVE FOR INSERT WITH CHECK (false);
    CREATE POLICY p ON updates FOR UPDATE USING (true);
    ALTER TABLE own OWNER TO NAME; ALTER TABLE forced OWNER TO NAME;
    ALTER TABLE forced FORCE ROW LEVEL SECURITY; CREATE POLICY p ON forced USING (id = 1);
    CREATE TABLE parts (id integer) PARTITION BY LIST (id);
    CREATE TABLE one PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1), (2), (3);
    ALTER TABLE one ENABLE ROW LEVEL SECURITY;
    CREATE TABLE split (id integer) PARTITION BY LIST (id);
    CREATE TABLE two PARTITION OF split DEFAULT; INSERT INTO split VALUES (1), (2), (3);
    ALTER TABLE split ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON split USING (id > 1);
    CREATE VIEW by_super AS SELECT id FROM part;
    CREATE VIEW by_other AS SELECT id FROM part; ALTER VIEW by_other OWNER TO NAME_other;
    CREATE VIEW twice AS SELECT id FROM by_other;
    CREATE VIEW beside AS SELECT id FROM open WHERE id IN (SELECT id FROM split);
    ALTER VIEW beside OWNER TO NAME;
    CREATE MATERIALIZED VIEW kept AS SELECT id FROM part;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;";

const INVOKED: &str = "\
    CREATE VIEW invoked WITH (security_invoker) AS SELECT id FROM part;
    CREATE VIEW not_invoked WITH (security_invoker = off) AS SELECT id FROM part;
    CREATE VIEW over_invoked AS SELECT id FROM invoked;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;";

fn source(purpose: &str) -> Database {
    let source = database(purpose);
    source.psql(&TABLES.replace("NAME", &source.name));
    if source.is_at_least(15) {
        source.psql(INVOKED);
    }
    source
}

fn clerk(source: &Database) -> String {
    format!("{} \"clerk", source.name)
}

fn quoted(source: &Database) -> String {
    format!("\"{} \"\"clerk\"", source.name)
}

fn tap(source: &Database, more: &Value) -> Run {
    from_database(source, more).set("user", clerk(source))
}

fn is_told(outcome: &Outcome, stream: &str) -> bool {
    let told = format!("W-ROWS-HIDDEN: stream public-{stream}: ");
    let count = outcome.stderr.matches(&told).count();
    assert!(count < 2, "{}", outcome.stderr);
    count == 1
}

fn streams(outcome: &Outcome) -> Vec<String> {
    let messages = outcome.messages().into_iter().filter(|message| message["type"] == "SCHEMA");
    let names = messages.map(|message| message["stream"].as_str().unwrap().to_owned());
    names.map(|name| name.strip_prefix("public-").unwrap().to_owned()).collect()
}

/// Returns how many streams are told.
fn told_where_rows_are_hidden(outcome: &Outcome) -> usize {
    let names = streams(outcome);
    for name in &names {
        let count = outcome.records(&format!("public-{name}")).len();
        assert_eq!(is_told(outcome, name), count < 3, "{name} {count}: {}", outcome.stderr);
    }
    names.iter().filter(|name| is_told(outcome, name)).count()
}

#[test]
fn each_stream_that_row_security_takes_rows_from_is_told_and_no_other() {
    let source = source("rows_hidden");
    let outcome = tap(&source, &json!({})).go().success();
    let names = streams(&outcome);
    let told = told_where_rows_are_hidden(&outcome);
    assert_eq!(told, if source.is_at_least(15) { 13 } else { 11 }, "{}", outcome.stderr);
    // A superuser too reads a view as its owner does.
    let told = told_where_rows_are_hidden(&from_database(&source, &json!({})).go().success());
    assert_eq!(told, 3);
    let plan = tap(&source, &json!({})).args(["--plan"]).go().success();
    assert!(names.iter().all(|name| is_told(&plan, name) == is_told(&outcome, name)));
    let denied = tap(&source, &json!({})).args(["--deny-warnings", "W-ROWS-HIDDEN"]);
    assert!(denied.go().exits(65).stdout.is_empty());
}

#[test]
fn a_role_says_what_becomes_of_hidden_rows() {
    let source = source("rows_hidden_meant");
    let run = || tap(&source, &json!({})).go();
    let outcome = run().success();
    for hint in ["BYPASSRLS", "SET row_security = on"] {
        let command = format!("ALTER ROLE {} {hint}", quoted(&source));
        assert!(outcome.stderr.contains(&command), "{command}: {}", outcome.stderr);
    }
    source.psql(&format!("ALTER ROLE {} SET row_security = off", quoted(&source)));
    let refused = run().exits(77);
    assert!(refused.stderr.contains("SET row_security = on"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("W-ROWS-HIDDEN"), "{}", refused.stderr);
    source.psql(&format!("ALTER ROLE {} SET row_security = on", quoted(&source)));
    let meant = run().success();
    assert!(!meant.stderr.contains("W-ROWS-HIDDEN"), "{}", meant.stderr);
    assert_eq!(meant.records("public-part").len(), 2);
    source.psql(&format!("ALTER ROLE {} RESET row_security", quoted(&source)));
    source.psql(&format!("ALTER ROLE {} BYPASSRLS", quoted(&source)));
    let whole = run().success();
    assert_eq!(told_where_rows_are_hidden(&whole), 3);
    assert_eq!(whole.records("public-part").len(), 3);
}

#[test]
fn rows_that_were_hidden_from_the_runs_before_are_told() {
    let source = source("rows_hidden_once");
    let settings = json!({ "default_replication_method": "INCREMENTAL" });
    let discovered = tap(&source, &settings).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_slice(&discovered.stdout).unwrap();
    let names = ["public-other", "public-open"];
    let streams = catalog["streams"].as_array_mut().unwrap();
    streams.retain(|stream| names.iter().any(|name| stream["tap_stream_id"] == *name));
    for stream in streams {
        stream["replication_key"] = "id".into();
    }
    let run = |state: &Value| {
        let run = tap(&source, &json!({})).json("--catalog", &catalog).json("--state", state);
        let outcome = run.go().success();
        let state = outcome.messages().into_iter().rev().find(|one| one["type"] == "STATE");
        let told = names.map(|name| is_told(&outcome, name.strip_prefix("public-").unwrap()));
        (state.unwrap()["value"].clone(), told, outcome.stderr)
    };
    let (state, told, text) = run(&json!({}));
    assert_eq!(told, [true, false], "{text}");
    let (state, told, text) = run(&state);
    assert_eq!(told, [true, false], "{text}");
    source.psql(&format!("ALTER ROLE {} BYPASSRLS", quoted(&source)));
    let (state, told, text) = run(&state);
    assert_eq!(told, [true, false], "{text}");
    assert!(text.contains("hid rows from earlier runs"), "{text}");
    let (_, told, text) = run(&state);
    assert_eq!(told, [false, false], "{text}");
}
