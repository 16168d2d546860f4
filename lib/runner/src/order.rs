//! The order of days: what a step leaves behind may be that of the day it did last.
//!
//! The rule: where the result depends on the order, the latest day is on top, over reruns, too.
//! When an older day is loaded again, the days after it are read whole and follow it; those that do
//! not are named in a warning. What fills a table is known from the records of this project: a load
//! from another project, a host without its folder, or another program is not seen.

use std::collections::BTreeSet;

use disk::Datestamp;
use project::warning;
use project::{Project, Step};
use singer::Result;

use crate::effect::{keeps_last, load_method, replaces};
use crate::history::{History, Newest};

/// Returns an older day whose rows lie over those of a day that a step has loaded.
pub fn lies_under(project: &Project, step: &Step, day: Datestamp) -> Result<Option<Datestamp>> {
    if !replaces(step, day) {
        return Ok(None);
    }
    Ok(History::read(project)?.older_on_top(project, step, day))
}

/// A day that a step is to load.
#[derive(Clone, Copy, Debug)]
pub struct Loading<'a> {
    /// The project of that day.
    pub project: &'a Project,
    /// The step.
    pub step: &'a Step,
    /// The day.
    pub day: Datestamp,
    /// The last of the days that follow it, each behind the one before.
    pub followed_to: Option<Datestamp>,
}

/// Warns of a day which is older than one that was done before, unless the days up to that one
/// follow. `streams` are what is loaded, where that is known.
pub fn warn_of_older(loading: Loading<'_>, streams: &BTreeSet<&str>, history: &History) {
    let Loading { project, step, day, followed_to } = loading;
    // What is only added takes no other row's place.
    let adds = load_method(step) == Some("append-only");
    if adds || !step.is_of_day || !keeps_last(step, day) {
        return;
    }
    let mut newer = history.newer_done(project, step, streams, day);
    newer.retain(|newer| followed_to.is_none_or(|to| newer.day > to));
    let Some(Newest { day: newest, step: other, .. }) = newer.last() else { return };
    let by = if *other == step.name { String::new() } else { format!(" (by {other})") };
    let text = format!(
        "{}: {day} is loaded after {newest}{by}, and its rows replace newer rows; load the later \
         days again after it: {}",
        step.name,
        again(&newer, replaces(step, day))
    );
    project.warnings().warn_once(warning!("W-DAY-OLDER", "{text}"));
}

/// Warns of an older day that was loaded while a day was, which has just ended.
pub fn warn_of_overlap(project: &Project, step: &Step, day: Datestamp) -> Result<()> {
    let Some(older) = lies_under(project, step, day)? else { return Ok(()) };
    let (step, environment) = (step.name.clone(), project.environment_name().map(str::to_owned));
    let newest = Newest { day, step: step.clone(), environment, is_recorded: true };
    let command = again(&[newest], true);
    project.warnings().warn(warning!(
        "W-DAY-OLDER",
        "{step}: {older} was loaded at the same time as {day}, and its rows may have replaced \
         newer rows; load {day} again after it: {command}"
    ));
    Ok(())
}

/// Returns the commands that load days again in their order, none but those that were loaded; what
/// a target of another author does is not known, so all of them are to be done again there.
fn again(newer: &[Newest], is_known: bool) -> String {
    let same = |one: &Newest, other: &Newest| {
        let follows = || one.day.date().tomorrow().is_ok_and(|next| next == other.day.date());
        one.step == other.step
            && one.environment == other.environment
            && one.is_recorded == other.is_recorded
            && (one.is_recorded || follows())
    };
    let command = |days: &[Newest]| {
        let (Some(first), Some(last)) = (days.first(), days.last()) else { return String::new() };
        let only = match (first.is_recorded, is_known) {
            (false, _) => "all --full-refresh",
            (true, true) => "under",
            (true, false) => "again --full-refresh",
        };
        let environment = first.environment.as_ref();
        let environment =
            environment.map_or(String::new(), |name| format!(" --environment {name}"));
        let range = format!("--from {} --to {}{environment}", first.day, last.day);
        format!("chorus backfill {} {range} --only {only}", first.step)
    };
    newer.chunk_by(same).map(command).collect::<Vec<_>>().join(" && ")
}
