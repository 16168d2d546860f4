//! What the doctor has found.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use runner::plan::one_line;
use singer::Error;

/// Less room than this is worth a word.
const ROOM_BYTES_MIN: u64 = 1 << 30;

/// The findings, each once.
#[derive(Default)]
pub struct Report {
    /// As they are printed.
    pub lines: Vec<String>,
    /// How many are to be mended.
    pub faults: usize,
    /// What is looked at is used by nothing: it stands in the way of no run.
    pub is_unused: bool,
    /// What is looked at runs behind other steps, which may make what it reads.
    pub follows: bool,
    /// Those whose room was looked at.
    devices: BTreeSet<u64>,
}

impl Report {
    fn add(&mut self, line: String) -> bool {
        let is_new = !self.lines.contains(&line);
        if is_new {
            self.lines.push(line);
        }
        is_new
    }

    /// Adds what is as it should be.
    pub fn good(&mut self, text: &str) {
        self.add(format!("ok    {text}"));
    }

    /// Adds what stands in nobody's way.
    pub fn note(&mut self, text: &str) {
        self.add(format!("note  {text}"));
    }

    /// Adds what stands in the way of a run, and what mends it.
    pub fn fault(&mut self, what: &str, text: &str, mend: &str) {
        if self.is_unused {
            let text = format!("{what}, which no job or schedule names: {text}");
            return self.note(&format!("{text}\n      fix: {mend}"));
        }
        if self.add(format!("FAULT {what}: {text}\n      fix: {mend}")) {
            self.faults += 1;
        }
    }

    /// Adds a failure with its own hint, or else another one.
    pub fn failure(&mut self, what: &str, failure: &Error, mend: &str) {
        let whole = failure.to_string();
        let hint = whole.lines().rev().find_map(|line| line.strip_prefix("  hint: "));
        self.fault(what, &one_line(failure), hint.unwrap_or(mend));
    }

    /// Tells of the room of a file system, once.
    pub fn room(&mut self, path: &Path) {
        let device = std::fs::metadata(path).map(|found| found.dev()).ok();
        let Ok(found) = rustix::fs::statvfs(path) else { return };
        if device.is_some_and(|device| !self.devices.insert(device)) {
            return;
        }
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let text = format!("{} has {} MiB free", path.display(), free >> 20);
        if free < ROOM_BYTES_MIN || found.f_favail == 0 && found.f_files > 0 {
            self.fault("disk", &text, "free some space there");
        } else {
            self.good(&text);
        }
    }
}
