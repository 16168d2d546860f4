//! What the runner knows of rows that others take the place of: of loads at once, of taps that read
//! what is new alone, and of two steps that write one table.

use std::fs;

use serde_json::json;

use crate::runner::loads::{daily, settings};
use support::cluster::{Database, database};
use support::project::{DAY, Project};
use support::run::file;

const DAYS: [&str; 4] = ["2026-02-01", "2026-02-02", "2026-02-03", "2026-02-04"];
const LOAD: &str = "tap-csv--day target-postgres";

/// A foreign tap of stream `t`: the first day of its settings is the value of its row, and the
/// first of `DAYS` waits for a file.
const SLOW: &str = r#"
[ "$3" = --discover ] && { echo '{"streams":[]}'; exit 0; }
day=$(grep -o '2026-0.-..' "$2" | head -n 1)
[ $day = 2026-02-01 ] && { touch begun; while [ ! -e go ]; do sleep 0.02; done; }
schema='{"type":"object","properties":{"id":{"type":"integer"},"v":{"type":"string"}}}'
echo '{"type":"SCHEMA","stream":"t","schema":'$schema',"key_properties":["id"]}'
echo '{"type":"RECORD","stream":"t","record":{"id":1,"v":"of '$day'"}}'
echo '{"type":"STATE","value":{"bookmarks":{"t":{"day":"'$day'"}}}}'
"#;

/// A foreign tap of stream `t` with two rows, or the new one alone behind a bookmark.
const NEW_ALONE: &str = r#"
[ "$3" = --discover ] && { echo '{"streams":[]}'; exit 0; }
schema='{"type":"object","properties":{"id":{"type":"integer"}}}'
echo '{"type":"SCHEMA","stream":"t","schema":'$schema',"key_properties":["id"]}'
for last in "$@"; do :; done
grep -q '"key":1' "$last" || echo '{"type":"RECORD","stream":"t","record":{"id":1}}'
[ -e more ] && echo '{"type":"RECORD","stream":"t","record":{"id":2}}'
echo '{"type":"STATE","value":{"bookmarks":{"t":{"key":1}}}}'
"#;

fn put(project: &Project, day: &str) {
    file(&project.root, &format!("in/{day}.csv"), format!("id,v\n1,of {day}\n"));
}

fn value(database: &Database) -> String {
    database.psql("SELECT string_agg(v, ',') FROM t")
}

/// Runs the command that a warning names.
fn follow(project: &Project, stderr: &str) -> String {
    let (_, command) = stderr.split_once("again after it: chorus ").expect("a command");
    let words: Vec<_> = command.lines().next().unwrap().split_whitespace().collect();
    project.chorus(&words).go().success().text()
}

fn load_into(name: &str) -> (Database, Project) {
    let database = database(name);
    let project = daily(&settings(&database, "upsert"));
    (database, project)
}

#[test]
fn what_loads_nothing_lies_on_top_of_nothing() {
    let (database, project) = load_into("nothing");
    let run = |job: &str, day: &str| {
        put(&project, day);
        project.chorus(&["run", job, "--datestamp", day]).go().success().stderr
    };
    run("elt", DAYS[0]);
    run("elt", DAYS[2]);
    for job in ["elt", "load"] {
        assert!(!run(job, DAYS[0]).contains("W-DAY-OLDER"), "{job}");
    }
    let denied = ["rerun", "last", "--deny-warnings", "W-DAY-OLDER"];
    project.chorus(&denied).go().success();
    assert_eq!(value(&database), format!("of {}", DAYS[2]));
    file(&project.root, &format!("in/{}.csv", DAYS[0]), "id,v\n1,mended\n");
    let older = project.chorus(&["run", "elt", "--datestamp", DAYS[0]]).go().success();
    follow(&project, &older.stderr);
    assert_eq!(value(&database), format!("of {}", DAYS[2]));
}

#[test]
fn none_but_the_days_that_were_loaded_are_done_again() {
    let (database, project) = load_into("loaded");
    let run = |day: &str| {
        put(&project, day);
        project.chorus(&["run", "elt", "--datestamp", day]).go().success().stderr
    };
    // There is nothing of the day between them.
    run(DAYS[1]);
    run(DAYS[3]);
    let told = follow(&project, &run(DAYS[0]));
    for day in [DAYS[1], DAYS[3]] {
        assert!(told.contains(&format!("{day} {LOAD} (was: under an older day)\n")), "{told}");
    }
    assert!(told.contains("\n2 steps of 2 days to run"), "{told}");
    assert_eq!(value(&database), format!("of {}", DAYS[3]));
}

/// A project whose tap waits before its first row.
fn with_a_slow_tap(database: &Database) -> Project {
    let settings = settings(database, "upsert");
    let more = "  - {name: tap-slow, executable: ./slow, config: {day: '${DATESTAMP}'}}\n";
    let loaders =
        format!("  - {{name: target-postgres, executable: target-postgres, config: {settings}}}\n");
    let project = Project::with(more, &loaders, "");
    project.script("slow", SLOW);
    project
}

#[test]
fn of_loads_at_once_the_older_day_is_taken_to_be_the_last() {
    let database = database("at_once");
    let project = with_a_slow_tap(&database);
    let words = |day| ["run", "tap-slow", "target-postgres", "--datestamp", day];
    let older = project.chorus(&words(DAYS[0])).start(true);
    project.wait_for(&|| project.root.join("begun").exists());
    project.chorus(&words(DAYS[1])).go().success();
    file(&project.root, "go", "");
    let older = older.wait().success();
    assert_eq!(value(&database), format!("of {}", DAYS[0]));
    let told = follow(&project, &older.stderr);
    assert!(told.contains("(was: under an older day)"), "{told}");
    assert_eq!(value(&database), format!("of {}", DAYS[1]));
}

#[test]
fn a_day_is_told_of_an_older_one_that_was_loaded_meanwhile() {
    let database = database("meanwhile");
    let project = with_a_slow_tap(&database);
    let words = |day| ["run", "tap-slow", "target-postgres", "--datestamp", day];
    let newer = project.chorus(&words(DAYS[0])).start(true);
    project.wait_for(&|| project.root.join("begun").exists());
    project.chorus(&words("2026-01-31")).go().success();
    file(&project.root, "go", "");
    let newer = newer.wait().success();
    let told = follow(&project, &newer.stderr);
    assert!(told.contains("(was: under an older day)"), "{told}");
    assert_eq!(value(&database), format!("of {}", DAYS[0]));
    // It is settled by that.
    let words = ["backfill", "tap-slow", "target-postgres", "--from", DAYS[0], "--to", DAYS[0]];
    let nothing = project.chorus(&words).args(["--preview"]).go().success().text();
    assert!(nothing.starts_with("0 steps of 0 days to run, 1 day in all\n"), "{nothing}");
}

#[test]
fn what_is_replaced_is_given_all_of_a_tap_of_others() {
    let database = database("given_all");
    let load = |method: &str| {
        let mut settings = settings(&database, method);
        settings["default_target_schema"] = method.into();
        settings["source"] = "s".into();
        settings["datestamp"] = "${DATESTAMP}".into();
        settings
    };
    let of_day = "{datestamp}/{stream_name}.csv";
    let targets = [
        ("plain", "target-csv", json!({ "output_path": "plain" })),
        ("of-day", "target-csv", json!({ "output_path": "days", "file_naming_scheme": of_day })),
        ("overwrite", "target-postgres", load("overwrite")),
        ("partition", "target-postgres", load("replace-partition")),
        ("upsert", "target-postgres", load("upsert")),
    ];
    let mut loaders = String::new();
    for (name, program, settings) in &targets {
        let mut settings = settings.clone();
        if *name == "of-day" {
            settings["datestamp"] = "${DATESTAMP}".into();
        }
        let loader = format!("  - {{name: {name}, executable: {program}, config: {settings}}}\n");
        loaders.push_str(&loader);
    }
    let project = Project::with("  - {name: tap-new, executable: ./new}\n", &loaders, "");
    project.script("new", NEW_ALONE);
    for _ in 0..2 {
        for (name, ..) in &targets {
            project.run(&["tap-new", name]).success();
        }
        file(&project.root, "more", "");
    }
    for path in ["plain/t.csv".to_owned(), format!("days/{DAY}/t.csv")] {
        let text = fs::read_to_string(project.root.join(&path)).unwrap();
        assert_eq!(text, "id\n1\n2\n", "{path}");
    }
    for schema in ["overwrite", "replace-partition", "upsert"] {
        assert_eq!(database.psql(&format!("SELECT count(*) FROM \"{schema}\".t")), "2", "{schema}");
    }
}

#[test]
fn a_table_that_two_steps_replace_is_told() {
    let database = database("taken");
    let load = settings(&database, "overwrite");
    let more = "  - name: tap-other
    inherit_from: tap-csv
    config: {files: [{entity: a, path: in/b.csv, keys: [id]}]}
";
    let loaders = format!(
        "  - {{name: pg, executable: target-postgres, config: {load}}}
  - {{name: flat, executable: target-csv, config: {{output_path: flat}}}}
  - {{name: flat--too, inherit_from: flat, config: {{output_path: ./flat/}}}}
"
    );
    let jobs = "- {name: lake, tasks: [tap-csv target-csv, tap-other target-csv]}
- {name: table, tasks: [tap-csv pg, tap-other pg]}
- {name: files, tasks: [tap-csv flat, tap-other flat--too]}
- {name: apart, tasks: [tap-csv target-csv, tap-other target-csv--two, tap-csv flat]}
";
    let project = Project::with(more, &loaders, jobs);
    project.run(&["apart"]).success();
    let told = |words: &[&str]| {
        let outcome = project.run(words).success();
        outcome.stderr.matches("W-TABLE-TAKEN").count()
    };
    assert_eq!(told(&["apart", "--full-refresh"]), 0);
    for (job, target) in [("lake", "target-csv"), ("table", "pg"), ("files", "flat--too")] {
        assert!(told(&[job, "--full-refresh"]) > 0, "{job}");
        // The one that was the last has it, until another comes.
        assert_eq!(told(&["tap-other", target, "--full-refresh"]), 0, "{job}");
        assert_eq!(told(&["tap-csv", target, "--full-refresh"]), 1, "{job}");
    }
    let denied = ["lake", "--full-refresh", "--deny-warnings", "W-TABLE-TAKEN"];
    let denied = project.run(&denied).exits(65);
    assert!(denied.stderr.contains("W-TABLE-TAKEN"), "{}", denied.stderr);
}
