//! Many days of one job: which steps of which days to run, and running them.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use disk::Datestamp;
use lake::{Lake, Series};
use project::{Job, Plugin, Project, Step, Task};
use singer::{Error, ErrorKind, Result};

use crate::effect;
use crate::ended::first_failure;
use crate::history::History;
use crate::host::Host;
use crate::lake_paths::{day_written, writes_days};
use crate::options::Options;
use crate::order::{self, Loading};
use crate::pipeline::Stop;
use crate::preflight;
use crate::run::Run;
use crate::standing::Standing;
use crate::states;

/// Which steps to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// What has not been done, or is not there any more, or was made from what has changed.
    #[default]
    Missing,
    /// What has failed.
    Failed,
    /// What has failed, and the steps before it that wrote the day it reads.
    FailedAndBefore,
    /// What was run before, however it ended, and what reads it.
    Again,
    /// What lies under an older day that was loaded after it.
    Under,
    /// Everything.
    All,
}

/// One day of a backfill.
pub struct DayPlan {
    /// The day.
    pub day: Datestamp,
    /// The project with the variables of that day.
    pub project: Project,
    /// The job with the settings of that day.
    pub job: Job,
    /// How each step stood.
    pub before: Vec<Standing>,
    /// The positions of the steps to run.
    pub wanted: Vec<usize>,
}

impl DayPlan {
    /// Returns the first of the steps to run that keeps what it did last.
    pub fn keeps_last(&self) -> Option<&Step> {
        let mut steps = self.wanted.iter().filter_map(|at| self.job.steps[*at].pipeline());
        steps.find(|step| effect::keeps_last(step, self.day))
    }

    /// Tells whether a step to run has failed by the rows of a day that a step before it wrote, and
    /// that is not written again.
    pub fn failed_by_its_day(&self) -> bool {
        let writes = |at: &usize| self.job.steps[*at].pipeline().is_some_and(writes_days);
        self.wanted.iter().any(|at| {
            self.before[*at] == Standing::FailedByData
                && !writes(at)
                && (0..*at).any(|before| writes(&before) && !self.wanted.contains(&before))
        })
    }
}

/// Opens a project for a day.
pub type OpenDay<'a> = &'a dyn Fn(Datestamp) -> Result<Project>;

/// Finds out what there is to do: the latest day first, but the earliest one where a step keeps
/// what it did last.
pub fn plan(
    words: &[String],
    days: &[Datestamp],
    only: Only,
    open: OpenDay<'_>,
) -> Result<Vec<DayPlan>> {
    let mut plan = Vec::new();
    let mut history = None;
    for day in days.iter().rev() {
        let project = open(*day)?;
        if history.is_none() {
            history = Some(History::read(&project)?);
        }
        let Some(history) = &history else { continue };
        let job = Job::find(&project, words)?;
        let mut before = Vec::new();
        for step in &job.steps {
            before.push(history.standing_of(&project, step, *day)?);
        }
        let writes_day = |step: &Step| day_written(&project, step).is_some();
        let writes: Vec<bool> =
            job.steps.iter().map(|step| step.pipeline().is_some_and(writes_day)).collect();
        let wanted = wanted(&before, &writes, only);
        plan.push(DayPlan { day: *day, project, job, before, wanted });
    }
    if only != Only::Failed && only != Only::FailedAndBefore {
        follow(&mut plan);
    }
    if plan.iter().any(|day| day.keeps_last().is_some()) {
        plan.reverse();
    }
    Ok(plan)
}

/// Finds out how the steps of a job, which has these words, stand on all days that are known, the
/// latest one first.
pub fn known_days(
    history: &History,
    job: &Job,
    words: &[String],
    open: OpenDay<'_>,
) -> Result<Vec<DayPlan>> {
    let mut days: BTreeSet<Datestamp> =
        job.steps.iter().flat_map(|step| history.days(step.name())).collect();
    days.extend(unrecorded(history, words, open)?);
    let mut found = Vec::new();
    for day in days.into_iter().rev() {
        let project = open(day)?;
        let job = Job::find(&project, words)?;
        let before = job.steps.iter().map(|step| history.standing_of(&project, step, day));
        let before = before.collect::<Result<_>>()?;
        found.push(DayPlan { day, project, job, before, wanted: Vec::new() });
    }
    Ok(found)
}

/// Returns the days whose records are lost, and of which states are left.
fn unrecorded(history: &History, words: &[String], open: OpenDay<'_>) -> Result<Vec<Datestamp>> {
    // Which of the steps are of a day shows with one alone.
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().into();
    let project = open(day)?;
    let job = Job::find(&project, words)?;
    let days = job.pipelines().flat_map(|step| history.days_by_state_alone(&project, step, day));
    Ok(days.collect())
}

/// Has the days that are done follow the older ones that are to be loaded over them; the days are
/// given with the latest one first.
fn follow(plan: &mut [DayPlan]) {
    let mut loaded: BTreeSet<usize> = BTreeSet::new();
    for day in plan.iter_mut().rev() {
        for at in 0..day.job.steps.len() {
            let Some(step) = day.job.steps[at].pipeline() else { continue };
            if !effect::replaces(step, day.day) {
                continue;
            }
            if day.wanted.contains(&at) {
                loaded.insert(at);
            } else if loaded.contains(&at) && day.before[at] == Standing::Done {
                let writes =
                    |after: &usize| day.job.steps[*after].pipeline().is_some_and(writes_days);
                let follows = |after: &usize| *after == at || !writes(after);
                day.wanted.extend((at..day.job.steps.len()).filter(follows));
            }
        }
        day.wanted.sort_unstable();
        day.wanted.dedup();
    }
}

/// Refuses a job with a step that is the same for every day: it would do the same again for each.
/// A command follows what the steps before it have loaded.
pub fn check_days(plan: &[DayPlan]) -> Result<()> {
    let Some(first) = plan.first() else { return Ok(()) };
    let steps = &first.job.steps;
    let follows = |at: usize| steps[..at].iter().any(Task::is_of_day);
    let is_same = |(at, step): &(usize, &Task)| {
        !step.is_of_day() && (step.pipeline().is_some() || !follows(*at))
    };
    let Some((_, step)) = steps.iter().enumerate().find(is_same) else { return Ok(()) };
    let failure = Error::new(ErrorKind::Config, "cannot backfill a step that has no day")
        .with("step", step.name());
    let named = |failure: Error, plugin: &Plugin| failure.with("plugin", &plugin.name);
    let hint = format!(
        "put \"${{DATESTAMP}}\" into the settings, or the `env`, of one of them, such as {}; or \
         run it once: chorus run {}",
        step.plugins()[0].name,
        step.name()
    );
    Err(step.plugins().iter().fold(failure, named).hint(hint))
}

/// Warns of the first day that is older than one that was done before and does not follow, where
/// it is sure to be loaded.
pub fn warn_of_older(plan: &[DayPlan], options: &Options) -> Result<()> {
    let Some(first) = plan.iter().find(|day| day.keeps_last().is_some()) else { return Ok(()) };
    let history = History::read(&first.project)?;
    for at in &first.wanted {
        let Some(step) = first.job.steps[*at].pipeline() else { continue };
        let (project, day) = (&first.project, first.day);
        let options = Options { datestamp: Some(day), ..options.clone() };
        if states::goes_on(project, &options, step) {
            continue;
        }
        let loading = Loading { project, step, day, followed_to: followed_to(plan, first) };
        order::warn_of_older(loading, &BTreeSet::new(), &history);
    }
    Ok(())
}

/// Returns the last day up to which all days behind one are loaded in their order.
fn followed_to(plan: &[DayPlan], first: &DayPlan) -> Option<Datestamp> {
    let mut later: Vec<_> = plan.iter().filter(|day| day.day > first.day).collect();
    later.sort_by_key(|day| day.day);
    let keeps_last = |at: &&usize| {
        let step = first.job.steps[**at].pipeline();
        step.is_some_and(|step| effect::keeps_last(step, first.day))
    };
    let ordered: Vec<usize> = first.wanted.iter().filter(keeps_last).copied().collect();
    let follows = |day: &&&DayPlan| {
        let stays = |at: &usize| day.before[*at] != Standing::Missing && !day.wanted.contains(at);
        !ordered.iter().any(stays)
    };
    later.iter().take_while(follows).last().map(|day| day.day)
}

/// Chooses steps. What reads a day has to run again after any step before it has; steps that write
/// days of their own do not depend on each other.
fn wanted(before: &[Standing], writes_day: &[bool], only: Only) -> Vec<usize> {
    let mut wanted: Vec<usize> = Vec::new();
    for (at, standing) in before.iter().enumerate() {
        let own = match only {
            Only::All => true,
            Only::Failed | Only::FailedAndBefore => standing.has_failed(),
            Only::Under => *standing == Standing::Under,
            Only::Again => !matches!(standing, Standing::Missing | Standing::Running),
            Only::Missing => !matches!(standing, Standing::Done | Standing::Running),
        };
        if own && only == Only::FailedAndBefore && !writes_day[at] {
            wanted = (0..at).filter(|at| writes_day[*at] || wanted.contains(at)).collect();
        }
        if own || !wanted.is_empty() && !writes_day[at] {
            wanted.push(at);
        }
    }
    wanted
}

/// How a day has ended.
pub enum Ended {
    /// All its steps are done.
    Done,
    /// A step that keeps what it did last waits for a day before, which has failed.
    Waits,
    /// A step has failed.
    Failed(Error),
}

/// How the days of a backfill have ended, for steps that must follow those before.
struct Order {
    /// Whether each day is done; `None` while it is not over.
    done: Mutex<Vec<Option<bool>>>,
    changed: Condvar,
}

impl Order {
    fn over(&self, at: usize, done: bool) {
        let mut days = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        days[at] = Some(done);
        self.changed.notify_all();
    }

    /// Waits for the days before to be over; tells whether all of them are done.
    fn follows(&self, at: usize, stop: &dyn Stop) -> bool {
        let mut days = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if stop.requested().is_some() || days[..at].contains(&Some(false)) {
                return false;
            }
            if !days[..at].contains(&None) {
                return true;
            }
            let waited = self.changed.wait_timeout(days, LOOK_AGAIN);
            days = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How the days of a backfill are run.
#[derive(Clone, Copy)]
pub struct How<'a> {
    /// So many days at once.
    pub parallel: usize,
    /// How each of them is run.
    pub options: &'a Options,
    /// What the runs share.
    pub host: Host<'a>,
}

const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Runs the wanted steps of the days, as `how` says; `seen` learns of each that is over.
/// Returns the first failure of each day that has one.
pub fn run(
    days: &[DayPlan],
    how: &How<'_>,
    seen: &(dyn Fn(&DayPlan, &Ended) + Sync),
) -> Vec<(Datestamp, Error)> {
    let How { parallel, options, host } = *how;
    let stop = host.stop;
    let series = series(days);
    // Runs are read in the order in which they begin: it is to be that of the days.
    let next = Mutex::new(days.iter().enumerate());
    let failures = Mutex::new(Vec::new());
    let order = Order { done: Mutex::new(vec![None; days.len()]), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, days.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some((at, day)) = next.next().filter(|_| stop.requested().is_none()) else {
                        break;
                    };
                    if day.wanted.is_empty() {
                        order.over(at, true);
                        continue;
                    }
                    let (datestamp, followed_to) = (Some(day.day), followed_to(days, day));
                    let options = Options { datestamp, followed_to, ..options.clone() };
                    let run = Run::begin(&day.project, &day.job, &options, host);
                    drop(next);
                    let follows = || order.follows(at, stop);
                    let ended = run.and_then(|run| run_day(day, run, &follows));
                    let ended = ended.unwrap_or_else(Ended::Failed);
                    order.over(at, matches!(ended, Ended::Done));
                    seen(day, &ended);
                    if let (Ended::Failed(failure), Ok(mut failures)) = (ended, failures.lock()) {
                        failures.push((day.day, failure));
                    }
                }
            });
        }
    });
    // Waits for readers of what was replaced, which the targets of the days have not.
    drop(series);
    failures.into_inner().unwrap_or_default()
}

/// Begins a series of runs in each output folder that is there and that the days write. Where none
/// can be begun, each run waits for its readers itself.
fn series(days: &[DayPlan]) -> Vec<Series> {
    let of_day = |day: &DayPlan| {
        let steps = day.wanted.iter().filter_map(|at| day.job.steps[*at].pipeline());
        let written = steps.filter_map(|step| day_written(&day.project, step));
        written.map(|(root, ..)| root).collect::<Vec<_>>()
    };
    let roots: BTreeSet<_> = days.iter().flat_map(of_day).filter(|root| root.is_dir()).collect();
    roots.into_iter().filter_map(|root| Series::begin(&Lake::at(root)).ok()).collect()
}

fn run_day(day: &DayPlan, run: Run<'_>, follows: &dyn Fn() -> bool) -> Result<Ended> {
    let steps: Vec<_> = day.wanted.iter().map(|at| day.job.steps[*at].clone()).collect();
    let may_begin = |step: &Step| !effect::keeps_last(step, day.day) || follows();
    let ends = run.steps(&steps, &may_begin)?;
    run.end(&ends, steps.len())?;
    let count = ends.len();
    Ok(match first_failure(ends) {
        Some(failure) => Ended::Failed(failure.with("day", day.day)),
        None if count < steps.len() => Ended::Waits,
        None => Ended::Done,
    })
}

/// A hundred years: more is a slip of the hand.
const DAYS_MAX: i32 = 36_525;

/// Returns the days from the first to the last.
pub fn days(from: Datestamp, to: Datestamp) -> Result<Vec<Datestamp>> {
    if from > to {
        return Err(Error::new(ErrorKind::Usage, "--to is earlier than --from")
            .with("from", from)
            .with("to", to));
    }
    let count = from.date().until(to.date()).map_or(i32::MAX, |span| span.get_days());
    if count > DAYS_MAX {
        return Err(Error::new(ErrorKind::Usage, "cannot backfill so many days at once")
            .with("days", count)
            .with("at most", DAYS_MAX)
            .hint("check the years of --from and --to"));
    }
    let now = jiff::Timestamp::now();
    if preflight::is_in_future(to, now) {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        return Err(Error::new(ErrorKind::Usage, "cannot backfill days that have not begun")
            .with("to", to)
            .with("today", today)
            .hint("end with a day that has begun; `chorus run --datestamp` takes a later one"));
    }
    let all = from.date().series(jiff::Span::new().days(1));
    Ok(all.take_while(|day| *day <= to.date()).map(Datestamp::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_day_runs_after_what_writes_it() {
        use Standing::{Died, Done, Failed, FailedByData, Gone, Missing, Running};
        // Two extracts and a load.
        let check = |before: [Standing; 3], only, expected: &[usize]| {
            let wanted = wanted(&before, &[true, true, false], only);
            assert_eq!(wanted, expected, "{before:?} {only:?}");
        };
        check([Missing, Missing, Missing], Only::Missing, &[0, 1, 2]);
        check([Done, Missing, Missing], Only::Missing, &[1, 2]);
        check([Gone, Done, Done], Only::Missing, &[0, 2]);
        check([Done, Done, Failed], Only::Missing, &[2]);
        check([Done, Done, Done], Only::Missing, &[]);
        check([Running, Done, Done], Only::Missing, &[]);
        check([Missing, Died, Missing], Only::Failed, &[1, 2]);
        check([Missing, Missing, Done], Only::Failed, &[]);
        check([Done, Done, Done], Only::All, &[0, 1, 2]);
        check([Done, Done, Done], Only::Again, &[0, 1, 2]);
        check([Missing, Missing, Failed], Only::Again, &[2]);
        check([Missing, Missing, Missing], Only::Again, &[]);
        check([Done, Done, FailedByData], Only::Failed, &[2]);
        check([Done, Done, FailedByData], Only::FailedAndBefore, &[0, 1, 2]);
        check([Failed, Done, Done], Only::FailedAndBefore, &[0, 2]);
        check([Done, Failed, Failed], Only::FailedAndBefore, &[0, 1, 2]);
        check([Done, Done, Done], Only::FailedAndBefore, &[]);
    }

    #[test]
    fn days_include_both_ends() {
        let day = |text: &str| text.parse::<Datestamp>().unwrap();
        let all = days(day("2024-02-28"), day("2024-03-01")).unwrap();
        assert_eq!(all, [day("2024-02-28"), day("2024-02-29"), day("2024-03-01")]);
        assert!(days(day("2024-03-01"), day("2024-02-28")).is_err());
    }
}
