//! What was loaded before: rows that would be added a second time, days that are done for another
//! place or from other rows, and days whose records are lost.

use std::fs;

use crate::runner::loads::{daily, settings};
use support::cluster::{Database, database};
use support::project::{DAY, Project};
use support::run::{Outcome, file};

const DAYS: [&str; 3] = ["2026-02-01", "2026-02-02", "2026-02-04"];

fn put(project: &Project, day: &str, value: &str) {
    file(&project.root, &format!("in/{day}.csv"), format!("id,v\n1,{value}\n"));
}

fn edit(project: &Project, from: &str, to: &str) {
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    assert!(text.contains(from), "{text}");
    file(&project.root, "meltano.yml", text.replace(from, to));
}

fn count(database: &Database) -> String {
    database.psql("SELECT count(*) FROM a")
}

/// Asserts that a run tells of rows that it adds again, and ends before it adds them.
#[track_caller]
fn tells(project: &Project, words: &[&str], database: &Database) -> Outcome {
    let before = count(database);
    let run = project.chorus(&["run", "--retries", "0"]).args(words);
    let denied = run.args(["--deny-warnings", "W-ROWS-AGAIN"]).go().exits(65);
    assert!(denied.stderr.contains("W-ROWS-AGAIN"), "{}", denied.stderr);
    assert_eq!(count(database), before, "{words:?}");
    denied
}

#[track_caller]
fn is_silent(project: &Project, words: &[&str]) {
    let outcome = project.chorus(&["run"]).args(words).go().success();
    assert!(!outcome.stderr.contains("W-ROWS-AGAIN"), "{words:?} {}", outcome.stderr);
}

#[test]
fn rows_that_are_added_again_are_told_before_they_are() {
    let database = database("again");
    let settings = settings(&database, "append-only");
    let more = "  - {name: tap-same, inherit_from: tap-csv}
  - {name: tap-else, inherit_from: tap-csv, config: {files: [{entity: a, path: in/b.csv}]}}
";
    let loaders = format!(
        "  - {{name: pg, executable: target-postgres, config: {settings}}}
  - {{name: pg-too, inherit_from: pg}}
"
    );
    let project = Project::with(more, &loaders, "");
    let states = project.root.join(".chorus/state");
    for _ in 0..2 {
        is_silent(&project, &["tap-csv", "pg"]);
    }
    assert_eq!(count(&database), "2");
    // Another source of the same table, and another day of the run, are no second time.
    is_silent(&project, &["tap-else", "pg"]);
    is_silent(&project, &["tap-csv", "pg", "--datestamp", DAY]);
    for words in [
        &["tap-csv", "pg", "--state-id", "mine"][..],
        &["tap-same", "pg"],
        &["tap-csv", "pg-too"],
        &["tap-csv", "pg", "--full-refresh"],
    ] {
        tells(&project, words, &database);
    }
    // The command that is told brings the state over.
    let words = ["tap-csv", "pg", "--environment", "other"];
    let told = tells(&project, &words, &database).stderr;
    let (_, command) = told.split_once("end this run, then: chorus ").unwrap();
    let (get, rest) = command.split_once(" | chorus ").unwrap();
    let (set, _) = rest.split_once(';').unwrap();
    let words_of = |text: &str| text.replace('\'', "");
    let get: Vec<String> = words_of(get).split_whitespace().map(str::to_owned).collect();
    let set: Vec<String> = words_of(set).split_whitespace().map(str::to_owned).collect();
    assert_eq!(set.last().unwrap(), "-", "{told}");
    let state = project.chorus(&[]).args(&get).go().success().text();
    project.chorus(&[]).args(&set).input(state).go().success();
    is_silent(&project, &words);
    assert_eq!(count(&database), "3");
    // A state that is lost.
    for path in fs::read_dir(&states).unwrap() {
        fs::remove_file(path.unwrap().path()).unwrap();
    }
    let told = tells(&project, &["tap-csv", "pg"], &database).stderr;
    assert!(told.contains("chorus state set 'dev:tap-csv-to-pg'"), "{told}");
}

#[test]
fn rows_without_keys_are_added_again_whatever_the_method() {
    let database = database("again_keyless");
    let settings = settings(&database, "upsert");
    let more = "  - {name: tap-plain, inherit_from: tap-csv, config: {files:
      [{entity: a, path: in/b.csv}]}}\n";
    let loaders = format!("  - {{name: pg, executable: target-postgres, config: {settings}}}\n");
    let project = Project::with(more, &loaders, "");
    is_silent(&project, &["tap-plain", "pg"]);
    tells(&project, &["tap-plain", "pg", "--environment", "other"], &database);
    // A key takes the place of its row.
    database.psql("DROP TABLE a");
    is_silent(&project, &["tap-csv", "pg"]);
    is_silent(&project, &["tap-csv", "pg", "--environment", "other"]);
}

#[test]
fn days_that_are_added_are_told_when_they_have_changed_alone() {
    let database = database("again_days");
    let mut settings = settings(&database, "append-only");
    settings["table_names"] = serde_json::json!({ "t": "a" });
    let project = daily(&settings);
    for day in DAYS {
        put(&project, day, &format!("of {day}"));
        for _ in 0..2 {
            is_silent(&project, &["elt", "--datestamp", day]);
        }
    }
    assert_eq!(count(&database), "3");
    put(&project, DAYS[1], "corrected");
    let told = tells(&project, &["elt", "--datestamp", DAYS[1]], &database).stderr;
    assert!(told.contains("t changed since the day was loaded"), "{told}");
}

#[test]
fn files_that_are_read_again_are_told_where_rows_are_added() {
    let database = database("again_files");
    let settings = settings(&database, "append-only");
    let loaders = format!("  - {{name: pg, executable: target-postgres, config: {settings}}}\n");
    let more = "  - {name: tap-all, inherit_from: tap-csv, config: {files:
      [{entity: a, path: 'in/*.csv', keys: [id]}]}}\n";
    let project = Project::with(more, &loaders, "");
    file(&project.root, "in/b.csv", "id,name\n3,c\n");
    let words = ["tap-all", "pg"];
    is_silent(&project, &words);
    // What is new, or is the same with another time, is no second time.
    file(&project.root, "in/c.csv", "id,name\n4,d\n");
    let same = fs::read(project.root.join("in/a.csv")).unwrap();
    file(&project.root, "in/a.csv", same);
    is_silent(&project, &words);
    assert_eq!(count(&database), "4");
    // So is what was rotated, and the new file that has its name.
    for id in [5, 6] {
        for (from, to) in [("b.1.csv", "b.2.csv"), ("b.csv", "b.1.csv")] {
            let path = |name: &str| project.root.join("in").join(name);
            let _ = fs::rename(path(from), path(to));
        }
        file(&project.root, "in/b.csv", format!("id,name\n{id},e\n"));
        is_silent(&project, &words);
    }
    assert_eq!(count(&database), "6");
    for text in ["id,name\n3,corrected\n", "id,name\n3,c\n5,e\n"] {
        file(&project.root, "in/b.csv", text);
        let told = tells(&project, &words, &database).stderr;
        assert!(told.contains("in/b.csv changed since"), "{told}");
        assert!(!told.contains("in/a.csv"), "{told}");
    }
}

/// A target of others that keeps what it is given, and waits until it may.
const SLOW: &str = r#"
touch begun
while [ ! -e go ]; do sleep 0.02; done
grep -o '{"type":"STATE.*' | sed -u 's/.*"value"://; s/}$//'
"#;

#[test]
fn a_run_that_was_killed_is_told_to_the_next_that_adds_rows() {
    for (method, told) in [("append-only", true), ("upsert", false)] {
        let loaders =
            format!("  - {{name: slow, executable: ./slow, config: {{load_method: {method}}}}}\n");
        let project = Project::with("", &loaders, "");
        project.script("slow", SLOW);
        let mut run = project.chorus(&["run", "tap-csv", "slow"]).start(true);
        project.wait_for(&|| project.root.join("begun").exists());
        run.kill();
        file(&project.root, "go", "");
        let next = project.chorus(&["run", "tap-csv", "slow"]).go().success().stderr;
        assert_eq!(next.contains("was killed: rows that it added"), told, "{next}");
        is_silent(&project, &["tap-csv", "slow"]);
    }
}

/// A target of others that has its state find no folder, until somebody mends that.
const UNKEPT: &str = r#"
[ -e mended ] || { rm -rf .chorus/state; touch .chorus/state; }
grep -o '{"type":"STATE.*' | sed -u 's/.*"value"://; s/}$//'
"#;

#[test]
fn a_state_that_could_not_be_kept_is_told_at_once_and_to_the_next_run() {
    let loaders = "  - {name: adds, executable: ./adds, config: {load_method: append-only}}\n";
    let project = Project::with("", loaders, "");
    project.script("adds", UNKEPT);
    let failed = project.run(&["tap-csv", "adds"]).exits(74).stderr;
    for part in ["state: dev:tap-csv-to-adds", "rows that were loaded after the last"] {
        assert!(failed.contains(part), "no {part} in {failed}");
    }
    let log = project.chorus(&["logs"]).go().success().text();
    assert!(log.contains(" error: cannot make the folder"), "{log}");
    fs::remove_file(project.root.join(".chorus/state")).unwrap();
    file(&project.root, "mended", "");
    let next = project.run(&["tap-csv", "adds"]).success().stderr;
    assert!(next.contains("could not keep its state: rows that it added"), "{next}");
    is_silent(&project, &["tap-csv", "adds", "--datestamp", DAY]);
}

fn statuses(project: &Project, words: &[&str]) -> Vec<String> {
    let text = project.chorus(&["status"]).args(words).go().success().text();
    let days = text.lines().filter(|line| line.starts_with("2026-") && !line.contains(": W-"));
    let last = |line: &str| line.rsplit("  ").next().unwrap().trim().to_owned();
    days.map(last).collect()
}

fn backfill(project: &Project) -> String {
    let words = ["backfill", "elt", "--from", DAYS[0], "--to", DAYS[0]];
    project.chorus(&words).go().success().text()
}

#[test]
fn a_day_is_done_where_it_was_loaded_and_for_the_rows_it_has() {
    let database = database("elsewhere");
    let project = daily(&settings(&database, "upsert"));
    put(&project, DAYS[0], "first");
    backfill(&project);
    assert_eq!(statuses(&project, &["elt"]), ["ok"]);
    // The target has another place.
    edit(&project, "\"default_target_schema\":\"public\"", "\"default_target_schema\":\"other\"");
    assert_eq!(statuses(&project, &["elt"]), ["-"]);
    backfill(&project);
    assert_eq!(database.psql("SELECT v FROM other.t"), "first");
    assert_eq!(statuses(&project, &["elt"]), ["ok"]);
    // The day is extracted anew, and not loaded.
    let extract = ["run", "tap-daily", "target-csv", "--datestamp", DAYS[0]];
    put(&project, DAYS[0], "anew");
    project.chorus(&extract).go().success();
    assert_eq!(statuses(&project, &["elt"]), ["changed since"]);
    let told = backfill(&project);
    assert!(told.contains("tap-csv--day target-postgres (was: changed since)"), "{told}");
    assert_eq!(database.psql("SELECT v FROM other.t"), "anew");
    // The same rows again change nothing.
    project.chorus(&extract).args(["--full-refresh"]).go().success();
    assert_eq!(statuses(&project, &["elt"]), ["ok"]);
}

#[test]
fn the_order_of_days_is_known_from_states_where_the_records_are_lost() {
    let database = database("lost_records");
    let project = daily(&settings(&database, "upsert"));
    let run = |day: &str| {
        put(&project, day, &format!("of {day}"));
        project.chorus(&["run", "elt", "--datestamp", day]).go().success().stderr
    };
    run(DAYS[1]);
    run(DAYS[2]);
    fs::remove_dir_all(project.root.join(".chorus/runs")).unwrap();
    assert_eq!(statuses(&project, &["elt"]).len(), 2);
    let told = run(DAYS[0]);
    assert!(told.contains("W-DAY-OLDER"), "{told}");
    let (_, commands) = told.split_once("again after it: chorus ").unwrap();
    for command in commands.lines().next().unwrap().split(" && chorus ") {
        let words: Vec<_> = command.split_whitespace().collect();
        project.chorus(&words).go().success();
    }
    assert_eq!(database.psql("SELECT v FROM t"), format!("of {}", DAYS[2]));
}

#[test]
fn a_day_that_another_environment_has_written_is_not_done() {
    let project = Project::new("", &[]);
    let more = "environments:
- name: prod
  config:
    plugins:
      extractors:
      - {name: tap-csv, config: {files: [{entity: a, path: in/prod.csv, keys: [id]}]}}
- name: same
";
    edit(&project, "environments:\n", more);
    file(&project.root, "in/prod.csv", "id,name\n7,prod\n");
    let words = ["tap-csv", "target-csv", "--from", DAY, "--to", DAY];
    let fill =
        |more: &[&str]| project.chorus(&["backfill"]).args(words).args(more).go().success().text();
    fill(&[]);
    // What reads the same is done; what reads something else is not.
    assert!(fill(&["--environment", "same"]).contains("0 steps of 0 days"), "same");
    assert!(fill(&["--environment", "prod"]).contains("1 step of 1 day"), "prod");
    let data = support::lake::data(&project.partition("csv", "a"));
    assert_eq!(data, "id,name\n7,prod\n");
    assert!(fill(&["--environment", "prod"]).contains("0 steps of 0 days"), "done");
}
