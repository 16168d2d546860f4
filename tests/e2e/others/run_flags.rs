//! The flags of `run`, `el` and `elt` do what they do in Meltano.

use std::fs;

use serde_json::{Value, json};
use support::python::MELTANO;
use support::run::{Outcome, Run, file};

use super::states_there_and_back::{Both, ID};

const RUN: [&str; 3] = ["run", "tap-x", "target-x"];
const EL: [&str; 3] = ["el", "tap-x", "target-x"];
const UUID: &str = "6f3a1c5e-1111-4222-8333-0123456789ab";

/// Both programs over one project, one after the other, each from the same state.
struct Turns(Both);

impl Turns {
    /// Makes a project with a database of Meltano.
    fn new() -> Self {
        let both = Both::new(&[]);
        both.meltano(&["state", "list"]).go().success();
        Self(both)
    }

    /// Runs both, and returns what `seen` finds after each.
    #[track_caller]
    fn each<T>(
        &self,
        words: &[&str],
        env: &[(&str, &str)],
        seen: impl Fn(&Outcome) -> T,
    ) -> [T; 2] {
        let with = |run: Run| env.iter().fold(run, |run, (name, value)| run.env(name, value));
        let program = |name: &str| match name {
            "meltano" => self.0.meltano(words),
            _ => self.0.chorus(words),
        };
        ["meltano", "chorus"].map(|name| {
            self.set_state();
            let _ = fs::remove_file(self.0.project.root.join("rows"));
            seen(&with(program(name)).go().success())
        })
    }

    fn set_state(&self) {
        let state = json!({"singer_state": {
            "other": 1, "bookmarks": {"s": {"v": 5, "more": {"a": 1}}, "gone": {"v": 1}}
        }});
        self.0.chorus(&["state", "set", ID, &state.to_string()]).go().success();
    }

    fn state_of(&self, id: &str) -> Value {
        let outcome = self.0.chorus(&["state", "get", id]).go().success();
        serde_json::from_str(&outcome.text()).unwrap()
    }

    /// Returns the rows that a run wrote, and the state that it left.
    fn left(&self) -> (String, Value) {
        (self.0.rows(), self.state_of(ID))
    }
}

#[test]
fn a_run_that_keeps_no_state_starts_without_one() {
    let turns = Turns::new();
    let flag = [&RUN[..], &["--no-state-update"]].concat();
    let variable = [("MELTANO_RUN_NO_STATE_UPDATE", "true")];
    for (words, env) in [(&flag[..], &[][..]), (&RUN[..], &variable[..])] {
        let [meltano, chorus] = turns.each(words, env, |_| turns.left());
        assert_eq!(meltano, chorus);
        assert_eq!(chorus.0, "1 ");
        assert_eq!(chorus.1["singer_state"]["bookmarks"]["s"]["v"], 5);
    }
}

#[test]
fn a_state_is_merged_or_replaced() {
    let turns = Turns::new();
    let merged = json!({"singer_state": {
        "other": 1, "bookmarks": {"s": {"v": 6, "more": {"a": 1}}, "gone": {"v": 1}}
    }});
    let replaced = json!({"singer_state": {"bookmarks": {"s": {"v": 6}}}});
    for (flags, expected) in [
        (&["--state-strategy", "merge"][..], &merged),
        (&["--merge-state"], &merged),
        (&["--state-strategy", "overwrite"], &replaced),
        (&["--state-strategy", "overwrite", "--refresh-catalog"], &replaced),
    ] {
        let words = [&RUN[..], flags].concat();
        let [meltano, chorus] = turns.each(&words, &[], |_| turns.left());
        assert_eq!(meltano, chorus, "{flags:?}");
        assert_eq!(chorus.1, *expected, "{flags:?}");
        assert_eq!(chorus.0, "6 ");
    }
    let [meltano, chorus] =
        turns.each(&RUN, &[("MELTANO_RUN_STATE_STRATEGY", "overwrite")], |_| turns.left());
    assert_eq!(meltano, chorus);
    let words = [&RUN[..], &["--state-strategy", "overwrite", "--full-refresh"]].concat();
    let [meltano, chorus] = turns.each(&words, &[], |_| turns.left());
    assert_eq!(meltano, chorus);
    assert_eq!(chorus.1["singer_state"]["bookmarks"], json!({"s": {"v": 1}}));
    // A second run does as the record of the first says.
    turns.set_state();
    turns.0.chorus(&[&RUN[..], &["--state-strategy", "merge"]].concat()).go().success();
    turns.0.chorus(&["rerun", "last"]).go().success();
    assert_eq!(turns.state_of(ID)["singer_state"]["other"], 1);
    let odd = turns.0.chorus(&RUN).env("MELTANO_RUN_FORCE", "perhaps").go().exits(64);
    assert!(odd.stderr.contains("variable: MELTANO_RUN_FORCE"), "{}", odd.stderr);
}

#[test]
fn force_ignores_a_mark_and_no_lock_of_our_own() {
    let turns = Turns::new();
    let both = &turns.0;
    let force = [&RUN[..], &["--retries", "0", "--force"]].concat();
    both.hold();
    let mut meltano = both.meltano_runs().start(false);
    both.wait_until_it_runs();
    meltano.kill();
    meltano.wait();
    both.let_go();
    let refused = both.chorus_runs().go().exits(75);
    assert!(refused.stderr.contains("`chorus run --force` ignores it"), "{}", refused.stderr);
    let told = both.chorus(&force).go().success();
    assert!(told.stderr.contains("W-MARK-IGNORED"), "{}", told.stderr);
    let told = both.chorus_runs().env("MELTANO_RUN_FORCE", "1").go().success();
    assert!(told.stderr.contains("W-MARK-IGNORED"), "{}", told.stderr);
    assert_eq!(both.state(), 2);
    both.meltano(&[&RUN[..], &["--force"]].concat()).go().success();
    both.hold();
    let other = both.chorus(&force).start(false);
    both.wait_until_it_runs();
    let refused = both.chorus(&force).go().exits(75);
    assert!(refused.stderr.contains("another run is executing"), "{}", refused.stderr);
    both.let_go();
    other.wait().success();
}

#[test]
fn a_run_has_the_id_that_it_is_given_and_ends_in_time() {
    let turns = Turns::new();
    let both = &turns.0;
    let words = [&RUN[..], &["--run-id", UUID]].concat();
    let ids = turns.each(&words, &[], |_| {
        let sql = "import sqlite3; c = sqlite3.connect('.meltano/meltano.db')
sql = \"SELECT run_id FROM runs WHERE state = 'SUCCESS' ORDER BY id\"
print([row[0] for row in c.execute(sql)][-1])";
        let script = format!("cd '{}' && python3 -c \"$1\"", both.project.root.display());
        let shell = Run::new("/bin/sh".as_ref()).args(["-c", &script, "sh", sql]);
        shell.go().success().text().trim().replace('-', "")
    });
    assert_eq!(ids, [UUID.replace('-', ""), UUID.replace('-', "")]);
    both.chorus(&["logs", UUID]).go().success();
    both.chorus(&[&RUN[..], &["--run-id", "1"]].concat()).go().exits(64);

    both.hold();
    let late = both.chorus(&[&RUN[..], &["--timeout", "1"]].concat()).go().exits(75);
    assert!(late.stderr.contains("longer than its --timeout"), "{}", late.stderr);
    let meltano = both.meltano(&[&RUN[..], &["--timeout", "1"]].concat()).go();
    assert_ne!(meltano.code, 0);
    both.let_go();
    // Its mark is gone.
    both.meltano_runs().go().success();
}

#[test]
fn el_runs_a_pair_with_a_state_of_its_own() {
    let turns = Turns::new();
    let both = &turns.0;
    let own = ["--state-id", "mine"];
    let words = [&EL[..], &own].concat();
    both.meltano(&words).go().success();
    both.chorus(&words).go().success();
    assert_eq!(turns.state_of("mine")["singer_state"]["bookmarks"]["s"]["v"], 2);
    both.meltano(&EL).env("MELTANO_STATE_ID", "mine").go().success();
    both.chorus(&["elt", "tap-x", "target-x"]).env("MELTANO_STATE_ID", "mine").go().success();
    assert_eq!(turns.state_of("mine")["singer_state"]["bookmarks"]["s"]["v"], 4);
    // Without an id, none of the next runs finds it.
    for _ in 0..2 {
        let told = both.chorus(&EL).go().success();
        assert!(told.stderr.contains("no --state-id is given"), "{}", told.stderr);
    }
    assert_eq!(both.rows(), "1 2 3 4 1 1 ");
    file(&both.project.root, "start.json", r#"{"bookmarks": {"s": {"v": 8}}}"#);
    let words = [&words[..], &["--state", "start.json"]].concat();
    for _ in 0..2 {
        both.chorus(&words).go().success();
        assert_eq!(turns.state_of("mine")["singer_state"]["bookmarks"]["s"]["v"], 9);
        both.meltano(&words).go().success();
        assert_eq!(turns.state_of("mine")["singer_state"]["bookmarks"]["s"]["v"], 9);
    }
    let planned = both.chorus(&[&words[..], &["--dry"]].concat()).go().success().text();
    assert!(planned.contains("state: mine"), "{planned}");
    let refused = both.chorus(&["elt", "tap-x", "target-x", "--transform", "run"]).go().exits(78);
    assert!(refused.stderr.contains("chorus run tap-x target-x dbt"), "{}", refused.stderr);
    both.chorus(&["elt", "tap-x", "target-x", "--transform", "skip"]).go().success();
}

#[test]
fn el_chooses_streams_and_prints_its_files() {
    let turns = Turns::new();
    let both = &turns.0;
    let root = &both.project.root;
    file(root, "two", "");
    let streams = |_: &Outcome| {
        let text = fs::read_to_string(root.join("catalog-seen.json")).unwrap();
        let catalog: Value = serde_json::from_str(&text).unwrap();
        let selected = |stream: &Value| {
            let metadata = stream["metadata"].as_array().unwrap();
            let own = metadata.iter().find(|entry| entry["breadcrumb"] == json!([]));
            let is_selected = own.is_some_and(|own| own["metadata"]["selected"] == true);
            (stream["tap_stream_id"].clone(), is_selected)
        };
        catalog["streams"].as_array().unwrap().iter().map(selected).collect::<Vec<_>>()
    };
    for (flags, expected) in [
        (&["--select", "s"][..], [true, false]),
        (&["-e", "s"], [false, true]),
        (&["-s", "s", "-s", "t", "--exclude", "t"], [true, false]),
        (&[], [true, true]),
    ] {
        let words = [&EL[..], &["--state-id", "mine"], flags].concat();
        let [meltano, chorus] = turns.each(&words, &[], streams);
        assert_eq!(meltano, chorus, "{flags:?}");
        let selected: Vec<bool> = chorus.iter().map(|(_, selected)| *selected).collect();
        assert_eq!(selected, expected, "{flags:?}");
    }
    let catalog = r#"{"streams": [{"tap_stream_id": "given", "stream": "given", "metadata": [],
        "schema": {"properties": {}}}]}"#;
    file(root, "given.json", catalog);
    let words = [&EL[..], &["--state-id", "mine", "--catalog", "given.json"]].concat();
    let [meltano, chorus] = turns.each(&words, &[], streams);
    assert_eq!(meltano, chorus);
    assert_eq!(chorus.len(), 1);
    for file in ["state", "extractor-config", "loader-config"] {
        let words = [&EL[..], &["--state-id", "mine", "--dump", file]].concat();
        let [meltano, chorus] = turns.each(&words, &[], |outcome| -> Value {
            serde_json::from_str(&outcome.text()).unwrap()
        });
        assert_eq!(meltano, chorus, "{file}");
    }
    let none = both.chorus(&[&EL[..], &["--state-id", "no", "--dump", "state"]].concat());
    none.go().exits(66);
    assert!(MELTANO.path("meltano").is_file());
}
