//! Pipes of our taps and targets, whose processes are killed, signalled, stopped while another run
//! is made, or starved, after any number of bytes (P01 to P12): the old rows or the new ones are
//! there, and a plain run puts all in order.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::json;

use support::cluster::{Database, database};
use support::faults::{Random, each, figure, tries};
use support::invariants::{KILLED, Partition, Place, Saw, Table, Trial, explains};
use support::pipes::DAY;
use support::run::{Outcome, Run, Running, file, ours, ours_to_end};
use support::{binaries_dir, folder};

const ROWS: i64 = 12_000;

/// The ways from a tap to a target.
const WAYS: [(&str, &str, &str); 6] = [
    ("tap-postgres", "target-csv", ""),
    ("tap-csv", "target-postgres", "overwrite"),
    ("tap-postgres", "target-postgres", "upsert"),
    ("tap-csv", "target-csv", ""),
    ("tap-postgres", "target-postgres", "replace-partition"),
    ("tap-csv", "target-postgres", "upsert"),
];

/// What happens to the processes once some bytes have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// This signal to the tap.
    Tap(Signal),
    /// This signal to the target.
    Target(Signal),
    /// SIGINT to both, as a terminal sends it.
    Interrupt,
    /// The tap stops until another run is over.
    StopTap,
    /// The target does.
    StopTarget,
    /// From there on a few bytes come at a time.
    Starve,
}

const ACTS: [Act; 9] = [
    Act::Tap(Signal::KILL),
    Act::Tap(Signal::TERM),
    Act::Target(Signal::KILL),
    Act::Target(Signal::TERM),
    Act::Target(Signal::HUP),
    Act::Interrupt,
    Act::StopTap,
    Act::StopTarget,
    Act::Starve,
];

/// A tap with two versions of its rows, and where a target takes them.
struct Way {
    scratch: tempfile::TempDir,
    /// The databases of the old rows and of the new.
    sources: Option<[Database; 2]>,
    target: Option<Database>,
    sink: &'static str,
    method: &'static str,
}

impl Way {
    fn new((tap, sink, method): (&str, &'static str, &'static str)) -> Self {
        let way = Self {
            scratch: folder(),
            sources: (tap == "tap-postgres").then(|| [(); 2].map(|()| database("pipe_source"))),
            target: (sink == "target-postgres").then(|| database("pipe_target")),
            sink,
            method,
        };
        if let Some([old, new]) = &way.sources {
            let table = "CREATE TABLE t (id bigint PRIMARY KEY, name text);
                INSERT INTO t SELECT n,";
            old.psql(&format!("{table} 'old' FROM generate_series(1, 10) n"));
            new.psql(&format!(
                "{table} 'new' || repeat('x', 60) FROM generate_series(1, {ROWS}) n"
            ));
        } else {
            let rows = |name: &str, count: i64| -> String {
                let rows: Vec<_> = (1..=count).map(|id| format!("{id},{name}")).collect();
                format!("id,name\n{}\n", rows.join("\n"))
            };
            file(way.scratch.path(), "old.csv", rows("old", 10));
            file(way.scratch.path(), "new.csv", rows(&format!("new{}", "x".repeat(60)), ROWS));
        }
        way
    }

    fn tap(&self, version: &str) -> Run {
        let Some([old, new]) = &self.sources else {
            let path = self.scratch.path().join(format!("{version}.csv"));
            let entity = json!({ "entity": "t", "path": path, "keys": ["id"] });
            return ours_to_end("tap-csv").config(&json!({ "files": [entity] }));
        };
        let source = if version == "old" { old } else { new };
        ours_to_end("tap-postgres").config(&source.settings())
    }

    fn lake(&self) -> PathBuf {
        self.scratch.path().join("lake")
    }

    fn target(&self) -> Run {
        let run = ours_to_end(self.sink);
        let Some(target) = &self.target else {
            return run
                .config(&json!({ "output_path": self.lake(), "source": "s", "datestamp": DAY }));
        };
        run.config(&target.settings_with(&json!({
            "default_target_schema": "public", "add_record_metadata": false, "source": "s",
            "datestamp": DAY, "load_method": self.method,
        })))
    }

    fn with_place<T>(&self, work: impl FnOnce(&dyn Place) -> T) -> T {
        let lake = self.lake();
        match &self.target {
            None => {
                let table = if self.sources.is_some() { "public-t" } else { "t" };
                work(&Partition { lake: &lake, source: "s", day: DAY, table })
            }
            Some(database) => {
                work(&Table { database, schema: "public", name: "t", columns: "id, name" })
            }
        }
    }

    /// Puts the old rows there.
    fn prepare(&self) {
        match &self.target {
            None => drop(std::fs::remove_dir_all(self.lake())),
            Some(target) => drop(target.psql("DROP TABLE IF EXISTS t")),
        }
        self.whole("old");
    }

    /// Runs the pipe without a fault.
    fn whole(&self, version: &str) -> Outcome {
        support::run::pipe_succeeds(self.tap(version), self.target()).1
    }
}

/// Carries bytes from the tap to the target and does something behind so many of them.
fn carry(way: &Way, act: Act, behind: usize) -> (Outcome, Outcome, Option<Outcome>) {
    let mut tap = way.tap("new").start(false);
    let mut target = way.target().start_with(Stdio::piped(), true);
    let mut from = tap.child().stdout.take().unwrap();
    let mut to = target.child().stdin.take().unwrap();
    let mut block = vec![0; 32 << 10];
    let (mut passed, mut other) = (0, None);
    let mut acted = false;
    loop {
        if passed == behind && !acted {
            acted = true;
            other = happen(way, act, &mut tap, &mut target);
        }
        let most = match act {
            Act::Starve if acted => 7,
            _ if acted => block.len(),
            _ => block.len().min(behind - passed),
        };
        let bytes = from.read(&mut block[..most]).unwrap();
        passed += bytes;
        if bytes == 0 || to.write_all(&block[..bytes]).is_err() {
            break;
        }
    }
    drop((from, to));
    (tap.wait(), target.wait(), other)
}

fn happen(way: &Way, act: Act, tap: &mut Running, target: &mut Running) -> Option<Outcome> {
    match act {
        Act::Tap(signal) => tap.signal(signal),
        Act::Target(signal) => target.signal(signal),
        Act::Interrupt => {
            tap.signal(Signal::INT);
            target.signal(Signal::INT);
        }
        Act::Starve => {}
        Act::StopTap | Act::StopTarget => {
            let stopped = if act == Act::StopTap { tap } else { target };
            if !stopped.stop() {
                return None;
            }
            let other = support::run::pipe(way.tap("new"), way.target()).1;
            stopped.signal(Signal::CONT);
            return Some(other);
        }
    }
    None
}

/// How each of both may end; 0 is for what came too late.
fn codes(act: Act) -> (&'static [i32], &'static [i32]) {
    match act {
        Act::Tap(Signal::KILL) => (&[0, KILLED], &[0, 76]),
        Act::Tap(_) => (&[0, 143], &[0, 76]),
        Act::Target(Signal::KILL) => (&[0, 141], &[0, KILLED]),
        Act::Target(Signal::HUP) => (&[0, 141], &[0, 129]),
        Act::Target(_) => (&[0, 141], &[0, 143]),
        Act::Interrupt => (&[0, 130], &[0, 76, 130]),
        Act::StopTap | Act::StopTarget => (&[0, 141], &[0, 75]),
        Act::Starve => (&[0], &[0]),
    }
}

#[test]
fn whatever_happens_to_a_process_of_a_pipe_the_old_rows_or_the_new_are_there() {
    let random = Mutex::new(Random::new());
    let counts = Mutex::new([0; 3]);
    each(2, &WAYS[..tries(3, WAYS.len())], |names| {
        let way = Way::new(*names);
        let bytes = way.tap("new").go().success().stdout.len();
        way.prepare();
        let old = way.with_place(|place| place.seen());
        way.whole("new");
        let new = way.with_place(|place| place.seen()).expect("new rows");
        for act in ACTS {
            let mut moments = vec![bytes];
            for _ in 0..tries(1, 10) {
                let behind = random.lock().unwrap().below(u64::try_from(bytes).unwrap());
                moments.push(usize::try_from(behind).unwrap());
            }
            // The last one and the first are moments of their own; one will do when in haste.
            for behind in moments.into_iter().skip(tries(1, 0)) {
                way.prepare();
                let (tap, target, other) = carry(&way, act, behind);
                let (of_tap, of_target) = codes(act);
                explains(&tap, of_tap);
                let saw = way.with_place(|place| {
                    let trial = Trial { place, old: old.clone(), new: new.clone(), gaps: false };
                    if let Some(other) = &other {
                        explains(other, &[0, 75, 76]);
                        assert!(target.code == 0 || other.code == 0, "{target:?} {other:?}");
                    }
                    let saw = trial.after_fault(&target, of_target);
                    trial.after_rerun(&way.whole("new"));
                    saw
                });
                let mut counts = counts.lock().unwrap();
                counts[0] += 1;
                counts[1] += usize::from(saw == Saw::Old);
                counts[2] += usize::from(saw == Saw::New);
            }
        }
    });
    let [all, old, new] = counts.into_inner().unwrap();
    figure("processes of pipes that something happened to", all);
    figure("of them the old rows stayed", old);
    assert!(old > 0 && new > 0);
}

/// Runs one of ours in a shell that redirects as told.
fn redirected(name: &str, redirection: &str, config: &serde_json::Value, input: &Path) -> Run {
    Run::new(Path::new("/bin/sh"))
        .args(["-c", &format!("exec \"$@\" {redirection} <\"$0\"")])
        .args([input])
        .args([binaries_dir().join(name)])
        .config(config)
}

#[test]
fn a_state_that_cannot_be_printed_leaves_the_rows_and_shows_in_the_code() {
    let scratch = folder();
    let rows: Vec<_> = (1..=500).map(|id| (id, "new")).collect();
    let input = support::messages::Lines::whole(&rows).0;
    let input = file(scratch.path(), "input", input);
    let target = database("states_nowhere");
    for method in ["", "upsert", "overwrite", "replace-partition"] {
        for redirection in [">/dev/full", ">&-"] {
            let lake = scratch.path().join("lake");
            let (name, config) = if method.is_empty() {
                let day = json!({ "output_path": lake, "source": "s", "datestamp": DAY });
                ("target-csv", day)
            } else {
                target.psql("DROP TABLE IF EXISTS t");
                let more = json!({
                    "default_target_schema": "public", "add_record_metadata": false,
                    "load_method": method, "source": "s", "datestamp": DAY,
                    // Else the first state is printed before there is a row.
                    "state_interval_seconds": 3600,
                });
                ("target-postgres", target.settings_with(&more))
            };
            let outcome = redirected(name, redirection, &config, &input).go();
            // A program finds /dev/null where a shell has closed its standard output.
            let code = if redirection == ">/dev/full" { 74 } else { 0 };
            explains(&outcome, &[code]);
            let says = outcome.stderr.contains("cannot write to standard output");
            assert_eq!(says, code == 74, "{outcome:?}");
            let again = ours(name).config(&config).input(std::fs::read(&input).unwrap()).go();
            again.success();
            if method.is_empty() {
                let place = Partition { lake: &lake, source: "s", day: DAY, table: "t" };
                assert_eq!(place.ids().len(), 500);
                std::fs::remove_dir_all(&lake).unwrap();
            } else {
                assert_eq!(target.psql("SELECT count(*), count(DISTINCT id) FROM t"), "500|500");
            }
        }
    }
}

#[test]
fn a_tap_that_cannot_write_says_so() {
    let scratch = folder();
    let nothing = file(scratch.path(), "nothing", "");
    for names in [WAYS[0], WAYS[3]] {
        let way = Way::new(names);
        let path = way.scratch.path().join("new.csv");
        let files = json!({ "files": [{ "entity": "t", "path": path, "keys": ["id"] }] });
        let config = way.sources.as_ref().map_or(files, |[_, new]| new.settings());
        let outcome = redirected(names.0, ">/dev/full", &config, &nothing).go();
        explains(&outcome, &[74]);
        assert!(outcome.stderr.contains("cannot write to standard output"), "{outcome:?}");
        for redirection in ["2>/dev/full", "2>&-"] {
            let outcome = redirected(names.0, redirection, &config, &nothing).go().success();
            assert_eq!(outcome.text().matches("\"RECORD\"").count(), 12_000);
        }
    }
}
