//! The lines of a person in rejects and logs; records of runs and states that name the person.

use std::collections::BTreeSet;

use project::{Project, Step};
use serde_json::Value;
use singer::Result;

use super::{FileLines, Forgetting, Forgotten, texts};
use crate::history::{self, History};
use crate::record::RunStatus;
use crate::state_stores::States;
use crate::store;

/// Looks through rejects, logs, records and states.
pub(super) fn look(
    project: &Project,
    what: &Forgetting,
    (steps, values): (&[Step], &BTreeSet<String>),
    done: &mut Forgotten,
) -> Result<()> {
    let mut rejects = BTreeSet::new();
    for plugin in steps.iter().flat_map(|step| &step.plugins).filter(|plugin| plugin.is_ours()) {
        let name = plugin.config.get("rejects_file").and_then(Value::as_str);
        rejects.insert(project.root.join(name.unwrap_or("rejects.jsonl")));
    }
    for path in rejects {
        let is_meant = |line: &str| texts::is_of(line, &what.stream, &what.column, values);
        match texts::without_lines(&path, &is_meant, what.apply) {
            Ok(0) => {}
            Ok(lines) => done.files.push(FileLines { path, lines, whole: true }),
            Err(failure) => done.failures.push(failure),
        }
    }
    let short = values.iter().filter(|value| !texts::is_findable(value)).count();
    if short > 0 {
        done.unreached.insert(
            "logs, states and raw lines of rejects: the value is too short to be looked for in them"
                .to_owned(),
        );
    }
    let found: Vec<&String> = values.iter().filter(|value| texts::is_findable(value)).collect();
    if found.is_empty() {
        return Ok(());
    }
    for run in History::read(project)?.all() {
        let is_running = run.record.status == RunStatus::Running;
        if is_running && history::is_alive(project, &run.folder, &run.record) {
            done.unreached.insert(format!("logs of a run that is running: {}", run.record.run));
            continue;
        }
        for path in store::entries(&run.folder)? {
            let ends_with = |ending: &str| path.extension().is_some_and(|end| end == ending);
            if ends_with("json") && texts::masked(&path, &found, false)? > 0 {
                // Its words, such as the day and the names of streams, are needed to read it.
                done.unreached.insert(format!("the record of the run {}", run.record.run));
            }
            if !ends_with("log") {
                continue;
            }
            match texts::masked(&path, &found, what.apply) {
                Ok(0) => {}
                Ok(lines) => done.files.push(FileLines { path, lines, whole: false }),
                Err(failure) => done.failures.push(failure),
            }
        }
    }
    states(project, &found, done)
}

/// Names the states that hold the value: to change one would have rows read again, or left out.
fn states(project: &Project, values: &[&String], done: &mut Forgotten) -> Result<()> {
    let states = States::open(project)?;
    for id in states.state_ids()? {
        let text = states.state(&id)?.map(|state| state.to_string()).unwrap_or_default();
        if values.iter().any(|value| texts::holds(&text, value)) {
            done.unreached.insert(format!(
                "the state {id} holds the value: `chorus state clear {id}` removes it, and the \
                 next run reads everything"
            ));
        }
    }
    Ok(())
}
