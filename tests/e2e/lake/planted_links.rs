//! Links and names that another user planted in an output folder lead nowhere (I04, I05).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use support::messages::Lines;
use support::pipes::{DAY, from_lake, to_lake};
use support::run::{Outcome, ours};
use support::{folder, lake};

fn day(lake: &Path) -> Outcome {
    to_lake(lake, "s", DAY).input(Lines::whole(&[(1, "a")]).0).go()
}

#[test]
fn links_planted_in_the_output_folder_are_not_followed() {
    let planted = [
        ".staging",
        ".locks",
        ".runs",
        "source=s",
        "source=s/extracted_at=2026-11-20",
        "source=s/extracted_at=2026-11-20/table=t",
    ];
    for name in planted {
        let (scratch, elsewhere) = (folder(), folder());
        let link = scratch.path().join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(elsewhere.path(), &link).unwrap();
        let outcome = day(scratch.path()).exits(78);
        assert!(outcome.stderr.contains("symbolic link"), "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(name), "{name}: {}", outcome.stderr);
        let there: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().collect();
        assert!(there.is_empty(), "{name}: {there:?}");
        fs::remove_file(link).unwrap();
        day(scratch.path()).success();
        lake::check(scratch.path());
    }
    // A plain file is replaced by name: what the link led to stays.
    let scratch = folder();
    let secret = scratch.path().join("secret");
    fs::write(&secret, "mine").unwrap();
    for (name, code) in [("t.csv", 78), (".t.csv.1.partial", 0), (".t.csv.2.partial", 0)] {
        symlink(&secret, scratch.path().join(name)).unwrap();
        let plain = ours("target-csv").set("output_path", scratch.path().display());
        let outcome = plain.input(Lines::whole(&[(1, "a")]).0).go();
        assert_eq!(outcome.code, code, "{name}: {}", outcome.stderr);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "mine", "{name}");
        let _ = fs::remove_file(scratch.path().join(name));
    }
}

#[test]
fn links_planted_at_the_lock_files_are_not_followed() {
    let (scratch, elsewhere) = (folder(), folder());
    // A run at work shows what its locks are called.
    let mut run = to_lake(scratch.path(), "s", DAY).start_with(Stdio::piped(), true);
    let mut stdin = run.child().stdin.take().unwrap();
    stdin.write_all(&Lines::opened().schema("u", &json!({ "id": {} }), &[]).0).unwrap();
    stdin.flush().unwrap();
    let locks = scratch.path().join(".locks");
    let names = || {
        let locks = fs::read_dir(&locks).into_iter().flatten();
        locks.map(|lock| lock.unwrap().path()).collect::<Vec<_>>()
    };
    // Those of both tables, and of the run.
    while names().iter().filter(|name| name.to_string_lossy().contains("/partition-")).count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let names = names();
    run.kill();
    drop(stdin);
    run.wait();
    let theirs = elsewhere.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    let mut refused = 0;
    for name in names {
        for to in [theirs.clone(), elsewhere.path().join("none")] {
            let _ = fs::remove_file(&name);
            symlink(to, &name).unwrap();
            let outcome = day(scratch.path());
            // The locks of the other table and the other run are not asked for.
            if outcome.code != 0 {
                refused += 1;
                assert!([74, 78].contains(&outcome.code), "{}", outcome.stderr);
                assert!(outcome.stderr.contains(".locks"), "{}", outcome.stderr);
            }
            assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
        }
        fs::remove_file(name).unwrap();
    }
    // That of the table, and of what else a run locks for a moment.
    assert!(refused >= 2, "{refused}");
    day(scratch.path()).success();
}

#[test]
fn a_manifest_names_no_file_but_those_of_its_folder() {
    let scratch = folder();
    let secret = scratch.path().join("secret.csv");
    fs::write(&secret, "id,name\n9,secret\n").unwrap();
    let outputs = scratch.path().join("lake");
    let names = [
        "../../../../secret.csv",
        secret.to_str().unwrap(),
        "link.csv",
        "./data.csv",
        "..",
        ".",
        "",
        "_manifest.json",
        "a\0b.csv",
    ];
    for name in names {
        let _ = fs::remove_dir_all(&outputs);
        day(&outputs).success();
        let partition = lake::partition(&outputs, "s", DAY, "t");
        fs::copy(&secret, partition.join("data.csv")).unwrap();
        symlink(&secret, partition.join("link.csv")).unwrap();
        let bytes = fs::read(&secret).unwrap();
        let mut manifest = lake::manifest(&partition);
        manifest["files"] = json!([{
            "name": name, "rows": 1, "bytes": bytes.len(), "sha256": lake::sum(&bytes),
        }]);
        fs::write(partition.join("_manifest.json"), manifest.to_string()).unwrap();
        // Even by who does not ask for the record of the run, whose sums would tell.
        let tap = from_lake(&outputs, DAY).set("require_run_record", false).go();
        assert!([65, 66, 78].contains(&tap.code), "{name:?}: {} {}", tap.code, tap.stderr);
        assert!(!tap.text().contains("secret"), "{name:?}: {}", tap.text());
    }
}

#[test]
fn rejects_go_into_a_plain_file_of_this_user_alone() {
    let scratch = folder();
    let rejects = scratch.path().join("rejects.jsonl");
    let run = || {
        let settings = json!({ "output_path": scratch.path().join("out"), "max_rejects": 5,
            "rejects_file": rejects });
        let record = json!({ "type": "RECORD", "stream": "t", "record": { "id": "x" } });
        let lines = Lines::opened().raw(record.to_string()).done();
        fs::create_dir_all(scratch.path().join("out")).unwrap();
        ours("target-csv").config(&settings).input(lines.0).go()
    };
    let theirs = scratch.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    symlink(&theirs, &rejects).unwrap();
    let outcome = run().exits(78);
    assert!(outcome.stderr.contains("rejects_file"), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    fs::remove_file(&rejects).unwrap();
    fs::write(&rejects, "").unwrap();
    fs::set_permissions(&rejects, fs::Permissions::from_mode(0o666)).unwrap();
    run().success();
    assert_eq!(fs::metadata(&rejects).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&rejects).unwrap().lines().count(), 1);
}
