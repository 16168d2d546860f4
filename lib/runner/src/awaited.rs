//! Days that a job is about to write: their run records say so, until each step has done it. A load
//! of all sources of such a day is refused, also when the step has failed before its first row.

use lake::Lake;
use project::warning;
use project::{Project, Step};
use singer::Result;

use crate::lake_paths::day_written;
use crate::options::Options;
use crate::state_names::state_id;

/// Says which days the next steps are about to write, up to the first step that writes none: what
/// that one reads is there by then.
pub(crate) fn begin(project: &Project, options: &Options, steps: &[&Step]) {
    for step in steps.iter().map_while(|step| writes(project, step).then_some(*step)) {
        let noted = note(project, options, step, |lake, source, day, state| {
            lake.await_step(source, day, state, &step.name)
        });
        warn(project, step, noted);
    }
}

/// Says that a step has written its day.
pub(crate) fn end(project: &Project, options: &Options, step: &Step) {
    let noted = note(project, options, step, Lake::step_done);
    warn(project, step, noted);
}

/// Tells whether a step of a day that is not being run is still to write it.
pub(crate) fn is_awaited(project: &Project, options: &Options, step: &Step) -> Result<bool> {
    let Some((root, source, day)) = day_written(project, step) else { return Ok(false) };
    let state = state_id(project, options, step);
    let record = Lake::at(root).run_record(&source, day)?;
    Ok(record.is_some_and(|record| record.awaited.contains_key(&state)))
}

fn writes(project: &Project, step: &Step) -> bool {
    day_written(project, step).is_some()
}

fn note(
    project: &Project,
    options: &Options,
    step: &Step,
    say: impl FnOnce(&Lake, &str, disk::Datestamp, &str) -> Result<()>,
) -> Result<()> {
    // Others may put anything else there.
    let Some((root, source, day)) = day_written(project, step).filter(|_| step.target().is_ours())
    else {
        return Ok(());
    };
    say(&Lake::create(root)?, &source, day, &state_id(project, options, step))
}

/// Where nothing can be written, the target says so, too.
fn warn(project: &Project, step: &Step, noted: Result<()>) {
    if let Err(failure) = noted {
        let path = failure.context("path").unwrap_or_default();
        project.warnings().warn(warning!(
            "W-RUN-UNRECORDED",
            "{}: {} ({path})",
            step.name,
            failure.message()
        ));
    }
}
