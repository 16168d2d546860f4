//! Warnings of a run: counted by their codes, shown, kept, and denied on request.

use serde_json::{Value, json};

use support::binaries_dir;
use support::project::{DAY, Project};
use support::run::{Outcome, Run, file};

/// A foreign tap that warns, and goes on.
const WARNS: &str = r#"
schema='{"type":"object","properties":{"a":{"type":"integer"}}}'
if [ "$3" = --discover ]; then
    echo '{"streams":[{"tap_stream_id":"z","stream":"z","schema":'$schema',"metadata":[]}]}'
    exit 0
fi
echo 'WARNING look' >&2
echo '2026-01-31 00:00:00,000 | WARNING  | tap-sick | W-NO-KEYS: no code of ours' >&2
echo 'INFO all is well: WARNING is a word' >&2
echo '{"type":"SCHEMA","stream":"z","schema":'$schema',"key_properties":["a"]}'
echo '{"type":"RECORD","stream":"z","record":{"a":1}}'
"#;

fn project() -> Project {
    let more = "  - {name: tap-sick, executable: ./sick}
  - name: tap-odd
    inherit_from: tap-csv
    config: {files: [{entity: c, path: in/c.csv}]}
  - name: tap-odd--json
    inherit_from: tap-odd
    config: {log_format: json, files: [{entity: d, path: in/c.csv}]}
";
    let project = Project::with(more, "", "- {name: sick, tasks: [tap-sick target-csv]}\n");
    project.script("sick", WARNS);
    file(&project.root, "in/c.csv", "id;name\n1;a\n");
    project
}

fn run(project: &Project, tap: &str, more: &[&str]) -> Outcome {
    let words = ["run", "--datestamp", DAY, "--full-refresh", "--retries", "0"];
    project.chorus(&words).args([tap, "target-csv"]).args(more).go()
}

fn warnings(project: &Project, tap: &str) -> Value {
    let outcome = run(project, tap, &["--json"]).success();
    let record: Value = serde_json::from_str(&outcome.text()).unwrap();
    assert_eq!(record["warnings"], record["steps"][0]["warnings"], "{record}");
    record["warnings"].clone()
}

#[test]
fn warnings_of_plugins_are_counted_shown_and_kept() {
    let project = project();
    assert_eq!(warnings(&project, "tap-csv"), json!({}));
    assert_eq!(warnings(&project, "tap-sick"), json!({"W-PLUGIN": 2}));
    for tap in ["tap-odd", "tap-odd--json"] {
        let counts = warnings(&project, tap);
        assert!(counts["W-DELIMITER-DOUBTFUL"].as_u64() > Some(0), "{tap}: {counts}");
        assert_eq!(counts["W-PLUGIN"], Value::Null, "{tap}: {counts}");
    }
    let text = run(&project, "tap-sick", &[]).success().text();
    assert!(text.ends_with("warnings: W-PLUGIN 2\n"), "{text}");
    let text = run(&project, "tap-csv", &[]).success().text();
    assert!(!text.contains("warnings:"), "{text}");
    let runs = project.chorus(&["runs"]).go().success().text();
    assert_eq!(runs.matches("W-PLUGIN 2").count(), 2, "{runs}");
    let status = project.chorus(&["status", "sick"]).go().success();
    let said = format!("{DAY} tap-sick target-csv: W-PLUGIN 2");
    assert!(status.text().contains(&said), "{} {}", status.text(), status.stderr);
}

#[test]
fn a_denied_warning_ends_the_run() {
    let project = project();
    let deny = |tap: &str, codes: &[&str]| run(&project, tap, codes);
    // One of others ends its step once it has ended: it knows no such flag.
    for codes in [&["--deny-warnings", "W-PLUGIN"][..], &["--deny-warnings=W-NO-KEYS,all"]] {
        let denied = deny("tap-sick", codes).exits(65);
        assert!(denied.stderr.contains("code: W-PLUGIN"), "{}", denied.stderr);
        assert!(project.partition("csv", "z").exists());
    }
    deny("tap-sick", &["--deny-warnings", "W-NO-KEYS"]).success();
    // Ours end at it, before anything is published.
    for tap in ["tap-odd", "tap-odd--json"] {
        let codes = ["--deny-warnings", "W-NO-KEYS", "--deny-warnings", "w-delimiter-doubtful"];
        let denied = deny(tap, &codes).exits(65);
        assert!(denied.stderr.contains("W-DELIMITER-DOUBTFUL"), "{}", denied.stderr);
        assert!(!project.partition("csv", "c").exists());
    }
    deny("tap-csv", &["--deny-warnings", "all"]).success();
    let days = ["backfill", "tap-odd", "target-csv", "--from", DAY, "--to", DAY];
    project.chorus(&days).args(["--deny-warnings", "all", "--retries", "0"]).go().exits(65);
    let unknown = deny("tap-csv", &["--deny-warnings", "W-NO-KEY"]).exits(64);
    assert!(unknown.stderr.contains("did you mean `W-NO-KEYS`?"), "{}", unknown.stderr);
}

#[test]
fn a_warning_of_the_project_that_is_denied_ends_a_run_before_it_begins() {
    let project = Project::with("  - {name: tap-x, confg: {a: 1}}\n", "", "");
    let denied = run(&project, "tap-csv", &["--deny-warnings", "W-PROJECT-UNUSED"]).exits(65);
    assert!(denied.stderr.contains("code: W-PROJECT-UNUSED"), "{}", denied.stderr);
    project.published_nothing();
    assert!(!project.root.join(".chorus/runs").exists());
    let text = run(&project, "tap-csv", &["--deny-warnings", "W-NO-KEYS"]).success().text();
    assert!(text.contains("warnings: W-PROJECT-UNUSED 1"), "{text}");
    // A pattern that matches nothing is known before the tap reads.
    let more = "  - {name: tap-x, inherit_from: tap-csv, select: [a.*, b.*]}\n";
    let project = Project::with(more, "", "");
    let denied = run(&project, "tap-x", &["--deny-warnings", "W-SELECT-NOTHING"]).exits(65);
    assert!(denied.stderr.contains("code: W-SELECT-NOTHING"), "{}", denied.stderr);
    project.published_nothing();
    let starts = "schedules: [{name: s, interval: '@daily', job: both}]\nunknown_key: 1\n";
    let schedule = Project::with("", "", starts).chorus(&["schedule", "--deny-warnings=all"]).go();
    schedule.exits(65);
}

#[test]
fn the_answer_to_a_discovery_has_limits() {
    let tap = "  - {name: tap-sick, executable: ./sick}\n";
    let project = Project::new(tap, &[("sick", "exec yes '{\"streams\": [}'")]);
    let long = project.run(&["tap-sick", "target-csv"]).exits(76);
    assert!(long.stderr.contains("it is too long\n  plugin: tap-sick"), "{}", long.stderr);
    let slow = "annotations: {chorus: {discovery_seconds: 1}}\n";
    let project = Project::with(tap, "", slow);
    project.script("sick", "exec sleep 100");
    let slow = project.run(&["tap-sick", "target-csv"]).exits(75);
    assert!(slow.stderr.contains("did not answer in time"), "{}", slow.stderr);
    // A log of any length is none of it.
    let noise = format!("yes DEBUG | head -c 9000000 >&2\n{WARNS}");
    let project = Project::new(tap, &[("sick", noise.as_str())]);
    project.run(&["tap-sick", "target-csv"]).success();
}

#[test]
fn a_program_beside_ours_says_what_it_is_or_is_told() {
    let project = project();
    let beside = project.root.join("bin");
    std::fs::create_dir(&beside).unwrap();
    for name in ["chorus", "tap-csv", "target-csv"] {
        std::fs::copy(binaries_dir().join(name), beside.join(name)).unwrap();
    }
    let run = |more: &[&str]| {
        let path = format!("{}:/usr/bin:/bin", beside.display());
        let words = ["run", "--datestamp", DAY, "tap-csv", "target-csv", "--retries", "0"];
        let run = Run::new(&beside.join("chorus")).env("PATH", path).args(words);
        run.args(["--project".as_ref(), project.root.as_os_str()]).args(more).go()
    };
    run(&["--deny-warnings", "all"]).success();
    // It does not know the question, or cannot be asked.
    std::fs::copy("/bin/false", beside.join("tap-csv")).unwrap();
    let told = run(&[]);
    assert!(told.stderr.contains("W-PLUGIN-UNKNOWN"), "{}", told.stderr);
    run(&["--deny-warnings", "all"]).exits(65);
    std::fs::write(beside.join("tap-csv"), "\u{7f}ELF is not all").unwrap();
    let refused = run(&[]);
    assert!(
        refused.stderr.contains("cannot ask a program for its description"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("plugin: tap-csv"), "{}", refused.stderr);
}

#[test]
fn a_rerun_ends_at_warnings_that_are_denied() {
    let project = project();
    run(&project, "tap-odd", &[]).success();
    let rerun = |codes: &str| {
        let words = ["rerun", "last", "--full-refresh", "--deny-warnings", codes];
        project.chorus(&words).go()
    };
    rerun("W-NO-KEYS").success();
    rerun("W-DELIMITER-DOUBTFUL").exits(65);
}
