//! Days of a table that is gone, under the runner: noticed, and loaded again as the hint says. And
//! days that keep a table which their source has no more.

use serde_json::json;

use crate::runner::loads::{daily, settings};
use support::cluster::{Database, database};
use support::project::{DAY, Project};
use support::run::{Outcome, file};

const DAYS: [&str; 3] = ["2026-03-01", "2026-03-02", "2026-03-03"];

/// A project with three days that are loaded into one table by key.
fn loaded(target: &Database) -> Project {
    let project = daily(&settings(target, "upsert"));
    for (number, day) in DAYS.into_iter().enumerate() {
        let text = format!("id,v\n0,{day}\n{},of {day}\n", number + 1);
        file(&project.root, &format!("in/{day}.csv"), text);
    }
    let words = ["backfill", "elt", "--from", DAYS[0], "--to", DAYS[2]];
    project.chorus(&words).go().success();
    assert_eq!(rows(target), "0 1 2 3 2026-03-03");
    project
}

fn rows(target: &Database) -> String {
    let sql = "SELECT string_agg(id::text, ' ' ORDER BY id) || ' ' || min(v) FILTER (WHERE id = 0)";
    target.psql(&format!("{sql} FROM t"))
}

fn load(project: &Project, day: &str) -> Outcome {
    let words = ["run", "load", "--datestamp", day, "--retries", "0"];
    project.chorus(&words).go()
}

/// Follows the hint for days.
fn load_again(project: &Project, refused: &Outcome) {
    let hint = "chorus backfill TAP TARGET --from DAY --to DAY --only again --full-refresh";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    let words = ["backfill", "tap-csv--day", "target-postgres", "--from", "2026-02-20"];
    let more = ["--to", "2026-03-10", "--only", "again", "--full-refresh"];
    project.chorus(&[&words[..], &more].concat()).go().success();
}

#[test]
fn all_days_of_a_table_that_is_gone_are_loaded_again() {
    let target = database("gone_days");
    let project = loaded(&target);
    target.psql("DROP TABLE t");
    let refused = load(&project, DAYS[2]).exits(78);
    load_again(&project, &refused);
    assert_eq!(rows(&target), "0 1 2 3 2026-03-03");
    load(&project, DAYS[1]).success();
}

#[test]
fn a_table_that_one_day_has_made_anew_lacks_the_others() {
    let target = database("anew");
    let project = loaded(&target);
    target.psql("DROP TABLE t");
    file(&project.root, &format!("in/{}.csv", DAYS[1]), "id,v\n0,new\n2,new\n");
    let told = project.chorus(&["run", "elt", "--datestamp", DAYS[1]]).go().success().stderr;
    assert!(told.contains("W-TABLE-GONE: table public.t was filled before and is gone"), "{told}");
    assert_eq!(rows(&target), "0 2 new");
    let refused = load(&project, DAYS[0]).exits(78);
    assert!(refused.stderr.contains("other tables of the same names"), "{}", refused.stderr);
    load_again(&project, &refused);
    assert_eq!(rows(&target), "0 1 2 3 2026-03-03");
}

#[test]
fn a_table_that_its_source_has_no_more_stays_in_the_day_and_is_told() {
    let source = database("leaves");
    let make = "CREATE TABLE a (n int); CREATE TABLE b (n int); INSERT INTO b VALUES (1);
                CREATE TABLE c (n int); INSERT INTO c VALUES (1)";
    source.psql(make);
    let settings = source.settings_with(&json!({}));
    let tap = |name: &str, more: &str| {
        format!("  - {{name: {name}, executable: tap-postgres, config: {settings}{more}}}\n")
    };
    let taps = tap("tap-all", "") + &tap("tap-some", ", select: ['*.*', '!public-c.*']");
    let project = Project::with(&taps, "", "");
    let run = |tap: &str| {
        let words = ["run", tap, "target-csv", "--datestamp", DAY];
        project.chorus(&words).go().success().stderr
    };
    for _ in 0..2 {
        // A table without rows is read, too.
        let told = run("tap-all");
        assert!(!told.contains("W-TABLE-STAYS"), "{told}");
    }
    // What is left out by will is no news, nor what another step reads.
    assert!(!run("tap-some").contains("W-TABLE-STAYS"));
    source.psql("DROP TABLE b");
    let told = run("tap-all");
    let warned: Vec<&str> = told.lines().filter(|line| line.contains("W-TABLE-STAYS: ")).collect();
    assert_eq!(warned.len(), 1, "{told}");
    assert!(warned[0].contains("table public-b of csv"), "{told}");
    assert!(project.partition("csv", "public-b").is_dir());
    let words = ["run", "tap-all", "target-csv", "--datestamp", DAY, "--deny-warnings", "all"];
    project.chorus(&words).go().exits(65);
    // The hint helps.
    let (_, hint) = warned[0].split_once("from the day, remove ").unwrap();
    let (paths, _) = hint.split_once(", then").unwrap();
    let (folder, record) = paths.split_once(" and ").unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::remove_file(record).unwrap();
    for _ in 0..2 {
        assert!(!run("tap-all").contains("W-TABLE-STAYS"));
    }
    assert!(project.partition("csv", "public-c").is_dir());
    assert!(!project.partition("csv", "public-b").exists());
}

#[test]
fn an_entity_of_files_that_the_settings_have_no_more_stays_in_the_day_and_is_told() {
    let b = ", {entity: b, path: in/b.csv}";
    let more = format!(
        "  - {{name: tap-two, inherit_from: tap-csv, config: {{files:
      [{{entity: a, path: in/a.csv, keys: [id]}}{b}]}}}}
"
    );
    let project = Project::with(&more, "", "");
    let settings = std::fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let run = |more: &[&str]| {
        let words = ["run", "tap-two", "target-csv", "--datestamp", DAY];
        project.chorus(&[&words[..], more].concat()).go().success().stderr
    };
    for more in [&[][..], &[], &["--full-refresh"]] {
        assert!(!run(more).contains("W-TABLE-STAYS"));
    }
    for new in ["", ", {entity: renamed, path: in/b.csv}"] {
        file(&project.root, "meltano.yml", settings.replace(b, new));
        for more in [&[][..], &[], &["--full-refresh"]] {
            let told = run(more);
            assert!(told.contains("W-TABLE-STAYS: table b of csv"), "{new} {more:?} {told}");
            assert_eq!(told.matches("W-TABLE-STAYS: ").count(), 1, "{told}");
        }
    }
    // What is there again is no news.
    file(&project.root, "meltano.yml", &settings);
    assert!(!run(&[]).contains("table b of csv"));
}

#[test]
fn a_job_without_days_shows_how_its_last_run_has_ended() {
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let project = Project::with("", loaders, "- {name: flat, tasks: [tap-csv target-flat]}\n");
    let status = || project.chorus(&["status", "flat"]).go().success().text();
    assert!(status().contains("it was not run yet"), "{}", status());
    project.chorus(&["run", "flat"]).go().success();
    let told = status();
    let line = told.lines().find(|line| line.starts_with("tap-csv target-flat ")).unwrap();
    assert!(line.contains(" ok "), "{told}");
    file(&project.root, "in/a.csv", "id,name\n1,a\n1\n");
    assert_ne!(project.chorus(&["run", "flat"]).go().code, 0);
    assert!(status().contains(" failed "), "{}", status());
}
