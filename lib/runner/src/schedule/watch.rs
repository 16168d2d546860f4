//! Waits for schedules to be due, and runs their jobs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use disk::Datestamp;
use jiff::Zoned;
use project::{Job, Project, Task, Warnings, warning};
use serde_json::Value;
use singer::{Error, Result};

use super::clock::{Clock, Note};
use super::due::Schedule;
use crate::failure::Failure;
use crate::hook::{self, Summary};
use crate::host::Host;
use crate::options::Options;
use crate::run::Run;

/// How often clocks and the end are looked at.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// Opens the project for a day, with variables of the schedule.
pub type Open<'a> = &'a (dyn Fn(Datestamp, &Value) -> Result<Project> + Sync);

/// What the runs of all schedules share.
#[derive(Clone, Copy)]
pub struct Watching<'a> {
    /// Opens the project.
    pub open: Open<'a>,
    /// What the runs share.
    pub host: Host<'a>,
    /// Codes of warnings that end a run.
    pub deny: &'a [String],
    /// Who receives the warnings.
    pub warnings: &'a Warnings,
    /// Tells whether no more runs are to begin.
    pub is_over: &'a (dyn Fn() -> bool + Sync),
    /// Hears what there is to know.
    pub note: Note<'a>,
}

/// Waits for the moments and files of one schedule. Outside its window it does not look at files:
/// what changes there is noticed when the window opens.
pub fn watch(mut clock: Clock<'_>, watching: &Watching<'_>) {
    let schedule = clock.schedule;
    let mut looked = None;
    if schedule.watches() && clock.files.is_none() {
        clock.seen(schedule.fingerprint());
        looked = Some(Instant::now());
    }
    clock.tell();
    while !(watching.is_over)() {
        if let Some(due) = clock.due() {
            run(schedule, &due, watching);
            warn_of_missed(schedule, &due, &std::mem::take(&mut clock.passed_over), watching);
            clock.done(&due);
            clock.tell();
        }
        let is_time = |at: Instant| at.elapsed() >= schedule.watch_interval;
        if schedule.watches() && looked.is_none_or(is_time) && schedule.is_open(&schedule.now()) {
            let now = schedule.fingerprint();
            if clock.files.as_ref() != Some(&now) {
                (watching.note)(&format!("schedule {}: files have changed", schedule.name));
                run(schedule, &schedule.now(), watching);
                clock.seen(now);
            }
            looked = Some(Instant::now());
        }
        std::thread::sleep(TICK);
    }
}

/// A failure is reported, and the schedule goes on: the next day is another one.
fn run(schedule: &Schedule, due: &Zoned, watching: &Watching<'_>) {
    let Watching { open, host, deny, warnings, .. } = *watching;
    let name = &schedule.name;
    // What ended an earlier run is not of this one.
    warnings.forgive();
    let ended = schedule.day(due).and_then(|day| {
        let project = open(day, &schedule.env)?;
        let words = &schedule.words;
        let told = |failure: Error| {
            let summary = Failure::of(&failure, &[]);
            let summary = Summary::of_none(&project, words, Some(day), &summary);
            for warning in hook::tell(&project, words, &summary) {
                warnings.tell_of_none(&warning);
            }
            failure
        };
        let job = Job::find(&project, words).map_err(told)?;
        let of_day = job.steps.iter().any(Task::is_of_day);
        let of_day = if of_day { format!(" for {day}") } else { String::new() };
        (watching.note)(&format!("schedule {name}: running {}{of_day}", words.join(" ")));
        let (datestamp, deny) = (Some(day), deny.to_vec());
        let options = Options {
            datestamp,
            retries: 3,
            deny,
            schedule: schedule.state_name(),
            ..Options::default()
        };
        let options = schedule.flagged(options).map_err(told)?;
        let run = Run::begin(&project, &job, &options, host).map_err(told)?;
        let ends = run.steps(&job.steps, &|_| true)?;
        run.end(&ends, job.steps.len())
    });
    // What has failed before its run began is in no log.
    let failed = ended.map_or_else(
        |failure| {
            let line = Failure::of(&failure, &[]).line();
            Some(format!("{line}; chorus doctor {} shows more", schedule.words.join(" ")))
        },
        |record| record.failure_line(),
    );
    match failed {
        None => (watching.note)(&format!("schedule {name}: done")),
        // The record of the run is written: the next one must not count it.
        Some(line) => {
            let warning = warning!("W-SCHEDULE-FAILED", "schedule {name}: {line}");
            warnings.tell_of_none(&warning);
        }
    }
}

/// Warns of days that nobody has run: where each day has rows of its own, those are lacking.
fn warn_of_missed(
    schedule: &Schedule,
    due: &Zoned,
    days: &BTreeSet<Datestamp>,
    watching: &Watching<'_>,
) {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return };
    let opened = schedule.day(due).and_then(|day| (watching.open)(day, &schedule.env));
    let job = opened.and_then(|project| Ok((Job::find(&project, &schedule.words)?, project)));
    let Ok((job, project)) = job else { return };
    if !job.steps.iter().any(Task::is_of_day) {
        return;
    }
    let environment = project.environment_name();
    let environment = environment.map_or(String::new(), |name| format!(" --environment {name}"));
    project.warnings().warn(warning!(
        "W-DAYS-MISSED",
        "schedule {}: runs for {} days were missed, and the schedule does not catch up: chorus \
         backfill {} --from {first} --to {last}{environment}; with `missed: all` the schedule runs \
          each day",
        schedule.name,
        days.len(),
        schedule.words.join(" ")
    ));
}
