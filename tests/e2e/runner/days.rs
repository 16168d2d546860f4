//! The runner over many days, and what it tells of runs, days and plugins.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::cluster::database;
use support::faults::Random;
use support::lake;
use support::project::{DAY, Project};
use support::run::file;

const FROM: &str = "2026-01-02";
const TO: &str = "2026-01-31";

/// A job of two extracts and a load of the day into Postgres.
fn elt(settings: &Value) -> Project {
    let lake = "
  - name: tap-csv--day
    inherit_from: tap-csv
    settings: [{name: output}, {name: datestamp}]
    config: {files: null, output: output, datestamp: '${DATESTAMP}'}
";
    let loaders = format!(
        "
  - name: target-postgres
    executable: target-postgres
    config: {settings}
"
    );
    let jobs = "
- name: elt
  tasks: [tap-csv target-csv, tap-csv--two target-csv--two, tap-csv--day target-postgres]
";
    Project::with(lake, &loaders, jobs)
}

fn backfill<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["backfill", "elt", "--from", FROM, "--to", TO], more].concat()
}

#[test]
fn a_backfill_killed_twice_and_resumed_equals_an_undisturbed_one() {
    let mut random = Random::new();
    let mut results = Vec::new();
    for kills in [0, 2] {
        let database = database("backfill");
        let mut settings = database.settings();
        settings["load_method"] = "replace-partition".into();
        let project = elt(&settings);
        for kill in 0..kills {
            let mut running = project.chorus_to_end(&backfill(&[])).start(true);
            let days = random.below(14) + 14 * kill;
            project.wait_for(&|| lake_days(&project) > days);
            std::thread::sleep(Duration::from_micros(random.below(500_000)));
            running.signal(Signal::KILL);
            let _ = running.child();
            running.wait();
        }
        let nothing = "0 steps of 0 days to run, 30 days in all\n";
        let outcome = project.chorus(&backfill(&[])).go().success();
        // The last kill may have come when all was done.
        if kills == 0 || !outcome.text().starts_with(nothing) {
            let grid: Vec<&str> = outcome.stdout_lines_after("day ");
            assert_eq!(grid.len(), 30, "{}", outcome.text());
            assert!(grid.iter().all(|line| line.matches(" ok").count() == 3), "{}", outcome.text());
        }
        lake::check(&project.lake());
        assert!(project.chorus(&backfill(&[])).go().success().text().starts_with(nothing));
        let query = "SELECT count(*), sum(id) FROM a UNION ALL SELECT count(*), sum(id) FROM b";
        results.push((data_of_days(&project), database.psql(query)));
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0].1.trim(), "60|90\n30|30");
}

/// Names and contents of all data files: their names tell when they were written.
fn data_of_days(project: &Project) -> Vec<(String, String)> {
    let sums = lake::data_sums(&project.lake());
    let of = |(path, sum): (std::path::PathBuf, String)| {
        (path.parent().unwrap().to_string_lossy().into_owned(), sum)
    };
    sums.into_iter().map(of).collect()
}

fn lake_days(project: &Project) -> u64 {
    fs::read_dir(project.lake().join("source=csv")).map_or(0, Iterator::count) as u64
}

#[test]
fn a_backfill_does_what_is_missing_and_nothing_else() {
    let project = Project::new("", &[]);
    let run = |more: &[&str]| {
        let words = ["backfill", "both", "--from", "2026-01-30", "--to", "2026-02-01"];
        project.chorus(&words).args(more).go()
    };
    let preview = run(&["--preview"]).success().text();
    assert!(preview.starts_with("2026-02-01 tap-csv target-csv\n"), "{preview}");
    assert!(preview.ends_with("6 steps of 3 days to run, 3 days in all\n"), "{preview}");
    assert!(!project.lake().exists());
    run(&["--parallel", "2"]).success();
    lake::check(&project.lake());

    // A day that was removed is read again, whatever its state says.
    let day = project.lake().join("source=csv/extracted_at=2026-01-31");
    fs::remove_dir_all(&day).unwrap();
    fs::remove_file(project.lake().join(".runs/source=csv/extracted_at=2026-01-31.json")).unwrap();
    let status = project.chorus(&["status", "both"]).go().success().text();
    assert!(status.contains("2026-01-31  gone"), "{status}");
    let again = run(&[]).success().text();
    assert!(again.starts_with("2026-01-31 tap-csv target-csv (was: gone)\n1 step of"), "{again}");
    assert_eq!(lake::data(&day.join("table=a")), "id,name\n1,a\n2,b\n");

    // A day that fails is told, the others are run, and --only failed takes it up again.
    fs::remove_dir_all(project.root.join(".chorus")).unwrap();
    fs::remove_dir_all(project.lake()).unwrap();
    let bad = project.lake().join("source=two/extracted_at=2026-01-31");
    file(&bad, "table=b", "in the way");
    let failed = run(&[]);
    assert_ne!(failed.code, 0);
    assert!(failed.stderr.contains("day: 2026-01-31"), "{}", failed.stderr);
    let status = project.chorus(&["status", "both"]).go().success().text();
    assert_eq!(status.matches("failed").count(), 1, "{status}");
    assert_eq!(status.matches(" ok").count(), 5, "{status}");
    fs::remove_file(bad.join("table=b")).unwrap();
    let mended = run(&["--only", "failed"]).success().text();
    assert!(mended.starts_with("2026-01-31 tap-csv--two target-csv--two (was: failed)\n1 step of"));
    let wrong = ["backfill", "both", "--from", "2026-02-01", "--to", "2026-01-30"];
    project.chorus(&wrong).go().exits(64);
}

#[test]
fn runs_can_be_listed_read_and_made_again() {
    let project = Project::new("", &[]);
    project.run(&["both"]).success();
    let listed = project.chorus(&["runs"]).go().success().text();
    assert!(listed.contains("both") && listed.contains("succeeded"), "{listed}");
    let logs = project.chorus(&["logs"]).go().success().text();
    assert!(logs.contains("tap-csv: ") && logs.contains("target-csv--two: "), "{logs}");
    fs::remove_dir_all(project.lake()).unwrap();
    project.chorus(&["rerun", "last", "--from", "2"]).go().success();
    assert!(!project.partition("csv", "a").exists());
    assert!(project.partition("two", "b").exists());
    project.chorus(&["rerun", "last", "--from", "3"]).go().exits(64);
    // The state of a run is that of its rerun.
    project.run(&["tap-csv", "target-csv", "--state-id", "mine"]).success();
    project.chorus(&["state", "clear", "mine"]).go().success();
    project.chorus(&["rerun", "last"]).go().success();
    let ids = project.chorus(&["state", "list"]).go().success().text();
    assert!(ids.contains("mine\n"), "{ids}");
    project.chorus(&["rerun", "2020"]).go().exits(66);
}

#[test]
fn a_plan_tells_streams_and_changes_nothing() {
    let project = Project::new("    select: ['b.id']\n", &[]);
    let words = ["plan", "tap-csv--two", "target-csv", "--datestamp", "2026-01-31", "--json"];
    let plan: Value = serde_json::from_str(&project.chorus(&words).go().success().text()).unwrap();
    let stream = &plan["steps"][0]["streams"][0];
    assert_eq!(stream["stream"], "b");
    assert_eq!(stream["columns"], json!(["id"]));
    assert_eq!(stream["keys"], json!(["id"]));
    let writes = plan["steps"][0]["writes"].as_str().unwrap();
    assert!(writes.ends_with("/output/source=csv/extracted_at=2026-01-31/"), "{writes}");
    let dry = ["run", "tap-csv", "target-csv", "--datestamp", "2026-01-31", "--dry-run"];
    assert!(project.chorus(&dry).go().success().text().contains("everything is read"));
    assert!(!project.lake().exists());
}

#[test]
fn steps_that_write_days_of_their_own_run_at_once_and_what_reads_them_waits() {
    // Each of the two taps waits until the other one has begun.
    let meet = |own: &str, other: &str| {
        format!(
            "[ \"$3\" = --discover ] && {{ echo '{{\"streams\":[]}}'; exit 0; }}
touch {own}; i=0; while [ ! -e {other} ] && [ $i -lt 1000 ]; do sleep 0.01; i=$((i+1)); done
[ -e {other} ] || exit 1; cat messages"
        )
    };
    let (one, two) = (meet("one.here", "two.here"), meet("two.here", "one.here"));
    let more = "  - {name: tap-one, executable: ./one}\n  - {name: tap-two, executable: ./two}\n";
    let jobs = "- {name: meet, tasks: [tap-one target-csv, tap-two target-csv--two]}\n";
    let project = Project::with(more, "", jobs);
    project.script("one", &one);
    project.script("two", &two);
    let rows = support::messages::Lines::whole(&[(1, "a")]);
    file(&project.root, "messages", rows.0);
    project.run(&["meet"]).success();
    assert!(project.partition("csv", "t").exists() && project.partition("two", "t").exists());
    // One at a time, the first one waits in vain.
    for name in ["one.here", "two.here"] {
        fs::remove_file(project.root.join(name)).unwrap();
    }
    let failed = project.run(&["meet", "--parallel", "1"]);
    assert!(failed.stderr.contains("plugin: tap-one"), "{}", failed.stderr);
    let status = project.chorus(&["runs"]).go().success().text();
    assert!(status.contains("failed"), "{status}");
}

#[test]
fn schedules_run_jobs_when_they_are_due_and_when_files_change() {
    let schedules = "schedules:
- {name: often, interval: '*/1 * * * * *', job: first}
- name: seen
  job: second
  interval: '@once'
  annotations: {chorus: {watch: '**/*.csv', watch_seconds: 1, day_offset: -1}}
";
    let jobs = "- {name: first, tasks: [tap-csv target-csv]}
- {name: second, tasks: [tap-csv--two target-csv--two]}
";
    let project = Project::with("", "", &format!("{jobs}{schedules}"));
    let mut running = project.chorus_to_end(&["schedule"]).piped().start(true);
    project.wait_for(&|| project.lake().join("source=csv").exists());
    assert!(!project.lake().join("source=two").exists());
    file(&project.root, "in/b.csv", "id,secret\n1,x\n2,y\n");
    project.wait_for(&|| project.lake().join("source=two").exists());
    // What the runs themselves write calls for no other one: each moment of the first schedule
    // that comes after it is one in which the second has looked, too.
    let runs = |word: &str| {
        let text = project.chorus(&["runs", "--count", "1000"]).go().success().text();
        text.lines().filter(|line| line.contains(&format!(" {word} "))).count()
    };
    let before = runs("first");
    project.wait_for(&|| runs("first") >= before + 4);
    assert_eq!(runs("second"), 1);
    std::io::Write::write_all(running.child().stdin.as_mut().unwrap(), b"g\n").unwrap();
    running.wait().success();
    lake::check(&project.lake());
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(!runs.contains("died") && !runs.contains("failed"), "{runs}");

    // The moment of the last run is kept, so that those that are missed are known.
    let known = fs::read_to_string(project.root.join(".chorus/schedules/often.json")).unwrap();
    assert!(known.contains("last"), "{known}");
    project.chorus(&["schedule", "nothing"]).go().exits(78);
}

#[test]
fn a_watched_file_starts_nothing_outside_the_window_and_is_noticed_after_a_pause() {
    let schedules = "schedules:
- {name: often, interval: '*/1 * * * * *', job: first}
- name: later
  job: second
  annotations: {chorus: {watch: 'in/*.csv', watch_seconds: 1, start_time: 2030-01-01 00:00}}
- name: past
  job: second
  interval: '*/1 * * * * *'
  annotations: {chorus: {end_time: 2020-01-01, missed: all}}
- name: seen
  job: second
  annotations: {chorus: {watch: 'in/*.csv', watch_seconds: 1}}
";
    let jobs = "- {name: first, tasks: [tap-csv target-csv]}
- {name: second, tasks: [tap-csv--two target-csv--two]}
";
    let project = Project::with("", "", &format!("{jobs}{schedules}"));
    let runs = |word: &str| {
        let text = project.chorus(&["runs", "--count", "1000"]).go().success().text();
        text.lines().filter(|line| line.contains(&format!(" {word} "))).count()
    };
    let watch = |names: &[&str], until: &dyn Fn() -> bool| {
        let running = project.chorus_to_end(&["schedule"]).args(names).start(true);
        project.wait_for(until);
        running.signal(Signal::TERM);
        running.wait().success();
    };
    let kept = |name: &str| project.has_text(&format!(".chorus/schedules/{name}.json"));
    watch(&["often", "later", "past"], &|| {
        if kept("later") {
            file(&project.root, "in/b.csv", "id,secret\n1,x\n2,y\n");
        }
        runs("first") >= 4
    });
    assert_eq!(runs("second"), 0);
    // Nothing watches while the file changes.
    watch(&["seen"], &|| kept("seen"));
    file(&project.root, "in/b.csv", "id,secret\n1,x\n2,y\n3,z\n");
    watch(&["seen"], &|| runs("second") == 1);
    watch(&["often", "seen"], &|| runs("first") >= 7);
    assert_eq!(runs("second"), 1);
}

#[test]
fn a_failed_extract_never_leads_to_a_load() {
    let database = database("no_load");
    let project = elt(&database.settings());
    fs::remove_file(project.root.join("in/b.csv")).unwrap();
    let outcome = project.run(&["elt"]).exits(66);
    assert!(outcome.stderr.contains("plugin: tap-csv--two"), "{}", outcome.stderr);
    assert!(project.partition("csv", "a").exists());
    assert_eq!(database.psql("SELECT to_regclass('a') IS NULL"), "t");
    // The whole of it, from the record, once it is mended.
    file(&project.root, "in/b.csv", "id,secret\n1,x\n");
    project.chorus(&["rerun", "last"]).go().success();
    assert_eq!(database.psql("SELECT count(*) FROM a, b"), "2");
}

#[test]
fn the_summary_tells_rows_bytes_and_rejects() {
    let project = Project::new("", &[]);
    file(&project.root, "in/a.csv", "id,name\n1,a\n2,b,c\n");
    let words = ["run", "--datestamp", DAY, "tap-csv", "target-csv", "--json"];
    let outcome = project.chorus(&words).env("TAP_CSV_MAX_REJECTS", "1").go().success();
    let record: Value = serde_json::from_str(&outcome.text()).unwrap();
    let stream = &record["steps"][0]["streams"][0];
    assert_eq!((&stream["rows"], &stream["rejected"]), (&json!(1), &json!(1)), "{record}");
    assert_eq!(stream["bytes"], 2, "{record}");
}

#[test]
fn a_day_read_again_by_key_is_whole_and_a_step_that_reads_days_waits() {
    let database = database("by_key");
    database.psql("CREATE TABLE t AS SELECT generate_series(1, 50) AS id");
    let more = format!(
        "  - name: tap-postgres
    executable: tap-postgres
    capabilities: [catalog, discover, state, about]
    config: {}
    metadata: {{public-t: {{replication-method: INCREMENTAL, replication-key: id}}}}
  - name: tap-csv--copy
    inherit_from: tap-csv
    config: {{files: null, output: output, datestamp: '${{DATESTAMP}}'}}
",
        database.settings()
    );
    let loaders = "  - name: target-csv--copy
    inherit_from: target-csv
    config: {output_path: copy}
";
    let jobs =
        "- {name: chain, tasks: [tap-postgres target-csv, tap-csv--copy target-csv--copy]}\n";
    let project = Project::with(&more, loaders, jobs);
    for _ in 0..2 {
        project.run(&["chain"]).success();
        for root in ["output", "copy"] {
            let partition = lake::partition(&project.root.join(root), "csv", DAY, "public-t");
            assert_eq!(lake::data(&partition).lines().count(), 51, "{root}");
        }
    }
}

#[test]
fn a_target_writes_the_day_of_its_run_or_nothing() {
    let loaders = "  - name: target-today
    executable: target-csv
    config: {source: today}
  - name: target-pinned
    executable: target-csv
    config: {output_path: output, source: pinned, datestamp: 2026-01-01}
";
    let more = "  - name: tap-csv--day
    inherit_from: tap-csv
    config: {files: null, output: output, datestamp: 2026-01-31}
";
    let project = Project::with(more, loaders, "");
    let refused = |words: &[&str], variable: (&str, &str), message: &str| {
        let words = [&["run", "--datestamp", DAY], words].concat();
        let outcome = project.chorus(&words).env(variable.0, variable.1).go().exits(78);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("plugin: target-"), "{}", outcome.stderr);
        project.published_nothing();
    };
    let other = "would write another day than that of the run\n";
    let none = ("X", "x");
    refused(&["tap-csv", "target-pinned"], none, other);
    refused(&["both"], ("TARGET_CSV_DATESTAMP", "2026-01-30"), other);
    refused(&["tap-csv", "target-today"], none, "the target would write today's date\n");
    refused(&["both"], ("SOURCE", ""), "without the name of their source\n");
    // Without a day it is the setting's own, and never today.
    let unnamed = project.chorus(&["run", "tap-csv", "target-today"]).go().exits(78);
    assert!(
        unnamed.stderr.contains("cannot write a day without a datestamp"),
        "{}",
        unnamed.stderr
    );
    project.chorus(&["run", "tap-csv", "target-pinned"]).go().success();
    assert!(project.lake().join("source=pinned/extracted_at=2026-01-01").exists());

    project.run(&["both"]).success();
    let words = ["run", "--datestamp", "2026-02-01", "tap-csv--day", "target-csv--two"];
    // Here the target knows it, too: they are rows of a day of its source.
    let outcome = project.chorus(&words).go().exits(78);
    assert!(outcome.stderr.contains("the rows of another day"), "{}", outcome.stderr);
    let told = "tap-csv--day reads 2026-01-31, which is not the day of the run, 2026-02-01";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}

#[test]
fn a_day_that_was_removed_is_read_again_wherever_it_was_written() {
    let target = |name: &str, config: &str| {
        format!(
            "  - name: {name}
    executable: target-csv
    config: {{source: s, datestamp: '${{DATESTAMP}}', {config}}}
"
        )
    };
    let scheme = "a/source=x/extracted_at={datestamp}/table={stream_name}/{timestamp}.csv";
    let loaders = target("target-bare", "")
        + &target("target-alias", "destination_path: other")
        + &target("target-scheme", &format!("file_naming_scheme: '{scheme}'"));
    let project = Project::with("", &loaders, "");
    let folders = [
        ("target-bare", "output", "s"),
        ("target-alias", "other", "s"),
        ("target-scheme", "output/a", "x"),
    ];
    for (name, root, source) in folders {
        let root = project.root.join(root);
        let partition = lake::partition(&root, source, DAY, "a");
        for gone in ["folder", "file", "folder"] {
            project.run(&["tap-csv", name]).success();
            assert_eq!(lake::data(&partition), "id,name\n1,a\n2,b\n", "{name}");
            if gone == "folder" {
                fs::remove_dir_all(&root).unwrap();
                continue;
            }
            for entry in fs::read_dir(&partition).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|end| end == "csv") {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        // A check does not write there.
        project.chorus(&["check", name]).env("DATESTAMP", DAY).go().success();
        assert!(!root.exists(), "{name}");
    }
}

#[test]
fn old_runs_go_and_those_that_tell_how_a_day_stands_stay() {
    let project = Project::with("", "", "annotations: {chorus: {runs_kept: 3}}\n");
    let run = |day: &str, words: &[&str]| {
        project.chorus(&["run", "--datestamp", day]).args(words).go().success();
    };
    run("2026-01-01", &["both"]);
    let first = project.chorus(&["runs"]).go().success().text();
    // A newer one of the same day, for one of its steps.
    run("2026-01-01", &["tap-csv", "target-csv"]);
    for _ in 0..6 {
        run(DAY, &["both"]);
    }
    let runs = project.chorus(&["runs"]).go().success().text();
    assert_eq!(runs.lines().filter(|line| line.contains(DAY)).count(), 3, "{runs}");
    assert_eq!(runs.lines().filter(|line| line.contains("2026-01-01")).count(), 2, "{runs}");
    assert!(runs.contains(first.lines().nth(1).unwrap().split(' ').next().unwrap()), "{runs}");
    let folders = fs::read_dir(project.root.join(".chorus/runs")).unwrap().flatten();
    assert_eq!(folders.filter(|entry| entry.path().is_dir()).count(), 5);
    let status = project.chorus(&["status", "both"]).go().success().text();
    assert_eq!(status.matches(" ok").count(), 4, "{status}");
}

#[test]
fn days_that_a_schedule_has_missed_are_told_with_the_command_that_runs_them() {
    let flat = "  - {name: flat, executable: target-csv, config: {output_path: flat}}\n";
    let jobs = "- {name: plain, tasks: [tap-csv flat]}
schedules:
- {name: of-days, interval: '@daily', job: both}
- {name: left, interval: '@daily', job: both, annotations: {chorus: {missed: skip}}}
- {name: without-days, interval: '@daily', job: plain}
- {name: damaged, interval: '@yearly', job: plain}
";
    let project = Project::with("", flat, jobs);
    for name in ["of-days", "left", "without-days"] {
        let path = format!(".chorus/schedules/{name}.json");
        file(&project.root, &path, "{\"last\": \"2026-01-28T00:00:00Z\"}");
    }
    file(&project.root, ".chorus/schedules/damaged.json", "{");
    let running = project.chorus_to_end(&["schedule"]).start(true);
    let text = || project.chorus(&["runs"]).go().success().text();
    project.wait_for(&|| text().matches("succeeded").count() >= 2);
    running.signal(Signal::TERM);
    let told = running.wait().success().stderr;
    assert_eq!(told.matches("W-DAYS-MISSED").count(), 1, "{told}");
    assert!(told.contains("schedule of-days: runs for "), "{told}");
    let (_, command) = told.split_once("does not catch up: chorus ").unwrap();
    let words: Vec<_> = command.split(';').next().unwrap().split_whitespace().collect();
    let filled = project.chorus(&words).args(["--preview"]).go().success().text();
    assert!(filled.contains("tap-csv target-csv"), "{filled}");
    assert!(told.contains("W-HISTORY-DAMAGED: schedule damaged"), "{told}");
}
