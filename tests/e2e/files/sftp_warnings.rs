//! Warnings of tap-sftp about files that it skips or reads a second time.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use support::run::{Outcome, Run, ours};
use support::sshd::{Sshd, age};

fn read(server: &Sshd, path: &str, state: Option<&Value>) -> Outcome {
    let mut settings = server.settings(&json!([{ "table_name": "t", "remote_path": path }]));
    settings["add_metadata_columns"] = json!(false);
    settings["stability_seconds"] = json!(0);
    let tap = ours("tap-sftp").config(&settings);
    let tap = if let Some(state) = state { tap.json("--state", state) } else { tap };
    tap.go().success()
}

fn state(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"].take()
}

#[test]
fn files_of_other_endings_and_links_to_folders_are_told() {
    let server = Sshd::start();
    server.put("/in/a.csv", "id\n1\n");
    for name in ["a.csv.md5", "_SUCCESS", "README.txt", "b.csv.part"] {
        server.put(&format!("/in/{name}"), "id\n2\n");
    }
    symlink(".", server.root.join("in/inside")).unwrap();
    let quiet = read(&server, "/in", None);
    assert_eq!(quiet.records("t").len(), 1);
    assert!(!quiet.stderr.contains("skipping"), "{}", quiet.stderr);
    for name in ["b.xlsx", "sub/c.dat", "d", "e.txt"] {
        server.put(&format!("/in/{name}"), "id\n3\n");
    }
    server.put("/out/f.csv", "id\n4\n");
    symlink("../out", server.root.join("in/more")).unwrap();
    let outcome = read(&server, "/in", None);
    assert_eq!(outcome.records("t").len(), 1);
    assert_eq!(outcome.stderr.matches("W-FILE-NOT-READ: ").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("skipping 4 files in /in"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("sub/c.dat"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("skipping /in/more: the link"), "{}", outcome.stderr);
    let pattern = read(&server, "/in/*/*.dat", None);
    assert_eq!(pattern.records("t"), [json!({ "id": 3 })]);
    assert!(!pattern.stderr.contains("W-FILE-NOT-READ"), "{}", pattern.stderr);
    // Members of an archive, too.
    let zip = "import zipfile, sys\n\
               with zipfile.ZipFile(sys.argv[1], 'w') as z:\n \
               [z.writestr(n, 'id\\n5\\n') for n in ('a.csv', 'b.dat', 'readme.txt')]";
    let path = server.root.join("in/z.zip");
    Run::new(Path::new("/usr/bin/env")).args(["python3", "-c", zip]).args([path]).go().success();
    let outcome = read(&server, "/in/z.zip", None);
    assert_eq!(outcome.records("t"), [json!({ "id": 5 })]);
    assert!(outcome.stderr.contains("skipping 1 files in /in/z.zip"), "{}", outcome.stderr);
}

#[test]
fn a_file_by_another_name_is_skipped_where_its_sum_is_known_else_told() {
    let server = Sshd::start();
    let old = server.put("/in/old.csv", "id\n1\n");
    age(&old, Duration::from_hours(72));
    let mut first = state(&read(&server, "/in", None));
    // A state from before sums were kept of all files.
    let entry = first["bookmarks"]["t"]["files"]["/in/old.csv"].as_object_mut().unwrap();
    entry.remove("sha256").unwrap();
    std::fs::create_dir(server.root.join("in/archive")).unwrap();
    std::fs::rename(&old, server.root.join("in/archive/old.csv")).unwrap();
    // Size and time are all that is known, and another file may have both.
    let moved = read(&server, "/in", Some(&first));
    assert_eq!(moved.records("t").len(), 1);
    let told = "W-FILE-MOVED: reading /in/archive/old.csv, which may be /in/old.csv";
    assert!(moved.stderr.contains(told), "{}", moved.stderr);
    // Rotated: another file has its name, and of the same size.
    let path = server.put("/in/new.csv", "id\n2\n");
    age(&path, Duration::from_hours(9));
    let mut known = state(&read(&server, "/in/new*", None));
    for (id, moved) in [(3, 1), (4, 2)] {
        let at = |name: &str| server.root.join("in").join(name);
        let _ = std::fs::rename(at("new_1.csv"), at("new_2.csv"));
        std::fs::rename(&path, at("new_1.csv")).unwrap();
        server.put("/in/new.csv", format!("id\n{id}\n"));
        age(&path, Duration::from_hours(9 - id));
        let rotated = read(&server, "/in/new*", Some(&known));
        assert_eq!(rotated.records("t"), [json!({ "id": id })], "{}", rotated.stderr);
        let told = rotated.stderr.matches("W-FILE-MOVED: skipping ").count();
        assert_eq!(told, moved, "{}", rotated.stderr);
        known = state(&rotated);
    }
}

#[test]
fn the_encoding_of_a_table_is_its_own() {
    let server = Sshd::start();
    server.put("/in/a.csv", "n\né\n");
    server.put("/in/b.csv", b"n\n\xe9\n");
    let mut settings = server.settings(&json!([
        { "table_name": "a", "remote_path": "/in/a.csv", "encoding": "utf-8" },
        { "table_name": "b", "remote_path": "/in/b.csv" },
    ]));
    settings["encoding_format"] = json!("latin-1");
    let outcome = ours("tap-sftp").config(&settings).go().success();
    assert_eq!(outcome.records("a")[0]["n"], "é");
    assert_eq!(outcome.records("b")[0]["n"], "é");
}
