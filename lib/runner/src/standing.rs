//! How the steps of a day stand.

use std::fmt;

use disk::Datestamp;
use project::{Project, Step, Task};
use singer::{ErrorKind, Result};

use crate::awaited;
use crate::effect::replaces;
use crate::history::{History, PastRun, is_alive};
use crate::lake_paths::{day_is_there, tables_changed, writes_days};
use crate::options::Options;
use crate::place;
use crate::record::{StepRecord, StepStatus};

/// How a step of a day stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It was never run.
    Missing,
    /// It is being run.
    Running,
    /// Its last run has failed.
    Failed,
    /// Its last run has failed by what it read: the rows do not fit.
    FailedByData,
    /// Its last run ended without saying how: it was killed.
    Died,
    /// It has succeeded, but the day it wrote is not there any more.
    Gone,
    /// It has succeeded, but what it read is not what is there now.
    Changed,
    /// It has succeeded, but an older day was loaded after it, over its rows.
    Under,
    /// It has succeeded.
    Done,
}

impl Standing {
    /// Tells whether the last run of the step did not end well.
    pub fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::FailedByData | Self::Died)
    }

    /// Returns what the word of a standing means, where it does not say that itself.
    pub fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::Running | Self::Failed | Self::FailedByData | Self::Done => return None,
            Self::Missing => "it has not run for the day",
            Self::Died => "its run was killed before it recorded its end",
            Self::Gone => "it succeeded, but the day it wrote has been removed",
            Self::Changed => "it succeeded, but the day it read has changed since: load it again",
            Self::Under => "it succeeded, but an older day was loaded over its rows: load it again",
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "-",
            Self::Running => "running",
            Self::Failed | Self::FailedByData => "failed",
            Self::Died => "died",
            Self::Gone => "gone",
            Self::Changed => "changed since",
            Self::Under => "under an older day",
            Self::Done => "ok",
        })
    }
}

impl History {
    /// Tells whether the day that a step writes was written from something else: by another step,
    /// or in another environment.
    fn is_of_another(&self, step: &Step) -> bool {
        let Some(replaced) = place::replaced(step) else { return false };
        let here = |entry: &&StepRecord| entry.replaced.as_ref() == Some(&replaced);
        let last = self
            .runs
            .iter()
            .rev()
            .find_map(|PastRun { record, .. }| record.steps.iter().rfind(here));
        let from = last.and_then(|entry| entry.from.as_ref());
        from.is_some_and(|from| *from != place::from(step))
    }

    /// Tells how a step of a day stands, a pipeline or a command.
    pub fn standing_of(&self, project: &Project, task: &Task, day: Datestamp) -> Result<Standing> {
        match task {
            Task::Pipeline(step) => self.standing(project, step, day),
            Task::Command(step) => Ok(self.last(project, &step.name, day, &|_| true).0),
        }
    }

    /// Returns how the last run of a step for a day has ended, and its state, of the runs whose
    /// entries are wanted.
    fn last(
        &self,
        project: &Project,
        name: &str,
        day: Datestamp,
        is_wanted: &dyn Fn(&StepRecord) -> bool,
    ) -> (Standing, Option<&str>) {
        let (mut last, mut state_id) = (Standing::Missing, None);
        let environment = project.environment_name();
        let here = |PastRun { record, .. }: &&PastRun| {
            record.datestamp == Some(day) && record.environment.as_deref() == environment
        };
        for PastRun { folder, record } in self.runs.iter().filter(here) {
            let of_step = |entry: &StepRecord| entry.step == name && entry.was_tried();
            for entry in record.steps.iter().filter(|entry| of_step(entry) && is_wanted(entry)) {
                state_id = entry.state_id.as_deref();
                last = match entry.status {
                    StepStatus::Succeeded => Standing::Done,
                    StepStatus::Running if is_alive(project, folder, record) => Standing::Running,
                    StepStatus::Running => Standing::Died,
                    _ if entry.exit == Some(ErrorKind::Data.exit_code()) => Standing::FailedByData,
                    _ => Standing::Failed,
                };
            }
        }
        (last, state_id)
    }

    /// Tells how a pipeline of a day stands. The plugins of the step must be those of that day.
    ///
    /// The rule: a day is done for a step when what it last wrote to where it writes now was made
    /// from what is there now.
    pub fn standing(&self, project: &Project, step: &Step, day: Datestamp) -> Result<Standing> {
        let place = place::of(step);
        // A day that is there was written where it is looked for.
        let is_there = |entry: &StepRecord| {
            writes_days(step) || entry.into.as_ref().is_none_or(|into| *into == place)
        };
        let (last, state_id) = self.last(project, &step.name, day, &is_there);
        let is_under = || replaces(step, day) && self.older_on_top(project, step, day).is_some();
        let state = state_id.filter(|_| last == Standing::Done);
        let state = state.and_then(|id| self.states(project)?.state(id).ok().flatten());
        let has_changed = state.is_some_and(|state| {
            tables_changed(project, step, &state).is_ok_and(|t| !t.is_empty())
        });
        Ok(match (last, day_is_there(project, step)?) {
            (Standing::Done, None) if is_under() => Standing::Under,
            (Standing::Done, None) if has_changed => Standing::Changed,
            (Standing::Missing, Some(true)) => {
                let options = Options { datestamp: Some(day), ..Options::default() };
                let is_missing =
                    awaited::is_awaited(project, &options, step)? || self.is_of_another(step);
                if is_missing { Standing::Missing } else { Standing::Done }
            }
            (Standing::Done, Some(false)) => Standing::Gone,
            (last, _) => last,
        })
    }
}
