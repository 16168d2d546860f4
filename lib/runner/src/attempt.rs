//! One try of a step: its pipeline from the start to the end, its log, and its state.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use project::capture::unnamed;
use project::exit;
use project::{Plugin, Project, Step};
use singer::{Error, ErrorKind, Result};

use crate::again;
use crate::ended::StepEnd;
use crate::failure::{Failure, PLUGIN_FAILED};
use crate::observe::{self, Observed, Weight, Writer};
use crate::observer::{Events, What};
use crate::options::Options;
use crate::pipeline::{self, Event, Outcome, Stop};
use crate::prepare::{Given, NONE, Prepared, prepare};
use crate::state_stores::States;
use crate::states::{self, Start, StateKeeper};
use crate::warnings;

/// A try that is to be made.
pub(crate) struct Attempt<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its states.
    pub store: &'a States,
    /// How the run is made.
    pub options: &'a Options,
    /// Who may ask for its end.
    pub stop: &'a dyn Stop,
    /// The step.
    pub step: &'a Step,
    /// Who sees what happens.
    pub events: Events<'a>,
    /// The path of its log, which goes on behind earlier tries.
    pub log: PathBuf,
}

impl Attempt<'_> {
    /// Makes the try, and notes how it went.
    pub(crate) fn make(&self, end: &mut StepEnd) -> Result<()> {
        let Self { project, store, step, events, .. } = self;
        let state_id = &end.state_id;
        let mut log = Log::open(&self.log)?;
        let whole_log = format!("the whole log is in {}", self.log.display());
        let (start, prepared) = self.prepared(state_id).map_err(|failure| {
            // Whatever ends a step is in its log, also what ends it before its pipeline begins.
            log.failure(&failure);
            log.failed(&failure, &step.plugins);
            if failure.has_hint() { failure } else { failure.hint(&whole_log) }
        })?;
        end.reads.clone_from(&prepared.reads);
        let mut seen = Seen {
            project,
            prepared: &prepared,
            state_id,
            events: *events,
            is_ours: step.plugins.iter().map(Plugin::is_ours).collect(),
            log,
            observed: &mut end.observed,
            state: StateKeeper::new(store, state_id, start.kept, prepared.reads.as_ref())
                .over(start.under)
                .that_keeps(!end.keeps_no_state),
            last: vec![Vec::new(); prepared.programs.len()],
        };
        events.emit(What::Begun);
        for line in &prepared.warnings {
            seen.warned_before(line);
        }
        let outcome = pipeline::run(&prepared.programs, self.stop, &mut |event| seen.event(event));
        events.emit(What::Ended);
        let Seen { mut log, observed, state, last, .. } = seen;
        let well = outcome.as_ref().is_ok_and(Outcome::is_well);
        let read = observed.streams.iter().map(|stream| stream.name.clone()).collect();
        let kept = state.finish(well.then_some(&read));
        end.state_lost = kept.is_err();
        end.state_moved |= kept.map_err(|failure| {
            log.failure(&failure);
            let failure = failure.with("step", &step.name).with("state", &end.state_id);
            if failure.has_hint() { failure } else { failure.hint(UNKEPT) }
        })?;
        let outcome = outcome?;
        end.wrote |= outcome.is_well() && start.given.is_none();
        for (at, _) in outcome.statuses.iter().enumerate().filter(|(_, status)| status.success()) {
            observed.ended_well(writer(at, &prepared));
        }
        end.uncovered = again::uncovered(step, &outcome, observed);
        let uncovered = end.uncovered.as_deref();
        judge(&outcome, &step.name, &step.plugins, &last)
            .and_then(|()| {
                let counts = &observed.warnings;
                let checked = warnings::check_others(counts, &self.options.deny);
                checked.map_err(|failure| failure.with("step", &step.name))
            })
            .map_err(|failure| {
                log.failed(&failure, &step.plugins);
                let failure = placed(project, step, failure);
                let failure =
                    if end.keeps_no_state { failure } else { failure.with("state", &end.state_id) };
                let Some(rows) = uncovered else { return failure.hint(whole_log) };
                failure.with("rows added after the last state", rows).hint(format!(
                    "the step is not tried again, because its rows would be there twice: remove \
                     those rows, or load by `upsert` with keys, then run it again; {whole_log}"
                ))
            })
    }

    /// Makes all ready that the try starts from.
    fn prepared(&self, id: &str) -> Result<(Start, Prepared)> {
        let Self { project, store, options, step, .. } = *self;
        let start = states::start(project, store, options, id, step)?;
        if let Some(why) = &start.why {
            self.events.emit(What::Note(why));
        }
        let is_over = || self.stop.requested().is_some();
        let given =
            Given { state: start.given.as_ref(), deny: &options.deny, is_over: &is_over, ..NONE };
        let prepared = prepare(project, step, given).map_err(|failure| {
            // What it was asked while it was to end says nothing.
            self.stop.requested().map_or(failure, |signal| stopped(&step.name, signal))
        })?;
        let day = options.datestamp;
        let is_part = options.params.is_part();
        again::warn(&again::Loading { project, step, id, day, is_part }, &start, &prepared)?;
        project.warnings().check()?;
        Ok((start, prepared))
    }
}

/// The log of a step.
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let opened = File::options().append(true).create(true).open(path);
        opened.map(Self).map_err(|cause| disk::failure("cannot write the log", path, cause))
    }

    /// A log that cannot be written must not end the run.
    pub(crate) fn line(&mut self, name: &str, text: &str) {
        let _ = writeln!(self.0, "{name}: {text}");
    }

    /// Writes a line of our own: plugins write the time themselves.
    fn own(&mut self, text: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S,%3f");
        self.line("chorus", &format!("{now} {text}"));
    }

    pub(crate) fn failure(&mut self, failure: &Error) {
        self.own(&format!("error: {failure}"));
    }

    /// Writes the line in which a failure is reported everywhere.
    pub(crate) fn failed(&mut self, failure: &Error, plugins: &[Plugin]) {
        self.own(&format!("failed: {}", Failure::of(failure, plugins).line()));
    }
}

/// What is seen of a pipeline while it runs.
struct Seen<'a> {
    project: &'a Project,
    prepared: &'a Prepared,
    state_id: &'a str,
    events: Events<'a>,
    is_ours: Vec<bool>,
    log: Log,
    observed: &'a mut Observed,
    state: StateKeeper<'a>,
    /// Of each process, the last lines of its log.
    last: Vec<Vec<String>>,
}

impl Seen<'_> {
    /// A line in which the tap has warned when it was asked for its catalog.
    fn warned_before(&mut self, line: &str) {
        let plugin = &self.prepared.programs[0].name;
        self.log.line(plugin, line);
        self.observed.warned(line, self.is_ours[0]);
        self.events.emit(What::Line { plugin, text: line, weight: Weight::Warning });
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Log(process, line) => self.line(process, line),
            Event::State(line) => {
                self.observed.states += 1;
                if let Some(warning) = self.state.take(&line) {
                    self.project.warnings().warn(warning);
                }
            }
            Event::Tick | Event::End(_) => self.events.emit(What::Progress(self.observed)),
        }
    }

    fn line(&mut self, process: usize, line: String) {
        let mut text = unnamed(&self.prepared.named(line)).into_owned();
        // What one of ours says to do about its state: it does not know the name of it.
        if self.is_ours[process] && text.contains(UNNAMED) {
            text = text.replace(UNNAMED, &format!("chorus state clear '{}' ", self.state_id));
        }
        let plugin = &self.prepared.programs[process].name;
        self.log.line(plugin, &text);
        let weight = self.observed.line(&text, writer(process, self.prepared));
        if weight == Weight::Warning && observe::warns(&text) {
            self.observed.warned(&text, self.is_ours[process]);
        }
        self.events.emit(What::Line { plugin, text: &text, weight });
        if weight != Weight::Metric {
            remember(&mut self.last[process], text);
        }
    }
}

/// Returns the place of a process in its pipeline.
fn writer(process: usize, prepared: &Prepared) -> Writer {
    match process {
        0 => Writer::Tap,
        at if at + 1 == prepared.programs.len() => Writer::Target,
        _ => Writer::Mapper,
    }
}

/// Makes the failure of a run that was asked to end.
fn stopped(step: &str, signal: i32) -> Error {
    Error::new(ErrorKind::Temporary, "the run was asked to end")
        .with("step", step)
        .with("signal", signal)
}

/// Turns the end of the processes into the end of the step.
pub(crate) fn judge(
    outcome: &Outcome,
    step: &str,
    plugins: &[Plugin],
    last: &[Vec<String>],
) -> Result<()> {
    if let Some(signal) = outcome.stopped {
        return Err(stopped(step, signal));
    }
    let Some(at) = outcome.failed else { return Ok(()) };
    let (name, status) = (&plugins[at].name, outcome.statuses[at]);
    let mut failure = Error::new(exit::kind(status), PLUGIN_FAILED)
        .with("step", step)
        .with("plugin", name)
        .with("exit", exit::words(status));
    for line in &last[at] {
        failure = failure.with(name, line);
    }
    Err(failure)
}

/// Says where the project has the setting that a plugin has refused.
fn placed(project: &Project, step: &Step, failure: Error) -> Error {
    let failed = failure.context("plugin").map(str::to_owned);
    match step.plugins.iter().find(|plugin| Some(&plugin.name) == failed.as_ref()) {
        Some(plugin) => plugin.placed(project, failure),
        None => failure,
    }
}

/// What a state that is not kept means for the next run.
const UNKEPT: &str =
    "repair this, and run it again: rows that were loaded after the last kept state come again";

/// How a connector names a state that it does not know the name of.
const UNNAMED: &str = "chorus state clear ID ";

const LAST_LINES: usize = 12;

pub(crate) fn remember(lines: &mut Vec<String>, line: String) {
    if lines.len() == LAST_LINES {
        lines.remove(0);
    }
    lines.push(line);
}
