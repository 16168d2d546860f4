//! The names of the states of steps, and of their locks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use project::{Project, Step};
use singer::{Error, ErrorKind, Result};

use crate::options::Options;
use crate::store;

/// Names the state of a step as Meltano does, with the day where the project has no suffix of its
/// own: a day that is read again starts where that day was left, not where the last one was. A step
/// that does the same for every day has one state: else each day would read everything again.
pub fn state_id(project: &Project, options: &Options, step: &Step) -> String {
    if let Some(id) = &options.state_id {
        return id.clone();
    }
    let day = || options.datestamp.filter(|_| step.is_of_day).map(|day| day.to_string());
    if let Some(schedule) = &options.schedule {
        return day().map_or_else(|| schedule.clone(), |day| format!("{schedule}:{day}"));
    }
    let environment = project.environment_name().map(|name| format!("{name}:")).unwrap_or_default();
    let id = format!("{environment}{}-to-{}", step.tap().name, step.target().name);
    let suffix = options.state_id_suffix.clone().or_else(|| project.state_id_suffix());
    let suffix = suffix.map(|text| project.variables.expand(&text, &mut BTreeSet::new()));
    match suffix.filter(|text| !text.is_empty()).or_else(day) {
        Some(suffix) => format!("{id}:{suffix}"),
        None => id,
    }
}

/// Refuses a state whose name lacks a variable: it would be that of others who lack it, too.
pub fn check_name(project: &Project, options: &Options) -> Result<()> {
    let suffix = options.state_id_suffix.clone().or_else(|| project.state_id_suffix());
    let suffix = suffix.unwrap_or_default();
    let mut missing = BTreeSet::new();
    project.variables.expand(&suffix, &mut missing);
    match missing.first().filter(|_| options.state_id.is_none()) {
        None => Ok(()),
        Some(name) => Err(Error::new(ErrorKind::Usage, "cannot name the state of a run")
            .with("state_id_suffix", suffix)
            .with("variable that is not set", name)
            .hint(format!("set {name}, or give --state-id"))),
    }
}

/// Returns the path of the lock that whoever changes a state holds, from before it reads it.
pub fn lock(project: &Project, id: &str) -> Result<PathBuf> {
    let folder = project.root.join(".chorus/locks");
    store::make_private_folder(&folder)?;
    Ok(folder.join(disk::name::encode(id)))
}
