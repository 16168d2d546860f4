//! Runs the steps of a job, one after the other, and keeps the record of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use lake::{Datestamp, Lock};
use serde_json::{Value, json};
use singer::{Error, ErrorKind, Result};

use crate::history::day_is_there;
use crate::observe::{Observed, Weight};
use crate::pipeline::{self, Event, Outcome, Stop};
use crate::prepare::prepare;
use crate::progress::Progress;
use crate::project::{Job, Project, Step};
use crate::store::{self, Store};

/// How a run is to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The day, for the state's name and the record.
    pub datestamp: Option<Datestamp>,
    /// Reads everything, whatever the state says.
    pub full_refresh: bool,
    /// The name of the state, in place of the one made of the plugins.
    pub state_id: Option<String>,
    /// How often a step is tried again when a rerun helps.
    pub retries: usize,
    /// Shows every line of the plugins' logs.
    pub verbose: bool,
    /// Shows no progress.
    pub quiet: bool,
}

/// How a step has ended.
#[derive(Debug)]
pub struct StepEnd {
    /// The plugins' names.
    pub name: String,
    /// Why it failed.
    pub failure: Option<Error>,
    /// What was read.
    pub observed: Observed,
    /// How often it was tried.
    pub attempts: usize,
    /// How long it took, tries and waits included.
    pub seconds: f64,
    /// The name of its state, and whether that moved.
    pub state: (String, bool),
}

/// A run: its record, and the folder with its logs.
pub struct Run<'a> {
    project: &'a Project,
    store: Store,
    options: &'a Options,
    stop: &'a dyn Stop,
    folder: PathBuf,
    record: Value,
}

impl<'a> Run<'a> {
    /// Opens the record of a run.
    pub fn begin(
        project: &'a Project,
        job: &Job,
        options: &'a Options,
        stop: &'a dyn Stop,
    ) -> Result<Self> {
        // Several runs may begin in one process at once.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let store = Store::new(&project.root);
        let now = jiff::Timestamp::now();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{count}", now.strftime("%Y%m%dT%H%M%S%3fZ"), std::process::id());
        let folder = store.runs().join(&id);
        store::make_private_folder(&folder)?;
        let record = json!({
            "run": id,
            "job": job.name,
            "environment": project.environment_name(),
            "datestamp": options.datestamp.map(|day| day.to_string()),
            "started": now.to_string(),
            "status": "running",
            "process": std::process::id(),
            "steps": [],
        });
        let run = Self { project, store, options, stop, folder, record };
        run.write_record()?;
        Ok(run)
    }

    /// Runs the steps until one fails.
    pub fn steps(&mut self, steps: &[Step]) -> Result<Vec<StepEnd>> {
        let mut ends = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let begun = json!({ "step": step.name, "status": "running" });
            self.note(at, begun)?;
            let end = self.step(at, step)?;
            self.note(at, entry(&end))?;
            let failed = end.failure.is_some();
            ends.push(end);
            if failed {
                break;
            }
        }
        Ok(ends)
    }

    /// Closes the record.
    pub fn end(mut self, ends: &[StepEnd], steps: usize) -> Result<Value> {
        let done = ends.len() == steps && ends.iter().all(|end| end.failure.is_none());
        self.record["status"] = if done { "succeeded" } else { "failed" }.into();
        self.record["ended"] = jiff::Timestamp::now().to_string().into();
        self.write_record()?;
        Ok(self.record)
    }

    fn step(&self, at: usize, step: &Step) -> Result<StepEnd> {
        let started = Instant::now();
        let state_id = state_id(self.project, self.options, step);
        let lock_folder = self.project.root.join(".chorus/locks");
        store::make_private_folder(&lock_folder)?;
        let lock = Lock::try_take(&lock_folder.join(lake::name::encode(&state_id)))?;
        let mut end = StepEnd {
            name: step.name.clone(),
            failure: None,
            observed: Observed::default(),
            attempts: 0,
            seconds: 0.0,
            state: (state_id, false),
        };
        if lock.is_none() {
            end.failure = Some(
                Error::new(ErrorKind::Temporary, "cannot run a step that another run is at")
                    .with("step", &step.name)
                    .with("state", &end.state.0)
                    .hint("wait for its end: `chorus runs` lists what is running"),
            );
            return Ok(end);
        }
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_secs(60))
            .with_max_times(self.options.retries)
            .with_jitter()
            .build();
        loop {
            end.attempts += 1;
            end.observed = Observed::default();
            end.failure = self.attempt(at, step, &mut end).err();
            let again = end.failure.as_ref().is_some_and(|failure| {
                failure.kind() == ErrorKind::Temporary && self.stop.requested().is_none()
            });
            match waits.next().filter(|_| again) {
                Some(wait) => {
                    log::warn!("trying {} again in {} s", step.name, wait.as_secs().max(1));
                    self.pause(wait);
                }
                None => break,
            }
        }
        end.seconds = started.elapsed().as_secs_f64();
        Ok(end)
    }

    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while Instant::now() < until && self.stop.requested().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn attempt(&self, at: usize, step: &Step, end: &mut StepEnd) -> Result<()> {
        let state_id = &end.state.0;
        let known = self.known_state(state_id, step)?;
        let prepared = prepare(self.project, step, known.as_ref())?;
        let path = self.folder.join(format!("{}.log", at + 1));
        let mut log = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|cause| store::failure("cannot write the log", &path, cause))?;
        let mut last: Vec<Vec<String>> = vec![Vec::new(); prepared.programs.len()];
        let mut progress = Progress::new(&step.name, self.options.verbose, self.options.quiet);
        let (mut moved, mut unkept) = (false, None);
        let observed = &mut end.observed;
        let outcome = pipeline::run(&prepared.programs, self.stop, &mut |event| match event {
            Event::Log(process, line) => {
                let name = &prepared.programs[process].name;
                let _ = writeln!(log, "{name}: {line}");
                let weight = observed.line(&line, process == 0);
                progress.line(name, &line, weight);
                if weight != Weight::Metric {
                    remember(&mut last[process], line);
                }
            }
            Event::State(line) => {
                observed.states += 1;
                match keep(&self.store, state_id, &line) {
                    Ok(()) => moved = true,
                    Err(failure) => unkept = Some(failure),
                }
            }
            Event::Tick | Event::End(_) => progress.show(observed),
        });
        progress.finish();
        end.state.1 = moved;
        let outcome = outcome?;
        if let Some(failure) = unkept {
            return Err(failure);
        }
        judge(&outcome, step, &last)
            .map_err(|failure| failure.hint(format!("the whole log is in {}", path.display())))
    }

    /// Returns the state to start from. One that speaks of a day that is gone would leave the day
    /// as it is: away.
    fn known_state(&self, id: &str, step: &Step) -> Result<Option<Value>> {
        if self.options.full_refresh {
            return Ok(None);
        }
        let known = self.store.state(id)?;
        if known.is_some() && day_is_there(self.project, step)? == Some(false) {
            log::info!("the day that {id} speaks of is not there: everything is read");
            return Ok(None);
        }
        Ok(known)
    }

    fn note(&mut self, at: usize, entry: Value) -> Result<()> {
        if let Some(steps) = self.record["steps"].as_array_mut() {
            steps.truncate(at);
            steps.push(entry);
        }
        self.write_record()
    }

    fn write_record(&self) -> Result<()> {
        store::write(&self.folder.join("run.json"), &self.record)
    }
}

/// Returns what the record says of a step.
fn entry(end: &StepEnd) -> Value {
    json!({
        "step": end.name,
        "status": if end.failure.is_none() { "succeeded" } else { "failed" },
        "exit": end.failure.as_ref().map_or(0, |failure| failure.kind().exit_code()),
        "attempts": end.attempts,
        "seconds": end.seconds,
        "state_id": end.state.0,
        "states": end.observed.states,
        "streams": end.observed.to_json(),
    })
}

/// Turns the end of the processes into the end of the step.
fn judge(outcome: &Outcome, step: &Step, last: &[Vec<String>]) -> Result<()> {
    if let Some(signal) = outcome.stopped {
        return Err(Error::new(ErrorKind::Temporary, "the run was asked to end")
            .with("step", &step.name)
            .with("signal", signal));
    }
    let Some(at) = outcome.failed else { return Ok(()) };
    let (name, status) = (&step.plugins[at].name, outcome.statuses[at]);
    let mut failure = Error::new(kind_of(status), "a plugin failed")
        .with("step", &step.name)
        .with("plugin", name)
        .with("exit", words(status));
    for line in &last[at] {
        failure = failure.with(name, line);
    }
    Err(failure)
}

/// Names the state of a step as Meltano does, with the day where the project has no suffix of its
/// own: a day that is read again starts where that day was left, not where the last one was.
pub fn state_id(project: &Project, options: &Options, step: &Step) -> String {
    if let Some(id) = &options.state_id {
        return id.clone();
    }
    let environment = project.environment_name().map(|name| format!("{name}:")).unwrap_or_default();
    let id = format!("{environment}{}-to-{}", step.tap().name, step.target().name);
    let suffix = project.environment["state_id_suffix"].as_str();
    let suffix = suffix.map(|text| project.variables.expand(text, &mut BTreeSet::new()));
    let day = || options.datestamp.map(|day| day.to_string());
    match suffix.filter(|text| !text.is_empty()).or_else(day) {
        Some(suffix) => format!("{id}:{suffix}"),
        None => id,
    }
}

/// Writes down a state that the target has printed.
fn keep(store: &Store, id: &str, line: &str) -> Result<()> {
    if let Ok(state @ Value::Object(_)) = serde_json::from_str::<Value>(line) {
        return store.set_state(id, &state);
    }
    log::warn!("the target has printed a line that is no state; it is left out");
    Ok(())
}

const LAST_LINES: usize = 12;

fn remember(lines: &mut Vec<String>, line: String) {
    if lines.len() == LAST_LINES {
        lines.remove(0);
    }
    lines.push(line);
}

fn kind_of(status: ExitStatus) -> ErrorKind {
    match status.code() {
        Some(code) => crate::prepare::kind_of_exit(Some(code)),
        // The kernel or an administrator has killed it: memory is the usual reason.
        None => ErrorKind::Unavailable,
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "0, before the end of its input".to_owned(),
        (Some(code), _) => code.to_string(),
        (None, Some(9)) => "signal 9 (was there memory enough?)".to_owned(),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}
