//! Many days of one job: which steps of which days to run, and running them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lake::Datestamp;
use singer::{Error, ErrorKind, Result};

use crate::day::day_written;
use crate::history::{History, Standing};
use crate::pipeline::Stop;
use crate::project::{Job, Plugin, Project};
use crate::run::{Options, Run, first_failure};

/// Which steps to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    /// What has not been done, or is not there any more
    #[default]
    Missing,
    /// What has failed
    Failed,
    /// Everything
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

/// Opens a project for a day.
pub type OpenDay<'a> = &'a dyn Fn(Datestamp) -> Result<Project>;

/// Finds out what there is to do, the latest day first.
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
            before.push(history.standing(&project, step, *day)?);
        }
        let writes: Vec<bool> =
            job.steps.iter().map(|step| day_written(&project, step).is_some()).collect();
        let wanted = wanted(&before, &writes, only);
        plan.push(DayPlan { day: *day, project, job, before, wanted });
    }
    Ok(plan)
}

/// Refuses a job with a step that is the same for every day: it would do the same again for each.
pub fn check_days(plan: &[DayPlan], words: &[String], open: OpenDay<'_>) -> Result<()> {
    let Some(first) = plan.first() else { return Ok(()) };
    let elsewhere = first.day.date().yesterday().or_else(|_| first.day.date().tomorrow());
    let Ok(day) = elsewhere.map(Datestamp::from) else { return Ok(()) };
    let other = Job::find(&open(day)?, words)?;
    for (step, other) in first.job.steps.iter().zip(&other.steps) {
        if step.plugins.iter().zip(&other.plugins).any(|(one, other)| one.differs_from(other)) {
            continue;
        }
        let failure = Error::new(ErrorKind::Config, "cannot fill days with a step without a day")
            .with("step", &step.name);
        let named = |failure: Error, plugin: &Plugin| failure.with("plugin", &plugin.name);
        let hint = format!(
            "put ${{DATESTAMP}} into the settings, or the `env`, of one of them, such as {}; or run \
             it once: chorus run {}",
            step.tap().name,
            step.name
        );
        return Err(step.plugins.iter().fold(failure, named).hint(hint));
    }
    Ok(())
}

/// Chooses steps. What reads a day has to run again after any step before it has; steps that write
/// days of their own do not depend on each other.
fn wanted(before: &[Standing], writes_day: &[bool], only: Only) -> Vec<usize> {
    let mut wanted: Vec<usize> = Vec::new();
    for (at, standing) in before.iter().enumerate() {
        let own = match only {
            Only::All => true,
            Only::Failed => matches!(standing, Standing::Failed | Standing::Died),
            Only::Missing => !matches!(standing, Standing::Done | Standing::Running),
        };
        if own || !wanted.is_empty() && !writes_day[at] {
            wanted.push(at);
        }
    }
    wanted
}

/// Runs the wanted steps of the days, so many days at once; `seen` is told of each that has ended.
/// Returns the first failure of each day that has one.
pub fn run(
    days: &[DayPlan],
    parallel: usize,
    options: &Options,
    stop: &dyn Stop,
    seen: &(dyn Fn(&DayPlan, &Result<()>) + Sync),
) -> Vec<(Datestamp, Error)> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..parallel.clamp(1, days.len().max(1)) {
            scope.spawn(|| {
                while stop.requested().is_none()
                    && let Some(day) = days.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if day.wanted.is_empty() {
                        continue;
                    }
                    let ended = run_day(day, options, stop);
                    seen(day, &ended);
                    if let (Err(failure), Ok(mut failures)) = (ended, failures.lock()) {
                        failures.push((day.day, failure));
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap_or_default()
}

fn run_day(day: &DayPlan, options: &Options, stop: &dyn Stop) -> Result<()> {
    let options = Options { datestamp: Some(day.day), quiet: true, ..options.clone() };
    let run = Run::begin(&day.project, &day.job, &options, stop)?;
    let steps: Vec<_> = day.wanted.iter().map(|at| day.job.steps[*at].clone()).collect();
    let ends = run.steps(&steps)?;
    run.end(&ends, steps.len())?;
    first_failure(ends).map_or(Ok(()), |failure| Err(failure.with("day", day.day)))
}

/// A hundred years: more is a slip of the hand.
const DAYS_MAX: i32 = 36_525;

/// Returns the days from the first to the last.
pub fn days(from: Datestamp, to: Datestamp) -> Result<Vec<Datestamp>> {
    if from > to {
        return Err(Error::new(ErrorKind::Usage, "cannot go from a day to an earlier one")
            .with("from", from)
            .with("to", to));
    }
    let count = from.date().until(to.date()).map_or(i32::MAX, |span| span.get_days());
    if count > DAYS_MAX {
        return Err(Error::new(ErrorKind::Usage, "cannot fill so many days at once")
            .with("days", count)
            .with("at most", DAYS_MAX)
            .hint("are the years of --from and --to right?"));
    }
    let all = from.date().series(jiff::Span::new().days(1));
    Ok(all.take_while(|day| *day <= to.date()).map(Datestamp::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_a_day_runs_after_what_writes_it() {
        use Standing::{Died, Done, Failed, Gone, Missing, Running};
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
    }

    #[test]
    fn days_include_both_ends() {
        let day = |text: &str| text.parse::<Datestamp>().unwrap();
        let all = days(day("2024-02-28"), day("2024-03-01")).unwrap();
        assert_eq!(all, [day("2024-02-28"), day("2024-02-29"), day("2024-03-01")]);
        assert!(days(day("2024-03-01"), day("2024-02-28")).is_err());
    }
}
