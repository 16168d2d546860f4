//! Runs the steps of a job, one after the other, and keeps the record of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use disk::Datestamp;
use project::warning;
use project::{CommandStep, Job, Project, Step, Task};
use singer::{Error, ErrorKind, Result};

use crate::attempt::Attempt;
use crate::awaited;
use crate::command::{self, CommandAttempt};
use crate::ended::StepEnd;
use crate::failure::Failure;
use crate::history::{self, History, LOCK};
use crate::hook::{self, Summary};
use crate::host::Host;
use crate::lake_paths::{day_written, reads_folder, writes_days};
use crate::left_behind;
use crate::life::{self, Life};
use crate::observe::Observed;
use crate::observer::Events;
use crate::options::Options;
use crate::order::{self, Loading};
use crate::place;
use crate::preflight;
use crate::record::{RunRecord, RunStatus, StepRecord, StepStatus};
use crate::state_lock::StateLock;
use crate::state_names;
use crate::state_names::state_id;
use crate::state_stores::{Mark, States};
use crate::states;
use crate::store::{self, Store};
use crate::taken;
use crate::warnings;

/// A run: its record, and the folder with its logs.
pub struct Run<'a> {
    project: &'a Project,
    states: States,
    options: &'a Options,
    folder: PathBuf,
    // As long as it is held, others see that the run lives.
    _life: Life,
    record: Mutex<RunRecord>,
    id: String,
    host: Host<'a>,
    // Who writes a day holds it until its run has ended: the next steps read it.
    kept: Mutex<Vec<StateLock<'a>>>,
}

impl<'a> Run<'a> {
    /// Opens the record of a run.
    pub fn begin(
        project: &'a Project,
        job: &Job,
        options: &'a Options,
        host: Host<'a>,
    ) -> Result<Self> {
        // Several runs may begin in one process at once.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        preflight::check(project, job, options.datestamp)?;
        state_names::check_name(project, options)?;
        project.warnings().check()?;
        let states = States::open(project)?;
        states.take_over(project)?;
        let store = Store::new(&project.root);
        store::make_private_folder(&store.runs())?;
        // Another container may have this number, too, and begin a run in the same moment: a
        // folder is one run's.
        let (now, id, folder) = loop {
            let now = jiff::Timestamp::now();
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let moment = history::moment(&store, now)?;
            let id = format!("{moment}-{}-{count}", std::process::id());
            let folder = store.runs().join(&id);
            if store::make_new_folder(&folder)? {
                break (now, id, folder);
            }
        };
        let life = Life::begin(&folder.join(LOCK))?;
        let record = RunRecord {
            run: id.clone(),
            job: job.name.clone(),
            words: job.words.clone(),
            environment: project.environment_name().map(str::to_owned),
            datestamp: options.datestamp,
            started: now,
            status: RunStatus::Running,
            process: std::process::id(),
            owner: Some(life::here()),
            state_id: options.state_id.clone(),
            state_id_suffix: options.state_id_suffix.clone(),
            schedule: options.schedule.clone(),
            no_state_update: options.no_state_update,
            state_strategy: options.state_strategy,
            run_id: options.run_id.clone(),
            params: Some(options.params.shown()).filter(|params| !params.is_empty()),
            steps: Vec::new(),
            warnings: None,
            ended: None,
        };
        let run = Self {
            project,
            states,
            options,
            folder,
            _life: life,
            record: Mutex::new(record),
            id,
            host,
            kept: Mutex::default(),
        };
        run.note(|_| ())?;
        Ok(run)
    }

    /// Runs the steps in their order until one fails, or may not begin; neighbours that do not need
    /// each other run at once.
    pub fn steps(&self, steps: &[Task], may_begin: &dyn Fn(&Step) -> bool) -> Result<Vec<StepEnd>> {
        let waiting = steps.iter().map(|step| StepRecord::waiting(step.name())).collect();
        self.note(|record| record.steps = waiting)?;
        let mut ends = Vec::new();
        while ends.len() < steps.len() {
            let from = ends.len();
            if steps[from].pipeline().is_some_and(|step| !may_begin(step)) {
                break;
            }
            let pipelines: Vec<&Step> = steps[from..].iter().map_while(Task::pipeline).collect();
            awaited::begin(self.project, self.options, &pipelines);
            let count = independent(self.project, &pipelines).min(self.options.parallel.max(1));
            let group: Vec<Result<StepEnd>> = std::thread::scope(|scope| {
                let started: Vec<_> = (from..from + count)
                    .map(|at| scope.spawn(move || self.noted_step(at, &steps[at])))
                    .collect();
                let gone =
                    |_| Err(Error::new(ErrorKind::Internal, "the thread of a step has ended"));
                started.into_iter().map(|step| step.join().unwrap_or_else(gone)).collect()
            });
            for end in group {
                ends.push(end?);
            }
            if ends.iter().any(|end| end.failure.is_some()) {
                break;
            }
        }
        Ok(ends)
    }

    /// Closes the record, and returns it.
    pub fn end(self, ends: &[StepEnd], steps: usize) -> Result<RunRecord> {
        let done = ends.len() == steps && ends.iter().all(|end| end.failure.is_none());
        let mut counts = self.project.warnings().take_counts();
        for end in ends {
            warnings::add(&mut counts, &end.observed.warnings);
        }
        self.note(|record| {
            record.warnings = Some(counts);
            let failed = ends.iter().any(|end| end.failure.is_some());
            let short = if failed { RunStatus::Failed } else { RunStatus::Waited };
            record.status = if done { RunStatus::Succeeded } else { short };
            record.ended = Some(jiff::Timestamp::now());
        })?;
        self.tell_failure()?;
        if let Err(failure) = history::prune(self.project) {
            self.project.warnings().warn(warning!("W-RUN-UNRECORDED", "{failure}"));
        }
        Ok(self.record.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of the failure to whom the job wants it told, once the record is written.
    fn tell_failure(&self) -> Result<()> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((step, failure)) = record.failure() else { return Ok(()) };
        let summary = Summary::of_run(&record, step, failure);
        for warning in hook::tell(self.project, &record.words, &summary) {
            self.project.warnings().tell(&warning);
        }
        let counts = self.project.warnings().take_counts();
        if counts.is_empty() {
            return Ok(());
        }
        self.note(|record| warnings::add(record.warnings.get_or_insert_default(), &counts))
    }

    fn noted_step(&self, at: usize, task: &Task) -> Result<StepEnd> {
        self.note(|record| {
            record.steps[at].status = StepStatus::Running;
            record.steps[at].started = Some(jiff::Timestamp::now());
        })?;
        let step = match task {
            Task::Pipeline(step) => step,
            Task::Command(step) => {
                let end = self.command(at, step);
                self.note(|record| record.steps[at] = end.entry(task))?;
                return Ok(end);
            }
        };
        let mut end = self.step(at, step)?;
        if end.failure.is_none() {
            awaited::end(self.project, self.options, step);
            end.failure = left_behind::warn(self.project, self.options.datestamp, step, &end).err();
        }
        self.warn_of_others(step, &mut end)?;
        self.note(|record| record.steps[at] = end.entry(task))?;
        let day = self.options.datestamp.filter(|_| end.wrote && end.failure.is_none());
        if let Some(day) = day {
            order::warn_of_overlap(self.project, step, day)?;
            end.failure = self.project.warnings().check().err();
            self.note(|record| record.steps[at] = end.entry(task))?;
        }
        Ok(end)
    }

    /// Warns once the streams are known: others may have loaded newer days of them, or this one.
    fn warn_of_others(&self, step: &Step, end: &mut StepEnd) -> Result<()> {
        let day = self.options.datestamp;
        let may_be_older = end.wrote && day.is_some();
        if !may_be_older && end.replaced.is_none() {
            return Ok(());
        }
        let history = History::read(self.project)?;
        taken::warn(self.project, &history, day, step, end);
        if let Some(day) = day.filter(|_| may_be_older) {
            self.warn_of_older(step, day, end, &history);
        }
        if end.failure.is_none() {
            end.failure = self.project.warnings().check().err();
        }
        Ok(())
    }

    fn warn_of_older(&self, step: &Step, day: Datestamp, end: &StepEnd, history: &History) {
        let streams = end.observed.streams.iter().map(|stream| stream.name.as_str()).collect();
        let (project, followed_to) = (self.project, self.options.followed_to);
        let loading = Loading { project, step, day, followed_to };
        order::warn_of_older(loading, &streams, history);
    }

    /// Changes the record and writes it down.
    fn note(&self, change: impl FnOnce(&mut RunRecord)) -> Result<()> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        store::note(&self.folder.join("run.json"), &record.to_json())
    }

    fn step(&self, at: usize, step: &Step) -> Result<StepEnd> {
        let started = Instant::now();
        let state_id = state_id(self.project, self.options, step);
        let held = self.hold(&state_id)?;
        let mut end = StepEnd::begin(step, state_id);
        end.keeps_no_state = self.options.keeps_no_state();
        let Some(held) = held else {
            end.failure = Some(
                Error::new(ErrorKind::Temporary, "cannot run a step that another run is executing")
                    .with("step", &step.name)
                    .with("state", &end.state_id)
                    .hint("wait until it has ended: `chorus runs` lists the running ones"),
            );
            return Ok(end);
        };
        let mark = match self.mark(&end) {
            Ok(mark) => mark,
            Err(failure) => {
                end.failure = Some(failure.with("step", &step.name));
                return Ok(end);
            }
        };
        if let Err(failure) = self.warn_of_old_name(step, &end) {
            end.failure = Some(failure.with("step", &step.name));
            return Ok(end);
        }
        end.started = jiff::Timestamp::now();
        if !self.options.full_refresh && !end.keeps_no_state {
            let history = History::read(self.project)?;
            states::warn_of_another(self.project, &history, &end.state_id, step);
        }
        let before = self.states.state(&end.state_id).ok();
        let is_mapped = step.plugins.len() > 2;
        self.attempts(&mut end, is_mapped, &|end| self.attempt(at, step, end));
        // A target of another author may tell nothing of its rows.
        let untold = end.observed.streams.is_empty() && !step.target().is_ours();
        end.wrote |= untold || self.states.state(&end.state_id).ok() != before;
        let replaces = end.wrote && end.failure.is_none();
        end.replaced = replaces.then(|| place::replaced(step)).flatten();
        // Days that are kept apart lie on top of none.
        end.wrote &= !writes_days(step);
        end.seconds = started.elapsed().as_secs_f64();
        if let Some(mark) = mark.filter(|_| end.failure.is_none()) {
            mark.succeed();
        }
        if writes_days(step) {
            self.kept().push(held);
        }
        Ok(end)
    }

    /// Takes the state of a step, or returns `None` when a run of another program holds it.
    fn hold(&self, state_id: &str) -> Result<Option<StateLock<'a>>> {
        let path = state_names::lock(self.project, state_id)?;
        self.host.locks.take_or_wait(&path, self.host.stop, &|| self.kept().clear())
    }

    fn kept(&self) -> MutexGuard<'_, Vec<StateLock<'a>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of the first run of a schedule of a tap and a target where earlier releases may have
    /// kept its state by another name. It may also be that of other runs of the two.
    fn warn_of_old_name(&self, step: &Step, end: &StepEnd) -> Result<()> {
        let Self { project, options, states, .. } = self;
        let id = &end.state_id;
        if options.schedule.is_none() || end.keeps_no_state || states.state(id)?.is_some() {
            return Ok(());
        }
        let other = state_id(project, &Options { schedule: None, ..(*options).clone() }, step);
        if states.state(&other)?.is_some() {
            project.warnings().warn(warning!(
                "W-STATE-NEW-NAME",
                "the schedule starts without a state: its state is {id}, and there is also \
                 {other}; to go on from that one: chorus state copy '{other}' '{id}'"
            ));
        }
        Ok(())
    }

    /// Runs a command of a plugin.
    fn command(&self, at: usize, step: &CommandStep) -> StepEnd {
        let Self { project, host, .. } = self;
        let events = Events { observer: host.observer, run: &self.id, at, step: &step.name };
        let log = self.folder.join(format!("{}.log", at + 1));
        let attempt = CommandAttempt { project, stop: host.stop, step, events, log };
        command::end_of(project, step, host, &events, &|end| {
            self.attempts(end, false, &|end| attempt.make(end));
        })
    }

    /// Marks the job of a step as running where Meltano looks for that; a run that keeps no state
    /// is in nobody's way.
    fn mark(&self, end: &StepEnd) -> Result<Option<Mark>> {
        if end.keeps_no_state {
            return Ok(None);
        }
        self.states.begin(self.project, &end.state_id, self.options)
    }

    /// Runs a step until it ends well, or by a failure that is not to be tried again.
    fn attempts(
        &self,
        end: &mut StepEnd,
        is_mapped: bool,
        attempt: &dyn Fn(&mut StepEnd) -> Result<()>,
    ) {
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_mins(1))
            .with_max_times(self.options.retries)
            .with_jitter()
            .build();
        loop {
            end.attempts += 1;
            end.observed = Observed::start(is_mapped);
            end.failure = attempt(end).err();
            end.wrote |= end.observed.rows() > 0;
            // Rows that no state covers would be there twice.
            let may_repeat = end.uncovered.is_none() && self.host.stop.requested().is_none();
            let again = end
                .failure
                .as_ref()
                .is_some_and(|failure| failure.kind() == ErrorKind::Temporary && may_repeat);
            match waits.next().filter(|_| again) {
                Some(wait) => {
                    let told = end.failure.as_ref().map(|failure| Failure::of(failure, &[]).line());
                    self.project.warnings().warn(warning!(
                        "W-TRY-AGAIN",
                        "{}: {}; trying again in {} s",
                        end.name,
                        told.unwrap_or_default(),
                        wait.as_secs().max(1)
                    ));
                    self.pause(wait);
                }
                None => break,
            }
        }
    }

    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while Instant::now() < until && self.host.stop.requested().is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn attempt(&self, at: usize, step: &Step, end: &mut StepEnd) -> Result<()> {
        let resumed = self.options.full_refresh && end.state_moved;
        let options = Options { resumed, ..self.options.clone() };
        let attempt = Attempt {
            project: self.project,
            store: &self.states,
            options: &options,
            stop: self.host.stop,
            step,
            events: Events { observer: self.host.observer, run: &self.id, at, step: &step.name },
            log: self.folder.join(format!("{}.log", at + 1)),
        };
        attempt.make(end)
    }
}

/// Returns how many of the first steps do not need each other: they write days of their own, and
/// none reads where another one writes.
fn independent(project: &Project, steps: &[&Step]) -> usize {
    let reads = |step: &Step, folder: &Path| reads_folder(project, step.tap(), folder);
    let mut written: Vec<(PathBuf, _, _)> = Vec::new();
    for step in steps {
        let Some(day) = day_written(project, step) else { break };
        let needed = written.iter().zip(steps).any(|(other_day, other)| {
            *other_day == day || reads(step, &other_day.0) || reads(other, &day.0)
        });
        if needed {
            break;
        }
        written.push(day);
    }
    written.len().max(1)
}
