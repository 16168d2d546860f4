//! `chorus install`: environments for Python where Meltano has them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use support::folder;
use support::python::{MELTANO, installer};
use support::run::{Outcome, Run, file, ours};

/// A build backend that needs no other package.
const BACKEND: &str = r#"
import os, zipfile
NAME, INFO = "tap_tiny-1.0-py3-none-any.whl", "tap_tiny-1.0.dist-info/"
FILES = {
    INFO + "METADATA": "Metadata-Version: 2.1\nName: tap-tiny\nVersion: 1.0\n"
                       "Provides-Extra: more\n",
    INFO + "WHEEL": "Wheel-Version: 1.0\nGenerator: own\nRoot-Is-Purelib: true\n"
                    "Tag: py3-none-any\n",
    INFO + "entry_points.txt": "[console_scripts]\ntap-tiny = tap_tiny:main\n",
}
def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {"tap_tiny.py": open("tap_tiny.py").read(), **FILES}
    record = "".join(name + ",,\n" for name in [*files, INFO + "RECORD"])
    with zipfile.ZipFile(os.path.join(folder, NAME), "w") as wheel:
        for name, text in {**files, INFO + "RECORD": record}.items():
            wheel.writestr(name, text)
    return NAME
"#;

const TAP: &str = r#"
import json, sys
def main():
    if "--version" in sys.argv:
        return print("tap-tiny 1.0")
    streams = [{"tap_stream_id": "a", "stream": "a", "schema": {"properties": {}}, "metadata": []}]
    if "--discover" in sys.argv:
        return print(json.dumps({"streams": streams}))
    print(json.dumps({"type": "SCHEMA", "stream": "a", "schema": {"properties": {}},
                      "key_properties": []}))
"#;

const PROJECT: &str = "
default_environment: dev
send_anonymous_usage_stats: false
project_id: 6f3a1c5e-0000-0000-0000-000000000002
environments:
- name: dev
plugins:
  extractors:
  - name: tap-tiny
    namespace: tap_tiny
    pip_url: ./${WHERE}[more]
    capabilities: [catalog, discover]
  - name: tap-tiny--two
    inherit_from: tap-tiny
  - name: tap-csv
    namespace: tap_csv
  loaders:
  - {name: sink, namespace: sink, executable: ./sink}
  utilities:
  - name: tool
    namespace: tool
    pip_url: \"'./tap tiny'\"
    executable: tap-tiny
    commands: {version: --version}
";

struct Tiny {
    root: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Tiny {
    fn new() -> Self {
        let scratch = folder();
        let root = scratch.path().join("project");
        file(&root, "meltano.yml", PROJECT);
        file(&root, ".env", "WHERE=tiny\n");
        let sink = file(&root, "sink", "#!/bin/sh\ncat > /dev/null\n");
        fs::set_permissions(sink, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["tiny", "tap tiny"] {
            file(&root, &format!("{name}/backend.py"), BACKEND);
            file(&root, &format!("{name}/tap_tiny.py"), TAP);
            let system = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\n\
                          backend-path = [\".\"]\n[project]\nname = \"tap-tiny\"\n\
                          version = \"1.0\"\n[project.optional-dependencies]\nmore = []\n";
            file(&root, &format!("{name}/pyproject.toml"), system);
        }
        Self { root, _scratch: scratch }
    }

    fn chorus(&self, args: &[&str], installer: &str) -> Run {
        let path = format!("{installer}:/usr/bin:/bin");
        let run = ours("chorus").env("PATH", path).env("HOME", &self.root);
        run.args(["--project"]).args([&self.root]).args(args)
    }

    fn meltano(&self, args: &[&str]) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", MELTANO.programs().display());
        MELTANO
            .program("meltano")
            .env("PATH", path)
            .env("HOME", &self.root)
            .args(["--cwd"])
            .args([&self.root])
            .args(args)
            .go()
    }

    fn venv(&self) -> PathBuf {
        self.root.join(".meltano/extractors/tap-tiny/venv")
    }

    /// What the folder of the plugin has.
    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.venv().parent().unwrap()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// The folder of a Python with its modules, and without uv.
fn python() -> String {
    let text = "import os, sys; print(os.path.dirname(os.path.realpath(sys.executable)))";
    let output = Command::new("python3").args(["-c", text]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn plugins_are_installed_once_by_uv_or_by_pip() {
    for installer in [installer().display().to_string(), python()] {
        let tiny = Tiny::new();
        let done = tiny.chorus(&["install"], &installer).go().success().text();
        assert_eq!(done.matches(" installed ").count(), 2, "{done}");
        assert!(!done.contains("--two") && !done.contains("tap-csv"), "{done}");
        let version = tiny.chorus(&["invoke", "tool:version"], &installer).go().success();
        assert_eq!(version.text(), "tap-tiny 1.0\n");
        let catalog = tiny.chorus(&["invoke", "tap-tiny--two", "--discover"], &installer).go();
        let catalog: Value = serde_json::from_str(&catalog.success().text()).unwrap();
        assert_eq!(catalog["streams"][0]["stream"], "a");
        let again = tiny.chorus(&["install", "tap-tiny"], &installer).go().success().text();
        assert!(again.contains("up to date") && !again.contains("tool"), "{again}");

        // What fails leaves what was there, and nothing half made.
        let before = tiny.entries();
        assert_eq!(before.len(), 2, "{before:?}");
        file(&tiny.root, ".env", "WHERE=gone\n");
        let failed = tiny.chorus(&["install", "tap-tiny"], &installer).go().exits(69);
        let says = |words: &str| assert!(failed.stderr.contains(words), "{}", failed.stderr);
        says("cannot install the plugin");
        says("plugin: tap-tiny");
        says("/gone");
        assert_eq!(tiny.entries(), before);
        assert!(tiny.venv().join("bin/tap-tiny").is_file());
        file(&tiny.root, ".env", "WHERE=tiny\n");
        let clean = ["install", "tap-tiny", "--clean"];
        tiny.chorus(&clean, &installer).go().success();
        let after = tiny.entries();
        assert!(after.len() == 2 && after != before, "{after:?}");
        let none = tiny.chorus(&["install", "tap-csv"], &installer).go().exits(78);
        assert!(none.stderr.contains("without `pip_url`"), "{}", none.stderr);
    }
}

#[test]
fn meltano_finds_what_chorus_has_installed_and_the_other_way_round() {
    let tiny = Tiny::new();
    let installer = installer().display().to_string();
    tiny.chorus(&["install"], &installer).go().success();
    let link = fs::read_link(tiny.venv()).unwrap();
    // Meltano installs by itself what it does not find.
    let ran = tiny.meltano(&["invoke", "tap-tiny", "--version"]).success();
    assert_eq!(ran.text(), "tap-tiny 1.0\n");
    assert!(!ran.stderr.contains("Installing"), "{}", ran.stderr);
    assert_eq!(fs::read_link(tiny.venv()).unwrap(), link);

    fs::remove_dir_all(tiny.root.join(".meltano")).unwrap();
    tiny.meltano(&["install"]).success();
    let done = tiny.chorus(&["install"], &installer).go().success().text();
    assert_eq!(done.matches("up to date").count(), 2, "{done}");
    // One that Meltano has made is replaced, too.
    tiny.chorus(&["install", "--clean"], &installer).go().success();
    assert!(fs::read_link(tiny.venv()).is_ok());
    tiny.meltano(&["install", "tap-tiny"]).success();
    let version = tiny.chorus(&["invoke", "tap-tiny", "--version"], &installer).go().success();
    assert_eq!(version.text(), "tap-tiny 1.0\n");
}

#[test]
fn a_run_installs_the_programs_that_it_does_not_find() {
    let tiny = Tiny::new();
    let installer = installer().display().to_string();
    let run = |flags: &[&str]| {
        let words = [&["run", "tap-tiny--two", "sink", "--retries", "0"], flags].concat();
        tiny.chorus(&words, &installer)
    };
    let none = run(&["--no-install"]).go().exits(78);
    assert!(none.stderr.contains("cannot start the plugin"), "{}", none.stderr);
    run(&[]).env("MELTANO_AUTO_INSTALL", "false").go().exits(78);
    run(&["--dry-run"]).go().exits(78);
    assert!(!tiny.venv().exists());
    let ran = run(&[]).go().success();
    assert!(ran.stderr.contains("installed tap-tiny in"), "{}", ran.stderr);
    let again = run(&["--install"]).go().success();
    assert!(!again.stderr.contains("installed tap-tiny"), "{}", again.stderr);
    fs::remove_dir_all(tiny.root.join(".meltano")).unwrap();
    let only = run(&["--only-install"]).go().success();
    assert!(only.text().is_empty() && tiny.venv().join("bin/tap-tiny").is_file());
    // Meltano runs the same project, and installs nothing anew.
    let ran = tiny.meltano(&["run", "tap-tiny--two", "sink"]).success();
    assert!(!ran.stderr.contains("Installing"), "{}", ran.stderr);
}
