//! `chorus doctor`: what stands in the way of a run, and the command that mends it.

use std::path::Path;
use std::process::Stdio;

use lake::Lake;
use serde_json::{Value, json};
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::day;
use crate::history;
use crate::pipeline::Program;
use crate::prepare;
use crate::project::{Plugin, Project, Role, nearest};
use crate::store::Store;

/// Less room than this is worth a word.
const ROOM_BYTES_MIN: u64 = 1 << 30;

/// The findings.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    faults: usize,
}

/// Looks at the project, its plugins and what they reach; fails when something has to be mended.
pub fn doctor(project: &Project) -> Result<()> {
    let mut report = Report::default();
    let environment = project.environment_name().unwrap_or("none");
    report.good(&format!("project {}, environment {environment}", project.root.display()));
    for name in project.plugin_names() {
        match Plugin::find(project, &name) {
            Ok(plugin) => look_at(project, &plugin, &mut report),
            Err(failure) => report.fault(&name, failure.message(), "correct meltano.yml"),
        }
    }
    states(project, &mut report);
    room(&project.root, &mut report);
    clock(&mut report);
    print(&(report.lines.join("\n") + "\n"))?;
    if report.faults == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "there is something to mend").with("findings", report.faults))
}

impl Report {
    fn good(&mut self, text: &str) {
        self.lines.push(format!("ok    {text}"));
    }

    fn note(&mut self, text: &str) {
        self.lines.push(format!("note  {text}"));
    }

    fn fault(&mut self, what: &str, text: &str, mend: &str) {
        self.faults += 1;
        self.lines.push(format!("FAULT {what}: {text}\n      mend: {mend}"));
    }
}

fn look_at(project: &Project, plugin: &Plugin, report: &mut Report) {
    let name = &plugin.name;
    if !plugin.executable.is_file() {
        let text = format!("there is no program {}", plugin.executable.display());
        let mend = format!("install it, or set `executable` of {name} to its path");
        return report.fault(name, &text, &mend);
    }
    let program = prepare::program(project, plugin, vec!["--version".to_owned()]);
    let version = output(&program, "").1;
    let version = version.lines().next().unwrap_or("no version").to_owned();
    if !plugin.missing.is_empty() {
        // Without them it would fail for their want alone.
        let names: Vec<&str> = plugin.missing.iter().map(String::as_str).collect();
        let names = names.join(", ");
        return report.note(&format!("{name}: {version}; set {names} to have it tried"));
    }
    unknown_settings(project, plugin, report);
    match plugin.role {
        Role::Extractor => match prepare::catalog(project, plugin) {
            Ok(catalog) => {
                let count = catalog["streams"].as_array().map_or(0, Vec::len);
                report.good(&format!("{name}: {version}; {count} streams"));
            }
            Err(failure) => refused(name, &failure, report),
        },
        // A state and no stream: a target connects, and writes nothing.
        Role::Loader => match prepare::alone(project, plugin, None) {
            Ok(alone) => {
                let state = json!({"type": "STATE", "value": {"bookmarks": {}}}).to_string();
                match output(&alone.program, &(state + "\n")) {
                    (Some(0), _, _) => report.good(&format!("{name}: {version}")),
                    (_, _, log) => {
                        let lines: Vec<&str> = log.lines().collect();
                        let last = lines[lines.len().saturating_sub(6)..].join("\n        ");
                        let mend =
                            format!("chorus run ... --verbose shows the whole log of {name}");
                        report.fault(name, &format!("it cannot begin:\n        {last}"), &mend);
                    }
                }
                days(project, plugin, report);
            }
            Err(failure) => refused(name, &failure, report),
        },
        Role::Mapper => report.good(&format!("{name}: {version}")),
    }
}

fn refused(name: &str, failure: &Error, report: &mut Report) {
    let lines: Vec<String> =
        failure.context_pairs().map(|(key, value)| format!("\n        {key}: {value}")).collect();
    let text = format!("{}{}", failure.message(), lines.concat());
    report.fault(name, &text, &format!("chorus plan shows what {name} would read"));
}

/// Settings that the plugin itself does not know have no effect.
fn unknown_settings(project: &Project, plugin: &Plugin, report: &mut Report) {
    let flags = ["--about", "--format", "json"].map(str::to_owned).to_vec();
    let (exit, text, _) = output(&prepare::program(project, plugin, flags), "");
    let about: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(known) = about["settings"]["properties"].as_object().filter(|_| exit == Some(0))
    else {
        return;
    };
    let names: Vec<String> = known.keys().cloned().collect();
    let aliases: Vec<&str> = known
        .values()
        .filter_map(|setting| setting["x-aliases"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for name in plugin.config.keys() {
        if names.contains(name) || aliases.contains(&name.as_str()) {
            continue;
        }
        let near = nearest(name, &names).map_or(String::new(), |near| format!(", but `{near}`"));
        report.note(&format!("{}: it has no setting `{name}`{near}", plugin.name));
    }
}

/// Tells which days a target's output folder has.
fn days(project: &Project, plugin: &Plugin, report: &mut Report) {
    let Some(root) = day::folder(plugin).map(|path| project.root.join(path)) else { return };
    if !root.is_dir() {
        return report.note(&format!("{}: {} is not there yet", plugin.name, root.display()));
    }
    room(&root, report);
    let Ok(lake) = Lake::open(&root) else { return };
    for source in lake.sources().unwrap_or_default() {
        let days = lake.days(&source).unwrap_or_default();
        let open =
            days.iter().filter(|day| !matches!(lake.run_record(&source, **day), Ok(Some(_))));
        let open: Vec<String> = open.map(ToString::to_string).collect();
        let range = match (days.first(), days.last()) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "none".to_owned(),
        };
        report.good(&format!("source {source}: {} days, {range}", days.len()));
        if !open.is_empty() {
            report.note(&format!("source {source}: no run has finished {}", open.join(", ")));
        }
    }
}

fn states(project: &Project, report: &mut Report) {
    let store = Store::new(&project.root);
    for id in store.state_ids().unwrap_or_default() {
        if let Err(failure) = store.state(&id) {
            let path = failure.context("path").unwrap_or_default();
            let mend = format!("put back a copy of {path}, or: chorus state clear '{id}'");
            report.fault(&id, failure.message(), &mend);
        }
    }
    let Ok(history) = history::History::read(project) else { return };
    let died =
        |(_, record): &&(_, Value)| record["status"] == "running" && !history::is_alive(record);
    let died = history.runs.iter().filter(died).count();
    if died > 0 {
        report.note(&format!("{died} runs were killed: `chorus runs` lists them"));
    }
}

fn room(path: &Path, report: &mut Report) {
    let Ok(found) = rustix::fs::statvfs(path) else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} has {} MiB free", path.display(), free >> 20);
    if free < ROOM_BYTES_MIN || found.f_favail == 0 && found.f_files > 0 {
        report.fault("disk", &text, "make room there");
    } else {
        report.good(&text);
    }
}

/// A clock far behind gives files and runs names that sort wrong.
fn clock(report: &mut Report) {
    let now = jiff::Timestamp::now();
    let text = format!("the clock says {}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
    if now.as_second() < 1_767_225_600 {
        report.fault("clock", &text, "set it: timedatectl set-ntp true");
    } else {
        report.good(&text);
    }
}

fn output(program: &Program, input: &str) -> (Option<i32>, String, String) {
    use std::io::Write;
    let started = prepare::command(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else { return (None, String::new(), String::new()) };
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let Ok(output) = child.wait_with_output() else { return (None, String::new(), String::new()) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
