//! What taps and mappings of other authors are given is what Meltano gives them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use support::python::MELTANO;
use support::run::{Run, file, ours};
use support::{binaries_dir, folder};

const PROJECT: &str = "
default_environment: dev
send_anonymous_usage_stats: false
project_id: 6f3a1c5e-0000-0000-0000-000000000003
database_max_retries: 7
environments:
- name: dev
  config: {plugins: {loaders: [{name: target-x, config: {only_here: 1}}]}}
plugins:
  extractors:
  - name: tap-about
    namespace: tap_about
    executable: ./tap
    capabilities: [discover, catalog, state, about]
  - name: tap-plain
    namespace: tap_plain
    executable: ./tap
    capabilities: [discover, catalog, state]
  - name: tap-keys
    namespace: tap_keys
    executable: ./tap
    capabilities: [discover, catalog, state]
    metadata:
      s: {key-properties: [b], is-view: true, table-name: u, replication-method: FULL_TABLE}
    settings:
    - {name: n, kind: integer, value: 5, env: MY_N}
    - {name: o, kind: object}
    - {name: b, value: false}
    config: {l: [a, b], o: {s: {u: 1}}}
  - name: tap-inside
    namespace: tap_inside
    executable: ./tap
    capabilities: [discover, catalog, state]
    config: {metadata: {s: {replication-key: b, is-view: true, row-count: 3}}}
  - {name: tap-keys--two, inherit_from: tap-keys, config: {n: 6}}
  - name: tap-extras
    namespace: tap_extras
    executable: ./tap
    capabilities: [discover, catalog, state]
    config:
      _select: [s.*]
      _metadata: {s: {replication-method: FULL_TABLE}}
      _metadata.s.replication-key: id
      _load_schema: there
  - name: tap-given
    namespace: tap_given
    executable: ./tap
    capabilities: [discover, catalog, state]
    catalog: given.json
    select_filter: ['!s1']
  - {name: tap-none, namespace: tap_none, executable: ./tap-none}
  mappers:
  - name: map-a
    namespace: map_a
    executable: ./map
    settings: [{name: code_path}, {name: level, value: info}]
    mappings: [{name: clean, config: {code_path: x.py}}]
  utilities:
  - name: tool
    namespace: tool_space
    executable: ./tap
    settings: [{name: host}, {name: core.flag, value: false}, {name: port, kind: integer, value: 1}]
  loaders:
  - name: target-x
    namespace: target_x
    executable: ./target
    target_schema: some_$MELTANO_LOADER_NAMESPACE
    config:
      a: $MELTANO_MAP_CODE_PATH
      b: $MAP_A_CODE_PATH-$MAP_A_LEVEL
      c: $MAP_A__MAPPING_NAME
      d: $MELTANO_LOAD__TARGET_SCHEMA
      e: $MELTANO_SYS_DIR_ROOT
      f: $MELTANO_DATABASE_MAX_RETRIES/$MELTANO_STATE_BACKEND_URI/$MELTANO_HUB_URL
  - {name: target-y, inherit_from: target-x}
  - name: target-list
    namespace: t
    executable: ./target
    settings: [{name: v, kind: array}]
    config: {v: x}
";

/// A tap that notes its flags.
const TAP: &str = r#"
for word in "$@"; do case "$word" in --*) printf '%s ' "$word" >> calls;; esac; done
echo >> calls
for last in "$@"; do :; done
case "$*" in *--catalog*) cp "$4" catalog.json;; esac
case "$*" in *--discover*)
    echo '{"streams":[{"tap_stream_id":"s","stream":"s","schema":{"properties":{}},"metadata":[]}]}'
    exit;;
esac
echo '{"type":"SCHEMA","stream":"s","schema":{"properties":{}},"key_properties":[]}'
echo '{"type":"STATE","value":{"bookmarks":{"s":{"v":1}}}}'
"#;

/// A tap that knows no flag but one.
const NONE: &str = r#"
[ $# = 2 ] || { echo "unrecognized arguments" >&2; exit 2; }
echo "$1" >> calls
echo '{"type":"SCHEMA","stream":"s","schema":{"properties":{}},"key_properties":[]}'
echo '{"type":"STATE","value":{"bookmarks":{"s":{"v":1}}}}'
"#;

/// A target that keeps its settings.
const TARGET: &str = r#"
cp "$2" settings.json
env | grep ^MAP_A | grep -v LOG_PARSER | sort > variables || true
while read -r line; do case "$line" in *STATE*) echo '{"bookmarks":{"s":{"v":1}}}';; esac; done
"#;

const GIVEN: &str = r#"{"streams": [
    {"tap_stream_id": "s1", "stream": "s1", "schema": {"properties": {}}},
    {"tap_stream_id": "s", "stream": "s", "schema": {"properties": {}}}]}"#;

struct Place {
    root: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = folder();
        let root = scratch.path().join("project");
        file(&root, "meltano.yml", PROJECT);
        file(&root, "given.json", GIVEN);
        let map = "exec cat\n";
        for (name, text) in [("tap", TAP), ("tap-none", NONE), ("map", map), ("target", TARGET)] {
            let path = file(&root, name, format!("#!/bin/sh\n{text}"));
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { root, _scratch: scratch }
    }

    fn run(&self, by_chorus: bool, words: &[&str]) -> Run {
        let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
        let run = if by_chorus { ours("chorus") } else { MELTANO.program("meltano") };
        let run = run.args(["--cwd"]).args([&self.root]).args(words).env("PATH", path);
        run.env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true").env("NO_COLOR", "1")
    }

    fn take(&self, name: &str) -> String {
        let path = self.root.join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.replace(&self.root.display().to_string(), "ROOT")
    }
}

#[test]
fn a_tap_is_given_what_its_capabilities_say() {
    for tap in ["tap-about", "tap-plain", "tap-none"] {
        let [meltano, chorus] = [false, true].map(|by_chorus| {
            // Each has states of its own.
            let place = Place::new();
            for _ in 0..2 {
                place.run(by_chorus, &["run", tap, "target-x"]).go().success();
            }
            let mut calls: Vec<String> =
                place.take("calls").lines().map(|line| line.trim().to_owned()).collect();
            // Meltano keeps the catalog of the first run.
            let last = calls.pop();
            calls.retain(|line| !line.contains("--discover"));
            (calls, last)
        });
        assert_eq!(meltano, chorus, "{tap}");
    }
    let place = Place::new();
    let told = place.run(true, &["run", "tap-none", "target-x"]).go().success();
    assert!(told.stderr.contains("W-NO-CAPABILITIES"), "{}", told.stderr);
    let doctor = place.run(true, &["doctor"]).go().text();
    assert!(doctor.contains("tap-none: it has no `capabilities`"), "{doctor}");
}

#[test]
fn mappings_and_settings_of_meltano_are_variables() {
    for words in [&["tap-plain", "clean", "target-x"][..], &["tap-plain", "clean", "target-y"]] {
        let words = [&["run"], words].concat();
        let [meltano, chorus] = [false, true].map(|by_chorus| {
            let place = Place::new();
            place.run(by_chorus, &words).go().success();
            let settings: serde_json::Value =
                serde_json::from_str(&place.take("settings.json")).unwrap();
            (settings, place.take("variables"))
        });
        assert_eq!(meltano, chorus);
        assert!(chorus.1.contains("MAP_A_CODE_PATH=x.py"), "{}", chorus.1);
    }
    let words = ["run", "tap-plain", "target-list"];
    assert_ne!(Place::new().run(false, &words).go().code, 0);
    let refused = Place::new().run(true, &words).go().exits(78);
    assert!(refused.stderr.contains("kind: array"), "{}", refused.stderr);
}

#[test]
fn a_connector_that_chorus_adds_is_run_by_meltano() {
    let place = Place::new();
    file(&place.root, "in.csv", "id\n1\n");
    let before = fs::read_to_string(place.root.join("meltano.yml")).unwrap();
    place.run(true, &["add", "tap-csv", "target-csv"]).go().success();
    place.run(true, &["add", "tap-csv--two", "--inherit-from", "tap-csv"]).go().success();
    place.run(true, &["add", "extractor", "tap-lake", "--as", "tap-days"]).go().success();
    let after = fs::read_to_string(place.root.join("meltano.yml")).unwrap();
    for line in before.lines() {
        assert!(after.contains(line), "{line}\n{after}");
    }
    for (words, code) in [
        (&["add", "tap-csv"][..], 64),
        (&["add", "loader", "tap-csv", "--as", "x"], 64),
        (&["add", "tap-github"], 78),
        (&["add", "tap-csv", "--as", "y", "--variant", "meltanolabs"], 78),
    ] {
        let refused = place.run(true, words).go().exits(code);
        assert!(refused.stderr.contains("hint:"), "{words:?}: {}", refused.stderr);
    }
    place.run(true, &["add", "tap-csv", "--update"]).go().success();
    for by_chorus in [false, true] {
        let run = place.run(by_chorus, &["run", "--full-refresh", "tap-csv--two", "target-csv"]);
        let run = run.env("TAP_CSV_FILES", r#"[{"entity": "a", "path": "in.csv"}]"#);
        run.env("TARGET_CSV_OUTPUT_PATH", "plain").go().success();
        assert_eq!(place.take("plain/a.csv"), "id\n1\n");
    }
}

#[test]
fn rules_in_config_and_beside_a_catalog_count() {
    for tap in ["tap-extras", "tap-given"] {
        let [meltano, chorus] = [false, true].map(|by_chorus| {
            let place = Place::new();
            place.run(by_chorus, &["run", tap, "target-x"]).go().success();
            let catalog: serde_json::Value =
                serde_json::from_str(&place.take("catalog.json")).unwrap();
            let streams = catalog["streams"].as_array().unwrap().iter().map(|stream| {
                let root = &stream["metadata"][0]["metadata"];
                (root["selected"].clone(), stream["replication_key"].clone())
            });
            let words = ["config", "print", tap];
            let config = place.run(by_chorus, &words).go().success().text();
            (streams.collect::<Vec<_>>(), config.split_whitespace().collect::<String>())
        });
        assert_eq!(meltano, chorus, "{tap}");
    }
}

#[test]
fn a_schedule_of_a_pair_keeps_its_state_under_its_name() {
    let place = Place::new();
    let schedules = "schedules:
- {name: nightly, extractor: tap-plain, loader: target-x, transform: skip, interval: '@daily'}
";
    file(&place.root, "meltano.yml", format!("{PROJECT}{schedules}"));
    place.run(false, &["schedule", "run", "nightly"]).go().success();
    place.take("calls");
    place.run(true, &["schedule", "run", "nightly"]).go().success();
    assert!(place.take("calls").contains("--state"));
    let ids = place.run(true, &["state", "list"]).go().success().text();
    assert_eq!(ids.trim(), "nightly");
    // A state of the pair is not that of the schedule, unless somebody says so.
    place.run(true, &["state", "move", "nightly", "dev:tap-plain-to-target-x"]).go().success();
    let told = place.run(true, &["schedule", "run", "nightly"]).go().success();
    assert!(told.stderr.contains("W-STATE-NEW-NAME"), "{}", told.stderr);
    assert!(!place.take("calls").contains("--state"));
}

#[test]
fn a_catalog_has_the_rules_of_a_stream_where_taps_look_for_them() {
    for (tap, key, expected) in [
        ("tap-keys", "key_properties", serde_json::json!(["b"])),
        ("tap-inside", "replication_key", serde_json::json!("b")),
    ] {
        let [meltano, chorus] = [false, true].map(|by_chorus| {
            let place = Place::new();
            place.run(by_chorus, &["run", tap, "target-x"]).go().success();
            let catalog = place.take("catalog.json");
            let mut catalog: serde_json::Value = serde_json::from_str(&catalog).unwrap();
            let mut stream = catalog["streams"][0].take();
            stream["metadata"] = serde_json::Value::Null;
            stream
        });
        assert_eq!(meltano, chorus, "{tap}");
        assert_eq!(chorus[key], expected, "{tap}");
    }
}

#[test]
fn settings_are_printed_as_meltano_prints_them() {
    let place = Place::new();
    for plugin in ["tap-keys", "tap-keys--two", "tool", "target-y"] {
        let words = ["config", "print", "--format", "env", plugin];
        let lines = |by_chorus: bool| {
            let text = place.run(by_chorus, &words).go().success().text();
            let lines = text.lines().filter(|line| !line.is_empty());
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(false), lines(true), "{plugin}");
        let words = ["config", "print", plugin];
        let json = |by_chorus: bool| -> serde_json::Value {
            let text = place.run(by_chorus, &words).go().success().text();
            serde_json::from_str(&text).unwrap()
        };
        let (mut meltano, mut chorus) = (json(false), json(true));
        for config in [&mut meltano, &mut chorus] {
            // The folder of the project.
            config.as_object_mut().unwrap().remove("e");
        }
        assert_eq!(meltano, chorus, "{plugin}");
    }
}

#[test]
fn settings_in_the_database_of_meltano_count() {
    let place = Place::new();
    for (plugin, setting, value) in [
        ("tap-keys", "n", "9"),
        ("tap-keys", "b", "true"),
        ("tap-keys", "o", r#"{"from": "the database"}"#),
        ("map-a", "level", "$HOME"),
    ] {
        let words = ["config", "set", "--store", "db", plugin, setting, value];
        place.run(false, &words).go().success();
    }
    for plugin in ["tap-keys", "tap-keys--two", "map-a"] {
        let json = |by_chorus: bool| -> serde_json::Value {
            let text = place.run(by_chorus, &["config", "print", plugin]).go().success().text();
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(json(false), json(true), "{plugin}");
    }
    let listed = place.run(true, &["config", "list", "tap-keys"]).go().success().text();
    assert!(
        listed.contains("n [env: TAP_KEYS_N] current value: 9 (from the system database)"),
        "{listed}"
    );
    let refused = place.run(true, &["config", "set", "--store", "db", "tap-keys", "n", "1"]);
    let refused = refused.go().exits(64);
    assert!(refused.stderr.contains("they are only read"), "{}", refused.stderr);
    let odd = "import sqlite3; c = sqlite3.connect('.meltano/meltano.db')
sql = \"UPDATE plugin_settings SET value = ? WHERE name = 'n'\"
c.execute(sql, (b'cos\\nsystem\\n.',)); c.commit()";
    let script = format!("cd '{}' && python3 -c \"$1\"", place.root.display());
    Run::new("/bin/sh".as_ref()).args(["-c", &script, "sh", odd]).go().success();
    let refused = place.run(true, &["config", "print", "tap-keys"]).go().exits(78);
    assert!(refused.stderr.contains("setting: n"), "{}", refused.stderr);
}
