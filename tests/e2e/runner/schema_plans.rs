//! `chorus schema`: the tables of a job as a whole, planned and changed.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::project::Project;
use support::run::{Outcome, file};

const JOB: &str = "load";
const SCRIPT: &str = "cd \"$(dirname \"$0\")\"\ncase \"$*\" in\n\
                      *--discover*) cat catalog.json;;\n*) cat messages.jsonl;;\nesac\n";

/// A project whose tap has the streams that a test says.
struct Tables {
    project: Project,
    database: Database,
}

/// A stream: its name, its keys, its properties and its rows.
type Described<'a> = (&'a str, &'a [&'a str], Value, &'a [Value]);

impl Tables {
    fn new(purpose: &str, target: &Value) -> Self {
        let database = database(purpose);
        let mut settings = database.settings_with(target);
        settings["default_target_schema"] = "raw".into();
        if settings["add_record_metadata"].is_null() {
            settings["add_record_metadata"] = false.into();
        }
        let taps = "  - {name: tap-x, executable: ./tap-x, capabilities: [catalog, discover]}\n";
        let loaders = format!(
            "  - {{name: target-postgres, executable: target-postgres, config: {settings}}}\n"
        );
        let jobs = format!(
            "- {{name: {JOB}, tasks: [tap-x target-postgres]}}\n\
             - {{name: days, tasks: [tap-x target-csv]}}\n"
        );
        let project = Project::with(taps, &loaders, &jobs);
        project.script("tap-x", SCRIPT);
        Self { project, database }
    }

    /// Has the tap have these streams.
    fn streams(&self, streams: &[Described<'_>]) {
        let (mut catalog, mut messages) = (Vec::new(), String::new());
        for (name, keys, properties, rows) in streams {
            let schema = json!({ "type": "object", "properties": properties });
            catalog.push(json!({
                "stream": name, "tap_stream_id": name, "schema": schema,
                "key_properties": keys,
                "metadata": [{ "breadcrumb": [], "metadata": { "selected": true } }],
            }));
            let schema = json!({
                "type": "SCHEMA", "stream": name, "schema": schema, "key_properties": keys,
            });
            let _ = writeln!(messages, "{schema}");
            for row in *rows {
                let record = json!({ "type": "RECORD", "stream": name, "record": row });
                let _ = writeln!(messages, "{record}");
            }
        }
        file(&self.project.root, "catalog.json", json!({ "streams": catalog }).to_string());
        file(&self.project.root, "messages.jsonl", messages);
    }

    fn load(&self) {
        self.project.chorus(&["run", JOB, "--retries", "0"]).go().success();
    }

    fn schema(&self, words: &[&str]) -> Outcome {
        self.project.chorus(&["schema"]).args(words).go()
    }

    fn plan(&self) -> Value {
        let shown = self.schema(&["plan", JOB, "--format", "json"]).success();
        serde_json::from_slice(&shown.stdout).unwrap()
    }

    /// Writes a plan to a file.
    fn planned(&self) -> String {
        let path = self.project.root.join("plan.json").to_string_lossy().into_owned();
        self.schema(&["plan", JOB, "--output", &path]).success();
        path
    }

    /// Plans, and applies the plan.
    fn apply(&self, more: &[&str]) -> Outcome {
        let path = self.planned();
        self.schema(&[&["apply", &path], more].concat())
    }

    #[track_caller]
    fn has_nothing_to_do(&self) {
        let shown = self.schema(&["plan", JOB]).success().text();
        assert!(shown.ends_with("nothing to do\n"), "{shown}");
    }

    fn columns(&self, table: &str) -> String {
        self.database.psql(&format!(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY \
             attname) FROM pg_attribute WHERE attrelid = to_regclass('raw.{table}') AND attnum > 0 \
             AND NOT attisdropped"
        ))
    }
}

fn text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn whole() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 30000 })
}

fn large() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 3_000_000_000_u64 })
}

fn with_id(mut schema: Value, id: &str) -> Value {
    schema["x-column-id"] = id.into();
    schema
}

#[test]
fn a_plan_names_each_kind_of_change_and_apply_makes_it() {
    let tables = Tables::new("schema_kinds", &json!({}));
    let before = json!({ "id": whole(), "mail": with_id(text(), "m"), "old": text() });
    let rows = [json!({ "id": 1, "mail": "a", "old": "x" }), json!({ "id": 2, "mail": "b" })];
    let gone = json!({ "id": whole() });
    tables.streams(&[
        ("people", &["id"], before, &rows),
        ("gone", &["id"], gone, &[json!({ "id": 1 })]),
    ]);
    let shown = tables.schema(&["build", JOB]).success().text();
    assert!(shown.contains("create table raw.people"), "{shown}");
    assert!(tables.schema(&["build", JOB]).success().text().ends_with("nothing to do\n"));
    assert_eq!(tables.database.psql("SELECT count(*) FROM raw.people"), "0");
    tables.load();
    tables.has_nothing_to_do();
    let own = "CREATE TABLE raw.own (a text); CREATE ROLE reader_of_kinds; \
               GRANT SELECT ON raw.people TO reader_of_kinds; \
               CREATE INDEX by_mail ON raw.people (mail); \
               COMMENT ON COLUMN raw.people.mail IS 'where to write'; \
               ALTER TABLE raw.people ADD COLUMN seen timestamptz DEFAULT now()";
    tables.database.psql(own);

    let after = json!({
        "id": large(), "email": with_id(text(), "m"), "country": text(),
    });
    tables.streams(&[("people", &["id"], after.clone(), &[]), ("new", &["id"], gone_of(), &[])]);
    let plan = tables.plan();
    assert_eq!(plan["schema"], "raw");
    assert_eq!(plan["create"], json!(["new"]));
    assert_eq!(plan["delete"], json!(["gone"]));
    let people = &plan["changes_detail"]["people"];
    assert_eq!(people["has_changed"], true);
    assert_eq!(people["new_fields"], json!(["country"]));
    assert_eq!(people["deleted_fields"], json!(["old"]));
    assert_eq!(people["intersect_fields"], json!(["id", "email"]));
    assert_eq!(people["renamed_fields"], json!({ "mail": "email" }));
    let retyped = json!([{ "column": "id", "from": "smallint", "to": "bigint" }]);
    assert_eq!(people["changed_types"], retyped);

    let refused = tables.apply(&[]).exits(64);
    assert!(refused.stderr.contains("column old and its values"), "{}", refused.stderr);
    assert!(tables.columns("people").contains("mail text"));
    tables.apply(&["--allow-drop"]).success();
    assert_eq!(
        tables.columns("people"),
        "country text, email text, id bigint, seen timestamp with time zone"
    );
    let kept = "SELECT string_agg(id || email, ',' ORDER BY id) FROM raw.people";
    assert_eq!(tables.database.psql(kept), "1a,2b");
    let rest = "SELECT has_table_privilege('reader_of_kinds', 'raw.people', 'SELECT'), \
                to_regclass('raw.by_mail') IS NOT NULL, to_regclass('raw.gone') IS NULL, \
                to_regclass('raw.own') IS NOT NULL, col_description('raw.people'::regclass, \
                (SELECT attnum FROM pg_attribute WHERE attrelid = 'raw.people'::regclass \
                AND attname = 'email'))";
    assert_eq!(tables.database.psql(rest), "t|t|t|t|where to write");
    tables.has_nothing_to_do();
    tables.streams(&[("people", &["id"], after, &[json!({ "id": 3, "email": "c" })])]);
    tables.load();
    assert_eq!(tables.database.psql(kept), "1a,2b,3c");
}

fn gone_of() -> Value {
    json!({ "id": whole() })
}

#[test]
fn a_key_changes_where_no_two_rows_have_it() {
    let tables = Tables::new("schema_keys", &json!({}));
    let properties = json!({ "id": whole(), "day": text() });
    let rows = [json!({ "id": 1, "day": "a" }), json!({ "id": 2, "day": "a" })];
    tables.streams(&[("days", &["id"], properties.clone(), &rows)]);
    tables.load();
    tables.streams(&[("days", &["id", "day"], properties.clone(), &rows)]);
    assert_eq!(tables.plan()["changes_detail"]["days"]["key"], json!([["id"], ["id", "day"]]));
    tables.apply(&[]).success();
    tables.has_nothing_to_do();
    tables.load();
    tables.streams(&[("days", &["day"], properties, &rows)]);
    let refused = tables.apply(&[]).exits(65);
    assert!(refused.stderr.contains("several rows have the same key"), "{}", refused.stderr);
    assert_eq!(tables.database.psql("SELECT count(*) FROM raw.days"), "2");
}

#[test]
fn apply_then_plan_finds_nothing_for_many_shapes() {
    let tables = Tables::new("schema_shapes", &json!({ "add_record_metadata": true }));
    let shapes = [
        whole(),
        large(),
        text(),
        json!({ "type": ["number", "null"] }),
        json!({ "type": ["string", "null"], "format": "date-time" }),
        json!({ "type": ["string", "null"], "maxLength": 5 }),
        json!({ "type": ["object", "null"] }),
        json!({ "type": ["boolean", "null"] }),
    ];
    let mut seed: u32 = 7;
    let mut next = |most: usize| {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (seed >> 16) as usize % most
    };
    for round in 0..12 {
        let mut properties = serde_json::Map::from_iter([("id".to_owned(), whole())]);
        for column in ["a", "b", "c", "d"] {
            if next(3) > 0 {
                properties.insert(column.to_owned(), shapes[next(shapes.len())].clone());
            }
        }
        let keys: &[&str] = if next(4) == 0 { &[] } else { &["id"] };
        tables.streams(&[("shape", keys, Value::Object(properties.clone()), &[])]);
        let plan = tables.plan();
        let refill = &plan["plans"][0]["plan"]["tables"][0]["refill"];
        if refill.as_array().is_some_and(|why| !why.is_empty()) {
            tables.apply(&["--allow-drop"]).exits(69);
            tables.schema(&["drop", JOB, "--allow-drop"]).success();
            tables.schema(&["build", JOB]).success();
        } else {
            tables.apply(&["--allow-drop"]).success();
        }
        let shown = tables.schema(&["plan", JOB]).success().text();
        assert!(shown.ends_with("nothing to do\n"), "{round} {properties:?}: {shown}");
        tables.load();
        tables.has_nothing_to_do();
    }
}

#[test]
fn a_plan_of_another_database_changes_nothing() {
    let tables = Tables::new("schema_stale", &json!({}));
    let rows = [json!({ "id": 1, "a": "x" })];
    tables.streams(&[("t", &["id"], json!({ "id": whole(), "a": text() }), &rows)]);
    tables.load();
    let wanted = json!({ "id": whole(), "a": text(), "b": text() });
    tables.streams(&[("t", &["id"], wanted, &[]), ("u", &["id"], gone_of(), &[])]);
    let path = tables.planned();
    for change in [
        "ALTER TABLE raw.t ADD COLUMN c text",
        "CREATE INDEX ON raw.t (a)",
        "ALTER TABLE raw.t ALTER COLUMN a SET DEFAULT 'z'",
        "CREATE VIEW raw.v AS SELECT a FROM raw.t",
        "CREATE TABLE raw.u (id smallint PRIMARY KEY)",
    ] {
        tables.database.psql(change);
        let refused = tables.schema(&["apply", &path]).exits(65);
        assert!(refused.stderr.contains("the database has changed"), "{}", refused.stderr);
        assert!(!tables.columns("t").contains("b text"), "{change}");
    }
    // A plan is data: what it says is compared, and never run.
    tables.database.psql("DROP VIEW raw.v; DROP TABLE raw.u");
    let path = tables.planned();
    let mut plan: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    plan["plans"][0]["plan"]["tables"][0]["statements"] = json!(["DROP TABLE raw.t"]);
    file(&tables.project.root, "plan.json", plan.to_string());
    tables.schema(&["apply", &path, "--allow-drop"]).exits(78);
    assert_eq!(tables.database.psql("SELECT count(*) FROM raw.t"), "1");
    // What is no plan is refused by its form.
    file(&tables.project.root, "plan.json", "{}");
    tables.schema(&["apply", &path]).exits(65);
    tables.schema(&["apply", "nowhere.json"]).exits(66);
}

#[test]
fn dependent_views_and_keys_are_told_and_stay() {
    let tables = Tables::new("schema_views", &json!({}));
    let properties = json!({ "id": whole(), "a": text() });
    tables.streams(&[("t", &["id"], properties, &[json!({ "id": 1, "a": "x" })])]);
    tables.load();
    tables.database.psql(
        "CREATE VIEW raw.v AS SELECT id, a FROM raw.t; \
         CREATE TABLE raw.child (t smallint REFERENCES raw.t)",
    );
    tables.streams(&[("t", &["id"], json!({ "id": large() }), &[])]);
    let refused = tables.apply(&["--allow-drop"]).exits(69);
    assert!(refused.stderr.contains("raw.v"), "{}", refused.stderr);
    let refused = tables.schema(&["drop", JOB, "--allow-drop"]).exits(69);
    let told = tables.schema(&["drop", JOB]).text();
    assert!(told.contains("raw.v") && told.contains("raw.child"), "{told} {}", refused.stderr);
    assert_eq!(tables.database.psql("SELECT count(*) FROM raw.v"), "1");
    tables.database.psql("DROP VIEW raw.v; DROP TABLE raw.child");
    tables.apply(&["--allow-drop"]).success();
    assert_eq!(tables.columns("t"), "id bigint");
}

#[test]
fn tables_that_others_fill_are_left_alone() {
    let tables = Tables::new("schema_others", &json!({}));
    tables.database.psql(
        "CREATE SCHEMA raw; CREATE TABLE raw.mine (id smallint PRIMARY KEY, note text); \
         CREATE TABLE raw.other (id int)",
    );
    tables.streams(&[("mine", &["id"], gone_of(), &[json!({ "id": 1 })])]);
    let shown = tables.schema(&["plan", JOB]).success().text();
    assert!(shown.contains("left as it is") && shown.ends_with("nothing to do\n"), "{shown}");
    tables.schema(&["drop", JOB, "--allow-drop"]).success();
    tables.load();
    tables.streams(&[("mine", &["id"], gone_of(), &[]), ("new", &["id"], gone_of(), &[])]);
    let shown = tables.schema(&["plan", JOB, "--no-drop"]).success().text();
    assert!(!shown.contains("lost") && shown.contains("create table raw.new"), "{shown}");
    let asked = tables.schema(&["destroy", JOB]).exits(64);
    assert!(asked.stderr.contains("--allow-drop"), "{}", asked.stderr);
    assert_eq!(tables.database.psql("SELECT count(*) FROM raw.mine"), "1");
    tables.schema(&["destroy", JOB, "--allow-drop"]).success();
    let left = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
                WHERE relnamespace = 'raw'::regnamespace AND relkind = 'r'";
    assert_eq!(tables.database.psql(left), "_sdc_tables,other");
}

#[test]
fn a_job_without_tables_is_told_the_way() {
    let tables = Tables::new("schema_none", &json!({}));
    tables.streams(&[("t", &["id"], gone_of(), &[])]);
    for words in [["plan", "days"], ["build", "days"], ["drop", "days"]] {
        let refused = tables.schema(&words).exits(64);
        assert!(refused.stderr.contains("target-postgres"), "{}", refused.stderr);
    }
}

#[test]
fn a_killed_apply_leaves_the_tables_as_they_were() {
    let tables = Tables::new("schema_killed", &json!({ "lock_timeout_seconds": 60 }));
    let rows = [json!({ "id": 1 })];
    tables.streams(&[("a", &["id"], gone_of(), &rows), ("b", &["id"], gone_of(), &rows)]);
    tables.load();
    let wider = json!({ "id": large(), "more": text() });
    tables.streams(&[("a", &["id"], wider.clone(), &[]), ("b", &["id"], wider, &[])]);
    let path = tables.planned();
    // Whoever reads the second table holds the change of both up.
    let mut reader = tables.database.psql_command();
    let mut reader = reader
        .args(["-c", "BEGIN; LOCK TABLE raw.b IN ACCESS SHARE MODE", "-c", "SELECT pg_sleep(60)"])
        .spawn()
        .unwrap();
    tables.database.wait_for(
        "SELECT count(*) = 1 FROM pg_locks l JOIN pg_class c ON c.oid = \
                              l.relation WHERE c.relname = 'b' AND l.mode = 'AccessShareLock'",
    );
    let mut running = tables.project.chorus(&["schema", "apply", &path]).start(true);
    tables.database.wait_for("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted");
    // A second one does not wait.
    let second = tables.schema(&["apply", &path]).exits(75);
    assert!(second.stderr.contains("another command"), "{}", second.stderr);
    running.kill();
    running.wait();
    tables.database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' \
         AND pid <> pg_backend_pid()",
    );
    reader.wait().unwrap();
    tables.database.wait_for(
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'target-postgres' \
         AND datname = current_database()",
    );
    let both = [tables.columns("a"), tables.columns("b")];
    assert_eq!(both[0], both[1]);
    let shown = tables.schema(&["plan", JOB]).success().text();
    if !shown.ends_with("nothing to do\n") {
        tables.apply(&[]).success();
    }
    tables.has_nothing_to_do();
}
