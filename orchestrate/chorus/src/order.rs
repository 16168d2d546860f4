//! The order of days: what a step leaves behind may be that of the day it did last.

use lake::Datestamp;
use serde_json::Value;

use crate::day::{is_of_day, writes_days};
use crate::history::History;
use crate::project::{Job, Project, Step};

/// Tells whether a step keeps what it did last, so that days must be done in their order. It does
/// not where days are kept apart: in dated folders, in paths and schemas with the day in their
/// names, and in partitions of a table.
pub fn keeps_last(step: &Step, day: Datestamp) -> bool {
    let by_partition = load_method(step) == Some("replace-partition");
    !(by_partition || writes_days(step) || is_of_day(step.target(), day))
}

/// Says how a step treats the days before, for people.
pub fn words(step: &Step) -> String {
    let method = match load_method(step) {
        Some(method) => format!(" (`load_method: {method}`)"),
        None => String::new(),
    };
    format!("{} keeps what it did last{method}", step.name)
}

/// Warns of the steps that are about to do a day which is older than one that they have done.
pub fn warn_of_older(project: &Project, job: &Job, day: Datestamp, history: &History) {
    for step in &job.steps {
        // What is only added takes no other row's place.
        if !keeps_last(step, day) || load_method(step) == Some("append-only") {
            continue;
        }
        let Some(newest) = history.newest_done(project, step).filter(|newest| *newest > day) else {
            continue;
        };
        let next = day.date().tomorrow().map_or(newest, Datestamp::from);
        singer::warn!(
            "W-DAY-OLDER",
            "{}: {day} is done after {newest}, and what it has takes the place of what is newer; \
             do the later days again behind it: chorus backfill {} --from {next} --to {newest} \
             --only all --full-refresh",
            step.name,
            job.name
        );
    }
}

fn load_method(step: &Step) -> Option<&str> {
    step.target().config.get("load_method").and_then(Value::as_str)
}
