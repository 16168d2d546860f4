//! States that the runner keeps, whatever their length, and those it starts its taps from.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::files::limits::{measured, peak};
use support::lake;
use support::project::{DAY, Project};
use support::run::file;

/// A foreign tap that goes on from a state with `at_4` in it, and says nothing of it.
const GOES_ON: &str = r#"
schema='{"type":"object","properties":{"a":{"type":"integer"}}}'
if [ "$3" = --discover ]; then
    echo '{"streams":[{"tap_stream_id":"z","stream":"z","schema":'$schema',"metadata":[]}]}'
    exit 0
fi
from=1
for last in "$@"; do :; done
grep -q at_4 "$last" && from=4
echo '{"type":"SCHEMA","stream":"z","schema":'$schema',"key_properties":["a"]}'
for i in 1 2 3 4; do
    [ $i -lt $from ] || echo '{"type":"RECORD","stream":"z","record":{"a":'$i'}}'
done
"#;

/// Runs a pipeline, and returns how many rows its first stream had.
#[track_caller]
fn rows(project: &Project, words: &[&str]) -> Value {
    let record = project.chorus(&["run", "--json"]).args(words).go().success().text();
    let record: Value = serde_json::from_str(&record).unwrap();
    record["steps"][0]["streams"][0]["rows"].clone()
}

#[test]
fn a_day_that_a_foreign_tap_reads_again_is_whole() {
    let states = [
        json!({"bookmarks": {"z": {"updated": "at_4"}}}),
        json!({"bookmarks": {"z": {"files": {}, "updated": "at_4"}}}),
        json!({"bookmarks": {"z": {"partitions": [{"replication_key_value": "at_4"}]}}}),
        json!({"z": "at_4"}),
    ];
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}
  - name: target-moments
    inherit_from: target-flat
    config: {output_path: moments, file_naming_scheme: '{stream_name}-{timestamp}.csv'}
";
    for state in states {
        let more = "  - {name: tap-sick, executable: ./sick}\n";
        let project = Project::with(more, loaders, "");
        let end = json!({ "type": "STATE", "value": state });
        project.script("sick", &format!("{GOES_ON}echo '{end}'"));
        let of_day = ["--datestamp", DAY, "tap-sick", "target-csv"];
        let both = (rows(&project, &of_day), rows(&project, &of_day));
        assert_eq!(both, (json!(4), json!(4)), "{state}");
        assert_eq!(lake::data(&project.partition("csv", "z")), "a\n1\n2\n3\n4\n");
        // Files that hold a run each are gone on with, unless each takes the place of the last.
        for (target, again) in [("target-flat", 4), ("target-moments", 1)] {
            let words = ["tap-sick", target];
            let both = (rows(&project, &words), rows(&project, &words));
            assert_eq!(both, (json!(4), json!(again)), "{state} {target}");
        }
    }
}

#[test]
fn a_long_state_is_kept_whole() {
    let config = "config: {files: [{entity: m, path: in/many, keys: [id]}]}";
    let more = format!("  - {{name: tap-many, inherit_from: tap-csv, {config}}}\n");
    let project = Project::with(&more, "", "");
    for number in 0..600 {
        file(&project.root, &format!("in/many/{number:0100}.csv"), format!("id\n{number}\n"));
    }
    let words = ["--datestamp", DAY, "tap-many", "target-csv"];
    assert_eq!((rows(&project, &words), rows(&project, &words)), (json!(600), json!(0)));
    let id = format!("dev:tap-many-to-target-csv:{DAY}");
    let state = project.chorus(&["state", "get", &id]).go().success().text();
    assert!(state.len() > 1 << 16, "{}", state.len());
}

#[test]
fn a_state_that_is_not_kept_is_not_called_so() {
    let state = r#"cat > /dev/null; echo '{"bookmarks":{}}'"#;
    let none = "cat > /dev/null";
    let mut loaders = String::new();
    for name in ["chatty", "endless"] {
        writeln!(loaders, "  - {{name: {name}, executable: ./{name}}}").unwrap();
    }
    let project = Project::with("", &loaders, "");
    let run = |name: &str| project.run(&["tap-csv", name, "--full-refresh"]);
    let said = "; echo; echo done";
    for (script, more, word) in [(none, said, "-"), (state, "", "kept"), (state, said, "kept")] {
        project.script("chatty", &format!("{script}{more}"));
        let text = run("chatty").success().text();
        let mut lines = text.lines();
        assert!(lines.any(|line| line.ends_with(&format!(" {word}"))), "{text}");
    }
    let long = r#"printf '{"a":"'; head -c 70000000 /dev/zero | tr '\0' x; echo '"}'"#;
    project.script("endless", &format!("{state}; {long}"));
    let refused = run("endless").exits(76);
    assert!(refused.stderr.contains("cannot keep the state: it is too long"), "{}", refused.stderr);
    assert!(refused.stderr.contains("state: dev:tap-csv-to-endless"), "{}", refused.stderr);
}

#[test]
fn a_log_of_any_length_takes_little_memory() {
    let noise = "yes \"DEBUG $(head -c 1000 /dev/zero | tr '\\0' x)\" | head -c 200000000 >&2";
    let more = "  - {name: tap-sick, executable: ./sick}\n";
    let project = Project::new(more, &[("sick", &format!("{GOES_ON}{noise}"))]);
    let words = ["run", "--datestamp", DAY, "tap-sick", "target-csv"];
    let outcome = project.with_binaries(measured("chorus")).args(words).go().success();
    assert!(peak(&outcome) < 64 << 20, "{} bytes", peak(&outcome));
    assert_eq!(lake::data(&project.partition("csv", "z")), "a\n1\n2\n3\n4\n");
}

/// Returns the streams that a state has bookmarks of.
fn bookmarks(project: &Project, id: &str) -> Vec<String> {
    let state = project.chorus(&["state", "get", id]).go().success().text();
    let state: Value = serde_json::from_str(&state).unwrap();
    let bookmarks = state["singer_state"]["bookmarks"].as_object().unwrap();
    let mut names: Vec<_> = bookmarks.keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn what_a_run_does_not_read_keeps_its_bookmark() {
    let files = |names: &[&str]| {
        let file = |name: &&str| format!("{{entity: {name}, path: in/{name}.csv, keys: [id]}}");
        names.iter().map(file).collect::<Vec<_>>().join(", ")
    };
    let more = format!(
        "  - {{name: tap-two, inherit_from: tap-csv, config: {{files: [{}]}}}}\n",
        files(&["a", "b"])
    );
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let project = Project::with(&more, loaders, "");
    let run = |more: &[&str]| {
        let words = ["run", "tap-two", "target-flat"];
        project.chorus(&words).args(more).env("TAP_TWO__SELECT", "[\"b.*\"]").go().success()
    };
    let id = "dev:tap-two-to-target-flat";
    let both = || rows(&project, &["tap-two", "target-flat"]);
    both();
    run(&["--full-refresh"]);
    assert_eq!(bookmarks(&project, id), ["a", "b"]);
    assert_eq!(both(), 0);
    // A tap that has fewer streams now, and no list of them.
    let path = project.root.join("meltano.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(&files(&["a", "b"]), &files(&["b"]))).unwrap();
    project.chorus(&["run", "tap-two", "target-flat", "--full-refresh"]).go().success();
    assert_eq!(bookmarks(&project, id), ["a", "b"]);
    std::fs::write(&path, text).unwrap();
    assert_eq!(both(), 0);
}

#[test]
fn a_step_without_a_day_has_one_state() {
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let jobs = "- {name: flat, tasks: [tap-csv target-flat]}
- {name: mixed, tasks: [tap-csv target-csv, tap-csv target-flat]}
schedules:
- {name: often, interval: '* * * * * *', job: flat, annotations: {chorus: {day_offset: -3}}}
";
    let project = Project::with("", loaders, jobs);
    let ids = || project.chorus(&["state", "list"]).go().success().text();
    let run = |job: &str, day: &str| {
        project.chorus(&["run", job, "--datestamp", day]).go().success();
    };
    run("flat", "2026-01-01");
    run("mixed", "2026-01-02");
    let started = project.chorus_to_end(&["schedule"]).piped().start(true);
    let runs = || std::fs::read_dir(project.root.join(".chorus/runs")).unwrap().count();
    project.wait_for(&|| runs() > 2);
    started.signal(rustix::process::Signal::TERM);
    started.wait().success();
    let expected = "dev:tap-csv-to-target-csv:2026-01-02\ndev:tap-csv-to-target-flat\n";
    assert_eq!(ids(), expected);
    assert_eq!(rows(&project, &["tap-csv", "target-flat"]), 0);
}

#[test]
fn a_state_is_changed_by_one_at_a_time() {
    let wait =
        "[ \"$3\" = --discover ] || { touch begun; while [ ! -e go ]; do sleep 0.01; done; }";
    let project = Project::with("  - {name: tap-sick, executable: ./sick}\n", "", "");
    project
        .script("sick", &format!("{wait}\n{GOES_ON}echo '{{\"type\":\"STATE\",\"value\":{{}}}}'"));
    let words = ["run", "tap-sick", "target-csv", "--datestamp", DAY];
    let running = project.chorus(&words).start(true);
    project.wait_for(&|| project.root.join("begun").exists());
    let id = format!("dev:tap-sick-to-target-csv:{DAY}");
    let new = r#"{"bookmarks": {"x": 1}}"#;
    for words in [&["set", &id, new][..], &["merge", &id, new], &["clear", &id]] {
        let refused = project.chorus(&["state"]).args(words).go().exits(75);
        assert!(refused.stderr.contains("a state that a run is using"), "{}", refused.stderr);
    }
    let other = project.chorus(&words).args(["--retries", "0"]).go().exits(75);
    assert!(other.stderr.contains("another run is executing"), "{}", other.stderr);
    file(&project.root, "go", "");
    running.wait().success();
    project.chorus(&["state", "set", &id, new]).go().success();
    assert_eq!(bookmarks(&project, &id), ["x"]);
}

#[test]
fn a_day_is_not_extracted_again_while_the_same_run_loads_it() {
    let taps = "  - {name: tap-lake, config: {output: output, datestamp: $DATESTAMP}}\n";
    let loaders = "  - {name: target-slow, executable: ./slow}\n";
    let project = Project::with(taps, loaders, "");
    project.script("slow", "touch begun; while [ ! -e go ]; do sleep 0.01; done; cat > loaded");
    let extract = ["run", "tap-csv", "target-csv", "--datestamp", DAY];
    let running = project.chorus(&extract).args(["tap-lake", "target-slow"]).start(true);
    project.wait_for(&|| project.root.join("begun").exists());
    let other = project.chorus(&extract).args(["--retries", "0"]).go().exits(75);
    assert!(other.stderr.contains("another run is executing"), "{}", other.stderr);
    file(&project.root, "go", "");
    running.wait().success();
    let loaded = std::fs::read_to_string(project.root.join("loaded")).unwrap();
    assert!(loaded.contains("RECORD"), "{loaded}");
    // A step of the same run is not in its own way.
    let both = ["tap-csv", "target-csv", "tap-lake", "target-slow"].repeat(2);
    project.run(&both).success();
}

#[test]
fn a_retry_of_a_full_refresh_goes_on_from_the_try_before() {
    // It reads `a`, fails for a while, and would begin anew without a state.
    let tap = r#"
for last in "$@"; do :; done
schema='{"type":"object","properties":{"id":{"type":"integer"}}}'
echo '{"type":"SCHEMA","stream":"a","schema":'$schema',"key_properties":[]}'
grep -q '"a":1' "$last" || echo '{"type":"RECORD","stream":"a","record":{"id":1}}'
echo '{"type":"STATE","value":{"bookmarks":{"a":1}}}'
[ -e once ] || { touch once; sleep 0.5; exit 75; }
"#;
    let target = r#"while read -r line; do case "$line" in
*RECORD*) echo "$line" >> seen ;;
*STATE*) echo '{"bookmarks":{"a":1}}' ;;
esac; done"#;
    let discover = r#"[ "$3" = --discover ] && { echo '{"streams":[]}'; exit 0; }"#;
    let loaders = "  - {name: target-sick, executable: ./target}\n";
    let project = Project::with("  - {name: tap-sick, executable: ./sick}\n", loaders, "");
    project.script("sick", &format!("{discover}\n{tap}"));
    project.script("target", target);
    project.chorus(&["run", "tap-sick", "target-sick", "--full-refresh"]).go().success();
    let seen = std::fs::read_to_string(project.root.join("seen")).unwrap();
    assert_eq!(seen.lines().count(), 1, "{seen}");
}

#[test]
fn a_state_that_another_step_has_moved_is_told() {
    let mappers = "  mappers:
  - name: map-x
    executable: ./cat
    mappings: [{name: one, config: {}}, {name: two, config: {}}]
";
    let flat = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let project = Project::with("", &(flat.to_owned() + mappers), "");
    project.script("cat", "cat");
    let told = |words: &[&str]| {
        let outcome = project.chorus(&["run"]).args(words).go().success();
        outcome.stderr.contains("W-STATE-SHARED")
    };
    assert!(!told(&["tap-csv", "one", "target-flat"]));
    assert!(!told(&["tap-csv", "one", "target-flat"]));
    assert!(told(&["tap-csv", "two", "target-flat"]));
    assert!(!told(&["tap-csv", "two", "target-flat", "--state-id", "of-its-own"]));
    assert!(!told(&["tap-csv", "one", "target-flat", "--full-refresh"]));
}

#[test]
fn a_state_has_its_whole_name_or_none() {
    let loaders = "  - {name: target-flat, executable: target-csv, config: {output_path: flat}}\n";
    let project = Project::with("", loaders, "");
    let path = project.root.join("meltano.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let suffix = "- name: dev\n  state_id_suffix: of-${TENANT}\n";
    std::fs::write(&path, text.replace("- name: dev\n", suffix)).unwrap();
    let run = || project.chorus(&["run", "tap-csv", "target-flat"]);
    let refused = run().go().exits(64);
    assert!(refused.stderr.contains("set TENANT, or give --state-id"), "{}", refused.stderr);
    run().env("TENANT", "x").go().success();
    run().args(["--state-id", "y"]).go().success();
    let ids = project.chorus(&["state", "list"]).go().success().text();
    assert_eq!(ids, "dev:tap-csv-to-target-flat:of-x\ny\n");
}

#[test]
fn a_command_that_changes_states_says_what_it_has_done() {
    let project = Project::with("", "", "");
    let new = r#"{"bookmarks": {"x": {"n": 1}, "y": {"n": 2}}}"#;
    for (words, told) in [
        (&["set", "a", new][..], "the state of a was set\n"),
        (&["merge", "a", new], "the state of a was merged\n"),
        (&["copy", "a", "b"], "the state of a was copied to b\n"),
        (&["move", "b", "c"], "the state of b was moved to c\n"),
        (&["clear", "c", "--stream", "x"], "1 bookmark was removed from the state of c\n"),
        (&["clear", "c"], "the state of c was removed\n"),
        (&["list"], "a\n"),
    ] {
        let outcome = project.chorus(&["state"]).args(words).go().success();
        assert_eq!(outcome.text(), told, "{words:?}");
    }
}
