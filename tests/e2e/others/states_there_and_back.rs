//! Meltano and `chorus` take turns on one project: each goes on from the state of the other, where
//! Meltano keeps it, and neither runs a job that the other is running: R17 to R19 of the catalogue.

use std::path::Path;

use serde_json::{Value, json};
use support::binaries_dir;
use support::cluster;
use support::project::Project;
use support::python::MELTANO;
use support::run::{Outcome, Run, file};

pub(super) const ID: &str = "dev:tap-x-to-target-x";

/// A tap with one row, whose bookmark counts its runs. It waits while a file `hold` is there, once
/// it has written the file `running`.
const TAP: &str = r#"import json, os, shutil, sys, time
args = sys.argv[1:]
if "--discover" in args:
    names = ["s", "t"] if os.path.exists("two") else ["s"]
    print(json.dumps({"streams": [{"tap_stream_id": name, "stream": name,
        "schema": {"properties": {"v": {"type": "integer"}}}, "metadata": []} for name in names]}))
    sys.exit()
count = 0
shutil.copy(args[args.index("--catalog") + 1], "catalog-seen.json")
if "--state" in args:
    count = json.load(open(args[args.index("--state") + 1]))["bookmarks"]["s"]["v"]
count += 1
say = lambda message: print(json.dumps(message), flush=True)
say({"type": "SCHEMA", "stream": "s", "key_properties": ["v"],
     "schema": {"properties": {"v": {"type": "integer"}}}})
say({"type": "RECORD", "stream": "s", "record": {"v": count}})
open("running", "w").close()
while os.path.exists("hold"):
    time.sleep(0.05)
say({"type": "STATE", "value": {"bookmarks": {"s": {"v": count}}}})
"#;

/// A target that adds rows to a file.
const TARGET: &str = r#"import json, sys
rows = open("rows", "a")
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        rows.write("%d " % message["record"]["v"])
    if message["type"] == "STATE":
        rows.flush()
        print(json.dumps(message["value"]), flush=True)
"#;

/// A project, and where it keeps its states.
pub(super) struct Both {
    pub(super) project: Project,
    env: Vec<(&'static str, String)>,
}

impl Both {
    pub(super) fn new(env: &[(&'static str, &str)]) -> Self {
        let tap = "  - name: tap-x
    namespace: tap_x
    executable: ./tap-x
    capabilities: [catalog, discover, state]
";
        let target = "  - {name: target-x, namespace: target_x, executable: ./target-x}\n";
        let project = Project::with(tap, target, "send_anonymous_usage_stats: false\n");
        for (name, text) in [("tap-x", TAP), ("target-x", TARGET)] {
            file(&project.root, &format!("{name}.py"), text);
            project.script(name, &format!("exec /usr/bin/python3 {name}.py \"$@\"\n"));
        }
        let env = env
            .iter()
            .map(|(name, value)| (*name, value.replace("ROOT", &project.root.to_string_lossy())));
        let env = env.collect();
        Self { project, env }
    }

    fn with_env(&self, run: Run) -> Run {
        self.env.iter().fold(run, |run, (name, value)| run.env(name, value))
    }

    pub(super) fn meltano(&self, words: &[&str]) -> Run {
        let path = format!("{}:/usr/bin:/bin", binaries_dir().display());
        let run = MELTANO.program("meltano").args(["--cwd"]).args([&self.project.root]);
        self.with_env(run.args(words).env("PATH", path).env("NO_COLOR", "1"))
            .env("MELTANO_CLI_DISABLE_VERSION_CHECK", "true")
    }

    pub(super) fn chorus(&self, words: &[&str]) -> Run {
        self.with_env(self.project.chorus(words))
    }

    pub(super) fn meltano_runs(&self) -> Run {
        self.meltano(&["run", "tap-x", "target-x"])
    }

    pub(super) fn chorus_runs(&self) -> Run {
        self.chorus(&["run", "tap-x", "target-x", "--retries", "0"])
    }

    /// Returns the state as both show it.
    #[track_caller]
    pub(super) fn state(&self) -> Value {
        let read = |outcome: Outcome| -> Value {
            serde_json::from_str(outcome.success().text().trim()).unwrap()
        };
        let (one, other) = (
            read(self.meltano(&["state", "get", ID]).go()),
            read(self.chorus(&["state", "get", ID]).go()),
        );
        assert_eq!(one, other);
        one["singer_state"]["bookmarks"]["s"]["v"].clone()
    }

    pub(super) fn rows(&self) -> String {
        std::fs::read_to_string(self.project.root.join("rows")).unwrap_or_default()
    }

    /// Says something in SQL to Meltano's file.
    fn sql(&self, sql: &str) {
        let run = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=20)
c.executescript(sys.argv[2])";
        let database = self.project.root.join(".meltano/meltano.db");
        let python = Run::new(Path::new("/usr/bin/python3")).args(["-c", run]);
        python.args([&database]).args([sql]).go().success();
    }

    pub(super) fn hold(&self) {
        let _ = std::fs::remove_file(self.project.root.join("running"));
        file(&self.project.root, "hold", "");
    }

    pub(super) fn let_go(&self) {
        std::fs::remove_file(self.project.root.join("hold")).unwrap();
    }

    pub(super) fn wait_until_it_runs(&self) {
        let running = self.project.root.join("running");
        self.project.wait_for(&|| running.exists());
    }

    /// Has each go on from where the other ended.
    fn take_turns(&self, from: usize) {
        self.meltano_runs().go().success();
        self.chorus_runs().go().success();
        assert_eq!(self.state(), from + 2);
    }

    /// Has Meltano change the state by its commands, and `chorus` remove it.
    fn change_by_commands(&self) {
        let set = r#"{"singer_state": {"bookmarks": {"s": {"v": 40}}}}"#;
        self.meltano(&["state", "set", "--force", ID, set]).go().success();
        let merged = r#"{"singer_state": {"bookmarks": {"t": {"v": 7}}}}"#;
        self.meltano(&["state", "merge", ID, merged]).go().success();
        self.chorus_runs().go().success();
        assert_eq!(self.state(), 41);
        let listed = self.meltano(&["state", "list"]).go().success().text();
        assert!(listed.contains(ID), "{listed}");
        assert!(self.chorus(&["state", "list"]).go().success().text().contains(ID));
        self.chorus(&["state", "clear", ID]).go().success();
        self.meltano_runs().go().success();
        assert_eq!(self.state(), 1);
    }
}

#[test]
fn a_project_goes_back_and_forth_between_meltano_and_chorus() {
    let both = Both::new(&[]);
    both.chorus_runs().go().success();
    assert!(both.project.root.join(".chorus/state").is_dir());
    both.meltano(&["state", "list"]).go().success();
    // The state of before is copied once.
    let outcome = both.chorus_runs().go().success();
    assert!(outcome.stderr.contains(&format!("copied the state {ID} from")), "{}", outcome.stderr);
    assert_eq!(both.state(), 2);
    both.take_turns(2);
    both.change_by_commands();
    assert_eq!(both.rows(), "1 2 3 4 41 1 ");
    let doctor = both.chorus(&["doctor", "tap-x", "target-x"]).go().text();
    assert!(doctor.contains("1 state is in Meltano's database"), "{doctor}");
}

#[test]
fn states_of_a_file_backend_are_shared() {
    let both = Both::new(&[("MELTANO_STATE_BACKEND_URI", "file://ROOT/states")]);
    both.chorus_runs().go().success();
    both.take_turns(1);
    assert!(both.project.root.join("states").join(ID).join("state.json").is_file());
    assert!(!both.project.root.join(".chorus/state").exists());
}

#[test]
fn states_in_a_database_of_postgres_are_shared() {
    let database = cluster::database("meltano_states");
    let settings = database.settings();
    let uri = format!(
        "postgresql://{}:{}@/{}?host={}&port={}",
        settings["user"].as_str().unwrap(),
        settings["password"].as_str().unwrap_or("x"),
        settings["database"].as_str().unwrap(),
        settings["host"].as_str().unwrap(),
        settings["port"]
    );
    let both = Both::new(&[("MELTANO_DATABASE_URI", &uri)]);
    // We make no tables of Meltano.
    let none = both.chorus_runs().go().exits(78);
    assert!(none.stderr.contains("database of: MELTANO_DATABASE_URI"), "{}", none.stderr);
    both.meltano(&["state", "list"]).go().success();
    both.chorus_runs().go().success();
    both.take_turns(1);
    let marks = database.psql("SELECT DISTINCT state FROM runs ORDER BY 1");
    assert_eq!(marks, "SUCCESS");
}

#[test]
fn neither_runs_a_job_that_the_other_is_running_or_was_killed_in() {
    let both = Both::new(&[]);
    both.meltano_runs().go().success();
    both.hold();
    let mut meltano = both.meltano_runs().start(false);
    both.wait_until_it_runs();
    let refused = both.chorus_runs().go().exits(75);
    assert!(refused.stderr.contains("has its job as running"), "{}", refused.stderr);
    both.chorus(&["state", "clear", ID]).go().exits(75);
    meltano.kill();
    meltano.wait();
    // Nobody knows yet that it was killed.
    both.chorus_runs().go().exits(75);
    both.let_go();
    both.sql("UPDATE runs SET last_heartbeat_at = datetime('now', '-6 minutes')");
    let told = both.chorus_runs().go().success();
    assert!(told.stderr.contains("W-MARK-STALE"), "{}", told.stderr);
    assert_eq!(both.state(), 2);

    both.hold();
    let mut chorus = both.chorus_runs().start(false);
    both.wait_until_it_runs();
    let refused = both.meltano_runs().go();
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("is already running"), "{}", refused.stderr);
    chorus.kill();
    chorus.wait();
    assert_ne!(both.meltano_runs().go().code, 0);
    both.let_go();
    // Its own mark is not in the way of a run on the same machine.
    let told = both.chorus_runs().go().success();
    assert!(told.stderr.contains("W-MARK-STALE"), "{}", told.stderr);
    both.meltano_runs().go().success();
    assert_eq!(both.state(), 4);
}

#[test]
fn a_store_that_cannot_be_used_ends_a_run_before_it_begins() {
    let both = Both::new(&[]);
    both.meltano_runs().go().success();
    let lock = "import sqlite3, sys, time
c = sqlite3.connect('.meltano/meltano.db', isolation_level=None)
c.execute('BEGIN IMMEDIATE'); open('locked', 'w').close(); time.sleep(60)";
    let script = format!("cd '{}'; exec python3 -c \"$1\"", both.project.root.display());
    let shell = Run::new(Path::new("/bin/sh")).args(["-c", &script, "sh", lock]);
    let mut other = shell.start(false);
    both.project.wait_for(&|| both.project.root.join("locked").exists());
    let refused = both.chorus_runs().go().exits(75);
    assert!(refused.stderr.contains("another program has locked it"), "{}", refused.stderr);
    assert!(refused.stderr.contains(".meltano/meltano.db"), "{}", refused.stderr);
    other.kill();
    other.wait();
    assert_eq!(both.rows(), "1 ");
    both.sql("UPDATE alembic_version SET version_num = 'later'");
    let refused = both.chorus_runs().go().exits(78);
    assert!(refused.stderr.contains("version: later"), "{}", refused.stderr);
    assert_eq!(both.rows(), "1 ");
    for (uri, code) in [
        ("s3://user:hunter2@bucket/states", 78),
        ("gs://bucket/states", 78),
        ("azure://container/states", 78),
    ] {
        let both = Both::new(&[("MELTANO_STATE_BACKEND_URI", uri)]);
        let refused = both.chorus_runs().go().exits(code);
        assert!(refused.stderr.contains("in this backend yet"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
        assert_eq!(both.rows(), "");
    }
    // Both have a state of the same id.
    let both = Both::new(&[]);
    both.chorus_runs().go().success();
    both.meltano(&["state", "list"]).go().success();
    let set = json!({"singer_state": {"bookmarks": {"s": {"v": 8}}}}).to_string();
    both.meltano(&["state", "set", "--force", ID, &set]).go().success();
    let refused = both.chorus_runs().go().exits(78);
    for shown in [r#"{"v":1}"#, r#"{"v":8}"#, "which of two states"] {
        assert!(refused.stderr.contains(shown), "{}", refused.stderr);
    }
    both.chorus(&["state", "set", ID, &set]).go().success();
    both.chorus_runs().go().success();
    assert_eq!(both.state(), 9);
}

#[test]
fn states_are_exported_edited_and_removed_at_once() {
    let both = Both::new(&[]);
    both.meltano_runs().go().success();
    let partial = r#"{"singer_state": {"bookmarks": {"t": {"v": 7}}}}"#;
    both.meltano(&["state", "merge", ID, partial]).go().success();
    both.meltano(&["state", "set", "--force", "old", r#"{"singer_state": {"a": 1}}"#])
        .go()
        .success();
    let all = || {
        let read = |outcome: Outcome| outcome.success().text();
        let get = |id: &str| {
            let one = read(both.meltano(&["state", "get", id]).go());
            assert_eq!(one, read(both.chorus(&["state", "get", id]).go()));
            let pretty = ["state", "get", id, "--format", "pretty"];
            assert_eq!(read(both.meltano(&pretty).go()), read(both.chorus(&pretty).go()));
            one
        };
        [get(ID), get("old")]
    };
    let before = all();
    // What one exports, the other one imports.
    let (of_meltano, of_chorus) =
        (both.meltano(&["state", "export"]).go(), both.chorus(&["state", "export"]).go());
    for (exported, by_chorus) in [(of_meltano, true), (of_chorus, false)] {
        let path = file(&both.project.root, "states.json", exported.success().text());
        let cleared = both.chorus(&["state", "clear", "--all", "--force"]).go().success();
        assert_eq!(cleared.text(), "2 states were removed\n");
        assert_eq!(both.chorus(&["state", "list"]).go().success().text().trim(), "");
        let words = ["state", "import", path.to_str().unwrap()];
        if by_chorus { both.chorus(&words) } else { both.meltano(&words) }.go().success();
        assert_eq!(all(), before);
    }
    both.chorus(&["state", "import"]).input("[]").go().exits(64);
    both.chorus(&["state", "import"]).input(r#"{"a": {"completed": 1}}"#).go().exits(64);
    let asked = both.chorus(&["state", "clear", "--all"]).go().exits(64);
    assert!(asked.stderr.contains("without a confirmation"), "{}", asked.stderr);
    both.chorus(&["state", "clear"]).go().exits(64);

    let edit = |editor: &str| both.chorus(&["state", "edit", ID]).env("EDITOR", editor).go();
    edit("sed -i 's/\"v\": 1/\"v\": 30/'").success();
    assert_eq!(both.state(), 30);
    assert_eq!(edit("true").success().text(), "nothing was changed\n");
    edit("echo { >").exits(64);
    edit("false").exits(64);
    assert_eq!(both.state(), 30);
    both.hold();
    let running = both.chorus_runs().start(false);
    both.wait_until_it_runs();
    edit("true").exits(75);
    both.chorus(&["state", "clear", "--all", "--force"]).go().exits(75);
    both.let_go();
    running.wait().success();
    assert_eq!(both.state(), 31);
}
