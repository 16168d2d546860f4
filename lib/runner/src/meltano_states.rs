//! States that Meltano keeps, in its own database or a backend: they are not read here. A project
//! that comes from Meltano would have all rows read from the start, and added a second time,
//! without a word.

use project::{Project, Step, warning};
use singer::Result;

use crate::history::History;
use crate::options::Options;
use crate::record::StepStatus;
use crate::states::Start;
use crate::store::Store;

/// Where Meltano keeps states unless the project says otherwise.
const DATABASE: &str = ".meltano/meltano.db";

/// Warns of a step that is about to begin without a state, where Meltano has one of its name. A
/// database that the project does not hold cannot be looked into: it is reported once, before
/// the first run of the step.
pub(crate) fn warn(
    project: &Project,
    options: &Options,
    id: &str,
    step: &Step,
    start: &Start,
) -> Result<()> {
    let store = Store::new(&project.root);
    let begins = start.given.is_none() && start.why.is_none() && step.tap().rules.state.is_none();
    if !begins || options.full_refresh || options.keeps_no_state() || store.state(id)?.is_some() {
        return Ok(());
    }
    let place = match project.state_backend() {
        Some(setting) if !has_run(project, step)? => format!("the place in `{setting}` may have"),
        None if has_id(project, id) => format!("{DATABASE} has"),
        _ => return Ok(()),
    };
    project.warnings().warn_once(warning!(
        "W-STATE-ELSEWHERE",
        "{}: {place} a state {id} of Meltano, which chorus does not read, so all rows are read \
         from the start; to continue from it, run: meltano state get {id} | chorus state set {id} \
         -",
        step.name
    ));
    Ok(())
}

fn has_run(project: &Project, step: &Step) -> Result<bool> {
    let history = History::read(project)?;
    let mut entries = history.runs.iter().flat_map(|run| &run.record.steps);
    Ok(entries.any(|entry| entry.step == step.name && entry.status == StepStatus::Succeeded))
}

/// Tells whether Meltano's database has a state of this name: `SQLite` keeps texts as they are.
fn has_id(project: &Project, id: &str) -> bool {
    let text = std::fs::read(project.root.join(DATABASE)).unwrap_or_default();
    memchr::memmem::find_iter(&text, id).any(|at| {
        let before = at.checked_sub(1).map_or(0, |before| text[before]);
        let behind = text.get(at + id.len()).copied().unwrap_or_default();
        is_whole(before, behind)
    })
}

/// Tells whether what stands around a name shows that it is no part of a longer one. `SQLite` has
/// each name twice: in the index of the table, behind the length of a number, and in its row, where
/// the state comes next.
fn is_whole(before: u8, behind: u8) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    before < b' ' && behind != b':' || !is_of_name(before) && behind == b'{'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_part_of_a_longer_one() {
        for (before, behind, expected) in [
            (1, 1, true),
            (9, b'a', true),
            (b'#', b'{', true),
            (b':', b'{', false),
            (b'-', b'{', false),
            (1, b':', false),
            (b'#', b'-', false),
        ] {
            assert_eq!(is_whole(before, behind), expected, "{before} {behind}");
        }
    }
}
