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
    let mut places = installed.chain(outside(project, &name));
    places.find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

/// Returns where programs are looked for that no project has: `PATH`, and the folder of this one.
fn outside(project: &Project, name: &str) -> Vec<PathBuf> {
    let on_path = project.process.get("PATH").unwrap_or_default();
    let on_path = on_path.split(':').filter(|folder| !folder.is_empty());
    let on_path = on_path.map(|folder| Path::new(folder).join(name));
    let beside = std::env::current_exe().ok();
    let beside = beside.and_then(|own| Some(own.parent()?.join(name)));
    on_path.chain(beside).collect()
}

/// Returns the files of a program's name that are other ones, where the program was looked for.
pub(super) fn others(project: &Project, program: &Path) -> Vec<PathBuf> {
    let Some(name) = program.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let is_of_meltano = program.starts_with(project.root.join(".meltano"));
    let mut known: Vec<PathBuf> = program.canonicalize().into_iter().collect();
    let mut found = Vec::new();
    let places = outside(project, name);
    // A path that the project names is meant.
    if !is_of_meltano && !places.iter().any(|place| place == program) {
        return found;
    }
    for place in places.into_iter().filter(|place| place.is_file()) {
        let Ok(real) = place.canonicalize() else { continue };
        if !known.contains(&real) {
            known.push(real);
            found.push(place);
        }
    }
    found
}
