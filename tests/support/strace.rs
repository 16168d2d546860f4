//! Faults in a process's own calls to the system: killed at the n-th call, or told that it failed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::run::Run;

/// The calls that publishing is made of.
pub const CALLS: &str =
    "mkdir,mkdirat,openat,write,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir";

/// One call of a process, counted as strace counts: by name.
#[derive(Clone, Debug)]
pub struct Point {
    /// The name of the call.
    pub call: String,
    /// Which one of that name, from 1.
    pub nth: usize,
    /// The call as strace shows it.
    pub line: String,
}

impl Point {
    /// Tells whether the call can change what is on disk.
    pub fn changes(&self) -> bool {
        self.call != "openat" || self.line.contains("O_CREAT")
    }

    /// Returns the injection of a fault, such as `error=EIO`, into this call.
    pub fn inject(&self, fault: &str) -> String {
        format!("{}:{fault}:when={}", self.call, self.nth)
    }
}

/// Describes a run of one of our binaries with these injections; strace is no parent of it, so
/// that signals reach the binary.
pub fn traced(name: &str, injections: &[String]) -> Run {
    strace(injections).args(["-D", "-o", "/dev/null"]).args([binary(name)])
}

/// Runs one of our binaries to a good end and returns its calls on paths below `folder`.
pub fn points(
    name: &str,
    injections: &[String],
    folder: &Path,
    settings: impl FnOnce(Run) -> Run,
) -> Vec<Point> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let run = strace(injections).args(["-y", "-e", &format!("trace={CALLS}"), "-o"]);
    settings(run.args([trace.path().to_owned(), binary(name)])).go().success();
    let text = String::from_utf8_lossy(&std::fs::read(trace.path()).unwrap()).into_owned();
    let main = text.split_whitespace().next().expect("a trace").to_owned();
    let below = folder.to_str().unwrap();
    let mut counts = BTreeMap::new();
    let mut points = Vec::new();
    for line in text.lines() {
        // Threads are counted each by itself, and the first one publishes.
        let Some(line) = line.strip_prefix(&main) else { continue };
        let Some((call, arguments)) = line.trim().split_once('(') else { continue };
        let nth: &mut usize = counts.entry(call.to_owned()).or_default();
        *nth += 1;
        if arguments.contains(below) {
            points.push(Point { call: call.to_owned(), nth: *nth, line: line.trim().to_owned() });
        }
    }
    assert!(!points.is_empty(), "no call below {below} in:\n{text}");
    points
}

/// Runs one of our binaries to a good end and returns how often its first thread made each of
/// these calls.
pub fn counts(
    name: &str,
    calls: &str,
    settings: impl FnOnce(Run) -> Run,
) -> BTreeMap<String, usize> {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let run = strace(&[]).args(["-e", &format!("trace={calls}"), "-o"]);
    settings(run.args([trace.path().to_owned(), binary(name)])).go().success();
    let text = String::from_utf8_lossy(&std::fs::read(trace.path()).unwrap()).into_owned();
    let main = text.split_whitespace().next().expect("a trace").to_owned();
    let mut counts = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&main)) {
        let call = line.trim().split_once('(').map(|(call, _)| call);
        // The rest of a call that took its time has a line of its own.
        if let Some(call) = call.filter(|call| !call.starts_with('<')) {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
    }
    counts
}

fn strace(injections: &[String]) -> Run {
    let run = Run::new(Path::new("/usr/bin/strace")).args(["-f", "-qq"]);
    let inject = |run: Run, injection: &String| run.args(["-e", &format!("inject={injection}")]);
    injections.iter().fold(run, inject)
}

fn binary(name: &str) -> std::path::PathBuf {
    crate::binaries_dir().join(name)
}
