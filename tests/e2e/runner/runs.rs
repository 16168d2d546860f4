//! The runner: real projects, foreign taps as scripts, and every way for a process to die.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::project::{DAY, Project};
use support::run::{Run, file};
use support::{binaries_dir, lake};

/// A foreign tap that says nothing of how far it is.
const SICK: &str = r#"
[ "$3" = --discover ] && { cat catalog.json; exit 0; }
schema='{"properties":{"a":{"type":"integer"}}}'
echo '{"type":"SCHEMA","stream":"z","schema":'$schema',"key_properties":[]}'
i=0
while [ $i -lt 1000 ]; do
    i=$((i+1))
    echo '{"type":"RECORD","stream":"z","record":{"a":'$i'}}'
done
"#;

fn sick(end: &str) -> Project {
    let text = format!("{SICK}{end}");
    let project =
        Project::new("  - {name: tap-sick, executable: ./sick}\n", &[("sick", text.as_str())]);
    with_catalog(&project);
    project
}

/// Adds the catalog that a sick tap discovers.
fn with_catalog(project: &Project) {
    let schema = json!({"properties": {"a": {"type": "integer"}}});
    let stream = json!({"tap_stream_id": "z", "stream": "z", "schema": schema, "metadata": []});
    file(&project.root, "catalog.json", json!({"streams": [stream]}).to_string());
}

#[test]
fn a_job_runs_its_pipelines_and_keeps_their_states() {
    let project = Project::new("", &[]);
    let outcome = project.run(&["both"]).success();
    assert!(outcome.text().contains("tap-csv target-csv"), "{}", outcome.text());
    lake::check(&project.lake());
    assert_eq!(lake::data(&project.partition("csv", "a")), "id,name\n1,a\n2,b\n");
    assert_eq!(lake::data(&project.partition("two", "b")), "id,secret\n1,x\n");
    project.left_nothing();

    let ids = project.chorus(&["state", "list"]).go().success().text();
    let id = format!("dev:tap-csv-to-target-csv:{DAY}");
    assert_eq!(ids, format!("dev:tap-csv--two-to-target-csv--two:{DAY}\n{id}\n"));
    let state = project.chorus(&["state", "get", &id]).go().success().text();
    let state: Value = serde_json::from_str(&state).unwrap();
    assert!(state["singer_state"]["bookmarks"]["a"]["files"]["in/a.csv"].is_object(), "{state}");

    // The state is used: the unchanged file is not read again, and the day stays as it is.
    let before = lake::sums(&project.lake());
    let again = project.chorus(&["run", "--datestamp", DAY, "both", "--json"]).go().success();
    let record: Value = serde_json::from_str(&again.text()).unwrap();
    assert_eq!(record["status"], "succeeded");
    assert_eq!(record["steps"][0]["streams"][0]["rows"], 0, "{record}");
    assert_eq!(lake::sums(&project.lake()), before);
    let full = ["run", "--datestamp", DAY, "both", "--json", "--full-refresh"];
    let record: Value = serde_json::from_str(&project.chorus(&full).go().success().text()).unwrap();
    assert_eq!(record["steps"][0]["streams"][0]["rows"], 2, "{record}");

    project.chorus(&["state", "clear", &id]).go().success();
    let gone = project.chorus(&["state", "get", &id]).go().exits(66);
    assert!(gone.stderr.contains("did you mean"), "{}", gone.stderr);
}

#[test]
fn settings_come_from_variables_the_environment_and_the_project_in_this_order() {
    let project = Project::new("", &[]);
    let words = ["run", "--datestamp", DAY, "--full-refresh", "tap-csv", "target-csv"];
    project.chorus(&words).args(["--environment", "other"]).go().success();
    assert!(project.partition("others", "a").exists());
    project.chorus(&words).env("MELTANO_ENVIRONMENT", "other").go().success();
    project
        .chorus(&words)
        .env("TARGET_CSV_SOURCE", "ours")
        .env("MELTANO_ENVIRONMENT", "other")
        .go()
        .success();
    assert!(project.partition("ours", "a").exists());
    project.chorus(&words).env("SOURCE", "shell").go().success();
    assert!(project.partition("shell", "a").exists());
    let files = json!([{"entity": "c", "path": "in/b.csv"}]).to_string();
    project.chorus(&words).env("TAP_CSV_FILES", files).go().success();
    assert!(project.partition("csv", "c").exists());
    let bad = project.chorus(&words).env("TARGET_CSV_MAX_REJECTS", "many").go().exits(78);
    assert!(bad.stderr.contains("TARGET_CSV_MAX_REJECTS"), "{}", bad.stderr);
}

#[test]
fn a_day_is_given_and_never_made_up() {
    let project = Project::new("", &[]);
    let outcome = project.chorus(&["run", "both"]).go().exits(64);
    assert!(outcome.stderr.contains("--datestamp"), "{}", outcome.stderr);
    project.chorus(&["run", "both", "--datestamp", "2026-02-30"]).go().exits(64);
    project.published_nothing();
    project.chorus(&["run", "both"]).env("EXTRACTED_AT", DAY).go().success();
    project.chorus(&["run", "both"]).env("DATESTAMP", DAY).go().success();
    assert!(project.partition("csv", "a").exists());
}

#[test]
fn a_day_may_be_named_by_a_word_and_runs_are_found_by_how_they_ended() {
    let project = Project::new("", &[]);
    let days = || {
        let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        [now.yesterday().unwrap().to_string(), now.to_string()]
    };
    let before = days();
    for (word, at) in [("yesterday", 0), ("today", 1)] {
        let ran = project.chorus(&["run", "both", "--datestamp", word, "--json"]).go().success();
        let ran: Value = serde_json::from_str(&ran.text()).unwrap();
        let day = ran["datestamp"].as_str().unwrap();
        // Midnight may have passed.
        assert!([&before[at], &days()[at]].contains(&&day.to_owned()), "{word}: {ran}");
    }
    project.chorus(&["run", "both", "--datestamp", "tomorrow"]).go().exits(64);
    fs::remove_file(project.root.join("in/a.csv")).unwrap();
    project.run(&["tap-csv", "target-csv"]).exits(66);
    project.run(&["both"]).exits(66);
    let listed = |args: &[&str]| {
        let listed = project.chorus(&["runs"]).args(args).go().success().text();
        // How they have failed stands below.
        let lines = listed.lines().skip(1).take_while(|line| !line.is_empty());
        let lines = lines.filter(|line| line.contains("20"));
        let words = lines.map(|line| {
            let is_failed = line.contains("failed");
            (line.contains("both"), is_failed)
        });
        words.collect::<Vec<_>>()
    };
    let (good, bad, other) = ((true, false), (true, true), (false, true));
    assert_eq!(listed(&[]), [good, good, other, bad]);
    assert_eq!(listed(&["--job", "both"]), [good, good, bad]);
    assert_eq!(listed(&["--failed"]), [other, bad]);
    assert_eq!(listed(&["--failed", "--count", "1"]), [bad]);
    assert_eq!(listed(&["--job", "tap-csv target-csv", "--failed"]), [other]);
    assert_eq!(listed(&["--job", "none"]), []);
}

#[test]
fn select_and_metadata_reach_the_tap() {
    let rules =
        "    select: ['b.*', '!b.secret']\n    metadata: {b: {replication-method: FULL_TABLE}}\n";
    let project = Project::new(rules, &[]);
    project.run(&["tap-csv--two", "target-csv"]).success();
    assert_eq!(lake::data(&project.partition("csv", "b")), "id\n1\n");
}

#[test]
fn a_foreign_tap_that_breaks_publishes_nothing() {
    // Somebody has killed it: the next time it may go well. One that crashes does so again.
    let ends = [
        ("echo it broke >&2; exit 1", 69, "exit: 1\n"),
        ("kill -9 $$", 75, "exit: signal 9 (perhaps for lack of memory)\n"),
        ("kill -SEGV $$", 69, "exit: signal 11\n"),
        ("exit 75", 75, "exit: 75\n"),
    ];
    for (end, code, said) in ends {
        let project = sick(end);
        let outcome = project.run(&["tap-sick", "target-csv"]).exits(code);
        assert!(outcome.stderr.contains(said), "{end}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("plugin: tap-sick"), "{end}: {}", outcome.stderr);
        project.published_nothing();
        let listed = project.chorus(&["state", "list"]).go().success();
        assert_eq!(listed.text(), "\n", "{end}");
    }
    let project = sick("exit 0");
    let outcome = project.run(&["tap-sick", "target-csv", "--json"]).success();
    // It does not count its rows: the target does.
    let record: Value = serde_json::from_str(&outcome.text()).unwrap();
    let stream = &record["steps"][0]["streams"][0];
    assert_eq!((&stream["stream"], &stream["rows"]), (&json!("z"), &json!(1000)), "{record}");
    assert_eq!(lake::manifest(&project.partition("csv", "z"))["files"][0]["rows"], 1000);
}

#[test]
fn files_that_go_with_a_run_are_named_by_what_they_are() {
    let tap = "echo cannot read $2, $4 >&2; exit 77";
    let project = Project::new("  - {name: tap-sick, executable: ./sick}\n", &[("sick", tap)]);
    let said = |project: &Project| {
        let outcome = project.run(&["tap-sick", "target-csv"]).exits(77);
        assert!(!outcome.stderr.contains("work/"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("  exit: 77\n"), "{}", outcome.stderr);
        outcome.stderr
    };
    let text = said(&project);
    assert!(text.contains("cannot read the settings of tap-sick,"), "{text}");
    project.script("sick", &format!("[ \"$3\" = --discover ] && exec cat catalog.json; {tap}"));
    with_catalog(&project);
    let text = said(&project);
    assert!(text.contains("the settings of tap-sick, the catalog of tap-sick\n"), "{text}");
    let log = project.chorus(&["logs"]).go().success().text();
    assert!(log.contains("the catalog of tap-sick\n"), "{log}");
}

#[test]
fn what_cannot_be_printed_is_no_success() {
    let project = Project::new("", &[]);
    for words in [&["--help"][..], &["run", "--help"], &["--version"], &["runs"]] {
        let line = "exec \"$@\" > /dev/full";
        let mut run = Run::new(Path::new("/bin/sh")).args(["-c", line, "sh"]);
        run = run.args([binaries_dir().join("chorus")]).args(["--project"]).args([&project.root]);
        let outcome = run.args(words).go().exits(74);
        assert!(outcome.stderr.contains("cannot write to standard output"), "{}", outcome.stderr);
    }
    let wrong = project.chorus(&["run", "--retrys", "3", "both"]).go().exits(64);
    let told = "error: chorus: unexpected argument '--retrys' found\n  hint: a similar argument";
    assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    // What clap suggests for a flag of another command would lead to the next error.
    let other = project.chorus(&["status", "--datestamp", "2026-01-31"]).go().exits(64);
    assert!(other.stderr.contains("hint: see --help"), "{}", other.stderr);
    let nothing = project.chorus(&["run"]).go().exits(64);
    assert!(nothing.stderr.contains("not provided: <JOB"), "{}", nothing.stderr);
}

#[test]
fn a_step_that_may_go_well_the_next_time_is_tried_again() {
    let project = sick("[ -e tried ] && exit 0; touch tried; exit 75");
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv", "--retries", "2", "--json"];
    let outcome = project.chorus(&words).go().success();
    let record: Value = serde_json::from_str(&outcome.text()).unwrap();
    assert_eq!(record["steps"][0]["attempts"], 2);
    lake::check(&project.lake());
    assert_eq!(lake::manifest(&project.partition("csv", "z"))["files"][0]["rows"], 1000);
}

#[test]
fn the_process_that_failed_first_is_the_one_reported() {
    // The target cannot take the rows: the tap dies of its closed pipe a moment before.
    let project = sick(
        "i=0; while echo '{\"type\":\"RECORD\",\"stream\":\"z\",\"record\":{\"a\":1}}'; do :; done",
    );
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv", "--retries", "0"];
    let outcome = project.chorus(&words).env("TARGET_CSV_OUTPUT_PATH", "/dev/null").go();
    assert!(outcome.stderr.contains("plugin: target-csv"), "{}", outcome.stderr);
    assert!([74, 78].contains(&outcome.code), "{}: {}", outcome.code, outcome.stderr);
}

#[test]
fn a_target_that_ends_before_its_input_has_failed() {
    let more = "  - {name: tap-sick, executable: ./sick}
  mappers:
  - {name: gone, executable: ./gone}
";
    let project = Project::new(more, &[("sick", &format!("{SICK}sleep 60")), ("gone", "exit 0")]);
    with_catalog(&project);
    let outcome = project.run(&["tap-sick", "gone", "target-csv"]).exits(69);
    assert!(outcome.stderr.contains("before the end of its input"), "{}", outcome.stderr);
    project.published_nothing();
}

#[test]
fn mappers_stand_between() {
    let mapper = "sed -u 's/\"name\":\"a\"/\"name\":\"mapped\"/'";
    let more = "  mappers:
  - {name: mapper, executable: ./map, mappings: [{name: hide, config: {x: 1}}]}
";
    let project = Project::new(more, &[("map", mapper)]);
    project.run(&["tap-csv", "hide", "target-csv"]).success();
    assert_eq!(lake::data(&project.partition("csv", "a")), "id,name\n1,mapped\n2,b\n");
    project.run(&["hide", "target-csv"]).exits(78);
    project.run(&["tap-csv", "hide"]).exits(78);
}

#[test]
fn signals_end_whole_process_groups_and_publish_nothing() {
    let signals =
        [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)];
    for (signal, code) in signals {
        // The tap waits for a child of its own, which no signal to the tap alone would reach.
        let project = sick("touch waiting; sleep 100 & echo $! > child; wait");
        let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv", "--retries", "5"];
        let running = project.chorus_to_end(&words).start(true);
        project.wait_for(&|| project.has_text("child"));
        running.signal(signal);
        running.wait().exits(code);
        project.published_nothing();
        let run = fs::read_dir(project.root.join(".chorus/runs")).unwrap().next().unwrap();
        let record = fs::read(run.unwrap().path().join("run.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let step = &record["steps"][0];
        assert_eq!((&step["exit"], &step["failure"]["exit"]), (&code.into(), &code.into()));
        let child = fs::read_to_string(project.root.join("child")).unwrap();
        assert!(!is_alive(child.trim()), "the child of the tap is alive");
    }
}

/// Tells whether a process runs; its new parent may not have asked for its end yet.
fn is_alive(process: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok();
    stat.is_some_and(|stat| !stat.contains(") Z "))
}

/// Returns the children of a process.
fn children(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap());
    lists
        .flat_map(|list| list.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter(|child| !child.is_empty())
        .collect()
}

#[test]
fn a_runner_that_is_killed_takes_all_it_has_started_with_it() {
    // In the middle of the tap, which then fails; and with a mapper between.
    for words in [&["tap-sick", "target-csv"][..], &["tap-sick", "hide", "target-csv"]] {
        let mapper =
            "  mappers:\n  - {name: mapper, executable: ./map, mappings: [{name: hide}]}\n";
        let more = format!("  - {{name: tap-sick, executable: ./sick}}\n{mapper}");
        let tap = format!("{SICK}echo x > child; while [ ! -e go ]; do sleep 0.01; done; exit 1");
        let project = Project::new(&more, &[("sick", &tap), ("map", "exec cat")]);
        with_catalog(&project);
        let mut running =
            project.chorus_to_end(&["run", "--datestamp", DAY]).args(words).start(true);
        project.wait_for(&|| project.has_text("child"));
        let runner = running.child().id();
        // Its guard, and all programs.
        project.wait_for(&|| children(runner).len() == words.len() + 1);
        let started = children(runner);
        running.kill();
        running.wait().exits(137);
        file(&project.root, "go", "");
        project.wait_for(&|| !started.iter().any(|process| is_alive(process)));
        assert!(!project.lake().join("source=csv").exists(), "half a day is published");
        let runs = project.chorus(&["runs"]).go().success().text();
        assert!(runs.contains("died"), "{runs}");
    }
}

#[test]
fn a_step_runs_once_at_a_time() {
    let project = sick("touch waiting; echo x > child; sleep 100");
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv"];
    let mut first = project.chorus_to_end(&words).start(true);
    project.wait_for(&|| project.has_text("child"));
    let second = project.run(&["tap-sick", "target-csv"]).exits(75);
    assert!(second.stderr.contains("another run"), "{}", second.stderr);
    first.signal(Signal::TERM);
    let _ = first.child();
    first.wait().exits(143);
}

#[test]
fn no_secret_reaches_records_logs_or_arguments() {
    let canary = "c4nary-s3cret";
    let more =
        "  - {name: tap-sick, executable: ./sick, settings: [{name: password, kind: password}]}\n";
    let tell = "[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
cat /proc/$$/cmdline | tr '\\0' ' ' >&2; grep -q c4nary $2 && echo given >&2; exit 1";
    let project = Project::new(more, &[("sick", tell)]);
    let run = project.chorus(&["run", "--datestamp", DAY, "tap-sick", "target-csv", "--verbose"]);
    let outcome = run.env("TAP_SICK_PASSWORD", canary).go().exits(69);
    assert!(outcome.stderr.contains("given"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(canary) && !outcome.text().contains(canary));
    for entry in walkdir::WalkDir::new(project.root.join(".chorus")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(!text.contains(canary), "{}", entry.path().display());
        }
    }
}

#[test]
fn a_strict_project_wants_all_its_variables() {
    let more = "  - {name: tap-x, inherit_from: tap-csv, config: {start_date: '${NOT_SET}'}}\n";
    let project = Project::with(more, "", "");
    let loose = project.run(&["tap-x", "target-csv"]).success();
    assert!(loose.stderr.contains("NOT_SET"), "{}", loose.stderr);
    for said in
        ["ff: {strict_env_var_mode: true}\n", "env: {MELTANO_FF_STRICT_ENV_VAR_MODE: 'true'}\n"]
    {
        let project = Project::with(more, "", said);
        let strict = project.run(&["tap-x", "target-csv"]).exits(78);
        assert!(strict.stderr.contains("variables: NOT_SET"), "{}", strict.stderr);
        project.published_nothing();
    }
}
