//! Which stream fills which table: named by what the tap says, remembered, and kept to.

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::folder;
use support::messages::{Lines, columns};
use support::pipes::{DAY, extract, from_database, from_lake, to_database, to_lake};
use support::run::{Outcome, pipe_succeeds};

const METHODS: [&str; 4] = ["append-only", "upsert", "overwrite", "replace-partition"];

/// A run of one stream with one row, keyed by its id.
fn one(stream: &str, id: i64) -> Vec<u8> {
    let columns = json!({ "id": { "type": "integer" } });
    let lines = Lines::default().syncing(stream).schema(stream, &columns, &["id"]);
    lines.record(stream, &json!({ "id": id })).done().0
}

fn into(target: &Database, more: &Value, input: Vec<u8>) -> Outcome {
    to_database(target, more).input(input).go()
}

/// The tables of a database beside ours.
fn tables(database: &Database) -> String {
    database.psql(
        "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY 1)
         FROM (SELECT * FROM pg_tables ORDER BY schemaname COLLATE \"C\", tablename COLLATE \"C\") t
         WHERE tablename <> '_sdc_tables' AND schemaname !~ '^pg_|^information_schema$'",
    )
}

/// Two pairs of tables whose streams end alike.
fn dashed() -> Database {
    let source = database("dashed");
    source.psql(
        "CREATE TABLE \"order-items\" (id integer PRIMARY KEY);
         INSERT INTO \"order-items\" VALUES (1);
         CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (2);
         CREATE SCHEMA \"a-b\"; CREATE TABLE \"a-b\".c (id integer PRIMARY KEY);
         INSERT INTO \"a-b\".c VALUES (3);
         CREATE TABLE \"x--\" (id integer PRIMARY KEY); INSERT INTO \"x--\" VALUES (4)",
    );
    source
}

#[test]
fn a_dash_in_a_name_is_no_separator() {
    let (source, scratch) = (dashed(), folder());
    extract(&source, scratch.path(), DAY);
    let catalog = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let catalog: Value = serde_json::from_str(&catalog.text()).unwrap();
    assert!(!catalog.to_string().contains("x-table"), "a catalog is as it was");
    let ways = ["straight", "by a catalog", "by a day"];
    for (way, schema) in ways.iter().flat_map(|way| [(way, ""), (way, "raw")]) {
        let target = database("dashes");
        let more = json!({ "default_target_schema": schema });
        let catalogued = from_database(&source, &json!({})).json("--catalog", &catalog);
        let tap = match *way {
            "straight" => from_database(&source, &json!({})),
            "by a catalog" => catalogued,
            _ => from_lake(scratch.path(), DAY),
        };
        pipe_succeeds(tap, to_database(&target, &more));
        let expected = if schema.is_empty() {
            "a-b.c public.items public.order-items public.x--"
        } else {
            "raw.c raw.items raw.order-items raw.x--"
        };
        assert_eq!(tables(&target), expected, "{way}");
        let schema = if schema.is_empty() { "public" } else { schema };
        let rows = format!("SELECT id FROM {schema}.\"order-items\"");
        assert_eq!(target.psql(&rows), "1", "{way}");
        // A second load finds the same tables, and says nothing of them.
        let again = pipe_succeeds(from_database(&source, &json!({})), to_database(&target, &more));
        assert!(!again.1.stderr.contains("was filled before"), "{}", again.1.stderr);
        assert_eq!(tables(&target), expected, "{way}");
    }
}

#[test]
fn a_stream_of_another_name_is_not_the_table_that_was_said_of_it() {
    let source = dashed();
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
    for entry in catalog["streams"].as_array_mut().unwrap() {
        if entry["table_name"] == "order-items" {
            entry["stream"] = "lines".into();
        } else {
            entry["metadata"].as_array_mut().unwrap()[0]["metadata"]["selected"] = false.into();
        }
    }
    let target = database("renamed");
    let tap = from_database(&source, &json!({})).json("--catalog", &catalog);
    pipe_succeeds(tap, to_database(&target, &json!({})));
    assert_eq!(tables(&target), "public.lines");
}

#[test]
fn another_stream_is_refused_whenever_it_comes() {
    for method in METHODS {
        let target = database("taken");
        let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
        into(&target, &more, one("order-items", 1)).success();
        let ids = || target.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM items");
        for stream in ["items", "other-items"] {
            let refused = into(&target, &more, one(stream, 2)).exits(78);
            for word in ["filled by: order-items", &format!("stream: {stream}"), "public.items"] {
                assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
            }
            let plan = to_database(&target, &more).args(["--plan"]).input(one(stream, 2)).go();
            assert!(plan.exits(78).stderr.contains("filled by: order-items"));
            assert_eq!(ids(), "1", "{method}");
        }
        // Its own stream goes on, and the other one has a table where one is named.
        into(&target, &more, one("order-items", 1)).success();
        let mut named = more.clone();
        named["table_names"] = json!({ "items": "Items of others", "unheard": "of" });
        into(&target, &named, one("items", 2)).success();
        assert_eq!(target.psql("SELECT id FROM \"Items of others\""), "2");
        // What the hint says lets it in.
        let refused = into(&target, &more, one("items", 3)).exits(78).stderr;
        let at = refused.find("DELETE FROM").unwrap();
        target.psql(refused[at..].lines().next().unwrap());
        let outcome = into(&target, &more, one("items", 3)).success();
        assert!(
            outcome.stderr.contains("from now on only stream items may fill it"),
            "{}",
            outcome.stderr
        );
        into(&target, &more, one("order-items", 1)).exits(78);
    }
}

#[test]
fn a_table_that_was_filled_before_is_adopted_once() {
    for method in METHODS {
        let target = database("adopted");
        let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
        into(&target, &more, one("t", 1)).success();
        target.psql("DROP TABLE _sdc_tables");
        let said = |outcome: &Outcome| outcome.stderr.matches("was filled before").count();
        let first = into(&target, &more, one("t", 2)).success();
        let second = into(&target, &more, one("t", 2)).success();
        assert_eq!((said(&first), said(&second)), (1, 0), "{method}: {}", first.stderr);
        into(&target, &more, one("x-t", 3)).exits(78);
        // A table that is gone is anybody's.
        target.psql("DROP TABLE t");
        into(&target, &more, one("x-t", 3)).success();
        into(&target, &more, one("t", 1)).exits(78);
    }
    // One that somebody else made, too.
    let target = database("made_by_hand");
    target.psql("CREATE TABLE t (id bigint PRIMARY KEY)");
    let outcome = into(&target, &json!({}), one("t", 1)).success();
    assert!(outcome.stderr.contains("was filled before"), "{}", outcome.stderr);
}

#[test]
fn a_release_that_said_no_table_is_known_by_its_stream() {
    let (source, target) = (dashed(), database("upgraded"));
    // As an older release extracted it: the SCHEMA says no table, and the name has no dash.
    into(&target, &json!({}), one("public-items", 7)).success();
    let (_, outcome) =
        pipe_succeeds(from_database(&source, &json!({})), to_database(&target, &json!({})));
    assert!(!outcome.stderr.contains("was filled before"), "{}", outcome.stderr);
    assert_eq!(target.psql("SELECT string_agg(id::text, ',' ORDER BY id) FROM items"), "2,7");
    into(&target, &json!({}), one("public-items", 8)).success();
}

#[test]
fn taps_of_two_tenants_share_a_table() {
    let (target, scratch) = (database("tenants"), folder());
    for (tenant, id) in [("north", 1), ("south", 2)] {
        let source = database(tenant);
        source.psql(&format!("CREATE TABLE t (id integer); INSERT INTO t VALUES ({id})"));
        pipe_succeeds(from_database(&source, &json!({})), to_lake(scratch.path(), tenant, DAY));
        let tap = from_lake(scratch.path(), DAY).set("source", tenant);
        pipe_succeeds(tap, to_database(&target, &json!({})));
    }
    let rows = "SELECT string_agg(_sdc_source || id, ' ' ORDER BY id) FROM t";
    assert_eq!(target.psql(rows), "north1 south2");
}

#[test]
fn without_the_right_to_remember_streams_are_kept_apart_within_a_run() {
    let target = database("no_memory");
    let role = format!("forgetful_{}", target.name);
    target.psql(&format!(
        "CREATE ROLE {role} LOGIN; CREATE TABLE items (id bigint PRIMARY KEY);
         REVOKE CREATE ON SCHEMA public FROM public;
         GRANT SELECT, INSERT, UPDATE ON items TO {role}"
    ));
    let run =
        |input: Vec<u8>| to_database(&target, &json!({})).set("user", &role).input(input).go();
    for (stream, id) in [("items", 1), ("other-items", 2)] {
        let outcome = run(one(stream, id)).success();
        assert_eq!(outcome.stderr.matches("cannot write down").count(), 1, "{}", outcome.stderr);
    }
    let both = [one("items", 3), one("other-items", 4)].concat();
    assert!(run(both).exits(78).stderr.contains("other stream: items"));
    assert_eq!(target.psql("SELECT count(*) FROM pg_tables WHERE tablename = '_sdc_tables'"), "0");
    // A table of ours that it may not read is no obstacle either; nor one that is not ours.
    for made in [
        "GRANT SELECT, INSERT, UPDATE ON u TO ",
        "DROP TABLE _sdc_tables; CREATE TABLE _sdc_tables (n int);
         GRANT ALL ON _sdc_tables TO ",
    ] {
        into(&target, &json!({}), one("u", 1)).success();
        target.psql(&format!("{made}{role}"));
        let outcome = run(one("items", 5)).success();
        assert_eq!(outcome.stderr.matches("cannot write down").count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn what_is_remembered_is_no_stream() {
    let (target, copy) = (database("remembering"), database("copy_of_it"));
    into(&target, &json!({}), one("t", 1)).success();
    let (tap, _) =
        pipe_succeeds(from_database(&target, &json!({})), to_database(&copy, &json!({})));
    assert!(!tap.text().contains("_sdc_tables"), "{}", tap.text());
    assert_eq!(tables(&copy), "public.t");
    // A table of somebody else that has the name is one, and has no place in a target.
    let theirs = database("theirs");
    theirs.psql("CREATE TABLE _sdc_tables (n integer); INSERT INTO _sdc_tables VALUES (1)");
    let tap = from_database(&theirs, &json!({})).go().success();
    assert_eq!(tap.records("public-_sdc_tables"), [json!({ "n": 1 })]);
    let load = |more: &Value| into(&copy, more, tap.stdout.clone());
    assert!(load(&json!({})).exits(78).stderr.contains("`table_names`"));
    load(&json!({ "table_names": { "public-_sdc_tables": "tables" } })).success();
    assert_eq!(copy.psql("SELECT n FROM tables"), "1");
}

#[test]
fn rows_of_a_child_are_rows_of_its_parent() {
    let target = database("parents_filled");
    let load = |stream: &str, method: &str, id: i64| {
        let lines = Lines::default().schema(stream, &columns(), &["id"]);
        let lines = lines.record(stream, &json!({ "id": id, "name": stream })).done();
        to_database(&target, &json!({ "load_method": method })).input(lines.0).go()
    };
    let make = "CREATE TABLE t (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
        CREATE TABLE lowest PARTITION OF low FOR VALUES FROM (0) TO (5);
        CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20)";
    // Each stream has a partition of its own.
    target.psql(make);
    load("lowest", "upsert", 1).success();
    load("high", "overwrite", 11).success();
    load("lowest", "overwrite", 2).success();
    for of_parent in ["t", "low"] {
        let refused = load(of_parent, "upsert", 1).exits(78);
        assert!(refused.stderr.contains(&format!("parent or child: public.{of_parent}")));
    }
    assert_eq!(target.psql("SELECT id, name FROM t ORDER BY id"), "2|lowest\n11|high");
    // The parent has one, and its partitions have none.
    target.psql(&format!("DROP TABLE t, _sdc_tables; {make}"));
    load("t", "upsert", 1).success();
    let refused = load("lowest", "append-only", 2).exits(78);
    assert!(refused.stderr.contains("filled by: t"), "{}", refused.stderr);
    load("t", "overwrite", 12).success();
    // As an earlier release let them.
    target.psql("INSERT INTO _sdc_tables (table_name, stream) VALUES ('high', 'high')");
    load("high", "upsert", 13).success();
    load("t", "upsert", 3).success();
    load("t", "overwrite", 3).exits(78);
    assert_eq!(target.psql("SELECT count(*) FROM t"), "3");
}
