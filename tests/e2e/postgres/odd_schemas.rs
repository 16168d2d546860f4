//! SCHEMA messages that say less, or something else, than they should.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::messages::Lines;
use support::pipes::{from_database, to_database};
use support::run::{Outcome, feed, pipe_succeeds};

fn load(target: &Database, property: &Value, values: &[Value]) -> Outcome {
    let columns = json!({ "id": { "type": "integer" }, "v": property });
    let lines = Lines::default().syncing("t").schema("t", &columns, &["id"]);
    let lines = values
        .iter()
        .zip(1..)
        .fold(lines, |lines, (value, id)| lines.record("t", &json!({ "id": id, "v": value })));
    target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
    to_database(target, &json!({})).input(lines.done().0).go()
}

fn type_of(target: &Database, column: &str) -> String {
    target.psql(&format!(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = 't'::regclass AND attname = '{column}'"
    ))
}

#[test]
fn unknown_types_are_refused_with_the_property() {
    let target = database("odd_types");
    for property in [
        json!({ "type": "sting" }),
        json!({ "type": ["null", "sting"] }),
        json!({ "anyOf": [{ "type": "null" }, { "type": "sting" }] }),
    ] {
        let refused = load(&target, &property, &[json!("x")]).exits(76);
        for word in [
            "property: v",
            "type: sting",
            "stream: t",
            "did you mean `string`?",
            "the types are string",
        ] {
            assert!(refused.stderr.contains(word), "{property}: {}", refused.stderr);
        }
        assert_eq!(target.psql("SELECT to_regclass('t') IS NULL"), "t");
        let scratch = folder();
        let columns = json!({ "v": property });
        let lines = Lines::default().schema("t", &columns, &[]).0;
        feed("target-csv", &json!({ "output_path": scratch.path() }), &lines).exits(76);
    }
}

#[test]
fn what_is_surely_text_is_text() {
    let target = database("odd_text");
    for property in [
        json!({ "x-sql-datatype": "my_type" }),
        json!({ "allOf": [{ "type": ["string", "null"] }] }),
        json!({ "allOf": [{ "type": ["string", "null"] }, { "maxLength": 20 }] }),
    ] {
        load(&target, &property, &[json!("a \"b\""), json!(null), json!("7")]).success();
        assert_eq!(type_of(&target, "v"), "text", "{property}");
        let kept = target.psql("SELECT string_agg(coalesce(v, '-'), ',' ORDER BY id) FROM t");
        assert_eq!(kept, "a \"b\",-,7", "{property}");
    }
    let any = json!({ "x-sql-datatype": "my_type" });
    load(&target, &any, &[json!(7), json!(true)]).success();
    assert_eq!(target.psql("SELECT string_agg(v, ',' ORDER BY id) FROM t"), "7,true");
    // JSON stays what it is.
    for property in [json!({ "x-sql-datatype": "jsonb" }), json!({})] {
        load(&target, &property, &[json!({ "a": [1] }), json!("x")]).success();
        assert_eq!(type_of(&target, "v"), "jsonb", "{property}");
    }
}

#[test]
fn a_schema_without_keys_has_none_and_says_so() {
    let target = database("odd_keys");
    for keys in [json!({}), json!({ "key_properties": null })] {
        let mut schema = json!({
            "type": "SCHEMA", "stream": "t",
            "schema": { "type": "object", "properties": { "id": { "type": "integer" } } },
        });
        schema.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let lines = Lines::default().message(&schema).record("t", &json!({ "id": 1 }));
        target.psql("DROP TABLE IF EXISTS t, _sdc_tables");
        let outcome = to_database(&target, &json!({})).input(lines.0).go().success();
        assert_eq!(outcome.stderr.matches("W-KEYS-MISSING: ").count(), 1, "{}", outcome.stderr);
        assert_eq!(target.psql("SELECT count(*) FROM t"), "1");
    }
}

/// Types that only have the name of the source's, and values that name objects of the source.
#[test]
fn names_of_types_that_mean_something_else_here_are_text() {
    let (source, target) = (database("odd_source"), database("odd_target"));
    source.psql(
        "CREATE TYPE orders AS ENUM ('new', 'old'); CREATE DOMAIN items AS text;
         CREATE TABLE only_here (a int);
         CREATE TABLE t (id bigint PRIMARY KEY, e orders, es orders[], d items, c regclass,
           r regrole, ty regtype[]);
         INSERT INTO t VALUES (1, 'new', '{old,new}', '(1)', 'only_here', 'postgres', '{integer}')",
    );
    target.psql("CREATE TABLE orders (a int); CREATE TABLE items (a int)");
    let load = || {
        let settings = json!({ "table_names": { "public-only_here": "elsewhere" } });
        pipe_succeeds(from_database(&source, &json!({})), to_database(&target, &settings)).1
    };
    let loaded = load();
    assert!(loaded.stderr.contains("W-TYPE-AS-TEXT"), "{}", loaded.stderr);
    let kept = target.psql("SELECT e, es, d, c, r, ty FROM t");
    assert_eq!(kept, "new|[\"old\", \"new\"]|(1)|public.only_here|postgres|[\"integer\"]");
    for (column, expected) in [("e", "text"), ("d", "text"), ("c", "text"), ("r", "text")] {
        assert_eq!(type_of(&target, column), expected, "{column}");
    }
    // Again, into the table that is there.
    load();
    // A column that somebody made of the type keeps it.
    target.psql("ALTER TABLE t ALTER c TYPE regclass USING 't'::regclass");
    source.psql("UPDATE t SET c = 'pg_class'");
    load();
    assert_eq!(target.psql("SELECT c FROM t"), "pg_class");
}
