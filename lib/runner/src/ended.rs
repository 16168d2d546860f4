//! How a step has ended, and what the record of its run says of that.

use std::collections::BTreeSet;

use project::{Step, Task};
use singer::Error;

use crate::failure::Failure;
use crate::observe::Observed;
use crate::place;
use crate::record::{ResultRecord, StepRecord, StepStatus};

/// How a step has ended.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct StepEnd {
    /// The plugins' names.
    pub name: String,
    /// Why it failed.
    pub failure: Option<Error>,
    /// What was read.
    pub observed: Observed,
    /// The streams that its tap had to read, where that is known.
    pub reads: Option<BTreeSet<String>>,
    /// How often it was tried.
    pub attempts: usize,
    /// When it began, once no other run was at it.
    pub started: jiff::Timestamp,
    /// How long it took, tries and waits included.
    pub seconds: f64,
    /// The name of its state.
    pub state_id: String,
    /// It reads a part, and moves no state.
    pub keeps_no_state: bool,
    /// Whether that state has moved.
    pub state_moved: bool,
    /// Its target has printed a state that could not be kept.
    pub state_lost: bool,
    /// Which rows its target has added, or may have, that no state covers.
    pub uncovered: Option<String>,
    /// Where its target writes, if it has one.
    pub place: Option<String>,
    /// Whether it may have changed what is there.
    pub wrote: bool,
    /// What it has replaced as a whole, if it did.
    pub replaced: Option<String>,
    /// The results of a command, as dbt writes them.
    pub results: Vec<ResultRecord>,
}

impl StepEnd {
    /// Returns that of a pipeline that begins now, of which nothing is known yet.
    pub fn begin(step: &Step, state_id: String) -> Self {
        Self { state_id, place: Some(place::of(step)), ..Self::of_command(&step.name) }
    }

    /// Returns that of a command that begins now. It has no state, and no target.
    pub fn of_command(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            failure: None,
            observed: Observed::default(),
            reads: None,
            attempts: 0,
            started: jiff::Timestamp::now(),
            seconds: 0.0,
            state_id: String::new(),
            keeps_no_state: false,
            state_moved: false,
            state_lost: false,
            uncovered: None,
            place: None,
            wrote: false,
            replaced: None,
            results: Vec::new(),
        }
    }

    /// Returns what the record says of it.
    pub fn entry(&self, task: &Task) -> StepRecord {
        let of = |failure| Failure::of(failure, task.plugins());
        let failure = self.failure.as_ref().map(of);
        let pipeline = task.pipeline();

        let is_well = failure.is_none();
        StepRecord {
            step: self.name.clone(),
            status: if is_well { StepStatus::Succeeded } else { StepStatus::Failed },
            // The same in both: a run that a signal ended has no other code.
            exit: Some(failure.as_ref().map_or(0, |failure| failure.exit)),
            failure,
            attempts: Some(self.attempts),
            started: Some(self.started),
            ended: Some(jiff::Timestamp::now()),
            seconds: Some(self.seconds),
            state_id: pipeline.map(|_| self.state_id.clone()).filter(|_| !self.keeps_no_state),
            state_lost: pipeline.map(|_| self.state_lost),
            uncovered: self.failure.as_ref().and(self.uncovered.clone()),
            into: self.place.clone(),
            from: pipeline.map(place::from),
            wrote: Some(self.wrote),
            states: pipeline.map(|_| self.observed.states),
            replaced: self.replaced.clone(),
            streams: self.observed.records(|stream| match pipeline {
                Some(step) => place::table(step, stream),
                None => stream,
            }),
            results: self.results.clone(),
            warnings: Some(self.observed.warnings.clone()),
        }
    }
}

/// Returns why the first step that failed did.
pub fn first_failure(ends: Vec<StepEnd>) -> Option<Error> {
    ends.into_iter().find_map(|end| end.failure)
}
