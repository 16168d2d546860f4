//! Every hint is followed to the letter, and then the load succeeds.

use serde_json::{Value, json};

use support::cluster::{Database, database, database_of, private};
use support::messages::Lines;
use support::pipes::to_database;
use support::run::Outcome;

/// What a hint says to do.
enum Step {
    /// The SQL behind `run: `.
    Run,
    /// What the words say, as SQL.
    Sql(&'static str),
    /// A setting.
    Set(Value),
}

struct Case {
    /// What provokes the failure: SQL, and settings.
    before: &'static str,
    settings: Value,
    code: i32,
    /// What the message and its hint say.
    says: [&'static str; 2],
    step: Step,
}

fn case(before: &'static str, code: i32, says: [&'static str; 2], step: Step) -> Case {
    Case { before, settings: json!({}), code, says, step }
}

/// The statement behind `run: ` in the hint.
fn statement(outcome: &Outcome) -> &str {
    let hint = outcome.stderr.split("hint: ").nth(1).unwrap_or_default();
    let line = hint.split("run: ").nth(1).unwrap_or_else(|| panic!("{}", outcome.stderr));
    line.lines().next().unwrap()
}

fn rows() -> Lines {
    Lines::whole(&[(1, "a"), (2, "b")])
}

fn check(target: &Database, case: &Case, input: &Lines) {
    let name = case.before;
    target.psql(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC",
    );
    target.psql(case.before);
    let load =
        |more: &Value| to_database(target, &case.settings).config(more).input(input.0.clone()).go();
    let failed = load(&json!({})).exits(case.code);
    let [message, hint] = case.says;
    assert!(failed.stderr.contains(message), "{name}: {}", failed.stderr);
    let (_, told) =
        failed.stderr.split_once("hint: ").unwrap_or_else(|| panic!("{}", failed.stderr));
    assert!(told.contains(hint), "{name}: {}", failed.stderr);
    let set = match &case.step {
        Step::Run => {
            target.psql(statement(&failed));
            json!({})
        }
        Step::Sql(sql) => {
            target.psql(sql);
            json!({})
        }
        Step::Set(settings) => settings.clone(),
    };
    load(&set).success();
}

#[test]
fn keys_of_tables() {
    let target = database("hint_keys");
    let no_index = "cannot find rows by key";
    for case in [
        case(
            "CREATE TABLE t (id bigint, name text)",
            65,
            [no_index, "run: ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY (\"id\")"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (id bigint, name text PRIMARY KEY)",
            65,
            ["key of the table: name", "run: CREATE UNIQUE INDEX ON"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY DEFERRABLE, name text)",
            65,
            [no_index, "run: CREATE UNIQUE INDEX ON"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (\"ID\" bigint PRIMARY KEY, name text)",
            65,
            ["key of the table: ID", "run: ALTER TABLE \"public\".\"t\" RENAME COLUMN \"ID\" TO"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (\"Id\" bigint UNIQUE, name text)",
            65,
            [no_index, "RENAME COLUMN \"Id\" TO \"id\""],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (id bigint, name text) PARTITION BY LIST (name);
             CREATE TABLE rest PARTITION OF t DEFAULT",
            65,
            [no_index, "load by `append-only`"],
            Step::Set(json!({ "load_method": "append-only" })),
        ),
        case(
            "CREATE TABLE t (id bigint, name text, PRIMARY KEY (name)) PARTITION BY LIST (name);
             CREATE TABLE rest PARTITION OF t DEFAULT",
            65,
            ["key of the table: name", "load by `append-only`"],
            Step::Set(json!({ "load_method": "append-only" })),
        ),
        case(
            "CREATE TABLE t (n bigint, id bigint GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY,
               name text)",
            65,
            ["by a key that the table computes", "run: ALTER TABLE"],
            Step::Run,
        ),
    ] {
        check(&target, &case, &rows());
    }
}

#[test]
fn columns_of_keys_are_never_null() {
    let target = database("hint_null_key");
    let never = "the column belongs to the primary key";
    let append = json!({ "load_method": "append-only" });
    let apart = || Step::Set(json!({ "default_target_schema": "apart" }));
    let days = "CREATE TABLE t (id bigint, name text, _sdc_source text, _sdc_datestamp date,
                  PRIMARY KEY (id, _sdc_source, _sdc_datestamp))";
    for (before, words, step) in [
        (
            "CREATE TABLE t (id bigint, name text, k text PRIMARY KEY)",
            ["column: k", never],
            apart(),
        ),
        (
            "CREATE TABLE t (id bigint, name text, k int PRIMARY KEY DEFERRABLE)",
            ["column: k", never],
            Step::Sql("ALTER TABLE t ALTER k ADD GENERATED BY DEFAULT AS IDENTITY"),
        ),
        (
            days,
            ["column: _sdc_source", "the table holds days"],
            Step::Set(json!({
                "load_method": "replace-partition", "source": "s", "datestamp": "2026-11-20"
            })),
        ),
    ] {
        let case = Case { settings: append.clone(), ..case(before, 65, words, step) };
        check(&target, &case, &rows());
    }
}

#[test]
fn rules_of_tables() {
    let target = database("hint_rules");
    let names = "sqlstate: 23505";
    for case in [
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text, must text NOT NULL)",
            65,
            ["sqlstate: 23502", "run: ALTER TABLE \"public\".\"t\" ALTER COLUMN \"must\" DROP NOT"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text, one int DEFAULT 1);
             CREATE UNIQUE INDEX only_one ON t (one)",
            65,
            [names, "that `constraint` names"],
            Step::Sql("DROP INDEX only_one"),
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY,
               name text CONSTRAINT long CHECK (length(name) > 3))",
            65,
            ["constraint: long", "a row does not meet a condition of the table"],
            Step::Sql("ALTER TABLE t DROP CONSTRAINT long"),
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (2)",
            65,
            ["no partition of relation", "run: CREATE TABLE \"public\".\"t_rest\" PARTITION OF"],
            Step::Run,
        ),
        case(
            "CREATE TABLE other (name text PRIMARY KEY);
             CREATE TABLE t (id bigint PRIMARY KEY, name text REFERENCES other)",
            65,
            ["sqlstate: 23503", "load the table of those rows first"],
            Step::Sql("INSERT INTO other VALUES ('a'), ('b')"),
        ),
    ] {
        check(&target, &case, &rows());
    }
}

#[test]
fn what_is_beside_the_rules_of_a_table() {
    let target = database("hint_beside");
    for case in [
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name text);
             CREATE SCHEMA apart; CREATE TABLE apart.seen (n bigint);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NEW; END $$;
             CREATE TRIGGER note BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note()",
            69,
            ["relation \"seen\" does not exist", "run: ALTER FUNCTION note() SET search_path"],
            Step::Sql("ALTER FUNCTION note() SET search_path = apart"),
        ),
        case(
            "CREATE TABLE other (id bigint PRIMARY KEY, name text);
             CREATE VIEW t AS SELECT * FROM other",
            69,
            ["cannot load into a view or foreign table", "choose another schema"],
            Step::Set(json!({ "default_target_schema": "other" })),
        ),
        case(
            "CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text,
               n bigint GENERATED ALWAYS AS IDENTITY, more text COLLATE \"C\" NOT NULL)",
            65,
            ["column: more", "DROP NOT NULL"],
            Step::Run,
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name bigint)",
            65,
            ["cannot change the type of the column safely", "set `on_type_change` to `widen`"],
            Step::Set(json!({ "on_type_change": "widen" })),
        ),
        case(
            "CREATE TABLE t (id bigint PRIMARY KEY, name int4range)",
            65,
            ["malformed range literal", "or change the column to a wider type or to text"],
            Step::Sql("ALTER TABLE t ALTER name TYPE text"),
        ),
    ] {
        check(&target, &case, &rows());
    }
}

#[test]
fn values_that_columns_refuse() {
    let target = database("hint_values");
    let lines = |property: &Value, value: &Value| {
        let columns = json!({ "id": { "type": "integer" }, "v": property });
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        lines.record("t", &json!({ "id": 1, "v": value })).done()
    };
    let raw = |value: &str| {
        let columns = json!({ "id": { "type": "integer" }, "v": {} });
        let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
        let record = format!(r#"{{"type":"RECORD","stream":"t","record":{{"id":1,"v":{value}}}}}"#);
        lines.raw(record).done()
    };
    let number = json!({ "type": "number" });
    for (case, input) in [
        (
            case(
                "CREATE TABLE t (id bigint PRIMARY KEY, v real)",
                65,
                ["its column would change the number", "change the type of the column to numeric"],
                Step::Sql("ALTER TABLE t ALTER v TYPE numeric"),
            ),
            lines(&number, &json!(123_456_789.12)),
        ),
        (
            case(
                "SELECT",
                65,
                ["an object has a key twice", "load it into a column of type json"],
                Step::Sql("CREATE TABLE t (id bigint PRIMARY KEY, v json)"),
            ),
            raw(r#"{"a":1,"a":2}"#),
        ),
        (
            case(
                "SELECT",
                65,
                ["the value has U+0000", "set `sanitize_null_text_characters`"],
                Step::Set(json!({ "sanitize_null_text_characters": true })),
            ),
            lines(&json!({ "type": "string" }), &json!("a\0b")),
        ),
        (
            case(
                "CREATE TABLE t (id bigint PRIMARY KEY, v tsvector)",
                65,
                ["would change the value", "load it into a column of type text"],
                Step::Sql("ALTER TABLE t ALTER v TYPE text"),
            ),
            lines(&json!({ "type": "string" }), &json!("a a b")),
        ),
        (
            case(
                "CREATE TABLE t (id bigint PRIMARY KEY, v bigint GENERATED ALWAYS AS IDENTITY);
                 INSERT INTO t (id) VALUES (1)",
                65,
                ["cannot change an identity column", "run: ALTER TABLE"],
                Step::Run,
            ),
            lines(&json!({ "type": "integer" }), &json!(7)),
        ),
    ] {
        check(&target, &case, &input);
    }
}

#[test]
fn names_and_streams() {
    let target = database("hint_names");
    let two = |one: &str, other: &str| {
        let opened = |stream: &str| {
            let columns = json!({ "id": { "type": "integer" } });
            let lines = Lines::default().syncing(stream).schema(stream, &columns, &["id"]);
            lines.record(stream, &json!({ "id": 1 })).0
        };
        Lines([opened(one), opened(other), Lines::default().done().0].concat())
    };
    let both = case(
        "SELECT",
        78,
        ["cannot load two streams into one table", "in `table_names`"],
        Step::Set(json!({ "table_names": { "b-t": "b_t" } })),
    );
    check(&target, &both, &two("a-t", "b-t"));
    // A table that another stream has filled is given up by name.
    target.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    to_database(&target, &json!({})).input(rows().0).go().success();
    let columns = json!({ "id": { "type": "integer" } });
    let other = Lines::default().syncing("x-t").schema("x-t", &columns, &["id"]).done();
    let load = || to_database(&target, &json!({})).input(other.0.clone()).go();
    let refused = load().exits(78);
    assert!(refused.stderr.contains("into the table of another one"), "{}", refused.stderr);
    // Other keys come of the other stream: that is what is told.
    let columns = json!({ "code": { "type": "string" } });
    let keyed = Lines::default().syncing("x-t").schema("x-t", &columns, &["code"]).done();
    let by_code = to_database(&target, &json!({})).input(keyed.0).go().exits(78);
    assert!(by_code.stderr.contains("into the table of another one"), "{}", by_code.stderr);
    target.psql(statement(&refused));
    load().success();
    // Versions without their columns.
    let version = json!({ "type": "ACTIVATE_VERSION", "stream": "t", "version": 3 });
    let lines = Lines::opened().row(1, "a").message(&version).done();
    let versions = Case {
        settings: json!({ "default_target_schema": "public" }),
        ..case(
            "SELECT",
            78,
            ["cannot act on ACTIVATE_VERSION", "set `add_record_metadata` to true"],
            Step::Set(json!({ "add_record_metadata": true })),
        )
    };
    check(&target, &versions, &lines);
    let metadata = Case {
        settings: json!({ "add_record_metadata": true, "metadata_columns": ["_sdc_sequence"] }),
        ..case(
            "SELECT",
            78,
            ["cannot leave out a metadata column", "set `activate_version` to false"],
            Step::Set(json!({ "activate_version": false })),
        )
    };
    check(&target, &metadata, &rows());
}

/// Rights and limits of a role, in a cluster of its own.
#[test]
fn rights_and_limits_of_a_role() {
    let cluster = private("");
    let target = database_of(&cluster, "hint_rights");
    target.psql("CREATE ROLE loader LOGIN");
    let as_loader = json!({ "user": "loader" });
    let grant = "grant the user the right";
    for (before, code, says, sql) in [
        (
            "SELECT",
            77,
            ["permission denied for schema", grant],
            "GRANT CREATE ON SCHEMA public TO loader",
        ),
        (
            "CREATE TABLE t (id bigint PRIMARY KEY, name text)",
            77,
            ["permission denied for table", grant],
            "GRANT SELECT, INSERT, UPDATE ON t TO loader",
        ),
        (
            "CREATE TABLE t (id bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'old');
             GRANT SELECT, INSERT, UPDATE ON t TO loader;
             DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC',
               current_database()); END $$",
            77,
            ["permission denied to create temporary tables", "GRANT TEMPORARY ON DATABASE"],
            "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO loader',
               current_database()); END $$",
        ),
        (
            "CREATE TABLE t (id bigint PRIMARY KEY, name text); GRANT ALL ON t TO loader;
             ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            77,
            ["row-level security", "give the user BYPASSRLS"],
            "ALTER ROLE loader BYPASSRLS",
        ),
        (
            "ALTER ROLE loader SET default_transaction_read_only = on;
             GRANT CREATE ON SCHEMA public TO loader",
            75,
            ["read-only transaction", "default_transaction_read_only is on"],
            "ALTER ROLE loader RESET default_transaction_read_only",
        ),
        (
            "CREATE TABLE t (id bigint PRIMARY KEY, name text); GRANT ALL ON t TO loader;
             CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION slow();
             ALTER ROLE loader SET statement_timeout = '400ms'",
            75,
            ["sqlstate: 57014", "raise it (ALTER ROLE ... SET statement_timeout)"],
            "ALTER ROLE loader SET statement_timeout = 0",
        ),
    ] {
        let case = Case { settings: as_loader.clone(), ..case(before, code, says, Step::Sql(sql)) };
        check(&target, &case, &rows());
    }
}

#[test]
fn connections_and_encodings() {
    let target = database("hint_connect");
    let wrong = [
        (json!({ "user": "nobody_here" }), 77, "check `user`"),
        (json!({ "database": "nothing_here" }), 69, "check `database`"),
    ];
    for (settings, code, hint) in wrong {
        let refused = to_database(&target, &settings).input(rows().0).go().exits(code);
        assert!(refused.stderr.contains(&format!("hint: {hint}")), "{}", refused.stderr);
    }
    let name = format!("{}_latin", target.name);
    target.psql(&format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ));
    let lines = Lines::whole(&[(1, "\u{20ac}")]).0;
    let latin = json!({ "database": name });
    let refused = to_database(&target, &latin).input(lines.clone()).go().exits(65);
    assert!(refused.stderr.contains("encoding \"LATIN1\""), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: the encoding of the database lacks"), "{refused:?}");
    target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
    to_database(&target, &json!({})).input(lines).go().success();
}

/// Tables wider than the staging of their rows are refused from the first load on.
#[test]
fn a_table_is_not_loaded_once_and_then_never() {
    let target = database("hint_width");
    let lines = |columns: usize| {
        let names = (0..columns).map(|at| format!("c{at}"));
        let properties: serde_json::Map<_, _> =
            names.map(|name| (name, json!({ "type": "integer" }))).collect();
        let lines = Lines::default().syncing("t").schema("t", &properties.into(), &["c0"]);
        lines.record("t", &json!({ "c0": 1 })).done()
    };
    for _ in 0..2 {
        to_database(&target, &json!({})).input(lines(1593).0).go().success();
    }
    for columns in [1594, 1600] {
        check(
            &target,
            &case(
                "SELECT",
                65,
                ["columns of the staging table: 7", "or load by `append-only`"],
                Step::Set(json!({ "load_method": "append-only" })),
            ),
            &lines(columns),
        );
        let adds = json!({ "load_method": "append-only" });
        to_database(&target, &adds).input(lines(columns).0).go().success();
        assert_eq!(target.psql("SELECT count(*) FROM t"), "2");
    }
}
