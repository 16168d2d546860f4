//! SFTP files with times that no clock vouches for, with several names, and archives of such.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use support::run::{Outcome, Run, ours};
use support::sshd::{Sshd, set_time};

fn tap(server: &Sshd, path: &str) -> Run {
    let mut settings = server.settings(&json!([{ "table_name": "t", "remote_path": path }]));
    settings["add_metadata_columns"] = json!(false);
    settings["stability_seconds"] = json!(1);
    ours("tap-sftp").config(&settings)
}

fn ids(outcome: &Outcome) -> Vec<Value> {
    outcome.records("t").iter().map(|record| record["id"].clone()).collect()
}

fn state(outcome: &Outcome) -> Value {
    let state = outcome.messages().into_iter().rfind(|message| message["type"] == "STATE");
    state.unwrap()["value"].take()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A file that grows, on a server whose clock gives it this time, until it is told to stop.
fn growing(path: PathBuf, time: impl Fn() -> SystemTime + Send + 'static) -> Growing {
    let (stop, stopped) = channel::<()>();
    set_time(&path, time());
    let writer = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(20)).is_err() {
            File::options().append(true).open(&path).unwrap().write_all(b"7\n").unwrap();
            set_time(&path, time());
        }
    });
    Growing { stop, writer }
}

struct Growing {
    stop: Sender<()>,
    writer: JoinHandle<()>,
}

impl Growing {
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.writer.join().unwrap();
    }
}

/// What a server takes for the time.
type Clock = fn() -> SystemTime;

#[test]
fn a_growing_file_is_left_whatever_its_time_and_those_of_others_say() {
    let hour = Duration::from_hours(1);
    let clocks: [(&str, Clock, u64); 6] = [
        ("right, beside a file of 2038", SystemTime::now, 2_145_916_800),
        ("an hour behind", || SystemTime::now() - Duration::from_hours(1), 1_600_000_000),
        ("half a day behind", || SystemTime::now() - 12 * Duration::from_hours(1), 0),
        ("two hours ahead", || SystemTime::now() + Duration::from_hours(2), 1_600_000_000),
        ("never set", || at(86_400), 1_600_000_000),
        ("far ahead", || at(2_000_000_000), 1_600_000_000),
    ];
    for (name, clock, other) in clocks {
        let server = Sshd::start();
        let whole = server.put("/in/1.csv", "id\n1\n");
        set_time(&whole, at(other));
        let path = server.put("/in/2.csv", "id\n7\n");
        let writer = growing(path.clone(), clock);
        let outcome = tap(&server, "/in").go().success();
        writer.stop();
        assert_eq!(ids(&outcome), [1], "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("leaving /in/2.csv"), "{name}: {}", outcome.stderr);
        // At rest it is read, whatever its time.
        let next = tap(&server, "/in").json("--state", &state(&outcome)).go().success();
        assert!(!ids(&next).is_empty() && ids(&next).iter().all(|id| *id == 7), "{name}");
        let done = tap(&server, "/in").json("--state", &state(&next)).go().success();
        assert_eq!(ids(&done).len(), 0, "{name}");
    }
    let server = Sshd::start();
    set_time(&server.put("/in/1.csv", "id\n1\n"), SystemTime::now() + 24 * 365 * hour);
    let outcome = tap(&server, "/in").set("stability_seconds", 3600).go().success();
    assert_eq!(ids(&outcome), [1], "a time yet to come is no reason to wait for ever");
}

#[test]
fn a_file_of_a_time_that_says_nothing_is_told_by_its_sum() {
    let server = Sshd::start();
    let path = server.put("/in/1.csv", "id\n1\n");
    for seconds in [0, 315_532_800, 4_000_000_000] {
        fs::write(&path, "id\n1\n").unwrap();
        set_time(&path, at(seconds));
        let first = state(&tap(&server, "/in").go().success());
        let again = || tap(&server, "/in").json("--state", &first).go().success();
        assert_eq!(ids(&again()).len(), 0, "{seconds}");
        fs::write(&path, "id\n2\n").unwrap();
        set_time(&path, at(seconds));
        assert_eq!(ids(&again()), [2], "{seconds}");
    }
}

#[test]
fn a_file_by_another_name_is_told_whatever_its_time() {
    let server = Sshd::start();
    let renamed = |from: &str, to: &str| {
        fs::rename(server.root.join("in").join(from), server.root.join("in").join(to)).unwrap();
    };
    let again = |known: &Value| tap(&server, "/in").json("--state", known).go().success();
    for seconds in [1, 315_532_800, 946_684_800, 1_893_456_000] {
        set_time(&server.put("/in/a.csv", "id\n1\n"), at(seconds));
        let known = state(&tap(&server, "/in").go().success());
        renamed("a.csv", "b.csv");
        let moved = again(&known);
        assert_eq!(ids(&moved).len(), 0, "{seconds}");
        let told = "W-FILE-MOVED: skipping /in/b.csv: it is /in/a.csv";
        assert!(moved.stderr.contains(told), "{seconds}: {}", moved.stderr);
        // Other bytes of this size and time are another file.
        fs::write(server.root.join("in/b.csv"), "id\n2\n").unwrap();
        renamed("b.csv", "c.csv");
        set_time(&server.root.join("in/c.csv"), at(seconds));
        let other = again(&known);
        assert_eq!(ids(&other), [2], "{seconds}");
        assert!(!other.stderr.contains("W-FILE-MOVED"), "{seconds}: {}", other.stderr);
        renamed("c.csv", "a.csv");
    }
}

#[test]
fn a_file_is_read_once_whatever_links_lead_to_it() {
    let server = Sshd::start();
    server.put("/in/orders_1.csv", "id\n1\n");
    server.put("/in/sub/orders_2.csv", "id\n2\n");
    server.put("/in/.data/hidden.csv", "id\n3\n");
    let link =
        |target: &str, name: &str| symlink(target, server.root.join("in").join(name)).unwrap();
    link("orders_1.csv", "latest.csv");
    link("latest.csv", "a.csv");
    link("/in/sub/orders_2.csv", "b.csv");
    link(".data/hidden.csv", "c.csv");
    link("c.csv", "d.csv");
    for path in ["/in", "in/**/*.csv"] {
        let outcome = tap(&server, path).go().success();
        let mut found = ids(&outcome);
        found.sort_by_key(Value::to_string);
        assert_eq!(found, [1, 2, 3], "{path}");
        let told = "latest.csv: it leads to the same file as";
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
}

#[test]
fn an_archive_with_several_members_of_one_name_is_refused() {
    let server = Sshd::start();
    let zip = |names: &[(&str, &str)]| {
        let script = "import sys, warnings, zipfile\nwarnings.simplefilter('ignore')\n\
            with zipfile.ZipFile(sys.argv[1], 'w') as archive:\n\
            \x20   for pair in sys.argv[2:]:\n\
            \x20       name, text = pair.split('=')\n\
            \x20       archive.writestr(name, text)\n";
        let path = server.put("/in/a.zip", "");
        let pairs = names.iter().map(|(name, text)| format!("{name}={text}"));
        let run = Run::new(Path::new("/usr/bin/python3")).args(["-c", script]).args([&path]);
        run.args(pairs.collect::<Vec<_>>()).go().success();
        set_time(&path, at(1_600_000_000));
    };
    for names in [
        &[("a.csv", "id\n1\n"), ("a.csv", "id\n2\n")][..],
        &[("b.csv", "id\n1\n"), ("sub/a.csv", "id\n1\n"), ("sub/a.csv", "id\n1\n")],
    ] {
        zip(names);
        let outcome = tap(&server, "/in").go().exits(65);
        assert_eq!(outcome.records("t").len(), 0);
        assert!(outcome.stderr.contains("a.csv"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("one name"), "{}", outcome.stderr);
    }
    for (names, expected) in [
        (&[("a.csv", "id\n1\n"), ("A.csv", "id\n2\n"), ("b/a.csv", "id\n3\n")][..], 3),
        (&[("a.csv", "id\n1\n"), (".note", "x"), (".note", "y")], 1),
    ] {
        zip(names);
        assert_eq!(ids(&tap(&server, "/in").go().success()).len(), expected);
    }
}

#[test]
fn archives_that_were_put_together_are_refused() {
    let server = Sshd::start();
    let make = |how: &str| {
        let path = server.put("/in/z.zip", "");
        let script = format!(
            "import io, sys, zipfile\n\
             def one(*names):\n\
             \x20   text = io.BytesIO()\n\
             \x20   with zipfile.ZipFile(text, 'w') as archive:\n\
             \x20       for name in names: archive.writestr(name, 'id\\n' + name[0] + '\\n')\n\
             \x20   return text.getvalue()\n\
             open(sys.argv[1], 'wb').write({how})\n"
        );
        let run = Run::new(Path::new("/usr/bin/python3")).args(["-c", &script]).args([&path]);
        run.go().success();
        set_time(&path, at(1_600_000_000));
    };
    for how in ["one('1.csv') + one('2.csv')", "one('1.csv', '2.csv') + one('3.csv')[:] + one()"] {
        make(how);
        let outcome = tap(&server, "/in").go().exits(65);
        assert_eq!(outcome.records("t").len(), 0);
        for word in ["z.zip", "not in its directory", "were joined"] {
            assert!(outcome.stderr.contains(word), "no {word:?} in {}", outcome.stderr);
        }
    }
    for (how, expected) in [
        ("one('1.csv', '2.csv')", 2),
        ("b'#!/bin/sh\\nexit\\n' + one('1.csv')", 1),
        ("one() + one('1.csv')", 1),
        ("one('sub/', '.x', '1.csv')", 1),
    ] {
        make(how);
        assert_eq!(ids(&tap(&server, "/in").go().success()).len(), expected, "{how}");
    }
    make("one()");
    let outcome = tap(&server, "/in").go().success();
    assert!(outcome.stderr.contains("W-FILE-NOT-READ"), "{}", outcome.stderr);
}
