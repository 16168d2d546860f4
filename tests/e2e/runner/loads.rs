//! Loads of days by the runner: none of a day that is not complete, and none of an older day behind
//! a newer one without a word.

use std::fs;

use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::project::{DAY, Project};
use support::run::{Outcome, file};

/// A job that extracts a file of each day and loads the day, and one that only loads.
pub fn daily(settings: &Value) -> Project {
    let more = "  - name: tap-daily
    inherit_from: tap-csv
    config: {files: [{entity: t, path: 'in/${DATESTAMP}.csv', keys: [id]}]}
  - name: tap-csv--day
    inherit_from: tap-csv
    config: {files: null, output: output, datestamp: '${DATESTAMP}'}
  - name: tap-csv--one
    inherit_from: tap-csv--day
    config: {source: csv}
";
    let loaders = format!(
        "  - name: target-postgres
    executable: target-postgres
    config: {settings}
"
    );
    let jobs = "- {name: elt, tasks: [tap-daily target-csv, tap-csv--day target-postgres]}
- {name: load, tasks: [tap-csv--day target-postgres]}
- name: two
  tasks: [tap-csv target-csv, tap-csv--two target-csv--two, tap-csv--day target-postgres]
";
    Project::with(more, &loaders, jobs)
}

/// Returns the settings of a load into a database.
pub fn settings(database: &Database, method: &str) -> Value {
    let mut settings = database.settings();
    settings["load_method"] = method.into();
    settings["default_target_schema"] = "public".into();
    settings
}

const DAYS: [&str; 4] = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"];

fn put(project: &Project, day: &str, value: &str) {
    file(&project.root, &format!("in/{day}.csv"), format!("id,v\n1,{value}\n"));
}

/// Puts a file for each day, with the day in it.
fn put_all(project: &Project) {
    for day in DAYS {
        put(project, day, &format!("of {day}"));
    }
}

fn backfill(project: &Project, more: &[&str]) -> Outcome {
    let words = ["backfill", "elt", "--from", DAYS[0], "--to", DAYS[3]];
    project.chorus(&words).args(more).go()
}

fn value(database: &Database) -> String {
    database.psql("SELECT string_agg(v, ',') FROM t")
}

#[test]
fn the_days_of_a_load_that_keeps_the_last_go_in_their_order() {
    for (method, parallel) in [("upsert", "1"), ("upsert", "4"), ("overwrite", "3")] {
        let database = database("in_order");
        let project = daily(&settings(&database, method));
        put_all(&project);
        let preview = backfill(&project, &["--preview"]).success().text();
        let begins = format!("{} tap-daily target-csv\n", DAYS[0]);
        assert!(preview.starts_with(&begins), "{preview}");
        let why =
            format!("keeps the rows of the last load (`load_method: {method}`)\n8 steps of 4 days");
        assert!(
            preview.contains("the earliest day first: ") && preview.contains(&why),
            "{preview}"
        );
        backfill(&project, &["--parallel", parallel]).success();
        assert_eq!(value(&database), format!("of {}", DAYS[3]), "{method} {parallel}");
    }
    // Partitions are kept apart.
    let database = database("apart");
    let project = daily(&settings(&database, "replace-partition"));
    put_all(&project);
    let preview = backfill(&project, &["--preview"]).success().text();
    assert!(preview.starts_with(&format!("{} tap-daily", DAYS[3])), "{preview}");
    assert!(
        preview.contains("the latest day first, because the days do not replace each other\n"),
        "{preview}"
    );
}

#[test]
fn the_days_behind_one_that_failed_wait_for_it() {
    for parallel in ["1", "4"] {
        let database = database("waits");
        let project = daily(&settings(&database, "upsert"));
        put_all(&project);
        let gone = project.root.join(format!("in/{}.csv", DAYS[1]));
        fs::remove_file(&gone).unwrap();
        let failed = backfill(&project, &["--parallel", parallel]).exits(66);
        let waits = format!("{} waits for an earlier day\n", DAYS[3]);
        assert!(failed.text().contains(&waits), "{}", failed.text());
        // That is no failure of theirs.
        let runs = project.chorus(&["runs"]).go().success().text();
        let of_day = |day: &str| runs.lines().find(|line| line.contains(day)).unwrap_or_default();
        assert!(of_day(DAYS[1]).contains(" failed "), "{runs}");
        assert!(of_day(DAYS[3]).contains(" waited "), "{runs}");
        assert_eq!(value(&database), format!("of {}", DAYS[0]), "{parallel}");
        put(&project, DAYS[1], "late");
        backfill(&project, &["--parallel", parallel]).success();
        assert_eq!(value(&database), format!("of {}", DAYS[3]), "{parallel}");
        let nothing = backfill(&project, &[]).success().text();
        assert!(nothing.starts_with("0 steps of 0 days to run, 4 days in all\n"), "{nothing}");
    }
}

#[test]
fn an_older_day_is_not_loaded_behind_a_newer_one_without_a_word() {
    let database = database("older");
    let project = daily(&settings(&database, "upsert"));
    put_all(&project);
    let run = |day: &str| project.chorus(&["run", "elt", "--datestamp", day]).go().success();
    let warned = |outcome: &Outcome| outcome.stderr.contains("W-DAY-OLDER");
    assert!(!warned(&run(DAYS[1])) && !warned(&run(DAYS[2])) && !warned(&run(DAYS[2])));
    let older = run(DAYS[0]);
    let step = "tap-csv--day target-postgres";
    let again = format!("chorus backfill {step} --from {} --to {}", DAYS[1], DAYS[2]);
    assert!(warned(&older) && older.stderr.contains(&again), "{}", older.stderr);
    assert_eq!(value(&database), format!("of {}", DAYS[0]));
    let status = project.chorus(&["status", "elt"]).go().success().text();
    let under = status.lines().filter(|line| line.ends_with("under an older day"));
    assert_eq!(under.count(), 2, "{status}");
    assert!(status.contains("under an older day: it succeeded, but"), "{status}");
    // What it names puts the table in order again.
    let words: Vec<_> = again.split_whitespace().skip(1).collect();
    assert!(!warned(&project.chorus(&words).args(["--environment", "dev"]).go().success()));
    assert_eq!(value(&database), format!("of {}", DAYS[2]));
    let nothing = project.chorus(&words).go().success().text();
    assert!(nothing.starts_with("0 steps of 0 days to run, 2 days in all\n"), "{nothing}");
}

#[test]
fn the_later_days_follow_an_older_one_that_is_loaded_again() {
    for method in ["upsert", "overwrite"] {
        let database = database("follow");
        let project = daily(&settings(&database, method));
        put_all(&project);
        let all = || backfill(&project, &["--only", "all"]).success();
        all();
        for (day, rows) in [(1, "id,v\n1,mended\n"), (0, "id,v\n")] {
            file(&project.root, &format!("in/{}.csv", DAYS[day]), rows);
            let again = all();
            assert!(!again.stderr.contains("W-DAY-OLDER"), "{}", again.stderr);
            assert_eq!(value(&database), format!("of {}", DAYS[3]), "{method} {day}");
        }
        // A rerun without a change loads nothing.
        let before = database.psql("SELECT string_agg(xmin::text, ',') FROM t");
        all();
        assert_eq!(database.psql("SELECT string_agg(xmin::text, ',') FROM t"), before);
        // The one that was killed behind the older day, in effect: the rest is done later.
        put(&project, DAYS[1], "again");
        let one = ["backfill", "elt", "--from", DAYS[1], "--to", DAYS[2], "--only", "all"];
        let older = project.chorus(&one).go().success();
        assert!(older.stderr.contains("W-DAY-OLDER"), "{}", older.stderr);
        assert_eq!(value(&database), format!("of {}", DAYS[2]), "{method}");
        backfill(&project, &[]).success();
        assert_eq!(value(&database), format!("of {}", DAYS[3]), "{method}");
        // A day that is gone, and comes back between others.
        fs::remove_dir_all(project.root.join(".chorus/runs")).unwrap();
        let run = |day: &str| project.chorus(&["run", "elt", "--datestamp", day]).go().success();
        for day in [0, 1, 3] {
            put(&project, DAYS[day], &format!("once more {day}"));
            run(DAYS[day]);
        }
        backfill(&project, &[]).success();
        assert_eq!(value(&database), "once more 3", "{method}");
    }
}

#[test]
fn a_newer_day_is_seen_whoever_has_loaded_it() {
    let database = database("whoever");
    let settings = settings(&database, "upsert");
    let project = daily(&settings);
    put_all(&project);
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let more = format!(
        "  - {{name: target-else, executable: target-postgres, config: {settings}}}\njobs:\n"
    );
    file(&project.root, "meltano.yml", text.replace("jobs:\n", &more));
    let run = |words: &[&str], day: &str| {
        let outcome = project.chorus(&["run", "--datestamp", day]).args(words).go().success();
        outcome.stderr.contains("W-DAY-OLDER")
    };
    assert!(!run(&["elt"], DAYS[2]));
    // Another name, another environment, and another stream of the same schema.
    assert!(run(&["tap-daily", "target-else"], DAYS[0]));
    assert!(run(&["tap-daily", "target-postgres", "--environment", "other"], DAYS[1]));
    assert!(!run(&["tap-csv", "target-else"], DAYS[0]));
    let denied = ["--deny-warnings", "W-DAY-OLDER"];
    let words = ["run", "--datestamp", DAYS[1], "tap-daily", "target-else"];
    project.chorus(&words).args(denied).go().exits(65);
    // What the first job did lies under it, and the warning says how to mend that.
    let words = ["backfill", "tap-csv--day", "target-postgres", "--from", DAYS[2], "--to", DAYS[2]];
    project.chorus(&words).go().success();
    assert_eq!(value(&database), format!("of {}", DAYS[2]));
}

#[test]
fn a_load_that_failed_by_its_rows_offers_to_write_the_day_again() {
    let database = database("by_its_rows");
    database.psql("CREATE TABLE t (id bigint PRIMARY KEY, v text CHECK (v <> 'bad'))");
    let project = daily(&settings(&database, "upsert"));
    put_all(&project);
    put(&project, DAYS[2], "bad");
    let failed = backfill(&project, &[]).exits(65);
    let range = format!("--from {0} --to {0} --only failed", DAYS[2]);
    let before = format!("chorus backfill elt {range}-and-before\n");
    let alone = format!("chorus backfill elt {range}\n");
    let told = |text: &str| text.contains(&before) && text.contains(&alone);
    assert!(told(&failed.text()), "{}", failed.text());
    put(&project, DAYS[2], "mended");
    // The load alone has the rows of the day that was written before.
    let alone = backfill(&project, &["--only", "failed"]).exits(65);
    assert!(told(&alone.text()), "{}", alone.text());
    let mended = backfill(&project, &["--only", "failed-and-before"]).success();
    assert!(mended.text().starts_with(&format!("{} tap-daily target-csv", DAYS[2])));
    assert!(!told(&mended.text()), "{}", mended.text());
    assert_eq!(value(&database), "mended");
    backfill(&project, &[]).success();
    assert_eq!(value(&database), format!("of {}", DAYS[3]));
}

#[test]
fn a_day_that_lacks_a_source_of_its_job_is_not_loaded() {
    // The first step fails, and the second one is never begun; or the second one fails.
    for (lost, one) in [("in/b.csv", "a"), ("in/a.csv", "none")] {
        let database = database("whole_day");
        let project = daily(&settings(&database, "upsert"));
        let text = fs::read(project.root.join(lost)).unwrap();
        fs::remove_file(project.root.join(lost)).unwrap();
        for parallel in ["1", "2"] {
            project.run(&["two", "--parallel", parallel]).exits(66);
        }
        let refused = project.run(&["load"]).exits(66);
        assert!(refused.stderr.contains("a day that is not complete"), "{}", refused.stderr);
        assert_eq!(database.psql("SELECT to_regclass('a') IS NULL"), "t");
        // A load that names its source has it, if it is there.
        let alone = project.run(&["tap-csv--one", "target-postgres"]);
        assert_eq!(alone.code, if one == "a" { 0 } else { 66 }, "{}", alone.stderr);
        file(&project.root, lost, text);
        let step = if one == "a" {
            ["tap-csv--two", "target-csv--two"]
        } else {
            ["tap-csv", "target-csv"]
        };
        assert!(refused.stderr.contains(&step.join(" ")), "{}", refused.stderr);
        project.run(&step).success();
        if one != "a" {
            project.run(&["tap-csv--two", "target-csv--two"]).success();
        }
        project.run(&["load"]).success();
        assert_eq!(
            database.psql("SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)"),
            "3"
        );
        // And the whole job, again.
        project.run(&["two"]).success();
    }
}

#[test]
fn a_day_that_was_whole_waits_for_its_source_to_be_read_again() {
    let database = database("read_again");
    let project = daily(&settings(&database, "upsert"));
    project.run(&["two"]).success();
    let input = project.root.join("in/b.csv");
    let text = fs::read(&input).unwrap();
    fs::remove_file(&input).unwrap();
    project.run(&["two"]).exits(66);
    project.run(&["load"]).exits(66);
    fs::remove_dir_all(project.root.join(".chorus")).unwrap();
    // Also where nothing but the folders tells what was done.
    let words = ["backfill", "two", "--from", DAY, "--to", DAY];
    let preview = project.chorus(&words).args(["--preview"]).go().success().text();
    assert!(preview.starts_with(&format!("{DAY} tap-csv--two target-csv--two\n")), "{preview}");
    fs::write(&input, text).unwrap();
    project.chorus(&words).go().success();
    project.run(&["load"]).success();
    let record = project.lake().join(format!(".runs/source=two/extracted_at={DAY}.json"));
    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    assert_eq!(record.get("awaited"), None, "{}", json!(record));
}

#[test]
fn a_backfill_with_nothing_to_run_says_how_to_run_days_again() {
    let database = database("again_told");
    let project = daily(&settings(&database, "upsert"));
    put_all(&project);
    backfill(&project, &[]).success();
    // The records know nothing of it.
    database.psql("DROP TABLE t");
    for more in [&[][..], &["--preview"], &["--only", "failed"]] {
        let told = backfill(&project, more).success().text();
        let (_, command) = told.split_once("\nto run what is done again: chorus ").unwrap();
        let (command, rest) = command.split_once(" (with ").unwrap();
        assert!(rest.starts_with("--full-refresh too if ") && rest.ends_with(")\n"), "{told}");
        let words: Vec<&str> = command.split(' ').collect();
        let again = project.chorus(&words).args(["--full-refresh"]).go().success();
        assert_eq!(value(&database), format!("of {}", DAYS[3]), "{}", again.text());
        database.psql("DROP TABLE t");
    }
    let fresh = daily(&settings(&database, "upsert"));
    put_all(&fresh);
    let told = backfill(&fresh, &["--only", "again"]).success().text();
    let (_, command) = told.split_once("\nto run what is not done: chorus ").unwrap();
    assert!(!told.contains("again:"), "{told}");
    fresh.chorus(&command.trim().split(' ').collect::<Vec<_>>()).go().success();
    assert_eq!(value(&database), format!("of {}", DAYS[3]));
}
