//! `chorus run`: a job, or a pipeline named on the command line.

use std::collections::BTreeSet;

use disk::Datestamp;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use project::day::day_of;
use project::{Job, Project};
use runner::ended::{StepEnd, first_failure};
use runner::history::History;
use runner::host::Host;
use runner::observe::StreamCount;
use runner::options::Options;
use runner::order::{self, Loading};
use runner::preflight;
use runner::run::Run;
use runner::state_lock::StateLocks;
use runner::states;
use runner::warnings;
use singer::output::print;
use singer::{Error, ErrorKind, Result};

use crate::cli::RunArgs;
use crate::commands::{install, plan, table, what};
use crate::progress::Progress;
use crate::signals::{Deadline, Signals};

/// Returns the day that a command or the environment of its process names; without a word that is
/// never today.
pub fn datestamp(given: Option<&str>) -> Result<Option<Datestamp>> {
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
    match given {
        Some("today") => Ok(Some(today().into())),
        Some("yesterday") => Ok(Some(today().saturating_sub(1.day()).into())),
        Some(text) => day(text).map(Some),
        None => day_of(|name| std::env::var(name).ok()),
    }
}

/// Reads a day of the command line.
pub fn day(text: &str) -> Result<Datestamp> {
    text.parse().map_err(|failure: Error| failure.of_kind(ErrorKind::Usage))
}

/// Runs what the command names, as its options say; tells how it ended.
pub fn run(project: &Project, args: &RunArgs, options: &Options) -> Result<()> {
    let mut job = what::job(project, &args.what, options)?;
    if args.what.params.print_params {
        return what::print_params(&options.params);
    }
    let flags = args.meltano.install;
    if (flags.only || !args.dry_run) && install::for_run(project, &job, flags)? {
        // Its programs are found now.
        job = what::job(project, &args.what, options)?;
    }
    if flags.only {
        return Ok(());
    }
    preflight::check(project, &job, options.datestamp)?;
    preflight::warn_of_future(project, options.datestamp)?;
    if options.state_id.is_some() && job.steps.len() > 1 {
        return Err(Error::new(ErrorKind::Usage, "cannot use one state for several steps")
            .hint("leave out --state-id, or name one tap and one target"));
    }
    if args.dry_run {
        return plan::job(project, &job, options, args.json);
    }
    let (verbose, as_json, timeout) = (args.how.verbose, args.json, args.timeout);
    run_job(project, &job, options, Shown { verbose, as_json, timeout })
}

/// How a run is shown.
#[derive(Clone, Copy)]
pub struct Shown {
    /// With every line of the plugins' logs.
    pub verbose: bool,
    /// With its record at the end, in place of a table.
    pub as_json: bool,
    /// Ended after so many seconds.
    pub timeout: Option<u64>,
}

/// Runs a job and prints how it ended.
pub fn run_job(project: &Project, job: &Job, options: &Options, shown: Shown) -> Result<()> {
    let progress = Progress::new(shown.verbose, false);
    let signals = Signals::note(project.warnings());
    let (stop, locks) = (Deadline::new(signals, shown.timeout), StateLocks::default());
    let host = Host { stop: &stop, observer: &progress, locks: &locks };
    // Before the run begins: what is denied leaves nothing behind.
    if let Some(day) = options.datestamp {
        let history = History::read(project)?;
        // A step that goes on from a state may have nothing to load: its end tells.
        for step in job.pipelines().filter(|step| !states::goes_on(project, options, step)) {
            let loading = Loading { project, step, day, followed_to: None };
            order::warn_of_older(loading, &BTreeSet::new(), &history);
        }
    }
    let run = Run::begin(project, job, options, host)?;
    let ends = run.steps(&job.steps, &|_| true)?;
    let record = run.end(&ends, job.steps.len())?;
    let warnings = warnings::words(record.warnings.as_ref());
    let warnings = warnings.map_or(String::new(), |words| format!("warnings: {words}\n"));
    let text = if shown.as_json {
        record.to_json().to_string() + "\n"
    } else {
        summary(&ends) + &warnings
    };
    print(&text)?;
    first_failure(ends).map_or(Ok(()), |failure| Err(stop.said_of(failure)))
}

/// The table at the end of a run.
pub fn summary(ends: &[StepEnd]) -> String {
    let mut rows = Vec::new();
    for end in ends {
        let ended = match (&end.failure, end.state_moved) {
            (Some(_), _) => "failed",
            (None, true) => "kept",
            (None, false) => "-",
        };
        rows.extend(end.results.iter().map(|result| {
            let count = |count: Option<u64>| count.map_or("-".to_owned(), |n| n.to_string());
            vec![
                end.name.clone(),
                format!("{} {}", result.kind, result.node),
                count(result.rows),
                count(result.failures),
                "-".to_owned(),
                format!("{:.1}", result.seconds),
                result.status.clone(),
            ]
        }));
        if !end.results.is_empty() {
            continue;
        }
        let none = StreamCount::named("-");
        let streams = &end.observed.streams;
        for stream in if streams.is_empty() { std::slice::from_ref(&none) } else { streams } {
            let seconds =
                stream.seconds().map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
            rows.push(vec![
                end.name.clone(),
                stream.name.clone(),
                stream.rows().to_string(),
                stream.rejected.to_string(),
                stream.bytes().to_string(),
                seconds,
                ended.to_owned(),
            ]);
        }
    }
    let header = ["step", "stream", "rows", "rejected", "bytes", "seconds", "state"];
    table::render(&header, rows, &[2, 3, 4, 5])
}
