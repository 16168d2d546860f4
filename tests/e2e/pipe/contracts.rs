//! Streams are held to their contracts: values, columns, rules, and what a breach ends.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::python::CONTRACTS;
use support::run::{Run, file, ours, pipe, pipe_succeeds};

/// A contract with a part of everything that is read.
const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
name: Things
version: 1.0.0
status: active
description: {purpose: A test}
schema:
- name: t
  physicalType: table
  properties:
  - name: id
    logicalType: integer
    primaryKey: true
    primaryKeyPosition: 1
    required: true
    unique: true
    classification: public
  - name: name
    logicalType: string
    logicalTypeOptions: {minLength: 1, maxLength: 5, pattern: '^[a-z]+$'}
    classification: confidential
    customProperties:
    - {property: protect, value: hash}
    quality:
    - {type: library, metric: nullValues, mustBeLessThan: 50, unit: percent}
  quality:
  - {type: library, metric: rowCount, mustBeGreaterOrEqualTo: 2}
";

fn contract(folder: &Path) -> PathBuf {
    file(folder, "t.odcs.yaml", CONTRACT)
}

fn mapper(folder: &Path, settings: &Value) -> Run {
    ours("map-streams")
        .set("contracts", json!([contract(folder)]))
        .config(&json!({ "protect_key": "e2e-key-0123456789-abcdefghijklmnopqrstuv" }))
        .set("rejects_file", folder.join("rejects.jsonl").display())
        .config(settings)
}

fn is_published(lake: &Path) -> bool {
    lake.join(format!("source=s/extracted_at={DAY}/table=t")).exists()
}

#[test]
fn a_violation_fails_is_set_aside_or_becomes_null() {
    let lines = Lines::opened().row(1, "ann").row(2, "bob").row(3, "Bad").done();
    for (word, code, rows) in [("fail", 65, 0), ("reject", 0, 2), ("null", 0, 3)] {
        let folder = folder();
        let lake = folder.path().join("lake");
        let settings = json!({ "on_violation": word, "max_rejects": 5 });
        let (mapped, stored) =
            pipe(mapper(folder.path(), &settings).input(lines.0.clone()), to_lake(&lake, "s", DAY));
        let mapped = mapped.exits(code);
        assert_eq!(stored.code, if code == 0 { 0 } else { 76 }, "{word}: {}", stored.stderr);
        assert_eq!(is_published(&lake), code == 0, "{word}");
        if word != "fail" {
            let data = support::lake::data(&support::lake::partition(&lake, "s", DAY, "t"));
            assert_eq!(data.lines().count(), rows + 1, "{word}: {data}");
        }
        let warns = mapped.stderr.contains("W-CONTRACT-NULL");
        assert_eq!(warns, word == "null", "{}", mapped.stderr);
    }
}

/// A rule for all rows holds what it judges back: also where another stream comes after it, and
/// where the tap never says what it reads.
#[test]
fn a_breach_of_a_rule_is_not_published() {
    let one = Lines::opened().row(1, "ann");
    let more = one.clone().syncing("u").schema("u", &support::messages::columns(), &["id"]);
    let more = more.record("u", &json!({ "id": 1, "name": "x" })).done();
    let silent = Lines::default().schema("t", &support::messages::columns(), &["id"]).row(1, "ann");
    for (name, lines) in [("alone", one.done()), ("first", more), ("silent", silent)] {
        let folder = folder();
        let lake = folder.path().join("lake");
        let (mapped, stored) =
            pipe(mapper(folder.path(), &json!({})).input(lines.0), to_lake(&lake, "s", DAY));
        let mapped = mapped.exits(65);
        assert!(mapped.stderr.contains("rowCount of t"), "{name}: {}", mapped.stderr);
        assert_ne!(stored.code, 0, "{name}");
        assert!(!is_published(&lake), "{name}");
    }
}

#[test]
fn a_key_that_comes_twice_is_a_violation_where_it_is_unique() {
    let folder = folder();
    let lines = Lines::opened().row(1, "ann").row(2, "bob").row(1, "cid").done();
    let refused = mapper(folder.path(), &json!({})).input(lines.0).go().exits(65);
    assert!(refused.stderr.contains("the value came before"), "{}", refused.stderr);
}

#[test]
fn the_gate_is_shut_before_the_first_row() {
    let folder = folder();
    let properties = json!({ "id": { "type": "integer" }, "name": { "type": "string" },
        "shoe_size": { "type": "integer" } });
    let lines = Lines::default().syncing("t").schema("t", &properties, &["id"]);
    let lines = lines.record("t", &json!({ "id": 1, "name": "ann", "shoe_size": 42 })).done();
    let gate = json!({ "require_classification": true });
    let refused = mapper(folder.path(), &gate).input(lines.0.clone()).go().exits(78);
    assert!(refused.stderr.contains("columns: shoe_size"), "{}", refused.stderr);
    assert!(!refused.text().contains("RECORD"));
    let gate = json!({ "require_classification": true, "extra_columns": "drop" });
    let refused = mapper(folder.path(), &gate).input(lines.0).go().exits(65);
    assert!(refused.stderr.contains("rowCount"), "{}", refused.stderr);
    assert!(!refused.text().contains("shoe_size"), "{}", refused.text());
    // A column that appears later ends the run, too.
    let later = Lines::opened().row(1, "ann").schema("t", &properties, &["id"]).done();
    let gate = json!({ "require_classification": true });
    let refused = mapper(folder.path(), &gate).input(later.0).go().exits(78);
    assert!(refused.stderr.contains("columns: shoe_size"), "{}", refused.stderr);
}

#[test]
fn a_stream_that_does_not_come_is_told_or_ends_the_run() {
    let folder = folder();
    let lines = Lines::default().syncing("u").schema("u", &support::messages::columns(), &["id"]);
    let lines = lines.record("u", &json!({ "id": 1, "name": "x" })).done();
    let told = mapper(folder.path(), &json!({})).input(lines.0.clone()).go().success();
    assert!(told.stderr.contains("W-CONTRACT-DIFFERS"), "{}", told.stderr);
    let dropped = mapper(folder.path(), &json!({ "extra_columns": "drop" }));
    assert!(dropped.input(lines.0.clone()).go().success().records("u").is_empty());
    mapper(folder.path(), &json!({ "strict": true })).input(lines.0).go().exits(65);
}

/// A rule for all rows of an INCREMENTAL stream: until it has let them pass, no state covers some
/// of them and the target keeps none, in whatever place the contract stands.
#[test]
fn no_state_covers_rows_that_a_rule_has_not_let_pass() {
    let (source, folder) = (database("unjudged"), folder());
    source.psql("CREATE TABLE t AS SELECT i AS id, 'x' AS name FROM generate_series(1, 25000) i");
    let found = from_database(&source, &json!({})).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&found.text()).unwrap();
    catalog["streams"][0]["replication_method"] = "INCREMENTAL".into();
    catalog["streams"][0]["replication_key"] = "id".into();
    let covers = |text: &str| {
        let states = text.lines().filter(|line| line.contains("\"STATE\""));
        states.filter(|line| line.contains("replication_key_value")).count()
    };
    for (rule, passes) in [("mustBe: 25000", true), ("mustBe: 3", false)] {
        let text = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
             schema:\n- name: public-t\n  quality: [{{metric: rowCount, {rule}}}]\n"
        );
        let contract = json!({ "contracts": [file(folder.path(), "c.odcs.yaml", text)] });
        let none = json!({});
        for place in ["tap", "mapper", "target"] {
            let at = |here: &str| if here == place { &contract } else { &none };
            let target = database(&format!("unjudged_{place}_{passes}"));
            let tap = from_database(&source, at("tap")).json("--catalog", &catalog);
            let more = json!({ "load_method": "upsert", "state_interval_seconds": 0 });
            let into = to_database(&target, &more).config(at("target"));
            let read = tap.go();
            assert_eq!(read.code, if place == "tap" && !passes { 65 } else { 0 }, "{place}");
            let mut lines = read.stdout;
            if place == "mapper" {
                let mapped = ours("map-streams").config(&contract).input(lines).go();
                assert_eq!(mapped.code, if passes { 0 } else { 65 }, "{}", mapped.stderr);
                lines = mapped.stdout;
            }
            let text = String::from_utf8_lossy(&lines).into_owned();
            let loaded = into.input(lines).go();
            assert_eq!(loaded.code == 0, passes, "{place}: {}", loaded.stderr);
            if place != "target" {
                assert_eq!(covers(&text) > 0, passes, "{place} {rule}");
                // Between the rows there is none.
                let rows = text.split("RECORD").skip(1).collect::<Vec<_>>();
                let between = rows.iter().rev().skip(1).any(|part| part.contains("STATE"));
                assert!(!between, "{place} {rule}");
            }
            assert_eq!(loaded.text().contains("replication_key_value"), passes, "{place}");
            let there = "SELECT coalesce(max(n_live_tup), 0) FROM pg_stat_user_tables";
            target.psql("ANALYZE");
            let rows = target.psql(there);
            assert_eq!(rows, if passes { "25000" } else { "0" }, "{place} {rule}");
        }
    }
}

/// A second run adds nothing to a table whose rows have no key of their own.
#[test]
fn a_rerun_with_row_hashes_adds_nothing() {
    let target = database("row_hash");
    let settings = json!({ "row_hash": { "columns": "all" } });
    let schema = Lines::default().syncing("t").schema("t", &support::messages::columns(), &[]);
    let rows = [(1, "ann"), (1, "ann"), (2, ""), (2, "x")];
    let lines = rows.iter().fold(schema.clone(), |lines, (id, name)| lines.row(*id, name));
    let turned = rows.iter().rev().fold(schema, |lines, (id, name)| lines.row(*id, name));
    let load = |lines: &Lines| {
        let mapper = ours("map-streams").config(&settings).input(lines.clone().done().0);
        pipe_succeeds(mapper, to_database(&target, &json!({ "load_method": "upsert" })));
        target.psql("SELECT count(*), string_agg(_row_hash, '' ORDER BY _row_hash) FROM t")
    };
    let first = load(&lines);
    assert!(first.starts_with("4|"), "{first}");
    assert_eq!(load(&lines), first);
    assert_eq!(load(&turned), first);
}

/// Another program that knows the standard reads the same file.
#[test]
fn a_contract_is_one_for_other_programs() {
    let folder = folder();
    let path = contract(folder.path());
    let script = format!(
        "from open_data_contract_standard.model import OpenDataContractStandard as C\n\
         c = C.from_file({path:?})\n\
         p = c.schema_[0].properties\n\
         print(c.id, c.schema_[0].name, [(x.name, x.logicalType, x.classification) for x in p], \
         p[1].customProperties[0].value, c.schema_[0].quality[0].mustBeGreaterOrEqualTo)\n"
    );
    let told = CONTRACTS.script(&script).go().success();
    assert_eq!(
        told.text().trim(),
        "t t [('id', 'integer', 'public'), ('name', 'string', 'confidential')] hash 2"
    );
}

#[test]
fn the_plan_says_what_a_contract_does() {
    let folder = folder();
    let properties = json!({ "id": { "type": "string" }, "name": { "type": "string" },
        "shoe_size": { "type": "integer" } });
    let lines = Lines::default().schema("t", &properties, &["id"]).done();
    let plan = mapper(folder.path(), &json!({})).args(["--plan"]).input(lines.0);
    let text = plan.go().success().text();
    let expected = "t:\n  3 columns, of 3 of stream t\n  contract: protects name (hash)\n  \
                    contract: converts id to integer\n  \
                    contract: does not list, and passes on, shoe_size\n  \
                    contract: judges all rows together by 2 rules\n";
    assert_eq!(text, expected);
    // The same within a tap and a target.
    file(folder.path(), "in.csv", "id,name\n1,ann\n");
    let files = json!([{ "entity": "t", "path": folder.path().join("in.csv") }]);
    let within = |run: Run| {
        let run = run.set("contracts", json!([contract(folder.path())])).args(["--plan"]);
        run.config(&json!({ "protect_key": "e2e-key-0123456789-abcdefghijklmnopqrstuv" }))
    };
    let tap = within(ours("tap-csv").config(&json!({ "files": files }))).go().success().text();
    assert!(tap.contains("  contract: protects name (hash)\n"), "{tap}");
    let lines = Lines::default().schema("t", &properties, &["id"]).done();
    let lake = folder.path().join("lake");
    let target = within(to_lake(&lake, "s", DAY)).input(lines.0).go().success().text();
    assert!(target.contains("  contract: protects name (hash)\n"), "{target}");
}

/// A file that has not changed is not read again: its stream does not come, and is not missed.
#[test]
fn an_unchanged_stream_is_not_missed_under_another_name_either() {
    let folder = folder();
    file(folder.path(), "in.csv", "id,name\n1,ann\n2,bob\n");
    let files = json!([{ "entity": "s", "path": folder.path().join("in.csv"), "keys": ["id"] }]);
    let tap = || ours("tap-csv").config(&json!({ "files": files }));
    let held = json!({ "strict": true, "stream_maps": { "s": { "__alias__": "t" } } });
    let (read, first) = pipe(tap(), mapper(folder.path(), &held));
    read.success();
    let text = first.success().text();
    let state = text.lines().rfind(|line| line.contains("\"STATE\"")).unwrap();
    let state = serde_json::from_str::<Value>(state).unwrap()["value"].take();
    let (read, second) = pipe(tap().json("--state", &state), mapper(folder.path(), &held));
    read.success();
    let told = second.success().stderr;
    assert!(!told.contains("W-"), "{told}");
}

/// The word of an error cannot be the secret itself.
#[test]
fn a_key_that_cannot_be_used_is_told_in_whole_words() {
    use std::os::unix::ffi::OsStrExt;
    let run = |key: &[u8]| {
        let run = ours("map-streams").args(["--config", "ENV"]).input("");
        let run = run.env("MAP_STREAMS_PROTECT_KEY", std::ffi::OsStr::from_bytes(key));
        let folder = folder();
        run.set("contracts", json!([contract(folder.path())])).go().exits(78).stderr
    };
    let text = run(b"short");
    assert!(text.contains("cannot use a key with too few bytes"), "{text}");
    let text = run(b"\xff\xfe");
    assert!(text.contains("variable: MAP_STREAMS_PROTECT_KEY"), "{text}");
    assert!(text.contains("its value is not UTF-8"), "{text}");
}
