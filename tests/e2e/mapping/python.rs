//! Values of expressions are those of Python: the Singer SDK computes the same ones.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use support::folder;
use support::python::MAPPER;
use support::run::{Outcome, ours};

/// What the SDK makes of expressions and rows of its choice.
fn judged(seed: u64, count: u64) -> Value {
    let arguments = [seed.to_string(), count.to_string()];
    let run = MAPPER
        .script(include_str!("../../support/expressions.py"))
        .args(arguments)
        .env("TZ", "UTC");
    serde_json::from_str(&run.go().success().text()).unwrap()
}

/// Computes all expressions, each in a copy of the stream.
fn computed(judged: &Value, cases: &[usize]) -> Outcome {
    let text = |at: &usize| judged["cases"][at].as_str().unwrap();
    let mut maps = json!({ "s": null });
    for at in cases {
        maps[format!("c{at}")] = json!({ "__source__": "s", "__else__": null, "v": text(at) });
    }
    let schema = json!({
        "type": "SCHEMA", "stream": "s", "schema": judged["schema"], "key_properties": ["id"],
    });
    let mut lines = format!("{schema}\n");
    for row in judged["rows"].as_array().unwrap() {
        let row = row.as_str().unwrap();
        writeln!(lines, "{{\"type\":\"RECORD\",\"stream\":\"s\",\"record\":{row}}}").unwrap();
    }
    let scratch = folder();
    let settings = json!({
        "stream_maps": maps, "stream_map_config": judged["config"], "max_rejects": 1_000_000,
        "rejects_file": scratch.path().join("rejects.jsonl"), "rejects_include_record": false,
    });
    ours("map-streams").config(&settings).input(lines).env("TZ", "UTC").go()
}

/// Compares, and returns how many values there were.
fn compare(seed: u64, count: u64) -> usize {
    let judged = judged(seed, count);
    let values = judged["values"].as_array().unwrap();
    let mut cases: Vec<usize> = (0..values.len()).collect();
    let outcome = loop {
        let outcome = computed(&judged, &cases);
        if outcome.code == 0 {
            break outcome;
        }
        // An expression that fails for every row is refused before the first one.
        let refused = outcome.stderr.lines().find_map(|line| line.strip_prefix("  expression: "));
        let refused = refused.unwrap_or_else(|| panic!("seed {seed}: {}", outcome.stderr));
        let before = cases.len();
        cases.retain(|at| {
            let same = judged["cases"][at] == refused;
            let fails = values[*at].as_array().unwrap().iter().all(|value| !value.is_string());
            assert!(!same || fails, "seed {seed}: {refused}: {}", outcome.stderr);
            !same
        });
        assert!(cases.len() < before, "seed {seed}: {}", outcome.stderr);
    };
    let (mut found, messages) = (0, outcome.messages());
    for at in cases {
        let stream = format!("c{at}");
        let mine = messages.iter().filter(|message| message["type"] == "RECORD");
        let mine: Vec<&Value> = mine.filter(|message| message["stream"] == *stream).collect();
        for (value, row) in
            values[at].as_array().unwrap().iter().zip(judged["rows"].as_array().unwrap())
        {
            let row: Value = serde_json::from_str(row.as_str().unwrap()).unwrap();
            let record = mine.iter().find(|message| message["record"]["id"] == row["id"]);
            let got = record.map_or(&Value::Null, |message| &message["record"]["v"]);
            if value.is_object() {
                continue;
            }
            assert_eq!(value, got, "seed {seed}: {} of {row}", judged["cases"][at]);
            found += usize::from(got.is_string());
        }
    }
    found
}

#[test]
fn values_are_those_of_python() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now);
    let rounds = if std::env::var("FAULTS").is_ok_and(|word| word == "long") { 50 } else { 1 };
    for round in 0..rounds {
        let found = compare(seed + round, 400);
        assert!(found > 2000, "seed {seed}: {found} values");
    }
}
