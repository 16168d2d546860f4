//! A file system that is really full: nothing is published, nothing stays.

use std::path::{Path, PathBuf};

use support::invariants::{Partition, Saw, Trial, is_done};
use support::messages::{Lines, csv};
use support::pipes::DAY;
use support::run::{Outcome, Run, file, ours};
use support::strace::traced;
use support::{binaries_dir, folder};

/// Mounts a file system of a few kilobytes that only this process and its children see, publishes
/// a small day there, then a big one, then the small one again. `$1` is its size, `$2` the target,
/// `$3` and `$4` the days. What is there after each is copied to where the test sees it; what the
/// target says and how it ends is kept beside it.
const SCRIPT: &str = r#"
mkdir disk || exit 99
mount -t tmpfs -o size="$1" tmpfs disk || exit 98
publish() {
    "$1" --set output_path="$PWD/disk/lake" --set source=s --set datestamp="$4" \
        --input "$2" >"$3.out" 2>"$3.err"
    echo $? >"$3.code"
    [ ! -e disk/lake ] || cp -a disk/lake "$3" || exit 97
}
publish "$2" "$3" small "$5"
publish "$2" "$4" big "$5"
publish "$2" "$3" again "$5"
"#;

/// What the runs left behind.
struct Runs {
    scratch: tempfile::TempDir,
}

impl Runs {
    /// Runs on a file system of this size.
    fn on(size: &str) -> Self {
        let scratch = folder();
        let script = format!("cd '{}'\n{SCRIPT}", scratch.path().display());
        Run::new(Path::new("/usr/bin/unshare"))
            .args(["-Urm", "sh", "-c", &script, "sh", size])
            .args([binaries_dir().join("target-csv")])
            .args(inputs(scratch.path()))
            .args([DAY])
            .go()
            .success();
        Self { scratch }
    }

    fn outcome(&self, name: &str) -> Outcome {
        let read = |end: &str| std::fs::read(self.scratch.path().join(format!("{name}.{end}")));
        Outcome {
            code: String::from_utf8(read("code").unwrap()).unwrap().trim().parse().unwrap(),
            stdout: read("out").unwrap(),
            stderr: String::from_utf8(read("err").unwrap()).unwrap(),
        }
    }

    /// Has what must hold after a run checked; the rows of the small day are the old ones.
    fn tried<T>(&self, name: &str, old: bool, check: impl FnOnce(&Trial<'_>) -> T) -> T {
        let lake = self.scratch.path().join(name);
        let place = Partition { lake: &lake, source: "s", day: DAY, table: "t" };
        let rows = if name == "big" { big() } else { SMALL.to_vec() };
        let text = |rows: &[(i64, &str)]| "id,name\n".to_owned() + &csv(rows.iter().copied());
        let old = old.then(|| text(SMALL));
        check(&Trial { place: &place, old, new: text(&rows), gaps: false })
    }
}

const SMALL: &[(i64, &str)] = &[(1, "small")];

fn big() -> Vec<(i64, &'static str)> {
    (0..40_000).map(|id| (id, "a row of a day that is too big for the disk")).collect()
}

fn inputs(scratch: &Path) -> [PathBuf; 2] {
    [("small.in", SMALL), ("big.in", &big())]
        .map(|(name, rows)| file(scratch, name, Lines::whole(rows).0))
}

fn is_named(outcome: &Outcome) {
    let says = |text: &str| outcome.stderr.contains(text);
    assert!(says("path: ") && says("No space left on device"), "{}", outcome.stderr);
    assert!(says("hint: free some space"), "{}", outcome.stderr);
}

#[test]
fn a_full_file_system_leaves_the_old_day_and_nothing_else() {
    // Without the right to mount, as in some containers, all writes after some fail the same way.
    let mounts = Run::new(Path::new("/usr/bin/unshare"))
        .args(["-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .go();
    if mounts.code != 0 {
        return every_write_after_some_fails();
    }
    // From a few blocks, some of which the folders take, to almost enough.
    for size in ["32k", "64k", "200k", "1m", "1800k"] {
        let runs = Runs::on(size);
        runs.tried("small", false, |trial| trial.after_rerun(&runs.outcome("small")));
        let outcome = runs.outcome("big");
        let saw = runs.tried("big", true, |trial| {
            let saw = trial.after_fault(&outcome, &[74]);
            trial.place.check_swept();
            saw
        });
        assert_eq!(saw, Saw::Old, "{size}");
        is_named(&outcome);
        runs.tried("again", true, |trial| trial.after_rerun(&runs.outcome("again")));
    }
    // So full that not even the first small day fits.
    for size in ["4k", "8k", "12k", "16k"] {
        let runs = Runs::on(size);
        let small = runs.outcome("small");
        // The day may have found room before the record that the run finished did not.
        let saw = runs.tried("small", false, |trial| trial.after_fault(&small, &[0, 74]));
        if small.code != 0 {
            let said = is_done(&small);
            assert_eq!(saw == Saw::New, said, "{small:?}");
            assert!(!small.stderr.contains("nothing was published") || !said, "{small:?}");
            is_named(&small);
        }
        let outcome = runs.outcome("big");
        let saw = runs.tried("big", saw == Saw::New, |trial| {
            let saw = trial.after_fault(&outcome, &[74]);
            trial.place.check_swept();
            saw
        });
        assert_eq!(saw, Saw::Old, "{size}");
        is_named(&outcome);
    }
}

fn every_write_after_some_fails() {
    let scratch = folder();
    let [small, big] = inputs(scratch.path());
    for after in 1..4 {
        let lake = scratch.path().join(format!("lake{after}"));
        let place = Partition { lake: &lake, source: "s", day: DAY, table: "t" };
        let new = "id,name\n1,small\n".to_owned();
        let trial = Trial { place: &place, old: None, new, gaps: false };
        let day = |run: Run, input: &Path| {
            let run = run.set("output_path", lake.display()).set("source", "s");
            run.set("datestamp", DAY).args(["--input".as_ref(), input.as_os_str()]).go()
        };
        let fault = format!("write:error=ENOSPC:when={after}+");
        let outcome = day(traced("target-csv", &[fault]), &big);
        assert_eq!(trial.after_fault(&outcome, &[74]), Saw::Old);
        trial.after_rerun(&day(ours("target-csv"), &small));
    }
}
