//! Warnings have codes, are counted, and end a run that denies them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use support::cluster::database;
use support::messages::Lines;
use support::root;
use support::run::{Outcome, file, ours};

/// What the state of a whole run has.
const END: &str = "\"currently_syncing\":null";

/// A stream whose second record has a property that its schema lacks.
fn undeclared() -> Lines {
    Lines::opened().row(1, "a").record("t", &json!({ "id": 2, "name": "b", "extra": 1 })).done()
}

fn target_csv(folder: &std::path::Path, deny: &[&str]) -> Outcome {
    let settings = json!({ "output_path": folder, "source": "s", "datestamp": "2026-11-20" });
    let flags = deny.iter().flat_map(|code| ["--deny-warnings", code]);
    ours("target-csv").config(&settings).args(flags).input(undeclared().0).go()
}

#[test]
fn warnings_show_their_code_and_are_counted_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let done = target_csv(folder.path(), &["W-NO-KEYS"]).success();
    let log = done.stderr.trim_end();
    assert!(log.contains("W-PROPERTY-UNDECLARED: stream t: properties"), "{log}");
    assert!(log.ends_with("warnings: W-PROPERTY-UNDECLARED 1"), "{log}");
}

#[test]
fn a_json_log_has_code_and_stream_as_fields() {
    let scratch = tempfile::tempdir().unwrap();
    let sdk = scratch.path().join("logging.yaml");
    fs::write(&sdk, "class: singer_sdk.logging.StructuredFormatter").unwrap();
    let plain = json!({ "output_path": scratch.path() });
    let json = json!({ "output_path": scratch.path(), "log_format": "json" });
    let runs = [
        ours("target-csv").config(&json),
        ours("target-csv").config(&plain).env("SINGER_SDK_LOG_CONFIG", sdk.to_str().unwrap()),
    ];
    for run in runs {
        let done = run.input(undeclared().0).go().success();
        let lines = done.stderr.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let of = |member: &str| -> Vec<&Value> {
            lines.iter().filter(|line| line.get(member).is_some()).collect()
        };
        let warned = of("code");
        assert_eq!(warned.len(), 1, "{}", done.stderr);
        assert_eq!(warned[0]["code"], "W-PROPERTY-UNDECLARED");
        assert_eq!(warned[0]["stream_name"], "t");
        assert_eq!(warned[0]["logger_name"], "singer::decode");
        let counted = of("metric_info");
        assert!(!counted.is_empty(), "{}", done.stderr);
        assert!(counted.iter().all(|line| line["stream_name"] == "t"), "{}", done.stderr);
        let summary = lines.last().unwrap();
        assert_eq!(summary["message"], "warnings: W-PROPERTY-UNDECLARED 1");
        assert_eq!(summary["stream_name"], Value::Null, "it is of no stream");
    }
}

#[test]
fn a_denied_warning_of_a_target_leaves_nothing_behind() {
    for denied in ["W-PROPERTY-UNDECLARED", "all", "w-no-keys,w-property-undeclared"] {
        let folder = tempfile::tempdir().unwrap();
        let failed = target_csv(folder.path(), &[denied]).exits(65);
        assert!(failed.complaint().contains("code: W-PROPERTY-UNDECLARED"), "{denied}");
        assert!(!failed.text().contains(END), "{}", failed.text());
        assert!(!folder.path().join("source=s/extracted_at=2026-11-20/table=t").exists());
    }
}

#[test]
fn a_denied_warning_ends_a_load_before_its_commit() {
    let database = database("deny_warnings");
    let lines =
        Lines::default().syncing("t").schema("t", &json!({ "id": { "type": "integer" } }), &[]);
    let lines = lines.record("t", &json!({ "id": 1 })).done();
    let load = |deny: &str| {
        ours("target-postgres")
            .config(&database.settings())
            .args(["--deny-warnings", deny])
            .input(lines.0.clone())
            .go()
    };
    let failed = load("W-NO-KEYS").exits(65);
    assert!(failed.complaint().contains("code: W-NO-KEYS"));
    assert!(!failed.text().contains(END), "{}", failed.text());
    assert_eq!(database.psql("select to_regclass('t') is null").trim(), "t");
    load("W-LINK-DEAD").success();
}

#[test]
fn a_denied_warning_of_a_tap_cuts_its_stream() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "a.csv", "id;name\n1;x\n");
    let settings = json!({ "files": [{ "entity": "a", "path": folder.path(), "keys": [] }] });
    let run = |deny: &[&str]| ours("tap-csv").config(&settings).args(deny).go();
    assert_eq!(run(&[]).success().records("a").len(), 1);
    let failed = run(&["--deny-warnings", "W-DELIMITER-DOUBTFUL"]).exits(65);
    assert!(failed.complaint().contains("code: W-DELIMITER-DOUBTFUL"));
    assert!(!failed.text().contains(END), "{}", failed.text());
}

#[test]
fn a_record_that_is_set_aside_ends_a_run_that_denies_it() {
    let (lake, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    file(files.path(), "a.csv", "id,n\n1,1\n2,x\n3,3\n");
    let types = json!({ "n": "integer" });
    let entry = json!({ "entity": "a", "path": files.path(), "keys": ["id"], "types": types });
    let tap = json!({ "files": [entry], "max_rejects": 3 });
    let day = json!({ "output_path": lake.path(), "source": "s", "datestamp": "2026-11-20" });
    let lines = Lines::opened().row(1, "a").record("t", &json!({ "id": "x" })).done();
    for denied in ["W-RECORDS-REJECTED", "all"] {
        for run in [
            ours("tap-csv").config(&tap),
            ours("target-csv").config(&day).set("max_rejects", 3).input(lines.0.clone()),
        ] {
            let failed = run.args(["--deny-warnings", denied]).go().exits(65);
            assert!(failed.complaint().contains("code: W-RECORDS-REJECTED"), "{denied}");
            assert!(!failed.text().contains(END), "{}", failed.text());
        }
        assert!(!lake.path().join("source=s/extracted_at=2026-11-20").exists());
    }
    ours("tap-csv").config(&tap).go().success();
}

#[test]
fn a_code_that_does_not_exist_cannot_be_denied() {
    let failed = ours("tap-csv").args(["--deny-warnings", "W-LINK-DED"]).go().exits(64);
    assert!(failed.complaint().contains("did you mean `W-LINK-DEAD`?"), "{}", failed.complaint());
}

#[test]
fn every_code_is_used() {
    let page = fs::read_to_string(root().join("docs/reference/warnings.md")).unwrap();
    let codes = page.split('`').filter(|word| word.starts_with("W-"));
    let mut unused: BTreeSet<String> = codes.map(|code| format!("\"{code}\"")).collect();
    assert!(unused.len() > 40);
    for folder in ["lib", "mappers", "taps", "targets", "orchestrate"] {
        for entry in walkdir::WalkDir::new(root().join(folder)) {
            let path = entry.unwrap().into_path();
            let is_list = path.parent().is_some_and(|folder| folder.ends_with("warning/codes"));
            if path.extension().is_some_and(|end| end == "rs") && !is_list {
                let text = fs::read_to_string(&path).unwrap();
                unused.retain(|code| !text.contains(code.as_str()));
            }
        }
    }
    assert_eq!(unused, BTreeSet::new());
}
