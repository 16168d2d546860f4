//! Commands that edit or list a project: Meltano reads what they write as they do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::python::MELTANO;
use support::run::{Outcome, Run, file, ours};
use support::{binaries_dir, folder};

const TAP: &str = r#"#!/usr/bin/env python3
import json, sys
if "--discover" in sys.argv:
    properties = {"id": {"type": "integer"}, "name": {"type": "string"}, "x": {"type": "string"}}
    marks = {"id": "automatic", "name": "available", "x": "unsupported"}
    metadata = [{"breadcrumb": [], "metadata": {"inclusion": "available"}}] + [
        {"breadcrumb": ["properties", name], "metadata": {"inclusion": mark}}
        for name, mark in marks.items()]
    schema = {"type": "object", "properties": properties}
    print(json.dumps({"streams": [
        {"tap_stream_id": name, "stream": name, "schema": schema, "metadata": metadata}
        for name in ["users", "orders"]]}))
else:
    print(json.dumps({"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": []}))
    print(json.dumps({"type": "RECORD", "stream": "a", "record": {}}))
"#;
const TARGET: &str = "#!/bin/sh
cat >/dev/null
echo '{\"bookmarks\": {\"users\": {\"v\": 1}}}'
";
const PROJECT: &str = "# the project of everybody
default_environment: dev
project_id: 00000000-0000-0000-0000-000000000001
send_anonymous_usage_stats: false   # no
include_paths: [more.yml]
environments:
- name: dev   # for trying

- name: prod
plugins:
  extractors:
  - name: tap-x
    namespace: tap_x
    executable: ./tap.py   # beside this file
    capabilities: [catalog, discover, state]
    settings:
    - {name: host, value: localhost, description: The server}
    - {name: password, sensitive: true}
    - {name: port, kind: integer}
    - {name: list, kind: array}
    - {name: is_on, kind: boolean}
    - {name: a.b}
    # what is set
    config:
      port: 5432   # the usual one
  loaders:
  - {name: target-x, namespace: target_x, executable: ./target.sh}
";
const MORE: &str = "jobs:
- name: first   # of all
  tasks: [tap-x target-x]
schedules:
- {name: daily, interval: '@daily', job: first, env: {A: '1', B: 7, C: 0x10, D: true, E: 1.50}}
";

/// A project that both programs read.
struct Both {
    scratch: tempfile::TempDir,
}

impl Both {
    fn new() -> Self {
        let scratch = folder();
        file(scratch.path(), "meltano.yml", PROJECT);
        file(scratch.path(), "more.yml", MORE);
        for (name, text) in [("tap.py", TAP), ("target.sh", TARGET)] {
            let path = file(scratch.path(), name, text);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { scratch }
    }

    fn chorus(&self, line: &str) -> Outcome {
        self.chorus_with(&line.split(' ').collect::<Vec<_>>())
    }

    fn chorus_with(&self, words: &[&str]) -> Outcome {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binaries_dir().display());
        ours("chorus")
            .env("PATH", path)
            .args(["--cwd"])
            .args([self.scratch.path()])
            .args(words)
            .go()
    }

    fn meltano(&self, line: &str) -> Outcome {
        let run: Run = MELTANO.program("meltano");
        run.env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
            .env("NO_COLOR", "1")
            .args(["--log-level", "error", "--cwd"])
            .args([self.scratch.path()])
            .args(line.split(' '))
            .go()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.scratch.path().join(name)).unwrap()
    }

    /// Asserts that both print the same.
    #[track_caller]
    fn agree(&self, line: &str) -> String {
        let (ours, theirs) =
            (self.chorus(line).success().text(), self.meltano(line).success().text());
        match serde_json::from_str::<Value>(&theirs) {
            Ok(theirs) => assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), theirs),
            Err(_) => assert_eq!(ours, theirs),
        }
        ours
    }

    /// Asserts that all lines of a text are in a file, in their order.
    #[track_caller]
    fn keeps(&self, name: &str, before: &str, without: &[&str]) {
        let text = self.text(name);
        let mut lines = text.lines();
        for line in before.lines().filter(|line| !without.contains(&line.trim())) {
            assert!(lines.any(|other| other == line), "{line:?} is lost:\n{text}");
        }
    }
}

#[test]
fn settings_are_set_by_type_and_meltano_reads_them() {
    let both = Both::new();
    both.chorus("config set tap-x port 99").success();
    assert!(both.text("meltano.yml").contains("      port: 99   # the usual one\n"));
    both.chorus("config tap-x set is_on yes").success();
    both.chorus_with(&["config", "set", "tap-x", "list", "[\"a\", \"1\"]"]).success();
    both.chorus("config set tap-x a b no").success();
    both.chorus("config set tap-x host a:b").success();
    let secret = both.chorus_with(&["config", "set", "tap-x", "password", "it's \\cret"]);
    assert!(!secret.success().text().contains("cret"));
    both.keeps("meltano.yml", PROJECT, &["port: 5432   # the usual one"]);
    assert_eq!(both.text(".env"), "TAP_X_PASSWORD='it\\'s \\\\cret'\n");
    let printed = both.agree("config print tap-x");
    assert!(printed.contains("\"password\": \"*****\""), "{printed}");
    both.agree("config --unsafe print tap-x");

    both.chorus("--environment prod config set tap-x host far").success();
    assert!(both.chorus("-e prod config print tap-x").success().text().contains("\"far\""));
    let far = both.meltano("--environment prod config print tap-x").success().text();
    assert!(far.contains("\"far\""), "{far}");
    assert!(both.agree("config print tap-x").contains("a:b"));

    let listed = both.chorus("config list tap-x --all").success().text();
    let line = "port [env: TAP_X_PORT] current value: 99 (from `meltano.yml`)\n";
    assert!(listed.contains(line) && listed.contains("\tThe server\n"), "{listed}");
    assert!(listed.contains("(redacted) (from the TAP_X_PASSWORD variable in `.env`)"), "{listed}");
    // A secret may stand in a value whose name says nothing.
    let url = "postgres://u:hunter2@h/d";
    let set = both.chorus(&format!("config set tap-x host {url}")).success().text();
    assert!(!set.contains("hunter2") && both.text(".env").contains(url), "{set}");
    for line in ["config print tap-x", "config print tap-x --format env", "config list tap-x"] {
        let printed = both.chorus(line).success().text();
        assert!(!printed.contains("hunter2"), "{line}: {printed}");
    }
    both.chorus("config unset tap-x host --store dotenv").success();
    both.chorus("config unset tap-x a b").success();
    both.chorus("config unset tap-x a b").exits(66);
    both.chorus("config set tap-x port x").exits(64);
    both.chorus("config reset tap-x").exits(64);
    both.chorus("config reset tap-x --yes").success();
    assert_eq!(both.text(".env"), "");
    assert_eq!(both.agree("config print tap-x"), "{\n  \"host\": \"localhost\"\n}\n");
    let test = both.chorus("config test tap-x").success().text();
    assert_eq!(test, "Plugin configuration is valid\n");
}

#[test]
fn settings_are_set_beside_merged_ones_below_odd_keys_and_in_json() {
    let both = Both::new();
    let merged = "project_id: 00000000-0000-0000-0000-000000000001
default_environment: dev
environments: [{name: dev}]
x-c: &c
  namespace: tap_x
  executable: ./tap.py
  config: {host: h, user: u}
plugins:
  extractors:
  - name: tap-x
    <<: *c
  - name: tap-y
    namespace: tap_y
    config:
      n: 1
      007: seven
      on: x
";
    file(both.scratch.path(), "meltano.yml", merged);
    let told = both.chorus("config set tap-x port 5").success().stderr;
    assert!(told.contains("`config` came by the merge key of"), "{told}");
    let printed = both.agree("config print tap-x");
    assert!(printed.contains("\"host\": \"h\"") && printed.contains("\"port\""), "{printed}");
    both.chorus("config set tap-y n 7").success();
    both.chorus("config unset tap-y on").success();
    both.chorus("config set tap-y 007 eight").success();
    assert!(both.text("meltano.yml").ends_with("\n      007: eight\n"));
    // Meltano ends at a key that is a number.
    both.chorus("config unset tap-y 007").success();
    both.agree("config print tap-y");
    both.keeps("meltano.yml", merged, &["n: 1", "007: seven", "on: x"]);

    let json = serde_json::json!({
        "project_id": "00000000-0000-0000-0000-000000000001",
        "default_environment": "dev",
        "environments": [{"name": "dev"}],
        "plugins": {"extractors": [{"name": "tap-x", "namespace": "tap_x"}]},
    });
    file(both.scratch.path(), "meltano.yml", serde_json::to_string_pretty(&json).unwrap());
    both.chorus("config set tap-x a b 5").success();
    both.chorus("environment add prod").success();
    both.chorus_with(&["job", "add", "j", "--tasks", "tap-x target-x"]).exits(78);
    let text = both.text("meltano.yml");
    assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    both.agree("config print tap-x");
    assert_eq!(both.agree("environment list"), "dev\nprod\n");
}

#[test]
fn jobs_schedules_and_environments_are_edited_and_meltano_lists_them() {
    let both = Both::new();
    both.agree("job list");
    both.agree("schedule list --format json");
    both.chorus_with(&["job", "add", "second", "--tasks", "[tap-x target-x, [tap-x, target-x]]"])
        .success();
    both.chorus_with(&["job", "set", "first", "--tasks", "tap-x target-x"]).success();
    both.chorus_with(&["job", "add", "first", "--tasks", "tap-x target-x"]).exits(64);
    both.chorus_with(&["job", "add", "third", "--tasks", "tap-y target-x"]).exits(78);
    both.chorus_with(&["schedule", "add", "hourly", "--interval", "0 * * * *", "--job", "second"])
        .success();
    both.chorus("schedule set daily --interval @hourly").success();
    both.chorus("schedule add pair --interval @weekly --extractor tap-x --loader target-x")
        .success();
    both.chorus("environment add test").success();
    for line in ["job list --format json", "schedule list", "schedule list --format json"] {
        both.agree(line);
    }
    assert_eq!(both.agree("environment list"), "dev\nprod\ntest\n");
    both.keeps("meltano.yml", PROJECT, &[]);
    assert!(both.text("more.yml").starts_with("jobs:\n- name: first   # of all\n"));
    both.chorus("schedule remove pair").success();
    let run = both.chorus("schedule run daily");
    assert!(run.success().text().contains("tap-x target-x"));
    both.chorus("schedule remove hourly").success();
    both.chorus("schedule remove hourly").exits(64);
    both.chorus("job remove second").success();
    both.chorus("environment remove test").success();
    assert_eq!(both.agree("environment list"), "dev\nprod\n");
    both.agree("job list");
    both.chorus_with(&["job", "add", "other", "--tasks", "[[tap-x, [target-x]]]"]).success();
    both.chorus("job remove other").success();
    both.chorus("remove tap").exits(64);
    let told = both.chorus("remove target-x").success().stderr;
    assert!(told.contains("the job first still names target-x"), "{told}");
    both.agree("job list");
    assert!(!both.text("meltano.yml").contains("target-x"));
}

#[test]
fn a_schedule_of_a_tap_and_a_target_has_the_state_that_it_has_for_meltano() {
    let both = Both::new();
    both.chorus("schedule add pair --interval @weekly --extractor tap-x --loader target-x")
        .success();
    both.chorus("run tap-x target-x").success();
    both.chorus("schedule run pair").success();
    let ids = both.chorus("state list").success().text();
    assert_eq!(ids, "dev:tap-x-to-target-x\npair\n");
    let other = Both::new();
    fs::copy(both.scratch.path().join("meltano.yml"), other.scratch.path().join("meltano.yml"))
        .unwrap();
    other.meltano("schedule run pair").success();
    assert_eq!(other.agree("state list"), "pair\n");
    other.chorus("schedule run pair").success();
    assert_eq!(other.agree("state list"), "pair\n");
}

#[test]
fn what_does_not_run_is_told_by_its_kind() {
    let both = Both::new();
    let text = PROJECT.to_owned()
        + "  orchestrators:\n  - {name: airflow, pip_url: apache-airflow}\n  transformers:
  - {name: dbt-x, namespace: dbt_x, executable: ./target.sh, config: {project_dir: none}}\n";
    let unknown = "- name: prod\n  config: {plugins: {loaders: [{name: target-y}]}}";
    let text = text.replace("- name: prod", unknown);
    file(both.scratch.path(), "meltano.yml", format!("%YAML 1.1\n---\n{text}"));
    for line in ["config print airflow", "run airflow"] {
        let told = both.chorus(line).exits(78).stderr;
        assert!(told.contains("orchestrator") && told.contains("chorus schedule"), "{told}");
    }
    let told = both.chorus("invoke dbt-x run").exits(78).stderr;
    assert!(told.contains("its folder is missing"), "{told}");
    let told = both.chorus("job list").success().stderr;
    assert!(told.contains("`%YAML 1.1` of meltano.yml") && !told.contains("target-y"), "{told}");
    let told = both.chorus("--environment prod job list").success().stderr;
    assert!(
        told.contains("environment prod has settings for the unknown loader target-y"),
        "{told}"
    );
    let doctor = both.chorus("doctor").text();
    for words in ["airflow: it is an orchestrator, which is not run", "loader target-y"] {
        assert!(doctor.contains(words), "{words}: {doctor}");
    }
}

#[test]
fn odd_forms_are_read_as_by_meltano() {
    let both = Both::new();
    let tags =
        "    config: {v: !!float 3, w: !!int 0x10, b: !!bool true, n: 007}\n    metadata: []\n";
    let config = "    config:\n      port: 5432   # the usual one\n";
    for odd in [tags, "    config: []\n    env: []\n", "    config: ''\n    schema: []\n"] {
        file(both.scratch.path(), "meltano.yml", PROJECT.replace(config, odd));
        both.agree("config print tap-x");
    }
    let text = PROJECT.replace(config, "    config: [a]\n");
    file(both.scratch.path(), "meltano.yml", text);
    let told = both.chorus("config print tap-x").exits(78).stderr;
    assert!(told.contains("it is: a list") && told.contains("line: "), "{told}");
}

#[test]
fn extras_and_groups_of_settings_are_shown() {
    let both = Both::new();
    let more = "    select: [users.*]\n    settings_group_validation: [[host, password], [port]]\n";
    file(
        both.scratch.path(),
        "meltano.yml",
        PROJECT.replace("    settings:\n", &format!("{more}    settings:\n")),
    );
    let print = |plugin: &str| {
        let line = format!("config print {plugin} --extras");
        let read = |outcome: Outcome| -> serde_json::Map<String, Value> {
            serde_json::from_str(&outcome.success().text()).unwrap()
        };
        let mut theirs = read(both.meltano(&line));
        // How Meltano reads logs and keeps catalogs.
        theirs.retain(|name, _| !["_log_parser", "_use_cached_catalog"].contains(&name.as_str()));
        assert_eq!(read(both.chorus(&line)), theirs, "{plugin}");
    };
    print("tap-x");
    print("target-x");
    let variables = both.chorus("config print tap-x --extras --format env").success().text();
    for line in both.meltano("config print tap-x --extras --format env").success().text().lines() {
        let is_of_meltano = line.contains("__LOG_PARSER") || line.contains("__USE_CACHED_CATALOG");
        assert!(is_of_meltano || variables.contains(line), "{line}: {variables}");
    }
    let listed = both.chorus("config list tap-x --extras").success().text();
    let select = "_select [env: TAP_X__SELECT] current value: ['users.*'] (from `meltano.yml`)\n";
    assert!(listed.starts_with(select), "{listed}");
    let listed = both.chorus("config list tap-x").success().text();
    let groups = "Setting groups (one of the following combinations is required):
  Group 1: host, password
  Group 2: port

";
    assert!(listed.starts_with(groups) && listed.contains("password [env:"), "{listed}");
    assert!(both.meltano("config list tap-x").success().text().starts_with(groups));
    both.agree("config print tap-x --plugin-type extractor");
    both.chorus("config list tap-x --plugin-type loaders").exits(64);
    let told = both.chorus("config set tap-x --interactive").exits(64).stderr;
    assert!(told.contains("chorus config set tap-x NAME VALUE"), "{told}");
}

#[test]
fn what_cannot_be_added_is_refused_before_anything_is_written() {
    let both = Both::new();
    let told = both.chorus("add tap-x").exits(64).stderr;
    assert!(told.contains("there already") && !told.contains("hub"), "{told}");
    let told = both.chorus("add tap-z --inherit-from tap-q").exits(64).stderr;
    assert!(told.contains("cannot find the plugin to inherit from"), "{told}");
    both.chorus_with(&["add", "bad name", "--inherit-from", "tap-x"]).exits(64);
    both.chorus("add target-csv tap-x").exits(64);
    assert_eq!(both.text("meltano.yml"), PROJECT);
    assert!(!both.scratch.path().join("plugins").exists());
    both.chorus_with(&["state", "set", "--no-validate", "x", "{\"singer_state\": {}}"]).success();
}

#[test]
fn the_kind_may_stand_before_names() {
    let both = Both::new();
    both.chorus("add extractor tap-y --inherit-from tap-x").success();
    both.chorus("add --plugin-type loader target-y --inherit-from target-x").success();
    both.chorus("add loader tap-w --inherit-from tap-x").exits(64);
    both.agree("config print tap-y");
    for line in ["install extractors", "install --plugin-type loader", "install --schedule daily"] {
        both.chorus(line).success();
    }
    both.chorus("remove extractor tap-y").success();
    both.chorus("remove --plugin-type loader target-y").success();
    assert_eq!(both.text("meltano.yml"), PROJECT);
    let told = both.chorus("config set extractor tap-x host h").exits(78).stderr;
    assert!(told.contains("cannot find a plugin of this name"), "{told}");
    // As for Meltano.
    both.meltano("config set extractor tap-x host h").exits(1);
}

#[test]
fn an_environment_in_a_list_of_pairs_is_edited() {
    let both = Both::new();
    let text = PROJECT.replace("- name: dev   # for trying\n\n- name: prod\n", "");
    let text = text.replace("environments:\n", "environments: [name: dev, name: prod]\n");
    file(both.scratch.path(), "meltano.yml", text);
    both.chorus("--environment prod select tap-x users id").success();
    both.chorus("--environment prod config set tap-x host far").success();
    both.agree("--environment prod config print tap-x");
    assert_eq!(both.agree("environment list"), "dev\nprod\n");
}

#[test]
fn values_of_our_plugins_are_checked_before_they_are_written() {
    let both = Both::new();
    both.chorus("add target-postgres").success();
    let told = both.chorus("config set target-postgres load_method upsrt").exits(64).stderr;
    assert!(told.contains("did you mean `upsert`?"), "{told}");
    both.chorus("config set target-postgres load_method upsert").success();
    both.chorus("config set target-postgres load_method $METHOD").success();
}

#[test]
fn patterns_of_streams_are_edited_and_listed_as_by_meltano() {
    let both = Both::new();
    both.agree("select tap-x --list --all");
    both.chorus("select tap-x users name").success();
    both.chorus("select tap-x users x --exclude").success();
    both.agree("select tap-x --list --all");
    both.agree("select tap-x --json --all");
    both.chorus("select tap-x users x --exclude --rm").success();
    both.chorus("select tap-x users x --exclude --remove").exits(66);
    assert!(both.text("meltano.yml").contains("    select:\n    - users.name\n"));
    both.keeps("meltano.yml", PROJECT, &[]);
    both.chorus("select tap-x --clear").success();
    assert_eq!(both.text("meltano.yml"), PROJECT);
}

#[test]
fn a_new_project_is_one_for_meltano() {
    let scratch = folder();
    let root = scratch.path().join("new");
    ours("chorus").args(["init"]).args([&root]).go().success();
    ours("chorus").args(["init"]).args([&root]).go().exits(64);
    let both = Both { scratch: folder() };
    fs::copy(root.join("meltano.yml"), both.scratch.path().join("meltano.yml")).unwrap();
    assert_eq!(both.agree("environment list"), "dev\nstaging\nprod\n");
    both.chorus("lock").exits(64);
    both.chorus("compile --lint").exits(64);
    both.chorus("test --all").exits(64);
}
