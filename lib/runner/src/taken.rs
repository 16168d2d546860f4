//! Tables that two steps replace in turn: each leaves its own rows alone.
//!
//! The rule: of a day (or of no day), what one step replaces is not what another step, of another
//! tap or other mappers, was the last to write there.

use std::collections::BTreeSet;

use disk::Datestamp;
use project::warning;
use project::{Project, Step};

use crate::ended::StepEnd;
use crate::history::{History, PastRun};
use crate::place;
use crate::record::StepRecord;

/// Warns of tables of which a step has just replaced what another one wrote.
pub(crate) fn warn(
    project: &Project,
    history: &History,
    day: Option<Datestamp>,
    step: &Step,
    end: &StepEnd,
) {
    let Some(place) = end.replaced.as_deref() else { return };
    let streams = end.observed.streams.iter().map(|stream| place::table(step, &stream.name));
    let mut taken = Vec::new();
    let mut others = BTreeSet::new();
    for table in streams.collect::<BTreeSet<_>>() {
        let wrote = |entry: &&StepRecord| {
            entry.replaced.as_deref() == Some(place) && entry.tables().any(|other| other == table)
        };
        let mut of_day =
            history.runs.iter().rev().filter(|PastRun { record, .. }| record.datestamp == day);
        let last = of_day.find_map(|PastRun { record, .. }| record.steps.iter().rfind(wrote));
        let other = last.map(|entry| entry.step.as_str());
        if let Some(other) = other.filter(|other| source(other) != source(&step.name)) {
            taken.push(table);
            others.insert(format!("`{other}`"));
        }
    }
    if taken.is_empty() {
        return;
    }
    let day = day.map_or_else(String::new, |day| format!(" for {day}"));
    project.warnings().warn(warning!(
        "W-TABLE-TAKEN",
        "{}: {} replaces the data that {} wrote there{day}: give each step tables, a `source` or a \
          schema of its own",
        step.name,
        taken.join(", "),
        others.into_iter().collect::<Vec<_>>().join(", ")
    ));
}

/// Returns the tap and the mappers of a step's name: the same ones read the same.
fn source(step: &str) -> &str {
    step.rsplit_once(' ').map_or(step, |(source, _)| source)
}
