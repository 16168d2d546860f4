//! `chorus backfill`: a job for many days.

use std::fmt::Write as _;

use project::names::counted;
use project::{Task, Warnings};
use runner::backfill::{self, DayPlan, Ended, How, OpenDay};
use runner::effect;
use runner::failure::Failure;
use runner::host::Host;
use runner::standing::Standing;
use runner::state_lock::StateLocks;
use singer::output::print;
use singer::{Error, Result};

use crate::cli::{BackfillArgs, OnlyArg};
use crate::commands::run::day;
use crate::commands::table;
use crate::progress::Progress;
use crate::signals::Signals;

/// Shows the days and steps, runs them, and shows how they stand at the end.
pub fn run(args: &BackfillArgs, open: OpenDay<'_>, warnings: &Warnings) -> Result<()> {
    let days = backfill::days(day(&args.from)?, day(&args.to)?)?;
    let plan = backfill::plan(&args.words, &days, args.only.into(), open)?;
    backfill::check_days(&plan)?;
    print(&listing(&plan))?;
    print(&by_data(&plan, args))?;
    if plan.iter().all(|day| day.wanted.is_empty()) {
        return print(&other_ways(&plan, args));
    }
    if args.preview {
        return Ok(());
    }
    let options = args.how.options();
    backfill::warn_of_older(&plan, &options)?;
    let signals = Signals::note(warnings);
    let progress = Progress::new(args.how.verbose, true);
    let host = Host { stop: &signals, observer: &progress, locks: &StateLocks::default() };
    let how = How { parallel: args.parallel, options: &options, host };
    let failures = backfill::run(&plan, &how, &|day, ended| {
        let word = match ended {
            Ended::Done => "ok".to_owned(),
            Ended::Waits => "waits for an earlier day".to_owned(),
            Ended::Failed(failure) => format!("failed: {}", Failure::of(failure, &[]).line()),
        };
        let _ = print(&format!("{} {word}\n", day.day));
    });
    let after = backfill::plan(&args.words, &days, args.only.into(), open)?;
    print(&grid(&after))?;
    print(&by_data(&after, args))?;
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
            let _ = writeln!(text, "{} {}{standing}", day.day, day.job.steps[*at].name());
        }
    }
    let last = plan.iter().find_map(DayPlan::keeps_last);
    let _ = match last {
        _ if days < 2 => Ok(()),
        Some(step) => writeln!(text, "the earliest day first: {}", effect::words(step)),
        None => writeln!(text, "the latest day first, because the days do not replace each other"),
    };
    let [days, all] = [days, plan.len()].map(|count| counted(count, "day", "days"));
    let _ = writeln!(text, "{} of {days} to run, {all} in all", counted(steps, "step", "steps"));
    text
}

/// Says how days are run where nothing is to run. The records know nothing of what became of the
/// rows since: a table may have been dropped.
fn other_ways(plan: &[DayPlan], args: &BackfillArgs) -> String {
    let words = args.words.join(" ");
    let command = format!("chorus backfill {words} --from {} --to {}", args.from, args.to);
    let has = |is_it: fn(&Standing) -> bool| plan.iter().any(|day| day.before.iter().any(is_it));
    let mut text = String::new();
    if has(|standing| !matches!(standing, Standing::Done | Standing::Running)) {
        let _ = writeln!(text, "to run what is not done: {command}");
    }
    if args.only != OnlyArg::Again && has(|standing| *standing == Standing::Done) {
        let _ = writeln!(
            text,
            "to run what is done again: {command} --only again (with --full-refresh too if rows \
             were removed, or a table was dropped)"
        );
    }
    text
}

/// Names what there is to do where a load has failed by the rows of its day.
fn by_data(plan: &[DayPlan], args: &BackfillArgs) -> String {
    let mut days: Vec<_> = plan.iter().filter(|day| day.failed_by_its_day()).collect();
    days.sort_by_key(|day| day.day);
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return String::new() };
    let words = args.words.join(" ");
    let command = format!("chorus backfill {words} --from {} --to {}", first.day, last.day);
    format!(
        "a step failed because of the rows of its day\n  after their source is corrected, to write \
          the day again: {command} --only failed-and-before\n  to load the day as it is: {command} \
          --only failed\n"
    )
}

/// Draws days by steps, the first day first, and explains the words that need it.
pub fn grid(plan: &[DayPlan]) -> String {
    let Some(first) = plan.first() else { return String::new() };
    let names = first.job.steps.iter().map(Task::name);
    let header: Vec<&str> = std::iter::once("day").chain(names).collect();
    let row = |day: &DayPlan| {
        let cells = day.before.iter().map(Standing::to_string);
        std::iter::once(day.day.to_string()).chain(cells).collect()
    };
    let mut days: Vec<_> = plan.iter().collect();
    days.sort_by_key(|day| day.day);
    let drawn = table::render(&header, days.into_iter().map(row).collect(), &[]);
    let mut words: Vec<Standing> = plan.iter().flat_map(|day| day.before.clone()).collect();
    words.sort_unstable();
    words.dedup();
    let line = |word: Standing| Some(format!("{word}: {}\n", word.meaning()?));
    drawn + &words.into_iter().filter_map(line).collect::<String>()
}
