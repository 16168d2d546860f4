//! Death and failing calls at each step of a publication (K01 to K15, D03, D12): the old generation
//! or the new one is there, whole, and the next run puts all in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use support::faults::{each, figure, tries};
use support::invariants::{KILLED, Partition, Place, Saw, Trial};
use support::messages::{Lines, csv};
use support::pipes::{DAY, to_lake};
use support::run::{Outcome, Run, file};
use support::strace::{Point, points, traced};
use support::{folder, lake};

/// Rows of the new generation: several writes.
const NEW: usize = 3000;

const TEXT: &str = "a row of the new generation";

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
    /// What was there after the faults, and how the runs ended.
    seen: Mutex<BTreeSet<(Saw, i32)>>,
}

impl Stage {
    fn new(replaces: bool, faults: &[&str]) -> Self {
        let scratch = folder();
        let before = scratch.path().join("before");
        if replaces {
            to_lake(&before, "s", DAY).input(Lines::whole(&[(7, "old")]).0).go().success();
        }
        let id = |id: usize| i64::try_from(id).unwrap();
        let row = |lines: Lines, at| lines.row(id(at), TEXT);
        let input = (0..NEW).fold(Lines::opened(), row).done().0;
        let input = file(scratch.path(), "input", input);
        let faults = faults.iter().map(ToString::to_string).collect();
        Self { scratch, before, input, faults, seen: Mutex::default() }
    }

    fn replaces(&self) -> bool {
        self.before.exists()
    }

    fn trial<'a>(&self, place: &'a Partition<'a>) -> Trial<'a> {
        let ids = 0..i64::try_from(NEW).unwrap();
        let new = "id,name\n".to_owned() + &csv(ids.map(|id| (id, TEXT)));
        let old = self.replaces().then(|| "id,name\n7,old\n".to_owned());
        // Without an exchange of two folders in one step, readers may miss the partition.
        Trial { place, old, new, gaps: !self.faults.is_empty() }
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
        self.check(&lake, fault, &outcome);

        if number.is_multiple_of(2) {
            // A run of another day, too, puts in order what it finds.
            let other = Lines::whole(&[(8, "other")]).0;
            to_lake(&lake, "s", "2026-11-19").input(other).go().success();
            lake::check_swept(&lake);
            assert!(place(&lake).seen().is_some() || !self.replaces());
        }
        let again = self.publish(Run::new(&binary()), &lake).go();
        self.trial(&place(&lake)).after_rerun(&again);
        fs::remove_dir_all(&lake).unwrap();
    }

    fn check(&self, lake: &Path, fault: &str, outcome: &Outcome) {
        let killed = fault.starts_with("signal=KILL");
        let codes: &[i32] = if killed { &[KILLED] } else { &[0, 74] };
        assert!(outcome.stderr.contains("path:") || outcome.code != 74, "{}", outcome.stderr);
        let saw = self.trial(&place(lake)).after_fault(outcome, codes);
        self.seen.lock().unwrap().insert((saw, outcome.code));
    }

    /// Runs each case, some at once.
    fn all(&self, cases: &[(Point, &str)]) {
        let numbered: Vec<_> = cases.iter().enumerate().collect();
        each(AT_ONCE, &numbered, |(number, (point, fault))| self.case(*number, point, fault));
        let seen = self.seen.lock().unwrap();
        // Else the faults did not meet the publication.
        let killed = cases[0].1.starts_with("signal=KILL");
        let code = if killed { KILLED } else { 74 };
        assert!(seen.contains(&(Saw::Old, code)) && seen.contains(&(Saw::New, code)), "{seen:?}");
        figure("calls to the system that were the last or failed", cases.len());
    }
}

fn binary() -> PathBuf {
    support::binaries_dir().join("target-csv")
}

fn place(lake: &Path) -> Partition<'_> {
    Partition { lake, source: "s", day: DAY, table: "t" }
}

/// Returns how many rows the partition has, when it is there; it is then whole.
fn rows(lake: &Path) -> Option<usize> {
    place(lake).seen().map(|text| text.lines().count() - 1)
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
        let faults = ["error=EIO", "error=ENOSPC", "error=EDQUOT"];
        stage.all(&with(&changing, &faults[..tries(2, 3)]));
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
    assert!(
        stage.seen.lock().unwrap().contains(&(Saw::Nothing, KILLED)),
        "never between the renames"
    );
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
        assert_eq!(stage.publish(traced("target-csv", &faults), &lake).go().code, KILLED);
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
            assert!([0, KILLED].contains(&outcome.code), "{point:?}: {outcome:?}");
            assert!([None, Some(NEW)].contains(&rows(&lake)), "{point:?}");
        }
        other(Run::new(&binary()), &lake).go().success();
        assert_eq!(rows(&lake), Some(NEW), "{point:?}");
        lake::check_swept(&lake);
        fs::remove_dir_all(&lake).unwrap();
    }
}
