//! Files that change while they are read, and paths that do not lead to a file (C21, C26).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;

use support::invariants::Reading;
use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{file, ours};
use support::{folder, lake};

/// More rows than the pipe and all buffers hold.
const ROWS: usize = 20_000;

fn row() -> String {
    format!("1234567,{}\n", "x".repeat(1000))
}

fn large() -> String {
    format!("a,b\n{}", row().repeat(ROWS))
}

fn append(path: &Path) {
    File::options().append(true).open(path).unwrap().write_all(row().as_bytes()).unwrap();
}

fn truncate(path: &Path, bytes: usize) {
    File::options().write(true).open(path).unwrap().set_len(bytes as u64).unwrap();
}

fn replace(path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, large()).unwrap();
    fs::rename(new, path).unwrap();
}

/// What happens to a file, in words and in deed.
type Change = (&'static str, fn(&Path));

#[test]
fn a_file_that_changes_while_it_is_read_is_read_again_another_time() {
    let scratch = folder();
    let path = file(scratch.path(), "t.csv", "");
    let changes: [Change; 9] = [
        ("grows", append),
        ("loses its last row", |path| truncate(path, large().len() - row().len())),
        ("is cut in a row", |path| truncate(path, ROWS / 2 * row().len() + 9)),
        ("is cut in a quoted field", |path| {
            truncate(path, 4 + ROWS / 2 * row().len());
            File::options().append(true).open(path).unwrap().write_all(b"1,\"a").unwrap();
        }),
        ("is emptied", |path| truncate(path, 0)),
        ("is emptied and written again", |path| fs::write(path, "other,header\n1,2\n").unwrap()),
        ("is written again in bytes that are no text", |path| {
            fs::write(path, vec![0xff; large().len()]).unwrap();
        }),
        ("is replaced by one alike", replace),
        ("is gone", |path| fs::remove_file(path).unwrap()),
    ];
    fs::write(&path, large()).unwrap();
    let entry = json!({ "entity": "t", "path": path, "infer_types": false });
    let tap = || ours("tap-csv").config(&json!({ "files": [entry] }));
    let whole = Reading::of("t", [&tap().go()]);
    for (name, change) in changes {
        fs::write(&path, large()).unwrap();
        let outcome = tap().go_amid(|| change(&path));
        whole.after_fault(&outcome, &[75]);
        assert!(outcome.stderr.contains("changed while it was read"), "{name}: {}", outcome.stderr);
        let messages = outcome.messages();
        let states: Vec<_> = messages.iter().filter(|m| m["type"] == "STATE").collect();
        for state in states {
            assert_eq!(state["value"]["currently_syncing"], "t", "{name}: {state}");
            assert!(state["value"]["bookmarks"]["t"].is_null(), "{name}: {state}");
        }
    }
    fs::write(&path, large()).unwrap();
    assert_eq!(tap().go().success().records("t").len(), ROWS, "a file at rest");
}

#[test]
fn a_file_that_changes_between_two_files_covers_no_more_than_the_first() {
    let scratch = folder();
    let first = file(scratch.path(), "in/1.csv", "a,b\n1,first\n");
    let second = file(scratch.path(), "in/2.csv", large());
    let entry = json!({ "entity": "t", "path": scratch.path().join("in"), "infer_types": false });
    let tap = || ours("tap-csv").config(&json!({ "files": [entry] }));
    let whole = Reading::of("t", [&tap().go()]);
    let outcome = tap().go_amid(|| append(&second));
    whole.after_fault(&outcome, &[75]);
    let state = outcome.messages().into_iter().rfind(|m| m["type"] == "STATE").unwrap();
    let files = state["value"]["bookmarks"]["t"]["files"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), [first.to_str().unwrap()]);
}

#[test]
fn a_day_is_read_as_it_was_when_it_is_published_again_and_not_when_it_is_bent() {
    let scratch = folder();
    let rows = |name: &str| {
        let rows: Vec<_> = (0..20_000).map(|id| (id, name)).collect();
        Lines::whole(&rows).0
    };
    let old = "x".repeat(1000);
    let publish = |name: &str| {
        to_lake(scratch.path(), "s", DAY).input(rows(name)).go().success();
    };
    publish(&old);
    let tap = || from_lake(scratch.path(), DAY);
    let whole = Reading::of("t", [&tap().go()]);
    assert!(whole.after_fault(&tap().go_amid(|| publish("new")), &[0]));

    publish(&old);
    let partition = lake::partition(scratch.path(), "s", DAY, "t");
    let data = fs::read_dir(&partition).unwrap().map(|entry| entry.unwrap().path());
    let data: Vec<PathBuf> = data.filter(|path| path.extension().unwrap() == "csv").collect();
    let outcome = tap().go_amid(|| append(&data[0]));
    whole.after_fault(&outcome, &[75]);
    assert!(!outcome.text().contains("manifest_sha256"));
}

#[test]
fn paths_lead_to_files_or_are_refused() {
    let scratch = folder();
    let at = |name: &str| scratch.path().join(name);
    let tap = |path: &Path| {
        let entry = json!({ "entity": "t", "path": path });
        ours("tap-csv").config(&json!({ "files": [entry] })).go()
    };
    file(scratch.path(), "real/1.csv", "a\n1\n");
    symlink(at("real/1.csv"), at("link.csv")).unwrap();
    symlink(at("real"), at("folder")).unwrap();
    for name in ["link.csv", "folder", "real", "folder/*.csv", "r*/1.csv"] {
        assert_eq!(tap(&at(name)).success().records("t"), [json!({ "a": 1 })], "{name}");
    }
    fs::create_dir_all(at("empty/folder.csv")).unwrap();
    symlink("gone.csv", at("dangling.csv")).unwrap();
    symlink("round.csv", at("round.csv")).unwrap();
    fs::create_dir(at("loop")).unwrap();
    symlink(at("loop"), at("loop/loop")).unwrap();
    symlink("/dev/zero", at("zero.csv")).unwrap();
    fs::create_dir(at("with_zero")).unwrap();
    symlink("/dev/zero", at("with_zero/1.csv")).unwrap();
    fs::create_dir(at("with_gone")).unwrap();
    symlink("gone.csv", at("with_gone/1.csv")).unwrap();
    let long = "x".repeat(300);
    for (name, codes) in [
        ("empty", [66, 66]),
        ("dangling.csv", [66, 66]),
        ("round.csv", [66, 74]),
        ("loop", [66, 66]),
        ("with_gone", [66, 66]),
        ("l*/l*", [66, 66]),
        ("zero.csv", [78, 78]),
        ("with_zero", [78, 78]),
        ("with_zero/*.csv", [78, 78]),
        ("link.csv/x.csv", [66, 66]),
        (long.as_str(), [66, 74]),
    ] {
        let outcome = tap(&at(name));
        assert!(codes.contains(&outcome.code), "{name}: {} {}", outcome.code, outcome.stderr);
        assert!(outcome.stderr.contains("path: "), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.records("t").len(), 0, "{name}");
    }
    // Links that nobody takes for a file of the folder: what editors and others leave there.
    for (target, name) in [(".", "round"), ("me@here.1", ".#1.csv")] {
        symlink(target, at("real").join(name)).unwrap();
    }
    let reads = |name: &str, told: &str| {
        let outcome = tap(&at(name)).success();
        assert_eq!(outcome.records("t"), [json!({ "a": 1 })], "{name}");
        assert!(outcome.stderr.contains(told), "{name}: {}", outcome.stderr);
    };
    reads("real", "real/.#1.csv: the link leads to nothing");
    // It is told, for it may have been a folder with more of them.
    symlink("gone", at("real/latest")).unwrap();
    reads("real/*.csv", "real/latest: the link leads to nothing");
    reads("real", "real/latest: the link leads to nothing");
    for name in ["real/**", "real/*/1.csv"] {
        let outcome = tap(&at(name)).exits(66);
        assert!(outcome.stderr.contains("latest"), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.records("t").len(), 0, "{name}");
    }
    fs::remove_file(at("real/latest")).unwrap();
    // The recorded input of a target.
    let target = |path: &Path| {
        let run = to_lake(&at("lake"), "s", DAY).args(["--input".as_ref(), path.as_os_str()]);
        run.go()
    };
    let recorded = file(scratch.path(), "recorded", Lines::whole(&[(1, "a")]).0);
    symlink(recorded, at("recorded_link")).unwrap();
    target(&at("recorded_link")).success();
    for (name, codes) in [("real", [66, 74]), ("gone", [66, 66]), ("dangling.csv", [66, 66])] {
        let outcome = target(&at(name));
        assert!(codes.contains(&outcome.code), "{name}: {} {}", outcome.code, outcome.stderr);
        assert!(outcome.stderr.contains(name) || name == "real", "{name}: {}", outcome.stderr);
    }
    lake::check(&at("lake"));
}
