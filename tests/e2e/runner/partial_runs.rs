//! Runs of a part of what a job reads, and the values that a run is given for variables.

use std::fs;

use serde_json::{Value, json};

use crate::runner::loads::settings;
use support::cluster::{Database, database};
use support::project::{DAY, Project};
use support::run::{Outcome, file};

/// Returns a project with a target that loads into a database.
fn into(database: &Database, method: &str, more: &str) -> Project {
    let settings = settings(database, method);
    let loaders = format!("  - {{name: pg, executable: target-postgres, config: {settings}}}\n");
    Project::with(more, &loaders, "")
}

/// Runs a pipeline, without a day.
fn run(project: &Project, words: &[&str]) -> Outcome {
    project.chorus(&["run", "--retries", "0"]).args(words).go()
}

fn record(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.text()).unwrap()
}

#[test]
fn a_part_moves_no_state_and_is_no_whole_run() {
    let database = database("part");
    let project = into(&database, "upsert", "");
    let columns = "SELECT string_agg(column_name, ',' ORDER BY column_name) FROM \
                   information_schema.columns WHERE table_name = 'a' AND column_name !~ '^_'";
    let part = |more: &[&str]| {
        let words = [&["tap-csv", "pg", "--select", "a.id"], more].concat();
        run(&project, &words)
    };
    let told = record(&part(&["--json"]).success());
    assert_eq!(told["params"], json!({"select": ["a.id"]}), "{told}");
    assert_eq!(told["steps"][0]["state_id"], Value::Null, "{told}");
    assert_eq!(database.psql(columns), "id");
    let ids = || project.chorus(&["state", "list"]).go().success().text();
    assert_eq!(ids(), "\n");
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("tap-csv pg (part)"), "{runs}");
    let status = project.chorus(&["status", "tap-csv", "pg"]).go().success().text();
    assert!(status.contains("it was not run yet"), "{status}");

    // A state of its own, by its name.
    part(&["--state-id", "mine"]).success();
    assert_eq!(ids(), "mine\n");
    let own = part(&["--state-id", "dev:tap-csv-to-pg"]).exits(64);
    assert!(own.stderr.contains("cannot store the state of a part"), "{}", own.stderr);

    // The whole run reads all that the part has read.
    run(&project, &["tap-csv", "pg"]).success();
    assert_eq!(database.psql(columns), "id,name");
    assert_eq!(database.psql("SELECT count(name) FROM a"), "2");
    // A part behind it leaves its state where it was.
    let state = || project.chorus(&["state", "get", "dev:tap-csv-to-pg"]).go().success().text();
    let before = state();
    file(&project.root, "in/a.csv", "id,name\n1,a\n2,b\n3,c\n");
    part(&[]).success();
    assert_eq!(state(), before);
    assert_eq!(database.psql("SELECT count(*) || '/' || count(name) FROM a"), "3/2");
    let status = project.chorus(&["status", "tap-csv", "pg"]).go().success().text();
    assert!(status.contains(" ok"), "{status}");
    // It is run again as it was.
    let again = record(&project.chorus(&["rerun", "last", "--json"]).go().success());
    assert_eq!(again["params"], json!({"select": ["a.id"]}), "{again}");
}

#[test]
fn a_day_is_not_done_by_a_part() {
    let database = database("part_of_day");
    let more = "  - {name: daily, inherit_from: tap-csv, config: {files: [{entity: d, path: \
                'in/${DATESTAMP}.csv', keys: [id]}]}}\n";
    let project = into(&database, "upsert", more);
    file(&project.root, &format!("in/{DAY}.csv"), "id,name\n1,a\n");
    let part = ["run", "daily", "pg", "--datestamp", DAY, "--select", "d.id"];
    project.chorus(&part).go().success();
    let backfill = ["backfill", "daily", "pg", "--from", DAY, "--to", DAY, "--preview"];
    let todo = project.chorus(&backfill).go().success().text();
    assert!(todo.contains("1 step of 1 day to run"), "{todo}");
}

#[test]
fn rows_that_a_part_adds_a_second_time_are_told() {
    let database = database("part_again");
    let project = into(&database, "append-only", "");
    run(&project, &["tap-csv", "pg"]).success();
    let denied = ["tap-csv", "pg", "--select", "a.id", "--deny-warnings", "W-ROWS-AGAIN"];
    let told = run(&project, &denied).exits(65);
    assert!(told.stderr.contains("a part is read without the state"), "{}", told.stderr);
    assert_eq!(database.psql("SELECT count(*) FROM a"), "2");
}

/// A foreign tap that keeps the settings it was given.
const FOREIGN: &str = r#"
[ "$3" = --discover ] && { cat catalog.json; exit 0; }
cp "$2" seen.json
schema='{"properties":{"id":{"type":"integer"}}}'
echo '{"type":"SCHEMA","stream":"z","schema":'$schema',"key_properties":["id"]}'
echo '{"type":"RECORD","stream":"z","record":{"id":1}}'
"#;

/// Returns a project with a foreign tap of these settings.
fn foreign(entry: &str) -> Project {
    let more = format!("  - {{name: tap-x, executable: ./x, {entry}}}\n");
    let loaders = "  - {name: sink, executable: ./sink}\n";
    let project = Project::with(&more, loaders, "");
    project.script("x", FOREIGN);
    project.script("sink", "cat > /dev/null");
    let schema = json!({"properties": {"id": {"type": "integer"}, "at": {"type": "string"}}});
    let metadata = json!([{"breadcrumb": [], "metadata": {"replication-key": "at"}}]);
    let stream = json!({"tap_stream_id": "z", "stream": "z", "schema": schema,
                        "metadata": metadata});
    file(&project.root, "catalog.json", json!({"streams": [stream]}).to_string());
    project
}

#[test]
fn a_part_reaches_a_tap_of_others_as_its_own_settings() {
    let seen = |entry: &str, words: &[&str]| {
        let project = foreign(entry);
        let run = ["run", "tap-x", "sink", "--datestamp", DAY];
        project.chorus(&run).args(words).go().success();
        let text = fs::read_to_string(project.root.join("seen.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let declared = "settings: [{name: stream_options, kind: object}, {name: start_date}]";
    let clauses = json!({"z": {"custom_where_clauses": ["id > 5", "id < 9"]}});
    let conditions = ["--where", "z: id > 5", "--where", "z: id < 9"];
    assert_eq!(seen(declared, &conditions), json!({"stream_options": clauses}));
    let expected = json!({"start_date": "2026-01-28T00:00:00Z"});
    assert_eq!(seen(declared, &["--days", "3"]), expected);
    let named = "annotations: {chorus: {roles: {start-date: since}}}";
    let expected = json!({"since": "2026-01-30T00:00:00Z"});
    assert_eq!(seen(named, &["--days", "1"]), expected);
}

#[test]
fn a_part_that_cannot_be_read_ends_the_run_before_the_first_row() {
    let database = database("part_refused");
    let whole = into(&database, "overwrite", "");
    let added = into(&database, "upsert", "");
    let bare = foreign("capabilities: [discover]");
    let secret = foreign(
        "settings: [{name: key, kind: password}], config: {key: 'x ${KEY_OF_X}', p: '${P}'}",
    );
    let check = |project: &Project, words: &[&str], parts: &[&str]| {
        let refused = run(project, words).exits(64);
        for part in parts {
            assert!(refused.stderr.contains(part), "{words:?}: no {part} in {}", refused.stderr);
        }
        assert!(!project.root.join("seen.json").exists());
    };
    let one = ["tap-csv", "pg", "--select", "a.id"];
    check(&whole, &one, &["replace existing data by a part", "load_method: overwrite"]);
    let plain = ["tap-csv", "target-csv", "--select", "a", "--datestamp", DAY];
    check(&added, &plain, &["replace existing data by a part", "target: target-csv"]);
    check(
        &added,
        &["both", "--select", "a", "--datestamp", DAY],
        &["a part of a job with several steps"],
    );
    check(
        &added,
        &["tap-csv", "pg", "--select", "b"],
        &["find a stream or column that the run is to read"],
    );
    check(&added, &["tap-csv", "pg", "--select", "a.nam"], &["did you mean `a.name`?"]);
    check(&added, &["tap-csv", "pg", "--where", "a"], &["write the stream, a colon and SQL"]);
    check(
        &added,
        &["tap-csv", "pg", "--where", "a: x"],
        &["tap-csv", "missing setting: where-clauses"],
    );
    check(&added, &["tap-csv", "pg", "--days", "1"], &["tap-csv", "missing setting: start-date"]);
    check(&added, &["tap-csv", "pg", "--days", "0"], &["--days"]);
    check(&bare, &["tap-x", "sink", "--select", "z"], &["tap-x", "catalog"]);
    check(&bare, &["tap-x", "sink", "--days", "1"], &["roles: {start-date: NAME}"]);
    let given = "-iKEY_OF_X=s3cret";
    check(&secret, &["tap-x", "sink", given], &["cannot use a secret", "variable: KEY_OF_X"]);
    check(&secret, &["tap-x", "sink", "-iTAP_X_KEY=s3cret"], &["cannot use a secret"]);
    for project in [&added, &secret] {
        assert_eq!(project.chorus(&["state", "list"]).go().text(), "\n");
    }
    assert_eq!(database.psql("SELECT to_regclass('a') IS NULL"), "t");
}

#[test]
fn a_run_takes_values_for_variables() {
    let database = database("part_inputs");
    let more = "  - {name: named, inherit_from: tap-csv, config: {files: [{entity: t, path: \
                'in/${FILE}.csv', keys: [id]}]}}\n";
    let project = into(&database, "upsert", more);
    let told = record(&run(&project, &["named", "pg", "-i", "FILE=b", "--json"]).success());
    assert_eq!(told["params"], json!({"inputs": {"FILE": "b"}}), "{told}");
    assert_eq!(database.psql("SELECT secret FROM t"), "x");
    // It is a whole run, with the state of its job.
    let ids = project.chorus(&["state", "list"]).go().success().text();
    assert_eq!(ids, "dev:named-to-pg\n");
    let again = project.chorus(&["rerun", "last", "--full-refresh", "--json"]).go().success();
    assert_eq!(record(&again)["params"], json!({"inputs": {"FILE": "b"}}));

    // What is printed is what a file may hold; the command line is put over it.
    let words = ["named", "pg", "--print-params", "-iFILE=a", "-iPAGE_TOKEN=t", "--select", "t"];
    let printed = run(&project, &words).success();
    let expected = json!({"select": ["t"], "inputs": {"FILE": "a", "PAGE_TOKEN": null}});
    assert_eq!(record(&printed), expected);
    assert!(printed.stderr.contains("PAGE_TOKEN is given for the run, but no setting"));
    file(&project.root, "params.json", json!({"inputs": {"FILE": "none"}}).to_string());
    let path = project.root.join("params.json");
    let path = path.to_str().unwrap();
    run(&project, &["named", "pg", "--params", path]).exits(66);
    run(&project, &["named", "pg", "--params", path, "-iFILE=b"]).success();
    file(&project.root, "params.json", json!({"input": {}}).to_string());
    let wrong = run(&project, &["named", "pg", "--params", path]).exits(64);
    assert!(wrong.stderr.contains("did you mean `inputs`?"), "{}", wrong.stderr);
    let plan = ["plan", "named", "pg", "-iFILE=b", "--select", "t.id", "--json"];
    let plan: Value = serde_json::from_str(&project.chorus(&plan).go().success().text()).unwrap();
    assert_eq!(plan["steps"][0]["streams"][0]["columns"], json!(["id"]), "{plan}");
}

#[test]
fn a_part_of_days_is_read_by_the_key_of_a_stream() {
    let (source, target) = (database("part_days_source"), database("part_days_target"));
    source.psql(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz NOT NULL);
         INSERT INTO t VALUES (1, '2026-01-20 12:00Z'), (2, '2026-01-29 12:00Z'),
             (3, '2026-01-31 12:00Z');
         CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n VALUES (1)",
    );
    let incremental =
        |key: &str| json!({"replication-method": "INCREMENTAL", "replication-key": key});
    let rules = json!({"public-t": incremental("at"), "public-n": incremental("id")});
    let more = format!(
        "  - {{name: tap-pg, executable: tap-postgres, config: {}, metadata: {rules}}}\n",
        source.settings()
    );
    let project = into(&target, "upsert", &more);
    let part = |more: &[&str]| {
        run(&project, &[&["tap-pg", "pg", "--datestamp", DAY, "--days", "3"], more].concat())
    };
    part(&["--select", "public-t"]).success();
    assert_eq!(target.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "2 3");
    // A number is no time: all of its stream would be read.
    for (select, stream) in [("public-n", "public-n"), ("*", "public-n")] {
        let refused = part(&["--select", select]).exits(64);
        let said = format!("stream: {stream}");
        assert!(refused.stderr.contains("cannot use --days for a stream"), "{}", refused.stderr);
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    }
    assert_eq!(target.psql("SELECT to_regclass('n') IS NULL"), "t");
    // The whole run begins at the beginning.
    run(&project, &["tap-pg", "pg", "--datestamp", DAY]).success();
    assert_eq!(target.psql("SELECT count(*) FROM t"), "3");
}
