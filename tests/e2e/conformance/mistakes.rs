//! What a user sees after a mistake: an exit code, and a hint that leads out of it.

use serde_json::{Value, json};

use support::cluster::database;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, from_database, to_database, to_lake};
use support::run::{Outcome, Run, file, ours, pipe};

#[track_caller]
fn says(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code, code, "{}", outcome.stderr);
    for word in words {
        assert!(outcome.stderr.contains(word), "not said: {word}\n{}", outcome.stderr);
    }
}

#[test]
fn settings_that_are_wrong_say_what_they_may_be() {
    let cases: [(&str, &str, i32, &[&str]); 7] = [
        (
            "target-postgres",
            "load_method=replace_partition",
            78,
            &["setting: load_method", "`append-only`", "`replace-partition`"],
        ),
        ("target-csv", "overwrite_behavior=append", 78, &["one of `replace_file`"]),
        ("tap-postgres", "port=abc", 78, &["setting: port", "of type integer"]),
        ("target-csv", "adopt=maybe", 78, &["setting: adopt", "of type boolean"]),
        (
            "tap-csv",
            r#"files=[{"entity": "a", "path": null, "keys": []}]"#,
            78,
            &["setting: files/0/path", "of type string, and is of type null"],
        ),
        ("target-postgres", "load_metod=overwrite", 64, &["did you mean `load_method`?"]),
        ("tap-csv", "nonsense=1", 64, &["setting: nonsense", "--about"]),
    ];
    for (name, set, code, words) in cases {
        says(&ours(name).args(["--set", set]).go(), code, words);
    }
    let run = ours("tap-postgres").args(["--config", "ENV"]).env("TAP_POSTGRES_HOST", "/no");
    let run = run.env("TAP_POSTGRES_USER", "u");
    let outcome = run.env("TAP_POSTGRES_PASWORD", "x").env("TAP_POSTGRES__SELECT", "y").go();
    says(
        &outcome,
        78,
        &["variable `TAP_POSTGRES_PASWORD`", "did you mean `TAP_POSTGRES_PASSWORD`?"],
    );
    assert!(!outcome.stderr.contains("__SELECT"), "{}", outcome.stderr);
    let lake = folder();
    let dated = ours("target-csv").set("output_path", lake.path().display());
    let dated = dated.set("datestamp", DAY).input(Lines::whole(&[(1, "a")]).0).go();
    says(&dated, 78, &["cannot use `datestamp`", "set `source`"]);
}

#[test]
fn files_of_flags_that_are_wrong_say_what_they_are() {
    let (source, scratch) = (database("wrong_files"), folder());
    source.psql("CREATE TABLE t (id integer)");
    let tap = |flag: &str, path: &std::path::Path| {
        from_database(&source, &json!({})).args([flag.as_ref(), path.as_os_str()]).go()
    };
    let missing = scratch.path().join("missing.json");
    let empty = file(scratch.path(), "empty.json", "");
    says(&tap("--state", &missing), 78, &["missing.json", "the last line that the target printed"]);
    says(&tap("--state", &empty), 78, &["the file is empty", "without --state"]);
    says(&tap("--catalog", &missing), 78, &["missing.json", "--discover"]);
    says(&tap("--catalog", &empty), 78, &["empty.json", "--discover"]);
}

/// A table that is left out in silence would be missed weeks later.
#[test]
fn tables_that_may_not_be_read_are_named_or_end_the_run() {
    let (source, scratch) = (database("poor_user"), folder());
    source.psql(
        "CREATE SCHEMA closed; CREATE SCHEMA hollow; CREATE TABLE closed.t (id integer);
         CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY);
         CREATE ROLE poor LOGIN; GRANT USAGE ON SCHEMA hollow TO poor",
    );
    let tap = |more: Value| {
        let mut settings = more;
        settings["user"] = json!("poor");
        from_database(&source, &settings)
    };
    let (tap_outcome, target) = pipe(tap(json!({})), to_lake(scratch.path(), "s", DAY));
    says(&tap_outcome, 77, &["3: closed.t, public.a, public.b", "GRANT SELECT"]);
    says(&target, 76, &["the input is empty"]);
    says(&tap(json!({})).args(["--discover"]).go(), 77, &["database: "]);
    source.psql("GRANT SELECT ON a TO poor");
    let partly = tap(json!({})).go().success();
    says(&partly, 0, &["(1): public.b;"]);
    assert!(partly.text().contains("public-a"), "{}", partly.text());
    says(&tap(json!({ "filter_schemas": "pubic" })).go(), 78, &["schema: pubic", "filter_schemas"]);
    says(&tap(json!({ "filter_schemas": "closed" })).go(), 77, &["schema: closed", "GRANT USAGE"]);
    says(&tap(json!({ "filter_schemas": ["hollow", "public"] })).go(), 0, &["hollow has no table"]);
}

#[test]
fn a_table_with_another_key_is_told_what_would_help() {
    let target = database("other_keys");
    let load = |method: &str, rows: &[(i64, &str)]| -> Run {
        let more = json!({ "load_method": method, "source": "s", "datestamp": DAY });
        to_database(&target, &more).input(Lines::whole(rows).0)
    };
    load("upsert", &[(1, "a")]).go().success();
    let refused = load("replace-partition", &[(1, "a")]).go();
    says(&refused, 65, &["no column _sdc_source", "another `load_method`"]);
    target.psql("DROP TABLE t");
    load("replace-partition", &[(1, "a")]).go().success();
    let refused = load("upsert", &[(1, "a")]).go();
    says(&refused, 65, &["the table holds days", "`replace-partition`"]);
}

#[test]
fn a_delimiter_that_is_not_the_file_s_is_suspected() {
    let scratch = folder();
    let path = file(scratch.path(), "t.csv", "id;name\n1;a\n");
    let run = ours("tap-csv").config(&json!({ "files": [{ "entity": "t", "path": path }] }));
    says(&run.go(), 0, &["has a ';' in its name: check `delimiter`"]);
}

#[test]
fn a_table_that_is_locked_is_named() {
    let target = database("locked_first");
    target.psql("CREATE TABLE t (id bigint PRIMARY KEY, name text)");
    let mut holder = target.psql_command();
    let holder = holder.args(["-c", "BEGIN; LOCK TABLE t; SELECT pg_sleep(60)"]);
    let mut holder = holder.stdout(std::process::Stdio::null()).spawn().unwrap();
    while target.psql("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass") == "0" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let more = json!({ "load_method": "overwrite", "lock_timeout_seconds": 1 });
    let outcome = to_database(&target, &more).input(Lines::whole(&[(1, "a")]).0).go();
    holder.kill().unwrap();
    holder.wait().unwrap();
    says(&outcome, 75, &["into: public.t", "lock_timeout_seconds"]);
}

#[test]
fn what_a_table_forbids_is_told_with_what_would_help() {
    let target = database("conditions");
    let conditions: [(&str, &[&str]); 3] = [
        ("name text REFERENCES others", &["sqlstate: 23503", "load the table of those rows first"]),
        ("name text UNIQUE", &["sqlstate: 23505", "that `constraint` names"]),
        ("name text CHECK (name <> 'a')", &["sqlstate: 23514", "change the row or the condition"]),
    ];
    target.psql("CREATE TABLE others (name text PRIMARY KEY)");
    for method in ["append-only", "upsert", "overwrite"] {
        for (name, words) in conditions {
            target.psql(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, {name})"
            ));
            let input = Lines::whole(&[(1, "a"), (2, "a")]).0;
            let more = json!({ "load_method": method });
            let outcome = to_database(&target, &more).input(input).go();
            says(&outcome, 65, words);
            says(&outcome, 65, &["stream: t", "constraint: "]);
            assert_eq!(target.psql("SELECT count(*) FROM t"), "0");
        }
    }
}
