//! Why a run ends, or would end: in the log of its step, in the error, and in the exit code.

use std::fs;

use crate::runner::loads::{daily, settings};
use support::cluster::database;
use support::project::{DAY, Project};

/// A foreign tap whose discovery fails with a reason.
const REFUSED: &str = "echo 'INFO connecting' >&2; echo 'Exception: the account is locked' >&2
exit 77
";

#[test]
fn the_reason_of_a_failed_discovery_is_in_the_log_and_in_the_error() {
    let project =
        Project::new("  - {name: tap-x, executable: ./x, capabilities: [catalog]}\n", &[]);
    project.script("x", REFUSED);
    let outcome = project.run(&["tap-x", "target-csv"]).exits(77);
    let log = project.chorus(&["logs"]).go().success().text();
    for text in [&outcome.stderr, &log] {
        for part in ["cannot discover the streams of the tap", "the account is locked"] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
    assert!(outcome.stderr.contains("hint: the whole log is in "), "{}", outcome.stderr);

    // What is wrong before a plugin is run is in the log, too.
    fs::remove_file(project.root.join("in/a.csv")).unwrap();
    project.run(&["tap-csv", "target-csv"]).exits(66);
    let log = project.chorus(&["logs"]).go().success().text();
    assert!(log.contains("in/a.csv"), "{log}");
}

#[test]
fn a_plan_fails_by_what_its_run_would_fail_by() {
    let database = database("plan_fails");
    let mut wrong = settings(&database, "upsert");
    wrong["user"] = "nobody_of_this_name".into();
    let loaders = format!("  - {{name: pg, executable: target-postgres, config: {wrong}}}\n");
    let gone = "  - {name: gone, executable: ./gone}\n";
    let more = "  - {name: tap-x, executable: ./x, capabilities: [catalog]}\n";
    let project = Project::with(more, &(loaders + gone), "");
    project.script("x", REFUSED);
    let plan =
        |words: &[&str]| project.chorus(&["plan", "--datestamp", DAY, "--json"]).args(words).go();
    for (words, exit, said) in [
        (["tap-x", "target-csv"], 77, "the account is locked"),
        (["tap-csv", "gone"], 78, "there is no program"),
    ] {
        let planned = plan(&words).exits(exit);
        assert!(planned.text().contains(said), "{words:?} {}", planned.text());
        project.run(&words).exits(exit);
    }
    let planned = plan(&["tap-csv", "pg"]);
    let ran = project.run(&["tap-csv", "pg"]);
    assert_ne!(ran.code, 0);
    assert_eq!(planned.code, ran.code, "{}", planned.stderr);
    plan(&["tap-csv", "target-csv"]).success();
    // A day that a step before is to make is no failure.
    let project = daily(&settings(&database, "upsert"));
    project.chorus(&["plan", "two", "--datestamp", DAY]).go().success();
}

#[test]
fn a_pipeline_has_a_status_by_its_plugins() {
    let project = Project::new("", &[]);
    project.run(&["both"]).success();
    let status = |words: &[&str]| project.chorus(&["status"]).args(words).go().success().text();
    let pair = status(&["tap-csv", "target-csv"]);
    assert!(pair.starts_with("tap-csv target-csv\n"), "{pair}");
    assert!(pair.contains(DAY) && pair.contains(" ok"), "{pair}");
    assert!(status(&["both"]).starts_with("both\n"));
    // Without a word it shows jobs, and what was run by the names of plugins.
    assert!(!status(&[]).contains("tap-csv target-csv\n"), "{}", status(&[]));
    project.run(&["tap-csv", "target-csv"]).success();
    let all = status(&[]);
    assert!(all.contains("both\n") && all.contains("\ntap-csv target-csv\n"), "{all}");
    project.chorus(&["status", "tap-csv"]).go().exits(78);
}

#[test]
fn a_setting_that_a_plugin_refuses_is_named_with_its_place_in_the_file() {
    let more = "  - name: nested
    inherit_from: tap-csv
    config:
      files:
      - {entity: a, path: in/a.csv}
      - {entity: b, pth: in/b.csv}
  - {name: unknown, inherit_from: tap-csv, config: {hots: x}}
";
    let project = Project::new(more, &[]);
    let file = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    for (tap, setting, word, near) in [
        ("nested", "files/1/pth", "pth:", "did you mean `path`?"),
        ("unknown", "`hots`", "hots:", "--about lists"),
    ] {
        let at = file.lines().position(|line| line.contains(word)).unwrap();
        let column = file.lines().nth(at).unwrap().find(word).unwrap() + 1;
        let refused = project.run(&[tap, "target-csv"]).exits(78).stderr;
        let place = format!("\n  line: {}\n  column: {column}\n", at + 1);
        for part in [&format!("setting: {setting}\n"), near, "/meltano.yml", &place] {
            assert!(refused.contains(part), "no {part} in {refused}");
        }
    }
}

#[test]
fn a_number_that_cannot_be_is_refused_as_one() {
    let project = Project::new("", &[]);
    project.run(&["both"]).success();
    for (words, reason) in [
        (&["run", "both", "--retries", "-1"][..], "it is a whole number from 0"),
        (&["backfill", "both", "--from", DAY, "--to", DAY, "--parallel", "-2"], "from 0"),
        (&["runs", "--count", "-1"], "it is a whole number from 0"),
        (&["check", "tap-csv", "--records", "x"], "it is a whole number from 0"),
        (&["run", "both", "--days", "-1"], "it is a whole number from 1"),
        (&["rerun", "last", "--from", "-1"], "give a number from 1 to 2, or one of: "),
        (&["rerun", "last", "--from", "3"], "give a number from 1 to 2, or one of: "),
    ] {
        let refused = project.chorus(words).go().exits(64);
        assert!(refused.stderr.contains(reason), "{words:?}: {}", refused.stderr);
    }
    project.chorus(&["rerun", "last", "--from", "2"]).go().success();
}
