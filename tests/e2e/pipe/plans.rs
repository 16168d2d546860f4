//! What `--plan` says of a run, and what the run then does.

use std::fs;

use serde_json::{Value, json};

use support::apis::tap_api;
use support::cluster::{Database, database, database_of, private};
use support::messages::{Lines, columns};
use support::pipes::{DAY, from_database, from_lake, load, to_database, to_lake};
use support::project::Project;
use support::run::{Outcome, Run, file, ours, pipe};
use support::{folder, lake};

/// Returns the steps of the only stream of a plan.
fn steps(plan: &Outcome) -> Vec<String> {
    let plan: Value = serde_json::from_str(&plan.text()).unwrap();
    let [stream] = &plan["streams"].as_array().unwrap()[..] else { panic!("{plan}") };
    serde_json::from_value(stream["steps"].clone()).unwrap()
}

/// Takes the number off the names of staging tables.
fn without_numbers(statement: &str) -> String {
    let mut parts = statement.split("_sdc_stage_");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text += if rest.len() < part.len() { "_sdc_stage" } else { "_sdc_stage_" };
        text += rest;
    }
    text
}

/// Returns what changes when anything is made, changed or loaded.
fn fingerprint(target: &Database) -> String {
    let rows = target.try_psql("SELECT xmin, ctid, t FROM later.t ORDER BY ctid");
    target.psql(
        "SELECT relname, xmin FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace
         UNION ALL SELECT nspname, xmin FROM pg_namespace ORDER BY 1",
    ) + &rows.unwrap_or_default()
}

#[test]
fn a_plan_of_a_load_changes_nothing_and_has_the_statements_of_the_load() {
    let cluster = private("log_statement = all\nlog_line_prefix = '%d '");
    let log = || fs::read_to_string(cluster.folder.join("log")).unwrap();
    let days = [
        Lines::whole(&[(1, "a"), (2, "b")]).0,
        Lines::whole(&[(1, "a"), (3, "c")]).0,
        Lines::opened()
            .schema("t", &json!({ "id": { "type": "integer" }, "more": {} }), &["id"])
            .syncing("t")
            .record("t", &json!({ "id": 4, "more": [] }))
            .done()
            .0,
    ];
    for method in ["append-only", "upsert", "overwrite", "replace-partition"] {
        let (scratch, target) = (folder(), database_of(&cluster, "planned"));
        let settings = json!({ "load_method": method, "default_target_schema": "later" });
        for (round, rows) in days.iter().enumerate() {
            to_lake(scratch.path(), "s", DAY).input(rows.clone()).go().success();
            let before = fingerprint(&target);
            let tap = from_lake(scratch.path(), DAY).args(["--test=schema"]);
            let plan = pipe(tap, to_database(&target, &settings).args(["--plan=json"])).1;
            let planned = steps(&plan.success());
            assert_eq!(fingerprint(&target), before, "{method}, round {round}");
            let length = log().len();
            load(scratch.path(), DAY, &target, &settings);
            let done = without_numbers(&log()[length..]);
            for step in &planned {
                assert!(done.contains(step), "{method}, round {round}: {step}\n{done}");
            }
            // Nor does the load do more.
            for line in done.lines().filter_map(|line| line.split_once("LOG:  ")) {
                let (_, statement) = line.1.split_once(": ").unwrap_or_default();
                let statement = statement.trim_start_matches("SAVEPOINT direct; ");
                let changes = [
                    "CREATE SCHEMA",
                    "CREATE TABLE \"",
                    "CREATE INDEX",
                    "ALTER TABLE \"",
                    "COPY",
                    "INSERT",
                    "UPDATE",
                    "DELETE",
                    "WITH",
                ];
                // One reads of relatives of the table.
                let reads = statement.starts_with("WITH RECURSIVE");
                if !reads && changes.iter().any(|start| statement.starts_with(start)) {
                    // What is read back of the rows changes nothing.
                    let is_done = |step: &String| {
                        let rest = statement.strip_prefix(step.as_str());
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" RETURNING "))
                    };
                    assert!(planned.iter().any(is_done), "{method}: {statement}");
                }
            }
            let made = planned.iter().filter(|step| step.starts_with("CREATE SCHEMA")).count();
            assert_eq!(made, usize::from(round == 0), "{planned:?}");
            let stages = planned.iter().any(|step| step.starts_with("COPY pg_temp."));
            let merges = round > 0 && method != "append-only" || round == 2;
            assert_eq!(stages, merges, "{method}, round {round}: {planned:?}");
        }
    }
}

#[test]
fn a_plan_is_refused_where_the_load_would_be_for_want_of_a_right() {
    let target = database("planned_rights");
    target.psql(
        "CREATE ROLE planner LOGIN; REVOKE TEMPORARY ON DATABASE planned_rights FROM public"
            .replace("planned_rights", &target.name)
            .as_str(),
    );
    let rows = |name: &str| Lines::whole(&[(1, name)]).0;
    // Each right in turn, until the load has all that it needs.
    let rights = [
        "GRANT CREATE ON DATABASE {} TO planner",
        "GRANT TEMPORARY ON DATABASE {} TO planner",
        "GRANT USAGE, CREATE ON SCHEMA later TO planner",
        "GRANT SELECT (id), INSERT (id, name), UPDATE (id, name) ON later.t TO planner",
        "GRANT SELECT (name) ON later.t TO planner",
        "GRANT INSERT (_sdc_source, _sdc_datestamp), SELECT (_sdc_source, _sdc_datestamp),
            UPDATE (_sdc_source, _sdc_datestamp) ON later.t TO planner",
        "GRANT SELECT ON later.t TO planner",
        "GRANT INSERT ON later.t TO planner",
        "GRANT UPDATE ON later.t TO planner",
        "GRANT DELETE ON later.t TO planner",
    ];
    for method in ["append-only", "upsert", "overwrite", "replace-partition"] {
        let more = json!({ "load_method": method, "default_target_schema": "later",
            "source": "s", "datestamp": DAY });
        let owner = || to_database(&target, &more);
        let planner = || owner().set("user", "planner");
        for there in ["nothing", "the schema", "an empty table", "the table"] {
            let name = &target.name;
            target.psql(&format!(
                "DROP SCHEMA IF EXISTS later CASCADE; REVOKE CREATE, TEMPORARY ON
                DATABASE {name} FROM planner"
            ));
            match there {
                "nothing" => {}
                "the schema" => drop(target.psql("CREATE SCHEMA later")),
                "the table" => drop(owner().input(rows("a")).go().success()),
                _ => {
                    owner().input(rows("a")).go().success();
                    target.psql("TRUNCATE later.t");
                }
            }
            let mut done = false;
            for right in [""].iter().chain(&rights) {
                let right = right.replace("{}", name);
                // A right to what is not there yet cannot be granted.
                let _ = target.try_psql(&right);
                let plan = planner().args(["--plan"]).input(rows("b")).go();
                let load = planner().input(rows("b")).go();
                assert_eq!(plan.code, load.code, "{method}, {there}, {right}: {plan:?} {load:?}");
                done = load.code == 0;
                if done {
                    break;
                }
                assert_eq!(plan.code, 77, "{plan:?}");
            }
            assert!(done, "{method}, {there}");
        }
    }
}

#[test]
fn a_tap_tells_its_statement_its_files_or_its_requests() {
    let source = database("planned_source");
    source.psql("CREATE TABLE t (id bigint PRIMARY KEY, \"a b\" text)");
    let tap = || from_database(&source, &json!({})).args(["--plan"]);
    let text = tap().go().success().text();
    assert_eq!(text, "public-t:\n  COPY \"public\".\"t\" (\"id\", \"a b\") TO STDOUT\n");
    let catalog = ours("tap-postgres").config(&source.settings()).args(["--discover"]).go();
    let mut catalog: Value = serde_json::from_str(&catalog.success().text()).unwrap();
    for entry in catalog["streams"][0]["metadata"].as_array_mut().unwrap() {
        if entry["breadcrumb"] == json!([]) {
            entry["metadata"]["replication-method"] = "INCREMENTAL".into();
            entry["metadata"]["replication-key"] = "id".into();
        }
    }
    let state = json!({ "bookmarks": { "public-t": { "replication_key_value": 7 } } });
    let text = tap().json("--catalog", &catalog).json("--state", &state).go().success().text();
    assert!(text.contains(" WHERE \"id\" >= '7'::pg_catalog.\"int8\" ORDER BY"), "{text}");

    let files = folder();
    let path = |name: &str| files.path().join(name).display().to_string();
    file(files.path(), "a.csv", "id\n1\n");
    let settings = json!({ "files": [{ "entity": "t", "path": path("*.csv"), "keys": ["id"] }] });
    let tap = || ours("tap-csv").config(&settings);
    let plan = || tap().args(["--plan=json"]);
    assert_eq!(steps(&plan().go().success()), [path("a.csv")]);
    let messages = tap().go().success().messages();
    let state = messages.last().unwrap()["value"].clone();
    assert_eq!(tap().args(["--plan"]).json("--state", &state).go().text(), "t:\n  nothing to do\n");
    file(files.path(), "b.csv", "id\n2\n");
    assert_eq!(steps(&plan().json("--state", &state).go().success()), [path("b.csv")]);
    let whole = plan().json("--state", &state).set("whole_tables", true).go().success();
    assert_eq!(steps(&whole), [path("a.csv"), path("b.csv")]);

    let stream = json!({ "name": "t", "path": "/shops/{shop}/orders?token=s3cret",
        "inputs": [{ "shop": "x" }], "schema": { "properties": { "id": {} } } });
    let tap = tap_api("http://127.0.0.1:9/v1?key=s3cret", &stream, &json!({}));
    let text = tap.args(["--plan"]).go().success().text();
    assert_eq!(text, "t:\n  GET http://127.0.0.1:9/v1/shops/{shop}/orders\n");
}

#[test]
fn a_table_of_files_is_read_whole_where_that_is_wanted() {
    let (scratch, files) = (folder(), folder());
    let path = files.path().join("*.csv");
    let table = json!({ "entity": "t", "path": path, "keys": ["id"] });
    let settings = json!({ "files": [table], "whole_tables": true });
    let mut state = json!({});
    let mut extract = |rows: &str| {
        let tap = ours("tap-csv").config(&settings).json("--state", &state);
        let (tap, outcome) = pipe(tap, to_lake(scratch.path(), "s", DAY));
        let outcome = outcome.success();
        state = serde_json::from_str(outcome.text().lines().last().unwrap()).unwrap();
        let data = lake::data(&lake::partition(scratch.path(), "s", DAY, "t"));
        assert_eq!(data, format!("id\n{rows}"));
        tap
    };
    let first = file(files.path(), "a.csv", "id\n1\n");
    extract("1\n");
    file(files.path(), "b.csv", "id\n2\n");
    extract("1\n2\n");
    let again = extract("1\n2\n");
    assert!(again.stderr.contains("unchanged since it was read"), "{}", again.stderr);
    fs::remove_file(first).unwrap();
    extract("2\n");
}

#[test]
fn the_runner_tells_the_files_and_the_statements_of_a_step() {
    let target = database("planned_run");
    let loader = format!(
        "  - {{name: target-postgres, executable: target-postgres, config: {}}}\n",
        target.settings_with(&json!({ "default_target_schema": "later" }))
    );
    let mappers = "  mappers:
  - {name: mapper, executable: ./map, mappings: [{name: rename, config: {}}]}
";
    let project = Project::with(mappers, &loader, "");
    project.script("map", "sed -u 's/\"stream\":\"a\"/\"stream\":\"z\"/'");
    let words = ["plan", "tap-csv", "rename", "target-postgres", "--datestamp", "2026-01-31"];
    let plan = project.chorus(&words).args(["--json"]).go().success().text();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let step = &plan["steps"][0];
    // The server of the tests does without fsync, as its user is told.
    let warnings = step["warnings"].as_array().unwrap().iter();
    let other = |text: &&Value| !text.as_str().unwrap().contains("W-NOT-DURABLE");
    assert_eq!(warnings.filter(other).count(), 0, "{step}");
    assert_eq!(step["reads"], json!([{ "stream": "a", "steps": ["in/a.csv"] }]));
    assert_eq!(step["loads"][0]["stream"], "z");
    let create = step["loads"][0]["steps"][2].as_str().unwrap();
    assert!(create.starts_with("CREATE TABLE \"later\".\"z\" (\"id\" bigint NOT NULL"), "{create}");
    assert_eq!(target.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'later'"), "0");

    let text = project.chorus(&words).go().success().text();
    assert!(text.contains("read a:\n  in/a.csv\nload z:\n  CREATE SCHEMA \"later\"\n"), "{text}");
    // What the target refuses is a warning of the plan, which fails.
    target.psql("CREATE SCHEMA later; CREATE VIEW later.z AS SELECT 1 AS id");
    let text = project.chorus(&words).go().exits(69).text();
    assert!(text.contains("warning: cannot predict what target-postgres would do"), "{text}");
    assert!(text.contains("cannot load into a view or foreign table"), "{text}");
}

#[test]
fn a_whole_read_that_is_cut_begins_anew() {
    let files = folder();
    let table = json!({ "entity": "t", "path": files.path().join("*.csv"), "keys": ["id"] });
    let settings = json!({ "files": [table], "whole_tables": true });
    let read = |state: &Value| {
        let run = ours("tap-csv").config(&settings).json("--state", state).go().success();
        let mut states = run.messages();
        states.retain(|message| message["type"] == "STATE");
        let states: Vec<Value> = states.iter_mut().map(|state| state["value"].take()).collect();
        (run.records("t").len(), states)
    };
    for name in ["a", "b", "c"] {
        file(files.path(), &format!("{name}.csv"), "id\n1\n");
    }
    let (rows, states) = read(&json!({}));
    assert_eq!(rows, 3);
    let last = states.last().unwrap();
    assert_eq!(read(last).0, 0);
    file(files.path(), "a.csv", "id\n1\n2\n");
    fs::remove_file(files.path().join("b.csv")).unwrap();
    let (rows, states) = read(last);
    assert_eq!(rows, 3);
    let (done, amid) = states.split_last().unwrap();
    assert!(amid.len() > 2, "{states:?}");
    for state in amid {
        let rest = read(state).0;
        let is_whole = state["bookmarks"] == done["bookmarks"];
        assert_eq!(rest, if is_whole { 0 } else { 3 }, "from {state}");
    }
}

#[test]
fn what_is_unchanged_is_not_loaded_and_a_part_is_told_before_it_is_refused() {
    let more = "  - name: tap-all
    inherit_from: tap-csv
    config: {files: [{entity: all, path: in/*.csv, keys: [id]}]}
";
    let project = Project::new(more, &[]);
    let plan_exits = |exit: i32, words: &[&str]| -> Value {
        let words = [&["plan", "tap-all", "target-csv", "--datestamp", "2026-01-31"], words];
        let text = project.chorus(&words.concat()).args(["--json"]).go().exits(exit).text();
        serde_json::from_str::<Value>(&text).unwrap()["steps"][0].take()
    };
    let plan = |words: &[&str]| plan_exits(0, words);
    let before = plan(&[]);
    assert_eq!(before["loads"][0]["stream"], "all", "{before}");
    project.run(&["tap-all", "target-csv"]).success();
    let after = plan(&[]);
    assert_eq!(after["reads"], json!([{ "stream": "all", "steps": [] }]));
    assert_eq!([&after["loads"], &after["warnings"]], [&json!([]), &json!([])]);
    assert_eq!(plan(&["--full-refresh"])["loads"], before["loads"]);

    file(&project.root, "in/c.csv", "id,name\n3,c\n");
    let part = plan_exits(78, &[]);
    assert_eq!(part["reads"][0]["steps"], json!(["in/c.csv"]));
    let warning = part["warnings"][0].as_str().unwrap();
    assert!(warning.contains("cannot replace a day by a part of its rows"), "{warning}");
    let refused = project.run(&["tap-all", "target-csv"]).exits(78);
    assert!(refused.stderr.contains("`whole_tables`"), "{}", refused.stderr);
}

#[test]
fn a_plan_has_the_columns_of_the_run_and_the_words_of_who_cannot_tell() {
    let target = database("planned_columns");
    target.psql(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, at timestamptz, v text);
         CREATE INDEX ON s.t (at)",
    );
    let more = format!(
        "  - name: tap-postgres
    executable: tap-postgres
    config: {}
    select: ['s-t.*', '!s-t.at', '!s-t.v']
    metadata: {{s-t: {{replication-method: INCREMENTAL, replication-key: at}}}}
  mappers:
  - {{name: mapper, executable: ./map, mappings: [{{name: broken}}]}}
",
        target.settings_with(&json!({ "filter_schemas": "s" }))
    );
    let into = target.settings_with(&json!({ "default_target_schema": "into" }));
    let loader = format!(
        "  - {{name: target-postgres, executable: target-postgres, config: {into}}}
  - {{name: target-other, executable: ./beside/cat}}
"
    );
    let project = Project::with(&more, &loader, "");
    project.script("map", "echo no such mapping >&2; exit 3");
    let step = |words: &[&str], exit: i32| -> Value {
        let words = [&["plan", "--json", "tap-postgres"], words].concat();
        let plan = project.chorus(&words).go().exits(exit).text();
        serde_json::from_str::<Value>(&plan).unwrap()["steps"][0].take()
    };
    let planned = step(&["target-postgres"], 0);
    assert_eq!(planned["streams"][0]["columns"], json!(["id", "at"]));
    let create = planned["loads"][0]["steps"][2].as_str().unwrap().to_owned();
    project.run(&["tap-postgres", "target-postgres"]).success();
    let columns = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = 'into.t'::regclass AND attnum > 0 AND attname !~ '^_sdc'";
    assert_eq!(target.psql(columns), "id,at");
    assert!(create.contains("(\"id\" integer NOT NULL, \"at\" timestamp with"), "{create}");

    let warnings = step(&["broken", "target-postgres"], 69)["warnings"].clone();
    let warning = warnings[0].as_str().unwrap();
    assert!(warning.contains("exit: 3; broken: no such mapping"), "{warning}");
    // A program of others that lies beside `chorus` is not asked what it would do.
    let beside = project.root.join("beside");
    fs::create_dir(&beside).unwrap();
    fs::copy(support::binaries_dir().join("chorus"), beside.join("chorus")).unwrap();
    fs::copy("/bin/cat", beside.join("cat")).unwrap();
    let words = ["--project", project.root.to_str().unwrap(), "plan", "--json", "tap-csv"];
    let chorus = Run::new(&beside.join("chorus")).args(words).args(["target-other"]);
    let path = format!("{}:/usr/bin:/bin", support::binaries_dir().display());
    let plan = chorus.env("PATH", path).go().success().text();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["steps"][0]["warnings"], json!([]), "{plan}");
}

#[test]
fn a_plan_without_input_is_refused_as_a_load_is() {
    let scratch = folder();
    let target = || to_lake(scratch.path(), "s", DAY).args(["--plan"]).input("");
    target().go().exits(76);
    target().set("allow_empty", true).go().success();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn names_in_a_plan_control_no_terminal() {
    let scratch = folder();
    let lines = Lines::default().schema("a\n\u{1b}[31mb", &columns(), &["id"]).done();
    let plan = to_lake(scratch.path(), "s", DAY).args(["--plan"]).input(lines.0).go().success();
    assert!(plan.text().starts_with("a\\n\\u{1b}[31mb:\n"), "{}", plan.text());
    assert_eq!(plan.text().lines().count(), 2, "{}", plan.text());
}
