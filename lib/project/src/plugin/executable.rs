//! Which program a plugin is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::entry::{Entry, nearest_text};
use super::installation;
use crate::project::Project;
use crate::role::Role;

/// Finds the program: a path of the project, the environment that Meltano installed it in, the
/// folder this program is in, or else `PATH` at the time of the start.
pub(super) fn executable(project: &Project, role: Role, chain: &[Entry<'_>]) -> PathBuf {
    let base = chain.last().map_or("", |entry| entry.name);
    let name = nearest_text(chain, "executable").map_or(base, |(_, name)| name);
    program_named(project, role, chain, name)
}

/// Finds a program of a plugin by its name.
pub(super) fn program_named(
    project: &Project,
    role: Role,
    chain: &[Entry<'_>],
    name: &str,
) -> PathBuf {
    let name = project.variables.expand(name, &mut BTreeSet::new());
    if name.contains('/') {
        return project.root.join(name.trim_start_matches("./"));
    }
    // Who inherits a plugin and installs the same has the environment of that one.
    let own = installation::owner(chain);
    let installed = chain[own..].iter().chain(&chain[..own]).map(|entry| {
        let folder = project.root.join(".meltano").join(role.key()).join(entry.name);
        folder.join("venv/bin").join(&name)
    });
    let on_path = project.process.get("PATH").unwrap_or_default();
    let on_path = on_path.split(':').filter(|folder| !folder.is_empty());
    let on_path = on_path.map(|folder| Path::new(folder).join(&name));
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|own| Some(own.parent()?.join(&name)));
    let mut places = installed.chain(on_path).chain(beside);
    places.find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}
