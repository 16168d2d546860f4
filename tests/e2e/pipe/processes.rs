//! Signals, silence, closed channels: how our processes behave among others (P01 to P15).

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::cluster::{Database, database};
use support::invariants::{Saw, Table, Trial, fails};
use support::messages::{Lines, csv};
use support::pipes::DAY;
use support::run::{Outcome, Run, ours, ours_to_end};
use support::{binaries_dir, folder, lake};

/// More rows than any buffer holds, but not their end.
fn endless() -> Vec<u8> {
    rows().fold(Lines::opened(), |lines, (id, name)| lines.row(id, name)).0
}

fn rows() -> impl Iterator<Item = (i64, &'static str)> {
    (0..50_000).map(|id| (id, "a row of a run that does not end well"))
}

fn settings(target: &Database, method: &str) -> Value {
    target.settings_with(&json!({
        "default_target_schema": "public", "add_record_metadata": false, "load_method": method,
    }))
}

/// Runs one of ours in a shell that redirects as told.
fn redirected(name: &str, redirection: &str, config: &Value, input: &[u8]) -> Outcome {
    Run::new(Path::new("/bin/sh"))
        .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
        .args([binaries_dir().join(name)])
        .config(config)
        .input(input)
        .go()
}

#[test]
fn signals_end_a_load_at_once_and_leave_the_table() {
    let target = database("signals");
    target.psql(
        "CREATE TABLE t (id integer PRIMARY KEY, name text); INSERT INTO t VALUES (7, 'old')",
    );
    let input = endless();
    let table = Table { database: &target, schema: "public", name: "t", columns: "id, name" };
    let old = Some("7,old\n".to_owned());
    let trial = Trial { place: &table, old, new: csv(rows()), gaps: false };
    let sent: [(&[Signal], i32); 5] = [
        (&[Signal::TERM], 143),
        (&[Signal::TERM, Signal::TERM], 143),
        (&[Signal::INT], 130),
        (&[Signal::HUP], 129),
        (&[Signal::TERM, Signal::HUP], 143),
    ];
    for method in ["upsert", "overwrite"] {
        for (signals, code) in sent {
            let run = ours_to_end("target-postgres").config(&settings(&target, method));
            let mut run = run.start_with(Stdio::piped(), true);
            let mut stdin = run.child().stdin.take().unwrap();
            stdin.write_all(&input).unwrap();
            for signal in signals {
                run.signal(*signal);
            }
            let outcome = run.wait();
            drop(stdin);
            // The first of two signals that are both pending is the one with the lower number.
            let codes = if signals.len() > 1 { vec![code, 129] } else { vec![code] };
            assert_eq!(trial.after_fault(&outcome, &codes), Saw::Old, "{signals:?}");
        }
    }
}

#[test]
fn a_tap_that_goes_silent_is_given_up() {
    let (target, scratch) = (database("silent"), folder());
    let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    for (name, config) in [("target-csv", day), ("target-postgres", settings(&target, "upsert"))] {
        let run = ours(name).config(&config).config(&json!({ "idle_timeout_seconds": 1 }));
        let mut run = run.start_with(Stdio::piped(), true);
        let mut stdin = run.child().stdin.take().unwrap();
        stdin.write_all(&Lines::opened().row(1, "a").0).unwrap();
        let outcome = run.wait();
        drop(stdin);
        fails(&outcome, &[75]);
        assert!(outcome.stderr.contains("idle_timeout_seconds"), "{}", outcome.stderr);
    }
    assert!(lake::sums(scratch.path()).is_empty());
    assert_eq!(target.psql("SELECT to_regclass('public.t') IS NULL"), "t");
}

#[test]
fn a_closed_or_full_stderr_changes_nothing() {
    let target = database("stderr");
    target.psql("CREATE TABLE t (id integer PRIMARY KEY, name text)");
    let whole = Lines::whole(&[(1, "a")]).0;
    for redirection in ["2>&-", "2>/dev/full"] {
        let scratch = folder();
        let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
        redirected("target-csv", redirection, &day, &whole).success();
        lake::check(scratch.path());
        redirected("target-csv", redirection, &day, b"garbage\n").exits(76);
        let config = settings(&target, "overwrite");
        redirected("target-postgres", redirection, &config, &whole).success();
        assert_eq!(target.psql("SELECT id, name FROM t"), "1|a");
        let tap = redirected("tap-postgres", redirection, &target.settings(), b"").success();
        assert_eq!(tap.records("public-t").len(), 1);
    }
}

#[test]
fn an_input_that_is_none_is_refused() {
    let target = database("no_input");
    let scratch = folder();
    let day = json!({ "output_path": scratch.path(), "source": "s", "datestamp": DAY });
    for (name, config) in [("target-csv", &day), ("target-postgres", &target.settings())] {
        redirected(name, "<&-", config, b"").exits(76);
        redirected(name, "</dev/null", config, b"").exits(76);
        redirected(name, "</", config, b"").exits(74);
        redirected(name, "--input /none", config, b"").exits(66);
    }
    assert!(lake::sums(scratch.path()).is_empty());
    target.psql("CREATE TABLE t (id integer)");
    let full = redirected("tap-postgres", ">/dev/full", &target.settings(), b"").exits(74);
    assert!(full.stderr.contains("standard output"), "{}", full.stderr);
}
