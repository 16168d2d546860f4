//! Tables of a day that a step wrote before, and does not read any more.
//!
//! What a run publishes takes the place of one table. One that is gone from the source is not
//! published, so its folder stays, and is loaded with the day. That is reported where it is known:
//! the step wrote the table in an earlier run of the day, and has now read all that it is to read,
//! or its tap does not have it any more, whatever a bookmark says. A table that `select` or a
//! catalog leaves out is left out by will.

use std::collections::BTreeSet;

use disk::Datestamp;
use lake::{Key, Lake};
use project::warning;
use project::{Plugin, Project, Step};
use singer::Result;

use crate::catalog_rules;
use crate::ended::StepEnd;
use crate::history::{History, PastRun};
use crate::lake_paths::day_written;
use crate::prepare;
use crate::state_stores::States;

/// Names of metrics are cut behind so many characters.
const SHOWN_CHARS: usize = 1000;

/// Warns of tables that stay in the day of a step which has ended well.
pub(crate) fn warn(
    project: &Project,
    day: Option<Datestamp>,
    step: &Step,
    end: &StepEnd,
) -> Result<()> {
    let (Some(_), Some((root, source, day))) = (day, day_written(project, step)) else {
        return Ok(());
    };
    let rules = &step.tap().rules;
    // A mapper may give streams other names.
    if rules.catalog.is_some() || step.plugins.len() > 2 || !root.is_dir() {
        return Ok(());
    }
    let lake = Lake::open(&root)?;
    let Some(record) = lake.run_record(&source, day)? else { return Ok(()) };
    let read: Vec<&str> = end.observed.streams.iter().map(|stream| stream.name.as_str()).collect();
    let is_read = |table: &str| {
        let cut = |name: &str| name.chars().count() >= SHOWN_CHARS && table.starts_with(name);
        read.iter().any(|name| *name == table || cut(name))
    };
    let state = States::open(project)?.state(&end.state_id)?.unwrap_or_default();
    let is_unchanged =
        |table: &str| step.tap().has_whole_bookmarks() && state["bookmarks"][table].is_object();
    let reads = if record.tables.keys().all(|table| is_read(table)) {
        None
    } else {
        end.reads.clone().or_else(|| asked(project, step.tap()))
    };
    // Of what a tap does not have, a bookmark says nothing; what it has, one of others may read
    // without a word.
    let is_gone = |table: &str| {
        let known = reads.as_ref();
        known.is_some_and(|reads| !reads.contains(table))
            || !is_unchanged(table) && !read.is_empty()
    };
    let unread = record.tables.keys().filter(|table| !is_read(table) && is_gone(table));
    let unread: Vec<&String> = unread.collect();
    if unread.is_empty() {
        return Ok(());
    }
    let written = written(&History::read(project)?, project, &step.name, day);
    for table in unread.into_iter().filter(|table| written.contains(*table)) {
        if !catalog_rules::selects(rules.select.as_deref(), table)? {
            continue;
        }
        project.warnings().warn(warning!(
            "W-TABLE-STAYS",
            "table {table} of {source}, {day}, stays as an earlier run of {} wrote it: its source \
             no longer has it, or the settings leave it out. To remove it from the day, remove {} \
             and {}, then run the step again",
            step.name,
            lake.show(&Key::day(&source, day)),
            lake.show(&Key::record(&source, day))
        ));
    }
    project.warnings().check()
}

/// Returns the streams that a tap of ours has, where it was run without a catalog.
fn asked(project: &Project, tap: &Plugin) -> Option<BTreeSet<String>> {
    let catalog = tap.is_ours().then(|| prepare::catalog(project, tap).ok()).flatten();
    catalog.map(|(catalog, _)| prepare::names_selected(&catalog))
}

/// Returns the streams that runs of a step have read for a day.
fn written(history: &History, project: &Project, step: &str, day: Datestamp) -> BTreeSet<String> {
    let environment = project.environment_name();
    let here = history.runs.iter().filter(|PastRun { record, .. }| {
        record.datestamp == Some(day) && record.environment.as_deref() == environment
    });
    let entries = here.flat_map(|PastRun { record, .. }| &record.steps);
    let streams = entries.filter(|entry| entry.step == step).flat_map(|entry| &entry.streams);
    streams.map(|stream| stream.stream.clone()).collect()
}
