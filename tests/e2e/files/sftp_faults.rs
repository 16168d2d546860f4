//! Servers, connections and files that fail while they are read (F03 to F05, F10 to F12).

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::invariants::Reading;
use support::proxy::{Fault, Proxy};
use support::run::{Outcome, Run, ours};
use support::sshd::{Sshd, age};

/// About two megabytes of rows, none like another.
fn rows() -> String {
    let row = |id: usize| format!("{id},{}\n", format!("value {id} ").repeat(4));
    std::iter::once("id,text\n".to_owned()).chain((0..40_000).map(row)).collect()
}

fn settings(server: &Sshd, path: &str) -> Value {
    let entry = json!({ "table_name": "t", "remote_path": path, "infer_types": false });
    let mut settings = server.settings(&json!([entry]));
    settings["request_timeout"] = json!(20);
    settings
}

fn through(proxy: &Proxy, settings: &Value) -> Run {
    let mut settings = settings.clone();
    settings["port"] = json!(proxy.port);
    ours("tap-sftp").config(&settings)
}

/// The rows of a file of the server, and the bookmark behind them.
fn undisturbed(settings: &Value) -> (Reading, Value) {
    let outcome = ours("tap-sftp").config(settings).go().success();
    (Reading::of("t", [&outcome]), bookmark(&outcome))
}

fn bookmark(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"]["bookmarks"]["t"].take()
}

#[test]
fn a_connection_cut_anywhere_gives_the_same_rows() {
    let server = Sshd::start();
    server.put("/in/a.csv", rows());
    let pack = Run::new(Path::new("/bin/sh"));
    let script = "cd \"$1\"; gzip -k a.csv; zip -q a.zip a.csv; touch -d '1 hour ago' *";
    pack.args(["-ec", script, "sh"]).args([server.root.join("in")]).go().success();
    for (path, cuts) in [
        ("/in/a.csv", &[200, 2000, 4000, 6000, 60_000, 300_000, 999_999, 1_700_000, 2_100_000][..]),
        ("/in/a.csv.gz", &[8_000, 100_000, 200_000]),
        ("/in/a.zip", &[8_000, 100_000, 200_000]),
    ] {
        let settings = settings(&server, path);
        let (whole, end) = undisturbed(&settings);
        std::thread::scope(|scope| {
            for cut in cuts {
                let (settings, whole, end) = (&settings, &whole, &end);
                scope.spawn(move || {
                    let proxy =
                        Proxy::start(server_port(settings), vec![Fault::CutAt(*cut), Fault::None]);
                    let outcome = through(&proxy, settings).go();
                    if !whole.after_fault(&outcome, &[0, 75]) {
                        // Before it was logged in; then nothing was written.
                        assert!(*cut < 10_000 && outcome.text().is_empty(), "{cut}: {outcome:?}");
                        return;
                    }
                    let stderr = &outcome.stderr;
                    assert!(proxy.connections() == 2, "{path} {cut}: {}", proxy.connections());
                    assert!(stderr.contains("connecting again"), "{stderr}");
                    assert!(!stderr.to_lowercase().contains("error"), "{stderr}");
                    assert_eq!(bookmark(&outcome), *end, "{path} cut at {cut}");
                });
            }
        });
    }
}

fn server_port(settings: &Value) -> u16 {
    u16::try_from(settings["port"].as_u64().unwrap()).unwrap()
}

#[test]
fn a_connection_that_is_cut_again_and_again_gets_there() {
    let server = Sshd::start();
    server.put("/in/a.csv", rows());
    let settings = settings(&server, "/in/a.csv");
    let (whole, _) = undisturbed(&settings);
    let proxy = Proxy::start(server.port, vec![Fault::CutAt(700_000)]);
    let outcome = through(&proxy, &settings).set("max_reconnects", 1).go();
    assert!(whole.after_fault(&outcome, &[0]));
    assert!(proxy.connections() > 3, "{}", proxy.connections());
}

#[test]
fn a_connection_that_falls_silent_is_made_anew() {
    let server = Sshd::start();
    server.put("/in/a.csv", rows());
    let settings = settings(&server, "/in/a.csv");
    let (whole, _) = undisturbed(&settings);
    let proxy = Proxy::start(server.port, vec![Fault::StallAt(900_000), Fault::None]);
    let outcome = through(&proxy, &settings).set("request_timeout", 1).go();
    assert!(whole.after_fault(&outcome, &[0]));
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn keys_are_exchanged_anew_in_the_middle_of_a_file() {
    let server = Sshd::start_with("RekeyLimit 300K");
    server.put("/in/a.csv", rows());
    let outcome = ours("tap-sftp").config(&settings(&server, "/in/a.csv")).go().success();
    assert_eq!(outcome.records("t").len(), 40_000);
    assert!(!outcome.stderr.contains("connecting again"), "{}", outcome.stderr);
}

#[test]
fn a_server_that_stays_silent_or_away_is_given_up() {
    let server = Sshd::start();
    server.put("/in/a.csv", rows().repeat(20));
    let settings = settings(&server, "/in/a.csv");
    let (whole, _) = undisturbed(&settings);
    let proxy = Proxy::start(server.port, vec![Fault::StallAt(5_000)]);
    let run = through(&proxy, &settings).set("request_timeout", 1).set("connect_timeout", 1);
    let outcome = run.set("max_reconnects", 1).go();
    whole.after_fault(&outcome, &[75]);
    assert!(outcome.stderr.contains("in time"), "{}", outcome.stderr);
    // Silent from the first byte on.
    let proxy = Proxy::start(server.port, vec![Fault::StallAt(0)]);
    let outcome = through(&proxy, &settings).set("connect_timeout", 1).go();
    whole.after_fault(&outcome, &[75]);
    assert!(outcome.stderr.contains("connect_timeout: 1 s"), "{}", outcome.stderr);
    assert_eq!(proxy.connections(), 1);

    let run = ours("tap-sftp").config(&settings).set("max_reconnects", 2);
    let outcome = run.go_amid(|| server.signal(Signal::KILL, true));
    whole.after_fault(&outcome, &[75]);
    assert!(outcome.stderr.contains("hint: "), "{}", outcome.stderr);
    assert!(bookmark(&outcome).is_null());
}

#[test]
fn sessions_that_are_killed_are_begun_again() {
    let server = Sshd::start();
    server.put("/in/a.csv", rows().repeat(20));
    let settings = settings(&server, "/in/a.csv");
    let (whole, _) = undisturbed(&settings);
    let run = ours("tap-sftp").config(&settings);
    let outcome = run.go_amid(|| server.signal(Signal::KILL, false));
    assert!(whole.after_fault(&outcome, &[0]));
    assert!(outcome.stderr.contains("connecting again"), "{}", outcome.stderr);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_read_another_time() {
    let server = Sshd::start();
    let large = rows().repeat(20);
    let changes: [Change; 4] = [
        ("grows", |path| append(path, b"1,x\n")),
        ("shrinks", |path| File::options().write(true).open(path).unwrap().set_len(9).unwrap()),
        ("is gone", |path| fs::remove_file(path).unwrap()),
        ("is replaced", |path| {
            fs::write(path.with_extension("new"), "id,text\n1,x\n").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
    ];
    let settings = settings(&server, "/in/a.csv");
    server.put("/in/a.csv", &large);
    let (whole, _) = undisturbed(&settings);
    for (name, change) in changes {
        let path = server.put("/in/a.csv", &large);
        let outcome = ours("tap-sftp").config(&settings).go_amid(|| change(&path));
        whole.after_fault(&outcome, &[75]);
        assert!(outcome.stderr.contains("changed while it was read"), "{name}: {}", outcome.stderr);
        assert!(bookmark(&outcome).is_null(), "{name}");
    }
}

#[test]
fn a_file_does_not_go_on_in_another_of_its_size_and_time() {
    let server = Sshd::start();
    let large = rows().repeat(20);
    let path = server.put("/in/a.csv", &large);
    let settings = settings(&server, "/in/a.csv");
    let (whole, _) = undisturbed(&settings);
    let other = path.with_extension("new");
    fs::write(&other, large.replace("value", "VALUE")).unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    File::options().append(true).open(&other).unwrap().set_modified(time).unwrap();
    let outcome = ours("tap-sftp").config(&settings).go_amid(|| {
        fs::rename(&other, &path).unwrap();
        server.signal(Signal::KILL, false);
    });
    whole.after_fault(&outcome, &[75]);
    assert!(outcome.stderr.contains("it has other bytes"), "{}", outcome.stderr);
    assert!(bookmark(&outcome).is_null());
}

#[test]
fn a_file_with_more_bytes_than_its_size_is_not_taken_for_whole() {
    // Files of the kernel have the size 0.
    let server = Sshd::start_with("ChrootDirectory none");
    let settings = settings(&server, "/proc/filesystems");
    let run = ours("tap-sftp").config(&settings).set("stability_seconds", 0);
    let outcome = run.set("max_reconnects", 1).go().exits(75);
    assert!(outcome.stderr.contains("more bytes than its size"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("size: 0"), "{}", outcome.stderr);
}

/// What happens to a file, in words and in deed.
type Change = (&'static str, fn(&Path));

fn append(path: &Path, bytes: &[u8]) {
    File::options().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn what_the_path_names_is_not_passed_over() {
    let server = Sshd::start();
    for (name, id) in [("a.csv", 1), ("b.tmp", 2), (".c.csv", 3), (".d/e.csv", 4), (".d/.f.csv", 5)]
    {
        server.put(&format!("/in/{name}"), format!("id\n{id}\n"));
    }
    let ids = |path: &str| -> Vec<Value> {
        let outcome = ours("tap-sftp").config(&settings(&server, path)).go().success();
        outcome.records("t").iter().map(|record| record["id"].clone()).collect()
    };
    assert_eq!(ids("/in/b.tmp"), ["2"]);
    assert_eq!(ids("/in/*.tmp"), ["2"]);
    assert_eq!(ids("/in/.c*"), ["3"]);
    assert_eq!(ids("/in/.d"), ["4"]);
    assert_eq!(ids("/in/.d/*"), ["4"]);
    assert_eq!(ids("/in/*"), ["1"]);
    assert_eq!(ids("/in/{*,.d/.*}"), ["1"]);
}

#[test]
fn files_that_are_still_being_uploaded_are_left_for_the_next_run() {
    let server = Sshd::start();
    server.put("/in/done.csv", "id\n1\n");
    for name in ["a.csv.part", "b.csv.filepart", "c.tmp", ".d.csv.x7", ".hidden/e.csv"] {
        server.put(&format!("/in/{name}"), "id\n7\n");
    }
    let growing = server.fresh("/in/growing.csv", "id\n2\n");
    let settings = settings(&server, "/in/**");
    let run = |seconds: u64| ours("tap-sftp").config(&settings).set("stability_seconds", seconds);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(20)).is_err() {
            append(&growing, b"2\n");
        }
        growing
    });
    let outcome = run(1).go().success();
    stop.send(()).unwrap();
    let growing = writer.join().unwrap();
    let ids = |outcome: &Outcome| -> Vec<Value> {
        outcome.records("t").iter().map(|record| record["id"].clone()).collect()
    };
    assert_eq!(ids(&outcome), ["1"]);
    assert!(outcome.stderr.contains("leaving /in/growing.csv"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("done.csv"), "{}", outcome.stderr);
    // A new file that stays as it is is waited for, but not for long.
    fs::write(&growing, "id\n3\n").unwrap();
    assert_eq!(ids(&run(2).go().success()), ["1", "3"]);
    let outcome = run(3600).go().success();
    assert_eq!(ids(&outcome), ["1"]);
    assert!(outcome.stderr.contains("leaving /in/growing.csv"), "{}", outcome.stderr);
    age(&growing, Duration::from_secs(3700));
    let state = outcome.messages().into_iter().rfind(|m| m["type"] == "STATE").unwrap();
    let next = run(3600).json("--state", &state["value"]).go().success();
    assert_eq!(ids(&next), ["3"]);
}

#[test]
fn a_file_that_may_not_be_read_ends_the_run_behind_those_that_were() {
    let server = Sshd::start();
    server.put("/in/1.csv", "id\n1\n");
    let closed = server.put("/in/2.csv", "id\n2\n");
    server.put("/in/3.csv", "id\n3\n");
    let settings = settings(&server, "/in");
    let catalog = ours("tap-sftp").config(&settings).args(["--discover"]).go().success();
    let mut catalog: Value = serde_json::from_str(&catalog.text()).unwrap();
    catalog["streams"][0]["selected"] = json!(true);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let outcome = ours("tap-sftp").config(&settings).go().exits(77);
    assert!(outcome.stderr.contains("path: /in/2.csv"), "{}", outcome.stderr);
    let outcome = ours("tap-sftp").config(&settings).json("--catalog", &catalog).go().exits(77);
    assert!(outcome.stderr.contains("path: /in/2.csv"), "{}", outcome.stderr);
    let seen = bookmark(&outcome)["files"].clone();
    assert_eq!(seen.as_object().unwrap().keys().collect::<Vec<_>>(), ["/in/1.csv"]);
    fs::set_permissions(server.root.join("in"), fs::Permissions::from_mode(0o000)).unwrap();
    let outcome = ours("tap-sftp").config(&settings).go().exits(77);
    assert!(outcome.stderr.contains("/in"), "{}", outcome.stderr);
}

#[test]
fn many_files_are_read_and_too_many_refused() {
    let server = Sshd::start();
    let folder = server.root.join("in/many");
    fs::create_dir(&folder).unwrap();
    for number in 0..3000 {
        let path = folder.join(format!("{number:04}.csv"));
        fs::write(&path, format!("id\n{number}\n")).unwrap();
        age(&path, Duration::from_hours(72));
    }
    let settings = settings(&server, "/in/many");
    let outcome = ours("tap-sftp").config(&settings).go().success();
    assert_eq!(outcome.records("t").len(), 3000);
    assert_eq!(bookmark(&outcome)["files"].as_object().unwrap().len(), 3000);
    // The bookmark of many files is not written after each of them.
    let states = outcome.messages().iter().filter(|message| message["type"] == "STATE").count();
    assert!(states < 1000, "{states}");
    let refused = ours("tap-sftp").config(&settings).set("max_files", 2999).go().exits(78);
    assert!(refused.stderr.contains("max_files"), "{}", refused.stderr);
    let mut deep = server.root.join("in/deep");
    for _ in 0..80 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let mut settings = settings.clone();
    settings["tables"][0]["remote_path"] = json!("/in/deep");
    let refused = ours("tap-sftp").config(&settings).go().exits(78);
    assert!(refused.stderr.contains("this deep"), "{}", refused.stderr);
}
