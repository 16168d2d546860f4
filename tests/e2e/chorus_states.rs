//! The states that the runner starts its taps from.

use serde_json::{Value, json};

use crate::support::lake;
use crate::support::project::{DAY, Project};

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
