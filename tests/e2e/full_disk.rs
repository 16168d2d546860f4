//! A file system that is really full: nothing is published, nothing stays.

use std::path::Path;

use crate::support::messages::Lines;
use crate::support::pipes::DAY;
use crate::support::run::{Outcome, Run, file};
use crate::support::strace::traced;
use crate::support::{binaries_dir, folder};

/// Mounts a file system of a few kilobytes that only this process and its children see, publishes
/// a small day there, then a big one, and lists what is there. `$1` is its size, `$2` the target,
/// `$3` and `$4` the days; what they say and how they end is kept beside it.
const SCRIPT: &str = r#"
mkdir disk || exit 99
mount -t tmpfs -o size="$1" tmpfs disk || exit 98
publish() {
    "$1" --set output_path="$PWD/disk/lake" --set source=s --set datestamp="$4" \
        --input "$2" >"$3.out" 2>"$3.err"
    echo $? >"$3.code"
}
sums() { (cd disk/lake && find . -type f ! -path './.locks/*' -exec sha256sum {} + | sort) }
left() { find disk/lake/.staging -mindepth 1 | sort; }
publish "$2" "$3" small "$5"
sums >before
publish "$2" "$4" big "$5"
sums >after
left >left
publish "$2" "$3" again "$5"
left >>left
sums >end
"#;

struct Files<'a>(&'a Path);

impl Files<'_> {
    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    fn outcome(&self, name: &str) -> Outcome {
        Outcome {
            code: self.text(&format!("{name}.code")).trim().parse().unwrap(),
            stdout: self.text(&format!("{name}.out")).into_bytes(),
            stderr: self.text(&format!("{name}.err")),
        }
    }
}

fn inputs(scratch: &Path) -> [std::path::PathBuf; 2] {
    let small = Lines::whole(&[(1, "small")]).0;
    let row = |lines: Lines, id| lines.row(id, "a row of a day that is too big for the disk");
    let big = (0..40_000).fold(Lines::opened(), row).done().0;
    [file(scratch, "small", small), file(scratch, "big", big)]
}

fn refused(outcome: Outcome) {
    let outcome = outcome.exits(74);
    let says = |text: &str| outcome.stderr.contains(text);
    assert!(says("path: ") && says("No space left on device"), "{}", outcome.stderr);
    assert!(says("hint: make room"), "{}", outcome.stderr);
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
        let scratch = folder();
        let [small, big] = inputs(scratch.path());
        let script = format!("cd '{}'\n{SCRIPT}", scratch.path().display());
        let run = Run::new(Path::new("/usr/bin/unshare"))
            .args(["-Urm", "sh", "-c", &script, "sh", size])
            .args([binaries_dir().join("target-csv"), small, big])
            .args([DAY]);
        run.go().success();
        let files = Files(scratch.path());
        files.outcome("small").success();
        assert_eq!(files.text("before").lines().count(), 3, "{}", files.text("before"));
        let big = files.outcome("big");
        assert!(!big.text().contains("\"currently_syncing\":null"), "{}", big.text());
        refused(big);
        assert_eq!(files.text("after"), files.text("before"), "{size}");
        files.outcome("again").success();
        assert_eq!(files.text("end"), files.text("before"), "{size}");
        assert_eq!(files.text("left"), "", "{size}");
    }
    // So full that not even the first small day fits.
    for size in ["4k", "8k", "12k", "16k"] {
        let scratch = folder();
        let [small, big] = inputs(scratch.path());
        let script = format!("cd '{}'\n{SCRIPT}", scratch.path().display());
        let run = Run::new(Path::new("/usr/bin/unshare"))
            .args(["-Urm", "sh", "-c", &script, "sh", size])
            .args([binaries_dir().join("target-csv"), small, big])
            .args([DAY]);
        run.go();
        let files = Files(scratch.path());
        refused(files.outcome("big"));
        let small = files.outcome("small");
        if small.code != 0 {
            // The day may have found room before the record that the run finished did not.
            let said = small.text().contains("\"currently_syncing\":null");
            assert_eq!(files.text("before").contains("/_manifest.json"), said, "{small:?}");
            assert!(!small.stderr.contains("nothing was published") || !said, "{small:?}");
            refused(small);
        }
        assert_eq!(files.text("after"), files.text("before"), "{size}");
        assert_eq!(files.text("left"), "", "{size}");
    }
}

fn every_write_after_some_fails() {
    let scratch = folder();
    let [_, big] = inputs(scratch.path());
    for after in 1..4 {
        let lake = scratch.path().join("lake");
        let fault = format!("write:error=ENOSPC:when={after}+");
        let run = traced("target-csv", &[fault]).set("output_path", lake.display());
        let run = run.set("source", "s").set("datestamp", DAY);
        let outcome = run.args(["--input".as_ref(), big.as_os_str()]).go();
        assert_eq!(outcome.code, 74, "{}", outcome.stderr);
        assert!(!lake.join("source=s").exists());
    }
}
