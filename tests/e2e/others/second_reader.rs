//! What our commands write into YAML, a reader of YAML 1.1 (`PyYAML`) reads as we do.

use std::fs;

use serde_json::{Value, json};
use support::folder;
use support::python::MELTANO;
use support::run::{file, ours};

const PROJECT: &str = "version: 1
plugins:
  extractors:
  - name: tap-x   # the only one
    namespace: tap_x
    executable: ./tap
    settings: [{name: list, kind: array}, {name: map, kind: object}]
    config:
      first: 1   # one
";

/// Texts that a reader may take for something else.
const ODD: [&str; 40] = [
    "no",
    "Yes",
    "ON",
    "off",
    "y",
    "n",
    "true",
    "NULL",
    "~",
    "",
    " ",
    "012",
    "0o17",
    "0x1F",
    "1_0",
    "1:30",
    "12:30:45",
    "1e3",
    ".5",
    "-.inf",
    ".nan",
    "2024-01-02",
    "2024-01-02 03:04:05",
    "a: b",
    "a #b",
    "- a",
    "*p",
    "&p",
    "!t",
    "{a",
    "[",
    "%d",
    "@daily",
    "`x`",
    "x, y",
    "l1\nl2\n",
    "l1\n\n l2",
    "it's \"so\"",
    "\u{85}é\t\u{2028}",
    "=",
];

const READ: &str = "import json, sys, yaml
print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8')), default=str))";

#[test]
fn odd_texts_are_written_so_that_both_versions_of_yaml_read_them() {
    let scratch = folder();
    let path = file(scratch.path(), "meltano.yml", PROJECT);
    let set = |words: &[&str]| {
        let run = ours("chorus").args(["--cwd"]).args([scratch.path()]);
        run.args(["config", "set", "tap-x"]).args(words).go().success();
    };
    for (at, text) in ODD.iter().enumerate() {
        let value = file(scratch.path(), "value.json", json!([text]).to_string());
        set(&["list", &format!("--from-file={}", value.display())]);
        // A key is read as a text, too.
        let member = json!({ *text: [text], format!("k{at}"): text }).to_string();
        let value = file(scratch.path(), "value.json", member);
        set(&["map", &format!("--from-file={}", value.display())]);
        let python = MELTANO.script(READ).args([&path]).go().success();
        let read: Value = serde_json::from_str(&python.text()).unwrap();
        let config = &read["plugins"]["extractors"][0]["config"];
        let yaml = fs::read_to_string(&path).unwrap();
        assert_eq!(config["first"], 1, "{yaml}");
        assert_eq!(config["list"], json!([text]), "{yaml}");
        assert_eq!(config["map"][*text], json!([text]), "{yaml}");
        assert_eq!(config["map"][format!("k{at}")], json!(text), "{yaml}");
        let printed = ours("chorus").args(["--cwd"]).args([scratch.path()]);
        let printed = printed.args(["config", "print", "tap-x"]).go().success().text();
        let printed: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed["list"], json!([text]), "{yaml}");
    }
}
