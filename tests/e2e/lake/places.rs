//! Folders that cannot be written, files that changed on the disk, days that are none (D02, D04,
//! D06 to D08, D10, D11, Z01, Z04, Z06, Z08).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;

use support::faults::{Random, figure, tries};
use support::invariants::{Partition, Place, Reading, Saw, Trial, explains, fails, is_done};
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, Run, ours};
use support::sshd::set_time;
use support::strace::traced;
use support::{binaries_dir, folder, lake};

fn good() -> Vec<u8> {
    Lines::whole(&[(1, "a"), (2, "b")]).0
}

/// Runs a script with the target as `$1`, in a folder, and in a name space of its own where `mount`
/// may be called; `None` where that is forbidden, as in some containers.
fn mounted(folder: &Path, script: &str) -> Option<Outcome> {
    let unshare = || Run::new(Path::new("/usr/bin/unshare")).args(["-Urm"]);
    if unshare().args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).go().code != 0 {
        return None;
    }
    let script = format!("cd '{}'\n{script}", folder.display());
    let run = unshare().args(["sh", "-c", &script, "sh"]).args([binaries_dir().join("target-csv")]);
    Some(run.args([DAY]).input(good()).go())
}

const RUN: &str = "\"$1\" --set output_path=\"$PWD/lake\" --set source=s --set datestamp=\"$2\"";

#[test]
fn folders_that_cannot_be_written_are_named() {
    let scratch = folder();
    // Nobody, to whom the folder does not belong; without the right to be another, oneself.
    let outputs = scratch.path().join("lake");
    fs::create_dir(&outputs).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&outputs, fs::Permissions::from_mode(0o555)).unwrap();
    let program = scratch.path().join("target-csv");
    // Not by this process: others that it starts meanwhile would hold the file open for writing.
    let copy = Run::new(Path::new("/bin/cp")).args([binaries_dir().join("target-csv")]);
    copy.args([&program]).go().success();
    let nobody = rustix::process::geteuid().is_root();
    let run = |output: &Path| {
        let run = if nobody {
            let run = Run::new(Path::new("/usr/bin/setpriv"));
            run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args([&program])
        } else {
            Run::new(&program)
        };
        let run = run.set("output_path", output.display()).set("source", "s");
        run.set("datestamp", DAY).input(good()).go()
    };
    for output in [&outputs, &outputs.join("below"), &outputs.join("a/b/c")] {
        let outcome = run(output);
        explains(&outcome, &[74, 77]);
        assert!(outcome.stderr.contains("Permission denied"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(outputs.to_str().unwrap()), "{}", outcome.stderr);
        assert_eq!(fs::read_dir(&outputs).unwrap().count(), 0);
    }
    // A file where a folder should be.
    let file = scratch.path().join("file");
    fs::write(&file, "mine").unwrap();
    for output in [file.clone(), file.join("below")] {
        let outcome = to_lake(&output, "s", DAY).input(good()).go();
        explains(&outcome, &[74, 78]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
    // What is missing above the output folder is made.
    let deep = scratch.path().join("x/y/z");
    to_lake(&deep, "s", DAY).input(good()).go().success();
    lake::check(&deep);
}

#[test]
fn odd_file_systems_end_a_run_with_nothing_published() {
    let cases = [
        ("read-only", "mkdir lake; mount -t tmpfs -o ro tmpfs lake", "Read-only file system"),
        ("without inodes", "mkdir lake; mount -t tmpfs -o nr_inodes=8 tmpfs lake", "No space left"),
        (
            "of two halves",
            "mkdir -p lake/source=s; mount -t tmpfs tmpfs lake/source=s",
            "across file systems",
        ),
    ];
    let mut seen = 0;
    for (name, prepare, words) in cases {
        let scratch = folder();
        let after = "find lake -name '*.csv' -o -name '*.partial' | sed 's/^/stayed: /' >&2";
        let script = format!("{prepare} || exit 99\n{RUN}\ncode=$?\n{after}\nexit $code");
        let Some(outcome) = mounted(scratch.path(), &script) else { continue };
        fails(&outcome, &[74, 78]);
        assert!(
            outcome.stderr.to_lowercase().contains(&words.to_lowercase()),
            "{name}: {outcome:?}"
        );
        assert!(!outcome.stderr.contains("stayed: "), "{name}: {}", outcome.stderr);
        seen += 1;
    }
    figure("odd file systems", seen);
}

#[test]
fn quotas_and_limits_of_size_end_a_run_with_nothing_published() {
    for error in ["EDQUOT", "EFBIG", "ENOSPC", "EROFS"] {
        for call in ["write:when=1+", "mkdir:when=2+", "fsync:when=1+", "rename,renameat2:when=1+"]
        {
            let scratch = folder();
            let (call, when) = call.split_once(':').unwrap();
            let fault = format!("{call}:error={error}:{when}");
            let run = traced("target-csv", &[fault]).set("output_path", scratch.path().display());
            let outcome = run.set("source", "s").set("datestamp", DAY).input(good()).go();
            let lake = scratch.path();
            let place = Partition { lake, source: "s", day: DAY, table: "t" };
            let new = "id,name\n1,a\n2,b\n".to_owned();
            let trial = Trial { place: &place, old: None, new, gaps: false };
            if call == "write" {
                // Messages themselves are written, too.
                assert_eq!((outcome.code, place.seen()), (74, None), "{error}");
            } else {
                assert_eq!(trial.after_fault(&outcome, &[74]), Saw::Old, "{call} {error}");
            }
            trial.after_rerun(&to_lake(lake, "s", DAY).input(good()).go());
        }
    }
}

#[test]
fn files_are_for_their_owner_and_group_whatever_the_umask() {
    for umask in ["000", "022", "027", "077"] {
        let scratch = folder();
        let output = scratch.path().join("new/above/lake");
        let script = format!("umask {umask}; exec \"$@\"");
        let target = |path: &Path| {
            let run = Run::new(Path::new("/bin/sh")).args(["-c", &script, "sh"]);
            let run = run.args([binaries_dir().join("target-csv")]);
            run.set("output_path", path.display()).set("datestamp", DAY).input(good())
        };
        target(&output).set("source", "s").go().success();
        let plain = scratch.path().join("plain/above");
        target(&plain).set("file_naming_scheme", "{datestamp}/{stream_name}.csv").go().success();
        let mask = u32::from_str_radix(umask, 8).unwrap();
        for entry in walkdir::WalkDir::new(scratch.path()).min_depth(1) {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let most = if entry.file_type().is_dir() { 0o750 } else { 0o640 };
            assert_eq!(mode & !(most & !mask), 0, "{umask} {}: {mode:o}", entry.path().display());
            assert_eq!(mode & 0o600, 0o600 & !mask, "{umask} {}: {mode:o}", entry.path().display());
        }
        from_lake(&output, DAY).go().success();
    }
}

#[test]
fn a_bit_that_flips_in_a_published_day_is_found() {
    let scratch = folder();
    to_lake(scratch.path(), "s", DAY).input(good()).go().success();
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    let whole = from_lake(scratch.path(), DAY).go();
    let before = whole.records("t");
    let reading = Reading::of("t", [&whole]);
    let mut random = Random::new();
    let mut flips = 0;
    for entry in fs::read_dir(&partition).unwrap().flatten() {
        let path = entry.path();
        let whole = fs::read(&path).unwrap();
        for _ in 0..tries(12, 400) {
            let mut bytes = whole.clone();
            let at = random.below(u64::try_from(whole.len()).unwrap());
            bytes[usize::try_from(at).unwrap()] ^= 1 << random.below(8);
            fs::write(&path, &bytes).unwrap();
            let outcome = from_lake(scratch.path(), DAY).go();
            reading.after_fault(&outcome, &[65, 66, 78]);
            assert_eq!(outcome.text().matches("\"RECORD\"").count(), 0, "{outcome:?}");
            // Also by who does not ask for the record of the run: these rows, or no success.
            // Another number of rows is seen at their end.
            let outcome = from_lake(scratch.path(), DAY).set("require_run_record", false).go();
            let rows = outcome.text().matches("\"RECORD\"").count();
            assert!(outcome.code != 0 || rows == before.len(), "{outcome:?}");
            assert!(outcome.code == 0 || !is_done(&outcome), "{outcome:?}");
            flips += 1;
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(from_lake(scratch.path(), DAY).go().success().records("t"), before);
    // The time of a file's last change tells nothing.
    for entry in fs::read_dir(&partition).unwrap().flatten() {
        set_time(&entry.path(), SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    }
    assert_eq!(from_lake(scratch.path(), DAY).go().success().records("t"), before);
    figure("flipped bits of files of a day", flips);
}

#[test]
fn days_are_real_dates_before_anything_is_touched() {
    let scratch = folder();
    let output = scratch.path().join("lake");
    for day in [
        "20260230",
        "2026-02-30",
        "2026-1-1",
        "20260101x",
        "",
        "../",
        "0000-01-01",
        "today",
        "2023-02-29",
        "10000-01-01",
        "2026-11-20 ",
        "-001-01-01",
        "2026-11-20T00:00:00Z",
    ] {
        to_lake(&output, "s", day).input(good()).go().exits(78);
        assert!(!output.exists(), "{day}");
        let tap = from_lake(scratch.path(), day).go();
        assert!([64, 78].contains(&tap.code), "{day}: {}", tap.stderr);
    }
    for day in ["0001-01-01", "1900-02-28", "2000-02-29", "2024-02-29", "2038-01-19", "9999-12-31"]
    {
        to_lake(&output, "s", day).input(good()).go().success();
        let records = from_lake(&output, day).go().success().records("t");
        assert_eq!(records.len(), 2, "{day}");
    }
    lake::check(&output);
}

#[test]
fn zones_that_are_not_there_are_refused_and_the_machine_s_own_means_nothing() {
    let rows = |zone: Option<&str>| {
        let scratch = folder();
        let run = to_lake(scratch.path(), "s", DAY).set("timestamp_timezone", "Europe/Berlin");
        let run = if let Some(zone) = zone { run.env("TZ", zone) } else { run };
        run.input(good()).go().success();
        lake::data(&lake::partition(scratch.path(), "s", DAY, "t"))
    };
    let plain = rows(None);
    for zone in ["", ":bad", "Nowhere/Land", "Asia/Kathmandu", "/dev/null", "../../etc/passwd"] {
        assert_eq!(rows(Some(zone)), plain, "{zone}");
    }
    for zone in ["Nowhere/Land", "../../etc/passwd", ""] {
        let scratch = folder();
        let run = ours("target-csv").config(&json!({
            "output_path": scratch.path(), "source": "s", "datestamp": DAY,
            "timestamp_timezone": zone,
        }));
        run.input(good()).go().exits(78);
    }
}
