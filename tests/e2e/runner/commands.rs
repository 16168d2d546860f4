//! Commands of plugins: as steps of jobs between pipelines, and by `chorus invoke`.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use support::project::{DAY, Project};
use support::run::file;

/// A utility that tells what it is run with.
const TELL: &str = r#"
printf '<%s>' "$0" "$@"; echo " in $PWD"
echo "to standard error" >&2
env > told.env
case "$1" in
    fail) echo "error: it is broken" >&2; exit 3 ;;
    again) [ -e tried ] || { touch tried; exit 75; } ;;
    wait) touch waits; trap 'touch asked; exit 0' TERM; while :; do sleep 0.05; done ;;
esac
exit 0
"#;

const UTILITIES: &str = r#"
  utilities:
  - name: tell
    executable: ./tell
    settings: [{name: level, value: 3, env: OWN_LEVEL}, {name: secret, kind: password}]
    config: {secret: hushhush}
    env: {PLACE: "${MELTANO_PROJECT_ROOT}/x"}
    commands:
      go: 'go "two words" ''$PLACE'' --level=${OWN_LEVEL} "\$X" #none'
      other: {args: other, executable: ./two, description: Another program}
      of_day: {args: "day ${DATESTAMP}"}
      empty: x $NOTHING
      fail: fail
      again: again
      wait: wait
      box: {args: box, container_spec: {image: x}}
  - name: tell--child
    inherit_from: tell
    config: {level: 5}
  transformers:
  - name: transform
    executable: ./tell
    settings: [{name: project_dir, value: $MELTANO_PROJECT_ROOT/in}]
    commands: {run: run}
"#;

const JOBS: &str = r#"
- {name: mixed, tasks: ["tap-csv target-csv", "tell:go", "tap-csv--two target-csv--two"]}
- {name: one-text, tasks: ["tap-csv target-csv tell:go tap-csv--two target-csv--two tell"]}
- {name: nested, tasks: [[tap-csv, [target-csv]], tell:go, tap-csv--two, target-csv--two]}
- {name: failing, tasks: [tell:go, tell:fail, tap-csv target-csv]}
- {name: bad, tasks: [tap-csv tell:go]}
- {name: days, tasks: [tap-csv target-csv, tell:of_day, tell:go]}
"#;

fn project() -> Project {
    let project = Project::with("", "", JOBS);
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    file(&project.root, "meltano.yml", text.replace("\njobs:", &format!("{UTILITIES}jobs:")));
    project.script("tell", TELL);
    project.script("two", "printf '<%s>' \"$0\" \"$@\"; echo\n");
    project
}

fn record(project: &Project, args: &[&str]) -> Value {
    let outcome = project.chorus(&["run", "--json", "--datestamp", DAY]).args(args).go().success();
    serde_json::from_str(&outcome.text()).unwrap()
}

fn logs(project: &Project) -> String {
    project.chorus(&["logs", "last"]).go().success().text()
}

/// What the file of the last run says of a variable.
fn told(project: &Project, name: &str) -> Option<String> {
    let text = fs::read_to_string(project.root.join("told.env")).unwrap();
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

#[test]
fn commands_run_between_pipelines_in_the_order_of_the_job() {
    let project = project();
    let both = ["tap-csv target-csv", "tell:go", "tap-csv--two target-csv--two"];
    for (job, expected) in [
        (["mixed"].as_slice(), both.as_slice()),
        (&["nested"], &both),
        (&["one-text"], &[both[0], both[1], both[2], "tell"]),
        (&["tap-csv", "target-csv", "tell:other", "tell"], &[both[0], "tell:other", "tell"]),
    ] {
        let record = record(&project, job);
        let steps = record["steps"].as_array().unwrap();
        let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{job:?}");
        assert!(steps.iter().all(|step| step["status"] == "succeeded"), "{record}");
    }
    assert!(project.partition("two", "b").exists());
    project.left_nothing();
}

#[test]
fn a_command_has_its_arguments_variables_and_log() {
    let project = project();
    let entry = record(&project, &["tell:go"]);
    let entry = &entry["steps"][0];
    assert_eq!((&entry["status"], &entry["exit"]), (&"succeeded".into(), &0.into()));
    assert!(entry["state_id"].is_null() && entry["into"].is_null(), "{entry}");
    let root = project.root.display();
    let line =
        format!("tell: <{root}/tell><go><two words><{root}/x><--level=3><$X><#none> in {root}\n");
    let log = logs(&project);
    assert!(log.contains(&line) && log.contains("tell: to standard error\n"), "{log}");
    for (name, expected) in [
        ("OWN_LEVEL", Some("3")),
        ("TELL_SECRET", Some("hushhush")),
        ("MELTANO_UTILITY_NAME", Some("tell")),
        ("MELTANO_UTILIZE_LEVEL", Some("3")),
        ("DATESTAMP", Some(DAY)),
        ("VIRTUAL_ENV", None),
    ] {
        assert_eq!(told(&project, name).as_deref(), expected, "{name}");
    }
    record(&project, &["tell--child:go"]);
    assert_eq!(told(&project, "OWN_LEVEL").as_deref(), Some("5"));
    record(&project, &["transform:run"]);
    assert!(logs(&project).contains(&format!("<run> in {root}/in\n")), "{}", logs(&project));
    // As under `meltano run`, the command of a container runs the program.
    record(&project, &["tell:box", "tell"]);
    let log = logs(&project);
    assert!(log.contains("/tell><box>") && log.contains("/tell> in "), "{log}");
    record(&project, &["tell:again", "--retries", "1"]);
    let hidden = project.chorus(&["plan", "tell:go"]).go().success().text();
    assert!(hidden.contains("command: tell go \"two words\""), "{hidden}");
    assert!(!hidden.contains("hushhush"), "{hidden}");
}

#[test]
fn a_command_that_fails_ends_the_run_and_is_run_again_from_there() {
    let project = project();
    let failed = project.run(&["failing"]).exits(69);
    for words in ["plugin: tell", "exit: 3", "error: it is broken"] {
        assert!(failed.stderr.contains(words), "{}", failed.stderr);
    }
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("exit 69, tell: it is broken; chorus logs "), "{runs}");
    assert!(!project.lake().exists());
    fs::write(project.root.join("tell"), "#!/bin/sh\nexit 0\n").unwrap();
    let again = project.chorus(&["rerun", "last", "--from", "tell:fail", "--json"]).go().success();
    let again: Value = serde_json::from_str(&again.text()).unwrap();
    assert_eq!(again["steps"].as_array().unwrap().len(), 2, "{again}");
    assert!(project.partition("csv", "a").exists());
}

#[test]
fn what_cannot_be_run_is_refused_before_the_first_step() {
    let project = project();
    let check = |words: &[&str], code: i32, expected: &str| {
        let args = [&["run", "--datestamp", DAY], words].concat();
        let outcome = project.chorus(&args).go().exits(code);
        assert!(outcome.stderr.contains(expected), "{words:?}: {}", outcome.stderr);
    };
    check(&["bad"], 78, "a pipeline is a tap, any mappers, and a target");
    check(&["tap-csv", "target-csv", "tell:goo"], 78, "did you mean `tell:go`?");
    check(&["tap-csv", "target-csv", "tell:empty"], 78, "hint: set NOTHING");
    check(&["tap-csv:go"], 78, "chorus invoke tap-csv:go");
    check(&["tll:go"], 78, "cannot find a job or plugin of this name");
    check(&["tap-csv", "target-csv", "tell", "--select", "a"], 64, "name one tap and one target");
    project.published_nothing();
}

#[test]
fn a_signal_ends_a_command_with_its_run() {
    let project = project();
    let running = project.chorus_to_end(&["run", "tell:wait"]).start(true);
    project.wait_for(&|| project.root.join("waits").exists());
    running.signal(Signal::TERM);
    let outcome = running.wait();
    assert_eq!(outcome.code, 143, "{}", outcome.stderr);
    assert!(project.root.join("asked").exists());
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("the run was asked to end"), "{runs}");
}

#[test]
fn a_command_ends_with_a_runner_that_is_killed() {
    let project = project();
    let mut running = project.chorus(&["run", "tell:wait"]).start(false);
    project.wait_for(&|| project.root.join("waits").exists());
    let program = project.root.join("tell").display().to_string();
    let is_running = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(&program))
    };
    assert!(is_running());
    running.kill();
    running.wait();
    project.wait_for(&|| !is_running());
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("died"), "{runs}");
    // Nothing of it is in the way of the next run.
    project.chorus(&["run", "tell:go"]).go().success();
}

#[test]
fn days_have_their_commands_done_behind_what_they_load() {
    let project = project();
    let days = ["backfill", "days", "--from", "2026-01-30", "--to", DAY];
    project.chorus(&days).go().success();
    let status = project.chorus(&["status", "days"]).go().success().text();
    assert_eq!(status.matches("  ok").count(), 6, "{status}");
    let again = project.chorus(&days).args(["--preview"]).go().success().text();
    assert!(again.contains("0 steps of 0 days"), "{again}");
    let refused = ["backfill", "tell:go", "--from", DAY, "--to", DAY];
    let refused = project.chorus(&refused).go().exits(78);
    assert!(
        refused.stderr.contains("cannot backfill a step that has no day"),
        "{}",
        refused.stderr
    );
}

#[test]
fn invoke_runs_one_plugin_with_the_streams_of_the_command() {
    let project = project();
    let invoke = |args: &[&str]| project.chorus(&[&["invoke"], args].concat());
    let root = project.root.display();
    let ran = invoke(&["tell:go", "more", "--level"]).go().success();
    let line = format!("<--level=3><$X><#none><more><--level> in {root}\n");
    assert!(ran.text().ends_with(&line), "{}", ran.text());
    assert!(ran.stderr.contains("to standard error"), "{}", ran.stderr);
    invoke(&["tell:fail"]).go().exits(3);
    let listed = invoke(&["--list-commands", "tell"]).go().success().text();
    assert!(listed.contains("tell:other") && listed.contains("Another program"), "{listed}");
    let shown = invoke(&["--print-var", "TELL_SECRET", "tell"]).go().success().text();
    assert!(shown.starts_with("TELL_SECRET=hushhush\n"), "{shown}");

    let catalog = invoke(&["tap-csv", "--discover"]).go().success().text();
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!(catalog["streams"][0]["stream"], "a");
    let rows = invoke(&["tap-csv"]).go().success();
    assert_eq!(rows.records("a").len(), 2);
    let target = ["target-csv"];
    let target = invoke(&target).env("DATESTAMP", DAY).input(rows.stdout.clone()).go().success();
    assert!(target.text().contains("\"bookmarks\""), "{}", target.text());
    assert!(project.partition("csv", "a").exists());
    let config = invoke(&["--dump", "config", "tap-csv"]).go().success().text();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["files"][0]["entity"], "a");
    let catalog = invoke(&["--dump", "catalog", "tap-csv"]).go().success().text();
    assert!(catalog.contains("tap_stream_id"), "{catalog}");
    invoke(&["--dump", "config", "tell"]).go().exits(64);
    project.left_nothing();

    let running = project.chorus_to_end(&["invoke", "tell:wait"]).start(true);
    project.wait_for(&|| project.root.join("waits").exists());
    running.signal(Signal::TERM);
    running.wait().exits(0);
    assert!(project.root.join("asked").exists());
}

#[test]
fn commands_may_stand_in_the_lock_file_only() {
    let project = project();
    let text = fs::read_to_string(project.root.join("meltano.yml")).unwrap();
    let locked = "\n  utilities:\n  - {name: locked, variant: acme}";
    file(&project.root, "meltano.yml", text.replace("\n  utilities:", locked));
    let lock = r#"{"plugin_type": "utilities", "name": "locked", "variant": "acme",
        "namespace": "locked", "executable": "./two", "commands": {"go": {"args": "a 'b c'"}}}"#;
    fs::create_dir_all(project.root.join("plugins/utilities")).unwrap();
    file(&project.root, "plugins/utilities/locked--acme.lock", lock);
    record(&project, &["locked:go"]);
    let log = logs(&project);
    assert!(log.contains("<a><b c>"), "{log}");
}
