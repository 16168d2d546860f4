//! Rows that are added a second time.
//!
//! The rule: where rows are added beside those that are there, what was loaded from the same source
//! before is not read again without a word. A step reads it again when its state is lost or has
//! another name (that of another environment, plugin, suffix or `--state-id`), with
//! `--full-refresh`, when a day or a file has changed since it was loaded, and when its last run
//! was killed, has failed behind rows that no state covers, or could not keep the state of what it
//! had loaded. Nor is a try that has added such rows made again by itself.

use std::collections::BTreeSet;

use disk::Datestamp;
use project::warning;
use project::{Project, Step};
use serde_json::Value;
use singer::Result;

use crate::effect;
use crate::effect::Adds;
use crate::history::{History, PastRun, UNCOVERED};
use crate::lake_paths;
use crate::observe::Observed;
use crate::pipeline::Outcome;
use crate::place;
use crate::plugin_plan;
use crate::prepare::Prepared;
use crate::record::{RunRecord, StepRecord};
use crate::state_stores::States;
use crate::states::Start;

/// More files are counted, not named.
const FILES_SHOWN: usize = 5;

/// A load that is about to begin.
pub(crate) struct Loading<'a> {
    /// The project.
    pub project: &'a Project,
    /// The step.
    pub step: &'a Step,
    /// The name of its state.
    pub id: &'a str,
    /// The day of the run.
    pub day: Option<Datestamp>,
    /// A part is read, without the state of its job.
    pub is_part: bool,
}

/// Returns which rows a try that has failed has added, or may have, that no state covers: none of
/// them may be read again without a word. A target of ours tells in its log, however it ends; of
/// one of others it is not known, unless its tap has read nothing.
pub(crate) fn uncovered(step: &Step, outcome: &Outcome, observed: &Observed) -> Option<String> {
    if !observed.uncovered.is_empty() {
        let names: Vec<&str> = observed.uncovered.iter().map(String::as_str).collect();
        return Some(format!("rows of {}", names.join(", ")));
    }
    if outcome.is_well() || step.target().is_ours() || effect::adds(step) != Adds::All {
        return None;
    }
    let counts = step.tap().is_ours() && outcome.failed == Some(0);
    let may_have = !counts || observed.rows() > 0 || observed.states > 0;
    may_have.then(|| "perhaps rows (the target does not say)".to_owned())
}

/// Warns before the first row.
pub(crate) fn warn(loading: &Loading<'_>, start: &Start, prepared: &Prepared) -> Result<()> {
    let adds = effect::adds(loading.step);
    if adds == Adds::None {
        return Ok(());
    }
    warn_of_unkept(loading, adds)?;
    match &start.given {
        Some(state) if adds == Adds::All => {
            warn_of_files(loading, state);
            warn_of_changed(loading, state)
        }
        Some(_) => Ok(()),
        None => warn_of_loaded(loading, prepared.reads.as_ref()),
    }
}

fn warn_of_changed(loading: &Loading<'_>, state: &Value) -> Result<()> {
    let Loading { project, step, .. } = loading;
    let changed = lake_paths::tables_changed(project, step, state)?;
    if changed.is_empty() {
        return Ok(());
    }
    project.warnings().warn_once(warning!(
        "W-ROWS-AGAIN",
        "{}: {} changed since the day was loaded, and all of its rows are added again: remove the \
         rows of this day, or load by `upsert` or `replace-partition`",
        step.name,
        changed.join(", ")
    ));
    Ok(())
}

/// A plan of ours names the files that it would read: those that the state has are read again. A
/// bookmark of whole files names them as the plan does.
fn warn_of_files(loading: &Loading<'_>, state: &Value) {
    let Loading { project, step, .. } = loading;
    let marks = state["bookmarks"].as_object().into_iter().flatten();
    let members = marks.filter_map(|(_, mark)| mark.as_object()).flat_map(|mark| mark.values());
    let read: Vec<&String> =
        members.filter_map(Value::as_object).flat_map(|all| all.keys()).collect();
    if read.is_empty() || !step.tap().has_whole_bookmarks() || !step.tap().plans() {
        return;
    }
    // What is wrong with it, the run itself will tell.
    let Ok(planned) = plugin_plan::of_tap(project, step, Some(state), None) else { return };
    let steps = planned.streams.iter().filter_map(|stream| stream["steps"].as_array()).flatten();
    let mut again: Vec<&str> = steps.filter_map(Value::as_str).collect();
    again.retain(|path| read.iter().any(|read| read.as_str() == *path));
    if again.is_empty() {
        return;
    }
    let more = again.len().saturating_sub(FILES_SHOWN);
    again.truncate(FILES_SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    project.warnings().warn_once(warning!(
        "W-ROWS-AGAIN",
        "{}: {}{more} changed since they were loaded, and all of their rows are added again: \
         remove the rows of these files, or load by `upsert`",
        step.name,
        again.join(", ")
    ));
}

/// What a run had committed behind the last state that it kept comes again.
fn warn_of_unkept(loading: &Loading<'_>, adds: Adds) -> Result<()> {
    let Loading { project, step, day, .. } = *loading;
    let history = History::read(project)?;
    let Some((at, why)) = history.unkept(project, step, day) else { return Ok(()) };
    if adds != Adds::All && why != UNCOVERED {
        return Ok(());
    }
    project.warnings().warn_once(warning!(
        "W-ROWS-AGAIN",
        "{}: its last run (of {at}) {why}: rows that it added after its last state are added \
         again; look for them in the tables, or load by `upsert`",
        step.name
    ));
    Ok(())
}

fn warn_of_loaded(loading: &Loading<'_>, reads: Option<&BTreeSet<String>>) -> Result<()> {
    let Loading { project, step, id, .. } = *loading;
    let history = History::read(project)?;
    let Some((record, entry)) = last_load(&history, loading, reads) else { return Ok(()) };
    let (by, at) = (&entry.step, record.started);
    if loading.is_part {
        project.warnings().warn_once(warning!(
            "W-ROWS-AGAIN",
            "{}: a part is read without the state of the job, and added to the rows that `{by}` \
             loaded from the same source (run of {at}): remove those rows first, or load by \
             `upsert`; `--deny-warnings W-ROWS-AGAIN` ends a run before it adds them",
            step.name
        ));
        return Ok(());
    }
    let store = States::open(project)?;
    let known = entry.state_id.as_deref().filter(|other| *other != id);
    let mend = match known.filter(|other| matches!(store.state(other), Ok(Some(_)))) {
        Some(other) => format!(
            "to continue from that state instead, end this run, then: chorus state get '{other}' | \
              chorus state set '{id}' -"
        ),
        None if store.state(id).is_ok_and(|state| state.is_some()) => {
            "remove those rows, or run it without --full-refresh".to_owned()
        }
        None => format!(
            "remove those rows, or restore a copy of the state: chorus state set '{id}' \
             '{{\"singer_state\": ...}}'"
        ),
    };
    project.warnings().warn_once(warning!(
        "W-ROWS-AGAIN",
        "{}: everything is read without a state, and added to the rows that `{by}` loaded from the \
          same source (run of {at}): {mend}; `--deny-warnings W-ROWS-AGAIN` ends a run before it \
         adds them",
        step.name
    ));
    Ok(())
}

/// Returns the last load of what a step reads, into the tables that it loads.
fn last_load<'a>(
    history: &'a History,
    loading: &Loading<'_>,
    reads: Option<&BTreeSet<String>>,
) -> Option<(&'a RunRecord, &'a StepRecord)> {
    let Loading { step, id, day, .. } = *loading;
    let (into, from, adds) = (place::of(step), place::from(step), effect::adds(step));
    // Mappers may give streams other names.
    let reads = reads.filter(|_| step.plugins.len() == 2);
    let tables: Option<BTreeSet<&str>> =
        reads.map(|names| names.iter().map(|name| place::table(step, name)).collect());
    let has_loaded = |record: &RunRecord, entry: &StepRecord| {
        let other = entry.state_id.as_deref().unwrap_or_default();
        let is_keyless =
            || entry.warnings.as_ref().is_some_and(|all| all.contains_key("W-NO-KEYS"));
        entry.wrote()
            && entry.into.as_ref() == Some(&into)
            // Without states there is none that could be lost.
            && entry.has_moved_state()
            && (other == id || entry.from.as_ref() == Some(&from))
            && !are_days_apart((id, day), (other, record.datestamp))
            && (adds == Adds::All || is_keyless())
            && tables.as_ref().is_none_or(|tables| {
                entry.tables().any(|table| tables.contains(table))
            })
    };
    history.runs.iter().rev().find_map(|PastRun { record, .. }| {
        let entry = record.steps.iter().find(|entry| has_loaded(record, entry))?;
        Some((record, entry))
    })
}

/// Tells whether two states differ by the day in their names alone: each day is read by itself.
fn are_days_apart(one: (&str, Option<Datestamp>), other: (&str, Option<Datestamp>)) -> bool {
    let (Some(day), Some(other_day)) = (one.1, other.1) else { return false };
    let without = |id: &str, day: Datestamp| id.replace(&day.to_string(), "");
    day != other_day && one.0 != other.0 && without(one.0, day) == without(other.0, other_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_are_read_by_themselves_are_apart() {
        let day = |text: &str| Some(text.parse::<Datestamp>().unwrap());
        let (one, other) = (day("2026-01-31"), day("2026-02-01"));
        assert!(are_days_apart(("a-to-b:2026-01-31", one), ("a-to-b:2026-02-01", other)));
        assert!(!are_days_apart(("a-to-b:2026-01-31", one), ("a-to-c:2026-02-01", other)));
        assert!(!are_days_apart(("a-to-b", one), ("a-to-b", other)));
        assert!(!are_days_apart(("a-to-b:2026-01-31", one), ("a-to-b:2026-01-31", one)));
        assert!(!are_days_apart(("dev:a-to-b", one), ("prod:a-to-b", None)));
    }
}
