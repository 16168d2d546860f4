//! When a schedule was run, and when it is due, across restarts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use disk::Datestamp;
use jiff::{SignedDuration, ToSpan, Zoned};
use project::names::counted;
use project::{Project, Warnings, warning};
use serde_json::{Value, json};
use singer::Result;

use super::due::{MISSED_MAX, Schedule};
use crate::store::{self, Store};

/// Hears what there is to know of schedules.
pub type Note<'a> = &'a (dyn Fn(&str) + Sync);

/// When a schedule was last run and what its files held then, across restarts.
pub struct Clock<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    warnings: &'a Warnings,
    note: Note<'a>,
    path: PathBuf,
    pending: Vec<Zoned>,
    /// Days that are to be made up for by no run.
    pub passed_over: BTreeSet<Datestamp>,
    next: Option<Zoned>,
    last: Option<Zoned>,
    /// What its files held when they were last looked at.
    pub files: Option<String>,
    /// What the clock said when it was last looked at.
    looked: Zoned,
}

/// A clock that goes back by less is corrected as usual.
const BACK: SignedDuration = SignedDuration::from_secs(60);
/// A moment this far in the future was noted by a clock that was wrong.
const WRONG: SignedDuration = SignedDuration::from_hours(24);

impl<'a> Clock<'a> {
    /// Reads what is known of a schedule.
    pub fn new(project: &'a Project, schedule: &'a Schedule, note: Note<'a>) -> Result<Self> {
        let folder = Store::new(&project.root).schedules();
        let path = folder.join(disk::name::encode(&schedule.name) + ".json");
        let known = match std::fs::read(&path).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(known)) => known,
            Ok(Err(_)) => {
                project.warnings().warn(warning!(
                    "W-HISTORY-DAMAGED",
                    "schedule {}: {} is damaged, so chorus does not know which runs were missed",
                    schedule.name,
                    path.display()
                ));
                Value::Null
            }
            Err(_) => Value::Null,
        };
        store::check_version(&known, &path)?;
        let last = known["last"].as_str().and_then(|text| schedule.moment(text));
        let files = known["files"].as_str().map(str::to_owned);
        let looked = schedule.now();
        let (pending, passed_over) = (Vec::new(), BTreeSet::new());
        let warnings = project.warnings();
        let mut clock = Self {
            schedule,
            warnings,
            note,
            path,
            pending,
            passed_over,
            next: None,
            last,
            files,
            looked,
        };
        let last = clock.last.clone();
        clock.go_on(last.as_ref());
        Ok(clock)
    }

    /// Waits for the next moment, and makes up for those that have passed since the last one.
    fn go_on(&mut self, last: Option<&Zoned>) {
        let now = self.schedule.now();
        let passed = last.map_or(Vec::new(), |last| self.schedule.missed_since(last, &now));
        if let Some(last) = last {
            self.passed_over.extend(self.schedule.passed_over(last, &now));
        }
        if !passed.is_empty() {
            (self.note)(&format!(
                "schedule {}: {} missed",
                self.schedule.name,
                counted(passed.len(), "run was", "runs were")
            ));
        }
        self.wait_for(passed);
        self.next = self.schedule.next(&now);
    }

    /// Tells when it is due next.
    pub fn tell(&self) {
        if let Some(next) = &self.next {
            let next = next.strftime("%Y-%m-%d %H:%M:%S %Z");
            (self.note)(&format!("schedule {}: next at {next}", self.schedule.name));
        }
    }

    /// Returns the moment that a run is due for.
    pub fn due(&mut self) -> Option<Zoned> {
        let now = self.schedule.now();
        if self.looked.duration_since(&now) > BACK {
            // What was run before the clock was put back is not run again.
            let known = self.last.clone().filter(|last| last.duration_since(&now) < WRONG);
            let after = known.map_or_else(|| now.clone(), |last| last.max(now.clone()));
            self.next = self.schedule.next(&after);
            self.tell();
        }
        self.looked = now.clone();
        if let Some(next) = self.next.clone().filter(|next| *next <= now) {
            let due = self.schedule.due_since(&next, &now);
            if let Ok(before) = next.checked_sub(1.nanosecond()) {
                self.passed_over.extend(self.schedule.passed_over(&before, &now));
            }
            if now.duration_since(&next) > BACK {
                let name = &self.schedule.name;
                (self.note)(&format!(
                    "schedule {name}: {next} was missed, {} runs are due",
                    due.len()
                ));
            }
            self.wait_for(due);
            self.next = self.schedule.next(&now);
        }
        (!self.pending.is_empty()).then(|| self.pending.remove(0))
    }

    fn wait_for(&mut self, due: Vec<Zoned>) {
        self.pending.extend(due);
        let excess = self.pending.len().saturating_sub(MISSED_MAX);
        self.pending.drain(..excess);
    }

    /// Notes that the run for a moment is over.
    pub fn done(&mut self, due: &Zoned) {
        if self.next.as_ref().is_some_and(|next| *next <= self.schedule.now()) {
            let last = self.pending.last().unwrap_or(due).clone();
            self.go_on(Some(&last));
        }
        self.last = Some(due.clone());
        self.note();
    }

    /// Notes what the watched files hold.
    pub fn seen(&mut self, files: String) {
        self.files = Some(files);
        self.note();
    }

    fn note(&self) {
        let last = self.last.as_ref().map(|last| last.timestamp().to_string());
        let known = json!({ "last": last, "files": self.files });
        if let Err(failure) = store::write(&self.path, &known) {
            self.warnings.warn(warning!(
                "W-RUN-UNRECORDED",
                "schedule {}: {}",
                self.schedule.name,
                failure.message()
            ));
        }
    }
}
