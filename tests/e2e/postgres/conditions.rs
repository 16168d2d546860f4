//! `custom_where_clauses` of tap-postgres: which rows are read, what the server says of a condition
//! before the first row, and that nobody takes what it leaves out for gone.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::run::{Outcome, Run, pipe, pipe_succeeds};

fn source() -> Database {
    let source = database("conditions");
    source.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, v text, at timestamptz NOT NULL);
         INSERT INTO t SELECT n, chr(96 + n), timestamptz '2026-01-01 20:00Z' + n * interval '1 d'
           FROM generate_series(1, 6) n",
    );
    source
}

fn options(stream: &str, clauses: &Value) -> Value {
    json!({ "stream_options": { stream: { "custom_where_clauses": clauses } } })
}

fn read(source: &Database, clauses: &Value) -> Run {
    from_database(source, &json!({ "tables": ["public.t"] })).config(&options("public-t", clauses))
}

fn by_key(run: Run, key: &str) -> Run {
    run.config(&json!({ "replication": { "public.t": { "key": key } } }))
}

fn ids(outcome: &Outcome, stream: &str) -> Vec<i64> {
    outcome.records(stream).iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

fn last_state(outcome: &Outcome) -> Value {
    let mut states = outcome.messages().into_iter().filter(|message| message["type"] == "STATE");
    states.next_back().unwrap()["value"].clone()
}

#[test]
fn rows_that_meet_all_conditions_are_read() {
    let source = source();
    source.psql(
        "CREATE VIEW view AS SELECT * FROM t;
         CREATE TABLE parent (id integer, v text);
         CREATE TABLE child () INHERITS (parent);
         CREATE TABLE own_child () INHERITS (parent);
         INSERT INTO parent SELECT id, v FROM t WHERE id < 3;
         INSERT INTO child SELECT id, v FROM t WHERE id BETWEEN 3 AND 4;
         INSERT INTO own_child SELECT id, v FROM t WHERE id > 4;",
    );
    source.psql(&format!("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'", source.name));
    let check = |clauses: Value, expected: &[i64]| {
        assert_eq!(ids(&read(&source, &clauses).go().success(), "public-t"), expected, "{clauses}");
    };
    check(json!([]), &[1, 2, 3, 4, 5, 6]);
    check(json!(["id = 1 OR id > 3", "v < 'e' -- the first letters"]), &[1, 4]);
    check(json!("t.id IN (SELECT id FROM public.parent WHERE v = 'b')"), &[2]);
    check(json!(["id > 9"]), &[]);
    // They compute in the zone of the role, as everybody else sees the rows.
    check(json!(["at::date = '2026-01-03'"]), &[1]);
    let of = |settings: Value, stream: &str, clause: &str| {
        let run = from_database(&source, &settings).config(&options(stream, &json!(clause)));
        ids(&run.go().success(), stream)
    };
    assert_eq!(of(json!({ "tables": ["public.view"] }), "public-view", "id > 4"), [5, 6]);
    let family = json!({ "tables": ["public.parent", "public.own_child"] });
    assert_eq!(of(family, "public-parent", "id > 1"), [2, 3, 4]);
    let plan = read(&source, &json!(["id > 1"])).args(["--plan"]).go().success();
    assert!(plan.text().contains("WHERE (id > 1"), "{}", plan.text());
    // With a key, a limit and a bookmark.
    let run = |state: Option<&Value>| {
        let run = by_key(read(&source, &json!(["id % 2 = 0"])), "id").set("max_record_count", 1);
        state.into_iter().fold(run, |run, state| run.json("--state", state)).go().success()
    };
    let first = run(None);
    assert_eq!(ids(&first, "public-t"), [2]);
    let second = run(Some(&last_state(&first)));
    assert_eq!(ids(&second, "public-t"), [2, 4]);
    assert_eq!(ids(&run(Some(&last_state(&second))), "public-t"), [4, 6]);
}

#[test]
fn what_is_no_condition_is_refused_before_the_first_row() {
    let source = source();
    source.psql("CREATE TABLE a (id integer); INSERT INTO a VALUES (1)");
    for clause in [
        "true) OR (true",
        "true) AND id > 1 AND (true",
        "id > 1)",
        "(id > 1",
        "id > 1; DROP TABLE a",
        "true) own) TO STDOUT; DROP TABLE a; SELECT (true",
        "true THEN true END --",
        "/* id > 1",
        "id = 'x",
        "-- id > 1",
        " ",
        "id",
        "count(*) > 1",
        "nothing > 1",
        "id > 'x'",
        "id = $1",
        "no_such_function(id)",
        "EXISTS (SELECT FROM public.no_such_table)",
    ] {
        let run = from_database(&source, &options("public-t", &json!(["id > 0", clause])));
        let outcome = run.go().exits(78);
        for told in ["setting: stream_options.custom_where_clauses", "stream: public-t", "hint: "] {
            assert!(outcome.stderr.contains(told), "{clause}: {}", outcome.stderr);
        }
        assert!(!outcome.text().contains("RECORD"), "{clause}: {}", outcome.text());
    }
    assert_eq!(source.psql("SELECT count(*) FROM a"), "1");
    let unknown = from_database(&source, &options("public-tt", &json!(["true"]))).go().exits(78);
    assert!(unknown.stderr.contains("did you mean `public-t`?"), "{}", unknown.stderr);
}

#[test]
fn what_a_condition_leaves_out_is_not_taken_for_gone() {
    let (source, scratch) = (source(), folder());
    let target = database("conditions_target");
    let some = json!(["id > 4"]);
    let versions = json!({ "emit_activate_version_messages": true });
    let part = read(&source, &some).config(&versions).go().success();
    assert!(!part.text().contains("ACTIVATE_VERSION"), "{}", part.text());
    let schema = part.messages().into_iter().find(|message| message["type"] == "SCHEMA").unwrap();
    assert_eq!(schema["resumed_from"]["custom_where_clauses"], some, "{schema}");

    let load = |clauses: &Value, method: &str| {
        let target = to_database(&target, &json!({ "load_method": method }));
        pipe(read(&source, clauses), target).1
    };
    load(&json!([]), "overwrite").success();
    let refused = load(&some, "overwrite").exits(78);
    assert!(refused.stderr.contains("`custom_where_clauses`"), "{}", refused.stderr);
    load(&some, "upsert").success();
    assert_eq!(target.psql("SELECT count(*) FROM t"), "6");

    let lake = scratch.path().join("output");
    let extract = |clauses: &Value| pipe(read(&source, clauses), to_lake(&lake, "postgres", DAY)).1;
    extract(&some).success();
    extract(&some).success();
    let refused = extract(&json!(["id > 5"])).exits(78);
    assert!(refused.stderr.contains("`custom_where_clauses`"), "{}", refused.stderr);
    pipe_succeeds(read(&source, &json!([])), to_lake(&lake, "postgres", DAY));
}

#[test]
fn another_condition_under_a_bookmark_is_told() {
    let source = source();
    let run = |clauses: Value, state: Option<&Value>| {
        let run = by_key(read(&source, &clauses), "at");
        state.into_iter().fold(run, |run, state| run.json("--state", state)).go().success()
    };
    let first = run(json!(["v <> 'a'", "v <> 'b'"]), None);
    assert_eq!(ids(&first, "public-t"), [3, 4, 5, 6]);
    let state = last_state(&first);
    let told = |clauses: Value| {
        run(clauses, Some(&state)).stderr.contains("W-CONDITION-CHANGED: stream public-t")
    };
    assert!(!told(json!(["v <> 'b'", "v <> 'a'"])));
    assert!(!told(json!(["v <> 'b'", "v <> 'a'", "v <> 'c'"])), "rows up to it were all read");
    assert!(told(json!(["v <> 'b'"])));
    assert!(told(json!(["v <> 'b' AND v <> 'a'"])), "who knows what it means");
    assert!(told(json!([])));
}
