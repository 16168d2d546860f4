//! Functions of the user's that name things without their schemas: they are found by the search
//! path of the role, behind `pg_catalog`, and no statement of ours finds anything by it.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::messages::Lines;
use support::pipes::{from_database, to_database};
use support::run::{Outcome, Run};

/// A database whose role looks names up in schema `app`.
fn with_path(purpose: &str) -> Database {
    let database = database(purpose);
    database.psql(&format!(
        "CREATE SCHEMA app; ALTER DATABASE {} SET search_path = app, public",
        database.name
    ));
    database
}

fn load(target: &Database, method: &str, lines: Lines) -> Run {
    let settings = json!({ "load_method": method, "default_target_schema": "app" });
    to_database(target, &settings).input(lines.0)
}

#[test]
fn triggers_and_indexes_find_what_they_name() {
    let target = with_path("bare_triggers");
    target.psql(
        "CREATE TABLE app.audit (what text, id integer);
         CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO audit VALUES (TG_OP, coalesce(NEW.id, OLD.id)); RETURN NULL; END $$;
         CREATE FUNCTION app.plain(text) RETURNS text LANGUAGE sql IMMUTABLE
           AS $$ SELECT lower($1) $$;
         CREATE FUNCTION app.folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
           AS $$ BEGIN RETURN plain($1); END $$;",
    );
    let table = "DROP TABLE IF EXISTS app.t; TRUNCATE app.audit;
         CREATE TABLE app.t (id integer PRIMARY KEY, name text);
         CREATE INDEX ON app.t (app.folded(name));
         CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON app.t
           FOR EACH ROW EXECUTE FUNCTION app.log();
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON app.t DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION app.log();";
    let audit = "SELECT string_agg(what || id, ' ' ORDER BY what, id) FROM app.audit";
    for method in ["append-only", "upsert", "overwrite"] {
        target.psql(table);
        let first = load(&target, method, Lines::whole(&[(1, "a"), (2, "b")])).go().success();
        assert!(!first.stderr.contains("W-SESSION-CHANGED"), "{}", first.stderr);
        assert_eq!(target.psql(audit), "INSERT1 INSERT1 INSERT2 INSERT2", "{method}");
        let rows: &[(i64, &str)] = match method {
            "append-only" => &[(3, "c")],
            _ => &[(1, "a"), (2, "x"), (3, "c")],
        };
        load(&target, method, Lines::whole(rows)).go().success();
        assert_eq!(target.psql("SELECT count(*) FROM app.t"), "3", "{method}");
        let more = if method == "append-only" { "" } else { " UPDATE2" };
        let expected = format!("INSERT1 INSERT1 INSERT2 INSERT2 INSERT3 INSERT3{more}");
        assert_eq!(target.psql(audit), expected, "{method}");
    }
    load(&target, "overwrite", Lines::whole(&[(1, "a")])).go().success();
    assert_eq!(target.psql("SELECT count(*) FROM app.audit WHERE what = 'DELETE'"), "2");
}

#[test]
fn views_policies_and_conditions_find_what_they_name() {
    let source = with_path("bare_views");
    source.psql(
        "CREATE TABLE app.t (id integer PRIMARY KEY, at timestamptz NOT NULL, kind regclass);
         INSERT INTO app.t SELECT n, timestamptz '2026-01-01Z' + n * interval '1 day', 'app.t'
           FROM generate_series(1, 4) n;
         CREATE FUNCTION app.kept() RETURNS SETOF integer LANGUAGE plpgsql STABLE
           AS $$ BEGIN RETURN QUERY SELECT id FROM t WHERE id > 1; END $$;
         CREATE FUNCTION app.doubled(integer) RETURNS integer LANGUAGE sql STABLE
           AS $$ SELECT 2 * count(*)::integer FROM t WHERE id <= $1 $$;
         CREATE VIEW app.v AS
           SELECT id, at, app.doubled(id) AS twice FROM app.t WHERE id IN (SELECT app.kept());",
    );
    let read = |settings: &Value| from_database(&source, &json!({})).config(settings);
    let ids = |outcome: &Outcome, stream: &str| {
        let ids = outcome.records(stream).into_iter().map(|record| record["id"].as_i64().unwrap());
        ids.collect::<Vec<_>>()
    };
    let outcome = read(&json!({ "tables": ["app.v"] })).go().success();
    assert_eq!(ids(&outcome, "app-v"), [2, 3, 4]);
    assert_eq!(outcome.records("app-v")[0]["twice"], 4);
    for key in ["id", "at"] {
        let keyed = json!({ "tables": ["app.v"], "replication": { "app.v": { "key": key } } });
        let first = read(&keyed).set("max_record_count", 2).go().success();
        assert_eq!(ids(&first, "app-v"), [2, 3], "{key}");
        let mut states = first.messages().into_iter().filter(|one| one["type"] == "STATE");
        let state = states.next_back().unwrap()["value"].clone();
        let next = read(&keyed).json("--state", &state).go().success();
        assert_eq!(ids(&next, "app-v"), [3, 4], "{key}");
    }
    // A condition of the operator names what it likes; names in values keep their schemas.
    let condition = json!({ "tables": ["app.t"], "stream_options": { "app-t": {
        "custom_where_clauses": ["id IN (SELECT app.kept())"] } } });
    let failed = read(&condition).go().exits(69);
    let told = "the function app.kept() uses names without a schema";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    let plain = read(&json!({ "tables": ["app.t"] })).go().success();
    assert_eq!(plain.records("app-t")[0]["kind"], "app.t");
    source.psql("ALTER TABLE app.t DROP COLUMN kind");
    assert_eq!(ids(&read(&condition).go().success(), "app-t"), [2, 3, 4]);
}

#[test]
fn a_function_that_does_not_find_its_names_is_told() {
    let target = database("bare_unknown");
    target.psql(
        "CREATE SCHEMA app; CREATE TABLE app.audit (id integer);
         CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO audit VALUES (NEW.id); RETURN NEW; END $$;
         CREATE TABLE app.t (id integer PRIMARY KEY, name text);
         CREATE TRIGGER log BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.log();",
    );
    for method in ["append-only", "upsert"] {
        let failed = load(&target, method, Lines::whole(&[(1, "a")])).go().exits(69);
        let told = "ALTER FUNCTION app.log() SET search_path";
        assert!(failed.stderr.contains(told), "{}", failed.stderr);
    }
    target.psql("ALTER FUNCTION app.log() SET search_path = app");
    load(&target, "upsert", Lines::whole(&[(1, "a")])).go().success();
    assert_eq!(target.psql("SELECT count(*) FROM app.audit"), "1");
}

#[test]
fn nothing_of_ours_is_found_by_the_path_of_the_role() {
    let database = with_path("bare_traps");
    // Each fits what a statement of ours may have better than what `pg_catalog` has.
    database.psql(
        "CREATE FUNCTION app.trap(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'trapped'; END $$;
         CREATE FUNCTION app.to_regclass(varchar) RETURNS regclass LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'trapped'; END $$;
         CREATE FUNCTION app.pg_relation_filenode(oid) RETURNS oid LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'trapped'; END $$;
         CREATE FUNCTION app.sha256(varchar) RETURNS bytea LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'trapped'; END $$;
         DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY '{=,<>,<,<=,>,>=}'::text[] LOOP
           EXECUTE format('CREATE OPERATOR app.%s (LEFTARG = varchar, RIGHTARG = varchar,
             FUNCTION = app.trap)', name); END LOOP; END $$;
         CREATE FUNCTION app.quiet() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RETURN NEW; END $$;
         CREATE TABLE app.src (k varchar(9) PRIMARY KEY, v varchar(9));
         INSERT INTO app.src VALUES ('a', 'x'), ('b', 'y'), ('c', 'z');
         CREATE VIEW app.view AS SELECT * FROM app.src;
         CREATE TABLE app.t (k varchar(9) PRIMARY KEY, v varchar(9));
         CREATE TRIGGER quiet BEFORE INSERT OR UPDATE ON app.t
           FOR EACH ROW EXECUTE FUNCTION app.quiet();",
    );
    let settings = json!({ "tables": ["app.view"], "max_record_count": 2,
        "replication": { "app.view": { "key": "k" } } });
    let first = from_database(&database, &settings).go().success();
    assert_eq!(first.records("app-view").len(), 2);
    let columns = json!({ "k": { "type": "string" }, "v": { "type": "string" } });
    let row = |k: &str, v: &str| json!({ "k": k, "v": v });
    for (method, last) in [("append-only", "a"), ("upsert", "b"), ("overwrite", "c")] {
        for value in ["1", "2"] {
            let key = if method == "append-only" { value } else { last };
            let lines = Lines::default()
                .syncing("t")
                .schema("t", &columns, &["k"])
                .record("t", &row(key, value))
                .record("t", &row(last, value))
                .done();
            load(&database, method, lines).go();
        }
    }
    let outcome = load(
        &database,
        "overwrite",
        Lines::default()
            .syncing("t")
            .schema("t", &columns, &["k"])
            .record("t", &row("d", "3"))
            .done(),
    );
    outcome.go().success();
    assert_eq!(database.psql("SELECT k OPERATOR(pg_catalog.||) v FROM app.t"), "d3");
}
