//! `chorus schedule`: runs the schedules of the project in the foreground.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, ToSpan, Zoned};
use lake::Datestamp;
use project::warning;
use project::{Job, Project, Warnings};
use runner::ended::first_failure;
use runner::host::Host;
use runner::options::Options;
use runner::pipeline::Stop;
use runner::run::Run;
use runner::schedule::{MISSED_MAX, Schedule};
use runner::state_lock::StateLocks;
use runner::store::{self, Store};
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use singer::{Error, ErrorKind, Result};

use crate::progress::Progress;

/// How often clocks and requests are looked at.
const TICK: Duration = Duration::from_millis(200);

/// The first request lets what runs come to its end; the second one ends it.
#[derive(Clone, Debug, Default)]
struct Requests {
    count: Arc<AtomicUsize>,
    signal: Arc<AtomicI32>,
}

/// What the runs of all schedules share.
struct Running<'a> {
    open: Open<'a>,
    requests: &'a Requests,
    deny: &'a [String],
    warnings: &'a Warnings,
    locks: &'a StateLocks,
}

/// Opens the project for a day, with variables of the schedule.
pub type Open<'a> = &'a (dyn Fn(Datestamp, &Value) -> Result<Project> + Sync);

/// Runs until it is asked to end.
pub fn schedule(
    project: &Project,
    names: &[String],
    open: Open<'_>,
    deny: &[String],
) -> Result<()> {
    let mut all = Schedule::read_all(&project.root, &project.file)?;
    if let Some(name) = names.iter().find(|name| all.iter().all(|one| one.name != **name)) {
        return Err(Error::new(ErrorKind::Config, "cannot find the schedule").with("name", name));
    }
    all.retain(|schedule| names.is_empty() || names.contains(&schedule.name));
    all.retain(|schedule| schedule.is_timed() || schedule.watches());
    if all.is_empty() {
        return Err(Error::new(ErrorKind::Config, "cannot find a schedule to run")
            .hint("add `schedules` with an `interval` to meltano.yml"));
    }
    for schedule in &mut all {
        schedule.leave_out_outputs(&Job::find(project, &schedule.words)?);
    }
    project.warnings().check()?;
    let clocks: Vec<_> =
        all.iter().map(|schedule| Clock::new(project, schedule)).collect::<Result<_>>()?;
    let requests = Requests::listen()?;
    log::info!("g and Enter, Ctrl-C or SIGTERM end this when what runs is done; twice, at once");
    let locks = StateLocks::default();
    std::thread::scope(|scope| {
        for clock in clocks {
            let (requests, warnings, locks) = (&requests, project.warnings(), &locks);
            scope.spawn(move || watch(clock, &Running { open, requests, deny, warnings, locks }));
        }
    });
    Ok(())
}

/// Waits for the moments and files of one schedule. Outside its window it does not look at files:
/// what changes there is noticed when the window opens.
fn watch(mut clock: Clock<'_>, running: &Running<'_>) {
    let schedule = clock.schedule;
    let mut looked = None;
    if schedule.watches() && clock.files.is_none() {
        clock.seen(schedule.fingerprint());
        looked = Some(Instant::now());
    }
    clock.tell();
    while running.requests.count() == 0 {
        if let Some(due) = clock.due() {
            run(schedule, &due, running);
            warn_of_missed(schedule, &due, &std::mem::take(&mut clock.passed_over), running);
            clock.done(&due);
            clock.tell();
        }
        let is_time = |at: Instant| at.elapsed() >= schedule.watch_interval;
        if schedule.watches() && looked.is_none_or(is_time) && schedule.is_open(&schedule.now()) {
            let now = schedule.fingerprint();
            if clock.files.as_ref() != Some(&now) {
                log::info!("schedule {}: files have changed", schedule.name);
                run(schedule, &schedule.now(), running);
                clock.seen(now);
            }
            looked = Some(Instant::now());
        }
        std::thread::sleep(TICK);
    }
}

/// A failure is told, and the schedule goes on: the next day is another one.
fn run(schedule: &Schedule, due: &Zoned, running: &Running<'_>) {
    let Running { open, requests, deny, warnings, locks } = *running;
    let name = &schedule.name;
    // What ended an earlier run is not of this one.
    warnings.forgive();
    let ended = schedule.day(due).and_then(|day| {
        log::info!("schedule {name}: running {} for {day}", schedule.words.join(" "));
        let project = open(day, &schedule.env)?;
        let job = Job::find(&project, &schedule.words)?;
        let options =
            Options { datestamp: Some(day), retries: 3, deny: deny.to_vec(), ..Options::default() };
        let progress = Progress::new(false, true);
        let host = Host { stop: requests, observer: &progress, locks };
        let run = Run::begin(&project, &job, &options, host)?;
        let ends = run.steps(&job.steps, &|_| true)?;
        run.end(&ends, job.steps.len())?;
        first_failure(ends).map_or(Ok(()), Err)
    });
    match ended {
        Ok(()) => log::info!("schedule {name}: done"),
        Err(failure) => {
            warnings.warn(warning!("W-SCHEDULE-FAILED", "schedule {name}: {}", failure.message()));
        }
    }
}

/// Warns of days that nobody has run: where each day has rows of its own, those are lacking.
fn warn_of_missed(
    schedule: &Schedule,
    due: &Zoned,
    days: &BTreeSet<Datestamp>,
    running: &Running<'_>,
) {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return };
    let opened = schedule.day(due).and_then(|day| (running.open)(day, &schedule.env));
    let job = opened.and_then(|project| Ok((Job::find(&project, &schedule.words)?, project)));
    let Ok((job, project)) = job else { return };
    if !job.steps.iter().any(|step| step.is_of_day) {
        return;
    }
    let environment = project.environment_name();
    let environment = environment.map_or(String::new(), |name| format!(" --environment {name}"));
    project.warnings().warn(warning!(
        "W-DAYS-MISSED",
        "schedule {}: runs for {} days were missed and are not made up for: chorus backfill {} \
         --from {first} --to {last}{environment}; `missed: all` of the schedule runs each",
        schedule.name,
        days.len(),
        schedule.words.join(" ")
    ));
}

/// When a schedule was last run and what its files held then, across restarts.
struct Clock<'a> {
    schedule: &'a Schedule,
    warnings: &'a Warnings,
    path: std::path::PathBuf,
    pending: Vec<Zoned>,
    /// Days that are to be made up for by no run.
    passed_over: BTreeSet<Datestamp>,
    next: Option<Zoned>,
    last: Option<Zoned>,
    files: Option<String>,
    /// What the clock said when it was last looked at.
    looked: Zoned,
}

/// A clock that goes back by less is corrected as usual.
const BACK: SignedDuration = SignedDuration::from_secs(60);
/// A moment this far in the future was noted by a clock that was wrong.
const WRONG: SignedDuration = SignedDuration::from_hours(24);

impl<'a> Clock<'a> {
    fn new(project: &'a Project, schedule: &'a Schedule) -> Result<Self> {
        let folder = Store::new(&project.root).schedules();
        let path = folder.join(lake::name::encode(&schedule.name) + ".json");
        let known = match std::fs::read(&path).map(|text| serde_json::from_slice(&text)) {
            Ok(Ok(known)) => known,
            Ok(Err(_)) => {
                project.warnings().warn(warning!(
                    "W-HISTORY-DAMAGED",
                    "schedule {}: {} is damaged, so that missed runs are not known",
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
            log::info!("schedule {}: {} runs were missed", self.schedule.name, passed.len());
        }
        self.wait_for(passed);
        self.next = self.schedule.next(&now);
    }

    fn tell(&self) {
        if let Some(next) = &self.next {
            let next = next.strftime("%Y-%m-%d %H:%M:%S %Z");
            log::info!("schedule {}: next at {next}", self.schedule.name);
        }
    }

    /// Returns the moment that a run is due for.
    fn due(&mut self) -> Option<Zoned> {
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
                log::info!("schedule {name}: {next} was missed, {} runs are due", due.len());
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

    fn done(&mut self, due: &Zoned) {
        if self.next.as_ref().is_some_and(|next| *next <= self.schedule.now()) {
            let last = self.pending.last().unwrap_or(due).clone();
            self.go_on(Some(&last));
        }
        self.last = Some(due.clone());
        self.note();
    }

    /// Notes what the watched files hold.
    fn seen(&mut self, files: String) {
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

impl Requests {
    fn listen() -> Result<Self> {
        let requests = Self::default();
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map_err(|cause| {
            Error::new(ErrorKind::Internal, "cannot note signals").caused_by(cause)
        })?;
        let noted = requests.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                noted.add(signal);
            }
        });
        let typed = requests.clone();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(std::io::Result::ok) {
                if line.trim() == "g" {
                    typed.add(SIGTERM);
                }
            }
        });
        Ok(requests)
    }

    fn add(&self, signal: i32) {
        self.signal.store(signal, Ordering::Relaxed);
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            log::info!("ending when what runs is done");
        }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Stop for Requests {
    fn requested(&self) -> Option<i32> {
        (self.count() > 1).then(|| self.signal.load(Ordering::Relaxed))
    }
}
