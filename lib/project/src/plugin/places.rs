//! Where the project has the settings of a plugin, for messages.

use std::path::PathBuf;

use singer::Error;

use super::entry::Entry;
use crate::file::{self, Segment};
use crate::lines::Spot;
use crate::project::Project;
use crate::role::Role;

/// Says of a value that cannot be used which plugin's it is, and where it is written.
pub(super) fn of_line(failure: Error, project: &Project, role: Role, chain: &[Entry<'_>]) -> Error {
    let failure = failure.with("plugin", chain.first().map_or("", |entry| entry.name));
    let Some(setting) = failure.context("setting").map(str::to_owned) else { return failure };
    let whole = [Segment::Key(&setting)];
    let levels: Vec<_> = setting.split('.').map(Segment::Key).collect();
    at_line(failure, spot_of(project, role, chain, &[&whole, &levels]))
}

/// Returns the setting that a plugin says it has refused.
pub(super) fn setting_said(failure: &Error, plugin: &str) -> Option<String> {
    let said = failure.context_pairs().filter(|(key, _)| *key == plugin);
    let mut settings = said.filter_map(|(_, line)| line.trim().strip_prefix("setting: "));
    settings.next().map(|name| name.trim_matches('`').to_owned())
}

pub(super) fn at_line(failure: Error, spot: Option<(PathBuf, Spot)>) -> Error {
    let Some((path, Spot { line, column })) = spot else { return failure };
    failure.with("path", path.display()).with("line", line).with("column", column)
}

/// Finds where the settings of a plugin have a value: the first of several ways that leads to one.
pub(super) fn spot_of(
    project: &Project,
    role: Role,
    chain: &[Entry<'_>],
    ways: &[&[Segment<'_>]],
) -> Option<(PathBuf, Spot)> {
    let environment = project.environment_name().unwrap_or_default();
    let mut places = Vec::new();
    for Entry { name, .. } in chain {
        let own = vec![Segment::Key("plugins"), Segment::Key(role.key()), Segment::Named(name)];
        let of_environment =
            [Segment::Key("environments"), Segment::Named(environment), Segment::Key("config")];
        for entry in [[&of_environment[..], &own[..]].concat(), own] {
            let config = [&entry[..], &[Segment::Key("config")]].concat();
            places.extend(ways.iter().map(|way| [&config[..], way].concat()));
        }
    }
    file::spot_of(&project.root, &project.file, &places)
}
