//! `chorus check`: runs a plugin, anybody's, against the rules of the protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{ExitStatus, Stdio};

use project::{Plugin, Program, Project, Role, exit, warning};
use runner::check::{Checker, Finding, Grade};
use runner::lake_paths;
use runner::prepare::{self, Alone};
use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::commands::table;

/// The stream that a target is fed.
const STREAM: &str = "chorus_check";

/// Checks a plugin and prints what was found; fails when something is against the rules, or when
/// the plugin cannot be judged because it fails.
pub fn check(project: &Project, name: &str, records: u64) -> Result<()> {
    let plugin = Plugin::find(project, name)?;
    let findings = match plugin.role {
        Role::Extractor => tap(project, &plugin, records)?,
        Role::Loader => target(project, &plugin)?,
        _ => {
            let message = format!("cannot check a {} by itself", plugin.role);
            return Err(Error::new(ErrorKind::Usage, message)
                .with("plugin", name)
                .hint("`chorus check` is for taps and targets; run it with `chorus run`"));
        }
    };
    let rows = findings.iter().map(|finding| {
        let line = if finding.line == 0 { "-".to_owned() } else { finding.line.to_string() };
        let grade = format!("{:?}", finding.grade).to_lowercase();
        vec![grade, line, finding.count.to_string(), finding.text.clone()]
    });
    if !findings.is_empty() {
        print(&table::render(&["grade", "line", "times", "finding"], rows.collect(), &[1, 2]))?;
    }
    let violations = findings.iter().filter(|found| found.grade == Grade::Violation).count();
    if violations == 0 {
        return print(&format!("{name} keeps the rules of the protocol\n"));
    }
    Err(Error::new(ErrorKind::Protocol, "the plugin breaks the rules of the protocol")
        .with("plugin", name)
        .with("rules broken", violations))
}

/// Runs a tap until its first record: its settings work where that comes, or it ends well.
pub fn first_record(project: &Project, name: &str) -> Result<()> {
    let plugin = Plugin::find(project, name)?;
    if plugin.role != Role::Extractor {
        return Err(Error::new(ErrorKind::Usage, "cannot test the settings of this plugin")
            .with("plugin", name)
            .hint(format!("only taps have such a test; `chorus check {name}` tests a target")));
    }
    let alone = prepare::alone(project, &plugin, None, None)?;
    let (status, cut) = read(&alone.program, &mut Checker::default(), 1)?;
    if cut || status.success() {
        return print("Plugin configuration is valid\n");
    }
    Err(failed(&plugin, status, "the tap fails with these settings"))
}

fn tap(project: &Project, plugin: &Plugin, records: u64) -> Result<Vec<Finding>> {
    let alone = prepare::alone(project, plugin, None, None)?;
    let mut checker = Checker::default();
    let (status, cut) = read(&alone.program, &mut checker, records)?;
    let counts = checker.records();
    let rows = counts.iter().map(|(name, count)| vec![name.clone(), count.to_string()]);
    print(&table::render(&["stream", "records"], rows.collect(), &[1]))?;
    let state = checker.last_state().clone();
    let mut findings = checker.findings();
    if cut {
        // It was not let come to its end.
        findings.retain(|finding| !finding.text.contains("currently_syncing"));
        findings.push(finding(Grade::Note, &format!("only {records} records were read")));
    } else if !status.success() {
        // What the output as a whole lacks may be due to that.
        let is_wrong = |found: &Finding| found.grade == Grade::Violation && found.line > 0;
        if !findings.iter().any(is_wrong) {
            return Err(failed(plugin, status, "cannot check the tap: it fails"));
        }
        let text = format!("it ended with {}", exit::words(status));
        findings.push(finding(Grade::Violation, &text));
    } else if state.is_object() {
        let again = prepare::alone(project, plugin, Some(&state), None)?;
        let (status, cut) = read(&again.program, &mut Checker::default(), records)?;
        if !status.success() && !cut {
            let words = exit::words(status);
            let text = format!("it ended with {words} when it started from its own state");
            findings.push(finding(Grade::Violation, &text));
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
    Ok(findings)
}

/// Runs a tap until it ends or has written so many records; tells how it ended, and if it was cut.
fn read(program: &Program, checker: &mut Checker, records: u64) -> Result<(ExitStatus, bool)> {
    let mut child = program
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|cause| program.not_started(cause))?;
    let mut cut = false;
    if let Some(output) = child.stdout.take() {
        let mut count = 0;
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else {
                checker.line("(bytes that are not UTF-8)");
                break;
            };
            count += u64::from(line.contains("\"RECORD\""));
            checker.line(&line);
            if count >= records {
                cut = true;
                break;
            }
        }
    }
    if cut {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|cause| program.not_started(cause))?;
    Ok((status, cut))
}

fn target(project: &Project, plugin: &Plugin) -> Result<Vec<Finding>> {
    let mut plugin = plugin.clone();
    let scratch = tempfile::tempdir().map_err(|cause| {
        Error::new(ErrorKind::Io, "cannot make a temporary folder").caused_by(cause)
    })?;
    // The days that are there are not for a check to touch.
    if !lake_paths::write_below(&mut plugin, scratch.path()) {
        project.warnings().warn(warning!(
            "W-CHECK-WRITES",
            "the check writes stream {STREAM} to the destination of {} and leaves it there, with \
             the notes of the target about it: remove it afterwards",
            plugin.name
        ));
    }
    let alone = prepare::alone(project, &plugin, None, None)?;
    let good = lines(&[schema(), record(1), schema(), record(2), state(1)]);
    let mut findings = Vec::new();
    let (status, output) = feed(&alone, &good, Stdio::inherit())?;
    if !status.success() {
        let message = "cannot check the target: it fails on a correct input";
        return Err(failed(&plugin, status, message));
    }
    let printed: Vec<Option<Value>> =
        output.lines().map(|line| serde_json::from_str(line).ok()).collect();
    if printed.iter().any(|line| !matches!(line, Some(Value::Object(_)))) {
        findings.push(finding(Grade::Violation, "a line on standard output is not a state"));
    }
    if printed.last().cloned().flatten() != Some(state(1)["value"].clone()) {
        findings
            .push(finding(Grade::Violation, "the last state differs from the state in its input"));
    }
    for (what, input, grade) in bad_inputs() {
        if feed(&alone, &input, Stdio::null())?.0.success() {
            findings.push(finding(grade, &format!("it accepts {what}")));
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.grade));
    Ok(findings)
}

/// Returns what a target should refuse, by its words, and how grave it is to take it.
fn bad_inputs() -> [(&'static str, String, Grade); 4] {
    let reading = json!({"type": "STATE", "value": {"bookmarks": {}, "currently_syncing": STREAM}});
    [
        ("a RECORD before its SCHEMA", lines(&[record(1)]), Grade::Violation),
        ("a line that is not JSON", lines(&[schema()]) + "{\"type\":\n", Grade::Violation),
        (
            "a value that does not fit its schema",
            lines(&[schema(), record("x"), state(2)]),
            Grade::Warning,
        ),
        (
            "an input that ends while a stream is being read",
            lines(&[reading, schema(), record(1)]),
            Grade::Note,
        ),
    ]
}

fn schema() -> Value {
    json!({"type": "SCHEMA", "stream": STREAM, "key_properties": ["id"], "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["string", "null"]},
            "at": {"type": ["string", "null"], "format": "date-time"},
        },
    }})
}

fn record(id: impl Into<Value>) -> Value {
    let id = id.into();
    let at = "2026-01-31T00:00:00Z";
    json!({"type": "RECORD", "stream": STREAM, "record": {"id": id, "name": "é", "at": at}})
}

fn state(n: u64) -> Value {
    let value = json!({"bookmarks": {STREAM: {"n": n}}, "currently_syncing": null});
    json!({"type": "STATE", "value": value})
}

fn lines(messages: &[Value]) -> String {
    messages.iter().map(|message| message.to_string() + "\n").collect()
}

fn feed(alone: &Alone, input: &str, stderr: Stdio) -> Result<(ExitStatus, String)> {
    let program = &alone.program;
    let fail = |cause| program.not_started(cause);
    let mut child = program
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may stop reading early: its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(fail)?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn finding(grade: Grade, text: &str) -> Finding {
    Finding { grade, line: 0, text: text.to_owned(), count: 1 }
}

#[cold]
fn failed(plugin: &Plugin, status: ExitStatus, message: &'static str) -> Error {
    Error::new(exit::kind(status), message)
        .with("plugin", &plugin.name)
        .with("exit", exit::words(status))
        .hint("its own message is above: correct the fault that it names, then check again")
}
