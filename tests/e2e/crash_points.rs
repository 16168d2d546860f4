//! Death and failing calls at each step of a publication (K01 to K15, D03, D12): the old generation
//! or the new one is there, whole, and the next run puts all in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::support::messages::Lines;
use crate::support::pipes::{DAY, from_lake, to_lake};
use crate::support::run::{Outcome, Run, file};
use crate::support::strace::{Point, points, traced};
use crate::support::{folder, lake};

/// Rows of the new generation: several writes.
const NEW: usize = 3000;

/// Runs at once: a replacement mostly waits for the sake of readers.
const AT_ONCE: usize = 6;

/// What every run of a test works with.
struct Stage {
    scratch: tempfile::TempDir,
    /// The output folder as it is before.
    before: PathBuf,
    /// The messages of the new generation.
    input: PathBuf,
    /// Faults of all runs but the last of each case.
    faults: Vec<String>,
    /// How many rows were there after the faults, and how the runs ended.
    seen: Mutex<BTreeSet<(Option<usize>, i32)>>,
}

impl Stage {
    fn new(replaces: bool, faults: &[&str]) -> Self {
        let scratch = folder();
        let before = scratch.path().join("before");
        if replaces {
            to_lake(&before, "s", DAY).input(Lines::whole(&[(7, "old")]).0).go().success();
        }
        let id = |id: usize| i64::try_from(id).unwrap();
        let row = |lines: Lines, at| lines.row(id(at), "a row of the new generation");
        let input = (0..NEW).fold(Lines::opened(), row).done().0;
        let input = file(scratch.path(), "input", input);
        let faults = faults.iter().map(ToString::to_string).collect();
        Self { scratch, before, input, faults, seen: Mutex::default() }
    }

    fn replaces(&self) -> bool {
        self.before.exists()
    }

    /// Returns a fresh copy of the output folder.
    fn lake(&self, name: &str) -> PathBuf {
        let lake = self.scratch.path().join(name);
        if self.replaces() {
            let copied = Command::new("cp").arg("-a").args([&self.before, &lake]).status();
            assert!(copied.unwrap().success());
        }
        lake
    }

    /// Completes a run of target-csv with the new generation.
    fn publish(&self, run: Run, lake: &Path) -> Run {
        run.set("output_path", lake.display())
            .set("source", "s")
            .set("datestamp", DAY)
            .args(["--input".as_ref(), self.input.as_os_str()])
    }

    /// Returns the calls of a run that changes nothing but a copy.
    fn points(&self) -> Vec<Point> {
        let lake = self.lake("recorded");
        let points = points("target-csv", &self.faults, &lake, |run| self.publish(run, &lake));
        assert_eq!(rows(&lake), Some(NEW));
        points
    }

    /// Runs with one more fault, then plainly; what must hold after each.
    fn case(&self, number: usize, point: &Point, fault: &str) {
        let lake = self.lake(&number.to_string());
        let mut faults = self.faults.clone();
        faults.push(point.inject(fault));
        let outcome = self.publish(traced("target-csv", &faults), &lake).go();
        self.check(&lake, point, fault, &outcome);

        if number.is_multiple_of(2) {
            // A run of another day, too, puts in order what it finds.
            let other = Lines::whole(&[(8, "other")]).0;
            to_lake(&lake, "s", "2026-11-19").input(other).go().success();
            lake::check_swept(&lake);
            assert!(rows(&lake).is_some() || !self.replaces());
        }
        self.publish(Run::new(&binary()), &lake).go().success();
        assert_eq!(rows(&lake), Some(NEW));
        lake::check_swept(&lake);
        assert_eq!(from_lake(&lake, DAY).go().success().records("t").len(), NEW);
        fs::remove_dir_all(&lake).unwrap();
    }

    fn check(&self, lake: &Path, point: &Point, fault: &str, outcome: &Outcome) {
        let killed = fault.starts_with("signal=KILL");
        let codes: &[i32] = if killed { &[137] } else { &[0, 74] };
        assert!(codes.contains(&outcome.code), "{point:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{point:?}: {}", outcome.stderr);
        let says = outcome.stderr.contains("path:") || outcome.code != 74;
        assert!(says, "{point:?}: no path in {}", outcome.stderr);
        let there = rows(lake);
        let old = if self.replaces() { Some(1) } else { None };
        // Without an exchange of two folders in one step, a reader may miss the partition.
        let gone = there.is_none() && !self.faults.is_empty();
        assert!([old, Some(NEW)].contains(&there) || gone, "{point:?}: {there:?} rows");
        self.seen.lock().unwrap().insert((there, outcome.code));
        if outcome.text().contains("\"currently_syncing\":null") || outcome.code == 0 {
            assert_eq!(there, Some(NEW), "{point:?}: said to be done: {outcome:?}");
        }
        // Who reads now gets a whole generation or is told that there is none to trust.
        let read = from_lake(lake, DAY).go();
        assert!([0, 66].contains(&read.code), "{point:?}: {}", read.stderr);
        if read.code == 0 {
            assert_eq!(Some(read.records("t").len()), there, "{point:?}");
        }
    }

    /// Runs each case, some at once.
    fn all(&self, cases: &[(Point, &str)]) {
        let numbered: Vec<_> = cases.iter().enumerate().collect();
        for some in numbered.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                for (number, (point, fault)) in some {
                    // A panic then says which case it was.
                    let name = format!("{fault} at {} {}", point.call, point.nth);
                    let thread = std::thread::Builder::new().name(name);
                    thread.spawn_scoped(scope, || self.case(*number, point, fault)).unwrap();
                }
            });
        }
        let seen = self.seen.lock().unwrap();
        // Else the faults did not meet the publication.
        let old = self.replaces().then_some(1);
        let killed = cases[0].1.starts_with("signal=KILL");
        let code = if killed { 137 } else { 74 };
        assert!(seen.contains(&(old, code)) && seen.contains(&(Some(NEW), code)), "{seen:?}");
    }
}

fn binary() -> PathBuf {
    crate::support::binaries_dir().join("target-csv")
}

/// Returns how many rows the partition has, when it is there; it is then whole.
fn rows(lake: &Path) -> Option<usize> {
    if !lake.exists() {
        return None;
    }
    lake::check(lake);
    let partition = lake::partition(lake, "s", DAY, "t");
    partition.exists().then(|| lake::data(&partition).lines().count() - 1)
}

fn with<'a>(points: &[Point], faults: &[&'a str]) -> Vec<(Point, &'a str)> {
    let one = |point: &Point| faults.iter().map(|fault| (point.clone(), *fault)).collect();
    points.iter().flat_map(|point| -> Vec<_> { one(point) }).collect()
}

#[test]
fn killed_at_each_call_a_run_leaves_the_old_generation_or_the_new() {
    for replaces in [false, true] {
        let stage = Stage::new(replaces, &[]);
        let mut points = stage.points();
        points.retain(Point::changes);
        stage.all(&with(&points, &["signal=KILL"]));
    }
}

#[test]
fn whichever_call_fails_a_run_leaves_the_old_generation_or_the_new() {
    for replaces in [false, true] {
        let stage = Stage::new(replaces, &[]);
        let points = stage.points();
        let (changing, reading): (Vec<_>, Vec<_>) = points.into_iter().partition(Point::changes);
        stage.all(&with(&changing, &["error=EIO", "error=ENOSPC"]));
        stage.all(&with(&reading, &["error=EIO"]));
    }
}

#[test]
fn without_an_exchange_of_folders_two_renames_do_and_dying_between_is_mended() {
    for refusal in ["EINVAL", "ENOSYS", "EOPNOTSUPP"] {
        let stage = Stage::new(true, &[&format!("renameat2:error={refusal}")]);
        let lake = stage.lake("plain");
        let outcome = stage.publish(traced("target-csv", &stage.faults), &lake).go().success();
        assert_eq!(outcome.stderr.matches("cannot exchange two folders").count(), 1);
        assert_eq!(rows(&lake), Some(NEW));
        lake::check_swept(&lake);
    }
    let stage = Stage::new(true, &["renameat2:error=EINVAL"]);
    let mut points = stage.points();
    points.retain(Point::changes);
    // Each one twice, so that either kind of run mends it.
    stage.all(&with(&points, &["signal=KILL", "signal=KILL"]));
    assert!(stage.seen.lock().unwrap().contains(&(None, 137)), "never between the renames");
    points.retain(|point| point.call == "rename" || point.call == "fsync");
    stage.all(&with(&points, &["error=EIO"]));
}

#[test]
fn dying_again_and_again_while_mending_converges() {
    let stage = Stage::new(true, &["renameat2:error=EINVAL"]);
    let renames = stage.points().into_iter().filter(|point| point.call == "rename");
    let broken = renames.enumerate().find_map(|(number, point)| {
        let lake = stage.lake(&format!("broken{number}"));
        let faults = [stage.faults[0].clone(), point.inject("signal=KILL")];
        assert_eq!(stage.publish(traced("target-csv", &faults), &lake).go().code, 137);
        rows(&lake).is_none().then_some(lake)
    });
    // From here on each copy is of a day that died between its two renames.
    let stage = Stage { before: broken.expect("a death between the renames"), ..stage };
    let other = |run: Run, lake: &Path| {
        run.set("output_path", lake.display())
            .set("source", "s")
            .set("datestamp", "2026-11-19")
            .args(["--input".as_ref(), stage.input.as_os_str()])
    };
    let recorded = stage.lake("recorded anew");
    let mut points = points("target-csv", &[], &recorded, |run| other(run, &recorded));
    assert_eq!(rows(&recorded), Some(NEW), "what died had all its rows");
    // Before a run writes rows of its own, it mends.
    let own = points.iter().position(|point| point.line.contains(".partial\"")).unwrap();
    points.truncate(own);
    points.retain(Point::changes);
    assert!(points.iter().any(|point| point.call == "rename"), "{points:?}");
    for (number, point) in points.iter().enumerate() {
        let lake = stage.lake(&format!("mended{number}"));
        for _ in 0..5 {
            let faults = [point.inject("signal=KILL")];
            let outcome = other(traced("target-csv", &faults), &lake).go();
            // Once mended there is less to do, so the call may not come again.
            assert!([0, 137].contains(&outcome.code), "{point:?}: {outcome:?}");
            assert!([None, Some(NEW)].contains(&rows(&lake)), "{point:?}");
        }
        other(Run::new(&binary()), &lake).go().success();
        assert_eq!(rows(&lake), Some(NEW), "{point:?}");
        lake::check_swept(&lake);
        fs::remove_dir_all(&lake).unwrap();
    }
}
