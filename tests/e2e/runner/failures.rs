//! How a failure is told: in one line everywhere, and to whom its job names.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::Value;

use support::project::{DAY, Project};

/// A foreign tap whose discovery fails with a reason, which may be a value of a row.
const REFUSED: &str = "echo 'INFO connecting' >&2; echo 'Exception: no account 4711' >&2
exit 77
";

/// A command that keeps what it is told.
const NOTE: &str = "cat > told.json\necho \"$1\" > word\n";

/// Returns a project with a job whose tap fails, and what the job says to us.
fn failing(own: &str) -> Project {
    let more = "  - {name: tap-x, executable: ./x, capabilities: [catalog]}\n";
    let job = format!(
        "- {{name: fails, tasks: [tap-x target-csv], annotations: {{chorus: {own}}}}}\n\
         schedules: [{{name: often, interval: '*/1 * * * * *', job: fails}}]\n"
    );
    let project = Project::with(more, "", &job);
    project.script("x", REFUSED);
    project.script("note", NOTE);
    project
}

fn told(project: &Project) -> Value {
    serde_json::from_slice(&fs::read(project.root.join("told.json")).unwrap()).unwrap()
}

#[test]
fn a_failure_is_told_in_one_line_everywhere() {
    let project = failing("{}");
    let line = "exit 77, tap-x: cannot discover the streams of the tap: Exception: no account 4711";
    let outcome = project.run(&["fails"]).exits(77);
    assert!(outcome.stderr.contains("\n  time: 2"), "{}", outcome.stderr);
    let runs = project.chorus(&["runs"]).go().success().text();
    let id = runs.lines().nth(1).unwrap().split(' ').next().unwrap();
    let more = format!("fails: {line}; chorus logs {id} shows more");
    assert!(runs.contains(&more), "{more} {runs}");
    let log = project.chorus(&["logs", id]).go().success().text();
    assert!(log.contains(&format!(" failed: {line}\n")), "{log}");
    let record = project.root.join(".chorus/runs").join(id).join("run.json");
    let record: Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    let failure = &record["steps"][0]["failure"];
    assert_eq!((&failure["exit"], &failure["plugin"]), (&77.into(), &"tap-x".into()), "{record}");
    assert_eq!(format!("exit 77, tap-x: {}", failure["reason"].as_str().unwrap()), line);
    let backfill = ["backfill", "fails", "--from", DAY, "--to", DAY];
    let days = project.chorus(&backfill).go().exits(77).text();
    assert!(days.contains(&format!("{DAY} failed: {line}\n")), "{days}");

    let runs = || fs::read_dir(project.root.join(".chorus/runs")).unwrap().count();
    let before = runs();
    let running = project.chorus_to_end(&["schedule"]).start(true);
    project.wait_for(&|| runs() > before + 1);
    running.signal(Signal::TERM);
    let ended = running.wait().success().stderr;
    assert!(ended.contains(&format!("schedule often: {line}; chorus logs ")), "{ended}");
}

#[test]
fn a_command_is_told_of_a_failure_without_values_of_rows() {
    let project = failing("{on_failure: [./note, 'a b; c']}");
    project.run(&["fails"]).exits(77);
    let summary = told(&project);
    for (key, value) in [
        ("job", "fails"),
        ("environment", "dev"),
        ("day", DAY),
        ("step", "tap-x target-csv"),
        ("plugin", "tap-x"),
        ("reason", "cannot discover the streams of the tap"),
    ] {
        assert_eq!(summary[key], value, "{summary}");
    }
    assert_eq!(summary["exit"], 77, "{summary}");
    let command = summary["command"].as_str().unwrap();
    assert_eq!(command, format!("chorus logs {}", summary["run"].as_str().unwrap()));
    assert!(!summary.to_string().contains("4711"), "{summary}");
    // No shell reads it.
    assert_eq!(fs::read_to_string(project.root.join("word")).unwrap(), "a b; c\n");
    // What goes well is not told.
    fs::remove_file(project.root.join("told.json")).unwrap();
    project.run(&["both"]).success();
    assert!(!project.root.join("told.json").exists());
}

#[test]
fn a_command_that_fails_is_tried_twice_and_changes_no_exit_code() {
    let project = failing("{on_failure: [./note]}");
    project.script("note", "echo x >> tries; exit 3\n");
    let outcome = project
        .chorus(&["run", "fails", "--datestamp", DAY, "--deny-warnings", "W-HOOK-FAILED"])
        .go()
        .exits(77);
    let warning = "W-HOOK-FAILED: cannot report the failure by `on_failure` of fails: its command \
                   ended with 3";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
    assert_eq!(fs::read_to_string(project.root.join("tries")).unwrap(), "x\nx\n");
    let runs = project.chorus(&["runs"]).go().success().text();
    assert!(runs.contains("W-HOOK-FAILED 1"), "{runs}");
    fs::remove_file(project.root.join("note")).unwrap();
    let outcome = project.run(&["fails"]).exits(77);
    assert!(outcome.stderr.contains("W-HOOK-FAILED"), "{}", outcome.stderr);
}

#[test]
fn an_address_is_told_of_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for status in ["500 No", "200 OK"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            let mut block = [0; 4096];
            while !text.ends_with(b"}") {
                let count = stream.read(&mut block).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&text));
                text.extend_from_slice(&block[..count]);
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            bodies.push(String::from_utf8(text).unwrap());
        }
        bodies
    });
    let project = failing("{on_failure: '${ALERT}'}");
    let words = ["run", "fails", "--datestamp", DAY];
    let address = format!("http://127.0.0.1:{port}/services/T0/s3cr3tpath");
    let outcome = project.chorus(&words).env("ALERT", address).go().exits(77);
    assert!(!outcome.stderr.contains("s3cr3tpath"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("W-HOOK-FAILED"), "{}", outcome.stderr);
    let bodies = server.join().unwrap();
    let (head, body) = bodies[1].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /services/T0/s3cr3tpath "), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["job"], &body["exit"]), (&"fails".into(), &77.into()), "{body}");
    assert!(bodies[0].ends_with(&body.to_string()), "{bodies:?}");

    // Who is to be told is known before the run.
    let refused = project.chorus(&words).env("ALERT", "http://example.com/x").go().exits(78);
    assert!(
        refused.stderr.contains("cannot send a failure to an address without TLS"),
        "{}",
        refused.stderr
    );
    let refused = project.chorus(&words).env("ALERT", "mail -s it").go().exits(78);
    assert!(refused.stderr.contains("write a command as a list"), "{}", refused.stderr);
    let none = project.chorus(&words).go().exits(77);
    assert!(none.stderr.contains("`on_failure` of fails is left out"), "{}", none.stderr);
}

#[test]
fn a_run_that_is_told_to_end_tells_of_it() {
    let slow = "[ \"$3\" = --discover ] && { echo '{\"streams\": []}'; exit; }\n";
    // Also while a tap is asked for its streams.
    for begins in [slow, ""] {
        let project = failing("{on_failure: [./note]}");
        project.script("x", &format!("{begins}echo > begun; exec sleep 1000\n"));
        let running = project.chorus_to_end(&["run", "fails", "--datestamp", DAY]).start(true);
        project.wait_for(&|| project.has_text("begun"));
        running.signal(Signal::TERM);
        running.wait().exits(143);
        let summary = told(&project);
        assert_eq!(summary["exit"], 143, "{summary}");
        assert_eq!(summary["reason"], "the run was asked to end", "{summary}");
        project.left_nothing();
    }
}

#[test]
fn a_day_that_is_not_there_by_its_time_is_told() {
    let schedules = "- {name: late, tasks: [tap-csv target-csv], annotations: {chorus: {expect_by: \
                     '00:00', on_failure: [./note]}}}\n\
                     schedules: [{name: daily, interval: '@daily', job: late, annotations: \
                     {chorus: {missed: skip, day_offset: -1}}}, {name: often, interval: \
                     '*/1 * * * * *', extractor: tap-csv--two, loader: target-csv--two}]\n";
    let project = Project::with("", "", schedules);
    project.script("note", NOTE);
    let running = project.chorus_to_end(&["schedule"]).start(true);
    project.wait_for(&|| project.has_text("word"));
    running.signal(Signal::TERM);
    let said = running.wait().success().stderr;
    let summary = told(&project);
    let day = summary["day"].as_str().unwrap().to_owned();
    let reason = format!("{day} is not ready at 00:00:00: tap-csv target-csv was not run");
    assert_eq!(summary["reason"], reason.as_str(), "{summary}");
    assert!(said.contains(&format!("schedule daily: exit 66: {reason}; chorus status")), "{said}");

    // A day that is there is not told.
    fs::remove_file(project.root.join("told.json")).unwrap();
    project.chorus(&["run", "late", "--datestamp", &day]).go().success();
    let runs = || fs::read_dir(project.root.join(".chorus/runs")).unwrap().count();
    let before = runs();
    let running = project.chorus_to_end(&["schedule"]).start(true);
    // It was looked at since: that is done more often than the other schedule runs.
    project.wait_for(&|| runs() > before + 2);
    running.signal(Signal::TERM);
    let said = running.wait().success().stderr;
    assert!(!said.contains("is not ready at"), "{said}");
    let wrong = "- {name: late, tasks: [tap-csv target-csv], annotations: {chorus: {expect_by: \
                 soon}}}\nschedules: [{name: daily, interval: '@daily', job: late}]\n";
    let refused = Project::with("", "", wrong).chorus(&["schedule"]).go().exits(78);
    assert!(refused.stderr.contains("cannot read a time of day"), "{}", refused.stderr);
}
