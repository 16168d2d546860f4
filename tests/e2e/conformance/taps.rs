//! What holds for every tap: of the protocol, of catalogs, of states, and of those who read it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::subjects::{ROWS, taps};
use crate::project::tidy::CONNECTORS;
use support::project::{DAY, Project};
use support::run::Outcome;

/// The rows of the stream, as they came.
fn rows(outcome: &Outcome, stream: &str) -> Vec<(i64, String)> {
    let records = outcome.records(stream);
    let row = |record: &Value| {
        (record["id"].as_i64().unwrap(), record["name"].as_str().unwrap().to_owned())
    };
    records.iter().map(row).collect()
}

fn wanted() -> Vec<(i64, String)> {
    ROWS.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

fn states(outcome: &Outcome) -> Vec<Value> {
    let is_state = |message: &Value| message["type"] == "STATE";
    outcome.messages().into_iter().filter(is_state).map(|mut one| one["value"].take()).collect()
}

#[test]
fn every_connector_is_here() {
    let here = taps().into_iter().map(|tap| tap.name);
    let here = here.chain(super::subjects::targets().into_iter().map(|target| target.name));
    // What stands between both is run over all of them.
    let here: BTreeSet<_> = here.chain(["map-streams"]).collect();
    assert_eq!(here, BTreeSet::from(CONNECTORS));
}

#[test]
fn a_stream_comes_whole_behind_its_schema_between_its_states() {
    for tap in taps() {
        let outcome = tap.run().go().success();
        let mut found = rows(&outcome, tap.stream);
        found.sort();
        assert_eq!(found, wanted(), "{}", tap.name);
        let messages = outcome.messages();
        let first = |kind: &str| messages.iter().position(|message| message["type"] == kind);
        let (schema, record) = (first("SCHEMA").unwrap(), first("RECORD").unwrap());
        assert!(schema < record, "{}", tap.name);
        assert_eq!(messages[schema]["key_properties"], json!(["id"]), "{}", tap.name);
        // The first STATE says what is being read, the last one that nothing is.
        let state = first("STATE").unwrap();
        assert!(state < record, "{}", tap.name);
        assert_eq!(messages[state]["value"]["currently_syncing"], tap.stream, "{}", tap.name);
        let last = states(&outcome).pop().unwrap();
        assert_eq!(last["currently_syncing"], Value::Null, "{}", tap.name);
        assert_eq!(messages.last().unwrap()["type"], "STATE", "{}", tap.name);
    }
}

#[test]
fn what_a_discovery_prints_reads_the_same() {
    for tap in taps() {
        let catalog = tap.run().args(["--discover"]).go().success();
        let catalog: Value = serde_json::from_slice(&catalog.stdout).unwrap();
        let [entry] = &catalog["streams"].as_array().unwrap()[..] else {
            panic!("{}: {catalog}", tap.name);
        };
        assert_eq!(entry["tap_stream_id"], tap.stream, "{}", tap.name);
        let (alone, by_it) = (tap.run().go(), tap.run().json("--catalog", &catalog).go().success());
        assert_eq!(rows(&by_it, tap.stream), rows(&alone, tap.stream), "{}", tap.name);
        // What is not selected is not read.
        let mut none = catalog.clone();
        let metadata = none["streams"][0]["metadata"].as_array_mut().unwrap();
        let of_stream = metadata.iter_mut().find(|one| one["breadcrumb"] == json!([])).unwrap();
        of_stream["metadata"]["selected"] = json!(false);
        let nothing = tap.run().json("--catalog", &none).go().success();
        assert!(nothing.records(tap.stream).is_empty(), "{}", tap.name);
    }
}

#[test]
fn a_run_goes_on_from_its_own_state_and_reads_no_other_row() {
    for tap in taps() {
        let state = states(&tap.run().go().success()).pop().unwrap();
        let again = tap.run().json("--state", &state).go().success();
        let all: BTreeSet<_> = wanted().into_iter().collect();
        assert!(rows(&again, tap.stream).iter().all(|row| all.contains(row)), "{}", tap.name);
        let after = states(&again).pop().unwrap_or_else(|| state.clone());
        assert_eq!(after["currently_syncing"], Value::Null, "{}", tap.name);
        // A state that no run has written is taken for what it says: nothing.
        for empty in [json!({}), json!({ "bookmarks": {} })] {
            let outcome = tap.run().json("--state", &empty).go().success();
            assert_eq!(rows(&outcome, tap.stream).len(), ROWS.len(), "{}", tap.name);
        }
    }
}

#[test]
fn a_plan_names_the_stream_and_reads_no_row() {
    for tap in taps() {
        let text = tap.run().args(["--plan=json"]).go().success().text();
        let plan: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(plan["streams"][0]["stream"], tap.stream, "{}", tap.name);
        assert!(!text.contains("RECORD") && !text.contains("quoted"), "{}: {text}", tap.name);
    }
}

#[test]
fn a_reader_that_leaves_ends_it_without_a_word_of_success() {
    for tap in taps() {
        let mut running = tap.run().start(false);
        drop(running.child().stdout.take());
        running.wait().exits(141);
    }
}

#[test]
fn limits_and_denied_warnings_end_it_by_their_codes() {
    for tap in taps() {
        let failed = tap.run().set("max_record_bytes", 16).go();
        assert_eq!(failed.code, 65, "{}: {}", tap.name, failed.complaint());
        tap.run().args(["--deny-warnings", "W-NO-SUCH"]).go().exits(64);
        // With what is legal nothing is warned of.
        let outcome = tap.run().args(["--deny-warnings", "all"]).go();
        let said = outcome.complaint();
        assert_eq!(outcome.code, 0, "{}: {said}", tap.name);
    }
}

#[test]
fn the_runner_finds_nothing_against_the_protocol() {
    for tap in taps() {
        let config = &tap.settings;
        let more = format!("  - {{name: checked, executable: {}, config: {config}}}\n", tap.name);
        let project = Project::new(&more, &[]);
        let done = project.chorus(&["check", "checked"]).env("DATESTAMP", DAY).go().success();
        assert!(done.text().contains("keeps the rules"), "{}: {}", tap.name, done.text());
    }
}
