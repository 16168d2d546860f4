//! Which runs are alive, as the runner sees it: a run holds a lock that it cannot leave behind.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use support::project::{DAY, Project};
use support::run::Running;

/// A project whose tap is begun and waits.
fn waiting() -> (Project, Running) {
    let tap = "[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
cp \"$2\" given; echo \"$2\" > path.new; mv path.new path; while [ ! -e go ]; do sleep 0.01; done
[ -e \"$2\" ] || exit 1";
    let project = Project::new("  - {name: tap-sick, executable: ./sick}\n", &[("sick", tap)]);
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv"];
    let running = project.chorus_to_end(&words).start(true);
    project.wait_for(&|| project.has_text("path"));
    (project, running)
}

/// The record of the only run.
fn record(project: &Project) -> PathBuf {
    let runs = fs::read_dir(project.root.join(".chorus/runs")).unwrap().flatten();
    runs.map(|run| run.path().join("run.json")).find(|path| path.exists()).unwrap()
}

fn change(project: &Project, name: &str, value: Value) {
    let path = record(project);
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record[name] = value;
    fs::write(path, record.to_string()).unwrap();
}

fn runs(project: &Project) -> String {
    project.chorus(&["runs"]).go().success().text()
}

#[test]
fn a_run_is_dead_when_it_was_killed_whatever_runs_under_its_number() {
    let (_other, mut living) = waiting();
    let (project, mut killed) = waiting();
    killed.kill();
    killed.wait();
    let config = PathBuf::from(fs::read_to_string(project.root.join("path")).unwrap().trim());
    assert!(config.exists(), "its settings are left");
    // As in a container that was started again, where each first process has the same number.
    change(&project, "process", living.child().id().into());
    assert!(runs(&project).contains(" died "), "{}", runs(&project));
    let words = ["backfill", "tap-sick", "target-csv", "--from", DAY, "--to", DAY, "--preview"];
    let plan = project.chorus(&words).go().success().text();
    assert!(plan.contains("(was: died)"), "{plan}");
    // On another host: this file system is that of one.
    change(&project, "owner", json!({"host": "other", "boot": "x"}));
    assert!(runs(&project).contains(" died "), "{}", runs(&project));
    // The next run sweeps what the dead one has left.
    project.run(&["tap-csv", "target-csv"]).success();
    assert!(!config.exists());
    project.left_nothing();
    living.kill();
    living.wait();
}

#[test]
fn a_run_lives_as_long_as_it_runs_whatever_its_number() {
    let (project, running) = waiting();
    // As another container sees it that shares the folder: there is no process of this number.
    change(&project, "process", json!(4_194_304));
    change(&project, "owner", json!({"host": "other", "boot": "x"}));
    assert!(runs(&project).contains(" running "), "{}", runs(&project));
    project.run(&["tap-csv", "target-csv"]).success();
    fs::write(project.root.join("go"), "").unwrap();
    // Its settings were still there: the tap ended well, and had written nothing.
    let ended = running.wait().exits(76);
    assert!(ended.stderr.contains("plugin: target-csv"), "{}", ended.stderr);
    let log = project.chorus(&["runs"]).go().success().text();
    assert!(!log.contains("died"), "{log}");
}
