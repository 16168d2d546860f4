//! A secret in every setting that may hold one: no output, file, process or core shows it (L01,
//! L03, L05, L09, L10). `Running::wait` looks at the output of every process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::project::tidy::CONNECTORS;
use support::cluster::{PASSWORD, cluster, database};
use support::faults::figure;
use support::folder;
use support::messages::Lines;
use support::pipes::{DAY, to_lake};
use support::project::Project;
use support::run::{Run, Running, file, ours};
use support::secrets::{CANARY, hidden};
use support::sshd::Sshd;
use support::web::{Reply, Web};

/// Finds the settings that are secrets, as pointers into a document of settings.
fn secrets(schema: &Value, at: &str, found: &mut Vec<String>) {
    if schema["secret"] == true {
        found.push(at.to_owned());
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        secrets(property, &format!("{at}/{name}"), found);
    }
    for branch in ["anyOf", "oneOf", "allOf"] {
        schema[branch].as_array().into_iter().flatten().for_each(|one| secrets(one, at, found));
    }
    if schema["items"].is_object() {
        secrets(&schema["items"], &format!("{at}/0"), found);
    }
    if schema["additionalProperties"].is_object() {
        secrets(&schema["additionalProperties"], &format!("{at}/X-Canary"), found);
    }
}

/// Puts a value at a pointer, with the objects above it.
fn put(settings: &Value, pointer: &str, value: &str) -> Value {
    let mut settings = settings.clone();
    let mut at = &mut settings;
    for name in pointer.split('/').skip(1) {
        at = match name.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[name],
        };
    }
    *at = value.into();
    settings
}

/// Texts that a secret may be, each with the canary: some fit their setting, most do not.
fn texts() -> Vec<String> {
    vec![
        CANARY.to_owned(),
        format!("{CANARY} \"'\\%41@:/\n{CANARY}"),
        format!("postgresql://u:{CANARY}@127.0.0.1:1/x?sslmode=require"),
        format!("postgresql://u:{CANARY}@[::1/x"),
        format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n"),
    ]
}

/// Asserts that no file of a folder has the canary, except for those that a test put there.
fn check_files(folder: &Path, given: &[&str]) -> usize {
    let mut looked_at = 0;
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap();
        if entry.file_type().is_file() && !given.contains(&name) {
            let bytes = fs::read(entry.path()).unwrap();
            hidden(&entry.path().display().to_string(), &String::from_utf8_lossy(&bytes));
            looked_at += 1;
        }
    }
    looked_at
}

/// A contract that needs a key.
const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
- name: t
  properties:
  - name: name
    customProperties: [{property: protect, value: hash}]
";

/// What each connector is given that it works with, but for the secrets.
fn working(name: &str, web: &Web, sshd: &Sshd, contract: &Path) -> Value {
    let mut settings = of_source(name, web, sshd, contract.parent().unwrap());
    settings["contracts"] = json!([contract]);
    settings["protect_key"] = "a-key-of-at-least-32-bytes-for-this".into();
    settings
}

fn of_source(name: &str, web: &Web, sshd: &Sshd, scratch: &Path) -> Value {
    match name {
        "tap-csv" => {
            let path = file(scratch, "t.csv", "id,name\n1,a\n");
            json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] })
        }
        "tap-lake" => {
            let lake = scratch.join("lake");
            to_lake(&lake, "s", DAY).input(Lines::whole(&[(1, "a")]).0).go().success();
            json!({ "output": lake, "datestamp": DAY })
        }
        "target-csv" => json!({ "output_path": scratch.join("out") }),
        "tap-api" => json!({
            "api_url": web.url, "streams": [{ "name": "t", "path": "items" }],
            "username": "tom", "client_id": "chorus",
            "access_token_url": format!("{}/token", web.url),
            "retry_wait_seconds": 0.01, "retry_wait_max_seconds": 0.02, "max_attempts": 2,
        }),
        "tap-sftp" => sshd.settings(&json!([{ "table_name": "t", "remote_path": "/in/a.csv" }])),
        "tap-postgres" | "target-postgres" => {
            let database = database("canaries");
            database.psql("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)");
            json!({
                "host": "127.0.0.1", "port": cluster().port, "user": "postgres",
                "database": database.name, "password": PASSWORD, "ssl_mode": "require",
            })
        }
        _ => json!({}),
    }
}

#[test]
fn no_secret_of_any_setting_is_shown_or_left() {
    let web = Web::start(|asked| match asked.path() {
        // A server that shows the client what it was sent.
        "/token" => Reply::text(400, "text/plain", &asked.body),
        _ if asked.before % 2 == 0 => Reply::json(&json!([{ "id": 1 }])),
        _ => Reply::text(401, "text/plain", &format!("{:?} {}", asked.headers, asked.target)),
    });
    let sshd = Sshd::start();
    sshd.put("/in/a.csv", "a\n1\n");
    let contracts = folder();
    let contract = file(contracts.path(), "t.odcs.yaml", CONTRACT);
    let (mut runs, mut settings, mut looked_at) = (0, 0, 0);
    for name in CONNECTORS {
        let about = ours(name).args(["--about", "--format", "json"]).go().success();
        let about: Value = serde_json::from_str(&about.text()).unwrap();
        let mut pointers = Vec::new();
        secrets(&about["settings"], "", &mut pointers);
        assert!(pointers.contains(&"/protect_key".to_owned()), "{name}: {pointers:?}");
        settings += pointers.len();
        let base = working(name, &web, &sshd, &contract);
        let mut codes = std::collections::BTreeSet::new();
        for pointer in &pointers {
            for text in texts() {
                let scratch = folder();
                let mut given = put(&base, pointer, &text);
                given["rejects_file"] = scratch.path().join("rejects.jsonl").to_str().into();
                if name == "tap-api" {
                    given["oauth_token_file"] = scratch.path().join("token.json").to_str().into();
                    given["auth_method"] = match pointer.rsplit('/').next().unwrap() {
                        "password" => "basic",
                        "bearer_token" => "bearer_token",
                        "client_secret" | "refresh_token" | "X-Canary" => "oauth",
                        _ => "no_auth",
                    }
                    .into();
                    if pointer.contains("headers") || pointer.contains("api_keys") {
                        given["auth_method"] = json!("api_key");
                    }
                }
                let run = ours(name).env("LOGLEVEL", "TRACE").env("TMPDIR", scratch.path());
                let run = run.config(&given).input(Lines::whole(&[(1, "a")]).0);
                codes.insert(run.go().code);
                runs += 1;
                // The token file is where a secret is kept.
                looked_at += check_files(scratch.path(), &["token.json"]);
            }
        }
        assert!(codes.len() > 1, "{name} always ends with {codes:?}");
    }
    figure("settings that are secrets", settings);
    figure("runs with a canary in one of them", runs);
    assert!(looked_at < runs * 5);
}

/// Says what is in the environment and the arguments of a process.
fn process(id: u32) -> String {
    let read = |name| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&[read("cmdline"), read("environ")].concat()).into_owned()
}

#[test]
fn a_runner_gives_a_secret_to_its_plugin_alone() {
    let more = "  - {name: tap-sick, executable: ./sick, settings: [{name: password, kind: \
                password, sensitive: true}], config: {url: 'http://x/${TOKEN}'}}\n";
    let loaders = "  - {name: target-idle, executable: ./idle}\n";
    let project = Project::with(more, loaders, "");
    // The tap waits until the target has been looked at, and fails or not.
    let tell = "[ \"$3\" = --discover ] && { echo '{\"streams\":[]}'; exit 0; }
grep -q CANARY \"$2\" && : > given
while [ ! -e seen ]; do sleep 0.01; done
cat code | { read code; exit $code; }";
    project.script("sick", tell);
    project.script("idle", "echo $$ > idle.pid.new; mv idle.pid.new idle.pid; cat >/dev/null");
    let mut looked_at = 0;
    for code in ["0", "1"] {
        for name in ["seen", "given", "idle.pid"] {
            let _ = fs::remove_file(project.root.join(name));
        }
        file(&project.root, "code", format!("{code}\n"));
        file(&project.root, ".env", format!("SOURCE=csv\nTOKEN={CANARY}\n"));
        let run = project.chorus(&["run", "--datestamp", DAY, "--retries", "0", "--verbose"]);
        let run = run.args(["tap-sick", "target-idle"]).env("LOGLEVEL", "TRACE");
        let running = run.env("TAP_SICK_PASSWORD", CANARY).start(true);
        project.wait_for(&|| project.has_text("idle.pid"));
        let id = fs::read_to_string(project.root.join("idle.pid")).unwrap();
        let target = process(id.trim().parse().unwrap());
        assert!(target.contains("idle"), "{target}");
        // What the project says of itself every process may see, as in Meltano; not the settings.
        assert!(!target.contains("TAP_SICK_PASSWORD"), "{target}");
        fs::write(project.root.join("seen"), "").unwrap();
        let outcome = running.wait();
        assert_eq!(outcome.code == 0, code == "0", "{}", outcome.stderr);
        assert!(project.root.join("given").exists(), "{}", outcome.stderr);
        looked_at += check_files(&project.root.join(".chorus"), &[]);
        looked_at += check_files(&project.root, &["meltano.yml", ".env"]);
        for command in [
            &["plan", "--datestamp", DAY, "tap-sick", "target-idle"][..],
            &["doctor"],
            &["runs"],
            &["status"],
        ] {
            project.chorus(command).env("TAP_SICK_PASSWORD", CANARY).go();
        }
    }
    assert!(looked_at > 0);
    figure("files that runs of chorus left", looked_at);
}

/// A run that may leave a core file in a folder.
fn with_cores(folder: &Path, program: &Path) -> Run {
    let script = "cd \"$1\" && ulimit -c unlimited && shift && exec \"$@\"";
    let shell = Run::new(Path::new("/bin/sh")).args(["-c", script, "sh"]);
    shell.args([folder, program])
}

fn cores(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().flatten().filter(|e| e.file_name() != "log").count()
}

/// Waits until a process sleeps for what its peer has to say: it has read its settings then.
fn wait_until_idle(running: &mut Running) {
    let stat = format!("/proc/{}/stat", running.child().id());
    let mut idle = 0;
    while idle < 20 {
        let text = fs::read_to_string(&stat).expect("the process runs");
        let state = text.rsplit(") ").next().unwrap().chars().next();
        idle = if state == Some('S') { idle + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_core_file_has_a_secret() {
    // Where the machine writes cores for others, it would for ours.
    let scratch = folder();
    let control = with_cores(scratch.path(), Path::new("/bin/sleep")).args(["60"]).start(true);
    std::thread::sleep(Duration::from_millis(50));
    control.signal(Signal::ABORT);
    control.wait();
    figure("core files of a program that does not care", cores(scratch.path()));
    let silent = Web::replies(vec![Reply::silence()]);
    let port = silent.url.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let server = json!({ "host": "127.0.0.1", "port": port, "password": CANARY });
    let with = |more: Value| {
        let mut settings = server.clone();
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let postgres = with(json!({ "user": "u", "database": "d", "ssl_mode": "require" }));
    let sftp = with(json!({ "username": "u", "host_key_fingerprint": "A".repeat(43),
        "tables": [{ "table_name": "t", "remote_path": "/a" }] }));
    let api = json!({ "api_url": silent.url, "auth_method": "bearer_token", "bearer_token": CANARY,
        "streams": [{ "name": "t", "path": "x" }] });
    let cases = [
        ("tap-postgres", &postgres),
        ("target-postgres", &postgres),
        ("tap-sftp", &sftp),
        ("tap-api", &api),
    ];
    let mut deaths = 0;
    for (name, settings) in cases {
        for signal in [Signal::ABORT, Signal::ILL, Signal::FPE] {
            let scratch = folder();
            let program = support::binaries_dir().join(name);
            let run = with_cores(scratch.path(), &program).config(settings).piped();
            let mut running = run.start(true);
            wait_until_idle(&mut running);
            running.signal(signal);
            let outcome = running.wait();
            assert!(outcome.code > 128, "{name}: {outcome:?}");
            assert_eq!(cores(scratch.path()), 0, "{name} left a core");
            deaths += 1;
        }
    }
    figure("deaths by signals that write cores", deaths);
}

#[test]
fn every_program_asks_for_no_core() {
    for name in CONNECTORS.into_iter().chain(["chorus"]) {
        let scratch = folder();
        let trace = scratch.path().join("trace");
        let run = Run::new(Path::new("/usr/bin/strace")).args(["-f", "-e", "trace=prctl", "-o"]);
        let run = run.args([trace.as_os_str(), support::binaries_dir().join(name).as_os_str()]);
        let _ = if name == "chorus" { run.args(["doctor"]) } else { run.args(["--about"]) }.go();
        let trace = fs::read_to_string(trace).unwrap();
        assert!(trace.contains("prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE)"), "{name}: {trace}");
    }
}
