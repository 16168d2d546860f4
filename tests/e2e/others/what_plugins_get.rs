//! What plugins are given in projects of odd forms: `chorus` and Meltano give the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::python::MELTANO;
use support::run::{Outcome, Run, file, ours};
use support::{binaries_dir, folder};

/// A plugin that writes down what it is given.
const RECORDER: &str = r#"#!/usr/bin/env python3
import json, os, sys
words, at = sys.argv, os.path.dirname(os.path.abspath(sys.argv[0]))
def of(flag):
    return json.load(open(words[words.index(flag) + 1])) if flag in words else None
call = {"name": os.path.basename(words[0]), "words": [w for w in words[1:] if "/" not in w],
        "config": of("--config"), "catalog": of("--catalog"), "state": of("--state"),
        "env": dict(os.environ)}
print(json.dumps(call), file=open(os.path.join(at, "calls"), "a"))
if "--discover" in words:
    inner = {"type": "object", "properties": {"end": {"type": "string"}}}
    schema = {"type": "object", "properties": {"id": {"type": ["null", "string"]}, "r": inner}}
    print(json.dumps({"streams": [{"tap_stream_id": s, "stream": s, "schema": schema,
                                   "metadata": []} for s in ["s1", "s2", "s3"]]}))
elif call["name"].startswith("tap"):
    print('{"type": "SCHEMA", "stream": "s1", "schema": {}, "key_properties": []}')
    print('{"type": "STATE", "value": {"bookmarks": {"s1": {"v": 1}}}}')
elif call["name"] == "target-empty":
    sys.stdin.read()
    print("{}")
elif call["name"].startswith("target"):
    for line in sys.stdin:
        if "STATE" in line:
            print(json.dumps(json.loads(line)["value"]))
elif call["name"].startswith("map"):
    sys.stdout.write(sys.stdin.read())
"#;

const TAP: &str = "namespace: tap_m, executable: ./tap, capabilities: [discover, catalog, state]";

struct Place {
    root: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Place {
    fn new(yaml: &str) -> Self {
        let scratch = folder();
        let root = scratch.path().join("project");
        let head = "default_environment: dev\nsend_anonymous_usage_stats: false\n\
                    project_id: 6f3a1c5e-0000-0000-0000-000000000004\n";
        file(&root, "meltano.yml", format!("{head}{}", yaml.replace("@TAP", TAP)));
        for name in ["tap", "map", "target", "target-empty", "tool"] {
            let path = file(&root, name, RECORDER);
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { root, _scratch: scratch }
    }

    fn run(&self, by_chorus: bool, line: &str) -> Outcome {
        let run = if by_chorus { ours("chorus") } else { MELTANO.program("meltano") };
        let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
        let run: Run = run.args(["--cwd"]).args([&self.root]).args(line.split(' '));
        run.env("PATH", path).env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true").go()
    }

    /// Returns the calls since the last time, discovery aside, by plugin: the last one counts.
    fn calls(&self) -> BTreeMap<String, Value> {
        let path = self.root.join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let text = text.replace(&self.root.display().to_string(), "ROOT");
        let calls = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let calls = calls.filter(|call| call["words"] != json!(["--config", "--discover"]));
        calls.map(|call| (call["name"].as_str().unwrap().to_owned(), call)).collect()
    }
}

/// Runs a command in new projects: by Meltano and by `chorus`.
fn both(yaml: &str, line: &str) -> [BTreeMap<String, Value>; 2] {
    [false, true].map(|by_chorus| {
        let place = Place::new(yaml);
        place.run(by_chorus, line).success();
        place.calls()
    })
}

/// Returns the variables of a call whose names pass.
fn variables(call: &Value, passes: impl Fn(&str) -> bool) -> BTreeMap<String, Value> {
    let all = call["env"].as_object().unwrap().iter();
    let all = all.map(|(name, value)| (name.clone(), value.clone()));
    all.filter(|(name, _)| passes(name)).collect()
}

const INHERITED: &str = "environments:
- name: dev
  config:
    plugins:
      extractors:
      - name: tap-m
        metadata: {s2: {replication-method: FULL_TABLE}}
        schema: {s2: {id: {type: integer}}}
        env: {TAP_M_V3: of-environment, TAP_M_V4: 'yes'}
plugins:
  extractors:
  - name: tap-m
    settings: [{name: v3}, {name: v4, kind: boolean}]
    metadata: {s1: {replication-method: INCREMENTAL}}
    schema: {s1: {id: {format: x}, new: {type: string}}, '*': {id: {format: y}}}
    namespace: tap_m
    executable: ./tap
    capabilities: [discover, catalog, state]
  - {name: tap-n, inherit_from: tap-m, metadata: {s3: {replication-method: LOG_BASED}},
     env: {TAP_M_V3: of-child}}
  loaders:
  - {name: target-m, namespace: target_m, executable: ./target}
";

#[test]
fn a_plugin_has_rules_and_variables_of_the_plugin_above_as_in_meltano() {
    for tap in ["tap-m", "tap-n"] {
        let [theirs, ours] = both(INHERITED, &format!("run {tap} target-m"));
        for key in ["catalog", "config"] {
            assert_eq!(theirs["tap"][key], ours["tap"][key], "{tap} {key}");
        }
        let of = |name: &str| name.contains("_V3") || name.ends_with("__METADATA");
        assert_eq!(variables(&theirs["tap"], of), variables(&ours["tap"], of), "{tap}");
    }
}

#[test]
fn a_rule_of_schema_with_a_dot_is_for_a_column_inside_another() {
    let place = Place::new(
        "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP, schema: {s1: {r.end: {format: date-time}, no.such: {}}}}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
",
    );
    let told = place.run(true, "run tap-m target-m").success().stderr;
    assert!(told.contains("`s1.no.such` of `schema` matches nothing"), "{told}");
    let properties = &place.calls()["tap"]["catalog"]["streams"][0]["schema"]["properties"];
    assert_eq!(properties["r"]["properties"], json!({"end": {"format": "date-time"}}));
    assert_eq!(properties.as_object().unwrap().len(), 2, "{properties}");
}

#[test]
fn variables_of_the_environment_stand_in_env_of_a_plugin() {
    let yaml = "env: {P1: p1, P2: '${E1}-p2'}
environments:
- name: dev
  env: {E1: e1, E2: '${P1}-e2'}
  config: {plugins: {utilities: [{name: tool, env: {X: '${L1}-x'}}]}}
plugins:
  utilities:
  - name: tool
    namespace: tool_space
    executable: ./tool
    env: {L1: '${E1}-l1', L2: '${E2}-l2'}
";
    let [theirs, ours] = both(yaml, "invoke tool");
    let of = |name: &str| ["L1", "L2", "X", "E1", "E2", "P1"].contains(&name);
    let theirs = variables(&theirs["tool"], of);
    assert_eq!(theirs, variables(&ours["tool"], of));
    assert_eq!(theirs["L2"], "p1-e2-l2");
    let place = Place::new(yaml);
    let doctor = place.run(true, "doctor").text();
    assert!(doctor.contains("P2: E1 is replaced in `env` of the project; Meltano passes"));
    assert!(!doctor.contains("L1"), "{doctor}");
}

#[test]
fn a_mapping_has_settings_of_its_own() {
    let yaml = "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP}]
  mappers:
  - name: map-m
    namespace: map_m
    executable: ./map
    config: {base: 1, key_one: base}
    settings: [{name: key_one, value: usual}]
    mappings: [{name: first, config: {key_one: a}}, {name: second, config: {n: {y: 2}}}]
  - {name: map-n, inherit_from: map-m, mappings: [{name: third, config: {n: {y: 2}}}]}
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
";
    for mapping in ["first", "second", "third"] {
        let [theirs, ours] = both(yaml, &format!("run tap-m {mapping} target-m"));
        assert_eq!(theirs["map"]["config"], ours["map"]["config"], "{mapping}");
        let of = |name: &str| name.starts_with("MAP_M_") && !name.ends_with("LOG_PARSER");
        assert_eq!(variables(&theirs["map"], of), variables(&ours["map"], of), "{mapping}");
    }
    let told = Place::new(yaml).run(true, "run tap-m second target-m").success().stderr;
    assert!(told.contains("its `config` has no effect in its mapping second"), "{told}");
}

#[test]
fn a_plugin_called_meltano_takes_no_variables_away() {
    let yaml = "environments: [{name: dev, env: {AWS_REGION: x}}]
plugins:
  extractors: [{name: tap-m, @TAP}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
  utilities:
  - {name: meltano, namespace: meltano, executable: ./tool}
  - {name: aws, namespace: aws, executable: ./tool}
";
    let [theirs, ours] = both(yaml, "run tap-m target-m");
    let of = |name: &str| {
        let start = ["MELTANO_EXTRACT", "MELTANO_LOAD", "MELTANO_PROJECT_", "MELTANO_ENV", "AWS_"];
        let is_runners = name.ends_with("__LOG_PARSER") || name.ends_with("USE_CACHED_CATALOG");
        start.iter().any(|start| name.starts_with(start))
            && !is_runners
            && name != "MELTANO_PROJECT_READONLY"
    };
    assert_eq!(variables(&theirs["target"], of), variables(&ours["target"], of));
}

#[test]
fn words_behind_a_plugin_are_the_plugins() {
    let yaml = "environments: [{name: dev}]
plugins:
  utilities: [{name: tool, namespace: tool_space, executable: ./tool}]
";
    for words in ["--help", "run -h --log-level debug", "-e x --dump config --project y"] {
        let [theirs, ours] = both(yaml, &format!("invoke tool {words}"));
        assert_eq!(theirs["tool"]["words"], ours["tool"]["words"], "{words}");
    }
}

#[test]
fn variables_in_env_of_a_schedule_stand_for_flags() {
    let yaml = "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
jobs: [{name: j, tasks: [tap-m target-m]}]
schedules:
- {name: full, interval: '@daily', job: j, env: {MELTANO_RUN_FULL_REFRESH: 'true'}}
- {name: named, interval: '@daily', job: j, env: {MELTANO_RUN_STATE_ID_SUFFIX: other}}
";
    let [theirs, ours] = [false, true].map(|by_chorus| {
        let place = Place::new(yaml);
        place.run(by_chorus, "run j").success();
        place.calls();
        let states = ["full", "named", "full"].map(|name| {
            place.run(by_chorus, &format!("schedule run {name}")).success();
            place.calls()["tap"]["state"].clone()
        });
        (states, place.run(by_chorus, "state list").success().text().trim().to_owned())
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs.0[0], Value::Null);
}

#[test]
fn states_are_merged_and_kept_as_by_meltano() {
    let yaml = "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP}]
  loaders: [{name: target-e, namespace: target_e, executable: ./target-empty}]
";
    let id = "dev:tap-m-to-target-e";
    let given = r#"{"singer_state":{"bookmarks":{"s1":{"v":5},"sx":{"v":7}}}}"#;
    let more = r#"{"singer_state":{"bookmarks":{"s1":{"k":1},"s2":{"v":[1]}}}}"#;
    let read = |place: &Place, by_chorus: bool| -> Value {
        let text = place.run(by_chorus, &format!("state get {id}")).success().text();
        serde_json::from_str(text.trim()).unwrap()
    };
    let [theirs, ours] = [false, true].map(|by_chorus| {
        let place = Place::new(yaml);
        place.run(by_chorus, &format!("state set --force {id} {given}")).success();
        place.run(by_chorus, "run tap-m target-e").success();
        let kept = read(&place, by_chorus);
        place.run(by_chorus, &format!("state merge {id} {more}")).success();
        [kept, read(&place, by_chorus)]
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs[0], serde_json::from_str::<Value>(given).unwrap());
}

#[test]
fn settings_have_the_values_of_meltano() {
    let yaml = "environments:
- name: dev
  config: {plugins: {extractors: [{name: tap-m, config: {st1: false}}]}}
plugins:
  extractors:
  - name: tap-m
    namespace: tap_m
    executable: ./tap
    capabilities: [discover, catalog, state]
    settings:
    - {name: st1, kind: string}
    - {name: st2, kind: string, value: false}
    - {name: op1, kind: options, options: [{label: a, value: true}, {label: b, value: b}]}
    config: {st1: true, op1: true, l: [$UNDEF, b]}
  - name: tap-o
    namespace: tap_o
    settings: [{name: opt, kind: options, options: [{label: a, value: a}], value: b}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
";
    let [theirs, ours] = both(yaml, "run tap-m target-m");
    assert_eq!(theirs["tap"]["config"], ours["tap"]["config"]);
    let of = |name: &str| name.starts_with("TAP_M_") && !name.starts_with("TAP_M__");
    assert_eq!(variables(&theirs["tap"], of), variables(&ours["tap"], of));
    let place = Place::new(yaml);
    let print = |by_chorus: bool, line: &str| -> Value {
        serde_json::from_str(&place.run(by_chorus, line).success().text()).unwrap()
    };
    // The default environment does not count for `config`.
    for line in ["config print tap-m", "--environment dev config print tap-m"] {
        assert_eq!(print(false, line), print(true, line), "{line}");
    }
    let line = "config print tap-o";
    for (yaml, words) in
        [(yaml.to_owned(), "it is one of: a"), (yaml.replace("kind: string", "kind: text"), "kind")]
    {
        let place = Place::new(&yaml);
        let line = if words == "kind" { "config print tap-m" } else { line };
        assert_ne!(place.run(false, line).code, 0);
        let told = place.run(true, line).exits(78).stderr;
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn a_project_without_an_id_has_the_one_that_meltano_made_up() {
    let place = Place::new(
        "environments: [{name: dev}]
plugins:
  utilities: [{name: tool, namespace: tool_space, executable: ./tool}]
",
    );
    let path = place.root.join("meltano.yml");
    let text = fs::read_to_string(&path).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("project_id")).collect();
    fs::write(path, text.join("\n")).unwrap();
    let [theirs, ours] = [false, true].map(|by_chorus| {
        place.run(by_chorus, "invoke tool").success();
        variables(&place.calls()["tool"], |name| name == "MELTANO_PROJECT_ID")
    });
    assert_eq!(theirs, ours);
    assert_eq!(theirs.len(), 1);
}

#[test]
fn a_catalog_of_another_form_is_refused() {
    let yaml = "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP, catalog: odd.json}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
";
    let place = Place::new(yaml);
    for odd in ["[]", r#"{"streams": [5]}"#, r#"{"streams": [{"metadata": [5]}]}"#] {
        file(&place.root, "odd.json", odd);
        for line in ["run tap-m target-m", "plan tap-m target-m", "select tap-m --list"] {
            let told = place.run(true, line).exits(76).stderr;
            assert!(told.contains("cannot use the catalog of the tap"), "{told}");
        }
    }
}

#[test]
fn variables_of_single_rules_count_and_those_of_an_environment_move_no_states() {
    let yaml = "environments:
- {name: dev, state_id_suffix: 5, env: {MELTANO_STATE_BACKEND_URI: 'file://other', SHOWN: x}}
env: {TAP_M__METADATA_S2_ROW_COUNT: '7'}
state_backend.lock_retry_seconds: 2
plugins:
  extractors:
  - {name: tap-m, @TAP, metadata: {s1: {replication-key: id, selected: false}, s2: {row-count: 3}}}
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
";
    let words = "TAP_M__METADATA_S1_REPLICATION_KEY=r TAP_M__METADATA_S1_SELECTED=true";
    let [theirs, ours] = [false, true].map(|by_chorus| {
        // Meltano does not take a number for a suffix.
        let yaml =
            if by_chorus { yaml.to_owned() } else { yaml.replace("suffix: 5", "suffix: '5'") };
        let place = Place::new(&yaml);
        file(&place.root, ".env", words.replace(' ', "\n"));
        let told = place.run(by_chorus, "run tap-m target-m").success().stderr;
        assert!(!told.contains("lock_retry_seconds"), "{told}");
        assert!(!by_chorus || told.contains("MELTANO_STATE_BACKEND_URI in `env`"), "{told}");
        let call = place.calls()["tap"].clone();
        let of = |name: &str| name.starts_with("TAP_M__METADATA");
        (call["catalog"].clone(), variables(&call, of), place.root.join("other").exists())
    });
    assert_eq!(theirs, ours);
}

#[test]
fn an_empty_select_reads_nothing() {
    let yaml = "environments: [{name: dev}]
plugins:
  extractors: [{name: tap-m, @TAP, select: []}]
  loaders: [{name: target-m, namespace: target_m, executable: ./target}]
";
    let place = Place::new(yaml);
    for line in ["run tap-m target-m", "plan tap-m target-m"] {
        let told = place.run(true, line).exits(78).stderr;
        assert!(told.contains("an empty `select` selects nothing"), "{told}");
    }
    place.run(true, "config set tap-m _select [\"s1.*\"]").success();
    place.run(true, "run tap-m target-m").success();
    place.run(true, "config unset tap-m _select").success();
    let place = Place::new(&yaml.replace(", select: []", ""));
    file(&place.root, ".env", "TAP_M__SELECT=[]");
    place.run(true, "run tap-m target-m").exits(78);
}
