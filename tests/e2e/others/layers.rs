//! Settings, catalogs and variables of plugins: `chorus` gives what Meltano gives.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::python::MELTANO;
use support::run::{Run, file, ours};
use support::{binaries_dir, folder};

const PROJECT: &str = include_str!("../../layers/meltano.yml");
const TAP: &str = include_str!("../../layers/tap-lock--v.lock");
const TARGET: &str = include_str!("../../layers/target-lock--v.lock");
const RECORDER: &str = include_str!("../../layers/record.py");
const PLUGINS: [&str; 5] = ["tap-lock", "target-lock", "tap-parent", "tap-child", "target-two"];
const DOTENV: &str = "PW=se$cret\nDOTV=dotenv\nTAP_LOCK_ARR=[\"a\",\"b\"]\nTAP_LOCK_N=7\n\
                      TAP_LOCK_SZO={\"a\": {\"b\": null}}\n";
const SHELL: [(&str, &str); 5] = [
    ("SHELLV", "shell"),
    ("EMPTYV", ""),
    ("UNREAD", "unread"),
    ("TAP_CHILD_ONLY", "5"),
    ("TAP_PARENT_P1", "viaparent"),
];

/// Why a value differs from Meltano's.
const SHELL_WINS: &str = "the shell and .env win over `env`";
const SAME_BLOCK: &str = "a variable in an `env` block is replaced";
const AS_WRITTEN: &str = "a number for a text, and a time, stay as they are written";
const SECRET: &str = "no plugin gets secrets of another one, or variables named after it";

/// What differs, and why: a plugin, `config` or `environment`, and names with one `*`.
const ON_PURPOSE: [(&str, &str, &str, &str); 15] = [
    ("tap-lock", "config", "shellv", SHELL_WINS),
    ("*", "environment", "*_SHELLV", SHELL_WINS),
    ("*", "environment", "SHELLV", SHELL_WINS),
    ("*", "environment", "DOTV", SHELL_WINS),
    ("tap-lock", "config", "mixed", SAME_BLOCK),
    ("*", "environment", "*_MIXED", SAME_BLOCK),
    ("*", "environment", "P2", SAME_BLOCK),
    ("tap-lock", "environment", "E2", SAME_BLOCK),
    ("tap-lock", "environment", "PL", SAME_BLOCK),
    ("tap-lock", "config", "ts", AS_WRITTEN),
    ("tap-lock", "config", "txt", AS_WRITTEN),
    ("*", "environment", "*_TS", AS_WRITTEN),
    ("*", "environment", "*_TXT", AS_WRITTEN),
    ("target-lock", "environment", "*_PASSWORD", SECRET),
    ("target-lock", "environment", "LOCK_SECRET", SECRET),
];

/// What Meltano says of itself, and what only one of the two needs.
const OF_RUNNERS: [&str; 25] = [
    "MELTANO_AUTO_INSTALL",
    "MELTANO_CLI_*",
    "MELTANO_DATABASE_*",
    "MELTANO_DEFAULT_ENVIRONMENT",
    "MELTANO_ELT_BUFFER_SIZE",
    "MELTANO_EXPERIMENTAL",
    "MELTANO_FF_*",
    "MELTANO_HUB_URL",
    "MELTANO_JOB_TRIGGER",
    "MELTANO_PARENT_CONTEXT_UUID",
    "MELTANO_PROJECT_READONLY",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS",
    "MELTANO_SNOWPLOW_COLLECTOR_ENDPOINTS",
    "MELTANO_STATE_BACKEND_*",
    "MELTANO_SYS_DIR_ROOT",
    "MELTANO_USER_AGENT",
    "MELTANO_VENV_BACKEND",
    "*__LOG_PARSER",
    "*__USE_CACHED_CATALOG",
    "METRICS_*",
    "PYTHONWARNINGS",
    "LOGGING_CONF_FILE",
    "SINGER_SDK_LOG_CONFIG",
    "PATH",
    "RECORDS",
];

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => pattern == name,
    }
}

/// Makes a project whose plugins write down what they are given.
fn project(root: &Path, yaml: &str, dotenv: &str) {
    file(root, "meltano.yml", yaml);
    file(root, ".env", dotenv);
    file(root, "plugins/extractors/tap-lock--v.lock", TAP);
    file(root, "plugins/loaders/target-lock--v.lock", TARGET);
    let python = MELTANO.path("python");
    let recorder = file(root, "bin/record.py", format!("#!{}\n{RECORDER}", python.display()));
    fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755)).unwrap();
    for plugin in PLUGINS {
        symlink("record.py", root.join("bin").join(plugin)).unwrap();
    }
}

type Records = BTreeMap<String, Value>;

fn records(folder: &Path) -> Records {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

fn around(run: Run, root: &Path, records: &Path, programs: &Path) -> Run {
    fs::create_dir_all(records).unwrap();
    let path = format!("{}:{}:/usr/bin:/bin", root.join("bin").display(), programs.display());
    let run = run
        .env("PATH", path)
        .env("RECORDS", records)
        .env("HOME", root)
        .patience(Duration::from_mins(10));
    SHELL.iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// Runs pipelines by both, and returns what the plugins were given: by Meltano, by `chorus`.
fn run(root: &Path, pipelines: &[[&str; 2]]) -> (Records, Records) {
    let [by_meltano, by_chorus] = ["meltano", "chorus"].map(|name| root.join("records").join(name));
    let meltano = Run::new(&MELTANO.path("meltano")).args(["--cwd"]).args([root]);
    let meltano = meltano.args(["run"]).args(pipelines.concat());
    around(meltano, root, &by_meltano, &MELTANO.programs())
        .env("MELTANO_SEND_ANONYMOUS_USAGE_STATS", "false")
        .env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
        .go()
        .success();
    for pipeline in pipelines {
        let chorus = ours("chorus").args(["--project"]).args([root]).args(["run"]).args(pipeline);
        around(chorus, root, &by_chorus, &binaries_dir()).go().success();
    }
    (records(&by_meltano), records(&by_chorus))
}

/// Returns what differs in a part of what a plugin was given.
fn differences(theirs: &Value, ours: &Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let [theirs, ours] = [theirs, ours].map(|part| part.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = theirs.keys().chain(ours.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&String| theirs.get(*name) != ours.get(*name);
    names.into_iter().filter(differs).cloned().collect()
}

#[test]
fn plugins_are_given_what_meltano_gives_them() {
    let scratch = folder();
    let root = scratch.path();
    project(root, PROJECT, DOTENV);
    let (theirs, ours) = run(root, &[["tap-lock", "target-lock"], ["tap-child", "target-two"]]);
    let mut unexpected = String::new();
    let mut seen = vec![false; ON_PURPOSE.len()];
    for (plugin, theirs) in &theirs {
        let ours = &ours[plugin];
        assert_eq!(theirs["flags"], ours["flags"], "{plugin}");
        assert_eq!(theirs["catalog"], ours["catalog"], "{plugin}");
        for part in ["config", "environment"] {
            let names = differences(&theirs[part], &ours[part]);
            let of_runner =
                |name: &str| name == "_" || OF_RUNNERS.iter().any(|pattern| fits(pattern, name));
            for name in names.iter().filter(|name| part == "config" || !of_runner(name)) {
                // A time that is told from now on is another one a moment later.
                let [time, other] = [&theirs[part][name], &ours[part][name]];
                let days = [time, other].map(|time| time.as_str().map(|text| text.get(..10)));
                if name == "start" && days[0] == days[1] {
                    continue;
                }
                let is_of_others = ours[part][name].is_null()
                    && PLUGINS.iter().any(|other| {
                        name.starts_with(&(other.to_uppercase().replace('-', "_") + "_"))
                    });
                let at = ON_PURPOSE.iter().position(|(of, place, pattern, _)| {
                    fits(of, plugin) && *place == part && fits(pattern, name)
                });
                if let Some(at) = at {
                    seen[at] = true;
                } else if !(part == "environment" && (is_of_others || name == "PW")) {
                    writeln!(unexpected, "{plugin} {part} {name}: {time} {other}").unwrap();
                }
            }
        }
    }
    assert_eq!(unexpected, "", "Meltano has the first value, chorus the second");
    let unseen: Vec<_> = ON_PURPOSE.iter().zip(&seen).filter(|(_, seen)| !**seen).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    // Of itself, each plugin was given all of it.
    assert_eq!(ours["tap-lock"]["environment"]["LOCK_SECRET"], "se$cret");
    assert_eq!(ours["target-lock"]["environment"]["MELTANO_EXTRACT__LOAD_SCHEMA"], "ls_tap_lockns");
    assert_eq!(ours["tap-lock"]["config"]["unset"], Value::Null);
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn is(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// Returns a value of a kind for the file.
    fn value(&mut self, kind: &str, layer: usize) -> Value {
        let number = self.roll(1000);
        if self.is(10) {
            return Value::Null;
        }
        match kind {
            "integer" if self.is(50) => json!(number.to_string()),
            "integer" => json!(number),
            "boolean" => json!(["true", "no", "On", "0"][usize::try_from(number % 4).unwrap()]),
            "array" if self.is(30) => json!(format!("[{number}, null, {{\"a.b\": 1}}]")),
            "array" => json!([number, null, "x"]),
            "object" => {
                let names = ["a", "b", "c"];
                let mut members = serde_json::Map::new();
                for name in names.iter().filter(|_| self.is(60)) {
                    members.insert((*name).to_owned(), json!({"of": layer, "n": number}));
                }
                // Meltano ends at a null of a member that the plugin above does not have.
                let is_null = layer == 0 && self.is(30);
                members.insert("d".to_owned(), if is_null { Value::Null } else { json!(layer) });
                Value::Object(members)
            }
            _ if self.is(20) => json!(format!("a-${{SHELLV}}-{number}")),
            _ if self.is(10) => json!(""),
            _ => json!(format!("text {number}")),
        }
    }

    /// Returns the text of a kind for a variable.
    fn text(&mut self, kind: &str) -> String {
        let number = self.roll(1000);
        match kind {
            "boolean" => {
                ["TRUE", "off", "1", "no"][usize::try_from(number % 4).unwrap()].to_owned()
            }
            "array" => format!("[\"v\", {number}]"),
            "object" => format!("{{\"a\": {{\"of\": {number}}}, \"e\": null}}"),
            _ => number.to_string(),
        }
    }
}

/// Makes a project of settings, each in layers that the dice choose; returns it and its `.env`.
fn random_project(dice: &mut Dice, count: usize) -> (String, String) {
    let kinds = ["string", "integer", "boolean", "array", "object", ""];
    let mut blocks: [serde_json::Map<String, Value>; 6] = Default::default();
    let (mut declared, mut dotenv) = (Vec::new(), String::from("PW=se$cret\n"));
    for number in 0..count {
        let kind = kinds[usize::try_from(dice.roll(kinds.len() as u64)).unwrap()];
        let name = format!("s{number}");
        let mut setting = json!({"name": name});
        if !kind.is_empty() {
            setting["kind"] = json!(kind);
        }
        if dice.is(40) {
            setting["value"] = dice.value(kind, 9);
        }
        declared.push(setting);
        // The parent, it in the environment, the child, it in the environment.
        for (layer, block) in blocks.iter_mut().take(4).enumerate() {
            // Of members that only the environment of the plugin above has, Meltano loses some.
            if dice.is(35) && !(layer == 1 && kind == "object") {
                block.insert(name.clone(), dice.value(kind, layer));
            }
        }
        let variable = format!("{}_S{number}", ["TAP_CHILD", "TAP_PARENT"][number % 2]);
        match dice.roll(12) {
            0 => writeln!(dotenv, "{variable}='{}'", dice.text(kind)).unwrap(),
            1 => drop(blocks[4].insert(variable, json!(dice.text(kind)))),
            2 => drop(blocks[5].insert(variable, json!(dice.text(kind)))),
            _ => {}
        }
    }
    let [parent, parent_there, child, child_there, env, env_there] = blocks;
    let there = json!([
        {"name": "tap-parent", "config": parent_there},
        {"name": "tap-child", "config": child_there, "env": env_there},
    ]);
    let taps = json!([
        {"name": "tap-parent", "namespace": "tap_parent", "executable": "./bin/tap-parent",
         "capabilities": ["catalog", "discover"], "settings": declared, "config": parent},
        {"name": "tap-child", "inherit_from": "tap-parent", "executable": "./bin/tap-child",
         "config": child},
    ]);
    let target =
        json!({"name": "target-two", "namespace": "target_two", "executable": "./bin/target-two"});
    let yaml = json!({
        "default_environment": "dev",
        "project_id": "6f3a1c5e-0000-0000-0000-000000000001",
        "env": env,
        "environments": [{"name": "dev", "config": {"plugins": {"extractors": there}}}],
        "plugins": {"extractors": taps, "loaders": [target]},
    });
    (yaml.to_string(), dotenv)
}

#[test]
fn settings_in_any_layers_have_the_values_of_meltano() {
    let seed =
        std::env::var("SEED").map_or_else(|_| std::process::id(), |text| text.parse().unwrap());
    let (yaml, dotenv) = random_project(&mut Dice(seed.into()), 150);
    let scratch = folder();
    project(scratch.path(), &yaml, &dotenv);
    let (theirs, ours) = run(scratch.path(), &[["tap-child", "target-two"]]);
    let [theirs, ours] = [&theirs, &ours].map(|records| &records["tap-child"]["config"]);
    let differing = differences(theirs, ours);
    let show = |name: &String| format!("{name}: {} {}\n", theirs[name], ours[name]);
    let shown: String = differing.iter().map(show).collect();
    assert!(differing.is_empty(), "seed {seed}: Meltano has the first\n{shown}{yaml}\n{dotenv}");
    assert!(theirs.as_object().unwrap().len() > 50, "{theirs}");
}
