//! `chorus runs`, `logs`, `rerun` and `status`: what was run, and how it stands.

use std::collections::VecDeque;
use std::fmt::Write as _;

use disk::Datestamp;
use project::{Job, Project, Task};
use runner::backfill::{DayPlan, OpenDay, known_days};
use runner::history::{self, History, PastRun};
use runner::part;
use runner::record::{RunRecord, RunStatus, StepStatus};
use runner::store;
use runner::warnings;
use serde_json::Value;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::{RerunArgs, RunsArgs};
use crate::commands::run::{Shown, run_job};
use crate::commands::{backfill, table};

/// Lists the runs, the last one last.
pub fn runs(project: &Project, args: &RunsArgs) -> Result<()> {
    let history = History::read(project)?;
    let is_dead = |PastRun { folder, record }: &PastRun| {
        record.status == RunStatus::Running && !history::is_alive(project, folder, record)
    };
    let has_failed = |run: &PastRun| {
        matches!(run.record.status, RunStatus::Failed | RunStatus::Waited) || is_dead(run)
    };
    let is_wanted = |run: &&PastRun| {
        let of_job = args.job.as_ref().is_none_or(|job| *job == run.record.job);
        of_job && (!args.failed || has_failed(run))
    };
    let mut failures = String::new();
    let wanted: Vec<&PastRun> =
        history.all().into_iter().rev().filter(is_wanted).take(args.count).collect();
    let rows = wanted.into_iter().rev().map(|run| {
        let record = &run.record;
        if let Some(line) = record.failure_line() {
            let _ = writeln!(failures, "{}: {line}", record.job);
        }
        let status = if is_dead(run) { "died" } else { record.status.word() };
        let streams = record.steps.iter().flat_map(|step| &step.streams);
        let rows: u64 = streams.map(|stream| stream.rows).sum();
        // The sum of no numbers would be -0.
        let seconds = record.steps.iter().filter_map(|step| step.seconds);
        let seconds = seconds.fold(0.0, |sum, one| sum + one);
        vec![
            record.run.clone(),
            record.job.clone() + if record.is_part() { " (part)" } else { "" },
            record.datestamp.map_or_else(|| "-".to_owned(), |day| day.to_string()),
            status.to_owned(),
            rows.to_string(),
            format!("{seconds:.1}"),
            warnings::words(record.warnings.as_ref()).unwrap_or_else(|| "-".to_owned()),
        ]
    });
    let header = ["run", "job", "day", "status", "rows", "seconds", "warnings"];
    let table = table::render(&header, rows.collect(), &[4, 5]);
    let gap = if failures.is_empty() { "" } else { "\n" };
    print(&format!("{table}{gap}{failures}"))
}

/// Prints the logs of a run.
pub fn logs(project: &Project, name: &str) -> Result<()> {
    let history = History::read(project)?;
    let PastRun { folder, .. } = history.find(name)?;
    for path in store::entries(folder)? {
        if path.extension().is_some_and(|extension| extension == "log") {
            let log = std::fs::read(&path)
                .map_err(|cause| disk::failure("cannot read the log", &path, cause))?;
            for line in String::from_utf8_lossy(&log).lines() {
                print(&(singer::error::printable(line).into_owned() + "\n"))?;
            }
        }
    }
    Ok(())
}

/// Opens the project for a day, with variables of the run.
pub type Open<'a> = &'a dyn Fn(Option<Datestamp>, &Value) -> Result<Project>;

/// Runs again what a run ran, for its day.
pub fn rerun(project: &Project, args: &RerunArgs, open: Open<'_>) -> Result<()> {
    let history = History::read(project)?;
    let PastRun { record, .. } = history.find(&args.run)?;
    if record.environment.as_deref() != project.environment_name() {
        let environment = record.environment.as_deref().unwrap_or_default();
        return Err(Error::new(ErrorKind::Usage, "cannot rerun in another environment")
            .with("environment of the run", environment)
            .hint(format!("chorus rerun --environment {environment} ...")));
    }
    // Older records have the words in one text.
    let words = if record.words.is_empty() {
        record.job.split_whitespace().map(str::to_owned).collect()
    } else {
        record.words.clone()
    };
    let options = args.options(record)?;
    let project = &open(record.datestamp, &options.params.variables())?;
    let mut job = Job::find(project, &words)?;
    only_those_of(record, &mut job)?;
    if let Some(from) = &args.from {
        let number = from.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_name = job.steps.iter().position(|step| step.name() == from);
        let at = by_name.or(number).filter(|at| *at < job.steps.len()).ok_or_else(|| {
            let names: Vec<&str> = job.steps.iter().map(Task::name).collect();
            Error::new(ErrorKind::Usage, "cannot find the step").with("step", from).hint(format!(
                "give a number from 1 to {}, or one of: {}",
                names.len(),
                names.join("; ")
            ))
        })?;
        job.steps.drain(..at);
    }
    let shown = Shown { verbose: false, as_json: args.json, timeout: None };
    part::take(project, &mut job, &options)?;
    run_job(project, &job, &options, shown)
}

/// Leaves out the steps of a job that a run did not have: a backfill runs those that are to be
/// done, and to write a day again that was left alone would put today's rows into it.
fn only_those_of(record: &RunRecord, job: &mut Job) -> Result<()> {
    let mut names: VecDeque<&str> = record.steps.iter().map(|step| step.step.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    job.steps.retain(|step| {
        let is_next = names.front() == Some(&step.name());
        if is_next {
            names.pop_front();
        }
        is_next
    });
    let day = record.datestamp;
    let day = day.map_or_else(String::new, |day| format!(" --datestamp {day}"));
    match names.front() {
        None => Ok(()),
        Some(name) => Err(Error::new(ErrorKind::Config, "cannot find a step of the run")
            .with("job", &job.name)
            .with("step", name)
            .hint(format!(
                "the job has changed since then: chorus run {}{day}",
                job.words.join(" ")
            ))),
    }
}

/// Draws how the steps of jobs stand, for the days that are known.
pub fn status(project: &Project, words: &[String], open: OpenDay<'_>) -> Result<()> {
    let history = History::read(project)?;
    let shown = if words.is_empty() { all(project, &history) } else { pipelines(project, words) };
    if shown.is_empty() {
        return print("there is no job, and nothing was run yet\n");
    }
    for one in &shown {
        let job = Job::find(project, one)?;
        let grid = known_days(&history, &job, one, open)?;
        print(&format!("{}\n", job.name))?;
        let none = without_days(&history, project, &job);
        let warned: String = grid.iter().rev().map(|day| warned(&history, day)).collect();
        let text = if grid.is_empty() { none } else { backfill::grid(&grid) };
        print(&(text + &warned + "\n"))?;
    }
    Ok(())
}

/// Tells jobs apart: what names a pipeline by its plugins is one, as it is to be run.
fn pipelines(project: &Project, words: &[String]) -> Vec<Vec<String>> {
    let jobs = project.job_names();
    let each = words.iter().all(|word| jobs.contains(word));
    words.chunks(if each { 1 } else { words.len() }).map(<[String]>::to_vec).collect()
}

/// Returns the jobs of the project, and the pipelines that were run by the names of their plugins
/// and can be run still.
fn all(project: &Project, history: &History) -> Vec<Vec<String>> {
    let mut all: Vec<_> = project.job_names().into_iter().map(|name| vec![name]).collect();
    for PastRun { record, .. } in &history.runs {
        for one in pipelines(project, &record.words) {
            if !all.contains(&one) && Job::find(project, &one).is_ok() {
                all.push(one);
            }
        }
    }
    all
}

/// Tells how the last runs of a job without days have ended.
fn without_days(history: &History, project: &Project, job: &Job) -> String {
    let row = |step: &Task| {
        let runs = history.runs.iter().rev().filter(|PastRun { record, .. }| {
            record.datestamp.is_none()
                && record.environment.as_deref() == project.environment_name()
        });
        let (folder, record, entry) = runs
            .flat_map(|PastRun { folder, record }| {
                record.steps.iter().map(move |entry| (folder, record, entry))
            })
            .find(|(.., entry)| entry.step == step.name() && entry.was_tried())?;
        let status = match entry.status {
            StepStatus::Succeeded => "ok",
            StepStatus::Running if !history::is_alive(project, folder, record) => "died",
            status => status.word(),
        };
        let warned = warnings::words(entry.warnings.as_ref()).unwrap_or_else(|| "-".to_owned());
        Some(vec![step.name().to_owned(), record.started.to_string(), status.to_owned(), warned])
    };
    let rows: Vec<_> = job.steps.iter().filter_map(row).collect();
    if rows.is_empty() {
        return "it was not run yet\n".to_owned();
    }
    table::render(&["step", "last run", "status", "warnings"], rows, &[])
}

/// Tells what the last runs of a day's steps have warned of.
fn warned(history: &History, day: &DayPlan) -> String {
    let steps = day.job.steps.iter().filter_map(|step| {
        let entry = history.entry(&day.project, step.name(), day.day)?;
        let words = warnings::words(entry.warnings.as_ref())?;
        Some(format!("{} {}: {words}\n", day.day, step.name()))
    });
    steps.collect()
}
