//! States that the runner keeps, whatever their length, and those it starts its taps from.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::limits::{measured, peak};
use crate::support::lake;
use crate::support::project::{DAY, Project};
use crate::support::run::file;

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
    let loaders = "  - {name: target-today, executable: target-csv, config: {source: today}}
  - {name: target-flat, executable: target-csv, config: {output_path: flat}}
";
    for state in states {
        let more = "  - {name: tap-sick, executable: ./sick}\n";
        let project = Project::with(more, loaders, "");
        let end = json!({ "type": "STATE", "value": state });
        project.script("sick", &format!("{GOES_ON}echo '{end}'"));
        let of_day = ["--datestamp", DAY, "tap-sick", "target-csv"];
        let today = ["tap-sick", "target-today"];
        for words in [&of_day[..], &today] {
            let both = (rows(&project, words), rows(&project, words));
            assert_eq!(both, (json!(4), json!(4)), "{state}");
        }
        assert_eq!(lake::data(&project.partition("csv", "z")), "a\n1\n2\n3\n4\n");
        // Files that are no days are gone on with.
        let flat = ["tap-sick", "target-flat"];
        let both = (rows(&project, &flat), rows(&project, &flat));
        assert_eq!(both, (json!(4), json!(1)), "{state}");
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
