//! `chorus backfill`: a job for many days.

use std::fmt::Write as _;

use singer::output::print;
use singer::{Error, Result};

use crate::backfill::{self, DayPlan, OpenDay};
use crate::cli::BackfillArgs;
use crate::commands::table;
use crate::history::Standing;
use crate::run::Options;
use crate::signals::Signals;

/// Shows the days and steps, runs them, and shows how they stand at the end.
pub fn run(args: &BackfillArgs, open: OpenDay<'_>) -> Result<()> {
    let days = backfill::days(args.from.parse()?, args.to.parse()?)?;
    let plan = backfill::plan(&args.words, &days, args.only, open)?;
    backfill::check_days(&plan, &args.words, open)?;
    print(&listing(&plan))?;
    if args.preview || plan.iter().all(|day| day.wanted.is_empty()) {
        return Ok(());
    }
    let options = Options {
        full_refresh: args.full_refresh,
        retries: args.retries,
        verbose: args.verbose,
        ..Options::default()
    };
    let signals = Signals::note();
    let failures = backfill::run(&plan, args.parallel, &options, &signals, &|day, ended| {
        let word = if ended.is_ok() { "ok" } else { "failed" };
        let _ = print(&format!("{} {word}\n", day.day));
    });
    let after = backfill::plan(&args.words, &days, args.only, open)?;
    print(&grid(&after))?;
    let count = failures.len();
    match failures.into_iter().next() {
        Some((_, failure)) if count == 1 => Err(failure),
        Some((_, failure)) => Err(first_of(failure, count)),
        None => Ok(()),
    }
}

fn first_of(failure: Error, count: usize) -> Error {
    failure.with("days that failed", count)
}

/// Lists what will be run, the days in the order they will be begun.
fn listing(plan: &[DayPlan]) -> String {
    let mut text = String::new();
    let steps: usize = plan.iter().map(|day| day.wanted.len()).sum();
    let days = plan.iter().filter(|day| !day.wanted.is_empty()).count();
    for day in plan.iter().filter(|day| !day.wanted.is_empty()) {
        for at in &day.wanted {
            let standing = match day.before[*at] {
                Standing::Missing => String::new(),
                standing => format!(" (was: {standing})"),
            };
            let _ = writeln!(text, "{} {}{standing}", day.day, day.job.steps[*at].name);
        }
    }
    let _ = writeln!(text, "{steps} steps of {days} days to run, {} in all", plan.len());
    text
}

/// Draws days by steps, the first day first.
pub fn grid(plan: &[DayPlan]) -> String {
    let Some(first) = plan.first() else { return String::new() };
    let names = first.job.steps.iter().map(|step| step.name.as_str());
    let header: Vec<&str> = std::iter::once("day").chain(names).collect();
    let row = |day: &DayPlan| {
        let cells = day.before.iter().map(Standing::to_string);
        std::iter::once(day.day.to_string()).chain(cells).collect()
    };
    table::render(&header, plan.iter().rev().map(row).collect(), &[])
}
